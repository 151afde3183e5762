/* wshub: ISC licence, see LICENSE. */
/*
 * The loop: poll(2), connections, queues, deadlines.
 *
 * A turn (ws_loop_step) is: wait; obey the backends; flush every client they
 * touched, once; serve the clients that spoke; accept; ring what is due;
 * flush again; free what died. Handlers only mark a connection dead, the sweep
 * at the end frees: nothing vanishes under a walk through the hub or the ready
 * list.
 *
 * Hot and cold
 *
 * poll costs about 85 ns a descriptor, which 10,000 quiet clients would add to
 * every sendToDevice. So l->polls is kept in two parts by swapping entries:
 *
 *   [0, hot)    backends, listeners, watched descriptors, clients with
 *               something to write, in their handshake, or that spoke lately
 *   [hot, n)    quiet clients
 *
 * A busy loop polls the first part alone, and all of it only when SCAN_SHARE
 * times the length of the last full scan have passed since: scanning takes at
 * most 1 / (1 + SCAN_SHARE) of the time. When the first part has stayed silent
 * until then there is nothing to do, and the loop sleeps in a poll of
 * everything: a quiet hub reacts at once.
 *
 * A client's life
 *
 *   HELLO    TLS listener, nothing spoken: no session is made for silence
 *   HEAD     TLS handshake and request head, within one deadline
 *   OPEN     in the hub
 *   ENDING   its last frame or HTTP answer is queued; input is read, not heard
 *   LINGER   that is out and our end shut; waiting for the peer to close, so
 *            that no reset overtakes the answer
 *
 * Deadlines stand in a wheel of slots of 128 ms. A client that speaks moves its
 * deadline on without changing its slot: the slot, when its time comes, files
 * it again. So a message in costs no list operation.
 */
#define _GNU_SOURCE /* accept4, getentropy */
#include <sys/types.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#ifdef __APPLE__
#include <sys/random.h>
#endif
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ws.h"

/* Systems without these. */
#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* main ignores SIGPIPE */
#endif
#ifndef SOCK_NONBLOCK
#define NO_ACCEPT4
#endif

#define READ_MAX 65536        /* bytes of one read */
#define CARRY_MAX WS_HEAD_MAX /* bytes of input kept until more has come */
#define CONTROL_TURN 262144   /* bytes read from one backend in a turn */
#define REPLIES_MAX 65536     /* unread replies that stop a backend's input */
#define IOV_MANY 64           /* frames handed to the kernel at once */
#define PONGS_MAX 32          /* frames queued before pongs replace another */
#define ACCEPTS_TURN 64       /* connections taken from a listener in a turn */
#define HANDSHAKE_TURN 4000000 /* ns of TLS handshakes begun in a turn */
#define REFUSED_MAX 16        /* clients beyond the limit, being told so */
#define REST 1000             /* ms without accept after EMFILE */
#define LINGER_TIME 2000      /* ms for a peer to close after us */
#define ENDING_TIME 5000      /* ms for a peer to take its last bytes */
#define DRAIN_EACH 10         /* ms between two Closes at shutdown, at most */
#define COLD_FEW 64           /* quiet clients not worth a second poll */
#define SCAN_SHARE 16
#define SLOT_SHIFT 7          /* a wheel's slot is 128 ms */
#define SLOTS 256
#define IP_BUCKETS 1024       /* a power of two */

enum kind { WATCH, LISTENER, CONTROL_LISTENER, BACKEND, CLIENT };

/* What every descriptor in l->polls belongs to; first in its own struct. */
struct conn {
	struct conn *next; /* among the dead */
	uint32_t slot;     /* in l->polls and l->conns */
	unsigned char kind;
	unsigned char dead;
	unsigned char active; /* had an event since the last full scan */
	short revents;
};

struct watch {
	struct conn conn;
	void (*ready)(struct ws_loop *l, int fd, void *arg);
	void *arg;
};

struct listener {
	struct conn conn;
	int tls;
	struct listener *next;
};

struct backend {
	struct conn conn;
	struct ws_control control;
	int mute; /* it does not take replies any more */
	int ended;
};

/* A peer's address, when connections from one are limited. */
struct ip {
	struct ip *chain;
	unsigned char key[8];
	unsigned count;
};

enum state { HELLO, HEAD, OPEN, ENDING, LINGER };

struct client {
	struct conn conn;
	struct ws_device device;
	struct ws_framer framer;
	unsigned char state;
	unsigned char tls_port; /* came to a TLS listener */
	unsigned char refused;  /* over a limit: 503 */
	unsigned char pinged;   /* and has not answered */
	unsigned char dirty;    /* in l->dirty */
	unsigned char aborted;  /* reset rather than closed: it would not read */
	unsigned short carried; /* bytes in carry */
	struct ws_tls *tls;
	unsigned char *carry;   /* input that is not whole */
	struct ip *ip;
	struct client *next_dirty;
	struct client *earlier, *later; /* in its slot of the wheel */
	int64_t deadline; /* INT64_MAX: none, and in no slot */
	int32_t tick;     /* the slot it is in, or -1 */
	/* Frames to send: a ring, in small until it needs more room. */
	uint32_t first, count, room;
	size_t sent;      /* bytes of the first that are out */
	size_t unsent;    /* bytes of all that are not */
	struct ws_frame **ring;
	struct ws_frame *small[2];
};

enum counter {
	ACCEPTED, REFUSED, BAD_REQUESTS, TLS_FAILURES, OPENED, PROTOCOL_ERRORS,
	SILENT, CUT_OFF, LOST, OBJECTS, ERRORS, DELIVERIES, TURNS, SCANS,
	COUNTERS
};

static const char *const counter_names[COUNTERS] = {
	"accepted", "refused", "bad requests", "TLS failures", "opened",
	"protocol errors", "silent", "cut off", "lost for want of memory",
	"objects", "errors", "deliveries", "turns", "full scans"
};

struct ws_loop {
	struct ws_options o;
	struct ws_hub hub;
	struct ws_tls_config *tls;

	struct pollfd *polls;
	struct conn **conns, **ready;
	uint32_t n, hot, room;

	struct conn *dead;
	struct client *dirty, **dirty_end;
	struct client *wheel[SLOTS];
	struct listener *listeners;
	struct ip **ips;
	uint32_t clients, refused, backends, max_clients, waiting;

