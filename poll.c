/* wshub: ISC licence, see LICENSE. */
/*
 * poll(2) over hot and cold descriptors.
 *
 * A call of poll costs about 85 ns per descriptor, and many times that if it
 * sleeps. With 10,000 clients, of which most are idle, every message would cost
 * that. So p->fds has two parts, and descriptors change sides by swapping two
 * entries:
 *
 *   [0, hot)    hot: backends and listeners (always_hot), clients with data to
 *               write, and those that had an event since the last full scan
 *   [hot, n)    cold: all other clients
 *
 * While there are events, only the hot part is polled, and the loop sleeps in
 * that call. All descriptors are scanned, without sleeping, at intervals of
 * SCAN_SHARE times the cost of a scan, so scanning takes half a percent of the
 * time. The interval is at most SCAN_MAX, whatever a scan costs: that limits
 * the delay of a cold client's message. The cost is an average that a single
 * scan cannot change much, because the process may be preempted during a scan.
 *
 * After a lull, a time without events, the loop sleeps in a poll of all
 * descriptors: an idle hub reacts at once, and does not wake up for scans. Such
 * a poll costs about 1.5 us per descriptor, because they are no longer in the
 * CPU's cache. A lull is a thousand times that cost, and at most LULL_MAX.
 *
 * If one descriptor is ready, it moves to the front of the array: poll prepares
 * to sleep on every descriptor that precedes the first ready one.
 *
 * p->conns has the same order as p->fds, and slot is a connection's index in
 * both. The ready connections are copied to p->ready because handling them
 * reorders the arrays.
 */
#define _POSIX_C_SOURCE 200809L
#include <sys/types.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <time.h>

#include "ws.h"

#define SCAN_ALWAYS 8   /* up to so many descriptors, always poll all */
#define SCAN_SHARE 200
#define SCAN_GUESS 100      /* ns per descriptor, before the first scan */
#define SCAN_MIN 20000000   /* ns between two scans, as each is a wake-up */
#define SCAN_MAX 1000000000 /* ns: a tenth of WS_PONG_SECONDS */
#define LULL_EACH 1500000   /* ns per descriptor */
#define LULL_MAX 500000000  /* ns */
#define LATE_SCAN 2000000000     /* ns after the last scan: it is late */

