/* wshub: ISC licence, see LICENSE. */
/*
 * With --interest: which devices and channels the hub has, as it tells in
 * events, and the topics that are subscribed to.
 *
 * A topic is wanted, subscribed, both or neither; those that differ are in a
 * list of changes, from which packets are made. A topic that is neither is
 * freed there. In a snapshot each topic that is told gets the number of the
 * round: at its end, those of earlier rounds are gone. If events are lost in a
 * snapshot, another one is asked for, which the hub begins only when it has told
 * the first to its end: so only the end of the last one counts.
 */
#include <sys/types.h>
#include <stdlib.h>
#include <string.h>

#include "relay.h"

#define LINE_NAME_MAX WS_NAME_MAX

struct ws_interest_topic {
	struct ws_interest_topic *chain; /* in its bucket */
	struct ws_interest_topic *next;  /* in the list of changes */
	uint32_t round;
	unsigned char wanted, subscribed;
	unsigned char stale;   /* the broker may have a subscription, too: what
	                          is wanted is sent, whatever is subscribed */
	unsigned char listed;  /* it is in the list of changes */
	unsigned short len;    /* of the topic, whose bytes follow */
};

/* see relay.h */
const char ws_interest_watch[] = "{\"action\":\"watch\",\"snapshot\":true,"
    "\"events\":[\"connect\",\"disconnect\",\"channel_occupied\","
    "\"channel_vacated\"]}\n";

static char *
topic_bytes(struct ws_interest_topic *t)
{
	return (char *)(t + 1);
}

/* see relay.h */
int
ws_interest_init(struct ws_interest *i)
{
	i->changed_end = &i->changed;
	return ws_entropy(i->key, sizeof i->key);
}

static struct ws_interest_topic **
bucket(const struct ws_interest *i, const char *s, size_t len)
{
	return &i->buckets[ws_siphash13(i->key, s, len) & (i->nbuckets - 1)];
}

/* Doubles the number of buckets: 0, or -1: no memory. */
static int
grow(struct ws_interest *i)
{
	uint32_t n = i->nbuckets == 0 ? 64 : i->nbuckets * 2, k, old;
	struct ws_interest_topic **from = i->buckets, *t, *next, **to;

	i->buckets = calloc(n, sizeof *i->buckets);
	if (i->buckets == NULL) {
		i->buckets = from;
		return -1;
	}
	old = i->nbuckets;
	i->nbuckets = n;
	for (k = 0; k < old; k++)
		for (t = from[k]; t != NULL; t = next) {
			next = t->chain;
			to = bucket(i, topic_bytes(t), t->len);
			t->chain = *to;
			*to = t;
		}
	free(from);
	return 0;
}

static struct ws_interest_topic *
find(const struct ws_interest *i, struct ws_text topic)
{
	struct ws_interest_topic *t;

	if (i->nbuckets == 0)
		return NULL;
	for (t = *bucket(i, topic.s, topic.len); t != NULL; t = t->chain)
		if (t->len == topic.len &&
		    memcmp(topic_bytes(t), topic.s, topic.len) == 0)
			return t;
	return NULL;
}

/* Finds or makes it. NULL: no memory. */
static struct ws_interest_topic *
find_or_make(struct ws_interest *i, struct ws_text topic)
{
	struct ws_interest_topic *t = find(i, topic), **b;

	if (t != NULL)
		return t;
	/* With many in a bucket, it is slower but still works. */
	if (i->count >= i->nbuckets && grow(i) != 0 && i->nbuckets == 0)
		return NULL;
	t = calloc(1, sizeof *t + topic.len);
	if (t == NULL)
		return NULL;
	t->len = (unsigned short)topic.len;
	memcpy(topic_bytes(t), topic.s, topic.len);
	b = bucket(i, topic.s, topic.len);
	t->chain = *b;
	*b = t;
	i->count++;
	return t;
}

static void
list(struct ws_interest *i, struct ws_interest_topic *t)
{
	if (t->listed)
		return;
	t->listed = 1;
	t->next = NULL;
	*i->changed_end = t;
	i->changed_end = &t->next;
}

/* Takes the first out of the list of changes. */
static void
unlist_first(struct ws_interest *i)
{
	struct ws_interest_topic *t = i->changed, **p;

	i->changed = t->next;
	if (i->changed == NULL)
		i->changed_end = &i->changed;
	t->listed = 0;
	if (t->wanted || t->subscribed)
		return;
	for (p = bucket(i, topic_bytes(t), t->len); *p != t; p = &(*p)->chain)
		;
	*p = t->chain;
	free(t);
	i->count--;
}

static void
want(struct ws_interest *i, struct ws_interest_topic *t, int wanted)
{
	t->wanted = (unsigned char)wanted;
	if (t->wanted != t->subscribed)
		list(i, t);
}

/* Calls visit for each topic, which must not free it. */
static void
for_each(struct ws_interest *i,
    void (*visit)(struct ws_interest *i, struct ws_interest_topic *t))
{
	struct ws_interest_topic *t;
	uint32_t k;

	for (k = 0; k < i->nbuckets; k++)
		for (t = i->buckets[k]; t != NULL; t = t->chain)
			visit(i, t);
}

static void
sweep(struct ws_interest *i, struct ws_interest_topic *t)
{
	if (t->round != i->round && t->wanted)
		want(i, t, 0);
}

