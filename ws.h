/* wshub: ISC licence, see LICENSE. */
/*
 * The one header: conventions, limits, and the interface of every module.
 *
 *   ws.c       RFC 6455: accept key, frames, UTF-8     no I/O, no allocation
 *   http.c     request heads, answers to them          no I/O, no allocation
 *   json.c     RFC 8259: where a text ends, its parts  no I/O, no allocation
 *   token.c    RFC 7519: signed tokens                 no I/O, no allocation
 *   siphash.c  a hash for keys that come from outside  no I/O, no allocation
 *   hub.c      devices, channels, who hears what       no descriptors
 *   queue.c    what waits to be sent to a client       no descriptors
 *   control.c  what a backend says, and its replies    no descriptors
 *   pem.c      PEM: blocks and their labels            no I/O, no allocation
 *   tls.c      BearSSL: certificates, sessions
 *   listen.c   addresses, listening sockets, the control socket's file
 *   poll.c     poll(2): descriptors, hot and cold
 *   wheel.c    deadlines
 *   client.c   a client's life: reads, queue, what is due
 *   backend.c  a backend's life: its turn, input, replies
 *   loop.c     turns: listeners, deadlines, the end
 *   ctl.c      the command that talks to a running hub
 *   mint.c     the command that makes a token
 *   service.c  sockets from a service manager, and words to it
 *   log.c      log lines, error messages
 *   entropy.c  random bytes
 *   memory.c   how much memory there is
 *   sandbox.c  pledge and unveil, here and elsewhere
 *   privdrop.c what root gives up
 *   keeper.c   the two processes, signals
 *
 * main -> keeper -> loop -> { backend -> { control -> { hub, json }, poll },
 *                             client -> { tls, http, ws, queue, poll, wheel } }
 * and never the other way round; log.c and entropy.c are below all. Take ws.c
 * and http.c with this header for framing, json.c for JSON, and for a hub
 * inside another program the files of HUB in test/vendor/Makefile.
 *
 * Conventions
 *
 * Lengths are bytes. Texts are not NUL-terminated unless it says so. Time is
 * milliseconds of CLOCK_MONOTONIC unless it says so.
 *
 * Parsers return the number of bytes they used (>= 0), WS_MORE when the input
 * is right so far but not whole, WS_BAD when it is wrong.
 *
 * Transports return the number of bytes moved (> 0), 0 at the peer's orderly
 * end, WS_WANT_IN or WS_WANT_OUT when the call is to be repeated once the
 * descriptor is readable or writable, WS_ERROR when the connection is lost.
 *
 * Everything else returns 0 or a count, and -1 on failure.
 *
 * Nothing here is thread-safe; separate objects may live in separate threads,
 * but for tls.c, whose sessions share buffers.
 */
#ifndef WS_H
#define WS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WS_VERSION "0.1.0"

/*
 * For systems without it (macOS) SIGPIPE is ignored: by keeper.c and ctl.c, or
 * by the program that the hub is part of. System headers come before this one.
 */
#if defined(AF_UNIX) && !defined(MSG_NOSIGNAL)
#define MSG_NOSIGNAL 0
#endif

enum { WS_MORE = -1, WS_BAD = -2 };
enum { WS_WANT_IN = -1, WS_WANT_OUT = -2, WS_ERROR = -3 };

/* Has memory come nearer, for whoever is to touch it: any address may be. */
#if defined(__GNUC__)
#define WS_PREFETCH(address) __builtin_prefetch((const void *)(address))
#else
#define WS_PREFETCH(address) ((void)(address))
#endif

#define WS_ERROR_MAX 320 /* bytes of an error message, NUL included */

/* Bytes that belong to somebody else. */
struct ws_text {
	const char *s;
	size_t len;
};

/* ------------------------------------------------------------------- ws.c */

#define WS_FRAME_HEAD_MAX 14 /* RFC 6455 section 5.2: 2 + 8 + 4 */
#define WS_CONTROL_MAX 125 /* payload bytes of a control frame, section 5.5 */

/* SHA-1 (FIPS 180-4) of len bytes. */
void ws_sha1(unsigned char digest[20], const void *data, size_t len);

/*
 * Base64 (RFC 4648 section 4) with padding: writes 4 * ((len + 2) / 3) bytes
 * and a NUL to text, returns their number without the NUL.
 */
size_t ws_base64(char *text, const void *data, size_t len);

#define WS_ACCEPT_KEY 29 /* 4 * ((20 + 2) / 3), and a NUL */

/*
 * What proves that a server has read the 24 bytes of a client's
 * Sec-WebSocket-Key (RFC 6455 section 4.2.2), NUL-terminated.
 */
void ws_accept_key(char out[WS_ACCEPT_KEY], const char *key);

/*
 * UTF-8 (RFC 3629) as it streams; zeroed is the start. left == 0 says that
 * what was seen ends at the end of a character.
 */
struct ws_utf8 {
	unsigned char left;   /* continuation bytes still to come */
	unsigned char lo, hi; /* what the next one may be */
};

/*
 * One byte more: 0, or -1 if no text can go on like this. The bounds on the
 * second byte keep out overlong forms, surrogates and anything over U+10FFFF
 * (RFC 3629 section 4).
 */
static inline int
ws_utf8_byte(struct ws_utf8 *u, unsigned char c)
{
	if (u->left != 0) {
		if (c < u->lo || c > u->hi)
			return -1;
		u->left--;
		u->lo = 0x80;
		u->hi = 0xbf;
		return 0;
	}
	if (c < 0x80)
		return 0;
	if (c < 0xc2 || c > 0xf4)
		return -1;
	u->left = (unsigned char)(c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3);
	u->lo = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
	u->hi = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
	return 0;
}

/* Takes len bytes; returns len, or the index of the first that is wrong. */
size_t ws_utf8(struct ws_utf8 *u, const void *data, size_t len);

/* Opcodes, section 5.2, and the FIN bit beside them. */
enum {
	WS_CONT = 0x0,
	WS_TEXT = 0x1,
	WS_BINARY = 0x2,
	WS_CLOSE = 0x8,
	WS_PING = 0x9,
	WS_PONG = 0xa,
	WS_FIN = 0x80
};

/* Close codes, section 7.4.1 and the IANA registry. */
enum {
	WS_CLOSE_NORMAL = 1000,
	WS_CLOSE_GOING_AWAY = 1001,
	WS_CLOSE_PROTOCOL = 1002,
	WS_CLOSE_NO_STATUS = 1005, /* never on the wire: a Close without one */
	WS_CLOSE_BAD_DATA = 1007,
	WS_CLOSE_TOO_BIG = 1009,
	WS_CLOSE_TRY_LATER = 1013
};

