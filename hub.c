/* wshub: ISC licence, see LICENSE. */
/*
 * The hub: devices, channels, who hears what, and the actions of a backend.
 *
 * Everything is found in constant time, at 100,000 devices and 10,000 channels:
 *
 *   devices   by id in a hash table, and all of them in one array
 *   channels  by name in a hash table; each has an array of its members
 *   links     one for a device in a channel, by both in a hash table, and in
 *             the device's list
 *
 * An array's entry is taken out by moving the last one into its place, so each
 * device knows its index in hub->devices, each link its own in the channel's
 * members; a member therefore names its link too. A channel ends with its last
 * member.
 *
 * The stream of a backend has four states:
 *
 *   BETWEEN  texts. A newline here ends the line of the last reply, if that
 *            is still open.
 *   TEXT     json knows where in it; c->text has what earlier pieces brought
 *   RESYNC   after a text that was wrong: until a newline, or until all that
 *            was received is gone if this backend does not write lines. Such a
 *            one gets its ERR when that is so, and not before: what it writes
 *            when it has read that is not to be taken for what is skipped
 */
#define _GNU_SOURCE /* getentropy */
#include <sys/types.h>
#ifdef __APPLE__
#include <sys/random.h>
#endif
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ws.h"

#define BUCKETS 64 /* at first; doubled when a table has more entries */
#define QUOTE_MAX 64 /* bytes of a backend's words quoted back to it */

enum { BETWEEN, TEXT, RESYNC };

/* ws_control's open: what newline would end it */
enum { SHUT, AFTER_ERROR, AFTER_OBJECT };

struct ws_link {
	struct ws_link *chain;
	struct ws_link *prev, *next; /* of the device */
	struct ws_device *device;
	struct ws_channel *channel;
	uint32_t index; /* in channel->members */
};

struct member {
	struct ws_device *device;
	struct ws_link *link;
};

struct ws_channel {
	struct ws_channel *chain;
	struct member *members;
	uint32_t count, room;
	uint32_t hash;
	uint32_t len;
	char name[];
};

/* ---------------------------------------------------------------- frames */

/* The head is written right before the payload: its length depends on that
 * of the payload, which is known only then. */
static struct ws_frame *
frame_alloc(size_t len)
{
	struct ws_frame *f;

	if (len > SIZE_MAX - sizeof *f - WS_FRAME_HEAD_MAX)
		return NULL;
	f = malloc(sizeof *f + WS_FRAME_HEAD_MAX + len);
	if (f != NULL) {
		f->refs = 1;
		f->queues = 0;
	}
	return f;
}

static unsigned char *
payload(struct ws_frame *f)
{
	return (unsigned char *)(f + 1) + WS_FRAME_HEAD_MAX;
}

static void
frame_head(struct ws_frame *f, unsigned opcode, size_t len)
{
	unsigned char head[WS_FRAME_HEAD_MAX];
	size_t n = ws_frame_head(head, WS_FIN | opcode, len, NULL);

	f->start = (unsigned)(WS_FRAME_HEAD_MAX - n);
	f->len = n + len;
	memcpy(ws_frame_bytes(f), head, n);
}

/* see ws.h */
struct ws_frame *
ws_frame_new(unsigned opcode, const void *data, size_t len)
{
	struct ws_frame *f = frame_alloc(len);

	if (f == NULL)
		return NULL;
	frame_head(f, opcode, len);
	if (len != 0)
		memcpy(payload(f), data, len);
	return f;
}

/* see ws.h */
struct ws_frame *
ws_frame_json(struct ws_text value)
{
	struct ws_frame *f = frame_alloc(value.len), *less;
	size_t len;

	if (f == NULL)
		return NULL;
	len = ws_json_compact((char *)payload(f), value);
	frame_head(f, WS_TEXT, len);
	/* Queues may hold it long: not with room for white space that is gone. */
	if (value.len - len > 256) {
		less = realloc(f, sizeof *f + WS_FRAME_HEAD_MAX + len);
		if (less != NULL)
			f = less;
	}
	return f;
}

/* see ws.h */
void
ws_frame_drop(struct ws_frame *f)
{
	if (f != NULL && --f->refs == 0)
		free(f);
}

/* ---------------------------------------------------------------- tables */

/* FNV-1a: ids are ours and random, names are the backends', not the net's. */
static uint32_t
hash_text(struct ws_text t)
{
	uint32_t h = 2166136261u;
	size_t i;

	for (i = 0; i < t.len; i++)
		h = (h ^ (unsigned char)t.s[i]) * 16777619u;
	return h ^ h >> 15;
}

