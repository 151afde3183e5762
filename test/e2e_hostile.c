/* wshub: ISC licence, see LICENSE. */
/*
 * What bad peers do to the real binary, and what takes long: everybody else is
 * to notice nothing. What has to wait for a deadline of ten seconds waits side
 * by side.
 */
#define _GNU_SOURCE
#include "hub.h"

static int
readable(int fd, int ms)
{
	struct pollfd p;

	p.fd = fd;
	p.events = POLLIN;
	return poll(&p, 1, ms) == 1;
}

/* The same sequence whenever it is run. */
static unsigned
chance(unsigned *seed)
{
	*seed = *seed * 1103515245u + 12345u;
	return *seed >> 16;
}

/* -------------------------------------------------------------- deadlines */

/* What comes to the end of the stream is a 408. */
static int
too_late(int fd)
{
	char answer[1024];
	size_t len;
	int right = get_all(fd, answer, sizeof answer, &len) &&
	    strncmp(answer, "HTTP/1.1 408 Request Timeout\r\n", 30) == 0 &&
	    strstr(answer, "\r\nConnection: close\r\n") != NULL;

	EXPECT(right, "\"%s\" is no 408", answer);
	close(fd);
	return right;
}

/* How many connections both we and the hub may have, 10,000 at most. */
static int
crowd_size(void)
{
	struct rlimit lim;
	long n;

	if (getrlimit(RLIMIT_NOFILE, &lim) != 0)
		return 100;
	n = lim.rlim_max > 10500 ? 10500 : (long)lim.rlim_max;
	lim.rlim_cur = (rlim_t)n;
	setrlimit(RLIMIT_NOFILE, &lim);
	n = n > 640 ? n - 400 : n / 2 - 32;
	if (wrap[0] != NULL && n > 300)
		n = 300;
	return n > 10000 ? 10000 : (int)n;
}

static void
deadlines(void)
{
	struct hub h = { 0 };
	struct client c, good;
	int *silent, i, n, half, slow;
	long long begun, took;
	size_t at = 0;
	char byte;

	START(&h, QUIET_HUB);
	begun = now();
	slow = dial(h.port[0], 0);
	half = dial(h.port[0], 0);
	put(half, REQUEST, sizeof REQUEST - 2);
	n = crowd_size();
	silent = calloc((size_t)n, sizeof *silent);
	if (silent == NULL)
		give_up("memory");

	CASE("deadlines: thousands that never speak harm nobody");
	join(&good, &h);
	for (i = 0; i < n; i++) {
		silent[i] = dial(h.port[0], 0);
		if (i % 500 == 0) {
			ORDER(&h, M1, "OK 1\n");
			TEXT(&good, "1");
		}
	}
	join(&c, &h);
	ORDER(&h, M1, "OK 2\n");
	TEXT(&c, "1");
	TEXT(&good, "1");
	EXPECT(counter(&h, "accepted") == n + 4, "%lld were accepted, not %d",
	    counter(&h, "accepted"), n + 4);

	CASE("deadlines: a byte a second is a 408, ten seconds after the "
	    "first");
	do
		put(slow, &REQUEST[at++], 1);
	while (!readable(slow, 1000) && at < sizeof REQUEST - 2);
	took = now() - begun;
	too_late(slow);
	EXPECT(took > 9000 && (wrap[0] != NULL || took < 15000),
	    "it took %lld ms", took);

	CASE("deadlines: so is all of a request but its last byte; silence "
	    "ends in silence");
	too_late(half);
	for (i = 0; i < n; i++) {
		if (recv(silent[i], &byte, 1, 0) != 0)
			break;
		close(silent[i]);
	}
	EXPECT(i == n, "%d of %d are closed without an answer", i, n);
	ORDER(&h, M1, "OK 2\n");
	TEXT(&c, "1");
	TEXT(&good, "1");
	leave(&c);
	leave(&good);
	free(silent);
	STOP(&h);
}

