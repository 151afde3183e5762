/* wshub: ISC licence, see LICENSE. */
/*
 * Drives an echo server as the Autobahn test suite does, and as strictly.
 *
 * Its cases are written anew from their descriptions and RFC 6455, and keep
 * their numbers. A case is a script of frames, played over a socket of its own
 * in several pieces, and a transcript of what must come back:
 *
 *   T<hi> B<hi>     a message, in one frame; T(100:HASH) if it is long
 *   (pong hi)       a Pong
 *   close 1002      a Close with that code, "close -" with none
 *   |               nothing came while we said nothing for a while
 *
 * Then the server, not we, must close the connection. Anything that is not as
 * it should be (a masked frame, a reserved bit, a length that is not in its
 * shortest form, bytes after a Close, a reset) is in the transcript as words.
 * A script without a Close is ended by ours, with code 1000, if the server is
 * to be content with it.
 *
 *     conformance ECHO    where ECHO is the program
 */
#define _GNU_SOURCE
#include <sys/types.h>
#include <sys/wait.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <time.h>

#include "../ws.h"
#include "client.h"
#include "plain.h"
#include "test.h"

#define PATIENCE 20000 /* ms that anything may take */
#define QUIET 8        /* ms that a pause takes */
#define SHORT 130      /* bytes of a message that is spelled out */
#define ROOM (18u << 20)
#define WHOLE ROOM

static unsigned port;
static unsigned char script[ROOM], data[ROOM];
static size_t script_len;
static size_t pauses[16], npauses;
static char got[65536], want[65536];
static size_t got_len, want_len;

/* ---------------------------------------------------------- scripts, wishes */

static void
begin(void)
{
	script_len = npauses = want_len = 0;
	want[0] = '\0';
}

static void
raw(const void *bytes, size_t len)
{
	memcpy(script + script_len, bytes, len);
	script_len += len;
}

/* A frame's head, and as much of its payload as is there. */
static void
part(unsigned first, const void *payload, size_t there, uint64_t len)
{
	script_len += frame_part(script + script_len, first, payload, there,
	    len);
}

static void
frame(unsigned first, const void *payload, size_t len)
{
	part(first, payload, len, len);
}

static void
text(unsigned first, const char *payload)
{
	frame(first, payload, strlen(payload));
}

static void
close_frame(unsigned code, const char *why, size_t len)
{
	unsigned char payload[256];

	payload[0] = (unsigned char)(code >> 8 & 0xff);
	payload[1] = (unsigned char)(code & 0xff);
	memcpy(payload + 2, why, len);
	frame(WS_FIN | WS_CLOSE, payload, 2 + len);
}

static void
pause_here(void)
{
	pauses[npauses++] = script_len;
}

/* FNV-1a. */
static unsigned long long
hash(const unsigned char *p, size_t len)
{
	uint64_t h = 0xcbf29ce484222325;

	while (len-- > 0)
		h = (h ^ *p++) * 0x100000001b3;
	return h;
}

static void
note(char *to, size_t *at, const char *words, size_t len)
{
	if (*at + len + 1 > sizeof got)
		return;
	memcpy(to + *at, words, len);
	*at += len;
	to[*at] = '\0';
}

static void
note_message(char *to, size_t *at, int kind, const unsigned char *p, size_t len)
{
	char words[64];

	words[0] = (char)kind;
	if (len <= SHORT) {
		words[1] = '<';
		note(to, at, words, 2);
		note(to, at, (const char *)p, len);
		note(to, at, ">", 1);
		return;
	}
	snprintf(words + 1, sizeof words - 1, "(%zu:%016llx)", len,
	    hash(p, len));
	note(to, at, words, strlen(words));
}

static void
wish(const char *words)
{
	note(want, &want_len, words, strlen(words));
}

static void
wish_message(int kind, const void *p, size_t len)
{
	note_message(want, &want_len, kind, p, len);
}

/* ------------------------------------------------------------ a connection */

static long long
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (long long)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void
give_up(const char *what)
{
	perror(what);
	exit(1);
}

