/* wshub: ISC licence, see LICENSE. */
/* Tests of wheel.c: every timer fires once, not early, and not 128 ms late. */
#define _GNU_SOURCE
#include <stdint.h>

#include "test.h"

#include "../wheel.c"

#define MANY 200
#define LENGTH 128 /* ms of a slot */

static struct ws_wheel w;
static struct ws_timer timers[MANY];
static int64_t due[MANY]; /* when it should fire; -1: it should not */
static int64_t now, late;
static unsigned fired;
static unsigned seed = 1;

static unsigned
random_to(unsigned n)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % n;
}

static void
set(int i, int64_t when)
{
	ws_wheel_set(&w, &timers[i], when);
	due[i] = when;
}

static void
clear(int i)
{
	ws_wheel_clear(&w, &timers[i]);
	due[i] = -1;
}

static void
fire(struct ws_timer *a, void *arg)
{
	int i = (int)(a - timers);

	EXPECT(arg == &now, "its argument is another");
	EXPECT(due[i] >= 0, "timer %d fired, and was not set", i);
	EXPECT(due[i] <= now, "timer %d fired %lld ms early", i,
	    (long long)(due[i] - now));
	if (due[i] >= 0 && now - due[i] > late)
		late = now - due[i];
	due[i] = -1;
	fired++;
}

static void
pass(int64_t ms)
{
	now += ms;
	ws_wheel_expire(&w, now, fire, &now);
}

static void
begin(int64_t at)
{
	int i;

	memset(&w, 0, sizeof w);
	memset(timers, 0, sizeof timers);
	for (i = 0; i < MANY; i++)
		due[i] = -1;
	now = at;
	late = fired = 0;
	ws_wheel_init(&w, now);
}

static void
test_one(void)
{
	static const int64_t times[] = {
		0, 1, 127, 128, 129, 25000, LENGTH * (WS_SLOTS - 1),
		LENGTH * WS_SLOTS, 3600000
	};
	size_t i;

	CASE("a timer fires once, in its slot");
	for (i = 0; i < sizeof times / sizeof *times; i++) {
		begin(1000003);
		set(0, now + times[i]);
		while (fired == 0 && now < 1000003 + times[i] + 1000) {
			EXPECT(ws_wheel_next(&w) <=
			    (due[0] / LENGTH + 2) * LENGTH,
			    "due %lld", (long long)ws_wheel_next(&w));
			pass(1);
		}
		EXPECT(fired == 1 && late <= LENGTH, "%lld ms: fired %u times, "
		    "%lld ms late", (long long)times[i], fired,
		    (long long)late);
		EXPECT(ws_wheel_next(&w) == INT64_MAX, "still due");
		pass(100000);
		EXPECT(fired == 1, "it fired again");
	}
	CASE("what is due says when to look, and no sooner");
	begin(500);
	EXPECT(ws_wheel_next(&w) == INT64_MAX, "an empty wheel is due");
	set(0, 20500);
	for (i = 0; fired == 0 && i < 10; i++)
		pass(ws_wheel_next(&w) - now);
	EXPECT(fired == 1 && i <= 2, "fired %u after %zu looks", fired, i);
}

static void
test_moved(void)
{
	int i;

	CASE("put off: it fires at the later time alone");
	begin(0);
	set(0, 1000);
	for (i = 0; i < 50; i++) {
		pass(900);
		set(0, now + 1000);
	}
	EXPECT(fired == 0, "it fired");
	pass(1000 + LENGTH);
	EXPECT(fired == 1, "fired %u times", fired);

	CASE("brought forward, cleared, set again");
	begin(0);
	set(0, 20000);
	set(0, 500);
	pass(500 + LENGTH);
	EXPECT(fired == 1, "brought forward: fired %u times", fired);
	set(1, now + 500);
	clear(1);
	clear(1);
	pass(1000);
	EXPECT(fired == 1 && ws_wheel_next(&w) == INT64_MAX,
	    "cleared, it fired");
	set(1, now + 500);
	pass(500 + LENGTH);
	EXPECT(fired == 2, "set again: fired %u times", fired);
}

/* Those that fire set or clear others, in the same slot too. */
static void
change_others(struct ws_timer *a, void *arg)
{
	int i = (int)(a - timers), other = (int)random_to(MANY);

	fire(a, arg);
	if (random_to(2))
		clear(other);
	else
		set(other, now + (int64_t)random_to(300));
	if (random_to(4) == 0)
		set(i, now); /* again, and not in this walk for ever */
}

static void
test_random(void)
{
	int i, turn, turns = test_emulated() ? 20000 : 200000;

	CASE("200 timers set, moved and cleared at random, also while they "
	    "fire");
	for (turn = 0; turn < turns; turn++) {
		if (turn % 5000 == 0)
			begin((int64_t)random_to(1u << 24) << 8);
		i = (int)random_to(MANY);
		if (random_to(4) == 0)
			clear(i);
		else
			set(i, now + (int64_t)random_to(random_to(8) ? 3000 :
			    100000));
		now += random_to(50) ? random_to(40) : random_to(50000);
		late = 0;
		ws_wheel_expire(&w, now, change_others, &now);
		for (i = 0; i < MANY; i++) {
			EXPECT((timers[i].slot != 0) == (due[i] >= 0),
			    "timer %d: slot %d", i, (int)timers[i].slot);
			EXPECT(due[i] < 0 || due[i] + LENGTH > now,
			    "timer %d is %lld ms late", i,
			    (long long)(now - due[i]));
			EXPECT(due[i] < 0 || ws_wheel_next(&w) <=
			    due[i] + LENGTH, "timer %d is due earlier", i);
		}
	}
}

int
main(void)
{
	test_one();
	test_moved();
	test_random();
	return test_end();
}
