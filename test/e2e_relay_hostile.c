/* wshub: ISC licence, see LICENSE. */
/*
 * A relay whose broker does what it should not, or is lost in the middle of a
 * packet, and what somebody who runs a relay sees of it: its options, its
 * control socket, its sandbox and how it ends.
 * e2e_relay_hostile path/to/wshub
 *
 * Each of the trials has a relay of its own, all with one hub: so none waits
 * for the pause after another's failure.
 */
#define _GNU_SOURCE
#include "broker.h"

#include <grp.h>

enum stage { AT_CONNECT, AT_SUBSCRIBE, LATER };
enum reaction {
	CLOSES,  /* the relay closes the connection */
	CUT,     /* we do, in the middle of a packet */
	STAYS    /* it goes on */
};

struct trial {
	const char *name;
	const char *bytes;
	size_t len;
	enum stage stage; /* when they are sent */
	enum reaction reaction;
	unsigned acked;   /* what it acknowledges of that, or 0 */
	const char *log;  /* what it says, or NULL */
};

#define TOPIC "\0\x09wshub/all"

static const struct trial trials[] = {
	{ "CONNACK: version", BYTES("\x20\2\0\1"), AT_CONNECT, CLOSES, 0,
	  "it refuses us: " },
	{ "CONNACK: identifier", BYTES("\x20\2\0\2"), AT_CONNECT, CLOSES, 0,
	  "it refuses us: " },
	{ "CONNACK: unavailable", BYTES("\x20\2\0\3"), AT_CONNECT, CLOSES, 0,
	  "it refuses us: " },
	{ "CONNACK: user or password", BYTES("\x20\2\0\4"), AT_CONNECT, CLOSES,
	  0, "it refuses us: " },
	{ "CONNACK: not authorised", BYTES("\x20\2\0\5"), AT_CONNECT, CLOSES,
	  0, "it refuses us: " },
	{ "CONNACK: code 6", BYTES("\x20\2\0\6"), AT_CONNECT, CLOSES, 0,
	  "broker: " },
	{ "CONNACK: code 255", BYTES("\x20\2\0\xff"), AT_CONNECT, CLOSES, 0,
	  "broker: " },
	{ "CONNACK: flags", BYTES("\x20\2\2\0"), AT_CONNECT, CLOSES, 0, NULL },
	{ "CONNACK: MQTT 5's", BYTES("\x20\3\0\0\0"), AT_CONNECT, CLOSES, 0,
	  NULL },
	{ "CONNACK: short", BYTES("\x20\1\0"), AT_CONNECT, CLOSES, 0, NULL },
	{ "CONNACK: empty", BYTES("\x20\0"), AT_CONNECT, CLOSES, 0, NULL },
	{ "CONNACK: low bits", BYTES("\x21\2\0\0"), AT_CONNECT, CLOSES, 0,
	  NULL },
	{ "no CONNACK, but PUBLISH", BYTES("\x30\x0c" TOPIC "7"), AT_CONNECT,
	  CLOSES, 0, NULL },
	{ "no CONNACK, but PINGRESP", BYTES("\xd0\0"), AT_CONNECT, CLOSES, 0,
	  "it does not begin with CONNACK" },
	{ "a web server", BYTES("HTTP/1.1 400 Bad Request\r\n"
	  "Connection: close\r\n\r\n"), AT_CONNECT, CLOSES, 0, NULL },
	{ "TLS", BYTES("\x15\3\1\0\2\2\x46"), AT_CONNECT, CLOSES, 0, NULL },
	{ "SSH", BYTES("SSH-2.0-x\r\n"), AT_CONNECT, CLOSES, 0, NULL },
	{ "zeros", BYTES("\0\0\0\0\0\0\0\0"), AT_CONNECT, CLOSES, 0, NULL },
	{ "SUBACK without codes", BYTES("\x90\2\x80\1"), AT_SUBSCRIBE, CLOSES,
	  0, NULL },
	{ "SUBACK with a code that is none", BYTES("\x90\3\x80\1\3"),
	  AT_SUBSCRIBE, CLOSES, 0, NULL },
	{ "SUBACK of 200 MB", BYTES("\x90\x80\x80\x80\x60\x80\1"),
	  AT_SUBSCRIBE, CLOSES, 0, NULL },
	{ "a second CONNACK", BYTES("\x20\2\0\0"), LATER, CLOSES, 0,
	  "a second CONNACK" },
	{ "type 0", BYTES("\0\0"), LATER, CLOSES, 0, NULL },
	{ "type 15", BYTES("\xf0\0"), LATER, CLOSES, 0, NULL },
	{ "CONNECT", BYTES("\x10\x0d\0\4MQTT\4\2\0\1\0\1x"), LATER, CLOSES, 0,
	  NULL },
	{ "SUBSCRIBE", BYTES("\x82\6\0\1\0\1#\0"), LATER, CLOSES, 0, NULL },
	{ "UNSUBSCRIBE", BYTES("\xa2\5\0\1\0\1#"), LATER, CLOSES, 0, NULL },
	{ "PINGREQ", BYTES("\xc0\0"), LATER, CLOSES, 0, NULL },
	{ "DISCONNECT", BYTES("\xe0\0"), LATER, CLOSES, 0, NULL },
	{ "PINGRESP with a byte", BYTES("\xd0\1x"), LATER, CLOSES, 0, NULL },
	{ "PINGRESP with low bits", BYTES("\xd1\0"), LATER, CLOSES, 0, NULL },
	{ "PUBACK of 3 bytes", BYTES("\x40\3\0\1\0"), LATER, CLOSES, 0, NULL },
	{ "PUBACK of 1 byte", BYTES("\x40\1\0"), LATER, CLOSES, 0, NULL },
	{ "PUBACK with low bits", BYTES("\x42\2\0\1"), LATER, CLOSES, 0,
	  NULL },
	{ "PUBREC", BYTES("\x50\2\0\1"), LATER, CLOSES, 0, NULL },
	{ "PUBREL", BYTES("\x62\2\0\1"), LATER, CLOSES, 0, NULL },
	{ "PUBCOMP", BYTES("\x70\2\0\1"), LATER, CLOSES, 0, NULL },
	{ "a length of five bytes", BYTES("\x30\xff\xff\xff\xff\1"), LATER,
	  CLOSES, 0, NULL },
	{ "PUBLISH, QoS 2", BYTES("\x34\x0e" TOPIC "\0\1""7"), LATER, CLOSES,
	  0, NULL },
	{ "PUBLISH, QoS 3", BYTES("\x36\x0e" TOPIC "\0\1""7"), LATER, CLOSES,
	  0, NULL },
	{ "PUBLISH, QoS 0 repeated", BYTES("\x38\x0c" TOPIC "7"), LATER,
	  CLOSES, 0, NULL },
	{ "PUBLISH, identifier 0", BYTES("\x32\x0e" TOPIC "\0\0""7"), LATER,
	  CLOSES, 0, NULL },
	{ "PUBLISH, empty", BYTES("\x30\0"), LATER, CLOSES, 0, NULL },
	{ "PUBLISH, no topic", BYTES("\x30\3\0\0""7"), LATER, CLOSES, 0,
	  NULL },
	{ "PUBLISH, a topic longer than it is", BYTES("\x30\5\0\x09wsh"),
	  LATER, CLOSES, 0, NULL },
	{ "PUBLISH, cut before the identifier", BYTES("\x32\x0b" TOPIC), LATER,
	  CLOSES, 0, NULL },
	{ "PUBLISH, cut in the identifier", BYTES("\x32\x0c" TOPIC "\0"),
	  LATER, CLOSES, 0, NULL },
	{ "PUBLISH, a topic with +", BYTES("\x30\x0c\0\x09wshub/al+7"), LATER,
	  CLOSES, 0, NULL },
	{ "PUBLISH, a topic with #", BYTES("\x30\x0c\0\x09wshub/al#7"), LATER,
	  CLOSES, 0, NULL },
	{ "PUBLISH, a topic with NUL", BYTES("\x30\x0c\0\x09wshub/al\0007"),
	  LATER, CLOSES, 0, NULL },
	{ "PUBLISH, a topic that is not UTF-8",
	  BYTES("\x30\x0c\0\x09wshub/al\xff""7"), LATER, CLOSES, 0, NULL },
	{ "PUBLISH, a topic that ends in a character",
	  BYTES("\x30\x0c\0\x09wshub/al\xc3""7"), LATER, CLOSES, 0, NULL },
	{ "another one's topic", BYTES("\x32\x0a\0\5other\0\5""7"), LATER,
	  STAYS, 5, "dropped a message to other: " },
	{ "an acknowledgement of nothing", BYTES("\x40\2\1\1"), LATER, STAYS,
	  0, "the broker acknowledges 257, which was not sent" },
	{ "UNSUBACK of nothing", BYTES("\xb0\2\1\1"), LATER, STAYS, 0, NULL },
	{ "SUBACK of nothing", BYTES("\x90\3\1\1\0"), LATER, STAYS, 0, NULL },
	{ "SUBACK of nothing, refused", BYTES("\x90\3\1\1\x80"), LATER, STAYS,
	  0, NULL },
	{ "PINGRESP without a PINGREQ", BYTES("\xd0\0"), LATER, STAYS, 0,
	  NULL },
	{ "one message twice", BYTES("\x32\x0a\0\5other\0\5""7"
	  "\x3a\x0a\0\5other\0\5""7"), LATER, STAYS, 5, NULL },
};