/* Connects and shakes hands. */
static struct client
dial(void)
{
	static const char request[] = "GET /?case=1 HTTP/1.1\r\n"
	    "Host: localhost\r\nUpgrade: WebSocket\r\n"
	    "User-Agent: conformance\r\n"
	    "Connection: keep-alive, Upgrade\r\n"
	    "Sec-WebSocket-Key: " KEY "\r\n"
	    "Sec-WebSocket-Version: 13\r\n\r\n";
	struct client c = { 0 };
	char *head, text[512];
	int n;

	c.fd = client_connect((int)port, 0);
	if (c.fd == -1 || client_put(&c, request, sizeof request - 1) != 0)
		give_up("connect");
	n = get_head(&c, &head);
	snprintf(text, sizeof text, "%.*s", n > 0 ? n : 0, n > 0 ? head : "");
	EXPECT(strncmp(text, "HTTP/1.1 101 ", 13) == 0 &&
	    strstr(text, ACCEPT) != NULL, "the answer to the handshake is "
	    "%d, \"%s\"", n, text);
	fcntl(c.fd, F_SETFL, O_NONBLOCK);
	got_len = 0;
	got[0] = '\0';
	return c;
}

static void
leave(struct client *c)
{
	close(c->fd);
	client_free(c);
}

static void
said(const char *words)
{
	note(got, &got_len, words, strlen(words));
}

/*
 * Notes a frame, if one is whole: 1 for a Close, 2 for another. LATE: none is;
 * AT_END; or what came is noted as words, and nothing more is understood.
 */
static int
take_frame(struct client *c)
{
	unsigned char *p;
	size_t len, at;
	int first = get_frame(c, &p, &len);
	unsigned opcode = (unsigned)first & 15;
	char words[32];

	if (first < 0) {
		if (first == RESET || first == WRONG)
			said(first == RESET ? " reset" : " a bad head");
		return first;
	}
	if ((first & 0xf0) != 0x80) {
		said(" bits or fragments");
		return WRONG;
	}
	if (opcode >= WS_CLOSE && len > 125) {
		said(" bad length");
		return WRONG;
	}
	if (opcode == WS_TEXT || opcode == WS_BINARY) {
		note_message(got, &got_len, opcode == WS_TEXT ? 'T' : 'B', p,
		    len);
	} else if (opcode == WS_PING || opcode == WS_PONG) {
		said(opcode == WS_PING ? "(ping " : "(pong ");
		note(got, &got_len, (char *)p, len);
		said(")");
	} else if (opcode == WS_CLOSE) {
		snprintf(words, sizeof words, len == 1 ? "close half" :
		    len == 0 ? "close -" : "close %u",
		    len < 2 ? 0 : (unsigned)p[0] << 8 | p[1]);
		said(words);
		if (len > 2 && plain_utf8(p + 2, len - 2, &at) != PLAIN_WHOLE)
			said(" with a bad reason");
	} else {
		said(" bad opcode");
		return WRONG;
	}
	return opcode == WS_CLOSE ? 1 : 2;
}

/* Plays the script in pieces of that size, until the server has closed. */
static void
play(size_t piece)
{
	struct client c = dial();
	int closed = 0, r;
	size_t at = 0, upto, mark = 0, end = script_len;
	struct pollfd p;
	ssize_t n;
	long long limit = now() + PATIENCE;

	p.fd = c.fd;
	for (;;) {
		p.events = (short)(at < end ? POLLIN | POLLOUT : POLLIN);
		if (poll(&p, 1, mark < npauses && pauses[mark] == at ? QUIET :
		    1000) == -1)
			give_up("poll");
		if (mark < npauses && pauses[mark] == at &&
		    (p.revents & POLLIN) == 0) {
			p.events = POLLIN; /* it may have been no wait */
			if ((p.revents & POLLOUT) != 0 &&
			    poll(&p, 1, QUIET) != 0)
				continue;
			mark++;
			said("|");
			continue;
		}
		if (now() > limit) {
			said(" silence");
			break;
		}
		if ((p.revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
			if (closed) {
				if ((r = need(&c, 1)) == AT_END)
					break;
				said(r == 0 ? " and more" : " reset");
				break;
			}
			while ((r = take_frame(&c)) == 2)
				;
			if (r < 0 && r != LATE)
				break;
			closed = r == 1;
			if (closed && at < end && npauses == 0)
				end = at; /* it may not want the rest */
		}
		if (closed) {
			end = at;
			continue;
		}
		if ((p.revents & POLLOUT) != 0 && at < end) {
			upto = at + piece < end ? at + piece : end;
			if (mark < npauses && upto > pauses[mark])
				upto = pauses[mark];
			n = send(c.fd, script + at, upto - at, MSG_NOSIGNAL);
			at += n > 0 ? (size_t)n : 0;
		}
	}
	leave(&c);
}

/*
 * Plays it whole, in bytes, and in pieces of odd sizes, as far as that does
 * not take long. With no Close in want, ours is added and answered.
 */
static void
script_is(int line, int content)
{
	static const size_t pieces[] = { WHOLE, 1, 997 };
	unsigned i;

	if (content) {
		close_frame(1000, "", 0);
		wish("close 1000");
	}
	for (i = 0; i < 3; i++) {
		if ((i == 1 && script_len > 600) ||
		    (i == 2 && (script_len < 997 || script_len > 300000)))
			continue;
		play(pieces[i]);
		test_expect(strcmp(got, want) == 0, __FILE__, line,
		    "in pieces of %zu: \"%.300s\", not \"%.300s\"", pieces[i],
		    got, want);
	}
}

#define IS(words) do {                                                        \
	wish(words);                                                          \
	script_is(__LINE__, strstr(words, "close") == NULL);                  \
} while (0)

