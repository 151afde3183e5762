/* wshub: ISC licence, see LICENSE. */
/*
 * The hub among failures: every call that can fail does so once, at every point
 * of a life, and for a while; and the clock jumps.
 *
 * A life is this. Ann (ws) and a backend are there first. Then everything that
 * can happen happens: Bob connects by ws and Tom by wss, with whole handshakes;
 * the backend subscribes all three, publishes, is answered, sends enough that
 * queues must grow and writes come short; somebody pings; a second backend
 * comes and goes; Bob and Tom leave. It is lived once for every n with the nth
 * call failing. One failure may cost one connection, and nobody else notices:
 * all others receive all that they should, in order. What is left at the end is
 * counted: no memory, no descriptor.
 *
 * The kernel is test/fake.c's, where time passes only as a test says.
 */
#include "fake.h"
#include <sys/stat.h>
#include <signal.h>
#include "peers.h"

/* ----------------------------------------------------------------- a life */

static void
set_up(const struct ws_options *o)
{
	int i;

	fake_begin();
	memset(peers, 0, sizeof peers);
	for (i = 0; i < PEERS; i++)
		peers[i].h = -1;
	number = errs = 0;
	backend_gone = 0;
	l = ws_loop_new(o);
	listener = fake_listen();
	tls_listener = fake_listen();
	control = fake_listen();
	if (l == NULL || ws_loop_listen(l, listener, 0) != 0 ||
	    ws_loop_listen(l, tls_listener, 1) != 0 ||
	    ws_loop_control(l, control) != 0) {
		printf("no loop\n");
		exit(1);
	}
#ifdef WITH_TLS
	ws_loop_set_tls(l, config);
#endif
	backend = fake_connect(control);
}

static void
first_peers(void)
{
	dial(&peers[ANN], 0);
	send_bytes(&peers[ANN], request, sizeof request - 1);
	(void)turns(3);
	if (!peers[ANN].up || subscribe(&peers[ANN]) != 1) {
		printf("Ann is not in\n");
		exit(1);
	}
}

static void
live(int tls)
{
	static const char two[] = "{\"action\":\"multicast\",\"data\":{}}";
	struct peer *bob = &peers[BOB], *tom = &peers[TOM];
	int second, i;

	dial(bob, 0);
	send_bytes(bob, request, 100);
	(void)turns(2);
	send_bytes(bob, request + 100, sizeof request - 101);
	if (tls)
		dial(tom, 1);
	for (i = 0; i < (tls ? 60 : 6) && (i < 6 || !tom->up); i++)
		(void)turns(1);
	if (bob->up)
		(void)subscribe(bob);
	if (tom->up)
		(void)subscribe(tom);
	(void)publish_all(10);
	if (bob->h >= 0)
		fake_window(bob->h, 3000);
	(void)publish_all(16000);
	(void)publish_all(200);
	for (i = 0; i < 3; i++)
		(void)publish_all(2);
	(void)turns(tls ? 80 : 12);
	if (bob->h >= 0)
		fake_window(bob->h, 65536);
	send_frame(bob, WS_PING, "hello", 5);
	send_frame(bob, WS_TEXT, "kept", 4);
	send_bytes(bob, "\x81", 1); /* half a head, to be carried */
	(void)turns(2);
	second = fake_connect(control);
	if (second >= 0) {
		fake_put(second, two, 20);
		(void)turns(2);
		fake_put(second, two + 20, sizeof two - 21);
		(void)turns(2);
		fake_leave(second);
	}
	if (tom->up) {
		send_frame(tom, WS_CLOSE, "\x03\xe8", 2);
		(void)turns(6);
		tom->left = 1;
	}
	(void)turns(3);
	fake_fault.many = 0; /* what comes now is to go well */
}

/*
 * After a life: peers that are left receive, and Eve gets in and receives. cost
 * is how many connections and replies the failures may have cost.
 */
