/* wshub: ISC licence, see LICENSE. */
/*
 * Bad peers, and what they leave, against the real binary: e2e_calm
 * path/to/wshub [tls]. What waits for deadlines is in e2e_hostile.c.
 *
 * Each group has a hub of its own, a few good clients and a good backend. The
 * good ones miss nothing, whatever else goes on: TELL(n) publishes the next n
 * numbers and has each of them read each. And where nothing goes on the hub is
 * idle, in whatever odd state its peers are.
 */
#define _GNU_SOURCE
#include "hub.h"

#define GOOD 3

/* A wrapper in the way: fewer of everything. */
#define WRAPPED (wrap[0] != NULL)
#define MANY(n) (WRAPPED ? (n) / 10 : (n))

/* ------------------------------------------------------------- good people */

static struct hub h;
static struct client good[GOOD];
static int backend = -1;
static int told; /* the last number that was published */

/* Every good client reads the next number: they are in order. */
#define TELL(n) tell(__LINE__, n)
static void
tell(int line, int n)
{
	char text[64], want[16];
	const char *reply;
	int i;

	for (; n > 0; n--) {
		told++;
		i = snprintf(text, sizeof text,
		    "{\"action\":\"multicast\",\"data\":%d}\n", told);
		put(backend, text, (size_t)i);
		reply = get_line(backend);
		test_expect(strncmp(reply, "OK ", 3) == 0 &&
		    atoi(reply + 3) >= GOOD, __FILE__, line,
		    "%d is answered \"%s\"", told, reply);
		snprintf(want, sizeof want, "%d", told);
		for (i = 0; i < GOOD; i++)
			frame_is(__FILE__, line, &good[i], 0x81, want,
			    strlen(want));
	}
}

/* Starts the hub, and the good come in. */
#define BEGIN(...) do {                                                       \
	int i_;                                                               \
	START(&h, "--drain", "1", __VA_ARGS__);                               \
	for (i_ = 0; i_ < GOOD; i_++)                                         \
		join(&good[i_], &h);                                          \
	backend = dial_unix(h.control);                                       \
	TELL(1);                                                              \
} while (0)

/* At last: they miss nothing, the hub says goodbye and ends as it should. */
#define FINISH(group) finish(group ": at the end the good have missed " \
    "nothing, and the hub ends well")
static void
finish(const char *name)
{
	int i;

	CASE(name);
	TELL(3);
	kill(h.pid, SIGTERM);
	for (i = 0; i < GOOD; i++) {
		CLOSED(&good[i], 1001);
		leave(&good[i]);
	}
	close(backend);
	ENDED(&h, 0);
}

/* ---------------------------------------------------------- what it says */

/* Clients there are, in whatever state, as the report has it. */
static long
clients(void)
{
	static const char up[] = "wshub: up ";
	long long turns = counter(&h, "turns");
	size_t len;
	char *p = slurp(h.log, &len), *at = p, *next;
	long n = -1;

	while ((next = strstr(at + 1, up)) != NULL)
		at = next;
	if (turns != -1 && (at = strstr(at, " s, ")) != NULL)
		n = atol(at + 4);
	free(p);
	return n;
}

/* Waits until there are only so many. */
static void
await_clients(long n)
{
	long long end = now() + patience;

	while (clients() != n && now() < end)
		nap(5);
	EXPECT(clients() == n, "%ld clients, not %ld", clients(), n);
}

/* The process that does the work, which is a keeper's child. */
static pid_t
worker(void)
{
	static pid_t pid;

	if (pid == 0 && (pid = child_of(h.pid)) == 0)
		pid = h.pid;
	return pid;
}

/* Its CPU time in ticks, or -1. */
static long
cpu_time(void)
{
	char path[64], *p, *at;
	unsigned long user = 0, sys = 0;
	size_t len;
	int n = 0;

	snprintf(path, sizeof path, "/proc/%ld/stat", (long)worker());
	p = slurp(path, &len);
	if ((at = strrchr(p, ')')) != NULL)
		n = sscanf(at, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u "
		    "%lu %lu", &user, &sys);
	free(p);
	return n == 2 ? (long)(user + sys) : -1;
}

