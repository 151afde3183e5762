/* wshub: ISC licence, see LICENSE. */
/*
 * What the others notice of a peer that does its worst: see bench.h.
 *
 * The peer, or the clients that only have to be there, are a process of their
 * own, the crowd. What it counts is in memory that it shares with this process,
 * which measures. Each row is of one hub; with OLD there is one of each.
 */
#define _GNU_SOURCE
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

#define TINY "{\"action\":\"multicast\",\"data\":1}"
#define BURST (256 * 1024)
#define SAMPLES 100000
#define TIMEOUT 120000000000 /* ns for anything */

enum { WAITING, READY, WORKING }; /* stages of a crowd */

/* Clients from to from + n - 1, all of which read, and what else they do. */
struct crowd {
	unsigned from, n;
	unsigned pings;      /* that each sends when one was answered */
	const char *object;  /* a backend pipelines it without end, or NULL */
	int busy;            /* it gets a share of the CPU, not the rest */
};

static struct shared {
	volatile int stage;
	volatile unsigned long frames, pings, pongs, gone;
	volatile unsigned long entered; /* numbers in entrance */
	double entrance[SAMPLES];       /* ms */
} *shared;

/* -------------------------------------------------------------- the crowd */

/* A backend's next objects, as far as they go, and its replies. */
static void
pipeline(int fd, const char *object)
{
	static char text[1 << 16], replies[1 << 16];
	static size_t len, at;
	ssize_t n;

	for (; len + strlen(object) < sizeof text; len += strlen(object))
		memcpy(text + len, object, strlen(object));
	while (recv(fd, replies, sizeof replies, MSG_DONTWAIT) > 0)
		;
	n = send(fd, text + at, len - at, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n == -1 && errno != EAGAIN)
		give_up("the pipelining backend");
	if (n > 0)
		at = (at + (size_t)n) % len;
}

/* Reads what came to a client, and sends what that is an occasion for. */
static void
attend(const struct crowd *w, struct member *c)
{
	unsigned long frames = c->frames, pings = c->pings, pongs = c->pongs;

	(void)client_take(c, NULL, 0);
	shared->frames += c->frames - frames;
	shared->pings += c->pings - pings;
	shared->pongs += c->pongs - pongs;
	if (w->pings != 0 && c->pongs != pongs && !c->gone)
		client_ping(c, w->pings);
	if (c->gone) {
		shared->gone++;
		close(c->link.fd);
	}
}

static void
be_crowd(const struct crowd *w)
{
	static struct epoll_event ready[256];
	struct epoll_event e = { 0 };
	int ep = epoll_create1(0), backend = -1, n, k;
	unsigned i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	clients_may_go = 1;
	if (!w->busy)
		yield_to_meter();
	clients_join(w->from, w->from + w->n, 64, 0);
	if (w->object != NULL)
		backend = server_backend();
	for (i = w->from; i < w->from + w->n; i++) {
		e.events = EPOLLIN;
		e.data.u32 = i;
		if (epoll_ctl(ep, EPOLL_CTL_ADD, client[i].link.fd, &e) != 0)
			give_up("epoll");
	}
	shared->stage = READY;
	while (shared->stage != WORKING)
		usleep(1000);
	e.events = EPOLLIN | EPOLLOUT;
	e.data.u32 = CLIENTS_MAX;
	if (backend != -1 && epoll_ctl(ep, EPOLL_CTL_ADD, backend, &e) != 0)
		give_up("epoll");
	for (i = w->from; w->pings != 0 && i < w->from + w->n; i++)
		client_ping(&client[i], w->pings);
	for (;;) {
		n = epoll_wait(ep, ready, 256, -1);
		for (k = 0; k < n; k++)
			if (ready[k].data.u32 == CLIENTS_MAX)
				pipeline(backend, w->object);
			else
				attend(w, &client[ready[k].data.u32]);
	}
}

/* Begins one, and returns once its clients are in. */
static pid_t
crowd(const struct crowd *w)
{
	pid_t pid;
	int status;

	memset(shared, 0, sizeof *shared);
	fflush(stdout);
	pid = fork();
	if (pid == 0)
		be_crowd(w);
	while (pid != -1 && shared->stage != READY) {
		usleep(1000);
		if (waitpid(pid, &status, WNOHANG) == pid)
			pid = -1;
	}
	if (pid == -1)
		give_up("a crowd");
	usleep(200000);
	return pid;
}

static void
disperse(pid_t pid)
{
	int status;

	kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status))
		give_up("a crowd that ended by itself");
}

/* ---------------------------------------------------------------- figures */

