/* wshub: ISC licence, see LICENSE. */
/*
 * wshub ctl: sends JSON to a running hub and prints its replies.
 *
 * It writes and reads at the same time, because the hub stops reading from a
 * backend that does not read its replies. After the last object the socket is
 * shut down for writing; the hub closes it after the last reply.
 */
#define _GNU_SOURCE /* MSG_NOSIGNAL, on systems that have it */
#include <sys/types.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ws.h"

/* What is to be sent: the arguments one by one, or standard input. */
struct input {
	char **args; /* NULL: standard input */
	const char *at;
	size_t len;
	int newline; /* the last byte was a newline */
	int ended;
	char buf[65536];
};

/*
 * Counts the replies in a stream that arrives in pieces. A reply is "OK" or
 * "ERR", and perhaps a space, a detail and a newline. The states are: at the
 * beginning of a reply; after "O", "E" or "ER"; after "OK" or "ERR"; in the
 * detail.
 */
struct replies {
	enum { WORD, O, E, ER, AFTER, DETAIL } state;
	unsigned long replies, errors;
	char last; /* the last byte; '\n' before the first */
};

static void
count(struct replies *r, const char *p, size_t n)
{
	for (; n > 0; p++, n--) {
		r->last = *p;
		if (r->state == AFTER)
			r->state = *p == ' ' ? DETAIL : WORD;
		switch (r->state) {
		case WORD:
			r->state = *p == 'O' ? O : E;
			r->replies++;
			break;
		case O:
		case ER:
			r->errors += r->state == ER;
			r->state = AFTER;
			break;
		case E:
			r->state = ER;
			break;
		case DETAIL:
			if (*p == '\n')
				r->state = WORD;
			break;
		case AFTER:
			break;
		}
	}
}

static int
print_error(const char *what, const char *reason)
{
	fprintf(stderr, "wshub: %s: %s\n", what, reason);
	return 1;
}

/*
 * Gets the next bytes to send. It adds a newline to each argument, and at the
 * end of the input, so that each reply has a detail and is a line.
 */
static int
fill(struct input *in)
{
	static const char newline[] = "\n";
	ssize_t n;

	if (in->len != 0 || in->ended)
		return 0;
	if (in->args == NULL) {
		n = read(STDIN_FILENO, in->buf, sizeof in->buf);
		if (n < 0)
			return errno == EINTR || errno == EAGAIN ? 0 : -1;
		in->at = in->buf;
		in->len = (size_t)n;
		in->ended = n == 0;
	} else if (in->newline) {
		in->ended = *in->args == NULL;
		if (in->ended)
			return 0;
		in->at = *in->args++;
		in->len = strlen(in->at);
	}
	if (in->len > 0) {
		in->newline = in->at[in->len - 1] == '\n';
	} else if (!in->newline) {
		in->at = newline;
		in->len = 1;
		in->newline = 1;
	}
	return 0;
}

static int
print(const char *p, size_t len)
{
	struct pollfd out = { STDOUT_FILENO, POLLOUT, 0 };
	ssize_t n;

	for (; len > 0; p += n, len -= (size_t)n) {
		n = write(STDOUT_FILENO, p, len);
		/* Another process may have made it non-blocking: Node.js. */
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			(void)poll(&out, 1, -1);
		else if (n < 0 && errno != EINTR)
			return -1;
		if (n < 0)
			n = 0;
	}
	return 0;
}

static int
exchange(int fd, const char *path, struct input *in, struct replies *r)
{
	char buf[65536];
	struct pollfd p[2];
	int shut = 0, sent = 0, error;
	ssize_t n;

	for (;;) {
		p[0].fd = fd;
		p[0].events = (short)(POLLIN | (in->len > 0 ? POLLOUT : 0));
		p[1].fd = in->len == 0 && !in->ended && in->args == NULL ?
		    STDIN_FILENO : -1;
		p[1].events = POLLIN;
		p[0].revents = p[1].revents = 0;
		/* The next argument is available at once. */
		if (poll(p, 2, in->args != NULL && in->len == 0 &&
		    !in->ended ? 0 : -1) < 0 && errno != EINTR)
			return print_error("poll", strerror(errno));
		if ((in->args != NULL || p[1].revents != 0) && fill(in) != 0)
			return print_error("standard input", strerror(errno));
		if (in->len > 0 && (p[0].revents & POLLOUT) != 0) {
			n = send(fd, in->at, in->len,
			    MSG_NOSIGNAL | MSG_DONTWAIT);
			if (n < 0 && errno != EAGAIN && errno != EINTR)
				return print_error(path, strerror(errno));
			if (n > 0) {
				for (; n > 0; n--, in->at++, in->len--)
					sent |= strchr(" \t\r\n",
					    *in->at) == NULL;
			}
		}
		if (in->ended && in->len == 0 && !shut) {
			shutdown(fd, SHUT_WR);
			shut = 1;
		}
		if ((p[0].revents & ~POLLOUT) == 0)
			continue;
		n = recv(fd, buf, sizeof buf, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n <= 0)
			break;
		count(r, buf, (size_t)n);
		if (print(buf, (size_t)n) != 0)
			return print_error("standard output", strerror(errno));
	}
	error = n < 0 ? errno : 0;
	if (r->last != '\n' && print("\n", 1) != 0)
		return print_error("standard output", strerror(errno));
	if (error != 0)
		return print_error(path, strerror(error));
	/*
	 * As the input ends with a newline, so does the last reply; but not if
	 * that newline is in the middle of an object.
	 */
	if (shut && r->state == AFTER && r->last == 'R')
		return print_error("input", "the last object is incomplete");
	if (!shut || r->state != WORD || (sent && r->replies == 0))
		return print_error(path, "the hub has closed the connection");
	return r->errors != 0;
}

/* see ws.h */
int
ws_ctl(const char *path, char **args)
{
	struct sockaddr_un un;
	struct input in;
	struct replies r;
	int fd, status;

	memset(&un, 0, sizeof un);
	memset(&r, 0, sizeof r);
	r.last = '\n';
	memset(&in, 0, sizeof in);
	in.args = *args == NULL ? NULL : args;
	in.newline = 1;
	un.sun_family = AF_UNIX;
	if (strlen(path) >= sizeof un.sun_path)
		return print_error(path, strerror(ENAMETOOLONG));
	memcpy(un.sun_path, path, strlen(path) + 1);
	if (MSG_NOSIGNAL == 0)
		(void)signal(SIGPIPE, SIG_IGN);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (fd == -1)
		return print_error("socket", strerror(errno));
	if (connect(fd, (struct sockaddr *)&un, sizeof un) == -1)
		status = print_error(path, strerror(errno));
	else
		status = exchange(fd, path, &in, &r);
	close(fd);
	return status;
}
