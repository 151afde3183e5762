/* wshub: ISC licence, see LICENSE. */
/*
 * A relay whose hub or broker is lost, stuck or new, and what --interest makes
 * of that. e2e_relay_lost path/to/wshub
 */
#define _GNU_SOURCE
#include "broker.h"

#define LOST "ERR the broker is lost: it may have been relayed, or not\n"

static void
broker_lost(void)
{
	struct broker b = { 0 }, unix_b = { 0 };
	struct hub h = { 0 }, r = { 0 };
	struct client c, s;
	struct packet p;
	unsigned id;
	int fd;

	CASE("no broker: commands are errors at once; then there is one");
	START(&h, QUIET_HUB);
	b.port = free_port();
	snprintf(b.url, sizeof b.url, "mqtt://127.0.0.1:%d", b.port);
	RELAY(&r, &h, &b, "--id", "me", "--prefix", "a/b");
	join(&c, &h);
	EXPECT(await(r.log, "broker: "), "the log does not tell");
	fd = dial_unix(r.control);
	ASK(fd, M1 "\n", "ERR no broker");
	get_line(fd);
	ASK(fd, M1, "ERR");
	ASK(fd, "\n", " no broker");
	get_line(fd);
	broker_open(&b, NULL);
	broker_accept(&b, &s);
	take_connect(&s, "me");
	ASK(fd, M1 "\n", "ERR no broker");
	get_line(fd);
	welcome_to(&s, SUBSCRIPTIONS("a/b"), "\1\x80\1\0");
	EXPECT(await(r.log, "refuses the subscription to a/b/order\n"),
	    "a refused subscription is not in the log");
	EXPECT(await(r.log, "connected to the broker"), "no word of it");
	publish(&s, PUBLISH_1, "a/b/all", 3, "3", 1);
	ACKNOWLEDGED(&s, 3);
	TEXT(&c, "3");
	publish(&s, PUBLISH_1, "wshub/all", 4, "4", 1);
	ACKNOWLEDGED(&s, 4);

	CASE("the broker dies with a command in flight; then it comes back");
	put(fd, BYTES(M1 "\n"));
	id = PUBLISHED(&s, "a/b/all", "1");
	leave(&s);
	REPLY(fd, LOST);
	ASK(fd, M1 "\n", "ERR no broker");
	get_line(fd);
	broker_accept(&b, &s);
	take_connect(&s, "me");
	welcome_to(&s, SUBSCRIPTIONS("a/b"), "\1\1\1\1");
	acknowledge(&s, PUBACK, id); /* of the old connection */
	publish(&s, REPEATED_1, "a/b/all", 5, "5", 1);
	ACKNOWLEDGED(&s, 5);
	TEXT(&c, "5");
	put(fd, BYTES(NONE "\n"));
	id = PUBLISHED(&s, "a/b/channel/x", "1");
	acknowledge(&s, PUBACK, id);
	REPLY(fd, "OK relayed\n");
	close(fd);
	STOP_RELAY(&r, &s);

	CASE("a broker on a Unix socket");
	broker_open(&unix_b, "broker.sock");
	RELAY(&r, &h, &unix_b, "--id", "me");
	broker_accept(&unix_b, &s);
	take_connect(&s, "me");
	welcome(&s);
	publish(&s, PUBLISH_1, "wshub/all", 6, "6", 1);
	ACKNOWLEDGED(&s, 6);
	TEXT(&c, "6");

	CASE("TERM twice: it does not wait for what is in flight");
	fd = dial_unix(r.control);
	put(fd, BYTES(M1 "\n"));
	PUBLISHED(&s, "wshub/all", "1");
	kill(r.pid, SIGTERM);
	nap(20);
	kill(r.pid, SIGTERM);
	get_packet(&s, &p);
	EXPECT(p.first == DISCONNECT || p.first == AT_END, "packet %#x",
	    (unsigned)p.first);
	ENDED(&r, 0);
	leave(&s);
	close(fd);
	leave(&c);
	STOP(&h);
}

/* Both processes of a hub, at once. */
static void
kill_hub(struct hub *h)
{
	pid_t child = child_of(h->pid);

	kill(h->pid, SIGSTOP); /* it does not remove the socket */
	kill(child, SIGKILL);
	kill(h->pid, SIGKILL);
	reap(h->pid, 1000);
}

