<?php
/*
 * A complete backend in one page. A browser connects to the hub and gives its
 * device id to this page, which subscribes it to a channel. A form sends
 * messages to everybody, to a channel or to a device.
 *
 * wshub: ISC licence, see LICENSE.
 *
 *     wshub &
 *     php -S 127.0.0.1:8000 examples/backend.php
 *
 * WSHUB_SOCK   the hub's control socket        wshub.sock
 * WSHUB_URL    the hub's address for browsers  ws://127.0.0.1:8080/
 *
 * Anybody who can open the page can send. For a hub with --token-key, set
 * WSHUB_TOKEN_KEY and WSHUB_USERS (see login.php). Then users must log in, and
 * their devices have their names. Messages contain the name of the sender, and
 * users can subscribe only their own devices. The hub does not check what users
 * may do; that is for a backend to decide.
 */
require_once __DIR__ . '/login.php';

/*
 * Sends one object to the hub and returns its reply, such as "OK 3" or "ERR
 * unknown device ...". If the object did not end with a newline, the reply
 * would be OK without a number.
 */
function hub(array $object): string
{
    $path = getenv('WSHUB_SOCK') ?: 'wshub.sock';
    $socket = @stream_socket_client("unix://$path", $code, $why, 5);
    if ($socket === false)
        return "ERR no hub at $path: $why";
    stream_set_timeout($socket, 5);
    fwrite($socket, json_encode($object, JSON_INVALID_UTF8_SUBSTITUTE) . "\n");
    $answer = fgets($socket);
    return $answer === false ? 'ERR no answer' : rtrim($answer, "\n");
}

/*
 * Returns the object to send for a form, or null if the form is not valid.
 * $user is null without a login.
 */
function hubObject(array $form, ?string $user): ?array
{
    foreach ($form as $value)
        if (!is_string($value))
            return null;
    $form += ['do' => '', 'device' => '', 'channel' => '', 'text' => ''];
    $data = ['action' => 'message', 'data' => ['text' => $form['text']]
        + ($user === null ? [] : ['from' => $user])];
    switch ($form['do']) {
    case 'everybody':
        return ['action' => 'multicast', 'data' => $data];
    case 'channel':
        return ['action' => 'sendToChannel', 'channel' => $form['channel'],
            'data' => $data];
    case 'device':
        return ['action' => 'sendToDevice', 'device' => $form['device'],
            'data' => $data];
    case 'subscribe':
    case 'unsubscribe':
        return ['action' => $form['do'], 'device' => $form['device'],
            'channel' => $form['channel']];
    }
    return null;
}

/* php -S calls this script for all paths; a web server serves hub.js itself. */
if (PHP_SAPI === 'cli-server') {
    $path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
    if ($path === '/hub.js') {
        header('Content-Type: text/javascript; charset=utf-8');
        readfile(__DIR__ . '/hub.js');
        return;
    }
    if ($path !== '/' && $path !== '/backend.php') {
        http_response_code(404);
        header('Content-Type: text/plain');
        echo "not found\n";
        return;
    }
}

header('Cache-Control: no-store');
header('X-Content-Type-Options: nosniff');
header('Vary: Accept');

$user = getenv('WSHUB_TOKEN_KEY') ? login() : null;
$form = ['do' => 'everybody', 'device' => '', 'channel' => 'news', 'text' => ''];
$answer = '';
if ($_SERVER['REQUEST_METHOD'] === 'POST') {
    if (isOtherSite()) {
        http_response_code(403);
        $answer = 'ERR the request comes from another site';
    } elseif (($object = hubObject($_POST, $user)) === null) {
        http_response_code(400);
        $answer = 'ERR the form is not complete';
    } elseif ($user !== null && str_ends_with($object['action'], 'subscribe')
        && $object['device'] !== $user) {
        http_response_code(403);
        $answer = "ERR you are $user";
    } else {
        $answer = hub($object);
        $form = array_intersect_key($_POST, $form) + $form;
    }
    /* The script gets only the reply, so that the page stays connected. */
    if (($_SERVER['HTTP_ACCEPT'] ?? '') === 'text/plain') {
        header('Content-Type: text/plain; charset=utf-8');
        echo $answer, "\n";
        return;
    }
}

$url = getenv('WSHUB_URL') ?: 'ws://127.0.0.1:8080/';
header('Content-Type: text/html; charset=utf-8');
?>
<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>wshub: a backend</title>
<link rel="icon" href="data:,">
<style>
body { max-width: 40rem; margin: 0 auto; padding: 1rem; font: 1rem/1.5 system-ui, sans-serif; }
label { display: block; margin-top: .6rem; }
input, textarea { display: block; width: 100%; box-sizing: border-box; }
input, textarea, button { padding: .5rem; font: inherit; }
button { margin: .6rem .3rem 0 0; cursor: pointer; }
output { display: block; min-height: 1.5em; margin-top: .6rem; font-family: ui-monospace, monospace; }
li { overflow-wrap: anywhere; }
</style>

<h1>A backend</h1>

<form method="post" id="form">
<label>Message <textarea name="text" rows="2"><?= e("\n" . $form['text']) ?></textarea></label>
<label>Channel <input name="channel" maxlength="255" value="<?= e($form['channel']) ?>"></label>
<label>Device <input name="device" maxlength="255" value="<?= e($form['device']) ?>"></label>
<button name="do" value="everybody">Send to everybody</button>
<button name="do" value="channel">Send to the channel</button>
<button name="do" value="device">Send to the device</button>
<button name="do" value="subscribe">Subscribe the device</button>
<button name="do" value="unsubscribe">Unsubscribe the device</button>
<?php if ($user !== null): ?>
<button name="do" value="logout" formnovalidate>Log out</button>
<?php endif ?>
<output id="answer"><?= e($answer) ?></output>
</form>

<h2>A browser</h2>
<p>This page is device <code id="device">none</code>, <span id="state">connecting</span>.</p>
<ol id="messages" reversed></ol>

<script src="hub.js"></script>
<script>
"use strict";
const url = <?= json_encode($url, JSON_HEX_TAG | JSON_HEX_AMP | JSON_INVALID_UTF8_SUBSTITUTE) ?>;
const $ = (id) => document.getElementById(id);

/* Posts to the backend and shows the hub's reply. */
async function post(fields) {
	try {
		const answer = await fetch(location.pathname, {
			method: "POST", body: fields, headers: { Accept: "text/plain" },
		});
		$("answer").textContent = await answer.text();
	} catch (error) {
		$("answer").textContent = error.message;
	}
}

$("form").addEventListener("submit", (event) => {
	if (event.submitter?.value === "logout")
		return;  // the browser submits this form itself
	event.preventDefault();
	const fields = new FormData($("form"));
	fields.set("do", event.submitter?.value ?? "everybody");
	post(fields);
});

new Hub(url, {
	deadAfter: 150000,
	onstate(state) {
		$("state").textContent = state;
	},
	onopen(deviceId, { resumed }) {
		if (resumed)
			return;  // the device is still in its channels
		const field = $("form").device;
		if (["", $("device").textContent].includes(field.value))
			field.value = deviceId;
		$("device").textContent = deviceId;
		post(new URLSearchParams({
			do: "subscribe", device: deviceId, channel: "news",
		}));
	},
	onmessage(message, text) {
		const item = document.createElement("li");
		const { from, text: said = text } = message?.data ?? {};
		item.textContent = from === undefined ? said : `${from}: ${said}`;
		$("messages").prepend(item);
		if ($("messages").childElementCount > 100)
			$("messages").lastElementChild.remove();
	},
});
</script>
