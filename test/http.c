/* wshub: ISC licence, see LICENSE. */
/*
 * Tests of http.c.
 *
 * A wrong head is written up to the byte that gives it away and no further:
 * every shorter prefix must be WS_MORE, that byte must be refused, and anything
 * after it must change nothing.
 */
#define _GNU_SOURCE
#include <ctype.h>

#include "../http.c"
#include "test.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

#define GET "GET /chat HTTP/1.1\r\n"
#define HOST "Host: server.example.com\r\n"
#define UP "Upgrade: websocket\r\n"
#define CO "Connection: Upgrade\r\n"
#define VE "Sec-WebSocket-Version: 13\r\n"
#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define KE "Sec-WebSocket-Key: " KEY "\r\n"
#define ALL HOST UP CO VE KE
#define END "\r\n"

static const char *const speaks[] = { "chat", "v2.chat", "x!#$%&'*+-.^_`|~",
    NULL };
static const struct ws_http serves = { "/health", speaks, NULL, NULL };
static const struct ws_http *beside; /* what is served beside ws:// */

/* A call with the input right before an unmapped page. */
static ssize_t
request(struct ws_head *h, const char *head, size_t len, struct ws_request *r)
{
	memset(r, 0xee, sizeof(*r));
	return ws_request(h, beside, test_place(head, len), len, r);
}

/* A head's beginning, at once. */
static ssize_t
read_head(const char *head, size_t len, struct ws_request *r)
{
	struct ws_head h = { 0 };

	return request(&h, head, len, r);
}

/*
 * Tries every beginning of head: at once, in two parts, and byte by byte; and
 * with more after it.
 */
static void
head_is(const char *head, size_t len, int status)
{
	static char more[WS_HEAD_MAX + 64];
	struct ws_head bytes = { 0 }, parts;
	struct ws_request r, s;
	ssize_t n, m, want = status == 400 || status == 431 ? WS_BAD :
	    (ssize_t)len;
	size_t i;

	memcpy(more, head, len);
	memcpy(more + len, "\r\n\x81\x80\n\0 :x", 9);
	for (i = 0; i <= len + 9; i++) {
		n = read_head(more, i, &r);
		if (i < len) {
			EXPECT(n == WS_MORE,
			    "%zu bytes of \"%.*s\": %zd, %d %s", i, (int)i,
			    head, n, n == WS_BAD ? r.status : 0,
			    n == WS_BAD ? r.reason : "");
			if (n != WS_MORE)
				return;
			/* Of a long head not each of its bytes. */
			if (len > 5000 && i > 300 && i < len - 300)
				i += 99;
			memset(&parts, 0, sizeof(parts));
			n = request(&parts, more, i, &s);
			m = request(&bytes, more, i, &s);
			EXPECT(n == WS_MORE && m == WS_MORE && bytes.at == i,
			    "%zu bytes of \"%.*s\": %zd, %zd, at %u", i,
			    (int)i, head, n, m, bytes.at);
			m = request(&parts, more, len, &s);
			EXPECT(m == want && s.status == status, "\"%s\" cut at "
			    "%zu: %zd, %d", head, i, m, s.status);
			continue;
		}
		EXPECT(n == want, "\"%s\", %zu of %zu bytes: %zd, not %zd",
		    head, i, len, n, want);
		if (n == WS_MORE)
			return;
		EXPECT(r.status == status, "\"%s\": %d %s, not %d", head,
		    r.status, r.reason, status);
		EXPECT((strlen(r.reason) != 0) == (status != 101) &&
		    strlen(r.reason) < 64, "%d: \"%s\"", status, r.reason);
		EXPECT((r.key != NULL) == (status == 101),
		    "%d: key %s", status, r.key != NULL ? "" : "lacks");
		if (i == len) {
			m = request(&bytes, more, i, &s);
			EXPECT(m == want && s.status == status &&
			    s.subprotocol == r.subprotocol &&
			    s.reason == r.reason,
			    "\"%s\" byte by byte: %zd, %d", head, m, s.status);
		}
	}
}

static void
heads(const char *name, int status, const char *const *list, size_t n)
{
	size_t i;

	CASE(name);
	for (i = 0; i < n; i++)
		head_is(list[i], strlen(list[i]), status);
}

