/* wshub: ISC licence, see LICENSE. */
/*
 * What a delivery costs: bench WSHUB CERTS ROWS [quick|GROUP].
 * Quick is one round of a tenth or less, without the largest and much that
 * differs in a number only: to see that it works, on a busy machine as well, not
 * to measure. A GROUP is sessions, watch or relay: the rows of that file alone.
 * If OLD in the environment names another wshub, such as the last release's, it
 * gets columns or rows of its own, from the same run.
 *
 * Every row is done in turns by the hub and by a server that does nothing but
 * one send(2) of a ready frame for each delivery ("bare"), and less often by
 * those others that are installed. What is told is the median of the rounds;
 * the ratio is that of each round, which is what can be compared between
 * machines and between busy days. Cost is the server's CPU time, user and
 * system, as the scheduler counts it. The servers run on the first CPU, this on
 * the second.
 *
 * Clients check that each message comes, once and in order. CERTS is a
 * directory with p256.pem and p256.key, and "-" does without wss://. ROWS is a
 * file for plot.sh: kind, clients, server, us.
 */
#define _GNU_SOURCE
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

#define MARKS 1024 /* that one read may bring */
#define TIMEOUT 120000000000 /* ns for anything */

int rounds = ROUNDS;
static FILE *rows;

/* see bench.h */
int64_t
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* see bench.h */
void
yield_to_meter(void)
{
	static const struct sched_param none;

	if (rounds > 1)
		sched_setscheduler(0, SCHED_IDLE, &none);
}

static int
by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* see bench.h */
double
median(double *x, int n)
{
	return quantile(x, (unsigned long)n, 0.5);
}

/* see bench.h */
double
quantile(double *x, unsigned long n, double part)
{
	if (n == 0)
		return 0;
	qsort(x, n, sizeof *x, by_size);
	return part < 1 ? x[(unsigned long)((double)n * part)] : x[n - 1];
}

/* ------------------------------------------------------------- deliveries */

/* Message i: a string of size bytes with its mark at the end. */
static const char *
payload(unsigned i, unsigned size)
{
	static char text[PAYLOAD_MAX + 16];
	static unsigned filled;

	if (size != filled) {
		memset(text, 'x', size);
		filled = size;
	}
	text[0] = '"';
	sprintf(text + size - 10, "@%08u\"", i % 100000000);
	return text;
}

static void
check_order(const struct work *w, struct member *c, unsigned mark)
{
	if (w->fanout ? mark == c->next : mark >= c->next) {
		c->next = mark + (w->fanout ? server_groups : 1);
		return;
	}
	fprintf(stderr, "bench: message %u came, %u was due\n", mark, c->next);
	errno = EPROTO;
	give_up("order");
}

/* What deliver() is in the middle of. */
struct flow {
	unsigned published;
	int over;
	unsigned long got, due;
	int64_t begun, *sent;
	double *latency;
	uint32_t random;
};

/* Publishes what may go out now; returns ms until more may. */
static int
publish_some(const struct work *w, struct flow *f, unsigned each)
{
	struct pollfd end = { w->end, POLLIN, 0 };
	int64_t at;

	if (f->over == 0 && ((w->end != 0 && poll(&end, 1, 0) == 1) ||
	    (w->lasting != 0 && now() - f->begun > w->lasting))) {
		f->over = 1;
		f->due = (unsigned long)f->published * each;
	}
	while (f->over == 0 && f->published < w->messages &&
	    (unsigned long)f->published * each <
	    f->got + (unsigned long)w->ahead * each) {
		at = f->begun + f->published * w->pause;
		if (w->pause != 0 && now() < at) {
			server_flush();
			return (int)((at - now()) / 1000000) + 1;
		}
		f->random = f->random * 1664525 + 1013904223;
		f->sent[f->published] = now();
		server_publish(payload(w->first + f->published, w->size),
		    w->size, w->fanout ? -1 - (int)(f->published %
		    server_groups) : (int)((f->random >> 8) % w->clients));
		f->published++;
	}
	server_flush();
	return 0;
}

static void
receive(const struct work *w, struct flow *f, struct member *c)
{
	static unsigned marks[MARKS];
	unsigned n = client_take(c, marks, MARKS), i;

	if (n > MARKS)
		give_up("more messages than were sent");
	for (i = 0; i < n; i++) {
		check_order(w, c, marks[i]);
		if (f->got < f->due)
			f->latency[f->got++] =
			    (double)(now() - f->sent[marks[i] - w->first]) /
			    1000;
	}
	if (c->gone) {
		f->over = 1;
		f->due = f->got;
	}
}