static uint32_t
hash_pair(const struct ws_device *d, const struct ws_channel *c)
{
	uint64_t h = (uint64_t)(uintptr_t)d * 0x9e3779b97f4a7c15u;

	h = (h ^ h >> 29 ^ (uint64_t)(uintptr_t)c) * 0xbf58476d1ce4e5b9u;
	return (uint32_t)(h >> 32);
}

static struct ws_text
id_text(const struct ws_device *d)
{
	struct ws_text t = { d->id, WS_ID_LEN };

	return t;
}

/*
 * Doubles a table, each time the same way but for the entry's type and its
 * hash. Without memory the chains just grow longer.
 */
#define GROW(type, table, buckets, hash) do {                                 \
	uint32_t i_, n_ = (buckets) * 2;                                      \
	type **new_ = calloc(n_, sizeof *new_), *e_, *next_;                  \
	if (new_ == NULL)                                                     \
		break;                                                        \
	for (i_ = 0; i_ < (buckets); i_++)                                    \
		for (e_ = (table)[i_]; e_ != NULL; e_ = next_) {              \
			type **slot_ = &new_[(hash) & (n_ - 1)];              \
			next_ = e_->chain;                                    \
			e_->chain = *slot_;                                   \
			*slot_ = e_;                                          \
		}                                                             \
	free(table);                                                          \
	(table) = new_;                                                       \
	(buckets) = n_;                                                       \
} while (0)

/* Takes entry out of its chain. */
#define UNCHAIN(slot, entry) do {                                             \
	while (*(slot) != (entry))                                            \
		(slot) = &(*(slot))->chain;                                   \
	*(slot) = (entry)->chain;                                             \
} while (0)

/* ----------------------------------------------------- devices, channels */

/* see ws.h */
int
ws_hub_init(struct ws_hub *h, ws_deliver *deliver, void *arg)
{
	memset(h, 0, sizeof *h);
	h->deliver = deliver;
	h->arg = arg;
	h->nbuckets = h->channel_buckets = h->link_buckets = BUCKETS;
	h->buckets = calloc(BUCKETS, sizeof *h->buckets);
	h->channels = calloc(BUCKETS, sizeof *h->channels);
	h->links = calloc(BUCKETS, sizeof *h->links);
	if (h->buckets != NULL && h->channels != NULL && h->links != NULL)
		return 0;
	ws_hub_free(h);
	errno = ENOMEM;
	return -1;
}

/* see ws.h */
void
ws_hub_free(struct ws_hub *h)
{
	free(h->devices);
	free(h->buckets);
	free(h->channels);
	free(h->links);
	memset(h, 0, sizeof *h);
}

static struct ws_device *
find_device(const struct ws_hub *h, struct ws_text id, uint32_t hash)
{
	struct ws_device *d;

	if (id.len != WS_ID_LEN)
		return NULL;
	d = h->buckets[hash & (h->nbuckets - 1)];
	while (d != NULL && memcmp(d->id, id.s, WS_ID_LEN) != 0)
		d = d->chain;
	return d;
}

/* see ws.h */
struct ws_device *
ws_hub_find(const struct ws_hub *h, struct ws_text id)
{
	return find_device(h, id, hash_text(id));
}

/*
 * Has what a delivery to a device touches come nearer while there is something
 * else to do: one of 10,000 is in no cache, and each line is a long way. Most
 * often it is the first of its chain; a wrong address does no harm. (A macro:
 * gcc takes a function that only does this for one that does nothing.)
 */
#if defined(__GNUC__)
#define APPROACH(h, hash) do {                                                \
	uintptr_t d_ = (uintptr_t)                                            \
	    (h)->buckets[(hash) & ((h)->nbuckets - 1)];                       \
	__builtin_prefetch((const void *)d_);                                 \
	__builtin_prefetch((const void *)(d_ + 64));                          \
	__builtin_prefetch((const void *)(d_ + 128));                         \
} while (0)
#else
#define APPROACH(h, hash) ((void)(h), (void)(hash))
#endif

/* Six bits of a random byte a character: 64 divides 256, none is favoured. */
static int
new_id(struct ws_hub *h, char id[WS_ID_LEN + 1])
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789_-";
	int i;

	if (h->npool < WS_ID_LEN) {
		if (getentropy(h->pool, sizeof h->pool) != 0)
			return -1;
		h->npool = sizeof h->pool;
	}
	for (i = 0; i < WS_ID_LEN; i++)
		id[i] = alphabet[h->pool[--h->npool] & 63];
	id[WS_ID_LEN] = '\0';
	return 0;
}

