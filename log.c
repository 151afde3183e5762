/* wshub: ISC licence, see LICENSE. */
/*
 * Log lines and error messages.
 *
 * Each line is written to standard error by one write(2), so that the lines of
 * two processes do not mix. Control characters, which may come from a peer, are
 * escaped.
 */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ws.h"

int ws_log_level = WS_LOG_NOTE;

/*
 * The length of the control character that s begins with, or 0. Those of the C1
 * set, which some terminals obey, have two bytes in UTF-8.
 */
static int
control_len(const char *s)
{
	unsigned char c = (unsigned char)*s;

	if (c < ' ' || c == 127)
		return 1;
	return c == 0xc2 && ((unsigned char)s[1] & 0xe0) == 0x80 ? 2 : 0;
}

/* see ws.h */
void
ws_log_line(int level, const char *line)
{
	static unsigned long lost;
	struct pollfd err = { STDERR_FILENO, POLLOUT, 0 };
	char out[1024] = "wshub: ";
	size_t n = strlen(out);
	int control;

	if (level > ws_log_level)
		return;
	if (lost != 0 && poll(&err, 1, 0) == 1 && (err.revents & POLLOUT)) {
		n += (size_t)snprintf(out + n, 64, "(%lu lines lost) ", lost);
		lost = 0;
	}
	for (; *line != '\0' && n < sizeof out - 10; line++) {
		control = control_len(line);
		if (control == 0)
			out[n++] = *line;
		for (; control > 0; control--) {
			n += (size_t)snprintf(out + n, 5, "\\x%02x",
			    (unsigned char)*line);
			line += control > 1;
		}
	}
	out[n++] = '\n';
	/* A full disk or a reader that is stuck must not stop the hub. */
	if (poll(&err, 1, 0) != 1 || (err.revents & POLLOUT) == 0 ||
	    write(STDERR_FILENO, out, n) < 0)
		lost++;
}

static void
vlog(int level, const char *format, va_list ap)
{
	char line[768];

	vsnprintf(line, sizeof line, format, ap);
	ws_log_line(level, line);
}

/* see ws.h */
void
ws_log(int level, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vlog(level, format, ap);
	va_end(ap);
}

/* see ws.h */
void
ws_die(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vlog(WS_LOG_ERROR, format, ap);
	va_end(ap);
	exit(1);
}

/* see ws.h */
void
ws_logf(const struct ws_options *o, int level, const char *format, ...)
{
	char line[512];
	va_list ap;

	if (o->log == NULL || level > o->log_level)
		return;
	va_start(ap, format);
	vsnprintf(line, sizeof line, format, ap);
	va_end(ap);
	o->log(level, line);
}

/* see ws.h */
int
ws_fail(char error[WS_ERROR_MAX], const char *format, ...)
{
	int saved = errno;
	size_t n;
	va_list ap;

	va_start(ap, format);
	vsnprintf(error, WS_ERROR_MAX, format, ap);
	va_end(ap);
	n = strlen(error);
	if (format[strlen(format) - 1] == ':')
		snprintf(error + n, WS_ERROR_MAX - n, " %s", strerror(saved));
	errno = saved;
	return -1;
}
