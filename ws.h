/* wshub: ISC licence, see LICENSE. */
/*
 * The one header: conventions, limits, and the interface of every module.
 *
 *   ws.c       RFC 6455: accept key, frames, UTF-8     no I/O, no allocation
 *   http.c     HTTP requests and responses             no I/O, no allocation
 *   proxy.c    who a proxy's client is: PROXY headers, X-Forwarded-For
 *                                                      no I/O, no allocation
 *   json.c     RFC 8259: scanner, members, strings     no I/O, no allocation
 *   token.c    RFC 7519: signed tokens                 no I/O, no allocation
 *   siphash.c  a hash for keys from outside            no I/O, no allocation
 *   hub.c      devices, channels, subscriptions        no descriptors
 *   queue.c    a session's send queue                  no descriptors
 *   watch.c    events, lists and facts as JSON         no descriptors
 *   stream.c   a backend's stream, cut into JSON texts no descriptors
 *   command.c  a backend's command: members, names     no I/O, no allocation
 *   control.c  a backend's commands and the replies    no descriptors
 *   pem.c      PEM blocks and their labels             no I/O, no allocation
 *   cert.c     BearSSL: certificates, private keys
 *   tls.c      BearSSL: sessions
 *   listen.c   addresses, listening sockets, the control socket's file
 *   poll.c     poll(2) over hot and cold descriptors
 *   wheel.c    a timer wheel for deadlines
 *   peer.c     clients' addresses, how many connections each has
 *   resume.c   sessions that outlive their connections
 *   admit.c    who may connect: origins, tokens, sessions to resume
 *   lines.c    log lines about clients
 *   send.c     what is queued for a client, and how a client ends
 *   flush.c    writing to clients, and eviction
 *   client.c   a client: handshake, reading, timeouts
 *   backend.c  a backend's connection: input, replies, fair shares
 *   metrics.c  what is counted: for Prometheus, as JSON, in the log
 *   loop.c     the event loop: accepting, deadlines, shutdown
 *   ctl.c      "wshub ctl", which sends commands to a running hub
 *   mint.c     "wshub token", which prints a token
 *   service.c  sockets from a service manager, and notifications to it
 *   log.c      log lines, error messages
 *   entropy.c  random bytes
 *   memory.c   how much memory the process may use
 *   sandbox.c  pledge and unveil, also for Linux
 *   privdrop.c chroot and setuid, if started as root
 *   signals.c  signals, as bytes to be read
 *   keeper.c   the parent process, the hub's process
 *
 * A module calls only modules to its right:
 *
 * main -> keeper -> loop -> { backend -> { control -> { watch, stream -> json,
 *                                                     command -> json },
 *                                        flush },
 *                             client -> { admit -> { token, http }, flush,
 *                                         metrics }, metrics }
 * flush -> resume -> send -> lines -> { tls, queue, watch -> hub, ws, poll,
 *                                       wheel, peer -> { proxy, listen } }
 *
 * All of them may call log.c, entropy.c and siphash.c, and ws_wipe of token.c.
 * Another program can use ws.c and http.c with this header for WebSocket
 * framing, json.c for JSON, or a complete hub: the files of HUB in
 * test/vendor/Makefile.
 *
 * Conventions
 *
 * Lengths are in bytes. Strings are not NUL-terminated and times are
 * milliseconds of CLOCK_MONOTONIC unless stated otherwise.
 *
 * Parsers return the number of bytes used (>= 0), WS_MORE if the input is
 * valid so far but incomplete, or WS_BAD if it is invalid.
 *
 * Transports return the number of bytes moved (> 0), 0 if the peer has closed
 * the connection in an orderly way, WS_WANT_IN or WS_WANT_OUT if the call must
 * be repeated when the descriptor is readable or writable, or WS_ERROR if the
 * connection is lost.
 *
 * All other functions return 0 or a count, and -1 on failure.
 *
 * An object must not be used by two threads at once. Separate objects may be
 * used by separate threads, except those of tls.c: its sessions share buffers.
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
 * Some systems (macOS) have no MSG_NOSIGNAL. keeper.c and ctl.c ignore SIGPIPE,
 * and so must a program that contains the hub. Include the system's headers
 * before this one, so that the test below sees what they define.
 */
#if defined(AF_UNIX) && !defined(MSG_NOSIGNAL)
#define MSG_NOSIGNAL 0
#endif

enum { WS_MORE = -1, WS_BAD = -2 };
enum { WS_WANT_IN = -1, WS_WANT_OUT = -2, WS_ERROR = -3 };

/* Loads memory into the cache. The address need not be valid. */
#if defined(__GNUC__)
#define WS_PREFETCH(address) __builtin_prefetch((const void *)(address))
#else
#define WS_PREFETCH(address) ((void)(address))
#endif

#define WS_ERROR_MAX 320 /* bytes of an error message, NUL included */
#define WS_ADDRESS_MAX 128 /* bytes of an address in text, NUL included */
#define WS_PATH_MAX 255 /* bytes of a request's path that are remembered */

/* A string; the bytes are owned by someone else. */
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
 * Computes Sec-WebSocket-Accept (RFC 6455 section 4.2.2), NUL-terminated, from
 * the 24 bytes of the client's Sec-WebSocket-Key.
 */
void ws_accept_key(char out[WS_ACCEPT_KEY], const char *key);

/*
 * State of a streaming UTF-8 check (RFC 3629). Zero it to begin. left is 0 if
 * the input so far ends at the end of a character.
 */
struct ws_utf8 {
	unsigned char left;   /* continuation bytes still to come */
	unsigned char lo, hi; /* the range of the next one */
};

/*
 * Checks the next byte: 0, or -1 if it is not valid here. The range of the
 * second byte excludes overlong forms, surrogates and code points above
 * U+10FFFF (RFC 3629 section 4).
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

/* Checks len bytes: returns len, or the index of the first invalid byte. */
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
	WS_CLOSE_NO_STATUS = 1005, /* never sent: the Close had no code */
	WS_CLOSE_BAD_DATA = 1007,
	WS_CLOSE_POLICY = 1008,
	WS_CLOSE_TOO_BIG = 1009,
	WS_CLOSE_TRY_LATER = 1013,
	WS_CLOSE_UNAUTHORIZED = 3000
};

/* Reads the frames of one direction of one connection. */
struct ws_framer {
	uint32_t limit; /* the largest message, in payload bytes */
	uint32_t size;  /* payload bytes of the current message so far,
	                   including all of the current frame */
	uint32_t left;  /* payload bytes of the current frame still to come */
	unsigned char mask[4];
	struct ws_utf8 utf8;
	unsigned char masked;  /* frames must be masked: we are the server */
	unsigned char message; /* opcode of the current message, or 0 */
	unsigned char frame;   /* while left > 0: its FIN bit | 1, else 0 */
	unsigned char turn;    /* index of the next mask byte */
};

/* The result of ws_framer_next. */
struct ws_event {
	unsigned opcode; /* WS_TEXT or WS_BINARY: a piece of a message;
	                    WS_CLOSE, WS_PING or WS_PONG: a whole frame */
	int first, last; /* this piece begins or ends its message; both are
	                    set for a control frame */
	unsigned char *data; /* unmasked, in the caller's buffer; for WS_CLOSE
	                        the reason, after the two bytes of the code */
	size_t len;
	unsigned code;   /* WS_CLOSE: the peer's code, or 1005 if it sent none;
	                    WS_BAD: the code to close the connection with */
	const char *reason; /* WS_BAD: a static string */
};

/*
 * masked is 1 to read a client's frames, 0 to read a server's (section 5.1).
 * limit is the largest message accepted.
 */
void ws_framer_init(struct ws_framer *f, int masked, uint32_t limit);

/*
 * Reads a whole control frame, or the next piece of a data frame: its head, if
 * it has not been read, and the payload that has arrived. The payload is
 * unmasked in place and checked. The caller removes the bytes used and passes
 * the others again, with more behind them.
 *
 * > 0      the number of bytes used; *e describes them. A data frame's head
 *          that has no payload behind it yet is a piece of 0 bytes.
 * WS_MORE  the input is incomplete; *f and buf are unchanged. This happens
 *          only with fewer than 2 + 4 + 125 = 131 bytes.
 * WS_BAD   the peer violated the protocol. The violation is reported at the
 *          first byte that shows it, but a Close is checked as a whole.
 *          e->code and e->reason are set. Do not call again.
 *
 * The caller must not read data after a Close.
 */
ssize_t ws_framer_next(struct ws_framer *f, unsigned char *buf, size_t len,
    struct ws_event *e);

/*
 * Writes a frame's head. first is the opcode, with WS_FIN if the frame ends its
 * message. mask is NULL for a server. len is encoded in the shortest form, as
 * section 5.2 demands. Returns the length of the head.
 */
size_t ws_frame_head(unsigned char out[WS_FRAME_HEAD_MAX], unsigned first,
    uint64_t len, const unsigned char *mask);

/* Masks or unmasks len bytes, starting with mask[turn & 3]. */
void ws_mask(unsigned char *data, size_t len, const unsigned char mask[4],
    unsigned turn);

/*
 * Writes an unmasked Close frame with code and reason, and returns its length.
 * If code is WS_CLOSE_NO_STATUS, the frame has no payload. reason is
 * NUL-terminated UTF-8 or NULL, and is cut to 123 bytes.
 */
size_t ws_close_frame(unsigned char out[2 + WS_CONTROL_MAX], unsigned code,
    const char *reason);

/* ----------------------------------------------------------------- http.c */

#define WS_HEAD_MAX 32768  /* bytes of a request head, blank line included */
#define WS_ANSWER_MAX 512  /* bytes of any HTTP response */
#define WS_KEY_LEN 24      /* Sec-WebSocket-Key: 16 bytes in base64 */
#define WS_SUBPROTOCOL_MAX 255 /* bytes of a subprotocol's name */

/* What the listener offers besides the WebSocket handshake. */
struct ws_http {
	const char *health; /* GET, HEAD and OPTIONS of this path get 200;
	                       NULL: none */
	const char *const *subprotocols; /* names, NULL after the last;
	                                    NULL: none */
	const char *cookie; /* name of the cookie to look for, and for
	                       credentials as well; NULL: neither */
	const char *metrics; /* not NULL: there is no WebSocket here. GET and
	                        HEAD of this path get 200, and paths other
	                        than this and health get 404 */
};

/* State of the request head's parser. Zero it to begin. */
struct ws_head {
	unsigned short at;    /* bytes parsed */
	unsigned short mark;  /* where the current element begins */
	unsigned char state;
	unsigned char method; /* once it is known */
	unsigned char host;   /* the current field is Host */
	unsigned char hosts;  /* number of Host fields */
	unsigned char allow;  /* what the path allows, for a 405 response */
};

/* A parsed request: RFC 6455 section 4.2 and RFC 9112. */
struct ws_request {
	int status;      /* of the response: 101, or another */
	const char *reason; /* static, for the response's body and the log */
	int metrics;     /* if 200: it is for o->metrics, not for o->health */
	const char *key; /* if 101: WS_KEY_LEN bytes in the head */
	const char *subprotocol; /* if 101: the one chosen, or NULL */
	/* If 101: parts of the head. s is NULL if there is none. */
	struct ws_text target, host, origin;
	struct ws_text bearer; /* credentials, RFC 6750 section 2.1 */
	struct ws_text cookie; /* the first cookie's value */
};

