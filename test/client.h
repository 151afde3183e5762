/* wshub: ISC licence, see LICENSE. */
/*
 * A WebSocket client for all tests in C and the bench: by ws:// or, with
 * WITH_TLS, by wss://, on a socket or on the fake kernel, blocking or not.
 *
 * It shares no code with the hub, so that an error of ws.c is not repeated
 * here. It waits where its socket waits. Where that does not, a call says LATE,
 * and is made again once more has come.
 */
#ifndef TEST_CLIENT_H
#define TEST_CLIENT_H

#include <sys/types.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef WITH_TLS
#include <bearssl.h>
#endif

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif

#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define UPGRADE "Host: localhost\r\nUpgrade: websocket\r\n" \
    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" \
    "Sec-WebSocket-Key: " KEY "\r\n"
#define REQUEST "GET / HTTP/1.1\r\n" UPGRADE "\r\n"
#define ACCEPT "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
#define ACCEPTED "HTTP/1.1 101 Switching Protocols\r\n" \
    "Upgrade: websocket\r\nConnection: Upgrade\r\n" ACCEPT "\r\n"

#define CLIENT_MOST (32u << 20) /* bytes of a frame */

struct client_tls;

struct client {
	int fd;
	struct client_tls *tls; /* NULL: ws:// */
	/* In place of recv and send, or NULL. */
	ssize_t (*read)(struct client *c, void *buf, size_t room);
	ssize_t (*write)(struct client *c, const void *data, size_t len);
	unsigned char *buf; /* bytes at to len - 1 came and are not used */
	size_t at, len, room;
	char id[16];
};

/* What a frame's first byte, which is positive, stands beside. */
enum { AT_END = -1, LATE = -2, RESET = -3, WRONG = -4 };

static inline void
client_fail(const char *what)
{
	perror(what);
	exit(1);
}

/* To 127.0.0.1; rcvbuf 0 is the system's. A descriptor or -1. */
static inline int
client_connect(int port, int rcvbuf)
{
	struct sockaddr_in in;
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	memset(&in, 0, sizeof in);
	in.sin_family = AF_INET;
	in.sin_port = htons((unsigned short)port);
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd == -1)
		return -1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (rcvbuf != 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof rcvbuf);
	return connect(fd, (struct sockaddr *)&in, sizeof in) == 0 ? fd : -1;
}

static inline int
client_waits(void)
{
	return errno == EAGAIN || errno == EWOULDBLOCK;
}

static inline ssize_t
client_recv(struct client *c, void *buf, size_t room)
{
	return c->read != NULL ? c->read(c, buf, room) :
	    recv(c->fd, buf, room, 0);
}

static inline ssize_t
client_send(struct client *c, const void *data, size_t len)
{
	return c->write != NULL ? c->write(c, data, len) :
	    send(c->fd, data, len, MSG_NOSIGNAL);
}

/* -------------------------------------------------------------------- TLS */

#ifdef WITH_TLS

struct client_tls {
	br_ssl_client_context ssl;
	union {
		br_x509_minimal_context minimal;
		br_x509_knownkey_context known;
	} x509;
	size_t step;  /* bytes of a send; 0: all there are */
	int notified; /* the end came with close_notify */
	unsigned char in[BR_SSL_BUFSIZE_INPUT], out[];
};

struct client_der {
	unsigned char bytes[4096];
	size_t len;
};

static inline void
client_der_append(void *arg, const void *data, size_t len)
{
	struct client_der *d = arg;

	if (len > sizeof d->bytes - d->len)
		client_fail("a certificate");
	memcpy(d->bytes + d->len, data, len);
	d->len += len;
}

