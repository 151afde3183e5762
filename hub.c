/* wshub: ISC licence, see LICENSE. */
/*
 * The hub: devices, channels, and which devices are in which channels.
 *
 * Everything is found in constant time, even with 100,000 devices and 10,000
 * channels:
 *
 *   devices   by id or by name in a hash table, and all of them in one array
 *   channels  by name in a hash table; each has an array of its members
 *   links     one for each device in a channel: by both in a hash table, and
 *             in the device's list
 *
 * An entry of an array is removed by moving the last one into its place. So a
 * device contains its index in hub->devices, and a link its index in the
 * channel's members, which therefore point to their links. A channel is freed
 * when its last member leaves it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ws.h"

#define BUCKETS 64 /* at first; doubled when a table has more entries */

struct ws_link {
	struct ws_link *chain;
	struct ws_link *prev, *next; /* of the device */
	struct ws_device *device;
	struct ws_channel *channel;
	uint32_t index; /* in channel->members */
};

/* A device with a name, which may have several sessions. */
struct named {
	struct ws_device device;
	struct ws_session *sessions;
	uint32_t hash;
	uint32_t len;
	char name[];
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

/*
 * Allocates a frame with room for the longest head. The head is written when
 * the length of the payload is known, and ends where the payload begins.
 */
static struct ws_frame *
frame_alloc(size_t len)
{
	struct ws_frame *f;

	if (len > UINT32_MAX - sizeof *f - WS_FRAME_HEAD_MAX)
		return NULL;
	f = malloc(sizeof *f + WS_FRAME_HEAD_MAX + len);
	if (f != NULL) {
		f->refs = 1;
		f->queues = 0;
		f->counts = f->heartbeat = 0;
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

	f->start = (unsigned short)(WS_FRAME_HEAD_MAX - n);
	f->counts = opcode == WS_TEXT;
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
	/* It may be queued for a long time: free the room of white space. */
	if (value.len - len > 256) {
		less = realloc(f, sizeof *f + WS_FRAME_HEAD_MAX + len);
		if (less != NULL)
			f = less;
	}
	return f;
}

/* see ws.h */
struct ws_frame *
ws_frame_raw(const void *data, size_t len)
{
	struct ws_frame *f = frame_alloc(len);

	if (f == NULL)
		return NULL;
	f->start = 0;
	f->len = len;
	memcpy(ws_frame_bytes(f), data, len);
	return f;
}

/* see ws.h */
void
ws_frame_release(struct ws_frame *f)
{
	if (f != NULL && --f->refs == 0)
		free(f);
}

/* ---------------------------------------------------------------- tables */

/* A keyed hash, because a peer may have chosen the names to collide. */
static uint32_t
hash_name(const struct ws_hub *h, struct ws_text t)
{
	return (uint32_t)ws_siphash13(h->key, t.s, t.len);
}

/* Ids are made by the hub, random and of one length: no key is needed. */
static uint32_t
hash_id(const char *id)
{
	uint64_t a, b;

	memcpy(&a, id, sizeof a);
	memcpy(&b, id + WS_ID_LEN - sizeof b, sizeof b);
	return (uint32_t)((a ^ b >> 3) * 0x9e3779b97f4a7c15u >> 32);
}

static uint32_t
hash_pair(const struct ws_device *d, const struct ws_channel *c)
{
	uint64_t h = (uint64_t)(uintptr_t)d * 0x9e3779b97f4a7c15u;

	h = (h ^ h >> 29 ^ (uint64_t)(uintptr_t)c) * 0xbf58476d1ce4e5b9u;
	return (uint32_t)(h >> 32);
}

/*
 * Doubles a hash table. This is a macro because the tables differ in the type
 * of their entries and its hash. Without memory, the chains only become longer.
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

/* Removes entry from its chain. */
#define UNCHAIN(slot, entry) do {                                             \
	while (*(slot) != (entry))                                            \
		(slot) = &(*(slot))->chain;                                   \
	*(slot) = (entry)->chain;                                             \
} while (0)

/* ----------------------------------------------------- devices, channels */

/* see ws.h */
int
ws_hub_init(struct ws_hub *h, const struct ws_owner *owner, void *arg)
{
	memset(h, 0, sizeof *h);
	h->owner = owner;
	h->arg = arg;
	h->budget = INT64_MAX;
	h->max_watchers = WS_WATCHERS_MAX;
	h->nbuckets = h->name_buckets = BUCKETS;
	h->channel_buckets = h->link_buckets = BUCKETS;
	if (ws_entropy(h->key, sizeof h->key) != 0)
		return -1;
	h->buckets = calloc(BUCKETS, sizeof *h->buckets);
	h->names = calloc(BUCKETS, sizeof *h->names);
	h->channels = calloc(BUCKETS, sizeof *h->channels);
	h->links = calloc(BUCKETS, sizeof *h->links);
	if (h->buckets != NULL && h->names != NULL && h->channels != NULL &&
	    h->links != NULL)
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
	free(h->names);
	free(h->channels);
	free(h->links);
	memset(h, 0, sizeof *h);
}

static struct named *
named(const struct ws_device *d)
{
	return (struct named *)(uintptr_t)d; /* its first member */
}

/* see ws.h */
struct ws_text
ws_device_name(const struct ws_device *d)
{
	struct ws_text t = { d->id, WS_ID_LEN };

	if (d->named) {
		t.s = named(d)->name;
		t.len = named(d)->len;
	}
	return t;
}

/* see ws.h */
struct ws_session *
ws_device_sessions(const struct ws_device *d)
{
	/* A device without a name is its session's first member. */
	return d->named ? named(d)->sessions :
	    (struct ws_session *)(uintptr_t)d;
}

/* see ws.h */
unsigned
ws_device_count(const struct ws_device *d)
{
	const struct ws_session *s;
	unsigned n = 0;

	for (s = ws_device_sessions(d); s != NULL; s = s->next)
		n++;
	return n;
}

static struct ws_device *
find_id(const struct ws_hub *h, struct ws_text id)
{
	struct ws_device *d;

	if (id.len != WS_ID_LEN)
		return NULL;
	d = h->buckets[hash_id(id.s) & (h->nbuckets - 1)];
	while (d != NULL && memcmp(d->id, id.s, WS_ID_LEN) != 0)
		d = d->chain;
	return d;
}

static struct ws_device *
find_name(const struct ws_hub *h, struct ws_text name)
{
	uint32_t hash = hash_name(h, name);
	struct ws_device *d = h->names[hash & (h->name_buckets - 1)];

	while (d != NULL && (named(d)->hash != hash ||
	    named(d)->len != name.len ||
	    memcmp(named(d)->name, name.s, name.len) != 0))
		d = d->chain;
	return d;
}

/* see ws.h */
struct ws_device *
ws_hub_find(const struct ws_hub *h, struct ws_text name)
{
	struct ws_device *d = find_id(h, name);

	return d != NULL || h->nnames == 0 ? d : find_name(h, name);
}

/* see ws.h */
void
ws_hub_prefetch_bucket(const struct ws_hub *h, struct ws_text id)
{
	if (id.len == WS_ID_LEN)
		WS_PREFETCH(&h->buckets[hash_id(id.s) & (h->nbuckets - 1)]);
}

/*
 * see ws.h
 *
 * The device is usually the first of its chain. To prefetch another does no
 * harm.
 */
void
ws_hub_prefetch_device(const struct ws_hub *h, struct ws_text id)
{
	uintptr_t d;

	if (id.len != WS_ID_LEN)
		return;
	d = (uintptr_t)h->buckets[hash_id(id.s) & (h->nbuckets - 1)];
	/* And the members of the client around it: descriptor and queue. */
	WS_PREFETCH(d - 32);
	WS_PREFETCH(d + 32);
	WS_PREFETCH(d + 96);
}

/*
 * Six bits of a random byte select a character. All are equally likely, because
 * 64 divides 256.
 */
static int
new_id(struct ws_hub *h, char id[WS_ID_LEN + 1])
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789_-";
	int i;

