/* wshub: ISC licence, see LICENSE. */
/*
 * Tests of sandbox.c: what is promised works, all else is refused. Each try is
 * a child's, for a violation is the end of it.
 */
#define _GNU_SOURCE
#include <sys/types.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <time.h>
#ifdef __linux__
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#endif

#include "test.h"
#include "../ws.h"

static int pair[2], listener;
static char said[4096];

/* What the hub does. */
static int
work(void)
{
	struct pollfd p = { pair[0], POLLIN, 0 };
	struct sockaddr_storage a;
	struct timespec t;
	socklen_t len = sizeof a;
	char buf[8], entropy[8], *m;
	int i, fd;

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
	if (clock_gettime(CLOCK_MONOTONIC, &t) != 0 ||
	    getentropy(entropy, sizeof entropy) != 0)
		return 4;
	fd = accept(listener, NULL, NULL);
	if (fd == -1 || getsockname(fd, (struct sockaddr *)&a, &len) != 0 ||
	    fcntl(fd, F_SETFL, O_NONBLOCK) == -1 ||
	    shutdown(fd, SHUT_WR) != 0 || close(fd) != 0)
		return 5;
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
static int number;

/* Any call of a number, with arguments of no sense. Some wait for ever. */
static int
try_number(void)
{
	(void)syscall(number, 0, 0, 0, 0, 0, 0);
	return 0;
}

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
	int fd = open("ws.h", O_RDONLY);

	if (fd == -1 || read(fd, &c, 1) != 1 || close(fd) != 0)
		return 1;
	if (unlink("test/build/no-such-file") != -1 || errno != ENOENT)
		return 2;
	if (send(pair[1], "y", 1, 0) != 1 || read(pair[0], &c, 1) != 1)
		return 3;
	return waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD ? 0 : 4;
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

/* Each but those two is the end of who made those promises. */
static void
refused(const char *promises, int (*but)(void), int (*or)(void))
{
	const struct try *t = tries;
	int status;

	for (; t < tries + sizeof tries / sizeof *tries; t++) {
		if (t->try == but || t->try == or)
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
	unsigned left = 0;
	struct sockaddr_in a;
	socklen_t len = sizeof a;
	int status, s;

	if (argc > 1 && strcmp(argv[1], "must") == 0) {
		printf("%s%s\n", must_pledge() ? "pledge " : "",
		    must_unveil() ? "unveil" : "");
		return 0;
	}
	memset(&a, 0, sizeof a);
	a.sin_family = AF_INET;
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener = socket(AF_INET, SOCK_STREAM, 0);
	s = socket(AF_INET, SOCK_STREAM, 0);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0 ||
	    bind(listener, (struct sockaddr *)&a, sizeof a) != 0 ||
	    listen(listener, 5) != 0 ||
	    getsockname(listener, (struct sockaddr *)&a, &len) != 0 ||
	    connect(s, (struct sockaddr *)&a, sizeof a) != 0) {
		perror("sockets");
		return 1;
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
		CASE("pledge: what the hub does it may do");
		status = run(WS_HUB_PROMISES, work);
		EXPECT(status == 0, "status %#x: %s", (unsigned)status, said);
		CASE("pledge: nothing that it did not promise");
		refused(WS_HUB_PROMISES, try_accept, NULL);
		CASE("pledge: what the keeper does it may do");
		status = run(WS_KEEPER_PROMISES, keep);
		EXPECT(status == 0, "status %#x: %s", (unsigned)status, said);
		CASE("pledge: nothing that it did not promise, either");
		refused(WS_KEEPER_PROMISES, try_open, try_unlink);
		CASE("pledge: a call has its name in the log");
		(void)run("stdio", try_execve);
		EXPECT(strstr(said, ", execve\n") != NULL, "\"%s\"", said);
#ifdef __linux__
		CASE("pledge: of a thousand calls few are left");
		for (number = FIRST_CALL; number < FIRST_CALL + 1024;
		    number++) {
			if (is_sigreturn(number))
				continue;
			status = run_for(1, WS_HUB_PROMISES, try_number);
			left += !WIFSIGNALED(status) ||
			    WTERMSIG(status) != SIGSYS;
		}
		EXPECT(left >= 20 && left <= 64, "%u are allowed", left);
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
		CASE("pledge: rpath opens, cpath removes, stdio waits and sends");
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
	}
	return test_end();
}
