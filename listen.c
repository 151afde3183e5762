/* wshub: ISC licence, see LICENSE. */
/*
 * Addresses, listening sockets, and the control socket's file.
 *
 * After a crash, a Unix socket's file remains, and bind(2) fails. The file is
 * removed only if connect(2) to it is refused, which means that no process is
 * listening. If two hubs started at the same time, both could find that, and
 * the second would remove the new file of the first. So the check, the removal
 * and bind are done with a lock on the directory.
 */
#define _GNU_SOURCE /* flock, and on some systems struct sockaddr_un */
#define _FILE_OFFSET_BITS 64 /* 32-bit systems may have long inode numbers */
#include <sys/types.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ws.h"

#define BACKLOG 4096 /* if all clients reconnect; the kernel may limit it */

static int
close_keeping_errno(int fd)
{
	int saved = errno;

	if (fd != -1)
		close(fd);
	errno = saved;
	return -1;
}

/* Makes fd non-blocking and close-on-exec: 0, or -1 with errno. */
static int
set_flags(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags == -1 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) == -1)
		return -1;
	return fcntl(fd, F_SETFD, FD_CLOEXEC);
}

/* -------------------------------------------------------------- addresses */

/* see ws.h */
void
ws_address(int fd, int peer, char name[WS_ADDRESS_MAX])
{
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_un un;
		struct sockaddr_storage room;
	} a;
	socklen_t len = sizeof a;
	char host[INET6_ADDRSTRLEN];

	memset(&a, 0, sizeof a);
	snprintf(name, WS_ADDRESS_MAX, "?");
	if ((peer ? getpeername(fd, &a.sa, &len) :
	    getsockname(fd, &a.sa, &len)) != 0)
		return;
	switch (a.sa.sa_family) {
	case AF_INET:
		inet_ntop(AF_INET, &a.in.sin_addr, host, sizeof host);
		snprintf(name, WS_ADDRESS_MAX, "%s:%u", host,
		    (unsigned)ntohs(a.in.sin_port));
		break;
	case AF_INET6:
		inet_ntop(AF_INET6, &a.in6.sin6_addr, host, sizeof host);
		snprintf(name, WS_ADDRESS_MAX, "[%s]:%u", host,
		    (unsigned)ntohs(a.in6.sin6_port));
		break;
	case AF_UNIX:
		if (len > offsetof(struct sockaddr_un, sun_path) &&
		    a.un.sun_path[0] != '\0')
			snprintf(name, WS_ADDRESS_MAX, "unix:%.*s",
			    (int)(len - offsetof(struct sockaddr_un,
			    sun_path)), a.un.sun_path);
		else
			snprintf(name, WS_ADDRESS_MAX, "unix");
		break;
	}
}

/* see ws.h; an empty host stands for every local address. */
int
ws_listen_split(const char *address, char host[256], char port[6])
{
	const char *colon, *end;
	unsigned long n;
	char *stop;

	if (*address == '[') {
		address++;
		end = strchr(address, ']');
		if (end == NULL || end[1] != ':')
			return -1;
		colon = end + 1;
	} else {
		colon = end = strrchr(address, ':');
		if (colon == NULL || memchr(address, ':',
		    (size_t)(colon - address)) != NULL)
			return -1; /* an IPv6 address without brackets */
	}
	if ((size_t)(end - address) >= 256)
		return -1;
	memcpy(host, address, (size_t)(end - address));
	host[end - address] = '\0';
	if (colon[1] < '0' || colon[1] > '9')
		return -1;
	n = strtoul(colon + 1, &stop, 10);
	if (*stop != '\0' || n > 65535)
		return -1;
	snprintf(port, 6, "%lu", n);
	return 0;
}

static int
listen_inet(const struct addrinfo *ai)
{
	int fd = socket(ai->ai_family, ai->ai_socktype, ai->ai_protocol);
	int on = 1;

	if (fd == -1)
		return -1;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	/* "[::]:80" must not include IPv4, whatever the system's default. */
	if (ai->ai_family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on,
		    sizeof on);
	if (set_flags(fd) == -1 ||
	    bind(fd, ai->ai_addr, ai->ai_addrlen) == -1 ||
	    listen(fd, BACKLOG) == -1)
		return close_keeping_errno(fd);
	return fd;
}

/* see ws.h */
int
ws_listen_check(const char *address)
{
	char host[256], port[6];
	size_t n;

	if (strncmp(address, "unix:", 5) == 0) {
		n = strlen(address + 5);
		return n > 0 &&
		    n < sizeof ((struct sockaddr_un *)0)->sun_path ? 0 : -1;
	}
	return ws_listen_split(address, host, port);
}

/* 1 if ai's address is earlier in the list: /etc/hosts may have it twice. */
static int
is_repeated(const struct addrinfo *list, const struct addrinfo *ai)
{
	for (; list != ai; list = list->ai_next)
		if (list->ai_addrlen == ai->ai_addrlen &&
		    memcmp(list->ai_addr, ai->ai_addr, ai->ai_addrlen) == 0)
			return 1;
	return 0;
}

