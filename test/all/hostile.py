# What test/all/hostile runs, and with "flood". wshub: ISC licence, see LICENSE.
import os
import selectors
import socket
import struct
import sys
import threading
import time

PORT, TLS_PORT = int(os.environ['PORT']), int(os.environ['TLS_PORT'])
SOCK = os.environ['SOCK']
GOOD, HOSTILE, THREADS, SECONDS = 500, 20000, 20, 40
FLOOD, GUESTS = 10000, 100  # within ten seconds, of two addresses
UPGRADE = (b'GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n'
           b'Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n'
           b'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n')
failed = 0


def verdict(name, wrong):
    global failed
    for line in wrong[:5]:
        print('    hostile.py:', line)
    print(('not ok - ' if wrong else 'ok - ') + name, flush=True)
    failed += bool(wrong)


def dial(port, source=''):
    s = socket.create_connection(('127.0.0.1', port), 15, (source, 0))
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s


def to_end(s):
    data = b''
    while True:
        more = s.recv(65536)
        if not more:
            return data
        data += more


def opened(source=''):
    s = dial(PORT, source)
    s.sendall(UPGRADE)
    data = b''
    while b'"}}' not in data:
        more = s.recv(4096)
        if not more:
            raise ValueError('the end after %r' % data)
        data += more
    return s


