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
 * reply to an invalid text, or to an object.
 */
enum { CLOSED, AFTER_ERROR, AFTER_OBJECT };

/* ---------------------------------------------------------------- actions */

enum action {
	MULTICAST, SEND_TO_CHANNEL, SEND_TO_DEVICE, SUBSCRIBE, UNSUBSCRIBE,
	ACTIONS
};

enum { NEEDS_DATA = 1, NEEDS_DEVICE = 2, NEEDS_CHANNEL = 4 };

struct name {
	unsigned char len;
	char s[14];
};
#define NAME(literal) { sizeof(literal) - 1, literal }

static const struct {
	struct name name;
	unsigned char needs;
} actions[ACTIONS] = {
	{ NAME("multicast"), NEEDS_DATA },
	{ NAME("sendToChannel"), NEEDS_DATA | NEEDS_CHANNEL },
	{ NAME("sendToDevice"), NEEDS_DATA | NEEDS_DEVICE },
	{ NAME("subscribe"), NEEDS_DEVICE | NEEDS_CHANNEL },
	{ NAME("unsubscribe"), NEEDS_DEVICE | NEEDS_CHANNEL },
};

enum field { ACTION, DEVICE, CHANNEL, DATA, FIELDS };

static const struct name fields[FIELDS] = {
	NAME("action"), NAME("device"), NAME("channel"), NAME("data")
};
#define FIELD_MAX 7 /* bytes of the longest of these */

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
	struct ws_text value[FIELDS], device, channel;
	char device_buf[WS_NAME_MAX], channel_buf[WS_NAME_MAX];
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

/* Parses a complete JSON text: 0, or -1 with an error message in detail. */
static int
read_command(struct command *cmd, struct ws_text object)
{
	int needs;

	cmd->newline = 0;
	cmd->device.len = 0;
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
	return 0;
}

/* Executes a command: the count for the OK reply, or -1 with detail. */
static ssize_t
execute(struct ws_hub *h, struct command *cmd)
{
	struct ws_frame *f = NULL;
	struct ws_device *d = NULL;
	ssize_t done = -1;

	if ((actions[cmd->action].needs & NEEDS_DATA) != 0) {
		f = ws_frame_json(cmd->value[DATA]);
		if (f == NULL)
			return ws_fail(cmd->detail, "out of memory");
	} else {
		d = ws_hub_find(h, cmd->device);
		if (d == NULL)
			return fail_quoting(cmd->detail, "unknown device",
			    cmd->value[DEVICE]);
	}

	switch (cmd->action) {
	case MULTICAST:
		done = (ssize_t)ws_hub_multicast(h, f);
		break;
	case SEND_TO_CHANNEL:
		done = (ssize_t)ws_hub_publish(h, cmd->channel, f);
		break;
	case SEND_TO_DEVICE:
		done = (ssize_t)ws_hub_send(h, cmd->device, f);
		break;
	case SUBSCRIBE:
		done = ws_hub_subscribe(h, d, cmd->channel);
		break;
	case UNSUBSCRIBE:
		done = ws_hub_unsubscribe(h, d, cmd->channel);
		break;
	}
	ws_frame_release(f);
	if (f != NULL)
		h->budget -= done;
	return done >= 0 ? done : ws_fail(cmd->detail, "out of memory");
}

/* -------------------------------------------------------------- the stream */

/* Grows a buffer to at least len bytes, by doubling. */
static int
make_room(char **buf, size_t *room, size_t len)
{
	size_t n = *room == 0 ? 256 : *room;
	char *more;

	if (len <= *room)
		return 0;
	while (n < len)
		n *= 2;
	more = realloc(*buf, n);
	if (more == NULL)
		return -1;
	*buf = more;
	*room = n;
	return 0;
}

