/* wshub: ISC licence, see LICENSE. */
/*
 * The two processes: the keeper, which is the parent, and the hub, its child.
 *
 * The parent opens what needs privileges: the listeners, the control socket,
 * the certificate and the key. It forks the hub, which drops its privileges and
 * serves the clients. From then on the parent is the keeper: it passes signals
 * on to the hub, reads the certificate and key again on SIGHUP, which the hub
 * cannot do, and removes the sockets' files when the hub has ended, however
 * that happens. The keeper sends messages to the hub over a socket pair; end of
 * file on it means that the keeper has ended.
 *
 * A message is a byte for its kind, two lengths of four bytes (big endian), and
 * as many bytes as they say. For CERTIFICATE these are a certificate chain and
 * a private key, for TOKEN_KEYS a file of secrets and nothing; for the other
 * kinds the lengths are 0.
 */
#define _GNU_SOURCE /* readlink, sigaction */
#define _FILE_OFFSET_BITS 64 /* 32-bit systems may have long inode numbers */
#include <sys/types.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ws.h"

#ifndef PATH_MAX
#define PATH_MAX 4096
#endif

#define PEM_MAX (1 << 20) /* bytes of a certificate or key file */

enum {
	STOP = 'S', LOG_COUNTERS = 'R', CERTIFICATE = 'C', TOKEN_KEYS = 'T'
};

static struct ws_setup *setup;
static int keeper_unveiled; /* the keeper sees only some directories */

/* see ws.h */
void
ws_keeper_remove(struct ws_setup *s)
{
	while (s->nfiles > 0) {
		s->nfiles--;
		ws_listen_remove(s->files[s->nfiles].path,
		    &s->files[s->nfiles].id);
	}
}

/* ---------------------------------------------------- certificate and key */

/*
 * Reads a regular file of at most PEM_MAX bytes. Returns allocated memory, or
 * NULL with an error message.
 */
