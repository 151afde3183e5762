/* wshub: ISC licence, see LICENSE. */
/*
 * Tests of proxy.c. PROXY headers are tried at every split: each shorter
 * beginning must be WS_MORE, and what follows a header must change nothing. A
 * header that is not valid must be refused at some byte, and from then on.
 */
#define _GNU_SOURCE
#include "../proxy.c"
#include "test.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

static struct ws_text
text(const char *s)
{
	struct ws_text t;

	t.len = strlen(s);
	t.s = test_place(s, t.len);
	return t;
}

/* "192.0.2.1 5000", "::1 0", or "none". */
static const char *
show(const struct ws_ip *ip)
{
	static char name[64];
	char host[INET6_ADDRSTRLEN];

	if (ip->family == 0)
		return "none";
	inet_ntop(ip->family == 4 ? AF_INET : AF_INET6, ip->bytes +
	    (ip->family == 4 ? 12 : 0), host, sizeof host);
	snprintf(name, sizeof name, "%s %u", host, (unsigned)ip->port);
	return name;
}

/* ------------------------------------------------------------------ trust */

static void
trust(void)
{
	static const struct {
		const char *entry, *inside, *outside;
	} list[] = {
		{ "192.0.2.1", "192.0.2.1", "192.0.2.0" },
		{ "192.0.2.1/32", "192.0.2.1", "192.0.2.3" },
		{ "192.0.2.0/31", "192.0.2.1", "192.0.2.2" },
		{ "192.0.0.0/9", "192.127.255.255", "192.128.0.0" },
		{ "128.0.0.0/1", "255.0.0.1", "127.0.0.1" },
		{ "0.0.0.0/0", "1.2.3.4", "::1" },
		{ "10.0.0.0/8", "::ffff:10.1.2.3", "::ffff:11.0.0.0" },
		{ "::ffff:10.0.0.0/104", "10.1.2.3", "11.0.0.0" },
		{ "::ffff:10.0.0.1", "10.0.0.1", "10.0.0.2" },
		{ "2001:db8::1", "2001:DB8:0::1", "2001:db8::" },
		{ "2001:db8::/32", "2001:db8:ffff::", "2001:db9::" },
		{ "2001:db8::/33", "2001:db8:7fff::", "2001:db8:8000::" },
		{ "::/0", "ffff::1", "1.2.3.4" },
		{ "::1/128", "::1", "::" },
		{ "::/64", "::ffff", "10.0.0.1" },
	};
	static const char *const wrong[] = {
		"", "/", "/8", "x", "localhost", "unix:", "UNIX", "unix/8",
		"10.0.0", "10.0.0.0.", "10.0.0.256", "010.0.0.1", "10.0.0.1 ",
		" 10.0.0.1", "10.0.0.1:80", "[::1]", "::1%lo", "1::2::3",
		"10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8",
		"10.0.0.0/08", "10.0.0.0/8 ", "10.0.0.0/8/8", "10.0.0.0/x",
		"10.0.0.0/255.0.0.0", "10.0.0.1/8", "10.0.0.0/6", "1.2.3.4/0",
		"::1/127", "::1/129", "2001:db8::1/64", "::ffff:10.0.0.0/8",
		"::ffff:0.0.0.0/95", "10.0.0.0/99999999999",
		"0000:0000:0000:0000:0000:0000:0000:0000:0000:0000",
	};
	struct ws_trust t;
	struct ws_ip ip;
	const char *reason;
	char name[32];
	size_t i;

	CASE("trust: addresses and networks, and their first and last");
	for (i = 0; i < LEN(list); i++) {
		memset(&t, 0, sizeof t);
		reason = ws_trust_add(&t, list[i].entry);
		EXPECT(reason == NULL, "%s: %s", list[i].entry, reason);
		EXPECT(read_ip(&ip, text(list[i].inside)) == 0 &&
		    ws_trusts(&t, &ip), "%s: without %s", list[i].entry,
		    list[i].inside);
		EXPECT(read_ip(&ip, text(list[i].outside)) == 0 &&
		    !ws_trusts(&t, &ip), "%s: with %s", list[i].entry,
		    list[i].outside);
	}

	CASE("trust: what is none is refused, with a reason");
	memset(&t, 0, sizeof t);
	for (i = 0; i < LEN(wrong); i++) {
		reason = ws_trust_add(&t, test_place(wrong[i],
		    strlen(wrong[i]) + 1));
		EXPECT(reason != NULL && strlen(reason) > 10 && t.n == 0 &&
		    !t.unix_peers, "\"%s\" is taken", wrong[i]);
	}

	CASE("trust: unix, and 64 others");
	EXPECT(ws_trust_add(&t, "unix") == NULL && t.unix_peers && t.n == 0,
	    "unix");
	for (i = 0; i < 64; i++) {
		snprintf(name, sizeof name, "10.0.0.%u", (unsigned)i);
		EXPECT(ws_trust_add(&t, name) == NULL, "number %zu", i);
	}
	EXPECT(ws_trust_add(&t, "10.0.0.64") != NULL && t.n == 64, "65");
	EXPECT(read_ip(&ip, text("10.0.0.63")) == 0 && ws_trusts(&t, &ip),
	    "the last is none");
}

