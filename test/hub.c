/* wshub: ISC licence, see LICENSE. */
/*
 * Tests of hub.c and control.c.
 *
 * Their memory and entropy come from here, where each call can be made to
 * fail and what is not given back is counted. After whatever was done,
 * broken() walks every table and says what does not fit together.
 *
 * A backend's streams are written down as scripts: what it sends and when,
 * what it must read, and who must have heard what. The second may depend on
 * the when alone, not on how the bytes were cut up, so each script is played
 * whole, byte by byte, and at every split. In scripts
 *
 *   '    stands for "
 *   <A>  for AAAAAAAAAAAAAAA, the id of device A
 *   @    is no byte, but says: all that was received has been fed
 *   $    is no byte, but says: the backend will send no more
 *
 * They are played to devices A, B, C, D and 1. A and B hear "news"; D cannot
 * be sent to any more, so it is never counted. What was heard is written as
 * "AB1=payload;", a message each.
 */
#define _GNU_SOURCE /* getentropy, MAP_ANONYMOUS */
#include <sys/types.h>
#ifdef __APPLE__
#include <sys/random.h>
#endif
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"

static enum {
	REAL,
	LETTERS, /* ids of one character: A, B, C, D, 1, A, B ... */
	ZEROS,   /* the same id always */
	NOTHING  /* fails */
} entropy;
static unsigned entropies; /* calls */

/* In entropy.c's place. */
int
ws_entropy(void *buf, size_t n)
{
	static const unsigned char letters[] = { 0, 1, 2, 3, 53 };
	unsigned char *p = buf;
	size_t i;

	entropies++;
	if (entropy == NOTHING || n > 256) {
		errno = EIO;
		return -1;
	}
	if (entropy == REAL)
		return getentropy(buf, n);
	/* The pool is used from its end. */
	for (i = 0; i < n; i++)
		p[n - 1 - i] = entropy == ZEROS ? 0 : letters[i / 15 % 5];
	return 0;
}

#include "../hub.c"
#include "../control.c"
#include "../watch.c"
#undef malloc
#undef calloc
#undef realloc
#undef free

#include "test.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

static uint32_t seed = 1;

static unsigned
random_to(unsigned sides)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % sides;
}

static struct ws_text
text_of(const char *s)
{
	struct ws_text t = { s, strlen(s) };

	return t;
}

/* "channel-N", good until the next call. */
static struct ws_text
channel_name(unsigned n)
{
	static char name[32];

	snprintf(name, sizeof(name), "channel-%u", n);
	return text_of(name);
}

/* Nothing may be left, and nothing fails from here on. */
static void
all_freed(void)
{
	EXPECT(live == 0, "%ld blocks not given back", live);
	live = 0;
	calls = fail_at = fail_from = 0;
}

/* ------------------------------------------------------------ invariants */

static int
is_id(const char *id)
{
	return strlen(id) == WS_ID_LEN && strspn(id, "ABCDEFGHIJKLMNOPQRSTUV"
	    "WXYZabcdefghijklmnopqrstuvwxyz0123456789_-") == WS_ID_LEN;
}

static int
is_size(uint32_t n)
{
	return n >= 64 && (n & (n - 1)) == 0;
}

/*
 * What does not fit together in a hub, or NULL. crowded says that a table may
 * have failed to grow.
 */
static const char *
broken(const struct ws_hub *h, int crowded)
{
	const struct ws_device *d;
	const struct ws_channel *c;
	const struct ws_link *k;
	uint32_t i, j, devices = 0, channels = 0, links = 0, members = 0;

	if (!is_size(h->nbuckets) || !is_size(h->channel_buckets) ||
	    !is_size(h->link_buckets))
		return "a table's size";
	if (!crowded && (h->count > h->nbuckets ||
	    h->nchannels > h->channel_buckets || h->nlinks > h->link_buckets))
		return "a table that did not grow";
	if (h->count > h->room)
		return "more devices than room";
	for (i = 0; i < h->count; i++) {
		d = h->devices[i];
		if (d->index != i)
			return "a device's index";
		if (!is_id(d->id))
			return "a device's id";
		if (ws_hub_find(h, ws_device_name(d)) != d)
			return "a device not found by its id";
		for (k = d->links; k != NULL; k = k->next) {
			if (k->device != d)
				return "a link in another device's list";
			if (k->prev == NULL ? k != d->links :
			    k->prev->next != k)
				return "a link's way back";
			if (find_link(h, d, k->channel) != k)
				return "a link not found";
			links++;
		}
	}
	if (links != h->nlinks)
		return "the number of links in devices' lists";
	for (i = 0; i < h->nbuckets; i++)
		for (d = h->buckets[i]; d != NULL; d = d->chain) {
			if (d->index >= h->count || h->devices[d->index] != d)
				return "a device that is in by its id only";
			devices++;
		}
	if (devices != h->count)
		return "the number of devices by id";
	for (i = 0; i < h->channel_buckets; i++)
		for (c = h->channels[i]; c != NULL; c = c->chain) {
			struct ws_text name = { c->name, c->len };

			channels++;
			members += c->count;
			if (c->count == 0)
				return "a channel without members";
			if (c->count > c->room)
				return "more members than room";
			if (find_channel(h, name, hash_name(h, name)) != c)
				return "a channel not found by its name";
			for (j = 0; j < c->count; j++) {
				k = c->members[j].link;
				if (k->index != j)
					return "a link's index";
				if (k->channel != c ||
				    k->device != c->members[j].device)
					return "a member's link";
			}
		}
	if (channels != h->nchannels)
		return "the number of channels by name";
	if (members != h->nlinks)
		return "the number of members";
	for (i = 0, links = 0; i < h->link_buckets; i++)
		for (k = h->links[i]; k != NULL; k = k->chain)
			links++;
	return links == h->nlinks ? NULL : "the number of links by both";
}

static void
whole(const struct ws_hub *h, int crowded, const char *when)
{
	const char *what = broken(h, crowded);

	EXPECT(what == NULL, "%s: wrong is %s", when, what);
}

/* ---------------------------------------------------------------- frames */

/* Finds a frame's payload, reading RFC 6455 section 5.2 anew; 0 if it is not
 * one of that first byte, of the shortest length, without a mask. */
static int
payload_of(const struct ws_frame *f, unsigned first, struct ws_text *t)
{
	const unsigned char *p = ws_frame_bytes(f);
	uint64_t len = f->len < 2 ? 0 : p[1];
	size_t head = 2, i;

	if (f->len < 2 || p[0] != first || p[1] > 127)
		return 0;
	if (len >= 126) {
		head = len == 126 ? 4 : 10;
		for (len = 0, i = 2; i < head; i++)
			len = len << 8 | p[i];
		if (len < (head == 4 ? 126u : 65536u))
			return 0;
	}
	t->s = (const char *)p + head;
	t->len = (size_t)len;
	return f->len == head + len;
}

static void
frames(void)
{
	static const struct {
		size_t len, head;
	} sizes[] = {
		{ 0, 2 }, { 1, 2 }, { 124, 2 }, { 125, 2 }, { 126, 4 },
		{ 127, 4 }, { 65534, 4 }, { 65535, 4 }, { 65536, 10 },
		{ 65537, 10 }, { WS_TEXT_MAX, 10 }
	};
	static const unsigned opcodes[] = { WS_TEXT, WS_PING, WS_CLOSE };
	static char json[WS_TEXT_MAX + 1000];
	volatile size_t too_long = UINT32_MAX;
	struct ws_frame *f;
	struct ws_text t = { json, 0 }, got;
	size_t i, j;

	for (i = 0; i < sizeof(json); i++)
		json[i] = (char)('a' + i % 23);

	CASE("frames: heads for every form of length, payload untouched");
	for (i = 0; i < LEN(sizes); i++)
		for (j = 0; j < LEN(opcodes); j++) {
			f = ws_frame_new(opcodes[j], json, sizes[i].len);
			EXPECT(f != NULL && f->refs == 1 &&
			    f->len == sizes[i].head + sizes[i].len &&
			    f->start == 14 - sizes[i].head &&
			    payload_of(f, 0x80 | opcodes[j], &got) &&
			    got.len == sizes[i].len &&
			    memcmp(got.s, json, got.len) == 0,
			    "%zu bytes, opcode %u", sizes[i].len, opcodes[j]);
			ws_frame_release(f);
		}
	f = ws_frame_new(WS_PING, NULL, 0);
	EXPECT(f != NULL && f->len == 2, "no payload");
	ws_frame_release(f);

	CASE("frames: of JSON, the length is that without white space");
	for (i = 1; i < LEN(sizes); i++)
		for (j = 0; j < 4; j++) {
			size_t blanks = j * j * 100, body = sizes[i].len;

			memset(json, ' ', blanks);
			memset(json + blanks, '7', body);
			t.len = blanks + body;
			f = ws_frame_json(t);
			EXPECT(f != NULL && payload_of(f, 0x81, &got) &&
			    f->refs == 1 && f->start == 14 - sizes[i].head &&
			    got.len == body && memcmp(got.s, json + blanks,
			    body) == 0, "%zu and %zu blanks", body, blanks);
			EXPECT(asked == sizeof(*f) + 14 + body +
			    (blanks > 256 ? 0 : blanks),
			    "%zu and %zu blanks: %zu bytes kept", body, blanks,
			    asked);
			ws_frame_release(f);
		}

	CASE("frames: the last reference frees, NULL is allowed");
	ws_frame_release(NULL);
	f = ws_frame_new(WS_TEXT, "x", 1);
	if (f != NULL) {
		f->refs++;
		ws_frame_release(f);
		EXPECT(live == 1 && f->refs == 1, "%ld blocks", live);
		ws_frame_release(f);
	}
	all_freed();

	CASE("frames: no memory, and lengths beyond 32 bits");
	fail_at = 1;
	EXPECT(ws_frame_new(WS_TEXT, "x", 1) == NULL, "made of nothing");
	calls = 0;
	EXPECT(ws_frame_json(text_of("1")) == NULL, "made of nothing");
	calls = 0;
	EXPECT(ws_frame_new(WS_TEXT, "x", too_long) == NULL && calls == 0,
	    "%u calls", calls);
	too_long -= sizeof(struct ws_frame) + 13;
	EXPECT(ws_frame_new(WS_TEXT, "x", too_long) == NULL && calls == 0,
	    "%u calls", calls);
	too_long--;
	EXPECT(ws_frame_new(WS_TEXT, "x", too_long) == NULL &&
	    asked == UINT32_MAX, "%zu asked", asked);
	t.len = 1000;
	memset(json, ' ', 999);
	json[999] = '1';
	calls = 0;
	fail_at = 2;
	f = ws_frame_json(t);
	EXPECT(f != NULL && calls == 2 && payload_of(f, 0x81, &got) &&
	    got.len == 1 && *got.s == '1', "a frame that did not shrink");
	ws_frame_release(f);
	all_freed();
}

/* ----------------------------------------------------- devices, channels */

/* The name of a device without one. */
static const struct ws_text no_name;

#define CROWD 100000
#define ROOMS 10000

/* What was delivered, and to whom not any more. */
struct tally {
	const struct ws_session *session; /* the first */
	const struct ws_frame *frame;   /* the one to come */
	unsigned char hits[CROWD], dead[CROWD];
	unsigned wrong;
};

static struct ws_session crowd[CROWD];
static struct tally tally;

static int
count(struct ws_session *d, struct ws_frame *f, void *arg)
{
	struct tally *t = arg;

	if (f != t->frame || f->refs != 1)
		t->wrong++;
	t->hits[d - t->session]++;
	return !t->dead[d - t->session];
}

static const struct ws_owner counter = { count, NULL, NULL, NULL };

/* A hub and a frame for it to deliver. */
static struct ws_frame *
open_hub(struct ws_hub *h)
{
	struct ws_frame *f = ws_frame_new(WS_TEXT, "1", 1);

	memset(&tally, 0, sizeof(tally));
	memset(crowd, 0, sizeof(crowd));
	tally.session = crowd;
	tally.frame = f;
	if (f == NULL || ws_hub_init(h, &counter, &tally) != 0) {
		perror("hub");
		exit(1);
	}
	EXPECT(h->owner == &counter && h->arg == &tally && h->count == 0 &&
	    h->nbuckets == 64 && h->channel_buckets == 64 &&
	    h->link_buckets == 64, "what a hub begins with");
	return f;
}

static void
close_hub(struct ws_hub *h, struct ws_frame *f)
{
	EXPECT(tally.wrong == 0, "%u deliveries of another frame",
	    tally.wrong);
	ws_frame_release(f);
	ws_hub_free(h);
	all_freed();
}

static int
join_all(struct ws_hub *h, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (ws_hub_join(h, &crowd[i], no_name) != 0)
			return -1;
	return 0;
}

