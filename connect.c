/* wshub: ISC licence, see LICENSE. */
/*
 * Sockets to the hub and to the broker, for the relay's connector.
 */
#define _GNU_SOURCE /* on some systems struct sockaddr_un */
#include <sys/types.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "relay.h"

#define TCP "mqtt://"
#define LOCAL "mqtt+unix:"
#define PORT ":1883" /* the port that IANA has assigned to MQTT */

/* see relay.h */
int
ws_connect_parse(struct ws_relay *r, const char *address,
    char error[WS_ERROR_MAX])
{
	const char *host = address + strlen(TCP), *end;
	char whole[300];

	if (strncmp(address, LOCAL, strlen(LOCAL)) == 0) {
		r->path = address + strlen(LOCAL);
		if (*r->path == '\0' || strlen(r->path) >=
		    sizeof ((struct sockaddr_un *)0)->sun_path)
			return ws_fail(error, "%s: not the path of a socket",
			    address);
		return 0;
	}
	if (strncmp(address, "mqtts:", 6) == 0)
		return ws_fail(error, "%s: TLS is for the broker's bridge or "
		    "for stunnel, see wshub-relay(8)", address);
	if (strncmp(address, TCP, strlen(TCP)) == 0) {
		if (strchr(host, '@') != NULL) /* perhaps with a password */
			return ws_fail(error, "mqtt://USER@HOST: user and "
			    "password belong in the file of --user");
		end = *host == '[' ? strchr(host, ']') : host;
		snprintf(whole, sizeof whole, "%s%s", host,
		    end == NULL || strchr(end, ':') != NULL ? "" : PORT);
		if (ws_listen_split(whole, r->host, r->port) == 0 &&
		    *r->host != '\0' && strcmp(r->port, "0") != 0 &&
		    r->host[strcspn(r->host, "/?#\\ \t")] == '\0' &&
		    strlen(host) < sizeof whole - 6)
			return 0;
	}
	return ws_fail(error, "%s: not mqtt://HOST[:PORT] or mqtt+unix:PATH",
	    address);
}

/* Begins to connect a new socket: it, or -1 with an error. */
static int
begin(struct ws_connected *c, int family, const struct sockaddr *a,
    socklen_t len)
{
	int fd = socket(family, SOCK_STREAM, 0), on = 1, error;

	if (fd == -1) {
		snprintf(c->text, sizeof c->text, "socket: %s",
		    strerror(errno));
		return -1;
	}
	if (family != AF_UNIX)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (fcntl(fd, F_SETFL, O_NONBLOCK) != -1 &&
	    fcntl(fd, F_SETFD, FD_CLOEXEC) != -1 &&
	    (connect(fd, a, len) == 0 || errno == EINPROGRESS))
		return fd;
	error = errno;
	close(fd);
	snprintf(c->text, sizeof c->text, "%s", strerror(error));
	return -1;
}

static int
connect_unix(const char *path, struct ws_connected *c)
{
	struct sockaddr_un un;
	int fd;

	memset(&un, 0, sizeof un);
	un.sun_family = AF_UNIX;
	strcpy(un.sun_path, path); /* its length has been checked */
	fd = begin(c, AF_UNIX, (struct sockaddr *)&un, sizeof un);
	if (fd != -1)
		snprintf(c->text, sizeof c->text, "%s", path);
	return fd;
}

static int
resolve(const struct ws_relay *r, struct addrinfo **list)
{
	struct addrinfo hints;

	memset(&hints, 0, sizeof hints);
	hints.ai_socktype = SOCK_STREAM;
	hints.ai_flags = AI_NUMERICSERV;
	return getaddrinfo(r->host, r->port, &hints, list);
}

/* see relay.h */
void
ws_connect_prepare(const struct ws_relay *r)
{
	struct addrinfo *list;

	if (r->path == NULL && resolve(r, &list) == 0)
		freeaddrinfo(list);
}

/* Begins to connect to one of the addresses of a host, likewise. */
static int
connect_address(const struct addrinfo *ai, const char *port,
    struct ws_connected *c)
{
	char host[NI_MAXHOST] = "?", error[84] = "";
	int fd = begin(c, ai->ai_family, ai->ai_addr, ai->ai_addrlen);

	if (fd == -1)
		snprintf(error, sizeof error, ": %.80s", c->text);
	(void)getnameinfo(ai->ai_addr, ai->ai_addrlen, host, sizeof host, NULL,
	    0, NI_NUMERICHOST);
	snprintf(c->text, sizeof c->text, strchr(host, ':') != NULL ?
	    "[%.70s]:%s%s" : "%.70s:%s%s", host, port, error);
	return fd;
}

/*
 * The host is resolved anew each time, as its address may have changed. If an
 * address fails at once, as IPv6 does where there is none, the next is tried.
 */
static int
connect_inet(const struct ws_relay *r, struct ws_connected *c)
{
	static unsigned turn; /* of the host's addresses */
	struct addrinfo *list, *ai;
	int failed = resolve(r, &list), fd = -1;
	unsigned n = 0, tries, i;

	if (failed != 0) {
		snprintf(c->text, sizeof c->text, "%.100s: %s", r->host,
		    failed == EAI_SYSTEM ? strerror(errno) :
		    gai_strerror(failed));
		return -1;
	}
	for (ai = list; ai != NULL; ai = ai->ai_next)
		n++;
	for (tries = 0; tries < n && fd == -1; tries++) {
		for (ai = list, i = (turn + tries) % n; i > 0; i--)
			ai = ai->ai_next;
		fd = connect_address(ai, r->port, c);
	}
	turn++;
	freeaddrinfo(list);
	return fd;
}

/* see relay.h */
int
ws_connect(const struct ws_relay *r, struct ws_connected *c)
{
	int fd = c->kind != WS_CONNECT_BROKER ? connect_unix(r->hub, c) :
	    r->path != NULL ? connect_unix(r->path, c) : connect_inet(r, c);

	c->failed = fd == -1;
	return fd;
}
