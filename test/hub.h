/* wshub: ISC licence, see LICENSE. */
/*
 * What the end-to-end tests share: hubs to start and to end, clients, backends.
 *
 * A program of such tests is called with the binary to try, and "tls" if that
 * speaks TLS. Its cases stand in groups, which run side by side, each in a
 * process and a directory of its own; what they print comes out in order. Every
 * wait has a limit. Every hub's standard error goes to a file, and must hold
 * nothing but lines of ours, so that a sanitizer's words fail the case.
 *
 * WSHUB_WRAP in the environment is put before the binary ("valgrind -q
 * --error-exitcode=99"), and makes us patient.
 *
 * Macros in capitals say in which line what they expected was not so.
 */
#ifndef TEST_HUB_H
#define TEST_HUB_H

#include <sys/types.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <time.h>

#include "client.h"
#include "test.h"

/* A hub that says nothing by itself; an object, and one for nobody. */
#define QUIET_HUB "--heartbeat", "0", "--ping", "0"
#define M1 "{\"action\":\"multicast\",\"data\":1}"
#define NONE "{\"action\":\"sendToChannel\",\"channel\":\"x\",\"data\":1}"

#define ARGS(...) ((char *[]) { __VA_ARGS__, NULL })

static char *wshub;        /* the binary, from the root */
static char *wrap[16];     /* what goes before it */
static int with_tls;
static char certs[4096];   /* test/certs, from the root, with a slash */
static int patience = 10000; /* ms that anything may take */
static void (*before_exec)(void); /* what spawn's child does last, or NULL */

static inline long long
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (long long)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static inline void
nap(int ms)
{
	struct timespec t;

	t.tv_sec = ms / 1000;
	t.tv_nsec = ms % 1000 * 1000000L;
	nanosleep(&t, NULL);
}

/* Something that no test is about went wrong: the group ends here. */
static inline void
give_up(const char *what)
{
	EXPECT(0, "%s: %s", what, strerror(errno));
	test_close();
	exit(1);
}

/* A whole file, NUL-terminated; "" if there is none. To be freed. */
static inline char *
slurp(const char *path, size_t *len)
{
	size_t room = 65536, n;
	char *p = malloc(room);
	FILE *f = fopen(path, "r");

	*len = 0;
	while (p != NULL && f != NULL &&
	    (n = fread(p + *len, 1, room - *len - 1, f)) > 0) {
		*len += n;
		if (room - *len < 4096)
			p = realloc(p, room *= 2);
	}
	if (p == NULL)
		give_up(path);
	p[*len] = '\0';
	if (f != NULL)
		fclose(f);
	return p;
}

static inline int
file_has(const char *path, const char *words)
{
	size_t len;
	char *p = slurp(path, &len);
	int has = strstr(p, words) != NULL;

	free(p);
	return has;
}

static inline void
spill(const char *path, const char *data, size_t len)
{
	FILE *f = fopen(path, "w");

	if (f == NULL || fwrite(data, 1, len, f) != len || fclose(f) != 0)
		give_up(path);
}

/* Waits for words in a file: 1, or 0 when time is up. */
static inline int
await(const char *path, const char *words)
{
	long long end = now() + patience;

	while (!file_has(path, words)) {
		if (now() > end)
			return 0;
		nap(2);
	}
	return 1;
}

/* -------------------------------------------------------------- processes */

