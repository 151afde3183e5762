<?php
/*
 * The function of the old README against a hub, with a WebSocket client to see
 * what arrives. wshub: ISC licence, see LICENSE.
 *
 * OLD is the file with the function, PORT the hub's ws:// port.
 */
require getenv('OLD');

error_reporting(E_ALL);
set_error_handler(function ($code, $message) {
    throw new ErrorException($message, $code);
});

/* A client, as far as a test needs one: whole text frames, one at a time. */
class Client
{
    private $socket;
    public $device;

    function __construct()
    {
        $port = getenv('PORT');
        $this->socket = stream_socket_client("tcp://127.0.0.1:$port");
        stream_set_timeout($this->socket, 5);
        fwrite($this->socket, implode("\r\n", ['GET / HTTP/1.1', 'Host: localhost',
            'Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Version: 13',
            'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', '', '']));
        $head = '';
        while (!str_ends_with($head, "\r\n\r\n"))
            $head .= $this->bytes(1);
        if (!str_contains($head, 's3pPLMBiTxaQ9kYGzzhZRbK+xOo='))
            throw new Exception("the handshake was answered with $head");
        $this->device = json_decode($this->message())->data->device_id;
    }

    function message(): string
    {
        $first = ord($this->bytes(1));
        $length = ord($this->bytes(1));
        if ($length === 126)
            $length = unpack('n', $this->bytes(2))[1];
        elseif ($length === 127)
            $length = unpack('J', $this->bytes(8))[1];
        if ($first !== 0x81)
            throw new Exception(sprintf('a frame began with %02x', $first));
        return $this->bytes($length);
    }

    private function bytes(int $n): string
    {
        $got = '';
        while (strlen($got) < $n) {
            $more = fread($this->socket, $n - strlen($got));
            if ($more === '' || $more === false)
                throw new Exception(strlen($got) . " of $n bytes came");
            $got .= $more;
        }
        return $got;
    }
}

function same($wanted, $got, string $what): void
{
    if ($wanted !== $got)
        throw new Exception("$what: wanted " . substr(var_export($wanted, true), 0, 200)
            . ', got ' . substr(var_export($got, true), 0, 200));
}

$failed = 0;

function test(string $name, callable $run): void
{
    global $failed;
    try {
        $run();
        echo "ok - $name\n";
    } catch (Throwable $e) {
        echo '    php.php:', $e->getLine(), ': ', $e->getMessage(), "\n";
        echo "not ok - $name\n";
        $failed++;
    }
}

$client = new Client();

test('the old function sends pretty JSON to a device and gets OK', function () use ($client) {
    $json = <<<END
    {
        "action": "sendToDevice",
        "device": "$client->device",
        "data": {
            "action": "someAction",
            "data": { "some_key": "some_value" }
        }
    }
    END;
    same('OK', sendViaWebsocket($json), $json);
    same('{"action":"someAction","data":{"some_key":"some_value"}}',
        $client->message(), 'the client');
});

test('the example of the old README, to a device that is not there, gets OK', function () {
    foreach (['"1234567"', '1234567'] as $device)
        same('OK', sendViaWebsocket(<<<END
        {
            "action": "sendToDevice",
            "device": $device,
            "data": {
                "action": "someAction",
                "data": { "some_key": "some_value" }
            }
        }
        END), "device $device");
});

test('it subscribes, with data beside, sends to a channel, unsubscribes', function () use ($client) {
    $send = function (string $action, array $more) use ($client) {
        return sendViaWebsocket(json_encode(['action' => $action, 'channel' => 'söme "channel"']
            + $more, JSON_PRETTY_PRINT));
    };
    $device = ['device' => $client->device, 'data' => null];
    same('OK', $send('subscribe', $device), 'subscribe');
    same('OK', $send('subscribe', $device), 'subscribe again');
    same('OK', $send('sendToChannel', ['data' => 'ä/€']), 'sendToChannel');
    same('"\u00e4\/\u20ac"', $client->message(), 'the client');
    same('OK', $send('unsubscribe', $device), 'unsubscribe');
    same('OK', $send('sendToChannel', ['data' => 'nobody hears']), 'sendToChannel');
    same('OK', $send('multicast', ['data' => [1, 2]]), 'multicast');
    same('[1,2]', $client->message(), 'the client, who is in no channel');
});

test('1,000 calls in sequence get OK and arrive in order', function () use ($client) {
    for ($i = 0; $i < 1000; $i++)
        same('OK', sendViaWebsocket(json_encode(['action' => 'sendToDevice',
            'device' => $client->device, 'data' => ['n' => $i]], JSON_PRETTY_PRINT)),
            "call $i");
    for ($i = 0; $i < 1000; $i++)
        same("{\"n\":$i}", $client->message(), "message $i");
});

test('errors get ERR', function () use ($client) {
    foreach (['{"action": "nope"}', '{"action": "multicast"}', '[]', 'hello',
        '{"action": "multicast", "data": tru}',
        '{"action": "sendToDevice", "device": null, "data": 1}',
        '{"action": "subscribe", "device": "not there", "channel": "c"}',
    ] as $json)
        same('ERR', sendViaWebsocket($json), $json);
});

test('900 kB arrive whole', function () use ($client) {
    $data = ['text' => str_repeat('0123456789abcdef', 56250)];
    same('OK', sendViaWebsocket(json_encode(['action' => 'sendToDevice',
        'device' => $client->device, 'data' => $data], JSON_PRETTY_PRINT)), 'send');
    same(json_encode($data), $client->message(), 'the client');
});

exit($failed > 0 ? 1 : 0);
