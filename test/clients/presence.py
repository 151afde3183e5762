"""
Who is online, by presence.php, presence.py and presence.mjs, against "list".
wshub: ISC licence, see LICENSE.

PORT is the hub's ws:// port, SOCK its control socket, KEY its --token-key; it
has --resume 1. EXAMPLES is the directory of the examples, WEB presence.php's
address or empty, NODE the program or empty, RESTART the file that lib.sh's
cases looks at.
"""
import asyncio
import html
import json
import os
import random
import re
import signal
import socket
import struct
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

import websockets

from cases import Failure, case, example, run_cases, same

PORT, SOCK, WEB = int(os.environ["PORT"]), os.environ["SOCK"], os.environ["WEB"]
NODE, RESTART = os.environ["NODE"], os.environ["RESTART"]
EXAMPLES = os.environ["EXAMPLES"]
Hub = example(EXAMPLES + "/send.py").Hub
Presence = example(EXAMPLES + "/presence.py").Presence
TOKEN = example(EXAMPLES + "/make_token.py")
SECRET = TOKEN.read_key(os.environ["KEY"])
NAMES = ["alice", "7", "1e3", "<script>alert(1)</script>", "a'b\"c&amp;",
         "line\nbreak\u2028here", "ünï", "</ul>", "x" * 255, "\u0001 \\"]


def ask(*questions):
    """The answers; those that are not OK as they are."""
    with Hub(SOCK) as hub:
        return [json.loads(a[3:]) if a.startswith("OK ") else a
                for a in hub.pipeline(questions)]


def query(name, channels=()):
    return "resume&token=" + TOKEN.make_token(SECRET, name, channels)


class Client:
    """A client with a session, which may lose its connection."""

    def __init__(self, name, channels=()):
        self.sub, self.channels, self.session = name, channels, ""

    async def connect(self):
        self.socket = await websockets.connect(
            "ws://127.0.0.1:%d/?%s" % (PORT, query(self.sub, self.channels)
                .replace("resume", "resume" + self.session, 1)))
        hello = json.loads(await asyncio.wait_for(self.socket.recv(), 5))
        if hello["action"] == "setDeviceId":
            self.session = "=%s.0" % hello["data"]["session"]
        self.name = hello["data"]["device_id"]
        return self

    async def cut(self):
        self.socket.transport.abort()
        await self.socket.wait_closed()

    async def leave(self, code=1000):
        await self.socket.close(code)


class Crowd:
    """Clients that come, go, break off and come back at random."""

    def __init__(self):
        self.here, self.away = [], []

    async def step(self):
        what = random.choice(["join"] * 4 + [
            "leave", "leave", "cut", "close 4000", "back", "take over", "kick"])
        if what == "join":
            name = random.choice(NAMES + [None] * 4)
            self.here.append(await Client(name).connect())
        elif what == "back":
            if self.away:
                client = self.pick(self.away)
                self.here.append(await client.connect())
        elif self.here:
            client = self.pick(self.here)
            if what == "leave":
                await client.leave()
            elif what == "cut" or what == "close 4000":
                await (client.cut() if what == "cut" else client.leave(4000))
                self.away.append(client)
            elif what == "take over":  # "resume" without "away"
                old = client.socket
                self.here.append(await client.connect())
                await old.wait_closed()
            elif what == "kick":
                await asyncio.to_thread(
                    ask, {"action": "kick", "device": client.name})

    @staticmethod
    def pick(clients):
        return clients.pop(random.randrange(len(clients)))

    async def leave(self):
        for client in self.here:
            await client.leave()
        self.here = []


class Program:
    """A program that prints changes; its set is made from these alone."""

    def __init__(self, *command):
        self.command, self.online, self.current = command, set(), False
        self.reasons, self.wrong = [], []

    async def start(self):
        self.process = await asyncio.create_subprocess_exec(
            *self.command, SOCK, stdout=asyncio.subprocess.PIPE)
        self.task = asyncio.create_task(self.read())
        return self

    async def read(self):
        async for line in self.process.stdout:
            sign, text = line.decode()[:-1].split(" ", 1)
            if sign == "+" and json.loads(text) not in self.online:
                self.online.add(json.loads(text))
            elif sign == "-" and json.loads(text) in self.online:
                self.online.remove(json.loads(text))
            elif sign == "=" and int(text) == len(self.online):
                self.current = True
            elif sign == "?":
                self.current = False
                self.reasons.append(text)
            else:
                self.wrong.append(line)

    def signal(self, number):
        self.process.send_signal(number)

    async def end(self):
        self.process.kill()
        await self.process.wait()
        self.task.cancel()


