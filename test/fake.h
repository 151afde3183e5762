/* wshub: ISC licence, see LICENSE. */
/*
 * A fake kernel under the hub: memory, sockets and a clock that do what a test
 * wants, in one process.
 *
 * The hub's files are compiled with FAKE_PART set, each behind this header
 * (test/part.c), so that their malloc, recv, poll ... are the fakes. A test
 * holds the other ends: it connects, puts bytes in, takes bytes out.
 */
#ifndef TEST_FAKE_H
#define TEST_FAKE_H

#define _GNU_SOURCE
#include <sys/types.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* What can be made to fail; send is sendmsg too. */
enum fake_call {
	FAKE_ALLOC, FAKE_RECV, FAKE_SEND, FAKE_ACCEPT, FAKE_POLL,
	FAKE_ENTROPY, FAKE_SETSOCKOPT, FAKE_SHUTDOWN, FAKE_PEERNAME,
	FAKE_IOCTL, FAKE_CALLS
};

/* Calls number at to at + many - 1 of a kind fail with error; or, with error
 * 0, they send no more than cut bytes. */
struct fake_fault {
	enum fake_call call;
	unsigned long at, many;
	int error;
	size_t cut;
};

extern struct fake_fault fake_fault;
extern unsigned long fake_calls[FAKE_CALLS]; /* so far, from 1 */
extern unsigned long fake_faults;             /* that have happened */
extern long fake_live;                        /* blocks not given back */
extern int64_t fake_now;                      /* ns */
extern int64_t fake_tick;                     /* ns that each look at the
                                                  clock takes */
extern int64_t fake_oversleep; /* ns that the next sleep takes longer */
extern void (*fake_sent)(int h); /* what happens after each send to h */

/* Everything as at the start; what is still open or live is forgotten. */
void fake_begin(void);

/* Descriptors that the hub has not closed. */
unsigned fake_open(void);

/* The hub's descriptor of the connection h is the handle plus this. */
#define FAKE_FD 20000 /* and so one that no kernel has given us */

/* A listening descriptor, for the hub. */
int fake_listen(void);

/* The other end of a connection to a listener: a handle, or -1. */
int fake_connect(int listener);

void fake_put(int h, const void *data, size_t len);
size_t fake_take(int h, void *data, size_t room);
size_t fake_waiting(int h); /* bytes to take */

/* How much the hub may send before somebody takes it; 64 KiB at first. */
void fake_window(int h, size_t bytes);

void fake_end(int h);   /* our FIN */
void fake_reset(int h); /* our RST */
void fake_leave(int h); /* close; the handle is gone */

/* 0: open, 1: the hub has ended it in order, -1: reset. */
int fake_ended(int h);

/* 1 if the hub has set TCP_NODELAY. */
int fake_prompt(int h);

void *w_malloc(size_t n);
void *w_calloc(size_t n, size_t size);
void *w_realloc(void *p, size_t n);
void w_free(void *p);
int w_accept(int fd, struct sockaddr *a, socklen_t *len);
ssize_t w_recv(int fd, void *buf, size_t len, int flags);
ssize_t w_send(int fd, const void *buf, size_t len, int flags);
ssize_t w_sendmsg(int fd, const struct msghdr *m, int flags);
int w_shutdown(int fd, int how);
int w_close(int fd);
int w_setsockopt(int fd, int level, int name, const void *v, socklen_t len);
int w_getpeername(int fd, struct sockaddr *a, socklen_t *len);
int w_ioctl(int fd, unsigned long request, int *n);
int w_poll(struct pollfd *fds, nfds_t n, int timeout);
int w_clock_gettime(clockid_t id, struct timespec *t);

#ifdef FAKE_PART
#define malloc(n) w_malloc(n)
#define calloc(n, size) w_calloc(n, size)
#define realloc(p, n) w_realloc(p, n)
#define free(p) w_free(p)
#define accept(fd, a, len) w_accept(fd, a, len)
#define accept4(fd, a, len, flags) w_accept(fd, a, len)
#define fcntl(fd, name, value) ((void)(fd), (void)(value), 0)
#define recv(fd, buf, len, flags) w_recv(fd, buf, len, flags)
#define send(fd, buf, len, flags) w_send(fd, buf, len, flags)
#define sendmsg(fd, m, flags) w_sendmsg(fd, m, flags)
#define shutdown(fd, how) w_shutdown(fd, how)
#define close(fd) w_close(fd)
#define setsockopt(fd, l, name, v, len) w_setsockopt(fd, l, name, v, len)
#define getpeername(fd, a, len) w_getpeername(fd, a, len)
#define ioctl(fd, request, n) w_ioctl(fd, request, n)
#define poll(fds, n, timeout) w_poll(fds, n, timeout)
#define clock_gettime(id, t) w_clock_gettime(id, t)
#endif

#endif
