/* wshub: ISC licence, see LICENSE. */
/*
 * What a message costs that goes through a broker to two hubs: the CPU time of
 * mosquitto, two relays and two hubs together, beside mosquitto alone with the
 * same clients by WebSocket. And what --interest costs. See bench.h.
 */
#define _GNU_SOURCE
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

#define PROGRAMS 5 /* mosquitto, two hubs, two relays */
#define CHANNELS 1000 /* of each hub, with --interest */
#define SAMPLES 40    /* devices that are looked at */

/* ------------------------------------------------------------- the cluster */

static void
exec_program(int i, const char *wshub, const char *dir, const char *conf,
    const unsigned port[2], unsigned mqtt_port)
{
	char sock[80], address[64], control[80], id[16];
	int n = i % 2;

	snprintf(sock, sizeof sock, "%s/hub%d", dir, n);
	snprintf(control, sizeof control, "%s/relay%d", dir, n);
	snprintf(id, sizeof id, "bench-%d", n);
	if (i == 0)
		execl("/usr/sbin/mosquitto", "mosquitto", "-c", conf,
		    (char *)NULL);
	snprintf(address, sizeof address, i < 3 ? "127.0.0.1:%u" :
	    "mqtt://127.0.0.1:%u", i < 3 ? port[n] : mqtt_port);
	if (i < 3)
		execl(wshub, "wshub", "-q", "-l", address, "-s", sock,
		    "--heartbeat", "0", "--ping", "0", (char *)NULL);
	else
		execl(wshub, "wshub", "relay", "-q", "-s", sock, "-S", control,
		    "--id", id, address, server_interest ? "--interest" : NULL,
		    (char *)NULL);
	_exit(127);
}

static pid_t
start_program(int i, const sigset_t *blocked, const char *wshub,
    const char *dir, const char *conf, const unsigned port[2],
    unsigned mqtt_port)
{
	pid_t pid = fork();

	if (pid == 0) {
		sigprocmask(SIG_UNBLOCK, blocked, NULL);
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		exec_program(i, wshub, dir, conf, port, mqtt_port);
	}
	return pid;
}

/* see bench.h */
void
cluster_run(const char *wshub, const char *dir, const char *conf,
    const unsigned port[2], unsigned mqtt_port)
{
	pid_t pids[PROGRAMS];
	sigset_t set;
	int i, number = 0;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	for (i = 0; i < PROGRAMS; i++)
		pids[i] = start_program(i, &set, wshub, dir, conf, port,
		    mqtt_port);
	while (sigwait(&set, &number) == 0 && number == SIGUSR1) {
		kill(pids[0], SIGKILL);
		waitpid(pids[0], NULL, 0);
		pids[0] = start_program(0, &set, wshub, dir, conf, port,
		    mqtt_port);
	}
	for (i = PROGRAMS - 1; i >= 0; i--) {
		kill(pids[i], SIGTERM);
		if (i > 0)
			kill(pids[i], SIGTERM); /* without draining */
	}
	while (wait(NULL) > 0)
		;
	_exit(0);
}

/* see bench.h */
void
cluster_await(const char *dir)
{
	static const char object[] = "{\"action\":\"multicast\",\"data\":0}\n";
	struct sockaddr_un un;
	char answer[64];
	int n, tries, fd;
	ssize_t got;

	for (n = 0; n < 2; n++) {
		memset(&un, 0, sizeof un);
		un.sun_family = AF_UNIX;
		snprintf(un.sun_path, sizeof un.sun_path, "%s/relay%d", dir, n);
		for (tries = 0; ; tries++) {
			fd = socket(AF_UNIX, SOCK_STREAM, 0);
			got = -1;
			if (connect(fd, (struct sockaddr *)&un, sizeof un) == 0
			    && send(fd, object, sizeof object - 1,
			    MSG_NOSIGNAL) > 0) {
				shutdown(fd, SHUT_WR);
				got = recv(fd, answer, sizeof answer,
				    MSG_WAITALL);
			}
			close(fd);
			if (got >= 2 && memcmp(answer, "OK", 2) == 0)
				break;
			if (tries == 1000)
				give_up("a relay");
			usleep(10000);
		}
	}
}

/* -------------------------------------------------------------------- rows */