static void
after(unsigned cost, const char *what, unsigned long n)
{
	unsigned lost = errs, i, received[PEERS];
	int count;

	fake_now += 2000000000; /* accept may be resting */
	(void)turns(3);
	for (i = ANN; i <= TOM; i++) {
		if (peers[i].h < 0)
			continue;
		lost += (peers[i].gone || !peers[i].up) && !peers[i].left;
	}
	if (backend_gone || fake_ended(backend)) {
		lost++;
		fake_leave(backend);
		backend = fake_connect(control);
		backend_gone = 0;
		(void)turns(2);
	}
	EXPECT(lost <= cost, "%s %lu: it cost %u", what, n, lost);
	for (i = 0; i < EVE; i++) {
		received[i] = peers[i].received;
		EXPECT(peers[i].skipped <= errs + cost, "%s %lu: %s missed %u",
		    what, n, names[i], peers[i].skipped);
	}
	dial(&peers[EVE], 0);
	send_bytes(&peers[EVE], request, sizeof request - 1);
	(void)turns(4);
	EXPECT(peers[EVE].up, "%s %lu: nobody can connect any more", what, n);
	count = subscribe(&peers[EVE]);
	EXPECT(count == 1, "%s %lu: nobody can subscribe: %s", what, n, reply);
	count = publish_all(5);
	EXPECT(count >= 1 && peers[EVE].received == 1, "%s %lu: nobody can be "
	    "told: %s", what, n, reply);
	if (!peers[ANN].gone)
		EXPECT(peers[ANN].received == received[ANN] + 1,
		    "%s %lu: Ann does "
		    "not receive any more", what, n);
}

static void
tear_down(const char *what, unsigned long n)
{
	int i;

	ws_loop_stop(l);
	for (i = 0; i < 2000 && turns(1); i++)
		fake_now += 10000000;
	EXPECT(i < 2000, "%s %lu: it does not end", what, n);
	ws_loop_free(l);
	EXPECT(fake_open() == 0, "%s %lu: %u descriptors are open", what, n,
	    fake_open());
	EXPECT(fake_live == 0, "%s %lu: %ld blocks are left", what, n,
	    fake_live);
	for (i = 0; i < PEERS; i++)
		disconnect(&peers[i]);
	if (backend >= 0)
		fake_leave(backend);
	backend = -1;
}

static unsigned long lines;

static void
log_line(int level, const char *line)
{
	EXPECT(level <= WS_LOG_DEBUG && strlen(line) > 5 &&
	    strchr(line, '\n') == NULL, "a line of the log: \"%s\"", line);
	lines++;
}

static const struct ws_options usual = {
	.heartbeat = 60, .ping = 25, .drain = 5, .queue = 65536,
	.queue_total = 1 << 20,
	.log_level = WS_LOG_DEBUG, .log = log_line
};

/* Of a hub behind a proxy, if the peers are. */
static struct ws_options
busy(void)
{
	static struct ws_trust trust;
	struct ws_options o = usual;

	o.max_per_ip = 10;
	if (proxy_header == NULL)
		return o;
	if (trust.n == 0 && ws_trust_add(&trust, "127.0.0.1") != NULL)
		exit(1);
	o.trust = &trust;
	o.proxy_protocol = 1;
	return o;
}

/*
 * Lives with calls at, at + 1, ... at + many - 1 of that kind failing, for each
 * at (emulated: every fifth) until it is more than there are. Returns how many
 * that were.
 */
static unsigned long
every(enum fake_call call, unsigned long many, int error, size_t cut,
    unsigned cost, int tls, const char *what)
{
	struct ws_options o = busy();
	unsigned long at, first;

	for (at = 1; at < 5000; at += test_emulated() ? 5 : 1) {
		set_up(&o);
		first_peers();
		l->hub.npool = 0; /* the next joins ask for more */
		first = fake_calls[call];
		fake_fault.call = call;
		fake_fault.error = error;
		fake_fault.cut = cut;
		fake_fault.at = first + at;
		fake_fault.many = many;
		fake_faults = 0;
		live(tls);
		first = fake_faults;
		after(cost, what, at);
		tear_down(what, at);
		if (first == 0)
			break;
	}
	EXPECT(at > 1, "%s: it is never called", what);
	EXPECT(at < 5000, "%s: no end", what);
	return at - 1;
}

/* The same, once, with the calls from the first on. */
static void
once(enum fake_call call, unsigned long many, int error, size_t cut,
    unsigned cost, int tls, const char *what)
{
	struct ws_options o = busy();

	set_up(&o);
	first_peers();
	fake_fault.call = call;
	fake_fault.error = error;
	fake_fault.cut = cut;
	fake_fault.at = fake_calls[call] + 1;
	fake_fault.many = many;
	live(tls);
	after(cost, what, many);
	tear_down(what, many);
}

/* A peer that has said its last may still be listening. */
static void
half_closed(void)
{
	struct peer *p = &peers[EVE];
	unsigned i;

	CASE("half closed: what was queued for it, and its Close, still come");
	set_up(&usual);
	first_peers();
	dial(p, 0);
	send_bytes(p, request, sizeof request - 1);
	(void)turns(4);
	(void)subscribe(p);
	fake_window(p->h, 100); /* a little at a time */
	for (i = 0; i < 3; i++)
		(void)publish_all(4000);
	send_frame(p, WS_CLOSE, "\x03\xe8", 2);
	fake_end(p->h);
	(void)turns(200);
	EXPECT(p->received == 3 && p->code == 1000 && fake_ended(p->h) == 1,
	    "%u of 3 received, code %u, ended %d", p->received, p->code,
	    fake_ended(p->h));
	tear_down("half closed", 0);
}

