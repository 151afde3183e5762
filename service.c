/* wshub: ISC licence, see LICENSE. */
/*
 * The interface to a service manager: listening sockets that it has opened
 * (sd_listen_fds(3)), and notifications of our state to it (sd_notify(3)). Both
 * use environment variables, the first descriptor numbers, the second
 * datagrams. So no library is needed, and managers other than systemd work too.
 */
#define _GNU_SOURCE /* setenv, and on some systems struct sockaddr_un */
#define _FILE_OFFSET_BITS 64
#include <sys/types.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ws.h"

#define FIRST 3      /* SD_LISTEN_FDS_START */
#define SEND_TIMEOUT 2 /* seconds for the manager to read a notification */

/* The number that s is, in up to 9 digits, or -1. */
static long
parse_number(const char *s)
{
	long n = 0;

	if (*s == '\0' || strlen(s) > 9)
		return -1;
	for (; *s != '\0'; s++) {
		if (*s < '0' || *s > '9')
			return -1;
		n = n * 10 + (*s - '0');
	}
	return n;
}

/*
 * The use of a socket with that name, or -1. If the user gives no name, systemd
 * uses the unit's name or "unknown"; then the address family decides.
 */
static int
kind_of(const char *name, size_t len, int family)
{
	static const struct {
		const char *name;
		enum ws_service_kind kind;
	} known[] = {
		{ "ws", WS_SERVICE_WS },
		{ "wss", WS_SERVICE_WSS },
		{ "control", WS_SERVICE_CONTROL },
		{ "metrics", WS_SERVICE_METRICS }
	};
	size_t i;

	for (i = 0; i < sizeof known / sizeof *known; i++)
		if (len == strlen(known[i].name) &&
		    memcmp(name, known[i].name, len) == 0)
			return (int)known[i].kind;
	if (len == 0 || (len == 7 && memcmp(name, "unknown", 7) == 0) ||
	    (len > 7 && memcmp(name + len - 7, ".socket", 7) == 0))
		return family == AF_UNIX ? WS_SERVICE_CONTROL : WS_SERVICE_WS;
	return -1;
}

/* Checks one descriptor, because the manager's configuration may be wrong. */
static int
inspect_socket(struct ws_service_socket *s, int fd, const char *name,
    size_t len, char error[WS_ERROR_MAX])
{
	struct sockaddr_storage a;
	socklen_t alen = sizeof a, olen = sizeof (int);
	int flags = fcntl(fd, F_GETFL), type = 0, kind;
#ifdef SO_ACCEPTCONN
	int listens = 0;
#endif

	if (flags == -1)
		return ws_fail(error, "LISTEN_FDS: descriptor %d is not open",
		    fd);
	memset(&a, 0, sizeof a);
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &olen) == -1 ||
	    type != SOCK_STREAM ||
	    getsockname(fd, (struct sockaddr *)&a, &alen) == -1 ||
	    (a.ss_family != AF_INET && a.ss_family != AF_INET6 &&
	    a.ss_family != AF_UNIX))
		return ws_fail(error, "LISTEN_FDS: descriptor %d is not a "
		    "stream socket", fd);
#ifdef SO_ACCEPTCONN
	olen = sizeof listens;
	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &olen) == 0 &&
	    !listens)
		return ws_fail(error, "LISTEN_FDS: descriptor %d does not "
		    "listen (Accept=yes?)", fd);
#endif
	kind = kind_of(name, len, a.ss_family);
	if (kind == -1)
		return ws_fail(error, "LISTEN_FDNAMES: \"%.*s\" is not ws, "
		    "wss, control or metrics", len < 64 ? (int)len : 64, name);
	if (kind == WS_SERVICE_CONTROL && a.ss_family != AF_UNIX)
		return ws_fail(error, "LISTEN_FDNAMES: descriptor %d is not a "
		    "Unix socket: everyone could write to it", fd);
	if (fcntl(fd, F_SETFL, flags | O_NONBLOCK) == -1 ||
	    fcntl(fd, F_SETFD, FD_CLOEXEC) == -1)
		return ws_fail(error, "LISTEN_FDS: descriptor %d: %s", fd,
		    strerror(errno));
	s->fd = fd;
	s->kind = (enum ws_service_kind)kind;
	return 0;
}

static int
inspect_all(struct ws_service_socket *s, int room, const char *fds,
    const char *names, char error[WS_ERROR_MAX])
{
	long n = parse_number(fds), i;
	size_t len = 0;

	if (n == -1)
		return ws_fail(error, "LISTEN_FDS=%.40s: not a number", fds);
	if (n > room)
		return ws_fail(error, "LISTEN_FDS=%ld: more than %d sockets", n,
		    room);
	for (i = 0; i < n; i++) {
		if (names != NULL)
			len = strcspn(names, ":");
		if (inspect_socket(&s[i], FIRST + (int)i, names, len,
		    error) == -1)
			return -1;
		if (names == NULL)
			continue;
		names += len;
		if ((*names == ':') != (i + 1 < n))
			return ws_fail(error, "LISTEN_FDNAMES: not as many as "
			    "LISTEN_FDS=%ld", n);
		names += *names == ':';
	}
	return (int)n;
}

/* see ws.h */
int
ws_service_sockets(struct ws_service_socket *s, int room,
    char error[WS_ERROR_MAX])
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	int n = 0;

	if (pid != NULL && fds != NULL) {
		if (parse_number(pid) == -1)
			n = ws_fail(error, "LISTEN_PID=%.40s: not a number",
			    pid);
		else if (parse_number(pid) == (long)getpid())
			n = inspect_all(s, room, fds, getenv("LISTEN_FDNAMES"),
			    error);
	}
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return n;
}

/* see ws.h */
int
ws_service_open(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un un;
	struct timeval t;
	size_t len;
	int fd;

	memset(&un, 0, sizeof un);
	un.sun_family = AF_UNIX;
	len = path == NULL ? 0 : strlen(path);
	if (len < 2 || len > sizeof un.sun_path - (*path == '/') ||
	    (*path != '/' && *path != '@')) {
		unsetenv("NOTIFY_SOCKET");
		return -1; /* not set, or of an unsupported kind */
	}
	memcpy(un.sun_path, path, len);
	if (*path == '@')
		un.sun_path[0] = '\0'; /* abstract, without a final NUL */
	unsetenv("NOTIFY_SOCKET");
	fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	if (fd == -1)
		return -1;
	t.tv_sec = SEND_TIMEOUT;
	t.tv_usec = 0;
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof t);
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) == -1 ||
	    connect(fd, (struct sockaddr *)&un, (socklen_t)(offsetof(
	    struct sockaddr_un, sun_path) + len + (*path == '/'))) == -1) {
		close(fd);
		return -1;
	}
	return fd;
}

/* see ws.h */
void
ws_service_notify(int fd, const char *state)
{
	char timed[96];

	if (fd == -1)
		return;
	if (strcmp(state, "RELOADING=1") == 0) {
		snprintf(timed, sizeof timed, "%s\nMONOTONIC_USEC=%lld",
		    state, (long long)(ws_clock() / 1000));
		state = timed;
	}
	while (send(fd, state, strlen(state), MSG_NOSIGNAL) == -1 &&
	    errno == EINTR)
		;
}
