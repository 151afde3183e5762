/* wshub: ISC licence, see LICENSE. */
/*
 * What somebody who runs a hub sees of it: its words and counters, how it ends,
 * and logs that take nothing. e2e_ops path/to/wshub
 */
#define _GNU_SOURCE
#include "hub.h"

#ifdef __linux__
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sched.h>
#endif

#define USAGE "usage: wshub ["

/* ------------------------------------------------------------------- words */

static void
information(void)
{
	static const char *const words[] = {
		"--listen", "--tls-listen", "--cert", "--key", "--control ",
		"--control-mode", "--control-group", "--user", "--heartbeat",
		"--ping", "--health", "--subprotocol", "--max-clients",
		    "--max-per-ip", "--queue ",
		"--queue-total", "--drain", "-n", "-q", "-v", "-V", "-h",
		"wshub ctl [-s path] [json ...]"
	};
	size_t i;
	char *p;

	CASE("-V is one line, -h names every option and begins with usage");
	COMMAND(0, "wshub ", NULL, "-V");
	EXPECT(strchr(did.out, '\n') == did.out + strlen(did.out) - 1 &&
	    isdigit((unsigned char)did.out[6]), "\"%s\"", did.out);
	p = strdup(did.out);
	COMMAND(0, p, NULL, "--version");
	COMMAND(0, USAGE, NULL, "-h");
	for (i = 0; i < sizeof words / sizeof *words; i++)
		EXPECT(strstr(did.out, words[i]) != NULL, "-h does not name %s",
		    words[i]);
	free(p);
	p = strdup(did.out);
	COMMAND(0, p, NULL, "--help");
	COMMAND(2, NULL, "unexpected argument", "x");
	EXPECT(strncmp(strstr(did.err, "\n") + 1, p,
	    strlen(strstr(did.err, "\n") + 1)) == 0, "-h begins otherwise");
	free(p);
}

static void
reports(void)
{
	static const char *const words[] = {
		"wshub: up ", (", 2 clients (2 in the hub), 1 channels, "
		"1 subscriptions, 1 backends, limit "), "accepted: 3\n",
		"bad requests: 1\n", "opened: 2\n", "objects: 3\n",
		"errors: 1\n", "deliveries: 2\n", "cut off: 0\n",
		"queued: 0 bytes\n", "full scans: "
	};
	struct hub h = { 0 };
	struct client a, b;
	char text[200];
	size_t i;
	int fd;

	CASE("USR1: the report");
	START(&h, QUIET_HUB);
	join(&a, &h);
	join(&b, &h);
	fd = dial(h.port[0], 0);
	put(fd, "x\r\n\r\n", 5);
	while (recv(fd, text, sizeof text, 0) > 0)
		;
	close(fd);
	fd = dial_unix(h.control);
	ASK(fd, with_id(SUBSCRIBE_TO "\"x\"}\n", a.id), "OK 1\n");
	ASK(fd, M1 "\n", "OK 2\n");
	ASK(fd, "{}\n", "ERR no \"action\"\n");
	TEXT(&a, "1");
	TEXT(&b, "1");
	for (i = 0; i < 100 && !file_has(h.log, words[1]); i++) {
		/* Who got a 400 may be there for a moment. */
		kill(h.pid, SIGUSR1);
		nap(20);
	}
	EXPECT(await(h.log, "% of the time\n"), "no end of it");
	for (i = 0; i < sizeof words / sizeof *words; i++)
		EXPECT(file_has(h.log, words[i]), "no \"%s\"", words[i]);
	close(fd);
	leave(&a);
	leave(&b);
	STOP(&h);
}

/* -------------------------------------------------------------------- ends */

#define SPREAD 100

static void
drains(void)
{
	static struct client c[SPREAD];
	static struct pollfd p[SPREAD];
	long long first = 0, last = 0;
	struct hub h = { 0 };
	int half, i, left;
	char byte;

	CASE("TERM: Close 1001 for everybody, spread, and status 0");
	START(&h, QUIET_HUB, "--drain", "2");
	half = dial(h.port[0], 0);
	put(half, "GET ", 4);
	for (i = 0; i < SPREAD; i++) {
		join(&c[i], &h);
		p[i].fd = c[i].fd;
		p[i].events = POLLIN;
	}
	kill(h.pid, SIGTERM);
	for (left = SPREAD; left > 0 && poll(p, SPREAD, patience) > 0;)
		for (i = 0; i < SPREAD; i++) {
			if (p[i].fd == -1 || p[i].revents == 0)
				continue;
			last = now();
			if (first == 0) {
				first = last;
				EXPECT(refuses(h.port[0]), "it still listens");
			}
			CLOSED(&c[i], 1001);
			leave(&c[i]);
			p[i].fd = -1;
			left--;
		}
	EXPECT(left == 0, "%d clients have heard nothing", left);
	EXPECT(last - first >= 100, "all within %d ms", (int)(last - first));
	EXPECT(recv(half, &byte, 1, 0) <= 0, "who was not in gets an answer");
	close(half);
	ENDED(&h, 0);

	CASE("TERM: --drain 0 still says Close 1001");
	START(&h, QUIET_HUB, "--drain", "0");
	join(&c[0], &h);
	kill(h.pid, SIGTERM);
	CLOSED(&c[0], 1001);
	ENDED(&h, 0);
	leave(&c[0]);
}