static const char *const real[] = {
	/* Chrome */
	"GET /ws?token=abc%20d HTTP/1.1\r\nHost: localhost:8080\r\n"
	"Connection: Upgrade\r\nPragma: no-cache\r\nCache-Control: no-cache\r\n"
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML,"
	" like Gecko) Chrome/129.0.0.0 Safari/537.36\r\nUpgrade: websocket\r\n"
	"Origin: http://localhost:8000\r\nSec-WebSocket-Version: 13\r\n"
	"Accept-Encoding: gzip, deflate, br, zstd\r\n"
	"Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\nCookie: a=b; c=\"d\"\r\n"
	"Sec-WebSocket-Key: 4Vd2G8sUWxrnpLcVjmzIZg==\r\n"
	"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"
	"\r\n\r\n",
	/* Firefox */
	"GET / HTTP/1.1\r\nHost: [::1]:8080\r\nUser-Agent: Mozilla/5.0 (X11; "
	"Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\nAccept: */*"
	"\r\nAccept-Language: en-US,en;q=0.5\r\n"
	"Accept-Encoding: gzip, deflate, br, zstd\r\n"
	"Sec-WebSocket-Version: 13\r\nOrigin: null\r\n"
	"Sec-WebSocket-Extensions: permessage-deflate\r\n"
	"Sec-WebSocket-Key: sN9cRrP/n9NdMgdcy2VJFQ==\r\nDNT: 1\r\n"
	"Connection: keep-alive, Upgrade\r\nSec-Fetch-Dest: empty\r\n"
	"Sec-Fetch-Mode: websocket\r\nSec-Fetch-Site: same-site\r\n"
	"Pragma: no-cache\r\nCache-Control: no-cache\r\n"
	"Upgrade: websocket\r\n\r\n",
	/* Safari */
	"GET /push HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
	"Host: push.example.org\r\nOrigin: https://push.example.org\r\n"
	"Pragma: no-cache\r\nCache-Control: no-cache\r\n"
	"Sec-WebSocket-Key: kZr2VYb0WQ8E4vKfY2nTXg==\r\n"
	"Sec-WebSocket-Version: 13\r\n"
	"Sec-WebSocket-Extensions: x-webkit-deflate-frame\r\n"
	"User-Agent: Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) "
	"AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.6 Safari/605.1.15"
	"\r\n\r\n",
	/* curl 8 */
	"GET / HTTP/1.1\r\nHost: localhost:8080\r\nUser-Agent: curl/8.5.0\r\n"
	"Accept: */*\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
	"Sec-WebSocket-Key: 2pGIZtWS1pNRL8Sv0dsl3w==\r\n"
	"Connection: Upgrade\r\n\r\n",
	/* PHP: Ratchet/Pawl */
	"GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: Ratchet-Pawl/"
	"0.4.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
	"Sec-WebSocket-Version: 13\r\n"
	"Sec-WebSocket-Key: Gd7bM4fY9Q5mvb3S5lZf0Q==\r\n\r\n",
	/* PHP: textalk/websocket, field names in lower case */
	"GET / HTTP/1.1\r\nhost: 127.0.0.1:8080\r\n"
	"user-agent: websocket-client-php\r\nconnection: Upgrade\r\n"
	"upgrade: websocket\r\nsec-websocket-key: jbVg6EhXk3o1Zp1rQyG2Zg=="
	"\r\nsec-websocket-version: 13\r\n\r\n",
	/* python-websockets */
	"GET / HTTP/1.1\r\nHost: localhost:8765\r\nUpgrade: websocket\r\n"
	"Connection: Upgrade\r\nSec-WebSocket-Key: eH2tYmWlbc5VRZoAvQZ3AA=="
	"\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Extensions: "
	"permessage-deflate; client_max_window_bits\r\n"
	"User-Agent: Python/3.11 websockets/12.0\r\n\r\n"
};

static const char *const odd[] = {
	GET ALL END,
	"\r\n" GET ALL END, "\r\n\r\n\r\n\r\n\r\n" GET ALL END,
	"GET /chat HTTP/1.9\r\n" ALL END,
	GET "Host:\r\n" UP CO VE KE END,
	GET "hOST:\t h:80\t \r\n" UP CO VE KE END,
	GET HOST "Upgrade: h2c, WebSocket\r\n" CO VE KE END,
	GET HOST "Upgrade: h2c\r\nupgrade:\t,,websocket ,\r\n" CO VE KE END,
	GET HOST UP "Connection: keep-alive\r\n" CO VE KE END,
	GET HOST UP CO "Connection: keep-alive\r\n" VE KE END,
	GET HOST UP "Upgrade: h2c\r\n" CO VE KE END,
	GET HOST UP "CONNECTION:close,UPGRADE\r\n" VE KE END,
	GET HOST UP CO "Sec-WebSocket-Version:13  \r\n" KE END,
	GET HOST UP CO VE "Sec-WebSocket-Key:\t" KEY "\t\r\n" END,
	/* its low bits are not zero; other letters */
	GET HOST UP CO VE "sec-websocket-key: dGhlIHNhbXBsZSBub25jZf==\r\n"
	    END,
	GET HOST UP CO VE "sec-websocket-key: ++//++//AZaz09AZaz09+/==\r\n"
	    END,
	GET ALL "Content-Length: 0\r\n" END,
	GET ALL "X-Empty:\r\nX:::\r\n!#$%&'*+-.^_`|~09azAZ: \t\x80\xff\r\n" END,
	GET ALL "Upgrad: x\r\nUpgrades: x\r\nHosts: x\r\n" END
};

static const char *const bad[] = {
	/* the request line */
	" ", "\r\r", "\rG", "\n", "\r\n\n", "\r\n ", "\r\n\r\r",
	"\r\n\r\n\x16", "\x7f", "\x80", ":", "(", "GET\t", "GET\r", "GET\n",
	"\x16", "G\x16", "GET  ", "GET \r", "GET \n", "GET \t",
	"GET /\r", "GET /\n", "GET /\t", "GET /\x1f", "GET /\x7f", "GET /  ",
	"GET / \r", "GET / \n", "GET / h", "GET / HTTP/1.1 ",
	"GET / HTTP/1.1\n",
	"GET / HTTP/0", "GET / HTTP/2", "GET / HTTP/11", "GET / HTTP/1/",
	"GET / HTTP/1./", "GET / HTTP/1.:", "GET / HTTP/1.\r",
	"GET / HTTP/1.10",
	"GET / HTTP/1.1\r ", "GET / HTTP/1.1\r\r", "GET / HTTP ",
	"GET / x", "PRI ",
	/* lines */
	GET "\n", GET "\r\r", GET "\ra", GET " ", GET "\t", GET HOST " ",
	GET HOST "\t", GET "Host: h\n", GET "Host\n", GET "H\r",
	GET "Host: h\rx",
	GET ":", GET HOST ":", GET "Host ", GET "Host\t", GET "a@", GET "a(",
	GET "a\x80", GET "\xff", GET "a\x7f", GET "a,", GET "X: \x01",
	GET "X: a\x1f", GET "X: a\x08", GET "X: \x7f", GET ALL "\rx",
	GET ALL "\n",
	GET HOST "Host: server.example.com\r", GET HOST "host:\r",
	"GET / HTTP/1.0\r\nHost: a\r\nHost: a\r",
	/* whole heads */
	GET UP CO VE KE END, GET END, "POST / HTTP/1.1\r\n" END,
	"GET / HTTP/1.2\r\n" END,
	GET HOST UP CO VE END, GET ALL KE END,
	GET ALL "Sec-WebSocket-Key: \r\n" END,
	GET HOST UP CO VE "Sec-WebSocket-Key:\r\n" END,
	GET HOST UP CO VE "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=\r\n" END,
	GET HOST UP CO VE "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ===\r\n"
	    END,
	GET HOST UP CO VE "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=A\r\n" END,
	GET HOST UP CO VE "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQA=\r\n" END,
	GET HOST UP CO VE "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ===\r\n" END,
	GET HOST UP CO VE "Sec-WebSocket-Key: dGhlIHNhbXBs ZSub25jZQ==\r\n" END,
	GET HOST UP CO VE "Sec-WebSocket-Key: -GhlIHNhbXBsZSBub25jZQ==\r\n" END,
	GET HOST UP CO VE "Sec-WebSocket-Key: dGhlIHNhbXB_ZSBub25jZQ==\r\n" END,
	GET HOST UP CO VE "Sec-WebSocket-Key: \xe4GhlIHNhbXBZSBub25jZQ==\r\n"
	    END,
	GET ALL "Content-Length: 1\r\n" END,
	GET ALL "Content-Length: 0\r\ncontent-length: 5\r\n" END,
	GET ALL "Content-Length: 5\r\ncontent-length: 0\r\n" END,
	GET ALL "Content-Length:\r\n" END, GET ALL "Content-Length: 00\r\n" END,
	GET ALL "Transfer-Encoding: chunked\r\n" END,
	GET ALL "Transfer-Encoding:\r\n" END
};

