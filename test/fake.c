/* wshub: ISC licence, see LICENSE. */
/* see fake.h */
#include "fake.h"
#include "../ws.h"

#define SOCKETS 512
#define FIRST FAKE_FD
#define BACKLOG 64

struct bytes {
	unsigned char *at;
	size_t from, len, room; /* len bytes from there */
};

struct sock {
	int hub, peer;   /* that end is open */
	int listener;
	int backlog[BACKLOG], waiting;
	struct bytes up, down; /* to the hub, and from it */
	size_t window;
	int up_ended, down_ended; /* nothing more will come */
	int reset;       /* by us */
	int broken;      /* by the hub */
	int abort;       /* closing is to be a reset */
	int prompt;      /* TCP_NODELAY */
};

struct fake_fault fake_fault;
unsigned long fake_calls[FAKE_CALLS];
unsigned long fake_faults;
long fake_live;
int64_t fake_now;
int64_t fake_tick;
int64_t fake_oversleep;
void (*fake_sent)(int h);
static struct sock socks[SOCKETS];
static unsigned number, pools; /* of random bytes */

static void
nonsense(const char *what, int fd)
{
	printf("    fake: %s, descriptor %d\n", what, fd);
	fflush(stdout);
	abort();
}

static void
clear(struct sock *s)
{
	free(s->up.at);
	free(s->down.at);
	memset(s, 0, sizeof *s);
}

/* see fake.h */
void
fake_begin(void)
{
	int i;

	for (i = 0; i < SOCKETS; i++)
		clear(&socks[i]);
	memset(&fake_fault, 0, sizeof fake_fault);
	memset(fake_calls, 0, sizeof fake_calls);
	fake_faults = 0;
	fake_live = 0;
	fake_now = 1000000000000;
	fake_tick = 0;
	fake_oversleep = 0;
	fake_sent = NULL;
	number = pools = 0;
}

/* see fake.h */
unsigned
fake_open(void)
{
	unsigned n = 0;
	int i;

	for (i = 0; i < SOCKETS; i++)
		n += socks[i].hub != 0;
	return n;
}

/* Whether this call fails, with errno, or is cut short. */
static int
fails(enum fake_call call, size_t *len)
{
	unsigned long n = ++fake_calls[call];

	if (fake_fault.many == 0 || call != fake_fault.call ||
	    n < fake_fault.at || n - fake_fault.at >= fake_fault.many)
		return 0;
	fake_faults++;
	if (fake_fault.error == 0) {
		if (len != NULL && *len > fake_fault.cut)
			*len = fake_fault.cut;
		return 0;
	}
	errno = fake_fault.error;
	return 1;
}

/* ----------------------------------------------------------------- memory */

/* see fake.h */
void *
w_malloc(size_t n)
{
	void *p = fails(FAKE_ALLOC, NULL) ? NULL : malloc(n);

	fake_live += p != NULL;
	return p;
}

/* see fake.h */
void *
w_calloc(size_t n, size_t size)
{
	void *p = fails(FAKE_ALLOC, NULL) ? NULL : calloc(n, size);

	fake_live += p != NULL;
	return p;
}

/* see fake.h */
void *
w_realloc(void *old, size_t n)
{
	void *p = fails(FAKE_ALLOC, NULL) ? NULL : realloc(old, n);

	fake_live += p != NULL && old == NULL;
	return p;
}

/* see fake.h */
void
w_free(void *p)
{
	fake_live -= p != NULL;
	free(p);
}

/* ------------------------------------------------------------------ bytes */

static void
add(struct bytes *b, const void *data, size_t len)
{
	unsigned char *more;

	if (len == 0)
		return;
	if (b->from + b->len + len > b->room) {
		b->room = (b->len + len) * 2;
		more = malloc(b->room);
		if (more == NULL)
			nonsense("no memory", 0);
		if (b->len != 0)
			memcpy(more, b->at + b->from, b->len);
		free(b->at);
		b->at = more;
		b->from = 0;
	}
	memcpy(b->at + b->from + b->len, data, len);
	b->len += len;
}

static size_t
take(struct bytes *b, void *data, size_t room, int keep)
{
	size_t n = b->len < room ? b->len : room;

	if (n != 0)
		memcpy(data, b->at + b->from, n);
	if (!keep) {
		b->from += n;
		b->len -= n;
		if (b->len == 0)
			b->from = 0;
	}
	return n;
}

/* --------------------------------------------------------- the other ends */

static int
unused(void)
{
	int i;

	for (i = 0; i < SOCKETS; i++)
		if (!socks[i].hub && !socks[i].peer)
			return i;
	nonsense("no more sockets", 0);
	return -1;
}

/* see fake.h */
int
fake_listen(void)
{
	int h = unused();

	socks[h].hub = socks[h].listener = 1;
	return FIRST + h;
}