static void
fan_out(const char *name, struct work w)
{
	double us[2][ROUNDS], ratio[ROUNDS];
	int i;

	for (i = 0; i < rounds; i++) {
		us[0][i] = run(CLUSTER, &w).us;
		us[1][i] = run(MOSQUITTO, &w).us;
		ratio[i] = us[0][i] / us[1][i];
	}
	printf("%-31s %8.3f %9.3f %6.2f\n", name, median(us[0], rounds),
	    median(us[1], rounds), median(ratio, rounds));
	fflush(stdout);
}

/* Connects to a hub's control socket. */
static int
connect_hub(const char *dir, int n)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct sockaddr_un un;

	memset(&un, 0, sizeof un);
	un.sun_family = AF_UNIX;
	snprintf(un.sun_path, sizeof un.sun_path, "%s/hub%d", dir, n);
	if (connect(fd, (struct sockaddr *)&un, sizeof un) != 0)
		give_up(un.sun_path);
	return fd;
}

/* How long, in ms, until a message reaches each of some devices. */
static double
reach_samples(unsigned n)
{
	int64_t begun = now();
	unsigned marks[16], left = SAMPLES, i, k;
	char reached[SAMPLES] = { 0 };

	while (left > 0) {
		for (i = 0; i < SAMPLES; i++)
			if (!reached[i])
				server_publish("\"@00000001\"", 11,
				    (int)(n / SAMPLES * i));
		server_flush();
		usleep(2000);
		for (i = 0; i < SAMPLES; i++) {
			k = client_take(&client[n / SAMPLES * i], marks, 16);
			if (k != 0 && !reached[i]) {
				reached[i] = 1;
				left--;
			}
		}
		if (now() - begun > 60000000000)
			give_up("subscriptions");
	}
	return (double)(now() - begun) / 1e6;
}

/* What each hub's devices and channels cost the broker and the relay. */
static void
interest(unsigned n)
{
	double before[2], after[2], first, again;
	unsigned i;
	char object[128];
	int fd, k;

	server_interest = 1;
	server_start(CLUSTER, 0);
	for (k = 0; k < 2; k++)
		before[k] = server_part_memory(k == 0 ? 0 : PROGRAMS - 1);
	clients_join(0, n, 64, 0);
	for (k = 0; k < 2; k++) {
		fd = connect_hub(server_directory(), k);
		for (i = (unsigned)k; i < n && i < 2 * CHANNELS; i += 2) {
			snprintf(object, sizeof object, "{\"action\":"
			    "\"subscribe\",\"device\":\"%s\",\"channel\":"
			    "\"channel-%u\"}", client[i].id, i);
			server_ask(fd, object, "OK 1\n");
		}
		close(fd);
	}
	first = reach_samples(n);
	for (k = 0; k < 2; k++)
		after[k] = server_part_memory(k == 0 ? 0 : PROGRAMS - 1);
	server_restart_broker();
	again = reach_samples(n);
	printf("2 x %u devices, %u channels %10.1f %9.1f %9.0f %9.0f\n",
	    n / 2, n / 2 < CHANNELS ? n / 2 : CHANNELS,
	    (after[0] - before[0]) / 1e6, (after[1] - before[1]) / 1e6, first,
	    again);
	clients_leave(0, n);
	server_stop();
	server_interest = 0;
}

/* see bench.h */
void
relays(void)
{
	unsigned few = rounds == 1;

	if (!server_there(MOSQUITTO))
		return;
	title("A message through mosquitto and two relays to two hubs with "
	    "half of the clients each:\nCPU of all five, us a delivery, beside "
	    "mosquitto with the same clients by WebSocket",
	    "  cluster mosquitto  ratio");
	fan_out("to 2 x 1,000 of 200 B", (struct work)FAN(2000, 200, 1,
	    few ? 20 : 100));
	fan_out("to 2 x 1,000, 64 ahead", (struct work)FAN(2000, 200, 64,
	    few ? 64 : 128));
	fan_out("to 2 x 10 of 200 B", (struct work)FAN(20, 200, 1,
	    few ? 100 : 1500));
	title("With --interest: MB that they take in the broker and in one "
	    "relay; ms until all are\nsubscribed to, after they came and after "
	    "the broker was killed and restarted (with\nthe relays' waiting, "
	    "0 to 0.5 s)",
	    "     broker     relay     first     again");
	interest(few ? 400 : 16000);
}
