/*
 * Clients of npm's ws against a hub that has --heartbeat 1, --ping 1 and
 * --subprotocol for v2.chat and graphql-ws, and
 * hub.js with ws for a WebSocket, and with a clock and sockets of paper.
 *
 * wshub: ISC licence, see LICENSE.
 *
 * PORT and TLS_PORT are the hub's, SOCK its control socket, CA its
 * certificate's, TOP the sources, MODULES holds node_modules, RESTART is the
 * file that lib.sh's cases looks at.
 */
import fs from "node:fs";
import net from "node:net";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { runCases, same, sleep, test, until } from "./cases.mjs";
import { Proxy, count, fault } from "./proxy.mjs";

const { PORT, TLS_PORT, SOCK, CA, TOP, MODULES, RESTART } = process.env;
const WebSocket = createRequire(`${MODULES}/x.js`)("ws");
await import(pathToFileURL(`${TOP}/examples/hub.js`));
const Hub = globalThis.Hub;

const WS = `ws://127.0.0.1:${PORT}/`;
const WSS = `wss://localhost:${TLS_PORT}/`;
const HB = '{"action":"hb"}';

function within(ms, what, promise) {
	let timer;
	return Promise.race([promise, new Promise((_, reject) => {
		timer = setTimeout(() =>
			reject(new Error(`${what}: nothing in ${ms} ms`)), ms);
	})]).finally(() => clearTimeout(timer));
}

/* A client that keeps what it gets: next() gives messages one by one. */
class Client {
	static async open(url = WS, options = {}) {
		const c = new Client(url, options);
		await within(5000, `connecting to ${url}`, c.opened);
		const hello = JSON.parse(await c.next());
		same("setDeviceId", hello.action, "the first message");
		c.device = hello.data.device_id;
		return c;
	}

	constructor(url, options) {
		this.got = [];
		this.pings = 0;
		this.heartbeats = 0;
		this.ws = new WebSocket(url, options.protocols ?? [], options);
		this.opened = new Promise((resolve, reject) =>
			this.ws.once("open", resolve).once("error", reject));
		this.closed = new Promise((resolve) =>
			this.ws.on("close", (code, why) => resolve([code, String(why)])));
		this.ws.on("error", () => {});
		this.ws.on("ping", () => this.pings++);
		this.ws.on("message", (data, binary) => {
			if (binary)
				this.got.push(new Error("a binary message"));
			else if (String(data) === HB)
				this.heartbeats++;
			else
				this.got.push(String(data));
			this.wake?.();
		});
	}

	async next() {
		if (this.got.length === 0)
			await within(5000, "a message", new Promise((wake) => this.wake = wake));
		return this.got.shift();
	}

	async end(code = 1000) {
		this.ws.close(code);
		await within(5000, "the Close", this.closed);
	}
}

/* Objects to the control socket, one on a line; the lines that come back. */
function ctl(...objects) {
	return within(10000, "answers", new Promise((resolve, reject) => {
		const socket = net.connect({ path: SOCK });
		let text = "";
		socket.setEncoding("utf8").on("error", reject);
		socket.on("data", (more) => text += more);
		socket.on("end", () => resolve(text.split("\n").slice(0, -1)));
		socket.end(objects.map((o) => JSON.stringify(o) + "\n").join(""));
	}));
}

const send = (c, data) => ctl({ action: "sendToDevice", device: c.device, data });

/* ---------------------------------------------------------------- ws:// */

test("ws: device id, message, Close", async () => {
	const c = await Client.open();
	if (!/^[A-Za-z0-9_-]{15}$/.test(c.device))
		throw new Error(`the id is ${c.device}`);
	same("", c.ws.protocol, "the subprotocol");
	same("", c.ws.extensions, "the extensions");
	same(["OK 1"], await send(c, { a: [1, null, "ü"] }), "the answer");
	same('{"a":[1,null,"ü"]}', await c.next(), "the message");
	c.ws.close(4321, "bye");
	same(4321, (await within(5000, "Close", c.closed))[0], "the code");
});