/* What is in a file's first PEM object. */
static inline void
client_pem(const char *path, struct client_der *d)
{
	char text[8192];
	br_pem_decoder_context pem;
	size_t n, at = 0;
	int event = 0;
	FILE *f = fopen(path, "r");

	if (f == NULL)
		client_fail(path);
	n = fread(text, 1, sizeof text, f);
	fclose(f);
	d->len = 0;
	br_pem_decoder_init(&pem);
	while (at < n && event != BR_PEM_END_OBJ) {
		at += br_pem_decoder_push(&pem, text + at, n - at);
		event = br_pem_decoder_event(&pem);
		if (event == BR_PEM_BEGIN_OBJ)
			br_pem_decoder_setdest(&pem, client_der_append, d);
	}
}

/*
 * A file's certificate, its subject, unless dn is NULL, and its key, which
 * stays until the next call.
 */
static inline const br_x509_pkey *
client_certificate(const char *path, struct client_der *d,
    struct client_der *dn)
{
	static br_x509_decoder_context x;

	client_pem(path, d);
	br_x509_decoder_init(&x, dn != NULL ? client_der_append : NULL, dn);
	br_x509_decoder_push(&x, d->bytes, d->len);
	if (br_x509_decoder_get_pkey(&x) == NULL)
		client_fail(path);
	return br_x509_decoder_get_pkey(&x);
}

/* Both of these: the handshake begins with br_ssl_client_reset. */
static inline struct client_tls *
client_tls_new(size_t out)
{
	struct client_tls *t = calloc(1, sizeof *t + out);

	if (t == NULL)
		client_fail("TLS");
	return t;
}

/* One that trusts a CA, and can do whatever BearSSL can. */
static inline struct client_tls *
client_tls_trusting(const br_x509_trust_anchor *ca)
{
	struct client_tls *t = client_tls_new(BR_SSL_BUFSIZE_OUTPUT);

	br_ssl_client_init_full(&t->ssl, &t->x509.minimal, ca, 1);
	br_ssl_engine_set_buffers_bidi(&t->ssl.eng, t->in, sizeof t->in,
	    t->out, BR_SSL_BUFSIZE_OUTPUT);
	return t;
}

/* A smaller one that knows the server's key. */
static inline struct client_tls *
client_tls_knowing(const br_x509_pkey *key, int only_chacha)
{
	static const uint16_t suites[] = {
		BR_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
		BR_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
	};
	enum { OUT = 1024 + 85 };
	struct client_tls *t = client_tls_new(OUT);
	br_ssl_engine_context *e = &t->ssl.eng;
	int first = only_chacha ? 1 : 0;

	br_ssl_client_zero(&t->ssl);
	br_ssl_engine_set_versions(e, BR_TLS12, BR_TLS12);
	br_ssl_engine_set_suites(e, suites + first, (size_t)(2 - first));
	br_ssl_engine_set_hash(e, br_sha256_ID, &br_sha256_vtable);
	br_ssl_engine_set_prf_sha256(e, br_tls12_sha256_prf);
	br_ssl_engine_set_default_ec(e);
	br_ssl_engine_set_default_ecdsa(e);
	br_ssl_engine_set_default_aes_gcm(e);
	br_ssl_engine_set_default_chapol(e);
	br_x509_knownkey_init_ec(&t->x509.known, &key->key.ec,
	    BR_KEYTYPE_SIGN | BR_KEYTYPE_KEYX);
	br_ssl_engine_set_x509(e, &t->x509.known.vtable);
	br_ssl_engine_set_buffers_bidi(e, t->in, sizeof t->in, t->out, OUT);
	return t;
}

/*
 * Moves records until the engine is in one of the wanted states: 0. -1: closed,
 * or with errno, 0 for the end of the stream.
 */
