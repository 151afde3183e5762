"""
Clients of two hubs behind a load balancer: cluster.py NAME PORT PID DEVICES...
They break, come back, and are to be resumed. Then the hub PID is ended, whose
clients are to be told that they are lost. wshub: ISC licence, see LICENSE.
"""
import json
import os
import signal
import socket
import subprocess
import sys
import time

NAME, PORT, PID = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
HUB, SOCKS = sys.argv[4], sys.argv[5:]
N = 20


class Client:
    def __init__(self, query, address, cookies):
        self.query, self.address, self.cookies = query, address, cookies
        self.cookie = self.session = self.device = self.socket = None

    def connect(self):
        """The first message, after the head of the response."""
        resume = "resume" + ("=%s.0" % self.session if self.session else "")
        s = socket.create_connection(("127.0.0.1", PORT), 15,
                                     (self.address, 0))
        s.sendall(("GET /hub?%s%s HTTP/1.1\r\nHost: localhost\r\n"
                   "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                   "Sec-WebSocket-Version: 13\r\n"
                   "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n" %
                   (resume, self.query, "Cookie: %s\r\n" % self.cookie
                    if self.cookie else "")).encode())
        self.socket, f = s, s.makefile("rb")
        head = []
        while not head or head[-1]:
            line = f.readline()
            if not line:
                raise EOFError(b"\n".join(head))
            head.append(line.rstrip())
        if b" 101 " not in head[0]:
            raise ValueError(head[0])
        for line in head:
            if self.cookies and line.lower().startswith(b"set-cookie:"):
                self.cookie = line[11:].split(b";")[0].strip().decode()
        n = f.read(2)[1]
        if n == 126:
            n = int.from_bytes(f.read(2), "big")
        message = json.loads(f.read(n))
        data = message["data"]
        self.session = data.get("session", self.session)
        return message["action"], data

    def broken(self):
        """No Close: the hub is to keep the session."""
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


def say(what, wanted, got):
    if wanted == got:
        print("ok - %s: %s" % (NAME, what))
    else:
        print("    wanted %s, got %s" % (wanted, got))
        print("not ok - %s: %s" % (NAME, what))


def devices(sock):
    """That a hub has, from its reply to list."""
    out = subprocess.run([HUB, "ctl", "-s", sock, '{"action":"list"}'],
                         stdout=subprocess.PIPE, check=True).stdout
    return json.loads(out[3:])


def kinds():
    """What brings a client back, and the address that it has then."""
    return (
        ("a word of its own", True, lambda i: "&at=word%d" % i, False),
        ("a cookie", True, lambda i: "", True),
        ("its address", False, lambda i: "", False))


everybody = []
for k, (what, moves, query, cookies) in enumerate(kinds()):
    clients = []
    for i in range(N):
        c = Client(query(i), "127.%d.0.%d" % (k + 1, i + 2), cookies)
        c.device = c.connect()[1]["device_id"]
        clients.append(c)
    at = [sum(c.device in found for c in clients)
          for found in map(devices, SOCKS)]
    say("%s: both machines have clients" % what, (N, True),
        (sum(at), all(at)))
    resumed = 0
    for i, c in enumerate(clients):
        c.broken()
        if moves:
            c.address = "127.%d.9.%d" % (k + 1, i + 2)
        action, data = c.connect()
        resumed += action == "resumed" and data["device_id"] == c.device
    say("%s brings a client back, which is resumed" % what, N, resumed)
    everybody += clients

def accepts(sock):
    with socket.socket(socket.AF_UNIX) as s:
        return s.connect_ex(sock) == 0


mine = set(devices(SOCKS[-1]))
os.kill(PID, signal.SIGKILL)  # the keeper: the hub ends soon after it
end = time.monotonic() + 10
while accepts(SOCKS[-1]) and time.monotonic() < end:
    time.sleep(0.05)
got = {}
for c in everybody:
    c.broken()
    action, data = c.connect()
    key = ("its" if c.device in mine else "other", action,
           data.get("lost", False))
    got[key] = got.get(key, 0) + 1
say("a machine dies: its clients are lost, and only they",
    {("its", "setDeviceId", True): len(mine),
     ("other", "resumed", False): len(everybody) - len(mine)}, got)
