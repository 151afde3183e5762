/* wshub: ISC licence, see LICENSE. */
/*
 * A backend's commands: reads JSON objects, executes them, writes replies.
 *
 * A command is a JSON text, and its reply is "OK" or "ERR". If a newline
 * follows the text, the reply gets a detail and a newline as well.
 *
 * After an invalid text, the input is skipped. If the backend writes newlines,
 * it is skipped up to the next one, and ERR is sent at once. Otherwise all input
 * received so far is skipped, and ERR is sent after that: so whatever the
 * backend writes in response to the ERR is not skipped.
 */
#include <sys/types.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ws.h"

#define OBJECT_COST 16 /* of reading a text, measured in deliveries */

/*
 * Values of line_open: no line is open, or a newline would end the line of the
 * reply to an invalid text, or to an object. WATCHED: the reply to an object is
 * a whole line already, because the backend watches.
 */
enum { CLOSED, AFTER_ERROR, AFTER_OBJECT, WATCHED };

/* Sends data to devices: how many it was queued for, or -1: no memory. */
static ssize_t
send_data(struct ws_hub *h, const struct ws_command *cmd)
{
	struct ws_frame *f = ws_frame_json(cmd->value[WS_FIELD_DATA]);
	const struct ws_device *except = cmd->except.len == 0 ? NULL :
	    ws_hub_find(h, cmd->except);
	size_t done;

	if (f == NULL)
		return -1;
	if (cmd->action == WS_ACTION_MULTICAST)
		done = ws_hub_multicast(h, f, except);
	else if (cmd->action == WS_ACTION_SEND_TO_CHANNEL)
		done = ws_hub_publish(h, cmd->channel, f, except);
	else
		done = ws_hub_send(h, cmd->device, f);
	ws_frame_release(f);
	h->budget -= (int64_t)done;
	return (ssize_t)done;
}

