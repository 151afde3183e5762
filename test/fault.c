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
 * all others hear all that they should, in order. What is left at the end is
 * counted: no memory, no descriptor.
 *
 * The world is test/world.c's, where no time passes but what we say.
 */
#include "world.h"
#include <sys/stat.h>
#include <signal.h>
#include "people.h"

/* ----------------------------------------------------------------- a life */

static void
open_world(const struct ws_options *o)
{
	int i;

	world_begin();
	memset(people, 0, sizeof people);
	for (i = 0; i < PEOPLE; i++)
		people[i].h = -1;
	number = errs = 0;
	backend_gone = 0;
	l = ws_loop_new(o);
	listener = world_listen();
	tls_listener = world_listen();
	control = world_listen();
	if (l == NULL || ws_loop_listen(l, listener, 0) != 0 ||
	    ws_loop_listen(l, tls_listener, 1) != 0 ||
	    ws_loop_control(l, control) != 0) {
		printf("no loop\n");
		exit(1);
	}
#ifdef WITH_TLS
	ws_loop_set_tls(l, config);
#endif
	backend = world_connect(control);
}

static void
first_people(void)
{
	knock(&people[ANN], 0);
	say(&people[ANN], request, sizeof request - 1);
	(void)turns(3);
	if (!people[ANN].up || subscribe(&people[ANN]) != 1) {
		printf("Ann is not in\n");
		exit(1);
	}
}

static void
live(int tls)
{
	static const char two[] = "{\"action\":\"multicast\",\"data\":{}}";
	struct person *bob = &people[BOB], *tom = &people[TOM];
	int second, i;

	knock(bob, 0);
	say(bob, request, 100);
	(void)turns(2);
	say(bob, request + 100, sizeof request - 101);
	if (tls)
		knock(tom, 1);
	for (i = 0; i < (tls ? 60 : 6) && (i < 6 || !tom->up); i++)
		(void)turns(1);
	if (bob->up)
		(void)subscribe(bob);
	if (tom->up)
		(void)subscribe(tom);
	(void)tell_all(10);
	if (bob->h >= 0)
		world_window(bob->h, 3000);
	(void)tell_all(16000);
	(void)tell_all(200);
	for (i = 0; i < 3; i++)
		(void)tell_all(2);
	(void)turns(tls ? 80 : 12);
	if (bob->h >= 0)
		world_window(bob->h, 65536);
	say_frame(bob, WS_PING, "hello", 5);
	say_frame(bob, WS_TEXT, "kept", 4);
	say(bob, "\x81", 1); /* half a head, to be carried */
	(void)turns(2);
	second = world_connect(control);
	if (second >= 0) {
		world_put(second, two, 20);
		(void)turns(2);
		world_put(second, two + 20, sizeof two - 21);
		(void)turns(2);
		world_leave(second);
	}
	if (tom->up) {
		say_frame(tom, WS_CLOSE, "\x03\xe8", 2);
		(void)turns(6);
		tom->left = 1;
	}
	(void)turns(3);
	world_fault.many = 0; /* what comes now is to go well */
}

/*
 * After a life: who is left must hear, and Eve must get in and hear too. cost:
 * the connections and replies that the failures may have cost.
 */
static void
after(unsigned cost, const char *what, unsigned long n)
{
	unsigned lost = errs, i, heard[PEOPLE];
	int count;

	world_now += 2000000000; /* accept may be resting */
	(void)turns(3);
	for (i = ANN; i <= TOM; i++) {
		if (people[i].h < 0)
			continue;
		lost += (people[i].gone || !people[i].up) && !people[i].left;
	}
	if (backend_gone || world_ended(backend)) {
		lost++;
		world_leave(backend);
		backend = world_connect(control);
		backend_gone = 0;
		(void)turns(2);
	}
	EXPECT(lost <= cost, "%s %lu: it cost %u", what, n, lost);
	for (i = 0; i < EVE; i++) {
		heard[i] = people[i].heard;
		EXPECT(people[i].skipped <= errs + cost, "%s %lu: %s missed %u",
		    what, n, names[i], people[i].skipped);
	}
	knock(&people[EVE], 0);
	say(&people[EVE], request, sizeof request - 1);
	(void)turns(4);
	EXPECT(people[EVE].up, "%s %lu: nobody can connect any more", what, n);
	count = subscribe(&people[EVE]);
	EXPECT(count == 1, "%s %lu: nobody can subscribe: %s", what, n, reply);
	count = tell_all(5);
	EXPECT(count >= 1 && people[EVE].heard == 1, "%s %lu: nobody can be "
	    "told: %s", what, n, reply);
	if (!people[ANN].gone)
		EXPECT(people[ANN].heard == heard[ANN] + 1, "%s %lu: Ann does "
		    "not hear any more", what, n);
}

