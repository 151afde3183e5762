/* wshub: ISC licence, see LICENSE. */
/*
 * What a delivery costs, beside other servers: make bench.
 *
 *   bench.c    what a delivery, a client's entrance and memory cost
 *   sessions.c what resumable sessions, tokens and names cost
 *   watch.c    what events, snapshots and lists cost
 *   relay.c    what a message through a broker to two hubs costs
 *   hostile.c  what the others notice of a peer that does its worst
 *   servers.c  the servers: how to start each, get into it and publish
 *   clients.c  connections, many at a time, with TLS or without
 *   plot.sh    the picture
 *
 * A message is a JSON string: an x for each byte, and at its end a mark, '@'
 * and eight digits, that no server changes. A client looks for marks and for
 * nothing else, and so is the same for all.
 */
#ifndef BENCH_H
#define BENCH_H

#include <sys/types.h>
#include <stddef.h>
#include <stdint.h>

#include "../client.h"

#define CLIENTS_MAX 16000
#define PAYLOAD_MAX 16384
#define TOLD_MAX 768 /* bytes that bring a client in, at most */

/* CLUSTER: two of ours, with relays and mosquitto between them; in no table. */
enum which { OURS, OLD, BARE, NCHAN, MOSQUITTO, SERVERS, CLUSTER = SERVERS };

struct member {
	struct client link; /* the first: nothing is kept in it */
	char id[16];     /* by which it is published to */
	unsigned next;   /* the message that is due */
	int asked;       /* its request is out */
	int digits;      /* of a mark under way, -1: none */
	unsigned mark;
	unsigned char head[10]; /* of the frame under way */
	unsigned nhead;         /* bytes of it that came */
	unsigned char ping[125]; /* the payload of one under way */
	uint64_t left;          /* bytes of its payload that did not */
	unsigned long frames, pings, pongs; /* that came whole */
	size_t cut;      /* bytes of a Ping that is not all out */
	size_t rest;     /* bytes that came with the answer, unread */
	char session[33]; /* the secret of one that can be resumed */
	unsigned long seen; /* its texts, before this connection */
	int lost;        /* it had to begin anew */
	int gone;        /* the server closed the connection */
};

extern struct member client[CLIENTS_MAX];

/* Says why, with errno, ends the server, exits. */
void give_up(const char *why);

/* CLOCK_MONOTONIC, ns. */
int64_t now(void);

/*
 * This process gets only the CPU time that the meter leaves from now on; unless
 * rounds is 1: on a busy machine it would get next to none.
 */
void yield_to_meter(void);

/* -------------------------------------------------------------- bench.c */

struct work {
	int fanout;      /* or to one device each */
	unsigned first;  /* number of the first message */
	unsigned clients, size;
	unsigned ahead;  /* messages that are not delivered yet */
	unsigned messages;
	int tls;
	int session;     /* they ask for one that can be resumed */
	unsigned slow;   /* of the clients do not read */
	int64_t pause;   /* ns from one message to the next; 0: as fast as goes */
	int end;         /* once this can be read from it is over; 0: none */
	int64_t lasting; /* or once so many ns have passed; 0: no end */
};

#define FAN(n, bytes, window, number) { .fanout = 1, .clients = n, \
    .size = bytes, .ahead = window, .messages = number }
#define ONE(n) { .clients = n, .size = 200, .ahead = 16, .messages = 40000 }

struct result {
	unsigned published;
	double us;       /* of the server, a delivery */
	double rate;     /* deliveries a second */
	double p50, p99, p999, max; /* us from publishing to receiving */
};

#define ROUNDS 5
extern int rounds; /* 1: quick */

/*
 * Clients are in: publishes, and waits until all is delivered, or until a
 * client is gone.
 */
struct result deliver(const struct work *w);

/* Starts the server, has clients join, delivers, and ends all that. */
struct result run(enum which server, const struct work *w);

/*
 * CPU us of a client's entrance, and resident bytes of one that is in and idle.
 */
double handshakes(enum which server, int tls, unsigned n, double *bytes);

void title(const char *words, const char *columns);

/* Both sort. part is a number such as 0.99; of no numbers it is 0. */
double median(double *x, int n);
double quantile(double *x, unsigned long n, double part);

/* ------------------------------------------------------------ hostile.c */

/* Rows of hubs alone: ours, and the old one beside it. */
void hostile(void);

/* ----------------------------------------------------------- sessions.c */

/* Rows of our hub: what it costs to be known, and to miss nothing. */
void sessions(void);