/* What nobody will get any more is told, and backends are heard out. */
static void
ends(void)
{
	struct hub h = { 0 };
	struct client c;
	char *p = calloc(100001, 1), *log;
	const char *line;
	size_t len, i;
	int fd, sent = 0, told = 0, missing = -1;
	pid_t worker;

	CASE("TERM: frames that are not delivered are told");
	START(&h, QUIET_HUB, "--queue", "100000000", "--drain", "1");
	join(&c, &h);
	fd = dial_unix(h.control);
	memset(p, 'x', 100000);
	for (i = 0; i < 100; i++) {
		put(fd, "{\"action\":\"multicast\",\"data\":\"", 30);
		put(fd, p, 100000);
		put(fd, "\"}\n", 3);
		sent += strcmp(get_line(fd), "OK 1\n") == 0;
	}
	close(fd);
	kill(h.pid, SIGTERM);
	ENDED(&h, 0);
	log = slurp(h.log, &len);
	line = strstr(log, "the end: ");
	if (line != NULL)
		missing = atoi(line + strlen("the end: "));
	free(log);
	EXPECT(sent == 100 && missing > 10 && missing <= 101,
	    "%d sent, %d undelivered", sent, missing);
	leave(&c);
	free(p);

	CASE("TERM: what backends wrote before it is answered");
	for (i = 0; i < 5; i++) {
		START(&h, QUIET_HUB);
		/* All is there when it looks. */
		if ((worker = child_of(h.pid)) != 0)
			kill(worker, SIGSTOP);
		fd = dial_unix(h.control);
		put(fd, M1 "\n" M1 "\n", 2 * sizeof M1);
		kill(h.pid, SIGTERM);
		nap(20);
		if (worker != 0)
			kill(worker, SIGCONT);
		for (told = 0; told < 2; told++)
			if (strcmp(get_line(fd), "OK 0\n") != 0)
				break;
		EXPECT(told == 2, "%d of 2 replies", told);
		close(fd);
		ENDED(&h, 0);
	}
}

#ifdef __linux__
/* A socket's file, of one who listens but accepts nobody. */
static int
bound(const char *path, int backlog)
{
	struct sockaddr_un un;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	memset(&un, 0, sizeof un);
	un.sun_family = AF_UNIX;
	snprintf(un.sun_path, sizeof un.sun_path, "%s", path);
	if (bind(fd, (struct sockaddr *)&un, sizeof un) != 0 ||
	    listen(fd, backlog) != 0)
		give_up(path);
	return fd;
}

static void
obstacles(void)
{
	struct stat st;
	int fd, i;

	CASE("control: one whose queue is full is not taken for a stale one");
	fd = bound("full", 0);
	for (i = 0; i < 8; i++) {
		struct sockaddr_un un = { .sun_family = AF_UNIX };
		int s = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

		strcpy(un.sun_path, "full");
		if (connect(s, (struct sockaddr *)&un, sizeof un) != 0)
			break;
	}
	EXPECT(i < 8 && errno == EAGAIN, "the queue does not fill");
	COMMAND(1, NULL, "full: another program", "-s", "full", "-l",
	    "unix:second.ws");
	close(fd);
	EXPECT(lstat("full", &st) == 0 && lstat("second.ws", &st) == -1,
	    "its file is gone, or ours is there");

	CASE("control: what links lead to is left alone");
	spill("file", "precious", 8);
	if (symlink("file", "link") != 0 || symlink("none", "dangling") != 0)
		give_up("symlink");
	COMMAND(1, NULL, "link: there is a file", "-s", "link", "-l",
	    "unix:x.ws");
	COMMAND(1, NULL, "dangling: there is a", "-s", "dangling", "-l",
	    "unix:x.ws");
	EXPECT(lstat("link", &st) == 0 && lstat("dangling", &st) == 0 &&
	    file_has("file", "precious") && lstat("none", &st) == -1,
	    "they are not what they were");
	EXPECT(lstat("x.ws", &st) == -1, "the listener's file stays");
}
#endif

