/* wshub: ISC licence, see LICENSE. */
/*
 * The real binary behind proxies, which are played here: the addresses of their
 * clients in the log and for --max-per-ip, and what nobody is believed. All
 * connections come from 127.0.0.1, which a hub trusts or does not. TLS behind a
 * PROXY header is in e2e_tls.c, real proxies in test/all/proxies.
 */
#define _GNU_SOURCE
#include "hub.h"

#define TRUST "--trust", "127.0.0.1"
#define V1(address) "PROXY TCP4 " address " 127.0.0.1 5000 80\r\n"
#define V2 "\r\n\r\n\0\r\nQUIT\n"

/* A request with these fields, to that target. */
static const char *
request(const char *target, const char *fields)
{
	static char text[40000];

	snprintf(text, sizeof text, "GET %s HTTP/1.1\r\n" UPGRADE "%s\r\n",
	    target, fields);
	return text;
}

static void
say(int fd, const char *text)
{
	put(fd, text, strlen(text));
}

/* What ws_address writes for our end. */
static const char *
own_address(int fd)
{
	static char name[64];
	struct sockaddr_in in;
	socklen_t len = sizeof in;

	memset(&in, 0, sizeof in);
	getsockname(fd, (struct sockaddr *)&in, &len);
	snprintf(name, sizeof name, "127.0.0.1:%u",
	    (unsigned)ntohs(in.sin_port));
	return name;
}

/*
 * The log has a line about a client of that address, NULL: ours, that begins
 * with word, and has that text.
 */
#define LOGGED(h, fd, address, word, text) \
    logged(__FILE__, __LINE__, h, fd, address, word, text)
#define FAILED(h, fd, address, error) \
    LOGGED(h, fd, address, "failed", "text=\"" error "\"")
static void
logged(const char *file, int line, const struct hub *h, int fd,
    const char *address, const char *word, const char *text)
{
	char begin[400], end[400], *log, *p, *rest;
	long long until = now() + patience;
	size_t len;
	int found = 0;

	snprintf(begin, sizeof begin, "wshub: client %s: %s: ",
	    address != NULL ? address : own_address(fd), word);
	snprintf(end, sizeof end, "%s\n", text);
	while (!found && now() < until) {
		log = slurp(h->log, &len);
		for (p = log; !found && (p = strstr(p, begin)) != NULL; p++) {
			rest = strstr(p, end);
			found = rest != NULL && strchr(p, '\n') > rest;
		}
		free(log);
		if (!found)
			nap(5);
	}
	test_expect(found, file, line, "the log is without \"%s\" and \"%s\"",
	    begin, text);
}

/* A client that gets in, in the log with that address. */
static void
enters(const struct hub *h, int fd, const char *address)
{
	struct client c;
	char words[64];
	int in;

	memset(&c, 0, sizeof c);
	c.fd = fd;
	in = take_opening(&c) == 0;
	EXPECT(in, "%s: it does not get in", address != NULL ? address : "");
	if (in) {
		snprintf(words, sizeof words, "tls=no device=\"%s\"", c.id);
		LOGGED(h, fd, address, "opened", words);
	}
	leave(&c);
	if (in)
		EXPECT(await_gone(h, c.id), "it does not leave");
}

/* It is closed without an answer. */
#define DROPPED(fd) dropped(__FILE__, __LINE__, fd)
static void
dropped(const char *file, int line, int fd)
{
	char byte;
	ssize_t n = recv(fd, &byte, 1, 0);

	test_expect(n == 0 || (n < 0 && errno == ECONNRESET), file, line,
	    "%s", n > 0 ? "it is answered" : "it stays open");
	close(fd);
}

#define STATUS(fd, want) status(__FILE__, __LINE__, fd, want)
static void
status(const char *file, int line, int fd, const char *want)
{
	char answer[4096];
	size_t len;

	(void)get_all(fd, answer, sizeof answer, &len);
	test_expect(strncmp(answer, "HTTP/1.1 ", 9) == 0 &&
	    strncmp(answer + 9, want, strlen(want)) == 0, file, line,
	    "\"%s\", not %s", answer, want);
	close(fd);
}

/* ---------------------------------------------------------------- options */

