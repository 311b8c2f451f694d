#!/usr/bin/env python3
"""Writes the tlog vectors (FORMATS §1, §4-6, §9, §10) into this folder.

A second implementation, with hashlib and integer arithmetic alone: RFC 6962,
ECDSA P-256, Ed25519 (RFC 8032), signed notes, Sigstore bundles and trust files.
Its keys are the SHA-256 of their names and serve nothing else.
"""
import base64
import hashlib
import json
import os
import struct

ORIGIN = "vault.example"


def sha(b):
    return hashlib.sha256(b).digest()


def b64(b):
    return base64.b64encode(b).decode()


# ECDSA P-256

P = 2**256 - 2**224 + 2**192 + 2**96 - 1
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
G = (0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
     0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5)


def add(a, b):
    if a is None or b is None:
        return a or b
    if a[0] == b[0]:
        if (a[1] + b[1]) % P == 0:
            return None
        m = (3 * a[0] * a[0] - 3) * pow(2 * a[1], -1, P)
    else:
        m = (b[1] - a[1]) * pow(b[0] - a[0], -1, P)
    x = (m * m - a[0] - b[0]) % P
    return x, (m * (a[0] - x) - a[1]) % P


def mul(k, a):
    r = None
    while k:
        if k & 1:
            r = add(r, a)
        a, k = add(a, a), k >> 1
    return r


