/* wshub: ISC licence, see LICENSE. */
/*
 * What a service manager passes on, truth and lies, and what it is told:
 * service path/to/wshub.
 */
#define _GNU_SOURCE
#include "hub.h"

#include <stddef.h>

/* What the hub is started with: descriptors from 3 on, and variables. */
struct passed {
	int fd[8], n;
	const char *fds, *names, *pid, *notify; /* NULL: unset; pid "": own */
};

/* Starts wshub as a manager does; it does not wait. */
static void
start_passed(struct hub *h, const struct passed *p, char **args)
{
	static unsigned count;
	char *words[64], own[16];
	int i, n = 0, fd;

	memset(h, 0, sizeof *h);
	snprintf(h->log, sizeof h->log, "passed%u.log", ++count);
	snprintf(h->control, sizeof h->control, "passed%u.sock", count);
	for (i = 0; wrap[i] != NULL; i++)
		words[n++] = wrap[i];
	words[n++] = wshub;
	for (i = 0; args[i] != NULL && n < 62; i++)
		words[n++] = args[i];
	words[n] = NULL;
	fflush(stdout);
	h->pid = fork();
	if (h->pid == -1)
		give_up("fork");
	if (h->pid != 0)
		return;
	fd = open(h->log, O_WRONLY | O_CREAT | O_APPEND | O_TRUNC, 0644);
	if (fd == -1 || dup2(fd, 1) == -1 || dup2(fd, 2) == -1)
		_exit(126);
	for (i = 0; i < p->n; i++) /* out of the way of what is to come */
		if ((fd = fcntl(p->fd[i], F_DUPFD, 100)) == -1 ||
		    dup2(fd, 200 + i) == -1)
			_exit(126);
	for (i = 0; i < p->n; i++)
		if (dup2(200 + i, 3 + i) == -1)
			_exit(126);
	for (fd = 3 + i; fd < 1024; fd++)
		close(fd);
	snprintf(own, sizeof own, "%ld", (long)getpid());
	if (p->pid != NULL)
		setenv("LISTEN_PID", *p->pid != '\0' ? p->pid : own, 1);
	if (p->fds != NULL)
		setenv("LISTEN_FDS", p->fds, 1);
	if (p->names != NULL)
		setenv("LISTEN_FDNAMES", p->names, 1);
	if (p->notify != NULL)
		setenv("NOTIFY_SOCKET", p->notify, 1);
	execvp(words[0], words);
	_exit(127);
}

static int
tcp_socket(int *port, int listens)
{
	struct sockaddr_in in;
	socklen_t len = sizeof in;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	memset(&in, 0, sizeof in);
	in.sin_family = AF_INET;
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd == -1 || bind(fd, (struct sockaddr *)&in, sizeof in) == -1 ||
	    (listens && listen(fd, 16) == -1) ||
	    getsockname(fd, (struct sockaddr *)&in, &len) == -1)
		give_up("a socket");
	if (port != NULL)
		*port = ntohs(in.sin_port);
	return fd;
}

/* At path; "@..." is abstract. */
static int
unix_socket(const char *path, int type)
{
	struct sockaddr_un un;
	int fd = socket(AF_UNIX, type, 0);
	struct timeval t;

	memset(&un, 0, sizeof un);
	un.sun_family = AF_UNIX;
	snprintf(un.sun_path, sizeof un.sun_path, "%s", path);
	if (*path == '@')
		un.sun_path[0] = '\0';
	t.tv_sec = patience / 1000;
	t.tv_usec = 0;
	if (fd == -1 || bind(fd, (struct sockaddr *)&un, (socklen_t)(offsetof(
	    struct sockaddr_un, sun_path) + strlen(path) + (*path != '@'))) ==
	    -1 || (type == SOCK_STREAM && listen(fd, 16) == -1) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t) == -1)
		give_up(path);
	return fd;
}

static void
use(struct hub *h, int port, const char *control)
{
	struct client c;

	if (!await(h->log, "backends write to")) {
		EXPECT(0, "the hub is not ready in time");
		return;
	}
	h->port[0] = port;
	snprintf(h->control, sizeof h->control, "%s", control);
	join(&c, h);
	ORDER(h, "{\"action\":\"multicast\",\"data\":\"passed on\"}",
	    "OK 1\n");
	TEXT(&c, "\"passed on\"");
	leave(&c);
}

