/* wshub: ISC licence, see LICENSE. */
/*
 * TLS 1.2 on BearSSL, for a server with many idle connections.
 *
 *
 * Shared record buffers
 * ---------------------
 *
 * BearSSL's engine needs 33 KB of record buffers besides its 4 KB context, and
 * it never allocates memory. Most clients of a hub are idle most of the time.
 * So all sessions share one pair of buffers, which is lent to a session for the
 * duration of a call:
 *
 *     lend()      points the engine at the pair, and restores its bytes
 *     ...         the engine runs
 *     end_loan()  saves the bytes that the engine still needs
 *
 * Which bytes these are follows from the engine's registers, which BearSSL's
 * ssl_engine.c explains. A buffer contains one record, which begins at index 0.
 *
 *     in:   bytes [0, max(ixa, ixb)). Between records ixa == ixb == 0. While
 *           a record arrives, ixa == ixb is the index of its next byte. If
 *           ixa < ixb, this is handshake plaintext that the engine has not
 *           processed. (The five bytes of the record header are not needed any
 *           more, but are saved too.)
 *     out:  bytes [oxa, oxc) while a complete record is being sent. If there
 *           is none, oxa == oxc. oxa > oxc while application data is gathered
 *           for a record; this is never so between calls, because every call
 *           that adds data also completes the record.
 *
 * So an idle session has no buffer at all, and one in the middle of a record
 * has a block with these bytes. They are ciphertext, or part of a handshake.
 * The engine sets its other pointers into the buffers (hbuf_in, hbuf_out,
 * saved_hbuf_out) whenever it enters the handshake code. Between calls ibuf and
 * obuf are NULL, so that running an engine without the buffers crashes at once.
 *
 * ibuf, obuf, ixa, ixb, oxa, oxc, shutdown_recv, ecdhe_point_len, version_out
 * and rng_os_rand_done are in BearSSL's header, but are not part of its API.
 * They are the same in every release so far (0.3 to 0.6).
 *
 *
 * Templates
 * ---------
 *
 * A configuration contains a server context in which everything is set; a
 * session is a copy of it. Two pointers in such a context point into the
 * context itself: policy_vtable, and mhash in the chain handler. In a copy they
 * still point into the template. This is correct because what they point to
 * never changes and the template outlives its sessions. br_ssl_server_reset()
 * sets the other pointers.
 */
#define _GNU_SOURCE /* what the BSDs and macOS have besides POSIX */
#define _FILE_OFFSET_BITS 64 /* glibc requires it for the next */
#define _TIME_BITS 64 /* time after 2038 on 32-bit systems */
#include <sys/types.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <assert.h>
#include <bearssl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cert.h"
#include "ws.h"

#ifndef MSG_MORE
#define MSG_MORE 0 /* without it, a handshake takes one more segment */
#endif

/*
 * Calls of recv(2) in one call of ws_tls_read. A handshake needs about ten, but
 * a peer could send empty records without end.
 */
#define READS_MAX 64

/* 5,242 sessions of 100 bytes. Memory is touched only as the cache fills. */
#define CACHE_SIZE ((size_t)512 * 1024)

/*
 * Our own error codes. BearSSL's are below 768; values of errno are stored
 * negated.
 */
enum {
	ERROR_MEMORY = 1024,
	ERROR_HANGUP,  /* the peer has closed during the handshake */
	ERROR_CLOSED,  /* data was written after ws_tls_close */
	ERROR_RENEGOTIATION /* requested while a record was being sent */
};

struct ws_tls_config {
	unsigned refs;
	br_ssl_server_context fresh; /* the template */
	br_ssl_session_cache_lru cache;
	unsigned char *store; /* the cache's */
	struct ws_cert cert;
};

struct ws_tls {
	br_ssl_server_context server;
	struct ws_tls_config *config;
	unsigned char *stash; /* nin bytes of ibuf, then nout bytes of obuf */
	int fd;
	int error;            /* BearSSL's, ERROR_... or -errno; 0: none */
	uint16_t nin, nout;
	unsigned char open;   /* the handshake is done, its last record sent */
	unsigned char sealed; /* we have sent ChangeCipherSpec */
	unsigned char closed; /* we have called ws_tls_close */
};

static unsigned char lent_in[BR_SSL_BUFSIZE_INPUT];
static unsigned char lent_out[BR_SSL_BUFSIZE_OUTPUT];

/*
 * The suites for an EC and an RSA key, in order of preference. A CPU with AES
 * instructions uses the last three of a row, any other CPU the first three. The
 * lists are short because the engine compares each suite of the client with
 * each of these, in interpreted code.
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

/* The code of a received alert; ws_tls_error uses it for a sent one as well. */
#define ALERT(n) (BR_ERR_RECV_FATAL_ALERT + (n))