class InProcess(Presence):
    """The class itself, which knows the number of sessions, too."""

    def __init__(self):
        super().__init__(SOCK, came=self.count, went=self.count, longest=0.2)
        self.calls, self.wrong, self.reasons = {}, [], []
        self.broken = self.reasons.append

    async def start(self):
        self.task = asyncio.create_task(self.run())
        return self

    def count(self, name):
        self.calls[name] = self.calls.get(name, 0) + 1

    async def end(self):
        self.task.cancel()
        await asyncio.wait([self.task])
        same(False, self.current, "current after the end")
        same(set(self.online), {n for n, c in self.calls.items() if c % 2},
             "who came and did not go")


def state():
    """Each device's number of sessions, by list and info."""
    names = ask({"action": "list"})[0]
    infos = ask(*({"action": "info", "device": n} for n in names))
    return {n: len(i["sessions"]) for n, i in zip(names, infos)
            if not isinstance(i, str)}


async def compare(watchers, seconds=8):
    """Waits until all watchers know what there is, and returns that."""
    until = time.monotonic() + seconds
    while True:
        try:
            there = await asyncio.to_thread(state)
        except OSError:
            there = None  # the hub is being started
        differ = [w for w in watchers if not w.current or there is None or
                  w.online != (there if isinstance(w, InProcess) else
                               set(there))]
        if not differ:
            break
        if time.monotonic() > until:
            raise Failure("%s: %r instead of %r" % (
                type(differ[0]).__name__, differ[0].online, there))
        await asyncio.sleep(0.02)
    for watcher in watchers:
        same([], watcher.wrong, "lines that do not fit what was printed")
    return there


async def start_all():
    watchers = [InProcess(), Program(sys.executable, EXAMPLES + "/presence.py")]
    if NODE:
        watchers.append(Program(NODE, EXAMPLES + "/presence.mjs"))
    return [await w.start() for w in watchers]


async def restart_hub(number):
    with open(RESTART, "w") as file:
        file.write(number)
    for _ in range(100):
        if not os.path.exists(RESTART):
            return
        await asyncio.sleep(0.1)
    raise Failure("the hub was not started again in 10 s")


def page(channel=None):
    """The status, the headline, names in the list and channels with counts."""
    url = WEB + ("" if channel is None else
                 "?" + urllib.parse.urlencode({"channel": channel}))
    try:
        answer = urllib.request.urlopen(url, timeout=5)
    except urllib.error.HTTPError as error:
        answer = error
    text = answer.read().decode()
    if "<script" in text or text.count("</ul>") > 2:
        raise Failure("a name is HTML: %s" % text)

    def items(name):
        part = re.search('<ul id="%s">\n(.*?)</ul>' % name, text, re.S)
        return re.findall("<li>(.*?)</li>", part.group(1), re.S) if part else []
    links = [re.fullmatch('<a href="(.*?)">(.*?)</a>: (\\d+)', item, re.S)
             .groups() for item in items("channels")]
    for href, name, _ in links:
        same({"channel": [html.unescape(name)]}, urllib.parse.parse_qs(
            html.unescape(href)[1:]), "the link of a channel")
    return (answer.status, html.unescape(re.search(
        "<h1>(.*?)</h1>", text, re.S).group(1)), {html.unescape(n) for n in
        items("devices")}, {html.unescape(n): int(c) for _, n, c in links},
        text)


@case("presence.php: names, channels and numbers, none of them HTML")
async def _():
    same((200, "0 online", set(), {}), page()[:4], "a page with nobody")
    crowd = [await Client(name, NAMES[n:n + 2]).connect()
             for n, name in enumerate(NAMES)]
    crowd.append(await Client("alice", ["7"]).connect())
    counts = {name: 2 for name in NAMES}
    counts[NAMES[0]] = 1
    same((200, "10 online", set(NAMES), counts), page()[:4], "the page")
    for n in range(1, len(NAMES)):
        wanted = set(NAMES[n - 1:n + 1])
        same((200, "2 online in " + NAMES[n], wanted, counts),
             page(NAMES[n])[:4], "the page of a channel")
    same((200, "0 online in none", set(), counts), page("none")[:4],
         "the page of a channel that is not there")
    same((200, "10 online", set(NAMES), counts), page("")[:4],
         "the page of the channel without a name")
    status, headline, names, _, text = page("x" * 256)
    same((400, "Nobody knows who is online", set()), (status, headline, names),
         "the page of a name that is too long")
    if "is not a string of 1 to 255 bytes" not in text:
        raise Failure("the page does not say why: %s" % text)
    same(200, page(b"\xff<b>")[0], "the status for a name that is not UTF-8")
    for client in crowd:
        await client.leave()