/* -------------------------------------------------------- X-Forwarded-For */

static void
forwarded(void)
{
	/* Trusted: 10.0.0.0/8, fd00::/8. Fields, the first one first. */
	static const struct {
		const char *fields[3], *client;
	} list[] = {
		{ { "" }, "none" }, { { " , ,\t" }, "none" },
		{ { "192.0.2.1" }, "192.0.2.1 0" },
		{ { "192.0.2.1:5000" }, "192.0.2.1 5000" },
		{ { "192.0.2.1:65535" }, "192.0.2.1 65535" },
		{ { "192.0.2.1:0" }, "192.0.2.1 0" },
		{ { "2001:db8::1" }, "2001:db8::1 0" },
		{ { "[2001:db8::1]" }, "2001:db8::1 0" },
		{ { "[2001:db8::1]:80" }, "2001:db8::1 80" },
		{ { "::ffff:192.0.2.1" }, "192.0.2.1 0" },
		{ { "[::ffff:192.0.2.1]:7" }, "192.0.2.1 7" },
		/* The last one that is not trusted. */
		{ { "192.0.2.1, 192.0.2.2" }, "192.0.2.2 0" },
		{ { "192.0.2.1, 192.0.2.2,10.0.0.1" }, "192.0.2.2 0" },
		{ { "192.0.2.2 ,\t10.0.0.1 , fd00::1" }, "192.0.2.2 0" },
		{ { ",192.0.2.2,, 10.0.0.1," }, "192.0.2.2 0" },
		{ { "x, 192.0.2.2, 10.0.0.1" }, "192.0.2.2 0" },
		/* All are: the first. */
		{ { "10.0.0.2:1, 10.0.0.1:2" }, "10.0.0.2 1" },
		{ { "fd00::1" }, "fd00::1 0" },
		/* Several fields. */
		{ { "192.0.2.1", "192.0.2.2" }, "192.0.2.2 0" },
		{ { "192.0.2.1", "10.0.0.1" }, "192.0.2.1 0" },
		{ { "192.0.2.1", "", "10.0.0.1" }, "192.0.2.1 0" },
		{ { "192.0.2.1, 10.0.0.3", "10.0.0.2", "10.0.0.1" },
		    "192.0.2.1 0" },
		{ { "10.0.0.3", "10.0.0.2", "10.0.0.1" }, "10.0.0.3 0" },
		{ { "192.0.2.1", "unknown", "10.0.0.1" }, "10.0.0.1 0" },
		/* It ends at anything else. */
		{ { "unknown" }, "none" }, { { "192.0.2.1, unknown" }, "none" },
		{ { "192.0.2.1, unknown, 10.0.0.1" }, "10.0.0.1 0" },
		{ { "192.0.2.1, _hidden, 10.0.0.2, 10.0.0.1" }, "10.0.0.2 0" },
		{ { "192.0.2.1 192.0.2.2" }, "none" },
		{ { "192.0.2.1;192.0.2.2" }, "none" },
		{ { "\"192.0.2.1\"" }, "none" },
		{ { "for=192.0.2.1" }, "none" },
		{ { "192.0.2" }, "none" }, { { "192.0.2.01" }, "none" },
		{ { "192.0.2.256" }, "none" }, { { "192.0.2.1." }, "none" },
		{ { "192.0.2.1:" }, "none" }, { { "192.0.2.1:65536" }, "none" },
		{ { "192.0.2.1:080" }, "none" }, { { "192.0.2.1:+8" }, "none" },
		{ { "192.0.2.1:1:2" }, "none" }, { { ":80" }, "none" },
		{ { "[192.0.2.1]" }, "none" }, { { "[192.0.2.1]:1" }, "none" },
		{ { "[]" }, "none" }, { { "[" }, "none" }, { { "]" }, "none" },
		{ { "[::1" }, "none" }, { { "::1]" }, "none" },
		{ { "[::1]x" }, "none" }, { { "[::1]:" }, "none" },
		{ { "[::1]:x" }, "none" }, { { "[::1]80" }, "none" },
		{ { "[[::1]]" }, "none" }, { { "[::1%25lo]" }, "none" },
		{ { "fe80::1%lo" }, "none" }, { { "::1::" }, "none" },
		{ { "1:2:3:4:5:6:7:8:9" }, "none" }, { { ":" }, "none" },
		{ { "12345::" }, "none" }, { { "::g" }, "none" },
		{ { "\xc3\xa4" }, "none" },
		{ { "0000:0000:0000:0000:0000:0000:0000:0000:0000" }, "none" },
	};
	struct ws_trust t = { 0 };
	struct ws_ip ip;
	size_t i, k;

	CASE("X-Forwarded-For: the last address that is not trusted");
	EXPECT(ws_trust_add(&t, "10.0.0.0/8") == NULL &&
	    ws_trust_add(&t, "fd00::/8") == NULL, "no trust");
	for (i = 0; i < LEN(list); i++) {
		memset(&ip, 0, sizeof ip);
		for (k = 0; k < 3 && list[i].fields[k] != NULL; k++)
			;
		while (k > 0 && ws_forwarded(&ip, &t,
		    text(list[i].fields[k - 1])))
			k--;
		EXPECT(strcmp(show(&ip), list[i].client) == 0,
		    "\"%s\", \"%s\": %s, not %s", list[i].fields[0],
		    list[i].fields[1] != NULL ? list[i].fields[1] : "",
		    show(&ip), list[i].client);
	}
}

