/* wshub: ISC licence, see LICENSE. */
/*
 * The servers: how to start each, get into it and publish. See bench.h.
 *
 *   ours       objects to the control socket, a line each
 *   old        the same with another binary, if OLD names one
 *   bare       no server at all: it knows ready bytes and whom to send them,
 *              and makes one send(2) for each delivery, blocking
 *   nchan      nginx with libnginx-mod-nchan, publishing by HTTP
 *   mosquitto  MQTT by WebSocket, publishing by TCP, QoS 0
 */
#define _GNU_SOURCE
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

#define NCHAN_MODULE "/usr/lib/nginx/modules/ngx_nchan_module.so"

const char *const server_names[SERVERS] = {
	"ours", "old", "bare", "nchan", "mosquitto"
};
unsigned ws_port, wss_port, ws_port_2, server_ping, server_resume, server_groups = 1;
int server_tokens, server_interest;
const char *certs;

static const char *wshub, *wshub_old;
static char dir[] = "/tmp/wshub.bench.XXXXXX", sock[64], conf[64],
    log_name[64], keys[64];
static enum which kind;  /* which runs */
static pid_t process;    /* it, or 0 */
static int publisher;    /* where to publish */
static unsigned mqtt_port;
static pid_t owner;      /* of all this */
static int subscribers;  /* so many clients hear what is for all */

/* Whether that server is a hub. */
static int
is_hub(enum which w)
{
	return w == OURS || w == OLD;
}

/* Unless it is quick: what is busy beside it may be on that CPU. */
static void
pin(unsigned cpu)
{
	cpu_set_t set;

	if (rounds == 1)
		return;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	(void)sched_setaffinity(0, sizeof set, &set);
}

/* see bench.h */
void
give_up(const char *why)
{
	int e = errno;

	fflush(stdout); /* so that this is the last line */
	fprintf(stderr, "%s: %s\n", why, strerror(e));
	if (getpid() != owner) /* a child of ours has nothing to clear up */
		_exit(1);
	server_stop();
	servers_close();
	exit(1);
}

/* The file of the secret that tokens are signed with. */
static void
make_keys(void)
{
	static const char secret[] = "0123456789abcdef0123456789abcdef\n";
	int fd = open(keys, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd == -1 || write(fd, secret, sizeof secret - 1) == -1)
		give_up(keys);
	close(fd);
}

/* see bench.h */
void
servers_open(const char *path, const char *old)
{
	wshub = path;
	wshub_old = old;
	owner = getpid();
	if (mkdtemp(dir) == NULL)
		give_up(dir);
	chmod(dir, 0711);
	snprintf(sock, sizeof sock, "%s/sock", dir);
	snprintf(conf, sizeof conf, "%s/conf", dir);
	snprintf(keys, sizeof keys, "%s/keys", dir);
	snprintf(log_name, sizeof log_name, "%s/log", dir);
	make_keys();
	pin(1); /* with but one CPU this fails, and that is all right */
}

/* see bench.h */
void
servers_close(void)
{
	char command[128];

	snprintf(command, sizeof command, "rm -rf %s", dir);
	if (system(command) != 0)
		fprintf(stderr, "bench: %s is still there\n", dir);
}

/* see bench.h */
int
server_there(enum which w)
{
	switch (w) {
	case OLD:
		return wshub_old != NULL;
	case NCHAN:
		return access(NCHAN_MODULE, R_OK) == 0 &&
		    access("/usr/sbin/nginx", X_OK) == 0;
	case MOSQUITTO:
		return access("/usr/sbin/mosquitto", X_OK) == 0;
	default:
		return 1;
	}
}

/* ------------------------------------------------------------------- bare */

/* An order: ready bytes, and to whom, as server_publish has it; or NO_MORE. */
#define NO_MORE INT32_MIN

struct order {
	int32_t to;
	uint32_t len;
};