/* -------------------------------------------------------------- watch.c */

/* Rows of our hub: what it costs to be watched, and asked who is there. */
void watchers(void);

/* -------------------------------------------------------------- relay.c */

/* Rows of two hubs with relays and mosquitto between them. */
void relays(void);

/*
 * Runs mosquitto, two hubs and two relays until SIGTERM; their sockets are in
 * dir. And waits, in another process, until both relays are connected.
 */
void cluster_run(const char *wshub, const char *dir, const char *conf,
    const unsigned port[2], unsigned mqtt_port);
void cluster_await(const char *dir);

/* ------------------------------------------------------------ servers.c */

extern const char *const server_names[SERVERS];
extern unsigned ws_port, wss_port; /* of the server that runs */
extern unsigned ws_port_2;         /* of a CLUSTER's second hub, or 0 */
extern const char *certs;          /* the directory; NULL: no wss:// */
extern unsigned server_ping;       /* --ping of a hub that is started next */
extern unsigned server_resume;     /* --resume of it; 0: the default */
extern unsigned server_groups;     /* so many channels for what is for all */

extern int server_interest;        /* the relays of a CLUSTER have it */
extern int server_tokens;          /* it wants them, and clients have them */

/*
 * Before all else: the hub's binary, and another's to compare it with, or NULL.
 * Makes a directory, which close removes.
 */
void servers_open(const char *wshub, const char *old);
void servers_close(void);

/* Whether it is installed. */
int server_there(enum which w);

/*
 * Starts it on the first CPU; one at a time. The first n clients are to hear
 * what is for all, the others what is for them alone.
 */
void server_start(enum which w, unsigned n);
void server_stop(void);

/* CPU time so far, ns, as the scheduler counts it, and resident bytes. */
double server_cpu(void);
double server_memory(void);

/* A CLUSTER's only: resident bytes of its program of that number. */
double server_part_memory(int child);

/* And: kills its broker, and starts it again. */
void server_restart_broker(void);

/* Where sockets are. */
const char *server_directory(void);

/* The most resident bytes since the last forgetting, where that is allowed. */
double server_peak(void);
void server_forget_peak(void);

/* Hubs only: sends SIGSTOP or SIGCONT to the process that serves. */
void server_signal(int number);

/*
 * What client i says next to be in, after n bytes have come: writes it and
 * returns its length, 0 if it is in, -1 if more must come first.
 */
int server_greet(unsigned i, const char *told, size_t n, char *out);

/* All clients are in: has them subscribe, where that is a message. */
void server_settle(void);

/* Publishes to group g (to == -1 - g), or to client to: by flush, all. */
void server_publish(const char *payload, size_t len, int to);
void server_flush(void);

/* Hubs only: one more connection to the control socket. */
int server_backend(void);

/* Hubs only: writes an object and its newline, and waits for this reply. */
void server_ask(int fd, const char *object, const char *reply);

/* Writes all of it. */
void put_all(int fd, const void *data, size_t len);

/* ------------------------------------------------------------ clients.c */

/*
 * Connects clients from to end - 1, "together" of them at a time, and has the
 * server take them in. tls: 1, or 2 to resume the session of an earlier one.
 */
void clients_join(unsigned from, unsigned end, unsigned together, int tls);
void clients_leave(unsigned from, unsigned end);

/* What those that join ask for: nothing, a session, or the one they had. */
enum { NO_SESSION, NEW_SESSION, OLD_SESSION };
extern int clients_session;

/* The texts that a client has received since its session began. */
unsigned long client_seen(const struct member *c);

/* Connects them by TCP, and no more. */
void clients_connect(unsigned from, unsigned end);

/*
 * Reads what is there: how many marks came, of which the first are put into
 * marks, at most room. Counts frames, and answers Pings.
 */
unsigned client_take(struct member *c, unsigned *marks, unsigned room);

/*
 * Sends n Pings without payload by ws://, at most PINGS_MAX, as far as the
 * socket takes them: the next time goes on where that was.
 */
#define PINGS_MAX 700
void client_ping(struct member *c, unsigned n);

/* A server may close connections; otherwise that ends the bench. */
extern int clients_may_go;

/*
 * What BearSSL's primitives take for a full handshake: a signature, an
 * ephemeral key and the agreement; ns of CPU. 0 without TLS.
 */
double primitives(void);

/* And what its engine takes for one, in memory, with a chain of one and the
 * only suite that it has; ns of CPU. */
double engine(void);

/* 0 without TLS here. */
int clients_tls(void);

#endif
