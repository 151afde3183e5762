/* wshub: ISC licence, see LICENSE. */
/*
 * A backend's commands: reads JSON objects, executes them, writes replies.
 *
 * A command is a JSON text, and its reply is "OK" or "ERR". If a newline
 * follows the text, the reply gets a detail and a newline as well. The stream
 * is in one of three states:
 *
 *   BETWEEN  between two texts. A newline here ends the line of the last reply
 *            (see line_open).
 *   TEXT     inside a text. c->json is the scanner's state, and c->text has the
 *            bytes of earlier pieces.
 *   RESYNC   after an invalid text, whose end is unknown. If the backend writes
 *            newlines, input is skipped up to the next one, and ERR is sent at
 *            once. Otherwise all input received so far is skipped, and ERR is
 *            sent after that: so whatever the backend writes in response to the
 *            ERR is not skipped.
 */
#include <sys/types.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ws.h"

#define OBJECT_COST 16 /* of reading a text, measured in deliveries */
#define QUOTE_MAX 64 /* bytes of the backend's input quoted in a reply */

enum { BETWEEN, TEXT, RESYNC };

/*
 * Values of line_open: no line is open, or a newline would end the line of the
 * reply to an invalid text, or to an object. WATCHED: the reply to an object is
 * a whole line already, because the backend watches.
 */
enum { CLOSED, AFTER_ERROR, AFTER_OBJECT, WATCHED };

/* ---------------------------------------------------------------- actions */

enum action {
	MULTICAST, SEND_TO_CHANNEL, SEND_TO_DEVICE, SUBSCRIBE, UNSUBSCRIBE,
	COUNT, LIST, CHANNELS, INFO, KICK, STATS, WATCH,
	ACTIONS
};

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
} actions[ACTIONS] = {
	{ NAME("multicast"), NEEDS_DATA | MAY_EXCEPT },
	{ NAME("sendToChannel"), NEEDS_DATA | NEEDS_CHANNEL | MAY_EXCEPT },
	{ NAME("sendToDevice"), NEEDS_DATA | NEEDS_DEVICE },
	{ NAME("subscribe"), NEEDS_DEVICE | NEEDS_CHANNEL },
	{ NAME("unsubscribe"), NEEDS_DEVICE | NEEDS_CHANNEL },
	{ NAME("count"), MAY_CHANNEL },
	{ NAME("list"), MAY_CHANNEL },
	{ NAME("channels"), MAY_DEVICE },
	{ NAME("info"), NEEDS_DEVICE },
	{ NAME("kick"), NEEDS_DEVICE | MAY_CLOSE },
	{ NAME("stats"), 0 },
	{ NAME("watch"), MAY_WATCH },
};

enum field {
	ACTION, DEVICE, CHANNEL, DATA, EXCEPT, CODE, REASON, EVENTS, SNAPSHOT,
	FIELDS
};

static const struct name fields[FIELDS] = {
	NAME("action"), NAME("device"), NAME("channel"), NAME("data"),
	NAME("except"), NAME("code"), NAME("reason"), NAME("events"),
	NAME("snapshot")
};
#define FIELD_MAX 8 /* bytes of the longest of these */
#define CLOSE_REASON_MAX (WS_CONTROL_MAX - 2) /* RFC 6455 section 5.5.1 */

/*
 * Writes an error message that quotes the backend's input as written. JSON has
 * no control characters there, so the reply remains one line. The quotation is
 * cut between two characters: a byte 10xxxxxx does not begin one.
 */
static int
fail_quoting(char detail[WS_ERROR_MAX], const char *what,
    struct ws_text text)
{
	size_t n = text.len;

	if (n > QUOTE_MAX)
		for (n = QUOTE_MAX; n > 0 && (text.s[n] & 0xc0) == 0x80; n--)
			;
	return ws_fail(detail, "%s %.*s%s", what, (int)n, text.s,
	    n < text.len ? "..." : "");
}

/* A command. The strings point into the input or the two buffers. */
struct command {
	int action;
	struct ws_text value[FIELDS], device, channel, except;
	char device_buf[WS_NAME_MAX], channel_buf[WS_NAME_MAX];
	char except_buf[WS_NAME_MAX], reason[CLOSE_REASON_MAX + 1];
	unsigned code, events; /* of kick and watch */
	int snapshot;
	char detail[WS_ERROR_MAX]; /* an error message */
	int newline; /* a newline follows it */
};