static const char *const other[] = {
	"POST / HTTP/1.1\r\n" ALL END, "get / HTTP/1.1\r\n" ALL END,
	"G / HTTP/1.1\r\n" ALL END, "GE / HTTP/1.1\r\n" ALL END,
	"GETS / HTTP/1.1\r\n" ALL END,
	"HEAD / HTTP/1.1\r\nHost:\r\n" END, "PUT / HTTP/1.0\r\n" END,
	"OPTIONS * HTTP/1.1\r\n" HOST END,
	"POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n" END,
	"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n" END,
	"POST / HTTP/1.1\r\n" HOST UP CO END
};

static const char *const upgrade[] = {
	GET HOST END, GET HOST CO VE KE END, GET HOST UP VE KE END,
	GET HOST UP CO KE END,
	"GET / HTTP/1.0\r\n" END, "GET / HTTP/1.0\r\n" ALL END,
	GET HOST "Content-Length: 5\r\n" END,
	GET HOST "Upgrade: websockets\r\n" CO VE KE END,
	GET HOST "Upgrade: web socket\r\n" CO VE KE END,
	GET HOST "Upgrade: websocke\r\n" CO VE KE END,
	GET HOST "Upgrade: websocket/13\r\n" CO VE KE END,
	GET HOST "Upgrade: h2c\r\n" CO VE KE END,
	GET HOST "Upgrade:\r\n" CO VE KE END,
	GET HOST UP "Connection: keep-alive\r\n" VE KE END,
	GET HOST UP "Connection: upgrade-insecure, xupgrade\r\n" VE KE END,
	GET HOST UP "Connection:\r\n" VE KE END,
	GET HOST UP CO "Sec-WebSocket-Version: 8\r\n" KE END,
	GET HOST UP CO "Sec-WebSocket-Version: 14\r\n" KE END,
	GET HOST UP CO "Sec-WebSocket-Version: 013\r\n" KE END,
	GET HOST UP CO "Sec-WebSocket-Version: 130\r\n" KE END,
	GET HOST UP CO "Sec-WebSocket-Version: 13, 8\r\n" KE END,
	GET HOST UP CO "Sec-WebSocket-Version:\r\n" KE END,
	GET HOST UP CO VE VE KE END,
	GET HOST UP CO VE "Sec-WebSocket-Version: 8\r\n" KE END,
	/* the version is judged before the key */
	GET HOST UP CO END
};

/* RFC 9112 section 3.2, RFC 3986 section 3.2.2 */
static const char *const hosts[] = {
	"", "host", "host:", "host:8080", "HOST.example.com.:0", ":80",
	"host:99999999999", "127.0.0.1", "127.0.0.1:8080", "256.1.1.1", "1",
	"a_b-c.d~e", "!$&'()*+,;=", "%c3%A4.example:1", "%00",
	    "xn--4ca.example",
	"[::]", "[::1]", "[::1]:", "[::1]:80", "[1::]", "[1::8]:1",
	"[2001:db8::1]", "[2001:DB8:0:0:1:2:3:4]", "[1:2:3:4:5:6:7::]",
	"[::2:3:4:5:6:7:8]", "[1:2:3:4::6:7:8]", "[::ffff:192.0.2.1]:8080",
	"[::1.2.3.4]", "[1:2:3:4:5:6:255.0.9.10]", "[1:2:3:4:5::0.0.0.0]",
	"[v1.a]", "[vF.a:b!$&'()*+,;=]:80", "[V1f.~]"
}, *const no_hosts[] = {
	"a b", "a\tb", "a/b", "a@b", "a?", "#", "a\"b", "<a>", "a\\b", "a^b",
	"`", "{a}", "a|b", "http://a", "\xc3\xa4", "a\x80", "a\xff",
	"%", "%z", "%zz", "%a", "%az", "a%2", "a%2g", "%%41",
	"a:b", "a:8o", "a:-1", "a:+1", "a: 80", "a :80", "a:80:", "a:80:80",
	"::1", "::", "a:80/", "a, b:c",
	"[", "]", "[]", "[::1", "::1]", "[::1]80", "[::1]a", "[::1]:a",
	"[::1]:80:", "[[::1]]", "[::1]]", "a[::1]", "[a", "a]", "[host]",
	"[127.0.0.1]",
	"[:]", "[:::]", "[::::]", "[1]", "[:1]", "[1:]", "[:1::]", "[1::1:]",
	"[1::2::3]", "[1:::2]", "[12345::]", "[g::]", "[::-1]", "[:: 1]",
	"[1:2:3:4:5:6:7]", "[1:2:3:4:5:6:7:8:9]", "[1:2:3:4:5:6:7:8::]",
	"[::1:2:3:4:5:6:7:8]", "[1:2:3:4::5:6:7:8]", "[1:2:3:4:5:6:7:]",
	"[::1.2.3]", "[::1.2.3.4.5]", "[::1.2.3.256]", "[::1.2.3.]",
	"[::.1.2.3]", "[::01.2.3.4]", "[::1..2.3]", "[::1.2.3.4:5]",
	"[::1.2.3.1000]", "[::a.2.3.4]", "[1.2.3.4::]",
	    "[1:2:3:4:5:6:7:1.2.3.4]",
	"[1:2:3:4:5:1.2.3.4]", "[1:2:3:4:5:6::1.2.3.4]",
	"[fe80::1%eth0]", "[fe80::1%25eth0]",
	"[v]", "[v1]", "[v1.]", "[v.a]", "[vg.a]", "[v1.a/]", "[v1.%41]",
	"[v1.[]"
};

