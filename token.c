/* wshub: ISC licence, see LICENSE. */
/*
 * JSON Web Tokens (RFC 7519) signed with HS256, and what that needs: SHA-256
 * (FIPS 180-4) and HMAC (RFC 2104).
 *
 * HMAC hashes a block that is made of the secret, and the message; then a
 * second block that is made of the secret, and the first digest. Only the
 * hash's states after these two blocks are stored (struct ws_token_key). So a
 * check compresses each 64 bytes of the message once, and one or two more
 * blocks.
 *
 * A token is HEADER.CLAIMS.SIGNATURE, each part in base64url. First the header
 * is checked, then the signature, and only then are the claims decoded. An
 * attacker can write any header, so its cost is limited: it has at most
 * MEMBERS_MAX names, each of which is compared with the others.
 *
 * The header is decoded to the caller's scratch memory, and later the claims to
 * the same memory. Strings are unescaped in place, because an escape is never
 * shorter than its character. This does not disturb ws_json_member, which has
 * passed a member by the time that its bytes change.
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "ws.h"

#define BLOCK 64
#define DIGEST WS_TOKEN_MAC
#define SIGNATURE 43    /* characters of base64url for 32 bytes */
#define MEMBERS_MAX 64  /* names in a header, and in a set of claims */
#define EXPONENT_MAX 99999 /* more than a token has digits */

/* {"alg":"HS256","typ":"JWT"} */
static const char made_header[] = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.";

/* Errors of checking and making. */
static const char no_sub[] = "sub is not a string of 1 to 255 bytes";
static const char no_channels[] =
    "channels is not an array of strings of 1 to 255 bytes";
static const char many_channels[] = "more than 100 channels";
static const char too_long[] = "over 4096 bytes";

/* The value of a character of base64url (RFC 4648 section 5), or -1. */
static const signed char sextets[128] = {
	-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
	-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
	-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 62, -1, -1,
	52, 53, 54, 55, 56, 57, 58, 59, 60, 61, -1, -1, -1, -1, -1, -1,
	-1,  0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14,
	15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, -1, -1, -1, -1, 63,
	-1, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,
	41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, -1, -1, -1, -1, -1
};

/* FIPS 180-4 sections 4.2.2 and 5.3.3. */
static const uint32_t constants[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1,
	0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
	0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
	0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
	0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
	0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
	0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
	0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
	0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2
};

static const uint32_t initial[8] = {
	0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c,
	0x1f83d9ab, 0x5be0cd19
};

/* ----------------------------------------------------- SHA-256 and HMAC */

static uint32_t
rotate(uint32_t x, unsigned n)
{
	return x >> n | x << (32 - n);
}

/* see ws.h */
void
ws_wipe(void *p, size_t len)
{
	/* A function that the compiler does not know cannot be removed. */
	static void *(*const volatile set)(void *, int, size_t) = memset;

	if (p != NULL)
		(void)set(p, 0, len);
}

/* FIPS 180-4 section 6.2.2. */
static void
sha256_block(uint32_t h[8], const unsigned char *p)
{
	uint32_t w[64], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
	uint32_t f = h[5], g = h[6], i = h[7], x, y;
	unsigned t;

	for (t = 0; t < 16; t++, p += 4)
		w[t] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
		    (uint32_t)p[2] << 8 | p[3];
	for (; t < 64; t++) {
		x = w[t - 15];
		y = w[t - 2];
		w[t] = (rotate(x, 7) ^ rotate(x, 18) ^ x >> 3) + w[t - 16] +
		    (rotate(y, 17) ^ rotate(y, 19) ^ y >> 10) + w[t - 7];
	}

	for (t = 0; t < 64; t++) {
		x = i + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) +
		    (g ^ (e & (f ^ g))) + constants[t] + w[t];
		y = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) +
		    ((a & b) | (c & (a | b)));
		i = g;
		g = f;
		f = e;
		e = d + x;
		d = c;
		c = b;
		b = a;
		a = x + y;
	}

	h[0] += a;
	h[1] += b;
	h[2] += c;
	h[3] += d;
	h[4] += e;
	h[5] += f;
	h[6] += g;
	h[7] += i;
	ws_wipe(w, sizeof(w)); /* the block may be a secret */
}