static const char canned[] = "HTTP/1.1 101 Switching Protocols\r\n"
    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
    "\x81\x3f{\"action\":\"setDeviceId\",\"data\":"
    "{\"device_id\":\"...............\"}}";

static void
bare_send(int fd, const char *p, size_t len)
{
	if (send(fd, p, len, MSG_NOSIGNAL) != (ssize_t)len)
		_exit(3);
}

static int
bare_accept(int listener)
{
	static const int on = 1;
	int fd = accept(listener, NULL, NULL);
	char request[1024];

	if (fd == -1 || recv(fd, request, sizeof request, 0) <= 0)
		_exit(4);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	bare_send(fd, canned, sizeof canned - 1);
	return fd;
}

static void
bare(int listener, int orders)
{
	static char in[(PAYLOAD_MAX + 64) * 16];
	static int fd[CLIENTS_MAX];
	struct pollfd p[2] = { { orders, POLLIN, 0 }, { listener, POLLIN, 0 } };
	size_t have = 0, at;
	unsigned n = 0, i;
	int more = 1;
	struct order o;
	ssize_t got;

	for (;;) {
		if (more && poll(p, 2, -1) > 0 && p[1].revents != 0)
			fd[n++] = bare_accept(listener);
		if (more && p[0].revents == 0)
			continue;
		got = read(orders, in + have, sizeof in - have);
		if (got <= 0)
			_exit(0);
		have += (size_t)got;
		for (at = 0; have - at >= sizeof o; at += sizeof o + o.len) {
			memcpy(&o, in + at, sizeof o);
			if (have - at < sizeof o + o.len)
				break;
			if (o.to == NO_MORE)
				more = 0;
			else if (o.to >= 0)
				bare_send(fd[o.to], in + at + sizeof o, o.len);
			else
				for (i = (unsigned)(-1 - o.to); i < n;
				    i += server_groups)
					bare_send(fd[i], in + at + sizeof o,
					    o.len);
		}
		memmove(in, in + at, have -= at);
	}
}

/* --------------------------------------------------------------- starting */

static int
try_port(unsigned port)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	static const int on = 1;
	struct sockaddr_in in;

	memset(&in, 0, sizeof in);
	in.sin_family = AF_INET;
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	in.sin_port = htons((uint16_t)port);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(fd, (struct sockaddr *)&in, sizeof in) == 0 &&
	    listen(fd, 4096) == 0)
		return fd;
	close(fd);
	return -1;
}

/* A free one, below those that the system gives out; *listener may be NULL. */
static unsigned
free_port(int *listener)
{
	unsigned port;
	int fd;

	do {
		port = 10240 + (unsigned)rand() % 20000;
		fd = try_port(port);
	} while (fd == -1);
	if (listener != NULL)
		*listener = fd;
	else
		close(fd);
	return port;
}

#if defined(__GNUC__)
__attribute__((format(printf, 1, 2)))
#endif
static void
configure(const char *format, ...)
{
	FILE *f = fopen(conf, "w");
	va_list ap;

	if (f == NULL)
		give_up(conf);
	va_start(ap, format);
	vfprintf(f, format, ap);
	va_end(ap);
	if (fclose(f) != 0)
		give_up(conf);
}

static void
exec_wshub(const char *path)
{
	char ws[32], wss[32], ping[16], cert[PATH_MAX], key[PATH_MAX];
	char tokens[96] = "-q", resume[32] = "-q"; /* once more: nothing */

	snprintf(ws, sizeof ws, "127.0.0.1:%u", ws_port);
	snprintf(wss, sizeof wss, "127.0.0.1:%u", wss_port);
	snprintf(ping, sizeof ping, "%u", server_ping);
	snprintf(cert, sizeof cert, "%s/p256.pem", certs ? certs : "");
	snprintf(key, sizeof key, "%s/p256.key", certs ? certs : "");
	if (server_tokens)
		snprintf(tokens, sizeof tokens, "--token-key=%s", keys);
	if (server_resume)
		snprintf(resume, sizeof resume, "--resume=%u", server_resume);
	execl(path, "wshub", "-q", "-l", ws, "-s", sock, "--heartbeat", "0",
	    "--ping", ping, tokens, resume, certs ? "-L" : NULL, wss, "-c",
	    cert, "-k", key, (char *)NULL);
}

