/* wshub: ISC licence, see LICENSE. */
/*
 * What "make static" takes in the place of parts of musl: a printf without
 * floating point and wide characters, names of hosts without DNS, users and
 * groups without nscd or threads, plain getopt and strtoul, and the errors' few
 * sentences that are ours. That is a third of the binary.
 *
 * The linker finds these before it looks into libc.a, so musl's own calls come
 * here as well (inet_ntop's to snprintf). Everything else is built without
 * this file. The rest of each of musl's object files must not be wanted by
 * anybody (getpwuid, vsprintf ...): then the linker says "multiple definition".
 *
 * A host is an address, "localhost", or in /etc/hosts: a listener's address
 * that only a DNS server knows is one that is not known at boot.
 */
#include <limits.h> /* with it comes what the C library is */
#if defined(__linux__) && !defined(__GLIBC__)
#define _GNU_SOURCE
#include <sys/types.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/syscall.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <netdb.h>
#include <pwd.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ------------------------------------------------------------------ printf */

struct out {
	FILE *file; /* or NULL: to at, room bytes of it */
	char *at;
	size_t room, n;
};

static void
put(struct out *o, char c)
{
	if (o->file != NULL)
		(void)putc(c, o->file);
	else if (o->n < o->room)
		o->at[o->n] = c;
	o->n++;
}

static void
fill(struct out *o, char c, long n)
{
	for (; n > 0; n--)
		put(o, c);
}

/* What stands between % and the letter. */
struct spec {
	int left, zero, alternate, sign; /* sign: '+', ' ' or 0 */
	int width, precision;            /* precision -1: none */
};

/* A sign, digits and what fills them up. */
static void
put_number(struct out *o, const struct spec *s, uintmax_t u, int negative,
    unsigned base, const char *digits)
{
	char text[3 * sizeof u], sign[3];
	int n = 0, nsign = 0, zeros;

	if (negative || s->sign != 0)
		sign[nsign++] = negative ? '-' : (char)s->sign;
	if (s->alternate && base == 16 && u != 0) {
		sign[nsign++] = '0';
		sign[nsign++] = digits[16];
	}
	for (; u != 0; u /= base)
		text[n++] = digits[u % base];
	if (n == 0 && s->precision != 0)
		text[n++] = '0';
	zeros = s->precision - n;
	if (s->alternate && base == 8 && zeros <= 0 &&
	    (n == 0 || text[n - 1] != '0'))
		zeros = 1;
	if (s->zero && !s->left && s->precision < 0)
		zeros = s->width - nsign - n;
	if (zeros < 0)
		zeros = 0;
	if (!s->left)
		fill(o, ' ', (long)s->width - nsign - zeros - n);
	for (base = 0; (int)base < nsign; base++)
		put(o, sign[base]);
	fill(o, '0', zeros);
	while (n > 0)
		put(o, text[--n]);
	if (s->left)
		fill(o, ' ', (long)s->width - (long)(nsign + zeros));
}

static void
put_text(struct out *o, const struct spec *s, const char *text, size_t len)
{
	size_t i;

	if (!s->left)
		fill(o, ' ', (long)s->width - (long)len);
	for (i = 0; i < len; i++)
		put(o, text[i]);
	if (s->left)
		fill(o, ' ', (long)s->width - (long)len);
}

static intmax_t
take_signed(va_list *ap, int size)
{
	switch (size) {
	case 'H': return (signed char)va_arg(*ap, int);
	case 'h': return (short)va_arg(*ap, int);
	case 'l': return va_arg(*ap, long);
	case 'L': return va_arg(*ap, long long);
	case 'z': return va_arg(*ap, ssize_t);
	case 't': return va_arg(*ap, ptrdiff_t);
	case 'j': return va_arg(*ap, intmax_t);
	default: return va_arg(*ap, int);
	}
}

static uintmax_t
take_unsigned(va_list *ap, int size)
{
	switch (size) {
	case 'H': return (unsigned char)va_arg(*ap, int);
	case 'h': return (unsigned short)va_arg(*ap, int);
	case 'l': return va_arg(*ap, unsigned long);
	case 'L': return va_arg(*ap, unsigned long long);
	case 'z': return va_arg(*ap, size_t);
	case 't': return (uintmax_t)va_arg(*ap, ptrdiff_t);
	case 'j': return va_arg(*ap, uintmax_t);
	default: return va_arg(*ap, unsigned);
	}
}