static void
close_world(const char *what, unsigned long n)
{
	int i;

	ws_loop_stop(l);
	for (i = 0; i < 2000 && turns(1); i++)
		world_now += 10000000;
	EXPECT(i < 2000, "%s %lu: it does not end", what, n);
	ws_loop_free(l);
	EXPECT(world_open() == 0, "%s %lu: %u descriptors are open", what, n,
	    world_open());
	EXPECT(world_live == 0, "%s %lu: %ld blocks are left", what, n,
	    world_live);
	for (i = 0; i < PEOPLE; i++)
		hang_up(&people[i]);
	if (backend >= 0)
		world_leave(backend);
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

/*
 * Lives with calls at, at + 1, ... at + many - 1 of that kind failing, for every
 * at (emulated: every fifth) until it is more than there are. Returns how many
 * that were.
 */
static unsigned long
every(enum world_call call, unsigned long many, int error, size_t cut,
    unsigned cost, int tls, const char *what)
{
	struct ws_options o = usual;
	unsigned long at, first;

	o.max_per_ip = 10;
	for (at = 1; at < 5000; at += test_emulated() ? 5 : 1) {
		open_world(&o);
		first_people();
		l->hub.npool = 0; /* the next joins ask for more */
		first = world_calls[call];
		world_fault.call = call;
		world_fault.error = error;
		world_fault.cut = cut;
		world_fault.at = first + at;
		world_fault.many = many;
		world_faults = 0;
		live(tls);
		first = world_faults;
		after(cost, what, at);
		close_world(what, at);
		if (first == 0)
			break;
	}
	EXPECT(at > 1, "%s: it is never called", what);
	EXPECT(at < 5000, "%s: no end", what);
	return at - 1;
}

/* The same, once, with the calls from the first on. */
static void
once(enum world_call call, unsigned long many, int error, size_t cut,
    unsigned cost, int tls, const char *what)
{
	struct ws_options o = usual;

	o.max_per_ip = 10;
	open_world(&o);
	first_people();
	world_fault.call = call;
	world_fault.error = error;
	world_fault.cut = cut;
	world_fault.at = world_calls[call] + 1;
	world_fault.many = many;
	live(tls);
	after(cost, what, many);
	close_world(what, many);
}

/* A peer that has said its last may still be listening. */
static void
half_closed(void)
{
	struct person *p = &people[EVE];
	unsigned i;

	CASE("half closed: what was queued for it, and its Close, still come");
	open_world(&usual);
	first_people();
	knock(p, 0);
	say(p, request, sizeof request - 1);
	(void)turns(4);
	(void)subscribe(p);
	world_window(p->h, 100); /* a little at a time */
	for (i = 0; i < 3; i++)
		(void)tell_all(4000);
	say_frame(p, WS_CLOSE, "\x03\xe8", 2);
	world_end(p->h);
	(void)turns(200);
	EXPECT(p->heard == 3 && p->code == 1000 && world_ended(p->h) == 1,
	    "%u of 3 heard, code %u, ended %d", p->heard, p->code,
	    world_ended(p->h));
	close_world("half closed", 0);
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
		open_world(&usual);
		first_people();
		world_leave(backend); /* which has written lines */
		backend = world_connect(control);
		(void)turns(2);
		reply_len = 0;
		world_put(backend, bad, sizes[i]);
		(void)turns(6);
		EXPECT(reply_len == 3 && memcmp(reply, "ERR", 3) == 0,
		    "%zu bytes: \"%.*s\"", sizes[i], (int)reply_len, reply);
		EXPECT(ask("{\"action\":\"multicast\",\"data\":0}\n") > 0,
		    "%zu bytes: then \"%s\"", sizes[i], reply);
		close_world("bad text", sizes[i]);
	}
}

