/* wshub: ISC licence, see LICENSE. */
/*
 * RFC 8259: finds the end of a JSON text, and reads its members and strings.
 *
 * No tree is built. Only ws_json_scan checks the text: it reads each byte once,
 * in pieces of any size. Its state is the position in the grammar, a bit for
 * each open array or object, the position inside an escape or a literal, and
 * the position inside a UTF-8 character. The other functions require a text
 * that it has accepted, and check nothing again. In such a text every quote is
 * closed, and a byte follows every backslash, so they do not check for the end.
 *
 * In the states up to NEXT, which are between tokens, white space is allowed.
 * The states from WHOLE on are final. A byte that leaves the switch is taken,
 * unless it is invalid. The byte that ends a number is not taken, but handled
 * again in the next state.
 *
 * The stack of open arrays and objects is a shift register, with the innermost
 * in bit 0. So WS_JSON_DEPTH is the number of bits in nest.
 */
#include <string.h>

#include "ws.h"

enum {
	VALUE,    /* at the start, after ':' and ',': a value must follow */
	ITEM,     /* after '[': a value or ']' */
	MEMBER,   /* after '{': a name or '}' */
	NAME,     /* after ',' in an object: a name */
	COLON,    /* after a name */
	NEXT,     /* after a value in an array or object: ',' or its end */
	STRING,
	ESCAPE,   /* after a backslash */
	HEX,      /* after "\u": j->hex digits must follow */
	LITERAL,  /* literals[j->hex] must follow */
	ZERO,     /* after a leading 0; a number may end in these 4 states */
	DIGITS,   /* after a digit that is not a leading zero */
	FRACTION,
	EXPONENT,
	MINUS,    /* a digit must follow, as in POINT and SIGN */
	POINT,
	E,        /* after 'e': a digit or a sign must follow */
	SIGN,
	KEY = 32, /* with STRING, ESCAPE and HEX: in a member's name */
	WHOLE = 64,
	BROKEN
};

/* The error message for an invalid byte in a state, unless one is set. */
static const char *const messages[] = {
	[VALUE] = "not a value",
	[ITEM] = "not a value",
	[MEMBER] = "not a name in quotes",
	[NAME] = "not a name in quotes",
	[COLON] = "no colon after a name",
	[NEXT] = "neither comma nor end after a value",
	[STRING] = "control character in a string",
	[ESCAPE] = "unknown escape",
	[HEX] = "not four digits after \\u",
	[LITERAL] = "not a value",
	[MINUS] = "no digit in a number",
	[POINT] = "no digit in a number",
	[E] = "no digit in a number",
	[SIGN] = "no digit in a number"
};

/* The three literals, each with a NUL, and where they begin. */
static const char literals[] = "true\0false\0null";
enum { TRUE = 0, FALSE = 5, NUL = 11 };

/* The characters allowed after a backslash, except 'u': RFC 8259 section 7. */
static const char escapes[8] = "\"\\/bfnrt";
static const char escaped[8] = "\"\\/\b\f\n\r\t";

