/* wshub: ISC licence, see LICENSE. */
/*
 * What a delivery costs: bench path/to/wshub [quick], by "make bench".
 *
 * Each row is done by the hub and by a server that does nothing but one send(2)
 * of a ready frame for each delivery ("bare"), in turns, and the median of the
 * rounds is told. Cost is the server's CPU time (user and system, as the
 * scheduler counts it) for each delivery; the ratio of the two is what can be
 * compared between machines. The servers run on the first CPU, this on another.
 *
 * Clients check that each message comes, once and in order.
 */
#define _GNU_SOURCE
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CLIENTS_MAX 20000
#define FRAME_MAX 17000
#define AHEAD_MAX 64
#define ROUNDS 5

struct row {
	const char *name;
	int fanout;      /* or to one device each */
	unsigned clients, size, messages;
	unsigned ahead;  /* messages that are not delivered yet */
};

struct result {
	double us;       /* of the server, a delivery */
	double rate;     /* deliveries a second */
	double p50, p99; /* us from publishing to receiving */
	double rss;      /* bytes a client, beyond none */
};

struct client {
	int fd;
	char id[16];
	unsigned next;  /* message that is due */
	size_t have;    /* bytes of it */
	char mark[8];
};

static struct client client[CLIENTS_MAX];
static char dir[] = "/tmp/wshub.bench.XXXXXX", sock[64];
static const char *wshub;
static pid_t keeper, server;
static unsigned port;

static void
give_up(const char *why)
{
	perror(why);
	if (keeper > 0)
		kill(keeper, SIGTERM);
	exit(1);
}

static int64_t
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void
pin(unsigned cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	(void)sched_setaffinity(0, sizeof set, &set);
}

static double
cpu_time(void)
{
	char name[64];
	double ns = 0;
	FILE *f;

	snprintf(name, sizeof name, "/proc/%d/schedstat", (int)server);
	f = fopen(name, "r");
	if (f == NULL || fscanf(f, "%lf", &ns) != 1)
		give_up(name);
	fclose(f);
	return ns;
}

static double
resident(void)
{
	char name[64], line[128];
	double kb = 0;
	FILE *f;

	snprintf(name, sizeof name, "/proc/%d/status", (int)server);
	f = fopen(name, "r");
	if (f == NULL)
		give_up(name);
	while (fgets(line, sizeof line, f) != NULL)
		if (sscanf(line, "VmRSS: %lf", &kb) == 1)
			break;
	fclose(f);
	return kb * 1024;
}

/* ------------------------------------------------------------------- bare */

/* A publish: to whom (all: -1), and the frame, whose length is known. */
struct order {
	int32_t to;
	uint32_t len;
	char frame[FRAME_MAX];
};

static void
all_of(int fd, void *buf, size_t len)
{
	char *p = buf;
	ssize_t n;

	while (len > 0) {
		n = read(fd, p, len);
		if (n <= 0)
			_exit(0);
		p += n;
		len -= (size_t)n;
	}
}

static void
send_frame(int fd, const char *p, size_t len)
{
	ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

	if (n != (ssize_t)len) /* the window is chosen so that it fits */
		_exit(3);
}

static void
bare(int listener, int orders)
{
	static struct order o;
	static int fd[CLIENTS_MAX];
	static const int on = 1;
	unsigned n = 0, i;

	for (;;) {
		all_of(orders, &o, 8);
		if (o.to == -2) { /* one more client */
			fd[n] = accept(listener, NULL, NULL);
			setsockopt(fd[n++], IPPROTO_TCP, TCP_NODELAY, &on,
			    sizeof on);
			continue;
		}
		all_of(orders, o.frame, o.len);
		if (o.to >= 0)
			send_frame(fd[o.to], o.frame, o.len);
		else
			for (i = 0; i < n; i++)
				send_frame(fd[i], o.frame, o.len);
	}
}

/* ---------------------------------------------------------------- servers */

