/* wshub: ISC licence, see LICENSE. */
/*
 * Output to clients: queues frames, counts the memory that clients hold, and
 * ends clients. Nothing is written here: flush.c does that.
 */
#define _GNU_SOURCE /* MSG_NOSIGNAL, on systems that have it */
#include <sys/types.h>
#include <sys/socket.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ws.h"

#define ENDING_TIME 5000 /* ms for a peer to accept the last bytes */

static void
clear_queue(struct ws_loop *l, struct ws_client *c)
{
	uint32_t n = ws_queue_clear(&c->queue, &l->queued);

	if (c->conn.kind != WS_CONN_SCRAPER)
		l->counters[WS_UNDELIVERED] += n;
}

/* see ws.h */
const char *
ws_client_io_error(const struct ws_client *c)
{
	return c->tls != NULL ? ws_tls_error(c->tls) : strerror(errno);
}

/* see ws.h */
void
ws_client_no_memory(struct ws_loop *l, struct ws_client *c)
{
	l->counters[WS_LOST]++;
	ws_client_log_end(l, c, WS_LOG_NOTE, 0, "out of memory");
	ws_poll_kill(&l->poll, &c->conn);
}

/* see ws.h */
int
ws_client_over_total(const struct ws_loop *l)
{
	return l->queued > l->o.queue_total && l->o.queue_total != 0;
}

/* see ws.h */
void
ws_client_mark_dirty(struct ws_loop *l, struct ws_client *c)
{
	if (c->dirty)
		return;
	c->dirty = 1;
	c->next_dirty = NULL;
	*l->dirty_end = c;
	l->dirty_end = &c->next_dirty;
}

/* see ws.h */
size_t
ws_client_unfinished(const struct ws_client *c)
{
	return c->partial_len + (c->tls == NULL ? 0 : ws_tls_buffered(c->tls));
}

/* see ws.h */
void
ws_client_count_unfinished(struct ws_loop *l, struct ws_client *c,
    size_t before)
{
	size_t after = ws_client_unfinished(c);

	l->queued += after - before;
	if (before == 0 && after != 0 && c->queue.count == 0)
		c->queue.taken_at = (uint32_t)l->now;
}

/* see ws.h */
void
ws_client_keep_partial(struct ws_loop *l, struct ws_client *c,
    const unsigned char *data, size_t len)
{
	size_t before = ws_client_unfinished(c);
	unsigned char *p = NULL;

	if (len == 0) {
		free(c->partial);
	} else if ((p = realloc(c->partial, len)) != NULL) {
		memcpy(p, data, len);
	} else {
		ws_client_no_memory(l, c);
		return;
	}
	c->partial = p;
	c->partial_len = (unsigned short)len;
	ws_client_count_unfinished(l, c, before);
}

/* see ws.h */
int
ws_client_queue(struct ws_loop *l, struct ws_client *c, struct ws_frame *f)
{
	struct ws_queue *q = &c->queue;

	if (q->count == 0)
		c->queue.taken_at = (uint32_t)l->now;
	if (ws_queue_push(q, &l->queued, f) != 0) {
		ws_client_no_memory(l, c);
		return -1;
	}
	if ((q->unsent > l->o.queue / 2 && (c->conn.events & POLLOUT) == 0) ||
	    ws_client_over_total(l)) {
		l->flush_first = 1;
		l->hub.budget = 0;
	}
	ws_client_mark_dirty(l, c);
	return 0;
}

/* see ws.h */
int
ws_client_queue_bytes(struct ws_loop *l, struct ws_client *c, const void *data,
    size_t len)
{
	struct ws_frame *f = ws_frame_raw(data, len);
	int done;

	if (f == NULL) {
		ws_client_no_memory(l, c);
		return -1;
	}
	done = ws_client_queue(l, c, f);
	ws_frame_release(f);
	return done;
}

/* see ws.h */
int
ws_client_queue_ping(struct ws_loop *l, struct ws_client *c)
{
	unsigned char frame[2 + 24] = { WS_FIN | WS_PING, 0 };

	if (c->queue.keeps) {
		frame[1] = (unsigned char)snprintf((char *)frame + 2, 24,
		    "%llu", (unsigned long long)ws_resume_count(c));
		c->asked = 1;
	}
	return ws_client_queue_bytes(l, c, frame, 2u + frame[1]);
}

/* see ws.h */
void
ws_client_leave(struct ws_loop *l, struct ws_client *c)
{
	if (c->session.device == NULL)
		return;
	l->ends[c->reason]++;
	ws_watch_session(&l->hub, &c->session, WS_EVENT_DISCONNECT,
	    (enum ws_reason)c->reason);
	ws_hub_leave(&l->hub, &c->session);
}

/* see ws.h */
void
ws_client_end_away(struct ws_loop *l, struct ws_client *c,
    enum ws_counter counter, const char *reason)
{
	l->counters[counter]++;
	ws_client_log_end(l, c, counter == WS_LOST ? WS_LOG_NOTE : WS_LOG_INFO,
	    0, reason);
	ws_poll_kill(&l->poll, &c->conn);
}

/* Queues a frame for a session that is away: 1, or 0 if it is not queued. */
static int
deliver_away(struct ws_loop *l, struct ws_client *c, struct ws_frame *f)
{
	struct ws_queue *q = &c->queue;

	if (f->heartbeat)
		return 0;
	if (ws_queue_push(q, &l->queued, f) != 0) {
		c->reason = WS_ENDED_ERROR;
		ws_client_end_away(l, c, WS_LOST, "out of memory");
		return 0;
	}
	if (ws_queue_all(q) > l->o.keep) {
		c->reason = WS_ENDED_MISSED;
		ws_client_end_away(l, c, WS_MISSED,
		    "more was sent than is kept");
		return 0;
	}
	if (ws_client_over_total(l)) {
		l->flush_first = 1;
		l->hub.budget = 0;
	}
	return 1;
}

