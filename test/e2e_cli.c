/* wshub: ISC licence, see LICENSE. */
/*
 * PROTOCOL.md's command line, against the real binary: options and what they
 * refuse, ctl, token, signals, the control socket's file. Listeners and limits
 * are in e2e_limits.c.
 */
#define _GNU_SOURCE
#include "hub.h"

#include <grp.h>
#include <pwd.h>

#include "../ws.h"

/* ---------------------------------------------------------------- options */

/* That command ends with that status, and says those words. */
static void
refused(int status, const char *words, char **args)
{
	char line[256] = "";
	size_t n = 0;
	int i;

	for (i = 0; args[i] != NULL && n < 150; i++)
		n += (size_t)snprintf(line + n, sizeof line - n, " %.80s",
		    args[i]);
	command(NULL, args);
	EXPECT(did.status == status && *did.out == '\0' &&
	    strstr(did.err, words) != NULL && (status != 2 ||
	    strstr(did.err, "usage: wshub [-") != NULL), "wshub%s: exit "
	    "status %d, \"%s\", \"%s\"; %d and \"%s\" wanted", line,
	    did.status, did.out, did.err, status, words);
}

static void
usage(void)
{
	static char *const bad[][6] = {
		{ "-x" }, { "--nope" }, { "-l" }, { "--listen" },
		{ "--ping" }, { "what" }, { "-n", "--", "what" },
		{ "-n", "-L", "127.0.0.1:1" }, { "-n", "-c", "x" },
		{ "-n", "-k", "x" }, { "-c", "x", "-k", "x" },
		{ "-s", "" }, { "-n", "--control=" }, { "ctl", "-x" },
		{ "ctl", "-s" }, { "ctl", "--ping", "1" }, { "-n", "ctl" }
	};
	static const struct {
		char *option, *values[8];
		const char *words;
	} numbers[] = {
		{ "--heartbeat", { "86401", "-1", "1.5", "0x10", " 1", "+1",
		    "18446744073709551616" }, "--heartbeat" },
		{ "--ping", { "86401", "-1", "", "1s", "ten" }, "--ping" },
		{ "--max-clients", { "0", "1048577", "-1", "4294967297" },
		    "--max-clients" },
		{ "--max-per-ip", { "0", "1048577", "-1", "many" },
		    "--max-per-ip" },
		{ "--queue", { "0", "1073741825", "1M", "-1" }, "--queue" },
		{ "--queue-total", { "0", "64M", "-1",
		    "99999999999999999999" }, "--queue-total" },
		{ "--drain", { "3601", "-1", "" }, "--drain" },
		{ "--health", { "", "health", "/a b", "/?", "/#", "/\xc3\xa9" },
		    "--health" },
		{ "--subprotocol", { "", "a b", "a,b", "a/b", "\xc3\xa9" },
		    "--subprotocol" },
		{ "--control-mode", { "1000", "8", "rw", "-1", "", "0660x" },
		    "not an octal number of 0 to 0777" },
	};
	char *many[80];
	size_t i, k;

	CASE("options: -V and -h");
	COMMAND(0, "wshub 0.", NULL, "-V");
	COMMAND(0, "wshub 0.", NULL, "--version");
	COMMAND(0, "usage: wshub [-", NULL, "-h");
	COMMAND(0, "--control-mode OCT", NULL, "--help");
	COMMAND(0, "usage: wshub [-", NULL, "ctl", "-h");
	COMMAND(0, "usage: wshub [-", NULL, "ctl", "--help");

	CASE("options: usage errors end with status 2");
	for (i = 0; i < sizeof bad / sizeof *bad; i++)
		refused(2, "usage: wshub", (char **)(uintptr_t)bad[i]);

	CASE("options: numbers that are none, or too large or small");
	for (i = 0; i < sizeof numbers / sizeof *numbers; i++)
		for (k = 0; numbers[i].values[k] != NULL; k++)
			refused(2, numbers[i].words, ARGS("-n",
			    numbers[i].option, numbers[i].values[k]));

	CASE("options: more listeners than there is room for");
	for (i = 0; i < 66; i += 2) {
		many[i] = "-l";
		many[i + 1] = "127.0.0.1:1";
	}
	many[i] = NULL;
	refused(2, "more than 32 listeners", many);
	for (i = 0; i < 34; i += 2) {
		many[i] = "--subprotocol";
		many[i + 1] = "a";
	}
	many[i] = NULL;
	refused(2, "more than 16 subprotocols", many);
}

