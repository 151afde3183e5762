/* wshub: ISC licence, see LICENSE. */
/*
 * Events and lists: random changes of a hub, and backends that read what they
 * are told as slowly as they like. Each has a model of the hub, made only from
 * its events; when it has read all of them, the model must be the hub.
 */
#define _GNU_SOURCE /* MAP_ANONYMOUS */
#include <sys/types.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test.h"
#include "../ws.h"

#define SESSIONS 2000
#define NAMES 12
#define CHANNELS 12
#define WATCHERS 4
#define CROWD 100000

struct client {
	struct ws_session session;
	int in, away;
};

/* What a watcher knows: sessions and sessions away by device, channels. */
struct known {
	char name[WS_NAME_MAX + 1];
	unsigned sessions, away;
};

struct watcher {
	struct ws_control control;
	struct known devices[SESSIONS];
	unsigned ndevices, away;
	unsigned char occupied[CHANNELS];
	unsigned long lines, lost, lists;
	int ready, begun;
	char line[65536]; /* read so far */
	size_t len;
};

static struct ws_hub hub;
static struct client clients[SESSIONS];
static struct watcher watchers[WATCHERS];
static uint32_t seed = 1;

static unsigned
dice(unsigned n)
{
	return ws_jitter(&seed, n);
}

static int
deliver(struct ws_session *s, struct ws_frame *f, void *arg)
{
	(void)s;
	(void)f;
	(void)arg;
	return 1;
}

static void
describe(const struct ws_session *s, struct ws_about_session *about, void *arg)
{
	const struct client *c = (const struct client *)s;

	(void)arg;
	memset(about, 0, sizeof *about);
	about->away = c->away;
	about->reason = WS_ENDED_SILENT;
	about->path.s = "/";
	about->path.len = 1;
}

static const struct ws_owner owner = { deliver, describe, NULL, NULL };

/* --------------------------------------------------------- what is told */

static struct known *
find(struct watcher *w, const char *name, int add)
{
	unsigned i;

	for (i = 0; i < w->ndevices; i++)
		if (strcmp(w->devices[i].name, name) == 0)
			return &w->devices[i];
	if (!add || w->ndevices == SESSIONS)
		return NULL;
	memset(&w->devices[i], 0, sizeof w->devices[i]);
	strcpy(w->devices[i].name, name);
	w->ndevices++;
	return &w->devices[i];
}

/* Gets the string or the number of a member. */
static const char *
member(const char *line, const char *name, char value[WS_NAME_MAX + 1])
{
	char quoted[40];
	const char *p;
	size_t n = 0;

	snprintf(quoted, sizeof quoted, "\"%s\":", name);
	p = strstr(line, quoted);
	value[0] = '\0';
	if (p == NULL)
		return value;
	p += strlen(quoted);
	p += *p == '"';
	while (strchr("\",}", p[n]) == NULL)
		n++;
	memcpy(value, p, n);
	value[n] = '\0';
	return value;
}

static void
take_event(struct watcher *w, const char *line)
{
	char event[WS_NAME_MAX + 1], name[WS_NAME_MAX + 1];
	char number[WS_NAME_MAX + 1];
	struct known *k;
	unsigned n;

	member(line, "event", event);
	member(line, "device", name);
	n = (unsigned)atoi(member(line, "sessions", number));
	w->lines++;
	if (strcmp(event, "ready") == 0) {
		EXPECT(w->begun && !w->ready, "ready without a snapshot");
		w->ready = 1;
	} else if (strcmp(event, "lost") == 0) {
		w->lost += strtoul(member(line, "count", number), NULL, 10);
	} else if (strncmp(event, "channel_", 8) == 0) {
		n = (unsigned)atoi(member(line, "channel", name));
		EXPECT(w->occupied[n] == (event[8] == 'v'), "%s", line);
		w->occupied[n] = event[8] == 'o';
	} else if (strcmp(event, "connect") == 0) {
		k = find(w, name, 1);
		EXPECT(k != NULL && n == ++k->sessions, "%s", line);
	} else {
		k = find(w, name, 0);
		if (k == NULL || k->sessions == 0) {
			EXPECT(0, "%s: of no device", line);
			return;
		}
		if (strcmp(event, "disconnect") == 0)
			k->sessions--;
		else if (strcmp(event, "away") == 0)
			w->away++;
		else if (strcmp(event, "resume") == 0)
			w->away--;
		else
			EXPECT(0, "%s: what event?", line);
		EXPECT(n == k->sessions, "%s: not %u", line, k->sessions);
		if (strstr(line, "\"late\"") != NULL)
			w->away--;
		if (k->sessions == 0)
			*k = w->devices[--w->ndevices];
	}
}