static void
tls_deadlines(void)
{
	static const char hello[] = "\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03";
	struct hub h = { 0 };
	char cert[4200], key[4200], buf[16];
	int silent, half, slow;
	long long begun, took;
	size_t at = 0;

	CASE("deadlines: TLS that does not come on is closed after ten "
	    "seconds");
	snprintf(cert, sizeof cert, "%sp256.pem", certs);
	snprintf(key, sizeof key, "%sp256.key", certs);
	START(&h, QUIET_HUB, "-L", "127.0.0.1:%1", "-c", cert, "-k", key);
	begun = now();
	silent = dial(h.port[0], 0);
	half = dial(h.port[0], 0);
	put(half, hello, sizeof hello - 1);
	slow = dial(h.port[0], 0);
	do {
		put(slow, hello + at, 1);
		at = at < 4 ? at + 1 : 5;
	} while (!readable(slow, 1000) && now() - begun < 2 * patience);
	took = now() - begun;
	EXPECT(took > 9000 && (wrap[0] != NULL || took < 15000),
	    "it took %lld ms", took);
	EXPECT(recv(slow, buf, sizeof buf, 0) <= 0, "it is told something");
	EXPECT(recv(half, buf, sizeof buf, 0) <= 0, "half a record is");
	EXPECT(recv(silent, buf, sizeof buf, 0) <= 0, "silence is");
	EXPECT(counter(&h, "TLS failures") == 3, "%lld are counted",
	    counter(&h, "TLS failures"));
	close(slow);
	close(half);
	close(silent);
	STOP(&h);
}

static void
pings(void)
{
	struct hub h = { 0 };
	struct client good, mute, talker;
	struct pollfd p[2];
	unsigned char *data;
	size_t len;
	int got, answered = 0, asked = 0, over = 0;
	long long begun, told = 0;

	START(&h, "--heartbeat", "0", "--ping", "1");
	CASE("pings: who answers stays, who does not is dropped after ten "
	    "seconds");
	join(&good, &h);
	join(&mute, &h);
	join(&talker, &h);
	begun = now();
	while (!over && now() - begun < 3 * patience) {
		p[0].fd = good.fd;
		p[1].fd = mute.fd;
		p[0].events = p[1].events = POLLIN;
		poll(p, 2, 250);
		put_frame(&talker, 0x81, "well", 4);
		if (p[0].revents != 0) {
			got = get_frame(&good, &data, &len);
			EXPECT(got == 0x89, "frame %d, not a Ping", got);
			put_frame(&good, 0x8a, data, len);
			answered++;
			if (got != 0x89)
				break;
		}
		if (p[1].revents != 0) {
			got = get_frame(&mute, &data, &len);
			if (got == 0x89) {
				asked++;
				told = now();
			} else {
				EXPECT(got == AT_END || got == RESET,
				    "frame %d, not the end", got);
				over = 1;
			}
		}
	}
	EXPECT(over && asked == 1, "%d Pings, and %s end", asked,
	    over ? "an" : "no");
	EXPECT(now() - told > 9000, "only %lld ms to answer", now() - told);
	EXPECT(answered > 4 || wrap[0] != NULL, "only %d Pings", answered);
	ORDER(&h, "{\"action\":\"sendToDevice\",\"device\":\"none\","
	    "\"data\":1}", "OK 0\n");
	ORDER(&h, M1, "OK 2\n");
	do
		got = get_frame(&good, &data, &len);
	while (got == 0x89);
	EXPECT(got == 0x81 && len == 1, "frame %d, not the message", got);
	EXPECT(counter(&h, "silent") == 1, "%lld are counted",
	    counter(&h, "silent"));
	leave(&good);
	leave(&mute);
	leave(&talker);
	STOP(&h);
}

/*
 * A hub that gets the CPU for 30 ms of 100, as in a container with a limit, and
 * always has something to do: its quiet clients answer their Pings, and stay.
 */
