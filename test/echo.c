/* wshub: ISC licence, see LICENSE. */
/*
 * An echo server made from ws.c and http.c alone: a client's message comes
 * back to it. It passes the Autobahn test suite, and is the example to start
 * from when a program of your own wants to speak WebSocket:
 *
 *     cc -o echo echo.c http.c ws.c
 *     ./echo [host:]port      host is 127.0.0.1, and port 0 any free one
 *
 * What comes from a peer goes through three hands: ws_request reads the head
 * of its request, ws_framer_next takes what follows apart and checks it, and
 * serve() keeps the pieces until a message is whole. What goes to it waits in
 * peer->out. A peer is not read from while something waits there, so it cannot
 * make us hold more than a message and what a read brings.
 */
#define _POSIX_C_SOURCE 200809L
#include <sys/types.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../ws.h"

#define PEERS_MAX 64
#define MESSAGE_MAX (16u << 20)
#define IN_MAX 65536     /* bytes read at once: a request head fits */
#define HEAD_SECONDS 10  /* for the request */
#define END_SECONDS 30   /* for a peer to take its last bytes */
#define LINGER_SECONDS 2 /* and then to close after us */

/* Bytes that grow. */
struct bytes {
	unsigned char *at;
	size_t len, room;
};

enum state {
	HEAD,   /* its request is not whole */
	OPEN,   /* frames */
	ENDING, /* its last bytes are in out; nothing is read */
	LINGER, /* they are sent, and our end is shut: what it still says is
	           thrown away until it closes. To close with bytes unread would
	           be a reset, which can overtake our Close */
	DEAD
};

struct peer {
	int fd;
	enum state state;
	time_t deadline; /* 0: none */
	struct ws_head head;
	struct ws_framer framer;
	struct bytes message; /* as much as there is of it */
	struct bytes out;
	size_t sent;          /* of out */
	size_t have;          /* in in, not yet used */
	unsigned char in[IN_MAX];
};

static struct peer *peers[PEERS_MAX];
static int npeers;

/* Seconds of a clock that nobody sets. */
static time_t
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

static void
change(struct peer *p, enum state state, time_t seconds)
{
	p->state = state;
	p->deadline = seconds == 0 ? 0 : now() + seconds;
}

/* Adds len bytes, or ends the peer for want of memory. */
static void
add(struct peer *p, struct bytes *b, const void *data, size_t len)
{
	size_t room = b->room == 0 ? 4096 : b->room;
	unsigned char *more;

	while (room - b->len < len)
		room *= 2;
	if (room != b->room) {
		more = realloc(b->at, room);
		if (more == NULL) {
			change(p, DEAD, 0);
			return;
		}
		b->at = more;
		b->room = room;
	}
	if (len != 0)
		memcpy(b->at + b->len, data, len);
	b->len += len;
}

static void
empty(struct bytes *b)
{
	free(b->at);
	memset(b, 0, sizeof *b);
}

static void
send_frame(struct peer *p, unsigned opcode, const void *data, size_t len)
{
	unsigned char head[WS_FRAME_HEAD_MAX];

	add(p, &p->out, head, ws_frame_head(head, WS_FIN | opcode, len, NULL));
	add(p, &p->out, data, len);
}

/* The last frame that it gets: section 7. */
static void
send_close(struct peer *p, unsigned code, const char *why)
{
	unsigned char frame[2 + WS_CONTROL_MAX];

	add(p, &p->out, frame, ws_close_frame(frame, code, why));
	if (p->state != DEAD)
		change(p, ENDING, END_SECONDS);
}

/* One event of the framer. */
static void
serve(struct peer *p, const struct ws_event *e)
{
	switch (e->opcode) {
	case WS_TEXT:
	case WS_BINARY:
		add(p, &p->message, e->data, e->len);
		if (!e->last)
			break;
		send_frame(p, e->opcode, p->message.at, p->message.len);
		empty(&p->message);
		break;
	case WS_PING:
		send_frame(p, WS_PONG, e->data, e->len);
		break;
	case WS_CLOSE:
		send_close(p, e->code, NULL);
		break;
	}
}

/* Uses what it can of p->in. */
static void
use(struct peer *p)
{
	char answer[WS_ANSWER_MAX];
	struct ws_request r;
	struct ws_event e;
	size_t used = 0;
	ssize_t n = 0;

	if (p->state == HEAD) {
		n = ws_request(&p->head, NULL, (char *)p->in, p->have,
		    &r);
		if (n == WS_MORE)
			return;
		if (n == WS_BAD || r.status != 101) {
			add(p, &p->out, answer,
			    ws_answer(answer, &p->head, r.status, r.reason));
			change(p, ENDING, END_SECONDS);
			return;
		}
		add(p, &p->out, answer, ws_accept(answer, &r));
		ws_framer_init(&p->framer, 1, MESSAGE_MAX);
		change(p, OPEN, 0);
		used = (size_t)n;
	}
	while (p->state == OPEN) {
		n = ws_framer_next(&p->framer, p->in + used, p->have - used,
		    &e);
		if (n < 0)
			break;
		used += (size_t)n;
		serve(p, &e);
	}
	if (p->state == OPEN && n == WS_BAD)
		send_close(p, e.code, e.reason);
	p->have -= used;
	memmove(p->in, p->in + used, p->have);
}