static int
connect_to(int family, unsigned i)
{
	struct sockaddr_in in;
	struct sockaddr_un un;
	int fd = socket(family, SOCK_STREAM, 0), tries;

	memset(&in, 0, sizeof in);
	memset(&un, 0, sizeof un);
	in.sin_family = AF_INET;
	in.sin_port = htons((uint16_t)port);
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	un.sun_family = AF_UNIX;
	strcpy(un.sun_path, sock);
	(void)i;
	for (tries = 0; tries < 500; tries++) {
		if (connect(fd, family == AF_UNIX ? (struct sockaddr *)&un :
		    (struct sockaddr *)&in, family == AF_UNIX ?
		    sizeof un : sizeof in) == 0)
			return fd;
		usleep(10000);
	}
	give_up("connect");
	return -1;
}

/* Starts it; returns where to publish. */
static int
start(int is_bare)
{
	struct sockaddr_in in;
	socklen_t len = sizeof in;
	char address[32], name[64];
	int listener = socket(AF_INET, SOCK_STREAM, 0), pair[2], fd;
	FILE *f;

	memset(&in, 0, sizeof in);
	in.sin_family = AF_INET;
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	do { /* below those that the system gives out */
		port = 10240 + (unsigned)rand() % 20000;
		in.sin_port = htons((uint16_t)port);
	} while (bind(listener, (struct sockaddr *)&in, len) != 0);
	if (is_bare && (listen(listener, 4096) != 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0))
		give_up("listen");
	if (!is_bare)
		close(listener);
	snprintf(address, sizeof address, "127.0.0.1:%u", port);
	keeper = fork();
	if (keeper == -1)
		give_up("fork");
	if (keeper == 0) {
		pin(0);
		if (is_bare) {
			close(pair[0]);
			bare(listener, pair[1]);
		}
		execl(wshub, "wshub", "-q", "-l", address, "-s", sock,
		    "--heartbeat", "0", "--ping", "0", (char *)NULL);
		_exit(127);
	}
	server = keeper;
	if (is_bare) {
		close(listener);
		close(pair[1]);
		return pair[0];
	}
	fd = connect_to(AF_UNIX, 0);
	snprintf(name, sizeof name, "/proc/%d/task/%d/children", (int)keeper,
	    (int)keeper);
	f = fopen(name, "r");
	if (f == NULL || fscanf(f, "%d", &server) != 1)
		give_up("the hub's process");
	fclose(f);
	return fd;
}

static void
stop(int fd)
{
	int status;

	close(fd);
	kill(keeper, SIGTERM);
	kill(keeper, SIGTERM);
	while (waitpid(keeper, &status, 0) == -1 && errno == EINTR)
		;
	keeper = 0;
}

static void
put_all(int fd, const void *data, size_t len)
{
	const char *p = data;
	ssize_t n;

	while (len > 0) {
		n = send(fd, p, len, MSG_NOSIGNAL);
		if (n <= 0)
			give_up("publishing");
		p += n;
		len -= (size_t)n;
	}
}

static void
join(unsigned i, int is_bare, int orders)
{
	static const char request[] = "GET / HTTP/1.1\r\nHost: bench\r\n"
	    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
	    "Sec-WebSocket-Version: 13\r\n"
	    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
	static const int32_t more[2] = { -2, 0 };
	char in[512], *p;
	size_t n = 0;
	ssize_t got;

	client[i].fd = connect_to(AF_INET, i);
	client[i].next = 0;
	client[i].have = 0;
	if (is_bare) {
		put_all(orders, more, sizeof more);
		return;
	}
	put_all(client[i].fd, request, sizeof request - 1);
	for (p = NULL; p == NULL || strchr(p, '}') == NULL; ) {
		got = read(client[i].fd, in + n, sizeof in - 1 - n);
		if (got <= 0)
			give_up("101");
		n += (size_t)got;
		in[n] = '\0';
		p = memmem(in, n, "device_id\":\"", 12);
	}
	memcpy(client[i].id, p + 12, 15);
	client[i].id[15] = '\0';
}

/* ------------------------------------------------------------------- rows */

static int
by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* The payload of message i: a string with its number and an x for each byte. */
static size_t
payload(char *p, unsigned i, unsigned size)
{
	int n = sprintf(p, "\"%08u", i);

	memset(p + n, 'x', size - (size_t)n - 1);
	p[size - 1] = '"';
	return size;
}

