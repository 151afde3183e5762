/* wshub: ISC licence, see LICENSE. */
/*
 * Random bytes, for device ids and TLS.
 *
 * They come from getentropy(2). If the kernel does not have it (Linux before
 * 3.17, as on some storage devices) or a container's seccomp filter denies it,
 * they are read from /dev/urandom. The first call decides that, because a later
 * call may come from a process that can no longer open files.
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

/* Where the bytes come from; other values are a descriptor of /dev/urandom. */
enum { UNDECIDED = -2, GETENTROPY = -1 };

static int source = UNDECIDED;

/* It must be a device: a regular file would return the same bytes each time. */
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
			source = GETENTROPY;
			return 0;
		}
		if ((fd = open_urandom()) == -1)
			return -1;
		source = fd;
	}
	if (source == GETENTROPY)
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
