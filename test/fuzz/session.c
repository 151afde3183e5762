/* wshub: ISC licence, see LICENSE. */
/*
 * Sessions that outlive their connections, on the fake kernel: clients that
 * come, read a part, confirm or lie, lose their connection and come back with
 * any SEEN, while a backend sends and memory runs out, all in any order.
 *
 * The model is a list for each session: the messages that were addressed to it
 * since it began, which a function in ws_client_deliver's place writes down. A
 * connection goes along its session's list, from the start or from SEEN, and
 * what it reads must be just what comes next there. A session may end only for
 * a reason that the model knows (may_end). What a backend that watches knows
 * from its events must be the hub after each step, unless it was told that
 * events are lost or its connection was closed.
 */
#include "../fake.h"
#include "../../ws.h"
#include "fuzz.h"
#include "stream.h"

#define CONNS 8
#define SESSIONS 400   /* in one run; each needs two bytes of input */
#define MESSAGES 1400  /* to one session */
#define CHANNELS 4
#define NAMED 2        /* devices with a name, which a token gives */
#define QUEUE 8192
#define RESUME 30      /* seconds */
#define WATCH "{\"action\":\"watch\",\"snapshot\":true}\n"
#define SLACK 1500     /* bytes of greetings, Pings and Pongs in a queue */

struct message {
	unsigned number; /* 0: a heartbeat */
	size_t len;      /* of its payload */
};

struct session {
	const struct ws_client *client; /* the hub's, or NULL: it has ended */
	char id[WS_ID_LEN + 1];
	char secret[WS_SECRET_NAME + 1]; /* "": it cannot be resumed */
	unsigned device;      /* in channels[] */
	struct message list[MESSAGES];
	unsigned count;       /* in list */
	unsigned received;    /* by its client, which comes on one connection
	                         after the other */
	const struct conn *conn; /* the last of these */
	unsigned confirmed;   /* of them for certain, and perhaps */
	unsigned perhaps;
	size_t cost;          /* bytes, at most, of those after confirmed */
	unsigned got;         /* the last number that was addressed to it */
	int expected;         /* and that the model expected */
	int64_t away_since;   /* ms; 0: it is not away */
	uint64_t sent;        /* messages that left while it was looked at */
	int replaced;         /* its client has begun another */
	int may_end;
};

struct conn {
	struct session *session; /* that it was let into */
	unsigned next;          /* in its list */
	int resumed;            /* else it was new */
	unsigned missed_min, missed_max;
	struct session *wants;  /* that the request asks for */
	uint64_t seen;
	int may;                /* be let into that, by its token */
	int must;               /* be let into that */
	int has_rival;          /* another asks for it at the same time */
	int named_one;          /* the request has "resume=" and a value */
	int lost;               /* "lost" was read */
	int rude;               /* it has sent what ends a session */
	int greeted;
	char ping[WS_CONTROL_MAX + 1]; /* the last Ping's payload */
	struct stream s;
};

static struct session sessions[SESSIONS];
static unsigned nsessions;
static struct conn conns[CONNS];
/* Whose channels they are: named devices, then sessions' own. */
static unsigned char channels[NAMED + SESSIONS];
static const unsigned char token_channels[NAMED] = { 1, 4 };
static struct ws_client *all[512]; /* clients of the hub */
static unsigned nall;
static struct ws_loop *l;
static struct ws_token_keys keys;
static int listener, control, backend, over;
static unsigned number;
static unsigned long faults;
static unsigned resumes; /* that were seen: not if it is away at once */

/* What the watcher knows of a device. */
struct known {
	char name[WS_ID_LEN + 1];
	unsigned sessions;
	int away; /* -1: it cannot know which of several sessions is */
};

static struct {
	int h; /* the connection, or -1 */
	int valid, ready; /* since a snapshot began, and since it ended */
	struct known devices[SESSIONS];
	unsigned ndevices;
	unsigned char occupied[CHANNELS];
	unsigned long faults; /* after the last step */
	char got[1 << 17];
	size_t len;
} watcher;

static int64_t
now_ms(void)
{
	return fake_now / 1000000;
}

/* ------------------------------------------------------------- the model */

static struct session *
session_of(const struct ws_client *c)
{
	unsigned i;

	for (i = 0; i < nsessions; i++)
		if (sessions[i].client == c)
			return &sessions[i];
	return NULL;
}

static unsigned
device_of(const struct ws_client *c, const struct session *s)
{
	struct ws_text name = ws_device_name(c->session.device);

	if (!c->session.device->named)
		return NAMED + (unsigned)(s - sessions);
	MUST(name.len == 4, "a device's name has %zu bytes", name.len);
	return name.s[3] == '0' ? 0 : 1;
}

/* A connection has been let in. */
static void
attach(struct conn *k, struct session *s, int resumed)
{
	k->session = s;
	k->resumed = resumed;
	s->conn = k;
	if (k->rude)
		s->may_end = 1;
	if (!resumed) {
		MUST(!k->must, "a session is not resumed: %s.%llu",
		    k->wants->secret, (unsigned long long)k->seen);
		if (k->may)
			k->wants->replaced = 1;
		return;
	}
	resumes++;
	MUST(k->wants == s, "resumed, but another session");
	MUST(k->seen <= s->count, "resumed after message %llu of %u",
	    (unsigned long long)k->seen, s->count);
	MUST(s->away_since == 0 || k->seen <= s->sent || k->has_rival,
	    "resumed after message %llu, and %llu were sent",
	    (unsigned long long)k->seen, (unsigned long long)s->sent);
	MUST(k->seen >= s->confirmed, "resumed before what was confirmed");
	k->next = (unsigned)k->seen;
	if (s->confirmed < k->next)
		s->confirmed = k->next;
	if (s->perhaps < k->next)
		s->perhaps = k->next;
	s->received = k->next;
	if (s->device < NAMED)
		channels[s->device] |= token_channels[s->device];
}