/* RFC 9112 section 3.2; every printable character is some browser's */
static const char *const targets[] = {
	"GET /", "GET //", "GET /?", "GET /a/b;c=d/../?e=f&g?h/#i", "GET /*",
	"GET /%c3%A4%00%20", "GET /%zz%?%", "GET //h:x/",
	("GET /!\"#$%&'()*+,-./0123456789:;<=>?@"
	"ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~"),
	"GET http://h", "GET http://h/", "GET HTTP://h/%00?#x",
	    "GET http://h?x",
	"GET https://h:443/a?b", "GET ws://[::1]:80/", "GET wSs://h:/",
	"GET ws://%41_?", "GET http://h//@\"|{[",
	/* other methods may ask for something else */
	"OPTIONS *", "OPTIONS /", "OPTIONS http://h", "CONNECT h:80",
	"CONNECT [::1]:443", "POST /", "POST ws://h/"
}, *const no_targets[] = {
	/* to the byte that shows it; a space if that is the end */
	"GET *", "GET a", "GET ?", "GET .", "GET #", "GET \\", "GET :", "GET @",
	"GET [", "GET %", "GET ~", "GET \"", "GET 1", "GET f", "GET F",
	"GET g", "GET hx", "GET htp", "GET httpx", "GET http/", "GET http:a",
	"GET http:/a", "GET httpss", "GET https/", "GET wx", "GET ws/",
	"GET wsss", "GET wss:a", "GET wss:/a",
	"GET h ", "GET http ", "GET http: ", "GET http:/ ", "GET http:// ",
	"GET http:/// ", "GET http://? ", "GET http://:80/ ",
	"GET http://a:b/ ", "GET http://u@h/ ", "GET http://u:p@h/ ",
	"GET http://[::1/ ", "GET http://%zz/ ", "GET http://a\"b/ ",
	"GET http://h#x ", "GET https://a|b ", "GET ws://h:80:80 ",
	"POST *", "HEAD *", "options *", "OPTIONS **", "OPTIONS */",
	"OPTIONS a", "CONNECT h ", "CONNECT h: ", "CONNECT :80 ", "CONNECT / ",
	"CONNECT http://h ", "CONNECT [::1] ", "CONNECT h:8o ",
	"GET /\x80", "GET /\xff", "GET /\xc3", "GET \xc3", "GET /a\xe2",
	"GET http://h/\xc3", "GET http://\xc3", "CONNECT \xc3",
	"GET /\x01", "GET /\x1b", "GET /\x7f", "GET http://h/\x0b"
};

static void
authorities(void)
{
	char head[1000];
	size_t i;

	CASE("a Host header that is right");
	for (i = 0; i < LEN(hosts); i++) {
		snprintf(head, sizeof(head), GET "Host: %s\r\n" UP CO VE KE END,
		    hosts[i]);
		head_is(head, strlen(head), 101);
	}

	CASE("a Host header that is none: 400 at its end");
	for (i = 0; i < LEN(no_hosts); i++) {
		snprintf(head, sizeof(head), GET "Host: %s\r", no_hosts[i]);
		head_is(head, strlen(head), 400);
		snprintf(head, sizeof(head), "GET / HTTP/1.0\r\nhost:%s\t\r",
		    no_hosts[i]);
		head_is(head, strlen(head), 400);
	}

	CASE("request targets in their four forms");
	for (i = 0; i < LEN(targets); i++) {
		snprintf(head, sizeof(head), "%s HTTP/1.1\r\n" ALL END,
		    targets[i]);
		head_is(head, strlen(head), targets[i][0] == 'G' ? 101 : 405);
	}

	CASE("request targets that are none: 400 at the offending byte");
	for (i = 0; i < LEN(no_targets); i++)
		head_is(no_targets[i], strlen(no_targets[i]), 400);
}

static const char *const healthy[] = {
	"GET /health HTTP/1.1\r\n" HOST END,
	    "HEAD /health HTTP/1.1\r\n" HOST END,
	"OPTIONS /health HTTP/1.1\r\n" HOST END, "GET /health HTTP/1.0\r\n" END,
	"HEAD /health HTTP/1.0\r\n" END, "OPTIONS /health HTTP/1.0\r\n" END,
	"\r\nGET /health HTTP/1.0\r\n" END,
	"GET /health?a=b HTTP/1.1\r\n" HOST END,
	"GET /health? HTTP/1.1\r\nHost:\r\n" CO END,
	"GET http://h/health HTTP/1.1\r\n" HOST END,
	"GET https://[::1]:443/health?x HTTP/1.1\r\n" HOST END,
	"GET /health HTTP/1.1\r\n" HOST "Upgrade: h2c\r\n" CO END,
	/* one that ignores it, RFC 9110 section 7.8 */
	"GET /health HTTP/1.0\r\n" HOST UP CO VE KE END
}, *const not_healthy[] = {
	"POST /health HTTP/1.1\r\n" HOST END, "PUT /health HTTP/1.0\r\n" END,
	"head /health HTTP/1.1\r\n" HOST END,
	"HEAD / HTTP/1.1\r\n" HOST END, "HEAD /healt HTTP/1.1\r\n" HOST END,
	"HEAD /health/ HTTP/1.1\r\n" HOST END,
	"HEAD //health HTTP/1.1\r\n" HOST END,
	"HEAD /Health HTTP/1.1\r\n" HOST END,
	"HEAD /?/health HTTP/1.1\r\n" HOST END,
	"HEAD http://h HTTP/1.1\r\n" HOST END,
	"HEAD http://health HTTP/1.1\r\n" HOST END,
	"OPTIONS * HTTP/1.1\r\n" HOST END,
	"CONNECT health:80 HTTP/1.1\r\n" HOST END
};

