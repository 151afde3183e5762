/* wshub: ISC licence, see LICENSE. */
/*
 * Tests of json.c: texts with their exact ends and offsets, each whole, at
 * every split and byte by byte before an unmapped page; every byte after many
 * prefixes; and random texts against a recogniser written another way.
 */
#define _GNU_SOURCE /* MAP_ANONYMOUS */

#include "../json.c"
#include "test.h"

#define TEXT(s) { (s), sizeof(s) - 1 }

/* What a scan comes to: WS_MORE, WS_BAD or 0, and where. */
struct verdict {
	int is;
	int whole;
	size_t at;
};

/* Feeds one piece, ending at the wall; 1 once there is a verdict. */
static int
feed(struct ws_json *j, struct verdict *v, const char *s, size_t len)
{
	ssize_t n;

	n = ws_json_scan(j, test_place(s, len), len);
	v->whole = ws_json_whole(j);
	v->is = n >= 0 ? 0 : (int)n;
	if (n == WS_BAD)
		v->at = j->offset;
	else
		v->at += n >= 0 ? (size_t)n : len;
	if (n != WS_BAD && v->at != j->offset)
		v->is = -100;
	return n != WS_MORE;
}

/* Scans s in pieces that end at a, at b and at len. */
static struct verdict
scan(const char *s, size_t a, size_t b, size_t len)
{
	struct ws_json j;
	struct verdict v;
	ssize_t n;

	memset(&j, 0, sizeof(j));
	memset(&v, 0, sizeof(v));
	if (feed(&j, &v, s, a) || feed(&j, &v, s + a, b - a) ||
	    feed(&j, &v, s + b, len - b)) {
		/* It is done, whatever comes. */
		n = ws_json_scan(&j, " ", 1);
		if (n != v.is || j.offset != v.at ||
		    (j.reason != NULL) != (v.is == WS_BAD))
			v.is = -101;
	}
	return v;
}

static struct verdict
scan_bytes(const char *s, size_t len)
{
	struct ws_json j;
	struct verdict v;
	size_t i;

	memset(&j, 0, sizeof(j));
	memset(&v, 0, sizeof(v));
	v.is = WS_MORE;
	for (i = 0; i < len; i++)
		if (feed(&j, &v, s + i, 1))
			break;
	return v;
}

/* Bytes that print, for messages. */
static const char *
show(const char *s, size_t len)
{
	static char out[400];
	size_t n = 0, i;

	for (i = 0; i < len && n < sizeof(out) - 8; i++) {
		if (s[i] >= ' ' && s[i] <= '~')
			out[n++] = s[i];
		else
			n += (size_t)sprintf(out + n, "<%02x>", s[i] & 0xff);
	}
	out[n] = '\0';
	return out;
}

static void
same(const char *how, size_t split, const char *s, size_t len,
    struct verdict got, struct verdict want)
{
	EXPECT(got.is == want.is && got.at == want.at &&
	    got.whole == want.whole,
	    "%s (%zu) `%s`: %d at %zu whole %d, not %d at %zu whole %d", how,
	    split, show(s, len), got.is, got.at, got.whole, want.is, want.at,
	    want.whole);
}

static void
check(const char *s, size_t len, struct verdict want)
{
	size_t i;

	same("in one", len, s, len, scan(s, len, len, len), want);
	same("byte by byte", 1, s, len, scan_bytes(s, len), want);
	for (i = 0; i < len; i++) {
		same("split", i, s, len, scan(s, i, i, len), want);
		same("three", i, s, len, scan(s, i, i + 1, len), want);
	}
}

/* ---- a recogniser that recurses, and has the grammar's shape */

static const unsigned char *ref_s;
static size_t ref_n, ref_i;

static int
ref_peek(void)
{
	return ref_i < ref_n ? ref_s[ref_i] : -1;
}

static int
ref_range(int lo, int hi)
{
	if (ref_peek() < lo || ref_peek() > hi)
		return 0;
	ref_i++;
	return 1;
}

static int
ref_word(const char *w)
{
	for (; *w != '\0'; w++)
		if (!ref_range(*w, *w))
			return 0;
	return 1;
}

static void
ref_space(void)
{
	while (ref_peek() > 0 && strchr(" \t\r\n", ref_peek()) != NULL)
		ref_i++;
}

/* RFC 3629 section 4, row by row. */
static int
ref_char(void)
{
	static const unsigned char rows[][5] = {
		{ 0x20, 0x7f, 0x00, 0x00, 0 }, { 0xc2, 0xdf, 0x80, 0xbf, 0 },
		{ 0xe0, 0xe0, 0xa0, 0xbf, 1 }, { 0xe1, 0xec, 0x80, 0xbf, 1 },
		{ 0xed, 0xed, 0x80, 0x9f, 1 }, { 0xee, 0xef, 0x80, 0xbf, 1 },
		{ 0xf0, 0xf0, 0x90, 0xbf, 2 }, { 0xf1, 0xf3, 0x80, 0xbf, 2 },
		{ 0xf4, 0xf4, 0x80, 0x8f, 2 }
	};
	size_t r;
	int k;

	for (r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
		if (!ref_range(rows[r][0], rows[r][1]))
			continue;
		if (rows[r][2] != 0 && !ref_range(rows[r][2], rows[r][3]))
			return 0;
		for (k = 0; k < rows[r][4]; k++)
			if (!ref_range(0x80, 0xbf))
				return 0;
		return 1;
	}
	return 0;
}

static int
ref_string(void)
{
	int k;

	if (!ref_range('"', '"'))
		return 0;
	while (!ref_range('"', '"')) {
		if (!ref_range('\\', '\\')) {
			if (!ref_char())
				return 0;
			continue;
		}
		if (ref_range('u', 'u')) {
			for (k = 0; k < 4; k++)
				if (!ref_range('0', '9') &&
				    !ref_range('a', 'f') &&
				    !ref_range('A', 'F'))
					return 0;
		} else if (ref_peek() > 0 &&
		    strchr("\"\\/bfnrt", ref_peek()) != NULL)
			ref_i++;
		else
			return 0;
	}
	return 1;
}

