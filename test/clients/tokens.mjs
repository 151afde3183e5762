/*
 * Valid and invalid tokens of several makers, with a hub that has --token-key
 * and --heartbeat 1. wshub: ISC licence, see LICENSE.
 *
 * PORT is the hub's port, SOCK its control socket, HUB the program, and TOP the
 * source directory. KEYS is a directory with hub.keys (the hub's two secrets),
 * hub.key and second.key (one of them each) and other.key (a different one).
 * WEB is the URL of login.php, and CHROMIUM a browser; both may be empty.
 * MODULES is the directory of node_modules.
 */
import { execFile } from "node:child_process";
import { createHmac, generateKeyPairSync, randomBytes } from "node:crypto";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { runCases, same, sleep, test, until } from "./cases.mjs";
import { Proxy } from "./proxy.mjs";

const { PORT, SOCK, HUB, TOP, KEYS, WEB, MODULES, CHROMIUM } = process.env;
const require = createRequire(`${MODULES}/x.js`);
const WebSocket = require("ws");
const jose = await import(pathToFileURL(require.resolve("jose")));
const { makeToken, readKey } = await import(pathToFileURL(`${TOP}/examples/token.mjs`));
await import(pathToFileURL(`${TOP}/examples/hub.js`));
const run = promisify(execFile);

const URL = `ws://127.0.0.1:${PORT}/`;
const key = readKey(`${KEYS}/hub.key`);
const now = () => Math.floor(Date.now() / 1000);

async function ctl(object) {
	const { stdout } = await run(HUB, ["ctl", "-s", SOCK, JSON.stringify(object)]);
	return stdout.trimEnd();
}

/* Connects. Returns the device's name and the socket, or the HTTP status. */
function attempt(url, options = {}) {
	return new Promise((resolve, reject) => {
		const ws = new WebSocket(url, options);
		ws.on("error", reject);
		ws.on("unexpected-response", (request, response) => {
			response.resume();
			request.destroy();
			const how = response.headers["www-authenticate"];
			resolve({ status: response.statusCode, how });
		});
		ws.once("message", (text) => {
			const { action, data } = JSON.parse(text);
			resolve(action === "setDeviceId" ? { device: data.device_id, ws }
			    : { device: `a ${action}` });
		});
	});
}

/* Connects with a token, and checks the channels. Returns the device or 401. */
async function device(token, channels = []) {
	const got = await attempt(`${URL}?token=${token}`);
	if (got.status !== undefined) {
		same([401, "Bearer"], [got.status, got.how], "the refusal");
		return 401;
	}
	for (const channel of channels)
		same("OK 1", await ctl({ action: "sendToChannel", channel, data: 1 }),
			`channel ${channel}`);
	got.ws.terminate();
	return got.device;
}

/* ------------------------------------------------------- the examples' tokens */

