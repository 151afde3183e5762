/* wshub: ISC licence, see LICENSE. */
/*
 * What a delivery costs, beside other servers: make bench.
 *
 *   bench.c    what is measured, and the table
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

#define CLIENTS_MAX 16000
#define PAYLOAD_MAX 16384
#define TOLD_MAX 640 /* bytes that bring a client in, at most */

enum which { OURS, BARE, NCHAN, MOSQUITTO, SERVERS };

struct tls;

struct client {
	int fd;
	char id[16];     /* by which it is published to */
	unsigned next;   /* the message that is due */
	int asked;       /* its request is out */
	int digits;      /* of a mark under way, -1: none */
	unsigned mark;
	struct tls *tls;
};

extern struct client client[CLIENTS_MAX];

/* Says why, with errno, ends the server, exits. */
void give_up(const char *why);

/* CLOCK_MONOTONIC, ns. */
int64_t now(void);

/* ------------------------------------------------------------ servers.c */

extern const char *const server_names[SERVERS];
extern unsigned ws_port, wss_port; /* of the server that runs */
extern const char *certs;          /* the directory; NULL: no wss:// */

/* Before all else: the hub's binary. Makes a directory, which close removes. */
void servers_open(const char *wshub);
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

/*
 * What client i says next to be in, after n bytes have come: writes it and
 * returns its length, 0 if it is in, -1 if more must come first.
 */
int server_greet(unsigned i, const char *told, size_t n, char *out);

/* All clients are in: has them subscribe, where that is a message. */
void server_settle(void);

/* Publishes to all who hear that (to == -1), or to a client: by flush, all. */
void server_publish(const char *payload, size_t len, int to);
void server_flush(void);

/* ------------------------------------------------------------ clients.c */

/*
 * Connects clients from to end - 1, "together" of them at a time, and has the
 * server take them in. tls: 1, or 2 to resume the session of an earlier one.
 */
void clients_join(unsigned from, unsigned end, unsigned together, int tls);
void clients_leave(unsigned from, unsigned end);

/* Reads what is there: how many marks came, at most room of them. */
unsigned client_take(struct client *c, unsigned *marks, unsigned room);

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
