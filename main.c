/* wshub: ISC licence, see LICENSE. */
/*
 * The command line: reads the options and opens the sockets.
 */
#define _GNU_SOURCE /* getopt_long */
#define _FILE_OFFSET_BITS 64 /* 32-bit systems may have long inode numbers */
#include <sys/types.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "relay.h"

#define LISTENERS_MAX WS_SETUP_LISTENERS
#define SUBPROTOCOLS_MAX 16
#define ORIGINS_MAX 64
#define TTL_MAX 315360000 /* seconds: ten years */

enum { EXIT_OK, EXIT_FAILED, EXIT_USAGE };

static struct {
	const char *listen[LISTENERS_MAX], *tls_listen[LISTENERS_MAX];
	int nlisten, ntls_listen;
	const char *subprotocols[SUBPROTOCOLS_MAX + 1];
	int nsubprotocols;
	const char *origins[ORIGINS_MAX + 1];
	int norigins;
	const char *user;
	mode_t control_mode;
	gid_t control_group;
	const char *metrics;
	const char *group; /* of the control socket */
	int check, queue_total, relay;
} o = { .control_mode = 0660, .control_group = (gid_t)-1 };

/* No initialisers: they would take 9 KB on disk. */
static struct ws_setup setup;
static struct ws_trust trust;
static int passed[4]; /* sockets from the service manager, by kind */

/* ---------------------------------------------------------------- options */

static const char usage_text[] =
    "usage: wshub [-hnqtVv] [-c cert] [-k key] [-L address] [-l address]\n"
    "             [-s path] [-u user[:group]] [--control-group group]\n"
    "             [--control-mode mode] [--drain seconds]\n"
    "             [--health path] [--heartbeat seconds] [--keep bytes]\n"
    "             [--max-clients number] [--max-per-ip number]\n"
    "             [--metrics address] [--origin origin] [--ping seconds]\n"
    "             [--proxy-protocol] [--queue bytes] [--queue-total bytes]\n"
    "             [--resume seconds] [--subprotocol name] [--token-key file]\n"
    "             [--trust address]\n"
    "       wshub ctl [-s path] [json ...]\n"
    "       wshub ctl [-s path] verb [argument ...]\n"
    "       wshub token --token-key file [--channel name] [--sub name]\n"
    "             [--ttl seconds]\n"
    "       wshub relay [option ...] broker\n";

static const char help_text[] =
    "\n"
    "  -l, --listen ADDR      ws:// listener: host:port, :port, [v6]:port,\n"
    "                         unix:PATH; repeatable (127.0.0.1:8080)\n"
    "  -L, --tls-listen ADDR  wss:// listener; repeatable; needs -c and -k\n"
    "  -c, --cert FILE        PEM certificate chain (fullchain.pem)\n"
    "  -k, --key FILE         PEM private key, RSA or EC\n"
    "  -s, --control PATH     the backends' socket (wshub.sock)\n"
    "  --control-mode OCT     its mode (0660)\n"
    "  --control-group GROUP  its group, a name or a number\n"
    "  -u, --user USER[:GROUP]  user if started as root, names or numbers\n"
    "                         (nobody)\n"
    "  --health PATH          GET, HEAD and OPTIONS of PATH get status 200\n"
    "  --metrics ADDR         GET of /metrics is for Prometheus, /health as\n"
    "                         above; an address as for -l\n"
    "  --subprotocol NAME     chosen if a client offers it; repeatable\n"
    "  --token-key FILE       secrets: clients need a token signed with one\n"
    "  --origin ORIGIN        allowed origin of pages; repeatable (any page)\n"
    "  --resume SEC           how long a session may be away, 0: never (30)\n"
    "  --keep BYTES           unconfirmed messages kept for a session (65536)\n"
    "  --heartbeat SEC        the {\"action\":\"hb\"} period, 0: none (60)\n"
    "  --ping SEC             silence before a Ping, 0: none (25)\n"
    "  --trust ADDR           a proxy, whose X-Forwarded-For counts: an address,\n"
    "                         ADDRESS/BITS or unix; repeatable\n"
    "  --proxy-protocol       only proxies connect, and begin with a PROXY\n"
    "                         header; needs --trust\n"
    "  --max-clients N        more get status 503 (what RLIMIT_NOFILE allows)\n"
    "  --max-per-ip N         more get status 503; an IPv6 /64 counts as one\n"
    "                         address (no limit)\n"
    "  --queue BYTES          limit of a client's unsent bytes (1048576)\n"
    "  --queue-total BYTES    limit for all clients (67108864, or 1/8 of the\n"
    "                         memory if that is less)\n"
    "  --drain SEC            how long shutdown may take (5)\n"
    "  -n                     check options, certificate, key and secrets,\n"
    "                         and exit\n"
    "  -q, -v, -t             log less, more, with the time (UTC)\n"
    "  -V, -h                 version, this text\n"
    "\n"
    "  ctl sends JSON objects, from its arguments or standard input, to a\n"
    "  running hub and prints the replies. Or a verb asks: list [CHANNEL],\n"
    "  count [CHANNEL], channels [DEVICE], info DEVICE, stats, or tells:\n"
    "  kick DEVICE [CODE [REASON]], watch [EVENT]...\n"
    "\n"
    "  token prints a JSON Web Token for a client, signed with the first\n"
    "  secret of the file: the device's name (--sub), channels (repeatable),\n"
    "  and how long it is valid (3600 seconds).\n";