/* see bench.h */
struct result
deliver(const struct work *w)
{
	static struct epoll_event ready[256];
	unsigned each = w->fanout ? (w->clients - w->slow) / server_groups : 1;
	unsigned i;
	struct flow f = { 0 };
	struct result r;
	struct epoll_event e;
	int ep = epoll_create1(0), n, k, wait;
	double cpu;

	f.due = (unsigned long)w->messages * each;
	f.sent = calloc(w->messages, sizeof *f.sent);
	f.latency = calloc(f.due, sizeof *f.latency);
	if (ep == -1 || f.sent == NULL || f.latency == NULL)
		give_up("memory");
	for (i = w->slow; i < w->clients; i++) {
		e.events = EPOLLIN;
		e.data.u32 = i;
		if (epoll_ctl(ep, EPOLL_CTL_ADD, client[i].link.fd, &e) != 0)
			give_up("epoll");
		client[i].next = w->first + (w->fanout ? i % server_groups : 0);
	}
	cpu = server_cpu();
	f.begun = now();
	while (f.got < f.due) {
		wait = publish_some(w, &f, each);
		/* Never asleep, unless it is to leave time to others. */
		n = epoll_wait(ep, ready, 256, w->pause == 0 && rounds > 1 ?
		    0 : wait == 0 ? 1 : wait);
		for (k = 0; k < n; k++)
			receive(w, &f, &client[ready[k].data.u32]);
		if (now() - f.begun > TIMEOUT) {
			fprintf(stderr, "bench: %lu of %lu came\n", f.got,
			    f.due);
			give_up("time");
		}
	}
	if (f.due == 0) {
		f.due = 1; /* it went before anything came */
		f.latency[0] = 0;
	}
	r.published = f.published;
	r.rate = (double)f.due / ((double)(now() - f.begun) / 1e9);
	usleep(20000); /* the scheduler's count may lag */
	r.us = (server_cpu() - cpu) / 1000 / (double)f.due;
	qsort(f.latency, f.due, sizeof *f.latency, by_size);
	r.p50 = f.latency[f.due / 2];
	r.p99 = f.latency[f.due - 1 - f.due / 100];
	r.p999 = f.latency[f.due - 1 - f.due / 1000];
	r.max = f.latency[f.due - 1];
	close(ep);
	free(f.sent);
	free(f.latency);
	return r;
}

/* see bench.h */
struct result
run(enum which server, const struct work *w)
{
	struct result r;

	server_start(server, w->fanout ? w->clients : 0);
	clients_session = w->session && server == OURS;
	clients_join(0, w->clients, 64, w->tls);
	clients_session = NO_SESSION;
	server_settle();
	r = deliver(w);
	clients_leave(0, w->clients);
	server_stop();
	return r;
}

/* ----------------------------------------------------------------- tables */

/* see bench.h */
void
title(const char *words, const char *columns)
{
	printf("\n%s\n%-31s%s\n", words, "", columns);
}

/* What others need for the same: their CPU us, or a dash. */
static void
others(const struct work *w, const char *kind)
{
	struct work less = *w;
	struct result r;
	int s;

	less.messages = w->messages / 10 + 1;
	for (s = NCHAN; s < SERVERS; s++) {
		if (!server_there(s) || (w->tls && certs == NULL)) {
			printf(" %9s", "-");
			continue;
		}
		r = run(s, &less);
		printf(" %9.3f", r.us);
		if (kind != NULL)
			fprintf(rows, "%s %u %s %.3f\n", kind, w->clients,
			    server_names[s], r.us);
	}
}

static void
compare(const char *name, const char *kind, struct work w)
{
	double us[BARE + 1][ROUNDS], ratio[ROUNDS], older[ROUNDS],
	    rate[ROUNDS], p50[ROUNDS], p99[ROUNDS], p999[ROUNDS];
	struct result r;
	int i, s;

	if (rounds == 1)
		w.messages = w.messages / 40 + 1;
	for (i = 0; i < rounds; i++) {
		for (s = BARE; s >= OURS; s--) {
			if (!server_there(s))
				continue;
			r = run(s, &w);
			us[s][i] = r.us;
		}
		ratio[i] = us[OURS][i] / us[BARE][i];
		if (server_there(OLD))
			older[i] = us[OURS][i] / us[OLD][i];
		rate[i] = r.rate;
		p50[i] = r.p50;
		p99[i] = r.p99;
		p999[i] = r.p999;
	}
	if (kind != NULL)
		for (s = OURS; s <= BARE; s += BARE - OURS)
			fprintf(rows, "%s %u %s %.3f\n", kind, w.clients,
			    server_names[s], median(us[s], rounds));
	printf("%-31s %8.3f %8.3f %6.2f", name, median(us[OURS], rounds),
	    median(us[BARE], rounds), median(ratio, rounds));
	others(&w, kind);
	printf(" %9.0f %8.0f %8.0f %8.0f", median(rate, rounds),
	    median(p50, rounds), median(p99, rounds), median(p999, rounds));
	if (server_there(OLD))
		printf(" %8.3f %7.2f", median(us[OLD], rounds),
		    median(older, rounds));
	putchar('\n');
	fflush(stdout);
}

