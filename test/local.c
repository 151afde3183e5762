/* wshub: ISC licence, see LICENSE. */
/*
 * Tests of local.c.
 *
 * A backend's stream is written down as a script: what it sends, and what
 * happens meanwhile. In scripts
 *
 *   '    stands for "
 *   + -  the broker acknowledges a command, or says that it is "gone"
 *   @    all that was received has been fed
 *   $    the backend will send no more
 *   |    shows in the expected replies what had been written by then
 *
 * Each is played whole and byte by byte. A channel "full" cannot be published
 * to. Random streams must be answered as control.c answers them.
 */
#define _GNU_SOURCE /* MAP_ANONYMOUS */
#include <sys/types.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "../local.c"
#define add watch_add
#include "../watch.c"
#undef add
#undef malloc
#undef calloc
#undef realloc
#undef free

#include "test.h"

#define ROOM 300000
#define LONG 700 /* bytes: more than memory is first asked for */

static struct ws_local local;
static char topics[ROOM]; /* TOPIC=PAYLOAD; of what was published */
static size_t topics_len;
static unsigned published, answered;

static int
publish(struct ws_local *l, struct ws_text topic, struct ws_text payload,
    char detail[WS_ERROR_MAX])
{
	EXPECT(l == &local, "another backend's");
	if (topic.len == 12 && memcmp(topic.s, "channel/full", 12) == 0)
		return ws_fail(detail, "no room");
	if (topics_len + topic.len + payload.len + 2 < sizeof topics) {
		memcpy(topics + topics_len, topic.s, topic.len);
		topics_len += topic.len;
		topics[topics_len++] = '=';
		memcpy(topics + topics_len, payload.s, payload.len);
		topics_len += payload.len;
		topics[topics_len++] = ';';
		topics[topics_len] = '\0';
	}
	EXPECT(payload.len < 100 || payload.s[payload.len - 1] == '"',
	    "%zu bytes of payload without the end", payload.len);
	published++;
	return 0;
}

static void
begin(void)
{
	memset(&local, 0, sizeof local);
	local.publish = publish;
	topics_len = published = answered = 0;
	topics[0] = '\0';
	calls = fail_at = fail_from = 0;
}

static void
answer(const char *error)
{
	answered++;
	ws_local_answer(&local, error);
}

/* Feeds it all, in copies that end at a page. */
static void
feed(const char *s, size_t len)
{
	char *copy = test_guard(s, len);
	size_t used = ws_local_feed(&local, copy, len);

	test_unguard(copy, len);
	EXPECT(used == len, "took %zu of %zu bytes", used, len);
}

#define ALL "{'action':'multicast','data':1}"
#define NEWS "{'action':'sendToChannel','channel':'a b','data':[2]}"
#define FULL "{'action':'sendToChannel','channel':'full','data':3}"
#define ONE "{'action':'sendToDevice','device':7,'data':null}"
#define JOIN "{'action':'subscribe','device':'d','channel':'c'}"
#define OTHERS "{'action':'multicast','data':4,'except':'d'}"
#define QUESTION "a question is for the hub's own socket"

