/* wshub: ISC licence, see LICENSE. */
/*
 * RFC 8259: finds where a JSON text ends, and takes it apart.
 *
 * Nothing is turned into a tree. ws_json_scan is the only judge: it reads
 * each byte once, in pieces cut anywhere, and what it remembers between two
 * bytes is the state, a bit for each open container, how far it is inside an
 * escape or a literal, and inside a character. The other functions walk text
 * that it has found whole; they rely on that and check nothing twice. So a
 * quote always has its partner, and a backslash something behind it, before
 * the text is over: they need no bound to stop at.
 *
 * The states up to NEXT stand between tokens, where white space is allowed;
 * those from WHOLE on have ended. Leaving the switch takes the byte, unless
 * it was wrong. One that ends a number is not taken: it is looked at again in
 * the state after that, if there is one.
 *
 * The stack of containers is a shift register, the innermost in bit 0. That
 * is why WS_JSON_DEPTH is not more than nest has bits.
 */
#include <string.h>

#include "ws.h"

enum {
	VALUE,    /* a value must come: the start, after ':', after ',' */
	ITEM,     /* after '[': a value or ']' */
	MEMBER,   /* after '{': a name or '}' */
	NAME,     /* after ',' in an object: a name */
	COLON,    /* after a name */
	NEXT,     /* after a value in a container: ',' or the end */
	STRING,
	ESCAPE,   /* after a backslash */
	HEX,      /* after "\u": j->hex digits must come */
	LITERAL,  /* literals[j->hex] must come */
	ZERO,     /* a number may end here, as in the next three */
	DIGITS,   /* after a digit that is not a leading zero */
	FRACTION,
	EXPONENT,
	MINUS,    /* a digit must come, as in POINT and SIGN */
	POINT,
	E,        /* after 'e': a digit or a sign must come */
	SIGN,
	KEY = 32, /* beside STRING, ESCAPE and HEX: of a member's name */
	WHOLE = 64,
	BROKEN
};

/* What is wrong with a byte that cannot come; elsewhere it depends. */
static const char *const reason[] = {
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

/* One after the other; a NUL ends each. */
static const char literals[] = "true\0false\0null";
enum { TRUE = 0, FALSE = 5, NUL = 11 };

/* RFC 8259 section 7: what may follow a backslash, but for 'u'. */
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
 * The index, from i on, of the first byte that is not plain: a quote, a
 * backslash, a control character or not ASCII; or len.
 *
 * A word at a time: with all its bytes below 0x80, subtracting n from each
 * sets the top bit of the lowest one that is less than n, and of none if
 * there is none. Which byte it was, the loop behind finds on any byte order.
 */
static size_t
plain(const char *s, size_t i, size_t len)
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
 * The index, from i on, of the first byte that is not a string's text: a
 * quote, a backslash, a control character or not UTF-8; or len.
 */
static size_t
inside(struct ws_utf8 *u, const char *s, size_t i, size_t len)
{
	while (i < len) {
		if (u->left == 0 && (s[i] & 0x80) == 0) {
			i = plain(s, i, len);
			if (i == len || (s[i] & 0x80) == 0)
				break;
		}
		if (ws_utf8_byte(u, (unsigned char)s[i]) != 0)
			break;
		i++;
	}
	return i;
}

/* The state after a value. */
static unsigned
ended(const struct ws_json *j)
{
	return j->depth != 0 ? NEXT : WHOLE;
}

static unsigned
closed(struct ws_json *j)
{
	j->depth--;
	j->nest >>= 1;
	return ended(j);
}

static unsigned
opened(struct ws_json *j, int object)
{
	if (j->depth == WS_JSON_DEPTH) {
		j->reason = "nested deeper than 64";
		return BROKEN;
	}
	j->depth++;
	j->nest = j->nest << 1 | (unsigned)object;
	return object ? MEMBER : ITEM;
}

static unsigned
literal(struct ws_json *j, unsigned char which)
{
	j->hex = (unsigned char)(which + 1);
	return LITERAL;
}

/* The state after the first byte of a value, section 3. */
static unsigned
begun(struct ws_json *j, int c)
{
	switch (c) {
	case '"':
		return STRING;
	case '{':
	case '[':
		return opened(j, c == '{');
	case '-':
		return MINUS;
	case '0':
		return ZERO;
	case 't':
		return literal(j, TRUE);
	case 'f':
		return literal(j, FALSE);
	case 'n':
		return literal(j, NUL);
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
				state = closed(j);
				break;
			}
			/* FALLTHROUGH */
		case VALUE:
			state = begun(j, c);
			break;
		case MEMBER:
			if (c == '}') {
				state = closed(j);
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
				state = closed(j);
			else
				state = BROKEN;
			break;
		case STRING:
		case STRING | KEY:
			i = inside(&j->utf8, piece, i, len);
			if (i == len)
				continue;
			c = (unsigned char)piece[i];
			if (c >= 0x80 || j->utf8.left != 0) {
				j->reason = "not UTF-8";
				state = BROKEN;
			} else if (c == '"')
				state = state == STRING ? ended(j) : COLON;
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
				state = ended(j);
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
				state = ended(j);
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
				j->reason = reason[was & ~(unsigned)KEY];
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
 * From behind the opening quote to behind the closing one, which is the first
 * behind an even number of backslashes.
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

/* To behind a value of an object's member: something stands there. */
static const char *
skip_value(const char *p, const char *end)
{
	unsigned depth = 0;

	if (*p != '"' && *p != '{' && *p != '[') {
		while (*p != ',' && *p != '}' && !is_space(*p))
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

/* see ws.h */
int
ws_json_member(struct ws_text *rest, struct ws_text *name,
    struct ws_text *value)
{
	const char *p = skip_space(rest->s), *end = rest->s + rest->len;
	int more;

	/* At '{', or behind a value: ',' or '}'. */
	if (*p != '}')
		p = skip_space(p + 1);
	more = *p != '}';
	if (more) {
		name->s = p;
		p = skip_string(p + 1, end);
		name->len = (size_t)(p - name->s);
		p = skip_space(skip_space(p) + 1);
		value->s = p;
		p = skip_value(p, end);
		value->len = (size_t)(p - value->s);
	}
	rest->s = p;
	rest->len = (size_t)(end - p);
	return more;
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
 * The character that p, behind a backslash, stands for; *end is moved behind
 * it. What is no character, half of a surrogate pair, is returned as it is.
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
	/* As many ones as there are bytes, unless it is a single one. */
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

	if (*p == '"' && end[-1] == '"') { /* most often */
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