/* ------------------------------------------------------------------ queues */

#define BIG 10000

/* An order with a string whose frame has BIG bytes, and its newline. */
static void
big_order(char text[BIG + 200], const char *head)
{
	size_t n = (size_t)sprintf(text, "%s\"", head);

	memset(text + n, 'q', BIG - 2);
	strcpy(text + n + BIG - 2, "\"}\n");
}

/* The next frame is one of those: 0, or what it is. */
static int
is_big(struct client *c)
{
	unsigned char *data;
	size_t len, i;
	int first = get_frame(c, &data, &len);

	if (first == 0x88) /* CLOSED reads it again */
		c->at -= len + 2;
	if (first != 0x81)
		return first;
	for (i = 1; i < BIG - 1 && len == BIG; i++)
		if (data[i] != 'q')
			return WRONG;
	return len == BIG ? 0 : WRONG;
}

/* Whole frames come, at least one, and then a Close 1013 and the end. */
static void
check_cut_off(struct client *c)
{
	int got, n = 0, room = 4 << 20;

	setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
	while ((got = is_big(c)) == 0)
		n++;
	EXPECT(n > 0 && got == 0x88, "%d frames, then %d", n, got);
	CLOSED(c, 1013);
	leave(c);
}

static void
all_queues(void)
{
	static char text[BIG + 200], to_a[BIG + 200];
	struct client a, b, c;
	struct hub h = { 0 };
	const char *line = "";
	char head[200];
	int fd, i, rounds, got = 0, room = 4 << 20;

	CASE("--queue-total: the slowest is cut off, others get everything");
	START(&h, QUIET_HUB, "--queue", "1073741824", "--queue-total",
	    "8000000"); /* more than the kernel keeps for either */
	join_with(&b, dial(h.port[0], 16384));
	join_with(&a, dial(h.port[0], 16384));
	join(&c, &h);
	big_order(text, "{\"action\":\"multicast\",\"data\":");
	snprintf(head, sizeof head, "{\"action\":\"sendToDevice\","
	    "\"device\":\"%s\",\"data\":", a.id);
	big_order(to_a, head);
	fd = dial_unix(h.control);
	for (rounds = 0; rounds < 10000; rounds++) {
		put(fd, to_a, strlen(to_a));
		line = get_line(fd);
		if (strcmp(line, "OK 1\n") != 0)
			break;
		put(fd, text, strlen(text));
		line = get_line(fd);
		if (strncmp(line, "OK ", 3) != 0 || is_big(&c) != 0)
			break;
	}
	EXPECT(rounds > 50 && strcmp(line, "OK 0\n") == 0, "after %d: %s",
	    rounds, line);
	check_cut_off(&a);
	ASK(fd, M1 "\n", "OK 2\n");
	TEXT(&c, "1");
	setsockopt(b.fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
	for (i = 0; i < rounds && got == 0; i++)
		got = is_big(&b);
	EXPECT(got == 0, "of %d, the other gets %d, then %d", rounds, i, got);
	TEXT(&b, "1");
	close(fd);
	leave(&b);
	leave(&c);
	STOP(&h);
}

/* ----------------------------------------------------------------- periods */

static void
periods(void)
{
	struct hub h = { 0 }, quiet = { 0 };
	int got, pings = 0, beats = 0;
	long long first = 0, last = 0;
	struct client c, q;
	unsigned char *data;
	size_t len;

	CASE("--heartbeat 1, --ping 1: both come; 0, 0: neither does");
	START(&quiet, "--heartbeat", "0", "--ping", "0");
	START(&h, "--heartbeat", "1", "--ping", "1");
	join(&q, &quiet);
	join(&c, &h);
	while (pings < 2 || beats < 2) {
		got = get_frame(&c, &data, &len);
		if (got == 0x89 && len == 0) {
			pings++;
			put_frame(&c, 0x8a, "", 0);
		} else if (got == 0x81 && len == 15 &&
		    memcmp(data, "{\"action\":\"hb\"}", 15) == 0) {
			last = now();
			if (beats++ == 0)
				first = last;
		} else {
			EXPECT(0, "a frame %d of %zu bytes", got, len);
			break;
		}
	}
	EXPECT(pings < 6 && beats < 6, "%d Pings, %d heartbeats", pings, beats);
	EXPECT(last - first > 500 * (beats - 1), "every %d ms",
	    (int)(last - first) / (beats > 1 ? beats - 1 : 1));
	QUIET(q.fd, 0);
	leave(&c);
	leave(&q);
	STOP(&h);
	STOP(&quiet);
}

/* -------------------------------------------------------------------- logs */

/* Somebody listens there. */
static int
listens(const char *path)
{
	struct sockaddr_un un;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), yes;

	memset(&un, 0, sizeof un);
	un.sun_family = AF_UNIX;
	snprintf(un.sun_path, sizeof un.sun_path, "%s", path);
	yes = connect(fd, (struct sockaddr *)&un, sizeof un) == 0;
	close(fd);
	return yes;
}

