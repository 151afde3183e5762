/* wshub: ISC licence, see LICENSE. */
/*
 * wshub ctl: sends JSON to a running hub and prints its replies. Or it asks a
 * question for a person, who has given a verb, and prints the answer as text.
 *
 * It writes and reads at the same time, because the hub stops reading from a
 * backend that does not read its replies. After the last object the socket is
 * shut down for writing; the hub closes it after the last reply.
 */
#define _GNU_SOURCE /* MSG_NOSIGNAL, on systems that have it */
#include <sys/types.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ws.h"

/* What is to be sent: the arguments one by one, or standard input. */
struct input {
	char **args; /* NULL: standard input */
	const char *at;
	size_t len;
	int newline; /* the last byte was a newline */
	int ended;
	char buf[65536];
};

/*
 * Counts the replies in a stream that arrives in pieces. A reply is "OK" or
 * "ERR", and perhaps a space, a detail and a newline. The states are: at the
 * beginning of a reply; after "O", "E" or "ER"; after "OK" or "ERR"; in the
 * detail.
 */
struct replies {
	enum { WORD, O, E, ER, AFTER, DETAIL } state;
	unsigned long replies, errors;
	char last; /* the last byte; '\n' before the first */
};

static void
count(struct replies *r, const char *p, size_t n)
{
	for (; n > 0; p++, n--) {
		r->last = *p;
		if (r->state == AFTER)
			r->state = *p == ' ' ? DETAIL : WORD;
		switch (r->state) {
		case WORD:
			r->state = *p == 'O' ? O : E;
			r->replies++;
			break;
		case O:
		case ER:
			r->errors += r->state == ER;
			r->state = AFTER;
			break;
		case E:
			r->state = ER;
			break;
		case DETAIL:
			if (*p == '\n')
				r->state = WORD;
			break;
		case AFTER:
			break;
		}
	}
}

static int
print_error(const char *what, const char *reason)
{
	fprintf(stderr, "wshub: %s: %s\n", what, reason);
	return 1;
}

/*
 * Gets the next bytes to send. It adds a newline to each argument, and at the
 * end of the input, so that each reply has a detail and is a line.
 */
static int
fill(struct input *in)
{
	static const char newline[] = "\n";
	ssize_t n;

	if (in->len != 0 || in->ended)
		return 0;
	if (in->args == NULL) {
		n = read(STDIN_FILENO, in->buf, sizeof in->buf);
		if (n < 0)
			return errno == EINTR || errno == EAGAIN ? 0 : -1;
		in->at = in->buf;
		in->len = (size_t)n;
		in->ended = n == 0;
	} else if (in->newline) {
		in->ended = *in->args == NULL;
		if (in->ended)
			return 0;
		in->at = *in->args++;
		in->len = strlen(in->at);
	}
	if (in->len > 0) {
		in->newline = in->at[in->len - 1] == '\n';
	} else if (!in->newline) {
		in->at = newline;
		in->len = 1;
		in->newline = 1;
	}
	return 0;
}

static int
print(const char *p, size_t len)
{
	struct pollfd out = { STDOUT_FILENO, POLLOUT, 0 };
	ssize_t n;

	for (; len > 0; p += n, len -= (size_t)n) {
		n = write(STDOUT_FILENO, p, len);
		/* Another process may have made it non-blocking: Node.js. */
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			(void)poll(&out, 1, -1);
		else if (n < 0 && errno != EINTR)
			return -1;
		if (n < 0)
			n = 0;
	}
	return 0;
}