static void
exec_nginx(void)
{
	char ssl[2 * PATH_MAX + 128] = "";

	if (certs != NULL)
		snprintf(ssl, sizeof ssl, "listen 127.0.0.1:%u ssl;\n"
		    "ssl_certificate %s/p256.pem;\nssl_certificate_key "
		    "%s/p256.key;\nssl_session_cache shared:a:10m;\n", wss_port,
		    certs, certs);
	configure("load_module " NCHAN_MODULE ";\ndaemon off;\nuser root;\n"
	    "worker_processes 1;\nworker_rlimit_nofile 20000;\n"
	    "error_log %s/error.log crit;\npid %s/pid;\n"
	    "events { worker_connections 19000; }\nhttp {\naccess_log off;\n"
	    "client_body_temp_path %s/a;\nproxy_temp_path %s/b;\n"
	    "fastcgi_temp_path %s/c;\nuwsgi_temp_path %s/d;\n"
	    "scgi_temp_path %s/e;\nclient_body_buffer_size 64k;\n"
	    "keepalive_requests 1000000000;\nkeepalive_timeout 1h;\n"
	    "nchan_shared_memory_size 256m;\n"
	    "server {\nlisten 127.0.0.1:%u;\n%slocation = /sub {\n"
	    "nchan_subscriber websocket;\nnchan_channel_id $arg_id;\n"
	    "nchan_subscriber_first_message newest;\n}\nlocation = /pub {\n"
	    "nchan_publisher http;\nnchan_channel_id $arg_id;\n"
	    "nchan_message_buffer_length 100;\n}\n}\n}\n", dir, dir, dir, dir,
	    dir, dir, dir, ws_port, ssl);
	execl("/usr/sbin/nginx", "nginx", "-c", conf, (char *)NULL);
}

static void
configure_mosquitto(void)
{
	char ssl[2 * PATH_MAX + 128] = "";

	if (certs != NULL)
		snprintf(ssl, sizeof ssl, "listener %u 127.0.0.1\nprotocol "
		    "websockets\ncertfile %s/p256.pem\nkeyfile %s/p256.key\n",
		    wss_port, certs, certs);
	configure("user root\nallow_anonymous true\nlog_type error\n"
	    "set_tcp_nodelay true\nmax_queued_messages 0\npersistence false\n"
	    "listener %u 127.0.0.1\nlistener %u 127.0.0.1\nprotocol "
	    "websockets\n%s", mqtt_port, ws_port, ssl);
}

/* mosquitto with TCP alone, two hubs and two relays. */
static void
run_cluster(void)
{
	const unsigned ports[2] = { ws_port, ws_port_2 };

	configure("user root\nallow_anonymous true\nlog_type error\n"
	    "set_tcp_nodelay true\nmax_queued_messages 0\n"
	    "persistence false\nlistener %u 127.0.0.1\n", mqtt_port);
	cluster_run(wshub, dir, conf, ports, mqtt_port);
}

/* Connects to a port, or to our control socket (0), once it listens. */
static int
connect_to(unsigned port)
{
	struct sockaddr_in in;
	struct sockaddr_un un;
	int fd = -1, tries, status;
	static const int on = 1;

	memset(&in, 0, sizeof in);
	memset(&un, 0, sizeof un);
	in.sin_family = AF_INET;
	in.sin_port = htons((uint16_t)port);
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	un.sun_family = AF_UNIX;
	strcpy(un.sun_path, sock);
	for (tries = 0; tries < 500; tries++) {
		fd = socket(port ? AF_INET : AF_UNIX, SOCK_STREAM, 0);
		if (connect(fd, port ? (struct sockaddr *)&in :
		    (struct sockaddr *)&un, port ? sizeof in : sizeof un) == 0)
			break;
		close(fd);
		usleep(10000);
		if (waitpid(process, &status, WNOHANG) == process) {
			process = 0;
			tries = 500;
		}
	}
	if (tries >= 500)
		give_up(server_names[kind]);
	if (port)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	return fd;
}

