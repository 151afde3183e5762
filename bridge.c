/* wshub: ISC licence, see LICENSE. */
/*
 * The relay's loop: between the hub, the broker and the relay's backends.
 *
 *   broker -> broker.c -> topic.c -> deliver.c -> hub
 *   backend -> local.c -> topic.c -> broker.c -> broker
 *   hub's events -> interest.c -> broker.c -> broker
 *
 * Nothing is read for which there is no room: a message from the broker waits
 * in the broker while the hub has not answered enough others, and a backend's
 * command in its socket while the broker has not acknowledged enough others.
 *
 * A turn handles what is ready, and then flushes what that has caused.
 */
#define _GNU_SOURCE /* MSG_DONTWAIT, MSG_NOSIGNAL */
#include <sys/types.h>
#include <sys/socket.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "relay.h"

#define RETRY_BROKER 30000 /* ms, the most */
#define RETRY_HUB 2000
#define SHORT_MAX 3        /* short connections before we ask about the id */
#define STOP_TIME 5000     /* ms for what is in flight, at the end */
#define MEMORY_PAUSE 100   /* ms until memory is asked for again */
#define IDLE_TIME 10000    /* ms; then a new backend may replace one */
#define UNREAD_MAX (4 * WS_TEXT_MAX) /* bytes for a broker that does not read */
#define ACCEPT_PAUSE 1000  /* ms without a new backend: no descriptor is free */
#define LOG_EACH 1000      /* ms between two lines about dropped messages */
#define EVENT_MAX 8192     /* bytes of an event's line */

enum kind { CONNECTOR, LISTENER, HUB, WATCH, BROKER, BACKEND };

/* A backend of the relay. */
struct backend {
	struct ws_conn conn;
	struct ws_local local;
	struct bridge *bridge;
	struct backend *next;
	int64_t served_at; /* ms */
	unsigned char eof;
	unsigned char write_failed; /* it does not receive replies any more */
};

enum counter {
	RECEIVED, DELIVERED, REJECTED, RETAINED, DROPPED, PUBLISHED,
	ACKNOWLEDGED, FAILED, COMMANDS, COMMAND_ERRORS, BROKER_CONNECTIONS,
	HUB_CONNECTIONS, COUNTERS
};

static const char *const counter_names[COUNTERS] = {
	"messages from the broker", "delivered to the hub",
	"refused by the hub", "retained messages dropped",
	"other messages dropped", "commands published",
	"acknowledged by the broker", "not acknowledged",
	"commands from backends", "of these with errors",
	"connections to the broker", "connections to the hub"
};

struct bridge {
	struct ws_relay *r;
	struct ws_poll poll;
	struct ws_conn connector, listener;
	struct ws_link hub, watch, broker_link;
	struct ws_broker broker;
	struct ws_deliver deliver;
	struct ws_interest interest;
	struct backend *backends;
	unsigned nbackends;
	struct ws_connected message; /* of the connector */
	size_t message_len;
	int message_fd;
	char line[EVENT_MAX]; /* of an event, not complete */
	size_t line_len;
	struct ws_output asks; /* what is to be sent to the watched hub */
	int64_t now;          /* ms */
	int64_t next;         /* ms: when the next thing is due */
	int64_t stop_at;      /* 0: not stopping */
	int64_t accept_after; /* ms: when backends are accepted again */
	int64_t logged_at;    /* ms: the last line about a dropped message */
	unsigned not_logged;
	int ended, status;
	uint32_t seed;        /* of the jitter */
	uint64_t counters[COUNTERS];
	char input[WS_READ_MAX];
};

static struct bridge *
of_broker(struct ws_broker *b)
{
	return b->arg;
}

/* ------------------------------------------------------------------- links */

static void
log_failure(struct bridge *b, const struct ws_link *l, const char *why,
    int delay)
{
	/* The hub is tried more often than anybody would want to read. */
	int level = l == &b->broker_link || l->failures == 1 ? WS_LOG_NOTE :
	    WS_LOG_DEBUG;

	if (b->stop_at != 0)
		return;
	ws_log(level, "%s: %s; trying again in %d.%d s", l->name, why,
	    delay / 1000, delay / 100 % 10);
	if (l == &b->broker_link && l->shorts >= SHORT_MAX)
		ws_log(WS_LOG_ERROR, "the broker has closed %u connections soon "
		    "after it had accepted them: is there another client with "
		    "the id \"%s\"?", l->shorts, b->r->id);
}