static inline int
client_run(struct client *c, unsigned wanted)
{
	br_ssl_engine_context *e = &c->tls->ssl.eng;
	unsigned char *p;
	unsigned state;
	size_t len;
	ssize_t n;
	int full = 0;

	for (;;) {
		state = br_ssl_engine_current_state(e);
		errno = full ? EAGAIN : 0;
		if ((state & BR_SSL_CLOSED) != 0)
			return -1;
		if ((state & BR_SSL_SENDREC) != 0 && !full) {
			p = br_ssl_engine_sendrec_buf(e, &len);
			if (c->tls->step != 0 && len > c->tls->step)
				len = c->tls->step;
			n = client_send(c, p, len);
			if (n > 0)
				br_ssl_engine_sendrec_ack(e, (size_t)n);
			else if (client_waits())
				full = 1;
			else
				return -1;
			continue;
		}
		if ((state & wanted) != 0)
			return 0;
		if ((state & BR_SSL_RECVREC) == 0)
			return -1;
		p = br_ssl_engine_recvrec_buf(e, &len);
		n = client_recv(c, p, len);
		if (n <= 0) {
			errno = n == 0 ? 0 : errno;
			return -1;
		}
		br_ssl_engine_recvrec_ack(e, (size_t)n);
	}
}

static inline ssize_t
client_tls_get(struct client *c, void *buf, size_t room)
{
	br_ssl_engine_context *e = &c->tls->ssl.eng;
	unsigned char *p;
	size_t len;

	if (client_run(c, BR_SSL_RECVAPP) != 0) {
		if (br_ssl_engine_current_state(e) == BR_SSL_CLOSED) {
			c->tls->notified = br_ssl_engine_last_error(e) ==
			    BR_ERR_OK;
			errno = EPROTO;
			return c->tls->notified ? 0 : -1;
		}
		return errno == 0 ? 0 : -1;
	}
	p = br_ssl_engine_recvapp_buf(e, &len);
	len = len < room ? len : room;
	memcpy(buf, p, len);
	br_ssl_engine_recvapp_ack(e, len);
	return (ssize_t)len;
}

static inline int
client_tls_put(struct client *c, const void *data, size_t len)
{
	br_ssl_engine_context *e = &c->tls->ssl.eng;
	const unsigned char *at = data;
	unsigned char *p;
	size_t n;

	while (len > 0) {
		if (client_run(c, BR_SSL_SENDAPP) != 0)
			return -1;
		p = br_ssl_engine_sendapp_buf(e, &n);
		n = n < len ? n : len;
		memcpy(p, at, n);
		br_ssl_engine_sendapp_ack(e, n);
		at += n;
		len -= n;
		br_ssl_engine_flush(e, 0);
	}
	(void)client_run(c, BR_SSL_SENDAPP);
	return 0;
}

#endif

/* ------------------------------------------------------------------ bytes */

/* What recv returns. */
static inline ssize_t
client_get(struct client *c, void *buf, size_t room)
{
#ifdef WITH_TLS
	if (c->tls != NULL)
		return client_tls_get(c, buf, room);
#endif
	return client_recv(c, buf, room);
}

/* All of it, or -1: the peer may have gone, or TLS shakes hands (EAGAIN). */
static inline int
client_put(struct client *c, const void *data, size_t len)
{
	const char *p = data;
	ssize_t n;

#ifdef WITH_TLS
	if (c->tls != NULL)
		return client_tls_put(c, data, len);
#endif
	for (; len > 0; p += n, len -= (size_t)n) {
		n = client_send(c, p, len);
		if (n <= 0)
			return -1;
	}
	return 0;
}

/* Gives back what it has, but for its descriptor. */
static inline void
client_free(struct client *c)
{
	free(c->buf);
	free(c->tls);
	c->buf = NULL;
	c->tls = NULL;
}

/* ----------------------------------------------------------------- frames */