static void
hub_lost(void)
{
	struct broker b = { 0 };
	struct hub h = { 0 }, r = { 0 }, g = { 0 };
	struct client c, s;
	char text[20], path[32];
	pid_t child;
	unsigned i;

	CASE("nothing is acknowledged before the hub has answered");
	START(&h, QUIET_HUB);
	snprintf(path, sizeof path, "%s", h.control);
	broker_open(&b, NULL);
	RELAY(&r, &h, &b, "-v");
	admit(&b, &s);
	child = child_of(h.pid);
	join(&c, &h);
	publish(&s, PUBLISH_1, "wshub/all", 1, "1", 1);
	ACKNOWLEDGED(&s, 1);
	TEXT(&c, "1");
	kill(child, SIGSTOP);
	for (i = 2; i <= 100; i++)
		publish(&s, PUBLISH_1, "wshub/all", i, text,
		    (size_t)snprintf(text, sizeof text, "%u", i));
	QUIET(s.fd, 100);
	kill(child, SIGCONT);
	for (i = 2; i <= 100; i++) {
		ACKNOWLEDGED(&s, i);
		snprintf(text, sizeof text, "%u", i);
		TEXT(&c, text);
	}

	CASE("what the old connection brought is not acknowledged to the new");
	kill(child, SIGSTOP);
	publish(&s, PUBLISH_1, "wshub/all", 5, "5", 1);
	nap(50);
	leave(&s);
	admit(&b, &s);
	kill(child, SIGCONT);
	TEXT(&c, "5");
	QUIET(s.fd, 50);
	publish(&s, REPEATED_1, "wshub/all", 5, "5", 1);
	ACKNOWLEDGED(&s, 5);
	TEXT(&c, "5");

	CASE("the hub dies with messages, and the next one gets them all");
	kill(child, SIGSTOP);
	for (i = 101; i <= 200; i++)
		publish(&s, PUBLISH_1, "wshub/device/x", i, text,
		    (size_t)snprintf(text, sizeof text, "%u", i));
	nap(50);
	leave(&c);
	kill_hub(&h);
	publish(&s, PUBLISH_1, "wshub/all", 201, "201", 3);
	QUIET(s.fd, 50);
	START(&g, QUIET_HUB, "-s", path);
	for (i = 101; i <= 201; i++)
		ACKNOWLEDGED(&s, i);
	join(&c, &g);
	publish(&s, PUBLISH_1, "wshub/all", 202, "202", 3);
	ACKNOWLEDGED(&s, 202);
	TEXT(&c, "202");

	CASE("the hub goes away and comes back with nothing in flight");
	STOP(&g);
	leave(&c);
	EXPECT(await(r.log, "hub: "), "no word of it");
	START(&g, QUIET_HUB, "-s", path);
	join(&c, &g);
	publish(&s, PUBLISH_1, "wshub/all", 203, "203", 3);
	ACKNOWLEDGED(&s, 203);
	TEXT(&c, "203");
	STOP_RELAY(&r, &s);
	leave(&c);
	STOP(&g);
}

/* Sends what the socket takes now: messages from number *i on. */
static void
pour(struct client *s, unsigned *i, unsigned most, const char *filling)
{
	static unsigned char out[30000];
	static size_t at, len;
	char payload[25000];
	struct pollfd p;
	ssize_t n;
	int size;

	p.fd = s->fd;
	p.events = POLLOUT;
	while ((*i < most || at < len) && poll(&p, 1, 300) == 1) {
		if (at == len) {
			size = snprintf(payload, sizeof payload, "[%u,\"%s\"]",
			    *i, filling);
			len = publish_packet(out, PUBLISH_1, "wshub/all",
			    *i % 65535 + 1, payload, (size_t)size);
			at = 0;
			++*i;
		}
		n = send(s->fd, out + at, len - at, MSG_DONTWAIT |
		    MSG_NOSIGNAL);
		if (n > 0)
			at += (size_t)n;
	}
}