/*
 * Parses a request head, of which the first len bytes are at head. If it
 * returns WS_MORE, call it again when more has arrived, with all of the head
 * and the same *h. The head may have moved; bytes seen before are not read
 * again until the head is complete. o may be NULL. The first subprotocol of the
 * client's list that is in o->subprotocols is chosen.
 *
 * > 0      the head's length, including the blank line. r->status is 101 (what
 *          follows are frames), 200 (for o->health or o->metrics), 404, 405
 *          or 426.
 * WS_MORE  valid so far, and len < WS_HEAD_MAX.
 * WS_BAD   r->status is 400 or 431. An invalid byte is reported as soon as it
 *          arrives; an invalid Host field or authority when its line ends or
 *          the target ends; all else when the head is complete.
 *
 * Do not call it again unless it has returned WS_MORE.
 */
ssize_t ws_request(struct ws_head *h, const struct ws_http *o,
    const char *head, size_t len, struct ws_request *r);

/*
 * The path of a request target that is not of a CONNECT request, without its
 * query; "/" if it is empty.
 */
struct ws_text ws_path(struct ws_text target);

/*
 * Finds the first parameter of that name in the query of a request target: 1,
 * and its value without decoding it ("" if it has none), or 0.
 */
int ws_query(struct ws_text target, const char *name, struct ws_text *value);

/*
 * Finds the last field of that name, which is in lower case, in the bytes of a
 * head, even if they are not complete or not valid: 1 and its value, or 0.
 * *head becomes what precedes the field, for the next call.
 */
int ws_field(struct ws_text *head, const char *name, struct ws_text *value);

/*
 * Writes the 101 response of section 4.2.2, without a NUL. Returns its length.
 */
size_t ws_accept(char out[WS_ANSWER_MAX], const struct ws_request *r);

/*
 * Writes any other response, without a NUL, and returns its length. status is
 * 200, 400, 401, 403, 404, 405, 408, 426, 431 or 503. The response has the
 * header fields that the status demands (Allow, Upgrade, Sec-WebSocket-Version,
 * WWW-Authenticate, Retry-After), Connection: close, Content-Length, and a
 * text/plain body: reason, cut to 256 bytes, and a newline. The body is left
 * out if *h is the head of a HEAD request; h may be NULL.
 */
size_t ws_answer(char out[WS_ANSWER_MAX], const struct ws_head *h, int status,
    const char *reason);

/*
 * Writes a 200 response with a body of that type, and returns its length. out
 * has room for WS_ANSWER_MAX bytes and the body. The rest is as above.
 */
size_t ws_answer_with(char *out, const struct ws_head *h, const char *type,
    const char *body, size_t len);

/* 1 if s (NUL-terminated) is a token, RFC 9110 section 5.6.2. */
int ws_is_token(const char *s);

/* ---------------------------------------------------------------- proxy.c */

/* An IP address and a port. */
struct ws_ip {
	unsigned char family;    /* 4 or 6; 0: no address */
	unsigned char bytes[16]; /* IPv4 as ::ffff:a.b.c.d, RFC 4291 */
	uint16_t port;           /* 0: not known */
};

/* Sets *ip from the 4 or 16 bytes of an address in network order. */
void ws_ip_set(struct ws_ip *ip, const void *bytes, size_t len, unsigned port);

#define WS_TRUST_MAX 64

/* The peers that are trusted to tell their clients' addresses. Zeroed: none. */
struct ws_trust {
	unsigned n;
	int unix_peers; /* those of Unix sockets are */
	struct ws_range {
		struct ws_ip ip;
		unsigned char bits; /* of the 128 */
	} ranges[WS_TRUST_MAX];
};

/*
 * Adds "ADDRESS", "ADDRESS/BITS" or "unix": NULL, or a static string that says
 * why it is not valid.
 */
const char *ws_trust_add(struct ws_trust *t, const char *s);

/* Whether an address is trusted. IPv4 and IPv6 are kept apart. */
int ws_trusts(const struct ws_trust *t, const struct ws_ip *ip);

/*
 * Reads an X-Forwarded-For field from its end: each proxy has appended the
 * address of its peer. Each address replaces *ip. Returns 0 after one that is
 * not trusted, and at anything that is not an address; or 1 if what precedes
 * the field has to be read, too.
 */
int ws_forwarded(struct ws_ip *ip, const struct ws_trust *trust,
    struct ws_text value);

/*
 * Parses a PROXY header, version 1 or 2, at the beginning of len bytes.
 *
 * > 0      its length. *ip is the client's address; its family is 0 if the
 *          header has none that is an IP stream's (LOCAL, UNKNOWN, AF_UNSPEC,
 *          AF_UNIX): the socket's own address is to be used.
 * WS_MORE  valid so far, and all len bytes belong to the header. This happens
 *          only with fewer than WS_PROXY_MAX.
 * WS_BAD   no header can begin like that.
 *
 * The TLVs of version 2 are skipped, with the checksum: that of TCP is as good.
 */
#define WS_PROXY_MAX 4096
ssize_t ws_proxy_header(struct ws_ip *ip, const void *data, size_t len);

/* ----------------------------------------------------------------- json.c */

#define WS_JSON_DEPTH 64 /* nested arrays and objects */

/* State of the scanner. Zero it to begin a text. */
struct ws_json {
	uint64_t nest;   /* a bit per level, the innermost lowest: 1 for an
	                    object, 0 for an array */
	size_t offset;   /* bytes taken; after WS_BAD, of the invalid byte */
	const char *reason; /* after WS_BAD: a static string */
	unsigned char depth, state;
	unsigned char deepest; /* the greatest depth so far */
	unsigned char hex; /* position in an escape or a literal */
	struct ws_utf8 utf8;
};

/*
 * Finds the end of one JSON text (RFC 8259, strict, in UTF-8), which may arrive
 * in any number of pieces. White space before the text is part of it, white
 * space after it is not.
 *
 * >= 0     the text is complete: it ends after that many bytes of this piece.
 *          This can be 0, as only the byte after a number ends the number.
 * WS_MORE  all len bytes were taken, and the text is not known to be complete.
 * WS_BAD   the text is invalid. j->offset is the index, from the start of the
 *          text, of the first byte that is not allowed; j->reason is set.
 *
 * Once the text is complete, further calls return 0; once it is invalid, they
 * return WS_BAD. An escape for half of a surrogate pair is accepted, because
 * the grammar allows it.
 */
ssize_t ws_json_scan(struct ws_json *j, const char *piece, size_t len);

/*
 * 1 if the bytes taken are a complete text. To be called at the end of the
 * input, where nothing follows to end a number.
 */
int ws_json_whole(const struct ws_json *j);

/*
 * Iterates over the members of an object that ws_json_scan has accepted. Set
 * *rest to the object before the first call; each call advances it. Returns 1
 * and the next member's name and value, as written, with their quotes; or 0
 * after the last.
 */
int ws_json_member(struct ws_text *rest, struct ws_text *name,
    struct ws_text *value);

/* The same for the elements of an array. */
int ws_json_element(struct ws_text *rest, struct ws_text *value);

/*
 * Decodes value, a string with its quotes, to UTF-8. Returns the length, or
 * WS_BAD if value is not a string, needs more than cap bytes, or contains half
 * of a surrogate pair (RFC 8259 section 8.2). out may be value.s, because a
 * string is never longer than its encoding. After WS_BAD, out may have changed.
 */
ssize_t ws_json_string(char *out, size_t cap, struct ws_text value);

/*
 * Copies a value without its insignificant white space and returns the number
 * of bytes written. out has room for value.len bytes, and may be value.s. Like
 * the two functions above, it relies on ws_json_scan: with a text that was not
 * accepted, it may read beyond the end.
 */
size_t ws_json_compact(char *out, struct ws_text value);

/*
 * Writes a text, which is UTF-8, as a JSON string with its quotes; out has
 * WS_JSON_QUOTED(text.len) bytes of room. Returns its length.
 */
#define WS_JSON_QUOTED(len) (6 * (size_t)(len) + 2)
size_t ws_json_quote(char *out, struct ws_text text);

/* ---------------------------------------------------------------- token.c */

#define WS_TOKEN_MAX 4096       /* bytes of a token */
#define WS_TOKEN_SCRATCH 3072   /* bytes of its longest part, decoded */
#define WS_TOKEN_MAC 32         /* bytes of a signature, before base64url */
#define WS_TOKEN_KEYS 16        /* secrets in a key file */
#define WS_TOKEN_SECRET_MIN 32  /* bytes of a secret: RFC 7518 section 3.2 */
#define WS_TOKEN_FILE_MAX 16384 /* bytes of a key file */
#define WS_TOKEN_CHANNELS 100
#define WS_TOKEN_LEEWAY 30      /* seconds before "nbf", as clocks differ */

/*
 * A secret, prepared for signing. The secret cannot be computed from it, but it
 * is as good as the secret for signing.
 */
struct ws_token_key {
	uint32_t inner[8], outer[8]; /* HMAC's two states, RFC 2104 section 4 */
};

struct ws_token_keys {
	unsigned n;
	struct ws_token_key key[WS_TOKEN_KEYS];
};

/* The contents of a token. */
struct ws_token {
	long long exp;      /* seconds since 1970; refused from then on */
	struct ws_text sub; /* the device's name; s is NULL: none */
	unsigned nchannels;
	struct ws_text channels[WS_TOKEN_CHANNELS]; /* duplicates included */
	const char *error;  /* a static string, set if a function fails */
};

/*
 * Overwrites a secret with zeros. The compiler cannot remove this. NULL is
 * allowed, with any len.
 */
void ws_wipe(void *p, size_t len);

/* Prepares a secret of len bytes, which may then be wiped. */
void ws_token_key(struct ws_token_key *key, const void *secret, size_t len);

/*
 * Prepares the secrets of a key file, which has one of at least 32 bytes in
 * each line. A line ends with LF, CR LF or the end of the file; empty lines are
 * skipped. A line that begins with # is an error: there are no comments,
 * because a comment taken for a secret could be guessed. Returns 0; or -1 with
 * *k zeroed and an error message that has the line's number but no part of a
 * secret. The caller may wipe the bytes afterwards.
 */
int ws_token_keys_read(struct ws_token_keys *k, const void *bytes, size_t len,
    char error[WS_ERROR_MAX]);

/* HMAC-SHA-256 (RFC 2104, FIPS 180-4) of len bytes. */
void ws_token_mac(unsigned char mac[WS_TOKEN_MAC],
    const struct ws_token_key *key, const void *data, size_t len);

/*
 * Checks a token: a JSON Web Token (RFC 7519) in JWS compact form (RFC 7515),
 * signed with HS256 by one of the keys. Returns 0 with *t, whose strings are in
 * scratch; or -1 with t->error, which contains no byte of the token, and the
 * rest of *t undefined. If there are no keys, every token is refused.
 *
 * "alg" must be "HS256". "typ" may be absent, or "JWT" in capitals or small
 * letters. "crit" is refused; other members of the header are ignored if their
 * syntax is correct. "exp" is required; "nbf", "sub" and "channels" are checked
 * if they are present; other claims are ignored. Numbers are rounded down. A
 * name is 1 to 255 bytes of UTF-8 without NUL. Header and claims have at most
 * 64 names each, without duplicates. Base64url must have no padding and must be
 * canonical (RFC 4648 section 3.5). The signature is compared in constant time,
 * and before the claims are read.
 */
