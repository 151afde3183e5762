/* wshub: ISC licence, see LICENSE. */
/*
 * Deadlines: a timer wheel of WS_SLOTS slots of 128 ms.
 *
 * A timer is in the list of the slot in which it is due, or of the last slot if
 * it is due later than that. A timer that is postponed stays in its list; when
 * the slot expires, the timer is put into a later one. So no list changes when
 * a client sends something and its deadline is postponed.
 */
#include <sys/types.h>

#include "ws.h"

#define SHIFT 7 /* a slot is 128 ms */
#define SLOT(tick) ((tick) & (WS_SLOTS - 1))

static void
unlink_timer(struct ws_wheel *w, struct ws_timer *t)
{
	if (t->prev != NULL)
		t->prev->next = t->next;
	else
		w->slots[t->slot - 1] = t->next;
	if (t->next != NULL)
		t->next->prev = t->prev;
	t->slot = 0;
}

static void
link_timer(struct ws_wheel *w, struct ws_timer *t)
{
	int64_t tick = (t->when + (1 << SHIFT) - 1) >> SHIFT;
	int32_t slot;

	if (tick <= w->tick)
		tick = w->tick + 1;
	if (tick >= w->tick + WS_SLOTS)
		tick = w->tick + WS_SLOTS - 1; /* it will be moved from there */
	slot = (int32_t)SLOT(tick);
	t->slot = slot + 1;
	t->prev = NULL;
	t->next = w->slots[slot];
	if (t->next != NULL)
		t->next->prev = t;
	w->slots[slot] = t;
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
ws_wheel_set(struct ws_wheel *w, struct ws_timer *t, int64_t when)
{
	int later = t->slot != 0 && when >= t->when;

	t->when = when;
	if (later)
		return;
	ws_wheel_clear(w, t);
	link_timer(w, t);
}

/* see ws.h */
void
ws_wheel_clear(struct ws_wheel *w, struct ws_timer *t)
{
	if (t->slot != 0)
		unlink_timer(w, t);
}

/* see ws.h */
void
ws_wheel_expire(struct ws_wheel *w, int64_t now,
    void (*expired)(struct ws_timer *t, void *arg), void *arg)
{
	int64_t until = now >> SHIFT, i;
	struct ws_timer *t;

	if (until < w->next) {
		w->tick = until;
		return;
	}
	if (until - w->tick > WS_SLOTS)
		w->tick = until - WS_SLOTS;
	while (w->tick < until) {
		w->tick++;
		/* This ends: link_timer puts a timer into a later slot. */
		while ((t = w->slots[SLOT(w->tick)]) != NULL) {
			unlink_timer(w, t);
			if (t->when <= now)
				expired(t, arg);
			else
				link_timer(w, t);
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