static const char relay_usage[] =
    "usage: wshub relay [-hnqtVv] [-S path] [-s path] [-u user[:group]]\n"
    "             [--control-group group] [--control-mode mode] [--id name]\n"
    "             [--interest] [--prefix prefix] [--user file] broker\n";

static const char relay_help[] =
    "\n"
    "  Connects a hub with an MQTT broker, mqtt://HOST[:PORT] or\n"
    "  mqtt+unix:PATH, and so with the hubs of other machines.\n"
    "\n"
    "  -s, --hub PATH         the hub's control socket (wshub.sock)\n"
    "  -S, --control PATH     the relay's own (wshub-relay.sock)\n"
    "  --control-mode OCT     its mode (0660)\n"
    "  --control-group GROUP  its group, a name or a number\n"
    "  -u USER[:GROUP]        user if started as root (nobody)\n"
    "  --prefix PREFIX        the first levels of all topics (wshub)\n"
    "  --id NAME              MQTT client id (wshub- and the host's name)\n"
    "  --user FILE            the MQTT user's name and password, a line each\n"
    "  --interest             subscribe only to what the hub's clients need\n"
    "  -n                     check options and the user's file, and exit\n"
    "  -q, -v, -t             log less, more, with the time (UTC)\n"
    "  -V, -h                 version, this text\n";

/* The texts for the program's first argument. */
static const char *usage_shown = usage_text, *help_shown = help_text;

#if defined(__GNUC__)
__attribute__((format(printf, 1, 2), noreturn))
#endif
static void
usage(const char *format, ...)
{
	va_list ap;

	fputs("wshub: ", stderr);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fprintf(stderr, "\n%s", usage_shown);
	exit(EXIT_USAGE);
}

static unsigned long
number(const char *option, const char *s, int base, unsigned long min,
    unsigned long max)
{
	unsigned long n;
	char *end;

	errno = 0;
	n = strtoul(s, &end, base);
	if (*s < '0' || *s > '9' || *end != '\0' || errno != 0 || n < min ||
	    n > max)
		usage(base == 8 ? "--%s %s: not an octal number of %#lo to %#lo"
		    : "--%s %s: not a number of %lu to %lu", option, s, min,
		    max);
	return n;
}

