/* wshub: ISC licence, see LICENSE. */
/*
 * What a relay brings from a broker to the clients of a hub, and from backends
 * to the broker. e2e_relay path/to/wshub
 */
#define _GNU_SOURCE
#include "broker.h"

static const char secret[] = "0123456789abcdef0123456789abcdef\n";

static const char *
printable(const char *s)
{
	return s != NULL ? s : "(nothing)";
}

/* ------------------------------------------------- from broker to clients */

/* JSON for a string with what is odd in names, and the name. */
static const struct {
	const char *json, *name;
} odd[] = {
	{ "a", "a" },
	{ "a/b", "a/b" },
	{ "/", "/" },
	{ "+", "+" },
	{ "#", "#" },
	{ "%", "%" },
	{ "%2F", "%2F" },
	{ "$SYS", "$SYS" },
	{ "*", "*" },
	{ ">", ">" },
	{ "a.b", "a.b" },
	{ ".", "." },
	{ " ", " " },
	{ "a b ", "a b " },
	{ "\\\"", "\"" },
	{ "\\\\", "\\" },
	{ "\\t", "\t" },
	{ "\\n", "\n" },
	{ "\\u0001\\u001f", "\1\37" },
	{ "\x7f", "\x7f" },
	{ "\\u007f\\u0080\\u009f", "\x7f\xc2\x80\xc2\x9f" },
	{ "\xc3\xa9", "\xc3\xa9" },
	{ "\\u20ac", "\xe2\x82\xac" },
	{ "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80" },
	{ "\\ufeff", "\xef\xbb\xbf" },
	{ "\\uffff", "\xef\xbf\xbf" },
	{ "&?=:;,~!@^(){}[]|'`<", "&?=:;,~!@^(){}[]|'`<" },
};

/*
 * How a name stands in a topic. Only for ASCII: whether control characters
 * beyond are encoded, MQTT does not decide.
 */
static int
topic_of(char *out, const char *kind, const char *name)
{
	const unsigned char *p = (const unsigned char *)name;
	int n = sprintf(out, "wshub/%s/", kind), ascii = 1;

	for (; *p != '\0'; p++) {
		ascii &= *p < 128;
		if (*p <= ' ' || *p == 127 || strchr("/+#%.*>", *p) != NULL)
			n += sprintf(out + n, "%%%02X", *p);
		else
			out[n++] = (char)*p;
	}
	out[n] = '\0';
	return ascii;
}

/*
 * The object is published: to the topic of that name if it is ASCII, to any
 * otherwise. The broker sends it back, and the client gets it.
 */
static void
there_and_back(struct client *c, struct client *broker, int backend,
    const char *kind, const char *object, const char *name)
{
	static unsigned id;
	struct packet p;
	char topic[1200], data[64];
	int sure = topic_of(topic, kind, name);

	put(backend, object, strlen(object));
	if (!PACKET(broker, &p, PUBLISH_1, 0))
		return;
	EXPECT(!sure || strcmp(p.topic, topic) == 0, "%s is published to "
	    "\"%s\", not to \"%s\"", object, p.topic, topic);
	acknowledge(broker, PUBACK, p.id);
	REPLY(backend, "OK relayed\n");
	snprintf(data, sizeof data, "%.*s", (int)p.payload_len,
	    (char *)p.payload);
	snprintf(topic, sizeof topic, "%s", p.topic);
	id = id % 65535 + 1;
	publish(broker, PUBLISH_1, topic, id, data, strlen(data));
	ACKNOWLEDGED(broker, id);
	TEXT(c, data);
}

/* A client whose token has that name. */
static void
join_as(struct client *c, const struct hub *h, const char *name)
{
	char request[4096], *token;

	COMMAND(0, ".", NULL, "token", "--token-key", "k", "--sub",
	    (char *)(uintptr_t)name);
	token = did.out;
	token[strcspn(token, "\n")] = '\0';
	memset(c, 0, sizeof *c);
	c->fd = dial(h->port[0], 0);
	put(c->fd, request, (size_t)snprintf(request, sizeof request,
	    "GET /?token=%s HTTP/1.1\r\n" UPGRADE "\r\n", token));
}

static void
take_first(struct client *c)
{
	unsigned char *data;
	char *head;
	size_t len;

	EXPECT(get_head(c, &head) > 0 && get_frame(c, &data, &len) == 0x81,
	    "a client with a token does not get in");
}

