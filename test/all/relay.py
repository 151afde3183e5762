"""
Two hubs, two relays and a broker: all kinds of messages, many of them, and each
part killed and started again while they flow. wshub: ISC licence, see LICENSE.

A and B are processes in the network namespaces of the two machines, or empty.
HUB is the program, DIR a directory of ours, OLD the old README's PHP function.

Clients and backends use Unix sockets. So a link is only between relay and
broker, and all of them can be in this process.
"""
import asyncio
import faulthandler
import io
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
import traceback

import websockets

HUB, DIR, OLD = os.environ["HUB"], os.environ["DIR"], os.environ["OLD"]
A, B = os.environ["A"], os.environ["B"]
ADDRESS = "10.77.0.1" if A else "127.0.0.1"
MANY = int(os.environ.get("MANY", "100000"))
RATE = 1000  # messages a second
PROCESSES = []
failed = 0


class Failure(Exception):
    pass


def same(wanted, got, what):
    if wanted != got:
        raise Failure("%s: wanted %.300r, got %.300r" % (what, wanted, got))


def true(got, what):
    if not got:
        raise Failure(what)


async def until(condition, what, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise Failure("%s: not within %d s" % (what, seconds))
        await asyncio.sleep(0.02)


# --------------------------------------------------------------- processes

def on(machine, *argv):
    return (["nsenter", "-t", machine, "-n"] if machine else []) + list(argv)


class Process:
    """A program on a machine, which can be killed and started again."""

    def __init__(self, name, machine, *argv):
        self.name, self.argv = name, on(machine, *argv)
        self.log = "%s/%s.log" % (DIR, name)
        self.running = None
        PROCESSES.append(self)

    def start(self):
        with open(self.log, "ab") as log:
            self.running = subprocess.Popen(
                self.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True)
        return self

    def signal(self, number, wait=10):
        """To all of its processes; its exit status."""
        try:
            if number == signal.SIGKILL:
                os.killpg(self.running.pid, number)
            else:
                self.running.send_signal(number)
        except ProcessLookupError:
            pass
        return self.running.wait(wait)

    def said(self):
        if not os.path.exists(self.log):
            return ""
        with open(self.log, errors="replace") as f:
            return f.read()

    def says(self, words, times=1):
        return lambda: self.said().count(words) >= times

    def end(self):
        if self.running is not None and self.running.poll() is None:
            try:
                return self.signal(signal.SIGTERM)
            except subprocess.TimeoutExpired:
                return self.signal(signal.SIGKILL)
        return None


def hub(name, machine):
    return Process(
        name, machine, HUB, "-t", "-l", "unix:%s/%s.ws" % (DIR, name), "-s",
        "%s/%s.sock" % (DIR, name), "--heartbeat", "0", "--drain", "1",
        "--keep", "16000000", "--queue", "64000000")


def relay(name, machine, hub_name, url, *options):
    return Process(
        name, machine, HUB, "relay", "-t", "-s", "%s/%s.sock" %
        (DIR, hub_name), "-S", "%s/%s.sock" % (DIR, name), "--id",
        name, *options, url)


def random_port():
    return random.randrange(10240, 32000)


def mosquitto(name, port, *lines):
    os.makedirs("%s/%s.db" % (DIR, name), exist_ok=True)
    with open("%s/%s.conf" % (DIR, name), "w") as f:
        f.write("\n".join((
            "listener %d %s" % (port, ADDRESS), "persistence true",
            "persistence_location %s/%s.db/" % (DIR, name),
            "max_queued_messages 0", "log_dest stderr") + lines +
            (("user root",) if os.getuid() == 0 else ())) + "\n")
    return Process(name, A, "mosquitto", "-c", "%s/%s.conf" % (DIR, name))


def nats(name, port):
    with open("%s/%s.conf" % (DIR, name), "w") as f:
        f.write("""server_name: one
listen: "%s:%d"
jetstream { store_dir: "%s/%s.db" }
mqtt { listen: "%s:%d", max_ack_pending: 1000 }
""" % (ADDRESS, random_port(), DIR, name, ADDRESS, port))
    return Process(name, A, "nats-server", "-c", "%s/%s.conf" % (DIR, name))


# ------------------------------------------------------ clients and backends

class Client:
    """A WebSocket client of a hub, which resumes its session."""

    def __init__(self, hub_name):
        self.path = "%s/%s.ws" % (DIR, hub_name)
        self.session = self.device = None
        self.seen, self.got, self.lost, self.opened = 0, [], 0, 0
        self.ws = None
        self.task = asyncio.ensure_future(self.run())

    async def run(self):
        while True:
            try:
                await self.connection()
            except (OSError, websockets.WebSocketException,
                    asyncio.TimeoutError):
                pass
            await asyncio.sleep(0.02)

    async def connection(self):
        query = "" if self.session is None else "=%s.%d" % (
            self.session, self.seen)
        async with websockets.unix_connect(
                self.path, uri="ws://localhost/?resume" + query,
                compression=None, max_size=None, max_queue=None,
                ping_interval=None, open_timeout=5) as ws:
            first = json.loads(await ws.recv())
            if first["action"] == "setDeviceId":
                self.lost += self.session is not None
                self.session = first["data"]["session"]
                self.device, self.seen = first["data"]["device_id"], 0
            self.opened += 1
            self.ws = ws
            async for message in ws:
                self.seen += 1
                self.got.append(json.loads(message))

    async def gets(self, value):
        await until(lambda: value in self.got, "a client of %s gets %r" %
                    (self.path, value), 10)

    def numbers(self):
        return [n for n in self.got if isinstance(n, int)]


class Backend:
    """A connection to a socket for backends."""

    @classmethod
    async def to(cls, name):
        self = cls()
        self.reader, self.writer = await asyncio.open_unix_connection(
            "%s/%s.sock" % (DIR, name))
        return self

    async def ask(self, **command):
        self.writer.write(json.dumps(command).encode() + b"\n")
        return (await asyncio.wait_for(
            self.reader.readline(), 20)).decode().strip()

    def close(self):
        self.writer.close()


async def ask(name, **command):
    backend = await Backend.to(name)
    reply = await backend.ask(**command)
    backend.close()
    return reply


class Flow:
    """Multicasts 0, 1, 2 ... by a relay, each until it is OK."""

    def __init__(self, name, rate):
        self.name, self.rate, self.acknowledged = name, rate, 0
        self.errors = self.repeated = self.sent = 0
        self.stopping = False
        self.task = asyncio.ensure_future(self.run())

    async def run(self):
        while not (self.stopping and self.acknowledged >= self.sent):
            try:
                await self.connection(await Backend.to(self.name))
            except (OSError, asyncio.TimeoutError):
                await asyncio.sleep(0.02)

    async def connection(self, backend):
        """Ends with the first error, after all replies."""
        following = self.acknowledged
        reading = asyncio.ensure_future(self.replies(backend))
        begun, first = time.monotonic(), following
        try:
            while not reading.done():
                due = first + int((time.monotonic() - begun) * self.rate)
                if self.stopping:
                    due = self.sent
                elif due - self.acknowledged > 4000:
                    due = self.acknowledged + 4000
                lines = []
                while following < due:
                    lines.append('{"action":"multicast","data":%d}\n' %
                                 following)
                    self.repeated += following < self.sent
                    following += 1
                self.sent = max(self.sent, following)
                backend.writer.write("".join(lines).encode())
                await backend.writer.drain()
                await asyncio.sleep(0.005)
                if self.stopping and self.acknowledged >= self.sent:
                    break
        finally:
            reading.cancel()
            backend.close()

    async def replies(self, backend):
        while True:
            line = await backend.reader.readline()
            if line != b"OK relayed\n":
                self.errors += 1
                return
            self.acknowledged += 1

    async def stop(self):
        self.stopping = True
        await asyncio.wait_for(self.task, 40)


# ------------------------------------------------------------------ the cases

async def in_time(step):
    """What it returns; if it hangs, where."""
    task = asyncio.ensure_future(step)
    await asyncio.wait({task}, timeout=100)
    if task.done():
        return task.result()
    where = io.StringIO()
    task.print_stack(file=where)
    task.cancel()
    raise Failure("it does not end\n" + where.getvalue())


async def run(name, steps):
    """A case for each step; after a failure the others are not run."""
    global failed
    for title, step in steps:
        try:
            said = await in_time(step())
            print("ok - %s: %s%s" % (name, title,
                                     ": " + said if said else ""))
        except Exception as e:
            failed += 1
            for line in (str(e) if isinstance(e, Failure) else
                         traceback.format_exc()).splitlines():
                print("    relay.py: " + line)
            for p in PROCESSES:
                if p.name.startswith(name):
                    for line in p.said().splitlines()[-4:]:
                        print("    %s: %.200s" % (p.name, line))
            print("not ok - %s: %s" % (name, title))
            return
        finally:
            sys.stdout.flush()


class Cluster:
    def __init__(self, name, port, broker):
        self.name, self.port, self.broker = name, port, broker
        self.mosquitto = name == "mosquitto"
        url = "mqtt://%s:%d" % (ADDRESS, port)
        self.hubs = [hub(name + "-hub-a", A), hub(name + "-hub-b", B)]
        self.relays = [
            relay(name + "-a", A, name + "-hub-a", url),
            relay(name + "-b", B, name + "-hub-b", url)]
        self.url = url

    def steps(self):
        # NATS takes seconds to throw one of them out.
        twins = [("two relays with one id: it is said, and they slow down",
                  self.twins)] if self.mosquitto else []
        return [("all parts start", self.starts),
                ("all kinds of messages at both machines", self.kinds),
                ("the old PHP function by the relay's socket", self.php),
                ("%d messages, complete and in order" % MANY, self.many),
                ("%d messages/s, and death of: %s: nothing is lost" %
                 (RATE, ", ".join(what for what, _, _ in self.parts())),
                 self.killed),
                ("a hub is killed: its clients know, others lose nothing",
                 self.hub_killed)] + twins + [
                     ("all end with status 0", self.ends)]

    def connected(self, which, times=1):
        return self.relays[which].says("connected to the broker", times)

    async def starts(self):
        for p in [self.broker] + self.hubs:
            p.start()
        await until(lambda: all(os.path.exists("%s/%s.ws" % (DIR, h.name))
                                for h in self.hubs), "the hubs start", 10)
        for r in self.relays:
            r.start()
        await until(lambda: self.connected(0)() and self.connected(1)(),
                    "the relays connect", 20)
        # A subscription follows CONNACK: until a message has passed.
        self.clients = [Client(h.name) for h in self.hubs]
        await until(lambda: all(c.device for c in self.clients),
                    "clients get in", 10)
        end = time.monotonic() + 10
        while not all("there" in c.got for c in self.clients):
            true(time.monotonic() < end, "no message arrives")
            same("OK relayed", await ask(
                self.relays[0].name, action="multicast", data="there"),
                "the reply")
            await asyncio.sleep(0.1)

    async def publish(self, topic, payload, *options):
        p = await asyncio.create_subprocess_exec(
            *on(A, "mosquitto_pub", "-h", ADDRESS, "-p", str(self.port), "-t",
                "wshub/" + topic, "-m", payload, "-q", "1", *options))
        same(0, await p.wait(), "mosquitto_pub's status")

    async def kinds(self):
        a, b = self.clients
        for c, channel in (a, "common"), (b, "common"), (b, "b/only"):
            await self.publish("order", json.dumps({
                "action": "subscribe", "device": c.device,
                "channel": channel}))
        await self.publish("all", '{"to": "all"}')
        await self.publish("all", "21.5 C")
        await self.publish("channel/common", '"common"')
        await self.publish("channel/b%2Fonly", '"only b"')
        await self.publish("device/" + a.device, '"device a"')
        await self.publish("device/" + b.device, '"device b"')
        await self.publish("order", json.dumps({
            "action": "multicast", "data": "others", "except": a.device}))
        await self.publish("all", '"the last"')
        for c in a, b:
            await c.gets("the last")
        common = [{"to": "all"}, "21.5 C", "common"]
        for c, wanted in ((a, ["device a"]), (b, ["only b", "device b",
                                                  "others"])):
            same(sorted(map(str, common + wanted + ["the last"])),
                 sorted(str(m) for m in c.got if m != "there"),
                 "what a client has got")
        # And what relays publish, as another subscriber sees it.
        p = await asyncio.create_subprocess_exec(
            *on(A, "stdbuf", "-oL", "mosquitto_sub", "-h", ADDRESS, "-p",
                str(self.port), "-t", "wshub/#", "-F", "%t %p", "-C", "4", "-W", "10", "-d"),
            stdout=subprocess.PIPE)
        line = None
        while line != b"" and b"SUBACK" not in (line or b""):
            line = await p.stdout.readline()
        for command in (dict(action="multicast", data=[1, 2]),
                        dict(action="sendToChannel", channel="a/b", data=3),
                        dict(action="sendToDevice", device=b.device, data="4"),
                        dict(action="kick", device="nobody")):
            same("OK relayed", await ask(self.relays[1].name, **command),
                 "the reply")
        seen = sorted(line for line in
                      (await p.communicate())[0].decode().splitlines()
                      if line.startswith("wshub/"))
        same(sorted(["wshub/all [1, 2]", "wshub/channel/a%2Fb 3",
                     'wshub/device/%s "4"' % b.device,
                     'wshub/order {"action": "kick", "device": "nobody"}']),
             seen, "what is published")
        await b.gets("4")
        reply = await ask(self.relays[0].name, action="count")
        true(reply.startswith("ERR "), "a question gets %r" % reply)

    async def php(self):
        with open(OLD) as f:
            text = f.read().replace("/tmp/myapp.sock", "%s/%s.sock" % (
                DIR, self.relays[0].name))
        with open(DIR + "/old.php", "w") as f:
            f.write(text + "\necho sendViaWebsocket(json_encode(["
                    "'action' => 'multicast', 'data' => ['php' => '%s']],"
                    "JSON_PRETTY_PRINT));\n" % self.name)
        p = await asyncio.create_subprocess_exec(
            "php", DIR + "/old.php", stdout=subprocess.PIPE)
        same(b"OK", (await p.communicate())[0], "what it prints")
        for c in self.clients:
            await c.gets({"php": self.name})

    async def many(self):
        backend = await Backend.to(self.relays[0].name)
        for c in self.clients:
            c.got.clear()
        begun = time.monotonic()

        async def write():
            for i in range(0, MANY, 500):
                backend.writer.write("".join(
                    '{"action":"multicast","data":%d}\n' % n
                    for n in range(i, min(i + 500, MANY))).encode())
                await backend.writer.drain()

        writing = asyncio.ensure_future(write())
        for n in range(MANY):
            line = await asyncio.wait_for(backend.reader.readline(), 60)
            true(line == b"OK relayed\n", "reply %d is %r" % (n, line))
        await writing
        backend.close()
        published = time.monotonic() - begun
        for c in self.clients:
            await until(lambda: len(c.got) >= MANY or c.lost,
                        "%d messages at %s" % (MANY, c.path))
            same(0, c.lost, "sessions lost")
            true(c.numbers() == list(range(MANY)),
                 "not complete and in order: %d of %d, %d different" %
                 (len(c.got), MANY, len(set(c.got))))
        return "%d/s published, %d/s arrived" % (
            MANY / published, MANY / (time.monotonic() - begun))

    async def twins(self):
        words = "is there another client with the id"
        first = self.relays[1]
        second = relay(self.name + "-b-twin", A, self.hubs[0].name, self.url)
        second.argv[second.argv.index("--id") + 1] = first.name
        second.start()
        await until(lambda: first.says(words)() or second.says(words)(),
                    "one says so", 30)
        n = first.said().count("connected to the broker")
        true(n < 20, "%d connections" % n)
        same(0, second.end(), "the second one's status")
        await self.passes()
        return "%d connections" % n

    async def passes(self):
        """Until messages pass again."""
        mark = "mark %d" % random.getrandbits(40)
        end = time.monotonic() + 40
        while not all(mark in c.got for c in self.clients):
            true(time.monotonic() < end, "no message passes any more")
            if await ask(self.relays[0].name, action="multicast",
                         data=mark) == "OK relayed":
                await asyncio.sleep(0.2)
            else:
                await asyncio.sleep(0.05)

    async def kill_relay(self, which):
        self.relays[which].signal(signal.SIGKILL)
        await asyncio.sleep(0.5)
        self.relays[which].start()

    async def restart_broker(self):
        # What it keeps in its file is written at the end.
        self.broker.signal(signal.SIGTERM)
        await asyncio.sleep(0.3)
        self.broker.start()

    async def cut_link(self):
        for state, pause in ("down", 1.5), ("up", 0):
            p = await asyncio.create_subprocess_exec(
                *on(A, "ip", "link", "set", "wshub", state))
            same(0, await p.wait(), "ip link set " + state)
            await asyncio.sleep(pause)

    async def break_client(self, which):
        # Without a Close, which would end its session.
        self.clients[which].ws.transport.abort()

    def parts(self):
        """What is killed, and how."""
        parts = [("relay of the other machine", self.kill_relay, (1,)),
                 ("relay of the backend", self.kill_relay, (0,)),
                 ("a client's connection", self.break_client, (1,))]
        if self.mosquitto:
            # NATS 2.9 does not promise as much.
            parts.append(("broker", self.restart_broker, ()))
        if A:
            parts.append(("link", self.cut_link, ()))
        return parts

    async def killed(self):
        for c in self.clients:
            c.got.clear()
        flow = Flow(self.relays[0].name, RATE)
        said = []
        for what, action, arguments in self.parts():
            await action(*arguments)
            sent = flow.sent
            await until(lambda: flow.acknowledged > sent and all(
                c.got and c.got[-1] >= sent for c in self.clients),
                "messages after the death of: " + what, 40)
            await asyncio.sleep(0.2)
        await flow.stop()
        wanted = set(range(flow.sent))
        for c in self.clients:
            await until(lambda: wanted <= set(c.numbers()) or c.lost,
                        "all messages at %s" % c.path, 20)
            same(0, c.lost, "sessions lost")
            same([], sorted(wanted - set(c.numbers())), "missing")
            said.append("%d twice" % (len(c.got) - len(wanted)))
        return "%d messages, %d repeated by the backend, at the clients %s" % (
            flow.sent, flow.repeated, " and ".join(said))

    async def hub_killed(self):
        a, b = self.clients
        a.got.clear()
        b.got.clear()
        flow = Flow(self.relays[0].name, RATE)
        await until(lambda: flow.acknowledged > 500, "messages flow", 10)
        self.hubs[1].signal(signal.SIGKILL)
        await asyncio.sleep(1)
        opened = b.opened
        self.hubs[1].start()
        await until(lambda: b.opened > opened, "the client comes back", 10)
        since = flow.sent
        await until(lambda: flow.acknowledged > since + 500 and
                    b.got and b.got[-1] > since, "messages flow again", 40)
        await flow.stop()
        wanted = set(range(flow.sent))
        await until(lambda: wanted <= set(a.numbers()),
                    "all at the other hub's client", 20)
        same(0, a.lost, "sessions that the other client lost")
        same(1, b.lost, "sessions that the hub's client lost")
        later = set(range(since, flow.sent))
        await until(lambda: later <= set(b.numbers()),
                    "all since the client has come back", 20)
        return "%d messages, of which its clients missed %d" % (
            flow.sent, len(wanted - set(b.numbers())))

    async def ends(self):
        for c in self.clients:
            c.task.cancel()
        for p in self.relays + self.hubs:
            same(0, p.end(), "%s's status" % p.name)
            for bad in "Sanitizer", "runtime error:", "Assertion":
                true(bad not in p.said(), "%s in the log of %s" % (bad, p.name))
        self.broker.end()


class Rules:
    """A broker with users, and one that hangs; both are left alone for long."""

    def __init__(self):
        self.port = random_port()
        passwords = DIR + "/passwords"
        open(passwords, "w").close()
        for user, password in ("relay", "s3cret: x"), ("guest", "guest"):
            subprocess.run(["mosquitto_passwd", "-b", passwords, user,
                            password], check=True)
        with open(DIR + "/acl", "w") as f:
            f.write("user relay\ntopic readwrite wshub/#\n"
                    "user guest\ntopic read wshub/#\n")
        self.broker = mosquitto(
            "rules", self.port, "allow_anonymous false", "password_file " +
            passwords, "acl_file " + DIR + "/acl", "log_type all")
        for user, password in ("relay", "s3cret: x"), ("bad", "wrong"):
            with open("%s/%s.user" % (DIR, user), "w",
                      opener=lambda p, f: os.open(p, f, 0o600)) as f:
                f.write(user_file(user, password))
        self.hub = hub("rules-hub", A)
        url = "mqtt://%s:%d" % (ADDRESS, self.port)
        self.relay = relay("rules-a", A, self.hub.name, url, "--user",
                           DIR + "/relay.user")
        self.bad = relay("rules-bad", A, self.hub.name, url, "--user",
                         DIR + "/bad.user")
        self.hanging = socket.create_server(("127.0.0.1", 0))
        self.hanging.setblocking(False)
        self.waiting = relay("waiting", "", self.hub.name, "mqtt://127.0.0.1:%d"
                             % self.hanging.getsockname()[1])

    async def starts(self):
        self.broker.start()
        self.hub.start()
        await until(lambda: os.path.exists("%s/%s.sock" %
                                           (DIR, self.hub.name)),
                    "the hub starts", 10)
        for r in self.relay, self.bad, self.waiting:
            r.start()
        await until(self.relay.says("connected to the broker"),
                    "the relay connects", 20)
        await until(self.bad.says("it refuses us"), "the bad one is told", 10)
        true("s3cret" not in self.relay.said(), "the password is in the log")
        true("wrong" not in self.bad.said(), "the password is in the log")
        same(0, self.bad.end(), "the bad one's status")

    async def rules(self):
        client = Client(self.hub.name)
        for user, password, text in (("guest", "guest", "not this"),
                                     ("relay", "s3cret: x", "but this")):
            p = await asyncio.create_subprocess_exec(
                *on(A, "mosquitto_pub", "-h", ADDRESS, "-p", str(self.port),
                    "-t", "wshub/all", "-m", text, "-q", "1", "-u", user,
                    "-P", password))
            await p.wait()
        await client.gets("but this")
        client.task.cancel()
        true("not this" not in client.got, "a guest has published")

    async def silence(self):
        await until(self.broker.says("Received PINGREQ from rules-a"),
                    "a PINGREQ", 30)
        await until(self.waiting.says("it does not answer"),
                    "the hanging broker is left", 30)
        loop = asyncio.get_running_loop()
        for what in "first", "second":
            try:
                await asyncio.wait_for(loop.sock_accept(self.hanging), 10)
            except asyncio.TimeoutError:
                raise Failure("it is not tried again: no %s connection" % what)
        same(1, self.relay.said().count("connected to the broker"),
             "connections of the silent one")
        for p in self.relay, self.waiting, self.hub:
            same(0, p.end(), "%s's status" % p.name)
        self.broker.end()


def user_file(user, password):
    return "%s\n%s\n" % (user, password)


async def main():
    rules = Rules()
    brokers = [Cluster("mosquitto", port, mosquitto(
        "mosquitto", port, "allow_anonymous true",
        "log_type error")) for port in [random_port()]]
    if shutil.which("nats-server"):
        port = random_port()
        brokers.append(Cluster("NATS", port, nats("nats", port)))
    else:
        print("skip - NATS: no nats-server")
    await run("--user", [
        ("a relay gets in by it, and one with a wrong password does not",
         rules.starts),
        ("who may read does not publish", rules.rules)])
    for b in brokers:
        await run(b.name, b.steps())
        for p in b.relays + b.hubs + [b.broker]:
            p.end()
    await run("silence", [
        ("a silent relay pings, and leaves a broker that hangs",
         rules.silence)])


def end(*_):
    raise SystemExit(1)


signal.signal(signal.SIGTERM, end)
faulthandler.dump_traceback_later(500)
failed += 1  # unless main comes to its end
try:
    asyncio.new_event_loop().run_until_complete(main())
    failed -= 1
except Exception:
    traceback.print_exc()
finally:
    for process in PROCESSES:
        process.end()
    sys.stdout.flush()
    # websockets sometimes swallows a cancellation, and then the client's task
    # goes on, for whose end asyncio.run would wait.
    os._exit(1 if failed else 0)