static void
options(void)
{
	static char *const bad[] = {
		"nonsense", "localhost", ":", "127.0.0.1:", "127.0.0.1:x",
		"127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1: 80",
		"127.0.0.1:80x", "::1:80", "[::1]", "[::1:80", "[::1]80",
		"unix:", ""
	};
	static char *const good[][12] = {
		{ "-n" }, { "-n", "-q", "-v", "-v" },
		{ "-n", "-l", "127.0.0.1:65535", "-l", ":0", "-l", "[::1]:80",
		    "-l", "unix:/no/such/path" },
		{ "-n", "--listen=localhost:80", "--control", "/no/such" },
		{ "-n", "--heartbeat", "0", "--ping", "0", "--drain", "0" },
		{ "-n", "--heartbeat", "86400", "--ping=86400", "--drain",
		    "3600" },
		{ "-n", "--queue", "1", "--queue-total", "1" },
		{ "-n", "--queue", "1073741824", "--queue-total",
		    "2147483647" },
		{ "-n", "--max-clients", "1048576", "--max-per-ip", "1" },
		{ "-n", "--health", "/", "--subprotocol", "a.b!c" },
		{ "-n", "--control-mode", "0" },
		{ "-n", "--control-mode", "0777" },
	};
	static const struct {
		char *option, *value;
		const char *words;
	} nobody[] = {
		{ "-u", "no-such-user", "-u no-such-user: no such user\n" },
		{ "-u", "no-such-user:1", "-u no-such-user:1: no such user\n" },
		{ "-u", ":", "-u :: no such user\n" },
		{ "-u", ":1", "-u :1: no such user\n" },
		{ "-u", "4000000001", "-u 4000000001: no such user; a number "
		    "needs a group as well\n" },
		{ "-u", "4000000001:", "-u 4000000001:: no such group\n" },
		{ "-u", "1:no-such-group", "-u 1:no-such-group: no such "
		    "group\n" },
		{ "-u", "4294967295:1", "-u 4294967295:1: no such user\n" },
		{ "-u", "1:4294967295", "-u 1:4294967295: no such group\n" },
		{ "-u", "-1:1", "-u -1:1: no such user\n" },
		{ "-u", "0x1:1", "-u 0x1:1: no such user\n" },
		{ "-u", "99999999999999999999:1", ": no such user\n" },
		{ "--control-group", "no-such-group", "--control-group "
		    "no-such-group: no such group\n" },
		{ "--control-group", "4294967295", ": no such group\n" },
		{ "--control-group", "", "--control-group : no such group\n" },
	};
	static const struct {
		char *option, *value;
	} somebody[] = {
		{ "-u", "4000000001:4000000001" }, { "-u", "65534:65534" },
		{ "--user", "4294967294:4294967294" },
		{ "--control-group", "4000000001" }
	};
	struct passwd *pw = getpwuid(getuid());
	struct group *own;
	char long_path[256] = "unix:";
	struct stat st;
	size_t i;

	usage();

	CASE("options: -n says nothing of options that are right");
	for (i = 0; i < sizeof good / sizeof *good; i++) {
		command(NULL, (char **)(uintptr_t)good[i]);
		command_is(__FILE__, __LINE__, 0, NULL, NULL);
	}
	EXPECT(lstat("wshub.sock", &st) == -1, "-n makes a control socket");

	CASE("options: what is no address");
	memset(long_path + 5, 'x', sizeof long_path - 6);
	for (i = 0; i < sizeof bad / sizeof *bad; i++)
		refused(2, "not host:port", ARGS("-n", "-l", bad[i]));
	refused(2, "not host:port", ARGS("-n", "-l", long_path));
	refused(2, "not host:port", ARGS("-n", "-l", "127.0.0.1:1", "--listen",
	    "x"));

	CASE("options: users and groups that are not there");
	for (i = 0; i < sizeof nobody / sizeof *nobody; i++)
		refused(1, nobody[i].words, ARGS("-n", nobody[i].option,
		    nobody[i].value));

	CASE("options: users and groups by name and by number");
	for (i = 0; i < sizeof somebody / sizeof *somebody; i++)
		COMMAND(0, NULL, NULL, "-n", somebody[i].option,
		    somebody[i].value);
	if (pw != NULL) {
		char both[300], id[32];

		snprintf(both, sizeof both, "%s:no-such-group", pw->pw_name);
		refused(1, ":no-such-group: no such group\n", ARGS("-n",
		    "--user", both));
		snprintf(both, sizeof both, "%s:4000000001", pw->pw_name);
		COMMAND(0, NULL, NULL, "-n", "-u", both);
		snprintf(id, sizeof id, "%lu", (unsigned long)pw->pw_uid);
		COMMAND(0, NULL, NULL, "-n", "-u", pw->pw_name);
		COMMAND(0, NULL, NULL, "-n", "-u", id);
	}
	if ((own = getgrgid(getgid())) != NULL)
		COMMAND(0, NULL, NULL, "-n", "--control-group", own->gr_name);

	CASE("options: a TLS listener needs its pair");
	refused(2, "-L needs -c and -k", ARGS("-L", "127.0.0.1:1"));
	if (!with_tls) {
		spill("x", "x", 1);
		refused(1, "built without TLS", ARGS("-L", "127.0.0.1:1",
		    "-c", "x", "-k", "x"));
	}
}

/* -------------------------------------------------------------------- ctl */

static void
ctl_arguments(struct hub *h)
{
	struct client c;
	struct stat st;

	CASE("ctl: arguments, and a reply to each");
	join(&c, h);
	COMMAND(0, "OK 1\n", NULL, "ctl", "-s", h->control,
	    "{\"action\":\"multicast\",\"data\":\"a\"}");
	EXPECT(strcmp(did.out, "OK 1\n") == 0, "\"%s\"", did.out);
	COMMAND(0, "", NULL, "ctl", "-s", h->control,
	    "{\"action\":\"multicast\",\"data\":\"b\"}",
	    "{\"action\":\n\"multicast\",\"data\":\"c\"}\n", "",
	    "{\"action\":\"sendToDevice\",\"device\":\"x\",\"data\":1}");
	EXPECT(strcmp(did.out, "OK 1\nOK 1\nOK 0\n") == 0, "\"%s\"", did.out);
	TEXT(&c, "\"a\"");
	TEXT(&c, "\"b\"");
	TEXT(&c, "\"c\"");

	CASE("ctl: any ERR is status 1, and the others are done");
	COMMAND(1, "", NULL, "ctl", "-s", h->control, "{\"action\":\"x\"}",
	    "{\"action\":\"multicast\",\"data\":\"d\"}");
	EXPECT(strcmp(did.out, "ERR unknown action \"x\"\nOK 1\n") == 0,
	    "\"%s\"", did.out);
	COMMAND(1, "ERR not JSON", NULL, "ctl", "-s", h->control, "]nonsense");
	TEXT(&c, "\"d\"");
	leave(&c);

	CASE("ctl: an object that is cut off has its line, and is told");
	COMMAND(1, "", "input: the last object is incomplete\n", "ctl", "-s",
	    h->control, NONE, "{\"action\":");
	EXPECT(strcmp(did.out, "OK 0\nERR\n") == 0, "\"%s\"", did.out);
	command(NONE "\n{\"action\":\n", ARGS("ctl", "-s", h->control));
	command_is(__FILE__, __LINE__, 1, "", "incomplete");
	EXPECT(strcmp(did.out, "OK 0\nERR\n") == 0, "\"%s\"", did.out);
	COMMAND(1, "ERR no \"data\"\n", NULL, "ctl", "-s", h->control,
	    "{\"action\":\"multicast\"} ");

	CASE("ctl: wshub.sock where nothing else is said");
	COMMAND(0, "OK 0\n", NULL, "ctl", M1);

	CASE("ctl: standard output that takes nothing is status 1");
	if (stat("/dev/full", &st) == 0 && S_ISCHR(st.st_mode)) {
		pid_t pid = spawn(ARGS("ctl", "-s", h->control, M1), NULL,
		    "/dev/full", "command.err", 0, 022);

		EXPECT(reap(pid, patience) == 1, "the status is not 1");
		EXPECT(file_has("command.err", "standard output"),
		    "it does not say why");
	}
}

