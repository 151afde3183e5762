/*
 * Chromium, driven by playwright-core, with examples/browser.html from the
 * disk and examples/backend.php, against a hub that has --heartbeat 1 and
 * --subprotocol v2.chat.
 *
 * wshub: ISC licence, see LICENSE.
 *
 * PORT and TLS_PORT are the hub's, SOCK its control socket, HUB the program,
 * TOP the sources, WEB where backend.php is, or empty, SPKI the hash of the
 * hub's key, MODULES holds node_modules, RESTART is the file that lib.sh's
 * cases looks at, CHROMIUM the browser.
 */
import { execFile } from "node:child_process";
import fs from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { runCases, same, test } from "./cases.mjs";
import { Proxy, count, fault } from "./proxy.mjs";

const { PORT, TLS_PORT, SOCK, HUB, TOP, WEB, SPKI, MODULES, RESTART, CHROMIUM } =
    process.env;
const { chromium } = createRequire(`${MODULES}/x.js`)("playwright-core");
const run = promisify(execFile);

const WS = `ws://127.0.0.1:${PORT}/`;
const WSS = `wss://localhost:${TLS_PORT}/`;

/* wshub ctl with objects; its lines. */
async function ctl(...objects) {
	const { stdout } = await run(HUB, ["ctl", "-s", SOCK,
		...objects.map((o) => JSON.stringify(o))]);
	return stdout.trimEnd().split("\n");
}

const browser = await chromium.launch({
	executablePath: CHROMIUM,
	headless: true,
	args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
		"--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync",
		`--ignore-certificate-errors-spki-list=${SPKI}`],
});

/* A new page; what goes wrong in it is in page.faults. */
async function open(url, options = {}) {
	const context = await browser.newContext(options);
	const page = await context.newPage();
	page.faults = [];
	page.setDefaultTimeout(10000);
	page.on("pageerror", (error) => page.faults.push(error.message));
	await page.goto(url);
	return page;
}

const example = (url) =>
	`${pathToFileURL(`${TOP}/examples/browser.html`)}?url=${encodeURIComponent(url)}`;

async function connected(page) {
	await page.waitForSelector("#state[data-state=open]");
	const device = await page.textContent("#id");
	if (!/^[A-Za-z0-9_-]{15}$/.test(device))
		throw new Error(`the page's device id is ${device}`);
	return device;
}

const messages = (page) =>
	page.$$eval("#list code", (all) => all.map((c) => c.textContent).reverse());

async function counted(page, n) {
	await page.waitForFunction((n) =>
		document.getElementById("count").textContent === String(n), n);
}

for (const url of [WS, WSS]) {
	const scheme = url.split(":")[0];

	test(`${scheme}: the page shows its id, and the command it shows works`, async () => {
		const page = await open(example(url));
		const device = await connected(page);
		same(url, await page.inputValue("#url"), "the address");
		const command = await page.textContent("#command");
		const json = /^wshub ctl '(.*)'$/.exec(command)?.[1];
		same(true, command.includes(device) && json !== undefined, command);
		const { stdout } = await run(HUB, ["ctl", "-s", SOCK, json]);
		same("OK 1\n", stdout, command);
		await counted(page, 1);
		same(['{"hello":"world"}'], await messages(page), "the messages");
		same([], page.faults, "the page's errors");
		await page.context().close();
	});

	test(`${scheme}: HTML in a message stays text`, async () => {
		const page = await open(example(url));
		const device = await connected(page);
		const data = '<b>bold</b><img src=x onerror="window.hit=1"><script>window.hit=2</script>';
		await ctl({ action: "sendToDevice", device, data });
		await counted(page, 1);
		await page.waitForTimeout(100);
		same([JSON.stringify(data)], await messages(page), "the messages");
		same([0, null], await page.evaluate(() => [document
			.querySelectorAll("#list :is(b, img, script)").length, window.hit ?? null]),
			"elements, window.hit");
		await page.context().close();
	});

	test(`${scheme}: 1,000 messages in order, and no more are kept`, async () => {
		const page = await open(example(url));
		const device = await connected(page);
		const send = (from, to) => ctl(...Array.from({ length: to - from }, (_, i) =>
			({ action: "sendToDevice", device, data: { n: from + i } })));
		same(1000, (await send(0, 1000)).filter((a) => a === "OK 1").length, "OK 1");
		await counted(page, 1000);
		const wanted = Array.from({ length: 1010 }, (_, n) => `{"n":${n}}`);
		same(wanted.slice(0, 1000), await messages(page), "the messages");
		await send(1000, 1010);
		await counted(page, 1010);
		same(wanted.slice(10), await messages(page), "the last 1,000");
		await page.context().close();
	});
}

