/* wshub: ISC licence, see LICENSE. */
/*
 * TLS 1.2 for a server that waits a lot, on BearSSL.
 *
 *
 * Lending
 * -------
 *
 * BearSSL's engine wants 33 KB of record buffers beside its 4 KB context, and
 * never allocates. A hub's clients are silent nearly always, so there is one
 * pair of buffers, and it is lent to a session for the length of a call:
 *
 *     lend()     points the engine at the pair, puts back what was kept
 *     ...        the engine runs
 *     settle()   keeps what the engine still needs, takes the pair away
 *
 * What an engine needs between calls follows from its registers, which
 * ssl_engine.c explains. Buffers hold a record at a time, from index 0.
 *
 *     in:   bytes [0, max(ixa, ixb)). Between records ixa == ixb == 0. While
 *           a record comes in, ixa == ixb is where its next byte goes. ixa <
 *           ixb: plaintext of a handshake that was not yet looked at. (The
 *           five bytes of the header are not read twice, but they are few.)
 *     out:  bytes [oxa, oxc), when a finished record is being sent. When none
 *           is, oxa == oxc; and oxa > oxc while application data gathers for
 *           a record, which does not happen here between calls, since every
 *           call that puts data in finishes the record.
 *
 * So an idle session needs nothing and owns nothing; one that is stuck in the
 * middle of a record owns just those bytes, in one block. They are record
 * bytes: ciphertext, or a handshake's. Other pointers into the buffers
 * (hbuf_in, hbuf_out, saved_hbuf_out) are set anew whenever the handshake
 * code is entered. Between calls ibuf and obuf are NULL, so that an engine
 * that is run without a loan faults at once.
 *
 * ibuf, obuf, ixa, ixb, oxa, oxc, shutdown_recv, ecdhe_point_len, version_out
 * and rng_os_rand_done are members that BearSSL's header shows but does not
 * promise; they are the same in every release so far (0.3 to 0.6).
 *
 *
 * Templates
 * ---------
 *
 * A configuration holds a server context with everything set; a session is a
 * copy of it. Of the pointers in a fresh context two point into the context:
 * policy_vtable, and mhash in the chain handler. In a copy they go on pointing
 * into the template, where nothing they lead to ever changes, and which lives
 * as long as the last session. br_ssl_server_reset() sets the others.
 */
/* The BSDs' and macOS's names beside POSIX's. */
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64 /* what glibc wants to see for the next */
#define _TIME_BITS 64 /* 2038, on 32-bit systems */
#include <sys/types.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <assert.h>
#include <bearssl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ws.h"

#ifndef MSG_MORE
#define MSG_MORE 0 /* then a handshake takes one segment more */
#endif

/*
 * recv(2) calls before somebody else has a turn: a handshake takes about ten,
 * but a peer can send empty records without end.
 */
#define READS_MAX 64

/* 100 bytes a session: 5,242 can resume. Resident only as it fills. */
#define CACHE_SIZE ((size_t)512 * 1024)

#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 4096 /* what br_ssl_engine_context.pad has room for */

/*
 * BearSSL 0.6's decoder believes that key_data, at its very end, is larger
 * than it is, and writes past it if the file has a key of over 4,096 bits.
 */
#define KEY_SLACK (3 * (BR_X509_BUFSIZE_KEY - BR_X509_BUFSIZE_SIG))

#define DATE_MAX 64 /* bytes of a date, and more than that */
#define EPOCH_DAYS 719528 /* from January 1st of year 0 to that of 1970 */

/* Losses of our own. BearSSL's numbers end at 767, errno is kept negated. */
enum {
	LOST_MEMORY = 1024,
	LOST_HANGUP,
	LOST_CLOSED,
	LOST_STUCK
};

struct ws_tls_config {
	unsigned refs;
	br_ssl_server_context fresh; /* the template */
	br_ssl_session_cache_lru cache;
	unsigned char *store;       /* the cache's */
	br_skey_decoder_context key; /* owns the numbers of the key */
	unsigned char slack[KEY_SLACK];
	int explicit; /* the key describes its curve instead of naming it */
	br_x509_certificate *chain;
	size_t nchain;
	unsigned char *der;         /* the certificates, one after the other */
	size_t nder;
};