static void
forget(struct watcher *w)
{
	w->ndevices = w->away = 0;
	w->ready = 0;
	memset(w->occupied, 0, sizeof w->occupied);
}

/* Reads at most that many bytes. Without check, lines are only counted. */
static void
read_some(struct watcher *w, size_t most, int check)
{
	struct ws_output *out = &w->control.out;
	size_t n = most < out->len ? most : out->len, i;

	for (i = 0; i < n; i++) {
		if (out->s[i] != '\n') {
			w->line[w->len++] = out->s[i];
			continue;
		}
		w->line[w->len] = '\0';
		w->len = 0;
		if (strncmp(w->line, "OK [", 4) == 0) {
			EXPECT(strchr(w->line, '{') == NULL &&
			    w->line[strlen(w->line) - 1] == ']',
			    "an event in a list: %s", strchr(w->line, '{'));
			w->lists++;
		} else if (strncmp(w->line, "OK", 2) == 0) {
			forget(w);
			w->begun = 1;
		} else if (check) {
			take_event(w, w->line);
		} else {
			w->lines += strstr(w->line, "\"lost\"") == NULL;
			if (strstr(w->line, "\"lost\"") != NULL)
				take_event(w, w->line);
		}
	}
	ws_control_sent(&w->control, n);
}

static void
ask(struct watcher *w, const char *object)
{
	size_t len = strlen(object), used = 0;

	do {
		if (hub.budget <= 0)
			hub.budget = 1; /* or it would never begin */
		used += ws_control_feed(&hub, &w->control, object + used,
		    len - used);
	} while (used < len && w->control.out.len == 0);
	EXPECT(used == len, "busy");
}

/* --------------------------------------------------------- what there is */

static void
join(struct client *c)
{
	static const char *const names[NAMES] = { "a", "b", "c", "d", "e",
	    "f", "g", "h", "i", "j", "k", "l" };
	struct ws_text name = { "", 0 };

	memset(c, 0, sizeof *c);
	if (dice(2) == 0) {
		name.s = names[dice(NAMES)];
		name.len = 1;
	}
	c->in = ws_hub_join(&hub, &c->session, name) == 0;
	EXPECT(c->in, "no join");
	ws_watch_session(&hub, &c->session, WS_EVENT_CONNECT, 0);
}

static void
leave(struct client *c)
{
	ws_watch_session(&hub, &c->session, WS_EVENT_DISCONNECT,
	    c->away ? WS_ENDED_LATE : WS_ENDED_CLOSED);
	ws_hub_leave(&hub, &c->session);
	c->in = 0;
}

static void
change(unsigned most)
{
	struct client *c = &clients[dice(most)];
	char digits[4];
	struct ws_text channel = { digits, 0 };
	const struct ws_channel *found;

	if (!c->in) {
		join(c);
		return;
	}
	channel.len = (size_t)snprintf(digits, sizeof digits, "%u",
	    dice(CHANNELS));
	switch (dice(6)) {
	case 0:
		leave(c);
		break;
	case 1:
		c->away = !c->away;
		ws_watch_session(&hub, &c->session, c->away ? WS_EVENT_AWAY :
		    WS_EVENT_RESUME, WS_ENDED_SILENT);
		break;
	case 2:
		ws_hub_subscribe(&hub, c->session.device, channel);
		break;
	default: /* few stay in a channel, so that it comes and goes */
		found = ws_hub_find_channel(&hub, channel);
		if (found != NULL)
			ws_hub_unsubscribe(&hub, ws_channel_device(found,
			    0), channel);
		break;
	}
}

