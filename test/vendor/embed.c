/*
 * A program with a poll loop of its own that has a hub inside: each line of its
 * standard input goes to every client of the given port. It took the files of
 * HUB in the Makefile.
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ws.h"

#define CLIENTS 100

static void
publish(struct ws_loop *l, char *line, size_t len)
{
	struct ws_frame *f = ws_frame_new(WS_TEXT, line, len);

	if (f != NULL)
		printf("%lu\n", (unsigned long)ws_hub_multicast(
		    ws_loop_hub(l), f, NULL));
	fflush(stdout);
	ws_frame_release(f);
}

int
main(int argc, char **argv)
{
	struct pollfd fds[CLIENTS + 300];
	struct ws_options options = { 0 };
	struct ws_file_id id;
	struct ws_loop *l;
	char words[WS_ERROR_MAX], line[4096];
	int fd[WS_LISTEN_MAX], n, timeout, more = 1;
	ssize_t len;

	options.ping = 25;
	options.drain = 2;
	options.max_clients = CLIENTS;
	if (argc != 2 || (n = ws_listen(argv[1], fd, &id, words)) == -1 ||
	    (l = ws_loop_new(&options)) == NULL)
		return 1;
	while (n > 0)
		if (ws_loop_listen(l, fd[--n], 0) == -1)
			return 1;
	do {
		timeout = -1;
		fds[0].fd = more ? STDIN_FILENO : -1;
		fds[0].events = POLLIN;
		n = (int)ws_loop_poll(l, fds + 1, CLIENTS + 299, &timeout);
		poll(fds, (nfds_t)n + 1, timeout);
		if (more && fds[0].revents != 0) {
			len = read(STDIN_FILENO, line, sizeof line);
			if (len > 0)
				publish(l, line, strcspn(line, "\n"));
			else if ((more = 0) == 0)
				ws_loop_stop(l);
		}
	} while (ws_loop_step(l, 0));
	ws_loop_free(l);
	return 0;
}