/* Runs argv after the wrapper: in is a file or NULL, out and err are made. */
static inline pid_t
spawn(char **argv, const char *in, const char *out, const char *err,
    int nofile, int mask)
{
	char *words[128 + sizeof wrap / sizeof *wrap];
	struct rlimit lim;
	int i, n = 0, fd[3];
	pid_t pid;

	for (i = 0; wrap[i] != NULL; i++)
		words[n++] = wrap[i];
	words[n++] = wshub;
	for (i = 0; argv[i] != NULL && i < 126; i++)
		words[n++] = argv[i];
	words[n] = NULL;
	fflush(stdout);
	pid = fork();
	if (pid == -1)
		give_up("fork");
	if (pid != 0)
		return pid;
	fd[0] = open(in != NULL ? in : "/dev/null", O_RDONLY);
	fd[1] = open(out, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	fd[2] = open(err, O_WRONLY | O_CREAT | O_APPEND | O_TRUNC, 0644);
	for (i = 0; i < 3; i++)
		if (fd[i] == -1 || dup2(fd[i], i) == -1)
			_exit(126);
	for (i = 3; i < 1024; i++)
		close(i);
	signal(SIGPIPE, SIG_DFL); /* it is for the hub to ignore it */
	umask((mode_t)mask);
	lim.rlim_cur = lim.rlim_max = (rlim_t)nofile;
	if (nofile != 0 && setrlimit(RLIMIT_NOFILE, &lim) != 0)
		_exit(126);
	if (before_exec != NULL)
		before_exec();
	execvp(words[0], words);
	_exit(127);
	return -1; /* for who does not know _exit */
}

/* Waits for pid's end: its exit status, 1000 + a signal, or -1 if it lives. */
static inline int
reap(pid_t pid, int ms)
{
	long long end = now() + ms;
	int status;

	for (;;) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return WIFEXITED(status) ? WEXITSTATUS(status) :
			    1000 + WTERMSIG(status);
		if (now() > end)
			return -1;
		nap(2);
	}
}

/* What a command that ends by itself did. */
static struct {
	int status;
	char *out, *err;
} did;

/* Runs wshub with args and that on standard input. */
static inline void
command(const char *input, char **args)
{
	size_t len;
	pid_t pid;

	free(did.out);
	free(did.err);
	if (input != NULL)
		spill("command.in", input, strlen(input));
	pid = spawn(args, input != NULL ? "command.in" : NULL, "command.out",
	    "command.err", 0, 022);
	did.status = reap(pid, patience);
	if (did.status == -1) {
		kill(pid, SIGKILL);
		reap(pid, 1000);
	}
	did.out = slurp("command.out", &len);
	did.err = slurp("command.err", &len);
}

#define COMMAND(status, out, err, ...) do {                                   \
	command(NULL, ARGS(__VA_ARGS__));                                     \
	command_is(__FILE__, __LINE__, status, out, err);                     \
} while (0)

/* Checks what it did: out and err are to be found there, NULL: nothing is. */
static inline void
command_is(const char *file, int line, int status, const char *out,
    const char *err)
{
	test_expect(did.status == status, file, line, "exit status %d, not %d",
	    did.status, status);
	test_expect(out != NULL ? strstr(did.out, out) != NULL :
	    *did.out == '\0', file, line, "\"%s\" on standard output, "
	    "\"%s\" wanted", did.out, out != NULL ? out : "");
	test_expect(err != NULL ? strstr(did.err, err) != NULL :
	    *did.err == '\0', file, line, "\"%s\" on standard error, "
	    "\"%s\" wanted", did.err, err != NULL ? err : "");
}

/* The child of that process: the hub of a keeper. 0 if that is not to learn. */
static inline pid_t
child_of(pid_t parent)
{
	char path[300], line[512], *p;
	DIR *d = opendir("/proc");
	struct dirent *e;
	long pid, ppid;
	pid_t found = 0;
	size_t n;
	FILE *f;

	while (d != NULL && found == 0 && (e = readdir(d)) != NULL) {
		if (!isdigit((unsigned char)*e->d_name))
			continue;
		snprintf(path, sizeof path, "/proc/%s/stat", e->d_name);
		if ((f = fopen(path, "r")) == NULL)
			continue;
		n = fread(line, 1, sizeof line - 1, f);
		line[n] = '\0';
		fclose(f);
		if ((p = strrchr(line, ')')) != NULL &&
		    sscanf(p, ") %*c %ld", &ppid) == 1 && ppid == parent)
			found = (pid_t)atol(e->d_name);
	}
	if (d != NULL)
		closedir(d);
	if (found != 0 || (f = popen("ps -A -o pid= -o ppid=", "r")) == NULL)
		return found;
	while (fscanf(f, "%ld %ld", &pid, &ppid) == 2)
		if (ppid == parent)
			found = (pid_t)pid;
	pclose(f);
	return found;
}