def visit(number, name, path=b""):
    """Clients that connect and are gone at once, one after the other."""
    request = b"GET /%s?%s HTTP/1.1\r\n" % (path, query(name)[7:].encode()) + \
        b"Host: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" \
        b"Sec-WebSocket-Version: 13\r\n" \
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    clients = []
    for _ in range(number):
        client = socket.create_connection(("127.0.0.1", PORT))
        client.sendall(request)
        answer = client.recv(4096)
        if not answer.startswith(b"HTTP/1.1 101 "):
            raise Failure("a visitor got %r" % answer)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                          struct.pack("ii", 1, 0))
        clients.append(client)
        yield clients


@case("presence.php: too many are counted and not listed")
async def _():
    for clients in visit(501, None):
        pass
    status, headline, names, _, text = page()
    same((200, "501 online", set()), (status, headline, names), "the page")
    if "too many to show" not in text:
        raise Failure("the page does not say so: %s" % text)
    for client in clients:
        client.close()
    for _ in range(100):
        if ask({"action": "count"}) == [0]:
            return
        await asyncio.sleep(0.02)
    raise Failure("they do not go")


@case("presence.py and presence.mjs are the list after random steps")
async def _():
    crowd, watchers = Crowd(), await start_all()
    try:
        for _ in range(20):
            for _ in range(random.randrange(1, 20)):
                await crowd.step()
            await compare(watchers)
        await crowd.leave()
        until = time.monotonic() + 5
        while left := await compare(watchers):  # until --resume is over
            if time.monotonic() > until:
                raise Failure("still there: %r" % ask(
                    *({"action": "info", "device": n} for n in left)))
            await asyncio.sleep(0.1)
        same([[]] * len(watchers), [w.reasons for w in watchers], "breaks")
    finally:
        for watcher in watchers:
            await watcher.end()


@case("they are it again after the hub was killed, or ended")
async def _():
    crowd, watchers = Crowd(), await start_all()
    try:
        for number in "KILL", "TERM", "KILL":
            for _ in range(20):
                await crowd.step()
            crowd.here.append(await Client("alice").connect())
            await compare(watchers)
            await restart_hub(number)
            for client in crowd.here:
                await client.cut()
            crowd.here, crowd.away = [], []
            # She is there before and after.
            crowd.here.append(await Client("alice").connect())
            for _ in range(5):
                await crowd.step()
            await compare(watchers)
        for watcher in watchers:
            if len(watcher.reasons) < 3:
                raise Failure("breaks: %r" % watcher.reasons)
        await crowd.leave()
    finally:
        for watcher in watchers:
            await watcher.end()


def flood():
    # More than 2 MB of events: each " has two bytes there.
    for clients in visit(2000, "y" * 255, b'"' * 254):
        clients.pop().close()


@case("they are it again after they did not read and events were lost")
async def _():
    crowd, watchers = Crowd(), await start_all()
    programs = watchers[1:]
    try:
        for _ in range(30):
            await crowd.step()
        await compare(watchers)
        for watcher in programs:
            watcher.signal(signal.SIGSTOP)
        await asyncio.to_thread(flood)
        for _ in range(30):
            await crowd.step()
        for watcher in programs:
            watcher.signal(signal.SIGCONT)
        for _ in range(30):
            await crowd.step()
        await compare(watchers)
        for watcher in programs:
            same(True, any(re.fullmatch("[1-9][0-9]* events are lost", r)
                           for r in watcher.reasons),
                 "whether events were lost: %r" % watcher.reasons)
        await crowd.leave()
        await compare(watchers)
    finally:
        for watcher in watchers:
            await watcher.end()


def skip(name):
    return "no php or curl" if "presence.php" in name and not WEB else None


STATUS = asyncio.run(run_cases(__file__, 30, skip))
if not NODE:
    print("skip - presence.mjs: no node")
sys.exit(STATUS)
