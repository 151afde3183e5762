/* wshub: ISC licence, see LICENSE. */
/*
 * The bounds of DESIGN.md's and the manual's: what a turn may cause, what all
 * may hold together and who goes first, whose silence counts. On the fakes of
 * fake.h: no time passes but what a test says, and a socket has the room that
 * a test gives it.
 */
#include "fake.h"
#include "../ws.h"
#include "test.h"

#define CLIENTS 120
#define FLOOD 8400 /* multicasts of 31 bytes: 260,400 bytes in one write */

struct client {
	int h;                   /* -1: none */
	char id[WS_ID_LEN + 1];  /* "": not open */
	unsigned code;           /* of the last Close */
	size_t bytes;            /* taken, after the head */
	unsigned texts, pongs, pings;
	unsigned char part[8];   /* a frame's head that is not whole */
	size_t npart, left;
};

static struct client clients[CLIENTS];
static struct ws_loop *l;
static int listener, control;
static unsigned long lines;
static char last_line[512];

static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\n"
    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Version: 13\r\n\r\n";

static void
log_line(int level, const char *line)
{
	(void)level;
	lines++;
	snprintf(last_line, sizeof last_line, "%s", line);
}

static const struct ws_options usual = {
	.heartbeat = 0, .ping = 25, .drain = 5, .queue = 1 << 20,
	.queue_total = 64 << 20, .log_level = WS_LOG_NOTE, .log = log_line
};

/* ---------------------------------------------------------------- fixture */

static void
begin(const struct ws_options *o)
{
	int i;

	fake_begin();
	lines = 0;
	memset(clients, 0, sizeof clients);
	for (i = 0; i < CLIENTS; i++)
		clients[i].h = -1;
	l = ws_loop_new(o);
	listener = fake_listen();
	control = fake_listen();
	if (l == NULL || ws_loop_listen(l, listener, 0) != 0 ||
	    ws_loop_control(l, control) != 0) {
		printf("no loop\n");
		exit(1);
	}
}

static void
end(void)
{
	int i;

	for (i = 0; i < CLIENTS; i++)
		if (clients[i].h >= 0)
			fake_leave(clients[i].h);
	ws_loop_free(l);
	EXPECT(fake_live == 0, "%ld blocks are left", fake_live);
}

static void
steps(int n)
{
	while (n-- > 0)
		(void)ws_loop_step(l, 0);
}

/* Lets ms pass, a step each 100. */
static void
pass(int64_t ms)
{
	for (; ms > 0; ms -= 100) {
		fake_now += 100000000;
		steps(1);
	}
}

/* Reads up to most bytes, and looks at the frames. */
static void
take(struct client *c, size_t most)
{
	static unsigned char buf[1 << 20];
	unsigned char *p = buf, *end;
	size_t n, head;

	if (most > sizeof buf)
		most = sizeof buf;
	n = fake_take(c->h, buf, most);
	c->bytes += n;
	end = buf + n;
	while (p < end) {
		if (c->left != 0) {
			n = (size_t)(end - p) < c->left ? (size_t)(end - p) :
			    c->left;
			if ((c->part[0] & 15) == WS_CLOSE && n >= 2)
				c->code = (unsigned)p[0] << 8 | p[1];
			p += n;
			c->left -= n;
			continue;
		}
		c->part[c->npart++] = *p++;
		if (c->npart < 2)
			continue;
		head = c->part[1] == 126 ? 4 : c->part[1] == 127 ? 10 : 2;
		if (head == 10) {
			c->npart = 2; /* six zero bytes are skipped below */
			p += 4;
			c->left = (size_t)p[0] << 24 | (size_t)p[1] << 16 |
			    (size_t)p[2] << 8 | p[3];
			p += 4;
		} else if (c->npart < head) {
			continue;
		} else {
			c->left = head == 2 ? c->part[1] :
			    (size_t)c->part[2] << 8 | c->part[3];
		}
		c->texts += (c->part[0] & 15) == WS_TEXT;
		c->pongs += (c->part[0] & 15) == WS_PONG;
		c->pings += (c->part[0] & 15) == WS_PING;
		c->npart = 0;
	}
}