	if (h->npool < WS_ID_LEN) {
		if (ws_entropy(h->pool, sizeof h->pool) != 0)
			return -1;
		h->npool = sizeof h->pool;
	}
	for (i = 0; i < WS_ID_LEN; i++)
		id[i] = alphabet[h->pool[--h->npool] & 63];
	id[WS_ID_LEN] = '\0';
	return 0;
}

/* Makes room for one more in h->devices. */
static int
grow_devices(struct ws_hub *h)
{
	uint32_t room = h->room == 0 ? 64 : h->room * 2;
	struct ws_device **more;

	if (h->count < h->room)
		return 0;
	more = realloc(h->devices, room * sizeof *more);
	if (more == NULL)
		return -1;
	h->devices = more;
	h->room = room;
	return 0;
}

static void
add_device(struct ws_hub *h, struct ws_device *d, struct ws_device **slot)
{
	d->chain = *slot;
	*slot = d;
	d->links = NULL;
	d->index = h->count;
	h->devices[h->count++] = d;
}

static int
join_with_id(struct ws_hub *h, struct ws_session *s)
{
	struct ws_device *d = &s->own;
	struct ws_text id = { d->id, WS_ID_LEN };

	if (grow_devices(h) != 0)
		return -1;
	do {
		if (new_id(h, d->id) != 0) {
			d->id[0] = '\0';
			return -1;
		}
	} while (ws_hub_find(h, id) != NULL);

	/* Two buckets per device: each step in a chain is a cache miss. */
	if (h->count - h->nnames >= h->nbuckets / 2)
		GROW(struct ws_device, h->buckets, h->nbuckets,
		    hash_id(e_->id));
	add_device(h, d, &h->buckets[hash_id(d->id) & (h->nbuckets - 1)]);
	s->device = d;
	return 0;
}