test("a subprotocol that is offered and known is chosen, the first of them", async () => {
	for (const [protocols, chosen] of [[["v2.chat"], "v2.chat"],
		[["x", "graphql-ws", "v2.chat"], "graphql-ws"]]) {
		const c = await Client.open(WS, { protocols });
		same(chosen, c.ws.protocol, "the subprotocol");
		await c.end();
	}
	const c = new Client(WS, { protocols: ["unknown"] });
	same("Server sent no subprotocol", await within(5000, "the error",
		c.opened.then(() => "open", (error) => error.message)), "ws");
});

test("5,000 messages in one write arrive in order", async () => {
	const c = await Client.open();
	const answers = await ctl(...Array.from({ length: 5000 }, (_, n) =>
		({ action: "sendToDevice", device: c.device, data: n })));
	same(5000, answers.filter((a) => a === "OK 1").length, "OK 1");
	for (let n = 0; n < 5000; n++)
		same(`${n}`, await c.next(), `message ${n}`);
	await c.end();
});

test("what a client sends is ignored; its Ping is answered between fragments", async () => {
	const c = await Client.open();
	c.ws.send("text");
	c.ws.send(Buffer.from([0, 255]));
	c.ws.send("x".repeat(65536));
	c.ws.send("frag", { fin: false });
	const pong = new Promise((resolve) => c.ws.once("pong", (d) => resolve(String(d))));
	c.ws.ping("are you there");
	same("are you there", await within(5000, "a Pong", pong), "the Pong");
	c.ws.send("ment", { fin: true });
	await send(c, "still here");
	same('"still here"', await c.next(), "the message");
	await c.end();
});

test("what breaks the rules is told so: 1002, 1007, 1009", async () => {
	for (const [wanted, what, run] of [
		[1002, "a frame without a mask", (ws) => ws.send("x", { mask: false })],
		[1002, "an unknown opcode", (ws) =>
			ws._socket.write(Buffer.from([0x83, 0x80, 1, 2, 3, 4]))],
		[1002, "a reserved bit", (ws) =>
			ws._socket.write(Buffer.from([0xc1, 0x80, 1, 2, 3, 4]))],
		[1002, "a Ping of 126 bytes", (ws) =>
			ws._socket.write(Buffer.from([0x89, 0xfe, 0, 126, 1, 2, 3, 4]))],
		[1002, "a continuation of nothing", (ws) =>
			ws._socket.write(Buffer.from([0x80, 0x80, 1, 2, 3, 4]))],
		[1002, "a Close of one byte", (ws) =>
			ws._socket.write(Buffer.from([0x88, 0x81, 0, 0, 0, 0, 3]))],
		[1007, "bad UTF-8", (ws) => ws.send(Buffer.from([0xff]), { binary: false })],
		[1007, "bad UTF-8 over two fragments", (ws) => {
			ws.send(Buffer.from([0xe2, 0x82]), { binary: false, fin: false });
			ws.send(Buffer.from([0x41]), { fin: true });
		}],
		[1009, "a text of 65,537 bytes", (ws) => ws.send("x".repeat(65537))],
		[1009, "a frame of 2^62 bytes", (ws) => ws._socket.write(
			Buffer.from([0x82, 0xff, 0x40, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]))],
	]) {
		const c = await Client.open();
		run(c.ws);
		same(wanted, (await within(5000, what, c.closed))[0], what);
	}
});

test("heartbeats and Pings come, and who answers stays", async () => {
	const c = await Client.open();
	await until(6000, "two heartbeats", () => c.heartbeats >= 2);
	await until(6000, "two Pings", () => c.pings >= 2);
	same(WebSocket.OPEN, c.ws.readyState, "the state");
	await c.end();
});

/* --------------------------------------------------------------- wss:// */

const ca = fs.readFileSync(CA);

test("wss: the certificate holds, TLS 1.2, messages of 1 byte to 900 kB", async () => {
	const c = await Client.open(WSS, { ca });
	same(true, c.ws._socket.authorized, "authorized");
	same("TLSv1.2", c.ws._socket.getProtocol(), "the protocol");
	for (const n of [1, 100, 16383, 16384, 16385, 65536, 900000]) {
		const data = "0123456789abcdef".repeat(n / 16 + 1).slice(0, n);
		same(["OK 1"], await send(c, data), "the answer");
		same(`"${data}"`, await c.next(), `${n} bytes`);
	}
	c.ws.close(4000);
	same(4000, (await within(5000, "Close", c.closed))[0], "the code");
});

