/* wshub: ISC licence, see LICENSE. */
/*
 * Tests of poll.c: nothing ready is missed, and scanning costs what it may.
 *
 * Time is ours: poll takes 85 ns a descriptor and never sleeps, so what is
 * counted is the same on every machine.
 */
#define _GNU_SOURCE
#include <sys/types.h>
#include <sys/socket.h>
#include <poll.h>
#include <stdint.h>
#include <time.h>

#include "test.h"

static int64_t fake_now = 1000000000;
static int64_t slept; /* ms that polls would have waited */
static unsigned long polled; /* descriptors, in all */
static int64_t preempted; /* ns that a poll takes longer */

static int
fake_clock(clockid_t id, struct timespec *t)
{
	(void)id;
	t->tv_sec = (time_t)(fake_now / 1000000000);
	t->tv_nsec = (long)(fake_now % 1000000000);
	return 0;
}

static int
fake_poll(struct pollfd *fds, nfds_t n, int timeout)
{
	int got = poll(fds, n, 0);

	polled += n;
	fake_now += 85 * (int64_t)n + preempted;
	if (got == 0 && timeout > 0) {
		fake_now += (int64_t)timeout * 1000000;
		slept += timeout;
	}
	return got;
}

#define clock_gettime fake_clock
#define poll(fds, n, timeout) fake_poll(fds, n, timeout)
#include "../poll.c"
#undef poll

#define MANY 400

struct pair {
	struct ws_conn conn; /* first, so that it is found */
	int other;
};

static struct ws_poll p;
static struct pair pairs[MANY];

static void
add(int i, int always_hot)
{
	int fd[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fd) != 0) {
		perror("socketpair");
		exit(1);
	}
	memset(&pairs[i], 0, sizeof pairs[i]);
	pairs[i].other = fd[1];
	pairs[i].conn.always_hot = (unsigned char)always_hot;
	if (ws_poll_add(&p, &pairs[i].conn, fd[0]) != 0)
		exit(1);
}

static void
drop(int i)
{
	int fd = pairs[i].conn.fd;

	ws_poll_remove(&p, &pairs[i].conn);
	close(fd);
	close(pairs[i].other);
}

static void
speak(int i)
{
	if (write(pairs[i].other, "x", 1) != 1)
		exit(1);
}

static void
hear(int i)
{
	char c;

	if (read(pairs[i].conn.fd, &c, 1) != 1)
		EXPECT(0, "connection %d was said to be ready, and is not", i);
}

static int
is_ready(int i, uint32_t n)
{
	uint32_t k;

	for (k = 0; k < n; k++)
		if (p.ready[k] == &pairs[i].conn)
			return 1;
	return 0;
}

/* Each connection knows its slot, in the right part. */
static void
check(const char *when)
{
	uint32_t i;
	struct ws_conn *c;

	EXPECT(p.hot <= p.n, "%s: %u of %u are hot", when, p.hot, p.n);
	for (i = 0; i < p.n; i++) {
		c = p.conns[i];
		EXPECT(c->slot == i && p.fds[i].fd == c->fd &&
		    p.fds[i].events == c->events,
		    "%s: slot %u has another's entry", when, i);
		EXPECT(i < p.hot || (!c->always_hot && !(c->events & POLLOUT)),
		    "%s: slot %u is cold", when, i);
	}
}

/* Two full scans without an event: all become cold that may. */
static void
settle(void)
{
	int i;

	for (i = 0; i < 2; i++) {
		ws_poll_scan_next(&p);
		ws_poll_wait(&p, 0);
	}
}

static void
clear(void)
{
	while (p.n > 0)
		drop((int)((struct pair *)p.conns[p.n - 1] - pairs));
	ws_poll_free(&p);
	memset(&p, 0, sizeof p);
}

static void
test_few(void)
{
	int i;
	uint32_t n;

	CASE("few descriptors: all are polled, and those ready are told");
	for (i = 0; i < SCAN_ALWAYS; i++)
		add(i, i < 2);
	EXPECT(ws_poll_wait(&p, 0) == 0, "nobody spoke");
	speak(3);
	speak(7);
	n = ws_poll_wait(&p, -1);
	EXPECT(n == 2 && is_ready(3, n) && is_ready(7, n), "%u are ready", n);
	check("few");
	clear();
}

