/*
 * Makes the tokens that clients need to connect to a hub with --token-key. Only
 * Node.js is needed.
 *
 * wshub: ISC licence, see LICENSE.
 *
 *   import { makeToken, readKey } from "./token.mjs";
 *   const token = makeToken(readKey("hub.key"), {
 *     sub: "alice",        // the device's name; without it: a random id
 *     channels: ["news"],  // the device is subscribed to these
 *     ttl: 3600,           // seconds until the token expires
 *   });
 *
 * From a shell, like "wshub token":
 *
 *   node token.mjs --token-key FILE [--sub NAME] [--channel NAME]... [--ttl SEC]
 */
import { createHmac } from "node:crypto";
import { readFileSync, realpathSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

/* Returns the first secret of a key file, which has one on each line. */
export function readKey(path) {
	const secret = readFileSync(path, "latin1").split(/\r?\n/).find(Boolean);
	if (secret === undefined)
		throw new Error(`${path}: no secret`);
	return Buffer.from(secret, "latin1");  // any bytes, not only UTF-8
}

/* Returns a JSON Web Token (RFC 7519), without claims that are undefined. */
export function makeToken(key, { sub, channels, ttl = 3600 } = {}) {
	const claims = { exp: Math.floor(Date.now() / 1000) + ttl, sub, channels };
	const signed = [{ alg: "HS256", typ: "JWT" }, claims].map((part) =>
		Buffer.from(JSON.stringify(part)).toString("base64url")).join(".");
	const mac = createHmac("sha256", key).update(signed).digest("base64url");
	return `${signed}.${mac}`;
}

function main() {
	const { values } = parseArgs({
		options: {
			"token-key": { type: "string" },
			sub: { type: "string" },
			channel: { type: "string", multiple: true },
			ttl: { type: "string", default: "3600" },
		},
	});
	if (values["token-key"] === undefined || !/^-?\d+$/.test(values.ttl))
		throw new Error("usage: token.mjs --token-key FILE [--sub NAME] " +
		    "[--channel NAME]... [--ttl SEC]");
	console.log(makeToken(readKey(values["token-key"]), { sub: values.sub,
		channels: values.channel, ttl: Number(values.ttl) }));
}

if (process.argv[1] &&
    realpathSync(process.argv[1]) === fileURLToPath(import.meta.url))
	try {
		main();
	} catch (error) {
		console.error(`token.mjs: ${error.message}`);
		process.exitCode = 1;
	}
