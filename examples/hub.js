/*
 * A browser's side of wshub: one connection that stays, however often it
 * breaks. A plain script that defines Hub, or: import "./hub.js".
 *
 * wshub: ISC licence, see LICENSE.
 *
 *   const hub = new Hub("wss://example.org/", {
 *     onmessage(message, text) {},  // a message, parsed; and as it came
 *     onopen(deviceId) {},          // connected: give the id to your backend
 *     onstate(state, wait) {},      // "connecting" (not called for the first),
 *                                   // "open", "waiting" (wait ms), "closed"
 *     deadAfter: 150000,            // ms with nothing heard until it counts as
 *   });                             // dead; 0: never. Make it more than twice
 *   hub.close();                    // the server's --heartbeat (60 s)
 *
 * The id is a new one after every reconnection, and no channels come with it:
 * subscribe in onopen. hub.deviceId is null while there is none; hub.seen is
 * when something last came (performance.now()), heartbeats included.
 */
class Hub {
	static CAP = 30000;     // ms that a wait between two tries may have
	static FIRST = 1000;    // and the bound of the first; it doubles
	static LASTED = 10000;  // ms after which a connection was a good one

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
		this.connect();  // throws if the URL is none
		globalThis.addEventListener?.("online", this.online);
	}

	close() {
		globalThis.removeEventListener?.("online", this.online);
		this.drop();
		this.change("closed");
	}

	/* The rest is not for callers. */

	connect() {
		this.drop();
		this.change("connecting");
		if (this.state !== "connecting")
			return;  // closed by onstate
		const socket = this.socket = new WebSocket(this.url);
		this.seen = performance.now();
		socket.onopen = () => this.seen = this.opened = performance.now();
		socket.onmessage = (event) => this.take(event.data);
		socket.onclose = () => this.retry();
		socket.onerror = () => {};  // npm's ws throws where nobody listens
		this.watch();
	}

	/* Lets go of the socket: nothing it does is heard from here on. */
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

	/* Full jitter: anything from nothing to the bound, which doubles. */
	retry() {
		if (performance.now() - this.opened >= Hub.LASTED)
			this.failures = 0;
		this.drop();
		const bound = Math.min(Hub.CAP, Hub.FIRST * 2 ** this.failures++);
		const wait = Math.random() * bound;
		this.retryTimer = setTimeout(() => this.connect(), wait);
		this.change("waiting", wait);
	}

	/* A browser shows no Pings: the heartbeat is how a dead line is noticed. */
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
			if (this.deviceId !== null)  // onstate may have closed it
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
