/* wshub: ISC licence, see LICENSE. */
/*
 * What a backend says: objects in, what they ask of the hub, replies out.
 *
 * The stream of a backend is in one of three states:
 *
 *   BETWEEN  texts. A newline here ends the line of the last reply, if that
 *            is still open.
 *   TEXT     json knows where in it; c->text has what earlier pieces brought
 *   RESYNC   after a text that was wrong: until a newline, or until all that
 *            was received is gone if this backend does not write lines. Such a
 *            one gets its ERR when that is so, and not before: what it writes
 *            when it has read that is not to be taken for what is skipped
 */
#include <sys/types.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ws.h"

#define QUOTE_MAX 64 /* bytes of a backend's words quoted back to it */

enum { BETWEEN, TEXT, RESYNC };

/* ws_control's open: what newline would end it */
enum { SHUT, AFTER_ERROR, AFTER_OBJECT };

/* ---------------------------------------------------------------- actions */

enum action {
	MULTICAST, SEND_TO_CHANNEL, SEND_TO_DEVICE, SUBSCRIBE, UNSUBSCRIBE,
	ACTIONS
};

enum { NEEDS_DATA = 1, NEEDS_DEVICE = 2, NEEDS_CHANNEL = 4 };

#define TEXT_OF(literal) { literal, sizeof(literal) - 1 }

static const struct {
	struct ws_text name;
	int needs;
} actions[ACTIONS] = {
	{ TEXT_OF("multicast"), NEEDS_DATA },
	{ TEXT_OF("sendToChannel"), NEEDS_DATA | NEEDS_CHANNEL },
	{ TEXT_OF("sendToDevice"), NEEDS_DATA | NEEDS_DEVICE },
	{ TEXT_OF("subscribe"), NEEDS_DEVICE | NEEDS_CHANNEL },
	{ TEXT_OF("unsubscribe"), NEEDS_DEVICE | NEEDS_CHANNEL },
};

enum field { ACTION, DEVICE, CHANNEL, DATA, FIELDS };

static const struct ws_text fields[FIELDS] = {
	TEXT_OF("action"), TEXT_OF("device"), TEXT_OF("channel"),
	TEXT_OF("data")
};
#define FIELD_MAX 7 /* bytes of the longest of these */

#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
static int
refuse(struct ws_control *c, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(c->detail, sizeof c->detail, format, ap);
	va_end(ap);
	return -1;
}

/*
 * Refuses something with the backend's own words, as they stand in its text:
 * there they have no control characters, so the reply stays one line. Cut
 * between characters: a byte 10xxxxxx does not begin one.
 */
static int
refuse_quoting(struct ws_control *c, const char *what, struct ws_text words)
{
	size_t n = words.len;

	if (n > QUOTE_MAX)
		for (n = QUOTE_MAX; n > 0 && (words.s[n] & 0xc0) == 0x80; n--)
			;
	return refuse(c, "%s %.*s%s", what, (int)n, words.s,
	    n < words.len ? "..." : "");
}

/* Finds the fields in an object, whose other members are ignored. */
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
		for (i = 0; n > 0 && i < FIELDS; i++)
			if (fields[i].len == (size_t)n &&
			    memcmp(fields[i].s, plain, (size_t)n) == 0) {
				value[i] = v;
				break;
			}
	}
}

/* A device's or channel's name: a string, or a number taken as its text. */
static int
read_name(struct ws_control *c, enum field field, struct ws_text value,
    char buf[WS_NAME_MAX], struct ws_text *name)
{
	ssize_t n = WS_BAD;

	if (value.s == NULL)
		return refuse(c, "no \"%s\"", fields[field].s);
	if (*value.s == '"') {
		n = ws_json_string(buf, WS_NAME_MAX, value);
	} else if (*value.s == '-' || (*value.s >= '0' && *value.s <= '9')) {
		if (value.len <= WS_NAME_MAX) {
			memcpy(buf, value.s, value.len);
			n = (ssize_t)value.len;
		}
	}
	if (n <= 0)
		return refuse(c, "\"%s\" is not a string of 1 to %d bytes",
		    fields[field].s, WS_NAME_MAX);
	name->s = buf;
	name->len = (size_t)n;
	return 0;
}