/* see bench.h */
void
put_all(int fd, const void *data, size_t len)
{
	const char *p = data;
	ssize_t n;

	while (len > 0) {
		n = send(fd, p, len, MSG_NOSIGNAL);
		if (n <= 0)
			give_up("publishing");
		p += n;
		len -= (size_t)n;
	}
}

/*
 * As an MQTT client, once the broker listens. One that was killed may have
 * accepted a connection in its last moment.
 */
static void
connect_publisher(void)
{
	static const char hello[] = "\x10\x0d\0\x04MQTT\x04\x02\0\0\0\x01p";
	const ssize_t len = sizeof hello - 1;
	char answer[4];
	int tries;

	for (tries = 0; tries < 500; tries++) {
		publisher = connect_to(mqtt_port);
		if (send(publisher, hello, (size_t)len, MSG_NOSIGNAL) == len &&
		    recv(publisher, answer, 4, MSG_WAITALL) == 4)
			return;
		close(publisher);
		usleep(10000);
	}
	give_up("CONNACK");
}

/* see bench.h */
void
server_start(enum which w, unsigned n)
{
	int listener = -1, pair[2];

	kind = w;
	subscribers = (int)n;
	ws_port = free_port(w == BARE ? &listener : NULL);
	wss_port = free_port(NULL);
	ws_port_2 = w == CLUSTER ? free_port(NULL) : 0;
	mqtt_port = free_port(NULL);
	if (w == BARE && socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0)
		give_up("socketpair");
	process = fork();
	if (process == -1)
		give_up("fork");
	if (process == 0) {
		signal(SIGINT, SIG_DFL);
		signal(SIGTERM, SIG_DFL);
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		pin(0);
		if (w > BARE && freopen(log_name, "w", stderr) == NULL)
			_exit(127);
		switch (w) {
		case OURS:
			exec_wshub(wshub);
			break;
		case OLD:
			exec_wshub(wshub_old);
			break;
		case NCHAN:
			exec_nginx();
			break;
		case MOSQUITTO:
			configure_mosquitto();
			execl("/usr/sbin/mosquitto", "mosquitto", "-c", conf,
			    (char *)NULL);
			break;
		case CLUSTER:
			run_cluster();
			break;
		default:
			close(pair[0]);
			bare(listener, pair[1]);
		}
		_exit(127);
	}
	switch (w) {
	case BARE:
		close(listener);
		close(pair[1]);
		publisher = pair[0];
		return;
	case MOSQUITTO:
	case CLUSTER:
		connect_publisher();
		if (w == CLUSTER) {
			cluster_await(dir);
			return;
		}
		break;
	default:
		publisher = connect_to(is_hub(w) ? 0 : ws_port);
	}
	close(connect_to(ws_port));
	if (certs != NULL)
		close(connect_to(wss_port));
}

/* see bench.h */
void
server_stop(void)
{
	int status;

	if (process == 0)
		return;
	close(publisher);
	if (is_hub(kind))
		server_signal(SIGCONT);
	kill(process, SIGTERM);
	if (is_hub(kind)) /* without saying good-bye to all */
		kill(process, SIGTERM);
	while (waitpid(process, &status, 0) == -1 && errno == EINTR)
		;
	process = 0;
}

/* -------------------------------------------------------- what it consumes */

static double
number_in(const char *path, const char *format)
{
	char line[256];
	double x = 0;
	FILE *f = fopen(path, "r");

	if (f == NULL)
		give_up(path);
	while (fgets(line, sizeof line, f) != NULL)
		if (sscanf(line, format, &x) == 1)
			break;
	fclose(f);
	return x;
}