static void
stuck(void)
{
	enum { MOST = 3000 };
	static char filling[20001];
	struct broker b = { 0 };
	struct hub h = { 0 }, r = { 0 };
	struct client c, s;
	struct packet p;
	unsigned char *data;
	unsigned sent = 0, i;
	pid_t child, hub;
	long before, after;
	size_t len;
	int size = 65536;

	CASE("a hub that does not read stops the broker, with little memory");
	memset(filling, 'x', sizeof filling - 1);
	START(&h, QUIET_HUB, "--queue", "100000000", "--queue-total",
	    "200000000");
	broker_open(&b, NULL);
	setsockopt(b.fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	RELAY(&r, &h, &b, "-v");
	admit(&b, &s);
	join(&c, &h);
	child = child_of(r.pid);
	hub = child_of(h.pid);
	before = resident(child);
	kill(hub, SIGSTOP);
	pour(&s, &sent, MOST, filling);
	after = resident(child);
	EXPECT(sent < MOST / 2, "%u messages of 20 kB are taken", sent);
	EXPECT(after - before < 6000, "%ld kB, and %ld before", after, before);
	QUIET(s.fd, 0);

	CASE("a hub that reads again gets all, in order");
	kill(hub, SIGCONT);
	for (i = 0; i < sent; i++) {
		get_packet(&s, &p);
		if (p.first != PUBACK || p.id != i % 65535 + 1)
			break;
		if (get_frame(&c, &data, &len) != 0x81 ||
		    (unsigned)atoi((char *)data + 1) != i)
			break;
	}
	EXPECT(i == sent, "message %u of %u is not there, or not acknowledged",
	    i, sent);
	STOP_RELAY(&r, &s);
	leave(&c);
	STOP(&h);
}

#define MULTICAST "{\"action\":\"multicast\",\"data\":1}\n"

/* The broker's side: acknowledges n commands. */
static void
acknowledge_all(struct client *s, unsigned n)
{
	struct packet p;

	for (; n > 0; n--) {
		get_packet(s, &p);
		if ((p.first & 0xf0) != 0x30)
			break;
		acknowledge(s, PUBACK, p.id);
	}
	EXPECT(n == 0, "%u commands have not come", n);
}

static void
crowd(void)
{
	enum { BACKENDS = 40, EACH = 300 };
	static char text[EACH * sizeof MULTICAST];
	struct broker b = { 0 };
	struct hub h = { 0 }, r = { 0 };
	struct client s;
	int fd[BACKENDS], i, k;
	pid_t bridge;

	CASE("40 backends with 300 commands each, all at once");
	START(&h, QUIET_HUB);
	broker_open(&b, NULL);
	RELAY(&r, &h, &b, "-v");
	admit(&b, &s);
	for (i = 0; i < EACH; i++)
		strcat(text, MULTICAST);
	bridge = child_of(r.pid);
	kill(bridge, SIGSTOP); /* it finds all of them in one turn */
	for (i = 0; i < BACKENDS; i++) {
		fd[i] = dial_unix(r.control);
		put(fd[i], text, strlen(text));
	}
	kill(bridge, SIGCONT);
	acknowledge_all(&s, BACKENDS * EACH);
	for (i = 0; i < BACKENDS; i++) {
		for (k = 0; k < EACH && REPLY(fd[i], "OK relayed\n"); k++)
			;
		close(fd[i]);
	}
	STOP_RELAY(&r, &s);
	STOP(&h);
}

static void
same_id(void)
{
	static const char words[] = "is there another client with the id "
	    "\"twin\"?\n";
	struct broker b = { 0 };
	struct hub h = { 0 }, r = { 0 };
	struct client s;
	long long begun = now();
	int i;

	CASE("a broker that throws it out again and again: another has its id");
	START(&h, QUIET_HUB);
	broker_open(&b, NULL);
	RELAY(&r, &h, &b, "--id", "twin");
	for (i = 0; i < 10 && !file_has(r.log, words); i++) {
		admit(&b, &s);
		leave(&s);
	}
	EXPECT(await(r.log, words) && i >= 2, "not a word of it after %d", i);
	EXPECT(now() - begun < 10000 || test_emulated(), "that took %lld ms",
	    now() - begun);
	kill(r.pid, SIGTERM);
	ENDED(&r, 0);
	STOP(&h);
}

/* ---------------------------------------------------------------- interest */

/* Reads packets of filters until all of these have come: " one two ". */
#define FOLLOWS(c, first, want) follows(__FILE__, __LINE__, c, first, want)
static void
follows(const char *file, int line, struct client *c, int first,
    const char *want)
{
	unsigned char ack[104] = { SUBACK };
	char filters[4096], one[1200];
	unsigned id, n, left = 0;
	const char *p;
	char *f;

	for (p = want; p[1] != '\0'; p++)
		left += *p == ' ';
	while (left > 0) {
		id = take_filters(c, first, filters, sizeof filters);
		if (id == 0)
			return;
		n = 0;
		for (f = strtok(filters, " "); f != NULL && n < 100;
		    f = strtok(NULL, " "), n++) {
			snprintf(one, sizeof one, " %s ", f);
			test_expect(strstr(want, one) != NULL, file, line,
			    "filter \"%s\", not one of \"%s\"", f, want);
		}
		left -= n < left ? n : left;
		ack[1] = (unsigned char)(2 + n);
		ack[2] = (unsigned char)(id >> 8);
		ack[3] = (unsigned char)id;
		memset(ack + 4, 1, n);
		if (first == UNSUBSCRIBE)
			acknowledge(c, UNSUBACK, id);
		else
			client_put(c, ack, 4 + n);
	}
}

static void
interest(void)
{
	struct broker b = { 0 };
	struct hub h = { 0 }, r = { 0 }, g = { 0 };
	struct client c, d, s;
	char want[400], text[200], path[32];

	CASE("--interest: what there is, comes and goes is what it subscribes "
	    "to");
	START(&h, QUIET_HUB);
	snprintf(path, sizeof path, "%s", h.control);
	join(&c, &h);
	snprintf(text, sizeof text, "{\"action\":\"subscribe\",\"device\":"
	    "\"%s\",\"channel\":\"a b\"}", c.id);
	ORDER(&h, text, "OK 1\n");
	broker_open(&b, NULL);
	RELAY(&r, &h, &b, "--interest");
	broker_accept(&b, &s);
	take_connect(&s, NULL);
	welcome_to(&s, " wshub/all wshub/order", "\1\1");
	snprintf(want, sizeof want, " wshub/device/%s wshub/channel/a%%20b ",
	    c.id);
	FOLLOWS(&s, SUBSCRIBE, want);
	join(&d, &h);
	snprintf(want, sizeof want, " wshub/device/%s ", d.id);
	FOLLOWS(&s, SUBSCRIBE, want);
	leave(&d);
	FOLLOWS(&s, UNSUBSCRIBE, want);
	snprintf(text, sizeof text, "{\"action\":\"unsubscribe\",\"device\":"
	    "\"%s\",\"channel\":\"a b\"}", c.id);
	publish(&s, PUBLISH_1, "wshub/order", 1, text, strlen(text));
	ACKNOWLEDGED(&s, 1);
	FOLLOWS(&s, UNSUBSCRIBE, " wshub/channel/a%20b ");

	CASE("--interest: a message that nobody takes ends a subscription");
	publish(&s, PUBLISH_1, "wshub/channel/old", 2, "2", 1);
	ACKNOWLEDGED(&s, 2);
	FOLLOWS(&s, UNSUBSCRIBE, " wshub/channel/old ");
	snprintf(want, sizeof want, "wshub/device/%s", c.id);
	publish(&s, PUBLISH_1, want, 3, "3", 1);
	ACKNOWLEDGED(&s, 3);
	TEXT(&c, "3");

	CASE("--interest: a new connection to the broker has all; a session "
	    "of the broker without --interest ends");
	leave(&s);
	broker_accept(&b, &s);
	take_connect(&s, NULL);
	{
		unsigned char ack[6] = { SUBACK, 4, 0, 0, 1, 1 };
		char filters[400];
		unsigned id;

		client_put(&s, "\x20\2\1\0", 4); /* there is a session */
		id = take_filters(&s, SUBSCRIBE, filters, sizeof filters);
		ack[2] = (unsigned char)(id >> 8);
		ack[3] = (unsigned char)id;
		client_put(&s, ack, sizeof ack);
	}
	FOLLOWS(&s, UNSUBSCRIBE, " wshub/channel/+ wshub/device/+ ");
	snprintf(want, sizeof want, " wshub/device/%s ", c.id);
	FOLLOWS(&s, SUBSCRIBE, want);

	CASE("--interest: a hub that is started again has nothing");
	STOP(&h);
	leave(&c);
	START(&g, QUIET_HUB, "-s", path);
	FOLLOWS(&s, UNSUBSCRIBE, want);
	join(&c, &g);
	snprintf(want, sizeof want, " wshub/device/%s ", c.id);
	FOLLOWS(&s, SUBSCRIBE, want);
	STOP_RELAY(&r, &s);
	leave(&c);
	STOP(&g);
}

static struct test_group all_groups[] = {
	{ .name = "stuck", .run = stuck },
	{ .name = "broker lost", .run = broker_lost },
	{ .name = "hub lost", .run = hub_lost },
	{ .name = "crowd", .run = crowd },
	{ .name = "same id", .run = same_id },
	{ .name = "interest", .run = interest },
};

int
main(int argc, char **argv)
{
	return run_groups(argc, argv, all_groups,
	    (int)(sizeof all_groups / sizeof *all_groups));
}
