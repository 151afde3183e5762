/* wshub: ISC licence, see LICENSE. */
/*
 * Backends: connections to the control socket, and how they share the time.
 *
 * Backends with unread input wait in a run queue. Each gets a slice, a limited
 * number of deliveries, so that a backend that sends to thousands of clients
 * does not delay the others. Input that was read but exceeds the slice is kept
 * as pending, and the backend is not read from until that has been processed.
 */
#define _GNU_SOURCE /* MSG_NOSIGNAL, on systems that have it */
#include <sys/types.h>
#include <sys/socket.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ws.h"

#define BACKEND_SLICE 16384    /* deliveries */
#define BACKENDS_TURN 10000000 /* ns for all backends in a turn of the loop */
#define FLUSHES_PER_READ 2     /* see ws_backend_serve_all */
#define BACKEND_IDLE 10000     /* ms; then a new backend may replace it */

struct ws_backend {
	struct ws_conn conn;
	struct ws_control control;
	struct ws_backend *next; /* in the run queue */
	int64_t served_at; /* ms: the time of its last slice */
	char *pending;     /* input that was read and not processed */
	size_t pending_at, pending_len; /* offset and length of the rest */
	unsigned char in_run_queue;
	unsigned char read_full;    /* the last read filled the buffer */
	unsigned char write_failed; /* it does not receive replies any more */
	unsigned char eof;
};

static void
flush_replies(struct ws_backend *b)
{
	struct ws_control *c = &b->control;
	ssize_t n;

	while (c->out.len > 0 && !b->write_failed) {
		n = send(b->conn.fd, c->out.s, c->out.len, MSG_NOSIGNAL);
		if (n >= 0)
			ws_control_sent(c, (size_t)n);
		else if (errno == EAGAIN || errno == EWOULDBLOCK ||
		    errno == ENOBUFS)
			return;
		else if (errno != EINTR)
			b->write_failed = 1; /* still execute its commands */
	}
	if (b->write_failed)
		ws_control_sent(c, c->out.len);
}

