/* wshub: ISC licence, see LICENSE. */
/*
 * What proxies tell about the clients behind them: PROXY headers, versions 1
 * and 2 (doc/proxy-protocol.txt in HAProxy's sources), and X-Forwarded-For.
 * And which peers are proxies whose word counts.
 */
#include <sys/types.h>
#include <sys/socket.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "ws.h"

#define V1_MAX 107 /* bytes of a header of version 1, CR LF included */
#define V2_HEAD 16 /* bytes of one of version 2 before the addresses */

/* The first 12 bytes of version 2. */
static const char signature[] = "\r\n\r\n\0\r\nQUIT\n";
#define SIGNATURE (sizeof signature - 1)

static const unsigned char mapped[12] = {
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff
};

/* -------------------------------------------------------------- addresses */

/* see ws.h */
void
ws_ip_set(struct ws_ip *ip, const void *bytes, size_t len, unsigned port)
{
	memcpy(ip->bytes, mapped, sizeof mapped);
	memcpy(ip->bytes + 16 - len, bytes, len);
	ip->family = memcmp(ip->bytes, mapped, sizeof mapped) == 0 ? 4 : 6;
	ip->port = (uint16_t)port;
}

/* Reads an address: 0, or -1 if it is not valid. */
static int
read_ip(struct ws_ip *ip, struct ws_text t)
{
	unsigned char bytes[16];
	char name[INET6_ADDRSTRLEN];
	int six = memchr(t.s, ':', t.len) != NULL;

	if (t.len >= sizeof name || memchr(t.s, '\0', t.len) != NULL)
		return -1;
	memcpy(name, t.s, t.len);
	name[t.len] = '\0';
	if (inet_pton(six ? AF_INET6 : AF_INET, name, bytes) != 1)
		return -1;
	ws_ip_set(ip, bytes, six ? 16 : 4, 0);
	return 0;
}

/*
 * Reads a decimal number of up to 5 digits without leading zeros, at most max.
 * Returns it, or -1.
 */
static long
read_number(struct ws_text t, long max)
{
	long n = 0;
	size_t i;

	if (t.len == 0 || t.len > 5 || (t.len > 1 && *t.s == '0'))
		return -1;
	for (i = 0; i < t.len; i++) {
		if (t.s[i] < '0' || t.s[i] > '9')
			return -1;
		n = n * 10 + (t.s[i] - '0');
	}
	return n <= max ? n : -1;
}

/* ------------------------------------------------------------------ trust */

/* 1 if all bits of an address after the first n are 0. */
static int
is_network(const unsigned char bytes[16], unsigned n)
{
	for (; n < 128; n++)
		if ((bytes[n / 8] >> (7 - n % 8) & 1) != 0)
			return 0;
	return 1;
}

static int
is_in(const struct ws_range *r, const struct ws_ip *ip)
{
	unsigned whole = r->bits / 8u, rest = r->bits % 8u;

	return r->ip.family == ip->family &&
	    memcmp(r->ip.bytes, ip->bytes, whole) == 0 && (rest == 0 ||
	    (r->ip.bytes[whole] ^ ip->bytes[whole]) >> (8 - rest) == 0);
}

/* see ws.h */
const char *
ws_trust_add(struct ws_trust *t, const char *s)
{
	const char *slash = strchr(s, '/');
	struct ws_text address, bits;
	struct ws_range r;
	long n = -1;
	int six;

	if (strcmp(s, "unix") == 0) {
		t->unix_peers = 1;
		return NULL;
	}
	address.s = s;
	address.len = slash != NULL ? (size_t)(slash - s) : strlen(s);
	if (read_ip(&r.ip, address) != 0)
		return "not an IP address, ADDRESS/BITS or \"unix\"";
	six = strchr(s, ':') != NULL;
	if (slash == NULL) {
		n = six ? 128 : 32;
	} else {
		bits.s = slash + 1;
		bits.len = strlen(bits.s);
		n = read_number(bits, six ? 128 : 32);
	}
	if (n == -1)
		return six ? "BITS is a number of 0 to 128" :
		    "BITS is a number of 0 to 32";
	r.bits = (unsigned char)(six ? n : n + 96);
	if (!is_network(r.ip.bytes, r.bits))
		return "ADDRESS has bits set after the first BITS";
	if (t->n == WS_TRUST_MAX)
		return "more than 64 addresses";
	t->ranges[t->n++] = r;
	return NULL;
}

