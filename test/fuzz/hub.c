/* wshub: ISC licence, see LICENSE. */
/*
 * The hub by itself: devices that come, subscribe, hear and leave in any order,
 * against a plain matrix; after each step every table is walked.
 *
 * The input's bytes come in twos: what, and who or where. This file is also
 * the hub.c of fake.h's objects for the other targets.
 */
#define FAKE_PART
#include "../fake.h"
#include "../../hub.c"
#include "fuzz.h"

#define DEVICES 12
#define CHANNELS 24

static const struct ws_text no_name; /* a device gets an id */
static struct ws_session devices[DEVICES];
static unsigned char hits[DEVICES], deaf[DEVICES];

/* Every table of h, one by one. */
static void
whole(const struct ws_hub *h)
{
	const struct ws_device *d;
	const struct ws_channel *c;
	const struct ws_link *k;
	uint32_t i, j, n = 0, links = 0, members = 0;

	for (i = 0; i < h->count; i++) {
		d = h->devices[i];
		MUST(d->index == i, "a device's index");
		MUST(ws_hub_find(h, ws_device_name(d)) == d,
		    "a device not found");
		for (k = d->links; k != NULL; k = k->next, links++) {
			MUST(k->device == d, "a link of another device");
			MUST(k->prev == NULL ? k == d->links :
			    k->prev->next == k, "a link's way back");
			MUST(find_link(h, d, k->channel) == k,
			    "a link not found");
		}
	}
	MUST(links == h->nlinks, "links of devices");
	for (i = 0; i < h->nbuckets; i++)
		for (d = h->buckets[i]; d != NULL; d = d->chain, n++)
			MUST(h->devices[d->index] == d, "a device by id only");
	MUST(n == h->count, "devices by id");
	for (i = 0, n = 0; i < h->channel_buckets; i++)
		for (c = h->channels[i]; c != NULL; c = c->chain, n++) {
			struct ws_text name = { c->name, c->len };

			MUST(c->count > 0 && c->count <= c->room,
			    "a channel's members");
			MUST(find_channel(h, name, c->hash) == c,
			    "a channel not found");
			for (j = 0; j < c->count; j++, members++) {
				k = c->members[j].link;
				MUST(k->index == j && k->channel == c &&
				    k->device == c->members[j].device,
				    "a member's link");
			}
		}
	MUST(n == h->nchannels, "channels by name");
	MUST(members == h->nlinks, "members");
	for (i = 0, n = 0; i < h->link_buckets; i++)
		for (k = h->links[i]; k != NULL; k = k->chain)
			n++;
	MUST(n == h->nlinks, "links by both");
}

static int
hear(struct ws_session *d, struct ws_frame *f, void *arg)
{
	MUST(f->refs == 1 && arg == (void *)devices, "a delivery");
	hits[d - devices]++;
	return !deaf[d - devices];
}

static const struct ws_owner owner = { hear, NULL, NULL, NULL };

int
fuzz_hub(const uint8_t *data, size_t len)
{
	static unsigned char in[DEVICES][CHANNELS];
	struct ws_hub h;
	struct ws_frame *f;
	struct ws_text name;
	char text[16];
	size_t i, got;
	unsigned d, c, k, op, all = 0, want, links, failing;

	if (len > 1000)
		return 0;
	fake_begin();
	memset(in, 0, sizeof in);
	memset(devices, 0, sizeof devices);
	memset(deaf, 0, sizeof deaf);
	if (ws_hub_init(&h, &owner, devices) != 0)
		return 0;
	f = ws_frame_new(WS_TEXT, "1", 1);
	MUST(f != NULL, "no memory");
	for (i = 0; i + 1 < len; i += 2) {
		op = data[i] & 7;
		failing = data[i] >> 5; /* 0: nothing fails, n: the nth call */
		d = data[i + 1] % DEVICES;
		c = data[i + 1] / DEVICES % CHANNELS;
		/* Names that are beginnings of each other. */
		snprintf(text, sizeof text, "%.*s", (int)(c % 12 + 1),
		    c < 12 ? "aaaaaaaaaaaa" : "babababababa");
		name.s = text;
		name.len = strlen(text);
		memset(hits, 0, sizeof hits);
		fake_fault.call = FAKE_ALLOC;
		fake_fault.at = fake_calls[FAKE_ALLOC] + failing;
		fake_fault.many = failing != 0;
		fake_fault.error = ENOMEM;
		fake_faults = 0;
		switch (op) {
		case 0:
			if (devices[d].own.id[0] != '\0')
				break;
			want = ws_hub_join(&h, &devices[d], no_name) == 0;
			MUST(want == 1 || fake_faults > 0, "no join");
			all += want;
			break;
		case 1:
			if (data[i] & 8) /* they stay, mostly */
				break;
			all -= devices[d].own.id[0] != '\0';
			ws_hub_leave(&h, &devices[d]);
			memset(in[d], 0, CHANNELS);
			break;
		case 2:
		case 3:
		case 4:
			if (devices[d].own.id[0] == '\0')
				break;
			want = op == 4 ? in[d][c] : !in[d][c];
			got = (size_t)(op == 4 ?
			    ws_hub_unsubscribe(&h, &devices[d].own, name) :
			    ws_hub_subscribe(&h, &devices[d].own, name));
			MUST(got == want || (got == (size_t)-1 && op != 4 &&
			    fake_faults > 0), "%zu, not %u", got, want);
			if (got != (size_t)-1)
				in[d][c] = op != 4;
			break;
		case 5:
			got = ws_hub_publish(&h, name, f, NULL);
			for (k = 0, want = 0; k < DEVICES; k++) {
				want += in[k][c] && !deaf[k];
				MUST(hits[k] == in[k][c], "channel %u, device "
				    "%u: %u", c, k, hits[k]);
			}
			MUST(got == want, "%zu, not %u", got, want);
			break;
		case 6:
			if (data[i] & 8) {
				deaf[d] ^= 1;
				break;
			}
			got = ws_hub_multicast(&h, f, NULL);
			for (k = 0, want = 0; k < DEVICES; k++) {
				want += devices[k].own.id[0] != '\0' &&
				    !deaf[k];
				MUST(hits[k] == (devices[k].own.id[0] != '\0'),
				    "device %u: %u", k, hits[k]);
			}
			MUST(got == want, "%zu, not %u", got, want);
			break;
		case 7:
			name.s = devices[d].own.id;
			name.len = strlen(name.s);
			got = ws_hub_send(&h, name, f);
			MUST(got == (name.len != 0 && !deaf[d]) &&
			    hits[d] == (name.len != 0), "%zu", got);
			break;
		}
		fake_fault.many = 0;
		whole(&h);
		for (k = 0, links = 0; k < DEVICES; k++)
			for (c = 0; c < CHANNELS; c++)
				links += in[k][c];
		MUST(h.count == all && h.nlinks == links,
		    "%u devices and %u links, not %u and %u", h.count,
		    h.nlinks, all, links);
	}
	for (d = 0; d < DEVICES; d++)
		ws_hub_leave(&h, &devices[d]);
	whole(&h);
	MUST(h.nchannels == 0 && h.count == 0, "something is left");
	ws_hub_free(&h);
	ws_frame_release(f);
	MUST(fake_live == 0, "%ld blocks not given back", fake_live);
	return 0;
}
