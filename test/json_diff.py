#!/usr/bin/env python3
# wshub: ISC licence, see LICENSE.
"""Compares json.c with Python's json on random texts: test/json_diff.py [N].

What is a text, what its members, strings and compact form are. Python's
exceptions are taken away: NaN and Infinity, and a byte order mark. What only
ours refuses by contract is asked about separately: half surrogate pairs.
"""
import ctypes
import json
import os
import random
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
SIZE = ctypes.c_size_t
TOKENS = [b'{', b'}', b'[', b']', b',', b':', b'"a"', b'"":', b'"b" : ',
          b'1', b'-0.5E+1', b'true', b'false', b'null', b' ', b'\n', b'"',
          b'\\', b'\\u00e9', b'\\ud83d\\ude00', b'\\ud800', b'\xc3\xa9',
          b'\xe6\x97\xa5', b'\xf0\x9f\x98\x80', b'0', b'e', b'.', b'-', b'+',
          b'[]', b'{}', b'"\\n"', b'NaN', b'\x00', b'\x1f', b'\x7f', b'\xed',
          b'\xa0', b'\xff', b'\\"', b'\\\\', b'/', b'x']


class Text(ctypes.Structure):
    _fields_ = [('s', ctypes.c_void_p), ('len', SIZE)]

    def get(self):
        return ctypes.string_at(self.s, self.len)


class Json(ctypes.Structure):
    _fields_ = [('nest', ctypes.c_uint64), ('offset', SIZE),
                ('why', ctypes.c_char_p), ('small', ctypes.c_ubyte * 6)]


SPACE = [b'', b'', b'', b' ', b'\n', b'\t \r']
LEAVES = [b'0', b'-1', b'2.50', b'1e+9', b'true', b'false', b'null', b'""',
          b'"a b"', b'"\\""', b'"\\\\"', b'"}"', b'"\\ud83d\\ude00"',
          b'"\\udc00"', b'"\\u0000\xe6\x97\xa5"', b'[]', b'{}', b'{ }']


def grow(rng, depth):
    """A text that is right."""
    if depth == 0 or rng.random() < 0.2:
        return rng.choice(LEAVES)
    parts = []
    thing = rng.random() < 0.7
    for _ in range(rng.randint(0, 4)):
        part = grow(rng, depth - 1)
        if thing:
            name = rng.choice([s for s in LEAVES if s[:1] == b'"'])
            part = name + rng.choice(SPACE) + b':' + rng.choice(SPACE) + part
        parts.append(rng.choice(SPACE) + part + rng.choice(SPACE))
    ends = (b'{', b'}') if thing else (b'[', b']')
    return rng.choice(SPACE) + ends[0] + b','.join(parts) + ends[1]


def load():
    with tempfile.TemporaryDirectory() as d:
        so = os.path.join(d, 'json.so')
        subprocess.check_call([os.environ.get('CC', 'cc'), '-shared', '-fPIC',
                               '-O2', '-std=c99', '-o', so,
                               os.path.join(HERE, '..', 'json.c')])
        lib = ctypes.CDLL(so)
    lib.ws_json_scan.restype = ctypes.c_ssize_t
    lib.ws_json_scan.argtypes = [ctypes.c_void_p, ctypes.c_char_p, SIZE]
    lib.ws_json_string.restype = ctypes.c_ssize_t
    lib.ws_json_string.argtypes = [ctypes.c_void_p, SIZE, Text]
    lib.ws_json_compact.restype = SIZE
    lib.ws_json_compact.argtypes = [ctypes.c_void_p, Text]
    return lib


def no_constant(name):
    raise ValueError(name)


def python(data):
    """The value: objects as lists of pairs, numbers as they stand."""
    return json.loads(data.decode('utf-8'), parse_constant=no_constant,
                      parse_int=lambda s: ('n', s),
                      parse_float=lambda s: ('n', s),
                      object_pairs_hook=lambda p: ('o', p))


def string(lib, text):
    out = ctypes.create_string_buffer(max(1, text.len))
    n = lib.ws_json_string(out, text.len, text)
    return None if n < 0 else out.raw[:n]


def utf8(s):
    try:
        return s.encode('utf-8')
    except UnicodeEncodeError:
        return None


def main(count):
    lib = load()
    rng = random.Random(1)
    kept = [b'{"a":1}']
    tally = {'texts': 0, 'whole': 0, 'members': 0, 'strings': 0, 'halves': 0}
    for _ in range(count):
        kind = rng.random()
        if kind < 0.3:
            data = grow(rng, 4)
        elif kind < 0.6:
            data = b''.join(rng.choices(TOKENS, k=rng.randint(1, 9)))
        else:
            data = bytearray(rng.choice(kept))
            for _ in range(rng.randint(1, 3)):
                at = rng.randint(0, len(data))
                data[at:at + rng.randint(0, 2)] = rng.choice(TOKENS)
            data = bytes(data)
        try:
            want, good = python(data), True
        except ValueError:
            want, good = None, False
        j = Json()
        n = lib.ws_json_scan(ctypes.byref(j), data + b' ', len(data) + 1)
        ours = n >= 0 and not data[n:].strip(b' \t\r\n')
        assert ours == good, (data, n, j.offset, j.why)
        tally['texts'] += 1
        if not good:
            continue
        tally['whole'] += 1
        if len(data) < 200:
            kept.append(data)
        buf = ctypes.create_string_buffer(data, len(data))
        text = Text(ctypes.addressof(buf), n)
        out = ctypes.create_string_buffer(n)
        m = lib.ws_json_compact(out, text)
        assert python(out.raw[:m]) == want, (data, out.raw[:m])
        if isinstance(want, str):
            text.s += n - len(data[:n].lstrip())
            text.len = len(data[:n].lstrip())
            assert string(lib, text) == utf8(want), data
            tally['strings'] += 1
            tally['halves'] += utf8(want) is None
        if not isinstance(want, tuple) or want[0] != 'o':
            continue
        at = ctypes.c_void_p(text.s + n - len(data[:n].lstrip()))
        name, value = Text(), Text()
        for key, val in want[1]:
            assert lib.ws_json_member(ctypes.byref(at), ctypes.byref(name),
                                      ctypes.byref(value)) == 1, data
            assert python(name.get()) == key, data
            assert string(lib, name) == utf8(key), data
            assert python(value.get()) == val, data
            tally['members'] += 1
        assert lib.ws_json_member(ctypes.byref(at), ctypes.byref(name),
                                  ctypes.byref(value)) == 0, data
    print('ok - ' + ', '.join('%d %s' % (v, k) for k, v in tally.items()))


if __name__ == '__main__':
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100000)