/* see fake.h */
int
fake_connect(int listener)
{
	struct sock *s = &socks[listener - FIRST];
	int h = unused();

	if (!s->hub || !s->listener || s->waiting == BACKLOG)
		return -1;
	socks[h].peer = 1;
	socks[h].window = 65536;
	s->backlog[s->waiting++] = h;
	return h;
}

/* see fake.h */
void
fake_put(int h, const void *data, size_t len)
{
	if (!socks[h].up_ended && !socks[h].reset)
		add(&socks[h].up, data, len);
}

/* see fake.h */
size_t
fake_take(int h, void *data, size_t room)
{
	return take(&socks[h].down, data, room, 0);
}

/* see fake.h */
size_t
fake_waiting(int h)
{
	return socks[h].down.len;
}

/* see fake.h */
void
fake_window(int h, size_t bytes)
{
	socks[h].window = bytes;
}

/* see fake.h */
void
fake_end(int h)
{
	socks[h].up_ended = 1;
}

/* see fake.h */
void
fake_reset(int h)
{
	socks[h].reset = 1;
	socks[h].down.len = 0;
}

/* see fake.h */
void
fake_leave(int h)
{
	struct sock *s = &socks[h];
	int i, j;

	s->peer = 0;
	s->up_ended = 1;
	/* Nobody will accept it any more. */
	for (i = 0; i < SOCKETS; i++)
		for (j = 0; j < socks[i].waiting; j++)
			if (socks[i].backlog[j] == h) {
				memmove(socks[i].backlog + j,
				    socks[i].backlog + j + 1,
				    (size_t)(--socks[i].waiting - j) *
				    sizeof(int));
				j--;
			}
	if (!s->hub)
		clear(s);
}

/* see fake.h */
int
fake_ended(int h)
{
	return socks[h].broken ? -1 : socks[h].down_ended;
}

/* see fake.h */
int
fake_prompt(int h)
{
	return socks[h].prompt;
}

/* --------------------------------------------------------- system calls */

static struct sock *
of(int fd, int listener)
{
	if (fd < FIRST || fd >= FIRST + SOCKETS || !socks[fd - FIRST].hub ||
	    socks[fd - FIRST].listener != listener)
		nonsense("not one of that kind", fd);
	return &socks[fd - FIRST];
}

/* Everybody is at 127.0.0.1. */
static void
peer_address(struct sockaddr *a, socklen_t *len)
{
	struct sockaddr_in in;

	memset(&in, 0, sizeof in);
	in.sin_family = AF_INET;
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	memcpy(a, &in, *len < sizeof in ? *len : sizeof in);
	*len = sizeof in;
}

/* see fake.h */
int
w_accept(int fd, struct sockaddr *a, socklen_t *len)
{
	struct sock *s = of(fd, 1);
	int h;

	if (fails(FAKE_ACCEPT, NULL))
		return -1;
	if (s->waiting == 0) {
		errno = EAGAIN;
		return -1;
	}
	h = s->backlog[0];
	memmove(s->backlog, s->backlog + 1, (size_t)--s->waiting * sizeof h);
	socks[h].hub = 1;
	if (a != NULL)
		peer_address(a, len);
	return FIRST + h;
}

/* see fake.h */
ssize_t
w_recv(int fd, void *buf, size_t len, int flags)
{
	struct sock *s = of(fd, 0);

	if (fails(FAKE_RECV, &len))
		return -1;
	if (s->reset) {
		errno = ECONNRESET;
		return -1;
	}
	if (s->up.len == 0 && !s->up_ended) {
		errno = EAGAIN;
		return -1;
	}
	return (ssize_t)take(&s->up, buf, len, (flags & MSG_PEEK) != 0);
}

/* see fake.h */
ssize_t
w_send(int fd, const void *buf, size_t len, int flags)
{
	struct sock *s = of(fd, 0);
	size_t room;

	(void)flags;
	if (fails(FAKE_SEND, &len))
		return -1;
	if (s->down_ended)
		nonsense("sent to after shutdown", fd);
	if (s->reset || !s->peer) {
		errno = s->reset ? ECONNRESET : EPIPE;
		s->reset = 1;
		return -1;
	}
	room = s->down.len < s->window ? s->window - s->down.len : 0;
	if (room == 0) {
		errno = EAGAIN;
		return -1;
	}
	if (len > room)
		len = room;
	add(&s->down, buf, len);
	if (fake_sent != NULL)
		fake_sent(fd - FIRST);
	return (ssize_t)len;
}

/* see fake.h */
ssize_t
w_sendmsg(int fd, const struct msghdr *m, int flags)
{
	struct bytes all = { NULL, 0, 0, 0 };
	ssize_t n;
	size_t i;

	for (i = 0; i < (size_t)m->msg_iovlen; i++)
		add(&all, m->msg_iov[i].iov_base, m->msg_iov[i].iov_len);
	n = w_send(fd, all.at, all.len, flags);
	free(all.at);
	return n;
}