/* A client that is in the hub: its session in the model. */
static struct session *
meet(const struct ws_client *c)
{
	struct session *s = session_of(c);
	int is_new = s == NULL;
	unsigned i, before;

	if (is_new) {
		MUST(nsessions < SESSIONS, "too many sessions");
		s = &sessions[nsessions++];
		memset(s, 0, offsetof(struct session, list));
		memset(&s->count, 0, sizeof *s - offsetof(struct session,
		    count));
		s->client = c;
		/* Who goes first when that is reached is not in the model. */
		s->may_end = l->o.queue_total != 0;
		if (c->queue.keeps)
			ws_resume_name(c, s->secret);
		memcpy(s->id, c->session.own.id, sizeof s->id);
		s->device = device_of(c, s);
		if (s->device < NAMED)
			channels[s->device] |= token_channels[s->device];
	}
	before = s->count;
	for (i = 0; i < CONNS && c->conn.fd != -1; i++)
		if (conns[i].s.h >= 0 && c->conn.fd == FAKE_FD + conns[i].s.h &&
		    conns[i].session == NULL) {
			attach(&conns[i], s, !is_new);
			conns[i].missed_min = conns[i].missed_max =
			    before - conns[i].next;
		}
	return s;
}

/* What a session that has so much to keep may cost, at most. */
static void
count_cost(struct session *s)
{
	size_t most = l->o.keep < QUEUE ? l->o.keep : QUEUE;
	unsigned i;

	s->cost = SLACK;
	for (i = s->confirmed; i < s->count; i++)
		s->cost += s->list[i].len + 4 + 5 * sizeof(void *);
	if (s->cost > most)
		s->may_end = 1;
}

static unsigned
number_of(const struct ws_frame *f, size_t *len)
{
	const unsigned char *p = ws_frame_bytes(f);
	size_t head = p[1] == 126 ? 4 : 2;
	unsigned n = 0;
	char text[16];

	*len = f->len - head;
	MUST(p[0] == (WS_FIN | WS_TEXT) && p[1] <= 126, "a frame's head");
	if (f->heartbeat)
		return 0;
	snprintf(text, sizeof text, "%.*s", *len < 12 ? (int)*len : 12,
	    (const char *)p + head);
	MUST(sscanf(text, "[%u,", &n) == 1, "a message \"%s\"", text);
	return n;
}

/* In ws_client_deliver's place: writes down what is addressed to whom. */
static int
deliver(struct ws_session *to, struct ws_frame *f, void *arg)
{
	const struct ws_client *c = (struct ws_client *)(void *)
	    ((char *)to - offsetof(struct ws_client, session));
	int in = !c->conn.dead && (c->state == WS_CLIENT_OPEN ||
	    c->state == WS_CLIENT_AWAY), away = c->state == WS_CLIENT_AWAY;
	struct session *s = in ? meet(c) : session_of(c);
	size_t len;
	unsigned n = number_of(f, &len);
	int done;

	if (s != NULL && n != 0)
		s->got = n;
	if (s != NULL && in && (n != 0 || !away)) {
		MUST(s->count < MESSAGES, "too many messages");
		s->list[s->count].number = n;
		s->list[s->count++].len = len;
		count_cost(s);
	}
	done = ws_client_deliver(to, f, arg);
	if (fake_faults != faults)
		return done;
	if (away && n == 0)
		MUST(!done, "a heartbeat for a session that is away");
	else if (in)
		MUST(done || c->conn.dead, "message %u is not taken", n);
	else
		MUST(!done, "message %u is taken by nobody", n);
	MUST(done || !in || (away && n == 0) || s->may_end,
	    "message %u ends a session", n);
	return done;
}

static const struct ws_owner owner = {
	deliver, ws_client_describe, ws_client_kick, NULL
};

/* Memory ran out since the last look: whoever it was may have ended. */
static void
forgive(void)
{
	unsigned i;

	if (fake_faults == faults)
		return;
	faults = fake_faults;
	for (i = 0; i < nsessions; i++)
		sessions[i].may_end = 1;
	for (i = 0; i < CONNS; i++)
		conns[i].must = 0;
}

/* Who is in the hub now, and who is not any more. */
static void
learn(void)
{
	static unsigned char here[SESSIONS];
	unsigned char lives[NAMED] = { 0 };
	const struct ws_client *c;
	struct session *s;
	unsigned i;

	memset(here, 0, sizeof here);
	for (i = 0; i < nall; i++) {
		c = all[i];
		if (c->state != WS_CLIENT_OPEN && c->state != WS_CLIENT_AWAY)
			continue;
		s = meet(c);
		here[s - sessions] = 1;
		MUST(c->state == WS_CLIENT_OPEN || l->stop_at == 0, "away, at "
		    "the end");
		if (c->queue.keeps)
			s->sent = c->resume->base + c->queue.kept;
		if (s->device < NAMED)
			lives[s->device] = 1;
		if (c->state == WS_CLIENT_OPEN) {
			s->away_since = 0;
			continue;
		}
		if (s->away_since == 0)
			s->away_since = now_ms();
		MUST(now_ms() - s->away_since <= RESUME * 1000 + 256,
		    "away for %lld ms", (long long)(now_ms() - s->away_since));
	}
	for (i = 0; i < nsessions; i++) {
		s = &sessions[i];
		MUST(!s->replaced || !here[i], "session %u is replaced, and "
		    "goes on", i);
		if (s->client == NULL || here[i])
			continue;
		MUST(s->may_end || s->secret[0] == '\0' ||
		    (s->away_since != 0 && now_ms() - s->away_since >=
		    RESUME * 1000), "session %u has ended, without a reason",
		    i);
		s->client = NULL;
		if (s->device >= NAMED)
			channels[s->device] = 0;
	}
	for (i = 0; i < NAMED; i++)
		if (!lives[i])
			channels[i] = 0;
}

/* ------------------------------------------------------------ invariants */

static struct ws_frame *
in_queue(const struct ws_queue *q, uint32_t n)
{
	return q->ring[(q->first + n) % q->room];
}

static void
find_clients(void)
{
	struct ws_resume *r;
	uint32_t i, n = 0;

	nall = 0;
	for (i = 0; i < l->poll.n; i++)
		if (l->poll.conns[i]->kind == WS_CONN_CLIENT)
			all[nall++] = (struct ws_client *)l->poll.conns[i];
	for (i = 0; i < l->resume_buckets; i++)
		for (r = l->resumes[i]; r != NULL; r = r->chain, n++) {
			MUST(r->client->resume == r && r->client->queue.keeps,
			    "a secret's client");
			if (r->client->state == WS_CLIENT_AWAY)
				all[nall++] = r->client;
		}
	MUST(n == l->nresumes, "%u secrets, not %u", n, l->nresumes);
}