static int
read_action(struct ws_control *c, struct ws_text value)
{
	char name[16];
	ssize_t n;
	int i;

	if (value.s == NULL)
		return refuse(c, "no \"action\"");
	if (*value.s != '"')
		return refuse(c, "\"action\" is not a string");
	n = ws_json_string(name, sizeof name, value);
	for (i = 0; n > 0 && i < ACTIONS; i++)
		if (actions[i].name.len == (size_t)n &&
		    memcmp(actions[i].name.s, name, (size_t)n) == 0)
			return i;
	return refuse_quoting(c, "unknown action", value);
}

/* Obeys one whole JSON text: the count for its OK, or -1 with c->detail. */
static ssize_t
obey(struct ws_hub *h, struct ws_control *c, struct ws_text object)
{
	struct ws_text value[FIELDS], device, channel;
	char dbuf[WS_NAME_MAX], cbuf[WS_NAME_MAX];
	struct ws_frame *f = NULL;
	struct ws_device *d = NULL;
	ssize_t done = -1;
	int action;

	if (*object.s != '{')
		return refuse(c, "not an object");
	find_fields(object, value);
	action = read_action(c, value[ACTION]);
	if (action < 0)
		return -1;
	if ((actions[action].needs & NEEDS_DEVICE) != 0 &&
	    read_name(c, DEVICE, value[DEVICE], dbuf, &device) != 0)
		return -1;
	if ((actions[action].needs & NEEDS_CHANNEL) != 0 &&
	    read_name(c, CHANNEL, value[CHANNEL], cbuf, &channel) != 0)
		return -1;
	if ((actions[action].needs & NEEDS_DEVICE) != 0)
		ws_hub_approach(h, device);
	if ((actions[action].needs & NEEDS_DATA) != 0) {
		if (value[DATA].s == NULL)
			return refuse(c, "no \"data\"");
		f = ws_frame_json(value[DATA]);
		if (f == NULL)
			return refuse(c, "out of memory");
	} else {
		d = ws_hub_find(h, device);
		if (d == NULL)
			return refuse_quoting(c, "unknown device",
			    value[DEVICE]);
	}

	switch (action) {
	case MULTICAST:
		done = (ssize_t)ws_hub_multicast(h, f);
		break;
	case SEND_TO_CHANNEL:
		done = (ssize_t)ws_hub_publish(h, channel, f);
		break;
	case SEND_TO_DEVICE:
		done = (ssize_t)ws_hub_send(h, device, f);
		break;
	case SUBSCRIBE:
		done = ws_hub_subscribe(h, d, channel);
		break;
	case UNSUBSCRIBE:
		done = ws_hub_unsubscribe(h, d, channel);
		break;
	}
	ws_frame_drop(f);
	return done >= 0 ? done : refuse(c, "out of memory");
}

/* -------------------------------------------------------------- the stream */

/* Makes room for len bytes in all, doubling. */
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
say(struct ws_control *c, const char *words, size_t len)
{
	if (c->lost || make_room(&c->out, &c->outroom, c->outlen + len) != 0) {
		c->lost = 1;
		return;
	}
	memcpy(c->out + c->outlen, words, len);
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
	say(c, "OK", 2);
}

static void
reply_error(struct ws_control *c)
{
	c->errors++;
	say(c, "ERR", 3);
}

/* A newline is there: it may end the last reply's line. */
static void
end_line(struct ws_control *c)
{
	if (c->open == SHUT)
		return;
	say(c, " ", 1);
	say(c, c->detail, strlen(c->detail));
	say(c, "\n", 1);
	if (c->open == AFTER_OBJECT)
		c->lines = 1;
	c->open = SHUT;
}