static void
health(void)
{
	static const struct ws_http root = { "/", NULL, NULL, NULL };
	struct ws_request r;
	size_t i;

	heads("--health's path without --health: as any other", 405,
	    &healthy[1], 2);
	beside = &serves;
	heads("--health's path: 200 to GET, HEAD and OPTIONS", 200, healthy,
	    LEN(healthy));
	heads("other methods, other paths: 405", 405, not_healthy,
	    LEN(not_healthy));

	CASE("who asks for WebSocket at --health's path gets that");
	head_is("GET /health HTTP/1.1\r\n" ALL END,
	    strlen("GET /health HTTP/1.1\r\n" ALL END), 101);
	head_is("GET /health HTTP/1.1\r\n" END,
	    strlen("GET /health HTTP/1.1\r\n" END), 400);
	head_is("GET /health HTTP/1.1\r\n" HOST UP END,
	    strlen("GET /health HTTP/1.1\r\n" HOST UP END), 426);

	CASE("--health /: an absolute-form without a path means it");
	beside = &root;
	for (i = 0; i < 3; i++) {
		static const char *const t[] = { "/", "http://h", "ws://h?a" };
		char head[100];

		snprintf(head, sizeof(head), "GET %s HTTP/1.0\r\n" END, t[i]);
		head_is(head, strlen(head), 200);
	}
	read_head("GET / HTTP/1.0\r\n" END, 18, &r);
	EXPECT(strcmp(r.reason, "ok") == 0, "%s", r.reason);
	beside = NULL;
}

/* A listener for metrics: what it answers, and what a path there allows. */
static const struct ws_http scraped = { "/health", NULL, NULL, "/metrics" };
static const struct {
	const char *line;
	int status, metrics;
	const char *allow;
} scrapes[] = {
	{ "GET /metrics", 200, 1, NULL }, { "HEAD /metrics", 200, 1, NULL },
	{ "GET /metrics?a=b", 200, 1, NULL },
	{ "GET http://h:9/metrics", 200, 1, NULL },
	{ "GET /health", 200, 0, NULL }, { "HEAD /health", 200, 0, NULL },
	{ "OPTIONS /health", 200, 0, NULL },
	{ "POST /metrics", 405, 1, "GET, HEAD" },
	{ "OPTIONS /metrics", 405, 1, "GET, HEAD" },
	{ "get /metrics", 405, 1, "GET, HEAD" },
	{ "CONNECT metrics:80", 405, 0, "GET, HEAD" },
	{ "PUT /health", 405, 0, "GET, HEAD, OPTIONS" },
	{ "GET /", 404, 0, NULL }, { "GET /metric", 404, 0, NULL },
	{ "GET /metrics/", 404, 0, NULL }, { "GET //metrics", 404, 0, NULL },
	{ "GET /Metrics", 404, 0, NULL }, { "GET /?/metrics", 404, 0, NULL },
	{ "GET http://metrics", 404, 0, NULL },
	{ "DELETE /healthy", 404, 0, NULL }, { "OPTIONS *", 404, 0, NULL }
};

static void
metrics(void)
{
	static const char *const fields[] = {
		" HTTP/1.1\r\n" HOST END, " HTTP/1.0\r\n" END,
		" HTTP/1.1\r\n" ALL END
	};
	static const char body[] = "a 1\n";
	char line[256], answer[WS_ANSWER_MAX + sizeof body], allow[64];
	struct ws_head h;
	struct ws_request r;
	size_t i, k, n;

	CASE("a listener for metrics: its paths and methods, and no WebSocket");
	beside = &scraped;
	for (i = 0; i < LEN(scrapes); i++)
		for (k = 0; k < LEN(fields); k++) {
			n = (size_t)snprintf(line, sizeof line, "%s%s",
			    scrapes[i].line, fields[k]);
			head_is(line, n, scrapes[i].status);
			memset(&h, 0, sizeof h);
			request(&h, line, n, &r);
			EXPECT(r.metrics == scrapes[i].metrics, "%s: %d", line,
			    r.metrics);
			n = ws_answer(answer, &h, r.status, r.reason);
			answer[n] = '\0';
			snprintf(allow, sizeof allow, "\r\nAllow: %s\r\n",
			    scrapes[i].allow);
			EXPECT(scrapes[i].allow != NULL ?
			    strstr(answer, allow) != NULL :
			    strstr(answer, "Allow") == NULL, "%s: \"%s\"",
			    scrapes[i].line, answer);
		}
	head_is("GET /metrics HTTP/1.1\r\n" END,
	    strlen("GET /metrics HTTP/1.1\r\n" END), 400);

	CASE("a body of another type; to HEAD only the head");
	for (i = 0; i < 2; i++) {
		memset(&h, 0, sizeof h);
		n = (size_t)snprintf(line, sizeof line, "%s%s",
		    scrapes[i].line, fields[1]);
		request(&h, line, n, &r);
		n = ws_answer_with(answer, &h, "x/y; z=1", body, 4);
		answer[n] = '\0';
		snprintf(line, sizeof line, "HTTP/1.1 200 OK\r\n"
		    "Connection: close\r\nContent-Type: x/y; z=1\r\n"
		    "Content-Length: 4\r\n\r\n%s", i == 0 ? body : "");
		EXPECT(strcmp(answer, line) == 0, "\"%s\"", answer);
	}
	beside = NULL;
}

#define PR "Sec-WebSocket-Protocol:"

