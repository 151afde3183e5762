/* wshub: ISC licence, see LICENSE. */
/*
 * A backend of the relay: reads JSON objects, publishes them, writes replies.
 *
 * The replies are those of a hub, see control.c. But a reply has to wait until
 * the broker has acknowledged the command, and all replies before it. So they
 * are in a ring: flush_replies writes those at its beginning that are done. Of
 * the last one that is written, a newline may still follow.
 */
#include <sys/types.h>
#include <stdlib.h>
#include <string.h>

#include "relay.h"

#define LONGER 4096 /* bytes that a command may be longer once it is relayed */

/* Values of open: what a newline would follow. */
enum { CLOSED, AFTER_ERROR, AFTER_OBJECT };

static void
add(struct ws_local *l, const char *s)
{
	ws_output_add(&l->out, s, strlen(s));
}

/* ----------------------------------------------------------------- replies */

/* Ends the line of a reply that has been written. */
static void
end_line(struct ws_local *l)
{
	l->line_open = 0;
	add(l, " ");
	add(l, l->detail);
	add(l, "\n");
}

static void
flush_replies(struct ws_local *l)
{
	struct ws_local_reply *r;

	for (; l->count > 0 && (r = &l->replies[l->first])->done; l->count--) {
		l->first = (l->first + 1) % WS_LOCAL_FLIGHT;
		add(l, r->failed ? "ERR" : "OK");
		l->errors += r->failed;
		strcpy(l->detail, r->detail != NULL ? r->detail :
		    r->failed ? "out of memory" : "relayed");
		free(r->detail);
		r->detail = NULL;
		l->line_open = 1;
		if (r->newline)
			end_line(l);
	}
}

static struct ws_local_reply *
last_reply(struct ws_local *l)
{
	return &l->replies[(l->first + l->count - 1) % WS_LOCAL_FLIGHT];
}

static void
set_detail(struct ws_local_reply *r, const char *error)
{
	r->detail = error == NULL ? NULL : malloc(strlen(error) + 1);
	if (r->detail != NULL)
		strcpy(r->detail, error);
}

/* Appends a reply; there is room. Without detail it is to be answered later. */
static void
add_reply(struct ws_local *l, const char *error)
{
	struct ws_local_reply *r;

	l->count++;
	r = last_reply(l);
	memset(r, 0, sizeof *r);
	if (error == NULL)
		return;
	r->done = r->failed = 1;
	set_detail(r, error);
	flush_replies(l);
}

/* A newline follows the last text. */
static void
take_newline(struct ws_local *l)
{
	if (!l->open)
		return;
	l->open = CLOSED;
	if (l->count > 0)
		last_reply(l)->newline = 1;
	else if (l->line_open)
		end_line(l);
}

/* see relay.h */
void
ws_local_answer(struct ws_local *l, const char *error)
{
	struct ws_local_reply *r = &l->replies[l->first];

	if (l->count == 0)
		return;
	r->done = 1; /* it was not: flush_replies leaves none at the front */
	r->failed = error != NULL;
	set_detail(r, error);
	flush_replies(l);
}

/* -------------------------------------------------------------- the stream */

/* The next byte may begin a text. l->error tells what was wrong before. */
static void
end_resync(struct ws_local *l)
{
	if (!l->lines)
		add_reply(l, l->error);
	l->open = AFTER_ERROR;
}

/* Whether a relay can make a command of it: not all that fits comes back. */
static int
comes_back(struct ws_text topic, struct ws_text payload,
    char detail[WS_ERROR_MAX])
{
	struct ws_output out = { 0 };
	const char *error = NULL;
	int bad = ws_topic_command(&out, topic, payload, &error);

	if (out.failed)
		bad = ws_fail(detail, "out of memory");
	else if (bad)
		ws_fail(detail, "%s", error);
	ws_output_free(&out);
	return !bad;
}

/* Publishes a command, or replies with an error. */
static void
execute(struct ws_local *l, struct ws_text text)
{
	struct ws_command cmd;
	struct ws_text topic, payload;
	char buf[WS_TOPIC_MAX];

	l->objects++;
	l->open = *text.s == '{' ? AFTER_OBJECT : AFTER_ERROR;
	if (ws_command_read(&cmd, text) != 0) {
		add_reply(l, cmd.detail);
		return;
	}
	if (cmd.action >= WS_ACTION_COUNT) {
		add_reply(l, "a question is for the hub's own socket");
		return;
	}
	topic.s = buf;
	topic.len = ws_topic_of(&cmd, text, buf, &payload);
	if ((text.len > WS_TEXT_MAX - LONGER &&
	    !comes_back(topic, payload, cmd.detail)) ||
	    l->publish(l, topic, payload, cmd.detail) != 0)
		add_reply(l, cmd.detail);
	else
		add_reply(l, NULL);
}

/* Whether a text can be taken: its reply has room. */
static int
has_room(const struct ws_local *l)
{
	return l->count < WS_LOCAL_FLIGHT && l->out.len < WS_REPLIES_MAX;
}

/* Handles what was found in the stream. */
static void
take(struct ws_local *l, enum ws_stream_event event, struct ws_text text,
    const char *error)
{
	switch (event) {
	case WS_STREAM_MORE:
		break;
	case WS_STREAM_NEWLINE:
		if (l->open == AFTER_OBJECT)
			l->lines = 1;
		take_newline(l);
		break;
	case WS_STREAM_TEXT:
		execute(l, text);
		if (l->in.text.len != 0)
			ws_stream_free(&l->in);
		break;
	case WS_STREAM_BAD:
	case WS_STREAM_DROPPED:
		l->open = CLOSED;
		strcpy(l->error, error);
		if (l->lines)
			add_reply(l, error);
		if (event == WS_STREAM_DROPPED)
			end_resync(l);
		break;
	case WS_STREAM_RESYNCED:
		end_resync(l);
		break;
	}
}

/* see relay.h */
size_t
ws_local_feed(struct ws_local *l, const char *data, size_t len)
{
	const char *p = data, *end = data + len;
	enum ws_stream_event event;
	char error[WS_ERROR_MAX];
	struct ws_text text = { NULL, 0 };

	/* A newline needs no room. */
	while (p < end && (has_room(l) ||
	    (*p == '\n' && l->in.state == WS_STREAM_BETWEEN))) {
		event = ws_stream_next(&l->in, &p, end, &text, error);
		take(l, event, text, error);
	}
	return (size_t)(p - data);
}

/* see relay.h */
int
ws_local_resyncing(const struct ws_local *l)
{
	return l->in.state == WS_STREAM_RESYNC;
}

/* see relay.h */
void
ws_local_resync(struct ws_local *l)
{
	if (l->in.state != WS_STREAM_RESYNC || l->lines)
		return;
	l->in.state = WS_STREAM_BETWEEN;
	end_resync(l);
}

/* see relay.h */
void
ws_local_end(struct ws_local *l)
{
	if (ws_stream_end(&l->in, l->error) != 0) {
		l->open = CLOSED;
		if (l->lines)
			add_reply(l, l->error);
	}
	ws_local_resync(l);
}

/* see relay.h */
void
ws_local_free(struct ws_local *l)
{
	unsigned i;

	for (i = 0; i < WS_LOCAL_FLIGHT; i++)
		free(l->replies[i].detail);
	ws_output_free(&l->out);
	ws_stream_free(&l->in);
}