/* ------------------------------------------------------------------- cases */

static void
framing(void)
{
	static const size_t sizes[] = { 0, 125, 126, 127, 128, 65535, 65536 };
	unsigned kind, i;

	for (kind = WS_TEXT; kind <= WS_BINARY; kind++) {
		CASE(kind == WS_TEXT ? "1.1 text messages of every size" :
		    "1.2 binary messages of every size");
		memset(data, kind == WS_TEXT ? '*' : 0xfe, 65536);
		for (i = 0; i < sizeof sizes / sizeof *sizes; i++) {
			begin();
			frame(WS_FIN | kind, data, sizes[i]);
			wish_message(kind == WS_TEXT ? 'T' : 'B', data,
			    sizes[i]);
			IS("");
		}
	}
}

static void
pings(void)
{
	int i;
	char words[32];

	CASE("2.1-2.4, 2.6 a Ping of 0 to 125 bytes is answered with them");
	begin();
	text(0x89, "");
	IS("(pong )");
	begin();
	text(0x89, "Hello, world!");
	IS("(pong Hello, world!)");
	begin();
	frame(0x89, "\x00\xff\xfe\xfd\xfc\xfb\x00\xff", 8);
	note(want, &want_len, "(pong \x00\xff\xfe\xfd\xfc\xfb\x00\xff)", 15);
	IS("");
	memset(data, 0xfe, 126);
	begin();
	frame(0x89, data, 125);
	wish("(pong ");
	note(want, &want_len, (char *)data, 125);
	IS(")");

	CASE("2.5 a Ping of 126 bytes: 1002");
	begin();
	frame(0x89, data, 126);
	IS("close 1002");

	CASE("2.7-2.9 a Pong that nobody asked for is passed over");
	begin();
	text(0x8a, "");
	pause_here();
	IS("|");
	begin();
	text(0x8a, "unsolicited");
	text(0x89, "ping");
	IS("(pong ping)");

	CASE("2.10-2.11 ten Pings: ten Pongs in their order");
	begin();
	for (i = 0; i < 10; i++) {
		snprintf(words, sizeof words, "payload-%d", i);
		text(0x89, words);
		snprintf(words, sizeof words, "(pong payload-%d)", i);
		wish(words);
	}
	IS("");
}

static void
reserved(void)
{
	static const unsigned opcodes[] = { 0x81, 0x82, 0x89, 0x88, 0x8a };
	static const unsigned wrong[] = { 3, 4, 5, 6, 7, 11, 12, 13, 14, 15 };
	unsigned i, bits;

	CASE("3.1-3.7 a reserved bit, in any frame: 1002, after what was "
	    "before");
	for (bits = 1; bits < 8; bits++)
		for (i = 0; i < 5; i++) {
			begin();
			text(0x81, "Hello, world!");
			text(opcodes[i] | bits << 4, i == 3 ? "\x03\xe8" :
			    "Hello, world!");
			text(0x89, "ping");
			IS("T<Hello, world!>close 1002");
		}
	begin();
	text(0x81 | 0x10, "");
	IS("close 1002");

	CASE("4.1-4.2 a reserved opcode: 1002, after what was before");
	for (i = 0; i < 10; i++) {
		begin();
		text(0x80 | wrong[i], "");
		IS("close 1002");
		begin();
		text(0x81, "Hello");
		text(0x80 | wrong[i], "reserved opcode payload");
		text(0x89, "ping");
		IS("T<Hello>close 1002");
		begin();
		text(wrong[i], "no FIN");
		IS("close 1002");
	}
}