/* A hub of Unix sockets whose standard error goes to err; serves when back. */
static void
launch(struct hub *h, const char *err, const char *level)
{
	static unsigned count;
	long long end = now() + patience;
	char ws[40];

	snprintf(h->control, sizeof h->control, "log%u.sock", ++count);
	snprintf(h->log, sizeof h->log, "log.ws");
	snprintf(ws, sizeof ws, "unix:%s", h->log);
	h->pid = spawn(ARGS((char *)level, QUIET_HUB, "-s", h->control, "-l",
	    ws), NULL, "out", err, 0, 022);
	while (!listens(h->control) && now() < end)
		nap(2);
	ORDER(h, M1, "OK 0\n");
}

static void
halt(struct hub *h)
{
	int status;

	kill(h->pid, SIGTERM);
	status = reap(h->pid, patience);
	EXPECT(status == 0, "exit status %d", status);
	if (status == -1)
		kill(h->pid, SIGKILL);
	EXPECT(access(h->control, F_OK) == -1 && access("log.ws", F_OK) == -1,
	    "its files are still there");
}

/* Clients come and go, and each makes two lines of -v. */
static void
come_and_go(int n)
{
	struct client c;

	while (n-- > 0) {
		join_with(&c, dial_unix("log.ws"));
		leave(&c);
	}
}

/* Reads a pipe until those words come: 1, or 0 when time is up. */
static int
read_until(int fd, const char *words, size_t *bad)
{
	static char all[1 << 20];
	long long end = now() + patience;
	size_t len = 0;
	ssize_t n;
	char *p;

	while (now() < end && len < sizeof all - 1) {
		n = read(fd, all + len, sizeof all - 1 - len);
		if (n > 0)
			len += (size_t)n;
		all[len] = '\0';
		if (strstr(all, words) != NULL && all[len - 1] == '\n')
			break;
		if (n <= 0) {
			come_and_go(1);
			nap(2);
		}
	}
	for (p = all, *bad = 0; *p != '\0'; p = strchr(p, '\n') + 1) {
		*bad += strncmp(p, "wshub: ", 7) != 0;
		if (strchr(p, '\n') == NULL)
			break;
	}
	return strstr(all, words) != NULL;
}

static void
logs(void)
{
	struct hub h = { 0 };
	size_t bad;
	int fd;

	CASE("-q says nothing but errors, -v who comes and goes");
	launch(&h, "q.log", "-q");
	come_and_go(2);
	halt(&h);
	fd = open("q.log", O_RDONLY);
	EXPECT(fd != -1 && lseek(fd, 0, SEEK_END) == 0, "-q says something");
	close(fd);
	launch(&h, "v.log", "-v");
	come_and_go(2);
	EXPECT(await("v.log", ": opened: tls=no ") &&
	    await("v.log", " text=\"closed by peer\"\n"), "-v says little");
	halt(&h);
	check_log("v.log");
	launch(&h, "usual.log", "-qv");
	come_and_go(2);
	halt(&h);
	EXPECT(file_has("usual.log", "backends write to") &&
	    !file_has("usual.log", "opened:"), "the usual is not the usual");

	if (access("/dev/full", W_OK) == 0) {
		CASE("a log on a full disk harms nothing");
		launch(&h, "/dev/full", "-v");
		come_and_go(50);
		kill(h.pid, SIGUSR1);
		kill(h.pid, SIGHUP);
		ORDER(&h, M1, "OK ");
		halt(&h);
	}

	CASE("a log that nobody reads harms nothing, and says what it lost");
	if (mkfifo("pipe", 0600) != 0 ||
	    (fd = open("pipe", O_RDWR | O_NONBLOCK)) == -1)
		give_up("pipe");
	launch(&h, "pipe", "-v");
	come_and_go(1200); /* 64 KiB are in a pipe, a line has 40 bytes */
	kill(h.pid, SIGUSR1);
	ORDER(&h, M1, "OK ");
	EXPECT(read_until(fd, " lines lost) ", &bad), "no word of it");
	EXPECT(bad == 0, "%zu lines are not whole", bad);

	CASE("a log whose reader is gone harms nothing");
	close(fd);
	come_and_go(50);
	kill(h.pid, SIGUSR1);
	kill(h.pid, SIGHUP);
	ORDER(&h, M1, "OK ");
	halt(&h);
}

