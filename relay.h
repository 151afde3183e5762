/* wshub: ISC licence, see LICENSE. */
/*
 * The interface of every module of "wshub relay", see ws.h for the others and
 * for the conventions.
 *
 *   mqtt.c     MQTT 3.1.1: packets                     no I/O, no allocation
 *   topic.c    topics, and the commands that they stand for    no descriptors
 *   local.c    a backend of the relay: commands, replies       no descriptors
 *   deliver.c  commands for the hub, and its answers           no descriptors
 *   interest.c which devices and channels the hub has          no descriptors
 *   broker.c   a session with the broker
 *   link.c     connections that are made again
 *   bridge.c   the relay's loop, between hub, broker and backends
 *   connect.c  sockets to the hub and to the broker
 *   relay.c    the two processes
 *
 * main -> relay -> { connect, bridge -> { local -> { stream, topic -> command },
 *                                         deliver,
 *                                         broker -> { interest -> topic,
 *                                                     mqtt },
 *                                         link -> poll } }
 */
#ifndef RELAY_H
#define RELAY_H

#include "ws.h"

/* ----------------------------------------------------------------- mqtt.c */

/* Types of control packets, MQTT 3.1.1 section 2.2.1. */
enum {
	WS_MQTT_CONNECT = 1, WS_MQTT_CONNACK, WS_MQTT_PUBLISH, WS_MQTT_PUBACK,
	WS_MQTT_PUBREC, WS_MQTT_PUBREL, WS_MQTT_PUBCOMP, WS_MQTT_SUBSCRIBE,
	WS_MQTT_SUBACK, WS_MQTT_UNSUBSCRIBE, WS_MQTT_UNSUBACK,
	WS_MQTT_PINGREQ, WS_MQTT_PINGRESP, WS_MQTT_DISCONNECT
};

#define WS_MQTT_TEXT_MAX 65535 /* bytes of a string, section 1.5.3 */
#define WS_MQTT_HEAD_MAX 5     /* bytes of a fixed header, section 2.2 */

/* A packet from a server. */
struct ws_mqtt_packet {
	unsigned type;
	unsigned id;         /* packet identifier; 0: it has none */
	unsigned qos, retain, dup; /* of a PUBLISH */
	struct ws_text topic, payload; /* of a PUBLISH */
	size_t skip;         /* bytes of payload that follow and are too many */
	unsigned code;       /* of a CONNACK: its return code */
	unsigned session_present;
	const unsigned char *codes; /* of a SUBACK: a byte for each filter */
	size_t ncodes;
	const char *error;   /* WS_BAD: a static string */
};

/*
 * Parses one control packet that a server may send to a client, at the
 * beginning of len bytes.
 *
 * > 0      the bytes used: *p describes it, and its texts point to buf.
 * WS_MORE  valid so far. It needs no more than WS_MQTT_HEAD_MAX + 2 +
 *          WS_MQTT_TEXT_MAX + 2 + limit bytes.
 * WS_BAD   the server violated the protocol; p->error says how. That is
 *          reported at the first byte of the fixed header or of a topic's
 *          length that shows it, and otherwise once the packet (or, of one to
 *          be skipped, what is before the payload) is complete.
 *
 * If the payload of a PUBLISH is longer than limit, p->payload is empty: the
 * bytes used end before it, and the caller skips the p->skip bytes that follow.
 * Other packets may have limit bytes after the fixed header.
 *
 * The topic is UTF-8 without NUL and without wildcards, and not empty (sections
 * 1.5.3 and 3.3.2.1). QoS 2 is an error, as we never ask for it.
 */
ssize_t ws_mqtt_packet(struct ws_mqtt_packet *p, const void *buf, size_t len,
    size_t limit);

/* What a CONNACK's return code means, section 3.2.2.3: a static string. */
const char *ws_mqtt_refusal(unsigned code);

/*
 * The following functions write a packet, or a part of one, to out, and return
 * its length. Texts are valid UTF-8 without NUL of at most WS_MQTT_TEXT_MAX
 * bytes.
 */