/*
 * Who has read its ERR and writes the next object is obeyed, however the bad
 * text before it fell into reads and turns: 65,536 bytes and 262,144.
 */
static void
bad_text(void)
{
	static const size_t sizes[] = {
		1, 65535, 65536, 65537, 262143, 262144, 262145, 524288
	};
	static char bad[524288];
	size_t i;

	CASE("bad text: its ERR comes at once, and the next object's OK");
	memset(bad, 'x', sizeof bad);
	for (i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		set_up(&usual);
		first_peers();
		fake_leave(backend); /* which has written lines */
		backend = fake_connect(control);
		(void)turns(2);
		reply_len = 0;
		fake_put(backend, bad, sizes[i]);
		(void)turns(6);
		EXPECT(reply_len == 3 && memcmp(reply, "ERR", 3) == 0,
		    "%zu bytes: \"%.*s\"", sizes[i], (int)reply_len, reply);
		EXPECT(ask("{\"action\":\"multicast\",\"data\":0}\n") > 0,
		    "%zu bytes: then \"%s\"", sizes[i], reply);
		tear_down("bad text", sizes[i]);
	}
}

/* A backend writes its third message when the first of the peers got two. */
static unsigned sends[PEERS];

static void
third(int h)
{
	static const char one[] = "{\"action\":\"multicast\",\"data\":[3,0]}\n";
	int i;

	for (i = ANN; i <= BOB; i++)
		sends[i] += h == peers[i].h;
	if (sends[ANN] + sends[BOB] == 1 && h != backend)
		fake_put(backend, one, sizeof one - 1);
}

static void
several(void)
{
	static const char two[] =
	    "{\"action\":\"multicast\",\"data\":[1,0]}\n"
	    "{\"action\":\"multicast\",\"data\":[2,0]}\n";
	int i;

	CASE("several at once: what comes meanwhile goes with them to the "
	    "next");
	set_up(&usual);
	first_peers();
	dial(&peers[BOB], 0);
	send_bytes(&peers[BOB], request, sizeof request - 1);
	(void)turns(4);
	memset(sends, 0, sizeof sends);
	fake_sent = third;
	fake_put(backend, two, sizeof two - 1);
	(void)turns(1);
	fake_sent = NULL;
	for (i = ANN; i <= BOB; i++)
		EXPECT(peers[i].received == 3 && peers[i].skipped == 0,
		    "%s received %u", names[i], peers[i].received);
	EXPECT(sends[ANN] + sends[BOB] == 3, "%u sends to Ann, %u to Bob: one "
	    "had two, then one message, the other three at once",
	    sends[ANN], sends[BOB]);
	tear_down("several", 0);
}

/* That a life is as it should be when nothing fails. */
static void
nothing(int tls)
{
	struct peer *p;

	CASE("nothing fails: everybody hears everything");
	set_up(&usual);
	first_peers();
	live(tls);
	for (p = peers + ANN; p <= peers + (tls ? TOM : BOB); p++)
		EXPECT(p->up && p->received == 6 && p->skipped == 0,
		    "%s received %u",
		    names[p - peers], p->received);
	EXPECT(fake_prompt(peers[ANN].h) && (!tls ||
	    fake_prompt(peers[TOM].h)), "what is sent waits for more: no "
	    "TCP_NODELAY");
	EXPECT(peers[BOB].pongs == 1, "%u Pongs", peers[BOB].pongs);
	EXPECT(!tls || peers[TOM].code == 1000, "%u", peers[TOM].code);
	after(0, "nothing", 0);
	tear_down("nothing", 0);
}

static void
memory(int tls)
{
	unsigned long n;

	CASE("memory: the nth allocation fails, for every n");
	n = every(FAKE_ALLOC, 1, ENOMEM, 0, 1, tls, "allocation");
	EXPECT(n > (tls ? 20 : 15), "there were only %lu", n);

	CASE("memory: none from the nth on, for ten; and it comes back");
	every(FAKE_ALLOC, 10, ENOMEM, 0, 1000, tls, "ten allocations from");

	CASE("memory: none at all for a whole life, and the hub outlives it");
	once(FAKE_ALLOC, 1000000, ENOMEM, 0, 1000, tls, "all allocations of");
}

