/* wshub: ISC licence, see LICENSE. */
/*
 * The two processes of "wshub relay": the connector, which is the parent, and
 * the bridge, its child.
 *
 * The bridge reads what comes from the network. It has no privileges: it cannot
 * even open a connection. The connector does that for it, and reads nothing but
 * the bridge's requests and the answers of name servers. It also passes signals
 * on to the bridge, and removes the control socket's file when the bridge has
 * ended, however that happens.
 *
 * To find the address of a host may take long. Meanwhile the connector cannot
 * serve signals; so the signal handler passes on those that end the relay.
 */
#define _GNU_SOURCE /* MSG_NOSIGNAL */
#define _FILE_OFFSET_BITS 64
#include <sys/types.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "relay.h"

#define OTHERS_MAX 16 /* descriptors that are not backends' */

static struct ws_setup *setup;
static struct ws_relay *relay;
static int bridge_fd; /* the socket to the bridge */
static pid_t bridge;
static volatile sig_atomic_t resolving; /* a host; that may take long */

/* --------------------------------------------------------------- user file */

/* Takes the next line, without its end. -1: it is too long. */
static int
take_line(struct ws_text *rest, char *out, size_t room)
{
	const char *end = memchr(rest->s, '\n', rest->len);
	size_t n = end == NULL ? rest->len : (size_t)(end - rest->s);
	size_t used = end == NULL ? n : n + 1;

	if (n > 0 && rest->s[n - 1] == '\r')
		n--;
	if (n >= room)
		return -1;
	memcpy(out, rest->s, n);
	out[n] = '\0';
	rest->s += used;
	rest->len -= used;
	return strlen(out) == n ? 0 : -1; /* NUL is not for MQTT */
}

static int
parse_user(struct ws_relay *r, struct ws_text text, const char *path,
    char error[WS_ERROR_MAX])
{
	struct ws_utf8 utf8 = { 0, 0, 0 };

	if (ws_utf8(&utf8, text.s, text.len) != text.len || utf8.left != 0)
		return ws_fail(error, "%s: not UTF-8", path);
	if (take_line(&text, r->user, sizeof r->user) != 0 ||
	    take_line(&text, r->password, sizeof r->password) != 0)
		return ws_fail(error, "%s: a line has more than 255 bytes, or "
		    "NUL", path);
	if (*r->user == '\0')
		return ws_fail(error, "%s: the first line has no user name",
		    path);
	if (text.len != 0)
		return ws_fail(error, "%s: more than two lines, for a name "
		    "and a password", path);
	return 0;
}

/* see relay.h */
int
ws_relay_read_user(struct ws_relay *r, const char *path,
    char error[WS_ERROR_MAX])
{
	char bytes[1024];
	struct ws_text text = { bytes, 0 };
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC), status;
	struct stat st;
	ssize_t n;

	ws_no_core();
	if (fd == -1)
		return ws_fail(error, "%s:", path);
	n = fstat(fd, &st);
	if (n == 0 && S_ISREG(st.st_mode) && (st.st_mode & 077) == 0)
		n = read(fd, bytes, sizeof bytes);
	close(fd);
	if (n == -1)
		return ws_fail(error, "%s:", path);
	if (!S_ISREG(st.st_mode))
		return ws_fail(error, "%s: not a file", path);
	if ((st.st_mode & 077) != 0)
		return ws_fail(error, "%s: mode %04o: only its owner may have "
		    "access: chmod 600", path, (unsigned)st.st_mode & 07777);
	text.len = (size_t)n;
	status = text.len == sizeof bytes ? ws_fail(error, "%s: too long",
	    path) : parse_user(r, text, path, error);
	ws_wipe(bytes, sizeof bytes);
	return status;
}

/* ---------------------------------------------------------- the connector */

