/* wshub: ISC licence, see LICENSE. */
/*
 * HTTP/1.1 as far as a WebSocket server needs it: request heads (RFC 9112), and
 * answers to them.
 *
 * ws_request starts again at the first byte whenever more has come: there is
 * no state to keep for a client that has not said who it is, and a head is
 * 8 KiB at most. It goes byte by byte through
 *
 *   METHOD SP TARGET SP VERSION CR LF, then per field NAME ':' VALUE CR LF,
 *   then CR LF
 *
 * so that a byte which no request can have there is refused when it is seen
 * and not when, perhaps never, the head ends: a TLS ClientHello on the wrong
 * port, or a bare line feed, which is how requests are smuggled past a proxy
 * that reads lines otherwise. Hosts are checked where they end, as an address
 * in brackets cannot be told from half of one before that. What a field says is
 * noted on the way in struct head, and weighed when the head is whole, as one
 * field can come before or after another. Nothing is skipped or repaired (RFC
 * 9112 section 2.2 lets a server be lenient, section 11.2 says what that costs).
 */
#include <stdio.h>
#include <string.h>

#include "ws.h"

#define KEY_LEN 24 /* 16 bytes in base64: 22 characters and "==" */
#define SCHEME_MAX 8 /* bytes of "https://" */

/*
 * The byte in lower case if a token may have it (RFC 9110 section 5.6.2),
 * else NUL.
 */
static const char token[256] =
    "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
    "\0!\0#$%&'\0\0*+\0-.\0" "0123456789\0\0\0\0\0\0"
    "\0abcdefghijklmno" "pqrstuvwxyz\0\0\0^_"
    "`abcdefghijklmno" "pqrstuvwxyz\0|\0~";

