/* wshub: ISC licence, see LICENSE. */
/*
 * A session with the broker: MQTT 3.1.1, the client's side.
 *
 * What comes from the broker is taken from b->in, packet by packet. If a
 * message cannot be taken now, because the hub is behind, the rest stays there,
 * and nothing more is read: then the broker keeps it.
 *
 * Commands of backends are in b->flight from PUBLISH to PUBACK. Their packet
 * identifiers are 1 to IDS, in turn, so the place of an identifier in the ring
 * is known; those of SUBSCRIBE and UNSUBSCRIBE are above.
 */
#define _GNU_SOURCE /* MSG_DONTWAIT */
#include <sys/types.h>
#include <sys/socket.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "relay.h"

#define IDS 32767          /* the largest packet identifier of a PUBLISH */
#define KEEP_ALIVE 60      /* seconds, in CONNECT */
#define CONNECT_MAX 1024   /* bytes: three strings of 255, and 26 more */
#define PING_AFTER 20000   /* ms without sending */
#define SILENT_AFTER 15000 /* ms without an answer */
#define UNACKED_AFTER 60000 /* ms without an acknowledgement, whatever comes */
#define OUT_MAX WS_TEXT_MAX /* bytes: then backends wait */
#define IN_SMALL 65536     /* bytes of the usual buffer */
#define IN_MAX (WS_MQTT_HEAD_MAX + 2 + WS_MQTT_TEXT_MAX + 2 + WS_TEXT_MAX)

static int
fail(struct ws_broker *b, const char *error)
{
	b->error = error;
	return -1;
}

/* ------------------------------------------------------------ what we send */

static unsigned
new_pending(struct ws_broker *b)
{
	b->next_pending = (uint16_t)(b->next_pending <= IDS ||
	    b->next_pending == 65535 ? IDS + 1 : b->next_pending + 1);
	b->pending++;
	return b->next_pending;
}

/* Writes a SUBSCRIBE or UNSUBSCRIBE. Returns its packet identifier. */
static unsigned
send_filters(struct ws_broker *b, unsigned type, const unsigned char *filters,
    size_t len)
{
	unsigned char head[WS_MQTT_FILTERS_ROOM];
	unsigned id = new_pending(b);
	size_t n = ws_mqtt_filters(head, type, id, len);

	ws_output_add(&b->out, (char *)head, n);
	ws_output_add(&b->out, (const char *)filters, len);
	return id;
}

/* What we always subscribe to. With --interest, only the first two. */
static const char *const base[] = { "all", "order", "channel/+", "device/+" };

static size_t
base_filters(const struct ws_broker *b, unsigned type, size_t from, size_t to,
    unsigned char *out)
{
	char filter[WS_PREFIX_MAX + 16];
	struct ws_text text = { filter, 0 };
	size_t len = 0;

	for (; from < to; from++) {
		text.len = (size_t)snprintf(filter, sizeof filter, "%s/%s",
		    b->r->prefix, base[from]);
		len += ws_mqtt_filter(out + len, type, text);
	}
	return len;
}

static void
subscribe(struct ws_broker *b, int session_present)
{
	unsigned char out[4 * (WS_PREFIX_MAX + 16)];
	size_t n = b->r->interest ? 2 : 4;

	b->base_id = (uint16_t)send_filters(b, WS_MQTT_SUBSCRIBE, out,
	    base_filters(b, WS_MQTT_SUBSCRIBE, 0, n, out));
	/* The session may be of a relay that had no --interest. */
	if (b->r->interest && session_present)
		(void)send_filters(b, WS_MQTT_UNSUBSCRIBE, out,
		    base_filters(b, WS_MQTT_UNSUBSCRIBE, 2, 4, out));
}

/* see relay.h */
void
ws_broker_begin(struct ws_broker *b, int64_t now)
{
	unsigned char out[CONNECT_MAX];
	struct ws_mqtt_connect c;

	memset(&c, 0, sizeof c);
	c.client_id.s = b->r->id;
	c.client_id.len = strlen(b->r->id);
	c.keep_alive = KEEP_ALIVE;
	if (*b->r->user != '\0') {
		c.user.s = b->r->user;
		c.user.len = strlen(b->r->user);
		c.password.s = b->r->password;
		c.password.len = strlen(b->r->password);
	}
	b->session++;
	b->heard = b->spoke = now;
	ws_output_add(&b->out, (char *)out, ws_mqtt_connect(out, &c));
}

/* see relay.h */
void
ws_broker_answer(struct ws_broker *b, unsigned id, unsigned session)
{
	unsigned char ack[4];

	/* If the connection is another one, the broker sends it again. */
	if (id != 0 && b->ready && session == b->session)
		ws_output_add(&b->out, (char *)ack, ws_mqtt_puback(ack, id));
}

/* see relay.h */
int
ws_broker_takes(const struct ws_broker *b)
{
	return b->out.len < OUT_MAX &&
	    b->count + WS_LOCAL_FLIGHT <= WS_BROKER_FLIGHT;
}

