/* wshub: ISC licence, see LICENSE. */
/*
 * Connections, many at a time, with TLS or without: see bench.h.
 */
#define _GNU_SOURCE
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#ifdef WITH_TLS
#include <bearssl.h>
#endif

#include "bench.h"

struct client client[CLIENTS_MAX];
int clients_may_go, clients_session;

static char told[CLIENTS_MAX][TOLD_MAX];
static size_t ntold[CLIENTS_MAX];

/* -------------------------------------------------------------------- TLS */

#ifdef WITH_TLS

struct tls {
	br_ssl_client_context c;
	br_x509_knownkey_context known;
	unsigned char in[BR_SSL_BUFSIZE_INPUT], out[1024 + 85];
};

static br_x509_pkey server_key;
static br_ssl_session_parameters session; /* of an earlier handshake */

/* Of the server's certificate or key: what is in the file's first PEM object. */
struct der {
	unsigned char bytes[4096];
	size_t len;
};

static void
append(void *arg, const void *data, size_t len)
{
	struct der *d = arg;

	if (len > sizeof d->bytes - d->len)
		give_up("a certificate of test/certs");
	memcpy(d->bytes + d->len, data, len);
	d->len += len;
}

static void
read_der(const char *file, struct der *d)
{
	static char text[8192];
	br_pem_decoder_context pem;
	char name[4096];
	size_t n, used, at = 0;
	int event = 0;
	FILE *f;

	snprintf(name, sizeof name, "%s/%s", certs, file);
	f = fopen(name, "r");
	if (f == NULL)
		give_up(name);
	n = fread(text, 1, sizeof text, f);
	fclose(f);
	d->len = 0;
	br_pem_decoder_init(&pem);
	for (; at < n && event != BR_PEM_END_OBJ; at += used) {
		used = br_pem_decoder_push(&pem, text + at, n - at);
		event = br_pem_decoder_event(&pem);
		if (event == BR_PEM_BEGIN_OBJ)
			br_pem_decoder_setdest(&pem, append, d);
	}
}

static struct der certificate;

/* The key of the server's certificate, which clients know already. */
static void
learn_key(void)
{
	static br_x509_decoder_context d;

	read_der("p256.pem", &certificate);
	br_x509_decoder_init(&d, NULL, NULL);
	br_x509_decoder_push(&d, certificate.bytes, certificate.len);
	if (br_x509_decoder_get_pkey(&d) == NULL)
		give_up("p256.pem");
	server_key = *br_x509_decoder_get_pkey(&d);
}

static struct tls *
tls_new(int resume)
{
	static const uint16_t suites[] = {
		BR_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
		BR_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
	};
	struct tls *t = calloc(1, sizeof *t);
	br_ssl_engine_context *e;
	unsigned char seed[32];

	if (t == NULL || getentropy(seed, sizeof seed) != 0)
		give_up("TLS");
	if (server_key.key_type == 0)
		learn_key();
	e = &t->c.eng;
	br_ssl_client_zero(&t->c);
	br_ssl_engine_set_versions(e, BR_TLS12, BR_TLS12);
	br_ssl_engine_set_suites(e, suites, 2);
	br_ssl_engine_set_hash(e, br_sha256_ID, &br_sha256_vtable);
	br_ssl_engine_set_prf_sha256(e, br_tls12_sha256_prf);
	br_ssl_engine_set_default_ec(e);
	br_ssl_engine_set_default_ecdsa(e);
	br_ssl_engine_set_default_aes_gcm(e);
	br_ssl_engine_set_default_chapol(e);
	br_x509_knownkey_init_ec(&t->known, &server_key.key.ec,
	    BR_KEYTYPE_SIGN | BR_KEYTYPE_KEYX);
	br_ssl_engine_set_x509(e, &t->known.vtable);
	br_ssl_engine_set_buffers_bidi(e, t->in, sizeof t->in, t->out,
	    sizeof t->out);
	br_ssl_engine_inject_entropy(e, seed, sizeof seed);
	if (resume)
		br_ssl_engine_set_session_parameters(e, &session);
	br_ssl_client_reset(&t->c, "localhost", resume);
	return t;
}

/* Moves records until there is something to read (1) or to wait for (0). */
static int
tls_move(struct client *c)
{
	br_ssl_engine_context *e = &c->tls->c.eng;
	unsigned char *p;
	size_t len;
	ssize_t n;

	for (;;) {
		if ((p = br_ssl_engine_sendrec_buf(e, &len)) != NULL) {
			n = send(c->fd, p, len, MSG_NOSIGNAL);
			if (n < 0)
				give_up("a client's send");
			br_ssl_engine_sendrec_ack(e, (size_t)n);
		} else if (br_ssl_engine_recvapp_buf(e, &len) != NULL) {
			return 1;
		} else if ((p = br_ssl_engine_recvrec_buf(e, &len)) != NULL) {
			n = recv(c->fd, p, len, MSG_DONTWAIT);
			if (n < 0 && errno == EAGAIN)
				return 0;
			if (n <= 0)
				give_up("a client was dropped");
			br_ssl_engine_recvrec_ack(e, (size_t)n);
		} else {
			fprintf(stderr, "bench: TLS: BearSSL error %d\n",
			    br_ssl_engine_last_error(e));
			give_up("TLS");
		}
	}
}

