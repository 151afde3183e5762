/* wshub: ISC licence, see LICENSE. */
/*
 * The event loop: listeners, backends, clients, and shutdown.
 *
 * A turn (ws_loop_step) waits for events; processes the input of backends and
 * flushes the clients that they sent to, until no backend has more; reads from
 * clients; accepts connections; runs expired timers; flushes clients again; and
 * frees dead connections.
 */
#define _GNU_SOURCE /* accept4 */
#include <sys/types.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ws.h"

/* Systems without accept4(2). */
#ifndef SOCK_NONBLOCK
#define NO_ACCEPT4
#endif

#define CLIENTS_TURN 4000000   /* ns of reading from open clients in a turn */
#define HANDSHAKE_TURN 4000000 /* ns of TLS handshakes in a turn */
#define ACCEPTS_TURN 64        /* connections of a listener in a turn */
#define LONG_TURN 100000000    /* ns; longer turns are counted */
#define REFUSED_MAX 16         /* clients beyond a limit that get a response */
#define ACCEPT_PAUSE 1000      /* ms without accept after EMFILE */
#define SUSPEND_MIN 1000       /* ms; poll may return that late */
#define DRAIN_EACH 10          /* ms per client at shutdown, at most */

struct watch {
	struct ws_conn conn;
	void (*ready)(struct ws_loop *l, int fd, void *arg);
	void *arg;
};

struct ws_listener {
	struct ws_conn conn;
	int tls;
	struct ws_listener *next;
};

/* Sets l->now; returns ws_clock's time. */
static int64_t
read_clock(struct ws_loop *l)
{
	int64_t clock = ws_clock();

	l->now = clock / 1000000 - l->suspended;
	return clock;
}

/* -------------------------------------------------------------- listeners */

/*
 * Polls listeners only while their connections can be accepted. At the limit
 * of backends, one can be accepted when another has been idle for long enough
 * to be closed.
 */
static void
update_listeners(struct ws_loop *l)
{
	int clients = l->accept_after == 0, backends = clients;
	struct ws_listener *p;

	l->yield_at = 0;
	if (l->backends >= l->max_backends) {
		l->yield_at = ws_backend_yield_at(l);
		backends = clients && l->now >= l->yield_at;
		if (l->now >= l->yield_at || l->yield_at == INT64_MAX)
			l->yield_at = 0;
	}

	for (p = l->listeners; p != NULL; p = p->next)
		ws_poll_events(&l->poll, &p->conn,
		    (p->conn.kind == WS_CONN_CONTROL ? backends : clients) ?
		    POLLIN : 0);
}