static int
ref_digits(void)
{
	if (!ref_range('0', '9'))
		return 0;
	while (ref_range('0', '9'))
		;
	return 1;
}

static int
ref_number(void)
{
	ref_range('-', '-');
	if (!ref_range('0', '0') && !ref_digits())
		return 0;
	if (ref_range('.', '.') && !ref_digits())
		return 0;
	if (ref_range('e', 'e') || ref_range('E', 'E')) {
		if (!ref_range('+', '+'))
			ref_range('-', '-');
		return ref_digits();
	}
	return 1;
}

static int
ref_value(int depth)
{
	int close;

	switch (ref_peek()) {
	case '"':
		return ref_string();
	case 't':
		return ref_word("true");
	case 'f':
		return ref_word("false");
	case 'n':
		return ref_word("null");
	case '[':
	case '{':
		break;
	default:
		return ref_number();
	}
	if (depth == 64)
		return 0;
	close = ref_peek() + 2;
	ref_i++;
	ref_space();
	if (ref_range(close, close))
		return 1;
	for (;;) {
		ref_space();
		if (close == '}') {
			if (!ref_string())
				return 0;
			ref_space();
			if (!ref_range(':', ':'))
				return 0;
			ref_space();
		}
		if (!ref_value(depth + 1))
			return 0;
		ref_space();
		if (ref_range(close, close))
			return 1;
		if (!ref_range(',', ','))
			return 0;
	}
}

static struct verdict
reference(const char *s, size_t len)
{
	struct verdict v;
	int number;

	ref_s = (const unsigned char *)s;
	ref_n = len;
	ref_i = 0;
	ref_space();
	number = ref_peek() == '-' || (ref_peek() >= '0' && ref_peek() <= '9');
	v.whole = ref_value(0);
	v.at = ref_i;
	if (ref_i == ref_n && (number || !v.whole))
		v.is = WS_MORE;
	else
		v.is = v.whole ? 0 : WS_BAD;
	return v;
}

/* ---- lists */

static const struct ws_text good[] = {
	TEXT("null"), TEXT("true"), TEXT("false"), TEXT("\"\""), TEXT("{}"),
	TEXT("[]"), TEXT("\"a\""), TEXT(" \t\r\n[]"), TEXT("[ ]"),
	TEXT("{ }"), TEXT("[\n1\t,\r2 ]"), TEXT("{ \"a\" : 1 , \"b\" : 2 }"),
	TEXT("[0]"), TEXT("[-0]"), TEXT("[0.0]"), TEXT("[-0.0e-0]"),
	TEXT("[1e5]"), TEXT("[1E+5]"), TEXT("[0e1]"), TEXT("[0e+1]"),
	TEXT("[123.456e78]"), TEXT("[1.5E-2]"), TEXT("[-1]"),
	TEXT("[20e1,-10.25]"), TEXT("[0.00000000000000000000000000000000001]"),
	TEXT("[123456789012345678901234567890123456789012345678901234567890]"),
	TEXT("[1e99999999]"), TEXT("[true,false,null]"), TEXT("[[[]],{},[{}]]"),
	TEXT("{\"\":0}"), TEXT("{\"a\":{\"b\":{\"c\":[1,{\"d\":2}]}}}"),
	TEXT("{\"a\":1,\"a\":2}"), TEXT("{\"a\":[],\"b\":\"\"}"),
	TEXT("[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]"), TEXT("[\"\\u0000\\u00AF\"]"),
	TEXT("[\"\\uabcd\\uEF09\"]"), TEXT("[\"\\ud83d\\ude00\"]"),
	TEXT("[\"\\ud800\"]"), TEXT("[\"\\udc00\\ud800\"]"),
	TEXT("[\"\\ud800\\n\"]"), TEXT("{\"\\u0061\\\"\":1}"),
	TEXT("\"[{]},:\""), TEXT("\"// /* */ \x7f\""),
	TEXT("\"eight by8eight by8eight by8 seven!\\\"\""),
	TEXT("\"\xc2\x80\xdf\xbf\""), TEXT("\"\xe0\xa0\x80\xe0\xbf\xbf\""),
	TEXT("\"\xe1\x80\x80\xec\xbf\xbf\xee\x80\x80\xef\xbf\xbf\""),
	TEXT("\"\xed\x80\x80\xed\x9f\xbf\""), TEXT("\"\xef\xbb\xbf\""),
	TEXT("\"\xf0\x90\x80\x80\xf3\xbf\xbf\xbf\""),
	TEXT("\"\xf4\x80\x80\x80\xf4\x8f\xbf\xbf\""),
	TEXT("{\"\xe6\x97\xa5\":\"\xe6\x9c\xac\"}"),
};

static const struct ws_text numbers[] = {
	TEXT("0"), TEXT("-0"), TEXT("7"), TEXT("10"), TEXT("-12"), TEXT("0.5"),
	TEXT("12.50"), TEXT("1e1"), TEXT("1E1"), TEXT("0e0"), TEXT("1e+09"),
	TEXT("1.0E-10"), TEXT("  3"), TEXT("-123456789.123456789e+123456789")
};

