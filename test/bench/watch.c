/* wshub: ISC licence, see LICENSE. */
/*
 * What events, snapshots and lists cost: see bench.h.
 */
#define _GNU_SOURCE
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "../../ws.h"

#define WATCH "{\"action\":\"watch\"}"
#define SNAPSHOT "{\"action\":\"watch\",\"snapshot\":true}"
#define LIST "{\"action\":\"list\"}"

static unsigned
occurrences(const char *p, size_t len, char c)
{
	const char *end = p + len;
	unsigned n = 0;

	while ((p = memchr(p, c, (size_t)(end - p))) != NULL) {
		n++;
		p++;
	}
	return n;
}

/* Waits until the hub says that it has so many devices. */
static void
expect_count(int backend, unsigned n)
{
	static const char count[] = "{\"action\":\"count\"}\n";
	char reply[32], answer[32];
	int tries;
	ssize_t len;

	sprintf(reply, "OK %u\n", n);
	for (tries = 0; tries < 500; tries++) {
		put_all(backend, count, sizeof count - 1);
		len = recv(backend, answer, sizeof answer - 1, 0);
		if (len <= 0)
			break;
		answer[len] = '\0';
		if (strcmp(answer, reply) == 0)
			return;
		usleep(20000);
	}
	give_up("the number of devices");
}

/* ------------------------------------------------- connect and disconnect */

#define BATCHES_ROOT 8 /* the square root of the number of batches */

