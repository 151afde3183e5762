/* wshub: ISC licence, see LICENSE. */
/*
 * A client's life: what it sends is checked, what it is sent waits in its
 * queue, and every state has its deadline.
 *
 *   HELLO    TLS listener, nothing spoken: no session is made for silence
 *   HEAD     TLS handshake and request head, within one deadline
 *   OPEN     in the hub
 *   ENDING   its last frame or HTTP answer is queued; input is read, not heard
 *   LINGER   that is out and our end shut; waiting for the peer to close, so
 *            that no reset overtakes the answer
 *
 * Functions here only mark a client dead (ws_poll_kill), the loop's sweep frees
 * it: nothing vanishes under a walk through the hub or the ready list.
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

#include "ws.h"

#if defined(__linux__)
#define OUTPUT_QUEUE TIOCOUTQ /* tcp(7), unix(7): SIOCOUTQ */
#elif defined(FIONWRITE)
#define OUTPUT_QUEUE FIONWRITE /* FreeBSD, NetBSD */
#endif

#define IOV_MANY 64       /* pieces handed to the kernel at once */
#define READ_MAX WS_TLS_RECORD /* bytes of one read from a client */
#define LOG_LINES 20      /* lines about clients in HUSH at the default level */
#define LOG_WINDOW 1000         /* ms */
#define RANK_BYTES_BITS 48      /* of a rank: bytes that are held */
#define RANK_BYTES_MASK (((uint64_t)1 << RANK_BYTES_BITS) - 1)
#define PONGS_MAX 32      /* frames queued before pongs replace another */
#define REFUSED_TIME 2000 /* ms for a request that will be refused */
#define LINGER_TIME 2000  /* ms for a peer to close after us */
#define ENDING_TIME 5000  /* ms for a peer to take its last bytes */

enum {
	HELLO = WS_CLIENT_HELLO, HEAD = WS_CLIENT_HEAD, OPEN = WS_CLIENT_OPEN,
	ENDING = WS_CLIENT_ENDING, LINGER = WS_CLIENT_LINGER
};

static void
kill_client(struct ws_loop *l, struct ws_client *c)
{
	ws_poll_kill(&l->poll, &c->conn);
}

/*
 * One line about one client. Where they come at the default level, thousands
 * may come at once: those beyond LINES_MAX in HUSH are only counted.
 */
static void
log_client(struct ws_loop *l, int level, const struct ws_client *c,
    const char *what, const char *reason)
{
	char name[WS_ADDRESS_MAX];

	if (l->o.log == NULL || level > l->o.log_level)
		return;
	if (level <= WS_LOG_NOTE) {
		if (l->now >= l->log_window_end) {
			ws_client_log_omitted(l);
			l->log_window_end = l->now + LOG_WINDOW;
			l->log_lines = 0;
		}
		if (l->log_lines == LOG_LINES) {
			l->log_omitted++;
			return;
		}
		l->log_lines++;
	}
	ws_address(c->conn.fd, 1, name);
	ws_logf(&l->o, level, "client %s%s%s: %s: %s", name,
	    c->device.id[0] ? " " : "", c->device.id, what, reason);
}

/* see ws.h */
void
ws_client_log_omitted(struct ws_loop *l)
{
	if (l->log_omitted != 0)
		ws_logf(&l->o, WS_LOG_NOTE, "%u more clients: cut off or "
		    "dropped", l->log_omitted);
	l->log_omitted = 0;
}

static void
set_deadline(struct ws_loop *l, struct ws_client *c, int64_t when)
{
	ws_wheel_set(&l->wheel, &c->deadline, when);
}

/*
 * Bytes in the kernel that the peer has not acknowledged; 0 where the system
 * does not tell. (OpenBSD has TIOCOUTQ for terminals alone, and a pledge for
 * it that the hub has not made.)
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

/* The peer spoke: the next Ping is due a silence later. */
static void
schedule_ping(struct ws_loop *l, struct ws_client *c)
{
	int64_t silence = (int64_t)l->o.ping * 1000;

	c->pinged = 0;
	if (l->o.ping == 0 || l->stop_at != 0)
		return;
	/* Up to a tenth earlier, so that clients that came together part. */
	silence -= ws_jitter(&l->jitter_seed, (uint32_t)(silence / 10));
	set_deadline(l, c, l->now + silence);
}

