/* wshub: ISC licence, see LICENSE. */
/*
 * Messages that a broker brings: the first byte is the topic's length, the rest
 * topic and payload. What becomes a command is one line that the hub reads,
 * and is the same after it has been a topic and a payload again.
 */
#include <stdlib.h>
#include <string.h>

#include "../../relay.h"
#include "fuzz.h"

static void
check_name(struct ws_text topic)
{
	char first[WS_NAME_MAX], second[WS_NAME_MAX], text[WS_TOPIC_MAX];
	struct ws_text name, again, written = { text, 0 };
	const char *error;
	int kind = ws_topic_read(topic, first, &name, &error);

	if (kind != WS_TOPIC_DEVICE && kind != WS_TOPIC_CHANNEL)
		return;
	written.len = ws_topic_write(text, (enum ws_topic_kind)kind, name);
	MUST(written.len <= sizeof text && ws_topic_read(written, second,
	    &again, &error) == kind, "what was written is not read");
	MUST(again.len == name.len && memcmp(first, second, name.len) == 0,
	    "another name");
}

static void
check_command(const struct ws_output *o, int is_order)
{
	struct ws_text object = { o->s, o->len - 1 }, topic, payload;
	char text[WS_TOPIC_MAX];
	struct ws_output again = { NULL, 0, 0, 0 };
	struct ws_command cmd;
	const char *error;

	MUST(o->s[o->len - 1] == '\n' &&
	    memchr(o->s, '\n', o->len - 1) == NULL, "not one line");
	MUST(ws_command_read(&cmd, object) == 0, "the hub says %s",
	    cmd.detail);
	MUST(cmd.action < WS_ACTION_COUNT, "it is a question");
	topic.s = text;
	topic.len = ws_topic_of(&cmd, object, text, &payload);
	MUST(topic.len <= sizeof text && ws_topic_command(&again, topic,
	    payload, &error) == 0, "the way back fails");
	if (!is_order)
		MUST(again.len == o->len && memcmp(again.s, o->s, o->len) == 0,
		    "another command");
	ws_output_free(&again);
}

int
fuzz_topic(const uint8_t *data, size_t len)
{
	struct ws_output o = { NULL, 0, 0, 0 };
	struct ws_text topic, payload;
	const char *error = NULL;
	char *first, *second;
	int bad;

	if (len == 0)
		return 0;
	topic.len = data[0] < len - 1 ? data[0] : len - 1;
	payload.len = len - 1 - topic.len;
	topic.s = first = fuzz_copy(data + 1, topic.len);
	payload.s = second = fuzz_copy(data + 1 + topic.len, payload.len);
	check_name(topic);
	bad = ws_topic_command(&o, topic, payload, &error);
	MUST(bad ? error != NULL && o.len == 0 : o.len > 1,
	    "neither a command nor an error");
	if (!bad)
		check_command(&o, topic.len == 5 &&
		    memcmp(topic.s, "order", 5) == 0);
	ws_output_free(&o);
	free(first);
	free(second);
	return 0;
}
