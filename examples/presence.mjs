/*
 * Who is online, as a set that is never wrong. Only Node.js is needed.
 *
 * wshub: ISC licence, see LICENSE.
 *
 *   import { Presence } from "./presence.mjs";
 *   const presence = new Presence("wshub.sock", {
 *     came(name) {}, went(name) {}, ready() {}, broken(reason) {},
 *   });
 *   if (presence.current)
 *     presence.online;  // Map { "alice" => 2 }: two sessions of this device
 *   presence.close();
 *
 * The hub sends a snapshot of what there is, and then each change. If the
 * connection breaks or the hub tells that events were lost, a new snapshot is
 * requested. Until it is complete, "online" stays what it was and "current" is
 * false. Then "came" and "went" are called for the differences only, so that
 * nothing is missed or told twice.
 *
 * A device whose connection has broken and which may still resume its session
 * is online: messages for it are kept. "went" is called when the session has
 * ended.
 *
 * From a shell: node presence.mjs [PATH] prints (the default is $WSHUB_SOCK,
 * wshub.sock)
 *
 *   + "alice"       it came
 *   - "alice"       it went
 *   = 12            the set is current from here on, and so many are online
 *   ? REASON        it is not current from here on
 */
import { realpathSync } from "node:fs";
import { connect } from "node:net";
import { fileURLToPath } from "node:url";

/* "away" and "resume" do not change who is online. */
const WATCH = JSON.stringify({ action: "watch",
	events: ["connect", "disconnect"], snapshot: true }) + "\n";

export class Presence {
	online = new Map();
	current = false;
	#next = null;  // a snapshot that is not complete
	#wait = 1000;
	#timer;
	#socket;

	constructor(path, { came, went, ready, broken, longest = 30000 } = {}) {
		Object.assign(this,
			{ path, came, went, ready, broken, longest });
		this.#connect();
	}

	close() {
		clearTimeout(this.#timer);
		this.#socket.removeAllListeners("close").destroy();
		this.current = false;
	}

	#connect() {
		let text = "", reason = "the hub has closed the connection";
		this.#next = null;
		this.#socket = connect({ path: this.path });
		this.#socket.setEncoding("utf8").write(WATCH);
		this.#socket.on("error", (error) => reason = error.message);
		this.#socket.on("data", (more) => {
			/* Not by readline: it ends lines at U+2028, too. */
			const lines = (text + more).split("\n");
			text = lines.pop();
			for (const line of lines)
				if (!this.#socket.destroyed)
					this.#take(line);
		});
		this.#socket.on("close", () => this.#reconnect(reason));
	}

	#reconnect(reason) {
		const wait = Math.min(this.#wait, this.longest);
		this.#wait = 2 * wait;
		this.#timer = setTimeout(() => this.#connect(), Math.random() * wait);
		this.current = false;
		this.broken?.(`${this.path}: ${reason}`);
	}

	#take(line) {
		if (line.startsWith("OK")) {  // the snapshot begins
			this.#next = new Map();
			return;
		}
		if (line.startsWith("ERR")) {
			this.#socket.destroy(new Error(line));
			return;
		}
		if (this.#next === null)  // of the time before the snapshot
			return;
		const { event, device, sessions, count } = JSON.parse(line);
		if (event === "lost") {
			this.current = false;
			this.#next = null;
			this.#socket.write(WATCH);
			this.broken?.(`${count} events are lost`);
		} else if (event === "ready") {
			this.#replace();
		} else {
			this.#change(device, sessions);
		}
	}

	#change(name, sessions) {
		const was = this.#next.has(name), is = sessions !== 0;
		if (is)
			this.#next.set(name, sessions);
		else
			this.#next.delete(name);
		if (this.current && was !== is)
			is ? this.came?.(name) : this.went?.(name);
	}

	/* The snapshot is complete. From now on #next and online are one. */
	#replace() {
		const old = this.online;
		this.online = this.#next;
		this.current = true;
		this.#wait = 1000;
		for (const name of old.keys())
			if (!this.online.has(name))
				this.went?.(name);
		for (const name of this.online.keys())
			if (!old.has(name))
				this.came?.(name);
		this.ready?.();
	}
}

if (process.argv[1] &&
    realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
	const show = (sign, text) => console.log(`${sign} ${text}`);
	const presence = new Presence(
		process.argv[2] ?? process.env.WSHUB_SOCK ?? "wshub.sock", {
			came: (name) => show("+", JSON.stringify(name)),
			went: (name) => show("-", JSON.stringify(name)),
			ready: () => show("=", presence.online.size),
			broken: (reason) => show("?", reason),
		});
}