static ssize_t
tls_read(struct client *c, char *buf, size_t room)
{
	br_ssl_engine_context *e = &c->tls->c.eng;
	unsigned char *p;
	size_t len;

	if (!tls_move(c))
		return 0;
	p = br_ssl_engine_recvapp_buf(e, &len);
	if (len > room)
		len = room;
	memcpy(buf, p, len);
	br_ssl_engine_recvapp_ack(e, len);
	return (ssize_t)len;
}

/* 0 if the handshake is not done. */
static int
tls_write(struct client *c, const char *data, size_t n)
{
	br_ssl_engine_context *e = &c->tls->c.eng;
	unsigned char *p;
	size_t len;

	(void)tls_move(c);
	p = br_ssl_engine_sendapp_buf(e, &len);
	if (p == NULL)
		return 0;
	if (len < n)
		give_up("a client's request is long");
	memcpy(p, data, n);
	br_ssl_engine_sendapp_ack(e, n);
	br_ssl_engine_flush(e, 0);
	(void)tls_move(c);
	br_ssl_engine_get_session_parameters(e, &session);
	return 1;
}

static double
cpu_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* see bench.h */
double
primitives(void)
{
	enum { TIMES = 200 };
	static unsigned char d[32], q[65], sig[80];
	const br_ec_impl *ec = br_ec_get_default();
	br_ecdsa_sign sign = br_ecdsa_sign_asn1_get_default();
	br_ec_private_key key = { BR_EC_secp256r1, d, sizeof d };
	double before = cpu_now();
	size_t len;
	int i;

	for (i = 0; i < 32; i++)
		d[i] = (unsigned char)(i + 1);
	for (i = 0; i < TIMES; i++) {
		d[31] = (unsigned char)i;
		len = ec->mulgen(q, d, sizeof d, BR_EC_curve25519);
		if (!ec->mul(q, len, d, sizeof d, BR_EC_curve25519) ||
		    sign(ec, &br_sha256_vtable, d, &key, sig) == 0)
			give_up("BearSSL");
	}
	return (cpu_now() - before) / TIMES;
}

/* Moves bytes of a record; returns the ns that the server had to do with it. */
static double
carry(br_ssl_engine_context *from, br_ssl_engine_context *to, int to_server,
    int *moved)
{
	size_t n, room;
	unsigned char *p = br_ssl_engine_sendrec_buf(from, &n);
	unsigned char *q = br_ssl_engine_recvrec_buf(to, &room);
	double began, sent, received;

	if (p == NULL || q == NULL)
		return 0;
	if (n > room)
		n = room;
	memcpy(q, p, n);
	*moved = 1;
	began = cpu_now();
	br_ssl_engine_sendrec_ack(from, n);
	sent = cpu_now();
	br_ssl_engine_recvrec_ack(to, n);
	received = cpu_now();
	return to_server ? received - sent : sent - began;
}

/* see bench.h */
double
engine(void)
{
	enum { TIMES = 200 };
	static struct der der;
	static br_skey_decoder_context d;
	static br_ssl_server_context s;
	static unsigned char buf[BR_SSL_BUFSIZE_BIDI];
	br_x509_certificate chain;
	unsigned char seed[32] = { 0 };
	struct tls *t;
	double ns = 0, before;
	size_t n;
	int i, moved;

	read_der("p256.key", &der);
	br_skey_decoder_init(&d);
	br_skey_decoder_push(&d, der.bytes, der.len);
	if (br_skey_decoder_get_ec(&d) == NULL)
		give_up("p256.key");
	for (i = 0; i < TIMES; i++) {
		t = tls_new(0);
		chain.data = certificate.bytes;
		chain.data_len = certificate.len;
		/* Its arithmetic would be that for small processors. */
		br_ssl_server_init_minf2g(&s, &chain, 1,
		    br_skey_decoder_get_ec(&d));
		br_ssl_engine_set_default_ec(&s.eng);
		br_ssl_engine_set_default_aes_gcm(&s.eng);
		br_ssl_server_set_single_ec(&s, &chain, 1,
		    br_skey_decoder_get_ec(&d), BR_KEYTYPE_SIGN, 0,
		    br_ssl_engine_get_ec(&s.eng),
		    br_ecdsa_sign_asn1_get_default());
		br_ssl_engine_set_buffer(&s.eng, buf, sizeof buf, 1);
		before = cpu_now();
		br_ssl_engine_inject_entropy(&s.eng, seed, sizeof seed);
		br_ssl_server_reset(&s);
		ns += cpu_now() - before;
		do {
			moved = 0;
			ns += carry(&t->c.eng, &s.eng, 1, &moved);
			ns += carry(&s.eng, &t->c.eng, 0, &moved);
		} while (moved);
		if (br_ssl_engine_sendapp_buf(&t->c.eng, &n) == NULL)
			give_up("BearSSL's handshake");
		free(t);
	}
	return ns / TIMES;
}