static void
stopped(void)
{
	static struct client c[100];
	static struct pollfd p[101];
	static char text[128], replies[65536];
	const int n = wrap[0] != NULL ? 10 : 100;
	struct hub h = { 0 };
	unsigned char *data;
	long long begun, unheard;
	size_t len, text_len;
	int i, turn, pongs = 0;
	pid_t worker;

	START(&h, "--heartbeat", "0", "--ping", "1");
	CASE("pings: a hub that is stopped 70 ms in 100 throws out nobody");
	for (i = 0; i < n; i++) {
		join(&c[i], &h);
		p[i].fd = c[i].fd;
		p[i].events = POLLIN;
	}
	p[n].fd = dial_unix(h.control);
	p[n].events = POLLIN;
	text_len = (size_t)snprintf(text, sizeof text,
	    "{\"action\":\"sendToDevice\",\"device\":\"none\",\"data\":1}\n");
	worker = child_of(h.pid);
	if (worker == 0)
		worker = h.pid;
	begun = now();
	for (turn = 0; now() - begun < 13000; turn++) {
		if (turn % 10 == 0)
			kill(worker, SIGSTOP);
		if (turn % 10 == 7)
			kill(worker, SIGCONT);
		put(p[n].fd, text, text_len);
		nap(10);
		if (poll(p, (nfds_t)n + 1, 0) <= 0)
			continue;
		for (i = 0; i < n; i++)
			if (p[i].revents != 0 &&
			    get_frame(&c[i], &data, &len) == 0x89) {
				put_frame(&c[i], 0x8a, data, len);
				pongs++;
			}
		if (p[n].revents != 0)
			(void)recv(p[n].fd, replies, sizeof replies, 0);
	}
	kill(worker, SIGCONT);
	EXPECT(counter(&h, "silent") == 0, "%lld are silent",
	    counter(&h, "silent"));
	EXPECT(pongs > n || wrap[0] != NULL, "only %d Pongs", pongs);
	unheard = counter(&h, "longest unheard");
	EXPECT(unheard >= 0 && unheard <= 5000,
	    "somebody went unheard for %lld ms", unheard);
	ORDER(&h, M1, n == 100 ? "OK 100\n" : "OK 10\n");
	for (i = 0; i < n; i++)
		leave(&c[i]);
	close(p[n].fd);
	STOP(&h);
}

/* 40 kB/s. */
static ssize_t
read_slowly(struct client *c, void *buf, size_t room)
{
	nap(100);
	return recv(c->fd, buf, room < 4000 ? room : 4000, 0);
}

/*
 * A message takes longer to arrive than a Pong has time, on a link that is slow
 * but steady; beside it is one that takes nothing of the same message.
 */
static void
slow_link(void)
{
	enum { SIZE = 420000 }; /* 14 s, as reads go */
	static char text[SIZE + 64];
	struct hub h = { 0 };
	struct client slow, stuck;
	unsigned char *data;
	size_t len;
	int got, n;

	START(&h, "--heartbeat", "0", "--ping", "1");
	CASE("pings: one that takes a long message slowly stays, and gets it");
	join_with(&slow, dial(h.port[0], 4096));
	join_with(&stuck, dial(h.port[0], 4096));
	n = sprintf(text, "{\"action\":\"multicast\",\"data\":\"");
	memset(text + n, 'x', SIZE);
	strcpy(text + n + SIZE, "\"}");
	ORDER(&h, text, "OK 2\n");
	slow.read = read_slowly;
	got = get_frame(&slow, &data, &len);
	EXPECT(got == 0x81 && len == SIZE + 2, "frame %d of %zu bytes", got,
	    len);
	got = get_frame(&slow, &data, &len);
	EXPECT(got == 0x89, "frame %d, not a Ping", got);
	put_frame(&slow, 0x8a, data, len);
	EXPECT(counter(&h, "silent") == 1, "%lld are silent: the one that took "
	    "nothing, and no other", counter(&h, "silent"));
	put_frame(&slow, 0x88, "\x03\xe8", 2);
	CLOSED(&slow, 1000);
	leave(&slow);
	leave(&stuck);
	STOP(&h);
}

static void
heartbeats(void)
{
	static const char hb[] = "{\"action\":\"hb\"}";
	struct hub h = { 0 };
	struct client c, d;
	long long first;

	CASE("heartbeat: to everybody, every second if that is asked for");
	START(&h, "--heartbeat", "1", "--ping", "0");
	join(&c, &h);
	join(&d, &h);
	TEXT(&c, hb);
	first = now();
	TEXT(&d, hb);
	TEXT(&c, hb);
	EXPECT(now() - first > 500, "after %lld ms", now() - first);
	TEXT(&d, hb);
	leave(&c);
	leave(&d);
	STOP(&h);
}

/* ------------------------------------------------------------------ drain */