/* see ws.h */
int
ws_trusts(const struct ws_trust *t, const struct ws_ip *ip)
{
	unsigned i;

	for (i = 0; i < t->n; i++)
		if (is_in(&t->ranges[i], ip))
			return 1;
	return 0;
}

/* -------------------------------------------------------- X-Forwarded-For */

/* Reads a.b.c.d, a.b.c.d:port, an IPv6 address, [it] or [it]:port. */
static int
read_forwarded(struct ws_ip *ip, struct ws_text t)
{
	const char *end = memchr(t.s, ':', t.len);
	struct ws_text port = { NULL, 0 };
	long n = 0;

	if (*t.s == '[') {
		end = memchr(t.s, ']', t.len);
		if (end == NULL)
			return -1;
		port.s = end + 1;
		port.len = t.len - (size_t)(port.s - t.s);
		t.s++;
		t.len = (size_t)(end - t.s);
		if (memchr(t.s, ':', t.len) == NULL)
			return -1;
		if (port.len == 0)
			port.s = NULL;
		else if (*port.s != ':')
			return -1;
	} else if (end != NULL && memchr(t.s, '.', (size_t)(end - t.s)) !=
	    NULL) {
		port.s = end;
		port.len = t.len - (size_t)(end - t.s);
		t.len = (size_t)(end - t.s);
	}
	if (port.s != NULL) {
		port.s++;
		port.len--;
		n = read_number(port, 65535);
	}
	if (n == -1 || read_ip(ip, t) != 0)
		return -1;
	ip->port = (uint16_t)n;
	return 0;
}

/* see ws.h */
int
ws_forwarded(struct ws_ip *ip, const struct ws_trust *trust,
    struct ws_text value)
{
	struct ws_text t;
	struct ws_ip one;

	while (value.len > 0) {
		for (t.len = 0; t.len < value.len; t.len++)
			if (value.s[value.len - t.len - 1] == ',')
				break;
		t.s = value.s + value.len - t.len;
		value.len -= t.len + (t.len < value.len);
		for (; t.len > 0 && (*t.s == ' ' || *t.s == '\t'); t.len--)
			t.s++;
		while (t.len > 0 && (t.s[t.len - 1] == ' ' ||
		    t.s[t.len - 1] == '\t'))
			t.len--;
		if (t.len == 0) /* RFC 9110 section 5.6.1.2 */
			continue;
		if (read_forwarded(&one, t) != 0)
			return 0;
		*ip = one;
		if (!ws_trusts(trust, ip))
			return 0;
	}
	return 1;
}

/* ---------------------------------------------------------- PROXY headers */

/* Cuts the next word off, which a space ends, or the end if it is the last. */
static struct ws_text
next_word(struct ws_text *line)
{
	const char *space = memchr(line->s, ' ', line->len);
	struct ws_text word = *line;

	if (space != NULL)
		word.len = (size_t)(space - word.s);
	line->s += word.len + (space != NULL);
	line->len -= word.len + (space != NULL);
	return word;
}

