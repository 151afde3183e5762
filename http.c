/* wshub: ISC licence, see LICENSE. */
/*
 * HTTP/1.1 as far as a WebSocket server needs it: request heads (RFC 9112), and
 * answers to them.
 *
 * A head is read once as it comes, by a state machine whose state is struct
 * ws_head, 8 bytes:
 *
 *   *(CR LF), METHOD SP TARGET SP VERSION CR LF, then per field
 *   NAME ':' VALUE CR LF, then CR LF
 *
 * A byte which no request can have at its place is refused when it is seen and
 * not when, perhaps never, the head ends: a TLS ClientHello on the wrong port,
 * or a bare line feed, which is how requests are smuggled past a proxy that
 * reads lines otherwise. Hosts are checked where they end, as an address in
 * brackets cannot be told from half of one before that. If 32 KiB come byte by
 * byte, each byte is looked at once or twice, not 32,768 times.
 *
 * When the head is whole, and known to be lines of that form, a second walk
 * over these lines (inspect) collects what its fields say, and judge weighs it,
 * as one field can come before or after another. Nothing is repaired (RFC 9112
 * section 2.2 lets a server be lenient, section 11.2 says what that costs);
 * empty lines before the request line are skipped, because that section asks
 * for it, and count as bytes of the head.
 */
#include <stdio.h>
#include <string.h>

#include "ws.h"

#define KEY_LEN WS_KEY_LEN /* 22 characters and "==" */
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