static void
test_cooling(void)
{
	int i;
	uint32_t n;

	CASE("quiet ones cool; always_hot ones and writers stay hot");
	for (i = 0; i < MANY; i++)
		add(i, i < 5);
	settle();
	EXPECT(p.hot == 5, "%u are hot, of whom 5 are always_hot", p.hot);
	ws_poll_events(&p, &pairs[200].conn, POLLIN | POLLOUT);
	EXPECT(p.hot == 6, "%u are hot with a writer", p.hot);
	n = ws_poll_wait(&p, -1);
	EXPECT(n == 1 && is_ready(200, n), "%u are ready, not the writer", n);
	settle();
	EXPECT(p.hot == 6, "the writer has cooled");
	ws_poll_events(&p, &pairs[200].conn, POLLIN);
	settle();
	EXPECT(p.hot == 5, "%u are hot after the writing", p.hot);
	check("cooling");

	CASE("after a while with nothing to do, a cold one is heard at once");
	fake_now += LULL_MAX;
	slept = 0;
	speak(300);
	n = ws_poll_wait(&p, -1);
	EXPECT(n == 1 && is_ready(300, n) && slept == 0,
	    "%u ready after %lld ms", n, (long long)slept);
	EXPECT(pairs[300].conn.slot < p.hot, "who spoke is hot");
	EXPECT(pairs[300].conn.slot == 0, "who spoke alone is not the first");
	check("heard");
	hear(300);
	clear();
}

static void
test_busy(void)
{
	int64_t begun, longest = 0, since = 0, scanning;
	int i, heard = 0, waiting = -1;
	uint32_t n;

	CASE("a busy hub scans for half a percent of its time, and misses "
	    "nobody");
	for (i = 0; i < MANY; i++)
		add(i, i < 5);
	settle();
	speak(0); /* and is never heard: there is always something to do */
	begun = fake_now;
	scanning = p.scan_time;
	polled = 0;
	for (i = 0; i < 200000; i++) {
		if (waiting < 0 && i % 997 == 0) {
			waiting = 5 + i % (MANY - 5);
			since = fake_now;
			speak(waiting);
		}
		n = ws_poll_wait(&p, -1);
		EXPECT(is_ready(0, n) || n > 0, "turn %d brought nothing", i);
		if (waiting >= 0 && is_ready(waiting, n)) {
			hear(waiting);
			if (fake_now - since > longest)
				longest = fake_now - since;
			waiting = -1;
			heard++;
		}
		fake_now += 2000; /* what a turn's work takes */
	}
	scanning = p.scan_time - scanning;
	EXPECT(scanning * 200 <= fake_now - begun,
	    "scanning took %lld ns of %lld", (long long)scanning,
	    (long long)(fake_now - begun));
	EXPECT(p.scans > 25, "there were %lu scans", (unsigned long)p.scans);
	EXPECT(heard > 25, "%d of the cold were heard", heard);
	/* the interval, the scan itself, and a turn */
	EXPECT(longest <= SCAN_MIN + 2 * 85 * MANY + 10000,
	    "somebody waited %lld ns", (long long)longest);
	EXPECT(polled / 200000 < 40, "%lu descriptors a turn", polled / 200000);
	check("busy");
	clear();
}

/*
 * Polls are preempted: a scan takes that long, whatever it is asked. Somebody
 * who speaks is heard all the same within SCAN_MAX.
 */
