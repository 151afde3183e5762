/* wshub: ISC licence, see LICENSE. */
/*
 * Sessions that survive their connection: their secrets, the numbers of their
 * messages, and how they lose a connection and get another one.
 *
 * The messages of a session are numbered from 1. r->base is the number of the
 * last message that has left the queue, because the peer has confirmed it or
 * because it was forgotten. So the kept messages have the numbers base + 1 to
 * base + kept, and the waiting ones follow.
 */
#include <sys/types.h>
#include <sys/socket.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ws.h"

#define BUCKETS 64 /* at first; doubled when there are more sessions */

static struct ws_resume **
find_slot(const struct ws_loop *l, const unsigned char secret[WS_SECRET])
{
	return &l->resumes[ws_siphash13(l->hub.key, secret, WS_SECRET) &
	    (l->resume_buckets - 1)];
}

/* Doubles the table. Without memory, the chains only become longer. */
static void
grow(struct ws_loop *l)
{
	uint32_t n = l->resume_buckets, i;
	struct ws_resume **old = l->resumes, **more, **slot, *r, *next;

	more = calloc(n == 0 ? BUCKETS : 2 * n, sizeof *more);
	if (more == NULL)
		return;
	l->resumes = more;
	l->resume_buckets = n == 0 ? BUCKETS : 2 * n;
	for (i = 0; i < n; i++)
		for (r = old[i]; r != NULL; r = next) {
			next = r->chain;
			slot = find_slot(l, r->secret);
			r->chain = *slot;
			*slot = r;
		}
	free(old);
}

/* see ws.h */
void
ws_resume_set_expiry(struct ws_client *c, long long exp)
{
	c->resume->exp = exp < UINT32_MAX ? (uint32_t)exp : UINT32_MAX;
}

/* see ws.h */
int
ws_resume_new(struct ws_loop *l, struct ws_client *c, int resumable,
    long long exp)
{
	struct ws_resume *r = calloc(1, sizeof *r), **slot;

	if (r == NULL)
		return -1;
	r->client = c;
	r->opened = (uint32_t)(l->now / 1000);
	if (resumable) {
		if (l->nresumes >= l->resume_buckets)
			grow(l);
		if (l->resumes == NULL ||
		    ws_entropy(r->secret, sizeof r->secret) != 0) {
			free(r);
			return -1;
		}
		slot = find_slot(l, r->secret);
		r->chain = *slot;
		*slot = r;
		l->nresumes++;
	}
	c->queue.keeps = resumable != 0;
	c->resume = r;
	ws_resume_set_expiry(c, exp);
	return 0;
}

/* see ws.h */
void
ws_resume_free(struct ws_loop *l, struct ws_client *c)
{
	struct ws_resume **slot;

	if (c->queue.keeps) {
		slot = find_slot(l, c->resume->secret);
		while (*slot != c->resume)
			slot = &(*slot)->chain;
		*slot = c->resume->chain;
		l->nresumes--;
	}
	c->queue.keeps = 0;
	free(c->resume);
	c->resume = NULL;
}

/* see ws.h */
void
ws_resume_name(const struct ws_client *c, char name[WS_SECRET_NAME + 1])
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *secret = c->resume->secret;
	int i;

	for (i = 0; i < WS_SECRET; i++) {
		*name++ = digits[secret[i] >> 4];
		*name++ = digits[secret[i] & 15];
	}
	*name = '\0';
}

/* Reads a decimal number without leading zeros: 0, or -1. */
static int
read_count(const char *s, size_t len, uint64_t *n)
{
	unsigned digit;
	size_t i;

	*n = 0;
	if (len == 0 || (len > 1 && *s == '0'))
		return -1;
	for (i = 0; i < len; i++) {
		digit = (unsigned)((unsigned char)s[i] - '0');
		if (digit > 9 || *n > (UINT64_MAX - digit) / 10)
			return -1;
		*n = *n * 10 + digit;
	}
	return 0;
}

