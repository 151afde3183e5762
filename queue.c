/* wshub: ISC licence, see LICENSE. */
/*
 * The frames of a session: first those that are sent but not confirmed, then
 * those that wait to be sent. They are in a ring buffer of pointers.
 *
 * A ring of two pointers is part of the struct. A larger one is allocated. It is
 * doubled when it is full, and halved when three quarters of it are empty. While
 * the session is away the ring fits: there are four sizes from each power of two
 * to the next.
 *
 * Only frames that count are kept. A Ping or Pong among them is released as
 * soon as it is sent. Then the kept frames before it move up by one position,
 * or, if they are fewer, the waiting frames behind it move down.
 *
 * *total is the memory that all queues of a loop hold. Each frame is counted
 * once, however many queues contain it. Rings are counted twice, because one
 * frame for all clients can double every ring before the limit is checked.
 */
#include <sys/types.h>
#include <sys/uio.h>
#include <stdlib.h>
#include <string.h>

#include "ws.h"

#define SMALL 1024 /* bytes of a frame that is copied rather than gathered */
#define ROOM_MAX (1u << 28) /* of a ring */

#define KEPT(q, i) ((q)->ring[wrap(q, (q)->first + (i))])
#define WAITING(q, i) ((q)->ring[wrap(q, (q)->first + (q)->kept + (i))])

/* The index of the frame at i, which is at most one round away. */
static uint32_t
wrap(const struct ws_queue *q, uint32_t i)
{
	return i < q->room ? i : i - q->room;
}

/* see ws.h */
size_t
ws_frame_cost(const struct ws_frame *f)
{
	/* With what malloc adds: a header, and rounding up to 16 bytes. */
	return (sizeof *f + WS_FRAME_HEAD_MAX + f->len + 23) & ~(size_t)15;
}

static void
reference(size_t *total, struct ws_frame *f)
{
	f->refs++;
	if (f->queues++ == 0)
		*total += ws_frame_cost(f);
}

static void
release(size_t *total, struct ws_frame *f)
{
	if (--f->queues == 0)
		*total -= ws_frame_cost(f);
	ws_frame_release(f);
}

static size_t
ring_bytes(const struct ws_queue *q)
{
	return q->ring == q->small ? 0 : sizeof *q->ring * q->room;
}

/* Moves the frames into a ring of so many pointers; -1: no memory. */
static int
resize(struct ws_queue *q, size_t *total, uint32_t room)
{
	struct ws_frame **ring = q->small;
	uint32_t i;

	if (room == q->room)
		return 0;
	if (room > 2) {
		ring = room > ROOM_MAX ? NULL : malloc(sizeof *ring * room);
		if (ring == NULL)
			return -1;
	}
	for (i = 0; i < q->kept + q->count; i++)
		ring[i] = KEPT(q, i);
	*total -= 2 * ring_bytes(q);
	if (q->ring != q->small)
		free(q->ring);
	q->ring = ring;
	q->room = room & (2 * ROOM_MAX - 1); /* all of it, in a bit-field */
	q->first = 0;
	*total += 2 * ring_bytes(q);
	return 0;
}

/* The next of the sizes 2, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20 ... */
static uint32_t
next_size(uint32_t room)
{
	uint32_t step = 1;

	while (room >= 8 * step)
		step *= 2;
	return room == 2 ? 4 : room + step;
}

/* Makes room for one more frame. */
static int
grow(struct ws_queue *q, size_t *total)
{
	return q->kept + q->count < q->room ? 0 :
	    resize(q, total, q->fits ? next_size(q->room) : 2 * q->room);
}

/* see ws.h */
void
ws_queue_init(struct ws_queue *q)
{
	memset(q, 0, sizeof *q);
	q->ring = q->small;
	q->room = 2;
}

/* see ws.h */
int
ws_queue_push(struct ws_queue *q, size_t *total, struct ws_frame *f)
{
	if (f->len > UINT32_MAX - q->unsent || grow(q, total) != 0)
		return -1;
	reference(total, f);
	WAITING(q, q->count++) = f;
	q->unsent += (uint32_t)f->len;
	return 0;
}

/* see ws.h */
struct ws_frame *
ws_queue_last(const struct ws_queue *q)
{
	return WAITING(q, q->count - 1);
}

/* see ws.h */
void
ws_queue_replace(struct ws_queue *q, size_t *total, struct ws_frame *f)
{
	struct ws_frame **last = &WAITING(q, q->count - 1);

	q->unsent += (uint32_t)(f->len - (*last)->len);
	release(total, *last);
	reference(total, f);
	*last = f;
}

/* see ws.h */
int
ws_queue_gather(const struct ws_queue *q, struct iovec *iov, int most,
    unsigned char *flat, size_t room, size_t *bytes)
{
	const struct ws_frame *f;
	unsigned char *data;
	uint32_t i;
	size_t len;
	int n = 0, copying = 0;

	*bytes = 0;
	for (i = 0; i < q->count; i++) {
		f = WAITING(q, i);
		data = ws_frame_bytes(f);
		len = f->len;
		if (i == 0) {
			data += q->sent;
			len -= q->sent;
		}
		if (q->count > 1 && len <= SMALL && len <= room) {
			memcpy(flat, data, len);
			data = flat;
			flat += len;
			room -= len;
			copying++;
		} else {
			copying = 0;
		}
		if (copying > 1) { /* it extends the previous entry */
			iov[n - 1].iov_len += len;
		} else if (n == most) {
			break;
		} else {
			iov[n].iov_base = data;
			iov[n++].iov_len = len;
		}
		*bytes += len;
	}
	return n;
}