	int64_t now;       /* ms */
	int64_t tick;      /* the last one rung */
	int64_t beat;      /* when the next heartbeat is due */
	int64_t rest;      /* no accept before that; 0: not resting */
	int64_t stop;      /* when draining ends; 0: not draining */
	int64_t next_scan; /* ns */
	int64_t scan_cost; /* ns, for each descriptor */
	int64_t scan_time; /* ns, all */
	int64_t begun;     /* ns */
	int full;          /* listeners are not polled */
	int quiet;

	uint64_t counters[COUNTERS];
	uint32_t seed;
	unsigned char input[CARRY_MAX + READ_MAX];
};

/* ----------------------------------------------------------------- small */

static int64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void
read_clock(struct ws_loop *l)
{
	l->now = now_ns() / 1000000;
}

/* xorshift32: to spread things in time, nothing else. */
static uint32_t
jitter(struct ws_loop *l, uint32_t range)
{
	l->seed ^= l->seed << 13;
	l->seed ^= l->seed >> 17;
	l->seed ^= l->seed << 5;
	return range == 0 ? 0 : l->seed % range;
}

#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
static void
say(struct ws_loop *l, int level, const char *format, ...)
{
	char line[512];
	va_list ap;

	if (l->o.log == NULL)
		return;
	va_start(ap, format);
	vsnprintf(line, sizeof line, format, ap);
	va_end(ap);
	l->o.log(level, line);
}

static int
fd_of(const struct ws_loop *l, const struct conn *c)
{
	return l->polls[c->slot].fd;
}

/* One line on one client: who, and why. */
static void
say_client(struct ws_loop *l, int level, const struct client *c,
    const char *what, const char *why)
{
	char name[WS_ADDRESS_MAX];

	if (l->o.log == NULL)
		return;
	ws_address(fd_of(l, &c->conn), 1, name);
	say(l, level, "client %s%s%s: %s: %s", name, c->device.id[0] ? " " : "",
	    c->device.id, what, why);
}

/* ---------------------------------------------------- descriptors to poll */

static void
swap_slots(struct ws_loop *l, uint32_t a, uint32_t b)
{
	struct pollfd p = l->polls[a];
	struct conn *c = l->conns[a];

	l->polls[a] = l->polls[b];
	l->conns[a] = l->conns[b];
	l->polls[b] = p;
	l->conns[b] = c;
	l->conns[a]->slot = a;
	l->conns[b]->slot = b;
}

static void
make_hot(struct ws_loop *l, struct conn *c)
{
	c->active = 1;
	if (c->slot >= l->hot)
		swap_slots(l, c->slot, l->hot++);
}

static int
poll_add(struct ws_loop *l, struct conn *c, int fd)
{
	uint32_t room = l->room == 0 ? 64 : l->room * 2;
	struct pollfd *polls;
	struct conn **conns;

	if (l->n == l->room) {
		polls = realloc(l->polls, room * sizeof *polls);
		if (polls == NULL)
			return -1;
		l->polls = polls;
		conns = realloc(l->conns, room * sizeof *conns);
		if (conns == NULL)
			return -1;
		l->conns = conns;
		conns = realloc(l->ready, room * sizeof *conns);
		if (conns == NULL)
			return -1;
		l->ready = conns;
		l->room = room;
	}
	l->polls[l->n].fd = fd;
	l->polls[l->n].events = POLLIN;
	l->polls[l->n].revents = 0;
	l->conns[l->n] = c;
	c->slot = l->n++;
	make_hot(l, c);
	return 0;
}

static void
poll_remove(struct ws_loop *l, struct conn *c)
{
	if (c->slot < l->hot)
		swap_slots(l, c->slot, --l->hot);
	swap_slots(l, c->slot, --l->n);
}

/* Asks for events; whoever has something to write is hot. */
static void
poll_for(struct ws_loop *l, struct conn *c, int events)
{
	l->polls[c->slot].events = (short)events;
	if ((events & POLLOUT) != 0)
		make_hot(l, c);
}

/* After a full scan: clients without an event since the one before cool. */
static void
cool(struct ws_loop *l)
{
	uint32_t i;
	struct conn *c;

	for (i = l->hot; i-- > 0;) {
		c = l->conns[i];
		if (c->kind != CLIENT)
			continue;
		if (!c->active && (l->polls[i].events & POLLOUT) == 0 &&
		    ((struct client *)c)->state >= OPEN)
			swap_slots(l, i, --l->hot);
		c->active = 0;
	}
}

static int
poll_some(struct ws_loop *l, uint32_t n, int timeout)
{
	int got = poll(l->polls, n, timeout);

	/* EINTR: a signal, whose pipe is readable. The rest does not happen to
	 * a right call, but EAGAIN and ENOMEM are allowed for: try again. */
	return got < 0 ? 0 : got;
}

/* Polls everything without waiting, and learns what that costs. */
static int
scan(struct ws_loop *l)
{
	int64_t before = now_ns(), spent;
	int got = poll_some(l, l->n, 0);

	spent = now_ns() - before;
	l->scan_cost = (l->scan_cost * 7 + spent / l->n) / 8;
	l->scan_time += spent;
	l->next_scan = before + spent + SCAN_SHARE * spent;
	l->counters[SCANS]++;
	cool(l);
	return got;
}

/* Waits at most timeout ms; *n is how much of l->polls has its revents set. */
static int
wait_ready(struct ws_loop *l, int timeout, uint32_t *n)
{
	int64_t left;
	int got, wait;

	*n = l->n;
	if (l->n - l->hot < COLD_FEW)
		return poll_some(l, l->n, timeout);
	if (!l->quiet) {
		if (now_ns() >= l->next_scan && (got = scan(l)) != 0)
			return got;
		left = l->next_scan - now_ns();
		wait = left <= 0 ? 0 : (int)((left + 999999) / 1000000);
		if (timeout >= 0 && wait > timeout)
			wait = timeout;
		*n = l->hot;
		got = poll_some(l, l->hot, wait);
		if (got != 0 || wait == timeout)
			return got;
		*n = l->n;
	}
	got = poll_some(l, l->n, timeout);
	l->next_scan = now_ns() + SCAN_SHARE * l->scan_cost * l->n;
	l->quiet = 0;
	cool(l);
	return got;
}

/* -------------------------------------------------------------- deadlines */

static void
wheel_out(struct ws_loop *l, struct client *c)
{
	if (c->tick < 0)
		return;
	if (c->earlier != NULL)
		c->earlier->later = c->later;
	else
		l->wheel[c->tick] = c->later;
	if (c->later != NULL)
		c->later->earlier = c->earlier;
	c->tick = -1;
	l->waiting--;
}