/* Digits, or * for an argument. */
static int
take_int(const char **f, va_list *ap)
{
	int n = 0;

	if (**f == '*') {
		(*f)++;
		return va_arg(*ap, int);
	}
	for (; **f >= '0' && **f <= '9' && n < INT_MAX / 10 - 1; (*f)++)
		n = n * 10 + (**f - '0');
	return n;
}

static const char *
take_spec(struct spec *s, const char *f, va_list *ap, int *size)
{
	memset(s, 0, sizeof *s);
	for (;; f++) {
		if (*f == '-')
			s->left = 1;
		else if (*f == '0')
			s->zero = 1;
		else if (*f == '#')
			s->alternate = 1;
		else if (*f == '+' || (*f == ' ' && s->sign == 0))
			s->sign = *f;
		else
			break;
	}
	s->width = take_int(&f, ap);
	if (s->width < 0) {
		s->left = 1;
		s->width = -s->width;
	}
	s->precision = -1;
	if (*f == '.') {
		f++;
		s->precision = take_int(&f, ap);
	}
	*size = 0;
	for (; *f != '\0' && strchr("hlzjt", *f) != NULL; f++)
		*size = *size == *f ? *f - 'a' + 'A' : *f;
	return f;
}

static void
format(struct out *o, const char *f, va_list *ap)
{
	struct spec s;
	const char *text;
	intmax_t n;
	int size;
	char c;

	for (; *f != '\0'; f++) {
		if (*f != '%') {
			put(o, *f);
			continue;
		}
		f = take_spec(&s, f + 1, ap, &size);
		switch (*f) {
		case 'd':
		case 'i':
			n = take_signed(ap, size);
			put_number(o, &s, n < 0 ? 0 - (uintmax_t)n :
			    (uintmax_t)n, n < 0, 10, "0123456789");
			break;
		case 'u':
		case 'o':
			s.sign = 0;
			put_number(o, &s, take_unsigned(ap, size), 0,
			    *f == 'u' ? 10 : 8, "0123456789");
			break;
		case 'x':
		case 'X':
			s.sign = 0;
			put_number(o, &s, take_unsigned(ap, size), 0, 16,
			    *f == 'x' ? "0123456789abcdefx" :
			    "0123456789ABCDEFX");
			break;
		case 'p':
			s.alternate = 1;
			put_number(o, &s, (uintptr_t)va_arg(*ap, void *), 0,
			    16, "0123456789abcdefx");
			break;
		case 'c':
			c = (char)va_arg(*ap, int);
			put_text(o, &s, &c, 1);
			break;
		case 's':
			text = va_arg(*ap, const char *);
			if (text == NULL)
				text = "(null)";
			put_text(o, &s, text, s.precision < 0 ? strlen(text) :
			    strnlen(text, (size_t)s.precision));
			break;
		case '%':
			put(o, '%');
			break;
		default:
			abort(); /* a kind that we do not have: see the test */
		}
	}
}

int
vsnprintf(char *restrict at, size_t room, const char *restrict f, va_list ap)
{
	struct out o = { NULL, at, room, 0 };
	va_list copy; /* a va_list that is an array cannot be pointed at */

	va_copy(copy, ap);
	format(&o, f, &copy);
	va_end(copy);
	if (room != 0)
		at[o.n < room ? o.n : room - 1] = '\0';
	return (int)o.n;
}

int
snprintf(char *restrict at, size_t room, const char *restrict f, ...)
{
	va_list ap;
	int n;

	va_start(ap, f);
	n = vsnprintf(at, room, f, ap);
	va_end(ap);
	return n;
}

int
vfprintf(FILE *restrict file, const char *restrict f, va_list ap)
{
	struct out o = { file, NULL, 0, 0 };
	va_list copy;

	va_copy(copy, ap);
	format(&o, f, &copy);
	va_end(copy);
	return ferror(file) ? -1 : (int)o.n;
}

int
fprintf(FILE *restrict file, const char *restrict f, ...)
{
	va_list ap;
	int n;

	va_start(ap, f);
	n = vfprintf(file, f, ap);
	va_end(ap);
	return n;
}

int
printf(const char *restrict f, ...)
{
	va_list ap;
	int n;

	va_start(ap, f);
	n = vfprintf(stdout, f, ap);
	va_end(ap);
	return n;
}

/* ------------------------------------------------------------ files in /etc */

struct lines {
	int fd;
	size_t at, len;
	char in[512], line[512]; /* a longer line is an empty one */
};

static int
lines_open(struct lines *l, const char *path)
{
	l->fd = open(path, O_RDONLY | O_CLOEXEC);
	l->at = l->len = 0;
	return l->fd == -1 ? -1 : 0;
}