enum {
	CONTROL_MODE = 256, CONTROL_GROUP, HEARTBEAT, PING, MAX_CLIENTS,
	MAX_PER_IP, QUEUE, QUEUE_TOTAL, DRAIN, HEALTH, SUBPROTOCOL,
	TOKEN_KEY, ORIGIN, RESUME, KEEP, METRICS, TRUST, PROXY_PROTOCOL,
	PREFIX, ID, USER, INTEREST
};

static const struct option options[] = {
	{ "listen", required_argument, NULL, 'l' },
	{ "tls-listen", required_argument, NULL, 'L' },
	{ "cert", required_argument, NULL, 'c' },
	{ "key", required_argument, NULL, 'k' },
	{ "control", required_argument, NULL, 's' },
	{ "control-mode", required_argument, NULL, CONTROL_MODE },
	{ "control-group", required_argument, NULL, CONTROL_GROUP },
	{ "user", required_argument, NULL, 'u' },
	{ "heartbeat", required_argument, NULL, HEARTBEAT },
	{ "ping", required_argument, NULL, PING },
	{ "max-clients", required_argument, NULL, MAX_CLIENTS },
	{ "max-per-ip", required_argument, NULL, MAX_PER_IP },
	{ "queue", required_argument, NULL, QUEUE },
	{ "queue-total", required_argument, NULL, QUEUE_TOTAL },
	{ "drain", required_argument, NULL, DRAIN },
	{ "health", required_argument, NULL, HEALTH },
	{ "subprotocol", required_argument, NULL, SUBPROTOCOL },
	{ "token-key", required_argument, NULL, TOKEN_KEY },
	{ "origin", required_argument, NULL, ORIGIN },
	{ "resume", required_argument, NULL, RESUME },
	{ "keep", required_argument, NULL, KEEP },
	{ "metrics", required_argument, NULL, METRICS },
	{ "trust", required_argument, NULL, TRUST },
	{ "proxy-protocol", no_argument, NULL, PROXY_PROTOCOL },
	{ "version", no_argument, NULL, 'V' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 }
};

/* The argument of one of these: a decimal number. */
static unsigned long
size(int option, unsigned long min, unsigned long max)
{
	const struct option *p = options;

	while (p->val != option)
		p++;
	return number(p->name, optarg, 10, min, max);
}

static unsigned
count(int option, unsigned min, unsigned max)
{
	return (unsigned)size(option, min, max);
}

/* Reads a user or group number: 1, or 0 if it is none. -1 is not valid. */
static int
numeric_id(const char *s, unsigned long *id)
{
	char *end;

	errno = 0;
	*id = strtoul(s, &end, 10);
	return *s >= '0' && *s <= '9' && *end == '\0' && errno == 0 &&
	    *id < 0xffffffff;
}

/* If name consists of digits, it is tried as a name first, as in chown(1). */
static gid_t
group_id(const char *option, const char *value, const char *name)
{
	struct group *g = getgrnam(name);
	unsigned long id;

	if (g != NULL)
		return g->gr_gid;
	if (!numeric_id(name, &id))
		ws_die("%s %s: no such group", option, value);
	return (gid_t)id;
}

/* Sets the user and group to change to if started as root. */
static void
find_user(void)
{
	const char *user = o.user != NULL ? o.user : "nobody";
	const char *group = strchr(user, ':');
	size_t len = group != NULL ? (size_t)(group - user) : strlen(user);
	unsigned long id = 0;
	struct passwd *pw;
	char name[256];
	int numeric;

	snprintf(name, sizeof name, "%.*s", (int)len, user);
	pw = getpwnam(name);
	numeric = numeric_id(name, &id);
	if (pw == NULL && numeric)
		pw = getpwuid((uid_t)id);
	if (pw == NULL && o.user == NULL)
		ws_die("started as root, and there is no user nobody to "
		    "become: set -u, such as -u 65534:65534");
	if (pw == NULL && (!numeric || group == NULL))
		ws_die("-u %s: no such user%s", o.user, numeric ?
		    "; a number needs a group as well" : "");
	setup.uid = pw != NULL ? pw->pw_uid : (uid_t)id;
	setup.gid = group != NULL ? group_id("-u", user, group + 1) :
	    pw->pw_gid;
}

