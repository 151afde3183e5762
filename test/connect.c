/* wshub: ISC licence, see LICENSE. */
/*
 * Tests of connect.c: addresses of brokers, and sockets to them. Hosts are
 * found in a list of the test's.
 */
#define _GNU_SOURCE /* on some systems struct sockaddr_un */
#include <sys/types.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <netinet/in.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>

#include "test.h"

static int fake_getaddrinfo(const char *host, const char *port,
    const struct addrinfo *hints, struct addrinfo **list);
static void fake_freeaddrinfo(struct addrinfo *list);

#define getaddrinfo fake_getaddrinfo
#define freeaddrinfo fake_freeaddrinfo
#include "../connect.c"

/* ----------------------------------------------------------------- a host */

#define NOWHERE "test/build/connect.none"

static struct addrinfo addresses[3];
static int naddresses; /* 0: answer is an error */
static int answer;
static unsigned asked, freed;

static int
fake_getaddrinfo(const char *host, const char *port,
    const struct addrinfo *hints, struct addrinfo **list)
{
	int i;

	asked++;
	EXPECT(strcmp(host, "broker.example") == 0 &&
	    strcmp(port, "1883") == 0 && hints->ai_socktype == SOCK_STREAM,
	    "it asks for %s, port %s", host, port);
	if (naddresses == 0) {
		errno = EMFILE;
		return answer;
	}
	for (i = 0; i < naddresses; i++)
		addresses[i].ai_next = i + 1 < naddresses ?
		    &addresses[i + 1] : NULL;
	*list = addresses;
	return 0;
}

static void
fake_freeaddrinfo(struct addrinfo *list)
{
	EXPECT(list == addresses, "it frees another list");
	freed++;
}

/* A listener of a family, whose address is number i of the host's. */
static int
new_listener(int i, int family, const char *path)
{
	static union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_un un;
	} a[3];
	socklen_t len = family == AF_UNIX ? sizeof a[i].un : sizeof a[i].in;
	int fd = socket(family, SOCK_STREAM, 0);

	memset(&a[i], 0, sizeof a[i]);
	a[i].sa.sa_family = (unsigned char)family;
	if (family == AF_UNIX)
		strcpy(a[i].un.sun_path, path);
	else
		a[i].in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd == -1 || bind(fd, &a[i].sa, len) != 0 || listen(fd, 5) != 0 ||
	    (family != AF_UNIX && getsockname(fd, &a[i].sa, &len) != 0)) {
		perror("listener");
		exit(1);
	}
	addresses[i].ai_family = family;
	addresses[i].ai_addr = &a[i].sa;
	addresses[i].ai_addrlen = len;
	return fd;
}

/* An address where connect fails at once: a file that is not there. */
static void
no_listener(int i)
{
	close(new_listener(i, AF_UNIX, NOWHERE));
	(void)unlink(NOWHERE);
}

/* Whether somebody connects to a listener, within so many ms. */
static int
is_reached(int fd, int ms)
{
	struct pollfd p = { fd, POLLIN, 0 };

	return poll(&p, 1, ms) == 1 && close(accept(fd, NULL, NULL)) == 0;
}

/* ---------------------------------------------------------------- the cases */

static const struct {
	const char *address, *host, *port;
} hosts[] = {
	{ "mqtt://h", "h", "1883" },
	{ "mqtt://h:1", "h", "1" },
	{ "mqtt://h:65535", "h", "65535" },
	{ "mqtt://h:01884", "h", "1884" },
	{ "mqtt://a-b.example.org:1883", "a-b.example.org", "1883" },
	{ "mqtt://192.0.2.1", "192.0.2.1", "1883" },
	{ "mqtt://192.0.2.1:99", "192.0.2.1", "99" },
	{ "mqtt://[::1]", "::1", "1883" },
	{ "mqtt://[2001:db8::1]:99", "2001:db8::1", "99" },
	{ "mqtt://[fe80::1%eth0]:99", "fe80::1%eth0", "99" },
};

