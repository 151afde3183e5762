/* wshub: ISC licence, see LICENSE. */
/* Certificates and private keys, decoded from PEM by BearSSL, and checked. */
#define _POSIX_C_SOURCE 200809L
#define _FILE_OFFSET_BITS 64 /* glibc requires it for the next */
#define _TIME_BITS 64 /* time after 2038 on 32-bit systems */
#include <bearssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cert.h"
#include "ws.h"

#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 4096 /* the limit of br_ssl_engine_context.pad */

#define DATE_MAX 64 /* bytes for a date, with some to spare */
#define EPOCH_DAYS 719528 /* from January 1st of year 0 to that of 1970 */

/*
 * Explicit curve parameters (RFC 3279 section 2.3.5) contain the type of the
 * curve's field. In DER this is an object identifier that begins like this:
 * 1.2.840.10045.1, and one more number.
 */
#define EXPLICIT_CURVE "\x06\x07\x2a\x86\x48\xce\x3d\x01"

/* 1 if the DER has explicit curve parameters. */
static int
has_explicit_curve(const void *data, size_t len)
{
	static const char oid[] = EXPLICIT_CURVE;
	const char *der = data;

	for (; len >= sizeof oid - 1; der++, len--)
		if (memcmp(der, oid, sizeof oid - 1) == 0)
			return 1;
	return 0;
}

/* Passes a line with its newline to BearSSL's decoder; returns its event. */
static int
push_line(br_pem_decoder_context *decoder, struct ws_text line)
{
	br_pem_decoder_push(decoder, line.s, line.len);
	br_pem_decoder_push(decoder, "\n", 1);
	return br_pem_decoder_event(decoder);
}

/*
 * Reads the rest of a block and passes its DER to push. If push is NULL, it
 * only skips the block.
 */
static int
decode_block(struct ws_pem *p, br_pem_decoder_context *decoder,
    void (*push)(void *, const void *, size_t), void *arg)
{
	static const struct ws_text begin = { "-----BEGIN X-----", 17 };
	static const struct ws_text end = { "-----END X-----", 15 };
	struct ws_text line;
	int r;

	br_pem_decoder_init(decoder);
	(void)push_line(decoder, begin);
	br_pem_decoder_setdest(decoder, push, arg);
	while ((r = ws_pem_line(p, &line)) > 0)
		if (push != NULL && push_line(decoder, line) != 0)
			return ws_pem_fail(p, "bad base64");
	if (r == 0 && push != NULL &&
	    push_line(decoder, end) != BR_PEM_END_OBJ)
		return ws_pem_fail(p, "bad base64");
	return r;
}

static void
push_cert(void *arg, const void *data, size_t len)
{
	struct ws_cert *c = arg;

	memcpy(c->der + c->nder, data, len);
	c->nder += len;
}

/*
 * BearSSL 0.6's key decoder dereferences a null pointer if it gets data after
 * it has finished.
 */
static void
push_key(void *arg, const void *data, size_t len)
{
	struct ws_cert *c = arg;

	if (br_skey_decoder_last_error(&c->key) != BR_ERR_X509_TRUNCATED)
		return;
	br_skey_decoder_push(&c->key, data, len);
	if (br_skey_decoder_last_error(&c->key) == BR_ERR_X509_UNEXPECTED)
		c->explicit = has_explicit_curve(data, len);
}

/*
 * Reads a PEM text, counts its blocks by kind in found, and decodes those of
 * kind want: every certificate, or the first key. The DER of a key is passed
 * directly to the key decoder, so the only copies of it are c->key and the PEM
 * decoder, which is wiped here.
 */