/* see fake.h */
int
w_shutdown(int fd, int how)
{
	struct sock *s = of(fd, 0);

	if (fails(FAKE_SHUTDOWN, NULL))
		return -1;
	if (how != SHUT_WR)
		nonsense("shut in another way", fd);
	if (s->reset) {
		errno = ENOTCONN;
		return -1;
	}
	s->down_ended = 1;
	return 0;
}

/* see fake.h */
int
w_close(int fd)
{
	struct sock *s;

	if (fd < FIRST || fd >= FIRST + SOCKETS || !socks[fd - FIRST].hub)
		nonsense("closed, and is not open", fd);
	s = &socks[fd - FIRST];
	s->hub = 0;
	if (s->abort || s->up.len != 0)
		s->broken = 1;
	s->down_ended = 1;
	if (!s->peer)
		clear(s);
	return 0;
}

/* see fake.h */
int
w_setsockopt(int fd, int level, int name, const void *v, socklen_t len)
{
	struct sock *s = of(fd, 0);

	(void)len;
	if (fails(FAKE_SETSOCKOPT, NULL))
		return -1;
	if (level == SOL_SOCKET && name == SO_LINGER)
		s->abort = ((const struct linger *)v)->l_onoff;
	if (level == IPPROTO_TCP && name == TCP_NODELAY)
		s->prompt = *(const int *)v;
	return 0;
}

/* see fake.h */
int
w_getpeername(int fd, struct sockaddr *a, socklen_t *len)
{
	(void)of(fd, 0);
	if (fails(FAKE_PEERNAME, NULL))
		return -1;
	peer_address(a, len);
	return 0;
}

/* see fake.h */
int
w_ioctl(int fd, unsigned long request, int *n)
{
	if (fails(FAKE_IOCTL, NULL))
		return -1;
	if (request != TIOCOUTQ)
		nonsense("an ioctl that nobody knows", fd);
	*n = (int)of(fd, 0)->down.len;
	return 0;
}

/*
 * A hub's 240 bytes become ids of one letter, AAA... first: it takes them from
 * the end. The next 240 become such whose first character differs, and so on.
 * Others count on, and not in the same way after 256 of them. In entropy.c's
 * place.
 */
int
ws_entropy(void *buf, size_t len)
{
	unsigned char *p = buf;
	size_t i;

	if (fails(FAKE_ENTROPY, NULL))
		return -1;
	for (i = 0; i < len; i++)
		if (len != 240)
			p[i] = (unsigned char)((number * 37u + (number >> 8) *
			    (unsigned)i) & 255), number++;
		else if (i % 15 == 0 && pools != 0)
			p[len - 1 - i] = (unsigned char)((i / 15 + pools) &
			    255);
		else
			p[len - 1 - i] = (unsigned char)(i / 15);
	pools += len == 240;
	return 0;
}

/* see fake.h */
int
w_poll(struct pollfd *fds, nfds_t n, int timeout)
{
	struct sock *s;
	int got = 0, r;
	nfds_t i;

	fake_now += 1000;
	if (fails(FAKE_POLL, NULL))
		return -1;
	for (i = 0; i < n; i++) {
		fds[i].revents = 0;
		if (fds[i].fd < FIRST || fds[i].fd >= FIRST + SOCKETS ||
		    !socks[fds[i].fd - FIRST].hub)
			nonsense("polled, and is not open", fds[i].fd);
		s = &socks[fds[i].fd - FIRST];
		r = 0;
		if (s->listener) {
			r = s->waiting != 0 ? POLLIN : 0;
		} else {
			if (s->up.len != 0 || s->up_ended)
				r |= POLLIN;
			if (s->down.len < s->window)
				r |= POLLOUT;
			if (s->reset)
				r |= POLLIN | POLLOUT | POLLERR | POLLHUP;
			if (s->up_ended && s->down_ended)
				r |= POLLHUP;
		}
		r &= fds[i].events | POLLERR | POLLHUP;
		fds[i].revents = (short)r;
		got += r != 0;
	}
	if (got != 0 || timeout == 0)
		return got;
	if (timeout < 0)
		nonsense("sleeps for ever", timeout);
	fake_now += (int64_t)timeout * 1000000 + fake_oversleep;
	fake_oversleep = 0;
	fake_sent = NULL;
	return 0;
}

/* see fake.h */
int
w_clock_gettime(clockid_t id, struct timespec *t)
{
	(void)id;
	fake_now += fake_tick;
	t->tv_sec = (time_t)(fake_now / 1000000000);
	t->tv_nsec = (long)(fake_now % 1000000000);
	return 0;
}