static void
wheel_in(struct ws_loop *l, struct client *c)
{
	int64_t tick = (c->deadline + (1 << SLOT_SHIFT) - 1) >> SLOT_SHIFT;

	if (tick <= l->tick)
		tick = l->tick + 1;
	if (tick >= l->tick + SLOTS)
		tick = l->tick + SLOTS - 1; /* and on from there */
	c->tick = (int32_t)(tick % SLOTS);
	c->earlier = NULL;
	c->later = l->wheel[c->tick];
	if (c->later != NULL)
		c->later->earlier = c;
	l->wheel[c->tick] = c;
	l->waiting++;
}

static void
set_deadline(struct ws_loop *l, struct client *c, int64_t when)
{
	wheel_out(l, c);
	c->deadline = when;
	if (when != INT64_MAX)
		wheel_in(l, c);
}

/* The peer spoke: the next Ping is due a silence later. */
static void
heard(struct ws_loop *l, struct client *c)
{
	int64_t silence = (int64_t)l->o.ping * 1000;

	c->pinged = 0;
	if (l->o.ping == 0)
		return;
	/* Up to a tenth earlier, so that clients that came together part. */
	c->deadline = l->now + silence - jitter(l, (uint32_t)(silence / 10));
	if (c->tick < 0)
		wheel_in(l, c);
}

/* ------------------------------------------------------- ends and queues */

/* Marks it; the sweep does the rest. */
static void
kill_conn(struct ws_loop *l, struct conn *c)
{
	if (c->dead)
		return;
	c->dead = 1;
	c->next = l->dead;
	l->dead = c;
	if (c->kind == CLIENT)
		wheel_out(l, (struct client *)c);
}

static void
drop_queue(struct client *c)
{
	while (c->count > 0) {
		ws_frame_drop(c->ring[c->first]);
		c->first = (c->first + 1) & (c->room - 1);
		c->count--;
	}
	if (c->ring != c->small)
		free(c->ring);
	c->ring = c->small;
	c->room = 2;
	c->first = 0;
	c->sent = c->unsent = 0;
}

static int
grow_queue(struct client *c)
{
	struct ws_frame **ring;
	uint32_t i;

	if (c->room > UINT32_MAX / 4 / sizeof *ring)
		return -1;
	ring = malloc(c->room * 4 * sizeof *ring);
	if (ring == NULL)
		return -1;
	for (i = 0; i < c->count; i++)
		ring[i] = c->ring[(c->first + i) & (c->room - 1)];
	if (c->ring != c->small)
		free(c->ring);
	c->ring = ring;
	c->first = 0;
	c->room *= 4;
	return 0;
}

static void
make_dirty(struct ws_loop *l, struct client *c)
{
	if (c->dirty)
		return;
	c->dirty = 1;
	c->next_dirty = NULL;
	*l->dirty_end = c;
	l->dirty_end = &c->next_dirty;
}

/* Queues f, sharing it: 0, or -1 and the client is dead, for want of memory. */
static int
queue(struct ws_loop *l, struct client *c, struct ws_frame *f)
{
	if (c->count == c->room && grow_queue(c) != 0) {
		l->counters[LOST]++;
		say_client(l, WS_LOG_NOTE, c, "dropped", "out of memory");
		kill_conn(l, &c->conn);
		return -1;
	}
	f->refs++;
	c->ring[(c->first + c->count++) & (c->room - 1)] = f;
	c->unsent += f->len;
	make_dirty(l, c);
	return 0;
}

/* Queues bytes that are only for c. */
static int
queue_bytes(struct ws_loop *l, struct client *c, const void *data, size_t len)
{
	struct ws_frame *f = malloc(sizeof *f + len);
	int done;

	if (f == NULL) {
		l->counters[LOST]++;
		kill_conn(l, &c->conn);
		return -1;
	}
	f->refs = 1;
	f->start = 0;
	f->len = len;
	memcpy(f->bytes, data, len);
	done = queue(l, c, f);
	ws_frame_drop(f);
	return done;
}

/* see ws.h, ws_deliver */
static int
deliver(struct ws_device *d, struct ws_frame *f, void *arg)
{
	struct ws_loop *l = arg;
	struct client *c = (struct client *)
	    ((char *)d - offsetof(struct client, device));

	if (c->state != OPEN || c->conn.dead || queue(l, c, f) != 0)
		return 0;
	l->counters[DELIVERIES]++;
	return 1;
}

/* Nothing more will be queued: what is there goes out, and then the end. */
static void
end_client(struct ws_loop *l, struct client *c)
{
	c->state = ENDING;
	set_deadline(l, c, l->now + ENDING_TIME);
	make_dirty(l, c);
}

static void
end_with_close(struct ws_loop *l, struct client *c, unsigned code,
    const char *why)
{
	unsigned char frame[2 + WS_CONTROL_MAX];
	size_t n = ws_close_frame(frame, code, why);

	if (queue_bytes(l, c, frame, n) == 0)
		end_client(l, c);
}

static void
end_with_answer(struct ws_loop *l, struct client *c, int status,
    const char *why)
{
	char answer[WS_ANSWER_MAX];
	size_t n = ws_refuse(answer, status, why);

	say_client(l, WS_LOG_INFO, c, "refused", why);
	l->counters[status == 503 ? REFUSED : BAD_REQUESTS]++;
	if (queue_bytes(l, c, answer, n) == 0)
		end_client(l, c);
}

/*
 * It does not read as fast as it is sent to. What stands in its queue goes,
 * but for a frame that is partly out: a Close may follow that, and nothing
 * else may. Reset in the end, or the kernel would hold its megabytes on.
 */
static void
cut_off(struct ws_loop *l, struct client *c)
{
	struct ws_frame *partial = NULL;
	size_t sent = c->sent;

	l->counters[CUT_OFF]++;
	say_client(l, WS_LOG_NOTE, c, "cut off", "reads too slowly");
	if (sent != 0) {
		partial = c->ring[c->first];
		partial->refs++;
	}
	drop_queue(c);
	if (partial != NULL) {
		(void)queue(l, c, partial); /* there is room for it */
		ws_frame_drop(partial);
		c->sent = sent;
		c->unsent -= sent;
	}
	c->aborted = 1;
	end_with_close(l, c, WS_CLOSE_TRY_LATER, "too slow");
}

/* ---------------------------------------------------------------- writing */