test("wss: 2,000 messages in order; what the client sends is checked", async () => {
	const c = await Client.open(WSS, { ca });
	await ctl(...Array.from({ length: 2000 }, (_, n) =>
		({ action: "sendToDevice", device: c.device, data: { n } })));
	for (let n = 0; n < 2000; n++)
		same(`{"n":${n}}`, await c.next(), `message ${n}`);
	c.ws.send("x".repeat(65536));
	const pong = new Promise((resolve) => c.ws.once("pong", resolve));
	c.ws.ping();
	await within(5000, "a Pong", pong);
	c.ws.send("x".repeat(65537));
	same(1009, (await within(5000, "Close", c.closed))[0], "65,537 bytes");
});

test("wss: 50 at once, beside ws, in one channel", async () => {
	const clients = await Promise.all(Array.from({ length: 100 }, (_, n) =>
		n % 2 ? Client.open(WSS, { ca }) : Client.open()));
	const answers = await ctl(
		...clients.map((c) =>
			({ action: "subscribe", device: c.device, channel: "both" })),
		{ action: "sendToChannel", channel: "both", data: "hello" });
	same("OK 100", answers[100], "sendToChannel");
	for (const c of clients)
		same('"hello"', await c.next(), "the message");
	await Promise.all(clients.map((c) => c.end()));
});

test("wss: the same request on the ws port fails, and the other way round", async () => {
	for (const url of [WS.replace("ws", "wss"), WSS.replace("wss", "ws")]) {
		const c = new Client(url, { ca });
		const failed = await within(5000, url, c.opened.then(() => false, () => true));
		same(true, failed, `${url} failed`);
	}
	await (await Client.open(WSS, { ca })).end();
});

/* ------------------------------------------- a network that breaks, by hand */

/* Resuming in ten lines: numbers get what comes, break(socket) is heard of. */
function counting(url, numbers, lost, breaks = () => {}) {
	let session = "", seen = 0, device, socket;
	(function connect() {
		socket = new WebSocket(url + (session && `=${session}.${seen}`));
		socket.on("error", () => {}).on("close", () => device && setTimeout(connect, 50));
		socket.once("message", (hello) => {
			const { action, data } = JSON.parse(hello);
			if (action === "setDeviceId")
				[session, seen, device] = [data.session, 0, data.device_id];
			lost.push(action === "resumed" ? data.missed : data.lost ?? "new");
			socket.on("message", (text) => ++seen && numbers.push(JSON.parse(text).n));
			breaks(socket);
		});
	})();
	return { device: () => device, end: () => { device = null; socket.close(1000); } };
}

test("ws resumes by hand: 10,000 numbers over connections that are cut", async () => {
	const proxy = await Proxy.to(PORT);
	const all = [], how = [];
	const client = counting(`ws://127.0.0.1:${proxy.port}/?resume`, all, how);
	try {
		await until(5000, "an id", client.device);
		const told = await count(SOCK, client.device(), 10000, (n) =>
			n % 700 === 0 && proxy.cut(n % 1900));
		same(true, told, "each was queued for the one device");
		await until(5000, "the last number", () => all.includes(9999));
		const numbers = all.filter((n) => n !== undefined);  // no heartbeats
		same("", fault(numbers, 10000), "the numbers");
		same(["new", true], [how[0], how.slice(1).every((n) => n >= 0)], "how");
		if (how.length < 10 || how.slice(1).every((n) => n === 0))
			throw new Error(`few breaks, or nothing missed in them: ${how}`);
	} finally {
		client.end();
		proxy.close();
	}
});

/* --------------------------------------------------------------- hub.js */