/* see relay.h */
int
ws_broker_publish(struct ws_broker *b, struct ws_local *l, struct ws_text topic,
    struct ws_text payload)
{
	unsigned char head[WS_MQTT_PUBLISH_ROOM(WS_PREFIX_MAX + 1 +
	    WS_TOPIC_MAX)];
	char text[WS_PREFIX_MAX + 1 + WS_TOPIC_MAX];
	struct ws_broker_flight *f;
	struct ws_text whole;
	size_t n;

	if (!b->ready)
		return fail(b, "no broker");
	if (b->count == WS_BROKER_FLIGHT)
		return fail(b, "too many commands at once");
	n = strlen(b->r->prefix);
	memcpy(text, b->r->prefix, n);
	text[n++] = '/';
	memcpy(text + n, topic.s, topic.len);
	whole.s = text;
	whole.len = n + topic.len;
	b->next_id = (uint16_t)(b->next_id == IDS ? 1 : b->next_id + 1);
	n = ws_mqtt_publish(head, whole, payload.len, b->next_id, 0);
	ws_output_add(&b->out, (char *)head, n);
	ws_output_add(&b->out, payload.s, payload.len);
	f = &b->flight[(b->first + b->count++) % WS_BROKER_FLIGHT];
	f->local = l;
	f->id = b->next_id;
	f->done = 0;
	return 0; /* if out has failed, the connection is closed */
}

/* see relay.h */
void
ws_broker_leave(struct ws_broker *b, const struct ws_local *l)
{
	struct ws_broker_flight *f;
	unsigned i;

	for (i = 0; i < b->count; i++) {
		f = &b->flight[(b->first + i) % WS_BROKER_FLIGHT];
		if (f->local == l)
			f->local = NULL;
	}
}

/* see relay.h */
void
ws_broker_follow(struct ws_broker *b, struct ws_interest *i)
{
	unsigned char filters[WS_INTEREST_BATCH];
	unsigned type, n;
	size_t len;

	while (b->ready && b->pending < WS_BROKER_PENDING &&
	    b->out.len < OUT_MAX) {
		len = ws_interest_filters(i, b->r->prefix, filters, &type, &n);
		if (n == 0)
			return;
		(void)send_filters(b, type, filters, len);
	}
}

/* ------------------------------------------------------- what we are sent */

static int
take_connack(struct ws_broker *b, const struct ws_mqtt_packet *p)
{
	if (b->ready)
		return fail(b, "a second CONNACK");
	if (p->code != 0) {
		snprintf(b->refused, sizeof b->refused, "it refuses us: %s",
		    ws_mqtt_refusal(p->code));
		return fail(b, b->refused);
	}
	b->ready = 1;
	subscribe(b, p->session_present != 0);
	return 0;
}

/* Takes the acknowledgement of a command. Answers go out in order. */
static void
take_puback(struct ws_broker *b, unsigned id)
{
	struct ws_broker_flight *f = &b->flight[b->first];
	unsigned i = (id + IDS - f->id) % IDS;

	if (b->count == 0 || id > IDS || i >= b->count) {
		b->strange++;
		ws_log(WS_LOG_INFO, "the broker acknowledges %u, which was not "
		    "sent", id);
		return;
	}
	b->flight[(b->first + i) % WS_BROKER_FLIGHT].done = 1;
	for (; b->count != 0 && (f = &b->flight[b->first])->done; b->count--) {
		b->first = (b->first + 1) % WS_BROKER_FLIGHT;
		if (f->local != NULL)
			b->acknowledged(b, f->local, NULL);
	}
}

static void
take_suback(struct ws_broker *b, const struct ws_mqtt_packet *p)
{
	size_t i, bad = 0;

	if (b->pending > 0)
		b->pending--;
	for (i = 0; i < p->ncodes; i++) {
		if (p->codes[i] != 0x80)
			continue;
		bad++;
		if (p->id == b->base_id && i < sizeof base / sizeof *base)
			ws_log(WS_LOG_ERROR, "the broker refuses the "
			    "subscription to %s/%s", b->r->prefix, base[i]);
	}
	if (bad != 0 && p->id != b->base_id)
		ws_log(WS_LOG_ERROR, "the broker refuses %lu subscriptions to "
		    "channels and devices", (unsigned long)bad);
}

/* Takes a packet: 0, -1 with b->error, or 1: not now. */
static int
take_packet(struct ws_broker *b, const struct ws_mqtt_packet *p)
{
	if (p->type == WS_MQTT_CONNACK)
		return take_connack(b, p);
	if (!b->ready)
		return fail(b, "it does not begin with CONNACK");
	switch (p->type) {
	case WS_MQTT_PUBLISH:
		if (b->message(b, p) != 0)
			return 1;
		b->repeated += p->dup != 0;
		break;
	case WS_MQTT_PUBACK:
		b->acked = b->heard;
		take_puback(b, p->id);
		break;
	case WS_MQTT_SUBACK:
		b->acked = b->heard;
		take_suback(b, p);
		break;
	case WS_MQTT_UNSUBACK:
		b->acked = b->heard;
		if (b->pending > 0)
			b->pending--;
		break;
	case WS_MQTT_PINGRESP:
		b->pinged = 0;
		break;
	}
	return 0;
}