const makers = {
	"token.php": ["php", `${TOP}/examples/token.php`],
	"make_token.py": ["python3", `${TOP}/examples/make_token.py`],
	"token.mjs": [process.execPath, `${TOP}/examples/token.mjs`],
	"wshub token": [HUB, "token"],
};
const short = [];  // names, tokens
for (const [name, [program, first]] of Object.entries(makers)) {
	try {
		await run("sh", ["-c", 'command -v "$0"', program]);
	} catch {
		console.log(`skip - ${name}: no ${program}`);
		continue;
	}
	const make = async (file, ...more) => {
		const { stdout } = await run(program,
			[first, "--token-key", `${KEYS}/${file}`, ...more],
			{ env: { ...process.env, PYTHONDONTWRITEBYTECODE: "1" } });
		return stdout.trimEnd();
	};

	test(`${name}: makes tokens that the hub and jose accept`, async () => {
		const sub = 'ä "quoted\\" </name> \u{1f600}';
		const channels = ["news", "a b/ü"];
		const token = await make("hub.key", "--sub", sub,
			"--channel", channels[0], "--channel", channels[1], "--ttl", "100");
		same(sub, await device(token, channels), "the device");
		const { payload, protectedHeader } = await jose.jwtVerify(token, key,
			{ algorithms: ["HS256"] });
		same(["HS256", "JWT", sub, channels], [protectedHeader.alg,
			protectedHeader.typ, payload.sub, payload.channels], "for jose");
		same(true, Math.abs(payload.exp - now() - 100) < 10, "exp is in 100 s");
		const plain = await make("hub.key");
		same(true, /^[A-Za-z0-9_-]{15}$/.test(await device(plain)), "a random name");
		same(["exp"], Object.keys(jose.decodeJwt(plain)), "its claims");
		same("b", await device(await make("second.key", "--sub", "b")),
			"the device of the second secret");
		same("c", await device(await make("hub.keys", "--sub", "c")),
			"the device of a file of two");
	});

	test(`${name}: foreign and altered tokens are refused`, async () => {
		same(401, await device(await make("other.key", "--sub", "a")), "other.key");
		const [head, claims, mac] = (await make("hub.key", "--sub", "a")).split(".");
		const more = Buffer.from(`{"exp":${now() + 9},"sub":"b"}`).toString("base64url");
		for (const token of [`${head}.${more}.${mac}`, `${head}.${claims}.`,
			`${head}.${claims}.${mac.slice(1)}`, `${head}.${claims}`, claims])
			same(401, await device(token), token);
		short.push([name, await make("hub.key", "--ttl", "1")]);
	});
}

test("expired tokens are refused", async () => {
	const last = Math.max(...short.map(([, token]) => jose.decodeJwt(token).exp));
	await until(3000, "the last one's exp", () => now() > last);
	for (const [name, token] of short)
		same(401, await device(token), name);
	same(true, short.length > 1, "there are some");
});

/* -------------------------------------------------------------- jose's tokens */

const jwt = (claims, header = {}) => new jose.SignJWT(claims)
	.setProtectedHeader({ alg: "HS256", ...header });
const soon = () => ({ exp: now() + 60, sub: "j" });

test("jose: valid tokens are accepted", async () => {
	const names = Array.from({ length: 100 }, (_, n) => `channel ${n}`);
	for (const [what, token, wanted, channels] of [
		["only the necessary claims", jwt(soon()), "j"],
		["typ", jwt(soon(), { typ: "JWT" }), "j"],
		["kid", jwt(soon(), { kid: "any" }), "j"],
		["other claims", jwt({ ...soon(), a: { b: [1, "x"] } }).setIssuer("i")
			.setAudience("a").setJti("1").setIssuedAt(), "j"],
		["nbf in the leeway", jwt(soon()).setNotBefore(now() + 20), "j"],
		["exp as a fraction", jwt({ sub: "j", exp: now() + 60.5 }), "j"],
		["a sub of 255 bytes", jwt({ ...soon(), sub: "ü".repeat(127) + "x" }),
			"ü".repeat(127) + "x"],
		["100 channels", jwt({ ...soon(), channels: names }), "j", names.slice(98)],
	])
		same(wanted, await device(await token.sign(key), channels), what);
});