/* -------------------------------------------------------- queues and ends */

static void
clear_queue(struct ws_loop *l, struct ws_client *c)
{
	l->counters[WS_UNDELIVERED] += ws_queue_clear(&c->queue, &l->queued);
}

static void
mark_dirty(struct ws_loop *l, struct ws_client *c)
{
	if (c->dirty)
		return;
	c->dirty = 1;
	c->next_dirty = NULL;
	*l->dirty_end = c;
	l->dirty_end = &c->next_dirty;
}

static int
over_total(const struct ws_loop *l)
{
	return l->queued > l->o.queue_total && l->o.queue_total != 0;
}

/*
 * Queues f, sharing it: 0, or -1 and the client is dead, for want of memory.
 * When there is much, no backend is obeyed further until what can be sent is
 * sent: only what a peer does not take is to count.
 */
static int
queue_frame(struct ws_loop *l, struct ws_client *c, struct ws_frame *f)
{
	struct ws_queue *q = &c->queue;

	if (q->count == 0)
		c->queue.taken_at = (uint32_t)l->now;
	if (ws_queue_push(q, &l->queued, f) != 0) {
		l->counters[WS_LOST]++;
		log_client(l, WS_LOG_NOTE, c, "dropped", "out of memory");
		kill_client(l, c);
		return -1;
	}
	if ((q->unsent > l->o.queue / 2 && (c->conn.events & POLLOUT) == 0) ||
	    over_total(l)) {
		l->flush_first = 1;
		l->hub.budget = 0;
	}
	mark_dirty(l, c);
	return 0;
}

/* Queues bytes that are only for c. */
static int
queue_bytes(struct ws_loop *l, struct ws_client *c, const void *data,
    size_t len)
{
	struct ws_frame *f = malloc(sizeof *f + len);
	int done;

	if (f == NULL) {
		l->counters[WS_LOST]++;
		kill_client(l, c);
		return -1;
	}
	f->refs = 1;
	f->queues = 0;
	f->start = 0;
	f->len = len;
	memcpy(ws_frame_bytes(f), data, len);
	done = queue_frame(l, c, f);
	ws_frame_release(f);
	return done;
}

/* see ws.h */
int
ws_client_deliver(struct ws_device *d, struct ws_frame *f, void *arg)
{
	struct ws_loop *l = arg;
	struct ws_client *c = (struct ws_client *)
	    ((char *)d - offsetof(struct ws_client, device));

	if (c->state != OPEN || c->conn.dead || queue_frame(l, c, f) != 0)
		return 0;
	l->counters[WS_DELIVERIES]++;
	return 1;
}

/* Nothing more will be queued: what is there goes out, and then the end. */
static void
end_client(struct ws_loop *l, struct ws_client *c)
{
	c->state = ENDING;
	ws_hub_leave(&l->hub, &c->device);
	set_deadline(l, c, l->now + ENDING_TIME);
	mark_dirty(l, c);
}

static void
end_with_close(struct ws_loop *l, struct ws_client *c, unsigned code,
    const char *reason)
{
	unsigned char frame[2 + WS_CONTROL_MAX];
	size_t n = ws_close_frame(frame, code, reason);

	if (queue_bytes(l, c, frame, n) == 0)
		end_client(l, c);
}

static void
end_with_answer(struct ws_loop *l, struct ws_client *c, int status,
    const char *reason)
{
	char answer[WS_ANSWER_MAX];
	size_t n = ws_answer(answer, &c->in.head, status, reason);

	if (status == 200) {
		log_client(l, WS_LOG_DEBUG, c, "health", reason);
	} else {
		log_client(l, WS_LOG_INFO, c, "refused", reason);
		l->counters[status == 503 ? WS_REFUSED : WS_BAD_REQUESTS]++;
	}
	if (queue_bytes(l, c, answer, n) == 0)
		end_client(l, c);
}

/*
 * It does not read as fast as it is sent to. What stands in its queue goes,
 * but for a frame that is partly out: a Close may follow that, and nothing
 * else may. Reset in the end, or the kernel would keep its megabytes for long.
 */
