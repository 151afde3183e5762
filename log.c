/* wshub: ISC licence, see LICENSE. */
/*
 * Lines for standard error: one write each, so that those of two processes do
 * not mix, and bytes that came from outside are escaped.
 */
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ws.h"

int ws_log_level = WS_LOG_NOTE;

/* see ws.h */
void
ws_log(int level, const char *line)
{
	static unsigned long unsaid;
	struct pollfd err = { STDERR_FILENO, POLLOUT, 0 };
	char out[1024] = "wshub: ";
	size_t n = strlen(out);

	if (level > ws_log_level)
		return;
	if (unsaid != 0 && poll(&err, 1, 0) == 1 && (err.revents & POLLOUT)) {
		n += (size_t)snprintf(out + n, 64, "(%lu lines lost) ", unsaid);
		unsaid = 0;
	}
	for (; *line != '\0' && n < sizeof out - 6; line++) {
		if ((unsigned char)*line >= ' ' && *line != 127)
			out[n++] = *line;
		else
			n += (size_t)snprintf(out + n, 5, "\\x%02x",
			    (unsigned char)*line);
	}
	out[n++] = '\n';
	/* Neither a full disk nor a reader who sleeps is a reason to stop. */
	if (poll(&err, 1, 0) != 1 || (err.revents & POLLOUT) == 0 ||
	    write(STDERR_FILENO, out, n) < 0)
		unsaid++;
}

/* see ws.h */
void
ws_say(int level, const char *format, ...)
{
	char line[768];
	va_list ap;

	va_start(ap, format);
	vsnprintf(line, sizeof line, format, ap);
	va_end(ap);
	ws_log(level, line);
}

/* see ws.h */
void
ws_die(const char *format, ...)
{
	char line[768];
	va_list ap;

	va_start(ap, format);
	vsnprintf(line, sizeof line, format, ap);
	va_end(ap);
	ws_log(WS_LOG_ERROR, line);
	exit(1);
}
