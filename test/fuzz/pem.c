/* wshub: ISC licence, see LICENSE. */
/*
 * Certificates and keys. The first byte of the input says what follows: chain
 * and key as PEM, with a NUL between; or as DER, which is put into PEM here,
 * so that changes get as far as the decoders. No block of a pair that is taken
 * was left out: if its BEGIN or END is misspelt, it is refused.
 */
#include "../../ws.h"
#include "fuzz.h"

/* Puts der into a PEM block at out. */
static size_t
armour(char *out, const char *name, const uint8_t *der, size_t len)
{
	size_t n = (size_t)sprintf(out, "-----BEGIN %s-----\n", name), k;

	for (; len > 0; der += k, len -= k) {
		k = len < 48 ? len : 48;
		n += ws_base64(out + n, der, k);
		out[n++] = '\n';
	}
	return n + (size_t)sprintf(out + n, "-----END %s-----\n", name);
}

/* How often that is in the text; *last is where it is the last time. */
static size_t
count(struct ws_text text, const char *what, size_t *last)
{
	size_t i, n = 0, len = strlen(what);

	for (i = 0; i + len <= text.len; i++)
		if (memcmp(text.s + i, what, len) == 0) {
			*last = i;
			n++;
		}
	return n;
}

static void
check_blocks(struct ws_text chain, struct ws_text key)
{
	char words[WS_ERROR_MAX], *p;
	struct ws_text *text;
	size_t i, begin = 0, end = 0;

	for (i = 0; i < 2; i++) {
		text = i == 0 ? &chain : &key;
		MUST(count(*text, "-----BEGIN ", &begin) ==
		    count(*text, "-----END ", &end) && begin < end,
		    "a block was left out");
		p = (char *)(uintptr_t)text->s;
		p[begin + 6] = 'A';
		MUST(ws_tls_config_new(chain, key, words) == NULL,
		    "\"BAGIN\" was taken");
		p[begin + 6] = 'E';
		p[end + 6] = 'M';
		MUST(ws_tls_config_new(chain, key, words) == NULL,
		    "\"EMD\" was taken");
		p[end + 6] = 'N';
	}
}

int
fuzz_pem(const uint8_t *data, size_t len)
{
	static const char *const names[] = { "PRIVATE KEY", "RSA PRIVATE KEY",
	    "EC PRIVATE KEY" };
	char words[WS_ERROR_MAX], *c, *k;
	struct ws_tls_config *config;
	struct ws_tls *t;
	struct ws_text chain, key;
	const uint8_t *cut;
	size_t n;

	if (len < 3 || len > 12000)
		return 0;
	c = malloc(2 * len + 100);
	k = malloc(2 * len + 100);
	MUST(c != NULL && k != NULL, "no memory");
	if (data[0] < 128) {
		cut = memchr(data + 1, 0, len - 1);
		n = cut == NULL ? len - 1 : (size_t)(cut - data - 1);
		memcpy(c, data + 1, chain.len = n);
		n = cut == NULL ? 0 : len - n - 2;
		memcpy(k, data + len - n, key.len = n);
	} else {
		n = ((size_t)data[1] << 8 | data[2]) % (len - 2);
		chain.len = armour(c, "CERTIFICATE", data + 3, n);
		key.len = armour(k, names[data[0] % 3], data + 3 + n,
		    len - 3 - n);
	}
	chain.s = fuzz_copy(c, chain.len);
	key.s = fuzz_copy(k, key.len);
	free(c);
	free(k);
	memset(words, 'x', sizeof words);
	config = ws_tls_config_new(chain, key, words);
	MUST(memchr(words, 0, sizeof words) != NULL, "words without an end");
	MUST(config != NULL || words[0] != '\0', "no words");
	for (n = 0; words[n] != '\0'; n++)
		MUST(words[n] >= ' ', "words with a control character");
	if (config != NULL)
		check_blocks(chain, key);
	free((char *)(uintptr_t)chain.s);
	free((char *)(uintptr_t)key.s);
	if (config != NULL) {
		t = ws_tls_new(config, -1);
		ws_tls_config_release(config);
		ws_tls_free(t);
	}
	return 0;
}