/* 1 if the socket has no input at the moment. */
static int
nothing_to_read(int fd)
{
	char c;
	ssize_t n;

	do
		n = recv(fd, &c, 1, MSG_PEEK);
	while (n < 0 && errno == EINTR);
	return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

static void
free_pending(struct ws_backend *b)
{
	free(b->pending);
	b->pending = NULL;
	b->pending_at = b->pending_len = 0;
}

/* Processes one slice of the pending input or, if there is none, of a read. */
static void
feed(struct ws_loop *l, struct ws_backend *b)
{
	struct ws_control *c = &b->control;
	ssize_t n;
	size_t used;

	l->hub.budget = BACKEND_SLICE;
	if (ws_control_busy(c)) {
		(void)ws_control_feed(&l->hub, c, "", 0);
		return;
	}
	if (b->eof)
		return;
	if (b->pending_len != 0) {
		used = ws_control_feed(&l->hub, c, b->pending + b->pending_at,
		    b->pending_len);
		b->pending_at += used;
		b->pending_len -= used;
		if (b->pending_len == 0)
			free_pending(b);
		return;
	}
	do
		n = recv(b->conn.fd, l->input, WS_READ_MAX, 0);
	while (n < 0 && errno == EINTR);
	b->read_full = n == WS_READ_MAX;
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return;
	if (n <= 0) {
		ws_control_end(c);
		b->eof = 1;
		return;
	}
	used = ws_control_feed(&l->hub, c, (char *)l->input, (size_t)n);
	if (used == (size_t)n)
		return;
	b->pending_len = (size_t)n - used;
	b->pending = malloc(b->pending_len);
	if (b->pending == NULL)
		c->out.failed = 1;
	else
		memcpy(b->pending, l->input + used, b->pending_len);
}

static void
enqueue(struct ws_loop *l, struct ws_backend *b)
{
	if (b->in_run_queue || b->conn.dead)
		return;
	b->in_run_queue = 1;
	b->next = NULL;
	*l->run_queue_end = b;
	l->run_queue_end = &b->next;
}

static struct ws_backend *
dequeue(struct ws_loop *l)
{
	struct ws_backend *b = l->run_queue;

	l->run_queue = b->next;
	if (l->run_queue == NULL)
		l->run_queue_end = &l->run_queue;
	b->in_run_queue = 0;
	return b;
}

/* Sets the events to poll for: 1; or 0 if the connection is to be closed. */
static int
poll_backend(struct ws_loop *l, struct ws_backend *b)
{
	const struct ws_control *c = &b->control;

	if (c->out.failed) {
		l->counters[WS_LOST]++;
		ws_logf(&l->o, WS_LOG_ERROR, "backend dropped: out of memory");
	}
	if (c->out.failed || (b->eof && c->out.len == 0 &&
	    !ws_control_busy(c))) {
		ws_poll_kill(&l->poll, &b->conn);
		return 0;
	}
	ws_poll_events(&l->poll, &b->conn, (c->out.len > 0 ? POLLOUT : 0) |
	    (b->eof || c->out.len >= WS_REPLIES_MAX ? 0 : POLLIN));
	return 1;
}

/* Gives a backend one slice. Returns the number of objects executed. */
static uint64_t
serve_backend(struct ws_loop *l, struct ws_backend *b)
{
	struct ws_control *c = &b->control;
	uint64_t objects;

	b->served_at = l->now;
	flush_replies(b);
	if (c->out.len < WS_REPLIES_MAX)
		feed(l, b);
	if (!b->eof && b->pending_len == 0 && !b->read_full &&
	    ws_control_resyncing(c) && nothing_to_read(b->conn.fd))
		ws_control_resync(c);
	objects = c->objects;
	l->counters[WS_OBJECTS] += objects;
	l->counters[WS_OBJECT_ERRORS] += c->errors;
	c->objects = c->errors = 0;
	flush_replies(b);
	if (!poll_backend(l, b))
		return objects;
	if ((b->pending_len != 0 || b->read_full || ws_control_busy(c)) &&
	    c->out.len < WS_REPLIES_MAX)
		enqueue(l, b);
	return objects;
}

/* The backend that has been idle for the longest time; NULL: all are busy. */
static struct ws_backend *
longest_idle(const struct ws_loop *l)
{
	struct ws_backend *b, *longest = NULL;
	uint32_t i;

	for (i = 0; i < l->poll.hot; i++) {
		b = (struct ws_backend *)l->poll.conns[i];
		if (b->conn.kind == WS_CONN_BACKEND && !b->conn.dead &&
		    b->control.in.text.len == 0 && b->control.out.len == 0 &&
		    b->control.watcher == NULL && !b->in_run_queue &&
		    (longest == NULL || b->served_at < longest->served_at))
			longest = b;
	}
	return longest;
}

/* see ws.h */
int
ws_backend_new(struct ws_loop *l, int fd)
{
	struct ws_backend *b = calloc(1, sizeof *b);

	if (b == NULL || ws_poll_add(&l->poll, &b->conn, fd) != 0) {
		free(b);
		return -1;
	}
	b->conn.kind = WS_CONN_BACKEND;
	b->conn.always_hot = 1;
	b->served_at = l->now;
	if (++l->backends == l->max_backends)
		ws_logf(&l->o, WS_LOG_ERROR, "%u backends: the next waits "
		    "until one has closed", (unsigned)l->max_backends);
	return 0;
}

/* see ws.h */
void
ws_backend_free(struct ws_loop *l, struct ws_backend *b)
{
	struct ws_backend **p = &l->run_queue;

	while (*p != NULL && *p != b)
		p = &(*p)->next;
	if (*p == b) {
		*p = b->next;
		if (*p == NULL)
			l->run_queue_end = p;
	}
	ws_poll_remove(&l->poll, &b->conn);
	ws_control_free(&b->control);
	free(b->pending);
	free(b);
	l->backends--;
}

/* see ws.h */
int64_t
ws_backend_yield_at(const struct ws_loop *l)
{
	const struct ws_backend *b = longest_idle(l);

	return b == NULL ? INT64_MAX : b->served_at + BACKEND_IDLE;
}

/* see ws.h */
void
ws_backend_make_room(struct ws_loop *l)
{
	struct ws_backend *b = longest_idle(l);

	if (b == NULL)
		return;
	ws_logf(&l->o, WS_LOG_NOTE, "a backend was idle for %lld s: closed in "
	    "favour of a new one", (long long)((l->now - b->served_at) / 1000));
	close(b->conn.fd);
	ws_backend_free(l, b);
}

/*
 * see ws.h
 *
 * All frames that are queued before a client is flushed are sent by one write.
 * A backend that sent several objects at once has probably written more by now.
 * So it is read again while the clients are being flushed, after every
 * FLUSHES_PER_READ of them. All this is limited to BACKENDS_TURN; backends that
 * are still in the run queue then wait for the next turn, so that the clients
 * get their share.
 */
uint32_t
ws_backend_serve_all(struct ws_loop *l, uint32_t n)
{
	int64_t until = ws_clock() + BACKENDS_TURN;
	struct ws_backend *b, *read_again = NULL;
	uint32_t i, backends = 0, reads = 0;
	int in_time = 1, more;

	for (i = 0; i < n; i++)
		if (l->poll.ready[i]->kind == WS_CONN_BACKEND)
			enqueue(l, (struct ws_backend *)l->poll.ready[i]);
	for (b = l->run_queue; b != NULL; b = b->next)
		backends++;
	while (l->run_queue != NULL && in_time) {
		b = dequeue(l);
		if (serve_backend(l, b) > 1)
			read_again = b;
		if (l->flush_first)
			ws_client_flush_all(l);
		in_time = ws_clock() < until;
	}
	do {
		more = ws_client_flush_one(l);
		if (read_again != NULL && !read_again->conn.dead && in_time &&
		    !l->flush_first &&
		    (!more || reads++ % FLUSHES_PER_READ == 0)) {
			(void)serve_backend(l, read_again);
			in_time = ws_clock() < until;
		}
	} while (l->dirty != NULL);
	ws_client_flush_all(l);
	return backends;
}

/*
 * see ws.h
 *
 * Events are sent at most once a millisecond: a system call, and a watcher that
 * is woken, cost more than the event of a client that comes or goes.
 */
void
ws_backend_send_events(struct ws_loop *l)
{
	struct ws_output *out;
	struct ws_backend *b;
	unsigned i;

	if (l->now == l->events_sent)
		return;
	l->events_sent = l->now;
	l->hub.watch->told = 0;
	for (i = 0; (out = ws_watch_output(&l->hub, i)) != NULL; i++) {
		b = (struct ws_backend *)((char *)out -
		    offsetof(struct ws_backend, control.out));
		if (b->conn.dead || (!out->failed && (out->len == 0 ||
		    (b->conn.events & POLLOUT) != 0)))
			continue;
		flush_replies(b);
		(void)poll_backend(l, b);
	}
}