/* ---------------------------------------------------------- PROXY headers */

static ssize_t
header(struct ws_ip *ip, const char *data, size_t len)
{
	memset(ip, 0xee, sizeof *ip);
	return ws_proxy_header(ip, test_place(data, len), len);
}

/* Every beginning, the whole, and the whole with more after it. */
static void
valid(const char *data, size_t len, const char *client)
{
	static char more[WS_PROXY_MAX + 64];
	struct ws_ip ip;
	ssize_t n;
	size_t i;

	memcpy(more, data, len);
	memset(more + len, 0x16, 32);
	for (i = 0; i <= len + 32; i++) {
		n = header(&ip, more, i);
		EXPECT(n == (i < len ? WS_MORE : (ssize_t)len), "%zu of %zu "
		    "bytes of \"%.*s\": %zd", i, len, (int)len, data, n);
		if (n > 0)
			EXPECT(strcmp(show(&ip), client) == 0, "\"%.*s\": %s, "
			    "not %s", (int)len, data, show(&ip), client);
	}
}

/*
 * Refused at byte number at (from 1) or, if at is 0, at one that is not more
 * than len; and with more bytes, too.
 */
static void
wrong(const char *data, size_t len, size_t at)
{
	struct ws_ip ip;
	ssize_t n = WS_MORE;
	size_t i, first = 0;

	for (i = 0; i <= len; i++) {
		n = header(&ip, data, i);
		EXPECT(n == (first != 0 ? WS_BAD : WS_MORE) ||
		    (first == 0 && n == WS_BAD), "%zu bytes of \"%.*s\": %zd",
		    i, (int)len, data, n);
		if (n == WS_BAD && first == 0)
			first = i;
	}
	EXPECT(n == WS_BAD && (at == 0 || first == at), "\"%.*s\" is refused "
	    "at %zu, not %zu", (int)len, data, first, at);
}