static int
is_space(int c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static int
is_digit(int c)
{
	return c >= '0' && c <= '9';
}

/* The value of a hexadecimal digit, or -1. */
static int
hex_digit(int c)
{
	if (is_digit(c))
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/*
 * The index, from i on, of the first byte that is a quote, a backslash, a
 * control character or not ASCII; or len.
 *
 * The first loop tests a word at a time. If all its bytes are below 0x80,
 * subtracting n from each sets the top bit of the lowest byte that is less than
 * n, and no top bit if there is no such byte. The second loop finds the byte,
 * with either byte order.
 */
static size_t
skip_plain(const char *s, size_t i, size_t len)
{
	const size_t ones = (size_t)-1 / 255;
	size_t w;
	int c;

	while (len - i >= sizeof(w)) {
		memcpy(&w, s + i, sizeof(w));
		if (((w | (w - ones * 0x20) | ((w ^ ones * '"') - ones) |
		    ((w ^ ones * '\\') - ones)) & ones * 0x80) != 0)
			break;
		i += sizeof(w);
	}
	for (; i < len; i++) {
		c = (unsigned char)s[i];
		if (c < 0x20 || c >= 0x80 || c == '"' || c == '\\')
			break;
	}
	return i;
}

/*
 * The index, from i on, of the first byte that is a quote, a backslash, a
 * control character or not UTF-8; or len.
 */
static size_t
skip_text(struct ws_utf8 *u, const char *s, size_t i, size_t len)
{
	while (i < len) {
		if (u->left == 0 && (s[i] & 0x80) == 0) {
			i = skip_plain(s, i, len);
			if (i == len || (s[i] & 0x80) == 0)
				break;
		}
		if (ws_utf8_byte(u, (unsigned char)s[i]) != 0)
			break;
		i++;
	}
	return i;
}

/* These return the next state: after a value, ... */
static unsigned
end_value(const struct ws_json *j)
{
	return j->depth != 0 ? NEXT : WHOLE;
}

/* ... after the end of an array or object, ... */
static unsigned
end_container(struct ws_json *j)
{
	j->depth--;
	j->nest >>= 1;
	return end_value(j);
}

/* ... after its beginning, ... */
static unsigned
begin_container(struct ws_json *j, int object)
{
	if (j->depth == WS_JSON_DEPTH) {
		j->reason = "nested deeper than 64";
		return BROKEN;
	}
	if (++j->depth > j->deepest)
		j->deepest = j->depth;
	j->nest = j->nest << 1 | (unsigned)object;
	return object ? MEMBER : ITEM;
}

/* ... after the first letter of a literal, ... */
static unsigned
begin_literal(struct ws_json *j, unsigned char which)
{
	j->hex = (unsigned char)(which + 1);
	return LITERAL;
}

/* ... after the first byte of any value, section 3. */
static unsigned
begin_value(struct ws_json *j, int c)
{
	switch (c) {
	case '"':
		return STRING;
	case '{':
	case '[':
		return begin_container(j, c == '{');
	case '-':
		return MINUS;
	case '0':
		return ZERO;
	case 't':
		return begin_literal(j, TRUE);
	case 'f':
		return begin_literal(j, FALSE);
	case 'n':
		return begin_literal(j, NUL);
	default:
		return is_digit(c) ? DIGITS : BROKEN;
	}
}

/* see ws.h */
ssize_t
ws_json_scan(struct ws_json *j, const char *piece, size_t len)
{
	unsigned state = j->state, was;
	size_t i = 0;
	int c;

	while (i < len && state < WHOLE) {
		c = (unsigned char)piece[i];
		if (c <= ' ' && state <= NEXT && is_space(c)) {
			i++;
			continue;
		}
		was = state;
		switch (state) {
		case ITEM:
			if (c == ']') {
				state = end_container(j);
				break;
			}
			/* FALLTHROUGH */
		case VALUE:
			state = begin_value(j, c);
			break;
		case MEMBER:
			if (c == '}') {
				state = end_container(j);
				break;
			}
			/* FALLTHROUGH */
		case NAME:
			state = c == '"' ? STRING | KEY : BROKEN;
			break;
		case COLON:
			state = c == ':' ? VALUE : BROKEN;
			break;
		case NEXT:
			if (c == ',')
				state = j->nest & 1 ? NAME : VALUE;
			else if (c == (j->nest & 1 ? '}' : ']'))
				state = end_container(j);
			else
				state = BROKEN;
			break;
		case STRING:
		case STRING | KEY:
			i = skip_text(&j->utf8, piece, i, len);
			if (i == len)
				continue;
			c = (unsigned char)piece[i];
			if (c >= 0x80 || j->utf8.left != 0) {
				j->reason = "not UTF-8";
				state = BROKEN;
			} else if (c == '"')
				state = state == STRING ? end_value(j) : COLON;
			else if (c == '\\')
				state ^= STRING ^ ESCAPE;
			else if (c < 0x20)
				state = BROKEN;
			break;
		case ESCAPE:
		case ESCAPE | KEY:
			j->hex = 4;
			if (c == 'u')
				state ^= ESCAPE ^ HEX;
			else if (memchr(escapes, c, sizeof(escapes)) != NULL)
				state ^= ESCAPE ^ STRING;
			else
				state = BROKEN;
			break;
		case HEX:
		case HEX | KEY:
			if (hex_digit(c) < 0)
				state = BROKEN;
			else if (--j->hex == 0)
				state ^= HEX ^ STRING;
			break;
		case LITERAL:
			if (c != literals[j->hex])
				state = BROKEN;
			else if (literals[++j->hex] == '\0')
				state = end_value(j);
			break;
		case DIGITS:
		case FRACTION:
		case EXPONENT:
			if (is_digit(c))
				break;
			/* FALLTHROUGH */
		case ZERO:
			if (c == '.' && state <= DIGITS)
				state = POINT;
			else if ((c | 0x20) == 'e' && state <= FRACTION)
				state = E;
			else {
				state = end_value(j);
				continue;
			}
			break;
		case E:
			if (c == '+' || c == '-') {
				state = SIGN;
				break;
			}
			/* FALLTHROUGH */
		default: /* MINUS, POINT, SIGN */
			if (!is_digit(c))
				state = BROKEN;
			else if (state == MINUS)
				state = c == '0' ? ZERO : DIGITS;
			else
				state = state == POINT ? FRACTION : EXPONENT;
		}
		if (state == BROKEN) {
			if (j->reason == NULL)
				j->reason = messages[was & ~(unsigned)KEY];
			break;
		}
		i++;
	}
	j->state = (unsigned char)state;
	j->offset += i;
	return state < WHOLE ? WS_MORE : state == WHOLE ? (ssize_t)i : WS_BAD;
}

/* see ws.h */
int
ws_json_whole(const struct ws_json *j)
{
	return j->state == WHOLE ||
	    (j->depth == 0 && j->state >= ZERO && j->state <= EXPONENT);
}

static const char *
skip_space(const char *p)
{
	while (is_space(*p))
		p++;
	return p;
}

/*
 * p is behind the opening quote. Returns the position behind the closing one,
 * which is the first quote that follows an even number of backslashes.
 */
static const char *
skip_string(const char *p, const char *end)
{
	const char *quote, *q;

	for (;; p = quote + 1) {
		quote = memchr(p, '"', (size_t)(end - p));
		for (q = quote; q > p && q[-1] == '\\'; q--)
			;
		if ((quote - q) % 2 == 0)
			return quote + 1;
	}
}

/* Returns the position behind a value in an object or array. */
static const char *
skip_value(const char *p, const char *end)
{
	unsigned depth = 0;

	if (*p != '"' && *p != '{' && *p != '[') {
		while (*p != ',' && *p != '}' && *p != ']' && !is_space(*p))
			p++;
		return p;
	}
	do {
		switch (*p++) {
		case '"':
			p = skip_string(p, end);
			break;
		case '{':
		case '[':
			depth++;
			break;
		case '}':
		case ']':
			depth--;
			break;
		}
	} while (depth != 0);
	return p;
}

/*
 * The next member or element of an object or array that ends with close: 1, or
 * 0 if there is none. name is NULL for an array.
 */
static int
next_value(struct ws_text *rest, char close, struct ws_text *name,
    struct ws_text *value)
{
	const char *p = skip_space(rest->s), *end = rest->s + rest->len;
	int more;

	/* p is at '{' or '[' or, after a value, at ',' or close. */
	if (*p != close)
		p = skip_space(p + 1);
	more = *p != close;
	if (more && name != NULL) {
		name->s = p;
		p = skip_string(p + 1, end);
		name->len = (size_t)(p - name->s);
		p = skip_space(skip_space(p) + 1);
	}
	if (more) {
		value->s = p;
		p = skip_value(p, end);
		value->len = (size_t)(p - value->s);
	}
	rest->s = p;
	rest->len = (size_t)(end - p);
	return more;
}

/* see ws.h */
int
ws_json_member(struct ws_text *rest, struct ws_text *name,
    struct ws_text *value)
{
	return next_value(rest, '}', name, value);
}

/* see ws.h */
int
ws_json_element(struct ws_text *rest, struct ws_text *value)
{
	return next_value(rest, ']', NULL, value);
}

static uint32_t
hex4(const char *p)
{
	uint32_t v = 0;
	int i;

	for (i = 0; i < 4; i++)
		v = v << 4 | (uint32_t)hex_digit(p[i]);
	return v;
}

/*
 * Decodes the escape at p, which is behind the backslash. *end becomes the
 * position behind it. Half of a surrogate pair is returned as it is.
 */
static uint32_t
unescape(const char *p, const char **end)
{
	uint32_t high, low;

	if (*p != 'u') {
		*end = p + 1;
		p = memchr(escapes, *p, sizeof(escapes));
		return (uint32_t)escaped[p - escapes];
	}
	*end = p + 5;
	high = hex4(p + 1);
	if (high < 0xd800 || high > 0xdbff || p[5] != '\\' || p[6] != 'u')
		return high;
	low = hex4(p + 7);
	if (low < 0xdc00 || low > 0xdfff)
		return high;
	*end = p + 11;
	return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
}

/* Encodes a character (RFC 3629 section 3); returns its length. */
static size_t
utf8_encode(char out[4], uint32_t c)
{
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	size_t i;

	for (i = n - 1; i > 0; i--) {
		out[i] = (char)(0x80 | (c & 0x3f));
		c >>= 6;
	}
	/* The first of several bytes begins with as many 1 bits, and a 0. */
	out[0] = (char)(n == 1 ? c : (0xf00 >> n & 0xff) | c);
	return n;
}

/* see ws.h */
ssize_t
ws_json_string(char *out, size_t cap, struct ws_text value)
{
	const char *p, *end, *from;
	char utf8[4];
	uint32_t c;
	size_t n = 0, run;

	if (value.len < 2 || value.s[0] != '"')
		return WS_BAD;
	p = value.s + 1;
	end = value.s + value.len - 1;
	while (p < end) {
		from = p;
		if (*p == '\\') {
			c = unescape(p + 1, &p);
			if (c >= 0xd800 && c <= 0xdfff)
				return WS_BAD;
			run = utf8_encode(utf8, c);
			from = utf8;
		} else {
			p = memchr(from, '\\', (size_t)(end - from));
			if (p == NULL)
				p = end;
			run = (size_t)(p - from);
		}
		if (run > cap - n)
			return WS_BAD;
		memmove(out + n, from, run);
		n += run;
	}
	return (ssize_t)n;
}

/* see ws.h */
size_t
ws_json_compact(char *out, struct ws_text value)
{
	const char *p = value.s, *end = p + value.len, *from;
	size_t n = 0;

	if (*p == '"' && end[-1] == '"') { /* the fast path: a string */
		memmove(out, p, value.len);
		return value.len;
	}
	while (p < end) {
		if (is_space(*p)) {
			p++;
			continue;
		}
		from = p;
		while (p < end && !is_space(*p))
			p = *p == '"' ? skip_string(p + 1, end) : p + 1;
		memmove(out + n, from, (size_t)(p - from));
		n += (size_t)(p - from);
	}
	return n;
}

/* see ws.h */
size_t
ws_json_quote(char *out, struct ws_text text)
{
	static const char digits[] = "0123456789abcdef";
	size_t i, n = 0;
	unsigned char c;

	out[n++] = '"';
	for (i = 0; i < text.len; i++) {
		c = (unsigned char)text.s[i];
		if (c < ' ') {
			memcpy(out + n, "\\u00", 4);
			n += 4;
			out[n++] = digits[c >> 4];
			out[n++] = digits[c & 15];
			continue;
		}
		if (c == '"' || c == '\\')
			out[n++] = '\\';
		out[n++] = (char)c;
	}
	out[n++] = '"';
	return n;
}
