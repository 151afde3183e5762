/* wshub: ISC licence, see LICENSE. */
/*
 * Topics, and the commands that the messages to them stand for.
 *
 *   all            multicast
 *   channel/NAME   sendToChannel
 *   device/NAME    sendToDevice
 *   order          a command as a backend writes it
 */
#include <sys/types.h>
#include <string.h>

#include "relay.h"

static const struct ws_text kinds[WS_TOPICS] = {
	{ "all", 3 }, { "channel/", 8 }, { "device/", 7 }, { "order", 5 }
};

/*
 * How many bytes of a name, from s on, have to be encoded. MQTT 3.1.1 section
 * 1.5.3 lets a server close the connection for control characters (U+0080 to
 * U+009F as well) and for what is no character: U+FDD0 to U+FDEF, and the last
 * two of each plane.
 */
static size_t
special(const char *s, size_t len)
{
	const unsigned char *b = (const unsigned char *)s;

	if (b[0] < 0x80)
		return b[0] < 0x20 || b[0] == 0x7f ||
		    strchr(" /+#%.*>", b[0]) != NULL;
	if (b[0] == 0xc2 && len >= 2 && b[1] < 0xa0)
		return 2;
	if (b[0] == 0xef && len >= 3 &&
	    ((b[1] == 0xb7 && b[2] >= 0x90 && b[2] <= 0xaf) ||
	    (b[1] == 0xbf && b[2] >= 0xbe)))
		return 3;
	return b[0] >= 0xf0 && len >= 4 && (b[1] & 15) == 15 &&
	    b[2] == 0xbf && b[3] >= 0xbe ? 4 : 0;
}

/* see relay.h */
size_t
ws_topic_write(char out[WS_TOPIC_MAX], enum ws_topic_kind kind,
    struct ws_text name)
{
	static const char hex[] = "0123456789ABCDEF";
	char *p = out + kinds[kind].len;
	unsigned char c;
	size_t i, encode = 0;

	memcpy(out, kinds[kind].s, kinds[kind].len);
	for (i = 0; i < name.len; i++) {
		c = (unsigned char)name.s[i];
		if (encode == 0)
			encode = special(name.s + i, name.len - i);
		if (encode > 0) {
			encode--;
			*p++ = '%';
			*p++ = hex[c >> 4];
			*p++ = hex[c & 15];
		} else {
			*p++ = (char)c;
		}
	}
	return (size_t)(p - out);
}

/* The value of a hexadecimal digit, or -1. */
static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Decodes a name: its length; 0: it is not valid. */
static size_t
read_name(struct ws_text s, char buf[WS_NAME_MAX])
{
	struct ws_utf8 utf8 = { 0, 0, 0 };
	size_t n = 0, i;
	int high, low;

	for (i = 0; i < s.len; i++) {
		if (n == WS_NAME_MAX)
			return 0;
		if (s.s[i] != '%') {
			buf[n++] = s.s[i];
			continue;
		}
		if (s.len - i < 3)
			return 0;
		high = hex_digit(s.s[i + 1]);
		low = hex_digit(s.s[i + 2]);
		if (high == -1 || low == -1)
			return 0;
		buf[n++] = (char)(high << 4 | low);
		i += 2;
	}
	return ws_utf8(&utf8, buf, n) == n && utf8.left == 0 ? n : 0;
}

/* see relay.h */
int
ws_topic_read(struct ws_text topic, char buf[WS_NAME_MAX],
    struct ws_text *name, const char **error)
{
	struct ws_text rest;
	int kind;

	name->s = buf;
	name->len = 0;
	for (kind = 0; kind < WS_TOPICS; kind++)
		if (topic.len >= kinds[kind].len &&
		    memcmp(topic.s, kinds[kind].s, kinds[kind].len) == 0)
			break;
	*error = "not a topic that was asked for";
	if (kind == WS_TOPICS)
		return -1;
	rest.s = topic.s + kinds[kind].len;
	rest.len = topic.len - kinds[kind].len;
	if (kind == WS_TOPIC_ALL || kind == WS_TOPIC_ORDER)
		return rest.len == 0 ? kind : -1;
	if (memchr(rest.s, '/', rest.len) != NULL)
		return -1;
	*error = "its name is not one of 1 to 255 bytes of UTF-8";
	name->len = read_name(rest, buf);
	return name->len == 0 ? -1 : kind;
}

/* ---------------------------------------------------------------- commands */

static void
add(struct ws_output *out, const char *s)
{
	ws_output_add(out, s, strlen(s));
}