static void
calls(int tls)
{
	CASE("recv: interrupted, or nothing there after all: nobody notices");
	every(FAKE_RECV, 1, EINTR, 0, 0, 0, "EINTR at recv");
	every(FAKE_RECV, 1, EAGAIN, 0, 0, tls, "EAGAIN at recv");
	every(FAKE_RECV, 1, 0, 1, 0, tls, "a byte at recv");
	CASE("recv: fails: one connection, and no other");
	every(FAKE_RECV, 1, ECONNRESET, 0, 1, tls, "ECONNRESET at recv");
	every(FAKE_RECV, 1, ENOMEM, 0, 1, 0, "ENOMEM at recv");

	CASE("send: interrupted, would block, no buffers, short: nobody "
	    "notices");
	every(FAKE_SEND, 1, EINTR, 0, 0, 0, "EINTR at send");
	every(FAKE_SEND, 1, EAGAIN, 0, 0, 0, "EAGAIN at send");
	every(FAKE_SEND, 1, ENOBUFS, 0, 0, tls, "ENOBUFS at send");
	every(FAKE_SEND, 1, 0, 1, 0, tls, "a byte at send");
	every(FAKE_SEND, 3, 0, 2, 0, 0, "three times two bytes at send");
	once(FAKE_SEND, 1000000, 0, 997, 0, tls, "997 bytes at each send of");
	CASE("send: fails: one connection, and no other");
	every(FAKE_SEND, 1, EPIPE, 0, 1, tls, "EPIPE at send");
	every(FAKE_SEND, 1, EIO, 0, 1, 0, "EIO at send");

	CASE("accept: fails in every way: clients wait");
	every(FAKE_ACCEPT, 1, ECONNABORTED, 0, 0, 0, "ECONNABORTED");
	every(FAKE_ACCEPT, 1, EMFILE, 0, 3, 0, "EMFILE at accept");
	every(FAKE_ACCEPT, 1, ENFILE, 0, 3, 0, "ENFILE at accept");
	every(FAKE_ACCEPT, 1, EINTR, 0, 0, 0, "EINTR at accept");
	every(FAKE_ACCEPT, 1, EPERM, 0, 0, 0, "EPERM at accept");

	CASE("poll: fails: the next turn has it");
	every(FAKE_POLL, 1, EINTR, 0, 0, 0, "EINTR at poll");
	every(FAKE_POLL, 3, ENOMEM, 0, 0, 0, "ENOMEM at poll");

	CASE("entropy: fails: one connection");
	every(FAKE_ENTROPY, 1, EIO, 0, 1, tls, "EIO at ws_entropy");

	CASE("setsockopt, shutdown, getpeername: fail");
	every(FAKE_SETSOCKOPT, 1, EINVAL, 0, 0, 0, "EINVAL at setsockopt");
	if (tls)
		every(FAKE_SHUTDOWN, 1, ENOTCONN, 0, 0, 1, "at shutdown");
	every(FAKE_PEERNAME, 1, ENOTCONN, 0, 0, 0, "ENOTCONN at getpeername");
}

/* What there is before any connection. */
static void
beginnings(void)
{
	struct ws_options o = usual;
	unsigned long n;
	int fd;

	CASE("memory: a loop that cannot begin leaves nothing");
	o.max_per_ip = 1;
	for (n = 1; n < 20; n++) {
		fake_begin();
		fake_fault.call = FAKE_ALLOC;
		fake_fault.at = n;
		fake_fault.many = 1;
		fake_fault.error = ENOMEM;
		l = ws_loop_new(&o);
		if (fake_faults == 0)
			break;
		EXPECT(l == NULL && fake_live == 0, "allocation %lu: %ld "
		    "blocks", n, fake_live);
	}
	EXPECT(n == 7 && l != NULL, "%lu allocations", n);
	ws_loop_free(l);

	CASE("memory: a listener that cannot be added stays the caller's");
	for (n = 1; n < 20; n++) {
		fake_begin();
		l = ws_loop_new(&usual);
		fd = fake_listen();
		fake_fault.call = FAKE_ALLOC;
		fake_fault.at = fake_calls[FAKE_ALLOC] + n;
		fake_fault.many = 1;
		fake_fault.error = ENOMEM;
		if (l == NULL || (ws_loop_listen(l, fd, 0) == 0 &&
		    fake_faults == 0))
			break;
		EXPECT(fake_open() == 1, "allocation %lu: closed", n);
		ws_loop_free(l);
		EXPECT(fake_live == 0, "allocation %lu: %ld blocks", n,
		    fake_live);
	}
	EXPECT(n == 5, "%lu allocations", n);
	ws_loop_free(l);
	EXPECT(fake_live == 0 && fake_open() == 0, "%ld blocks", fake_live);

	CASE("entropy: no loop begins without it");
	fake_begin();
	fake_fault.call = FAKE_ENTROPY;
	fake_fault.at = 1;
	fake_fault.many = 1;
	fake_fault.error = EIO;
	l = ws_loop_new(&usual);
	EXPECT(l == NULL && errno == EIO && fake_live == 0,
	    "it begins, or leaves %ld blocks", fake_live);

#ifdef WITH_TLS
	CASE("memory: a certificate that cannot be taken in leaves nothing");
	for (n = 1; n < 20; n++) {
		struct ws_tls_config *c;

		fake_begin();
		fake_fault.call = FAKE_ALLOC;
		fake_fault.at = n;
		fake_fault.many = 1;
		fake_fault.error = ENOMEM;
		c = load();
		if (fake_faults == 0) {
			EXPECT(c != NULL, "certificate");
			ws_tls_config_release(c);
			EXPECT(fake_live == 0, "%ld blocks", fake_live);
			break;
		}
		EXPECT(c == NULL && fake_live == 0, "allocation %lu: %ld "
		    "blocks", n, fake_live);
	}
	EXPECT(n == 5, "%lu allocations", n);
#endif
}