static void
ids(void)
{
	static unsigned seen[WS_ID_LEN][256];
	struct ws_hub h;
	struct ws_frame *f = open_hub(&h);
	struct ws_text t;
	unsigned i, j, total, bad = 0;
	char id[WS_ID_LEN + 2];

	CASE("ids: 100,000 of them, 15 of the 64 characters, no two alike");
	entropies = 0;
	EXPECT(join_all(&h, CROWD) == 0 && h.count == CROWD, "%u joined",
	    h.count);
	EXPECT(entropies >= CROWD / 16 && entropies < CROWD / 16 + 16,
	    "%u system calls", entropies);
	for (i = 0; i < CROWD; i++) {
		if (!is_id(crowd[i].own.id) ||
		    ws_hub_find(&h, ws_device_name(&crowd[i].own)) !=
		    &crowd[i].own ||
		    crowd[i].own.links != NULL)
			bad++;
		for (j = 0; j < WS_ID_LEN; j++)
			seen[j][(unsigned char)crowd[i].own.id[j]]++;
	}
	EXPECT(bad == 0, "%u bad ids", bad);

	CASE("ids: every character in every place, equally often");
	for (i = 0; i < 256; i++) {
		if (i == 0 || strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklm"
		    "nopqrstuvwxyz0123456789_-", (int)i) == NULL)
			continue;
		for (j = 0, total = 0; j < WS_ID_LEN; j++) {
			total += seen[j][i];
			/* Chance is 39 around 1,562. */
			EXPECT(seen[j][i] > 1162 && seen[j][i] < 1962,
			    "%c in place %u: %u times", (int)i, j, seen[j][i]);
		}
		EXPECT(total > 22238 && total < 24638, "%c: %u times", (int)i,
		    total);
	}

	CASE("ids: found by all their bytes, and no more");
	memcpy(id, crowd[7].own.id, sizeof(crowd[7].own.id));
	for (i = 0; i < WS_ID_LEN; i++) {
		id[i] ^= 1;
		EXPECT(ws_hub_find(&h, text_of(id)) == NULL, "byte %u", i);
		id[i] ^= 1;
	}
	t = text_of(id);
	EXPECT(ws_hub_find(&h, t) == &crowd[7].own, "not found");
	t.len = WS_ID_LEN - 1;
	EXPECT(ws_hub_find(&h, t) == NULL, "found by 14 bytes");
	t.len = WS_ID_LEN + 1;
	EXPECT(ws_hub_find(&h, t) == NULL, "found by 16 bytes");
	t.len = 0;
	EXPECT(ws_hub_find(&h, t) == NULL, "found by nothing");

	CASE("ids: gone after leaving; leaving twice and never joining");
	ws_hub_leave(&h, &crowd[7]);
	EXPECT(crowd[7].own.id[0] == '\0' && h.count == CROWD - 1 &&
	    ws_hub_find(&h, text_of(id)) == NULL, "still there");
	ws_hub_leave(&h, &crowd[7]);
	EXPECT(h.count == CROWD - 1, "left twice: %u", h.count);
	for (i = 0; i < CROWD; i++)
		ws_hub_leave(&h, &crowd[i]);
	ws_hub_leave(&h, &crowd[0]);
	EXPECT(h.count == 0, "%u left over", h.count);
	whole(&h, 0, "all left");
	close_hub(&h, f);

	CASE("ids: one that is in use is not given again");
	f = open_hub(&h);
	entropy = ZEROS;
	EXPECT(ws_hub_join(&h, &crowd[0], no_name) == 0 && entropies > 0, "no join");
	entropy = LETTERS;
	EXPECT(ws_hub_join(&h, &crowd[1], no_name) == 0, "no join");
	EXPECT(strcmp(crowd[0].own.id, "AAAAAAAAAAAAAAA") == 0 &&
	    strcmp(crowd[1].own.id, "BBBBBBBBBBBBBBB") == 0, "%s, %s",
	    crowd[0].own.id, crowd[1].own.id);

	CASE("ids: no entropy is an error that passes");
	ws_hub_leave(&h, &crowd[1]);
	entropy = NOTHING;
	h.npool = WS_ID_LEN - 1;
	errno = 0;
	EXPECT(ws_hub_join(&h, &crowd[1], no_name) == -1 && errno == EIO &&
	    crowd[1].own.id[0] == '\0' && h.count == 1, "errno %d", errno);
	whole(&h, 0, "no entropy");
	ws_hub_leave(&h, &crowd[1]);
	EXPECT(ws_hub_multicast(&h, f, NULL) == 1 && tally.hits[1] == 0,
	    "heard by one that could not join");
	entropy = REAL;
	EXPECT(ws_hub_join(&h, &crowd[1], no_name) == 0 && h.count == 2, "no join");
	whole(&h, 0, "entropy again");
	/* 15 bytes are enough for one more. */
	entropy = NOTHING;
	h.npool = WS_ID_LEN;
	EXPECT(ws_hub_join(&h, &crowd[2], no_name) == 0 && h.npool == 0, "no join");
	EXPECT(ws_hub_join(&h, &crowd[3], no_name) == -1, "joined");
	entropy = REAL;
	for (i = 0; i < 3; i++)
		ws_hub_leave(&h, &crowd[i]);
	close_hub(&h, f);
}

static void
deliveries(void)
{
	struct ws_hub h;
	struct ws_frame *f;
	struct ws_session *d = crowd;
	struct ws_text news = text_of("news"), nobody = text_of("nobody");
	unsigned i;

	CASE("channels: subscribe and unsubscribe say what they changed");
	f = open_hub(&h);
	EXPECT(join_all(&h, 4) == 0, "no join");
	EXPECT(ws_hub_unsubscribe(&h, &d[0].own, news) == 0, "of no channel");
	EXPECT(ws_hub_subscribe(&h, &d[0].own, news) == 1, "first");
	EXPECT(ws_hub_subscribe(&h, &d[0].own, news) == 0, "twice");
	EXPECT(h.nlinks == 1 && h.nchannels == 1, "%u, %u", h.nlinks,
	    h.nchannels);
	EXPECT(ws_hub_unsubscribe(&h, &d[1].own, news) == 0, "not a member");
	EXPECT(ws_hub_subscribe(&h, &d[1].own, news) == 1, "second");
	EXPECT(ws_hub_subscribe(&h, &d[2].own, news) == 1, "third");
	EXPECT(ws_hub_subscribe(&h, &d[2].own, text_of("new")) == 1, "prefix");
	EXPECT(ws_hub_subscribe(&h, &d[2].own, text_of("news ")) == 1, "longer");
	EXPECT(h.nlinks == 5 && h.nchannels == 3, "%u, %u", h.nlinks,
	    h.nchannels);
	whole(&h, 0, "subscribed");

	CASE("deliver: to all, to a channel, to a device; 0 is not counted");
	EXPECT(ws_hub_multicast(&h, f, NULL) == 4, "multicast");
	EXPECT(ws_hub_publish(&h, news, f, NULL) == 3, "publish");
	EXPECT(ws_hub_publish(&h, nobody, f, NULL) == 0, "to no channel");
	EXPECT(ws_hub_send(&h, ws_device_name(&d[3].own), f) == 1, "send");
	EXPECT(ws_hub_send(&h, nobody, f) == 0, "to no device");
	tally.dead[1] = tally.dead[3] = 1;
	EXPECT(ws_hub_multicast(&h, f, NULL) == 2, "multicast, two dead");
	EXPECT(ws_hub_publish(&h, news, f, NULL) == 2, "publish, one dead");
	EXPECT(ws_hub_send(&h, ws_device_name(&d[3].own), f) == 0, "send, dead");
	EXPECT(tally.hits[0] == 4 && tally.hits[1] == 4 &&
	    tally.hits[2] == 4 && tally.hits[3] == 4, "%d %d %d %d",
	    tally.hits[0], tally.hits[1], tally.hits[2], tally.hits[3]);

	CASE("channels: end with their last member");
	EXPECT(ws_hub_unsubscribe(&h, &d[0].own, news) == 1, "the first member");
	whole(&h, 0, "unsubscribed");
	ws_hub_leave(&h, &d[2]);
	EXPECT(h.nlinks == 1 && h.nchannels == 1, "%u, %u", h.nlinks,
	    h.nchannels);
	whole(&h, 0, "left");
	EXPECT(ws_hub_unsubscribe(&h, &d[1].own, news) == 1, "the last");
	EXPECT(h.nlinks == 0 && h.nchannels == 0, "%u, %u", h.nlinks,
	    h.nchannels);
	for (i = 0; i < 4; i++)
		ws_hub_leave(&h, &d[i]);
	close_hub(&h, f);
}

#define FEW 60
#define SOME 40

/* Against a matrix of who is where. */
static void
random_operations(void)
{
	static unsigned char in[FEW][SOME], joined[FEW];
	struct ws_hub h;
	struct ws_frame *f;
	struct ws_text name;
	unsigned step, d, c, i, j, op, most, want, all = 0, used;
	unsigned emptied = 0, full = 0;
	size_t got;

	CASE("random operations: what a plain matrix says");
	f = open_hub(&h);
	for (step = 0; step < 200000; step++) {
		/* There are times of coming and times of going. */
		most = step / 10000 % 2 == 0 ? 70 : 2;
		d = random_to(FEW);
		c = random_to(SOME);
		op = random_to(1000);
		name = c == 0 ? text_of("c") : channel_name(c);
		memset(tally.hits, 0, FEW);
		if (op < 800 && joined[d] && random_to(100) < most) {
			want = !in[d][c];
			got = (size_t)ws_hub_subscribe(&h, &crowd[d].own, name);
			in[d][c] = 1;
		} else if (op < 800 && joined[d]) {
			want = in[d][c];
			got = (size_t)ws_hub_unsubscribe(&h, &crowd[d].own, name);
			in[d][c] = 0;
		} else if (op < 840 && !joined[d]) {
			want = 0;
			got = (size_t)ws_hub_join(&h, &crowd[d], no_name);
			joined[d] = 1;
			all++;
		} else if (op >= 840 && op < 843 && joined[d]) {
			ws_hub_leave(&h, &crowd[d]);
			joined[d] = 0;
			memset(in[d], 0, SOME);
			all--;
			got = want = 0;
		} else if (op < 970) {
			got = ws_hub_publish(&h, name, f, NULL);
			for (i = 0, want = 0; i < FEW; i++) {
				want += in[i][c] && !tally.dead[i];
				tally.wrong += tally.hits[i] != in[i][c];
			}
		} else if (op < 980) {
			got = ws_hub_multicast(&h, f, NULL);
			for (i = 0, want = 0; i < FEW; i++) {
				want += joined[i] && !tally.dead[i];
				tally.wrong += tally.hits[i] != joined[i];
			}
		} else if (op < 990) {
			got = ws_hub_send(&h, ws_device_name(&crowd[d].own), f);
			want = joined[d] && !tally.dead[d];
			for (i = 0; i < FEW; i++)
				tally.wrong += tally.hits[i] !=
				    (i == d && joined[d]);
		} else {
			tally.dead[d] ^= 1;
			got = want = 0;
		}
		if (got != want || tally.wrong != 0 || h.count != all) {
			EXPECT(0, "step %u, operation %u: %zu, not %u; %u of "
			    "%u devices; %u wrong", step, op, got, want,
			    h.count, all, tally.wrong);
			break;
		}
		if (step % 64 != 0)
			continue;
		whole(&h, 0, "now and then");
		for (j = 0, used = 0, want = 0; j < SOME; j++) {
			for (i = 0, got = 0; i < FEW; i++)
				got += in[i][j];
			used += got != 0;
			want += (unsigned)got;
		}
		EXPECT(h.nchannels == used && h.nlinks == want,
		    "step %u: %u channels, %u links, not %u, %u", step,
		    h.nchannels, h.nlinks, used, want);
		emptied += used < SOME;
		full += want > 1000;
	}
	EXPECT(emptied > 100 && full > 100, "%u and %u: dull", emptied, full);
	EXPECT(h.nbuckets == 128 && h.channel_buckets == 64 &&
	    h.link_buckets == 2048, "tables of %u, %u, %u", h.nbuckets,
	    h.channel_buckets, h.link_buckets);
	for (i = 0; i < FEW; i++)
		ws_hub_leave(&h, &crowd[i]);
	whole(&h, 0, "at the end");
	EXPECT(h.count == 0 && h.nlinks == 0 && h.nchannels == 0,
	    "%u, %u, %u left", h.count, h.nlinks, h.nchannels);
	close_hub(&h, f);
}

#define LONGEST(most, type, table, n) do {                                    \
	const type *e_;                                                       \
	unsigned at_, long_;                                                  \
	for ((most) = at_ = 0; at_ < (n); at_++) {                            \
		for (long_ = 0, e_ = (table)[at_]; e_ != NULL; e_ = e_->chain)\
			long_++;                                              \
		if (long_ > (most))                                           \
			(most) = long_;                                       \
	}                                                                     \
} while (0)

static unsigned
hits(void)
{
	unsigned i, n = 0;

	for (i = 0; i < CROWD; i++) {
		n += tally.hits[i] == 1;
		if (tally.hits[i] > 1)
			tally.wrong++;
	}
	memset(tally.hits, 0, sizeof(tally.hits));
	return n;
}