static void
drain(void)
{
	enum { N = 100 };
	struct hub h = { 0 };
	struct client c[N];
	struct pollfd p[N];
	long long first = 0, last = 0, begun;
	int i, n, left = N;

	CASE("drain: everybody's Close 1001, not all at once");
	START(&h, QUIET_HUB, "--drain", "30");
	for (i = 0; i < N; i++) {
		join(&c[i], &h);
		p[i].fd = c[i].fd;
		p[i].events = POLLIN;
	}
	begun = now();
	kill(h.pid, SIGTERM);
	while (left > 0) {
		n = poll(p, N, patience);
		if (n <= 0)
			break;
		last = now();
		if (first == 0)
			first = last;
		for (i = 0; i < N; i++)
			if (p[i].fd != -1 && p[i].revents != 0) {
				p[i].fd = -1;
				CLOSED(&c[i], 1001);
				leave(&c[i]);
				left--;
			}
	}
	EXPECT(left == 0, "%d hear nothing", left);
	EXPECT(last - first > 300, "all within %lld ms", last - first);
	EXPECT(wrap[0] != NULL || last - begun < 6000, "the last after %lld ms",
	    last - begun);
	ENDED(&h, 0);
}

/* --------------------------------------------------------------- backends */

static void
test_goodbyes(const struct hub *h)
{
	static char all[500 * 64], replies[500 * 8];
	struct client c;
	size_t i, n, len = 0;
	char want[16];
	int fd, k;

	CASE("backends: one that closes right after writing is obeyed");
	join(&c, h);
	for (n = i = 0; i < 500; i++)
		n += (size_t)sprintf(all + n,
		    "{\"action\":\"multicast\",\"data\":%d}\n", (int)i);
	for (k = 0; k < 3; k++) {
		fd = dial_unix(h->control);
		EXPECT(put(fd, all, n) == 0, "cannot write");
		close(fd);
		for (i = 0; i < 500; i++) {
			snprintf(want, sizeof want, "%d", (int)i);
			if (!TEXT(&c, want))
				break;
		}
	}

	CASE("backends: one that closes in the middle of a text is forgotten");
	for (k = 0; k < 20; k++) {
		fd = dial_unix(h->control);
		put(fd, M1 "{\"action\":\"multicast\",\"data\":2",
		    31 + (size_t)k);
		close(fd);
		TEXT(&c, "1");
	}
	ORDER(h, "{\"action\":\"multicast\",\"data\":\"on\"}", "OK 1\n");
	TEXT(&c, "\"on\"");

	CASE("backends: half a close still gets all replies, then the end");
	fd = dial_unix(h->control);
	put(fd, all, n);
	shutdown(fd, SHUT_WR);
	EXPECT(get_all(fd, replies, sizeof replies, &len) && len == 2500,
	    "%zu bytes of replies", len);
	close(fd);
	leave(&c);
}

/* Writes data over and over until len bytes are out, and reads meanwhile. */
struct flow {
	size_t sent, got;
	char first[128]; /* bytes that came */
};

static int
pour(int fd, const char *data, size_t size, size_t len, struct flow *f)
{
	struct pollfd p;
	char buf[65536];
	size_t at, some;
	ssize_t n;

	while (f->sent < len) {
		p.fd = fd;
		p.events = POLLIN | POLLOUT;
		if (poll(&p, 1, patience) != 1)
			return -1;
		if ((p.revents & POLLIN) != 0) {
			n = recv(fd, buf, sizeof buf, MSG_DONTWAIT);
			if (n <= 0)
				return -1;
			if (f->got < sizeof f->first - 1)
				memcpy(f->first + f->got, buf,
				    (size_t)n < sizeof f->first - 1 - f->got ?
				    (size_t)n : sizeof f->first - 1 - f->got);
			f->got += (size_t)n;
		}
		if ((p.revents & POLLOUT) != 0) {
			at = f->sent % size;
			some = size - at < len - f->sent ? size - at :
			    len - f->sent;
			n = send(fd, data + at, some, MSG_DONTWAIT |
			    MSG_NOSIGNAL);
			if (n < 0 && errno != EAGAIN)
				return -1;
			f->sent += n > 0 ? (size_t)n : 0;
		}
	}
	return 0;
}