static int
read_secret(const char *s, unsigned char secret[WS_SECRET])
{
	unsigned n;
	char c;
	int i;

	memset(secret, 0, WS_SECRET);
	for (i = 0; i < WS_SECRET_NAME; i++) {
		c = s[i];
		if (c >= '0' && c <= '9')
			n = (unsigned)(c - '0');
		else if (c >= 'a' && c <= 'f')
			n = (unsigned)(c - 'a' + 10);
		else
			return -1;
		secret[i / 2] = (unsigned char)
		    ((unsigned)secret[i / 2] << 4 | n);
	}
	return 0;
}

/* Compares in constant time: it does not depend on how many bytes are equal. */
static int
secrets_equal(const unsigned char a[WS_SECRET],
    const unsigned char b[WS_SECRET])
{
	unsigned char differ = 0;
	int i;

	for (i = 0; i < WS_SECRET; i++)
		differ |= a[i] ^ b[i];
	return differ == 0;
}

/* see ws.h */
struct ws_client *
ws_resume_find(const struct ws_loop *l, struct ws_text name, uint64_t *seen)
{
	unsigned char secret[WS_SECRET];
	const struct ws_resume *r;
	const struct ws_client *c;
	const char *rest;
	size_t left;

	*seen = UINT64_MAX;
	if (l->resumes == NULL || name.len < WS_SECRET_NAME ||
	    read_secret(name.s, secret) != 0)
		return NULL;
	rest = name.s + WS_SECRET_NAME;
	left = name.len - WS_SECRET_NAME;
	if (left == 0 || *rest != '.' ||
	    read_count(rest + 1, left - 1, seen) != 0)
		*seen = UINT64_MAX;
	for (r = *find_slot(l, secret); r != NULL; r = r->chain)
		if (secrets_equal(r->secret, secret))
			break;
	if (r == NULL)
		return NULL;
	c = r->client;
	if (c->conn.dead || (c->state != WS_CLIENT_OPEN &&
	    c->state != WS_CLIENT_AWAY))
		return NULL;
	return r->client;
}

/* see ws.h */
int
ws_resume_has(const struct ws_client *c, uint64_t seen)
{
	return seen >= c->resume->base &&
	    seen - c->resume->base <= c->queue.kept;
}

/* see ws.h */
void
ws_resume_forget(struct ws_loop *l, struct ws_client *c, uint32_t n)
{
	ws_queue_forget(&c->queue, &l->queued, n);
	c->resume->base += n;
}

/* see ws.h */
void
ws_resume_confirm(struct ws_loop *l, struct ws_client *c, const void *payload,
    size_t len)
{
	uint64_t n;

	if (read_count(payload, len, &n) != 0)
		return;
	if (ws_resume_has(c, n))
		ws_resume_forget(l, c, (uint32_t)(n - c->resume->base));
	/* It may answer a Ping whose messages are forgotten: ask again. */
	if (n <= c->resume->base + c->queue.kept)
		c->asked = 0;
}

/* see ws.h */
uint64_t
ws_resume_count(const struct ws_client *c)
{
	return c->resume->base + c->queue.kept + ws_queue_counting(&c->queue);
}

/* ------------------------------------------------------------- connections */

/* Exchanges the connections of two clients, and the state of these. */
static void
exchange(struct ws_loop *l, struct ws_client *a, struct ws_client *b)
{
#define EXCHANGE(member) (a->member = b->member, b->member = old.member)
	struct ws_client old = *a;

	ws_poll_exchange(&l->poll, &a->conn, &b->conn);
	EXCHANGE(tls);
	EXCHANGE(in);
	EXCHANGE(partial);
	EXCHANGE(partial_len);
	EXCHANGE(peer);
	EXCHANGE(about);
	EXCHANGE(pinged);
	EXCHANGE(before_ping);
	EXCHANGE(unacked);
	EXCHANGE(sent);
	EXCHANGE(connected);
	EXCHANGE(ended);
#undef EXCHANGE
}

/* see ws.h */
void
ws_resume_drop_connection(struct ws_loop *l, struct ws_client *c)
{
	struct linger reset = { 1, 0 };
	int fd = c->conn.fd;

	ws_client_log_closed(l, c);
	ws_client_keep_partial(l, c, NULL, 0);
	l->queued -= ws_client_unfinished(c);
	ws_tls_free(c->tls);
	c->tls = NULL;
	if (c->reset)
		(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset,
		    sizeof reset);
	c->reset = 0;
	free(c->about);
	c->about = NULL;
	c->sent = 0;
	c->ended = 0;
	ws_poll_remove(&l->poll, &c->conn);
	close(fd);
}