def der_int(n):
    b = n.to_bytes(n.bit_length() // 8 + 1, "big")
    return b"\x02" + bytes([len(b)]) + b


class P256:
    details = "PKIX_ECDSA_P256_SHA_256"

    def __init__(self, name):
        self.name = name
        self.d = int.from_bytes(sha(name.encode()), "big") % (N - 1) + 1
        x, y = mul(self.d, G)
        self.spki = (bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200") + b"\4"
                     + x.to_bytes(32, "big") + y.to_bytes(32, "big"))
        self.id = sha(self.spki)

    def note_id(self):
        return self.id[:4]

    def sign(self, msg):
        z = int.from_bytes(sha(msg), "big")
        k = int.from_bytes(sha(self.id + sha(msg)), "big") % (N - 1) + 1
        r = mul(k, G)[0] % N
        s = pow(k, -1, N) * (z + r * self.d) % N
        s = min(s, N - s)
        body = der_int(r) + der_int(s)
        return b"\x30" + bytes([len(body)]) + body


# Ed25519

Q = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, Q) % Q
I = pow(2, (Q - 1) // 4, Q)


def recover(y, sign):
    xx = (y * y - 1) * pow(D * y * y + 1, -1, Q)
    x = pow(xx, (Q + 3) // 8, Q)
    if (x * x - xx) % Q:
        x = x * I % Q
    return Q - x if x & 1 != sign else x


BY = 4 * pow(5, -1, Q) % Q
B = (recover(BY, 0), BY)


def ed_add(a, b):
    t = D * a[0] * b[0] * a[1] * b[1]
    return ((a[0] * b[1] + b[0] * a[1]) * pow(1 + t, -1, Q) % Q,
            (a[1] * b[1] + a[0] * b[0]) * pow(1 - t, -1, Q) % Q)


def ed_mul(k, a):
    r = (0, 1)
    while k:
        if k & 1:
            r = ed_add(r, a)
        a, k = ed_add(a, a), k >> 1
    return r


def ed_bytes(a):
    return (a[1] | (a[0] & 1) << 255).to_bytes(32, "little")


class Ed25519:
    details = "PKIX_ED25519"

    def __init__(self, name):
        h = hashlib.sha512(sha(name.encode())).digest()
        self.a = int.from_bytes(h[:32], "little") & (1 << 254) - 8 | 1 << 254
        self.prefix = h[32:]
        self.pub = ed_bytes(ed_mul(self.a, B))
        self.spki = bytes.fromhex("302a300506032b6570032100") + self.pub
        self.id = sha(self.spki)

    def note_id(self, kind=b"\1", name=ORIGIN):
        return sha(name.encode() + b"\n" + kind + self.pub)[:4]

    def sign(self, msg):
        def h(b):
            return int.from_bytes(hashlib.sha512(b).digest(), "little") % L
        r = h(self.prefix + msg)
        point = ed_bytes(ed_mul(r, B))
        s = (r + h(point + self.pub + msg) * self.a) % L
        return point + s.to_bytes(32, "little")


LOG, OLD, LOG_ED = P256("log"), P256("old log"), Ed25519("log")
SIGNER = P256("signer")
FOUNDERS = [P256("administrator"), P256("custodian"), P256("vault")]


# RFC 6962

def leaf_hash(leaf):
    return sha(b"\0" + leaf)


def below(n):
    k = 1
    while 2 * k < n:
        k *= 2
    return k


def root(leaves):
    if not leaves:
        return sha(b"")
    if len(leaves) == 1:
        return leaf_hash(leaves[0])
    k = below(len(leaves))
    return sha(b"\1" + root(leaves[:k]) + root(leaves[k:]))


def path(m, leaves):
    if len(leaves) == 1:
        return []
    k = below(len(leaves))
    if m < k:
        return path(m, leaves[:k]) + [root(leaves[k:])]
    return path(m - k, leaves[k:]) + [root(leaves[:k])]


def consistency(m, leaves, whole=True):
    if m == len(leaves):
        return [] if whole else [root(leaves)]
    k = below(len(leaves))
    if m <= k:
        return consistency(m, leaves[:k], whole) + [root(leaves[k:])]
    return consistency(m - k, leaves[k:], False) + [root(leaves[:k])]


# Notes

def line(key, text, name=ORIGIN, key_id=None):
    return "— %s %s\n" % (name, b64((key_id or key.note_id()) + key.sign(text.encode())))


def body(size, hash, origin=ORIGIN):
    return "%s\n%d\n%s\n" % (origin, size, b64(hash))


def signed(text, *keys):
    return text + "\n" + "".join(line(k, text) for k in keys)


def refused(reason):
    return {"refuse": reason}


MALFORMED, KEY, SIGNATURE = "malformed", "log key is not the trusted one", "log signature does not verify"
OTHER_ORIGIN, INDEX, PROOF = "checkpoint has another origin", "leaf index does not fit", "inclusion proof does not hold"
CHECKPOINT, INCONSISTENT = "proof names another checkpoint", "checkpoints are not consistent"


def checkpoints():
    def case(name, note, expect="accept"):
        return {"name": name, "input": {
            "origin": ORIGIN, "keys": [b64(LOG.spki), b64(LOG_ED.spki)], "note": note}, "expect": expect}

    h = root([b"a", b"b", b"c"])
    text = body(3, h)
    good = signed(text, LOG, LOG_ED)
    head, first = text + "\n", line(LOG, text)
    witness = "— witness.example/w %s\n" % b64(b"\1\2\3\4" + b"w" * 72)
    yield case("ECDSA alone", signed(text, LOG))
    yield case("both log keys", good)
    yield case("Ed25519 first", signed(text, LOG_ED, LOG))
    yield case("a witness line", good + witness)
    yield case("empty tree", signed(body(0, sha(b"")), LOG))
    yield case("greatest size", signed(body(2**53 - 1, h), LOG))
    yield case("32 lines", head + first + "".join(witness.replace("/w", "/%d" % i) for i in range(31)))
    yield case("33 lines", head + first + "".join(witness.replace("/w", "/%d" % i) for i in range(32)),
               refused(MALFORMED))
    yield case("Ed25519 alone", signed(text, LOG_ED), refused(KEY))
    yield case("another key", signed(text, OLD), refused(KEY))
    yield case("another key under the log's key id", head + line(OLD, text, key_id=LOG.note_id()), refused(SIGNATURE))
    yield case("Ed25519 line of another text", signed(text, LOG) + line(LOG_ED, body(4, h)), refused(SIGNATURE))
    yield case("signature of another size", body(4, h) + "\n" + first, refused(SIGNATURE))
    other = body(3, h, "other.example")
    yield case("another origin", other + "\n" + line(LOG, other, "other.example"), refused(OTHER_ORIGIN))
    yield case("another key name", head + line(LOG, text, "other.example"), refused(KEY))
    for name, bad in (
        ("extension line", text + "more\n"),
        ("leading zero", text.replace("\n3\n", "\n03\n")),
        ("plus sign", text.replace("\n3\n", "\n+3\n")),
        ("size 2^53", body(2**53, h)),
        ("negative size", text.replace("\n3\n", "\n-3\n")),
        ("short root", body(3, h[:31])),
        ("stray bits in the root", text.replace(b64(h), b64(h)[:-2] + chr(ord(b64(h)[-2]) + 1) + "=")),
        ("empty tree with a root", body(0, h)),
        ("upper-case origin", body(3, h, "Vault.example")),
        ("origin with a port", body(3, h, "vault.example:443")),
        ("origin with a tree number", body(3, h, "vault.example - 1")),
        ("carriage return", text.replace("\n3", "\r\n3")),
    ):
        yield case(name, signed(bad, LOG), refused(MALFORMED))
    raw = base64.b64decode(first.split()[2])
    for name, bad in (
        ("nothing", ""),
        ("no signature", text),
        ("no signature line", head),
        ("last line not ended", good[:-1]),
        ("signed twice by one key", good + first),
        ("hyphen for the dash", good.replace("—", "-")),
        ("word after the signature", head + first[:-1] + " x\n"),
        ("base64 without padding", head + "— %s %s\n" % (ORIGIN, b64(raw + b"\0" * (1 if len(raw) % 3 == 0 else 0)).rstrip("="))),
        ("line without signature bytes", head + first + "— w AAAAAA==\n"),
        ("blank line at the end", good + "\n"),
        ("too large", head + first + witness.replace("/w", "/" + "w" * 33000)),
    ):
        yield case(name, bad, refused(MALFORMED))


def proofs():
    leaves = [b"leaf %d" % i for i in range(11)]

    def inclusion(name, index, size, hashes, expect="accept", leaf=None, of=None):
        return {"name": name, "input": {
            "kind": "inclusion", "leaf_hash": leaf_hash(leaf or leaves[index]).hex(), "index": index, "size": size,
            "root": root(leaves[:of or size]).hex(), "proof": [h.hex() for h in hashes]}, "expect": expect}

    def grows(name, old, new, hashes, expect="accept", old_root=None):
        return {"name": name, "input": {
            "kind": "consistency", "old_size": old, "old_root": (old_root or root(leaves[:old])).hex(), "size": new,
            "root": root(leaves[:new]).hex(), "proof": [h.hex() for h in hashes]}, "expect": expect}

    for size in (1, 2, 3, 7, 8, 11):
        for i in sorted({0, size // 2, size - 1}):
            yield inclusion("leaf %d of %d" % (i, size), i, size, path(i, leaves[:size]))
    p = path(4, leaves)
    yield inclusion("another leaf", 4, 11, p, refused(PROOF), leaf=b"leaf 5")
    yield inclusion("another index", 5, 11, p, refused(PROOF), leaf=b"leaf 4")
    yield inclusion("another tree", 4, 11, p, refused(PROOF), of=10)
    yield inclusion("a hash dropped", 4, 11, p[:-1], refused(PROOF))
    yield inclusion("a hash added", 4, 11, p + [p[0]], refused(PROOF))
    yield inclusion("a short hash", 4, 11, [p[0][:31]] + p[1:], refused(PROOF))
    yield inclusion("the order turned", 4, 11, p[::-1], refused(PROOF))
    yield inclusion("an index beyond the tree", 8, 8, path(0, leaves[:8]), refused(INDEX))
    yield inclusion("a negative index", -1, 8, path(0, leaves[:8]), refused(INDEX))
    for old, new in ((0, 0), (0, 5), (1, 2), (3, 7), (4, 8), (6, 11), (11, 11)):
        yield grows("%d to %d" % (old, new), old, new, consistency(old, leaves[:new]) if old else [])
    c = consistency(6, leaves)
    yield grows("shrinking", 7, 6, [], refused(INCONSISTENT))
    yield grows("another old root", 6, 11, c, refused(INCONSISTENT), old_root=root(leaves[1:7]))
    yield grows("a hash dropped between sizes", 6, 11, c[:-1], refused(INCONSISTENT))
    yield grows("one size, two roots", 6, 6, [], refused(INCONSISTENT), old_root=root(leaves[1:7]))
    yield grows("an empty tree with a root", 0, 6, [], refused(INCONSISTENT), old_root=root(leaves[1:7]))


# Trust files. JCS equals sorted keys and no spaces for ASCII text without fractions.

def jcs(v):
    return json.dumps(v, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


ROOT_CERT = """
MIIBwDCCAWWgAwIBAgIUNBMsDzGICSJ/egkBXUD/spOm6lYwCgYIKoZIzj0EAwIwNTEQMA4GA1UECgwHRXhhbXBsZTEhMB8GA1UEAwwYRXhhbXBsZSB0aW1l
IHN0YW1wcyByb290MB4XDTI2MTEyMjE2MTQwMFoXDTQ2MTExNzE2MTQwMFowNTEQMA4GA1UECgwHRXhhbXBsZTEhMB8GA1UEAwwYRXhhbXBsZSB0aW1lIHN0
YW1wcyByb290MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE9fmeRwz472OxbkZ+PpKzH8zaLam6rxnXvLBFKvC4KyTj/VGyiFnPaV9dc8GHbnOEGAh/hsvR
mvcbzViQIMSZpaNTMFEwHQYDVR0OBBYEFKqirPhnr5p852ZfjhFVU6f5AfUkMB8GA1UdIwQYMBaAFKqirPhnr5p852ZfjhFVU6f5AfUkMA8GA1UdEwEB/wQF
MAMBAf8wCgYIKoZIzj0EAwIDSQAwRgIhALW6Mz6dhPCRtQSxOqrTfhrbymHBeld+dVenRMfTbjZNAiEA2gYyBxOqvdHj5KBlGpkOz+JL/drBLuu7EL3JvpIi
SyM=""".replace("\n", "")
LEAF_CERT = """
MIIBvTCCAWKgAwIBAgIBAjAKBggqhkjOPQQDAjA1MRAwDgYDVQQKDAdFeGFtcGxlMSEwHwYDVQQDDBhFeGFtcGxlIHRpbWUgc3RhbXBzIHJvb3QwHhcNMjYx
MTIyMTYxNDAwWhcNNDYxMTE3MTYxNDAwWjAwMRAwDgYDVQQKDAdFeGFtcGxlMRwwGgYDVQQDDBNFeGFtcGxlIHRpbWUgc3RhbXBzMFkwEwYHKoZIzj0CAQYI
KoZIzj0DAQcDQgAE214LsVhK6KnO/YcTzAwxRsVpxVYVmi+76m1a0879sJ7hnzpNXHD/of27kFVan0uajh5iMJtWM/22gxdF1fWo4aNoMGYwFgYDVR0lAQH/
BAwwCgYIKwYBBQUHAwgwDAYDVR0TAQH/BAIwADAdBgNVHQ4EFgQUtcbY36r+AY3GY8NBCfjHpoFzPr8wHwYDVR0jBBgwFoAUqqKs+GevmnznZl+OEVVTp/kB
9SQwCgYIKoZIzj0EAwIDSQAwRgIhAOBsNOsqww/SKjrPKCXFgdWBdWVT92H/KM31bBroVSsnAiEAsyASqPDSFWCoiWqcb0w5i5pLHOdIOQbSBVnt5X3Bn8A=
""".replace("\n", "")


def tlog(key, start="2026-01-01T00:00:00.000Z", end=None):
    valid = {"start": start, **({"end": end} if end else {})}
    return {"baseUrl": "https://" + ORIGIN, "hashAlgorithm": "SHA2_256", "logId": {"keyId": b64(key.id)},
            "publicKey": {"rawBytes": b64(key.spki), "keyDetails": key.details, "validFor": valid}}


def founder(key):
    return {"actor": "act-" + key.name.ljust(26, "a"), "key": b64(key.spki), "role": key.name}


def trust(**change):
    t = {"version": 1, "vault": ORIGIN, "founders": [founder(k) for k in FOUNDERS], "witness_policy": "",
         "timestamp_roots": [], "trusted_root": {
             "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
             "tlogs": [tlog(LOG)], "certificateAuthorities": [], "ctlogs": [], "timestampAuthorities": []}}
    for name, value in change.items():
        (t if name in t else t["trusted_root"])[name] = value
    return t


def vkey(name):
    k = Ed25519(name)
    return "%s+%s+%s" % (name, k.note_id(b"\4", name).hex(), b64(b"\4" + k.pub))


def witness(name):
    return "witness %s %s https://%s.example\n" % (name, vkey(name), name)


TSA = {"certChain": {"certificates": [{"rawBytes": LEAF_CERT}, {"rawBytes": ROOT_CERT}]},
       "subject": {"organization": "Example", "commonName": "Example time stamps"},
       "uri": "https://time.example", "validFor": {"start": "2026-11-22T16:14:00.000Z"}}
TWO = witness("w1") + witness("w2") + "group both all w1 w2\nquorum both\n"
AUDITED = witness("w1") + witness("a1") + "group auditors 1 a1\nquorum w1\n"


def earlier(*policies):
    return {**trust(witness_policy=TWO), "earlier_witness_policies": [
        {"policy": p, "until": "2026-0%d-01T00:00:00.000Z" % (3 + i)} for i, p in enumerate(policies)]}


def trusts():
    def good(name, t, witnesses=False, auditors=False, stamps=False):
        text = jcs(t)
        h = sha(text.encode())
        groups = ["%05d" % (int.from_bytes(h[i:i + 5], "big") % 100000) for i in range(0, 30, 5)]
        return {"name": name, "input": {
            "trust": text, "fingerprint": h.hex(), "groups": " ".join(groups), "requires_witnesses": witnesses,
            "requires_auditors": auditors, "requires_timestamps": stamps}, "expect": "accept"}

    def bad(name, text):
        return {"name": name, "input": {"trust": text}, "expect": refused(MALFORMED)}

    stamped = {"timestamp_roots": [ROOT_CERT], "timestampAuthorities": [TSA]}
    yield good("least", trust())
    yield good("Ed25519 beside ECDSA", trust(tlogs=[tlog(LOG), tlog(LOG_ED)]))
    yield good("an old key", trust(tlogs=[tlog(LOG), tlog(OLD, "2025-01-01T00:00:00.000Z", "2026-01-01T00:00:00.000Z")]))
    yield good("two witnesses", trust(witness_policy=TWO), witnesses=True)
    yield good("a policy that asks for nobody", trust(witness_policy=witness("w1") + "quorum none\n"))
    yield good("a witness and an auditor", trust(witness_policy=AUDITED), witnesses=True, auditors=True)
    yield good("an auditor alone", trust(witness_policy=AUDITED.replace("quorum w1", "quorum none")), auditors=True)
    yield good("time stamps", trust(**stamped), stamps=True)
    yield good("a time-stamp root alone", trust(timestamp_roots=[ROOT_CERT]), stamps=True)

    plain = jcs(trust())
    yield bad("nothing", "")
    yield bad("trailing newline", plain + "\n")
    yield bad("two files", plain + plain)
    yield bad("indented", json.dumps(trust(), sort_keys=True, indent=1))
    yield bad("unsorted", json.dumps(trust(), separators=(",", ":")))
    yield bad("unknown field", jcs({**trust(), "more": 1}))
    yield bad("field twice", plain[:-1] + ',"witness_policy":""}')
    yield bad("escaped letter", plain.replace("vault.example\",\"version", "v\\u0061ult.example\",\"version"))
    yield bad("field left out", jcs({k: v for k, v in trust().items() if k != "timestamp_roots"}))
    yield bad("null list", jcs(trust(timestamp_roots=None)))
    yield bad("version 2", jcs(trust(version=2)))
    yield bad("another base URL", plain.replace("https://vault", "https://other"))
    yield bad("no log", jcs(trust(tlogs=[])))
    yield bad("Ed25519 first", jcs(trust(tlogs=[tlog(LOG_ED), tlog(LOG)])))
    yield bad("the key in use has ended", jcs(trust(tlogs=[tlog(LOG, end="2027-01-01T00:00:00.000Z")])))
    yield bad("a log twice", jcs(trust(tlogs=[tlog(LOG), tlog(LOG)])))
    yield bad("another log id", plain.replace(b64(LOG.id), b64(OLD.id)))
    yield bad("Ed25519 said of an ECDSA key", plain.replace("PKIX_ECDSA_P256_SHA_256", "PKIX_ED25519"))
    yield bad("no milliseconds", plain.replace(".000Z", "Z"))
    yield bad("another zone", plain.replace(".000Z", ".000+00:00"))
    yield bad("an end before its start",
              jcs(trust(tlogs=[tlog(LOG), tlog(OLD, end="2025-01-01T00:00:00.000Z")])))
    named = [founder(k) for k in FOUNDERS]
    fourth = {**founder(P256("fourth")), "role": "custodian"}
    yield good("two custodians", trust(founders=named + [fourth]))
    for name, list in (
        ("no administrator", named[1:]), ("no custodian", [named[0], named[2]]), ("no vault", named[:2]),
        ("two vaults", named + [{**fourth, "role": "vault"}]), ("a clinician as founder", named + [{**fourth, "role": "clinician"}]),
        ("a founder twice", named + named[:1]), ("one key for two founders", named + [{**fourth, "key": named[1]["key"]}]),
        ("two keys for one founder", named + [{**fourth, "actor": named[1]["actor"]}]), ("a founder without identifier", named + [{**fourth, "actor": ""}]),
        ("a founder with a long identifier", named + [{**fourth, "actor": "a" * 65}]),
        ("an Ed25519 founder", named + [{**fourth, "key": b64(LOG_ED.spki)}]),
        ("a founder off the curve", named[:2] + [{**named[2], "key": b64(FOUNDERS[2].spki[:-1] + b"\0")}]),
        ("a founder that is a key alone", named[:2] + [b64(FOUNDERS[2].spki)]),
        ("a founder with another field", named[:2] + [{**named[2], "name": ""}]),
    ):
        yield bad(name, jcs(trust(founders=list)))
    yield bad("a certificate authority", jcs(trust(certificateAuthorities=[TSA])))
    yield bad("an authority under no trusted root", jcs(trust(timestampAuthorities=[TSA])))
    yield bad("an authority by another name",
              jcs(trust(timestamp_roots=[ROOT_CERT], timestampAuthorities=[{**TSA, "subject": {
                  "organization": "Example", "commonName": "Other"}}])))
    yield bad("a root twice", jcs(trust(timestamp_roots=[ROOT_CERT, ROOT_CERT])))
    yield bad("a root that is none", jcs(trust(timestamp_roots=[b64(b"root")])))
    for name, policy in (
        ("no quorum", witness("w1")),
        ("two quorums", witness("w1") + "quorum none\nquorum w1\n"),
        ("unknown witness", "quorum w1\n"),
        ("unknown rule", "trust w1\nquorum none\n"),
        ("witness counted twice", witness("w1") + "group g 2 w1 w1\nquorum g\n"),
        ("wrong key id", witness("w1").replace("+", "+0", 1) + "quorum w1\n"),
        ("threshold above members", witness("w1") + "group g 2 w1\nquorum g\n"),
        ("letters beyond ASCII", "# wіtness\nquorum none\n"),
        ("too long", "#" * 20000 + "\nquorum none\n"),
    ):
        yield bad("policy: " + name, jcs(trust(witness_policy=policy)))
    yield good("witnesses that changed", earlier("", AUDITED, TWO), witnesses=True)
    yield good("witnesses that are asked no more", {**earlier(TWO), "witness_policy": ""})
    yield good("as many earlier policies as may be", {**earlier(), "earlier_witness_policies": earlier(TWO)["earlier_witness_policies"] * 16}, witnesses=True)
    one = earlier(AUDITED)
    text, entry = jcs(one), one["earlier_witness_policies"][0]
    for name, bytes_ in (
        ("none", jcs(earlier())), ("null", jcs({**one, "earlier_witness_policies": None})),
        ("17", jcs({**one, "earlier_witness_policies": [entry] * 17})),
        ("the newest first", jcs({**one, "earlier_witness_policies": earlier(TWO, AUDITED)["earlier_witness_policies"][::-1]})),
        ("without its end", jcs({**one, "earlier_witness_policies": [{"policy": TWO}]})),
        ("without its text", jcs({**one, "earlier_witness_policies": [{"until": entry["until"]}]})),
        ("with another field", jcs({**one, "earlier_witness_policies": [{**entry, "since": entry["until"]}]})),
        ("a text alone", jcs({**one, "earlier_witness_policies": [TWO]})),
        ("an end to the second", text.replace("2026-03-01T00:00:00.000Z", "2026-03-01T00:00:00Z")),
        ("an end in another zone", text.replace("2026-03-01T00:00:00.000Z", "2026-03-01T00:00:00.000+00:00")),
        ("an end on no day", text.replace("2026-03-01T", "2026-02-30T")),
        ("an empty end", text.replace("2026-03-01T00:00:00.000Z", "")),
        ("no quorum", jcs(earlier(witness("w1")))), ("a witness with the log's name", jcs(earlier(witness(ORIGIN) + "quorum none\n"))),
    ):
        yield bad("earlier policies: " + name, bytes_)


# Receipts

def pae(payload_type, payload):
    return b"DSSEv1 %d %s %d %s" % (len(payload_type), payload_type.encode(), len(payload), payload)


def receipts():
    payload_type, payload = "application/vnd.in-toto+json", jcs({
        "_type": "https://in-toto.io/Statement/v1", "predicateType": "https://strongroom.example/custody-event/v1",
        "subject": [{"name": "itm-x/evidence.age", "digest": {"sha256": "00" * 32}}], "predicate": {}}).encode()
    sig = SIGNER.sign(pae(payload_type, payload))
    leaf = jcs({"apiVersion": "0.0.2", "kind": "hashedrekord", "spec": {"hashedRekordV002": {
        "data": {"algorithm": "SHA2_256", "digest": b64(sha(pae(payload_type, payload)))},
        "signature": {"content": b64(sig), "verifier": {"keyDetails": SIGNER.details,
                                                        "publicKey": {"rawBytes": b64(SIGNER.spki)}}}}}}).encode()
    t = jcs(trust(tlogs=[tlog(LOG), tlog(LOG_ED), tlog(OLD, "2025-01-01T00:00:00.000Z", "2026-01-01T00:00:00.000Z")]))

    def receipt(index, size, stamps=(), keys=(LOG, LOG_ED), log=LOG):
        leaves = [b"leaf %d" % i for i in range(size)]
        leaves[index] = leaf
        material = {"publicKey": {"hint": b64(SIGNER.id)}, "tlogEntries": [{
            "logIndex": str(index), "logId": {"keyId": b64(log.id)},
            "kindVersion": {"kind": "hashedrekord", "version": "0.0.2"},
            "inclusionProof": {"logIndex": str(index), "rootHash": b64(root(leaves)), "treeSize": str(size),
                               "hashes": [b64(h) for h in path(index, leaves)],
                               "checkpoint": {"envelope": signed(body(size, root(leaves)), *keys)}},
            "canonicalizedBody": b64(leaf)}]}
        if stamps:
            material["timestampVerificationData"] = {"rfc3161Timestamps": [{"signedTimestamp": b64(s)} for s in stamps]}
        return {"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "verificationMaterial": material,
                "dsseEnvelope": {"payload": b64(payload), "payloadType": payload_type,
                                 "signatures": [{"sig": b64(sig)}]}}

    def text(r):
        return json.dumps(r, separators=(",", ":"), ensure_ascii=False)

    def case(name, r, expect="accept", index=0):
        given = {"trust": t, "receipt": r if isinstance(r, str) else text(r)}
        if expect == "accept":
            given.update(index=index, leaf_hash=leaf_hash(leaf).hex(), signer=SIGNER.id.hex())
        return {"name": name, "input": given, "expect": expect}

    def changed(change):
        r = receipt(4, 11)
        change(r, r["verificationMaterial"]["tlogEntries"][0], r["verificationMaterial"]["tlogEntries"][0]["inclusionProof"])
        return r

    yield case("the first leaf, alone", receipt(0, 1))
    yield case("leaf 4 of 11", receipt(4, 11), index=4)
    yield case("with time stamps", receipt(4, 11, [b"opaque here", b"two"]), index=4)
    yield case("under an old key", receipt(4, 11, keys=(OLD,), log=OLD), index=4)

    other = P256("stranger")
    yield case("a stranger's log", receipt(4, 11, keys=(other,), log=other), refused(KEY))
    yield case("names a key that did not sign", receipt(4, 11, log=OLD), refused(KEY))
    yield case("names the Ed25519 key", receipt(4, 11, log=LOG_ED), refused(KEY))
    yield case("signed by Ed25519 alone", receipt(4, 11, keys=(LOG_ED,)), refused(KEY))
    yield case("another leaf", changed(lambda r, e, p: e.update(canonicalizedBody=b64(leaf + b" "))), refused(PROOF))
    yield case("another index", changed(lambda r, e, p: (e.update(logIndex="5"), p.update(logIndex="5"))), refused(PROOF))
    yield case("two indexes", changed(lambda r, e, p: p.update(logIndex="5")), refused(INDEX))
    yield case("an index beyond the tree", changed(lambda r, e, p: (e.update(logIndex="11"), p.update(logIndex="11"))),
               refused(INDEX))
    yield case("a negative index", changed(lambda r, e, p: (e.update(logIndex="-1"), p.update(logIndex="-1"))),
               refused(INDEX))
    yield case("another tree size", changed(lambda r, e, p: p.update(treeSize="12")), refused(CHECKPOINT))
    yield case("another root hash", changed(lambda r, e, p: p.update(rootHash=b64(sha(b"")))), refused(CHECKPOINT))
    yield case("a hash dropped", changed(lambda r, e, p: p["hashes"].pop()), refused(PROOF))
    yield case("the checkpoint's size changed", changed(lambda r, e, p: (
        p.update(treeSize="12"), p["checkpoint"].update(envelope=p["checkpoint"]["envelope"].replace("\n11\n", "\n12\n")))),
        refused(SIGNATURE))
    yield case("another vault's checkpoint", changed(lambda r, e, p: p["checkpoint"].update(
        envelope=p["checkpoint"]["envelope"].replace(ORIGIN, "other.example"))), refused(OTHER_ORIGIN))

    plain = text(receipt(4, 11))
    none = text(receipt(4, 11)).replace(',"dsseEnvelope"', "").replace("}]},", "}],", 1)
    two = changed(lambda r, e, p: r["verificationMaterial"]["tlogEntries"].append(e))
    twice = changed(lambda r, e, p: r["dsseEnvelope"]["signatures"].append(r["dsseEnvelope"]["signatures"][0]))
    for name, bad in (
        ("nothing", ""),
        ("not JSON", none),
        ("trailing newline", plain + "\n"),
        ("a space", plain.replace(",", ", ", 1)),
        ("fields in another order", json.dumps(json.loads(plain), sort_keys=True, separators=(",", ":"), ensure_ascii=False)),
        ("escaped dash", json.dumps(json.loads(plain), separators=(",", ":"))),
        ("field twice", plain[:-1] + ',"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json"}'),
        ("unknown field", plain[:-1] + ',"more":1}'),
        ("bundle v0.2", plain.replace("bundle.v0.3+json", "bundle+json;version=0.2")),
        ("index as a number", plain.replace('"logIndex":"4"', '"logIndex":4', 1)),
        ("index with a zero in front", plain.replace('"logIndex":"4"', '"logIndex":"04"')),
        ("an integrated time", text(changed(lambda r, e, p: e.update(integratedTime="1")))),
        ("an inclusion promise", text(changed(lambda r, e, p: e.update(inclusionPromise={})))),
        ("another kind", plain.replace('"kind":"hashedrekord"', '"kind":"dsse"', 1)),
        ("two entries", text(two)),
        ("two signatures", text(twice)),
        ("no time stamps, but their list", plain.replace('},"dsseEnvelope"', ',"timestampVerificationData":{"rfc3161Timestamps":[]}},"dsseEnvelope"')),
        ("an empty time stamp", text(receipt(4, 11, [b""]))),
        ("a short hint", plain.replace(b64(SIGNER.id), b64(SIGNER.id[:30]))),
        ("a hint in hex", plain.replace(b64(SIGNER.id), SIGNER.id.hex())),
        ("a key id, which stock verifiers refuse", plain.replace('"}]}}', '","keyid":"%s"}]}}' % SIGNER.id.hex())),
        ("stray bits in base64", plain.replace(b64(LOG.id), b64(LOG.id)[:-2] + chr(ord(b64(LOG.id)[-2]) + 1) + "=")),
        ("base64 without padding", plain.replace(b64(LOG.id), b64(LOG.id)[:-1])),
        ("too large", text(receipt(4, 11, [bytes(16000)] * 4))),
    ):
        yield case(name, bad, refused(MALFORMED))


def fingerprints():
    for h in (bytes(32), b"\xff" * 32, sha(b"fingerprint")):
        groups = ["%05d" % (int.from_bytes(h[i:i + 5], "big") % 100000) for i in range(0, 30, 5)]
        for typed in (" ".join(groups), "-".join(groups), "".join(groups), "  ".join(groups) + "\n"):
            yield {"name": typed, "input": {"hash": h.hex(), "typed": typed}, "expect": "accept"}
    h = sha(b"fingerprint")
    for typed in ("", "00000", " ".join(["00000"] * 7), " ".join(["0000a"] * 6)):
        yield {"name": "typed " + typed, "input": {"hash": h.hex(), "typed": typed}, "expect": refused(MALFORMED)}


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    for name, vectors in (("checkpoints", checkpoints()), ("proofs", proofs()), ("trust", trusts()),
                          ("receipts", receipts()), ("fingerprints", fingerprints())):
        with open(os.path.join(here, name + ".json"), "w") as f:
            json.dump(list(vectors), f, indent=1, ensure_ascii=False)
            f.write("\n")


main()