/* Its end: status 0, and the files of others are still there. */
static void
end(struct hub *h, const char *kept)
{
	struct stat st;
	int status;

	kill(h->pid, SIGTERM);
	status = reap(h->pid, patience);
	EXPECT(status == 0, "exit status %d", status);
	if (status == -1)
		kill(h->pid, SIGKILL);
	EXPECT(kept == NULL || lstat(kept, &st) == 0, "%s is gone, though it "
	    "is the manager's", kept);
	check_log(h->log);
}

static void
passed_on(void)
{
	struct hub h;
	struct passed p = { .pid = "", .fds = "2" };
	char own[32], name[32];
	int port, other;

	CASE("sockets: by name");
	p.fd[0] = unix_socket("one.sock", SOCK_STREAM);
	p.fd[1] = tcp_socket(&port, 1);
	p.n = 2;
	p.names = "control:ws";
	start_passed(&h, &p, ARGS("--drain", "1"));
	use(&h, port, "one.sock");
	EXPECT(!file_has(h.log, ":8080"), "it listens at the default address");
	end(&h, "one.sock");

	CASE("sockets: without names, or with those of units, by their kind");
	p.names = NULL;
	start_passed(&h, &p, ARGS("--drain", "1"));
	use(&h, port, "one.sock");
	end(&h, "one.sock");
	p.names = "wshub-control.socket:unknown";
	start_passed(&h, &p, ARGS("--drain", "1"));
	use(&h, port, "one.sock");
	end(&h, "one.sock");
	close(p.fd[0]);

	CASE("sockets: beside some of its own");
	p.fd[0] = p.fd[1];
	p.n = 1;
	p.fds = "1";
	p.names = "ws";
	other = free_port();
	snprintf(own, sizeof own, "127.0.0.1:%d", other);
	start_passed(&h, &p, ARGS("-l", own, "-s", "own.sock"));
	use(&h, port, "own.sock");
	use(&h, other, "own.sock");
	end(&h, NULL);
	EXPECT(access("own.sock", F_OK) == -1, "its own is still there");

	CASE("sockets: a Unix socket for clients");
	p.fd[0] = unix_socket("clients.sock", SOCK_STREAM);
	start_passed(&h, &p, ARGS("-s", "own.sock"));
	EXPECT(await(h.log, "listening on ws://unix:clients.sock"),
	    "it does not say where it listens");
	end(&h, "clients.sock");
	close(p.fd[0]);

	CASE("sockets: one for metrics");
	p.fd[0] = unix_socket("metrics.sock", SOCK_STREAM);
	p.names = "metrics";
	snprintf(own, sizeof own, "127.0.0.1:%d", free_port());
	start_passed(&h, &p, ARGS("-l", own, "-s", "own.sock"));
	EXPECT(await(h.log, "backends write to own.sock") &&
	    file_has(h.log, "metrics on http://unix:metrics.sock"),
	    "it does not say so");
	other = dial_unix("metrics.sock");
	put(other, "GET /metrics HTTP/1.0\r\n\r\n", 25);
	EXPECT(recv(other, name, 12, MSG_WAITALL) == 12 &&
	    memcmp(name, "HTTP/1.1 200", 12) == 0, "%.12s", name);
	close(other);
	end(&h, "metrics.sock");
	close(p.fd[0]);

	CASE("sockets: meant for another process, they are left alone");
	p.fd[0] = p.fd[1];
	p.pid = "1";
	p.fds = "77";
	snprintf(name, sizeof name, "127.0.0.1:%d", free_port());
	start_passed(&h, &p, ARGS("-l", name, "-s", "own.sock"));
	EXPECT(await(h.log, "backends write to own.sock"), "not ready");
	end(&h, NULL);
	close(p.fd[1]);
}