/*
 * Error codes, and the alert to be sent (RFC 5246 section 7.2, RFC 5746) if
 * BearSSL has not sent one. No alert, which is 0, is sent to a peer that does
 * not use TLS, in answer to an alert, and after an error of our own.
 */
static const struct reason {
	int code, alert;
	const char *text;
} reasons[] = {
	{ BR_ERR_BAD_PARAM, 50, "malformed message" },
	{ BR_ERR_BAD_STATE, 80, "invalid in this state" },
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
	{ BR_ERR_EXTRA_EXTENSION, 110, "unsolicited extension" },
	{ BR_ERR_BAD_SNI, 47, "bad server name" },
	{ BR_ERR_BAD_HELLO_DONE, 50, "bad ServerHelloDone" },
	{ BR_ERR_LIMIT_EXCEEDED, 40, "key too large" },
	{ BR_ERR_BAD_FINISHED, 51, "bad Finished" },
	{ BR_ERR_RESUME_MISMATCH, 47, "resumed with other parameters" },
	{ BR_ERR_INVALID_ALGORITHM, 47, "unsupported algorithm" },
	{ BR_ERR_BAD_SIGNATURE, 51, "bad signature" },
	{ BR_ERR_WRONG_KEY_USAGE, 43, "wrong key usage" },
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
	{ ERROR_MEMORY, 0, "out of memory" },
	{ ERROR_HANGUP, 0, "connection closed during the handshake" },
	{ ERROR_CLOSED, 0, "written to after close" },
	{ ERROR_RENEGOTIATION, 0, "renegotiation while there was unsent data" }
};

/* ------------------------------------------------------- configurations */

/*
 * Sets everything in the template. BearSSL's _init_full_ functions would link
 * every cipher.
 *
 * Protocol names (ALPN) are not set, so BearSSL ignores that extension, as a
 * server may. With names set, BearSSL records "no name in common" as 0xFFFF and
 * resets this only in a full handshake: a resumed handshake would use the value
 * as an index, and send whatever is at that address.
 *
 * The other values that only a full handshake sets (the chain, the hash for the
 * signature, the suites in common, the ECDHE point) are read only in a full
 * handshake. A session has only one, because renegotiation is refused. The
 * suite of a resumed session comes from this template's cache, and so is one of
 * this template's suites. No other value for "none" is used as an index.
 */
static void
prepare(struct ws_tls_config *c)
{
	br_ssl_server_context *s = &c->fresh;
	br_ssl_engine_context *e = &s->eng;
	int aes, rsa = c->cert.key.key_type == BR_KEYTYPE_RSA;

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
		/* No suite needs the key for decryption. */
		br_ssl_server_set_single_rsa(s, c->cert.chain, c->cert.nchain,
		    &c->cert.key.key.rsa, BR_KEYTYPE_SIGN, NULL,
		    br_rsa_pkcs1_sign_get_default());
	else
		br_ssl_server_set_single_ec(s, c->cert.chain, c->cert.nchain,
		    &c->cert.key.key.ec, BR_KEYTYPE_SIGN, 0,
		    br_ssl_engine_get_ec(e), br_ecdsa_sign_asn1_get_default());

	br_ssl_session_cache_lru_init(&c->cache, c->store, CACHE_SIZE);
	br_ssl_server_set_cache(s, &c->cache.vtable);
	br_ssl_engine_set_buffers_bidi(e, lent_in, sizeof lent_in, lent_out,
	    sizeof lent_out);

	/*
	 * Otherwise the engine would open /dev/urandom for every session, even
	 * if it has entropy. A chrooted or pledged process cannot do that.
	 * ws_tls_new passes it bytes from ws_entropy.
	 */
	e->rng_os_rand_done = 1;
}

/* see ws.h */
struct ws_tls_config *
ws_tls_config_new(struct ws_text chain, struct ws_text key,
    char error[WS_ERROR_MAX])
{
	struct ws_tls_config *c;

	c = calloc(1, sizeof *c);
	if (c != NULL) {
		c->refs = 1;
		c->store = malloc(CACHE_SIZE);
	}
	if (c == NULL || c->store == NULL) {
		ws_fail(error, "out of memory");
	} else if (ws_cert_load(&c->cert, chain, key, error) == 0) {
		prepare(c);
		return c;
	}
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
	/* The cache has secrets too. Wipe only the part that was used. */
	if (c->cache.store_ptr != 0)
		ws_wipe(c->store, c->cache.store_ptr);
	free(c->store);
	ws_cert_free(&c->cert);
	ws_wipe(c, sizeof *c);
	free(c);
}

/* ------------------------------------------------------------- sessions */