#define COLUMNS "     ours     bare  ratio     nchan mosquitto  a second" \
    "      p50      p99    p99.9"

static void
deliveries(void)
{
	static const struct {
		const char *name, *kind;
		int quick;
		struct work w;
	} table[] = {
	{ "to 10 of 200 B", "fan-out", 1, FAN(10, 200, 1, 10000) },
	{ "to 100 of 200 B", "fan-out", 1, FAN(100, 200, 1, 1500) },
	{ "to 1,000 of 200 B", "fan-out", 1, FAN(1000, 200, 1, 200) },
	{ "to 3,000 of 200 B", "fan-out", 0, FAN(3000, 200, 1, 80) },
	{ "to 10,000 of 200 B", "fan-out", 0, FAN(10000, 200, 1, 30) },
	{ "to 1,000 of 100 B", NULL, 0, FAN(1000, 100, 1, 200) },
	{ "to 1,000 of 1 kB", NULL, 0, FAN(1000, 1000, 1, 200) },
	{ "to 1,000 of 16 kB", NULL, 1, FAN(1000, 16000, 1, 60) },
	{ "to 10,000 of 100 B", NULL, 0, FAN(10000, 100, 1, 30) },
	{ "to 10,000 of 1 kB", NULL, 0, FAN(10000, 1000, 1, 20) },
	{ "to 10,000 of 16 kB", NULL, 0, FAN(10000, 16000, 1, 8) },
	{ "to 1,000 of 100 B, 64 ahead", NULL, 1, FAN(1000, 100, 64, 4000) },
	{ "to 1,000 of 1 kB, 64 ahead", NULL, 0, FAN(1000, 1000, 64, 1000) },
	{ "to 10,000 of 100 B, 64 ahead", NULL, 0, FAN(10000, 100, 64, 320) },
	{ "to 1,000 of 200 B, 20 a second", NULL, 1, { .fanout = 1,
	    .clients = 1000, .size = 200, .ahead = 64, .messages = 100,
	    .pause = 50000000 } },
	{ "one of 10", "sendToDevice", 1, ONE(10) },
	{ "one of 100", "sendToDevice", 1, ONE(100) },
	{ "one of 1,000", "sendToDevice", 1, ONE(1000) },
	{ "one of 3,000", "sendToDevice", 0, ONE(3000) },
	{ "one of 10,000", "sendToDevice", 0, ONE(10000) }
	};
	size_t i;

	title("CPU of the server a delivery, us (fan-out, then sendToDevice of "
	    "200 B with 16 ahead);\nof ours also deliveries a second, and us "
	    "from publishing to receiving",
	    server_there(OLD) ? COLUMNS "      old ours/old" : COLUMNS);
	for (i = 0; i < sizeof table / sizeof *table; i++)
		if (rounds > 1 || table[i].quick)
			compare(table[i].name, table[i].kind, table[i].w);
}

/* Fan-out by wss://, beside the same by ws://. */
static void
encrypted(void)
{
	struct work w = FAN(1000, 200, 1, 200);
	double us[2][ROUNDS], ratio[ROUNDS];
	int i;

	if (certs == NULL)
		return;
	if (rounds == 1) {
		w.clients = 200;
		w.messages = 40;
	}
	title("The same by wss://, AES-128-GCM",
	    "      wss       ws  ratio     nchan mosquitto");
	for (i = 0; i < rounds; i++) {
		for (w.tls = 0; w.tls < 2; w.tls++)
			us[w.tls][i] = run(OURS, &w).us;
		ratio[i] = us[1][i] / us[0][i];
	}
	printf("%-31s %8.3f %8.3f %6.2f", "to 1,000 of 200 B",
	    median(us[1], rounds), median(us[0], rounds),
	    median(ratio, rounds));
	w.tls = 1;
	others(&w, NULL);
	putchar('\n');
}

/* ---------------------------------------------------- handshakes, memory */