#define FAMILY_MAX 16

/* The process and its descendants, children first: how many. */
static int
family(long pids[FAMILY_MAX])
{
	char name[64];
	int n = 1, i;
	FILE *f;

	pids[0] = (long)process;
	for (i = 0; i < n; i++) {
		snprintf(name, sizeof name, "/proc/%ld/task/%ld/children",
		    pids[i], pids[i]);
		f = fopen(name, "r");
		while (f != NULL && n < FAMILY_MAX &&
		    fscanf(f, "%ld", &pids[n]) == 1)
			n++;
		if (f != NULL)
			fclose(f);
	}
	return n;
}

static double
sum(const char *file, const char *format)
{
	char name[64];
	double total = 0;
	long pids[FAMILY_MAX];
	int n = family(pids), i;

	for (i = 0; i < n; i++) {
		snprintf(name, sizeof name, "/proc/%ld/%s", pids[i], file);
		total += number_in(name, format);
	}
	return total;
}

/* see bench.h */
double
server_cpu(void)
{
	return sum("schedstat", "%lf");
}

/* see bench.h */
double
server_memory(void)
{
	return sum("status", "VmRSS: %lf") * 1024;
}

/* see bench.h */
double
server_part_memory(int child)
{
	long pids[FAMILY_MAX];
	char name[64];
	int n = family(pids);
	long pid = 0;
	double total;
	FILE *f;

	if (child + 1 >= n)
		give_up("a program of the cluster");
	snprintf(name, sizeof name, "/proc/%ld/status", pids[child + 1]);
	total = number_in(name, "VmRSS: %lf");
	snprintf(name, sizeof name, "/proc/%ld/task/%ld/children",
	    pids[child + 1], pids[child + 1]);
	f = fopen(name, "r");
	if (f != NULL && fscanf(f, "%ld", &pid) == 1) {
		snprintf(name, sizeof name, "/proc/%ld/status", pid);
		total += number_in(name, "VmRSS: %lf");
	}
	if (f != NULL)
		fclose(f);
	return total * 1024;
}

/* see bench.h */
const char *
server_directory(void)
{
	return dir;
}

/* see bench.h */
void
server_restart_broker(void)
{
	char byte;

	kill(process, SIGUSR1);
	/* The publisher's connection ends with the broker. */
	while (recv(publisher, &byte, 1, 0) > 0)
		;
	close(publisher);
	connect_publisher();
}

/* see bench.h */
double
server_peak(void)
{
	return sum("status", "VmHWM: %lf") * 1024;
}

/* see bench.h */
void
server_forget_peak(void)
{
	char name[64];
	long pids[FAMILY_MAX];
	int n = family(pids), i;
	FILE *f;

	for (i = 0; i < n; i++) {
		snprintf(name, sizeof name, "/proc/%ld/clear_refs", pids[i]);
		f = fopen(name, "w");
		if (f == NULL)
			continue;
		fputs("5", f); /* proc(5): the peak, not the pages' bits */
		fclose(f);
	}
}

/* see bench.h */
void
server_signal(int number)
{
	long pids[FAMILY_MAX];

	if (family(pids) > 1)
		kill((pid_t)pids[1], number);
}

/* ---------------------------------------------------------------- clients */

/*
 * What client i hears: a channel that it shares with others, or what is for it
 * alone; below 0 it is one of the groups. Returns its length.
 */
static size_t
topic(char name[32], int i)
{
	if (kind == CLUSTER && i >= 0)
		return (size_t)sprintf(name, "wshub/device/%s", client[i].id);
	if (kind == CLUSTER)
		return (size_t)sprintf(name, "wshub/all");
	if (i >= subscribers)
		return (size_t)sprintf(name, "u%d", i);
	return (size_t)sprintf(name, "all%u", i < 0 ? (unsigned)(-1 - i) :
	    (unsigned)i % server_groups);
}