/* What a CONNECT contains, section 3.1. Texts with s NULL are left out. */
struct ws_mqtt_connect {
	struct ws_text client_id;
	unsigned keep_alive; /* seconds, 0 to 65535 */
	int clean_session;
	struct ws_text will_topic, will_message;
	unsigned will_qos;
	int will_retain;
	struct ws_text user, password; /* no password without a user */
};

/* out has ws_mqtt_connect_size(c) bytes of room, which is also the length. */
size_t ws_mqtt_connect_size(const struct ws_mqtt_connect *c);
size_t ws_mqtt_connect(unsigned char *out, const struct ws_mqtt_connect *c);

/*
 * A PUBLISH of QoS 1, or 0 if id is 0, up to its payload of len bytes, which
 * the caller writes after it. out has WS_MQTT_PUBLISH_ROOM(topic.len) bytes.
 */
#define WS_MQTT_PUBLISH_ROOM(len) (WS_MQTT_HEAD_MAX + 2 + (len) + 2)
size_t ws_mqtt_publish(unsigned char *out, struct ws_text topic, size_t len,
    unsigned id, int dup);

/*
 * The beginning of a SUBSCRIBE (of QoS 1 for each filter) or UNSUBSCRIBE with
 * that identifier, whose filters take len bytes; and one filter, which is
 * WS_MQTT_FILTER_SIZE(type, filter.len) bytes long.
 */
#define WS_MQTT_FILTERS_ROOM (WS_MQTT_HEAD_MAX + 2)
#define WS_MQTT_FILTER_SIZE(type, len) \
    (2 + (len) + ((type) == WS_MQTT_SUBSCRIBE))
size_t ws_mqtt_filters(unsigned char out[WS_MQTT_FILTERS_ROOM], unsigned type,
    unsigned id, size_t len);
size_t ws_mqtt_filter(unsigned char *out, unsigned type,
    struct ws_text filter);

/* A PUBACK; a PINGREQ or DISCONNECT. */
size_t ws_mqtt_puback(unsigned char out[4], unsigned id);
size_t ws_mqtt_empty(unsigned char out[2], unsigned type);

/* ---------------------------------------------------------------- topic.c */

/* Bytes of a name in a topic: each byte may become %XX. */
#define WS_TOPIC_NAME_MAX (3 * WS_NAME_MAX)

/* Bytes of a topic below the prefix: "channel/" and a name. */
#define WS_TOPIC_MAX (8 + WS_TOPIC_NAME_MAX)

#define WS_PREFIX_MAX 255 /* bytes of the prefix */

enum ws_topic_kind {
	WS_TOPIC_ALL, WS_TOPIC_CHANNEL, WS_TOPIC_DEVICE, WS_TOPIC_ORDER,
	WS_TOPICS
};

/*
 * Writes the topic, below the prefix, of a device or channel: "device/NAME".
 * In a name, control characters (with U+0080 to U+009F), code points that are
 * no characters, a space, and / + # % . * > are percent-encoded, in capitals.
 * (The last three and the space mean something to NATS.) Returns its length.
 */
size_t ws_topic_write(char out[WS_TOPIC_MAX], enum ws_topic_kind kind,
    struct ws_text name);

/*
 * Reads a topic below the prefix: its kind, or -1 with *error, a static string,
 * if it is no topic of ours. The name is decoded to buf: 1 to WS_NAME_MAX bytes
 * of UTF-8.
 */
int ws_topic_read(struct ws_text topic, char buf[WS_NAME_MAX],
    struct ws_text *name, const char **error);

/*
 * Appends the command that a message stands for, as one line of JSON with a
 * newline. A payload that is not JSON becomes a JSON string, but that of an
 * order must be a command that is no question. 0; or -1 with *error, a static
 * string, and then nothing is appended. If out->failed is 1 afterwards, there
 * was no memory.
 */
int ws_topic_command(struct ws_output *out, struct ws_text topic,
    struct ws_text payload, const char **error);