/* Whole packets that are cut off at each of their bytes. */
static const struct trial cuts[] = {
	{ "CONNACK", BYTES("\x20\2\0\0"), AT_CONNECT, CUT, 0, "broker: " },
	{ "SUBACK", BYTES("\x90\6\x80\1\1\1\1\1"), AT_SUBSCRIBE, CUT, 0,
	  "broker: " },
	{ "PUBLISH", BYTES("\x32\x12" TOPIC "\0\1\"cut\""), LATER, CUT, 0,
	  "broker: " },
	{ "PUBACK", BYTES("\x40\2\0\1"), LATER, CUT, 0, "broker: " },
	{ "UNSUBACK", BYTES("\xb0\2\0\1"), LATER, CUT, 0, "broker: " },
	{ "PINGRESP", BYTES("\xd0\0"), LATER, CUT, 0, "broker: " },
};

#define TRIALS_MAX 128

static struct attempt {
	struct trial t;
	struct hub relay;
	struct client s;
	char id[16];
	unsigned connections, heard;
} attempts[TRIALS_MAX];
static unsigned nattempts;

static void
list_attempts(void)
{
	size_t i, k, step = test_emulated() ? 9 : 1;

	for (i = 0; i < sizeof trials / sizeof *trials; i += step)
		attempts[nattempts++].t = trials[i];
	for (i = 0; i < sizeof cuts / sizeof *cuts; i++)
		for (k = 0; k < cuts[i].len; k += step) {
			attempts[nattempts].t = cuts[i];
			attempts[nattempts++].t.len = k;
		}
}