/* The token of client i and its name: made by the hub's program, once. */
static const char *
token(unsigned i)
{
	static char *tokens[CLIENTS_MAX];
	char command[PATH_MAX + 256], text[512];
	FILE *f;

	if (tokens[i] != NULL)
		return tokens[i];
	snprintf(command, sizeof command, "exec '%s' token --token-key '%s' "
	    "--ttl 86400 --sub device-%08u", wshub, keys, i);
	f = popen(command, "r");
	if (f == NULL || fgets(text, sizeof text, f) == NULL || pclose(f) != 0)
		give_up(command);
	text[strcspn(text, "\n")] = '\0';
	return tokens[i] = strdup(text);
}

/* What follows the path of a hub's client: its session, and its token. */
static void
query(unsigned i, char out[TOLD_MAX / 2])
{
	int n = 0;

	*out = '\0';
	if (clients_session == OLD_SESSION)
		n = sprintf(out, "&resume=%s.%lu", client[i].session,
		    client[i].seen);
	else if (clients_session == NEW_SESSION)
		n = sprintf(out, "&resume");
	if (server_tokens)
		snprintf(out + n, TOLD_MAX / 2 - (size_t)n, "&token=%s",
		    token(i));
}

/* The first message: 0 when it is there, with what it says, or -1. */
static int
first_message(struct member *c, const char *told, size_t n)
{
	const char *end = told + n, *id, *session;
	const char *p = memmem(told, n, "\r\n\r\n", 4);

	if (p == NULL || end - p < 6 || end - p < 6 + (p[5] & 127))
		return -1;
	n = (size_t)(p[5] & 127);
	p += 6;
	id = memmem(p, n, "device_id\":\"", 12);
	session = memmem(p, n, "\"session\":\"", 11);
	if (id == NULL)
		give_up("a first message without a device");
	memcpy(c->id, id + 12, 15);
	if (session != NULL)
		memcpy(c->session, session + 11, sizeof c->session - 1);
	else if (clients_session == NEW_SESSION)
		give_up("a first message without a session");
	c->lost = clients_session == OLD_SESSION && session != NULL;
	return 0;
}

/* A masked binary frame of a packet, the mask being zeros. */
static size_t
mqtt_frame(char *out, const void *packet, size_t n)
{
	out[0] = (char)0x82;
	out[1] = (char)(0x80 | n);
	memset(out + 2, 0, 4);
	memcpy(out + 6, packet, n);
	return 6 + n;
}

/* CONNECT and SUBSCRIBE, MQTT 3.1.1 sections 3.1 and 3.8. */
static int
mqtt_greet(int i, char *out)
{
	char packet[64];
	size_t n, len;

	memcpy(packet, "\x10\0\0\x04MQTT\x04\x02\0\0\0", 13);
	n = (size_t)sprintf(packet + 14, "c%d", i);
	packet[13] = (char)n;
	packet[1] = (char)(12 + n);
	len = mqtt_frame(out, packet, 14 + n);
	memcpy(packet, "\x82\0\0\x01\0", 5);
	n = topic(packet + 6, i);
	packet[5] = (char)n;
	packet[6 + n] = '\0'; /* QoS */
	packet[1] = (char)(5 + n);
	return (int)(len + mqtt_frame(out + len, packet, 7 + n));
}

/* see bench.h */
int
server_greet(unsigned i, const char *told, size_t n, char *out)
{
	char name[32], more[TOLD_MAX / 2] = "";
	const char *p;

	if (n == 0) {
		topic(name, (int)i);
		if (is_hub(kind))
			query(i, more);
		return sprintf(out, "GET /sub?id=%s%s HTTP/1.1\r\n"
		    "Host: bench\r\n"
		    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
		    "Sec-WebSocket-Version: 13\r\n%s"
		    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", name,
		    more, kind == MOSQUITTO ?
		    "Sec-WebSocket-Protocol: mqtt\r\n" : "");
	}
	if (is_hub(kind) || kind == BARE || kind == CLUSTER)
		return first_message(&client[i], told, n);
	p = memmem(told, n, "\r\n\r\n", 4);
	if (p == NULL)
		return -1;
	if (kind == NCHAN)
		return 0;
	if (p + 4 == told + n)
		return mqtt_greet((int)i, out);
	return memchr(p, 0x90, (size_t)(told + n - p)) != NULL ? 0 : -1;
}

