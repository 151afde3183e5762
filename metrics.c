/* wshub: ISC licence, see LICENSE. */
/*
 * What the hub counts and measures, as Prometheus' text format (version 0.0.4),
 * as a JSON object, and as log lines. All three come from one table.
 */
#define _POSIX_C_SOURCE 200809L
#include <sys/types.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ws.h"

enum type { GAUGE, COUNTER, HISTOGRAM };
static const char *const types[] = { "gauge", "counter", "histogram" };

enum unit { NUMBER, BYTES, NANOSECONDS };

/*
 * A value, which is an unsigned integer of 4 or 8 bytes in struct ws_loop. The
 * name is without "wshub_", and may have a label; NULL: it is only logged, as a
 * reason of disconnects_total says the same. Values of one family are
 * neighbours, and only the first of them has a help text.
 */
struct metric {
	const char *name, *help;
	const char *log; /* its name in the log; NULL: not logged by itself */
	unsigned char type, unit, size;
	unsigned short offset;
};

#define AT(member) sizeof ((struct ws_loop *)0)->member, \
    offsetof(struct ws_loop, member)
#define COUNT(i) sizeof (uint64_t), \
    offsetof(struct ws_loop, counters) + (i) * sizeof (uint64_t)

static const struct metric metrics[] = {
	{ "start_time_seconds", "When the hub was started, since 1970.",
	    NULL, GAUGE, NUMBER, AT(started_at) },
	{ "clients", "Clients and sessions that are away.",
	    NULL, GAUGE, NUMBER, AT(clients) },
	{ "clients_limit", "Clients that there may be (--max-clients).",
	    NULL, GAUGE, NUMBER, AT(max_clients) },
	{ "sessions_away", "Sessions that wait for their clients.",
	    "away", GAUGE, NUMBER, AT(away) },
	{ "devices", "Devices that backends can send to.",
	    NULL, GAUGE, NUMBER, AT(hub.count) },
	{ "channels", "Channels that have subscribers.",
	    NULL, GAUGE, NUMBER, AT(hub.nchannels) },
	{ "subscriptions", "Subscriptions of devices to channels.",
	    NULL, GAUGE, NUMBER, AT(hub.nlinks) },
	{ "backends", "Connections of backends.",
	    NULL, GAUGE, NUMBER, AT(backends) },
	{ "backends_limit", "Connections of backends that there may be.",
	    NULL, GAUGE, NUMBER, AT(max_backends) },
	{ "descriptors", "Descriptors that the hub polls.",
	    NULL, GAUGE, NUMBER, AT(poll.n) },
	{ "descriptors_limit", "Descriptors that the hub may have "
	    "(RLIMIT_NOFILE).", NULL, GAUGE, NUMBER, AT(max_descriptors) },
	{ "queued_bytes", "Memory of messages and unfinished input.",
	    "queued", GAUGE, BYTES, AT(queued) },
	{ "queued_peak_bytes", "The most that wshub_queued_bytes has been.",
	    "most queued", GAUGE, BYTES, AT(most_queued) },
	{ "queued_limit_bytes", "Above it clients are disconnected "
	    "(--queue-total).", NULL, GAUGE, BYTES, AT(o.queue_total) },

	{ "connections_total", "Connections accepted from clients.",
	    "accepted", COUNTER, NUMBER, COUNT(WS_ACCEPTED) },
	{ "refusals_total{reason=\"full\"}", "Connections that did not become "
	    "clients.", "refused", COUNTER, NUMBER, COUNT(WS_REFUSED) },
	{ "refusals_total{reason=\"bad_request\"}", NULL,
	    "bad requests", COUNTER, NUMBER, COUNT(WS_BAD_REQUESTS) },
	{ "refusals_total{reason=\"unauthorized\"}", NULL,
	    "unauthorized", COUNTER, NUMBER, COUNT(WS_UNAUTHORIZED) },
	{ "refusals_total{reason=\"tls\"}", NULL,
	    "TLS failures", COUNTER, NUMBER, COUNT(WS_TLS_FAILURES) },
	{ "sessions_opened_total", "Sessions begun.",
	    "opened", COUNTER, NUMBER, COUNT(WS_OPENED) },
	{ "sessions_resumed_total", "Sessions resumed by another connection.",
	    "resumed", COUNTER, NUMBER, COUNT(WS_RESUMED) },
	{ "protocol_errors_total", "Clients that violated the protocol.",
	    "protocol errors", COUNTER, NUMBER, COUNT(WS_PROTOCOL_ERRORS) },
	{ "unanswered_pings_total", "Pings that were not answered.",
	    "silent", COUNTER, NUMBER, COUNT(WS_SILENT) },
	{ "cut_off_total", "Clients over --queue or --queue-total.",
	    "cut off", COUNTER, NUMBER, COUNT(WS_CUT_OFF) },
	{ NULL, NULL, "missed", COUNTER, NUMBER, COUNT(WS_MISSED) },
	{ NULL, NULL, "late", COUNTER, NUMBER, COUNT(WS_LATE) },
	{ NULL, NULL, "kicked", COUNTER, NUMBER, COUNT(WS_KICKED) },
	{ "out_of_memory_total", "What was lost for want of memory.",
	    "lost for want of memory", COUNTER, NUMBER, COUNT(WS_LOST) },

	{ "commands_total", "Commands from backends.",
	    "objects", COUNTER, NUMBER, COUNT(WS_OBJECTS) },
	{ "command_errors_total", "Commands that were answered with ERR.",
	    "errors", COUNTER, NUMBER, COUNT(WS_OBJECT_ERRORS) },
	{ "deliveries_total", "Messages queued, once for each session.",
	    "deliveries", COUNTER, NUMBER, COUNT(WS_DELIVERIES) },
	{ "undelivered_total", "Messages that were queued and not sent.",
	    "undelivered frames", COUNTER, NUMBER, COUNT(WS_UNDELIVERED) },
	{ "sent_bytes_total", "Bytes sent to clients, without TLS.",
	    "sent", COUNTER, BYTES, AT(sent) },

	{ "turns_total", "Turns of the event loop.",
	    "turns", COUNTER, NUMBER, COUNT(WS_TURNS) },
	{ "long_turns_total", "Turns of more than 100 milliseconds.",
	    "long turns", COUNTER, NUMBER, COUNT(WS_LONG_TURNS) },
	{ "longest_turn_seconds", "The longest turn.",
	    "longest turn", GAUGE, NANOSECONDS, AT(longest_turn) },
	{ "longest_unheard_seconds", "The longest time without a scan.",
	    "longest unheard", GAUGE, NANOSECONDS,
	    AT(poll.longest_unheard) },
	{ "scans_total", "Scans of idle clients.",
	    NULL, COUNTER, NUMBER, AT(poll.scans) },
	{ "late_scans_total", "Scans that came more than 2 seconds after the "
	    "last.", "late scans", COUNTER, NUMBER, AT(poll.late_scans) },
	{ "scan_seconds_total", "Time spent on scans.",
	    NULL, COUNTER, NANOSECONDS, AT(poll.scan_time) }
};

