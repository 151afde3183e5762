/*
 * A TCP proxy on 127.0.0.1 in front of a hub, to simulate network failures, and
 * a backend that sends numbers. wshub: ISC licence, see LICENSE.
 */
import net from "node:net";

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export class Proxy {
	/* Returns a proxy for that port of a hub. It listens on proxy.port. */
	static async to(port) {
		const proxy = new Proxy();
		proxy.pairs = new Set();
		proxy.refuses = false;
		proxy.connections = 0;
		proxy.server = net.createServer((client) => proxy.take(client, port));
		for (;;) {  // below the ephemeral ports
			proxy.port = 10240 + Math.floor(Math.random() * 22000);
			const failed = await new Promise((resolve) => {
				proxy.server.once("error", resolve);
				proxy.server.listen(proxy.port, "127.0.0.1", () => resolve(null));
			});
			if (failed === null)
				return proxy;
		}
	}

	take(client, port) {
		if (this.refuses)
			return client.destroy();
		this.connections++;
		const hub = net.connect({ port, host: "127.0.0.1" });
		const pair = { client, hub, left: Infinity };
		this.pairs.add(pair);
		const end = () => {
			this.pairs.delete(pair);
			client.destroy();
			hub.destroy();
		};
		for (const socket of [client, hub])
			socket.on("error", () => {}).on("close", end);
		client.on("data", (data) => hub.write(data));
		hub.on("data", (data) => {
			const part = data.subarray(0, pair.left);
			pair.left -= part.length;
			client.write(part);
			if (pair.left === 0)
				client.end(end);
		});
	}

	/* Closes each connection after so many bytes, even within a frame. */
	cut(bytes) {
		for (const pair of this.pairs)
			pair.left = bytes;
	}

	/* Stops forwarding and closes nothing, as if a cable were unplugged. */
	freeze() {
		for (const { client, hub } of this.pairs) {
			client.pause().removeAllListeners("data");
			hub.pause().removeAllListeners("data");
		}
	}

	close() {
		this.server.close();
		for (const { client } of this.pairs)
			client.destroy();
	}
}

/*
 * Sends the numbers 0 to n - 1 to a device, 50 of them every 10 ms, and calls
 * step before each 50. Returns false if one of them was not queued.
 */
export async function count(sock, device, n, step = () => {}) {
	const socket = net.connect({ path: sock });
	let answers = "";
	socket.on("data", (data) => answers += data);
	for (let i = 0; i < n; i += 50) {
		await step(i);
		socket.write(Array.from({ length: Math.min(50, n - i) }, (_, k) =>
			JSON.stringify({ action: "sendToDevice", device, data: { n: i + k } })
			+ "\n").join(""));
		await sleep(10);
	}
	await new Promise((resolve) => socket.end().on("close", resolve));
	const lines = answers.split("\n").slice(0, -1);
	return lines.length === n && lines.every((line) => line === "OK 1");
}

/* Checks that numbers are 0 to n - 1. Returns "", or what is wrong. */
export function fault(numbers, n) {
	const at = numbers.findIndex((number, i) => number !== i);
	return at >= 0 ? `number ${at} is ${numbers[at]}`
	    : numbers.length === n ? "" : `${numbers.length} of ${n} numbers came`;
}