/* Reads the frames of one direction of one connection. */
struct ws_framer {
	uint32_t limit; /* payload bytes a message may have */
	uint32_t size;  /* of the message under way, this frame included */
	uint32_t left;  /* of the frame under way, not yet seen */
	unsigned char mask[4];
	struct ws_utf8 utf8;
	unsigned char masked;  /* frames must be masked: we are the server */
	unsigned char message; /* opcode of the message under way, or 0 */
	unsigned char frame;   /* while left > 0: its FIN bit | 1, else 0 */
	unsigned char turn;    /* which mask byte is next */
};

/* What ws_framer_next found. */
struct ws_event {
	unsigned opcode; /* WS_TEXT, WS_BINARY (a piece of such a message),
	                    WS_CLOSE, WS_PING, WS_PONG (whole) */
	int first, last; /* of the message, for pieces; both set for the rest */
	unsigned char *data; /* unmasked, in the caller's buffer; of WS_CLOSE
	                        the reason, without the code's two bytes */
	size_t len;
	unsigned code;   /* WS_CLOSE: the peer's or 1005; WS_BAD: ours */
	const char *reason; /* WS_BAD: static text */
};

/* masked: 1 to read a client's frames, 0 to read a server's (section 5.1). */
void ws_framer_init(struct ws_framer *f, int masked, uint32_t limit);

/*
 * Reads one control frame, whole, or the next piece of a data frame: its head
 * and as much payload as there is. Payload is unmasked in place and checked:
 * the bytes used are not to be given again, the others are.
 *
 * > 0      bytes used; *e says what they were. A data frame's head with no
 *          payload yet is a piece of no bytes.
 * WS_MORE  nothing was used, of *f and buf nothing changed. That is fewer than
 *          131 bytes: 2 + 4 + 125.
 * WS_BAD   the peer broke a rule, found at the earliest byte that shows it (a
 *          Close's payload when it is whole); e->code and e->why are set, and
 *          the framer is done.
 *
 * Data after a Close is for the caller not to read.
 */
ssize_t ws_framer_next(struct ws_framer *f, unsigned char *buf, size_t len,
    struct ws_event *e);

/*
 * Writes a frame's head: first is the opcode with WS_FIN or without, mask is
 * NULL for a server. Returns its length, the shortest that section 5.2 allows.
 */
size_t ws_frame_head(unsigned char out[WS_FRAME_HEAD_MAX], unsigned first,
    uint64_t len, const unsigned char *mask);

/* Masks or unmasks len bytes; turn is the index of the first, modulo 4. */
void ws_mask(unsigned char *data, size_t len, const unsigned char mask[4],
    unsigned turn);

/*
 * Writes an unmasked Close frame: code, unless it is WS_CLOSE_NO_STATUS, and
 * why (NUL-terminated UTF-8, cut to 123 bytes, or NULL). Returns its length.
 */
size_t ws_close_frame(unsigned char out[2 + WS_CONTROL_MAX], unsigned code,
    const char *reason);

/* ----------------------------------------------------------------- http.c */

#define WS_HEAD_MAX 32768  /* bytes of a request head, blank line included */
#define WS_ANSWER_MAX 512  /* bytes of any HTTP answer */
#define WS_KEY_LEN 24      /* Sec-WebSocket-Key: 16 bytes in base64 */
#define WS_SUBPROTOCOL_MAX 255 /* bytes of a subprotocol's name */

/* What is served beside ws:// itself. */
struct ws_http {
	const char *health; /* a path that GET, HEAD and OPTIONS get 200 for */
	const char *const *subprotocols; /* names, the last followed by NULL */
};

/* Reads a request head as it comes; zeroed is the start. */
struct ws_head {
	unsigned short at;    /* bytes seen */
	unsigned short mark;  /* where the part of it begins that at is in */
	unsigned char state;
	unsigned char method; /* once it is known */
	unsigned char host;   /* the field under way is Host */
	unsigned char hosts;  /* fields of that name */
};

/* What it asks for: RFC 6455 section 4.2 and RFC 9112. */
struct ws_request {
	int status;      /* 101, or what to answer instead */
	const char *reason; /* static text, for an answer's body and the log */
	const char *key; /* when 101: WS_KEY_LEN bytes in the head */
	const char *subprotocol; /* when 101: which of o's to speak, or NULL */
};

/*
 * Reads a request head, of which len bytes are at head: call again with all of
 * it (wherever it is by then) and the same *h when more has come. What was
 * given before is not read again until the head is whole. o is NULL or what
 * is served beside ws://; a subprotocol is chosen in the client's order.
 *
 * > 0      bytes of the head, blank line included; what follows are frames.
 *          r->status is 101, 200 (o->health), 405 or 426.
 * WS_MORE  right so far, and len < WS_HEAD_MAX.
 * WS_BAD   r->status is 400, as soon as an offending byte is there (in a Host
 *          header or the authority of a target: when that ends), or when the
 *          head is whole but wrong; or 431.
 *
 * Only after WS_MORE it is to be called again.
 */
ssize_t ws_request(struct ws_head *h, const struct ws_http *o,
    const char *head, size_t len, struct ws_request *r);

/* Writes the 101 answer, section 4.2.2 (no NUL); returns its length. */
size_t ws_accept(char out[WS_ANSWER_MAX], const struct ws_request *r);

/*
 * Writes any other answer (no NUL): status line, the header fields that the
 * status demands (Allow, Upgrade, Sec-WebSocket-Version, Retry-After),
 * Connection: close, Content-Length, and, unless h is of a HEAD request, why
 * with a newline as text/plain. h may be NULL. why is cut to 256 bytes; status
 * is 200, 400, 405, 408, 426, 431 or 503. Returns the answer's length.
 */
size_t ws_answer(char out[WS_ANSWER_MAX], const struct ws_head *h, int status,
    const char *reason);

/* 1 if s (NUL-terminated) is a token, RFC 9110 section 5.6.2. */
int ws_is_token(const char *s);

/* ----------------------------------------------------------------- json.c */

#define WS_JSON_DEPTH 64 /* arrays and objects inside each other */

/* A scan under way; zeroed is the start of a text. */
struct ws_json {
	uint64_t nest;   /* a bit a level, innermost lowest: an object */
	size_t offset;   /* bytes taken so far; after WS_BAD, the wrong one's */
	const char *reason; /* after WS_BAD: static text */
	unsigned char depth, state;
	unsigned char hex; /* where in an escape or a literal */
	struct ws_utf8 utf8;
};