static void
scale(void)
{
	struct ws_hub h;
	struct ws_frame *f;
	struct ws_text all = text_of("all");
	unsigned i, bad = 0, ends, most, links = 0;

	CASE("scale: 100,000 devices, 10,000 channels, 205,000 links");
	f = open_hub(&h);
	EXPECT(join_all(&h, CROWD) == 0, "no join");
	for (i = 0; i < CROWD; i++) {
		bad += ws_hub_subscribe(&h, &crowd[i].own, all) != 1;
		bad += ws_hub_subscribe(&h, &crowd[i].own,
		    channel_name(i % ROOMS)) != 1;
		links += 2;
	}
	/* The first is in 5,000; it was in number 0 before. */
	for (i = 1; i < 5000; i++, links++)
		bad += ws_hub_subscribe(&h, &crowd[0].own, channel_name(i)) != 1;
	EXPECT(bad == 0, "%u not subscribed", bad);
	EXPECT(h.count == CROWD && h.nchannels == ROOMS + 1 &&
	    h.nlinks == links, "%u devices, %u channels, %u links", h.count,
	    h.nchannels, h.nlinks);
	whole(&h, 0, "full");

	CASE("scale: no chain in a table is longer than 20");
	LONGEST(most, struct ws_device, h.buckets, h.nbuckets);
	EXPECT(most > 0 && most <= 20, "%u devices", most);
	LONGEST(most, struct ws_channel, h.channels, h.channel_buckets);
	EXPECT(most > 0 && most <= 20, "%u channels", most);
	LONGEST(most, struct ws_link, h.links, h.link_buckets);
	EXPECT(most > 0 && most <= 20, "%u links", most);
	EXPECT(h.nbuckets == 262144 && h.channel_buckets == 16384 &&
	    h.link_buckets == 262144, "tables of %u, %u, %u", h.nbuckets,
	    h.channel_buckets, h.link_buckets);

	CASE("scale: each message reaches whom it should, once");
	EXPECT(ws_hub_multicast(&h, f, NULL) == CROWD && hits() == CROWD, "all");
	EXPECT(ws_hub_publish(&h, all, f, NULL) == CROWD && hits() == CROWD, "all");
	for (i = 0; i < ROOMS; i += 499) {
		unsigned want = i > 0 && i < 5000 ? 11 : 10;

		EXPECT(ws_hub_publish(&h, channel_name(i), f, NULL) == want &&
		    hits() == want, "channel %u", i);
	}
	for (i = 0; i < CROWD; i += 4999)
		EXPECT(ws_hub_send(&h, ws_device_name(&crowd[i].own), f) == 1 &&
		    tally.hits[i] == 1 && hits() == 1, "device %u", i);

	CASE("scale: the one in 5,000 channels leaves, then all others");
	ws_hub_leave(&h, &crowd[0]);
	EXPECT(h.nlinks == links - 5001 && h.count == CROWD - 1, "%u links",
	    h.nlinks);
	EXPECT(ws_hub_publish(&h, channel_name(4999), f, NULL) == 10, "channel");
	whole(&h, 0, "without the first");
	/* 7,919 is a prime: every one, in no order. */
	for (i = 0, ends = 0; i < CROWD; i++) {
		ends = (ends + 7919) % CROWD;
		ws_hub_leave(&h, &crowd[ends]);
		if (i % 20000 == 10000)
			whole(&h, 0, "leaving");
	}
	EXPECT(h.count == 0 && h.nlinks == 0 && h.nchannels == 0,
	    "%u, %u, %u left", h.count, h.nlinks, h.nchannels);
	whole(&h, 0, "empty");
	close_hub(&h, f);
}

/* ---------------------------------------------------------- the stage */

#define CAST 5

static struct ws_hub hub;
static struct ws_session cast[CAST]; /* A, B, C, D, 1 */
static struct ws_control control;
static struct ws_frame *said; /* the last one; ours, so the next differs */
static unsigned said_to;      /* a bit for each of cast */
static unsigned messages, deliveries_made;
static char heard[16384];
static size_t heard_len;

static void
note_heard(void)
{
	struct ws_text t;
	unsigned i;

	if (said == NULL)
		return;
	for (i = 0; i < CAST; i++)
		if ((said_to >> i & 1) != 0)
			heard[heard_len++] = cast[i].own.id[0];
	heard[heard_len++] = '=';
	if (!payload_of(said, 0x81, &t)) {
		heard[heard_len++] = '?';
	} else if (t.len < 2000 && heard_len < sizeof(heard) - 2100) {
		memcpy(heard + heard_len, t.s, t.len);
		heard_len += t.len;
	}
	heard[heard_len++] = ';';
	heard[heard_len] = '\0';
}

static void
forget_said(void)
{
	if (said != NULL) {
		said->refs--;
		if (said->refs == 0) {
			said->refs = 1;
			ws_frame_release(said);
		}
	}
	said = NULL;
	said_to = 0;
}

static int
hear(struct ws_session *d, struct ws_frame *f, void *arg)
{
	unsigned bit = 1u << (d - cast);

	if (arg != &hub)
		abort();
	if (d == &cast[3])
		return 0;
	if (f != said || (said_to & bit) != 0) {
		note_heard();
		forget_said();
		said = f;
		f->refs++;
		messages++;
	}
	said_to |= bit;
	deliveries_made++;
	return 1;
}

/* Device B was away; D does not hear; E, whose id has digits, has a path. */
static void
tell_about(const struct ws_session *d, struct ws_about_session *about, void *arg)
{
	static const char path[] = "/e\"\xff\xc3\xa9\xe2\x82";

	if (arg != &hub)
		abort();
	memset(about, 0, sizeof(*about));
	about->away = d == &cast[1];
	about->reason = WS_ENDED_SILENT;
	if (!about->away)
		snprintf(about->address, sizeof(about->address), "10.0.0.%d:80",
		    (int)(d - cast));
	about->path.s = path;
	about->path.len = d == &cast[4] ? sizeof(path) - 1 : 1;
	about->since = 1700000000 + (d - cast);
	about->unsent = 5;
	about->kept = (size_t)(d - cast);
}

/* As a client hears a message, it hears of its end: K4001bye. */
static void
kick_one(struct ws_session *d, unsigned code, const char *reason, void *arg)
{
	if (arg != &hub)
		abort();
	note_heard();
	heard_len += (size_t)snprintf(heard + heard_len,
	    sizeof(heard) - heard_len, "K%u%s;", code, reason);
	ws_watch_session(&hub, d, WS_EVENT_DISCONNECT, WS_ENDED_KICKED);
	ws_hub_leave(&hub, d);
}

static size_t
tell_stats(char *out, size_t room, void *arg)
{
	if (arg != &hub)
		abort();
	return (size_t)snprintf(out, room, "{\"a\":1}");
}

static const struct ws_owner hearer = { hear, tell_about, kick_one, tell_stats };

static void
set_up(void)
{
	unsigned i, bad = 0;

	entropy = LETTERS;
	memset(cast, 0, sizeof(cast));
	memset(&control, 0, sizeof(control));
	heard_len = messages = deliveries_made = 0;
	heard[0] = '\0';
	bad += ws_hub_init(&hub, &hearer, &hub) != 0;
	for (i = 0; i < CAST; i++)
		bad += ws_hub_join(&hub, &cast[i], no_name) != 0;
	for (i = 0; i < 2; i++)
		bad += ws_hub_subscribe(&hub, &cast[i].own, text_of("news")) != 1;
	if (bad != 0) {
		printf("no stage\n");
		exit(1);
	}
}

static void
tear_down(void)
{
	const char *what = broken(&hub, 0);
	unsigned i;

	if (what != NULL)
		EXPECT(0, "after a script: wrong is %s", what);
	ws_control_free(&control);
	for (i = 0; i < CAST; i++)
		ws_hub_leave(&hub, &cast[i]);
	ws_hub_free(&hub);
	forget_said();
	entropy = REAL;
	all_freed();
}

/* Feeds a piece that ends at the unmapped page. */
static void
feed(const char *s, size_t len)
{
	size_t n;

	do {
		n = len < TEST_ROOM ? len : TEST_ROOM;
		ws_control_feed(&hub, &control, test_place(s, n), n);
		s += n;
		len -= n;
	} while (len != 0);
}

static void
feed_text(const char *s)
{
	feed(s, strlen(s));
}

/* Replies so far, as a string; until the next call. */
static const char *
replies(void)
{
	static char out[16384];
	size_t n = control.out.len;

	if (n >= sizeof(out))
		n = sizeof(out) - 1;
	if (n != 0)
		memcpy(out, control.out.s, n);
	out[n] = '\0';
	return out;
}

static void
replied(const char *want, const char *what)
{
	const char *got = replies();

	EXPECT(strcmp(got, want) == 0, "%s: \"%.300s\", not \"%.300s\"", what,
	    got, want);
}

#define BYTES SIZE_MAX

/* Plays a script in pieces that end at a and at b; a == BYTES: in bytes. */
static void
play(const char *in, size_t len, size_t a, size_t b)
{
	size_t i, from = 0;

	set_up();
	feed(in, 0);
	for (i = 0; i < len; i++) {
		if (in[i] == '@' || in[i] == '$') {
			feed(in + from, i - from);
			if (in[i] == '@')
				ws_control_resync(&control);
			else
				ws_control_end(&control);
			from = i + 1;
		} else if (a == BYTES || i == a || i == b) {
			feed(in + from, i - from);
			from = i;
		}
	}
	feed(in + from, len - from);
	note_heard();
}

/* Bytes that print, for messages. */
static const char *
show(const char *s, size_t len)
{
	static char out[600];
	size_t n = 0, i;

	for (i = 0; i < len && n < sizeof(out) - 8; i++) {
		if (s[i] >= ' ' && s[i] <= '~')
			out[n++] = s[i];
		else
			n += (size_t)snprintf(out + n, 5, "<%02x>",
			    s[i] & 0xff);
	}
	out[n] = '\0';
	return out;
}

static void
play_once(const char *in, size_t len, size_t a, size_t b, const char *out,
    const char *ears)
{
	const char *p;
	size_t n = strlen(out), errors = 0;

	play(in, len, a, b);
	for (p = out; (p = strstr(p, "ERR")) != NULL; p++)
		errors++;
	if (control.out.len != n || (n != 0 && memcmp(control.out.s, out, n) != 0)
	    || control.out.failed)
		EXPECT(0, "`%s`, cut at %zd, %zd: \"%.300s\", not \"%.300s\"",
		    show(in, len), (ssize_t)a, (ssize_t)b, replies(), out);
	if (strcmp(heard, ears) != 0)
		EXPECT(0, "`%s`, cut at %zd, %zd: heard %.300s, not %.300s",
		    show(in, len), (ssize_t)a, (ssize_t)b, heard, ears);
	if (control.errors != errors)
		EXPECT(0, "`%s`, cut at %zd, %zd: %d errors counted",
		    show(in, len), (ssize_t)a, (ssize_t)b,
		    (int)control.errors);
	tear_down();
}

/* Scripts' shorthands; returns the length. */
static size_t
spell(char *out, size_t room, const char *in, size_t len)
{
	size_t i, n = 0;

	for (i = 0; i < len && n < room - 16; i++) {
		if (in[i] == '<' && i + 2 < len && in[i + 2] == '>') {
			memset(out + n, in[i + 1], WS_ID_LEN);
			n += WS_ID_LEN;
			i += 2;
		} else {
			out[n++] = (char)(in[i] == '\'' ? '"' : in[i]);
		}
	}
	out[n] = '\0';
	return n;
}

/* Plays a script in every way. */
static void
script(const char *text, size_t text_len, const char *replies_want,
    const char *heard_want)
{
	static char in[8192], out[8192], ears[8192];
	size_t len = spell(in, sizeof(in), text, text_len), a, b;

	spell(out, sizeof(out), replies_want, strlen(replies_want));
	spell(ears, sizeof(ears), heard_want, strlen(heard_want));
	play_once(in, len, 0, 0, out, ears);
	play_once(in, len, BYTES, 0, out, ears);
	for (a = 1; a < len; a++)
		play_once(in, len, a, 0, out, ears);
	if (len <= 48)
		for (a = 1; a < len; a++)
			for (b = a + 1; b < len; b++)
				play_once(in, len, a, b, out, ears);
	else
		for (b = 0; b < 30; b++)
			play_once(in, len, random_to((unsigned)len),
			    random_to((unsigned)len), out, ears);
}

#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
static void
scriptf(const char *replies_want, const char *heard_want, const char *format,
    ...)
{
	static char in[8192];
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(in, sizeof(in), format, ap);
	va_end(ap);
	EXPECT(n >= 0 && (size_t)n < sizeof(in), "too long a script");
	script(in, strlen(in), replies_want, heard_want);
}

struct scene {
	const char *in;
	size_t len;
	const char *replies, *heard;
};

static void
scenes(const struct scene *s, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		script(s[i].in, s[i].len, s[i].replies, s[i].heard);
}

/* ------------------------------------------------- scripts: the actions */

#define IN(s) s, sizeof(s) - 1
#define ONE "{'action':'multicast','data':1}"
#define ALL "ABC1=1;"
#define CAST_TO(data) "{'action':'multicast','data':" data "}"
#define SEND(channel, data) \
	"{'action':'sendToChannel','channel':" channel ",'data':" data "}"