static void
disconnect_slow(struct ws_loop *l, struct ws_client *c)
{
	l->counters[WS_CUT_OFF]++;
	log_client(l, WS_LOG_NOTE, c, "cut off", "reads too slowly");
	l->counters[WS_UNDELIVERED] += ws_queue_cut(&c->queue, &l->queued);
	c->reset = 1;
	end_with_close(l, c, WS_CLOSE_TRY_LATER, "too slow");
}

/* ---------------------------------------------------------------- writing */

static ssize_t
plain_read(int fd, void *buf, size_t room)
{
	ssize_t n;

	do
		n = recv(fd, buf, room, 0);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return n;
	return errno == EAGAIN || errno == EWOULDBLOCK ? WS_WANT_IN : WS_ERROR;
}

static ssize_t
plain_writev(int fd, struct iovec *iov, int n)
{
	struct msghdr m;
	ssize_t done;

	memset(&m, 0, sizeof m);
	m.msg_iov = iov;
	m.msg_iovlen = (unsigned short)n; /* signed here, unsigned there */
	do
		done = n == 1 ?
		    send(fd, iov->iov_base, iov->iov_len, MSG_NOSIGNAL) :
		    sendmsg(fd, &m, MSG_NOSIGNAL);
	while (done < 0 && errno == EINTR);
	if (done >= 0)
		return done;
	return errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS ?
	    WS_WANT_OUT : WS_ERROR;
}

static const char *
io_error(const struct ws_client *c)
{
	return c->tls != NULL ? ws_tls_error(c->tls) : strerror(errno);
}

/* Bytes of a request, frame or TLS record, either way, that is not whole. */
static size_t
unfinished_input(const struct ws_client *c)
{
	return c->partial_len + (c->tls == NULL ? 0 : ws_tls_buffered(c->tls));
}

/*
 * After a call to TLS: counts the change. before is what was kept until then.
 * What is kept now begins to wait, unless something waits already.
 */
static void
count_unfinished(struct ws_loop *l, struct ws_client *c, size_t before)
{
	size_t after = unfinished_input(c);

	l->queued += after - before;
	if (before == 0 && after != 0 && c->queue.count == 0)
		c->queue.taken_at = (uint32_t)l->now;
}

static ssize_t
write_some(struct ws_loop *l, struct ws_client *c, struct iovec *iov, int n)
{
	size_t before;
	ssize_t done;

	if (c->tls == NULL)
		return plain_writev(c->conn.fd, iov, n);
	before = unfinished_input(c);
	done = ws_tls_writev(c->tls, iov, n);
	count_unfinished(l, c, before);
	return done;
}

/* ENDING, and all is out: shut our end, and wait a little for the peer's. */
static void
shut_down_output(struct ws_loop *l, struct ws_client *c)
{
	size_t before = unfinished_input(c);
	int closed;

	if (c->tls != NULL && !ws_tls_handshaking(c->tls)) {
		closed = ws_tls_close(c->tls);
		count_unfinished(l, c, before);
		switch (closed) {
		case 0:
			break;
		case WS_WANT_OUT:
			ws_poll_events(&l->poll, &c->conn, POLLIN | POLLOUT);
			return;
		default:
			kill_client(l, c);
			return;
		}
	}
	if (shutdown(c->conn.fd, SHUT_WR) != 0) {
		kill_client(l, c);
		return;
	}
	c->state = LINGER;
	ws_poll_events(&l->poll, &c->conn, POLLIN);
	set_deadline(l, c, l->now + (c->reset ? ENDING_TIME : LINGER_TIME));
}