/* Compares the hub with the model of a watcher that has read everything. */
static void
compare(struct watcher *w)
{
	char name[WS_NAME_MAX + 1], digits[4];
	struct ws_text t = { digits, 0 };
	struct known *k;
	unsigned i, away = 0;

	EXPECT(w->ndevices == hub.count, "%u devices, and %u are known",
	    hub.count, w->ndevices);
	for (i = 0; i < hub.count; i++) {
		t = ws_device_name(hub.devices[i]);
		snprintf(name, sizeof name, "%.*s", (int)t.len, t.s);
		k = find(w, name, 0);
		EXPECT(k != NULL && k->sessions ==
		    ws_device_count(hub.devices[i]), "device %s", name);
	}
	for (i = 0; i < SESSIONS; i++)
		away += clients[i].in && clients[i].away;
	EXPECT(away == w->away, "%u away, and %u are known", away, w->away);
	for (i = 0; i < CHANNELS; i++) {
		t.s = digits;
		t.len = (size_t)snprintf(digits, sizeof digits, "%u", i);
		EXPECT(w->occupied[i] == (ws_hub_find_channel(&hub, t) !=
		    NULL), "channel %u", i);
	}
}

static void
begin(void)
{
	memset(clients, 0, sizeof clients);
	memset(watchers, 0, sizeof watchers);
	if (ws_hub_init(&hub, &owner, NULL) != 0) {
		perror("hub");
		exit(1);
	}
}

static void
end(void)
{
	unsigned i;

	for (i = 0; i < WATCHERS; i++)
		ws_control_free(&watchers[i].control);
	EXPECT(hub.watch == NULL && hub.channel_event == NULL,
	    "somebody watches after the last one's end");
	for (i = 0; i < SESSIONS; i++)
		ws_hub_leave(&hub, &clients[i].session);
	ws_hub_free(&hub);
}

/* Lets a watcher go on with what it is told, and read some of it. */
static void
read_watcher(struct watcher *w, size_t most)
{
	hub.budget = (int64_t)(dice(2) ? dice(400) : dice(20));
	(void)ws_control_feed(&hub, &w->control, "", 0);
	read_some(w, most, 1);
}

static void
models(void)
{
	struct watcher *w;
	unsigned step, most, compared = 0, lists = 0;

	CASE("snapshot and events are the hub, after any steps at any speed");
	begin();
	for (step = 0; step < 60000; step++) {
		/* The tables grow during snapshots, and become empty. */
		most = 1 + step % 20000 / 10;
		change(most > SESSIONS ? SESSIONS : most);
		w = &watchers[dice(WATCHERS)];
		hub.budget = 100;
		if (dice(1500) == 0 && !ws_control_busy(&w->control))
			ask(w, "{\"action\":\"watch\",\"snapshot\":true}");
		if (dice(3000) == 0)
			ws_control_free(&w->control);
		if (w->control.watcher == NULL) {
			w->begun = w->ready = 0;
			w->len = 0;
			forget(w);
			continue;
		}
		if (dice(200) == 0 && !ws_control_busy(&w->control)) {
			ask(w, "{\"action\":\"list\"}");
			lists++;
		}
		read_watcher(w, dice(3) == 0 ? dice(3000) : dice(300));
		if (dice(100) != 0)
			continue;
		while (ws_control_busy(&w->control) ||
		    w->control.out.len != 0)
			read_watcher(w, 65536);
		compare(w);
		compared++;
	}
	EXPECT(compared > 100 && lists > 100, "compared %u times, %u lists",
	    compared, lists);
	for (step = 0; step < WATCHERS; step++)
		EXPECT(watchers[step].lost == 0, "events are lost");
	end();
}

