/* wshub: ISC licence, see LICENSE. */
/*
 * What backends see: events, lists, and facts about a device, as JSON.
 *
 * Backends that watch are in a list. An event is written once, to the line in
 * h->watch, and copied to the output of each watcher. If nobody watches,
 * h->watch is NULL and an event costs one comparison. Output that a watcher
 * does not read is limited: events beyond EVENTS_MAX are counted, and the
 * watcher is told how many it has lost as soon as it has read half.
 *
 * A snapshot is a walk through the hub, in pieces, as the watcher reads it. An
 * event about a device or a channel that the walk has not reached is not told:
 * the walk will find its result. So no change is told twice or missed.
 */
#include <sys/types.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ws.h"

#define EVENTS_MAX 1048576 /* bytes that a watcher may leave unread */
#define LIST_AT_ONCE 4096  /* devices of a channel that are listed at once */

static const char *const event_names[WS_EVENTS] = {
	"connect", "away", "resume", "disconnect", "channel_occupied",
	"channel_vacated"
};

/* see ws.h */
const char *const ws_reasons[WS_REASONS] = {
	"error", "closed", "silent", "slow", "kicked", "expired", "replaced",
	"shutdown", "missed", "late"
};

struct ws_watcher {
	struct ws_watcher *next;
	struct ws_watch *watch;
	struct ws_output *out;
	struct ws_output held; /* events, while out has a part of a line */
	int holding;
	struct ws_walk walk; /* at WS_WALK_END: no snapshot is being sent */
	unsigned events;     /* a bit for each */
	unsigned long long lost; /* events since it was last told */
};

/* ---------------------------------------------------------------- output */

/* Makes room for len more bytes. */
static int
make_room(struct ws_output *o, size_t len)
{
	size_t n = o->room == 0 ? 256 : o->room;
	char *more;

	if (o->failed || len <= o->room - o->len)
		return o->failed ? -1 : 0;
	while (n - o->len < len)
		n *= 2;
	more = realloc(o->s, n);
	if (more == NULL) {
		o->failed = 1;
		return -1;
	}
	o->s = more;
	o->room = n;
	return 0;
}

/* see ws.h */
void
ws_output_add(struct ws_output *o, const char *s, size_t len)
{
	if (make_room(o, len) != 0)
		return;
	memcpy(o->s + o->len, s, len);
	o->len += len;
}

/* see ws.h */
void
ws_output_remove(struct ws_output *o, size_t n)
{
	if (n == 0)
		return; /* o->s may be NULL, which memmove does not allow */
	o->len -= n;
	if (o->len != 0)
		memmove(o->s, o->s + n, o->len);
	else if (o->room > WS_REPLIES_MAX)
		ws_output_free(o);
}

/* see ws.h */
void
ws_output_free(struct ws_output *o)
{
	free(o->s);
	o->s = NULL;
	o->len = o->room = 0;
}

static void
add(struct ws_output *o, const char *s)
{
	ws_output_add(o, s, strlen(s));
}

static void
add_number(struct ws_output *o, unsigned long long n)
{
	char digits[24];

	snprintf(digits, sizeof digits, "%llu", n);
	add(o, digits);
}

static void
add_name(struct ws_output *o, struct ws_text name)
{
	if (make_room(o, WS_JSON_QUOTED(name.len)) == 0)
		o->len += ws_json_quote(o->s + o->len, name);
}

/*
 * Adds a string that a peer has sent and that may not be UTF-8. Each byte that
 * does not belong to a valid character becomes U+FFFD.
 */
static void
add_foreign(struct ws_output *o, struct ws_text t)
{
	char clean[3 * WS_PATH_MAX];
	struct ws_text out = { clean, 0 };
	struct ws_utf8 u;
	size_t i, n;

	for (i = 0; i < t.len && i < WS_PATH_MAX; i += n) {
		memset(&u, 0, sizeof u);
		for (n = 0; i + n < t.len && n < 4; n++)
			if (ws_utf8_byte(&u, (unsigned char)t.s[i + n]) != 0 ||
			    u.left == 0)
				break;
		if (i + n < t.len && n < 4 && u.left == 0 &&
		    (n > 0 || (unsigned char)t.s[i] < 0x80)) {
			n++;
			memcpy(clean + out.len, t.s + i, n);
			out.len += n;
		} else {
			n = 1;
			memcpy(clean + out.len, "\357\277\275", 3);
			out.len += 3;
		}
	}
	add_name(o, out);
}

/* ---------------------------------------------------------------- events */

