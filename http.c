/* wshub: ISC licence, see LICENSE. */
/*
 * HTTP/1.1 as far as a WebSocket server needs it: request heads (RFC 9112), and
 * responses.
 *
 * A state machine reads the head as it arrives. Its state is struct ws_head, of
 * 10 bytes. The head is
 *
 *   *(CR LF), METHOD SP TARGET SP VERSION CR LF, then for each field
 *   NAME ':' VALUE CR LF, then CR LF
 *
 * and each of the words above is an element. An invalid byte is refused as soon
 * as it arrives, because the head may never end: after a TLS ClientHello on the
 * wrong port, or a bare line feed, by which requests are smuggled past a proxy
 * that splits lines differently. A host is checked at its end, since the first
 * half of an address in brackets is not valid by itself. Even if 32 KiB arrive
 * byte by byte, each byte is read once or twice, not 32,768 times.
 *
 * When the head is complete and its syntax has been checked, read_fields reads
 * the lines a second time and collects the fields, which may be in any order;
 * choose_status then decides. An invalid head is never repaired: RFC 9112
 * section 2.2 lets a server be lenient, and section 11.2 says what that can
 * cause. But empty lines before the request line are skipped, as section 2.2
 * demands; they count towards the size of the head.
 */
#include <stdio.h>
#include <string.h>

#include "ws.h"

#define KEY_LEN WS_KEY_LEN /* 22 characters and "==" */
#define SCHEME_MAX 8 /* bytes of "https://" */

/*
 * token[c] is c in lower case if c is allowed in a token (RFC 9110 section
 * 5.6.2), otherwise 0.
 */
static const char token[256] =
    "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
    "\0!\0#$%&'\0\0*+\0-.\0" "0123456789\0\0\0\0\0\0"
    "\0abcdefghijklmno" "pqrstuvwxyz\0\0\0^_"
    "`abcdefghijklmno" "pqrstuvwxyz\0|\0~";

