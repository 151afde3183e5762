#!/usr/bin/env python3
"""
Sending from Python with the standard library only. Each line is one object, and
each reply is one line. Objects can be sent without waiting for replies.

wshub: ISC licence, see LICENSE.

    with Hub("wshub.sock") as hub:
        hub.subscribe(device_id, "news")         # True if it is new
        hub.channel("news", {"headline": "..."}) # the number of devices
        for answer in hub.pipeline(objects):     # thousands of objects
            ...                                  # "OK 3" or "ERR reason"

From a shell ([-s PATH] comes first; the default is $WSHUB_SOCK or wshub.sock):

    send.py multicast DATA                       DATA is any JSON value
    send.py channel CHANNEL DATA
    send.py device DEVICE DATA
    send.py subscribe DEVICE CHANNEL
    send.py unsubscribe DEVICE CHANNEL
    send.py -                                    objects, one on each line of
                                                 standard input, pipelined

send.py prints the replies. The exit status is 1 if one of them was ERR.
"""
import getopt
import json
import os
import select
import socket
import sys


class HubError(Exception):
    """An ERR reply, with the hub's reason."""


class Hub:
    def __init__(self, path="wshub.sock", timeout=10):
        self.timeout = timeout
        self.sock = socket.socket(socket.AF_UNIX)
        try:
            self.sock.connect(path)
        except OSError:
            self.sock.close()
            raise
        self.sock.setblocking(False)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def close(self):
        self.sock.close()

    def multicast(self, data):
        return self.ask({"action": "multicast", "data": data})

    def channel(self, channel, data):
        return self.ask(
            {"action": "sendToChannel", "channel": channel, "data": data})

    def device(self, device, data):
        return self.ask(
            {"action": "sendToDevice", "device": device, "data": data})

    def subscribe(self, device, channel):
        return self.ask({"action": "subscribe", "device": device,
                         "channel": channel}) == 1

    def unsubscribe(self, device, channel):
        return self.ask({"action": "unsubscribe", "device": device,
                         "channel": channel}) == 1

    def ask(self, message):
        """Sends an object, returns the number in its reply; raises HubError."""
        [answer] = self.pipeline([message])
        word, _, detail = answer.partition(" ")
        if word != "OK":
            raise HubError(detail)
        return int(detail)

    def pipeline(self, messages):
        """
        Sends objects (or their JSON, each on one line) and yields the replies
        in order. The caller must read all of them. Writing and reading are
        concurrent, because the hub stops reading from a backend that does not
        read its replies.
        """
        source = iter(messages)
        unsent, answers = b"", b""
        waiting = 0                          # replies that are still missing
        while True:
            while source is not None and len(unsent) < 65536:
                message = next(source, None)
                if message is None:
                    source = None
                    break
                unsent += self.line(message)
                waiting += 1
            if waiting == 0:
                return
            readable, writable, _ = select.select(
                [self.sock], [self.sock] if unsent else [], [], self.timeout)
            if not readable and not writable:
                raise TimeoutError("no reply within %s s" % self.timeout)
            if writable:
                unsent = unsent[self.sock.send(unsent):]
            if readable:
                got = self.sock.recv(65536)
                if not got:
                    raise ConnectionError("the hub has closed the connection")
                *lines, answers = (answers + got).split(b"\n")
                waiting -= len(lines)
                for line in lines:
                    yield line.decode("utf-8", "replace")

    @staticmethod
    def line(message):
        if isinstance(message, str):
            # An incomplete object would continue on the next line, and one
            # reply would be missing.
            json.loads(message)
        else:
            message = json.dumps(
                message, separators=(",", ":"), allow_nan=False)
        return message.encode() + b"\n"


def json_lines(file, wrong):
    """Yields lines up to the first that is not JSON, which it adds to wrong."""
    for number, line in enumerate(file, 1):
        line = line.strip()
        if line:
            try:
                json.loads(line)
            except ValueError as error:
                wrong.append("line %d is not JSON: %s" % (number, error))
                return
            yield line


def usage():
    sys.exit(__doc__.strip())


def main():
    try:
        options, args = getopt.getopt(sys.argv[1:], "s:")
    except getopt.GetoptError as error:
        sys.exit("send.py: %s" % error)
    path = dict(options).get("-s", os.environ.get("WSHUB_SOCK", "wshub.sock"))
    fields = {
        "multicast": ("multicast", "data"),
        "channel": ("sendToChannel", "channel", "data"),
        "device": ("sendToDevice", "device", "data"),
        "subscribe": ("subscribe", "device", "channel"),
        "unsubscribe": ("unsubscribe", "device", "channel"),
    }
    wrong = []
    if args == ["-"]:
        messages = json_lines(sys.stdin, wrong)
    elif args and len(args) == len(fields.get(args[0], ())):
        action, *names = fields[args[0]]
        # DATA is sent as written, so numbers keep all their digits.
        members = ['"action":"%s"' % action]
        for name, value in zip(names, args[1:]):
            if name == "data":
                try:
                    json.loads(value)
                except ValueError as error:
                    sys.exit("send.py: DATA is not JSON: %s" % error)
                value = value.replace("\n", " ").replace("\r", " ")
            else:
                value = json.dumps(value)
            members.append('"%s":%s' % (name, value))
        messages = ["{%s}" % ",".join(members)]
    else:
        usage()
    status = 0
    try:
        with Hub(path) as hub:
            for answer in hub.pipeline(messages):
                print(answer)
                if not answer.startswith("OK"):
                    status = 1
    except OSError as error:
        sys.exit("send.py: %s: %s" % (path, error))
    if wrong:
        sys.exit("send.py: %s" % wrong[0])
    return status


if __name__ == "__main__":
    sys.exit(main())