/* Its resident memory in kB, or 0. */
static inline long
resident(pid_t pid)
{
	char path[64], *p, *at;
	long kb = 0;
	size_t len;

	snprintf(path, sizeof path, "/proc/%ld/status", (long)pid);
	p = slurp(path, &len);
	if ((at = strstr(p, "VmRSS:")) != NULL)
		kb = atol(at + 6);
	free(p);
	return kb;
}

/* ------------------------------------------------------------------- hubs */

struct hub {
	pid_t pid; /* of the keeper */
	int port[2];
	char control[32], log[32];
	int nofile; /* descriptors it may have, 0: as many as we */
	int mask;   /* its umask */
};

/* A port that is free, outside of what the system gives to connections. */
static inline int
free_port(void)
{
	static unsigned seed;
	struct sockaddr_in in;
	int fd, on = 1, free = 0, port = 0;

	if (seed == 0)
		seed = (unsigned)getpid() * 7919u ^ (unsigned)now();
	while (!free) {
		seed = seed * 1103515245u + 12345u;
		port = 10000 + (int)(seed >> 8) % 22000;
		memset(&in, 0, sizeof in);
		in.sin_family = AF_INET;
		in.sin_port = htons((unsigned short)port);
		fd = socket(AF_INET, SOCK_STREAM, 0);
		if (fd == -1)
			give_up("socket");
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
		free = bind(fd, (struct sockaddr *)&in, sizeof in) == 0;
		close(fd);
	}
	return port;
}

/* Every line of a hub's log is ours. */
static inline void
check_log(const char *path)
{
	size_t len;
	char *p = slurp(path, &len), *line, *end;

	for (line = p; *line != '\0'; line = end) {
		end = line + strcspn(line, "\n");
		EXPECT(strncmp(line, "wshub: ", 7) == 0,
		    "%s on the hub's standard error: %.*s",
		    *end == '\n' ? "a line" : "half a line",
		    (int)(end - line), line);
		end += *end == '\n';
	}
	free(p);
}

/*
 * Starts a hub and waits until it is ready: 0, or its exit status. "%1" and
 * "%2" in args are free ports; without a listener there, it gets one on the
 * first. Its zeroed struct may set nofile and mask.
 */
static inline int
start(struct hub *h, char **args)
{
	static unsigned count;
	char words[40][160], *argv[41], *p;
	int i, n, tries, status = -1, own = 1;
	long long end;

	snprintf(h->log, sizeof h->log, "hub%u.log", ++count);
	snprintf(h->control, sizeof h->control, "hub%u.sock", count);
	for (tries = 0; tries < 20; tries++) {
		h->port[0] = free_port();
		h->port[1] = free_port();
		n = 0;
		snprintf(words[n++], sizeof *words, "-s");
		snprintf(words[n++], sizeof *words, "%s", h->control);
		for (i = 0; args[i] != NULL && n < 38; i++) {
			if (strcmp(args[i], "-l") == 0 ||
			    strcmp(args[i], "-L") == 0)
				own = 0;
			if (strcmp(args[i], "-s") == 0)
				snprintf(h->control, sizeof h->control, "%s",
				    args[i + 1]);
			p = strchr(args[i], '%');
			if (p == NULL)
				snprintf(words[n++], sizeof *words, "%s",
				    args[i]);
			else
				snprintf(words[n++], sizeof *words, "%.*s%d",
				    (int)(p - args[i]), args[i],
				    h->port[p[1] - '1']);
		}
		if (own) {
			snprintf(words[n++], sizeof *words, "-l");
			snprintf(words[n++], sizeof *words, "127.0.0.1:%d",
			    h->port[0]);
		}
		for (i = 0; i < n; i++)
			argv[i] = words[i];
		argv[n] = NULL;
		h->pid = spawn(argv, NULL, "hub.out", h->log, h->nofile,
		    h->mask != 0 ? h->mask : 022);
		for (end = now() + patience; now() < end; nap(2)) {
			if (file_has(h->log, "backends write to"))
				return 0;
			status = reap(h->pid, 0);
			if (status != -1)
				break;
		}
		if (status == -1 || !file_has(h->log, " in use"))
			break;
	}
	EXPECT(status != -1, "the hub is not ready in time");
	if (status == -1) {
		kill(h->pid, SIGKILL);
		reap(h->pid, 1000);
	}
	h->pid = 0;
	return status;
}

