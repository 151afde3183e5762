/* wshub: ISC licence, see LICENSE. */
/*
 * Tests of ws.c.
 *
 * Wrong frames are written up to the byte that gives them away and no further:
 * every shorter prefix must be WS_MORE (or whole frames), that byte must be
 * refused, and anything after it must change nothing.
 *
 * What a framer says is written down as text: T<...> and B<...> are messages,
 * put together from their pieces, with control frames where they came, (ping
 * ...), (pong ...), (close CODE ...), and at the end perhaps "bad CODE". That
 * text may not depend on how the input was cut up.
 */
#define _GNU_SOURCE

#include "../ws.c"
#include "test.h"

#define ARENA 262144
#define LEN(a) (sizeof(a) / sizeof((a)[0]))

static uint32_t seed = 1;

static unsigned
random_to(unsigned sides)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % sides;
}

static void
hex(char *out, const unsigned char *p, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		snprintf(out + 2 * i, 3, "%02x", p[i]);
}

/* ------------------------------------------------------ SHA-1 and base64 */

static void
sha1_is(const void *data, size_t len, const char *want)
{
	unsigned char digest[20];
	char got[41];

	ws_sha1(digest, data, len);
	hex(got, digest, 20);
	EXPECT(strcmp(got, want) == 0, "SHA-1 of %zu bytes: %s, not %s", len,
	    got, want);
}