/* What counts for --queue-total, counted anew. */
static size_t
held(void)
{
	static const struct ws_frame *seen[8192];
	const struct ws_client *c;
	size_t n = 0, k, bytes = 0;
	uint32_t i, at;

	for (i = 0; i < nall; i++) {
		c = all[i];
		bytes += c->partial_len;
		if (c->queue.ring != c->queue.small)
			bytes += 2 * sizeof *c->queue.ring * c->queue.room;
		for (at = 0; at < c->queue.kept + c->queue.count; at++) {
			for (k = 0; k < n && seen[k] != in_queue(&c->queue,
			    at); k++)
				;
			MUST(n < sizeof seen / sizeof *seen, "many frames");
			if (k < n)
				continue;
			seen[n++] = in_queue(&c->queue, at);
			bytes += ws_frame_cost(seen[k]);
		}
	}
	return bytes;
}

static void
check_queue(const struct ws_client *c)
{
	const struct ws_queue *q = &c->queue;
	size_t bytes = 0, kept = 0;
	uint32_t i;

	MUST(q->kept + q->count <= q->room, "a queue's room");
	MUST((q->ring == q->small) == (q->room == 2), "its ring");
	MUST(q->kept == 0 || q->keeps, "frames kept for nobody");
	for (i = 0; i < q->kept; i++) {
		MUST(in_queue(q, i)->counts, "a frame kept that does not "
		    "count");
		kept += in_queue(q, i)->len;
	}
	for (; i < q->kept + q->count; i++)
		bytes += in_queue(q, i)->len;
	MUST(kept == q->kept_bytes, "%u bytes kept, not %zu", q->kept_bytes,
	    kept);
	MUST(bytes - q->sent == q->unsent, "%u bytes unsent, not %zu",
	    q->unsent, bytes - q->sent);
	MUST(q->sent == 0 || (q->count != 0 && q->sent <
	    in_queue(q, q->kept)->len), "%u bytes sent", q->sent);
	if (c->state == WS_CLIENT_OPEN) {
		MUST(ws_queue_bytes(q) <= QUEUE, "%zu bytes are over --queue",
		    ws_queue_bytes(q));
		MUST(ws_queue_kept(q) <= l->o.keep, "%zu bytes are kept",
		    ws_queue_kept(q));
	}
}

/* The session's frames are the last of the model's list. */
static void
check_list(const struct ws_client *c, const struct session *s)
{
	const struct ws_queue *q = &c->queue;
	const struct ws_frame *f;
	uint64_t at = c->resume->base;
	unsigned n;
	uint32_t i;
	size_t len;

	MUST(ws_resume_count(c) == s->count, "%llu messages, not %u",
	    (unsigned long long)ws_resume_count(c), s->count);
	MUST(at >= s->confirmed, "%llu messages are confirmed, not %u",
	    (unsigned long long)at, s->confirmed);
	for (i = 0; i < q->kept + q->count; i++) {
		f = in_queue(q, i);
		if (!f->counts)
			continue;
		n = number_of(f, &len);
		MUST(s->list[at].number == n && s->list[at].len == len,
		    "in the queue is %u, not %u", n, s->list[at].number);
		at++;
	}
}

static void
check_client(const struct ws_client *c)
{
	const struct ws_timer *a;
	int slot = c->deadline.slot, found = 0, in;

	in = c->state == WS_CLIENT_OPEN || c->state == WS_CLIENT_AWAY;
	check_queue(c);
	MUST(in == (c->session.device != NULL), "state %d, and in the hub: %d",
	    c->state, c->session.device != NULL);
	MUST(in || c->resume == NULL, "a secret of nobody");
	MUST(!c->dirty && !c->conn.dead, "a client is not done");
	if (c->queue.keeps)
		check_list(c, session_of(c));
	for (a = slot == 0 ? NULL : l->wheel.slots[slot - 1]; a != NULL;
	    a = a->next)
		found += a == &c->deadline;
	MUST(slot == 0 || found == 1, "not in its slot");
	MUST(slot != 0 || (c->state == WS_CLIENT_OPEN && l->o.ping == 0),
	    "nobody will ask it");
	if (c->state == WS_CLIENT_AWAY) {
		MUST(c->conn.fd == -1 && c->partial == NULL &&
		    c->partial_len == 0 && c->tls == NULL, "away with a "
		    "connection");
		MUST(!c->pinged && !c->asked && c->queue.sent == 0,
		    "away, and something of the connection is left");
		MUST(ws_queue_counting(&c->queue) == c->queue.count,
		    "frames that do not count wait");
		MUST(ws_queue_all(&c->queue) <= l->o.keep,
		    "away, and more than --keep");
	} else {
		MUST(c->queue.unsent == 0 || (c->conn.events & POLLOUT) != 0,
		    "unsent, and nobody asks");
		MUST((c->partial != NULL) == (c->partial_len != 0),
		    "partial input");
	}
}

static void
check_all(void)
{
	uint32_t i, away = 0, refused = 0, in = 0;
	const struct ws_conn *dead;
	size_t bytes = held();

	MUST(l->dirty == NULL && !l->flush_first, "somebody is not done");
	/* A watcher without memory for events is freed in the next turn. */
	for (dead = l->poll.dead; dead != NULL; dead = dead->next)
		MUST(dead->kind == WS_CONN_BACKEND, "a client is dead");
	for (i = 0; i < l->poll.n; i++)
		MUST(l->poll.conns[i]->slot == i && l->poll.fds[i].fd ==
		    l->poll.conns[i]->fd && l->poll.fds[i].events ==
		    l->poll.conns[i]->events, "slot %u", i);
	for (i = 0; i < nall; i++) {
		check_client(all[i]);
		away += all[i]->state == WS_CLIENT_AWAY;
		refused += all[i]->refused;
		in += all[i]->session.device != NULL;
	}
	MUST(in <= l->max_clients, "%u clients in the hub", in);
	MUST(away == l->away, "%u are away, not %u", away, l->away);
	MUST(refused == l->refused && nall - refused == l->clients,
	    "%u clients and %u refused, not %u and %u", nall - refused,
	    refused, l->clients, l->refused);
	MUST(bytes == l->queued, "%zu bytes are queued, not %zu", bytes,
	    l->queued);
	MUST(l->o.queue_total == 0 || bytes <= l->o.queue_total,
	    "%zu bytes are queued in all", bytes);
}

