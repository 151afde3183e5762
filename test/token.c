/* wshub: ISC licence, see LICENSE. */
/*
 * Tests of token.c: published vectors of SHA-256, HMAC and JSON Web Tokens, key
 * files, and a table of headers and claims that are signed here and then
 * checked. Every token ends before an unmapped page.
 */
#define _GNU_SOURCE /* MAP_ANONYMOUS */

#include "../token.c"
#include "test.h"

#define EACH(i, list) for (i = 0; i < sizeof(list) / sizeof((list)[0]); i++)
#define TEXT(s) { (s), sizeof(s) - 1 }
#define NOW 1700000000
#define HS256 "{\"alg\":\"HS256\"}"
#define SECRET "0123456789abcdef0123456789abcdef"
#define OTHER "fedcba9876543210fedcba9876543210"
#define X10 "xxxxxxxxxx"
#define X50 X10 X10 X10 X10 X10
#define X250 X50 X50 X50 X50 X50

static char scratch[WS_TOKEN_SCRATCH];
static struct ws_token got;
static struct ws_token_keys keys;

/* In hexadecimal. */
static const char *
hex(const unsigned char *p, size_t len)
{
	static char out[2 * WS_TOKEN_MAC + 1];
	size_t i;

	for (i = 0; i < len; i++)
		sprintf(out + 2 * i, "%02x", p[i]);
	return out;
}

/* -------------------------------------------------- SHA-256 and HMAC */

static void
test_sha256(void)
{
	/* The examples of FIPS 180-4, as NIST published them, and "". */
	static const struct {
		const char *data, *digest;
	} vectors[] = {
		{ "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991"
		    "b7852b855" },
		{ "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410f"
		    "f61f20015ad" },
		{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		    "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd41"
		    "9db06c1" },
		{ "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhij"
		    "klmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
		    "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037"
		    "afee9d1" }
	};
	/* Of the digests of 0 to 130 times 'a'; from Python's hashlib. */
	static const char chained[] = "f908a43fc8456c583aacde0fb2627959"
	    "f8513dc76d0c03979b7f945a7dd78f22";
	static char million[1000000], a[130];
	unsigned char digest[DIGEST], all[131 * DIGEST];
	char *p;
	size_t i, len;

	CASE("SHA-256: vectors");
	EACH(i, vectors) {
		len = strlen(vectors[i].data);
		p = test_guard(vectors[i].data, len);
		sha256(digest, p, len);
		EXPECT(strcmp(hex(digest, DIGEST), vectors[i].digest) == 0,
		    "\"%s\": %s", vectors[i].data, hex(digest, DIGEST));
		test_unguard(p, len);
	}
	CASE("SHA-256: a million times a");
	memset(million, 'a', sizeof(million));
	sha256(digest, million, sizeof(million));
	EXPECT(strcmp(hex(digest, DIGEST), "cdc76e5c9914fb9281a1c7e284d73e67f1"
	    "809a48a497200e046d39ccc7112cd0") == 0, "%s", hex(digest, DIGEST));
	CASE("SHA-256: every length up to two blocks, at every alignment");
	memset(a, 'a', sizeof(a));
	for (i = 0; i <= sizeof(a); i++) {
		p = test_guard(a, i);
		sha256(all + i * DIGEST, p, i);
		test_unguard(p, i);
	}
	sha256(digest, all, sizeof(all));
	EXPECT(strcmp(hex(digest, DIGEST), chained) == 0, "%s",
	    hex(digest, DIGEST));
}

static void
test_hmac(void)
{
#define B10(c) c c c c c c c c c c
#define B20(c) B10(c) B10(c)
#define B50(c) B20(c) B20(c) B10(c)
#define B131(c) B50(c) B50(c) B20(c) B10(c) c
	/* RFC 4231 section 4; the fifth is cut to 16 bytes. */
	static const struct {
		struct ws_text key, data;
		const char *mac;
	} vectors[] = {
		{ TEXT(B20("\x0b")), TEXT("Hi There"), "b0344c61d8db38535ca8af"
		    "ceaf0bf12b881dc200c9833da726e9376c2e32cff7" },
		{ TEXT("Jefe"), TEXT("what do ya want for nothing?"), "5bdcc14"
		    "6bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
		    },
		{ TEXT(B20("\xaa")), TEXT(B50("\xdd")), "773ea91e36800e46854db"
		    "8ebd09181a72959098b3ef8c122d9635514ced565fe" },
		{ TEXT("\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17\20\21\22\23\24"
		    "\25\26\27\30\31"), TEXT(B50("\xcd")), "82558a389a443c0ea4"
		    "cc819899f2083a85f0faa3e578f8077a2e3ff46729665b" },
		{ TEXT(B20("\x0c")), TEXT("Test With Truncation"), "a3b6167473"
		    "100ee06e0c796c2955552b" },
		{ TEXT(B131("\xaa")), TEXT("Test Using Larger Than Block-Size "
		    "Key - Hash Key First"), "60e431591ee0b67f0d8a26aacbf5b77f"
		    "8e0bc6213728c5140546040f0ee37f54" },
		{ TEXT(B131("\xaa")), TEXT("This is a test using a larger than"
		    " block-size key and a larger than block-size data. The key"
		    " needs to be hashed before being used by the HMAC algorith"
		    "m."), "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a"
		    "7f51535c3a35e2" }
	};
	struct ws_token_key key;
	unsigned char mac[WS_TOKEN_MAC];
	size_t i;

	CASE("HMAC-SHA-256: vectors of RFC 4231");
	EACH(i, vectors) {
		ws_token_key(&key, vectors[i].key.s, vectors[i].key.len);
		ws_token_mac(mac, &key, vectors[i].data.s,
		    vectors[i].data.len);
		EXPECT(strncmp(hex(mac, sizeof(mac)), vectors[i].mac,
		    strlen(vectors[i].mac)) == 0, "vector %d: %s", (int)i + 1,
		    hex(mac, sizeof(mac)));
	}
	CASE("ws_wipe");
	memset(mac, 'x', sizeof(mac));
	ws_wipe(mac, sizeof(mac) - 1);
	ws_wipe(NULL, 1);
	EXPECT(mac[0] == 0 && mac[30] == 0 && mac[31] == 'x', "%s",
	    hex(mac, sizeof(mac)));
}