static void
be_back_at(struct bridge *b, int64_t at)
{
	if (at < b->next)
		b->next = at;
}

/* Closes a link, or what was to be one, and plans the next attempt. */
static void
lose(struct bridge *b, struct ws_link *l, const char *why)
{
	int established = l->state == WS_LINK_UP &&
	    (l != &b->broker_link || b->broker.ready);
	int delay = ws_link_lose(l, &b->poll, established, b->now, &b->seed);

	be_back_at(b, l->at);
	log_failure(b, l, why, delay);
	if (l == &b->broker_link)
		ws_broker_end(&b->broker, "the broker is lost: it may have "
		    "been relayed, or not");
	b->line_len = l == &b->watch ? 0 : b->line_len;
}

static void
watch_hub(struct bridge *b, int first)
{
	ws_output_add(&b->asks, ws_interest_watch, strlen(ws_interest_watch));
	ws_interest_begin(&b->interest, first);
}

/* The connection is established. */
static void
establish(struct bridge *b, struct ws_link *l)
{
	if (l == &b->broker_link) {
		ws_broker_begin(&b->broker, b->now);
		if (b->r->interest)
			ws_interest_forget(&b->interest);
		return;
	}
	if (l == &b->hub) {
		b->counters[HUB_CONNECTIONS]++;
		ws_log(WS_LOG_NOTE, "connected to the hub at %s", b->r->hub);
		ws_deliver_again(&b->deliver);
	} else {
		ws_output_free(&b->asks);
		watch_hub(b, 1);
	}
	ws_poll_events(&b->poll, &l->conn, POLLIN);
}

/* Takes a connection from the connector, or its error. */
static void
take_connection(struct bridge *b, const struct ws_connected *m, int fd)
{
	struct ws_link *l = m->kind == WS_CONNECT_HUB ? &b->hub :
	    m->kind == WS_CONNECT_WATCH ? &b->watch : &b->broker_link;
	const char *error = ws_link_take(l, &b->poll, m, fd, b->now);

	if (error != NULL)
		lose(b, l, error);
}

/* --------------------------------------------------------------- connector */

static void
log_counters(const struct bridge *b)
{
	size_t i;

	for (i = 0; i < COUNTERS; i++)
		ws_log(WS_LOG_ERROR, "%s: %llu", counter_names[i],
		    (unsigned long long)b->counters[i]);
	ws_log(WS_LOG_ERROR, "of the messages, sent again by the broker: %llu",
	    (unsigned long long)b->broker.repeated);
	ws_log(WS_LOG_ERROR, "without an answer now: %u messages, %u commands",
	    b->deliver.count, b->broker.count);
	if (b->r->interest)
		ws_log(WS_LOG_ERROR, "topics of the hub: %lu",
		    (unsigned long)b->interest.count);
}

static void
begin_to_stop(struct bridge *b)
{
	if (b->stop_at != 0) {
		b->ended = 1;
		return;
	}
	b->stop_at = b->now + STOP_TIME;
	ws_poll_remove(&b->poll, &b->listener);
}

/* Reads from the connector; a message may come in pieces. */
static void
read_connector(struct bridge *b)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov;
	struct msghdr m;
	struct cmsghdr *c;
	ssize_t n;

	memset(&m, 0, sizeof m);
	iov.iov_base = (char *)&b->message + b->message_len;
	iov.iov_len = sizeof b->message - b->message_len;
	m.msg_iov = &iov;
	m.msg_iovlen = 1;
	m.msg_control = control.bytes;
	m.msg_controllen = sizeof control.bytes;
	n = recvmsg(b->connector.fd, &m, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK ||
	    errno == EINTR))
		return;
	if (n <= 0) {
		ws_log(WS_LOG_ERROR, "the connector has ended");
		b->ended = b->status = 1;
		return;
	}
	c = CMSG_FIRSTHDR(&m);
	if (c != NULL && c->cmsg_level == SOL_SOCKET &&
	    c->cmsg_type == SCM_RIGHTS)
		memcpy(&b->message_fd, CMSG_DATA(c), sizeof(int));
	b->message_len += (size_t)n;
	if (b->message_len < sizeof b->message)
		return;
	b->message_len = 0;
	if (b->message.kind == WS_BRIDGE_STOP)
		begin_to_stop(b);
	else if (b->message.kind == WS_BRIDGE_LOG)
		log_counters(b);
	else
		take_connection(b, &b->message, b->message_fd);
	b->message_fd = -1;
}

