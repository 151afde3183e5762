/* wshub: ISC licence, see LICENSE. */
/* Tests of metrics.c: the text, the JSON object, and the lines of the log. */
#define _GNU_SOURCE
#include "../metrics.c"
#include "test.h"

static struct ws_loop l;
static char *text, *json; /* of WS_METRICS_MAX bytes, then an unmapped page */
static char logged[8192];

static void
keep(int level, const char *line)
{
	size_t n = strlen(logged);

	(void)level;
	snprintf(logged + n, sizeof logged - n, "%s\n", line);
}

static void
write_both(void)
{
	size_t n = ws_metrics_text(&l, text, WS_METRICS_MAX);
	size_t m = ws_metrics_json(&l, json, WS_METRICS_MAX);

	EXPECT(n == strlen(text) && m == strlen(json), "%zu of %zu, %zu of %zu",
	    n, strlen(text), m, strlen(json));
	EXPECT(n > 1000 && n < WS_METRICS_MAX - 1 && text[n - 1] == '\n',
	    "%zu bytes of text", n);
	EXPECT(m > 1000 && m < WS_METRICS_MAX - 1 && json[m - 1] == '}',
	    "%zu bytes of JSON", m);
}

static unsigned
times(const char *in, const char *what)
{
	unsigned n = 0;

	for (; (in = strstr(in, what)) != NULL; in++)
		n++;
	return n;
}

/*
 * Goes through the text line by line: a family's HELP, its TYPE, its samples,
 * and each of them once. The same samples are in the JSON object.
 */
static void
check_lines(void)
{
	char family[80] = "", type[16] = "", name[80], value[40], want[200];
	char copy[WS_METRICS_MAX], *line, *next, *at;
	struct ws_json scanner = { 0 };
	unsigned samples = 0;
	size_t i;

	strcpy(copy, text);
	for (line = copy; *line != '\0'; line = next) {
		next = line + strcspn(line, "\n");
		*next++ = '\0';
		if (sscanf(line, "# HELP %79s", family) == 1) {
			snprintf(want, sizeof want, "# HELP %s ", family);
			EXPECT(times(text, want) == 1 && strlen(line) >
			    strlen(want) + 5 && next[-2] == '.', "%s", line);
			continue;
		}
		if (sscanf(line, "# TYPE %79s %15s", name, type) == 2) {
			EXPECT(strcmp(name, family) == 0, "%s after %s", line,
			    family);
			EXPECT((strcmp(type, "counter") == 0) ==
			    (strlen(name) > 6 && strcmp(name + strlen(name) - 6,
			    "_total") == 0), "%s", line);
			continue;
		}
		EXPECT(sscanf(line, "%79s %39s", name, value) == 2, "%s", line);
		EXPECT(strncmp(name, "wshub_", 6) == 0 &&
		    strncmp(name, family, strlen(family)) == 0, "%s of %s",
		    name, family);
		at = name + strlen(family);
		EXPECT(*at == '\0' || *at == '{' || (*type == 'h' &&
		    *at == '_'), "%s of %s", name, family);
		EXPECT(strspn(value, "0123456789.") == strlen(value), "%s",
		    line);
		snprintf(want, sizeof want, "\n%s ", name);
		EXPECT(times(text, want) == 1, "%s: %u times", name,
		    times(text, want));
		/* The processor time is another by now. */
		i = (size_t)snprintf(want, sizeof want, "\"");
		for (at = name; *at != '\0'; at++)
			i += (size_t)snprintf(want + i, sizeof want - i,
			    "%s%c", *at == '"' ? "\\" : "", *at);
		snprintf(want + i, sizeof want - i, "\":%s", strcmp(name,
		    "wshub_cpu_seconds_total") == 0 ? "" : value);
		EXPECT(times(json, want) == 1, "%s: %u times in %s", want,
		    times(json, want), json);
		samples++;
	}
	EXPECT(ws_json_scan(&scanner, json, strlen(json)) ==
	    (ssize_t)strlen(json), "byte %zu: %s", scanner.offset,
	    scanner.reason);
	EXPECT(times(json, "\":") == samples && times(json, ",\"") ==
	    samples - 1 && json[0] == '{', "%u samples, and %u in JSON",
	    samples, times(json, "\":"));
}