static const struct {
	const char *script, *replies;
	const char *topics; /* NULL: nothing is published */
	unsigned errors;
} cases[] = {
	{ ALL, "", "all=1;", 0 },
	{ ALL "|+", "|OK", "all=1;", 0 },
	{ ALL "|+|\n", "|OK| relayed\n", "all=1;", 0 },
	{ ALL "\n|+", "|OK relayed\n", "all=1;", 0 },
	{ ALL " \t\r\n\n|+|\n", "|OK relayed\n|", "all=1;", 0 },
	{ ALL "|-", "|ERR", "all=1;", 1 },
	{ ALL "\n|-", "|ERR gone\n", "all=1;", 1 },
	{ ALL "-|\n", "ERR| gone\n", "all=1;", 1 },
	/* A newline is of the last text only. */
	{ ALL ALL "\n|+|+", "|OK|OK relayed\n", "all=1;all=1;", 0 },
	{ ALL "\n" ALL "|++|\n", "|OK relayed\nOK| relayed\n",
	    "all=1;all=1;", 0 },
	{ ALL "+" ALL "|\n|+", "OK||OK relayed\n", "all=1;all=1;", 0 },
	{ ALL "+{|\n}", "OK|ERR", "all=1;", 1 },
	/* Every topic. */
	{ NEWS "+", "OK", "channel/a%20b=[2];", 0 },
	{ ONE "+", "OK", "device/7=null;", 0 },
	{ JOIN "+", "OK", "order=" JOIN ";", 0 },
	{ OTHERS "+", "OK", "order=" OTHERS ";", 0 },
	{ "{'action':'kick','device':'d'}+", "OK",
	    "order={'action':'kick','device':'d'};", 0 },
	/* Errors wait until it is their turn. */
	{ FULL "\n", "ERR no room\n", NULL, 1 },
	{ ALL FULL "\n" ALL "|+|+", "|OKERR no room\n|OK",
	    "all=1;all=1;", 1 },
	{ ALL "\n{'action':'nope'}\n" ALL "\n|+|-",
	    "|OK relayed\nERR unknown action 'nope'\n|ERR gone\n",
	    "all=1;all=1;", 2 },
	{ "{}\n", "ERR no 'action'\n", NULL, 1 },
	{ "[]\n", "ERR not an object\n", NULL, 1 },
	{ "{'action':'multicast'}\n", "ERR no 'data'\n", NULL, 1 },
	{ "{'action':'kick'}\n", "ERR no 'device'\n", NULL, 1 },
	/* Questions. */
	{ "{'action':'count'}\n", "ERR " QUESTION "\n", NULL, 1 },
	{ "{'action':'list'}{'action':'channels'}{'action':'stats'}",
	    "ERRERRERR", NULL, 3 },
	{ "{'action':'info','device':'d'}\n", "ERR " QUESTION "\n", NULL, 1 },
	{ ALL "{'action':'watch'}\n|+", "|OKERR " QUESTION "\n",
	    "all=1;", 1 },
	/* What is no JSON, without lines and with them. */
	{ "x y" ALL "|@|\n" ALL "+", "|ERR| not JSON at byte 0: *\nOK",
	    "all=1;", 1 },
	{ "x\n" ALL "+", "ERR not JSON at byte 0: *\nOK", "all=1;", 1 },
	{ ALL "x|@|+", "||OKERR", "all=1;", 1 },
	{ ALL "\nx|@ y|+\n" ALL "+",
	    "||OK relayed\nERR not JSON at byte 0: *\nOK", "all=1;all=1;", 1 },
	{ "{}\nx|@ y" ALL "\n" ALL "+",
	    "ERR no 'action'\nERR| not JSON at byte 0: *\nOK", "all=1;", 2 },
	{ "[]\nx|@|" ALL "+", "ERR not an object\n|ERR|OK", "all=1;", 2 },
	/* The end. */
	{ ALL "{'a|$|+", "||OKERR", "all=1;", 1 },
	{ "{'a|$", "|ERR", NULL, 1 },
	{ "{}\n{|$", "ERR no 'action'\n|ERR", NULL, 2 },
	{ "x|$", "|ERR", NULL, 1 },
	{ "1$", "ERR", NULL, 1 },
	{ " \n$", "", NULL, 0 },
};

/* Replaces ' by ". */
static void
quote(char *to, const char *from)
{
	size_t i;

	for (i = 0; from[i] != '\0'; i++)
		to[i] = from[i] == '\'' && strncmp(from + i, "'s own", 6) != 0 ?
		    '"' : from[i];
	to[i] = '\0';
}

/* Whether got is what want says: * is anything up to a newline. */
static int
fits(const char *got, const char *want)
{
	for (; *want != '\0'; want++) {
		if (*want == '*')
			got += strcspn(got, "\n");
		else if (*got++ != *want)
			return 0;
	}
	return *got == '\0';
}

