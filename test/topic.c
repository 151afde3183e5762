/* wshub: ISC licence, see LICENSE. */
/*
 * Tests of topic.c: messages to commands, and commands to messages.
 */
#define _GNU_SOURCE
#include "../topic.c"
#include "test.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

static struct ws_text
text(const char *s)
{
	struct ws_text t;

	t.s = s;
	t.len = strlen(s);
	return t;
}

/* A name in a topic, and how it is read again. */
static void
names(void)
{
	static const struct { const char *name, *topic; } list[] = {
		{ "a", "device/a" }, { "a b", "device/a%20b" },
		{ "/+#%.*>", "device/%2F%2B%23%25%2E%2A%3E" },
		{ "\x01\x7f", "device/%01%7F" },
		{ "k\xc3\xb6ln", "device/k\xc3\xb6ln" },
		{ "\xc2\x80\xc2\x9f\xc2\xa0", "device/%C2%80%C2%9F\xc2\xa0" },
		{ "\xef\xb7\x8f\xef\xb7\x90", "device/\xef\xb7\x8f%EF%B7%90" },
		{ "\xef\xb7\xaf\xef\xb7\xb0", "device/%EF%B7%AF\xef\xb7\xb0" },
		{ "\xef\xbf\xbd\xef\xbf\xbe", "device/\xef\xbf\xbd%EF%BF%BE" },
		{ "\xf0\x9f\xbf\xbf", "device/%F0%9F%BF%BF" },
		{ "\xf0\xaf\xbf\xbe", "device/%F0%AF%BF%BE" },
		{ "\xf0\x9f\x98\x80", "device/\xf0\x9f\x98\x80" }
	};
	char out[WS_TOPIC_MAX], buf[WS_NAME_MAX];
	struct ws_text name, topic;
	const char *error;
	size_t i;
	int kind;

	for (i = 0; i < LEN(list); i++) {
		topic.s = out;
		topic.len = ws_topic_write(out, WS_TOPIC_DEVICE,
		    text(list[i].name));
		EXPECT(topic.len == strlen(list[i].topic) &&
		    memcmp(out, list[i].topic, topic.len) == 0,
		    "name %zu: %.*s", i, (int)topic.len, out);
		kind = ws_topic_read(topic, buf, &name, &error);
		EXPECT(kind == WS_TOPIC_DEVICE && name.len ==
		    strlen(list[i].name) &&
		    memcmp(buf, list[i].name, name.len) == 0,
		    "name %zu again: %d, %zu bytes", i, kind, name.len);
	}
}

/* NULL: an error, and nothing is appended. */
static void
commands(void)
{
	static const struct { const char *topic, *payload, *command; } list[] = {
#define ALL(data) "{\"action\":\"multicast\",\"data\":" data "}\n"
		{ "all", "1", ALL("1") }, { "all", "", ALL("\"\"") },
		{ "all", " [1,\r\n\"a b\"] \n", ALL("[1,\"a b\"]") },
		{ "all", "21.5 C", ALL("\"21.5 C\"") },
		{ "all", "a\n\"", ALL("\"a\\u000a\\\"\"") },
		{ "all", "\xff", NULL }, { "all", "\"\xff\"", NULL },
		{ "channel/a%2fB%2F", "null", "{\"action\":\"sendToChannel\","
		    "\"channel\":\"a/B/\",\"data\":null}\n" },
		{ "device/%00", "{}", "{\"action\":\"sendToDevice\","
		    "\"device\":\"\\u0000\",\"data\":{}}\n" },
		{ "device/", "1", NULL }, { "device/%", "1", NULL },
		{ "device/%4", "1", NULL }, { "device/%4g", "1", NULL },
		{ "device/%ff", "1", NULL }, { "device/a/b", "1", NULL },
		{ "all/", "1", NULL }, { "nothing", "1", NULL },
		{ "", "1", NULL }, { "order", "1", NULL },
		{ "order", "", NULL }, { "order", "{}", NULL },
		{ "order", "{\"action\":\"count\"}", NULL },
		{ "order", "{\"action\":\"watch\"}", NULL },
		{ "order", "{\"action\":\"kick\"} x", NULL },
		{ "order", "\n{\"action\":\n\"kick\", \"device\":7}\n",
		    "{\"action\":\"kick\",\"device\":7}\n" }
	};
	struct ws_output out = { 0 };
	const char *error;
	size_t i, len;
	int r;

	for (i = 0; i < LEN(list); i++) {
		ws_output_free(&out);
		memset(&out, 0, sizeof out);
		ws_output_add(&out, "x", 1);
		r = ws_topic_command(&out, text(list[i].topic),
		    text(list[i].payload), &error);
		len = list[i].command == NULL ? 0 : strlen(list[i].command);
		EXPECT(r == (list[i].command == NULL ? -1 : 0) &&
		    out.len == 1 + len && (len == 0 ||
		    memcmp(out.s + 1, list[i].command, len) == 0) &&
		    (r == 0 || error != NULL), "case %zu: %d, \"%.*s\"", i, r,
		    (int)out.len, out.s);
	}
	ws_output_free(&out);
}