test("jose: invalid tokens are refused", async () => {
	const pair = (...how) => generateKeyPairSync(...how).privateKey;
	const sign = (token, by = key) => token.sign(by);
	const parts = (await sign(jwt(soon()))).split(".");
	/* Signs what jose refuses to sign. */
	const raw = (header, claims) => {
		const signed = [header, claims].map((part) =>
			Buffer.from(part).toString("base64url")).join(".");
		return `${signed}.${createHmac("sha256", key).update(signed).digest("base64url")}`;
	};
	same("j", await device(raw('{"alg":"HS256"}', JSON.stringify(soon()))),
		"a valid token that raw makes");
	for (const [what, token] of Object.entries({
		"another secret": sign(jwt(soon()), randomBytes(32)),
		"HS384": sign(jwt(soon(), { alg: "HS384" }), Buffer.concat([key, key])),
		"HS512": sign(jwt(soon(), { alg: "HS512" }), key),
		"RS256": sign(jwt(soon(), { alg: "RS256" }),
			pair("rsa", { modulusLength: 2048 })),
		"ES256": sign(jwt(soon(), { alg: "ES256" }),
			pair("ec", { namedCurve: "P-256" })),
		"EdDSA": sign(jwt(soon(), { alg: "EdDSA" }), pair("ed25519")),
		"none": new jose.UnsecuredJWT(soon()).encode(),
		"none, with HS256's signature": raw('{"alg":"none"}', JSON.stringify(soon())),
		"hs256": raw('{"alg":"hs256"}', JSON.stringify(soon())),
		"encrypted": new jose.EncryptJWT(soon())
			.setProtectedHeader({ alg: "dir", enc: "A256GCM" })
			.encrypt(key.subarray(0, 32)),
		"typ at+jwt": sign(jwt(soon(), { typ: "at+jwt" })),
		"crit": new jose.SignJWT(soon()).setProtectedHeader(
			{ alg: "HS256", crit: ["x"], x: 1 }).sign(key, { crit: { x: true } }),
		"no exp": sign(jwt({ sub: "j" })),
		"exp has passed": sign(jwt({ sub: "j", exp: now() - 1 })),
		"exp is a string": raw('{"alg":"HS256"}', `{"exp":"${now() + 60}"}`),
		"exp is null": raw('{"alg":"HS256"}', '{"exp":null}'),
		"nbf is in the future": sign(jwt(soon()).setNotBefore(now() + 90)),
		"a sub of 256 bytes": sign(jwt({ ...soon(), sub: "x".repeat(256) })),
		"an empty sub": sign(jwt({ ...soon(), sub: "" })),
		"sub is a number": raw('{"alg":"HS256"}', `{"exp":${now() + 60},"sub":1}`),
		"101 channels": sign(jwt({ ...soon(), channels: Array(101).fill("c") })),
		"channels is a string": sign(jwt({ ...soon(), channels: "c" })),
		"a channel is a number": sign(jwt({ ...soon(), channels: [1] })),
		"more than 4 KiB": sign(jwt({ ...soon(), a: "x".repeat(4096) })),
		"four parts": `${parts.join(".")}.`,
		"padding": `${parts.join(".")}%3D`,
		"an empty token": "",
	}))
		same(401, await device(await token), what);
});

test("the header comes first, then the query, then the cookie", async () => {
	const [right, wrong] = ["h", "q"].map((sub) => makeToken(key, { sub }));
	const bad = makeToken(randomBytes(32));
	const as = async (query, headers) => {
		const got = await attempt(query ? `${URL}?token=${query}` : URL, { headers });
		got.ws?.terminate();
		return got.device ?? got.status;
	};
	const bearer = (token) => ({ Authorization: `Bearer ${token}` });
	const cookie = (token) => ({ Cookie: `a=b; wshub_token=${token}; c=d` });
	same("h", await as(wrong, { ...bearer(right), ...cookie(bad) }), "all three");
	same("q", await as(wrong, cookie(bad)), "query and cookie");
	same("h", await as(null, cookie(right)), "the cookie, without an Origin");
	same(401, await as(right, bearer(bad)), "a wrong header");
	same(401, await as(bad, cookie(right)), "a wrong query");
	same(401, await as(null, {}), "none");
	if (WEB) {
		const Origin = WEB.slice(0, -1);
		same("h", await as(null, { Origin, ...cookie(right) }), "--origin");
		same(403, await as(null, { Origin: "http://127.0.0.1:1", ...cookie(right) }),
			"another origin");
	}
});

/* -------------------------------------------------------------------- hub.js */