static void
test_endless(struct hub *h)
{
	static const char head[] = "{\"action\":\"multicast\",\"data\":\"";
	size_t len = wrap[0] != NULL ? 20000000 : 100000000;
	static char many[65536];
	struct flow f = { 0 };
	struct client c;
	pid_t hub = child_of(h->pid);
	long before = resident(hub);
	int fd;

	CASE("backends: 100 MB without a closing brace, of one that writes "
	    "lines");
	join(&c, h);
	memset(many, 'x', sizeof many);
	fd = dial_unix(h->control);
	ASK(fd, NONE "\n", "OK 0\n");
	put(fd, head, sizeof head - 1);
	EXPECT(pour(fd, many, sizeof many, len, &f) == 0, "%zu bytes, and "
	    "that was all", f.sent);
	EXPECT(strcmp(f.first, "ERR") == 0, "\"%s\"", f.first);
	ORDER(h, M1, "OK 1\n");
	ASK(fd, "\n", " longer than 1048576 bytes\n");
	ASK(fd, NONE "\n", "OK 0\n");
	close(fd);
	EXPECT(wrap[0] != NULL || before == 0 || resident(hub) < before +
	    32768, "the hub has grown from %ld to %ld kB", before,
	    resident(hub));

	CASE("backends: and of one that does not");
	memset(&f, 0, sizeof f);
	fd = dial_unix(h->control);
	put(fd, head, sizeof head - 1);
	EXPECT(pour(fd, many, sizeof many, len / 8, &f) == 0, "%zu bytes, and "
	    "that was all", f.sent);
	if (*f.first == '\0')
		REPLY(fd, "ERR"); /* comes when the hub has read it all */
	else
		EXPECT(strncmp(f.first, "ERR", 3) == 0, "\"%s\"", f.first);
	ORDER(h, M1, "OK 1\n");
	close(fd);
	TEXT(&c, "1");
	TEXT(&c, "1");
	leave(&c);
}

/* Objects of one size: number i is at i * MESSAGE. */
#define MESSAGE (sizeof "{\"action\":\"multicast\",\"data\":1000000}\n" - 1)

static void
some_messages(char *p, size_t first, size_t n)
{
	char text[64];
	size_t i;

	for (i = 0; i < n; i++) {
		snprintf(text, sizeof text, "{\"action\":\"multicast\","
		    "\"data\":%zu}\n", 1000000 + first + i);
		memcpy(p + i * MESSAGE, text, MESSAGE);
	}
}

static void
test_deaf(struct hub *h)
{
	enum { PART = 1000, MOST = 400000 };
	static char part[PART * MESSAGE];
	struct client c;
	struct pollfd p;
	size_t out = 0, n, i, total, replies = 0, bad = 0;
	char buf[8], want[32];
	ssize_t got;
	int fd, stuck = 0;

	CASE("backends: one that does not read its replies is not read from");
	join(&c, h);
	fd = dial_unix(h->control);
	while (!stuck && out < MOST * MESSAGE) {
		n = out % (PART * MESSAGE);
		if (n == 0)
			some_messages(part, out / MESSAGE, PART);
		p.fd = fd;
		p.events = POLLOUT;
		stuck = poll(&p, 1, wrap[0] != NULL ? 3000 : 400) == 0;
		got = stuck ? 0 : send(fd, part + n, PART * MESSAGE - n,
		    MSG_DONTWAIT | MSG_NOSIGNAL);
		if (got > 0)
			out += (size_t)got;
	}
	EXPECT(stuck, "%zu objects were taken", out / MESSAGE);
	ORDER(h, NONE, "OK 0\n");

	CASE("backends: it loses nothing, and is read from when it reads");
	total = (out / MESSAGE + PART) / PART * PART + PART;
	for (;;) {
		p.fd = fd;
		p.events = (short)(POLLIN |
		    (out < total * MESSAGE ? POLLOUT : 0));
		if (replies == total * 5 || poll(&p, 1, patience) != 1)
			break;
		if ((p.revents & POLLIN) != 0) {
			/* Whole lines, as the rest may be still to come. */
			got = recv(fd, buf, 5 - replies % 5, 0);
			if (got <= 0)
				break;
			bad += memcmp(buf, &"OK 1\n"[replies % 5],
			    (size_t)got) != 0;
			replies += (size_t)got;
		}
		if ((p.revents & POLLOUT) != 0) {
			n = out % (PART * MESSAGE);
			if (n == 0)
				some_messages(part, out / MESSAGE, PART);
			got = send(fd, part + n, PART * MESSAGE - n,
			    MSG_DONTWAIT | MSG_NOSIGNAL);
			if (got > 0)
				out += (size_t)got;
		}
	}
	EXPECT(replies == total * 5 && bad == 0, "%zu bytes of replies to %zu "
	    "objects, %zu of them wrong", replies, total, bad);
	for (i = 0; i < total; i++) {
		snprintf(want, sizeof want, "%zu", 1000000 + i);
		if (!TEXT(&c, want))
			break;
	}
	close(fd);
	leave(&c);
}