/*
 * The opposite: which topic a command is to be published to, and the payload,
 * which is a part of object, or object itself. Returns the length of the topic.
 */
size_t ws_topic_of(const struct ws_command *cmd, struct ws_text object,
    char out[WS_TOPIC_MAX], struct ws_text *payload);

/* ---------------------------------------------------------------- local.c */

#define WS_LOCAL_FLIGHT 256 /* commands of a backend without a reply */

/* A reply to come, or one that cannot be sent before others. */
struct ws_local_reply {
	unsigned char done; /* else the broker has not acknowledged it */
	unsigned char failed;   /* it is ERR */
	unsigned char newline;  /* one has followed the command */
	char *detail;           /* allocated; NULL: "relayed", or no memory */
};

/* A backend of the relay: commands in, replies out. Zero it to begin. */
struct ws_local {
	/*
	 * Publishes the payload to a topic below the prefix. 0: then
	 * ws_local_answer is to be called once. -1: detail says why not.
	 */
	int (*publish)(struct ws_local *l, struct ws_text topic,
	    struct ws_text payload, char detail[WS_ERROR_MAX]);
	struct ws_stream in;
	struct ws_output out;  /* replies, which the caller sends */
	uint64_t objects, errors; /* how many there were */
	unsigned char open;      /* whether a newline may follow the last text */
	unsigned char lines;     /* the backend writes newlines */
	unsigned char line_open; /* the last reply's line has no end yet */
	char detail[WS_ERROR_MAX]; /* of the last reply that was written */
	char error[WS_ERROR_MAX];  /* of an invalid text that is skipped */
	struct ws_local_reply replies[WS_LOCAL_FLIGHT]; /* a ring */
	unsigned first, count;
};

/*
 * Takes commands, replies as the hub does (see control.c and PROTOCOL), but OK
 * only when the broker has acknowledged it, with the detail "relayed". A
 * question is an error. Returns how many bytes it took: fewer than len if
 * WS_LOCAL_FLIGHT commands have no reply yet, or much of l->out has not been
 * sent. If l->out.failed is 1 afterwards, there was no memory for a reply:
 * close the connection.
 */
size_t ws_local_feed(struct ws_local *l, const char *data, size_t len);

/* As ws_control_resyncing, ws_control_resync and ws_control_end. */
int ws_local_resyncing(const struct ws_local *l);
void ws_local_resync(struct ws_local *l);
void ws_local_end(struct ws_local *l);

/*
 * The broker has acknowledged the oldest command that was published and has no
 * answer yet; or, if error is not NULL, it will not. error is NUL-terminated
 * and shorter than WS_ERROR_MAX.
 */
void ws_local_answer(struct ws_local *l, const char *error);

void ws_local_free(struct ws_local *l);

/* -------------------------------------------------------------- deliver.c */

#define WS_DELIVER_FLIGHT 1024 /* commands without an answer */

/* A command that the hub has not answered. */
struct ws_delivery {
	uint32_t len;     /* bytes, with the newline */
	uint16_t id;      /* packet identifier of its PUBLISH; 0: none */
	unsigned session; /* a number for the connection that it came by */
};

/* Commands for the hub. Zero it to begin. */
struct ws_deliver {
	/*
	 * The hub has answered a command: ok is 1 for OK, and detail is what
	 * follows, cut to WS_ERROR_MAX bytes.
	 */
	void (*answered)(struct ws_deliver *d, const struct ws_delivery *p,
	    struct ws_text command, int ok, struct ws_text detail);
	struct ws_output out; /* commands; ws_topic_command appends them */
	size_t begin; /* offset in out of the oldest without an answer */
	size_t sent;  /* offset of what has not been sent */
	size_t end;   /* offset where the next command begins */
	struct ws_delivery ring[WS_DELIVER_FLIGHT];
	unsigned first, count;
	char reply[WS_ERROR_MAX]; /* a line that is not complete */
	size_t reply_len;
};

/* Whether no more should be added: too many commands, or 1 MiB of them. */
int ws_deliver_full(const struct ws_deliver *d);