/* Takes the answer: the id, if it is 101. Returns the status, or 0. */
static int
take_answer(struct client *c)
{
	char buf[1024], *id;
	size_t n = fake_take(c->h, buf, sizeof buf - 1);
	int status = 0;

	buf[n] = '\0';
	(void)sscanf(buf, "HTTP/1.1 %d", &status);
	id = strstr(buf, "\"device_id\":\"");
	if (id != NULL)
		memcpy(c->id, id + 13, WS_ID_LEN);
	return status;
}

static struct client *
dial(int i)
{
	struct client *c = &clients[i];

	memset(c, 0, sizeof *c);
	c->h = fake_connect(listener);
	return c;
}

static struct client *
join(int i)
{
	struct client *c = dial(i);

	fake_put(c->h, request, sizeof request - 1);
	steps(2);
	(void)take_answer(c);
	return c;
}

static int
is_open(const struct client *c)
{
	struct ws_text id = { c->id, WS_ID_LEN };

	return c->id[0] != '\0' && ws_hub_find(&l->hub, id) != NULL;
}

static void
put_frame(struct client *c, unsigned opcode, const char *data, size_t len)
{
	static const unsigned char mask[4] = { 0, 0, 0, 0 };
	unsigned char out[WS_FRAME_HEAD_MAX + WS_CONTROL_MAX];
	size_t n = ws_frame_head(out, WS_FIN | opcode, len, mask);

	memcpy(out + n, data, len);
	fake_put(c->h, out, n + len);
}

/* A text of size bytes for one client, by function call. */
static void
send_to(struct client *c, size_t size)
{
	static char data[1 << 20];
	struct ws_text id = { c->id, WS_ID_LEN };
	struct ws_frame *f = ws_frame_new(WS_TEXT, data, size);

	(void)ws_hub_send(&l->hub, id, f);
	ws_frame_release(f);
}

static void
put_flood(int h, unsigned n)
{
	while (n-- > 0)
		fake_put(h, "{\"action\":\"multicast\",\"data\":1}", 31);
}

/* ------------------------------------------------------------------ turns */

static void
fair_turns(void)
{
	static char replies[2 * FLOOD];
	struct client *late;
	size_t got = 0;
	int flooder, other, i, turn, answered = -1, served = -1, flushed = -1;

	CASE("beside a backend's flood another is answered, and a client let "
	    "in");
	begin(&usual);
	for (i = 0; i < 20; i++)
		(void)join(i);
	flooder = fake_connect(control);
	other = fake_connect(control);
	steps(2);
	fake_window(flooder, sizeof replies);
	put_flood(flooder, FLOOD);
	fake_put(other, "{\"action\":\"multicast\",\"data\":1}\n", 32);
	late = dial(20);
	fake_put(late->h, request, sizeof request - 1);
	fake_tick = 1000000; /* each reading of the clock */
	for (turn = 0; turn < 50 && got < 2 * FLOOD; turn++) {
		steps(1);
		if (answered < 0 && fake_waiting(other) > 0)
			answered = (int)got;
		if (flushed < 0 && fake_waiting(clients[0].h) > 0)
			flushed = (int)got;
		if (served < 0 && take_answer(late) == 101)
			served = (int)got;
		got += fake_take(flooder, replies, sizeof replies);
	}
	fake_tick = 0;
	EXPECT(got == 2 * FLOOD, "%zu bytes of replies", got);
	EXPECT(answered == 0, "the other was answered after %d bytes",
	    answered);
	EXPECT(flushed >= 0 && flushed < FLOOD, "a client heard after %d",
	    flushed);
	EXPECT(served >= 0 && served < 2 * FLOOD, "let in after %d", served);
	for (i = 0; i < 20; i++) {
		take(&clients[i], SIZE_MAX);
		EXPECT(clients[i].texts == FLOOD + 1, "client %d has %u texts",
		    i, clients[i].texts);
	}
	fake_leave(flooder);
	fake_leave(other);
	end();
}