#define TO(device, data) \
	"{'action':'sendToDevice','device':" device ",'data':" data "}"
#define SUB(device, channel) \
	"{'action':'subscribe','device':" device ",'channel':" channel "}"
#define UNSUB(device, channel) \
	"{'action':'unsubscribe','device':" device ",'channel':" channel "}"
#define NAMED(field) "ERR '" field "' is not a string of 1 to 255 bytes\n"
#define LINE(s) s "\n"

static const struct scene acts[] = {
	/* Each action, bare and as a line. */
	{ IN(ONE), "OK", ALL },
	{ IN(LINE(ONE)), "OK 4\n", ALL },
	{ IN(SEND("'news'", "1")), "OK", "AB=1;" },
	{ IN(LINE(SEND("'news'", "1"))), "OK 2\n", "AB=1;" },
	{ IN(LINE(SEND("'olds'", "1"))), "OK 0\n", "" },
	{ IN(LINE(SEND("'new'", "1"))), "OK 0\n", "" },
	{ IN(LINE(SEND("'NEWS'", "1"))), "OK 0\n", "" },
	{ IN(TO("'<C>'", "1")), "OK", "C=1;" },
	{ IN(LINE(TO("'<C>'", "1"))), "OK 1\n", "C=1;" },
	{ IN(LINE(TO("'<D>'", "1"))), "OK 0\n", "" },
	{ IN(LINE(TO("'<E>'", "1"))), "OK 0\n", "" },
	{ IN(LINE(TO("'C'", "1"))), "OK 0\n", "" },
	{ IN(LINE(TO("'<c>'", "1"))), "OK 0\n", "" },
	{ IN(SUB("'<C>'", "'news'")), "OK", "" },
	{ IN(LINE(SUB("'<C>'", "'news'")) LINE(SUB("'<C>'", "'news'"))
	    LINE(SEND("'news'", "2"))), "OK 1\nOK 0\nOK 3\n", "ABC=2;" },
	{ IN(LINE(SUB("'<A>'", "'news'"))), "OK 0\n", "" },
	{ IN(UNSUB("'<A>'", "'news'")), "OK", "" },
	{ IN(LINE(UNSUB("'<A>'", "'news'")) LINE(UNSUB("'<A>'", "'news'"))
	    LINE(SEND("'news'", "2"))), "OK 1\nOK 0\nOK 1\n", "B=2;" },
	{ IN(LINE(UNSUB("'<C>'", "'news'"))), "OK 0\n", "" },
	{ IN(LINE(UNSUB("'<A>'", "'olds'"))), "OK 0\n", "" },
	{ IN(LINE(SUB("'<D>'", "'news'")) LINE(SEND("'news'", "1"))),
	  "OK 1\nOK 2\n", "AB=1;" },
	{ IN(SUB("'<C>'", "'x'") SEND("'x'", "1") UNSUB("'<C>'", "'x'")
	    LINE(SEND("'x'", "1"))), "OKOKOKOK 0\n", "C=1;" },

	/* As old backends send it. */
	{ IN("{'action':'subscribe','device':'<C>','channel':'news',"
	    "'data':{'device':'<A>'}}\n"), "OK 1\n", "" },
	{ IN("{'data':[],'channel':'news','device':'<A>',"
	    "'action':'unsubscribe'}\n"), "OK 1\n", "" },
	{ IN("{'action':'multicast','device':{},'channel':7,'data':1}\n"),
	  "OK 4\n", ALL },
	{ IN("{'action':'sendToChannel','device':null,'channel':'news',"
	    "'data':1}\n"), "OK 2\n", "AB=1;" },

	/* Unknown keys, and keys that are nearly known. */
	{ IN("{'a':1,'action':'multicast','':2,'datas':3,'dat':4,'Data':5,"
	    "'data':1,'data ':6,'channels':{'data':9}}\n"), "OK 4\n", ALL },
	{ IN("{'x':{'action':'nope'},'action':'multicast','data':1,"
	    "'y':[{'data':2}]}\n"), "OK 4\n", ALL },
	{ IN("{'action\\u0000':'nope','action':'multicast','data':1,"
	    "'\\ud800':2,'data\\u0000':3}\n"), "OK 4\n", ALL },
	{ IN("{'dataaaaaaaaaaaaaaaaaaaaaa':2,'action':'multicast',"
	    "'data':1}\n"), "OK 4\n", ALL },

	/* The last of a key counts. */
	{ IN("{'data':1,'action':'multicast','data':2}\n"), "OK 4\n",
	  "ABC1=2;" },
	{ IN("{'action':'nope','action':'multicast','data':1}\n"), "OK 4\n",
	  ALL },
	{ IN("{'action':'multicast','data':1,'action':'nope'}\n"),
	  "ERR unknown action 'nope'\n", "" },
	{ IN("{'action':'multicast','data':1,'action':5}\n"),
	  "ERR 'action' is not a string\n", "" },
	{ IN("{'action':'sendToChannel','data':1,'channel':[],"
	    "'channel':'news'}\n"), "OK 2\n", "AB=1;" },
	{ IN("{'action':'sendToChannel','data':1,'channel':'news',"
	    "'channel':null}\n"), NAMED("channel"), "" },
	{ IN("{'action':'sendToDevice','data':1,'device':'<A>',"
	    "'device':'<C>'}\n"), "OK 1\n", "C=1;" },
	{ IN("{'data':1,'action':'multicast','d\\u0061ta':3}\n"), "OK 4\n",
	  "ABC1=3;" },

	/* Escapes in keys and names. */
	{ IN("{'\\u0061ction':'m\\u0075lticast','dat\\u0061':1}\n"),
	  "OK 4\n", ALL },
	{ IN("{'\\u0061\\u0063\\u0074\\u0069\\u006F\\u006e':"
	    "'\\u0073\\u0065\\u006e\\u0064\\u0054\\u006f\\u0043\\u0068\\u0061"
	    "\\u006e\\u006e\\u0065\\u006c',"
	    "'\\u0063\\u0068\\u0061\\u006e\\u006e\\u0065\\u006c':"
	    "'n\\u0065ws','data':1}\n"), "OK 2\n", "AB=1;" },
	{ IN(LINE(SEND("'\\u006ee\\u0077s'", "1"))), "OK 2\n", "AB=1;" },
	{ IN(LINE(TO("'\\u0043CCCCCCCCCCCCCC'", "1"))), "OK 1\n", "C=1;" },
	{ IN(LINE(SUB("'<C>'", "'\\ud83d\\ude00\\/\\n'"))
	    LINE(SEND("'\xf0\x9f\x98\x80/\\u000a'", "1"))), "OK 1\nOK 1\n",
	  "C=1;" },
	{ IN(LINE(SUB("'<C>'", "'a\\u0000b'")) LINE(SEND("'a'", "1"))
	    LINE(SEND("'a\\u0000c'", "1")) LINE(SEND("'a\\u0000b'", "1"))),
	  "OK 1\nOK 0\nOK 0\nOK 1\n", "C=1;" },
	{ IN(LINE(SUB("'<C>'", "'\\u0000'")) LINE(SEND("'\\u0000\\u0000'",
	    "1")) LINE(SEND("'\\u0000'", "1"))), "OK 1\nOK 0\nOK 1\n",
	  "C=1;" },
	{ IN(LINE(TO("'<C>\\u0000'", "1"))), "OK 0\n", "" },
	{ IN(LINE(SUB("'\\u0000\\u0000\\u0000\\u0000\\u0000\\u0000\\u0000"
	    "\\u0000\\u0000\\u0000\\u0000\\u0000\\u0000\\u0000\\u0000'",
	    "'x'"))), "ERR unknown device '\\u0000\\u0000\\u0000\\u0000"
	  "\\u0000\\u0000\\u0000\\u0000\\u0000\\u0000\\u0...\n", "" },

	/* Numbers are their text. */
	{ IN(LINE(SUB("'<C>'", "5")) LINE(SEND("'5'", "1"))
	    LINE(SEND("5", "2")) LINE(SEND("5.0", "3"))),
	  "OK 1\nOK 1\nOK 1\nOK 0\n", "C=1;C=2;" },
	{ IN(LINE(SUB("<1>", "-1.50e+07")) LINE(SEND("'-1.50e+07'", "1"))),
	  "OK 1\nOK 1\n", "1=1;" },
	{ IN(LINE(TO("<1>", "1"))), "OK 1\n", "1=1;" },
	{ IN(LINE(TO("<1> ", "1"))), "OK 1\n", "1=1;" },
	{ IN(LINE(TO("9", "1"))), "OK 0\n", "" },
	{ IN(LINE(SUB("0", "'x'"))), "ERR unknown device 0\n", "" },
	{ IN(LINE(SUB("-0.0E-1", "'x'"))), "ERR unknown device -0.0E-1\n",
	  "" },

	/* Data: any value, compacted, else untouched. */
	{ IN(CAST_TO("null")), "OK", "ABC1=null;" },
	{ IN(CAST_TO("true")), "OK", "ABC1=true;" },
	{ IN(CAST_TO("false")), "OK", "ABC1=false;" },
	{ IN(CAST_TO("''")), "OK", "ABC1='';" },
	{ IN(CAST_TO("{}")), "OK", "ABC1={};" },
	{ IN(CAST_TO("[ ]")), "OK", "ABC1=[];" },
	{ IN(CAST_TO("-0")), "OK", "ABC1=-0;" },
	{ IN(CAST_TO("1.0E+02")), "OK", "ABC1=1.0E+02;" },
	{ IN(CAST_TO("1.0E+02 ")), "OK", "ABC1=1.0E+02;" },
	{ IN(CAST_TO("12345678901234567890.10")), "OK",
	  "ABC1=12345678901234567890.10;" },
	{ IN(CAST_TO("'\\u00e9\xc3\xa9\\/\\\\\\'\\ud800 \\n'")), "OK",
	  "ABC1='\\u00e9\xc3\xa9\\/\\\\\\'\\ud800 \\n';" },
	{ IN(CAST_TO("' a  b '")), "OK", "ABC1=' a  b ';" },
	{ IN(CAST_TO(" \t{\n'z' :\r\n[ 1 , { 'a'\t: 'b  c\\' }' } ] ,"
	    " 'a' : null , 'z' : 1.0 } \n")), "OK",
	  "ABC1={'z':[1,{'a':'b  c\\' }'}],'a':null,'z':1.0};" },
	{ IN("{'data':'{\\'action\\':\\'x\\'}','action':'multicast'}"), "OK",
	  "ABC1='{\\'action\\':\\'x\\'}';" },
	{ IN(" { 'action' : 'multicast' , 'data' : 1 } "), "OK", ALL },
	{ IN("\t{\r\n\t'action':\r\n\t'multicast'\r\n\t,\r\n'data'\n:1\n}\n"),
	  "OK 4\n", ALL },
	{ IN("{'action':'multicast','data':"
	    "'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	    "'}"), "OK", "ABC1='"
	  "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	  "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx';"
	},
};

static const struct scene refusals[] = {
	/* Not an object. */
	{ IN("[1]\n"), "ERR not an object\n", "" },
	{ IN("[{'action':'multicast','data':1}]\n"), "ERR not an object\n",
	  "" },
	{ IN("'x'\n"), "ERR not an object\n", "" },
	{ IN("5\n"), "ERR not an object\n", "" },
	{ IN("-5.5e5\r\n"), "ERR not an object\n", "" },
	{ IN("true\n"), "ERR not an object\n", "" },
	{ IN("null"), "ERR", "" },
	{ IN("false" ONE), "ERROK", ALL },
	{ IN("5"), "", "" },
	{ IN("5@"), "", "" },
	{ IN("5@ "), "ERR", "" },
	{ IN("5" ONE), "ERROK", ALL },
	{ IN("12 34\n"), "ERRERR not an object\n", "" },
	{ IN("[]" ONE "[]\n" ONE "\n"), "ERROKERR not an object\nOK 4\n",
	  ALL ALL },

	/* The action. */
	{ IN("{}"), "ERR", "" },
	{ IN("{}\n"), "ERR no 'action'\n", "" },
	{ IN("{ }\n"), "ERR no 'action'\n", "" },
	{ IN("{'data':1}\n"), "ERR no 'action'\n", "" },
	{ IN("{'Action':'multicast','data':1}\n"), "ERR no 'action'\n", "" },
	{ IN("{'action':'nope'}\n"), "ERR unknown action 'nope'\n", "" },
	{ IN("{'action':''}\n"), "ERR unknown action ''\n", "" },
	{ IN("{'action':'Multicast','data':1}\n"),
	  "ERR unknown action 'Multicast'\n", "" },
	{ IN("{'action':'multicas','data':1}\n"),
	  "ERR unknown action 'multicas'\n", "" },
	{ IN("{'action':'multicast ','data':1}\n"),
	  "ERR unknown action 'multicast '\n", "" },
	{ IN("{'action':'multicast\\u0000','data':1}\n"),
	  "ERR unknown action 'multicast\\u0000'\n", "" },
	{ IN("{'action':'setDeviceId','data':1}\n"),
	  "ERR unknown action 'setDeviceId'\n", "" },
	{ IN("{'action':'sendToChannelxxx','data':1,'channel':'x'}\n"),
	  "ERR unknown action 'sendToChannelxxx'\n", "" },
	{ IN("{'action':'sendToChannelxxxx','data':1,'channel':'x'}\n"),
	  "ERR unknown action 'sendToChannelxxxx'\n", "" },
	{ IN("{'action':'\\ud800'}\n"), "ERR unknown action '\\ud800'\n",
	  "" },
	{ IN("{'action':'a\\nb\\u0022'}\n"),
	  "ERR unknown action 'a\\nb\\u0022'\n", "" },
	{ IN("{'action':'%s%n'}\n"), "ERR unknown action '%s%n'\n", "" },
	{ IN("{'action':null}\n"), "ERR 'action' is not a string\n", "" },
	{ IN("{'action':5}\n"), "ERR 'action' is not a string\n", "" },
	{ IN("{'action':['multicast'],'data':1}\n"),
	  "ERR 'action' is not a string\n", "" },
	{ IN("{'action':{},'data':1}\n"), "ERR 'action' is not a string\n",
	  "" },

	/* No data. */
	{ IN("{'action':'multicast'}"), "ERR", "" },
	{ IN("{'action':'multicast'}\n"), "ERR no 'data'\n", "" },
	{ IN("{'action':'sendToChannel','channel':'news'}\n"),
	  "ERR no 'data'\n", "" },
	{ IN("{'action':'sendToDevice','device':'<A>'}\n"),
	  "ERR no 'data'\n", "" },

	/* Unknown devices. */
	{ IN(SUB("'nobody'", "'news'")), "ERR", "" },
	{ IN(LINE(SUB("'nobody'", "'news'"))),
	  "ERR unknown device 'nobody'\n", "" },
	{ IN(LINE(UNSUB("'<E>'", "'news'"))), "ERR unknown device '<E>'\n",
	  "" },
	{ IN(LINE(SUB("7", "'news'"))), "ERR unknown device 7\n", "" },
	{ IN(LINE(SUB("'n\\u006fb\xc3\xb6'", "'news'"))),
	  "ERR unknown device 'n\\u006fb\xc3\xb6'\n", "" },
	{ IN(LINE(SUB("'nobody'", "'x'")) LINE(SEND("'x'", "1"))),
	  "ERR unknown device 'nobody'\nOK 0\n", "" },
};

/* What newer backends ask, in the order of hashes: D, 1, A, B, C. */
#define ASK(action, more) "{'action':'" action "'" more "}"
#define QUESTION(action, more) LINE(ASK(action, more))
#define KICK(device, more) ASK("kick", ",'device':" device more)
#define EVENT(event, what, more) "{'event':'" event "','" what "':" more "}\n"
#define COMES(device, more) \
	EVENT("connect", "device", "'" device "','sessions':1," more)
#define OF_A COMES("<A>", "'address':'10.0.0.0:80','path':'/'")
#define OF_B COMES("<B>", "'address':null,'path':'/'") \
	EVENT("away", "device", "'<B>','sessions':1,'reason':'silent'")
#define OF_C COMES("<C>", "'address':'10.0.0.2:80','path':'/'")
#define OF_D COMES("<D>", "'address':'10.0.0.3:80','path':'/'")
#define OF_E COMES("<1>", "'address':'10.0.0.4:80','path':'/e\\'" \
	"\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd'")