static void
names(void)
{
	struct broker b = { 0 };
	struct hub h = { 0 }, r = { 0 };
	struct client c, s;
	char object[6000], name[256];
	int fd;
	size_t i, k;

	CASE("names with every odd character, of devices and channels");
	spill("k", secret, sizeof secret - 1);
	if (chmod("k", 0600) != 0)
		give_up("k");
	START(&h, QUIET_HUB, "--token-key", "k");
	broker_open(&b, NULL);
	RELAY(&r, &h, &b, "-v");
	admit(&b, &s);
	fd = dial_unix(r.control);
	for (i = 0; i < sizeof odd / sizeof *odd; i++) {
		join_as(&c, &h, odd[i].name);
		take_first(&c);
		snprintf(object, sizeof object, "{\"action\":\"sendToDevice\","
		    "\"device\":\"%s\",\"data\":%zu}\n", odd[i].json, i);
		there_and_back(&c, &s, fd, "device", object, odd[i].name);
		snprintf(object, sizeof object, "{\"action\":\"subscribe\","
		    "\"device\":\"%s\",\"channel\":\"%s\"}\n", odd[i].json,
		    odd[i].json);
		ORDER(&h, object, "OK 1\n");
		snprintf(object, sizeof object, "{\"action\":\"sendToChannel\","
		    "\"channel\":\"%s\",\"data\":[%zu]}\n", odd[i].json, i);
		there_and_back(&c, &s, fd, "channel", object, odd[i].name);
		leave(&c);
	}

	CASE("a name of 255 bytes, each of which is encoded; one of NUL");
	memset(name, '/', 255);
	name[255] = '\0';
	for (i = 0; i < 2; i++) {
		join_as(&c, &h, "a");
		take_first(&c);
		k = (size_t)snprintf(object, sizeof object, "{\"action\":"
		    "\"subscribe\",\"device\":\"a\",\"channel\":\"%s\"}\n",
		    i == 0 ? name : "\\u0000");
		ORDER(&h, object, "OK 1\n");
		EXPECT(k < sizeof object, "too long");
		snprintf(object, sizeof object, "{\"action\":\"sendToChannel\","
		    "\"channel\":\"%s\",\"data\":7}\n",
		    i == 0 ? name : "\\u0000");
		if (i == 0) {
			there_and_back(&c, &s, fd, "channel", object, name);
		} else {
			put(fd, object, strlen(object));
			k = PUBLISHED(&s, "wshub/channel/%00", "7");
			acknowledge(&s, PUBACK, (unsigned)k);
			REPLY(fd, "OK relayed\n");
			publish(&s, PUBLISH_1, "wshub/channel/%00", 9, "7", 1);
			ACKNOWLEDGED(&s, 9);
			TEXT(&c, "7");
		}
		leave(&c);
	}
	close(fd);
	STOP_RELAY(&r, &s);
	STOP(&h);
}