/* Some send as many Pings as they can: each has its share of the turns. */
static void
fair_reads(void)
{
	unsigned least = UINT32_MAX, most = 0;
	struct client *c;
	int i, k, turn;

	CASE("clients that ping as fast as they can share the turns");
	begin(&usual);
	for (i = 0; i < 40; i++) {
		c = join(i);
		for (k = 0; k < 5000; k++)
			put_frame(c, WS_PING, "", 0);
	}
	fake_tick = 500000;
	steps(1);
	for (i = 0, k = 0; i < 40; i++) {
		take(&clients[i], SIZE_MAX);
		k += clients[i].pongs != 0;
	}
	EXPECT(k > 0 && k < 20, "%d of 40 were read from in a turn", k);
	for (turn = 0; turn < 24; turn++) {
		steps(1);
		for (i = 0; i < 40; i++)
			take(&clients[i], SIZE_MAX);
	}
	fake_tick = 0;
	for (i = 0; i < 40; i++) {
		if (clients[i].pongs < least)
			least = clients[i].pongs;
		if (clients[i].pongs > most)
			most = clients[i].pongs;
	}
	EXPECT(least > 0 && most <= 2 * least, "after 25 turns one has %u "
	    "Pongs, another %u", least, most);
	end();
}

static size_t first_send;

static void
note_send(int h)
{
	if (first_send == 0)
		first_send = fake_waiting(h);
}

/* Each of two bytes is answered by forty. */
static void
errors_are_bounded(void)
{
	static char garbage[40000];
	size_t i;
	int backend;

	CASE("errors stop a backend that does not read, as replies do");
	begin(&usual);
	backend = fake_connect(control);
	fake_put(backend, "{}\n", 3); /* it writes lines */
	steps(2);
	for (i = 0; i < sizeof garbage; i++)
		garbage[i] = i % 2 == 0 ? 'x' : '\n';
	fake_window(backend, 0);
	fake_put(backend, garbage, sizeof garbage);
	steps(2);
	fake_window(backend, 4 << 20);
	first_send = 0;
	fake_sent = note_send;
	steps(1);
	fake_sent = NULL;
	EXPECT(first_send > 65536 && first_send < 2 * 65536,
	    "%zu bytes waited", first_send);
	steps(100);
	EXPECT(l->counters[WS_OBJECT_ERRORS] == 1 + sizeof garbage / 2,
	    "%llu errors",
	    (unsigned long long)l->counters[WS_OBJECT_ERRORS]);
	fake_leave(backend);
	end();
}

/* ----------------------------------------------------------------- memory */

static void
total_as_it_grows(void)
{
	struct ws_options o = usual;
	char replies[1024];
	int backend, i, turn;

	CASE("a flood's queues stay near --queue-total, and no reader pays");
	o.queue_total = 65536;
	begin(&o);
	for (i = 0; i < 40; i++)
		(void)join(i);
	backend = fake_connect(control);
	steps(1);
	put_flood(backend, FLOOD);
	for (turn = 0; turn < 500; turn++) {
		steps(1);
		while (fake_take(backend, replies, sizeof replies) != 0)
			;
		for (i = 0; i < 40; i++)
			take(&clients[i], SIZE_MAX);
	}
	for (i = 0; i < 40; i++)
		EXPECT(clients[i].texts == FLOOD && is_open(&clients[i]),
		    "client %d has %u texts", i, clients[i].texts);
	/* With the last object before a flush every ring may double, and
	 * a ring counts twice. */
	EXPECT(l->most_queued > 32768 && l->most_queued <= 2 * 65536 + 8192,
	    "%zu bytes were queued", l->most_queued);
	EXPECT(l->queued == 0, "%zu bytes are", l->queued);
	fake_leave(backend);
	end();
}

static void
rings_count(void)
{
	struct ws_options o = usual;
	struct client *c;
	int n;

	CASE("a queue of tiny frames counts its ring, too");
	o.queue = 16384;
	begin(&o);
	c = join(0);
	fake_window(c->h, 100);
	for (n = 0; n < 16384 && l->counters[WS_CUT_OFF] == 0; n++) {
		send_to(c, 1);
		steps(1);
	}
	EXPECT(n >= 512 && n <= (int)(16384 / sizeof(void *)),
	    "cut off after %d frames", n);
	take(c, SIZE_MAX);
	steps(2);
	take(c, SIZE_MAX);
	EXPECT(c->code == WS_CLOSE_TRY_LATER, "Close %u", c->code);
	end();
}