static const struct {
	struct ws_text text;
	size_t at; /* the first byte that no text can have there */
} bad[] = {
	{ TEXT("{,}"), 1 }, { TEXT("[1,,3]"), 3 }, { TEXT("[,1]"), 1 },
	{ TEXT("[1,]"), 3 }, { TEXT("{\"a\":1,}"), 7 }, { TEXT("[1 2]"), 3 },
	{ TEXT("[1:2]"), 2 }, { TEXT("{\"a\" 1}"), 5 },
	{ TEXT("{\"a\",1}"), 4 },
	{ TEXT("{\"a\":}"), 5 }, { TEXT("{\"a\"}"), 4 }, { TEXT("{:1}"), 1 },
	{ TEXT("{1:1}"), 1 }, { TEXT("{a:1}"), 1 }, { TEXT("{'a':1}"), 1 },
	{ TEXT("{\"a\":1 \"b\":2}"), 7 }, { TEXT("{\"a\":1,,\"b\":2}"), 7 },
	{ TEXT("{\"a\"::1}"), 5 }, { TEXT("{[]:1}"), 1 }, { TEXT("{{}}"), 1 },
	{ TEXT("{\"a\":1]"), 6 }, { TEXT("[1}"), 2 }, { TEXT("[}"), 1 },
	{ TEXT("{]"), 1 }, { TEXT("[[]}"), 3 }, { TEXT("[{}}"), 3 },
	{ TEXT("{\"a\":[}"), 6 }, { TEXT("]"), 0 }, { TEXT("}"), 0 },
	{ TEXT(","), 0 }, { TEXT(":"), 0 }, { TEXT("'a'"), 0 },
	{ TEXT("  x"), 2 }, { TEXT("\f[]"), 0 }, { TEXT("\v1"), 0 },
	{ TEXT("\0"), 0 }, { TEXT("[\0]"), 1 }, { TEXT("[1\0]"), 2 },
	{ TEXT("\xef\xbb\xbf{}"), 0 }, { TEXT("[\xc2\xa0]"), 1 },
	{ TEXT("[\xe2\x81\xa0]"), 1 }, { TEXT("\x80"), 0 },
	{ TEXT("[01]"), 2 }, { TEXT("[-01]"), 3 }, { TEXT("[00]"), 2 },
	{ TEXT("[+1]"), 1 }, { TEXT("+1"), 0 }, { TEXT("[.5]"), 1 },
	{ TEXT("[1.]"), 3 }, { TEXT("1.}"), 2 }, { TEXT("[-.5]"), 2 },
	{ TEXT("[1.e1]"), 3 }, { TEXT("[1.2.3]"), 4 }, { TEXT("[1e]"), 3 },
	{ TEXT("[1e+]"), 4 }, { TEXT("[1e+-1]"), 4 }, { TEXT("[1e1.5]"), 4 },
	{ TEXT("[1e1e1]"), 4 }, { TEXT("[1.5e]"), 5 }, { TEXT("[--1]"), 2 },
	{ TEXT("[-]"), 2 }, { TEXT("- 1"), 1 }, { TEXT("-x"), 1 },
	{ TEXT("[1+2]"), 2 }, { TEXT("[1-2]"), 2 }, { TEXT("[0x1]"), 2 },
	{ TEXT("[1a]"), 2 }, { TEXT("[1_0]"), 2 }, { TEXT("[0.1.2]"), 4 },
	{ TEXT("[NaN]"), 1 }, { TEXT("[nan]"), 2 }, { TEXT("-Infinity"), 1 },
	{ TEXT("[Infinity]"), 1 }, { TEXT("[1 000]"), 3 }, { TEXT("[-a]"), 2 },
	{ TEXT("[\xef\xbc\x91]"), 1 }, { TEXT("[1\xd9\xa0]"), 2 },
	{ TEXT("True"), 0 }, { TEXT("trUe"), 2 }, { TEXT("tru "), 3 },
	{ TEXT("[tru]"), 4 }, { TEXT("[fals,1]"), 5 }, { TEXT("nulL"), 3 },
	{ TEXT("[nul\0]"), 4 }, { TEXT("[truee]"), 5 },
	{ TEXT("[nulltrue]"), 5 },
	{ TEXT("[null false]"), 6 }, { TEXT("t\0"), 1 }, { TEXT("fa\0"), 2 },
	{ TEXT("\"\0\""), 1 }, { TEXT("\"a\n\""), 2 }, { TEXT("\"\t\""), 1 },
	{ TEXT("\"\x1f\""), 1 }, { TEXT("{\"a\rb\":1}"), 3 },
	{ TEXT("\"1234567\x01\""), 8 }, { TEXT("\"12345678\x1f\""), 9 },
	{ TEXT("\"\\x00\""), 2 }, { TEXT("\"\\a\""), 2 },
	{ TEXT("\"\\0\""), 2 },
	{ TEXT("\"\\\0\""), 2 }, { TEXT("\"\\'\""), 2 }, { TEXT("\"\\ \""), 2 },
	{ TEXT("\"\\U0041\""), 2 }, { TEXT("\"\\\xc3\xa9\""), 2 },
	{ TEXT("\"\\\n\""), 2 }, { TEXT("\"\\v\""), 2 },
	{ TEXT("\"\\u\""), 3 }, { TEXT("\"\\u0\""), 4 },
	{ TEXT("\"\\u00\""), 5 },
	{ TEXT("\"\\u000\""), 6 }, { TEXT("\"\\u00g0\""), 5 },
	{ TEXT("\"\\u+123\""), 3 }, { TEXT("\"\\u 123\""), 3 },
	{ TEXT("\"\\ud800\\u\""), 9 }, { TEXT("\"\\u\xe1\""), 3 },
	{ TEXT("{\"\\u00/0\":1}"), 6 }, { TEXT("\"\\u00:0\""), 5 },
	{ TEXT("\"\\u00@0\""), 5 }, { TEXT("\"\\u00`0\""), 5 },
	{ TEXT("\"\\u00G0\""), 5 }, { TEXT("\"\\u00\0""0\""), 5 },
	{ TEXT("/"), 0 }, { TEXT("[/**/1]"), 1 }, { TEXT("[1//\n]"), 2 },
	{ TEXT("[#\n1]"), 1 }, { TEXT("[<null>]"), 1 }, { TEXT("[*]"), 1 },
	/* UTF-8 */
	{ TEXT("\"\x80\""), 1 }, { TEXT("\"\xbf\""), 1 },
	{ TEXT("\"\xc0\x80\""), 1 }, { TEXT("\"\xc1\xbf\""), 1 },
	{ TEXT("\"\xc2\""), 2 }, { TEXT("\"\xc2\x7f\""), 2 },
	{ TEXT("\"\xc2\xc0\""), 2 }, { TEXT("\"\xe0\x9f\x80\""), 2 },
	{ TEXT("\"\xe0\xa0\""), 3 }, { TEXT("\"\xe1\x80\xc0\""), 3 },
	{ TEXT("\"\xed\xa0\x80\""), 2 }, { TEXT("\"\xed\xbf\xbf\""), 2 },
	{ TEXT("\"\xf0\x8f\xbf\xbf\""), 2 }, { TEXT("\"\xf0\x90\x80\""), 4 },
	{ TEXT("\"\xf4\x90\x80\x80\""), 2 },
	{ TEXT("\"\xf5\x80\x80\x80\""), 1 },
	{ TEXT("\"\xff\""), 1 }, { TEXT("\"\xfe\""), 1 },
	{ TEXT("\"\xe6\x97\\n\""), 3 }, { TEXT("\"\xe6\n\""), 2 },
	{ TEXT("\"abcdefgh\xe9tat\""), 10 }, { TEXT("{\"\xe9\":1}"), 3 },
	{ TEXT("\"\xf8\x88\x80\x80\x80\""), 1 }
};