static struct ws_device *
new_named(struct ws_hub *h, struct ws_text name)
{
	struct named *n;

	if (find_id(h, name) != NULL) {
		errno = EEXIST;
		return NULL;
	}
	if (grow_devices(h) != 0)
		return NULL;
	n = malloc(sizeof *n + name.len);
	if (n == NULL)
		return NULL;
	memset(n, 0, sizeof *n);
	n->device.named = 1;
	n->hash = hash_name(h, name);
	n->len = (uint32_t)name.len;
	memcpy(n->name, name.s, name.len);
	if (h->nnames++ >= h->name_buckets)
		GROW(struct ws_device, h->names, h->name_buckets,
		    named(e_)->hash);
	add_device(h, &n->device, &h->names[n->hash & (h->name_buckets - 1)]);
	return &n->device;
}

/* see ws.h */
int
ws_hub_join(struct ws_hub *h, struct ws_session *s, struct ws_text name)
{
	struct ws_device *d;

	if (name.len == 0)
		return join_with_id(h, s);
	d = find_name(h, name);
	if (d == NULL && (d = new_named(h, name)) == NULL)
		return -1;
	s->device = d;
	s->next = named(d)->sessions;
	named(d)->sessions = s;
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
	if (c->count != 0)
		return;
	if (h->channel_event != NULL)
		h->channel_event(h, c, 0);
	end_channel(h, c);
}

/* see ws.h */
void
ws_hub_leave(struct ws_hub *h, struct ws_session *s)
{
	struct ws_device *d = s->device, **slot, *last;
	struct ws_session **p;

	if (d == NULL)
		return;
	s->device = NULL;
	if (d->named) {
		for (p = &named(d)->sessions; *p != s; p = &(*p)->next)
			;
		*p = s->next;
		if (named(d)->sessions != NULL)
			return;
	}
	while (d->links != NULL)
		unlink_member(h, d->links);
	slot = d->named ? &h->names[named(d)->hash & (h->name_buckets - 1)] :
	    &h->buckets[hash_id(d->id) & (h->nbuckets - 1)];
	UNCHAIN(slot, d);
	last = h->devices[--h->count];
	last->index = d->index;
	h->devices[d->index] = last;
	if (d->named) {
		h->nnames--;
		free(named(d));
	} else {
		d->id[0] = '\0';
	}
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
	uint32_t hash = hash_name(h, channel);
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
	if (c->count == 1 && h->channel_event != NULL)
		h->channel_event(h, c, 1);
	return 1;
}

/* see ws.h */
int
ws_hub_unsubscribe(struct ws_hub *h, struct ws_device *d,
    struct ws_text channel)
{
	struct ws_channel *c = find_channel(h, channel, hash_name(h, channel));
	struct ws_link *k = c == NULL ? NULL : find_link(h, d, c);

	if (k == NULL)
		return 0;
	unlink_member(h, k);
	return 1;
}

/* ------------------------------------------------------------- questions */

/* see ws.h */
const struct ws_channel *
ws_hub_find_channel(const struct ws_hub *h, struct ws_text name)
{
	return find_channel(h, name, hash_name(h, name));
}

