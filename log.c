/* wshub: ISC licence, see LICENSE. */
/*
 * Log lines and error messages.
 *
 * Each line is written to standard error by one write(2), so that the lines of
 * two processes do not mix. Control characters, which may come from a peer, are
 * escaped.
 */
#define _POSIX_C_SOURCE 200809L
#include <sys/types.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ws.h"

int ws_log_level = WS_LOG_NOTE;
int ws_log_time;

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

/*
 * See ws.h. gmtime(3) may read a file at its first call, which the hub cannot.
 * Years are counted from March, so that the leap day is their last: then a
 * month begins on day (153 * month + 2) / 5. 400 years have 146,097 days.
 */
size_t
ws_log_date(char out[WS_DATE_MAX], unsigned long long seconds)
{
	/* Since 1 March of year 0. */
	unsigned long long days = seconds / 86400 + 719468;
	unsigned left = (unsigned)(seconds % 86400), year, day, month;

	day = (unsigned)(days % 146097);
	year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
	day -= 365 * year + year / 4 - year / 100;
	year += (unsigned)(days / 146097 % 25) * 400;
	month = (5 * day + 2) / 153;
	day -= (153 * month + 2) / 5;
	return (size_t)snprintf(out, WS_DATE_MAX,
	    "%04u-%02u-%02uT%02u:%02u:%02u", (year + (month >= 10)) % 10000,
	    month < 10 ? month + 3 : month - 9, day + 1, left / 3600,
	    left / 60 % 60, left % 60);
}

/* see ws.h */
void
ws_log_line(int level, const char *line)
{
	static unsigned long lost;
	struct pollfd err = { STDERR_FILENO, POLLOUT, 0 };
	struct timespec t;
	char out[WS_LINE_MAX + 128];
	size_t n = 0;
	int control;

	if (level > ws_log_level)
		return;
	if (ws_log_time && clock_gettime(CLOCK_REALTIME, &t) == 0) {
		n = ws_log_date(out, (unsigned long long)t.tv_sec);
		n += (size_t)snprintf(out + n, 8, ".%03uZ ",
		    (unsigned)(t.tv_nsec / 1000000) % 1000);
	}
	n += (size_t)snprintf(out + n, 8, "wshub: ");
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