static const struct ws_text more[] = {
	TEXT(""), TEXT(" "), TEXT("\n\t\r "), TEXT("{"), TEXT("["), TEXT("[1"),
	TEXT("[1 "), TEXT("[1,"), TEXT("[[]"), TEXT("{\"a"), TEXT("{\"a\""),
	TEXT("{\"a\" "), TEXT("{\"a\":"), TEXT("{\"a\":1"), TEXT("{\"a\":1,"),
	TEXT("\""), TEXT("\"\\"), TEXT("\"\\u"), TEXT("\"\\u000"),
	TEXT("\"\\u0000"), TEXT("\"\xe6\x97"), TEXT("\"\xe6\x97\xa5"),
	TEXT("t"), TEXT("tru"), TEXT("fals"), TEXT("nul"), TEXT("-"),
	TEXT("1."), TEXT("1e"), TEXT("1e+"), TEXT("1.5E-"), TEXT("\"12345678"),
	TEXT("\"\\\"")
};

/* Texts with something behind them. */
static const struct {
	struct ws_text text;
	size_t at;
} ends[] = {
	{ TEXT("{}{}"), 2 }, { TEXT("{} "), 2 }, { TEXT("{}\n{"), 2 },
	{ TEXT("[]]"), 2 }, { TEXT("[]\0"), 2 }, { TEXT("\"a\"\"b\""), 3 },
	{ TEXT("truefalse"), 4 }, { TEXT("null\xff"), 4 }, { TEXT("true,"), 4 },
	{ TEXT("1{"), 1 }, { TEXT("01"), 1 }, { TEXT("-01"), 2 },
	{ TEXT("12 "), 2 }, { TEXT("1,"), 1 }, { TEXT("1]"), 1 },
	{ TEXT("1-"), 1 }, { TEXT("1.5.5"), 3 }, { TEXT("1e5e"), 3 },
	{ TEXT("1e5."), 3 }, { TEXT("1.5\xc3\xa9"), 3 }, { TEXT("0\0"), 1 },
	{ TEXT("0x1"), 1 }, { TEXT(" 1\n"), 2 }, { TEXT("0\""), 1 },
	{ TEXT("  \"\"x"), 4 }, { TEXT(" {\"a\":1}x"), 8 }
};

/*
 * All that may follow a prefix: single bytes, and ranges as "a-z" ('-' itself
 * comes first). No prefix is a whole text: then any byte may follow.
 */