/* What comes to topics, and what the client, in channel "c/d", gets. */
#define ME "@" /* in topic and payload: the client's device */
static const struct {
	const char *topic;
	const char *payload;
	size_t len; /* 0: up to NUL */
	const char *want; /* NULL: nothing */
	const char *log;  /* or NULL */
	unsigned first;   /* 0: PUBLISH_1 */
} messages[] = {
	{ "all", "1", 0, "1", NULL, 0 },
	{ "all", "2", 0, "2", NULL, PUBLISH },
	{ "all", "3", 0, "3", NULL, REPEATED_1 },
	{ "all", " {\"b\" : [1.0e5,\t\"\\u00e9\"],\r\n\"a\":null} ", 0,
	  "{\"b\":[1.0e5,\"\\u00e9\"],\"a\":null}", NULL, 0 },
	{ "all", "null", 0, "null", NULL, 0 },
	{ "all", "\"\"", 0, "\"\"", NULL, 0 },
	{ "all", "", 0, "\"\"", NULL, 0 },
	{ "all", "21.5 C", 0, "\"21.5 C\"", NULL, 0 },
	{ "all", "1 2", 0, "\"1 2\"", NULL, 0 },
	{ "all", "{\"a\":1}x", 0, "\"{\\\"a\\\":1}x\"", NULL, 0 },
	{ "all", "{\"a\":", 0, "\"{\\\"a\\\":\"", NULL, 0 },
	{ "all", "1}{\"action\":\"multicast\",\"data\":2", 0,
	  "\"1}{\\\"action\\\":\\\"multicast\\\",\\\"data\\\":2\"", NULL, 0 },
	{ "all", "1,\"data\":2", 0, "\"1,\\\"data\\\":2\"", NULL, 0 },
	{ "all", "01", 0, "\"01\"", NULL, 0 },
	{ "all", "\xc3\xa9\xf0\x9f\x98\x80", 0,
	  "\"\xc3\xa9\xf0\x9f\x98\x80\"", NULL, 0 },
	{ "all", "\xff", 0, NULL, "dropped a message to wshub/all: ", 0 },
	{ "all", "\"\xc3\"", 0, NULL, NULL, 0 },
	{ "all", "\xed\xa0\x80", 0, NULL, NULL, PUBLISH },
	{ "all", "{\"retained\":1}", 0, NULL, NULL, RETAINED_1 },
	{ "channel/c%2Fd", "4", 0, "4", NULL, 0 },
	{ "channel/c%2fd", "5", 0, "5", NULL, 0 },
	{ "channel/%63%2Fd", "6", 0, "6", NULL, 0 },
	{ "channel/c/d", "7", 0, NULL, NULL, 0 },
	{ "channel/nobody", "8", 0, NULL, NULL, 0 },
	{ "channel/", "9", 0, NULL, NULL, 0 },
	{ "channel", "10", 0, NULL, NULL, 0 },
	{ "channel/%", "11", 0, NULL, NULL, 0 },
	{ "channel/%4", "11", 0, NULL, NULL, 0 },
	{ "channel/%zz", "11", 0, NULL, NULL, 0 },
	{ "channel/%ff", "11", 0, NULL, NULL, 0 },
	{ "device/" ME, "12", 0, "12", NULL, 0 },
	{ "device/" ME, "bare words", 0, "\"bare words\"", NULL, 0 },
	{ "device/nobody", "13", 0, NULL, NULL, 0 },
	{ "device/a/b", "13", 0, NULL, NULL, 0 },
	{ "nothing", "14", 0, NULL, NULL, 0 },
	{ "all/x", "15", 0, NULL, NULL, 0 },
	{ "", "16", 0, NULL, NULL, 0 },
	{ "order", "{\"action\":\"sendToDevice\",\"device\":\"" ME "\","
	  "\"data\":[17]}", 0, "[17]", NULL, 0 },
	{ "order", "{\"action\":\"subscribe\",\"device\":\"" ME "\","
	  "\"channel\":\"new\",\"data\":0}", 0, NULL, NULL, 0 },
	{ "channel/new", "18", 0, "18", NULL, 0 },
	{ "order", "{\"action\":\"sendToChannel\",\"channel\":\"new\","
	  "\"data\":19,\"except\":\"" ME "\"}", 0, NULL, NULL, 0 },
	{ "order", "{\"action\":\"multicast\",\"data\":20,\"except\":\"x\"}",
	  0, "20", NULL, 0 },
	{ "order", " {\n \"action\" : \"unsubscribe\",\n \"device\":\"" ME
	  "\",\n\"channel\":\"new\" }\n", 0, NULL, NULL, 0 },
	{ "channel/new", "21", 0, NULL, NULL, 0 },
	{ "order", "{\"action\":\"kick\",\"device\":\"nobody\"}", 0, NULL,
	  "the hub refuses a command: unknown device \"nobody\"", 0 },
	{ "order", "{\"action\":\"count\"}", 0, NULL, NULL, 0 },
	{ "order", "{\"action\":\"watch\"}", 0, NULL, NULL, 0 },
	{ "order", "{\"action\":\"nope\"}", 0, NULL, NULL, 0 },
	{ "order", "{\"action\":\"multicast\",\"data\":22}"
	  "{\"action\":\"multicast\",\"data\":23}", 0, NULL, NULL, 0 },
	{ "order", "multicast", 0, NULL, NULL, 0 },
	{ "order", "", 0, NULL, NULL, 0 },
	{ "all", "a\0b\1", 4, "\"a\\u0000b\\u0001\"", NULL, 0 },
	{ "all", "\x7f\t\n\r\"\\/", 0,
	  "\"\x7f\\u0009\\u000a\\u000d\\\"\\\\/\"", NULL, 0 },
};