static void
test_crowd(struct hub *h)
{
	enum { MAX = 256 };
	static int fd[MAX + 10];
	struct client c;
	int i;

	CASE("backends: 256 at once, the next when one has left");
	for (i = 0; i < MAX + 10; i++) {
		fd[i] = dial_unix(h->control);
		put(fd[i], NONE "\n", sizeof NONE);
	}
	for (i = 0; i < MAX; i++)
		REPLY(fd[i], "OK 0\n");
	QUIET(fd[MAX], 50);
	EXPECT(await(h->log, "256 backends: the next waits"), "not logged");
	join(&c, h);
	ASK(fd[3], M1 "\n", "OK 1\n");
	TEXT(&c, "1");
	for (i = 0; i < 10; i++) {
		close(fd[i]);
		REPLY(fd[MAX + i], "OK 0\n");
	}
	for (i = 10; i < MAX + 10; i++) {
		ASK(fd[i], NONE "\n", "OK 0\n");
		close(fd[i]);
	}
	leave(&c);
}

static void
test_flood(struct hub *h)
{
	enum { PART = 1000, SIZE = sizeof NONE - 1 };
	static char part[PART * SIZE];
	struct flow f = { 0 };
	struct client c;
	int fd, i;
	pid_t pid;

	CASE("backends: a flood of one does not hold up another");
	for (i = 0; i < PART; i++)
		memcpy(part + i * SIZE, NONE, SIZE);
	join(&c, h);
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		fd = dial_unix(h->control);
		pour(fd, part, sizeof part, (size_t)-1, &f);
		_exit(1);
	}
	/* It has begun. */
	for (i = 0; i < 1000 && counter(h, "objects") < 100000; i++)
		nap(5);
	for (i = 0; i < 100; i++) {
		ORDER(h, M1, "OK 1\n");
		TEXT(&c, "1");
	}
	EXPECT(reap(pid, 0) == -1, "the flood has ended");
	kill(pid, SIGKILL);
	reap(pid, patience);
	ORDER(h, M1, "OK 1\n");
	TEXT(&c, "1");
	leave(&c);
}

static void
test_garbage(struct hub *h)
{
	unsigned char junk[4096];
	struct client c;
	unsigned seed = 7;
	size_t i, k;
	int fd;
	char buf[4096];

	CASE("backends: garbage, and the hub and others go on");
	join(&c, h);
	for (i = 0; i < 100; i++) {
		for (k = 0; k < sizeof junk; k++)
			junk[k] = (unsigned char)(i & 1 ? chance(&seed) :
			    (unsigned char)"{}[]\",:\\\n 1eE+-.tfn"[chance(
			    &seed) % 19]);
		fd = dial_unix(h->control);
		put(fd, junk, 1 + chance(&seed) % sizeof junk);
		if (i % 3 != 0) {
			shutdown(fd, SHUT_WR);
			while (recv(fd, buf, sizeof buf, 0) > 0)
				;
		}
		close(fd);
	}
	ORDER(h, M1, "OK 1\n");
	TEXT(&c, "1");
	leave(&c);
}

static void
backends(void)
{
	struct hub h = { 0 };

	START(&h, QUIET_HUB, "--queue", "100000000");
	test_goodbyes(&h);
	test_garbage(&h);
	test_crowd(&h);
	test_flood(&h);
	STOP(&h);
}

static void
volumes(void)
{
	struct hub h = { 0 };

	START(&h, QUIET_HUB, "--queue", "100000000");
	test_endless(&h);
	test_deaf(&h);
	STOP(&h);
}

/* ---------------------------------------------------------------- clients */

/* The number of the next message that the good one is to hear. */
static void
still_well(struct hub *h, struct client *good, unsigned *n)
{
	char text[64], want[16];

	snprintf(text, sizeof text, "{\"action\":\"sendToDevice\","
	    "\"device\":\"%s\",\"data\":%u}", good->id, *n);
	ORDER(h, text, "OK 1\n");
	snprintf(want, sizeof want, "%u", (*n)++);
	TEXT(good, want);
}

/* To the end of the stream, however that comes: 1 if it does. */
static int
ends(int fd)
{
	char buf[16384];
	ssize_t n;

	while ((n = recv(fd, buf, sizeof buf, 0)) > 0)
		;
	return n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
}