static void
play(unsigned number, int bytes)
{
	static char replies[ROOM];
	char script[1000], want[1000], want_topics[1000];
	const char *p;
	size_t n, len = 0;

	begin();
	quote(script, cases[number].script);
	quote(want, cases[number].replies);
	quote(want_topics, cases[number].topics == NULL ? "" :
	    cases[number].topics);
	for (p = script; *p != '\0'; p += n) {
		n = 1;
		switch (*p) {
		case '+':
			answer(NULL);
			break;
		case '-':
			answer("gone");
			break;
		case '@':
			ws_local_resync(&local);
			break;
		case '$':
			ws_local_end(&local);
			break;
		case '|':
			if (local.out.len != 0)
				memcpy(replies + len, local.out.s,
				    local.out.len);
			len += local.out.len;
			ws_output_remove(&local.out, local.out.len);
			replies[len++] = '|';
			break;
		default:
			n = bytes ? 1 : strcspn(p, "+-@$|");
			feed(p, n);
			break;
		}
	}
	if (local.out.len != 0)
		memcpy(replies + len, local.out.s, local.out.len);
	replies[len + local.out.len] = '\0';
	EXPECT(fits(replies, want), "%s\n      got  \"%s\"\n      want \"%s\"",
	    script, replies, want);
	EXPECT(strcmp(topics, want_topics) == 0, "%s: published %s, not %s",
	    script, topics, want_topics);
	EXPECT(local.errors == cases[number].errors, "%s: %u errors, not %u",
	    script, (unsigned)local.errors, cases[number].errors);
	ws_local_free(&local);
	EXPECT(live == 0, "%s: %ld blocks are left", script, live);
}

/* ------------------------------------------------------------------ limits */

static void
try_limits(void)
{
	static const char one[] = "{\"action\":\"multicast\",\"data\":1}";
	static const char number[] = "{\"action\":\"sendToDevice\","
	    "\"device\":5,\"data\":\"";
	static char many[300 * sizeof one], longest[WS_TEXT_MAX + 100];
	char error[WS_ERROR_MAX];
	size_t len = 0, used, k;
	unsigned i;

	CASE("local: no more commands than WS_LOCAL_FLIGHT wait for a reply");
	begin();
	for (i = 0; i < 300; i++) {
		memcpy(many + len, one, sizeof one - 1);
		len += sizeof one - 1;
		many[len++] = '\n';
	}
	used = ws_local_feed(&local, many, len);
	EXPECT(published == WS_LOCAL_FLIGHT &&
	    used == WS_LOCAL_FLIGHT * sizeof one,
	    "%u commands, %zu bytes", published, used);
	EXPECT(ws_local_feed(&local, many + used, len - used) == 0,
	    "took more");
	answer(NULL);
	k = ws_local_feed(&local, many + used, len - used);
	EXPECT(k == sizeof one, "after an answer it took %zu bytes", k);
	used += k;
	while (answered < published)
		answer(NULL);
	used += ws_local_feed(&local, many + used, len - used);
	while (answered < published)
		answer(NULL);
	EXPECT(used == len && published == 300 &&
	    local.out.len == 300 * strlen("OK relayed\n"),
	    "%u commands, %zu bytes of replies", published, local.out.len);
	ws_local_free(&local);

	CASE("local: an invalid text and the end find room for their reply");
	for (i = 0; i < 2; i++) {
		begin();
		for (k = 0; k < WS_LOCAL_FLIGHT - 1; k++)
			feed(one, sizeof one - 1);
		feed(i == 0 ? "x" : "{", 1);
		ws_local_end(&local);
		EXPECT(local.count == WS_LOCAL_FLIGHT, "%u wait", local.count);
		while (answered < published)
			answer(NULL);
		EXPECT(local.count == 0 && local.errors == 1 &&
		    local.out.len == 2 * (WS_LOCAL_FLIGHT - 1) + 3,
		    "%u wait, %zu bytes", local.count, local.out.len);
		ws_local_free(&local);
	}

	CASE("local: a backend that does not read its replies has to wait");
	begin();
	for (i = 0; i < 1000000; i++)
		if (ws_local_feed(&local, "{}\n", 3) < 3)
			break;
	EXPECT(i < 1000000 && local.out.len >= WS_REPLIES_MAX &&
	    local.out.len < WS_REPLIES_MAX + 1000, "%zu bytes of replies",
	    local.out.len);
	ws_output_remove(&local.out, local.out.len);
	feed("{}\n", 3);
	ws_local_free(&local);

	CASE("local: a text may have WS_TEXT_MAX bytes");
	for (i = 0; i < 2; i++) {
		begin();
		memset(longest, ' ', sizeof longest);
		memcpy(longest, one, sizeof one - 2);
		longest[WS_TEXT_MAX - 1 + i] = '}';
		longest[WS_TEXT_MAX + i] = '\n';
		feed(longest, WS_TEXT_MAX / 2);
		feed(longest + WS_TEXT_MAX / 2, WS_TEXT_MAX / 2 + 1 + i);
		EXPECT(published == 1 - i, "%u were published", published);
		if (i == 1)
			EXPECT(local.out.len == 30 && memcmp(local.out.s,
			    "ERR longer than 1048576 bytes\n", 30) == 0,
			    "%zu bytes: %.40s", local.out.len, local.out.s);
		ws_local_free(&local);
	}

	CASE("local: one that a relay cannot make a command of again");
	for (i = 0; i < 3; i++) {
		begin();
		memset(longest, 'a', WS_TEXT_MAX - i);
		memcpy(longest, number, sizeof number - 1);
		memcpy(longest + WS_TEXT_MAX - i - 2, "\"}", 2);
		feed(longest, WS_TEXT_MAX - i);
		feed("\n", 1);
		EXPECT(published == (i == 2) && (i == 2 || (local.out.len ==
		    35 && memcmp(local.out.s, "ERR longer than 1 MiB as a "
		    "command\n", 35) == 0)), "%u bytes less: %u, %.40s", i,
		    published, local.out.len == 0 ? "" : local.out.s);
		ws_local_free(&local);
	}

	CASE("local: a long error of the broker is cut");
	begin();
	memset(error, 'e', sizeof error - 1);
	error[sizeof error - 1] = '\0';
	feed(one, sizeof one - 1);
	feed("\n", 1);
	answer(error);
	EXPECT(local.out.len == 4 + sizeof error - 1 + 1, "%zu bytes",
	    local.out.len);
	ws_local_free(&local);
	EXPECT(live == 0, "%ld blocks are left", live);
}