static void
append(struct ws_control *c, const char *text, size_t len)
{
	if (c->lost || make_room(&c->out, &c->outroom, c->outlen + len) != 0) {
		c->lost = 1;
		return;
	}
	memcpy(c->out + c->outlen, text, len);
	c->outlen += len;
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

/* c->detail has the error message. */
static void
reply_error(struct ws_control *c)
{
	c->errors++;
	append(c, "ERR", 3);
}

/* Handles a newline after a text: ends the reply's line, with its detail. */
static void
end_line(struct ws_control *c)
{
	if (c->line_open == CLOSED)
		return;
	append(c, " ", 1);
	append(c, c->detail, strlen(c->detail));
	append(c, "\n", 1);
	if (c->line_open == AFTER_OBJECT)
		c->lines = 1;
	c->line_open = CLOSED;
}

static void
free_text(struct ws_control *c)
{
	free(c->text);
	c->text = NULL;
	c->len = c->room = 0;
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
	c->line_open = AFTER_ERROR;
	if (!c->lines)
		reply_error(c);
}

/* Replies to a text, which was an object or not. */
static void
reply(struct ws_control *c, const struct command *cmd, ssize_t count,
    int object)
{
	if (count >= 0) {
		reply_ok(c, (size_t)count);
	} else {
		memcpy(c->detail, cmd->detail, sizeof c->detail);
		reply_error(c);
	}
	c->line_open = object ? AFTER_OBJECT : AFTER_ERROR;
	if (cmd->newline)
		end_line(c);
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
		reply(f->c, cmd, execute(f->h, cmd), 1);
}

/* Handles a text that ends after n bytes of piece and may begin in c->text. */
static void
end_text(struct feed *f, const char *piece, size_t n)
{
	struct ws_control *c = f->c;
	struct command *cmd = f->next;
	struct ws_text text = { piece, n };
	int bad;

	if (c->len != 0) { /* and so no command is pending */
		if (make_room(&c->text, &c->room, c->len + n) != 0) {
			ws_fail(c->detail, "out of memory");
			begin_resync(c);
			end_resync(c); /* here the end is known */
			return;
		}
		if (n != 0)
			memcpy(c->text + c->len, piece, n);
		text.s = c->text;
		text.len = c->len + n;
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
		reply(c, cmd, -1, *text.s == '{');
	} else {
		f->next = &f->commands[cmd == &f->commands[0]];
		f->pending = cmd;
	}
	if (c->len != 0) {
		execute_pending(f);
		free_text(c);
	}
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
		used = c->json.offset - c->len;
	if (n >= 0 && c->len + used <= WS_TEXT_MAX) {
		end_text(f, piece, used);
		return used;
	}
	execute_pending(f);
	if (c->len + used > WS_TEXT_MAX) {
		used = WS_TEXT_MAX - c->len;
		ws_fail(c->detail, "longer than %d bytes", WS_TEXT_MAX);
		begin_resync(c);
	} else if (n == WS_BAD) {
		ws_fail(c->detail, "not JSON at byte %zu: %s",
		    c->json.offset, c->json.reason);
		begin_resync(c);
	} else if (make_room(&c->text, &c->room, c->len + used) != 0) {
		ws_fail(c->detail, "out of memory");
		begin_resync(c);
	} else {
		memcpy(c->text + c->len, piece, used);
		c->len += used;
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
	while (p < end && (h->budget > 0 || *p == '\n')) {
		switch (c->state) {
		case BETWEEN:
			if (*p == '\n') {
				if (f.pending != NULL)
					f.pending->newline = 1;
				else
					end_line(c);
				p++;
			} else if (*p == ' ' || *p == '\t' || *p == '\r') {
				p++;
			} else {
				c->line_open = CLOSED;
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
void
ws_control_sent(struct ws_control *c, size_t n)
{
	if (n == 0)
		return; /* c->out may be NULL, which memmove does not allow */
	c->outlen -= n;
	if (c->outlen != 0)
		memmove(c->out, c->out + n, c->outlen);
}

/* see ws.h */
void
ws_control_free(struct ws_control *c)
{
	free(c->text);
	free(c->out);
	memset(c, 0, sizeof *c);
}