/*
 * Nothing happens for a while: the loop does not turn, and no time is spent.
 * A loop that never sleeps would turn some thousand times. What came before may
 * still be at work on a slow machine, so there are several tries.
 */
#define IDLE(what) idle(__LINE__, what)
static void
idle(int line, const char *what)
{
	long long turns = 0;
	long ticks = 0;
	int i;

	CASE(what);
	for (i = 0; i < 5; i++) {
		TELL(2);
		turns = counter(&h, "turns");
		ticks = cpu_time();
		nap(300); /* that is what is measured */
		ticks = cpu_time() - ticks;
		turns = counter(&h, "turns") - turns;
		if (turns < 25 && ticks < (WRAPPED ? 25 : 6))
			return;
	}
	test_expect(0, __FILE__, line, "%lld turns and %ld ticks of CPU time "
	    "in 300 ms", turns, ticks);
}

/* ------------------------------------------------------------- connections */

/* That comes, and then the end, though it may be a reset. */
#define ANSWERED(fd, words) answered(__LINE__, fd, words)
static void
answered(int line, int fd, const char *words)
{
	char got[4096];
	size_t len;

	get_all(fd, got, sizeof got, &len);
	test_expect(strncmp(got, words, strlen(words)) == 0 &&
	    (*words != '\0' || len == 0), __FILE__, line, "\"%.200s\", not "
	    "\"%s\"", got, words);
	test_expect(recv(fd, got, 1, 0) <= 0 && errno != EAGAIN, __FILE__,
	    line, "no end after \"%s\"", words);
	close(fd);
}

