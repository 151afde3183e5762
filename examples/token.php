<?php
/*
 * Makes and checks the tokens that clients need to connect to a hub with
 * --token-key. Only PHP is needed.
 *
 * wshub: ISC licence, see LICENSE.
 *
 *     require 'token.php';
 *     $token = makeToken(readKey('hub.key'), 'alice', ['news'], 3600);
 *
 * From a shell, like "wshub token":
 *
 *     php token.php --token-key FILE [--sub NAME] [--channel NAME]... [--ttl SEC]
 */

/* Returns the first secret of a key file, which has one on each line. */
function readKey(string $path): string
{
    $text = @file_get_contents($path);
    if ($text === false)
        throw new RuntimeException("$path: cannot be read");
    foreach (preg_split('/\r?\n/', $text) as $line)
        if ($line !== '')
            return $line;
    throw new RuntimeException("$path: no secret");
}

/*
 * Returns a JSON Web Token (RFC 7519) that expires after $ttl seconds. $sub is
 * the device's name; without it, the device gets a random id.
 */
function makeToken(string $key, ?string $sub = null, array $channels = [],
    int $ttl = 3600): string
{
    $claims = ['exp' => time() + $ttl];
    if ($sub !== null)
        $claims['sub'] = $sub;
    if ($channels !== [])
        $claims['channels'] = array_values($channels);
    $signed = base64url(json_encode(['alg' => 'HS256', 'typ' => 'JWT']))
        . '.' . base64url(json_encode($claims, JSON_THROW_ON_ERROR));
    return $signed . '.' . base64url(hash_hmac('sha256', $signed, $key, true));
}

/*
 * Returns the sub of a token that makeToken made with this key. Returns null if
 * the token is not valid or has no sub.
 */
function tokenSub(string $key, string $token): ?string
{
    $dot = strrpos($token, '.');
    if ($dot === false)
        return null;
    $mac = base64url(hash_hmac('sha256', substr($token, 0, $dot), $key, true));
    if (!hash_equals($mac, substr($token, $dot + 1)))
        return null;
    $claims = json_decode(base64_decode(strtr(
        explode('.', $token)[1] ?? '', '-_', '+/')), true);
    return ($claims['exp'] ?? 0) > time() ? $claims['sub'] ?? null : null;
}

function base64url(string $bytes): string
{
    return rtrim(strtr(base64_encode($bytes), '+/', '-_'), '=');
}

if (PHP_SAPI === 'cli' && realpath($_SERVER['SCRIPT_FILENAME']) === __FILE__) {
    $options = getopt('', ['token-key:', 'sub:', 'channel:', 'ttl:'], $rest);
    $key = $options['token-key'] ?? null;
    $sub = $options['sub'] ?? null;
    $ttl = filter_var($options['ttl'] ?? 3600, FILTER_VALIDATE_INT);
    if ($rest !== $argc || !is_string($key) || is_array($sub) || $ttl === false) {
        fwrite(STDERR, "usage: php token.php --token-key FILE [--sub NAME]\n"
            . "           [--channel NAME]... [--ttl SEC]\n");
        exit(2);
    }
    try {
        echo makeToken(readKey($key), $sub, (array)($options['channel'] ?? []),
            $ttl), "\n";
    } catch (Exception $e) {
        fwrite(STDERR, 'token.php: ' . $e->getMessage() . "\n");
        exit(1);
    }
}