struct ws_tls {
	br_ssl_server_context server;
	struct ws_tls_config *config;
	unsigned char *stash; /* nin bytes of ibuf, nout bytes of obuf */
	int fd;
	int lost;             /* BearSSL's error, LOST_..., -errno; 0: none */
	uint16_t nin, nout;
	unsigned char open;   /* the handshake is over, its last record sent */
	unsigned char sealed; /* our ChangeCipherSpec was sent */
	unsigned char closed; /* by us */
};

/*
 * In DER, a curve that is described rather than named has the kind of its
 * field: 1.2.840.10045.1, and one number more.
 */
#define EXPLICIT_CURVE "\x06\x07\x2a\x86\x48\xce\x3d\x01"

static unsigned char lent_in[BR_SSL_BUFSIZE_INPUT];
static unsigned char lent_out[BR_SSL_BUFSIZE_OUTPUT];

/*
 * For EC and RSA keys, in order of preference where the CPU has no AES
 * instructions; where it has, the first is passed over and so comes last.
 * (Of each kind just its own: the engine interprets byte code to compare
 * every suite of the client with every one of these.)
 */
static const uint16_t suites[2][4] = { {
	BR_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
	BR_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	BR_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
	BR_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
}, {
	BR_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	BR_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	BR_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	BR_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256
} };

/* The words of an alert are the same whoever sent it. */
#define ALERT(n) (BR_ERR_RECV_FATAL_ALERT + (n))

/*
 * Errors, and the alert that is due (RFC 5246 section 7.2, RFC 5746) where
 * BearSSL sends none: 0 is for peers that do not speak TLS, for alerts, which
 * are not answered, and for losses of our own.
 */
static const struct reason {
	int code, alert;
	const char *text;
} reasons[] = {
	{ BR_ERR_BAD_PARAM, 50, "malformed message" },
	{ BR_ERR_BAD_STATE, 80, "not possible now" },
	{ BR_ERR_UNSUPPORTED_VERSION, 0, "not TLS" },
	{ BR_ERR_BAD_VERSION, 70, "bad version" },
	{ BR_ERR_BAD_LENGTH, 22, "bad record length" },
	{ BR_ERR_TOO_LARGE, 22, "record too large" },
	{ BR_ERR_BAD_MAC, 20, "bad MAC" },
	{ BR_ERR_NO_RANDOM, 80, "no entropy" },
	{ BR_ERR_UNKNOWN_TYPE, 10, "unknown record type" },
	{ BR_ERR_UNEXPECTED, 10, "unexpected message" },
	{ BR_ERR_BAD_CCS, 10, "bad ChangeCipherSpec" },
	{ BR_ERR_BAD_ALERT, 0, "bad alert" },
	{ BR_ERR_BAD_HANDSHAKE, 50, "bad handshake" },
	{ BR_ERR_OVERSIZED_ID, 50, "session id too long" },
	{ BR_ERR_BAD_CIPHER_SUITE, 47, "bad cipher suite" },
	{ BR_ERR_BAD_COMPRESSION, 47, "bad compression method" },
	{ BR_ERR_BAD_FRAGLEN, 47, "bad max_fragment_length" },
	{ BR_ERR_BAD_SECRENEG, 40, "bad renegotiation_info" },
	{ BR_ERR_EXTRA_EXTENSION, 110, "extension not asked for" },
	{ BR_ERR_BAD_SNI, 47, "bad server name" },
	{ BR_ERR_BAD_HELLO_DONE, 50, "bad ServerHelloDone" },
	{ BR_ERR_LIMIT_EXCEEDED, 40, "key too large" },
	{ BR_ERR_BAD_FINISHED, 51, "bad Finished" },
	{ BR_ERR_RESUME_MISMATCH, 47, "resumed in another way" },
	{ BR_ERR_INVALID_ALGORITHM, 47, "unsupported algorithm" },
	{ BR_ERR_BAD_SIGNATURE, 51, "bad signature" },
	{ BR_ERR_WRONG_KEY_USAGE, 43, "key not meant for that" },
	{ BR_ERR_NO_CLIENT_AUTH, 40, "no client certificate" },
	{ BR_ERR_IO, 0, "input or output failed" },
	{ ALERT(10), 0, "unexpected message" },
	{ ALERT(20), 0, "bad record MAC" },
	{ ALERT(40), 0, "nothing in common" },
	{ ALERT(42), 0, "bad certificate" },
	{ ALERT(45), 0, "certificate expired" },
	{ ALERT(46), 0, "certificate not accepted" },
	{ ALERT(47), 0, "illegal parameter" },
	{ ALERT(48), 0, "unknown CA" },
	{ ALERT(50), 0, "decode error" },
	{ ALERT(51), 0, "decrypt error" },
	{ ALERT(70), 0, "protocol version" },
	{ ALERT(80), 0, "internal error" },
	{ ALERT(86), 0, "inappropriate fallback" },
	{ ALERT(100), 0, "no renegotiation" },
	{ ALERT(112), 0, "unrecognized name" },
	{ LOST_MEMORY, 0, "out of memory" },
	{ LOST_HANGUP, 0, "connection closed during the handshake" },
	{ LOST_CLOSED, 0, "written to after close" },
	{ LOST_STUCK, 0, "renegotiation while there was unsent data" }
};