/* Gives the kernel what it will take. */
static void
flush(struct ws_loop *l, struct ws_client *c)
{
	struct ws_queue *q = &c->queue;
	struct iovec iov[IOV_MANY];
	size_t total;
	ssize_t done = 0;
	int n;

	while (q->count > 0 || (c->tls != NULL && ws_tls_unsent(c->tls))) {
		n = ws_queue_gather(q, iov, IOV_MANY, l->output,
		    sizeof l->output, &total);
		done = write_some(l, c, iov, n);
		if (done < 0)
			break;
		if (done > 0) {
			ws_queue_advance(q, &l->queued, (size_t)done);
			c->unacked += (uint32_t)done;
			c->queue.taken_at = (uint32_t)l->now;
		}
		if (c->tls == NULL && (size_t)done < total) {
			done = WS_WANT_OUT;
			break;
		}
	}
	if (done < 0 && done != WS_WANT_OUT) {
		log_client(l, WS_LOG_INFO, c, "lost", io_error(c));
		kill_client(l, c);
	} else if (done == WS_WANT_OUT) {
		ws_poll_events(&l->poll, &c->conn, POLLIN | POLLOUT);
		ws_queue_shrink(q, &l->queued);
		if (ws_queue_bytes(q) > l->o.queue && c->state == OPEN)
			disconnect_slow(l, c);
	} else if (c->state == ENDING) {
		shut_down_output(l, c);
	} else {
		ws_poll_events(&l->poll, &c->conn, POLLIN);
	}
}

/* see ws.h */
int
ws_client_flush_one(struct ws_loop *l)
{
	struct ws_client *c = l->dirty;
	uintptr_t next;

	if (l->queued > l->most_queued)
		l->most_queued = l->queued;
	if (c == NULL)
		return 0;
	next = (uintptr_t)c->next_dirty;
	l->dirty = c->next_dirty;
	if (l->dirty == NULL)
		l->dirty_end = &l->dirty;
	/* While this one is sent to: of 10,000 the next is in no cache. */
	WS_PREFETCH(next);
	WS_PREFETCH(next + 64);
	WS_PREFETCH(next + 128);
	c->dirty = 0;
	if (!c->conn.dead && c->state != LINGER)
		flush(l, c);
	return l->dirty != NULL;
}

static void
flush_dirty(struct ws_loop *l)
{
	while (ws_client_flush_one(l))
		;
}

/*
 * How soon a client is to go when all hold too much together: first those that
 * have taken nothing for the longest, in steps of a factor of two, and of these
 * the one that holds most. 0: it holds nothing.
 */
static uint64_t
eviction_rank(const struct ws_loop *l, const struct ws_client *c)
{
	uint64_t bytes = ws_queue_bytes(&c->queue) + unfinished_input(c);
	uint64_t steps = 0;
	uint32_t waiting;

	if (bytes == 0)
		return 0;
	for (waiting = (uint32_t)l->now - c->queue.taken_at; waiting >= 128;
	    waiting /= 2)
		steps++;
	return steps << RANK_BYTES_BITS | bytes;
}

/* The client in a slot, if there is one that has not ended. */
static struct ws_client *
client_at(struct ws_loop *l, uint32_t slot)
{
	struct ws_conn *conn = l->poll.conns[slot];

	return conn->kind != WS_CONN_CLIENT || conn->dead ? NULL :
	    (struct ws_client *)conn; /* its first member */
}

/* Bytes that are not whole yet wait in c->carry, which is made to measure. */
static void
keep_partial(struct ws_loop *l, struct ws_client *c, const unsigned char *data,
    size_t len)
{
	size_t before = unfinished_input(c);
	unsigned char *p = NULL;

	if (len == 0) {
		free(c->partial);
	} else if ((p = realloc(c->partial, len)) != NULL) {
		memcpy(p, data, len);
	} else {
		l->counters[WS_LOST]++;
		kill_client(l, c);
		return;
	}
	c->partial = p;
	c->partial_len = (unsigned short)len;
	count_unfinished(l, c, before);
}

/* What counts in l->queued is given back. */
static void
release_memory(struct ws_loop *l, struct ws_client *c)
{
	clear_queue(l, c);
	keep_partial(l, c, NULL, 0);
	l->queued -= unfinished_input(c);
	ws_tls_free(c->tls);
	c->tls = NULL;
}

static void
evict_unfinished(struct ws_loop *l, struct ws_client *c)
{
	if (c->state <= OPEN) { /* else it was counted before */
		l->counters[WS_CUT_OFF]++;
		log_client(l, WS_LOG_NOTE, c, "dropped", "--queue-total is "
		    "reached, and a request, frame or TLS record of it is not "
		    "whole");
	}
	release_memory(l, c);
	c->reset = 1;
	kill_client(l, c);
}