int ws_token_check(const struct ws_token_keys *k, struct ws_text token,
    long long now, char scratch[WS_TOKEN_SCRATCH], struct ws_token *t);

/*
 * Writes a token that ws_token_check accepts, and a NUL. It contains t->exp,
 * t->sub and the channels, if there are any. Returns its length, or -1 with
 * t->error if a name is not valid or the token would be too long.
 */
ssize_t ws_token_make(char out[WS_TOKEN_MAX + 1],
    const struct ws_token_key *key, struct ws_token *t);

/* -------------------------------------------------------------- siphash.c */

/*
 * SipHash-1-3 of len bytes, for hash tables whose keys others choose. key is 16
 * random bytes; without them an attacker cannot find many keys that collide.
 * The result does not depend on the byte order. It is not a signature.
 */
uint64_t ws_siphash13(const unsigned char key[16], const void *data,
    size_t len);

/* ------------------------------------------------------------------ hub.c */

#define WS_ID_LEN 15        /* characters of a device id, 6 bits each */
#define WS_NAME_MAX 255     /* bytes of a device's or channel's name */
#define WS_TEXT_MAX 1048576 /* bytes of one object from a backend */

/*
 * An encoded frame, unfragmented and unmasked, that all queues share. The len
 * bytes at ws_frame_bytes follow the struct.
 */
struct ws_frame {
	unsigned refs;
	unsigned queues; /* how many clients' queues it is in */
	unsigned short start; /* offset of its bytes from this struct's end */
	unsigned char counts; /* it is a message that clients count */
	unsigned char heartbeat;
	size_t len;
};

/* There is no flexible array member because C++ does not have them. */
static inline unsigned char *
ws_frame_bytes(const struct ws_frame *f)
{
	return (unsigned char *)(f + 1) + f->start;
}

/*
 * A text frame that contains a JSON value without insignificant white space.
 * The caller gets one reference; NULL: no memory.
 */
struct ws_frame *ws_frame_json(struct ws_text value);

/* Any other frame. The caller gets one reference; NULL: no memory. */
struct ws_frame *ws_frame_new(unsigned opcode, const void *data, size_t len);

/* A frame of these bytes, head included, that does not count; likewise. */
struct ws_frame *ws_frame_raw(const void *data, size_t len);

/* Releases one reference; NULL is allowed. */
void ws_frame_release(struct ws_frame *f);

struct ws_link;
struct ws_channel;

/*
 * A device is what backends address: a name, and the channels that it is in.
 * It exists as long as it has a session. A device without a name has a random
 * id and only one session, whose struct contains it.
 */
struct ws_device {
	struct ws_device *chain; /* next in its hash bucket */
	char id[WS_ID_LEN + 1];  /* NUL-terminated; "" if it has a name */
	struct ws_link *links;   /* its channels */
	uint32_t index;          /* in hub->devices */
	uint32_t named;          /* 1: the hub has allocated it, see hub.c */
};

/* A client as the hub knows it. The caller owns the memory; zeroed at first. */
struct ws_session {
	struct ws_device own;
	struct ws_device *device; /* &own, or one with a name; NULL: in none */
	struct ws_session *next;  /* another session of that device */
};

/*
 * Queues f for s, with a reference of its own. Returns 1, or 0 if nothing can
 * be sent to s any more. It must not call ws_hub_join or ws_hub_leave: mark the
 * session, and remove it later.
 */
typedef int ws_deliver(struct ws_session *s, struct ws_frame *f, void *arg);

/* Why a session has ended or is away. */
enum ws_reason {
	WS_ENDED_ERROR,  /* protocol error, connection error, no memory */
	WS_ENDED_CLOSED, /* by the peer */
	WS_ENDED_SILENT, WS_ENDED_SLOW, WS_ENDED_KICKED, WS_ENDED_EXPIRED,
	WS_ENDED_REPLACED, /* the peer has a new session instead */
	WS_ENDED_SHUTDOWN,
	WS_ENDED_MISSED, /* away, and more was sent than is kept */
	WS_ENDED_LATE,   /* away for too long */
	WS_REASONS
};

extern const char *const ws_reasons[WS_REASONS]; /* "error", "closed" ... */

/* What backends can ask about a session. */
struct ws_about_session {
	char address[WS_ADDRESS_MAX]; /* NUL-terminated; "": it is away */
	struct ws_text path; /* of its request */
	long long since;     /* when it began, s since 1970 */
	int away;
	enum ws_reason reason; /* why it is away */
	size_t unsent, kept; /* bytes of queued messages */
};

/* The owner of a hub's sessions. */
struct ws_owner {
	ws_deliver *deliver;
	void (*describe)(const struct ws_session *s,
	    struct ws_about_session *about, void *arg);
	/* Ends s with a Close frame. s must leave the hub at once. */
	void (*kick)(struct ws_session *s, unsigned code, const char *reason,
	    void *arg);
	/* Writes all counters as a JSON object of at most room bytes. */
	size_t (*stats)(char *out, size_t room, void *arg);
};

struct ws_watch;

struct ws_hub {
	const struct ws_owner *owner;
	void *arg;
	struct ws_watch *watch; /* NULL: nobody watches */
	uint32_t max_watchers;
	/* Called if a channel gets its first device or has lost its last one.
	   NULL if nobody watches. */
	void (*channel_event)(struct ws_hub *h, const struct ws_channel *c,
	    int occupied);
	struct ws_device **devices; /* all of them, in no order */
	uint32_t count, room;
	struct ws_device **buckets; /* those with an id, by it */
	uint32_t nbuckets;
	struct ws_device **names; /* those with a name, by it */
	uint32_t nnames, name_buckets;
	struct ws_channel **channels; /* by name */
	uint32_t nchannels, channel_buckets;
	struct ws_link **links; /* by device and channel */
	uint32_t nlinks, link_buckets;
	int64_t budget; /* deliveries left until ws_control_feed pauses */
	unsigned char key[16]; /* for hashing names */
	unsigned char pool[240]; /* random bytes not yet used */
	unsigned npool;
};

/*
 * owner's functions get arg. -1 with errno: no memory or entropy, and
 * ws_hub_free need not be called.
 */
int ws_hub_init(struct ws_hub *h, const struct ws_owner *owner, void *arg);

/* All sessions must have left. */
void ws_hub_free(struct ws_hub *h);

/*
 * Adds s, zeroed by the caller, to the device with that name. If name is empty,
 * s becomes a device of its own with a random id. -1 with errno: ENOMEM, EEXIST
 * if the name is the id of another device, or an error of ws_entropy.
 */
int ws_hub_join(struct ws_hub *h, struct ws_session *s, struct ws_text name);

/*
 * Removes s, if it has joined. If it was the last session of its device, the
 * device is removed as well, also from its channels.
 */
void ws_hub_leave(struct ws_hub *h, struct ws_session *s);

/* The device with that name or id, or NULL. */
struct ws_device *ws_hub_find(const struct ws_hub *h, struct ws_text name);

/* The name of a device, or its id if it has none. */
struct ws_text ws_device_name(const struct ws_device *d);

/* The first of a device's sessions; ->next is the next one. */
struct ws_session *ws_device_sessions(const struct ws_device *d);

/* How many sessions it has. */
unsigned ws_device_count(const struct ws_device *d);

/*
 * Load the hash bucket of a device id, and then the device, into the cache.
 * Among 10,000 devices neither is in it. Calling both some work ahead of
 * ws_hub_find hides the latency; they change nothing and are optional.
 */
void ws_hub_prefetch_bucket(const struct ws_hub *h, struct ws_text id);
void ws_hub_prefetch_device(const struct ws_hub *h, struct ws_text id);

/*
 * Deliver f to all sessions, to those in a channel, or to those of a device.
 * The device except, if it is not NULL, gets nothing. They return how many
 * sessions it was queued for.
 */
size_t ws_hub_multicast(struct ws_hub *h, struct ws_frame *f,
    const struct ws_device *except);
size_t ws_hub_publish(struct ws_hub *h, struct ws_text channel,
    struct ws_frame *f, const struct ws_device *except);
size_t ws_hub_send(struct ws_hub *h, struct ws_text device,
    struct ws_frame *f);

/* 1 if that changed something, 0 if not, -1: no memory. */
int ws_hub_subscribe(struct ws_hub *h, struct ws_device *d,
    struct ws_text channel);
int ws_hub_unsubscribe(struct ws_hub *h, struct ws_device *d,
    struct ws_text channel);

/* The channel of that name, or NULL. */
const struct ws_channel *ws_hub_find_channel(const struct ws_hub *h,
    struct ws_text name);
struct ws_text ws_channel_name(const struct ws_channel *c);
uint32_t ws_channel_count(const struct ws_channel *c);
struct ws_device *ws_channel_device(const struct ws_channel *c, uint32_t i);

/* Whether a device is in a channel. */
int ws_hub_is_in(const struct ws_hub *h, const struct ws_device *d,
    const struct ws_channel *c);

/*
 * Iterates over the channels of a device. *at is NULL at first. Returns NULL
 * after the last.
 */
const struct ws_channel *ws_device_channel(const struct ws_device *d,
    const struct ws_link **at);

/*
 * A walk visits all devices, and then all channels, in an order of places that
 * depend only on their names and on the hub's key. So it can pause, and others
 * may come and go meanwhile: at every moment it has visited exactly those whose
 * place is below the walk's.
 */
#define WS_WALK_CHANNELS ((uint64_t)2 << 32) /* here the channels begin */
#define WS_WALK_END ((uint64_t)3 << 32)

uint64_t ws_device_place(const struct ws_device *d);
uint64_t ws_channel_place(const struct ws_channel *c);

struct ws_walk {
	uint64_t at; /* set to 0, or to WS_WALK_CHANNELS */
	void (*device)(struct ws_hub *h, struct ws_device *d, void *arg);
	void (*channel)(struct ws_hub *h, const struct ws_channel *c,
	    void *arg);
};

/*
 * Visits those at one place or a few, and sets w->at beyond them. It reduces
 * h->budget.
 */
void ws_hub_walk(struct ws_hub *h, struct ws_walk *w, void *arg);

/* ---------------------------------------------------------------- queue.c */

struct iovec;

/* Bytes of memory that a frame takes. */
size_t ws_frame_cost(const struct ws_frame *f);

/*
 * The frames of a session, in order, in a ring buffer with three marks:
 *
 *     [kept ... | waiting ... | free)
 *
 * Waiting frames are to be sent. If the queue keeps frames, those that count
 * are kept when they have been sent, until they are confirmed or forgotten.
 *
 * total, here and below, points to the memory of all queues of a loop:
 * ws_frame_cost of each frame, counted once even if it is in many queues, and
 * twice the size of each ring, because a ring doubles when it is full.
 */
struct ws_queue {
	struct ws_frame **ring; /* small, or allocated */
	struct ws_frame *small[2];
	uint32_t first;         /* index of the oldest frame */
	uint32_t kept;          /* number of kept frames */
	uint32_t count;         /* number of waiting frames */
	uint32_t unsent;        /* bytes of the waiting frames, less sent */
	uint32_t sent;          /* bytes of the first of these already sent */
	uint32_t kept_bytes;
	uint32_t taken_at;      /* ms, set by the owner: when the peer last took
	                           bytes, or the queue was last empty */
	unsigned room : 30;     /* frames that the ring has room for */
	unsigned fits : 1;      /* from ws_queue_break to ws_queue_resume */
	unsigned keeps : 1;     /* set by the owner */
};