/* What is too deep within a command is a string. */
static void
depths(void)
{
	struct ws_output out = { 0 };
	char deep[2 * WS_JSON_DEPTH + 1];
	const char *error;
	size_t n;

	for (n = WS_JSON_DEPTH - 2; n <= WS_JSON_DEPTH; n++) {
		memset(deep, '[', n);
		memset(deep + n, ']', n);
		deep[2 * n] = '\0';
		out.len = 0;
		EXPECT(ws_topic_command(&out, text("all"), text(deep),
		    &error) == 0 && out.len > 40 && out.s[29] ==
		    (n == WS_JSON_DEPTH ? '"' : '['), "depth %zu: %.*s", n,
		    (int)out.len, out.s);
	}
	ws_output_free(&out);
}

/* The command with its newline is what is published, and read again. */
static void
round_trip(void)
{
	static const struct { const char *command, *topic; } list[] = {
		{ ALL("1"), "all" },
		{ "{\"action\":\"sendToChannel\",\"channel\":\"a b\","
		    "\"data\":[\"\\u0000\"]}\n", "channel/a%20b" },
		{ "{\"action\":\"sendToDevice\",\"device\":\"d\","
		    "\"data\":null}\n", "device/d" },
		{ "{\"action\":\"multicast\",\"data\":1,"
		    "\"except\":\"d\"}\n", "order" },
		{ "{\"action\":\"subscribe\",\"device\":\"d\","
		    "\"channel\":\"c\"}\n", "order" },
		{ "{\"action\":\"kick\",\"device\":\"d\"}\n", "order" }
	};
	struct ws_output out = { 0 };
	struct ws_command cmd;
	struct ws_text object, topic, payload;
	char buf[WS_TOPIC_MAX];
	const char *error = NULL;
	size_t i, start;
	int r;

	for (i = 0; i < LEN(list); i++) {
		object = text(list[i].command);
		object.len--;
		EXPECT(ws_command_read(&cmd, object) == 0, "case %zu", i);
		topic.s = buf;
		topic.len = ws_topic_of(&cmd, object, buf, &payload);
		EXPECT(topic.len == strlen(list[i].topic) &&
		    memcmp(buf, list[i].topic, topic.len) == 0,
		    "case %zu: to %.*s", i, (int)topic.len, buf);
		start = out.len;
		r = ws_topic_command(&out, topic, payload, &error);
		EXPECT(r == 0 && out.len - start == object.len + 1 &&
		    memcmp(out.s + start, object.s, object.len + 1) == 0,
		    "case %zu: %d, %.*s", i, r, (int)(out.len - start),
		    out.s + start);
	}
	ws_output_free(&out);
}

/* The longest command has WS_TEXT_MAX bytes, without its newline. */
static void
limit(void)
{
	size_t most = WS_TEXT_MAX - strlen(ALL("\"\"")) + 1, len;
	char *s = malloc(most + 1);
	struct ws_output out = { 0 };
	struct ws_text payload;
	const char *error = NULL;
	int r;

	if (s == NULL)
		abort();
	memset(s, 'a', most + 1);
	payload.s = s;
	for (len = most; len <= most + 1; len++) {
		payload.len = len;
		out.len = 0;
		r = ws_topic_command(&out, text("all"), payload, &error);
		EXPECT(r == (len == most ? 0 : -1) &&
		    out.len == (r == 0 ? WS_TEXT_MAX + 1 : 0),
		    "%zu bytes: %d, %zu", len, r, out.len);
	}
	ws_output_free(&out);
	free(s);
}

int
main(void)
{
	CASE("topic: names");
	names();
	CASE("topic: messages to commands");
	commands();
	depths();
	CASE("topic: commands to messages and back");
	round_trip();
	CASE("topic: the longest command");
	limit();
	return test_end();
}