static const struct {
	const char *address, *error;
} no_hosts[] = {
	{ "", "not mqtt://" }, { "h", "not mqtt://" },
	{ "h:1883", "not mqtt://" }, { "/run/mqtt.sock", "not mqtt://" },
	{ "http://h", "http://h: not mqtt://" }, { "mqtt:", "not mqtt://" },
	{ "mqtt:h", "not mqtt://" }, { "mqtt:/h", "not mqtt://" },
	{ "mqtt://", "not mqtt://" }, { "mqtt://:1883", "not mqtt://" },
	{ "mqtt://h:", "not mqtt://" }, { "mqtt://h:0", "not mqtt://" },
	{ "mqtt://h:00", "not mqtt://" },
	{ "mqtt://h:65536", "not mqtt://" },
	{ "mqtt://h:4294967297", "not mqtt://" },
	{ "mqtt://h:-1", "not mqtt://" }, { "mqtt://h:+1", "not mqtt://" },
	{ "mqtt://h: 1", "not mqtt://" }, { "mqtt://h:1x", "not mqtt://" },
	{ "mqtt://h:mqtt", "not mqtt://" }, { "mqtt://h/", "not mqtt://" },
	{ "mqtt://h:1/topic", "not mqtt://" }, { "mqtt://h?", "not mqtt://" },
	{ "mqtt://h#1", "not mqtt://" }, { "mqtt://h h", "not mqtt://" },
	{ "mqtt://::1", "not mqtt://" }, { "mqtt://[::1", "not mqtt://" },
	{ "mqtt://[::1]1", "not mqtt://" }, { "mqtt://[::1]:", "not mqtt://" },
	{ "mqtt://[]", "not mqtt://" }, { "mqtt://[]:1", "not mqtt://" },
	{ "mqtt://]:1:", "not mqtt://" },
	{ "mqtt://u:secret@h", "mqtt://USER@HOST: " },
	{ "mqtt://secret@h:1883", "mqtt://USER@HOST: " },
	{ "mqtts://h", "TLS is for" }, { "mqtts://h:8883", "TLS is for" },
	{ "mqtt+unix:", "not the path" },
};

static void
parse(void)
{
	static struct ws_relay r;
	char error[WS_ERROR_MAX], address[400];
	size_t i, n, room = sizeof ((struct sockaddr_un *)0)->sun_path;

	CASE("addresses of brokers");
	for (i = 0; i < sizeof hosts / sizeof *hosts; i++) {
		memset(&r, 0, sizeof r);
		*error = '\0';
		EXPECT(ws_connect_parse(&r, hosts[i].address, error) == 0 &&
		    strcmp(r.host, hosts[i].host) == 0 && r.path == NULL &&
		    strcmp(r.port, hosts[i].port) == 0, "%s: \"%s\", \"%s\", "
		    "error \"%s\"", hosts[i].address, r.host, r.port, error);
	}

	CASE("what is none, and why");
	for (i = 0; i < sizeof no_hosts / sizeof *no_hosts; i++) {
		memset(&r, 0, sizeof r);
		*error = '\0';
		EXPECT(ws_connect_parse(&r, no_hosts[i].address, error) == -1
		    && strstr(error, no_hosts[i].error) != NULL &&
		    strstr(error, "secret") == NULL, "%s: \"%s\"",
		    no_hosts[i].address, error);
	}

	CASE("a host of 255 bytes, and of more");
	for (n = 250; n < 380; n++) {
		snprintf(address, sizeof address, "mqtt://%0*d", (int)n, 0);
		EXPECT(ws_connect_parse(&r, address, error) ==
		    (n <= 255 ? 0 : -1) && (n > 255 || (strlen(r.host) == n &&
		    strcmp(r.port, "1883") == 0)), "%zu bytes: \"%s\", port "
		    "%s", n, r.host, r.port);
		strcat(address, ":99");
		EXPECT(ws_connect_parse(&r, address, error) ==
		    (n <= 255 ? 0 : -1) && (n > 255 || (strlen(r.host) == n &&
		    strcmp(r.port, "99") == 0)), "%zu bytes: \"%s\", port %s",
		    n, r.host, r.port);
	}

	CASE("a path, and one that is too long");
	memset(&r, 0, sizeof r);
	*error = '\0';
	EXPECT(ws_connect_parse(&r, "mqtt+unix:a b:1", error) == 0 &&
	    strcmp(r.path, "a b:1") == 0, "\"%s\"", error);
	snprintf(address, sizeof address, "mqtt+unix:%0*d", (int)room - 1, 0);
	EXPECT(ws_connect_parse(&r, address, error) == 0 &&
	    strlen(r.path) == room - 1, "%zu bytes are too many", room - 1);
	strcat(address, "0");
	EXPECT(ws_connect_parse(&r, address, error) == -1, "%zu bytes", room);
}