/* Ends a hash: h is the state before the last len bytes of the message. */
static void
sha256_end(unsigned char digest[DIGEST], uint32_t h[8], const void *data,
    size_t len, size_t before)
{
	unsigned char tail[2 * BLOCK] = { 0 };
	const unsigned char *p = data;
	uint64_t bits = ((uint64_t)before + len) * 8;
	size_t end, i;

	for (; len >= BLOCK; len -= BLOCK, p += BLOCK)
		sha256_block(h, p);

	/* The last bytes, a 1 bit and the 64-bit length: one block or two. */
	for (i = 0; i < len; i++)
		tail[i] = p[i];
	tail[len] = 0x80;
	end = len < BLOCK - 8 ? BLOCK : 2 * BLOCK;
	for (i = 0; i < 8; i++)
		tail[end - 1 - i] = (unsigned char)(bits >> 8 * i & 0xff);
	sha256_block(h, tail);
	if (end == 2 * BLOCK)
		sha256_block(h, tail + BLOCK);

	for (i = 0; i < DIGEST; i++)
		digest[i] = (unsigned char)(h[i / 4] >> (24 - 8 * (i % 4)) &
		    0xff);
	ws_wipe(tail, sizeof(tail));
}

static void
sha256(unsigned char digest[DIGEST], const void *data, size_t len)
{
	uint32_t h[8];

	memcpy(h, initial, sizeof(h));
	sha256_end(digest, h, data, len, 0);
}

/* see ws.h */
void
ws_token_key(struct ws_token_key *key, const void *secret, size_t len)
{
	unsigned char block[BLOCK] = { 0 };
	size_t i;

	if (len > BLOCK)
		sha256(block, secret, len);
	else if (len > 0)
		memcpy(block, secret, len);
	memcpy(key->inner, initial, sizeof(key->inner));
	memcpy(key->outer, initial, sizeof(key->outer));
	for (i = 0; i < BLOCK; i++)
		block[i] ^= 0x36;
	sha256_block(key->inner, block);
	for (i = 0; i < BLOCK; i++)
		block[i] ^= 0x36 ^ 0x5c;
	sha256_block(key->outer, block);
	ws_wipe(block, sizeof(block));
}

/* see ws.h */
void
ws_token_mac(unsigned char mac[WS_TOKEN_MAC], const struct ws_token_key *key,
    const void *data, size_t len)
{
	uint32_t h[8];

	memcpy(h, key->inner, sizeof(h));
	sha256_end(mac, h, data, len, BLOCK);
	memcpy(h, key->outer, sizeof(h));
	sha256_end(mac, h, mac, DIGEST, BLOCK);
}

/* ------------------------------------------------------------- key file */

static int
read_keys(struct ws_token_keys *k, const char *p, size_t len,
    char error[WS_ERROR_MAX])
{
	const char *end = p + len, *newline;
	size_t n;
	unsigned line;

	if (len > WS_TOKEN_FILE_MAX)
		return ws_fail(error, "over %d bytes: one secret a line is "
		    "wanted", WS_TOKEN_FILE_MAX);
	for (line = 1; p < end; line++) {
		newline = memchr(p, '\n', (size_t)(end - p));
		n = (size_t)((newline != NULL ? newline : end) - p);
		if (newline != NULL && n > 0 && p[n - 1] == '\r')
			n--;
		if (memchr(p, '\0', n) != NULL)
			return ws_fail(error, "line %u: a NUL byte: secrets "
			    "are text, such as base64", line);
		if (memchr(p, '\r', n) != NULL)
			return ws_fail(error, "line %u: a carriage return "
			    "inside: lines end with LF or CR LF", line);
		if (n >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0)
			return ws_fail(error, "line %u: a byte order mark: "
			    "save the file without it", line);
		if (n > 0 && *p == '#')
			return ws_fail(error, "line %u: begins with #: neither "
			    "a comment nor a secret may", line);
		if (n > 0 && n < WS_TOKEN_SECRET_MIN)
			return ws_fail(error, "line %u: a secret of %u bytes: "
			    "%d or more are needed", line, (unsigned)n,
			    WS_TOKEN_SECRET_MIN);
		if (n > 0 && k->n == WS_TOKEN_KEYS)
			return ws_fail(error, "line %u: more than %d secrets",
			    line, WS_TOKEN_KEYS);
		if (n > 0)
			ws_token_key(&k->key[k->n++], p, n);
		p = newline != NULL ? newline + 1 : end;
	}
	if (k->n == 0)
		return ws_fail(error, "no secret: a line of %d bytes or more "
		    "is needed", WS_TOKEN_SECRET_MIN);
	return 0;
}

/* see ws.h */
int
ws_token_keys_read(struct ws_token_keys *k, const void *bytes, size_t len,
    char error[WS_ERROR_MAX])
{
	k->n = 0;
	if (read_keys(k, bytes, len, error) == 0)
		return 0;
	ws_wipe(k, sizeof(*k));
	return -1;
}

/* ------------------------------------------------------------- checking */

