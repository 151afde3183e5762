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

/* Runs it with those promises (NULL: none); the child's wait status. */
static int
run(const char *promises, int (*what)(void))
{
	int fd[2], status;
	size_t n = 0;
	ssize_t got;
	pid_t pid;

	fflush(stdout);
	if (pipe(fd) != 0 || (pid = fork()) == -1)
		return -1;
	if (pid == 0) {
		dup2(fd[1], STDERR_FILENO);
		if (promises != NULL && ws_pledge(promises) != 0)
			_exit(100);
		_exit(what());
	}
	close(fd[1]);
	while ((got = read(fd[0], said + n, sizeof said - 1 - n)) > 0)
		n += (size_t)got;
	said[n] = '\0';
	close(fd[0]);
	if (waitpid(pid, &status, 0) != pid)
		return -1;
	return status;
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
	return stat("test/sandbox.c", &st) == 0 ? 0 : 5;
}

static int
see_nothing(void)
{
	if (ws_unveil("/", "") != 0 || ws_unveil(NULL, NULL) != 0)
		return 100;
	return open("/etc/passwd", O_RDONLY) == -1 && errno == EACCES &&
	    open("ws.h", O_RDONLY) == -1 ? 0 : 1;
}

static int
nothing(void)
{
	return 0;
}

int
main(void)
{
	static const struct {
		const char *name;
		int (*try)(void);
	} t[] = {
		{ "open", try_open }, { "socket", try_socket },
		{ "connect", try_connect }, { "execve", try_execve },
		{ "fork", try_fork }, { "kill", try_kill },
		{ "unlink", try_unlink }, { "memory for code", try_code },
		{ "chmod", try_chmod }
	};
	struct sockaddr_in a;
	socklen_t len = sizeof a;
	int status, s;
	size_t i;

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
		test_skip("pledge", "not on this system");
	} else {
		CASE("pledge: what the hub does it may do");
		status = run("stdio inet unix", work);
		EXPECT(status == 0, "status %#x: %s", (unsigned)status, said);
		CASE("pledge: nothing that it did not promise");
		for (i = 0; i < sizeof t / sizeof *t; i++) {
			status = run("stdio inet unix", t[i].try);
			EXPECT(WIFSIGNALED(status) &&
			    WTERMSIG(status) == SIGSYS, "%s: status %#x",
			    t[i].name, (unsigned)status);
			/* musl's fork blocks signals: then no handler speaks. */
			if (t[i].try == try_fork && *said == '\0')
				continue;
			EXPECT(strncmp(said, "wshub: not pledged: system call "
			    , 32) == 0 && strchr(said, '\n') ==
			    said + strlen(said) - 1, "%s: \"%s\"", t[i].name,
			    said);
		}
		CASE("pledge: a call has its name in the log");
		(void)run("stdio", try_execve);
		EXPECT(strstr(said, ", execve\n") != NULL, "\"%s\"", said);
		CASE("pledge: rpath opens, cpath removes, proc is not fork");
		status = run("stdio rpath", try_open);
		EXPECT(status == 0, "open: %#x", (unsigned)status);
		status = run("stdio cpath", try_unlink);
		EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 1,
		    "unlink: %#x", (unsigned)status);
		status = run("stdio proc", try_fork);
		EXPECT(WIFSIGNALED(status), "fork: %#x", (unsigned)status);
	}
	status = run(NULL, see_nothing);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 100) {
		test_skip("unveil", "not on this system");
	} else {
		CASE("unveil: of nothing leaves nothing to see");
		EXPECT(status == 0, "status %#x", (unsigned)status);
		CASE("unveil: what is shown can be read, and no more");
		status = run(NULL, look_around);
		EXPECT(status == 0, "status %#x", (unsigned)status);
	}
	return test_end();
}
