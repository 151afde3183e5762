/* wshub: ISC licence, see LICENSE. */
/*
 * The peers of fault.c: clients, which speak ws or wss and count what they
 * receive, and a backend, all on the fake kernel of fake.h.
 */
#ifndef TEST_PEERS_H
#define TEST_PEERS_H

#include "fake.h"
#include "../ws.h"
#include "client.h"
#include "test.h"

#ifndef CERTS
#define CERTS "test/certs/"
#endif

enum { ANN, BOB, TOM, EVE, PEERS };

static const char *const names[] = { "Ann", "Bob", "Tom", "Eve" };

struct peer {
	struct client c; /* the first */
	int h;         /* -1: not connected */
	int open;      /* has got its 101 */
	int up;        /* and its id */
	int gone;      /* the hub ended it, or it was reset */
	int left;      /* it went by itself */
	char id[WS_ID_LEN + 1];
	char got[1024]; /* a response that is not a 101 */
	unsigned received, next;    /* messages; the number that is to come */
	unsigned skipped;        /* numbers that did not come */
	unsigned pongs;
	unsigned code;           /* the last Close's */
	int mute;                /* does not answer Pings */
	unsigned pings, beats;
	int asked;     /* by wss: its request is out */
	int late;      /* the end of what it has to send waits */
};

static struct peer peers[PEERS];
static struct ws_loop *l;
static int listener, tls_listener, control, backend, backend_gone;
static char reply[65536];
static size_t reply_len;
static unsigned number;     /* of the last message */
static unsigned errs;       /* replies that were ERR */
static struct ws_tls_config *config;

static const char request[] = "GET /push?a=b HTTP/1.1\r\n" UPGRADE "\r\n";

/* ------------------------------------------------------------------- TLS */

#ifdef WITH_TLS
static br_x509_pkey server_key;

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
	static struct client_der der;

	server_key = *client_certificate(CERTS "p256.pem", &der, NULL);
}

static void
begin_tls(struct peer *p)
{
	static const char seed[] = "always the same: it is a test";

	p->c.tls = client_tls_knowing(&server_key, 1);
	br_ssl_engine_inject_entropy(&p->c.tls->ssl.eng, seed, 29);
	br_ssl_client_reset(&p->c.tls->ssl, "localhost", 0);
	fake_window(p->h, 300); /* the hub has to keep some, too */
}
#endif

/* ----------------------------------------------------------------- peers */

static ssize_t
take_bytes(struct client *c, void *buf, size_t room)
{
	size_t n = fake_take(c->fd, buf, room);

	errno = EAGAIN;
	return n != 0 ? (ssize_t)n : -1;
}

/* By wss the end comes late, so that the hub has to keep half a record. */
static ssize_t
put_bytes(struct client *c, const void *data, size_t len)
{
	struct peer *p = (struct peer *)c;

	errno = EAGAIN;
	if (p->late)
		return -1;
	if (c->tls != NULL && len > 7) {
		p->late = 1;
		len -= 7;
	}
	fake_put(c->fd, data, len);
	return (ssize_t)len;
}

static void
send_bytes(struct peer *p, const void *data, size_t len)
{
	p->late = 0;
	if (p->h >= 0)
		(void)client_put(&p->c, data, len);
}

static void
send_frame(struct peer *p, unsigned opcode, const char *data, size_t len)
{
	p->late = 0;
	if (p->h >= 0)
		put_frame(&p->c, WS_FIN | opcode, data, len);
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
	unsigned char *data;
	char *head, text[64];
	size_t len;
	int n;

	if (p->h < 0)
		return;
	p->late = 0;
#ifdef WITH_TLS
	if (p->c.tls != NULL && !p->asked &&
	    client_run(&p->c, BR_SSL_SENDAPP) == 0) {
		p->asked = 1;
		send_bytes(p, request, sizeof request - 1);
		p->late = 0;
	}
#endif
	if (!p->open && (n = get_head(&p->c, &head)) > 0) {
		p->open = strncmp(head, "HTTP/1.1 101 ", 13) == 0;
		if (!p->open) {
			p->c.at -= (size_t)n;
			(void)need(&p->c, p->c.len - p->c.at + 1);
			snprintf(p->got, sizeof p->got, "%.*s", (int)(p->c.len -
			    p->c.at), (char *)p->c.buf + p->c.at);
		}
	}
	while (p->open && (n = get_frame(&p->c, &data, &len)) > 0) {
		snprintf(text, sizeof text, "%.*s", len < 63 ? (int)len : 63,
		    (char *)data);
		if (n == (WS_FIN | WS_TEXT))
			on_text(p, text);
		else if (n == (WS_FIN | WS_PONG))
			p->pongs++;
		else if (n == (WS_FIN | WS_CLOSE))
			p->code = (unsigned)data[0] << 8 | data[1];
		else if (n == (WS_FIN | WS_PING)) {
			p->pings++;
			if (!p->mute)
				send_frame(p, WS_PONG, "", 0);
			p->late = 0;
		} else {
			EXPECT(0, "%s: frame %#x", names[p - peers],
			    (unsigned)n);
		}
	}
	EXPECT(!p->open || n != WRONG, "%s: a frame's head",
	    names[p - peers]);
	if (fake_ended(p->h) && fake_waiting(p->h) == 0)
		p->gone = 1;
}

static void
disconnect(struct peer *p)
{
	if (p->h >= 0)
		fake_leave(p->h);
	p->h = -1;
	client_free(&p->c);
}

/* What each begins with, in two reads; NULL: nothing. */
static const char *proxy_header;

static void
dial(struct peer *p, int tls)
{
	client_free(&p->c);
	memset(p, 0, sizeof *p);
	p->h = p->c.fd = fake_connect(tls ? tls_listener : listener);
	p->c.read = take_bytes;
	p->c.write = put_bytes;
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