static void
check_address(const char *address)
{
	if (ws_listen_check(address) != 0)
		usage("%s: not host:port, :port, [v6]:port or unix:PATH",
		    address);
}

/* The path must be one that a request target can have. */
static void
set_health(const char *path)
{
	size_t i;

	for (i = 0; path[i] > ' ' && path[i] < 0x7f; i++)
		if (path[i] == '?' || path[i] == '#')
			break;
	if (path[0] != '/' || path[i] != '\0')
		usage("--health %s: not a path: /, then printable ASCII but "
		    "no space, ? or #", path);
	setup.loop.http.health = path;
}

static void
add_subprotocol(const char *name)
{
	if (!ws_is_token(name) || strlen(name) > WS_SUBPROTOCOL_MAX)
		usage("--subprotocol %s: not a token of 1 to %d of A-Za-z0-9"
		    "!#$%%&'*+-.^_`|~", name, WS_SUBPROTOCOL_MAX);
	if (o.nsubprotocols == SUBPROTOCOLS_MAX)
		usage("more than %d subprotocols", SUBPROTOCOLS_MAX);
	o.subprotocols[o.nsubprotocols++] = name;
	setup.loop.http.subprotocols = o.subprotocols;
}

/*
 * RFC 6454 section 6.2, scheme://host[:port], perhaps with "*." before the
 * host, or "null".
 */
static void
add_origin(const char *origin)
{
	const char *host = strstr(origin, "://");
	size_t i = 0;

	if (host != NULL) {
		host += strncmp(host, "://*.", 5) == 0 ? 5 : 3;
		for (i = 0; host[i] > ' ' && host[i] < 0x7f; i++)
			if (host[i] == '/' || host[i] == '*')
				break;
	}
	if (host == NULL ? strcmp(origin, "null") != 0 : *host == '\0' ||
	    host[i] != '\0')
		usage("--origin %s: not scheme://host[:port] or "
		    "scheme://*.domain[:port], without a path", origin);
	if (o.norigins == ORIGINS_MAX)
		usage("more than %d origins", ORIGINS_MAX);
	o.origins[o.norigins++] = origin;
	setup.loop.origins = o.origins;
}

static void
add_trust(const char *address)
{
	const char *reason = ws_trust_add(&trust, address);

	if (reason != NULL)
		usage("--trust %s: %s", address, reason);
	setup.loop.trust = &trust;
}

static void
check_path(const char *option, const char *path)
{
	if (*path == '\0')
		usage("%s needs a path", option);
	if (strlen(path) >= sizeof ((struct sockaddr_un *)0)->sun_path)
		ws_die("%s: %s", path, strerror(ENAMETOOLONG));
}

/* Handles an option that hub and relay share, or an unknown one. */
static void
read_common(int c)
{
	switch (c) {
	case CONTROL_MODE:
		o.control_mode = (mode_t)number("control-mode", optarg, 8, 0,
		    0777);
		break;
	case CONTROL_GROUP:
		o.group = optarg;
		break;
	case 'u':
		o.user = optarg;
		break;
	case 'n':
		o.check = 1;
		break;
	case 'q':
		ws_log_level--;
		break;
	case 't':
		ws_log_time = 1;
		break;
	case 'v':
		ws_log_level++;
		break;
	case 'V':
		printf("wshub %s\n", WS_VERSION);
		exit(EXIT_OK);
	case 'h':
		printf("%s%s", usage_shown, help_shown);
		exit(EXIT_OK);
	default:
		fputs(usage_shown, stderr);
		exit(EXIT_USAGE);
	}
}

/* Checks these options, when all have been read. */
static void
finish_common(void)
{
	check_path(o.relay ? "-S" : "-s", setup.control);
	if (o.group != NULL)
		o.control_group = group_id("--control-group", o.group,
		    o.group);
	if (o.user != NULL || geteuid() == 0)
		find_user();
}

