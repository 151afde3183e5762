/* wshub: ISC licence, see LICENSE. */
/*
 * Where the real binary listens, and the limits that it promises, each crossed.
 */
#define _GNU_SOURCE
#include "hub.h"

#ifdef __linux__
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#endif

/* -------------------------------------------------------------- listeners */

/* From that address, or any, to [to]:port: -1 if it cannot. */
static int
dial6(const char *from, const char *to, int port)
{
	struct sockaddr_in6 in;
	int fd = socket(AF_INET6, SOCK_STREAM, 0);

	if (fd == -1)
		return -1;
	limit_waits(fd);
	memset(&in, 0, sizeof in);
	in.sin6_family = AF_INET6;
	if (from != NULL && (inet_pton(AF_INET6, from, &in.sin6_addr) != 1 ||
	    bind(fd, (struct sockaddr *)&in, sizeof in) == -1))
		goto fail;
	in.sin6_port = htons((unsigned short)port);
	if (inet_pton(AF_INET6, to, &in.sin6_addr) != 1 ||
	    connect(fd, (struct sockaddr *)&in, sizeof in) == -1)
		goto fail;
	return fd;
fail:
	close(fd);
	return -1;
}

static int
have_ipv6(void)
{
	struct sockaddr_in6 in;
	int fd = socket(AF_INET6, SOCK_STREAM, 0), have;

	memset(&in, 0, sizeof in);
	in.sin6_family = AF_INET6;
	in.sin6_addr = in6addr_loopback;
	have = fd != -1 && bind(fd, (struct sockaddr *)&in, sizeof in) == 0;
	if (fd != -1)
		close(fd);
	return have;
}

/* A client on that connection gets in, and hears something. */
static void
try_client(const struct hub *h, int fd)
{
	struct client c;

	if (fd == -1) {
		EXPECT(0, "it cannot connect: %s", strerror(errno));
		return;
	}
	memset(&c, 0, sizeof c);
	join_with(&c, fd);
	ORDER(h, M1, "OK 1\n");
	TEXT(&c, "1");
	leave(&c);
	EXPECT(await_gone(h, c.id), "it does not leave");
}

/* Listens at 127.0.0.1:port; -1 if somebody else does. */
static int
occupy(int port)
{
	struct sockaddr_in in;
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	memset(&in, 0, sizeof in);
	in.sin_family = AF_INET;
	in.sin_port = htons((unsigned short)port);
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(fd, (struct sockaddr *)&in, sizeof in) == 0 &&
	    listen(fd, 1) == 0)
		return fd;
	close(fd);
	return -1;
}

static void
listeners(void)
{
	struct hub h = { 0 };
	char address[64];
	struct stat st;
	int fd, port, i;

	CASE("listeners: by name, all addresses, and several");
	START(&h, QUIET_HUB, "-l", "localhost:%1", "-l", "0.0.0.0:%2");
	try_client(&h, dial(h.port[0], 0));
	try_client(&h, dial(h.port[1], 0));
	STOP(&h);
	START(&h, QUIET_HUB, "-l", ":%1");
	try_client(&h, dial(h.port[0], 0));
	if (have_ipv6())
		try_client(&h, dial6(NULL, "::1", h.port[0]));
	STOP(&h);

	CASE("listeners: a Unix socket, for anybody, removed at the end");
	START(&h, QUIET_HUB, "-l", "unix:clients", "-l", "127.0.0.1:%1");
	EXPECT(file_has(h.log, "listening on ws://unix:clients\n"),
	    "it does not say so");
	EXPECT(lstat("clients", &st) == 0 && (st.st_mode & 0777) == 0666,
	    "mode %o", (unsigned)st.st_mode & 07777);
	try_client(&h, dial_unix("clients"));
	try_client(&h, dial(h.port[0], 0));
	STOP(&h);
	EXPECT(lstat("clients", &st) == -1, "it is still there");

	if (have_ipv6()) {
		CASE("listeners: [::1], beside 127.0.0.1 on the same port");
		START(&h, QUIET_HUB, "-l", "[::1]:%1", "-l", "127.0.0.1:%1");
		snprintf(address, sizeof address, "listening on ws://[::1]:%d",
		    h.port[0]);
		EXPECT(file_has(h.log, address), "it does not say so");
		try_client(&h, dial6(NULL, "::1", h.port[0]));
		try_client(&h, dial(h.port[0], 0));
		STOP(&h);
	} else {
		test_skip("listeners: [::1]", "no IPv6 here");
	}

	CASE("listeners: a port in use, and nothing is left");
	while ((fd = occupy(port = free_port())) == -1)
		;
	snprintf(address, sizeof address, "127.0.0.1:%d", port);
	COMMAND(1, NULL, "in use", "-s", "x.sock", "-l", "unix:first", "-l",
	    address);
	EXPECT(strstr(did.err, address) != NULL, "which? \"%s\"", did.err);
	EXPECT(lstat("x.sock", &st) == -1 && lstat("first", &st) == -1,
	    "it leaves its sockets");
	close(fd);

	CASE("listeners: 127.0.0.1:8080 where none is given");
	/* Another test may have it just now, and another's it may stay. */
	for (i = 0; (fd = occupy(8080)) == -1 && i < 200; i++)
		nap(10);
	COMMAND(1, NULL, "127.0.0.1:8080: Address ", "-s", "x.sock");
	if (fd != -1)
		close(fd);
}