static void
publish(int fd, const struct row *r, int is_bare, unsigned i, unsigned to)
{
	static char text[FRAME_MAX + 200];
	static struct order o;
	size_t n, head = r->size < 126 ? 2 : 4;

	if (is_bare) {
		o.to = r->fanout ? -1 : (int32_t)to;
		o.len = (uint32_t)(head + r->size);
		o.frame[0] = (char)0x81;
		o.frame[1] = (char)(r->size < 126 ? r->size : 126);
		if (head == 4) {
			o.frame[2] = (char)(r->size >> 8);
			o.frame[3] = (char)r->size;
		}
		payload(o.frame + head, i, r->size);
		put_all(fd, &o, 8 + o.len);
		return;
	}
	n = (size_t)(r->fanout ? sprintf(text, "{\"action\":\"multicast\","
	    "\"data\":") : sprintf(text, "{\"action\":\"sendToDevice\","
	    "\"device\":\"%s\",\"data\":", client[to].id));
	n += payload(text + n, i, r->size);
	text[n++] = '}';
	text[n++] = '\n';
	put_all(fd, text, n);
}

/* Reads what a client has: how many messages became whole. */
static unsigned
take(struct client *c, const struct row *r, const int64_t *sent,
    double *latency)
{
	static char in[1 << 16];
	size_t head = r->size < 126 ? 2 : 4, frame = head + r->size, at = 0, k;
	ssize_t n = recv(c->fd, in, sizeof in, MSG_DONTWAIT);
	unsigned whole = 0, got;

	if (n == 0 || (n < 0 && errno != EAGAIN))
		give_up("a client was dropped");
	while (n > 0 && at < (size_t)n) {
		/* Its number stands behind the head and a quote. */
		for (; c->have < head + 9 && at < (size_t)n; at++, c->have++)
			if (c->have > head)
				c->mark[c->have - head - 1] = in[at];
		k = (size_t)n - at < frame - c->have ? (size_t)n - at :
		    frame - c->have;
		at += k;
		c->have += k;
		if (c->have < frame)
			break;
		got = (unsigned)strtoul((char[9]){ c->mark[0], c->mark[1],
		    c->mark[2], c->mark[3], c->mark[4], c->mark[5],
		    c->mark[6], c->mark[7] }, NULL, 10);
		if (r->fanout ? got != c->next : got < c->next) {
			fprintf(stderr, "bench: message %u, not %u\n", got,
			    c->next);
			exit(1);
		}
		c->next = got + 1;
		c->have = 0;
		latency[whole++] = (double)(now() - sent[got]) / 1000;
	}
	return whole;
}

static struct result
run(const struct row *r, int is_bare)
{
	static struct epoll_event ready[256];
	static char replies[65536];
	struct epoll_event e;
	struct result result = { 0, 0, 0, 0, 0 };
	unsigned long due = (unsigned long)r->messages *
	    (r->fanout ? r->clients : 1), got = 0, i, each;
	double *latency = malloc(due * sizeof *latency), cpu = 0, before;
	int64_t *sent = calloc(r->messages, sizeof *sent), begun;
	unsigned published = 0, start_at = 0;
	int fd = start(is_bare), ep = epoll_create1(0), n, k;

	if (latency == NULL || sent == NULL || ep == -1)
		give_up("memory");
	before = resident();
	for (i = 0; i < r->clients; i++) {
		join((unsigned)i, is_bare, fd);
		e.events = EPOLLIN;
		e.data.u32 = (uint32_t)i;
		epoll_ctl(ep, EPOLL_CTL_ADD, client[i].fd, &e);
	}
	usleep(200000);
	result.rss = (resident() - before) / r->clients;
	each = r->fanout ? r->clients : 1;
	cpu = cpu_time();
	begun = now();
	while (got < due) {
		while (published < r->messages &&
		    published * each < got + r->ahead * each) {
			start_at = start_at * 1664525 + 1013904223;
			sent[published] = now();
			publish(fd, r, is_bare, published,
			    (start_at >> 8) % r->clients);
			published++;
		}
		n = epoll_wait(ep, ready, 256, 0); /* never asleep */
		for (k = 0; k < n; k++)
			got += take(&client[ready[k].data.u32], r, sent,
			    latency + got);
		while (!is_bare && recv(fd, replies, sizeof replies,
		    MSG_DONTWAIT) == (ssize_t)sizeof replies)
			;
		if (now() - begun > 60000000000) {
			fprintf(stderr, "bench: %lu of %lu came\n", got, due);
			exit(1);
		}
	}
	result.rate = (double)due / ((double)(now() - begun) / 1e9);
	usleep(20000); /* the scheduler's count may lag */
	result.us = (cpu_time() - cpu) / 1000 / (double)due;
	qsort(latency, due, sizeof *latency, by_size);
	result.p50 = latency[due / 2];
	result.p99 = latency[due - 1 - due / 100];
	for (i = 0; i < r->clients; i++)
		close(client[i].fd);
	close(ep);
	stop(fd);
	free(latency);
	free(sent);
	return result;
}