static void
name_attempt(const struct attempt *a)
{
	size_t len;
	char *log = slurp(a->relay.log, &len);

	EXPECT(0, "that was \"%s\"%s of %zu bytes, with this log:\n%s",
	    a->t.name, a->t.reaction == CUT ? ", cut" : "", a->t.len, log);
	free(log);
}

/* All as it should be, and a message whose acknowledgement is not awaited. */
static void
do_right(struct attempt *a)
{
	char text[20];

	if (a->connections == 1 || a->t.reaction != STAYS)
		welcome(&a->s);
	publish(&a->s, PUBLISH_1, "wshub/all", 9, text,
	    (size_t)snprintf(text, sizeof text, "%u",
	    (unsigned)(a - attempts)));
}

/* The relay is connected, and its CONNECT read: what is wrong follows. */
static void
do_wrong(struct attempt *a)
{
	unsigned char bytes[64], discarded[256];
	char filters[1024];
	unsigned id;

	memcpy(bytes, a->t.bytes, a->t.len);
	if (a->t.stage == LATER)
		welcome(&a->s);
	if (a->t.stage == AT_SUBSCRIBE) {
		client_put(&a->s, "\x20\2\0\0", 4);
		id = take_filters(&a->s, SUBSCRIBE, filters, sizeof filters);
		if (a->t.len > 3) {
			bytes[2] = (unsigned char)(id >> 8);
			bytes[3] = (unsigned char)id;
		}
	}
	client_put(&a->s, bytes, a->t.len);
	if (a->t.reaction == STAYS)
		return;
	if (a->t.reaction == CUT)
		shutdown(a->s.fd, SHUT_WR);
	/* SUBSCRIBE may come before the end. */
	while (client_get(&a->s, discarded, sizeof discarded) > 0)
		;
	if (errno == EAGAIN) {
		EXPECT(0, "the relay does not close the connection");
		name_attempt(a);
	}
	leave(&a->s);
}