static void
fragments(void)
{
	int i;

	CASE("5.1-5.2 a Ping or Pong in fragments: 1002");
	for (i = 0; i < 2; i++) {
		begin();
		text(i ? 0x0a : 0x09, "fragment1");
		text(0x80, "fragment2");
		IS("close 1002");
	}

	CASE("5.3-5.8 a message in fragments, Pings in between");
	begin();
	text(0x01, "fragment1");
	text(0x80, "fragment2");
	IS("T<fragment1fragment2>");
	begin();
	text(0x01, "fragment1");
	text(0x89, "ping");
	text(0x80, "fragment2");
	IS("(pong ping)T<fragment1fragment2>");
	begin();
	text(0x02, "");
	text(0x00, "");
	text(0x89, "");
	text(0x80, "");
	IS("(pong )B<>");

	CASE("5.9-5.14 a continuation of nothing: 1002");
	for (i = 0; i < 2; i++) {
		begin();
		text(i ? 0x80 : 0x00, "non-continuation payload");
		text(0x81, "Hello, world!");
		IS("close 1002");
		begin();
		text(0x82, "a");
		text(i ? 0x80 : 0x00, "b");
		text(0x81, "Hello, world!");
		IS("B<a>close 1002");
	}

	CASE("5.15-5.17 more fragments after the last, and again: 1002");
	begin();
	text(0x01, "fragment1");
	text(0x80, "fragment2");
	text(0x00, "fragment3");
	text(0x81, "fragment4");
	IS("T<fragment1fragment2>close 1002");
	for (i = 0; i < 2; i++) {
		begin();
		text(i ? 0x80 : 0x00, "fragment1");
		text(0x01, "fragment2");
		text(0x80, "fragment3");
		IS("close 1002");
	}

	CASE("5.18 a message begun inside another: 1002");
	begin();
	text(0x01, "fragment1");
	text(0x81, "fragment2");
	IS("close 1002");
	begin();
	text(0x02, "fragment1");
	text(0x89, "p");
	text(0x02, "fragment2");
	IS("(pong p)close 1002");

	CASE("5.19-5.20 five fragments, two Pings, and pauses");
	begin();
	text(0x01, "fragment1");
	text(0x00, "fragment2");
	text(0x89, "pongme 1!");
	wish("(pong pongme 1!)");
	pause_here();
	text(0x00, "fragment3");
	text(0x89, "pongme 2!");
	text(0x00, "fragment4");
	text(0x80, "fragment5");
	IS("|(pong pongme 2!)T<fragment1fragment2fragment3fragment4fragment5>");
}

static void
empty_texts(void)
{
	CASE("6.1 texts of no bytes, in fragments too");
	begin();
	text(0x81, "");
	IS("T<>");
	begin();
	text(0x01, "");
	text(0x80, "");
	IS("T<>");
	begin();
	text(0x01, "");
	text(0x00, "middle");
	text(0x80, "");
	IS("T<middle>");
}

static const char kosme[] = "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5";

static void
fail_fast(void)
{
	static const char *const bad[] = { "\xf4\x90\x80\x80",
	    "\xed\xa0\x80", "\xc0\xaf", "\xff" };
	char whole[64];
	size_t i, wrong, len;

	CASE("6.4 bad UTF-8 ends it at the first bad byte, in a frame or not");
	for (i = 0; i < 4; i++) {
		snprintf(whole, sizeof whole, "%s%sedited", kosme, bad[i]);
		len = strlen(whole);
		(void)plain_utf8((unsigned char *)whole, len, &wrong);
		/* 6.4.1: the second of three fragments; no third comes. */
		begin();
		text(0x01, kosme);
		pause_here();
		wish("|");
		text(0x00, bad[i]);
		IS("close 1007");
		/* 6.4.2: up to the bad byte only. */
		begin();
		text(0x01, kosme);
		pause_here();
		wish("|");
		frame(0x00, bad[i], wrong + 1 - strlen(kosme));
		IS("close 1007");
		/* 6.4.3, 6.4.4: inside a frame that is not all there. */
		begin();
		part(0x81, whole, wrong + 1, len);
		pauses[npauses++] = script_len - 1;
		wish("|");
		IS("close 1007");
	}
}