/*
 * Eight take nothing, and have many tiny frames: most of what they hold is the
 * rings'. One has more bytes unsent than any of them, and takes them steadily.
 */
static void
who_goes_first(void)
{
	struct ws_options o = usual;
	struct client *reader;
	int i, k, gone = 0;

	CASE("over --queue-total those that take nothing go, and no reader");
	o.queue_total = 300000;
	begin(&o);
	for (i = 0; i < 9; i++)
		fake_window(join(i)->h, 100);
	reader = &clients[8];
	fake_window(reader->h, 20000);
	for (k = 0; k < 120; k++)
		send_to(reader, 1000);
	for (k = 0; k < 60; k++) {
		for (i = 0; i < 8 * 100; i++)
			send_to(&clients[i % 8], 1);
		fake_now += 100000000;
		steps(1);
		take(reader, 2000);
		send_to(reader, 1000);
	}
	for (i = 0; i < 8; i++)
		gone += !is_open(&clients[i]);
	EXPECT(gone >= 1, "all that take nothing are there");
	EXPECT(is_open(reader), "the reader went");
	EXPECT(l->queued <= o.queue_total, "%zu bytes", l->queued);
	for (k = 0; k < 200; k++) {
		take(reader, 20000);
		steps(1);
	}
	EXPECT(reader->texts == 180, "the reader has %u texts", reader->texts);
	end();
}

static void
unfinished_heads(void)
{
	struct ws_options o = usual;
	static char part[8000];
	struct client *good;
	int i, there = 0;

	CASE("unfinished heads count in --queue-total");
	memset(part, 'a', sizeof part);
	memcpy(part, "GET /", 5);
	o.queue_total = 65536;
	begin(&o);
	good = join(40);
	for (i = 0; i < 40; i++) {
		fake_put(dial(i)->h, part, sizeof part);
		steps(2);
	}
	for (i = 0; i < 40; i++)
		there += fake_ended(clients[i].h) == 0;
	EXPECT(l->queued <= o.queue_total, "%zu bytes are held", l->queued);
	EXPECT(there >= 7 && there <= 8, "%d heads are held", there);
	EXPECT(l->counters[WS_CUT_OFF] == 40u - (unsigned)there,
	    "%llu are counted",
	    (unsigned long long)l->counters[WS_CUT_OFF]);
	EXPECT(is_open(good), "one that holds nothing went");
	end();
}

static void
lines_are_limited(int ms)
{
	struct ws_options o = usual;
	int i, k;

	CASE(ms != 0 ? "a hundred cut off at once are a few lines, and a number"
	    : "the number is told at the end, too");
	o.queue = 4096;
	begin(&o);
	for (i = 0; i < 100; i++)
		fake_window(join(i)->h, 100);
	for (k = 0; k < 10; k++) {
		for (i = 0; i < 100; i++)
			send_to(&clients[i], 1000);
		steps(1);
	}
	EXPECT(l->counters[WS_CUT_OFF] == 100, "%llu were cut off",
	    (unsigned long long)l->counters[WS_CUT_OFF]);
	pass(ms);
	if (ms == 0)
		end();
	EXPECT(lines >= 2 && lines <= 30, "%lu lines", lines);
	EXPECT(strstr(last_line, "more clients") != NULL, "the last is \"%s\"",
	    last_line);
	if (ms != 0)
		end();
}

/* Ten that hold most are reset, and a message comes in the same turn. */
static void
the_dead_pay(void)
{
	struct ws_options o = usual;
	struct client *reader;
	int i, k;

	CASE("what those hold that have just gone is nobody else's fault");
	o.queue_total = 300000;
	begin(&o);
	for (i = 0; i < 10; i++)
		fake_window(join(i)->h, 100);
	reader = join(10);
	for (i = 0; i < 10; i++)
		send_to(&clients[i], 25000);
	steps(2);
	for (i = 0; i < 10; i++)
		fake_reset(clients[i].h);
	fake_window(reader->h, 1000);
	for (i = 0; i < 10; i++)
		send_to(&clients[i], 1);
	for (k = 0; k < 10; k++)
		send_to(reader, 10000);
	steps(2);
	EXPECT(is_open(reader), "the reader was cut off");
	EXPECT(l->queued >= 90000 && l->queued <= 110000, "%zu bytes are "
	    "queued", l->queued);
	end();
}

