/* wshub: ISC licence, see LICENSE. */
/*
 * The whole hub on a fake kernel: clients that come, speak, break rules,
 * read slowly and go, backends that subscribe and send, and hours that pass,
 * all in any order. Every message has a number, and each client must get just
 * those that were meant for it, once and in order, until it gets a Close.
 */
#include "../fake.h"
#include "../../ws.h"
#include "fuzz.h"
#include "stream.h"

#define CLIENTS 6
#define BACKENDS 2
#define CHANNELS 4
#define WAITING 512 /* numbers that one client has not read */
#define QUEUE 2048

struct client {
	int named;
	char id[WS_ID_LEN + 1];
	unsigned char in[CHANNELS];
	unsigned want[WAITING], first, count;
	struct stream s;
};

static struct client clients[CLIENTS];
static int backends[BACKENDS];
static int answering[BACKENDS]; /* garbage was sent: replies may be any */
static struct ws_loop *l;
static int listener, control;
static unsigned number;

/* ------------------------------------------------------------ invariants */

static struct ws_frame *
in_queue(const struct ws_queue *q, uint32_t n)
{
	return q->ring[(q->first + n) % q->room];
}

/* What counts for --queue-total, counted anew: frames once, rings, input. */
static size_t
held(void)
{
	static const struct ws_frame *seen[4096];
	const struct ws_client *c;
	const struct ws_frame *f;
	size_t n = 0, k, bytes = 0;
	uint32_t i, at;

	for (i = 0; i < l->poll.n; i++) {
		c = (const struct ws_client *)l->poll.conns[i];
		if (c->conn.kind != WS_CONN_CLIENT)
			continue;
		bytes += c->partial_len;
		if (c->queue.ring != c->queue.small)
			bytes += 2 * sizeof *c->queue.ring * c->queue.room;
		for (at = 0; at < c->queue.count; at++) {
			f = in_queue(&c->queue, at);
			for (k = 0; k < n && seen[k] != f; k++)
				;
			if (k < n || n == sizeof seen / sizeof *seen)
				continue;
			seen[n++] = f;
			bytes += ws_frame_cost(f);
		}
	}
	return bytes;
}

static void
whole(void)
{
	struct ws_client *c;
	struct ws_queue *q;
	struct ws_timer *a;
	uint32_t i, k, n = 0;
	size_t bytes;
	int slot, found;

	MUST(l->poll.dead == NULL && l->dirty == NULL && !l->flush_first,
	    "somebody is not done");
	MUST(l->poll.hot <= l->poll.n, "hot and cold");
	for (i = 0; i < l->poll.n; i++) {
		MUST(l->poll.conns[i]->slot == i && l->poll.fds[i].fd ==
		    l->poll.conns[i]->fd && l->poll.fds[i].events ==
		    l->poll.conns[i]->events, "slot %u", i);
		if (l->poll.conns[i]->kind != WS_CONN_CLIENT)
			continue;
		n++;
		c = (struct ws_client *)l->poll.conns[i];
		q = &c->queue;
		MUST(q->count <= q->room, "a queue's room");
		MUST((q->ring == q->small) == (q->room == 2), "its ring");
		for (k = 0, bytes = 0; k < q->count; k++)
			bytes += in_queue(q, k)->len;
		MUST(bytes - q->sent == q->unsent, "%u bytes unsent, not %zu",
		    q->unsent, bytes - q->sent);
		MUST(q->unsent == 0 || (c->conn.events & POLLOUT) != 0,
		    "unsent, and nobody asks");
		MUST(q->room == 2 || q->count > q->room / 4,
		    "a ring of %u for %u", (unsigned)q->room, q->count);
		MUST(c->state != WS_CLIENT_OPEN || ws_queue_bytes(q) <= QUEUE,
		    "%zu bytes are over the limit", ws_queue_bytes(q));
		MUST(c->state != WS_CLIENT_OPEN || c->session.own.id[0] != '\0',
		    "open, and not in the hub");
		slot = c->deadline.slot;
		for (a = slot == 0 ? NULL : l->wheel.slots[slot - 1], found = 0;
		    a != NULL; a = a->next)
			found += a == &c->deadline;
		MUST(slot == 0 || found == 1, "not in its slot");
		MUST(slot != 0 || (c->state == WS_CLIENT_OPEN &&
		    l->o.ping == 0), "nobody will ask it");
	}
	MUST(l->queued == held(), "%zu bytes are queued, not %zu", held(),
	    l->queued);
	MUST(l->o.queue_total == 0 || l->queued <= l->o.queue_total,
	    "%zu bytes are queued in all", l->queued);
	MUST(n == l->clients + l->refused, "%u clients, not %u", n,
	    l->clients + l->refused);
}