/*
 * All together hold more than --queue-total. First of all nobody is to go for
 * what the dead hold, who wait for the sweep. Then those of the first rank go,
 * and those that hold nearly as much with them, or this would take a walk for
 * each. Returns whether there were any.
 */
static int
evict_some(struct ws_loop *l)
{
	struct ws_conn *dead;
	struct ws_client *c;
	uint64_t most = 0, r;
	uint32_t i;

	for (dead = l->poll.dead; dead != NULL; dead = dead->next)
		if (dead->kind == WS_CONN_CLIENT)
			release_memory(l, (struct ws_client *)dead);
	for (i = 0; i < l->poll.n; i++)
		if ((c = client_at(l, i)) != NULL &&
		    (r = eviction_rank(l, c)) > most)
			most = r;
	for (i = 0; i < l->poll.n && over_total(l); i++) {
		if ((c = client_at(l, i)) == NULL ||
		    (r = eviction_rank(l, c)) >> RANK_BYTES_BITS !=
		    most >> RANK_BYTES_BITS ||
		    r < most - (most & RANK_BYTES_MASK) / 8)
			continue;
		/* Cutting off releases what is queued, and no input. */
		if (c->state == OPEN &&
		    ws_queue_bytes(&c->queue) >= unfinished_input(c))
			disconnect_slow(l, c);
		else
			evict_unfinished(l, c);
	}
	return most != 0;
}

/* see ws.h */
void
ws_client_flush_all(struct ws_loop *l)
{
	flush_dirty(l);
	while (over_total(l) && evict_some(l))
		flush_dirty(l);
	l->flush_first = 0;
}

/* ---------------------------------------------------------------- reading */

/*
 * A Pong for every Ping, as section 5.5.3 asks; but a peer that pings and does
 * not read gets one for the latest, as it allows, or the queue would grow by
 * many times what the peer sends.
 */
static void
pong(struct ws_loop *l, struct ws_client *c, const struct ws_event *e)
{
	struct ws_queue *q = &c->queue;
	struct ws_frame *f;

	if (q->count >= PONGS_MAX)
		flush(l, c);
	if (c->conn.dead || c->state != OPEN)
		return;
	f = ws_frame_new(WS_PONG, e->data, e->len);
	if (f == NULL) {
		l->counters[WS_LOST]++;
		kill_client(l, c);
		return;
	}
	if (q->count >= PONGS_MAX &&
	    *ws_frame_bytes(ws_queue_last(q)) == (WS_FIN | WS_PONG))
		ws_queue_replace(q, &l->queued, f);
	else
		(void)queue_frame(l, c, f);
	ws_frame_release(f);
}

/* What an open client sends is checked, never kept. */
static void
take_frames(struct ws_loop *l, struct ws_client *c, unsigned char *data,
    size_t len)
{
	struct ws_event e = { 0 }; /* gcc -O1 does not see that it is set */
	ssize_t n;

	while (c->state == OPEN && !c->conn.dead) {
		n = ws_framer_next(&c->in.framer, data, len, &e);
		if (n == WS_MORE) {
			keep_partial(l, c, data, len);
			return;
		}
		if (n == WS_BAD) {
			l->counters[WS_PROTOCOL_ERRORS]++;
			log_client(l, WS_LOG_INFO, c, "protocol error",
			    e.reason);
			end_with_close(l, c, e.code, e.reason);
			return;
		}
		data += n;
		len -= (size_t)n;
		if (e.opcode == WS_PING)
			pong(l, c, &e);
		else if (e.opcode == WS_CLOSE)
			end_with_close(l, c, e.code, NULL);
	}
}