static void
ctl_input(struct hub *h)
{
	static char all[20000 * 48];
	struct client c;
	size_t n, i, bad;
	char want[16];
	const char *p;

	CASE("ctl: lines of standard input");
	join(&c, h);
	command(M1 "\n\n" M1 "\n", ARGS("ctl", "-s", h->control));
	command_is(__FILE__, __LINE__, 0, "OK 1\nOK 1\n", NULL);
	command(M1 "\n{\"action\":\"x\"}\n" M1, ARGS("ctl", "-s", h->control));
	command_is(__FILE__, __LINE__, 1,
	    "OK 1\nERR unknown action \"x\"\nOK 1\n", NULL);
	command("{\n  \"action\": \"multicast\",\n  \"data\": [\n    1\n  ]\n}",
	    ARGS("ctl", "-s", h->control));
	command_is(__FILE__, __LINE__, 0, "OK 1\n", NULL);
	command("", ARGS("ctl", "-s", h->control));
	command_is(__FILE__, __LINE__, 0, NULL, NULL);
	for (i = 0; i < 4; i++)
		TEXT(&c, "1");
	TEXT(&c, "[1]");

	CASE("ctl: 20,000 lines of standard input");
	for (n = i = 0; i < 20000; i++)
		n += (size_t)sprintf(all + n, "{\"action\":\"multicast\","
		    "\"data\":%zu}\n", i);
	command(all, ARGS("ctl", "-s", h->control));
	EXPECT(did.status == 0 && strlen(did.out) == 100000, "exit status %d, "
	    "%zu bytes", did.status, strlen(did.out));
	for (bad = 0, p = did.out; *p != '\0' && strlen(p) >= 5; p += 5)
		bad += strncmp(p, "OK 1\n", 5) != 0;
	EXPECT(bad == 0, "%zu wrong replies", bad);
	for (i = 0; i < 20000; i++) {
		snprintf(want, sizeof want, "%zu", i);
		if (!TEXT(&c, want))
			break;
	}
	leave(&c);
}

static void
make_non_blocking(void)
{
	fcntl(STDOUT_FILENO, F_SETFL, O_WRONLY | O_NONBLOCK);
}

/* As Node.js makes the pipes of its children. */
static void
ctl_output(struct hub *h)
{
	static char all[20000 * sizeof NONE + 1], buf[65536];
	struct pollfd p;
	size_t got = 0;
	ssize_t n;
	pid_t pid;
	int i, fd = -1, status;

	CASE("ctl: 20,000 replies into a non-blocking pipe that is read later");
	for (i = 0; i < 20000; i++)
		memcpy(all + (size_t)i * sizeof NONE, NONE "\n", sizeof NONE);
	spill("orders", all, 20000 * sizeof NONE);
	if (mkfifo("replies", 0600) != 0 ||
	    (fd = open("replies", O_RDWR | O_NONBLOCK)) == -1)
		give_up("replies");
	before_exec = make_non_blocking;
	pid = spawn(ARGS("ctl", "-s", h->control), "orders", "replies",
	    "ctl.err", 0, 022);
	before_exec = NULL;
	nap(300);
	p.fd = fd;
	p.events = POLLIN;
	while (got < 20000 * 5 && poll(&p, 1, patience) == 1 &&
	    (n = read(fd, buf, sizeof buf)) > 0)
		got += (size_t)n;
	status = reap(pid, patience);
	EXPECT(status == 0 && got == 20000 * 5, "status %d, %zu bytes", status,
	    got);
	close(fd);
}

static void
ctl(void)
{
	struct hub h = { 0 };
	char long_path[256];
	int fd = -1;
	pid_t pid;

	START(&h, QUIET_HUB, "-s", "wshub.sock");
	ctl_arguments(&h);
	ctl_input(&h);
	ctl_output(&h);

	CASE("ctl: replies come while standard input is still open");
	if (mkfifo("pipe", 0600) != 0 || (fd = open("pipe", O_RDWR)) == -1)
		give_up("pipe");
	pid = spawn(ARGS("ctl", "-s", h.control), "pipe", "ctl.out",
	    "ctl.err", 0, 022);
	EXPECT(write(fd, M1 "\n", sizeof M1) == sizeof M1, "cannot write");
	EXPECT(await("ctl.out", "OK 0\n"), "no reply");

	CASE("ctl: a hub that goes is status 1");
	STOP(&h);
	EXPECT(reap(pid, patience) == 1, "the status is not 1");
	EXPECT(file_has("ctl.err", "closed the connection"),
	    "it does not say so");
	close(fd);

	CASE("ctl: without a hub");
	memset(long_path, 'x', sizeof long_path - 1);
	long_path[sizeof long_path - 1] = '\0';
	COMMAND(1, NULL, "wshub.sock: No such file", "ctl", M1);
	COMMAND(1, NULL, "no/such: No such file", "ctl", "-s", "no/such", M1);
	COMMAND(1, NULL, "too long", "ctl", "-s", long_path, M1);
	COMMAND(1, NULL, ".: ", "ctl", "-s", ".", M1);
}

/* ------------------------------------------------------------------ token */

#define SECRET "0123456789abcdef0123456789abcdef"

static void
key_file(const char *bytes)
{
	spill("token.key", bytes, strlen(bytes));
	if (chmod("token.key", 0600) != 0)
		give_up("token.key");
}

/* What was printed is a token that SECRET has signed, and a newline. */
static void
token_is(int line, long seconds, const char *sub, const char *channels)
{
	static struct ws_token t;
	char scratch[WS_TOKEN_SCRATCH], names[256] = "";
	struct ws_token_keys keys;
	struct ws_text text;
	size_t n = 0;
	long long left;
	unsigned i;
	int r;

	keys.n = 1;
	ws_token_key(&keys.key[0], SECRET, sizeof SECRET - 1);
	text.s = did.out;
	text.len = strcspn(did.out, "\n");
	r = ws_token_check(&keys, text, time(NULL), scratch, &t);
	test_expect(r == 0 && strcmp(did.out + text.len, "\n") == 0, __FILE__,
	    line, "\"%s\": %s", did.out, r == 0 ? "not one line" : t.error);
	if (r != 0)
		return;
	left = t.exp - time(NULL);
	test_expect(left <= seconds && left > seconds - 60, __FILE__, line,
	    "expires in %lld s, not %ld", left, seconds);
	test_expect(t.sub.len == strlen(sub) && (t.sub.len == 0 ||
	    memcmp(t.sub.s, sub, t.sub.len) == 0), __FILE__, line,
	    "sub \"%.*s\", not \"%s\"", (int)t.sub.len, t.sub.s, sub);
	for (i = 0; i < t.nchannels && n < sizeof names; i++)
		n += (size_t)snprintf(names + n, sizeof names - n, "%.*s,",
		    (int)t.channels[i].len, t.channels[i].s);
	test_expect(strcmp(names, channels) == 0, __FILE__, line,
	    "channels \"%s\", not \"%s\"", names, channels);
}