/* --------------------------------------------- what a parent process leaves */

/*
 * Each is done by the child right before it becomes the hub, and ends it with
 * that status where the system does not allow it.
 */
#define CANNOT 125

static void
no_descriptors(void)
{
	close(0);
	close(1);
	close(2);
}

static void
no_output(void)
{
	close(1);
	close(2);
}

static void
all_blocked(void)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
}

static void
all_ignored(void)
{
	int i;

	for (i = 1; i < 32; i++)
		(void)signal(i, SIG_IGN);
}

/* A log in a regular file takes nothing more, and a write is SIGXFSZ. */
static void
no_file_size(void)
{
	struct rlimit none = { 0, 0 };

	if (setrlimit(RLIMIT_FSIZE, &none) != 0)
		_exit(CANNOT);
}

static void
no_permissions(void)
{
	umask(0777);
}

/* Children that it knows nothing of: their numbers go to a file. */
static void
orphans(void)
{
	FILE *f = fopen("orphans", "w");
	pid_t ended = fork(), ending;

	if (ended == 0)
		_exit(0);
	ending = fork();
	if (ending == 0) {
		nap(300);
		_exit(0);
	}
	if (f == NULL || ended == -1 || ending == -1)
		_exit(CANNOT);
	nap(20); /* one has ended before there is a handler of SIGCHLD */
	fprintf(f, "%ld %ld\n", (long)ended, (long)ending);
	fclose(f);
}

static void
orphans_are_reaped(void)
{
	FILE *f = fopen("orphans", "r");
	long long end = now() + patience;
	long pid[2];
	int i;

	if (f == NULL || fscanf(f, "%ld %ld", &pid[0], &pid[1]) != 2)
		give_up("orphans");
	fclose(f);
	for (i = 0; i < 2; i++) {
		while (kill((pid_t)pid[i], 0) == 0 && now() < end)
			nap(5);
		EXPECT(kill((pid_t)pid[i], 0) == -1, "%s is a zombie",
		    i == 0 ? "one that had ended" : "one that ended later");
	}
}

#ifdef __linux__
/* An empty /dev, in a mount namespace of its own. */
static void
no_dev(void)
{
	char map[64];
	uid_t uid = geteuid();
	int fd;

	if (uid != 0) { /* a user may, in a user namespace of its own */
		if (unshare(CLONE_NEWUSER) != 0 ||
		    (fd = open("/proc/self/uid_map", O_WRONLY)) == -1)
			_exit(CANNOT);
		snprintf(map, sizeof map, "%ld %ld 1", (long)uid, (long)uid);
		if (write(fd, map, strlen(map)) < 0)
			_exit(CANNOT);
		close(fd);
	}
	if (unshare(CLONE_NEWNS) != 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount("none", "/dev", "tmpfs", 0, NULL) != 0)
		_exit(CANNOT);
}

static void
no_dev_no_descriptors(void)
{
	no_dev();
	no_descriptors();
}

static void
no_dev_no_output(void)
{
	no_dev();
	no_output();
}

/* As on Linux before 3.17: ENOSYS, by a seccomp filter. */
static void
no_getrandom(void)
{
#if defined(SYS_getrandom) && defined(PR_SET_SECCOMP)
	/* linux/filter.h's sock_filter and sock_fprog: musl-gcc has no such. */
	struct {
		unsigned short code;
		unsigned char yes, no;
		unsigned k;
	} code[] = {
		{ 0x20, 0, 0, 0 },                   /* load the number */
		{ 0x15, 0, 1, SYS_getrandom },       /* is it that one? */
		{ 0x06, 0, 0, 0x00050000 | ENOSYS }, /* SECCOMP_RET_ERRNO */
		{ 0x06, 0, 0, 0x7fff0000 }           /* SECCOMP_RET_ALLOW */
	};
	struct {
		unsigned short n;
		void *code;
	} filter = { 4, code };
	char byte;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	    prctl(PR_SET_SECCOMP, 2 /* SECCOMP_MODE_FILTER */, &filter, 0, 0) ==
	    0 && syscall(SYS_getrandom, &byte, 1, 0) == -1 && errno == ENOSYS)
		return;
#endif
	_exit(CANNOT);
}

static void
no_random(void)
{
	no_dev();
	no_getrandom();
}

/* A file that would give the same bytes to everybody. */
static void
false_random(void)
{
	int fd;

	no_dev();
	fd = open("/dev/urandom", O_WRONLY | O_CREAT, 0644);
	if (fd == -1 || write(fd, "0123456789abcdef", 16) != 16)
		_exit(CANNOT);
	close(fd);
	no_getrandom();
}
#endif