/* One that must run, or the group ends. */
#define START(h, ...) do {                                                    \
	int status_ = start((h), ARGS(__VA_ARGS__));                          \
	size_t len_;                                                          \
	if (status_ != 0) {                                                   \
		EXPECT(0, "no hub: exit status %d, \"%s\"", status_,          \
		    slurp((h)->log, &len_));                                  \
		test_close();                                                 \
		exit(1);                                                      \
	}                                                                     \
} while (0)

/* What a hub has counted, by its log's words for that ("refused"). */
static inline long long
counter(const struct hub *h, const char *name)
{
	char words[64], *p, *at, *next;
	long long end = now() + patience, n = -1;
	size_t len, before, size;

	free(slurp(h->log, &before));
	kill(h->pid, SIGUSR1);
	snprintf(words, sizeof words, "wshub: %s: ", name);
	size = strlen(words);
	do {
		nap(2);
		p = slurp(h->log, &len);
		if (len > before && strstr(p + before, "full scans:") != NULL)
			for (at = p + before; (next = strstr(at, words)) !=
			    NULL; at = next + 1)
				n = atoll(next + size);
		free(p);
	} while (n == -1 && now() < end);
	return n;
}

/* Waits for its end, and looks at what it leaves. */
#define ENDED(h, status) ended(__FILE__, __LINE__, h, status)
static inline void
ended(const char *file, int line, struct hub *h, int want)
{
	struct stat st;
	int status = reap(h->pid, patience);

	test_expect(status == want, file, line, "exit status %d, not %d",
	    status, want);
	if (status == -1) {
		kill(h->pid, SIGKILL);
		reap(h->pid, 1000);
	}
	h->pid = 0;
	test_expect(lstat(h->control, &st) == -1, file, line,
	    "%s is still there", h->control);
	check_log(h->log);
}

#define STOP(h) do {                                                          \
	kill((h)->pid, SIGTERM);                                              \
	ENDED(h, 0);                                                          \
} while (0)

/* ------------------------------------------------------------ connections */

static inline void
limit_waits(int fd)
{
	struct timeval t;
	int on = 1;

	t.tv_sec = patience / 1000;
	t.tv_usec = 0;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof t);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/* To 127.0.0.1; rcvbuf 0 is the system's. */
static inline int
dial(int port, int rcvbuf)
{
	int fd = client_connect(port, rcvbuf);

	if (fd == -1)
		give_up("connect");
	limit_waits(fd);
	return fd;
}

/* Nobody listens there any more. */
static inline int
refuses(int port)
{
	struct sockaddr_in in;
	int fd = socket(AF_INET, SOCK_STREAM, 0), no;

	memset(&in, 0, sizeof in);
	in.sin_family = AF_INET;
	in.sin_port = htons((unsigned short)port);
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	no = connect(fd, (struct sockaddr *)&in, sizeof in) != 0 &&
	    errno == ECONNREFUSED;
	close(fd);
	return no;
}

static inline int
dial_unix(const char *path)
{
	struct sockaddr_un un;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	memset(&un, 0, sizeof un);
	un.sun_family = AF_UNIX;
	snprintf(un.sun_path, sizeof un.sun_path, "%s", path);
	if (fd == -1)
		give_up("socket");
	limit_waits(fd);
	if (connect(fd, (struct sockaddr *)&un, sizeof un) != 0)
		give_up(path);
	return fd;
}

/* All of it, or -1: the peer may have gone. */
static inline int
put(int fd, const void *data, size_t len)
{
	const char *p = data;
	ssize_t n;

	for (; len > 0; p += n, len -= (size_t)n) {
		n = send(fd, p, len, MSG_NOSIGNAL);
		if (n <= 0)
			return -1;
	}
	return 0;
}

