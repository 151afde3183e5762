/*
 * The browser's side of wshub: a session that survives broken connections.
 * Use it as a plain script that defines Hub, or with: import "./hub.js".
 *
 * wshub: ISC licence, see LICENSE.
 *
 *   const hub = new Hub("wss://example.org/", {
 *     onmessage(message, text) {},  // the parsed message, and its JSON text
 *     onopen(deviceId, { resumed, missed, lost }) {},  // connected, see below
 *     onstate(state, wait) {},      // "connecting" (except the first time),
 *                                   // "open", "waiting" (wait ms), "closed"
 *     token: "...",                 // or a function that returns one, or a
 *                                   // promise of one: called before each try
 *     deadAfter: 150000,            // ms without data until the connection
 *   });                             // counts as dead; 0: never. Use more than
 *   hub.close();                    // twice the server's --heartbeat (60 s)
 *
 * When the connection was broken, onopen is called with one of these set:
 * resumed  The session continues with the same id and the same channels. The
 *          messages that were sent meanwhile follow, each of them once; their
 *          number is in "missed".
 * lost     Messages may be missing. This is a new session: give the id to your
 *          backend, subscribe, and fetch your state again.
 * At the first connection neither is set. If the server keeps no sessions, lost
 * is set after each break, and there is a new id.
 *
 * If the network fails without closing the connection, that must be noticed
 * before the server ends the session: it waits 10 s for a Pong, and then for
 * --resume (30 s). Use deadAfter: 35000 with --heartbeat 15 for that. Otherwise
 * lost is set after such a break.
 *
 * hub.deviceId is null unless connected. hub.seen is the time at which data was
 * last received (performance.now()), including heartbeats. The session is only
 * in memory: a page that is reloaded, or opened twice, begins a new session.
 */
class Hub {
	static CAP = 30000;     // ms between two tries, at most
	static FIRST = 1000;    // ms before the first retry, at most; doubles
	static LASTED = 10000;  // ms; such a long connection resets that
	static QUIET = 1000;    // ms without data before "online" replaces it
	static EXPIRED = 3000;  // the Close code when a token has expired
	static TAKEN = "resumed by another connection";  // the reason of a Close

	constructor(url, options = {}) {
		this.url = url;
		this.options = options;
		this.state = "connecting";
		this.deviceId = null;
		this.seen = 0;
		this.session = null;  // its secret, if the server keeps sessions
		this.count = 0;       // messages received in the session
		this.hadId = false;   // whether there ever was a device id
		this.socket = null;   // the only one that is connecting or open
		this.attempt = 0;     // to ignore the token of an earlier one
		this.failures = 0;    // in a row
		this.online = () => {
			this.failures = 0;
			if (this.state === "waiting")
				this.connect();
			else if (this.state === "open" && this.session !== null)
				this.replace();
		};
		this.connect();  // throws if the URL is invalid
		globalThis.addEventListener?.("online", this.online);
	}

	close() {
		globalThis.removeEventListener?.("online", this.online);
		this.drop(1000);  // this code ends the session
		this.change("closed");
	}

	/* The methods below are private. */

	connect() {
		this.drop();
		this.change("connecting");
		if (this.state !== "connecting")
			return;  // closed by onstate
		this.seen = performance.now();
		const { token } = this.options;
		const attempt = this.attempt;
		if (typeof token !== "function")
			this.open(token);
		else
			Promise.resolve().then(() => token())
			    .then((token) => attempt === this.attempt && this.open(token))
			    .catch(() => attempt === this.attempt && this.retry());
		this.watch();
	}

	/*
	 * The network is back, and the open connection may be dead: replaces
	 * it. But if data has just come, the browser may have received more
	 * that this page has not. The server does not keep that any longer, as
	 * the browser has confirmed it: it would be lost with the connection.
	 * So the page gets time for it. If data still comes after half of that
	 * time, the connection is alive, and stays.
	 */
	replace() {
		const now = performance.now();
		clearTimeout(this.replaceTimer);
		if (now - this.seen >= Hub.QUIET)
			this.connect();
		else
			this.replaceTimer = setTimeout(() => {
				if (this.seen < now + Hub.QUIET / 2)
					this.connect();
			}, Hub.QUIET);
	}

	open(token) {
		let url = String(this.url);
		url += (url.includes("?") ? "&" : "?") + "resume";
		if (this.session !== null)
			url += `=${this.session}.${this.count}`;
		if (token)
			url += `&token=${encodeURIComponent(token)}`;
		const socket = this.socket = new WebSocket(url);
		socket.onopen = () => this.seen = this.opened = performance.now();
		socket.onmessage = (event) => this.receive(event.data);
		socket.onclose = (event) => this.retry(event);
		socket.onerror = () => {};  // npm's ws throws without it
	}

	/*
	 * Closes the socket, and ignores its later events. Without a code the
	 * server keeps the session.
	 */
	drop(code) {
		clearTimeout(this.retryTimer);
		clearTimeout(this.deadTimer);
		clearTimeout(this.replaceTimer);
		const old = this.socket;
		if (old)
			old.onopen = old.onmessage = old.onclose = null;
		old?.close(code);
		this.attempt++;
		this.socket = this.deviceId = null;
		this.opened = Infinity;
	}

	/*
	 * Waits for a random time below a limit, which doubles with each
	 * failure ("full jitter"). If the token has expired, it connects at
	 * once with a new one, unless the connection lasted less than a second.
	 * If another connection has resumed the session, it begins a new one.
	 */
	retry({ code, reason } = {}) {
		const lasted = performance.now() - this.opened;
		if (lasted >= Hub.LASTED)
			this.failures = 0;
		if (reason === Hub.TAKEN)
			this.session = null;
		this.drop();
		let wait = 0;
		if (code !== Hub.EXPIRED || lasted < 1000)
			wait = Math.random() *
			    Math.min(Hub.CAP, Hub.FIRST * 2 ** this.failures++);
		this.retryTimer = setTimeout(() => this.connect(), wait);
		this.change("waiting", wait);
	}

	/* Scripts do not see Pings: heartbeats show that the server lives. */
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

	receive(text) {
		this.seen = performance.now();
		const message = JSON.parse(text);
		const action = this.deviceId === null ? message?.action : null;
		if (action === "setDeviceId" || action === "resumed") {
			const resumed = action === "resumed";
			const { device_id, session = null, missed = 0 } = message.data;
			const lost = this.hadId && !resumed;
			this.deviceId = device_id;
			this.hadId = true;
			if (!resumed) {
				this.session = session;
				this.count = 0;
			}
			this.change("open");
			if (this.deviceId !== null)  // null: closed by onstate
				this.options.onopen?.(this.deviceId,
				    { resumed, missed, lost });
			return;
		}
		this.count++;
		if (message?.action !== "hb")
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
