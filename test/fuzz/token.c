/* wshub: ISC licence, see LICENSE. */
/*
 * Tokens and key files. The first byte of the input says what follows: a token,
 * a key file, or a header and claims with a NUL between, which are signed here,
 * so that changes get as far as the claims. What a good token says can be made
 * into a token that says the same.
 */
#include "../../ws.h"
#include "../plain.h"
#include "fuzz.h"

#define NOW 1700000000
#define SECRET "0123456789abcdef0123456789abcdef"

static char scratch[WS_TOKEN_SCRATCH], again[WS_TOKEN_SCRATCH];
static struct ws_token t, u;

/* Writes base64url, with room for padding; returns the length. */
static size_t
put(char *out, const void *data, size_t len)
{
	size_t n = ws_base64(out, data, len), i;

	for (i = 0; i < n; i++)
		out[i] = out[i] == '+' ? '-' : out[i] == '/' ? '_' : out[i];
	while (n > 0 && out[n - 1] == '=')
		n--;
	return n;
}

static void
check_name(struct ws_text name)
{
	size_t at;

	MUST(name.s >= scratch && name.s + name.len <= scratch +
	    sizeof scratch && name.len >= 1 && name.len <= WS_NAME_MAX,
	    "a name of %zu bytes", name.len);
	MUST(memchr(name.s, 0, name.len) == NULL && plain_utf8(
	    (const unsigned char *)name.s, name.len, &at) == PLAIN_WHOLE,
	    "a name that is not UTF-8 without NUL");
}

static int
same(struct ws_text a, struct ws_text b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.s, b.s, a.len) == 0);
}

static void
check(const struct ws_token_keys *k, const char *token, size_t len)
{
	static char out[WS_TOKEN_MAX + 1];
	struct ws_text text;
	ssize_t n;
	unsigned i;
	int r;

	text.s = token;
	text.len = len;
	memset(&t, 'x', sizeof t);
	r = ws_token_check(k, text, NOW, scratch, &t);
	MUST((r == -1 && t.error != NULL && *t.error != '\0' &&
	    strlen(t.error) < 60) || (r == 0 && t.error == NULL), "%d", r);
	if (r != 0)
		return;
	MUST(len <= WS_TOKEN_MAX && t.exp > NOW && t.nchannels <=
	    WS_TOKEN_CHANNELS, "%zu bytes, exp %lld, %u channels", len, t.exp,
	    t.nchannels);
	if (t.sub.s != NULL)
		check_name(t.sub);
	for (i = 0; i < t.nchannels; i++)
		check_name(t.channels[i]);
	n = ws_token_make(out, &k->key[0], &t);
	if (n < 0) { /* \u0001 is longer than the byte was */
		MUST(strcmp(t.error, "over 4096 bytes") == 0, "%s", t.error);
		return;
	}
	MUST(out[n] == '\0' && strlen(out) == (size_t)n, "%zd bytes", n);
	text.s = out;
	text.len = (size_t)n;
	r = ws_token_check(k, text, NOW, again, &u);
	MUST(r == 0, "made anew: %s", u.error);
	MUST(u.exp == t.exp && same(u.sub, t.sub) && u.nchannels ==
	    t.nchannels, "made anew: another");
	for (i = 0; i < t.nchannels; i++)
		MUST(same(u.channels[i], t.channels[i]), "channel %u", i);
}

static void
check_keys(const char *file, size_t len)
{
	static const struct ws_token_keys zero;
	struct ws_token_keys k;
	char error[WS_ERROR_MAX];
	size_t i, secrets = 0, n = 0;
	int r;

	memset(&k, 'x', sizeof k);
	memset(error, 'x', sizeof error);
	r = ws_token_keys_read(&k, file, len, error);
	if (r != 0) {
		MUST(r == -1 && memcmp(&k, &zero, sizeof k) == 0, "%d", r);
		MUST(memchr(error, 0, sizeof error) != NULL, "no end");
		for (i = 0; error[i] != '\0'; i++)
			MUST(error[i] >= ' ' && error[i] <= '~', "\"%s\"",
			    error);
		return;
	}
	for (i = 0; i <= len; i++)
		if (i == len || file[i] == '\n') {
			secrets += n >= WS_TOKEN_SECRET_MIN;
			n = 0;
		} else if (file[i] != '\r')
			n++;
	MUST(k.n == secrets && k.n >= 1 && k.n <= WS_TOKEN_KEYS, "%u keys, "
	    "%zu secrets", k.n, secrets);
}

int
fuzz_token(const uint8_t *data, size_t len)
{
	static struct ws_token_keys k;
	unsigned char mac[WS_TOKEN_MAC];
	const uint8_t *cut, *end;
	char *out, *token;
	size_t n;

	if (k.n == 0) {
		k.n = 1;
		ws_token_key(&k.key[0], SECRET, sizeof SECRET - 1);
	}
	if (len < 1 || len > 16384)
		return 0;
	token = fuzz_copy(data + 1, len - 1);
	if (data[0] < 64)
		check(&k, token, len - 1);
	else if (data[0] < 96)
		check_keys(token, len - 1);
	free(token);
	if (data[0] < 96)
		return 0;

	out = malloc(2 * len + 100);
	MUST(out != NULL, "no memory");
	end = data + len;
	cut = memchr(++data, 0, len - 1);
	if (cut == NULL)
		cut = end;
	n = put(out, data, (size_t)(cut - data));
	out[n++] = '.';
	if (cut < end)
		n += put(out + n, cut + 1, (size_t)(end - cut) - 1);
	ws_token_mac(mac, &k.key[0], out, n);
	out[n++] = '.';
	n += put(out + n, mac, sizeof mac);
	token = fuzz_copy(out, n);
	free(out);
	check(&k, token, n);
	free(token);
	return 0;
}