static int
read_pem(struct ws_cert *c, struct ws_text text, int want,
    unsigned found[WS_PEM_KINDS], char error[WS_ERROR_MAX])
{
	br_pem_decoder_context decoder;
	br_x509_certificate *cert;
	struct ws_pem p;
	int kind, r = 0;

	memset(found, 0, WS_PEM_KINDS * sizeof *found);
	memset(&p, 0, sizeof p);
	p.left = text;
	p.line = 1;
	p.name = want == WS_PEM_CERTIFICATE ? "certificates" : "private key";
	p.error = error;
	while (r == 0 && (kind = ws_pem_begin(&p)) > WS_PEM_END) {
		found[kind]++;
		if (kind == want && kind == WS_PEM_CERTIFICATE) {
			cert = &c->chain[c->nchain++];
			cert->data = c->der + c->nder;
			r = decode_block(&p, &decoder, push_cert, c);
			cert->data_len = (size_t)(c->der + c->nder -
			    cert->data);
			if (r == 0 && cert->data_len == 0)
				r = ws_pem_fail(&p, "the block is empty");
		} else if (kind == want && found[kind] == 1) {
			br_skey_decoder_init(&c->key);
			r = decode_block(&p, &decoder, push_key, c);
		} else {
			r = decode_block(&p, &decoder, NULL, NULL);
		}
	}
	ws_wipe(&decoder, sizeof decoder);
	return r == 0 ? kind : -1;
}

/*
 * 1 if the private key matches pub. An RSA key is tested by a signature,
 * because BearSSL 0.6 cannot compute the modulus of a 4096-bit key. This also
 * detects a damaged key.
 */
static int
key_matches(const struct ws_cert *c, const br_x509_pkey *pub)
{
	static const unsigned char hash[32] = { 1 };
	const br_rsa_private_key *rsa = &c->key.key.rsa;
	br_ec_public_key ec;
	unsigned char sig[RSA_BITS_MAX / 8], found[sizeof hash];
	unsigned char q[BR_EC_KBUF_PUB_MAX_SIZE];
	size_t len;

	if (pub->key_type != c->key.key_type)
		return 0;
	if (pub->key_type == BR_KEYTYPE_RSA)
		return br_rsa_pkcs1_sign_get_default()(BR_HASH_OID_SHA256,
		    hash, sizeof hash, rsa, sig) == 1 &&
		    br_rsa_pkcs1_vrfy_get_default()(sig,
		    (rsa->n_bitlen + 7) / 8, BR_HASH_OID_SHA256, sizeof hash,
		    &pub->key.rsa, found) == 1 &&
		    memcmp(hash, found, sizeof hash) == 0;
	len = br_ec_compute_pub(br_ec_get_default(), &ec, q, &c->key.key.ec);
	return len != 0 && len == pub->key.ec.qlen &&
	    ec.curve == pub->key.ec.curve &&
	    memcmp(q, pub->key.ec.q, len) == 0;
}

/* Days from the beginning of year 0 to the beginning of that year. */
static uint32_t
days_before(uint32_t year)
{
	return year * 365 + (year + 3) / 4 - (year + 99) / 100 +
	    (year + 399) / 400;
}

/* Formats a certificate's date, which a 32-bit time_t may not hold. */
static void
write_date(char date[DATE_MAX], uint32_t days, uint32_t seconds)
{
	static const unsigned char lengths[] = {
		31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31
	};
	uint32_t year = days / 366, month = 0, length = 31;

	while (days_before(year + 1) <= days)
		year++;
	days -= days_before(year);
	while (days >= length) {
		days -= length;
		length = lengths[++month];
		if (month == 1 && days_before(year + 1) - days_before(year) ==
		    366)
			length++;
	}
	snprintf(date, DATE_MAX, "%04u-%02u-%02u %02u:%02u UTC",
	    (unsigned)year, (unsigned)month + 1, (unsigned)days + 1,
	    (unsigned)seconds / 3600, (unsigned)seconds / 60 % 60);
}

/* Writes a warning to error if the certificate is not valid now. */
static void
check_dates(const br_x509_decoder_context *d, char error[WS_ERROR_MAX])
{
	int64_t now = time(NULL), from, until;
	char date[DATE_MAX];

	from = ((int64_t)d->notbefore_days - EPOCH_DAYS) * 86400 +
	    d->notbefore_seconds;
	until = ((int64_t)d->notafter_days - EPOCH_DAYS) * 86400 +
	    d->notafter_seconds;
	if (from <= now && now <= until)
		return;
	if (now < from) {
		write_date(date, d->notbefore_days, d->notbefore_seconds);
		ws_fail(error, "the certificate is not valid before %s", date);
	} else {
		write_date(date, d->notafter_days, d->notafter_seconds);
		ws_fail(error, "the certificate expired on %s", date);
	}
}