/* --------------------------------------------------------- base64url */

static void
test_base64url(void)
{
	static const struct {
		const char *in;
		struct ws_text out;
	} good[] = {
		{ "", TEXT("") }, { "Zg", TEXT("f") }, { "Zm8", TEXT("fo") },
		{ "Zm9v", TEXT("foo") }, { "Zm9vYg", TEXT("foob") },
		{ "-_-_", TEXT("\xfb\xff\xbf") }, { "AA", TEXT("\0") }
	};
	/* RFC 4648 section 3.5: bits behind the last byte are zero. */
	static const char *const bad[] = {
		"A", "Zm9vA", "Zh", "Zv", "Zm9", "Zm-", "Zg==", "Zm8=", "Zg=",
		"=", "Z g", " Zg", "Zg\n", "Zm+/", "+AAA", "/AAA", "Zg.",
		"\xff\xff\xff", "Z\xe7"
	};
	char out[16], back[16];
	ssize_t n;
	size_t i, len;
	int c;

	CASE("base64url: decoded, and encoded again");
	EACH(i, good) {
		len = strlen(good[i].in);
		n = base64url_decode(out, good[i].in, len);
		EXPECT(n == (ssize_t)good[i].out.len && memcmp(out,
		    good[i].out.s, good[i].out.len) == 0, "\"%s\": %d",
		    good[i].in, (int)n);
		n = (ssize_t)base64url(back, good[i].out.s, good[i].out.len);
		EXPECT(n == (ssize_t)len && strcmp(back, good[i].in) == 0,
		    "\"%s\": encoded as \"%s\"", good[i].in, back);
	}
	CASE("base64url: everything else is refused");
	EACH(i, bad)
		EXPECT(base64url_decode(out, bad[i], strlen(bad[i])) == WS_BAD,
		    "\"%s\" is taken", bad[i]);
	for (i = 0, c = 0; c < 256; c++) {
		out[0] = out[1] = out[2] = out[3] = (char)c;
		i += base64url_decode(back, out, 4) == 3;
	}
	EXPECT(i == 64, "an alphabet of %d characters", (int)i);
}

/* ---------------------------------------------------------- key files */