/* Refusals, and the fields that RFC 9110 section 15 wants with them. */
static const struct refusal {
	int status;
	const char *phrase;
	const char *fields;
} refusals[] = {
	{ 405, "Method Not Allowed", "Allow: GET\r\n" },
	{ 408, "Request Timeout", "" },
	{ 426, "Upgrade Required", "Upgrade: websocket\r\n"
	    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" },
	{ 431, "Request Header Fields Too Large", "" },
	{ 503, "Service Unavailable", "Retry-After: 5\r\n" },
	{ 400, "Bad Request", "" }
};

enum { OTHER, CONNECT, GET, OPTIONS, PRI };
static const char *const methods[] = {
	"", "CONNECT", "GET", "OPTIONS", "PRI"
};

/* Of the URIs that a request may be for in absolute-form. */
static const char *const schemes[] = {
	"http://", "https://", "ws://", "wss://"
};

/* What a request head has said so far. */
struct head {
	unsigned method;              /* index in methods */
	int minor;                    /* HTTP/1.minor */
	int upgrade, connection;      /* websocket, upgrade were listed there */
	int body;                     /* bytes would follow the head */
	unsigned hosts, keys;         /* fields of that name */
	unsigned version;             /* 1: one field, and it says 13 */
	struct ws_text key;
};

/* ------------------------------------------------------------ request heads */

/* Without the white space around it: OWS, RFC 9110 section 5.6.3. */
static struct ws_text
trim(const char *s, size_t len)
{
	struct ws_text t;

	for (; len > 0 && (*s == ' ' || *s == '\t'); len--)
		s++;
	while (len > 0 && (s[len - 1] == ' ' || s[len - 1] == '\t'))
		len--;
	t.s = s;
	t.len = len;
	return t;
}

/* Whether t is word, which is a token in lower case. */
static int
same(struct ws_text t, const char *word)
{
	size_t i;

	if (t.len != strlen(word))
		return 0;
	for (i = 0; i < t.len; i++)
		if (token[(unsigned char)t.s[i]] != word[i])
			return 0;
	return 1;
}

/* Whether word is in a list with commas, RFC 9110 section 5.6.1. */
static int
lists(struct ws_text t, const char *word)
{
	const char *comma;
	size_t n;

	while ((comma = memchr(t.s, ',', t.len)) != NULL) {
		n = (size_t)(comma - t.s);
		if (same(trim(t.s, n), word))
			return 1;
		t.s += n + 1;
		t.len -= n + 1;
	}
	return same(trim(t.s, t.len), word);
}

static int
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static int
is_letter(char c)
{
	return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

/* 16 bytes in base64; the last character's low 4 bits say nothing. */
static int
key_right(struct ws_text key)
{
	size_t i;

	if (key.len != KEY_LEN || memcmp(key.s + KEY_LEN - 2, "==", 2) != 0)
		return 0;
	for (i = 0; i < KEY_LEN - 2; i++)
		if (!is_letter(key.s[i]) && !is_digit(key.s[i]) &&
		    key.s[i] != '+' && key.s[i] != '/')
			return 0;
	return 1;
}

static int
is_hex(char c)
{
	return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

/* unreserved and sub-delims, RFC 3986 section 2. */
static int
is_name(char c)
{
	return is_digit(c) || is_letter(c) ||
	    (c != '\0' && strchr("-._~!$&'()*+,;=", c) != NULL);
}

/* IPv4address, RFC 3986 section 3.2.2: four numbers without leading zeros. */
static int
is_ipv4(const char *s, size_t len)
{
	size_t i = 0, first;
	unsigned n, parts;

	for (parts = 0; parts < 4; parts++) {
		if (parts > 0 && (i == len || s[i++] != '.'))
			return 0;
		first = i;
		for (n = 0; i < len && i < first + 3 && is_digit(s[i]); i++)
			n = n * 10 + (unsigned)(s[i] - '0');
		if (i == first || n > 255 || (s[first] == '0' && i > first + 1))
			return 0;
	}
	return i == len;
}

/*
 * IPv6address, RFC 3986 section 3.2.2: eight groups, one "::" in place of one
 * or more of them, an IPv4 address in place of the last two. It has no zone:
 * that means nothing on another host (RFC 6874 section 4).
 */
static int
is_ipv6(const char *s, size_t len)
{
	unsigned groups = 0;
	int gap = len >= 2 && s[0] == ':' && s[1] == ':';
	size_t i = gap ? 2 : 0, first;

	while (i < len) {
		first = i;
		while (i < len && is_hex(s[i]))
			i++;
		if (i < len && s[i] == '.') {
			if (!is_ipv4(s + first, len - first))
				return 0;
			groups += 2;
			break;
		}
		if (i == first || i > first + 4)
			return 0;
		groups++;
		if (i == len)
			break;
		if (s[i++] != ':' || i == len)
			return 0;
		if (s[i] == ':') {
			if (gap)
				return 0;
			gap = 1;
			i++;
		}
	}
	return gap ? groups < 8 : groups == 8;
}

/* What may stand in brackets: IPv6address or IPvFuture. */
static int
is_ip_literal(const char *s, size_t len)
{
	size_t i = 1;

	if (len == 0 || (s[0] | 0x20) != 'v')
		return is_ipv6(s, len);
	while (i < len && is_hex(s[i]))
		i++;
	if (i == 1 || i + 1 >= len || s[i] != '.')
		return 0;
	while (++i < len)
		if (!is_name(s[i]) && s[i] != ':')
			return 0;
	return 1;
}

/*
 * Whether t is a host and perhaps a port (RFC 3986 section 3.2), without user
 * information (RFC 9110 section 4.2.4). *host and *port are the lengths of
 * these, the port's with its colon.
 */
static int
is_authority(struct ws_text t, size_t *host, size_t *port)
{
	const char *end;
	size_t i = 0;

	if (t.len > 0 && t.s[0] == '[') {
		end = memchr(t.s, ']', t.len);
		if (end == NULL ||
		    !is_ip_literal(t.s + 1, (size_t)(end - t.s) - 1))
			return 0;
		i = (size_t)(end - t.s) + 1;
	} else
		while (i < t.len && t.s[i] != ':') {
			if (t.s[i] == '%' && t.len - i > 2 &&
			    is_hex(t.s[i + 1]) && is_hex(t.s[i + 2]))
				i += 3;
			else if (is_name(t.s[i]))
				i++;
			else
				return 0;
		}
	*host = i;
	*port = t.len - i;
	if (i < t.len && t.s[i++] != ':')
		return 0;
	while (i < t.len)
		if (!is_digit(t.s[i++]))
			return 0;
	return 1;
}

/* The scheme that t begins with, or that begins with t; NULL: none. */
static const char *
scheme(struct ws_text t)
{
	size_t i, k, n;

	for (k = 0; k < sizeof(schemes) / sizeof(schemes[0]); k++) {
		n = strlen(schemes[k]);
		for (i = 0; i < n && i < t.len; i++)
			if ((t.s[i] | 0x20) != schemes[k][i])
				break;
		if (i == n || i == t.len)
			return schemes[k];
	}
	return NULL;
}

/*
 * Whether a request target may begin with t, which has no byte but from '!' to
 * '~'. What follows a first slash may be any of these: RFC 3986 has fewer, but
 * browsers send '[', ']', '^', '`', '{', '|', '}' and a '%' that begins nothing
 * as they stand in a URL's query, some of them in its path (the percent-encode
 * sets of the WHATWG's URL standard), and people with curl the others.
 */
static int
begins_target(unsigned method, struct ws_text t)
{
	if (method == CONNECT)
		return 1; /* an authority, judged at its end */
	if (t.s[0] == '*')
		return method == OPTIONS && t.len == 1;
	return t.s[0] == '/' || scheme(t) != NULL;
}

/* Whether it may end there: RFC 9112 section 3.2. */
static int
is_target(unsigned method, struct ws_text t)
{
	size_t n, host, port;

	if (method != CONNECT) {
		if (t.s[0] == '/' || t.s[0] == '*')
			return 1;
		n = strlen(scheme(t));
		if (t.len < n)
			return 0;
		t.s += n;
		t.len -= n;
		for (n = 0; n < t.len && t.s[n] != '/' && t.s[n] != '?'; n++)
			;
		t.len = n;
	}
	/* RFC 9110 section 4.2.1: no URI of these has an empty host. */
	return is_authority(t, &host, &port) && host > 0 &&
	    (method != CONNECT || port > 1);
}

static unsigned
method(struct ws_text t)
{
	unsigned m;

	for (m = sizeof(methods) / sizeof(methods[0]) - 1; m != OTHER; m--)
		if (t.len == strlen(methods[m]) &&
		    memcmp(t.s, methods[m], t.len) == 0)
			break;
	return m;
}

/* Notes one field. NULL, or what makes the request malformed. */
static const char *
field(struct head *h, struct ws_text name, struct ws_text value)
{
	size_t host, port;

	if (same(name, "host")) {
		/*
		 * RFC 9112 section 3.2. An empty one is right: it says that
		 * what the client was given has no authority.
		 */
		if (h->hosts++ != 0)
			return "more than one Host header";
		if (!is_authority(value, &host, &port))
			return "bad Host header";
	} else if (same(name, "upgrade"))
		h->upgrade |= lists(value, "websocket");
	else if (same(name, "connection"))
		h->connection |= lists(value, "upgrade");
	else if (same(name, "sec-websocket-version"))
		h->version += same(value, "13") ? 1 : 2;
	else if (same(name, "sec-websocket-key")) {
		h->key = value;
		h->keys++;
	} else if (same(name, "content-length"))
		h->body |= !same(value, "0");
	else if (same(name, "transfer-encoding"))
		h->body = 1;
	return NULL;
}

static int
answer(struct ws_request *r, int status, const char *why)
{
	r->status = status;
	r->why = why;
	return status;
}

/* The status that a whole head deserves. */
static int
judge(struct ws_request *r, const struct head *h)
{
	/* RFC 9112 section 3.2: HTTP/1.0 may go without. */
	if (h->hosts == 0 && h->minor > 0)
		return answer(r, 400, "no Host header");
	if (h->method != GET)
		return answer(r, 405, "only GET is served here");
	/* RFC 9110 section 7.8: HTTP/1.0 cannot upgrade. */
	if (!h->upgrade || !h->connection || h->minor == 0)
		return answer(r, 426, "a WebSocket upgrade is needed here");
	if (h->version != 1)
		return answer(r, 426, "Sec-WebSocket-Version must be 13");
	if (h->keys == 0)
		return answer(r, 400, "no Sec-WebSocket-Key header");
	if (h->keys > 1)
		return answer(r, 400, "two Sec-WebSocket-Key headers");
	if (!key_right(h->key))
		return answer(r, 400, "bad Sec-WebSocket-Key");
	/* What follows the head are frames. */
	if (h->body)
		return answer(r, 400, "an upgrade request has no body");
	return answer(r, 101, "");
}

/* see ws.h */
ssize_t
ws_request(struct ws_request *r, const char *head, size_t len)
{
	static const char http[] = "HTTP/1.";
	enum { METHOD, TARGET, VERSION, LF, FIELD, NAME, VALUE, END } state;
	struct head h = { 0 };
	struct ws_text name = { NULL, 0 }, part;
	const char *why = NULL;
	size_t mark = 0; /* where the part under way begins */
	size_t i, n;
	unsigned char c;

	r->key[0] = '\0';
	state = METHOD;
	for (i = 0; i < len && i < WS_HEAD_MAX; i++) {
		c = (unsigned char)head[i];
		n = i - mark;
		part.s = head + mark;
		part.len = n;
		switch (state) {
		case METHOD:
			if (c == ' ' && n > 0) {
				h.method = method(part);
				if (h.method == PRI) /* RFC 9113 section 3.4 */
					why = "HTTP/2 is not spoken here";
				mark = i + 1;
				state = TARGET;
			} else if (c == 0x16 && n == 0)
				/* A handshake record, RFC 8446 section 5.1. */
				why = "TLS on a port without TLS";
			else if (token[c] == '\0')
				why = "not HTTP";
			break;
		case TARGET:
			if (c == ' ' && n > 0) {
				if (!is_target(h.method, part))
					why = "bad request target";
				mark = i + 1;
				state = VERSION;
				break;
			}
			part.len++;
			if (c <= ' ' || c >= 0x7f ||
			    (n < SCHEME_MAX && !begins_target(h.method, part)))
				why = "bad request target";
			break;
		case VERSION:
			if (n == sizeof(http) && c == '\r')
				state = LF;
			else if (n == sizeof(http) - 1 && c >= '0' && c <= '9')
				h.minor = c - '0';
			else if (n >= sizeof(http) - 1 || c != http[n])
				why = "not HTTP/1.x";
			break;
		case LF:
			if (c != '\n')
				why = "bare carriage return";
			state = FIELD;
			break;
		case FIELD:
			if (c == '\r') {
				state = END;
				break;
			}
			mark = i;
			n = 0;
			state = NAME;
			/* FALLTHROUGH */
		case NAME:
			if (c == ':' && n > 0) {
				name = part;
				mark = i + 1;
				state = VALUE;
			} else if (c == ' ' || c == '\t')
				why = "white space around a header's name";
			else if (token[c] == '\0')
				why = "bad character in a header's name";
			break;
		case VALUE:
			if (c == '\r') {
				why = field(&h, name, trim(part.s, n));
				state = LF;
			} else if ((c < ' ' && c != '\t') || c == 0x7f)
				why = "control character in a header";
			break;
		case END:
			if (c != '\n') {
				why = "bare carriage return";
				break;
			}
			if (judge(r, &h) == 400)
				return WS_BAD;
			if (r->status == 101) {
				memcpy(r->key, h.key.s, KEY_LEN);
				r->key[KEY_LEN] = '\0';
			}
			return (ssize_t)(i + 1);
		}
		if (why != NULL) {
			answer(r, 400, c == '\n' ? "bare line feed" : why);
			return WS_BAD;
		}
	}
	if (i < WS_HEAD_MAX)
		return WS_MORE;
	answer(r, 431, "request head over 8192 bytes");
	return WS_BAD;
}

/* ------------------------------------------------------------------ answers */

/* see ws.h */
size_t
ws_accept(char out[WS_ANSWER_MAX], const char *key)
{
	char proof[WS_ACCEPT_KEY];

	ws_accept_key(proof, key);
	return (size_t)snprintf(out, WS_ANSWER_MAX,
	    "HTTP/1.1 101 Switching Protocols\r\n"
	    "Upgrade: websocket\r\n"
	    "Connection: Upgrade\r\n"
	    "Sec-WebSocket-Accept: %s\r\n"
	    "\r\n", proof);
}

/* see ws.h */
size_t
ws_refuse(char out[WS_ANSWER_MAX], int status, const char *why)
{
	const struct refusal *f = refusals;
	int n = 0;

	while (f->status != status && f->status != 400)
		f++;
	/* The longest head, of 426, has 191 bytes: 192 + 256 < 512. */
	while (n < 256 && why[n] != '\0')
		n++;
	return (size_t)snprintf(out, WS_ANSWER_MAX,
	    "HTTP/1.1 %d %s\r\n"
	    "%s"
	    "Connection: close\r\n"
	    "Content-Type: text/plain\r\n"
	    "Content-Length: %d\r\n"
	    "\r\n"
	    "%.*s\n", f->status, f->phrase, f->fields, n + 1, n, why);
}
