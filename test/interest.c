/* wshub: ISC licence, see LICENSE. */
/*
 * Tests of interest.c: what the hub tells, and what is subscribed to.
 */
#define _GNU_SOURCE
#include "../interest.c"
#include "test.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

static struct ws_interest interest;

static void
line(const char *event, char channel)
{
	char text[100];
	const char *error = "";
	int r;

	snprintf(text, sizeof text, channel == 0 ? "{\"event\":\"%s\"}" :
	    "{\"event\":\"%s\",\"channel\":\"%c\"}", event, channel);
	r = ws_interest_line(&interest, text, strlen(text), &error);
	EXPECT(r == (strcmp(event, "lost") == 0), "%s: %d, %s", text, r, error);
}

/* Appends what has to be sent: "+a" or "-a" for each channel, and ";". */
static void
told(char *out)
{
	static unsigned char filters[WS_INTEREST_BATCH];
	size_t len, at, n;
	unsigned type, count;

	while ((len = ws_interest_filters(&interest, "p", filters, &type,
	    &count)) != 0)
		for (at = 0; at < len; at += n) {
			n = 2u + filters[at + 1];
			sprintf(out + strlen(out), "%c%c",
			    type == WS_MQTT_SUBSCRIBE ? '+' : '-',
			    filters[at + n - 1]);
			n += type == WS_MQTT_SUBSCRIBE;
		}
	strcat(out, ";");
}

/*
 * Steps: F a new connection to the hub; L events are lost, and it is asked
 * again; R the end of a snapshot; +a -a channel a has come, has gone; ~a nobody
 * has taken a message to a; N a new connection to the broker; ? what is sent.
 */
static const struct { const char *name, *steps, *want; } cases[] = {
	{ "a snapshot, and events", "F+a+bR?+c?-a?", "+a+b;+c;-a;" },
	{ "gone before it was sent", "FR+a-a?", ";" },
	{ "gone, and here again", "F+aR?-a+a?", "+a;;" },
	{ "not in the next snapshot", "F+a+bR?L+aR?", "+a+b;-b;" },
	{ "nothing goes before the end", "F+a+bR?L+a?", "+a+b;;" },
	{ "lost within a snapshot", "F+a+bR?L+bL+cR?+a+b+cR?",
	    "+a+b;+c;;" },
	{ "the same, and one is gone", "F+a+bR?L+aL+cR?+a+cR?",
	    "+a+b;+c;-b;" },
	{ "lost three times", "F+a+bR?LLLRR?+aR?", "+a+b;;-b;" },
	{ "a hub that ends within a snapshot", "F+a+bR?L+aF+aR?",
	    "+a+b;-b;" },
	{ "more rounds than two", "F+a+bR?LFLF+aRR?", "+a+b;-b;" },
	{ "a new connection to the broker", "F+aR?N?-aN?", "+a;+a;;" },
	{ "a stale subscription", "FR~a?", "-a;" },
	{ "wanted by now", "FR~a+a?", "+a;" },
	{ "wanted, and gone", "FR~a+a-a?", "-a;" },
	{ "it is subscribed to: nobody was there just now", "F+aR?~a?", "+a;;" },
	{ "in flight after the end", "F+aR?-a?~a+a?", "+a;-a;+a;" }
};

static void
steps(void)
{
	const char *s;
	char out[200];
	struct ws_text topic;
	char text[] = "channel/a";
	size_t i;

	topic.s = text;
	topic.len = strlen(text);
	for (i = 0; i < LEN(cases); i++) {
		CASE(cases[i].name);
		memset(&interest, 0, sizeof interest);
		EXPECT(ws_interest_init(&interest) == 0, "no random bytes");
		*out = '\0';
		for (s = cases[i].steps; *s != '\0'; s++)
			switch (*s) {
			case 'F':
				ws_interest_begin(&interest, 1);
				break;
			case 'L':
				line("lost", 0);
				ws_interest_begin(&interest, 0);
				break;
			case 'R':
				line("ready", 0);
				break;
			case 'N':
				ws_interest_forget(&interest);
				break;
			case '?':
				told(out);
				break;
			case '+':
				line("channel_occupied", *++s);
				break;
			case '-':
				line("channel_vacated", *++s);
				break;
			case '~':
				text[8] = *++s;
				ws_interest_stale(&interest, topic);
				break;
			}
		EXPECT(strcmp(out, cases[i].want) == 0, "%s: \"%s\", not \"%s\"",
		    cases[i].steps, out, cases[i].want);
		ws_interest_free(&interest);
	}
}

int
main(void)
{
	steps();
	return test_end();
}