static void
lost(void)
{
	struct watcher *slow = &watchers[0], *quick = &watchers[1];
	unsigned i, told;

	CASE("a watcher that does not read: 1 MiB, the rest is counted");
	begin();
	ask(slow, "{\"action\":\"watch\"}");
	ask(quick, "{\"action\":\"watch\",\"snapshot\":true}");
	for (i = 0; i < 20000; i++) {
		change(SESSIONS);
		EXPECT(slow->control.out.len <= 1048576, "%zu bytes wait",
		    slow->control.out.len);
		while (quick->control.out.len != 0 ||
		    ws_control_busy(&quick->control))
			read_watcher(quick, 65536);
	}
	while (i < 60000) { /* until there is no room any more */
		change(SESSIONS);
		EXPECT(slow->control.out.len <= 1048576, "%zu bytes wait",
		    slow->control.out.len);
		i++;
		read_watcher(quick, 1 << 20);
	}
	EXPECT(slow->control.out.len > 1048576 - 300, "%zu bytes wait",
	    slow->control.out.len);
	EXPECT(slow->control.out.room <= 2097152, "room of %zu bytes",
	    slow->control.out.room);
	read_some(slow, 524288, 0);
	EXPECT(slow->lost == 0, "told too early");
	while (slow->control.out.len != 0)
		read_some(slow, 65536, 0);
	EXPECT(slow->lost != 0 && slow->lines - 1 + slow->lost ==
	    quick->lines - 1, "%lu lines and %lu lost, of %lu",
	    slow->lines - 1, slow->lost, quick->lines - 1);
	EXPECT(slow->control.out.room <= 65536, "%zu bytes are kept",
	    slow->control.out.room);
	told = (unsigned)slow->lost;

	CASE("and asks for a snapshot again");
	ask(slow, "{\"action\":\"watch\",\"snapshot\":true}");
	for (i = 0; i < 1000; i++) {
		change(SESSIONS);
		read_watcher(slow, 300);
	}
	while (slow->control.out.len != 0 || ws_control_busy(&slow->control))
		read_watcher(slow, 65536);
	compare(slow);
	EXPECT(slow->ready && slow->lost == told, "lost more");
	end();
}

static void
held(void)
{
	struct watcher *w = &watchers[0];
	unsigned i;

	CASE("events that wait for the end of a list: the same limit");
	begin();
	for (i = 0; i < SESSIONS / 2; i++)
		join(&clients[i]);
	hub.budget = 100;
	ask(w, "{\"action\":\"watch\"}");
	ask(w, "{\"action\":\"list\"}");
	for (i = 0; i < 60000; i++)
		change(SESSIONS);
	EXPECT(ws_control_busy(&w->control) && w->control.out.len < 65536,
	    "%zu bytes wait", w->control.out.len);
	hub.budget = 1000000;
	(void)ws_control_feed(&hub, &w->control, "", 0);
	EXPECT(!ws_control_busy(&w->control) && w->control.out.len > 1000000 &&
	    w->control.out.len <= 1048576 + 65536, "%zu bytes wait",
	    w->control.out.len);
	while (w->control.out.len != 0)
		read_some(w, 65536, 0);
	EXPECT(w->lists == 1 && w->lost > 10000, "%lu lists, %lu lost",
	    w->lists, w->lost);
	end();
}

/* ----------------------------------------------------------------- lists */

/* The answers to list or channels that w has been given, as one text. */
static char *
answer(struct watcher *w, size_t *len, size_t *most, unsigned changes)
{
	char *s = NULL;
	unsigned i;
	size_t n;

	*len = *most = 0;
	do {
		hub.budget = 1 + dice(16384);
		(void)ws_control_feed(&hub, &w->control, "", 0);
		n = w->control.out.len;
		if (n > *most)
			*most = n;
		s = realloc(s, *len + n + 1);
		if (s == NULL)
			exit(1);
		if (n != 0)
			memcpy(s + *len, w->control.out.s, n);
		*len += n;
		ws_control_sent(&w->control, n);
		for (i = 0; i < changes; i++)
			change(SESSIONS);
	} while (ws_control_busy(&w->control));
	s[*len] = '\0';
	return s;
}

static unsigned
occurrences(const char *s, const char *what)
{
	/* Not strstr: ASan's looks for the end of s each time. */
	const char *end = s + strlen(s);
	size_t len = strlen(what);
	unsigned n = 0;

	while ((s = memchr(s, *what, (size_t)(end - s))) != NULL)
		if ((size_t)(end - s) >= len && memcmp(s, what, len) == 0) {
			n++;
			s += len;
		} else {
			s++;
		}
	return n;
}