/* see ws.h */
int
ws_listen(const char *address, int fd[WS_LISTEN_MAX], struct ws_file_id *id,
    char error[WS_ERROR_MAX])
{
	struct addrinfo hints, *list, *ai;
	char host[256], port[6];
	int failed, n = 0;

	if (strncmp(address, "unix:", 5) == 0) {
		fd[0] = ws_listen_unix(address + 5, 0666, (gid_t)-1, id,
		    error);
		return fd[0] == -1 ? -1 : 1;
	}
	if (ws_listen_split(address, host, port) != 0)
		return ws_fail(error, "%s: not host:port, :port, [v6]:port or "
		    "unix:PATH", address);
	memset(&hints, 0, sizeof hints);
	hints.ai_socktype = SOCK_STREAM;
	hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
	failed = getaddrinfo(host[0] == '\0' ? NULL : host, port, &hints,
	    &list);
	if (failed != 0)
		return ws_fail(error, "%s: %s", address, failed == EAI_SYSTEM ?
		    strerror(errno) : gai_strerror(failed));
	for (ai = list; ai != NULL && n < WS_LISTEN_MAX; ai = ai->ai_next) {
		if (is_repeated(list, ai))
			continue;
		fd[n] = listen_inet(ai);
		if (fd[n] != -1) {
			n++;
			continue;
		}
		/* A host may have no IPv6, or no IPv4. */
		if ((errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL ||
		    errno == EPROTONOSUPPORT) && (n > 0 || ai->ai_next))
			continue;
		break;
	}
	if (n == 0 || (ai != NULL && n < WS_LISTEN_MAX)) {
		ws_fail(error, "%s:", address);
		while (n > 0)
			close_keeping_errno(fd[--n]);
		n = -1;
	}
	freeaddrinfo(list);
	return n;
}

/* ----------------------------------------------------------- Unix sockets */

/*
 * Removes a socket's file that a crashed hub has left: 0, or -1 with an error
 * message if there is anything else at un->sun_path.
 */
static int
remove_stale(const struct sockaddr_un *un, char error[WS_ERROR_MAX])
{
	const char *path = un->sun_path;
	struct stat st;
	int fd;

	if (lstat(path, &st) == -1)
		return errno == ENOENT ? 0 : ws_fail(error, "%s:", path);
	if (!S_ISSOCK(st.st_mode))
		return ws_fail(error, "%s: there is a %s of that name", path,
		    S_ISDIR(st.st_mode) ? "directory" : "file");
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (fd == -1 || set_flags(fd) == -1) {
		close_keeping_errno(fd);
		return ws_fail(error, "socket:");
	}
	if (connect(fd, (const struct sockaddr *)un, sizeof *un) == 0 ||
	    errno == EAGAIN || errno == EINPROGRESS) {
		close(fd);
		return ws_fail(error, "%s: another program listens there",
		    path);
	}
	close_keeping_errno(fd);
	if (errno != ECONNREFUSED)
		return ws_fail(error, "%s:", path);
	if (unlink(path) == -1 && errno != ENOENT)
		return ws_fail(error, "%s:", path);
	return 0;
}

/*
 * Opens the directory that path is in and locks it. Returns its descriptor, or
 * -1 if it cannot be opened. The lock is best effort.
 */
static int
lock_directory(const char *path)
{
	char dir[sizeof ((struct sockaddr_un *)0)->sun_path];
	char *slash;
	int fd, tries;

	snprintf(dir, sizeof dir, "%s", path);
	slash = strrchr(dir, '/');
	if (slash == NULL)
		snprintf(dir, sizeof dir, ".");
	else
		slash[slash == dir ? 1 : 0] = '\0';
	fd = open(dir, O_RDONLY | O_CLOEXEC);
	/* Any process can lock a directory, for any time: wait only 1 s. */
	for (tries = 0; fd != -1 && flock(fd, LOCK_EX | LOCK_NB) == -1; tries++)
		if ((errno != EWOULDBLOCK && errno != EINTR) || tries == 100)
			break;
		else
			(void)poll(NULL, 0, 10);
	return fd;
}

/* see ws.h */
int
ws_listen_unix(const char *path, mode_t mode, gid_t group,
    struct ws_file_id *id, char error[WS_ERROR_MAX])
{
	struct sockaddr_un un;
	struct stat st;
	mode_t mask;
	int fd, lock, bound;

	memset(&un, 0, sizeof un);
	un.sun_family = AF_UNIX;
	if (*path == '\0')
		return ws_fail(error, "a Unix socket needs a path");
	if (strlen(path) >= sizeof un.sun_path)
		return ws_fail(error, "%.200s...: longer than the %zu bytes "
		    "that a Unix socket's path may have", path,
		    sizeof un.sun_path - 1);
	memcpy(un.sun_path, path, strlen(path) + 1);

	lock = lock_directory(path);
	if (remove_stale(&un, error) == -1) {
		close_keeping_errno(lock);
		return -1;
	}
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (fd == -1 || set_flags(fd) == -1) {
		ws_fail(error, "socket:");
		close_keeping_errno(lock);
		return close_keeping_errno(fd);
	}
	mask = umask(0777); /* no access until mode and group are set */
	bound = bind(fd, (const struct sockaddr *)&un, sizeof un);
	umask(mask);
	if (bound == -1) {
		ws_fail(error, "%s:", path);
		close_keeping_errno(lock);
		return close_keeping_errno(fd);
	}
	if (listen(fd, BACKLOG) == -1 ||
	    (group != (gid_t)-1 && chown(path, (uid_t)-1, group) == -1) ||
	    chmod(path, mode) == -1 || lstat(path, &st) == -1) {
		ws_fail(error, "%s:", path);
		unlink(path);
		close_keeping_errno(lock);
		return close_keeping_errno(fd);
	}
	close_keeping_errno(lock);
	id->dev = (uint64_t)st.st_dev;
	id->ino = (uint64_t)st.st_ino;
	return fd;
}

/* see ws.h */
void
ws_listen_remove(const char *path, const struct ws_file_id *id)
{
	struct stat st;

	if (lstat(path, &st) == 0 && (uint64_t)st.st_dev == id->dev &&
	    (uint64_t)st.st_ino == id->ino)
		(void)unlink(path);
}