static void
options(void)
{
	static const char *const wrong[] = {
		"", "localhost", "10.0.0.1/8", "10.0.0.0/33", "::1/129",
		"127.0.0.1:80", "unix:/run/x"
	};
	char words[128];
	char names[65][24], *many[67];
	size_t i;

	CASE("--trust: what is not valid is a usage error that says why");
	for (i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		snprintf(words, sizeof words, "wshub: --trust %s: ", wrong[i]);
		COMMAND(2, NULL, words, "-n", "--trust", (char *)wrong[i]);
	}
	COMMAND(2, NULL, "--trust 10.0.0.1/8: ADDRESS has bits set after the "
	    "first BITS\n", "-n", "--trust", "10.0.0.1/8");
	COMMAND(0, NULL, NULL, "-n", "--trust", "10.0.0.0/8", "--trust",
	    "unix", "--trust", "fd00::/8", "--trust", "::1");

	CASE("--trust: 64 times and no more");
	for (i = 0; i < 65; i++) {
		snprintf(names[i], sizeof names[i], "--trust=10.0.0.%u",
		    (unsigned)i);
		many[i + 1] = names[i];
	}
	many[0] = (char *)"-n";
	many[65] = NULL;
	command(NULL, many);
	command_is(__FILE__, __LINE__, 0, NULL, NULL);
	many[65] = names[64];
	many[66] = NULL;
	command(NULL, many);
	command_is(__FILE__, __LINE__, 2, NULL, "more than 64 addresses");

	CASE("--proxy-protocol: not without --trust");
	COMMAND(2, NULL, "--proxy-protocol needs --trust\n", "-n",
	    "--proxy-protocol");
	COMMAND(0, NULL, NULL, "-n", "--proxy-protocol", TRUST);
}

/* -------------------------------------------------------- X-Forwarded-For */

#define XFF "X-Forwarded-For: "

static void
forwarded(void)
{
	static const struct {
		const char *fields, *address; /* NULL: our own */
	} list[] = {
		{ "", NULL },
		{ XFF "192.0.2.1\r\n", "192.0.2.1" },
		{ "x-forwarded-for:192.0.2.1:5000\r\n", "192.0.2.1:5000" },
		{ XFF "2001:db8::1\r\n", "2001:db8::1" },
		{ XFF "[2001:db8::1]:5000\r\n", "[2001:db8::1]:5000" },
		{ XFF "192.0.2.9, 192.0.2.1, 10.0.0.7\r\n", "192.0.2.1" },
		{ XFF "192.0.2.9\r\n" XFF "192.0.2.1\r\n", "192.0.2.1" },
		{ XFF "192.0.2.1\r\nA: b\r\n" XFF "127.0.0.1\r\n",
		    "192.0.2.1" },
		{ XFF "10.0.0.1\r\n", "10.0.0.1" },
		{ XFF "unknown\r\n", NULL },
		{ XFF "192.0.2.1, _gazonk\r\n", NULL },
		{ XFF "\r\n", NULL },
		{ "Forwarded: for=192.0.2.1\r\nX-Real-IP: 192.0.2.1\r\n",
		    NULL },
	};
	static const struct {
		const char *text, *status, *address, *error;
	} refused[] = {
		{ "GET / HTTP/1.1\r\nHost: a\r\n" XFF "192.0.2.81\r\n\r\n",
		    "426", "192.0.2.81",
		    "text=\"a WebSocket upgrade is needed here\"" },
		{ "GET / HTTP/1.1\r\n" XFF "192.0.2.82\r\n\r\n",
		    "400", "192.0.2.82", "text=\"no Host header\"" },
		{ "GET / HTTP/1.1\r\n" XFF "192.0.2.83\r\n"
		    XFF "192.0.2.8\n",
		    "400", "192.0.2.83", "text=\"bare line feed\"" },
	};
	struct hub h = { 0 };
	const char *text;
	size_t i, k;
	int fd;

	CASE("X-Forwarded-For: from a trusted peer, in the log");
	START(&h, "-v", QUIET_HUB, TRUST, "--trust", "10.0.0.0/8",
	    "--trust", "unix", "-l", "127.0.0.1:%1", "-l", "unix:clients");
	for (i = 0; i < sizeof list / sizeof *list; i++) {
		fd = dial(h.port[0], 0);
		say(fd, request("/a?b=c", list[i].fields));
		enters(&h, fd, list[i].address);
	}

	CASE("X-Forwarded-For: through a Unix socket");
	fd = dial_unix("clients");
	say(fd, request("/", XFF "192.0.2.1:7\r\n"));
	enters(&h, fd, "192.0.2.1:7");
	fd = dial_unix("clients");
	say(fd, request("/", ""));
	enters(&h, fd, "unix");

	CASE("X-Forwarded-For: byte by byte");
	fd = dial(h.port[0], 0);
	text = request("http://a/b", XFF "192.0.2.77:4\r\n");
	for (i = 0; text[i] != '\0'; i++)
		put(fd, text + i, 1);
	enters(&h, fd, "192.0.2.77:4");

	CASE("X-Forwarded-For: of requests that are refused, too");
	for (i = 0; i < sizeof refused / sizeof *refused; i++) {
		fd = dial(h.port[0], 0);
		say(fd, refused[i].text);
		STATUS(fd, refused[i].status);
		LOGGED(&h, fd, refused[i].address, "refused",
		    refused[i].error);
	}

	CASE("X-Forwarded-For: one without an end is an endless head");
	fd = dial(h.port[0], 0);
	say(fd, "GET / HTTP/1.1\r\nHost: a\r\n" XFF);
	for (i = 0; i < 4000 && put(fd, "192.0.2.1,", 10) == 0; i++)
		;
	STATUS(fd, "431");
	EXPECT(await(h.log, "text=\"request head over 32 KiB\"\n"),
	    "not so in the log");
	STOP(&h);

	CASE("X-Forwarded-For: from others it is not believed");
	for (k = 0; k < 2; k++) {
		if (k == 0)
			START(&h, "-v", QUIET_HUB, "--trust", "192.0.2.0/24",
			    "--trust", "unix", "--trust", "::/0");
		else
			START(&h, "-v", QUIET_HUB);
		for (i = 0; i < 4; i++) {
			fd = dial(h.port[0], 0);
			say(fd, request("/a", list[i].fields));
			enters(&h, fd, NULL);
		}
		STOP(&h);
	}
}