/* Sends a message to the bridge, with a descriptor if fd is not -1. */
static void
tell(const struct ws_connected *message, int fd)
{
	struct ws_connected copy = *message;
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct cmsghdr *c;
	struct iovec iov;
	struct msghdr m;
	ssize_t n;

	memset(&m, 0, sizeof m);
	iov.iov_base = &copy;
	iov.iov_len = sizeof copy;
	m.msg_iov = &iov;
	m.msg_iovlen = 1;
	if (fd != -1) {
		memset(&control, 0, sizeof control);
		m.msg_control = control.bytes;
		m.msg_controllen = sizeof control.bytes;
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof fd);
	}
	do
		n = sendmsg(bridge_fd, &m, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	/* If that fails, the bridge has ended, and SIGCHLD follows. */
}

static void
tell_kind(int kind)
{
	struct ws_connected message;

	memset(&message, 0, sizeof message);
	message.kind = (unsigned char)kind;
	tell(&message, -1);
}

/* The exit status for that of the bridge. */
static int
exit_status(int status)
{
	if (WIFSIGNALED(status))
		ws_log(WS_LOG_ERROR, "the bridge was ended by signal %d%s",
		    WTERMSIG(status), WTERMSIG(status) == SIGSYS ?
		    ": a call that it had not pledged" : "");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

/*
 * In the signal handler: what cannot wait until a host has been found. The
 * service manager is told before the bridge is, which may end at once. Only
 * functions that a handler may call are used, unless we are in getaddrinfo and
 * will not return to it.
 */
static void
on_signal(int number)
{
	static const char line[] = "wshub: the bridge was ended by a signal\n";
	struct pollfd err = { STDERR_FILENO, POLLOUT, 0 };
	ssize_t n = 0;
	int status;

	if (number == SIGTERM || number == SIGINT) {
		ws_service_notify(setup->notify_fd, "STOPPING=1");
		tell_kind(WS_BRIDGE_STOP);
	}
	if (number != SIGCHLD || !resolving ||
	    waitpid(bridge, &status, WNOHANG) != bridge)
		return;
	if (WIFSIGNALED(status) && poll(&err, 1, 0) == 1 &&
	    (err.revents & POLLOUT) != 0)
		n = write(STDERR_FILENO, line, strlen(line));
	(void)n;
	ws_keeper_remove(setup);
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

/*
 * From now on the signal handler ends this process if the bridge ends. Returns
 * 0 if that has happened before: an end closes sockets, and then sends SIGCHLD.
 */
static int
begin_resolving(void)
{
	struct pollfd p = { bridge_fd, 0, 0 };
	int n;

	resolving = 1;
	do
		n = poll(&p, 1, 0);
	while (n == -1 && errno == EINTR);
	return n == 0;
}

/* Serves one request. 0: the bridge has ended. */
static int
serve_request(void)
{
	struct ws_connected c;
	unsigned char kind;
	ssize_t n;
	int fd;

	do
		n = read(bridge_fd, &kind, 1);
	while (n < 0 && errno == EINTR);
	if (n != 1)
		return 0;
	if (kind == 'R') {
		ws_service_notify(setup->notify_fd, "READY=1");
		return 1;
	}
	memset(&c, 0, sizeof c);
	c.kind = kind;
	if (!begin_resolving()) {
		resolving = 0;
		return 0;
	}
	fd = ws_connect(relay, &c);
	resolving = 0;
	tell(&c, fd);
	if (fd != -1)
		close(fd);
	return 1;
}

/* Handles a signal. Returns the exit status if the bridge has ended, or -1. */
static int
serve_signal(int signals)
{
	unsigned char c;
	int status;
	pid_t pid;

	if (read(signals, &c, 1) != 1)
		return -1;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid == bridge)
			return exit_status(status);
	switch (c) {
	case SIGTERM: /* on_signal has done what is to do */
	case SIGINT:
	case SIGCHLD:
		break;
	case SIGHUP:
		ws_service_notify(setup->notify_fd, "RELOADING=1");
		ws_log(WS_LOG_NOTE, "HUP: there is nothing to reload");
		ws_service_notify(setup->notify_fd, "READY=1");
		break;
	default:
		tell_kind(WS_BRIDGE_LOG);
	}
	return -1;
}

static int
run_connector(int signals)
{
	struct pollfd fds[2];
	int status = -1;

	fds[0].fd = signals;
	fds[1].fd = bridge_fd;
	fds[0].events = fds[1].events = POLLIN;
	while (status == -1) {
		if (poll(fds, 2, -1) == -1)
			continue;
		if (fds[0].revents != 0)
			status = serve_signal(signals);
		else if (fds[1].revents != 0 && !serve_request())
			fds[1].fd = -1; /* SIGCHLD comes */
	}
	return status;
}

/* -------------------------------------------------------------- processes */

static void
warn(const char *process)
{
	ws_log(WS_LOG_NOTE, "warning: the %s runs without a sandbox: %s",
	    process, strerror(errno));
}

static void
run_bridge(int fd)
{
	unsigned char random;

	if (ws_entropy(&random, sizeof random) == -1)
		ws_die("no random bytes: getentropy fails, /dev/urandom: %s",
		    strerror(errno));
	ws_privdrop(setup->uid, setup->gid, setup->control);
	(void)(ws_unveil("/", "") == 0 && ws_unveil(NULL, NULL) == 0);
	if (ws_pledge(WS_BRIDGE_PROMISES) != 0)
		warn("bridge");
	exit(ws_bridge_run(relay, fd));
}

/*
 * From now on the connector connects, resolves names and removes the control
 * socket's file.
 */
static void
confine_connector(void)
{
	uint16_t ports[2] = { 0, 53 }; /* name servers may need TCP */
	int i;

	if (begin_resolving())
		ws_connect_prepare(relay);
	resolving = 0;
	ws_unveil_around(relay->hub, "rw");
	if (relay->path != NULL)
		ws_unveil_around(relay->path, "rw");
	for (i = 0; i < setup->nfiles; i++)
		ws_unveil_around(setup->files[i].path, "rwc");
	(void)ws_unveil("/etc", "r"); /* resolv.conf and others, */
	(void)ws_unveil("/run", "r"); /* which may be links to here */
	(void)ws_unveil(NULL, NULL);
	ports[0] = (uint16_t)strtoul(relay->port, NULL, 10);
	(void)ws_unveil_ports(ports, relay->path != NULL ? 0 : 2);
	if (ws_pledge(WS_CONNECTOR_PROMISES) != 0)
		warn("connector");
}

/* As many as leave descriptors for the hub, the broker and the rest. */
static unsigned
most_backends(void)
{
	long limit = sysconf(_SC_OPEN_MAX);

	if (limit == -1 || limit >= WS_BACKENDS_MAX + OTHERS_MAX)
		return WS_BACKENDS_MAX;
	return limit > OTHERS_MAX ? (unsigned)(limit - OTHERS_MAX) : 1;
}

/* see relay.h */
int
ws_relay_run(struct ws_setup *s, struct ws_relay *r)
{
	int fd[2], status, signals;

	setup = s;
	relay = r;
	r->max_backends = most_backends();
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == -1)
		ws_die("socketpair: %s", strerror(errno));
	bridge_fd = fd[0]; /* on_signal writes to it, */
	setup->notify_fd = ws_service_open(); /* and to this */
	signals = ws_signals_catch(on_signal);
	bridge = fork();
	if (bridge == -1)
		ws_die("fork: %s", strerror(errno));
	if (bridge == 0) {
		ws_signals_ignore();
		close(fd[0]);
		if (setup->notify_fd != -1)
			close(setup->notify_fd);
		run_bridge(fd[1]);
	}
	close(fd[1]);
	close(setup->control_fd);
	ws_wipe(relay->password, sizeof relay->password);
	confine_connector();
	status = run_connector(signals);
	ws_keeper_remove(setup);
	return status;
}