/* --------------------------------------------------- messages, to the hub */

static void
log_dropped(struct bridge *b, struct ws_text topic, const char *why)
{
	b->counters[DROPPED]++;
	if (b->logged_at != 0 && b->now - b->logged_at < LOG_EACH) {
		b->not_logged++;
		return;
	}
	ws_log(WS_LOG_ERROR, "dropped a message to %.*s: %s%s",
	    topic.len < 200 ? (int)topic.len : 200, topic.s, why,
	    b->not_logged != 0 ? " (and others)" : "");
	b->logged_at = b->now;
	b->not_logged = 0;
}

/* see struct ws_broker */
static int
take_message(struct ws_broker *broker, const struct ws_mqtt_packet *p)
{
	struct bridge *b = of_broker(broker);
	struct ws_text topic = p->topic;
	size_t prefix = strlen(b->r->prefix);
	const char *why = NULL;

	if (b->stop_at != 0)
		return 0; /* the broker keeps what has no PUBACK */
	if (ws_deliver_full(&b->deliver))
		return -1;
	if (p->retain) {
		b->counters[RETAINED]++;
	} else if (p->skip != 0) {
		why = "longer than 1 MiB";
	} else if (topic.len <= prefix || topic.s[prefix] != '/' ||
	    memcmp(topic.s, b->r->prefix, prefix) != 0) {
		why = "not a topic that was asked for";
	} else {
		topic.s += prefix + 1;
		topic.len -= prefix + 1;
		(void)ws_topic_command(&b->deliver.out, topic, p->payload,
		    &why);
	}
	if (b->deliver.out.failed) {
		b->deliver.out.failed = 0;
		return -1;
	}
	b->counters[RECEIVED]++;
	if (why != NULL)
		log_dropped(b, p->topic, why);
	ws_deliver_added(&b->deliver, p->id, broker->session);
	return 0;
}

/* Nobody has taken it: its topic may be one that the hub does not need. */
static void
notice_stale(struct bridge *b, struct ws_text command)
{
	struct ws_command cmd;
	struct ws_text topic;
	char buf[WS_TOPIC_MAX];

	command.len--; /* the newline */
	if (ws_command_read(&cmd, command) != 0)
		return;
	topic.s = buf;
	if (cmd.action == WS_ACTION_SEND_TO_CHANNEL)
		topic.len = ws_topic_write(buf, WS_TOPIC_CHANNEL, cmd.channel);
	else if (cmd.action == WS_ACTION_SEND_TO_DEVICE)
		topic.len = ws_topic_write(buf, WS_TOPIC_DEVICE, cmd.device);
	else
		return;
	ws_interest_stale(&b->interest, topic);
}

/* see struct ws_deliver */
static void
take_answer(struct ws_deliver *d, const struct ws_delivery *p,
    struct ws_text command, int ok, struct ws_text detail)
{
	struct bridge *b = (struct bridge *)((char *)d -
	    offsetof(struct bridge, deliver));

	ws_broker_answer(&b->broker, p->id, p->session);
	if (command.len == 0)
		return;
	b->counters[ok ? DELIVERED : REJECTED]++;
	if (!ok)
		ws_log(WS_LOG_INFO, "the hub refuses a command: %.*s",
		    (int)detail.len, detail.s);
	if (ok && b->r->interest && detail.len == 1 && *detail.s == '0')
		notice_stale(b, command);
}