/* ------------------------------------------------------------- publishing */

/* see bench.h */
int
server_backend(void)
{
	return connect_to(0);
}

/* see bench.h */
void
server_ask(int fd, const char *object, const char *reply)
{
	char text[256], answer[64];
	size_t n = strlen(reply);

	put_all(fd, text, (size_t)snprintf(text, sizeof text, "%s\n", object));
	if (recv(fd, answer, n, MSG_WAITALL) != (ssize_t)n ||
	    memcmp(answer, reply, n) != 0)
		give_up(object);
}

/* see bench.h */
void
server_settle(void)
{
	static const struct order no_more = { NO_MORE, 0 };
	char text[128], name[32];
	int i;

	if (kind == BARE)
		put_all(publisher, &no_more, sizeof no_more);
	for (i = 0; is_hub(kind) && i < subscribers; i++) {
		topic(name, i);
		snprintf(text, sizeof text, "{\"action\":\"subscribe\","
		    "\"device\":\"%s\",\"channel\":\"%s\"}", client[i].id,
		    name);
		server_ask(publisher, text, "OK 1\n");
	}
	usleep(200000); /* the others do not say when all is done */
}

static char orders[PAYLOAD_MAX * 65];
static size_t ordered;

/* see bench.h */
void
server_flush(void)
{
	static char replies[65536];

	if (ordered == 0)
		return;
	put_all(publisher, orders, ordered);
	ordered = 0;
	while (kind != BARE && recv(publisher, replies, sizeof replies,
	    MSG_DONTWAIT) == (ssize_t)sizeof replies)
		;
}

/* see bench.h */
void
server_publish(const char *payload, size_t len, int to)
{
	char *text = orders + ordered, name[32];
	struct order o;
	size_t n, rest;

	topic(name, to);

	if (sizeof orders - ordered < len + 512)
		give_up("too much at once");
	switch (kind) {
	case OURS:
	case OLD:
		n = (size_t)(to < 0 ?
		    sprintf(text, "{\"action\":\"sendToChannel\","
		    "\"channel\":\"%s\",\"data\":", name) :
		    sprintf(text, "{\"action\":\"sendToDevice\","
		    "\"device\":\"%s\",\"data\":", client[to].id));
		break;
	case BARE:
		o.to = to;
		o.len = (uint32_t)((len < 126 ? 2 : 4) + len);
		memcpy(text, &o, sizeof o);
		n = sizeof o;
		text[n++] = (char)0x81;
		text[n++] = (char)(len < 126 ? len : 126);
		if (len >= 126) {
			text[n++] = (char)(len >> 8);
			text[n++] = (char)len;
		}
		break;
	case NCHAN:
		n = (size_t)sprintf(text, "POST /pub?id=%s HTTP/1.1\r\n"
		    "Host: bench\r\nContent-Length: %zu\r\n\r\n", name, len);
		break;
	default: /* PUBLISH, MQTT 3.1.1 section 3.3 */
		rest = 2 + strlen(name) + len;
		n = 0;
		text[n++] = 0x30;
		for (; rest > 127; rest >>= 7)
			text[n++] = (char)(rest | 0x80);
		text[n++] = (char)rest;
		text[n++] = 0;
		text[n++] = (char)strlen(name);
		memcpy(text + n, name, strlen(name));
		n += strlen(name);
	}
	memcpy(text + n, payload, len);
	n += len;
	if (is_hub(kind)) {
		memcpy(text + n, "}\n", 2);
		n += 2;
	}
	ordered += n;
}
