/* wshub: ISC licence, see LICENSE. */
/*
 * poll(2) without its cost: descriptors, hot and cold.
 *
 * poll costs about 85 ns a descriptor, which 10,000 quiet clients would add to
 * every sendToDevice. So p->fds is kept in two parts by swapping entries:
 *
 *   [0, hot)    pinned ones (backends, listeners, clients in their handshake),
 *               whoever has something to write, and who spoke lately
 *   [hot, n)    quiet clients
 *
 * A busy loop polls the first part alone, and all of it only when SCAN_SHARE
 * times the length of the last full scan have passed since: scanning takes at
 * most 1 / (1 + SCAN_SHARE) of the time. When the first part has stayed silent
 * until then there is nothing to do, and the loop sleeps in a poll of
 * everything: a quiet hub reacts at once.
 *
 * Whoever was the only one to be ready is the first to be asked the next time:
 * poll gets ready to sleep on each that is before the first that it finds.
 *
 * p->conns runs beside p->fds, and each connection knows its slot in both. Who
 * is ready is copied out, for what is done about it reorders the arrays.
 */
#define _POSIX_C_SOURCE 200809L
#include <sys/types.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <time.h>

#include "ws.h"

#define FEW 8   /* descriptors not worth two kinds of poll */
#define SCAN_SHARE 200
#define SCAN_GUESS 100 /* ns a descriptor, before the first scan */

/* see ws.h */
int64_t
ws_clock(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
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
	c->active = 1;
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
}

/* see ws.h */
void
ws_poll_for(struct ws_poll *p, struct ws_conn *c, int events)
{
	/* A client's entry is best not touched: among 10,000 it is in no cache. */
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
ws_poll_rest(struct ws_poll *p, struct ws_conn *c)
{
	c->active = 0;
	if (c->slot < p->hot && !c->pinned && (c->events & POLLOUT) == 0)
		swap_slots(p, c->slot, --p->hot);
}

/* Before a full scan: who had no event since the one before goes. */
static void
cool(struct ws_poll *p)
{
	uint32_t i;

	for (i = p->hot; i-- > 0;)
		if (p->conns[i]->active)
			p->conns[i]->active = 0;
		else
			ws_poll_rest(p, p->conns[i]);
}

static int
poll_some(struct ws_poll *p, uint32_t n, int timeout)
{
	int got = poll(p->fds, n, timeout);

	/* EINTR, or what the kernel may run out of: try again. */
	return got < 0 ? 0 : got;
}

/* Polls everything without waiting, and learns what that costs. */
static int
scan(struct ws_poll *p)
{
	int64_t before, spent;
	int got;

	cool(p);
	before = ws_clock();
	got = poll_some(p, p->n, 0);
	spent = ws_clock() - before;
	if (p->scan_cost == 0)
		p->scan_cost = SCAN_GUESS;
	p->scan_cost = (p->scan_cost * 7 + spent / p->n) / 8;
	p->scan_time += spent;
	p->next_scan = before + spent + SCAN_SHARE * spent;
	p->scans++;
	return got;
}

/* Sleeps in a poll of everything. */
static int
sleep_in_all(struct ws_poll *p, int timeout)
{
	int got;

	cool(p);
	got = poll_some(p, p->n, timeout);
	p->next_scan = ws_clock() + SCAN_SHARE * p->scan_cost * p->n;
	return got;
}

/* Polls as much as is due; *n is how many of p->fds that were. */
static int
poll_due(struct ws_poll *p, int timeout, uint32_t *n)
{
	int64_t left;
	int got, wait;

	*n = p->n;
	if (p->n <= FEW)
		return poll_some(p, p->n, timeout);
	if (!p->quiet) {
		left = p->next_scan - ws_clock();
		if (left <= 0) {
			got = scan(p);
			if (got != 0)
				return got;
			left = p->next_scan - ws_clock();
		}
		wait = left <= 0 ? 0 : (int)((left + 999999) / 1000000);
		if (timeout >= 0 && wait > timeout)
			wait = timeout;
		*n = p->hot;
		got = poll_some(p, p->hot, wait);
		if (got != 0 || wait == timeout)
			return got;
		*n = p->n;
	}
	return sleep_in_all(p, timeout);
}

/* see ws.h */
uint32_t
ws_poll_wait(struct ws_poll *p, int timeout)
{
	uint32_t n, i, k = 0;
	int got = poll_due(p, timeout, &n);

	p->quiet = got == 0;
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