/* a: the peer's address, if it is not NULL. */
static int
accept_nonblocking(int fd, struct sockaddr_storage *a)
{
	struct sockaddr *sa = (struct sockaddr *)a;
	socklen_t room = sizeof *a, *len = a != NULL ? &room : NULL;
	int s;

	if (a != NULL)
		a->ss_family = AF_UNSPEC;

#ifdef NO_ACCEPT4
	do
		s = accept(fd, sa, len);
	while (s == -1 && errno == EINTR);
	if (s != -1 && (fcntl(s, F_SETFL, O_NONBLOCK) == -1 ||
	    fcntl(s, F_SETFD, FD_CLOEXEC) == -1)) {
		close(s);
		return -1;
	}
#else
	do
		s = accept4(fd, sa, len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	while (s == -1 && errno == EINTR);
#endif
	return s;
}

/* Ends a connection for which there is no client. Its request is not read. */
static void
refuse_at_once(struct ws_loop *l, int fd, struct ws_about *about,
    enum ws_counter counter, int answer, const char *text)
{
	struct ws_client c;

	memset(&c, 0, sizeof c);
	c.conn.fd = fd;
	c.connected = l->now;
	c.about = about;
	if (answer)
		ws_client_refuse(l, &c);
	l->counters[counter]++;
	ws_client_log_end(l, &c, counter == WS_LOST ? WS_LOG_NOTE :
	    WS_LOG_INFO, c.sent != 0 ? 503 : 0, text);
	ws_client_log_closed(l, &c);
	free(about);
	close(fd);
}

/*
 * Whether one more client may have a descriptor. Sessions that are away have
 * none, but what remains of their last connections may have some.
 */
static int
has_room(const struct ws_loop *l)
{
	return l->clients - l->away + l->refused <
	    l->max_clients + l->max_refused;
}

/*
 * A client beyond a limit may be the peer of a session that is away. Then it
 * only takes the place of that session. So its request is read.
 */
static void
new_client(struct ws_loop *l, int fd, int tls,
    const struct sockaddr_storage *a)
{
	int refused = l->stop_at != 0 || l->clients >= l->max_clients ||
	    !has_room(l), trusted = ws_peer_trusted(l, fd, NULL);
	struct ws_about *about = a != NULL ? ws_about_new(a) : NULL;
	struct ws_peer *peer = NULL;
	struct ws_client *c = NULL;

	l->counters[WS_ACCEPTED]++;
	if (l->o.proxy_protocol && !trusted) {
		refuse_at_once(l, fd, about, WS_REFUSED, 0,
		    "not a trusted proxy");
		return;
	}
	/* Whose client a proxy's connection is has yet to be read. */
	if (!refused && !trusted)
		refused = ws_peer_count(l, fd, NULL, &peer) != 0;
	if (!refused || (has_room(l) &&
	    l->refused < l->max_refused + l->away))
		c = ws_client_new(l, fd, tls, refused);
	if (c == NULL) {
		ws_peer_release(l, peer);
		refuse_at_once(l, fd, about, refused ? WS_REFUSED : WS_LOST,
		    refused && !tls, !refused ? "out of memory" :
		    l->stop_at != 0 ? "shutting down" : "too many clients");
		return;
	}
	c->conn.kind = WS_CONN_CLIENT;
	c->peer = peer;
	c->about = about;
	if (refused)
		l->refused++;
	else
		l->clients++;
}

/*
 * A client of a listener for metrics. At the limit it takes the place of one
 * that has been there for about the longest time: those that do nothing cannot
 * keep others out.
 */
static void
new_scraper(struct ws_loop *l, int fd)
{
	struct ws_client *c = ws_client_new(l, fd, 0, 0), **place;
	int i;

	if (c == NULL) {
		l->counters[WS_LOST]++;
		close(fd);
		return;
	}
	c->conn.kind = WS_CONN_SCRAPER;
	for (i = 0; i < WS_SCRAPERS; i++) {
		place = &l->scrapers[l->next_scraper++ % WS_SCRAPERS];
		if (*place == NULL)
			break;
	}
	if (i == WS_SCRAPERS) {
		place = &l->scrapers[l->next_scraper++ % WS_SCRAPERS];
		ws_poll_kill(&l->poll, &(*place)->conn);
	}
	*place = c;
}

static void
accept_some(struct ws_loop *l, struct ws_listener *p)
{
	int control = p->conn.kind == WS_CONN_CONTROL, fd, full, i;
	int metrics = p->conn.kind == WS_CONN_METRICS;
	int most = metrics ? WS_SCRAPERS : ACCEPTS_TURN;
	struct sockaddr_storage room, *a = NULL;

	if (!control && !metrics && ws_client_logs(l))
		a = &room;
	for (i = 0; i < most && !p->conn.dead; i++) {
		full = control && l->backends >= l->max_backends;
		if (full && l->now < ws_backend_yield_at(l))
			return;
		fd = accept_nonblocking(p->conn.fd, a);
		if (fd == -1 && (errno == EMFILE || errno == ENFILE ||
		    errno == ENOBUFS || errno == ENOMEM)) {
			ws_logf(&l->o, WS_LOG_ERROR, "accept: %s: resting "
			    "for %d s", strerror(errno), ACCEPT_PAUSE / 1000);
			l->accept_after = l->now + ACCEPT_PAUSE;
		}
		if (fd == -1)
			return;
		if (full)
			ws_backend_make_room(l);
		if (metrics) {
			new_scraper(l, fd);
		} else if (!control) {
			new_client(l, fd, p->tls, a);
		} else if (ws_backend_new(l, fd) != 0) {
			l->counters[WS_LOST]++;
			close(fd);
		}
	}
}

/* ------------------------------------------------------------------ turns */

/* ms until something is due, at most timeout; -1: no limit. */
static int
time_to_next(const struct ws_loop *l, int timeout)
{
	int64_t due = ws_wheel_next(&l->wheel);

	if (l->o.heartbeat != 0 && l->next_heartbeat < due)
		due = l->next_heartbeat;
	if (l->accept_after != 0 && l->accept_after < due)
		due = l->accept_after;
	if (l->stop_at != 0 && l->stop_at < due)
		due = l->stop_at;
	if (l->yield_at != 0 && l->yield_at < due)
		due = l->yield_at;
	if (l->log_omitted != 0 && l->log_window_end < due)
		due = l->log_window_end;
	if (l->hub.watch != NULL && l->hub.watch->told &&
	    l->events_sent + 1 < due)
		due = l->events_sent + 1;
	if (due == INT64_MAX)
		return timeout;
	due = due <= l->now ? 0 : due - l->now;
	if (timeout >= 0 && due > timeout)
		return timeout;
	return due > INT_MAX ? INT_MAX : (int)due;
}

static void
send_heartbeat(struct ws_loop *l)
{
	static const char hb[] = "{\"action\":\"hb\"}";
	struct ws_frame *f = ws_frame_new(WS_TEXT, hb, sizeof hb - 1);

	l->next_heartbeat = l->now + (int64_t)l->o.heartbeat * 1000;
	if (f != NULL) {
		f->heartbeat = 1;
		ws_hub_multicast(&l->hub, f, NULL);
	} else {
		l->counters[WS_LOST]++;
	}
	ws_frame_release(f);
}

static void
free_client(struct ws_loop *l, struct ws_client *c)
{
	int i;

	if (c->conn.kind == WS_CONN_SCRAPER) {
		for (i = 0; i < WS_SCRAPERS; i++)
			if (l->scrapers[i] == c)
				l->scrapers[i] = NULL;
	} else if (c->refused)
		l->refused--;
	else
		l->clients--;
	ws_client_free(l, c);
}

static void
free_conn(struct ws_loop *l, struct ws_conn *conn)
{
	int fd = conn->fd, kind = conn->kind;

	if (kind >= WS_CONN_CLIENT) {
		free_client(l, (struct ws_client *)conn);
		return;
	}
	if (kind == WS_CONN_BACKEND) {
		ws_backend_free(l, (struct ws_backend *)conn);
	} else {
		ws_poll_remove(&l->poll, conn);
		free(conn);
	}
	if (kind != WS_CONN_WATCH)
		close(fd);
}

static void
sweep(struct ws_loop *l)
{
	struct ws_conn *c;

	while ((c = l->poll.dead) != NULL) {
		l->poll.dead = c->next;
		free_conn(l, c);
	}
}

/* Whether to read from a client may take a millisecond: a TLS handshake. */
static int
handshaking(const struct ws_client *c)
{
	return c->state <= WS_CLIENT_HELLO || (c->state == WS_CLIENT_HEAD &&
	    c->tls != NULL);
}

/*
 * Reads from those ready clients that are in a TLS handshake (in_handshake is
 * 1), or from the others (0), until the time is used up. Clients that are left
 * are still readable in the next turn. Clients are served in the order of their
 * slots, beginning after the last one of the previous turn, so that it is not
 * always the same ones that are left.
 */
static void
serve_clients(struct ws_loop *l, uint32_t n, int in_handshake, int64_t time,
    uint32_t *slot)
{
	int64_t until = ws_clock() + time;
	struct ws_client *c;
	uint32_t i, first = 0;

	for (i = 0; i < n; i++)
		if (l->poll.ready[i]->slot > *slot) {
			first = i;
			break;
		}
	for (i = 0; i < n; i++) {
		c = (struct ws_client *)l->poll.ready[(first + i) % n];
		if (c->conn.kind < WS_CONN_CLIENT || c->conn.dead ||
		    handshaking(c) != in_handshake)
			continue;
		ws_client_serve(l, c);
		*slot = c->conn.slot;
		if (ws_clock() >= until)
			break;
	}
}

/*
 * Serves backends first, then open clients, which is quick, then TLS
 * handshakes, and new connections last. The turn has begun at that time (ns).
 * Returns how many backends and control sockets were ready.
 */
static uint32_t
serve(struct ws_loop *l, uint32_t n, int64_t began)
{
	uint64_t deliveries = l->counters[WS_DELIVERIES];
	struct ws_conn *c;
	struct watch *w;
	uint32_t i, backends = ws_backend_serve_all(l, n);

	if (l->o.metrics && l->counters[WS_DELIVERIES] != deliveries)
		ws_metrics_delivery(l, ws_clock() - began);
	serve_clients(l, n, 0, CLIENTS_TURN, &l->open_slot);
	ws_client_flush_all(l);
	serve_clients(l, n, 1, HANDSHAKE_TURN, &l->handshake_slot);
	for (i = 0; i < n; i++) {
		c = l->poll.ready[i]; /* accept_some may move the array */
		if (c->kind == WS_CONN_WATCH) {
			w = (struct watch *)c;
			w->ready(l, c->fd, w->arg);
		} else if (c->kind == WS_CONN_LISTENER ||
		    c->kind == WS_CONN_CONTROL || c->kind == WS_CONN_METRICS) {
			accept_some(l, (struct ws_listener *)c);
			backends += c->kind == WS_CONN_CONTROL;
		}
	}
	return backends;
}

/* Counts a turn that took ns. */
static void
count_turn(struct ws_loop *l, int64_t ns)
{
	l->counters[WS_TURNS]++;
	l->counters[WS_LONG_TURNS] += ns > LONG_TURN;
	if (ns > l->longest_turn)
		l->longest_turn = ns;
}

/* see ws.h */
int
ws_loop_step(struct ws_loop *l, int timeout)
{
	int64_t before, late, began;
	uint32_t n, backends;

	ws_client_flush_all(l); /* what was published by function call */
	read_clock(l);
	before = l->now;
	timeout = l->run_queue != NULL || l->poll.dead != NULL ||
	    (l->stop_at != 0 && l->clients == 0) ? 0 : time_to_next(l, timeout);
	n = ws_poll_wait(&l->poll, timeout);
	began = read_clock(l);
	/*
	 * poll returned much too late: the machine was suspended, or this
	 * process was stopped. No peer could get an answer in that time, so it
	 * does not count towards deadlines.
	 */
	late = l->now - before - l->poll.timeout;
	if (l->poll.timeout >= 0 && late > SUSPEND_MIN) {
		l->suspended += late;
		l->now -= late;
	}
	backends = serve(l, n, began);
	ws_wheel_expire(&l->wheel, l->now, ws_client_timeout, l);
	if (l->o.heartbeat != 0 && l->now >= l->next_heartbeat)
		send_heartbeat(l);
	if (l->accept_after != 0 && l->now >= l->accept_after)
		l->accept_after = 0;
	if (l->log_omitted != 0 && l->now >= l->log_window_end)
		ws_client_log_omitted(l);
	ws_client_flush_all(l);
	sweep(l);
	if (l->hub.watch != NULL)
		ws_backend_send_events(l);
	update_listeners(l);
	count_turn(l, ws_clock() - began);
	/* With no client left, backends still get their replies. */
	return l->stop_at == 0 || (l->now < l->stop_at && (l->clients > 0 ||
	    backends > 0));
}

/* see ws.h */
uint32_t
ws_loop_poll(struct ws_loop *l, struct pollfd *fds, uint32_t room,
    int *timeout)
{
	uint32_t n = l->poll.n < room ? l->poll.n : room;

	ws_client_flush_all(l);
	(void)read_clock(l);
	/*
	 * Only the caller's own poll knows which descriptors are ready. So the
	 * next step must poll all of them.
	 */
	ws_poll_scan_next(&l->poll);
	memcpy(fds, l->poll.fds, n * sizeof *fds);
	*timeout = l->poll.dead != NULL || l->run_queue != NULL ? 0 :
	    time_to_next(l, *timeout);
	return l->poll.n;
}

/* see ws.h */
void
ws_loop_stop(struct ws_loop *l)
{
	int64_t window = (int64_t)l->o.drain * 800;
	struct ws_listener **p, *closed;
	struct ws_resume *r;
	uint32_t i;

	(void)read_clock(l);
	if (l->stop_at != 0) {
		l->stop_at = l->now;
		return;
	}
	l->stop_at = l->now + (int64_t)l->o.drain * 1000 + 1;
	if (window > (int64_t)l->clients * DRAIN_EACH)
		window = (int64_t)l->clients * DRAIN_EACH;
	/*
	 * Without listeners the kernel refuses new connections, and clients can
	 * try another server. With --health the listeners stay open and answer
	 * with a 503.
	 */
	for (p = &l->listeners; (closed = *p) != NULL;)
		if (closed->conn.kind == WS_CONN_LISTENER &&
		    l->o.http.health == NULL) {
			*p = closed->next;
			ws_poll_kill(&l->poll, &closed->conn);
		} else {
			p = &closed->next;
		}
	ws_logf(&l->o, WS_LOG_NOTE, "draining %u clients",
	    (unsigned)l->clients);
	for (i = 0; i < l->resume_buckets; i++)
		for (r = l->resumes[i]; r != NULL; r = r->chain)
			if (r->client->state == WS_CLIENT_AWAY)
				ws_client_stop(l, r->client, 0);
	/* Later than this turn, in which the listeners are closed. */
	for (i = 0; i < l->poll.n; i++)
		if (l->poll.conns[i]->kind == WS_CONN_CLIENT)
			ws_client_stop(l, (struct ws_client *)l->poll.conns[i],
			    window == 0 ? 0 :
			    1 + ws_jitter(&l->jitter_seed, (uint32_t)window));
}

static size_t
stats(char *out, size_t room, void *arg)
{
	return ws_metrics_json(arg, out, room);
}

static const struct ws_owner owner = {
	ws_client_deliver, ws_client_describe, ws_client_kick, stats
};

/* see ws.h */
struct ws_loop *
ws_loop_new(const struct ws_options *o)
{
	struct ws_loop *l = calloc(1, sizeof *l);
	struct rlimit lim;
	unsigned reserved = WS_BACKENDS_MAX + REFUSED_MAX + 48 +
	    (o->metrics ? 2 * WS_SCRAPERS : 0); /* each may be replaced */

	if (l == NULL)
		return NULL;
	l->o = *o;
	/* A session that is resumed has all of it unsent. */
	if (l->o.keep > l->o.queue / 4)
		l->o.keep = l->o.queue / 4;
	l->dirty_end = &l->dirty;
	l->run_queue_end = &l->run_queue;
	l->started = read_clock(l);
	l->started_at = ws_wall_clock();
	ws_wheel_init(&l->wheel, l->now);
	l->next_heartbeat = l->now + (int64_t)o->heartbeat * 1000;
	if (ws_entropy(&l->jitter_seed, sizeof l->jitter_seed) != 0)
		goto fail; /* clients would get no ids, either */
	l->jitter_seed |= 1; /* xorshift stays at 0 */
	/*
	 * Some descriptors are reserved, so that backends can connect however
	 * many clients there are. With a low limit these are half of it.
	 */
	l->max_clients = 1u << 20;
	l->max_refused = REFUSED_MAX;
	l->max_backends = WS_BACKENDS_MAX;
	if (getrlimit(RLIMIT_NOFILE, &lim) == 0)
		l->max_descriptors = lim.rlim_cur;
	if (l->max_descriptors != 0 && lim.rlim_cur < 1u << 20)
		l->max_clients = lim.rlim_cur > 2 * reserved ?
		    (uint32_t)lim.rlim_cur - reserved :
		    (uint32_t)lim.rlim_cur / 2;
	if (l->max_clients <= reserved) {
		l->max_backends = l->max_clients / 4;
		if (l->max_refused > l->max_clients / 4)
			l->max_refused = l->max_clients / 4;
	}
	if (o->max_clients != 0 && o->max_clients > l->max_clients) {
		errno = EMFILE;
		goto fail;
	}
	if (o->max_clients != 0)
		l->max_clients = o->max_clients;
	if (ws_peer_init(l) != 0)
		goto fail;
	if (ws_hub_init(&l->hub, &owner, l) != 0)
		goto fail;
	/* Watchers never yield to other backends: these need places, too. */
	if (l->hub.max_watchers > l->max_backends / 2)
		l->hub.max_watchers = l->max_backends / 2;
	return l;
fail:
	free(l->peers);
	free(l);
	return NULL;
}

/* see ws.h */
void
ws_loop_free(struct ws_loop *l)
{
	uint64_t before;
	uint32_t i;

	if (l == NULL)
		return;
	if (l->hub.watch != NULL) {
		l->events_sent = -1; /* the last events must not wait */
		ws_backend_send_events(l);
	}
	before = l->counters[WS_UNDELIVERED];
	while (l->poll.n > 0)
		free_conn(l, l->poll.conns[l->poll.n - 1]);
	for (i = 0; i < l->resume_buckets; i++)
		while (l->resumes[i] != NULL)
			free_client(l, l->resumes[i]->client);
	free(l->resumes);
	ws_loop_set_tokens(l, NULL);
	if (l->counters[WS_UNDELIVERED] != before)
		ws_logf(&l->o, WS_LOG_NOTE, "the end: %llu frames undelivered",
		    (unsigned long long)(l->counters[WS_UNDELIVERED] - before));
	ws_client_log_omitted(l);
	ws_hub_free(&l->hub);
	ws_tls_config_release(l->tls);
	ws_poll_free(&l->poll);
	free(l->peers);
	free(l);
}

static int
add_listener(struct ws_loop *l, int fd, enum ws_conn_kind kind, int tls)
{
	struct ws_listener *p = calloc(1, sizeof *p);

	if (p == NULL || ws_poll_add(&l->poll, &p->conn, fd) != 0) {
		free(p);
		return -1;
	}
	p->conn.kind = (unsigned char)kind;
	p->conn.always_hot = 1;
	p->tls = tls;
	p->next = l->listeners;
	l->listeners = p;
	return 0;
}

/* see ws.h */
int
ws_loop_listen(struct ws_loop *l, int fd, int tls)
{
	return add_listener(l, fd, WS_CONN_LISTENER, tls);
}

/* see ws.h */
int
ws_loop_control(struct ws_loop *l, int fd)
{
	return add_listener(l, fd, WS_CONN_CONTROL, 0);
}

/* see ws.h */
int
ws_loop_metrics(struct ws_loop *l, int fd)
{
	return add_listener(l, fd, WS_CONN_METRICS, 0);
}

/* see ws.h */
void
ws_loop_set_tls(struct ws_loop *l, struct ws_tls_config *c)
{
	ws_tls_config_reference(c);
	ws_tls_config_release(l->tls);
	l->tls = c;
}

/* see ws.h */
int
ws_loop_set_tokens(struct ws_loop *l, const struct ws_token_keys *keys)
{
	struct ws_token_keys *copy = NULL;

	if (keys != NULL) {
		copy = malloc(sizeof *copy);
		if (copy == NULL)
			return -1;
		*copy = *keys;
	}
	if (l->tokens != NULL)
		ws_wipe(l->tokens, sizeof *l->tokens);
	free(l->tokens);
	l->tokens = copy;
	return 0;
}

/* see ws.h */
int
ws_loop_watch(struct ws_loop *l, int fd,
    void (*ready)(struct ws_loop *l, int fd, void *arg), void *arg)
{
	struct watch *w = calloc(1, sizeof *w);

	if (w == NULL || ws_poll_add(&l->poll, &w->conn, fd) != 0) {
		free(w);
		return -1;
	}
	w->conn.kind = WS_CONN_WATCH;
	w->conn.always_hot = 1;
	w->ready = ready;
	w->arg = arg;
	return 0;
}

/* see ws.h */
struct ws_hub *
ws_loop_hub(struct ws_loop *l)
{
	return &l->hub;
}

/* see ws.h */
void
ws_loop_log_counters(struct ws_loop *l)
{
	int64_t up = ws_clock() - l->started, share;

	ws_logf(&l->o, WS_LOG_ERROR, "up %lld s, %u clients (%u in the hub), "
	    "%u channels, %u subscriptions, %u backends, limit %u clients",
	    (long long)(up / 1000000000), (unsigned)l->clients,
	    (unsigned)l->hub.count, (unsigned)l->hub.nchannels,
	    (unsigned)l->hub.nlinks, (unsigned)l->backends,
	    (unsigned)l->max_clients);
	ws_metrics_log(l);
	share = l->poll.scan_time / (up / 10000 + 1);
	ws_logf(&l->o, WS_LOG_ERROR, "full scans: %llu, %d.%02d %% of the time",
	    (unsigned long long)l->poll.scans, (int)(share / 100),
	    (int)(share % 100));
}