void ws_queue_init(struct ws_queue *q);

/*
 * Appends f with a reference of its own: 0, or -1 if there is no memory or
 * unsent would reach 4 GiB.
 */
int ws_queue_push(struct ws_queue *q, size_t *total, struct ws_frame *f);

/* The last waiting frame. There must be one. */
struct ws_frame *ws_queue_last(const struct ws_queue *q);

/* Replaces the last waiting frame with f. There must be at least two. */
void ws_queue_replace(struct ws_queue *q, size_t *total, struct ws_frame *f);

/*
 * Points at most `most` entries of iov at the waiting frames. Small frames in a
 * row are copied to flat, of room bytes, and share an entry: copying costs less
 * than an entry for each. Returns the number of entries; *bytes becomes their
 * total length.
 */
int ws_queue_gather(const struct ws_queue *q, struct iovec *iov, int most,
    unsigned char *flat, size_t room, size_t *bytes);

/* Marks n more bytes as sent, and keeps or releases frames sent completely. */
void ws_queue_advance(struct ws_queue *q, size_t *total, size_t n);

/* Frees memory of the ring that is not needed now. */
void ws_queue_shrink(struct ws_queue *q, size_t *total);

/*
 * ws_queue_cut releases all frames, except the first waiting one if it is
 * partly sent or does not count (it may be the response to the request).
 * ws_queue_clear releases all. They return how many waiting frames they
 * released.
 */
uint32_t ws_queue_cut(struct ws_queue *q, size_t *total);
uint32_t ws_queue_clear(struct ws_queue *q, size_t *total);

/* Releases the n oldest kept frames. There must be as many. */
void ws_queue_forget(struct ws_queue *q, size_t *total, uint32_t n);

/*
 * Adapts the queue to the loss of its connection: waiting frames that do not
 * count are released, and a partly sent frame will be sent from its beginning.
 *
 * If peer is not NULL, the old connection goes on with that queue. If the first
 * frame is partly sent or does not count (it may be the response to the
 * request), it is moved to peer, and q treats it as sent. -1: no memory for
 * that.
 */
int ws_queue_break(struct ws_queue *q, size_t *total, struct ws_queue *peer);

/*
 * Adapts the queue to a new connection, whose peer has received the n oldest
 * kept frames: these are released, all others wait again, and f, which must not
 * count, becomes the first to be sent. -1: no memory, and nothing is changed.
 */
int ws_queue_resume(struct ws_queue *q, size_t *total, uint32_t n,
    struct ws_frame *f);

/* Bytes that count towards a client's limit: what is unsent, and the ring. */
size_t ws_queue_bytes(const struct ws_queue *q);

/* How many of the waiting frames count. */
uint32_t ws_queue_counting(const struct ws_queue *q);

/* Bytes of the kept frames and of their pointers. */
size_t ws_queue_kept(const struct ws_queue *q);

/* Bytes of all frames, kept and waiting, and of their pointers. */
size_t ws_queue_all(const struct ws_queue *q);

/* ---------------------------------------------------------------- watch.c */

#define WS_REPLIES_MAX 65536 /* bytes: then a list or snapshot pauses */
#define WS_STATS_MAX 16384   /* bytes of all counters as JSON */
#define WS_WATCHERS_MAX 64

/* Bytes to be sent, in memory that grows. Zero it to begin. */
struct ws_output {
	char *s;
	size_t len, room;
	unsigned char failed; /* there was no memory: nothing is added */
};

void ws_output_add(struct ws_output *o, const char *s, size_t len);

/* Removes n bytes from the front. */
void ws_output_remove(struct ws_output *o, size_t n);
void ws_output_free(struct ws_output *o);

enum ws_event_kind {
	WS_EVENT_CONNECT, WS_EVENT_AWAY, WS_EVENT_RESUME, WS_EVENT_DISCONNECT,
	WS_EVENT_CHANNEL_OCCUPIED, WS_EVENT_CHANNEL_VACATED, WS_EVENTS
};

struct ws_watcher;

/* All watchers of a hub. */
struct ws_watch {
	struct ws_hub *hub;
	struct ws_watcher *first;
	unsigned count;
	struct ws_output line; /* the event that is being told */
	int told; /* an event has been told: set to 0 when it has been sent */
};

/* The number of the event with that name, or -1. */
int ws_watch_event(const char *name, size_t len);

/*
 * Begins to watch, if *w is NULL: events, a bit for each, are written to out.
 * Otherwise changes which events are. With a snapshot, what there is is told
 * first, by ws_watch_continue. -1: no memory.
 */
int ws_watch_begin(struct ws_hub *h, struct ws_watcher **w,
    struct ws_output *out, unsigned events, int snapshot);
void ws_watch_end(struct ws_watcher *w); /* NULL is allowed */

/* How many there are. */
unsigned ws_watch_count(const struct ws_hub *h);

/* The output of watcher number i, from 0; NULL: there are not so many. */
struct ws_output *ws_watch_output(const struct ws_hub *h, unsigned i);

/*
 * While hold is 1, because its output ends in the middle of a line, a watcher's
 * events wait. They follow as soon as hold is 0.
 */
void ws_watch_hold(struct ws_watcher *w, int hold);

/* Whether a snapshot is being told; tells more of it, while there is room. */
int ws_watch_snapshotting(const struct ws_watcher *w);
void ws_watch_continue(struct ws_hub *h, struct ws_watcher *w);

/* To be called when some of the watcher's output has been removed. */
void ws_watch_sent(struct ws_watcher *w);

/*
 * Tells an event of a session, which is in the hub. Disconnect is told before
 * the session leaves it. reason is for away and disconnect.
 */
void ws_watch_session(struct ws_hub *h, const struct ws_session *s,
    enum ws_event_kind event, enum ws_reason reason);

/* A list of devices or channels, which is written in pieces. */
struct ws_list {
	struct ws_walk walk;
	uint64_t end;
	struct ws_output *out; /* NULL: it has not begun */
	int any;               /* it has an element */
	struct ws_text channel; /* only devices in it; len 0: all */
};

/*
 * A list of the devices in a channel, of all devices, or of all channels. The
 * caller frees it. NULL: no memory.
 */
struct ws_list *ws_list_new(int channels, struct ws_text channel);
void ws_list_begin(struct ws_hub *h, struct ws_list *l, struct ws_output *out);

/* Writes more, while there is room. Returns 1 when the list is complete. */
int ws_list_continue(struct ws_hub *h, struct ws_list *l);

/* Write a device's channels, its sessions and channels, or all counters. */
void ws_watch_channels(const struct ws_device *d, struct ws_output *o);
void ws_watch_info(struct ws_hub *h, const struct ws_device *d,
    struct ws_output *o);
void ws_watch_stats(const struct ws_hub *h, struct ws_output *o);

/* -------------------------------------------------------------- command.c */

/* What a backend can ask for. From COUNT on, these are only questions. */
enum ws_action {
	WS_ACTION_MULTICAST, WS_ACTION_SEND_TO_CHANNEL,
	WS_ACTION_SEND_TO_DEVICE, WS_ACTION_SUBSCRIBE, WS_ACTION_UNSUBSCRIBE,
	WS_ACTION_KICK, WS_ACTION_COUNT, WS_ACTION_LIST, WS_ACTION_CHANNELS,
	WS_ACTION_INFO, WS_ACTION_STATS, WS_ACTION_WATCH,
	WS_ACTIONS
};

enum ws_field {
	WS_FIELD_ACTION, WS_FIELD_DEVICE, WS_FIELD_CHANNEL, WS_FIELD_DATA,
	WS_FIELD_EXCEPT, WS_FIELD_CODE, WS_FIELD_REASON, WS_FIELD_EVENTS,
	WS_FIELD_SNAPSHOT,
	WS_FIELDS
};

#define WS_CLOSE_REASON_MAX (WS_CONTROL_MAX - 2) /* RFC 6455 section 5.5.1 */

/* A command. Its strings point into its own buffers. */
struct ws_command {
	enum ws_action action;
	struct ws_text value[WS_FIELDS]; /* as written, in the object; s is
	                                    NULL: there is no such member */
	struct ws_text device, channel, except; /* len 0: none */
	char device_buf[WS_NAME_MAX], channel_buf[WS_NAME_MAX];
	char except_buf[WS_NAME_MAX], reason[WS_CLOSE_REASON_MAX + 1];
	unsigned code, events; /* of kick; of watch: a bit for each event */
	int snapshot;
	char detail[WS_ERROR_MAX]; /* an error message, NUL-terminated */
};

/*
 * Reads a complete text, accepted by ws_json_scan: 0, or -1 with an error
 * message in cmd->detail. Of members with the same name, the last one counts.
 */
int ws_command_read(struct ws_command *cmd, struct ws_text object);

/* Writes an error message that quotes a part of a command. Returns -1. */
int ws_command_quote(char detail[WS_ERROR_MAX], const char *what,
    struct ws_text text);

/* --------------------------------------------------------------- stream.c */

/* A stream of JSON texts with whitespace between them. Zero it to begin. */
struct ws_stream {
	struct ws_json json;
	struct ws_output text; /* the first part of an incomplete text */
	unsigned char state;
};

/* Values of state. The caller may set BETWEEN while it is RESYNC. */
enum {
	WS_STREAM_BETWEEN, /* two texts */
	WS_STREAM_INSIDE,  /* a text */
	WS_STREAM_RESYNC   /* input is skipped */
};

enum ws_stream_event {
	WS_STREAM_MORE,     /* all input is used, and more is needed */
	WS_STREAM_TEXT,     /* a complete text, with no white space around */
	WS_STREAM_NEWLINE,  /* one between two texts */
	WS_STREAM_DROPPED,  /* a text was lost, with an error message */
	WS_STREAM_BAD,      /* the same, and from here input is skipped, */
	WS_STREAM_RESYNCED  /* up to here: the next byte is a newline */
};

/*
 * Reads on from *p, which is before end, until something has been found, and
 * moves *p behind it. Sets *text for WS_STREAM_TEXT: it lies in the input, or,
 * if it began in earlier input, in s->text, and then the caller calls
 * ws_stream_free when it is done with it. A text of more than WS_TEXT_MAX bytes
 * is bad.
 */
enum ws_stream_event ws_stream_next(struct ws_stream *s, const char **p,
    const char *end, struct ws_text *text, char error[WS_ERROR_MAX]);

/* The input ends: 0. Inside a text, -1 with an error; the state is RESYNC. */
int ws_stream_end(struct ws_stream *s, char error[WS_ERROR_MAX]);

/* Frees the copy of a text. */
void ws_stream_free(struct ws_stream *s);

/* -------------------------------------------------------------- control.c */

/* A backend: commands in, replies out. Zero it to begin. */
struct ws_control {
	struct ws_stream in;
	struct ws_output out; /* replies and events, which the caller sends */
	uint64_t objects, errors; /* how many there were */
	unsigned char line_open;  /* no newline has followed the last object */
	unsigned char lines; /* the backend writes a newline after an object */
	char detail[WS_ERROR_MAX]; /* of the last reply, NUL-terminated */
	struct ws_output answer;   /* its detail, if that is longer */
	struct ws_list *list;      /* the same, if it is a list */
	struct ws_watcher *watcher; /* NULL: it does not watch */
};