static void
test_keys(void)
{
#define SECRETS4 SECRET "\n" SECRET "\n" SECRET "\n" SECRET "\n"
#define SECRETS16 SECRETS4 SECRETS4 SECRETS4 SECRETS4
	static const struct {
		struct ws_text file;
		unsigned n;
	} good[] = {
		{ TEXT(SECRET), 1 }, { TEXT(SECRET "\n"), 1 },
		{ TEXT(SECRET "\r\n"), 1 }, { TEXT("\n\r\n" SECRET "\n\n"), 1 },
		{ TEXT(SECRET "\n" OTHER), 2 },
		{ TEXT(SECRET "\r\n\r\n" OTHER "\r\n"), 2 },
		{ TEXT(SECRETS16), 16 }, { TEXT(SECRETS16 "\n\r\n"), 16 }
	};
	static const struct {
		struct ws_text file;
		const char *error;
	} bad[] = {
		{ TEXT(""), "no secret" }, { TEXT("\n\r\n\n"), "no secret" },
		{ TEXT("secret"), "line 1: a secret of 6 bytes: 32 or more" },
		{ TEXT("\n" SECRET "\nx\n"), "line 3: a secret of 1 bytes" },
		{ TEXT(SECRET "\n0123456789abcdef0123456789abcde\r\n"),
		    "line 2: a secret of 31 bytes" },
		{ TEXT(SECRET "\n \n"), "line 2: a secret of 1 bytes" },
		{ TEXT(SECRETS16 "\n" SECRET), "line 18: more than 16" },
		{ TEXT(SECRET "\0\n"), "line 1: a NUL byte" },
		{ TEXT(SECRET "\n\0"), "line 2: a NUL byte" },
		{ TEXT(SECRET "\r"), "line 1: a carriage return" },
		{ TEXT(SECRET "\r" SECRET "\n"), "line 1: a carriage return" },
		{ TEXT("# a comment that is as long as a secret has to be\n"
		    SECRET), "line 1: begins with #" },
		{ TEXT("\xef\xbb\xbf" SECRET), "line 1: a byte order mark" }
	};
	static char large[WS_TOKEN_FILE_MAX + 1];
	struct ws_token_keys k, zero;
	struct ws_token_key key;
	char error[WS_ERROR_MAX], *p;
	size_t i;
	int r;

	memset(&zero, 0, sizeof(zero));
	ws_token_key(&key, SECRET, 32);
	CASE("key files");
	EACH(i, good) {
		p = test_guard(good[i].file.s, good[i].file.len);
		memset(&k, 'x', sizeof(k));
		r = ws_token_keys_read(&k, p, good[i].file.len, error);
		EXPECT(r == 0 && k.n == good[i].n && memcmp(&k.key[0], &key,
		    sizeof(key)) == 0, "file %d: %d, %u secrets, %s", (int)i, r,
		    k.n, r == 0 ? "another key" : error);
		test_unguard(p, good[i].file.len);
	}
	CASE("key files that are refused");
	EACH(i, bad) {
		p = test_guard(bad[i].file.s, bad[i].file.len);
		memset(&k, 'x', sizeof(k));
		r = ws_token_keys_read(&k, p, bad[i].file.len, error);
		EXPECT(r == -1 && strncmp(error, bad[i].error,
		    strlen(bad[i].error)) == 0, "\"%s\" wanted: %d, \"%s\"",
		    bad[i].error, r, error);
		EXPECT(memcmp(&k, &zero, sizeof(k)) == 0, "\"%s\": keys are "
		    "left", bad[i].error);
		EXPECT(strstr(error, "0123") == NULL, "\"%s\" has a secret",
		    error);
		test_unguard(p, bad[i].file.len);
	}
	CASE("key files: 16384 bytes, and one more");
	memset(large, 'x', sizeof(large));
	r = ws_token_keys_read(&k, large, sizeof(large) - 1, error);
	EXPECT(r == 0 && k.n == 1, "%d, %s", r, error);
	r = ws_token_keys_read(&k, large, sizeof(large), error);
	EXPECT(r == -1 && strstr(error, "over 16384 bytes") != NULL, "%d, %s",
	    r, error);
}

/* ------------------------------------------------------------- tokens */

/* Checks len bytes at the end of a page; returns the error, or "". */
static const char *
check_text(const char *s, size_t len, long long now)
{
	struct ws_text t;
	char *p = test_guard(s, len);
	int r;

	t.s = p;
	t.len = len;
	memset(&got, 'x', sizeof(got));
	r = ws_token_check(&keys, t, now, scratch, &got);
	test_unguard(p, len);
	if ((r != 0) != (got.error != NULL))
		return "result and error differ";
	return r == 0 ? "" : got.error;
}

/* A token of that header and those claims, signed; returns its length. */
static size_t
sign(char *out, const struct ws_token_key *key, const char *header,
    struct ws_text claims)
{
	unsigned char mac[WS_TOKEN_MAC];
	size_t n = base64url(out, header, strlen(header));

	out[n++] = '.';
	n += base64url(out + n, claims.s, claims.len);
	ws_token_mac(mac, key, out, n);
	out[n++] = '.';
	return n + base64url(out + n, mac, sizeof(mac));
}

static const char *
check_signed(const char *header, struct ws_text claims)
{
	static char out[16384];
	size_t n = sign(out, &keys.key[0], header, claims);

	return check_text(out, n, NOW);
}

static void
test_rfc(void)
{
	/* RFC 7519 section 3.1 and RFC 7515 appendix A.1, with its key. */
	static const char token[] = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9."
	    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"
	    "cGxlLmNvbS9pc19yb290Ijp0cnVlfQ."
	    "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
	char secret[64];
	const char *error;

	CASE("the token of RFC 7519 section 3.1");
	base64url_decode(secret, "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T"
	    "-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow", 86);
	ws_token_key(&keys.key[0], secret, sizeof(secret));
	keys.n = 1;
	error = check_text(token, sizeof(token) - 1, 1300819379);
	EXPECT(*error == '\0' && got.exp == 1300819380 && got.sub.s == NULL &&
	    got.sub.len == 0 && got.nchannels == 0, "\"%s\", exp %lld", error,
	    got.exp);
	error = check_text(token, sizeof(token) - 1, 1300819380);
	EXPECT(strcmp(error, "expired") == 0, "a second later: \"%s\"", error);
}

#define EXP "{\"exp\":2000000000"
#define NEST8(s) s s s s s s s s