/*
 * Decodes base64url without padding (RFC 7515 section 2). out has room for
 * 3 * len / 4 bytes. Returns the number of bytes, or WS_BAD. The unused bits of
 * the last character must be zero, so that an encoding is unique.
 */
static ssize_t
base64url_decode(void *out, const char *s, size_t len)
{
	unsigned char *to = out;
	uint32_t x = 0;
	unsigned bits = 0;
	size_t i;
	int v;

	for (i = 0; i < len; i++) {
		v = (s[i] & 0x80) == 0 ? sextets[(unsigned char)s[i]] : -1;
		if (v < 0)
			return WS_BAD;
		x = x << 6 | (uint32_t)v;
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			*to++ = (unsigned char)(x >> bits & 0xff);
		}
	}
	/* 6 bits are left over from a single character: less than a byte. */
	if (bits == 6 || (x & ((1u << bits) - 1)) != 0)
		return WS_BAD;
	return to - (unsigned char *)out;
}

/* Compares two digests; the time does not depend on where they differ. */
static int
same_digest(const unsigned char *a, const unsigned char *b)
{
	unsigned differ = 0;
	size_t i;

	for (i = 0; i < DIGEST; i++)
		differ |= (unsigned)(a[i] ^ b[i]);
	return differ == 0;
}

static int
signed_by_any(const struct ws_token_keys *k, struct ws_text input,
    const unsigned char *signature)
{
	unsigned char mac[DIGEST];
	unsigned i;

	for (i = 0; i < k->n; i++) {
		ws_token_mac(mac, &k->key[i], input.s, input.len);
		if (same_digest(mac, signature))
			return 1;
	}
	return 0;
}

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

static int
equals(struct ws_text t, const char *word)
{
	return t.len == strlen(word) && memcmp(t.s, word, t.len) == 0;
}

/* A JSON object that is being read, in memory that may be overwritten. */
struct object {
	char *text;
	struct ws_text rest;
	const char *error; /* set if a function returns -1 */
	unsigned n;
	struct ws_text names[MEMBERS_MAX]; /* of the members read so far */
};

/*
 * Decodes a part of a token to text. Returns 0, or -1 if it is not a JSON
 * object.
 */
static int
object_begin(struct object *o, char *text, struct ws_text part)
{
	struct ws_json j;
	ssize_t len, n;
	size_t i;

	len = base64url_decode(text, part.s, part.len);
	if (len < 0)
		return -1;
	memset(&j, 0, sizeof(j));
	n = ws_json_scan(&j, text, (size_t)len);
	if (n < 0)
		return -1;
	for (; n < len; n++)
		if (!is_space(text[n]))
			return -1;
	for (i = 0; is_space(text[i]); i++)
		;
	o->text = text;
	o->rest.s = text + i;
	o->rest.len = (size_t)len - i;
	o->n = 0;
	return text[i] == '{' ? 0 : -1;
}

/* Unescapes a string in place: 0, or -1 if the value is not a string. */
static int
unescape(const struct object *o, struct ws_text *value)
{
	ssize_t n = ws_json_string(o->text + (value->s - o->text), value->len,
	    *value);

	value->len = n < 0 ? 0 : (size_t)n;
	return n < 0 ? -1 : 0;
}

/* The next member, its name unescaped: 1, or 0 after the last, or -1. */
static int
object_next(struct object *o, struct ws_text *name, struct ws_text *value)
{
	unsigned i;

	if (!ws_json_member(&o->rest, name, value))
		return 0;
	o->error = "a name that is not text";
	if (unescape(o, name) != 0)
		return -1;
	o->error = "more than 64 names";
	if (o->n == MEMBERS_MAX)
		return -1;
	o->error = "a name twice";
	for (i = 0; i < o->n; i++)
		if (o->names[i].len == name->len &&
		    memcmp(o->names[i].s, name->s, name->len) == 0)
			return -1;
	o->names[o->n++] = *name;
	return 1;
}

/*
 * 1 if t is "JWT", whose case does not matter: it is a media type (RFC 7515
 * section 4.1.9), and RFC 7519 section 5.1 only recommends capitals.
 */
static int
is_jwt(struct ws_text t)
{
	return t.len == 3 && (t.s[0] | 0x20) == 'j' &&
	    (t.s[1] | 0x20) == 'w' && (t.s[2] | 0x20) == 't';
}