int
main(int argc, char **argv)
{
	static const struct row rows[] = {
		{ "fan-out to 1,000 of 100 B", 1, 1000, 100, 300, 1 },
		{ "fan-out to 1,000 of 1 kB", 1, 1000, 1000, 300, 1 },
		{ "fan-out to 1,000 of 16 kB", 1, 1000, 16000, 100, 1 },
		{ "fan-out to 9,000 of 100 B", 1, 9000, 100, 40, 1 },
		{ "the same to 1,000, 64 ahead", 1, 1000, 100, 6000, 64 },
		{ "sendToDevice, 10 connected", 0, 10, 200, 60000, 16 },
		{ "sendToDevice, 1,000 connected", 0, 1000, 200, 60000, 16 },
		{ "sendToDevice, 9,000 connected", 0, 9000, 200, 60000, 16 },
	};
	struct result ours[ROUNDS], bares[ROUNDS];
	double a[ROUNDS], b[ROUNDS];
	struct rlimit lim;
	unsigned i;
	int k, rounds = argc > 2 ? 1 : ROUNDS;

	if (argc < 2 || getrlimit(RLIMIT_NOFILE, &lim) != 0) {
		fprintf(stderr, "usage: bench path/to/wshub [quick]\n");
		return 2;
	}
	wshub = argv[1];
	lim.rlim_cur = lim.rlim_max;
	setrlimit(RLIMIT_NOFILE, &lim);
	if (mkdtemp(dir) == NULL)
		give_up(dir);
	chmod(dir, 0711);
	snprintf(sock, sizeof sock, "%s/sock", dir);
	pin(1); /* of one CPU alone this fails, and that is all right */
	srand((unsigned)getpid());
	signal(SIGPIPE, SIG_IGN);
	printf("%-31s %8s %8s %6s %9s %9s %9s %8s\n", "", "us each", "bare",
	    "ratio", "a second", "p50 us", "p99 us", "B/client");
	for (i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct row r = rows[i];

		if (r.clients + 100 > lim.rlim_cur) {
			printf("%-31s not with %lu descriptors\n", r.name,
			    (unsigned long)lim.rlim_cur);
			continue;
		}
		if (rounds == 1)
			r.messages = r.messages / 10 + 1;
		for (k = 0; k < rounds; k++) {
			bares[k] = run(&r, 1);
			ours[k] = run(&r, 0);
			a[k] = ours[k].us;
			b[k] = bares[k].us;
		}
		qsort(a, (size_t)rounds, sizeof *a, by_size);
		qsort(b, (size_t)rounds, sizeof *b, by_size);
		printf("%-31s %8.3f %8.3f %6.2f %9.0f %9.0f %9.0f %8.0f\n",
		    r.name, a[rounds / 2], b[rounds / 2],
		    a[rounds / 2] / b[rounds / 2], ours[0].rate, ours[0].p50,
		    ours[0].p99, ours[0].rss);
		fflush(stdout);
	}
	rmdir(dir);
	return 0;
}
