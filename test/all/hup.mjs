// Clients by wss:// that must not notice a HUP. wshub: ISC licence, see LICENSE.
//
//     node hup.mjs DIR PORT PID CLIENTS
//
// DIR has hub.sock, the hub's cert.pem and key.pem, and two pairs of those in
// a/ and b/. While a backend sends 40 messages a second to all, the pair is
// replaced twelve times, and three times by one that does not fit.

import fs from 'node:fs';
import net from 'node:net';
import tls from 'node:tls';
import { X509Certificate } from 'node:crypto';

const [dir, port, pid, count] = process.argv.slice(2);
const MESSAGES_EACH = 25; // ms
let failed = 0;

function report(name, wrong) {
  for (const line of wrong.slice(0, 5)) console.log(`    hup.mjs: ${line}`);
  console.log(`${wrong.length === 0 ? 'ok' : 'not ok'} - HUP under load: ${name}`);
  if (wrong.length !== 0) failed = 1;
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const print = (pair) =>
  new X509Certificate(fs.readFileSync(`${dir}/${pair}/cert.pem`)).fingerprint256;
const prints = { a: print('a'), b: print('b') };

// A handshake, WebSocket's as well. What comes is in client.got.
function connect() {
  return new Promise((resolve, reject) => {
    const client = { got: [], cert: '', lost: '' };
    let buf = Buffer.alloc(0);
    let open = false;
    const s = tls.connect({ host: '127.0.0.1', port, rejectUnauthorized: false }, () => {
      client.cert = s.getPeerCertificate().fingerprint256;
      s.write('GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n' +
        'Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n' +
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n');
    });
    client.socket = s;
    s.on('error', (e) => { client.lost = e.message; reject(e); });
    s.on('close', () => { client.lost ||= 'closed'; reject(new Error('closed')); });
    s.on('data', (data) => {
      buf = buf.length === 0 ? data : Buffer.concat([buf, data]);
      if (!open) {
        const end = buf.indexOf('\r\n\r\n');
        if (end === -1) return;
        open = true;
        buf = buf.subarray(end + 4);
      }
      while (buf.length >= 2 && buf.length >= 2 + buf[1]) {
        const text = buf.toString('latin1', 2, 2 + buf[1]);
        if (buf[0] === 0x81 && text.startsWith('{"action"')) resolve(client);
        else if (buf[0] === 0x81) client.got.push(+text);
        else client.got.push(`a frame that begins with ${buf[0]}`);
        buf = buf.subarray(2 + buf[1]);
      }
    });
  });
}

function install(pair) {
  for (const f of ['cert.pem', 'key.pem']) {
    fs.copyFileSync(`${dir}/${pair}/${f}`, `${dir}/new`);
    fs.renameSync(`${dir}/new`, `${dir}/${f}`);
  }
}

const logged = (words) => fs.readFileSync(`${dir}/log`, 'latin1').split(words).length - 1;

// HUP, and then the line that it makes.
async function hup(words) {
  const before = logged(words);
  process.kill(+pid, 'SIGHUP');
  for (let i = 0; i < 1000 && logged(words) === before; i++) await sleep(5);
  return logged(words) === before + 1 ? '' : `no line "${words}" in 5 s`;
}

const clients = [];
let wrong = [];
while (clients.length < +count) {
  const n = Math.min(20, +count - clients.length);
  clients.push(...await Promise.all(Array.from({ length: n }, connect)));
}
report(`${count} clients with the first certificate`,
  clients.filter((c) => c.cert !== prints.a).map((c) => c.cert));

const backend = net.connect(`${dir}/hub.sock`);
let sent = 0;
let replies = '';
backend.on('data', (data) => { replies += data; });
const publisher = setInterval(() => {
  backend.write(`{"action":"multicast","data":${sent++}}\n`);
}, MESSAGES_EACH);

// Others that come and go all the time, whichever certificate they get.
let storm = true;
let came = 0;
const strange = [];
const comers = (async () => {
  while (storm) {
    try {
      const c = await connect();
      if (c.cert !== prints.a && c.cert !== prints.b) strange.push(c.cert);
      came++;
      c.socket.destroy();
    } catch (e) {
      strange.push(e.message);
    }
    await sleep(20);
  }
})();

const slow = [];
let pair = 'a';
for (let i = 1; i <= 15; i++) {
  await sleep(200);
  let trouble;
  if (i % 5 === 0) { // a certificate, and not yet its key
    fs.copyFileSync(`${dir}/${pair === 'a' ? 'b' : 'a'}/cert.pem`, `${dir}/cert.pem`);
    trouble = await hup('the old certificate stays');
  } else {
    pair = pair === 'a' ? 'b' : 'a';
    install(pair);
    trouble = await hup('new connections get the new certificate');
  }
  if (trouble !== '') slow.push(trouble);
  const c = await connect();
  if (c.cert !== prints[pair]) wrong.push(`after HUP ${i} not the one of ${pair}`);
  c.socket.destroy();
}
report('who comes after a HUP gets the new certificate, or after a bad one the old',
  [...slow, ...wrong]);
storm = false;
await comers;
if (came < 10) strange.push(`only ${came} came`);
report('who comes meanwhile gets the one or the other', strange);

clearInterval(publisher);
for (let i = 0; i < 400; i++) {
  if (clients.every((c) => c.got.length >= sent)) break;
  await sleep(25);
}
report('nobody is dropped', clients.filter((c) => c.lost !== '').map((c) => c.lost));
report(`each of ${sent} messages comes to each, in order`, clients
  .map((c, i) => [i, c.got.findIndex((n, k) => n !== k), c.got.length])
  .filter(([, at, n]) => at !== -1 || n !== sent)
  .map(([i, at, n]) => `client ${i}: ${n} messages, the first wrong one ${at}`));
report('the backend hears OK for each',
  replies.split('\n').slice(0, -1).filter((r) => !/^OK \d+$/.test(r)).concat(
    replies.split('\n').length - 1 === sent ? [] : [`${replies.split('\n').length - 1} replies`]));
process.exit(failed);