/* ------------------------------------------------------------- max-per-ip */

/* Sends a request of that client, behind a header if there is one. */
static int
call(const struct hub *h, const char *header, const char *target,
    const char *from)
{
	int fd = dial(h->port[0], 0);
	char field[128] = "";

	if (header != NULL)
		say(fd, header);
	if (from != NULL)
		snprintf(field, sizeof field, XFF "%s\r\n", from);
	say(fd, request(target, field));
	return fd;
}

static void
in(struct client *c, int fd)
{
	memset(c, 0, sizeof *c);
	c->fd = fd;
	EXPECT(take_opening(c) == 0, "it does not get in");
}

static char device[16]; /* of the session that has begun */

/* Reads the first message of a session: its secret, or 0. */
static int
begun(int fd, char secret[33])
{
	char text[2048] = "", *at = NULL;
	size_t len = 0;
	ssize_t n;

	while (len < sizeof text - 1 && strstr(text, "}}") == NULL) {
		n = recv(fd, text + len, sizeof text - 1 - len, 0);
		if (n <= 0)
			break;
		len += (size_t)n;
		text[len] = '\0';
		if ((at = strstr(text, "{\"action\"")) == NULL)
			text[0] = 'H'; /* the frame's head may have a NUL */
	}
	EXPECT(strncmp(text, "HTTP/1.1 101", 12) == 0 && at != NULL,
	    "\"%s\"", text);
	at = strstr(text, "\"device_id\":\"");
	if (at != NULL)
		snprintf(device, sizeof device, "%s", at + 13);
	at = strstr(text, "\"session\":\"");
	if (at != NULL)
		snprintf(secret, 33, "%s", at + 11);
	return at != NULL;
}

