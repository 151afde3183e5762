/* wshub: ISC licence, see LICENSE. */
/*
 * Tests of sandbox.c: what is promised works, all else is refused. Each try is
 * a child's, for a violation is the end of it.
 */
#define _GNU_SOURCE
#include <sys/types.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <time.h>
#ifdef __APPLE__
#include <sys/random.h>
#endif
#ifdef __linux__
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#endif

#include "test.h"
#include "../ws.h"

static int pair[2], listener;
static struct sockaddr_in listening; /* the listener's address */
static char said[4096];

/* What the hub does. */
static int
work(void)
{
	struct pollfd p = { pair[0], POLLIN, 0 };
	struct sockaddr_storage a;
	struct linger reset = { 1, 0 };
	struct timespec t;
	struct msghdr h;
	struct iovec iov[2];
	socklen_t len = sizeof a;
	char buf[8], entropy[8], *m;
	int i, fd, on = 1, unsent = 0;

	for (i = 1; i < 1000; i++) { /* both of malloc's ways to get memory */
		m = malloc((size_t)i * 1000);
		if (m == NULL)
			return 1;
		m[0] = 1;
		m = realloc(m, (size_t)i * 2000);
		free(m);
	}
	if (write(pair[1], "x", 1) != 1 || poll(&p, 1, 1000) != 1 ||
	    recv(pair[0], buf, sizeof buf, 0) != 1)
		return 2;
	if (send(pair[1], "y", 1, 0) != 1 || read(pair[0], buf, 1) != 1)
		return 3;
	memset(&h, 0, sizeof h);
	iov[0].iov_base = iov[1].iov_base = entropy;
	iov[0].iov_len = iov[1].iov_len = 4;
	memset(entropy, 0, sizeof entropy);
	h.msg_iov = iov;
	h.msg_iovlen = 2;
	if (sendmsg(pair[1], &h, MSG_NOSIGNAL) != 8 ||
	    recv(pair[0], buf, 1, MSG_PEEK) != 1 ||
	    recv(pair[0], buf, sizeof buf, 0) != 8)
		return 6;
	if (clock_gettime(CLOCK_MONOTONIC, &t) != 0 ||
	    getentropy(entropy, sizeof entropy) != 0)
		return 4;
	fd = accept(listener, NULL, NULL);
	if (fd == -1 || getsockname(fd, (struct sockaddr *)&a, &len) != 0 ||
	    getpeername(fd, (struct sockaddr *)&a, &len) != 0 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
#ifdef __linux__ /* how much a client has not acknowledged */
	    ioctl(fd, TIOCOUTQ, &unsent) != 0 || unsent != 0 ||
	    send(fd, "z", 1, MSG_NOSIGNAL | MSG_MORE) != 1 ||
	    ioctl(fd, TIOCOUTQ, &unsent) != 0 || unsent != 1 ||
#endif
	    shutdown(fd, SHUT_WR) != 0 || setsockopt(fd, SOL_SOCKET,
	    SO_LINGER, &reset, sizeof reset) != 0 || close(fd) != 0)
		return 5;
	(void)unsent;
	return 0;
}

static int
try_open(void)
{
	return open("/dev/null", O_RDONLY) == -1;
}

static int
try_socket(void)
{
	return socket(AF_INET, SOCK_STREAM, 0) == -1;
}

static int
try_connect(void)
{
	struct sockaddr_un a;

	memset(&a, 0, sizeof a);
	a.sun_family = AF_UNIX;
	return connect(pair[0], (struct sockaddr *)&a, sizeof a) == -1;
}

static int
try_execve(void)
{
	char *none[] = { NULL };

	return execve("/bin/true", none, none) == -1;
}

static int
try_fork(void)
{
	return fork() == -1;
}

static int
try_kill(void)
{
	return kill(getppid(), 0) == -1;
}

static int
try_unlink(void)
{
	return unlink("/nowhere") == -1;
}

static int
try_code(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE |
	    MAP_ANONYMOUS, -1, 0) == MAP_FAILED;
}

static int
try_chmod(void)
{
	return chmod("/nowhere", 0700) == -1;
}

static int
try_listen(void)
{
	return listen(listener, 1) == -1;
}

static int
try_socketpair(void)
{
	int fd[2];

	return socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == -1;
}

static int
try_setuid(void)
{
	return setuid(getuid()) == -1;
}

static int
try_chroot(void)
{
	return chroot("/") == -1;
}

static int
try_accept(void)
{
	return accept(-1, NULL, NULL) == -1;
}

static int
try_wait(void)
{
	return waitpid(-1, NULL, 0) == -1 && errno == ECHILD ? 0 : 1;
}

static int
try_send(void)
{
	char c;

	return send(pair[0], "x", 1, 0) == 1 && recv(pair[1], &c, 1, 0) == 1 ?
	    0 : 1;
}

#ifdef __linux__
static int
try_ptrace(void)
{
	return syscall(SYS_ptrace, 0, 0, 0, 0) == -1;
}

#ifdef __mips__
#define FIRST_CALL 4000
#else
#define FIRST_CALL 0
#endif
#define CALLS 512 /* Linux has fewer than 480, of any machine */

/* They take registers and signal mask from a stack where no kernel put any. */
static int
is_sigreturn(int call)
{
#ifdef SYS_sigreturn
	if (call == SYS_sigreturn)
		return 1;
#endif
	return call == SYS_rt_sigreturn;
}

/* The kernel lets these pass every filter, and obeys its own trampolines. */
static int
is_uprobe(int call)
{
#if defined(__x86_64__)
	return call == 335 || call == 336; /* uretprobe, uprobe */
#else
	(void)call;
	return 0;
#endif
}

/* Shared with the child that tries calls. */
static struct {
	int at; /* the call that is being tried, less FIRST_CALL */
	unsigned char refused[CALLS];
} *calls;
static sigjmp_buf next_call;

static void
skip_call(int signal_number)
{
	(void)signal_number;
	siglongjmp(next_call, 1);
}

/*
 * Makes all calls from calls->at on, with arguments of no sense. One that is
 * refused raises a signal. Some wait for ever, or end the process.
 */
static int
try_calls(void)
{
	(void)signal(SIGSYS, skip_call);
	for (; calls->at < CALLS; calls->at++) {
		if (is_sigreturn(FIRST_CALL + calls->at))
			calls->refused[calls->at] = 1; /* not tried */
		else if (sigsetjmp(next_call, 1) == 0)
			(void)syscall(FIRST_CALL + calls->at, 0, 0, 0, 0, 0, 0);
		else
			calls->refused[calls->at] = 1;
	}
	return 0;
}

#if defined(__x86_64__) && defined(__GNUC__)
/* getpid of another architecture, where it has another number. */
static int
try_foreign(void)
{
	int n = 20;

	__asm__ volatile("int $0x80" : "+a"(n) : : "memory");
	return 0;
}

/* The same number as getpid's, of the machine's third set of calls. */
static int
try_x32(void)
{
	(void)syscall(0x40000000 + SYS_getpid);
	return 0;
}
#endif

static int
no_core(void)
{
	struct rlimit lim;

	ws_no_core();
	return getrlimit(RLIMIT_CORE, &lim) == 0 && lim.rlim_cur == 0 &&
	    lim.rlim_max == 0 && prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0 ? 0 :
	    1;
}