/* Tells a watcher how many events it has lost, once it has room again. */
static void
tell_lost(struct ws_watcher *w)
{
	if (w->lost == 0 || w->holding || w->out->len > EVENTS_MAX / 2)
		return;
	add(w->out, "{\"event\":\"lost\",\"count\":");
	add_number(w->out, w->lost);
	add(w->out, "}\n");
	w->lost = 0;
}

/* Copies the line to a watcher's output, if there is room. */
static void
tell_one(struct ws_watcher *w, enum ws_event_kind event,
    const struct ws_output *line)
{
	if ((w->events & 1u << event) == 0)
		return;
	w->watch->told = 1;
	tell_lost(w);
	if (w->lost != 0 || line->failed ||
	    w->out->len + w->held.len + line->len > EVENTS_MAX) {
		w->lost++;
		tell_lost(w); /* if only memory for the line was missing */
	} else if (w->holding) {
		ws_output_add(&w->held, line->s, line->len);
		w->out->failed |= w->held.failed;
	} else {
		ws_output_add(w->out, line->s, line->len);
	}
}

/* Begins a line: {"event":"connect","device":"name" */
static void
begin_line(struct ws_output *o, enum ws_event_kind event, const char *what,
    struct ws_text name)
{
	o->len = 0;
	o->failed = 0;
	add(o, "{\"event\":\"");
	add(o, event_names[event]);
	add(o, "\",\"");
	add(o, what);
	add(o, "\":");
	add_name(o, name);
}

static void
add_address(struct ws_output *o, const struct ws_about_session *about)
{
	struct ws_text t;

	t.s = about->address;
	t.len = strlen(about->address);
	add(o, "\"address\":");
	if (t.len == 0)
		add(o, "null");
	else
		add_foreign(o, t);
}

/* Writes the line of an event of a session. */
static void
session_line(struct ws_hub *h, const struct ws_session *s,
    enum ws_event_kind event, unsigned sessions, enum ws_reason reason)
{
	struct ws_output *o = &h->watch->line;
	struct ws_about_session about;

	begin_line(o, event, "device", ws_device_name(s->device));
	add(o, ",\"sessions\":");
	add_number(o, sessions);
	if (event == WS_EVENT_AWAY || event == WS_EVENT_DISCONNECT) {
		add(o, ",\"reason\":\"");
		add(o, ws_reasons[reason]);
		add(o, "\"");
	} else {
		h->owner->describe(s, &about, h->arg);
		add(o, ",");
		add_address(o, &about);
		if (event == WS_EVENT_CONNECT) {
			add(o, ",\"path\":");
			add_foreign(o, about.path);
		}
	}
	add(o, "}\n");
}

/* see ws.h */
void
ws_watch_session(struct ws_hub *h, const struct ws_session *s,
    enum ws_event_kind event, enum ws_reason reason)
{
	unsigned sessions;
	uint64_t place;
	struct ws_watcher *w;

	if (h->watch == NULL)
		return;
	sessions = ws_device_count(s->device);
	place = ws_device_place(s->device);
	session_line(h, s, event, sessions - (event == WS_EVENT_DISCONNECT),
	    reason);
	for (w = h->watch->first; w != NULL; w = w->next)
		if (place < w->walk.at)
			tell_one(w, event, &h->watch->line);
}

static void
channel_line(struct ws_hub *h, const struct ws_channel *c,
    enum ws_event_kind event)
{
	begin_line(&h->watch->line, event, "channel", ws_channel_name(c));
	add(&h->watch->line, "}\n");
}

/* For h->channel_event. */
static void
tell_channel(struct ws_hub *h, const struct ws_channel *c, int occupied)
{
	enum ws_event_kind event = occupied ? WS_EVENT_CHANNEL_OCCUPIED :
	    WS_EVENT_CHANNEL_VACATED;
	uint64_t place = ws_channel_place(c);
	struct ws_watcher *w;

	channel_line(h, c, event);
	for (w = h->watch->first; w != NULL; w = w->next)
		if (place < w->walk.at)
			tell_one(w, event, &h->watch->line);
}

/* -------------------------------------------------------------- watchers */

/* see ws.h */
int
ws_watch_event(const char *name, size_t len)
{
	int i;

	for (i = 0; i < WS_EVENTS; i++)
		if (strlen(event_names[i]) == len &&
		    memcmp(event_names[i], name, len) == 0)
			return i;
	return -1;
}

/*
 * Copies a line of the snapshot. It cannot be lost, because the next snapshot
 * would lose it again: a device may have more than EVENTS_MAX of sessions.
 */
static void
tell_there(struct ws_watcher *w, enum ws_event_kind event,
    const struct ws_output *line)
{
	if ((w->events & 1u << event) == 0)
		return;
	if (line->failed)
		w->out->failed = 1;
	else
		ws_output_add(w->out, line->s, line->len);
}