#define SPACE " \t\r\n"
#define START "-0-9\"tfn[{"
#define HEXES "0-9a-fA-F"
#define CHARS " -\x7f\xc2-\xf4"
static const struct {
	struct ws_text prefix, set;
} follow[] = {
	{ TEXT(""), TEXT(START SPACE) },
	{ TEXT(" "), TEXT(START SPACE) },
	{ TEXT("["), TEXT(START SPACE "]") },
	{ TEXT("[ "), TEXT(START SPACE "]") },
	{ TEXT("[1"), TEXT(SPACE ",]0-9.eE") },
	{ TEXT("[0"), TEXT(SPACE ",].eE") },
	{ TEXT("[-"), TEXT("0-9") },
	{ TEXT("-"), TEXT("0-9") },
	{ TEXT("[-0"), TEXT(SPACE ",].eE") },
	{ TEXT("[1."), TEXT("0-9") },
	{ TEXT("1."), TEXT("0-9") },
	{ TEXT("[1.0"), TEXT(SPACE ",]0-9eE") },
	{ TEXT("[1e"), TEXT("-0-9+") },
	{ TEXT("[0.5E"), TEXT("-0-9+") },
	{ TEXT("[1e-"), TEXT("0-9") },
	{ TEXT("[1e0"), TEXT(SPACE ",]0-9") },
	{ TEXT("[1 "), TEXT(SPACE ",]") },
	{ TEXT("[1,"), TEXT(START SPACE) },
	{ TEXT("[[]"), TEXT(SPACE ",]") },
	{ TEXT("[{}"), TEXT(SPACE ",]") },
	{ TEXT("[\"\""), TEXT(SPACE ",]") },
	{ TEXT("[true"), TEXT(SPACE ",]") },
	{ TEXT("{"), TEXT(SPACE "\"}") },
	{ TEXT("{\""), TEXT(CHARS) },
	{ TEXT("{\"\""), TEXT(SPACE ":") },
	{ TEXT("{\"\" "), TEXT(SPACE ":") },
	{ TEXT("{\"\":"), TEXT(START SPACE) },
	{ TEXT("{\"\":1"), TEXT(SPACE ",}0-9.eE") },
	{ TEXT("{\"\":\"\""), TEXT(SPACE ",}") },
	{ TEXT("{\"\":[]"), TEXT(SPACE ",}") },
	{ TEXT("{\"\":null "), TEXT(SPACE ",}") },
	{ TEXT("{\"\":1,"), TEXT(SPACE "\"") },
	{ TEXT("{\"\\"), TEXT("\"\\/bfnrtu") },
	{ TEXT("{\"\\u00"), TEXT(HEXES) },
	{ TEXT("\""), TEXT(CHARS) },
	{ TEXT("\"a"), TEXT(CHARS) },
	{ TEXT("\"\\"), TEXT("\"\\/bfnrtu") },
	{ TEXT("\"\\n"), TEXT(CHARS) },
	{ TEXT("\"\\u"), TEXT(HEXES) },
	{ TEXT("\"\\u0"), TEXT(HEXES) },
	{ TEXT("\"\\u00"), TEXT(HEXES) },
	{ TEXT("\"\\u000"), TEXT(HEXES) },
	{ TEXT("\"\\u0000"), TEXT(CHARS) },
	{ TEXT("\"\xc2"), TEXT("\x80-\xbf") },
	{ TEXT("\"\xe0"), TEXT("\xa0-\xbf") },
	{ TEXT("\"\xe1"), TEXT("\x80-\xbf") },
	{ TEXT("\"\xed"), TEXT("\x80-\x9f") },
	{ TEXT("\"\xef"), TEXT("\x80-\xbf") },
	{ TEXT("\"\xf0"), TEXT("\x90-\xbf") },
	{ TEXT("\"\xf4"), TEXT("\x80-\x8f") },
	{ TEXT("\"\xf4\x80"), TEXT("\x80-\xbf") },
	{ TEXT("\"\xf4\x80\x80"), TEXT("\x80-\xbf") },
	{ TEXT("\"\xf4\x80\x80\x80"), TEXT(CHARS) },
	{ TEXT("t"), TEXT("r") }, { TEXT("tr"), TEXT("u") },
	{ TEXT("tru"), TEXT("e") }, { TEXT("f"), TEXT("a") },
	{ TEXT("fals"), TEXT("e") }, { TEXT("n"), TEXT("u") },
	{ TEXT("nu"), TEXT("l") }, { TEXT("nul"), TEXT("l") }
};

static int
in_set(struct ws_text set, int c)
{
	const unsigned char *s = (const unsigned char *)set.s;
	size_t i;

	for (i = 0; i < set.len; i++) {
		if (i + 2 < set.len && s[i + 1] == '-') {
			if (c >= s[i] && c <= s[i + 2])
				return 1;
			i += 2;
		} else if (s[i] == c)
			return 1;
	}
	return 0;
}

static struct verdict
verdict(int is, int whole, size_t at)
{
	struct verdict v;

	v.is = is;
	v.whole = whole;
	v.at = at;
	return v;
}

#define EACH(i, list) for (i = 0; i < sizeof(list) / sizeof((list)[0]); i++)

static void
test_scan(void)
{
	char s[64];
	size_t i, n;
	int c, yes;

	CASE("scan: texts that are whole");
	EACH(i, good)
		check(good[i].s, good[i].len, verdict(0, 1, good[i].len));
	CASE("scan: numbers, whole but open");
	EACH(i, numbers) {
		n = numbers[i].len;
		check(numbers[i].s, n, verdict(WS_MORE, 1, n));
		memcpy(s, numbers[i].s, n);
		s[n] = '\n';
		check(s, n + 1, verdict(0, 1, n));
	}
	CASE("scan: texts with something behind them");
	EACH(i, ends)
		check(ends[i].text.s, ends[i].text.len,
		    verdict(0, 1, ends[i].at));
	CASE("scan: texts that are not whole");
	EACH(i, more)
		check(more[i].s, more[i].len,
		    verdict(WS_MORE, 0, more[i].len));
	CASE("scan: what is no JSON, and where");
	EACH(i, bad)
		check(bad[i].text.s, bad[i].text.len,
		    verdict(WS_BAD, 0, bad[i].at));
	CASE("scan: the recogniser agrees with the lists");
	EACH(i, good)
		same("reference", 0, good[i].s, good[i].len,
		    reference(good[i].s, good[i].len),
		    verdict(0, 1, good[i].len));
	EACH(i, bad)
		same("reference", 0, bad[i].text.s, bad[i].text.len,
		    reference(bad[i].text.s, bad[i].text.len),
		    verdict(WS_BAD, 0, bad[i].at));
	CASE("scan: every byte after a prefix");
	EACH(i, follow) {
		n = follow[i].prefix.len;
		memcpy(s, follow[i].prefix.s, n);
		for (c = 0; c < 256; c++) {
			s[n] = (char)c;
			yes = scan(s, 0, n, n + 1).is != WS_BAD;
			EXPECT(yes == in_set(follow[i].set, c),
			    "`%s` %s", show(s, n + 1),
			    yes ? "taken" : "refused");
			same("against reference", n, s, n + 1,
			    scan(s, 0, n + 1, n + 1), reference(s, n + 1));
		}
	}
	CASE("scan: every byte at every place of a long string");
	for (i = 1; i < 40; i++)
		for (c = 0; c < 256; c++) {
			memset(s, 'x', 41);
			s[0] = s[40] = '"';
			s[i] = (char)c;
			same("byte", i, s, 41, scan(s, 0, 41, 41),
			    reference(s, 41));
		}
	CASE("scan: reasons");
	{
		static const char *const pairs[][2] = {
			{ "{,}", "not a name in quotes" },
			{ "{\"a\":1,}", "not a name in quotes" },
			{ "[,", "not a value" }, { "x", "not a value" },
			{ "trux", "not a value" },
			{ "{\"a\"x", "no colon after a name" },
			{ "[1x", "neither comma nor end after a value" },
			{ "\"\n", "control character in a string" },
			{ "{\"\n", "control character in a string" },
			{ "\"\xff", "not UTF-8" }, { "\"\xe6\n", "not UTF-8" },
			{ "\"\\x", "unknown escape" },
			{ "{\"\\ux", "not four digits after \\u" },
			{ "-x", "no digit in a number" },
			{ "1.x", "no digit in a number" },
			{ "1ex", "no digit in a number" },
			{ "1e+x", "no digit in a number" }
		};

		EACH(i, pairs) {
			struct ws_json j;
			ssize_t r;

			memset(&j, 0, sizeof(j));
			r = ws_json_scan(&j, pairs[i][0], strlen(pairs[i][0]));
			EXPECT(r == WS_BAD && strcmp(j.reason,
			    pairs[i][1]) == 0,
			    "`%s`: %d, \"%s\"", show(pairs[i][0],
			    strlen(pairs[i][0])), (int)r,
			    j.reason != NULL ? j.reason : "");
		}
	}
}