/* Checks the header, RFC 7515 section 4.1: NULL, or an error message. */
static const char *
check_header(char *scratch, struct ws_text part)
{
	struct object o;
	struct ws_text name, value;
	int more, hs256 = 0;

	if (object_begin(&o, scratch, part) != 0)
		return "header is not a JSON object in base64url";
	while ((more = object_next(&o, &name, &value)) == 1) {
		if (equals(name, "alg"))
			hs256 = unescape(&o, &value) == 0 &&
			    equals(value, "HS256");
		else if (equals(name, "typ") &&
		    (unescape(&o, &value) != 0 || !is_jwt(value)))
			return "typ is not JWT";
		else if (equals(name, "crit"))
			return "crit is not supported";
	}
	if (more < 0)
		return o.error;
	return hs256 ? NULL : "alg is not HS256";
}

/*
 * Rounds a JSON number down to an integer. A number beyond the range of a long
 * long becomes the greatest or the least one.
 *
 * A number is read as digits and the position of the decimal point, which may
 * be beyond either end of them. The digits before it are the integer.
 */
static long long
floor_of(struct ws_text t)
{
	const char *p, *end = t.s + t.len;
	int negative = *t.s == '-', minus, below = 0;
	long point = 0, exponent = 0, i = 0;
	long long v = 0;
	int d;

	for (p = t.s + negative; p < end && is_digit(*p); p++)
		point++;
	while (p < end && (*p | 0x20) != 'e')
		p++;
	minus = p < end && p[1] == '-';
	for (; p < end; p++)
		if (is_digit(*p) && exponent < EXPONENT_MAX)
			exponent = exponent * 10 + (*p - '0');
	point += minus ? -exponent : exponent;

	p = t.s + negative;
	while (p < end && (*p | 0x20) != 'e') {
		if (*p == '.') {
			p++;
			continue;
		}
		d = *p++ - '0';
		if (i++ >= point)
			below |= d;
		else
			v = v > (LLONG_MAX - d) / 10 ? LLONG_MAX : v * 10 + d;
	}
	for (; i < point && v != 0 && v != LLONG_MAX; i++)
		v = v > LLONG_MAX / 10 ? LLONG_MAX : v * 10;
	return negative ? -v - (below != 0) : v;
}

static int
is_number(struct ws_text t)
{
	return *t.s == '-' || is_digit(*t.s);
}

/* Checks a device's or channel's name: 0, or -1 if it is not valid. */
static int
unescape_name(const struct object *o, struct ws_text *value)
{
	return unescape(o, value) == 0 && value->len >= 1 &&
	    value->len <= WS_NAME_MAX &&
	    memchr(value->s, '\0', value->len) == NULL ? 0 : -1;
}

/* Reads the claim "channels": NULL, or an error message. */
static const char *
read_channels(const struct object *o, struct ws_text value,
    struct ws_token *t)
{
	struct ws_text name;

	if (*value.s != '[')
		return no_channels;
	while (ws_json_element(&value, &name)) {
		if (unescape_name(o, &name) != 0)
			return no_channels;
		if (t->nchannels == WS_TOKEN_CHANNELS)
			return many_channels;
		t->channels[t->nchannels++] = name;
	}
	return NULL;
}

/* Reads the claims of RFC 7519 section 4.1, and our own. */
static const char *
read_claims(char *scratch, struct ws_text part, long long now,
    struct ws_token *t)
{
	struct object o;
	struct ws_text name, value;
	long long nbf = LLONG_MIN;
	const char *error;
	int more, has_exp = 0;

	t->sub.s = NULL;
	t->sub.len = 0;
	t->nchannels = 0;
	if (object_begin(&o, scratch, part) != 0)
		return "claims are not a JSON object in base64url";
	while ((more = object_next(&o, &name, &value)) == 1) {
		if (equals(name, "exp")) {
			if (!is_number(value))
				return "exp is not a number";
			t->exp = floor_of(value);
			has_exp = 1;
		} else if (equals(name, "nbf")) {
			if (!is_number(value))
				return "nbf is not a number";
			nbf = floor_of(value);
		} else if (equals(name, "sub")) {
			if (unescape_name(&o, &value) != 0)
				return no_sub;
			t->sub = value;
		} else if (equals(name, "channels")) {
			error = read_channels(&o, value, t);
			if (error != NULL)
				return error;
		}
	}
	if (more < 0)
		return o.error;
	if (!has_exp)
		return "no exp";
	if (now >= t->exp)
		return "expired";
	if (now < LLONG_MAX - WS_TOKEN_LEEWAY && now + WS_TOKEN_LEEWAY < nbf)
		return "not yet valid";
	return NULL;
}