static void
limits(void)
{
	struct hub h = { 0 };
	struct client c[4];
	char secret[33], target[64], words[128];
	int idle[6], fd, i;

	CASE("--max-per-ip: by X-Forwarded-For of a trusted peer");
	START(&h, QUIET_HUB, TRUST, "--max-per-ip", "2");
	for (i = 0; i < 6; i++) /* which say nothing, and count nowhere */
		idle[i] = dial(h.port[0], 0);
	in(&c[0], call(&h, NULL, "/", "192.0.2.1:1"));
	in(&c[1], call(&h, NULL, "/x", "10.0.0.1, 192.0.2.1:2"));
	STATUS(call(&h, NULL, "/", "192.0.2.1"), "503");
	STATUS(call(&h, NULL, "/", "10.0.0.1, ::ffff:192.0.2.1"), "503");
	in(&c[2], call(&h, NULL, "/", "192.0.2.2"));
	leave(&c[1]);
	EXPECT(await_gone(&h, c[1].id), "it does not leave");
	in(&c[1], call(&h, NULL, "/", "192.0.2.1"));
	STATUS(call(&h, NULL, "/", "192.0.2.1"), "503");
	for (i = 0; i < 3; i++)
		leave(&c[i]);
	for (i = 0; i < 3; i++)
		EXPECT(await_gone(&h, c[i].id), "it does not leave");

	CASE("--max-per-ip: a forwarded /64 counts as one");
	in(&c[0], call(&h, NULL, "/", "2001:db8::1"));
	in(&c[1], call(&h, NULL, "/", "[2001:db8::ffff:1]:80"));
	STATUS(call(&h, NULL, "/", "2001:db8::2"), "503");
	in(&c[2], call(&h, NULL, "/", "2001:db8:0:1::1"));

	CASE("--max-per-ip: the proxy itself counts where it names nobody");
	in(&c[3], call(&h, NULL, "/", NULL));
	leave(&c[3]);
	EXPECT(await_gone(&h, c[3].id), "it does not leave");
	in(&c[3], call(&h, NULL, "/", "unknown"));
	fd = call(&h, NULL, "/?resume", NULL);
	EXPECT(begun(fd, secret), "no session");
	STATUS(call(&h, NULL, "/", "nobody"), "503");
	close(fd);
	for (i = 0; i < 4; i++)
		leave(&c[i]);
	for (i = 0; i < 6; i++)
		close(idle[i]);
	STOP(&h);

	CASE("--max-per-ip: a session is resumed in its own place, or counts "
	    "where it goes");
	START(&h, "-v", QUIET_HUB, TRUST, "--max-per-ip", "1");
	fd = call(&h, NULL, "/?resume", "192.0.2.1");
	EXPECT(begun(fd, secret), "no session");
	close(fd);
	snprintf(target, sizeof target, "/?resume=%.32s.0", secret);
	STATUS(call(&h, NULL, "/", "192.0.2.1"), "503");
	fd = call(&h, NULL, target, "192.0.2.1"); /* in its own place */
	(void)begun(fd, secret);
	in(&c[0], call(&h, NULL, "/", "192.0.2.2"));
	STATUS(call(&h, NULL, target, "192.0.2.2"), "503");
	close(fd);
	fd = call(&h, NULL, target, "192.0.2.3"); /* in another */
	(void)begun(fd, secret);
	snprintf(words, sizeof words, "wshub: client 192.0.2.3: resumed: "
	    "tls=no device=\"%s\"",
	    device);
	EXPECT(await(h.log, words), "the log is without \"%s\"", words);
	STATUS(call(&h, NULL, "/", "192.0.2.3"), "503");
	in(&c[1], call(&h, NULL, "/", "192.0.2.1"));
	leave(&c[0]);
	leave(&c[1]);
	close(fd);
	STOP(&h);

	CASE("--max-per-ip: others cannot choose their addresses");
	START(&h, QUIET_HUB, "--trust", "192.0.2.1", "--max-per-ip", "2");
	in(&c[0], call(&h, NULL, "/", "192.0.2.7"));
	in(&c[1], call(&h, NULL, "/", "192.0.2.8"));
	STATUS(call(&h, NULL, "/", "192.0.2.9"), "503");
	leave(&c[0]);
	leave(&c[1]);
	STOP(&h);

	CASE("--max-per-ip: by the PROXY header, before the request");
	START(&h, QUIET_HUB, TRUST, "--max-per-ip", "1", "--proxy-protocol");
	in(&c[0], call(&h, V1("192.0.2.1"), "/", NULL));
	STATUS(call(&h, V1("192.0.2.1"), "/", NULL), "503");
	in(&c[1], call(&h, V1("192.0.2.2"), "/", "192.0.2.1"));
	STATUS(call(&h, V1("192.0.2.2"), "/", "192.0.2.3"), "503");
	leave(&c[0]);
	leave(&c[1]);
	STOP(&h);
}

