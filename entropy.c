/* wshub: ISC licence, see LICENSE. */
/*
 * Random bytes, for device ids and TLS.
 *
 * They are getentropy(2)'s. A kernel may be without it (Linux before 3.17, as
 * on some storage boxes) or a container's filter may refuse it: then they are
 * read from /dev/urandom. That is decided by the first call, since later ones
 * may come from a process that can open no file.
 */
#define _GNU_SOURCE /* getentropy */
#include <sys/types.h>
#ifdef __APPLE__
#include <sys/random.h>
#endif
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "ws.h"

enum { UNDECIDED = -2, KERNEL = -1 }; /* else a descriptor of /dev/urandom */

static int source = UNDECIDED;

/* Only a device will do: a file of that name has the same bytes each time. */
static int
open_urandom(void)
{
	int fd = open("/dev/urandom", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd != -1 && fstat(fd, &st) == 0 && S_ISCHR(st.st_mode))
		return fd;
	if (fd != -1) {
		close(fd);
		errno = ENODEV;
	}
	return -1;
}

/* see ws.h */
int
ws_entropy(void *buf, size_t len)
{
	unsigned char *p = buf;
	ssize_t n;
	int fd;

	if (source == UNDECIDED) {
		if (getentropy(buf, len) == 0) {
			source = KERNEL;
			return 0;
		}
		if ((fd = open_urandom()) == -1)
			return -1;
		source = fd;
	}
	if (source == KERNEL)
		return getentropy(buf, len);
	while (len > 0) {
		n = read(source, p, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			if (n == 0)
				errno = EIO;
			return -1;
		}
		p += n;
		len -= (size_t)n;
	}
	return 0;
}