/* Tells a watcher's snapshot about the sessions of a device. */
static void
tell_device(struct ws_hub *h, struct ws_device *d, void *arg)
{
	const struct ws_session *s;
	struct ws_about_session about;
	unsigned n = 0;

	for (s = ws_device_sessions(d); s != NULL; s = s->next) {
		session_line(h, s, WS_EVENT_CONNECT, ++n, WS_ENDED_ERROR);
		tell_there(arg, WS_EVENT_CONNECT, &h->watch->line);
	}
	for (s = ws_device_sessions(d); s != NULL; s = s->next) {
		h->owner->describe(s, &about, h->arg);
		if (!about.away)
			continue;
		session_line(h, s, WS_EVENT_AWAY, n, about.reason);
		tell_there(arg, WS_EVENT_AWAY, &h->watch->line);
	}
}

static void
tell_occupied(struct ws_hub *h, const struct ws_channel *c, void *arg)
{
	channel_line(h, c, WS_EVENT_CHANNEL_OCCUPIED);
	tell_there(arg, WS_EVENT_CHANNEL_OCCUPIED, &h->watch->line);
}

static struct ws_watcher *
new_watcher(struct ws_hub *h, struct ws_output *out)
{
	struct ws_watcher *w = calloc(1, sizeof *w);

	if (w != NULL && h->watch == NULL)
		h->watch = calloc(1, sizeof *h->watch);
	if (w == NULL || h->watch == NULL) {
		free(w);
		return NULL;
	}
	h->watch->hub = h;
	h->channel_event = tell_channel;
	w->watch = h->watch;
	w->out = out;
	w->walk.at = WS_WALK_END;
	w->walk.device = tell_device;
	w->walk.channel = tell_occupied;
	w->next = h->watch->first;
	h->watch->first = w;
	h->watch->count++;
	return w;
}

/* see ws.h */
int
ws_watch_begin(struct ws_hub *h, struct ws_watcher **w, struct ws_output *out,
    unsigned events, int snapshot)
{
	if (*w == NULL && (*w = new_watcher(h, out)) == NULL)
		return -1;
	(*w)->events = events;
	if (snapshot)
		(*w)->walk.at = 0;
	return 0;
}

/* see ws.h */
unsigned
ws_watch_count(const struct ws_hub *h)
{
	return h->watch == NULL ? 0 : h->watch->count;
}

/* see ws.h */
void
ws_watch_end(struct ws_watcher *w)
{
	struct ws_watch *watch;
	struct ws_watcher **p;

	if (w == NULL)
		return;
	watch = w->watch;
	for (p = &watch->first; *p != w; p = &(*p)->next)
		;
	*p = w->next;
	ws_output_free(&w->held);
	free(w);
	if (--watch->count != 0)
		return;
	watch->hub->watch = NULL;
	watch->hub->channel_event = NULL;
	ws_output_free(&watch->line);
	free(watch);
}

/* see ws.h */
void
ws_watch_hold(struct ws_watcher *w, int hold)
{
	w->holding = hold;
	if (hold)
		return;
	if (w->held.len != 0)
		ws_output_add(w->out, w->held.s, w->held.len);
	ws_output_free(&w->held);
	tell_lost(w);
}

/* see ws.h */
int
ws_watch_snapshotting(const struct ws_watcher *w)
{
	return w->walk.at != WS_WALK_END;
}

/* see ws.h */
void
ws_watch_continue(struct ws_hub *h, struct ws_watcher *w)
{
	while (w->walk.at < WS_WALK_END && w->out->len < WS_REPLIES_MAX &&
	    h->budget > 0 && !w->out->failed) {
		ws_hub_walk(h, &w->walk, w);
		if (w->walk.at == WS_WALK_END)
			add(w->out, "{\"event\":\"ready\"}\n");
	}
}

/* see ws.h */
void
ws_watch_sent(struct ws_watcher *w)
{
	tell_lost(w);
}

/* see ws.h */
struct ws_output *
ws_watch_output(const struct ws_hub *h, unsigned i)
{
	struct ws_watcher *w;

	for (w = h->watch == NULL ? NULL : h->watch->first; w != NULL && i > 0;
	    i--)
		w = w->next;
	return w == NULL ? NULL : w->out;
}

/* ----------------------------------------------------------------- lists */

/* Begins an element of a list. */
static void
begin_element(struct ws_list *l)
{
	if (l->any)
		add(l->out, ",");
	l->any = 1;
}