/* A request from 127.0.0.N: the answer's status. */
static int
status_of(int *fd, int n, int port)
{
	static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\n"
	    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
	    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	    "Sec-WebSocket-Version: 13\r\n\r\n";
	struct sockaddr_in in;
	char answer[16] = "";

	memset(&in, 0, sizeof in);
	in.sin_family = AF_INET;
	in.sin_addr.s_addr = htonl(0x7f000000 | (uint32_t)n);
	*fd = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(*fd, (struct sockaddr *)&in, sizeof in) == -1)
		return -1;
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	in.sin_port = htons((uint16_t)port);
	if (connect(*fd, (struct sockaddr *)&in, sizeof in) == -1)
		give_up("connect");
	put(*fd, request, sizeof request - 1);
	return recv(*fd, answer, 12, MSG_WAITALL) == 12 ? atoi(answer + 9) : 0;
}

/* systemd's sockets are for IPv4 and IPv6 at once. */
static void
both_families(void)
{
	struct sockaddr_in6 in6;
	socklen_t len = sizeof in6;
	struct passed p = { .pid = "", .fds = "1", .names = "ws", .n = 1 };
	struct hub h;
	int off = 0, port, i, got, fd[4];
	static const char name[] = "sockets: one for IPv4 and IPv6: "
	    "--max-per-ip tells IPv4 apart";

	memset(&in6, 0, sizeof in6);
	in6.sin6_family = AF_INET6;
	in6.sin6_addr.s6_addr[10] = in6.sin6_addr.s6_addr[11] = 0xff;
	in6.sin6_addr.s6_addr[12] = 127;
	in6.sin6_addr.s6_addr[15] = 1;
	p.fd[0] = socket(AF_INET6, SOCK_STREAM, 0);
	if (p.fd[0] == -1 || setsockopt(p.fd[0], IPPROTO_IPV6, IPV6_V6ONLY,
	    &off, sizeof off) == -1 || bind(p.fd[0], (struct sockaddr *)&in6,
	    sizeof in6) == -1 || listen(p.fd[0], 16) == -1 ||
	    getsockname(p.fd[0], (struct sockaddr *)&in6, &len) == -1) {
		close(p.fd[0]);
		test_skip(name, "no IPv6");
		return;
	}
	CASE(name);
	port = ntohs(in6.sin6_port);
	start_passed(&h, &p, ARGS("-s", "own.sock", "--max-per-ip", "1"));
	EXPECT(await(h.log, "backends write to"), "not ready");
	for (i = 0; i < 4; i++) {
		got = status_of(&fd[i], i < 3 ? i + 1 : 1, port);
		EXPECT(got == (i < 3 ? 101 : 503) || got == -1,
		    "client %d: %d", i, got);
	}
	for (i = 0; i < 4; i++)
		close(fd[i]);
	end(&h, NULL);
	close(p.fd[0]);
}