/*
 * Looks for the end of one JSON text (RFC 8259, UTF-8, strict), which may
 * come in any number of pieces. White space before it is taken, after it not.
 *
 * >= 0     the text is whole, and ends after that many bytes of this piece.
 *          0 is possible: a number ends where the next piece begins.
 * WS_MORE  all len bytes were taken.
 * WS_BAD   j->offset is the index of the first byte that no JSON text can
 *          have there, counted from the start of the text; j->why says why.
 *
 * After the end every further call returns 0, after WS_BAD, WS_BAD. Half a
 * surrogate pair written as an escape passes: the grammar allows it.
 */
ssize_t ws_json_scan(struct ws_json *j, const char *piece, size_t len);

/* 1 if what was taken is a whole text (a number at the end of input). */
int ws_json_whole(const struct ws_json *j);

/*
 * Walks an object that ws_json_scan found whole: *rest is all of it at first,
 * and its beginning is moved on. Returns 1 with a member's name and value as
 * they stand in the text, quotes included, or 0 after the last.
 */
int ws_json_member(struct ws_text *rest, struct ws_text *name,
    struct ws_text *value);

/*
 * Decodes a string (quotes included) to UTF-8. Returns its length, or WS_BAD
 * if value is not a string, needs more than cap bytes, or has half of a
 * surrogate pair (RFC 8259 section 8.2). out may be value.s: no string is
 * longer than it is written. After WS_BAD out may have changed.
 */
ssize_t ws_json_string(char *out, size_t cap, struct ws_text value);

/*
 * Copies a value without insignificant white space; out has value.len bytes
 * of room, and may be value.s. Returns the number written. Like the two above
 * it trusts its text: what ws_json_scan has not found whole may be read past.
 */
size_t ws_json_compact(char *out, struct ws_text value);

/* ---------------------------------------------------------------- token.c */

#define WS_TOKEN_MAX 4096       /* bytes of a token */
#define WS_TOKEN_SCRATCH 3072   /* and of what its longest part decodes to */
#define WS_TOKEN_MAC 32         /* bytes of a signature, before base64url */
#define WS_TOKEN_KEYS 16        /* secrets in a key file */
#define WS_TOKEN_SECRET_MIN 32  /* bytes of one: RFC 7518 section 3.2 */
#define WS_TOKEN_FILE_MAX 16384 /* bytes of a key file */
#define WS_TOKEN_CHANNELS 100
#define WS_TOKEN_LEEWAY 30      /* seconds that clocks may differ: nbf */

/*
 * A secret, prepared for signing: the secret itself is not in it, but whoever
 * has it can sign.
 */
struct ws_token_key {
	uint32_t inner[8], outer[8]; /* HMAC's two states, RFC 2104 section 4 */
};

struct ws_token_keys {
	unsigned n;
	struct ws_token_key key[WS_TOKEN_KEYS];
};

/* What a token says. Time is in seconds since 1970. */
struct ws_token {
	long long exp;      /* it is refused from then on */
	struct ws_text sub; /* the device's name; s is NULL: none */
	unsigned nchannels;
	struct ws_text channels[WS_TOKEN_CHANNELS]; /* duplicates included */
	const char *error;  /* after -1: a constant text */
};

/*
 * Overwrites a secret with zeros, even if nothing reads them afterwards. NULL
 * is left alone, whatever len is.
 */
void ws_wipe(void *p, size_t len);

/* Prepares a secret of len bytes, which may then be wiped. */
void ws_token_key(struct ws_token_key *key, const void *secret, size_t len);

/*
 * Prepares the secrets of a key file: one a line, of 32 bytes or more. A line
 * ends with LF, CR LF or the end of the file; empty lines are skipped. There
 * are no comments: since one could be taken for a secret that anybody can
 * guess, a line that begins with # is an error. Returns 0, or -1 with an error
 * message that has the line's number but no part of a secret, and *k zeroed.
 * The bytes may be wiped afterwards.
 */
int ws_token_keys_read(struct ws_token_keys *k, const void *bytes, size_t len,
    char error[WS_ERROR_MAX]);

/* HMAC-SHA-256 (RFC 2104, FIPS 180-4) of len bytes. */
void ws_token_mac(unsigned char mac[WS_TOKEN_MAC],
    const struct ws_token_key *key, const void *data, size_t len);

/*
 * Checks a token: a JSON Web Token (RFC 7519) in JWS compact form (RFC 7515)
 * that one of the keys has signed with HS256. Returns 0 with *t, whose texts
 * are in scratch; or -1 with t->error, which has no byte of the token, and the
 * rest of *t undefined. Without keys every token is refused.
 *
 * "alg" must be "HS256"; "typ", if present, "JWT" in capitals or small letters;
 * "crit" is refused; of the rest of the header only the form matters. "exp" is
 * required; "nbf", "sub" and "channels" are checked if they are present; other
 * claims are ignored. Numbers are rounded down. A name is 1 to 255 bytes of
 * UTF-8 without NUL. Header and claims have at most 64 names each, and none
 * twice. Base64url must be without padding and in its only form (RFC 4648
 * section 3.5). The signature is compared in constant time, and before the
 * claims are looked at.
 */
int ws_token_check(const struct ws_token_keys *k, struct ws_text token,
    long long now, char scratch[WS_TOKEN_SCRATCH], struct ws_token *t);

/*
 * Writes a token that ws_token_check takes, and a NUL: t->exp, t->sub and the
 * channels, if there are any. Returns its length, or -1 with t->error if a name
 * cannot be one or the token would be too long.
 */
ssize_t ws_token_make(char out[WS_TOKEN_MAX + 1],
    const struct ws_token_key *key, struct ws_token *t);

/* -------------------------------------------------------------- siphash.c */

/*
 * SipHash-1-3 of len bytes: for hash tables whose keys others choose. Without
 * the random key, which is 16 bytes, nobody can find many that collide. The
 * same with either byte order. It is not a signature.
 */
uint64_t ws_siphash13(const unsigned char key[16], const void *data,
    size_t len);

/* ------------------------------------------------------------------ hub.c */

#define WS_ID_LEN 15        /* characters of a device id, 6 bits each */
#define WS_NAME_MAX 255     /* bytes of a device's or channel's name */
#define WS_TEXT_MAX 1048576 /* bytes of one object from a backend */

/*
 * A message as it goes on the wire, shared by every queue it stands in:
 * unfragmented and unmasked. Its bytes are at ws_frame_bytes, len of them.
 */
struct ws_frame {
	unsigned refs;
	unsigned queues; /* of clients, that it is in */
	unsigned start; /* where they begin in what follows this struct */
	size_t len;
};