/* 101, and the id: the first frame in the same write. */
static void
open_client(struct ws_loop *l, struct ws_client *c, const struct ws_request *r)
{
	char out[WS_ANSWER_MAX + 128], greeting[96];
	unsigned char head[WS_FRAME_HEAD_MAX];
	size_t n, h;
	int k;

	if (ws_hub_join(&l->hub, &c->device) != 0) {
		l->counters[WS_LOST]++;
		end_with_answer(l, c, 503, "out of memory");
		return;
	}
	n = ws_accept(out, r);
	k = snprintf(greeting, sizeof greeting, "{\"action\":\"setDeviceId\","
	    "\"data\":{\"device_id\":\"%s\"}}", c->device.id);
	h = ws_frame_head(head, WS_FIN | WS_TEXT, (uint64_t)k, NULL);
	memcpy(out + n, head, h);
	memcpy(out + n + h, greeting, (size_t)k);
	if (queue_bytes(l, c, out, n + h + (size_t)k) != 0)
		return;
	c->state = OPEN;
	ws_poll_cool(&l->poll, &c->conn);
	ws_framer_init(&c->in.framer, 1, WS_CLIENT_MESSAGE_MAX);
	ws_wheel_clear(&l->wheel, &c->deadline);
	schedule_ping(l, c);
	l->counters[WS_OPENED]++;
	log_client(l, WS_LOG_INFO, c, "open", c->tls ? "wss" : "ws");
}

static void
take_head(struct ws_loop *l, struct ws_client *c, unsigned char *data,
    size_t len)
{
	const char *full = l->stop_at != 0 ? "shutting down" :
	    "too many clients";
	struct ws_request r;
	ssize_t n = ws_request(&c->in.head, &l->o.http, (const char *)data, len,
	    &r);

	if (n == WS_MORE) {
		keep_partial(l, c, data, len);
		return;
	}
	if (n == WS_BAD || (r.status != 101 && l->stop_at == 0))
		end_with_answer(l, c, r.status, r.reason);
	else if (c->refused)
		end_with_answer(l, c, 503, full);
	else
		open_client(l, c, &r);
	keep_partial(l, c, NULL, 0);
	if (c->state == OPEN)
		take_frames(l, c, data + n, len - (size_t)n);
}

/* The first byte to a TLS listener: a ClientHello, or somebody who is lost. */
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
		kill_client(l, c);
		return -1;
	}
	c->state = HEAD;
	if (first != 22) { /* handshake, RFC 5246 appendix A.1 */
		end_with_answer(l, c, 400, "this port speaks TLS (wss://)");
		return -1;
	}
	c->tls = ws_tls_new(l->tls, c->conn.fd);
	if (c->tls == NULL) {
		l->counters[WS_LOST]++;
		log_client(l, WS_LOG_NOTE, c, "dropped", "no TLS session");
		kill_client(l, c);
		return -1;
	}
	return 0;
}

static void
read_client(struct ws_loop *l, struct ws_client *c)
{
	unsigned char *at = l->input + c->partial_len;
	size_t before = unfinished_input(c);
	ssize_t n;

	if (c->state == HELLO && take_hello(l, c) != 0)
		return;
	n = c->tls != NULL ? ws_tls_read(c->tls, at, READ_MAX) :
	    plain_read(c->conn.fd, at, READ_MAX);
	count_unfinished(l, c, before);
	/* A read may have to answer: a close_notify, a renegotiation. */
	if (c->tls != NULL && c->state >= OPEN && ws_tls_unsent(c->tls))
		mark_dirty(l, c);
	if (n == WS_WANT_IN || n == WS_WANT_OUT) {
		if (c->state == HEAD)
			ws_poll_events(&l->poll, &c->conn,
			    n == WS_WANT_OUT ? POLLOUT : POLLIN);
		return;
	}
	if (n == 0 && c->state == ENDING && (c->queue.count > 0 ||
	    (c->tls != NULL && ws_tls_unsent(c->tls)))) {
		/* It will say no more, but may still be listening. */
		ws_poll_events(&l->poll, &c->conn, POLLOUT);
		return;
	}
	if (n <= 0) {
		if (n < 0 && c->tls != NULL && ws_tls_handshaking(c->tls))
			l->counters[WS_TLS_FAILURES]++;
		if (c->state <= OPEN)
			log_client(l, WS_LOG_INFO, c, "gone",
			    n == 0 ? "closed by peer" : io_error(c));
		kill_client(l, c);
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
	if (c->conn.dead)
		return;
	if ((c->conn.revents & POLLOUT) != 0 && c->state >= OPEN)
		mark_dirty(l, c);
	if ((c->conn.revents & ~POLLOUT) != 0 || c->state < OPEN)
		read_client(l, c);
	/* What it asked for does not wait for what others are sent. */
	if (c->dirty && !c->conn.dead && c->state != LINGER)
		flush(l, c);
}

/* ---------------------------------------------------- beginnings and ends */

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
	c->state = tls ? HELLO : HEAD;
	c->queue.taken_at = (uint32_t)l->now;
	ws_queue_init(&c->queue);
	set_deadline(l, c, l->now + (refused ? REFUSED_TIME :
	    WS_HANDSHAKE_SECONDS * 1000));
	return c;
}

