/* wshub: ISC licence, see LICENSE. */
/*
 * What resumable sessions, tokens and names cost: see bench.h.
 */
#define _GNU_SOURCE
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

/* The first of n kinds over each other: medians of the rounds. */
static void
print_ratios(double (*x)[ROUNDS], int n)
{
	double ratio[ROUNDS];
	int i, k;

	for (k = 1; k < n; k++) {
		for (i = 0; i < rounds; i++)
			ratio[i] = x[0][i] / x[k][i];
		printf(" %8.2f", median(ratio, rounds));
	}
	putchar('\n');
	fflush(stdout);
}

static void
print_medians(double (*x)[ROUNDS], int n)
{
	double copy[ROUNDS];
	int k;

	for (k = 0; k < n; k++) {
		memcpy(copy, x[k], sizeof copy);
		printf(" %8.3f", median(copy, rounds));
	}
}

/* ---------------------------------------------------------------- fan-out */

/* With 400 messages each session confirms twice what it has received. */
static void
fan_out(void)
{
	struct work w = FAN(1000, 200, 1, 400);
	double us[3][ROUNDS];
	int i, k;

	if (rounds == 1)
		w.clients = 100;
	title("Fan-out to sessions that can be resumed, and that answer Pings, "
	    "us a delivery; beside\nclients without a session, and bare",
	    " sessions   plain      bare  x plain   x bare");
	for (i = 0; i < rounds; i++)
		for (k = 2; k >= 0; k--) {
			w.session = k == 0;
			us[k][i] = run(k == 2 ? BARE : OURS, &w).us;
		}
	printf("%-31s", "to 1,000 sessions of 200 B");
	print_medians(us, 3);
	print_ratios(us, 3);
}

/* ----------------------------------------------------------------- memory */

/* Resident bytes of a session that is away, with n messages kept. */
static double
away(unsigned n, unsigned messages)
{
	char reply[32], object[300];
	double bytes;
	int backend;
	unsigned i;

	server_start(OURS, 0);
	backend = server_backend();
	clients_join(n, n + 100, 16, 0);
	clients_leave(n, n + 100);
	usleep(200000);
	bytes = server_memory();
	clients_session = NEW_SESSION;
	clients_join(0, n, 16, 0);
	clients_session = NO_SESSION;
	clients_leave(0, n);
	usleep(500000);
	sprintf(reply, "OK %u\n", n);
	sprintf(object, "{\"action\":\"multicast\",\"data\":\"%0200d\"}", 0);
	for (i = 0; i < messages; i++)
		server_ask(backend, object, reply);
	bytes = (server_memory() - bytes) / n;
	close(backend);
	server_stop();
	return bytes;
}

static void
memory(void)
{
	unsigned n = rounds == 1 ? 500 : 5000;
	double plain, idle;

	handshakes(OURS, 0, n, &plain);
	clients_session = NEW_SESSION;
	handshakes(OURS, 0, n, &idle);
	clients_session = NO_SESSION;
	title("Resident bytes of a session that can be resumed: idle, and away "
	    "with 10 messages of\n200 B kept that are for all; beside an idle "
	    "client without one", "     idle     away    plain");
	printf("%-31s %8.0f %8.0f %8.0f\n", "session's bytes", idle,
	    away(n, 10), plain);
	fflush(stdout);
}

/* ------------------------------------------------------------------ storm */

enum {
	GROUPS = 250,       /* a message is for the clients of one */
	STAY = 2 * GROUPS,  /* clients that keep their connection */
	NUMBERS_MAX = 1000  /* of messages for each */
};

enum { WAITING, READY, BREAK, BACK, DONE };

static struct shared {
	volatile int stage;
	volatile unsigned published;
	unsigned lost, twice, unordered, anew;
} *shared;

static unsigned char (*came)[NUMBERS_MAX];

