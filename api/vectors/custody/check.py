#!/usr/bin/env python3
"""Checks the vectors of this folder without any code of Strongroom: standard library only (FORMATS §3, §4).

kinds.json, statements.json   one signed statement each: expect accept, unknown (a newer version's kind or field, otherwise good) or refuse
messages.json                 sign-ins and proofs of possession
chains.json                   lists of signed events of one stream

Of what is accepted or unknown, canonical form, signature, digest and leaf are computed anew. Of what is refused for its form or its
signature, it is checked that it is indeed wrong; reasons that need the list of kinds and fields are left to the Go tests.
"""
import base64, hashlib, json, pathlib, sys

P = 2**256 - 2**224 + 2**192 + 2**96 - 1
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
G = (0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
     0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5)
SPKI = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")


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


def der_int(v):
    b = v.to_bytes(v.bit_length() // 8 + 1, "big")
    return b"\x02" + bytes([len(b)]) + b


def verify(spki, message, sig):
    """ECDSA P-256 with SHA-256, strict DER, low S."""
    assert len(spki) == 91 and spki.startswith(SPKI)
    q = int.from_bytes(spki[27:59], "big"), int.from_bytes(spki[59:], "big")
    assert (q[1] ** 2 - q[0] ** 3 + 3 * q[0] - B) % P == 0
    n = sig[3]
    r, s = int.from_bytes(sig[4:4 + n], "big"), int.from_bytes(sig[6 + n:], "big")
    body = der_int(r) + der_int(s)
    assert sig == b"\x30" + bytes([len(body)]) + body, "not DER"
    assert 0 < r < N and 0 < s <= N // 2, "out of range or high S"
    e, w = int.from_bytes(hashlib.sha256(message).digest(), "big"), pow(s, -1, N)
    point = add(mul(e * w % N, G), mul(r * w % N, q))
    assert point and point[0] % N == r, "signature"


def canonical(text):
    """RFC 8785 for what occurs here: ASCII names and values, whole numbers below 2^53, no null."""
    def pairs(items):
        assert len(dict(items)) == len(items), "duplicate key"
        return dict(items)

    def number(s):
        assert abs(int(s)) < 2**53, "integer"
        return int(s)

    def no(s):
        raise AssertionError("not a whole number")

    v = json.loads(text, object_pairs_hook=pairs, parse_int=number, parse_float=no, parse_constant=no)
    assert json.dumps(v, sort_keys=True, separators=(",", ":"), ensure_ascii=False) == text, "canonical"
    return v


def b64(s):
    b = base64.b64decode(s, validate=True)
    assert base64.b64encode(b).decode() == s, "base64"
    return b


def check(dsse, key, payload_types):
    d = canonical(dsse)
    assert set(d) == {"payload", "payloadType", "signatures"} and len(d["signatures"]) == 1
    assert d["payloadType"] in payload_types
    s, payload, spki = d["signatures"][0], b64(d["payload"]), b64(key)
    assert set(s) == {"keyid", "sig"} and s["keyid"] == hashlib.sha256(spki).hexdigest(), "keyid"
    assert len(payload) <= (65536 if "in-toto" in d["payloadType"] else 1024), "size"
    m = canonical(payload.decode())
    pae = b"DSSEv1 %d %s %d %s" % (len(d["payloadType"]), d["payloadType"].encode(), len(payload), payload)
    verify(spki, pae, b64(s["sig"]))
    digest = hashlib.sha256(pae).digest()
    leaf = json.dumps({"apiVersion": "0.0.2", "kind": "hashedrekord", "spec": {"hashedRekordV002": {
        "data": {"algorithm": "SHA2_256", "digest": base64.b64encode(digest).decode()},
        "signature": {"content": s["sig"], "verifier": {"keyDetails": "PKIX_ECDSA_P256_SHA_256", "publicKey": {"rawBytes": key}}}}}},
        sort_keys=True, separators=(",", ":"))
    return m, digest.hex(), leaf, hashlib.sha256(b"\0" + leaf.encode()).hexdigest()


def check_chain(events, key):
    assert events, "missing_first"
    prev, first = "", None
    for i, dsse in enumerate(events):
        m, _, _, leaf_hash = check(dsse, key, ["application/vnd.in-toto+json"])
        p = m["predicate"]
        at = p["vault"], p["stream"]["type"], p["stream"]["id"]
        first = first or at
        assert at == first and p["stream"]["seq"] == i and p["stream"]["prev"] == prev
        prev = leaf_hash


# Refusals that need to know kinds, fields and forms of values: the statement is canonical and its signature good.
MEANING = {"statement", "digest", "time", "sign_in", "possession"}

here, count, failed = pathlib.Path(__file__).parent, 0, 0
for name in ["kinds.json", "statements.json", "messages.json", "chains.json"]:
    for v in json.loads((here / name).read_text()):
        count += 1
        try:
            if name == "chains.json":
                check_chain(v.get("events", []), v["key"])
            else:
                types = ["application/vnd.in-toto+json"] if name != "messages.json" else [
                    "application/vnd.strongroom.signin+json", "application/vnd.strongroom.possession+json"]
                _, digest, leaf, leaf_hash = check(v.get("dsse", ""), v["key"], types)
                if name != "messages.json" and v["expect"] != "refuse":
                    assert (digest, leaf, leaf_hash) == (v["pae_digest"], v["leaf"], v["leaf_hash"]), "leaf"
            ok = v["expect"] != "refuse" or v["reason"] in MEANING
            why = "accepted"
        except Exception as e:
            ok, why = v["expect"] == "refuse", repr(e)
        if not ok:
            failed += 1
            print(f"{name}: {v['name']}: expect {v['expect']} {v.get('reason', '')}, but {why}")
print(f"{count} vectors, {failed} wrong")
sys.exit(failed > 0)