static struct attempt *
find_attempt(const char *id)
{
	unsigned i;

	for (i = 0; i < nattempts; i++)
		if (strcmp(attempts[i].id, id) == 0)
			return &attempts[i];
	return NULL;
}

/* Until each relay has had what is wrong, and then what is right. */
static void
serve_attempts(const struct broker *b)
{
	unsigned left = nattempts;
	struct attempt *a;
	struct client s;

	while (left > 0) {
		broker_accept(b, &s);
		take_connect(&s, NULL);
		a = find_attempt(s.id);
		if (a == NULL || a->connections == 2) {
			EXPECT(0, "a connection of \"%s\"", s.id);
			if (a != NULL)
				name_attempt(a);
			leave(&s);
			continue;
		}
		a->s = s;
		if (a->connections++ == 0) {
			errno = 0;
			do_wrong(a);
			if (a->t.reaction != STAYS)
				continue;
			a->connections = 2;
		}
		do_right(a);
		left--;
	}
}

/* What the relay says at the end, and what it has acknowledged. */
static void
judge(struct attempt *a)
{
	struct packet p;
	int right = 1;

	if (a->t.acked != 0)
		right &= PACKET(&a->s, &p, PUBACK, a->t.acked);
	if (a->t.acked != 0 && strcmp(a->t.name, "one message twice") == 0)
		right &= PACKET(&a->s, &p, PUBACK, a->t.acked);
	right &= PACKET(&a->s, &p, PUBACK, 9);
	right &= PACKET(&a->s, &p, DISCONNECT, 0);
	ENDED(&a->relay, 0);
	leave(&a->s);
	if (a->t.reaction == CLOSES && !file_has(a->relay.log, "broker: "))
		right = 0;
	if (a->t.log != NULL && !file_has(a->relay.log, a->t.log))
		right = 0;
	EXPECT(right, "the log, or what came, is not right");
	if (!right)
		name_attempt(a);
}

static void
misbehaves(void)
{
	struct broker b = { 0 };
	struct hub h = { 0 };
	struct client c;
	unsigned char *data;
	char text[20];
	unsigned i, k;
	size_t len;

	CASE("a broker that breaks the rules, or is lost at any byte");
	list_attempts();
	START(&h, QUIET_HUB);
	join(&c, &h);
	broker_open(&b, NULL);
	for (i = 0; i < nattempts; i++) {
		snprintf(attempts[i].id, sizeof attempts[i].id, "n%u", i);
		spawn_relay(&attempts[i].relay, h.control, b.url, ARGS("-v",
		    "--id", attempts[i].id));
	}
	serve_attempts(&b);

	CASE("after each of these, the relay goes on, and nothing comes that "
	    "was cut");
	for (i = 0; i < nattempts; i++) {
		if (get_frame(&c, &data, &len) != 0x81 || len == 0 ||
		    !isdigit(*data)) {
			EXPECT(0, "message %u of %u does not come", i,
			    nattempts);
			break;
		}
		snprintf(text, sizeof text, "%.*s", (int)len, (char *)data);
		k = (unsigned)atoi(text);
		EXPECT(k < nattempts && attempts[k].heard++ == 0,
		    "message %u comes twice", k);
		if (k < nattempts && attempts[k].heard > 1)
			name_attempt(&attempts[k]);
	}
	QUIET(c.fd, 0);
	for (i = 0; i < nattempts; i++)
		kill(attempts[i].relay.pid, SIGTERM);
	for (i = 0; i < nattempts; i++)
		judge(&attempts[i]);
	leave(&c);
	STOP(&h);
}

/* Sends what of these packets it takes at once, up to a limit. */
static size_t
flood(struct client *s, const char *packets, size_t len, size_t limit)
{
	struct pollfd p = { s->fd, POLLOUT, 0 };
	size_t sent = 0;
	ssize_t n;

	while (sent < limit && poll(&p, 1, 1000) == 1) {
		n = send(s->fd, packets + sent % len, len - sent % len,
		    MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0)
			break;
		sent += (size_t)n;
	}
	return sent;
}