/* Reads what follows "PROXY ": 0, or -1 if it is not valid. */
static int
read_line(struct ws_ip *ip, struct ws_text line)
{
	struct ws_text word = next_word(&line), from, to;
	struct ws_ip local;
	long port, local_port;
	int six;

	ip->family = 0;
	if (word.len == 7 && memcmp(word.s, "UNKNOWN", 7) == 0)
		return 0; /* whatever follows is to be ignored */
	if (word.len != 4 || memcmp(word.s, "TCP", 3) != 0 ||
	    (word.s[3] != '4' && word.s[3] != '6'))
		return -1;
	six = word.s[3] == '6';
	from = next_word(&line);
	to = next_word(&line);
	if ((memchr(from.s, ':', from.len) != NULL) != six ||
	    (memchr(to.s, ':', to.len) != NULL) != six ||
	    read_ip(ip, from) != 0 || read_ip(&local, to) != 0)
		return -1;
	port = read_number(next_word(&line), 65535);
	local_port = read_number(line, 65535);
	if (port == -1 || local_port == -1)
		return -1;
	ip->port = (uint16_t)port;
	return 0;
}

static ssize_t
read_v1(struct ws_ip *ip, const char *s, size_t len)
{
	static const char begin[] = "PROXY ";
	size_t n = sizeof begin - 1, most = len < V1_MAX ? len : V1_MAX, i;
	struct ws_text line;

	if (memcmp(s, begin, len < n ? len : n) != 0)
		return WS_BAD;
	for (i = n; i < most && s[i] != '\r' && s[i] != '\n'; i++)
		;
	if (i + 1 >= most && (i >= most || s[i] == '\r'))
		return len < V1_MAX ? WS_MORE : WS_BAD;
	if (s[i] != '\r' || s[i + 1] != '\n')
		return WS_BAD;
	line.s = s + n;
	line.len = i - n;
	return read_line(ip, line) == 0 ? (ssize_t)i + 2 : WS_BAD;
}

/*
 * The addresses of version 2 by family and transport, and how many bytes they
 * need. A datagram's address means nothing here: as the specification allows,
 * it counts as unspecified, and so does a Unix socket's.
 */
static const struct v2 {
	unsigned char family;
	unsigned char need; /* bytes */
	unsigned char len;  /* of the client's address, which is the first; 0:
	                       not used */
} v2[] = {
	{ 0x00, 0, 0 },
	{ 0x11, 12, 4 }, { 0x12, 12, 0 },   /* IPv4: stream, datagram */
	{ 0x21, 36, 16 }, { 0x22, 36, 0 },  /* IPv6 */
	{ 0x31, 216, 0 }, { 0x32, 216, 0 }  /* Unix */
};

static ssize_t
read_v2(struct ws_ip *ip, const unsigned char *p, size_t len)
{
	size_t size, i;
	unsigned port;

	if (memcmp(p, signature, len < SIGNATURE ? len : SIGNATURE) != 0)
		return WS_BAD;
	/* Version 2; LOCAL or PROXY. */
	if (len > 12 && p[12] != 0x20 && p[12] != 0x21)
		return WS_BAD;
	for (i = 0; len > 13 && p[12] == 0x21 && v2[i].family != p[13];)
		if (++i == sizeof v2 / sizeof *v2)
			return WS_BAD;
	if (len < V2_HEAD)
		return WS_MORE;
	size = (size_t)p[14] << 8 | p[15];
	if (V2_HEAD + size > WS_PROXY_MAX ||
	    (p[12] == 0x21 && size < v2[i].need))
		return WS_BAD;
	if (len < V2_HEAD + size)
		return WS_MORE;
	ip->family = 0;
	if (p[12] == 0x21 && v2[i].len != 0) {
		port = (unsigned)p[V2_HEAD + 2 * v2[i].len] << 8 |
		    p[V2_HEAD + 2 * v2[i].len + 1];
		ws_ip_set(ip, p + V2_HEAD, v2[i].len, port);
	}
	return (ssize_t)(V2_HEAD + size);
}

/* see ws.h */
ssize_t
ws_proxy_header(struct ws_ip *ip, const void *data, size_t len)
{
	const unsigned char *p = data;

	if (len == 0)
		return WS_MORE;
	return *p == 'P' ? read_v1(ip, data, len) : read_v2(ip, p, len);
}