static void
subprotocols(void)
{
	static const struct {
		const char *fields, *want; /* NULL: 400 */
	} t[] = {
		{ "", "" }, { PR "\r\n", "" }, { PR " ,\t, \r\n", "" },
		{ PR " chat\r\n", "chat" }, { PR "chat\t\r\n", "chat" },
		{ "sec-websocket-PROTOCOL: chat\r\n", "chat" },
		{ PR " Chat\r\n", "" }, { PR " cha\r\n", "" },
		{ PR " chat2\r\n", "" }, { PR " v2\r\n", "" },
		{ PR " v2.chat, chat\r\n", "v2.chat" },
		{ PR " chat, v2.chat\r\n", "chat" },
		{ PR " other,v2.chat,,other\r\n", "v2.chat" },
		{ PR " other\r\n", "" },
		{ PR " a\r\nX: chat\r\n" PR " v2.chat\r\n" PR "chat\r\n",
		  "v2.chat" },
		{ PR " x!#$%&'*+-.^_`|~\r\n", "x!#$%&'*+-.^_`|~" },
		{ PR " a b\r\n", NULL }, { PR " chat;q=1\r\n", NULL },
		{ PR " chat, a/b\r\n", NULL }, { PR " \"chat\"\r\n", NULL },
		{ PR " chat\r\n" PR " @\r\n", NULL }, { PR " \xc3\xa4\r\n",
		    NULL },
		{ PR " a=\r\n", NULL }, { PR " chat\tv2.chat\r\n", NULL }
	};
	char head[500], answer[WS_ANSWER_MAX], line[100];
	struct ws_request r;
	size_t i, n;

	CASE("subprotocols: the first offered that is known; a token, or 400");
	beside = &serves;
	for (i = 0; i < LEN(t); i++) {
		snprintf(head, sizeof(head), GET ALL "%s" END, t[i].fields);
		head_is(head, strlen(head), t[i].want != NULL ? 101 : 400);
		if (t[i].want == NULL)
			continue;
		read_head(head, strlen(head), &r);
		EXPECT(strcmp(r.subprotocol ? r.subprotocol : "", t[i].want) ==
		    0, "%s: %s", t[i].fields, r.subprotocol);
		n = ws_accept(answer, &r);
		answer[n] = '\0';
		snprintf(line, sizeof(line), "\r\n" PR " %s\r\n\r\n",
		    t[i].want);
		EXPECT(n > 100 && (*t[i].want == '\0' ? strstr(answer, PR) ==
		    NULL : strcmp(answer + n - strlen(line), line) == 0),
		    "%s: %s", t[i].fields, answer);
	}

	CASE("subprotocols: without a list none is chosen, nor looked at");
	beside = NULL;
	for (i = 0; i < LEN(t); i++) {
		snprintf(head, sizeof(head), GET ALL "%s" END, t[i].fields);
		head_is(head, strlen(head), 101);
		read_head(head, strlen(head), &r);
		EXPECT(r.subprotocol == NULL, "%s", r.subprotocol);
	}

	CASE("a token is one of its characters, or more");
	EXPECT(!ws_is_token("") && ws_is_token("a") && ws_is_token(speaks[2]) &&
	    !ws_is_token("a b") && !ws_is_token("a,") &&
	    !ws_is_token("\xc3\xa4"),
	    "ws_is_token");
}

/* A good head of exactly len bytes. */
static void
padded(char *out, size_t len)
{
	size_t n = strlen(GET ALL);

	memcpy(out, GET ALL, n);
	memset(out + n, 'x', len - n);
	memcpy(out + n, "X: ", 3);
	memcpy(out + len - 4, "\r\n\r\n", 4);
}