static void
test_noise(struct hub *h, struct client *good, unsigned *n)
{
	unsigned char junk[2048];
	struct client c;
	unsigned seed = 1;
	size_t i, k, len;

	CASE("clients: noise instead of a request, or of frames");
	for (i = 0; i < 300; i++) {
		len = 1 + chance(&seed) % sizeof junk;
		for (k = 0; k < len; k++)
			junk[k] = (unsigned char)chance(&seed);
		if (i % 4 == 1)
			junk[0] = (unsigned char)(0x80 | junk[0] % 16);
		memset(&c, 0, sizeof c);
		if (i % 2 == 0)
			c.fd = dial(h->port[0], 0);
		else
			join(&c, h);
		put(c.fd, junk, len);
		shutdown(c.fd, SHUT_WR);
		EXPECT(ends(c.fd), "noise %zu has no end", i);
		leave(&c);
		if (i % 10 == 0)
			still_well(h, good, n);
	}
	still_well(h, good, n);
	ORDER(h, M1, "OK 1\n");
	TEXT(good, "1");
}

static void
test_half_closed(struct hub *h, struct client *good, unsigned *n)
{
	struct client c;
	unsigned i;

	CASE("clients: half a close, in each state, is the end");
	for (i = 0; i < sizeof REQUEST; i += 10) {
		c.fd = dial(h->port[0], 0);
		put(c.fd, REQUEST, i);
		shutdown(c.fd, SHUT_WR);
		EXPECT(ends(c.fd), "after %u bytes: no end", i);
		close(c.fd);
	}
	memset(&c, 0, sizeof c);
	c.fd = dial(h->port[0], 0);
	put(c.fd, REQUEST, sizeof REQUEST - 1);
	shutdown(c.fd, SHUT_WR);
	EXPECT(take_opening(&c) == 0, "a whole request: \"%.*s\"", (int)c.len,
	    (char *)c.buf);
	EXPECT(ends(c.fd), "after a request: no end");
	EXPECT(await_gone(h, c.id), "it is still there");
	leave(&c);
	for (i = 0; i < 8; i++) {
		join(&c, h);
		put(c.fd, "\x81\x85\0\0\0\0hello", i);
		shutdown(c.fd, SHUT_WR);
		EXPECT(ends(c.fd), "after %u bytes of a frame: no end", i);
		EXPECT(await_gone(h, c.id), "it is still there");
		leave(&c);
	}
	still_well(h, good, n);
}

static void
test_resets(struct hub *h, struct client *good, unsigned *n)
{
	enum { N = 60 };
	struct linger reset = { 1, 0 };
	struct client c[N];
	char *p = sized(300000, "");
	int i;

	CASE("clients: resets amid messages, no SIGPIPE");
	for (i = 0; i < N; i++)
		join(&c[i], h);
	ORDER(h, p, "OK 61\n");
	for (i = 0; i < N; i++) {
		if (i % 2)
			setsockopt(c[i].fd, SOL_SOCKET, SO_LINGER, &reset,
			    sizeof reset);
		leave(&c[i]);
		if (i % 20 == 0)
			ORDER(h, p, "OK ");
	}
	for (i = 0; i < 4; i++)
		FRAME(good, 0x81, p + 29, 300000);
	for (i = 0; i < N; i++)
		EXPECT(await_gone(h, c[i].id), "%d is still there", i);
	still_well(h, good, n);
	free(p);
}

static void
test_pinger(struct hub *h, struct client *good, unsigned *n)
{
	enum { N = 800000 };
	static unsigned char all[N * 14];
	struct client c;
	unsigned char *data;
	char number[16];
	size_t len = 0, got_len;
	int i, got, pongs = 0, last = -1, many = wrap[0] != NULL ? N / 10 : N;

	CASE("clients: one that pings and does not read gets its last Pong");
	for (i = 0; i < many; i++) {
		snprintf(number, sizeof number, "%08d", i);
		len += frame(all + len, 0x89, number, 8);
	}
	memset(&c, 0, sizeof c);
	join_with(&c, dial(h->port[0], 4096));
	EXPECT(put(c.fd, all, len) == 0, "it is not read from");
	still_well(h, good, n);
	while (last != many - 1) {
		got = get_frame(&c, &data, &got_len);
		if (got != 0x8a || got_len != 8) {
			EXPECT(0, "frame %d after Pong %d", got, last);
			break;
		}
		memcpy(number, data, 8);
		number[8] = '\0';
		EXPECT(atoi(number) > last, "%s after %d", number, last);
		last = atoi(number);
		pongs++;
	}
	EXPECT(pongs > 0, "no Pong");
	leave(&c);
	still_well(h, good, n);
}

