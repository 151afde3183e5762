/* wshub: ISC licence, see LICENSE. */
/*
 * The peers of fault.c: clients, which speak ws or wss and count what they
 * receive, and a backend, all on the fake kernel of fake.h.
 */
#ifndef TEST_PEERS_H
#define TEST_PEERS_H

#include "fake.h"
#include "../ws.h"
#include "test.h"

#ifdef WITH_TLS
#include <bearssl.h>
#endif

#ifndef CERTS
#define CERTS "test/certs/"
#endif

#define ROOM 65536

enum { ANN, BOB, TOM, EVE, PEERS };

static const char *const names[] = { "Ann", "Bob", "Tom", "Eve" };

struct peer {
	int h;         /* -1: not connected */
	int up;        /* has got its id */
	int gone;      /* the hub ended it, or it was reset */
	int left;      /* it went by itself */
	char id[WS_ID_LEN + 1];
	unsigned char got[ROOM]; /* what is not yet a frame */
	size_t have;
	unsigned received, next;    /* messages; the number that is to come */
	unsigned skipped;        /* numbers that did not come */
	unsigned pongs;
	unsigned code;           /* the last Close's */
	int mute;                /* does not answer Pings */
	unsigned pings, beats;
#ifdef WITH_TLS
	int tls, asked;
	br_ssl_client_context cc;
	br_x509_knownkey_context known;
	unsigned char buffers[BR_SSL_BUFSIZE_BIDI];
#endif
};

static struct peer peers[PEERS];
static struct ws_loop *l;
static int listener, tls_listener, control, backend, backend_gone;
static char reply[65536];
static size_t reply_len;
static unsigned number;     /* of the last message */
static unsigned errs;       /* replies that were ERR */
static struct ws_tls_config *config;

static const char request[] = "GET /push?a=b HTTP/1.1\r\nHost: a\r\n"
    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Version: 13\r\n\r\n";

/* ------------------------------------------------------------------- TLS */

#ifdef WITH_TLS
static br_x509_pkey server_key;
static unsigned char server_q[133];
static unsigned char der[4096];
static size_t der_len;

static void
push(void *arg, const void *data, size_t len)
{
	(void)arg;
	memcpy(der + der_len, data, len);
	der_len += len;
}

static struct ws_text
slurp(const char *path)
{
	static char room[2][16384];
	static int which;
	struct ws_text t;
	FILE *f = fopen(path, "r");

	which ^= 1;
	t.s = room[which];
	t.len = f == NULL ? 0 : fread(room[which], 1, sizeof room[0], f);
	if (f != NULL)
		fclose(f);
	return t;
}

static struct ws_tls_config *
load(void)
{
	char words[WS_ERROR_MAX];
	struct ws_text chain = slurp(CERTS "p256.pem");
	struct ws_text key = slurp(CERTS "p256.key");

	return ws_tls_config_new(chain, key, words);
}

/* The public half, which Tom knows. */
static void
learn_key(void)
{
	static br_x509_decoder_context d;
	br_pem_decoder_context pem;
	struct ws_text t = slurp(CERTS "p256.pem");
	size_t n;
	int event;

	br_pem_decoder_init(&pem);
	for (event = 0; t.len > 0 && event != BR_PEM_END_OBJ;) {
		n = br_pem_decoder_push(&pem, t.s, t.len);
		t.s += n;
		t.len -= n;
		event = br_pem_decoder_event(&pem);
		if (event == BR_PEM_BEGIN_OBJ)
			br_pem_decoder_setdest(&pem, push, NULL);
	}
	br_x509_decoder_init(&d, NULL, NULL);
	br_x509_decoder_push(&d, der, der_len);
	if (br_x509_decoder_get_pkey(&d) == NULL) {
		printf("no key in " CERTS "p256.pem\n");
		exit(1);
	}
	server_key = *br_x509_decoder_get_pkey(&d);
	memcpy(server_q, server_key.key.ec.q, server_key.key.ec.qlen);
	server_key.key.ec.q = server_q;
}