/* A close that is a reset. */
static void
reset(int fd)
{
	struct linger l = { 1, 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
	close(fd);
}

static int
readable(int fd, int ms)
{
	struct pollfd p;

	p.fd = fd;
	p.events = POLLIN;
	return poll(&p, 1, ms);
}

/* Writes what the peer takes, until it takes nothing for so long. */
static size_t
put_some(int fd, const char *data, size_t len, int ms)
{
	struct pollfd p;
	size_t done = 0;
	ssize_t n;

	p.fd = fd;
	p.events = POLLOUT;
	while (done < len && poll(&p, 1, ms) == 1) {
		n = send(fd, data + done, len - done,
		    MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
			break;
		if (n > 0)
			done += (size_t)n;
	}
	return done;
}

/* An order with a string of len bytes; to be freed. */
static char *
big_order(const char *action, const char *device, size_t len)
{
	char *p = malloc(len + 200);
	int n;

	if (p == NULL)
		give_up("memory");
	n = sprintf(p, "{\"action\":\"%s\",\"device\":\"%s\",\"data\":\"",
	    action, device);
	memset(p + n, 'x', len);
	strcpy(p + n + len, "\"}\n");
	return p;
}

/* Sends that to a client n times, which is more than its kernel takes. */
static void
stuff(const struct client *c, int n)
{
	char *p = big_order("sendToDevice", c->id, 900000);

	for (; n > 0; n--)
		ASK(backend, p, "OK 1\n");
	free(p);
}

/* A certificate and its key, here, under short names. */
static void
link_certificate(void)
{
	char path[4200];

	snprintf(path, sizeof path, "%sp256.pem", certs);
	if (symlink(path, "cert.pem") != 0)
		give_up(path);
	snprintf(path, sizeof path, "%sp256.key", certs);
	if (symlink(path, "key.pem") != 0)
		give_up(path);
}

/* --------------------------------------------------------------- strangers */

/* Bytes that are not what is spoken, the same in every run. */
static void
garbage(unsigned char *p, size_t len, unsigned seed)
{
	while (len-- > 0) {
		seed = seed * 1103515245u + 12345u;
		*p++ = (unsigned char)(seed >> 16);
	}
}

static void
test_other_protocols(void)
{
	static const char hello[] = "\x16\x03\x01\x02\0\1\0\1\xfc\x03\x03";
	static const struct {
		const char *bytes;
		size_t len;
	} t[] = {
#define OTHER(s) { s, sizeof(s) - 1 }
		OTHER("\x16\x03\x01\x02\0\1\0\1\xfc\x03\x03world"),
		OTHER("SSH-2.0-OpenSSH_9.6\r\n"),
		OTHER("EHLO localhost\r\n"),
		OTHER("\0\0\0\0\0\0\0\0"),
		OTHER("\x03\0\0\x13\x0e\xe0\0\0\0\0\0\1\0\x08\0\3\0\0\0"),
		OTHER("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
		OTHER("GET / HTTP/1.1\r\n\x81\x81"),
		OTHER("\x81\x81" "abcde\r\n"),
		OTHER("{\"action\":\"multicast\",\"data\":0}\r\n"),
	};
	unsigned char bytes[4096];
	size_t i;
	int fd;

	CASE("strangers: TLS, SSH and others on the plain port get a 400");
	for (i = 0; i < sizeof t / sizeof *t; i++) {
		fd = dial(h.port[0], 0);
		put(fd, t[i].bytes, t[i].len);
		ANSWERED(fd, "HTTP/1.1 400 ");
	}
	TELL(1);
	CASE("strangers: noise gets a 400, whatever it is");
	for (i = 0; i < MANY(100); i++) {
		garbage(bytes, sizeof bytes, (unsigned)i);
		fd = dial(h.port[0], 0);
		put(fd, bytes, sizeof bytes);
		ANSWERED(fd, "HTTP/1.1 400 ");
	}
	TELL(1);
	if (!with_tls)
		return;

	CASE("strangers: HTTP on the TLS port gets a 400 in plain words");
	fd = dial(h.port[1], 0);
	put(fd, REQUEST, sizeof REQUEST - 1);
	ANSWERED(fd, "HTTP/1.1 400 ");

	CASE("strangers: noise in TLS records is ended");
	for (i = 0; i < MANY(100); i++) {
		garbage(bytes, sizeof bytes, (unsigned)i);
		memcpy(bytes, hello, sizeof hello - 1);
		if (i % 2)
			bytes[5] = (unsigned char)i;
		fd = dial(h.port[1], 0);
		put(fd, bytes, sizeof bytes);
		shutdown(fd, SHUT_WR);
		while (recv(fd, bytes, sizeof bytes, 0) > 0)
			;
		EXPECT(errno != EAGAIN || recv(fd, bytes, 1, 0) == 0,
		    "noise %zu: no end", i);
		close(fd);
	}
	TELL(1);
}

/* In a client that is in, in the middle of a message, after its Close. */
static void
test_noise(void)
{
	static const char *const states[] = {
		"", "\x01\x83\0\0\0\0abc", "\x82\xfe\x01\0\0\0\0\0abc", "\x89",
		"\x81\xff\0\0\0", "\x88\x82\0\0\0\0\x03\xe8"
	};
	static const size_t len[] = { 0, 9, 11, 1, 5, 8 };
	unsigned char bytes[70000], *data;
	struct client c;
	size_t n, i;
	int got;

	CASE("strangers: noise in every state of an open client ends that");
	for (i = 0; i < MANY(300); i++) {
		join(&c, &h);
		put(c.fd, states[i % 6], len[i % 6]);
		garbage(bytes, sizeof bytes, 7 * (unsigned)i);
		put(c.fd, bytes, sizeof bytes);
		if (i % 4 < 2)
			shutdown(c.fd, SHUT_WR);
		while ((got = get_frame(&c, &data, &n)) == 0x8a)
			;
		if (i % 4 >= 2)
			EXPECT(got == 0x88 || got == RESET,
			    "noise %zu: frame %d", i, got);
		while (got >= 0)
			got = get_frame(&c, &data, &n);
		EXPECT(got == AT_END || got == RESET, "noise %zu: end %d", i,
		    got);
		leave(&c);
		if (i % 50 == 0)
			TELL(1);
	}
	await_clients(GOOD);

	CASE("strangers: resets in the middle of heads, frames and answers");
	for (i = 0; i < MANY(600); i++) {
		n = i % (sizeof REQUEST + 20);
		memcpy(bytes, REQUEST, sizeof REQUEST - 1);
		memcpy(bytes + sizeof REQUEST - 1, "\x01\x83\0\0\0\0abc"
		    "\x82\xfe\x01\0\0\0\0\0abc", 20);
		got = dial(h.port[0], 0);
		put(got, bytes, n);
		if (i % 2)
			readable(got, 1);
		reset(got);
		if (i % 50 == 0)
			TELL(1);
	}
	TELL(1);
	await_clients(GOOD);
}

static void
test_half_closed(void)
{
	struct client c;
	int fd, i;

	CASE("strangers: half-closed in the head is the end");
	for (i = 0; i < 3; i++) {
		fd = dial(h.port[0], 0);
		put(fd, REQUEST, (size_t)i * 40);
		shutdown(fd, SHUT_WR);
		ANSWERED(fd, "");
	}
	CASE("strangers: half-closed behind the head is answered, then ended");
	for (i = 0; i < 20; i++) {
		memset(&c, 0, sizeof c);
		c.fd = dial(h.port[0], 0);
		put(c.fd, REQUEST, sizeof REQUEST - 1);
		shutdown(c.fd, SHUT_WR);
		EXPECT(take_opening(&c) == 0, "not in");
		EXPECT(need(&c, 1) == AT_END, "no end");
		leave(&c);
		EXPECT(await_gone(&h, c.id), "%s is still there", c.id);
	}
	CASE("strangers: half-closed in a message, and after a Close");
	for (i = 0; i < 20; i++) {
		join(&c, &h);
		if (i % 2)
			put(c.fd, "\x01\x83\0\0\0\0ab", 8);
		else
			put_frame(&c, 0x88, "\x03\xe8", 2);
		shutdown(c.fd, SHUT_WR);
		if (i % 2)
			EXPECT(need(&c, 1) == AT_END, "no end");
		else
			CLOSED(&c, 1000);
		leave(&c);
	}
	TELL(1);
	await_clients(GOOD);
}

static void
strangers(void)
{
	if (with_tls) {
		link_certificate();
		BEGIN(QUIET_HUB, "-l", "127.0.0.1:%1", "-L", "127.0.0.1:%2",
		    "-c", "cert.pem", "-k", "key.pem");
	} else {
		BEGIN(QUIET_HUB);
	}
	test_other_protocols();
	test_noise();
	test_half_closed();
	FINISH("strangers");
}

/* ---------------------------------------------------------------- backends */

static void
test_broken_off(void)
{
	static const char text[] = "{\"action\":\"multicast\",\"data\":\"no\"}";
	size_t at;
	int fd;

	CASE("backends: a text broken off by half a close is an ERR");
	for (at = 1; at < sizeof text - 1; at++) {
		fd = dial_unix(h.control);
		put(fd, text, at);
		shutdown(fd, SHUT_WR);
		ANSWERED(fd, "ERR");
		if (at % 10 == 0)
			TELL(1);
	}
	CASE("backends: and broken off by a close, it is nothing");
	for (at = 1; at < sizeof text - 1; at++) {
		fd = dial_unix(h.control);
		put(fd, text, at);
		close(fd);
	}
	TELL(2);

	CASE("backends: one that hears nothing more is obeyed, no SIGPIPE");
	for (at = 0; at < 20; at++) {
		fd = dial_unix(h.control);
		shutdown(fd, SHUT_RD);
		put(fd, "{}\n{}\n{}", 8);
		if (at % 2)
			TELL(1);
		put(fd, "{}\n", 3);
		close(fd);
	}
	TELL(2);
}

static void
backends(void)
{
	BEGIN(QUIET_HUB);
	test_broken_off();
	FINISH("backends");
}

/* ----------------------------------------------------------------- readers */

static void
test_never_reads(void)
{
	char *p = big_order("multicast", "", 8192), *data;
	struct client late, never;
	unsigned char *got;
	int i, k, first, n = 0, others = GOOD + 2;
	size_t len;

	CASE("readers: those that never read are cut off, others unharmed");
	join_with(&late, dial(h.port[0], 4096));
	join_with(&never, dial(h.port[0], 4096));
	data = strchr(p, 'x') - 1;
	for (i = 0; i < 5000 && others > GOOD; i++) {
		n = sprintf(data + 1, "%08d", i);
		data[1 + n] = 'x';
		put(backend, p, strlen(p));
		others = atoi(get_line(backend) + 3);
		for (k = 0; k < GOOD; k++)
			FRAME(&good[k], 0x81, data, 8194);
	}
	EXPECT(others == GOOD, "%d clients after %d messages", others, i);
	EXPECT(counter(&h, "cut off") == 2, "%lld cut off", counter(&h,
	    "cut off"));
	TELL(3);

	CASE("readers: one that reads then finds an order kept, and a 1013");
	for (k = 0; (first = get_frame(&late, &got, &len)) == 0x81; k++)
		EXPECT(len == 8194 && atoi((char *)got + 1) == k,
		    "message %d is \"%.10s\" of %zu bytes", k, (char *)got,
		    len);
	EXPECT(k > 0 && k < i, "%d messages of %d", k, i);
	EXPECT(first == 0x88 && len >= 2 && (got[0] << 8 | got[1]) == 1013,
	    "frame %d", first);
	EXPECT(get_frame(&late, &got, &len) == AT_END, "no end");
	leave(&late);
	TELL(1);

	CASE("readers: one that does not is dropped in the end");
	await_clients(GOOD);
	leave(&never);
	free(p);
}

static void
readers(void)
{
	BEGIN(QUIET_HUB, "--queue", "65536");
	test_never_reads();
	FINISH("readers");
}

/* ----------------------------------------------------- signals, and resets */

static long long
queued(void)
{
	return counter(&h, "queued");
}

static void
test_resets(void)
{
	struct client c;
	int i;

	CASE("resets: in the middle of a message, nothing of it stays");
	for (i = 0; i < MANY(20); i++) {
		join_with(&c, dial(h.port[0], 4096));
		stuff(&c, 8);
		EXPECT(queued() > 0, "nothing is queued");
		if (i % 2)
			put(c.fd, "\x01\x83\0\0\0\0a", 7);
		reset(c.fd);
		free(c.buf);
		EXPECT(await_gone(&h, c.id), "%s is still there", c.id);
		TELL(1);
	}
	EXPECT(queued() == 0, "%lld bytes are queued", queued());
}

static void
test_signals(void)
{
	static char all[1000 * 50];
	char want[16];
	const char *reply;
	struct client late[10];
	int i, k, n = 1000;
	size_t len = 0;

	CASE("signals: stopped for a second, nothing is lost");
	kill(worker(), SIGSTOP);
	for (i = 0; i < n; i++)
		len += (size_t)sprintf(all + len, "{\"action\":"
		    "\"multicast\",\"data\":\"%d\"}\n", i);
	put(backend, all, len);
	for (i = 0; i < 10; i++) {
		memset(&late[i], 0, sizeof late[i]);
		late[i].fd = dial(h.port[0], 0);
		put(late[i].fd, REQUEST, sizeof REQUEST - 1);
	}
	QUIET(good[0].fd, 1000);
	kill(worker(), SIGCONT);
	for (i = 0; i < n; i++) {
		reply = get_line(backend);
		EXPECT(strcmp(reply, "OK 3\n") == 0, "reply \"%s\"", reply);
		snprintf(want, sizeof want, "\"%d\"", i);
		for (k = 0; k < GOOD; k++)
			TEXT(&good[k], want);
	}
	for (i = 0; i < 10; i++) {
		EXPECT(take_opening(&late[i]) == 0, "client %d not in", i);
		leave(&late[i]);
	}
	TELL(1);

	CASE("signals: SIGPIPE is nothing to it");
	for (i = 0; i < 3; i++) {
		kill(worker(), SIGPIPE);
		kill(h.pid, SIGPIPE);
		TELL(2);
	}
}

static void
resets(void)
{
	BEGIN(QUIET_HUB, "--queue", "33554432");
	test_resets();
	await_clients(GOOD);
	test_signals();
	await_clients(GOOD);
	FINISH("resets");
}

/* -------------------------------------------------------------------- idle */

static void
idle_backends(void)
{
	int fd[300], i, n = 0;
	char *p = malloc(3000000);
	size_t len;

	for (i = 0, len = 0; i < 1000000; i++, len += 3)
		memcpy(p + len, "{}\n", 3);
	fd[n] = dial_unix(h.control);
	put(fd[n++], "{\"action\":\"multicast\",\"da", 25);
	fd[n] = dial_unix(h.control);
	put(fd[n++], "{}\n[nope", 8);
	IDLE("idle: with a backend in the middle of a text, good and bad");
	fd[n] = dial_unix(h.control);
	put_some(fd[n++], p, len, WRAPPED ? 3000 : 100);
	IDLE("idle: with one that reads no replies");
	shutdown(fd[n - 1], SHUT_WR);
	IDLE("idle: and that has closed its half");
	fd[n] = dial_unix(h.control);
	shutdown(fd[n], SHUT_RD);
	put(fd[n++], "{}\n", 3);
	IDLE("idle: with one that has closed the other half");
	while (n < 270)
		fd[n++] = dial_unix(h.control);
	IDLE("idle: with more backends than there may be");
	while (n > 0)
		close(fd[--n]);
	free(p);
	IDLE("idle: when they all left at once");
}

static void
idle_clients(void)
{
	struct client stuck[2], lingers;
	int fd[60], i;

	for (i = 0; i < 60; i++) {
		fd[i] = dial(h.port[i % 3 == 2 && with_tls], 0);
		if (i % 3 != 0)
			put(fd[i], i % 3 == 1 ? REQUEST : "\x16\x03\x01\x02\0"
			    "\1\0\1\xfc\x03\x03", 11);
	}
	IDLE("idle: with clients in the middle of a head, or silent");
	for (i = 0; i < 60; i++)
		shutdown(fd[i], SHUT_WR);
	IDLE("idle: and that have closed their half");
	for (i = 0; i < 60; i++)
		close(fd[i]);
	for (i = 0; i < 2; i++) {
		join_with(&stuck[i], dial(h.port[0], 4096));
		stuff(&stuck[i], 8);
	}
	IDLE("idle: with clients that do not read what is queued");
	for (i = 0; i < 2; i++)
		put_frame(&stuck[i], 0x88, "\x03\xe8", 2);
	IDLE("idle: and that have sent a Close");
	for (i = 0; i < 2; i++)
		shutdown(stuck[i].fd, SHUT_WR);
	IDLE("idle: and that have closed their half, too");
	join(&lingers, &h);
	put_frame(&lingers, 0x88, "\x03\xe8", 2);
	CLOSED(&lingers, 1000);
	IDLE("idle: with one that does not go when it should");
	put(lingers.fd, REQUEST, sizeof REQUEST - 1);
	IDLE("idle: and that goes on speaking");
	leave(&lingers);
	for (i = 0; i < 2; i++)
		leave(&stuck[i]);
	await_clients(GOOD);
}

static void
idle_hub(void)
{
	if (with_tls) {
		link_certificate();
		BEGIN(QUIET_HUB, "--queue", "33554432", "-l", "127.0.0.1:%1",
		    "-L", "127.0.0.1:%2", "-c", "cert.pem", "-k", "key.pem");
	} else {
		BEGIN(QUIET_HUB, "--queue", "33554432");
	}
	IDLE("idle: with good people only");
	idle_clients();
	idle_backends();
	FINISH("idle");
}

/* No room for more, and more that wait for a 503 or to be accepted at all. */
static void
full_hub(void)
{
	int fd[60], i;

	BEGIN(QUIET_HUB, "--max-clients", "3");
	for (i = 0; i < 60; i++)
		fd[i] = dial(h.port[0], 0);
	IDLE("full: idle with more silent clients than are refused at a time");
	CASE("full: each is told so in its turn");
	for (i = 0; i < 60; i++)
		put(fd[i], REQUEST, sizeof REQUEST - 1);
	for (i = 0; i < 60; i++)
		ANSWERED(fd[i], "HTTP/1.1 503 ");
	EXPECT(counter(&h, "refused") == 60, "%lld refused", counter(&h,
	    "refused"));
	await_clients(GOOD);
	FINISH("full");
}

static struct test_group all_groups[] = {
	{ .name = "readers", .run = readers },
	{ .name = "resets", .run = resets },
	{ .name = "idle", .run = idle_hub },
	{ .name = "full", .run = full_hub },
	{ .name = "strangers", .run = strangers },
	{ .name = "backends", .run = backends },
};

int
main(int argc, char **argv)
{
	return run_groups(argc, argv, all_groups,
	    (int)(sizeof all_groups / sizeof *all_groups));
}