static void
list_device(struct ws_hub *h, struct ws_device *d, void *arg)
{
	struct ws_list *l = arg;
	const struct ws_channel *c;

	if (l->channel.len != 0) {
		c = ws_hub_find_channel(h, l->channel);
		if (c == NULL || !ws_hub_is_in(h, d, c))
			return;
	}
	begin_element(l);
	add_name(l->out, ws_device_name(d));
}

static void
list_channel(struct ws_hub *h, const struct ws_channel *c, void *arg)
{
	struct ws_list *l = arg;

	(void)h;
	begin_element(l);
	add_name(l->out, ws_channel_name(c));
	add(l->out, ":");
	add_number(l->out, ws_channel_count(c));
}

/* see ws.h */
struct ws_list *
ws_list_new(int channels, struct ws_text channel)
{
	struct ws_list *l = calloc(1, sizeof *l + channel.len);

	if (l == NULL)
		return NULL;
	l->walk.device = list_device;
	l->walk.channel = list_channel;
	if (channels)
		l->walk.at = WS_WALK_CHANNELS;
	if (channel.len != 0)
		memcpy(l + 1, channel.s, channel.len);
	l->channel.s = (char *)(l + 1);
	l->channel.len = channel.len;
	return l;
}

/*
 * see ws.h
 *
 * A walk through all devices finds those in a channel too slowly if there are
 * only a few, so these are listed at once.
 */
void
ws_list_begin(struct ws_hub *h, struct ws_list *l, struct ws_output *out)
{
	const struct ws_channel *c = NULL;
	uint32_t i, n = 0;

	l->out = out;
	l->end = l->walk.at < WS_WALK_CHANNELS ? WS_WALK_CHANNELS : WS_WALK_END;
	add(out, l->end == WS_WALK_END ? "{" : "[");
	if (l->channel.len == 0)
		return;
	c = ws_hub_find_channel(h, l->channel);
	if (c != NULL)
		n = ws_channel_count(c);
	if (n > LIST_AT_ONCE)
		return;
	for (i = 0; i < n; i++) {
		begin_element(l);
		add_name(out, ws_device_name(ws_channel_device(c, i)));
	}
	l->walk.at = l->end;
}

/* see ws.h */
int
ws_list_continue(struct ws_hub *h, struct ws_list *l)
{
	while (l->walk.at < l->end && l->out->len < WS_REPLIES_MAX &&
	    h->budget > 0 && !l->out->failed)
		ws_hub_walk(h, &l->walk, l);
	if (l->walk.at < l->end && !l->out->failed)
		return 0;
	add(l->out, l->end == WS_WALK_END ? "}" : "]");
	return 1;
}

/* see ws.h */
void
ws_watch_channels(const struct ws_device *d, struct ws_output *o)
{
	const struct ws_link *at = NULL;
	const struct ws_channel *c;
	const char *comma = "{";

	while ((c = ws_device_channel(d, &at)) != NULL) {
		add(o, comma);
		comma = ",";
		add_name(o, ws_channel_name(c));
		add(o, ":");
		add_number(o, ws_channel_count(c));
	}
	add(o, *comma == '{' ? "{}" : "}");
}

static void
add_session(struct ws_hub *h, const struct ws_session *s, struct ws_output *o)
{
	struct ws_about_session about;

	h->owner->describe(s, &about, h->arg);
	add(o, "{");
	add_address(o, &about);
	add(o, ",\"path\":");
	add_foreign(o, about.path);
	add(o, ",\"since\":");
	add_number(o, (unsigned long long)about.since);
	add(o, about.away ? ",\"state\":\"away\"" : ",\"state\":\"open\"");
	add(o, ",\"unsent\":");
	add_number(o, about.unsent);
	add(o, ",\"kept\":");
	add_number(o, about.kept);
	add(o, "}");
}

/* see ws.h */
void
ws_watch_info(struct ws_hub *h, const struct ws_device *d, struct ws_output *o)
{
	const struct ws_session *s;
	const struct ws_link *at = NULL;
	const struct ws_channel *c;
	const char *comma = "";

	add(o, "{\"sessions\":[");
	for (s = ws_device_sessions(d); s != NULL; s = s->next) {
		add(o, comma);
		comma = ",";
		add_session(h, s, o);
	}
	add(o, "],\"channels\":[");
	comma = "";
	while ((c = ws_device_channel(d, &at)) != NULL) {
		add(o, comma);
		comma = ",";
		add_name(o, ws_channel_name(c));
	}
	add(o, "]}");
}

/* see ws.h */
void
ws_watch_stats(const struct ws_hub *h, struct ws_output *o)
{
	if (make_room(o, WS_STATS_MAX) == 0)
		o->len += h->owner->stats(o->s + o->len, WS_STATS_MAX, h->arg);
}