/* ------------------------------------------------------------------ random */

static uint32_t seed;

static unsigned
dice(unsigned sides)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % sides;
}

static int
deliver(struct ws_session *s, struct ws_frame *f, void *arg)
{
	(void)s;
	(void)f;
	(void)arg;
	return 1;
}

static const struct ws_owner owner = { deliver, NULL, NULL, NULL };

/* What the hub answers; "OK 0\n" becomes "OK relayed\n". Returns the length. */
static size_t
ask_hub(const char *s, size_t len, char *replies)
{
	struct ws_hub h;
	struct ws_control c;
	size_t i, n = 0;

	memset(&c, 0, sizeof c);
	if (ws_hub_init(&h, &owner, NULL) != 0)
		exit(1);
	h.budget = INT64_MAX / 2;
	i = ws_control_feed(&h, &c, s, len);
	EXPECT(i == len, "the hub took %zu of %zu bytes", i, len);
	ws_control_end(&c);
	for (i = 0; i < c.out.len; i++) {
		if (c.out.len - i >= 5 &&
		    memcmp(c.out.s + i, "OK 0\n", 5) == 0) {
			n += (size_t)sprintf(replies + n, "OK relayed\n");
			i += 4;
		} else {
			replies[n++] = c.out.s[i];
		}
	}
	ws_control_free(&c);
	ws_hub_free(&h);
	return n;
}