#define OF_ALL OF_D OF_E OF_A OF_B OF_C
#define OCCUPIED(channel) EVENT("channel_occupied", "channel", channel)
#define VACATED(channel) EVENT("channel_vacated", "channel", channel)
#define READY "{'event':'ready'}\n"
#define NOT_CODE "ERR 'code' is not 1008 or 4000 to 4999\n"
#define NOT_REASON "ERR 'reason' is not a string of at most 123 bytes\n"
#define NOT_SNAPSHOT "ERR 'snapshot' is not true or false\n"
#define TEN "0123456789"
#define X120 TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

static const struct scene asks[] = {
	/* To others. */
	{ IN(ASK("multicast", ",'data':1,'except':'<A>'") "\n"), "OK 3\n",
	  "BC1=1;" },
	{ IN(ASK("multicast", ",'except':<1>,'data':1") "\n"), "OK 3\n",
	  "ABC=1;" },
	{ IN(ASK("multicast", ",'data':1,'except':'nobody'")), "OK", ALL },
	{ IN(ASK("sendToChannel", ",'channel':'news','data':1,'except':'<B>'")
	    "\n"), "OK 1\n", "A=1;" },
	{ IN(ASK("multicast", ",'data':1,'except':null") "\n"),
	  NAMED("except"), "" },
	{ IN(ASK("multicast", ",'data':1,'except':['<A>']") "\n"),
	  NAMED("except"), "" },
	{ IN(ASK("sendToChannel", ",'channel':'news','data':1,'except':''")
	    "\n"), NAMED("except"), "" },
	{ IN(ASK("sendToDevice", ",'device':'<A>','data':1,'except':'<A>'")
	    "\n"), "OK 1\n", "A=1;" },

	/* Questions; the details only for who writes a newline. */
	{ IN(ASK("count", "")), "OK", "" },
	{ IN(QUESTION("count", "")), "OK 5\n", "" },
	{ IN(QUESTION("count", ",'channel':'news'")), "OK 2\n", "" },
	{ IN(QUESTION("count", ",'channel':'olds'")), "OK 0\n", "" },
	{ IN(QUESTION("count", ",'channel':null")), NAMED("channel"), "" },
	{ IN(ASK("list", "")), "OK", "" },
	{ IN(ASK("list", "") ASK("list", "") ONE), "OKOKOK", ALL },
	{ IN(QUESTION("list", "")), "OK ['<D>','<1>','<A>','<B>','<C>']\n",
	  "" },
	{ IN(ASK("list", "") " \t\n" LINE(ONE)),
	  "OK ['<D>','<1>','<A>','<B>','<C>']\nOK 4\n", ALL },
	{ IN(QUESTION("list", ",'channel':'news'") LINE(ONE)),
	  "OK ['<A>','<B>']\nOK 4\n", ALL },
	{ IN(QUESTION("list", ",'channel':'olds'")), "OK []\n", "" },
	{ IN(QUESTION("list", ",'channel':5,'device':[]")), "OK []\n", "" },
	{ IN(QUESTION("list", ",'channel':[]")), NAMED("channel"), "" },
	{ IN(QUESTION("channels", "")), "OK {'news':2}\n", "" },
	{ IN(LINE(UNSUB("'<A>'", "'news'")) LINE(UNSUB("'<B>'", "'news'"))
	    QUESTION("channels", "")), "OK 1\nOK 1\nOK {}\n", "" },
	{ IN(LINE(SUB("'<A>'", "'\\u0000\\u0022\\n\xc3\xa9'"))
	    QUESTION("channels", ",'device':'<A>'")),
	  "OK 1\nOK {'\\u0000\\'\\u000a\xc3\xa9':1,'news':2}\n", "" },
	{ IN(QUESTION("channels", ",'device':'<C>'")), "OK {}\n", "" },
	{ IN(QUESTION("channels", ",'device':'nobody'")),
	  "ERR unknown device 'nobody'\n", "" },
	{ IN(QUESTION("channels", ",'device':{}")), NAMED("device"), "" },
	{ IN(QUESTION("info", ",'device':'<A>'")),
	  "OK {'sessions':[{'address':'10.0.0.0:80','path':'/','since':"
	  "1700000000,'state':'open','unsent':5,'kept':0}],"
	  "'channels':['news']}\n", "" },
	{ IN(ASK("info", ",'device':'<A>'") ONE), "OKOK", ALL },
	{ IN(QUESTION("info", ",'device':<1>")),
	  "OK {'sessions':[{'address':'10.0.0.4:80','path':'/e\\'"
	  "\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd','since':1700000004,"
	  "'state':'open','unsent':5,'kept':4}],'channels':[]}\n", "" },
	{ IN(QUESTION("info", ",'device':'<B>'")),
	  "OK {'sessions':[{'address':null,'path':'/','since':1700000001,"
	  "'state':'away','unsent':5,'kept':1}],'channels':['news']}\n", "" },
	{ IN(QUESTION("info", "")), "ERR no 'device'\n", "" },
	{ IN(QUESTION("info", ",'device':'nobody'")),
	  "ERR unknown device 'nobody'\n", "" },
	{ IN(QUESTION("stats", ",'device':[]")), "OK {'a':1}\n", "" },

	/* The end of a device. */
	{ IN(LINE(KICK("'<A>'", "")) QUESTION("count", "")
	    QUESTION("list", ",'channel':'news'")),
	  "OK 1\nOK 4\nOK ['<B>']\n", "K1008kicked;" },
	{ IN(KICK("'<A>'", ",'code':4001,'reason':'bye'")), "OK",
	  "K4001bye;" },
	{ IN(KICK("'<A>'", ",'code':4999,'reason':''")), "OK", "K4999;" },
	{ IN(KICK("'<A>'", ",'code':1008,'reason':'" X120 "abc'")), "OK",
	  "K1008" X120 "abc;" },
	{ IN(LINE(KICK("'<A>'", ",'reason':'" X120 "abcd'"))), NOT_REASON,
	  "" },
	{ IN(LINE(KICK("'<A>'", ",'reason':null"))), NOT_REASON, "" },
	{ IN(LINE(KICK("'<A>'", ",'reason':'a\\u0000'"))), NOT_REASON, "" },
	{ IN(LINE(KICK("'<A>'", ",'reason':'\\ud800'"))), NOT_REASON, "" },
	{ IN(LINE(KICK("'<A>'", ",'code':1000"))), NOT_CODE, "" },
	{ IN(LINE(KICK("'<A>'", ",'code':3999"))), NOT_CODE, "" },
	{ IN(LINE(KICK("'<A>'", ",'code':5000"))), NOT_CODE, "" },
	{ IN(LINE(KICK("'<A>'", ",'code':400"))), NOT_CODE, "" },
	{ IN(LINE(KICK("'<A>'", ",'code':40000"))), NOT_CODE, "" },
	{ IN(LINE(KICK("'<A>'", ",'code':4.00"))), NOT_CODE, "" },
	{ IN(LINE(KICK("'<A>'", ",'code':-400"))), NOT_CODE, "" },
	{ IN(LINE(KICK("'<A>'", ",'code':'4000'"))), NOT_CODE, "" },
	{ IN(LINE(KICK("'<A>'", ",'code':null"))), NOT_CODE, "" },
	{ IN(LINE(KICK("'nobody'", ""))), "ERR unknown device 'nobody'\n",
	  "" },
	{ IN(QUESTION("kick", "")), "ERR no 'device'\n", "" },

	/* Watchers: every reply is a line, whatever the backend writes. */
	{ IN(ASK("watch", "")), "OK 1\n", "" },
	{ IN(QUESTION("watch", "")), "OK 1\n", "" },
	{ IN(ASK("watch", "") "\n\n" ONE ASK("watch", "") "\n" ONE),
	  "OK 1\nOK 4\nOK 0\nOK 4\n", "ABC1=1;ABC1=1;" },
	{ IN(ONE ASK("watch", ",'snapshot':false")), "OKOK 1\n", ALL },
	{ IN(QUESTION("watch", ",'snapshot':true") LINE(ONE)),
	  "OK 1\n" OF_ALL OCCUPIED("'news'") READY "OK 4\n", ALL },
	{ IN(ASK("watch", ",'snapshot':true") LINE(SUB("'<A>'", "'x'"))
	    SUB("'<B>'", "'x'") ASK("watch", ",'snapshot':true,'events':"
	    "['channel_occupied','channel_vacated']")
	    UNSUB("'<A>'", "'x'") KICK("'<B>'", "")),
	  "OK 1\n" OF_ALL OCCUPIED("'news'") READY OCCUPIED("'x'")
	  "OK 1\nOK 1\nOK 0\n" OCCUPIED("'x'") OCCUPIED("'news'") READY
	  "OK 1\n" VACATED("'x'") "OK 1\n", "K1008kicked;" },
	{ IN(ASK("watch", ",'events':['disconnect']") KICK("'<A>'", "")
	    KICK("'<B>'", "")), "OK 1\n"
	  EVENT("disconnect", "device", "'<A>','sessions':0,'reason':'kicked'")
	  "OK 1\n"
	  EVENT("disconnect", "device", "'<B>','sessions':0,'reason':'kicked'")
	  "OK 1\n", "K1008kicked;K1008kicked;" },
	{ IN(ASK("watch", ",'events':['away'],'snapshot':true")),
	  "OK 1\n" EVENT("away", "device", "'<B>','sessions':1,'reason':"
	  "'silent'") READY, "" },
	{ IN(ASK("watch", ",'events':[ ],'snapshot':true")
	    KICK("'<A>'", "")), "OK 1\n" READY "OK 1\n", "K1008kicked;" },
	{ IN(ASK("watch", "") ASK("nope", "") ASK("list", "") "{]@" "{]\n"
	    ASK("count", "")), "OK 1\nERR unknown action 'nope'\n"
	  "OK ['<D>','<1>','<A>','<B>','<C>']\n"
	  "ERR not JSON at byte 1: not a name in quotes\n"
	  "ERR not JSON at byte 1: not a name in quotes\nOK 5\n", "" },
	{ IN(ASK("watch", "") ONE "x\ny@" ONE), "OK 1\nOK 4\n"
	  "ERR not JSON at byte 0: not a value\n"
	  "ERR not JSON at byte 0: not a value\nOK 4\n", ALL ALL },
	{ IN(ASK("watch", "") "{'x$"), "OK 1\nERR ends in the middle\n", "" },
	{ IN(QUESTION("watch", ",'snapshot':1")), NOT_SNAPSHOT, "" },
	{ IN(QUESTION("watch", ",'snapshot':'true'")), NOT_SNAPSHOT, "" },
	{ IN(QUESTION("watch", ",'snapshot':null")), NOT_SNAPSHOT, "" },
	{ IN(QUESTION("watch", ",'events':'away'")),
	  "ERR 'events' is not an array\n", "" },
	{ IN(QUESTION("watch", ",'events':['away','nope']")),
	  "ERR unknown event 'nope'\n", "" },
	{ IN(QUESTION("watch", ",'events':[['away']]")),
	  "ERR unknown event ['away']\n", "" },
	{ IN(QUESTION("watch", ",'events':[1]")),
	  "ERR unknown event 1\n", "" },
	{ IN(QUESTION("watch", ",'events':['lost']")),
	  "ERR unknown event 'lost'\n", "" },
};