/* Puts the client's device in place of ME. */
static void
fill_in(char *out, const char *text, const char *device)
{
	const char *at = strstr(text, ME);

	if (at == NULL)
		strcpy(out, text);
	else
		sprintf(out, "%.*s%s%s", (int)(at - text), text, device,
		    at + strlen(ME));
}

static void
kinds(void)
{
	struct broker b = { 0 };
	struct hub h = { 0 }, r = { 0 };
	struct client c, s, d;
	char topic[300], payload[1024], text[320], *big;
	unsigned first;
	size_t i, len;

	CASE("each kind of message, and each kind that is dropped");
	START(&h, QUIET_HUB);
	broker_open(&b, NULL);
	RELAY(&r, &h, &b, "-v");
	admit(&b, &s);
	join(&c, &h);
	snprintf(text, sizeof text, "{\"action\":\"subscribe\","
	    "\"device\":\"%s\",\"channel\":\"c/d\"}", c.id);
	ORDER(&h, text, "OK 1\n");
	for (i = 0; i < sizeof messages / sizeof *messages; i++) {
		fill_in(topic, messages[i].topic, c.id);
		snprintf(text, sizeof text, "wshub%s%s",
		    *topic == '\0' ? "" : "/", topic);
		len = messages[i].len;
		memcpy(payload, messages[i].payload, len);
		if (len == 0) {
			fill_in(payload, messages[i].payload, c.id);
			len = strlen(payload);
		}
		first = messages[i].first == 0 ? PUBLISH_1 : messages[i].first;
		publish(&s, first, text, (unsigned)i + 1, payload, len);
		if (first != PUBLISH)
			ACKNOWLEDGED(&s, (unsigned)i + 1);
		if (messages[i].want != NULL && !TEXT(&c, messages[i].want))
			EXPECT(0, "that was for \"%s\" to %s",
			    messages[i].payload, text);
		/* What should not have come would be seen before this. */
		publish(&s, PUBLISH_1, "wshub/all", 65535, "0", 1);
		ACKNOWLEDGED(&s, 65535);
		if (!TEXT(&c, "0"))
			EXPECT(0, "that was after \"%s\" to %s",
			    messages[i].payload, text);
		EXPECT(messages[i].log == NULL || file_has(r.log,
		    messages[i].log), "no \"%s\" in the log",
		    printable(messages[i].log));
	}
	COUNTED(&r, "retained messages dropped", 1);
	COUNTED(&r, "refused by the hub", 1);
	COUNTED(&r, "of the messages, sent again by the broker", 1);

	CASE("payloads of just below 1 MiB, of 1 MiB and of more");
	big = malloc(2 << 20);
	if (big == NULL)
		give_up("memory");
	memset(big, 'x', 2 << 20);
	*big = big[1040000 - 1] = '"';
	publish(&s, PUBLISH_1, "wshub/all", 1, big, 1040000);
	ACKNOWLEDGED(&s, 1);
	FRAME(&c, 0x81, big, 1040000);
	big[1040000 - 1] = 'x';
	big[(1 << 20) - 1] = '"';
	publish(&s, PUBLISH_1, "wshub/all", 2, big, 1 << 20);
	ACKNOWLEDGED(&s, 2);
	publish(&s, PUBLISH_1, "wshub/all", 3, big, (1 << 20) + 1);
	ACKNOWLEDGED(&s, 3);
	publish(&s, PUBLISH, "wshub/all", 0, big, 2 << 20);
	publish(&s, PUBLISH_1, "wshub/all", 4, "4", 1);
	ACKNOWLEDGED(&s, 4);
	TEXT(&c, "4");
	free(big);

	CASE("an order that kicks");
	join(&d, &h);
	snprintf(text, sizeof text, "{\"action\":\"kick\",\"device\":\"%s\","
	    "\"code\":4001,\"reason\":\"x\"}", d.id);
	publish(&s, PUBLISH_1, "wshub/order", 5, text, strlen(text));
	ACKNOWLEDGED(&s, 5);
	CLOSED(&d, 4001);
	leave(&d);
	STOP_RELAY(&r, &s);
	leave(&c);
	STOP(&h);
}