/* Answers, and the fields that RFC 9110 section 15 wants with them. */
static const struct status {
	int status;
	const char *phrase;
	const char *fields;
} statuses[] = {
	{ 200, "OK", "" },
	{ 405, "Method Not Allowed", "Allow: GET\r\n" },
	{ 408, "Request Timeout", "" },
	{ 426, "Upgrade Required", "Upgrade: websocket\r\n"
	    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" },
	{ 431, "Request Header Fields Too Large", "" },
	{ 503, "Service Unavailable", "Retry-After: 5\r\n" },
	{ 400, "Bad Request", "" }
};

enum { OTHER, CONNECT, GET, HEAD, OPTIONS, PRI };
static const char *const methods[] = {
	"", "CONNECT", "GET", "HEAD", "OPTIONS", "PRI"
};

/* Where in a head. */
enum {
	START, EMPTY, METHOD, TARGET, VERSION, LF, FIELD, NAME, VALUE, END
};

/* Of the URIs that a request may be for in absolute-form. */
static const char *const schemes[] = {
	"http://", "https://", "ws://", "wss://"
};

/* What a whole head says. */
struct fields {
	unsigned method;              /* index in methods */
	struct ws_text target;
	int minor;                    /* HTTP/1.minor */
	int upgrade, connection;      /* websocket, upgrade were listed there */
	int body;                     /* bytes would follow the head */
	unsigned keys;                /* fields of that name */
	unsigned version;             /* 1: one field, and it says 13 */
	int no_token;                 /* an offered subprotocol is no token */
	const char *subprotocol;      /* the first offered that we have */
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

/* Whether word is in a list with commas, RFC 9110 section 5.6.1. */
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

/* 16 bytes in base64; the last character's low 4 bits say nothing. */
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
is_authority(struct ws_text t, size_t *parse_host, size_t *port)
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
	*parse_host = i;
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
begins_target(unsigned find_method, struct ws_text t)
{
	if (find_method == CONNECT)
		return 1; /* an authority, judged at its end */
	if (t.s[0] == '*')
		return find_method == OPTIONS && t.len == 1;
	return t.s[0] == '/' || scheme(t) != NULL;
}

/* An absolute-form's authority and what follows that. */
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

/* Whether it may end there: RFC 9112 section 3.2. */
static int
is_target(unsigned find_method, struct ws_text t)
{
	struct ws_text path;
	size_t parse_host, port;

	if (find_method != CONNECT && (t.s[0] == '/' || t.s[0] == '*'))
		return 1;
	if (find_method != CONNECT)
		split_target(t, &t, &path);
	/* RFC 9110 section 4.2.1: no URI of these has an empty host. */
	return is_authority(t, &parse_host, &port) && parse_host > 0 &&
	    (find_method != CONNECT || port > 1);
}

/*
 * Whether a target, not CONNECT's, is path, which begins with a slash, with a
 * query or without.
 */
static int
has_path(struct ws_text target, const char *path)
{
	struct ws_text t = target, authority;
	const char *query;
	size_t n = strlen(path);

	if (t.s[0] != '/' && t.s[0] != '*')
		split_target(t, &authority, &t);
	query = memchr(t.s, '?', t.len);
	if (query != NULL)
		t.len = (size_t)(query - t.s);
	if (t.len == 0) /* RFC 9110 section 4.2.3 */
		return n == 1;
	return t.len == n && memcmp(t.s, path, n) == 0;
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
 * Subprotocols that a client offers, in its order of preference: one field or
 * several, RFC 6455 section 11.3.4. The first that is one of names is chosen.
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
				x->no_token = 1;
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

/* Notes one field. */
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
	else if (o != NULL && o->subprotocols != NULL &&
	    is_word(name, "sec-websocket-protocol"))
		choose_subprotocol(x, value, o->subprotocols);
}

/* What a head says that ends at end and is known to be right line by line. */
static void
read_fields(struct fields *x, const struct ws_http *o, const char *p,
    const char *end)
{
	struct ws_text name;
	const char *eol;

	/* No space is in empty lines before it. */
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

/* The status that a whole head deserves. */
static int
choose_status(struct ws_request *r, const struct fields *x,
    const struct ws_http *o, unsigned hosts)
{
	/* RFC 9112 section 3.2: HTTP/1.0 may go without. */
	if (hosts == 0 && x->minor > 0)
		return set_status(r, 400, "no Host header");
	/* A path may be both: an upgrade is none of HTTP/1.0's, see below. */
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
	if (x->no_token)
		return set_status(r, 400, "bad Sec-WebSocket-Protocol");
	/* What follows the head are frames. */
	if (x->body)
		return set_status(r, 400, "an upgrade request has no body");
	r->key = x->key.s;
	r->subprotocol = x->subprotocol;
	return set_status(r, 101, "");
}

/* The Host field's value t is whole. NULL, or what is wrong. */
static const char *
parse_host(struct ws_head *h, struct ws_text t)
{
	size_t n, port;

	if (h->hosts != 0)
		return "more than one Host header";
	h->hosts = 1;
	/* It may be empty: what the client was given has no authority. */
	return is_authority(t, &n, &port) ? NULL : "bad Host header";
}

/*
 * Takes byte c, with what came before it of the same part. NULL, or what is
 * wrong with it. END is left to the caller.
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
			return "HTTP/2 is not spoken here";
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
			return h->host ? parse_host(h, trim(part.s, n)) : NULL;
		}
		return (c < ' ' && c != '\t') || c == 0x7f ?
		    "control character in a header" : NULL;
	}
	/* The next part begins behind c. */
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
	for (; h->at < len && h->at < WS_HEAD_MAX; h->at++) {
		c = (unsigned char)head[h->at];
		if (h->state == END && c == '\n') {
			h->at++;
			x.method = h->method;
			read_fields(&x, o, head, head + h->at);
			if (choose_status(r, &x, o, h->hosts) == 400)
				return WS_BAD;
			return h->at;
		}
		if (h->state == VALUE && c >= ' ' && c != 0x7f)
			continue; /* most bytes of most heads */
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
int
ws_is_token(const char *s)
{
	size_t i;

	for (i = 0; s[i] != '\0'; i++)
		if (token[(unsigned char)s[i]] == '\0')
			return 0;
	return i > 0;
}

/* ------------------------------------------------------------------ answers */

/* see ws.h */
size_t
ws_accept(char out[WS_ANSWER_MAX], const struct ws_request *r)
{
	const char *name = r->subprotocol;
	char proof[WS_ACCEPT_KEY];

	ws_accept_key(proof, r->key);
	/* 131 bytes, and 26 + WS_SUBPROTOCOL_MAX < 282 with a subprotocol. */
	return (size_t)snprintf(out, WS_ANSWER_MAX,
	    "HTTP/1.1 101 Switching Protocols\r\n"
	    "Upgrade: websocket\r\n"
	    "Connection: Upgrade\r\n"
	    "Sec-WebSocket-Accept: %s\r\n"
	    "%s%s%s"
	    "\r\n", proof, name != NULL ? "Sec-WebSocket-Protocol: " : "",
	    name != NULL ? name : "", name != NULL ? "\r\n" : "");
}

/* see ws.h */
size_t
ws_answer(char out[WS_ANSWER_MAX], const struct ws_head *h, int status,
    const char *reason)
{
	const struct status *a = statuses;
	size_t length;
	int n = 0;

	while (a->status != status && a->status != 400)
		a++;
	/* The longest head, of 426, has 191 bytes: 192 + 256 < 512. */
	while (n < 256 && reason[n] != '\0')
		n++;
	length = (size_t)snprintf(out, WS_ANSWER_MAX,
	    "HTTP/1.1 %d %s\r\n"
	    "%s"
	    "Connection: close\r\n"
	    "Content-Type: text/plain\r\n"
	    "Content-Length: %d\r\n"
	    "\r\n"
	    "%.*s\n", a->status, a->phrase, a->fields, n + 1, n, reason);
	/* RFC 9110 section 9.3.2: the same head, and no body. */
	return h != NULL && h->method == HEAD ? length - (size_t)n - 1 : length;
}