/* A memset that no compiler can take for a dead store. */
static void *(*const volatile forget)(void *, int, size_t) = memset;

/* ------------------------------------------------------- configurations */

/* Whether the DER describes a curve rather than naming one. */
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

/* Pushes a line: BearSSL's decoder acts on whole lines. Returns its event. */
static int
push_line(br_pem_decoder_context *decoder, struct ws_text line)
{
	br_pem_decoder_push(decoder, line.s, line.len);
	br_pem_decoder_push(decoder, "\n", 1);
	return br_pem_decoder_event(decoder);
}

/* Reads the rest of a block and decodes it to push, unless that is NULL. */
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
	struct ws_tls_config *c = arg;

	memcpy(c->der + c->nder, data, len);
	c->nder += len;
}

/* BearSSL 0.6's decoder follows a null pointer if pushed when it is done. */
static void
push_key(void *arg, const void *data, size_t len)
{
	struct ws_tls_config *c = arg;

	if (br_skey_decoder_last_error(&c->key) != BR_ERR_X509_TRUNCATED)
		return;
	br_skey_decoder_push(&c->key, data, len);
	if (br_skey_decoder_last_error(&c->key) == BR_ERR_X509_UNEXPECTED)
		c->explicit = has_explicit_curve(data, len);
}

/*
 * Reads a PEM text, counts its blocks by kind in found, and decodes those that
 * are wanted: every certificate, or the first key. The DER of a key goes right
 * into its decoder: the only copies are c->key and the PEM decoder's, wiped
 * here.
 */
static int
read_pem(struct ws_tls_config *c, struct ws_text text, int want,
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
	forget(&decoder, 0, sizeof decoder);
	return r == 0 ? kind : -1;
}

/*
 * 1 if the private key is the other half of pub. RSA is tried out, since
 * BearSSL 0.6 cannot compute the modulus of 4096-bit keys; that also finds a
 * damaged one.
 */
static int
belongs(const struct ws_tls_config *c, const br_x509_pkey *pub)
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

/* Days of the years before that one, from the year 0 on. */
static uint32_t
days_before(uint32_t year)
{
	return year * 365 + (year + 3) / 4 - (year + 99) / 100 +
	    (year + 399) / 400;
}

/* A certificate's date, which time_t may be too narrow for. */
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

/* A warning, if the certificate is not valid now. */
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

/* Takes chain and key apart; -1 with a sentence. */
static int
load(struct ws_tls_config *c, struct ws_text chain, struct ws_text key,
    char error[WS_ERROR_MAX])
{
	static const char unsupported[] = "%s is of an unsupported kind: RSA "
	    "of 2048 to 4096 bits, or EC (P-256, P-384, P-521) is wanted";
	static const char explicit[] = "%s has a curve of its own (explicit "
	    "parameters), which is unsupported: P-256, P-384 or P-521 is "
	    "wanted, by name";
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
	if (!belongs(c, pub))
		return ws_fail(error, "the private key does not belong to the "
		    "first certificate");
	check_dates(&leaf, error);
	return 0;
}

