/* wshub: ISC licence, see LICENSE. */
/*
 * PEM texts (RFC 7468): blocks, their labels and their lines.
 *
 * The lax form of section 3 is accepted: white space may surround a BEGIN or
 * END banner, and base64 or another banner may be on the same line. Text
 * between the blocks is a comment. Text that looks like a part of a block is an
 * error, and so is a block of an unknown kind: otherwise a misspelt banner
 * would silently drop a certificate.
 */
#include <string.h>

#include "ws.h"

static const struct {
	const char *label;
	int kind;
} labels[] = {
	{ "CERTIFICATE", WS_PEM_CERTIFICATE },
	{ "X509 CERTIFICATE", WS_PEM_CERTIFICATE },
	{ "PRIVATE KEY", WS_PEM_KEY },
	{ "RSA PRIVATE KEY", WS_PEM_KEY },
	{ "EC PRIVATE KEY", WS_PEM_KEY },
	{ "ENCRYPTED PRIVATE KEY", WS_PEM_ENCRYPTED_KEY },
	{ "DSA PRIVATE KEY", WS_PEM_FOREIGN_KEY },
	{ "OPENSSH PRIVATE KEY", WS_PEM_FOREIGN_KEY },
	{ "PUBLIC KEY", WS_PEM_OTHER },
	{ "RSA PUBLIC KEY", WS_PEM_OTHER },
	{ "EC PARAMETERS", WS_PEM_OTHER },
	{ "DH PARAMETERS", WS_PEM_OTHER },
	{ "X9.42 DH PARAMETERS", WS_PEM_OTHER },
	{ "DSA PARAMETERS", WS_PEM_OTHER },
	{ "CERTIFICATE REQUEST", WS_PEM_OTHER },
	{ "NEW CERTIFICATE REQUEST", WS_PEM_OTHER },
	{ "X509 CRL", WS_PEM_OTHER }
};

static int
starts(struct ws_text text, const char *what)
{
	size_t len = strlen(what);

	return text.len >= len && memcmp(text.s, what, len) == 0;
}

static int
contains(struct ws_text text, const char *what)
{
	for (; text.len > 0; text.s++, text.len--)
		if (starts(text, what))
			return 1;
	return 0;
}

static void
skip(struct ws_pem *p, size_t n)
{
	p->left.s += n;
	p->left.len -= n;
}

/* Skips white space and byte order marks, and counts the lines. */
static void
skip_space(struct ws_pem *p)
{
	static const char mark[] = "\xef\xbb\xbf";

	while (p->left.len > 0) {
		if (starts(p->left, mark)) {
			skip(p, sizeof mark - 1);
			continue;
		}
		if (memchr(" \t\v\f\r\n", *p->left.s, 6) == NULL)
			return;
		if (*p->left.s == '\n' ||
		    (*p->left.s == '\r' && !starts(p->left, "\r\n")))
			p->line++;
		skip(p, 1);
	}
}

/* Takes the rest of the line, if dashes is set only up to the next "--". */
static struct ws_text
take_line(struct ws_pem *p, int dashes)
{
	struct ws_text line = p->left;

	while (p->left.len > 0 && *p->left.s != '\n' && *p->left.s != '\r' &&
	    !(dashes && starts(p->left, "--")))
		skip(p, 1);
	line.len -= p->left.len;
	return line;
}

/*
 * Takes a banner that begins with what; 0 if there is none. It must end with
 * five dashes; if another banner follows on the same line, that one needs five
 * of its own.
 */
static int
take_banner(struct ws_pem *p, const char *what, struct ws_text *label)
{
	struct ws_text rest = p->left;
	size_t len = strlen(what), dashes = 0;

	if (!starts(rest, what))
		return 0;
	label->s = rest.s + len;
	while (len < rest.len && rest.s[len] != '-')
		len++;
	label->len = (size_t)(rest.s + len - label->s);
	rest.s += len;
	rest.len -= len;
	for (; starts(rest, "-"); dashes++) {
		rest.s++;
		rest.len--;
	}
	if (dashes < 5 || (dashes < 10 && (starts(rest, "BEGIN ") ||
	    starts(rest, "END "))))
		return 0;
	skip(p, len + 5);
	return 1;
}

/* 1 if the line must be base64: a comment does not look like that. */
static int
is_base64(struct ws_text line)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t i;

	for (i = 0; i < line.len; i++)
		if (memchr(digits, line.s[i], sizeof digits - 1) == NULL)
			return 0;
	return line.len >= 48;
}

static int
find_kind(struct ws_text label)
{
	size_t i;

	for (i = 0; i < sizeof labels / sizeof *labels; i++)
		if (label.len == strlen(labels[i].label) &&
		    starts(label, labels[i].label))
			return labels[i].kind;
	return WS_PEM_END;
}

/* see ws.h */
int
ws_pem_fail(const struct ws_pem *p, const char *reason)
{
	return ws_fail(p->error, "line %u of the %s: %s", p->line, p->name,
	    reason);
}

/* see ws.h */
int
ws_pem_begin(struct ws_pem *p)
{
	struct ws_text line;
	int kind;

	for (;;) {
		skip_space(p);
		if (p->left.len == 0)
			return WS_PEM_END;
		if (take_banner(p, "-----BEGIN ", &p->label)) {
			kind = find_kind(p->label);
			if (kind == WS_PEM_END)
				return ws_pem_fail(p, "a block of an unknown "
				    "kind");
			p->begin = p->line;
			skip_space(p);
			/* RFC 1421's header for an encrypted key. */
			if (kind == WS_PEM_KEY && starts(p->left, "Proc-Type:"))
				kind = WS_PEM_ENCRYPTED_KEY;
			return kind;
		}
		line = take_line(p, 0);
		if (memchr(line.s, '\0', line.len) != NULL)
			return ws_pem_fail(p, "a NUL byte: PEM is plain text "
			    "(not DER, not UTF-16)");
		if (starts(line, "-----B") ||
		    (contains(line, "BEGIN") && contains(line, "--")))
			return ws_pem_fail(p, "\"-----BEGIN ...-----\" is "
			    "misspelt");
		if (contains(line, "-----END "))
			return ws_pem_fail(p, "END without BEGIN");
		if (is_base64(line))
			return ws_pem_fail(p, "base64, but there is no "
			    "\"-----BEGIN ...-----\" before it");
	}
}

/* see ws.h */
int
ws_pem_line(struct ws_pem *p, struct ws_text *line)
{
	struct ws_text label;

	skip_space(p);
	if (p->left.len == 0) {
		p->line = p->begin;
		return ws_pem_fail(p, "the block that begins here has no END");
	}
	if (!take_banner(p, "-----END ", &label)) {
		*line = take_line(p, 1);
		return line->len > 0 ? 1 : ws_pem_fail(p,
		    "\"-----END ...-----\" is wanted here, or base64");
	}
	if (label.len != p->label.len ||
	    memcmp(label.s, p->label.s, label.len) != 0)
		return ws_pem_fail(p, "END has another label than its BEGIN");
	return 0;
}