/* see ws.h */
int
ws_hub_join(struct ws_hub *h, struct ws_device *d)
{
	struct ws_device **slot, **more;
	uint32_t room;

	if (h->count == h->room) {
		room = h->room == 0 ? 64 : h->room * 2;
		more = realloc(h->devices, room * sizeof *more);
		if (more == NULL)
			return -1;
		h->devices = more;
		h->room = room;
	}
	do {
		if (new_id(h, d->id) != 0) {
			d->id[0] = '\0';
			return -1;
		}
	} while (ws_hub_find(h, id_text(d)) != NULL);

	/* Two buckets for each: a chain's step is a cache miss. */
	if (h->count >= h->nbuckets / 2)
		GROW(struct ws_device, h->buckets, h->nbuckets,
		    hash_text(id_text(e_)));
	slot = &h->buckets[hash_text(id_text(d)) & (h->nbuckets - 1)];
	d->chain = *slot;
	*slot = d;
	d->links = NULL;
	d->index = h->count;
	h->devices[h->count++] = d;
	return 0;
}

static struct ws_channel *
find_channel(const struct ws_hub *h, struct ws_text name, uint32_t hash)
{
	struct ws_channel *c = h->channels[hash & (h->channel_buckets - 1)];

	while (c != NULL && (c->hash != hash || c->len != name.len ||
	    memcmp(c->name, name.s, name.len) != 0))
		c = c->chain;
	return c;
}

static struct ws_channel *
new_channel(struct ws_hub *h, struct ws_text name, uint32_t hash)
{
	struct ws_channel *c = malloc(sizeof *c + name.len), **slot;

	if (c == NULL)
		return NULL;
	if (h->nchannels >= h->channel_buckets)
		GROW(struct ws_channel, h->channels, h->channel_buckets,
		    e_->hash);
	slot = &h->channels[hash & (h->channel_buckets - 1)];
	c->chain = *slot;
	*slot = c;
	c->members = NULL;
	c->count = c->room = 0;
	c->hash = hash;
	c->len = (uint32_t)name.len;
	memcpy(c->name, name.s, name.len);
	h->nchannels++;
	return c;
}

static void
end_channel(struct ws_hub *h, struct ws_channel *c)
{
	struct ws_channel **slot =
	    &h->channels[c->hash & (h->channel_buckets - 1)];

	UNCHAIN(slot, c);
	h->nchannels--;
	free(c->members);
	free(c);
}

static struct ws_link *
find_link(const struct ws_hub *h, const struct ws_device *d,
    const struct ws_channel *c)
{
	struct ws_link *k = h->links[hash_pair(d, c) & (h->link_buckets - 1)];

	while (k != NULL && (k->device != d || k->channel != c))
		k = k->chain;
	return k;
}

static void
unlink_member(struct ws_hub *h, struct ws_link *k)
{
	struct ws_channel *c = k->channel;
	struct ws_link **slot =
	    &h->links[hash_pair(k->device, c) & (h->link_buckets - 1)];
	struct member *last = &c->members[--c->count];

	UNCHAIN(slot, k);
	h->nlinks--;
	last->link->index = k->index;
	c->members[k->index] = *last;

	if (k->prev != NULL)
		k->prev->next = k->next;
	else
		k->device->links = k->next;
	if (k->next != NULL)
		k->next->prev = k->prev;
	free(k);
	if (c->count == 0)
		end_channel(h, c);
}

/* see ws.h */
void
ws_hub_leave(struct ws_hub *h, struct ws_device *d)
{
	struct ws_device **slot, *last;

	if (d->id[0] == '\0')
		return;
	while (d->links != NULL)
		unlink_member(h, d->links);
	slot = &h->buckets[hash_text(id_text(d)) & (h->nbuckets - 1)];
	UNCHAIN(slot, d);
	last = h->devices[--h->count];
	last->index = d->index;
	h->devices[d->index] = last;
	d->id[0] = '\0';
}

static int
add_member(struct ws_channel *c, struct ws_device *d, struct ws_link *k)
{
	struct member *more;
	uint32_t room;

	if (c->count == c->room) {
		room = c->room == 0 ? 2 : c->room * 2;
		more = realloc(c->members, room * sizeof *more);
		if (more == NULL)
			return -1;
		c->members = more;
		c->room = room;
	}
	k->index = c->count;
	c->members[c->count].device = d;
	c->members[c->count++].link = k;
	return 0;
}