static int
exchange(int fd, const char *path, struct input *in, struct replies *r)
{
	char buf[65536];
	struct pollfd p[2];
	int shut = 0, sent = 0, error;
	ssize_t n;

	for (;;) {
		p[0].fd = fd;
		p[0].events = (short)(POLLIN | (in->len > 0 ? POLLOUT : 0));
		p[1].fd = in->len == 0 && !in->ended && in->args == NULL ?
		    STDIN_FILENO : -1;
		p[1].events = POLLIN;
		p[0].revents = p[1].revents = 0;
		/* The next argument is available at once. */
		if (poll(p, 2, in->args != NULL && in->len == 0 &&
		    !in->ended ? 0 : -1) < 0 && errno != EINTR)
			return print_error("poll", strerror(errno));
		if ((in->args != NULL || p[1].revents != 0) && fill(in) != 0)
			return print_error("standard input", strerror(errno));
		if (in->len > 0 && (p[0].revents & POLLOUT) != 0) {
			n = send(fd, in->at, in->len,
			    MSG_NOSIGNAL | MSG_DONTWAIT);
			if (n < 0 && errno != EAGAIN && errno != EINTR)
				return print_error(path, strerror(errno));
			if (n > 0) {
				for (; n > 0; n--, in->at++, in->len--)
					sent |= strchr(" \t\r\n",
					    *in->at) == NULL;
			}
		}
		if (in->ended && in->len == 0 && !shut) {
			shutdown(fd, SHUT_WR);
			shut = 1;
		}
		if ((p[0].revents & ~POLLOUT) == 0)
			continue;
		n = recv(fd, buf, sizeof buf, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n <= 0)
			break;
		count(r, buf, (size_t)n);
		if (print(buf, (size_t)n) != 0)
			return print_error("standard output", strerror(errno));
	}
	error = n < 0 ? errno : 0;
	if (r->last != '\n' && print("\n", 1) != 0)
		return print_error("standard output", strerror(errno));
	if (error != 0)
		return print_error(path, strerror(error));
	/*
	 * As the input ends with a newline, so does the last reply; but not if
	 * that newline is in the middle of an object.
	 */
	if (shut && r->state == AFTER && r->last == 'R')
		return print_error("input", "the last object is incomplete");
	if (!shut || r->state != WORD || (sent && r->replies == 0))
		return print_error(path, "the hub has closed the connection");
	return r->errors != 0;
}

/* ----------------------------------------------------------------- verbs */

/*
 * An answer is written as rows of cells, with a tab between two. For a terminal
 * the cells are then aligned.
 */
struct answer {
	struct ws_output rows;
	int terminal;
};

static void
add(struct ws_output *o, const char *s)
{
	ws_output_add(o, s, strlen(s));
}

/*
 * Adds a JSON value. A string is written without its quotes, unless it has
 * characters that would do harm: to a terminal, or to who reads a value a line.
 */
static void
add_value(struct ws_output *o, struct ws_text value)
{
	size_t i;

	for (i = 1; i + 1 < value.len; i++)
		if (value.s[i] == '\\' || value.s[i] == 0x7f ||
		    (value.s[i] == '\302' && (value.s[i + 1] & 0xe0) == 0x80))
			break;
	if (*value.s == '"' && i + 1 == value.len && value.len > 2)
		ws_output_add(o, value.s + 1, value.len - 2);
	else
		ws_output_add(o, value.s, value.len);
}

/* Adds a time, in UTC: the seconds since 1970, or a date for a terminal. */
static void
add_time(struct answer *a, long long seconds, int date)
{
	char text[WS_DATE_MAX];

	if (a->terminal)
		strcpy(text + ws_log_date(text, (unsigned long long)seconds),
		    "Z");
	else
		snprintf(text, sizeof text, "%lld", seconds);
	add(&a->rows, a->terminal && !date ? strchr(text, 'T') + 1 : text);
}

static int
is(struct ws_text name, const char *s)
{
	return name.len == strlen(s) + 2 &&
	    memcmp(name.s + 1, s, name.len - 2) == 0;
}

static void
show_number(struct answer *a, struct ws_text detail)
{
	add_value(&a->rows, detail);
	add(&a->rows, "\n");
}

static void
show_list(struct answer *a, struct ws_text detail)
{
	struct ws_text value;

	while (ws_json_element(&detail, &value))
		show_number(a, value);
}

/* {"name":number, ...} */
static void
show_members(struct answer *a, struct ws_text detail)
{
	struct ws_text name, value;

	while (ws_json_member(&detail, &name, &value)) {
		add_value(&a->rows, name);
		add(&a->rows, "\t");
		show_number(a, value);
	}
}

static void
show_session(struct answer *a, struct ws_text session)
{
	struct ws_text name, value;

	add(&a->rows, "session");
	while (ws_json_member(&session, &name, &value)) {
		add(&a->rows, "\t");
		if (is(name, "since"))
			add_time(a, strtoll(value.s, NULL, 10), 1);
		else if (*value.s == 'n') /* an address that is null */
			add(&a->rows, "-");
		else
			add_value(&a->rows, value);
		if (a->terminal && (is(name, "unsent") || is(name, "kept"))) {
			add(&a->rows, " ");
			add_value(&a->rows, name);
		}
	}
	add(&a->rows, "\n");
}

static void
show_info(struct answer *a, struct ws_text detail)
{
	struct ws_text name, value, element;

	while (ws_json_member(&detail, &name, &value))
		while (ws_json_element(&value, &element))
			if (is(name, "sessions")) {
				show_session(a, element);
			} else {
				add(&a->rows, "channel\t");
				show_number(a, element);
			}
}