static void
read_hub(struct bridge *b)
{
	ssize_t n = ws_receive_some(b->hub.conn.fd, b->input, sizeof b->input,
	    0);

	if (n == WS_WANT_IN)
		return;
	if (n <= 0)
		lose(b, &b->hub, n == 0 ? "it has closed the connection" :
		    strerror(errno));
	else if (ws_deliver_reply(&b->deliver, b->input, (size_t)n) != 0)
		lose(b, &b->hub, "it does not answer as a hub");
}

/* Reads events. The last line may be incomplete. */
static void
read_events(struct bridge *b)
{
	size_t room = sizeof b->line - b->line_len, used;
	const char *error = NULL, *end;
	ssize_t n = ws_receive_some(b->watch.conn.fd, b->line + b->line_len,
	    room, 0);
	int got = 0;

	if (n == WS_WANT_IN)
		return;
	if (n <= 0) {
		lose(b, &b->watch, n == 0 ? "it has closed the connection" :
		    strerror(errno));
		return;
	}
	b->line_len += (size_t)n;
	for (used = 0; got != -1; used = (size_t)(end - b->line) + 1) {
		end = memchr(b->line + used, '\n', b->line_len - used);
		if (end == NULL)
			break;
		got = ws_interest_line(&b->interest, b->line + used,
		    (size_t)(end - b->line) - used, &error);
		if (got == 1)
			watch_hub(b, 0);
	}
	if (got != -1 && used == 0 && b->line_len == sizeof b->line) {
		got = -1;
		error = "an event is too long";
	}
	if (got == -1) {
		lose(b, &b->watch, error);
		return;
	}
	b->line_len -= used;
	memmove(b->line, b->line + used, b->line_len);
}

/* ---------------------------------------------------------------- backends */

/* see struct ws_local */
static int
publish(struct ws_local *l, struct ws_text topic, struct ws_text payload,
    char detail[WS_ERROR_MAX])
{
	struct bridge *b = ((struct backend *)((char *)l -
	    offsetof(struct backend, local)))->bridge;

	if (ws_broker_publish(&b->broker, l, topic, payload) != 0)
		return ws_fail(detail, "%s", b->broker.error);
	b->counters[PUBLISHED]++;
	return 0;
}

/* see struct ws_broker */
static void
acknowledge(struct ws_broker *broker, struct ws_local *l, const char *error)
{
	of_broker(broker)->counters[error == NULL ? ACKNOWLEDGED : FAILED]++;
	ws_local_answer(l, error);
}

static void
free_backend(struct bridge *b, struct backend *k)
{
	struct backend **p = &b->backends;

	while (*p != k)
		p = &(*p)->next;
	*p = k->next;
	close(k->conn.fd);
	ws_poll_remove(&b->poll, &k->conn);
	ws_broker_leave(&b->broker, &k->local);
	ws_local_free(&k->local);
	free(k);
	b->nbackends--;
}

/* The one that has been idle for the longest time, or NULL. */
static struct backend *
longest_idle(const struct bridge *b)
{
	struct backend *k, *longest = NULL;

	for (k = b->backends; k != NULL; k = k->next)
		if (b->now - k->served_at >= IDLE_TIME &&
		    k->local.count == 0 && k->local.out.len == 0 &&
		    k->local.in.text.len == 0 && !k->conn.dead &&
		    (longest == NULL || k->served_at < longest->served_at))
			longest = k;
	return longest;
}

static void
accept_backend(struct bridge *b)
{
	struct backend *k = NULL, *idle = NULL;
	int fd;

	if (b->nbackends >= b->r->max_backends) {
		idle = longest_idle(b);
		if (idle == NULL) {
			ws_poll_events(&b->poll, &b->listener, 0);
			return;
		}
	}
	fd = accept(b->listener.fd, NULL, NULL);
	if (fd == -1) {
		if (errno == EMFILE || errno == ENFILE)
			b->accept_after = b->now + ACCEPT_PAUSE;
		return;
	}
	if (idle != NULL) {
		ws_log(WS_LOG_NOTE, "a backend was idle for %lld s: closed in "
		    "favour of a new one",
		    (long long)((b->now - idle->served_at) / 1000));
		ws_poll_kill(&b->poll, &idle->conn);
	}
	k = calloc(1, sizeof *k);
	if (k == NULL || ws_poll_add(&b->poll, &k->conn, fd) != 0) {
		ws_log(WS_LOG_ERROR, "no memory for a backend");
		close(fd);
		free(k);
		return;
	}
	k->conn.kind = BACKEND;
	k->conn.always_hot = 1;
	k->local.publish = publish;
	k->bridge = b;
	k->served_at = b->now;
	k->next = b->backends;
	b->backends = k;
	b->nbackends++;
}