static void
published_by_call(void)
{
	struct ws_options o = usual;
	static char part[8000];
	int64_t before;
	int i;

	CASE("who is dropped for what was published by call is closed at once");
	memset(part, 'a', sizeof part);
	memcpy(part, "GET /", 5);
	o.queue_total = 20000;
	begin(&o);
	fake_window(join(0)->h, 0);
	for (i = 1; i < 3; i++)
		fake_put(dial(i)->h, part, sizeof part);
	steps(2);
	before = fake_now;
	send_to(&clients[0], 6000);
	(void)ws_loop_step(l, 4000);
	EXPECT(l->counters[WS_CUT_OFF] != 0 && is_open(&clients[0]),
	    "nobody went, or another");
	EXPECT(fake_now - before < 1000000000, "closed after %lld ms",
	    (long long)((fake_now - before) / 1000000));
	end();
}

static void
peaks(void)
{
	int backend;

	CASE("the most that was queued is known, though it was sent at once");
	begin(&usual);
	(void)join(0);
	backend = fake_connect(control);
	steps(1);
	l->most_queued = 0;
	put_flood(backend, 500);
	steps(2);
	take(&clients[0], SIZE_MAX);
	EXPECT(clients[0].texts == 500, "%u texts", clients[0].texts);
	EXPECT(l->most_queued >= 500 * 32 && l->most_queued < 100000,
	    "%zu bytes", l->most_queued);
	fake_leave(backend);
	end();
}

/* ---------------------------------------------------------------- silence */

static void
silent_connections(void)
{
	int i;

	CASE("connections that say nothing are cold, and heard when they "
	    "speak");
	begin(&usual);
	for (i = 0; i < 100; i++) {
		(void)dial(i);
		steps(1);
	}
	pass(3000);
	EXPECT(l->poll.hot <= 4, "%u of %u are hot", l->poll.hot, l->poll.n);
	fake_put(clients[50].h, request, sizeof request - 1);
	pass(1500);
	EXPECT(take_answer(&clients[50]) == 101, "it is not let in");
	end();
}

/* rate: bytes that it takes in 100 ms. Returns after how many ms it went. */
static int64_t
slow_link(size_t size, size_t rate, int answers)
{
	struct client *c;
	unsigned pings;
	int64_t ms;

	begin(&usual);
	c = join(0);
	fake_window(c->h, 4 << 20); /* the kernel takes it all */
	send_to(c, size);
	for (ms = 0; ms < 120000 && fake_ended(c->h) == 0; ms += 100) {
		pass(100);
		pings = c->pings;
		if (rate != 0)
			take(c, rate);
		if (c->pings != pings && answers)
			put_frame(c, WS_PONG, "", 0);
	}
	end();
	return ms;
}

static void
slow_links(void)
{
	static const struct {
		const char *what;
		size_t size, rate;
		int answers;
		int64_t from, until;
	} cases[] = {
		{ "20 kB/s, and a message of 950 kB", 950000, 2000, 1,
		    120000, 120000 },
		{ "takes nothing", 950000, 0, 0, 32000, 36000 },
		{ "takes nothing of little", 10, 0, 0, 32000, 36000 },
		{ "takes all, and does not answer", 10, 1000, 0, 32000, 36000 },
		{ "takes all slowly, and does not answer", 950000, 2000, 0,
		    56000, 70000 },
	};
	int64_t ms;
	size_t i;

	CASE("a Pong behind bytes that are taken is waited for, and no other");
	for (i = 0; i < sizeof cases / sizeof *cases; i++) {
		ms = slow_link(cases[i].size, cases[i].rate, cases[i].answers);
		EXPECT(ms >= cases[i].from && ms <= cases[i].until,
		    "%s: went after %lld ms", cases[i].what, (long long)ms);
	}

	CASE("where the system does not tell what is taken, 10 s are 10 s");
	fake_fault.call = FAKE_IOCTL;
	ms = slow_link(950000, 2000, 1);
	EXPECT(ms > 0, "went after %lld ms", (long long)ms);
}

