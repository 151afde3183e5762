/* wshub: ISC licence, see LICENSE. */
/*
 * The relay's connections to the hub and to the broker, which are made again
 * whenever they are lost.
 *
 * A connection is DOWN until it is time to try again; ASKED for, from the
 * connector; CONNECTING, until poll tells that it can be written to; or UP. The
 * time to try again is random, between 0 and a most that doubles with every
 * failure ("full jitter"): so thousands of relays do not return at once to a
 * broker that has been restarted.
 */
#define _GNU_SOURCE /* MSG_DONTWAIT, MSG_NOSIGNAL */
#include <sys/types.h>
#include <sys/socket.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "relay.h"

#define CONNECT_TIME 10000 /* ms for a connection to be established */
#define STABLE_TIME 30000  /* ms; a connection that lasted so long was good */
#define RETRY_FIRST 500    /* ms, the most at first */
#define ASK_AGAIN 2000     /* ms, if the connector does not read */

/* see relay.h */
ssize_t
ws_send_some(int fd, const void *data, size_t len)
{
	ssize_t n;

	do
		n = send(fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK ||
	    errno == ENOBUFS))
		return 0;
	return n;
}

/* see relay.h */
ssize_t
ws_receive_some(int fd, void *data, size_t room, int peek)
{
	ssize_t n;

	do
		n = recv(fd, data, room, MSG_DONTWAIT | (peek ? MSG_PEEK : 0));
	while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return WS_WANT_IN;
	return n < 0 ? WS_ERROR : n;
}

/* see relay.h */
void
ws_link_init(struct ws_link *l, unsigned kind, int request, const char *name,
    int retry_max)
{
	l->conn.fd = -1;
	l->conn.kind = (unsigned char)kind;
	l->conn.always_hot = 1;
	l->request = (char)request;
	l->name = name;
	l->retry_max = retry_max;
}

/* see relay.h */
void
ws_link_ask(struct ws_link *l, int connector, int64_t now)
{
	if (ws_send_some(connector, &l->request, 1) == 1) {
		l->state = WS_LINK_ASKED;
		l->at = INT64_MAX;
	} else {
		l->at = now + ASK_AGAIN;
	}
}

/* see relay.h */
const char *
ws_link_take(struct ws_link *l, struct ws_poll *p,
    const struct ws_connected *m, int fd, int64_t now)
{
	if (m->failed || fd == -1)
		return m->failed ? m->text : "no descriptor";
	snprintf(l->peer, sizeof l->peer, "%s", m->text);
	if (ws_poll_add(p, &l->conn, fd) != 0) {
		close(fd);
		l->conn.fd = -1;
		return "no memory";
	}
	l->state = WS_LINK_CONNECTING;
	l->at = now + CONNECT_TIME;
	ws_poll_events(p, &l->conn, POLLOUT);
	return NULL;
}

/* see relay.h */
const char *
ws_link_finish(struct ws_link *l, int64_t now)
{
	int error = 0;
	socklen_t len = sizeof error;

	if (getsockopt(l->conn.fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1)
		error = errno;
	if (error != 0)
		return strerror(error);
	l->state = WS_LINK_UP;
	l->since = now;
	return NULL;
}

/* see relay.h */
int
ws_link_lose(struct ws_link *l, struct ws_poll *p, int established,
    int64_t now, uint32_t *seed)
{
	unsigned i;
	int delay, most = RETRY_FIRST;

	if (l->conn.fd != -1) {
		close(l->conn.fd);
		ws_poll_remove(p, &l->conn);
	}
	if (established && now - l->since >= STABLE_TIME)
		l->failures = l->shorts = 0;
	else if (established)
		l->shorts++;
	for (i = 0; i < l->failures && most < l->retry_max; i++)
		most *= 2;
	if (most > l->retry_max)
		most = l->retry_max;
	delay = (int)ws_jitter(seed, (uint32_t)most);
	l->failures++;
	l->state = WS_LINK_DOWN;
	l->at = now + delay;
	return delay;
}