static void
read_options(int argc, char **argv)
{
	int c;

	while ((c = getopt_long(argc, argv, "c:hk:L:l:nqs:tu:Vv", options,
	    NULL)) != -1)
		switch (c) {
		case 'l':
		case 'L':
			if ((c == 'l' ? o.nlisten : o.ntls_listen) ==
			    LISTENERS_MAX)
				usage("more than %d listeners", LISTENERS_MAX);
			if (c == 'l')
				o.listen[o.nlisten++] = optarg;
			else
				o.tls_listen[o.ntls_listen++] = optarg;
			break;
		case 'c':
			setup.cert = optarg;
			break;
		case 'k':
			setup.key = optarg;
			break;
		case 's':
			setup.control = optarg;
			break;
		case HEARTBEAT:
			setup.loop.heartbeat = count(c, 0, 86400);
			break;
		case PING:
			setup.loop.ping = count(c, 0, 86400);
			break;
		case MAX_CLIENTS:
			setup.loop.max_clients = count(c, 1, 1u << 20);
			break;
		case MAX_PER_IP:
			setup.loop.max_per_ip = count(c, 1, 1u << 20);
			break;
		case QUEUE:
			setup.loop.queue = size(c, 1, 1ul << 30);
			break;
		case QUEUE_TOTAL:
			setup.loop.queue_total = size(c, 1, LONG_MAX);
			o.queue_total = 1;
			break;
		case DRAIN:
			setup.loop.drain = count(c, 0, 3600);
			break;
		case HEALTH:
			set_health(optarg);
			break;
		case SUBPROTOCOL:
			add_subprotocol(optarg);
			break;
		case TOKEN_KEY:
			setup.token_key = optarg;
			setup.loop.http.cookie = "wshub_token";
			break;
		case ORIGIN:
			add_origin(optarg);
			break;
		case RESUME:
			setup.loop.resume = count(c, 0, 86400);
			break;
		case KEEP:
			setup.loop.keep = size(c, 1, 1ul << 30);
			break;
		case METRICS:
			o.metrics = optarg;
			break;
		case TRUST:
			add_trust(optarg);
			break;
		case PROXY_PROTOCOL:
			setup.loop.proxy_protocol = 1;
			break;
		default:
			read_common(c);
		}
	if (optind < argc)
		usage("unexpected argument \"%s\"", argv[optind]);
	if ((setup.cert == NULL) != (setup.key == NULL))
		usage("-c and -k must be given together");
	if (o.ntls_listen + passed[WS_SERVICE_WSS] > 0 &&
	    setup.cert == NULL)
		usage("-L needs -c and -k");
	if (setup.cert != NULL && !o.check &&
	    o.ntls_listen + passed[WS_SERVICE_WSS] == 0)
		usage("-c and -k are used only with -L");
	if (setup.loop.proxy_protocol && setup.loop.trust == NULL)
		usage("--proxy-protocol needs --trust");
	if (o.nlisten == 0 && o.ntls_listen == 0 &&
	    passed[WS_SERVICE_WS] + passed[WS_SERVICE_WSS] == 0)
		o.listen[o.nlisten++] = "127.0.0.1:8080";
	for (c = 0; c < o.nlisten + o.ntls_listen; c++)
		check_address(c < o.nlisten ? o.listen[c] :
		    o.tls_listen[c - o.nlisten]);
	if (o.metrics != NULL)
		check_address(o.metrics);
	setup.loop.metrics = o.metrics != NULL || passed[WS_SERVICE_METRICS];
	finish_common();
}

static int
ctl(int argc, char **argv)
{
	const char *path = setup.control;
	int c;

	/* +: options end at the verb, because names may begin with a dash. */
	while ((c = getopt_long(argc, argv, "+hs:", options, NULL)) != -1)
		switch (c) {
		case 's':
			path = optarg;
			break;
		case 'h':
			fputs(usage_text, stdout);
			return EXIT_OK;
		default:
			fputs(usage_text, stderr);
			return EXIT_USAGE;
		}
	return ws_ctl(path, argv + optind);
}