static void
token(void)
{
	static const struct {
		char *args[6];
		const char *error;
	} bad[] = {
		{ { "--sub", "a" }, "token needs --token-key" },
		{ { "--token-key" }, "usage: wshub" },
		{ { "--token-key", "token.key", "x" },
		    "unexpected argument \"x\"" },
		{ { "--token-key", "token.key", "--ping", "1" }, "usage" },
		{ { "--token-key", "token.key", "--sub", "" },
		    "--sub : not a name of 1 to 255 bytes" },
		{ { "--token-key", "token.key", "--sub", "a\xff" },
		    "not a name of 1 to 255 bytes" },
		{ { "--token-key", "token.key", "--channel", "\xe6\x97" },
		    "not a name of 1 to 255 bytes" },
		{ { "--token-key", "token.key", "--ttl", "0" },
		    "--ttl 0: not a number of 1 to 315360000" },
		{ { "--token-key", "token.key", "--ttl", "1h" },
		    "--ttl 1h: not a number" }
	};
	static const struct {
		const char *file, *error;
	} files[] = {
		{ "", "token.key: no secret" },
		{ "secret\n", "token.key: line 1: a secret of 6 bytes: 32 or" },
		{ SECRET "\n# old\n", "token.key: line 2: begins with #" }
	};
	char *many[256], name[257];
	size_t i, k;

	CASE("token: an hour, nothing else");
	key_file(SECRET "\n");
	COMMAND(0, "eyJ", NULL, "token", "--token-key", "token.key");
	token_is(__LINE__, 3600, "", "");

	CASE("token: names and --ttl; the first secret signs");
	key_file("\r\n" SECRET "\r\nanother secret, which does not sign it\r\n");
	COMMAND(0, "eyJ", NULL, "token", "--channel=news", "--ttl", "315360000",
	    "--token-key", "token.key", "--sub", "J\xc3\xb6rg \"x\"\t",
	    "--channel", "a\\b");
	token_is(__LINE__, 315360000, "J\xc3\xb6rg \"x\"\t", "news,a\\b,");

	CASE("token: the key from standard input");
	command(SECRET, ARGS("token", "--token-key", "/dev/stdin"));
	command_is(__FILE__, __LINE__, 0, "eyJ", "mode 0644"); /* a file */
	token_is(__LINE__, 3600, "", "");

	CASE("token: a file that all can read is a warning");
	if (chmod("token.key", 0644) != 0)
		give_up("token.key");
	COMMAND(0, "eyJ", "wshub: warning: token.key: mode 0644: every user "
	    "can read it", "token", "--token-key", "token.key");
	token_is(__LINE__, 3600, "", "");

	CASE("token: usage errors end with status 2");
	COMMAND(0, "usage: wshub [-", NULL, "token", "-h");
	for (i = 0; i < sizeof bad / sizeof *bad; i++) {
		many[0] = "token";
		memcpy(many + 1, bad[i].args, sizeof bad[i].args);
		refused(2, bad[i].error, many);
	}
	memset(name, 'x', sizeof name - 1);
	name[256] = '\0';
	refused(2, "not a name of 1 to 255 bytes", ARGS("token", "--token-key",
	    "token.key", "--sub", name));
	many[0] = "token";
	many[1] = "--token-key=token.key";
	for (k = 2; k < 103; k++)
		many[k] = "--channel=x";
	many[k] = NULL;
	refused(2, "more than 100 channels", many);

	CASE("token: failures end with status 1");
	name[255] = '\0';
	for (k = 2; k < 102; k += 2) {
		many[k] = "--channel";
		many[k + 1] = name;
	}
	many[k] = NULL;
	key_file(SECRET);
	refused(1, "token: over 4096 bytes", many);
	for (i = 0; i < sizeof files / sizeof *files; i++) {
		key_file(files[i].file);
		refused(1, files[i].error, ARGS("token", "--token-key",
		    "token.key"));
		EXPECT(strstr(did.err, "0123") == NULL, "\"%s\" has a secret",
		    did.err);
	}
	refused(1, "no/such.key: No such file", ARGS("token", "--token-key",
	    "no/such.key"));
	refused(1, ".: Is a directory", ARGS("token", "--token-key", "."));
}

/* ---------------------------------------------------------------- signals */

/* A client whose megabytes the hub does not get rid of. */
static void
wedge(struct client *c, const struct hub *h)
{
	char *p = sized(900000, "");
	int i;

	memset(c, 0, sizeof *c);
	join_with(c, dial(h->port[0], 4096));
	for (i = 0; i < 10; i++)
		ORDER(h, p, "OK 1\n");
	free(p);
}

/* A 503 that ends like that. */
static void
told(const struct hub *h, const char *request, const char *end)
{
	char answer[4096];
	size_t len;
	int fd = dial(h->port[0], 0);

	put(fd, request, strlen(request));
	EXPECT(get_all(fd, answer, sizeof answer, &len) &&
	    strncmp(answer, "HTTP/1.1 503 ", 13) == 0 && len > strlen(end) &&
	    strcmp(answer + len - strlen(end), end) == 0, "%s: \"%s\"", request,
	    answer);
	close(fd);
}

static void
signals(void)
{
	static const int both[] = { SIGTERM, SIGINT };
	struct hub h = { 0 }, g = { 0 };
	struct client c, d, e;
	long long begun;
	int i, fd;
	pid_t hub;

	for (i = 0; i < 2; i++) {
		CASE(i == 0 ? "TERM: Close 1001 to everybody, and status 0" :
		    "INT: the same");
		START(&h, QUIET_HUB);
		join(&c, &h);
		join(&d, &h);
		fd = dial_unix(h.control);
		ASK(fd, M1 "\n", "OK 2\n");
		kill(h.pid, both[i]);
		TEXT(&c, "1");
		CLOSED(&c, 1001);
		leave(&c);
		TEXT(&d, "1");
		CLOSED(&d, 1001);
		leave(&d);
		ENDED(&h, 0);
		close(fd);
	}

	CASE("TERM: while it drains nobody gets in, and backends are served");
	START(&h, QUIET_HUB, "--drain", "60", "--queue", "100000000");
	wedge(&c, &h);
	join(&d, &h);
	kill(h.pid, SIGTERM);
	CLOSED(&d, 1001);
	leave(&d);
	EXPECT(refuses(h.port[0]), "one more is not refused");
	fd = dial_unix(h.control);
	ASK(fd, "{\"action\":\"sendToDevice\",\"device\":\"x\",\"data\":1}\n",
	    "OK 0\n");
	close(fd);

	CASE("TERM: with --health everybody gets a 503 while it drains");
	START(&g, QUIET_HUB, "--drain", "60", "--queue", "100000000",
	    "--health", "/up");
	wedge(&e, &g);
	kill(g.pid, SIGTERM);
	EXPECT(await(g.log, "draining 1 clients"), "it does not drain");
	told(&g, "GET /up HTTP/1.0\r\n\r\n", "\r\n\r\nshutting down\n");
	told(&g, "HEAD /up HTTP/1.0\r\n\r\n", "\r\n\r\n");
	told(&g, REQUEST, "\r\n\r\nshutting down\n");
	kill(g.pid, SIGTERM);
	ENDED(&g, 0);
	leave(&e);

	CASE("TERM, and INT after it: that ends it at once");
	begun = now();
	kill(h.pid, SIGINT);
	ENDED(&h, 0);
	EXPECT(wrap[0] != NULL || now() - begun < 4000, "that took %lld ms",
	    now() - begun);
	leave(&c);

	CASE("TERM: --drain bounds how long a client that does not read is "
	    "waited for");
	START(&h, QUIET_HUB, "--drain", "1", "--queue", "100000000");
	wedge(&c, &h);
	begun = now();
	kill(h.pid, SIGTERM);
	ENDED(&h, 0);
	EXPECT(now() - begun >= 990 && (wrap[0] != NULL ||
	    now() - begun < 4000), "that took %lld ms", now() - begun);
	leave(&c);

	CASE("HUP and USR1: a word in the log, and it goes on");
	START(&h, QUIET_HUB);
	join(&c, &h);
	kill(h.pid, SIGHUP);
	EXPECT(await(h.log, "there is no certificate to reload"),
	    "nothing on HUP");
	ORDER(&h, M1, "OK 1\n");
	ORDER(&h, "{\"action\":\"x\"}", "ERR unknown");
	ORDER(&h, M1, "OK 1\n");
	EXPECT(counter(&h, "accepted") == 1 && counter(&h, "opened") == 1 &&
	    counter(&h, "objects") == 3 && counter(&h, "errors") == 1 &&
	    counter(&h, "deliveries") == 2, "it has counted something else");
	EXPECT(file_has(h.log, "1 clients (1 in the hub)"), "no sum");

	CASE("signals: the hub itself takes none but the last");
	hub = child_of(h.pid);
	EXPECT(hub > 0, "which process is the hub?");
	if (hub > 0) {
		kill(hub, SIGTERM);
		kill(hub, SIGINT);
		kill(hub, SIGHUP);
		kill(hub, SIGUSR1);
	}
	ORDER(&h, M1, "OK 1\n");
	for (i = 0; i < 3; i++)
		TEXT(&c, "1");
	leave(&c);
	STOP(&h);
}