/* From Markus Kuhn's stress test, as 6.2 to 6.23 have it. */
static const char *const texts[] = {
	/* 6.2 */
	    "Hello-\xc2\xb5@\xc3\x9f\xc3\xb6\xc3\xa4\xc3\xbc\xc3\xa0"
	    "\xc3\xa1-UTF-8!!",
	/* 6.3 */
	    "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80"
	    "\x65\x64",
	/* 6.5 */ kosme,
	/* 6.6 */ "\xce", "\xce\xba", "\xce\xba\xe1", "\xce\xba\xe1\xbd",
	    "\xce\xba\xe1\xbd\xb9", "\xce\xba\xe1\xbd\xb9\xcf",
	/* 6.7 */ "\x01", "\xc2\x80", "\xe0\xa0\x80", "\xf0\x90\x80\x80",
	/* 6.8 */ "\xf8\x88\x80\x80\x80", "\xfc\x84\x80\x80\x80\x80",
	/* 6.9 */ "\x7f", "\xdf\xbf", "\xef\xbf\xbf", "\xf4\x8f\xbf\xbf",
	/* 6.10 */ "\xf7\xbf\xbf\xbf", "\xfb\xbf\xbf\xbf\xbf",
	    "\xfd\xbf\xbf\xbf\xbf\xbf",
	/* 6.11 */ "\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbd",
	    "\xf4\x90\x80\x80",
	/* 6.12 */ "\x80", "\xbf", "\x80\xbf", "\x80\xbf\x80",
	    "\x80\xbf\x80\xbf\x80\xbf",
	/* 6.13 */ "\xc0 \xc1 ", "\xc2 \xdf ", "\xe0 \xef ", "\xf0 \xf7 ",
	    "\xf8 \xfb ", "\xfc \xfd ",
	/* 6.14 */ "\xc0", "\xe0\x80", "\xf0\x80\x80", "\xf8\x80\x80\x80",
	    "\xfc\x80\x80\x80\x80", "\xdf", "\xef\xbf", "\xf7\xbf\xbf",
	    "\xfb\xbf\xbf\xbf", "\xfd\xbf\xbf\xbf\xbf",
	/* 6.15 */
	    "\xc0\xe0\x80\xf0\x80\x80\xf8\x80\x80\x80\xfc\x80\x80\x80"
	    "\x80\xdf\xef\xbf\xf7\xbf\xbf",
	/* 6.16 */ "\xfe", "\xff", "\xfe\xfe\xff\xff",
	/* 6.17 */ "\xc0\xaf", "\xe0\x80\xaf", "\xf0\x80\x80\xaf",
	    "\xf8\x80\x80\x80\xaf", "\xfc\x80\x80\x80\x80\xaf",
	/* 6.18 */ "\xc1\xbf", "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf",
	    "\xf8\x87\xbf\xbf\xbf", "\xfc\x83\xbf\xbf\xbf\xbf",
	/* 6.19 */ "\xc0\x80", "\xe0\x80\x80", "\xf0\x80\x80\x80",
	    "\xf8\x80\x80\x80\x80", "\xfc\x80\x80\x80\x80\x80",
	/* 6.20 */ "\xed\xa0\x80", "\xed\xad\xbf", "\xed\xae\x80",
	    "\xed\xaf\xbf", "\xed\xb0\x80", "\xed\xbe\x80", "\xed\xbf\xbf",
	/* 6.21 */ "\xed\xa0\x80\xed\xb0\x80", "\xed\xa0\x80\xed\xbf\xbf",
	    "\xed\xad\xbf\xed\xb0\x80", "\xed\xaf\xbf\xed\xbf\xbf",
	/* 6.22 */ "\xef\xbf\xbe", "\xef\xbf\xbf", "\xf0\x9f\xbf\xbe",
	    "\xf0\x9f\xbf\xbf", "\xf0\xaf\xbf\xbe", "\xf3\xbf\xbf\xbf",
	    "\xf4\x8f\xbf\xbe", "\xf4\x8f\xbf\xbf",
	/* 6.23 */ "\xef\xbf\xb9", "\xef\xbf\xba", "\xef\xbf\xbb",
	    "\xef\xbf\xbc", "\xef\xbf\xbd", "\xef\xbf\xbe", "\xef\xbf\xbf"
};