static char *
read_file(const char *path, size_t *len, char error[WS_ERROR_MAX])
{
	struct stat st;
	char *p = NULL;
	ssize_t n;
	/* O_NONBLOCK: opening a FIFO must not block. */
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	*len = 0;
	if (fd == -1 || fstat(fd, &st) == -1)
		goto fail;
	if (!S_ISREG(st.st_mode) || st.st_size > PEM_MAX) {
		snprintf(error, WS_ERROR_MAX, "%s: not a file of at most %d "
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
	(void)ws_fail(error, keeper_unveiled && errno == EACCES ?
	    "%s leads out of the directories that wshub could see at its "
	    "start (restart it):" : "%s:", path);
	if (fd != -1)
		close(fd);
	ws_wipe(p, *len);
	free(p);
	return NULL;
}

struct pair {
	char *bytes[2]; /* certificate chain, private key */
	size_t len[2];
};

static void
free_pair(struct pair *p)
{
	ws_wipe(p->bytes[0], p->len[0]);
	ws_wipe(p->bytes[1], p->len[1]);
	free(p->bytes[0]);
	free(p->bytes[1]);
	memset(p, 0, sizeof *p);
}

static struct ws_tls_config *
decode_pair(const struct pair *p, char error[WS_ERROR_MAX])
{
	struct ws_text chain = { p->bytes[0], p->len[0] };
	struct ws_text key = { p->bytes[1], p->len[1] };

	return ws_tls_config_new(chain, key, error);
}

/* Reads and checks the files; NULL with an error message. */
static struct ws_tls_config *
read_pair(struct pair *p, char error[WS_ERROR_MAX])
{
	struct ws_tls_config *c = NULL;

	memset(p, 0, sizeof *p);
	p->bytes[0] = read_file(setup->cert, &p->len[0], error);
	if (p->bytes[0] != NULL)
		p->bytes[1] = read_file(setup->key, &p->len[1], error);
	if (p->bytes[1] != NULL)
		c = decode_pair(p, error);
	if (c == NULL)
		free_pair(p);
	else if (*error != '\0')
		ws_log(WS_LOG_ERROR, "warning: %s", error);
	return c;
}

/* see ws.h */
int
ws_keeper_read_pair(struct ws_setup *s, char error[WS_ERROR_MAX])
{
	struct pair p;

	setup = s;
	ws_no_core();
	s->pair = read_pair(&p, error);
	free_pair(&p);
	return s->pair == NULL ? -1 : 0;
}

/* The file of secrets: 0 and its bytes in p, or -1 with an error. */
static int
read_token_keys(struct pair *p, struct ws_token_keys *keys,
    char error[WS_ERROR_MAX])
{
	char why[WS_ERROR_MAX];
	struct stat st;

	memset(p, 0, sizeof *p);
	p->bytes[0] = read_file(setup->token_key, &p->len[0], error);
	if (p->bytes[0] == NULL)
		return -1;
	if (stat(setup->token_key, &st) == 0 && (st.st_mode & S_IROTH) != 0)
		ws_log(WS_LOG_ERROR, "warning: %s: mode %04o: every user can "
		    "read it, and make tokens: chmod o-r", setup->token_key,
		    (unsigned)(st.st_mode & 07777));
	if (ws_token_keys_read(keys, p->bytes[0], p->len[0], why) == 0)
		return 0;
	free_pair(p);
	return ws_fail(error, "%.100s: %.200s", setup->token_key, why);
}

/* see ws.h */
int
ws_keeper_read_token_keys(struct ws_setup *s, char error[WS_ERROR_MAX])
{
	struct pair p;
	int r;

	setup = s;
	ws_no_core();
	r = read_token_keys(&p, &s->token_keys, error);
	free_pair(&p);
	return r;
}

/* ---------------------------------------------------------------- the hub */

/* The message that is being read: its head, then the two parts of the pair. */
static struct {
	unsigned char head[9];
	int parts;        /* 0: reading the head; else reading this part */
	size_t have;      /* bytes read of the head or the part */
	struct pair pair;
	int lost;         /* a part was dropped: out of memory */
} message;

static size_t
wire_length(const unsigned char *p)
{
	return (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 |
	    p[3];
}

static void
handle_token_keys(struct ws_loop *l)
{
	char error[WS_ERROR_MAX] = "out of memory";
	struct ws_token_keys keys;

	if (message.lost || ws_token_keys_read(&keys, message.pair.bytes[0],
	    message.pair.len[0], error) != 0 ||
	    ws_loop_set_tokens(l, &keys) != 0)
		ws_log(WS_LOG_ERROR, "the old token keys stay: %s", error);
	else
		ws_log(WS_LOG_NOTE, "tokens are checked by the new keys");
	ws_wipe(&keys, sizeof keys);
}

static void
handle_message(struct ws_loop *l)
{
	char error[WS_ERROR_MAX];
	struct ws_tls_config *c;

	switch (message.head[0]) {
	case STOP:
		ws_loop_stop(l);
		break;
	case LOG_COUNTERS:
		ws_loop_log_counters(l);
		break;
	case TOKEN_KEYS:
		handle_token_keys(l);
		break;
	case CERTIFICATE:
		snprintf(error, sizeof error, "out of memory");
		c = message.lost ? NULL : decode_pair(&message.pair, error);
		if (c == NULL) {
			ws_log(WS_LOG_ERROR, "the old certificate stays: %s",
			    error);
			break;
		}
		ws_loop_set_tls(l, c);
		ws_tls_config_release(c);
		ws_log(WS_LOG_NOTE, "new connections get the new certificate");
		break;
	}
}

static int orphaned; /* the keeper has ended */
static int pledged;

/*
 * Reads until *have is len: 1, or 0 if no more input is available now or the
 * keeper has ended. If buf is NULL, the bytes are discarded.
 */
static int
fill(int fd, void *buf, size_t len, size_t *have)
{
	static char discarded[1024];
	size_t room;
	ssize_t n;

	while (*have < len) {
		room = len - *have;
		if (buf == NULL && room > sizeof discarded)
			room = sizeof discarded;
		n = read(fd, buf == NULL ? discarded : (char *)buf + *have,
		    room);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return 0;
		if (n <= 0) {
			if (!orphaned)
				ws_log(WS_LOG_ERROR, "the keeper is gone: "
				    "stopping");
			if (!pledged) /* otherwise the next start does it */
				ws_keeper_remove(setup);
			orphaned = 1;
			return 0;
		}
		*have += (size_t)n;
	}
	return 1;
}

/* Reads what is available of the next message: 1 if it is complete, else 0. */
static int
read_message(int fd)
{
	char *part;
	size_t len;

	if (message.parts == 0 &&
	    !fill(fd, message.head, sizeof message.head, &message.have))
		return 0;
	for (;;) {
		if (message.parts > 0) {
			part = message.pair.bytes[message.parts - 1];
			len = message.pair.len[message.parts - 1];
			if (!fill(fd, part, len, &message.have))
				return 0;
		}
		if (message.parts == 2)
			return 1;
		len = wire_length(message.head + 1 + 4 * message.parts);
		part = message.lost ? NULL : malloc(len + 1);
		message.lost = part == NULL;
		message.pair.bytes[message.parts] = part;
		message.pair.len[message.parts++] = len;
		message.have = 0;
	}
}

static void
read_keeper(struct ws_loop *l, int fd, void *arg)
{
	(void)arg;
	while (read_message(fd)) {
		handle_message(l);
		free_pair(&message.pair);
		message.parts = 0;
		message.have = 0;
		message.lost = 0;
	}
	if (orphaned) { /* Close 1001 to all clients, without draining */
		l->o.drain = 0;
		ws_loop_stop(l);
	}
}

/* Hides all files, and denies every system call that the loop does not need. */
static void
confine_hub(void)
{
	int unveiled = ws_unveil("/", "") == 0 && ws_unveil(NULL, NULL) == 0;

	/* Without unveil, the pledge alone denies all calls with a path. */
	pledged = ws_pledge(WS_HUB_PROMISES) == 0;
	if (!pledged)
		ws_log(WS_LOG_NOTE, "warning: the hub runs without a sandbox: "
		    "%s", strerror(errno));
	else if (!unveiled)
		ws_log(WS_LOG_INFO, "pledged, but not unveiled");
}

static void
run_hub(int fd, struct ws_tls_config *tls)
{
	static const char *const listening[] = {
		"listening on ws://", "listening on wss://", "",
		"metrics on http://"
	};
	struct ws_loop *l;
	char name[WS_ADDRESS_MAX];
	unsigned char random;
	int i;

	/* Without random bytes no client could be accepted. */
	if (ws_entropy(&random, sizeof random) == -1)
		ws_die("no random bytes: getentropy fails, /dev/urandom: %s",
		    strerror(errno));
	l = ws_loop_new(&setup->loop);
	if (l == NULL && errno == EMFILE)
		ws_die("--max-clients %u: RLIMIT_NOFILE does not allow so many",
		    setup->loop.max_clients);
	if (l == NULL)
		ws_die("%s", strerror(errno));
	if (tls != NULL) {
		ws_loop_set_tls(l, tls);
		ws_tls_config_release(tls);
	}
	if (setup->token_key != NULL) {
		if (ws_loop_set_tokens(l, &setup->token_keys) != 0)
			ws_die("%s", strerror(errno));
		ws_wipe(&setup->token_keys, sizeof setup->token_keys);
	}
	ws_privdrop(setup->uid, setup->gid, setup->control);
	for (i = 0; i < setup->n; i++) {
		if ((setup->kind[i] == WS_SERVICE_METRICS ?
		    ws_loop_metrics(l, setup->fd[i]) : ws_loop_listen(l,
		    setup->fd[i], setup->kind[i] == WS_SERVICE_WSS)) != 0)
			ws_die("%s", strerror(errno));
		ws_address(setup->fd[i], 0, name);
		ws_log(WS_LOG_NOTE, "%s%s", listening[setup->kind[i]], name);
	}
	if (ws_loop_control(l, setup->control_fd) != 0 ||
	    fcntl(fd, F_SETFL, O_NONBLOCK) == -1 ||
	    ws_loop_watch(l, fd, read_keeper, NULL) != 0)
		ws_die("%s", strerror(errno));
	ws_address(setup->control_fd, 0, name);
	ws_log(WS_LOG_NOTE, "backends write to %s", name + strlen("unix:"));
	confine_hub();
	if (write(fd, "", 1) != 1) /* tells the keeper that the hub is ready */
		ws_die("the keeper is gone");
	while (ws_loop_step(l, -1))
		;
	ws_loop_free(l);
	exit(orphaned ? 1 : 0);
}

/* ------------------------------------------------------------- the keeper */

static int signals; /* where they can be read */

static void
send_message(int fd, int kind, const struct pair *p)
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
				return; /* the hub has ended; SIGCHLD follows */
			if (n > 0) {
				parts[i] += n;
				len[i] -= (size_t)n;
			}
		}
}

static void
renew_pair(int fd)
{
	char error[WS_ERROR_MAX];
	struct ws_tls_config *c;
	struct pair p;

	c = read_pair(&p, error);
	if (c == NULL) {
		ws_log(WS_LOG_ERROR, "the old certificate stays: %s", error);
		return;
	}
	ws_tls_config_release(c); /* the hub decodes the pair itself */
	send_message(fd, CERTIFICATE, &p);
	free_pair(&p);
}

static void
renew_token_keys(int fd)
{
	char error[WS_ERROR_MAX];
	struct ws_token_keys keys;
	struct pair p;

	if (read_token_keys(&p, &keys, error) != 0)
		ws_log(WS_LOG_ERROR, "the old token keys stay: %s", error);
	else
		send_message(fd, TOKEN_KEYS, &p);
	ws_wipe(&keys, sizeof keys);
	free_pair(&p);
}

static void
reload(int fd)
{
	if (setup->cert == NULL && setup->token_key == NULL)
		ws_log(WS_LOG_NOTE, "HUP: there is no certificate to reload");
	if (setup->cert != NULL)
		renew_pair(fd);
	if (setup->token_key != NULL)
		renew_token_keys(fd);
}

/*
 * Finds the first symbolic link among the components of path. Returns the
 * length of the path to it, with its target, or 0 if there is none.
 */
static size_t
find_link(const char *path, char target[PATH_MAX])
{
	char prefix[PATH_MAX];
	size_t end = 0;
	ssize_t n;

	while (path[end] != '\0') {
		end += strspn(path + end, "/");
		end += strcspn(path + end, "/");
		snprintf(prefix, sizeof prefix, "%.*s", (int)end, path);
		n = readlink(prefix, target, PATH_MAX - 1);
		if (n > 0) {
			target[n] = '\0';
			return end;
		}
	}
	return 0;
}

/*
 * Unveils the directory of a file, and those of all symbolic links that lead to
 * it. With certbot the file is a link; others have a link to a directory. Such
 * a link gets another target when the certificate is renewed.
 */
static void
unveil_pem(const char *file)
{
	char path[PATH_MAX], next[PATH_MAX], target[PATH_MAX];
	size_t len, dir;
	int links, n;

	if (snprintf(path, sizeof path, "%s", file) >= (int)sizeof path)
		return;
	ws_unveil_around(path, "r");
	for (links = 0; links < 32; links++) {
		len = find_link(path, target);
		if (len == 0)
			return;
		/* A relative target begins in the link's directory. */
		for (dir = len; dir > 0 && path[dir - 1] != '/'; dir--)
			;
		if (target[0] == '/')
			dir = 0;
		n = snprintf(next, sizeof next, "%.*s%s", (int)dir, path,
		    target);
		if (strrchr(next, '/') != next) /* do not unveil "/" */
			ws_unveil_around(next, "r");
		if (n >= (int)sizeof next ||
		    n + (int)strlen(path + len) >= (int)sizeof next)
			return;
		strcpy(next + n, path + len);
		strcpy(path, next);
		ws_unveil_around(path, "r");
	}
}

/*
 * From now on the keeper reads the certificate and key again, removes the
 * sockets' files, sends messages and waits.
 */
static void
confine_keeper(void)
{
	int i;

	if (setup->cert != NULL) {
		unveil_pem(setup->cert);
		unveil_pem(setup->key);
	}
	if (setup->token_key != NULL)
		unveil_pem(setup->token_key);
	for (i = 0; i < setup->nfiles; i++)
		ws_unveil_around(setup->files[i].path, "rc");
	/* If this fails, the hub has logged a warning. */
	keeper_unveiled = ws_unveil(NULL, NULL) == 0;
	(void)ws_pledge(WS_KEEPER_PROMISES);
}

/* Called when the hub has ended: removes the files, returns the exit status. */
static int
hub_exit_status(int status)
{
	ws_keeper_remove(setup);
	if (WIFSIGNALED(status))
		ws_log(WS_LOG_ERROR, "the hub was ended by signal %d%s",
		    WTERMSIG(status), WTERMSIG(status) == SIGSYS ?
		    ": a call that it had not pledged" : "");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

/*
 * Waits until the hub ends; returns the exit status. There may be other
 * children: process 1 inherits orphans, and a shell that executes wshub may
 * have started some before.
 */
static int
wait_for_hub(pid_t hub, int fd)
{
	unsigned char c;
	int status;
	pid_t pid;

	/* The hub sends a byte when it is ready. If it ends, SIGCHLD comes. */
	if (read(fd, &c, 1) == 1)
		ws_service_notify(setup->notify_fd, "READY=1");
	for (;;) {
		while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
			if (pid == hub)
				return hub_exit_status(status);
		if (read(signals, &c, 1) != 1)
			continue;
		switch (c) {
		case SIGHUP:
			ws_service_notify(setup->notify_fd, "RELOADING=1");
			reload(fd);
			ws_service_notify(setup->notify_fd, "READY=1");
			break;
		case SIGINT:
		case SIGTERM:
			ws_service_notify(setup->notify_fd, "STOPPING=1");
			send_message(fd, STOP, NULL);
			break;
		case SIGCHLD:
			break;
		default:
			send_message(fd, LOG_COUNTERS, NULL);
			break;
		}
	}
}

/* see ws.h */
int
ws_keeper_run(struct ws_setup *s)
{
	int fd[2], status, i;
	pid_t hub;

	setup = s;
	signals = ws_signals_catch(NULL);
	setup->notify_fd = ws_service_open();
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == -1)
		ws_die("socketpair: %s", strerror(errno));
	hub = fork();
	if (hub == -1)
		ws_die("fork: %s", strerror(errno));
	if (hub == 0) {
		ws_signals_ignore();
		close(fd[0]);
		if (setup->notify_fd != -1)
			close(setup->notify_fd);
		run_hub(fd[1], setup->pair);
	}
	/* The keeper needs no listener, no key and no end of the hub's. */
	close(fd[1]);
	for (i = 0; i < setup->n; i++)
		close(setup->fd[i]);
	close(setup->control_fd);
	ws_tls_config_release(setup->pair);
	ws_wipe(&setup->token_keys, sizeof setup->token_keys);
	confine_keeper();
	status = wait_for_hub(hub, fd[0]);
	close(fd[0]);
	return status;
}