static void
digests(void)
{
	static const struct {
		const char *data, *want;
	} sha[] = {
		{ "", "da39a3ee5e6b4b0d3255bfef95601890afd80709" },
		{ "abc", "a9993e364706816aba3e25717850c26c9cd0d89d" },
		{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		  "84983e441c3bd26ebaae4aa1f95129e5e54670f1" },
		{ "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn"
		  "hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
		  "a49b2446a02c645bf419f995b67091253a04a259" }
	}, b64[] = {
		{ "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" },
		{ "foo", "Zm9v" }, { "foob", "Zm9vYg==" },
		{ "fooba", "Zm9vYmE=" }, { "foobar", "Zm9vYmFy" },
		{ "\xfb\xff\xbf", "+/+/" }, { "\xff\xfe", "//4=" }
	};
	unsigned char all[20 * 301], pattern[300];
	char *million, text[8192], *at = text, *out;
	size_t i, n;

	CASE("SHA-1: the vectors of FIPS 180-4");
	for (i = 0; i < LEN(sha); i++)
		sha1_is(test_place(sha[i].data, strlen(sha[i].data)),
		    strlen(sha[i].data), sha[i].want);
	if ((million = malloc(1000000)) != NULL) {
		memset(million, 'a', 1000000);
		sha1_is(million, 1000000,
		    "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
		free(million);
	}
	sha1_is(NULL, 0, sha[0].want);

	CASE("SHA-1: every length from 0 to 300");
	for (i = 0; i < sizeof(pattern); i++)
		pattern[i] = (unsigned char)((i * 7 + 3) & 0xff);
	for (i = 0; i <= sizeof(pattern); i++)
		ws_sha1(all + 20 * i, test_place(pattern, i), i);
	/* Python's hashlib says so. */
	sha1_is(all, sizeof(all), "43debf5006166594c976375f1c06253e43d53ddf");

	CASE("base64: the vectors of RFC 4648");
	for (i = 0; i < LEN(b64); i++) {
		memset(text, 'x', sizeof(text));
		n = strlen(b64[i].data);
		n = ws_base64(text, test_place(b64[i].data, n), n);
		EXPECT(n == strlen(b64[i].want) && text[n] == '\0' &&
		    strcmp(text, b64[i].want) == 0,
		    "\"%s\": %zu, \"%.12s\"", b64[i].data, n, text);
	}

	CASE("base64: every length from 0 to 96, no byte beyond the NUL");
	for (i = 0; i <= 96; i++) {
		n = 4 * ((i + 2) / 3);
		out = test_wall() - n - 1;
		EXPECT(ws_base64(out, pattern, i) == n, "length of %zu", i);
		EXPECT(strlen(out) == n, "no NUL after %zu", i);
		memcpy(at, out, n);
		at += n;
	}
	sha1_is(text, (size_t)(at - text),
	    "203642ad1355d3203f8d431d7c436301843331c2");

	CASE("the accept key of RFC 6455 section 1.3");
	ws_accept_key(text, test_place("dGhlIHNhbXBsZSBub25jZQ==", 24));
	EXPECT(strcmp(text, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") == 0, "%s", text);
}

/* ---------------------------------------------------------------- UTF-8 */

/*
 * What UTF-8 is, from the other side: every character there is, encoded.
 * whole[n] has a bit for each encoding of n bytes, begun[n] for each n first
 * bytes of a longer one. Those of four bytes are looked at in place.
 */
static unsigned char whole[4][1 << 21], begun[4][1 << 21];

#define BIT(set, x) ((set)[(x) >> 3] >> ((x) & 7) & 1)
#define SET(set, x) ((set)[(x) >> 3] |= (unsigned char)(1 << ((x) & 7)))

static unsigned
encode(unsigned char *p, uint32_t c)
{
	unsigned i, n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	static const unsigned char lead[] = { 0, 0x00, 0xc0, 0xe0, 0xf0 };

	for (i = n - 1; i > 0; i--, c >>= 6)
		p[i] = (unsigned char)(0x80 | (c & 0x3f));
	p[0] = (unsigned char)(lead[n] | c);
	return n;
}

static void
encode_all(void)
{
	unsigned char p[4];
	uint32_t c, x;
	unsigned i, n;

	for (c = 0; c < 0x110000; c++) {
		if (c == 0xd800)
			c = 0xe000;
		n = encode(p, c);
		for (i = 1, x = 0; i <= n && i < 4; i++) {
			x = x << 8 | p[i - 1];
			if (i == n)
				SET(whole[i], x);
			else
				SET(begun[i], x);
		}
	}
}

/* The index of the first wrong byte of n < 4, or n; *in: inside a character */
static size_t
utf8_wrong(const unsigned char *p, size_t n, int *in)
{
	size_t i, have = 0;
	uint32_t x = 0;

	for (i = 0; i < n; i++) {
		x = x << 8 | p[i];
		have++;
		if (BIT(whole[have], x))
			x = 0, have = 0;
		else if (!BIT(begun[have], x))
			return i;
	}
	*in = have != 0;
	return n;
}

static void
utf8_try(const unsigned char *p, size_t n)
{
	struct ws_utf8 u = { 0, 0, 0 };
	int in = 0;
	size_t got = ws_utf8(&u, p, n), want = utf8_wrong(p, n, &in);

	if (got != want || (got == n && (u.left != 0) != in))
		EXPECT(0, "%02x %02x %02x (%zu): %zu, not %zu; left %u", p[0],
		    p[1], p[2], n, got, want, u.left);
}

static void
texts(void)
{
	unsigned char p[64], *q;
	struct ws_utf8 u, v;
	uint32_t x;
	size_t i, j, k, n, got;
	unsigned c;

	encode_all();
	memset(p, 0, sizeof(p));
	CASE("UTF-8: every sequence of one, two and three bytes");
	for (x = 0; x < 1 << 24; x++) {
		p[0] = (unsigned char)(x >> 16 & 0xff);
		p[1] = (unsigned char)(x >> 8 & 0xff);
		p[2] = (unsigned char)(x & 0xff);
		utf8_try(p, 3);
		if ((x & 0xff) == 0)
			utf8_try(p, 2);
		if ((x & 0xffff) == 0)
			utf8_try(p, 1);
	}

	CASE("UTF-8: every last byte after every three that begin four");
	for (x = 0x10000; x < 0x110000; x += 64) {
		encode(p, x);
		memset(&v, 0, sizeof(v));
		EXPECT(ws_utf8(&v, p, 3) == 3 && v.left == 1, "U+%04X", x);
		for (c = 0; c < 256; c++) {
			u = v;
			p[3] = (unsigned char)c;
			got = ws_utf8(&u, p + 3, 1);
			EXPECT(got == (c >> 6 == 2) &&
			    u.left == (c >> 6 == 2 ? 0 : 1),
			    "U+%04X, 0x%02x: %zu", x, c, got);
		}
	}

	CASE("UTF-8: no character above U+10FFFF, no lead byte above 0xf4");
	for (x = 0; x < 1 << 16; x++) {
		p[0] = (unsigned char)(0xf0 | (x >> 12));
		p[1] = (unsigned char)(0x80 | (x >> 6 & 0x3f));
		p[2] = (unsigned char)(0x80 | (x & 0x3f));
		utf8_try(p, 3);
	}

	CASE("UTF-8: eight at a time, wherever the other bytes are");
	for (n = 0; n <= 40; n++)
		for (i = 0; i < n; i++)
			for (c = 0x70; c < 0x100; c++)
				for (j = 0; j < 2; j++) {
					memset(p, 'a', sizeof(p));
					p[i] = (unsigned char)c;
					if (j && i + 1 < n)
						p[i + 1] = 0x80;
					q = test_place(p, n);
					memset(&u, 0, sizeof(u));
					memset(&v, 0, sizeof(v));
					got = ws_utf8(&u, q, n);
					for (k = 0; k < n; k++)
						if (ws_utf8_byte(&v, q[k]) != 0)
							break;
					EXPECT(got == k && u.left == v.left,
					    "%zu: 0x%02x at %zu: %zu, not %zu",
					    n, c, i, got, k);
				}
}

static void
masks(void)
{
	static const unsigned char mask[4] = { 0x37, 0xfa, 0x21, 0x3d };
	unsigned char want[96], *p;
	size_t off, len, i;
	unsigned turn;

	CASE("masking: every alignment, length and turn, as byte by byte");
	for (off = 0; off < 9; off++)
		for (len = 0; len <= 48; len++)
			for (turn = 0; turn < 4; turn++) {
				for (i = 0; i < sizeof(want); i++)
					want[i] = (unsigned char)(i * 11 + 5);
				p = test_place(want, 8 + len + off);
				for (i = 0; i < len; i++)
					want[8 + i] ^= mask[(turn + i) % 4];
				ws_mask(p + 8, len, mask, turn);
				EXPECT(memcmp(p, want, 8 + len + off) == 0,
				    "offset %zu, %zu bytes, turn %u", off, len,
				    turn);
			}
}

/* ---------------------------------------------------------------- frames */

static unsigned char in[ARENA]; /* the frames of a test */
static size_t in_len;
static int in_masked;
static unsigned in_turn;
static const unsigned char in_mask[4] = { 0x9c, 0x01, 0xff, 0x62 };

static unsigned char said[2 * ARENA]; /* what the framer made of them */
static size_t said_len, said_open;
static size_t bad_at; /* bytes given when it was WS_BAD */

static void
begin(int masked)
{
	in_len = 0;
	in_masked = masked;
}

static void
raw(const void *bytes, size_t n)
{
	memcpy(in + in_len, bytes, n);
	in_len += n;
}

/* A frame's head, with its length in form: 0 (the shortest), 1, 2 or 8. */
static void
head(unsigned first, uint64_t len, unsigned form)
{
	unsigned i;

	if (form == 0)
		form = len < 126 ? 1 : len < 65536 ? 2 : 8;
	in[in_len++] = (unsigned char)first;
	in[in_len++] = (unsigned char)((in_masked ? 0x80 : 0) |
	    (form == 1 ? (unsigned)len : form == 2 ? 126 : 127));
	for (i = form; form > 1 && i > 0; i--)
		in[in_len++] = (unsigned char)(len >> (i - 1) * 8 & 0xff);
	if (in_masked)
		raw(in_mask, 4);
	in_turn = 0;
}

static void
body(const void *data, size_t n)
{
	const unsigned char *p = data;

	for (; n > 0; n--, p++)
		in[in_len++] = (unsigned char)(*p ^
		    (in_masked ? in_mask[in_turn++ % 4] : 0));
}

static void
frame(unsigned first, const void *data, size_t n)
{
	head(first, n, 0);
	body(data, n);
}

static void
say(const void *words, size_t n)
{
	memcpy(said + said_len, words, n);
	said_len += n;
}

static void
say_event(const struct ws_event *e)
{
	char words[32];

	if (e->opcode == WS_TEXT || e->opcode == WS_BINARY) {
		EXPECT((e->first != 0) == (said_open == SIZE_MAX),
		    "first is %d", e->first);
		if (e->first) {
			said_open = said_len;
			say(e->opcode == WS_TEXT ? "T<" : "B<", 2);
		}
		EXPECT(said[said_open] == (e->opcode == WS_TEXT ? 'T' : 'B'),
		    "opcode %u", e->opcode);
		say(e->data, e->len);
		if (e->last) {
			say(">", 1);
			said_open = SIZE_MAX;
		}
		return;
	}
	EXPECT(e->first && e->last, "first %d, last %d", e->first, e->last);
	if (e->opcode == WS_CLOSE)
		snprintf(words, sizeof(words), "(close %u ", e->code);
	else
		snprintf(words, sizeof(words), "(%s ", e->opcode == WS_PING ?
		    "ping" : e->opcode == WS_PONG ? "pong" : "?");
	say(words, strlen(words));
	say(e->data, e->len);
	say(")", 1);
}

/* Reads in, all at once (cut 0), byte by byte (SIZE_MAX), or in two parts. */
static void
feed(uint32_t limit, size_t cut)
{
	static unsigned char have[ARENA];
	struct ws_framer f, was;
	struct ws_event e;
	size_t given, n = 0, step;
	ssize_t used;
	unsigned char *p;
	char words[32];

	said_len = 0;
	said_open = SIZE_MAX;
	bad_at = 0;
	ws_framer_init(&f, in_masked, limit);
	for (given = 0; given < in_len; ) {
		step = cut == SIZE_MAX ? 1 : given == 0 && cut != 0 ? cut :
		    in_len - given;
		memcpy(have + n, in + given, step);
		given += step;
		n += step;
		for (;;) {
			p = test_place(have, n);
			was = f;
			memset(&e, 0xee, sizeof(e));
			used = ws_framer_next(&f, p, n, &e);
			if (used <= 0)
				break;
			if ((size_t)used > n) {
				EXPECT(0, "%zd of %zu bytes used", used, n);
				return;
			}
			EXPECT(memcmp(p + used, have + used,
			    n - (size_t)used) == 0, "changed what is not used");
			EXPECT(e.data + e.len == p + used, "data is elsewhere");
			say_event(&e);
			n -= (size_t)used;
			memmove(have, have + used, n);
		}
		if (used == WS_BAD) {
			/* How much of a message came before depends on cut. */
			if (said_open != SIZE_MAX)
				said_len = said_open;
			bad_at = given;
			snprintf(words, sizeof(words), "bad %u", e.code);
			say(words, strlen(words));
			EXPECT(strlen(e.reason) > 0 && strlen(e.reason) < 48,
			    "why: %s", e.reason);
			return;
		}
		EXPECT(used == WS_MORE, "%zd", used);
		EXPECT(memcmp(&f, &was, sizeof(f)) == 0 &&
		    memcmp(p, have, n) == 0, "WS_MORE with something changed");
		EXPECT(n < 131, "WS_MORE with %zu bytes", n);
	}
	if (n != 0 || said_open != SIZE_MAX)
		say("...", 3);
}

static void
said_is(const void *want, size_t len, const char *how, size_t cut, int line)
{
	if (said_len == len && memcmp(said, want, len) == 0)
		return;
	EXPECT(0, "line %d, %s, %s %zu: \"%.*s\", not \"%.*s\"", line,
	    in_masked ? "masked" : "unmasked", how, cut,
	    (int)(said_len < 200 ? said_len : 200), (const char *)said,
	    (int)(len < 200 ? len : 200), (const char *)want);
}

/* What was put in must be want, however it is cut. */
static void
frames_are(uint32_t limit, const void *want, size_t len, int line)
{
	size_t cut;
	int wrong = len >= 8 && memcmp((const char *)want + len - 8, "bad ",
	    4) == 0;

	feed(limit, 0);
	said_is(want, len, "whole", in_len, line);
	feed(limit, SIZE_MAX);
	said_is(want, len, "bytes of", in_len, line);
	EXPECT(bad_at == (wrong ? in_len : 0), "line %d: bad at %zu of %zu",
	    line, bad_at, in_len);
	for (cut = 1; cut < in_len; cut++) {
		if (cut == 300 && in_len > 1000)
			cut = in_len - 300;
		feed(limit, cut);
		said_is(want, len, "cut at", cut, line);
	}
	if (!wrong)
		return;
	raw("\x81\x85\x00\x00\xff\xff\x88\x00\x80 ", 10);
	feed(limit, 0);
	said_is(want, len, "with more after", in_len - 10, line);
}

#define FRAMES(limit, want) \
	frames_are(limit, want, sizeof(want) - 1, __LINE__)

static void
vectors(void)
{
	static unsigned char block[65600];
	size_t i;

	for (i = 0; i < sizeof(block); i++)
		block[i] = (unsigned char)(i * 31 + (i >> 8));

	CASE("frames of RFC 6455 section 5.7");
	begin(0);
	raw("\x81\x05Hello", 7);
	FRAMES(65536, "T<Hello>");
	begin(1);
	raw("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", 11);
	FRAMES(65536, "T<Hello>");
	begin(0);
	raw("\x01\x03Hel\x80\x02lo", 9);
	FRAMES(65536, "T<Hello>");
	begin(0);
	raw("\x89\x05Hello", 7);
	FRAMES(65536, "(ping Hello)");
	begin(1);
	raw("\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", 11);
	FRAMES(65536, "(pong Hello)");
	begin(0);
	raw("\x82\x7e\x01\x00", 4);
	raw(block, 256);
	feed(65536, 0);
	EXPECT(said_len == 259 && memcmp(said + 2, block, 256) == 0, "256");
	begin(0);
	raw("\x82\x7f\0\0\0\0\0\1\0\0", 10);
	raw(block, 65536);
	feed(65536, SIZE_MAX);
	EXPECT(said_len == 65539 && memcmp(said + 2, block, 65536) == 0,
	    "64 KiB");

	CASE("no bytes at all are WS_MORE");
	begin(0);
	FRAMES(10, "");
	{
		struct ws_framer f;
		struct ws_event e;

		ws_framer_init(&f, 0, 10);
		EXPECT(ws_framer_next(&f, block, 0, &e) == WS_MORE, "no");
		EXPECT(ws_framer_next(&f, test_place("", 0), 0, &e) ==
		    WS_MORE, "no");
	}

	CASE("a data frame's head is used without payload");
	{
		struct ws_framer f;
		struct ws_event e;
		ssize_t n;

		ws_framer_init(&f, 0, 10);
		n = ws_framer_next(&f, test_place("\x81\x02", 2), 2, &e);
		EXPECT(n == 2 && e.len == 0 && e.first && !e.last &&
		    e.opcode == WS_TEXT, "%zd, %zu", n, e.len);
		n = ws_framer_next(&f, test_place("", 0), 0, &e);
		EXPECT(n == WS_MORE, "%zd", n);
		n = ws_framer_next(&f, test_place("a", 1), 1, &e);
		EXPECT(n == 1 && e.len == 1 && !e.first && !e.last, "%zd", n);
		n = ws_framer_next(&f, test_place("b\x81", 2), 2, &e);
		EXPECT(n == 1 && e.len == 1 && !e.first && e.last, "%zd", n);
	}
}

#define LINE_25 "-a-line-of-25-characters-"
#define LINE_125 LINE_25 LINE_25 LINE_25 LINE_25 LINE_25

static void
rules(int masked)
{
	unsigned i, op;
	unsigned char c;

	CASE(masked ? "reserved bits, from a client: 1002" :
	    "reserved bits, from a server: 1002");
	for (i = 0; i < 256; i++) {
		if ((i & 0x70) == 0)
			continue;
		c = (unsigned char)i;
		begin(masked);
		raw(&c, 1);
		FRAMES(10, "bad 1002");
		begin(masked);
		frame(0x81, "ok", 2);
		raw(&c, 1);
		FRAMES(10, "T<ok>bad 1002");
		begin(masked);
		frame(0x01, "ok", 2);
		raw(&c, 1);
		FRAMES(10, "bad 1002");
	}

	CASE("opcodes: reserved ones are 1002, the others not");
	for (i = 0; i < 2; i++)
		for (op = 0; op < 16; op++) {
			c = (unsigned char)((i ? 0x80 : 0) | op);
			begin(masked);
			raw(&c, 1);
			if (op >= 3 && op != 8 && op != 9 && op != 10)
				FRAMES(10, "bad 1002");
			else if (op == 0 || (op >= 8 && i == 0))
				FRAMES(10, "bad 1002"); /* its place, FIN */
			else
				FRAMES(10, "...");
		}

	CASE("masking the wrong way: 1002");
	for (i = 0; i < 128; i++) {
		begin(masked);
		c = (unsigned char)((masked ? 0x00 : 0x80) | i);
		raw("\x81", 1);
		raw(&c, 1);
		FRAMES(10, "bad 1002");
	}

	CASE("control frames: 125 bytes, 126 are 1002, fragments are 1002");
	for (op = 8; op <= 10; op++) {
		for (i = 126; i < 128; i++) {
			begin(masked);
			c = (unsigned char)(0x80 | op);
			raw(&c, 1);
			c = (unsigned char)((masked ? 0x80 : 0) | i);
			raw(&c, 1);
			FRAMES(10, "bad 1002");
		}
		begin(masked);
		c = (unsigned char)op;
		raw(&c, 1);
		FRAMES(10, "bad 1002");
	}
	begin(masked);
	frame(0x89, "", 0);
	frame(0x8a, "", 0);
	frame(0x89, LINE_125, 125);
	FRAMES(0, "(ping )(pong )(ping " LINE_125 ")");

	CASE("fragments, with control frames between them");
	begin(masked);
	frame(0x01, "a", 1);
	frame(0x89, "1", 1);
	frame(0x00, "", 0);
	frame(0x8a, "22", 2);
	frame(0x89, "", 0);
	frame(0x00, "bc", 2);
	frame(0x80, "d", 1);
	frame(0x02, "", 0);
	frame(0x80, "\xff", 1);
	frame(0x82, "", 0);
	frame(0x81, "", 0);
	frame(0x01, "", 0);
	frame(0x88, "", 0);
	frame(0x80, "", 0);
	FRAMES(4, "T<a(ping 1)(pong 22)(ping )bcd>B<\xff>B<>T<>"
	    "T<(close 1005 )>");

	CASE("continuation without a message, message in a message: 1002");
	begin(masked);
	raw("\x80", 1);
	FRAMES(10, "bad 1002");
	begin(masked);
	frame(0x81, "a", 1);
	raw("\x00", 1);
	FRAMES(10, "T<a>bad 1002");
	begin(masked);
	frame(0x01, "a", 1);
	frame(0x80, "b", 1);
	raw("\x80", 1);
	FRAMES(10, "T<ab>bad 1002");
	for (i = 0; i < 4; i++) {
		c = (unsigned char)("\x01\x02\x81\x82"[i]);
		begin(masked);
		frame(0x01, "a", 1);
		frame(0x89, "b", 1);
		raw(&c, 1);
		FRAMES(10, "bad 1002");
		begin(masked);
		frame(0x02, "", 0);
		raw(&c, 1);
		FRAMES(10, "bad 1002");
	}
}

/* A frame's head that is cut after n bytes of its length. */
static void
length_bytes(unsigned first, const void *bytes, size_t n, unsigned form)
{
	unsigned char c[2];

	c[0] = (unsigned char)first;
	c[1] = (unsigned char)((in_masked ? 0x80 : 0) | form);
	raw(c, 2);
	raw(bytes, n);
}

static void
lengths(int masked)
{
	static const size_t sizes[] = { 0, 1, 2, 124, 125, 126, 127, 128, 255,
	    256, 65534, 65535, 65536, 65537, 100000 };
	static unsigned char data[100000], want[100003];
	struct ws_framer f;
	struct ws_event e;
	unsigned char *p;
	size_t i;
	ssize_t n;

	CASE(masked ? "every length, from a client" :
	    "every length, from a server");
	for (i = 0; i < sizeof(data); i++)
		data[i] = (unsigned char)(i * 13 + (i >> 7));
	for (i = 0; i < LEN(sizes); i++) {
		memcpy(want, "B<", 2);
		memcpy(want + 2, data, sizes[i]);
		want[2 + sizes[i]] = '>';
		begin(masked);
		frame(0x82, data, sizes[i]);
		if (sizes[i] > 300) {
			feed((uint32_t)sizes[i], 0);
			said_is(want, sizes[i] + 3, "whole", 0, __LINE__);
			feed((uint32_t)sizes[i], SIZE_MAX);
			said_is(want, sizes[i] + 3, "bytes", 0, __LINE__);
			feed((uint32_t)sizes[i], 12);
			said_is(want, sizes[i] + 3, "cut at", 12, __LINE__);
			feed((uint32_t)sizes[i], sizes[i] / 2 + 1);
			said_is(want, sizes[i] + 3, "halves", 0, __LINE__);
		} else
			frames_are((uint32_t)sizes[i], want, sizes[i] + 3,
			    __LINE__);
	}

	CASE("lengths not in their shortest form: 1002");
	for (i = 0; i < 126; i++) {
		unsigned char c[2] = { 0, 0 };

		c[1] = (unsigned char)i;
		begin(masked);
		length_bytes(0x82, c, 2, 126);
		FRAMES(65536, "bad 1002");
		begin(masked);
		length_bytes(0x82, c, 2, 126);
		FRAMES(0, "bad 1002");
	}
	begin(masked);
	length_bytes(0x82, "\0\0\0\0\0\0", 6, 127); /* 65535 at most */
	FRAMES(1000000, "bad 1002");
	begin(masked);
	length_bytes(0x82, "\0\0\0\0\0\0", 6, 127);
	FRAMES(0, "bad 1002");

	CASE("64 bits with the first set: 1002");
	begin(masked);
	length_bytes(0x82, "\x80", 1, 127);
	FRAMES(0xffffffff, "bad 1002");
	begin(masked);
	length_bytes(0x81, "\xff", 1, 127);
	FRAMES(10, "bad 1002");

	CASE("messages over the limit: 1009 when the length says so");
	begin(masked);
	frame(0x81, "0123456789", 10);
	length_bytes(0x81, "", 0, 11);
	FRAMES(10, "T<0123456789>bad 1009");
	begin(masked);
	frame(0x01, "01234", 5);
	frame(0x89, "many bytes of ping", 18);
	frame(0x80, "56789", 5);
	frame(0x02, "01234", 5);
	frame(0x00, "5678", 4);
	frame(0x00, "", 0);
	length_bytes(0x00, "", 0, 2);
	FRAMES(10, "T<01234(ping many bytes of ping)56789>bad 1009");
	begin(masked);
	frame(0x82, "", 0);
	length_bytes(0x82, "", 0, 1);
	FRAMES(0, "B<>bad 1009");
	begin(masked);
	length_bytes(0x82, "\0\x7f", 2, 126);
	FRAMES(126, "bad 1009");
	begin(masked);
	length_bytes(0x82, "\x01", 1, 126);
	FRAMES(255, "bad 1009");
	begin(masked);
	length_bytes(0x82, "\xff\xff", 2, 126);
	FRAMES(65534, "bad 1009");
	begin(masked);
	length_bytes(0x82, "\0\0\0\0\0\1", 6, 127);
	FRAMES(65535, "bad 1009");
	begin(masked);
	length_bytes(0x82, "\0\0\0\0\0\1\0\1", 8, 127);
	FRAMES(65536, "bad 1009");
	begin(masked);
	length_bytes(0x82, "\0\0\0\1", 4, 127);
	FRAMES(0xffffffff, "bad 1009");
	begin(masked);
	length_bytes(0x82, "\x7f", 1, 127);
	FRAMES(0xffffffff, "bad 1009");

	CASE("the greatest limit: the sum of fragments does not wrap");
	begin(masked);
	head(0x02, 0xffffffff, 8);
	ws_framer_init(&f, masked, 0xffffffff);
	p = test_place(in, in_len);
	n = ws_framer_next(&f, p, in_len, &e);
	EXPECT(n == (ssize_t)in_len && f.left == 0xffffffff, "%zd", n);
	f.left = 0; /* four gigabytes later */
	f.frame = 0;
	begin(masked);
	head(0x80, 1, 0);
	n = ws_framer_next(&f, test_place(in, in_len), in_len, &e);
	EXPECT(n == WS_BAD && e.code == 1009, "%zd", n);
}

static const struct {
	const char *bytes;
	size_t wrong; /* index of the first wrong byte, or the length */
} classes[] = {
	{ "a", 1 }, { "\x7f", 1 }, { "\xc2\x80", 2 }, { "\xdf\xbf", 2 },
	{ "\xe0\xa0\x80", 3 }, { "\xe2\x82\xac", 3 }, { "\xed\x9f\xbf", 3 },
	{ "\xee\x80\x80", 3 }, { "\xef\xbf\xbf", 3 },
	{ "\xf0\x90\x80\x80", 4 }, { "\xf0\x9f\x98\x80", 4 },
	{ "\xf4\x8f\xbf\xbf", 4 },
	{ "\x80", 0 }, { "\xbf", 0 }, { "\xc0\x80", 0 }, { "\xc1\xbf", 0 },
	{ "\xc2\x7f", 1 }, { "\xc2\xc0", 1 }, { "\xdf\x7f", 1 },
	{ "\xe0\x9f\xbf", 1 }, { "\xe0\xa0\x7f", 2 }, { "\xe0\xa0\xc0", 2 },
	{ "\xe2\x28\xa1", 1 }, { "\xed\xa0\x80", 1 }, { "\xed\xbf\xbf", 1 },
	{ "\xef\xbf\xc0", 2 }, { "\xf0\x8f\xbf\xbf", 1 },
	{ "\xf0\x90\x7f\x80", 2 }, { "\xf0\x90\x80\x7f", 3 },
	{ "\xf0\x90\x80\xc0", 3 }, { "\xf4\x90\x80\x80", 1 },
	{ "\xf5\x80\x80\x80", 0 }, { "\xf8\x88\x80\x80", 0 }, { "\xfe", 0 },
	{ "\xff", 0 }
};

static void
streams(int masked)
{
	unsigned char text[32], want[64];
	size_t i, j, k, n, len, from, to;

	CASE(masked ? "UTF-8 across frames, from a client" :
	    "UTF-8 across frames, from a server");
	for (k = 0; k < LEN(classes); k++) {
		len = strlen(classes[k].bytes);
		memcpy(text, "ab", 2);
		memcpy(text + 2, classes[k].bytes, len);
		memcpy(text + 2 + len, "\xc3\xa4", 2);
		len += 4;
		/* In three frames, [0, i), [i, j), [j, len). */
		for (i = 0; i <= len; i++)
			for (j = i; j <= len; j++) {
				n = 2 + classes[k].wrong;
				begin(masked);
				for (from = 0; from <= 2; from++) {
					static const unsigned first[] = {
						WS_TEXT, WS_CONT,
						WS_CONT | WS_FIN
					};
					size_t a = from == 0 ? 0 :
					    from == 1 ? i : j;
					size_t b = from == 0 ? i :
					    from == 1 ? j : len;

					head(first[from], b - a, 0);
					to = b;
					if (n < len - 2 && b > n)
						to = n + 1;
					body(text + a, to - a);
					if (n < len - 2 && b > n)
						break;
					if (from == 0)
						frame(0x89, "\xff", 1);
				}
				if (n < len - 2) {
					FRAMES(100, "bad 1007");
					continue;
				}
				memcpy(want, "T<", 2);
				memcpy(want + 2, text, i);
				memcpy(want + 2 + i, "(ping \xff)", 8);
				memcpy(want + 10 + i, text + i, len - i);
				memcpy(want + 10 + len, ">", 1);
				frames_are(100, want, len + 11, __LINE__);
			}
	}

	CASE("text that ends inside a character: 1007");
	for (k = 0; k < LEN(classes); k++) {
		len = strlen(classes[k].bytes);
		if (classes[k].wrong != len)
			continue;
		for (i = 1; i < len; i++) {
			begin(masked);
			frame(0x81, classes[k].bytes, i);
			FRAMES(100, "bad 1007");
			begin(masked);
			frame(0x01, classes[k].bytes, i);
			frame(0x80, "", 0);
			FRAMES(100, "bad 1007");
			begin(masked);
			frame(0x81, "next", 4);
			frame(0x01, "x", 1);
			frame(0x80, classes[k].bytes, i);
			FRAMES(100, "T<next>bad 1007");
		}
	}

	CASE("the state of UTF-8 is each message's own; binary has none");
	begin(masked);
	frame(0x02, "\xe2", 1);
	frame(0x80, "\x82", 1);
	frame(0x81, "a", 1);
	frame(0x82, "\xff\xc0", 2);
	frame(0x89, "\xe2", 1);
	frame(0x81, "b", 1);
	FRAMES(100, "B<\xe2\x82>T<a>B<\xff\xc0>(ping \xe2)T<b>");
}

static int
code_allowed(unsigned code)
{
	static const unsigned registered[] = { 1000, 1001, 1002, 1003, 1007,
	    1008, 1009, 1010, 1011, 1012, 1013, 1014 };
	size_t i;

	for (i = 0; i < LEN(registered); i++)
		if (code == registered[i])
			return 1;
	return code / 1000 == 3 || code / 1000 == 4;
}

static void
closes(int masked)
{
	unsigned char p[125];
	char want[160];
	unsigned code;
	size_t i, len;

	CASE(masked ? "every Close code, from a client" :
	    "every Close code, from a server");
	for (code = 0; code < 65536; code++) {
		p[0] = (unsigned char)(code >> 8);
		p[1] = (unsigned char)(code & 0xff);
		memcpy(p + 2, "bye", 3);
		begin(masked);
		frame(0x88, p, code & 1 ? 5 : 2);
		snprintf(want, sizeof(want), code_allowed(code) ?
		    "(close %u %s)" : "bad 1002", code, code & 1 ? "bye" : "");
		if (code < 5010)
			frames_are(0, want, strlen(want), __LINE__);
		feed(0, 0);
		said_is(want, strlen(want), "code", code, __LINE__);
	}

	CASE("a Close of no bytes is 1005, of one is 1002, of 125 is right");
	begin(masked);
	frame(0x88, "", 0);
	FRAMES(0, "(close 1005 )");
	begin(masked);
	length_bytes(0x88, "", 0, 1);
	FRAMES(0, "bad 1002");
	memset(p, 'x', 125);
	memcpy(p, "\x03\xe8", 2);
	begin(masked);
	frame(0x88, p, 125);
	memset(want, 'x', sizeof(want));
	memcpy(want, "(close 1000 ", 12);
	want[12 + 123] = ')';
	frames_are(0, want, 12 + 124, __LINE__);

	CASE("a Close whose reason is not UTF-8: 1007");
	for (i = 0; i < LEN(classes); i++) {
		len = strlen(classes[i].bytes);
		memcpy(p, "\x03\xe9", 2);
		memcpy(p + 2, classes[i].bytes, len);
		begin(masked);
		frame(0x88, p, 2 + len);
		snprintf(want, sizeof(want), classes[i].wrong == len ?
		    "(close 1001 %s)" : "bad 1007", classes[i].bytes);
		frames_are(0, want, strlen(want), __LINE__);
		if (len == 1)
			continue;
		begin(masked);
		frame(0x88, p, 1 + len);
		FRAMES(0, "bad 1007");
	}
}

static void
round_trip(void)
{
	static const uint64_t sizes[] = { 0, 1, 125, 126, 127, 65535, 65536,
	    100000, 0xffffffff, 0x100000000, 0x7fffffffffffffff };
	static const char *const heads_are[] = { "8100", "8101", "817d",
	    "817e007e", "817e007f", "817effff", "817f0000000000010000",
	    "817f00000000000186a0", "817f00000000ffffffff",
	    "817f0000000100000000", "817f7fffffffffffffff" };
	static unsigned char data[100000], want[100003];
	unsigned char out[WS_FRAME_HEAD_MAX], mask[4];
	char got[2 * WS_FRAME_HEAD_MAX + 1];
	size_t i, j, n, size;
	unsigned op;

	CASE("heads, byte for byte");
	for (i = 0; i < LEN(sizes); i++) {
		n = ws_frame_head(out, WS_FIN | WS_TEXT, sizes[i], NULL);
		hex(got, out, n);
		EXPECT(strcmp(got, heads_are[i]) == 0, "%s, not %s", got,
		    heads_are[i]);
		j = ws_frame_head(out, WS_BINARY, sizes[i],
		    (const unsigned char *)"\1\2\3\4");
		hex(got, out, j);
		EXPECT(j == n + 4 && out[0] == 0x02 && out[1] >> 7 == 1 &&
		    memcmp(got + 2 * n, "01020304", 8) == 0, "masked: %s", got);
	}

	CASE("what is written is what is read, as client and as server");
	for (i = 0; sizes[i] <= sizeof(data); i++)
		for (op = WS_TEXT; op <= WS_PONG; op++)
			for (in_masked = 0; in_masked < 2; in_masked++) {
				if ((op > WS_BINARY && op < WS_PING) ||
				    (op >= WS_PING && sizes[i] > 125))
					continue;
				size = (size_t)sizes[i];
				for (j = 0; j < size; j++)
					data[j] = (unsigned char)random_to(128);
				for (j = 0; j < 4; j++)
					mask[j] = (unsigned char)random_to(256);
				n = (size_t)snprintf((char *)want, 10, "%s",
				    op == WS_TEXT ? "T<" : op == WS_BINARY ?
				    "B<" : op == WS_PING ? "(ping " : "(pong ");
				memcpy(want + n, data, size);
				want[n + size] = op < WS_CLOSE ? '>' : ')';
				in_len = ws_frame_head(in, WS_FIN | op, size,
				    in_masked ? mask : NULL);
				raw(data, size);
				if (in_masked)
					ws_mask(in + in_len - size, size, mask,
					    0);
				feed((uint32_t)size, 0);
				said_is(want, n + size + 1, "round trip", size,
				    __LINE__);
				feed((uint32_t)size, in_len / 3 + 1);
				said_is(want, n + size + 1, "round trip", size,
				    __LINE__);
			}
	in_masked = 0;
}

static void
close_frames(void)
{
	static const char *const chars[] = { "x", "\xc3\xa4", "\xe2\x82\xac",
	    "\xf0\x9f\x98\x80" };
	unsigned char *out = (void *)(test_wall() - (2 + WS_CONTROL_MAX));
	char why[300], want[300];
	size_t i, n, pad, most;

	CASE("Close frames, byte for byte");
	n = ws_close_frame(out, WS_CLOSE_NO_STATUS, NULL);
	EXPECT(n == 2 && memcmp(out, "\x88\0", 2) == 0, "1005: %zu", n);
	n = ws_close_frame(out, WS_CLOSE_NO_STATUS, "not sent");
	EXPECT(n == 2 && memcmp(out, "\x88\0", 2) == 0, "1005: %zu", n);
	n = ws_close_frame(out, WS_CLOSE_NORMAL, NULL);
	EXPECT(n == 4 && memcmp(out, "\x88\2\x03\xe8", 4) == 0, "1000: %zu", n);
	n = ws_close_frame(out, WS_CLOSE_GOING_AWAY, "");
	EXPECT(n == 4 && memcmp(out, "\x88\2\x03\xe9", 4) == 0, "1001: %zu", n);
	n = ws_close_frame(out, 4999, "bye");
	EXPECT(n == 7 && memcmp(out, "\x88\5\x13\x87" "bye", 7) == 0,
	    "4999: %zu", n);

	CASE("a long reason is cut between characters, as late as can be");
	for (i = 0; i < LEN(chars); i++)
		for (pad = 0; pad < 4; pad++) {
			memset(why, 'x', pad);
			why[pad] = '\0';
			for (most = 0; strlen(why) < 290; ) {
				if (strlen(why) <= 123)
					most = strlen(why);
				n = ws_close_frame(out, 1013, why);
				snprintf(want, sizeof(want),
				    "(close 1013 %.*s)", (int)most, why);
				EXPECT(n == 4 + most, "%zu, not %zu", n,
				    4 + most);
				begin(0);
				raw(out, n);
				feed(0, 0);
				said_is(want, strlen(want), "reason", most,
				    __LINE__);
				memcpy(why + strlen(why), chars[i],
				    strlen(chars[i]) + 1);
			}
		}
	memset(why, 0x80, sizeof(why) - 1);
	why[sizeof(why) - 1] = '\0';
	EXPECT(ws_close_frame(out, 1000, why) == 4, "no character to cut at");
}

/* Whatever comes, it is the same in whatever pieces. */
static void
noise(void)
{
	static unsigned char want[2 * ARENA];
	static const unsigned first[] = { 0x81, 0x01, 0x00, 0x80, 0x82, 0x02,
	    0x89, 0x8a, 0x88, 0x01, 0x00, 0x80 };
	unsigned char data[300];
	size_t len, at;
	unsigned i, j, frames, good = 0, wrong = 0;
	unsigned tries = test_emulated() ? 4000 : 40000;
	uint32_t limit;

	CASE("random streams of damaged frames: no difference how they come");
	for (i = 0; i < tries; i++) {
		begin((int)(i & 1));
		for (frames = 1 + random_to(6); frames > 0; frames--) {
			len = random_to(4) ? random_to(12) : random_to(300);
			for (j = 0; j < len; j++)
				data[j] = (unsigned char)random_to(
				    random_to(60) ? 128 : 256);
			memcpy(data, "\x03\xe8", 2);
			frame(first[random_to(LEN(first))], data, len);
		}
		for (j = random_to(3); j > 0; j--)
			in[random_to((unsigned)in_len)] ^=
			    (unsigned char)(1 << random_to(8));
		limit = 100 + random_to(400);
		feed(limit, 0);
		memcpy(want, said, len = said_len);
		at = bad_at;
		if (at != 0)
			wrong++;
		else
			good++;
		feed(limit, SIZE_MAX);
		said_is(want, len, "bytes", i, __LINE__);
		EXPECT((at != 0) == (bad_at != 0), "%zu, %zu", at, bad_at);
		feed(limit, random_to((unsigned)in_len));
		said_is(want, len, "cut", i, __LINE__);
	}
	EXPECT(good > tries / 40 && wrong > tries / 40, "%u good, %u bad", good,
	    wrong);
}

int
main(void)
{
	int masked;

	digests();
	texts();
	masks();
	vectors();
	for (masked = 0; masked < 2; masked++) {
		rules(masked);
		lengths(masked);
		streams(masked);
		closes(masked);
	}
	round_trip();
	close_frames();
	noise();
	return test_end();
}