/* ----------------------------------------------------------------- limits */

/* One that is refused: 503, Retry-After, and the end. */
static void
turned_away(int fd)
{
	char answer[4096];
	size_t len;

	if (fd == -1) {
		EXPECT(0, "it cannot connect: %s", strerror(errno));
		return;
	}
	put(fd, REQUEST, sizeof REQUEST - 1);
	EXPECT(get_all(fd, answer, sizeof answer, &len) &&
	    strncmp(answer, "HTTP/1.1 503 Service Unavailable\r\n", 34) == 0 &&
	    strstr(answer, "\r\nRetry-After: ") != NULL &&
	    strstr(answer, "\r\nConnection: close\r\n") != NULL &&
	    strstr(answer, "too many clients\n") != NULL,
	    "\"%s\" is no 503", answer);
	close(fd);
}

static int
dial_from(const char *from, int port)
{
	struct sockaddr_in in;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	limit_waits(fd);
	memset(&in, 0, sizeof in);
	in.sin_family = AF_INET;
	inet_pton(AF_INET, from, &in.sin_addr);
	if (bind(fd, (struct sockaddr *)&in, sizeof in) == -1) {
		close(fd);
		return -1;
	}
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	in.sin_port = htons((unsigned short)port);
	if (connect(fd, (struct sockaddr *)&in, sizeof in) == -1)
		give_up("connect");
	return fd;
}

#define RESUMABLE "GET /?resume HTTP/1.1\r\n" UPGRADE "\r\n"

