/* wshub: ISC licence, see LICENSE. */
/*
 * The signals of a parent process, which passes them on to its child.
 */
#define _GNU_SOURCE
#include <sys/types.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "ws.h"

static int signal_pipe[2];
static void (*at_once)(int number); /* or NULL */

static const int caught[] = {
	SIGCHLD, SIGHUP, SIGINT, SIGTERM, SIGUSR1,
#ifdef SIGINFO
	SIGINFO,
#endif
};

static void
on_signal(int number)
{
	unsigned char c = (unsigned char)number;
	int saved = errno;
	ssize_t n = write(signal_pipe[1], &c, 1);

	(void)n; /* if the pipe is full, others like it are in there */
	if (at_once != NULL)
		at_once(number);
	errno = saved;
}

static void
fill(sigset_t *set)
{
	size_t i;

	sigemptyset(set);
	for (i = 0; i < sizeof caught / sizeof *caught; i++)
		sigaddset(set, caught[i]);
}

/* see ws.h */
void
ws_signals_block(void)
{
	sigset_t set;

	fill(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

/* see ws.h */
int
ws_signals_catch(void (*handler)(int number))
{
	struct sigaction sa;
	sigset_t none;
	size_t i;

	at_once = handler;
	memset(&sa, 0, sizeof sa);
	sa.sa_flags = SA_RESTART;
	sa.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &sa, NULL);
#ifdef SIGXFSZ
	sigaction(SIGXFSZ, &sa, NULL); /* a log file over RLIMIT_FSIZE */
#endif
	if (pipe(signal_pipe) == -1 ||
	    fcntl(signal_pipe[0], F_SETFD, FD_CLOEXEC) == -1 ||
	    fcntl(signal_pipe[1], F_SETFD, FD_CLOEXEC) == -1 ||
	    fcntl(signal_pipe[1], F_SETFL, O_NONBLOCK) == -1)
		ws_die("pipe: %s", strerror(errno));
	sa.sa_handler = on_signal;
	fill(&sa.sa_mask); /* one after another */
	for (i = 0; i < sizeof caught / sizeof *caught; i++)
		sigaction(caught[i], &sa, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	return signal_pipe[0];
}

/* see ws.h */
void
ws_signals_ignore(void)
{
	struct sigaction sa;
	size_t i;

	memset(&sa, 0, sizeof sa);
	sa.sa_handler = SIG_IGN;
	for (i = 0; i < sizeof caught / sizeof *caught; i++)
		sigaction(caught[i], &sa, NULL);
	sa.sa_handler = SIG_DFL;
	sigaction(SIGCHLD, &sa, NULL);
	close(signal_pipe[0]);
	close(signal_pipe[1]);
}