static void
test_table(void)
{
	static const struct {
		const char *header;
		struct ws_text claims;
		const char *error; /* "": it is right */
	} table[] = {
		/* Headers. */
		{ HS256, TEXT(EXP "}"), "" },
		{ " { \"alg\"\t:\r\n\"HS256\" } \n", TEXT(EXP "}"), "" },
		{ "{\"\\u0061lg\":\"\\u0048S256\"}", TEXT(EXP "}"), "" },
		{ "{\"alg\":\"HS256\",\"typ\":\"JWT\"}", TEXT(EXP "}"), "" },
		{ "{\"typ\":\"jWt\",\"alg\":\"HS256\"}", TEXT(EXP "}"), "" },
		{ "{\"kid\":[{}],\"alg\":\"HS256\",\"x\":null}", TEXT(EXP "}"),
		    "" },
		{ "{}", TEXT(EXP "}"), "alg is not HS256" },
		{ "{\"alg\":\"none\"}", TEXT(EXP "}"), "alg is not HS256" },
		{ "{\"alg\":\"hs256\"}", TEXT(EXP "}"), "alg is not HS256" },
		{ "{\"alg\":\"HS256 \"}", TEXT(EXP "}"), "alg is not HS256" },
		{ "{\"alg\":\"HS256\\u0000\"}", TEXT(EXP "}"),
		    "alg is not HS256" },
		{ "{\"alg\":\"HS512\"}", TEXT(EXP "}"), "alg is not HS256" },
		{ "{\"alg\":\"RS256\"}", TEXT(EXP "}"), "alg is not HS256" },
		{ "{\"alg\":\"\"}", TEXT(EXP "}"), "alg is not HS256" },
		{ "{\"alg\":null}", TEXT(EXP "}"), "alg is not HS256" },
		{ "{\"alg\":[\"HS256\"]}", TEXT(EXP "}"), "alg is not HS256" },
		{ "{\"Alg\":\"HS256\"}", TEXT(EXP "}"), "alg is not HS256" },
		{ "{\"alg\":\"HS256\",\"typ\":\"JWS\"}", TEXT(EXP "}"),
		    "typ is not JWT" },
		{ "{\"alg\":\"HS256\",\"typ\":\"JOT\"}", TEXT(EXP "}"),
		    "typ is not JWT" },
		{ "{\"alg\":\"HS256\",\"typ\":\"at+jwt\"}", TEXT(EXP "}"),
		    "typ is not JWT" },
		{ "{\"alg\":\"HS256\",\"typ\":null}", TEXT(EXP "}"),
		    "typ is not JWT" },
		{ "{\"alg\":\"HS256\",\"crit\":[\"exp\"],\"exp\":1}",
		    TEXT(EXP "}"), "crit is not supported" },
		{ "{\"alg\":\"HS256\",\"crit\":[]}", TEXT(EXP "}"),
		    "crit is not supported" },
		{ "{\"alg\":\"HS256\",\"\\u0063rit\":1}", TEXT(EXP "}"),
		    "crit is not supported" },
		{ "{\"alg\":\"none\",\"alg\":\"HS256\"}", TEXT(EXP "}"),
		    "a name twice" },
		{ "{\"alg\":\"HS256\",\"\\u0061lg\":\"none\"}", TEXT(EXP "}"),
		    "a name twice" },
		{ "{\"alg\":\"HS256\",\"x\":1,\"x\":2}", TEXT(EXP "}"),
		    "a name twice" },
		{ "{\"alg\":\"HS256\",\"\\udc00\":1}", TEXT(EXP "}"),
		    "a name that is not text" },
		{ "", TEXT(EXP "}"), "header is not a JSON object" },
		{ "\"HS256\"", TEXT(EXP "}"), "header is not a JSON object" },
		{ "[\"alg\",\"HS256\"]", TEXT(EXP "}"),
		    "header is not a JSON object" },
		{ "256", TEXT(EXP "}"), "header is not a JSON object" },
		{ "{\"alg\":\"HS256\"", TEXT(EXP "}"),
		    "header is not a JSON object" },
		{ HS256 "x", TEXT(EXP "}"), "header is not a JSON object" },
		{ HS256 HS256, TEXT(EXP "}"), "header is not a JSON object" },
		{ "\xef\xbb\xbf" HS256, TEXT(EXP "}"),
		    "header is not a JSON object" },
		{ "{\"alg\":\"HS256\",}", TEXT(EXP "}"),
		    "header is not a JSON object" },
		{ "{\"alg\":\"HS256\",\"x\":\"\xff\"}", TEXT(EXP "}"),
		    "header is not a JSON object" },
		/* What claims are. */
		{ HS256, TEXT(" \t" EXP " }\r\n"), "" },
		{ HS256, TEXT(""), "claims are not a JSON object" },
		{ HS256, TEXT("[]"), "claims are not a JSON object" },
		{ HS256, TEXT("2000000000"), "claims are not a JSON object" },
		{ HS256, TEXT("2000000000 "), "claims are not a JSON object" },
		{ HS256, TEXT(EXP), "claims are not a JSON object" },
		{ HS256, TEXT(EXP "}}"), "claims are not a JSON object" },
		{ HS256, TEXT(EXP "}\0"), "claims are not a JSON object" },
		{ HS256, TEXT(EXP ",\"a\":\"\xc3\"}"),
		    "claims are not a JSON object" },
		{ HS256, TEXT(EXP ",\"a\":" NEST8(NEST8("[")) "1" NEST8(NEST8(
		    "]")) "}"), "claims are not a JSON object" },
		{ HS256, TEXT(EXP ",\"iss\":[null,{\"exp\":1}],\"aud\":{},"
		    "\"iat\":\"x\",\"jti\":\"\\ud800\",\"\":0}"), "" },
		{ HS256, TEXT(EXP ",\"exp\":2000000000}"), "a name twice" },
		{ HS256, TEXT(EXP ",\"\\u0065xp\":1}"), "a name twice" },
		{ HS256, TEXT(EXP ",\"\":1,\"\":1}"), "a name twice" },
		{ HS256, TEXT(EXP ",\"\\ud800\":1}"),
		    "a name that is not text" },
		/* exp. */
		{ HS256, TEXT("{}"), "no exp" },
		{ HS256, TEXT("{\"Exp\":2000000000}"), "no exp" },
		{ HS256, TEXT("{\"exp\":\"2000000000\"}"),
		    "exp is not a number" },
		{ HS256, TEXT("{\"exp\":null}"), "exp is not a number" },
		{ HS256, TEXT("{\"exp\":true}"), "exp is not a number" },
		{ HS256, TEXT("{\"exp\":[2000000000]}"),
		    "exp is not a number" },
		{ HS256, TEXT("{\"exp\":1700000001}"), "" },
		{ HS256, TEXT("{\"exp\":1700000000}"), "expired" },
		{ HS256, TEXT("{\"exp\":1700000000.9}"), "expired" },
		{ HS256, TEXT("{\"exp\":17000000009e-1}"), "expired" },
		{ HS256, TEXT("{\"exp\":1.700000001e9}"), "" },
		{ HS256, TEXT("{\"exp\":1.7E+9}"), "expired" },
		{ HS256, TEXT("{\"exp\":0}"), "expired" },
		{ HS256, TEXT("{\"exp\":-2000000000}"), "expired" },
		{ HS256, TEXT("{\"exp\":-1e999999999999999999999}"),
		    "expired" },
		{ HS256, TEXT("{\"exp\":1e999999999999999999999}"), "" },
		{ HS256, TEXT("{\"exp\":99999999999999999999}"), "" },
		/* nbf. */
		{ HS256, TEXT(EXP ",\"nbf\":1700000030}"), "" },
		{ HS256, TEXT(EXP ",\"nbf\":1700000030.9}"), "" },
		{ HS256, TEXT(EXP ",\"nbf\":1700000031}"), "not yet valid" },
		{ HS256, TEXT(EXP ",\"nbf\":1e99}"), "not yet valid" },
		{ HS256, TEXT(EXP ",\"nbf\":-1e99}"), "" },
		{ HS256, TEXT(EXP ",\"nbf\":\"0\"}"), "nbf is not a number" },
		{ HS256, TEXT(EXP ",\"nbf\":null}"), "nbf is not a number" },
		/* sub. */
		{ HS256, TEXT(EXP ",\"sub\":\"a\"}"), "" },
		{ HS256, TEXT(EXP ",\"sub\":\"" X250 "xxxxx\"}"), "" },
		{ HS256, TEXT(EXP ",\"sub\":\"" X250 "xxxxxx\"}"), no_sub },
		{ HS256, TEXT(EXP ",\"sub\":\"" X250 "xxxx\\u00e4\"}"),
		    no_sub },
		{ HS256, TEXT(EXP ",\"sub\":\"\"}"), no_sub },
		{ HS256, TEXT(EXP ",\"sub\":1}"), no_sub },
		{ HS256, TEXT(EXP ",\"sub\":null}"), no_sub },
		{ HS256, TEXT(EXP ",\"sub\":\"a\\u0000\"}"), no_sub },
		{ HS256, TEXT(EXP ",\"sub\":\"\\ud83d\"}"), no_sub },
		{ HS256, TEXT(EXP ",\"sub\":\"\\udc00\\ud83d\"}"), no_sub },
		/* channels. */
		{ HS256, TEXT(EXP ",\"channels\":[]}"), "" },
		{ HS256, TEXT(EXP ",\"channels\":[ \n]}"), "" },
		{ HS256, TEXT(EXP ",\"channels\":[\"a\" , \"a\"]}"), "" },
		{ HS256, TEXT(EXP ",\"channels\":\"a\"}"), no_channels },
		{ HS256, TEXT(EXP ",\"channels\":null}"), no_channels },
		{ HS256, TEXT(EXP ",\"channels\":{\"a\":\"b\"}}"),
		    no_channels },
		{ HS256, TEXT(EXP ",\"channels\":[1]}"), no_channels },
		{ HS256, TEXT(EXP ",\"channels\":[[]]}"), no_channels },
		{ HS256, TEXT(EXP ",\"channels\":[\"a\",null]}"), no_channels },
		{ HS256, TEXT(EXP ",\"channels\":[\"\"]}"), no_channels },
		{ HS256, TEXT(EXP ",\"channels\":[\"a\\u0000b\"]}"),
		    no_channels },
		{ HS256, TEXT(EXP ",\"channels\":[\"\\ud83d\"]}"),
		    no_channels },
		{ HS256, TEXT(EXP ",\"channels\":[\"" X250 "xxxxxx\"]}"),
		    no_channels },
		/* The order of faults. */
		{ HS256, TEXT("{\"exp\":1,\"nbf\":1e10}"), "expired" },
		{ HS256, TEXT("{\"exp\":1,\"sub\":\"\"}"), no_sub }
	};
	const char *error;
	size_t i;

	CASE("headers and claims");
	EACH(i, table) {
		error = check_signed(table[i].header, table[i].claims);
		EXPECT(*table[i].error == '\0' ? *error == '\0' :
		    strncmp(error, table[i].error, strlen(table[i].error)) ==
		    0, "%s %s: \"%s\", not \"%s\"", table[i].header,
		    table[i].claims.s, error, table[i].error);
	}
}