/*
 * Executes the complete objects in len more bytes and appends the replies to
 * c->out. Returns how many bytes it took. These are fewer than len if the work
 * has used up h->budget, which at most two more objects exceed, or if a list or
 * snapshot is not complete; pass the rest again later. If c->out.failed is 1
 * afterwards, there was no memory for a reply: close the connection.
 */
size_t ws_control_feed(struct ws_hub *h, struct ws_control *c,
    const char *data, size_t len);

/*
 * ws_control_resyncing returns 1 while the rest of an invalid object is being
 * skipped. The caller then calls ws_control_resync as soon as it has passed on
 * everything received. A backend that does not write newlines gets its ERR
 * reply only by that call.
 */
int ws_control_resyncing(const struct ws_control *c);
void ws_control_resync(struct ws_control *c);

/* 1 while a list or a snapshot is not complete. */
int ws_control_busy(const struct ws_control *c);

/* The backend will send no more: an incomplete object gets an ERR reply. */
void ws_control_end(struct ws_control *c);

/* Removes n bytes from the front of c->out. */
void ws_control_sent(struct ws_control *c, size_t n);

void ws_control_free(struct ws_control *c);

/* ------------------------------------------------------------------ pem.c */

/* What a block contains. A block of any other kind is an error. */
enum ws_pem_kind {
	WS_PEM_END, /* there is no more block */
	WS_PEM_CERTIFICATE, WS_PEM_KEY,
	WS_PEM_ENCRYPTED_KEY, WS_PEM_FOREIGN_KEY, /* unsupported keys */
	WS_PEM_OTHER, /* to be skipped */
	WS_PEM_KINDS
};

/* A PEM text (RFC 7468) being read. The caller sets four members. */
struct ws_pem {
	struct ws_text left;  /* set: the text; later what is unread of it */
	unsigned line;        /* set to 1: the line number where left begins */
	const char *name;     /* set: what error messages call the text */
	char *error;          /* set: room for WS_ERROR_MAX bytes */
	struct ws_text label; /* of the current block */
	unsigned begin;       /* the line number of its BEGIN */
};

/*
 * Finds the next block. Returns its kind, WS_PEM_END at the end of the text, or
 * -1 with an error message that contains the line number.
 */
int ws_pem_begin(struct ws_pem *p);

/*
 * Reads the next piece of the block's base64. Returns 1, or 0 at the end of the
 * block, or -1 with an error message.
 */
int ws_pem_line(struct ws_pem *p, struct ws_text *line);

/* Writes an error message with the line number; returns -1. */
int ws_pem_fail(const struct ws_pem *p, const char *reason);

/* ------------------------------------------------------------------ tls.c */

struct iovec;
struct ws_tls_config;
struct ws_tls;

/*
 * A certificate chain (leaf first), its private key and a cache of sessions.
 * chain and key are PEM texts, which the caller may wipe afterwards. Returns
 * NULL with an error message, or else a configuration with one reference, and
 * in error "" or a warning that the certificate has expired or is not valid
 * yet. Each session has a reference of its own.
 */
struct ws_tls_config *ws_tls_config_new(struct ws_text chain,
    struct ws_text key, char error[WS_ERROR_MAX]);
struct ws_tls_config *ws_tls_config_reference(struct ws_tls_config *c);
void ws_tls_config_release(struct ws_tls_config *c); /* NULL is allowed */

/*
 * A session on a connected, non-blocking socket, which the caller closes.
 * NULL: no memory or no entropy. Between two calls an idle session has no
 * record buffers: all sessions share two, which one session uses for the
 * duration of a call.
 */
struct ws_tls *ws_tls_new(struct ws_tls_config *c, int fd);
void ws_tls_free(struct ws_tls *t);

/*
 * Reads data, after the handshake if that is not done. It is a transport (see
 * Conventions). buf must have room for WS_TLS_RECORD bytes, so that no
 * decrypted data is left in the session. A call reads the socket at most 64
 * times and returns the data of at most one record, so WS_WANT_IN does not mean
 * that the socket is empty. WS_WANT_OUT is returned only during the handshake.
 * Later, a record that has to be answered leaves an answer that ws_tls_unsent
 * reports. 0 is returned after close_notify, and if the peer closes the
 * connection without one.
 */
#define WS_TLS_RECORD 16384
ssize_t ws_tls_read(struct ws_tls *t, void *buf, size_t room);

/*
 * Sends bytes from the front of iov[0..n) in records of up to 16,384 bytes, and
 * returns how many it has taken. These are sent, or partly kept, encrypted, in
 * the session: while ws_tls_unsent is 1, call again when the socket is
 * writable. n may be 0 then, and 0 is returned once all is sent.
 */
ssize_t ws_tls_writev(struct ws_tls *t, const struct iovec *iov, int n);
int ws_tls_unsent(const struct ws_tls *t);

/*
 * Bytes of memory for incomplete records, received or to be sent, that the
 * session keeps between two calls; 0 if it is idle.
 */
size_t ws_tls_buffered(const struct ws_tls *t);

/* 1 until the handshake is done and its last record has been sent. */
int ws_tls_handshaking(const struct ws_tls *t);

/* 1 if the session was resumed from the cache (RFC 5246 section 7.3). */
int ws_tls_resumed(const struct ws_tls *t);

/*
 * Sends close_notify (RFC 5246 section 7.2.1). Returns 0 once it has been sent,
 * WS_WANT_OUT to be called again when the socket is writable, or WS_ERROR.
 */
int ws_tls_close(struct ws_tls *t);

/* The reason for a WS_ERROR. The string is valid until the next call. */
const char *ws_tls_error(const struct ws_tls *t);

/* --------------------------------------------------------------- listen.c */

#define WS_LISTEN_MAX 16    /* sockets for one address */

/*
 * Identifies a socket's file, to notice that another has replaced it. The types
 * are not dev_t and ino_t because the widths of those depend on
 * _FILE_OFFSET_BITS, which not all files of a program define alike.
 */
struct ws_file_id {
	uint64_t dev, ino;
};

/*
 * Splits "host:port", ":port" or "[v6]:port" into NUL-terminated parts: 0, or
 * -1 if it is invalid.
 */
int ws_listen_split(const char *address, char host[256], char port[6]);

/* Checks the syntax of an address for ws_listen: 0, or -1 if it is invalid. */
int ws_listen_check(const char *address);

/*
 * Opens the listening stream sockets of an address, non-blocking and
 * close-on-exec. The address is "host:port", ":port" (every local address),
 * "[v6]:port" or "unix:PATH" (mode 0666; *id is set). A host name may have
 * several addresses. Returns the number of sockets, or -1 with an error
 * message.
 */
int ws_listen(const char *address, int fd[WS_LISTEN_MAX],
    struct ws_file_id *id, char error[WS_ERROR_MAX]);

/*
 * Opens a listening Unix socket at path with that mode and group (-1: the
 * default group). A socket file on which no process listens is replaced;
 * anything else at that path is an error. Returns the descriptor, or -1 with an
 * error message.
 */
int ws_listen_unix(const char *path, mode_t mode, gid_t group,
    struct ws_file_id *id, char error[WS_ERROR_MAX]);

/*
 * Removes the file at path, unless another has replaced the one of *id. It may
 * be called by a signal handler.
 */
void ws_listen_remove(const char *path, const struct ws_file_id *id);

/*
 * Writes a socket's own address (peer 0) or its peer's (peer 1), such as
 * "127.0.0.1:8080", "[::1]:8080", "unix:/run/hub" or "unix".
 */
void ws_address(int fd, int peer, char name[WS_ADDRESS_MAX]);

/* ----------------------------------------------------------------- poll.c */

/*
 * The type of the struct of which a ws_conn is the first member: from
 * WS_CONN_CLIENT on, struct ws_client.
 */
enum ws_conn_kind {
	WS_CONN_WATCH, WS_CONN_LISTENER, WS_CONN_CONTROL, WS_CONN_METRICS,
	WS_CONN_BACKEND, WS_CONN_CLIENT,
	WS_CONN_SCRAPER /* a client of a listener for metrics */
};

struct ws_conn {
	struct ws_conn *next; /* in ws_poll's dead list */
	uint32_t slot;        /* index in ws_poll's arrays */
	int fd;
	short events;         /* see ws_poll_events */
	short revents;        /* of the last ws_poll_wait that had it ready */
	unsigned char kind;   /* enum ws_conn_kind */
	unsigned char dead;   /* in the dead list, to be freed */
	unsigned char always_hot;
	unsigned char recent; /* had an event since the last full scan */
};

struct pollfd;

/* The descriptors, hot ones first: see poll.c. Zero it to begin. */
struct ws_poll {
	struct pollfd *fds;
	struct ws_conn **conns;
	struct ws_conn **ready; /* of the last ws_poll_wait */
	struct ws_conn *dead;    /* to be removed and freed by the owner */
	uint32_t n, hot, room;
	int timeout;             /* ms, of the last call of poll */
	int64_t last_event;      /* ns: when a descriptor was last ready */
	int64_t last_scan;       /* ns: when all were last polled; 0: every
	                            poll is of all */
	int64_t next_scan;       /* ns */
	int64_t scan_cost;       /* ns per descriptor, an average */
	int64_t scan_time;       /* ns spent on all scans */
	int64_t longest_unheard; /* ns, the longest time between two scans */
	uint64_t scans, late_scans;
};

/* CLOCK_MONOTONIC in nanoseconds, and the time in seconds since 1970. */
int64_t ws_clock(void);
long long ws_wall_clock(void);

/* Adds fd, to be polled for POLLIN. -1 with errno: no memory. */
int ws_poll_add(struct ws_poll *p, struct ws_conn *c, int fd);

/* c->fd becomes -1. */
void ws_poll_remove(struct ws_poll *p, struct ws_conn *c);

/* Exchanges the descriptors of two; one of them may have none: fd is -1. */
void ws_poll_exchange(struct ws_poll *p, struct ws_conn *a, struct ws_conn *b);

/* Sets the events (POLLIN, POLLOUT) to poll for. */
void ws_poll_events(struct ws_poll *p, struct ws_conn *c, int events);

/* Makes c cold, as no event is expected soon, unless it is always hot. */
void ws_poll_cool(struct ws_poll *p, struct ws_conn *c);

/* Adds c to p->dead, unless it is in there. The owner of p frees it later. */
void ws_poll_kill(struct ws_poll *p, struct ws_conn *c);

/*
 * Waits at most timeout ms (-1: without limit). Returns the number of
 * connections in p->ready. It may return 0 before the timeout.
 */
uint32_t ws_poll_wait(struct ws_poll *p, int timeout);

/* Makes the next wait poll all descriptors. */
void ws_poll_scan_next(struct ws_poll *p);
void ws_poll_free(struct ws_poll *p);

/* ---------------------------------------------------------------- wheel.c */

#define WS_SLOTS 256 /* a power of two */

/* A timer, a member of its owner's struct. A zeroed timer is not set. */
struct ws_timer {
	struct ws_timer *prev, *next; /* in its slot's list */
	int64_t when;
	int32_t slot; /* its slot's index, plus 1; 0: not set */
};

struct ws_wheel {
	struct ws_timer *slots[WS_SLOTS];
	int64_t tick; /* the last slot expired: its time in slots */
	int64_t next; /* the first slot after it that has a timer, likewise;
	                 INT64_MAX: none */
};