static void
numbers(void)
{
	struct hub h = { 0 };
	struct client c[4];
	char opening[1024] = "";
	size_t len;
	ssize_t n;
	int fd[40], i;

	CASE("--max-clients: 503 beyond, and again room when one leaves");
	START(&h, QUIET_HUB, "--max-clients", "3");
	for (i = 0; i < 3; i++)
		join(&c[i], &h);
	for (i = 0; i < 3; i++)
		turned_away(dial(h.port[0], 0));
	ORDER(&h, M1, "OK 3\n");
	leave(&c[1]);
	EXPECT(await_gone(&h, c[1].id), "it does not leave");
	join(&c[1], &h);
	turned_away(dial(h.port[0], 0));
	EXPECT(counter(&h, "refused") == 4, "%lld are counted",
	    counter(&h, "refused"));

	CASE("--max-clients: 40 at once are all told");
	for (i = 0; i < 40; i++)
		fd[i] = dial(h.port[0], 0);
	for (i = 39; i >= 0; i--)
		put(fd[i], REQUEST, sizeof REQUEST - 1);
	for (i = 0; i < 40; i++)
		turned_away(fd[i]);
	TEXT(&c[0], "1");
	for (i = 0; i < 3; i++)
		leave(&c[i]);
	STOP(&h);

	CASE("--max-per-ip: 503 beyond, others and Unix sockets get in");
	START(&h, QUIET_HUB, "--max-per-ip", "2", "-l", "0.0.0.0:%1", "-l",
	    "unix:clients");
	join(&c[0], &h);
	join(&c[1], &h);
	turned_away(dial(h.port[0], 0));
	for (i = 0; i < 4; i++)
		fd[i] = dial_unix("clients");
	for (i = 0; i < 4; i++) {
		struct client u;

		memset(&u, 0, sizeof u);
		join_with(&u, fd[i]);
		leave(&u);
		EXPECT(await_gone(&h, u.id), "it does not leave");
	}
	if ((fd[0] = dial_from("127.0.0.2", h.port[0])) != -1) {
		memset(&c[2], 0, sizeof c[2]);
		join_with(&c[2], fd[0]);
		memset(&c[3], 0, sizeof c[3]);
		join_with(&c[3], dial_from("127.0.0.2", h.port[0]));
		turned_away(dial_from("127.0.0.2", h.port[0]));
		leave(&c[2]);
		leave(&c[3]);
		EXPECT(await_gone(&h, c[2].id) && await_gone(&h, c[3].id),
		    "they do not leave");
	}
	turned_away(dial(h.port[0], 0));
	leave(&c[0]);
	EXPECT(await_gone(&h, c[0].id), "it does not leave");
	join(&c[0], &h);
	turned_away(dial(h.port[0], 0));
	leave(&c[0]);
	leave(&c[1]);
	STOP(&h);

	CASE("--max-per-ip: what a session leaves open counts");
	START(&h, QUIET_HUB, "--max-per-ip", "2");
	fd[0] = dial(h.port[0], 0);
	put(fd[0], RESUMABLE, sizeof RESUMABLE - 1);
	for (len = 0; len < sizeof opening - 1 && (len == 0 ||
	    strstr(opening, "}}") == NULL); len += (size_t)n) {
		n = recv(fd[0], opening + len, sizeof opening - 1 - len, 0);
		if (n <= 0)
			break;
		opening[len + (size_t)n] = '\0';
	}
	put(fd[0], "\x88\x82\0\0\0\0\x0f\xa0", 8); /* Close 4000 */
	n = recv(fd[0], opening, 4, MSG_WAITALL);
	EXPECT(n == 4 && memcmp(opening, "\x88\x02\x0f\xa0", 4) == 0,
	    "no Close in answer");
	turned_away(dial(h.port[0], 0));
	close(fd[0]);
	STOP(&h);

	CASE("--max-clients: more than RLIMIT_NOFILE allows is an error");
	memset(&h, 0, sizeof h);
	h.nofile = 128;
	i = start(&h, ARGS(QUIET_HUB, "--max-clients", "1000"));
	EXPECT(i == 1 && file_has(h.log, "RLIMIT_NOFILE does not allow"),
	    "exit status %d", i);
}

#ifdef __linux__
/* An address may be tentative at first (RFC 4862): 1 when it is ours. */
static int
usable(const char *address)
{
	struct sockaddr_in6 in;
	long long end = now() + patience;
	int fd, done = 0;

	memset(&in, 0, sizeof in);
	in.sin6_family = AF_INET6;
	inet_pton(AF_INET6, address, &in.sin6_addr);
	while (!done && now() < end) {
		fd = socket(AF_INET6, SOCK_STREAM, 0);
		done = bind(fd, (struct sockaddr *)&in, sizeof in) == 0;
		close(fd);
		if (!done)
			nap(5);
	}
	return done;
}
#endif

/* A net of our own, with addresses of two /64s on its loopback: 0, or -1. */
static int
own_net(void)
{
#ifdef __linux__
	static const char *const addresses[] = {
		"2001:db8::1", "2001:db8::2", "2001:db8::3:4:5:6",
		"2001:db8:0:1::1"
	};
	struct { /* struct in6_ifreq, whose header does not go with libc's */
		struct in6_addr address;
		uint32_t prefix;
		int index;
	} r6;
	struct ifreq r;
	int fd = -1, ok;
	size_t i;

	if (unshare(CLONE_NEWNET) == -1 &&
	    unshare(CLONE_NEWUSER | CLONE_NEWNET) == -1)
		return -1;
	memset(&r, 0, sizeof r);
	strcpy(r.ifr_name, "lo");
	r.ifr_flags = IFF_UP | IFF_LOOPBACK;
	fd = socket(AF_INET6, SOCK_STREAM, 0);
	ok = fd != -1 && ioctl(fd, SIOCSIFFLAGS, &r) == 0;
	for (i = 0; ok && i < sizeof addresses / sizeof *addresses; i++) {
		memset(&r6, 0, sizeof r6);
		inet_pton(AF_INET6, addresses[i], &r6.address);
		r6.prefix = 64;
		r6.index = (int)if_nametoindex("lo");
		ok = ioctl(fd, SIOCSIFADDR, &r6) == 0;
	}
	close(fd);
	for (i = 0; ok && i < sizeof addresses / sizeof *addresses; i++)
		ok = usable(addresses[i]);
	return ok ? 0 : -1;
#else
	return -1;
#endif
}