/* depth containers, opened by turns with a and b, then closed. */
static size_t
nested(char *s, int depth, const char *a, const char *b)
{
	size_t n = 0;
	int i;

	for (i = 0; i < depth; i++)
		n += (size_t)sprintf(s + n, "%s", i % 2 ? b : a);
	s[n++] = '1';
	while (i-- > 0)
		s[n++] = (i % 2 ? b : a)[0] == '[' ? ']' : '}';
	return n;
}

static void
test_depth(void)
{
	static const char *const with[][2] = {
		{ "[", "[" }, { "{\"\":", "{\"\":" }, { "[", "{\"\":" },
		{ "{\"\":", "[" }
	};
	static char s[1024];
	struct ws_json j;
	size_t i, n, at, k;

	CASE("depth: 64 levels and their ends");
	EACH(i, with) {
		n = nested(s, 64, with[i][0], with[i][1]);
		check(s, n, verdict(0, 1, n));
		/* The kind of each level is remembered. */
		for (k = n - 64; k < n; k++) {
			s[k] ^= ']' ^ '}';
			same("wrong end", k, s, n, scan(s, 0, n, n),
			    verdict(WS_BAD, 0, k));
			s[k] ^= ']' ^ '}';
		}
	}
	CASE("depth: the 65th is refused");
	EACH(i, with) {
		n = nested(s, 65, with[i][0], with[i][1]);
		at = 32 * (strlen(with[i][0]) + strlen(with[i][1]));
		check(s, n, verdict(WS_BAD, 0, at));
		memset(&j, 0, sizeof(j));
		ws_json_scan(&j, s, n);
		EXPECT(j.reason != NULL && strcmp(j.reason,
		    "nested deeper than 64") == 0, "why is \"%s\"",
		    j.reason != NULL ? j.reason : "NULL");
	}
	CASE("depth: levels given back");
	n = 0;
	s[n++] = '[';
	for (i = 0; i < 100; i++)
		n += (size_t)sprintf(s + n, "[{}],");
	s[n++] = '0';
	s[n++] = ']';
	check(s, n, verdict(0, 1, n));
}

static void
test_compact(void)
{
	static const char *const pairs[][2] = {
		{ "1", "1" }, { " 1\n", "1" }, { "\"a b\"", "\"a b\"" },
		{ "{}", "{}" }, { "{ \t\r\n}", "{}" }, { " [ ] ", "[]" },
		{ "{ \"a b\" : [ 1 , 2.50 ,\n true ] }",
		    "{\"a b\":[1,2.50,true]}" },
		{ "[\"\\\" \\\\\" , \" \"]", "[\"\\\" \\\\\",\" \"]" },
		{ "[ \"\\\\\" , \"x \\u0020 \\\" ] \" ]",
		    "[\"\\\\\",\"x \\u0020 \\\" ] \"]" },
		{ "[1,2]", "[1,2]" }, { "  null", "null" },
		{ "\"\xe6\x97\xa5 \xe6\x9c\xac\" ",
		    "\"\xe6\x97\xa5 \xe6\x9c\xac\"" },
		{ "{\"b\":1 ,\"a\":1e5 , \"a\":\"\\/\"}",
		    "{\"b\":1,\"a\":1e5,\"a\":\"\\/\"}" }
	};
	char *wall = test_wall();
	struct ws_text in, again;
	size_t i, n, m, len;
	char *s, *out;

	CASE("compact");
	EACH(i, pairs) {
		len = strlen(pairs[i][0]);
		s = test_guard(pairs[i][0], len);
		out = test_guard(s, len);
		in.s = s;
		in.len = len;
		memset(out, '!', len);
		n = ws_json_compact(out, in);
		EXPECT(n == strlen(pairs[i][1]) &&
		    memcmp(out, pairs[i][1], n) == 0,
		    "`%s` became `%s`", pairs[i][0], show(out, n));
		again.s = out;
		again.len = n;
		m = ws_json_compact(wall - n, again);
		EXPECT(m == n && memcmp(wall - n, out, n) == 0,
		    "`%s` again: `%s`", pairs[i][0], show(wall - n, m));
		m = ws_json_compact(s, in);
		EXPECT(m == n && memcmp(s, out, n) == 0,
		    "`%s` in place: `%s`", pairs[i][0], show(s, m));
		test_unguard(out, len);
		test_unguard(s, len);
	}
}