static struct ws_client *
client_of(const struct ws_session *s)
{
	return (struct ws_client *)
	    ((uintptr_t)s - offsetof(struct ws_client, session));
}

/* see ws.h */
int
ws_client_deliver(struct ws_session *s, struct ws_frame *f, void *arg)
{
	struct ws_loop *l = arg;
	struct ws_client *c = client_of(s);

	if (c->conn.dead)
		return 0;
	if (c->state == WS_CLIENT_OPEN ? ws_client_queue(l, c, f) != 0 :
	    c->state != WS_CLIENT_AWAY || !deliver_away(l, c, f))
		return 0;
	l->counters[WS_DELIVERIES]++;
	return 1;
}

/*
 * Takes a client out of the hub, so that nothing more is queued for it. What is
 * queued is still sent, and then the connection is closed.
 */
static void
end_client(struct ws_loop *l, struct ws_client *c)
{
	c->state = WS_CLIENT_ENDING;
	ws_client_leave(l, c);
	if (c->resume != NULL) {
		ws_queue_forget(&c->queue, &l->queued, c->queue.kept);
		ws_resume_free(l, c);
	}
	ws_wheel_set(&l->wheel, &c->deadline, l->now + ENDING_TIME);
	ws_client_mark_dirty(l, c);
}

/* see ws.h */
void
ws_client_end(struct ws_loop *l, struct ws_client *c, unsigned code,
    const char *reason)
{
	unsigned char frame[2 + WS_CONTROL_MAX];
	size_t n = ws_close_frame(frame, code, reason);

	ws_client_log_end(l, c, WS_LOG_INFO, code, reason != NULL ? reason :
	    "closed by peer");
	if (ws_client_queue_bytes(l, c, frame, n) == 0)
		end_client(l, c);
}

/* see ws.h */
void
ws_client_answer_bytes(struct ws_loop *l, struct ws_client *c,
    const void *answer, size_t len)
{
	if (ws_client_queue_bytes(l, c, answer, len) == 0)
		end_client(l, c);
}

/* see ws.h */
void
ws_client_answer(struct ws_loop *l, struct ws_client *c, int status,
    const char *reason)
{
	char answer[WS_ANSWER_MAX];
	size_t n = ws_answer(answer, &c->in.head, status, reason);

	ws_client_log_end(l, c, status == 200 ? WS_LOG_DEBUG : WS_LOG_INFO,
	    (unsigned)status, reason);
	if (status != 200 && c->conn.kind != WS_CONN_SCRAPER)
		l->counters[status == 503 ? WS_REFUSED : status == 401 ||
		    status == 403 ? WS_UNAUTHORIZED : WS_BAD_REQUESTS]++;
	ws_client_answer_bytes(l, c, answer, n);
}

/* see ws.h */
void
ws_client_refuse(const struct ws_loop *l, struct ws_client *c)
{
	char answer[WS_ANSWER_MAX];
	size_t n = ws_answer(answer, NULL, 503, l->stop_at != 0 ?
	    "shutting down" : "too many clients");

	if (send(c->conn.fd, answer, n, MSG_NOSIGNAL) == (ssize_t)n) {
		shutdown(c->conn.fd, SHUT_WR);
		c->sent += n;
	}
}

/* see ws.h */
void
ws_client_disconnect_slow(struct ws_loop *l, struct ws_client *c)
{
	l->counters[WS_CUT_OFF]++;
	c->reason = WS_ENDED_SLOW;
	ws_client_log_end(l, c, WS_LOG_NOTE, WS_CLOSE_TRY_LATER,
	    "reads too slowly");
	l->counters[WS_UNDELIVERED] += ws_queue_cut(&c->queue, &l->queued);
	c->reset = 1;
	ws_client_end(l, c, WS_CLOSE_TRY_LATER, "too slow");
}

/* see ws.h */
void
ws_client_release(struct ws_loop *l, struct ws_client *c)
{
	clear_queue(l, c);
	ws_client_keep_partial(l, c, NULL, 0);
	l->queued -= ws_client_unfinished(c);
	ws_tls_free(c->tls);
	c->tls = NULL;
}

/* see ws.h */
void
ws_client_describe(const struct ws_session *s, struct ws_about_session *about,
    void *arg)
{
	const struct ws_loop *l = arg;
	const struct ws_client *c = client_of(s);

	about->away = c->state == WS_CLIENT_AWAY;
	about->reason = (enum ws_reason)c->reason;
	about->address[0] = '\0';
	if (!about->away)
		ws_client_address(c, about->address);
	about->path = ws_client_path(c);
	about->since = ws_wall_clock() - (l->now / 1000 - (c->resume != NULL ?
	    c->resume->opened : c->connected / 1000));
	about->unsent = c->queue.unsent;
	about->kept = ws_queue_kept(&c->queue);
}

/* see ws.h */
void
ws_client_kick(struct ws_session *s, unsigned code, const char *reason,
    void *arg)
{
	struct ws_loop *l = arg;
	struct ws_client *c = client_of(s);

	c->reason = WS_ENDED_KICKED;
	if (c->state == WS_CLIENT_AWAY) {
		ws_client_end_away(l, c, WS_KICKED, reason);
	} else {
		l->counters[WS_KICKED]++;
		ws_client_end(l, c, code, reason);
	}
	ws_client_leave(l, c);
}