/* It can be done here: tried in a child that becomes nothing. */
static int
possible(void (*circumstance)(void))
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		circumstance();
		_exit(0);
	}
	return reap(pid, patience) == 0;
}

/* Where descriptor fd of the hub leads to begins with want. */
static void
leads_to(const struct hub *h, int fd, const char *want)
{
	char path[64], got[64] = "";

	snprintf(path, sizeof path, "/proc/%ld/fd/%d", (long)child_of(h->pid),
	    fd);
	if (readlink(path, got, sizeof got - 1) != -1)
		EXPECT(strncmp(got, want, strlen(want)) == 0,
		    "descriptor %d is %s", fd, got);
}

/* A client is in, and gets what is sent to it and not a byte more. */
static void
serves(const struct hub *h)
{
	struct client c;

	join_with(&c, dial_unix("log.ws"));
	ORDER(h, M1, "OK 1\n");
	TEXT(&c, "1");
	kill(h->pid, SIGUSR1);
	kill(h->pid, SIGHUP);
	come_and_go(3);
	ORDER(h, M1, "OK 1\n");
	TEXT(&c, "1");
	QUIET(c.fd, 20);
	leave(&c);
}

static void
circumstances(void)
{
	static const struct {
		const char *name;
		void (*before)(void);
		const char *words;    /* the refusal; NULL: it serves */
		const char *standard; /* what 1 and 2 lead to, or NULL */
		void (*check)(void);
	} t[] = {
		{ "descriptors 0, 1 and 2 closed", no_descriptors, NULL,
		    "/dev/null", NULL },
		{ "1 and 2 closed", no_output, NULL, "/dev/null", NULL },
		{ "every signal blocked", all_blocked, NULL, NULL, NULL },
		{ "every signal ignored", all_ignored, NULL, NULL, NULL },
		{ "RLIMIT_FSIZE 0", no_file_size, NULL, NULL, NULL },
		{ "umask 0777", no_permissions, NULL, NULL, NULL },
		{ "children it did not start", orphans, NULL, NULL,
		    orphans_are_reaped },
#ifdef __linux__
		{ "1 and 2 closed, no /dev/null", no_dev_no_output, NULL,
		    "pipe:", NULL },
		{ "0, 1 and 2 closed, no /dev/null", no_dev_no_descriptors,
		    NULL, "pipe:", NULL },
		{ "no getrandom(2)", no_getrandom, NULL, NULL, NULL },
		{ "no getrandom(2), no /dev/urandom", no_random,
		    "no random bytes: getentropy fails, /dev/urandom: No such",
		    NULL, NULL },
		{ "no getrandom(2), /dev/urandom a file", false_random,
		    "no random bytes: getentropy fails, /dev/urandom: ", NULL,
		    NULL },
#endif
	};
	struct hub h = { 0 };
	static char name[80];
	size_t i, len;
	char *log;
	int fd, status;

	for (i = 0; i < sizeof t / sizeof *t; i++) {
		test_close();
		snprintf(name, sizeof name, "started with %s: it %s", t[i].name,
		    t[i].words == NULL ? "serves, and TERM ends it" :
		    "says so");
		if (wrap[0] != NULL || !possible(t[i].before)) {
			test_skip(name, wrap[0] != NULL ? "a wrapper is what "
			    "is started" : "the system does not allow it");
			continue;
		}
		CASE(name);
		before_exec = t[i].before;
		if (t[i].words != NULL) {
			pid_t pid = spawn(ARGS("-s", "no.sock", "-l",
			    "unix:no.ws"), NULL, "out", "no.log", 0, 022);

			status = reap(pid, patience);
			log = slurp("no.log", &len);
			EXPECT(status == 1 && strstr(log, t[i].words) != NULL,
			    "exit status %d, \"%s\"", status, log);
			free(log);
			if (status == -1)
				kill(pid, SIGKILL);
			EXPECT(access("no.sock", F_OK) == -1 &&
			    access("no.ws", F_OK) == -1, "its files stay");
		} else {
			launch(&h, "circumstance.log", "-v");
			for (fd = 1; fd < 3 && t[i].standard != NULL; fd++)
				leads_to(&h, fd, t[i].standard);
			if (t[i].check != NULL)
				t[i].check();
			serves(&h);
			halt(&h);
			check_log("circumstance.log");
		}
		before_exec = NULL;
	}
}

static void
words_and_files(void)
{
	information();
#ifdef __linux__
	obstacles();
#endif
}

/* -------------------------------------------------- lines about connections */