/* Connects: the socket, after a look at it, or -1. */
static int
try_connect(const struct ws_relay *r, unsigned kind, struct ws_connected *c)
{
	int fd, on = 0;
	socklen_t len = sizeof on;
	struct sockaddr sa;
	socklen_t size = sizeof sa;

	memset(c, 0, sizeof *c);
	c->kind = (unsigned char)kind;
	asked = freed = 0;
	fd = ws_connect(r, c);
	EXPECT(c->failed == (fd == -1) && c->kind == kind &&
	    memchr(c->text, '\0', sizeof c->text) != NULL &&
	    *c->text != '\0', "it is %s: \"%.190s\"", c->failed ? "failed" :
	    "not failed", c->text);
	EXPECT(freed == (naddresses == 0 ? 0 : asked), "asked %u times, freed "
	    "%u lists", asked, freed);
	if (fd == -1)
		return fd;
	EXPECT((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0 &&
	    (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0, "flags %#x, %#x",
	    (unsigned)fcntl(fd, F_GETFL), (unsigned)fcntl(fd, F_GETFD));
	if (getsockname(fd, &sa, &size) == 0 && sa.sa_family == AF_INET)
		EXPECT(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, &len) ==
		    0 && on != 0, "it delays");
	return fd;
}

static void
addresses_of_hosts(void)
{
	static struct ws_relay r;
	struct ws_connected c;
	struct pollfd p;
	int fd, i, first, error = 0, listeners[2], next;
	socklen_t len = sizeof error;
	char text[WS_ERROR_MAX];

	r.hub = NOWHERE;
	if (ws_connect_parse(&r, "mqtt://broker.example", text) != 0)
		exit(1);

	CASE("a host that is not found, or not now");
	answer = EAI_NONAME;
	EXPECT(try_connect(&r, WS_CONNECT_BROKER, &c) == -1 &&
	    strncmp(c.text, "broker.example: ", 16) == 0 &&
	    strstr(c.text, gai_strerror(EAI_NONAME)) != NULL, "\"%s\"",
	    c.text);
	answer = EAI_SYSTEM;
	EXPECT(try_connect(&r, WS_CONNECT_BROKER, &c) == -1 &&
	    strstr(c.text, strerror(EMFILE)) != NULL, "\"%s\"", c.text);
	ws_connect_prepare(&r);

	CASE("one address; it is asked for each time");
	naddresses = 1;
	listeners[0] = new_listener(0, AF_INET, NULL);
	for (i = 0; i < 3; i++) {
		fd = try_connect(&r, WS_CONNECT_BROKER, &c);
		EXPECT(fd != -1 && is_reached(listeners[0], 10000) &&
		    asked == 1 && strcmp(c.text, "127.0.0.1:1883") == 0,
		    "asked %u times; \"%s\"", asked, c.text);
		close(fd);
	}

	CASE("several addresses: each has its turn");
	listeners[1] = new_listener(1, AF_INET, NULL);
	next = dup(0); /* the lowest number that is free */
	close(next);
	naddresses = 2;
	fd = try_connect(&r, WS_CONNECT_BROKER, &c);
	first = is_reached(listeners[0], 500) ? 0 : 1;
	EXPECT(first == 0 || is_reached(listeners[1], 10000), "neither");
	close(fd);
	for (i = 1; i < 5; i++) {
		fd = try_connect(&r, WS_CONNECT_BROKER, &c);
		EXPECT(is_reached(listeners[(first + i) % 2], 10000),
		    "call %d does not get its address", i);
		close(fd);
	}

	CASE("an address that fails at once is passed over");
	no_listener(1);
	for (i = 0; i < 4; i++) {
		fd = try_connect(&r, WS_CONNECT_BROKER, &c);
		EXPECT(fd != -1 && is_reached(listeners[0], 10000), "\"%s\"",
		    c.text);
		close(fd);
	}

	CASE("all fail: the last error, and the address");
	no_listener(0);
	EXPECT(try_connect(&r, WS_CONNECT_BROKER, &c) == -1 &&
	    strstr(c.text, strerror(ENOENT)) != NULL, "\"%s\"", c.text);

	CASE("nobody listens: refused, at once or soon");
	close(new_listener(0, AF_INET, NULL));
	naddresses = 1;
	fd = try_connect(&r, WS_CONNECT_BROKER, &c);
	p.fd = fd;
	p.events = POLLOUT;
	EXPECT(fd == -1 ? strstr(c.text, strerror(ECONNREFUSED)) != NULL &&
	    strncmp(c.text, "127.0.0.1:1883: ", 16) == 0 :
	    poll(&p, 1, 10000) == 1 && getsockopt(fd, SOL_SOCKET, SO_ERROR,
	    &error, &len) == 0 && error == ECONNREFUSED, "\"%s\", error %d",
	    c.text, error);
	if (fd != -1)
		close(fd);

	CASE("no descriptor is left open");
	fd = dup(0);
	EXPECT(fd == next, "the next is %d, and was %d", fd, next);
	close(fd);
	close(listeners[0]);
	close(listeners[1]);
}

static void
paths(void)
{
	static const char hub_path[] = "test/build/connect.hub";
	static const char path[] = "test/build/connect.broker";
	static const unsigned kinds[] = {
		WS_CONNECT_HUB, WS_CONNECT_WATCH, WS_CONNECT_BROKER
	};
	static struct ws_relay r;
	struct ws_connected c;
	int hub, broker, fd, to;
	size_t i;

	CASE("Unix sockets, of the hub and of the broker");
	(void)unlink(hub_path);
	(void)unlink(path);
	naddresses = 0;
	r.hub = hub_path;
	r.path = path;
	hub = new_listener(0, AF_UNIX, hub_path);
	broker = new_listener(1, AF_UNIX, path);
	for (i = 0; i < 3; i++) {
		to = kinds[i] == WS_CONNECT_BROKER ? broker : hub;
		fd = try_connect(&r, kinds[i], &c);
		EXPECT(fd != -1 && asked == 0 && is_reached(to, 10000) &&
		    strcmp(c.text, to == hub ? hub_path : path) == 0,
		    "%c: \"%s\"", (int)kinds[i], c.text);
		close(fd);
	}

	CASE("the hub has its socket also if the broker has a host");
	r.path = NULL;
	for (i = 0; i < 2; i++) {
		fd = try_connect(&r, kinds[i], &c);
		EXPECT(fd != -1 && is_reached(hub, 10000), "\"%s\"", c.text);
		close(fd);
	}
	close(hub);
	close(broker);

	CASE("a file that nobody listens to, and none");
	r.path = path;
	EXPECT(try_connect(&r, WS_CONNECT_HUB, &c) == -1 &&
	    strcmp(c.text, strerror(ECONNREFUSED)) == 0, "\"%s\"", c.text);
	(void)unlink(hub_path);
	(void)unlink(path);
	EXPECT(try_connect(&r, WS_CONNECT_HUB, &c) == -1 &&
	    strcmp(c.text, strerror(ENOENT)) == 0, "\"%s\"", c.text);
	EXPECT(try_connect(&r, WS_CONNECT_BROKER, &c) == -1 &&
	    strcmp(c.text, strerror(ENOENT)) == 0, "\"%s\"", c.text);
}

int
main(void)
{
	(void)unlink(NOWHERE);
	parse();
	addresses_of_hosts();
	paths();
	return test_end();
}
