<?php
/*
 * Sending from PHP: one connection for one object, and the reply is "OK" or
 * "ERR". From a shell: php send.php '{"action": ...}'.
 *
 * wshub: ISC licence, see LICENSE.
 *
 * The object may be pretty-printed. If a newline follows it, the reply has a
 * detail ("OK 3", "ERR unknown device ..."): see backend.php. For thousands of
 * messages, keep the connection open and write one object per line, as send.py
 * does.
 */

if (!defined('WSHUB_SOCK'))
    define('WSHUB_SOCK', getenv('WSHUB_SOCK') ?: 'wshub.sock');

function sendViaWebsocket($json, $path = WSHUB_SOCK) {
    $socket = stream_socket_client('unix://' . $path);
    if ($socket === false)  // no hub; PHP has printed a warning with the reason
        return false;
    fwrite($socket, $json);
    $response = fread($socket, 8192);
    return $response;
}

if (PHP_SAPI === 'cli' && realpath($_SERVER['SCRIPT_FILENAME']) === __FILE__) {
    $response = sendViaWebsocket($argv[1] ?? json_encode([
        'action' => 'multicast',
        'data' => ['action' => 'message', 'data' => ['text' => 'hello from PHP']],
    ], JSON_PRETTY_PRINT));
    echo $response, "\n";
    exit($response === 'OK' ? 0 : 1);
}