static void
forget_text(struct ws_control *c)
{
	free(c->text);
	c->text = NULL;
	c->len = c->room = 0;
}

/* The text cannot be obeyed and its end is not known: detail says why. */
static void
lose_text(struct ws_control *c)
{
	forget_text(c);
	c->state = RESYNC;
	if (c->lines)
		reply_error(c);
}

/* Texts may begin again. */
static void
resynchronise(struct ws_control *c)
{
	c->state = BETWEEN;
	c->open = AFTER_ERROR;
	if (!c->lines)
		reply_error(c);
}

/* A text ends n bytes into piece: obey it, from c->text if it began there. */
static void
end_text(struct ws_hub *h, struct ws_control *c, const char *piece, size_t n)
{
	struct ws_text text = { piece, n };
	ssize_t count;

	if (c->len != 0) {
		if (make_room(&c->text, &c->room, c->len + n) != 0) {
			refuse(c, "out of memory");
			lose_text(c);
			resynchronise(c); /* its end is known */
			return;
		}
		if (n != 0)
			memcpy(c->text + c->len, piece, n);
		text.s = c->text;
		text.len = c->len + n;
	}
	c->objects++;
	c->state = BETWEEN;
	c->open = *text.s == '{' ? AFTER_OBJECT : AFTER_ERROR;
	count = obey(h, c, text);
	if (c->len != 0)
		forget_text(c);
	if (count >= 0)
		reply_ok(c, (size_t)count);
	else
		reply_error(c);
}

/* Takes what piece has of a text; returns the bytes used. */
static size_t
take_text(struct ws_hub *h, struct ws_control *c, const char *piece,
    size_t len)
{
	ssize_t n = ws_json_scan(&c->json, piece, len);
	size_t used = n >= 0 ? (size_t)n : len;

	if (n == WS_BAD)
		used = c->json.offset - c->len;
	if (c->len + used > WS_TEXT_MAX) {
		used = WS_TEXT_MAX - c->len;
		refuse(c, "longer than %d bytes", WS_TEXT_MAX);
		lose_text(c);
	} else if (n == WS_BAD) {
		refuse(c, "not JSON at byte %zu: %s", c->json.offset,
		    c->json.why);
		lose_text(c);
	} else if (n == WS_MORE) {
		if (make_room(&c->text, &c->room, c->len + used) != 0) {
			refuse(c, "out of memory");
			lose_text(c);
		} else {
			memcpy(c->text + c->len, piece, used);
			c->len += used;
		}
	} else {
		end_text(h, c, piece, used);
	}
	return used;
}

/* see ws.h */
void
ws_control_feed(struct ws_hub *h, struct ws_control *c, const char *data,
    size_t len)
{
	const char *p = data, *end = data + len;

	while (p < end) {
		switch (c->state) {
		case BETWEEN:
			if (*p == '\n') {
				end_line(c);
				p++;
			} else if (*p == ' ' || *p == '\t' || *p == '\r') {
				p++;
			} else {
				c->open = SHUT;
				memset(&c->json, 0, sizeof c->json);
				c->state = TEXT;
			}
			break;
		case TEXT:
			p += take_text(h, c, p, (size_t)(end - p));
			break;
		case RESYNC:
			p = memchr(p, '\n', (size_t)(end - p));
			if (p == NULL)
				return;
			resynchronise(c);
			break;
		}
	}
}

/* see ws.h */
int
ws_control_lost(const struct ws_control *c)
{
	return c->state == RESYNC;
}

/* see ws.h */
void
ws_control_drained(struct ws_control *c)
{
	if (c->state == RESYNC && !c->lines)
		resynchronise(c);
}

/* see ws.h */
void
ws_control_end(struct ws_control *c)
{
	if (c->state == TEXT) {
		refuse(c, "ends in the middle");
		lose_text(c);
	}
	ws_control_drained(c);
}

/* see ws.h */
void
ws_control_sent(struct ws_control *c, size_t n)
{
	if (n == 0)
		return; /* there may be no memory yet, and NULL is not for memmove */
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