static int
is_name(const struct name *name, const char *s, ssize_t n)
{
	return n == name->len && memcmp(s, name->s, name->len) == 0;
}

/* Finds the fields of an object. Other members are ignored. */
static void
find_fields(struct ws_text object, struct ws_text value[FIELDS])
{
	struct ws_text name, v;
	char plain[FIELD_MAX];
	ssize_t n;
	int i;

	memset(value, 0, FIELDS * sizeof *value);
	while (ws_json_member(&object, &name, &v)) {
		n = ws_json_string(plain, sizeof plain, name);
		for (i = 0; i < FIELDS; i++)
			if (is_name(&fields[i], plain, n)) {
				value[i] = v;
				break;
			}
	}
}

/* Reads a name: a string, or a number, of which the digits are the name. */
static int
read_name(struct command *cmd, enum field field, char buf[WS_NAME_MAX],
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

static int
read_action(struct command *cmd)
{
	struct ws_text value = cmd->value[ACTION];
	char name[16];
	ssize_t n;
	int i;

	if (value.s == NULL)
		return ws_fail(cmd->detail, "no \"action\"");
	if (*value.s != '"')
		return ws_fail(cmd->detail, "\"action\" is not a string");
	n = ws_json_string(name, sizeof name, value);
	for (i = 0; i < ACTIONS; i++)
		if (is_name(&actions[i].name, name, n)) {
			cmd->action = i;
			return 0;
		}
	return fail_quoting(cmd->detail, "unknown action", value);
}

/* The same; without the field, name->len is 0. */
static int
read_optional(struct command *cmd, enum field field, char buf[WS_NAME_MAX],
    struct ws_text *name)
{
	name->len = 0;
	return cmd->value[field].s == NULL ? 0 :
	    read_name(cmd, field, buf, name);
}

/* Reads the Close code and reason of kick: RFC 6455 section 7.4.2. */
static int
read_close(struct command *cmd)
{
	struct ws_text code = cmd->value[CODE], reason = cmd->value[REASON];
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
	n = ws_json_string(cmd->reason, CLOSE_REASON_MAX, reason);
	if (n < 0 || memchr(text.s, '\0', (size_t)n) != NULL)
		return ws_fail(cmd->detail, "\"reason\" is not a string of at "
		    "most %d bytes", CLOSE_REASON_MAX);
	cmd->reason[n] = '\0';
	return 0;
}

/* Reads which events to watch. */
static int
read_watch(struct command *cmd)
{
	struct ws_text rest = cmd->value[EVENTS], element;
	struct ws_text snapshot = cmd->value[SNAPSHOT];
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
			return fail_quoting(cmd->detail, "unknown event",
			    element);
		cmd->events |= 1u << event;
	}
	return 0;
}

/* Parses a complete JSON text: 0, or -1 with an error message in detail. */
static int
read_command(struct command *cmd, struct ws_text object)
{
	int needs;

	cmd->newline = 0;
	cmd->device.len = cmd->channel.len = cmd->except.len = 0;
	if (*object.s != '{')
		return ws_fail(cmd->detail, "not an object");
	find_fields(object, cmd->value);
	if (read_action(cmd) != 0)
		return -1;
	needs = actions[cmd->action].needs;
	if ((needs & NEEDS_DEVICE) != 0 &&
	    read_name(cmd, DEVICE, cmd->device_buf, &cmd->device) != 0)
		return -1;
	if ((needs & NEEDS_CHANNEL) != 0 &&
	    read_name(cmd, CHANNEL, cmd->channel_buf, &cmd->channel) != 0)
		return -1;
	if ((needs & NEEDS_DATA) != 0 && cmd->value[DATA].s == NULL)
		return ws_fail(cmd->detail, "no \"data\"");
	if (needs <= (NEEDS_DATA | NEEDS_DEVICE | NEEDS_CHANNEL))
		return 0;
	if ((needs & MAY_DEVICE) != 0)
		return read_optional(cmd, DEVICE, cmd->device_buf,
		    &cmd->device);
	if ((needs & MAY_CHANNEL) != 0)
		return read_optional(cmd, CHANNEL, cmd->channel_buf,
		    &cmd->channel);
	if ((needs & MAY_EXCEPT) != 0)
		return read_optional(cmd, EXCEPT, cmd->except_buf,
		    &cmd->except);
	return (needs & MAY_CLOSE) != 0 ? read_close(cmd) : read_watch(cmd);
}

