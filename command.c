/* wshub: ISC licence, see LICENSE. */
/*
 * A backend's command: finds the members of a JSON object and checks them.
 */
#include <sys/types.h>
#include <string.h>

#include "ws.h"

#define QUOTE_MAX 64 /* bytes of the backend's input quoted in a reply */

/* What an action needs, and what it may have. */
enum {
	NEEDS_DATA = 1, NEEDS_DEVICE = 2, NEEDS_CHANNEL = 4, MAY_DEVICE = 8,
	MAY_CHANNEL = 16, MAY_EXCEPT = 32, MAY_CLOSE = 64, MAY_WATCH = 128
};

struct name {
	unsigned char len;
	char s[14];
};
#define NAME(literal) { sizeof(literal) - 1, literal }

static const struct {
	struct name name;
	unsigned char needs;
} actions[WS_ACTIONS] = {
	{ NAME("multicast"), NEEDS_DATA | MAY_EXCEPT },
	{ NAME("sendToChannel"), NEEDS_DATA | NEEDS_CHANNEL | MAY_EXCEPT },
	{ NAME("sendToDevice"), NEEDS_DATA | NEEDS_DEVICE },
	{ NAME("subscribe"), NEEDS_DEVICE | NEEDS_CHANNEL },
	{ NAME("unsubscribe"), NEEDS_DEVICE | NEEDS_CHANNEL },
	{ NAME("kick"), NEEDS_DEVICE | MAY_CLOSE },
	{ NAME("count"), MAY_CHANNEL },
	{ NAME("list"), MAY_CHANNEL },
	{ NAME("channels"), MAY_DEVICE },
	{ NAME("info"), NEEDS_DEVICE },
	{ NAME("stats"), 0 },
	{ NAME("watch"), MAY_WATCH },
};

static const struct name fields[WS_FIELDS] = {
	NAME("action"), NAME("device"), NAME("channel"), NAME("data"),
	NAME("except"), NAME("code"), NAME("reason"), NAME("events"),
	NAME("snapshot")
};
#define FIELD_MAX 8 /* bytes of the longest of these */

/*
 * see ws.h
 *
 * JSON has no control characters there, so the reply remains one line. The
 * quotation is cut between two characters: a byte 10xxxxxx does not begin one.
 */
int
ws_command_quote(char detail[WS_ERROR_MAX], const char *what,
    struct ws_text text)
{
	size_t n = text.len;

	if (n > QUOTE_MAX)
		for (n = QUOTE_MAX; n > 0 && (text.s[n] & 0xc0) == 0x80; n--)
			;
	return ws_fail(detail, "%s %.*s%s", what, (int)n, text.s,
	    n < text.len ? "..." : "");
}

static int
is_name(const struct name *name, const char *s, ssize_t n)
{
	return n == name->len && memcmp(s, name->s, name->len) == 0;
}

/* Finds the fields of an object. Other members are ignored. */
static void
find_fields(struct ws_text object, struct ws_text value[WS_FIELDS])
{
	struct ws_text name, v;
	char plain[FIELD_MAX];
	ssize_t n;
	int i;

	memset(value, 0, WS_FIELDS * sizeof *value);
	while (ws_json_member(&object, &name, &v)) {
		n = ws_json_string(plain, sizeof plain, name);
		for (i = 0; i < WS_FIELDS; i++)
			if (is_name(&fields[i], plain, n)) {
				value[i] = v;
				break;
			}
	}
}

/* Reads a name: a string, or a number, of which the digits are the name. */
static int
read_name(struct ws_command *cmd, enum ws_field field, char buf[WS_NAME_MAX],
    struct ws_text *name)
{
	struct ws_text value = cmd->value[field];
	ssize_t n = WS_BAD;

	if (value.s == NULL)
		return ws_fail(cmd->detail, "no \"%s\"", fields[field].s);
	if (*value.s == '"') {
		n = ws_json_string(buf, WS_NAME_MAX, value);
	} else if (*value.s == '-' || (*value.s >= '0' && *value.s <= '9')) {
		if (value.len <= WS_NAME_MAX) {
			memcpy(buf, value.s, value.len);
			n = (ssize_t)value.len;
		}
	}
	if (n <= 0)
		return ws_fail(cmd->detail, "\"%s\" is not a string of 1 to %d "
		    "bytes", fields[field].s, WS_NAME_MAX);
	name->s = buf;
	name->len = (size_t)n;
	return 0;
}

/* The same; without the field, name->len is 0. */
static int
read_optional(struct ws_command *cmd, enum ws_field field,
    char buf[WS_NAME_MAX], struct ws_text *name)
{
	name->len = 0;
	return cmd->value[field].s == NULL ? 0 :
	    read_name(cmd, field, buf, name);
}