static void
requests(void)
{
	static char head[WS_HEAD_MAX + 200];
	struct ws_head h;
	struct ws_request r;
	ssize_t n;
	size_t i, len;
	int c;

	CASE("token characters");
	for (c = 0; c < 256; c++) {
		int want = c < 128 && (isalnum(c) ||
		    (c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL)) ?
		    tolower(c) : 0;
		EXPECT(token[c] == want, "0x%02x: %d, not %d", (unsigned)c,
		    token[c], want);
	}

	heads("requests of browsers, curl, PHP and Python: 101", 101, real,
	    LEN(real));
	heads("odd but right requests: 101", 101, odd, LEN(odd));
	heads("malformed requests: 400 at the offending byte", 400, bad,
	    LEN(bad));
	heads("other methods: 405", 405, other, LEN(other));
	heads("no upgrade, no version 13: 426", 426, upgrade, LEN(upgrade));

	authorities();
	health();
	metrics();
	subprotocols();

	CASE("the key comes out");
	n = read_head(GET ALL END, strlen(GET ALL END), &r);
	EXPECT(n > 0 && memcmp(r.key, KEY, WS_KEY_LEN) == 0, "%zd, \"%.24s\"",
	    n,
	    r.key);

	CASE("NUL is refused anywhere in a head");
	head_is("\0", 1, 400);
	head_is("GET\0", 4, 400);
	head_is("GET /\0", 6, 400);
	head_is("GET / \0", 7, 400);
	head_is("GET / HTTP/1.\0", 14, 400);
	head_is("GET / HTTP/1.1\0", 15, 400);
	head_is(GET "\0", strlen(GET) + 1, 400);
	head_is(GET "Host\0", strlen(GET) + 5, 400);
	head_is(GET "Host: \0", strlen(GET) + 7, 400);

	CASE("any control character, at any place, is refused there");
	len = strlen(real[0]);
	for (i = 0; i < len; i++)
		for (c = 0; c < 0x80; c == 0x1f ? c = 0x7f : c++) {
			if (c == real[0][i] || c == '\t' || c == '\r')
				continue;
			memcpy(head, real[0], len);
			head[i] = (char)c;
			n = read_head(head, i + 1, &r);
			EXPECT(n == WS_BAD && r.status == 400,
			    "0x%02x at %zu: %zd", (unsigned)c, i, n);
			if (i > 0 && c == '\n')
				EXPECT(strcmp(r.reason, real[0][i - 1] == '\r' ?
				    "" : "bare line feed") == 0,
				    "\\n at %zu: %s", i, r.reason);
		}

	CASE("a carriage return is refused unless a line feed follows");
	for (i = 0; i + 1 < len; i++) {
		if (real[0][i] == '\r' || real[0][i + 1] == '\n')
			continue;
		memcpy(head, real[0], len);
		head[i] = '\r';
		n = read_head(head, i + 2, &r);
		EXPECT(n == WS_BAD && r.status == 400, "at %zu: %zd", i, n);
	}

	CASE("why: words for somebody with curl");
	read_head("\x16", 1, &r);
	EXPECT(strcmp(r.reason, "TLS on a port without TLS") == 0, "%s",
	    r.reason);
	read_head("PRI ", 4, &r);
	EXPECT(strcmp(r.reason, "HTTP/2 is not supported") == 0, "%s",
	    r.reason);
	read_head(GET "\n", strlen(GET "\n"), &r);
	EXPECT(strcmp(r.reason, "bare line feed") == 0, "%s", r.reason);
	read_head(GET "Host :", strlen(GET "Host :"), &r);
	EXPECT(strcmp(r.reason, "white space around a header's name") == 0,
	    "%s",
	    r.reason);
	read_head(GET END, strlen(GET END), &r);
	EXPECT(strcmp(r.reason, "no Host header") == 0, "%s", r.reason);
	read_head(GET HOST END, strlen(GET HOST END), &r);
	EXPECT(strcmp(r.reason, "a WebSocket upgrade is needed here") == 0,
	    "%s",
	    r.reason);

	EXPECT(WS_HEAD_MAX == 32768, "WS_HEAD_MAX is %d", WS_HEAD_MAX);
	read_head("GET / HTTP/1.0\r\n" END, 18, &r);
	EXPECT(strcmp(r.reason,
	    "HTTP/1.0 cannot upgrade (nginx: proxy_http_version 1.1)") == 0,
	    "%s", r.reason);

	CASE("a head of 32768 bytes is right, one of 32769 is 431");
	padded(head, WS_HEAD_MAX);
	head_is(head, WS_HEAD_MAX, 101);
	padded(head, WS_HEAD_MAX - 1);
	head_is(head, WS_HEAD_MAX - 1, 101);
	padded(head, WS_HEAD_MAX + 1);
	head_is(head, WS_HEAD_MAX, 431);
	n = read_head(head, WS_HEAD_MAX + 1, &r);
	EXPECT(n == WS_BAD && r.status == 431, "whole: %zd", n);
	memset(head, 'x', sizeof(head));
	head_is(head, WS_HEAD_MAX, 431);

	CASE("empty lines before the request line count");
	for (i = 0; i < WS_HEAD_MAX; i += 2)
		memcpy(head + i, "\r\n", 2);
	head_is(head, WS_HEAD_MAX, 431);
	len = WS_HEAD_MAX - strlen(GET ALL END);
	len -= len % 2;
	memcpy(head + len, GET ALL END, strlen(GET ALL END));
	head_is(head, len + strlen(GET ALL END), 101);

	CASE("32 KiB byte by byte: none is looked at anew");
	padded(head, WS_HEAD_MAX);
	memset(&h, 0, sizeof(h));
	for (i = 1; i < WS_HEAD_MAX; i++) {
		n = ws_request(&h, beside, head, i, &r);
		EXPECT(n == WS_MORE && h.at == i, "%zu: %zd, %u", i, n, h.at);
		/* What was seen may be anything now, but for the fields. */
		if (i > 600)
			memset(head + 500, '\n', i - 600);
	}
	padded(head, WS_HEAD_MAX);
	n = ws_request(&h, beside, head, WS_HEAD_MAX, &r);
	EXPECT(n == WS_HEAD_MAX && r.status == 101, "%zd, %d", n, r.status);

	CASE("what is wrong before the limit is 400, after it 431");
	padded(head, WS_HEAD_MAX + 100);
	head[WS_HEAD_MAX - 1] = '\n';
	head_is(head, WS_HEAD_MAX, 400);
	padded(head, WS_HEAD_MAX + 100);
	head[WS_HEAD_MAX] = '\n';
	head_is(head, WS_HEAD_MAX, 431);
}

#define ANSWER(words, fields, length) \
	"HTTP/1.1 " words "\r\n" fields "Connection: close\r\n" \
	"Content-Type: text/plain\r\nContent-Length: " length "\r\n\r\n"