/*
 * A command has been appended to d->out. It must not be full. Without a command
 * it is answered in its turn, as if it were OK.
 */
void ws_deliver_added(struct ws_deliver *d, unsigned id, unsigned session);

/* What is to be sent; and n bytes of it have been. */
struct ws_text ws_deliver_unsent(const struct ws_deliver *d);
void ws_deliver_sent(struct ws_deliver *d, size_t n);

/* The hub has a new connection: all without an answer is to be sent again. */
void ws_deliver_again(struct ws_deliver *d);

/* Reads answers. -1: the peer is no hub, the connection should be closed. */
int ws_deliver_reply(struct ws_deliver *d, const char *data, size_t len);

void ws_deliver_free(struct ws_deliver *d);

/* ------------------------------------------------------------- interest.c */

#define WS_INTEREST_BATCH 16384 /* bytes of filters in a packet */

struct ws_interest_topic;

/*
 * The topics of the devices and channels that the hub has, and which of these
 * are subscribed to. Zero it to begin.
 */
struct ws_interest {
	struct ws_interest_topic **buckets;
	uint32_t nbuckets, count;
	struct ws_interest_topic *changed, **changed_end; /* a list */
	unsigned char key[16]; /* for the hash table, random */
	uint32_t round;   /* of the snapshot that was asked for last */
	unsigned telling; /* snapshots that were asked for and have not ended */
};

/* Initialises a zeroed one: 0, or -1 with errno: there are no random bytes. */
int ws_interest_init(struct ws_interest *i);

/* The command for the hub, with a newline. A snapshot follows. */
extern const char ws_interest_watch[];

/*
 * The hub has been asked: what the snapshot does not contain is gone. first: on
 * a new connection to it.
 */
void ws_interest_begin(struct ws_interest *i, int first);

/*
 * Reads a line from the hub, without its newline. 0; 1: events were lost, ask
 * the hub again; or -1 with *error, a static string: the line is not valid, or
 * there is no memory, and the connection should be closed.
 */
int ws_interest_line(struct ws_interest *i, const char *line, size_t len,
    const char **error);

/*
 * The subscription to a topic of ours, below the prefix, is not wanted any more
 * unless the hub has it: a message came that nobody took.
 */
void ws_interest_stale(struct ws_interest *i, struct ws_text topic);

/* Nothing is subscribed to: the broker has a new connection. */
void ws_interest_forget(struct ws_interest *i);

/*
 * Writes the filters that have to be subscribed to or unsubscribed from next,
 * at most WS_INTEREST_BATCH bytes of them: returns the length, and *type
 * (WS_MQTT_SUBSCRIBE or WS_MQTT_UNSUBSCRIBE); 0 if there is nothing to do.
 * The prefix has at most WS_PREFIX_MAX bytes. *n is the number of filters.
 */
size_t ws_interest_filters(struct ws_interest *i, const char *prefix,
    unsigned char out[WS_INTEREST_BATCH], unsigned *type, unsigned *n);

void ws_interest_free(struct ws_interest *i);

/* --------------------------------------------------------------- broker.c */

#define WS_BROKER_FLIGHT 4096 /* commands that it has not acknowledged */
#define WS_BROKER_PENDING 4 /* SUBSCRIBE and UNSUBSCRIBE without an answer */

struct ws_local;

