/* wshub: ISC licence, see LICENSE. */
/*
 * Tests of queue.c: random steps beside a model, which is an array of frames
 * and a number of bytes.
 */
#define _GNU_SOURCE
#include <sys/types.h>
#include <sys/uio.h>
#include <stdint.h>
#include <stdlib.h>

#include "test.h"

#include "alloc.h"
#include "../queue.c"

/* see ws.h: hub.c's, without the JSON */
void
ws_frame_release(struct ws_frame *f)
{
	if (f != NULL && --f->refs == 0)
		free(f);
}
#undef malloc
#undef free

#define FRAMES 3000

static struct ws_queue q, other;
static size_t total;
static struct ws_frame *model[FRAMES]; /* those that are not wholly out */
static size_t sent;                    /* bytes of the first that are out */
static unsigned count;
static uint32_t seed;

static uint32_t
random_below(uint32_t n)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % n;
}

static struct ws_frame *
new_frame(size_t len)
{
	struct ws_frame *f = test_malloc(sizeof *f + WS_FRAME_HEAD_MAX + len);
	size_t i;

	f->refs = 1;
	f->queues = 0;
	f->start = 0;
	f->len = len;
	for (i = 0; i < len; i++)
		ws_frame_bytes(f)[i] = (unsigned char)random_below(256);
	return f;
}

/* What gather returns is what the model has next. */
static void
check_gather(void)
{
	static unsigned char flat[4096], bytes[1 << 20];
	struct iovec iov[8];
	size_t n, at = 0, len, i;
	int k, got, most = 1 + (int)random_below(8);

	got = ws_queue_gather(&q, iov, most, flat, 1 + random_below(4096), &n);
	EXPECT(got <= most && (got > 0) == (count > 0), "%d pieces", got);
	for (k = 0; k < got; k++) {
		memcpy(bytes + at, iov[k].iov_base, iov[k].iov_len);
		at += iov[k].iov_len;
	}
	EXPECT(at == n, "%zu bytes, not %zu", at, n);
	for (i = 0, at = 0; i < count && at < n; i++) {
		len = model[i]->len - (i == 0 ? sent : 0);
		if (len > n - at)
			len = n - at;
		EXPECT(memcmp(bytes + at, ws_frame_bytes(model[i]) +
		    (i == 0 ? sent : 0), len) == 0, "frame %zu is another", i);
		at += len;
	}
}

static void
check(unsigned step)
{
	size_t unsent = 0, cost = 0;
	unsigned i;

	for (i = 0; i < count; i++) {
		unsent += model[i]->len;
		cost += ws_frame_cost(model[i]);
	}
	EXPECT(q.count == count && q.sent == sent && q.unsent == unsent - sent,
	    "step %u: %u frames, %u bytes unsent; the model has %u, %zu", step,
	    q.count, q.unsent, count, unsent - sent);
	EXPECT(total == cost + 2 * (ws_queue_bytes(&q) - q.unsent),
	    "step %u: %zu bytes in all, not %zu", step, total, cost);
}

/* n bytes are out, of which the model has as many. */
static void
advance(size_t n)
{
	ws_queue_advance(&q, &total, n);
	n += sent;
	while (count > 0 && n >= model[0]->len) {
		n -= model[0]->len;
		ws_frame_release(model[0]);
		memmove(model, model + 1, --count * sizeof *model);
	}
	sent = n;
}

static void
test_random(void)
{
	struct ws_frame *f;
	unsigned step, n;

	CASE("random steps: what a model has is what the queue has");
	ws_queue_init(&q);
	for (step = 0; step < 200000; step++) {
		/* It fills for a while, and empties for a while. */
		switch (random_below(step / 2000 % 2 ? 12 : 9)) {
		default:
			f = new_frame(1 + random_below(random_below(50) ? 200 :
			    3000));
			fail_from = random_below(20) == 0;
			if (count < FRAMES &&
			    ws_queue_push(&q, &total, f) == 0)
				model[count++] = f;
			else
				test_free(f);
			fail_from = 0;
			break;
		case 5:
		case 6:
		case 7:
		case 9:
		case 10:
			if (q.unsent != 0)
				advance(1 + random_below(q.unsent > 4000 ?
				    4000 : q.unsent));
			break;
		case 8:
			fail_from = random_below(4) == 0;
			ws_queue_shrink(&q, &total);
			fail_from = 0;
			break;
		case 11:
			if (count < 2)
				break;
			f = new_frame(1 + random_below(100));
			ws_queue_replace(&q, &total, f);
			ws_frame_release(model[count - 1]);
			model[count - 1] = f;
			break;
		}
		if (random_below(500) == 0) {
			n = ws_queue_cut(&q, &total);
			EXPECT(n == count - (sent != 0), "cut %u", n);
			while (count > (sent != 0))
				ws_frame_release(model[--count]);
		}
		check(step);
		if (step % 64 == 0)
			check_gather();
	}
	n = ws_queue_clear(&q, &total);
	EXPECT(n == count && total == 0 && q.unsent == 0 && q.sent == 0,
	    "cleared %u of %u, %zu bytes are left", n, count, total);
	while (count > 0)
		ws_frame_release(model[--count]);
	EXPECT(live == 0, "%ld blocks are left", live);
}

static void
test_shared(void)
{
	struct ws_frame *f = new_frame(100);
	size_t cost = ws_frame_cost(f);

	CASE("a frame in two queues counts once, and until both are through");
	ws_queue_init(&q);
	ws_queue_init(&other);
	total = 0;
	(void)ws_queue_push(&q, &total, f);
	(void)ws_queue_push(&other, &total, f);
	ws_frame_release(f);
	EXPECT(total == cost, "%zu bytes, not %zu", total, cost);
	ws_queue_advance(&q, &total, 100);
	EXPECT(total == cost && live == 1, "%zu bytes, not %zu", total, cost);
	ws_queue_advance(&other, &total, 99);
	EXPECT(total == cost && other.unsent == 1, "%zu bytes", total);
	ws_queue_advance(&other, &total, 1);
	EXPECT(total == 0 && live == 0, "%zu bytes, %ld blocks", total, live);
}

static void
test_rings(void)
{
	struct ws_frame *f = new_frame(3);
	unsigned i;

	CASE("rings grow and shrink with what is in them");
	ws_queue_init(&q);
	total = 0;
	for (i = 0; i < 1000; i++)
		(void)ws_queue_push(&q, &total, f);
	EXPECT(ws_queue_bytes(&q) == 3000 + 1024 * sizeof f, "%zu bytes",
	    ws_queue_bytes(&q));
	ws_queue_advance(&q, &total, 3 * 900);
	ws_queue_shrink(&q, &total);
	EXPECT(ws_queue_bytes(&q) == 300 + 256 * sizeof f, "%zu bytes",
	    ws_queue_bytes(&q));
	ws_queue_advance(&q, &total, 300);
	EXPECT(ws_queue_bytes(&q) == 0 && total == 0 && live == 1,
	    "%zu bytes, %ld blocks", ws_queue_bytes(&q), live);
	q.unsent = UINT32_MAX - 2;
	EXPECT(ws_queue_push(&q, &total, f) == -1, "4 GiB were queued");
	ws_frame_release(f);
}

int
main(void)
{
	test_random();
	test_shared();
	test_rings();
	return test_end();
}
