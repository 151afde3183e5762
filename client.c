/* wshub: ISC licence, see LICENSE. */
/*
 * A client: checks its input, queues its answers, and sets a deadline for each
 * state.
 *
 *   PROXY    with --proxy-protocol: the PROXY header is to be received
 *   HELLO    on a TLS listener, nothing received yet. The TLS session is
 *            created at the first byte, so that an idle peer costs none.
 *   HEAD     TLS handshake and request head, with one deadline for all
 *   OPEN     in the hub
 *   AWAY     in the hub, without a connection: its session can be resumed
 *   ENDING   its last frame or HTTP response is queued; input is discarded
 *   LINGER   everything is sent, and the socket is shut down for writing. The
 *            peer must close first: if the hub did, a reset could destroy the
 *            response before the peer reads it.
 *
 * A session that can be resumed survives its connection. When the connection
 * breaks, the client frees everything that belongs to it and becomes AWAY. When
 * the peer connects again, it is a new client until its request has been read.
 * Then the two clients exchange their connections. The new client ends, after a
 * Close frame on the old connection if that is still open.
 *
 * Functions here only mark a client dead (ws_poll_kill), and the loop frees it
 * later. So no client is freed while the hub or the ready list is traversed.
 */
#define _GNU_SOURCE /* MSG_NOSIGNAL, on systems that have it */
#include <sys/types.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ws.h"

#if defined(__linux__)
#define OUTPUT_QUEUE TIOCOUTQ /* tcp(7), unix(7): SIOCOUTQ */
#elif defined(FIONWRITE)
#define OUTPUT_QUEUE FIONWRITE /* FreeBSD, NetBSD */
#endif

#define READ_MAX WS_TLS_RECORD /* bytes of one read from a client */
#define PONGS_MAX 32      /* with so many frames queued, a Pong replaces one */
#define REFUSED_TIME 2000 /* ms to receive a request that will be refused */

enum {
	PROXY = WS_CLIENT_PROXY, HELLO = WS_CLIENT_HELLO,
	HEAD = WS_CLIENT_HEAD, OPEN = WS_CLIENT_OPEN, AWAY = WS_CLIENT_AWAY,
	ENDING = WS_CLIENT_ENDING, LINGER = WS_CLIENT_LINGER
};

/*
 * Bytes in the kernel that the peer has not acknowledged; 0 if the system does
 * not provide the number. (On OpenBSD, TIOCOUTQ is only for terminals and needs
 * another pledge.)
 */
static uint32_t
unacknowledged(int fd)
{
#ifdef OUTPUT_QUEUE
	int n;

	if (ioctl(fd, OUTPUT_QUEUE, &n) == 0)
		return (uint32_t)n;
#else
	(void)fd;
#endif
	return 0;
}

/*
 * Whether c has a token that has expired. *when is set to the time at which it
 * expires, or to INT64_MAX if it never does.
 */
static int
has_expired(const struct ws_loop *l, const struct ws_client *c, int64_t *when)
{
	long long left;

	*when = INT64_MAX;
	if (c->resume == NULL || c->resume->exp == UINT32_MAX)
		return 0;
	left = c->resume->exp - ws_wall_clock();
	*when = l->now + left * 1000;
	return left <= 0;
}

/* Sets the deadline of an open client: when, or its token's if earlier. */
static void
set_open_deadline(struct ws_loop *l, struct ws_client *c, int64_t when)
{
	int64_t expires;

	if (c->resume != NULL) {
		c->resume->due = when;
		(void)has_expired(l, c, &expires);
		if (expires < when)
			when = expires;
	}
	if (when == INT64_MAX)
		ws_wheel_clear(&l->wheel, &c->deadline);
	else
		ws_wheel_set(&l->wheel, &c->deadline, when);
}

/* The peer has sent data: a Ping is due when it is idle for o.ping seconds. */
static void
schedule_ping(struct ws_loop *l, struct ws_client *c)
{
	int64_t idle = (int64_t)l->o.ping * 1000;

	c->pinged = 0;
	if (l->stop_at != 0)
		return;
	if (l->o.ping == 0) {
		set_open_deadline(l, c, INT64_MAX);
		return;
	}
	/* Up to a tenth earlier: this spreads clients that came together. */
	idle -= ws_jitter(&l->jitter_seed, (uint32_t)(idle / 10));
	set_open_deadline(l, c, l->now + idle);
}