/* see ws.h */
int64_t
ws_clock(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* see ws.h */
long long
ws_wall_clock(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec;
}

static void
swap_slots(struct ws_poll *p, uint32_t a, uint32_t b)
{
	struct pollfd fd = p->fds[a];
	struct ws_conn *c = p->conns[a];

	p->fds[a] = p->fds[b];
	p->conns[a] = p->conns[b];
	p->fds[b] = fd;
	p->conns[b] = c;
	p->conns[a]->slot = a;
	p->conns[b]->slot = b;
}

static void
make_hot(struct ws_poll *p, struct ws_conn *c)
{
	c->recent = 1;
	if (c->slot >= p->hot)
		swap_slots(p, c->slot, p->hot++);
}

/* see ws.h */
int
ws_poll_add(struct ws_poll *p, struct ws_conn *c, int fd)
{
	uint32_t room = p->room == 0 ? 64 : p->room * 2;
	struct pollfd *fds;
	struct ws_conn **conns;

	if (p->n == p->room) {
		fds = realloc(p->fds, room * sizeof *fds);
		if (fds == NULL)
			return -1;
		p->fds = fds;
		conns = realloc(p->conns, room * sizeof *conns);
		if (conns == NULL)
			return -1;
		p->conns = conns;
		conns = realloc(p->ready, room * sizeof *conns);
		if (conns == NULL)
			return -1;
		p->ready = conns;
		p->room = room;
	}
	p->fds[p->n].fd = fd;
	p->fds[p->n].events = POLLIN;
	p->fds[p->n].revents = 0;
	p->conns[p->n] = c;
	c->fd = fd;
	c->events = POLLIN;
	c->slot = p->n++;
	make_hot(p, c);
	return 0;
}

/* see ws.h */
void
ws_poll_remove(struct ws_poll *p, struct ws_conn *c)
{
	if (c->slot < p->hot)
		swap_slots(p, c->slot, --p->hot);
	swap_slots(p, c->slot, --p->n);
	c->fd = -1;
}

/* see ws.h */
void
ws_poll_exchange(struct ws_poll *p, struct ws_conn *a, struct ws_conn *b)
{
	struct ws_conn old = *a;

	a->slot = b->slot;
	a->fd = b->fd;
	a->events = b->events;
	a->revents = b->revents;
	a->recent = b->recent;
	b->slot = old.slot;
	b->fd = old.fd;
	b->events = old.events;
	b->revents = old.revents;
	b->recent = old.recent;
	if (a->fd != -1)
		p->conns[a->slot] = a;
	if (b->fd != -1)
		p->conns[b->slot] = b;
}

/* see ws.h */
void
ws_poll_events(struct ws_poll *p, struct ws_conn *c, int events)
{
	/* Avoid reading the entry: among 10,000 it is not in the cache. */
	if (c->events == events)
		return;
	c->events = (short)events;
	p->fds[c->slot].events = (short)events;
	if ((events & POLLOUT) != 0)
		make_hot(p, c);
}

/* see ws.h */
void
ws_poll_kill(struct ws_poll *p, struct ws_conn *c)
{
	if (c->dead)
		return;
	c->dead = 1;
	c->next = p->dead;
	p->dead = c;
}

/* see ws.h */
void
ws_poll_cool(struct ws_poll *p, struct ws_conn *c)
{
	c->recent = 0;
	if (c->slot < p->hot && !c->always_hot && (c->events & POLLOUT) == 0)
		swap_slots(p, c->slot, --p->hot);
}

/* Before a full scan, makes those without an event since the last one cold. */
static void
cool_down(struct ws_poll *p)
{
	uint32_t i;

	for (i = p->hot; i-- > 0;)
		if (p->conns[i]->recent)
			p->conns[i]->recent = 0;
		else
			ws_poll_cool(p, p->conns[i]);
}

static int
poll_some(struct ws_poll *p, uint32_t n, int timeout)
{
	int got;

	p->timeout = timeout;
	got = poll(p->fds, n, timeout);
	/* After EINTR, EAGAIN or ENOMEM the loop tries again. */
	return got < 0 ? 0 : got;
}

/* Records how long ago all descriptors were last polled. */
static void
count_scan(struct ws_poll *p, int64_t now)
{
	int64_t unheard = p->last_scan == 0 ? 0 : now - p->last_scan;

	if (unheard > p->longest_unheard)
		p->longest_unheard = unheard;
	p->late_scans += unheard > LATE_SCAN;
}

/* Decides when all descriptors are to be polled next. */
static void
plan_scan(struct ws_poll *p, int64_t now)
{
	int64_t wait = SCAN_SHARE * p->scan_cost * p->n;

	if (wait < SCAN_MIN)
		wait = SCAN_MIN;
	if (wait > SCAN_MAX)
		wait = SCAN_MAX;
	p->last_scan = now;
	p->next_scan = now + wait;
}

/* Polls all descriptors without sleeping, and measures what that costs. */
static int
scan(struct ws_poll *p, int64_t *now)
{
	int64_t spent, each;
	int got;

	cool_down(p);
	count_scan(p, *now);
	got = poll_some(p, p->n, 0);
	spent = ws_clock() - *now;
	*now += spent;
	each = spent / p->n;
	if (p->scan_cost == 0)
		p->scan_cost = each < SCAN_GUESS ? each : SCAN_GUESS;
	if (each > 2 * p->scan_cost)
		each = 2 * p->scan_cost + 1;
	p->scan_cost = (p->scan_cost * 7 + each) / 8;
	p->scan_time += spent;
	p->scans++;
	plan_scan(p, *now);
	return got;
}

/* Polls all descriptors, and sleeps. */
static int
wait_for_all(struct ws_poll *p, int timeout, int64_t *now)
{
	int got;

	cool_down(p);
	count_scan(p, *now);
	got = poll_some(p, p->n, timeout);
	*now = ws_clock();
	plan_scan(p, *now);
	return got;
}

static int
is_lull(const struct ws_poll *p, int64_t now)
{
	int64_t lull = (int64_t)p->n * LULL_EACH;

	return now - p->last_event >= (lull < LULL_MAX ? lull : LULL_MAX);
}

/* Polls all descriptors or the hot ones; *n becomes how many it has polled. */
static int
poll_due(struct ws_poll *p, int timeout, uint32_t *n)
{
	int64_t now;
	int got, wait;

	*n = p->n;
	if (p->n <= SCAN_ALWAYS) {
		p->last_scan = 0;
		return poll_some(p, p->n, timeout);
	}
	now = ws_clock();
	got = 0;
	if (now >= p->next_scan)
		got = scan(p, &now);
	if (got == 0 && timeout != 0 && is_lull(p, now)) {
		got = wait_for_all(p, timeout, &now);
	} else if (got == 0) {
		wait = (int)((p->next_scan - now + 999999) / 1000000);
		if (timeout >= 0 && wait > timeout)
			wait = timeout;
		*n = p->hot;
		got = poll_some(p, p->hot, wait);
	}
	if (got != 0)
		p->last_event = now;
	return got;
}

/* see ws.h */
void
ws_poll_scan_next(struct ws_poll *p)
{
	p->next_scan = 0;
}

/* Gives back what more descriptors needed: those of sessions that are away. */
static void
shrink(struct ws_poll *p)
{
	void *less;

	p->room /= 2;
	if ((less = realloc(p->fds, p->room * sizeof *p->fds)) != NULL)
		p->fds = less;
	if ((less = realloc(p->conns, p->room * sizeof *p->conns)) != NULL)
		p->conns = less;
	if ((less = realloc(p->ready, p->room * sizeof *p->ready)) != NULL)
		p->ready = less;
}

/* see ws.h */
uint32_t
ws_poll_wait(struct ws_poll *p, int timeout)
{
	uint32_t n, i, k = 0;
	int got;

	if (p->room > 64 && p->n < p->room / 8)
		shrink(p);
	got = poll_due(p, timeout, &n);
	for (i = 0; i < n && k < (uint32_t)got; i++)
		if (p->fds[i].revents != 0) {
			p->conns[i]->revents = p->fds[i].revents;
			p->ready[k++] = p->conns[i];
		}
	for (i = 0; i < k; i++)
		make_hot(p, p->ready[i]);
	if (k == 1 && p->ready[0]->slot != 0)
		swap_slots(p, 0, p->ready[0]->slot);
	return k;
}

/* see ws.h */
void
ws_poll_free(struct ws_poll *p)
{
	free(p->fds);
	free(p->conns);
	free(p->ready);
}