static void
test_talkers(struct hub *h, struct client *good, unsigned *n)
{
	static char big[65000];
	struct client c;
	int i;

	CASE("clients: one that talks without end is not kept");
	join(&c, h);
	memset(big, 'x', sizeof big);
	for (i = 0; i < 300; i++)
		put_frame(&c, 0x81, big, sizeof big);
	put_frame(&c, 0x89, "still here", 10);
	FRAME(&c, 0x8a, "still here", 10);
	still_well(h, good, n);
	leave(&c);

	CASE("clients: 500 that come and go as fast as they can");
	for (i = 0; i < 500; i++) {
		memset(&c, 0, sizeof c);
		c.fd = dial(h->port[0], 0);
		if (i % 3 != 0)
			put(c.fd, REQUEST, sizeof REQUEST - (size_t)(i % 2));
		leave(&c);
		if (i % 50 == 0)
			still_well(h, good, n);
	}
	still_well(h, good, n);
}

static void
clients(void)
{
	struct hub h = { 0 };
	struct client good;
	unsigned n = 0;
	long long errors;

	START(&h, QUIET_HUB);
	join(&good, &h);
	test_noise(&h, &good, &n);
	errors = counter(&h, "protocol errors");
	EXPECT(errors > 50 && errors <= 150 && counter(&h, "bad requests") >
	    100, "%lld protocol errors, %lld bad requests are counted", errors,
	    counter(&h, "bad requests"));
	test_half_closed(&h, &good, &n);
	test_resets(&h, &good, &n);
	test_pinger(&h, &good, &n);
	test_talkers(&h, &good, &n);
	QUIET(good.fd, 20);
	leave(&good);
	STOP(&h);
}

/* -------------------------------------------------------------------- log */

/* A hub whose log goes into a FIFO that somebody has open. */
static void
start_into(struct hub *h, const char *fifo)
{
	char address[32];
	long long end = now() + patience;
	struct stat st;

	strcpy(h->control, "fifo.sock");
	h->port[0] = free_port();
	snprintf(address, sizeof address, "127.0.0.1:%d", h->port[0]);
	h->pid = spawn(ARGS("-v", "-s", h->control, "-l", address), NULL,
	    "hub.out", fifo, 0, 022);
	while ((lstat(h->control, &st) == -1 || (st.st_mode & 0777) == 0) &&
	    now() < end)
		nap(2);
}

static void
logs(void)
{
	struct hub h = { 0 };
	struct client c;
	int fd, i, status;

	if (mkfifo("log", 0600) != 0 || (fd = open("log", O_RDWR)) == -1)
		give_up("log");
	for (i = 0; i < 2; i++) {
		CASE(i == 0 ? "log: a reader who sleeps holds up nobody" :
		    "log: a reader who has gone ends nobody");
		start_into(&h, "log");
		for (status = 0; status < (i == 0 ? 1000 : 20); status++) {
			join(&c, &h);
			if (i == 1 && status == 10)
				close(fd);
			if (status % 100 == 5) {
				ORDER(&h, M1, "OK ");
				TEXT(&c, "1");
			}
			leave(&c);
		}
		kill(h.pid, SIGTERM);
		status = reap(h.pid, patience);
		EXPECT(status == 0, "exit status %d", status);
		if (status == -1)
			kill(h.pid, SIGKILL);
	}
}

static struct test_group all_groups[] = {
	{ .name = "deadlines", .run = deadlines },
	{ .name = "tls_deadlines", .run = tls_deadlines, .for_tls = 1 },
	{ .name = "pings", .run = pings },
	{ .name = "stopped", .run = stopped },
	{ .name = "slow_link", .run = slow_link },
	{ .name = "heartbeats", .run = heartbeats },
	{ .name = "drain", .run = drain },
	{ .name = "backends", .run = backends },
	{ .name = "volumes", .run = volumes },
	{ .name = "clients", .run = clients },
	{ .name = "logs", .run = logs },
};

int
main(int argc, char **argv)
{
	return run_groups(argc, argv, all_groups,
	    (int)(sizeof all_groups / sizeof *all_groups));
}