/*
 * Reads commands. They are only looked at before it is known how many of them
 * can be taken: the others stay in the socket.
 */
static void
read_backend(struct bridge *b, struct backend *k)
{
	ssize_t n = ws_receive_some(k->conn.fd, b->input, sizeof b->input, 1);
	size_t used;

	if (n == WS_WANT_IN)
		return;
	k->served_at = b->now;
	if (n <= 0) {
		ws_local_end(&k->local);
		k->eof = 1;
		k->write_failed |= n < 0;
		return;
	}
	used = ws_local_feed(&k->local, b->input, (size_t)n);
	if (used != 0)
		(void)ws_receive_some(k->conn.fd, b->input, used, 0);
	if (used == (size_t)n && ws_local_resyncing(&k->local) &&
	    ws_receive_some(k->conn.fd, b->input, 1, 1) == WS_WANT_IN)
		ws_local_resync(&k->local);
}

/* Sends replies, and decides what to wait for. */
static void
flush_backend(struct bridge *b, struct backend *k)
{
	struct ws_local *l = &k->local;
	int events;
	ssize_t n;

	b->counters[COMMANDS] += l->objects;
	b->counters[COMMAND_ERRORS] += l->errors;
	l->objects = l->errors = 0;
	while (l->out.len != 0 && !k->write_failed) {
		n = ws_send_some(k->conn.fd, l->out.s, l->out.len);
		if (n == 0)
			break;
		if (n < 0)
			k->write_failed = 1; /* its commands still count */
		else
			ws_output_remove(&l->out, (size_t)n);
	}
	if (k->write_failed)
		ws_output_remove(&l->out, l->out.len);
	if (l->out.failed)
		ws_log(WS_LOG_ERROR, "backend dropped: out of memory");
	if (l->out.failed || (k->eof && l->out.len == 0 && l->count == 0)) {
		ws_poll_kill(&b->poll, &k->conn);
		return;
	}
	events = (l->out.len != 0 ? POLLOUT : 0) | (k->eof || b->stop_at != 0 ||
	    l->out.len >= WS_REPLIES_MAX || l->count == WS_LOCAL_FLIGHT ||
	    !ws_broker_takes(&b->broker) ? 0 : POLLIN);
	ws_poll_events(&b->poll, &k->conn, events);
	/* Without events, poll would still tell at once that it has closed. */
	b->poll.fds[k->conn.slot].fd = events == 0 ? -1 : k->conn.fd;
}

static void
flush_backends(struct bridge *b)
{
	struct backend *k;
	struct ws_conn *c;

	for (k = b->backends; k != NULL; k = k->next)
		if (!k->conn.dead)
			flush_backend(b, k);
	while ((c = b->poll.dead) != NULL) {
		b->poll.dead = c->next;
		free_backend(b, (struct backend *)c);
	}
	if (b->stop_at == 0)
		ws_poll_events(&b->poll, &b->listener,
		    b->now >= b->accept_after && (b->nbackends <
		    b->r->max_backends || longest_idle(b) != NULL) ? POLLIN :
		    0);
}

/* ------------------------------------------------------------------- turns */

/* Sends text to a link: how many bytes, after which it polls for the rest. */
static size_t
flush_link(struct bridge *b, struct ws_link *l, const char *s, size_t len,
    int reads)
{
	ssize_t n = len == 0 ? 0 : ws_send_some(l->conn.fd, s, len);

	if (n < 0) {
		lose(b, l, strerror(errno));
		return 0;
	}
	ws_poll_events(&b->poll, &l->conn, (reads ? POLLIN : 0) |
	    ((size_t)n < len ? POLLOUT : 0));
	return (size_t)n;
}