/* Has n bytes wait at c->buf + c->at: 0, AT_END, LATE or RESET. */
static inline int
need(struct client *c, size_t n)
{
	ssize_t got;

	if (c->at == c->len)
		c->at = c->len = 0;
	if (c->room - c->at < n) {
		if (c->at != 0)
			memmove(c->buf, c->buf + c->at, c->len - c->at);
		c->len -= c->at;
		c->at = 0;
		if (c->room < n) {
			c->room = n < 4096 ? 4096 : n + n / 2;
			c->buf = realloc(c->buf, c->room);
			if (c->buf == NULL)
				client_fail("memory");
		}
	}
	while (c->len - c->at < n) {
		got = client_get(c, c->buf + c->len, c->room - c->len);
		if (got == 0)
			return AT_END;
		if (got < 0)
			return client_waits() ? LATE : RESET;
		c->len += (size_t)got;
	}
	return 0;
}

/* The response's head, without a NUL: its length, or what need says. */
static inline int
get_head(struct client *c, char **head)
{
	size_t n;
	int e;

	for (n = 4;; n++) {
		if ((e = need(c, n)) != 0)
			return e;
		*head = (char *)c->buf + c->at;
		if (memcmp(*head + n - 4, "\r\n\r\n", 4) == 0) {
			c->at += n;
			return (int)n;
		}
	}
}

/*
 * Of a server's frame, of which n bytes are there: its head's length and the
 * payload's. 0: more must come, and *len is as it was; -1: it is masked, or its
 * length is not in the shortest form.
 */
static inline int
frame_head(const unsigned char *p, size_t n, uint64_t *len)
{
	uint64_t length;
	size_t head, i;

	if (n < 2)
		return 0;
	if (p[1] > 127)
		return -1;
	head = p[1] < 126 ? 2 : p[1] == 126 ? 4 : 10;
	if (n < head)
		return 0;
	length = head == 2 ? p[1] : 0;
	for (i = 2; i < head; i++)
		length = length << 8 | p[i];
	if (head > 2 && length < (head == 4 ? 126u : 65536u))
		return -1;
	*len = length;
	return (int)head;
}

/*
 * The next frame's first byte; *data stays until the next call. WRONG: its head
 * is, or the stream ends in it.
 */
static inline int
get_frame(struct client *c, unsigned char **data, size_t *len)
{
	unsigned char *p;
	uint64_t n;
	int head, e;

	*data = NULL;
	*len = 0;
	if ((e = need(c, 2)) != 0)
		return e == AT_END && c->len != c->at ? WRONG : e;
	while ((head = frame_head(c->buf + c->at, c->len - c->at, &n)) == 0)
		if ((e = need(c, c->len - c->at + 1)) != 0)
			return e;
	if (head < 0 || n > CLIENT_MOST)
		return WRONG;
	if ((e = need(c, (size_t)head + (size_t)n)) != 0)
		return e;
	p = c->buf + c->at;
	*data = p + head;
	*len = (size_t)n;
	c->at += (size_t)head + *len;
	return *p;
}

/*
 * Writes a masked frame of len bytes, of which some are there, to out, which
 * has room for 14 more; returns how many that is.
 */
static inline size_t
frame_part(unsigned char *out, unsigned first, const void *data, size_t there,
    uint64_t len)
{
	static const unsigned char mask[4] = { 0x37, 0xfa, 0x21, 0x3d };
	size_t n = 0, i;
	int k = len < 126 ? 0 : len < 65536 ? 2 : 8;

	out[n++] = (unsigned char)first;
	out[n++] = (unsigned char)(0x80 | (k == 0 ? len : k == 2 ? 126 : 127));
	while (k > 0)
		out[n++] = (unsigned char)(len >> 8 * --k);
	memcpy(out + n, mask, 4);
	n += 4;
	for (i = 0; i < there; i++)
		out[n++] = ((const unsigned char *)data)[i] ^ mask[i & 3];
	return n;
}

static inline void
put_frame(struct client *c, unsigned first, const void *data, size_t len)
{
	unsigned char *p = malloc(len + 14);

	if (p == NULL)
		client_fail("memory");
	(void)client_put(c, p, frame_part(p, first, data, len, len));
	free(p);
}

#endif