/* Tokens that are not made of two texts. */
static void
test_form(void)
{
	static const char *const table[][2] = {
		{ "", "not three parts" }, { ".", "not three parts" },
		{ "a", "not three parts" }, { "a.b", "not three parts" },
		{ "..", "header is not" }, { "...", "not three parts" },
		{ "H.C.S.", "not three parts" }, { ".H.C.S", "not three" },
		{ "H.C.S.x", "not three parts" }, { "H..C.S", "not three" },
		{ "H.C.S", "" }, { "H.C.", "bad signature" },
		{ "H.C", "not three parts" }, { "H.C.T", "bad signature" },
		{ "H.C.SA", "bad signature" }, { "H.C.S=", "bad signature" },
		{ "H.C.SS", "bad signature" }, { "H.C.SSSSSSSS", "bad sig" },
		{ "H.C.S\n", "bad signature" }, { " H.C.S", "header is not" },
		{ "H=.C.S", "header is not" }, { "H.C=.S", "bad signature" },
		{ "H..S", "bad signature" }, { ".C.S", "header is not" },
		{ "C.C.S", "alg is not HS256" }, { "H.H.S", "bad signature" },
		{ "\"H.C.S\"", "header is not" }, { "H.C.S ", "bad sig" },
		{ "Bearer H.C.S", "header is not" }
	};
	char good[256], part[3][128], s[512];
	struct ws_text claims = TEXT(EXP "}");
	const char *p, *error;
	size_t i, n;

	sign(good, &keys.key[0], HS256, claims);
	sscanf(good, "%127[^.].%127[^.].%127s", part[0], part[1], part[2]);
	CASE("forms");
	EACH(i, table) {
		for (n = 0, p = table[i][0]; *p != '\0'; p++)
			if (*p == 'H' || *p == 'C' || *p == 'S')
				n += (size_t)sprintf(s + n, "%s", part[
				    *p == 'H' ? 0 : *p == 'C' ? 1 : 2]);
			else if (*p == 'T') /* less than a signature */
				n += (size_t)sprintf(s + n, "%.42s", part[2]);
			else
				s[n++] = *p;
		error = check_text(s, n, NOW);
		EXPECT(*table[i][1] == '\0' ? *error == '\0' : strncmp(error,
		    table[i][1], strlen(table[i][1])) == 0, "\"%s\": \"%s\", "
		    "not \"%s\"", table[i][0], error, table[i][1]);
	}
}