/* Reads exactly so many lines, in a process of its own. */
static pid_t
read_lines(int fd, unsigned lines)
{
	static char in[1 << 16];
	pid_t pid = fork();
	ssize_t n;

	if (pid == -1)
		give_up("fork");
	if (pid != 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	alarm(60);
	while (lines > 0) {
		n = recv(fd, in, sizeof in, 0);
		if (n <= 0 || occurrences(in, (size_t)n, '\n') > lines)
			_exit(1);
		lines -= occurrences(in, (size_t)n, '\n');
	}
	_exit(0);
}

/* CPU us of the hub for a client that connects and disconnects. */
static double
pair(int backend, unsigned n, unsigned together, int watched)
{
	int fd = server_backend(), status = 0;
	pid_t pid = 0;
	double cpu;

	if (watched) {
		server_ask(fd, WATCH, "OK 1\n");
		pid = read_lines(fd, 2 * n);
	}
	cpu = server_cpu();
	clients_join(0, n, together, 0);
	clients_leave(0, n);
	usleep(50000);
	expect_count(backend, 0);
	cpu = (server_cpu() - cpu) / 1000 / n;
	if (watched && (waitpid(pid, &status, 0) != pid || status != 0))
		give_up("not an event for each client");
	close(fd);
	usleep(10000);
	return cpu;
}

static void
pairs(const char *name, unsigned together)
{
	int root = rounds == 1 ? 2 : BATCHES_ROOT, n = root * root, i, k;
	double us[2][BATCHES_ROOT * BATCHES_ROOT],
	    more[BATCHES_ROOT * BATCHES_ROOT], quarter;
	int backend;

	server_start(OURS, 0);
	backend = server_backend();
	(void)pair(backend, 100, 16, 1);
	for (i = 0; i < n; i++) {
		for (k = 0; k < 2; k++)
			us[k ^ (i & 1)][i] = pair(backend,
			    rounds == 1 ? 100 : 500, together, k ^ (i & 1));
		more[i] = us[1][i] - us[0][i];
	}
	close(backend);
	server_stop();
	quarter = quantile(more, (unsigned long)n, 0.75) -
	    quantile(more, (unsigned long)n, 0.25);
	printf("%-31s %8.2f %8.2f %10.2f %8.2f\n", name, median(us[1], n),
	    median(us[0], n), median(more, n), 2 * 0.93 * quarter / root);
	fflush(stdout);
}

/* ------------------------------------------------------ snapshots, lists */

enum { GROUPS = 250, HEAR = 2 * GROUPS, CHURN = 100 };

static volatile unsigned *answers; /* shared: how many have been read */

/*
 * Asks again and again, and reads all of it. An answer is whole when it has had
 * so many of that character, and if it is right no more follow.
 */
static void
ask_again(int fd, const char *object, char mark, unsigned marks)
{
	static char in[1 << 16];
	char line[64];
	unsigned came;
	ssize_t n;

	sprintf(line, "%s\n", object);
	for (;;) {
		put_all(fd, line, strlen(line));
		for (came = 0; came < marks; came += occurrences(in, (size_t)n,
		    mark)) {
			n = recv(fd, in, sizeof in, 0);
			if (n <= 0)
				_exit(1);
		}
		if (came > marks)
			_exit(1);
		++*answers;
	}
}

/* Some clients connect and disconnect, 1,000 a second. */
static void
churn(void)
{
	for (;;) {
		clients_join(HEAR, HEAR + CHURN, 16, 0);
		clients_leave(HEAR, HEAR + CHURN);
		++*answers;
		usleep(1000 * CHURN);
	}
}

enum kind { CALM, SNAPSHOTS, LISTS, CHURNING, DEAF };

/* In a process of its own, which gets the time that the meter leaves. */
static pid_t
disturb(enum kind kind, unsigned devices, unsigned away)
{
	int fd, i;
	pid_t pid = fork();

	if (pid == -1)
		give_up("fork");
	if (pid != 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	yield_to_meter();
	fd = server_backend();
	switch (kind) {
	case SNAPSHOTS:
		/* OK, connect, away, channel_occupied, ready: a line each */
		ask_again(fd, SNAPSHOT, '\n', 1 + devices + away + GROUPS + 1);
		break;
	case LISTS:
		ask_again(fd, LIST, '"', 2 * devices);
		break;
	case DEAF:
		for (i = 0; i < 100; i++)
			put_all(fd, SNAPSHOT "\n", sizeof SNAPSHOT);
		churn();
		break;
	default:
		churn();
	}
	_exit(1);
}

/* Deliveries meanwhile. Returns how many answers there were a second. */
static double
meanwhile(enum kind kind, unsigned devices, unsigned away, struct work *w,
    struct result *r)
{
	int64_t begun;
	double seconds;
	pid_t pid = 0;
	int status;

	*answers = 0;
	if (kind != CALM) {
		pid = disturb(kind, devices, away);
		usleep(100000);
	}
	begun = now();
	*r = deliver(w);
	seconds = (double)(now() - begun) / 1e9;
	w->first += r->published;
	if (kind == CALM)
		return 0;
	if (waitpid(pid, &status, WNOHANG) != 0)
		give_up("not the answer that is right");
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	usleep(300000);
	return *answers / seconds;
}

/* Sessions that are away: they have no descriptor, but are devices. */
static void
send_away(unsigned n)
{
	unsigned part;

	clients_session = NEW_SESSION;
	for (; n > 0; n -= part) {
		part = n < 6000 ? n : 6000;
		clients_join(HEAR, HEAR + part, 64, 0);
		clients_leave(HEAR, HEAR + part);
	}
	clients_session = NO_SESSION;
	usleep(500000);
}

static void
questions(void)
{
	static const struct {
		const char *name;
		enum kind before, kind;
	} table[] = {
	{ "snapshots", CALM, SNAPSHOTS },
	{ "lists", CALM, LISTS },
	{ "a watcher that does not read", CHURNING, DEAF }
	};
	enum { ROWS = sizeof table / sizeof *table };
	struct work w = FAN(HEAR, 200, 1000, 3000);
	unsigned away = rounds == 1 ? 1000 : 18000;
	double p99[ROWS][2][ROUNDS], most[ROWS][2], rate[ROWS][ROUNDS];
	struct result r;
	int backend, i, k, row;

	answers = mmap(NULL, sizeof *answers, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (answers == MAP_FAILED)
		give_up("shared memory");
	memset(most, 0, sizeof most);
	if (rounds == 1)
		w.messages = 500;
	w.pause = 1000000;
	server_groups = GROUPS;
	server_resume = 600;
	server_start(OURS, HEAR);
	backend = server_backend();
	clients_join(0, HEAR, 64, 0);
	server_settle();
	send_away(away);
	for (i = 0; i < rounds; i++)
		for (row = 0; row < ROWS; row++)
			for (k = 0; k < 2; k++) {
				expect_count(backend, HEAR + away);
				rate[row][i] = meanwhile(k == 0 ?
				    table[row].before : table[row].kind,
				    HEAR + away, away, &w, &r);
				p99[row][k][i] = r.p99 / 1000;
				if (r.max / 1000 > most[row][k])
					most[row][k] = r.max / 1000;
			}
	title("1,000 messages a second, each to 2 of 500 clients: ms, before "
	    "and while a backend asks\nagain and again about them and about "
	    "sessions that are away (20,000 descriptors\nallow 18,000); "
	    "beside the one that does not read, clients come and go",
	    "      p99      max      p99      max  a second    away");
	for (row = 0; row < ROWS; row++)
		printf("%-31s %8.2f %8.2f %8.2f %8.2f %9.1f %7u\n",
		    table[row].name, median(p99[row][0], rounds), most[row][0],
		    median(p99[row][1], rounds), most[row][1],
		    median(rate[row], rounds), away);
	fflush(stdout);
	close(backend);
	clients_leave(0, HEAR);
	server_stop();
	server_groups = 1;
	server_resume = 0;
	munmap((void *)answers, sizeof *answers);
}

/* ------------------------------------------------------------- in memory */

enum { CROWD = 100000, SLICE = 16384 /* as in backend.c */ };

static int
deliver_none(struct ws_session *s, struct ws_frame *f, void *arg)
{
	(void)s, (void)f, (void)arg;
	return 0;
}

static void
describe(const struct ws_session *s, struct ws_about_session *about, void *arg)
{
	(void)s, (void)arg;
	memset(about, 0, sizeof *about);
	strcpy(about->address, "192.0.2.100:50000");
	about->path.s = "/socket?page=1";
	about->path.len = 14;
}

/* ns a device, and the us of the longest slice of the answer. */
static double
answer(struct ws_hub *h, const char *object, char mark, unsigned marks,
    double *longest)
{
	static struct ws_control zero;
	struct ws_control c = zero;
	size_t len = strlen(object), used = 0;
	unsigned came = 0;
	int64_t sum = 0, most = 0, took;

	do {
		took = now();
		h->budget = SLICE;
		used += ws_control_feed(h, &c, object + used, len - used);
		took = now() - took;
		sum += took;
		if (took > most)
			most = took;
		came += occurrences(c.out.s, c.out.len, mark);
		ws_control_sent(&c, c.out.len);
	} while (ws_control_busy(&c) || used < len);
	if (c.out.failed || came != marks)
		give_up("a hub in memory");
	ws_control_free(&c);
	*longest = (double)most / 1000;
	return (double)sum / CROWD;
}

static void
slices(void)
{
	static const struct ws_owner owner = { deliver_none, describe, NULL,
	    NULL };
	static struct ws_session crowd[CROWD];
	static struct ws_hub h;
	static const struct ws_text none = { "", 0 };
	double ns[2][4 * ROUNDS], longest[2][4 * ROUNDS];
	int i, k, n = 4 * rounds;

	if (ws_hub_init(&h, &owner, NULL) != 0)
		give_up("a hub in memory");
	for (i = 0; i < CROWD; i++)
		if (ws_hub_join(&h, &crowd[i], none) != 0)
			give_up("a hub in memory");
	for (i = 0; i < n; i++) {
		ns[0][i] = answer(&h, SNAPSHOT "\n", '\n', CROWD + 2,
		    &longest[0][i]);
		ns[1][i] = answer(&h, LIST "\n", '"', 2 * CROWD,
		    &longest[1][i]);
	}
	for (i = 0; i < CROWD; i++)
		ws_hub_leave(&h, &crowd[i]);
	ws_hub_free(&h);
	title("In memory, 100,000 devices: ns a device, and us of the longest "
	    "slice, after which the\nothers get their turn",
	    "       ns  longest");
	for (k = 0; k < 2; k++)
		printf("%-31s %8.1f %8.1f\n", k == 0 ? "slices of a snapshot" :
		    "slices of a list", median(ns[k], n),
		    median(longest[k], n));
	fflush(stdout);
}

/* --------------------------------------------------- who does not watch */

enum { FAN_OUT, ENTER, BYTES, KINDS };

static void
not_watched(void)
{
	static const char *const names[KINDS] = {
		"fan-out to 1,000", "a connection", "bytes of an idle client"
	};
	struct work w = FAN(1000, 200, 1, 400);
	unsigned n = rounds == 1 ? 200 : 5000;
	double x[2][KINDS][ROUNDS], ratio[ROUNDS];
	int i, k, kind;

	if (!server_there(OLD))
		return;
	if (rounds == 1)
		w.messages = 40;
	title("While nobody watches: us of CPU a delivery and a connection, "
	    "and resident bytes, beside\nthe old hub",
	    "     ours      old    x old");
	for (i = 0; i < rounds; i++)
		for (k = 0; k < 2; k++) {
			x[k][FAN_OUT][i] = run(k ? OLD : OURS, &w).us;
			x[k][ENTER][i] = handshakes(k ? OLD : OURS, 0, n,
			    &x[k][BYTES][i]);
		}
	for (kind = 0; kind < KINDS; kind++) {
		for (i = 0; i < rounds; i++)
			ratio[i] = x[0][kind][i] / x[1][kind][i];
		printf("%-31s %8.3f %8.3f %8.2f\n", names[kind],
		    median(x[0][kind], rounds), median(x[1][kind], rounds),
		    median(ratio, rounds));
	}
	fflush(stdout);
}

/* see bench.h */
void
watchers(void)
{
	title("CPU of the hub, us, for a client that connects and disconnects: "
	    "with one watcher that\nreads, with none, and what it is more "
	    "(with two standard errors of that)",
	    "  watched     none difference    noise");
	pairs("16 clients at a time", 16);
	pairs("one client at a time", 1);
	questions();
	slices();
	not_watched();
}