/* Of 12 bytes that it sends it gets 4 back, and does not read them. */
static void
does_not_read(void)
{
	static const char packet[] = "\x32\x0a\0\5other\0\5""7";
	enum { LEN = sizeof packet - 1, N = 5000 };
	size_t limit = 24u << 20, sent, i, left;
	struct broker b = { 0 };
	struct hub h = { 0 }, r = { 0 };
	struct client c, s;
	struct packet p;
	char *packets;

	CASE("a broker that sends, and does not read: the relay stops reading");
	START(&h, QUIET_HUB);
	join(&c, &h);
	broker_open(&b, "unread.broker");
	RELAY(&r, &h, &b, "--id", "unread");
	admit(&b, &s);
	packets = malloc(N * LEN);
	if (packets == NULL)
		give_up("memory");
	for (i = 0; i < N; i++)
		memcpy(packets + i * LEN, packet, LEN);
	sent = flood(&s, packets, N * LEN, limit);
	free(packets);
	EXPECT(sent < limit, "it took %zu bytes, and answered each", sent);

	CASE("when the broker reads, the relay goes on, and nothing is lost");
	for (i = 0; i < sent / LEN; i++)
		if (!PACKET(&s, &p, PUBACK, 5))
			break;
	left = LEN - sent % LEN;
	client_put(&s, packet + sent % LEN, left);
	ACKNOWLEDGED(&s, 5);
	publish(&s, PUBLISH_1, "wshub/all", 6, "\"still here\"", 12);
	TEXT(&c, "\"still here\"");
	ACKNOWLEDGED(&s, 6);
	STOP_RELAY(&r, &s);
	leave(&c);
	STOP(&h);
}

/* ---------------------------------------------------------------- options */

static const struct {
	int status;
	const char *out, *err; /* NULL: nothing */
	const char *args[6];
} uses[] = {
	{ 2, NULL, "usage: wshub", { NULL } },
	{ 2, NULL, "usage: wshub", { "mqtt://h", "mqtt://g" } },
	{ 2, NULL, "usage: wshub", { "--nope", "mqtt://h" } },
	{ 2, NULL, "http://h", { "http://h" } },
	{ 2, NULL, "mqtt://", { "mqtt://" } },
	{ 2, NULL, "mqtt://h:x", { "mqtt://h:x" } },
	{ 2, NULL, "mqtt://h:0", { "mqtt://h:0" } },
	{ 2, NULL, "mqtt://h:65536", { "mqtt://h:65536" } },
	{ 2, NULL, "mqtt+unix:", { "mqtt+unix:" } },
	{ 2, NULL, "localhost", { "localhost" } },
	{ 2, NULL, "--control-mode", { "--control-mode", "9", "mqtt://h" } },
	{ 1, NULL, "--control-group", { "--control-group", "no-such",
	  "mqtt://h" } },
	{ 0, NULL, NULL, { "-n", "mqtt://h" } },
	{ 0, NULL, NULL, { "-n", "--interest", "mqtt+unix:/x/y" } },
	{ 0, "wshub ", NULL, { "-V" } },
};

static void
options(void)
{
	char *args[8];
	size_t i, k;

	CASE("options: what is not right is a usage error, -n tells of it");
	for (i = 0; i < sizeof uses / sizeof *uses; i++) {
		args[0] = (char *)(uintptr_t)"relay";
		for (k = 0; k < 6 && uses[i].args[k] != NULL; k++)
			args[k + 1] = (char *)(uintptr_t)uses[i].args[k];
		args[k + 1] = NULL;
		command(NULL, args);
		EXPECT(did.status == uses[i].status, "number %zu, relay %s: "
		    "%d, not %d", i, args[1], did.status, uses[i].status);
		command_is(__FILE__, __LINE__, uses[i].status, uses[i].out,
		    uses[i].err);
	}
}

/* -------------------------------------------------------------- the socket */

static int
mode_of(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 ? (int)(st.st_mode & 07777) : -1;
}