/* The Pong comes in time, but a turn so long that nobody read it. */
static void
unread_pong(void)
{
	struct client *c;
	int64_t ms;

	CASE("nobody is silent whose Pong is there, and was not read");
	begin(&usual);
	c = join(0);
	for (ms = 0; ms < 40000 && c->pings == 0; ms += 100) {
		pass(100);
		take(c, SIZE_MAX);
	}
	put_frame(c, WS_PONG, "", 0);
	/* The poll of that turn fails: nothing is known to be readable. */
	fake_now += 11000000000;
	fake_fault.call = FAKE_POLL;
	fake_fault.at = fake_calls[FAKE_POLL] + 1;
	fake_fault.many = 1;
	fake_fault.error = EINTR;
	steps(1);
	fake_fault.many = 0;
	steps(2);
	EXPECT(c->pings == 1 && is_open(c), "it is gone");
	end();
}

/* The request comes in time, but a turn so long that nobody read it. */
static void
unread_request(void)
{
	CASE("nobody is late whose request is there, and was not read");
	begin(&usual);
	(void)dial(0);
	steps(2);
	fake_put(clients[0].h, request, sizeof request - 1);
	fake_now += 11000000000;
	fake_fault.call = FAKE_POLL;
	fake_fault.at = fake_calls[FAKE_POLL] + 1;
	fake_fault.many = 1;
	fake_fault.error = EINTR;
	steps(1);
	fake_fault.many = 0;
	steps(2);
	EXPECT(take_answer(&clients[0]) == 101, "it is not let in");
	end();
}

static void
refused_at_once(void)
{
	struct ws_options o = usual;
	int i, status;

	CASE("at --max-clients a 503 comes at once, whoever else is silent");
	o.max_clients = 2;
	begin(&o);
	(void)join(0);
	(void)join(1);
	for (i = 2; i < 60; i++) {
		(void)dial(i);
		steps(1);
	}
	(void)dial(60);
	fake_put(clients[60].h, request, sizeof request - 1);
	steps(2);
	status = take_answer(&clients[60]);
	EXPECT(status == 503, "the answer is %d", status);
	end();
}

/* A backend that is asked, and answers within two turns. */
static int
is_served(int h)
{
	char reply[64];

	fake_put(h, "{\"action\":\"multicast\",\"data\":1}\n", 32);
	steps(2);
	return fake_take(h, reply, sizeof reply) == 5;
}

static void
idle_backends(void)
{
	int h[6], i;

	CASE("with as many backends as may be, the longest idle gives way");
	begin(&usual);
	l->max_backends = 4;
	for (i = 0; i < 4; i++) {
		h[i] = fake_connect(control);
		steps(1);
	}
	fake_put(h[0], "{\"action\":", 10); /* it is not idle */
	steps(1);
	h[4] = fake_connect(control);
	pass(5000);
	EXPECT(is_served(h[1]), "one of four is not served");
	EXPECT(!is_served(h[4]), "the fifth is served at once");
	pass(6000);
	EXPECT(fake_waiting(h[4]) == 5, "the fifth still waits");
	EXPECT(fake_ended(h[2]) != 0, "the longest idle is there");
	EXPECT(fake_ended(h[0]) == 0 && fake_ended(h[1]) == 0 &&
	    fake_ended(h[3]) == 0, "another has gone");
	EXPECT(l->backends == 4, "there are %u", l->backends);
	h[5] = fake_connect(control);
	pass(500);
	EXPECT(fake_ended(h[3]) != 0 && is_served(h[5]), "the next waits");
	for (i = 0; i < 6; i++)
		fake_leave(h[i]);
	end();
}

int
main(void)
{
	fair_turns();
	errors_are_bounded();
	idle_backends();
	fair_reads();
	total_as_it_grows();
	rings_count();
	who_goes_first();
	unfinished_heads();
	lines_are_limited(2000);
	lines_are_limited(0);
	the_dead_pay();
	published_by_call();
	peaks();
	silent_connections();
	slow_links();
	unread_pong();
	unread_request();
	refused_at_once();
	return test_end();
}
