<?php
/*
 * A login page for a hub that requires tokens. It sets the cookie wshub_token,
 * which the browser sends to the hub. So the page's script needs no code for
 * tokens. backend.php uses the same functions.
 *
 * wshub: ISC licence, see LICENSE.
 *
 *     (umask 077; head -c 32 /dev/urandom | base64 >hub.key)
 *     php examples/login.php alice >>users     # reads a line, the password
 *     wshub --token-key hub.key --origin http://127.0.0.1:8000 &
 *     WSHUB_TOKEN_KEY=hub.key WSHUB_USERS=users \
 *         php -S 127.0.0.1:8000 examples/login.php
 *
 * WSHUB_TOKEN_KEY  the file of the hub's --token-key, which this page must be
 *                  able to read, too
 * WSHUB_USERS      a file with a line "name:hash" for each user, as made by
 *                  "htpasswd -B"                  users
 * WSHUB_URL        the hub's address for browsers  ws://127.0.0.1:8080/
 *
 * Browsers send the cookie to the hub if page and hub are on the same host; the
 * ports may differ. The hub accepts it only from pages of its own origin and of
 * the origins given with --origin. Use https: and wss:, except on your own
 * machine.
 */
require_once __DIR__ . '/token.php';

const LOGIN_TTL = 3600;  // seconds; each page view renews the token

function e(string $text): string
{
    return htmlspecialchars($text, ENT_QUOTES | ENT_SUBSTITUTE, 'UTF-8');
}

/* Other sites can post to this page, but the Origin field shows that. */
function isOtherSite(): bool
{
    $origin = $_SERVER['HTTP_ORIGIN'] ?? null;
    return $origin !== null && preg_replace('~^https?://~', '', $origin)
        !== ($_SERVER['HTTP_HOST'] ?? '');
}

function isUser(string $name, string $password): bool
{
    /* Nobody has this hash. Checking it hides that there is no such user. */
    $hash = '$2y$10$' . str_repeat('.', 53);
    $users = getenv('WSHUB_USERS') ?: 'users';
    $lines = @file($users, FILE_IGNORE_NEW_LINES);
    if ($lines === false) {
        http_response_code(500);
        exit("$users: the file of users cannot be read\n");
    }
    foreach ($lines as $line)
        if (str_starts_with($line, "$name:"))
            $hash = substr($line, strlen($name) + 1);
    return password_verify($password, $hash);
}

function setToken(string $token, int $expires): void
{
    setcookie('wshub_token', $token, ['expires' => $expires, 'path' => '/',
        'secure' => ($_SERVER['HTTPS'] ?? 'off') !== 'off',
        'httponly' => true, 'samesite' => 'Strict']);
}

/*
 * Returns the name of the user, which is also the device's name. If nobody is
 * logged in, or if somebody logs in or out, this sends the response and exits.
 */
function login(): string
{
    $key = readKey(getenv('WSHUB_TOKEN_KEY'));
    $name = tokenSub($key, (string)($_COOKIE['wshub_token'] ?? ''));
    $do = $_SERVER['REQUEST_METHOD'] === 'POST' ? $_POST['do'] ?? '' : '';
    $wrong = '';
    if (($do === 'login' || $do === 'logout') && !isOtherSite()) {
        $name = $_POST['name'] ?? '';
        $password = $_POST['password'] ?? '';
        if ($do === 'logout')
            setToken('', 1);
        elseif (is_string($name) && is_string($password) && isUser($name, $password))
            setToken(makeToken($key, $name, [], LOGIN_TTL), time() + LOGIN_TTL);
        else
            $wrong = 'Wrong name or password.';
        if ($wrong === '') {
            header('Location: ' . $_SERVER['REQUEST_URI'], true, 303);
            exit;
        }
        $name = null;
    }
    if ($name !== null) {
        setToken(makeToken($key, $name, [], LOGIN_TTL), time() + LOGIN_TTL);
        return $name;
    }
    http_response_code(401);
    if (($_SERVER['HTTP_ACCEPT'] ?? '') === 'text/plain') {
        header('Content-Type: text/plain; charset=utf-8');
        exit("ERR nobody is logged in\n");
    }
    header('Content-Type: text/html; charset=utf-8');
?>
<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>wshub: log in</title>
<link rel="icon" href="data:,">
<form method="post">
<label>Name <input name="name" autocomplete="username" required></label>
<label>Password <input name="password" type="password" autocomplete="current-password" required></label>
<button name="do" value="login">Log in</button>
<output><?= e($wrong) ?></output>
</form>
<?php
    exit;
}

if (get_included_files()[0] !== __FILE__)
    return;

/* From a shell: prints a line for the file of users. */
if (PHP_SAPI === 'cli') {
    $name = $argv[1] ?? '';
    if ($argc !== 2 || $name === '' || strlen($name) > 255 ||
        strpbrk($name, ":\r\n") !== false) {
        fwrite(STDERR, "usage: php login.php NAME (without a colon) <PASSWORD\n");
        exit(2);
    }
    fwrite(STDERR, "Password (it is shown): ");
    echo $name, ':', password_hash(rtrim((string)fgets(STDIN), "\r\n"),
        PASSWORD_BCRYPT), "\n";
    exit;
}

header('Cache-Control: no-store');
$name = login();
header('Content-Type: text/html; charset=utf-8');
?>
<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>wshub: <?= e($name) ?></title>
<link rel="icon" href="data:,">
<form method="post"><?= e($name) ?> <button name="do" value="logout">Log out</button></form>
<p>Device: <code id="device">none</code></p>
<ol id="messages"></ol>
<script>
// The same script as without tokens.
var socket = new WebSocket(<?= json_encode(getenv('WSHUB_URL') ?: 'ws://127.0.0.1:8080/',
    JSON_HEX_TAG | JSON_HEX_AMP | JSON_INVALID_UTF8_SUBSTITUTE) ?>);
socket.onmessage = function (event) {
	var message = JSON.parse(event.data);
	if (message && message.action === "setDeviceId") {
		document.getElementById("device").textContent = message.data.device_id;
	} else if (!message || message.action !== "hb") {
		var item = document.createElement("li");
		item.textContent = event.data;
		document.getElementById("messages").appendChild(item);
	}
};
</script>