static void
enormous(void)
{
	static char piece[1 << 20];
	unsigned char head[64];
	struct broker b = { 0 };
	struct hub h = { 0 }, r = { 0 };
	struct client c, s;
	size_t n, left, whole = test_emulated() ? 4u << 20 : 268435455;
	long before, after;
	pid_t child;

	CASE("a payload of 256 MB is dropped, costs no memory, "
	    "and is acknowledged");
	START(&h, QUIET_HUB);
	broker_open(&b, NULL);
	RELAY(&r, &h, &b, "-v");
	admit(&b, &s);
	join(&c, &h);
	child = child_of(r.pid);
	before = resident(child);
	n = packet_head(head, PUBLISH_1, whole);
	memcpy(head + n, BYTES("\0\x09wshub/all\0\7"));
	client_put(&s, head, n + 13);
	for (left = whole - 13; left > 0; left -= n) {
		n = left < sizeof piece ? left : sizeof piece;
		if (client_put(&s, piece, n) != 0)
			break;
	}
	EXPECT(left == 0, "%zu bytes are not taken", left);
	ACKNOWLEDGED(&s, 7);
	after = resident(child);
	EXPECT(after - before < 3000, "%ld kB, and %ld before", after, before);
	publish(&s, PUBLISH_1, "wshub/all", 8, "8", 1);
	ACKNOWLEDGED(&s, 8);
	TEXT(&c, "8");
	COUNTED(&r, "other messages dropped", 1);
	EXPECT(file_has(r.log, "dropped a message to wshub/all: longer than "
	    "1 MiB\n"), "the log does not tell");
	STOP_RELAY(&r, &s);
	leave(&c);
	STOP(&h);
}

/* ------------------------------------------------ from backends to broker */

static const struct {
	const char *text, *topic, *payload, *reply;
} commands[] = {
	{ M1, "all", "1", "OK" },
	{ M1 "\n", "all", "1", "OK relayed\n" },
	{ M1 "\r\n", "all", "1", "OK relayed\n" },
	{ "\n {\n    \"action\": \"multicast\",\n    \"data\": {\n"
	  "        \"a\": [1, 2]\n    }\n}\n", "all",
	  "{\n        \"a\": [1, 2]\n    }", "OK relayed\n" },
	{ "{\"data\":1,\"action\":\"x\",\"data\":2,\"action\":\"multicast\"}\n",
	  "all", "2", "OK relayed\n" },
	{ "{\"action\":\"sendToChannel\",\"channel\":\"a/b\",\"data\":\"x\"}",
	  "channel/a%2Fb", "\"x\"", "OK" },
	{ "{\"action\":\"sendToDevice\",\"device\":5,\"data\":null}\n",
	  "device/5", "null", "OK relayed\n" },
	{ "{\"action\":\"sendToDevice\",\"device\":\"\\u00e9.\",\"data\":{}}\n",
	  "device/\xc3\xa9%2E", "{}", "OK relayed\n" },
	{ "{\"action\":\"multicast\",\"data\":1,\"except\":\"x\"}\n", "order",
	  "{\"action\":\"multicast\",\"data\":1,\"except\":\"x\"}",
	  "OK relayed\n" },
	{ "{\"action\":\"sendToChannel\",\"channel\":\"c\",\"data\":1,"
	  "\"except\":7}\n", "order", "{\"action\":\"sendToChannel\","
	  "\"channel\":\"c\",\"data\":1,\"except\":7}", "OK relayed\n" },
	{ "{\"action\":\"subscribe\",\"device\":\"d\",\"channel\":\"c\","
	  "\"data\":{}}", "order", "{\"action\":\"subscribe\",\"device\":"
	  "\"d\",\"channel\":\"c\",\"data\":{}}", "OK" },
	{ "{\"action\":\"unsubscribe\",\"device\":\"d\",\"channel\":\"c\"}\n",
	  "order", "{\"action\":\"unsubscribe\",\"device\":\"d\","
	  "\"channel\":\"c\"}", "OK relayed\n" },
	{ "{\"action\":\"kick\",\"device\":\"d\",\"code\":4000}\n", "order",
	  "{\"action\":\"kick\",\"device\":\"d\",\"code\":4000}",
	  "OK relayed\n" },
};

#define TEN "[[[[[[[[[["

