/* wshub: ISC licence, see LICENSE. */
/*
 * Connections, many at a time, with TLS or without: see bench.h.
 */
#define _GNU_SOURCE
#include <sys/epoll.h>
#include <sys/resource.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

struct member client[CLIENTS_MAX];
int clients_may_go, clients_session;

static char told[CLIENTS_MAX][TOLD_MAX];
static size_t ntold[CLIENTS_MAX];

/* -------------------------------------------------------------------- TLS */

#ifdef WITH_TLS

static br_x509_pkey server_key;
static br_ssl_session_parameters session; /* of an earlier handshake */

static struct client_der certificate;

static const char *
cert(const char *name)
{
	static char path[4096];

	snprintf(path, sizeof path, "%s/%s", certs, name);
	return path;
}

static struct client_tls *
tls_new(int resume)
{
	struct client_tls *t;
	unsigned char seed[32];

	if (server_key.key_type == 0)
		server_key = *client_certificate(cert("p256.pem"),
		    &certificate, NULL);
	t = client_tls_knowing(&server_key, 0);
	if (getentropy(seed, sizeof seed) != 0)
		give_up("TLS");
	br_ssl_engine_inject_entropy(&t->ssl.eng, seed, sizeof seed);
	if (resume)
		br_ssl_engine_set_session_parameters(&t->ssl.eng, &session);
	br_ssl_client_reset(&t->ssl, "localhost", resume);
	return t;
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
	static struct client_der der;
	static br_skey_decoder_context d;
	static br_ssl_server_context s;
	static unsigned char buf[BR_SSL_BUFSIZE_BIDI];
	br_x509_certificate chain;
	unsigned char seed[32] = { 0 };
	struct client_tls *t;
	double ns = 0, before;
	size_t n;
	int i, moved;

	client_pem(cert("p256.key"), &der);
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
			ns += carry(&t->ssl.eng, &s.eng, 1, &moved);
			ns += carry(&s.eng, &t->ssl.eng, 0, &moved);
		} while (moved);
		if (br_ssl_engine_sendapp_buf(&t->ssl.eng, &n) == NULL)
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

static struct client_tls *
tls_new(int resume)
{
	(void)resume;
	return NULL;
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

/* It writes where it waits, and reads where it does not. */
static ssize_t
receive(struct client *c, void *buf, size_t room)
{
	return recv(c->fd, buf, room, MSG_DONTWAIT);
}

/* The server has dropped it: errno says more. */
static void
dropped(struct member *c)
{
	if (!clients_may_go)
		give_up("a client was dropped");
	c->gone = 1;
}

/* Bytes that came, 0 if there are none. */
static ssize_t
client_read(struct member *c, char *buf, size_t room)
{
	ssize_t n = client_get(&c->link, buf, room);

	if (n == 0 || (n < 0 && !client_waits()))
		dropped(c);
	return n < 0 ? 0 : n;
}

static void
connect_client(unsigned i, int tls)
{
	struct member *c = &client[i], old = *c;

	memset(c, 0, sizeof *c);
	c->digits = -1;
	if (clients_session == OLD_SESSION) {
		memcpy(c->session, old.session, sizeof c->session);
		c->seen = client_seen(&old);
		c->next = old.next;
	}
	c->link.read = receive;
	c->link.fd = client_connect((int)(tls ? wss_port : ws_port_2 != 0 &&
	    (c - client) % 2 != 0 ? ws_port_2 : ws_port), 0);
	if (c->link.fd == -1)
		give_up("connect");
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
	struct member *c = &client[i];
	struct epoll_event e;

	connect_client(i, tls);
	ntold[i] = 0;
	e.events = EPOLLIN | EPOLLOUT; /* it speaks first */
	e.data.u32 = i;
	if (epoll_ctl(ep, EPOLL_CTL_ADD, c->link.fd, &e) != 0)
		give_up("epoll");
	if (tls)
		c->link.tls = tls_new(tls == 2);
}

/* 0 while TLS shakes hands. */
static int
client_write(struct member *c, const char *data, size_t n)
{
	if (!c->gone && client_put(&c->link, data, n) != 0) {
		if (c->link.tls != NULL && client_waits())
			return 0;
		dropped(c);
	}
#ifdef WITH_TLS
	if (c->link.tls != NULL)
		br_ssl_engine_get_session_parameters(&c->link.tls->ssl.eng,
		    &session);
#endif
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
	struct member *c = &client[i];
	struct epoll_event e;
	char out[TOLD_MAX];
	ssize_t n;
	int k;

	if (!c->asked) {
		k = server_greet(i, NULL, 0, out);
		c->asked = client_write(c, out, (size_t)k);
		e.events = EPOLLIN;
		e.data.u32 = i;
		epoll_ctl(ep, EPOLL_CTL_MOD, c->link.fd, &e);
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
				    client[ready[k].data.u32].link.fd, NULL);
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
		close(client[i].link.fd);
		client_free(&client[i].link);
	}
}

/* -------------------------------------------------------------- receiving */

/* One byte of a frame's head (RFC 6455, section 5.2): 1 with the last one. */
static int
take_head(struct member *c, unsigned char byte)
{
	int whole;

	c->head[c->nhead++] = byte;
	whole = frame_head(c->head, c->nhead, &c->left);
	if (whole < 0)
		give_up("a frame's head");
	if (whole == 0)
		return 0;
	c->nhead = 0;
	return 1;
}

static void
end_frame(struct member *c)
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
take_marks(struct member *c, const char *p, const char *end, unsigned *marks,
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
client_take(struct member *c, unsigned *marks, unsigned room)
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
client_seen(const struct member *c)
{
	return c->seen + (c->frames == 0 ? 0 : c->frames - 1);
}

/* see bench.h */
void
client_ping(struct member *c, unsigned n)
{
	static char pings[6 * PINGS_MAX];
	size_t len = 6 * (size_t)n - c->cut;
	ssize_t sent;
	unsigned i;

	for (i = 0; i < n; i++)
		memcpy(pings + 6 * i, "\x89\x80\0\0\0", 6);
	sent = send(c->link.fd, pings + c->cut, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent > 0)
		c->cut = (c->cut + (size_t)sent) % 6;
}