/*
 * Sets everything in the template. The _init_full_ functions would pull in
 * every cipher there is.
 *
 * Protocol names (ALPN) are not set, and so BearSSL skips that extension. With
 * names set it marks "none in common" with 0xFFFF, and clears the mark only in
 * a full handshake: one that resumes takes it for an index and copies whatever
 * is there. Clients need no answer: a server may ignore the extension.
 *
 * What else only a full handshake sets (the chain, the hash to sign with, the
 * suites in common, the ECDHE point) is read in full handshakes alone, and no
 * second one follows in a session, since renegotiation is refused. A resumed
 * session's suite comes from the cache of this very template, and so is one of
 * its suites. No other number that stands for "none" is used as an index.
 */
static void
prepare(struct ws_tls_config *c)
{
	br_ssl_server_context *s = &c->fresh;
	br_ssl_engine_context *e = &s->eng;
	int aes, rsa = c->key.key_type == BR_KEYTYPE_RSA;

	aes = br_aes_x86ni_ctr_get_vtable() != NULL ||
	    br_aes_pwr8_ctr_get_vtable() != NULL;

	br_ssl_server_zero(s);
	br_ssl_engine_set_versions(e, BR_TLS12, BR_TLS12);
	br_ssl_engine_set_suites(e, suites[rsa] + aes, 3);
	br_ssl_engine_add_flags(e, BR_OPT_ENFORCE_SERVER_PREFERENCES |
	    BR_OPT_NO_RENEGOTIATION);

	/* SHA-256 and 384 for the PRF; 512 comes with 384, for signatures. */
	br_ssl_engine_set_hash(e, br_sha256_ID, &br_sha256_vtable);
	br_ssl_engine_set_hash(e, br_sha384_ID, &br_sha384_vtable);
	br_ssl_engine_set_hash(e, br_sha512_ID, &br_sha512_vtable);
	br_ssl_engine_set_prf_sha256(e, br_tls12_sha256_prf);
	br_ssl_engine_set_prf_sha384(e, br_tls12_sha384_prf);
	br_ssl_engine_set_default_ec(e);
	br_ssl_engine_set_default_aes_gcm(e);
	br_ssl_engine_set_default_chapol(e);

	if (rsa)
		/* No suite has the server decrypt with its key. */
		br_ssl_server_set_single_rsa(s, c->chain, c->nchain,
		    &c->key.key.rsa, BR_KEYTYPE_SIGN, NULL,
		    br_rsa_pkcs1_sign_get_default());
	else
		br_ssl_server_set_single_ec(s, c->chain, c->nchain,
		    &c->key.key.ec, BR_KEYTYPE_SIGN, 0,
		    br_ssl_engine_get_ec(e), br_ecdsa_sign_asn1_get_default());

	br_ssl_session_cache_lru_init(&c->cache, c->store, CACHE_SIZE);
	br_ssl_server_set_cache(s, &c->cache.vtable);
	br_ssl_engine_set_buffers_bidi(e, lent_in, sizeof lent_in, lent_out,
	    sizeof lent_out);

	/*
	 * The engine would open /dev/urandom for every session, also when it
	 * has been given entropy, which a process that is chrooted or pledged
	 * cannot do. ws_tls_new gives it ws_entropy's.
	 */
	e->rng_os_rand_done = 1;
}

/* see ws.h */
struct ws_tls_config *
ws_tls_config_new(struct ws_text chain, struct ws_text key,
    char error[WS_ERROR_MAX])
{
	struct ws_tls_config *c;

	error[0] = '\0';
	if ((c = calloc(1, sizeof *c)) == NULL)
		goto memory;
	c->refs = 1;
	/* DER is shorter than its PEM, and no block is under 33 bytes. */
	c->der = malloc(chain.len + 1);
	c->chain = calloc(chain.len / 32 + 1, sizeof *c->chain);
	c->store = malloc(CACHE_SIZE);
	if (c->der == NULL || c->chain == NULL || c->store == NULL)
		goto memory;
	if (load(c, chain, key, error) == -1)
		goto fail;
	prepare(c);
	return c;

memory:
	ws_fail(error, "out of memory");
fail:
	ws_tls_config_release(c);
	return NULL;
}