/* Not a flexible array member: C++ has none, and is to read this, too. */
static inline unsigned char *
ws_frame_bytes(const struct ws_frame *f)
{
	return (unsigned char *)(f + 1) + f->start;
}

/* A text frame of a JSON value, compacted. One reference; NULL: no memory. */
struct ws_frame *ws_frame_json(struct ws_text value);

/* Any frame: opcode and payload. One reference; NULL: no memory. */
struct ws_frame *ws_frame_new(unsigned opcode, const void *data, size_t len);

/* Gives back one reference; NULL is allowed. */
void ws_frame_release(struct ws_frame *f);

struct ws_link;
struct ws_channel;

/* A client as the hub knows it. The caller owns the memory. */
struct ws_device {
	struct ws_device *chain; /* next in its hash bucket */
	char id[WS_ID_LEN + 1];  /* NUL-terminated; "" while not joined */
	struct ws_link *links;   /* its channels */
	uint32_t index;          /* in hub->devices */
};

/*
 * Queues f for d (taking a reference of its own if it keeps it): 1, or 0 if d
 * cannot be sent to any more. Must not join or leave devices: mark, and do it
 * later.
 */
typedef int ws_deliver(struct ws_device *d, struct ws_frame *f, void *arg);

struct ws_hub {
	ws_deliver *deliver;
	void *arg;
	struct ws_device **devices; /* all of them, in no order */
	uint32_t count, room;
	struct ws_device **buckets; /* by id */
	uint32_t nbuckets;
	struct ws_channel **channels; /* by name */
	uint32_t nchannels, channel_buckets;
	struct ws_link **links; /* by device and channel */
	uint32_t nlinks, link_buckets;
	int64_t budget; /* deliveries until ws_control_feed pauses */
	unsigned char pool[240]; /* random bytes not yet used */
	unsigned npool;
};

/* -1 with errno: no memory. A hub that failed needs no ws_hub_free. */
int ws_hub_init(struct ws_hub *h, ws_deliver *deliver, void *arg);

/* The devices must have left. */
void ws_hub_free(struct ws_hub *h);

/* Gives d (zeroed by the caller) an id and takes it in. -1 with errno. */
int ws_hub_join(struct ws_hub *h, struct ws_device *d);

/* Takes d out, and out of its channels; a d that is not in is left alone. */
void ws_hub_leave(struct ws_hub *h, struct ws_device *d);

/* The device of that id, or NULL. */
struct ws_device *ws_hub_find(const struct ws_hub *h, struct ws_text id);

/*
 * Two steps towards the device of that id, which among 10,000 is in no cache:
 * each has memory come nearer while there is something else to do, the second
 * what the first has found. They change nothing, and may be left out.
 */
void ws_hub_prefetch_bucket(const struct ws_hub *h, struct ws_text id);
void ws_hub_prefetch_device(const struct ws_hub *h, struct ws_text id);

/* Deliver to all, to a channel, to a device: the number queued. */
size_t ws_hub_multicast(struct ws_hub *h, struct ws_frame *f);
size_t ws_hub_publish(struct ws_hub *h, struct ws_text channel,
    struct ws_frame *f);
size_t ws_hub_send(struct ws_hub *h, struct ws_text device,
    struct ws_frame *f);

/* 1 if that changed anything, 0 if not, -1: no memory. */
int ws_hub_subscribe(struct ws_hub *h, struct ws_device *d,
    struct ws_text channel);
int ws_hub_unsubscribe(struct ws_hub *h, struct ws_device *d,
    struct ws_text channel);

/* ---------------------------------------------------------------- queue.c */

struct iovec;

/* Bytes that a frame takes from malloc. */
size_t ws_frame_cost(const struct ws_frame *f);

/*
 * Frames to send to a client, in order. *total, here and below, is what all
 * queues of a loop hold: ws_frame_cost of each frame once, however many queues
 * it is in, and twice the bytes of their rings, as these may double at once.
 */
struct ws_queue {
	struct ws_frame **ring; /* small, or memory of its own */
	struct ws_frame *small[2];
	uint32_t first, count;
	uint32_t unsent;        /* bytes of all that are not out */
	uint32_t sent;          /* bytes of the first that are out */
	uint32_t taken_at;      /* ms, set by the owner: when the peer last took
	                           bytes, or the queue was last empty */
	unsigned char shift;    /* the ring has room for 1 << shift frames */
};

void ws_queue_init(struct ws_queue *q);

/*
 * Appends f, taking a reference: 0, or -1 for want of memory, or where unsent
 * would be 4 GiB.
 */
int ws_queue_push(struct ws_queue *q, size_t *total, struct ws_frame *f);

/* The last frame; the queue is not empty. */
struct ws_frame *ws_queue_last(const struct ws_queue *q);

/* Puts f in the place of the last of two or more frames. */
void ws_queue_replace(struct ws_queue *q, size_t *total, struct ws_frame *f);

/*
 * Points iov, at most that many entries, at the front of the queue. Runs of
 * small frames are copied to flat, which has room bytes, where there are
 * several frames: that costs less than an entry for each. Returns the number of
 * entries, and in *bytes their length.
 */
int ws_queue_gather(const struct ws_queue *q, struct iovec *iov, int most,
    unsigned char *flat, size_t room, size_t *bytes);

/* n bytes more are out: frames that are wholly out are released. */
void ws_queue_advance(struct ws_queue *q, size_t *total, size_t n);

/* Gives back memory of the ring that is not needed now. */
void ws_queue_shrink(struct ws_queue *q, size_t *total);

/*
 * Releases all frames, but for one that is partly out; and all of them. They
 * return how many they released.
 */
uint32_t ws_queue_cut(struct ws_queue *q, size_t *total);
uint32_t ws_queue_clear(struct ws_queue *q, size_t *total);

/* Bytes that count against a client: what is unsent, and the ring. */
size_t ws_queue_bytes(const struct ws_queue *q);

/* -------------------------------------------------------------- control.c */

/* A backend's stream: objects in, replies out. Zeroed is the start. */
struct ws_control {
	struct ws_json json;
	char *text;        /* what has come of an object that is not whole */
	size_t len, room;
	char *out;         /* replies not yet sent: the caller takes them */
	size_t outlen, outroom;
	uint64_t objects, errors; /* counted */
	unsigned char state;
	unsigned char line_open;  /* the last reply's line may still be ended */
	unsigned char lines; /* has ended an object with a newline */
	unsigned char lost;  /* out of memory: nothing more can be answered */
	char detail[WS_ERROR_MAX]; /* of the last reply, NUL-terminated */
};