test("a message of 900 kB, and one of null; heartbeats are not shown", async () => {
	const page = await open(example(WSS));
	const device = await connected(page);
	await page.evaluate(() => {
		const receive = Hub.prototype.receive;
		window.heartbeats = 0;
		Hub.prototype.receive = function (text) {
			window.heartbeats += text === '{"action":"hb"}';
			window.longest = Math.max(window.longest ?? 0, text.length);
			return receive.call(this, text);
		};
	});
	fs.writeFileSync(`${process.env.TMPDIR}/big`, JSON.stringify(
		{ action: "sendToDevice", device, data: "x".repeat(900000) }));
	await run("sh", ["-c", `"${HUB}" ctl -s "${SOCK}" <"${process.env.TMPDIR}/big"`]);
	await ctl({ action: "sendToDevice", device, data: null });
	await counted(page, 2);
	same("null", (await messages(page))[1], "the second message");
	same(900002, await page.evaluate(() => window.longest), "the longest");
	await page.waitForFunction(() => window.heartbeats >= 1);
	same("2", await page.textContent("#count"), "the count");
	await page.context().close();
});

test("a subprotocol: chosen if it is known, else Chromium closes", async () => {
	const page = await open(example(WS));
	const ask = (protocols) => page.evaluate(([url, list]) =>
		new Promise((resolve) => {
			const ws = new WebSocket(url, list);
			ws.onopen = () => resolve(ws.protocol);
			ws.onerror = () => resolve("failed");
		}), [WS, protocols]);
	same("v2.chat", await ask(["other", "v2.chat"]), "of two");
	same("failed", await ask(["other"]), "of an unknown one");
	await page.context().close();
});

test("Close ends it for good, Connect begins again, another address moves", async () => {
	const page = await open(example(WS));
	const first = await connected(page);
	await page.click("#close");
	await page.waitForSelector("#state[data-state=closed]");
	same("none", await page.textContent("#id"), "the id");
	await page.waitForTimeout(500);
	same(["OK 0"], await ctl({ action: "multicast", data: 0 }), "who is connected");
	await page.click("button[type=submit]");
	const second = await connected(page);
	same(true, first !== second, "a new id");
	await page.fill("#url", WSS);
	await page.press("#url", "Enter");
	await page.waitForFunction((id) => {
		const now = document.getElementById("id").textContent;
		return now !== id && now !== "none";
	}, second);
	await page.waitForTimeout(200);
	same(["OK 1"], await ctl({ action: "multicast", data: 1 }), "who is connected");
	await page.fill("#url", "not an address");
	await page.click("button[type=submit]");
	await page.waitForSelector("#state[data-state=closed]");
	same([], page.faults, "the page's errors");
	await page.context().close();
});

for (const how of ["is cut", "is switched off in the browser"])
	test(`10,000 numbers while the network ${how}: once and in order`, async () => {
		const proxy = await Proxy.to(PORT);
		const page = await open(example(`ws://127.0.0.1:${proxy.port}/`));
		const device = await connected(page);
		const session = () => page.textContent("#session");
		same("new", await session(), "the session");
		/* What the page is given, and when; a wait is 50 ms at most. */
		await page.evaluate(() => {
			const { onmessage, onopen } = hub.options;
			Hub.FIRST = Hub.CAP = 50;
			window.numbers = [];
			window.opened = [];
			hub.options.onmessage = (message, text) => {
				numbers.push(message.n);
				onmessage(message, text);
			};
			hub.options.onopen = (id, how) => {
				opened.push(how);
				onopen(id, how);
			};
		});
		const told = await count(SOCK, device, 10000, async (n) => {
			if (how === "is cut") {
				n % 1000 === 0 && proxy.cut(n % 1900);
			} else if (n % 4000 === 2000) {
				proxy.freeze();  // Chromium leaves open WebSockets alone
				await page.context().setOffline(true);
			} else if (n > 0 && n % 4000 === 0) {
				await page.context().setOffline(false);
				await page.waitForFunction((n) => opened.length === n, n / 4000);
			}
		});
		same(true, told, "each was queued for the one device");
		await counted(page, 10000);
		same("", fault(await page.evaluate(() => numbers), 10000), "the numbers");
		const opened = await page.evaluate(() => window.opened);
		same([true, false], [opened.every((o) => o.resumed), opened.some((o) => o.lost)],
			"resumed, lost");
		if (opened.length < 2 || opened.every((o) => o.missed === 0))
			throw new Error(`few breaks: ${JSON.stringify(opened)}`);
		same(device, await page.textContent("#id"), "the device id");
		same(`resumed, ${opened.at(-1).missed} missed message${
			opened.at(-1).missed === 1 ? "" : "s"} followed`, await session(),
			"the session");
		same([], page.faults, "the page's errors");
		await page.context().close();
		proxy.close();
	});