/* The first waiting frame is sent completely: keeps or releases it. */
static void
first_is_sent(struct ws_queue *q, size_t *total)
{
	struct ws_frame *f = WAITING(q, 0);
	uint32_t i;

	q->count--;
	if (q->keeps && f->counts) {
		q->kept++;
		q->kept_bytes += (uint32_t)f->len;
		return;
	}
	/* The shorter part closes the gap: a peer that pings and confirms
	 * nothing would have thousands moved for each Pong. */
	if (q->count < q->kept) {
		for (i = 0; i < q->count; i++)
			WAITING(q, i) = WAITING(q, i + 1);
	} else {
		for (i = q->kept; i > 0; i--)
			KEPT(q, i) = KEPT(q, i - 1);
		q->first = wrap(q, q->first + 1);
	}
	release(total, f);
}

/* see ws.h */
void
ws_queue_advance(struct ws_queue *q, size_t *total, size_t n)
{
	size_t len;

	q->unsent -= (uint32_t)n;
	n += q->sent;
	while (q->count > 0 && n >= (len = WAITING(q, 0)->len)) {
		n -= len;
		first_is_sent(q, total);
	}
	q->sent = (uint32_t)n;
	if (q->kept + q->count == 0 && q->room > 2)
		(void)resize(q, total, 2);
}

/* see ws.h */
void
ws_queue_shrink(struct ws_queue *q, size_t *total)
{
	uint32_t room = q->room;

	while (room > 2 && q->kept + q->count <= room / 4)
		room = room < 8 ? 2 : room / 2;
	(void)resize(q, total, room);
}

/* see ws.h */
void
ws_queue_forget(struct ws_queue *q, size_t *total, uint32_t n)
{
	struct ws_frame *f;

	for (; n > 0; n--) {
		f = KEPT(q, 0);
		q->first = wrap(q, q->first + 1);
		q->kept--;
		q->kept_bytes -= (uint32_t)f->len;
		release(total, f);
	}
	ws_queue_shrink(q, total);
}

/*
 * Whether the first waiting frame must be sent on this connection: it is partly
 * sent, or it does not count and may be the response to the request.
 */
static int
first_stays(const struct ws_queue *q)
{
	return q->count > 0 && (q->sent != 0 || !WAITING(q, 0)->counts);
}

/* Releases the kept frames, and all waiting ones except the first stay. */
static uint32_t
release_all_but(struct ws_queue *q, size_t *total, uint32_t stay)
{
	uint32_t n = q->count - stay;

	while (q->count > stay) {
		q->unsent -= (uint32_t)ws_queue_last(q)->len;
		release(total, ws_queue_last(q));
		q->count--;
	}
	ws_queue_forget(q, total, q->kept);
	return n;
}

/* see ws.h */
uint32_t
ws_queue_cut(struct ws_queue *q, size_t *total)
{
	return release_all_but(q, total, first_stays(q) ? 1 : 0);
}

/* see ws.h */
uint32_t
ws_queue_clear(struct ws_queue *q, size_t *total)
{
	q->unsent += q->sent;
	q->sent = 0;
	return release_all_but(q, total, 0);
}

/* see ws.h */
int
ws_queue_break(struct ws_queue *q, size_t *total, struct ws_queue *peer)
{
	struct ws_frame *f;
	uint32_t room = 2, i, n = 0;
	int r = 0, move_first = peer != NULL && first_stays(q);

	if (move_first) {
		r = ws_queue_push(peer, total, WAITING(q, 0));
		if (r == 0) {
			peer->sent = q->sent;
			peer->unsent -= q->sent;
		}
	}
	q->unsent += q->sent;
	q->sent = 0;
	if (move_first && r == 0) {
		q->unsent -= (uint32_t)WAITING(q, 0)->len;
		first_is_sent(q, total);
	}
	for (i = 0; i < q->count; i++) {
		f = WAITING(q, i);
		if (f->counts) {
			WAITING(q, n++) = f;
		} else {
			q->unsent -= (uint32_t)f->len;
			release(total, f);
		}
	}
	q->count = n;
	while (room < q->kept + n)
		room = next_size(room);
	(void)resize(q, total, room);
	q->fits = 1;
	return r;
}

/* see ws.h */
int
ws_queue_resume(struct ws_queue *q, size_t *total, uint32_t n,
    struct ws_frame *f)
{
	if ((uint64_t)q->unsent + q->kept_bytes + f->len > UINT32_MAX ||
	    (n == 0 && grow(q, total) != 0))
		return -1;
	q->fits = 0;
	ws_queue_forget(q, total, n);
	q->unsent += q->kept_bytes;
	q->count += q->kept;
	q->kept = q->kept_bytes = 0;
	q->first = wrap(q, q->first + q->room - 1);
	reference(total, f);
	WAITING(q, 0) = f;
	q->count++;
	q->unsent += (uint32_t)f->len;
	return 0;
}

/* see ws.h */
size_t
ws_queue_bytes(const struct ws_queue *q)
{
	return q->unsent + ring_bytes(q);
}

/* see ws.h */
uint32_t
ws_queue_counting(const struct ws_queue *q)
{
	uint32_t i, n = 0;

	for (i = 0; i < q->count; i++)
		n += WAITING(q, i)->counts;
	return n;
}

/* see ws.h */
size_t
ws_queue_all(const struct ws_queue *q)
{
	return ws_queue_kept(q) + q->unsent + q->count * sizeof *q->ring;
}

/* see ws.h */
size_t
ws_queue_kept(const struct ws_queue *q)
{
	return q->kept_bytes + q->kept * sizeof *q->ring;
}