/* Checks a device's or channel's name. */
static struct ws_text
read_name(const char *option, const char *s)
{
	struct ws_utf8 utf8 = { 0, 0, 0 };
	struct ws_text t;

	t.s = s;
	t.len = strlen(s);
	if (t.len < 1 || t.len > WS_NAME_MAX || ws_utf8(&utf8, s, t.len) !=
	    t.len || utf8.left != 0)
		usage("--%s %s: not a name of 1 to %d bytes of UTF-8", option,
		    s, WS_NAME_MAX);
	return t;
}

static int
token(int argc, char **argv)
{
	static const struct option token_options[] = {
		{ "token-key", required_argument, NULL, 'k' },
		{ "sub", required_argument, NULL, 's' },
		{ "channel", required_argument, NULL, 'c' },
		{ "ttl", required_argument, NULL, 't' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 }
	};
	static struct ws_token t;
	const char *path = NULL;
	unsigned long seconds = 3600;
	int c;

	while ((c = getopt_long(argc, argv, "h", token_options, NULL)) != -1)
		switch (c) {
		case 'k':
			path = optarg;
			break;
		case 's':
			t.sub = read_name("sub", optarg);
			break;
		case 'c':
			if (t.nchannels == WS_TOKEN_CHANNELS)
				usage("more than %d channels",
				    WS_TOKEN_CHANNELS);
			t.channels[t.nchannels++] =
			    read_name("channel", optarg);
			break;
		case 't':
			seconds = number("ttl", optarg, 10, 1, TTL_MAX);
			break;
		case 'h':
			fputs(usage_text, stdout);
			return EXIT_OK;
		default:
			fputs(usage_text, stderr);
			return EXIT_USAGE;
		}
	if (optind < argc)
		usage("unexpected argument \"%s\"", argv[optind]);
	if (path == NULL)
		usage("token needs --token-key");
	return ws_mint(path, &t, (long)seconds);
}

/*
 * Opens descriptors 0 to 2 if they are closed. Otherwise a socket could get one
 * of these numbers, and receive what is written to standard error. If there is
 * no /dev/null, the descriptor is the reading end of a pipe whose other end is
 * closed: reading returns end of file, and writing fails.
 */
static void
open_standard(void)
{
	int fd, end[2];

	for (fd = 0; fd <= 2; fd++) {
		if (fcntl(fd, F_GETFD) != -1 ||
		    open("/dev/null", O_RDWR) != -1)
			continue;
		if (pipe(end) == -1)
			ws_die("pipe: %s", strerror(errno));
		close(end[1]);
	}
}

static void
raise_limit(void)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim) == -1)
		return;
	lim.rlim_cur = lim.rlim_max;
#ifdef OPEN_MAX
	if (lim.rlim_cur > OPEN_MAX) /* macOS refuses "unlimited" */
		lim.rlim_cur = OPEN_MAX;
#endif
	(void)setrlimit(RLIMIT_NOFILE, &lim);
}

static void
add_file(const char *path, const struct ws_file_id *id)
{
	setup.files[setup.nfiles].path = path;
	setup.files[setup.nfiles++].id = *id;
}

static int
has_file(const char *address)
{
	return strncmp(address, "unix:", 5) == 0;
}

static void
open_listener(const char *address, enum ws_service_kind kind)
{
	char error[WS_ERROR_MAX];
	int fd[WS_LISTEN_MAX], n, i;
	struct ws_file_id id;

	if (has_file(address))
		ws_signals_block();
	n = ws_listen(address, fd, &id, error);
	if (n == -1)
		ws_die("%s", error);
	if (has_file(address))
		add_file(address + 5, &id);
	for (i = 0; i < n; i++) {
		setup.kind[setup.n] = (unsigned char)kind;
		setup.fd[setup.n++] = fd[i];
	}
}