/* --------------------------------------------------------------- watcher */

static struct known *
find_known(const char *name)
{
	struct known *k = watcher.devices;

	while (k < watcher.devices + watcher.ndevices &&
	    strcmp(k->name, name) != 0)
		k++;
	return k;
}

static void
watch_session(const char *line, const char *event, const char *name, unsigned n)
{
	struct known *k = find_known(name);

	if (k == watcher.devices + watcher.ndevices) {
		MUST(strcmp(event, "connect") == 0 && watcher.ndevices <
		    SESSIONS, "\"%s\": no such device", line);
		memset(k, 0, sizeof *k);
		strcpy(k->name, name);
		watcher.ndevices++;
	}
	if (strcmp(event, "connect") == 0) {
		k->away = ++k->sessions == 1 ? 0 : -1;
	} else if (strcmp(event, "disconnect") == 0) {
		k->away = -1;
		k->sessions--;
	} else if (k->sessions == 1) {
		MUST(*event == 'r' || k->away != 1, "\"%s\": twice", line);
		k->away = *event == 'a';
	}
	MUST(k->sessions == n, "\"%s\": not %u", line, k->sessions);
	if (n == 0)
		*k = watcher.devices[--watcher.ndevices];
}

static void
watch_line(const char *line)
{
	char event[32], name[32];
	unsigned n;

	if (strncmp(line, "OK ", 3) == 0) {
		watcher.ndevices = 0;
		memset(watcher.occupied, 0, sizeof watcher.occupied);
		watcher.valid = 1;
		watcher.ready = 0;
	} else if (strncmp(line, "{\"event\":\"lost\"", 15) == 0 ||
	    *line != '{') {
		watcher.valid = watcher.ready = 0;
		fake_put(watcher.h, WATCH, sizeof WATCH - 1);
	} else if (strcmp(line, "{\"event\":\"ready\"}") == 0) {
		watcher.ready = watcher.valid;
	} else if (watcher.valid && sscanf(line, "{\"event\":\"channel_%9[a-z]"
	    "\",\"channel\":\"%u\"}", event, &n) == 2) {
		MUST(n < CHANNELS && watcher.occupied[n] == (*event == 'v'),
		    "\"%s\"", line);
		watcher.occupied[n] = *event == 'o';
	} else if (watcher.valid) {
		MUST(sscanf(line, "{\"event\":\"%31[a-z]\",\"device\":"
		    "\"%15[^\"]\",\"sessions\":%u", event, name, &n) == 3,
		    "an event \"%s\"", line);
		watch_session(line, event, name, n);
	}
}

/* Compares the hub with what the watcher knows. */
static void
check_known(void)
{
	char name[WS_NAME_MAX + 1];
	const struct ws_device *d;
	const struct known *k;
	struct ws_text t;
	uint32_t i;

	MUST(watcher.ndevices == l->hub.count, "%u devices are known, of %u",
	    watcher.ndevices, l->hub.count);
	for (i = 0; i < l->hub.count; i++) {
		d = l->hub.devices[i];
		t = ws_device_name(d);
		snprintf(name, sizeof name, "%.*s", (int)t.len, t.s);
		k = find_known(name);
		MUST(k < watcher.devices + watcher.ndevices && k->sessions ==
		    ws_device_count(d), "device %s is not known", name);
		MUST(k->sessions != 1 || k->away == -1 || k->away == (
		    ((const struct ws_client *)(const void *)((const char *)
		    ws_device_sessions(d) - offsetof(struct ws_client,
		    session)))->state == WS_CLIENT_AWAY), "device %s is known "
		    "to be away: %d", name, k->away);
	}
	for (i = 0; i < CHANNELS; i++) {
		t.s = name;
		t.len = (size_t)snprintf(name, sizeof name, "%u", (unsigned)i);
		MUST(watcher.occupied[i] == (ws_hub_find_channel(&l->hub,
		    t) != NULL), "channel %u", (unsigned)i);
	}
}

static void
read_watcher(void)
{
	int faulty = watcher.faults != fake_faults;
	const struct ws_output *out = ws_watch_output(&l->hub, 0);
	size_t n;
	char *end;

	watcher.faults = fake_faults;
	if (over || l->stop_at != 0)
		return;
	while (watcher.h >= 0 && (n = fake_take(watcher.h, watcher.got +
	    watcher.len, sizeof watcher.got - watcher.len)) != 0) {
		watcher.len += n;
		while ((end = memchr(watcher.got, '\n', watcher.len)) != NULL) {
			*end++ = '\0';
			watch_line(watcher.got);
			watcher.len -= (size_t)(end - watcher.got);
			memmove(watcher.got, end, watcher.len);
		}
	}
	if (watcher.h < 0 || fake_ended(watcher.h) != 0) {
		if (watcher.h >= 0)
			fake_leave(watcher.h);
		watcher.valid = watcher.ready = 0;
		watcher.len = 0;
		watcher.h = fake_connect(control);
		if (watcher.h >= 0)
			fake_put(watcher.h, WATCH, sizeof WATCH - 1);
	} else if (watcher.ready && !faulty && out != NULL && out->len == 0 &&
	    !out->failed) {
		check_known();
	}
}

/* Turns until everybody is heard: accept, read, answer. */
static void
step(void)
{
	int i;

	for (i = 0; i < 3 && !over; i++) {
		ws_poll_scan_next(&l->poll);
		over = ws_loop_step(l, 0) == 0;
		forgive();
		find_clients();
		learn();
	}
	check_all();
	read_watcher();
}

/* --------------------------------------------------------------- clients */

static void
leave(struct conn *k)
{
	if (k->s.h >= 0)
		fake_leave(k->s.h);
	memset(k, 0, offsetof(struct conn, s.got));
	k->s.h = -1;
}