static int
read_action(struct ws_command *cmd)
{
	struct ws_text value = cmd->value[WS_FIELD_ACTION];
	char name[16];
	ssize_t n;
	int i;

	if (value.s == NULL)
		return ws_fail(cmd->detail, "no \"action\"");
	if (*value.s != '"')
		return ws_fail(cmd->detail, "\"action\" is not a string");
	n = ws_json_string(name, sizeof name, value);
	for (i = 0; i < WS_ACTIONS; i++)
		if (is_name(&actions[i].name, name, n)) {
			cmd->action = (enum ws_action)i;
			return 0;
		}
	return ws_command_quote(cmd->detail, "unknown action", value);
}

/* Reads the Close code and reason of kick: RFC 6455 section 7.4.2. */
static int
read_close(struct ws_command *cmd)
{
	struct ws_text code = cmd->value[WS_FIELD_CODE];
	struct ws_text reason = cmd->value[WS_FIELD_REASON];
	struct ws_text text = { cmd->reason, 0 };
	ssize_t n;
	size_t i;

	cmd->code = WS_CLOSE_POLICY;
	if (code.s != NULL) {
		cmd->code = 0;
		for (i = 0; i < code.len && code.len == 4; i++)
			if (code.s[i] >= '0' && code.s[i] <= '9')
				cmd->code = 10 * cmd->code +
				    (unsigned)(code.s[i] - '0');
			else
				cmd->code = 10000;
		if (cmd->code != WS_CLOSE_POLICY &&
		    (cmd->code < 4000 || cmd->code > 4999))
			return ws_fail(cmd->detail,
			    "\"code\" is not 1008 or 4000 to 4999");
	}
	strcpy(cmd->reason, "kicked");
	if (reason.s == NULL)
		return 0;
	n = ws_json_string(cmd->reason, WS_CLOSE_REASON_MAX, reason);
	if (n < 0 || memchr(text.s, '\0', (size_t)n) != NULL)
		return ws_fail(cmd->detail, "\"reason\" is not a string of at "
		    "most %d bytes", WS_CLOSE_REASON_MAX);
	cmd->reason[n] = '\0';
	return 0;
}

/* Reads which events to watch. */
static int
read_watch(struct ws_command *cmd)
{
	struct ws_text rest = cmd->value[WS_FIELD_EVENTS], element;
	struct ws_text snapshot = cmd->value[WS_FIELD_SNAPSHOT];
	char name[32];
	ssize_t n;
	int event;

	cmd->events = ~0u;
	cmd->snapshot = 0;
	if (snapshot.s != NULL) {
		cmd->snapshot = *snapshot.s == 't';
		if (*snapshot.s != 't' && *snapshot.s != 'f')
			return ws_fail(cmd->detail,
			    "\"snapshot\" is not true or false");
	}
	if (rest.s == NULL)
		return 0;
	if (*rest.s != '[')
		return ws_fail(cmd->detail, "\"events\" is not an array");
	cmd->events = 0;
	while (ws_json_element(&rest, &element)) {
		n = ws_json_string(name, sizeof name, element);
		event = n < 0 ? -1 : ws_watch_event(name, (size_t)n);
		if (event == -1)
			return ws_command_quote(cmd->detail, "unknown event",
			    element);
		cmd->events |= 1u << event;
	}
	return 0;
}

/* see ws.h */
int
ws_command_read(struct ws_command *cmd, struct ws_text object)
{
	int needs;

	cmd->device.len = cmd->channel.len = cmd->except.len = 0;
	if (*object.s != '{')
		return ws_fail(cmd->detail, "not an object");
	find_fields(object, cmd->value);
	if (read_action(cmd) != 0)
		return -1;
	needs = actions[cmd->action].needs;
	if ((needs & NEEDS_DEVICE) != 0 &&
	    read_name(cmd, WS_FIELD_DEVICE, cmd->device_buf, &cmd->device) != 0)
		return -1;
	if ((needs & NEEDS_CHANNEL) != 0 &&
	    read_name(cmd, WS_FIELD_CHANNEL, cmd->channel_buf, &cmd->channel) != 0)
		return -1;
	if ((needs & NEEDS_DATA) != 0 && cmd->value[WS_FIELD_DATA].s == NULL)
		return ws_fail(cmd->detail, "no \"data\"");
	if (needs <= (NEEDS_DATA | NEEDS_DEVICE | NEEDS_CHANNEL))
		return 0;
	if ((needs & MAY_DEVICE) != 0)
		return read_optional(cmd, WS_FIELD_DEVICE, cmd->device_buf,
		    &cmd->device);
	if ((needs & MAY_CHANNEL) != 0)
		return read_optional(cmd, WS_FIELD_CHANNEL, cmd->channel_buf,
		    &cmd->channel);
	if ((needs & MAY_EXCEPT) != 0)
		return read_optional(cmd, WS_FIELD_EXCEPT, cmd->except_buf,
		    &cmd->except);
	return (needs & MAY_CLOSE) != 0 ? read_close(cmd) : read_watch(cmd);
}
