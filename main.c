/* wshub: ISC licence, see LICENSE. */
/*
 * Options, privileges, signals: the two processes of a hub.
 *
 * The keeper opens what needs rights (listeners, control socket, certificate
 * and key), forks the hub, and then only waits: for signals, which it hands on,
 * and for the hub's end, however that comes, to remove the sockets' files. The
 * hub has no signals of its own: what it is to do comes as messages over a
 * socket pair, and the end of that means that the keeper is gone.
 *
 * A message is its kind, two lengths of four bytes (big endian), and as many
 * bytes: a certificate chain and a private key for CERTIFY, nothing for the
 * others.
 */
#define _GNU_SOURCE /* chroot, setgroups, getopt_long */
#define _FILE_OFFSET_BITS 64 /* 32-bit systems may have long inode numbers */
#include <sys/types.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ws.h"

#define LISTENERS_MAX 32
#define PEM_MAX (1 << 20) /* bytes of a certificate's or key's file */

enum { EXIT_OK, EXIT_FAILED, EXIT_USAGE };
enum { STOP = 'S', REPORT = 'R', CERTIFY = 'C' };

static struct {
	const char *listen[LISTENERS_MAX], *tls_listen[LISTENERS_MAX];
	int nlisten, ntls_listen;
	const char *cert, *key, *control, *user;
	mode_t control_mode;
	gid_t control_group;
	int check;
	struct ws_options loop;
} o = {
	.control = "wshub.sock", .control_mode = 0660,
	.control_group = (gid_t)-1,
	.loop = { .heartbeat = 60, .ping = 25, .drain = 5, .queue = 1048576,
	    .queue_total = 67108864 }
};

static int verbosity = WS_LOG_NOTE;

/* A socket's file, to be removed at exit. */
struct file {
	const char *path;
	struct ws_file_id id;
};

static struct {
	int fd[LISTENERS_MAX * (1 + 2 * WS_LISTEN_MAX)];
	int tls[LISTENERS_MAX * (1 + 2 * WS_LISTEN_MAX)];
	int n, control;
	struct file files[2 * LISTENERS_MAX + 1];
	int nfiles;
	int passed[3]; /* how many of them came from the service manager */
} sockets; /* not initialised: that would be 8 KB of the binary */

static int manager = -1; /* where to tell it how far we are */

/* ---------------------------------------------------------------- logging */

/* One line, one write. Bytes from outside are escaped. */
static void
log_line(int level, const char *line)
{
	char out[1024] = "wshub: ";
	size_t n = strlen(out);

	if (level > verbosity)
		return;
	for (; *line != '\0' && n < sizeof out - 6; line++) {
		if ((unsigned char)*line >= ' ' && *line != 127)
			out[n++] = *line;
		else
			n += (size_t)snprintf(out + n, 5, "\\x%02x",
			    (unsigned char)*line);
	}
	out[n++] = '\n';
	if (write(STDERR_FILENO, out, n) < 0)
		return; /* a full disk is no reason to stop */
}

#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
static void
say(int level, const char *format, ...)
{
	char line[768];
	va_list ap;

	va_start(ap, format);
	vsnprintf(line, sizeof line, format, ap);
	va_end(ap);
	log_line(level, line);
}

static void
remove_files(void)
{
	while (sockets.nfiles > 0) {
		sockets.nfiles--;
		ws_listen_remove(sockets.files[sockets.nfiles].path,
		    &sockets.files[sockets.nfiles].id);
	}
}

/* Only before the loop. */
#if defined(__GNUC__)
__attribute__((format(printf, 1, 2), noreturn))
#endif
static void
die(const char *format, ...)
{
	char line[768];
	va_list ap;

	va_start(ap, format);
	vsnprintf(line, sizeof line, format, ap);
	va_end(ap);
	log_line(WS_LOG_ERROR, line);
	remove_files();
	exit(EXIT_FAILED);
}

/* ---------------------------------------------------------------- options */

static const char usage_text[] =
    "usage: wshub [-hnqVv] [-c cert] [-k key] [-L address] [-l address]\n"
    "             [-s path] [-u user[:group]] [--control-group group]\n"
    "             [--control-mode mode] [--drain seconds]\n"
    "             [--heartbeat seconds] [--max-clients number]\n"
    "             [--max-per-ip number] [--ping seconds] [--queue bytes]\n"
    "             [--queue-total bytes]\n"
    "       wshub ctl [-s path] [json ...]\n";