static void
flush_links(struct bridge *b)
{
	struct ws_broker *k = &b->broker;
	struct ws_text t;
	size_t n;

	if (b->hub.state == WS_LINK_UP) {
		t = ws_deliver_unsent(&b->deliver);
		ws_deliver_sent(&b->deliver,
		    flush_link(b, &b->hub, t.s, t.len, 1));
	}
	if (b->watch.state == WS_LINK_UP)
		ws_output_remove(&b->asks, flush_link(b, &b->watch, b->asks.s,
		    b->asks.len, 1));
	if (b->broker_link.state != WS_LINK_UP)
		return;
	if (k->out.failed) {
		lose(b, &b->broker_link, "no memory");
		return;
	}
	n = flush_link(b, &b->broker_link, k->out.s, k->out.len, !k->paused);
	ws_output_remove(&k->out, n);
	/* It sends and does not read our acknowledgements. */
	if (k->out.len > UNREAD_MAX)
		ws_poll_events(&b->poll, &b->broker_link.conn, POLLOUT);
	if (n != 0)
		k->spoke = b->now;
}

static void
serve_link(struct bridge *b, struct ws_link *l)
{
	int was_ready = b->broker.ready;
	const char *error;

	if (l->state == WS_LINK_CONNECTING) {
		error = ws_link_finish(l, b->now);
		if (error != NULL)
			lose(b, l, error);
		else
			establish(b, l);
		return;
	}
	if (l->state != WS_LINK_UP || (l->conn.revents & ~POLLOUT) == 0)
		return;
	if (l == &b->hub) {
		read_hub(b);
	} else if (l == &b->watch) {
		read_events(b);
	} else if (ws_broker_read(&b->broker, l->conn.fd, b->now) != 0) {
		lose(b, l, b->broker.error);
	} else if (b->broker.ready && !was_ready) {
		b->counters[BROKER_CONNECTIONS]++;
		l->since = b->now;
		ws_log(WS_LOG_NOTE, "connected to the broker %s as %s",
		    l->peer, b->r->id);
	}
}

static void
serve(struct bridge *b, struct ws_conn *c)
{
	if (c->dead || c->fd == -1)
		return;
	switch (c->kind) {
	case CONNECTOR:
		read_connector(b);
		break;
	case LISTENER:
		accept_backend(b);
		break;
	case BACKEND:
		/* Others before it may have taken all the room. */
		if ((c->revents & ~POLLOUT) != 0 &&
		    (c->events & POLLIN) != 0 && ws_broker_takes(&b->broker))
			read_backend(b, (struct backend *)c);
		break;
	default:
		serve_link(b, (struct ws_link *)c);
	}
}

/* Does what is due, and finds when the next is. */
static void
serve_time(struct bridge *b)
{
	struct ws_link *const links[] = { &b->hub, &b->watch, &b->broker_link };
	size_t i;

	b->next = b->stop_at != 0 ? b->stop_at : INT64_MAX;
	for (i = 0; i < 3; i++) {
		if (links[i] == &b->watch && !b->r->interest)
			continue;
		if (links[i]->state == WS_LINK_CONNECTING && b->now >= links[i]->at)
			lose(b, links[i], "connecting takes too long");
		if (links[i]->state == WS_LINK_DOWN && b->stop_at == 0 &&
		    b->now >= links[i]->at)
			ws_link_ask(links[i], b->connector.fd, b->now);
		if (links[i]->state != WS_LINK_UP && b->stop_at == 0)
			be_back_at(b, links[i]->at);
	}
	if (b->broker_link.state == WS_LINK_UP &&
	    ws_broker_check(&b->broker, b->now, &b->next) != 0)
		lose(b, &b->broker_link, b->broker.error);
	if (b->broker.paused && !ws_deliver_full(&b->deliver))
		be_back_at(b, b->now + MEMORY_PAUSE);
	if (b->nbackends == b->r->max_backends)
		be_back_at(b, b->now + IDLE_TIME);
	if (b->accept_after > b->now)
		be_back_at(b, b->accept_after);
}