def reset(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    s.close()


def expect(got, *wanted):
    if not any(word in got for word in wanted):
        raise ValueError('wanted %r, got %r' % (wanted, got[-80:]))


def silent():  # comes and goes
    dial(PORT).close()


def cut():
    reset(dial(PORT))


def nonsense():
    s = dial(PORT)
    s.sendall(b'\x00\xff\r\n\r\n' * 50)
    expect(to_end(s), b'400 Bad Request')


def web():
    s = dial(PORT)
    s.sendall(b'GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    expect(to_end(s), b'426 Upgrade Required')


def half():
    s = dial(PORT)
    s.sendall(UPGRADE[:70])
    s.close()


def no_tls():  # or no client's TLS: 400, an alert, or the end
    s = dial(TLS_PORT)
    s.sendall(b'\x16\x03\x01\x00\x20' + b'\xaa' * 32 + b'\r\n\r\n')
    to_end(s)


def unmasked():
    s = opened()
    s.sendall(b'\x81\x02hi')
    expect(to_end(s), b'\x03\xea')


def no_text():
    s = opened()
    s.sendall(b'\x81\x82\0\0\0\0\xc3\x28')
    expect(to_end(s), b'\x03\xef')


def too_long():
    s = opened()
    s.sendall(b'\x82\xff\0\0\0\0\0\x10\0\0\0\0\0\0')
    expect(to_end(s), b'\x03\xf1')


def torn():
    s = opened()
    s.sendall(b'\x81\xfe\x10\x00\0\0\0\0half')
    reset(s)


KINDS = [silent, cut, nonsense, web, half, no_tls, unmasked, no_text, too_long,
         torn]


def crowd(mine, begun, wrong):
    for n, i in enumerate(mine):
        due = begun + i * SECONDS / HOSTILE
        if due > time.monotonic():
            time.sleep(due - time.monotonic())
        kind = KINDS[i // THREADS % len(KINDS)]
        try:
            kind()
        except (OSError, ValueError) as error:
            # A reset may overtake an answer to what was not read whole.
            if not isinstance(error, ConnectionResetError) or \
                    kind not in (nonsense, no_tls):
                wrong.append('%s: %r' % (kind.__name__, error))


def attack():
    wrong = []
    begun = time.monotonic()
    threads = [threading.Thread(target=crowd, args=(
        range(n, HOSTILE, THREADS), begun, wrong)) for n in range(THREADS)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    took = time.monotonic() - begun
    if took > 60:
        wrong.append('it took %d s' % took)
    verdict('%d hostile connections of ten kinds: an answer where one is due'
            % HOSTILE, wrong)
    return failed


def connect():
    backend = socket.socket(socket.AF_UNIX)
    backend.connect(SOCK)
    backend.settimeout(10)
    return backend, backend.makefile()


def rush(mine, begun, held):
    for i in mine:
        due = begun + i * 10 / FLOOD
        if due > time.monotonic():
            time.sleep(due - time.monotonic())
        try:
            s = dial(PORT)
            if i // THREADS % 3 == 0:
                held.append(s)
            elif i // THREADS % 3 == 1:
                s.sendall(UPGRADE)
                s.recv(4096)
                s.close()
            else:
                reset(s)
        except OSError:
            pass  # it is refused: so it should be


def flood():
    """1,000 connections a second of one address; others come meanwhile."""
    backend, replies = connect()
    child = os.fork()
    if child == 0:
        begun, held = time.monotonic(), []
        threads = [threading.Thread(target=rush, args=(
            range(n, FLOOD, THREADS), begun, held)) for n in range(THREADS)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        took = time.monotonic() - begun
        verdict('%d connections of one address within ten seconds' % FLOOD,
                ['it took %.1f s' % took] if took > 13 else [])
        os._exit(failed)
    wrong, joins, late, sent, status = [], [], [], 0, None
    guests = []  # socket, the first number to come
    begun = time.monotonic()
    while status is None and len(wrong) < 20:
        now = time.monotonic()
        if len(guests) < GUESTS and now >= begun + len(guests) / 10:
            try:
                guests.append((opened('127.0.0.2'), sent))
            except (OSError, ValueError) as error:
                wrong.append('a guest does not get in: %r' % error)
            joins.append(time.monotonic() - now)
        now = time.monotonic()
        backend.sendall(b'{"action":"multicast","data":%d}\n' % (1000 + sent))
        sent += 1
        answer = replies.readline().split()
        if answer[0] != 'OK' or int(answer[1]) < len(guests):
            wrong.append('reply %r' % answer)
        for s, _ in guests[-1:]:
            data = s.recv(6, socket.MSG_WAITALL)
            late.append(time.monotonic() - now)
            if data != b'\x81\x04%d' % (999 + sent):
                wrong.append('wanted %d, got %r' % (999 + sent, data))
        time.sleep(0.02)
        done, status = os.waitpid(child, os.WNOHANG)
        status = status if done else None
    if status is None:
        _, status = os.waitpid(child, 0)
    # Each has read what came while it was the latest.
    for n, (s, first) in enumerate(guests):
        got = guests[n + 1][1] if n + 1 < len(guests) else sent
        rest = b''.join(b'\x81\x04%d' % (1000 + i) for i in range(got, sent))
        if s.recv(len(rest), socket.MSG_WAITALL) != rest:
            wrong.append('guest %d misses something' % n)
        s.close()
    joins.sort()
    late.sort()
    if joins:
        print('# %d guests, the last in after %.0f ms; %d messages, p99 %.0f '
              'ms' % (len(joins), joins[-1] * 1000, sent,
                      late[len(late) * 99 // 100] * 1000))
    if len(guests) < GUESTS // 2:
        wrong.append('only %d guests' % len(guests))
    verdict('others come in meanwhile, and hear every message, in order', wrong)
    sys.exit(failed != 0 or status != 0)


def main():
    good = [opened() for _ in range(GOOD)]
    watch = selectors.DefaultSelector()
    late, next_due, wrong, buffers = [], [0] * GOOD, [], [b''] * GOOD
    for i, s in enumerate(good):
        s.setblocking(False)
        watch.register(s, selectors.EVENT_READ, i)
    backend, replies = connect()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        watch.close()
        os._exit(attack())
    sent, status, times = 0, None, []
    begun = time.monotonic()
    while True:
        now = time.monotonic()
        if status is None and now >= begun + sent / 10:
            times.append(now)
            backend.sendall(b'{"action":"multicast","data":%d}\n' % sent)
            sent += 1
            answer = replies.readline().split()
            # Of the others some are in just now.
            if answer[0] != 'OK' or int(answer[1]) < GOOD:
                wrong.append('reply %r' % answer)
        for key, _ in watch.select(0.02):
            i = key.data
            data = key.fileobj.recv(65536)
            if not data:
                wrong.append('good client %d was dropped' % i)
                watch.unregister(key.fileobj)
                continue
            data = buffers[i] + data
            while len(data) > 1 and len(data) >= 2 + data[1]:
                if data[0] == 0x81:
                    n = int(data[2:2 + data[1]])
                    if n != next_due[i]:
                        wrong.append('client %d: %d, not %d'
                                     % (i, n, next_due[i]))
                    late.append(time.monotonic() - times[n])
                    next_due[i] = n + 1
                elif data[0] == 0x89:
                    key.fileobj.send(b'\x8a\x80\0\0\0\0')
                data = data[2 + data[1]:]
            buffers[i] = data
        if status is None:
            done, status = os.waitpid(child, os.WNOHANG)
            status = status if done else None
            ended = time.monotonic()
        elif min(next_due) == sent or time.monotonic() > ended + 10:
            break
    if min(next_due) != sent:
        wrong.append('%d of %d messages came to the last' % (min(next_due),
                                                            sent))
    late.sort()
    print('# %d messages to %d clients, p99 %.0f ms' % (
        sent, GOOD, late[len(late) * 99 // 100] * 1000))
    verdict('500 good clients beside them: every message, in order', wrong)
    for s in good:
        s.close()
    sys.exit(failed != 0 or status != 0)


flood() if sys.argv[1:] == ['flood'] else main()