/* An event: as it is, or for a terminal the time and its values. */
static void
show_event(struct answer *a, struct ws_text event)
{
	struct ws_text name, value;

	if (!a->terminal) {
		ws_output_add(&a->rows, event.s, event.len);
		add(&a->rows, "\n");
		return;
	}
	add_time(a, ws_wall_clock(), 0);
	while (ws_json_member(&event, &name, &value)) {
		add(&a->rows, "  ");
		add_value(&a->rows, value);
		if (is(name, "sessions"))
			add(&a->rows, value.len == 1 && *value.s == '1' ?
			    " session" : " sessions");
	}
	add(&a->rows, "\n");
}

enum { DEVICE = 1, CHANNEL, CODE, REASON, EVENT, MANY };

static const char *const field_names[] = {
	NULL, "device", "channel", "code", "reason", "events"
};

static const struct verb {
	const char *name;
	unsigned char needs;     /* how many of its arguments must be there */
	unsigned char fields[4]; /* what its arguments are, 0 after the last */
	void (*show)(struct answer *a, struct ws_text detail);
	const char *arguments;   /* for people */
} verbs[] = {
	{ "list", 0, { CHANNEL }, show_list, "[channel]" },
	{ "count", 0, { CHANNEL }, show_number, "[channel]" },
	{ "channels", 0, { DEVICE }, show_members, "[device]" },
	{ "info", 1, { DEVICE }, show_info, "device" },
	{ "kick", 1, { DEVICE, CODE, REASON }, show_number,
	  "device [code [reason]]" },
	{ "stats", 0, { 0 }, show_members, "" },
	{ "watch", 0, { EVENT }, show_event, "[event ...]" }
};
#define VERBS (sizeof verbs / sizeof *verbs)

/* Adds an argument as a JSON value: a string, or a code as a number. */
static int
add_argument(struct ws_output *o, unsigned field, const char *s)
{
	struct ws_utf8 utf8 = { 0, 0, 0 };
	struct ws_text t;
	char *quoted;

	t.s = s;
	t.len = strlen(s);
	if (ws_utf8(&utf8, s, t.len) != t.len || utf8.left != 0)
		return print_error(s, "not UTF-8");
	if (field == CODE) {
		if (t.len == 0 || strspn(s, "0123456789") != t.len ||
		    (*s == '0' && t.len > 1))
			return print_error(s, "not a number");
		add(o, s);
		return 0;
	}
	quoted = malloc(WS_JSON_QUOTED(t.len));
	if (quoted == NULL)
		return print_error("ctl", "out of memory");
	ws_output_add(o, quoted, ws_json_quote(quoted, t));
	free(quoted);
	return 0;
}

/* Writes the object that asks: 0, or the exit status. */
static int
write_question(struct ws_output *o, const struct verb *v, char **args)
{
	unsigned i, n = 0;
	int many = v->fields[0] == EVENT;

	add(o, "{\"action\":\"");
	add(o, v->name);
	add(o, "\"");
	for (i = 0; args[i] != NULL; i++) {
		if (!many && v->fields[n] == 0)
			break;
		if (i == 0 || !many) {
			add(o, ",\"");
			add(o, field_names[v->fields[n]]);
			add(o, many ? "\":[" : "\":");
		} else {
			add(o, ",");
		}
		if (add_argument(o, v->fields[n], args[i]) != 0)
			return 2;
		if (!many)
			n++;
	}
	if (args[i] != NULL || i < v->needs) {
		fprintf(stderr, "usage: wshub ctl [-s path] %s %s\n", v->name,
		    v->arguments);
		return 2;
	}
	add(o, many && i > 0 ? "]}\n" : "}\n");
	return 0;
}