/* Takes the sockets from a service manager, which removes their files. */
static void
take_sockets(void)
{
	struct ws_service_socket s[LISTENERS_MAX];
	char error[WS_ERROR_MAX];
	int n = ws_service_sockets(s, LISTENERS_MAX, error), i;

	if (n == -1)
		ws_die("%s", error);
	for (i = 0; i < n; i++) {
		if (passed[s[i].kind]++ != 0 &&
		    s[i].kind == WS_SERVICE_CONTROL)
			ws_die("LISTEN_FDS: two control sockets");
		if (s[i].kind == WS_SERVICE_CONTROL) {
			setup.control_fd = s[i].fd;
			continue;
		}
		setup.kind[setup.n] = (unsigned char)s[i].kind;
		setup.fd[setup.n++] = s[i].fd;
	}
}

static void
open_control(void)
{
	char error[WS_ERROR_MAX];
	struct ws_file_id id;

	if (setup.control_fd != -1)
		return; /* from the service manager */
	ws_signals_block();
	setup.control_fd = ws_listen_unix(setup.control, o.control_mode,
	    o.control_group, &id, error);
	if (setup.control_fd == -1)
		ws_die("%s", error);
	add_file(setup.control, &id);
}

/* Those with a file, from which on signals wait, or those without. */
static void
open_listeners(int file)
{
	int i;

	for (i = 0; i < o.nlisten; i++)
		if (has_file(o.listen[i]) == file)
			open_listener(o.listen[i], WS_SERVICE_WS);
	for (i = 0; i < o.ntls_listen; i++)
		if (has_file(o.tls_listen[i]) == file)
			open_listener(o.tls_listen[i], WS_SERVICE_WSS);
	if (o.metrics != NULL && has_file(o.metrics) == file)
		open_listener(o.metrics, WS_SERVICE_METRICS);
}

static void
open_sockets(void)
{
	open_listeners(0); /* to resolve a host may take long */
	open_listeners(1);
	open_control();
}

/* ------------------------------------------------------------------ relay */

/* A prefix of topics, MQTT 3.1.1 section 4.7. */
static void
read_prefix(struct ws_relay *r, const char *s)
{
	struct ws_utf8 utf8 = { 0, 0, 0 };
	size_t len = strlen(s), i;

	for (i = 0; i < len; i++)
		if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f ||
		    s[i] == '+' || s[i] == '#')
			break;
	if (len == 0 || len > WS_PREFIX_MAX || i < len || *s == '$' ||
	    *s == '/' || s[len - 1] == '/' ||
	    ws_utf8(&utf8, s, len) != len || utf8.left != 0)
		usage("--prefix %s: not a topic of 1 to %d bytes, without "
		    "wildcards, $ or / at its begin, or / at its end", s,
		    WS_PREFIX_MAX);
	strcpy(r->prefix, s);
}

static void
read_id(struct ws_relay *r, const char *s)
{
	struct ws_utf8 utf8 = { 0, 0, 0 };
	size_t len = strlen(s);

	if (len == 0 || len >= sizeof r->id ||
	    ws_utf8(&utf8, s, len) != len || utf8.left != 0)
		usage("--id %s: not a name of 1 to %d bytes of UTF-8", s,
		    (int)sizeof r->id - 1);
	strcpy(r->id, s);
}