/* The next byte, or -1 at the end. */
static int
lines_byte(struct lines *l)
{
	ssize_t n;

	if (l->at == l->len) {
		n = read(l->fd, l->in, sizeof l->in);
		if (n <= 0)
			return -1;
		l->at = 0;
		l->len = (size_t)n;
	}
	return (unsigned char)l->in[l->at++];
}

/* The next line without its end, or NULL, and then the file is closed. */
static char *
lines_next(struct lines *l)
{
	size_t n = 0;
	int c;

	while ((c = lines_byte(l)) >= 0 && c != '\n')
		if (n < sizeof l->line)
			l->line[n++] = (char)c;
	if (c < 0 && n == 0) {
		close(l->fd);
		return NULL;
	}
	l->line[n < sizeof l->line ? n : 0] = '\0';
	return l->line;
}

/* Cuts a line at its colons: whether there are n fields. */
static int
cut(char *line, char **field, int n)
{
	int i;

	for (i = 0; i < n; i++) {
		field[i] = line;
		line += strcspn(line, ":");
		if (*line == ':')
			*line++ = '\0';
		else if (i < n - 1)
			return 0;
	}
	return 1;
}

/* The line of that name: its fields, or 0. */
static int
look_up(const char *path, const char *name, char **field, int n)
{
	static struct lines l;
	char *line;

	if (lines_open(&l, path) == -1)
		return 0;
	while ((line = lines_next(&l)) != NULL)
		if (cut(line, field, n) && strcmp(field[0], name) == 0) {
			close(l.fd);
			return 1;
		}
	return 0;
}

struct passwd *
getpwnam(const char *name)
{
	static struct passwd p;
	char *field[7];

	if (!look_up("/etc/passwd", name, field, 7))
		return NULL;
	p.pw_name = field[0];
	p.pw_passwd = field[1];
	p.pw_uid = (uid_t)strtoul(field[2], NULL, 10);
	p.pw_gid = (gid_t)strtoul(field[3], NULL, 10);
	p.pw_gecos = field[4];
	p.pw_dir = field[5];
	p.pw_shell = field[6];
	return &p;
}

struct group *
getgrnam(const char *name)
{
	static char *nobody;
	static struct group g;
	char *field[4];

	if (!look_up("/etc/group", name, field, 4))
		return NULL;
	g.gr_name = field[0];
	g.gr_passwd = field[1];
	g.gr_gid = (gid_t)strtoul(field[2], NULL, 10);
	g.gr_mem = &nobody; /* who its members are nobody here asks */
	return &g;
}

/* -------------------------------------------------------------------- hosts */

#define FOUND_MAX 16

struct found {
	struct addrinfo info; /* the first of a block is what is freed */
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} a;
};

/* An address in text, with "%interface" where that has a meaning. */
static int
read_address(struct found *f, const char *text, unsigned port)
{
	char host[128], *scope;

	if (strlen(text) >= sizeof host)
		return -1;
	strcpy(host, text);
	scope = strchr(host, '%');
	if (scope != NULL)
		*scope++ = '\0';
	memset(f, 0, sizeof *f);
	if (scope == NULL && inet_pton(AF_INET, host, &f->a.in.sin_addr) == 1) {
		f->a.in.sin_family = AF_INET;
		f->a.in.sin_port = htons((uint16_t)port);
		f->info.ai_addrlen = sizeof f->a.in;
	} else if (inet_pton(AF_INET6, host, &f->a.in6.sin6_addr) == 1) {
		f->a.in6.sin6_family = AF_INET6;
		f->a.in6.sin6_port = htons((uint16_t)port);
		f->info.ai_addrlen = sizeof f->a.in6;
		if (scope != NULL && (f->a.in6.sin6_scope_id =
		    if_nametoindex(scope)) == 0)
			return -1;
	} else {
		return -1;
	}
	f->info.ai_family = f->a.sa.sa_family;
	return 0;
}

/* Every address that /etc/hosts has for the name. */
static int
read_hosts(struct found *f, const char *name, unsigned port)
{
	static struct lines l;
	static const char blank[] = " \t\r";
	char *line, *word;
	int n = 0;

	if (lines_open(&l, "/etc/hosts") == -1)
		return 0;
	while ((line = lines_next(&l)) != NULL) {
		line[strcspn(line, "#")] = '\0';
		line += strspn(line, blank);
		word = line + strcspn(line, blank);
		while (*word != '\0') {
			*word++ = '\0';
			word += strspn(word, blank);
			if (strlen(name) == strcspn(word, blank) &&
			    strncmp(word, name, strlen(name)) == 0 &&
			    n < FOUND_MAX &&
			    read_address(&f[n], line, port) == 0) {
				n++;
				break;
			}
			word += strcspn(word, blank);
		}
	}
	return n;
}