/* ---------------------------------------------------------- PROXY headers */

static void
headers(void)
{
	static const struct {
		const char *header;
		size_t len;
		const char *fields, *address;
	} list[] = {
#define H(text) text, sizeof text - 1
		{ H(V1("192.0.2.1")), "", "192.0.2.1:5000" },
		{ H("PROXY TCP6 2001:db8::1 ::1 1 2\r\n"), "",
		    "[2001:db8::1]:1" },
		{ H("PROXY UNKNOWN\r\n"), "", NULL },
		{ H(V2 "\x21\x11\0\x0c\xc0\0\2\x01\x7f\0\0\1\x13\x88\0\x50"),
		    "", "192.0.2.1:5000" },
		{ H(V2 "\x21\x21\0\x2b\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
		    "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\x13\x88\0\x50"
		    "\3\0\4\0\0\0\0"), "", "[2001:db8::1]:5000" },
		{ H(V2 "\x20\0\0\0"), "", NULL },
		/* What the client says counts if the header's is a proxy. */
		{ H(V1("192.0.2.1")), XFF "192.0.2.9\r\n", "192.0.2.1:5000" },
		{ H(V1("10.0.0.1")), XFF "192.0.2.9\r\n", "192.0.2.9" },
		{ H("PROXY UNKNOWN\r\n"), XFF "192.0.2.9\r\n", "192.0.2.9" },
		{ H(V1("10.0.0.1")), "", "10.0.0.1:5000" },
	};
	static const struct {
		const char *bytes;
		size_t len;
	} wrong[] = {
		{ H(REQUEST) }, { H("\x16\3\1\2\0\1\0\1\xfc\3\3") },
		{ H("PROXY TCP4 192.0.2.1 127.0.0.1 1\r\n" REQUEST) },
		{ H("PROXY TCP4 192.0.2.1 127.0.0.1 1 2\n" REQUEST) },
		{ H(V2 "\x21\x11\xff\xff\xc0\0\2\1") },
		{ H(V2 "\x11\x11\0\x0c\xc0\0\2\1\x7f\0\0\1\x13\x88\0\x50") },
	};
	struct hub h = { 0 };
	char all[4096];
	const char *text;
	long long turns;
	size_t i, k, len;
	int fd;

	CASE("PROXY: versions 1 and 2, with the request, and byte by byte");
	START(&h, "-v", QUIET_HUB, TRUST, "--trust", "10.0.0.0/8",
	    "--proxy-protocol");
	for (i = 0; i < 2 * sizeof list / sizeof *list; i++) {
		k = i / 2;
		text = request("/", list[k].fields);
		memcpy(all, list[k].header, list[k].len);
		len = list[k].len + strlen(text);
		memcpy(all + list[k].len, text, strlen(text));
		fd = dial(h.port[0], 0);
		if (i % 2 == 0)
			put(fd, all, len);
		else
			for (k = 0; k < len; k++) {
				put(fd, all + k, 1);
				if (k < 32)
					nap(1);
			}
		enters(&h, fd, list[i / 2].address);
	}

	CASE("PROXY: cut anywhere, and another one beside it");
	memcpy(all, list[4].header, list[4].len);
	len = list[4].len + sizeof REQUEST - 1;
	memcpy(all + list[4].len, REQUEST, sizeof REQUEST - 1);
	for (i = 1; i < list[4].len + 3; i++) {
		fd = dial(h.port[0], 0);
		put(fd, all, i);
		nap(2);
		put(fd, all + i, len - i);
		enters(&h, fd, list[4].address);
	}

	CASE("PROXY: half of one does not keep the hub busy");
	fd = dial(h.port[0], 0);
	put(fd, list[4].header, 20);
	nap(50);
	turns = counter(&h, "turns");
	nap(100);
	turns = counter(&h, "turns") - turns;
	EXPECT(turns < 100, "%lld turns", turns);
	close(fd);

	CASE("PROXY: one of 4096 bytes, in pieces");
	memcpy(all, V2 "\x21\x11\x0f\xf0\xc0\0\2\x2c\x7f\0\0\1\x13\x88\0\x50",
	    28);
	memset(all + 28, 4, sizeof all - 28);
	fd = dial(h.port[0], 0);
	for (i = 0; i < sizeof all; i += 512) {
		put(fd, all + i, 512);
		nap(1);
	}
	say(fd, REQUEST);
	enters(&h, fd, "192.0.2.44:5000");

	CASE("PROXY: without a valid header it is closed, without an answer");
	for (i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		fd = dial(h.port[0], 0);
		put(fd, wrong[i].bytes, wrong[i].len);
		FAILED(&h, fd, NULL, "no valid PROXY header");
		DROPPED(fd);
	}
	fd = dial(h.port[0], 0);
	put(fd, "PROXY ", 6);
	for (i = 0; i < 100000 && put(fd, "UNKNOWN ", 8) == 0; i++)
		;
	EXPECT(i < 100000, "an endless one is read");
	FAILED(&h, fd, NULL, "no valid PROXY header");
	close(fd);
	EXPECT(counter(&h, "bad requests") ==
	    (long long)(sizeof wrong / sizeof *wrong) + 1, "%lld are counted",
	    counter(&h, "bad requests"));

	CASE("PROXY: a peer that leaves before it is whole");
	for (i = 0; i < 2; i++) {
		fd = dial(h.port[0], 0);
		put(fd, "PROXY TCP4 ", 11 * i);
		shutdown(fd, SHUT_WR);
		FAILED(&h, fd, NULL, "closed by peer");
		DROPPED(fd);
	}
	fd = dial(h.port[0], 0);
	say(fd, V1("192.0.2.55"));
	shutdown(fd, SHUT_WR);
	FAILED(&h, fd, "192.0.2.55:5000", "closed by peer");
	DROPPED(fd);
	STOP(&h);

	CASE("PROXY: peers that are not trusted are closed");
	START(&h, "-v", QUIET_HUB, "--trust", "10.0.0.0/8", "--trust", "unix",
	    "--proxy-protocol", "-l", "127.0.0.1:%1", "-l", "unix:clients");
	for (i = 0; i < 2; i++) {
		fd = dial(h.port[0], 0);
		if (i == 0)
			say(fd, V1("192.0.2.1"));
		FAILED(&h, fd, NULL, "not a trusted proxy");
		DROPPED(fd);
	}
	EXPECT(counter(&h, "refused") == 2, "%lld are counted",
	    counter(&h, "refused"));
	fd = dial_unix("clients");
	say(fd, V1("192.0.2.66"));
	say(fd, REQUEST);
	enters(&h, fd, "192.0.2.66:5000");
	STOP(&h);
}