/*
 * Obeys what is whole in len more bytes, and appends the replies to c->out.
 * Returns how many bytes it took: fewer than len if h->left, which deliveries
 * and texts take from, was used up. The rest is to be given again. At most
 * two objects are obeyed beyond that.
 */
size_t ws_control_feed(struct ws_hub *h, struct ws_control *c,
    const char *data, size_t len);

/*
 * 1 after a text that was wrong, while it looks for where the next begins: then
 * ws_control_resync is to be called as soon as all that was received is fed.
 * A backend that writes no lines gets its ERR only by that.
 */
int ws_control_resyncing(const struct ws_control *c);
void ws_control_resync(struct ws_control *c);

/* The backend will send no more: an object begun gets its ERR. */
void ws_control_end(struct ws_control *c);

/* Takes n bytes off the front of c->out. */
void ws_control_sent(struct ws_control *c, size_t n);

void ws_control_free(struct ws_control *c);

/* ------------------------------------------------------------------ pem.c */

/* What a block holds. Other kinds than these are refused. */
enum ws_pem_kind {
	WS_PEM_END, /* no block */
	WS_PEM_CERTIFICATE, WS_PEM_KEY,
	WS_PEM_ENCRYPTED_KEY, WS_PEM_FOREIGN_KEY, /* keys that we cannot use */
	WS_PEM_OTHER,
	WS_PEM_KINDS
};

/* A PEM text (RFC 7468) that is being read; what is not set is zero. */
struct ws_pem {
	struct ws_text left;  /* set by the caller: at first all of it */
	unsigned line;        /* set by the caller: where left begins, 1 */
	const char *name;     /* set by the caller: what errors call the text */
	char *error;          /* set by the caller: WS_ERROR_MAX bytes */
	struct ws_text label; /* of the block */
	unsigned begin;       /* its first line */
};

/*
 * Finds the next block: its kind, WS_PEM_END at the end of the text, or -1 with
 * an error that names the line.
 */
int ws_pem_begin(struct ws_pem *p);

/*
 * The next piece of the block's base64: 1, or 0 at the end of the block, or -1
 * with an error.
 */
int ws_pem_line(struct ws_pem *p, struct ws_text *line);

/* Puts an error that names the line; returns -1. */
int ws_pem_fail(const struct ws_pem *p, const char *reason);

/* ------------------------------------------------------------------ tls.c */

struct iovec;
struct ws_tls_config;
struct ws_tls;

/*
 * A server's certificate chain (leaf first) and private key, as PEM, and its
 * session cache. The bytes may be wiped afterwards. NULL on failure, with a
 * sentence in words; else words is "" or a warning (expired, not yet valid).
 * One reference: sessions hold their own.
 */
struct ws_tls_config *ws_tls_config_new(struct ws_text chain,
    struct ws_text key, char error[WS_ERROR_MAX]);
struct ws_tls_config *ws_tls_config_reference(struct ws_tls_config *c);
void ws_tls_config_release(struct ws_tls_config *c); /* NULL is allowed */

/*
 * A session on a connected, non-blocking socket, which stays the caller's.
 * NULL: no memory or no entropy. Between calls an idle session holds no
 * record buffers: they are lent to it for the length of a call.
 */
struct ws_tls *ws_tls_new(struct ws_tls_config *c, int fd);
void ws_tls_free(struct ws_tls *t);

/*
 * A transport that does the handshake on the way. buf must have room for
 * WS_TLS_RECORD bytes, so that nothing decrypted ever waits inside. At most one
 * record's data and 64 reads: WS_WANT_IN may come with bytes still in the
 * socket. WS_WANT_OUT comes only during the handshake; after it, a read that
 * had to answer shows in ws_tls_unsent. 0 is close_notify or a bare end.
 */
#define WS_TLS_RECORD 16384
ssize_t ws_tls_read(struct ws_tls *t, void *buf, size_t room);

/*
 * Takes bytes off the front of iov[0..n) into records of up to 16,384 bytes,
 * sent as they fill and at the end. What it returns as taken is sent or kept;
 * with something kept (ws_tls_unsent), call again when writable, n == 0 being
 * allowed: then 0 is returned when all is sent.
 */
ssize_t ws_tls_writev(struct ws_tls *t, const struct iovec *iov, int n);
int ws_tls_unsent(const struct ws_tls *t);

/* Bytes of unfinished records kept between calls, either way; idle: 0. */
size_t ws_tls_buffered(const struct ws_tls *t);

/* 1 until the handshake is done and its last record sent. */
int ws_tls_handshaking(const struct ws_tls *t);

/* 1 if the handshake was an abbreviated one (RFC 5246 section 7.3). */
int ws_tls_resumed(const struct ws_tls *t);

/*
 * Sends close_notify (RFC 5246 section 7.2.1): 0 when it is out, WS_WANT_OUT
 * to be called again, WS_ERROR.
 */
int ws_tls_close(struct ws_tls *t);

/* After WS_ERROR: why, until the next call. */
const char *ws_tls_error(const struct ws_tls *t);

/* --------------------------------------------------------------- listen.c */

#define WS_LISTEN_MAX 16    /* sockets that one address may stand for */

/*
 * Tells a socket's file apart from any that takes its place. Not dev_t and
 * ino_t, whose widths differ within a program where _FILE_OFFSET_BITS does.
 */
struct ws_file_id {
	uint64_t dev, ino;
};

/* Whether that is an address as ws_listen takes it: 0, or -1. */
int ws_listen_check(const char *address);

/*
 * Opens listening stream sockets, non-blocking and close-on-exec, for
 * "host:port", ":port" (every local address), "[v6]:port" or "unix:PATH"
 * (mode 0666; *id is set). A name may stand for several. Returns their number,
 * or -1 with a sentence in words.
 */
int ws_listen(const char *address, int fd[WS_LISTEN_MAX],
    struct ws_file_id *id, char error[WS_ERROR_MAX]);

/*
 * Opens the listening socket at path, with that mode and group (-1: as it
 * falls). A socket that nobody listens on any more is replaced; anything else
 * at that path is an error. Returns the descriptor, or -1 with a sentence in
 * words.
 */
int ws_listen_unix(const char *path, mode_t mode, gid_t group,
    struct ws_file_id *id, char error[WS_ERROR_MAX]);

/* Removes the file at path if it still is the one of *id. */
void ws_listen_remove(const char *path, const struct ws_file_id *id);

/*
 * The name of a socket's own (peer 0) or its peer's (peer 1) address, such as
 * "127.0.0.1:8080", "[::1]:8080", "unix:/run/hub" or "unix".
 */