/* A session with the broker. Its owner zeroes it and sets the first members. */
struct ws_broker {
	const struct ws_relay *r;
	void *arg;
	/*
	 * A message with QoS 0 or 1 (p->id is 0 or not); if p->skip is not 0,
	 * it is too long and has no payload. Returns 0, and ws_broker_answer
	 * may follow; or -1: it cannot be taken before ws_broker_resume.
	 */
	int (*message)(struct ws_broker *b, const struct ws_mqtt_packet *p);
	/* A command has been acknowledged; or, with error, will not be. */
	void (*acknowledged)(struct ws_broker *b, struct ws_local *l,
	    const char *error);
	struct ws_output out; /* what is to be sent */
	const char *error;    /* of the last function that has returned -1 */
	char refused[64];     /* room for such an error */
	unsigned session;     /* the number of the connection */
	unsigned char ready;  /* the broker has accepted us */
	unsigned char paused; /* message has returned -1 */
	unsigned char pinged; /* PINGREQ has no answer yet */
	unsigned char pending; /* SUBSCRIBE and UNSUBSCRIBE without one */
	unsigned char *in;    /* what was received and not processed */
	size_t in_len, in_room;
	size_t skip;          /* bytes of a payload still to be skipped */
	int64_t heard, spoke; /* ms: when we last received or sent something */
	int64_t asked;        /* ms: since when we wait for an answer; 0: not */
	int64_t acked;        /* ms: the last acknowledgement, or since when we
	                         wait for one; 0: we do not */
	uint16_t next_id, next_pending; /* packet identifiers */
	uint16_t base_id;     /* of the SUBSCRIBE that ws_broker_begin sends */
	struct ws_broker_flight {
		struct ws_local *local; /* NULL: it has left */
		uint16_t id;
		unsigned char done;
	} flight[WS_BROKER_FLIGHT]; /* a ring */
	unsigned first, count;
	uint64_t repeated;    /* messages with DUP */
	uint64_t strange;     /* acknowledgements of what was not sent */
};

/* A new connection: writes CONNECT. The old one's commands are given up. */
void ws_broker_begin(struct ws_broker *b, int64_t now);

/*
 * Reads from the socket and processes what has arrived: 0, or -1 with b->error:
 * the connection is to be closed.
 */
int ws_broker_read(struct ws_broker *b, int fd, int64_t now);

/* Processes the rest of what was received before a pause; likewise. */
int ws_broker_resume(struct ws_broker *b);

/* Acknowledges a message of this session. */
void ws_broker_answer(struct ws_broker *b, unsigned id, unsigned session);

/* Whether it takes another WS_LOCAL_FLIGHT commands. */
int ws_broker_takes(const struct ws_broker *b);

/* Publishes a payload to a topic below the prefix: 0, or -1 with b->error. */
int ws_broker_publish(struct ws_broker *b, struct ws_local *l,
    struct ws_text topic, struct ws_text payload);

/* A backend has left: nobody waits for its commands. */
void ws_broker_leave(struct ws_broker *b, const struct ws_local *l);

/* Subscribes to what the hub needs now, and unsubscribes from the rest. */
void ws_broker_follow(struct ws_broker *b, struct ws_interest *i);

/*
 * Sends PINGREQ if it is time, and notices a broker that is silent: -1 with
 * b->error. *next becomes when to call it again, if that is earlier.
 */
int ws_broker_check(struct ws_broker *b, int64_t now, int64_t *next);

/* The connection is lost, or ends: all commands without an answer fail. */
void ws_broker_end(struct ws_broker *b, const char *error);
void ws_broker_free(struct ws_broker *b);

/* ----------------------------------------------------------------- link.c */

/*
 * The bridge asks the connector for a connection by a byte, one of these, and
 * gets a message of one kind with a descriptor (SCM_RIGHTS), whose connection
 * may not be complete yet (EINPROGRESS), or with an error.
 */
enum {
	WS_CONNECT_HUB = 'H', WS_CONNECT_WATCH = 'W', WS_CONNECT_BROKER = 'B'
};
struct ws_connected {
	unsigned char kind;      /* one of these */
	unsigned char failed;    /* there is no descriptor */
	char text[190]; /* of an error; else the peer's address, with a NUL */
};

/* Of the connector to the bridge, in place of kind. */
enum { WS_BRIDGE_STOP = 'S', WS_BRIDGE_LOG = 'R' };

/*
 * Send and receive without waiting. They return how many bytes; 0 if the socket
 * is full, or if the peer has closed the connection; or, with errno, -1 and
 * WS_ERROR. ws_receive_some returns WS_WANT_IN if nothing has arrived. With
 * peek, the bytes remain in the socket.
 */