/* Status codes, and the fields that RFC 9110 section 15 requires for them. */
static const struct status {
	int status;
	const char *phrase;
	const char *fields;
} statuses[] = {
	{ 200, "OK", "" },
	{ 401, "Unauthorized", "WWW-Authenticate: Bearer\r\n" },
	{ 403, "Forbidden", "" },
	{ 404, "Not Found", "" },
	{ 405, "Method Not Allowed", NULL }, /* one of allows */
	{ 408, "Request Timeout", "" },
	{ 426, "Upgrade Required", "Upgrade: websocket\r\n"
	    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" },
	{ 431, "Request Header Fields Too Large", "" },
	{ 503, "Service Unavailable", "Retry-After: 5\r\n" },
	{ 400, "Bad Request", "" }
};

static const char *const allows[] = {
	"Allow: GET\r\n", "Allow: GET, HEAD\r\n",
	"Allow: GET, HEAD, OPTIONS\r\n"
};

enum { OTHER, CONNECT, GET, HEAD, OPTIONS, PRI };
static const char *const methods[] = {
	"", "CONNECT", "GET", "HEAD", "OPTIONS", "PRI"
};

/* The states of the parser. */
enum {
	START, EMPTY, METHOD, TARGET, VERSION, LF, FIELD, NAME, VALUE, END
};

/* Schemes that a target in absolute-form may have. */
static const char *const schemes[] = {
	"http://", "https://", "ws://", "wss://"
};

/* The contents of a complete head. */
struct fields {
	unsigned method;              /* index in methods */
	struct ws_text target;
	int minor;                    /* HTTP/1.minor */
	int upgrade;                  /* the Upgrade field lists websocket */
	int connection;               /* the Connection field lists upgrade */
	int body;                     /* the request has a body */
	unsigned keys;                /* number of Sec-WebSocket-Key fields */
	unsigned version;             /* 1: one version field, which is 13 */
	int bad_subprotocol;          /* a subprotocol offered is no token */
	const char *subprotocol;      /* the one chosen, or NULL */
	unsigned origins;             /* number of Origin fields */
	struct ws_text key, host, origin, bearer, cookie;
};

/* ------------------------------------------------------------ request heads */

/* Removes the white space at both ends: OWS, RFC 9110 section 5.6.3. */
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

/* 1 if t is word, which is in lower case; the case of t does not matter. */
static int
is_word(struct ws_text t, const char *word)
{
	size_t i;

	if (t.len != strlen(word))
		return 0;
	for (i = 0; i < t.len; i++)
		if (token[(unsigned char)t.s[i]] != word[i])
			return 0;
	return 1;
}

/* 1 if the comma-separated list t contains word, RFC 9110 section 5.6.1. */
static int
has_word(struct ws_text t, const char *word)
{
	const char *comma;
	size_t n;

	while ((comma = memchr(t.s, ',', t.len)) != NULL) {
		n = (size_t)(comma - t.s);
		if (is_word(trim(t.s, n), word))
			return 1;
		t.s += n + 1;
		t.len -= n + 1;
	}
	return is_word(trim(t.s, t.len), word);
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

/*
 * 1 if key is 16 bytes in base64. The low 4 bits of the last character are not
 * used, so any character is allowed there.
 */
static int
is_key(struct ws_text key)
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

/* unreserved or sub-delims, RFC 3986 section 2: allowed in a host's name. */
static int
is_host_char(char c)
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
 * IPv6address, RFC 3986 section 3.2.2: eight groups. One "::" may replace one
 * or more of them, and an IPv4 address the last two. A zone is not allowed, as
 * it has no meaning on another host (RFC 6874 section 4).
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

/* IP-literal without its brackets: IPv6address or IPvFuture. */
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
		if (!is_host_char(s[i]) && s[i] != ':')
			return 0;
	return 1;
}

/*
 * 1 if t is a host with or without a port (RFC 3986 section 3.2). User
 * information is not allowed (RFC 9110 section 4.2.4). *host and *port become
 * their lengths; the port's includes the colon.
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
			else if (is_host_char(t.s[i]))
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

/*
 * The scheme that t begins with, or could begin with if more of t were known;
 * NULL: none.
 */
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
 * 1 if a request target may begin with t, which contains only bytes from '!' to
 * '~'. All of these are allowed after a slash. RFC 3986 allows fewer, but
 * browsers do not encode '[', ']', '^', '`', '{', '|', '}' and a '%' without
 * two digits in a query, nor some of them in a path (see the percent-encode
 * sets of the WHATWG's URL standard), and curl sends the others as well.
 */
static int
begins_target(unsigned method, struct ws_text t)
{
	if (method == CONNECT)
		return 1; /* an authority, which is checked at its end */
	if (t.s[0] == '*')
		return method == OPTIONS && t.len == 1;
	return t.s[0] == '/' || scheme(t) != NULL;
}

/* Splits a target in absolute-form into its authority and the rest. */
static void
split_target(struct ws_text t, struct ws_text *authority, struct ws_text *path)
{
	size_t i, n = strlen(scheme(t));

	if (n > t.len)
		n = t.len;
	for (i = n; i < t.len && t.s[i] != '/' && t.s[i] != '?'; i++)
		;
	authority->s = t.s + n;
	authority->len = i - n;
	path->s = t.s + i;
	path->len = t.len - i;
}

/* 1 if t is a complete request target: RFC 9112 section 3.2. */
static int
is_target(unsigned method, struct ws_text t)
{
	struct ws_text path;
	size_t host, port;

	if (method != CONNECT && (t.s[0] == '/' || t.s[0] == '*'))
		return 1;
	if (method != CONNECT)
		split_target(t, &t, &path);
	/* The host must not be empty: RFC 9110 section 4.2.1. */
	return is_authority(t, &host, &port) && host > 0 &&
	    (method != CONNECT || port > 1);
}

/* 1 if the path of a target, which is not of a CONNECT request, is path. */
static int
has_path(struct ws_text target, const char *path)
{
	struct ws_text t = ws_path(target);

	return t.len == strlen(path) && memcmp(t.s, path, t.len) == 0;
}

static unsigned
find_method(struct ws_text t)
{
	unsigned m;

	for (m = sizeof(methods) / sizeof(methods[0]) - 1; m != OTHER; m--)
		if (t.len == strlen(methods[m]) &&
		    memcmp(t.s, methods[m], t.len) == 0)
			break;
	return m;
}

/*
 * Reads a list of subprotocols that the client offers, in its order of
 * preference. The first that is in names is chosen. There may be several such
 * fields (RFC 6455 section 11.3.4).
 */
static void
choose_subprotocol(struct fields *x, struct ws_text list,
    const char *const *names)
{
	struct ws_text t;
	const char *comma;
	size_t i, k, n;

	for (;;) {
		comma = memchr(list.s, ',', list.len);
		n = comma != NULL ? (size_t)(comma - list.s) : list.len;
		t = trim(list.s, n);
		for (i = 0; i < t.len; i++)
			if (token[(unsigned char)t.s[i]] == '\0')
				x->bad_subprotocol = 1;
		for (k = 0; names[k] != NULL && x->subprotocol == NULL; k++)
			if (t.len == strlen(names[k]) &&
			    memcmp(t.s, names[k], t.len) == 0)
				x->subprotocol = names[k];
		if (comma == NULL)
			return;
		list.s += n + 1;
		list.len -= n + 1;
	}
}

/* The credentials of an Authorization field: RFC 6750 section 2.1. */
static void
take_bearer(struct fields *x, struct ws_text value)
{
	struct ws_text scheme = value;

	if (x->bearer.s != NULL || value.len < sizeof "Bearer ")
		return;
	scheme.len = sizeof "Bearer" - 1;
	if (is_word(scheme, "bearer") && value.s[scheme.len] == ' ')
		x->bearer = trim(value.s + scheme.len, value.len - scheme.len);
}

/* The cookie of that name, RFC 6265 section 4.2.1: the first of them. */
static void
take_cookie(struct fields *x, struct ws_text value, const char *name)
{
	size_t n, len = strlen(name);
	const char *end;
	struct ws_text pair;

	while (x->cookie.s == NULL && value.len > 0) {
		end = memchr(value.s, ';', value.len);
		n = end == NULL ? value.len : (size_t)(end - value.s);
		pair = trim(value.s, n);
		if (pair.len > len && pair.s[len] == '=' &&
		    memcmp(pair.s, name, len) == 0) {
			x->cookie.s = pair.s + len + 1;
			x->cookie.len = pair.len - len - 1;
		}
		n += end != NULL;
		value.s += n;
		value.len -= n;
	}
}

/* Records one field. */
static void
take_field(struct fields *x, const struct ws_http *o, struct ws_text name,
    struct ws_text value)
{
	if (is_word(name, "upgrade"))
		x->upgrade |= has_word(value, "websocket");
	else if (is_word(name, "connection"))
		x->connection |= has_word(value, "upgrade");
	else if (is_word(name, "sec-websocket-version"))
		x->version += is_word(value, "13") ? 1 : 2;
	else if (is_word(name, "sec-websocket-key")) {
		x->key = value;
		x->keys++;
	} else if (is_word(name, "content-length"))
		x->body |= !is_word(value, "0");
	else if (is_word(name, "transfer-encoding"))
		x->body = 1;
	else if (is_word(name, "host"))
		x->host = value;
	else if (is_word(name, "origin")) {
		x->origin = value;
		x->origins++;
	} else if (o == NULL)
		return;
	else if (o->subprotocols != NULL &&
	    is_word(name, "sec-websocket-protocol"))
		choose_subprotocol(x, value, o->subprotocols);
	else if (o->cookie != NULL && is_word(name, "authorization"))
		take_bearer(x, value);
	else if (o->cookie != NULL && is_word(name, "cookie"))
		take_cookie(x, value, o->cookie);
}

/* Reads the fields of a complete head, whose syntax has been checked. */
static void
read_fields(struct fields *x, const struct ws_http *o, const char *p,
    const char *end)
{
	struct ws_text name;
	const char *eol;

	/* The first space follows the method: empty lines have none. */
	p = (const char *)memchr(p, ' ', (size_t)(end - p)) + 1;
	x->target.s = p;
	p = memchr(p, ' ', (size_t)(end - p));
	x->target.len = (size_t)(p - x->target.s);
	p = memchr(p, '\r', (size_t)(end - p));
	x->minor = p[-1] - '0';
	for (p += 2; *p != '\r'; p = eol + 2) {
		name.s = p;
		p = memchr(p, ':', (size_t)(end - p));
		name.len = (size_t)(p++ - name.s);
		eol = memchr(p, '\r', (size_t)(end - p));
		take_field(x, o, name, trim(p, (size_t)(eol - p)));
	}
}

static int
set_status(struct ws_request *r, int status, const char *reason)
{
	r->status = status;
	r->reason = reason;
	return status;
}

/* Decides about a complete head where there is no WebSocket. */
static int
choose_metrics(struct ws_request *r, const struct fields *x,
    const struct ws_http *o, struct ws_head *h)
{
	/* The target of a CONNECT is not a path. */
	r->metrics = x->method != CONNECT && has_path(x->target, o->metrics);
	if (x->method != CONNECT && !r->metrics &&
	    !has_path(x->target, o->health))
		return set_status(r, 404, "not found");
	h->allow = r->metrics || x->method == CONNECT ? 1 : 2;
	if (x->method == GET || x->method == HEAD ||
	    (x->method == OPTIONS && !r->metrics))
		return set_status(r, 200, "ok");
	return set_status(r, 405, "only GET is served here");
}

/* Decides about a complete head. */
static int
choose_status(struct ws_request *r, const struct fields *x,
    const struct ws_http *o, struct ws_head *h)
{
	/* HTTP/1.0 does not need one: RFC 9112 section 3.2. */
	if (h->hosts == 0 && x->minor > 0)
		return set_status(r, 400, "no Host header");
	if (o != NULL && o->metrics != NULL)
		return choose_metrics(r, x, o, h);
	/*
	 * WebSocket clients may use the same path. A GET with an upgrade is
	 * theirs, unless it is HTTP/1.0, which has no upgrade.
	 */
	if (o != NULL && o->health != NULL &&
	    (x->method == HEAD || x->method == OPTIONS ||
	    (x->method == GET && (!x->upgrade || x->minor == 0))) &&
	    has_path(x->target, o->health))
		return set_status(r, 200, "ok");
	if (x->method != GET)
		return set_status(r, 405, "only GET is served here");
	/* RFC 9110 section 7.8. */
	if (x->minor == 0)
		return set_status(r, 426,
		    "HTTP/1.0 cannot upgrade (nginx: proxy_http_version 1.1)");
	if (!x->upgrade || !x->connection)
		return set_status(r, 426, "a WebSocket upgrade is needed here");
	if (x->version != 1)
		return set_status(r, 426, "Sec-WebSocket-Version must be 13");
	if (x->keys == 0)
		return set_status(r, 400, "no Sec-WebSocket-Key header");
	if (x->keys > 1)
		return set_status(r, 400, "two Sec-WebSocket-Key headers");
	if (!is_key(x->key))
		return set_status(r, 400, "bad Sec-WebSocket-Key");
	if (x->bad_subprotocol)
		return set_status(r, 400, "bad Sec-WebSocket-Protocol");
	if (x->origins > 1)
		return set_status(r, 400, "two Origin headers");
	/* The bytes after the head must be frames. */
	if (x->body)
		return set_status(r, 400, "an upgrade request has no body");
	r->key = x->key.s;
	r->subprotocol = x->subprotocol;
	r->target = x->target;
	r->host = x->host;
	r->origin = x->origin;
	r->bearer = x->bearer;
	r->cookie = x->cookie;
	return set_status(r, 101, "");
}

/* Checks the value of a Host field: NULL, or an error message. */
static const char *
check_host(struct ws_head *h, struct ws_text t)
{
	size_t n, port;

	if (h->hosts != 0)
		return "more than one Host header";
	h->hosts = 1;
	/* It is empty if the URL of the client has no authority. */
	return is_authority(t, &n, &port) ? NULL : "bad Host header";
}

/*
 * Handles byte c, which follows part, the beginning of the same element. NULL,
 * or an error message. The caller handles the state END.
 */
static const char *
parse_byte(struct ws_head *h, struct ws_text part, unsigned char c)
{
	static const char http[] = "HTTP/1.";
	size_t n = part.len;

	switch (h->state) {
	case EMPTY:
		h->state = START;
		return c == '\n' ? NULL : "bare carriage return";
	case START:
		h->mark = h->at;
		if (c == '\r') {
			h->state = EMPTY;
			return NULL;
		}
		if (c == 0x16)
			/* A handshake record, RFC 8446 section 5.1. */
			return "TLS on a port without TLS";
		h->state = METHOD;
		return token[c] == '\0' ? "not HTTP" : NULL;
	case METHOD:
		if (c != ' ')
			return token[c] == '\0' ? "not HTTP" : NULL;
		h->method = (unsigned char)find_method(part);
		if (h->method == PRI) /* RFC 9113 section 3.4 */
			return "HTTP/2 is not supported";
		break;
	case TARGET:
		if (c == ' ' && n > 0) {
			if (!is_target(h->method, part))
				return "bad request target";
			break;
		}
		part.len++;
		if (c <= ' ' || c >= 0x7f ||
		    (n < SCHEME_MAX && !begins_target(h->method, part)))
			return "bad request target";
		return NULL;
	case VERSION:
		if (n == sizeof(http) && c == '\r')
			break;
		if (n == sizeof(http) - 1 && c >= '0' && c <= '9')
			return NULL;
		return n >= sizeof(http) - 1 || c != http[n] ?
		    "not HTTP/1.x" : NULL;
	case LF:
		h->state = FIELD;
		return c == '\n' ? NULL : "bare carriage return";
	case FIELD:
		h->mark = h->at;
		if (c == '\r') {
			h->state = END;
			return NULL;
		}
		h->state = NAME;
		n = 0;
		/* FALLTHROUGH */
	case NAME:
		if (c == ' ' || c == '\t')
			return "white space around a header's name";
		if (c != ':' || n == 0)
			return token[c] == '\0' ?
			    "bad character in a header's name" : NULL;
		h->host = (unsigned char)is_word(part, "host");
		break;
	case VALUE:
		if (c == '\r') {
			h->state = LF;
			return h->host ? check_host(h, trim(part.s, n)) : NULL;
		}
		return (c < ' ' && c != '\t') || c == 0x7f ?
		    "control character in a header" : NULL;
	}
	/* The next element begins after c. */
	h->mark = (unsigned short)(h->at + 1);
	h->state++;
	return NULL;
}

/* see ws.h */
ssize_t
ws_request(struct ws_head *h, const struct ws_http *o, const char *head,
    size_t len, struct ws_request *r)
{
	struct fields x = { 0 };
	struct ws_text part;
	const char *reason;
	unsigned char c;

	r->key = r->subprotocol = NULL;
	r->metrics = 0;
	for (; h->at < len && h->at < WS_HEAD_MAX; h->at++) {
		c = (unsigned char)head[h->at];
		if (h->state == END && c == '\n') {
			h->at++;
			x.method = h->method;
			read_fields(&x, o, head, head + h->at);
			if (choose_status(r, &x, o, h) == 400)
				return WS_BAD;
			return h->at;
		}
		if (h->state == VALUE && c >= ' ' && c != 0x7f)
			continue; /* the fast path, for most bytes */
		part.s = head + h->mark;
		part.len = (size_t)(h->at - h->mark);
		reason = h->state == END ? "bare carriage return" :
		    parse_byte(h, part, c);
		if (reason != NULL) {
			set_status(r, 400, c == '\n' ?
			    "bare line feed" : reason);
			return WS_BAD;
		}
	}
	if (len < WS_HEAD_MAX)
		return WS_MORE;
	set_status(r, 431, "request head over 32 KiB");
	return WS_BAD;
}

/* see ws.h */
struct ws_text
ws_path(struct ws_text target)
{
	struct ws_text t = target, authority;
	const char *query;

	if (t.s[0] != '/' && t.s[0] != '*')
		split_target(t, &authority, &t);
	query = memchr(t.s, '?', t.len);
	if (query != NULL)
		t.len = (size_t)(query - t.s);
	if (t.len == 0) { /* RFC 9110 section 4.2.3 */
		t.s = "/";
		t.len = 1;
	}
	return t;
}

/* see ws.h */
int
ws_query(struct ws_text target, const char *name, struct ws_text *value)
{
	const char *end = target.s + target.len;
	const char *p = memchr(target.s, '?', target.len), *next;
	size_t len = strlen(name);

	for (; p != NULL; p = next) {
		p++;
		next = memchr(p, '&', (size_t)(end - p));
		value->len = (size_t)((next == NULL ? end : next) - p);
		if (value->len < len || memcmp(p, name, len) != 0)
			continue;
		if (value->len > len && p[len] != '=')
			continue;
		value->s = value->len > len ? p + len + 1 : p + len;
		value->len -= (size_t)(value->s - p);
		return 1;
	}
	return 0;
}

/* see ws.h */
int
ws_field(struct ws_text *head, const char *name, struct ws_text *value)
{
	struct ws_text line, field;
	const char *s = head->s;

	field.len = strlen(name);
	for (;;) {
		/* What follows the last line feed is not a line yet. */
		while (head->len > 0 && s[head->len - 1] != '\n')
			head->len--;
		if (head->len == 0)
			return 0;
		line.len = --head->len;
		while (head->len > 0 && s[head->len - 1] != '\n')
			head->len--;
		line.s = field.s = s + head->len;
		line.len -= head->len;
		if (line.len > 0 && line.s[line.len - 1] == '\r')
			line.len--;
		if (line.len > field.len && line.s[field.len] == ':' &&
		    is_word(field, name))
			break;
	}
	*value = trim(line.s + field.len + 1, line.len - field.len - 1);
	return 1;
}

/* see ws.h */
int
ws_is_token(const char *s)
{
	size_t i;

	for (i = 0; s[i] != '\0'; i++)
		if (token[(unsigned char)s[i]] == '\0')
			return 0;
	return i > 0;
}

/* ---------------------------------------------------------------- responses */

/* see ws.h */
size_t
ws_accept(char out[WS_ANSWER_MAX], const struct ws_request *r)
{
	const char *name = r->subprotocol;
	char accept[WS_ACCEPT_KEY];

	ws_accept_key(accept, r->key);
	/* 129 bytes, and 26 + WS_SUBPROTOCOL_MAX more with a subprotocol. */
	return (size_t)snprintf(out, WS_ANSWER_MAX,
	    "HTTP/1.1 101 Switching Protocols\r\n"
	    "Upgrade: websocket\r\n"
	    "Connection: Upgrade\r\n"
	    "Sec-WebSocket-Accept: %s\r\n"
	    "%s%s%s"
	    "\r\n", accept, name != NULL ? "Sec-WebSocket-Protocol: " : "",
	    name != NULL ? name : "", name != NULL ? "\r\n" : "");
}

/* Writes a response's head. */
static size_t
answer_head(char out[WS_ANSWER_MAX], const struct ws_head *h, int status,
    const char *type, size_t length)
{
	const struct status *a = statuses;

	while (a->status != status && a->status != 400)
		a++;
	/* The longest, of 426, has 191 bytes: 192 + 256 < 512. */
	return (size_t)snprintf(out, WS_ANSWER_MAX,
	    "HTTP/1.1 %d %s\r\n"
	    "%s"
	    "Connection: close\r\n"
	    "Content-Type: %s\r\n"
	    "Content-Length: %u\r\n"
	    "\r\n", a->status, a->phrase, a->fields != NULL ? a->fields :
	    allows[h != NULL ? h->allow : 0], type, (unsigned)length);
}

/* see ws.h */
size_t
ws_answer(char out[WS_ANSWER_MAX], const struct ws_head *h, int status,
    const char *reason)
{
	size_t n = 0, head;

	while (n < 256 && reason[n] != '\0')
		n++;
	head = answer_head(out, h, status, "text/plain", n + 1);
	/* HEAD gets the same head without the body: RFC 9110 section 9.3.2. */
	if (h != NULL && h->method == HEAD)
		return head;
	memcpy(out + head, reason, n);
	out[head + n] = '\n';
	return head + n + 1;
}

/* see ws.h */
size_t
ws_answer_with(char *out, const struct ws_head *h, const char *type,
    const char *body, size_t len)
{
	size_t head = answer_head(out, h, 200, type, len);

	if (h->method == HEAD)
		return head;
	memcpy(out + head, body, len);
	return head + len;
}