static void
test_bytes(void)
{
	char s[512], longer[513];
	struct ws_text claims = TEXT(EXP ",\"sub\":\"a\\n\",\"channels\":["
	    "\"\\u00e4\",\"b\"]}");
	const char *error;
	size_t len = sign(s, &keys.key[0], "{\"alg\":\"HS256\",\"typ\":\"JWT\"}",
	    claims), i;
	int c, was;

	CASE("every byte of a token changed to every other");
	error = check_text(s, len, NOW);
	EXPECT(*error == '\0', "unchanged: \"%s\"", error);
	for (i = 0; i < len; i++) {
		was = s[i];
		for (c = -128; c < 128; c++) {
			s[i] = (char)c;
			error = check_text(s, len, NOW);
			EXPECT(c == was || *error != '\0', "byte %d changed to "
			    "%d: taken", (int)i, c);
		}
		s[i] = (char)was;
	}
	CASE("every truncation of a token");
	for (i = 0; i < len; i++)
		EXPECT(*check_text(s, i, NOW) != '\0', "%d bytes: taken",
		    (int)i);
	CASE("a dot more, anywhere");
	for (i = 0; i <= len; i++) {
		memcpy(longer, s, i);
		longer[i] = '.';
		memcpy(longer + i + 1, s + i, len - i);
		EXPECT(*check_text(longer, len + 1, NOW) != '\0', "at %d: "
		    "taken", (int)i);
	}
	CASE("every truncation of signed claims");
	while (claims.len-- > 0) {
		len = sign(s, &keys.key[0], HS256, claims);
		EXPECT(*check_text(s, len, NOW) != '\0', "%d bytes: taken",
		    (int)claims.len);
	}
}

static void
test_keys_used(void)
{
	char s[512], file[20 * 64], error[WS_ERROR_MAX];
	struct ws_text claims = TEXT(EXP "}");
	struct ws_token_keys k = keys;
	struct ws_token_key other;
	size_t n = 0, len;
	unsigned i;

	CASE("any of 16 keys signs, and no other");
	for (i = 0; i < WS_TOKEN_KEYS; i++)
		n += (size_t)sprintf(file + n, "%s%02u\n", SECRET, i);
	EXPECT(ws_token_keys_read(&keys, file, n, error) == 0, "%s", error);
	for (i = 0; i < WS_TOKEN_KEYS; i++) {
		len = sign(s, &keys.key[i], HS256, claims);
		EXPECT(*check_text(s, len, NOW) == '\0', "key %u: %s", i,
		    got.error);
	}
	ws_token_key(&other, OTHER, 32);
	len = sign(s, &other, HS256, claims);
	EXPECT(strcmp(check_text(s, len, NOW), "bad signature") == 0,
	    "another key's is taken");
	keys.n = 0;
	len = sign(s, &keys.key[0], HS256, claims);
	EXPECT(strcmp(check_text(s, len, NOW), "bad signature") == 0,
	    "without keys it is taken");
	keys = k;
}