/* Decodes and checks chain and key: 0, or -1 with an error message. */
static int
load(struct ws_cert *c, struct ws_text chain, struct ws_text key,
    char error[WS_ERROR_MAX])
{
	static const char unsupported[] = "%s is of an unsupported kind: RSA "
	    "of 2048 to 4096 bits, or EC (P-256, P-384, P-521) is needed";
	static const char explicit[] = "%s has explicit curve parameters, "
	    "which are unsupported: use the named curve P-256, P-384 or "
	    "P-521";
	unsigned certs[WS_PEM_KINDS], keys[WS_PEM_KINDS];
	br_x509_decoder_context leaf;
	const br_x509_pkey *pub;
	int code;

	if (read_pem(c, chain, WS_PEM_CERTIFICATE, certs, error) == -1 ||
	    read_pem(c, key, WS_PEM_KEY, keys, error) == -1)
		return -1;
	if (c->nchain == 0 && keys[WS_PEM_CERTIFICATE] != 0 &&
	    certs[WS_PEM_KEY] + certs[WS_PEM_ENCRYPTED_KEY] +
	    certs[WS_PEM_FOREIGN_KEY] != 0)
		return ws_fail(error, "certificate and key are swapped");
	if (c->nchain == 0)
		return ws_fail(error, "no certificate: a PEM block "
		    "\"-----BEGIN CERTIFICATE-----\" is wanted");
	if (keys[WS_PEM_KEY] == 0 && keys[WS_PEM_ENCRYPTED_KEY] != 0)
		return ws_fail(error, "the private key is encrypted: decrypt "
		    "it with \"openssl pkey -in KEY -out NEWKEY\"");
	if (keys[WS_PEM_KEY] == 0 && keys[WS_PEM_FOREIGN_KEY] != 0)
		return ws_fail(error, unsupported, "the private key");
	if (keys[WS_PEM_KEY] == 0)
		return ws_fail(error, "no private key: a PEM block "
		    "\"-----BEGIN PRIVATE KEY-----\" is wanted");

	code = br_skey_decoder_last_error(&c->key);
	if (c->explicit)
		return ws_fail(error, explicit, "the private key");
	if (code == BR_ERR_X509_UNSUPPORTED ||
	    code == BR_ERR_X509_LIMIT_EXCEEDED ||
	    (code == 0 && c->key.key_type == BR_KEYTYPE_RSA &&
	    (c->key.key.rsa.n_bitlen < RSA_BITS_MIN ||
	    c->key.key.rsa.n_bitlen > RSA_BITS_MAX)))
		return ws_fail(error, unsupported, "the private key");
	if (code != 0)
		return ws_fail(error, "the private key is damaged (BearSSL "
		    "error %d)", code);

	br_x509_decoder_init(&leaf, NULL, NULL);
	br_x509_decoder_push(&leaf, c->chain[0].data, c->chain[0].data_len);
	pub = br_x509_decoder_get_pkey(&leaf);
	code = br_x509_decoder_last_error(&leaf);
	if (code == BR_ERR_X509_UNSUPPORTED ||
	    code == BR_ERR_X509_LIMIT_EXCEEDED)
		return ws_fail(error, unsupported, "the certificate's key");
	if (code == BR_ERR_X509_UNEXPECTED &&
	    has_explicit_curve(c->chain[0].data, c->chain[0].data_len))
		return ws_fail(error, explicit, "the certificate's key");
	if (pub == NULL)
		return ws_fail(error, "the first certificate is damaged "
		    "(BearSSL error %d)", code);
	if (!key_matches(c, pub))
		return ws_fail(error, "the private key does not belong to the "
		    "first certificate");
	check_dates(&leaf, error);
	return 0;
}

/* see cert.h */
int
ws_cert_load(struct ws_cert *c, struct ws_text chain, struct ws_text key,
    char error[WS_ERROR_MAX])
{
	error[0] = '\0';
	/* DER is shorter than PEM, and a PEM block has at least 33 bytes. */
	c->der = malloc(chain.len + 1);
	c->chain = calloc(chain.len / 32 + 1, sizeof *c->chain);
	if (c->der == NULL || c->chain == NULL)
		return ws_fail(error, "out of memory");
	return load(c, chain, key, error);
}

/* see cert.h */
void
ws_cert_free(struct ws_cert *c)
{
	free(c->chain);
	free(c->der);
	ws_wipe(c, sizeof *c);
}