static void
utf8_texts(void)
{
	const char *s;
	size_t i, j, len, wrong;
	int right;

	CASE("6.2-6.23 texts of every kind, whole, in fragments of a byte, and "
	    "up to the bad one");
	for (i = 0; i < sizeof texts / sizeof *texts; i++) {
		s = texts[i];
		len = strlen(s);
		right = plain_utf8((const unsigned char *)s, len, &wrong);
		begin();
		text(0x81, s);
		if (right == PLAIN_WHOLE)
			wish_message('T', s, len);
		IS(right == PLAIN_WHOLE ? "" : "close 1007");
		begin();
		for (j = 0; j < len; j++)
			frame(j == 0 ? 0x01 : 0x00, s + j, 1);
		text(0x80, "");
		if (right == PLAIN_WHOLE)
			wish_message('T', s, len);
		IS(right == PLAIN_WHOLE ? "" : "close 1007");
		if (right == PLAIN_WRONG) {
			begin();
			part(0x81, s, wrong + 1, 1000);
			IS("close 1007");
		}
	}
}

static void
closing(void)
{
	static const unsigned good[] = { 1000, 1001, 1002, 1003, 1007, 1008,
	    1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999 };
	static const unsigned bad[] = { 0, 999, 1004, 1005, 1006, 1015, 1016,
	    1100, 2000, 2999, 5000, 65535 };
	char words[32];
	size_t i;

	CASE("7.1.1-7.1.5 nothing after a Close is answered");
	begin();
	text(0x81, "Hello World!");
	IS("T<Hello World!>");
	begin();
	close_frame(1000, "", 0);
	close_frame(1000, "", 0);
	IS("close 1000");
	begin();
	close_frame(1000, "", 0);
	text(0x89, "ping");
	IS("close 1000");
	begin();
	close_frame(1000, "", 0);
	text(0x81, "Hello World!");
	IS("close 1000");
	begin();
	text(0x01, "fragment1");
	close_frame(1000, "", 0);
	text(0x80, "fragment2");
	IS("close 1000");

	CASE("7.1.6 what was said before a Close is answered before it");
	begin();
	for (i = 0; i < 256 * 1024; i++)
		data[i] = (unsigned char)"BAsd7&jh23"[i % 10];
	frame(0x81, data, 256 * 1024);
	wish_message('T', data, 256 * 1024);
	text(0x81, "Hello World!");
	close_frame(1000, "", 0);
	text(0x89, "");
	IS("T<Hello World!>close 1000");

	CASE("7.3.1-7.3.6 a Close of 0, 1, 2, 125 and 126 bytes");
	begin();
	text(0x88, "");
	IS("close -");
	begin();
	text(0x88, "a");
	IS("close 1002");
	begin();
	text(0x88, "\x03");
	raw("\xe8\x03\xe8", 3); /* not its other half */
	IS("close 1002");
	begin();
	close_frame(1000, "", 0);
	IS("close 1000");
	begin();
	close_frame(1000, "Hello World!", 12);
	IS("close 1000");
	memset(data, '*', 124);
	begin();
	close_frame(1000, (char *)data, 123);
	IS("close 1000");
	begin();
	close_frame(1000, (char *)data, 124);
	IS("close 1002");

	CASE("7.5.1 a Close with a reason that is not UTF-8: 1007");
	begin();
	close_frame(1000, "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed"
	    "\xa0\x80\x65\x64\x69\x74\x65\x64", 20);
	IS("close 1007");
	begin();
	close_frame(1000, "\xce\xba\xe1", 3);
	IS("close 1007");

	CASE("7.7 codes that a Close may have come back");
	for (i = 0; i < sizeof good / sizeof *good; i++) {
		begin();
		close_frame(good[i], "", 0);
		snprintf(words, sizeof words, "close %u", good[i]);
		IS(words);
	}

	CASE("7.9, 7.13 codes that no Close may have: 1002");
	for (i = 0; i < sizeof bad / sizeof *bad; i++) {
		begin();
		close_frame(bad[i], "", 0);
		IS("close 1002");
	}

	CASE("masks: a frame without one is 1002");
	begin();
	raw("\x81\x05Hello", 7);
	IS("close 1002");
}

/* Once each: these are long. */
static void
message(unsigned kind, size_t len, size_t fragment, size_t piece)
{
	size_t at, n;

	begin();
	for (at = 0; at < len; at += n) {
		n = len - at < fragment ? len - at : fragment;
		frame((at == 0 ? kind : WS_CONT) | (at + n == len ? WS_FIN : 0),
		    data + at, n);
	}
	close_frame(1000, "", 0);
	wish_message(kind == WS_TEXT ? 'T' : 'B', data, len);
	wish("close 1000");
	play(piece);
	EXPECT(strcmp(got, want) == 0, "%zu bytes, fragments of %zu, pieces of "
	    "%zu: \"%.100s\", not \"%.100s\"", len, fragment, piece, got, want);
}