static void
test_values(void)
{
	static const struct {
		const char *s;
		long long v;
	} numbers[] = {
		{ "0", 0 }, { "-0", 0 }, { "7", 7 }, { "-7", -7 },
		{ "1.9", 1 }, { "-1.9", -2 }, { "-1.0", -1 }, { "0.9", 0 },
		{ "-0.1", -1 }, { "-1.50", -2 }, { "1e0", 1 }, { "1e3", 1000 },
		{ "1E+3", 1000 }, { "-1e3", -1000 }, { "1.25e1", 12 },
		{ "1.25e2", 125 }, { "1.25e4", 12500 }, { "125e-1", 12 },
		{ "125e-3", 0 }, { "-125e-3", -1 }, { "-125e-1", -13 },
		{ "1e-999999999999", 0 }, { "-1e-999999999999", -1 },
		{ "0e999999999999", 0 }, { "-0e999999999999", 0 },
		{ "0.00e99", 0 }, { "0.0017e12", 1700000000 },
		{ "1700000000.0e-0", 1700000000 },
		{ "9223372036854775806", LLONG_MAX - 1 },
		{ "9223372036854775807", LLONG_MAX },
		{ "9223372036854775808", LLONG_MAX },
		{ "99999999999999999999999999", LLONG_MAX },
		{ "1e19", LLONG_MAX }, { "1e18", 1000000000000000000 },
		{ "9.3e18", LLONG_MAX }, { "1e4294967296", LLONG_MAX },
		{ "-9223372036854775807", -LLONG_MAX },
		{ "-1e99", -LLONG_MAX }, { "-9223372036854775807.5", LLONG_MIN }
	};
	struct ws_text claims = TEXT(EXP ".5,\"sub\":\"J\\u00f6rg \\\"\\ud83d"
	    "\\ude00\\/\",\"\\u0073\":\"\",\"channels\":[ \"\\\\\" ,\"b\\n\","
	    "\"\xc3\xa9\"],\"x\":\"channels\"}");
	static const char *const names[] = { "\\", "b\n", "\xc3\xa9" };
	static char many[4096];
	const char *error;
	char *p;
	struct ws_text t;
	size_t i, n;
	unsigned k;

	CASE("numbers rounded down");
	EACH(i, numbers) {
		t.len = strlen(numbers[i].s);
		t.s = p = test_guard(numbers[i].s, t.len);
		EXPECT(floor_of(t) == numbers[i].v, "%s: %lld", numbers[i].s,
		    floor_of(t));
		test_unguard(p, t.len);
	}
	CASE("names as they are without escapes");
	error = check_signed(HS256, claims);
	EXPECT(*error == '\0' && got.exp == 2000000000, "\"%s\", exp %lld",
	    error, got.exp);
	EXPECT(got.sub.len == 12 && memcmp(got.sub.s, "J\xc3\xb6rg \"\xf0\x9f"
	    "\x98\x80/", 12) == 0, "sub \"%.*s\"", (int)got.sub.len,
	    got.sub.s);
	EXPECT(got.nchannels == 3, "%u channels", got.nchannels);
	for (k = 0; k < 3 && k < got.nchannels; k++)
		EXPECT(equals(got.channels[k], names[k]), "channel %u: \"%.*s\"",
		    k, (int)got.channels[k].len, got.channels[k].s);
	CASE("a time at the end of time");
	t.s = "{\"exp\":1e99,\"nbf\":1e99}";
	t.len = strlen(t.s);
	n = sign(many, &keys.key[0], HS256, t);
	error = check_text(many, n, LLONG_MAX - 1);
	EXPECT(*error == '\0', "\"%s\"", error);
	CASE("100 channels, and one more");
	for (k = 100; k <= 101; k++) {
		n = (size_t)sprintf(many, EXP ",\"channels\":[\"c\"");
		for (i = 1; i < k; i++)
			n += (size_t)sprintf(many + n, ",\"c%d\"", (int)i);
		t.s = many;
		t.len = n + (size_t)sprintf(many + n, "]}");
		error = check_signed(HS256, t);
		EXPECT(k == 100 ? *error == '\0' && got.nchannels == 100 :
		    strcmp(error, many_channels) == 0, "%u: \"%s\"", k, error);
	}
	CASE("64 names, and one more");
	for (k = 64; k <= 65; k++) {
		n = (size_t)sprintf(many, EXP);
		for (i = 1; i < k; i++)
			n += (size_t)sprintf(many + n, ",\"%d\":0", (int)i);
		t.s = many;
		t.len = n + (size_t)sprintf(many + n, "}");
		error = check_signed(HS256, t);
		EXPECT(strcmp(error, k == 64 ? "" : "more than 64 names") == 0,
		    "%u: \"%s\"", k, error);
	}
	CASE("4096 bytes, and more");
	for (k = 3020; k <= 3026; k++) {
		memset(many, ' ', sizeof(many));
		memcpy(many, EXP "}", sizeof(EXP));
		t.s = many;
		t.len = k;
		p = malloc(8192);
		if (p == NULL)
			break;
		n = sign(p, &keys.key[0], HS256, t);
		error = check_text(p, n, NOW);
		EXPECT(strcmp(error, n <= WS_TOKEN_MAX ? "" :
		    "over 4096 bytes") == 0, "%d bytes: \"%s\"", (int)n, error);
		EXPECT(k != 3023 || n == WS_TOKEN_MAX, "%d bytes", (int)n);
		free(p);
	}
}