/* A row's: p50, p99 and max of two kinds of time, and three more. */
enum { PEAK = 6, RATE, CUT_OFF, FIGURES };

static const double parts[] = { 0.5, 0.99, 1 };

/* Medians of the rounds; but the greatest maximum, peak and number cut off. */
static void
sum_up(double f[][FIGURES], int n, double *all)
{
	double x[ROUNDS];
	int i, k;

	for (k = 0; k < FIGURES; k++) {
		for (i = 0; i < n; i++)
			x[i] = f[i][k];
		all[k] = quantile(x, (unsigned long)n, k % 3 == 2 ||
		    k == PEAK ? 1 : 0.5);
	}
}

static void
print_figures(const double *f)
{
	int k;

	for (k = 0; k < FIGURES; k++)
		printf(" %8.*f", k == CUT_OFF ? 0 : k == PEAK ? 1 : 2, f[k]);
}

/* "old: words" or just the words. */
static void
print_name(enum which server, const char *words)
{
	char name[64];

	snprintf(name, sizeof name, "%s%s", server == OLD ? "old: " : "",
	    words);
	printf("%-31s", name);
}

/* --------------------------------------------------------------- fairness */

static void
sleep_until(int64_t t)
{
	int64_t early = t - now();

	if (early > 0)
		usleep((useconds_t)(early / 1000));
}

/*
 * What was due at *due is done: notes how long that took, and moves *due on. A
 * stall counts for all that would have been due in it, and would be done now.
 */
static void
note_times(double *times, volatile unsigned long *n, int64_t *due,
    int64_t every)
{
	int64_t t = now();

	for (; *due <= t; *due += every)
		if (*n < SAMPLES)
			times[(*n)++] = (double)(t - *due) / 1e6;
}

/*
 * Lets a client enter every 20 ms until then, and notes how long each took. The
 * last one may take longer: what hangs is measured as well.
 */
static pid_t
newcomer(unsigned i, int64_t until)
{
	pid_t pid = fork();
	int64_t due = now();

	if (pid != 0)
		return pid;
	while (due < until) {
		sleep_until(due);
		clients_join(i, i + 1, 1, 0);
		note_times(shared->entrance, &shared->entered, &due, 20000000);
		clients_leave(i, i + 1);
	}
	_exit(0);
}

/* One backend and one newcomer at a time beside another backend, or none. */
static void
beside(enum which server, const char *object, double seconds, double *f)
{
	static double reply[SAMPLES];
	struct crowd w = { .n = rounds == 1 ? 200 : 3000, .object = object };
	double idle;
	unsigned long n = 0, frames;
	int64_t begun, until, due;
	pid_t pid, other;
	int backend, status, i;

	server_start(server, 0);
	pid = crowd(&w);
	backend = server_backend();
	idle = server_memory();
	server_forget_peak();
	shared->stage = WORKING;
	usleep(200000);
	begun = due = now();
	frames = shared->frames;
	until = begun + (int64_t)(seconds * 1e9);
	other = newcomer(w.n, until);
	while (due < until) {
		sleep_until(due);
		server_ask(backend, "{\"action\":\"sendToDevice\","
		    "\"device\":\"nobody\",\"data\":1}", "OK 0\n");
		note_times(reply, &n, &due, 5000000);
	}
	if (other == -1 || waitpid(other, &status, 0) != other || status != 0)
		give_up("a newcomer");
	f[RATE] = (double)(shared->frames - frames) / 1e6 /
	    ((double)(now() - begun) / 1e9);
	f[PEAK] = (server_peak() - idle) / 1e6;
	f[CUT_OFF] = (double)shared->gone;
	for (i = 0; i < 3; i++) {
		f[i] = quantile(reply, n, parts[i]);
		f[3 + i] = quantile(shared->entrance, shared->entered,
		    parts[i]);
	}
	disperse(pid);
	close(backend);
	server_stop();
}