static void
counters(void)
{
	static const char *const reasons[WS_REASONS] = {
		"error", "closed", "silent", "slow", "kicked", "expired",
		"replaced", "shutdown", "missed", "late"
	};
	char want[80];
	unsigned i;

	CASE("every counter is there, once, and in the log as well");
	l.o.log = keep;
	for (i = 0; i < WS_COUNTERS; i++)
		l.counters[i] = 70000 + i;
	write_both();
	ws_metrics_log(&l);
	for (i = 0; i < WS_COUNTERS; i++) {
		snprintf(want, sizeof want, " %u\n", 70000 + i);
		EXPECT(times(text, want) == (i != WS_MISSED && i != WS_LATE &&
		    i != WS_KICKED) && times(logged, want) == 1,
		    "counter %u: %u times, in the log %u", i,
		    times(text, want), times(logged, want));
	}

	CASE("the ends of sessions by reason");
	for (i = 0; i < WS_REASONS; i++)
		l.ends[i] = 80000 + i;
	write_both();
	for (i = 0; i < WS_REASONS; i++) {
		snprintf(want, sizeof want, "{reason=\"%s\"} %u\n", reasons[i],
		    80000 + i);
		EXPECT(times(text, want) == 1, "%s: %u times", want,
		    times(text, want));
	}

	CASE("the units of the log");
	*logged = '\0';
	l.queued = 5;
	l.longest_turn = 7999999;
	ws_metrics_log(&l);
	EXPECT(strstr(logged, "\nqueued: 5 bytes\n") != NULL &&
	    strstr(logged, "\nlongest turn: 7 ms\n") != NULL, "%s", logged);
}

static void
deliveries(void)
{
	static const struct {
		int64_t ns;
		unsigned bucket;
	} t[] = {
		{ 0, 0 }, { 100000, 0 }, { 100001, 1 }, { 999999999, 8 },
		{ 1000000000, 8 }, { 1000000001, 9 }, { 5000000000, 9 }
	};
	unsigned i;

	CASE("the times of deliveries are there only if they are taken");
	EXPECT(strstr(text, "delivery_seconds") == NULL, "they are not");
	l.o.metrics = 1;
	for (i = 0; i < sizeof t / sizeof *t; i++) {
		ws_metrics_delivery(&l, t[i].ns);
		EXPECT(l.delivery_buckets[t[i].bucket] == (i > 0 &&
		    t[i - 1].bucket == t[i].bucket ? 2u : 1u), "%lld ns",
		    (long long)t[i].ns);
	}
	write_both();
	EXPECT(strstr(text, "_bucket{le=\"0.0001\"} 2\n"
	    "wshub_delivery_seconds_bucket{le=\"0.0003\"} 3\n") != NULL &&
	    strstr(text, "_bucket{le=\"0.3\"} 3\n"
	    "wshub_delivery_seconds_bucket{le=\"1\"} 5\n"
	    "wshub_delivery_seconds_bucket{le=\"+Inf\"} 7\n"
	    "wshub_delivery_seconds_sum 8.000200001\n"
	    "wshub_delivery_seconds_count 7\n") != NULL, "%s",
	    strstr(text, "# HELP wshub_delivery"));
}

int
main(void)
{
	static char nothing[WS_METRICS_MAX];

	text = test_guard(nothing, sizeof nothing);
	json = test_guard(nothing, sizeof nothing);
	counters();
	deliveries();
	CASE("HELP, TYPE and samples of each family; JSON has the same");
	check_lines();

	CASE("it fits, whatever the values are");
	memset(&l, 0xff, sizeof l);
	write_both();
	check_lines();

	CASE("more than there is room for is cut");
	EXPECT(ws_metrics_text(&l, text, 100) == 99 && strlen(text) == 99,
	    "%zu bytes", strlen(text));
	return test_end();
}