static void
test_preempted(int64_t ns)
{
	int64_t since, longest = 0;
	int i, turn;
	uint32_t n;

	for (i = 0; i < MANY; i++)
		add(i, i < 5);
	settle();
	speak(0); /* and is never heard: there is always something to do */
	for (turn = 0; turn < 50; turn++) {
		i = 5 + turn * 7 % (MANY - 5);
		speak(i);
		since = fake_now;
		do {
			preempted = p.next_scan <= fake_now ? ns : 0;
			n = ws_poll_wait(&p, -1);
			fake_now += 200000;
		} while (!is_ready(i, n) && fake_now - since < 60000000000);
		preempted = 0;
		hear(i);
		if (fake_now - since > longest)
			longest = fake_now - since;
	}
	EXPECT(longest <= SCAN_MAX + 2 * ns, "with %lld ms lost in each scan "
	    "somebody waited %lld ms", (long long)(ns / 1000000),
	    (long long)(longest / 1000000));
	EXPECT(p.longest_unheard <= SCAN_MAX + 2 * ns &&
	    p.longest_unheard >= longest / 2, "unheard: %lld ms",
	    (long long)(p.longest_unheard / 1000000));
	EXPECT(p.late_scans == 0, "%llu late scans",
	    (unsigned long long)p.late_scans);
	clear();
}

static void
test_clock_jumps(void)
{
	int i;

	CASE("a scan that is preempted leaves nobody unheard for long");
	test_preempted(69000000);
	test_preempted(400000000);

	CASE("a clock that jumps is counted, and costs one scan");
	for (i = 0; i < MANY; i++)
		add(i, i < 5);
	settle();
	fake_now += 3600000000000;
	ws_poll_wait(&p, 0);
	EXPECT(p.late_scans == 1 && p.longest_unheard >= 3600000000000,
	    "%llu late scans", (unsigned long long)p.late_scans);
	EXPECT(p.next_scan <= fake_now + SCAN_MAX, "the next scan is far");
	clear();
}

static void
test_random(void)
{
	static int in[MANY];
	uint32_t seed = 42, n, k;
	int i, turn;

	CASE("any order of adding, removing, writing and speaking");
	memset(in, 0, sizeof in);
	for (turn = 0; turn < 30000; turn++) {
		seed = seed * 1664525u + 1013904223u;
		i = (int)(seed >> 16) % MANY;
		switch (seed >> 8 & 7) {
		case 0:
		case 1:
		case 2:
			if (!in[i]) {
				add(i, (seed & 63) == 0);
				in[i] = 1;
			}
			break;
		case 3:
			if (in[i]) {
				drop(i);
				in[i] = 0;
			}
			break;
		case 4:
			if (in[i])
				ws_poll_events(&p, &pairs[i].conn, (seed & 1) ?
				    POLLIN : POLLIN | POLLOUT);
			break;
		case 5:
			if (in[i])
				speak(i);
			break;
		default:
			if (p.n == 0)
				break;
			n = ws_poll_wait(&p, 0);
			for (k = 0; k < n; k++) {
				i = (int)((struct pair *)p.ready[k] - pairs);
				EXPECT(in[i] && p.ready[k]->revents != 0,
				    "turn %d: %d is ready without reason",
				    turn, i);
				if (p.ready[k]->revents & POLLIN)
					hear(i);
			}
			break;
		}
		if (turn % 100 == 0)
			check("random");
	}
	/* Within two waits without a pause, everybody left is heard. */
	for (i = 0; i < 3 && p.n > 0; i++) {
		fake_now = p.next_scan;
		n = ws_poll_wait(&p, 0);
		for (k = 0; k < n; k++)
			if (p.ready[k]->revents & POLLIN)
				while (recv(p.ready[k]->fd, &seed, 1,
				    MSG_DONTWAIT) == 1)
					;
	}
	fake_now = p.next_scan;
	n = ws_poll_wait(&p, 0);
	for (k = 0; k < n; k++)
		EXPECT((p.ready[k]->revents & POLLIN) == 0,
		    "somebody was not heard");
	clear();
}

static void
test_dead(void)
{
	CASE("who is killed twice is swept once");
	add(0, 0);
	add(1, 0);
	ws_poll_kill(&p, &pairs[0].conn);
	ws_poll_kill(&p, &pairs[1].conn);
	ws_poll_kill(&p, &pairs[0].conn);
	EXPECT(p.dead == &pairs[1].conn && p.dead->next == &pairs[0].conn &&
	    p.dead->next->next == NULL, "the list is wrong");
	clear();
}

int
main(void)
{
	test_few();
	test_cooling();
	test_busy();
	test_clock_jumps();
	test_random();
	test_dead();
	return test_end();
}
