#!/usr/bin/env python3
"""Writes the heads vectors (FORMATS §7) into this folder.

A second implementation, by the recursive definition and hashlib alone: the
product's code takes no part in what it is tested against. Entry i of a map of
n: stream tag = SHA-256("tag <i div 10>"), seq = i mod 10,
value = SHA-256("value <i>").
"""
import hashlib
import json
import os
import struct


def sha(b):
    return hashlib.sha256(b).digest()


EMPTY = sha(b"strongroom/heads/empty/v1")


def key(i):
    return sha(b"strongroom/head/v1" + sha(b"tag %d" % (i // 10)) + struct.pack(">Q", i % 10))


def entry(i):
    return key(i), sha(b"value %d" % i)


def bit(k, i):
    return k[i // 8] >> (7 - i % 8) & 1


def leaf(e):
    return sha(b"\0" + e[0] + e[1])


def root(entries, depth=0):
    if not entries:
        return EMPTY
    if len(entries) == 1:
        return leaf(entries[0])
    halves = [[e for e in entries if bit(e[0], depth) == b] for b in (0, 1)]
    return sha(b"\1" + root(halves[0], depth + 1) + root(halves[1], depth + 1))


def prove(entries, k):
    siblings, depth = [], 0
    while len(entries) > 1:
        b = bit(k, depth)
        beside = [e for e in entries if bit(e[0], depth) != b]
        entries = [e for e in entries if bit(e[0], depth) == b]
        depth += 1
        siblings.append(root(beside, depth))
    return (entries[0] if entries else None), siblings


def text(proof):
    end, siblings = proof
    shown = end and {"key": end[0].hex(), "value": end[1].hex()}
    return json.dumps({"leaf": shown, "siblings": [s.hex() for s in siblings]}, separators=(",", ":"))


def roots():
    for n in (0, 1, 2, 3, 1000):
        r = root([entry(i) for i in range(n)])
        yield {"name": "root of %d" % n, "input": {"entries": n, "root": r.hex()}, "expect": "accept"}
    r = root([entry(i) for i in range(999)])
    yield {"name": "root of one fewer", "input": {"entries": 1000, "root": r.hex()},
           "expect": {"refuse": "heads proof does not lead to the root"}}


def proofs():
    def case(name, claim, r, k, proof, value=None, refuse=None):
        given = {"claim": claim, "root": r.hex(), "key": k.hex(), "proof": proof}
        if value:
            given["value"] = value.hex()
        return {"name": name, "input": given, "expect": {"refuse": refuse} if refuse else "accept"}

    for n in (0, 1, 2, 3, 1000):
        entries = [entry(i) for i in range(n)]
        r = root(entries)
        for i in sorted({0, n // 2, n - 1} & set(range(n))):
            yield case("member %d of %d" % (i, n), "member", r, key(i), text(prove(entries, key(i))), entry(i)[1])
        for i in (5000, 5001, 5002):
            yield case("%d absent from %d" % (i, n), "absent", r, key(i), text(prove(entries, key(i))))

    entries = [entry(i) for i in range(1000)]
    r, k, v = root(entries), key(7), entry(7)[1]
    good = prove(entries, k)
    end, siblings = good
    no_root, no_path = "heads proof does not lead to the root", "heads proof ends in a leaf of another path"
    shape, form = "heads proof has a path no map can have", "heads proof is malformed"
    yield case("absence claimed of a member", "absent", r, k, text(good), refuse="key is in the heads map")
    yield case("membership claimed of an absent key", "member", r, key(5000), text(prove(entries, key(5000))), v,
               "key is not in the heads map")
    yield case("another value", "member", r, k, text(good), entry(8)[1], "key has another value in the heads map")
    yield case("the leaf says another value", "member", r, k, text(((k, entry(8)[1]), siblings)), entry(8)[1], no_root)
    yield case("a sibling dropped", "member", r, k, text((end, siblings[:-1])), v, no_root)
    yield case("siblings from the leaf up", "member", r, k, text((end, siblings[::-1])), v, no_root)
    yield case("another key's leaf", "member", r, k, text(prove(entries, key(8))), v, no_path)
    yield case("cut off to show absence", "absent", r, k, text((None, siblings)), refuse=no_root)
    yield case("root of another map", "member", root(entries[:999]), k, text(good), v, no_root)

    lone = [entry(0)]
    pushed = sha(b"\1" + (leaf(lone[0]) + EMPTY if bit(key(0), 0) == 0 else EMPTY + leaf(lone[0])))
    yield case("lone leaf pushed down", "member", pushed, key(0), text((lone[0], [EMPTY])), lone[0][1], shape)
    yield case("empty beside empty", "absent", sha(b"\1" + EMPTY + EMPTY), k, text((None, [EMPTY])), refuse=shape)
    yield case("257 siblings", "member", r, k, text((end, [siblings[0]] * 257)), v, shape)
    yield case("empty at the last level", "absent", r, k, text((None, [siblings[0]] * 256)), refuse=shape)

    plain = text(good)
    for name, bad in (
        ("upper-case hex", plain.replace(k.hex(), k.hex().upper())),
        ("a space", plain.replace(",", ", ", 1)),
        ("trailing newline", plain + "\n"),
        ("unknown field", plain[:-1] + ',"extra":1}'),
        ("field twice", plain[:-1] + ',"siblings":[]}'),
        ("other order", json.dumps({"siblings": [], "leaf": None}, separators=(",", ":"))),
        ("leaf left out", '{"siblings":[]}'),
        ("siblings null", '{"leaf":null,"siblings":null}'),
        ("short hash", plain.replace(k.hex(), k.hex()[2:])),
        ("nothing", ""),
    ):
        yield case(name, "member", r, k, bad, v, form)


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    for name, vectors in (("roots.json", roots()), ("proofs.json", proofs())):
        with open(os.path.join(here, name), "w") as f:
            json.dump(list(vectors), f, indent=1)
            f.write("\n")


main()