/* Initialises a zeroed wheel. */
void ws_wheel_init(struct ws_wheel *w, int64_t now);

/* Sets a timer, or changes its time. */
void ws_wheel_set(struct ws_wheel *w, struct ws_timer *t, int64_t when);

/* Clears a timer, which need not be set. */
void ws_wheel_clear(struct ws_wheel *w, struct ws_timer *t);

/*
 * Clears every timer that is due and calls expired for it, at most 128 ms late.
 * expired may set and clear any timer.
 */
void ws_wheel_expire(struct ws_wheel *w, int64_t now,
    void (*expired)(struct ws_timer *t, void *arg), void *arg);

/* A time before which no timer is due; INT64_MAX if none is set. */
int64_t ws_wheel_next(const struct ws_wheel *w);

/*
 * A pseudo-random number from 0 to range - 1, good enough to spread deadlines.
 * *seed must not be 0.
 */
uint32_t ws_jitter(uint32_t *seed, uint32_t range);

/* ----------------------------------------------------------------- peer.c */

/* Counts the connections of an address, if max_per_ip limits them. */
struct ws_peer {
	struct ws_peer *chain;
	unsigned char key[8]; /* IPv4, or the /64 of IPv6 */
	unsigned count;
};

struct ws_loop;
struct ws_client;

/* Allocates l->peers if max_per_ip is set. -1: no memory. */
int ws_peer_init(struct ws_loop *l);

struct ws_about;

/*
 * Whether the address of a connection is one that o.trust contains. This and
 * the next two use the address in about if there is one, or else that of fd's
 * peer; about may be NULL.
 */
int ws_peer_trusted(const struct ws_loop *l, int fd,
    const struct ws_about *about);

/*
 * Counts one more connection for its address. Returns 0 and sets *peer, which
 * is for ws_peer_release (NULL if there is no limit), or returns -1: too many
 * connections, or no memory.
 */
int ws_peer_count(struct ws_loop *l, int fd, const struct ws_about *about,
    struct ws_peer **peer);

/* Whether peer is not NULL and has the address of the connection. */
int ws_peer_is(const struct ws_peer *peer, int fd,
    const struct ws_about *about);

/* Counts one more, even above the limit; NULL is allowed. Returns peer. */
struct ws_peer *ws_peer_share(struct ws_peer *peer);

/* Counts one connection less; NULL is allowed. */
void ws_peer_release(struct ws_loop *l, struct ws_peer *peer);

/*
 * More of a connection whose address or path is not the usual one. With -v,
 * every connection has it.
 */
struct ws_about {
	char *end; /* its last line, as lines.c keeps it, or NULL */
	struct ws_ip ip; /* forwarded by a proxy; family 0: the socket's */
	unsigned char path_len; /* the path's bytes follow the struct */
};

struct sockaddr_storage;

/* With the address that accept(2) has returned. NULL: no memory. */
struct ws_about *ws_about_new(const struct sockaddr_storage *a);

/*
 * Sets c->about; without an ip, its address stays as it is. Of the path, the
 * first WS_PATH_MAX bytes are kept; it is "/" until the request has been read.
 * 0, or -1: no memory, and c->about is as before.
 */
int ws_about_set(struct ws_client *c, const struct ws_ip *ip,
    struct ws_text path);

/*
 * Writes the address of a client: the one that a proxy has forwarded, such as
 * "192.0.2.1:5000", "[2001:db8::1]:5000" or, if the port is not known,
 * "192.0.2.1"; or else what ws_address writes for its socket. "away" if it has
 * no connection.
 */
void ws_client_address(const struct ws_client *c, char name[WS_ADDRESS_MAX]);

/* The path of a client's request, without its query. Valid until it ends. */
struct ws_text ws_client_path(const struct ws_client *c);

/* ------------------------------- structs of all files from here to loop.c */

enum { WS_LOG_ERROR, WS_LOG_NOTE, WS_LOG_INFO, WS_LOG_DEBUG };

/* Times are in seconds. 0 turns heartbeat, ping and max_per_ip off. */
struct ws_options {
	unsigned heartbeat, ping, drain;
	unsigned max_clients; /* 0: as many as RLIMIT_NOFILE allows */
	unsigned max_per_ip;
	size_t queue;       /* limit of a client's ws_queue_bytes */
	size_t queue_total; /* limit of the bytes of all frames, rings,
	                       incomplete heads and TLS records; 0: none */
	int log_level;      /* lines of a higher level are not logged */
	void (*log)(int level, const char *line); /* without a newline; NULL:
	                                             no log */
	unsigned resume;    /* how long a session may be away; 0: not at all */
	size_t keep;        /* limit of a session's ws_queue_kept; at most
	                       a fourth of queue */
	const char *const *origins; /* allowed ones, NULL after the last;
	                               NULL: all */
	const struct ws_trust *trust; /* proxies; NULL: none */
	int proxy_protocol; /* connections begin with a PROXY header, and all
	                       that are not from such proxies are closed */
	struct ws_http http;
	int metrics;        /* 1: ws_loop_metrics will be called. Deliveries are
	                       timed, and descriptors are reserved */
};

#define WS_BACKENDS_MAX 256 /* connections to the control sockets */
#define WS_SCRAPERS 8       /* connections to the listeners for metrics */
#define WS_DELIVERY_BUCKETS 10 /* of the histogram of delivery times */

#define WS_READ_MAX 65536 /* bytes of one read */
#define WS_FLAT_MAX 16384

enum ws_counter {
	WS_ACCEPTED, WS_REFUSED, WS_BAD_REQUESTS, WS_TLS_FAILURES, WS_OPENED,
	WS_PROTOCOL_ERRORS, WS_SILENT, WS_CUT_OFF, WS_LOST,
	WS_UNDELIVERED, WS_UNAUTHORIZED, WS_RESUMED, WS_MISSED, WS_LATE,
	WS_KICKED,
	WS_OBJECTS,
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
	struct ws_client *dirty, **dirty_end; /* clients to be flushed */
	struct ws_backend *run_queue, **run_queue_end; /* with unread input */
	uint32_t open_slot, handshake_slot; /* of the clients served last */
	struct ws_wheel wheel; /* of the clients' deadlines */
	struct ws_peer **peers; /* hash table; NULL: no limit per address */
	struct ws_resume **resumes; /* hash table, by secret */
	uint32_t nresumes, resume_buckets;
	struct ws_token_keys *tokens; /* NULL: none is needed */
	int clock_warned;
	uint32_t clients; /* including sessions that are away */
	uint32_t refused, backends, away;
	uint32_t max_clients, max_refused, max_backends;
	uint64_t max_descriptors; /* RLIMIT_NOFILE */
	uint32_t jitter_seed;
	struct ws_client *scrapers[WS_SCRAPERS]; /* NULL: no connection */
	unsigned next_scraper; /* where to look for room first */
	int64_t started;     /* ns */
	int64_t started_at;  /* s since 1970 */
	int64_t now;       /* the time of this turn: ws_clock less suspended */
	int64_t suspended; /* ms for which the process was suspended, so that
	                      no deadline passed */
	int64_t next_heartbeat;
	int64_t accept_after; /* 0: accept now */
	int64_t yield_at;  /* when an idle backend may be closed for a new
	                      one; 0: none has to be */
	int64_t events_sent; /* when events were last sent to watchers */
	int64_t stop_at;   /* when draining ends; 0: not draining */
	size_t queued;     /* the bytes that queue_total limits */
	size_t most_queued;
	int flush_first;    /* flush before anything more is queued */
	int64_t longest_turn; /* ns */
	int64_t log_window_end; /* lines about clients are limited until then */
	unsigned log_lines, log_omitted; /* written, suppressed in this time */
	uint64_t counters[WS_COUNTERS];
	uint64_t ends[WS_REASONS]; /* of sessions, by reason */
	uint64_t sent;       /* bytes to clients, without TLS */
	uint64_t delivery_buckets[WS_DELIVERY_BUCKETS];
	int64_t delivery_time; /* ns, the sum of all in the buckets */
	unsigned char input[WS_HEAD_MAX + WS_READ_MAX];
	unsigned char output[WS_FLAT_MAX]; /* for ws_queue_gather's copies */
};

enum ws_client_state {
	WS_CLIENT_PROXY,  /* the PROXY header is to be received */
	WS_CLIENT_HELLO,  /* on a TLS listener, nothing received yet */
	WS_CLIENT_HEAD,   /* TLS handshake and request head */
	WS_CLIENT_OPEN,   /* has joined the hub */
	WS_CLIENT_AWAY,   /* has joined the hub, and lost its connection */
	WS_CLIENT_ENDING, /* the last bytes to it are queued */
	WS_CLIENT_LINGER  /* they are sent, and the socket is shut down for
	                     writing; waits for the peer to close */
};

struct ws_client {
	/* A delivery uses these members: they share few cache lines. */
	struct ws_conn conn;
	struct ws_session session;
	unsigned char state;    /* enum ws_client_state */
	unsigned char dirty;    /* is in l->dirty */
	unsigned char refused;  /* is over a limit, and gets a 503 response */
	unsigned char pinged;   /* has not answered the last Ping */
	unsigned char reset;    /* close the socket with a TCP reset */
	unsigned char asked;    /* a Ping has asked to confirm messages, and no
	                           Pong has confirmed any since */
	unsigned char reason;   /* enum ws_reason: why it ends or is away */
	unsigned char ended;    /* its end is logged, or will be */
	unsigned short partial_len; /* bytes in partial */
	struct ws_queue queue;
	uint32_t before_ping;   /* bytes that the peer still has to acknowledge
	                           before it sees the Ping */
	uint32_t unacked;       /* bytes unacknowledged when last checked, plus
	                           the bytes sent since then */
	uint64_t sent;          /* bytes, by this connection */
	struct ws_client *next_dirty;
	struct ws_tls *tls;
	/* A delivery does not use the others. */
	union {
		int tls;                 /* while in WS_CLIENT_PROXY: TLS
		                            follows */
		struct ws_head head;     /* until it is open */
		struct ws_framer framer; /* afterwards */
	} in;
	unsigned char *partial; /* an incomplete head or control frame */
	struct ws_peer *peer;
	struct ws_resume *resume; /* NULL: no token, and cannot be resumed */
	struct ws_about *about; /* of the connection; NULL: the path is "/" and
	                           the address is the socket's */
	struct ws_timer deadline;
	int64_t connected; /* when it was accepted, opened or resumed, or when
	                      it went away */
};

/* --------------------------------------------------------------- resume.c */

#define WS_SECRET 16 /* bytes: 128 random bits */
#define WS_SECRET_NAME 32 /* characters: hexadecimal */

struct ws_client;

/* More of a client whose token expires or whose session can be resumed. */
struct ws_resume {
	struct ws_resume *chain; /* in its hash bucket */
	struct ws_client *client;
	uint64_t base; /* number of the last message that has left the queue */
	int64_t due;   /* ms: the client's deadline, apart from its token's */
	unsigned char secret[WS_SECRET];
	uint32_t exp;  /* of the token, s since 1970; UINT32_MAX: never */
	uint32_t opened; /* s of l->now: when the session began */
};

/*
 * Allocates c->resume, with a secret if the session can be resumed. -1: no
 * memory, or no random bytes. ws_client_free frees it.
 */
int ws_resume_new(struct ws_loop *l, struct ws_client *c, int resumable,
    long long exp);
void ws_resume_free(struct ws_loop *l, struct ws_client *c);