/* The relay's reply is the hub's. */
static const char *const wrong[] = {
	"{}\n", "{\"action\":\"nope\"}\n", "{\"action\":1}\n", "[1]\n", "1\n",
	"\"x\"\n", "nonsense\n", "{\"action\":\"multicast\"}\n",
	"{\"action\":\"multicast\",\"data\":}\n",
	"{\"action\":\"sendToChannel\",\"data\":1}\n",
	"{\"action\":\"sendToChannel\",\"channel\":\"\",\"data\":1}\n",
	"{\"action\":\"sendToChannel\",\"channel\":[],\"data\":1}\n",
	"{\"action\":\"sendToDevice\",\"device\":\"d\"}\n",
	"{\"action\":\"subscribe\",\"device\":\"d\"}\n",
	"{\"action\":\"multicast\",\"data\":1,\"except\":{}}\n",
	"{\"action\":\"kick\"}\n",
	"{\"action\":\"kick\",\"device\":\"d\",\"code\":1}\n",
	"{\"action\":\"multicast\",\"data\":\"\xff\"}\n",
	"{\"action\":\"multicast\",\"data\":01}\n",
	"{\"action\":\"multicast\",\"data\":" TEN TEN TEN TEN TEN TEN TEN
	"\n",
};

static const char *const questions[] = {
	"{\"action\":\"count\"}\n", "{\"action\":\"list\"}\n",
	"{\"action\":\"channels\"}\n",
	"{\"action\":\"info\",\"device\":\"d\"}\n", "{\"action\":\"stats\"}\n",
	"{\"action\":\"watch\",\"snapshot\":true}\n",
};

static void
from_backends(const struct hub *h, const struct hub *r, struct client *s)
{
	char topic[300], reply[1024];
	unsigned id;
	size_t i;
	int fd, at_hub;

	CASE("commands of backends, old style and lines");
	for (i = 0; i < sizeof commands / sizeof *commands; i++) {
		fd = dial_unix(r->control);
		put(fd, commands[i].text, strlen(commands[i].text));
		snprintf(topic, sizeof topic, "wshub/%s", commands[i].topic);
		id = PUBLISHED(s, topic, commands[i].payload);
		QUIET(fd, 2);
		acknowledge(s, PUBACK, id);
		REPLY(fd, commands[i].reply);
		if (strcmp(commands[i].reply, "OK") == 0)
			ASK(fd, "\n", " relayed\n");
		close(fd);
	}

	CASE("errors are told as the hub tells them; questions are errors");
	fd = dial_unix(r->control);
	at_hub = dial_unix(h->control);
	for (i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		put(at_hub, wrong[i], strlen(wrong[i]));
		snprintf(reply, sizeof reply, "%s", get_line(at_hub));
		ASK(fd, wrong[i], reply);
	}
	for (i = 0; i < sizeof questions / sizeof *questions; i++) {
		put(fd, questions[i], strlen(questions[i]));
		snprintf(reply, sizeof reply, "%s", get_line(fd));
		EXPECT(strncmp(reply, "ERR ", 4) == 0, "to %s: \"%s\"",
		    questions[i], reply);
	}
	close(at_hub);
	close(fd);
}

/* Writes 5,000 commands at once, and then reads: 0 if all are well. */
static int
pipeline(const char *path)
{
	enum { N = 5000 };
	int fd = dial_unix(path), i, bad = 0;
	char text[100];
	pid_t pid = fork();

	if (pid == 0) {
		for (i = 0; i < N; i++)
			put(fd, text, (size_t)snprintf(text, sizeof text,
			    "{\"action\":\"multicast\",\"data\":%d}\n", i));
		_exit(0);
	}
	for (i = 0; i < N; i++)
		bad += strcmp(get_line(fd), "OK relayed\n") != 0;
	reap(pid, patience);
	return bad;
}