/* Sends data to devices: how many it was queued for, or -1: no memory. */
static ssize_t
send_data(struct ws_hub *h, const struct command *cmd)
{
	struct ws_frame *f = ws_frame_json(cmd->value[DATA]);
	const struct ws_device *except = cmd->except.len == 0 ? NULL :
	    ws_hub_find(h, cmd->except);
	size_t done;

	if (f == NULL)
		return -1;
	if (cmd->action == MULTICAST)
		done = ws_hub_multicast(h, f, except);
	else if (cmd->action == SEND_TO_CHANNEL)
		done = ws_hub_publish(h, cmd->channel, f, except);
	else
		done = ws_hub_send(h, cmd->device, f);
	ws_frame_release(f);
	h->budget -= (int64_t)done;
	return (ssize_t)done;
}

/* Ends all sessions of a device, and returns their number. */
static ssize_t
kick(struct ws_hub *h, struct ws_device *d, const struct command *cmd)
{
	struct ws_session *s = ws_device_sessions(d), *next;
	ssize_t n = 0;

	for (; s != NULL; s = next, n++) {
		next = s->next; /* with the last one, the device ends */
		h->owner->kick(s, cmd->code, cmd->reason, h->arg);
	}
	h->budget -= n;
	return n;
}

/* Begins to watch, or changes that: 1 if it begins, else 0. -1 with detail. */
static ssize_t
watch(struct ws_hub *h, struct ws_control *c, struct command *cmd)
{
	int begins = c->watcher == NULL;

	if (begins && ws_watch_count(h) >= h->max_watchers)
		return ws_fail(cmd->detail, "%u backends watch already",
		    (unsigned)h->max_watchers);
	if (ws_watch_begin(h, &c->watcher, &c->out, cmd->events,
	    cmd->snapshot) != 0)
		return ws_fail(cmd->detail, "out of memory");
	return begins;
}

/*
 * Executes a command: the count for the OK reply, or -1 with detail. Instead of
 * the count, the reply to a question may have c->answer or c->list.
 */
static ssize_t
execute(struct ws_hub *h, struct ws_control *c, struct command *cmd)
{
	const struct ws_channel *channel;
	struct ws_device *d = NULL;
	ssize_t done = 0;

	if (cmd->device.len != 0 && cmd->action != SEND_TO_DEVICE) {
		d = ws_hub_find(h, cmd->device);
		if (d == NULL)
			return fail_quoting(cmd->detail, "unknown device",
			    cmd->value[DEVICE]);
	}
	switch (cmd->action) {
	case MULTICAST:
	case SEND_TO_CHANNEL:
	case SEND_TO_DEVICE:
		done = send_data(h, cmd);
		break;
	case SUBSCRIBE:
		done = ws_hub_subscribe(h, d, cmd->channel);
		break;
	case UNSUBSCRIBE:
		done = ws_hub_unsubscribe(h, d, cmd->channel);
		break;
	case COUNT:
		if (cmd->channel.len == 0)
			return (ssize_t)h->count;
		channel = ws_hub_find_channel(h, cmd->channel);
		return channel == NULL ? 0 : (ssize_t)ws_channel_count(channel);
	case LIST:
	case CHANNELS:
		if (d != NULL) {
			ws_watch_channels(d, &c->answer);
			break;
		}
		c->list = ws_list_new(cmd->action == CHANNELS, cmd->channel);
		if (c->list == NULL)
			done = -1;
		break;
	case INFO:
		ws_watch_info(h, d, &c->answer);
		break;
	case KICK:
		return kick(h, d, cmd);
	case STATS:
		ws_watch_stats(h, &c->answer);
		break;
	case WATCH:
		return watch(h, c, cmd);
	}
	if (c->answer.failed)
		done = -1;
	return done >= 0 ? done : ws_fail(cmd->detail, "out of memory");
}

/* -------------------------------------------------------------- the stream */

static void
append(struct ws_control *c, const char *text, size_t len)
{
	ws_output_add(&c->out, text, len);
}

/* Frees a detail that is not asked for, or has been sent. */
static void
free_answer(struct ws_control *c)
{
	ws_output_free(&c->answer);
	c->answer.failed = 0;
	free(c->list);
	c->list = NULL;
}

static void
reply_ok(struct ws_control *c, size_t count)
{
	char digits[24], *p = digits + sizeof digits;

	*--p = '\0';
	do
		*--p = (char)('0' + count % 10);
	while ((count /= 10) != 0);
	memcpy(c->detail, p, (size_t)(digits + sizeof digits - p));
	append(c, "OK", 2);
}