/* A call has failed: it is to be repeated later, or the peer is lost. */
static void
failed(struct peer *p)
{
	if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
		change(p, DEAD, 0);
}

static void
receive(struct peer *p)
{
	ssize_t n = recv(p->fd, p->in + p->have, IN_MAX - p->have, 0);

	if (n < 0) {
		failed(p);
	} else if (n == 0) {
		change(p, DEAD, 0);
	} else if (p->state != LINGER) {
		p->have += (size_t)n;
		use(p);
	}
}

static void
flush(struct peer *p)
{
	ssize_t n;

	while (p->sent < p->out.len) {
		n = send(p->fd, p->out.at + p->sent, p->out.len - p->sent, 0);
		if (n < 0) {
			failed(p);
			return;
		}
		p->sent += (size_t)n;
	}
	empty(&p->out);
	p->sent = 0;
	if (p->state == ENDING) {
		p->have = 0;
		change(p, shutdown(p->fd, SHUT_WR) == 0 ? LINGER : DEAD,
		    LINGER_SECONDS);
	}
}

/* --------------------------------------------------------------- the server */

static void
meet(int listener)
{
	int fd = accept(listener, NULL, NULL), on = 1;
	struct peer *p;

	if (fd == -1)
		return;
	p = calloc(1, sizeof *p);
	if (p == NULL || fcntl(fd, F_SETFL, O_NONBLOCK) == -1) {
		free(p);
		close(fd);
		return;
	}
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	p->fd = fd;
	change(p, HEAD, HEAD_SECONDS);
	peers[npeers++] = p;
}

/* Takes leave of the dead. */
static void
part(void)
{
	time_t t = now();
	struct peer *p;
	int i;

	for (i = npeers; i-- > 0;) {
		p = peers[i];
		if (p->deadline != 0 && t > p->deadline)
			p->state = DEAD;
		if (p->state != DEAD)
			continue;
		close(p->fd);
		empty(&p->message);
		empty(&p->out);
		free(p);
		peers[i] = peers[--npeers];
	}
}

static int
listen_on(const char *address)
{
	struct addrinfo hints, *list;
	char host[256] = "127.0.0.1";
	const char *port = strrchr(address, ':');
	int fd, error, on = 1;

	if (port == NULL)
		port = address;
	else
		snprintf(host, sizeof host, "%.*s", (int)(port++ - address),
		    address);
	memset(&hints, 0, sizeof hints);
	hints.ai_socktype = SOCK_STREAM;
	hints.ai_flags = AI_PASSIVE;
	error = getaddrinfo(host, port, &hints, &list);
	if (error != 0) {
		fprintf(stderr, "echo: %s: %s\n", address, gai_strerror(error));
		return -1;
	}
	fd = socket(list->ai_family, SOCK_STREAM, 0);
	if (fd == -1 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == -1 ||
	    bind(fd, list->ai_addr, list->ai_addrlen) == -1 ||
	    listen(fd, PEERS_MAX) == -1 ||
	    fcntl(fd, F_SETFL, O_NONBLOCK) == -1) {
		fprintf(stderr, "echo: %s: %s\n", address, strerror(errno));
		fd = -1;
	}
	freeaddrinfo(list);
	return fd;
}

/* The port that we got, for those who asked for any. */
static unsigned
port_of(int fd)
{
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} a;
	socklen_t len = sizeof a;

	if (getsockname(fd, &a.sa, &len) == -1)
		return 0;
	return ntohs(a.sa.sa_family == AF_INET6 ? a.in6.sin6_port :
	    a.in.sin_port);
}

int
main(int argc, char **argv)
{
	struct pollfd fds[PEERS_MAX + 1];
	int i, n, listener;

	if (argc != 2) {
		fprintf(stderr, "usage: echo [host:]port\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	listener = listen_on(argv[1]);
	if (listener == -1)
		return 1;
	printf("echo: port %u\n", port_of(listener));
	fflush(stdout);
	for (;;) {
		n = npeers; /* who was there when we asked */
		for (i = 0; i < n; i++) {
			fds[i].fd = peers[i]->fd;
			fds[i].events = peers[i]->out.len != 0 ? POLLOUT :
			    POLLIN;
			fds[i].revents = 0;
		}
		fds[n].fd = listener;
		fds[n].events = n < PEERS_MAX ? POLLIN : 0;
		fds[n].revents = 0;
		if (poll(fds, (nfds_t)n + 1, n == 0 ? -1 : 1000) == -1)
			continue;
		for (i = 0; i < n; i++) {
			if (fds[i].revents != 0 && fds[i].events == POLLIN)
				receive(peers[i]);
			if (peers[i]->out.len != 0 && peers[i]->state != DEAD)
				flush(peers[i]);
		}
		if (fds[n].revents != 0)
			meet(listener);
		part();
	}
}