/* Runs with a clock, random numbers and sockets of our own. */
async function onPaper(run) {
	const real = { setTimeout, clearTimeout, random: Math.random,
		WebSocket: globalThis.WebSocket };
	const w = { now: 0, timers: new Map(), sockets: [], listeners: new Set(), ids: 0 };
	w.live = () => w.sockets.filter((s) => s.readyState < 2).length;
	w.tick = (ms) => {
		for (const end = w.now + ms;;) {
			const due = [...w.timers].filter(([, t]) => t.at <= end)
				.sort((a, b) => a[1].at - b[1].at)[0];
			if (!due) {
				w.now = end;
				return;
			}
			w.timers.delete(due[0]);
			w.now = due[1].at;
			due[1].run();
		}
	};
	w.online = () => [...w.listeners].forEach((run) => run());
	w.last = () => w.sockets.at(-1);
	globalThis.setTimeout = (run, ms) => {
		w.timers.set(++w.ids, { run, at: w.now + ms });
		return w.ids;
	};
	globalThis.clearTimeout = (id) => w.timers.delete(id);
	globalThis.addEventListener = (_, run) => w.listeners.add(run);
	globalThis.removeEventListener = (_, run) => w.listeners.delete(run);
	performance.now = () => w.now;
	Math.random = () => 0.999999999;
	globalThis.WebSocket = class {
		readyState = 0;
		constructor(url) {
			this.url = url;
			w.sockets.push(this);
			same(1, w.live(), "sockets that connect or are open");
		}
		close(code) {
			if (this.readyState < 2)
				this.closed = code;
			this.readyState = Math.max(this.readyState, 2);
		}
		open(id = "123456789012345", more = {}, action = "setDeviceId") {
			this.readyState = 1;
			this.onopen?.();
			this.say({ action, data: { device_id: id, ...more } });
		}
		say(message) { this.onmessage?.({ data: JSON.stringify(message) }); }
		fail(how = {}) { this.readyState = 3; this.onclose?.(how); }
	};
	try {
		await run(w);
	} finally {
		Object.assign(globalThis, { setTimeout: real.setTimeout,
			clearTimeout: real.clearTimeout, WebSocket: real.WebSocket });
		Math.random = real.random;
		delete performance.now;
		delete globalThis.addEventListener;
		delete globalThis.removeEventListener;
	}
}

test("hub.js: waits up to 1, 2, 4 ... 30 s; online tries at once", () => onPaper((w) => {
	const waits = [];
	const hub = new Hub("ws://x/", {
		onstate: (state, wait) => state === "waiting" && waits.push(Math.round(wait)),
	});
	for (let n = 0; n < 8; n++) {
		w.last().fail();
		w.tick(waits.at(-1) - 1);
		same(n + 1, w.sockets.length, "sockets before the wait is over");
		w.tick(2);
		same(n + 2, w.sockets.length, "sockets after it");
	}
	same([1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000], waits, "the waits");
	Math.random = () => 0.25;
	w.last().fail();
	same(7500, waits.at(-1), "a wait of full jitter");
	w.online();
	same(10, w.sockets.length, "sockets after online");
	w.online();
	same(10, w.sockets.length, "sockets after online while it connects");
	w.last().open();
	w.online();
	same(10, w.sockets.length, "sockets after online while it is open");
	w.tick(100000);
	same(10, w.sockets.length, "sockets when all is well");
	w.last().fail();
	same(250, waits.at(-1), "the wait after that");
	hub.close();
}));

test("hub.js: only a connection that lasted makes the wait short again", () => onPaper((w) => {
	const waits = [];
	const hub = new Hub("ws://x/", {
		onstate: (state, wait) => state === "waiting" && waits.push(Math.round(wait)),
	});
	for (const lasts of [9000, 9000, 9000, 10000, 10]) {
		w.last().open();
		w.tick(lasts);
		w.last().fail();
		w.tick(30000);
	}
	same([1000, 2000, 4000, 1000, 2000], waits, "the waits");
	hub.close();
}));

test("hub.js: deadAfter, from connecting on; a heartbeat is life", () => onPaper((w) => {
	const got = [];
	const hub = new Hub("ws://x/", {
		deadAfter: 5000,
		onmessage: (message) => got.push(message),
		onstate: (state) => got.push(state),
	});
	w.tick(4999);
	same(1, w.sockets.length, "sockets at 4,999 ms");
	w.tick(1001);
	same(2, w.sockets.length, "sockets after 5 s without an answer");
	w.last().open();
	for (let n = 0; n < 10; n++) {
		w.tick(4000);
		w.last().say({ action: "hb" });
	}
	same(2, w.sockets.length, "sockets after 40 s with heartbeats");
	same(["waiting", "connecting", "open"], got, "what was told");
	const old = w.last();
	w.tick(5000);
	same("waiting", hub.state, "the state after 5 s of silence");
	same(2, old.readyState, "the old socket's state");
	same(null, hub.deviceId, "the device id");
	old.say("too late");
	old.fail();
	w.tick(1000);
	same(3, w.sockets.length, "sockets");
	same(["waiting", "connecting", "open", "waiting", "connecting"], got, "what was told");
	hub.close();
}));

