/*
 * A browser's side of wshub: one session that stays, however often its
 * connection breaks. A plain script that defines Hub, or: import "./hub.js".
 *
 * wshub: ISC licence, see LICENSE.
 *
 *   const hub = new Hub("wss://example.org/", {
 *     onmessage(message, text) {},  // a message, parsed; and as it came
 *     onopen(deviceId, { resumed, missed, lost }) {},  // connected, see below
 *     onstate(state, wait) {},      // "connecting" (not called for the first),
 *                                   // "open", "waiting" (wait ms), "closed"
 *     token: "...",                 // or a function that returns one, or a
 *                                   // promise of one: called before each try
 *     deadAfter: 150000,            // ms with nothing heard until it counts as
 *   });                             // dead; 0: never. Make it more than twice
 *   hub.close();                    // the server's --heartbeat (60 s)
 *
 * After a break onopen tells one of two things:
 * resumed  The session goes on: the same id, the same channels. The "missed"
 *          messages that were sent meanwhile follow, none twice.
 * lost     Messages may be missing. It is a new session: give the id to your
 *          backend, subscribe, and fetch your state anew.
 * At the first connection neither is true. A server without sessions gives a
 * new id, and lost, after each break.
 *
 * A line that dies without a word must be noticed while the server still waits:
 * 10 s for a Pong and --resume (30 s). For that use deadAfter: 35000 with
 * --heartbeat 15. Otherwise such a break ends in "lost".
 *
 * hub.deviceId is null while there is none; hub.seen is when something last
 * came (performance.now()), heartbeats included. The session is in memory only:
 * a page that is loaded again, or twice, begins its own.
 */
class Hub {
	static CAP = 30000;     // ms that a wait between two tries may have
	static FIRST = 1000;    // and the bound of the first; it doubles
	static LASTED = 10000;  // ms after which a connection was a good one
	static EXPIRED = 3000;  // the Close code when a token has expired
	static TAKEN = "resumed by another connection";  // the reason of a Close

	constructor(url, options = {}) {
		this.url = url;
		this.options = options;
		this.state = "connecting";
		this.deviceId = null;
		this.seen = 0;
		this.session = null;  // its secret, if the server keeps sessions
		this.count = 0;       // of its text messages that have come
		this.known = false;   // whether there ever was a device id
		this.socket = null;   // the only one that is connecting or open
		this.attempt = 0;     // a token is of use only to its own one
		this.failures = 0;    // in a row
		this.online = () => {
			this.failures = 0;
			/* An open one may be dead; to resume it costs nothing. */
			if (this.state === "waiting" ||
			    (this.state === "open" && this.session !== null))
				this.connect();
		};
		this.connect();  // throws if the URL is none
		globalThis.addEventListener?.("online", this.online);
	}

	close() {
		globalThis.removeEventListener?.("online", this.online);
		this.drop(1000);  // which ends the session
		this.change("closed");
	}

	/* The rest is not for callers. */

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
			Promise.resolve().then(() => token()).then(
			    (token) => attempt === this.attempt && this.open(token),
			    () => attempt === this.attempt && this.retry());
		this.watch();
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
		socket.onmessage = (event) => this.take(event.data);
		socket.onclose = (event) => this.retry(event);
		socket.onerror = () => {};  // npm's ws throws where nobody listens
	}

	/*
	 * Lets go of the socket: nothing it does is heard from here on. Without a
	 * code the server keeps the session.
	 */
	drop(code) {
		clearTimeout(this.retryTimer);
		clearTimeout(this.deadTimer);
		const old = this.socket;
		if (old)
			old.onopen = old.onmessage = old.onclose = null;
		old?.close(code);
		this.attempt++;
		this.socket = this.deviceId = null;
		this.opened = Infinity;
	}

	/*
	 * Full jitter: anything from nothing to the bound, which doubles. With a
	 * new token it tries at once, but not when the last one was good for less
	 * than a second. A session that somebody else has taken is left to them.
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
		const action = this.deviceId === null ? message?.action : null;
		if (action === "setDeviceId" || action === "resumed") {
			const resumed = action === "resumed";
			const { device_id, session = null, missed = 0 } = message.data;
			const lost = this.known && !resumed;
			this.deviceId = device_id;
			this.known = true;
			if (!resumed) {
				this.session = session;
				this.count = 0;
			}
			this.change("open");
			if (this.deviceId !== null)  // onstate may have closed it
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