/* Reads to the end of the stream: 1 if it came as it should, in time. */
static inline int
get_all(int fd, char *buf, size_t room, size_t *len)
{
	ssize_t n;

	*len = 0;
	while ((n = recv(fd, buf + *len, room - *len - 1, 0)) > 0)
		*len += (size_t)n;
	buf[*len] = '\0';
	return n == 0 && *len < room - 1;
}

/* Nothing comes for so long. */
#define QUIET(s_, ms) do {                                                    \
	struct pollfd p_;                                                     \
	p_.fd = (s_);                                                         \
	p_.events = POLLIN;                                                   \
	EXPECT(poll(&p_, 1, ms) == 0, "something came where nothing should"); \
} while (0)

/* ---------------------------------------------------------------- clients */

#define ID_HEAD "{\"action\":\"setDeviceId\",\"data\":{\"device_id\":\""
#define ID_FRAME (2 + sizeof ID_HEAD - 1 + 15 + 3)

/* Reads the 101 and the id. 0, or -1. */
static inline int
take_opening(struct client *c)
{
	unsigned char *p, *data;
	size_t n = sizeof ACCEPTED - 1, len, i;

	if (need(c, n) != 0 || memcmp(c->buf + c->at, ACCEPTED, n) != 0)
		return -1;
	c->at += n;
	if (get_frame(c, &data, &len) != 0x81 || len != ID_FRAME - 2)
		return -1;
	p = data + sizeof ID_HEAD - 1;
	if (memcmp(data, ID_HEAD, sizeof ID_HEAD - 1) != 0 ||
	    memcmp(p + 15, "\"}}", 3) != 0)
		return -1;
	for (i = 0; i < 15; i++)
		if (!isalnum(p[i]) && p[i] != '_' && p[i] != '-')
			return -1;
	memcpy(c->id, p, 15);
	c->id[15] = '\0';
	return 0;
}

/* A client, in; the group ends if it does not get in. */
static inline void
join_with(struct client *c, int fd)
{
	memset(c, 0, sizeof *c);
	c->fd = fd;
	put(c->fd, REQUEST, sizeof REQUEST - 1);
	if (take_opening(c) != 0) {
		c->buf = realloc(c->buf, c->len + 1);
		c->buf[c->len] = '\0';
		EXPECT(0, "a client does not get in: \"%s\"", (char *)c->buf);
		test_close();
		exit(1);
	}
}

static inline void
join(struct client *c, const struct hub *h)
{
	join_with(c, dial(h->port[0], 0));
}

static inline void
leave(struct client *c)
{
	close(c->fd);
	client_free(c);
}

/* Writes a masked frame to out, which has room; returns its length. */
static inline size_t
frame(unsigned char *out, unsigned first, const void *data, size_t len)
{
	return frame_part(out, first, data, len, len);
}

/* The next frame is that one. */
#define FRAME(c, first, data, len) \
    frame_is(__FILE__, __LINE__, c, first, data, len)
#define TEXT(c, text) FRAME(c, 0x81, text, strlen(text))
static inline int
frame_is(const char *file, int line, struct client *c, int first,
    const void *want, size_t wanted)
{
	unsigned char *data;
	size_t len;
	int got = get_frame(c, &data, &len);
	int right = got == first && len == wanted &&
	    (len == 0 || memcmp(data, want, len) == 0);

	test_expect(right, file, line, "frame %d (%#x) of %zu bytes \"%.*s\", "
	    "not %#x of %zu \"%.*s\"", got, (unsigned)got, len,
	    len < 100 ? (int)len : 100, (char *)data, (unsigned)first, wanted,
	    wanted < 100 ? (int)wanted : 100, (const char *)want);
	return right;
}