#define OPENING ((long)(sizeof ACCEPTED - 1 + ID_FRAME))
#define DEVICE " device=\"@\""

/* How a connection ends, and the line of that. @ is the device's id. */
static const struct {
	const char *name, *request; /* NULL: it is opened */
	int first;                  /* frame that is sent then, 0: none */
	const char *payload;
	size_t len;
	int reset;                  /* closed by us with a reset */
	const char *order;          /* for the backend, @ as above */
	const char *line;           /* what follows the address, %ld: bytes */
	long sent;                  /* -1: those of the response */
} ways[] = {
	{ "the peer closes", NULL, 0, "", 0, 0, NULL,
	  "closed: sent=%ld code=none reason=closed" DEVICE
	  " text=\"closed by peer\"", OPENING },
	{ "the peer resets", NULL, 0, "", 0, 1, NULL,
	  "closed: sent=%ld code=none reason=error" DEVICE
	  " text=\"Connection reset by peer\"", OPENING },
	{ "Close without a code", NULL, 0x88, "", 0, 0, NULL,
	  "closed: sent=%ld code=1005 reason=closed" DEVICE
	  " text=\"closed by peer\"", OPENING + 2 },
	{ "Close 1000", NULL, 0x88, "\x03\xe8", 2, 0, NULL,
	  "closed: sent=%ld code=1000 reason=closed" DEVICE
	  " text=\"closed by peer\"", OPENING + 4 },
	{ "Close 4000", NULL, 0x88, "\x0f\xa0", 2, 0, NULL,
	  "closed: sent=%ld code=4000 reason=closed" DEVICE
	  " text=\"closed by peer\"", OPENING + 4 },
	{ "protocol error", NULL, 0x83, "", 0, 0, NULL,
	  "closed: sent=%ld code=1002 reason=error" DEVICE
	  " text=\"reserved opcode\"", OPENING + 4 + 15 },
	{ "bad UTF-8", NULL, 0x81, "\xff", 1, 0, NULL,
	  "closed: sent=%ld code=1007 reason=error" DEVICE
	  " text=\"text is not UTF-8\"", OPENING + 4 + 17 },
	{ "a message, then kicked", NULL, 0, "", 0, 0, M1 "\n"
	  "{\"action\":\"kick\",\"device\":\"@\",\"code\":4001,"
	  "\"reason\":\"a\\\"\\n\\u007f\\u009b\xc3\xa9\"}\n",
	  "closed: sent=%ld code=4001 reason=kicked" DEVICE
	  " text=\"a\\\"\\u000a\\u007f\\u009b\xc3\xa9\"", OPENING + 3 + 4 + 8 },
	{ "400", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 0, "", 0, 0, NULL,
	  "refused: sent=%ld status=400 text=*", -1 },
	{ "426", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 0, "", 0, 0, NULL,
	  "refused: sent=%ld status=426 text=*", -1 },
	{ "401", "GET /?token=SECRET.a.b HTTP/1.1\r\n" UPGRADE
	  "X-Imitated: x\r\n\r\n", 0, "", 0, 0, NULL,
	  "refused: sent=%ld status=401 text=*", -1 },
	{ "403", "GET / HTTP/1.1\r\n" UPGRADE "Origin: http://evil.example\r\n"
	  "\r\n", 0, "", 0, 0, NULL,
	  "refused: sent=%ld status=403 text=*", -1 },
	{ "nothing is sent", "", 0, "", 0, 0, NULL,
	  "failed: sent=%ld status=none text=\"closed by peer\"", 0 },
	{ "reset before any byte", "", 0, "", 0, 1, NULL,
	  "failed: sent=%ld status=none text=\"Connection reset by peer\"", 0 },
};

/* Copies a text with the id in place of each @. */
static void
insert_id(char *out, size_t room, const char *text, const char *id)
{
	size_t n = 0;

	for (; *text != '\0' && n + 20 < room; text++)
		if (*text == '@')
			n += (size_t)snprintf(out + n, 17, "%s", id);
		else
			out[n++] = *text;
	out[n] = '\0';
}

/*
 * The lines about an address: 1 if they are what was wanted. The time is left
 * out, and is less than a minute.
 */