static void
sockets(void)
{
	struct broker b = { 0 };
	struct hub h = { 0 }, r = { 0 }, other = { 0 };
	struct client s;
	struct packet p;
	struct stat st;
	struct sockaddr_un un;
	char gid[20], text[300], want[40], *digits;
	gid_t groups_[64];
	int n, fd;
	pid_t child;
	size_t len;

	CASE("the relay's socket: mode and group, and nothing is left of it");
	n = getgroups(64, groups_);
	if (getuid() == 0) {
		groups_[0] = 4321;
		n = 1;
	}
	snprintf(gid, sizeof gid, "%lu", (unsigned long)(n > 0 ? groups_[0] :
	    getgid()));
	START(&h, QUIET_HUB);
	broker_open(&b, NULL);
	RELAY(&r, &h, &b, "--control-mode", "0600", "--control-group", gid);
	admit(&b, &s);
	EXPECT(lstat(r.control, &st) == 0 && (st.st_mode & 07777) == 0600 &&
	    st.st_gid == (gid_t)atol(gid), "mode %04o, group %lu",
	    (unsigned)st.st_mode, (unsigned long)st.st_gid);

	CASE("a second relay with the same socket is an error");
	snprintf(text, sizeof text, "%s", r.control);
	command(NULL, ARGS("relay", "-s", h.control, "-S", r.control, b.url));
	EXPECT(did.status == 1 && strstr(did.err, text) != NULL,
	    "status %d, \"%s\"", did.status, did.err);
	put(fd = dial_unix(r.control), BYTES(M1 "\n"));
	acknowledge(&s, PUBACK, PUBLISHED(&s, "wshub/all", "1"));
	REPLY(fd, "OK relayed\n");
	close(fd);
	STOP_RELAY(&r, &s);

	CASE("a stale file is replaced; mode 0660 is the default");
	memset(&un, 0, sizeof un);
	un.sun_family = AF_UNIX;
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	/* The name of the next relay's. */
	digits = strpbrk(strcpy(un.sun_path, r.control), "0123456789");
	if (digits == NULL)
		give_up(r.control);
	sprintf(digits, "%d.sock", atoi(digits) + 1);
	if (bind(fd, (struct sockaddr *)&un, sizeof un) != 0)
		give_up(un.sun_path);
	close(fd);
	RELAY(&r, &h, &b, "--id", "w\xc3\xa9 x");
	EXPECT(strcmp(r.control, un.sun_path) == 0, "%s, not %s", r.control,
	    un.sun_path);
	EXPECT(mode_of(r.control) == 0660, "%04o",
	    (unsigned)mode_of(r.control));
	broker_accept(&b, &s);
	take_connect(&s, "w\xc3\xa9 x");
	welcome(&s);

	CASE("the process without powers is killed: status 1, a word, no file");
	child = child_of(r.pid);
	if (child > 0) {
		kill(child, SIGKILL);
		HUNG_UP(&s);
		ENDED(&r, 1);
		EXPECT(file_has(r.log, "signal 9"), "not a word of it");
	} else {
		kill(r.pid, SIGTERM);
		ENDED(&r, 0);
	}
	leave(&s);

	CASE("the process with the files is killed: the other ends as well");
	RELAY(&other, &h, &b, "-t");
	admit(&b, &s);
	kill(other.pid, SIGKILL);
	reap(other.pid, 1000);
	PACKET(&s, &p, DISCONNECT, 0);
	HUNG_UP(&s);
	leave(&s);

	CASE("the default identifier is wshub- and the host's name");
	if (gethostname(text, sizeof text) != 0)
		give_up("gethostname");
	spawn_relay(&r, h.control, b.url, ARGS("-q"));
	broker_accept(&b, &s);
	snprintf(want, sizeof want, "wshub-%.30s", text);
	take_connect(&s, NULL);
	EXPECT(strncmp(s.id, want, sizeof s.id - 1) == 0, "\"%s\", not \"%s\"",
	    s.id, want);
	welcome(&s);

	CASE("TERM to both processes, as a terminal's ^C, and status 0");
	child = child_of(r.pid);
	kill(r.pid, SIGINT);
	if (child > 0)
		kill(child, SIGINT);
	ENDED(&r, 0);
	EXPECT(!file_has(r.log, "wshub: "), "-q is not quiet");
	leave(&s);
	STOP(&h);

	CASE("no hub, no broker: it waits for both, and ends by TERM");
	broker_open(&b, "none"); /* a name that nobody listens to */
	close(b.fd);
	RELAY(&r, &h, &b, "-v");
	EXPECT(await(r.log, "hub: ") && await(r.log, "broker: "), "\"%s\"",
	    slurp(r.log, &len));
	kill(r.pid, SIGTERM);
	ENDED(&r, 0);
}