/*
 * Ends the reply's line, with its detail. A list is only begun, and c is busy
 * until continue_output has ended it.
 */
static void
end_line(struct ws_hub *h, struct ws_control *c)
{
	if (c->line_open == CLOSED)
		return;
	c->line_open = CLOSED;
	append(c, " ", 1);
	if (c->list != NULL) {
		ws_list_begin(h, c->list, &c->out);
		if (c->watcher != NULL)
			ws_watch_hold(c->watcher, 1);
		return;
	}
	if (c->answer.len != 0)
		append(c, c->answer.s, c->answer.len);
	else
		append(c, c->detail, strlen(c->detail));
	append(c, "\n", 1);
	free_answer(c);
}

/* Handles a newline after a text. */
static void
take_newline(struct ws_hub *h, struct ws_control *c)
{
	if (c->line_open == AFTER_OBJECT || c->line_open == WATCHED)
		c->lines = 1;
	if (c->line_open == WATCHED)
		c->line_open = CLOSED;
	end_line(h, c);
}

/* Writes more of a list and of a snapshot: 1 if there is none any more. */
static int
continue_output(struct ws_hub *h, struct ws_control *c)
{
	if (c->list != NULL && c->list->out != NULL) {
		if (!ws_list_continue(h, c->list))
			return 0;
		append(c, "\n", 1);
		free_answer(c);
		if (c->watcher != NULL)
			ws_watch_hold(c->watcher, 0);
	}
	if (c->watcher != NULL && ws_watch_snapshotting(c->watcher))
		ws_watch_continue(h, c->watcher);
	return !ws_control_busy(c);
}

/*
 * Replies with an error; c->detail has the message. A watcher gets the whole
 * line at once, because an event may be the next.
 */
static void
reply_error(struct ws_control *c)
{
	c->errors++;
	append(c, "ERR", 3);
	if (c->watcher == NULL)
		return;
	append(c, " ", 1);
	append(c, c->detail, strlen(c->detail));
	append(c, "\n", 1);
}

static void
free_text(struct ws_control *c)
{
	ws_output_free(&c->text);
	c->text.failed = 0;
}

/* Skips an invalid text, whose end is unknown. c->detail has the message. */
static void
begin_resync(struct ws_control *c)
{
	free_text(c);
	c->state = RESYNC;
	if (c->lines)
		reply_error(c);
}

/* The next byte may begin a text. */
static void
end_resync(struct ws_control *c)
{
	c->state = BETWEEN;
	if (!c->lines)
		reply_error(c);
	if (c->watcher == NULL)
		c->line_open = AFTER_ERROR;
}

/* Replies to a text, which was an object or not. */
static void
reply(struct ws_hub *h, struct ws_control *c, const struct command *cmd,
    ssize_t count, int object)
{
	c->line_open = object ? AFTER_OBJECT : AFTER_ERROR;
	if (count >= 0) {
		reply_ok(c, (size_t)count);
		if (c->watcher != NULL)
			end_line(h, c);
	} else {
		memcpy(c->detail, cmd->detail, sizeof c->detail);
		reply_error(c);
		free_answer(c);
	}
	if (c->watcher != NULL)
		c->line_open = object ? WATCHED : CLOSED;
	if (cmd->newline)
		take_newline(h, c);
}

/*
 * State of one ws_control_feed. A command stays pending until the next text has
 * been read: meanwhile its device is loaded into the CPU's cache, in two steps
 * (ws_hub_prefetch_...). It is executed earlier if the input it points to would
 * go away.
 */
struct feed {
	struct ws_hub *h;
	struct ws_control *c;
	struct command commands[2], *pending, *next; /* pending: or NULL */
};

static void
execute_pending(struct feed *f)
{
	struct command *cmd = f->pending;

	f->pending = NULL;
	if (cmd != NULL)
		reply(f->h, f->c, cmd, execute(f->h, f->c, cmd), 1);
}