/* Its first message says in what session it is. */
static void
greet(struct conn *k, const char *text)
{
	struct session *s = k->session;
	unsigned i, missed;
	char id[300], secret[40] = "";
	const char *p;

	k->greeted = 1;
	if (sscanf(text, "{\"action\":\"resumed\",\"data\":{\"device_id\":"
	    "\"%299[^\"]\",\"missed\":%u}}", id, &missed) == 2) {
		if (s == NULL) { /* it was away again in the same turn */
			MUST(k->wants != NULL, "resumed, unasked");
			k->session = k->wants;
			k->next = (unsigned)k->seen;
			return;
		}
		MUST(k->resumed, "resumed: \"%s\"", text);
		MUST(missed >= k->missed_min && missed <= k->missed_max,
		    "missed %u, not %u", missed, k->missed_min);
	} else {
		MUST(sscanf(text, "{\"action\":\"setDeviceId\",\"data\":{"
		    "\"device_id\":\"%299[^\"]\"", id) == 1, "a greeting "
		    "\"%s\"", text);
		MUST(!k->resumed, "not resumed: \"%s\"", text);
		p = strstr(text, "\"session\":\"");
		if (p != NULL)
			snprintf(secret, sizeof secret, "%.32s", p + 11);
		k->lost = strstr(text, "\"lost\":true") != NULL;
		MUST(k->lost == k->named_one, "\"%s\"", text);
		for (i = 0; s == NULL && i < nsessions; i++)
			if (secret[0] != '\0' && strcmp(secret,
			    sessions[i].secret) == 0)
				s = k->session = &sessions[i];
		if (s == NULL)
			return; /* it has ended since */
		MUST(strcmp(secret, s->secret) == 0, "secret %s, not %s",
		    secret, s->secret);
	}
	if (s->device >= NAMED)
		MUST(strcmp(id, s->id) == 0, "device %s, not %s", id, s->id);
	else
		MUST(id[3] == (char)('0' + s->device), "device %s", id);
}

/* A message came: the next of its session. */
static void
hear(struct conn *k, const unsigned char *p, size_t len)
{
	struct session *s = k->session;
	const struct message *m;
	char text[400];
	unsigned n = 0;

	snprintf(text, sizeof text, "%.*s", len < 390 ? (int)len : 390,
	    (const char *)p);
	if (!k->greeted) {
		greet(k, text);
		return;
	}
	if (s == NULL)
		return;
	MUST(k->next < s->count, "\"%s\" is one too many", text);
	m = &s->list[k->next++];
	if (m->number == 0)
		MUST(strcmp(text, "{\"action\":\"hb\"}") == 0, "\"%s\", not a "
		    "heartbeat", text);
	else
		MUST(sscanf(text, "[%u,", &n) == 1 && n == m->number &&
		    len == m->len, "message %u of %zu bytes, not %u of %zu", n,
		    len, m->number, m->len);
	if (s->conn == k)
		s->received = k->next;
}

static void
hear_ping(struct conn *k, const unsigned char *p, size_t len)
{
	memcpy(k->ping, p, len);
	k->ping[len] = '\0';
	if (k->session == NULL)
		return;
	if (k->session->secret[0] == '\0')
		MUST(len == 0, "a Ping \"%s\"", k->ping);
	else
		MUST(strtoul(k->ping, NULL, 10) == k->next, "a Ping \"%s\" "
		    "after %u messages", k->ping, k->next);
}

static void
hear_frame(void *arg, unsigned opcode, const unsigned char *p, size_t len)
{
	if (opcode == WS_PING)
		hear_ping(arg, p, len);
	else
		hear(arg, p, len);
}

static void
read_conn(struct conn *k, size_t most)
{
	stream_read(&k->s, most, hear_frame, k);
}

static void
frame(struct conn *k, unsigned first, const void *data, size_t len)
{
	unsigned char out[WS_FRAME_HEAD_MAX];
	static const unsigned char mask[4] = { 0, 0, 0, 0 };

	if (k->s.h < 0)
		return;
	fake_put(k->s.h, out, ws_frame_head(out, first, len, mask));
	fake_put(k->s.h, data, len);
}

/* Whether that connection is the one that its session has now. */
static int
is_current(const struct conn *k)
{
	return k->s.h >= 0 && k->session != NULL &&
	    k->session->client != NULL &&
	    k->session->client->state == WS_CLIENT_OPEN &&
	    k->session->client->conn.fd == FAKE_FD + k->s.h;
}

static void
pong(struct conn *k, const char *payload)
{
	struct session *s = k->session;
	int current = is_current(k) && !k->rude;
	unsigned long n = strtoul(payload, NULL, 10);

	if (s != NULL && n <= s->count && s->perhaps < n)
		s->perhaps = (unsigned)n;
	frame(k, WS_FIN | WS_PONG, payload, strlen(payload));
	step();
	/* It has received that many, so that they were sent. */
	if (current && s->client != NULL && s->secret[0] != '\0' &&
	    payload[0] != '\0' && n <= k->next && s->confirmed < n &&
	    fake_faults == 0) {
		MUST(s->client->resume->base >= n, "%lu are confirmed, not "
		    "%llu", n, (unsigned long long)s->client->resume->base);
		s->confirmed = (unsigned)n;
	}
}

static void
forge_pong(struct conn *k, unsigned how)
{
	char text[WS_CONTROL_MAX + 1];
	unsigned count = k->session == NULL ? 0 : k->session->count;

	memset(text, '1', sizeof text);
	text[WS_CONTROL_MAX] = '\0';
	switch (how % 8) {
	case 0: /* not that many have been sent, perhaps */
		snprintf(text, sizeof text, "%u", count);
		break;
	case 1:
		snprintf(text, sizeof text, "%u", count + 1 + how / 8);
		break;
	case 2:
		snprintf(text, sizeof text, "%u", k->next < how / 8 ? 0 :
		    k->next - how / 8);
		break;
	case 3:
		break;
	case 4:
		snprintf(text, sizeof text, "18446744073709551616");
		break;
	case 5:
		snprintf(text, sizeof text, "00");
		break;
	case 6:
		snprintf(text, sizeof text, "-1");
		break;
	case 7:
		snprintf(text, sizeof text, "%u", k->next);
		break;
	}
	pong(k, text);
}

/*
 * A request on a new connection: with or without a token (which & 3), that asks
 * for resume (NULL: nothing). Returns whether the token will do.
 */