static void
try_random(void)
{
	static const char *const parts[] = {
		"{\"action\":\"multicast\",\"data\":{\"a\":[\"}\\\"\"]}}",
		"{\"action\":\"multicast\",\"data\":1}",
		"{\"action\":\"sendToChannel\",\"channel\":\"c\",\"data\":2}",
		"{\"action\":\"sendToDevice\",\"device\":3,\"data\":\"\"}",
		"{\"action\":\"OK 0\"}", "{}", "[1,2]", "17 ", "tru", "{]",
		"\"\\x", "{\"action\":7}", "\n", "\n", "\n", "\n", " \n", "\r\n"
	};
	static char stream[4000], want[ROOM], got[ROOM];
	size_t len, want_len, got_len, at, n, used;
	unsigned round, rounds = test_emulated() ? 300 : 6000, i;
	const char *part;

	CASE("local: in any pieces, with acknowledgements at any time");
	for (round = 0; round < rounds; round++) {
		seed = round;
		len = 0;
		for (i = dice(60); i > 0; i--) {
			part = parts[dice(sizeof parts / sizeof *parts)];
			memcpy(stream + len, part, strlen(part));
			len += strlen(part);
		}
		want_len = ask_hub(stream, len, want);
		begin();
		got_len = 0;
		for (at = 0; at < len || answered < published;) {
			n = round % 3 == 0 ? len : 1 + dice(round % 50 + 1);
			if (n > len - at)
				n = len - at;
			used = ws_local_feed(&local, stream + at, n);
			EXPECT(used == n, "round %u: took %zu of %zu", round,
			    used, n);
			at += n;
			while (answered < published && dice(3) == 0)
				answer(NULL);
			if (dice(2) == 0)
				continue;
			n = dice((unsigned)local.out.len + 1);
			if (n != 0)
				memcpy(got + got_len, local.out.s, n);
			got_len += n;
			ws_output_remove(&local.out, n);
		}
		ws_local_end(&local);
		if (local.out.len != 0)
			memcpy(got + got_len, local.out.s, local.out.len);
		got_len += local.out.len;
		EXPECT(got_len == want_len && memcmp(got, want, got_len) == 0,
		    "round %u: %.*s\n    got  %.*s\n    want %.*s", round,
		    (int)len, stream, (int)got_len, got, (int)want_len, want);
		ws_local_free(&local);
		EXPECT(live == 0, "round %u: %ld blocks are left", round, live);
	}
}

/* ------------------------------------------------------------------ memory */

/*
 * Each call of malloc fails in its turn: no reply may be lost unless out.failed
 * says so, and a command that was not published is not OK.
 */
static void
try_memory(void)
{
	static const char begins[] = "{\"action\":\"multicast\",\"data\":\"";
	static const char rest[] = "\"}\n{\"action\":\"no\"}\nx\n"
	    "{\"action\":\"multicast\",\"data\":2}\n";
	static char stream[sizeof begins + LONG + sizeof rest];
	unsigned n, lines, oks, most = 0, step, refused = 0;
	size_t i, k, len = sizeof begins - 1 + LONG + sizeof rest - 1;

	memset(stream, 'a', sizeof stream);
	memcpy(stream, begins, sizeof begins - 1);
	memcpy(stream + len - (sizeof rest - 1), rest, sizeof rest - 1);
	CASE("local: without memory a reply is ERR, or the connection fails");
	for (step = 1; step < len; step += step < 40 ? 13 : LONG / 8) {
		for (n = 1;; n++) {
			begin();
			fail_at = n;
			for (i = 0; i < len; i += k) {
				k = len - i;
				if (k > step)
					k = step;
				feed(stream + i, k);
				if (i > len / 2 && answered < published)
					answer("gone");
			}
			while (answered < published)
				answer(NULL);
			ws_local_end(&local);
			fail_at = 0;
			for (lines = oks = 0, i = 0; i < local.out.len; i++) {
				lines += local.out.s[i] == '\n';
				oks += local.out.len - i > 2 &&
				    memcmp(local.out.s + i, "OK ", 3) == 0;
			}
			EXPECT(local.count == 0, "call %u: %u wait", n,
			    local.count);
			EXPECT(local.out.failed || (lines >= 3 &&
			    oks <= published), "call %u, step %u: %.*s", n,
			    step, (int)local.out.len, local.out.s);
			refused += calls >= n;
			if (calls < n)
				break;
			ws_local_free(&local);
			EXPECT(live == 0, "call %u: %ld blocks are left", n,
			    live);
		}
		most = n > most ? n : most;
		ws_local_free(&local);
	}
	EXPECT(most > 5 && refused > 10, "only %u calls, %u refused", most,
	    refused);
}

int
main(void)
{
	unsigned i;

	CASE("local: streams, with acknowledgements at many moments");
	for (i = 0; i < sizeof cases / sizeof *cases; i++) {
		play(i, 0);
		play(i, 1);
	}
	try_limits();
	try_random();
	try_memory();
	return test_end();
}