/* Sets when its token expires (s since 1970). From 2106 on, that is never. */
void ws_resume_set_expiry(struct ws_client *c, long long exp);

/* Writes the secret in hexadecimal, as it is sent to peers. */
void ws_resume_name(const struct ws_client *c, char name[WS_SECRET_NAME + 1]);

/*
 * Finds the open or away session whose secret begins a name; NULL if there is
 * none. Then *seen is the number that follows after a dot in the name, or
 * UINT64_MAX if there is no such number.
 */
struct ws_client *ws_resume_find(const struct ws_loop *l, struct ws_text name,
    uint64_t *seen);

/* Whether the queue contains all messages after number seen. */
int ws_resume_has(const struct ws_client *c, uint64_t seen);

/* The number of messages since the session began. */
uint64_t ws_resume_count(const struct ws_client *c);

/* Forgets the oldest n of the kept messages. */
void ws_resume_forget(struct ws_loop *l, struct ws_client *c, uint32_t n);

/*
 * Handles the payload of a Pong. If it is the number of a message that was
 * sent, this message and all before it are confirmed.
 */
void ws_resume_confirm(struct ws_loop *l, struct ws_client *c,
    const void *payload, size_t len);

/* Closes the connection of c, and frees everything that belongs to it. */
void ws_resume_drop_connection(struct ws_loop *l, struct ws_client *c);

/*
 * The connection of c is lost. A session that can be resumed is away
 * afterwards; any other client is marked dead.
 */
void ws_resume_lose(struct ws_loop *l, struct ws_client *c);

/*
 * Closes the connection of c with a Close frame. A session that can be resumed
 * is away afterwards.
 */
void ws_resume_close(struct ws_loop *l, struct ws_client *c, unsigned code,
    const char *reason);

/*
 * Gives session s the connection of c. If s has a connection, c gets that one
 * and ends: it completes the frame that is partly sent, and sends a Close.
 * Otherwise c is marked dead. Afterwards s is OPEN, and the caller must set its
 * framer, its deadline and its queue.
 */
void ws_resume_take(struct ws_loop *l, struct ws_client *s,
    struct ws_client *c);

/* ---------------------------------------------------------------- admit.c */

/* How a WebSocket request is decided. */
struct ws_admission {
	int status;         /* if it is refused: 401 or 403 */
	const char *reason; /* static text */
	struct ws_token token; /* exp is LLONG_MAX if no token is needed */
	int resumable;      /* it asks for a session that can be resumed */
	struct ws_client *session; /* that it names; NULL: it names none, or the
	                              token is for another device */
	uint64_t seen;      /* messages of it that the peer has received */
	int lost;           /* the session that it names cannot be resumed */
	char scratch[WS_TOKEN_SCRATCH];
};

/* Fills in *a: 0, or -1 if the request is refused. Changes nothing else. */
int ws_admit(struct ws_loop *l, const struct ws_request *r,
    struct ws_admission *a);

/*
 * Write the first message to a client, and return its length. A greeting begins
 * a new session, in place of another one if that is lost. A resumed session is
 * welcomed back, and told how many missed messages follow.
 */
#define WS_GREETING_MAX 1792
size_t ws_admit_greeting(char out[WS_GREETING_MAX], const struct ws_client *c,
    int lost);
size_t ws_admit_welcome_back(char out[WS_GREETING_MAX],
    const struct ws_client *c, uint64_t missed);

/* ---------------------------------------------------------------- lines.c */

/* Whether the beginnings and ends of connections are logged. */
int ws_client_logs(const struct ws_loop *l);

/* Logs that c has been opened, or its session resumed. */
void ws_client_log_open(const struct ws_loop *l, const struct ws_client *c,
    int resumed);

/*
 * Logs how the connection of c ends, or its session that is away. Only the
 * first call for it counts. To be called while it is in the state that ends,
 * with c->reason set, and while the session is in the hub. code is that of the
 * Close or the HTTP response, or 0.
 *
 * The line is written by ws_client_log_closed. Without -v, lines of the default
 * level are written at once. Thousands can come at the same time. So only some
 * are written in a second, and the others are counted.
 */
void ws_client_log_end(struct ws_loop *l, struct ws_client *c, int level,
    unsigned code, const char *text);

/* Its connection is being closed. */
void ws_client_log_closed(struct ws_loop *l, struct ws_client *c);

/* Logs how many lines were not written. */
void ws_client_log_omitted(struct ws_loop *l);

/* ----------------------------------------------------------------- send.c */

/* Counts a client that is lost for want of memory, and marks it dead. */
void ws_client_no_memory(struct ws_loop *l, struct ws_client *c);

/* Bytes of incomplete requests, frames and TLS records, in both directions. */
size_t ws_client_unfinished(const struct ws_client *c);

/*
 * Updates l->queued after a change of these, which were before bytes. If they
 * are the only data that waits, sets since when.
 */
void ws_client_count_unfinished(struct ws_loop *l, struct ws_client *c,
    size_t before);

/*
 * Replaces c->partial with a copy of incomplete input; len 0 only frees it.
 * Without memory, the client is marked dead.
 */
void ws_client_keep_partial(struct ws_loop *l, struct ws_client *c,
    const unsigned char *data, size_t len);

/* Whether all clients together hold more than --queue-total. */
int ws_client_over_total(const struct ws_loop *l);

/* Adds c to the clients that are flushed in this turn. */
void ws_client_mark_dirty(struct ws_loop *l, struct ws_client *c);

/* The functions of a struct ws_owner; arg is the loop. */
int ws_client_deliver(struct ws_session *s, struct ws_frame *f, void *arg);
void ws_client_describe(const struct ws_session *s,
    struct ws_about_session *about, void *arg);
void ws_client_kick(struct ws_session *s, unsigned code, const char *reason,
    void *arg);

/*
 * Queue a frame, with a reference of its own; a copy of bytes; or a Ping. If
 * the session can be resumed, the Ping's payload is the number of messages so
 * far. 0, or -1: no memory, and the client is marked dead.
 */
int ws_client_queue(struct ws_loop *l, struct ws_client *c,
    struct ws_frame *f);
int ws_client_queue_bytes(struct ws_loop *l, struct ws_client *c,
    const void *data, size_t len);
int ws_client_queue_ping(struct ws_loop *l, struct ws_client *c);

/* Its session, if it has one, leaves the hub: for the reason c->reason. */
void ws_client_leave(struct ws_loop *l, struct ws_client *c);

/*
 * The functions from here to ws_client_end_away, and those of resume.c, end a
 * session or make it go away for the reason c->reason.
 */

/* Ends a client with a Close frame, and its session with it. */
void ws_client_end(struct ws_loop *l, struct ws_client *c, unsigned code,
    const char *reason);

/*
 * Ends a client with an HTTP response: with a status and a reason, or with the
 * bytes of a response that the caller has written.
 */
void ws_client_answer(struct ws_loop *l, struct ws_client *c, int status,
    const char *reason);
void ws_client_answer_bytes(struct ws_loop *l, struct ws_client *c,
    const void *answer, size_t len);

/*
 * Sends a 503 to a connection without TLS that will be closed without reading
 * its request: too many are refused now.
 */
void ws_client_refuse(const struct ws_loop *l, struct ws_client *c);

/* Ends a client that reads too slowly. */
void ws_client_disconnect_slow(struct ws_loop *l, struct ws_client *c);

/* Ends a session that is away. */
void ws_client_end_away(struct ws_loop *l, struct ws_client *c,
    enum ws_counter counter, const char *reason);

/* Frees everything of a dead client that is counted in l->queued. */
void ws_client_release(struct ws_loop *l, struct ws_client *c);

/* The error of the last read or write of c. Valid until the next one. */
const char *ws_client_io_error(const struct ws_client *c);

/* ---------------------------------------------------------------- flush.c */

/* Writes a client's queue to its socket, as far as the kernel accepts it. */
void ws_client_flush(struct ws_loop *l, struct ws_client *c);

/*
 * Flushes every client that was marked dirty since the last call, and then
 * evicts some if all together hold more than --queue-total.
 */
void ws_client_flush_all(struct ws_loop *l);

/* Flushes only the first of these clients: 1 if there are others, else 0. */
int ws_client_flush_one(struct ws_loop *l);

/* --------------------------------------------------------------- client.c */

#define WS_CLIENT_MESSAGE_MAX 65536 /* bytes of a client's message */
#define WS_HANDSHAKE_SECONDS 10     /* for TLS and the request head */
#define WS_PONG_SECONDS 10

/*
 * Adds a client on an accepted, non-blocking socket. tls is 1 if it comes from
 * a TLS listener. If refused is 1, it gets a 503 response, unless it resumes a
 * session. NULL: no memory, and the caller must close fd.
 */
struct ws_client *ws_client_new(struct ws_loop *l, int fd, int tls,
    int refused);

/* Reads and writes according to c->conn.revents. */
void ws_client_serve(struct ws_loop *l, struct ws_client *c);

/* Sends Close 1001 after delay ms; drops a client that is not open. */
void ws_client_stop(struct ws_loop *l, struct ws_client *c, int64_t delay);

/* Handles a client's deadline, for ws_wheel_expire; arg is the loop. */
void ws_client_timeout(struct ws_timer *deadline, void *arg);

/* Closes the connection of c, if it has one, and frees c. */
void ws_client_free(struct ws_loop *l, struct ws_client *c);

/* -------------------------------------------------------------- metrics.c */

#define WS_METRICS_MAX (WS_FLAT_MAX - WS_ANSWER_MAX) /* bytes of all metrics */

/*
 * Write all metrics, as text for Prometheus or as one JSON object, and return
 * the length without the NUL. room is WS_METRICS_MAX or more.
 */
size_t ws_metrics_text(const struct ws_loop *l, char *out, size_t room);
size_t ws_metrics_json(const struct ws_loop *l, char *out, size_t room);

/* Logs the counters, a line for each. */
void ws_metrics_log(const struct ws_loop *l);

/* Counts a turn whose deliveries took so long. */
void ws_metrics_delivery(struct ws_loop *l, int64_t ns);

/* ----------------------------------------------------------------- loop.c */

/* NULL with errno; EMFILE: max_clients is more than RLIMIT_NOFILE allows. */
struct ws_loop *ws_loop_new(const struct ws_options *o);

/*
 * Closes all connections at once, unlike ws_loop_stop, and logs how many frames
 * were not delivered. NULL is allowed.
 */
void ws_loop_free(struct ws_loop *l);

/*
 * Add a listening socket for clients (tls is 0 or 1), for backends or for
 * metrics by HTTP; the loop closes it. -1 with errno: the caller must close it.
 */
int ws_loop_listen(struct ws_loop *l, int fd, int tls);
int ws_loop_control(struct ws_loop *l, int fd);
int ws_loop_metrics(struct ws_loop *l, int fd);

/* Sets the configuration of new TLS sessions. The loop takes a reference. */
void ws_loop_set_tls(struct ws_loop *l, struct ws_tls_config *c);

/* Copies the secrets that tokens must be signed with. -1: no memory. */
int ws_loop_set_tokens(struct ws_loop *l, const struct ws_token_keys *keys);

/* Calls ready whenever fd is readable. The caller closes fd. */
int ws_loop_watch(struct ws_loop *l, int fd,
    void (*ready)(struct ws_loop *l, int fd, void *arg), void *arg);