#define WS_ADDRESS_MAX 128
void ws_address(int fd, int peer, char name[WS_ADDRESS_MAX]);

/* ----------------------------------------------------------------- poll.c */

/* What a descriptor belongs to: the first member of its owner's struct. */
enum ws_conn_kind {
	WS_CONN_WATCH, WS_CONN_LISTENER, WS_CONN_CONTROL, WS_CONN_BACKEND,
	WS_CONN_CLIENT
};

struct ws_conn {
	struct ws_conn *next; /* among the dead */
	uint32_t slot;        /* in ws_poll's arrays */
	int fd;
	short events;         /* what is asked for, see ws_poll_events */
	short revents;        /* of the last ws_poll_wait that had it ready */
	unsigned char kind;   /* enum ws_conn_kind */
	unsigned char dead;   /* waits for the sweep */
	unsigned char always_hot;
	unsigned char active; /* has had an event since the last full scan */
};

struct pollfd;

/* Descriptors to poll, hot ones first; zeroed is empty. */
struct ws_poll {
	struct pollfd *fds;
	struct ws_conn **conns;
	struct ws_conn **ready; /* of the last ws_poll_wait */
	struct ws_conn *dead;
	uint32_t n, hot, room;
	int timeout;             /* ms that the last poll could sleep; -1 */
	int64_t last_event;      /* ns: when a wait that brought one began */
	int64_t last_scan;       /* ns: when all were polled; 0: always */
	int64_t next_scan;       /* ns */
	int64_t scan_cost;       /* ns a descriptor */
	int64_t scan_time;       /* ns in all */
	int64_t longest_unheard; /* ns between two polls of all */
	uint64_t scans, late_scans;
};

/* CLOCK_MONOTONIC in nanoseconds. */
int64_t ws_clock(void);

/* Adds fd, asking for POLLIN; -1 with errno: no memory. */
int ws_poll_add(struct ws_poll *p, struct ws_conn *c, int fd);
void ws_poll_remove(struct ws_poll *p, struct ws_conn *c);

/* Asks for events (POLLIN, POLLOUT) from now on. */
void ws_poll_events(struct ws_poll *p, struct ws_conn *c, int events);

/* c is not expected to speak soon: it becomes cold, unless it is pinned. */
void ws_poll_cool(struct ws_poll *p, struct ws_conn *c);

/* Puts c among p->dead, once: whoever sweeps frees it. */
void ws_poll_kill(struct ws_poll *p, struct ws_conn *c);

/*
 * Waits at most timeout ms (-1: for ever); returns how many are p->ready. It
 * may return early with none.
 */
uint32_t ws_poll_wait(struct ws_poll *p, int timeout);

/* The next wait polls everything. */
void ws_poll_scan_next(struct ws_poll *p);
void ws_poll_free(struct ws_poll *p);

/* ---------------------------------------------------------------- wheel.c */

#define WS_SLOTS 256 /* a power of two */

/* Zeroed is not set. Part of its owner's struct. */
struct ws_timer {
	struct ws_timer *prev, *next; /* in its slot */
	int64_t when;
	int32_t slot; /* and one; 0: not set */
};

struct ws_wheel {
	struct ws_timer *slots[WS_SLOTS];
	int64_t tick; /* the last slot rung, counted from the epoch */
	int64_t next; /* none before it has an alarm; INT64_MAX: none */
};

/* A zeroed wheel: nothing rings for what was before now. */
void ws_wheel_init(struct ws_wheel *w, int64_t now);

/* Sets a, or sets it anew. */
void ws_wheel_set(struct ws_wheel *w, struct ws_timer *a, int64_t when);

/* Not set any more; one that is not set is left alone. */
void ws_wheel_clear(struct ws_wheel *w, struct ws_timer *a);

/*
 * Calls ring for every alarm whose time has come, at most 128 ms late, and
 * which then is not set: ring may set and clear this one and others.
 */
void ws_wheel_expire(struct ws_wheel *w, int64_t now,
    void (*ring)(struct ws_timer *a, void *arg), void *arg);

/* No alarm is due before that; INT64_MAX if there is none. */
int64_t ws_wheel_next(const struct ws_wheel *w);

/* 0 to range - 1, to spread deadlines and nothing else; *seed is not 0. */
uint32_t ws_jitter(uint32_t *seed, uint32_t range);

/* --------------------------------------------------------------- client.c */

#define WS_CLIENT_MESSAGE_MAX 65536 /* bytes of a client's message */
#define WS_HANDSHAKE_SECONDS 10     /* for TLS and the request head */
#define WS_PONG_SECONDS 10

/* A peer's address, where connections from one are limited. */
struct ws_ip {
	struct ws_ip *chain;
	unsigned char key[8]; /* IPv4, or the /64 of IPv6 */
	unsigned count;
};

enum ws_client_state {
	WS_CLIENT_HELLO,  /* TLS listener, nothing spoken */
	WS_CLIENT_HEAD,   /* TLS handshake and request head */
	WS_CLIENT_OPEN,   /* in the hub */
	WS_CLIENT_ENDING, /* its last bytes are queued */
	WS_CLIENT_LINGER  /* they are out, and our end is shut */
};

struct ws_client {
	/* What a delivery touches, in as few cache lines as it goes. */
	struct ws_conn conn;
	struct ws_device device;
	unsigned char state;    /* enum ws_client_state */
	unsigned char dirty;    /* in l->dirty */
	unsigned char refused;  /* over a limit: 503 */
	unsigned char pinged;   /* and has not answered */
	unsigned char reset;    /* the socket is reset rather than closed */
	unsigned short partial_len; /* bytes in partial */
	struct ws_queue queue;
	uint32_t before_ping;   /* bytes in front of the Ping under way */
	uint32_t unacked;       /* bytes that the peer had not acknowledged
	                           when last asked, and those sent since */
	struct ws_client *next_dirty;
	struct ws_tls *tls;
	/* And what it does not. */
	union {
		struct ws_head head;     /* before it is open */
		struct ws_framer framer; /* and then */
	} in;
	unsigned char *partial; /* input that is not whole */
	struct ws_ip *ip;
	struct ws_timer deadline;
};

struct ws_loop;

/*
 * A client on an accepted, non-blocking socket, on a TLS listener or not. With
 * refused it is only told so. NULL: no memory, and fd is still the caller's.
 */
struct ws_client *ws_client_new(struct ws_loop *l, int fd, int tls,
    int refused);

/* Reads and writes as c->conn.revents says. */
void ws_client_serve(struct ws_loop *l, struct ws_client *c);