static void
fairness(void)
{
	static const struct {
		const char *name, *object;
	} table[] = {
		{ "no other backend", NULL },
		{ "it pipelines objects", TINY },
		{ "it pipelines lines", TINY "\n" }
	};
	double f[OLD + 1][ROUNDS][FIGURES], all[FIGURES], rate = 0;
	int n = rounds == 1 ? 1 : 3, i, s;
	size_t k;

	title("3,000 clients, and a backend that pipelines multicasts of 31 B: "
	    "another backend's\nreply, due every 5 ms, and a new client's "
	    "first message, due every 20 ms, in ms;\nthe hub's peak beyond "
	    "idle, MB; deliveries, millions a second; clients cut off",
	    "reply p50      p99      max  new p50      p99      max     peak"
	    "      M/s  cut off ours/old");
	for (k = 0; k < sizeof table / sizeof *table; k++) {
		for (i = 0; i < n; i++)
			for (s = OLD; s >= OURS; s--)
				if (server_there(s))
					beside(s, table[k].object,
					    rounds == 1 ? 1 : 8, f[s][i]);
		for (s = OLD; s >= OURS; s--) {
			if (!server_there(s))
				continue;
			sum_up(f[s], n, all);
			print_name(s, table[k].name);
			print_figures(all);
			if (s == OURS && server_there(OLD) && rate > 0)
				printf(" %8.2f", all[RATE] / rate);
			putchar('\n');
			fflush(stdout);
			rate = all[RATE];
		}
	}
}

/* ----------------------------------------------------- silent connections */

/* CPU us of a sendToDevice to one of 10, without them and with them. */
static void
beside_silent(enum which server, unsigned n, double us[2])
{
	struct work w = ONE(10);
	int k;

	if (rounds == 1)
		w.messages /= 10;
	server_start(server, 0);
	clients_join(0, w.clients, 64, 0);
	server_settle();
	for (k = 0; k < 2; k++) {
		if (k == 1)
			clients_connect(w.clients, w.clients + n);
		usleep(300000); /* they are accepted, and in for 10 s */
		us[k] = deliver(&w).us;
	}
	clients_leave(0, w.clients + n);
	server_stop();
}

static void
silent_connections(void)
{
	unsigned n = rounds == 1 ? 1000 : 4000;
	double us[2][ROUNDS], ratio[ROUNDS], both[2];
	int s, i;

	title("4,000 TCP connections that never say a byte: CPU of the hub a "
	    "sendToDevice to one of\n10, us", "     with  without  ratio");
	for (s = OLD; s >= OURS; s--) {
		if (!server_there(s))
			continue;
		for (i = 0; i < rounds; i++) {
			beside_silent(s, n, both);
			us[0][i] = both[0];
			us[1][i] = both[1];
			ratio[i] = both[1] / both[0];
		}
		print_name(s, "silent connections");
		printf(" %8.3f %8.3f %6.2f\n", median(us[1], rounds),
		    median(us[0], rounds), median(ratio, rounds));
		fflush(stdout);
	}
}

/* ------------------------------------------------------------------ pings */

/* To some clients at 20 messages a second, calm and beside pinging ones. */
static void
beside_pings(enum which server, double *f)
{
	struct work w = FAN(500, 200, 64, 100);
	struct crowd pingers = { .from = 500, .n = 200, .pings = 680 };
	struct result r;
	double idle = 0;
	int64_t begun = 0;
	pid_t pid;
	int k;

	w.pause = 50000000;
	if (rounds == 1)
		w.messages = 20;
	server_start(server, w.clients);
	clients_join(0, w.clients, 64, 0);
	server_settle();
	pid = crowd(&pingers);
	for (k = 0; k < 2; k++) {
		if (k == 1) {
			idle = server_memory();
			server_forget_peak();
			shared->stage = WORKING;
			usleep(100000);
			begun = now();
			shared->pongs = 0;
		}
		r = deliver(&w);
		f[3 * k] = r.p50 / 1000;
		f[3 * k + 1] = r.p99 / 1000;
		f[3 * k + 2] = r.max / 1000;
	}
	f[PEAK] = (server_peak() - idle) / 1e6;
	f[RATE] = (double)shared->pongs / 1e6 / ((double)(now() - begun) / 1e9);
	f[CUT_OFF] = (double)shared->gone;
	disperse(pid);
	clients_leave(0, w.clients);
	server_stop();
}

static void
pings(void)
{
	double f[OLD + 1][ROUNDS][FIGURES], all[FIGURES];
	int n = rounds == 1 ? 1 : 3, i, s;

	title("Deliveries to 500 clients, 20 a second, ms: calm, and while 200 "
	    "others send Pings as\nfast as they can, 4 KB at a time; the "
	    "hub's peak, MB; Pongs, millions a second",
	    " calm p50      p99      max      p50      p99      max     peak"
	    "      M/s  cut off");
	for (i = 0; i < n; i++)
		for (s = OLD; s >= OURS; s--)
			if (server_there(s))
				beside_pings(s, f[s][i]);
	for (s = OLD; s >= OURS; s--) {
		if (!server_there(s))
			continue;
		sum_up(f[s], n, all);
		print_name(s, "pings");
		print_figures(all);
		putchar('\n');
		fflush(stdout);
	}
}