static void
answers(void)
{
	static const struct {
		int status;
		const char *why, *want;
	} t[] = {
		{ 400, "no", ANSWER("400 Bad Request", "", "3") "no\n" },
		{ 404, "no", ANSWER("404 Not Found", "", "3") "no\n" },
		{ 405, "not so", ANSWER("405 Method Not Allowed",
		    "Allow: GET\r\n", "7") "not so\n" },
		{ 408, "too late", ANSWER("408 Request Timeout", "", "9")
		    "too late\n" },
		{ 426, "up, please", ANSWER("426 Upgrade Required",
		    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
		    "Sec-WebSocket-Version: 13\r\n", "11") "up, please\n" },
		{ 431, "", ANSWER("431 Request Header Fields Too Large", "",
		    "1") "\n" },
		{ 503, "full", ANSWER("503 Service Unavailable",
		    "Retry-After: 5\r\n", "5") "full\n" },
		{ 200, "ok", ANSWER("200 OK", "", "3") "ok\n" },
		{ 999, "?", ANSWER("400 Bad Request", "", "2") "?\n" }
	};
	static const char accept[] = "HTTP/1.1 101 Switching Protocols\r\n"
	    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
	    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
	char *out = test_wall() - WS_ANSWER_MAX, why[1001];
	char name[WS_SUBPROTOCOL_MAX + 1];
	char *key = (char *)test_guard(KEY, WS_KEY_LEN);
	struct ws_head get = { 0 }, head = { 0 };
	const struct ws_head *of[3] = { NULL, &get, &head };
	struct ws_request r;
	const char *body, *length;
	size_t i, k, n, want;

	ws_request(&get, NULL, "GET ", 4, &r);
	ws_request(&head, NULL, "HEAD ", 5, &r);

	CASE("the 101 answer, with the key of RFC 6455 section 1.3");
	r.key = key;
	r.subprotocol = NULL;
	n = ws_accept(out, &r);
	EXPECT(n == strlen(accept) && memcmp(out, accept, n) == 0,
	    "%zu bytes: %.*s", n, (int)n, out);

	CASE("with the longest name of a subprotocol it is not cut");
	memset(name, 'n', WS_SUBPROTOCOL_MAX);
	name[WS_SUBPROTOCOL_MAX] = '\0';
	r.subprotocol = name;
	n = ws_accept(out, &r);
	EXPECT(n == strlen(accept) + 26 + WS_SUBPROTOCOL_MAX &&
	    memcmp(out + n - 5, "n\r\n\r\n", 5) == 0, "%zu bytes: %.*s", n,
	    (int)n, out);

	CASE("the text of every other answer; to HEAD without its body");
	for (i = 0; i < LEN(t); i++) {
		for (k = 0; k < 3; k++) {
			n = ws_answer(out, of[k], t[i].status, t[i].why);
			want = strlen(t[i].want) -
			    (k == 2 ? strlen(t[i].why) + 1 : 0);
			EXPECT(n == want && memcmp(out, t[i].want, n) == 0,
			    "%d: %zu bytes: %.*s", t[i].status, n, (int)n, out);
		}
	}

	test_unguard(key, WS_KEY_LEN);

	CASE("a long why is cut to fit, and Content-Length is right");
	for (i = 0; i < 6 * 1000; i++) {
		memset(why, 'w', sizeof(why));
		why[i / 6] = '\0';
		n = ws_answer(out, NULL, t[i % 6].status, why);
		if (n >= WS_ANSWER_MAX) {
			EXPECT(0, "%d: %zu bytes", t[i % 6].status, n);
			continue;
		}
		out[n] = '\0';
		body = strstr(out, "\r\n\r\n");
		length = strstr(out, "Content-Length: ");
		EXPECT(body != NULL && length != NULL && strlen(body + 4) ==
		    strtoul(length + 16, NULL, 10), "%d, %zu: %s",
		    t[i % 6].status, i / 6, out);
		EXPECT(body != NULL && (strlen(body + 4) == i / 6 + 1 ||
		    strlen(body + 4) == 257) && out[n - 1] == '\n',
		    "%d, %zu: %s", t[i % 6].status, i / 6, out);
	}
}

static void
paths(void)
{
	static const char *const list[][2] = {
		{ "/", "/" }, { "/?", "/" }, { "/a/b?token=c", "/a/b" },
		{ "/?a?b", "/" }, { "//h/x", "//h/x" }, { "*", "*" },
		{ "http://h", "/" }, { "http://h/", "/" },
		{ "WSS://h:1?token=x", "/" }, { "ws://[::1]/a/?b", "/a/" },
		{ "/http://h/x", "/http://h/x" }
	};
	struct ws_text t, path;
	size_t i;

	CASE("targets: the path, without host and query");
	for (i = 0; i < LEN(list); i++) {
		t.len = strlen(list[i][0]);
		t.s = test_place(list[i][0], t.len);
		path = ws_path(t);
		EXPECT(path.len == strlen(list[i][1]) && memcmp(path.s,
		    list[i][1], path.len) == 0, "\"%s\": \"%.*s\"",
		    list[i][0], (int)path.len, path.s);
	}
}

static void
fields(void)
{
	/* A head, and the values of its fields "x-name", the last one first. */
	static const char *const list[][4] = {
		{ "", NULL }, { "GET / HTTP/1.1\r\n\r\n", NULL },
		{ "GET / HTTP/1.1\r\nX-Name: a\r\n\r\n", "a" },
		{ "GET / HTTP/1.1\r\nx-nAME:\t a b \t\r\n", "a b" },
		{ "GET / HTTP/1.1\r\nX-Name:\r\n\r\n", "" },
		{ "GET / HTTP/1.1\r\nX-Name: a\r\nHost: b\r\n"
		    "X-Name: c, d\r\nx-name: e\r\n\r\n", "e", "c, d", "a" },
		{ "X-Name: a\r\n", "a" },
		/* Other names. */
		{ "GET / HTTP/1.1\r\nX-Names: a\r\nX-Nam: b\r\n"
		    "XX-Name: c\r\nX_Name: d\r\n\r\n", NULL },
		{ "GET x-name:a HTTP/1.1\r\n X-Name: b\r\n\r\n", NULL },
		/* The last line is not complete. */
		{ "X-Name: a\r\nX-Name: b", "a" },
		{ "X-Name: a\r\nX-Name: b\r", "a" },
		{ "X-Name: a", NULL }, { "X-Name\r\n", NULL },
		{ "\n\n\r\n\n", NULL }, { "\nX-Name:a\n\n", "a" }
	};
	struct ws_text head, value;
	size_t i, k;
	int more;

	CASE("fields by name: from the last to the first, of any bytes");
	for (i = 0; i < LEN(list); i++) {
		head.len = strlen(list[i][0]);
		head.s = test_place(list[i][0], head.len);
		for (k = 1; k < 4 && list[i][k] != NULL; k++) {
			more = ws_field(&head, "x-name", &value);
			EXPECT(more && value.len == strlen(list[i][k]) &&
			    memcmp(value.s, list[i][k], value.len) == 0,
			    "\"%s\": no \"%s\"", list[i][0], list[i][k]);
			if (!more)
				break;
		}
		more = ws_field(&head, "x-name", &value);
		EXPECT(!more && head.len == 0, "\"%s\": one more, or %zu "
		    "bytes left", list[i][0], head.len);
	}
}

int
main(void)
{
	requests();
	paths();
	fields();
	answers();
	return test_end();
}
