#!/usr/bin/env python3
"""
Makes the tokens that clients need to connect to a hub with --token-key. Only
the standard library is needed.

wshub: ISC licence, see LICENSE.

    make_token(read_key("hub.key"), sub="alice", channels=["news"], ttl=3600)

From a shell, like "wshub token":

    make_token.py --token-key FILE [--sub NAME] [--channel NAME]... [--ttl SEC]
"""
import argparse
import base64
import hashlib
import hmac
import json
import sys
import time


def read_key(path):
    """Return the first secret of a key file, which has one on each line."""
    with open(path, "rb") as file:
        for line in file:
            line = line.rstrip(b"\r\n")
            if line:
                return line
    raise ValueError("%s: no secret" % path)


def make_token(key, sub=None, channels=(), ttl=3600):
    """
    Return a JSON Web Token (RFC 7519) that expires after ttl seconds. sub is
    the device's name; without it, the device gets a random id.
    """
    claims = {"exp": int(time.time()) + ttl}
    if sub is not None:
        claims["sub"] = sub
    if channels:
        claims["channels"] = list(channels)
    signed = b".".join(base64url(json.dumps(part).encode())
                       for part in ({"alg": "HS256", "typ": "JWT"}, claims))
    mac = hmac.new(key, signed, hashlib.sha256).digest()
    return (signed + b"." + base64url(mac)).decode()


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def main():
    parser = argparse.ArgumentParser(
        prog="make_token.py", description="Prints a token for wshub.")
    parser.add_argument("--token-key", metavar="FILE", required=True)
    parser.add_argument("--sub", metavar="NAME")
    parser.add_argument("--channel", metavar="NAME", action="append")
    parser.add_argument("--ttl", metavar="SEC", type=int, default=3600)
    options = parser.parse_args()
    try:
        key = read_key(options.token_key)
    except (OSError, ValueError) as error:
        sys.exit("make_token.py: %s" % error)
    print(make_token(key, options.sub, options.channel or (), options.ttl))


if __name__ == "__main__":
    main()