static ssize_t
plain_read(int fd, void *buf, size_t room)
{
	ssize_t n;

	do
		n = recv(fd, buf, room, 0);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return n;
	return errno == EAGAIN || errno == EWOULDBLOCK ? WS_WANT_IN : WS_ERROR;
}

static ssize_t
plain_writev(int fd, struct iovec *iov, int n)
{
	struct msghdr m;
	ssize_t done;

	do {
		if (n == 1) {
			done = send(fd, iov->iov_base, iov->iov_len,
			    MSG_NOSIGNAL);
			continue;
		}
		memset(&m, 0, sizeof m);
		m.msg_iov = iov;
		m.msg_iovlen = (unsigned)n;
		done = sendmsg(fd, &m, MSG_NOSIGNAL);
	} while (done < 0 && errno == EINTR);
	if (done >= 0)
		return done;
	return errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS ?
	    WS_WANT_OUT : WS_ERROR;
}

static const char *
io_error(const struct client *c)
{
	return c->tls != NULL ? ws_tls_error(c->tls) : strerror(errno);
}

/* Points iov at the front of the queue. */
static int
gather(const struct client *c, struct iovec iov[IOV_MANY], size_t *total)
{
	uint32_t i, n = c->count < IOV_MANY ? c->count : IOV_MANY;
	struct ws_frame *f;

	*total = 0;
	for (i = 0; i < n; i++) {
		f = c->ring[(c->first + i) & (c->room - 1)];
		iov[i].iov_base = f->bytes + f->start;
		iov[i].iov_len = f->len;
		if (i == 0) {
			iov[i].iov_base = f->bytes + f->start + c->sent;
			iov[i].iov_len -= c->sent;
		}
		*total += iov[i].iov_len;
	}
	return (int)n;
}

/* n bytes more are out. */
static void
advance(struct client *c, size_t n)
{
	struct ws_frame *f;

	c->unsent -= n;
	n += c->sent;
	while (c->count > 0 && n >= c->ring[c->first]->len) {
		f = c->ring[c->first];
		n -= f->len;
		ws_frame_drop(f);
		c->first = (c->first + 1) & (c->room - 1);
		c->count--;
	}
	c->sent = n;
	if (c->count == 0 && c->ring != c->small)
		drop_queue(c);
}

/* ENDING, and all is out: shut our end, and wait a little for the peer's. */
static void
finish(struct ws_loop *l, struct client *c)
{
	if (c->tls != NULL && !ws_tls_handshaking(c->tls)) {
		switch (ws_tls_close(c->tls)) {
		case 0:
			break;
		case WS_WANT_OUT:
			poll_for(l, &c->conn, POLLIN | POLLOUT);
			return;
		default:
			kill_conn(l, &c->conn);
			return;
		}
	}
	if (shutdown(fd_of(l, &c->conn), SHUT_WR) != 0) {
		kill_conn(l, &c->conn);
		return;
	}
	c->state = LINGER;
	poll_for(l, &c->conn, POLLIN);
	set_deadline(l, c, l->now + LINGER_TIME);
}

/* Gives the kernel what it will take. */
static void
flush(struct ws_loop *l, struct client *c)
{
	struct iovec iov[IOV_MANY];
	size_t total;
	ssize_t done = 0;
	int n;

	while (c->count > 0 || (c->tls != NULL && ws_tls_unsent(c->tls))) {
		n = gather(c, iov, &total);
		done = c->tls != NULL ? ws_tls_writev(c->tls, iov, n) :
		    plain_writev(fd_of(l, &c->conn), iov, n);
		if (done < 0)
			break;
		advance(c, (size_t)done);
		if (c->tls == NULL && (size_t)done < total) {
			done = WS_WANT_OUT;
			break;
		}
	}
	if (done < 0 && done != WS_WANT_OUT) {
		say_client(l, WS_LOG_INFO, c, "lost", io_error(c));
		kill_conn(l, &c->conn);
	} else if (done == WS_WANT_OUT) {
		poll_for(l, &c->conn, POLLIN | POLLOUT);
		if (c->unsent > l->o.queue && c->state == OPEN)
			cut_off(l, c);
	} else if (c->state == ENDING) {
		finish(l, c);
	} else if (l->polls[c->conn.slot].events != POLLIN) {
		poll_for(l, &c->conn, POLLIN);
	}
}

/* Once for each client touched, however many messages the turn brought. What
 * flush cuts off is put at the list's end again. */
static void
flush_dirty(struct ws_loop *l)
{
	struct client *c;

	while ((c = l->dirty) != NULL) {
		l->dirty = c->next_dirty;
		if (l->dirty == NULL)
			l->dirty_end = &l->dirty;
		c->dirty = 0;
		if (!c->conn.dead && c->state != LINGER)
			flush(l, c);
	}
}

/* ---------------------------------------------------------------- reading */

/* Bytes that are not whole yet wait in c->carry, which is made to measure. */
static int
carry(struct ws_loop *l, struct client *c, const unsigned char *data,
    size_t len)
{
	unsigned char *p;

	if (len == 0) {
		free(c->carry);
		c->carry = NULL;
		c->carried = 0;
		return 0;
	}
	p = realloc(c->carry, len);
	if (p == NULL) {
		l->counters[LOST]++;
		kill_conn(l, &c->conn);
		return -1;
	}
	memcpy(p, data, len);
	c->carry = p;
	c->carried = (unsigned short)len;
	return 0;
}

/*
 * A Pong for every Ping, as section 5.5.3 asks; but a peer that pings and does
 * not read gets one for the latest, as it allows, or the queue would grow by
 * many times what the peer sends.
 */
static void
pong(struct ws_loop *l, struct client *c, const struct ws_event *e)
{
	struct ws_frame *f, **last;

	if (c->count >= PONGS_MAX)
		flush(l, c);
	if (c->conn.dead || c->state != OPEN)
		return;
	f = ws_frame_new(WS_PONG, e->data, e->len);
	if (f == NULL) {
		l->counters[LOST]++;
		kill_conn(l, &c->conn);
		return;
	}
	if (c->count >= PONGS_MAX) {
		last = &c->ring[(c->first + c->count - 1) & (c->room - 1)];
		if ((*last)->bytes[(*last)->start] == (WS_FIN | WS_PONG)) {
			c->unsent += f->len - (*last)->len;
			ws_frame_drop(*last);
			*last = f;
			return;
		}
	}
	(void)queue(l, c, f);
	ws_frame_drop(f);
}