/* The next frame is a Close with that code (1005: none), and then the end. */
#define CLOSED(c, code) closed(__FILE__, __LINE__, c, code)
static inline int
closed(const char *file, int line, struct client *c, int code)
{
	unsigned char *data;
	size_t len;
	int got = get_frame(c, &data, &len), its = 1005, end;

	if (len >= 2)
		its = data[0] << 8 | data[1];
	test_expect(got == 0x88 && its == code, file, line, "frame %d (%#x), "
	    "code %d, not a Close with %d", got, (unsigned)got, its, code);
	end = get_frame(c, &data, &len);
	test_expect(end == AT_END, file, line, "after the Close: %d, not the "
	    "end", end);
	return got == 0x88 && its == code && end == AT_END;
}

/* --------------------------------------------------------------- backends */

/* Sends text; what comes back begins with want, byte for byte. */
#define ASK(fd, text, want) ask_is(__FILE__, __LINE__, fd, text, want)
#define REPLY(fd, want) ask_is(__FILE__, __LINE__, fd, "", want)
static inline int
ask_is(const char *file, int line, int fd, const char *text, const char *want)
{
	char got[1024];
	size_t len = 0, wanted = strlen(want);
	ssize_t n = 1;

	put(fd, text, strlen(text));
	while (len < wanted && n > 0) {
		n = recv(fd, got + len, wanted - len, 0);
		if (n > 0)
			len += (size_t)n;
	}
	n = len == wanted && memcmp(got, want, len) == 0;
	test_expect(n != 0, file, line, "to \"%.200s\": \"%.*s\", not \"%s\"",
	    text, (int)len, got, want);
	return n != 0;
}

/* One line (or what there is of it) from a backend's socket. */
static inline const char *
get_line(int fd)
{
	static char line[1024];
	size_t len = 0;

	while (len < sizeof line - 1 && recv(fd, line + len, 1, 0) == 1)
		if (line[len++] == '\n')
			break;
	line[len] = '\0';
	return line;
}

/* A multicast of a JSON string whose frame has len bytes of payload. */
static inline char *
sized(size_t len, const char *end)
{
	static const char head[] = "{\"action\":\"multicast\",\"data\":\"";
	char *p = malloc(sizeof head + len + strlen(end) + 8);
	size_t n = sizeof head - 1, i;

	if (p == NULL)
		give_up("memory");
	memcpy(p, head, n);
	for (i = 0; i < len - 2; i++)
		p[n++] = (char)('a' + i % 26);
	strcpy(p + n, "\"}");
	strcat(p + n, end);
	return p;
}

/* A backend for one line. */
#define ORDER(h, text, want) order(__FILE__, __LINE__, h, text, want)
static inline int
order(const char *file, int line, const struct hub *h, const char *text,
    const char *want)
{
	int fd = dial_unix(h->control);
	int right = ask_is(file, line, fd, text, "") &&
	    ask_is(file, line, fd, "\n", want);

	close(fd);
	return right;
}

/* An object about the device of that id: "%s" in the format. */
#define ORDER_FOR(h, format, id, want) ORDER(h, with_id(format, id), want)
#define SUBSCRIBE_TO "{\"action\":\"subscribe\",\"device\":\"%s\",\"channel\":"
#define UNSUBSCRIBE_FROM \
    "{\"action\":\"unsubscribe\",\"device\":\"%s\",\"channel\":"
static inline const char *
with_id(const char *format, const char *id)
{
	static char text[512];

	snprintf(text, sizeof text, format, id);
	return text;
}

/* Waits until the device of that id is gone: 1, or 0 when time is up. */
static inline int
await_gone(const struct hub *h, const char *id)
{
	static const char unknown[] = "ERR unknown device ";
	long long end = now() + patience;
	int fd = dial_unix(h->control), gone = 0;
	char text[128];

	snprintf(text, sizeof text, "{\"action\":\"unsubscribe\","
	    "\"device\":\"%s\",\"channel\":\"gone\"}\n", id);
	while (!gone && now() < end) {
		put(fd, text, strlen(text));
		gone = strncmp(get_line(fd), unknown, strlen(unknown)) == 0;
		if (!gone)
			nap(5);
	}
	close(fd);
	return gone;
}

#include "group.h"

#endif