/* see bench.h */
double
handshakes(enum which server, int tls, unsigned n, double *bytes)
{
	double cpu, us;

	server_start(server, 0);
	/* The first fills what is allocated once, and gives a session. */
	clients_join(n, n + 100, 16, tls != 0);
	clients_leave(n, n + 100);
	usleep(200000);
	*bytes = server_memory();
	cpu = server_cpu();
	clients_join(0, n, 16, tls);
	usleep(200000);
	us = (server_cpu() - cpu) / 1000 / n;
	*bytes = (server_memory() - *bytes) / n;
	clients_leave(0, n);
	server_stop();
	return us;
}

static void
entrances(void)
{
	static const char *const names[] = {
		"ws", "wss, full handshake", "wss, resumed"
	};
	double us[SERVERS], bytes[SERVERS], cost = engine() / 1000;
	unsigned n;
	int tls, s;

	title("CPU of the server a client that enters, us, and its resident "
	    "bytes once idle",
	    "     ours     bare  ratio     nchan mosquitto    ours   nchan "
	    "mosquitto");
	for (tls = 0; tls < (certs == NULL ? 1 : 3); tls++) {
		n = rounds == 1 ? 50 : 5000;
		for (s = 0; s < SERVERS; s++) {
			us[s] = bytes[s] = 0;
			if (s == BARE && tls)
				us[s] = tls == 1 ? cost : 0;
			else if (server_there(s))
				us[s] = handshakes(s, tls, n, &bytes[s]);
		}
		printf("%-31s %8.1f", names[tls], us[OURS]);
		if (us[BARE] != 0)
			printf(" %8.1f %6.2f", us[BARE], us[OURS] / us[BARE]);
		else
			printf(" %8s %6s", "-", "-");
		for (s = NCHAN; s < SERVERS; s++)
			if (us[s] != 0)
				printf(" %9.1f", us[s]);
			else
				printf(" %9s", "-");
		for (s = OURS; s < SERVERS; s++)
			if (s != OLD && s != BARE && us[s] != 0)
				printf(" %8.0f", bytes[s]);
			else if (s != OLD && s != BARE)
				printf(" %8s", "-");
		if (server_there(OLD))
			printf("  (old: %.1f, %.0f)", us[OLD], bytes[OLD]);
		putchar('\n');
		fflush(stdout);
	}
	if (certs != NULL)
		printf("(bare: an answer of ready bytes; for a full handshake, "
		    "BearSSL's engine in memory;\nits signature and key agreement "
		    "alone: %.1f)\n", primitives() / 1000);
}

/* ----------------------------------------------------------------- storms */

/*
 * Clients that are in by wss:// lose their connections and come back all at
 * once, in a process that gets what time the meter leaves.
 */
static pid_t
crowd(unsigned from, unsigned n, const int in[2], const int out[2])
{
	pid_t pid = fork();
	char c = 0;

	if (pid != 0)
		return pid;
	close(in[1]);
	close(out[0]);
	yield_to_meter();
	clients_join(from, from + n, 16, 1);
	if (write(out[1], &c, 1) != 1 || read(in[0], &c, 1) != 1)
		_exit(1);
	clients_leave(from, from + n);
	clients_join(from, from + n, n, 1);
	/* They are in, and stay until nobody listens. */
	if (write(out[1], &c, 1) == 1 && read(in[0], &c, 1) == 0)
		_exit(0);
	_exit(1);
}

static void
storm(enum which server)
{
	struct work w = FAN(500, 200, 64, 300);
	unsigned n = rounds == 1 ? 60 : 5000;
	struct result calm, r;
	int to[2], from[2], status, in;
	double seconds;
	int64_t begun;
	pid_t pid;
	char c = 0;

	w.pause = 10000000;
	if (rounds == 1)
		w.messages = 30;
	server_start(server, w.clients);
	clients_join(0, w.clients, 64, 0);
	server_settle();
	if (pipe(to) != 0 || pipe(from) != 0)
		give_up("pipe");
	fflush(stdout);
	pid = crowd(w.clients, n, to, from);
	close(to[0]);
	close(from[1]);
	if (pid == -1 || read(from[0], &c, 1) != 1)
		give_up("the crowd");
	calm = deliver(&w);
	begun = now();
	if (write(to[1], &c, 1) != 1)
		give_up("the crowd");
	w.messages = 6000;
	w.end = from[0];
	r = deliver(&w);
	seconds = (double)(now() - begun) / 1e9;
	in = read(from[0], &c, 1) == 1;
	printf("%-31s %8.2f %8.2f %8.2f %8.2f %8.2f %8.2f %8.1f%s\n",
	    server_names[server], calm.p50 / 1000, calm.p99 / 1000,
	    calm.p999 / 1000, r.p50 / 1000, r.p99 / 1000, r.p999 / 1000,
	    seconds, in ? "" : " and some are dropped");
	fflush(stdout);
	close(to[1]);
	close(from[0]);
	waitpid(pid, &status, 0);
	clients_leave(0, w.clients);
	server_stop();
}

