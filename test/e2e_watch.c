/* wshub: ISC licence, see LICENSE. */
/*
 * What backends and people see of a running hub: an event for each way in
 * which a client comes and goes, and "wshub ctl" with a verb.
 * e2e_watch path/to/wshub
 */
#define _GNU_SOURCE
#include "hub.h"

#define WATCH "{\"action\":\"watch\",\"snapshot\":true}\n"
#define READY "{\"event\":\"ready\"}\n"
#define WATCHERS 64

struct visitor {
	struct client c;
	char device[16], session[33];
};

/* Sends a request and reads the first message, which is in text. */
static void
visit(struct visitor *v, const struct hub *h, const char *target)
{
	char request[6000], text[1024] = "", *p;
	unsigned char *data = NULL;
	size_t len = 0;

	memset(v, 0, sizeof *v);
	v->c.fd = dial(h->port[0], 4096);
	put(v->c.fd, request, (size_t)snprintf(request, sizeof request,
	    "GET %s HTTP/1.1\r\n" UPGRADE "\r\n", target));
	/* The head ends with an empty line. */
	while (need(&v->c, 4) == 0 && memcmp(v->c.buf + v->c.at, "\r\n\r\n",
	    4) != 0)
		v->c.at++;
	v->c.at += 4;
	if (get_frame(&v->c, &data, &len) == 0x81 && len < sizeof text)
		memcpy(text, data, len);
	EXPECT(*text != '\0', "\"%s\" is not answered by a message", target);
	p = strstr(text, "\"device_id\":\"");
	if (p != NULL)
		snprintf(v->device, sizeof v->device, "%.15s", p + 13);
	p = strstr(text, "\"session\":\"");
	if (p != NULL)
		snprintf(v->session, sizeof v->session, "%.32s", p + 11);
}

/* The next event is this, of that device; its address may be any. */
#define EVENT(fd, device, want) event_is(__FILE__, __LINE__, fd, device, want)
static void
event_is(const char *file, int line, int fd, const char *device,
    const char *want)
{
	char expected[512], got[1024], *p;
	size_t n;

	snprintf(got, sizeof got, "%s", get_line(fd));
	p = strstr(got, "\"address\":\"127.0.0.1:");
	if (p != NULL) {
		p += strlen("\"address\":\"");
		n = strcspn(p, "\"");
		memmove(p, p + n, strlen(p + n) + 1);
	}
	n = strcspn(want, "@");
	if (want[n] == '@')
		snprintf(expected, sizeof expected, "{\"event\":\"%.*s\","
		    "\"device\":\"%s\"%s}\n", (int)n, want, device,
		    want + n + 1);
	else
		snprintf(expected, sizeof expected, "{\"event\":%s}\n", want);
	test_expect(strcmp(got, expected) == 0, file, line, "event %s, not %s",
	    got, expected);
}

#define CONNECT "connect@,\"sessions\":1,\"address\":\"\",\"path\":\"/\""
#define AWAY(reason) "away@,\"sessions\":1,\"reason\":\"" reason "\""
#define RESUME "resume@,\"sessions\":1,\"address\":\"\""
#define GONE(reason) "disconnect@,\"sessions\":0,\"reason\":\"" reason "\""

/* What makes a client go. */
static void
close_normally(const struct hub *h, struct visitor *v)
{
	unsigned char f[16];

	(void)h;
	put(v->c.fd, f, frame(f, 0x88, "\x03\xe8", 2));
	CLOSED(&v->c, 1000);
}

static void
hang_up(const struct hub *h, struct visitor *v)
{
	(void)h;
	shutdown(v->c.fd, SHUT_RDWR);
}

