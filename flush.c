/* wshub: ISC licence, see LICENSE. */
/*
 * Writes what is queued for clients, and evicts clients when all of them
 * together hold more memory than --queue-total allows.
 */
#define _GNU_SOURCE /* MSG_NOSIGNAL, on systems that have it */
#include <sys/types.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "ws.h"

#define IOV_MANY 64       /* buffers written by one system call */
#define RANK_BYTES_BITS 48 /* of a rank: the bytes that a client holds */
#define RANK_BYTES_MASK (((uint64_t)1 << RANK_BYTES_BITS) - 1)
#define LINGER_TIME 2000  /* ms for a peer to close after the shutdown */
#define RESET_TIME 5000   /* the same, if the connection will be reset */

static ssize_t
plain_writev(int fd, struct iovec *iov, int n)
{
	struct msghdr m;
	ssize_t done;

	memset(&m, 0, sizeof m);
	m.msg_iov = iov;
	m.msg_iovlen = (unsigned short)n; /* int or size_t, by the system */
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

static ssize_t
write_some(struct ws_loop *l, struct ws_client *c, struct iovec *iov, int n)
{
	size_t before;
	ssize_t done;

	if (c->tls == NULL)
		return plain_writev(c->conn.fd, iov, n);
	before = ws_client_unfinished(c);
	done = ws_tls_writev(c->tls, iov, n);
	ws_client_count_unfinished(l, c, before);
	return done;
}

/*
 * Everything has been sent to an ENDING client: shuts the socket down for
 * writing, and waits a short time for the peer to close.
 */
static void
shut_down_output(struct ws_loop *l, struct ws_client *c)
{
	size_t before = ws_client_unfinished(c);
	int closed;

	if (c->tls != NULL && !ws_tls_handshaking(c->tls)) {
		closed = ws_tls_close(c->tls);
		ws_client_count_unfinished(l, c, before);
		switch (closed) {
		case 0:
			break;
		case WS_WANT_OUT:
			ws_poll_events(&l->poll, &c->conn, POLLIN | POLLOUT);
			return;
		default:
			ws_poll_kill(&l->poll, &c->conn);
			return;
		}
	}
	if (shutdown(c->conn.fd, SHUT_WR) != 0) {
		ws_poll_kill(&l->poll, &c->conn);
		return;
	}
	c->state = WS_CLIENT_LINGER;
	ws_poll_events(&l->poll, &c->conn, POLLIN);
	ws_wheel_set(&l->wheel, &c->deadline,
	    l->now + (c->reset ? RESET_TIME : LINGER_TIME));
}

/*
 * Limits what an open session keeps. Beyond half the limit, a Ping asks the
 * peer to confirm what it has received. Beyond the limit, the oldest messages
 * are forgotten.
 */
static void
limit_kept(struct ws_loop *l, struct ws_client *c)
{
	if (ws_queue_kept(&c->queue) > l->o.keep / 2 && !c->asked)
		(void)ws_client_queue_ping(l, c);
	while (ws_queue_kept(&c->queue) > l->o.keep)
		ws_resume_forget(l, c, 1);
}

/* see ws.h */
void
ws_client_flush(struct ws_loop *l, struct ws_client *c)
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
			c->sent += (uint64_t)done;
			if (c->conn.kind == WS_CONN_CLIENT)
				l->sent += (uint64_t)done;
			c->queue.taken_at = (uint32_t)l->now;
			if (q->keeps)
				limit_kept(l, c);
		}
		if (c->tls == NULL && (size_t)done < total) {
			done = WS_WANT_OUT;
			break;
		}
	}
	if (done < 0 && done != WS_WANT_OUT) {
		c->reason = WS_ENDED_ERROR;
		ws_client_log_end(l, c, WS_LOG_INFO, 0, ws_client_io_error(c));
		ws_resume_lose(l, c);
	} else if (done == WS_WANT_OUT) {
		ws_poll_events(&l->poll, &c->conn, POLLIN | POLLOUT);
		ws_queue_shrink(q, &l->queued);
		if (ws_queue_bytes(q) > l->o.queue &&
		    c->state == WS_CLIENT_OPEN)
			ws_client_disconnect_slow(l, c);
	} else if (c->state == WS_CLIENT_ENDING) {
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
	/*
	 * The next client is loaded while this one is written to. With 10,000
	 * clients it is not in a cache.
	 */
	WS_PREFETCH(next);
	WS_PREFETCH(next + 64);
	WS_PREFETCH(next + 128);
	c->dirty = 0;
	if (!c->conn.dead && c->state != WS_CLIENT_LINGER &&
	    c->state != WS_CLIENT_AWAY)
		ws_client_flush(l, c);
	return l->dirty != NULL;
}

static void
flush_dirty(struct ws_loop *l)
{
	while (ws_client_flush_one(l))
		;
}

/* Whether an open client holds only frames that are kept after sending. */
static int
only_keeps(const struct ws_client *c)
{
	return c->state == WS_CLIENT_OPEN && c->queue.kept != 0 &&
	    c->queue.count == 0 && ws_client_unfinished(c) == 0;
}