/* Queues a Ping, after all bytes that the peer has not acknowledged yet. */
static void
send_ping(struct ws_loop *l, struct ws_client *c)
{
	c->unacked = unacknowledged(c->conn.fd);
	c->before_ping = c->unacked + c->queue.unsent;
	if (ws_client_queue_ping(l, c) != 0)
		return;
	c->pinged = 1;
	set_open_deadline(l, c, l->now + WS_PONG_SECONDS * 1000);
}

/* Closes a connection that gets no answer. Returns -1. */
static int
drop(struct ws_loop *l, struct ws_client *c, const char *reason)
{
	ws_client_log_end(l, c, WS_LOG_INFO, 0, reason);
	ws_poll_kill(&l->poll, &c->conn);
	return -1;
}

static ssize_t
plain_read(int fd, void *buf, size_t room, int flags)
{
	ssize_t n;

	do
		n = recv(fd, buf, room, flags);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return n;
	return errno == EAGAIN || errno == EWOULDBLOCK ? WS_WANT_IN : WS_ERROR;
}

/*
 * Answers a Ping with a Pong. A peer that sends Pings but does not read gets
 * only a Pong for the latest, which RFC 6455 section 5.5.3 allows. Otherwise
 * the queue would grow by many times the bytes that the peer sends.
 */
static void
answer_ping(struct ws_loop *l, struct ws_client *c, const struct ws_event *e)
{
	struct ws_queue *q = &c->queue;
	struct ws_frame *f;

	if (q->count >= PONGS_MAX)
		ws_client_flush(l, c);
	if (c->conn.dead || c->state != OPEN)
		return;
	f = ws_frame_new(WS_PONG, e->data, e->len);
	if (f == NULL) {
		ws_client_no_memory(l, c);
		return;
	}
	if (q->count >= PONGS_MAX &&
	    *ws_frame_bytes(ws_queue_last(q)) == (WS_FIN | WS_PONG))
		ws_queue_replace(q, &l->queued, f);
	else
		(void)ws_client_queue(l, c, f);
	ws_frame_release(f);
}

/*
 * Handles a Close. With code 1000 or 1001 the session ends, too. With any other
 * code it can still be resumed.
 */
static void
take_close(struct ws_loop *l, struct ws_client *c, unsigned code)
{
	c->reason = WS_ENDED_CLOSED;
	if (code == WS_CLOSE_NORMAL || code == WS_CLOSE_GOING_AWAY)
		ws_client_end(l, c, code, NULL);
	else
		ws_resume_close(l, c, code, NULL);
}

/* Handles the frames of an open client. Messages are checked and discarded. */
static void
take_frames(struct ws_loop *l, struct ws_client *c, unsigned char *data,
    size_t len)
{
	struct ws_event e = { 0 }; /* gcc -O1 does not see that it is set */
	ssize_t n;

	while (c->state == OPEN && !c->conn.dead) {
		n = ws_framer_next(&c->in.framer, data, len, &e);
		if (n == WS_MORE) {
			ws_client_keep_partial(l, c, data, len);
			return;
		}
		if (n == WS_BAD) {
			l->counters[WS_PROTOCOL_ERRORS]++;
			ws_client_end(l, c, e.code, e.reason);
			return;
		}
		data += n;
		len -= (size_t)n;
		if (e.opcode == WS_PING)
			answer_ping(l, c, &e);
		else if (e.opcode == WS_PONG && c->queue.keeps)
			ws_resume_confirm(l, c, e.data, e.len);
		else if (e.opcode == WS_CLOSE)
			take_close(l, c, e.code);
	}
}

/*
 * The 101 response and the first message, as one frame. Clients do not count
 * this message. NULL: no memory.
 */
static struct ws_frame *
first_frame(const struct ws_request *r, const char *message, size_t len)
{
	char out[WS_ANSWER_MAX + WS_FRAME_HEAD_MAX + WS_GREETING_MAX];
	unsigned char head[WS_FRAME_HEAD_MAX];
	size_t n = ws_accept(out, r), h;

	h = ws_frame_head(head, WS_FIN | WS_TEXT, len, NULL);
	memcpy(out + n, head, h);
	memcpy(out + n + h, message, len);
	return ws_frame_raw(out, n + h + len);
}