/* see ws.h */
struct ws_tls_config *
ws_tls_config_reference(struct ws_tls_config *c)
{
	c->refs++;
	return c;
}

/* see ws.h */
void
ws_tls_config_release(struct ws_tls_config *c)
{
	if (c == NULL || --c->refs != 0)
		return;
	/* The store has secrets as well, as far as it was ever used. */
	if (c->cache.store_ptr != 0)
		forget(c->store, 0, c->cache.store_ptr);
	free(c->store);
	free(c->chain);
	free(c->der);
	forget(c, 0, sizeof *c);
	free(c);
}

/* ------------------------------------------------------------- sessions */

/* The first reason stays. */
static ssize_t
fail_session(struct ws_tls *t, int code)
{
	if (t->lost == 0)
		t->lost = code;
	return WS_ERROR;
}

static void
lend(struct ws_tls *t)
{
	br_ssl_engine_context *e = &t->server.eng;

	e->ibuf = lent_in;
	e->obuf = lent_out;
	if (t->nin != 0)
		memcpy(lent_in, t->stash, t->nin);
	if (t->nout != 0)
		memcpy(lent_out + e->oxa, t->stash + t->nin, t->nout);
}

/*
 * Ends a loan; passes on r, what the call is to return. If there is no memory
 * for the stash, the session is lost, and nobody else.
 */
static ssize_t
end_loan(struct ws_tls *t, ssize_t r)
{
	br_ssl_engine_context *e = &t->server.eng;
	unsigned char *stash;
	size_t in = 0, out = 0;

	if (t->lost == 0 &&
	    br_ssl_engine_current_state(e) != BR_SSL_CLOSED) {
		assert(e->oxa <= e->oxc);
		in = e->ixa > e->ixb ? e->ixa : e->ixb;
		out = e->oxc - e->oxa;
	}
	if (in + out != 0) {
		if ((stash = realloc(t->stash, in + out)) == NULL) {
			in = out = 0;
			r = fail_session(t, LOST_MEMORY);
		} else {
			memcpy(stash, lent_in, in);
			memcpy(stash + in, lent_out + e->oxa, out);
			t->stash = stash;
		}
	}
	if (in + out == 0) {
		free(t->stash);
		t->stash = NULL;
	}
	t->nin = (uint16_t)in;
	t->nout = (uint16_t)out;
	e->ibuf = e->obuf = NULL;
	return r;
}

/*
 * Sends finished records: 0 when none is left. A ChangeCipherSpec (20, and
 * six bytes long) waits for the Finished that always follows at once.
 */
static ssize_t
send_records(struct ws_tls *t)
{
	br_ssl_engine_context *e = &t->server.eng;
	unsigned char *p;
	size_t len;
	ssize_t n;
	int ccs;

	while ((p = br_ssl_engine_sendrec_buf(e, &len)) != NULL) {
		ccs = !t->open && len == 6 && p[0] == 20;
		t->sealed |= (unsigned char)ccs;
		n = send(t->fd, p, len, MSG_NOSIGNAL | (ccs ? MSG_MORE : 0));
		if (n >= 0)
			br_ssl_engine_sendrec_ack(e, (size_t)n);
		else if (errno == EAGAIN || errno == EWOULDBLOCK ||
		    errno == ENOBUFS)
			return WS_WANT_OUT;
		else if (errno != EINTR)
			return fail_session(t, -errno);
	}
	return 0;
}