test("hub.js: close ends it, whenever and wherever", () => onPaper((w) => {
	const ended = (hub, what) => {
		const before = w.sockets.length;
		w.online();
		w.tick(100000);
		same("closed", hub.state, `${what}: the state`);
		same([before, 0, 0, 0], [w.sockets.length, w.live(), w.timers.size,
			w.listeners.size], `${what}: sockets, live, timers, listeners`);
	};
	let hub = new Hub("ws://x/", { deadAfter: 1000 });
	hub.close();
	ended(hub, "connecting");
	hub = new Hub("ws://x/", { deadAfter: 1000 });
	w.last().open();
	hub.close();
	hub.close();
	ended(hub, "open");
	hub = new Hub("ws://x/", { deadAfter: 1000 });
	w.last().fail();
	hub.close();
	ended(hub, "waiting");
	for (const at of ["connecting", "open", "waiting"]) {
		let opened = 0;
		hub = new Hub("ws://x/", {
			deadAfter: 1000,
			onopen: () => opened++,
			onstate: (state) => state === at && hub.close(),
		});
		if (at !== "waiting")
			w.last().open();
		w.last().fail();
		w.tick(2000);
		ended(hub, `in onstate(${at})`);
		same(at === "connecting" ? 1 : 0, opened, `${at}: calls of onopen`);
	}
	hub = new Hub("ws://x/", { deadAfter: 1000, onopen: () => hub.close() });
	w.last().open();
	ended(hub, "in onopen");
	hub = new Hub("ws://x/", { deadAfter: 1000, onmessage: () => hub.close() });
	w.last().open();
	w.last().say(null);
	ended(hub, "in onmessage");
}));

test("hub.js: online replaces a quiet connection, and not one with data", () => onPaper((w) => {
	const hub = new Hub("ws://x/");
	w.last().open("a", { session: "s" });
	w.tick(1000);
	w.online();
	same(2, w.sockets.length, "sockets after online, quiet for 1 s");
	w.last().open("a", { missed: 0 }, "resumed");
	w.tick(999);
	w.online();
	w.tick(999);
	same(2, w.sockets.length, "sockets 999 ms after online, quiet for less");
	w.last().say(1);
	w.tick(10000);
	same(2, w.sockets.length, "sockets when data still came");
	w.last().say(2);
	w.online();
	w.tick(400);
	w.last().say(3);
	w.online();  // begins anew
	w.tick(499);
	w.last().say(4);
	w.tick(500);
	same(2, w.sockets.length, "sockets 999 ms after the second online");
	w.tick(1);
	same([3, "ws://x/?resume=s.4"], [w.sockets.length, w.last().url],
		"when what was under way has come");
	w.last().open("a", { missed: 0 }, "resumed");
	w.online();
	w.last().fail();
	w.tick(5000);
	same(4, w.sockets.length, "sockets when it broke meanwhile");
	hub.close();
	same(0, w.timers.size, "timers");
}));