/* The next member of an object, or element of an array; its name is empty. */
static int
next(int array, struct ws_text *rest, struct ws_text *name,
    struct ws_text *value)
{
	if (!array)
		return ws_json_member(rest, name, value);
	name->s = "";
	name->len = 0;
	return ws_json_element(rest, value);
}

/* Lists members as "name=value;" and elements as "=value;". */
static const char *
members(const char *text)
{
	static char out[1024];
	struct ws_text rest, name, value;
	size_t n = 0, len = strlen(text);
	int array = text[strspn(text, " \n")] == '[';

	rest.s = test_place(text, len);
	rest.len = len;
	while (next(array, &rest, &name, &value) == 1)
		n += (size_t)snprintf(out + n, sizeof(out) - n, "%.*s=%.*s;",
		    (int)name.len, name.s, (int)value.len, value.s);
	if (rest.s != test_wall() - 1 || rest.len != 1 ||
	    next(array, &rest, &name, &value) != 0)
		return "not at the end";
	out[n] = '\0';
	return out;
}

static void
test_member(void)
{
	static const char *const pairs[][2] = {
		{ "{}", "" }, { "{ \n}", "" }, { "{\"a\":1}", "\"a\"=1;" },
		{ "{\"a\":1,\"a\":2}", "\"a\"=1;\"a\"=2;" },
		{ "{\"\":\"\"}", "\"\"=\"\";" },
		{ " { \"a\"\t:\n1 , \"b\" : \"x y\" } ",
		    "\"a\"=1;\"b\"=\"x y\";" },
		{ "{\"\\\"a\\\\\":\"}\\\"{\",\"b\":[\"]\",\"\\\\\"]}",
		    "\"\\\"a\\\\\"=\"}\\\"{\";\"b\"=[\"]\",\"\\\\\"];" },
		{ "{\"a\":{\"b\":{},\"c\":[{}]},\"d\":{ } , \"e\":[]}",
		    "\"a\"={\"b\":{},\"c\":[{}]};\"d\"={ };\"e\"=[];" },
		{ "{\"a\":-1.5e+3\n,\"b\":true,\"c\":null,\"d\":false\t}",
		    "\"a\"=-1.5e+3;\"b\"=true;\"c\"=null;\"d\"=false;" },
		{ "{\"\xe6\x97\xa5\":\"\xe6\x9c\xac\"}",
		    "\"\xe6\x97\xa5\"=\"\xe6\x9c\xac\";" },
		{ "[]", "" }, { "[ \n]", "" }, { "[1]", "=1;" },
		{ " [ \"a\",\n\"]\" ] ", "=\"a\";=\"]\";" },
		{ "[-1.5e+3,true , null\n,false]",
		    "=-1.5e+3;=true;=null;=false;" },
		{ "[{\"a\":[1]},[[],{}],{}]", "={\"a\":[1]};=[[],{}];={};" }
	};
	const char *got;
	char s[64];
	size_t i, len;

	CASE("member, element");
	EACH(i, pairs) {
		/* The closing bracket must be the last thing read. */
		strcpy(s, pairs[i][0]);
		for (len = strlen(s); s[len - 1] == ' '; len--)
			;
		s[len] = '\0';
		got = members(s);
		EXPECT(strcmp(got, pairs[i][1]) == 0, "`%s`: %s",
		    pairs[i][0], got);
	}
}

static const struct {
	struct ws_text in, out;
} strings[] = {
	{ TEXT("\"\""), TEXT("") }, { TEXT("\"a\""), TEXT("a") },
	{ TEXT("\"hello there\""), TEXT("hello there") },
	{ TEXT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), TEXT("\"\\/\b\f\n\r\t") },
	{ TEXT("\"\\u0041\\u007f\""), TEXT("A\x7f") },
	{ TEXT("\"a\\u0000b\""), TEXT("a\0b") },
	{ TEXT("\"\\u0080\\u07FF\""), TEXT("\xc2\x80\xdf\xbf") },
	{ TEXT("\"\\u0800\\uFFFF\""), TEXT("\xe0\xa0\x80\xef\xbf\xbf") },
	{ TEXT("\"\\ud7ff\\ue000\""), TEXT("\xed\x9f\xbf\xee\x80\x80") },
	{ TEXT("\"\\ud800\\udc00\""), TEXT("\xf0\x90\x80\x80") },
	{ TEXT("\"\\uDBFF\\uDFFF\""), TEXT("\xf4\x8f\xbf\xbf") },
	{ TEXT("\"x\\ud83d\\ude00y\""), TEXT("x\xf0\x9f\x98\x80y") },
	{ TEXT("\"\\ud83d\\uDE00\\ud83d\\ude01\""),
	    TEXT("\xf0\x9f\x98\x80\xf0\x9f\x98\x81") },
	{ TEXT("\"\xe6\x97\xa5\\n\xe6\x9c\xac\""),
	    TEXT("\xe6\x97\xa5\n\xe6\x9c\xac") },
	{ TEXT("\"\\\\u0041\""), TEXT("\\u0041") }
};

static const struct ws_text no_strings[] = {
	TEXT("1"), TEXT("12"), TEXT("null"), TEXT("true"), TEXT("{}"),
	TEXT("[\"a\"]"), TEXT("{\"a\":\"b\"}"),
	TEXT("\"\\ud800\""), TEXT("\"\\udbff\""), TEXT("\"\\udc00\""),
	TEXT("\"\\udfff\""), TEXT("\"\\udc00\\ud800\""),
	TEXT("\"\\ud800\\ud800\""), TEXT("\"\\ud800\\ud800\\udc00\""),
	TEXT("\"\\ud800\\ue000\""), TEXT("\"\\ud800\\n\""),
	TEXT("\"\\ud800u\""), TEXT("\"\\ud800xudc00\""),
	TEXT("\"\\ud800\\\\\""),
	TEXT("\"\\ud83d\\u0041\""), TEXT("\"\\ud83dA\""),
	TEXT("\"\\u0041\\udc00\""), TEXT("\"\\udc00\\udc00\"")
};