static void
begin_tls(struct peer *p)
{
	static const uint16_t suites[] = {
		BR_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
	};
	br_ssl_engine_context *e = &p->cc.eng;

	br_ssl_client_zero(&p->cc);
	br_ssl_engine_set_versions(e, BR_TLS12, BR_TLS12);
	br_ssl_engine_set_suites(e, suites, 1);
	br_ssl_engine_set_hash(e, br_sha256_ID, &br_sha256_vtable);
	br_ssl_engine_set_prf_sha256(e, br_tls12_sha256_prf);
	br_ssl_engine_set_default_ec(e);
	br_ssl_engine_set_default_ecdsa(e);
	br_ssl_engine_set_default_chapol(e);
	br_x509_knownkey_init_ec(&p->known, &server_key.key.ec,
	    BR_KEYTYPE_SIGN | BR_KEYTYPE_KEYX);
	br_ssl_engine_set_x509(e, &p->known.vtable);
	br_ssl_engine_set_buffer(e, p->buffers, sizeof p->buffers, 1);
	br_ssl_engine_inject_entropy(e, "always the same: it is a test", 29);
	br_ssl_client_reset(&p->cc, "localhost", 0);
	p->tls = 1;
	fake_window(p->h, 300); /* the hub has to keep some, too */
}

/*
 * Moves records between the engine and the wire; bytes go to p->got. The end of
 * what there is to send comes late, so that the hub has to keep half a record.
 */
static void
pump_tls(struct peer *p)
{
	br_ssl_engine_context *e = &p->cc.eng;
	unsigned char *at;
	size_t len, n;
	int moved, late = 0;

	do {
		moved = 0;
		at = late ? NULL : br_ssl_engine_sendrec_buf(e, &len);
		if (at != NULL) {
			late = len > 7;
			len -= late ? 7 : 0;
			fake_put(p->h, at, len);
			br_ssl_engine_sendrec_ack(e, len);
			moved = 1;
		}
		if ((at = br_ssl_engine_recvapp_buf(e, &len)) != NULL) {
			memcpy(p->got + p->have, at, len);
			p->have += len;
			br_ssl_engine_recvapp_ack(e, len);
			moved = 1;
		}
		if ((at = br_ssl_engine_recvrec_buf(e, &len)) != NULL &&
		    (n = fake_take(p->h, at, len)) != 0) {
			br_ssl_engine_recvrec_ack(e, n);
			moved = 1;
		}
	} while (moved);
}
#endif

/* ----------------------------------------------------------------- peers */

static void
send_bytes(struct peer *p, const void *data, size_t len)
{
	if (p->h < 0)
		return;
#ifdef WITH_TLS
	if (p->tls) {
		unsigned char *at;
		size_t room;

		at = br_ssl_engine_sendapp_buf(&p->cc.eng, &room);
		if (at != NULL && room >= len) {
			memcpy(at, data, len);
			br_ssl_engine_sendapp_ack(&p->cc.eng, len);
			br_ssl_engine_flush(&p->cc.eng, 0);
			pump_tls(p);
		}
		return;
	}
#endif
	fake_put(p->h, data, len);
}

static void
send_frame(struct peer *p, unsigned opcode, const char *data, size_t len)
{
	static const unsigned char mask[4] = { 1, 2, 3, 4 };
	unsigned char out[256];
	size_t n = ws_frame_head(out, WS_FIN | opcode, len, mask);

	if (len != 0)
		memcpy(out + n, data, len);
	ws_mask(out + n, len, mask, 0);
	send_bytes(p, out, n + len);
}

static void
on_text(struct peer *p, const char *text)
{
	unsigned n;
	const char *id = strstr(text, "\"device_id\":\"");

	if (id != NULL) {
		memcpy(p->id, id + 13, WS_ID_LEN);
		p->up = 1;
		p->next = number + 1;
		return;
	}
	if (strstr(text, "\"hb\"") != NULL)
		p->beats++;
	if (sscanf(text, "[%u,", &n) != 1)
		return;
	EXPECT(n >= p->next, "%s received %u after %u", names[p - peers], n,
	    p->next - 1);
	p->skipped += n - p->next;
	p->next = n + 1;
	p->received++;
}