static void
request(struct conn *k, unsigned which, const char *resume, const void *more,
    size_t more_len)
{
	static const long times[4] = { 3600, 40, 1, -1 };
	char head[WS_TOKEN_MAX + 600], token[WS_TOKEN_MAX + 1] = "";
	static const char *const names[NAMED] = { "dev0", "dev1" };
	static const char *const lists[NAMED] = { "0", "2" };
	struct ws_token t;
	unsigned name = which & 3;
	int n;

	if (l->tokens != NULL) {
		memset(&t, 0, sizeof t);
		t.exp = fake_now / 1000000000 + times[which >> 2 & 3];
		if (name < NAMED) {
			t.sub.s = names[name];
			t.sub.len = 4;
			t.nchannels = 1;
			t.channels[0].s = lists[name];
			t.channels[0].len = 1;
		}
		if (t.exp > 0 && name != 3)
			MUST(ws_token_make(token, &keys.key[0], &t) > 0,
			    "no token: %s", t.error);
	}
	n = snprintf(head, sizeof head, "GET /?token=%s%s%s HTTP/1.1\r\n"
	    "Host: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
	    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	    "Sec-WebSocket-Version: 13\r\n\r\n", token, resume == NULL ? "" :
	    "&resume=", resume == NULL ? "" : resume);
	if (k->s.h < 0)
		return;
	fake_put(k->s.h, head, (size_t)n);
	if (more_len != 0) {
		fake_put(k->s.h, more, more_len);
		k->rude = 1;
	}
}

static void
connect_conn(struct conn *k)
{
	leave(k);
	k->s.h = fake_connect(listener);
	MUST(k->s.h >= 0 || over || l->stop_at != 0, "no connection");
}

/*
 * Whether another asks for s with another number, or k with none. The two may
 * come in either order, and then s may end before one of them has come.
 */
static void
see_rivals(struct conn *k, struct session *s)
{
	struct conn *o;

	for (o = conns; o < conns + CONNS; o++)
		if (o != k && o->s.h >= 0 && o->session == NULL &&
		    o->wants == s && (k->wants == NULL || o->seen != k->seen)) {
			o->must = k->must = 0;
			o->has_rival = k->has_rival = 1;
			s->may_end = 1;
		}
}

/* Comes back to session s, and says in some way how many it has seen. */
static void
come_back(struct conn *k, struct session *s, unsigned how, unsigned which,
    const void *more, size_t more_len)
{
	char name[200];

	connect_conn(k);
	if (how % 8 == 7 && k->s.h >= 0)
		fake_window(k->s.h, how / 8 * 24);
	if (s == NULL || s->secret[0] == '\0') {
		k->named_one = 1;
		request(k, which, "deadbeefdeadbeefdeadbeefdeadbeef.0", more,
		    more_len);
		return;
	}
	k->wants = s;
	k->named_one = 1;
	k->seen = s->received;
	if (how % 8 == 1)
		k->seen -= k->seen < 1 + how / 8 ? k->seen : 1 + how / 8;
	else if (how % 8 == 2)
		k->seen = s->count;
	else if (how % 8 == 3)
		k->seen = s->count + 1 + how / 8;
	else if (how % 8 == 4)
		k->seen = UINT64_MAX - how / 8;
	snprintf(name, sizeof name, "%s.%llu", s->secret,
	    (unsigned long long)k->seen);
	if (how % 8 == 5) { /* a secret that is right, and no number */
		static const char *const ends[8] = { "-1", "", "1x", "00",
		    "123456789012345678901234567890", "1.1", "%30",
		    "18446744073709551616" };

		snprintf(name, sizeof name, "%s.%s", s->secret,
		    ends[how / 8 % 8]);
		k->wants = NULL;
		s->may_end = 1;
		see_rivals(k, s);
	} else if (how % 8 == 6) {
		name[how / 8] = name[how / 8] == 'a' ? 'b' : 'a';
		k->wants = NULL;
	}
	if (k->wants != NULL) {
		k->may = l->tokens == NULL || ((which & 3) != 3 &&
		    (which >> 2 & 3) != 3 && (which & 3) ==
		    (s->device < NAMED ? s->device : 2));
		if (k->may && (k->seen < s->perhaps ||
		    k->seen > s->received))
			s->may_end = 1;
		if (s->away_since != 0 && now_ms() - s->away_since >=
		    RESUME * 1000 - 10)
			s->may_end = 1;
		k->must = k->may && !s->may_end && k->s.h >= 0 &&
		    more_len == 0;
		see_rivals(k, s);
	}
	request(k, which, name, more, more_len);
}

static void
close_conn(struct conn *k, unsigned how)
{
	static const unsigned codes[8] = { 1000, 1001, 1002, 1005, 3000, 4000,
	    4999, 1011 };
	unsigned char out[2 + WS_CONTROL_MAX];
	unsigned code = codes[how % 8];
	struct session *s = k->session;
	int current = is_current(k) && !k->rude;
	size_t n = ws_close_frame(out, code, NULL);

	if (code <= 1001 && s != NULL)
		s->may_end = 1;
	if (code <= 1001)
		k->rude = 1;
	frame(k, WS_FIN | WS_CLOSE, out + 2, n - 2);
	step();
	if (current && code <= 1001)
		MUST(s->client == NULL, "Close %u does not end a session",
		    code);
	else if (current && s->secret[0] == '\0')
		MUST(s->client == NULL, "Close %u, and it goes on", code);
	else if (current && s->client != NULL)
		MUST(s->client->state == WS_CLIENT_AWAY, "Close %u, and not "
		    "away", code);
	k->rude = 1; /* whatever comes now */
}

/* --------------------------------------------------------------- backend */

