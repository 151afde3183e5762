"""A relay and a name server: test/all/names. wshub: ISC licence, see LICENSE.

The name server answers as its mode says: by UDP; truncated, and then by TCP;
that there is no such name; or not at all.
"""
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

HUB, DIR = os.environ['HUB'], os.environ['DIR']
LIMIT = 30  # seconds; the resolver waits longer for a name server
failed = 0


def case(name, *faults):
    """Prints a case: it is right if no fault is a text."""
    global failed
    faults = [fault for fault in faults if fault]
    for fault in faults:
        print('    names.py: %s' % fault)
    print('%s - names: %s' % ('not ok' if faults else 'ok', name), flush=True)
    failed += bool(faults)


def wait(true):
    """Whether it is true within LIMIT."""
    end = time.monotonic() + LIMIT
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


class NameServer:
    def __init__(self):
        self.mode = 'answer'
        self.asked = {'udp': 0, 'tcp': 0}
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(('127.0.0.1', 53))
        self.tcp = socket.socket()
        self.tcp.bind(('127.0.0.1', 53))
        self.tcp.listen()
        for run in self.serve_udp, self.serve_tcp:
            threading.Thread(target=run, daemon=True).start()

    def reply(self, query, by):
        """RFC 1035 section 4.1: an address for a question of type A."""
        self.asked[by] += 1
        end = 12
        while query[end] != 0:
            end += query[end] + 1
        kind, = struct.unpack('>H', query[end + 1:end + 3])
        cut = self.mode == 'truncate' and by == 'udp'
        none = self.mode == 'none'
        flags = 0x8180 | (0x200 if cut else 0) | (3 if none else 0)
        count = int(kind == 1 and not cut and not none)
        record = struct.pack('>HHHIH', 0xc00c, 1, 1, 0, 4) + b'\x7f\0\0\1'
        return query[:2] + struct.pack('>HHHHH', flags, 1, count, 0, 0) + \
            query[12:end + 5] + record * count

    def serve_udp(self):
        while True:
            query, peer = self.udp.recvfrom(4096)
            if self.mode == 'silent':
                self.asked['udp'] += 1
                continue
            self.udp.sendto(self.reply(query, 'udp'), peer)

    def serve_tcp(self):
        while True:
            peer, _ = self.tcp.accept()
            with peer:
                while len(head := peer.recv(2)) == 2:
                    query = peer.recv(struct.unpack('>H', head)[0])
                    reply = self.reply(query, 'tcp')
                    peer.sendall(struct.pack('>H', len(reply)) + reply)


class Relay:
    def __init__(self, name='broker.example'):
        self.path = DIR + '/relay.log'
        with open(self.path, 'w') as log:
            self.process = subprocess.Popen(
                [HUB, 'relay', '-v', '-s', DIR + '/none.sock', '-S',
                 DIR + '/relay.sock', 'mqtt://%s:11883' % name], stderr=log)

    def log(self):
        with open(self.path) as log:
            return log.read()

    def says(self, words):
        return None if wait(lambda: words in self.log()) else \
            'it does not say "%s": %s' % (words, self.log()[-300:])

    def end(self, number=signal.SIGTERM):
        """Ends it: a fault, or None."""
        self.process.send_signal(number)
        try:
            status = self.process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return 'it does not end'
        if status != 0:
            return 'status %d: %s' % (status, self.log()[-300:])
        if os.path.exists(DIR + '/relay.sock'):
            return 'its socket is still there'
        return None


def main():
    names = NameServer()
    broker = socket.socket()
    broker.bind(('127.0.0.1', 11883))
    broker.listen()
    broker.settimeout(LIMIT)

    def connects():
        """The relay connects to the broker, which hangs up: a fault or None."""
        try:
            broker.accept()[0].close()
        except socket.timeout:
            return 'it does not connect: %s' % relay.log()[-300:]
        return None

    relay = Relay()
    case('a host that a name server knows', connects(), connects())
    names.mode = 'truncate'
    before = names.asked['tcp']
    faults = [connects(), connects(), connects()]
    # musl before 1.2.4 does not ask by TCP: then there is no address.
    if faults[0] and names.asked['tcp'] == before:
        print('skip - names: an answer that is truncated: the C library asks '
              'only by UDP')
    else:
        case('an answer that is truncated comes by TCP', *faults)

    names.mode = 'none'
    case('a host that is no more', relay.says('broker: broker.example: '))
    names.mode = 'answer'
    case('and is again', connects())
    case('TERM', relay.end(), 'no sandbox' if 'without a sandbox' in
         relay.log() and not os.environ.get('WSHUB_NO_SANDBOX') else None)

    names.mode = 'silent'
    before = names.asked['udp']
    relay = Relay()
    case('TERM while a name server does not answer, at the start',
         relay.says('backends write to'),
         None if wait(lambda: names.asked['udp'] > before) else 'not asked',
         relay.end())

    names.mode = 'answer'
    relay = Relay()
    faults = [connects()]
    names.mode = 'silent'
    before = names.asked['udp']
    broker.settimeout(0.1)

    def is_asked():
        try:
            broker.accept()[0].close()
        except socket.timeout:
            pass
        return names.asked['udp'] > before

    if not wait(is_asked):
        faults.append('it does not ask again: %s' % relay.log()[-300:])
    case('INT while a name server does not answer, later', *faults,
         relay.end(signal.SIGINT))

    # The bridge, the connector's only child, is ended meanwhile.
    before = names.asked['udp']
    relay = Relay()
    fault = None if wait(lambda: names.asked['udp'] > before) else 'not asked'
    children = '/proc/%d/task/%d/children' % ((relay.process.pid,) * 2)
    if os.path.exists(children):
        with open(children) as file:
            child = int(file.read().split()[0])
        os.kill(child, signal.SIGKILL)
        try:
            status = relay.process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            relay.process.kill()
            relay.process.wait()
            status = None
        case('the bridge is killed while a name server does not answer',
             fault, None if status == 1 else 'status %s' % status,
             relay.says('ended by a signal'),
             'its socket is still there' if os.path.exists(
                 DIR + '/relay.sock') else None)
    else:
        relay.end()
    return 1 if failed else 0


sys.exit(main())
