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
	struct ws_frame *f;
	size_t i;
	unsigned fail = fail_from;

	fail_from = 0;
	f = test_malloc(sizeof *f + WS_FRAME_HEAD_MAX + len);
	fail_from = fail;
	f->refs = 1;
	f->queues = 0;
	f->start = 0;
	f->counts = f->heartbeat = 0;
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
	unsigned step, n, stays;

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
			stays = count > 0; /* it does not count */
			n = ws_queue_cut(&q, &total);
			EXPECT(n == count - stays, "cut %u", n);
			while (count > stays)
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

/*
 * A queue that keeps: the model is an array of the kept frames and those that
 * wait, in one.
 */
static unsigned kept;

static void
check_keeping(unsigned step)
{
	size_t bytes[2] = { 0, 0 }, cost = 0;
	unsigned i, counting = 0, wrong = 0;

	for (i = 0; i < kept + count; i++) {
		bytes[i >= kept] += model[i]->len;
		cost += ws_frame_cost(model[i]);
		counting += i >= kept && model[i]->counts;
	}
	EXPECT(q.kept == kept && q.count == count && q.sent == sent,
	    "step %u: %u frames are kept, %u wait, %u bytes sent; the model "
	    "has %u, %u, %zu", step, q.kept, q.count, q.sent, kept, count,
	    sent);
	for (i = 0; i < q.kept + q.count && i < kept + count; i++)
		wrong += KEPT(&q, i) != model[i];
	EXPECT(wrong == 0, "step %u: %u frames are others", step, wrong);
	EXPECT(q.kept_bytes == bytes[0] && q.unsent == bytes[1] - sent &&
	    ws_queue_counting(&q) == counting, "step %u: %u bytes kept, %u "
	    "unsent, %u count; the model has %zu, %zu, %u", step,
	    q.kept_bytes, q.unsent, ws_queue_counting(&q), bytes[0],
	    bytes[1] - sent, counting);
	EXPECT(total == cost + 2 * ring_bytes(&q), "step %u: %zu bytes in "
	    "all, not %zu", step, total, cost + 2 * ring_bytes(&q));
	EXPECT(q.kept + q.count <= q.room && (q.ring == q.small) ==
	    (q.room == 2), "step %u: the ring", step);
}

/* Takes frame i out of the model. */
static void
remove_frame(unsigned i)
{
	ws_frame_release(model[i]);
	memmove(model + i, model + i + 1, (kept + count - i - 1) *
	    sizeof *model);
}

/* The first frame that waits is out. */
static void
first_goes(void)
{
	if (model[kept]->counts) {
		kept++;
	} else {
		remove_frame(kept);
	}
	count--;
}

static void
forget(unsigned n)
{
	for (; n > 0; n--, kept--)
		remove_frame(0);
}

static void
push(void)
{
	struct ws_frame *f = new_frame(1 + random_below(random_below(50) ?
	    200 : 3000));

	f->counts = random_below(4) != 0;
	if (kept + count < FRAMES && ws_queue_push(&q, &total, f) == 0)
		model[kept + count++] = f;
	else
		test_free(f);
}

/*
 * The connection breaks. With a peer, the first frame that waits goes there if
 * it is partly out or does not count; there is no memory for it if the peer has
 * two frames.
 */
static void
break_off(unsigned with_peer)
{
	struct ws_frame *f, *full = NULL;
	int goes = with_peer && count > 0 && (sent != 0 ||
	    !model[kept]->counts), r;
	unsigned i;

	ws_queue_init(&other);
	if (with_peer == 2) {
		full = new_frame(1);
		(void)ws_queue_push(&other, &total, full);
		(void)ws_queue_push(&other, &total, full);
		fail_from = 1;
	}
	f = goes ? model[kept] : NULL;
	if (f != NULL)
		f->refs++;
	r = ws_queue_break(&q, &total, with_peer ? &other : NULL);
	fail_from = 0;
	EXPECT(r == (goes && with_peer == 2 ? -1 : 0), "broken: %d", r);
	if (goes && r == 0) {
		EXPECT(other.count == 1 && ws_queue_last(&other) == f &&
		    other.sent == sent && other.unsent == f->len - sent,
		    "the peer has %u frames, %u bytes sent, %u unsent",
		    other.count, other.sent, other.unsent);
		first_goes();
	} else {
		EXPECT(other.count == (with_peer == 2 ? 2 : 0), "the peer has "
		    "%u frames", other.count);
	}
	(void)ws_queue_clear(&other, &total);
	ws_frame_release(full);
	ws_frame_release(f);
	sent = 0;
	for (i = kept; i < kept + count;)
		if (model[i]->counts) {
			i++;
		} else {
			remove_frame(i);
			count--;
		}
}

