// What test/clients/many runs. wshub: ISC licence, see LICENSE.
import { createRequire } from 'node:module';
import fs from 'node:fs';
import net from 'node:net';

const { CLIENTS, PORT, TLS_PORT, SOCK, CA, MODULES } = process.env;
const WebSocket = createRequire(MODULES + '/')('ws');
const ca = fs.readFileSync(CA);
const count = Number(CLIENTS), messages = 50, at_once = 100;
let failed = 0;

function verdict(name, wrong) {
	if (wrong) {
		console.log(`    many.mjs: ${wrong}\nnot ok - ${name}`);
		failed++;
	} else {
		console.log(`ok - ${name}`);
	}
}

const clients = [];
let arrived = 0, wrong = '', lost = 0, all;
const everything = new Promise((done) => { all = done; });

function connect(i) {
	return new Promise((done) => {
		const ws = i % 2 ? new WebSocket(`wss://127.0.0.1:${TLS_PORT}/`, { ca }) :
		    new WebSocket(`ws://127.0.0.1:${PORT}/`);
		let id = '', next = 0;
		ws.on('error', (e) => { lost++; wrong ||= `client ${i}: ${e.message}`; done(); });
		ws.on('close', () => { if (!ws.expected) lost++; });
		ws.on('message', (data) => {
			const m = JSON.parse(data);
			if (!id) {
				id = m.data.device_id;
				clients.push({ ws, id });
				done();
				return;
			}
			if (m !== next)
				wrong ||= `client ${i}: wanted ${next}, got ${m}`;
			next++;
			if (++arrived === count * messages)
				all();
		});
	});
}

for (let i = 0; i < count; i += at_once)
	await Promise.all(Array.from({ length: at_once }, (_, k) => connect(i + k)));
verdict(`${count} clients connect, half of them by wss://`,
    clients.length === count ? '' : `${clients.length} did; ${wrong}`);
verdict('each has an id of its own',
    new Set(clients.map((c) => c.id)).size === clients.length ? '' : 'two have the same');

let replies = '';
const backend = net.connect(SOCK);
backend.on('data', (d) => { replies += d; });
for (let i = 0; i < messages; i++)
	backend.write(`{"action":"multicast","data":${i}}\n`);
const late = setTimeout(() => {
	wrong ||= `${arrived} of ${count * messages} deliveries in 60 s`;
	all();
}, 60000);
await everything;
clearTimeout(late);
verdict(`each of ${messages} messages arrives at each client, in order`, wrong);
verdict('nobody is lost', lost ? `${lost} connections ended` : '');
while (replies.split('\n').length <= messages && arrived === count * messages)
	await new Promise((done) => setTimeout(done, 50));
verdict('each reply counts them all', replies === `OK ${count}\n`.repeat(messages) ? '' :
    `got ${replies.slice(0, 100)}`);
for (const { ws } of clients) {
	ws.expected = true;
	ws.terminate();
}
backend.destroy();
process.exitCode = failed ? 1 : 0;
