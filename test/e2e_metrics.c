/* wshub: ISC licence, see LICENSE. */
/*
 * What programs read of a hub: its metrics, and the times in its log.
 * e2e_metrics path/to/wshub
 */
#define _GNU_SOURCE
#include "hub.h"

/* --------------------------------------------------------------------- log */

/* Whether s begins as 2026-11-26T19:05:00.123Z, with a time in that range. */
static int
has_time(const char *s, time_t from, time_t to)
{
	struct tm tm;
	char want[32];

	if (strlen(s) < 25 || s[19] != '.' || !isdigit((unsigned char)s[20]) ||
	    !isdigit((unsigned char)s[21]) || !isdigit((unsigned char)s[22]) ||
	    strncmp(s + 23, "Z ", 2) != 0)
		return 0;
	for (; from <= to; from++) {
		strftime(want, sizeof want, "%Y-%m-%dT%H:%M:%S",
		    gmtime_r(&from, &tm));
		if (strncmp(s, want, 19) == 0)
			return 1;
	}
	return 0;
}

static void
log_times(void)
{
	struct hub h = { 0 };
	time_t from = time(NULL);
	char *p, *line, *end;
	size_t len;
	int lines = 0;

	CASE("-t: the time before each line, of both processes");
	START(&h, QUIET_HUB, "-t");
	kill(h.pid, SIGUSR1);
	EXPECT(await(h.log, "% of the time\n"), "no counters");
	kill(h.pid, SIGHUP);
	EXPECT(await(h.log, "no certificate"), "no line of the keeper's");
	kill(h.pid, SIGTERM);
	EXPECT(reap(h.pid, patience) == 0, "it does not end well");
	p = slurp(h.log, &len);
	for (line = p; *line != '\0'; line = end, lines++) {
		end = line + strcspn(line, "\n");
		EXPECT(has_time(line, from, time(NULL)) &&
		    strncmp(line + 25, "wshub: ", 7) == 0,
		    "\"%.*s\"", (int)(end - line), line);
		end += *end == '\n';
	}
	EXPECT(lines > 20, "%d lines", lines);
	free(p);
}

static struct test_group all_groups[] = {
	{ .name = "log_times", .run = log_times },
};

int
main(int argc, char **argv)
{
	return run_groups(argc, argv, all_groups,
	    (int)(sizeof all_groups / sizeof *all_groups));
}