int
getaddrinfo(const char *restrict host, const char *restrict port,
    const struct addrinfo *restrict hints, struct addrinfo **restrict list)
{
	struct found *f = calloc(FOUND_MAX, sizeof *f);
	unsigned long number;
	char *end;
	int n = 0, i;

	if (f == NULL)
		return EAI_MEMORY;
	number = strtoul(port, &end, 10);
	if (*end != '\0' || number > 65535) {
		free(f);
		return EAI_SERVICE;
	}
	if (host == NULL) {
		n += read_address(&f[0], "0.0.0.0", (unsigned)number) == 0;
		n += read_address(&f[1], "::", (unsigned)number) == 0;
	} else if (read_address(&f[0], host, (unsigned)number) == 0) {
		n = 1;
	} else {
		n = read_hosts(f, host, (unsigned)number);
		if (n == 0 && strcmp(host, "localhost") == 0)
			n = read_address(&f[0], "127.0.0.1",
			    (unsigned)number) == 0;
	}
	if (n == 0) {
		free(f);
		return EAI_NONAME;
	}
	for (i = 0; i < n; i++) {
		f[i].info.ai_socktype = hints->ai_socktype;
		f[i].info.ai_addr = &f[i].a.sa;
		f[i].info.ai_next = i + 1 < n ? &f[i + 1].info : NULL;
	}
	*list = &f[0].info;
	return 0;
}

void
freeaddrinfo(struct addrinfo *list)
{
	free(list);
}

const char *
gai_strerror(int error)
{
	return error == EAI_NONAME ? "not an address, and not in /etc/hosts" :
	    error == EAI_SERVICE ? "not a port" : "out of memory";
}

/* ------------------------------------------------------------------ options */

char *optarg;
int optind = 1, opterr = 1, optopt;

static int
complain(char **argv, const char *what, const char *name, size_t len)
{
	if (opterr)
		fprintf(stderr, "%s: %s: %.*s\n", argv[0], what, (int)len,
		    name);
	return '?';
}

static int
take_argument(int argc, char **argv, char *at)
{
	if (*at != '\0')
		optarg = at;
	else if (optind < argc)
		optarg = argv[optind++];
	return optarg != NULL ? 0 : -1;
}

/* Does not move operands behind the options: nobody here mixes them. */
int
getopt(int argc, char *const *args, const char *letters)
{
	static char *at; /* in a group of letters */
	char **argv = (char **)(uintptr_t)args;
	const char *p;

	optarg = NULL;
	if (at == NULL || *at == '\0') {
		at = optind < argc ? argv[optind] : NULL;
		if (at == NULL || at[0] != '-' || at[1] == '\0') {
			at = NULL;
			return -1;
		}
		optind++;
		if (strcmp(at, "--") == 0) {
			at = NULL;
			return -1;
		}
		at++;
	}
	optopt = (unsigned char)*at++;
	p = optopt == ':' ? NULL : strchr(letters, optopt);
	if (p == NULL)
		return complain(argv, "unrecognized option", at - 1, 1);
	if (p[1] == ':') {
		if (take_argument(argc, argv, at) == -1)
			return complain(argv, "option requires an argument",
			    at - 1, 1);
		at = NULL;
	}
	return optopt;
}

/* Long options may be cut, as long as only one is meant. */
int
getopt_long(int argc, char *const *args, const char *letters,
    const struct option *options, int *index)
{
	char **argv = (char **)(uintptr_t)args;
	char *name = optind < argc ? argv[optind] : NULL;
	int i, hits = 0, hit = 0;
	size_t len;

	if (name == NULL || name[0] != '-' || name[1] != '-' ||
	    name[2] == '\0')
		return getopt(argc, args, letters);
	name += 2;
	optind++;
	optarg = NULL;
	len = strcspn(name, "=");
	for (i = 0; options[i].name != NULL; i++)
		if (strncmp(options[i].name, name, len) == 0) {
			hit = i;
			hits++;
			if (options[i].name[len] == '\0') {
				hits = 1;
				break;
			}
		}
	if (hits != 1)
		return complain(argv, hits == 0 ? "unrecognized option" :
		    "ambiguous option", name, len);
	if (options[hit].has_arg == no_argument && name[len] == '=')
		return complain(argv, "option takes no argument", name, len);
	if (name[len] == '=')
		optarg = name + len + 1;
	else if (options[hit].has_arg == required_argument &&
	    take_argument(argc, argv, name + len) == -1)
		return complain(argv, "option requires an argument", name, len);
	if (index != NULL)
		*index = hit;
	return options[hit].val;
}