/* Handles a text that ends after n bytes of piece and may begin in c->text. */
static void
end_text(struct feed *f, const char *piece, size_t n)
{
	struct ws_control *c = f->c;
	struct command *cmd = f->next;
	struct ws_text text = { piece, n };
	int bad;

	if (c->text.len != 0) { /* and so no command is pending */
		ws_output_add(&c->text, piece, n);
		if (c->text.failed) {
			ws_fail(c->detail, "out of memory");
			begin_resync(c);
			end_resync(c); /* here the end is known */
			return;
		}
		text.s = c->text.s;
		text.len = c->text.len;
	}
	c->objects++;
	c->state = BETWEEN;
	if (f->pending != NULL)
		ws_hub_prefetch_device(f->h, f->pending->device);
	bad = read_command(cmd, text);
	if (!bad)
		ws_hub_prefetch_bucket(f->h, cmd->device);
	execute_pending(f);
	if (bad) {
		reply(f->h, c, cmd, -1, *text.s == '{');
	} else {
		f->next = &f->commands[cmd == &f->commands[0]];
		f->pending = cmd;
	}
	/* While it answers a question, no other command may be pending. */
	if (c->text.len != 0 || (!bad && cmd->action >= COUNT))
		execute_pending(f);
	if (c->text.len != 0)
		free_text(c);
}

/* Reads a text, or a part of it, from piece; returns the bytes used. */
static size_t
take_text(struct feed *f, const char *piece, size_t len)
{
	struct ws_control *c = f->c;
	ssize_t n = ws_json_scan(&c->json, piece, len);
	size_t used = n >= 0 ? (size_t)n : len;

	f->h->budget -= OBJECT_COST;
	if (n == WS_BAD)
		used = c->json.offset - c->text.len;
	if (n >= 0 && c->text.len + used <= WS_TEXT_MAX) {
		end_text(f, piece, used);
		return used;
	}
	execute_pending(f);
	if (c->text.len + used > WS_TEXT_MAX) {
		used = WS_TEXT_MAX - c->text.len;
		ws_fail(c->detail, "longer than %d bytes", WS_TEXT_MAX);
		begin_resync(c);
	} else if (n == WS_BAD) {
		ws_fail(c->detail, "not JSON at byte %zu: %s",
		    c->json.offset, c->json.reason);
		begin_resync(c);
	} else {
		ws_output_add(&c->text, piece, used);
		if (c->text.failed) {
			ws_fail(c->detail, "out of memory");
			begin_resync(c);
		}
	}
	return used;
}

/* see ws.h */
size_t
ws_control_feed(struct ws_hub *h, struct ws_control *c, const char *data,
    size_t len)
{
	const char *p = data, *end = data + len;
	struct feed f;

	f.h = h;
	f.c = c;
	f.pending = NULL;
	f.next = f.commands;
	/* A newline belongs to the command before it, so it is always read. */
	while (continue_output(h, c) && p < end &&
	    (h->budget > 0 || *p == '\n')) {
		switch (c->state) {
		case BETWEEN:
			if (*p == '\n') {
				if (f.pending != NULL)
					f.pending->newline = 1;
				else
					take_newline(h, c);
				p++;
			} else if (*p == ' ' || *p == '\t' || *p == '\r') {
				p++;
			} else {
				c->line_open = CLOSED;
				if (c->list != NULL || c->answer.len != 0)
					free_answer(c);
				memset(&c->json, 0, sizeof c->json);
				c->state = TEXT;
			}
			break;
		case TEXT:
			p += take_text(&f, p, (size_t)(end - p));
			break;
		case RESYNC:
			p = memchr(p, '\n', (size_t)(end - p));
			if (p == NULL)
				return len; /* no command is pending */
			end_resync(c);
			break;
		}
	}
	execute_pending(&f);
	return (size_t)(p - data);
}

/* see ws.h */
int
ws_control_resyncing(const struct ws_control *c)
{
	return c->state == RESYNC;
}

/* see ws.h */
void
ws_control_resync(struct ws_control *c)
{
	if (c->state == RESYNC && !c->lines)
		end_resync(c);
}

/* see ws.h */
void
ws_control_end(struct ws_control *c)
{
	if (c->state == TEXT) {
		ws_fail(c->detail, "ends in the middle");
		begin_resync(c);
	}
	ws_control_resync(c);
}

/* see ws.h */
int
ws_control_busy(const struct ws_control *c)
{
	if (c->out.failed)
		return 0;
	return (c->list != NULL && c->list->out != NULL) ||
	    (c->watcher != NULL && ws_watch_snapshotting(c->watcher));
}

/* see ws.h */
void
ws_control_sent(struct ws_control *c, size_t n)
{
	ws_output_remove(&c->out, n);
	if (c->watcher != NULL)
		ws_watch_sent(c->watcher);
}

/* see ws.h */
void
ws_control_free(struct ws_control *c)
{
	ws_watch_end(c->watcher);
	free_answer(c);
	ws_output_free(&c->out);
	free_text(c);
	memset(c, 0, sizeof *c);
}