/* ------------------------------------------------------------------ clocks */

static void
three_peers(void)
{
	int i;

	set_up(&usual);
	first_peers();
	for (i = BOB; i <= TOM; i++) {
		dial(&peers[i], 0);
		send_bytes(&peers[i], request, sizeof request - 1);
	}
	(void)turns(4);
}

/* Lets time pass as it does when nothing happens; returns the turns. */
static unsigned
sleep_for(int64_t ms)
{
	int64_t until = fake_now + ms * 1000000, left;
	unsigned n = 0;
	int i;

	while ((left = (until - fake_now) / 1000000) > 0 && n < 1000000) {
		(void)ws_loop_step(l, left > 60000 ? 60000 : (int)left);
		for (i = 0; i < PEERS; i++)
			read_all(&peers[i]);
		n++;
	}
	return n;
}

static void
jitter(void)
{
	int64_t begun, at[PEERS] = { 0 }, first = INT64_MAX, last = 0;
	int i, asked = 0;

	CASE("pings: those who came together are not asked together");
	set_up(&usual);
	for (i = ANN; i < PEERS; i++) {
		dial(&peers[i], 0);
		send_bytes(&peers[i], request, sizeof request - 1);
	}
	(void)turns(2);
	begun = fake_now;
	while (asked < PEERS && fake_now < begun + 60000000000) {
		sleep_for(100);
		for (i = ANN; i < PEERS; i++)
			if (at[i] == 0 && peers[i].pings != 0) {
				at[i] = (fake_now - begun) / 1000000;
				asked++;
			}
	}
	EXPECT(asked == PEERS, "%d are asked", asked);
	for (i = ANN; i < PEERS; i++) {
		EXPECT(at[i] >= 22500 && at[i] <= 25300, "%s is asked after "
		    "%d ms", names[i], (int)at[i]);
		first = at[i] < first ? at[i] : first;
		last = at[i] > last ? at[i] : last;
	}
	EXPECT(last - first > 500, "all within %d ms", (int)(last - first));
	tear_down("jitter", 0);
}