test("hub.js: gets a token for each try; sessions outlive tokens", async () => {
	globalThis.WebSocket = WebSocket;
	const random = Math.random;
	Math.random = () => 0.05;
	const proxy = await Proxy.to(PORT);
	const opened = [], got = [], states = [];
	let tokens = 0, fail = true;
	const hub = new globalThis.Hub(`ws://127.0.0.1:${proxy.port}/`, {
		token: async () => {
			tokens++;
			await sleep(10);
			if (fail)
				throw new Error("the server that makes tokens is down");
			return makeToken(key, { sub: "tom", channels: [`c${tokens}`], ttl: 3 });
		},
		onopen: (id, how) => opened.push([id, how.resumed, how.lost]),
		onmessage: (message) => got.push(message),
		onstate: (state) => states.push(state),
	});
	try {
		await until(2000, "two tries without a token", () => tokens === 2);
		same(0, proxy.connections, "connections without a token");
		fail = false;
		await until(5000, "a device", () => opened.length === 1);
		for (let n = 0; opened.length < 3; n++) {
			same("OK 1", await ctl({ action: "sendToDevice", device: "tom", data: n }),
				"a send at any time");
			await sleep(20);
			if (n > 500)
				throw new Error("no token expires");
		}
		same([["tom", false, false], ["tom", true, false], ["tom", true, false]],
			opened, "what onopen was told");
		const last = "last";
		same("OK 1", await ctl({ action: "sendToChannel", channel: "c3", data: last }),
			"the first token's channel");
		await until(2000, "the last message", () => got.at(-1) === last);
		same([...Array(got.length - 1).keys(), last], got, "the messages");
	} finally {
		Math.random = random;
		hub.close();
	}
	await until(2000, "the end of the session", async () =>
		await ctl({ action: "sendToDevice", device: "tom", data: 0 }) === "OK 0");
	proxy.close();
});

/* ----------------------------------------------------- unchanged browser code */

const old = "login.php's cookie is enough for browser code without tokens";
if (!WEB || !CHROMIUM)
	console.log(`skip - ${old}: no ${!WEB ? "php or curl" : "chromium"}`);
else
	test(old, async () => {
		const { chromium } = require("playwright-core");
		const browser = await chromium.launch({
			executablePath: CHROMIUM,
			args: ["--headless", "--no-sandbox", "--disable-gpu",
				"--no-first-run", "--disable-background-networking",
				"--disable-component-update", "--disable-sync"],
		});
		try {
			const page = await browser.newPage();
			page.setDefaultTimeout(10000);
			await page.goto(WEB);
			/* Connects without a token. Returns the id, or "failed". */
			const connect = () => page.evaluate((url) => new Promise((resolve) => {
				const ws = new WebSocket(url);
				ws.onmessage = (event) =>
					resolve(JSON.parse(event.data).data.device_id);
				ws.onerror = () => resolve("failed");
			}), URL);
			const name = 'al "<ice>"';
			const logIn = async (password) => {
				await page.fill("[name=name]", name);
				await page.fill("[name=password]", password);
				await page.click("[value=login]");
			};
			same("failed", await connect(), "before the login");
			await logIn("wrong");
			await page.waitForFunction(() =>
				document.querySelector("output")?.textContent.startsWith("Wrong"));
			await logIn("open sesame");
			await page.waitForFunction((name) =>
				document.getElementById("device")?.textContent === name, name);
			same(name, await connect(), "after it");
			const [cookie] = await page.context().cookies();
			same(["wshub_token", true, "Strict"],
				[cookie.name, cookie.httpOnly, cookie.sameSite], "the cookie");
			same("", await page.evaluate(() => document.cookie), "for scripts");
			same("OK 2", await ctl({ action: "sendToDevice", device: name,
				data: { hello: "<b>" } }), "a message to both sockets");
			await page.waitForSelector("#messages li");
			same(['{"hello":"<b>"}'], await page.$$eval("#messages li",
				(all) => all.map((li) => li.textContent)), "the messages");
			await page.goto(WEB.replace("127.0.0.1", "localhost"));
			same("failed", await connect(), "from another origin");
			await page.goto(WEB);
			await page.click("[value=logout]");
			await page.waitForSelector("[name=password]");
			same("failed", await connect(), "after the logout");
		} finally {
			await browser.close();
		}
	});

await runCases(import.meta.url, 60, { helpers: / device\b/ });