/* A backend writes its third message when the first of the people got two. */
static unsigned sends[PEOPLE];

static void
third(int h)
{
	static const char one[] = "{\"action\":\"multicast\",\"data\":[3,0]}\n";
	int i;

	for (i = ANN; i <= BOB; i++)
		sends[i] += h == people[i].h;
	if (sends[ANN] + sends[BOB] == 1 && h != backend)
		world_put(backend, one, sizeof one - 1);
}

static void
several(void)
{
	static const char two[] =
	    "{\"action\":\"multicast\",\"data\":[1,0]}\n"
	    "{\"action\":\"multicast\",\"data\":[2,0]}\n";
	int i;

	CASE("several at once: what comes meanwhile goes with them to the next");
	open_world(&usual);
	first_people();
	knock(&people[BOB], 0);
	say(&people[BOB], request, sizeof request - 1);
	(void)turns(4);
	memset(sends, 0, sizeof sends);
	world_sent = third;
	world_put(backend, two, sizeof two - 1);
	(void)turns(1);
	world_sent = NULL;
	for (i = ANN; i <= BOB; i++)
		EXPECT(people[i].heard == 3 && people[i].skipped == 0,
		    "%s heard %u", names[i], people[i].heard);
	EXPECT(sends[ANN] + sends[BOB] == 3, "%u sends to Ann, %u to Bob: one "
	    "had two, then one message, the other three at once",
	    sends[ANN], sends[BOB]);
	close_world("several", 0);
}

/* That a life is as it should be when nothing fails. */
static void
nothing(int tls)
{
	struct person *p;

	CASE("nothing fails: everybody hears everything");
	open_world(&usual);
	first_people();
	live(tls);
	for (p = people + ANN; p <= people + (tls ? TOM : BOB); p++)
		EXPECT(p->up && p->heard == 6 && p->skipped == 0, "%s heard %u",
		    names[p - people], p->heard);
	EXPECT(world_prompt(people[ANN].h) && (!tls ||
	    world_prompt(people[TOM].h)), "what is sent waits for more: no "
	    "TCP_NODELAY");
	EXPECT(people[BOB].pongs == 1, "%u Pongs", people[BOB].pongs);
	EXPECT(!tls || people[TOM].code == 1000, "%u", people[TOM].code);
	after(0, "nothing", 0);
	close_world("nothing", 0);
}

static void
memory(int tls)
{
	unsigned long n;

	CASE("memory: the nth allocation fails, for every n");
	n = every(WORLD_ALLOC, 1, ENOMEM, 0, 1, tls, "allocation");
	EXPECT(n > (tls ? 20 : 15), "there were only %lu", n);

	CASE("memory: none from the nth on, for ten; and it comes back");
	every(WORLD_ALLOC, 10, ENOMEM, 0, 1000, tls, "ten allocations from");

	CASE("memory: none at all for a whole life, and the hub outlives it");
	once(WORLD_ALLOC, 1000000, ENOMEM, 0, 1000, tls, "all allocations of");
}