/* Reads what is there, and notes the numbers of the messages. */
static void
hear(struct member *c)
{
	static unsigned marks[1024];
	unsigned n = client_take(c, marks, 1024), number, i;

	if (n > 1024)
		give_up("more messages than were sent");
	for (i = 0; i < n; i++) {
		number = marks[i] / GROUPS;
		if (number >= NUMBERS_MAX ||
		    marks[i] % GROUPS != (unsigned)(c - client) % GROUPS)
			give_up("a message for somebody else");
		if (came[c - client][number]++ != 0)
			shared->twice++;
		else if (marks[i] < c->next)
			shared->unordered++;
		else
			c->next = marks[i] + GROUPS;
	}
}

static unsigned
missing(unsigned from, unsigned end)
{
	unsigned n = 0, i, m;

	for (i = from; i < end; i++)
		for (m = i % GROUPS; m < shared->published; m += GROUPS)
			n += came[i][m / GROUPS] == 0;
	return n;
}

/* Hears all of them until a stage, or for so many ns. */
static void
hear_all(unsigned from, unsigned end, int stage, int64_t lasting)
{
	static struct epoll_event ready[256];
	int64_t until = now() + lasting;
	struct epoll_event e = { 0 };
	int ep = epoll_create1(0), n, k;
	unsigned i;

	for (i = from; i < end; i++) {
		e.events = EPOLLIN;
		e.data.u32 = i;
		if (epoll_ctl(ep, EPOLL_CTL_ADD, client[i].link.fd, &e) != 0)
			give_up("epoll");
		hear(&client[i]); /* it may have come with the answer */
	}
	while (now() < until && shared->stage < stage) {
		n = epoll_wait(ep, ready, 256, 10);
		for (k = 0; k < n; k++)
			hear(&client[ready[k].data.u32]);
	}
	close(ep);
}

/*
 * The sessions: all connections break when messages are on their way that were
 * sent, and not read.
 */
static void
be_sessions(unsigned from, unsigned end, int back)
{
	const int64_t long_time = (int64_t)120 * 1000000000;
	unsigned i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	yield_to_meter();
	came = calloc(end, sizeof *came);
	if (came == NULL)
		give_up("memory");
	clients_session = NEW_SESSION;
	clients_join(from, end, 64, 0);
	server_settle();
	shared->stage = READY;
	hear_all(from, end, BREAK, long_time);
	usleep(500000);
	clients_leave(from, end);
	clients_session = OLD_SESSION;
	clients_join(from, end, end - from, 0);
	for (i = from; i < end; i++)
		shared->anew += client[i].lost != 0;
	shared->stage = BACK;
	hear_all(from, end, DONE, 1000000000);
	if (write(back, "", 1) != 1)
		give_up("pipe");
	hear_all(from, end, DONE, long_time);
	for (i = 0; i < 20 && missing(from, end) != 0; i++)
		hear_all(from, end, DONE + 1, 500000000);
	shared->lost = missing(from, end);
	_exit(0);
}