static void
begin_frames(struct ws_loop *l, struct ws_client *c)
{
	c->state = OPEN;
	c->connected = l->now;
	ws_poll_cool(&l->poll, &c->conn);
	ws_framer_init(&c->in.framer, 1, WS_CLIENT_MESSAGE_MAX);
	ws_wheel_clear(&l->wheel, &c->deadline);
	schedule_ping(l, c);
}

/* 0, or -1 with errno. */
static int
subscribe_all(struct ws_loop *l, struct ws_client *c,
    const struct ws_token *token)
{
	unsigned i;

	for (i = 0; i < token->nchannels; i++)
		if (ws_hub_subscribe(&l->hub, c->session.device,
		    token->channels[i]) == -1)
			return -1;
	return 0;
}

/* Joins the hub with a new session: 0, or -1 with errno. */
static int
join(struct ws_loop *l, struct ws_client *c, const struct ws_admission *a)
{
	if ((a->resumable || a->token.exp != LLONG_MAX) &&
	    ws_resume_new(l, c, a->resumable, a->token.exp) != 0)
		return -1;
	if (ws_hub_join(&l->hub, &c->session, a->token.sub) != 0)
		return -1;
	ws_watch_session(&l->hub, &c->session, WS_EVENT_CONNECT,
	    WS_ENDED_ERROR);
	return subscribe_all(l, c, &a->token);
}

/*
 * Begins a new session: the client joins the hub, and gets a 101 response and
 * its first message. On failure it gets an error response instead.
 */
static void
open_client(struct ws_loop *l, struct ws_client *c, const struct ws_request *r,
    const struct ws_admission *a)
{
	char message[WS_GREETING_MAX];
	struct ws_frame *f = NULL;
	size_t len;
	int done;

	if (join(l, c, a) == 0) {
		len = ws_admit_greeting(message, c, a->lost);
		f = first_frame(r, message, len);
	} else if (errno == EEXIST) {
		ws_client_answer(l, c, 401, "sub is the id of another device");
		return;
	}
	if (f == NULL) {
		l->counters[WS_LOST]++;
		ws_client_answer(l, c, 503, "out of memory");
		return;
	}
	done = ws_client_queue(l, c, f);
	ws_frame_release(f);
	if (done != 0)
		return;
	begin_frames(l, c);
	l->counters[WS_OPENED]++;
	ws_client_log_open(l, c, 0);
}

/*
 * Resumes the session in a with the connection of c. If the session still has
 * an old connection, c gets that one and closes it. -1: no memory, and both
 * keep their connections.
 */
static int
resume_client(struct ws_loop *l, struct ws_client *c,
    const struct ws_request *r, const struct ws_admission *a)
{
	struct ws_client *s = a->session;
	char message[WS_GREETING_MAX];
	size_t len = ws_admit_welcome_back(message, s,
	    ws_resume_count(s) - a->seen);
	struct ws_frame *f = first_frame(r, message, len);
	uint32_t seen = (uint32_t)(a->seen - s->resume->base);

	if (f == NULL || subscribe_all(l, s, &a->token) != 0) {
		ws_frame_release(f);
		return -1;
	}
	ws_resume_take(l, s, c);
	ws_resume_set_expiry(s, a->token.exp);
	s->resume->base = a->seen;
	begin_frames(l, s);
	ws_client_mark_dirty(l, s);
	l->counters[WS_RESUMED]++;
	ws_watch_session(&l->hub, &s->session, WS_EVENT_RESUME,
	    WS_ENDED_ERROR);
	ws_client_log_open(l, s, 1);
	if (ws_queue_resume(&s->queue, &l->queued, seen, f) != 0)
		ws_client_no_memory(l, s);
	ws_frame_release(f);
	return 0;
}

/* Ends session s, which has lost messages: its peer has a new session now. */
static void
end_replaced(struct ws_loop *l, struct ws_client *s)
{
	s->reason = WS_ENDED_REPLACED;
	if (s->state == AWAY)
		ws_client_end_away(l, s, WS_MISSED,
		    "replaced by a new session");
	else
		ws_client_end(l, s, WS_CLOSE_GOING_AWAY,
		    "replaced by a new session");
}

/*
 * Whether --max-per-ip allows c. Clients of proxies are counted only now, as
 * their addresses were not known before.
 */
static int
is_counted(struct ws_loop *l, struct ws_client *c)
{
	return c->peer != NULL ||
	    ws_peer_count(l, c->conn.fd, c->about, &c->peer) == 0;
}