test("hub.js: goes on with its session, and counts what came", () => onPaper((w) => {
	const told = [], got = [];
	const hub = new Hub("ws://x/?y", {
		onopen: (id, how) => told.push([id, how]),
		onmessage: (message) => got.push(message),
	});
	const url = () => w.last().url;
	const breaks = (how) => {
		w.last().fail(how);
		w.tick(30000);
	};
	same("ws://x/?y&resume", url(), "the first URL");
	breaks();
	same("ws://x/?y&resume", url(), "the URL after a try that failed");
	w.last().open("a", { session: "s" });
	breaks();
	same("ws://x/?y&resume=s.0", url(), "the URL with nothing seen");
	w.last().open("a", { missed: 2 }, "resumed");
	for (const message of [1, { action: "hb" }, null,
		{ action: "resumed", data: {} }, { action: "setDeviceId", data: {} }])
		w.last().say(message);
	breaks();
	same("ws://x/?y&resume=s.5", url(), "the URL after five messages");
	breaks();
	same("ws://x/?y&resume=s.5", url(), "the URL after a try that failed");
	w.last().open("a", { missed: 0 }, "resumed");
	w.last().say(2);
	w.tick(1000);
	hub.online();
	same([undefined, "ws://x/?y&resume=s.6"], [w.sockets.at(-2).closed, url()],
		"the old one's Close, the URL, after online");
	w.last().open("b", { session: "t", lost: true });
	w.last().say(3);
	breaks();
	same("ws://x/?y&resume=t.1", url(), "the URL of the new session");
	w.last().open("c");
	breaks();
	same("ws://x/?y&resume", url(), "the URL when there is no session any more");
	w.last().open("d", { session: "u" });
	breaks({ code: 1001, reason: "resumed by another connection" });
	same("ws://x/?y&resume", url(), "the URL when somebody else has the session");
	w.last().open("e", { session: "v" });
	hub.close();
	same(1000, w.last().closed, "the Close of the end");
	const how = (resumed, missed, lost) => ({ resumed, missed, lost });
	same([["a", how(false, 0, false)], ["a", how(true, 2, false)],
		["a", how(true, 0, false)], ["b", how(false, 0, true)],
		["c", how(false, 0, true)], ["d", how(false, 0, true)],
		["e", how(false, 0, true)]], told, "what onopen was told");
	same([1, null, { action: "resumed", data: {} },
		{ action: "setDeviceId", data: {} }, 2, 3], got, "the messages");
}));

const soon = () => new Promise((resolve) => setImmediate(resolve));

test("hub.js: a token before each try, and a new one when it expires", () => onPaper(async (w) => {
	const waits = [], answers = [];
	let hub = new Hub("ws://x/", { token: "a b" });
	same("ws://x/?resume&token=a%20b", w.last().url, "the URL with a string");
	hub.close();

	w.sockets = [];
	hub = new Hub("ws://x/", {
		token: () => answers.shift()(),
		onstate: (state, wait) => state === "waiting" && waits.push(Math.round(wait)),
		deadAfter: 50000,
	});
	answers.push(() => { throw new Error("no"); },
		() => Promise.reject(new Error("no")), () => undefined,
		() => Promise.resolve("t1"), () => "t2", () => "t3", () => "t4",
		() => new Promise(() => {}));
	for (const wanted of [[1000], [1000, 2000]]) {
		await soon();
		same([0, wanted], [w.sockets.length, waits], "sockets, waits without a token");
		w.tick(2000);
	}
	await soon();
	same("ws://x/?resume", w.last().url, "the URL without a token");
	w.last().fail();
	w.tick(4000);
	await soon();
	same("ws://x/?resume&token=t1", w.last().url, "the URL");
	w.last().open("a", { session: "s" });
	w.tick(1000);
	w.last().fail({ code: 3000, reason: "token expired" });
	w.tick(0);
	await soon();
	same("ws://x/?resume=s.0&token=t2", w.last().url, "the URL after 3000");
	w.last().open("a", {}, "resumed");
	w.tick(999);
	w.last().fail({ code: 3000, reason: "token expired" });
	w.tick(8000);
	await soon();
	same("ws://x/?resume=s.0&token=t3", w.last().url, "and once more");
	w.last().fail();
	same([1000, 2000, 4000, 0, 8000, 16000], waits, "the waits");
	w.tick(16000);
	await soon();
	w.last().fail();
	w.tick(30000);
	await soon();
	same(["connecting", 3], [hub.state, w.sockets.length - 2],
		"the state and sockets while a token takes long");
	w.tick(50000);
	same("waiting", hub.state, "the state when it took too long");
	hub.close();

	w.sockets = [];
	let give;
	hub = new Hub("ws://x/", { token: () => new Promise((done) => give = done) });
	await soon();
	hub.close();
	give("late");
	await soon();
	same([0, 0], [w.sockets.length, w.timers.size], "sockets, timers after close");
}));

