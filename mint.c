/* wshub: ISC licence, see LICENSE. */
/*
 * wshub token: prints a token that is signed with the first secret of a key
 * file.
 */
#define _GNU_SOURCE /* O_CLOEXEC */
#define _FILE_OFFSET_BITS 64 /* 32-bit systems may have long inode numbers */
#include <sys/types.h>
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ws.h"

static int
print_error(const char *what, const char *error)
{
	fprintf(stderr, "wshub: %s: %s\n", what, error);
	return 1;
}

/*
 * Reads up to room bytes of a file, which may be a pipe, such as a shell's
 * <(command). Returns their number, or -1 with errno.
 */
static ssize_t
read_file(const char *path, char *buf, size_t room)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), saved;
	struct stat st;
	ssize_t n = 0;
	size_t len = 0;

	if (fd == -1)
		return -1;
	/* Not before open: it makes root the owner of /dev/fd on Linux. */
	ws_no_core();
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	    (st.st_mode & S_IROTH) != 0)
		fprintf(stderr, "wshub: warning: %s: mode %04o: every user can "
		    "read it, and make tokens: chmod o-r\n", path,
		    (unsigned)(st.st_mode & 07777));
	while (len < room) {
		n = read(fd, buf + len, room - len);
		if (n == 0 || (n < 0 && errno != EINTR))
			break;
		if (n > 0)
			len += (size_t)n;
	}
	saved = errno;
	close(fd);
	errno = saved;
	return n < 0 ? -1 : (ssize_t)len;
}

/* see ws.h */
int
ws_mint(const char *path, struct ws_token *t, long seconds)
{
	/* One byte more than allowed, to notice a file that is too large. */
	char file[WS_TOKEN_FILE_MAX + 1], error[WS_ERROR_MAX];
	char token[WS_TOKEN_MAX + 1];
	struct ws_token_keys keys;
	ssize_t n;
	int r;

	n = read_file(path, file, sizeof file);
	if (n < 0)
		return print_error(path, strerror(errno));
	r = ws_token_keys_read(&keys, file, (size_t)n, error);
	ws_wipe(file, sizeof file);
	if (r != 0)
		return print_error(path, error);
	t->exp = (long long)time(NULL) + seconds;
	n = ws_token_make(token, &keys.key[0], t);
	ws_wipe(&keys, sizeof keys);
	if (n < 0)
		return print_error("token", t->error);
	if (puts(token) == EOF || fflush(stdout) == EOF)
		return print_error("standard output", strerror(errno));
	return 0;
}