static void
clocks(void)
{
	static const int64_t hour = 3600000000000;
	unsigned n, beats;
	int64_t asked;

	CASE("clock: five hours in one: everybody is asked, nobody dropped");
	three_peers();
	peers[BOB].mute = 1;
	beats = peers[ANN].beats;
	fake_now += 5 * hour;
	(void)turns(2);
	EXPECT(!peers[ANN].gone && !peers[BOB].gone && !peers[TOM].gone,
	    "somebody is gone");
	sleep_for(300);
	EXPECT(peers[ANN].pings == 1 && peers[BOB].pings == 1 &&
	    peers[TOM].pings == 1, "%u, %u and %u Pings", peers[ANN].pings,
	    peers[BOB].pings, peers[TOM].pings);
	EXPECT(peers[ANN].beats == beats + 1, "%u heartbeats",
	    peers[ANN].beats - beats);
	sleep_for(9000);
	EXPECT(!peers[BOB].gone, "gone before its ten seconds");
	sleep_for(2000);
	EXPECT(peers[BOB].gone, "there without an answer");
	EXPECT(!peers[ANN].gone && !peers[TOM].gone, "an answer is lost");

	CASE("clock: and no busy loop after it");
	n = sleep_for(600000);
	/* A Ping each 25 s, a look when it is due, a heartbeat each minute. */
	EXPECT(n < 400, "%u turns in ten quiet minutes", n);
	EXPECT(!peers[ANN].gone && !peers[TOM].gone, "somebody is gone");
	tear_down("clock", 1);

	CASE("clock: asleep between a Ping and its answer, for hours");
	three_peers();
	peers[ANN].mute = 1; /* until it wakes up too */
	asked = fake_now;
	while (peers[ANN].pings == 0 && fake_now < asked + hour)
		sleep_for(100);
	EXPECT(peers[ANN].pings == 1, "not asked");
	fake_oversleep = 3 * hour;
	(void)ws_loop_step(l, 1000);
	EXPECT(fake_oversleep == 0, "it did not sleep");
	(void)turns(1);
	EXPECT(!peers[ANN].gone, "dropped for what nobody could answer");
	send_frame(&peers[ANN], WS_PONG, "", 0);
	peers[ANN].mute = 0;
	sleep_for(60000);
	EXPECT(!peers[ANN].gone, "dropped in spite of its answer");
	tear_down("clock", 2);

	CASE("clock: asleep in the middle of a request, for hours");
	three_peers();
	dial(&peers[EVE], 0);
	send_bytes(&peers[EVE], request, 50);
	(void)turns(3);
	fake_oversleep = 3 * hour;
	(void)ws_loop_step(l, 1000);
	(void)turns(1);
	send_bytes(&peers[EVE], request + 50, sizeof request - 51);
	(void)turns(3);
	EXPECT(peers[EVE].up, "it was too late for that");
	tear_down("clock", 3);

	CASE("clock: a request that is never whole has ten seconds, not more");
	three_peers();
	dial(&peers[EVE], 0);
	send_bytes(&peers[EVE], request, 50);
	sleep_for(9500);
	EXPECT(!peers[EVE].gone, "gone too early");
	sleep_for(1000);
	EXPECT(peers[EVE].gone && !peers[EVE].up, "still there");
	tear_down("clock", 4);

#ifdef WITH_TLS
	CASE("clock: ten seconds are for TLS and the request together");
	three_peers();
	dial(&peers[EVE], 1);
	peers[EVE].asked = 1; /* not by itself */
	asked = fake_now;
	for (n = 0; n < 40; n++) /* while Eve does nothing */
		(void)ws_loop_step(l, 100);
	(void)turns(60);
	EXPECT(br_ssl_engine_current_state(&peers[EVE].c.tls->ssl.eng) &
	    BR_SSL_SENDAPP, "no TLS");
	for (n = 0; n < 20 && !peers[EVE].gone; n++) {
		sleep_for(1000);
		send_bytes(&peers[EVE], request + n, 1);
	}
	EXPECT(peers[EVE].gone && !peers[EVE].up && fake_now - asked <
	    11000000000, "%s after %u s", peers[EVE].gone ? "gone" : "there",
	    n);
	EXPECT(strstr(peers[EVE].got, "the request took too long\n") !=
	    NULL, "no 408: \"%s\"", peers[EVE].got);
	tear_down("clock", 5);
#endif

	CASE("no descriptors for a minute: a try a second, the rest goes on");
	three_peers();
	fake_fault.call = FAKE_ACCEPT;
	fake_fault.at = fake_calls[FAKE_ACCEPT] + 1;
	fake_fault.many = 1000000;
	fake_fault.error = EMFILE;
	dial(&peers[EVE], 0);
	send_bytes(&peers[EVE], request, sizeof request - 1);
	n = sleep_for(60000);
	EXPECT(fake_faults >= 55 && fake_faults <= 65, "%lu tries",
	    fake_faults);
	EXPECT(n < 400, "%u turns", n);
	EXPECT(publish_all(5) == 1 && !peers[TOM].gone, "the rest: %s", reply);
	fake_fault.many = 0;
	sleep_for(1500);
	EXPECT(peers[EVE].up, "not let in when there are some again");
	tear_down("no descriptors", 1);
}

/* ---------------------------------------------------------------- scrapers */

#define SCRAPERS 40

static const char scrape[] = "GET /metrics HTTP/1.0\r\n\r\n";

/* What a scraper has been sent so far. */
static const char *
answer_to(int h)
{
	static char text[32768];

	text[fake_take(h, text, sizeof text - 1)] = '\0';
	return text;
}

/* Ann, and a listener for metrics, which is returned. */
static int
begin_scraping(void)
{
	struct ws_options o = usual;
	int metrics;

	o.metrics = 1;
	set_up(&o);
	metrics = fake_listen();
	if (ws_loop_metrics(l, metrics) != 0) {
		printf("no listener\n");
		exit(1);
	}
	first_peers();
	return metrics;
}