/* Later errors do not replace the first. */
static ssize_t
fail_session(struct ws_tls *t, int code)
{
	if (t->error == 0)
		t->error = code;
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
 * Takes the buffers back from the session. r is the result of the call; it is
 * returned, unless there is no memory to save the bytes: then only this session
 * fails.
 */
static ssize_t
end_loan(struct ws_tls *t, ssize_t r)
{
	br_ssl_engine_context *e = &t->server.eng;
	unsigned char *stash;
	size_t in = 0, out = 0;

	if (t->error == 0 &&
	    br_ssl_engine_current_state(e) != BR_SSL_CLOSED) {
		assert(e->oxa <= e->oxc);
		in = e->ixa > e->ixb ? e->ixa : e->ixb;
		out = e->oxc - e->oxa;
	}
	if (in + out != 0) {
		if ((stash = realloc(t->stash, in + out)) == NULL) {
			in = out = 0;
			r = fail_session(t, ERROR_MEMORY);
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
 * Sends the complete records: 0 when none is left. A ChangeCipherSpec (type 20,
 * six bytes) is sent together with the Finished that always follows it.
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

/* The table entry of that code, or NULL. */
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
 * Sends a plaintext alert if BearSSL has failed without sending one. This is
 * possible only before our ChangeCipherSpec. If the socket's buffer is full,
 * the alert is not sent.
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
 * Sends the complete records and checks for errors: 0, WS_WANT_OUT or WS_ERROR.
 * If the engine has failed and has written an alert, this has been sent by the
 * time that the error is reported.
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
		 * With unsent application data, reading can continue. In the
		 * handshake, what is unsent must be sent first.
		 */
		if (!t->open && sent == WS_WANT_OUT)
			return WS_WANT_OUT;
		/*
		 * If the peer requests a renegotiation while a record is being
		 * sent, the engine accepts no input until that has been sent;
		 * then it refuses the request. If it is run again before that,
		 * it forgets the request, and then accepts no input although
		 * nothing is left to be sent: the session has to fail.
		 */
		if ((p = br_ssl_engine_recvrec_buf(e, &len)) == NULL)
			return sent != 0 ? sent :
			    fail_session(t, ERROR_RENEGOTIATION);
		if (reads++ == READS_MAX)
			return WS_WANT_IN;
		n = recv(t->fd, p, len, 0);
		if (n > 0)
			br_ssl_engine_recvrec_ack(e, (size_t)n);
		else if (n == 0)
			return t->open ? 0 : fail_session(t, ERROR_HANGUP);
		else if (errno == EAGAIN || errno == EWOULDBLOCK)
			return WS_WANT_IN;
		else if (errno != EINTR)
			return fail_session(t, -errno);
	}
}

/*
 * Copies at most room bytes from iov[0..n) to p, starting at byte *at of
 * iov[*i], and advances these.
 */
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
			return fail_session(t, ERROR_CLOSED);
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
	ws_wipe(seed, sizeof seed);
	ready = br_ssl_server_reset(&t->server);
	end_loan(t, 0);
	if (!ready)
		goto fail;
	/*
	 * The version of an alert that is sent before the engine has chosen
	 * one. A peer would not accept version 0.0 (RFC 5246 appendix E.1).
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
	ws_wipe(t, sizeof *t);
	free(t);
}

/* see ws.h */
ssize_t
ws_tls_read(struct ws_tls *t, void *buf, size_t room)
{
	assert(room >= WS_TLS_RECORD);
	(void)room;
	if (t->error != 0)
		return WS_ERROR;
	lend(t);
	return end_loan(t, read_record(t, buf));
}

/* see ws.h */
ssize_t
ws_tls_writev(struct ws_tls *t, const struct iovec *iov, int n)
{
	if (t->error != 0)
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
	/* With each of our suites, a full handshake sets an ECDHE point. */
	return t->open && t->server.eng.ecdhe_point_len == 0;
}

/* see ws.h */
int
ws_tls_close(struct ws_tls *t)
{
	if (t->error != 0)
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
	int code = t->error;

	if (code == 0)
		return "no error";
	if (code < 0)
		return strerror(-code);
	if (code >= BR_ERR_SEND_FATAL_ALERT && code < ERROR_MEMORY)
		code = ALERT(code - BR_ERR_SEND_FATAL_ALERT);
	reason = find_reason(code);
	name = reason == NULL ? NULL : reason->text;
	if (code >= ALERT(0) && code <= ALERT(255))
		snprintf(error, sizeof error, "%s alert %d (%s)",
		    t->error == code ? "received" : "sent", code - ALERT(0),
		    name == NULL ? "?" : name);
	else if (name != NULL)
		return name;
	else
		snprintf(error, sizeof error, "BearSSL error %d", code);
	return error;
}