static void
networks(void)
{
	static const char all[] = "--max-per-ip: a /64 counts as one";
	struct hub h = { 0 };
	struct client c, d;

	if (own_net() == -1) {
		test_skip(all, "no net of our own to be had");
		return;
	}
	CASE(all);
	START(&h, QUIET_HUB, "--max-per-ip", "1", "-l",
	    "[2001:db8::1]:%1");
	memset(&c, 0, sizeof c);
	join_with(&c, dial6("2001:db8::2", "2001:db8::1", h.port[0]));
	turned_away(dial6("2001:db8::2", "2001:db8::1", h.port[0]));
	turned_away(dial6("2001:db8::3:4:5:6", "2001:db8::1", h.port[0]));
	memset(&d, 0, sizeof d);
	join_with(&d, dial6("2001:db8:0:1::1", "2001:db8::1", h.port[0]));
	ORDER(&h, M1, "OK 2\n");
	leave(&c);
	EXPECT(await_gone(&h, c.id), "it does not leave");
	memset(&c, 0, sizeof c);
	join_with(&c, dial6("2001:db8::3:4:5:6", "2001:db8::1", h.port[0]));
	leave(&c);
	leave(&d);
	STOP(&h);
}

/* A host twice in a file of hosts that only we see. */
static void
hosts(void)
{
	static const char twice[] = "listeners: a host that /etc/hosts has "
	    "twice";
#ifdef __linux__
	struct hub h = { 0 };
	struct client c;

	spill("hosts", "127.0.0.1 localhost\n127.0.0.1 localhost\n", 40);
	if (unshare(CLONE_NEWNS) == -1 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == -1 ||
	    mount("hosts", "/etc/hosts", NULL, MS_BIND, NULL) == -1) {
		test_skip(twice, "no mounts of our own to be had");
		return;
	}
	CASE(twice);
	START(&h, QUIET_HUB, "-l", "localhost:%1");
	join(&c, &h);
	leave(&c);
	STOP(&h);
#else
	test_skip(twice, "no mounts of our own to be had");
#endif
}

/* A slow client and one that reads; the slow one is cut off by --queue. */
static void
slow_reader(char *option, char *bytes)
{
	struct hub h = { 0 };
	struct client slow, quick;
	unsigned char *data;
	char *p = sized(100000, "\n");
	size_t len;
	int fd, i, got = 0, sent, both = 1;

	START(&h, QUIET_HUB, option, bytes);
	memset(&slow, 0, sizeof slow);
	join_with(&slow, dial(h.port[0], 4096));
	join(&quick, &h);
	fd = dial_unix(h.control);
	for (sent = 0; sent < 500 && both; sent++) {
		memcpy(p + 30, "seq", 3);
		p[33] = (char)('a' + sent % 26);
		put(fd, p, strlen(p));
		both = strcmp(get_line(fd), "OK 2\n") == 0;
		if (!FRAME(&quick, 0x81, p + 29, 100000))
			break;
	}
	EXPECT(!both, "it is not cut off after %d messages", sent);
	for (i = 0; (got = get_frame(&slow, &data, &len)) == 0x81; i++)
		if (len != 100000 || data[4] != (unsigned char)('a' + i % 26))
			break;
	EXPECT(got == 0x88 && len >= 2 && (data[0] << 8 | data[1]) == 1013,
	    "after %d messages: frame %d, not Close 1013", i, got);
	EXPECT(i > 0 && i < sent, "%d of %d messages came", i, sent);
	EXPECT(counter(&h, "cut off") == 1, "%lld were cut off",
	    counter(&h, "cut off"));
	EXPECT(file_has(h.log, "text=\"reads too slowly\""), "not logged");
	ASK(fd, M1 "\n", "OK 1\n");
	TEXT(&quick, "1");
	close(fd);
	leave(&slow);
	leave(&quick);
	STOP(&h);
	free(p);
}