/* What an open client sends is checked, never kept. */
static void
take_frames(struct ws_loop *l, struct client *c, unsigned char *data,
    size_t len)
{
	struct ws_event e;
	ssize_t n;

	while (c->state == OPEN && !c->conn.dead) {
		n = ws_framer_next(&c->framer, data, len, &e);
		if (n == WS_MORE) {
			(void)carry(l, c, data, len);
			return;
		}
		if (n == WS_BAD) {
			l->counters[PROTOCOL_ERRORS]++;
			say_client(l, WS_LOG_INFO, c, "protocol error", e.why);
			end_with_close(l, c, e.code, e.why);
			return;
		}
		data += n;
		len -= (size_t)n;
		if (e.opcode == WS_PING)
			pong(l, c, &e);
		else if (e.opcode == WS_CLOSE)
			end_with_close(l, c, e.code, NULL);
	}
}

/* 101, and the id: the first frame in the same write. */
static void
open_client(struct ws_loop *l, struct client *c, const struct ws_request *r)
{
	char out[WS_ANSWER_MAX + 128], hello[96];
	unsigned char head[WS_FRAME_HEAD_MAX];
	size_t n, h;
	int k;

	if (ws_hub_join(&l->hub, &c->device) != 0) {
		l->counters[LOST]++;
		end_with_answer(l, c, 503, "out of memory");
		return;
	}
	n = ws_accept(out, r->key);
	k = snprintf(hello, sizeof hello, "{\"action\":\"setDeviceId\","
	    "\"data\":{\"device_id\":\"%s\"}}", c->device.id);
	h = ws_frame_head(head, WS_FIN | WS_TEXT, (uint64_t)k, NULL);
	memcpy(out + n, head, h);
	memcpy(out + n + h, hello, (size_t)k);
	if (queue_bytes(l, c, out, n + h + (size_t)k) != 0)
		return;
	c->state = OPEN;
	ws_framer_init(&c->framer, 1, WS_CLIENT_MESSAGE_MAX);
	set_deadline(l, c, INT64_MAX);
	heard(l, c);
	l->counters[OPENED]++;
	say_client(l, WS_LOG_INFO, c, "open", c->tls ? "wss" : "ws");
}

static void
take_head(struct ws_loop *l, struct client *c, unsigned char *data, size_t len)
{
	struct ws_request r;
	ssize_t n = ws_request(&r, (const char *)data, len);

	if (n == WS_MORE) {
		(void)carry(l, c, data, len);
		return;
	}
	if (n == WS_BAD || r.status != 101)
		end_with_answer(l, c, r.status, r.why);
	else if (c->refused)
		end_with_answer(l, c, 503, "too many clients");
	else
		open_client(l, c, &r);
	(void)carry(l, c, NULL, 0);
	if (c->state == OPEN)
		take_frames(l, c, data + n, len - (size_t)n);
}

/* The first byte to a TLS listener: a ClientHello, or somebody who is lost. */
static int
take_hello(struct ws_loop *l, struct client *c)
{
	unsigned char first;
	ssize_t n;

	do
		n = recv(fd_of(l, &c->conn), &first, 1, MSG_PEEK);
	while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return -1;
	if (n <= 0) {
		kill_conn(l, &c->conn);
		return -1;
	}
	c->state = HEAD;
	if (first != 22) { /* handshake, RFC 5246 appendix A.1 */
		end_with_answer(l, c, 400, "this port speaks TLS (wss://)");
		return -1;
	}
	c->tls = ws_tls_new(l->tls, fd_of(l, &c->conn));
	if (c->tls == NULL) {
		l->counters[LOST]++;
		say_client(l, WS_LOG_NOTE, c, "dropped", "no TLS session");
		kill_conn(l, &c->conn);
		return -1;
	}
	return 0;
}

static void
read_client(struct ws_loop *l, struct client *c)
{
	unsigned char *at = l->input + c->carried;
	ssize_t n;

	if (c->state == HELLO && take_hello(l, c) != 0)
		return;
	n = c->tls != NULL ? ws_tls_read(c->tls, at, READ_MAX) :
	    plain_read(fd_of(l, &c->conn), at, READ_MAX);
	if (n == WS_WANT_IN || n == WS_WANT_OUT) {
		if (c->state == HEAD)
			poll_for(l, &c->conn,
			    n == WS_WANT_OUT ? POLLOUT : POLLIN);
		return;
	}
	if (n <= 0) {
		if (n < 0 && c->tls != NULL && ws_tls_handshaking(c->tls))
			l->counters[TLS_FAILURES]++;
		if (c->state <= OPEN)
			say_client(l, WS_LOG_INFO, c, "gone",
			    n == 0 ? "closed by peer" : io_error(c));
		kill_conn(l, &c->conn);
		return;
	}
	if (c->carried != 0) {
		memcpy(l->input, c->carry, c->carried);
		at = l->input;
		n += c->carried;
	}
	if (c->state == HEAD) {
		take_head(l, c, at, (size_t)n);
	} else if (c->state == OPEN) {
		heard(l, c);
		take_frames(l, c, at, (size_t)n);
	}
}

/* --------------------------------------------------------------- backends */

static void
flush_replies(struct ws_loop *l, struct backend *b)
{
	struct ws_control *c = &b->control;
	ssize_t n;

	while (c->outlen > 0 && !b->mute) {
		n = send(fd_of(l, &b->conn), c->out, c->outlen, MSG_NOSIGNAL);
		if (n >= 0)
			ws_control_sent(c, (size_t)n);
		else if (errno == EAGAIN || errno == EWOULDBLOCK)
			return;
		else if (errno != EINTR)
			b->mute = 1; /* it may have left; it is still heard */
	}
	if (b->mute)
		ws_control_sent(c, c->outlen);
}

static void
serve_backend(struct ws_loop *l, struct backend *b)
{
	struct ws_control *c = &b->control;
	size_t budget = CONTROL_TURN;
	ssize_t n;

	flush_replies(l, b);
	while (!b->ended && c->outlen < REPLIES_MAX && budget > 0) {
		n = recv(fd_of(l, &b->conn), l->input, READ_MAX, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
			ws_control_drained(c);
			break;
		}
		if (n <= 0) {
			ws_control_end(c);
			b->ended = 1;
			break;
		}
		ws_control_feed(&l->hub, c, (char *)l->input, (size_t)n);
		budget -= (size_t)n < budget ? (size_t)n : budget;
		if (n < READ_MAX) {
			ws_control_drained(c);
			break;
		}
		flush_replies(l, b);
	}
	l->counters[OBJECTS] += c->objects;
	l->counters[ERRORS] += c->errors;
	c->objects = c->errors = 0;
	flush_replies(l, b);
	if (c->lost) {
		l->counters[LOST]++;
		say(l, WS_LOG_ERROR, "backend dropped: out of memory");
	}
	if (c->lost || (b->ended && c->outlen == 0))
		kill_conn(l, &b->conn);
	else
		poll_for(l, &b->conn, (c->outlen > 0 ? POLLOUT : 0) |
		    (b->ended || c->outlen >= REPLIES_MAX ? 0 : POLLIN));
}