/* Whether nothing is in flight any more, or the time for it has passed. */
static int
is_drained(const struct bridge *b)
{
	const struct backend *k;

	if (b->now >= b->stop_at)
		return 1;
	if (b->broker.count != 0 ||
	    (b->hub.state == WS_LINK_UP && b->deliver.count != 0) ||
	    (b->broker_link.state == WS_LINK_UP && b->broker.out.len != 0))
		return 0;
	for (k = b->backends; k != NULL; k = k->next)
		if (k->local.out.len != 0)
			return 0;
	return 1;
}

static void
run_turn(struct bridge *b)
{
	uint32_t n, i;
	int timeout = b->next == INT64_MAX ? -1 : b->next <= b->now ? 0 :
	    b->next - b->now > 60000 ? 60000 : (int)(b->next - b->now);

	n = ws_poll_wait(&b->poll, timeout);
	b->now = ws_clock() / 1000000;
	for (i = 0; i < n; i++)
		serve(b, b->poll.ready[i]);
	if (b->broker_link.state == WS_LINK_UP) {
		if (!ws_deliver_full(&b->deliver) &&
		    ws_broker_resume(&b->broker) != 0)
			lose(b, &b->broker_link, b->broker.error);
		if (b->r->interest)
			ws_broker_follow(&b->broker, &b->interest);
	}
	serve_time(b);
	flush_links(b); /* which may lose one, and so comes after b->next */
	flush_backends(b);
	if (b->stop_at != 0 && is_drained(b))
		b->ended = 1;
}

static void
init(struct bridge *b, struct ws_relay *r, int connector)
{
	b->r = r;
	b->now = ws_clock() / 1000000;
	b->message_fd = -1;
	if (ws_interest_init(&b->interest) == -1 ||
	    ws_entropy(&b->seed, sizeof b->seed) == -1)
		ws_die("no random bytes: %s", strerror(errno));
	b->seed |= 1;
	ws_link_init(&b->hub, HUB, WS_CONNECT_HUB, "hub", RETRY_HUB);
	ws_link_init(&b->watch, WATCH, WS_CONNECT_WATCH, "hub, events",
	    RETRY_HUB);
	ws_link_init(&b->broker_link, BROKER, WS_CONNECT_BROKER, "broker",
	    RETRY_BROKER);
	b->broker.r = r;
	b->broker.arg = b;
	b->broker.message = take_message;
	b->broker.acknowledged = acknowledge;
	b->deliver.answered = take_answer;
	b->connector.kind = CONNECTOR;
	b->listener.kind = LISTENER;
	b->connector.always_hot = b->listener.always_hot = 1;
	if (ws_poll_add(&b->poll, &b->connector, connector) != 0 ||
	    ws_poll_add(&b->poll, &b->listener, r->control_fd) != 0)
		ws_die("poll: %s", strerror(errno));
}

/* Says good-bye to the broker, and frees everything. */
static void
end(struct bridge *b)
{
	unsigned char bye[2];
	size_t n = ws_mqtt_empty(bye, WS_MQTT_DISCONNECT);

	/* Not in the middle of another packet. */
	if (b->broker.ready && b->broker.out.len == 0)
		(void)ws_send_some(b->broker_link.conn.fd, (char *)bye, n);
	while (b->backends != NULL)
		free_backend(b, b->backends);
	if (ws_log_level >= WS_LOG_INFO)
		log_counters(b);
	ws_broker_free(&b->broker);
	ws_deliver_free(&b->deliver);
	ws_interest_free(&b->interest);
	ws_output_free(&b->asks);
	ws_poll_free(&b->poll);
}

/* see relay.h */
int
ws_bridge_run(struct ws_relay *r, int connector)
{
	struct bridge *b = calloc(1, sizeof *b);
	char name[WS_ADDRESS_MAX];
	int status;

	if (b == NULL) {
		ws_log(WS_LOG_ERROR, "no memory");
		return 1;
	}
	init(b, r, connector);
	ws_address(r->control_fd, 0, name);
	ws_log(WS_LOG_NOTE, "backends write to %s", name + strlen("unix:"));
	if (ws_send_some(connector, "R", 1) != 1)
		ws_die("the connector: %s", strerror(errno));
	while (!b->ended)
		run_turn(b);
	end(b);
	status = b->status;
	free(b);
	return status;
}