#define METRICS (sizeof metrics / sizeof *metrics)

/* The upper bounds of the buckets of delivery_seconds, but the last. */
static const struct {
	int64_t ns;
	const char *seconds;
} bounds[WS_DELIVERY_BUCKETS - 1] = {
	{ 100000, "0.0001" }, { 300000, "0.0003" }, { 1000000, "0.001" },
	{ 3000000, "0.003" }, { 10000000, "0.01" }, { 30000000, "0.03" },
	{ 100000000, "0.1" }, { 300000000, "0.3" }, { 1000000000, "1" }
};

static uint64_t
read_value(const struct ws_loop *l, const struct metric *m)
{
	const char *p = (const char *)l + m->offset;
	uint32_t small;
	uint64_t n;

	if (m->size == sizeof small) {
		memcpy(&small, p, sizeof small);
		return small;
	}
	memcpy(&n, p, sizeof n);
	return n;
}

/* ------------------------------------------------------------------ output */

struct output {
	char *text;
	size_t room, len;
	int json;
};

/* Appends what fits. */
#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
static void
add(struct output *o, const char *format, ...)
{
	size_t left = o->room - o->len;
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(o->text + o->len, left, format, ap);
	va_end(ap);
	if (n > 0)
		o->len += (size_t)n < left ? (size_t)n : left - 1;
}

/* The two lines before the samples of a family, whose name ends at a brace. */
static void
add_family(struct output *o, enum type type, const char *name,
    const char *help)
{
	int n = (int)strcspn(name, "{");

	if (!o->json)
		add(o, "# HELP wshub_%.*s %s\n# TYPE wshub_%.*s %s\n", n, name,
		    help, n, name, types[type]);
}