static void
calls(int tls)
{
	CASE("recv: interrupted, or nothing there after all: nobody notices");
	every(WORLD_RECV, 1, EINTR, 0, 0, 0, "EINTR at recv");
	every(WORLD_RECV, 1, EAGAIN, 0, 0, tls, "EAGAIN at recv");
	every(WORLD_RECV, 1, 0, 1, 0, tls, "a byte at recv");
	CASE("recv: fails: one connection, and no other");
	every(WORLD_RECV, 1, ECONNRESET, 0, 1, tls, "ECONNRESET at recv");
	every(WORLD_RECV, 1, ENOMEM, 0, 1, 0, "ENOMEM at recv");

	CASE("send: interrupted, would block, no buffers, short: nobody notices");
	every(WORLD_SEND, 1, EINTR, 0, 0, 0, "EINTR at send");
	every(WORLD_SEND, 1, EAGAIN, 0, 0, 0, "EAGAIN at send");
	every(WORLD_SEND, 1, ENOBUFS, 0, 0, tls, "ENOBUFS at send");
	every(WORLD_SEND, 1, 0, 1, 0, tls, "a byte at send");
	every(WORLD_SEND, 3, 0, 2, 0, 0, "three times two bytes at send");
	once(WORLD_SEND, 1000000, 0, 997, 0, tls, "997 bytes at each send of");
	CASE("send: fails: one connection, and no other");
	every(WORLD_SEND, 1, EPIPE, 0, 1, tls, "EPIPE at send");
	every(WORLD_SEND, 1, EIO, 0, 1, 0, "EIO at send");

	CASE("accept: fails in every way: who knocks waits");
	every(WORLD_ACCEPT, 1, ECONNABORTED, 0, 0, 0, "ECONNABORTED");
	every(WORLD_ACCEPT, 1, EMFILE, 0, 3, 0, "EMFILE at accept");
	every(WORLD_ACCEPT, 1, ENFILE, 0, 3, 0, "ENFILE at accept");
	every(WORLD_ACCEPT, 1, EINTR, 0, 0, 0, "EINTR at accept");
	every(WORLD_ACCEPT, 1, EPERM, 0, 0, 0, "EPERM at accept");

	CASE("poll: fails: the next turn has it");
	every(WORLD_POLL, 1, EINTR, 0, 0, 0, "EINTR at poll");
	every(WORLD_POLL, 3, ENOMEM, 0, 0, 0, "ENOMEM at poll");

	CASE("entropy: fails: one connection");
	every(WORLD_ENTROPY, 1, EIO, 0, 1, tls, "EIO at ws_entropy");

	CASE("setsockopt, shutdown, getpeername: fail");
	every(WORLD_SETSOCKOPT, 1, EINVAL, 0, 0, 0, "EINVAL at setsockopt");
	if (tls)
		every(WORLD_SHUTDOWN, 1, ENOTCONN, 0, 0, 1, "at shutdown");
	every(WORLD_PEERNAME, 1, ENOTCONN, 0, 0, 0, "ENOTCONN at getpeername");
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
		world_begin();
		world_fault.call = WORLD_ALLOC;
		world_fault.at = n;
		world_fault.many = 1;
		world_fault.error = ENOMEM;
		l = ws_loop_new(&o);
		if (world_faults == 0)
			break;
		EXPECT(l == NULL && world_live == 0, "allocation %lu: %ld "
		    "blocks", n, world_live);
	}
	EXPECT(n == 7 && l != NULL, "%lu allocations", n);
	ws_loop_free(l);

	CASE("memory: a listener that cannot be added stays the caller's");
	for (n = 1; n < 20; n++) {
		world_begin();
		l = ws_loop_new(&usual);
		fd = world_listen();
		world_fault.call = WORLD_ALLOC;
		world_fault.at = world_calls[WORLD_ALLOC] + n;
		world_fault.many = 1;
		world_fault.error = ENOMEM;
		if (l == NULL || (ws_loop_listen(l, fd, 0) == 0 &&
		    world_faults == 0))
			break;
		EXPECT(world_open() == 1, "allocation %lu: closed", n);
		ws_loop_free(l);
		EXPECT(world_live == 0, "allocation %lu: %ld blocks", n,
		    world_live);
	}
	EXPECT(n == 5, "%lu allocations", n);
	ws_loop_free(l);
	EXPECT(world_live == 0 && world_open() == 0, "%ld blocks", world_live);

	CASE("entropy: no loop begins without it");
	world_begin();
	world_fault.call = WORLD_ENTROPY;
	world_fault.at = 1;
	world_fault.many = 1;
	world_fault.error = EIO;
	l = ws_loop_new(&usual);
	EXPECT(l == NULL && errno == EIO && world_live == 0,
	    "it begins, or leaves %ld blocks", world_live);