/*
 * Whether --max-per-ip allows c to resume session s. If not, c can still take
 * the place of s in that count, provided that both have the same address.
 */
static int
may_resume(struct ws_loop *l, struct ws_client *c, struct ws_client *s)
{
	if (is_counted(l, c))
		return 1;
	if (!ws_peer_is(s->peer, c->conn.fd, c->about))
		return 0;
	c->peer = ws_peer_share(s->peer);
	return 1;
}

/*
 * Handles a complete WebSocket request. Returns the client that has the
 * connection afterwards.
 */
static struct ws_client *
take_request(struct ws_loop *l, struct ws_client *c,
    const struct ws_request *r)
{
	struct ws_admission a;

	if (ws_admit(l, r, &a) != 0) {
		ws_client_answer(l, c, a.status, a.reason);
	} else if (a.session != NULL && !a.lost) {
		if (!may_resume(l, c, a.session)) {
			ws_client_answer(l, c, 503, "too many clients");
			return c;
		}
		if (resume_client(l, c, r, &a) == 0)
			return a.session;
		l->counters[WS_LOST]++;
		ws_client_answer(l, c, 503, "out of memory");
	} else if (c->refused || !is_counted(l, c)) {
		ws_client_answer(l, c, 503, "too many clients");
	} else {
		open_client(l, c, r, &a);
		/* After the join, so that the device keeps its channels. */
		if (a.session != NULL && c->state == OPEN)
			end_replaced(l, a.session);
	}
	return c;
}

/* Answers a complete request on a listener for metrics. */
static void
answer_scraper(struct ws_loop *l, struct ws_client *c,
    const struct ws_request *r)
{
	char *body = (char *)l->input; /* the request is not needed any more */
	size_t n;

	if (r->status == 200 && !r->metrics && l->stop_at != 0) {
		ws_client_answer(l, c, 503, "shutting down");
	} else if (r->status != 200 || !r->metrics) {
		ws_client_answer(l, c, r->status, r->reason);
	} else {
		n = ws_metrics_text(l, body, WS_METRICS_MAX);
		n = ws_answer_with((char *)l->output, &c->in.head,
		    "text/plain; version=0.0.4; charset=utf-8", body, n);
		ws_client_answer_bytes(l, c, l->output, n);
	}
}

/*
 * Sets the address that a trusted proxy has forwarded in a head, and the path
 * of the request: 0, or -1 if there is no memory.
 */
static int
describe(struct ws_loop *l, struct ws_client *c, struct ws_text head,
    struct ws_text path)
{
	struct ws_ip ip = { 0, { 0 }, 0 };
	struct ws_text value;

	if (c->about != NULL)
		ip = c->about->ip;
	if (ws_peer_trusted(l, c->conn.fd, c->about))
		while (ws_field(&head, "x-forwarded-for", &value) &&
		    ws_forwarded(&ip, l->o.trust, value))
			;
	return ws_about_set(c, &ip, path);
}

static void
take_head(struct ws_loop *l, struct ws_client *c, unsigned char *data,
    size_t len)
{
	static const struct ws_http metrics = { "/health", NULL, NULL,
	    "/metrics" };
	int scraper = c->conn.kind == WS_CONN_SCRAPER;
	struct ws_text head = { (const char *)data, 0 }, path = { "/", 1 };
	struct ws_request r;
	ssize_t n = ws_request(&c->in.head, scraper ? &metrics : &l->o.http,
	    (const char *)data, len, &r);

	if (n == WS_MORE) {
		ws_client_keep_partial(l, c, data, len);
		return;
	}
	ws_client_keep_partial(l, c, NULL, 0);
	if (scraper) {
		answer_scraper(l, c, &r);
		return;
	}
	head.len = c->in.head.at;
	if (n > 0 && r.status == 101)
		path = ws_path(r.target);
	if (describe(l, c, head, path) != 0) {
		l->counters[WS_LOST]++;
		ws_client_answer(l, c, 503, "out of memory");
	} else if (n == WS_BAD || (r.status != 101 && l->stop_at == 0))
		ws_client_answer(l, c, r.status, r.reason);
	else if (l->stop_at != 0)
		ws_client_answer(l, c, 503, "shutting down");
	else
		c = take_request(l, c, &r);
	if (c->state == OPEN && !c->conn.dead) {
		take_frames(l, c, data + n, len - (size_t)n);
		if (!c->conn.dead && c->state != AWAY)
			ws_client_flush(l, c);
	}
}