/* What a debugger's user asks for, and gets but for one thing. */
static int
no_sandbox(void)
{
	setenv("WSHUB_NO_SANDBOX", "1", 1);
	if (ws_pledge("stdio") != -1 || errno != ENOSYS)
		return 1;
	if (ws_unveil("/", "") != -1 || errno != ENOSYS)
		return 2;
	if (open("/dev/null", O_RDONLY) == -1)
		return 3;
	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : 4;
}
#endif

/*
 * Runs it with those promises (NULL: none); the child's wait status. It is
 * killed where it says nothing for so many seconds, or more than we keep.
 */
static int
run_for(int seconds, const char *promises, int (*what)(void))
{
	struct pollfd p = { -1, POLLIN, 0 };
	int fd[2], status;
	size_t n = 0;
	ssize_t got = -1;
	pid_t pid;

	fflush(stdout);
	if (pipe(fd) != 0 || (pid = fork()) == -1)
		return -1;
	if (pid == 0) {
		close(fd[0]);
		dup2(fd[1], STDERR_FILENO);
		if (promises != NULL && ws_pledge(promises) != 0)
			_exit(100);
		_exit(what());
	}
	close(fd[1]);
	p.fd = fd[0];
	while (n < sizeof said - 1 && poll(&p, 1, seconds * 1000) == 1 &&
	    (got = read(fd[0], said + n, sizeof said - 1 - n)) > 0)
		n += (size_t)got;
	said[n] = '\0';
	if (got != 0)
		kill(pid, SIGKILL);
	close(fd[0]);
	if (waitpid(pid, &status, 0) != pid)
		return -1;
	return status;
}

static int
run(const char *promises, int (*what)(void))
{
	return run_for(60, promises, what);
}

static int
look_around(void)
{
	struct stat st;

	if (ws_unveil("test", "r") != 0 || ws_unveil(NULL, NULL) != 0)
		return 100;
	if (open("test/sandbox.c", O_RDONLY) == -1)
		return 1;
	if (open("test/sandbox.c", O_RDWR) != -1 || errno != EACCES)
		return 2;
	if (open("/etc/passwd", O_RDONLY) != -1 || errno != EACCES)
		return 3;
	if (mkdir("test/made", 0700) == 0 || unlink("test/made") == 0)
		return 4;
	if (open("test/build/way-out", O_RDONLY) != -1 || errno != EACCES)
		return 6;
	if (open("test/../ws.h", O_RDONLY) != -1 || errno != EACCES)
		return 7;
	return stat("test/sandbox.c", &st) == 0 ? 0 : 5;
}

/* The keeper's: what is under one directory goes, and nothing else. */
static int
clear_away(void)
{
	int fd = open("test/build/removed", O_WRONLY | O_CREAT, 0600);

	if (fd == -1 || close(fd) != 0)
		return 1;
	if (ws_unveil("test/build", "rc") != 0 || ws_unveil(NULL, NULL) != 0)
		return 100;
	if (unlink("test/build/removed") != 0)
		return 2;
	if (unlink("ws.h") != -1 || errno != EACCES)
		return 3;
	if (open("test/build/sandbox", O_WRONLY) != -1)
		return 4;
	return 0;
}

static int
see_nothing(void)
{
	if (ws_unveil("/", "") != 0 || ws_unveil(NULL, NULL) != 0)
		return 100;
	return open("/etc/passwd", O_RDONLY) == -1 && errno == EACCES &&
	    open("ws.h", O_RDONLY) == -1 ? 0 : 1;
}

/* What the keeper does: reads its pair anew, removes, sends, and waits. */
static int
keep(void)
{
	char c;
	int fd = open("ws.h", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd == -1 || read(fd, &c, 1) != 1 || close(fd) != 0)
		return 1;
	if (unlink("test/build/no-such-file") != -1 || errno != ENOENT)
		return 2;
	if (send(pair[1], "y", 1, 0) != 1 || read(pair[0], &c, 1) != 1)
		return 3;
	return waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD ? 0 : 4;
}

/* Sends a descriptor over the pair: 1, as sendmsg. */
static ssize_t
send_descriptor(int fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	char byte = 'x';
	struct iovec iov;
	struct msghdr h;
	struct cmsghdr *c;

	memset(&h, 0, sizeof h);
	memset(&control, 0, sizeof control);
	iov.iov_base = &byte;
	iov.iov_len = 1;
	h.msg_iov = &iov;
	h.msg_iovlen = 1;
	h.msg_control = control.bytes;
	h.msg_controllen = sizeof control.bytes;
	c = CMSG_FIRSTHDR(&h);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(c), &fd, sizeof fd);
	return sendmsg(pair[1], &h, MSG_NOSIGNAL);
}

/* What the relay's bridge does beyond the hub: takes connections. */
static int
bridge(void)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	char byte;
	struct iovec iov;
	struct msghdr h;
	struct cmsghdr *c;
	int fd, error = 1;
	socklen_t len = sizeof error;

	if (send_descriptor(pair[0]) != 1)
		return 101;
	memset(&h, 0, sizeof h);
	iov.iov_base = &byte;
	iov.iov_len = 1;
	h.msg_iov = &iov;
	h.msg_iovlen = 1;
	h.msg_control = control.bytes;
	h.msg_controllen = sizeof control.bytes;
	if (recvmsg(pair[0], &h, 0) != 1 || (c = CMSG_FIRSTHDR(&h)) == NULL)
		return 102;
	memcpy(&fd, CMSG_DATA(c), sizeof fd);
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) == -1 || getsockopt(fd, SOL_SOCKET,
	    SO_ERROR, &error, &len) != 0 || error != 0)
		return 103;
	return work();
}

/* What the relay's connector does: finds a host, connects, and passes it on. */
static int
connector(void)
{
	struct addrinfo hints, *list;
	struct sockaddr_un un;
	char port[12], host[64], c;
	int fd, on = 1;

	memset(&hints, 0, sizeof hints);
	hints.ai_socktype = SOCK_STREAM;
	snprintf(port, sizeof port, "%u", (unsigned)ntohs(listening.sin_port));
	if (getaddrinfo("localhost", port, &hints, &list) == 0)
		freeaddrinfo(list); /* not all systems have that name */
	if (getaddrinfo("127.0.0.1", port, &hints, &list) != 0)
		return 1;
	fd = socket(list->ai_family, SOCK_STREAM, 0);
	if (fd == -1 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on,
	    sizeof on) != 0 || fcntl(fd, F_SETFL, O_NONBLOCK) == -1 ||
	    fcntl(fd, F_SETFD, FD_CLOEXEC) == -1 || (connect(fd, list->ai_addr,
	    list->ai_addrlen) != 0 && errno != EINPROGRESS) ||
	    getnameinfo(list->ai_addr, list->ai_addrlen, host, sizeof host,
	    NULL, 0, NI_NUMERICHOST) != 0)
		return 2;
	freeaddrinfo(list);
	if (send_descriptor(fd) != 1 || read(pair[0], &c, 1) != 1 ||
	    close(fd) != 0)
		return 3;
	memset(&un, 0, sizeof un);
	un.sun_family = AF_UNIX;
	strcpy(un.sun_path, "test/build/no-such-file");
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (fd == -1 || connect(fd, (struct sockaddr *)&un, sizeof un) == 0 ||
	    errno != ENOENT)
		return 4;
	return keep();
}

