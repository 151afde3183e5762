"""
Clients of Python's websockets against a hub, and send.py's class as a backend.
wshub: ISC licence, see LICENSE.

PORT is the hub's ws:// port, SOCK its control socket, SEND is send.py,
RESTART the file that lib.sh's cases looks at.
"""
import asyncio
import json
import os
import random
import re
import sys
import time

import websockets

from cases import Failure, case, example, run_cases, same

SEND = example(os.environ["SEND"])
URL = "ws://127.0.0.1:%s/" % os.environ["PORT"]
SOCK = os.environ["SOCK"]


async def connect(**options):
    """A client and its device id."""
    client = await websockets.connect(URL, max_size=2 ** 21, **options)
    hello = json.loads(await recv(client))
    same("setDeviceId", hello["action"], "the first message")
    return client, hello["data"]["device_id"]


async def recv(client, seconds=5):
    return await asyncio.wait_for(client.recv(), seconds)


async def closed(client, code, what):
    await asyncio.wait_for(client.wait_closed(), 5)
    same(code, client.close_code, what)


async def raw_text(client, payload):
    """A text frame of any bytes."""
    if hasattr(client, "write_frame"):  # before websockets 14
        await client.write_frame(True, 1, payload)
    else:
        async with client.send_context():
            client.protocol.send_text(payload)


@case("the first message is a device id, and no two are alike")
async def _():
    ids = set()
    for _ in range(50):
        client, device = await connect()
        if not re.fullmatch("[A-Za-z0-9_-]{15}", device):
            raise Failure("got the id %r" % device)
        ids.add(device)
        await client.close()
    same(50, len(ids), "different ids of 50")


@case("a device, a channel, everybody: who gets what")
async def _():
    clients = [await connect() for _ in range(3)]
    (a, a_id), (b, b_id), (c, c_id) = clients
    with SEND.Hub(SOCK) as hub:
        same(1, hub.device(a_id, {"to": "a"}), "sendToDevice")
        same(True, hub.subscribe(a_id, "news"), "subscribe a")
        same(True, hub.subscribe(b_id, "news"), "subscribe b")
        same(False, hub.subscribe(b_id, "news"), "subscribe b again")
        same(2, hub.channel("news", {"to": "a and b"}), "sendToChannel")
        same(True, hub.unsubscribe(a_id, "news"), "unsubscribe a")
        same(False, hub.unsubscribe(a_id, "news"), "unsubscribe a again")
        same(1, hub.channel("news", {"to": "b"}), "sendToChannel")
        same(3, hub.multicast("to all"), "multicast")
        same(0, hub.channel("nothing", 1), "an empty channel")
        same(0, hub.device("nobody", 1), "a device that is not there")
    same(['{"to":"a"}', '{"to":"a and b"}', '"to all"'],
         [await recv(a) for _ in range(3)], "a")
    same(['{"to":"a and b"}', '{"to":"b"}', '"to all"'],
         [await recv(b) for _ in range(3)], "b")
    same(['"to all"'], [await recv(c)], "c")
    for client, _ in clients:
        await client.close()


@case("a device that has gone is in no channel, and not to be subscribed")
async def _():
    client, device = await connect()
    with SEND.Hub(SOCK) as hub:
        same(True, hub.subscribe(device, "gone"), "subscribe")
        await client.close()
        until = time.monotonic() + 3
        while hub.device(device, 1) != 0:
            if time.monotonic() > until:
                raise Failure("3 s after its Close the device is still there")
            await asyncio.sleep(0.01)
        same(0, hub.channel("gone", 1), "sendToChannel")
        try:
            hub.subscribe(device, "gone")
        except SEND.HubError:
            pass
        else:
            raise Failure("subscribe said OK")


@case("errors say what is wrong, and the next object is obeyed")
async def _():
    with SEND.Hub(SOCK) as hub:
        answers = list(hub.pipeline([
            '{"action":"nope"}', '{"action":"multicast"}', "NaN",
            "[1]", '{"action":"multicast","data":1}',
            '{"action":"subscribe","device":"x","channel":7}',
            '{"action":"sendToDevice","device":[],"data":1}',
            {"action": "multicast", "data": 2}]))
    same(["ERR", "ERR", "ERR", "ERR", "OK 0", "ERR", "ERR", "OK 0"],
         [a[:3] if a.startswith("ERR ") else a for a in answers],
         "the answers %r" % answers)
    if "nope" not in answers[0] or "data" not in answers[1]:
        raise Failure("the details are %r" % answers[:2])