/* A scraper gets its metrics, Ann a message, and nobody else was counted. */
static void
end_scraping(int metrics, const char *what, unsigned long n)
{
	int h = fake_connect(metrics), i;
	const char *text;

	fake_put(h, scrape, sizeof scrape - 1);
	(void)turns(3);
	text = answer_to(h);
	EXPECT(strncmp(text, "HTTP/1.1 200 OK\r\n", 17) == 0 &&
	    strstr(text, "\nwshub_clients 1\n") != NULL, "%s %lu: \"%s\"",
	    what, n, text);
	fake_leave(h);
	EXPECT(publish_all(5) == 1 && peers[ANN].received > 0, "%s %lu: Ann: "
	    "%s", what, n, reply);
	EXPECT(l->counters[WS_ACCEPTED] == 1 && l->counters[WS_REFUSED] == 0 &&
	    l->counters[WS_BAD_REQUESTS] == 0 && l->counters[WS_CUT_OFF] == 0 &&
	    l->counters[WS_UNDELIVERED] == 0 && l->refused == 0,
	    "%s %lu: counted as a client", what, n);
	(void)turns(3);
	EXPECT(l->queued == 0, "%s %lu: %zu bytes are queued", what, n,
	    l->queued);
	sleep_for(11000); /* the silent ones are gone, too */
	for (i = 0; i < WS_SCRAPERS; i++)
		EXPECT(l->scrapers[i] == NULL, "%s %lu: place %d is taken",
		    what, n, i);
	tear_down(what, n);
}

static void
scrapers(void)
{
	int metrics = begin_scraping(), h[SCRAPERS], i, k, left;
	static char head[25000];
	unsigned long n;

	CASE("scrapers: of many that say nothing the last eight stay");
	for (i = 0; i < SCRAPERS; i++)
		h[i] = fake_connect(metrics);
	for (i = 0; i < SCRAPERS; i++) {
		(void)turns(1);
		for (k = left = 0; k < SCRAPERS; k++)
			left += fake_ended(h[k]) == 0;
		EXPECT(left >= SCRAPERS - WS_SCRAPERS * i, "turn %d: only %d "
		    "are there: too many were accepted at once", i, left);
	}
	for (i = left = 0; i < SCRAPERS; i++)
		left += fake_ended(h[i]) == 0;
	EXPECT(left == WS_SCRAPERS && fake_ended(h[SCRAPERS - 1]) == 0 &&
	    fake_ended(h[SCRAPERS - WS_SCRAPERS]) == 0, "%d stay", left);
	end_scraping(metrics, "silent", 0);

	CASE("scrapers: half a request gets 408 after ten seconds");
	metrics = begin_scraping();
	h[0] = fake_connect(metrics);
	fake_put(h[0], scrape, 10);
	sleep_for(9500);
	EXPECT(*answer_to(h[0]) == '\0', "too early");
	sleep_for(1000);
	EXPECT(strncmp(answer_to(h[0]), "HTTP/1.1 408 ", 13) == 0, "no 408");
	fake_leave(h[0]);
	end_scraping(metrics, "half", 0);

	CASE("scrapers: one that does not read is reset after five seconds");
	metrics = begin_scraping();
	h[0] = fake_connect(metrics);
	fake_window(h[0], 100);
	fake_put(h[0], scrape, sizeof scrape - 1);
	sleep_for(4500);
	EXPECT(fake_waiting(h[0]) == 100 && fake_ended(h[0]) == 0 &&
	    l->queued > 1000, "%zu bytes, %d", fake_waiting(h[0]),
	    fake_ended(h[0]));
	sleep_for(1500);
	EXPECT(fake_ended(h[0]) != 0, "still there");
	end_scraping(metrics, "slow", 0);

	CASE("scrapers: above --queue-total they go as clients do");
	metrics = begin_scraping();
	l->o.queue_total = 20000;
	memset(head, 'x', sizeof head);
	memcpy(head, scrape, sizeof scrape - 3); /* no end of it */
	h[0] = fake_connect(metrics);
	fake_put(h[0], head, sizeof head);
	(void)turns(3);
	EXPECT(l->queued == 0 && fake_ended(h[0]) != 0, "%zu bytes", l->queued);
	for (i = 0; i < WS_SCRAPERS; i++) {
		h[i] = fake_connect(metrics);
		fake_window(h[i], 100);
		fake_put(h[i], scrape, sizeof scrape - 1);
	}
	(void)turns(5);
	EXPECT(l->queued <= 20000, "%zu bytes", l->queued);
	sleep_for(6000);
	end_scraping(metrics, "total", 0);

	CASE("scrapers: an allocation fails: nobody else notices");
	for (n = 1; n < 100; n++) {
		metrics = begin_scraping();
		fake_fault.call = FAKE_ALLOC;
		fake_fault.error = ENOMEM;
		fake_fault.at = fake_calls[FAKE_ALLOC] + n;
		fake_fault.many = 1;
		fake_faults = 0;
		h[0] = fake_connect(metrics);
		fake_put(h[0], scrape, 5);
		(void)turns(2);
		fake_put(h[0], scrape + 5, sizeof scrape - 6);
		(void)turns(3);
		fake_leave(h[0]);
		(void)turns(3);
		left = (int)fake_faults;
		fake_fault.many = 0;
		end_scraping(metrics, "allocation", n);
		if (left == 0)
			break;
	}
	EXPECT(n > 3 && n < 100, "%lu allocations", n);
}