/* ------------------------------------------------------------- making */

static void
test_make(void)
{
	static const struct ws_text names[] = {
		TEXT("a"), TEXT("\"\\/\b\f\n\r\t\x01\x1f\x7f"),
		TEXT("\xc3\xa9\xf0\x9f\x98\x80"), TEXT(X250 "12345"), TEXT(".")
	}, bad[] = {
		TEXT(""), TEXT("a\0"), TEXT("\xff"), TEXT("a\xc3"),
		TEXT("\xed\xa0\x80"), TEXT(X250 "123456")
	};
	static char out[WS_TOKEN_MAX + 1];
	static struct ws_token t;
	const char *error;
	size_t i, k;
	ssize_t n;

	memset(&t, 0, sizeof(t));
	t.exp = 2000000000;
	CASE("make: exp alone, byte for byte");
	n = ws_token_make(out, &keys.key[0], &t);
	EXPECT(n > 0 && strncmp(out, "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."
	    "eyJleHAiOjIwMDAwMDAwMDB9.", 62) == 0 && out[n] == '\0' &&
	    strlen(out) == (size_t)n, "%d, %s", (int)n, out);
	CASE("make: what was made is checked");
	EACH(i, names) {
		t.sub = names[i];
		t.nchannels = (unsigned)i;
		for (k = 0; k < i; k++)
			t.channels[k] = names[k];
		n = ws_token_make(out, &keys.key[0], &t);
		EXPECT(n > 0, "%d: %s", (int)n, t.error);
		error = check_text(out, n > 0 ? (size_t)n : 0, NOW);
		EXPECT(*error == '\0' && got.exp == t.exp && got.nchannels ==
		    i && got.sub.len == t.sub.len && memcmp(got.sub.s,
		    t.sub.s, t.sub.len) == 0, "\"%s\" of %s", error, out);
		for (k = 0; k < i && *error == '\0'; k++)
			EXPECT(got.channels[k].len == names[k].len && memcmp(
			    got.channels[k].s, names[k].s, names[k].len) == 0,
			    "channel %d of %d", (int)k, (int)i);
	}
	CASE("make: names that cannot be");
	EACH(i, bad) {
		t.sub = bad[i];
		t.nchannels = 0;
		n = ws_token_make(out, &keys.key[0], &t);
		EXPECT(n == -1 && t.error == no_sub, "sub %d: %d", (int)i,
		    (int)n);
		t.sub.s = NULL;
		t.channels[0] = names[0];
		t.channels[1] = bad[i];
		t.nchannels = 2;
		n = ws_token_make(out, &keys.key[0], &t);
		EXPECT(n == -1 && t.error == no_channels, "channel %d: %d",
		    (int)i, (int)n);
	}
	CASE("make: up to 4096 bytes");
	t.sub.s = X250;
	for (k = 0, i = 1; i <= 250; i++) {
		t.sub.len = i;
		t.nchannels = 11;
		for (t.channels[0] = names[3], n = 1; n < 11; n++)
			t.channels[n] = t.channels[0];
		n = ws_token_make(out, &keys.key[0], &t);
		if (n > (ssize_t)k)
			k = (size_t)n;
		EXPECT(n > 0 ? *check_text(out, (size_t)n, NOW) == '\0' :
		    t.error == too_long, "sub of %d: %d", (int)i, (int)n);
	}
	EXPECT(k > WS_TOKEN_MAX - 4 && k <= WS_TOKEN_MAX && n == -1,
	    "the longest has %d bytes", (int)k);
	t.nchannels = WS_TOKEN_CHANNELS;
	for (i = 0; i < WS_TOKEN_CHANNELS; i++)
		t.channels[i] = names[3];
	n = ws_token_make(out, &keys.key[0], &t);
	EXPECT(n == -1 && t.error == too_long, "100 long channels: %d",
	    (int)n);
	t.nchannels = WS_TOKEN_CHANNELS + 1;
	n = ws_token_make(out, &keys.key[0], &t);
	EXPECT(n == -1 && t.error == many_channels, "101 channels: %d",
	    (int)n);
}

int
main(void)
{
	test_sha256();
	test_hmac();
	test_base64url();
	test_keys();
	test_rfc();
	test_table();
	test_form();
	test_bytes();
	test_keys_used();
	test_values();
	test_make();
	return test_end();
}