@case("2,000 messages in one pipeline arrive in order")
async def _():
    client, device = await connect()

    def send():
        with SEND.Hub(SOCK) as hub:
            return list(hub.pipeline(
                {"action": "sendToDevice", "device": device, "data": {"n": n}}
                for n in range(2000)))
    answers, got = await asyncio.gather(
        asyncio.to_thread(send), many(client, 2000))
    same(["OK 1"] * 2000, answers, "the answers")
    same(['{"n":%d}' % n for n in range(2000)], got, "the messages")
    await client.close()


async def many(client, number):
    return [await recv(client) for _ in range(number)]


@case("20,000 objects in one pipeline are all answered")
async def _():
    def send():
        with SEND.Hub(SOCK) as hub:
            return list(hub.pipeline(
                '{"action":"sendToChannel","channel":"empty","data":%d}' % n
                if n % 2 else '{"action":"unknown %d"}' % n
                for n in range(20000)))
    answers = await asyncio.to_thread(send)
    same(20000, len(answers), "answers")
    for n, answer in enumerate(answers):
        if not (answer == "OK 0" if n % 2 else
                answer.startswith("ERR ") and "unknown %d" % n in answer):
            raise Failure("answer %d is %r" % (n, answer))


@case("900 kB, two bytes a character, arrive whole")
async def _():
    client, device = await connect()
    data = {"text": "é" * 450000}

    def send():
        with SEND.Hub(SOCK) as hub:
            [answer] = hub.pipeline([json.dumps(
                {"action": "sendToDevice", "device": device, "data": data},
                ensure_ascii=False)])
            return answer
    answer, text = await asyncio.gather(asyncio.to_thread(send), recv(client))
    same("OK 1", answer, "the answer")
    same(json.dumps(data, ensure_ascii=False, separators=(",", ":")), text,
         "the message")
    await client.close()


@case("an object of more than 1 MiB is an error, and the next is obeyed")
async def _():
    def send():
        with SEND.Hub(SOCK) as hub:
            return list(hub.pipeline([
                {"action": "multicast", "data": 1},
                {"action": "multicast", "data": "x" * 1100000},
                {"action": "multicast", "data": 2}]))
    answers = await asyncio.to_thread(send)
    same(["OK 0", "ERR", "OK 0"],
         [a[:3] if a.startswith("ERR ") else a for a in answers], "the answers")


@case("Ping is answered, with what it said")
async def _():
    client, _ = await connect()
    for payload in "one", "x" * 125, "":
        pong = await client.ping(payload)
        await asyncio.wait_for(pong, 5)
    await client.close()


@case("Close is answered, and the connection ends at once")
async def _():
    for code in 1000, 1001, 3000, 4999:
        client, _ = await connect(close_timeout=5)
        start = time.monotonic()
        await client.close(code, "that is all")
        same(code, client.close_code, "the code")
        if time.monotonic() - start > 2:
            raise Failure("it took %.1f s" % (time.monotonic() - start))


@case("what a client sends is ignored, up to 64 KiB")
async def _():
    client, device = await connect()
    await client.send("hello")
    await client.send(b"\xff\x00")
    await client.send("x" * 65536)
    await client.send(["in ", "some ", "fragments"])
    await client.send('{"action":"multicast","data":"from a client"}')
    await asyncio.wait_for(await client.ping(), 5)
    with SEND.Hub(SOCK) as hub:
        same(1, hub.device(device, "still here"), "sendToDevice")
    same('"still here"', await recv(client), "the message")
    await client.close()


@case("a text of more than 64 KiB gets Close 1009")
async def _():
    client, _ = await connect()
    await client.send("x" * 65537)
    await closed(client, 1009, "65,537 bytes")
    client, _ = await connect()
    try:
        await client.send(["x" * 1000] * 66)
    except websockets.ConnectionClosed:
        pass  # it is told before the end
    await closed(client, 1009, "66 fragments of 1,000 bytes")


@case("text that is not UTF-8 gets Close 1007")
async def _():
    for payload in b"\xff", b"ok \xed\xa0\x80", b"\xc3", b"\xc0\xaf":
        client, _ = await connect()
        await raw_text(client, payload)
        await closed(client, 1007, "the text %r" % payload)
    client, _ = await connect()
    await raw_text(client, "ends well: ä€\U0001f600".encode())
    await asyncio.wait_for(await client.ping(), 5)
    await client.close()


@case("an Origin, a path, subprotocols and compression on offer do no harm")
async def _():
    for options in {"origin": "http://example.org"}, {"compression": "deflate"}, \
            {"subprotocols": ["chat", "superchat"]}, \
            {"extra_headers": {"Cookie": "a=b; c=" + "d" * 4000}}:
        try:
            client, device = await connect(**options)
        except TypeError:  # extra_headers has another name since 14
            continue
        same(None, client.subprotocol, "the subprotocol")
        with SEND.Hub(SOCK) as hub:
            same(1, hub.device(device, "a" * 1000), "sendToDevice")
        same('"' + "a" * 1000 + '"', await recv(client), "the message")
        await client.close()
    client = await websockets.connect(URL + "some/path?with=a&query")
    await recv(client)
    await client.close()