/* see ws.h */
void
ws_client_free(struct ws_loop *l, struct ws_client *c)
{
	struct linger reset = { 1, 0 };

	ws_wheel_clear(&l->wheel, &c->deadline);
	ws_hub_leave(&l->hub, &c->device);
	release_memory(l, c);
	if (c->reset)
		(void)setsockopt(c->conn.fd, SOL_SOCKET, SO_LINGER, &reset,
		    sizeof reset);
	ws_poll_remove(&l->poll, &c->conn);
	free(c);
}

/* see ws.h */
void
ws_client_stop(struct ws_loop *l, struct ws_client *c, int64_t delay)
{
	if (c->state < OPEN)
		kill_client(l, c);
	else if (c->state == OPEN && delay > 0)
		set_deadline(l, c, l->now + delay);
	else if (c->state == OPEN)
		end_with_close(l, c, WS_CLOSE_GOING_AWAY, "shutdown");
}

/* A Ping goes out, behind all that the peer has not taken yet. */
static void
ping(struct ws_loop *l, struct ws_client *c)
{
	static const unsigned char frame[2] = { WS_FIN | WS_PING, 0 };

	c->unacked = unacknowledged(c->conn.fd);
	c->before_ping = c->unacked + c->queue.unsent;
	if (queue_bytes(l, c, frame, sizeof frame) != 0)
		return;
	c->pinged = 1;
	set_deadline(l, c, l->now + WS_PONG_SECONDS * 1000);
}

/*
 * The time for a Pong is over. The Pong may be there, and not read yet. Or the
 * Ping stands behind so much, on so slow a link, that the peer has not got it:
 * as long as it takes bytes of that, it has the same time again, and once more
 * when it has taken all. TLS adds to what is written, which is not counted: it
 * is little.
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
	n = c->unacked - left; /* that it took since */
	c->unacked = left;
	if (c->before_ping != 0 && n != 0 && n <= INT32_MAX) {
		c->before_ping -= n < c->before_ping ? n : c->before_ping;
		set_deadline(l, c, l->now + WS_PONG_SECONDS * 1000);
		return;
	}
	l->counters[WS_SILENT]++;
	log_client(l, WS_LOG_INFO, c, "gone", "no answer to a ping");
	c->reset = 1;
	kill_client(l, c);
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
	case HELLO:
	case HEAD:
		/* The request may be there, and not read yet. Not so with TLS,
		 * where reading may cost a millisecond: that has its turn. */
		if (c->state == HEAD && c->tls == NULL) {
			c->conn.revents = POLLIN;
			ws_client_serve(l, c);
			if (c->conn.dead || c->state != HEAD)
				return;
		}
		if (c->state == HELLO ||
		    (c->tls != NULL && ws_tls_handshaking(c->tls))) {
			l->counters[WS_TLS_FAILURES]++;
			log_client(l, WS_LOG_INFO, c, "dropped",
			    "the TLS handshake took too long");
			kill_client(l, c);
		} else if (c->partial_len == 0 && c->tls == NULL) {
			log_client(l, WS_LOG_INFO, c, "dropped",
			    "it said nothing");
			kill_client(l, c);
		} else if (c->refused)
			end_with_answer(l, c, 503, "too many clients");
		else
			end_with_answer(l, c, 408, "the request took too long");
		break;
	case OPEN:
		if (l->stop_at != 0) {
			end_with_close(l, c, WS_CLOSE_GOING_AWAY, "shutdown");
		} else if (c->pinged) {
			pong_timeout(l, c);
		} else {
			ping(l, c);
		}
		break;
	case ENDING:
		c->reset = 1;
		/* FALLTHROUGH */
	case LINGER:
		kill_client(l, c);
		break;
	}
}