/* The reason with that code, or NULL. */
static const struct reason *
find_reason(int code)
{
	size_t i;

	for (i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
		if (reasons[i].code == code)
			return &reasons[i];
	return NULL;
}

/*
 * Says why in a plaintext alert, where BearSSL gives up without one: only until
 * our ChangeCipherSpec, and if it does not go out at once, it does not.
 */
static void
send_alert(struct ws_tls *t, int error)
{
	const struct reason *reason = find_reason(error);
	unsigned version = t->server.eng.version_out;
	unsigned char alert[7] = { 21, 3, 1, 0, 2, 2, 0 };

	if (reason == NULL || reason->alert == 0 || t->open || t->sealed)
		return;
	alert[2] = (unsigned char)version;
	alert[6] = (unsigned char)reason->alert;
	(void)send(t->fd, alert, sizeof alert, MSG_NOSIGNAL);
}

/*
 * Sends what there is and finds out where the session stands: 0, WS_WANT_OUT,
 * or WS_ERROR, which includes the engine's reasons. An engine that gives up
 * may have put its alert in a record first: that is out by then.
 */
static ssize_t
run_engine(struct ws_tls *t)
{
	br_ssl_engine_context *e = &t->server.eng;
	size_t len;
	ssize_t r = send_records(t);
	int error = br_ssl_engine_last_error(e);

	if (r == 0 && error != BR_ERR_OK)
		send_alert(t, error);
	if (r != WS_ERROR && error != BR_ERR_OK)
		r = fail_session(t, error);
	if (r == 0 && br_ssl_engine_sendapp_buf(e, &len) != NULL)
		t->open = 1;
	return r;
}

static ssize_t
read_record(struct ws_tls *t, void *buf)
{
	br_ssl_engine_context *e = &t->server.eng;
	unsigned char *p;
	size_t len;
	ssize_t n, sent;
	int reads = 0;

	for (;;) {
		if ((sent = run_engine(t)) == WS_ERROR)
			return WS_ERROR;
		if ((p = br_ssl_engine_recvapp_buf(e, &len)) != NULL) {
			memcpy(buf, p, len);
			br_ssl_engine_recvapp_ack(e, len);
			return (ssize_t)len;
		}
		if (e->shutdown_recv ||
		    br_ssl_engine_current_state(e) == BR_SSL_CLOSED)
			return 0;
		/*
		 * Application data can wait in the output while more comes
		 * in; the handshake goes one step after the other.
		 */
		if (!t->open && sent == WS_WANT_OUT)
			return WS_WANT_OUT;
		/*
		 * A peer that wants to renegotiate is to be told no, once its
		 * record is out that is being sent: until then the engine
		 * lets the request lie, and forgets about it if asked again.
		 */
		if ((p = br_ssl_engine_recvrec_buf(e, &len)) == NULL)
			return sent != 0 ? sent : fail_session(t, LOST_STUCK);
		if (reads++ == READS_MAX)
			return WS_WANT_IN;
		n = recv(t->fd, p, len, 0);
		if (n > 0)
			br_ssl_engine_recvrec_ack(e, (size_t)n);
		else if (n == 0)
			return t->open ? 0 : fail_session(t, LOST_HANGUP);
		else if (errno == EAGAIN || errno == EWOULDBLOCK)
			return WS_WANT_IN;
		else if (errno != EINTR)
			return fail_session(t, -errno);
	}
}

/* Fills what it can of p from iov[0..n), starting at byte *at of iov[*i]. */
static size_t
copy_iov(unsigned char *p, size_t room, const struct iovec *iov, int n, int *i,
    size_t *at)
{
	size_t len, used = 0;

	while (*i < n && used < room) {
		len = iov[*i].iov_len - *at;
		if (len > room - used)
			len = room - used;
		if (len != 0)
			memcpy(p + used, (char *)iov[*i].iov_base + *at, len);
		used += len;
		if ((*at += len) == iov[*i].iov_len) {
			*at = 0;
			(*i)++;
		}
	}
	return used;
}

static ssize_t
write_records(struct ws_tls *t, const struct iovec *iov, int n)
{
	br_ssl_engine_context *e = &t->server.eng;
	unsigned char *p;
	size_t len, used, at = 0, taken = 0;
	ssize_t sent;
	int i = 0;

	for (;;) {
		if ((sent = run_engine(t)) == WS_ERROR)
			return WS_ERROR;
		if (sent == WS_WANT_OUT)
			return taken != 0 ? (ssize_t)taken : WS_WANT_OUT;
		while (i < n && iov[i].iov_len == at) {
			at = 0;
			i++;
		}
		if (i == n)
			return (ssize_t)taken;
		if ((p = br_ssl_engine_sendapp_buf(e, &len)) == NULL) {
			if (!t->open && !t->closed)
				return WS_WANT_IN;
			return fail_session(t, LOST_CLOSED);
		}
		used = copy_iov(p, len, iov, n, &i, &at);
		br_ssl_engine_sendapp_ack(e, used);
		br_ssl_engine_flush(e, 0);
		taken += used;
	}
}

/* see ws.h */
struct ws_tls *
ws_tls_new(struct ws_tls_config *c, int fd)
{
	struct ws_tls *t;
	unsigned char seed[32];
	int ready;

	if ((t = malloc(sizeof *t)) == NULL)
		return NULL;
	memset(t, 0, sizeof *t);
	t->server = c->fresh;
	t->config = c;
	t->fd = fd;
	c->refs++;
	if (ws_entropy(seed, sizeof seed) == -1)
		goto fail;
	br_ssl_engine_inject_entropy(&t->server.eng, seed, sizeof seed);
	forget(seed, 0, sizeof seed);
	ready = br_ssl_server_reset(&t->server);
	end_loan(t, 0);
	if (!ready)
		goto fail;
	/*
	 * An alert about a ClientHello's version goes out before the engine
	 * has chosen one; 0.0 would not be understood (RFC 5246 appendix E.1).
	 */
	t->server.eng.version_out = BR_TLS10;
	return t;

fail:
	ws_tls_free(t);
	return NULL;
}

/* see ws.h */
void
ws_tls_free(struct ws_tls *t)
{
	if (t == NULL)
		return;
	ws_tls_config_release(t->config);
	free(t->stash);
	forget(t, 0, sizeof *t);
	free(t);
}

/* see ws.h */
ssize_t
ws_tls_read(struct ws_tls *t, void *buf, size_t room)
{
	assert(room >= WS_TLS_RECORD);
	(void)room;
	if (t->lost != 0)
		return WS_ERROR;
	lend(t);
	return end_loan(t, read_record(t, buf));
}

/* see ws.h */
ssize_t
ws_tls_writev(struct ws_tls *t, const struct iovec *iov, int n)
{
	if (t->lost != 0)
		return WS_ERROR;
	lend(t);
	return end_loan(t, write_records(t, iov, n));
}

/* see ws.h */
int
ws_tls_unsent(const struct ws_tls *t)
{
	return t->nout != 0;
}

/* see ws.h */
size_t
ws_tls_buffered(const struct ws_tls *t)
{
	return (size_t)t->nin + t->nout;
}

/* see ws.h */
int
ws_tls_handshaking(const struct ws_tls *t)
{
	return !t->open;
}

/* see ws.h */
int
ws_tls_resumed(const struct ws_tls *t)
{
	/* Every suite here makes a point for a full handshake. */
	return t->open && t->server.eng.ecdhe_point_len == 0;
}

/* see ws.h */
int
ws_tls_close(struct ws_tls *t)
{
	if (t->lost != 0)
		return WS_ERROR;
	lend(t);
	if (!t->closed) {
		t->closed = 1;
		br_ssl_engine_close(&t->server.eng);
	}
	return (int)end_loan(t, run_engine(t));
}

/* see ws.h */
const char *
ws_tls_error(const struct ws_tls *t)
{
	static char error[64];
	const struct reason *reason;
	const char *name;
	int code = t->lost;

	if (code == 0)
		return "no error";
	if (code < 0)
		return strerror(-code);
	if (code >= BR_ERR_SEND_FATAL_ALERT && code < LOST_MEMORY)
		code = ALERT(code - BR_ERR_SEND_FATAL_ALERT);
	reason = find_reason(code);
	name = reason == NULL ? NULL : reason->text;
	if (code >= ALERT(0) && code <= ALERT(255))
		snprintf(error, sizeof error, "%s alert %d (%s)",
		    t->lost == code ? "received" : "sent", code - ALERT(0),
		    name == NULL ? "?" : name);
	else if (name != NULL)
		return name;
	else
		snprintf(error, sizeof error, "BearSSL error %d", code);
	return error;
}