static const char help_text[] =
    "\n"
    "  -l, --listen ADDR      ws:// listener: host:port, :port, [v6]:port,\n"
    "                         unix:PATH; repeatable (127.0.0.1:8080)\n"
    "  -L, --tls-listen ADDR  wss:// listener; repeatable; needs -c and -k\n"
    "  -c, --cert FILE        PEM certificate chain (fullchain.pem)\n"
    "  -k, --key FILE         PEM private key, RSA or EC\n"
    "  -s, --control PATH     the backends' socket (wshub.sock)\n"
    "  --control-mode OCT     its mode (0660)\n"
    "  --control-group NAME   its group\n"
    "  -u, --user NAME[:GROUP]  who to become when started as root (nobody)\n"
    "  --heartbeat SEC        the {\"action\":\"hb\"} period, 0: none (60)\n"
    "  --ping SEC             silence before a Ping, 0: none (25)\n"
    "  --max-clients N        then 503 (what RLIMIT_NOFILE allows)\n"
    "  --max-per-ip N         then 503; a /64 counts as one (no limit)\n"
    "  --queue BYTES          unsent bytes a client may have (1048576)\n"
    "  --queue-total BYTES    and all clients together (67108864)\n"
    "  --drain SEC            how long shutdown may take (5)\n"
    "  -n                     check options, certificate and key, and exit\n"
    "  -q, -v                 log less, more\n"
    "  -V, -h                 version, this text\n"
    "\n"
    "  ctl sends JSON objects, arguments or lines of standard input, to a\n"
    "  running hub and prints its replies.\n";

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
	fprintf(stderr, "\n%s", usage_text);
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
	MAX_PER_IP, QUEUE, QUEUE_TOTAL, DRAIN
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
	{ "version", no_argument, NULL, 'V' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 }
};

static gid_t
group_id(const char *name)
{
	struct group *g = getgrnam(name);

	if (g == NULL)
		die("no group \"%s\"", name);
	return g->gr_gid;
}