/* Characters, not bytes, up to a tab or the end of the line. */
static size_t
cell_width(const char *s, const char **end)
{
	size_t n = 0;

	for (; *s != '\t' && *s != '\n'; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	*end = s;
	return n;
}

/* Prints the rows, aligned for a terminal. */
static int
print_rows(struct answer *a)
{
	struct ws_output *rows = &a->rows, out = { NULL, 0, 0, 0 };
	size_t width[8] = { 0 }, n, column, i;
	const char *p, *end;
	int pass, failed = 0;

	for (pass = 0; pass < 2 && a->terminal; pass++)
		for (i = column = 0; i < rows->len; i++) {
			p = rows->s + i;
			n = cell_width(p, &end);
			i += (size_t)(end - p);
			if (pass == 0 && *end == '\t' && n > width[column])
				width[column] = n;
			if (pass == 1)
				ws_output_add(&out, p, (size_t)(end - p));
			for (; pass == 1 && *end == '\t' &&
			    n < width[column] + 2; n++)
				add(&out, " ");
			if (pass == 1 && *end == '\n')
				add(&out, "\n");
			column = *end == '\n' ? 0 : (column + 1) % 8;
		}
	if (!a->terminal)
		failed = print(rows->s, rows->len);
	else
		failed = print(out.s, out.len);
	ws_output_free(&out);
	ws_output_remove(rows, rows->len);
	return failed == 0 ? 0 :
	    print_error("standard output", strerror(errno));
}

/* Handles a line of the hub: 0 to go on, or the exit status plus 1. */
static int
take_line(struct answer *a, const struct verb *v, struct ws_text line)
{
	struct ws_json json;
	int event = *line.s == '{';

	if (line.len > 3 && memcmp(line.s, "ERR", 3) == 0) {
		fprintf(stderr, "wshub: %.*s\n", (int)(line.len - 4),
		    line.s + 4);
		return 2;
	}
	if (v->show == show_event && !event)
		return 0; /* it begins to watch */
	if (!event) {
		line.s += 3;
		line.len -= 3;
	}
	memset(&json, 0, sizeof json);
	if (ws_json_scan(&json, line.s, line.len) == WS_BAD ||
	    !ws_json_whole(&json))
		return print_error("ctl", "not the answer of a hub") + 1;
	v->show(a, line);
	if (a->rows.failed)
		return print_error("ctl", "out of memory") + 1;
	if (print_rows(a) != 0)
		return 2;
	return v->show == show_event ? 0 : 1;
}

/* Asks a question, and prints the answer. */
static int
ask(int fd, const char *path, const struct verb *v, char **args)
{
	struct ws_output question = { NULL, 0, 0, 0 }, in = { NULL, 0, 0, 0 };
	struct answer a;
	struct ws_text line;
	char buf[65536], *end;
	size_t seen = 0; /* bytes that have no end of a line */
	ssize_t n = 0;
	int status;

	memset(&a, 0, sizeof a);
	a.terminal = isatty(STDOUT_FILENO);
	status = write_question(&question, v, args);
	if (status == 0 && send(fd, question.s, question.len, MSG_NOSIGNAL) !=
	    (ssize_t)question.len)
		status = print_error(path, strerror(errno));
	if (status != 0)
		goto done;
	while ((n = recv(fd, buf, sizeof buf, 0)) > 0 ||
	    (n < 0 && errno == EINTR)) {
		if (n > 0)
			ws_output_add(&in, buf, (size_t)n);
		while (in.len > seen && (end = memchr(in.s + seen, '\n',
		    in.len - seen)) != NULL) {
			line.s = in.s;
			line.len = (size_t)(end - in.s);
			status = take_line(&a, v, line);
			if (status != 0) {
				status--;
				goto done;
			}
			ws_output_remove(&in, line.len + 1);
			seen = 0;
		}
		seen = in.len;
	}
	status = print_error(path, n < 0 ? strerror(errno) :
	    "the hub has closed the connection");
done:
	ws_output_free(&question);
	ws_output_free(&in);
	ws_output_free(&a.rows);
	return status;
}

/* Finds the verb in the first argument: JSON objects begin with a brace. */
static const struct verb *
find_verb(const char *name)
{
	size_t i;

	for (i = 0; i < VERBS; i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	fprintf(stderr, "wshub: ctl %s: neither JSON nor one of these:\n",
	    name);
	for (i = 0; i < VERBS; i++)
		fprintf(stderr, "    %s %s\n", verbs[i].name,
		    verbs[i].arguments);
	return NULL;
}

/* ------------------------------------------------------------ connection */

/* see ws.h */
int
ws_ctl(const char *path, char **args)
{
	const struct verb *verb = NULL;
	struct sockaddr_un un;
	struct input in;
	struct replies r;
	int fd, status;

	memset(&un, 0, sizeof un);
	memset(&r, 0, sizeof r);
	r.last = '\n';
	memset(&in, 0, sizeof in);
	in.args = *args == NULL ? NULL : args;
	in.newline = 1;
	if (*args != NULL && isalpha((unsigned char)**args) &&
	    (verb = find_verb(*args++)) == NULL)
		return 2;
	un.sun_family = AF_UNIX;
	if (strlen(path) >= sizeof un.sun_path)
		return print_error(path, strerror(ENAMETOOLONG));
	memcpy(un.sun_path, path, strlen(path) + 1);
	if (MSG_NOSIGNAL == 0)
		(void)signal(SIGPIPE, SIG_IGN);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (fd == -1)
		return print_error("socket", strerror(errno));
	if (connect(fd, (struct sockaddr *)&un, sizeof un) == -1)
		status = print_error(path, strerror(errno));
	else if (verb != NULL)
		status = ask(fd, path, verb, args);
	else
		status = exchange(fd, path, &in, &r);
	close(fd);
	return status;
}