/* A sanitizer's own words on a SIGSEGV are not what is asked for. */
static void
no_handler(const char *name)
{
	const char *old = getenv(name);
	char all[1024];

	snprintf(all, sizeof all, "%s:handle_segv=0", old != NULL ? old : "");
	setenv(name, all, 1);
}

static void
crashes(void)
{
	static const int fatal[] = { SIGKILL, SIGSEGV };
	struct hub h = { 0 };
	struct client c;
	char path[32], text[64], *log, *said;
	struct stat st;
	pid_t hub;
	int fd, i;
	long long end;
	size_t len;

	no_handler("ASAN_OPTIONS");
	no_handler("UBSAN_OPTIONS");

	for (i = 0; i < 2; i++) {
		if (i == 1 && wrap[0] != NULL)
			break; /* a wrapper has words of its own for that */
		CASE(i == 0 ? "kill -9 of the hub: status 1, a word, and no "
		    "file is left" : "SIGSEGV of the hub: the same");
		START(&h, QUIET_HUB, "-l", "127.0.0.1:%1", "-l",
		    "unix:clients");
		join(&c, &h);
		hub = child_of(h.pid);
		EXPECT(hub > 0, "which process is the hub?");
		if (hub > 0)
			kill(hub, fatal[i]);
		else
			kill(h.pid, SIGTERM);
		ENDED(&h, 1);
		snprintf(text, sizeof text, "the hub was ended by signal %d\n",
		    fatal[i]);
		EXPECT(file_has(h.log, text), "it does not say so");
		EXPECT(lstat("clients", &st) == -1, "\"clients\" is still "
		    "there");
		leave(&c);
	}

	CASE("kill -9 of the keeper: the hub says so once, Close 1001 and "
	    "ends");
	START(&h, QUIET_HUB);
	join(&c, &h);
	fd = dial_unix(h.control);
	ASK(fd, M1, "OK");
	TEXT(&c, "1");
	kill(h.pid, SIGKILL);
	EXPECT(reap(h.pid, patience) == 1009, "it was not killed");
	CLOSED(&c, 1001);
	leave(&c);
	EXPECT(recv(fd, path, 1, 0) <= 0, "backends are still served");
	close(fd);
	EXPECT(await(h.log, "the keeper is gone"), "it does not say so");
	log = slurp(h.log, &len);
	said = strstr(log, "the keeper is gone");
	EXPECT(said == NULL || strstr(said + 1, "the keeper is gone") == NULL,
	    "it says so more than once: \"%s\"", log);
	free(log);
	check_log(h.log);

	CASE("control socket: the file of one that crashed is replaced");
	strcpy(path, h.control);
	end = now() + patience;
	do { /* until the last of it is gone */
		struct sockaddr_un un;

		memset(&un, 0, sizeof un);
		un.sun_family = AF_UNIX;
		strcpy(un.sun_path, path);
		fd = socket(AF_UNIX, SOCK_STREAM, 0);
		hub = connect(fd, (struct sockaddr *)&un, sizeof un);
		close(fd);
	} while (hub == 0 && now() < end);
	START(&h, QUIET_HUB, "-s", path);
	ORDER(&h, M1, "OK 0\n");
	STOP(&h);
}

/* ------------------------------------------------ the control socket's file */

/* A socket's file, and who listens there, or -1. */
static int
socket_at(const char *path, int listens)
{
	struct sockaddr_un un;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	memset(&un, 0, sizeof un);
	un.sun_family = AF_UNIX;
	strcpy(un.sun_path, path);
	if (fd == -1 || bind(fd, (struct sockaddr *)&un, sizeof un) == -1 ||
	    (listens && listen(fd, 4) == -1))
		give_up(path);
	if (listens)
		return fd;
	close(fd);
	return -1;
}