static void
reset(const struct hub *h, struct visitor *v)
{
	struct linger l = { 1, 0 };

	(void)h;
	setsockopt(v->c.fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
	close(v->c.fd);
	v->c.fd = dial(h->port[0], 0); /* to be closed by leave */
}

static void
break_rules(const struct hub *h, struct visitor *v)
{
	(void)h;
	put(v->c.fd, "\x81\x01x", 3);
	CLOSED(&v->c, 1002);
}

static void
be_kicked(const struct hub *h, struct visitor *v)
{
	unsigned char *data;
	size_t len;

	ORDER_FOR(h, "{\"action\":\"kick\",\"device\":\"%s\",\"code\":4321,"
	    "\"reason\":\"out\"}", v->device, "OK 1\n");
	EXPECT(get_frame(&v->c, &data, &len) == 0x88 && len == 5 &&
	    memcmp(data, "\x10\xe1out", 5) == 0, "no Close 4321 \"out\"");
}

static void
be_slow(const struct hub *h, struct visitor *v)
{
	char *text = sized(300000, "\n");
	int fd = dial_unix(h->control), i;

	(void)v;
	for (i = 0; i < 60; i++) {
		put(fd, text, strlen(text));
		if (strcmp(get_line(fd), "OK 0\n") == 0)
			break;
	}
	EXPECT(i < 60, "it is not too slow");
	close(fd);
	free(text);
}

static const struct {
	const char *name;
	void (*go)(const struct hub *h, struct visitor *v);
	const char *gone;
} ways[] = {
	{ "Close 1000", close_normally, GONE("closed") },
	{ "the end of the stream", hang_up, GONE("closed") },
	{ "a reset", reset, GONE("error") },
	{ "a frame without a mask", break_rules, GONE("error") },
	{ "kick", be_kicked, GONE("kicked") },
	{ "it does not read", be_slow, GONE("slow") },
};

/* Comes back with what is wrong or right. */
static void
come_back(struct visitor *v, const struct hub *h, const struct visitor *from,
    const char *seen)
{
	char target[100];

	snprintf(target, sizeof target, "/?resume=%s.%s", from->session, seen);
	visit(v, h, target);
}

static void
reasons(void)
{
	struct hub h = { 0 };
	struct visitor v, w;
	char *text;
	size_t i;
	int fd;

	START(&h, QUIET_HUB, "--resume", "1", "--keep", "200", "--queue",
	    "1000000");
	fd = dial_unix(h.control);
	ASK(fd, WATCH, "OK 1\n" READY);
	for (i = 0; i < sizeof ways / sizeof *ways; i++) {
		CASE(ways[i].name);
		visit(&v, &h, "/");
		EVENT(fd, v.device, CONNECT);
		ORDER_FOR(&h, SUBSCRIBE_TO "\"c\"}", v.device, "OK 1\n");
		EVENT(fd, "", "\"channel_occupied\",\"channel\":\"c\"");
		ways[i].go(&h, &v);
		EVENT(fd, v.device, ways[i].gone);
		EVENT(fd, "", "\"channel_vacated\",\"channel\":\"c\"");
		leave(&v.c);
	}

	CASE("a session is away, comes back, is kicked while it is away");
	visit(&v, &h, "/a/b?resume");
	EVENT(fd, v.device, "connect@,\"sessions\":1,\"address\":\"\","
	    "\"path\":\"/a/b\"");
	leave(&v.c);
	EVENT(fd, v.device, AWAY("closed"));
	come_back(&w, &h, &v, "0");
	EVENT(fd, v.device, RESUME);
	EXPECT(strcmp(v.device, w.device) == 0, "another device");
	come_back(&v, &h, &v, "0");
	EVENT(fd, v.device, RESUME);
	leave(&w.c);
	leave(&v.c);
	EVENT(fd, v.device, AWAY("closed"));
	/* It is gone when the next object is read. */
	ORDER_FOR(&h, "{\"action\":\"kick\",\"device\":\"%s\"}"
	    "{\"action\":\"count\"}", v.device, "OKOK 0\n");
	EVENT(fd, v.device, GONE("kicked"));
	come_back(&w, &h, &v, "0");
	EXPECT(strcmp(v.device, w.device) != 0, "it has come back");
	EVENT(fd, w.device, CONNECT);

	CASE("away for too long: late");
	leave(&w.c);
	EVENT(fd, w.device, AWAY("closed"));
	EVENT(fd, w.device, GONE("late"));

	CASE("more was sent than is kept: missed");
	visit(&v, &h, "/?resume");
	EVENT(fd, v.device, CONNECT);
	leave(&v.c);
	EVENT(fd, v.device, AWAY("closed"));
	text = sized(300, "\n");
	ASK(fd, text, "OK 0\n");
	EVENT(fd, v.device, GONE("missed"));
	free(text);

	CASE("it has not what the hub has: replaced by another");
	visit(&v, &h, "/?resume");
	EVENT(fd, v.device, CONNECT);
	come_back(&w, &h, &v, "7");
	EVENT(fd, w.device, CONNECT);
	EVENT(fd, v.device, GONE("replaced"));
	leave(&v.c);

	CASE("info and counters agree with the events");
	visit(&v, &h, "/x?token=secret");
	EVENT(fd, v.device, "connect@,\"sessions\":1,\"address\":\"\","
	    "\"path\":\"/x\"");
	ORDER_FOR(&h, "{\"action\":\"info\",\"device\":\"%s\"}", v.device,
	    "OK {\"sessions\":[{\"address\":\"127.0.0.1:");
	ORDER(&h, "{\"action\":\"count\"}", "OK 2\n");
	EXPECT(counter(&h, "kicked") == 2, "%lld were kicked",
	    counter(&h, "kicked"));

	CASE("the hub ends: shutdown, and then the end of the stream");
	kill(h.pid, SIGTERM);
	for (i = 0; i < 2; i++) {
		const char *line = get_line(fd);

		EXPECT(strstr(line, "\"reason\":\"shutdown\"}\n") != NULL,
		    "%s", line);
	}
	EXPECT(*get_line(fd) == '\0', "more than that");
	ENDED(&h, 0);
	leave(&v.c);
	leave(&w.c);
	close(fd);
}

static void
silent(void)
{
	struct hub h = { 0 };
	struct visitor v;
	int fd;

	CASE("a Ping without an answer: silent");
	START(&h, "--heartbeat", "0", "--ping", "1");
	fd = dial_unix(h.control);
	ASK(fd, WATCH, "OK 1\n" READY);
	visit(&v, &h, "/");
	EVENT(fd, v.device, CONNECT);
	patience *= 2;
	limit_waits(fd);
	EVENT(fd, v.device, GONE("silent"));
	leave(&v.c);
	close(fd);
	STOP(&h);
}

static void
expired(void)
{
	static const char secret[] = "0123456789abcdef0123456789abcdef\n";
	struct hub h = { 0 };
	struct visitor v;
	char target[5000];
	int fd;

	CASE("a token expires: expired, of a session away, too");
	spill("k", secret, sizeof secret - 1);
	if (chmod("k", 0600) != 0)
		give_up("k");
	START(&h, QUIET_HUB, "--token-key", "k");
	fd = dial_unix(h.control);
	ASK(fd, WATCH, "OK 1\n" READY);
	COMMAND(0, ".", NULL, "token", "--token-key", "k", "--sub", "me",
	    "--ttl", "2", "--channel", "c");
	snprintf(target, sizeof target, "/?token=%.*s",
	    (int)strcspn(did.out, "\n"), did.out);
	visit(&v, &h, target);
	EVENT(fd, "me", CONNECT);
	EVENT(fd, "", "\"channel_occupied\",\"channel\":\"c\"");
	EVENT(fd, "me", GONE("expired"));
	EVENT(fd, "", "\"channel_vacated\",\"channel\":\"c\"");
	CLOSED(&v.c, 3000);
	leave(&v.c);
	close(fd);
	STOP(&h);
}

static void
watchers(void)
{
	struct hub h = { 0 };
	struct visitor v;
	int fd[WATCHERS + 1], i;

	CASE("64 backends can watch; others still give orders");
	START(&h, QUIET_HUB);
	for (i = 0; i <= WATCHERS; i++) {
		fd[i] = dial_unix(h.control);
		ASK(fd[i], "{\"action\":\"watch\"}", i < WATCHERS ? "OK 1\n" :
		    "ERR");
	}
	ASK(fd[WATCHERS], "\n", " 64 backends watch already\n");
	visit(&v, &h, "/");
	for (i = 0; i < WATCHERS; i++)
		EVENT(fd[i], v.device, CONNECT);
	ASK(fd[WATCHERS], M1 "\n", "OK 1\n");
	TEXT(&v.c, "1");
	close(fd[0]);
	for (i = 0; i < 1000; i++) { /* until the hub has noticed */
		put(fd[WATCHERS], WATCH, sizeof WATCH - 1);
		if (strcmp(get_line(fd[WATCHERS]), "OK 1\n") == 0)
			break;
		nap(5);
	}
	EVENT(fd[WATCHERS], v.device, CONNECT);
	ASK(fd[WATCHERS], "", READY);

	CASE("a watcher that closes its side gets what was asked, and the end");
	shutdown(fd[1], SHUT_WR);
	EXPECT(*get_line(fd[1]) == '\0', "it still watches");
	shutdown(fd[WATCHERS], SHUT_WR);
	EXPECT(*get_line(fd[WATCHERS]) == '\0', "it still watches");
	leave(&v.c);
	EVENT(fd[2], v.device, GONE("closed"));
	for (i = 1; i <= WATCHERS; i++)
		close(fd[i]);
	STOP(&h);
}

/* More work than one slice, without any output between. */
static void
nothing_to_tell(void)
{
	struct hub h = { 0 };
	struct visitor v;
	char text[200];
	int fd, i;

	CASE("a snapshot that tells nothing of 20,000 channels is completed");
	START(&h, QUIET_HUB);
	visit(&v, &h, "/");
	fd = dial_unix(h.control);
	for (i = 0; i < 20000; i++)
		put(fd, text, (size_t)snprintf(text, sizeof text, "{\"action\":"
		    "\"subscribe\",\"device\":\"%s\",\"channel\":%d}",
		    v.device, i));
	shutdown(fd, SHUT_WR);
	while (read(fd, text, sizeof text) > 0)
		;
	close(fd);
	fd = dial_unix(h.control);
	ASK(fd, "{\"action\":\"watch\",\"snapshot\":true,\"events\":"
	    "[\"away\"]}", "OK 1\n" READY);
	close(fd);
	leave(&v.c);
	STOP(&h);
}

/* ------------------------------------------------------------------ verbs */

/* @ stands for the device; its sessions have any address and time. */
static const struct {
	const char *args[4];
	int status;
	const char *out, *err;
} asked[] = {
	{ { "list" }, 0, "@\n", "" },
	{ { "list", "a b" }, 0, "@\n", "" },
	{ { "list", "none" }, 0, "", "" },
	{ { "count" }, 0, "1\n", "" },
	{ { "count", "none" }, 0, "0\n", "" },
	{ { "channels" }, 0, "a b\t1\n", "" },
	{ { "channels", "@" }, 0, "\"t\\u0009\\u001b\\\"\"\t1\na b\t1\n", "" },
	{ { "info", "@" }, 0, "session\t127.0.0.1:", "" },
	{ { "info", "x" }, 1, "", "wshub: unknown device \"x\"\n" },
	{ { "channels", "x" }, 1, "", "wshub: unknown device \"x\"\n" },
	{ { "kick", "x" }, 1, "", "wshub: unknown device \"x\"\n" },
	{ { "kick", "@", "1000" }, 1, "",
	  "wshub: \"code\" is not 1008 or 4000 to 4999\n" },
	{ { "kick", "@", "x" }, 2, "", "wshub: x: not a number\n" },
	{ { "kick", "@", "04000" }, 2, "", "wshub: 04000: not a number\n" },
	{ { "list", "\xff" }, 2, "", "wshub: \xff: not UTF-8\n" },
	{ { "info", "-dashed" }, 1, "", "wshub: unknown device \"-dashed\"\n" },
	{ { "count", "--" }, 0, "0\n", "" },
	{ { "info" }, 2, "", "usage: wshub ctl [-s path] info device\n" },
	{ { "list", "a", "b" }, 2, "",
	  "usage: wshub ctl [-s path] list [channel]\n" },
	{ { "watch", "none" }, 1, "", "wshub: unknown event \"none\"\n" },
	{ { "lists" }, 2, "", "wshub: ctl lists: neither JSON nor" },
	{ { "kick", "@", "4000", "bye \"\\" }, 0, "1\n", "" },
};

static void
verbs(void)
{
	char *args[8], out[256];
	struct hub h = { 0 };
	struct visitor v;
	const char *p;
	size_t i, j, n;
	pid_t pid;

	CASE("ctl: verbs, a value a line, and what is wrong with them");
	START(&h, QUIET_HUB);
	visit(&v, &h, "/");
	ORDER_FOR(&h, SUBSCRIBE_TO "\"t\\t\\u001b\\\"\"}", v.device, "OK 1\n");
	COMMAND(0, "t\\u0009\\u001b\\\"\"\t1\n", NULL, "ctl", "-s", h.control,
	    "channels");
	ORDER_FOR(&h, UNSUBSCRIBE_FROM "\"t\\t\\u001b\\\"\"}", v.device, "OK 1\n");
	ORDER_FOR(&h, SUBSCRIBE_TO "\"a b\"}", v.device, "OK 1\n");
	pid = spawn(ARGS("ctl", "-s", h.control, "watch", "disconnect",
	    "channel_occupied"), NULL, "watch.out", "watch.err", 0, 022);
	for (i = 0; i < sizeof asked / sizeof *asked; i++) {
		if (strcmp(asked[i].args[0], "channels") == 0 &&
		    asked[i].args[1] != NULL && *asked[i].args[1] == '@')
			ORDER_FOR(&h, SUBSCRIBE_TO "\"t\\t\\u001b\\\"\"}",
			    v.device, "OK 1\n");
		args[0] = "ctl";
		args[1] = "-s";
		args[2] = h.control;
		for (j = 0; j < 4 && asked[i].args[j] != NULL; j++)
			args[3 + j] = *asked[i].args[j] == '@' ? v.device :
			    (char *)(uintptr_t)asked[i].args[j];
		args[3 + j] = NULL;
		command(NULL, args);
		p = strchr(asked[i].out, '@');
		n = p == NULL ? strlen(asked[i].out) :
		    (size_t)(p - asked[i].out);
		snprintf(out, sizeof out, "%.*s%s%s", (int)n, asked[i].out,
		    p == NULL ? "" : v.device, p == NULL ? "" : p + 1);
		n = strlen(out);
		EXPECT(did.status == asked[i].status && (strcmp(did.out, out)
		    == 0 || (strcmp(asked[i].args[0], "info") == 0 &&
		    n != 0 && strncmp(did.out, out, n) == 0)) &&
		    strncmp(did.err, asked[i].err, strlen(asked[i].err)) == 0,
		    "%s %s: %d, \"%s\", \"%s\"", asked[i].args[0],
		    asked[i].args[1] == NULL ? "" : asked[i].args[1],
		    did.status, did.out, did.err);
	}

	CASE("ctl watch: events as they come, and the hub's end");
	EXPECT(await("watch.out", "\"reason\":\"kicked\"}\n"),
	    "no disconnect is told");
	STOP(&h);
	EXPECT(reap(pid, patience) == 1 && file_has("watch.err",
	    "the hub has closed the connection"), "ctl does not end");
	EXPECT(file_has("watch.out", "{\"event\":\"channel_occupied\"") &&
	    !file_has("watch.out", "vacated"), "other events");
	leave(&v.c);
}

static struct test_group all_groups[] = {
	{ .name = "silent", .run = silent },
	{ .name = "reasons", .run = reasons },
	{ .name = "expired", .run = expired },
	{ .name = "watchers", .run = watchers },
	{ .name = "nothing to tell", .run = nothing_to_tell },
	{ .name = "verbs", .run = verbs },
};

int
main(int argc, char **argv)
{
	return run_groups(argc, argv, all_groups,
	    (int)(sizeof all_groups / sizeof *all_groups));
}