@case("200 clients at once, each with its own messages")
async def _():
    clients = await asyncio.gather(*[connect() for _ in range(200)])

    def send():
        with SEND.Hub(SOCK) as hub:
            for answer in hub.pipeline(
                    {"action": "sendToDevice", "device": device, "data": [n, i]}
                    for i in range(20)
                    for n, (_, device) in enumerate(clients)):
                same("OK 1", answer, "an answer")
            same(200, hub.multicast("end"), "multicast")
    results = await asyncio.gather(
        asyncio.to_thread(send), *[many(client, 21) for client, _ in clients])
    for n, got in enumerate(results[1:]):
        same(["[%d,%d]" % (n, i) for i in range(20)] + ['"end"'], got,
             "client %d" % n)
    await asyncio.gather(*[client.close() for client, _ in clients])


async def counting(port, numbers, how):
    """Resuming in ten lines: numbers get what comes; never ends by itself."""
    session, seen = "", 0
    while True:
        try:
            async with websockets.connect(
                    "ws://127.0.0.1:%d/?resume%s" % (port, session and
                    "=%s.%d" % (session, seen))) as client:
                hello = json.loads(await client.recv())
                if hello["action"] == "setDeviceId":
                    session, seen = hello["data"]["session"], 0
                how.append(hello["data"])
                async for text in client:
                    seen += 1
                    numbers.append(json.loads(text))
        except (OSError, websockets.WebSocketException):
            await asyncio.sleep(0.05)


class Proxy:
    """In front of the hub; a connection ends after some random bytes."""

    async def start(self):
        while True:  # below the ports that a system gives out by itself
            self.port = random.randrange(10240, 32240)
            try:
                self.server = await asyncio.start_server(
                    self.take, "127.0.0.1", self.port)
                return self
            except OSError:
                pass

    async def take(self, reader, writer):
        try:
            hub_reader, hub_writer = await asyncio.open_connection(
                "127.0.0.1", int(os.environ["PORT"]))
        except OSError:
            return writer.close()
        there = asyncio.create_task(self.copy(reader, hub_writer, 2 ** 30))
        await self.copy(hub_reader, writer, random.randrange(400, 10000))
        there.cancel()
        writer.close()
        hub_writer.close()

    @staticmethod
    async def copy(reader, writer, left):
        try:
            while left > 0:
                data = await reader.read(4096)
                if not data:
                    break
                writer.write(data[:left])
                left -= len(data)
                await writer.drain()
        except OSError:
            pass


@case("10,000 numbers over connections that are cut, once and in order")
async def _():
    proxy, numbers, how = await Proxy().start(), [], []
    client = asyncio.create_task(counting(proxy.port, numbers, how))
    try:
        while not how:
            await asyncio.sleep(0.01)
        device = how[0]["device_id"]
        with SEND.Hub(SOCK) as hub:
            for first in range(0, 10000, 50):
                same(["OK 1"] * 50, list(hub.pipeline(
                    {"action": "sendToDevice", "device": device, "data": n}
                    for n in range(first, first + 50))), "the answers")
                await asyncio.sleep(0.01)
        until = time.monotonic() + 8
        while numbers[-1:] != [9999] and time.monotonic() < until:
            await asyncio.sleep(0.01)
        for n, got in enumerate(numbers):
            same(n, got, "number %d" % n)
        same(10000, len(numbers), "numbers")
        same(["session"] + ["missed"] * (len(how) - 1),
             [next(k for k in ("missed", "session") if k in h) for h in how],
             "how each connection began")
        if len(how) < 4 or not any(h["missed"] for h in how[1:]):
            raise Failure("few breaks, or nothing missed: %r" % how)
    finally:
        client.cancel()
        proxy.server.close()


@case("at its end the hub says Close 1001 to everybody")
async def _():
    clients = [await connect() for _ in range(10)]
    with open(os.environ["RESTART"], "w") as file:
        file.write("TERM")
    for client, _ in clients:
        await closed(client, 1001, "the code")
    for _ in range(100):  # lib.sh starts it again
        if not os.path.exists(os.environ["RESTART"]):
            return
        await asyncio.sleep(0.1)
    raise Failure("the hub was not started again in 10 s")


sys.exit(asyncio.run(run_cases(__file__, 20)))