static int
nothing(void)
{
	return 0;
}

/* What neither process is to do, but for what it promises. */
static const struct try {
	const char *name;
	int (*try)(void);
} tries[] = {
	{ "open", try_open }, { "socket", try_socket },
	{ "connect", try_connect }, { "execve", try_execve },
	{ "fork", try_fork }, { "kill", try_kill },
	{ "unlink", try_unlink }, { "memory for code", try_code },
	{ "chmod", try_chmod }, { "listen", try_listen },
	{ "socketpair", try_socketpair }, { "setuid", try_setuid },
	{ "chroot", try_chroot }, { "accept", try_accept },
#ifdef __linux__
	{ "ptrace", try_ptrace },
#if defined(__x86_64__) && defined(__GNUC__)
	{ "x32", try_x32 },
#endif
#endif
};

/* Each but those of these names is the end of who made those promises. */
static void
refused(const char *promises, const char *allowed)
{
	const struct try *t = tries;
	int status;

	for (; t < tries + sizeof tries / sizeof *tries; t++) {
		if (strstr(allowed, t->name) != NULL)
			continue;
		status = run(promises, t->try);
		EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS,
		    "%s: status %#x", t->name, (unsigned)status);
		/* musl blocks signals in these: no handler speaks. */
		if ((t->try == try_fork || t->try == try_setuid) &&
		    *said == '\0')
			continue;
		EXPECT(strncmp(said, "wshub: not pledged: system call ", 32)
		    == 0 && strchr(said, '\n') == said + strlen(said) - 1,
		    "%s: \"%s\"", t->name, said);
	}
}

#ifdef __linux__
/* ------------------------------------------------- the worst of each call */

#ifndef MSG_FASTOPEN
#define MSG_FASTOPEN 0x20000000
#endif
#ifdef SYS_fcntl64
#define ANY_FCNTL SYS_fcntl64
#else
#define ANY_FCNTL SYS_fcntl
#endif
#ifdef SYS_mmap2
#define ANY_MMAP SYS_mmap2
#else
#define ANY_MMAP SYS_mmap
#endif

/* A call with the arguments by which it does most harm. */
struct worst {
	const char *name;
	int nr, refused;
	const char *what; /* it would do, or why it may */
	long arg[6];
};

