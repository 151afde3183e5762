"""
What python.py and presence.py share: cases that are declared, run in turn and
told as lib.sh has it. wshub: ISC licence, see LICENSE.
"""
import asyncio
import importlib.util
import os
import time
import traceback

CASES = []


def example(path):
    """The module in that file, which need not be on sys.path."""
    name = "example_" + os.path.basename(path)[:-3]
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def case(name):
    return lambda run: CASES.append((name, run))


class Failure(Exception):
    pass


def same(wanted, got, what):
    if wanted != got:
        raise Failure("%s: wanted %.300r, got %.300r" % (what, wanted, got))


async def run_cases(file, seconds, skip=lambda name: None):
    """
    Each case of that file has so many seconds. skip returns why a case is not
    run, or None. Returns the exit status.
    """
    failed = 0
    for name, run in CASES:
        if skip(name):
            print("skip - %s: %s" % (name, skip(name)))
            continue
        try:
            start = time.monotonic()
            await asyncio.wait_for(run(), seconds)
            print("ok - " + name)
            if os.environ.get("TIMES"):
                print("    %.1f s" % (time.monotonic() - start))
        except Exception as error:  # what it is belongs into the report
            lines = [run.__code__.co_firstlineno]  # of a case without an end
            lines += [place.lineno for place in
                      traceback.extract_tb(error.__traceback__)
                      if place.filename == file]
            print("    %s:%d: %s: %s" % (os.path.basename(file), lines[-1],
                                         type(error).__name__, error))
            print("not ok - " + name)
            failed += 1
    return 1 if failed else 0