/* The client in the hub, or NULL: its id may be another's by now. */
static struct ws_client *
inside(const struct client *c)
{
	struct ws_text id = { c->id, WS_ID_LEN };
	struct ws_device *d = c->named ? ws_hub_find(&l->hub, id) : NULL;
	struct ws_client *w;

	if (d == NULL)
		return NULL;
	w = (struct ws_client *)((char *)d - offsetof(struct ws_client,
	    session));
	return w->conn.fd == FAKE_FD + c->s.h ? w : NULL;
}

/* The client that the hub would deliver to, or NULL. */
static struct ws_client *
known(const struct client *c)
{
	struct ws_client *w = inside(c);

	return w != NULL && w->state == WS_CLIENT_OPEN && !w->conn.dead ? w :
	    NULL;
}

/* Who has been let in since: it may be long after its request, being cold. */
static void
learn_names(void)
{
	struct ws_client *w;
	uint32_t i;
	int k;

	for (i = 0; i < l->hub.count; i++) {
		w = (struct ws_client *)((char *)l->hub.devices[i] -
		    offsetof(struct ws_client,
	    session));
		for (k = 0; k < CLIENTS; k++) {
			if (clients[k].named ||
			    w->conn.fd != FAKE_FD + clients[k].s.h)
				continue;
			memcpy(clients[k].id, w->session.own.id,
			    sizeof clients[k].id);
			clients[k].named = 1;
		}
	}
}

static void
step(void)
{
	int i;

	for (i = 0; i < 2; i++) {
		MUST(ws_loop_step(l, 0) == 1, "stopped");
		whole();
		learn_names();
	}
}

/* --------------------------------------------------------------- clients */

static void
leave(struct client *c)
{
	if (c->s.h >= 0)
		fake_leave(c->s.h);
	/* Of one that is cold the loop would know later, and count it. */
	if (l != NULL)
		ws_poll_scan_next(&l->poll);
	memset(c, 0, offsetof(struct client, s.got));
	c->s.h = -1;
}

/* A message came: the next that was meant for it. */
static void
hear(void *arg, unsigned opcode, const unsigned char *p, size_t len)
{
	struct client *c = arg;
	char text[64];
	unsigned n = 0;

	if (opcode == WS_PING)
		return;
	if (len >= 10 && memcmp(p, "{\"action\":", 10) == 0)
		return; /* a heartbeat, or its name */
	snprintf(text, sizeof text, "%.*s", len < 60 ? (int)len : 60,
	    (const char *)p);
	MUST(sscanf(text, "[%u,", &n) == 1, "a message \"%s\"", text);
	MUST(c->count > 0 && c->want[c->first] == n, "message %u, not %u (of "
	    "%u)", n, c->count ? c->want[c->first] : 0, c->count);
	c->first = (c->first + 1) % WAITING;
	c->count--;
}

static void
read_client(struct client *c, size_t most)
{
	stream_read(&c->s, most, hear, c);
}

static void
connect_client(struct client *c)
{
	leave(c);
	c->s.h = fake_connect(listener);
}

static void
request(struct client *c)
{
	static const char head[] = "GET / HTTP/1.1\r\nHost: a\r\n"
	    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
	    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	    "Sec-WebSocket-Version: 13\r\n\r\n";

	fake_put(c->s.h, head, sizeof head - 1);
	step();
}

static void
frame(struct client *c, unsigned first, const uint8_t *data, size_t len)
{
	unsigned char out[WS_FRAME_HEAD_MAX];
	static const unsigned char mask[4] = { 0, 0, 0, 0 };

	fake_put(c->s.h, out, ws_frame_head(out, first, len, mask));
	fake_put(c->s.h, data, len);
}