/* The hub, to publish by function calls. The next step sends the frames. */
struct ws_hub *ws_loop_hub(struct ws_loop *l);

/*
 * Runs one turn: waits at most timeout ms (-1: until something is due), and
 * handles what is ready or due. Returns 0 once the loop is stopped and drained,
 * else 1.
 */
int ws_loop_step(struct ws_loop *l, int timeout);

/*
 * For a program with a poll loop of its own. Writes the descriptors to poll to
 * fds, at most room of them, and lowers *timeout (ms, -1: without limit) if
 * something is due earlier. Call ws_loop_step(l, 0) as soon as one of them is
 * ready or *timeout has passed. Returns the number of descriptors; if that is
 * more than room, call it again with more room (max_clients limits the number).
 * It also sends messages that were published. fds include the clients for which
 * the caller must wait until they are writable.
 */
uint32_t ws_loop_poll(struct ws_loop *l, struct pollfd *fds, uint32_t room,
    int *timeout);

/*
 * Sends Close 1001 to all clients, spread over the drain time. A second call
 * ends the loop at once.
 */
void ws_loop_stop(struct ws_loop *l);

/* Logs the counters. */
void ws_loop_log_counters(struct ws_loop *l);

/* -------------------------------------------------------------- backend.c */

/*
 * Adds a backend on an accepted, non-blocking socket: 0, or -1 if there is no
 * memory, and then the caller must close fd.
 */
int ws_backend_new(struct ws_loop *l, int fd);

/*
 * Serves the backends among the first n ready connections, and those with
 * unread input, for a limited time, and flushes the clients that they sent to.
 * Returns the number of backends among the n.
 */
uint32_t ws_backend_serve_all(struct ws_loop *l, uint32_t n);

/*
 * The time at which a backend has been idle for long enough to be closed in
 * favour of a new one; INT64_MAX: all are busy. ws_backend_make_room closes it.
 */
int64_t ws_backend_yield_at(const struct ws_loop *l);
void ws_backend_make_room(struct ws_loop *l);

/* Sends backends that watch the events so far; some must watch. */
void ws_backend_send_events(struct ws_loop *l);

/* Frees everything except the descriptor. */
void ws_backend_free(struct ws_loop *l, struct ws_backend *b);

/* ------------------------------------------------------------------ ctl.c */

/*
 * Sends args (NULL-terminated), or standard input if there are none, to the
 * control socket at path, and prints the replies. If the first is a verb, such
 * as "list", the others are its arguments, and the answer is printed as text.
 * Returns the exit status: 0; 1 if a reply was ERR or another error occurred,
 * which is written to standard error; or 2 if the arguments are wrong.
 */
int ws_ctl(const char *path, char **args);

/* ----------------------------------------------------------------- mint.c */

/*
 * Prints a token with t's sub and channels that expires after that many
 * seconds, signed with the first secret of the key file at path. Returns the
 * exit status: 0, or 1 after a message on standard error.
 */
int ws_mint(const char *path, struct ws_token *t, long seconds);

/* -------------------------------------------------------------- service.c */

/* The use of a socket from the service manager: its FileDescriptorName=. */
enum ws_service_kind {
	WS_SERVICE_WS, WS_SERVICE_WSS, WS_SERVICE_CONTROL, WS_SERVICE_METRICS
};

struct ws_service_socket {
	int fd;
	enum ws_service_kind kind;
};

/*
 * Finds the listening sockets that the service manager has opened, by the
 * environment variables of sd_listen_fds(3) (LISTEN_FDS, LISTEN_PID and
 * LISTEN_FDNAMES), which it then unsets. A socket whose name is not "ws",
 * "wss", "control" or "metrics" is for backends if it is a Unix socket,
 * otherwise for ws://. Each is checked and made non-blocking and close-on-exec.
 * Returns their number; 0 if there are none, or LISTEN_PID is another process;
 * or -1 with an error message.
 */
int ws_service_sockets(struct ws_service_socket *s, int room,
    char error[WS_ERROR_MAX]);

/*
 * Opens a socket for notifications to the service manager, by NOTIFY_SOCKET,
 * which it then unsets; -1 if there is none. It is connected, so that only
 * send(2) is needed after privileges have been dropped.
 */
int ws_service_open(void);

/*
 * Sends "READY=1", "RELOADING=1" (with the time, which systemd 253 needs) or
 * "STOPPING=1", see sd_notify(3). Does nothing if fd is -1. Errors are ignored.
 * A signal handler may call it for "STOPPING=1".
 */
void ws_service_notify(int fd, const char *state);

/* ------------------------------------------------------------------ log.c */

#define WS_LINE_MAX 2560 /* bytes of a line about a client, NUL included */

extern int ws_log_level; /* lines of a higher level are not written */
extern int ws_log_time;  /* 1: each line begins with the time, in UTC */

/*
 * Writes a time (s since 1970) in UTC, such as "2026-11-26T19:05:00", and
 * returns the length, which is always 19.
 */
#define WS_DATE_MAX 32
size_t ws_log_date(char out[WS_DATE_MAX], unsigned long long seconds);

/*
 * Writes one line to standard error. If that would block, the line is dropped
 * and counted.
 */
void ws_log_line(int level, const char *line);

/* The same, with a printf format. */
#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
void ws_log(int level, const char *format, ...);

/* Logs an error and exits with status 1. Not to be used while the hub runs. */
#if defined(__GNUC__)
__attribute__((format(printf, 1, 2), noreturn))
#endif
void ws_die(const char *format, ...);

struct ws_options;

/* Passes one line to o->log, if that is set and logs that level; a printf. */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
void ws_logf(const struct ws_options *o, int level, const char *format, ...);

/*
 * Writes an error message; a printf. If format ends with a colon,
 * strerror(errno) is appended. Returns -1 and preserves errno.
 */
#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
int ws_fail(char error[WS_ERROR_MAX], const char *format, ...);

/* -------------------------------------------------------------- sandbox.c */

/*
 * OpenBSD's pledge(2) and unveil(2), and an equivalent for Linux. There the
 * promises are "stdio" (which includes sending to, receiving from and shutting
 * down sockets that are open), "inet" and "unix" (both allow accept), "rpath"
 * (reading files), "cpath" (removing files), "sendfd" and "recvfd" (descriptors
 * by SCM_RIGHTS), and "dns" (to resolve names and to connect, by TCP or to a
 * Unix socket). Only the system calls and arguments that wshub uses are allowed:
 * a new one needs a rule in sandbox.c.
 * The last call of ws_unveil has NULL for both, and only this call puts the
 * paths into effect.
 *
 * Both return 0, or -1 with errno. This is ENOSYS if the system has no such
 * mechanism, in a build with a sanitizer, and if $WSHUB_NO_SANDBOX is set (for
 * valgrind and strace, which make system calls of their own). The first call
 * sets no_new_privs on Linux, even if it fails.
 */
int ws_pledge(const char *promises);
int ws_unveil(const char *path, const char *permissions);

/*
 * Unveils the directory of a file rather than the file, so that one that
 * replaces it is included.
 */
void ws_unveil_around(const char *path, const char *permissions);

/*
 * From now on only these TCP ports can be connected to (Linux 6.7 and later).
 * 0, or -1 with errno.
 */
int ws_unveil_ports(const uint16_t *ports, int n);

/* The promises of the processes, which the tests use as well. */
#define WS_HUB_PROMISES "stdio inet unix"
#define WS_KEEPER_PROMISES "stdio rpath cpath"
#define WS_BRIDGE_PROMISES "stdio inet unix recvfd"
#define WS_CONNECTOR_PROMISES "stdio inet unix dns rpath cpath sendfd"

/*
 * Prevents core files and, on Linux, debugging by a process of the same user,
 * because the process holds a private key. Call it again after setuid(2),
 * which on Linux may undo this.
 */
void ws_no_core(void);

/* -------------------------------------------------------------- signals.c */

/*
 * Blocks the signals that ws_signals_catch catches, until then: none of them
 * shall end the process between a file's creation and the time from which it
 * would be removed.
 */
void ws_signals_block(void);

/*
 * Catches TERM, INT, HUP, USR1, CHLD and, if there is one, INFO, ignores PIPE
 * and XFSZ, and unblocks all. (The process that started us may have left them
 * blocked or ignored.) Returns a descriptor from which the numbers of those
 * caught can be read, a byte each. If handler is not NULL, it is called as soon
 * as one arrives, and no other interrupts it. Exits on failure.
 */
int ws_signals_catch(void (*handler)(int number));

/*
 * Ignores those signals: for a child, to which the parent passes them on in
 * other ways. (^C in a terminal is sent to both.)
 */
void ws_signals_ignore(void);

/* --------------------------------------------------------------- keeper.c */

#define WS_SETUP_LISTENERS 32
#define WS_SETUP_SOCKETS \
    (WS_SETUP_LISTENERS * (1 + 2 * WS_LISTEN_MAX) + WS_LISTEN_MAX)

/* How a hub is started. */
struct ws_setup {
	struct ws_options loop;
	const char *cert, *key; /* PEM files, or NULL */
	const char *token_key;  /* a file of secrets, or NULL */
	struct ws_tls_config *pair; /* what cert and key contain */
	struct ws_token_keys token_keys;
	const char *control;    /* path of the control socket */
	uid_t uid;              /* to change to, if started as root */
	gid_t gid;
	int fd[WS_SETUP_SOCKETS], n;
	unsigned char kind[WS_SETUP_SOCKETS]; /* enum ws_service_kind */
	int control_fd;
	struct {
		const char *path;
		struct ws_file_id id;
	} files[2 * WS_SETUP_LISTENERS + 2]; /* sockets' files to remove */
	int nfiles;
	int notify_fd; /* the result of ws_service_open */
};

/*
 * Reads and checks cert and key: 0 with s->pair set, or -1 with an error
 * message.
 */
int ws_keeper_read_pair(struct ws_setup *s, char error[WS_ERROR_MAX]);

/* Reads s->token_key: 0 and s->token_keys, or -1 with an error. */
int ws_keeper_read_token_keys(struct ws_setup *s, char error[WS_ERROR_MAX]);

/* Removes s->files. */
void ws_keeper_remove(struct ws_setup *s);

/*
 * Runs the hub in a child process, and the keeper, its parent, in this one.
 * Returns the exit status, in this process only.
 */
int ws_keeper_run(struct ws_setup *s);

/* -------------------------------------------------------------- entropy.c */

/*
 * Fills buf with 1 to 256 random bytes: 0, or -1 with errno. If getentropy(2)
 * fails, the first call opens /dev/urandom and keeps it open. ws_loop_new makes
 * a first call, so that a program can give up its right to open files after it.
 */
int ws_entropy(void *buf, size_t len);

/* ------------------------------------------------------------- privdrop.c */

/*
 * Drops privileges if the process is root: changes to an empty root directory,
 * to that group without any other, and to that user. control is the control
 * socket's path. Exits on failure; but if uid is 0 as well, some failures are
 * only warnings.
 */
void ws_privdrop(uid_t uid, gid_t gid, const char *control);

/* --------------------------------------------------------------- memory.c */

/*
 * Bytes of memory that this process may use: the machine's, or fewer if one of
 * its cgroups has a limit. 0 if unknown. root is prepended to the paths of the
 * system's files; it is "" except in tests.
 */
uint64_t ws_memory(const char *root);

#ifdef __cplusplus
}
#endif

#endif