static void
lists(void)
{
	static char before[SESSIONS][20], quoted[24];
	struct watcher *w = &watchers[0];
	unsigned i, n, there, round;
	struct ws_text t;
	size_t len, most;
	char *s;

	CASE("list: who is there from beginning to end, each once");
	begin();
	for (i = 0; i < SESSIONS / 2; i++)
		join(&clients[i]);
	for (round = 0; round < 20; round++) {
		n = hub.count;
		for (i = 0; i < n; i++) {
			t = ws_device_name(hub.devices[i]);
			snprintf(before[i], sizeof before[i], "%.*s",
			    (int)t.len, t.s);
		}
		hub.budget = 100;
		ask(w, "{\"action\":\"list\"}\n");
		s = answer(w, &len, &most, 50);
		EXPECT(strncmp(s, "OK [\"", 5) == 0 &&
		    strcmp(s + len - 3, "\"]\n") == 0, "\"%.20s\"", s);
		for (i = there = 0; i < n; i++) {
			t.s = before[i];
			t.len = strlen(before[i]);
			snprintf(quoted, sizeof quoted, "\"%.19s\"", before[i]);
			if (ws_hub_find(&hub, t) != NULL && t.len > 1) {
				there++;
				EXPECT(occurrences(s, quoted) == 1,
				    "%s: %u times", quoted,
				    occurrences(s, quoted));
			} else {
				EXPECT(occurrences(s, quoted) <= 1,
				    "%s: twice", quoted);
			}
		}
		EXPECT(there > 100, "only %u have stayed", there);
		free(s);
	}

	CASE("list of a channel: those in it, few or many");
	for (i = 0; i < SESSIONS; i++)
		if (!clients[i].in)
			join(&clients[i]);
	t.s = "room";
	t.len = 4;
	for (i = n = 0; i < SESSIONS; i++) {
		(void)ws_hub_subscribe(&hub, clients[i].session.device, t);
		if (i != 3 && i != SESSIONS - 1)
			continue;
		ask(w, "{\"action\":\"list\",\"channel\":\"room\"}\n");
		s = answer(w, &len, &most, 0);
		n = ws_channel_count(ws_hub_find_channel(&hub, t));
		EXPECT(occurrences(s, "\"") == 2 * n, "\"%.100s\"", s);
		free(s);
		
	}
	end();
}

static void
list_of_watcher(void)
{
	struct watcher *w = &watchers[0];
	const struct ws_output *out = &w->control.out;
	unsigned i, lists = 0, events = 0;
	const char *line, *end_of_line;

	CASE("a watcher's list is one line, and events follow it");
	begin();
	for (i = 0; i < SESSIONS; i++)
		join(&clients[i]);
	ask(w, "{\"action\":\"watch\"}");
	ws_control_sent(&w->control, out->len);
	for (i = 0; i < 2; i++) {
		hub.budget = 1;
		ask(w, "{\"action\":\"list\"}");
		while (ws_control_busy(&w->control)) {
			change(SESSIONS);
			hub.budget = 100;
			(void)ws_control_feed(&hub, &w->control, "", 0);
		}
	}
	for (line = out->s; line < out->s + out->len; line = end_of_line + 1) {
		end_of_line = memchr(line, '\n',
		    (size_t)(out->s + out->len - line));
		if (end_of_line == NULL) {
			EXPECT(0, "\"%.40s\" has no end", line);
			break;
		}
		if (*line == '{')
			events += end_of_line[-1] == '}';
		else
			lists += strncmp(line, "OK [\"", 5) == 0 &&
			    end_of_line[-1] == ']' && memchr(line, '{',
			    (size_t)(end_of_line - line)) == NULL;
	}
	EXPECT(lists == 2 && events > 10, "%u lists and %u events", lists,
	    events);
	end();
}

static void
feed(struct ws_control *c, const char *text)
{
	hub.budget = 1000;
	(void)ws_control_feed(&hub, c, text, strlen(text));
	ws_control_resync(c); /* nothing more has been received */
}