static void
version1(void)
{
	static const char *const good[][2] = {
		{ "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n",
		    "192.0.2.1 56324" },
		{ "PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n",
		    "0.0.0.0 0" },
		{ "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
		    "255.255.255.255 65535" },
		{ "PROXY TCP6 2001:db8::1 ::1 56324 443\r\n",
		    "2001:db8::1 56324" },
		{ "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
		    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
		    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535" },
		{ "PROXY TCP6 ::FFFF:192.0.2.1 ::1 1 2\r\n", "192.0.2.1 1" },
		{ "PROXY UNKNOWN\r\n", "none" },
		{ "PROXY UNKNOWN \r\n", "none" },
		{ "PROXY UNKNOWN ffff::1 any thing at \x80\xff all\r\n",
		    "none" },
		/* 107 bytes, as many as there may be */
		{ "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
		    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
		    "none" },
	};
	static const struct {
		const char *line;
		size_t at;
	} bad[] = {
		{ "GET / HTTP/1.1\r\n", 1 }, { "\x16\x03\x01", 1 },
		{ "proxy TCP4", 1 }, { " PROXY", 1 }, { "\nPROXY", 1 },
		{ "\r\nPROXY", 3 }, { "POST / HTTP/1.1\r\n", 2 },
		{ "PROXYTCP4", 6 }, { "PROXY\tTCP4", 6 }, { "PROXY\r\n", 6 },
		{ "PROXY TCP4 192.0.2.1 198.51.100.1 1 2\n", 38 },
		{ "PROXY TCP4 192.0.2.1 198.51.100.1 1 2\rx", 39 },
		{ "PROXY TCP4 192.0.2.1 198.51.100.1 1 2\r\r\n", 39 },
		{ "PROXY \r\n", 8 }, { "PROXY TCP4\r\n", 12 },
		{ "PROXY  TCP4 192.0.2.1 198.51.100.1 1 2\r\n", 0 },
		{ "PROXY TCP4  192.0.2.1 198.51.100.1 1 2\r\n", 0 },
		{ "PROXY TCP4 192.0.2.1  198.51.100.1 1 2\r\n", 0 },
		{ "PROXY TCP4 192.0.2.1 198.51.100.1  1 2\r\n", 0 },
		{ "PROXY TCP4 192.0.2.1 198.51.100.1 1  2\r\n", 0 },
		{ "PROXY TCP4 192.0.2.1 198.51.100.1 1 2 \r\n", 0 },
		{ "PROXY TCP4 192.0.2.1 198.51.100.1 1 2 3\r\n", 0 },
		{ "PROXY TCP4 192.0.2.1 198.51.100.1 1\r\n", 0 },
		{ "PROXY TCP4 192.0.2.1 198.51.100.1 1 \r\n", 0 },
		{ "PROXY TCP4 192.0.2.1 198.51.100.1\r\n", 0 },
		{ "PROXY TCP4 192.0.2.1\r\n", 0 },
		{ "PROXY TCP4\t192.0.2.1 198.51.100.1 1 2\r\n", 0 },
		{ "PROXY TCP4 192.0.2.1 198.51.100.1 65536 2\r\n", 0 },
		{ "PROXY TCP4 192.0.2.1 198.51.100.1 1 65536\r\n", 0 },
		{ "PROXY TCP4 192.0.2.1 198.51.100.1 01 2\r\n", 0 },
		{ "PROXY TCP4 192.0.2.1 198.51.100.1 1 02\r\n", 0 },
		{ "PROXY TCP4 192.0.2.1 198.51.100.1 -1 2\r\n", 0 },
		{ "PROXY TCP4 192.0.2.1 198.51.100.1 1 2x\r\n", 0 },
		{ "PROXY TCP4 192.0.2 198.51.100.1 1 2\r\n", 0 },
		{ "PROXY TCP4 192.0.2.01 198.51.100.1 1 2\r\n", 0 },
		{ "PROXY TCP4 192.0.2.1 198.51.100.256 1 2\r\n", 0 },
		{ "PROXY TCP4 ::1 ::1 1 2\r\n", 0 },
		{ "PROXY TCP4 ::ffff:192.0.2.1 192.0.2.1 1 2\r\n", 0 },
		{ "PROXY TCP4 192.0.2.1 ::1 1 2\r\n", 0 },
		{ "PROXY TCP6 192.0.2.1 192.0.2.1 1 2\r\n", 0 },
		{ "PROXY TCP6 ::1 192.0.2.1 1 2\r\n", 0 },
		{ "PROXY TCP6 ::1%lo ::1 1 2\r\n", 0 },
		{ "PROXY TCP6 [::1] ::1 1 2\r\n", 0 },
		{ "PROXY TCP6 :::1 ::1 1 2\r\n", 0 },
		{ "PROXY TCP5 192.0.2.1 192.0.2.1 1 2\r\n", 0 },
		{ "PROXY TCP 192.0.2.1 192.0.2.1 1 2\r\n", 0 },
		{ "PROXY TCP46 192.0.2.1 192.0.2.1 1 2\r\n", 0 },
		{ "PROXY tcp4 192.0.2.1 192.0.2.1 1 2\r\n", 0 },
		{ "PROXY UDP4 192.0.2.1 192.0.2.1 1 2\r\n", 0 },
		{ "PROXY UNKNOWNS\r\n", 0 }, { "PROXY unknown\r\n", 0 },
		{ "PROXY UNKNOWN\n", 14 },
	};
	static const char nul[] =
	    "PROXY TCP4 192.0.2.1\0 198.51.100.1 1 2\r\n";
	char line[128];
	size_t i;

	CASE("PROXY, version 1: at every split, with what follows");
	for (i = 0; i < LEN(good); i++)
		valid(good[i][0], strlen(good[i][0]), good[i][1]);
	CASE("PROXY, version 1: what is not valid is refused");
	for (i = 0; i < LEN(bad); i++)
		wrong(bad[i].line, strlen(bad[i].line), bad[i].at);
	wrong(nul, sizeof nul - 1, sizeof nul - 1);
	CASE("PROXY, version 1: 107 bytes and no more");
	memset(line, 'x', sizeof line);
	memcpy(line, "PROXY UNKNOWN ", 14);
	wrong(line, sizeof line, 107);
	memcpy(line + 105, "\r\n", 2);
	valid(line, 107, "none");
	memcpy(line + 105, "x\r\n", 3);
	wrong(line, 108, 107);
}

/* Builds a header of version 2; returns its length. */
static size_t
build(char *out, unsigned command, unsigned family, const void *addresses,
    size_t len, size_t tlvs)
{
	memcpy(out, "\r\n\r\n\0\r\nQUIT\n", 12);
	out[12] = (char)command;
	out[13] = (char)family;
	out[14] = (char)((len + tlvs) >> 8);
	out[15] = (char)(len + tlvs);
	memcpy(out + 16, addresses, len);
	memset(out + 16 + len, 0xee, tlvs);
	return 16 + len + tlvs;
}

static void
version2(void)
{
	static const char four[] = "\xc0\0\2\1\xc6\x33\x64\1\xdc\4\1\xbb";
	static const char six[] = "\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
	    "\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\2\xdc\4\1\xbb";
	static const char mixed[] = "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\1"
	    "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\2\xdc\4\1\xbb";
	static const char sockets[216] = "/run/client";
	static const struct {
		unsigned command, family;
		const char *addresses;
		size_t len;
		const char *client; /* NULL: not valid */
		size_t at;          /* where it is refused */
	} list[] = {
		{ 0x21, 0x11, four, 12, "192.0.2.1 56324", 0 },
		{ 0x21, 0x21, six, 36, "2001:db8::1 56324", 0 },
		{ 0x21, 0x21, mixed, 36, "192.0.2.1 56324", 0 },
		{ 0x21, 0x31, sockets, 216, "none", 0 },
		{ 0x21, 0x00, "", 0, "none", 0 },
		/* Datagrams, which the specification lets be as unspecified. */
		{ 0x21, 0x12, four, 12, "none", 0 },
		{ 0x21, 0x22, six, 36, "none", 0 },
		{ 0x21, 0x32, sockets, 216, "none", 0 },
		/* LOCAL: the rest is ignored. */
		{ 0x20, 0x00, "", 0, "none", 0 },
		{ 0x20, 0x11, four, 12, "none", 0 },
		{ 0x20, 0x11, four, 3, "none", 0 },
		{ 0x20, 0xff, four, 12, "none", 0 },
		/* Too short for the family: refused with the length. */
		{ 0x21, 0x11, four, 11, NULL, 16 },
		{ 0x21, 0x11, four, 0, NULL, 16 },
		{ 0x21, 0x12, four, 11, NULL, 16 },
		{ 0x21, 0x21, six, 35, NULL, 16 },
		{ 0x21, 0x21, four, 12, NULL, 16 },
		{ 0x21, 0x31, sockets, 215, NULL, 16 },
		{ 0x21, 0x32, sockets, 215, NULL, 16 },
		/* Another version, command, family or transport. */
		{ 0x11, 0x11, four, 12, NULL, 13 },
		{ 0x31, 0x11, four, 12, NULL, 13 },
		{ 0x01, 0x11, four, 12, NULL, 13 },
		{ 0x22, 0x11, four, 12, NULL, 13 },
		{ 0x2f, 0x11, four, 12, NULL, 13 },
		{ 0x21, 0x01, four, 12, NULL, 14 },
		{ 0x21, 0x10, four, 12, NULL, 14 },
		{ 0x21, 0x13, four, 12, NULL, 14 },
		{ 0x21, 0x41, sockets, 216, NULL, 14 },
		{ 0x21, 0xff, four, 12, NULL, 14 },
	};
	static char out[WS_PROXY_MAX + 64];
	size_t i, n;

	CASE("PROXY, version 2: families and commands, at every split");
	for (i = 0; i < LEN(list); i++) {
		n = build(out, list[i].command, list[i].family,
		    list[i].addresses, list[i].len, 0);
		if (list[i].client == NULL) {
			wrong(out, n, list[i].at);
			continue;
		}
		valid(out, n, list[i].client);
		if (list[i].len < 12 && list[i].command == 0x21)
			continue;
		n = build(out, list[i].command, list[i].family,
		    list[i].addresses, list[i].len, 100);
		valid(out, n, list[i].client);
	}
	n = build(out, 0x21, 0x00, "", 0, 300);
	valid(out, n, "none");

	CASE("PROXY, version 2: each byte of the signature");
	for (i = 0; i < 12; i++) {
		n = build(out, 0x21, 0x11, four, 12, 0);
		out[i] ^= 1;
		wrong(out, n, i + 1);
	}

	CASE("PROXY, version 2: 4096 bytes and no more");
	n = build(out, 0x21, 0x11, four, 12, WS_PROXY_MAX - 28);
	EXPECT(n == 4096, "%zu bytes", n);
	valid(out, n, "192.0.2.1 56324");
	n = build(out, 0x21, 0x11, four, 12, WS_PROXY_MAX - 27);
	wrong(out, n, 16);
	n = build(out, 0x20, 0x00, four, 0, WS_PROXY_MAX - 15);
	wrong(out, n, 16);
	memset(out + 14, 0xff, 2);
	wrong(out, n, 16);
}

int
main(void)
{
	trust();
	forwarded();
	version1();
	version2();
	return test_end();
}