static void
ask(unsigned kind, unsigned who, unsigned where, unsigned size)
{
	static char pad[1100];
	char text[1400], reply[256], id[WS_NAME_MAX + 1] = "nobodynobodynob";
	struct session *s = NULL;
	unsigned i, n = 0, got, device, count = nsessions;
	unsigned long before = fake_faults;
	size_t len;

	if (over)
		return;
	if (backend >= 0 && fake_ended(backend) != 0) {
		fake_leave(backend);
		backend = -1;
	}
	if (backend < 0) {
		backend = fake_connect(control);
		step();
	}
	memset(pad, 'x', sizeof pad - 1);
	where %= CHANNELS;
	number++;
	if (nsessions != 0)
		s = &sessions[nsessions - 1 - who % nsessions];
	device = s != NULL && s->client != NULL ? s->device : NAMED + SESSIONS;
	if (device < NAMED)
		snprintf(id, sizeof id, "dev%u", device);
	else if (device < NAMED + SESSIONS)
		memcpy(id, s->id, sizeof s->id);
	for (i = 0; i < nsessions; i++) {
		s = &sessions[i];
		s->expected = s->client != NULL && (kind == 0 ||
		    (kind == 1 && (channels[s->device] >> where & 1) != 0) ||
		    (kind == 2 && s->device == device));
		n += s->expected != 0;
		if (kind == 5 && s->device == device)
			s->may_end = 1;
	}
	for (i = 0; i < CONNS; i++)
		conns[i].must &= kind != 5;
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
		    kind == 4 ? "unsubscribe" : "kick", id, where);
		break;
	}
	fake_put(backend, text, strlen(text));
	step();
	len = fake_take(backend, reply, sizeof reply - 1);
	reply[len] = '\0';
	if (fake_faults != before) {
		/* What of it was done is not known: nobody's channels are. */
		if (kind > 2 && strncmp(reply, "OK", 2) != 0)
			return;
	}
	if (kind == 5) {
		for (i = 0; i < count && !over && l->stop_at == 0; i++)
			MUST(sessions[i].client == NULL || device == NAMED +
			    SESSIONS || sessions[i].device != device,
			    "session %u is kicked, and goes on: %s", i, reply);
		return;
	}
	if (kind > 2) {
		if (strncmp(reply, "OK ", 3) == 0 && kind == 3)
			channels[device] |= (unsigned char)(1u << where);
		else if (strncmp(reply, "OK ", 3) == 0)
			channels[device] &= (unsigned char)~(1u << where);
		MUST(strncmp(reply, "OK ", 3) == 0 ||
		    device == NAMED + SESSIONS || over, "%s is answered by "
		    "%s", text, reply);
		return;
	}
	if (over || l->stop_at != 0 || fake_faults != 0)
		return;
	/* One that went in the turn in which it came may have subscribed. */
	MUST(l->counters[WS_RESUMED] >= resumes &&
	    l->counters[WS_OPENED] >= nsessions, "more than are counted");
	if (kind == 1 && l->tokens != NULL && l->counters[WS_RESUMED] +
	    l->counters[WS_OPENED] != resumes + nsessions)
		return;
	for (i = 0; i < nsessions; i++)
		MUST((sessions[i].got == number) == sessions[i].expected,
		    "session %u and message %u, kind %u", i, number, kind);
	MUST(sscanf(reply, "OK %u\n", &got) == 1 && got <= n, "%s is answered "
	    "by %s, not %u", text, reply, n);
}

/* The same to all, by function call. */
static void
publish(unsigned size)
{
	char text[1400];
	struct ws_text value = { text, 0 };
	struct ws_frame *f;
	static char pad[1300];

	memset(pad, 'y', sizeof pad - 1);
	value.len = (size_t)snprintf(text, sizeof text, "[%u,\"%.*s\"]",
	    ++number, (int)size, pad);
	f = ws_frame_json(value);
	forgive();
	if (f != NULL)
		ws_hub_multicast(ws_loop_hub(l), f, NULL);
	ws_frame_release(f);
}

/* ----------------------------------------------------------------- a life */

static void
pass(unsigned which)
{
	static const int times[8] = { 1, 100, 1000, 5000, 11000, 26000, 29800,
	    60000 };

	fake_now += (int64_t)times[which & 7] * 1000000;
}

static void
let_memory_run_out(unsigned at)
{
	fake_fault.call = FAKE_ALLOC;
	fake_fault.at = fake_calls[FAKE_ALLOC] + 1 + at % 16;
	fake_fault.many = 1 + at / 16 % 3;
	fake_fault.error = ENOMEM;
}

static void
stop(void)
{
	unsigned i;

	for (i = 0; i < nsessions; i++)
		sessions[i].may_end = 1;
	for (i = 0; i < CONNS; i++) {
		conns[i].must = 0;
		conns[i].rude = 1;
	}
	ws_loop_stop(l);
}

static struct session *
pick(unsigned n)
{
	return nsessions == 0 ? NULL : &sessions[nsessions - 1 -
	    n % nsessions];
}

/* What has no letter of its own. */
static void
something_else(struct conn *k, unsigned what, unsigned n)
{
	struct conn *other = &conns[(k - conns + 1) % CONNS];
	unsigned i;

	switch (what) {
	case 0:
		let_memory_run_out(n);
		break;
	case 1:
		fake_fault.many = 0;
		break;
	case 2: /* two come back at once */
		come_back(k, pick(n), 0, 0, NULL, 0);
		come_back(other, pick(n), n / 32, 0, NULL, 0);
		break;
	case 3: /* more than is let wait, if that is not read */
		for (i = 0; i <= n / 16; i++)
			publish(n * 5);
		break;
	case 4: /* more than are let wait */
		for (i = 0; i < n % 64; i++)
			frame(k, WS_FIN | WS_PING, "0123456789", 10);
		if (k->session != NULL)
			k->session->may_end = 1;
		break;
	case 5: /* comes back while what it gets is on the way */
		publish(n);
		come_back(k, pick(n), 0, n / 16, NULL, 0);
		break;
	case 6: /* half a frame, that the next byte may go on with */
		if (k->s.h >= 0)
			fake_put(k->s.h, "\x8a", 1);
		k->rude = 1;
		if (k->session != NULL)
			k->session->may_end = 1;
		break;
	case 7:
		if (n > 240 && !over)
			stop();
		else
			ask(5, n, 0, 0);
		break;
	}
}