/* -------------------------------------------------------- a preempted hub */

/*
 * Stops the hub for 70 ms in every 100, as a container's CPU limit does. It
 * ends with its parent, and never leaves the hub stopped.
 */
static pid_t
preempt(void)
{
	pid_t parent = getpid(), pid = fork();

	while (pid == 0) {
		server_signal(SIGSTOP);
		usleep(70000);
		server_signal(SIGCONT);
		if (getppid() != parent || shared->stage != WORKING)
			_exit(0);
		usleep(30000);
	}
	return pid;
}

static void
preempted(void)
{
	struct crowd quiet = { .from = 1, .n = 5000, .busy = 1 };
	struct work w = { .clients = 1, .size = 200, .ahead = 16,
	    .messages = 4000000 };
	struct result r;
	double seconds = rounds == 1 ? 4 : 40, longest;
	unsigned long dropped;
	int64_t until;
	pid_t pid, other;
	int s, status;

	if (rounds == 1)
		quiet.n = 1000;
	title("A hub with --ping 2 and 5,000 quiet clients, stopped 70 ms in "
	    "every 100 for 40 s, while\na backend keeps it busy with one "
	    "client: how many were dropped as silent, their Pongs\na second, "
	    "and the longest that a delivery to the one took, ms",
	    "  dropped  Pongs/s      max");
	server_ping = 2;
	clients_may_go = 1;
	for (s = OLD; s >= OURS; s--) {
		if (!server_there(s))
			continue;
		server_start(s, 0);
		clients_join(0, 1, 1, 0);
		server_settle();
		pid = crowd(&quiet);
		shared->stage = WORKING;
		shared->pings = 0;
		other = preempt();
		dropped = 0;
		longest = 0;
		until = now() + (int64_t)(seconds * 1e9);
		while ((w.lasting = until - now()) > 0) {
			r = deliver(&w);
			if (r.max > longest)
				longest = r.max;
			if (!client[0].gone)
				continue;
			dropped++;
			clients_leave(0, 1);
			clients_join(0, 1, 1, 0);
		}
		shared->stage = READY;
		if (other == -1 || waitpid(other, &status, 0) != other)
			give_up("whoever stops the hub");
		print_name(s, "preempted");
		printf(" %8lu %8.0f %8.2f\n", shared->gone + dropped,
		    (double)shared->pings / seconds, longest / 1000);
		fflush(stdout);
		disperse(pid);
		clients_leave(0, 1);
		server_stop();
	}
	server_ping = 0;
	clients_may_go = 0;
}

/* ----------------------------------------------------------- memory peaks */

/* Resident bytes beyond idle while a burst is delivered, and ns that takes. */
static void
burst_to(enum which server, unsigned n, double *peak, double *ms)
{
	static char text[BURST];
	struct crowd w = { .n = n, .busy = 1 };
	size_t each = strlen(TINY), len = 0;
	unsigned long due;
	int backend;
	double idle;
	int64_t begun;
	pid_t pid;

	for (; len + each <= sizeof text; len += each)
		memcpy(text + len, TINY, each);
	due = len / each * n;
	server_start(server, 0);
	pid = crowd(&w);
	backend = server_backend();
	idle = server_memory();
	server_forget_peak();
	shared->stage = WORKING;
	begun = now();
	put_all(backend, text, len);
	/* Of a client that is cut off the rest never comes. */
	while (shared->frames < due && shared->gone == 0) {
		usleep(10000);
		if (now() - begun > TIMEOUT)
			give_up("a burst");
	}
	*ms = (double)(now() - begun) / 1e6;
	*peak = server_peak() - idle;
	if (shared->gone != 0)
		fprintf(stderr, "bench: a burst: clients were cut off\n");
	disperse(pid);
	close(backend);
	server_stop();
}

static void
bursts(void)
{
	unsigned n = rounds == 1 ? 200 : 9000;
	int times = rounds == 1 ? 1 : 3, s, i;
	double peak[ROUNDS], ms[ROUNDS];

	title("256 KiB of multicasts of 31 B in one write, to 9,000 that read: "
	    "the hub's peak beyond\nidle, MB, and when all had come, ms",
	    "     peak       ms");
	for (s = OLD; s >= OURS; s--) {
		if (!server_there(s))
			continue;
		for (i = 0; i < times; i++)
			burst_to(s, n, &peak[i], &ms[i]);
		print_name(s, "burst");
		printf(" %8.1f %8.0f\n",
		    quantile(peak, (unsigned long)times, 1) / 1e6,
		    median(ms, times));
		fflush(stdout);
	}
}