/* -------------------------------------------------------------- listeners */

/* Clients' listeners are polled only while there is room. */
static void
watch_listeners(struct ws_loop *l)
{
	int full = l->stop != 0 || l->rest != 0 ||
	    (l->clients >= l->max_clients && l->refused >= REFUSED_MAX);
	struct listener *p;

	if (full == l->full)
		return;
	l->full = full;
	for (p = l->listeners; p != NULL; p = p->next)
		if (p->conn.kind == LISTENER || l->stop == 0)
			poll_for(l, &p->conn, full && (l->rest != 0 ||
			    p->conn.kind == LISTENER) ? 0 : POLLIN);
}

static int
polite_accept(int fd)
{
	int s;

#ifdef NO_ACCEPT4
	do
		s = accept(fd, NULL, NULL);
	while (s == -1 && errno == EINTR);
	if (s != -1 && (fcntl(s, F_SETFL, O_NONBLOCK) == -1 ||
	    fcntl(s, F_SETFD, FD_CLOEXEC) == -1)) {
		close(s);
		return -1;
	}
#else
	do
		s = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	while (s == -1 && errno == EINTR);
#endif
	return s;
}

/* A peer's address as far as it counts: IPv4, or the /64 of IPv6. */
static int
ip_key(int fd, unsigned char key[8])
{
	struct sockaddr_storage a;
	socklen_t len = sizeof a;

	memset(key, 0, 8);
	if (getpeername(fd, (struct sockaddr *)&a, &len) != 0)
		return -1;
	if (a.ss_family == AF_INET6) {
		memcpy(key, &((struct sockaddr_in6 *)&a)->sin6_addr, 8);
	} else if (a.ss_family == AF_INET) {
		key[2] = key[3] = 0xff; /* in no /64 that is routed */
		memcpy(key + 4, &((struct sockaddr_in *)&a)->sin_addr, 4);
	} else {
		return -1;
	}
	return 0;
}

static struct ip **
ip_slot(struct ws_loop *l, const unsigned char key[8])
{
	uint32_t h = 2166136261u;
	struct ip **p;
	int i;

	for (i = 0; i < 8; i++)
		h = (h ^ key[i]) * 16777619u;
	p = &l->ips[(h ^ h >> 15 ^ l->max_clients) & (IP_BUCKETS - 1)];
	while (*p != NULL && memcmp((*p)->key, key, 8) != 0)
		p = &(*p)->chain;
	return p;
}

/* Counts c's address: -1 if that has too many already, or for want of memory. */
static int
count_ip(struct ws_loop *l, struct client *c, int fd)
{
	unsigned char key[8];
	struct ip **slot;

	if (l->o.max_per_ip == 0 || ip_key(fd, key) != 0)
		return 0;
	slot = ip_slot(l, key);
	if (*slot == NULL) {
		*slot = calloc(1, sizeof **slot);
		if (*slot == NULL)
			return -1;
		memcpy((*slot)->key, key, 8);
	}
	if ((*slot)->count >= l->o.max_per_ip)
		return -1;
	c->ip = *slot;
	c->ip->count++;
	return 0;
}

static void
uncount_ip(struct ws_loop *l, struct ip *ip)
{
	struct ip **slot;

	if (ip == NULL || --ip->count != 0)
		return;
	slot = ip_slot(l, ip->key);
	*slot = ip->chain;
	free(ip);
}

static void
new_client(struct ws_loop *l, int fd, int tls)
{
	struct client *c = calloc(1, sizeof *c);
	int on = 1;

	if (c == NULL)
		goto fail;
	c->conn.kind = CLIENT;
	c->tick = -1;
	c->ring = c->small;
	c->room = 2;
	c->tls_port = (unsigned char)(tls != 0);
	c->state = tls ? HELLO : HEAD;
	if (count_ip(l, c, fd) != 0 || l->clients >= l->max_clients)
		c->refused = 1;
	if (c->refused && l->refused >= REFUSED_MAX) {
		l->counters[REFUSED]++;
		uncount_ip(l, c->ip);
		free(c);
		close(fd);
		return;
	}
	if (poll_add(l, &c->conn, fd) != 0)
		goto fail;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (c->refused)
		l->refused++;
	else
		l->clients++;
	l->counters[ACCEPTED]++;
	set_deadline(l, c, l->now + (c->refused ? LINGER_TIME :
	    WS_HANDSHAKE_SECONDS * 1000));
	return;
fail:
	l->counters[LOST]++;
	if (c != NULL)
		uncount_ip(l, c->ip);
	free(c);
	close(fd);
}

static void
new_backend(struct ws_loop *l, int fd)
{
	struct backend *b = calloc(1, sizeof *b);

	if (b == NULL || poll_add(l, &b->conn, fd) != 0) {
		l->counters[LOST]++;
		free(b);
		close(fd);
		return;
	}
	b->conn.kind = BACKEND;
	l->backends++;
}

static void
accept_some(struct ws_loop *l, struct listener *p)
{
	int fd, i;

	for (i = 0; i < ACCEPTS_TURN; i++) {
		if (p->conn.kind == LISTENER && l->clients >= l->max_clients &&
		    l->refused >= REFUSED_MAX)
			return;
		if (p->conn.kind == CONTROL_LISTENER &&
		    l->backends >= WS_BACKENDS_MAX)
			return;
		fd = polite_accept(fd_of(l, &p->conn));
		if (fd == -1 && (errno == EMFILE || errno == ENFILE ||
		    errno == ENOBUFS || errno == ENOMEM)) {
			say(l, WS_LOG_ERROR, "accept: %s: resting for %d s",
			    strerror(errno), REST / 1000);
			l->rest = l->now + REST;
		}
		if (fd == -1)
			return;
		if (p->conn.kind == LISTENER)
			new_client(l, fd, p->tls);
		else
			new_backend(l, fd);
	}
}