/* A sample, whose name may have a label. */
static void
add_sample(struct output *o, const char *name, uint64_t value, enum unit unit)
{
	if (!o->json) {
		add(o, "wshub_%s ", name);
	} else {
		add(o, o->len == 0 ? "{\"wshub_" : ",\"wshub_");
		for (; *name != '\0'; name++)
			add(o, "%s%c", *name == '"' ? "\\" : "", *name);
		add(o, "\":");
	}
	if (unit == NANOSECONDS)
		add(o, "%llu.%09u", (unsigned long long)value / 1000000000,
		    (unsigned)(value % 1000000000));
	else
		add(o, "%llu", (unsigned long long)value);
	if (!o->json)
		add(o, "\n");
}

static void
add_ends(struct output *o, const struct ws_loop *l)
{
	char name[64];
	size_t i;

	add_family(o, COUNTER, "disconnects_total", "Sessions that have "
	    "ended.");
	for (i = 0; i < WS_REASONS; i++) {
		snprintf(name, sizeof name, "disconnects_total{reason=\"%s\"}",
		    ws_reasons[i]);
		add_sample(o, name, l->ends[i], NUMBER);
	}
}

static void
add_deliveries(struct output *o, const struct ws_loop *l)
{
	uint64_t n = 0;
	char name[64];
	size_t i;

	add_family(o, HISTOGRAM, "delivery_seconds", "Time from commands to "
	    "the kernel, by turn.");
	for (i = 0; i < WS_DELIVERY_BUCKETS; i++) {
		n += l->delivery_buckets[i];
		snprintf(name, sizeof name, "delivery_seconds_bucket"
		    "{le=\"%s\"}", i < WS_DELIVERY_BUCKETS - 1 ?
		    bounds[i].seconds : "+Inf");
		add_sample(o, name, n, NUMBER);
	}
	add_sample(o, "delivery_seconds_sum", (uint64_t)l->delivery_time,
	    NANOSECONDS);
	add_sample(o, "delivery_seconds_count", n, NUMBER);
}

static size_t
write_all(const struct ws_loop *l, char *out, size_t room, int json)
{
	struct output o = { NULL, 0, 0, 0 };
	struct timespec t = { 0, 0 };
	const struct metric *m;

	o.text = out;
	o.room = room;
	o.json = json;
	add_family(&o, GAUGE, "build_info", "The version of wshub.");
	add_sample(&o, "build_info{version=\"" WS_VERSION "\"}", 1, NUMBER);
	for (m = metrics; m < metrics + METRICS; m++) {
		if (m->name == NULL)
			continue;
		if (m->help != NULL)
			add_family(&o, m->type, m->name, m->help);
		add_sample(&o, m->name, read_value(l, m), m->unit);
	}
	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	add_family(&o, COUNTER, "cpu_seconds_total", "Processor time of the "
	    "hub's process.");
	add_sample(&o, "cpu_seconds_total", (uint64_t)t.tv_sec * 1000000000 +
	    (uint64_t)t.tv_nsec, NANOSECONDS);
	add_ends(&o, l);
	if (l->o.metrics)
		add_deliveries(&o, l);
	if (json)
		add(&o, "}");
	return o.len;
}

/* see ws.h */
size_t
ws_metrics_text(const struct ws_loop *l, char *out, size_t room)
{
	return write_all(l, out, room, 0);
}

/* see ws.h */
size_t
ws_metrics_json(const struct ws_loop *l, char *out, size_t room)
{
	return write_all(l, out, room, 1);
}

/* see ws.h */
void
ws_metrics_log(const struct ws_loop *l)
{
	const struct metric *m;
	unsigned long long n;

	for (m = metrics; m < metrics + METRICS; m++) {
		n = read_value(l, m);
		if (m->log != NULL)
			ws_logf(&l->o, WS_LOG_ERROR, "%s: %llu%s", m->log,
			    m->unit == NANOSECONDS ? n / 1000000 : n,
			    m->unit == NANOSECONDS ? " ms" :
			    m->unit == BYTES ? " bytes" : "");
	}
}

/* see ws.h */
void
ws_metrics_delivery(struct ws_loop *l, int64_t ns)
{
	size_t i = 0;

	while (i < WS_DELIVERY_BUCKETS - 1 && ns > bounds[i].ns)
		i++;
	l->delivery_buckets[i]++;
	l->delivery_time += ns;
}
