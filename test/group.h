/* wshub: ISC licence, see LICENSE. */
/*
 * The groups of hub.h's programs: processes side by side, and what they leave.
 */
#ifndef TEST_GROUP_H
#define TEST_GROUP_H

#define GROUPS_MAX 16

struct test_group {
	const char *name;
	void (*run)(void);
	int for_tls;
	pid_t pid;
};

static struct test_group *groups;
static int ngroups;
static char top[4096];
static unsigned (*board)[3]; /* passed, failed and skipped, of each group */

static inline int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *f)
{
	(void)st;
	(void)kind;
	(void)f;
	return remove(path);
}

/*
 * Waits for a group's end and ends what it may have left: exactly that, for it
 * is a process group, whose number is not given to another before it is reaped.
 */
static inline int
end_group(struct test_group *g, long long until)
{
	pid_t pid = g->pid;
	siginfo_t info;

	do {
		memset(&info, 0, sizeof info);
		if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG |
		    WNOWAIT) != 0 || info.si_pid == pid)
			break;
		nap(5);
	} while (now() < until);
	kill(-pid, SIGKILL);
	g->pid = 0;
	return reap(pid, 5000);
}

static inline void
clear_up(void)
{
	int i;

	for (i = 0; i < ngroups; i++)
		if (groups[i].pid > 0)
			end_group(&groups[i], 0);
	nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void
interrupted(int number)
{
	clear_up();
	_exit(128 + number);
}

static inline void
run_group(int i)
{
	char name[64];

	setpgid(0, 0);
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
	snprintf(name, sizeof name, "%s.out", groups[i].name);
	if (freopen(name, "w", stdout) == NULL ||
	    mkdir(groups[i].name, 0755) != 0 || chdir(groups[i].name) != 0)
		exit(1);
	groups[i].run();
	test_close();
	board[i][0] = test_passed;
	board[i][1] = test_failed;
	board[i][2] = test_skipped;
	exit(0);
}

/* main: the exit status. */
static inline int
run_groups(int argc, char **argv, struct test_group *g, int n)
{
	const char *tmp = getenv("TMPDIR"), *w = getenv("WSHUB_WRAP");
	char name[64], *p;
	long long end;
	size_t len;
	int i, status;

	if (argc < 2 || (wshub = realpath(argv[1], NULL)) == NULL) {
		fprintf(stderr, "usage: %s path/to/wshub [tls]\n", argv[0]);
		return 2;
	}
	with_tls = argc > 2 && strcmp(argv[2], "tls") == 0;
	if (with_tls && realpath("test/certs", certs) == NULL) {
		perror("test/certs");
		return 2;
	}
	strcat(certs, "/");
	if (w != NULL && *w != '\0') {
		patience *= 6;
		for (p = strtok(strdup(w), " "), i = 0; p != NULL && i < 15;
		    p = strtok(NULL, " "))
			wrap[i++] = p;
	}
	umask(022);
	snprintf(top, sizeof top, "%s/wshub-e2e.XXXXXX",
	    tmp != NULL && *tmp != '\0' ? tmp : "/tmp");
	board = mmap(NULL, GROUPS_MAX * sizeof *board, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (board == MAP_FAILED || mkdtemp(top) == NULL ||
	    chmod(top, 0755) != 0 || chdir(top) != 0) {
		perror(top);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	signal(SIGINT, interrupted);
	signal(SIGTERM, interrupted);
	signal(SIGHUP, interrupted);
	groups = g;
	ngroups = n;
	for (i = 0; i < n; i++) {
		fflush(stdout);
		if (g[i].for_tls && !with_tls)
			continue;
		g[i].pid = fork();
		if (g[i].pid == 0)
			run_group(i);
		if (g[i].pid > 0)
			setpgid(g[i].pid, g[i].pid);
	}
	end = now() + 30 * (long long)patience;
	for (i = 0; i < n; i++) {
		if (g[i].pid <= 0)
			continue;
		status = end_group(&g[i], end);
		snprintf(name, sizeof name, "%s.out", g[i].name);
		p = slurp(name, &len);
		fputs(p, stdout);
		free(p);
		if (status != 0) {
			CASE(g[i].name);
			EXPECT(0, "these tests did not come to their end "
			    "(%d)", status);
			test_close();
		}
		test_passed += board[i][0];
		test_failed += board[i][1];
		test_skipped += board[i][2];
	}
	clear_up();
	return test_end();
}

#endif