static void
one_step(const uint8_t *data, size_t len, size_t *at)
{
	unsigned op = data[*at] & 15, who = data[*at] >> 4, code;
	struct conn *k = &conns[who % CONNS];
	unsigned n = *at + 1 < len ? data[*at + 1] : 0;
	unsigned m = *at + 2 < len ? data[*at + 2] : 0;
	unsigned char close_frame[8] = { 0x88, 0x82, 0, 0, 0, 0 };
	size_t more;

	(*at)++;
	if (op != 9 && op != 15)
		(*at)++;
	switch (op) {
	case 0: /* bit 4: resumable; bit 5: with a Close behind it */
		connect_conn(k);
		if (n == 255) /* it says nothing */
			break;
		code = n & 64 ? 4000 : 1000;
		close_frame[6] = (unsigned char)(code >> 8);
		close_frame[7] = (unsigned char)(code & 255);
		request(k, n, n & 16 ? "" : NULL, close_frame, n & 32 ? 8 : 0);
		break;
	case 1:
		(*at)++;
		code = 4000;
		close_frame[6] = (unsigned char)(code >> 8);
		close_frame[7] = (unsigned char)(code & 255);
		come_back(k, pick(n), m, l->tokens == NULL ? 0 : n / 16,
		    close_frame, m == 128 ? 8 : 0);
		break;
	case 2:
		read_conn(k, n * 16);
		break;
	case 3:
		read_conn(k, SIZE_MAX);
		if (k->s.open)
			pong(k, k->ping);
		break;
	case 4:
		if (k->s.open)
			forge_pong(k, n);
		break;
	case 5:
		if (k->s.h >= 0 && n < 64)
			fake_end(k->s.h);
		else if (k->s.h >= 0 && n < 128)
			fake_reset(k->s.h);
		else
			leave(k);
		break;
	case 6:
		if (k->s.h >= 0)
			fake_window(k->s.h, n < 128 ? n : (n - 127) * 32);
		break;
	case 7:
		if (k->s.open)
			close_conn(k, n);
		break;
	case 8: /* bytes of the input, as they are */
		more = n & 15;
		if (more > len - *at)
			more = *at < len ? len - *at : 0;
		if (k->s.h >= 0 && more != 0)
			fake_put(k->s.h, data + *at, more);
		*at += more;
		k->rude = 1;
		k->must = 0;
		if (k->session != NULL)
			k->session->may_end = 1;
		break;
	case 9:
		pass(who);
		break;
	case 10:
		ask(3 + (n >> 7), who, n, 0);
		break;
	case 11:
		ask(0, 0, 0, who > 12 ? n * 4 : n);
		break;
	case 12:
		ask(1, 0, who, n);
		break;
	case 13:
		ask(2, who, 0, n > 200 ? 1000 : n);
		break;
	case 14:
		(*at)++;
		something_else(k, n & 7, m);
		break;
	case 15: /* everybody reads everything */
		for (k = conns; k < conns + CONNS; k++)
			read_conn(k, SIZE_MAX);
		break;
	}
	step();
}

/* All that can still come back does, and everybody reads to the end. */
static void
finish(void)
{
	struct session *s;
	struct conn *k;
	unsigned i, turn, seen = nsessions;

	for (k = conns; k < conns + CONNS; k++)
		if (k->s.h >= 0)
			fake_window(k->s.h, 1 << 20);
	step();
	for (k = conns; k < conns + CONNS; k++) {
		read_conn(k, SIZE_MAX);
		MUST(!is_current(k) || k->next == k->session->count ||
		    l->stop_at != 0, "%u of %u messages have come", k->next,
		    k->session->count);
	}
	k = &conns[0];
	for (i = 0, turn = 0; i < seen && !over && l->stop_at == 0 &&
	    turn < 16; i++) {
		s = &sessions[i];
		if (s->client == NULL || s->secret[0] == '\0')
			continue;
		turn++;
		come_back(k, s, 0, s->device < NAMED ? s->device : 2, NULL, 0);
		step();
		read_conn(k, SIZE_MAX);
		step();
		read_conn(k, SIZE_MAX);
		MUST(!k->must || (k->session == s && k->next == s->count),
		    "%u of %u messages have come in the end", k->next,
		    s->count);
	}
}

int
fuzz_session(const uint8_t *data, size_t len)
{
	static const size_t keeps[4] = { 2200, 600, 6000, 65536 };
	static const char secret[] = "0123456789abcdef0123456789abcdef";
	struct ws_options o = {
		.heartbeat = 60, .ping = 25, .drain = 5, .queue = QUEUE,
		.resume = RESUME
	};
	unsigned first = len > 0 ? data[0] : 0, i;
	size_t at;

	if (len > 700)
		return 0;
	fake_begin();
	number = nsessions = 0;
	faults = 0;
	over = 0;
	resumes = 0;
	memset(channels, 0, sizeof channels);
	for (i = 0; i < CONNS; i++) {
		conns[i].s.h = -1;
		leave(&conns[i]);
	}
	o.keep = keeps[first & 3];
	if ((first & 4) != 0)
		o.max_clients = 3;
	if ((first & 8) != 0)
		o.max_per_ip = 4;
	if ((first & 16) != 0)
		o.queue_total = QUEUE * 3 / 4;
	if ((first & 64) != 0)
		o.ping = 0;
	if ((first & 128) != 0)
		o.heartbeat = 5;
	l = ws_loop_new(&o);
	MUST(l != NULL, "no loop");
	l->hub.owner = &owner;
	keys.n = 1;
	ws_token_key(&keys.key[0], secret, sizeof secret - 1);
	if ((first & 32) != 0)
		MUST(ws_loop_set_tokens(l, &keys) == 0, "no tokens");
	listener = fake_listen();
	control = fake_listen();
	MUST(ws_loop_listen(l, listener, 0) == 0 &&
	    ws_loop_control(l, control) == 0, "no listeners");
	backend = fake_connect(control);
	watcher.h = -1;
	watcher.faults = 0;
	step();
	for (at = 1; at < len && !over; )
		one_step(data, len, &at);
	fake_fault.many = 0;
	if (!over)
		finish();
	if (l->stop_at == 0)
		stop();
	for (i = 0; i < 200 && ws_loop_step(l, 100); i++)
		;
	MUST(i < 200, "does not end");
	ws_loop_free(l);
	l = NULL;
	MUST(fake_open() == 0, "%u descriptors are open", fake_open());
	MUST(fake_live == 0, "%ld blocks not given back", fake_live);
	for (i = 0; i < CONNS; i++)
		leave(&conns[i]);
	if (backend >= 0)
		fake_leave(backend);
	if (watcher.h >= 0)
		fake_leave(watcher.h);
	return 0;
}