static void
backends(void)
{
	struct broker b = { 0 };
	struct hub h = { 0 }, r = { 0 };
	struct client s;
	struct packet p;
	char want[20];
	unsigned id[3];
	int fd, fd2, i;
	pid_t pid;

	START(&h, QUIET_HUB);
	broker_open(&b, NULL);
	RELAY(&r, &h, &b, "-v");
	admit(&b, &s);
	from_backends(&h, &r, &s);

	CASE("replies come in order, an error among them, too");
	fd = dial_unix(r.control);
	put(fd, BYTES(M1 "\n{}\n" NONE "\n"));
	id[0] = PUBLISHED(&s, "wshub/all", "1");
	id[1] = PUBLISHED(&s, "wshub/channel/x", "1");
	QUIET(fd, 20);
	acknowledge(&s, PUBACK, id[0]);
	REPLY(fd, "OK relayed\nERR no \"action\"\n");
	QUIET(fd, 20);
	acknowledge(&s, PUBACK, id[1]);
	REPLY(fd, "OK relayed\n");

	CASE("acknowledgements out of order, twice, and of what was not sent");
	fd2 = dial_unix(r.control);
	put(fd, BYTES(M1 "\n"));
	id[0] = PUBLISHED(&s, "wshub/all", "1");
	put(fd2, BYTES(NONE "\n"));
	id[1] = PUBLISHED(&s, "wshub/channel/x", "1");
	acknowledge(&s, PUBACK, id[1] + 1000);
	acknowledge(&s, PUBACK, 65535);
	acknowledge(&s, UNSUBACK, 77);
	QUIET(fd, 20);
	acknowledge(&s, PUBACK, id[1]);
	acknowledge(&s, PUBACK, id[1]);
	QUIET(fd, 20);
	acknowledge(&s, PUBACK, id[0]);
	acknowledge(&s, PUBACK, id[0]);
	REPLY(fd, "OK relayed\n");
	REPLY(fd2, "OK relayed\n");
	EXPECT(await(r.log, "the broker acknowledges 65535, which was not "
	    "sent"), "the log does not tell");
	close(fd2);

	CASE("a backend that has sent all gets its replies, and the end");
	fd2 = dial_unix(r.control);
	put(fd2, BYTES(M1 "\n{\"act"));
	shutdown(fd2, SHUT_WR);
	id[0] = PUBLISHED(&s, "wshub/all", "1");
	QUIET(fd2, 20);
	acknowledge(&s, PUBACK, id[0]);
	REPLY(fd2, "OK relayed\nERR");
	EXPECT(*get_line(fd2) != 'x' && *get_line(fd2) == '\0', "no end");
	close(fd2);

	CASE("a backend that leaves without its reply harms nobody");
	fd2 = dial_unix(r.control);
	put(fd2, BYTES(M1));
	id[0] = PUBLISHED(&s, "wshub/all", "1");
	close(fd2);
	put(fd, BYTES(NONE "\n"));
	id[1] = PUBLISHED(&s, "wshub/channel/x", "1");
	acknowledge(&s, PUBACK, id[0]);
	acknowledge(&s, PUBACK, id[1]);
	REPLY(fd, "OK relayed\n");

	CASE("5,000 commands at once: all are published in order, and "
	    "acknowledged");
	fflush(stdout);
	pid = fork();
	if (pid == 0)
		_exit(pipeline(r.control) != 0);
	for (i = 0; i < 5000; i++) {
		snprintf(want, sizeof want, "%d", i);
		get_packet(&s, &p);
		if (p.first != PUBLISH_1 || p.payload_len != strlen(want) ||
		    memcmp(p.payload, want, p.payload_len) != 0)
			break;
		acknowledge(&s, PUBACK, p.id);
	}
	EXPECT(i == 5000, "packet %d (%#x) \"%.*s\", not %s", p.first,
	    (unsigned)p.first, (int)p.payload_len, (char *)p.payload, want);
	EXPECT(reap(pid, patience) == 0, "not every reply is OK");

	CASE("TERM: what is in flight is waited for, and then DISCONNECT");
	put(fd, BYTES(M1 "\n"));
	id[0] = PUBLISHED(&s, "wshub/all", "1");
	kill(r.pid, SIGTERM);
	nap(50); /* or else it is acknowledged before the signal */
	acknowledge(&s, PUBACK, id[0]);
	REPLY(fd, "OK relayed\n");
	PACKET(&s, &p, DISCONNECT, 0);
	HUNG_UP(&s);
	ENDED(&r, 0);
	leave(&s);
	close(fd);
	STOP(&h);
}

static struct test_group all_groups[] = {
	{ .name = "backends", .run = backends },
	{ .name = "enormous", .run = enormous },
	{ .name = "names", .run = names },
	{ .name = "kinds", .run = kinds },
};

int
main(int argc, char **argv)
{
	return run_groups(argc, argv, all_groups,
	    (int)(sizeof all_groups / sizeof *all_groups));
}
