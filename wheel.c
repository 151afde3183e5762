/* wshub: ISC licence, see LICENSE. */
/*
 * Deadlines: a wheel of WS_SLOTS slots of 128 ms.
 *
 * An alarm stands in the slot of its time, or in the furthest one if that is
 * too far away. One that is put off stays where it is: its slot, when that
 * comes, files it again. So a client that speaks costs no list operation.
 */
#include <sys/types.h>

#include "ws.h"

#define SHIFT 7 /* a slot is 128 ms */
#define SLOT(tick) ((tick) & (WS_SLOTS - 1))

static void
unlink_timer(struct ws_wheel *w, struct ws_timer *a)
{
	if (a->prev != NULL)
		a->prev->next = a->next;
	else
		w->slots[a->slot - 1] = a->next;
	if (a->next != NULL)
		a->next->prev = a->prev;
	a->slot = 0;
}

static void
link_timer(struct ws_wheel *w, struct ws_timer *a)
{
	int64_t tick = (a->when + (1 << SHIFT) - 1) >> SHIFT;
	int32_t slot;

	if (tick <= w->tick)
		tick = w->tick + 1;
	if (tick >= w->tick + WS_SLOTS)
		tick = w->tick + WS_SLOTS - 1; /* and on from there */
	slot = (int32_t)SLOT(tick);
	a->slot = slot + 1;
	a->prev = NULL;
	a->next = w->slots[slot];
	if (a->next != NULL)
		a->next->prev = a;
	w->slots[slot] = a;
	if (tick < w->next)
		w->next = tick;
}

/* see ws.h */
void
ws_wheel_init(struct ws_wheel *w, int64_t now)
{
	w->tick = now >> SHIFT;
	w->next = INT64_MAX;
}

/* see ws.h */
void
ws_wheel_set(struct ws_wheel *w, struct ws_timer *a, int64_t when)
{
	int later = a->slot != 0 && when >= a->when;

	a->when = when;
	if (later)
		return;
	ws_wheel_clear(w, a);
	link_timer(w, a);
}

/* see ws.h */
void
ws_wheel_clear(struct ws_wheel *w, struct ws_timer *a)
{
	if (a->slot != 0)
		unlink_timer(w, a);
}

/* see ws.h */
void
ws_wheel_expire(struct ws_wheel *w, int64_t now,
    void (*expired)(struct ws_timer *a, void *arg), void *arg)
{
	int64_t until = now >> SHIFT, i;
	struct ws_timer *a;

	if (until < w->next) {
		w->tick = until;
		return;
	}
	if (until - w->tick > WS_SLOTS)
		w->tick = until - WS_SLOTS;
	while (w->tick < until) {
		w->tick++;
		/* What is filed again goes into a later slot than this. */
		while ((a = w->slots[SLOT(w->tick)]) != NULL) {
			unlink_timer(w, a);
			if (a->when <= now)
				expired(a, arg);
			else
				link_timer(w, a);
		}
	}
	w->next = INT64_MAX;
	for (i = w->tick + 1; i < w->tick + WS_SLOTS; i++)
		if (w->slots[SLOT(i)] != NULL) {
			w->next = i;
			break;
		}
}

/* see ws.h */
int64_t
ws_wheel_next(const struct ws_wheel *w)
{
	return w->next == INT64_MAX ? INT64_MAX : w->next << SHIFT;
}

/* see ws.h */
uint32_t
ws_jitter(uint32_t *seed, uint32_t range)
{
	*seed ^= *seed << 13; /* xorshift32 */
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return range == 0 ? 0 : *seed % range;
}