/*
 * The rank of a client for eviction; the highest is evicted first. Clients that
 * have accepted no data for a longer time have a higher rank, in steps of a
 * factor of two. Within a step, a client that holds more has a higher rank. A
 * client that only keeps sent frames is in the lowest step. 0: holds nothing.
 */
static uint64_t
eviction_rank(const struct ws_loop *l, const struct ws_client *c)
{
	uint64_t bytes = ws_queue_bytes(&c->queue) + ws_client_unfinished(c);
	uint64_t steps = 0;
	uint32_t waiting;

	bytes += ws_queue_kept(&c->queue);
	if (bytes == 0)
		return 0;
	if (!only_keeps(c))
		for (waiting = (uint32_t)l->now - c->queue.taken_at;
		    waiting >= 128; waiting /= 2)
			steps++;
	return steps << RANK_BYTES_BITS | bytes;
}

/* The client in a slot; NULL if it is dead or not a client. */
static struct ws_client *
client_at(struct ws_loop *l, uint32_t slot)
{
	struct ws_conn *conn = l->poll.conns[slot];

	return conn->kind < WS_CONN_CLIENT || conn->dead ? NULL :
	    (struct ws_client *)conn; /* its first member */
}

static void
evict_unfinished(struct ws_loop *l, struct ws_client *c)
{
	/* A client in another state is counted already. */
	if (c->state <= WS_CLIENT_OPEN && c->conn.kind == WS_CONN_CLIENT) {
		l->counters[WS_CUT_OFF]++;
		c->reason = WS_ENDED_SLOW;
		ws_client_log_end(l, c, WS_LOG_NOTE, 0, "--queue-total is "
		    "reached, and a request, frame or TLS record of it is not "
		    "whole");
	}
	ws_client_release(l, c);
	c->reset = 1;
	c->reason = WS_ENDED_SLOW;
	ws_poll_kill(&l->poll, &c->conn);
}

/*
 * Frees memory that c holds. To disconnect it as too slow frees its queue, but
 * not unfinished input: if that is larger, c is dropped at once.
 */
static void
evict(struct ws_loop *l, struct ws_client *c)
{
	if (c->state == WS_CLIENT_AWAY) {
		c->reason = WS_ENDED_MISSED;
		ws_client_end_away(l, c, WS_CUT_OFF,
		    "--queue-total is reached");
		ws_client_release(l, c);
	} else if (only_keeps(c)) {
		ws_resume_forget(l, c, c->queue.kept);
	} else if (c->state == WS_CLIENT_OPEN &&
	    ws_queue_bytes(&c->queue) >= ws_client_unfinished(c)) {
		ws_client_disconnect_slow(l, c);
	} else {
		evict_unfinished(l, c);
	}
}

/* Calls f for every client, until it returns other than 0. */
static int
each_client(struct ws_loop *l, int (*f)(struct ws_loop *l,
    struct ws_client *c, uint64_t *highest), uint64_t *highest)
{
	struct ws_client *c;
	struct ws_resume *r;
	uint32_t i;
	int done = 0;

	for (i = 0; i < l->poll.n && !done; i++)
		if ((c = client_at(l, i)) != NULL)
			done = f(l, c, highest);
	for (i = 0; l->away != 0 && i < l->resume_buckets && !done; i++)
		for (r = l->resumes[i]; r != NULL && !done; r = r->chain)
			if (r->client->state == WS_CLIENT_AWAY &&
			    !r->client->conn.dead)
				done = f(l, r->client, highest);
	return done;
}

static int
find_highest(struct ws_loop *l, struct ws_client *c, uint64_t *highest)
{
	uint64_t rank = eviction_rank(l, c);

	if (rank > *highest)
		*highest = rank;
	return 0;
}

/*
 * Evicts c if it has the highest rank, or is in the same step and holds nearly
 * as much: so one pass evicts several clients. Returns 1 when enough memory is
 * free.
 */
static int
evict_highest(struct ws_loop *l, struct ws_client *c, uint64_t *highest)
{
	uint64_t rank = eviction_rank(l, c);

	if (rank >> RANK_BYTES_BITS == *highest >> RANK_BYTES_BITS &&
	    rank >= *highest - (*highest & RANK_BYTES_MASK) / 8)
		evict(l, c);
	return !ws_client_over_total(l);
}

/*
 * All clients together hold more than --queue-total. First the memory of dead
 * clients is freed, which the loop has not freed yet, so that nobody is evicted
 * because of them. Then the clients of the highest rank are evicted. Returns
 * whether any client held memory.
 */
static int
evict_some(struct ws_loop *l)
{
	struct ws_conn *dead;
	uint64_t highest = 0;

	for (dead = l->poll.dead; dead != NULL; dead = dead->next)
		if (dead->kind >= WS_CONN_CLIENT)
			ws_client_release(l, (struct ws_client *)dead);
	(void)each_client(l, find_highest, &highest);
	if (ws_client_over_total(l) && highest != 0)
		(void)each_client(l, evict_highest, &highest);
	return highest != 0;
}

/* see ws.h */
void
ws_client_flush_all(struct ws_loop *l)
{
	flush_dirty(l);
	while (ws_client_over_total(l) && evict_some(l))
		flush_dirty(l);
	l->flush_first = 0;
}