/* Ends all sessions of a device, and returns their number. */
static ssize_t
kick(struct ws_hub *h, struct ws_device *d, const struct ws_command *cmd)
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
watch(struct ws_hub *h, struct ws_control *c, struct ws_command *cmd)
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
execute(struct ws_hub *h, struct ws_control *c, struct ws_command *cmd)
{
	const struct ws_channel *channel;
	struct ws_device *d = NULL;
	ssize_t done = 0;

	if (cmd->device.len != 0 && cmd->action != WS_ACTION_SEND_TO_DEVICE) {
		d = ws_hub_find(h, cmd->device);
		if (d == NULL)
			return ws_command_quote(cmd->detail, "unknown device",
			    cmd->value[WS_FIELD_DEVICE]);
	}
	switch (cmd->action) {
	case WS_ACTION_MULTICAST:
	case WS_ACTION_SEND_TO_CHANNEL:
	case WS_ACTION_SEND_TO_DEVICE:
		done = send_data(h, cmd);
		break;
	case WS_ACTION_SUBSCRIBE:
		done = ws_hub_subscribe(h, d, cmd->channel);
		break;
	case WS_ACTION_UNSUBSCRIBE:
		done = ws_hub_unsubscribe(h, d, cmd->channel);
		break;
	case WS_ACTION_COUNT:
		if (cmd->channel.len == 0)
			return (ssize_t)h->count;
		channel = ws_hub_find_channel(h, cmd->channel);
		return channel == NULL ? 0 : (ssize_t)ws_channel_count(channel);
	case WS_ACTION_LIST:
	case WS_ACTION_CHANNELS:
		if (d != NULL) {
			ws_watch_channels(d, &c->answer);
			break;
		}
		c->list = ws_list_new(cmd->action == WS_ACTION_CHANNELS,
		    cmd->channel);
		if (c->list == NULL)
			done = -1;
		break;
	case WS_ACTION_INFO:
		ws_watch_info(h, d, &c->answer);
		break;
	case WS_ACTION_KICK:
		return kick(h, d, cmd);
	case WS_ACTION_STATS:
		ws_watch_stats(h, &c->answer);
		break;
	case WS_ACTION_WATCH:
		return watch(h, c, cmd);
	case WS_ACTIONS:
		break;
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

/* The next byte may begin a text. c->detail tells what was wrong before. */
static void
end_resync(struct ws_control *c)
{
	if (!c->lines)
		reply_error(c);
	c->line_open = c->watcher == NULL ? AFTER_ERROR : CLOSED;
}

/* Replies to a text, which was an object or not. */
static void
reply(struct ws_hub *h, struct ws_control *c, const struct ws_command *cmd,
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
	struct ws_command commands[2], *pending, *next; /* pending: or NULL */
	int newline; /* one follows the pending command */
};

static void
execute_pending(struct feed *f)
{
	struct ws_command *cmd = f->pending;
	int newline = f->newline;

	f->pending = NULL;
	f->newline = 0;
	if (cmd != NULL)
		reply(f->h, f->c, cmd, execute(f->h, f->c, cmd), 1);
	if (newline)
		take_newline(f->h, f->c);
}

/* Handles a complete text. */
static void
take_text(struct feed *f, struct ws_text text)
{
	struct ws_control *c = f->c;
	struct ws_command *cmd = f->next;
	int copied = c->in.text.len != 0; /* and so no command is pending */
	int bad;

	c->objects++;
	if (f->pending != NULL)
		ws_hub_prefetch_device(f->h, f->pending->device);
	bad = ws_command_read(cmd, text);
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
	if (copied || (!bad && cmd->action >= WS_ACTION_KICK))
		execute_pending(f);
	if (copied)
		ws_stream_free(&c->in);
}

/* Handles what was found in the stream. */
static void
take(struct feed *f, enum ws_stream_event event, struct ws_text text,
    const char *error)
{
	struct ws_control *c = f->c;

	switch (event) {
	case WS_STREAM_NEWLINE:
		if (f->pending != NULL)
			f->newline = 1;
		else
			take_newline(f->h, c);
		return;
	case WS_STREAM_RESYNCED:
		end_resync(c);
		return;
	case WS_STREAM_MORE:
		f->h->budget -= OBJECT_COST;
		return;
	case WS_STREAM_TEXT:
	case WS_STREAM_BAD:
	case WS_STREAM_DROPPED:
		f->h->budget -= OBJECT_COST;
		break;
	}
	c->line_open = CLOSED;
	if (c->list != NULL || c->answer.len != 0)
		free_answer(c);
	if (event == WS_STREAM_TEXT) {
		take_text(f, text);
		return;
	}
	execute_pending(f);
	strcpy(c->detail, error);
	if (c->lines)
		reply_error(c);
	if (event == WS_STREAM_DROPPED)
		end_resync(c);
}

/* see ws.h */
size_t
ws_control_feed(struct ws_hub *h, struct ws_control *c, const char *data,
    size_t len)
{
	const char *p = data, *end = data + len;
	enum ws_stream_event event;
	char error[WS_ERROR_MAX];
	struct ws_text text = { NULL, 0 };
	struct feed f;

	f.h = h;
	f.c = c;
	f.pending = NULL;
	f.newline = 0;
	f.next = f.commands;
	/* A newline belongs to the command before it, so it is always read. */
	while (continue_output(h, c) && p < end &&
	    (h->budget > 0 || *p == '\n')) {
		event = ws_stream_next(&c->in, &p, end, &text, error);
		take(&f, event, text, error);
	}
	execute_pending(&f);
	return (size_t)(p - data);
}

/* see ws.h */
int
ws_control_resyncing(const struct ws_control *c)
{
	return c->in.state == WS_STREAM_RESYNC;
}

/* see ws.h */
void
ws_control_resync(struct ws_control *c)
{
	if (c->in.state != WS_STREAM_RESYNC || c->lines)
		return;
	c->in.state = WS_STREAM_BETWEEN;
	end_resync(c);
}

/* see ws.h */
void
ws_control_end(struct ws_control *c)
{
	if (ws_stream_end(&c->in, c->detail) != 0 && c->lines)
		reply_error(c);
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
	ws_stream_free(&c->in);
	memset(c, 0, sizeof *c);
}