static void
names(void)
{
	static const struct {
		const char *action, *more;
		int device, channel;
	} all[] = {
		{ "sendToChannel", ",'data':1", 0, 1 },
		{ "sendToDevice", ",'data':1", 1, 0 },
		{ "subscribe", "", 1, 1 },
		{ "unsubscribe", "", 1, 1 }
	};
	static const char *const bad[] = {
		"null", "true", "false", "[]", "['<A>']", "{}",
		"{'device':'<A>'}", "''", "'\\ud800'", "'x\\udfff'",
		"'\\ude00\\ud83d'", "'\\ud800x'", "'\\ud800\\n'"
	};
	char x[300], e[1600], raw[310], want[400];
	size_t i, j, k, n;

	CASE("fields: of every action, missing or wrong, named in the ERR");
	for (i = 0; i < LEN(all); i++) {
		const char *a = all[i].action, *more = all[i].more;

		if (all[i].device)
			scriptf("ERR no 'device'\n", "",
			    "{'action':'%s','channel':'news'%s}\n", a, more);
		if (all[i].channel)
			scriptf("ERR no 'channel'\n", "",
			    "{'action':'%s','device':'<A>'%s}\n", a, more);
		for (j = 0; j < LEN(bad); j++) {
			if (all[i].device)
				scriptf(NAMED("device"), "", "{'action':'%s',"
				    "'channel':'news','device':%s%s}\n", a,
				    bad[j], more);
			if (all[i].channel)
				scriptf(NAMED("channel"), "", "{'action':'%s'"
				    ",'channel':%s,'device':'<A>'%s}\n", a,
				    bad[j], more);
		}
	}

	CASE("names: 1, 255 and 256 bytes, plain, escaped, UTF-8, numbers");
	for (n = 1; n <= 257; n = n == 1 ? 254 : n + 1) {
		int ok = n <= WS_NAME_MAX;

		memset(x, 'x', n);
		x[n] = '\0';
		for (i = 0; i < n; i++)
			memcpy(e + 6 * i, "\\u0078", 7);
		scriptf(ok ? "OK 1\nOK 1\nOK 1\n" : NAMED("channel")
		    NAMED("channel") NAMED("channel"), ok ? "C=1;C=2;" : "",
		    "{'action':'subscribe','device':'<C>','channel':'%s'}\n"
		    SEND("'%s'", "1") "\n" SEND("'%s'", "2") "\n", x, x, e);
		memset(x, '9', n);
		scriptf(ok ? "OK 1\nOK 1\n" : NAMED("channel")
		    NAMED("channel"), ok ? "C=1;" : "",
		    SUB("'<C>'", "%s") "\n" SEND("'%s'", "1") "\n", x, x);
		scriptf(ok ? "OK 0\n" : NAMED("device"), "",
		    TO("'%s'", "1") "\n", x);
		scriptf(ok ? "OK 0\n" : NAMED("device"), "",
		    TO("%s", "1") "\n", x);
		for (i = 0; i + 1 < n; i += 2)
			memcpy(x + i, "\xc3\xa9", 2);
		scriptf(ok ? "OK 1\n" : NAMED("channel"), "",
		    SUB("'<C>'", "'%s'") "\n", x);
	}

	CASE("names: quoted back, up to 64 bytes, never half a character");
	for (k = 0; k < 4; k++)
		for (n = 56; n < 72; n++) {
			static const char *const units[] = { "x", "\xc3\xa9",
			    "\xe2\x82\xac", "\xf0\x9f\x98\x80" };
			size_t unit = k + 1, end;

			/* A quote, a few x, characters, and a quote. */
			memset(x, 'x', n % unit);
			for (i = n % unit; i < n; i += unit)
				memcpy(x + i, units[k], unit);
			x[n] = '\0';
			snprintf(raw, sizeof(raw), "'%s'", x);
			end = n + 2;
			if (end > 64) {
				for (end = 64; end > 1 + n % unit &&
				    (end - 1 - n % unit) % unit != 0;)
					end--;
				if (end < 61)
					end = 0;
			}
			snprintf(want, sizeof(want),
			    "ERR unknown action %.*s%s\n", (int)end, raw,
			    end < n + 2 ? "..." : "");
			scriptf(want, "", "{'action':%s}\n", raw);
			snprintf(want, sizeof(want),
			    "ERR unknown device %.*s%s\n", (int)end, raw,
			    end < n + 2 ? "..." : "");
			scriptf(want, "", SUB("%s", "'x'") "\n", raw);
		}
}

/* ------------------------------------------------- scripts: the stream */

#define BAD "ERR not JSON at byte 1: not a name in quotes\n"