static int
lines_are(const char *log, const char *address, const char *opening,
    const char *last)
{
	char head[64], got[1024], *p, *end, *stop;
	size_t len, n = 0, star = strlen(last);
	double time;
	int right;

	snprintf(head, sizeof head, "wshub: client %s: ", address);
	for (p = slurp(log, &len), end = p; (end = strstr(end, head)) != NULL;
	    n += (size_t)snprintf(got + n, sizeof got - n, "\n")) {
		end += strlen(head);
		while (*end != '\0' && *end != '\n' && n < sizeof got - 2) {
			if (strncmp(end, "time=", 5) == 0) {
				time = strtod(end + 5, &stop);
				EXPECT(stop > end + 9 && stop[-4] == '.' &&
				    *stop == ' ' && time < 60, "time: %.20s",
				    end);
				end = stop + 1;
			} else {
				got[n++] = *end++;
			}
		}
	}
	got[n] = '\0';
	len = strlen(opening);
	right = strncmp(got, opening, len) == 0;
	if (star > 0 && last[star - 1] == '*')
		right = right && strncmp(got + len, last, star - 1) == 0 &&
		    strchr(got, '\n') == got + n - 1;
	else
		right = right && n == len + star + 1 &&
		    strncmp(got + len, last, star) == 0;
	EXPECT(right, "got \"%s\", not \"%s%s\"", got, opening, last);
	free(p);
	return right;
}

static void
one_end(const struct hub *h, int i)
{
	char address[32], opening[64] = "", order[256], line[256], format[256];
	struct sockaddr_in in;
	struct linger none = { 1, 0 };
	socklen_t room = sizeof in;
	struct client c = { 0 };
	size_t len = 0;
	char answer[2048];
	int fd = -1, backend;
	long sent = ways[i].sent;
	long long end = now() + patience;

	CASE(ways[i].name);
	if (ways[i].request == NULL) {
		join(&c, h);
		fd = c.fd;
		snprintf(opening, sizeof opening, "opened: tls=no device=\"%s\""
		    "\n", c.id);
	} else {
		fd = dial(h->port[0], 0);
		put(fd, ways[i].request, strlen(ways[i].request));
	}
	memset(&in, 0, sizeof in);
	getsockname(fd, (struct sockaddr *)&in, &room);
	snprintf(address, sizeof address, "127.0.0.1:%d", ntohs(in.sin_port));
	if (ways[i].first != 0)
		put_frame(&c, (unsigned)ways[i].first, ways[i].payload,
		    ways[i].len);
	if (ways[i].order != NULL) {
		insert_id(order, sizeof order, ways[i].order, c.id);
		backend = dial_unix(h->control);
		ASK(backend, order, "OK 1\nOK 1\n");
		close(backend);
	}
	if (sent == -1 || ways[i].first != 0 || ways[i].order != NULL)
		get_all(fd, answer, sizeof answer, &len);
	if (sent == -1)
		sent = (long)len;
	if (ways[i].reset)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
	close(fd);
	free(c.buf);
	snprintf(format, sizeof format, ways[i].line, sent);
	insert_id(line, sizeof line, format, c.id);
	snprintf(order, sizeof order, "client %s: %.6s", address, format);
	while (!file_has(h->log, order) && now() < end)
		nap(2);
	(void)lines_are(h->log, address, opening, line);
}

/* Each way in which a connection ends has one line, with its figures. */
static void
each_end(void)
{
	struct hub h = { 0 };
	struct client c;
	char words[256];
	int i;

	spill("token.key", "0123456789abcdef0123456789abcdef\n", 33);
	chmod("token.key", 0600);
	START(&h, QUIET_HUB, "-v", "--origin", "http://good.example");
	for (i = 0; i < (int)(sizeof ways / sizeof *ways); i++)
		if (strcmp(ways[i].name, "401") != 0)
			one_end(&h, i);
	CASE("shutdown has its line, too");
	join(&c, &h);
	STOP(&h);
	snprintf(words, sizeof words, " sent=%ld code=1001 reason=shutdown "
	    "device=\"%s\" text=\"shutdown\"\n", OPENING + 4 + 8, c.id);
	EXPECT(file_has(h.log, words), "no line:%s", words);
	leave(&c);

	START(&h, QUIET_HUB, "-v", "--token-key", "token.key");
	for (i = 0; i < (int)(sizeof ways / sizeof *ways); i++)
		if (strcmp(ways[i].name, "401") == 0)
			one_end(&h, i);
	EXPECT(!file_has(h.log, "SECRET"), "a token is in the log");
	STOP(&h);
}

static struct test_group all_groups[] = {
	{ .name = "words", .run = words_and_files },
	{ .name = "reports", .run = reports },
	{ .name = "drain", .run = drains },
	{ .name = "ends", .run = ends },
	{ .name = "queues", .run = all_queues },
	{ .name = "periods", .run = periods },
	{ .name = "logs", .run = logs },
	{ .name = "lines", .run = each_end },
	{ .name = "circumstances", .run = circumstances },
};

int
main(int argc, char **argv)
{
	return run_groups(argc, argv, all_groups,
	    (int)(sizeof all_groups / sizeof *all_groups));
}
