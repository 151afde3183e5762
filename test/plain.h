/* wshub: ISC licence, see LICENSE. */
/*
 * The same answers as ws.c and json.c give, found the plain way: whole input
 * only, no state, no speed. Where both agree, both are probably right.
 */
#ifndef TEST_PLAIN_H
#define TEST_PLAIN_H

#include <stddef.h>
#include <stdint.h>

enum { PLAIN_WHOLE, PLAIN_MORE, PLAIN_WRONG };

/*
 * Reads one character of UTF-8: *n are its bytes, or, if it is wrong, those
 * before the wrong one. After each byte there is a range of code points that
 * it can still become: wrong is the byte that leaves none which is allowed.
 */
static inline int
plain_char(const unsigned char *s, size_t len, size_t *n)
{
	uint32_t low, high, least;
	unsigned more, i;

	*n = 0;
	if (len == 0)
		return PLAIN_MORE;
	more = s[0] < 0x80 ? 0 : s[0] < 0xc0 ? 9 : s[0] < 0xe0 ? 1 :
	    s[0] < 0xf0 ? 2 : s[0] < 0xf8 ? 3 : 9;
	if (more == 9)
		return PLAIN_WRONG;
	low = more == 0 ? s[0] : s[0] & (0x3fu >> more);
	least = more == 0 ? 0 : more == 1 ? 0x80 : more == 2 ? 0x800 : 0x10000;
	for (i = 0;; i++) {
		high = (low + 1) << 6 * (more - i);
		high--;
		if (high < least || low << 6 * (more - i) > 0x10ffff ||
		    (low << 6 * (more - i) >= 0xd800 && high <= 0xdfff))
			return PLAIN_WRONG;
		++*n;
		if (i == more)
			return PLAIN_WHOLE;
		if (*n == len)
			return PLAIN_MORE;
		if (s[*n] >> 6 != 2)
			return PLAIN_WRONG;
		low = low << 6 | (s[*n] & 0x3f);
	}
}

/* A text of UTF-8; *at is the index of the wrong byte, or len. */
static inline int
plain_utf8(const unsigned char *s, size_t len, size_t *at)
{
	size_t n;
	int r;

	for (*at = 0; *at < len;) {
		r = plain_char(s + *at, len - *at, &n);
		*at += n;
		if (r != PLAIN_WHOLE)
			return r;
	}
	return PLAIN_WHOLE;
}

/* A JSON text, by descent. i is how far it got: after WRONG, the wrong byte. */
struct plain_json {
	const unsigned char *s;
	size_t len, i;
	unsigned depth;
	int number; /* it ended, or ends, with one */
};

static inline int plain_value(struct plain_json *p);

static inline void
plain_space(struct plain_json *p)
{
	while (p->i < p->len && (p->s[p->i] == ' ' || p->s[p->i] == '\t' ||
	    p->s[p->i] == '\n' || p->s[p->i] == '\r'))
		p->i++;
}

static inline int
plain_digits(struct plain_json *p)
{
	if (p->i == p->len)
		return PLAIN_MORE;
	if (p->s[p->i] < '0' || p->s[p->i] > '9')
		return PLAIN_WRONG;
	while (p->i < p->len && p->s[p->i] >= '0' && p->s[p->i] <= '9')
		p->i++;
	return PLAIN_WHOLE;
}

static inline int
plain_number(struct plain_json *p)
{
	int r;

	p->number = 0;
	if (p->s[p->i] == '-')
		p->i++;
	if (p->i < p->len && p->s[p->i] == '0')
		p->i++;
	else if ((r = plain_digits(p)) != PLAIN_WHOLE)
		return r;
	if (p->i < p->len && p->s[p->i] == '.') {
		p->i++;
		if ((r = plain_digits(p)) != PLAIN_WHOLE)
			return r;
	}
	if (p->i < p->len && (p->s[p->i] | 0x20) == 'e') {
		p->i++;
		if (p->i < p->len && (p->s[p->i] == '+' || p->s[p->i] == '-'))
			p->i++;
		if ((r = plain_digits(p)) != PLAIN_WHOLE)
			return r;
	}
	p->number = 1;
	return PLAIN_WHOLE;
}

static inline int
plain_is_hex(int c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' &&
	    (c | 0x20) <= 'f');
}

static inline int
plain_string(struct plain_json *p)
{
	size_t n;
	int c, r, k;

	for (p->i++; p->i < p->len;) {
		c = p->s[p->i];
		if (c == '"') {
			p->i++;
			return PLAIN_WHOLE;
		}
		if (c < 0x20)
			return PLAIN_WRONG;
		if (c != '\\') {
			r = plain_char(p->s + p->i, p->len - p->i, &n);
			p->i += n;
			if (r != PLAIN_WHOLE)
				return r;
			continue;
		}
		if (++p->i == p->len)
			return PLAIN_MORE;
		c = p->s[p->i];
		if (c != '"' && c != '\\' && c != '/' && c != 'b' && c != 'f' &&
		    c != 'n' && c != 'r' && c != 't' && c != 'u')
			return PLAIN_WRONG;
		p->i++;
		for (k = 0; c == 'u' && k < 4; k++, p->i++) {
			if (p->i == p->len)
				return PLAIN_MORE;
			if (!plain_is_hex(p->s[p->i]))
				return PLAIN_WRONG;
		}
	}
	return PLAIN_MORE;
}

static inline int
plain_container(struct plain_json *p, int object)
{
	int end = object ? '}' : ']', r, items;

	if (p->depth == 64)
		return PLAIN_WRONG;
	p->depth++;
	p->i++;
	for (items = 0;; items++) {
		plain_space(p);
		if (p->i == p->len)
			return PLAIN_MORE;
		if (p->s[p->i] == end && items == 0)
			break;
		if (object) {
			if (p->s[p->i] != '"')
				return PLAIN_WRONG;
			if ((r = plain_string(p)) != PLAIN_WHOLE)
				return r;
			plain_space(p);
			if (p->i == p->len)
				return PLAIN_MORE;
			if (p->s[p->i++] != ':') {
				p->i--;
				return PLAIN_WRONG;
			}
		}
		if ((r = plain_value(p)) != PLAIN_WHOLE)
			return r;
		plain_space(p);
		if (p->i == p->len)
			return PLAIN_MORE;
		if (p->s[p->i] == end)
			break;
		if (p->s[p->i] != ',')
			return PLAIN_WRONG;
		p->i++;
	}
	p->i++;
	p->depth--;
	p->number = 0;
	return PLAIN_WHOLE;
}

/* White space, and a value. */
static inline int
plain_value(struct plain_json *p)
{
	static const char *const words[] = { "true", "false", "null" };
	const char *w;
	int i, c;

	plain_space(p);
	p->number = 0;
	if (p->i == p->len)
		return PLAIN_MORE;
	c = p->s[p->i];
	if (c == '"')
		return plain_string(p);
	if (c == '{' || c == '[')
		return plain_container(p, c == '{');
	if (c == '-' || (c >= '0' && c <= '9'))
		return plain_number(p);
	for (i = 0; i < 3; i++)
		if (c == words[i][0]) {
			for (w = words[i]; *w != '\0'; w++, p->i++) {
				if (p->i == p->len)
					return PLAIN_MORE;
				if (p->s[p->i] != (unsigned char)*w)
					return PLAIN_WRONG;
			}
			return PLAIN_WHOLE;
		}
	return PLAIN_WRONG;
}

#endif