static void
forget(struct ws_interest *i, struct ws_interest_topic *t)
{
	t->subscribed = 0;
	list(i, t);
}

/* see relay.h */
void
ws_interest_begin(struct ws_interest *i, int first)
{
	i->round++;
	i->telling = first ? 1 : i->telling + 1;
}

/* see relay.h */
void
ws_interest_forget(struct ws_interest *i)
{
	for_each(i, forget);
}

/* see relay.h */
void
ws_interest_stale(struct ws_interest *i, struct ws_text topic)
{
	struct ws_interest_topic *t = find(i, topic);

	if (t == NULL)
		t = find_or_make(i, topic);
	if (t == NULL || t->wanted)
		return; /* no memory: the next message asks again */
	t->stale = 1;
	list(i, t);
}

/* What a line from the hub says. */
struct event {
	char event[24];
	struct ws_text name; /* in buf */
	char buf[LINE_NAME_MAX];
	enum ws_topic_kind kind;
	int sessions; /* 0: none; else some, or it does not say */
};

static int
is(struct ws_text name, const char *s)
{
	return name.len == strlen(s) && memcmp(name.s, s, name.len) == 0;
}

/* Reads the members of a line: 0, or -1. */
static int
read_event(struct event *e, struct ws_text line)
{
	struct ws_text name, value;
	ssize_t n;

	memset(e, 0, sizeof *e);
	e->sessions = 1;
	while (ws_json_member(&line, &name, &value)) {
		if (is(name, "\"event\"")) {
			n = ws_json_string(e->event, sizeof e->event - 1,
			    value);
			if (n < 0)
				return -1;
			e->event[n] = '\0';
		} else if (is(name, "\"device\"") ||
		    is(name, "\"channel\"")) {
			e->kind = name.s[1] == 'd' ? WS_TOPIC_DEVICE :
			    WS_TOPIC_CHANNEL;
			n = ws_json_string(e->buf, sizeof e->buf, value);
			if (n <= 0)
				return -1;
			e->name.s = e->buf;
			e->name.len = (size_t)n;
		} else if (is(name, "\"sessions\"")) {
			e->sessions = !is(value, "0");
		}
	}
	return 0;
}

/* see relay.h */
int
ws_interest_line(struct ws_interest *i, const char *line, size_t len,
    const char **error)
{
	struct ws_text text = { line, len }, topic;
	struct ws_json json = { 0 };
	struct ws_interest_topic *t;
	char buf[WS_TOPIC_MAX];
	struct event e;
	int gone;

	if (len >= 2 && memcmp(line, "OK", 2) == 0)
		return 0;
	*error = "the hub does not tell its events";
	if (len == 0 || *line != '{')
		return -1;
	*error = "the hub's event is not valid";
	if (ws_json_scan(&json, line, len) != (ssize_t)len ||
	    read_event(&e, text) != 0)
		return -1;
	if (strcmp(e.event, "lost") == 0)
		return 1;
	if (strcmp(e.event, "ready") == 0) {
		if (i->telling == 0 || --i->telling != 0)
			return 0;
		for_each(i, sweep);
		return 0;
	}
	if (e.name.len == 0)
		return 0; /* an event that we do not know */
	topic.s = buf;
	topic.len = ws_topic_write(buf, e.kind, e.name);
	gone = strcmp(e.event, "channel_vacated") == 0 || e.sessions == 0;
	t = gone ? find(i, topic) : find_or_make(i, topic);
	*error = "no memory for a topic";
	if (t == NULL)
		return gone ? 0 : -1;
	t->round = i->round;
	want(i, t, !gone);
	return 0;
}

/* see relay.h */
size_t
ws_interest_filters(struct ws_interest *i, const char *prefix,
    unsigned char out[WS_INTEREST_BATCH], unsigned *type, unsigned *n)
{
	char filter[WS_PREFIX_MAX + 1 + WS_TOPIC_MAX];
	size_t len = 0, start = strlen(prefix);
	struct ws_interest_topic *t;
	struct ws_text text;

	memcpy(filter, prefix, start);
	filter[start++] = '/';
	*n = 0;
	for (; (t = i->changed) != NULL; unlist_first(i)) {
		if (t->wanted == t->subscribed && !t->stale)
			continue;
		if (*n == 0)
			*type = t->wanted ? WS_MQTT_SUBSCRIBE :
			    WS_MQTT_UNSUBSCRIBE;
		text.s = filter;
		text.len = start + t->len;
		if ((*type == WS_MQTT_SUBSCRIBE) != t->wanted || len +
		    WS_MQTT_FILTER_SIZE(*type, text.len) > WS_INTEREST_BATCH)
			break;
		memcpy(filter + start, topic_bytes(t), t->len);
		len += ws_mqtt_filter(out + len, *type, text);
		t->subscribed = t->wanted;
		t->stale = 0;
		++*n;
	}
	return len;
}

/* see relay.h */
void
ws_interest_free(struct ws_interest *i)
{
	struct ws_interest_topic *t;
	uint32_t k;

	for (k = 0; k < i->nbuckets; k++)
		while ((t = i->buckets[k]) != NULL) {
			i->buckets[k] = t->chain;
			free(t);
		}
	free(i->buckets);
}