/* The longest record (RFC 5246, section 6.2.3) whose last bytes never come. */
static void
unfinished_records(void)
{
	static const unsigned char record[5 + 16384] = { 23, 3, 3, 0x40, 0x18 };
	unsigned n = rounds == 1 ? 200 : 2000, i;
	double idle, peak;
	int s;

	if (certs == NULL)
		return;
	title("2,000 clients by wss://, each with an unfinished TLS record of "
	    "16 KB: the hub's peak\nbeyond idle, MB, and bytes a client",
	    "     peak    bytes");
	for (s = OLD; s >= OURS; s--) {
		if (!server_there(s))
			continue;
		server_start(s, 0);
		clients_join(0, 1, 1, 1);
		clients_join(1, n, 16, 2);
		server_settle();
		idle = server_memory();
		server_forget_peak();
		for (i = 0; i < n; i++)
			put_all(client[i].link.fd, record, sizeof record);
		usleep(500000);
		peak = server_peak() - idle;
		print_name(s, "unfinished records");
		printf(" %8.1f %8.0f\n", peak / 1e6, peak / n);
		fflush(stdout);
		clients_leave(0, n);
		server_stop();
	}
}

/* ----------------------------------------------------------- wrong tokens */

/* Connects as often as it can with a token that is not signed. */
static void
be_stranger(void)
{
	static const struct linger reset = { 1, 0 };
	enum { TOGETHER = 64 };
	struct member *c = client + CLIENTS_MAX - TOGETHER;
	char request[TOLD_MAX], answer[512], *p;
	int n, i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	yield_to_meter();
	n = server_greet(0, NULL, 0, request);
	/* Of the signature the first byte, which has no bits to spare. */
	p = strchr(strstr(request, "&token="), ' ') - 43;
	*p = *p == 'A' ? 'B' : 'A';
	for (;;) {
		clients_connect(CLIENTS_MAX - TOGETHER, CLIENTS_MAX);
		for (i = 0; i < TOGETHER; i++)
			put_all(c[i].link.fd, request, (size_t)n);
		for (i = 0; i < TOGETHER; i++) {
			if (recv(c[i].link.fd, answer, 12, MSG_WAITALL) != 12 ||
			    memcmp(answer, "HTTP/1.1 401", 12) != 0)
				shared->gone++;
			shared->frames++;
			setsockopt(c[i].link.fd, SOL_SOCKET, SO_LINGER, &reset,
			    sizeof reset);
			close(c[i].link.fd);
		}
	}
}

/* Of our hub alone: an old one may know no tokens. */
static void
wrong_tokens(void)
{
	struct work w = FAN(500, 200, 64, 200);
	unsigned long before = 0;
	struct result r;
	int64_t begun = 0;
	double cpu = 0, n = 0;
	pid_t pid = 0;
	int k;

	title("Deliveries to 500 clients that have a token, 20 a second, ms: "
	    "calm, and while others come\nwith a wrong one as fast as they "
	    "can; these, thousands a second, the hub's CPU for each, us,\nand "
	    "how many did not get a 401",
	    " calm p50      p99      max      p50      p99      max   k a s"
	    "       us  no 401");
	w.pause = 50000000;
	if (rounds == 1)
		w.messages = 20;
	server_tokens = 1;
	server_start(OURS, w.clients);
	clients_join(0, w.clients, 64, 0);
	server_settle();
	memset(shared, 0, sizeof *shared);
	print_name(OURS, "wrong tokens");
	fflush(stdout);
	for (k = 0; k < 2; k++) {
		if (k == 1 && (pid = fork()) == 0)
			be_stranger();
		if (pid == -1)
			give_up("fork");
		usleep(200000);
		before = shared->frames;
		begun = now();
		cpu = server_cpu();
		r = deliver(&w);
		printf(" %8.2f %8.2f %8.2f", r.p50 / 1000, r.p99 / 1000,
		    r.max / 1000);
	}
	n = (double)(shared->frames - before);
	printf(" %7.1f %8.1f %7lu\n", n / ((double)(now() - begun) / 1e6),
	    (server_cpu() - cpu) / 1e3 / n, shared->gone);
	fflush(stdout);
	disperse(pid);
	clients_leave(0, w.clients);
	server_stop();
	server_tokens = 0;
}

/* see bench.h */
void
hostile(void)
{
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		give_up("shared memory");
	fairness();
	silent_connections();
	pings();
	preempted();
	bursts();
	unfinished_records();
	wrong_tokens();
	munmap(shared, sizeof *shared);
}