/* The peer is back: all but the first n of the kept frames wait again. */
static void
resume(uint32_t n)
{
	struct ws_frame *f = new_frame(1 + random_below(200));
	int full = kept + count == q.room;

	if (ws_queue_resume(&q, &total, n, f) != 0) {
		EXPECT(fail_from && n == 0 && full, "not resumed");
		test_free(f);
		return;
	}
	EXPECT(!fail_from || n != 0 || !full, "resumed without memory");
	forget(n);
	memmove(model + 1, model, (kept + count) * sizeof *model);
	model[0] = f;
	count += kept + 1;
	kept = 0;
}

static void
test_keeping(void)
{
	unsigned step, n, i, stays;
	size_t len;

	CASE("random steps of a queue that keeps what is sent");
	ws_queue_init(&q);
	q.keeps = 1;
	total = sent = 0;
	for (step = 0; step < 200000; step++) {
		fail_from = random_below(8) == 0;
		switch (random_below(step / 2000 % 2 ? 16 : 12)) {
		default:
			push();
			break;
		case 6: case 7: case 8: case 9: case 12: case 13:
			if (q.unsent == 0)
				break;
			len = 1 + random_below(q.unsent > 2000 ? 2000 :
			    q.unsent);
			ws_queue_advance(&q, &total, len);
			for (len += sent; count > 0 && len >= model[kept]->len;
			    first_goes())
				len -= model[kept]->len;
			sent = len;
			break;
		case 10: case 14: case 15:
			n = random_below(kept + 1);
			ws_queue_forget(&q, &total, n);
			forget(n);
			break;
		case 11:
			if (random_below(8) == 0)
				break_off(random_below(3));
			else
				ws_queue_shrink(&q, &total);
			if (sent == 0 && random_below(2) == 0 && kept + count +
			    1 < FRAMES && (count == 0 || model[kept]->counts))
				resume(random_below(4) ? 0 :
				    random_below(kept + 1));
			break;
		}
		fail_from = 0;
		if (random_below(2000) == 0) {
			stays = count > 0 && (sent != 0 ||
			    !model[kept]->counts);
			n = ws_queue_cut(&q, &total);
			EXPECT(n == count - stays, "cut %u", n);
			forget(kept);
			while (count > stays)
				ws_frame_release(model[--count]);
		}
		check_keeping(step);
	}
	n = ws_queue_clear(&q, &total);
	EXPECT(n == count && total == 0 && q.kept == 0, "cleared %u of %u, "
	    "%zu bytes are left", n, count, total);
	for (i = 0; i < kept + count; i++)
		ws_frame_release(model[i]);
	kept = count = 0;
	sent = 0;
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
	f->counts = 1;
	q.keeps = 1;
	for (i = 0; i < 13; i++)
		(void)ws_queue_push(&q, &total, f);
	ws_queue_advance(&q, &total, 3 * 9);
	(void)ws_queue_break(&q, &total, NULL);
	EXPECT(ws_queue_bytes(&q) == 3 * 4 + 14 * sizeof f,
	    "%zu bytes for 13 of a session that is away", ws_queue_bytes(&q));
	for (i = 0; i < 2; i++)
		(void)ws_queue_push(&q, &total, f);
	EXPECT(ws_queue_bytes(&q) == 3 * 6 + 16 * sizeof f, "%zu bytes for 15",
	    ws_queue_bytes(&q));
	ws_queue_clear(&q, &total);
	q.keeps = 0;
	q.unsent = UINT32_MAX - 2;
	EXPECT(ws_queue_push(&q, &total, f) == -1, "4 GiB were queued");
	ws_frame_release(f);
}

int
main(void)
{
	test_random();
	test_keeping();
	test_shared();
	test_rings();
	return test_end();
}
