#!/usr/bin/env python3
"""
Who is online, as a set that is never wrong. Standard library only.

wshub: ISC licence, see LICENSE.

    presence = Presence("wshub.sock", came=print, went=print)
    asyncio.create_task(presence.run())
    ...
    if presence.current:
        presence.online          # {"alice": 2}: two sessions of this device

The hub sends a snapshot of what there is, and then each change. If the
connection breaks or the hub tells that events were lost, a new snapshot is
requested. Until it is complete, "online" stays what it was and "current" is
False. Then "came" and "went" are called for the differences only, so that
nothing is missed or told twice.

A device whose connection has broken and which may still resume its session is
online: messages for it are kept. "went" is called when the session has ended.

From a shell: presence.py [PATH] prints (the default is $WSHUB_SOCK, wshub.sock)

    + "alice"       it came
    - "alice"       it went
    = 12            the set is current from here on, and so many are online
    ? REASON        it is not current from here on
"""
import asyncio
import json
import os
import random
import sys

# "away" and "resume" do not change who is online.
WATCH = b'{"action":"watch","events":["connect","disconnect"],"snapshot":true}\n'


class Presence:
    def __init__(self, path, came=lambda name: None, went=lambda name: None,
                 ready=lambda: None, broken=lambda reason: None, longest=30):
        self.path = path
        self.came, self.went = came, went
        self.ready, self.broken = ready, broken
        self.wait, self.longest = 1, longest # seconds between two attempts
        self.online = {}
        self.current = False
        self.next = None                     # a snapshot that is not complete

    async def run(self):
        """Watches until the task is cancelled, also over restarts of a hub."""
        while True:
            try:
                await self.watch()
            except OSError as error:
                self.broken("%s: %s" % (self.path, error))
            wait = min(self.wait, self.longest)
            self.wait = 2 * wait
            await asyncio.sleep(random.uniform(0, wait))

    async def watch(self):
        reader, writer = await asyncio.open_unix_connection(self.path)
        try:
            self.next = None
            writer.write(WATCH)
            async for line in reader:
                if not line.endswith(b"\n"):  # the hub was killed
                    break
                if self.take(line.decode()):
                    writer.write(WATCH)
            raise ConnectionError("the hub has closed the connection")
        finally:
            self.current = False
            writer.close()

    def take(self, line):
        """Takes a line. Returns True if a new snapshot is needed."""
        if line.startswith("OK"):            # the snapshot begins
            self.next = {}
            return False
        if line.startswith("ERR"):
            raise ConnectionError(line.strip())
        if self.next is None:                # of the time before the snapshot
            return False
        event = json.loads(line)
        if event["event"] == "lost":
            self.current, self.next = False, None
            self.broken("%d events are lost" % event["count"])
            return True
        if event["event"] == "ready":
            self.replace()
        else:
            self.change(event["device"], event["sessions"])
        return False

    def change(self, name, sessions):
        was = self.next.get(name, 0)
        if sessions == 0:
            self.next.pop(name, None)
        else:
            self.next[name] = sessions
        if self.current and (was == 0) != (sessions == 0):
            (self.went if sessions == 0 else self.came)(name)

    def replace(self):
        """The snapshot is complete. From now on "next" and "online" are one."""
        old, self.online, self.current = self.online, self.next, True
        self.wait = 1
        for name in old.keys() - self.online.keys():
            self.went(name)
        for name in self.online.keys() - old.keys():
            self.came(name)
        self.ready()


def main():
    path = (sys.argv[1:] or [os.environ.get("WSHUB_SOCK", "wshub.sock")])[0]

    def show(sign, text):
        print(sign, text, flush=True)

    presence = Presence(
        path,
        came=lambda name: show("+", json.dumps(name)),
        went=lambda name: show("-", json.dumps(name)),
        ready=lambda: show("=", len(presence.online)),
        broken=lambda reason: show("?", reason))
    try:
        asyncio.run(presence.run())
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