/*
 * The PROXY header has been read: its address counts for --max-per-ip, unless
 * it is another proxy's. A client beyond the limit is like one that is refused
 * when it is accepted. -1: it is dropped.
 */
static int
begin_proxied(struct ws_loop *l, struct ws_client *c, const struct ws_ip *ip)
{
	static const struct ws_text root = { "/", 1 };
	int tls = c->in.tls;

	memset(&c->in, 0, sizeof c->in);
	c->state = tls ? HELLO : HEAD;
	if (ws_about_set(c, ip, root) != 0) {
		l->counters[WS_LOST]++;
		return drop(l, c, "out of memory");
	}
	if (c->refused || ws_peer_trusted(l, c->conn.fd, c->about) ||
	    is_counted(l, c))
		return 0;
	if (l->refused >= l->max_refused + l->away) {
		l->counters[WS_REFUSED]++;
		if (!tls) {
			ws_client_refuse(l, c);
			ws_client_log_end(l, c, WS_LOG_INFO, 503,
			    "too many clients");
		}
		return drop(l, c, "too many clients");
	}
	c->refused = 1;
	l->clients--;
	l->refused++;
	if (l->away == 0)
		ws_wheel_set(&l->wheel, &c->deadline, l->now + REFUSED_TIME);
	return 0;
}

/*
 * Reads the PROXY header, and none of the bytes after it, which may be for the
 * TLS session. 0: it is complete.
 */
static int
take_proxy(struct ws_loop *l, struct ws_client *c)
{
	size_t len = c->partial_len;
	unsigned char *at = l->input + len;
	ssize_t n = plain_read(c->conn.fd, at, WS_PROXY_MAX, MSG_PEEK);
	ssize_t used = WS_MORE;
	struct ws_ip ip;

	if (n > 0) {
		if (len != 0)
			memcpy(l->input, c->partial, len);
		used = ws_proxy_header(&ip, l->input, len + (size_t)n);
		if (used == WS_BAD) {
			l->counters[WS_BAD_REQUESTS]++;
			return drop(l, c, "no valid PROXY header");
		}
		if (used != WS_MORE)
			n = used - (ssize_t)len;
		n = plain_read(c->conn.fd, at, (size_t)n, 0);
	}
	if (n == WS_WANT_IN)
		return -1;
	if (n <= 0) {
		return drop(l, c, n == 0 ? "closed by peer" :
		    ws_client_io_error(c));
	}
	len += (size_t)n;
	if (used != (ssize_t)len) {
		ws_client_keep_partial(l, c, l->input, len);
		return -1;
	}
	ws_client_keep_partial(l, c, NULL, 0);
	return begin_proxied(l, c, &ip);
}

/*
 * Checks the first byte on a TLS listener: it begins a ClientHello, or the peer
 * does not use TLS. 0: c->tls is ready to be read from.
 */
static int
take_hello(struct ws_loop *l, struct ws_client *c)
{
	unsigned char first;
	ssize_t n;

	do
		n = recv(c->conn.fd, &first, 1, MSG_PEEK);
	while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return -1;
	if (n <= 0) {
		ws_client_log_end(l, c, WS_LOG_INFO, 0, n == 0 ?
		    "closed by peer" : strerror(errno));
		ws_poll_kill(&l->poll, &c->conn);
		return -1;
	}
	c->state = HEAD;
	if (first != 22) { /* handshake, RFC 5246 appendix A.1 */
		ws_client_answer(l, c, 400, "this port speaks TLS (wss://)");
		return -1;
	}
	c->tls = ws_tls_new(l->tls, c->conn.fd);
	if (c->tls == NULL) {
		l->counters[WS_LOST]++;
		ws_client_log_end(l, c, WS_LOG_NOTE, 0, "no TLS session");
		ws_poll_kill(&l->poll, &c->conn);
		return -1;
	}
	return 0;
}