/* -------------------------------------------------------------- backends */

static void
expect(struct client *c)
{
	if (c->count == WAITING) { /* it reads nothing: forget it */
		leave(c);
		step();
		return;
	}
	c->want[(c->first + c->count++) % WAITING] = number;
}

static void
ask(unsigned which, unsigned kind, unsigned who, unsigned where, unsigned size)
{
	static char pad[256];
	char text[600], id[WS_ID_LEN + 1], reply[256];
	struct client *c = &clients[who % CLIENTS];
	unsigned char set[CLIENTS];
	unsigned i, n = 0, got;
	size_t len;

	if (backends[which] < 0 || answering[which])
		return;
	memset(pad, 'x', sizeof pad - 1);
	where %= CHANNELS;
	memcpy(id, inside(c) ? c->id : "nobodynobodynob", sizeof id);
	number++;
	memset(set, 0, sizeof set);
	for (i = 0; i < CLIENTS; i++) {
		/* A channel forgets who has left the hub. */
		if (inside(&clients[i]) == NULL)
			memset(clients[i].in, 0, CHANNELS);
		if (known(&clients[i]) == NULL)
			continue;
		set[i] = kind == 0 || (kind == 1 && clients[i].in[where]) ||
		    (kind == 2 && &clients[i] == c);
		n += set[i];
	}
	switch (kind) {
	case 0:
		snprintf(text, sizeof text, "{\"action\":\"multicast\","
		    "\"data\":[%u, \"%.*s\"]}\n", number, (int)size, pad);
		break;
	case 1:
		snprintf(text, sizeof text, "{\"action\":\"sendToChannel\","
		    "\"channel\":%u,\"data\":[%u,\"%.*s\"]}\n", where, number,
		    (int)size, pad);
		break;
	case 2:
		snprintf(text, sizeof text, "{\"action\":\"sendToDevice\","
		    "\"device\":\"%s\",\"data\":[%u,\"%.*s\"]}\n", id, number,
		    (int)size, pad);
		break;
	default:
		snprintf(text, sizeof text, "{\"action\":\"%s\",\"device\":"
		    "\"%s\",\"channel\":\"%u\"}\n", kind == 3 ? "subscribe" :
		    "unsubscribe", id, where);
		break;
	}
	fake_put(backends[which], text, strlen(text));
	step();
	len = fake_take(backends[which], reply, sizeof reply - 1);
	reply[len] = '\0';
	if (kind < 3) {
		MUST(sscanf(reply, "OK %u\n", &got) == 1 && got == n,
		    "%s is answered by %s, not %u", text, reply, n);
		for (i = 0; i < CLIENTS; i++)
			if (set[i])
				expect(&clients[i]);
		return;
	}
	/* One that is ending is in the hub, and may still subscribe. */
	if (sscanf(reply, "OK %u\n", &got) == 1) {
		MUST(got == (c->in[where] != (kind == 3)), "%s is answered by "
		    "%s", text, reply);
		c->in[where] = kind == 3;
	} else {
		MUST(strncmp(reply, "ERR unknown device", 18) == 0 &&
		    known(c) == NULL, "%s is answered by %s", text, reply);
	}
}

static void
backend(unsigned which, int come)
{
	if (backends[which] >= 0)
		fake_leave(backends[which]);
	backends[which] = come ? fake_connect(control) : -1;
	answering[which] = 0;
}

/* ----------------------------------------------------------------- a life */

static void
pass(unsigned which)
{
	static const int times[8] = { 1, 100, 1000, 5000, 11000, 26000, 60000,
	    3600000 };

	fake_now += (int64_t)times[which & 7] * 1000000;
}