static void
invalid_line_of_watcher(void)
{
	static const char wanted[] = "OK 1\nERR not JSON at byte 1: "
	    "not a name in quotes\nOK 0\n";
	struct ws_control *c = &watchers[0].control;

	CASE("a watcher that writes lines gets one ERR for an invalid one");
	begin();
	feed(c, "{\"action\":\"watch\"}\n");
	feed(c, "{bad ");
	feed(c, "rest}\n{\"action\":\"count\"}\n");
	EXPECT(c->out.len == sizeof wanted - 1 &&
	    memcmp(c->out.s, wanted, sizeof wanted - 1) == 0, "\"%.*s\"",
	    (int)c->out.len, c->out.s);
	end();
}

static void
crowd(void)
{
	static struct client many[CROWD];
	static const struct ws_text none = { "", 0 };
	struct ws_text room = { "room", 4 };
	struct watcher *w = &watchers[0];
	size_t len, most;
	unsigned i, n;
	char *s;

	CASE("100,000 devices: lists and snapshots in pieces of 64 KiB");
	begin();
	for (i = 0; i < CROWD; i++) {
		EXPECT(ws_hub_join(&hub, &many[i].session, none) == 0,
		    "no join");
		if (i % 10 != 0)
			(void)ws_hub_subscribe(&hub, many[i].session.device,
			    room);
	}
	for (n = 0; n < 3; n++) {
		hub.budget = 1;
		ask(w, n == 0 ? "{\"action\":\"list\"}\n" : n == 1 ?
		    "{\"action\":\"list\",\"channel\":\"room\"}\n" :
		    "{\"action\":\"watch\",\"snapshot\":true}");
		s = answer(w, &len, &most, 0);
		EXPECT(occurrences(s, n == 2 ? "\"device\":\"" : "\"") ==
		    (n == 2 ? CROWD : n == 1 ? CROWD / 10 * 18 : 2 * CROWD),
		    "%u: %u names", n, occurrences(s, "\"") / 2);
		EXPECT(most < 65536 + 4096, "%zu bytes at once", most);
		free(s);
	}

	CASE("a backend that does not read a list: the same bound, no end");
	ws_control_free(&w->control);
	ask(w, "{\"action\":\"list\"}\n");
	for (i = 0; i < 100; i++) {
		hub.budget = 1000000;
		(void)ws_control_feed(&hub, &w->control, "", 0);
	}
	EXPECT(ws_control_busy(&w->control) && w->control.out.len < 70000,
	    "%zu bytes wait", w->control.out.len);
	ws_control_free(&w->control);

	CASE("a watcher that leaves amid a snapshot of 100,000 devices");
	ask(w, "{\"action\":\"watch\",\"snapshot\":true}");
	EXPECT(ws_control_busy(&w->control), "no snapshot");
	ws_control_free(&w->control);
	for (i = 0; i < CROWD; i++)
		ws_hub_leave(&hub, &many[i].session);

	CASE("a snapshot of a device with 20,000 sessions loses none");
	for (i = 0; i < 20000; i++) {
		memset(&many[i], 0, sizeof many[i]);
		EXPECT(ws_hub_join(&hub, &many[i].session, room) == 0, "no join");
	}
	ask(w, "{\"action\":\"watch\",\"snapshot\":true}");
	s = answer(w, &len, &most, 0);
	EXPECT(occurrences(s, "\"connect\"") == 20000 &&
	    strstr(s, "\"lost\"") == NULL && strcmp(s + len - 18,
	    "{\"event\":\"ready\"}\n") == 0, "%u sessions, and \"%s\"",
	    occurrences(s, "\"connect\""), s + len - 18);
	free(s);
	ws_control_free(&w->control);
	while (i-- > 0) /* the last one is the first of its device */
		ws_hub_leave(&hub, &many[i].session);
	EXPECT(hub.nchannels == 0 && hub.count == 0, "somebody is left");
	end();
}

int
main(void)
{
	models();
	lost();
	held();
	lists();
	list_of_watcher();
	invalid_line_of_watcher();
	crowd();
	return test_end();
}