/* The same lives, with a PROXY header before each connection's bytes. */
static void
proxied(int tls)
{
	static const char four[] = "PROXY TCP4 192.0.2.1 192.0.2.2 3 4\r\n";
	struct ws_options o;
	unsigned i;

	proxy_header = four;
	CASE("PROXY: nothing fails, and everybody hears everything");
	o = busy();
	set_up(&o);
	first_peers();
	live(tls);
	for (i = ANN; i <= (tls ? TOM : BOB); i++)
		EXPECT(peers[i].up && peers[i].received == 6,
		    "%s received %u", names[i], peers[i].received);
	after(0, "nothing", 0);
	tear_down("nothing", 0);

	CASE("PROXY: the nth allocation fails, for every n");
	every(FAKE_ALLOC, 1, ENOMEM, 0, 1, tls, "allocation");
	CASE("PROXY: recv fails, or is short");
	every(FAKE_RECV, 1, EINTR, 0, 0, 0, "EINTR at recv");
	every(FAKE_RECV, 1, EAGAIN, 0, 0, tls, "EAGAIN at recv");
	every(FAKE_RECV, 1, 0, 1, 0, tls, "a byte at recv");
	every(FAKE_RECV, 1, ECONNRESET, 0, 1, tls, "ECONNRESET at recv");
	CASE("PROXY: getpeername fails: one connection");
	every(FAKE_PEERNAME, 1, ENOTCONN, 0, 1, tls, "getpeername");

	CASE("PROXY: a header that is never whole has ten seconds");
	o = busy();
	set_up(&o);
	first_peers();
	proxy_header = NULL;
	memset(&peers[EVE], 0, sizeof peers[EVE]);
	peers[EVE].h = fake_connect(tls ? tls_listener : listener);
	for (i = 0; i < 9; i++) {
		send_bytes(&peers[EVE], four + i, 1);
		sleep_for(1000);
	}
	EXPECT(!peers[EVE].gone, "gone too early");
	send_bytes(&peers[EVE], four + i, 1);
	sleep_for(1500);
	EXPECT(peers[EVE].gone && fake_waiting(peers[EVE].h) == 0,
	    "still there, or answered");
	tear_down("PROXY", 0);
}

/* --------------------------------------------------------- real files */

static void
files(void)
{
	char dir[] = "/tmp/wshub.fault.XXXXXX", path[64];
	char words[WS_ERROR_MAX];
	struct ws_file_id mine, other;
	struct stat st;
	int a, b;

	CASE("the log: a line for each, in one piece");
	EXPECT(lines > 1000, "%lu lines", lines);

	CASE("control socket: deleted from outside, its name taken by another");
	if (mkdtemp(dir) == NULL) {
		EXPECT(0, "no directory: %s", strerror(errno));
		return;
	}
	snprintf(path, sizeof path, "%s/sock", dir);
	a = ws_listen_unix(path, 0660, (gid_t)-1, &mine, words);
	EXPECT(a != -1, "%s", words);
	unlink(path);
	ws_listen_remove(path, &mine); /* and nothing is there */
	b = ws_listen_unix(path, 0660, (gid_t)-1, &other, words);
	EXPECT(b != -1, "%s", words);
	ws_listen_remove(path, &mine);
	EXPECT(stat(path, &st) == 0, "the other's was removed");
	EXPECT(ws_listen_unix(path, 0660, (gid_t)-1, &mine, words) == -1 &&
	    strstr(words, "another program listens") != NULL, "%s", words);
	ws_listen_remove(path, &other);
	EXPECT(stat(path, &st) == -1, "our own was not removed");
	close(a);
	close(b);
	rmdir(dir);
}

int
main(void)
{
	int tls = 0;

	signal(SIGPIPE, SIG_IGN);
#ifdef WITH_TLS
	tls = 1;
	fake_begin();
	learn_key();
	config = load();
	if (config == NULL) {
		printf("no certificate\n");
		return 1;
	}
#endif
	beginnings();
	half_closed();
	bad_text();
	several();
	nothing(tls);
	memory(tls);
	calls(tls);
	proxied(tls);
	jitter();
	clocks();
	scrapers();
	files();
	ws_tls_config_release(config);
	return test_end();
}
