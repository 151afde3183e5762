/*
 * A client of wshub for browsers: a connection that is opened again whenever it
 * is lost. Load it as a script, which defines Hub, or: import "./hub.js".
 *
 * wshub: ISC licence, see LICENSE.
 *
 *   const hub = new Hub("wss://example.org/", {
 *     onmessage(message, text) {},  // a message, parsed and as text
 *     onopen(deviceId) {},          // connected: give the id to your backend
 *     onstate(state, wait) {},      // "connecting" (not for the first time),
 *                                   // "open", "waiting" (wait ms), "closed"
 *     deadAfter: 150000,            // reconnect after this many ms without a
 *   });                             // message; 0: never. Use more than twice
 *   hub.close();                    // the server's --heartbeat (60 s)
 *
 * Every connection gets a new id, which has no channels: subscribe in onopen.
 * hub.deviceId is null while not connected. hub.seen is the time of the last
 * message (performance.now()), heartbeats included.
 */
class Hub {
	static CAP = 30000;     // ms: the longest wait between two tries
	static FIRST = 1000;    // ms: the bound of the first wait; it doubles
	static LASTED = 10000;  // ms: a connection this long resets the bound

	constructor(url, options = {}) {
		this.url = url;
		this.options = options;
		this.state = "connecting";
		this.deviceId = null;
		this.seen = 0;
		this.socket = null;  // the only one that is connecting or open
		this.failures = 0;   // in a row
		this.online = () => {
			this.failures = 0;
			if (this.state === "waiting")
				this.connect();
		};
		this.connect();  // throws if the URL is not valid
		globalThis.addEventListener?.("online", this.online);
	}

	close() {
		globalThis.removeEventListener?.("online", this.online);
		this.drop();
		this.change("closed");
	}

	/* The methods below are private. */

	connect() {
		this.drop();
		this.change("connecting");
		if (this.state !== "connecting")
			return;  // onstate has called close()
		const socket = this.socket = new WebSocket(this.url);
		this.seen = performance.now();
		socket.onopen = () => this.seen = this.opened = performance.now();
		socket.onmessage = (event) => this.take(event.data);
		socket.onclose = () => this.retry();
		socket.onerror = () => {};  // without a handler npm's ws throws
		this.watch();
	}

	/* Closes the socket and removes its handlers. */
	drop() {
		clearTimeout(this.retryTimer);
		clearTimeout(this.deadTimer);
		const old = this.socket;
		if (old)
			old.onopen = old.onmessage = old.onclose = null;
		old?.close();
		this.socket = this.deviceId = null;
		this.opened = Infinity;
	}

	/* Full jitter: a random wait between 0 and the bound, which doubles. */
	retry() {
		if (performance.now() - this.opened >= Hub.LASTED)
			this.failures = 0;
		this.drop();
		const bound = Math.min(Hub.CAP, Hub.FIRST * 2 ** this.failures++);
		const wait = Math.random() * bound;
		this.retryTimer = setTimeout(() => this.connect(), wait);
		this.change("waiting", wait);
	}

	/* Scripts do not see Pings: missing heartbeats show a dead connection. */
	watch() {
		const { deadAfter = 0 } = this.options;
		if (deadAfter <= 0)
			return;
		const left = this.seen + deadAfter - performance.now();
		if (left <= 0)
			this.retry();
		else
			this.deadTimer = setTimeout(() => this.watch(), left);
	}

	take(text) {
		this.seen = performance.now();
		const message = JSON.parse(text);
		if (this.deviceId === null && message?.action === "setDeviceId") {
			this.deviceId = message.data.device_id;
			this.change("open");
			if (this.deviceId !== null)  // onstate may call close()
				this.options.onopen?.(this.deviceId);
		} else if (message?.action !== "hb")
			this.options.onmessage?.(message, text);
	}

	change(state, wait) {
		if (this.state === state)
			return;
		this.state = state;
		this.options.onstate?.(state, wait);
	}
}

globalThis.Hub = Hub;