/*
 * The session goes on without a connection. Messages that were sent but not
 * confirmed may not have arrived, so they count towards --keep, together with
 * the waiting ones.
 */
static void
go_away(struct ws_loop *l, struct ws_client *c)
{
	struct ws_queue *q = &c->queue;

	c->state = WS_CLIENT_AWAY;
	c->pinged = c->asked = 0;
	c->connected = l->now;
	l->away++;
	q->taken_at = (uint32_t)l->now;
	while (q->kept > 0 && ws_queue_all(q) > l->o.keep)
		ws_resume_forget(l, c, 1);
	ws_wheel_set(&l->wheel, &c->deadline,
	    l->now + (int64_t)l->o.resume * 1000);
	ws_watch_session(&l->hub, &c->session, WS_EVENT_AWAY,
	    (enum ws_reason)c->reason);
	if (ws_queue_all(q) <= l->o.keep)
		return;
	c->reason = WS_ENDED_MISSED;
	ws_client_end_away(l, c, WS_MISSED, "more was sent than is kept");
}

static int
can_go_away(const struct ws_loop *l, const struct ws_client *c)
{
	return c->state == WS_CLIENT_OPEN && c->queue.keeps && l->stop_at == 0;
}

/* see ws.h */
void
ws_resume_lose(struct ws_loop *l, struct ws_client *c)
{
	if (!can_go_away(l, c)) {
		ws_poll_kill(&l->poll, &c->conn);
		return;
	}
	ws_resume_drop_connection(l, c);
	(void)ws_queue_break(&c->queue, &l->queued, NULL);
	go_away(l, c);
}

/*
 * Moves the connection of c to another client, which completes the frame that
 * is partly sent, sends a Close and ends.
 */
static void
move_and_close(struct ws_loop *l, struct ws_client *c, struct ws_client *other,
    unsigned code, const char *reason)
{
	exchange(l, c, other);
	other->state = WS_CLIENT_OPEN;
	if (ws_queue_break(&c->queue, &l->queued, &other->queue) != 0) {
		ws_client_no_memory(l, other);
	} else {
		ws_client_end(l, other, code, reason);
	}
}

/* see ws.h */
void
ws_resume_close(struct ws_loop *l, struct ws_client *c, unsigned code,
    const char *reason)
{
	struct ws_client *other;

	if (!can_go_away(l, c) || (other = calloc(1, sizeof *other)) == NULL) {
		ws_client_end(l, c, code, reason);
		return;
	}
	other->conn.fd = -1;
	other->conn.kind = WS_CONN_CLIENT;
	other->refused = 1; /* not counted in l->clients: c still is */
	l->refused++;
	ws_queue_init(&other->queue);
	other->queue.taken_at = (uint32_t)l->now;
	ws_client_log_end(l, c, WS_LOG_INFO, code, reason != NULL ? reason :
	    "closed by peer");
	move_and_close(l, c, other, code, reason);
	/* Both count for the address, until the peer closes the connection. */
	c->peer = ws_peer_share(other->peer);
	go_away(l, c);
}

/* see ws.h */
void
ws_resume_take(struct ws_loop *l, struct ws_client *s, struct ws_client *c)
{
	if (s->state == WS_CLIENT_AWAY) {
		l->away--;
		exchange(l, s, c);
		c->state = WS_CLIENT_LINGER;
		ws_poll_kill(&l->poll, &c->conn);
	} else {
		s->reason = WS_ENDED_REPLACED;
		ws_client_log_end(l, s, WS_LOG_INFO, WS_CLOSE_GOING_AWAY,
		    "resumed by another connection");
		move_and_close(l, s, c, WS_CLOSE_GOING_AWAY,
		    "resumed by another connection");
	}
	s->state = WS_CLIENT_OPEN;
	s->asked = 0;
	s->reason = WS_ENDED_ERROR;
	s->queue.taken_at = (uint32_t)l->now;
}
