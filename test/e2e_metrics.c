/* wshub: ISC licence, see LICENSE. */
/*
 * What programs read of a hub: its metrics, and the times in its log.
 * e2e_metrics path/to/wshub
 */
#define _GNU_SOURCE
#include "hub.h"
#include "../ws.h"

/* ----------------------------------------------------------------- metrics */

#define ANSWER 32768
#define SILENT 1000 /* connections */

static char answer[ANSWER];

/* What a request at fd is answered with, to the end. */
static void
exchange(int fd, const char *request)
{
	size_t len;

	put(fd, request, strlen(request));
	EXPECT(get_all(fd, answer, sizeof answer, &len), "%s: no end of it",
	    request);
	close(fd);
}

/* A sample's value, from a new scrape over port; -1: there is none. */
static double
sample(int port, const char *name)
{
	char line[80], *p;

	exchange(dial(port, 0), "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
	snprintf(line, sizeof line, "\n%s ", name);
	p = strstr(answer, line);
	return p == NULL ? -1 : atof(p + strlen(line));
}

/* Waits until a sample has a value: 1, or 0 when time is up. */
static int
await_sample(int port, const char *name, double want)
{
	long long end = now() + patience;

	while (sample(port, name) != want) {
		if (now() > end)
			return 0;
		nap(20);
	}
	return 1;
}

#define SAMPLE(port, name, want)                                              \
	EXPECT(await_sample(port, name, want), "%s: %f", name,                \
	    sample(port, name))

static void
answers(const struct hub *h)
{
	static const struct {
		const char *request, *status, *end;
	} t[] = {
		{ "GET /metrics HTTP/1.0\r\n\r\n", "200 OK\r\n",
		    "_seconds_count 0\n" },
		{ "GET /metrics HTTP/1.1\r\n" UPGRADE "\r\n", "200 OK\r\n",
		    "_seconds_count 0\n" },
		{ "HEAD /metrics HTTP/1.1\r\nHost: a\r\n\r\n", "200 OK\r\n",
		    "\r\n\r\n" },
		{ "GET /health HTTP/1.0\r\n\r\n", "200 OK\r\n",
		    "\r\n\r\nok\n" },
		{ "HEAD /health HTTP/1.0\r\n\r\n", "200 OK\r\n", "\r\n\r\n" },
		{ "OPTIONS /health HTTP/1.0\r\n\r\n", "200 OK\r\n",
		    "\r\n\r\nok\n" },
		{ "POST /metrics HTTP/1.0\r\n\r\n", "405 Method Not Allowed\r\n"
		    "Allow: GET, HEAD\r\n", "served here\n" },
		{ REQUEST, "404 Not Found\r\n", "\r\n\r\nnot found\n" },
		{ "GET /metrics HTTP/1.1\r\n\r\n", "400 ", "no Host header\n" },
		{ "\x16\x03\x01", "400 ", "TLS on a port without TLS\n" }
	};
	size_t i, n;

	CASE("--metrics: what is there, and what is not");
	for (i = 0; i < sizeof t / sizeof *t; i++) {
		exchange(dial(h->port[1], 0), t[i].request);
		n = strlen(t[i].end);
		EXPECT(strncmp(answer, "HTTP/1.1 ", 9) == 0 &&
		    strncmp(answer + 9, t[i].status, strlen(t[i].status)) == 0
		    && strlen(answer) > n && strcmp(answer + strlen(answer) -
		    n, t[i].end) == 0, "%s: \"%s\"", t[i].request, answer);
	}
	exchange(dial(h->port[1], 0), t[0].request);
	EXPECT(strstr(answer, "\r\nContent-Type: text/plain; version=0.0.4; "
	    "charset=utf-8\r\n") != NULL, "%.200s", answer);
}

static void
values(const struct hub *h)
{
	int port = h->port[1], fd;
	static char json[WS_STATS_MAX] = ",";
	struct client a, b;
	size_t n;

	CASE("--metrics: scrapers are not counted as clients");
	SAMPLE(port, "wshub_connections_total", 0);
	SAMPLE(port, "wshub_refusals_total{reason=\"bad_request\"}", 0);
	SAMPLE(port, "wshub_sent_bytes_total", 0);

	CASE("--metrics: the values");
	join(&a, h);
	join(&b, h);
	fd = dial_unix(h->control);
	ASK(fd, with_id(SUBSCRIBE_TO "\"x\"}\n", a.id), "OK 1\n");
	ASK(fd, M1 "\n", "OK 2\n");
	ASK(fd, "{}\n", "ERR no \"action\"\n");
	TEXT(&a, "1");
	TEXT(&b, "1");
	SAMPLE(port, "wshub_build_info{version=\"" WS_VERSION "\"}", 1);
	SAMPLE(port, "wshub_clients", 2);
	SAMPLE(port, "wshub_clients_limit", 2);
	SAMPLE(port, "wshub_devices", 2);
	SAMPLE(port, "wshub_channels", 1);
	SAMPLE(port, "wshub_subscriptions", 1);
	SAMPLE(port, "wshub_backends", 1);
	SAMPLE(port, "wshub_connections_total", 2);
	SAMPLE(port, "wshub_sessions_opened_total", 2);
	SAMPLE(port, "wshub_commands_total", 3);
	SAMPLE(port, "wshub_command_errors_total", 1);
	SAMPLE(port, "wshub_deliveries_total", 2);
	SAMPLE(port, "wshub_sent_bytes_total",
	    2 * (sizeof ACCEPTED - 1 + ID_FRAME + 3));
	SAMPLE(port, "wshub_delivery_seconds_count", 1);
	EXPECT(sample(port, "wshub_delivery_seconds_sum") > 0, "%s", answer);
	EXPECT(sample(port, "wshub_cpu_seconds_total") > 0, "%s", answer);
	EXPECT(time(NULL) - (time_t)sample(port, "wshub_start_time_seconds") <
	    600, "%s", answer);
	/* Five listeners and the keeper at most, clients, backend, scraper. */
	EXPECT(sample(port, "wshub_descriptors") >= 7 &&
	    sample(port, "wshub_descriptors") <= 7 + WS_SCRAPERS, "%f",
	    sample(port, "wshub_descriptors"));

	CASE("stats: a backend gets the same as JSON");
	ASK(fd, "{\"action\":\"stats\"}\n",
	    "OK {\"wshub_build_info{version=\\\"" WS_VERSION "\\\"}\":1,");
	for (n = 1; n < sizeof json - 1 && json[n - 1] != '\n'; n++)
		if (recv(fd, json + n, 1, 0) != 1)
			break;
	EXPECT(strstr(json, ",\"wshub_clients\":2,") != NULL &&
	    strstr(json, ",\"wshub_commands_total\":3,") != NULL &&
	    strcmp(json + n - 2, "}\n") == 0, "%zu bytes: %s", n, json);

	CASE("--metrics: also where no client gets in any more");
	exchange(dial(h->port[0], 0), REQUEST);
	EXPECT(strncmp(answer, "HTTP/1.1 503 ", 13) == 0, "%s", answer);
	SAMPLE(port, "wshub_refusals_total{reason=\"full\"}", 1);

	CASE("--metrics: why sessions have ended");
	ASK(fd, with_id("{\"action\":\"kick\",\"device\":\"%s\"}\n", a.id),
	    "OK 1\n");
	close(fd);
	put_frame(&b, 0x88, "\x03\xe8", 2);
	CLOSED(&b, 1000);
	leave(&a);
	leave(&b);
	SAMPLE(port, "wshub_clients", 0);
	SAMPLE(port, "wshub_disconnects_total{reason=\"kicked\"}", 1);
	SAMPLE(port, "wshub_disconnects_total{reason=\"closed\"}", 1);
	SAMPLE(port, "wshub_disconnects_total{reason=\"error\"}", 0);
}

static void
metrics(void)
{
	struct hub h = { 0 };

	START(&h, QUIET_HUB, "--max-clients", "2", "--metrics",
	    "127.0.0.1:%2");
	answers(&h);
	values(&h);
	STOP(&h);
	EXPECT(refuses(h.port[1]), "it still listens");
}

/* ---------------------------------------------------------------- addresses */

static void
addresses(void)
{
	static char *const bad[] = { "", "9100", "localhost", "::1:9100",
	    "127.0.0.1:65536", "unix:" };
	struct hub h = { 0 };
	struct stat st;
	size_t i;

	CASE("--metrics: what is no address");
	for (i = 0; i < sizeof bad / sizeof *bad; i++) {
		command(NULL, ARGS("-n", "--metrics", bad[i]));
		command_is(__FILE__, __LINE__, 2, NULL, "not host:port");
	}
	COMMAND(0, NULL, NULL, "-n", "--metrics", "[::1]:9100");

	CASE("--metrics unix:PATH: the same, and the file goes at the end");
	START(&h, QUIET_HUB, "--metrics", "unix:metrics.sock");
	EXPECT(file_has(h.log, "metrics on http://unix:metrics.sock\n"),
	    "no line in the log");
	exchange(dial_unix("metrics.sock"), "GET /metrics HTTP/1.0\r\n\r\n");
	EXPECT(strstr(answer, "\nwshub_clients 0\n") != NULL, "\"%s\"", answer);
	STOP(&h);
	EXPECT(lstat("metrics.sock", &st) == -1, "metrics.sock is still there");

	CASE("--metrics: of 1000 descriptors 336 are not for clients");
	h.nofile = 1000;
	START(&h, QUIET_HUB, "--metrics", "127.0.0.1:%2");
	SAMPLE(h.port[1], "wshub_descriptors_limit", 1000);
	SAMPLE(h.port[1], "wshub_clients_limit", 664);
	STOP(&h);
	h.nofile = 0;

	CASE("--metrics: an address in use");
	START(&h, QUIET_HUB, "--metrics", "unix:metrics.sock");
	COMMAND(1, NULL, "another program listens there", "-s", "x.sock", "-l",
	    "unix:x.http", "--metrics", "unix:metrics.sock");
	STOP(&h);
}

/* --------------------------------------------------------- hostile scrapers */

static void
hostile(void)
{
	static const char half[] = "GET /metrics HTTP/1.1\r\nHost: ";
	static const struct linger at_once = { 1, 0 };
	struct hub h = { 0 };
	struct rlimit lim;
	static int fd[SILENT];
	struct client c;
	double before;
	int i, n = SILENT;
	char *head;

	if (getrlimit(RLIMIT_NOFILE, &lim) == 0) {
		lim.rlim_cur = lim.rlim_max;
		setrlimit(RLIMIT_NOFILE, &lim);
		if (lim.rlim_max < SILENT + 100)
			n = (int)lim.rlim_max - 100;
	}
	CASE("--metrics: 1,000 that say nothing keep nobody out");
	START(&h, QUIET_HUB, "--max-per-ip", "1", "--metrics", "127.0.0.1:%2");
	join(&c, &h);
	before = sample(h.port[1], "wshub_descriptors");
	for (i = 0; i < n; i++)
		fd[i] = dial(h.port[1], 0);
	SAMPLE(h.port[1], "wshub_clients", 1);
	EXPECT(sample(h.port[1], "wshub_descriptors") <= before +
	    2 * WS_SCRAPERS, "%f", sample(h.port[1], "wshub_descriptors"));
	ORDER(&h, M1, "OK 1\n");
	TEXT(&c, "1");
	for (i = 0; i < n; i++)
		close(fd[i]);

	CASE("--metrics: endless heads, halves, and who leaves amid");
	head = malloc(40000);
	if (head == NULL)
		give_up("memory");
	memset(head, 'x', 40000);
	memcpy(head, half, sizeof half - 1);
	for (i = 0; i < 100; i++) {
		fd[0] = dial(h.port[1], i % 2 == 0 ? 0 : 4096);
		put(fd[0], i % 3 == 0 ? REQUEST : head, i % 3 == 0 ?
		    sizeof REQUEST - 1 : i % 3 == 1 ? 40000 : 20);
		put(fd[0], "GET /metrics HTTP/1.0\r\n\r\n", 25);
		if (i % 4 < 2)
			setsockopt(fd[0], SOL_SOCKET, SO_LINGER, &at_once,
			    sizeof at_once);
		close(fd[0]);
	}
	fd[0] = dial(h.port[1], 0);
	put(fd[0], head, 32768);
	EXPECT(recv(fd[0], answer, 13, MSG_WAITALL) == 13 &&
	    memcmp(answer, "HTTP/1.1 431 ", 13) == 0, "%.13s", answer);
	close(fd[0]);
	free(head);

	CASE("--metrics: who asks and never reads or closes is let go");
	for (i = 0; i < 50; i++) {
		fd[i] = dial(h.port[1], 4096);
		put(fd[i], "GET /metrics HTTP/1.0\r\n\r\n", 25);
	}
	SAMPLE(h.port[1], "wshub_descriptors", before);
	for (i = 0; i < 50; i++)
		close(fd[i]);
	ORDER(&h, M1, "OK 1\n");
	TEXT(&c, "1");
	SAMPLE(h.port[1], "wshub_queued_bytes", 0);
	SAMPLE(h.port[1], "wshub_connections_total", 1);
	SAMPLE(h.port[1], "wshub_refusals_total{reason=\"bad_request\"}", 0);
	SAMPLE(h.port[1], "wshub_disconnects_total{reason=\"slow\"}", 0);
	SAMPLE(h.port[1], "wshub_undelivered_total", 0);
	leave(&c);
	STOP(&h);
}

static void
drains(void)
{
	struct hub h = { 0 };
	struct client c;

	CASE("TERM: while it drains there are metrics, and /health is 503");
	START(&h, QUIET_HUB, "--drain", "60", "--metrics", "127.0.0.1:%2");
	join(&c, &h);
	kill(h.pid, SIGTERM);
	EXPECT(await(h.log, "draining 1 clients"), "it does not drain");
	/* It waits two seconds for the client to close. */
	EXPECT(sample(h.port[1], "wshub_clients") == 1, "\"%s\"", answer);
	exchange(dial(h.port[1], 0), "GET /health HTTP/1.0\r\n\r\n");
	EXPECT(strncmp(answer, "HTTP/1.1 503 ", 13) == 0, "\"%s\"", answer);
	CLOSED(&c, 1001);
	leave(&c);
	ENDED(&h, 0);
}

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
	{ .name = "metrics", .run = metrics },
	{ .name = "addresses", .run = addresses },
	{ .name = "hostile", .run = hostile },
	{ .name = "drains", .run = drains },
	{ .name = "log_times", .run = log_times },
};

int
main(int argc, char **argv)
{
	return run_groups(argc, argv, all_groups,
	    (int)(sizeof all_groups / sizeof *all_groups));
}