/* see bench.h */
int
clients_tls(void)
{
	return 1;
}

#else

struct tls {
	int none;
};

static struct tls *
tls_new(int resume)
{
	(void)resume;
	return NULL;
}

static ssize_t
tls_read(struct client *c, char *buf, size_t room)
{
	(void)c, (void)buf, (void)room;
	return 0;
}

static int
tls_write(struct client *c, const char *data, size_t n)
{
	(void)c, (void)data, (void)n;
	return 0;
}

/* see bench.h */
double
primitives(void)
{
	return 0;
}

/* see bench.h */
double
engine(void)
{
	return 0;
}

/* see bench.h */
int
clients_tls(void)
{
	return 0;
}

#endif

/* ---------------------------------------------------------------- joining */

/* Bytes that came, 0 if there are none. */
static ssize_t
client_read(struct client *c, char *buf, size_t room)
{
	ssize_t n;

	if (c->tls != NULL)
		return tls_read(c, buf, room);
	n = recv(c->fd, buf, room, MSG_DONTWAIT);
	if (n == 0 || (n < 0 && errno != EAGAIN)) {
		if (!clients_may_go)
			give_up("a client was dropped");
		c->gone = 1;
	}
	return n < 0 ? 0 : n;
}

static void
connect_client(unsigned i, int tls)
{
	static const int on = 1;
	struct client *c = &client[i], old = *c;
	struct sockaddr_in in;

	memset(&in, 0, sizeof in);
	in.sin_family = AF_INET;
	in.sin_port = htons((uint16_t)(tls ? wss_port : ws_port));
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	memset(c, 0, sizeof *c);
	c->digits = -1;
	if (clients_session == OLD_SESSION) {
		memcpy(c->session, old.session, sizeof c->session);
		c->seen = client_seen(&old);
		c->next = old.next;
	}
	c->fd = socket(AF_INET, SOCK_STREAM, 0);
	if (c->fd == -1 ||
	    connect(c->fd, (struct sockaddr *)&in, sizeof in) != 0)
		give_up("connect");
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/* see bench.h */
void
clients_connect(unsigned from, unsigned end)
{
	unsigned i;

	for (i = from; i < end; i++)
		connect_client(i, 0);
}

static void
begin_client(unsigned i, int ep, int tls)
{
	struct client *c = &client[i];
	struct epoll_event e;

	connect_client(i, tls);
	ntold[i] = 0;
	e.events = EPOLLIN | EPOLLOUT; /* it speaks first */
	e.data.u32 = i;
	if (epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &e) != 0)
		give_up("epoll");
	if (tls)
		c->tls = tls_new(tls == 2);
}

/* 0 while TLS shakes hands. */
static int
client_write(struct client *c, const char *data, size_t n)
{
	if (c->tls != NULL)
		return tls_write(c, data, n);
	if (!c->gone && send(c->fd, data, n, MSG_NOSIGNAL) != (ssize_t)n) {
		if (!clients_may_go)
			give_up("a client's send");
		c->gone = 1;
	}
	return 1;
}

/* Bytes of frames that came behind the answer's head. */
static size_t
frames_of(unsigned i)
{
	const char *end = memmem(told[i], ntold[i], "\r\n\r\n", 4);

	return (size_t)(told[i] + ntold[i] - end) - 4;
}

/* One step; 1 when it is in. */
static int
advance_client(unsigned i, int ep)
{
	struct client *c = &client[i];
	struct epoll_event e;
	char out[TOLD_MAX];
	ssize_t n;
	int k;

	if (!c->asked) {
		k = server_greet(i, NULL, 0, out);
		c->asked = client_write(c, out, (size_t)k);
		e.events = EPOLLIN;
		e.data.u32 = i;
		epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &e);
	}
	while (c->asked) {
		n = client_read(c, told[i] + ntold[i], TOLD_MAX - ntold[i]);
		if (n == 0)
			break;
		ntold[i] += (size_t)n;
		k = server_greet(i, told[i], ntold[i], out);
		if (k == 0) {
			c->rest = clients_session ? frames_of(i) : 0;
			return 1;
		}
		if (ntold[i] == TOLD_MAX)
			give_up("a server's greeting is long");
		if (k > 0)
			(void)client_write(c, out, (size_t)k);
	}
	return 0;
}