static void
lies(void)
{
	static const struct {
		const char *fds, *names, *pid, *words;
		int first, n; /* of the descriptors below */
	} t[] = {
		{ "2", NULL, "", "descriptor 4 is not open", 0, 1 },
		{ "30", NULL, "", "descriptor 4 is not open", 0, 1 },
		{ "33", NULL, "", "more than 32 sockets", 0, 1 },
		{ "999999999", NULL, "", "more than", 0, 1 },
		{ "99999999999999999999", NULL, "", "not a number", 0, 1 },
		{ "-1", NULL, "", "not a number", 0, 1 },
		{ "", NULL, "", "not a number", 0, 1 },
		{ "1x", NULL, "", "not a number", 0, 1 },
		{ "1", NULL, "me", "LISTEN_PID=me: not a number", 0, 1 },
		{ "1", "ws:ws", "", "not as many", 0, 1 },
		{ "2", "ws", "", "not as many", 0, 2 },
		{ "1", "http", "", "\"http\" is not ws", 0, 1 },
		{ "1", "a\nb\x1b[2J", "", "\"a\\x0ab\\x1b[2J\" is not", 0, 1 },
		{ "1", "control", "", "not a Unix socket", 0, 1 },
		{ "1", "wss", "", "needs -c and -k", 0, 1 },
		{ "2", "control:control", "", "two control sockets", 1, 2 },
		{ "1", NULL, "", "not a stream socket", 3, 1 },
		{ "1", NULL, "", "not a stream socket", 4, 1 },
		{ "1", NULL, "", "not a stream socket", 5, 1 },
		{ "1", NULL, "", "does not listen", 6, 1 },
		{ "1", NULL, "", "does not listen", 7, 1 },
	};
	int fd[8], pair[2], status;
	struct passed p;
	struct hub h;
	size_t i, len;
	char *log;

	CASE("lies: an error each, and no crash");
	fd[0] = tcp_socket(NULL, 1);
	fd[1] = unix_socket("a.sock", SOCK_STREAM);
	fd[2] = unix_socket("b.sock", SOCK_STREAM);
	fd[3] = unix_socket("c.sock", SOCK_DGRAM);
	fd[4] = open("/dev/null", O_RDWR);
	fd[5] = socket(AF_INET, SOCK_DGRAM, 0);
	fd[6] = tcp_socket(NULL, 0);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == -1)
		give_up("socketpair");
	fd[7] = pair[0];
	for (i = 0; i < sizeof t / sizeof *t; i++) {
		/* With valgrind it is. */
		if (wrap[0] != NULL && strstr(t[i].words, "is not open"))
			continue;
		memset(&p, 0, sizeof p);
		p.fds = t[i].fds;
		p.names = t[i].names;
		p.pid = t[i].pid;
		p.n = t[i].n;
		memcpy(p.fd, fd + t[i].first, (size_t)t[i].n * sizeof *fd);
		start_passed(&h, &p, ARGS("-s", "lies.sock"));
		status = reap(h.pid, patience);
		if (status == -1)
			kill(h.pid, SIGKILL);
		log = slurp(h.log, &len);
		EXPECT((status == 1 || status == 2) &&
		    strstr(log, t[i].words) != NULL, "LISTEN_FDS=%s "
		    "LISTEN_FDNAMES=%s: status %d, \"%s\"", t[i].fds,
		    t[i].names != NULL ? t[i].names : "(unset)", status, log);
		free(log);
	}
}

/* The next word that the manager hears. */
static void
hears(int fd, const char *want)
{
	char got[256];
	ssize_t n = recv(fd, got, sizeof got - 1, 0);

	got[n < 0 ? 0 : n] = '\0';
	EXPECT(strcmp(got, want) == 0 || (want[strlen(want) - 1] == '=' &&
	    strncmp(got, want, strlen(want)) == 0 &&
	    atoll(got + strlen(want)) > 0), "the manager hears \"%s\", not "
	    "\"%s\"", got, want);
}

static void
notices(void)
{
	char name[40], abstract[64], *paths[2];
	struct passed p;
	struct hub h;
	int fd, i;

	snprintf(abstract, sizeof abstract, "@wshub-test-%ld", (long)getpid());
	paths[0] = realpath(".", NULL);
	paths[0] = realloc(paths[0], strlen(paths[0]) + 16);
	strcat(paths[0], "/notify");
	paths[1] = abstract;
	for (i = 0; i < 2; i++) {
#ifndef __linux__
		if (i == 1)
			break; /* abstract sockets are Linux's */
#endif
		CASE(i == 0 ? "notices: READY, RELOADING, READY, STOPPING" :
		    "notices: to an abstract socket");
		fd = unix_socket(paths[i], SOCK_DGRAM);
		memset(&p, 0, sizeof p);
		p.notify = paths[i];
		snprintf(name, sizeof name, "127.0.0.1:%d", free_port());
		start_passed(&h, &p, ARGS("-l", name, "-s", "own.sock"));
		hears(fd, "READY=1");
		EXPECT(file_has(h.log, "backends write to"), "it was not");
		kill(h.pid, SIGHUP);
		hears(fd, "RELOADING=1\nMONOTONIC_USEC=");
		hears(fd, "READY=1");
		end(&h, NULL);
		hears(fd, "STOPPING=1");
		close(fd);
	}

	CASE("notices: none is heard of a hub that does not get ready");
	fd = unix_socket("x", SOCK_DGRAM);
	snprintf(strrchr(paths[0], '/'), 16, "/x");
	memset(&p, 0, sizeof p);
	p.notify = paths[0];
	start_passed(&h, &p, ARGS("-l", name, "-s", "."));
	EXPECT(reap(h.pid, patience) == 1, "it is ready");
	EXPECT(recv(fd, name, sizeof name, MSG_DONTWAIT) == -1,
	    "the manager hears something");
	close(fd);

	CASE("notices: a socket that is not there, or not known, harms nobody");
	for (i = 0; i < 4; i++) {
		static char long_one[200];
		const char *odd[4];

		memset(long_one, 'a', sizeof long_one - 1);
		long_one[0] = '/';
		odd[0] = "/nonexistent/notify";
		odd[1] = "vsock:2:1234";
		odd[2] = "@";
		odd[3] = long_one;
		p.notify = odd[i];
		snprintf(name, sizeof name, "127.0.0.1:%d", free_port());
		start_passed(&h, &p, ARGS("-l", name, "-s", "own.sock"));
		EXPECT(await(h.log, "backends write to"), "%s: not ready",
		    odd[i]);
		kill(h.pid, SIGHUP);
		end(&h, NULL);
	}
	free(paths[0]);
}