/* A ws_deliver; arg is the loop. */
int ws_client_deliver(struct ws_device *d, struct ws_frame *f, void *arg);

/* Flushes every client touched since the last call, once. */
void ws_client_flush_all(struct ws_loop *l);

/* The same for the first of them; 1 if there are others, else 0. */
int ws_client_flush_one(struct ws_loop *l);

/* Sends it Close 1001 after delay ms, or drops it if it is not open yet. */
void ws_client_stop(struct ws_loop *l, struct ws_client *c, int64_t delay);

/* Logs how many lines about clients were left out. */
void ws_client_log_omitted(struct ws_loop *l);

/* Its deadline has passed; arg is the loop. */
void ws_client_timeout(struct ws_timer *deadline, void *arg);

/* Frees all but the descriptor and c->ip. */
void ws_client_free(struct ws_loop *l, struct ws_client *c);

/* ----------------------------------------------------------------- loop.c */

enum { WS_LOG_ERROR, WS_LOG_NOTE, WS_LOG_INFO, WS_LOG_DEBUG };

/* Seconds and bytes; 0 turns heartbeat, ping and max_per_ip off. */
struct ws_options {
	unsigned heartbeat, ping, drain;
	unsigned max_clients; /* 0: what RLIMIT_NOFILE allows */
	unsigned max_per_ip;
	size_t queue;       /* unsent bytes of a client, and its ring */
	size_t queue_total; /* bytes of all frames, rings, unfinished heads and
	                       TLS records; 0: no limit */
	int log_level;      /* lines of a higher one are not made */
	void (*log)(int level, const char *line); /* no newline; NULL: none */
	struct ws_http http;
};

#define WS_BACKENDS_MAX 256 /* connections to the control sockets */

#define WS_READ_MAX 65536 /* bytes of one read */
#define WS_FLAT_MAX 16384

enum ws_counter {
	WS_ACCEPTED, WS_REFUSED, WS_BAD_REQUESTS, WS_TLS_FAILURES, WS_OPENED,
	WS_PROTOCOL_ERRORS, WS_SILENT, WS_CUT_OFF, WS_LOST,
	WS_UNDELIVERED, WS_OBJECTS,
	WS_OBJECT_ERRORS, WS_DELIVERIES, WS_TURNS, WS_LONG_TURNS, WS_COUNTERS
};

struct ws_listener;
struct ws_backend;

struct ws_loop {
	struct ws_options o;
	struct ws_hub hub;
	struct ws_poll poll;
	struct ws_tls_config *tls;
	struct ws_listener *listeners;
	struct ws_client *dirty, **dirty_end; /* touched, to be flushed */
	struct ws_backend *run_queue, **run_queue_end; /* have input */
	uint32_t open_slot, handshake_slot; /* of the clients served last */
	struct ws_wheel wheel; /* of the clients' deadlines */
	struct ws_ip **ips;
	uint32_t clients, refused, backends;
	uint32_t max_clients, max_refused, max_backends;
	uint32_t jitter_seed;
	int64_t started;     /* ns */
	int64_t now;       /* ws_clock, but for suspended */
	int64_t suspended; /* ms that the machine was suspended, which do
	                      not count */
	int64_t next_heartbeat;
	int64_t accept_after; /* 0: accept now */
	int64_t yield_at;  /* when an idle backend may be closed for a new
	                      one; 0: none */
	int64_t stop_at;   /* when draining ends; 0: not draining */
	size_t queued;     /* bytes for --queue-total, see ws_options */
	size_t most_queued;
	int flush_first;    /* flush before anything more is queued */
	int64_t longest_turn; /* ns */
	int64_t log_window_end; /* until then lines about clients are limited */
	unsigned log_lines, log_omitted; /* in that time: written, and not */
	uint64_t counters[WS_COUNTERS];
	unsigned char input[WS_HEAD_MAX + WS_READ_MAX];
	unsigned char output[WS_FLAT_MAX]; /* small frames put together */
};

/* NULL with errno; EMFILE: max_clients is more than RLIMIT_NOFILE allows. */
struct ws_loop *ws_loop_new(const struct ws_options *o);

/*
 * Closes everything at once: see ws_loop_stop. Logs how many frames nobody will
 * get. NULL is allowed.
 */
void ws_loop_free(struct ws_loop *l);

/*
 * Takes over a listening socket for clients (tls 0 or 1) or for backends. -1
 * with errno, and then fd is still the caller's.
 */
int ws_loop_listen(struct ws_loop *l, int fd, int tls);
int ws_loop_control(struct ws_loop *l, int fd);

/* The pair that TLS sessions begin with from now on. Holds a reference. */
void ws_loop_set_tls(struct ws_loop *l, struct ws_tls_config *c);

/* Calls ready whenever fd, which stays the caller's, is readable. */
int ws_loop_watch(struct ws_loop *l, int fd,
    void (*ready)(struct ws_loop *l, int fd, void *arg), void *arg);

/* To publish by function call; what is sent goes out with the next step. */
struct ws_hub *ws_loop_hub(struct ws_loop *l);

/*
 * One turn: waits at most timeout ms (-1: until something is due), does what
 * there is to do. Returns 0 once the loop is stopped and drained, else 1.
 */
int ws_loop_step(struct ws_loop *l, int timeout);

/*
 * For a program with a poll loop of its own. Writes what to poll to fds, room
 * of them at most, and lowers *timeout (-1: for ever) to what may pass until
 * ws_loop_step(l, 0) is to be called; that is due, too, as soon as one of them
 * is ready. Returns how many there are: with more than room, call again with
 * more, or see max_clients. What was published before is sent, or waits there.
 */
uint32_t ws_loop_poll(struct ws_loop *l, struct pollfd *fds, uint32_t room,
    int *timeout);

/* Says Close 1001 to all, spread over the drain window; again: ends at once. */
void ws_loop_stop(struct ws_loop *l);

/* Logs the counters. */
void ws_loop_log_counters(struct ws_loop *l);

/* -------------------------------------------------------------- backend.c */

/*
 * A backend on an accepted, non-blocking socket: 0, or -1: no memory, and fd is
 * still the caller's.
 */
int ws_backend_new(struct ws_loop *l, int fd);

/*
 * Serves the backends among the first n that are ready, and those with pending
 * input, for a limited time, and flushes the clients that they sent to. Returns
 * how many backends there were.
 */
uint32_t ws_backend_serve_all(struct ws_loop *l, uint32_t n);

/*
 * When a backend will have been idle for so long that it may be closed to make
 * room for another; INT64_MAX: all are busy. ws_backend_make_room closes it.
 */