static const struct scene streams[] = {
	/* White space, newlines, and what they answer. */
	{ IN(""), "", "" },
	{ IN("\n"), "", "" },
	{ IN(" \t\r\n\n \r\n@\n"), "", "" },
	{ IN("\n" ONE "\n"), "OK 4\n", ALL },
	{ IN(ONE "\r\n"), "OK 4\n", ALL },
	{ IN(ONE " \t \r \n"), "OK 4\n", ALL },
	{ IN(ONE "\r"), "OK", ALL },
	{ IN(ONE "\n\n"), "OK 4\n", ALL },
	{ IN(ONE "\r\n\r\n\n" ONE "\n\n"), "OK 4\nOK 4\n", ALL ALL },
	{ IN(ONE ONE), "OKOK", ALL ALL },
	{ IN(ONE ONE "\n"), "OKOK 4\n", ALL ALL },
	{ IN(ONE "\n" ONE), "OK 4\nOK", ALL ALL },
	{ IN(ONE "\n" ONE "\n"), "OK 4\nOK 4\n", ALL ALL },
	{ IN(ONE " \t\r" ONE "\r\n"), "OKOK 4\n", ALL ALL },
	{ IN(ONE "@\n"), "OK 4\n", ALL },
	{ IN(ONE "@ @\t@\r@\n@\n"), "OK 4\n", ALL },
	{ IN("{@'action':@'multi@cast','data':1@}@\n"), "OK 4\n", ALL },
	{ IN("{'action':@'multicast','data':1}@" ONE), "OKOK", ALL ALL },
	{ IN("{}{}\n{}\n\n"), "ERRERR no 'action'\nERR no 'action'\n", "" },
	{ IN("{}" ONE "{}\n" ONE), "ERROKERR no 'action'\nOK", ALL ALL },
	{ IN(SEND("'news'", "1") ONE "\n" SEND("'x'", "1") "\n"),
	  "OKOK 4\nOK 0\n", "AB=1;" ALL },

	/* Not JSON: where and why. */
	{ IN("{x}"), "", "" }, /* what follows now is not obeyed */
	{ IN("{x}@"), "ERR", "" },
	{ IN("{x}\n"), BAD, "" },
	{ IN(" \t\r\n {x}\n"), BAD, "" },
	{ IN("x\n"), "ERR not JSON at byte 0: not a value\n", "" },
	{ IN("}\n"), "ERR not JSON at byte 0: not a value\n", "" },
	{ IN("]\n"), "ERR not JSON at byte 0: not a value\n", "" },
	{ IN("\v\n"), "ERR not JSON at byte 0: not a value\n", "" },
	{ IN("\0\n"), "ERR not JSON at byte 0: not a value\n", "" },
	{ IN("\xef\xbb\xbf" ONE "\n"),
	  "ERR not JSON at byte 0: not a value\n", "" },
	{ IN("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
	  "ERR not JSON at byte 0: not a value\n"
	  "ERR not JSON at byte 0: not a value\n", "" },
	{ IN("nul\n"), "ERR not JSON at byte 3: not a value\n", "" },
	{ IN("-\n"), "ERR not JSON at byte 1: no digit in a number\n", "" },
	{ IN("{'a':1,}\n"),
	  "ERR not JSON at byte 7: not a name in quotes\n", "" },
	{ IN("{'a' 1}\n"),
	  "ERR not JSON at byte 5: no colon after a name\n", "" },
	{ IN("{'a':01}\n"), "ERR not JSON at byte 6: "
	  "neither comma nor end after a value\n", "" },
	{ IN("{'a':'\\x'}\n"),
	  "ERR not JSON at byte 7: unknown escape\n", "" },
	{ IN("{'a':'\xff'}\n"), "ERR not JSON at byte 6: not UTF-8\n", "" },
	{ IN("{'a':'\xc3'}\n"), "ERR not JSON at byte 7: not UTF-8\n", "" },
	{ IN("{'a':'\xed\xa0\x80'}\n"),
	  "ERR not JSON at byte 7: not UTF-8\n", "" },
	{ IN("{'a':'\0'}\n"),
	  "ERR not JSON at byte 6: control character in a string\n", "" },
	{ IN("{'action':'multicast','data':1]\n"), "ERR not JSON at byte 30: "
	  "neither comma nor end after a value\n", "" },

	/* After it, with a newline in what was received: the next line. */
	{ IN("{x} " ONE "\n" ONE), BAD "OK", ALL },
	{ IN("{x} " ONE "\n" ONE "\n" ONE "\n"), BAD "OK 4\nOK 4\n", ALL ALL },
	{ IN("{x}{y}{z}\n{x}\n" ONE), BAD BAD "OK", ALL },
	{ IN("{x}" ONE ONE "\n\n" ONE), BAD "OK", ALL },
	{ IN(ONE "{x}" ONE "\n" ONE), "OK" BAD "OK", ALL ALL },
	{ IN("{'a':'b\n" ONE "\n"), "ERR not JSON at byte 7: "
	  "control character in a string\nOK 4\n", ALL },
	{ IN("{'a':\n\n1,}\n" ONE), "ERR not JSON at byte 9: "
	  "not a name in quotes\nOK", ALL },
	{ IN("{'a':1,\nx}\n" ONE), "ERR not JSON at byte 8: "
	  "not a name in quotes\nOK", ALL },
	{ IN("tru\n" ONE), "ERR not JSON at byte 3: not a value\nOK", ALL },

	/* Without one, not by lines so far: what was received is gone. */
	{ IN("{x}" ONE), "", "" },
	{ IN("{x}" ONE "@"), "ERR", "" },
	{ IN("{x}" ONE "@" ONE), "ERROK", ALL },
	{ IN("{x}" ONE "@" ONE "\n" ONE), "ERROK 4\nOK", ALL ALL },
	{ IN("{x}@\n"), BAD, "" },
	{ IN("{x}@ @\r\n@\n" ONE), BAD "OK", ALL },
	{ IN("{x@y}@"), "ERRERR", "" },
	{ IN("{x@@{x@{x@" ONE), "ERRERRERROK", ALL },
	{ IN("{x}" ONE "@{x}" ONE "\n" ONE), "ERR" BAD "OK", ALL },
	{ IN(ONE ONE "{x}" ONE "@" ONE), "OKOKERROK", ALL ALL ALL },
	{ IN("x@" ONE "@x@" ONE), "ERROKERROK", ALL ALL },

	/* A newline after what is no object does not count as lines. */
	{ IN("\n\n{x}" ONE "@" ONE), "ERROK", ALL },
	{ IN("[1]\n{x}" ONE "@" ONE), "ERR not an object\nERROK", ALL },
	{ IN("{x}\n{x}" ONE "@" ONE), BAD "ERROK", ALL },

	/* By lines so far: up to a newline, whenever it comes. */
	{ IN(ONE "\n{x}" ONE "@" ONE), "OK 4\nERR", ALL },
	{ IN(ONE "\n{x}" ONE "@" ONE "@\n" ONE), "OK 4\n" BAD "OK",
	  ALL ALL },
	{ IN(ONE "\n{x@}\n@" ONE "\n"), "OK 4\n" BAD "OK 4\n", ALL ALL },
	{ IN("{}\n{x}" ONE "@" ONE "\n" ONE), "ERR no 'action'\n" BAD "OK",
	  ALL },
	{ IN(ONE "@ \r@\n@{x}@" ONE "\n" ONE), "OK 4\n" BAD "OK", ALL ALL },
	{ IN(ONE "\n" ONE "{x}@" ONE "\n" ONE), "OK 4\nOK" BAD "OK",
	  ALL ALL ALL },
	{ IN("{x}@" ONE "\n{x}@" ONE "\n"), "ERROK 4\n" BAD, ALL },

	/* The end. */
	{ IN("$"), "", "" },
	{ IN(" \n$"), "", "" },
	{ IN("{$"), "ERR", "" },
	{ IN("{$$"), "ERR", "" },
	{ IN("{'action':'multicast','data':1$"), "ERR", "" },
	{ IN("{'action@':'multicast'@$"), "ERR", "" },
	{ IN("'x$"), "ERR", "" },
	{ IN("5$"), "ERR", "" },
	{ IN("tr$"), "ERR", "" },
	{ IN(ONE "$"), "OK", ALL },
	{ IN(ONE " $"), "OK", ALL },
	{ IN(ONE "\n$"), "OK 4\n", ALL },
	{ IN(ONE "\n{$"), "OK 4\nERR", ALL },
	{ IN(ONE "{$"), "OKERR", ALL },
	{ IN("{x}$"), "ERR", "" },
	{ IN("{x}@$"), "ERR", "" },
	{ IN(ONE "\n{x}$"), "OK 4\nERR", ALL },
	{ IN(ONE "\n{x}@$"), "OK 4\nERR", ALL },
};

/* An object whose data is arrays in arrays: depth levels with its own. */
static void
nested(unsigned depth, const char *want)
{
	char open[80], close[80], ears[180];

	memset(open, '[', depth - 1);
	memset(close, ']', depth - 1);
	open[depth - 1] = close[depth - 1] = '\0';
	snprintf(ears, sizeof(ears), "ABC1=%s%s;", open, close);
	scriptf(want, strncmp(want, "OK", 2) == 0 ? ears : "",
	    CAST_TO("%s%s") "\n", open, close);
}

/* Random streams, against themselves in one piece. */
static void
noise(void)
{
	static const char *const parts[] = {
		ONE, ONE, LINE(ONE), "{}", "{}\n", "\n", "\n", " ", "\r\n",
		"{x}", "{x}\n", "{'action':", "}", "'", "5", "[1]",
		SUB("'<C>'", "'news'"), UNSUB("'<C>'", "'news'"),
		LINE(SEND("'news'", "[ 1 ]")), "@", "@", "\\", "\xc3"
	};
	static char text[4096], in[8192], out[16384], ears[16384];
	unsigned i, j, good = 0, bad = 0;
	unsigned tries = test_emulated() ? 200 : 2000;
	size_t len;

	CASE("random streams: no difference how they come");
	for (i = 0; i < tries; i++) {
		text[0] = '\0';
		for (j = 1 + random_to(30); j > 0; j--)
			strcat(text, parts[random_to(LEN(parts))]);
		len = spell(in, sizeof(in), text, strlen(text));
		play(in, len, 0, 0);
		good += (unsigned)(control.objects - control.errors <
		    control.objects);
		bad += control.errors != 0;
		snprintf(out, sizeof(out), "%s", replies());
		snprintf(ears, sizeof(ears), "%s", heard);
		tear_down();
		play_once(in, len, BYTES, 0, out, ears);
		for (j = 0; j < 5; j++)
			play_once(in, len, random_to((unsigned)len + 1),
			    random_to((unsigned)len + 1), out, ears);
	}
	EXPECT(good > tries / 10 && bad > tries / 10, "%u good, %u bad", good,
	    bad);
}

/* ------------------------------------------------------ large and many */

static char *large; /* LARGE bytes */
#define LARGE (4 * WS_TEXT_MAX)

/* Writes a multicast object of len bytes; its data is a string. */
static void
make_object(char *at, size_t len)
{
	static const char head[] = "{\"action\":\"multicast\",\"data\":\"";
	size_t i;

	memcpy(at, head, sizeof(head) - 1);
	for (i = sizeof(head) - 1; i < len - 2; i++)
		at[i] = (char)('a' + i % 26);
	memcpy(at + len - 2, "\"}", 2);
}

/* Feeds len bytes of large in pieces of piece bytes, but the first of first. */
static void
feed_pieces(size_t len, size_t first, size_t piece)
{
	size_t at = first < len ? first : len, n;

	feed(large, at);
	for (; at < len; at += n) {
		n = piece < len - at ? piece : len - at;
		feed(large + at, n);
	}
}

/* The payload that was heard is that of the object of len bytes at p. */
static void
same_string(const char *p, size_t len, size_t how)
{
	size_t head = strlen("{\"action\":\"multicast\",\"data\":");
	struct ws_text t;

	EXPECT(said != NULL && said_to == 0x17 && payload_of(said, 0x81, &t) &&
	    t.len == len - head - 1 && memcmp(t.s, p + head, t.len) == 0,
	    "%zu, in pieces of %zu: heard something else", len, how);
}

static void
sizes(void)
{
	static const size_t pieces[] = { 1, 7, 255, 256, 257, 4096, 65535,
	    65536, WS_TEXT_MAX - 1, WS_TEXT_MAX, WS_TEXT_MAX + 1,
	    LARGE };
	static const size_t edges[] = { 1, 2, 300, WS_TEXT_MAX - 2,
	    WS_TEXT_MAX - 1, WS_TEXT_MAX, WS_TEXT_MAX + 1, WS_TEXT_MAX + 2 };
	const char *one = "{\"action\":\"multicast\",\"data\":1}";
	const size_t first = test_emulated() ? 1 : 0;
	const size_t step = test_emulated() ? 5 : 1;
	size_t i, len, size;
	int lines;

	CASE("data of 900,000 bytes, in pieces of 1 to all: heard as it was");
	size = 900000 + 31;
	make_object(large, size);
	large[size] = '\n';
	for (i = first; i < LEN(pieces); i += step) {
		set_up();
		feed_pieces(size + 1, 0, pieces[i]);
		replied("OK 4\n", "900 kB");
		same_string(large, size, pieces[i]);
		EXPECT(control.in.text.room == 0 && control.in.text.len == 0 &&
		    control.in.text.s == NULL, "%zu bytes kept", control.in.text.room);
		tear_down();
	}

	CASE("a text of 1 MiB is taken, one byte more is not");
	for (len = WS_TEXT_MAX - 1; len <= WS_TEXT_MAX + 2; len++) {
		int ok = len <= WS_TEXT_MAX;

		memset(large, ' ', 5); /* does not count */
		make_object(large + 5, len);
		size = 5 + len;
		large[size++] = '\n';
		memcpy(large + size, one, strlen(one));
		size += strlen(one);
		large[size++] = '\n';
		for (i = first; i < LEN(pieces) + LEN(edges); i += step) {
			set_up();
			if (i < LEN(pieces))
				feed_pieces(size, 0, pieces[i]);
			else
				feed_pieces(size, 5 + edges[i - LEN(pieces)],
				    LARGE);
			replied(ok ? "OK 4\nOK 4\n" :
			    "ERR longer than 1048576 bytes\nOK 4\n", "1 MiB");
			EXPECT(messages == (ok ? 2u : 1u) &&
			    control.objects == messages &&
			    control.errors == !ok,
			    "%zu bytes: %u messages, %d objects, %d errors",
			    len, messages, (int)control.objects,
			    (int)control.errors);
			tear_down();
		}
	}
	make_object(large, WS_TEXT_MAX);
	set_up();
	feed_pieces(WS_TEXT_MAX, 0, 65536);
	same_string(large, WS_TEXT_MAX, 65536);
	replied("OK", "1 MiB, bare");
	tear_down();

	CASE("a text of over 1 MiB: skipped to a newline, or discarded");
	for (lines = 0; lines < 2; lines++)
		for (i = 0; i < LEN(pieces); i++) {
			make_object(large, WS_TEXT_MAX + 1);
			size = WS_TEXT_MAX + 1;
			memcpy(large + size, one, strlen(one));
			size += strlen(one);
			set_up();
			if (lines)
				feed_text("{}\n");
			feed_pieces(size, 0, pieces[i]);
			ws_control_resync(&control);
			feed_text(one);
			replied(lines ? "ERR no \"action\"\nERR" : "ERROK",
			    "over");
			feed_text("\n");
			feed_text(one);
			replied(lines ? "ERR no \"action\"\n"
			    "ERR longer than 1048576 bytes\nOK" :
			    "ERROK 4\nOK", "over, newline");
			tear_down();
		}

	CASE("wrong at byte 1,048,575 or 1,048,576, or too long before it");
	for (len = WS_TEXT_MAX - 1; len <= WS_TEXT_MAX + 1; len++) {
		char want[200];

		make_object(large, len);
		large[len - 2] = 'x'; /* the string goes on */
		large[len - 1] = 'y';
		large[len] = '\n';
		snprintf(want, sizeof(want), "ERR not JSON at byte %zu: "
		    "control character in a string\n", len);
		for (i = first; i < LEN(pieces) + LEN(edges); i += step) {
			set_up();
			if (i < LEN(pieces))
				feed_pieces(len + 1, 0, pieces[i]);
			else
				feed_pieces(len + 1, edges[i - LEN(pieces)],
				    LARGE);
			replied(len <= WS_TEXT_MAX ? want :
			    "ERR longer than 1048576 bytes\n", "wrong");
			tear_down();
		}
	}
}

static void
endless(void)
{
	const char *one = "{\"action\":\"multicast\",\"data\":1}";
	size_t i, kept = 0;
	int how, lines;
	const size_t all = 100000000, piece = 65536;

	CASE("100 MB without an end: memory stays bounded, then all is well");
	for (how = 0; how < 6; how++) {
		lines = how % 2;
		memset(large, how < 4 ? 'x' : ' ', piece);
		set_up();
		if (lines)
			feed_text("{}\n");
		ws_control_sent(&control, control.out.len);
		largest = 0;
		feed_text(how < 4 ? "{\"a\":\"" : "{\"a\":");
		for (i = 0; i < all; i += piece) {
			ws_control_feed(&hub, &control, large, piece);
			/* how 2, 3: the backend is slower than we are */
			if (how == 2 || how == 3)
				ws_control_resync(&control);
			if (control.in.text.room > kept)
				kept = control.in.text.room;
		}
		ws_control_resync(&control);
		if (how != 2)
			replied("ERR", "endless");
		EXPECT(kept <= WS_TEXT_MAX && largest <= WS_TEXT_MAX,
		    "%zu bytes kept, %zu asked for", kept, largest);
		EXPECT(control.in.text.s == NULL && control.in.text.room == 0,
		    "%zu bytes still kept", control.in.text.room);
		feed_text("\n");
		ws_control_sent(&control, control.out.len);
		feed_text(one);
		feed_text("\n");
		replied("OK 4\n", "after the endless one");
		EXPECT(messages == 1, "%u messages", messages);
		tear_down();
	}
}

static void
pipelines(void)
{
	static char got[131072], want[131072];
	size_t len = 0, out = 0, n, i;
	unsigned pass;

	CASE("2,000 texts in one feed; replies taken in odd pieces");
	for (i = 0; i < 2000; i++) {
		static const char *const what[] = {
			(LINE(CAST_TO("%d"))),
			(LINE(SEND("'news'", "[ %d ]"))),
			(CAST_TO("%d")),
			"{'action':%d}\n"
		};
		char line[80];
		static const char *const answers[] = { "OK 4\n", "OK 2\n",
		    "OK", "ERR \"action\" is not a string\n" };

		n = (size_t)snprintf(line, sizeof(line), what[i % 4], (int)i);
		len += spell(large + len, LARGE - len, line, n);
		n = strlen(answers[i % 4]);
		memcpy(want + out, answers[i % 4], n);
		out += n;
	}
	for (pass = 0; pass < 4; pass++) {
		size_t taken = 0, fed = 0;

		set_up();
		ws_control_sent(&control, 0);
		while (fed < len || control.out.len != 0) {
			/* All at once, or a bit of this, a bit of that. */
			n = pass == 0 ? len : 1 + random_to(pass * 700);
			if (n > len - fed)
				n = len - fed;
			ws_control_feed(&hub, &control, large + fed, n);
			fed += n;
			n = 1 + random_to(pass == 3 ? 100000 : 97);
			if (n > control.out.len)
				n = control.out.len;
			if (n != 0)
				memcpy(got + taken, control.out.s, n);
			ws_control_sent(&control, n);
			taken += n;
		}
		EXPECT(taken == out && memcmp(got, want, out) == 0,
		    "pass %u: %zu bytes of replies, not %zu, or others", pass,
		    taken, out);
		EXPECT(messages == 1500 && deliveries_made == 5000 &&
		    control.objects == 2000 && control.errors == 500,
		    "%u messages, %u deliveries, %d objects, %d errors",
		    messages, deliveries_made, (int)control.objects,
		    (int)control.errors);
		tear_down();
	}
}

/* ---------------------------------------------------------------- faults */

#define MANY 70 /* more than the first size of every table */

/*
 * Joins MANY devices, puts all into channel 0 and the first into MANY, while
 * a call of malloc, or that and all after it, fail. What was refused must
 * have changed nothing. Returns 0 once there was nothing left to fail.
 */
static int
starve(unsigned n, int forever)
{
	static unsigned char in[MANY][MANY];
	struct ws_hub h;
	struct ws_frame *f;
	unsigned i, j, members, pass, refused = 0;
	int got, tries = 0;

	memset(in, 0, sizeof(in));
	memset(crowd, 0, MANY * sizeof(*crowd));
	memset(&tally, 0, sizeof(tally));
	tally.session = crowd;
	tally.frame = f = ws_frame_new(WS_TEXT, "1", 1);
	calls = 0;
	fail_at = forever ? 0 : n;
	fail_from = forever ? n : 0;
	if (f == NULL)
		return 0;
	errno = 0;
	if (ws_hub_init(&h, &counter, &tally) != 0) {
		EXPECT(errno == ENOMEM && live == 1, "init, call %u: errno "
		    "%d, %ld blocks", n, errno, live);
		ws_frame_release(f);
		all_freed();
		return 1;
	}
	/* The second time there is memory. */
	for (pass = 0; pass < 2; pass++) {
		for (i = 0; i < MANY; i++) {
			if (crowd[i].own.id[0] != '\0')
				continue;
			errno = 0;
			if (ws_hub_join(&h, &crowd[i], no_name) != 0) {
				EXPECT(errno == ENOMEM && pass == 0 &&
				    crowd[i].own.id[0] == '\0', "join, call %u",
				    n);
				refused++;
			}
		}
		for (i = 0; i < 2 * MANY; i++) {
			struct ws_session *d = &crowd[i < MANY ? 0 : i - MANY];

			j = i < MANY ? i : 0;
			if (d->own.id[0] == '\0')
				continue;
			got = ws_hub_subscribe(&h, &d->own, channel_name(j));
			EXPECT(got == -1 ? pass == 0 :
			    got == !in[d - crowd][j],
			    "subscribe, call %u: %d", n, got);
			if (got >= 0)
				in[d - crowd][j] = 1;
			else
				refused++;
		}
		whole(&h, pass == 0, "no memory");
		for (j = 0; j < MANY; j++) {
			for (i = 0, members = 0; i < MANY; i++)
				members += in[i][j];
			EXPECT(ws_hub_publish(&h, channel_name(j), f, NULL) ==
			    members, "call %u, channel %u: not %u", n, j,
			    members);
		}
		for (i = 0, members = 0; i < MANY; i++)
			members += crowd[i].own.id[0] != '\0';
		EXPECT(ws_hub_multicast(&h, f, NULL) == members,
		    "call %u: not %u devices", n, members);
		EXPECT(forever || pass == 1 || refused <= 1,
		    "call %u: %u refusals", n, refused);
		if (pass == 0) {
			tries = calls >= n;
			fail_at = fail_from = 0;
			/* One of everything is taken back. */
			got = ws_hub_unsubscribe(&h, &crowd[0].own,
			    channel_name(MANY - 1));
			EXPECT(got == in[0][MANY - 1], "call %u: unsubscribe "
			    "%d", n, got);
			in[0][MANY - 1] = 0;
			ws_hub_leave(&h, &crowd[1]);
			memset(in[1], 0, MANY);
			whole(&h, 1, "taken back");
		}
	}
	EXPECT(h.count == MANY && h.nchannels == MANY &&
	    h.nlinks == 2 * MANY - 1, "call %u: %u, %u, %u", n, h.count,
	    h.nchannels, h.nlinks);
	for (i = 0; i < MANY; i++)
		ws_hub_leave(&h, &crowd[i]);
	whole(&h, 1, "all left");
	close_hub(&h, f);
	return tries;
}

/* What one failure did to a conversation. */
struct damage {
	unsigned lost, refused, none;
};

/*
 * A conversation by lines, in pieces, while call n fails. Each line must be
 * answered as it would have been, or with "out of memory", or, by a
 * consequence of that, differently; unless there is no answering any more.
 */
static int
starve_lines(unsigned n, size_t piece, struct damage *sum)
{
	static const struct {
		const char *line, *reply, *instead;
	} talk[] = {
		{ SUB("'<C>'", "'room'"), "OK 1", NULL },
		{ SUB("'<C>'", "'room'"), "OK 0", "OK 1" },
		{ SEND("'room'", " 7 "), "OK 1", "OK 0" },
		{ UNSUB("'<C>'", "'room'"), "OK 1", "OK 0" },
		{ "{x} {} 5", "ERR not JSON at byte 1: not a name in quotes",
		  NULL },
		{ CAST_TO("1"), "OK 4", NULL },
		{ "{}", "ERR no \"action\"", NULL }
	};
	static char in[16384], spelt[1024], out[16384];
	const char *reply;
	char *at;
	size_t len = 0, i, from;
	unsigned oom = 0, sends = 0;
	int tries;

	for (i = 0; i < LEN(talk); i++) {
		len += spell(in + len, 1024, talk[i].line,
		    strlen(talk[i].line));
		if (i == 2 || i == 5) { /* with much white space */
			memset(in + len - 1, ' ', 300);
			len += 299;
			in[len++] = '}';
		}
		in[len++] = '\n';
	}
	set_up();
	feed_text("{}\n");
	ws_control_sent(&control, control.out.len);
	ws_control_free(&control);
	control.lines = 1;
	calls = 0;
	fail_at = n;
	for (from = 0; from < len; from += i) {
		i = piece < len - from ? piece : len - from;
		feed(in + from, i);
		ws_control_resync(&control);
	}
	tries = calls >= n;
	fail_at = 0;
	note_heard();
	snprintf(out, sizeof(out), "%s", replies());
	if (control.out.failed) {
		sum->lost++;
	} else {
		for (i = 0, at = out; i < LEN(talk); i++) {
			reply = at;
			at = strchr(at, '\n');
			if (at == NULL)
				break;
			*at++ = '\0';
			spell(spelt, sizeof(spelt), talk[i].reply,
			    strlen(talk[i].reply));
			if (strcmp(reply, "ERR out of memory") == 0)
				oom++;
			else if (strcmp(reply, spelt) != 0)
				EXPECT(oom != 0 && talk[i].instead != NULL &&
				    strcmp(reply, talk[i].instead) == 0,
				    "call %u, line %zu: %s", n, i, reply);
			if ((i == 2 || i == 5) && reply[0] == 'O')
				sends += (unsigned)(reply[3] - '0');
		}
		EXPECT(i == LEN(talk) && *at == '\0',
		    "call %u, pieces of %zu: %zu replies", n, piece, i);
		EXPECT(oom <= 1, "call %u: refused %u times", n, oom);
		EXPECT(deliveries_made == sends, "call %u: %u deliveries, "
		    "%u said", n, deliveries_made, sends);
		sum->refused += oom;
		sum->none += oom == 0;
	}
	/* Another backend, and this one if it can be. */
	whole(&hub, 1, "a backend without memory");
	if (control.out.failed) {
		i = control.out.len;
		feed_text("{}\n");
		EXPECT(control.out.len == i, "call %u: a reply after the loss",
		    n);
		ws_control_free(&control);
		EXPECT(!control.out.failed, "still lost");
	} else {
		ws_control_sent(&control, control.out.len);
	}
	feed_text("{\"action\":\"multicast\",\"data\":[2]}\n");
	replied("OK 4\n", "after no memory");
	tear_down();
	return tries;
}

static void
faults(void)
{
	static const size_t pieces[] = { 1, 3, 17, 300, 301, 100000 };
	static const char *const questions[] = {
		"{\"action\":\"stats\"}\n", "{\"action\":\"list\"}\n",
		"{\"action\":\"watch\"}\n", "{\"action\":\"watch\"}\n"
	};
	struct damage sum = { 0, 0, 0 };
	unsigned n, i;
	char want[64];

	CASE("no memory: each call fails once; nothing else is harmed");
	for (n = 1; starve(n, 0); n++)
		;
	EXPECT(n > 3 + 2 + 3 * MANY, "only %u calls", n);

	CASE("no memory: from each call on; with memory again all is well");
	for (n = 1; starve(n, 1); n++)
		;
	EXPECT(n > 3 + 2 + 3 * MANY, "only %u calls", n);

	CASE("no memory: a backend's lines, each call fails once");
	for (i = 0; i < LEN(pieces); i++) {
		for (n = 1; starve_lines(n, pieces[i], &sum); n++)
			;
		EXPECT(n > 5, "only %u calls", n);
	}
	EXPECT(sum.lost > 0 && sum.refused > 10 && sum.none > 0,
	    "%u lost, %u refused, %u unharmed", sum.lost, sum.refused,
	    sum.none);

	CASE("no memory: an object that cannot be kept, bare");
	set_up();
	calls = 0;
	fail_from = 1; /* not even the ERR has any */
	feed_text("{\"action\":\"multi");
	ws_control_resync(&control);
	EXPECT(control.out.failed && control.out.len == 0, "not lost");
	tear_down();
	set_up();
	feed_text("{}");
	calls = 0;
	fail_at = 1;
	feed_text("{\"action\":\"multi");
	replied("ERR", "begun");
	feed_text("cast\",\"data\":1}");
	replied("ERR", "skipped");
	ws_control_resync(&control);
	replied("ERRERR", "drained");
	feed_text("{\"action\":\"multicast\",\"data\":1}\n");
	replied("ERRERROK 4\n", "after");
	fail_at = 0;
	tear_down();

	CASE("no memory: an object whose last piece cannot be kept");
	set_up();
	feed_text("{}\n");
	feed_text("{\"action\":\"multicast\",\"data\":");
	calls = 0;
	fail_at = 1;
	memset(large, ' ', 300);
	memcpy(large + 299, "}", 2);
	feed_text("1");
	feed_text(large);
	replied("ERR no \"action\"\nERR", "end");
	EXPECT(calls == 1 && messages == 0, "%u calls, %u messages", calls,
	    messages);
	/* Its end is known: the next is obeyed without a newline. */
	feed_text("{}\n");
	replied("ERR no \"action\"\nERRERR no \"action\"\n", "next");
	fail_at = 0;
	tear_down();

	CASE("no memory: for an answer, a list, a watcher; the next has it");
	for (i = 0; i < LEN(questions); i++) {
		set_up();
		feed_text("{}\n");
		calls = 0;
		fail_at = i == 3 ? 2 : 1;
		feed_text(questions[i]);
		replied("ERR no \"action\"\nERR out of memory\n",
		    questions[i]);
		fail_at = 0;
		feed_text("{\"action\":\"stats\"}\n");
		replied("ERR no \"action\"\nERR out of memory\nOK {\"a\":1}\n",
		    questions[i]);
		tear_down();
	}

	CASE("no entropy: each call fails once; the join is refused alone");
	for (n = 0; n < 4 * 16; n++) {
		struct ws_hub h;
		struct ws_frame *f = open_hub(&h);

		for (i = 0; i < 4 * 16; i++) {
			entropy = i == n ? NOTHING : REAL;
			errno = 0;
			if (ws_hub_join(&h, &crowd[i], no_name) != 0)
				EXPECT(i == n && n % 16 == 0 && errno == EIO &&
				    crowd[i].own.id[0] == '\0', "join %u", i);
		}
		entropy = REAL;
		snprintf(want, sizeof(want), "entropy failed for %u", n);
		whole(&h, 0, want);
		EXPECT(ws_hub_multicast(&h, f, NULL) == (n % 16 == 0 ? 63u : 64u),
		    "failed at %u: %u devices", n, h.count);
		EXPECT(crowd[n].own.id[0] != '\0' ||
		    ws_hub_join(&h, &crowd[n], no_name) == 0, "join again");
		EXPECT(h.count == 64, "%u devices", h.count);
		for (i = 0; i < 4 * 16; i++)
			ws_hub_leave(&h, &crowd[i]);
		close_hub(&h, f);
	}
}

int
main(void)
{
	large = malloc(LARGE);
	if (large == NULL)
		return 1;
	frames();
	ids();
	deliveries();
	random_operations();
	scale();
	CASE("every action, and what each does");
	scenes(acts, LEN(acts));
	CASE("what is refused, and the words for it");
	scenes(refusals, LEN(refusals));
	CASE("questions, kick, watch: answers, errors, at every split");
	scenes(asks, LEN(asks));
	names();
	CASE("newlines, errors and what comes after them, the end");
	scenes(streams, LEN(streams));
	CASE("nested 64 deep is taken, 65 is not");
	nested(64, "OK 4\n");
	nested(65, "ERR not JSON at byte 92: nested deeper than 64\n");
	noise();
	sizes();
	endless();
	pipelines();
	faults();
	free(large);
	return test_end();
}