/* The 16 that are refused at a time, and others, all with one address. */
static void
crowd(void)
{
	struct hub h = { 0 };
	struct client c;
	long long end;
	int fd[40], i;

	CASE("PROXY: 40 at once beyond --max-per-ip, and others get in");
	START(&h, QUIET_HUB, TRUST, "--max-per-ip", "1", "--max-clients",
	    "60", "--proxy-protocol");
	in(&c, call(&h, V1("192.0.2.1"), "/", NULL));
	for (i = 0; i < 40; i++) { /* without requests */
		fd[i] = dial(h.port[0], 0);
		say(fd[i], V1("192.0.2.1"));
	}
	for (end = now() + patience; now() < end; nap(5))
		if (counter(&h, "refused") == 24)
			break;
	leave(&c);
	in(&c, call(&h, V1("192.0.2.2"), "/", NULL));
	for (i = 0; i < 40; i++) {
		say(fd[i], REQUEST);
		STATUS(fd[i], "503");
	}
	EXPECT(counter(&h, "refused") == 40, "%lld are counted",
	    counter(&h, "refused"));
	leave(&c);
	for (end = now() + patience; now() < end; nap(5))
		if (counter(&h, "away") == 0 &&
		    file_has(h.log, " s, 0 clients (0 in the hub)"))
			break;
	EXPECT(now() < end, "some are still counted as clients");
	STOP(&h);
}

static struct test_group all_groups[] = {
	{ .name = "options", .run = options },
	{ .name = "forwarded", .run = forwarded },
	{ .name = "limits", .run = limits },
	{ .name = "headers", .run = headers },
	{ .name = "crowd", .run = crowd },
};

int
main(int argc, char **argv)
{
	return run_groups(argc, argv, all_groups,
	    (int)(sizeof all_groups / sizeof *all_groups));
}