/* What is in the file of --user; wrong ones are in e2e_cli.c. */
static const struct {
	const char *text;
	int mode;
	const char *connect; /* what CONNECT ends with */
	size_t len;
} users[] = {
	{ "me\npass word\n", 0600, "\0\2me\0\x09pass word", 15 },
	{ "me\r\n: \xc3\xa9", 0400, "\0\2me\0\4: \xc3\xa9", 10 },
};

static void
user_files(void)
{
	static const char head[] = "\0\4MQTT\4\xc0\0\74\0\1u";
	struct broker b = { 0 };
	struct hub r = { 0 };
	struct client s;
	struct packet p;
	size_t i, n = sizeof head - 1;

	CASE("--user: name and password of a file that others cannot read");
	broker_open(&b, NULL);
	for (i = 0; i < sizeof users / sizeof *users; i++) {
		unlink("user");
		spill("user", users[i].text, strlen(users[i].text));
		if (chmod("user", (mode_t)users[i].mode) != 0)
			give_up("user");
		spawn_relay(&r, "none", b.url, ARGS("--user", "user", "--id",
		    "u", "-v"));
		broker_accept(&b, &s);
		get_packet(&s, &p);
		EXPECT(p.first == CONNECT && p.len == n + users[i].len &&
		    memcmp(p.body, head, n) == 0 &&
		    memcmp(p.body + n, users[i].connect, users[i].len) == 0,
		    "CONNECT of %zu bytes is not right", p.len);
		/* If it lost the broker first, it might connect once more. */
		kill(r.pid, SIGTERM);
		ENDED(&r, 0);
		leave(&s);
	}
}

/* A line of /proc/PID/status, or "". */
static const char *
status_of(pid_t pid, const char *name)
{
	static char line[200];
	char path[64], *p, *at;
	size_t len;

	snprintf(path, sizeof path, "/proc/%ld/status", (long)pid);
	p = slurp(path, &len);
	at = strstr(p, name);
	snprintf(line, sizeof line, "%.*s", at != NULL ?
	    (int)strcspn(at, "\n") : 0, at != NULL ? at : "");
	free(p);
	return line;
}

static void
sandbox(void)
{
	struct broker b = { 0 };
	struct hub h = { 0 }, r = { 0 };
	struct client s;
	pid_t child;

	START(&h, QUIET_HUB);
	broker_open(&b, NULL);
	RELAY(&r, &h, &b, "-v");
	admit(&b, &s);
	child = child_of(r.pid);
	if (*status_of(child, "Seccomp:") == '\0' ||
	    file_has(r.log, "without a sandbox"))
		test_skip("the sandbox", "there is none here");
	else {
		CASE("both processes are in a sandbox");
		EXPECT(strcmp(status_of(child, "Seccomp:"), "Seccomp:\t2") ==
		    0, "%s", status_of(child, "Seccomp:"));
		EXPECT(strcmp(status_of(child, "NoNewPrivs:"),
		    "NoNewPrivs:\t1") == 0, "%s",
		    status_of(child, "NoNewPrivs:"));
		EXPECT(strcmp(status_of(r.pid, "Seccomp:"), "Seccomp:\t2") ==
		    0, "%s", status_of(r.pid, "Seccomp:"));
	}
	STOP_RELAY(&r, &s);
	STOP(&h);
}

static struct test_group all_groups[] = {
	{ .name = "misbehaves", .run = misbehaves },
	{ .name = "does not read", .run = does_not_read },
	{ .name = "sockets", .run = sockets },
	{ .name = "options", .run = options },
	{ .name = "user files", .run = user_files },
	{ .name = "sandbox", .run = sandbox },
};

int
main(int argc, char **argv)
{
	return run_groups(argc, argv, all_groups,
	    (int)(sizeof all_groups / sizeof *all_groups));
}