int64_t ws_backend_yield_at(const struct ws_loop *l);
void ws_backend_make_room(struct ws_loop *l);

/* Frees all but the descriptor. */
void ws_backend_free(struct ws_loop *l, struct ws_backend *b);

/* ------------------------------------------------------------------ ctl.c */

/*
 * Sends args (up to a NULL), or standard input if there are none, to the hub
 * at path, and prints its replies. Returns the exit status: 0, or 1 if any
 * reply was ERR or anything else went wrong, which is said on standard error.
 */
int ws_ctl(const char *path, char **args);

/* ----------------------------------------------------------------- mint.c */

/*
 * Prints a token with t's sub and channels, signed with the first secret of the
 * key file at path, that expires in so many seconds. Returns the exit status:
 * 0, or 1 after a message on standard error.
 */
int ws_mint(const char *path, struct ws_token *t, long seconds);

/* -------------------------------------------------------------- service.c */

/* What a passed socket is for, by its name (FileDescriptorName=). */
enum ws_service_kind { WS_SERVICE_WS, WS_SERVICE_WSS, WS_SERVICE_CONTROL };

struct ws_service_socket {
	int fd;
	enum ws_service_kind kind;
};

/*
 * The listening sockets that this process was started with, as sd_listen_fds(3)
 * has it: LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES, which are then unset. A
 * socket without one of the names "ws", "wss" and "control" is for backends if
 * it is a Unix socket, else for ws://. Each is looked at and made non-blocking
 * and close-on-exec. Returns their number, 0 if there are none or they are
 * meant for another process, or -1 with a sentence in words.
 */
int ws_service_sockets(struct ws_service_socket *s, int room,
    char error[WS_ERROR_MAX]);

/*
 * A socket for words to the service manager of NOTIFY_SOCKET, which is then
 * unset; -1 if there is none. It is open before powers are given up, so that
 * nothing but send(2) is needed afterwards.
 */
int ws_service_open(void);

/*
 * Says "READY=1", "RELOADING=1" (with the time, as systemd 253 wants) or
 * "STOPPING=1", see sd_notify(3); nothing if fd is -1. It is not to fail.
 */
void ws_service_notify(int fd, const char *state);

/* ------------------------------------------------------------------ log.c */

extern int ws_log_level; /* lines of a higher level are not written */

/* One line to standard error. Lost and counted rather than waited for. */
void ws_log_line(int level, const char *line);

/* The same, a printf. */
#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
void ws_log(int level, const char *format, ...);

/* Says it and exits with status 1: only before the loop. */
#if defined(__GNUC__)
__attribute__((format(printf, 1, 2), noreturn))
#endif
void ws_die(const char *format, ...);

struct ws_options;

/* One line to o->log, if there is one and the level is logged; a printf. */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
void ws_logf(const struct ws_options *o, int level, const char *format, ...);

/*
 * Writes an error message; after a format that ends with a colon
 * strerror(errno) as well. Returns -1, and leaves errno alone.
 */
#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
int ws_fail(char error[WS_ERROR_MAX], const char *format, ...);

/* -------------------------------------------------------------- sandbox.c */

/*
 * OpenBSD's pledge(2) and unveil(2), and the same for Linux, of which are known
 * "stdio" (and with sockets that are there to send, receive and end), "inet"
 * and "unix" (both: accept), "rpath" (to read) and "cpath" (to remove), each
 * with those arguments alone that the two processes have use for: a new call,
 * flag or option needs a rule in sandbox.c. The last call of unveil has NULL
 * for both, and only then they hold. 0, or -1 with errno: ENOSYS where the system
 * has no such thing, in a build with a sanitizer, or if $WSHUB_NO_SANDBOX is
 * set (for valgrind and strace, which make calls of their own). New privileges
 * cannot be gained after the first call, whatever it returns.
 */
int ws_pledge(const char *promises);
int ws_unveil(const char *path, const char *permissions);

/* What the two processes promise, here so that the tests try the same. */
#define WS_HUB_PROMISES "stdio inet unix"
#define WS_KEEPER_PROMISES "stdio rpath cpath"

/*
 * No core file of this process, and on Linux no debugger of the same user: it
 * is to know a key. Anew after setuid(2), which has its own opinion of that.
 */
void ws_no_core(void);

/* --------------------------------------------------------------- keeper.c */

#define WS_SETUP_LISTENERS 32
#define WS_SETUP_SOCKETS (WS_SETUP_LISTENERS * (1 + 2 * WS_LISTEN_MAX))

/* What a hub is started with. */
struct ws_setup {
	struct ws_options loop;
	const char *cert, *key; /* files in PEM, or NULL */
	struct ws_tls_config *pair;
	const char *control;
	uid_t uid;              /* who to become, if root */
	gid_t gid;
	int fd[WS_SETUP_SOCKETS], tls[WS_SETUP_SOCKETS], n;
	int control_fd;
	struct {
		const char *path;
		struct ws_file_id id;
	} files[2 * WS_SETUP_LISTENERS + 1]; /* of ours, removed at the end */
	int nfiles;
	int manager; /* where to tell how far it is, or -1 */
};

/* Reads and checks cert and key: 0 and s->pair, or -1 with words. */
int ws_keeper_read_pair(struct ws_setup *s, char error[WS_ERROR_MAX]);

/* Removes s->files. */
void ws_keeper_remove(struct ws_setup *s);

/* Keeper and hub, until they end: the exit status. Does not return twice. */
int ws_keeper_run(struct ws_setup *s);

/* -------------------------------------------------------------- entropy.c */

/*
 * Fills buf with 1 to 256 random bytes: 0, or -1 with errno. Where
 * getentropy(2) fails, the first call opens /dev/urandom and keeps it open, and
 * -1 means that this failed, too. ws_loop_new makes that call, so a program may
 * give up its rights to open files after it.
 */
int ws_entropy(void *buf, size_t len);

/* ------------------------------------------------------------- privdrop.c */

/*
 * Where this process is root: an empty root directory, no other group, that
 * user. control is the control socket's path. Ends the process if it cannot
 * become that user; where it is that one anyway, what fails is a warning.
 */
void ws_privdrop(uid_t uid, gid_t gid, const char *control);

/* --------------------------------------------------------------- memory.c */

/*
 * Bytes of memory that this process may use, 0 if the system does not say: the
 * machine's, or less by the limits of its cgroups. Their files are looked for
 * below root, which is "" but for tests.
 */
uint64_t ws_memory(const char *root);

#ifdef __cplusplus
}
#endif

#endif