/* ------------------------------------------------------------------ turns */

/* A client's deadline has passed. */
static void
ring_client(struct ws_loop *l, struct client *c)
{
	static const unsigned char ping[2] = { WS_FIN | WS_PING, 0 };

	switch (c->state) {
	case HELLO:
		kill_conn(l, &c->conn);
		break;
	case HEAD:
		if (c->tls != NULL && ws_tls_handshaking(c->tls))
			kill_conn(l, &c->conn);
		else
			end_with_answer(l, c, 408, "the request took too long");
		break;
	case OPEN:
		if (l->stop != 0) {
			end_with_close(l, c, WS_CLOSE_GOING_AWAY, "shutdown");
		} else if (c->pinged) {
			l->counters[SILENT]++;
			say_client(l, WS_LOG_INFO, c, "gone",
			    "no answer to a ping");
			c->aborted = 1;
			kill_conn(l, &c->conn);
		} else if (queue_bytes(l, c, ping, sizeof ping) == 0) {
			c->pinged = 1;
			set_deadline(l, c, l->now + WS_PONG_SECONDS * 1000);
		}
		break;
	case ENDING:
		c->aborted = 1;
		/* FALLTHROUGH */
	case LINGER:
		kill_conn(l, &c->conn);
		break;
	}
}

static void
ring_wheel(struct ws_loop *l)
{
	int64_t until = l->now >> SLOT_SHIFT;
	struct client *c, **slot;

	if (until - l->tick > SLOTS)
		l->tick = until - SLOTS;
	while (l->tick < until) {
		l->tick++;
		slot = &l->wheel[l->tick % SLOTS];
		/* What is filed anew goes into a later slot than this. */
		while ((c = *slot) != NULL) {
			wheel_out(l, c);
			if (c->deadline <= l->now)
				ring_client(l, c);
			else
				wheel_in(l, c);
		}
	}
}

/* ms until something is due, at most timeout; -1 is for ever. */
static int
next_due(const struct ws_loop *l, int timeout)
{
	int64_t due = INT64_MAX;
	int i;

	for (i = 1; l->waiting > 0 && i <= SLOTS; i++)
		if (l->wheel[(l->tick + i) % SLOTS] != NULL) {
			due = (l->tick + i) << SLOT_SHIFT;
			break;
		}
	if (l->o.heartbeat != 0 && l->beat < due)
		due = l->beat;
	if (l->rest != 0 && l->rest < due)
		due = l->rest;
	if (l->stop != 0 && l->stop < due)
		due = l->stop;
	if (due == INT64_MAX)
		return timeout;
	due = due <= l->now ? 0 : due - l->now;
	if (timeout >= 0 && due > timeout)
		return timeout;
	return due > INT_MAX ? INT_MAX : (int)due;
}

static void
beat(struct ws_loop *l)
{
	static const char hb[] = "{\"action\":\"hb\"}";
	struct ws_frame *f = ws_frame_new(WS_TEXT, hb, sizeof hb - 1);

	l->beat = l->now + (int64_t)l->o.heartbeat * 1000;
	if (f != NULL)
		ws_hub_multicast(&l->hub, f);
	else
		l->counters[LOST]++;
	ws_frame_drop(f);
}

static void
free_conn(struct ws_loop *l, struct conn *base)
{
	struct client *c = (struct client *)base;
	struct linger reset = { 1, 0 };
	int fd = fd_of(l, base);

	poll_remove(l, base);
	if (base->kind == CLIENT) {
		ws_hub_leave(&l->hub, &c->device);
		drop_queue(c);
		ws_tls_free(c->tls);
		free(c->carry);
		uncount_ip(l, c->ip);
		if (c->refused)
			l->refused--;
		else
			l->clients--;
		if (c->aborted)
			(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset,
			    sizeof reset);
	} else if (base->kind == BACKEND) {
		ws_control_free(&((struct backend *)base)->control);
		l->backends--;
	}
	if (base->kind != WATCH)
		close(fd);
	free(base);
}

static void
sweep(struct ws_loop *l)
{
	struct conn *c;

	while ((c = l->dead) != NULL) {
		l->dead = c->next;
		free_conn(l, c);
	}
}

/* Copies who is ready out of l->polls, which handlers reorder. */
static int
collect(struct ws_loop *l, uint32_t n, int got)
{
	int k = 0;
	uint32_t i;

	for (i = 0; i < n && k < got; i++)
		if (l->polls[i].revents != 0) {
			l->conns[i]->revents = l->polls[i].revents;
			l->ready[k++] = l->conns[i];
		}
	for (i = 0; i < (uint32_t)k; i++)
		make_hot(l, l->ready[i]);
	return k;
}

static void
serve_client(struct ws_loop *l, struct client *c)
{
	if ((c->conn.revents & POLLOUT) != 0 && c->state >= OPEN)
		make_dirty(l, c);
	if ((c->conn.revents & ~POLLOUT) != 0 || c->state < OPEN)
		read_client(l, c);
}

/*
 * Backends first, and what they said out; then the clients that are in, which
 * is quick; then TLS handshakes as far as HANDSHAKE_TURN goes (the rest is
 * still readable in the next turn); and new connections last.
 */
static void
serve(struct ws_loop *l, int n)
{
	struct conn *c;
	struct watch *w;
	int64_t until;
	int i;

	for (i = 0; i < n; i++) {
		c = l->ready[i];
		if (c->kind == BACKEND) {
			serve_backend(l, (struct backend *)c);
		} else if (c->kind == WATCH) {
			w = (struct watch *)c;
			w->ready(l, fd_of(l, c), w->arg);
		}
	}
	flush_dirty(l);
	for (i = 0; i < n; i++) {
		c = l->ready[i];
		if (c->kind == CLIENT && !c->dead &&
		    (!((struct client *)c)->tls_port ||
		    ((struct client *)c)->state >= OPEN))
			serve_client(l, (struct client *)c);
		else if (c->kind == CLIENT && !c->dead)
			c->revents |= POLLERR; /* for the next walk */
		else
			c->revents = 0;
	}
	flush_dirty(l);
	until = now_ns() + HANDSHAKE_TURN;
	for (i = 0; i < n; i++) {
		c = l->ready[i];
		if (c->kind == CLIENT && !c->dead &&
		    ((struct client *)c)->tls_port &&
		    ((struct client *)c)->state < OPEN) {
			serve_client(l, (struct client *)c);
			if (now_ns() >= until)
				break;
		}
	}
	for (i = 0; i < n; i++) {
		c = l->ready[i];
		if (c->kind == LISTENER || c->kind == CONTROL_LISTENER)
			accept_some(l, (struct listener *)c);
	}
}