static void
read_client(struct ws_loop *l, struct ws_client *c)
{
	unsigned char *at;
	size_t before;
	ssize_t n;

	if (c->state == PROXY && take_proxy(l, c) != 0)
		return;
	at = l->input + c->partial_len;
	before = ws_client_unfinished(c);
	if (c->state == HELLO && take_hello(l, c) != 0)
		return;
	n = c->tls != NULL ? ws_tls_read(c->tls, at, READ_MAX) :
	    plain_read(c->conn.fd, at, READ_MAX, 0);
	ws_client_count_unfinished(l, c, before);
	/* Reading a close_notify or a renegotiation request sends an answer. */
	if (c->tls != NULL && c->state >= OPEN && ws_tls_unsent(c->tls))
		ws_client_mark_dirty(l, c);
	if (n == WS_WANT_IN || n == WS_WANT_OUT) {
		if (c->state == HEAD)
			ws_poll_events(&l->poll, &c->conn,
			    n == WS_WANT_OUT ? POLLOUT : POLLIN);
		return;
	}
	if (n == 0 && c->state == ENDING && (c->queue.count > 0 ||
	    (c->tls != NULL && ws_tls_unsent(c->tls)))) {
		/* The peer has closed its side, but may still read. */
		ws_poll_events(&l->poll, &c->conn, POLLOUT);
		return;
	}
	if (n <= 0) {
		if (n < 0 && c->tls != NULL && ws_tls_handshaking(c->tls))
			l->counters[WS_TLS_FAILURES]++;
		if (c->state == OPEN)
			c->reason = n == 0 ? WS_ENDED_CLOSED : WS_ENDED_ERROR;
		ws_client_log_end(l, c, WS_LOG_INFO, 0, n == 0 ?
		    "closed by peer" : ws_client_io_error(c));
		ws_resume_lose(l, c);
		return;
	}
	if (c->partial_len != 0) {
		memcpy(l->input, c->partial, c->partial_len);
		at = l->input;
		n += c->partial_len;
	}
	if (c->state == HEAD) {
		take_head(l, c, at, (size_t)n);
	} else if (c->state == OPEN) {
		schedule_ping(l, c);
		take_frames(l, c, at, (size_t)n);
	}
}

/* see ws.h */
void
ws_client_serve(struct ws_loop *l, struct ws_client *c)
{
	if (c->conn.dead || c->state == AWAY)
		return;
	if ((c->conn.revents & POLLOUT) != 0 && c->state >= OPEN)
		ws_client_mark_dirty(l, c);
	if ((c->conn.revents & ~POLLOUT) != 0 || c->state < OPEN)
		read_client(l, c);
	/* Flush at once: answers must not wait for the output of others. */
	if (c->dirty && !c->conn.dead && c->state != LINGER &&
	    c->state != AWAY)
		ws_client_flush(l, c);
}

/* see ws.h */
struct ws_client *
ws_client_new(struct ws_loop *l, int fd, int tls, int refused)
{
	struct ws_client *c = calloc(1, sizeof *c);
	int on = 1;

	if (c == NULL)
		return NULL;
	if (ws_poll_add(&l->poll, &c->conn, fd) != 0) {
		free(c);
		return NULL;
	}
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	c->refused = (unsigned char)(refused != 0);
	c->state = l->o.proxy_protocol ? PROXY : tls ? HELLO : HEAD;
	if (c->state == PROXY)
		c->in.tls = tls;
	c->connected = l->now;
	c->queue.taken_at = (uint32_t)l->now;
	ws_queue_init(&c->queue);
	/* A refused client may resume a session: then it gets the full time. */
	ws_wheel_set(&l->wheel, &c->deadline, l->now +
	    (refused && l->away == 0 ? REFUSED_TIME :
	    WS_HANDSHAKE_SECONDS * 1000));
	return c;
}

/* see ws.h */
void
ws_client_free(struct ws_loop *l, struct ws_client *c)
{
	ws_wheel_clear(&l->wheel, &c->deadline);
	if (!c->ended && (c->conn.fd != -1 || c->state == AWAY)) {
		if (c->session.device != NULL)
			c->reason = WS_ENDED_SHUTDOWN;
		ws_client_log_end(l, c, WS_LOG_INFO, 0, "shutdown");
	}
	ws_client_leave(l, c);
	if (c->state == AWAY)
		l->away--;
	ws_client_release(l, c);
	if (c->resume != NULL)
		ws_resume_free(l, c);
	if (c->conn.fd != -1)
		ws_resume_drop_connection(l, c);
	ws_peer_release(l, c->peer);
	free(c);
}