#ifdef WITH_TLS
	CASE("memory: a certificate that cannot be taken in leaves nothing");
	for (n = 1; n < 20; n++) {
		struct ws_tls_config *c;

		world_begin();
		world_fault.call = WORLD_ALLOC;
		world_fault.at = n;
		world_fault.many = 1;
		world_fault.error = ENOMEM;
		c = load();
		if (world_faults == 0) {
			EXPECT(c != NULL, "certificate");
			ws_tls_config_release(c);
			EXPECT(world_live == 0, "%ld blocks", world_live);
			break;
		}
		EXPECT(c == NULL && world_live == 0, "allocation %lu: %ld "
		    "blocks", n, world_live);
	}
	EXPECT(n == 5, "%lu allocations", n);
#endif
}

/* ------------------------------------------------------------------ clocks */

static void
three_people(void)
{
	int i;

	open_world(&usual);
	first_people();
	for (i = BOB; i <= TOM; i++) {
		knock(&people[i], 0);
		say(&people[i], request, sizeof request - 1);
	}
	(void)turns(4);
}

/* Lets time pass as it does when nothing happens; returns the turns. */
static unsigned
sleep_for(int64_t ms)
{
	int64_t until = world_now + ms * 1000000, left;
	unsigned n = 0;
	int i;

	while ((left = (until - world_now) / 1000000) > 0 && n < 1000000) {
		(void)ws_loop_step(l, left > 60000 ? 60000 : (int)left);
		for (i = 0; i < PEOPLE; i++)
			listen_up(&people[i]);
		n++;
	}
	return n;
}

static void
jitter(void)
{
	int64_t begun, at[PEOPLE] = { 0 }, first = INT64_MAX, last = 0;
	int i, asked = 0;

	CASE("pings: those who came together are not asked together");
	open_world(&usual);
	for (i = ANN; i < PEOPLE; i++) {
		knock(&people[i], 0);
		say(&people[i], request, sizeof request - 1);
	}
	(void)turns(2);
	begun = world_now;
	while (asked < PEOPLE && world_now < begun + 60000000000) {
		sleep_for(100);
		for (i = ANN; i < PEOPLE; i++)
			if (at[i] == 0 && people[i].pings != 0) {
				at[i] = (world_now - begun) / 1000000;
				asked++;
			}
	}
	EXPECT(asked == PEOPLE, "%d are asked", asked);
	for (i = ANN; i < PEOPLE; i++) {
		EXPECT(at[i] >= 22500 && at[i] <= 25300, "%s is asked after "
		    "%d ms", names[i], (int)at[i]);
		first = at[i] < first ? at[i] : first;
		last = at[i] > last ? at[i] : last;
	}
	EXPECT(last - first > 500, "all within %d ms", (int)(last - first));
	close_world("jitter", 0);
}

