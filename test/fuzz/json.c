/* wshub: ISC licence, see LICENSE. */
/*
 * JSON: the same is found however a text is cut up, and by descent; what has
 * been found whole can be taken apart and put together. The first byte of the
 * input says where to cut.
 */
#include "../../ws.h"
#include "../plain.h"
#include "fuzz.h"

/* Scans in pieces of up to most bytes; returns where the text ended. */
static ssize_t
scan(struct ws_json *j, const uint8_t *data, size_t len, unsigned most,
    uint32_t seed)
{
	size_t at, n;
	ssize_t r = WS_MORE;
	char *piece;

	memset(j, 0, sizeof *j);
	for (at = 0; at < len && r == WS_MORE; at += n) {
		n = 1 + (most > 1 ? fuzz_dice(&seed, most) : 0);
		if (n > len - at)
			n = len - at;
		piece = fuzz_copy(data + at, n);
		r = ws_json_scan(j, piece, n);
		free(piece);
		if (r >= 0)
			return (ssize_t)at + r;
	}
	return r;
}

static void
walk(struct ws_text object)
{
	char out[64];
	struct ws_text name, value;
	ssize_t n;
	size_t cap, i;
	int members = 0;

	while (ws_json_member(&object, &name, &value)) {
		MUST(++members < 100000, "no end of members");
		MUST(name.len >= 2 && name.s[0] == '"' && name.s[name.len - 1]
		    == '"' && value.len > 0, "a member without a name");
		for (i = 0; i < 2; i++) {
			n = ws_json_string(out, sizeof out, i ? value : name);
			MUST(n >= WS_BAD && n <= (ssize_t)sizeof out, "%zd", n);
			if (n < 0)
				continue;
			for (cap = 0; cap < (size_t)n; cap++)
				MUST(ws_json_string(out, cap, i ? value : name)
				    == WS_BAD, "%zd bytes in %zu", n, cap);
			MUST(plain_utf8((unsigned char *)out, (size_t)n, &cap)
			    == PLAIN_WHOLE, "a string that is not UTF-8");
		}
	}
}

int
fuzz_json(const uint8_t *data, size_t len)
{
	struct ws_json whole, bytes, some;
	struct plain_json p;
	struct ws_text value;
	char *text, *out;
	size_t n, from;
	ssize_t r;
	unsigned first;
	int plain;

	if (len < 1)
		return 0;
	first = *data++;
	len--;
	r = scan(&whole, data, len, (unsigned)len + 1, 7);
	text = fuzz_copy(data, len);
	memset(&whole, 0, sizeof whole);
	r = ws_json_scan(&whole, text, len);
	MUST(scan(&bytes, data, len, 1, 0) == r, "other in bytes");
	MUST(scan(&some, data, len, first % 32 + 2, first) == r,
	    "other in pieces");
	if (r != WS_MORE)
		MUST(whole.offset == bytes.offset && whole.offset ==
		    some.offset && whole.reason == bytes.reason &&
		    whole.reason ==
		    some.reason, "%zu %s, %zu %s, %zu %s", whole.offset,
		    whole.reason, bytes.offset, bytes.reason, some.offset,
		    some.reason);

	memset(&p, 0, sizeof p);
	p.s = data;
	p.len = len;
	plain = plain_value(&p);
	if (plain == PLAIN_WHOLE && p.number && p.depth == 0 && p.i == len) {
		MUST(r == WS_MORE && ws_json_whole(&whole),
		    "a number at the end: %zd", r);
		r = (ssize_t)len;
	} else {
		MUST(r == (plain == PLAIN_MORE ? WS_MORE : plain ==
		    PLAIN_WRONG ? WS_BAD : (ssize_t)p.i), "%zd, and by "
		    "descent: %d at %zu", r, plain, p.i);
		if (r == WS_MORE)
			MUST(!ws_json_whole(&whole), "whole too early");
		if (r == WS_BAD)
			MUST(whole.offset == p.i, "byte %zu is wrong, by "
			    "descent: %zu", whole.offset, p.i);
	}
	if (r < 0) {
		free(text);
		return 0;
	}

	for (from = 0; memchr(" \t\r\n", text[from], 4) != NULL; from++)
		;
	value.s = fuzz_copy(text + from, (size_t)r - from);
	value.len = (size_t)r - from;
	out = malloc(value.len + 1);
	MUST(out != NULL, "no memory");
	n = ws_json_compact(out, value);
	MUST(n > 0 && n <= value.len, "%zu of %zu", n, value.len);
	memset(&some, 0, sizeof some);
	r = ws_json_scan(&some, out, n);
	MUST(r == (ssize_t)n || ws_json_whole(&some), "compacted: %zd", r);
	if (value.s[0] == '{')
		walk(value);
	/* In place, and once more. */
	from = ws_json_compact((char *)(uintptr_t)value.s, value);
	MUST(from == n && memcmp(value.s, out, n) == 0, "other in place");
	value.len = n;
	MUST(ws_json_compact(out, value) == n, "compacted twice");
	free((char *)(uintptr_t)value.s);
	free(out);
	free(text);
	return 0;
}