static void
test_string(void)
{
	struct ws_text in;
	size_t i, cap, k, len;
	char out[64], *s;
	ssize_t n;

	CASE("string: decoded, with every capacity");
	EACH(i, strings) {
		len = strings[i].out.len;
		in.len = strings[i].in.len;
		in.s = s = test_guard(strings[i].in.s, in.len);
		for (cap = 0; cap <= len + 2; cap++) {
			memset(out, '!', sizeof(out));
			n = ws_json_string(out, cap, in);
			if (cap < len)
				EXPECT(n == WS_BAD, "`%s` in %zu: %d", show(
				    in.s, in.len), cap, (int)n);
			else
				EXPECT(n == (ssize_t)len && memcmp(out,
				    strings[i].out.s, len) == 0,
				    "`%s` in %zu: %d", show(in.s, in.len),
				    cap, (int)n);
			for (k = cap; k < sizeof(out); k++)
				EXPECT(out[k] == '!', "`%s` in %zu: wrote "
				    "byte %zu", show(in.s, in.len), cap, k);
		}
		n = ws_json_string(s, in.len, in);
		EXPECT(n == (ssize_t)len && memcmp(s, strings[i].out.s, len) ==
		    0, "`%s` in place: %d, `%s`", strings[i].in.s, (int)n,
		    show(s, len));
		test_unguard(s, in.len);
	}
	CASE("string: what is none, and half surrogate pairs");
	EACH(i, no_strings) {
		in.len = no_strings[i].len;
		in.s = s = test_guard(no_strings[i].s, in.len);
		n = ws_json_string(out, sizeof(out), in);
		EXPECT(n == WS_BAD, "`%s`: %d", show(in.s, in.len), (int)n);
		test_unguard(s, in.len);
	}
	CASE("string: every \\u against UTF-8");
	for (k = 0; k < 0x110000; k += test_emulated() ? 13 : 1) {
		if (k < 0x10000)
			sprintf(out, "\"\\u%04x\"", (unsigned)k);
		else
			sprintf(out, "\"\\u%04X\\u%04x\"", (unsigned)
			    (0xd7c0 + (k >> 10)), (unsigned)
			    (0xdc00 | (k & 0x3ff)));
		in.s = out;
		in.len = strlen(out);
		n = ws_json_string(out + 20, 4, in);
		if (k >= 0xd800 && k <= 0xdfff) {
			EXPECT(n == WS_BAD, "`%s`: %d", out, (int)n);
			continue;
		}
		/* The lengths' bounds, and the bits put together again. */
		len = k < 0x80 ? 1 : k < 0x800 ? 2 : k < 0x10000 ? 3 : 4;
		cap = (unsigned char)out[20];
		if (len > 1)
			cap &= 0x7fu >> len;
		for (i = 1; i < len; i++)
			cap = cap << 6 | ((out[20 + i] & 0xff) ^ 0x80u);
		EXPECT(n == (ssize_t)len && cap == k, "`%s`: %s", out,
		    show(out + 20, n > 0 ? (size_t)n : 0));
	}
}

static uint32_t
rnd(uint32_t n)
{
	static uint64_t x = 88172645463325252u;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (uint32_t)(x >> 32) % n;
}

static void
test_random(void)
{
	static const char alphabet[] =
	    "{}[]{}[]\"\"\"\"::,,,\\\\/ \t\n0011.-+eE"
	    "truefalsnbu\xc3\xa9\xe6\x97\xa5\xf0\x9f\x98\x80\xed\xff\x01\0";
	static const char *const tokens[] = {
		"{", "}", "[", "]", ",", ":", "\"a\"", "\"\\n\"", "1",
		"-0.5e+1", "true", "null", " ", "\"\xc3\xa9\"", "{}", "[]",
		"\"b\":", "\"\\ud83d\\ude00\"", "{\"c\":", "12345678901"
	};
	unsigned seen[3] = { 0, 0, 0 };
	struct verdict want;
	struct ws_text t;
	char s[128];
	size_t len, a, b;
	uint32_t i, k, tries = test_emulated() ? 20000 : 200000;

	CASE("random texts against the recogniser");
	for (i = 0; i < tries; i++) {
		len = 0;
		if (i % 4 == 0) { /* letters */
			for (k = rnd(12); k > 0; k--)
				s[len++] = alphabet[rnd(sizeof(alphabet) - 1)];
		} else if (i % 4 == 1) { /* tokens */
			for (k = 1 + rnd(8); k > 0; k--)
				len += (size_t)sprintf(s + len, "%s",
				    tokens[rnd(sizeof(tokens) /
				    sizeof(tokens[0]))]);
		} else { /* a good text with up to two bytes changed */
			t = good[rnd(sizeof(good) / sizeof(good[0]))];
			memcpy(s, t.s, len = t.len);
			for (k = rnd(3); k > 0; k--)
				s[rnd((uint32_t)len)] =
				    alphabet[rnd(sizeof(alphabet) - 1)];
			if (rnd(4) == 0)
				len = rnd((uint32_t)len + 1);
		}
		a = rnd((uint32_t)len + 1);
		b = a + rnd((uint32_t)(len - a) + 1);
		want = reference(s, len);
		seen[-want.is]++;
		same("in three", a, s, len, scan(s, a, b, len), want);
		if (i % 16 == 0)
			same("bytes", 1, s, len, scan_bytes(s, len), want);
	}
	for (i = 0; i < 3; i++)
		EXPECT(seen[i] > tries / 40, "only %u texts of kind %u",
		    seen[i],
		    (unsigned)i);
}

int
main(void)
{
	test_scan();
	test_depth();
	test_compact();
	test_member();
	test_string();
	test_random();
	return test_end();
}