static const char *
check(const struct ws_token_keys *k, struct ws_text token, long long now,
    char *scratch, struct ws_token *t)
{
	unsigned char signature[DIGEST];
	struct ws_text header, claims, input;
	const char *dot, *error;
	size_t left;

	if (token.len > WS_TOKEN_MAX)
		return too_long;
	dot = token.len > 0 ? memchr(token.s, '.', token.len) : NULL;
	if (dot == NULL)
		return "not three parts";
	header.s = token.s;
	header.len = (size_t)(dot - token.s);
	claims.s = dot + 1;
	left = token.len - header.len - 1;
	dot = memchr(claims.s, '.', left);
	if (dot == NULL)
		return "not three parts";
	claims.len = (size_t)(dot - claims.s);
	left -= claims.len + 1;
	if (memchr(dot + 1, '.', left) != NULL)
		return "not three parts";

	error = check_header(scratch, header);
	if (error != NULL)
		return error;
	input.s = token.s;
	input.len = (size_t)(dot - token.s);
	if (left != SIGNATURE ||
	    base64url_decode(signature, dot + 1, left) != DIGEST ||
	    !signed_by_any(k, input, signature))
		return "bad signature";
	return read_claims(scratch, claims, now, t);
}

/* see ws.h */
int
ws_token_check(const struct ws_token_keys *k, struct ws_text token,
    long long now, char scratch[WS_TOKEN_SCRATCH], struct ws_token *t)
{
	t->error = check(k, token, now, scratch, t);
	return t->error == NULL ? 0 : -1;
}

/* --------------------------------------------------------------- making */

/* Claims that are being written. If they do not fit, len exceeds the room. */
struct claims {
	size_t len;
	char text[WS_TOKEN_SCRATCH];
};

static void
put(struct claims *c, const char *s, size_t len)
{
	if (c->len + len <= sizeof(c->text))
		memcpy(c->text + c->len, s, len);
	else
		len = sizeof(c->text) + 1 - c->len; /* later calls fail too */
	c->len += len;
}

static int
is_name(struct ws_text t)
{
	struct ws_utf8 utf8 = { 0, 0, 0 };

	return t.len >= 1 && t.len <= WS_NAME_MAX &&
	    memchr(t.s, '\0', t.len) == NULL &&
	    ws_utf8(&utf8, t.s, t.len) == t.len && utf8.left == 0;
}

/* Writes a name as a JSON string: 0, or -1 if it cannot be one. */
static int
put_name(struct claims *c, struct ws_text t)
{
	char quoted[WS_JSON_QUOTED(WS_NAME_MAX)];

	if (!is_name(t))
		return -1;
	put(c, quoted, ws_json_quote(quoted, t));
	return 0;
}

/* Writes base64url and a NUL, with room for padding; returns the length. */
static size_t
base64url(char *out, const void *data, size_t len)
{
	size_t n = ws_base64(out, data, len), i;

	while (n > 0 && out[n - 1] == '=')
		n--;
	out[n] = '\0';
	for (i = 0; i < n; i++)
		out[i] = out[i] == '+' ? '-' : out[i] == '/' ? '_' : out[i];
	return n;
}

/* see ws.h */
ssize_t
ws_token_make(char out[WS_TOKEN_MAX + 1], const struct ws_token_key *key,
    struct ws_token *t)
{
	unsigned char mac[WS_TOKEN_MAC];
	struct claims c;
	char number[32];
	unsigned i;
	size_t n = sizeof(made_header) - 1;

	t->error = NULL;
	c.len = 0;
	snprintf(number, sizeof(number), "{\"exp\":%lld", t->exp);
	put(&c, number, strlen(number));
	if (t->sub.s != NULL) {
		put(&c, ",\"sub\":", 7);
		if (put_name(&c, t->sub) != 0)
			t->error = no_sub;
	}
	if (t->nchannels > WS_TOKEN_CHANNELS) {
		t->error = many_channels;
		return -1;
	}
	for (i = 0; i < t->nchannels; i++) {
		if (i == 0)
			put(&c, ",\"channels\":[", 13);
		else
			put(&c, ",", 1);
		if (put_name(&c, t->channels[i]) != 0)
			t->error = no_channels;
	}
	if (t->nchannels > 0)
		put(&c, "]", 1);
	put(&c, "}", 1);
	/* Count whole groups of four characters, because ws_base64 pads. */
	if (t->error == NULL && n + (c.len + 2) / 3 * 4 + 1 + SIGNATURE >
	    WS_TOKEN_MAX)
		t->error = too_long;
	if (t->error != NULL)
		return -1;

	memcpy(out, made_header, n);
	n += base64url(out + n, c.text, c.len);
	ws_token_mac(mac, key, out, n);
	out[n++] = '.';
	return (ssize_t)(n + base64url(out + n, mac, sizeof(mac)));
}
