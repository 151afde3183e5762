/* wshub: ISC licence, see LICENSE. */
/*
 * A backend of the relay: reads JSON objects, publishes them, writes replies.
 *
 * The stream and the replies are those of a hub, see control.c: BETWEEN two
 * texts, in a TEXT, or in RESYNC after an invalid one. But a reply has to wait
 * until the broker has acknowledged the command, and all replies before it. So
 * they are in a ring: flush_replies writes those at its beginning that are
 * done. Of the last one that is written, a newline may still follow.
 */
#include <sys/types.h>
#include <stdlib.h>
#include <string.h>

#include "relay.h"

enum { BETWEEN, TEXT, RESYNC };

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

static void
free_text(struct ws_local *l)
{
	ws_output_free(&l->text);
	l->text.failed = 0;
}

/* Skips an invalid text, whose end is unknown. */
static void
begin_resync(struct ws_local *l, const char *error)
{
	free_text(l);
	l->state = RESYNC;
	ws_fail(l->error, "%s", error);
	if (l->lines)
		add_reply(l, l->error);
}

/* The next byte may begin a text. */
static void
end_resync(struct ws_local *l)
{
	l->state = BETWEEN;
	if (!l->lines)
		add_reply(l, l->error);
	l->open = AFTER_ERROR;
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
	if (l->publish(l, topic, payload, cmd.detail) != 0)
		add_reply(l, cmd.detail);
	else
		add_reply(l, NULL);
}

/* Handles a text that ends after n bytes of piece and may begin in l->text. */
static void
end_text(struct ws_local *l, const char *piece, size_t n)
{
	struct ws_text text = { piece, n };

	l->state = BETWEEN;
	if (l->text.len != 0) {
		ws_output_add(&l->text, piece, n);
		if (l->text.failed) {
			begin_resync(l, "out of memory");
			end_resync(l); /* here the end is known */
			return;
		}
		text.s = l->text.s;
		text.len = l->text.len;
	}
	execute(l, text);
	free_text(l);
}

/* Reads a text, or a part of it, from piece; returns the bytes used. */
static size_t
take_text(struct ws_local *l, const char *piece, size_t len)
{
	ssize_t n = ws_json_scan(&l->json, piece, len);
	size_t used = n >= 0 ? (size_t)n : len;
	char error[WS_ERROR_MAX];

	if (n == WS_BAD)
		used = l->json.offset - l->text.len;
	if (l->text.len + used > WS_TEXT_MAX) {
		used = WS_TEXT_MAX - l->text.len;
		ws_fail(error, "longer than %d bytes", WS_TEXT_MAX);
		begin_resync(l, error);
	} else if (n >= 0) {
		end_text(l, piece, used);
	} else if (n == WS_BAD) {
		ws_fail(error, "not JSON at byte %zu: %s", l->json.offset,
		    l->json.reason);
		begin_resync(l, error);
	} else {
		ws_output_add(&l->text, piece, used);
		if (l->text.failed)
			begin_resync(l, "out of memory");
	}
	return used;
}

/* Whether a text can be taken: its reply has room. */
static int
has_room(const struct ws_local *l)
{
	return l->count < WS_LOCAL_FLIGHT && l->out.len < WS_REPLIES_MAX;
}

/* Takes a byte between two texts. Returns 1 if it is used. */
static int
take_between(struct ws_local *l, char c)
{
	if (c == '\n') {
		if (l->open == AFTER_OBJECT)
			l->lines = 1;
		take_newline(l);
		return 1;
	}
	if (c == ' ' || c == '\t' || c == '\r')
		return 1;
	l->open = CLOSED;
	memset(&l->json, 0, sizeof l->json);
	l->state = TEXT;
	return 0;
}

/* see relay.h */
size_t
ws_local_feed(struct ws_local *l, const char *data, size_t len)
{
	const char *p = data, *end = data + len;

	while (p < end && (has_room(l) ||
	    (l->state == BETWEEN && *p == '\n'))) {
		switch (l->state) {
		case BETWEEN:
			p += take_between(l, *p);
			break;
		case TEXT:
			p += take_text(l, p, (size_t)(end - p));
			break;
		case RESYNC:
			p = memchr(p, '\n', (size_t)(end - p));
			if (p == NULL)
				return len;
			end_resync(l);
			break;
		}
	}
	return (size_t)(p - data);
}

/* see relay.h */
int
ws_local_resyncing(const struct ws_local *l)
{
	return l->state == RESYNC;
}

/* see relay.h */
void
ws_local_resync(struct ws_local *l)
{
	if (l->state == RESYNC && !l->lines)
		end_resync(l);
}

/* see relay.h */
void
ws_local_end(struct ws_local *l)
{
	if (l->state == TEXT)
		begin_resync(l, "ends in the middle");
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
	free_text(l);
}