test("the page fits a phone and a desk, light and dark", async () => {
	for (const [width, height] of [[320, 568], [390, 844], [1280, 800]])
		for (const colorScheme of ["light", "dark"]) {
			const page = await open(example(WS),
				{ viewport: { width, height }, colorScheme });
			const device = await connected(page);
			await ctl({ action: "sendToDevice", device, data: "x".repeat(500) });
			await counted(page, 1);
			same(width, await page.evaluate(() =>
				Math.max(innerWidth, document.documentElement.scrollWidth)),
				"the page's width");
			await page.context().close();
		}
});

if (WEB)
	test("backend.php subscribes the page, sends to it, and keeps it", async () => {
		const page = await open(WEB);
		await page.waitForFunction(() =>
			document.getElementById("answer").textContent.startsWith("OK 1"));
		const device = await page.textContent("#device");
		await page.fill("[name=text]", 'a <b>"text"</b>');
		for (const what of ["channel", "device", "everybody"]) {
			await page.click(`[value=${what}]`);
			await page.waitForFunction((n) =>
				document.querySelectorAll("#messages li").length === n,
				["channel", "device", "everybody"].indexOf(what) + 1);
		}
		same(Array(3).fill('a <b>"text"</b>'),
			await page.$$eval("#messages li", (all) => all.map((li) => li.textContent)),
			"the messages");
		same(device, await page.textContent("#device"), "the device id");
		await page.click("[value=unsubscribe]");
		await page.waitForFunction(() =>
			document.getElementById("answer").textContent.trim() === "OK 1");
		await page.click("[value=channel]");
		await page.waitForFunction(() =>
			document.getElementById("answer").textContent.trim() === "OK 0");
		same([], page.faults, "the page's errors");
		await page.context().close();
	});

for (const signal of ["TERM", "KILL"])
	test(`a hub that gets SIG${signal} and starts again has its pages back`, async () => {
		const pages = [await open(example(WS)), await open(example(WSS))];
		const before = await Promise.all(pages.map(connected));
		fs.writeFileSync(RESTART, signal);
		/* It may be open again before anybody has seen it closed. */
		await Promise.all(pages.map((page, n) => page.waitForFunction((id) =>
			document.querySelector("#state").dataset.state !== "open" ||
			document.querySelector("#id").textContent !== id, before[n])));
		for (let n = 0; fs.existsSync(RESTART); n++) {
			if (n > 100)
				throw new Error("the hub was not started again in 10 s");
			await new Promise((resolve) => setTimeout(resolve, 100));
		}
		const after = await Promise.all(pages.map(connected));
		same(4, new Set([...before, ...after]).size, "different ids");
		for (const [n, page] of pages.entries()) {
			same("new; messages may have been lost",
				await page.textContent("#session"), "the session");
			same(["OK 1"], await ctl({ action: "sendToDevice", device: after[n],
				data: "back" }), "the answer");
			await counted(page, 1);
			same(['"back"'], await messages(page), "the messages");
		}
		await new Promise((resolve) => setTimeout(resolve, 500));
		same(["OK 2"], await ctl({ action: "multicast", data: 2 }), "who is connected");
		for (const page of pages) {
			same([], page.faults, "the page's errors");
			await page.context().close();
		}
	});

await runCases(import.meta.url, 150, {
	failed: async () => {
		for (const context of browser.contexts())
			await context.close();
	},
	last: () => browser.close(),
});