static void
storms(void)
{
	int s;

	if (certs == NULL)
		return;
	title("Deliveries to 500 by ws://, 100 a second, ms: calm, and while "
	    "5,000 by wss:// come\nback at once (for so many seconds)",
	    " calm p50      p99    p99.9      p50      p99    p99.9   "
	    "seconds");
	for (s = 0; s < SERVERS; s++)
		if (s != BARE && server_there(s))
			storm(s);
}

/* ------------------------------------------------------------ slow readers */

/* Of 200 clients some do not read: what do the others notice? */
static struct result
with_slow(enum which server, unsigned slow, double *memory)
{
	struct work w = FAN(200, 4000, 1, 2500);
	static const int small = 4096;
	struct result r;
	unsigned i;

	if (rounds == 1)
		w.messages = 100;
	w.slow = slow;
	server_start(server, w.clients);
	clients_join(0, w.clients, 64, 0);
	for (i = 0; i < slow; i++)
		setsockopt(client[i].link.fd, SOL_SOCKET, SO_RCVBUF, &small,
		    sizeof small);
	server_settle();
	*memory = server_memory();
	r = deliver(&w);
	*memory = server_memory() - *memory;
	clients_leave(0, w.clients);
	server_stop();
	return r;
}

static void
slow_readers(void)
{
	double p99[2][ROUNDS], us[2][ROUNDS], memory = 0;
	struct result r;
	int s, i, k;

	title("10 of 200 do not read 10 MB: the others' p99, us, and the "
	    "server's CPU us a delivery",
	    "      p99  without  ratio       us  without  ratio   memory");
	for (s = 0; s < SERVERS; s++) {
		if (s == BARE || !server_there(s))
			continue;
		for (i = 0; i < rounds; i++)
			for (k = 0; k < 2; k++) {
				r = with_slow(s, k ? 10 : 0, &memory);
				p99[k][i] = r.p99;
				us[k][i] = r.us;
			}
		for (k = 0; k < 2; k++) {
			p99[k][0] = median(p99[k], rounds);
			us[k][0] = median(us[k], rounds);
		}
		printf("%-31s %8.0f %8.0f %6.2f %8.3f %8.3f %6.2f %5.1f MB\n",
		    server_names[s], p99[1][0], p99[0][0], p99[1][0] / p99[0][0],
		    us[1][0], us[0][0], us[1][0] / us[0][0], memory / 1e6);
		fflush(stdout);
	}
}

static void
interrupted(int number)
{
	(void)number;
	errno = EINTR;
	give_up("bench");
}

int
main(int argc, char **argv)
{
	static char path[4096];
	const char *group;
	struct rlimit lim;

	if (argc < 4 || argc > 5 || getrlimit(RLIMIT_NOFILE, &lim) != 0) {
		fprintf(stderr, "usage: bench WSHUB CERTS ROWS "
		    "[quick|sessions|watch|relay]\n");
		return 2;
	}
	if (clients_tls() && strcmp(argv[2], "-") != 0)
		certs = realpath(argv[2], path);
	if (argc == 5 && strcmp(argv[4], "quick") == 0)
		rounds = 1;
	rows = fopen(argv[3], "we");
	if (rows == NULL)
		give_up(argv[3]);
	lim.rlim_cur = lim.rlim_max;
	setrlimit(RLIMIT_NOFILE, &lim);
	srand((unsigned)getpid());
	signal(SIGPIPE, SIG_IGN);
	signal(SIGINT, interrupted);
	signal(SIGTERM, interrupted);
	servers_open(argv[1], getenv("OLD"));
	if (lim.rlim_cur < CLIENTS_MAX + 500) {
		errno = EMFILE;
		give_up("16,500 descriptors are wanted (ulimit -n)");
	}
	group = argc < 5 || rounds == 1 ? "" : argv[4];
	if (*group == '\0') {
		deliveries();
		encrypted();
		entrances();
		storms();
		slow_readers();
		hostile();
	}
	if (*group == '\0' || strcmp(group, "sessions") == 0)
		sessions();
	if (*group == '\0' || strcmp(group, "watch") == 0)
		watchers();
	if (*group == '\0' || strcmp(group, "relay") == 0)
		relays();
	servers_close();
	return fclose(rows) != 0;
}