/* Reads all there is. */
static void
read_all(struct peer *p)
{
	unsigned char *s;
	char *end, text[64];
	size_t len, head, i;

	if (p->h < 0)
		return;
#ifdef WITH_TLS
	if (p->tls) {
		pump_tls(p);
		if (!p->asked && br_ssl_engine_sendapp_buf(&p->cc.eng, &len)) {
			p->asked = 1;
			send_bytes(p, request, sizeof request - 1);
		}
	} else
#endif
		p->have += fake_take(p->h, p->got + p->have,
		    sizeof p->got - p->have - 1);
	p->got[p->have] = '\0';
	if (!p->up && p->have > 12 && memcmp(p->got, "HTTP/1.1 ", 9) == 0) {
		end = strstr((char *)p->got, "\r\n\r\n");
		if (end == NULL)
			return;
		p->have -= (size_t)((unsigned char *)end + 4 - p->got);
		memmove(p->got, end + 4, p->have);
	}
	while (p->have >= 2) {
		s = p->got;
		len = s[1];
		head = len == 126 ? 4 : len == 127 ? 10 : 2;
		if (p->have < head)
			break;
		if (head > 2)
			for (len = 0, i = 2; i < head; i++)
				len = len << 8 | s[i];
		if (p->have - head < len)
			break;
		snprintf(text, sizeof text, "%.*s", len < 63 ? (int)len : 63,
		    (char *)s + head);
		if (s[0] == (WS_FIN | WS_TEXT))
			on_text(p, text);
		else if (s[0] == (WS_FIN | WS_PONG))
			p->pongs++;
		else if (s[0] == (WS_FIN | WS_CLOSE))
			p->code = (unsigned)s[2] << 8 | s[3];
		else if (s[0] == (WS_FIN | WS_PING)) {
			p->pings++;
			if (!p->mute)
				send_frame(p, WS_PONG, "", 0);
		}
		p->have -= head + len;
		memmove(s, s + head + len, p->have);
	}
	if (fake_ended(p->h) && fake_waiting(p->h) == 0)
		p->gone = 1;
}

static void
disconnect(struct peer *p)
{
	if (p->h >= 0)
		fake_leave(p->h);
	p->h = -1;
}

/* What each begins with, in two reads; NULL: nothing. */
static const char *proxy_header;

static void
dial(struct peer *p, int tls)
{
	memset(p, 0, sizeof *p);
	p->h = fake_connect(tls ? tls_listener : listener);
	if (p->h >= 0 && proxy_header != NULL) {
		fake_put(p->h, proxy_header, 9);
		(void)ws_loop_step(l, 0);
		(void)ws_loop_step(l, 0);
		fake_put(p->h, proxy_header + 9, strlen(proxy_header) - 9);
	}
#ifdef WITH_TLS
	if (tls)
		begin_tls(p);
#endif
}

/* Some turns, with everybody reading; 0 once the loop is over. */
static int
turns(int n)
{
	int i, going = 1;

	while (n-- > 0 && going) {
		going = ws_loop_step(l, 0);
		for (i = 0; i < PEERS; i++)
			read_all(&peers[i]);
		if (backend >= 0 && reply_len < sizeof reply - 4096)
			reply_len += fake_take(backend, reply + reply_len,
			    sizeof reply - 1 - reply_len);
	}
	return going;
}

/* One object and its reply's count; -1: ERR, or no reply. */
static int
ask(const char *format, ...)
{
	static char text[20000];
	va_list ap;
	int i, n = -1;

	if (backend < 0 || backend_gone)
		return -1;
	va_start(ap, format);
	vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	reply_len = 0;
	fake_put(backend, text, strlen(text));
	for (i = 0; i < 20 && memchr(reply, '\n', reply_len) == NULL; i++)
		(void)turns(1);
	reply[reply_len] = '\0';
	/* One that could not be written to was obeyed, and gets no reply. */
	if (fake_ended(backend) || memchr(reply, '\n', reply_len) == NULL)
		backend_gone = 1;
	if (reply_len >= 3 && memcmp(reply, "ERR", 3) == 0)
		errs++;
	return sscanf(reply, "OK %d", &n) == 1 ? n : -1;
}

static int
publish_all(size_t size)
{
	static char pad[16384];

	memset(pad, 'x', sizeof pad);
	if (backend_gone)
		return -1;
	return ask("{\"action\":\"sendToChannel\",\"channel\":\"all\",\"data\":"
	    "[%u,  \"%.*s\"]}\n", ++number, (int)size, pad);
}

static int
subscribe(struct peer *p)
{
	return ask("{\"action\":\"subscribe\",\"device\":\"%s\",\"channel\":"
	    "\"all\"}\n", p->id);
}

#endif