ssize_t ws_send_some(int fd, const void *data, size_t len);
ssize_t ws_receive_some(int fd, void *data, size_t room, int peek);

enum ws_link_state {
	WS_LINK_DOWN, WS_LINK_ASKED, WS_LINK_CONNECTING, WS_LINK_UP
};

/* A connection that is made again whenever it is lost. */
struct ws_link {
	struct ws_conn conn;
	enum ws_link_state state;
	char request;      /* WS_CONNECT_HUB ... */
	const char *name;  /* in the log; NUL-terminated, static */
	int retry_max;     /* ms */
	int64_t at;        /* ms: when to try again, or to give up trying */
	int64_t since;     /* ms: when it was established */
	unsigned failures; /* since it was stable */
	unsigned shorts;   /* times that it was established and soon lost */
	char peer[sizeof ((struct ws_connected *)0)->text];
};

/* Initialises a zeroed one, to be asked for at once. */
void ws_link_init(struct ws_link *l, unsigned kind, int request,
    const char *name, int retry_max);

/* Asks the connector for a connection. */
void ws_link_ask(struct ws_link *l, int connector, int64_t now);

/*
 * Takes the connector's answer. NULL; or why there is no connection: then it is
 * to be lost.
 */
const char *ws_link_take(struct ws_link *l, struct ws_poll *p,
    const struct ws_connected *m, int fd, int64_t now);

/* The connection can be written to, or has failed; likewise. */
const char *ws_link_finish(struct ws_link *l, int64_t now);

/*
 * Closes the connection, if there is one, and sets when to try again. Returns
 * the ms until then.
 */
int ws_link_lose(struct ws_link *l, struct ws_poll *p, int established,
    int64_t now, uint32_t *seed);

/* --------------------------------------------------------------- bridge.c */

/* How a relay is started. Texts are NUL-terminated. */
struct ws_relay {
	const char *hub;     /* path of its control socket */
	const char *path;    /* of the broker's Unix socket; NULL: host, port */
	char host[256], port[6];
	char prefix[WS_PREFIX_MAX + 1];
	char id[256];        /* the client identifier */
	char user[256], password[256]; /* "": none */
	int interest;
	int control_fd;      /* the listening socket for backends */
	unsigned max_backends; /* WS_BACKENDS_MAX, or fewer */
};

/*
 * Runs the bridge on the socket to the connector until it is told to stop or
 * the connector has ended. It writes a byte 'R' to the socket once backends can
 * connect. Returns the exit status.
 */
int ws_bridge_run(struct ws_relay *r, int connector);

/* ---------------------------------------------------------------- relay.c */

/*
 * Reads the file with the user's name and password, a line each, which only its
 * owner may be able to read: 0, or -1 with an error message that contains no
 * part of them.
 */
int ws_relay_read_user(struct ws_relay *r, const char *path,
    char error[WS_ERROR_MAX]);

/*
 * Runs the bridge in a child process, without privileges, and the connector in
 * this one. Of the setup it uses uid, gid, control, control_fd and files.
 * Returns the exit status, in this process only.
 */
int ws_relay_run(struct ws_setup *s, struct ws_relay *r);

/* -------------------------------------------------------------- connect.c */

/*
 * Reads a broker's address, "mqtt://HOST[:PORT]" or "mqtt+unix:PATH": 0, and
 * r->host and r->port, or r->path, which points into it; or -1 with an error
 * message that contains no password.
 */
int ws_connect_parse(struct ws_relay *r, const char *address,
    char error[WS_ERROR_MAX]);

/*
 * Makes the C library load what it needs to resolve names, before that becomes
 * impossible.
 */
void ws_connect_prepare(const struct ws_relay *r);

/*
 * Begins to connect, and returns a non-blocking, close-on-exec socket, or -1
 * with an error. The broker's host is resolved anew each time; with several
 * addresses, each call begins with the next, and goes on if that fails at once.
 * c->text gets the peer's address.
 */
int ws_connect(const struct ws_relay *r, struct ws_connected *c);

#endif