/* The call itself: it is the filter that is asked, not a C library. */
#define REFUSED(call, what, ...) \
	{ #call, SYS_##call, 1, what, { __VA_ARGS__ } }
#define HARMLESS(call, what, ...) \
	{ #call, SYS_##call, 0, what, { __VA_ARGS__ } }

static const struct worst *asked;

static int
try_worst(void)
{
	const long *a = asked->arg;

	(void)syscall(asked->nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	return 0;
}

/*
 * Every call that the hub may make. Where one is harmless that is with the
 * worst that the filter lets through; what is tried is then an argument that
 * does not wait.
 */
static const struct worst hub_calls[] = {
	/* Sockets. */
#ifdef SYS_send
	REFUSED(send, "connects", -1, 0, 0, MSG_FASTOPEN),
	REFUSED(send, "urgent data", -1, 0, 0, MSG_OOB),
	HARMLESS(send, "to whom it is connected with", -1, 0, 0,
	    MSG_NOSIGNAL | MSG_MORE | MSG_DONTWAIT),
#endif
#ifdef SYS_recv
	REFUSED(recv, "urgent data", -1, 0, 0, MSG_OOB),
	HARMLESS(recv, "from whom it is connected with", -1, 0, 0, MSG_PEEK),
#endif
	REFUSED(sendto, "connects", -1, 0, 0, MSG_FASTOPEN, 1, 16),
	REFUSED(sendto, "connects a socket that has an address", -1, 0, 0,
	    MSG_FASTOPEN),
	REFUSED(sendto, "a datagram to anybody", -1, 0, 0, 0, 1, 16),
#if LONG_MAX > 0x7fffffff
	REFUSED(sendto, "an address whose lower half is 0", -1, 0, 0, 0,
	    1L << 32, 16),
#endif
	REFUSED(sendto, "urgent data", -1, 0, 0, MSG_OOB),
	HARMLESS(sendto, "to whom it is connected with", -1, 0, 0,
	    MSG_NOSIGNAL | MSG_MORE | MSG_DONTWAIT),
	REFUSED(recvfrom, "urgent data", -1, 0, 0, MSG_OOB),
	REFUSED(recvfrom, "the queue of errors", -1, 0, 0, MSG_ERRQUEUE),
	HARMLESS(recvfrom, "from whom it is connected with", -1, 0, 0,
	    MSG_PEEK | MSG_DONTWAIT),
	REFUSED(sendmsg, "connects", -1, 0, MSG_NOSIGNAL | MSG_FASTOPEN),
	REFUSED(sendmsg, "urgent data", -1, 0, MSG_OOB),
	HARMLESS(sendmsg, "its name is in memory: no stream socket heeds it; "
	    "a backend may get a descriptor", -1, 0, MSG_NOSIGNAL),
	REFUSED(sendmmsg, "flags in memory", 0),
	REFUSED(recvmsg, "a descriptor from a backend", 0),
	REFUSED(recvmmsg, "the same", 0),
	REFUSED(shutdown, "a listener listens no more, and may connect", -1,
	    SHUT_RD),
	REFUSED(shutdown, "the same", -1, SHUT_RDWR),
	HARMLESS(shutdown, "of a client; a listener heeds it not", -1,
	    SHUT_WR),
	REFUSED(setsockopt, "code for the kernel", -1, SOL_SOCKET,
	    26 /* SO_ATTACH_FILTER */),
	REFUSED(setsockopt, "another's level for a name", -1, SOL_SOCKET,
	    TCP_NODELAY),
	REFUSED(setsockopt, "the same", -1, IPPROTO_TCP, SO_LINGER),
	REFUSED(setsockopt, "the first write connects", -1, IPPROTO_TCP,
	    30 /* TCP_FASTOPEN_CONNECT */),
	HARMLESS(setsockopt, "of a client", -1, IPPROTO_TCP, TCP_NODELAY),
	HARMLESS(setsockopt, "a close that waits", -1, SOL_SOCKET, SO_LINGER),
	REFUSED(getsockopt, "the kernel's rarer code", -1, SOL_SOCKET,
	    SO_TYPE),
	HARMLESS(getsockname, "tells an address", 0),
	HARMLESS(getpeername, "tells an address", 0),
	REFUSED(listen, "a socket that does not listen does", 0),
	HARMLESS(accept4, "of a listener that is there", -1),
#ifdef SYS_accept
	HARMLESS(accept, "of a listener that is there", -1),
#endif

	/* Descriptors. */
#ifdef SYS_poll
	HARMLESS(poll, "waits for ever", 0),
#endif
#ifdef SYS_ppoll_time64
	HARMLESS(ppoll_time64, "waits for ever", 1, 1),
#endif
#ifdef SYS_ppoll
	HARMLESS(ppoll, "waits for ever", 1, 1),
#endif
	HARMLESS(read, "waits for ever", -1),
	HARMLESS(readv, "waits for ever", -1),
	HARMLESS(write, "fills a log", -1),
	HARMLESS(writev, "fills a log", -1),
	HARMLESS(close, "serves no more", -1),
#ifdef SYS_fstat
	HARMLESS(fstat, "tells of a log's file", -1),
#endif
#ifdef SYS_fstat64
	HARMLESS(fstat64, "tells of a log's file", -1),
#endif
	REFUSED(lseek, "overwrites a log", -1),
#ifdef SYS__llseek
	REFUSED(_llseek, "the same", -1),
#endif
	REFUSED(pwrite64, "the same", -1),
	REFUSED(ftruncate, "the same", -1),
	REFUSED(ioctl, "signals to others", -1, FIOASYNC),
	REFUSED(ioctl, "to whom", -1, 0x8901 /* FIOSETOWN */),
	REFUSED(ioctl, "types a command at a terminal", -1, TIOCSTI),
	HARMLESS(ioctl, "tells a length", -1, TIOCOUTQ),
#ifdef SYS_fcntl
	REFUSED(fcntl, "signals to others", -1, F_SETFL, O_ASYNC),
	REFUSED(fcntl, "to whom", -1, F_SETOWN),
	HARMLESS(fcntl, "there is no exec", -1, F_SETFD, FD_CLOEXEC),
#endif
	{ "fcntl", ANY_FCNTL, 1, "signals to others",
	    { -1, F_SETFL, O_ASYNC } },
	{ "fcntl", ANY_FCNTL, 1, "to whom", { -1, F_SETOWN } },
	{ "fcntl", ANY_FCNTL, 1, "to whom", { -1, 15 /* F_SETOWN_EX */ } },
	{ "fcntl", ANY_FCNTL, 1, "which", { -1, 10 /* F_SETSIG */ } },
	{ "fcntl", ANY_FCNTL, 1, "overwrites a log that is appended to",
	    { -1, F_SETFL } },
	{ "fcntl", ANY_FCNTL, 1, "all descriptors that there may be",
	    { -1, F_DUPFD } },
	{ "fcntl", ANY_FCNTL, 1, "locks a log's file", { -1, F_SETLK } },
	{ "fcntl", ANY_FCNTL, 1, "memory in the kernel",
	    { -1, 1031 /* F_SETPIPE_SZ */ } },
	{ "fcntl", ANY_FCNTL, 0, "there is no exec",
	    { -1, F_SETFD, FD_CLOEXEC } },

	/* Memory. */
	HARMLESS(brk, "its own, up to its limit", 0),
#ifndef __s390x__ /* its arguments are in memory */
	{ "mmap", ANY_MMAP, 1, "runs what it wrote", { 0, 4096, PROT_READ |
	    PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1 } },
	{ "mmap", ANY_MMAP, 1, "memory of a descriptor", { 0, 4096,
	    PROT_READ, MAP_SHARED, -1 } },
#endif
#ifndef __s390x__
	{ "mmap", ANY_MMAP, 0, "its own, up to its limit", { 0, 4096,
	    PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1 } },
#else
	HARMLESS(mmap, "code, for whom runs code already", 0),
#endif
	REFUSED(mprotect, "runs what it wrote", 0, 4096, PROT_EXEC),
	HARMLESS(mprotect, "takes away its own", 0),
	HARMLESS(munmap, "takes away its own", 0),
	HARMLESS(mremap, "code stays code, and data data", 0),
	REFUSED(madvise, "root: takes a page from the machine", 0, 4096,
	    100 /* MADV_HWPOISON */),
	REFUSED(madvise, "merges pages with others'", 0, 4096,
	    12 /* MADV_MERGEABLE */),
	HARMLESS(madvise, "empties its own", 0, 0, MADV_DONTNEED),
#ifdef MADV_FREE
	HARMLESS(madvise, "empties its own", 0, 0, MADV_FREE),
#endif
	HARMLESS(madvise, "its own in large pages", 0, 0, 14),

	/* Itself, signals and time. */
	REFUSED(tgkill, "to another process", 1, 1, SIGKILL),
	REFUSED(tkill, "to another process", 1, SIGKILL),
	REFUSED(rt_sigqueueinfo, "to another process", 1, SIGKILL),
	HARMLESS(rt_sigaction, "its own; SIGSYS caught: no call is made", 0),
	HARMLESS(rt_sigprocmask, "its own; SIGSYS blocked: it ends yet", 0),
	HARMLESS(rt_sigreturn, "registers, for whom has them already", 0),
#ifdef SYS_sigreturn
	HARMLESS(sigreturn, "registers, for whom has them already", 0),
#endif
#ifdef SYS_restart_syscall
	HARMLESS(restart_syscall, "a call that was allowed", 0),
#endif
#ifdef SYS_futex
	REFUSED(futex, "waits", 0, 0 /* FUTEX_WAIT */),
	REFUSED(futex, "the kernel's rarer code", 0, 12 | 128
	    /* FUTEX_CMP_REQUEUE_PI, private */),
	HARMLESS(futex, "wakes nobody: there is one thread", 0, 1 | 128),
#endif
#ifdef SYS_futex_time64
	REFUSED(futex_time64, "waits", 0, 0),
	HARMLESS(futex_time64, "wakes nobody: there is one thread", 0, 1),
#endif
#ifdef SYS_waitpid
	HARMLESS(waitpid, "for a child, of which it has none", -1, 0, WNOHANG),
#endif
	HARMLESS(wait4, "for a child, of which it has none", -1, 0, WNOHANG),
	REFUSED(waitid, "by rarer names", 0, 0, 0, WNOHANG | WEXITED),
	HARMLESS(exit, "the keeper takes its files away", 0),
	HARMLESS(exit_group, "the keeper takes its files away", 0),
	HARMLESS(getrandom, "waits until there is any", 0),
	HARMLESS(getpid, "tells a number", 0),
	HARMLESS(gettid, "tells a number", 0),
	HARMLESS(getuid, "tells a number", 0),
	HARMLESS(geteuid, "tells a number", 0),
#ifdef SYS_getuid32
	HARMLESS(getuid32, "tells a number", 0),
	HARMLESS(geteuid32, "tells a number", 0),
#endif
#ifdef SYS_clock_gettime
	HARMLESS(clock_gettime, "tells the time, or what another used", 0),
#endif
#ifdef SYS_clock_gettime64
	HARMLESS(clock_gettime64, "tells the time, or what another used", 0),
#endif
#ifdef SYS_gettimeofday
	HARMLESS(gettimeofday, "tells the time", 0),
#endif
#ifdef SYS_time
	HARMLESS(time, "tells the time", 0),
#endif

	/*
	 * Not harmless: what is in memory (12: a flag, a name, an option) no
	 * filter sees. MSG_FASTOPEN and SHUT_RD are not refused there.
	 */
#if defined(__i386__) || defined(__s390x__)
	HARMLESS(socketcall, "getsockname", 6),
	HARMLESS(socketcall, "getpeername", 7),
	HARMLESS(socketcall, "send", 9), HARMLESS(socketcall, "recv", 10),
	HARMLESS(socketcall, "sendto", 11),
	HARMLESS(socketcall, "recvfrom", 12),
	HARMLESS(socketcall, "shutdown", 13),
	HARMLESS(socketcall, "setsockopt", 14),
	HARMLESS(socketcall, "sendmsg", 16),
	HARMLESS(socketcall, "accept", 5), HARMLESS(socketcall, "accept4", 18),
	REFUSED(socketcall, "socket", 1), REFUSED(socketcall, "bind", 2),
	REFUSED(socketcall, "connect", 3), REFUSED(socketcall, "listen", 4),
	REFUSED(socketcall, "socketpair", 8),
	REFUSED(socketcall, "getsockopt", 15),
	REFUSED(socketcall, "recvmsg", 17),
	REFUSED(socketcall, "recvmmsg", 19),
	REFUSED(socketcall, "sendmmsg", 20),
#endif
};

/*
 * And the keeper. Where there is no unveil it may read and remove whatever its
 * user may: names are in memory.
 */
static const struct worst keeper_calls[] = {
#ifdef SYS_open
	REFUSED(open, "writes a file", 0, O_WRONLY),
	REFUSED(open, "writes a file", 0, O_RDWR),
	REFUSED(open, "makes a file", 0, O_CREAT),
	REFUSED(open, "empties a file", 0, O_TRUNC),
	HARMLESS(open, "reads what is unveiled", 0, O_NONBLOCK),
#endif
	REFUSED(openat, "writes a file", 0, 0, O_WRONLY),
	REFUSED(openat, "writes a file", 0, 0, O_RDWR),
	REFUSED(openat, "makes a file", 0, 0, O_CREAT),
	REFUSED(openat, "empties a file", 0, 0, O_TRUNC),
	HARMLESS(openat, "reads what is unveiled", 0, 0, O_NONBLOCK),
	REFUSED(unlinkat, "removes a directory", 0, 0, 0x200),
	HARMLESS(unlinkat, "removes what is unveiled for that", 0),
#ifdef SYS_unlink
	HARMLESS(unlink, "removes what is unveiled for that", 0),
#endif
#ifdef SYS_stat
	HARMLESS(stat, "tells of a file", 0),
	HARMLESS(lstat, "tells of a file", 0),
#endif
#ifdef SYS_stat64
	HARMLESS(stat64, "tells of a file", 0),
	HARMLESS(lstat64, "tells of a file", 0),
#endif
#ifdef SYS_newfstatat
	HARMLESS(newfstatat, "tells of a file", 0),
#endif
#ifdef SYS_fstatat64
	HARMLESS(fstatat64, "tells of a file", 0),
#endif
#ifdef SYS_statx
	HARMLESS(statx, "tells of a file", 0),
#endif
	REFUSED(accept4, "serves", 0), REFUSED(lseek, "overwrites a log", 0),
};

/* And the bridge, beyond the hub; connections come to it as descriptors. */
static const struct worst bridge_calls[] = {
	HARMLESS(recvmsg, "a descriptor from a backend, which stays open", -1,
	    0, MSG_PEEK | MSG_DONTWAIT),
	REFUSED(recvmsg, "urgent data", -1, 0, MSG_OOB),
	REFUSED(recvmsg, "the queue of errors", -1, 0, MSG_ERRQUEUE),
	REFUSED(recvmmsg, "flags in memory", 0),
	HARMLESS(getsockopt, "whether it is connected", -1, SOL_SOCKET,
	    SO_ERROR),
	REFUSED(getsockopt, "the kernel's rarer code", -1, SOL_SOCKET,
	    SO_TYPE),
	REFUSED(getsockopt, "another's level for a name", -1, IPPROTO_TCP,
	    SO_ERROR),
	REFUSED(socket, "to connect it", AF_INET, SOCK_STREAM),
	REFUSED(connect, "to anybody", -1), REFUSED(bind, "for others", -1),
#if defined(__i386__) || defined(__s390x__)
	HARMLESS(socketcall, "getsockopt", 15),
	HARMLESS(socketcall, "recvmsg", 17),
	REFUSED(socketcall, "socket", 1), REFUSED(socketcall, "bind", 2),
	REFUSED(socketcall, "connect", 3), REFUSED(socketcall, "listen", 4),
#endif
};

/* And the connector, beyond the keeper; it may be root's. */
static const struct worst connector_calls[] = {
	REFUSED(socket, "receives what is for others", AF_INET, SOCK_RAW, 1),
	REFUSED(socket, "the same", AF_INET6, SOCK_RAW, 58),
	REFUSED(socket, "the same", 17 /* AF_PACKET */, SOCK_RAW),
	REFUSED(socket, "connects to any port", AF_INET, SOCK_STREAM,
	    262 /* IPPROTO_MPTCP */),
	REFUSED(socket, "the same", AF_INET, SOCK_STREAM,
	    132 /* IPPROTO_SCTP */),
	REFUSED(socket, "the kernel's rarer code", AF_INET6, SOCK_DGRAM,
	    136 /* IPPROTO_UDPLITE */),
	REFUSED(socket, "the same", 40 /* AF_VSOCK */, SOCK_STREAM),
	HARMLESS(socket, "fails: changes addresses and routes",
	    16 /* AF_NETLINK */, SOCK_RAW),
	HARMLESS(socket, "fails: lies to syslog", AF_UNIX, SOCK_DGRAM),
	HARMLESS(socket, "for the hub", AF_UNIX, SOCK_STREAM),
	HARMLESS(socket, "for the broker", AF_INET, SOCK_STREAM),
	HARMLESS(socket, "for name servers", AF_INET6, SOCK_DGRAM |
	    SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_UDP),
	HARMLESS(connect, "to any Unix socket of its user, and by TCP to a "
	    "port that is unveiled", -1),
	HARMLESS(bind, "there is no listen", -1),
	HARMLESS(accept4, "there is no listener", -1),
	REFUSED(sendto, "connects to any port", -1, 0, 0, MSG_FASTOPEN, 1, 16),
	REFUSED(sendto, "urgent data", -1, 0, 0, MSG_OOB),
	HARMLESS(sendto, "a datagram to anybody, as to a name server", -1, 0,
	    0, MSG_NOSIGNAL, 1, 16),
	REFUSED(sendmmsg, "connects to any port", -1, 0, 1, MSG_FASTOPEN),
	HARMLESS(sendmmsg, "as sendto", -1, 0, 1, MSG_NOSIGNAL),
	HARMLESS(recvmsg, "a descriptor from whom it connected to", -1, 0,
	    MSG_CMSG_CLOEXEC),
	REFUSED(recvmsg, "urgent data", -1, 0, MSG_OOB),
	REFUSED(recvmsg, "the queue of errors", -1, 0, MSG_ERRQUEUE),
	REFUSED(setsockopt, "filters others' packets", -1, IPPROTO_IP,
	    64 /* IPT_SO_SET_REPLACE */),
	REFUSED(setsockopt, "the same", -1, IPPROTO_IPV6, 64),
	REFUSED(setsockopt, "another's address", -1, IPPROTO_IP,
	    19 /* IP_TRANSPARENT */),
	REFUSED(setsockopt, "code for the kernel", -1, SOL_SOCKET,
	    26 /* SO_ATTACH_FILTER */),
	REFUSED(setsockopt, "a network of its choice", -1, SOL_SOCKET,
	    25 /* SO_BINDTODEVICE */),
	HARMLESS(setsockopt, "fails: the first write connects", -1,
	    IPPROTO_TCP, 30 /* TCP_FASTOPEN_CONNECT */),
	HARMLESS(setsockopt, "errors of a datagram", -1, IPPROTO_IP,
	    11 /* IP_RECVERR */),
	HARMLESS(setsockopt, "IPv4 as well", -1, IPPROTO_IPV6, IPV6_V6ONLY),
#ifdef SYS_fcntl
	REFUSED(fcntl, "signals to others", -1, F_SETFL, O_ASYNC),
	REFUSED(fcntl, "to whom", -1, F_SETOWN),
	REFUSED(fcntl, "all descriptors that there may be", -1, F_DUPFD),
	HARMLESS(fcntl, "overwrites a log that is appended to", -1, F_SETFL),
	HARMLESS(fcntl, "tells flags", -1, F_GETFL),
#endif
	{ "fcntl", ANY_FCNTL, 1, "signals to others",
	    { -1, F_SETFL, O_ASYNC } },
	{ "fcntl", ANY_FCNTL, 1, "which", { -1, 10 /* F_SETSIG */ } },
	{ "fcntl", ANY_FCNTL, 0, "overwrites a log that is appended to",
	    { -1, F_SETFL } },
	HARMLESS(lseek, "overwrites a log", -1),
#ifdef SYS__llseek
	HARMLESS(_llseek, "overwrites a log", -1),
#endif
	REFUSED(ioctl, "changes routes", -1, 0x890b /* SIOCADDRT */),
	REFUSED(ioctl, "signals to others", -1, FIOASYNC),
	REFUSED(ioctl, "types a command at a terminal", -1, TIOCSTI),
	HARMLESS(ioctl, "tells a length", -1, FIONREAD),
	HARMLESS(ioctl, "tells a length", -1, TIOCOUTQ),
	HARMLESS(uname, "tells the system's name", 0),
#ifndef __s390x__
	{ "mmap", ANY_MMAP, 1, "runs what it wrote", { 0, 4096, PROT_READ |
	    PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1 } },
	{ "mmap", ANY_MMAP, 0, "fails: a library", { 0, 4096, PROT_READ |
	    PROT_EXEC, MAP_PRIVATE, -1 } },
	{ "mmap", ANY_MMAP, 0, "its own, up to its limit", { 0, 4096,
	    PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1 } },
#else
	HARMLESS(mmap, "code, for whom runs code already", 0),
#endif
#if defined(__i386__) || defined(__s390x__)
	HARMLESS(socketcall, "socket, of any kind", 1),
	HARMLESS(socketcall, "bind", 2), HARMLESS(socketcall, "connect", 3),
	HARMLESS(socketcall, "recvmsg", 17),
	HARMLESS(socketcall, "sendmmsg", 20),
	REFUSED(socketcall, "listen", 4), REFUSED(socketcall, "socketpair", 8),
	REFUSED(socketcall, "getsockopt", 15),
#endif
};

#define LIST(name) { name, sizeof name / sizeof *name }
#define LISTS(...) { __VA_ARGS__ }
#else
#define LISTS(...)
#endif

/* A process, and the lists of its calls: a later one replaces an earlier. */
static const struct process {
	const char *name, *promises;
	const char *allowed; /* of what is tried above */
	int (*work)(void);
#ifdef __linux__
	struct {
		const struct worst *calls;
		size_t n;
	} lists[3];
#endif
} processes[] = {
	{ "the hub", WS_HUB_PROMISES, "accept", work, LISTS(LIST(hub_calls)) },
	{ "the keeper", WS_KEEPER_PROMISES, "open unlink", keep,
	    LISTS(LIST(keeper_calls)) },
	{ "the bridge", WS_BRIDGE_PROMISES, "accept", bridge,
	    LISTS(LIST(hub_calls), LIST(bridge_calls)) },
	{ "the connector", WS_CONNECTOR_PROMISES, "open unlink socket connect "
	    "accept", connector, LISTS(LIST(hub_calls), LIST(keeper_calls),
	    LIST(connector_calls)) }
};

#define NPROCESSES (sizeof processes / sizeof *processes)

#ifdef __linux__
/* Whether a list after the first k of a process has a call. */
static int
replaced(const struct process *p, size_t k, int nr)
{
	size_t i;

	for (; k < 3; k++)
		for (i = 0; i < p->lists[k].n; i++)
			if (p->lists[k].calls[i].nr == nr)
				return 1;
	return 0;
}

/* Whether the lists of a process have a call as one that may be. */
static int
listed(const struct process *p, int nr)
{
	size_t i, k;

	for (k = 0; k < 3; k++)
		for (i = 0; i < p->lists[k].n; i++)
			if (p->lists[k].calls[i].nr == nr &&
			    !p->lists[k].calls[i].refused &&
			    !replaced(p, k + 1, nr))
				return 1;
	return 0;
}

static void
judge_list(const struct process *p, size_t k)
{
	int status, died;

	for (asked = p->lists[k].calls;
	    asked < p->lists[k].calls + p->lists[k].n; asked++) {
		if (is_sigreturn(asked->nr) || replaced(p, k + 1, asked->nr))
			continue;
		status = run_for(10, p->promises, try_worst);
		died = WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
		EXPECT(asked->refused ? died : status == 0, "%s: "
		    "%s(%#lx, %#lx, %#lx, %#lx, %#lx, %#lx), %s: status %#x",
		    p->name, asked->name, (unsigned long)asked->arg[0],
		    (unsigned long)asked->arg[1], (unsigned long)asked->arg[2],
		    (unsigned long)asked->arg[3], (unsigned long)asked->arg[4],
		    (unsigned long)asked->arg[5], asked->what,
		    (unsigned)status);
	}
}

/* Which calls are left to a process, of all there are. */
static void
count_calls(const struct process *p)
{
	unsigned left = 0;
	int i, stuck = 0, status;

	calls = mmap(NULL, sizeof *calls, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	EXPECT(calls != MAP_FAILED, "mmap");
	if (calls == MAP_FAILED)
		return;
	while (calls->at < CALLS) {
		i = calls->at;
		status = run_for(1, p->promises, try_calls);
		if (calls->at != i)
			stuck = 0;
		/* It waits for something, or the machine is busy. */
		if (calls->at < CALLS && (!WIFSIGNALED(status) ||
		    WTERMSIG(status) != SIGKILL ||
		    listed(p, FIRST_CALL + calls->at) || stuck++ == 5)) {
			calls->at++;
			stuck = 0;
		}
	}
	for (i = 0; i < CALLS; i++) {
		if (calls->refused[i])
			continue;
		left++;
		EXPECT(listed(p, FIRST_CALL + i) || is_uprobe(FIRST_CALL + i),
		    "%s: %d: its worst is not listed", p->name,
		    FIRST_CALL + i);
	}
	(void)munmap(calls, sizeof *calls);
	EXPECT(left >= 20 && left <= 80, "%s: %u are allowed", p->name, left);
}

/* What a resolver tries and can do without: it goes on. */
static int
fails(void)
{
	int fd = open("ws.h", O_RDONLY), on = 1;

	if (fd == -1 || syscall(ANY_MMAP, 0L, 4096L, (long)PROT_READ,
	    (long)MAP_SHARED, (long)fd, 0L) != -1 || errno != EPERM)
		return 1;
	if (syscall(SYS_socket, 16L, (long)SOCK_RAW, 0L) != -1 ||
	    errno != EPERM)
		return 2;
	if (syscall(SYS_socket, (long)AF_UNIX, (long)SOCK_DGRAM, 0L) != -1 ||
	    errno != EPERM)
		return 3;
	fd = (int)syscall(SYS_socket, (long)AF_INET, (long)SOCK_STREAM, 0L);
	if (fd == -1 || syscall(SYS_setsockopt, (long)fd, (long)IPPROTO_TCP,
	    30L, &on, (long)sizeof on) != -1 || errno != EPERM)
		return 4;
	return 0;
}

/* --------------------------------------------- two ways out that there were */

static struct sockaddr_in target_address;
static int target, spare; /* listeners */

/* A listener on the loopback, its address in *a. */
static int
new_listener(struct sockaddr_in *a)
{
	socklen_t len = sizeof *a;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	memset(a, 0, sizeof *a);
	a->sin_family = AF_INET;
	a->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd == -1 || bind(fd, (struct sockaddr *)a, sizeof *a) != 0 ||
	    listen(fd, 5) != 0 || getsockname(fd, (struct sockaddr *)a, &len)
	    != 0) {
		perror("listener");
		exit(1);
	}
	return fd;
}

static int
fast_open(void)
{
	return syscall(SYS_sendto, spare, "x", 1, MSG_FASTOPEN,
	    &target_address, sizeof target_address) == 1 ? 0 : 1;
}

static int
fast_open_by_name(void)
{
	struct iovec iov;
	struct msghdr h;
	char x[] = "x";

	iov.iov_base = x;
	iov.iov_len = 1;
	memset(&h, 0, sizeof h);
	h.msg_name = &target_address;
	h.msg_namelen = sizeof target_address;
	h.msg_iov = &iov;
	h.msg_iovlen = 1;
	return syscall(SYS_sendmsg, spare, &h, MSG_FASTOPEN) == 1 ? 0 : 1;
}

/* A listener of the hub's becomes a connection to anywhere. */
static int
listener_connects(void)
{
	return syscall(SYS_shutdown, spare, SHUT_RD) == 0 ? fast_open() : 2;
}

/* Whether the target hears of it, and how it ended. */
static int
reaches_target(const char *promises, int (*way)(void), int *status)
{
	struct pollfd p = { target, POLLIN, 0 };
	struct sockaddr_in a;
	int heard;

	spare = new_listener(&a);
	/* The two halves of the way are each to fail alone. */
	if (way != listener_connects)
		(void)shutdown(spare, SHUT_RD);
	*status = run_for(10, promises, way);
	heard = poll(&p, 1, 100) == 1;
	if (heard)
		close(accept(target, NULL, NULL));
	close(spare);
	return heard;
}

static uint16_t allowed_port;

/* Only this port: not the target's, not by another protocol. */
static int
connect_to_port(void)
{
	struct sockaddr_in a;
	int fd = new_listener(&a), s = socket(AF_INET, SOCK_STREAM, 0);

	allowed_port = ntohs(a.sin_port);
	if (ws_unveil_ports(&allowed_port, 1) != 0)
		return 100;
	if (connect(s, (struct sockaddr *)&a, sizeof a) != 0)
		return 1;
	close(s);
	s = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(s, (struct sockaddr *)&target_address,
	    sizeof target_address) == 0 || errno != EACCES)
		return 2;
	a.sin_port = 0;
	if (bind(s, (struct sockaddr *)&a, sizeof a) == 0 || errno != EACCES)
		return 3;
	close(fd);
	return ws_unveil_ports(NULL, 0) == 0 && connect(s,
	    (struct sockaddr *)&target_address, sizeof target_address) == -1
	    && errno == EACCES ? 0 : 4;
}

static pid_t other; /* process of the same user */
static int async[2];

/* What arrives here is a signal there. */
static int
signal_other(void)
{
	return fcntl(async[0], F_SETOWN, other) == 0 &&
	    fcntl(async[0], F_SETSIG, SIGUSR1) == 0 &&
	    fcntl(async[0], F_SETFL, O_ASYNC) == 0 &&
	    write(async[1], "x", 1) == 1 ? 0 : 1;
}

/* The signal that ends another process meanwhile, or 0. */
static int
signal_from(const char *promises, int *status)
{
	int i, ended = 0;

	other = fork();
	if (other == 0) {
		(void)signal(SIGUSR1, SIG_DFL);
		pause();
		_exit(0);
	}
	if (other == -1 || socketpair(AF_UNIX, SOCK_STREAM, 0, async) != 0)
		return -1;
	*status = run_for(10, promises, signal_other);
	for (i = 0; i < 10 && waitpid(other, &ended, WNOHANG) != other; i++)
		(void)poll(NULL, 0, 10);
	if (i == 10) {
		kill(other, SIGKILL);
		(void)waitpid(other, &ended, 0);
		ended = 0;
	}
	close(async[0]);
	close(async[1]);
	return ended;
}

static void
ways_out(void)
{
	static const struct {
		const char *name;
		int (*way)(void);
	} ways[] = {
		{ "shutdown and sendto", listener_connects },
		{ "sendto", fast_open }, { "sendmsg", fast_open_by_name },
	};
	size_t i, k;
	int status, got;

	target = new_listener(&target_address);
	if (reaches_target(NULL, listener_connects, &status)) {
		CASE("pledge: a listener connects to nothing");
		for (i = 0; i < sizeof ways / sizeof *ways; i++)
			for (k = 0; k < NPROCESSES; k++) {
				got = reaches_target(processes[k].promises,
				    ways[i].way, &status);
				EXPECT(!got && WIFSIGNALED(status) &&
				    WTERMSIG(status) == SIGSYS, "%s: %s, "
				    "status %#x", ways[i].name, got ?
				    "connected" : "not connected",
				    (unsigned)status);
			}
	} else {
		test_skip("pledge: a listener connects to nothing",
		    "no TCP fast open (net.ipv4.tcp_fastopen)");
	}
	close(target);

	CASE("pledge: no signal to another process");
	got = signal_from(NULL, &status);
	EXPECT(WIFSIGNALED(got) && WTERMSIG(got) == SIGUSR1,
	    "unconfined: it ended with %#x", (unsigned)got);
	for (k = 0; k < NPROCESSES; k++) {
		got = signal_from(processes[k].promises, &status);
		EXPECT(got == 0 && WIFSIGNALED(status) && WTERMSIG(status) ==
		    SIGSYS, "it ended with %#x; status %#x", (unsigned)got,
		    (unsigned)status);
	}
}
#endif

/* Sanitizers make calls of their own: sandbox.c promises nothing then. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/* Machines whose numbers sandbox.c knows. */
#if (defined(__x86_64__) && !defined(__ILP32__)) || defined(__i386__) || \
    defined(__aarch64__) || (defined(__arm__) && defined(__ARM_EABI__)) || \
    (defined(__riscv) && __riscv_xlen == 64) || defined(__s390x__) || \
    defined(__powerpc64__) || (defined(__mips__) && defined(_ABIO32) && \
    _MIPS_SIM == _ABIO32)
#define KNOWN 1
#else
#define KNOWN 0
#endif

/* Where the kernel has it there is no excuse for doing without. */
static int
must_pledge(void)
{
#ifdef __linux__
	return KNOWN && !SANITIZED && getenv("WSHUB_NO_SANDBOX") == NULL &&
	    prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0;
#else
	return 0;
#endif
}

/* The same; LANDLOCK_CREATE_RULESET_VERSION is 1. */
static int
must_unveil(void)
{
#ifdef __linux__
	return !SANITIZED && getenv("WSHUB_NO_SANDBOX") == NULL &&
	    syscall(FIRST_CALL + 444, NULL, (size_t)0, 1u) >= 1;
#else
	return 0;
#endif
}

#ifdef __linux__
/* The same, of TCP ports: version 4. */
static int
must_unveil_ports(void)
{
	return must_unveil() && syscall(FIRST_CALL + 444, NULL, (size_t)0, 1u)
	    >= 4;
}
#endif

/* What could not be tried: a skip, or a failure if it must be. */
static void
missing(const char *name, int must)
{
	if (!must) {
		test_skip(name, "not on this system");
		return;
	}
	CASE(name);
	EXPECT(0, "the kernel has it, and it fails");
}

/* sandbox must: says what there must be here, for test/all/privileges. */
int
main(int argc, char **argv)
{
	socklen_t len = sizeof listening;
	int status, s, i;
	size_t k;
#ifdef __linux__
	const struct process *p;
#endif

	if (argc > 1 && strcmp(argv[1], "must") == 0) {
		printf("%s%s\n", must_pledge() ? "pledge " : "",
		    must_unveil() ? "unveil" : "");
		return 0;
	}
	listening.sin_family = AF_INET;
	listening.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener = socket(AF_INET, SOCK_STREAM, 0);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0 ||
	    bind(listener, (struct sockaddr *)&listening, sizeof listening)
	    != 0 || listen(listener, 5) != 0 || getsockname(listener,
	    (struct sockaddr *)&listening, &len) != 0) {
		perror("sockets");
		return 1;
	}
	for (i = 0; i < 2; i++) { /* hub and bridge accept one each */
		s = socket(AF_INET, SOCK_STREAM, 0);
		if (connect(s, (struct sockaddr *)&listening, sizeof listening)
		    != 0) {
			perror("connect");
			return 1;
		}
	}

	CASE("pledge: a word that is none is an error");
	errno = 0;
	status = ws_pledge("stdio nonsense");
	EXPECT(status == -1 && (errno == EINVAL || errno == ENOSYS),
	    "%d, errno %d", status, errno);

	status = run("stdio", nothing);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 100) {
		missing("pledge", must_pledge());
	} else {
		CASE("pledge: what a process does it may do");
		for (k = 0; k < NPROCESSES; k++) {
			status = run(processes[k].promises,
			    processes[k].work);
			EXPECT(status == 0, "%s: status %#x: %s",
			    processes[k].name, (unsigned)status, said);
		}
		CASE("pledge: nothing that it did not promise");
		for (k = 0; k < NPROCESSES; k++)
			refused(processes[k].promises, processes[k].allowed);
		CASE("pledge: a call has its name in the log");
		(void)run("stdio", try_execve);
		EXPECT(strstr(said, ", execve\n") != NULL, "\"%s\"", said);
#ifdef __linux__
		CASE("pledge: of 512 calls few are left");
		for (p = processes; p < processes + NPROCESSES; p++)
			if (p->work != keep)
				count_calls(p);
		CASE("pledge: each call with its worst arguments");
		for (p = processes; p < processes + NPROCESSES; p++)
			for (k = 0; k < 3; k++)
				judge_list(p, k);
		CASE("pledge: what a resolver can do without is an error");
		status = run(WS_CONNECTOR_PROMISES, fails);
		EXPECT(status == 0, "status %#x: %s", (unsigned)status, said);
		ways_out();
#if defined(__x86_64__) && defined(__GNUC__)
		CASE("pledge: a number of another machine's calls is none");
		status = run(WS_HUB_PROMISES, try_foreign);
		EXPECT(WIFSIGNALED(status) && (WTERMSIG(status) == SIGSYS ||
		    WTERMSIG(status) == SIGSEGV), "%#x", (unsigned)status);
#endif
		CASE("pledge: not if $WSHUB_NO_SANDBOX, but no new privileges");
		status = run(NULL, no_sandbox);
		EXPECT(status == 0, "%#x", (unsigned)status);
		CASE("no core file, no debugger");
		status = run(NULL, no_core);
		EXPECT(status == 0, "%#x", (unsigned)status);
#endif
		CASE("pledge: rpath opens, cpath removes, stdio waits and "
		    "sends");
		status = run("stdio rpath", try_open);
		EXPECT(status == 0, "open: %#x", (unsigned)status);
		status = run("stdio cpath", try_unlink);
		EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 1,
		    "unlink: %#x", (unsigned)status);
		status = run("stdio", try_wait);
		EXPECT(status == 0, "waitpid: %#x", (unsigned)status);
		status = run("stdio", try_send);
		EXPECT(status == 0, "send: %#x", (unsigned)status);
		CASE("pledge: one promise is not another");
		status = run("stdio cpath", try_open);
		EXPECT(WIFSIGNALED(status), "cpath, open: %#x",
		    (unsigned)status);
		status = run("stdio rpath", try_unlink);
		EXPECT(WIFSIGNALED(status), "rpath, unlink: %#x",
		    (unsigned)status);
		status = run("stdio rpath cpath", try_accept);
		EXPECT(WIFSIGNALED(status), "accept: %#x", (unsigned)status);
		status = run("stdio rpath cpath", try_fork);
		EXPECT(WIFSIGNALED(status), "fork: %#x", (unsigned)status);
	}
	status = run(NULL, see_nothing);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 100) {
		missing("unveil", must_unveil());
	} else {
		CASE("unveil: of nothing leaves nothing to see");
		EXPECT(status == 0, "status %#x", (unsigned)status);
		CASE("unveil: what is shown can be read, and no more");
		(void)unlink("test/build/way-out");
		EXPECT(symlink("/etc/passwd", "test/build/way-out") == 0,
		    "%s", strerror(errno));
		status = run(NULL, look_around);
		EXPECT(status == 0, "status %#x", (unsigned)status);
		(void)unlink("test/build/way-out");
		CASE("unveil: \"c\" removes what is there, and only there");
		status = run(NULL, clear_away);
		EXPECT(status == 0, "status %#x", (unsigned)status);
#ifdef __linux__
		target = new_listener(&target_address);
		status = run(NULL, connect_to_port);
		if (WIFEXITED(status) && WEXITSTATUS(status) == 100) {
			missing("unveil: of TCP ports", must_unveil_ports());
		} else {
			CASE("unveil: TCP connects to one port, and to none");
			EXPECT(status == 0, "status %#x", (unsigned)status);
		}
		close(target);
#endif
	}
	return test_end();
}