/* ------------------------------------------------------------------ numbers */

unsigned long
strtoul(const char *restrict text, char **restrict end, int base)
{
	const char *p = text;
	unsigned long n = 0, digit;
	int any = 0, negative = 0, over = 0;

	while (*p == ' ' || (*p >= '\t' && *p <= '\r'))
		p++;
	if (*p == '+' || *p == '-')
		negative = *p++ == '-';
	if ((base == 0 || base == 16) && p[0] == '0' && (p[1] | 32) == 'x') {
		base = 16;
		p += 2;
	}
	if (base == 0)
		base = *p == '0' ? 8 : 10;
	for (;; p++, any = 1) {
		digit = (unsigned char)*p;
		if (digit >= '0' && digit <= '9')
			digit -= '0';
		else if ((digit | 32) >= 'a' && (digit | 32) <= 'z')
			digit = (digit | 32) - 'a' + 10;
		else
			break;
		if (digit >= (unsigned long)base)
			break;
		if (n > (ULONG_MAX - digit) / (unsigned long)base)
			over = 1;
		n = n * (unsigned long)base + digit;
	}
	if (end != NULL)
		*end = (char *)(uintptr_t)(any ? p : text);
	if (over)
		errno = ERANGE;
	return over ? ULONG_MAX : negative ? 0 - n : n;
}

/* -------------------------------------------------------------------- users */

/* musl's stop all threads for these; there is one. */
#ifdef SYS_setuid32
#define CALL(name) SYS_##name##32
#else
#define CALL(name) SYS_##name
#endif

int
setuid(uid_t uid)
{
	return (int)syscall(CALL(setuid), uid);
}

int
setgid(gid_t gid)
{
	return (int)syscall(CALL(setgid), gid);
}

int
setgroups(size_t n, const gid_t *list)
{
	return (int)syscall(CALL(setgroups), n, list);
}

int
setrlimit(int resource, const struct rlimit *limit)
{
	/* rlim_t has 64 bits, here and in the kernel's prlimit64. */
	return (int)syscall(SYS_prlimit64, 0, resource, limit, NULL);
}

/* ---------------------------------------------------------------- strerror */

/* Of musl's 130 sentences those that can be the end of one of ours. */
static const char sentences[] = {
#define SAY(error, words) "\0" words
#define ERRORS \
	SAY(EPERM, "Operation not permitted") \
	SAY(ENOENT, "No such file or directory") \
	SAY(EIO, "I/O error") \
	SAY(ENXIO, "No such device or address") \
	SAY(EAGAIN, "Resource temporarily unavailable") \
	SAY(ENOMEM, "Out of memory") \
	SAY(EACCES, "Permission denied") \
	SAY(EEXIST, "File exists") \
	SAY(ENOTDIR, "Not a directory") \
	SAY(EISDIR, "Is a directory") \
	SAY(EINVAL, "Invalid argument") \
	SAY(ENFILE, "Too many open files in system") \
	SAY(EMFILE, "Too many open files") \
	SAY(ENOSPC, "No space left on device") \
	SAY(EROFS, "Read-only file system") \
	SAY(EPIPE, "Broken pipe") \
	SAY(ENAMETOOLONG, "File name too long") \
	SAY(ENOSYS, "Function not implemented") \
	SAY(ELOOP, "Too many symbolic links") \
	SAY(EADDRINUSE, "Address already in use") \
	SAY(EADDRNOTAVAIL, "Address not available") \
	SAY(EAFNOSUPPORT, "Address family not supported") \
	SAY(ENOBUFS, "No buffer space available") \
	SAY(ECONNREFUSED, "Connection refused") \
	SAY(ECONNRESET, "Connection reset by peer") \
	SAY(ETIMEDOUT, "Operation timed out")
	ERRORS
};

char *
strerror(int error)
{
#undef SAY
#define SAY(error, words) error,
	static const unsigned char errors[] = { ERRORS };
	static char number[24];
	const char *at = sentences;
	size_t i;

	for (i = 0; i < sizeof errors; i++) {
		at += strlen(at) + 1;
		if (errors[i] == error)
			return (char *)(uintptr_t)at;
	}
	snprintf(number, sizeof number, "error %d", error);
	return number;
}

#else

/* An empty translation unit is none. */
extern int ws_small;

#endif