/* The relay: a control socket, and the same notices. */
static void
relay(void)
{
	char *args[] = { "relay", "-s", "none.sock", "-S", "own.sock",
	    "mqtt+unix:none.sock", NULL };
	struct passed p = { .pid = "", .fds = "1", .n = 1 };
	char notify[300];
	struct hub h;
	int fd, manager, status;
	pid_t bridge;

	CASE("relay: a control socket, and notices");
	if (getcwd(notify, sizeof notify - 16) == NULL)
		give_up("getcwd");
	strcat(notify, "/manager");
	manager = unix_socket(notify, SOCK_DGRAM);
	p.notify = notify;
	p.fd[0] = unix_socket("relay.sock", SOCK_STREAM);
	start_passed(&h, &p, args);
	hears(manager, "READY=1");
	EXPECT(file_has(h.log, "backends write to relay.sock"), "it was not");
	EXPECT(access("own.sock", F_OK) == -1, "it has its own as well");
	fd = dial_unix("relay.sock");
	put(fd, M1 "\n", sizeof M1);
	REPLY(fd, "ERR no broker\n");
	close(fd);
	kill(h.pid, SIGHUP);
	hears(manager, "RELOADING=1\nMONOTONIC_USEC=");
	hears(manager, "READY=1");
	EXPECT(await(h.log, "HUP: there is nothing to reload"), "not a word");
	end(&h, "relay.sock");
	hears(manager, "STOPPING=1");

	CASE("relay: STOPPING is sent even if the bridge ends sooner");
	start_passed(&h, &p, args);
	hears(manager, "READY=1");
	kill(h.pid, SIGSTOP);
	if (waitpid(h.pid, &status, WUNTRACED) != h.pid || !WIFSTOPPED(status))
		give_up("SIGSTOP");
	bridge = child_of(h.pid);
	EXPECT(bridge > 0 && kill(bridge, SIGKILL) == 0, "its bridge: %ld",
	    (long)bridge);
	nap(100); /* so that it has ended when the other goes on */
	kill(h.pid, SIGTERM);
	kill(h.pid, SIGCONT);
	hears(manager, "STOPPING=1");
	status = reap(h.pid, patience);
	EXPECT(status == 1 && file_has(h.log, "the bridge was ended by"),
	    "status %d", status);
	close(p.fd[0]);
	close(manager);

	CASE("relay: it has no clients");
	p.notify = NULL;
	p.fd[0] = tcp_socket(NULL, 1);
	start_passed(&h, &p, args);
	status = reap(h.pid, patience);
	EXPECT(status == 1 && file_has(h.log, "LISTEN_FDS: the relay has only "
	    "a control socket"), "status %d", status);
	close(p.fd[0]);
}

static struct test_group all_groups[] = {
	{ "passed", passed_on, 0, 0 },
	{ "families", both_families, 0, 0 },
	{ "lies", lies, 0, 0 },
	{ "notices", notices, 0, 0 },
	{ "relay", relay, 0, 0 },
};

int
main(int argc, char **argv)
{
	return run_groups(argc, argv, all_groups,
	    (int)(sizeof all_groups / sizeof *all_groups));
}