static void
read_relay_options(struct ws_relay *r, int argc, char **argv)
{
	static const struct option relay_options[] = {
		{ "hub", required_argument, NULL, 's' },
		{ "control", required_argument, NULL, 'S' },
		{ "control-mode", required_argument, NULL, CONTROL_MODE },
		{ "control-group", required_argument, NULL, CONTROL_GROUP },
		{ "prefix", required_argument, NULL, PREFIX },
		{ "id", required_argument, NULL, ID },
		{ "user", required_argument, NULL, USER },
		{ "interest", no_argument, NULL, INTEREST },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 }
	};
	char error[WS_ERROR_MAX];
	const char *user = NULL;
	int c;

	while ((c = getopt_long(argc, argv, "hnqS:s:tu:Vv", relay_options,
	    NULL)) != -1)
		switch (c) {
		case 's':
			r->hub = optarg;
			break;
		case 'S':
			setup.control = optarg;
			break;
		case PREFIX:
			read_prefix(r, optarg);
			break;
		case ID:
			read_id(r, optarg);
			break;
		case USER:
			user = optarg;
			break;
		case INTEREST:
			r->interest = 1;
			break;
		default:
			read_common(c);
		}
	if (optind + 1 != argc)
		usage(optind == argc ? "relay needs a broker" :
		    "unexpected argument \"%s\"", argv[optind + 1]);
	if (ws_connect_parse(r, argv[optind], error) != 0)
		usage("%s", error);
	check_path("-s", r->hub);
	finish_common();
	if (user != NULL && ws_relay_read_user(r, user, error) != 0)
		ws_die("%s", error);
}

static int
relay(int argc, char **argv)
{
	static struct ws_relay r;
	char host[200];

	o.relay = 1;
	usage_shown = relay_usage;
	help_shown = relay_help;
	take_sockets();
	if (setup.n > 0)
		ws_die("LISTEN_FDS: the relay has only a control socket");
	setup.control = "wshub-relay.sock";
	r.hub = "wshub.sock";
	strcpy(r.prefix, "wshub");
	if (gethostname(host, sizeof host) == -1 || *host == '\0')
		strcpy(host, "relay");
	host[sizeof host - 1] = '\0';
	snprintf(r.id, sizeof r.id, "wshub-%s", host);
	read_relay_options(&r, argc, argv);
	if (o.check)
		return EXIT_OK;
	raise_limit();
	open_control();
	r.control_fd = setup.control_fd;
	return ws_relay_run(&setup, &r);
}

static pid_t owner; /* the process that removes the sockets' files */

static void
remove_files(void)
{
	if (getpid() == owner)
		ws_keeper_remove(&setup);
}

static void
set_defaults(void)
{
	static const struct ws_options usual = {
		.heartbeat = 60, .ping = 25, .drain = 5, .queue = 1048576,
		.queue_total = 67108864, .resume = 30, .keep = 65536,
		.log = ws_log_line
	};

	setup.loop = usual;
	setup.control = "wshub.sock";
	setup.control_fd = -1;
}

/* Lowers the default of --queue-total on a machine with little memory. */
static void
limit_queue_total(void)
{
	uint64_t share = ws_memory("") / 8;

	if (share == 0 || share >= setup.loop.queue_total)
		return;
	setup.loop.queue_total = (size_t)share;
	ws_log(WS_LOG_INFO, "--queue-total %lu: an eighth of the memory there "
	    "is", (unsigned long)setup.loop.queue_total);
}

int
main(int argc, char **argv)
{
	char error[WS_ERROR_MAX];

	open_standard();
	set_defaults();
	owner = getpid();
	atexit(remove_files);
	if (argc > 1 && strcmp(argv[1], "ctl") == 0)
		return ctl(argc - 1, argv + 1);
	if (argc > 1 && strcmp(argv[1], "token") == 0)
		return token(argc - 1, argv + 1);
	if (argc > 1 && strcmp(argv[1], "relay") == 0)
		return relay(argc - 1, argv + 1);
	take_sockets();
	read_options(argc, argv);
	if (setup.cert != NULL && ws_keeper_read_pair(&setup, error) != 0)
		ws_die("%s", error);
	if (setup.token_key != NULL &&
	    ws_keeper_read_token_keys(&setup, error) != 0)
		ws_die("%s", error);
	if (o.check) {
		ws_tls_config_release(setup.pair);
		return EXIT_OK;
	}
	setup.loop.log_level = ws_log_level;
	if (!o.queue_total)
		limit_queue_total();
	raise_limit();
	open_sockets();
	return ws_keeper_run(&setup);
}