for (const scheme of ["ws", "wss"])
	test(`hub.js: 10,000 numbers by ${scheme} over a network that breaks`, async () => {
		const proxy = await Proxy.to(scheme === "ws" ? PORT : TLS_PORT);
		globalThis.WebSocket = class extends WebSocket {
			constructor(url) { super(url, { ca }); }
		};
		const { FIRST, CAP } = Hub;
		Hub.FIRST = Hub.CAP = 100;
		const numbers = [], told = [];
		const hub = new Hub(`${scheme}://localhost:${proxy.port}/`, {
			onopen: (id, how) => told.push(how),
			onmessage: (message) => numbers.push(message.n),
			deadAfter: 1500,
		});
		try {
			await until(5000, "an id", () => hub.deviceId !== null);
			const device = hub.deviceId;
			same(true, await count(SOCK, device, 10000, (n) => {
				if (n === 5000)
					proxy.freeze();
				else if (n % 1000 === 0)
					proxy.cut(n % 1900);
			}), "each was queued for the one device");
			await until(5000, "the last number", () => numbers.at(-1) === 9999);
			same("", fault(numbers, 10000), "the numbers");
			same([false, false, device], [told[0].resumed,
				told.some((how) => how.lost), hub.deviceId], "resumed, lost, id");
			if (told.length < 5 || told.every((how) => how.missed === 0))
				throw new Error(`few breaks: ${JSON.stringify(told)}`);
		} finally {
			Object.assign(Hub, { FIRST, CAP });
			hub.close();
			proxy.close();
		}
	});

test("hub.js: does not fight for a session that somebody else resumes", async () => {
	globalThis.WebSocket = WebSocket;
	const { FIRST, CAP } = Hub;
	Hub.FIRST = Hub.CAP = 100;
	const told = [];
	const hub = new Hub(WS, { onopen: (id, how) => told.push([id, how.lost]) });
	try {
		await until(5000, "an id", () => told.length === 1);
		const thief = new WebSocket(`${WS}?resume=${hub.session}.${hub.count}`);
		const text = await within(5000, "a message", new Promise((resolve) =>
			thief.once("message", resolve)));
		same("resumed", JSON.parse(text).action, "the thief's first message");
		await until(5000, "a new session", () => told.length === 2);
		await sleep(500);
		same([2, true, WebSocket.OPEN], [told.length, told[1][1], thief.readyState],
			"sessions, lost, the thief's state");
		same(false, told[0][0] === told[1][0], "the id is the same");
		thief.close(1000);
	} finally {
		Object.assign(Hub, { FIRST, CAP });
		hub.close();
	}
});

test("hub.js: a hub that is started again gives a new id", async () => {
	globalThis.WebSocket = WebSocket;
	const random = Math.random;
	Math.random = () => 0;  // it tries at once, while there is no hub
	const ids = [], got = [], states = [];
	const hub = new Hub(WS, {
		onopen: (id) => ids.push(id),
		onmessage: (message, text) => got.push(message, text),
		onstate: (state) => states.push(state),
		deadAfter: 4000,
	});
	try {
		await until(5000, "an id", () => ids.length === 1);
		for (const data of [{ a: 1 }, null, "text", [2.50]])
			await send({ device: ids[0] }, data);
		await until(5000, "four messages", () => got.length === 8);
		same([{ a: 1 }, '{"a":1}', null, "null", "text", '"text"', [2.5], "[2.5]"],
			got, "the messages");
		const before = hub.seen;
		await until(3000, "a heartbeat", () => hub.seen > before);
		fs.writeFileSync(RESTART, "TERM");
		await until(12000, "a second id", () => ids.length === 2);
		await until(5000, "lib.sh", () => !fs.existsSync(RESTART));
		if (ids[0] === ids[1])
			throw new Error("the id is the same as before");
		same(["open", "waiting", "connecting", "waiting"], states.slice(0, 4),
			"the states");
		same("open", states.at(-1), "the last state");
		await sleep(1500);
		same(2, ids.length, "ids");
		same(["OK 1"], await ctl({ action: "multicast", data: 1 }), "devices");
	} finally {
		Math.random = random;
		hub.close();
	}
});

/* What hangs ends with its case. */
await runCases(import.meta.url, 60, { helpers: / (within|Timeout)\b/ });