static void
add_string(struct ws_output *out, struct ws_text text)
{
	char quoted[WS_JSON_QUOTED(64)];
	struct ws_text piece;
	size_t n, i;

	/* In pieces, each with quotes of its own, which are left out. */
	add(out, "\"");
	for (i = 0; i < text.len; i += piece.len) {
		piece.s = text.s + i;
		piece.len = text.len - i < 64 ? text.len - i : 64;
		n = ws_json_quote(quoted, piece);
		ws_output_add(out, quoted + 1, n - 2);
	}
	add(out, "\"");
}

/* 1 if text is a JSON text that may be in so many others; *end: its end. */
static int
is_json(struct ws_text text, unsigned within, size_t *end)
{
	struct ws_json j;
	ssize_t n;
	size_t i;

	memset(&j, 0, sizeof j);
	n = ws_json_scan(&j, text.s, text.len);
	if (n == WS_MORE && ws_json_whole(&j))
		n = (ssize_t)text.len;
	if (n < 0 || j.deepest + within > WS_JSON_DEPTH)
		return 0;
	*end = (size_t)n;
	for (i = *end; i < text.len; i++)
		if (strchr(" \t\r\n", text.s[i]) == NULL || text.s[i] == '\0')
			return 0;
	return 1;
}

/* Appends a JSON text without insignificant white space. */
static void
add_compact(struct ws_output *out, struct ws_text json)
{
	size_t start = out->len;

	ws_output_add(out, json.s, json.len);
	if (!out->failed)
		out->len = start + ws_json_compact(out->s + start, json);
}

/* Appends a payload as data. -1: it is neither JSON nor UTF-8. */
static int
add_data(struct ws_output *out, struct ws_text payload)
{
	struct ws_utf8 utf8 = { 0, 0, 0 };
	size_t end;

	if (is_json(payload, 1, &end)) {
		payload.len = end;
		add_compact(out, payload);
		return 0;
	}
	if (ws_utf8(&utf8, payload.s, payload.len) != payload.len ||
	    utf8.left != 0)
		return -1;
	add_string(out, payload);
	return 0;
}

/* Appends an order, if it is one. */
static int
add_order(struct ws_output *out, struct ws_text payload, const char **error)
{
	struct ws_command cmd;
	size_t end;

	*error = "not a command";
	if (!is_json(payload, 0, &end))
		return -1;
	payload.len = end;
	while (payload.len > 0 && strchr(" \t\r\n", *payload.s) != NULL) {
		payload.s++;
		payload.len--;
	}
	if (ws_command_read(&cmd, payload) != 0)
		return -1;
	*error = "a question, which only a backend of the hub can ask";
	if (cmd.action >= WS_ACTION_COUNT)
		return -1;
	add_compact(out, payload);
	*error = NULL;
	return 0;
}

static int
add_command(struct ws_output *out, struct ws_text topic,
    struct ws_text payload, const char **error)
{
	static const char *const begin[WS_TOPICS] = {
		"{\"action\":\"multicast\"",
		"{\"action\":\"sendToChannel\",\"channel\":",
		"{\"action\":\"sendToDevice\",\"device\":", NULL
	};
	char buf[WS_NAME_MAX];
	struct ws_text name;
	int kind = ws_topic_read(topic, buf, &name, error);

	if (kind == -1)
		return -1;
	if (kind == WS_TOPIC_ORDER)
		return add_order(out, payload, error);
	add(out, begin[kind]);
	if (name.len != 0)
		add_string(out, name);
	add(out, ",\"data\":");
	*error = "its payload is not UTF-8";
	if (add_data(out, payload) != 0)
		return -1;
	add(out, "}");
	*error = NULL;
	return 0;
}

/* see relay.h */
int
ws_topic_command(struct ws_output *out, struct ws_text topic,
    struct ws_text payload, const char **error)
{
	size_t start = out->len;
	int bad = add_command(out, topic, payload, error);

	if (!bad && out->len - start > WS_TEXT_MAX) {
		*error = "longer than 1 MiB as a command";
		bad = -1;
	}
	if (!bad)
		add(out, "\n");
	if (bad || out->failed)
		out->len = start;
	return bad;
}

/* see relay.h */
size_t
ws_topic_of(const struct ws_command *cmd, struct ws_text object,
    char out[WS_TOPIC_MAX], struct ws_text *payload)
{
	static const struct ws_text none;

	*payload = object;
	if (cmd->except.len == 0 && cmd->action <= WS_ACTION_SEND_TO_DEVICE)
		*payload = cmd->value[WS_FIELD_DATA];
	else
		return ws_topic_write(out, WS_TOPIC_ORDER, none);
	if (cmd->action == WS_ACTION_SEND_TO_CHANNEL)
		return ws_topic_write(out, WS_TOPIC_CHANNEL, cmd->channel);
	if (cmd->action == WS_ACTION_SEND_TO_DEVICE)
		return ws_topic_write(out, WS_TOPIC_DEVICE, cmd->device);
	return ws_topic_write(out, WS_TOPIC_ALL, none);
}