/* A message after the other, each when the one before has come back. */
static void
round_trips(unsigned kind, size_t len)
{
	struct client c = dial();
	int i, r = 2;
	struct pollfd p;

	begin();
	frame(WS_FIN | kind, data, len);
	p.fd = c.fd;
	p.events = POLLIN;
	wish_message(kind == WS_TEXT ? 'T' : 'B', data, len);
	for (i = 0; i < 1000 && r == 2; i++) {
		if (client_put(&c, script, script_len) != 0)
			break;
		got_len = 0;
		while ((r = take_frame(&c)) == LATE)
			if (poll(&p, 1, PATIENCE) != 1)
				break;
		if (strcmp(got, want) != 0)
			break;
	}
	EXPECT(i == 1000, "%zu bytes: message %d has come back as \"%.100s\"",
	    len, i, got);
	leave(&c);
}

static void
limits(void)
{
	static const size_t small[] = { 0, 16, 64, 256, 1024, 4096 };
	static const size_t large[] = { 65536, 1 << 18, 1 << 20, 1 << 22,
	    1 << 23, 1 << 24 };
	unsigned kind, i;
	size_t n;

	for (kind = WS_TEXT; kind <= WS_BINARY; kind++) {
		for (n = 0; n < 1 << 24; n++)
			data[n] = (unsigned char)(kind == WS_TEXT ?
			    ' ' + n * 7 % 95 : n * 131 ^ n >> 8);
		CASE(kind == WS_TEXT ? "9.1 texts up to 16 MiB" :
		    "9.2 binary messages up to 16 MiB");
		for (i = 0; i < 6; i++)
			message(kind, large[i], large[i], WHOLE);
		CASE(kind == WS_TEXT ? "10.1 65,536 bytes in fragments of "
		    "1,300" :
		    "10.1 and as binary");
		message(kind, 65536, 1300, WHOLE);
		if (kind == WS_BINARY)
			break; /* the rest is the same, without UTF-8 */
		CASE("9.3 a text of 4 MiB in fragments of 64 bytes to 4 MiB");
		for (n = 64; n <= 1 << 22; n *= 4)
			message(kind, 1 << 22, n, WHOLE);
		CASE("9.5 a text of 1 MiB in writes of 64 to 2,048 bytes");
		for (n = 64; n <= 2048; n *= 2)
			message(kind, 1 << 20, 1 << 20, n);
		CASE("9.7 a thousand texts, one by one");
		for (i = 0; i < 6; i++)
			round_trips(kind, small[i]);
	}

	CASE("9 a message over the limit: 1009 when its length says so");
	begin();
	part(0x82, data, 10, (1 << 24) + 1);
	IS("close 1009");
	begin();
	part(0x02, data, 10, 10);
	part(0x80, data, 0, 1 << 24);
	IS("close 1009");
}

int
main(int argc, char **argv)
{
	char words[64];
	int fd[2];
	FILE *f;
	pid_t pid;

	if (argc != 2 || pipe(fd) != 0 || (pid = fork()) == -1) {
		fprintf(stderr, "usage: conformance ECHO\n");
		return 2;
	}
	if (pid == 0) {
		dup2(fd[1], 1);
		close(fd[0]);
		execl("/bin/sh", "sh", "-c", "exec $WSHUB_WRAP \"$0\" 0",
		    argv[1], (char *)NULL);
		_exit(127);
	}
	close(fd[1]);
	signal(SIGPIPE, SIG_IGN);
	f = fdopen(fd[0], "r");
	if (f == NULL || fgets(words, sizeof words, f) == NULL ||
	    sscanf(words, "echo: port %u", &port) != 1) {
		fprintf(stderr, "%s does not start\n", argv[1]);
		return 1;
	}
	framing();
	pings();
	reserved();
	fragments();
	empty_texts();
	fail_fast();
	utf8_texts();
	closing();
	limits();
	CASE("the server is still there");
	EXPECT(waitpid(pid, NULL, WNOHANG) == 0, "it has ended");
	kill(pid, SIGTERM);
	waitpid(pid, NULL, 0);
	return test_end();
}