static void
queues(void)
{
	CASE("--queue: a client that does not read gets Close 1013, the rest "
	    "everything");
	slow_reader("--queue", "200000");
	CASE("--queue-total: the same");
	slow_reader("--queue-total", "900000");
}

/*
 * One backend writes 8,400 small multicasts for 100 clients at once: nobody
 * misses any, and the peaks that the hub has counted are bounded.
 */
static void
flood(void)
{
	enum { CLIENTS = 100, FLOOD = 8400, TOTAL = 1048576 };
	static struct client c[CLIENTS];
	static struct pollfd p[CLIENTS + 1];
	static size_t got[CLIENTS + 1];
	static char text[31 * FLOOD], buf[65536];
	struct hub h = { 0 };
	long long end, most;
	size_t at = 0;
	ssize_t n;
	int i, done;

	CASE("--queue-total: 8,400 multicasts in one write, to 100 that read");
	START(&h, QUIET_HUB, "--queue-total", "1048576");
	for (i = 0; i < CLIENTS; i++) {
		join(&c[i], &h);
		p[i].fd = c[i].fd;
		p[i].events = POLLIN;
	}
	for (i = 0; i < FLOOD; i++)
		memcpy(text + 31 * i, M1, 31);
	p[CLIENTS].fd = dial_unix(h.control);
	for (end = now() + 3 * patience, done = 0; done <= CLIENTS &&
	    now() < end;) {
		p[CLIENTS].events = (short)(at < sizeof text ?
		    POLLIN | POLLOUT : POLLIN);
		(void)poll(p, CLIENTS + 1, 100);
		for (i = 0, done = 0; i <= CLIENTS; i++) {
			if ((p[i].revents & POLLIN) != 0 &&
			    (n = recv(p[i].fd, buf, sizeof buf, 0)) > 0)
				got[i] += (size_t)n;
			done += got[i] == (i < CLIENTS ? 3 : 2) * (size_t)FLOOD;
		}
		if ((p[CLIENTS].revents & POLLOUT) != 0 &&
		    (n = send(p[CLIENTS].fd, text + at, sizeof text - at,
		    MSG_DONTWAIT | MSG_NOSIGNAL)) > 0)
			at += (size_t)n;
	}
	EXPECT(done == CLIENTS + 1, "%d of %d have all", done, CLIENTS + 1);
	EXPECT(counter(&h, "cut off") == 0, "%lld were cut off",
	    counter(&h, "cut off"));
	/* With the last object before a flush, every ring may double. */
	most = counter(&h, "most queued");
	EXPECT(most > 0 && most <= 2 * TOTAL, "%lld bytes were queued", most);
	EXPECT(counter(&h, "queued") == 0, "%lld bytes are",
	    counter(&h, "queued"));
	close(p[CLIENTS].fd);
	for (i = 0; i < CLIENTS; i++)
		leave(&c[i]);
	STOP(&h);
}

/* How many clients the hub says that it lets in. */
static int
limit_of(const struct hub *h)
{
	char *log, *at;
	size_t len;
	int limit;

	(void)counter(h, "accepted");
	log = slurp(h->log, &len);
	at = strstr(log, " limit ");
	limit = at != NULL ? atoi(at + 7) : 0;
	free(log);
	return limit;
}

static void
descriptors(void)
{
	struct hub h = { 0 };
	struct client *c;
	char want[32];
	int limit, i, idle[60];

	CASE("RLIMIT_NOFILE: clients are refused, backends are served");
	h.nofile = wrap[0] != NULL ? 128 : 48;
	START(&h, QUIET_HUB);
	limit = limit_of(&h);
	EXPECT(wrap[0] != NULL ? limit > 8 && limit < 100 : limit == 24,
	    "the limit is %d clients", limit);
	if (limit <= 0 || (c = calloc((size_t)limit, sizeof *c)) == NULL)
		give_up("no limit");
	for (i = 0; i < limit; i++)
		join(&c[i], &h);
	snprintf(want, sizeof want, "OK %d\n", limit);
	turned_away(dial(h.port[0], 0));
	ORDER(&h, M1, want);
	for (i = 0; i < 60; i++)
		idle[i] = dial(h.port[0], 0);
	turned_away(idle[0]);
	for (i = 0; i < 20; i++)
		ORDER(&h, M1, want);
	EXPECT(!file_has(h.log, "accept: "), "it has run out of descriptors");
	for (i = 1; i < 60; i++)
		close(idle[i]);
	for (i = 0; i < 21; i++)
		TEXT(&c[0], "1");
	for (i = 0; i < limit; i++)
		leave(&c[i]);
	STOP(&h);

	CASE("RLIMIT_NOFILE: backends leave room for clients, and wait");
	START(&h, QUIET_HUB);
	for (i = 0; i < 60; i++)
		idle[i] = dial_unix(h.control);
	for (i = 0; i < limit; i++)
		join(&c[i], &h);
	put(idle[59], M1, sizeof M1 - 1);
	QUIET(idle[59], 100);
	EXPECT(!file_has(h.log, "accept: "), "it has run out of descriptors");
	for (i = 0; i < 59; i++)
		close(idle[i]);
	REPLY(idle[59], "OK");
	close(idle[59]);
	for (i = 0; i < limit; i++)
		leave(&c[i]);
	free(c);
	STOP(&h);
}