int
fuzz_loop(const uint8_t *data, size_t len)
{
	struct ws_options o = {
		.heartbeat = 60, .ping = 25, .drain = 5, .queue = QUEUE
	};
	char bin[4096];
	struct client *c;
	size_t i, n;
	unsigned op, who;

	if (len > 600)
		return 0;
	fake_begin();
	number = 0;
	for (i = 0; i < CLIENTS; i++) {
		clients[i].s.h = -1;
		leave(&clients[i]);
	}
	memset(answering, 0, sizeof answering);
	backends[0] = backends[1] = -1;
	if (len > 0 && (data[0] & 1) != 0)
		o.max_clients = 3;
	if (len > 0 && (data[0] & 2) != 0)
		o.max_per_ip = 4;
	if (len > 0 && (data[0] & 4) != 0)
		o.queue_total = 2 * QUEUE;
	l = ws_loop_new(&o);
	MUST(l != NULL, "no loop");
	listener = fake_listen();
	control = fake_listen();
	MUST(ws_loop_listen(l, listener, 0) == 0 &&
	    ws_loop_control(l, control) == 0, "no listeners");
	backend(0, 1);
	step();
	for (i = 1; i < len; i++) {
		op = data[i] & 15;
		who = data[i] >> 4;
		c = &clients[who % CLIENTS];
		n = i + 1 < len ? data[i + 1] : 0;
		switch (op) {
		case 0:
			connect_client(c);
			break;
		case 1:
			if (c->s.h >= 0)
				request(c);
			break;
		case 2: /* bytes of the input, as they are */
			n &= 31;
			if (n > len - i - 1)
				n = len - i - 1;
			if (c->s.h >= 0)
				fake_put(c->s.h, data + i + 1, n);
			i += n;
			break;
		case 3:
			n = i + 2 < len ? data[i + 2] & 31 : 0;
			if (i + 3 + n > len)
				break;
			if (c->s.h >= 0)
				frame(c, data[i + 1], data + i + 3, n);
			i += 2 + n;
			break;
		case 4:
			read_client(c, n * 32);
			i++;
			break;
		case 5:
			if (c->s.h >= 0 && n < 64)
				fake_end(c->s.h);
			else if (c->s.h >= 0 && n < 128)
				fake_reset(c->s.h);
			else
				leave(c);
			i++;
			break;
		case 6:
			if (c->s.h >= 0)
				fake_window(c->s.h, n * 16);
			i++;
			break;
		case 7:
			backend(who & 1, (who & 2) != 0);
			break;
		case 8: /* garbage for a backend's stream */
			if (backends[who & 1] < 0)
				break;
			answering[who & 1] = 1;
			n &= 31;
			if (n > len - i - 1)
				n = len - i - 1;
			fake_put(backends[who & 1], data + i + 1, n);
			i += n;
			break;
		case 9:
			pass(who);
			break;
		case 10:
			ask(0, 3, who, (unsigned)n, 0);
			i++;
			break;
		case 11:
			ask(0, 4, who, (unsigned)n, 0);
			i++;
			break;
		case 12:
			ask(who & 1, 0, 0, 0, (unsigned)n);
			i++;
			break;
		case 13:
			ask(0, 1, who, who, (unsigned)n);
			i++;
			break;
		case 14:
			ask(0, 2, who, 0, (unsigned)n);
			i++;
			break;
		case 15: /* it reads all, and answers Pings */
			read_client(c, 8192);
			if (c->s.h >= 0 && c->s.open)
				frame(c, WS_FIN | WS_PONG, NULL, 0);
			break;
		}
		step();
		for (n = 0; n < BACKENDS; n++)
			if (backends[n] >= 0 && answering[n])
				while (fake_take(backends[n], bin,
				    sizeof bin) != 0)
					step();
	}
	for (i = 0; i < CLIENTS; i++) {
		if (clients[i].s.h >= 0)
			fake_window(clients[i].s.h, 1 << 20);
		step();
		read_client(&clients[i], 8192);
	}
	ws_loop_stop(l);
	for (i = 0; i < 200 && ws_loop_step(l, 100); i++)
		;
	MUST(i < 200, "does not end");
	ws_loop_free(l);
	l = NULL;
	MUST(fake_open() == 0, "%u descriptors are open", fake_open());
	MUST(fake_live == 0, "%ld blocks not given back", fake_live);
	for (i = 0; i < CLIENTS; i++)
		leave(&clients[i]);
	backend(0, 0);
	backend(1, 0);
	return 0;
}