/* see bench.h */
void
clients_join(unsigned from, unsigned end, unsigned together, int tls)
{
	static struct epoll_event ready[256];
	unsigned begun = from, in = from;
	int64_t until = now() + 120000000000;
	int ep = epoll_create1(0), n, k;

	while (in < end) {
		while (begun < end && begun - in < together)
			begin_client(begun++, ep, tls);
		n = epoll_wait(ep, ready, 256, 1000);
		for (k = 0; k < n; k++)
			if (advance_client(ready[k].data.u32, ep)) {
				in++;
				epoll_ctl(ep, EPOLL_CTL_DEL,
				    client[ready[k].data.u32].fd, NULL);
			}
		if (now() > until)
			give_up("clients do not get in");
	}
	close(ep);
}

/* see bench.h */
void
clients_leave(unsigned from, unsigned end)
{
	unsigned i;

	for (i = from; i < end; i++) {
		close(client[i].fd);
		free(client[i].tls);
		client[i].tls = NULL;
	}
}

/* -------------------------------------------------------------- receiving */

/* One byte of a frame's head (RFC 6455, section 5.2): 1 with the last one. */
static int
take_head(struct client *c, unsigned char byte)
{
	unsigned length, i;

	c->head[c->nhead++] = byte;
	length = c->nhead == 1 ? 0 : c->head[1] & 127;
	if (c->nhead < (length == 126 ? 4 : length == 127 ? 10 : 2))
		return 0;
	c->left = length < 126 ? length : 0;
	for (i = 2; i < c->nhead; i++)
		c->left = c->left << 8 | c->head[i];
	c->nhead = 0;
	return 1;
}

static void
end_frame(struct client *c)
{
	char pong[6 + sizeof c->ping] = { (char)0x8a };
	unsigned len = c->head[1] & 127;

	switch (c->head[0] & 15) {
	case 9:
		c->pings++;
		pong[1] = (char)(0x80 | len);
		memcpy(pong + 6, c->ping, len);
		(void)client_write(c, pong, 6 + len);
		break;
	case 10:
		c->pongs++;
		break;
	default:
		c->frames++;
	}
}

/* Looks for marks in a part of a payload, which may end within one. */
static unsigned
take_marks(struct client *c, const char *p, const char *end, unsigned *marks,
    unsigned room)
{
	unsigned got = 0;

	while (p < end) {
		if (c->digits < 0) {
			p = memchr(p, '@', (size_t)(end - p));
			if (p == NULL)
				break;
			p++;
			c->digits = 0;
			c->mark = 0;
			continue;
		}
		c->mark = c->mark * 10 + (unsigned)(*p++ - '0');
		if (++c->digits == 8) {
			if (got < room)
				marks[got] = c->mark;
			got++;
			c->digits = -1;
		}
	}
	return got;
}

/* see bench.h */
unsigned
client_take(struct client *c, unsigned *marks, unsigned room)
{
	static char in[1 << 16];
	const char *p = in, *end;
	unsigned got = 0;
	uint64_t part;

	if (c->rest > 0) {
		p = told[c - client] + ntold[c - client] - c->rest;
		end = p + c->rest;
		c->rest = 0;
	} else {
		end = in + client_read(c, in, sizeof in);
	}
	while (p < end) {
		if (c->left == 0) {
			if (take_head(c, (unsigned char)*p++) && c->left == 0)
				end_frame(c);
			continue;
		}
		part = (uint64_t)(end - p) < c->left ? (uint64_t)(end - p) :
		    c->left;
		if ((c->head[0] & 15) == 9)
			memcpy(c->ping + (c->head[1] & 127) - c->left, p, part);
		got += take_marks(c, p, p + part, marks + (got < room ? got :
		    room), got < room ? room - got : 0);
		p += part;
		c->left -= part;
		if (c->left == 0)
			end_frame(c);
	}
	return got;
}

/* see bench.h */
unsigned long
client_seen(const struct client *c)
{
	return c->seen + (c->frames == 0 ? 0 : c->frames - 1);
}

/* see bench.h */
void
client_ping(struct client *c, unsigned n)
{
	static char pings[6 * PINGS_MAX];
	size_t len = 6 * (size_t)n - c->cut;
	ssize_t sent;
	unsigned i;

	for (i = 0; i < n; i++)
		memcpy(pings + 6 * i, "\x89\x80\0\0\0", 6);
	sent = send(c->fd, pings + c->cut, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent > 0)
		c->cut = (c->cut + (size_t)sent) % 6;
}
