<?php
/*
 * A page that shows who is online. Nothing runs between two views of the page:
 * it asks the hub each time, by "count", "channels" and "list".
 *
 * wshub: ISC licence, see LICENSE.
 *
 *     wshub &
 *     php -S 127.0.0.1:8000 examples/presence.php
 *
 * WSHUB_SOCK   the hub's control socket        wshub.sock
 *
 * Anybody who can open the page sees all names. Without --token-key names are
 * random, and a backend may take a name as a proof of who asks (backend.php
 * does): then show the page to administrators only. With --token-key, set
 * WSHUB_TOKEN_KEY and WSHUB_USERS (see login.php), and users must log in.
 */
require_once __DIR__ . '/login.php';

const MOST = 500;  // names on the page; a hub may have 100,000

/* Returns a connection to the hub. */
function hubConnect()
{
    $path = getenv('WSHUB_SOCK') ?: 'wshub.sock';
    $hub = @stream_socket_client("unix://$path", $code, $why, 5);
    if ($hub === false)
        throw new RuntimeException("There is no hub at $path: $why.", 503);
    stream_set_timeout($hub, 5);
    return $hub;
}

/* Asks the hub a question and returns the answer: a number or an array. */
function hubAsk($hub, array $question)
{
    fwrite($hub, json_encode($question, JSON_INVALID_UTF8_SUBSTITUTE) . "\n");
    $reply = fgets($hub);  // a line, however long
    if ($reply === false || !str_ends_with($reply, "\n"))
        throw new RuntimeException('The hub does not answer.', 503);
    if (!str_starts_with($reply, 'OK '))
        throw new RuntimeException("The hub's answer is $reply", 400);
    return json_decode(substr($reply, 3), true, 64, JSON_THROW_ON_ERROR);
}

header('Cache-Control: no-store');
header('X-Content-Type-Options: nosniff');
if (getenv('WSHUB_TOKEN_KEY'))
    login();

$channel = $_GET['channel'] ?? '';
$of = is_string($channel) && $channel !== '' ? ['channel' => $channel] : [];
$devices = $channels = [];
$count = 0;
$error = '';
try {
    $hub = hubConnect();
    $channels = hubAsk($hub, ['action' => 'channels']);
    $count = hubAsk($hub, ['action' => 'count'] + $of);
    if ($count <= MOST)
        $devices = hubAsk($hub, ['action' => 'list'] + $of);
} catch (RuntimeException $e) {
    http_response_code($e->getCode());
    $error = $e->getMessage();
}
sort($devices, SORT_STRING);
ksort($channels, SORT_STRING);
header('Content-Type: text/html; charset=utf-8');
?>
<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="refresh" content="5">
<title>wshub: who is online</title>
<link rel="icon" href="data:,">
<style>
body { max-width: 40rem; margin: 0 auto; padding: 1rem; font: 1rem/1.5 system-ui, sans-serif; }
li { overflow-wrap: anywhere; }
</style>

<?php if ($error !== ''): ?>
<h1>Nobody knows who is online</h1>
<p><?= e($error) ?></p>
<?php else: ?>
<h1><?= $count ?> online<?= $of ? ' in ' . e($channel) : '' ?></h1>
<?php if ($count > MOST): ?>
<p>These are too many to show.</p>
<?php endif ?>
<ul id="devices">
<?php foreach ($devices as $name): ?>
<li><?= e($name) ?></li>
<?php endforeach ?>
</ul>

<h2>Channels</h2>
<p><a href="?">All devices</a></p>
<ul id="channels">
<?php foreach (array_slice($channels, 0, MOST, true) as $name => $n): ?>
<li><a href="?channel=<?= e(rawurlencode($name)) ?>"><?= e($name) ?></a>: <?= $n ?></li>
<?php endforeach ?>
</ul>
<?php if (count($channels) > MOST): ?>
<p>And <?= count($channels) - MOST ?> more.</p>
<?php endif ?>
<?php endif ?>