static void
test_modes(void)
{
	static const struct {
		char *option;
		int umask, mode;
	} t[] = {
		{ NULL, 0, 0660 }, { NULL, 077, 0660 }, { "600", 0, 0600 },
		{ "0666", 022, 0666 }, { "0", 0, 0 }, { "777", 0777, 0777 },
	};
	struct hub h = { 0 };
	struct group *g = NULL;
	gid_t list[64];
	struct stat st;
	char id[32];
	size_t i;
	int n, k;

	CASE("control socket: its mode, whatever the umask");
	for (i = 0; i < sizeof t / sizeof *t; i++) {
		memset(&h, 0, sizeof h);
		h.mask = t[i].umask != 0 ? t[i].umask : 01;
		START(&h, QUIET_HUB, t[i].option != NULL ? "--control-mode" :
		    "-v", t[i].option != NULL ? t[i].option : "-q");
		EXPECT(lstat(h.control, &st) == 0 && S_ISSOCK(st.st_mode) &&
		    (st.st_mode & 07777) == (mode_t)t[i].mode, "mode %o, "
		    "not %o", (unsigned)st.st_mode & 07777,
		    (unsigned)t[i].mode);
		STOP(&h);
	}

	/* Root may give any, others one that they are in. */
	n = getgroups(64, list);
	for (k = 0; k < n && g == NULL; k++)
		if (list[k] != getegid())
			g = getgrgid(list[k]);
	setgrent();
	while (geteuid() == 0 && (g == NULL || g->gr_gid == getegid()))
		if ((g = getgrent()) == NULL)
			break;
	if (g == NULL || g->gr_gid == getegid()) {
		test_skip("control socket: --control-group", "we are in one "
		    "group alone");
		return;
	}
	CASE("control socket: --control-group");
	memset(&h, 0, sizeof h);
	START(&h, QUIET_HUB, "--control-group", g->gr_name);
	EXPECT(lstat(h.control, &st) == 0 && st.st_gid == g->gr_gid,
	    "it is group %ld's", (long)st.st_gid);
	STOP(&h);

	CASE("control socket: --control-group with a number");
	snprintf(id, sizeof id, "%lu", (unsigned long)g->gr_gid);
	memset(&h, 0, sizeof h);
	START(&h, QUIET_HUB, "--control-group", id);
	EXPECT(lstat(h.control, &st) == 0 && st.st_gid == g->gr_gid,
	    "it is group %ld's", (long)st.st_gid);
	STOP(&h);
}

/* As nobody, where we are root: -1 if that cannot be. */
static int
nobody_says(const char *control, const char *words)
{
	struct passwd *pw = getpwnam("nobody");
	char port[32];
	int fd, status;
	pid_t pid;

	if (geteuid() != 0 || pw == NULL || wrap[0] != NULL)
		return -1;
	snprintf(port, sizeof port, "127.0.0.1:%d", free_port());
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		fd = open("nobody.err", O_WRONLY | O_CREAT | O_TRUNC, 0644);
		if (fd == -1 || dup2(fd, 2) == -1 ||
		    setgroups(0, NULL) == -1 || setgid(pw->pw_gid) == -1 ||
		    setuid(pw->pw_uid) == -1)
			_exit(126);
		execl(wshub, wshub, "-s", control, "-l", port, (char *)NULL);
		_exit(126);
	}
	status = reap(pid, patience);
	if (status == -1) {
		kill(pid, SIGKILL);
		reap(pid, 1000);
	}
	if (status == 126)
		return -1;
	EXPECT(status == 1 && file_has("nobody.err", words), "%s: exit status "
	    "%d", control, status);
	return 0;
}

static void
files(void)
{
	struct hub h = { 0 }, second = { 0 };
	char long_path[256], listener[32];
	struct stat st;
	int fd;

	test_modes();

	CASE("control socket: one that somebody listens at is left alone");
	START(&h, QUIET_HUB);
	snprintf(listener, sizeof listener, "127.0.0.1:%d", free_port());
	COMMAND(1, NULL, "another program listens there", "-s", h.control,
	    "-l", listener);
	ORDER(&h, M1, "OK 0\n");
	STOP(&h);
	fd = socket_at("live", 1);
	COMMAND(1, NULL, "live: another program listens there", "-s", "live",
	    "-l", listener);
	EXPECT(lstat("live", &st) == 0, "it is gone");
	close(fd);

	CASE("control socket: one that nobody listens at is replaced");
	START(&second, QUIET_HUB, "-s", "live");
	ORDER(&second, M1, "OK 0\n");
	STOP(&second);
	socket_at("stale", 0);
	START(&second, QUIET_HUB, "-l", "unix:stale");
	STOP(&second);
	EXPECT(lstat("stale", &st) == -1, "it is still there");

	CASE("control socket: a directory, a file, a FIFO, a link");
	spill("file", "precious", 8);
	if (mkdir("directory", 0755) != 0 || mkfifo("fifo", 0600) != 0 ||
	    symlink("file", "link") != 0 || symlink("nowhere", "dangling") != 0)
		give_up("files");
	COMMAND(1, NULL, "there is a directory of that name", "-s",
	    "directory", "-l", listener);
	COMMAND(1, NULL, "there is a file of that name", "-s", "file", "-l",
	    listener);
	COMMAND(1, NULL, "there is a file of that name", "-s", "fifo", "-l",
	    listener);
	COMMAND(1, NULL, "there is a file of that name", "-s", "link", "-l",
	    listener);
	COMMAND(1, NULL, "there is a file of that name", "-s", "dangling",
	    "-l", listener);
	COMMAND(1, NULL, "there is a file of that name", "-s", "x.sock", "-l",
	    "unix:file");
	EXPECT(lstat("x.sock", &st) == -1, "it leaves its other socket");
	EXPECT(file_has("file", "precious") && lstat("directory", &st) == 0 &&
	    lstat("fifo", &st) == 0 && lstat("link", &st) == 0 &&
	    lstat("dangling", &st) == 0, "one of them is gone");

	CASE("control socket: a path that is too long, or leads nowhere");
	memset(long_path, 'x', sizeof long_path - 1);
	long_path[sizeof long_path - 1] = '\0';
	COMMAND(1, NULL, "too long", "-s", long_path, "-l", listener);
	COMMAND(1, NULL, "no/such: No such file", "-s", "no/such", "-l",
	    listener);
	COMMAND(1, NULL, "file/sock: Not a directory", "-s", "file/sock", "-l",
	    listener);

	fd = socket_at("theirs", 1);
	chmod("theirs", 0600);
	if (geteuid() != 0)
		mkdir("locked", 0555);
	CASE("control socket: one that we may not look at, or not make");
	if (geteuid() == 0 && (nobody_says("theirs", "Permission denied") ==
	    -1 || nobody_says("new", "Permission denied") == -1)) {
		test_name = NULL;
		test_skip("control socket: one that we may not look at, or "
		    "not make", "we are root, and nobody is not to be tried");
	}
	if (geteuid() != 0)
		COMMAND(1, NULL, "Permission denied", "-s", "locked/sock",
		    "-l", listener);
	close(fd);
}

/* ------------------------------------------------------------ what it says */