/* Sets how many descriptors we may have ourselves: 0, or -1. */
static int
own_limit(rlim_t n)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim) != 0 || lim.rlim_max < 2000)
		return -1;
	lim.rlim_cur = n;
	return setrlimit(RLIMIT_NOFILE, &lim);
}

/* 256 for backends, 16 for who is being refused, 48 for the rest. */
static void
kept_back(void)
{
	enum { CLIENTS = 1000 - 256 - 16 - 48, BACKENDS = 256, REFUSED = 16 };
	static const char name[] = "RLIMIT_NOFILE: of 1000 descriptors 320 are "
	    "kept back, which is enough";
	static struct client c[CLIENTS];
	int fd[BACKENDS], idle[REFUSED], i;
	struct hub h = { 0 };

	/* What runs the hub may have a limit and descriptors of its own. */
	if (wrap[0] != NULL || own_limit(2000) != 0) {
		test_skip(name, "we have fewer, or a wrapper has some");
		return;
	}
	CASE("RLIMIT_NOFILE: half of them up to 640");
	for (i = 600; i <= 641; i += 41) {
		h.nofile = i;
		START(&h, QUIET_HUB);
		EXPECT(limit_of(&h) == (i == 600 ? 300 : 321), "of %d "
		    "descriptors %d are clients'", i, limit_of(&h));
		STOP(&h);
	}

	CASE(name);
	h.nofile = 1000;
	START(&h, QUIET_HUB);
	for (i = 0; i < CLIENTS; i++)
		join(&c[i], &h);
	turned_away(dial(h.port[0], 0));
	for (i = 0; i < REFUSED; i++)
		idle[i] = dial(h.port[0], 0);
	for (i = 0; i < BACKENDS; i++) {
		fd[i] = dial_unix(h.control);
		ASK(fd[i], NONE "\n", "OK 0\n");
	}
	ASK(fd[0], M1 "\n", "OK 680\n");
	for (i = 0; i < BACKENDS; i++)
		close(fd[i]);
	for (i = 0; i < REFUSED; i++)
		turned_away(idle[i]);
	for (i = 0; i < CLIENTS; i++) {
		TEXT(&c[i], "1");
		leave(&c[i]);
	}
	EXPECT(!file_has(h.log, "accept: "), "it has run out of descriptors");
	STOP(&h);
}

static void
soft_limit(void)
{
	static const char name[] = "RLIMIT_NOFILE: a soft limit of 128 is "
	    "raised to the hard one";
	struct hub h = { 0 };

	if (wrap[0] != NULL || own_limit(128) != 0) {
		test_skip(name, "there is no higher, or a wrapper has its own");
		return;
	}
	CASE(name);
	START(&h, QUIET_HUB);
	EXPECT(limit_of(&h) > 1000, "the limit is %d clients", limit_of(&h));
	STOP(&h);
}

static struct test_group all_groups[] = {
	{ .name = "listeners", .run = listeners },
	{ .name = "numbers", .run = numbers },
	{ .name = "networks", .run = networks },
	{ .name = "hosts", .run = hosts },
	{ .name = "queues", .run = queues },
	{ .name = "flood", .run = flood },
	{ .name = "descriptors", .run = descriptors },
	{ .name = "kept_back", .run = kept_back },
	{ .name = "soft_limit", .run = soft_limit },
};

int
main(int argc, char **argv)
{
	return run_groups(argc, argv, all_groups,
	    (int)(sizeof all_groups / sizeof *all_groups));
}