static void
read_options(int argc, char **argv)
{
	const char *group = NULL;
	int c;

	while ((c = getopt_long(argc, argv, "c:hk:L:l:nqs:u:Vv", options,
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
			o.cert = optarg;
			break;
		case 'k':
			o.key = optarg;
			break;
		case 's':
			o.control = optarg;
			break;
		case CONTROL_MODE:
			o.control_mode = (mode_t)number("control-mode", optarg,
			    8, 0, 0777);
			break;
		case CONTROL_GROUP:
			group = optarg;
			break;
		case 'u':
			o.user = optarg;
			break;
		case HEARTBEAT:
			o.loop.heartbeat = (unsigned)number("heartbeat",
			    optarg, 10, 0, 86400);
			break;
		case PING:
			o.loop.ping = (unsigned)number("ping", optarg, 10, 0,
			    86400);
			break;
		case MAX_CLIENTS:
			o.loop.max_clients = (unsigned)number("max-clients",
			    optarg, 10, 1, 1u << 20);
			break;
		case MAX_PER_IP:
			o.loop.max_per_ip = (unsigned)number("max-per-ip",
			    optarg, 10, 1, 1u << 20);
			break;
		case QUEUE:
			o.loop.queue = number("queue", optarg, 10, 1,
			    1ul << 30);
			break;
		case QUEUE_TOTAL:
			o.loop.queue_total = number("queue-total", optarg, 10,
			    1, LONG_MAX);
			break;
		case DRAIN:
			o.loop.drain = (unsigned)number("drain", optarg, 10, 0,
			    3600);
			break;
		case 'n':
			o.check = 1;
			break;
		case 'q':
			verbosity--;
			break;
		case 'v':
			verbosity++;
			break;
		case 'V':
			printf("wshub %s\n", WS_VERSION);
			exit(EXIT_OK);
		case 'h':
			printf("%s%s", usage_text, help_text);
			exit(EXIT_OK);
		default:
			fputs(usage_text, stderr);
			exit(EXIT_USAGE);
		}
	if (optind < argc)
		usage("what is \"%s\"?", argv[optind]);
	if ((o.cert == NULL) != (o.key == NULL))
		usage("-c and -k go together");
	if (o.ntls_listen + sockets.passed[WS_SERVICE_WSS] > 0 &&
	    o.cert == NULL)
		usage("-L needs -c and -k");
	if (o.cert != NULL && !o.check &&
	    o.ntls_listen + sockets.passed[WS_SERVICE_WSS] == 0)
		usage("-c and -k are for -L");
	if (*o.control == '\0')
		usage("-s needs a path");
	if (o.nlisten == 0 && o.ntls_listen == 0 && sockets.n == 0)
		o.listen[o.nlisten++] = "127.0.0.1:8080";
	if (group != NULL)
		o.control_group = group_id(group);
	o.loop.log = log_line;
}

static int
ctl(int argc, char **argv)
{
	const char *path = o.control;
	int c;

	while ((c = getopt(argc, argv, "hs:")) != -1)
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

/* ---------------------------------------------------- certificate and key */

/* The bytes of a regular file of at most PEM_MAX; NULL and words on failure. */
static char *
slurp(const char *path, size_t *len, char words[WS_TLS_WORDS])
{
	struct stat st;
	char *p = NULL;
	ssize_t n;
	/* A FIFO must not hold up whoever opens it. */
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	*len = 0;
	if (fd == -1 || fstat(fd, &st) == -1)
		goto fail;
	if (!S_ISREG(st.st_mode) || st.st_size > PEM_MAX) {
		snprintf(words, WS_TLS_WORDS, "%s: not a file of at most %d "
		    "bytes", path, PEM_MAX);
		close(fd);
		return NULL;
	}
	p = malloc((size_t)st.st_size + 1);
	if (p == NULL)
		goto fail;
	while (*len < (size_t)st.st_size) {
		n = read(fd, p + *len, (size_t)st.st_size - *len);
		if (n < 0 && errno != EINTR)
			goto fail;
		if (n == 0)
			break;
		if (n > 0)
			*len += (size_t)n;
	}
	close(fd);
	return p;
fail:
	snprintf(words, WS_TLS_WORDS, "%s: %s", path, strerror(errno));
	if (fd != -1)
		close(fd);
	free(p);
	return NULL;
}

/* Not to be optimised away. */
static void
wipe(char *p, size_t n)
{
	volatile char *v = p;

	while (v != NULL && n > 0)
		v[--n] = 0;
}

struct pair {
	char *bytes[2]; /* certificate chain, private key */
	size_t len[2];
};

static void
forget_pair(struct pair *p)
{
	wipe(p->bytes[1], p->len[1]);
	free(p->bytes[0]);
	free(p->bytes[1]);
	memset(p, 0, sizeof *p);
}

static struct ws_tls_config *
decode_pair(const struct pair *p, char words[WS_TLS_WORDS])
{
	struct ws_text chain = { p->bytes[0], p->len[0] };
	struct ws_text key = { p->bytes[1], p->len[1] };

	return ws_tls_config_new(chain, key, words);
}

/* Reads the files and checks them; NULL and words on failure. */
static struct ws_tls_config *
read_pair(struct pair *p, char words[WS_TLS_WORDS])
{
	struct ws_tls_config *c = NULL;

	memset(p, 0, sizeof *p);
	p->bytes[0] = slurp(o.cert, &p->len[0], words);
	if (p->bytes[0] != NULL)
		p->bytes[1] = slurp(o.key, &p->len[1], words);
	if (p->bytes[1] != NULL)
		c = decode_pair(p, words);
	if (c == NULL)
		forget_pair(p);
	else if (*words != '\0')
		say(WS_LOG_ERROR, "warning: %s", words);
	return c;
}

/* ---------------------------------------------------------------- the hub */

/* A message that has come in part. */
static struct {
	unsigned char head[9];
	size_t have;
	struct pair pair;
} message;

static size_t
wire_length(const unsigned char *p)
{
	return (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 |
	    p[3];
}

static void
obey_message(struct ws_loop *l)
{
	static int stopping;
	char words[WS_TLS_WORDS];
	struct ws_tls_config *c;

	switch (message.head[0]) {
	case STOP:
		if (stopping++)
			exit(EXIT_OK);
		ws_loop_stop(l);
		break;
	case REPORT:
		ws_loop_report(l);
		break;
	case CERTIFY:
		c = decode_pair(&message.pair, words);
		if (c == NULL) {
			say(WS_LOG_ERROR, "the old certificate stays: %s",
			    words);
			break;
		}
		ws_loop_certify(l, c);
		ws_tls_config_drop(c);
		say(WS_LOG_NOTE, "new connections get the new certificate");
		break;
	}
}

/* Reads what there is of the next message: 1 when it is whole. */
static int
read_message(int fd)
{
	size_t end = sizeof message.head;
	char *to;
	ssize_t n;
	int i;

	for (;;) {
		to = (char *)message.head + message.have;
		end = sizeof message.head;
		for (i = 0; i < 2 && message.have >= end; i++) {
			size_t len = wire_length(message.head + 1 + 4 * i);

			if (message.pair.bytes[i] == NULL) {
				message.pair.bytes[i] = malloc(len + 1);
				message.pair.len[i] = len;
				if (message.pair.bytes[i] == NULL)
					exit(EXIT_FAILED);
			}
			to = message.pair.bytes[i] + (message.have - end);
			end += len;
		}
		if (i == 2 && message.have == end)
			return 1;
		n = read(fd, to, end - message.have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return 0;
		if (n <= 0) {
			say(WS_LOG_ERROR, "the keeper is gone: stopping");
			remove_files(); /* what we may */
			exit(EXIT_FAILED);
		}
		message.have += (size_t)n;
	}
}

static void
hear_keeper(struct ws_loop *l, int fd, void *arg)
{
	(void)arg;
	while (read_message(fd)) {
		obey_message(l);
		forget_pair(&message.pair);
		message.have = 0;
	}
}

/*
 * Gives up what root may do: an empty root directory, which is gone from the
 * file system as soon as we are in it, and another user.
 */
static void
drop_privileges(void)
{
	char dir[] = "/tmp/wshub.XXXXXX";
	char name[256];
	const char *group;
	struct passwd *pw;
	gid_t gid;

	if (geteuid() != 0)
		return;
	snprintf(name, sizeof name, "%s", o.user != NULL ? o.user : "nobody");
	group = strchr(name, ':');
	if (group != NULL)
		name[group++ - name] = '\0';
	pw = getpwnam(name);
	if (pw == NULL)
		die("no user \"%s\" to become (see -u)", name);
	gid = group != NULL ? group_id(group) : pw->pw_gid;
	if (mkdtemp(dir) == NULL)
		die("%s: %s", dir, strerror(errno));
	if (chdir(dir) == -1 || rmdir(dir) == -1 || chroot(".") == -1)
		die("chroot %s: %s", dir, strerror(errno));
	if (setgroups(1, &gid) == -1 || setgid(gid) == -1 ||
	    setuid(pw->pw_uid) == -1)
		die("becoming %s: %s", name, strerror(errno));
}

static void
run_hub(int fd, struct ws_tls_config *tls)
{
	struct ws_loop *l;
	char name[WS_ADDRESS_MAX];
	int i;

	l = ws_loop_new(&o.loop);
	if (l == NULL && errno == EMFILE)
		die("--max-clients %u: RLIMIT_NOFILE does not allow so many",
		    o.loop.max_clients);
	if (l == NULL)
		die("%s", strerror(errno));
	if (tls != NULL) {
		ws_loop_certify(l, tls);
		ws_tls_config_drop(tls);
	}
	drop_privileges();
	for (i = 0; i < sockets.n; i++) {
		if (ws_loop_listen(l, sockets.fd[i], sockets.tls[i]) != 0)
			die("%s", strerror(errno));
		ws_address(sockets.fd[i], 0, name);
		say(WS_LOG_NOTE, "listening on %s%s", sockets.tls[i] ?
		    "wss://" : "ws://", name);
	}
	if (ws_loop_control(l, sockets.control) != 0 ||
	    fcntl(fd, F_SETFL, O_NONBLOCK) == -1 ||
	    ws_loop_watch(l, fd, hear_keeper, NULL) != 0)
		die("%s", strerror(errno));
	if (sockets.passed[WS_SERVICE_CONTROL] != 0)
		ws_address(sockets.control, 0, name);
	say(WS_LOG_NOTE, "backends write to %s",
	    sockets.passed[WS_SERVICE_CONTROL] != 0 ? name : o.control);
	if (write(fd, "", 1) != 1) /* the keeper waits to hear that */
		die("the keeper is gone");
	while (ws_loop_step(l, -1))
		;
	ws_loop_free(l);
	exit(EXIT_OK);
}

/* ------------------------------------------------------------- the keeper */

static int signal_pipe[2];

static void
on_signal(int number)
{
	unsigned char c = (unsigned char)number;
	int saved = errno;

	if (write(signal_pipe[1], &c, 1) < 0)
		errno = saved; /* full: others like it wait there */
	errno = saved;
}

static void
catch_signals(void)
{
	static const int caught[] = {
		SIGCHLD, SIGHUP, SIGINT, SIGTERM, SIGUSR1,
#ifdef SIGINFO
		SIGINFO,
#endif
	};
	struct sigaction sa;
	size_t i;

	memset(&sa, 0, sizeof sa);
	sa.sa_flags = SA_RESTART;
	sa.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &sa, NULL);
	if (pipe(signal_pipe) == -1 ||
	    fcntl(signal_pipe[0], F_SETFD, FD_CLOEXEC) == -1 ||
	    fcntl(signal_pipe[1], F_SETFD, FD_CLOEXEC) == -1 ||
	    fcntl(signal_pipe[1], F_SETFL, O_NONBLOCK) == -1)
		die("pipe: %s", strerror(errno));
	sa.sa_handler = on_signal;
	for (i = 0; i < sizeof caught / sizeof *caught; i++)
		sigaction(caught[i], &sa, NULL);
}

/* The keeper's signals do not reach the hub, not even ^C from a terminal. */
static void
ignore_signals(void)
{
	static const int ignored[] = {
		SIGHUP, SIGINT, SIGTERM, SIGUSR1,
#ifdef SIGINFO
		SIGINFO,
#endif
	};
	struct sigaction sa;
	size_t i;

	memset(&sa, 0, sizeof sa);
	sa.sa_handler = SIG_IGN;
	for (i = 0; i < sizeof ignored / sizeof *ignored; i++)
		sigaction(ignored[i], &sa, NULL);
	sa.sa_handler = SIG_DFL;
	sigaction(SIGCHLD, &sa, NULL);
	close(signal_pipe[0]);
	close(signal_pipe[1]);
}

static void
tell_hub(int fd, int kind, const struct pair *p)
{
	static const struct pair none;
	unsigned char head[9] = { 0 };
	const char *parts[3];
	size_t len[3];
	ssize_t n;
	int i;

	if (p == NULL)
		p = &none;
	head[0] = (unsigned char)kind;
	for (i = 0; i < 8; i++)
		head[1 + i] = (unsigned char)(p->len[i / 4] >>
		    (24 - 8 * (i % 4)));
	parts[0] = (const char *)head;
	len[0] = sizeof head;
	for (i = 0; i < 2; i++) {
		parts[1 + i] = p->bytes[i];
		len[1 + i] = p->len[i];
	}
	for (i = 0; i < 3; i++)
		while (len[i] > 0) {
			n = write(fd, parts[i], len[i]);
			if (n < 0 && errno != EINTR)
				return; /* it is ending; we shall hear */
			if (n > 0) {
				parts[i] += n;
				len[i] -= (size_t)n;
			}
		}
}

static void
renew(int fd)
{
	char words[WS_TLS_WORDS];
	struct ws_tls_config *c;
	struct pair p;

	if (o.cert == NULL) {
		say(WS_LOG_NOTE, "HUP: there is no certificate to reload");
		return;
	}
	c = read_pair(&p, words);
	if (c == NULL) {
		say(WS_LOG_ERROR, "the old certificate stays: %s", words);
		return;
	}
	ws_tls_config_drop(c); /* it was only to check */
	tell_hub(fd, CERTIFY, &p);
	forget_pair(&p);
}

/* Waits for the hub's end; returns the exit status. */
static int
keep(pid_t hub, int fd)
{
	unsigned char c;
	int status;

	/* The hub says a byte when it is ready, or ends: then SIGCHLD comes. */
	if (read(fd, &c, 1) == 1)
		ws_service_tell(manager, "READY=1");
	for (;;) {
		if (read(signal_pipe[0], &c, 1) != 1)
			continue;
		switch (c) {
		case SIGHUP:
			ws_service_tell(manager, "RELOADING=1");
			renew(fd);
			ws_service_tell(manager, "READY=1");
			break;
		case SIGINT:
		case SIGTERM:
			ws_service_tell(manager, "STOPPING=1");
			tell_hub(fd, STOP, NULL);
			break;
		case SIGCHLD:
			if (waitpid(hub, &status, WNOHANG) != hub)
				break;
			remove_files();
			if (WIFSIGNALED(status))
				say(WS_LOG_ERROR, "the hub was ended by "
				    "signal %d", WTERMSIG(status));
			return WIFEXITED(status) ? WEXITSTATUS(status) :
			    EXIT_FAILED;
		default:
			tell_hub(fd, REPORT, NULL);
			break;
		}
	}
}

static void
add_file(const char *path, const struct ws_file_id *id)
{
	sockets.files[sockets.nfiles].path = path;
	sockets.files[sockets.nfiles++].id = *id;
}

static void
open_listener(const char *address, int tls)
{
	char words[WS_LISTEN_WORDS];
	int fd[WS_LISTEN_MAX], n, i;
	struct ws_file_id id;

	n = ws_listen(address, fd, &id, words);
	if (n == -1)
		die("%s", words);
	if (strncmp(address, "unix:", 5) == 0)
		add_file(address + 5, &id);
	for (i = 0; i < n; i++) {
		sockets.tls[sockets.n] = tls;
		sockets.fd[sockets.n++] = fd[i];
	}
}

/* Sockets that a service manager opened: their files are its own. */
static void
take_sockets(void)
{
	struct ws_service_socket s[LISTENERS_MAX];
	char words[WS_LISTEN_WORDS];
	int n = ws_service_sockets(s, LISTENERS_MAX, words), i;

	if (n == -1)
		die("%s", words);
	sockets.control = -1;
	for (i = 0; i < n; i++) {
		if (sockets.passed[s[i].kind]++ != 0 &&
		    s[i].kind == WS_SERVICE_CONTROL)
			die("LISTEN_FDS: two control sockets");
		if (s[i].kind == WS_SERVICE_CONTROL) {
			sockets.control = s[i].fd;
			continue;
		}
		sockets.tls[sockets.n] = s[i].kind == WS_SERVICE_WSS;
		sockets.fd[sockets.n++] = s[i].fd;
	}
}

static void
open_sockets(void)
{
	char words[WS_LISTEN_WORDS];
	struct ws_file_id id;
	int i;

	for (i = 0; i < o.nlisten; i++)
		open_listener(o.listen[i], 0);
	for (i = 0; i < o.ntls_listen; i++)
		open_listener(o.tls_listen[i], 1);
	if (sockets.control != -1)
		return;
	sockets.control = ws_listen_unix(o.control, o.control_mode,
	    o.control_group, &id, words);
	if (sockets.control == -1)
		die("%s", words);
	add_file(o.control, &id);
}

/* Descriptors 0 to 2 exist, so that no socket is taken for one of them. */
static void
open_standard(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= 2);
	if (fd > 2)
		close(fd);
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

int
main(int argc, char **argv)
{
	char words[WS_TLS_WORDS];
	struct ws_tls_config *tls = NULL;
	struct pair pair;
	int fd[2], status, i;
	pid_t hub;

	open_standard();
	if (argc > 1 && strcmp(argv[1], "ctl") == 0)
		return ctl(argc - 1, argv + 1);
	take_sockets();
	read_options(argc, argv);
	if (o.cert != NULL) {
		tls = read_pair(&pair, words);
		if (tls == NULL)
			die("%s", words);
		forget_pair(&pair);
	}
	if (o.check) {
		ws_tls_config_drop(tls);
		return EXIT_OK;
	}
	raise_limit();
	catch_signals();
	open_sockets();
	manager = ws_service_open();
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == -1)
		die("socketpair: %s", strerror(errno));
	hub = fork();
	if (hub == -1)
		die("fork: %s", strerror(errno));
	if (hub == 0) {
		ignore_signals();
		close(fd[0]);
		if (manager != -1)
			close(manager);
		run_hub(fd[1], tls);
	}
	/* The keeper holds no listener, no key, and nothing of the hub's. */
	close(fd[1]);
	for (i = 0; i < sockets.n; i++)
		close(sockets.fd[i]);
	close(sockets.control);
	ws_tls_config_drop(tls);
	status = keep(hub, fd[0]);
	close(fd[0]);
	return status;
}
