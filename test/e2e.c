/* wshub: ISC licence, see LICENSE. */
/*
 * PROTOCOL.md, point by point, against the real binary: e2e path/to/wshub.
 *
 * What bad peers do to it, and what takes long, is in e2e_hostile.c; wss:// in
 * e2e_tls.c.
 */
#define _GNU_SOURCE
#include "hub.h"

/* ------------------------------------------------------------------- HTTP */

/* Writes a request, reads the answer to the end of the stream. */
static void
ask(const struct hub *h, const char *request, size_t len, char answer[4096])
{
	int fd = dial(h->port[0], 0);
	size_t got;

	put(fd, request, len);
	EXPECT(get_all(fd, answer, 4096, &got), "\"%.100s\": no end after "
	    "\"%s\"", request, answer);
	close(fd);
}

/* That answer has this status, these lines, and all that each must have. */
static void
check_answer(const char *request, const char *answer, const char *status,
    const char *lines)
{
	const char *body = strstr(answer, "\r\n\r\n"), *p;
	char line[64];

	snprintf(line, sizeof line, "HTTP/1.1 %s", status);
	EXPECT(strncmp(answer, line, strlen(line)) == 0 &&
	    strstr(answer, lines) != NULL &&
	    strstr(answer, "\r\nConnection: close\r\n") != NULL &&
	    strstr(answer, "\r\nContent-Type: text/plain\r\n") != NULL,
	    "\"%.60s\": \"%s\", not a %s with \"%s\"", request, answer, status,
	    lines);
	if (body == NULL)
		return;
	body += 4;
	if (strncmp(request, "HEAD ", 5) == 0) {
		EXPECT(*body == '\0', "HEAD: \"%s\"", answer);
		return;
	}
	p = strstr(answer, "\r\nContent-Length: ");
	EXPECT(p != NULL && (size_t)atol(p + 18) == strlen(body) &&
	    strlen(body) > 1 && strchr(body, '\n') == body + strlen(body) - 1,
	    "\"%.60s\": no line in \"%s\"", request, answer);
}

#define WHOLE_HEAD 32768