/* Processes what is in b->in: 0, or -1 with b->error. */
static int
take_packets(struct ws_broker *b)
{
	struct ws_mqtt_packet p;
	size_t at = 0, n;
	ssize_t used = 0;
	int taken = 0;

	b->paused = 0;
	while (taken == 0 && at < b->in_len) {
		if (b->skip != 0) {
			n = b->in_len - at;
			if (n > b->skip)
				n = b->skip;
			b->skip -= n;
			at += n;
			continue;
		}
		used = ws_mqtt_packet(&p, b->in + at, b->in_len - at,
		    WS_TEXT_MAX);
		if (used == WS_BAD)
			return fail(b, p.error);
		if (used == WS_MORE)
			break;
		taken = take_packet(b, &p);
		if (taken == 0) {
			at += (size_t)used;
			b->skip = p.type == WS_MQTT_PUBLISH ? p.skip : 0;
		}
	}
	b->in_len -= at;
	if (at != 0 && b->in_len != 0)
		memmove(b->in, b->in + at, b->in_len);
	b->paused = taken == 1;
	return taken == -1 ? -1 : 0;
}

/* Makes room for more input: 0, or -1: no memory. */
static int
grow_input(struct ws_broker *b)
{
	size_t room = b->in_room == 0 ? IN_SMALL : b->in_room * 2;
	unsigned char *in;

	if (room > IN_MAX)
		room = IN_MAX;
	in = realloc(b->in, room);
	if (in == NULL)
		return fail(b, "no memory for its packet");
	b->in = in;
	b->in_room = room;
	return 0;
}

/* see relay.h */
int
ws_broker_read(struct ws_broker *b, int fd, int64_t now)
{
	ssize_t n;

	if (b->in_len == b->in_room && grow_input(b) != 0)
		return -1;
	n = recv(fd, b->in + b->in_len, b->in_room - b->in_len, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK ||
	    errno == EINTR))
		return 0;
	if (n < 0)
		return fail(b, strerror(errno));
	if (n == 0)
		return fail(b, b->ready ? "it has closed the connection" :
		    "it has closed the connection instead of accepting it");
	b->heard = now;
	b->in_len += (size_t)n;
	if (take_packets(b) != 0)
		return -1;
	if (b->in_len == 0 && b->in_room > IN_SMALL) {
		free(b->in);
		b->in = NULL;
		b->in_room = 0;
	}
	return 0;
}

/* see relay.h */
int
ws_broker_resume(struct ws_broker *b)
{
	return b->paused ? take_packets(b) : 0;
}

/* ------------------------------------------------------------------- time */

/* see relay.h */
int
ws_broker_check(struct ws_broker *b, int64_t now, int64_t *next)
{
	int waits = !b->ready || b->pinged || b->pending != 0 || b->count != 0;
	unsigned char ping[2];
	int64_t at;

	if (b->paused) { /* it is we who do not listen */
		b->heard = b->acked = now;
		b->pinged = 0;
	}
	if (b->pending == 0 && b->count == 0)
		b->acked = 0;
	else if (b->acked == 0)
		b->acked = now;
	/* An answer is waited for since the later of question and last byte. */
	if (!waits)
		b->asked = 0;
	else if (b->asked == 0)
		b->asked = now;
	if (waits) {
		at = (b->asked > b->heard ? b->asked : b->heard) + SILENT_AFTER;
		if (b->acked != 0 && at > b->acked + UNACKED_AFTER)
			at = b->acked + UNACKED_AFTER;
		if (now >= at)
			return fail(b, "it does not answer");
		if (at < *next)
			*next = at;
	}
	if (!b->ready || b->pinged)
		return 0;
	if (now >= b->spoke + PING_AFTER) {
		ws_output_add(&b->out, (char *)ping,
		    ws_mqtt_empty(ping, WS_MQTT_PINGREQ));
		b->pinged = 1;
		b->asked = now;
		at = now + SILENT_AFTER;
	} else {
		at = b->spoke + PING_AFTER;
	}
	if (at < *next)
		*next = at;
	return 0;
}

/* see relay.h */
void
ws_broker_end(struct ws_broker *b, const char *error)
{
	struct ws_broker_flight *f;

	b->ready = b->paused = b->pinged = b->pending = 0;
	b->in_len = b->skip = 0;
	b->asked = b->acked = 0;
	ws_output_free(&b->out);
	b->out.failed = 0;
	while (b->count > 0) {
		f = &b->flight[b->first];
		b->first = (b->first + 1) % WS_BROKER_FLIGHT;
		b->count--;
		if (f->local != NULL)
			b->acknowledged(b, f->local, error);
	}
}

/* see relay.h */
void
ws_broker_free(struct ws_broker *b)
{
	ws_output_free(&b->out);
	free(b->in);
}