static void
clocks(void)
{
	static const int64_t hour = 3600000000000;
	unsigned n, beats;
	int64_t asked;

	CASE("clock: five hours in one: everybody is asked, nobody dropped");
	three_people();
	people[BOB].mute = 1;
	beats = people[ANN].beats;
	world_now += 5 * hour;
	(void)turns(2);
	EXPECT(!people[ANN].gone && !people[BOB].gone && !people[TOM].gone,
	    "somebody is gone");
	sleep_for(300);
	EXPECT(people[ANN].pings == 1 && people[BOB].pings == 1 &&
	    people[TOM].pings == 1, "%u, %u and %u Pings", people[ANN].pings,
	    people[BOB].pings, people[TOM].pings);
	EXPECT(people[ANN].beats == beats + 1, "%u heartbeats",
	    people[ANN].beats - beats);
	sleep_for(9000);
	EXPECT(!people[BOB].gone, "gone before its ten seconds");
	sleep_for(2000);
	EXPECT(people[BOB].gone, "there without an answer");
	EXPECT(!people[ANN].gone && !people[TOM].gone, "an answer is lost");

	CASE("clock: and no busy loop after it");
	n = sleep_for(600000);
	/* A Ping each 25 s, a look when it is due, a heartbeat each minute. */
	EXPECT(n < 400, "%u turns in ten quiet minutes", n);
	EXPECT(!people[ANN].gone && !people[TOM].gone, "somebody is gone");
	close_world("clock", 1);

	CASE("clock: asleep between a Ping and its answer, for hours");
	three_people();
	people[ANN].mute = 1; /* until it wakes up too */
	asked = world_now;
	while (people[ANN].pings == 0 && world_now < asked + hour)
		sleep_for(100);
	EXPECT(people[ANN].pings == 1, "not asked");
	world_oversleep = 3 * hour;
	(void)ws_loop_step(l, 1000);
	EXPECT(world_oversleep == 0, "it did not sleep");
	(void)turns(1);
	EXPECT(!people[ANN].gone, "dropped for what nobody could answer");
	say_frame(&people[ANN], WS_PONG, "", 0);
	people[ANN].mute = 0;
	sleep_for(60000);
	EXPECT(!people[ANN].gone, "dropped in spite of its answer");
	close_world("clock", 2);

	CASE("clock: asleep in the middle of a request, for hours");
	three_people();
	knock(&people[EVE], 0);
	say(&people[EVE], request, 50);
	(void)turns(3);
	world_oversleep = 3 * hour;
	(void)ws_loop_step(l, 1000);
	(void)turns(1);
	say(&people[EVE], request + 50, sizeof request - 51);
	(void)turns(3);
	EXPECT(people[EVE].up, "it was too late for that");
	close_world("clock", 3);

	CASE("clock: a request that is never whole has ten seconds, not more");
	three_people();
	knock(&people[EVE], 0);
	say(&people[EVE], request, 50);
	sleep_for(9500);
	EXPECT(!people[EVE].gone, "gone too early");
	sleep_for(1000);
	EXPECT(people[EVE].gone && !people[EVE].up, "still there");
	close_world("clock", 4);

#ifdef WITH_TLS
	CASE("clock: ten seconds are for TLS and the request together");
	three_people();
	knock(&people[EVE], 1);
	people[EVE].asked = 1; /* not by itself */
	asked = world_now;
	for (n = 0; n < 40; n++) /* while Eve does nothing */
		(void)ws_loop_step(l, 100);
	(void)turns(60);
	EXPECT(br_ssl_engine_current_state(&people[EVE].cc.eng) &
	    BR_SSL_SENDAPP, "no TLS");
	for (n = 0; n < 20 && !people[EVE].gone; n++) {
		sleep_for(1000);
		say(&people[EVE], request + n, 1);
	}
	EXPECT(people[EVE].gone && !people[EVE].up && world_now - asked <
	    11000000000, "%s after %u s", people[EVE].gone ? "gone" : "there",
	    n);
	EXPECT(strstr((char *)people[EVE].got, "the request took too long\n")
	    != NULL, "no 408: \"%s\"", (char *)people[EVE].got);
	close_world("clock", 5);
#endif

	CASE("no descriptors for a minute: a try a second, the rest goes on");
	three_people();
	world_fault.call = WORLD_ACCEPT;
	world_fault.at = world_calls[WORLD_ACCEPT] + 1;
	world_fault.many = 1000000;
	world_fault.error = EMFILE;
	knock(&people[EVE], 0);
	say(&people[EVE], request, sizeof request - 1);
	n = sleep_for(60000);
	EXPECT(world_faults >= 55 && world_faults <= 65, "%lu tries",
	    world_faults);
	EXPECT(n < 400, "%u turns", n);
	EXPECT(tell_all(5) == 1 && !people[TOM].gone, "the rest: %s", reply);
	world_fault.many = 0;
	sleep_for(1500);
	EXPECT(people[EVE].up, "not let in when there are some again");
	close_world("no descriptors", 1);
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
	world_begin();
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
	jitter();
	clocks();
	files();
	ws_tls_config_release(config);
	return test_end();
}