static void
test_refusals(const struct hub *h)
{
#define OTHER(s, status, lines) { s, sizeof(s) - 1, status, lines }
#define BAD(s) OTHER(s, "400 Bad Request\r\n", "")
#define UPGRADE_LINES "Upgrade: websocket\r\nConnection: Upgrade\r\n" \
    "Sec-WebSocket-Version: 13\r\n"
#define KEYED(key) "GET / HTTP/1.1\r\nHost: a\r\n" UPGRADE_LINES \
    "Sec-WebSocket-Key: " key "\r\n\r\n"
	static const struct {
		const char *request;
		size_t len;
		const char *status, *lines;
	} t[] = {
		BAD("GET / HTTP/1.1\nHost: a\n\n"),
		BAD("GET / HTTP/1.1\r\nHost: a\n" UPGRADE_LINES "\r\n"),
		BAD("GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n"),
		BAD("GET / HTTP/1.1\r\n" UPGRADE_LINES "\r\n"),
		BAD("GET / HTTP/1.1\r\nHost : a\r\n\r\n"),
		BAD("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
		BAD("GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n"),
		BAD("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n"),
		BAD("GET / HTTP/2.0\r\nHost: a\r\n\r\n"),
		BAD("GET  HTTP/1.1\r\nHost: a\r\n\r\n"),
		BAD("GET * HTTP/1.1\r\nHost: a\r\n\r\n"),
		BAD("GET ftp://b/ HTTP/1.1\r\nHost: a\r\n\r\n"),
		BAD("GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n"),
		BAD("GET / HTTP/1.1\r\nHost: a:b\r\n\r\n"),
		BAD("\r\n\n"),
		BAD("hello, is there anybody?\r\n"),
		BAD("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
		BAD("GET / HTTP/1.1\r\nHost: a\r\n" UPGRADE_LINES "\r\n"),
		BAD(KEYED("")),
		BAD(KEYED("dGhlIHNhbXBsZSBub25jZQ")),
		BAD(KEYED("dGhlIHNhbXBsZSBub25jZQ=")),
		BAD(KEYED("dGhlIHNhbXBsZSBub25j")),
		BAD(KEYED("dGhl*HNhbXBsZSBub25jZQ==")),
		BAD("GET / HTTP/1.1\r\n" UPGRADE
		    "Sec-WebSocket-Key: " KEY "\r\n\r\n"),
		OTHER("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n"
		    "ab", "405 Method Not Allowed\r\n", "\r\nAllow: GET\r\n"),
		OTHER("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
		    "405 Method Not Allowed\r\n", "\r\nAllow: GET\r\n"),
		OTHER("HEAD / HTTP/1.1\r\nHost: a:b\r\n\r\n",
		    "400 Bad Request\r\n", ""),
		OTHER("OPTIONS / HTTP/1.1\r\nHost: a\r\n\r\n",
		    "405 Method Not Allowed\r\n", "\r\nAllow: GET\r\n"),
		OTHER("GET / HTTP/1.0\r\nConnection: close\r\n\r\n",
		    "426 Upgrade Required\r\n", "\r\n\r\nHTTP/1.0 cannot "
		    "upgrade (nginx: proxy_http_version 1.1)\n"),
		OTHER("GET / HTTP/1.1\r\nHost: a\r\n\r\n",
		    "426 Upgrade Required\r\n", "\r\nUpgrade: websocket\r\n"),
		OTHER("GET / HTTP/1.1\r\nHost: a\r\n\r\n",
		    "426 Upgrade Required\r\n",
		    "\r\nSec-WebSocket-Version: 13\r\n"),
		OTHER("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
		    "Connection: Upgrade\r\nSec-WebSocket-Version: 8\r\n"
		    "Sec-WebSocket-Key: " KEY "\r\n\r\n",
		    "426 Upgrade Required\r\n",
		    "\r\nSec-WebSocket-Version: 13\r\n"),
	};
	char answer[4096], head[WHOLE_HEAD + 100];
	size_t i, fill;

	CASE("HTTP: 400, 405 and 426, whole, and then the end");
	for (i = 0; i < sizeof t / sizeof *t; i++) {
		ask(h, t[i].request, t[i].len, answer);
		check_answer(t[i].request, answer, t[i].status, t[i].lines);
	}

	CASE("HTTP: a head of 32768 bytes is taken, one byte more is a 431");
	for (i = 0; i < 2; i++) {
		fill = WHOLE_HEAD + i - strlen("GET / HTTP/1.1\r\n" UPGRADE
		    "X: \r\n\r\n");
		snprintf(head, sizeof head, "GET / HTTP/1.1\r\n" UPGRADE
		    "X: %0*d\r\n\r\n", (int)fill, 0);
		EXPECT(strlen(head) == WHOLE_HEAD + i, "%zu bytes",
		    strlen(head));
		if (i == 1) {
			ask(h, head, strlen(head), answer);
			check_answer("32769 bytes", answer, "431 ", "");
		} else {
			struct client c;

			memset(&c, 0, sizeof c);
			c.fd = dial(h->port[0], 0);
			put(c.fd, head, strlen(head));
			EXPECT(take_opening(&c) == 0, "32768 bytes: not in");
			leave(&c);
		}
	}

	CASE("HTTP: an endless head is a 431 though more comes");
	{
		int fd = dial(h->port[0], 0);

		put(fd, "GET / HTTP/1.1\r\nX: ", 19);
		memset(head, 'x', sizeof head);
		for (i = 0; i < 20; i++)
			put(fd, head, sizeof head);
		shutdown(fd, SHUT_WR);
		get_all(fd, answer, sizeof answer, &i);
		check_answer("endless", answer, "431 ", "");
		close(fd);
	}
}

static void
test_opening(const struct hub *h)
{
	static const char *const paths[] = {
		"/", "/any/path?with=query&x=%20", "/ws",
		"/?q={\"a\":[1|2]}", "http://localhost/absolute", "/%c3%a9"
	};
	char request[512], ids[20][16];
	unsigned char out[1024];
	struct client c;
	size_t i, k, n;

	CASE("opening: any path, the id's frame comes first, ids differ");
	for (i = 0; i < 20; i++) {
		memset(&c, 0, sizeof c);
		c.fd = dial(h->port[0], 0);
		snprintf(request, sizeof request, "GET %s HTTP/1.1\r\n"
		    UPGRADE "\r\n", paths[i % 6]);
		put(c.fd, request, strlen(request));
		EXPECT(take_opening(&c) == 0, "%s: \"%.*s\"", paths[i % 6],
		    (int)c.len, (char *)c.buf);
		memcpy(ids[i], c.id, 16);
		for (k = 0; k < i; k++)
			EXPECT(strcmp(ids[i], ids[k]) != 0, "twice %s", c.id);
		leave(&c);
	}

	CASE("opening: other spellings that mean the same");
	memset(&c, 0, sizeof c);
	c.fd = dial(h->port[0], 0);
	put(c.fd, request, (size_t)snprintf(request, sizeof request,
	    "GET / HTTP/1.1\r\nhost:localhost:8080\r\n"
	    "UPGRADE: \t WebSocket \r\nconnection: keep-alive , upgrade\r\n"
	    "Sec-WebSocket-Protocol: a, b\r\nOrigin: http://x\r\n"
	    "Sec-WebSocket-Extensions: permessage-deflate\r\n"
	    "sec-websocket-version:13\r\nSEC-WEBSOCKET-KEY:" KEY
	    "\r\n\r\n"));
	EXPECT(take_opening(&c) == 0, "\"%.*s\"", (int)c.len, (char *)c.buf);
	leave(&c);

	CASE("opening: after empty lines");
	memset(&c, 0, sizeof c);
	c.fd = dial(h->port[0], 0);
	put(c.fd, "\r\n\r\n\r", 5);
	nap(2);
	put(c.fd, "\n" REQUEST, sizeof REQUEST);
	EXPECT(take_opening(&c) == 0, "\"%.*s\"", (int)c.len, (char *)c.buf);
	leave(&c);

	CASE("opening: a request in two writes, at every byte");
	for (i = 1; i < sizeof REQUEST - 1; i++) {
		memset(&c, 0, sizeof c);
		c.fd = dial(h->port[0], 0);
		put(c.fd, REQUEST, i);
		if (i % 16 == 0)
			nap(2);
		put(c.fd, &REQUEST[i], sizeof REQUEST - 1 - i);
		EXPECT(take_opening(&c) == 0, "in two at %zu", i);
		leave(&c);
	}

	CASE("opening: bytes after the head in the same write are frames");
	n = sizeof REQUEST - 1;
	memcpy(out, REQUEST, n);
	n += frame(out + n, 0x89, "abc", 3);
	n += frame(out + n, 0x81, "ignored", 7);
	n += frame(out + n, 0x89, "", 0);
	for (i = sizeof REQUEST - 1; i <= n; i++) {
		memset(&c, 0, sizeof c);
		c.fd = dial(h->port[0], 0);
		put(c.fd, out, i);
		if (i % 8 == 0)
			nap(2);
		put(c.fd, out + i, n - i);
		EXPECT(take_opening(&c) == 0, "with frames: not in");
		FRAME(&c, 0x8a, "abc", 3);
		FRAME(&c, 0x8a, "", 0);
		leave(&c);
	}
}

/* The head of an upgrade's answer and nothing behind it. */
static void
read_head(int fd, char head[4096])
{
	size_t n = 0;

	while (n < 4095 && recv(fd, head + n, 1, 0) == 1) {
		head[++n] = '\0';
		if (n > 4 && strcmp(head + n - 4, "\r\n\r\n") == 0)
			return;
	}
	EXPECT(0, "half a head: \"%.*s\"", (int)n, head);
}

static void
test_subprotocols(const struct hub *h)
{
	static const struct {
		const char *fields, *want;
	} t[] = {
		{ "", NULL }, { "Sec-WebSocket-Protocol: other\r\n", NULL },
		{ "Sec-WebSocket-Protocol: a, v2.chat\r\n", "v2.chat" },
		{ "Sec-WebSocket-Protocol: chat,v2.chat\r\n", "chat" },
		{ "Sec-WebSocket-Protocol: a\r\nsec-websocket-protocol: chat"
		  "\r\n", "chat" }
	};
	char request[512], head[4096], line[100];
	size_t i;
	int fd;

	CASE("--subprotocol: chosen if it is offered");
	for (i = 0; i < sizeof t / sizeof *t; i++) {
		snprintf(request, sizeof request, "GET / HTTP/1.1\r\n" UPGRADE
		    "%s\r\n", t[i].fields);
		fd = dial(h->port[0], 0);
		put(fd, request, strlen(request));
		read_head(fd, head);
		snprintf(line, sizeof line,
		    "\r\nSec-WebSocket-Protocol: %s\r\n",
		    t[i].want != NULL ? t[i].want : "");
		EXPECT(strncmp(head, "HTTP/1.1 101 ", 13) == 0 &&
		    (t[i].want != NULL ? strstr(head, line) != NULL :
		    strstr(head, "-Protocol") == NULL), "%s: \"%s\"",
		    t[i].fields, head);
		close(fd);
	}
	ask(h, "GET / HTTP/1.1\r\n" UPGRADE "Sec-WebSocket-Protocol: a b\r\n"
	    "\r\n", sizeof("GET / HTTP/1.1\r\n" UPGRADE
	    "Sec-WebSocket-Protocol: a b\r\n\r\n") - 1, head);
	check_answer("a b", head, "400 ", "\nbad Sec-WebSocket-Protocol\n");
}

/* What balancers send: HAProxy, nginx, keepalived, curl. */
static const char *const probes[] = {
	"GET /health HTTP/1.0\r\n\r\n", "OPTIONS /health HTTP/1.0\r\n\r\n",
	"HEAD /health HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /health?x=y HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
	"OPTIONS http://a/health HTTP/1.1\r\nHost: a\r\n\r\n"
};

static void
probe_all(const struct hub *h)
{
	char answer[4096];
	size_t i;

	for (i = 0; i < sizeof probes / sizeof *probes; i++) {
		ask(h, probes[i], strlen(probes[i]), answer);
		check_answer(probes[i], answer, "200 OK\r\n",
		    probes[i][0] == 'H' ? "" : "\r\n\r\nok\n");
	}
}

static void
test_health(const struct hub *h)
{
	char answer[4096];

	CASE("--health: 200 to what load balancers send, and it counts as "
	    "right");
	probe_all(h);
	/* The one that is: see above. */
	EXPECT(counter(h, "bad requests") == 1, "%lld are counted",
	    counter(h, "bad requests"));
	ask(h, "GET /healthy HTTP/1.0\r\n\r\n", 26, answer);
	check_answer("/healthy", answer, "426 ", "");
	ask(h, "POST /health HTTP/1.0\r\n\r\n", 26, answer);
	check_answer("POST", answer, "405 ", "");
}

static void
test_health_full(const struct hub *h)
{
	static const char request[] = "GET /health HTTP/1.1\r\n" UPGRADE "\r\n";
	char answer[4096];
	struct client c;

	CASE("--health: who asks for WebSocket there gets it");
	memset(&c, 0, sizeof c);
	c.fd = dial(h->port[0], 0);
	put(c.fd, request, sizeof request - 1);
	EXPECT(take_opening(&c) == 0, "not in");

	CASE("--health: 200 also where no client gets in any more");
	ask(h, REQUEST, sizeof REQUEST - 1, answer);
	check_answer("a second client", answer, "503 ", "\ntoo many clients\n");
	probe_all(h);
	leave(&c);
}

static void
health(void)
{
	struct hub h = { 0 };

	START(&h, QUIET_HUB, "--subprotocol", "chat", "--subprotocol",
	    "v2.chat", "--health", "/health");
	test_subprotocols(&h);
	test_health(&h);
	STOP(&h);
	START(&h, QUIET_HUB, "--health", "/health", "--max-clients", "1");
	test_health_full(&h);
	STOP(&h);
}

static void
http(void)
{
	struct hub h = { 0 };

	START(&h, QUIET_HUB);
	test_refusals(&h);
	test_opening(&h);
	STOP(&h);
}

/* ----------------------------------------------------------------- frames */

/* What clients may not do: unmasked, or masked with zeros. */
#define M "\0\0\0\0"
static const struct {
	const char *what, *bytes;
	size_t len;
	int code;
} crimes[] = {
#define CRIME(code, what, s) { what, s, sizeof(s) - 1, code }
	CRIME(1002, "unmasked", "\x81\x01" "a"),
	CRIME(1002, "RSV1", "\xc1\x81" M "a"),
	CRIME(1002, "RSV3 after a fragment", "\x01\x81" M "a\x90\x81" M "a"),
	CRIME(1002, "opcode 3", "\x83\x80" M),
	CRIME(1002, "opcode 15", "\x8f\x80" M),
	CRIME(1002, "a fragmented Ping", "\x09\x80" M),
	CRIME(1002, "a Ping of 126", "\x89\xfe\0\x7e" M),
	CRIME(1002, "a continuation of nothing", "\x80\x80" M),
	CRIME(1002, "and after a whole message", "\x81\x81" M "a\x80\x80" M),
	CRIME(1002, "a message in a message",
	    "\x01\x81" M "a\x81\x81" M "b"),
	CRIME(1002, "a Close of one byte", "\x88\x81" M "\x03"),
	CRIME(1002, "Close 999", "\x88\x82" M "\x03\xe7"),
	CRIME(1002, "Close 1005", "\x88\x82" M "\x03\xed"),
	CRIME(1002, "Close 1006", "\x88\x82" M "\x03\xee"),
	CRIME(1002, "Close 1015", "\x88\x82" M "\x03\xf7"),
	CRIME(1002, "Close 5000", "\x88\x82" M "\x13\x88"),
	CRIME(1002, "125 in 16 bits", "\x81\xfe\0\x7d" M),
	CRIME(1002, "65535 in 64 bits", "\x82\xff\0\0\0\0\0\0\xff\xff" M),
	CRIME(1002, "64 bits, the first set", "\x82\xff\x80\0\0\0\0\0\0\0" M),
	CRIME(1007, "not UTF-8", "\x81\x82" M "\xc3\x28"),
	CRIME(1007, "overlong", "\x81\x82" M "\xc0\x80"),
	CRIME(1007, "a surrogate", "\x81\x83" M "\xed\xa0\x80"),
	CRIME(1007, "over U+10FFFF", "\x81\x84" M "\xf4\x90\x80\x80"),
	CRIME(1007, "half a character at the end",
	    "\x81\x82" M "\xe2\x82"),
	CRIME(1007, "not UTF-8 over two fragments",
	    "\x01\x82" M "a\xc3\x8a\x80" M "\x80\x81" M "("),
	CRIME(1007, "half a character at the end of fragments",
	    "\x01\x82" M "\xe2\x82\x80\x80" M),
	CRIME(1007, "a Close's reason not UTF-8",
	    "\x88\x84" M "\x03\xe8" "a\xff"),
	CRIME(1009, "65537 bytes", "\x82\xff\0\0\0\0\0\x01\0\x01" M),
	CRIME(1009, "2^63 - 1 bytes",
	    "\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff" M),
	CRIME(1009, "a fragment too many",
	    "\x02\x81" M "a\x80\xff\0\0\0\0\0\x01\0\0" M),
};
#define NCRIMES (sizeof crimes / sizeof *crimes)

static void
test_crimes(const struct hub *h)
{
	struct client c;
	size_t i, at;

	CASE("frames: every violation gets its Close and the end, in two "
	    "writes at every byte");
	for (i = 0; i < NCRIMES; i++)
		for (at = 0; at < crimes[i].len; at++) {
			join(&c, h);
			put(c.fd, crimes[i].bytes, at);
			if (at > 0)
				nap(1);
			put(c.fd, crimes[i].bytes + at, crimes[i].len - at);
			if (!CLOSED(&c, crimes[i].code))
				EXPECT(0, "that was: %s, in two at %zu",
				    crimes[i].what, at);
			leave(&c);
		}
}

/* Frames that are all right, fragmented, a Ping amid, and what they get. */
static void
test_fragments(const struct hub *h)
{
	unsigned char out[256];
	struct client c;
	size_t n = 0, at;

	CASE("frames: fragments with a Ping amid, in two writes at every byte");
	n += frame(out, 0x01, "caf\xc3", 4);
	n += frame(out + n, 0x89, "amid", 4);
	n += frame(out + n, 0x00, "", 0);
	n += frame(out + n, 0x00, "\xa9 \xf0\x9f", 4);
	n += frame(out + n, 0x8a, "unasked", 7);
	n += frame(out + n, 0x80, "\x98\x80", 2);
	n += frame(out + n, 0x82, "\xff\xfe", 2);
	n += frame(out + n, 0x89, "after", 5);
	for (at = 0; at < n; at++) {
		join(&c, h);
		put(c.fd, out, at);
		if (at % 4 == 1)
			nap(1);
		put(c.fd, out + at, n - at);
		FRAME(&c, 0x8a, "amid", 4);
		FRAME(&c, 0x8a, "after", 5);
		leave(&c);
	}
}

static void
test_control(const struct hub *h)
{
	static const char fill[] = "0123456789012345678901234567890123456789"
	    "0123456789012345678901234567890123456789012345678901234567890123"
	    "456789012345678901234";
	unsigned char out[256];
	struct client c;
	size_t n, i;

	CASE("frames: a Pong has the Ping's payload, 0 to 125 bytes");
	join(&c, h);
	for (n = 0; n <= 125; n++) {
		put_frame(&c, 0x89, fill, n);
		FRAME(&c, 0x8a, fill, n);
	}
	for (i = 0; i < 20; i++)
		put_frame(&c, 0x89, fill, i);
	for (i = 0; i < 20; i++)
		FRAME(&c, 0x8a, fill, i);
	leave(&c);

	CASE("frames: a Close is echoed, and then the end");
	for (n = 0; n < 4; n++) {
		static const char *const reasons[] = {
			"", "\x03\xe8", ("\x03\xe9" "bye"), "\x0f\xa0"
		};
		static const size_t len[] = { 0, 2, 5, 2 };
		static const int code[] = { 1005, 1000, 1001, 4000 };

		join(&c, h);
		put_frame(&c, 0x88, reasons[n], len[n]);
		CLOSED(&c, code[n]);
		leave(&c);
	}

	CASE("frames: nothing after a Close is heard");
	join(&c, h);
	n = frame(out, 0x89, "a", 1);
	n += frame(out + n, 0x88, "\x03\xe8", 2);
	n += frame(out + n, 0x89, "b", 1);
	out[n++] = 0xff;
	put(c.fd, out, n);
	FRAME(&c, 0x8a, "a", 1);
	CLOSED(&c, 1000);
	leave(&c);

	CASE("frames: a peer that leaves without a Close leaves the hub");
	for (i = 0; i < 5; i++) {
		join(&c, h);
		if (i & 1)
			put(c.fd, "\x81", 1);
		leave(&c);
		EXPECT(await_gone(h, c.id), "%s is still there", c.id);
	}
}

static void
test_size_limit(const struct hub *h)
{
	static char big[65537];
	struct client c;
	int i;

	memset(big, 'x', sizeof big);
	CASE("frames: 65536 bytes are a message, 65537 are a Close 1009");
	for (i = 0; i < 6; i++) {
		join(&c, h);
		switch (i) {
		case 0:
		case 1:
			put_frame(&c, i == 0 ? 0x81 : 0x82, big, 65536);
			put_frame(&c, i == 0 ? 0x82 : 0x81, big, 65536);
			break;
		case 2:
			put_frame(&c, 0x01, big, 65535);
			put_frame(&c, 0x00, big, 1);
			put_frame(&c, 0x80, big, 0);
			break;
		case 3:
			put_frame(&c, 0x82, big, 65537);
			break;
		case 4:
			put_frame(&c, 0x02, big, 65536);
			put_frame(&c, 0x80, big, 1);
			break;
		case 5:
			put_frame(&c, 0x01, big, 40000);
			put_frame(&c, 0x00, big, 25000);
			put_frame(&c, 0x00, big, 537);
			break;
		}
		if (i < 3) {
			put_frame(&c, 0x89, "well", 4);
			FRAME(&c, 0x8a, "well", 4);
		} else {
			CLOSED(&c, 1009);
		}
		leave(&c);
	}
}

static void
frames(void)
{
	struct hub h = { 0 };

	START(&h, QUIET_HUB);
	test_fragments(&h);
	test_control(&h);
	test_size_limit(&h);
	test_crimes(&h);
	STOP(&h);
}

/* --------------------------------------------------------------- messages */

static void
test_values(const struct hub *h)
{
	static const char *const t[][2] = {
		{ "1", "1" }, { "null", "null" }, { "true", "true" },
		{ "\"\"", "\"\"" }, { "{}", "{}" }, { "[ ]", "[]" },
		{ " { \"a\" : [ 1 , 2.50e+3 ,\t-0 , \"x \\u0041 y\" ] ,\r\n"
		    "\"b\" : { } , \"a\" : null } ",
		    "{\"a\":[1,2.50e+3,-0,\"x \\u0041 y\"],\"b\":{},"
		    "\"a\":null}" },
		{ "100000000000000000000000000.000000000000000000000010",
		    "100000000000000000000000000.000000000000000000000010" },
		{ "\"\\/\\\"\\\\ \xe2\x82\xac \xf0\x9f\x98\x80 \\ud800\"",
		    "\"\\/\\\"\\\\ \xe2\x82\xac \xf0\x9f\x98\x80 \\ud800\"" },
		{ "\"{\\\"action\\\":\\\"no\\\"}\"",
		    "\"{\\\"action\\\":\\\"no\\\"}\"" },
	};
	static const size_t sizes[] = {
		2, 125, 126, 127, 65535, 65536, 65537, 900000
	};
	char text[512], *p;
	struct client a, b;
	size_t i;

	CASE("messages: any value, compacted, as one text frame to everybody");
	join(&a, h);
	join(&b, h);
	for (i = 0; i < sizeof t / sizeof *t; i++) {
		snprintf(text, sizeof text,
		    "{\"action\":\"multicast\",\"data\":%s}", t[i][0]);
		ORDER(h, text, "OK 2\n");
		TEXT(&a, t[i][1]);
		TEXT(&b, t[i][1]);
	}

	CASE("messages: 2 bytes to 900 kB, the shortest form of the length");
	for (i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		p = sized(sizes[i], "");
		ORDER(h, p, "OK 2\n");
		FRAME(&a, 0x81, p + 29, sizes[i]);
		FRAME(&b, 0x81, p + 29, sizes[i]);
		free(p);
	}
	leave(&a);
	leave(&b);
	EXPECT(await_gone(h, a.id) && await_gone(h, b.id), "still there");
}

static void
test_channels(const struct hub *h)
{
	struct client a, b;
	char name[300], text[800];
	int i;

	CASE("channels: subscribe, send, unsubscribe, and what they count");
	join(&a, h);
	join(&b, h);
#define SEND "{\"action\":\"sendToChannel\",\"channel\":"
	ORDER(h, SEND "\"news\",\"data\":0}", "OK 0\n");
	ORDER_FOR(h, SUBSCRIBE_TO "\"news\"}", a.id, "OK 1\n");
	ORDER_FOR(h, SUBSCRIBE_TO "\"news\",\"data\":{\"old\":1}}", a.id,
	    "OK 0\n");
	ORDER(h, SEND "\"news\",\"data\":1}", "OK 1\n");
	ORDER_FOR(h, SUBSCRIBE_TO "\"news\"}", b.id, "OK 1\n");
	ORDER_FOR(h, SUBSCRIBE_TO "\"\\u006eews\"}", b.id, "OK 0\n");
	ORDER_FOR(h, SUBSCRIBE_TO "\"New\"}", b.id, "OK 1\n");
	ORDER(h, SEND "\"news\",\"data\":2}", "OK 2\n");
	ORDER(h, SEND "\"New\",\"data\":3}", "OK 1\n");
	ORDER_FOR(h, UNSUBSCRIBE_FROM "\"news\"}", a.id, "OK 1\n");
	ORDER_FOR(h, UNSUBSCRIBE_FROM "\"news\"}", a.id, "OK 0\n");
	ORDER_FOR(h, UNSUBSCRIBE_FROM "\"never\"}", a.id, "OK 0\n");
	ORDER(h, SEND "\"news\",\"data\":4}", "OK 1\n");
	ORDER(h, "{\"action\":\"multicast\",\"data\":5}", "OK 2\n");
	TEXT(&a, "1");
	TEXT(&a, "2");
	TEXT(&a, "5");
	TEXT(&b, "2");
	TEXT(&b, "3");
	TEXT(&b, "4");
	TEXT(&b, "5");

	CASE("channels: a number is its text, as PHP's == has it");
	ORDER_FOR(h, SUBSCRIBE_TO "42}", a.id, "OK 1\n");
	ORDER_FOR(h, SUBSCRIBE_TO "\"42\"}", a.id, "OK 0\n");
	ORDER(h, SEND "\"42\",\"data\":\"n\"}", "OK 1\n");
	ORDER(h, SEND "42,\"data\":\"m\"}", "OK 1\n");
	ORDER(h, SEND "42.0,\"data\":\"no\"}", "OK 0\n");
	TEXT(&a, "\"n\"");
	TEXT(&a, "\"m\"");

	CASE("channels: names of 255 bytes, not of 256, not of none");
	memset(name, 'n', sizeof name);
	for (i = 255; i <= 256; i++) {
		snprintf(text, sizeof text, SUBSCRIBE_TO "\"%.*s\"}", a.id, i,
		    name);
		ORDER(h, text, i == 255 ? "OK 1\n" : "ERR \"channel\" is ");
	}
	snprintf(text, sizeof text, SEND "\"%.*s\",\"data\":6}", 255, name);
	ORDER(h, text, "OK 1\n");
	TEXT(&a, "6");
	ORDER_FOR(h, SUBSCRIBE_TO "\"\"}", a.id, "ERR \"channel\" is ");

	CASE("devices: sendToDevice, and one that is not there");
	ORDER_FOR(h, "{\"action\":\"sendToDevice\",\"device\":\"%s\","
	    "\"data\":\"you\"}", b.id, "OK 1\n");
	TEXT(&b, "\"you\"");
	ORDER_FOR(h, "{\"action\":\"sendToDevice\",\"device\":\"%s\","
	    "\"data\":1}", "nobody", "OK 0\n");
	ORDER(h, "{\"action\":\"sendToDevice\",\"device\":7,\"data\":1}",
	    "OK 0\n");
	ORDER_FOR(h, SUBSCRIBE_TO "\"news\"}", "nobody",
	    "ERR unknown device \"nobody\"\n");
	ORDER_FOR(h, UNSUBSCRIBE_FROM "\"news\"}", "nobody",
	    "ERR unknown device \"nobody\"\n");

	CASE("devices: unknown keys, and of a key given twice the last");
	ORDER_FOR(h, "{\"device\":\"nobody\",\"x\":{\"device\":[]},"
	    "\"data\":1,\"action\":\"multicast\",\"device\":\"%s\","
	    "\"data\":2,\"action\":\"sendToDevice\"}", b.id, "OK 1\n");
	TEXT(&b, "2");

	CASE("devices: one that leaves is out of its channels");
	leave(&b);
	EXPECT(await_gone(h, b.id), "it does not leave");
	ORDER(h, SEND "\"news\",\"data\":1}", "OK 0\n");
	ORDER_FOR(h, SUBSCRIBE_TO "\"news\"}", b.id, "ERR unknown device ");
	leave(&a);
}

static void
messages(void)
{
	struct hub h = { 0 };

	START(&h, QUIET_HUB);
	test_values(&h);
	test_channels(&h);
	STOP(&h);
}

/* --------------------------------------------------------------- backends */

static void
test_framings(const struct hub *h)
{
	static const char *const texts[][2] = {
		{ M1, "OK 0\n" },
		{ " {\n\t\"action\" : \"multicast\",\r\n \"data\" : [ \"}\" , "
		    "\"\\\"\", {\"\xe2\x82\xac\":{}} ]\n}", "OK 0\n" },
		{ "{\"action\":\"nope\"}", "ERR unknown action \"nope\"\n" },
		{ "{\"action\":\"multicast\"}", "ERR no \"data\"\n" },
	};
	size_t i, at, len;
	int fd, word;

	CASE("backends: OK at the closing brace, its line with the newline");
	fd = dial_unix(h->control);
	ASK(fd, M1, "OK");
	QUIET(fd, 60);
	ASK(fd, "\n", " 0\n");
	ASK(fd, M1, "OK");
	ASK(fd, M1, "OK");
	ASK(fd, "{\"action\":\"nope\"}", "ERR");
	QUIET(fd, 60);
	ASK(fd, "\n", " unknown action \"nope\"\n");
	ASK(fd, " \r\n\n \n", "");
	QUIET(fd, 60);
	ASK(fd, M1 "\n", "OK 0\n");
	ASK(fd, M1 " \t\r\n", "OK 0\n");
	ASK(fd, M1 M1 "\n" M1, "OKOK 0\nOK");
	QUIET(fd, 20);
	close(fd);

	CASE("backends: a text in two writes, at every byte, in both framings");
	for (i = 0; i < sizeof texts / sizeof *texts; i++) {
		len = strlen(texts[i][0]);
		for (at = 0; at <= len; at++) {
			fd = dial_unix(h->control);
			put(fd, texts[i][0], at);
			if (at % 2)
				nap(1);
			word = *texts[i][1] == 'O' ? 2 : 3;
			ASK(fd, texts[i][0] + at, word == 2 ? "OK" : "ERR");
			ASK(fd, "\n", texts[i][1] + word);
			/* And as a line at once, with another behind it. */
			put(fd, texts[i][0], at);
			if (at % 2)
				nap(1);
			put(fd, texts[i][0] + at, len - at);
			ASK(fd, "\n" M1 "\n", texts[i][1]);
			REPLY(fd, "OK 0\n");
			close(fd);
		}
	}

	CASE("backends: a text byte by byte");
	fd = dial_unix(h->control);
	for (at = 0; at < strlen(texts[1][0]); at++) {
		put(fd, texts[1][0] + at, 1);
		if (at % 8 == 0)
			nap(1);
	}
	REPLY(fd, "OK");
	close(fd);
}

/* Reads until so many bytes have come, or nothing more does. */
static size_t
get_some(int fd, char *buf, size_t len)
{
	size_t got = 0;
	ssize_t n;

	while (got < len && (n = recv(fd, buf + got, len - got, 0)) > 0)
		got += (size_t)n;
	return got;
}

static void
test_pipelining(const struct hub *h)
{
	static char all[2000 * 64], replies[2000 * 8];
	struct client c;
	char want[16];
	size_t n, i, bad;
	int fd, lines;

	CASE("backends: 2,000 texts in one write, in both framings");
	for (lines = 0; lines < 2; lines++) {
		join(&c, h);
		for (n = i = 0; i < 2000; i++)
			n += (size_t)sprintf(all + n, "{\"action\":"
			    "\"multicast\",\"data\":%d}%s", (int)i,
			    lines ? "\n" : "");
		fd = dial_unix(h->control);
		EXPECT(put(fd, all, n) == 0, "cannot write");
		n = lines ? 5 : 2;
		EXPECT(get_some(fd, replies, 2000 * n) == 2000 * n,
		    "replies are missing");
		for (bad = i = 0; i < 2000; i++)
			bad += memcmp(replies + i * n, "OK 1\n", n) != 0;
		EXPECT(bad == 0, "%zu wrong replies", bad);
		QUIET(fd, 20);
		for (i = 0; i < 2000; i++) {
			snprintf(want, sizeof want, "%d", (int)i);
			if (!TEXT(&c, want))
				break;
		}
		close(fd);
		leave(&c);
		EXPECT(await_gone(h, c.id), "it does not leave");
	}

	CASE("backends: right and wrong in one write, replies in order");
	fd = dial_unix(h->control);
	ASK(fd, M1 "\n{\"action\":\"x\"}\n" M1 "\n[]\n\n" M1 "\nno\n" M1 "\n",
	    "OK 0\nERR unknown action \"x\"\nOK 0\nERR not an object\n"
	    "OK 0\nERR not JSON at byte 1: ");
	get_line(fd);
	REPLY(fd, "OK 0\n");
	close(fd);
}

static void
test_errors(const struct hub *h)
{
	static const char *const t[][2] = {
		{ "[]", "ERR not an object\n" },
		{ "1", "ERR not an object\n" },
		{ "\"text\"", "ERR not an object\n" },
		{ "null", "ERR not an object\n" },
		{ "{}", "ERR no \"action\"\n" },
		{ "{\"action\":null}", "ERR \"action\" is not a string\n" },
		{ "{\"action\":\"\"}", "ERR unknown action \"\"\n" },
		{ "{\"action\":\"Multicast\",\"data\":1}",
		    "ERR unknown action \"Multicast\"\n" },
		{ "{\"action\":\"multicast\"}", "ERR no \"data\"\n" },
		{ "{\"action\":\"sendToChannel\",\"data\":1}",
		    "ERR no \"channel\"\n" },
		{ "{\"action\":\"sendToChannel\",\"channel\":\"a\"}",
		    "ERR no \"data\"\n" },
		{ "{\"action\":\"sendToChannel\",\"channel\":[],\"data\":1}",
		    "ERR \"channel\" is not a string of 1 to 255 bytes\n" },
		{ "{\"action\":\"sendToDevice\",\"data\":1}",
		    "ERR no \"device\"\n" },
		{ "{\"action\":\"sendToDevice\",\"device\":true,\"data\":1}",
		    "ERR \"device\" is not a string of 1 to 255 bytes\n" },
		{ "{\"action\":\"sendToDevice\",\"device\":\"\",\"data\":1}",
		    "ERR \"device\" is not a string of 1 to 255 bytes\n" },
		{ "{\"action\":\"subscribe\",\"channel\":\"a\"}",
		    "ERR no \"device\"\n" },
		{ "{\"action\":\"unsubscribe\",\"device\":\"a\"}",
		    "ERR no \"channel\"\n" },
		{ "{\"action\":\"subscribe\",\"device\":\"a\","
		    "\"channel\":\"b\"}", "ERR unknown device \"a\"\n" },
		{ "{'action':1}", "ERR not JSON at byte 1" },
		{ "{\"action\":\"multicast\",\"data\":01}",
		    "ERR not JSON at byte 30" },
		{ "{\"action\":\"multicast\",\"data\":1,}",
		    "ERR not JSON at byte 31" },
		{ "}", "ERR not JSON at byte 0" },
		{ "{\"action\":\"multicast\",\"data\":\"\xff\"}",
		    "ERR not JSON at byte 30" },
		{ "{\"action\":\"multicast\",\"data\":\"\x01\"}",
		    "ERR not JSON at byte 30" },
		{ "{\"action\":\"multicast\",\"data\":[1,,2]}",
		    "ERR not JSON at byte 32" },
	};
	const char *line;
	size_t i;
	int fd;

	CASE("backends: every error has its words, as a line and without");
	for (i = 0; i < sizeof t / sizeof *t; i++) {
		fd = dial_unix(h->control);
		put(fd, t[i][0], strlen(t[i][0]));
		put(fd, "\n", 1);
		line = get_line(fd);
		EXPECT(strncmp(line, t[i][1], strlen(t[i][1])) == 0,
		    "%s: %s", t[i][0], line);
		ASK(fd, M1 "\n", "OK 0\n");
		close(fd);
		fd = dial_unix(h->control);
		ASK(fd, t[i][0], *t[i][0] == '1' ? "" : "ERR");
		ASK(fd, M1, *t[i][0] == '1' ? "ERROK" : "OK");
		close(fd);
	}
}

static void
test_limits(const struct hub *h)
{
	static const char head[] = "{\"action\":\"multicast\",\"data\":";
	char deep[512], *p;
	size_t n;
	int fd, i, k;

	CASE("backends: a text of 1 MiB is obeyed, one byte more is not");
	for (i = 0; i < 2; i++) {
		p = sized((size_t)(1048576 - 30 + i), "\n" M1 "\n");
		fd = dial_unix(h->control);
		ASK(fd, p, i == 0 ? "OK 0\nOK 0\n" :
		    "ERR longer than 1048576 bytes\nOK 0\n");
		close(fd);
		free(p);
	}

	CASE("backends: 64 levels are obeyed, 65 are not");
	for (i = 63; i <= 64; i++) { /* the object is one */
		n = (size_t)sprintf(deep, "%s", head);
		for (k = 0; k < i; k++)
			deep[n++] = '[';
		for (k = 0; k < i; k++)
			deep[n++] = ']';
		strcpy(deep + n, "}\n" M1 "\n");
		fd = dial_unix(h->control);
		ASK(fd, deep, i == 63 ? "OK 0\nOK 0\n" :
		    "ERR not JSON at byte 92: ");
		if (i == 64) {
			get_line(fd);
			REPLY(fd, "OK 0\n");
		}
		close(fd);
	}
}

static void
test_resync(const struct hub *h)
{
	char got[64];
	size_t len;
	int fd, i;

	CASE("backends: after bad text, on to the newline that is there");
	fd = dial_unix(h->control);
	ASK(fd, "bad {\"action\":\"no\"} }\n" M1, "ERR not JSON at byte 0: ");
	get_line(fd);
	REPLY(fd, "OK");
	QUIET(fd, 20);
	close(fd);

	CASE("backends: after bad text without one, what came is discarded");
	fd = dial_unix(h->control);
	ASK(fd, "bad " M1 M1, "ERR");
	ASK(fd, M1, "OK");
	QUIET(fd, 20);
	close(fd);

	CASE("backends: one that writes lines loses that line, in many pieces");
	fd = dial_unix(h->control);
	ASK(fd, M1 "\n", "OK 0\n");
	ASK(fd, "{\"action\":\"multicast\",\"data\":nope", "ERR");
	QUIET(fd, 20);
	ASK(fd, M1 M1, "");
	QUIET(fd, 20);
	ASK(fd, "still the same\n", " not JSON at byte 30: ");
	get_line(fd);
	ASK(fd, M1 "\n", "OK 0\n");
	close(fd);

	CASE("backends: the end in the middle of a text is an ERR");
	for (i = 0; i < 3; i++) {
		fd = dial_unix(h->control);
		put(fd, i == 0 ? M1 "{\"act" : i == 1 ? M1 "\n{" : M1 "\n \n",
		    i == 0 ? 37 : i == 1 ? 33 : 34);
		shutdown(fd, SHUT_WR);
		EXPECT(get_all(fd, got, sizeof got, &len) && strcmp(got,
		    i == 0 ? "OKERR" : i == 1 ? "OK 0\nERR" : "OK 0\n") == 0,
		    "case %d: \"%s\"", i, got);
		close(fd);
	}
}

static void
test_big_data(const struct hub *h)
{
	struct client c;
	char *p = sized(900000, "\n");
	size_t len = strlen(p), at;
	int fd;

	CASE("backends: 900 kB in pieces");
	join(&c, h);
	fd = dial_unix(h->control);
	for (at = 0; at < len; at += 7001)
		put(fd, p + at, len - at < 7001 ? len - at : 7001);
	REPLY(fd, "OK 1\n");
	FRAME(&c, 0x81, p + 29, 900000);
	close(fd);
	leave(&c);
	free(p);
}

static void
backends(void)
{
	struct hub h = { 0 };

	START(&h, QUIET_HUB);
	test_framings(&h);
	test_pipelining(&h);
	test_errors(&h);
	test_limits(&h);
	test_resync(&h);
	test_big_data(&h);
	STOP(&h);
}

static struct test_group all_groups[] = {
	{ .name = "http", .run = http },
	{ .name = "health", .run = health },
	{ .name = "frames", .run = frames },
	{ .name = "messages", .run = messages },
	{ .name = "backends", .run = backends },
};

int
main(int argc, char **argv)
{
	return run_groups(argc, argv, all_groups,
	    (int)(sizeof all_groups / sizeof *all_groups));
}