static void
words(void)
{
	struct hub h = { 0 };
	struct client c;
	char text[128];
	size_t len;
	long long end = now() + patience;
	int fd = -1;

	CASE("-v: clients as they come and go");
	START(&h, QUIET_HUB, "-v");
	join(&c, &h);
	snprintf(text, sizeof text, ": opened: tls=no device=\"%s\"\n", c.id);
	EXPECT(await(h.log, text), "\"%s\" is not there", text);
	leave(&c);
	snprintf(text, sizeof text, " code=none reason=closed "
	    "device=\"%s\" text=\"closed by peer\"\n", c.id);
	EXPECT(await(h.log, text), "\"%s\" is not there", text);
	STOP(&h);

	CASE("-q: not a word when all is well");
	snprintf(text, sizeof text, "127.0.0.1:%d", h.port[0] = free_port());
	strcpy(h.control, "quiet.sock");
	strcpy(h.log, "quiet.log");
	h.pid = spawn(ARGS("-q", "-s", h.control, "-l", text), NULL, "hub.out",
	    h.log, 0, 022);
	while (fd == -1 && now() < end) {
		struct sockaddr_un un;

		memset(&un, 0, sizeof un);
		un.sun_family = AF_UNIX;
		strcpy(un.sun_path, h.control);
		fd = socket(AF_UNIX, SOCK_STREAM, 0);
		if (connect(fd, (struct sockaddr *)&un, sizeof un) == 0)
			break;
		close(fd);
		fd = -1;
		nap(2);
	}
	limit_waits(fd);
	ASK(fd, M1 "\n", "OK 0\n");
	close(fd);
	join(&c, &h);
	leave(&c);
	STOP(&h);
	free(slurp(h.log, &len));
	EXPECT(len == 0, "%zu bytes of words", len);
}

/* A process's child is of that user and group, and of no other. */
static void
child_is(pid_t pid, const char *option, uid_t uid, gid_t gid)
{
	char path[64], line[3][80];
	long u = (long)uid, g = (long)gid;
	int i;

	snprintf(path, sizeof path, "/proc/%ld/status", (long)child_of(pid));
	snprintf(line[0], sizeof *line, "\nUid:\t%ld\t%ld\t%ld\t%ld\n", u, u,
	    u, u);
	snprintf(line[1], sizeof *line, "\nGid:\t%ld\t%ld\t%ld\t%ld\n", g, g,
	    g, g);
	snprintf(line[2], sizeof *line, "\nGroups:\t%ld \n", g);
	for (i = 0; i < 3; i++)
		EXPECT(file_has(path, line[i]), "-u %s: its status has no %s",
		    option, line[i] + 1);
}

/* A hub with that -u, and a relay. */
static void
become(char *option, uid_t uid, gid_t gid)
{
	struct hub h = { 0 };
	struct stat st;
	pid_t relay;

	START(&h, QUIET_HUB, "-u", option);
	child_is(h.pid, option, uid, gid);
	(void)unlink("relay.log");
	relay = spawn(ARGS("relay", "-u", option, "-s", h.control, "-S",
	    "relay.sock", "mqtt+unix:none"), NULL, "relay.log", "relay.log", 0,
	    022);
	/* Its parent stays root, whom the hub's socket admits. */
	EXPECT(await("relay.log", "connected to the hub"), "it does not");
	child_is(relay, option, uid, gid);
	kill(relay, SIGTERM);
	EXPECT(reap(relay, patience) == 0 && lstat("relay.sock", &st) == -1,
	    "the relay's end");
	ORDER(&h, M1, "OK 0\n");
	STOP(&h);
}

#ifdef __linux__
static void
unconfined(void)
{
	static const char warning[] = "warning: the hub runs without a sandbox";
	struct hub h = { 0 };
	struct client c;
	char *log, *first;
	size_t len;

	CASE("$WSHUB_NO_SANDBOX: a warning, once, and it serves");
	setenv("WSHUB_NO_SANDBOX", "1", 1);
	START(&h, QUIET_HUB);
	join(&c, &h);
	ORDER(&h, M1, "OK 1\n");
	TEXT(&c, "1");
	leave(&c);
	STOP(&h);
	log = slurp(h.log, &len);
	first = strstr(log, warning);
	EXPECT(first != NULL && strstr(first + 1, warning) == NULL,
	    "not one warning: \"%s\"", log);
	free(log);
}
#endif

static void
users(void)
{
	struct passwd *pw = getpwnam("daemon");
	struct group *g = NULL;
	char both[300];
	struct stat st;

	if (geteuid() != 0 || pw == NULL || stat("/proc/self/status", &st) ==
	    -1) {
		test_skip("-u", "we are not root, or there is no /proc");
		return;
	}
	CASE("-u: hub and relay are another user, and so are their groups");
	become("daemon", pw->pw_uid, pw->pw_gid);

	CASE("-u: a user's number alone: its own group");
	snprintf(both, sizeof both, "%lu", (unsigned long)pw->pw_uid);
	become(both, pw->pw_uid, pw->pw_gid);

	setgrent();
	while ((g = getgrent()) != NULL && (g->gr_gid == pw->pw_gid ||
	    g->gr_gid == 0))
		;
	if (g == NULL) {
		test_skip("-u: with a group", "there is no other");
		return;
	}
	CASE("-u: with a group, they are in that one alone");
	snprintf(both, sizeof both, "daemon:%s", g->gr_name);
	become(both, pw->pw_uid, g->gr_gid);

	CASE("-u: two numbers");
	snprintf(both, sizeof both, "%lu:%lu", (unsigned long)pw->pw_uid,
	    (unsigned long)g->gr_gid);
	become(both, pw->pw_uid, g->gr_gid);
}

/* ------------------------------------------------------------------ relay */

#define BROKER "mqtt://broker.example"

/* What follows "relay -n"; other cases are in e2e_relay_hostile.c. */
static void
relay_options(void)
{
	static const struct {
		int status;
		const char *words;
		char *option, *value;
	} t[] = {
		{ 0, NULL, "--prefix", "a" },
		{ 0, NULL, "--prefix", "a/b c/\xc3\xa9" },
		{ 0, NULL, "--prefix", "a$" },
		{ 2, "--prefix $SYS: not", "--prefix", "$SYS" },
		{ 2, "--prefix /a: not", "--prefix", "/a" },
		{ 2, "--prefix a/: not", "--prefix", "a/" },
		{ 2, "--prefix /: not", "--prefix", "/" },
		{ 2, "--prefix a+: not", "--prefix", "a+" },
		{ 2, "--prefix a#b: not", "--prefix", "a#b" },
		{ 2, "--prefix", "--prefix", "a\nb" },
		{ 2, "--prefix", "--prefix", "a\x7f" },
		{ 2, "--prefix", "--prefix", "\xc3" },
		{ 2, "--prefix", "--prefix", "\xed\xa0\x80" },
		{ 0, NULL, "--id", "\xc3\xa9 x" },
		{ 2, "--id", "--id", "\xc3" },
		{ 0, NULL, "-s", "no/such" },
		{ 2, "-s needs a path", "-s", "" },
		{ 2, "-S needs a path", "-S", "" },
		{ 1, "-u no-such-user: no such user", "-u", "no-such-user" },
		{ 2, "not an octal number", "--control-mode", "1000" },
		{ 1, "no/such: No such file", "--user", "no/such" },
		{ 1, ".: not a file", "--user", "." },
	};
	static char *const lengths[] = { "--prefix", "--id" };
	char text[300];
	size_t i, n;

	CASE("relay: options");
	COMMAND(0, "usage: wshub relay [-", NULL, "relay", "-h");
	COMMAND(0, "--interest ", NULL, "relay", "--help");
	for (i = 0; i < sizeof t / sizeof *t; i++) {
		char **args = ARGS("relay", "-n", t[i].option, t[i].value,
		    BROKER);

		command(NULL, args);
		command_is(__FILE__, __LINE__, t[i].status, NULL, t[i].words);
		EXPECT(did.status == t[i].status, "%s %s: status %d",
		    t[i].option, t[i].value, did.status);
	}
	for (i = 0; i < 2; i++)
		for (n = 254; n < 258; n++) {
			snprintf(text, sizeof text, "%0*d", (int)n, 0);
			command(NULL, ARGS("relay", "-n", lengths[i], text,
			    BROKER));
			EXPECT(did.status == (n <= 255 ? 0 : 2), "%s of %zu "
			    "bytes: status %d", lengths[i], n, did.status);
		}
}