/* see ws.h */
struct ws_text
ws_channel_name(const struct ws_channel *c)
{
	struct ws_text t = { c->name, c->len };

	return t;
}

/* see ws.h */
uint32_t
ws_channel_count(const struct ws_channel *c)
{
	return c->count;
}

/* see ws.h */
struct ws_device *
ws_channel_device(const struct ws_channel *c, uint32_t i)
{
	return c->members[i].device;
}

/* see ws.h */
int
ws_hub_is_in(const struct ws_hub *h, const struct ws_device *d,
    const struct ws_channel *c)
{
	return find_link(h, d, c) != NULL;
}

/* see ws.h */
const struct ws_channel *
ws_device_channel(const struct ws_device *d, const struct ws_link **at)
{
	*at = *at == NULL ? d->links : (*at)->next;
	return *at == NULL ? NULL : (*at)->channel;
}

/*
 * Bucket b of a table with n buckets has the hashes whose low bits are b. With
 * the order of bits reversed, these are the range of 2^32 / n places that
 * begins at the reversed b. So a table can be walked bucket by bucket, also if
 * it is doubled meanwhile: each range becomes two.
 */
static uint32_t
reverse_bits(uint32_t n)
{
	n = n >> 16 | n << 16;
	n = (n >> 8 & 0x00ff00ff) | (n & 0x00ff00ff) << 8;
	n = (n >> 4 & 0x0f0f0f0f) | (n & 0x0f0f0f0f) << 4;
	n = (n >> 2 & 0x33333333) | (n & 0x33333333) << 2;
	return (n >> 1 & 0x55555555) | (n & 0x55555555) << 1;
}

/* see ws.h */
uint64_t
ws_device_place(const struct ws_device *d)
{
	return d->named ? (uint64_t)1 << 32 | reverse_bits(named(d)->hash) :
	    reverse_bits(hash_id(d->id));
}

/* see ws.h */
uint64_t
ws_channel_place(const struct ws_channel *c)
{
	return WS_WALK_CHANNELS | reverse_bits(c->hash);
}

/* see ws.h */
void
ws_hub_walk(struct ws_hub *h, struct ws_walk *w, void *arg)
{
	uint32_t place = reverse_bits((uint32_t)w->at), n;
	struct ws_device *d;
	struct ws_channel *c;

	h->budget--;
	if (w->at < WS_WALK_CHANNELS) {
		n = w->at >> 32 == 0 ? h->nbuckets : h->name_buckets;
		d = (w->at >> 32 == 0 ? h->buckets : h->names)[place & (n - 1)];
		for (; d != NULL; d = d->chain, h->budget--)
			w->device(h, d, arg);
	} else {
		n = h->channel_buckets;
		c = h->channels[place & (n - 1)];
		for (; c != NULL; c = c->chain, h->budget--)
			w->channel(h, c, arg);
	}
	w->at += ((uint64_t)1 << 32) / n;
}

/* -------------------------------------------------------------- delivery */

static size_t
deliver(const struct ws_hub *h, struct ws_device *d, struct ws_frame *f)
{
	struct ws_session *s;
	size_t queued = 0;

	for (s = ws_device_sessions(d); s != NULL; s = s->next)
		queued += h->owner->deliver(s, f, h->arg) != 0;
	return queued;
}

/* see ws.h */
size_t
ws_hub_multicast(struct ws_hub *h, struct ws_frame *f,
    const struct ws_device *except)
{
	size_t queued = 0;
	uint32_t i;

	for (i = 0; i < h->count; i++)
		if (h->devices[i] != except)
			queued += deliver(h, h->devices[i], f);
	return queued;
}

/* see ws.h */
size_t
ws_hub_publish(struct ws_hub *h, struct ws_text channel, struct ws_frame *f,
    const struct ws_device *except)
{
	struct ws_channel *c = find_channel(h, channel, hash_name(h, channel));
	size_t queued = 0;
	uint32_t i;

	for (i = 0; c != NULL && i < c->count; i++)
		if (c->members[i].device != except)
			queued += deliver(h, c->members[i].device, f);
	return queued;
}

/* see ws.h */
size_t
ws_hub_send(struct ws_hub *h, struct ws_text device, struct ws_frame *f)
{
	struct ws_device *d = ws_hub_find(h, device);

	return d == NULL ? 0 : deliver(h, d, f);
}