/* Sessions lose their connections and come back all at once, by ws://. */
static void
storm(void)
{
	struct work w = FAN(STAY, 200, 1000, 3000);
	unsigned n = rounds == 1 ? 500 : 5000;
	struct result calm, r;
	int back[2], status;
	double seconds = 0;
	int64_t begun;
	pid_t pid;

	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED || pipe(back) != 0)
		give_up("shared memory");
	title("1,000 messages a second, each to 22 clients: 2 that stay and 20 "
	    "of 5,000 sessions, which\nbreak and come back at once: the "
	    "sessions' messages lost, twice, out of order, and\nsessions "
	    "begun anew; deliveries to those that stay, ms, calm and then",
	    "     lost    twice unordered    anew calm p50      p99      p50"
	    "      p99    p99.9  seconds");
	if (rounds == 1)
		w.messages = 1000;
	w.pause = 1000000;
	server_ping = 2;
	server_groups = GROUPS;
	server_start(OURS, STAY + n);
	clients_join(0, STAY, 64, 0);
	fflush(stdout);
	pid = fork();
	if (pid == 0)
		be_sessions(STAY, STAY + n, back[1]);
	close(back[1]);
	while (pid != -1 && shared->stage != READY) {
		usleep(1000);
		if (waitpid(pid, &status, WNOHANG) == pid)
			pid = -1;
	}
	if (pid == -1)
		give_up("the sessions");
	calm = deliver(&w);
	w.first = calm.published;
	w.messages = GROUPS * (NUMBERS_MAX - 20);
	w.end = back[0];
	begun = now();
	shared->stage = BREAK;
	r = deliver(&w);
	seconds = (double)(now() - begun) / 1e9;
	shared->published = w.first + r.published;
	shared->stage = DONE;
	if (waitpid(pid, &status, 0) != pid || status != 0)
		give_up("the sessions");
	printf("%-31s %8u %8u %8u %8u %8.2f %8.2f %8.2f %8.2f %8.2f %8.1f\n",
	    "sessions that come back", shared->lost, shared->twice,
	    shared->unordered, shared->anew, calm.p50 / 1000, calm.p99 / 1000,
	    r.p50 / 1000, r.p99 / 1000, r.p999 / 1000, seconds);
	fflush(stdout);
	close(back[0]);
	clients_leave(0, STAY);
	server_stop();
	server_ping = 0;
	server_groups = 1;
	munmap(shared, sizeof *shared);
}

/* ------------------------------------------------------- tokens and names */

/* CPU us of a subscription of each of n clients, and those that are in. */
static double
subscribe(enum which server, unsigned n)
{
	double cpu;

	server_start(server, n);
	clients_join(0, n, 64, 0);
	usleep(200000);
	server_groups = n;
	cpu = server_cpu();
	server_settle();
	cpu = (server_cpu() - cpu) / 1000 / n;
	server_groups = 1;
	clients_leave(0, n);
	server_stop();
	return cpu;
}

enum { ENTER, SUBSCRIBE, SEND_CHANNEL, SEND_DEVICE, KINDS };

static double
cost(int kind, enum which server)
{
	struct work channel = FAN(1000, 200, 4, 4000), device = ONE(1000);
	unsigned n = rounds == 1 ? 100 : 2000;
	double us, bytes;

	switch (kind) {
	case ENTER:
		return handshakes(server, 0, n, &bytes);
	case SUBSCRIBE:
		return subscribe(server, n);
	}
	if (rounds == 1) {
		channel.clients = device.clients = 200;
		channel.messages = device.messages = 1000;
	}
	if (kind == SEND_DEVICE)
		return run(server, &device).us;
	server_groups = channel.clients / 2;
	us = run(server, &channel).us;
	server_groups = 1;
	return us;
}

static void
names(void)
{
	static const char *const kind_names[KINDS] = {
		"ws with a token", "subscribe", "sendToChannel, 500 of 2",
		"sendToDevice, one of 1,000"
	};
	double us[3][ROUNDS];
	int n = server_there(OLD) ? 3 : 2, kind, i, k;

	title("CPU of the hub, us, for clients with a token that names them, "
	    "beside clients without:\none that enters, a subscription, each "
	    "to a channel of its own, and a delivery", n == 3 ?
	    "    named     none      old   x none    x old" :
	    "    named     none   x none");
	for (kind = 0; kind < KINDS; kind++) {
		for (i = 0; i < rounds; i++)
			for (k = n - 1; k >= 0; k--) {
				server_tokens = k == 0;
				us[k][i] = cost(kind, k == 2 ? OLD : OURS);
			}
		server_tokens = 0;
		printf("%-31s", kind_names[kind]);
		print_medians(us, n);
		print_ratios(us, n);
	}
}

/* see bench.h */
void
sessions(void)
{
	fan_out();
	memory();
	storm();
	names();
}