/* A file with the name and the password of an MQTT user. */
static void
relay_user(void)
{
	static const struct {
		const char *text;
		size_t len;
		const char *words; /* NULL: it is right */
	} t[] = {
#define STRING(s) s, sizeof s - 1
		{ STRING("hubert\nsecret\n"), NULL },
		{ STRING("hubert\nsecret"), NULL },
		{ STRING("hubert\r\nsecret\r\n"), NULL },
		{ STRING("hubert\n"), NULL }, { STRING("hubert"), NULL },
		{ STRING("h\xc3\xa9\n se cret \n"), NULL },
		{ STRING(""), "no user name" },
		{ STRING("\n"), "no user name" },
		{ STRING("\r\n\r\n"), "no user name" },
		{ STRING("\nsecret\n"), "no user name" },
		{ STRING("hubert\nsecret\nsecret\n"), "more than two lines" },
		{ STRING("hubert\nsecret\n\n"), "more than two lines" },
		{ STRING("hubert\nsec\0ret\n"), "or NUL" },
		{ STRING("hu\0bert\nsecret\n"), "or NUL" },
		{ STRING("hubert\nsecret\xff\n"), "not UTF-8" },
		{ STRING("hubert\nsecret\xc3"), "not UTF-8" },
	};
	static const struct {
		mode_t mode;
		int right;
	} modes[] = {
		{ 0600, 1 }, { 0400, 1 }, { 0700, 1 }, { 0640, 0 }, { 0604, 0 },
		{ 0620, 0 }, { 0602, 0 }, { 0610, 0 }, { 0601, 0 }, { 0644, 0 }
	};
	char text[1100];
	size_t i, n;
	int k;

	CASE("relay: the user's file, and what is wrong with it");
	for (i = 0; i < sizeof t / sizeof *t; i++) {
		spill("mqtt.user", t[i].text, t[i].len);
		if (chmod("mqtt.user", 0600) != 0)
			give_up("chmod");
		command(NULL, ARGS("relay", "-n", "--user", "mqtt.user",
		    BROKER));
		EXPECT(did.status == (t[i].words == NULL ? 0 : 1) &&
		    (t[i].words == NULL ? *did.err == '\0' : strstr(did.err,
		    t[i].words) != NULL && strstr(did.err, "mqtt.user: ") !=
		    NULL), "number %zu: status %d, \"%s\"", i, did.status,
		    did.err);
		EXPECT(strstr(did.err, "hub") == strstr(did.err, "hub: ") &&
		    strstr(did.err, "bert") == NULL &&
		    strstr(did.err, "sec") == NULL, "number %zu: \"%s\" "
		    "contains a part", i, did.err);
	}

	CASE("relay: lines of 255 bytes, and of more");
	for (k = 0; k < 2; k++)
		for (n = 254; n < 258; n++) {
			snprintf(text, sizeof text, "%0*d\r\n%0*d\r\n",
			    k == 0 ? (int)n : 3, 0, k == 0 ? 3 : (int)n, 0);
			spill("mqtt.user", text, strlen(text));
			command(NULL, ARGS("relay", "-n", "--user",
			    "mqtt.user", BROKER));
			EXPECT(did.status == (n <= 255 ? 0 : 1) && (n <= 255 ||
			    strstr(did.err, "more than 255 bytes") != NULL),
			    "line %d of %zu bytes: status %d, \"%s\"", k, n,
			    did.status, did.err);
		}
	for (n = 1023; n < 1026; n++) {
		snprintf(text, sizeof text, "%0*d", (int)n, 0);
		spill("mqtt.user", text, n);
		refused(1, n < 1024 ? "more than 255 bytes" : "too long",
		    ARGS("relay", "-n", "--user", "mqtt.user", BROKER));
	}

	CASE("relay: only its owner may have access to the user's file");
	spill("mqtt.user", "hubert\nsecret\n", 14);
	for (i = 0; i < sizeof modes / sizeof *modes; i++) {
		if (chmod("mqtt.user", modes[i].mode) != 0)
			give_up("chmod");
		command(NULL, ARGS("relay", "-n", "--user", "mqtt.user",
		    BROKER));
		EXPECT(modes[i].right ? did.status == 0 : did.status == 1 &&
		    strstr(did.err, "mqtt.user: mode 0") != NULL &&
		    strstr(did.err, "only its owner") != NULL,
		    "mode %04o: status %d, \"%s\"", (unsigned)modes[i].mode,
		    did.status, did.err);
	}
	(void)unlink("mqtt.user");
	if (mkfifo("mqtt.user", 0600) == 0)
		refused(1, "mqtt.user: not a file", ARGS("relay", "-n",
		    "--user", "mqtt.user", BROKER));
	(void)unlink("mqtt.user");
}

static struct test_group all_groups[] = {
	{ .name = "options", .run = options },
	{ .name = "relay_options", .run = relay_options },
	{ .name = "relay_user", .run = relay_user },
	{ .name = "ctl", .run = ctl },
	{ .name = "token", .run = token },
	{ .name = "signals", .run = signals },
	{ .name = "crashes", .run = crashes },
	{ .name = "files", .run = files },
	{ .name = "words", .run = words },
#ifdef __linux__
	{ .name = "unconfined", .run = unconfined },
#endif
	{ .name = "users", .run = users },
};

int
main(int argc, char **argv)
{
	return run_groups(argc, argv, all_groups,
	    (int)(sizeof all_groups / sizeof *all_groups));
}