/* see ws.h */
void
ws_client_stop(struct ws_loop *l, struct ws_client *c, int64_t delay)
{
	if (delay <= 0 || c->state == AWAY)
		c->reason = WS_ENDED_SHUTDOWN;
	if (c->state < OPEN || c->state == AWAY)
		ws_poll_kill(&l->poll, &c->conn);
	else if (c->state == OPEN && delay > 0)
		ws_wheel_set(&l->wheel, &c->deadline, l->now + delay);
	else if (c->state == OPEN)
		ws_client_end(l, c, WS_CLOSE_GOING_AWAY, "shutdown");
}

/*
 * The deadline for a Pong has passed. The client is not disconnected in two
 * cases. The Pong may have been received but not read yet. Or the Ping is
 * behind so much data, on a slow link, that the peer has not received it yet.
 * Then the peer gets another WS_PONG_SECONDS for as long as it acknowledges
 * data, and once more when it has acknowledged everything before the Ping. The
 * few bytes that TLS adds are not counted.
 */
static void
pong_timeout(struct ws_loop *l, struct ws_client *c)
{
	uint32_t left, n;

	c->conn.revents = POLLIN;
	ws_client_serve(l, c);
	if (c->conn.dead || c->state != OPEN || !c->pinged)
		return;
	left = unacknowledged(c->conn.fd);
	n = c->unacked - left; /* acknowledged since then */
	c->unacked = left;
	if (c->before_ping != 0 && n != 0 && n <= INT32_MAX) {
		c->before_ping -= n < c->before_ping ? n : c->before_ping;
		set_open_deadline(l, c, l->now + WS_PONG_SECONDS * 1000);
		return;
	}
	l->counters[WS_SILENT]++;
	c->reset = 1;
	c->reason = WS_ENDED_SILENT;
	ws_client_log_end(l, c, WS_LOG_INFO, 0, "no answer to a ping");
	ws_resume_lose(l, c);
}

/* The deadline of an open client has passed. */
static void
open_timeout(struct ws_loop *l, struct ws_client *c)
{
	int64_t expires;

	if (l->stop_at != 0) {
		c->reason = WS_ENDED_SHUTDOWN;
		ws_client_end(l, c, WS_CLOSE_GOING_AWAY, "shutdown");
	} else if (has_expired(l, c, &expires)) {
		c->reason = WS_ENDED_EXPIRED;
		ws_resume_close(l, c, WS_CLOSE_UNAUTHORIZED, "token expired");
	} else if (c->resume != NULL && l->now < c->resume->due)
		set_open_deadline(l, c, c->resume->due);
	else if (c->pinged)
		pong_timeout(l, c);
	else
		send_ping(l, c);
}

/* see ws.h */
void
ws_client_timeout(struct ws_timer *deadline, void *arg)
{
	struct ws_loop *l = arg;
	struct ws_client *c = (struct ws_client *)
	    ((char *)deadline - offsetof(struct ws_client, deadline));

	if (c->conn.dead)
		return;
	switch (c->state) {
	case PROXY:
		l->counters[WS_BAD_REQUESTS]++;
		(void)drop(l, c, "the PROXY header took too long");
		break;
	case HELLO:
	case HEAD:
		/*
		 * The request may have been received but not read yet. With TLS
		 * it is not read here: that may take a millisecond, and the
		 * loop limits the time for it.
		 */
		if (c->state == HEAD && c->tls == NULL) {
			c->conn.revents = POLLIN;
			ws_client_serve(l, c);
			if (c->conn.dead || c->state != HEAD)
				return;
		}
		if (c->state == HELLO ||
		    (c->tls != NULL && ws_tls_handshaking(c->tls))) {
			l->counters[WS_TLS_FAILURES]++;
			ws_client_log_end(l, c, WS_LOG_INFO, 0,
			    "the TLS handshake took too long");
			ws_poll_kill(&l->poll, &c->conn);
		} else if (c->partial_len == 0 && c->tls == NULL) {
			ws_client_log_end(l, c, WS_LOG_INFO, 0,
			    "it said nothing");
			ws_poll_kill(&l->poll, &c->conn);
		} else if (c->refused)
			ws_client_answer(l, c, 503, "too many clients");
		else
			ws_client_answer(l, c, 408,
			    "the request took too long");
		break;
	case OPEN:
		open_timeout(l, c);
		break;
	case AWAY:
		c->reason = WS_ENDED_LATE;
		ws_client_end_away(l, c, WS_LATE, "away for too long");
		break;
	case ENDING:
		c->reset = 1;
		/* FALLTHROUGH */
	case LINGER:
		ws_poll_kill(&l->poll, &c->conn);
		break;
	}
}