/* see ws.h */
int
ws_hub_subscribe(struct ws_hub *h, struct ws_device *d, struct ws_text channel)
{
	uint32_t hash = hash_text(channel);
	struct ws_channel *c = find_channel(h, channel, hash);
	struct ws_link *k, **slot;

	if (c != NULL && find_link(h, d, c) != NULL)
		return 0;
	k = malloc(sizeof *k);
	if (k == NULL)
		return -1;
	if (c == NULL)
		c = new_channel(h, channel, hash);
	if (c == NULL || add_member(c, d, k) != 0) {
		if (c != NULL && c->count == 0)
			end_channel(h, c);
		free(k);
		return -1;
	}
	if (h->nlinks++ >= h->link_buckets)
		GROW(struct ws_link, h->links, h->link_buckets,
		    hash_pair(e_->device, e_->channel));
	slot = &h->links[hash_pair(d, c) & (h->link_buckets - 1)];
	k->chain = *slot;
	*slot = k;
	k->device = d;
	k->channel = c;
	k->prev = NULL;
	k->next = d->links;
	if (k->next != NULL)
		k->next->prev = k;
	d->links = k;
	return 1;
}

/* see ws.h */
int
ws_hub_unsubscribe(struct ws_hub *h, struct ws_device *d,
    struct ws_text channel)
{
	struct ws_channel *c = find_channel(h, channel, hash_text(channel));
	struct ws_link *k = c == NULL ? NULL : find_link(h, d, c);

	if (k == NULL)
		return 0;
	unlink_member(h, k);
	return 1;
}

/* -------------------------------------------------------------- delivery */

/* see ws.h */
size_t
ws_hub_multicast(struct ws_hub *h, struct ws_frame *f)
{
	size_t queued = 0;
	uint32_t i;

	for (i = 0; i < h->count; i++)
		queued += h->deliver(h->devices[i], f, h->arg) != 0;
	return queued;
}

/* see ws.h */
size_t
ws_hub_publish(struct ws_hub *h, struct ws_text channel, struct ws_frame *f)
{
	struct ws_channel *c = find_channel(h, channel, hash_text(channel));
	size_t queued = 0;
	uint32_t i;

	for (i = 0; c != NULL && i < c->count; i++)
		queued += h->deliver(c->members[i].device, f, h->arg) != 0;
	return queued;
}

/* see ws.h */
size_t
ws_hub_send(struct ws_hub *h, struct ws_text device, struct ws_frame *f)
{
	struct ws_device *d = ws_hub_find(h, device);

	return d != NULL && h->deliver(d, f, h->arg) != 0;
}

/* --------------------------------------------------- a backend's actions */

enum action {
	MULTICAST, SEND_TO_CHANNEL, SEND_TO_DEVICE, SUBSCRIBE, UNSUBSCRIBE,
	ACTIONS
};

enum { NEEDS_DATA = 1, NEEDS_DEVICE = 2, NEEDS_CHANNEL = 4 };

static const struct {
	const char *name;
	int needs;
} actions[ACTIONS] = {
	{ "multicast", NEEDS_DATA },
	{ "sendToChannel", NEEDS_DATA | NEEDS_CHANNEL },
	{ "sendToDevice", NEEDS_DATA | NEEDS_DEVICE },
	{ "subscribe", NEEDS_DEVICE | NEEDS_CHANNEL },
	{ "unsubscribe", NEEDS_DEVICE | NEEDS_CHANNEL },
};

enum field { ACTION, DEVICE, CHANNEL, DATA, FIELDS };

static const char *const fields[FIELDS] = {
	"action", "device", "channel", "data"
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
			if (strlen(fields[i]) == (size_t)n &&
			    memcmp(fields[i], plain, (size_t)n) == 0) {
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
		return refuse(c, "no \"%s\"", fields[field]);
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
		    fields[field], WS_NAME_MAX);
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
		if (strlen(actions[i].name) == (size_t)n &&
		    memcmp(actions[i].name, name, (size_t)n) == 0)
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
	uint32_t hash = 0;
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
	if ((actions[action].needs & NEEDS_DEVICE) != 0) {
		hash = hash_text(device);
		APPROACH(h, hash);
	}
	if ((actions[action].needs & NEEDS_DATA) != 0) {
		if (value[DATA].s == NULL)
			return refuse(c, "no \"data\"");
		f = ws_frame_json(value[DATA]);
		if (f == NULL)
			return refuse(c, "out of memory");
	} else {
		d = find_device(h, device, hash);
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
		d = find_device(h, device, hash);
		done = d != NULL && h->deliver(d, f, h->arg) != 0;
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

/* ---------------------------------------------------- a backend's stream */

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