/* see ws.h */
int
ws_loop_step(struct ws_loop *l, int timeout)
{
	uint32_t polled;
	int got;

	flush_dirty(l); /* what was published by function call */
	read_clock(l);
	got = wait_ready(l, next_due(l, timeout), &polled);
	l->quiet = got == 0;
	read_clock(l);
	l->counters[TURNS]++;
	serve(l, got == 0 ? 0 : collect(l, polled, got));
	ring_wheel(l);
	if (l->o.heartbeat != 0 && l->now >= l->beat)
		beat(l);
	if (l->rest != 0 && l->now >= l->rest)
		l->rest = 0;
	flush_dirty(l);
	sweep(l);
	watch_listeners(l);
	return l->stop == 0 || (l->now < l->stop && l->clients > 0);
}

/* see ws.h */
void
ws_loop_stop(struct ws_loop *l)
{
	int64_t window = (int64_t)l->o.drain * 800;
	uint32_t i;
	struct client *c;

	if (l->stop != 0)
		return;
	read_clock(l);
	l->stop = l->now + (int64_t)l->o.drain * 1000 + 1;
	if (window > (int64_t)l->clients * DRAIN_EACH)
		window = (int64_t)l->clients * DRAIN_EACH;
	say(l, WS_LOG_NOTE, "draining %u clients", (unsigned)l->clients);
	for (i = 0; i < l->n; i++) {
		c = (struct client *)l->conns[i];
		if (c->conn.kind != CLIENT || c->conn.dead)
			continue;
		if (c->state < OPEN)
			kill_conn(l, &c->conn);
		else if (c->state == OPEN)
			set_deadline(l, c, l->now +
			    jitter(l, (uint32_t)window + 1));
	}
}

/* see ws.h */
struct ws_loop *
ws_loop_new(const struct ws_options *o)
{
	struct ws_loop *l = calloc(1, sizeof *l);
	struct rlimit lim;
	unsigned kept = WS_BACKENDS_MAX + REFUSED_MAX + 48;

	if (l == NULL)
		return NULL;
	l->o = *o;
	l->dirty_end = &l->dirty;
	l->begun = now_ns();
	l->scan_cost = 100;
	read_clock(l);
	l->tick = l->now >> SLOT_SHIFT;
	l->beat = l->now + (int64_t)o->heartbeat * 1000;
	if (getentropy(&l->seed, sizeof l->seed) != 0 || l->seed == 0)
		l->seed = 2463534242u;
	/* Some descriptors are kept back, so that a flood of clients never
	 * stops publishing. */
	l->max_clients = 1u << 20;
	if (getrlimit(RLIMIT_NOFILE, &lim) == 0 && lim.rlim_cur < 1u << 20)
		l->max_clients = lim.rlim_cur > 2 * kept ?
		    (uint32_t)lim.rlim_cur - kept : (uint32_t)lim.rlim_cur / 2;
	if (o->max_clients != 0 && o->max_clients > l->max_clients) {
		errno = EMFILE;
		goto fail;
	}
	if (o->max_clients != 0)
		l->max_clients = o->max_clients;
	if (o->max_per_ip != 0) {
		l->ips = calloc(IP_BUCKETS, sizeof *l->ips);
		if (l->ips == NULL)
			goto fail;
	}
	if (ws_hub_init(&l->hub, deliver, l) != 0)
		goto fail;
	return l;
fail:
	free(l->ips);
	free(l);
	return NULL;
}

/* see ws.h */
void
ws_loop_free(struct ws_loop *l)
{
	if (l == NULL)
		return;
	while (l->n > 0)
		free_conn(l, l->conns[l->n - 1]);
	ws_hub_free(&l->hub);
	ws_tls_config_drop(l->tls);
	free(l->polls);
	free(l->conns);
	free(l->ready);
	free(l->ips);
	free(l);
}

static int
add_listener(struct ws_loop *l, int fd, enum kind kind, int tls)
{
	struct listener *p = calloc(1, sizeof *p);

	if (p == NULL || poll_add(l, &p->conn, fd) != 0) {
		free(p);
		return -1;
	}
	p->conn.kind = (unsigned char)kind;
	p->tls = tls;
	p->next = l->listeners;
	l->listeners = p;
	return 0;
}

/* see ws.h */
int
ws_loop_listen(struct ws_loop *l, int fd, int tls)
{
	return add_listener(l, fd, LISTENER, tls);
}

/* see ws.h */
int
ws_loop_control(struct ws_loop *l, int fd)
{
	return add_listener(l, fd, CONTROL_LISTENER, 0);
}

/* see ws.h */
void
ws_loop_certify(struct ws_loop *l, struct ws_tls_config *c)
{
	ws_tls_config_hold(c);
	ws_tls_config_drop(l->tls);
	l->tls = c;
}

/* see ws.h */
int
ws_loop_watch(struct ws_loop *l, int fd,
    void (*ready)(struct ws_loop *l, int fd, void *arg), void *arg)
{
	struct watch *w = calloc(1, sizeof *w);

	if (w == NULL || poll_add(l, &w->conn, fd) != 0) {
		free(w);
		return -1;
	}
	w->conn.kind = WATCH;
	w->ready = ready;
	w->arg = arg;
	return 0;
}

/* see ws.h */
struct ws_hub *
ws_loop_hub(struct ws_loop *l)
{
	return &l->hub;
}

/* see ws.h */
void
ws_loop_report(struct ws_loop *l)
{
	int64_t up = now_ns() - l->begun;
	int i;

	say(l, WS_LOG_ERROR, "up %lld s, %u clients (%u in the hub), "
	    "%u channels, %u subscriptions, %u backends, limit %u clients",
	    (long long)(up / 1000000000), (unsigned)l->clients,
	    (unsigned)l->hub.count, (unsigned)l->hub.nchannels,
	    (unsigned)l->hub.nlinks, (unsigned)l->backends,
	    (unsigned)l->max_clients);
	for (i = 0; i < COUNTERS; i++)
		say(l, WS_LOG_ERROR, "%s: %llu", counter_names[i],
		    (unsigned long long)l->counters[i]);
	say(l, WS_LOG_ERROR, "scanning: %.2f %% of the time",
	    up > 0 ? 100.0 * (double)l->scan_time / (double)up : 0.0);
}
