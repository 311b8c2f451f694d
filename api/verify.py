#!/usr/bin/env python3
"""Checks an evidence package of a Strongroom vault:  python3 verify.py [--json] package.zip trust.json

Exit code: 0 verified, 1 refused, 2 incomplete (something could not be checked).

This program is a second opinion. It was written from the published text (formats.md, cited as FORMATS; rules.md, cited as RULES;
predicate.schema.json) and shares no code with the vault or with strongroom-verify. Where that text left a question open, the answer
was found by trying what strongroom-verify accepts. It needs Python 3.9 or newer, nothing but its
standard library, and the command `openssl` (3.0 or newer) for signatures and time stamps. It sends nothing anywhere and writes only
into a temporary folder. It believes nothing in the package but what a key leads back to that the trust file names; get the trust file
from the registry, never from the package.

Of FORMATS §12 it leaves to strongroom-verify, and says so in each report:
  - opening content: ciphertext files are compared with the record, but no identity is taken and nothing is decrypted;
  - the rules for the kinds of event in NOT_REPLAYED below. A package that has one of these is `incomplete`, never `verified`;
  - ML-DSA-44 signatures, which openssl 3.0 does not know. A witness that has no other key does not count; under a log key of that
    type `checkpoint` is `not_checked`;
  - packages with more than 64 MiB of events: they are `incomplete`. The largest that it takes need about a gigabyte of memory.
Which rules it repeats, and how, stands in one place: class Law. What that class does not judge is said at its beginning.

The parts, in this order: JSON and signatures; the archive and its list; the form of statements; receipts, checkpoints and proofs; the
trust file; the rules; the eleven checks; the report.
"""
import argparse
import base64
import concurrent.futures
import dataclasses
import datetime
import hashlib
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib
from typing import Any, BinaryIO, Callable, Dict, Iterator, List, Optional, Set, Tuple

NOT_REPLAYED = {"item.shred_proposed", "item.shred_cancelled", "item.shredded", "vault.recovered", "vault.restored"}
OUT_OF_SCOPE = ["Opening the content: this program takes no key; strongroom-verify does.",
                "The rules for " + ", ".join(sorted(NOT_REPLAYED)) + ": a package that has one of these is not verified here."]
CHECKS = ["package", "signatures", "inclusion", "checkpoint", "witnesses", "time", "chain", "complete", "audit", "rules", "content"]

# FORMATS §1: sizes and numbers.
KIB, MIB = 1 << 10, 1 << 20
MAX_STATEMENT, MAX_RECEIPT, MAX_MANIFEST, MAX_TRUST = 64 * KIB, 64 * KIB, 16 * MIB, 256 * KIB
MAX_DIRECTORY, MAX_FILES, MAX_EVENTS, MAX_STREAMS = 24 * MIB, 120_000, 100_000, 20_000
MAX_BUNDLE, MAX_PROOFS, MAX_NOTE, MAX_STATES, MAX_LOADED = 192 * KIB, 48 * KIB, 32 * KIB, 64 * MIB, 64 * MIB
MAX_INT = 2**53 - 1

Json = Any
Stream = Tuple[str, str]  # type and id


class Stop(Exception):
    """The end of a check: its name, its result (fail or not_checked), the reason as a code, and a detail for people."""

    def __init__(self, check: str, reason: str, detail: str = "", result: str = "fail") -> None:
        super().__init__(check, reason)
        self.check, self.reason, self.detail, self.result = check, reason, detail, result


class Malformed(ValueError):
    """Bytes that are not in the one form that FORMATS gives them."""


class Newer(Malformed):
    """A statement in good form that has members, or a kind, which this version does not know (FORMATS §3)."""


def sha256(b: bytes) -> bytes:
    return hashlib.sha256(b).digest()


def jcs(v: Json) -> str:
    """The canonical form of a JSON value (RFC 8785) for what occurs here: no fractions."""
    if isinstance(v, dict):
        names = sorted(v, key=lambda s: s.encode("utf-16-be"))
        return "{" + ",".join(json.dumps(n, ensure_ascii=False) + ":" + jcs(v[n]) for n in names) + "}"
    if isinstance(v, list):
        return "[" + ",".join(map(jcs, v)) + "]"
    return json.dumps(v, ensure_ascii=False)


def read_json(b: bytes, limit: int) -> Json:
    """Reads JSON in which no name occurs twice and every number is whole and below 2^53 (FORMATS §1)."""
    def members(pairs: List[Tuple[str, Json]]) -> Dict[str, Json]:
        if len(dict(pairs)) != len(pairs):
            raise Malformed("a member twice")
        return dict(pairs)

    def whole(s: str) -> int:
        if len(s) > 17 or abs(int(s)) > MAX_INT:
            raise Malformed("a number out of range")
        return int(s)

    def no(s: str) -> Json:
        raise Malformed("not a whole number")

    # The values of a package's list of files are the most that occur; more would only cost memory.
    if len(b) > limit or b.count(b"{") + b.count(b"[") > MAX_FILES + 100 or b.count(b",") > 4 * MAX_FILES:
        raise Malformed("too large")
    try:
        return json.loads(b.decode(), object_pairs_hook=members, parse_int=whole, parse_float=no, parse_constant=no)
    except (ValueError, RecursionError) as e:
        raise Malformed("not JSON") from e


def read_canonical(b: bytes, limit: int) -> Json:
    """Reads canonical JSON: what was read is encoded again and compared (FORMATS §1)."""
    v = read_json(b, limit)
    try:
        if jcs(v).encode() != b:
            raise Malformed("not canonical")
    except (UnicodeEncodeError, RecursionError) as e:
        raise Malformed("not canonical") from e
    return v


def unbase64(s: Json) -> bytes:
    """Standard base64 with padding, in its one spelling (FORMATS §4)."""
    if not isinstance(s, str):
        raise Malformed("not base64")
    try:
        b = base64.b64decode(s.encode("ascii"), validate=True)
    except ValueError as e:
        raise Malformed("not base64") from e
    if base64.b64encode(b).decode() != s:
        raise Malformed("not base64")
    return b


def b64(b: bytes) -> str:
    return base64.b64encode(b).decode()


def has_members(v: Json, names: str) -> bool:
    """Whether v is an object with exactly these members; a name that ends in ? may be absent."""
    wanted = names.split()
    return isinstance(v, dict) and set(v) <= {n.rstrip("?") for n in wanted} and all(n in v for n in wanted if n[-1] != "?")


def moment(t: str) -> datetime.datetime:
    return datetime.datetime.strptime(t, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=datetime.timezone.utc)


def after(t: str, seconds: int) -> str:
    """The time so many seconds after t, in the same form; such times sort as text."""
    try:
        return (moment(t) + datetime.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    except OverflowError:
        return "9999-12-31T23:59:59.999Z"


# ---- Signatures (FORMATS §4): openssl does the arithmetic.

P256_PREFIX = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
ED25519_PREFIX = bytes.fromhex("302a300506032b6570032100")

# Signatures over "strongroom" by two keys made for this; an openssl that cannot tell right from wrong here is not used.
SELF_TEST = [
    ("MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE5EywdS6CT8tVu5ZAn61NpvtYf1qDji1oNPsU+rJL7UpML4a3kPw62K7sd/gxUd1/Qj57Q7UT6mrvMyEkqEUDpw==",
     "MEUCIQC8nzo5PeG8+4zdji86F9ZL+FcoScuWGRkPKmUwLAgHngIgYHBmrE0IOWnn48tcwGTWV+23+DyBq7XoCASa2Tp8enc="),
    ("MCowBQYDK2VwAyEAoNp7D2JCPWoBumz0dYPuPXjYy1np5YTDTZAgGF9lUCA=",
     "7XOOzMuGa66lVAPM2pRL6GpEq9C+wWkQxcDO6QCTVSWKnGP/3Ytt1+xbj+JOMVm1YgNDb+vl7pqapZ2GsTuiDA==")]


def strict_der(sig: bytes, low_s: bool) -> bool:
    """Whether sig is the one DER form of an ECDSA signature over P-256 and, where asked, has the smaller s (FORMATS §4)."""
    def number(v: int) -> bytes:
        b = v.to_bytes(v.bit_length() // 8 + 1, "big")
        return b"\x02" + bytes([len(b)]) + b

    if not 8 <= len(sig) <= 72 or sig[3] > len(sig) - 6:
        return False
    n = sig[3]
    r, s = int.from_bytes(sig[4:4 + n], "big"), int.from_bytes(sig[6 + n:], "big")
    if not (0 < r < P256_ORDER and 0 < s < P256_ORDER) or low_s and s > P256_ORDER // 2:
        return False
    body = number(r) + number(s)
    return sig == b"\x30" + bytes([len(body)]) + body


class OpenSSL:
    """Verifies signatures and time stamps with the command openssl, each question asked once."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.known: Dict[Tuple[bytes, bytes, bytes], bool] = {}
        self.program = shutil.which("openssl")
        self.usable = self.program is not None and self.self_test()

    def run(self, *args: str, stdin: bytes = b"") -> Tuple[bool, str]:
        try:
            env = {k: v for k, v in os.environ.items() if not k.startswith("OPENSSL_")}
            p = subprocess.run([self.program or "openssl", *args], input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               timeout=120, env=env, cwd=self.folder)
            return p.returncode == 0, p.stdout.decode(errors="replace")
        except (OSError, subprocess.TimeoutExpired):
            return False, ""

    def file(self, contents: bytes) -> str:
        path = os.path.join(self.folder, hashlib.sha256(contents).hexdigest())
        if not os.path.exists(path):
            handle, part = tempfile.mkstemp(dir=self.folder)  # whole or not at all: other threads may want the same file
            with os.fdopen(handle, "wb") as f:
                f.write(contents)
            os.replace(part, path)
        return path

    def verify(self, spki: bytes, message: bytes, sig: bytes) -> bool:
        """ECDSA P-256 with SHA-256, or Ed25519, as the key says."""
        question = sha256(spki), sha256(message), sig
        if question not in self.known:
            pem = b"-----BEGIN PUBLIC KEY-----\n" + base64.encodebytes(spki) + b"-----END PUBLIC KEY-----\n"
            key, signature = self.file(pem), self.file(sig)
            if spki.startswith(ED25519_PREFIX):
                ok, out = self.run("pkeyutl", "-verify", "-pubin", "-inkey", key, "-rawin", "-in", self.file(message),
                                   "-sigfile", signature)
                self.known[question] = ok and "Signature Verified Successfully" in out
            else:
                ok, out = self.run("dgst", "-sha256", "-verify", key, "-signature", signature, stdin=message)
                self.known[question] = ok and out.strip() == "Verified OK"
        return self.known[question]

    def verify_all(self, questions: List[Tuple[bytes, bytes, bytes]]) -> List[bool]:
        with concurrent.futures.ThreadPoolExecutor(max_workers=min(8, 2 * (os.cpu_count() or 1))) as pool:
            return list(pool.map(lambda q: self.verify(*q), questions))

    def self_test(self) -> bool:
        def right(key: str, sig: str) -> bool:
            spki, good = unbase64(key), unbase64(sig)
            return self.verify(spki, b"strongroom", good) and not self.verify(spki, b"Strongroom", good)
        return all(right(*pair) for pair in SELF_TEST)

    def stamp_time(self, token: bytes, imprint: bytes, roots: List[bytes], chain: List[bytes], response: bool) -> Optional[float]:
        """The time of an RFC 3161 token over this SHA-256 digest, in seconds since 1970; None if it is not genuine."""
        def pem(certs: List[bytes]) -> str:
            return self.file(b"".join(b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(c) + b"-----END CERTIFICATE-----\n"
                                      for c in certs))
        given = ["-in", self.file(token)] + ([] if response else ["-token_in"])
        ok, text = self.run("ts", "-reply", "-text", *given)
        found = re.search(r"^Time stamp: (\w{3}) +(\d+) (\d\d:\d\d:\d\d)(\.\d+)? (\d{4}) GMT$", text, re.M)
        if not ok or not found:
            return None
        month, day, clock, fraction, year = found.groups()
        at = datetime.datetime.strptime(f"{month} {day} {clock} {year} +0000", "%b %d %H:%M:%S %Y %z").timestamp()
        untrusted = ["-untrusted", pem(chain)] if chain else []
        ok, text = self.run("ts", "-verify", "-digest", imprint.hex(), *given, "-CAfile", pem(roots), *untrusted,
                            "-attime", str(int(at)))
        return at + float(fraction or 0) if ok and "Verification: OK" in text else None


# ---- The package (FORMATS §11).

MAX16, MAX32 = 0xFFFF, 0xFFFFFFFF


@dataclasses.dataclass
class Entry:
    """A file of the archive and where it begins."""
    name: str
    size: int
    crc: int
    offset: int = 0

    def local(self) -> bytes:
        """The header before the contents: stored, 1980-01-01, ZIP64 sizes only where needed."""
        big, name = self.size >= MAX32, self.name.encode()
        extra = struct.pack("<HHQQ", 1, 16, self.size, self.size) if big else b""
        size = min(self.size, MAX32)
        return struct.pack("<IHHHHHIIIHH", 0x04034B50, 45 if big else 20, 0, 0, 0, 0x21, self.crc, size, size,
                           len(name), len(extra)) + name + extra

    def central(self) -> bytes:
        """The entry in the directory."""
        extra = struct.pack("<QQ", self.size, self.size) if self.size >= MAX32 else b""
        extra += struct.pack("<Q", self.offset) if self.offset >= MAX32 else b""
        version = 45 if extra else 20
        extra = struct.pack("<HH", 1, len(extra)) + extra if extra else b""
        size, name = min(self.size, MAX32), self.name.encode()
        return struct.pack("<IHHHHHHIIIHHHHHII", 0x02014B50, version, version, 0, 0, 0, 0x21, self.crc, size, size,
                           len(name), len(extra), 0, 0, 0, 0, min(self.offset, MAX32)) + name + extra


def directory_end(count: int, size: int, offset: int) -> bytes:
    """What follows the directory: with ZIP64 records where a number needs them."""
    zip64 = b""
    if count >= MAX16 or size >= MAX32 or offset >= MAX32:
        zip64 = struct.pack("<IQHHIIQQQQ", 0x06064B50, 44, 45, 45, 0, 0, count, count, size, offset)
        zip64 += struct.pack("<IIQI", 0x07064B50, 0, offset + size, 1)
    short = min(count, MAX16)
    return zip64 + struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, short, short, min(size, MAX32), min(offset, MAX32), 0)


def read_directory(f: BinaryIO) -> List[Entry]:
    """Reads an archive that has exactly the form of FORMATS §11: every header is made again and compared."""
    def at(offset: int, n: int) -> bytes:
        if offset < 0:
            raise Malformed("too short")
        f.seek(offset)
        b = f.read(n)
        if len(b) != n:
            raise Malformed("too short")
        return b

    length = f.seek(0, os.SEEK_END)
    _, _, _, _, count, size, start, _ = struct.unpack("<IHHHHIIH", at(length - 22, 22))
    end = 22
    if MAX16 == count or MAX32 in (size, start):
        _, _, _, _, _, _, _, count, size, start = struct.unpack("<IQHHIIQQQQ", at(length - 98, 56))
        end = 98
    if count > MAX_FILES or size > MAX_DIRECTORY or start + size + end != length:
        raise Malformed("directory")
    directory, entries, place, expected = at(start, size), [], 0, 0
    for _ in range(count):
        if len(directory) < place + 46:
            raise Malformed("directory")
        crc, _, full, n, more = struct.unpack("<IIIHH", directory[place + 16:place + 32])
        name, extra = directory[place + 46:place + 46 + n], directory[place + 46 + n:place + 46 + n + more]
        if full == MAX32:
            full = int.from_bytes(extra[4:12], "little")
        try:
            e = Entry(name.decode("ascii"), full, crc, expected)
        except ValueError as bad:
            raise Malformed("name") from bad
        made = e.central()
        if directory[place:place + len(made)] != made or at(expected, len(e.local())) != e.local():
            raise Malformed("header of a file")
        if entries and entries[-1].name >= e.name:
            raise Malformed("order of names")
        entries.append(e)
        place, expected = place + len(made), expected + len(e.local()) + full
    if place != size or expected != start or at(start + size, end) != directory_end(count, size, start):
        raise Malformed("end of the archive")
    return entries


def identifier(prefix: str) -> str:
    """FORMATS §2."""
    return prefix + "-[a-z2-7]{25}[aeimquy4]"


ORIGIN = r"(?![a-z0-9.-]{254})[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+"
STREAM_ID = {"actor": identifier("act"), "case": identifier("cas"), "consent": identifier("con"), "item": identifier("itm"),
             "policy": ORIGIN, "vault": ORIGIN}
RELATED = "|".join("%s/(%s)" % t for t in STREAM_ID.items() if t[0] != "vault")
FILE_NAME = re.compile(
    r"README\.html|VERIFY\.html|package\.json|tools/verify\.py|trust/(trusted_root\.json|witness_policy|signers/[0-9a-f]{64}\.pub)"
    r"|log/(checkpoint|heads\.sigstore\.json|consistency\.json|[A-Za-z0-9._-]+\.tsr|proofs/[A-Za-z0-9._-]+\.tlog-proof)"
    r"|items/ITEM/((evidence|description(\.[1-9][0-9]{0,5})?|key)\.age|notes/[0-9]{6}-[a-z_]{1,32}\.age)"
    r"|(items/ITEM|related/(RELATED))/(complete\.json|events/[0-9]{6}\.(sigstore|withheld)\.json)"
    .replace("ITEM", STREAM_ID["item"]).replace("RELATED", RELATED))
HEX = re.compile("[0-9a-f]{64}")


class Package:
    """The files of an archive, read only as far as a check needs them."""

    def __init__(self, f: BinaryIO) -> None:
        self.f = f
        self.entries = {e.name: e for e in read_directory(f)}
        self.manifest: Dict[str, Json] = {}

    def chunks(self, name: str) -> Iterator[bytes]:
        e = self.entries[name]
        self.f.seek(e.offset + len(e.local()))
        left = e.size
        while left:
            b = self.f.read(min(left, MIB))
            if not b:
                raise Malformed("too short")
            left -= len(b)
            yield b

    def read(self, name: str, limit: int) -> bytes:
        if name not in self.entries:
            raise Malformed("not there")
        if self.entries[name].size > limit:
            raise Malformed("too large")
        return b"".join(self.chunks(name))

    def digest(self, name: str) -> Tuple[str, int]:
        h, crc = hashlib.sha256(), 0
        for b in self.chunks(name):
            h.update(b)
            crc = zlib.crc32(b, crc)
        return h.hexdigest(), crc

    def folder(self, stream: Stream) -> str:
        """Where the events of a stream are."""
        if stream[0] == "item" and stream[1] in self.manifest["items"]:
            return "items/" + stream[1] + "/"
        return "related/%s/%s/" % stream

    def streams(self) -> Dict[Stream, List[str]]:
        """The event files of every stream in the package, in order of their names."""
        found: Dict[Stream, List[str]] = {}
        for name in self.entries:
            parts = name.split("/")
            if "events" in parts or parts[-1] == "complete.json":
                stream = ("item", parts[1]) if parts[0] == "items" else (parts[1], parts[2])
                found.setdefault(stream, [])
                if "events" in parts:
                    found[stream].append(name)
        return found


def check_manifest(p: Package) -> None:
    """package.json (FORMATS §11): its form, and whether the archive holds exactly what it lists."""
    def wrong(reason: str, detail: str = "") -> Stop:
        return Stop("package", reason, detail)

    try:
        m = read_canonical(p.read("package.json", MAX_MANIFEST), MAX_MANIFEST)
        if isinstance(m, dict) and isinstance(m.get("version"), int) and m["version"] > 1:
            raise Stop("package", "version", "a newer verifier is needed", "not_checked")
        good = (has_members(m, "covers files grant items nonce recipient vault version") and m["version"] == 1
                and type(m["covers"]) is int and m["covers"] > 0
                and matches("gra", m["grant"], empty=True) and matches("nonce", m["nonce"]) and matches("hash", m["recipient"])
                and matches("origin", m["vault"]) and all(isinstance(m[k], list) and m[k] for k in ("items", "files"))
                and all(matches("itm", i) for i in m["items"]) and m["items"] == sorted(set(m["items"]))
                and all(has_members(f, "path sha256 size") and isinstance(f["path"], str) and isinstance(f["sha256"], str)
                        and HEX.fullmatch(f["sha256"]) and type(f["size"]) is int and f["size"] >= 0 for f in m["files"]))
        paths = [f["path"] for f in m["files"]] if good else []
        if not good or paths != sorted(set(paths)):
            raise Malformed("manifest")
    except Malformed as e:
        raise wrong("manifest", str(e)) from e
    p.manifest = m
    for path in paths:
        if not FILE_NAME.fullmatch(path) or path == "package.json":
            raise wrong("file_name", path[:200])
    for path in set(paths) - set(p.entries):
        raise wrong("file_missing", path)
    for path in set(p.entries) - set(paths) - {"package.json"}:
        raise wrong("file_unlisted", path)
    for item in m["items"]:
        if f"items/{item}/complete.json" not in p.entries:
            raise wrong("items", item)
    check_files(p, wrong)


def check_files(p: Package, wrong: Callable[[str, str], Stop]) -> None:
    """Every file is the one that the list names, the archive's checksums are right, and the numbers of files are within bounds."""
    streams = p.streams()
    if len(streams) > MAX_STREAMS or sum(map(len, streams.values())) > MAX_EVENTS:
        raise wrong("too_many", "events or streams")
    for stream in streams:
        if stream[0] == "item" and f"items/{stream[1]}/" != p.folder(stream) and f"items/{stream[1]}/complete.json" in p.entries:
            raise wrong("file_name", "an item that is not listed")
    for f in p.manifest["files"]:
        if p.entries[f["path"]].size != f["size"]:
            raise wrong("file_size", f["path"])
        digest, crc = p.digest(f["path"])
        if digest != f["sha256"]:
            raise wrong("file_changed", f["path"])
        if crc != p.entries[f["path"]].crc:
            raise wrong("container", f["path"])
        if f["path"].startswith("trust/signers/"):
            check_signer(f["path"], p, wrong)
    if p.digest("package.json")[1] != p.entries["package.json"].crc:
        raise wrong("container", "package.json")


def check_signer(path: str, p: Package, wrong: Callable[[str, str], Stop]) -> None:
    """trust/signers/<keyid>.pub is the PEM form of the key whose SHA-256 is its name."""
    try:
        lines = p.read(path, 4 * KIB).decode("ascii").split("\n")
        spki = unbase64("".join(lines[1:-2]))
        if lines[0] == "-----BEGIN PUBLIC KEY-----" and sha256(spki).hex() + ".pub" == path.split("/")[-1]:
            return
    except ValueError:
        pass
    raise wrong("signer_key", path)


# ---- Statements (FORMATS §3). The tables below are predicate.schema.json in short: `name:type` of each member, `name?:type` where it
# may be absent, `[type]` a list of at most 1,000, `[type]a-b` one of so many, `a|b|c` one of these words.

PATTERNS = {name: re.compile(pattern) for name, pattern in {
    "act": identifier("act"), "org": identifier("org"), "cas": identifier("cas"), "itm": identifier("itm"),
    "con": identifier("con"), "gra": identifier("gra"), "hld": identifier("hld"), "origin": ORIGIN,
    "hash": "(?!0{64})[0-9a-f]{64}", "hash?": "((?!0{64})[0-9a-f]{64})?", "build": "[0-9a-f]{64}", "build?": "([0-9a-f]{64})?",
    "time": r"(?!1970-01-01T00:00:00\.000Z)(19[7-9]\d|[2-9]\d{3})-\d\d-\d\dT([01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{3}Z",
    "printable": "[ -~]{1,64}", "recipient": "age1pq1[qpzry9x8gf2tvdw0s3jn54khce6mua7l]{1952}",
    "recipient?": "(age1pq1[qpzry9x8gf2tvdw0s3jn54khce6mua7l]{1952})?",
    "spki": "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE[A-Za-z0-9+/]{85}[AQgw]==",
    "possession": "(?=.{0,96}$)([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?",
    "logkey": "(?=.{4,2732}$)([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?", "witness": "[ -~\\n]{0,16384}",
    "country": "[A-Z]{2}|withheld", "jurisdiction": "[A-Z]{2}", "code": "[a-z0-9_./-]{1,32}", "form": "[a-z0-9_./-]{1,64}",
    "nonce": "[a-z0-9]{32,64}", "number": r"\d{4}-\d{4}", "note": "[a-z_]{1,32}",
    "subject_name": "(%s|%s|%s)|(%s)/(evidence|description(\\.[1-9]\\d*)?)\\.age|(%s)" % (
        STREAM_ID["actor"], STREAM_ID["case"], STREAM_ID["consent"], STREAM_ID["item"], ORIGIN),
    "stream": "|".join("(%s)" % i for t, i in STREAM_ID.items() if t != "vault"),
    "statement_type": r"https://in-toto\.io/Statement/v1", "predicate_type": r"https://strongroom\.example/custody-event/v1",
}.items()}
RANGES = {"count": (0, MAX_INT), "ordinal": (1, MAX_INT), "seconds": (0, 316_224_000), "bytes": (0, 8_796_093_022_208),
          "file_bytes": (1, 1_052_672), "label_bytes": (1, 8 * KIB), "note_bytes": (512, 64 * KIB)}
WORDS = {
    "role": "clinician|investigator|custodian|court|prosecutor|police|defence|survivor|advocate|trustee|auditor|administrator|vault",
    "class": "original|working|derived|identity|consent_form|description_only",
    "content": "clinical|testimony|digital|photograph|physical|identity",
    "basis": "consent|court_order|statutory_duty|legal_claims|care|vital_interest|public_source",
    "purpose": "care|documentation|investigation|prosecution|defence|adjudication|verification|audit|subject_access|recovery|emergency",
    "cause": "loss|compromise|replacement|upgrade|departure|misconduct|overdue|error|request|withdrawal|due|order|draft|grant|rewrap"
             "|copy|expiry|closed|new_facts",
    "answer": "yes|no|not_asked", "right": "deposit|open|approve|manage|duty", "stream_type": "|".join(STREAM_ID)}
OBJECTS = {
    "statement": "_type:statement_type predicateType:predicate_type subject:[subject]1-2 predicate:predicate",
    "subject": "name:subject_name digest:digest", "digest": "sha256:hash",
    "predicate": "vault:origin kind:kind stream:position actor:signer time:time tool:tool relied_on:[head] notes:[note_entry]"
                 " details:details case?:cas purpose?:purpose authority?:authority place?:country consent?:[consent_ref]1-1000"
                 " object?:object digests?:digests result?:result counterparty?:counterparty change?:cause",
    "position": "type:stream_type id:stream seq:count prev:hash?", "signer": "id:act role:role organization?:org on_behalf_of?:act",
    "tool": "name:printable version:printable build:build?", "head": "type:stream_type id:stream seq:count head:hash",
    "note_entry": "name:note audience:item|internal|recipient sha256:hash size:note_bytes",
    "authority": "basis:basis hold?:hld grant?:gra", "consent_ref": "id:con version:ordinal",
    "object": "class:class content:content form?:form exhibit?:ordinal", "digests": "before:hash? after:hash size:bytes",
    "result": "outcome:success|failure code?:code", "counterparty": "actor?:act fingerprint?:hash class?:role receipt?:hash",
    "envelope": "recipient:hash sha256:hash", "evidence": "sha256:hash size:bytes tree:hash", "file": "sha256:hash size:file_bytes",
    "label": "sha256:hash size:label_bytes", "member": "actor:act rights:[right]0-5 until?:time",
    "keyholder": "actor:act fingerprint:hash", "label_key": "recipient:recipient envelopes:[envelope]",
    "answers": "examination:answer photographs:answer storage:answer police_information:answer police_photographs:answer"
               " police_physical:answer courts:[court_answer] research:answer",
    "court_answer": "jurisdiction:jurisdiction information:answer photographs:answer physical:answer",
    "vault_policy": "two_organizations:bool confirm_wait:seconds decision_time:seconds bin_wait:seconds withdrawal_wait:seconds"
                    " review_time:seconds hold_time:seconds backup_horizon:seconds",
    "actor.enrolled": "key:spki recipient:recipient? possession:possession invitation:hash? role:role documents_only:bool"
                      " trustees:[act] organization?:org",
    "actor.key_rotated": "key:spki recipient:recipient? possession:possession invitation:hash? cause:cause",
    "actor.confirmed": "fingerprint:hash method:phone|video|in_person|letter",
    "actor.suspended": "cause:cause until:time", "actor.revoked": "cause:cause",
    "case.opened": "type:case|complaint members:[member] keyring:[keyholder]2-1000 recovery:hash label_key:label_key",
    "case.member_added": "actor:act rights:[right]0-5 envelope:envelope until?:time",
    "case.member_removed": "actor:act cause:cause label_key:label_key", "case.keyring_changed": "added:[keyholder] removed:[act]",
    "case.closed": "outcome:decided|discontinued|transferred|merged", "case.reopened": "cause:cause",
    "consent.given": "version:ordinal answers:answers from:time until:time by:self|proxy ask_first:bool form:itm subject?:act",
    "consent.narrowed": "version:ordinal answers:answers until:time", "consent.withdrawn": "number:number",
    "consent.delegated": "advocate:act rights:[read|narrow|withdraw|approve]1-4 until:time",
    "consent.delegation_ended": "advocate:act cause:cause",
    "item.deposited": "item_recipient:recipient class:class content:content basis:basis evidence:evidence description:file label:label"
                      " envelopes:[envelope] source?:itm",
    "item.sealed": "exhibit:ordinal root:itm", "item.opened": "envelope:hash",
    "item.verified": "scope:ciphertext|content evidence:hash?", "item.derived": "item:itm form:working|derived tool:tool",
    "item.amended": "description:file cause:cause", "item.transferred": "class:role", "item.received": "seal_intact:bool",
    "item.exported": "form:package|print|copy nonce:nonce content:hash grant?:gra",
    "item.envelope_added": "envelope:envelope cause:grant|rewrap|copy grant?:gra",
    "item.envelope_removed": "recipient:hash cause:cause horizon:time",
    "item.break_glass": "code:life|safety|legal_deadline envelope:hash", "item.break_glass_reviewed": "event:hash justified:bool",
    "item.shred_proposed": "cause:cause dry_run:hash", "item.shred_cancelled": "cause:cause",
    "item.shredded": "envelopes:[hash] stores:[records|backups|cold]0-3 horizon:time", "retention.set": "category:form due:time",
    "hold.placed": "hold:hld basis:basis expires:time review:time secret_until?:time", "hold.confirmed": "hold:hld",
    "hold.lifted": "hold:hld cause:cause",
    "grant.proposed": "id:gra item:itm recipient:keyholder recipient_class:court|prosecutor|police|defence actions:[view|download]1-2"
                      " purpose:purpose jurisdiction:country legal_basis:treaty|mla_request|court_order|consent|statute onward:bool"
                      " not_before:time expires:time consent:[consent_ref] cooling_off?:time",
    "grant.approved": "grant:gra terms:hash", "grant.refused": "grant:gra", "grant.revoked": "grant:gra cause:cause",
    "grant.expired": "grant:gra", "grant.redeemed": "grant:gra action:view|download envelope:hash",
    "grant.acknowledged": "grant:gra evidence:hash equal:bool verifier:printable",
    "vault.heads": "covers:ordinal entries:count void:[count] root:hash",
    "vault.configured": "rules:ordinal recovery:recipient policy:vault_policy log_keys:[logkey]1-16 witness:witness version:printable"
                        " builds:[build]0-64",
    "vault.confirmed": "event:hash", "vault.recovered": "recovery:hash items:[itm]1-1000 cause:cause",
    "vault.restored": "backup:time before:count after:count",
    "vault.incident": "code:breach|outage|key_compromise|witness_alarm|data_damage from:time scope:vault|organization|case until?:time"}
MEMBERS = {name: {m.split(":", 1)[0].rstrip("?"): (m.split(":", 1)[1], "?:" in m) for m in text.split()}
           for name, text in OBJECTS.items()}
KINDS = {k for k in OBJECTS if "." in k}
BARRIERS = {"actor.key_rotated", "actor.suspended", "actor.revoked", "case.member_removed", "case.keyring_changed", "consent.given",
            "consent.narrowed", "consent.withdrawn", "consent.delegation_ended", "grant.revoked", "vault.confirmed"}  # RULES ‡
FIRST = {"actor.enrolled", "case.opened", "item.deposited"}
MAY_BE_FIRST = FIRST | {"consent.given", "vault.configured", "vault.heads"}
INTERNAL = {"item.opened", "item.break_glass", "hold.placed", "hold.confirmed", "hold.lifted", "grant.refused"}


def matches(name: str, v: Json, empty: bool = False) -> bool:
    """Whether v is a text of this form; a time must be one that exists."""
    if empty and v == "":
        return True
    if not isinstance(v, str) or not PATTERNS[name].fullmatch(v):
        return False
    if name == "time":
        try:
            moment(v)
        except ValueError:
            return False
    return True


def check_form(kind: str, v: Json, unknown: List[str]) -> None:
    """Raises Malformed where v is not of this type; collects the names of members that this version does not know."""
    def must(ok: bool) -> None:
        if not ok:
            raise Malformed(kind)

    if kind.startswith("["):
        of, _, bounds = kind[1:].partition("]")
        least, most = map(int, (bounds or "0-1000").split("-"))
        must(isinstance(v, list) and least <= len(v) <= most)
        for entry in v:
            check_form(of, entry, unknown)
        must(len({jcs(e) for e in v}) == len(v) or of in MEMBERS or of in ("hash", "act", "itm", "build", "logkey"))
    elif kind in MEMBERS:
        must(isinstance(v, dict))
        for name, (of, optional) in MEMBERS[kind].items():
            if name in v:
                check_form(of, v[name], unknown)
            else:
                must(optional)
        more = set(v) - set(MEMBERS[kind])
        must(not any(name.lower() in MEMBERS[kind] for name in more))
        unknown += more
    elif kind in RANGES:
        must(type(v) is int and RANGES[kind][0] <= v <= RANGES[kind][1] and (kind != "note_bytes" or v % 512 == 0))
    elif kind == "bool":
        must(isinstance(v, bool))
    elif kind in ("details", "kind"):
        must(isinstance(v, dict if kind == "details" else str))
    elif kind in PATTERNS:
        must(matches(kind, v))
    else:
        must(isinstance(v, str) and v in WORDS.get(kind, kind).split("|"))


def check_bounds(v: Json, depth: int = 0) -> None:
    """FORMATS §1: entries of a list, members of an object, levels; and no null (§1)."""
    inner = list(v.values()) if isinstance(v, dict) else v if isinstance(v, list) else []
    if v is None or depth > 16 or len(inner) > (128 if isinstance(v, dict) else 1000):
        raise Malformed("bounds")
    for entry in inner:
        check_bounds(entry, depth + 1)


def check_statement(s: Json) -> None:
    """The form of a statement (FORMATS §3, RULES §3.1). Raises Malformed, or Newer for one of a later version."""
    unknown: List[str] = []
    check_bounds(s)
    check_form("statement", s, unknown)
    p = s["predicate"]
    kind, (stream, seq) = p["kind"], (p["stream"], p["stream"]["seq"])
    if not matches_stream(stream["type"], stream["id"]) or (seq == 0) != (stream["prev"] == ""):
        raise Malformed("position")
    if kind in KINDS:
        check_form(kind, p["details"], unknown)
        check_kind(p)
    if unknown or kind not in KINDS:
        raise Newer("kind" if kind not in KINDS else "field")


def matches_stream(kind: str, v: str) -> bool:
    return re.fullmatch(STREAM_ID[kind], v) is not None


def check_kind(p: Dict[str, Json]) -> None:
    """What the schema says across fields: which streams, notes and common fields a kind has, and the order of lists."""
    kind, stream, details = p["kind"], p["stream"], p["details"]
    family, role, audiences = kind.split(".")[0], p["actor"]["role"], {n["audience"] for n in p["notes"]}
    home = {"actor": "actor", "case": "case", "consent": "consent", "vault": "policy"}.get(family, "item")
    home = "vault" if kind == "vault.heads" else home
    notes = (set() if home in ("actor", "policy", "vault") else {"internal"} if kind in INTERNAL or home != "item"
             else {"recipient"} if family == "grant" else {"item", "internal"})
    only_items = {"consent", "object", "digests", "counterparty"} & set(p)
    good = [stream["type"] == home, stream["seq"] == 0 or kind not in FIRST, stream["seq"] > 0 or kind in MAY_BE_FIRST,
            audiences <= notes, not only_items or home == "item", ("case" in p) == (home in ("item", "consent")),
            kind != "item.opened" or "purpose" in p, kind != "item.verified" or "result" in p,
            ("organization" not in p["actor"]) if role == "vault" else
            ("organization" in p["actor"] or role in ("survivor", "advocate", "trustee")),
            "counterparty" not in p or {"actor", "fingerprint"} & set(p["counterparty"]),
            kind != "item.envelope_added" or ("grant" in details) == (details["cause"] == "grant"),
            in_order([(h["type"], h["id"]) for h in p["relied_on"]]), in_order([n["name"] for n in p["notes"]]),
            in_order([c["id"] for c in p.get("consent", [])]),
            in_order([e["recipient"] for e in details.get("envelopes", []) if isinstance(e, dict)])]
    good += [in_order([m["actor"] for m in details.get(name, [])]) for name in ("members", "keyring") if kind == "case.opened"]
    good += [in_order([m["actor"] for m in details["added"]]), in_order(details["removed"])] if kind == "case.keyring_changed" else []
    good += [in_order([c["jurisdiction"] for c in details["answers"]["courts"]])] if "answers" in details else []
    good += [in_order(details["void"])] if kind == "vault.heads" else []
    good += [in_order([c["id"] for c in details["consent"]]), in_order(details["actions"])] if kind == "grant.proposed" else []
    if not all(good):
        raise Malformed("fields of " + kind)


def in_order(keys: List[Any]) -> bool:
    return all(a < b for a, b in zip(keys, keys[1:]))


# ---- The log: leaves, receipts, checkpoints (FORMATS §4 to §6).

PAYLOAD_TYPE = "application/vnd.in-toto+json"
LOG_KEYS = {"PKIX_ECDSA_P256_SHA_256": P256_PREFIX, "PKIX_ED25519": ED25519_PREFIX}


def pae(payload_type: str, payload: bytes) -> bytes:
    return b"DSSEv1 %d %s %d %s" % (len(payload_type), payload_type.encode(), len(payload), payload)


def leaf_of(payload: bytes, sig: bytes, spki: bytes) -> bytes:
    """The leaf of an event, byte for byte (FORMATS §4)."""
    return jcs({"apiVersion": "0.0.2", "kind": "hashedrekord", "spec": {"hashedRekordV002": {
        "data": {"algorithm": "SHA2_256", "digest": b64(sha256(pae(PAYLOAD_TYPE, payload)))},
        "signature": {"content": b64(sig), "verifier": {"keyDetails": "PKIX_ECDSA_P256_SHA_256",
                                                        "publicKey": {"rawBytes": b64(spki)}}}}}}).encode()


def subtree_hashes(leaf_hash: bytes, index: int, size: int, proof: List[bytes]) -> Tuple[bytes, Dict[Tuple[int, int], bytes]]:
    """The root that an inclusion proof leads to (RFC 9162 §2.1.3.2), and every whole subtree on the way: (level, number) to hash."""
    if not 0 <= index < size:
        raise Malformed("inclusion proof")
    node, whole, fn, sn, level = leaf_hash, {(0, index): leaf_hash}, index, size - 1, 0

    def record(number: int, h: bytes) -> None:
        if (number + 1) << level <= size:
            whole[level, number] = h

    for other in proof:
        if not sn:
            raise Malformed("inclusion proof")
        while fn == sn and not fn & 1:  # the right edge of the tree has no neighbour on these levels
            fn, sn, level = fn >> 1, sn >> 1, level + 1
        record(fn ^ 1, other)
        node = sha256(b"\1" + other + node) if fn & 1 else sha256(b"\1" + node + other)
        fn, sn, level = fn >> 1, sn >> 1, level + 1
        record(fn, node)
    if sn:
        raise Malformed("inclusion proof")
    return node, whole


@dataclasses.dataclass
class Checkpoint:
    """A signed note with the log's root (FORMATS §5), its signature lines not yet verified."""
    note: str
    text: bytes
    origin: str
    size: int
    root: bytes
    lines: List[Tuple[str, bytes, bytes]]  # name, key id, signature

    @classmethod
    def parse(cls, note: str) -> "Checkpoint":
        text, split, signatures = note.partition("\n\n")
        head, lines = text.split("\n"), signatures.split("\n")
        if (len(note.encode(errors="replace")) > MAX_NOTE or not split or len(head) != 3 or not matches("origin", head[0])
                or not re.fullmatch("0|[1-9][0-9]{0,15}", head[1]) or int(head[1]) > MAX_INT or lines[-1] or not 2 <= len(lines) <= 33):
            raise Malformed("checkpoint")
        root, parsed = unbase64(head[2]), []
        for line in lines[:-1]:
            found = re.fullmatch("\u2014 ([^ +\\s]+) ([A-Za-z0-9+/=]+)", line)
            sig = unbase64(found[2]) if found else b""
            if not found or len(sig) < 5:
                raise Malformed("checkpoint")
            parsed.append((found[1], sig[:4], sig[4:]))
        if len({line[:2] for line in parsed}) != len(parsed) or len(root) != 32 or head[1] == "0" and root != sha256(b""):
            raise Malformed("checkpoint")
        return cls(note, (text + "\n").encode(), head[0], int(head[1]), root, parsed)


@dataclasses.dataclass
class Event:
    """An event of a package: its statement as far as it is understood, or what stands in for a withheld one."""
    path: str
    stream: Stream
    seq: int
    index: int
    leaf_hash: bytes
    checkpoint: Checkpoint
    proof: List[bytes]
    until: str = ""                  # of a withheld event
    newer: str = ""                  # why a statement is of a newer version
    predicate: Dict[str, Json] = dataclasses.field(default_factory=dict)
    subject: List[Json] = dataclasses.field(default_factory=list)
    spki: bytes = b""
    sig: bytes = b""
    payload: bytes = b""
    log_id: bytes = b""
    stamps: List[bytes] = dataclasses.field(default_factory=list)

    @property
    def kind(self) -> str:
        return self.predicate.get("kind", "")

    @property
    def details(self) -> Dict[str, Json]:
        return self.predicate["details"]

    @property
    def time(self) -> str:
        return self.predicate["time"]

    @property
    def signer(self) -> str:
        return self.predicate["actor"]["id"]


def read_bundle(path: str, data: bytes) -> Event:
    """A receipt (FORMATS §6). It has one spelling: the members in this order, and what was read is written again and compared."""
    def fail(check: str, reason: str, detail: str = "") -> Stop:
        return Stop(check, reason, (path + " " + detail).strip())

    try:
        b = read_json(data, MAX_BUNDLE)
        material, dsse = b["verificationMaterial"], b["dsseEnvelope"]
        entry = material["tlogEntries"][0]
        proof, leaf = entry["inclusionProof"], unbase64(entry["canonicalizedBody"])
        stamps = [unbase64(t["signedTimestamp"]) for t in material["timestampVerificationData"]["rfc3161Timestamps"]] \
            if "timestampVerificationData" in material else []
        spki = unbase64(read_canonical(leaf, 4 * KIB)["spec"]["hashedRekordV002"]["signature"]["verifier"]["publicKey"]["rawBytes"])
        payload, sig = unbase64(dsse["payload"]), unbase64(dsse["signatures"][0]["sig"])
        hashes, note = [unbase64(h) for h in proof["hashes"]], Checkpoint.parse(proof["checkpoint"]["envelope"])
        log_id, index, size = unbase64(entry["logId"]["keyId"]), entry["logIndex"], proof["treeSize"]
        again: Dict[str, Json] = {
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {
                "publicKey": {"hint": material["publicKey"]["hint"]},
                "tlogEntries": [{
                    "logIndex": index, "logId": {"keyId": b64(log_id)}, "kindVersion": {"kind": "hashedrekord", "version": "0.0.2"},
                    "inclusionProof": {"logIndex": index, "rootHash": b64(note.root), "treeSize": str(note.size),
                                       "hashes": [b64(h) for h in hashes], "checkpoint": {"envelope": note.note}},
                    "canonicalizedBody": b64(leaf)}]},
            "dsseEnvelope": {"payload": b64(payload), "payloadType": PAYLOAD_TYPE, "signatures": [{"sig": b64(sig)}]}}
        if stamps:
            again["verificationMaterial"]["timestampVerificationData"] = {
                "rfc3161Timestamps": [{"signedTimestamp": b64(s)} for s in stamps]}
        good = (json.dumps(again, ensure_ascii=False, separators=(",", ":")).encode() == data and all(len(h) == 32 for h in hashes)
                and all(stamps) and len(log_id) == 32 and len(unbase64(material["publicKey"]["hint"])) == 32
                and isinstance(index, str) and re.fullmatch("0|[1-9][0-9]{0,15}", index) and size == str(note.size)
                and len(data) - len(b64(payload)) <= MAX_RECEIPT)
    except (Malformed, KeyError, IndexError, TypeError, AttributeError, UnicodeEncodeError) as e:
        raise fail("package", "receipt", str(e)[:100]) from e
    if not good:
        raise fail("package", "receipt")
    if len(spki) != 91 or not spki.startswith(P256_PREFIX) or unbase64(material["publicKey"]["hint"]) != sha256(spki):
        raise fail("signatures", "keyid")
    if len(payload) > MAX_STATEMENT:
        raise fail("signatures", "payload", "size")
    if not strict_der(sig, low_s=True):
        raise fail("signatures", "signature", "form")
    e = Event(path, ("", ""), 0, int(index), sha256(b"\0" + leaf), note, hashes, spki=spki, sig=sig, payload=payload, log_id=log_id,
              stamps=stamps)
    if leaf != leaf_of(payload, sig, spki):
        # The leaf is in the log; whether it is the statement or the leaf that was changed, they do not belong together.
        raise fail("signatures", "payload", "the statement is not the one in the log")
    try:
        s = read_canonical(payload, MAX_STATEMENT)
        try:
            check_statement(s)
        except Newer as newer:
            e.newer = str(newer)
    except Malformed as bad:
        raise fail("signatures", "statement", str(bad)[:100]) from bad
    e.predicate, e.subject = s["predicate"], s["subject"]
    e.stream, e.seq = (e.predicate["stream"]["type"], e.predicate["stream"]["id"]), e.predicate["stream"]["seq"]
    return e


def read_withheld(path: str, data: bytes, stream: Stream) -> Event:
    """What stands in for an event under a secret hold (FORMATS §11)."""
    seq = int(path.split("/")[-1][:6])
    try:
        w = read_canonical(data, MAX_RECEIPT)
        if not (has_members(w, "checkpoint hashes index leaf_hash until") and isinstance(w["checkpoint"], str) and type(w["index"]) is int
                and isinstance(w["hashes"], list) and matches("hash", w["leaf_hash"]) and matches("time", w["until"])):
            raise Malformed("members")
        hashes, note = [unbase64(h) for h in w["hashes"]], Checkpoint.parse(w["checkpoint"])
        if any(len(h) != 32 for h in hashes) or w["index"] < 0:
            raise Malformed("hashes")
    except (Malformed, UnicodeEncodeError) as e:
        raise Stop("package", "withheld_form", path) from e
    if stream[0] != "item" or seq == 0:
        raise Stop("rules", "withheld_kind", path)
    return Event(path, stream, seq, w["index"], bytes.fromhex(w["leaf_hash"]), note, hashes, until=w["until"])


# ---- The heads map (FORMATS §7).

EMPTY = sha256(b"strongroom/heads/empty/v1")


def stream_tag(origin: str, stream: Stream) -> bytes:
    return sha256(b"\0".join([b"strongroom/stream/v1", origin.encode(), stream[0].encode(), stream[1].encode()]))


def head_key(tag: bytes, seq: int) -> bytes:
    return sha256(b"strongroom/head/v1" + tag + struct.pack(">Q", seq))


def look_up(proof: Json, root: bytes, key: bytes) -> Optional[bytes]:
    """The value under this key of the map with this root; None where the map has no such key. Raises Malformed for no proof."""
    if not has_members(proof, "leaf siblings") or not isinstance(proof["siblings"], list) or len(proof["siblings"]) > 256:
        raise Malformed("heads proof")
    leaf, texts = proof["leaf"], proof["siblings"]
    if leaf is not None and not (has_members(leaf, "key value") and all(isinstance(h, str) and HEX.fullmatch(h) for h in leaf.values())):
        raise Malformed("heads proof")
    if not all(isinstance(h, str) and HEX.fullmatch(h) for h in texts):
        raise Malformed("heads proof")
    siblings = [bytes.fromhex(h) for h in texts]
    found = bytes.fromhex(leaf["key"]) if leaf else None
    value = bytes.fromhex(leaf["value"]) if leaf else b""
    bits = int.from_bytes(key, "big")
    if siblings and (siblings[-1] == EMPTY or leaf is None and len(siblings) == 256):
        raise Malformed("heads proof has a path no map can have")
    if found is not None and int.from_bytes(found, "big") >> (256 - len(siblings)) != bits >> (256 - len(siblings)):
        raise Malformed("heads proof ends in a leaf of another path")
    node = EMPTY if found is None else sha256(b"\0" + found + value)
    for depth in range(len(siblings) - 1, -1, -1):
        right = bits >> (255 - depth) & 1
        node = sha256(b"\1" + siblings[depth] + node) if right else sha256(b"\1" + node + siblings[depth])
    if node != root:
        raise Malformed("heads proof does not lead to the root")
    return value if found == key else None


# ---- What is trusted (FORMATS §10), and who vouches for a checkpoint (FORMATS §5).

FOUNDERS = {"administrator", "custodian", "vault"}


class Policy:
    """A C2SP tlog-policy text: witnesses, groups of them, and the quorum asked for."""

    def __init__(self, text: str) -> None:
        self.keys: Dict[Tuple[str, bytes], bytes] = {}       # note key to Ed25519 key
        self.names: Dict[str, Tuple[str, bytes]] = {}        # witness to note key
        self.groups: Dict[str, Tuple[int, List[str]]] = {}
        self.quorum = "none" if not text else ""
        for line in text.split("\n"):
            words = line.split()
            if not words or words[0].startswith("#"):
                continue
            if words[0] == "witness" and 3 <= len(words) <= 4:
                name, number, key = (words[2].split("+", 2) + ["", ""])[:3]
                raw = unbase64(key)
                if sha256(name.encode() + b"\n" + raw)[:4].hex() != number:
                    raise Malformed("key of a witness")
                self.names[words[1]] = name, bytes.fromhex(number)
                if raw[:1] == b"\x04" and len(raw) == 33:
                    self.keys[name, bytes.fromhex(number)] = ED25519_PREFIX + raw[1:]
            elif words[0] == "group" and len(words) > 3 and all(w in self.names or w in self.groups for w in words[3:]):
                least = {"all": len(words) - 3, "any": 1}.get(words[2]) or int(words[2])
                if not 1 <= least <= len(words) - 3:
                    raise Malformed("witness policy")
                self.groups[words[1]] = least, words[3:]
            elif words[0] == "quorum" and not self.quorum and len(words) == 2 and words[1] in {"none", *self.names, *self.groups}:
                self.quorum = words[1]
            elif words[0] != "log":
                raise Malformed("witness policy")
        if not self.quorum:
            raise Malformed("no quorum")

    def met(self, name: str, signed: Set[Tuple[str, bytes]]) -> bool:
        if name in self.groups:
            least, members = self.groups[name]
            return sum(self.met(m, signed) for m in members) >= least
        return name == "none" or self.names[name] in signed


class Trust:
    """The pinned trust file."""

    def __init__(self, data: bytes) -> None:
        t = read_canonical(data, MAX_TRUST)
        root = t.get("trusted_root") if isinstance(t, dict) else None
        if not (has_members(t, "version vault trusted_root founders witness_policy timestamp_roots") and t["version"] == 1
                and matches("origin", t["vault"]) and isinstance(t["witness_policy"], str)
                and has_members(root, "certificateAuthorities ctlogs mediaType timestampAuthorities tlogs")
                and all(isinstance(v, list) for v in (t["founders"], t["timestamp_roots"], root["tlogs"], root["timestampAuthorities"]))):
            raise Malformed("trust file")
        self.number = sha256(data)
        self.vault, self.root = t["vault"], jcs(root).encode()
        self.founders = {f["actor"]: (unbase64(f["key"]), f["role"]) for f in t["founders"]
                         if has_members(f, "actor key role") and matches("act", f["actor"]) and matches("spki", f["key"])}
        roles = sorted(role for _, role in self.founders.values())
        if (not len(self.founders) == len(t["founders"]) <= 64 or set(roles) != FOUNDERS or roles.count("vault") != 1
                or len({key for key, _ in self.founders.values()}) != len(roles)):
            raise Malformed("founders")
        self.read_logs(root["tlogs"])
        try:
            self.policy = Policy(t["witness_policy"])
            self.stamp_roots = [unbase64(c) for c in t["timestamp_roots"]]
            self.stamp_chain = [unbase64(c["rawBytes"]) for a in root["timestampAuthorities"] for c in a["certChain"]["certificates"]]
        except (ValueError, KeyError, TypeError, IndexError) as e:
            raise Malformed("trust file") from e

    def read_logs(self, logs: List[Json]) -> None:
        self.log_keys: Dict[bytes, bytes] = {}               # log id to ECDSA key
        self.log_ends: Dict[bytes, str] = {}                 # log id to the end of its use
        self.note_keys: Dict[bytes, bytes] = {}              # note key id to key
        self.unsupported = False
        for log in logs:
            try:
                key, details = unbase64(log["publicKey"]["rawBytes"]), log["publicKey"]["keyDetails"]
                log_id = unbase64(log["logId"]["keyId"])
                start = log["publicKey"]["validFor"]["start"]
                if log["baseUrl"] != "https://" + self.vault or log_id in self.log_keys or not matches("time", start):
                    raise Malformed("log")
            except (KeyError, TypeError) as e:
                raise Malformed("log") from e
            if not self.log_keys and (details != "PKIX_ECDSA_P256_SHA_256" or "end" in log["publicKey"]["validFor"]):
                raise Malformed("the first log key is the one in use")
            if details not in LOG_KEYS:
                self.unsupported = True
                continue
            if not key.startswith(LOG_KEYS[details]) or len(key) != len(LOG_KEYS[details]) + (64 if details.count("ECDSA") else 32):
                raise Malformed("log key")
            note_id = sha256(self.vault.encode() + b"\n\x01" + key[len(ED25519_PREFIX):])[:4]
            if details.count("ECDSA"):
                note_id = sha256(key)[:4]
                self.log_keys[log_id] = key
                self.log_ends[log_id] = log["publicKey"]["validFor"].get("end", "")
                if log_id != sha256(key):
                    raise Malformed("log id")
            self.note_keys[note_id] = key
        if not self.log_keys:
            raise Malformed("no log")

    def shown(self) -> str:
        """The vault number as it is read out (FORMATS §9)."""
        return " ".join("%05d" % (int.from_bytes(self.number[i:i + 5], "big") % 100000) for i in range(0, 30, 5))


class Notary:
    """Verifies checkpoints: by the log's pinned keys, and which witnesses and auditors signed them, and when."""

    def __init__(self, trust: Trust, openssl: OpenSSL) -> None:
        self.trust, self.openssl = trust, openssl

    def questions(self, c: Checkpoint) -> List[Tuple[bytes, bytes, bytes]]:
        asked = []
        for name, key_id, sig in c.lines:
            if name == c.origin and key_id in self.trust.note_keys:
                asked.append((self.trust.note_keys[key_id], c.text, sig))
            elif (name, key_id) in self.trust.policy.keys and len(sig) == 72:
                at = struct.unpack(">Q", sig[:8])[0]
                asked.append((self.trust.policy.keys[name, key_id], b"cosignature/v1\ntime %d\n" % at + c.text, sig[8:]))
        return asked

    def check(self, c: Checkpoint, log_id: Optional[bytes]) -> None:
        """Raises Stop unless this log key, or any of the pinned ones, signed, and no line of a pinned key is wrong."""
        if c.origin != self.trust.vault:
            raise Stop("checkpoint", "origin", "the checkpoint is of another vault")
        keys = {sha256(k)[:4] for i, k in self.trust.log_keys.items() if log_id in (None, i)}
        if not any(name == c.origin and key_id in keys for name, key_id, _ in c.lines):
            raise Stop("checkpoint", "log_key", "the log key is not the trusted one")
        for name, key_id, sig in c.lines:
            if name == c.origin and key_id in self.trust.note_keys:
                key = self.trust.note_keys[key_id]
                shape = len(sig) == 64 if key.startswith(ED25519_PREFIX) else strict_der(sig, low_s=False)
                if not shape or not self.openssl.verify(key, c.text, sig):
                    raise Stop("checkpoint", "log_signature", "the log's signature does not verify")

    def cosigners(self, c: Checkpoint) -> Dict[Tuple[str, bytes], int]:
        """The witnesses and auditors of the pinned policy that signed this checkpoint, and when, in seconds since 1970."""
        signed = {}
        for name, key_id, sig in c.lines:
            if (name, key_id) in self.trust.policy.keys and len(sig) == 72:
                at = struct.unpack(">Q", sig[:8])[0]
                if self.openssl.verify(self.trust.policy.keys[name, key_id], b"cosignature/v1\ntime %d\n" % at + c.text, sig[8:]):
                    signed[name, key_id] = at
        return signed


# ---- The rules (RULES §3, §4, §7), replayed in the order of the log.

STAFF = {"clinician", "investigator", "custodian", "auditor", "administrator"}
MEMBERS_OF_CASES = {"clinician", "investigator", "custodian", "auditor", "survivor", "advocate"}
RECIPIENTS = {"court", "prosecutor", "police", "defence"}
WEEK = 7 * 86400


@dataclasses.dataclass(frozen=True)
class Actor:
    key: bytes
    recipient: str
    role: str
    organization: str
    maker: Tuple[str, str, str]      # id, role and organization of who enrolled or rotated
    trustees: Tuple[str, ...] = ()
    documents_only: bool = False
    active: bool = False             # confirmed, or a founder
    suspended: str = ""              # until
    revoked: bool = False
    earlier: frozenset = frozenset()  # fingerprints of keys before the present ones

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.key, self.recipient)

    def in_force(self, time: str) -> bool:
        return self.active and not self.revoked and not time < self.suspended


@dataclasses.dataclass(frozen=True)
class PolicyState:
    current: Dict[str, Json]         # details of the configuration in force
    waiting: Optional[Dict[str, Json]] = None
    waiting_leaf: str = ""
    proposer: str = ""               # organization of who proposed what waits
    effect: str = ""                 # when what waits takes effect, once confirmed

    def at(self, time: str) -> Dict[str, Json]:
        return self.waiting if self.waiting and self.effect and time >= self.effect else self.current


@dataclasses.dataclass(frozen=True)
class Case:
    type: str
    members: Dict[str, Tuple[List[str], str]]  # rights, until
    keyring: Dict[str, str]          # actor to fingerprint
    recovery: str
    label_key: str
    open: bool = True


@dataclasses.dataclass(frozen=True)
class Consent:
    case: str
    version: int
    answers: Dict[str, Json]
    start: str
    until: str
    ask_first: bool
    subject: str
    own: bool                        # begun by the survivor
    theirs: bool = False             # narrowed by subject or advocate
    withdrawn: str = ""
    forms: Tuple[str, ...] = ()
    delegations: Dict[str, Tuple[List[str], str]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Hold:
    placed: str
    placer: str
    organization: str
    expires: str
    secret: str
    confirmed: bool = False
    lifted: bool = False


@dataclasses.dataclass(frozen=True)
class Grant:
    terms: Dict[str, Json]
    proposer: str
    organization: str
    hold: str = ""
    approver: str = ""
    approved: frozenset = frozenset()  # consents whose subject, or an advocate, approved
    ended: str = ""
    redeemed: frozenset = frozenset()
    equal: bool = False


@dataclasses.dataclass(frozen=True)
class Item:
    case: str
    details: Dict[str, Json]
    form: str
    depositor: str
    consents: Tuple[str, ...]
    envelopes: Dict[str, str]        # fingerprint to digest
    exhibit: int = 0
    root: str = ""
    openers: frozenset = frozenset()
    derived: frozenset = frozenset()
    copies: frozenset = frozenset()  # fingerprints that have the subject's own copy
    failed: frozenset = frozenset()  # scopes in which the item was found to differ
    holds: Dict[str, Hold] = dataclasses.field(default_factory=dict)
    grants: Dict[str, Grant] = dataclasses.field(default_factory=dict)
    unreviewed: Dict[str, str] = dataclasses.field(default_factory=dict)  # leaf of an emergency opening to opener
    transit: Optional[str] = None    # who is to receive it, or empty for anybody
    sender: Tuple[str, str] = ("", "")  # who handed it over, by which event


def fingerprint(key: bytes, recipient: str) -> str:
    """FORMATS §9."""
    return sha256(b"strongroom/actor/v1\0" + key + b"\0" + recipient.encode()).hex()


def need(ok: Any, reason: str) -> None:
    """A rule."""
    if not ok:
        raise Stop("rules", reason)


def size_of(state: Any) -> int:
    """What a state counts against the bound of FORMATS §12."""
    n = 0
    if isinstance(state, Case):
        n = 2 * len(state.members) + len(state.keyring)
    elif isinstance(state, Item):
        n = len(state.envelopes) + len(state.consents) + len(state.holds) + len(state.openers) + len(state.unreviewed)
        n += sum(8 + len(g.terms["consent"]) + len(g.terms["actions"]) + len(g.approved) for g in state.grants.values())
    elif isinstance(state, Consent):
        n = len(state.answers["courts"]) + len(state.delegations)
    elif isinstance(state, Actor):
        n = len(state.trustees)
    return 3 * KIB + 256 * n


class Law:
    """Judges the events of a package, each by the states of the streams it relied on, and raises Stop at the first that is not lawful.

    Not judged, for it spans streams that a package does not hold: whether a key or form was used elsewhere, whether a case could be
    closed. Not judged either: kinds in NOT_REPLAYED, texts of notes, and whether an event had to be withheld or stands on one that was.
    """

    def __init__(self, streams: Dict[Stream, List[Event]], trust: Trust) -> None:
        self.streams, self.trust, self.vault = streams, trust, trust.vault
        self.states: Dict[Tuple[Stream, int], Any] = {}
        self.held = 0
        self.skipped: Set[str] = set()
        self.judged: Dict[str, str] = {}  # path of an event to the ground of a release, or empty
        self.barriers = {s: [e for e in events if e.kind in BARRIERS] for s, events in streams.items()}
        policy = streams.get(("policy", trust.vault))
        self.vault_actor = policy[0].signer if policy else ""
        self.last_use: Dict[Tuple[Stream, int], int] = {}
        for e in self.in_log_order():
            for h in e.predicate.get("relied_on", []):
                self.last_use[(h["type"], h["id"]), h["seq"]] = e.index

    def in_log_order(self) -> List[Event]:
        return sorted((e for events in self.streams.values() for e in events), key=lambda e: e.index)

    def replay(self) -> None:
        self.unique_keys()
        for e in self.in_log_order():
            own = self.states.get((e.stream, e.seq - 1))
            try:
                state = self.step(e, own)
            except Stop as s:
                s.detail = s.detail or f"{e.kind or 'withheld event'} in {e.path}"
                raise
            self.keep(e, state)

    def step(self, e: Event, own: Any) -> Any:
        if e.until:
            return own
        self.e, self.p, self.t, self.me, self.role = e, e.predicate, e.time, e.signer, e.predicate["actor"]["role"]
        self.own = own
        self.relied = self.relied_on()
        self.authenticate()
        newer = e.newer or ("rule_version" if e.kind == "vault.configured" and e.details["rules"] > 2 else "")
        if newer or e.kind in NOT_REPLAYED:
            self.skipped.add(newer or e.kind)
            return own
        self.d = e.details
        self.expected_streams()
        need(own is not None or e.seq == 0 or e.kind == "vault.heads", "first")
        self.compare_subject()
        if e.stream[0] == "item":
            self.compare_fields()
        if "on_behalf_of" in self.p["actor"]:
            self.check_advocate(self.p["actor"]["on_behalf_of"])
        self.why = ""
        state = getattr(self, e.kind.replace(".", "_"))(own)
        self.judged[e.path] = self.why
        return state

    def keep(self, e: Event, state: Any) -> None:
        """Holds the last state of each stream, and earlier ones as long as an event still to come relies on them (FORMATS §12)."""
        self.states[e.stream, e.seq] = state
        self.held += size_of(state)
        spent = [(e.stream, e.seq - 1)] + [((h["type"], h["id"]), h["seq"]) for h in e.predicate.get("relied_on", [])]
        for place in spent:
            later = (place[0], place[1] + 1) in self.states
            if place in self.states and self.last_use.get(place, -1) <= e.index and later:
                self.held -= size_of(self.states[place])
                self.states[place] = None
        if self.held > MAX_STATES:
            raise Stop("rules", "too_much")

    # What an event stands on (RULES §3.2).

    def relied_on(self) -> Dict[Stream, Any]:
        e, relied = self.e, {}
        events = self.streams.get(e.stream, [])
        if 0 < e.seq < len(events) and not events[e.seq - 1].index < e.index:
            raise Stop("rules", "log_order", e.path)
        before = [events[e.seq - 1]] if 0 < e.seq <= len(events) else []
        for h in self.p["relied_on"]:
            stream = h["type"], h["id"]
            there = self.streams.get(stream, [])
            need(stream != e.stream and h["seq"] < len(there) and there[h["seq"]].leaf_hash.hex() == h["head"], "relied_on")
            need(there[h["seq"]].index < e.index, "log_order")
            need(not any(b.seq > h["seq"] and b.index < e.index for b in self.barriers[stream]), "stale_basis")
            relied[stream] = self.states.get((stream, h["seq"]))
            before.append(there[h["seq"]])
        if not all(b.until or b.time <= self.t for b in before):
            raise Stop("time", "time_order", f"{e.kind} in {e.path}")
        return relied

    def expected_streams(self) -> None:
        e, p, d, own = self.e, self.p, self.d, self.own
        named = {("actor", self.me), ("policy", self.vault), ("actor", p["actor"].get("on_behalf_of", "")),
                 ("actor", p.get("counterparty", {}).get("actor", ""))}
        family = e.kind.split(".")[0]
        if e.kind == "actor.enrolled":
            named |= {("actor", t) for t in d["trustees"]}
            if e.stream[1] == self.me:
                named = set()
        elif family == "case":
            added = [m["actor"] for m in d.get("members", [])] + [k["actor"] for k in d.get("added", [])]
            added += [d["actor"]] if e.kind == "case.member_added" else []
            added += [m for m in own.members if m != d["actor"]] if e.kind == "case.member_removed" and own else []
            named |= {("actor", a) for a in added}
        elif family == "consent":
            named |= {("case", p["case"]), ("item", d.get("form", "")), ("actor", d.get("subject", ""))}
            if e.kind == "consent.delegated":
                named.add(("actor", d["advocate"]))
        elif e.stream[0] == "item":
            consents = self.governing(own)
            named |= {("case", p["case"])} | {("consent", c) for c in consents}
            if e.kind in ("item.deposited", "item.sealed"):
                named.add(("item", (own.details if own else d).get("source", "")))
            named.add(("item", d["item"] if e.kind == "item.derived" else ""))
            grant = own.grants.get(d.get("grant", "")) if own else None
            terms = d if e.kind == "grant.proposed" else grant.terms if grant else None
            if terms and (family == "grant" or e.kind in ("item.exported", "item.envelope_added")):
                named.add(("actor", terms["recipient"]["actor"]))
        exist = {s for s in named if s != e.stream and s in self.streams and self.streams[s][0].index < e.index}
        hidden = any(x.until for x in self.streams.get(e.stream, [])[:e.seq])
        need(exist == set(self.relied) or hidden and exist <= set(self.relied), "relied_on")

    def compare_fields(self) -> None:
        """What an event of an item says of it must be what is known (RULES §3.1)."""
        p, own = self.p, self.own
        details = own.details if own else self.d
        if own:
            need(p["case"] == own.case, "case")
        hold = p.get("authority", {}).get("hold", "")
        if hold and own and hold != self.d.get("hold"):
            need(hold in own.holds, "hold")
            h = own.holds[hold]
            need(not h.secret or h.confirmed and self.running(h), "unconfirmed")
        if "object" in p:
            o = p["object"]
            exhibit = own.exhibit if own and own.exhibit else self.d.get("exhibit", 0) if self.e.kind == "item.sealed" else 0
            need((o["class"], o["content"]) == (details["class"], details["content"]) and o.get("exhibit", 0) == exhibit, "object")
            need(own is None or not own.form or o.get("form", "") == own.form, "object")
        if "counterparty" in p and self.e.kind.startswith("grant."):
            g = own.grants.get(self.d.get("grant", "")) if own else None
            terms = self.d if self.e.kind == "grant.proposed" else g.terms if g else {"recipient": p["counterparty"]}
            known = {**terms["recipient"], "class": terms.get("recipient_class")}
            need(all(p["counterparty"][k] == known[k] for k in ("actor", "fingerprint", "class") if k in p["counterparty"]), "recipient")
        if "digests" in p:
            digests, evidence = p["digests"], details["evidence"]
            need((digests["after"], digests["size"]) == (evidence["sha256"], evidence["size"]), "digest")
            need(digests["before"] in ("", evidence["sha256"]), "digest")
        grant = p.get("authority", {}).get("grant", "")
        need(not grant or own and grant in own.grants or grant == self.d.get("id"), "grant")
        if "consent" in p:
            need([c["id"] for c in p["consent"]] == sorted(self.governing(own)), "consent")
            need(all(self.consent(c["id"]).version == c["version"] for c in p["consent"]), "consent")

    def compare_subject(self) -> None:
        """Which files, or which stream, an event is about (FORMATS §3)."""
        e, (kind, name) = self.e, self.e.stream
        wanted = {name: stream_tag(self.vault, e.stream).hex()}
        if kind == "item":
            details = self.own.details if self.own else self.d
            wanted = {name + "/evidence.age": details["evidence"]["sha256"]}
            if e.kind == "item.deposited":
                wanted[name + "/description.age"] = details["description"]["sha256"]
            if e.kind == "item.amended":
                wanted["%s/description.%d.age" % (name, e.seq)] = self.d["description"]["sha256"]
        found = {s["name"]: s["digest"]["sha256"] for s in e.subject}
        need(found == wanted and len(e.subject) == len(wanted), "subject")

    # Whose signature counts (RULES §3.2, §3.3).

    def unique_keys(self) -> None:
        seen: Dict[str, str] = {}
        items: Dict[str, str] = {}
        for e in self.in_log_order():
            if e.newer:
                continue
            if e.kind in ("actor.enrolled", "actor.key_rotated"):
                for value in filter(None, (e.details["key"], e.details["recipient"])):
                    if seen.setdefault(value, e.stream[1]) != e.stream[1]:
                        raise Stop("signatures", "key_twice", e.path)
            if e.kind == "item.deposited" and items.setdefault(e.details["item_recipient"], e.stream[1]) != e.stream[1]:
                raise Stop("rules", "item_recipient", e.path)

    def actor(self, name: str) -> Actor:
        state = self.own if self.e.stream == ("actor", name) else self.relied.get(("actor", name))
        need(isinstance(state, Actor), "actor_unknown")
        return state

    def authenticate(self) -> None:
        e, a = self.e, self.p["actor"]

        def must(ok: Any, reason: str) -> None:
            if not ok:
                raise Stop("signatures", reason, f"{e.kind} in {e.path}")

        must(self.role != "vault" or self.me == self.vault_actor, "vault_key")
        must("on_behalf_of" not in a or self.role == "advocate", "on_behalf_of")
        if e.kind == "actor.enrolled" and e.stream[1] == self.me:
            must(self.trust.founders.get(self.me) == (e.spki, self.role), "founder")
            return
        state = self.own if e.stream == ("actor", self.me) else self.relied.get(("actor", self.me))
        must(isinstance(state, Actor), "signer_unknown")
        must(state.key == e.spki, "other_key")
        must(state.in_force(self.t), "key_not_in_force")
        must(state.role == self.role and state.organization == a.get("organization", ""), "role")

    def check_advocate(self, subject: str) -> None:
        """An advocate speaks for the subject of a consent, and only while it is delegated (RULES §3.5)."""
        consents = [self.own] if self.e.stream[0] == "consent" else [s for (kind, _), s in self.relied.items() if kind == "consent"]
        need(any(isinstance(c, Consent) and c.subject == subject and self.t < c.delegations.get(self.me, ([], ""))[1] for c in consents),
             "delegation")

    # Words for what the rules ask.

    def settings(self) -> Dict[str, Json]:
        state = self.own if self.e.stream[0] == "policy" else self.relied.get(("policy", self.vault))
        need(isinstance(state, PolicyState), "policy")
        return state.at(self.t)

    def case(self) -> Case:
        state = self.own if self.e.stream[0] == "case" else self.relied.get(("case", self.p["case"]))
        need(isinstance(state, Case), "case")
        return state

    def consent(self, name: str) -> Consent:
        state = self.relied.get(("consent", name))
        need(isinstance(state, Consent), "consent")
        return state

    def item(self, name: str) -> Item:
        state = self.relied.get(("item", name))
        need(isinstance(state, Item), "item")
        return state

    def governing(self, own: Optional[Item]) -> List[str]:
        """The consents that govern an item; of a consent form, those that rest on it and that the event names."""
        named = [c["id"] for c in self.p.get("consent", [])]
        if own is None:
            return named
        if own.details["class"] == "consent_form":
            return [n for n in named if self.e.stream[1] in self.consent(n).forms]
        return list(own.consents)

    def is_member(self, right: str = "", who: str = "") -> bool:
        rights, until = self.case().members.get(who or self.me, ([], "-"))
        return (not until or self.t < until) and (not right or right in rights)

    def decides(self, right: str = "") -> bool:
        """Whether the signer is a custodian of the case, or an auditor of a complaint (RULES §3.4)."""
        auditors = self.case().type == "complaint" and self.settings()["rules"] >= 2
        return self.role == ("auditor" if auditors else "custodian") and self.is_member(right)

    def is_keyholder(self, who: str = "") -> bool:
        return (who or self.me) in self.case().keyring and self.is_member(who=who)

    def speaks(self, c: Consent, right: str) -> bool:
        """Whether the signer is the subject of a consent, or an advocate who may do this for that one."""
        rights, until = c.delegations.get(self.me, ([], ""))
        return (self.role == "survivor" and c.subject == self.me
                or self.role == "advocate" and right in rights and self.t < until
                and self.p["actor"].get("on_behalf_of", c.subject) == c.subject)

    def in_force(self, c: Consent) -> bool:
        return not c.withdrawn and c.start <= self.t < c.until

    def keeps(self, c: Consent, content: str) -> bool:
        gate = {"clinical": "examination", "photograph": "photographs"}.get(content, "storage")
        return c.answers["storage"] == c.answers[gate] == "yes"

    def stands(self, item: Item, grant: Optional[Grant] = None) -> str:
        """The ground on which an item may be released: it is kept, or a confirmed hold is named (RULES §3.6, §4)."""
        consents = [(name, self.consent(name)) for name in item.consents]
        need(all(self.keeps(c, item.details["content"]) for _, c in consents), "frozen")
        if all(self.in_force(c) for _, c in consents):
            return "; ".join(f"consent {name}, version {c.version}, in force until {c.until}" for name, c in consents) or (
                "basis " + item.details["basis"])
        name = self.p.get("authority", {}).get("hold", "") or (grant.hold if grant else "")
        hold = item.holds.get(name)
        need(hold and self.running(hold) and hold.confirmed, "frozen")
        need(not grant or grant.terms["legal_basis"] != "consent", "frozen")
        return f"hold {name}, confirmed"

    def running(self, h: Hold) -> bool:
        return not h.lifted and self.t < h.expires and (h.confirmed or self.t < after(h.placed, self.settings()["policy"]["hold_time"]))

    def permits(self, item: Item, terms: Dict[str, Json]) -> bool:
        """Whether every governing consent lets a recipient of this class have this content (RULES §4, §7.8)."""
        content = item.details["content"]
        gate = "photographs" if content == "photograph" else "physical" if content == "physical" else "information"
        for name in item.consents:
            answers = self.consent(name).answers
            if terms["recipient_class"] in ("police", "prosecutor"):
                said = answers["police_" + gate]
            else:
                said = next((c[gate] for c in answers["courts"] if c["jurisdiction"] == terms["jurisdiction"]), "no")
            if said != "yes":
                return False
        return not (terms["legal_basis"] == "consent" and item.details["basis"] != "consent")

    def usable(self, item: Item, name: str) -> Grant:
        """A grant that its recipient may use now (RULES §7.9, §7.10)."""
        g = item.grants.get(name)
        need(g and g.approver and not g.ended, "grant")
        need(all(n in g.approved for n in item.consents if self.consent(n).ask_first), "ask_first")
        need(g.terms["not_before"] <= self.t < g.terms["expires"] and g.terms.get("cooling_off", "") <= self.t, "grant_time")
        return g

    def change(self, item: Item, name: str, **fields: Any) -> Item:
        grants = {**item.grants, name: dataclasses.replace(item.grants[name], **fields)}
        return dataclasses.replace(item, grants=grants)

    def has_note(self, name: str) -> bool:
        return any(n["name"] == name for n in self.p["notes"])

    # RULES §3.3: actors.

    def actor_enrolled(self, own: None) -> Actor:
        d, a, founder = self.d, self.p["actor"], self.e.stream[1] == self.me
        if founder:
            need(d["key"] == b64(self.e.spki) and d["role"] == self.role and not d["possession"] and not d["invitation"], "founder")
        else:
            need(self.role == ("administrator" if d["role"] in STAFF else "custodian") and d["role"] != "vault", "role")
            need(d["invitation"] and d["possession"], "possession")
        need((d["recipient"] == "") == (d["role"] in ("vault", "administrator")), "recipient")
        need(d["role"] == "clinician" or not d["documents_only"], "documents_only")
        need(not d["trustees"] or d["role"] == "survivor", "trustee")
        need(all(self.actor(t).role == "trustee" and self.actor(t).in_force(self.t) for t in d["trustees"]), "trustee")
        need(("organization" not in d) if d["role"] == "vault" else
             "organization" in d or d["role"] in ("survivor", "advocate", "trustee"), "organization")
        need(not founder or d.get("organization", "") == a.get("organization", ""), "organization")
        return Actor(unbase64(d["key"]), d["recipient"], d["role"], d.get("organization", ""),
                     (self.me, self.role, a.get("organization", "")), tuple(d["trustees"]), d["documents_only"], founder)

    def vouches(self, own: Actor) -> bool:
        return self.role in ("administrator", "custodian") or self.role == "trustee" and self.me in own.trustees

    def actor_key_rotated(self, own: Actor) -> Actor:
        need(self.me != self.e.stream[1] and self.vouches(own) and not own.revoked, "signer")
        need((self.d["recipient"] == "") == (own.recipient == "") and self.d["possession"], "possession")
        need(self.d["key"] != b64(own.key) and (not own.recipient or self.d["recipient"] != own.recipient), "same_key")
        return dataclasses.replace(own, key=unbase64(self.d["key"]), recipient=self.d["recipient"], active=False,
                                   earlier=own.earlier | {own.fingerprint},
                                   maker=(self.me, self.role, self.p["actor"].get("organization", "")))

    def actor_confirmed(self, own: Actor) -> Actor:
        need(not own.active and not own.revoked and self.d["fingerprint"] == own.fingerprint, "fingerprint")
        need(self.me not in (own.maker[0], self.e.stream[1]), "same_person")
        need(self.vouches(own) and not self.role == own.maker[1] == "administrator", "signer")
        apart = self.p["actor"].get("organization", "") != own.maker[2]
        need(apart or not self.settings()["policy"]["two_organizations"], "same_organization")
        return dataclasses.replace(own, active=True)

    def actor_suspended(self, own: Actor) -> Actor:
        cause, until = self.d["cause"], self.d["until"]
        need(self.role in ("administrator", "custodian") or self.role == "vault" and cause == "overdue"
             and until <= after(self.t, WEEK), "signer")
        need(not own.revoked and until > self.t and (self.t >= own.suspended or until >= own.suspended), "until")
        return dataclasses.replace(own, suspended=until)

    def actor_revoked(self, own: Actor) -> Actor:
        need((self.role in ("administrator", "custodian") or self.me == self.e.stream[1]) and not own.revoked, "signer")
        return dataclasses.replace(own, revoked=True)

    # RULES §3.4: cases.

    def check_keyholders(self, kind: str, holders: List[Json], members: Dict[str, Any]) -> Dict[str, str]:
        roles = {"clinician", "investigator", "custodian"} if kind == "case" else {"auditor"}
        for k in holders:
            a = self.actor(k["actor"])
            need(k["actor"] in members and a.role in roles and a.in_force(self.t) and a.fingerprint == k["fingerprint"], "keyholder")
        return {k["actor"]: k["fingerprint"] for k in holders}

    def check_label_key(self, key: Json, members: Dict[str, Any], recovery: str) -> None:
        actors = [self.actor(m) for m in members]
        wanted = {a.fingerprint for a in actors if a.in_force(self.t)} | {recovery}
        need({e["recipient"] for e in key["envelopes"]} == wanted and len(key["envelopes"]) == len(wanted), "label_key")

    def check_member(self, a: Actor, until: str) -> None:
        need(a.role in MEMBERS_OF_CASES and a.in_force(self.t) and (not until or until > self.t), "member")

    def case_opened(self, own: None) -> Case:
        d, complaint = self.d, self.d["type"] == "complaint"
        need(self.role in (("survivor", "advocate") if complaint else ("clinician", "investigator", "custodian")), "signer")
        members = {m["actor"]: (m["rights"], m.get("until", "")) for m in d["members"]}
        need(len(members) == len(d["members"]), "member")
        for name, (_, until) in members.items():
            self.check_member(self.actor(name), until)
        keyring = self.check_keyholders(d["type"], d["keyring"], members)
        need(len(keyring) == len(d["keyring"]) >= 2 and d["recovery"] == fingerprint(b"", self.settings()["recovery"]), "keyring")
        manager = "auditor" if complaint and self.settings()["rules"] >= 2 else "custodian"
        need(complaint or any(self.actor(m).role == manager and "manage" in r for m, (r, _) in members.items()), "manage")
        self.check_label_key(d["label_key"], members, d["recovery"])
        return Case(d["type"], members, keyring, d["recovery"], d["label_key"]["recipient"])

    def case_member_added(self, own: Case) -> Case:
        need(self.decides("manage"), "signer")
        a = self.actor(self.d["actor"])
        self.check_member(a, self.d.get("until", ""))
        need(self.d["envelope"]["recipient"] == a.fingerprint, "member")
        return dataclasses.replace(own, members={**own.members, self.d["actor"]: (self.d["rights"], self.d.get("until", ""))})

    def case_member_removed(self, own: Case) -> Case:
        gone = self.d["actor"]
        need((self.decides("manage") or self.me == gone) and gone in own.members and gone not in own.keyring, "signer")
        members = {m: r for m, r in own.members.items() if m != gone}
        self.check_label_key(self.d["label_key"], members, own.recovery)
        need(self.d["label_key"]["recipient"] != own.label_key, "same_key")
        manager = "auditor" if own.type == "complaint" and self.settings()["rules"] >= 2 else "custodian"
        gone_role = self.relied.get(("actor", gone))
        need("manage" not in own.members[gone][0] or gone_role and gone_role.role != manager
             or any("manage" in r and self.actor(m).role == manager for m, (r, _) in members.items()), "manage")
        return dataclasses.replace(own, members=members, label_key=self.d["label_key"]["recipient"])

    def case_keyring_changed(self, own: Case) -> Case:
        need(self.decides("manage") and self.is_keyholder() and set(self.d["removed"]) <= set(own.keyring), "signer")
        left = {a: f for a, f in own.keyring.items() if a not in self.d["removed"]}
        added = self.check_keyholders(own.type, self.d["added"], own.members)
        need(not set(left) & set(added) and len(left) + len(added) >= 2, "keyring")
        recovery = fingerprint(b"", self.settings()["recovery"])  # a change of keyring brings the case the present one
        need(self.d["removed"] or added or recovery != own.recovery, "keyring")
        return dataclasses.replace(own, keyring={**left, **added}, recovery=recovery)

    def case_closed(self, own: Case) -> Case:
        need(self.decides("manage") and own.open, "signer")
        return dataclasses.replace(own, open=False)

    def case_reopened(self, own: Case) -> Case:
        need(self.decides("manage") and not own.open, "signer")
        return dataclasses.replace(own, open=True)

    # RULES §3.5: consent.

    def consent_given(self, own: Optional[Consent]) -> Consent:
        d, staff = self.d, self.role in ("clinician", "investigator") and self.is_member()
        subject = d.get("subject", "") or (own.subject if own else "") or (self.me if self.role == "survivor" else "")
        need(staff or self.role == "survivor" and subject == self.me and d["by"] == "self", "signer")
        form = self.item(d["form"])
        need(self.case().open and form.details["class"] == "consent_form" and form.case == self.p["case"], "form")
        need(d["version"] == (own.version + 1 if own else 1) and max(d["from"], self.t) < d["until"], "version")
        if own:
            need(own.case == self.p["case"] and not own.withdrawn and d["form"] not in own.forms, "withdrawn")
            need(staff or own.subject == self.me, "signer")
            need(not own.own or subject == self.me == own.subject, "own")
            need(not own.subject or subject == own.subject, "subject")
            if staff and (own.subject or own.theirs or subject):
                need(form.depositor != self.me, "same_person")
        if subject and not (own and own.subject) and subject != self.me:
            need(self.actor(subject).in_force(self.t) and self.actor(subject).role == "survivor", "subject")
        delegations = own.delegations if own and (own.subject or not subject) else {}
        return Consent(self.p["case"], d["version"], d["answers"], d["from"], d["until"], d["ask_first"], subject,
                       own.own if own else self.role == "survivor", own.theirs if own else False, "",
                       (own.forms if own else ()) + (d["form"],), delegations)

    def consent_narrowed(self, own: Consent) -> Consent:
        d = self.d
        need(self.speaks(own, "narrow") or self.is_member() and "on_behalf_of" not in self.p["actor"], "signer")
        need(own.case == self.p["case"] and not own.withdrawn and d["version"] == own.version + 1, "version")
        need(d["until"] == own.until or self.t <= d["until"] < own.until, "until")

        def yes(answers: Json) -> Set[Any]:
            said = {k for k, v in answers.items() if v == "yes"}
            return said | {(c["jurisdiction"], k) for c in answers["courts"] for k, v in c.items() if v == "yes"}
        need(yes(d["answers"]) <= yes(own.answers), "widened")
        need(yes(d["answers"]) != yes(own.answers) or d["until"] < own.until, "unchanged")
        return dataclasses.replace(own, version=d["version"], answers=d["answers"], until=d["until"],
                                   theirs=own.theirs or self.role in ("survivor", "advocate"))

    def consent_withdrawn(self, own: Consent) -> Consent:
        need(self.speaks(own, "withdraw") or self.is_member() and "on_behalf_of" not in self.p["actor"], "signer")
        need(own.case == self.p["case"] and not own.withdrawn, "withdrawn")
        return dataclasses.replace(own, withdrawn=self.t)

    def consent_delegated(self, own: Consent) -> Consent:
        a = self.actor(self.d["advocate"])
        need(self.role == "survivor" and own.subject == self.me
             or not own.subject and self.role in ("clinician", "custodian") and self.is_member(), "signer")
        need(a.role == "advocate" and a.in_force(self.t) and self.d["until"] > self.t and own.case == self.p["case"], "advocate")
        return dataclasses.replace(own, delegations={**own.delegations, self.d["advocate"]: (self.d["rights"], self.d["until"])})

    def consent_delegation_ended(self, own: Consent) -> Consent:
        gone = self.d["advocate"]
        need(own.case == self.p["case"] and gone in own.delegations, "advocate")
        need(self.role == "survivor" and own.subject == self.me or self.me == gone
             or self.role == "custodian" and self.is_member(), "signer")
        return dataclasses.replace(own, delegations={a: r for a, r in own.delegations.items() if a != gone})

    # RULES §3.6: items.

    def item_deposited(self, own: None) -> Item:
        d, p, case = self.d, self.p, self.case()
        consents = [c["id"] for c in p.get("consent", [])]
        need(self.is_member("deposit") and case.open, "signer")
        need(p.get("authority", {}).get("basis", "consent") == d["basis"], "basis")
        if d["basis"] != "consent":
            need(not consents and self.has_note("authority"), "basis")
        else:
            need((not consents) == (d["class"] == "consent_form"), "consent")
        for name in consents:
            c = self.consent(name)
            need(c.case == p["case"] and self.in_force(c) and self.keeps(c, d["content"]), "consent")
        wanted = set(case.keyring.values()) | {case.recovery}
        need({e["recipient"] for e in d["envelopes"]} == wanted and len(d["envelopes"]) == len(wanted), "envelopes")
        need((d["class"] == "identity") == (d["content"] == "identity"), "class")
        nothing = d["evidence"]["sha256"] == sha256(b"").hex()
        need((d["class"] == "description_only") == (d["evidence"]["size"] == 0) == nothing, "evidence")
        need(("source" in d) == (d["class"] in ("working", "derived")), "class")
        form = p.get("object", {}).get("form", "")
        self.check_form(form, d["content"])
        if "source" in d:
            source = self.item(d["source"])
            need(source.case == p["case"] and source.details["basis"] == d["basis"] and set(source.consents) <= set(consents)
                 and (self.me == source.depositor or self.me in source.openers), "source")
        return Item(p["case"], d, form, self.me, tuple(consents), {e["recipient"]: e["sha256"] for e in d["envelopes"]})

    def check_form(self, form: str, content: str) -> None:
        """Who documents facts alone uses the forms without opinions (RULES §5)."""
        need(not self.actor(self.me).documents_only or form == "clinical-record-facts/1" or content != "clinical"
             and form in ("", "acquisition/1", "consent-form/1", "identity/1"), "documents_only")

    def item_sealed(self, own: Item) -> Item:
        need(not own.exhibit and (self.me == own.depositor or self.decides()), "signer")
        self.stands(own)
        root = self.e.stream[1]
        if "source" in own.details:
            source = self.item(own.details["source"])
            need(source.exhibit, "source")
            root = source.root
        need(self.d["root"] == root, "root")
        return dataclasses.replace(own, exhibit=self.d["exhibit"], root=root)

    def serve(self, item: Item) -> None:
        """An item that was found to differ is not served, but for a keyholder's second look at its content (RULES §3.6)."""
        look = self.p.get("purpose") == "verification" and self.is_keyholder() and item.failed == {"content"}
        need(not item.failed or look, "damaged")

    def own_envelope(self, item: Item, digest: str) -> None:
        need(item.envelopes.get(self.actor(self.me).fingerprint) == digest, "envelope")

    def subject_of(self, item: Item) -> str:
        """Whom an item is about, where that is one person (RULES §3.6)."""
        governing = self.governing(item)
        return self.consent(governing[0]).subject if len(governing) == 1 else ""

    def item_opened(self, own: Item) -> Item:
        self.serve(own)
        self.own_envelope(own, self.d["envelope"])
        if self.role == "survivor":
            need(self.subject_of(own) == self.me and self.p["purpose"] == "subject_access", "signer")
            self.why = "the item is about the signer"
            return own
        need(self.is_keyholder() and self.is_member("open"), "signer")
        self.why = "a keyholder with the right to open; " + self.stands(own)
        return dataclasses.replace(own, openers=own.openers | {self.me})

    def item_verified(self, own: Item) -> Item:
        scope, failed = self.d["scope"], self.p["result"]["outcome"] == "failure"
        if scope == "content":
            need(self.is_keyholder() and self.me in own.openers, "signer")
        else:
            need(self.role in ("vault", "auditor") or self.is_keyholder(), "signer")
        same = self.d["evidence"] == own.details["evidence"]["sha256"]
        need(same or failed, "evidence")
        need(not (same and failed and scope == "ciphertext"), "result")
        if failed:
            return dataclasses.replace(own, failed=own.failed | {scope})
        return dataclasses.replace(own, failed=frozenset() if scope == "content" else own.failed - {"ciphertext"})

    def item_derived(self, own: Item) -> Item:
        new = self.item(self.d["item"])
        need(self.is_keyholder() and self.is_member("deposit") and self.me in own.openers, "signer")
        self.stands(own)
        need(new.details.get("source") == self.e.stream[1] and new.details["class"] == self.d["form"], "source")
        need(self.d["item"] not in own.derived, "derivative")
        return dataclasses.replace(own, derived=own.derived | {self.d["item"]})

    def item_amended(self, own: Item) -> Item:
        need(self.me == own.depositor or self.decides(), "signer")
        self.check_form(self.p.get("object", {}).get("form", ""), own.details["content"])
        self.stands(own)
        return own

    def item_transferred(self, own: Item) -> Item:
        to = self.p.get("counterparty", {})
        need(self.is_member() and own.details["content"] == "physical" and own.transit is None and self.has_note("transfer"), "signer")
        self.stands(own)
        if self.d["class"] not in ("clinician", "investigator", "custodian", "survivor"):
            need(self.d["class"] in RECIPIENTS, "class")
            need(own.details["class"] != "consent_form", "legal_basis")
            need(self.permits(own, {"recipient_class": self.d["class"], "jurisdiction": self.p.get("place", ""), "legal_basis": ""}),
                 "consent")
        need(to.get("class", self.d["class"]) == self.d["class"], "class")
        if to:
            a = self.actor(to.get("actor", ""))
            need(a.role == self.d["class"] and a.in_force(self.t) and to.get("fingerprint", a.fingerprint) == a.fingerprint, "recipient")
            need(to["actor"] != self.me, "recipient")
        return dataclasses.replace(own, transit=to.get("actor", ""), sender=(self.me, self.e.leaf_hash.hex()))

    def item_received(self, own: Item) -> Item:
        need(own.transit is not None and self.has_note("condition"), "transit")
        need(self.me == own.transit or self.is_member(), "signer")
        by = self.p.get("counterparty", {})
        need((by.get("actor", own.sender[0]), by.get("receipt", own.sender[1])) == own.sender, "recipient")
        return dataclasses.replace(own, transit=None)

    def item_exported(self, own: Item) -> Item:
        self.serve(own)
        if self.role in RECIPIENTS:
            g = self.usable(own, self.d.get("grant", ""))
            need(g.terms["recipient"]["actor"] == self.me and g.redeemed and "download" in g.terms["actions"], "grant")
            self.why = self.share_ground(own, g)
        else:
            need(self.is_keyholder() and self.is_member("open") and self.me in own.openers and "grant" not in self.d, "signer")
            self.why = "a keyholder with the right to open; " + self.stands(own)
        return own

    def item_envelope_added(self, own: Item) -> Item:
        to, cause = self.d["envelope"]["recipient"], self.d["cause"]
        need(self.is_keyholder() and self.me in own.openers and to not in own.envelopes, "signer")
        if cause == "grant":
            g = own.grants.get(self.d["grant"])
            need(g and g.approver and not g.ended and self.t < g.terms["expires"], "grant")
            need(all(n in g.approved for n in own.consents if self.consent(n).ask_first), "ask_first")
            self.stands(own, g)
            need(to == g.terms["recipient"]["fingerprint"], "recipient")
            self.check_recipient(g.terms)
        elif cause == "rewrap":
            self.stands(own)
            need(to in self.case().keyring.values() or to == self.case().recovery, "recipient")
        else:
            subject = self.actor(self.p.get("counterparty", {}).get("actor", ""))
            self.stands(own)
            need(self.subject_of(own) == self.p["counterparty"]["actor"] and to == subject.fingerprint and subject.in_force(self.t), "recipient")
        copies = own.copies | {to} if cause == "copy" else own.copies
        return dataclasses.replace(own, envelopes={**own.envelopes, to: self.d["envelope"]["sha256"]}, copies=copies)

    def needed(self, own: Item, to: str) -> bool:
        """Whether keyring, recovery or a grant in force needs the envelope for a fingerprint."""
        return to in self.case().keyring.values() or to == self.case().recovery or any(
            g.terms["recipient"]["fingerprint"] == to and self.can_be_used(own, name) for name, g in own.grants.items())

    def can_be_used(self, own: Item, name: str) -> bool:
        g = own.grants[name]
        try:
            self.stands(own, g)
            return bool(g.approver and not g.ended and self.t < g.terms["expires"] and self.permits(own, g.terms)
                        and all(n in g.approved for n in own.consents if self.consent(n).ask_first))
        except Stop:
            return False

    def item_envelope_removed(self, own: Item) -> Item:
        to, gone = self.d["recipient"], self.p.get("counterparty", {}).get("actor", "")
        need(self.role == "vault" or self.is_keyholder() or self.decides(), "signer")
        need(to in own.envelopes and self.d["horizon"] >= self.t, "envelope")
        a = self.actor(gone) if gone else None  # whose keys these were
        dead = a and (a.revoked and a.fingerprint == to or to in a.earlier and (a.active or a.revoked))
        need(dead or not (self.needed(own, to) or to in own.copies), "needed")
        left = {f: digest for f, digest in own.envelopes.items() if f != to}
        need(set(left) & set(self.case().keyring.values()), "last_envelope")
        return dataclasses.replace(own, envelopes=left)

    def item_break_glass(self, own: Item) -> Item:
        self.serve(own)
        self.own_envelope(own, self.d["envelope"])
        need(self.is_keyholder() and self.is_member("duty") and self.has_note("reason"), "signer")
        need(self.p.get("purpose", "emergency") == "emergency", "purpose")
        self.why = "emergency opening by a keyholder on duty; " + self.stands(own)
        return dataclasses.replace(own, openers=own.openers | {self.me}, unreviewed={**own.unreviewed, self.e.leaf_hash.hex(): self.me})

    def item_break_glass_reviewed(self, own: Item) -> Item:
        opener = own.unreviewed.get(self.d["event"], "")
        need(opener and opener != self.me and (self.role == "auditor" or self.decides()) and self.has_note("measures"), "signer")
        return dataclasses.replace(own, unreviewed={k: v for k, v in own.unreviewed.items() if k != self.d["event"]})

    def retention_set(self, own: Item) -> Item:
        need(self.decides(), "signer")
        return own

    # Holds.

    def hold_placed(self, own: Item) -> Item:
        d = self.d
        need(self.decides() and self.has_note("order") and d["hold"] not in own.holds, "signer")
        need(d["basis"] != "consent" and self.t < d["review"] <= d["expires"], "basis")
        secret = d.get("secret_until", "")
        need(not secret or self.t < secret <= min(d["expires"], after(self.t, 1827 * 86400)), "secret_until")
        holds = {**own.holds, d["hold"]: Hold(self.t, self.me, self.p["actor"]["organization"], d["expires"], secret)}
        need(len(holds) <= 256, "holds")
        need(not secret or sum(h.secret > self.t for h in holds.values()) <= 8, "secrets")
        return dataclasses.replace(own, holds=holds)

    def hold(self, own: Item) -> Hold:
        need(self.d["hold"] in own.holds and not own.holds[self.d["hold"]].lifted, "hold")
        return own.holds[self.d["hold"]]

    def second_person(self, h: Hold) -> None:
        need(h.placer != self.me, "same_person")
        apart = self.role == "vault" or h.organization != self.p["actor"]["organization"]
        need(apart or not self.settings()["policy"]["two_organizations"], "same_organization")

    def hold_confirmed(self, own: Item) -> Item:
        h = self.hold(own)
        need(self.decides() and not h.confirmed and self.running(h), "signer")
        self.second_person(h)
        return dataclasses.replace(own, holds={**own.holds, self.d["hold"]: dataclasses.replace(h, confirmed=True)})

    def hold_lifted(self, own: Item) -> Item:
        h = self.hold(own)
        need(self.decides() or self.role == "vault" and not self.running(h), "signer")
        self.second_person(h)
        return dataclasses.replace(own, holds={**own.holds, self.d["hold"]: dataclasses.replace(h, lifted=True)})

    # RULES §7: grants.

    def share_ground(self, own: Item, g: Grant) -> str:
        need(self.permits(own, g.terms), "consent")
        return (f"{g.proposer} proposed the share and {g.approver}, another person, approved it; it is for exactly this key, "
                f"from {g.terms['not_before']} to {g.terms['expires']}; {self.stands(own, g)}")

    def grant_proposed(self, own: Item) -> Item:
        d = self.d
        need(self.is_keyholder(), "signer")
        need(d["item"] == self.e.stream[1] and d["id"] not in own.grants and own.exhibit, "terms")
        need(own.details["class"] != "consent_form" and max(d["not_before"], d.get("cooling_off", ""), self.t) < d["expires"], "terms")
        need([c["id"] for c in d["consent"]] == sorted(own.consents)
             and all(self.consent(c["id"]).version == c["version"] for c in d["consent"]), "consent")
        self.check_recipient(d)
        hold = self.p.get("authority", {}).get("hold", "")
        confirmed = hold in own.holds and own.holds[hold].confirmed and self.running(own.holds[hold])
        g = Grant(d, self.me, self.p["actor"].get("organization", ""), hold if confirmed else "")
        self.stands(own, g)
        need(self.permits(own, d), "consent")
        return dataclasses.replace(own, grants={**own.grants, d["id"]: g})

    def check_recipient(self, terms: Dict[str, Json]) -> None:
        to = self.actor(terms["recipient"]["actor"])
        need(to.in_force(self.t) and to.role == terms["recipient_class"] and to.fingerprint == terms["recipient"]["fingerprint"], "recipient")

    def pending(self, own: Item) -> Grant:
        g = own.grants.get(self.d["grant"])
        need(g and not g.ended, "grant")
        return g

    def grant_approved(self, own: Item) -> Item:
        g, name = self.pending(own), self.d["grant"]
        need(self.me != g.proposer, "same_person")
        need(self.d["terms"] == sha256(jcs(g.terms).encode()).hex() and self.t < g.terms["expires"], "terms")
        self.check_recipient(g.terms)
        self.stands(own, g)
        need(self.permits(own, g.terms), "consent")
        if self.decides("approve"):
            apart = self.p["actor"].get("organization", "") != g.organization
            need(not g.approver and (apart or not self.settings()["policy"]["two_organizations"]), "same_organization")
            return self.change(own, name, approver=self.me)
        spoken = {n for n in own.consents if self.consent(n).ask_first and self.speaks(self.consent(n), "approve")}
        need(spoken - g.approved, "signer")
        return self.change(own, name, approved=g.approved | spoken)

    def end(self, own: Item, how: str) -> Item:
        """A grant that ends takes its envelope along, unless another one or the keyring needs it (RULES §7.11)."""
        to = own.grants[self.d["grant"]].terms["recipient"]["fingerprint"]
        own = self.change(own, self.d["grant"], ended=how)
        if self.needed(own, to):
            return own
        return dataclasses.replace(own, envelopes={f: digest for f, digest in own.envelopes.items() if f != to})

    def grant_refused(self, own: Item) -> Item:
        g = self.pending(own)
        need(self.decides("approve") or any(self.consent(n).ask_first and self.speaks(self.consent(n), "approve")
                                            for n in own.consents), "signer")
        done = g.approver and all(n in g.approved for n in own.consents if self.consent(n).ask_first)
        need(not done and self.me != g.proposer and self.has_note("reason"), "grant")
        return self.end(own, "refused")

    def grant_revoked(self, own: Item) -> Item:
        g = self.pending(own)
        need(self.decides() or self.me == g.proposer
             or any(self.role == "survivor" and self.consent(n).subject == self.me for n in own.consents), "signer")
        return self.end(own, "revoked")

    def grant_expired(self, own: Item) -> Item:
        g = self.pending(own)
        need(self.role == "vault" and self.t >= g.terms["expires"], "signer")
        return self.end(own, "expired")

    def grant_redeemed(self, own: Item) -> Item:
        g = self.usable(own, self.d["grant"])
        to, me = g.terms["recipient"], self.actor(self.me)
        need(to["actor"] == self.me and to["fingerprint"] == me.fingerprint and me.role == g.terms["recipient_class"], "recipient")
        need(self.p.get("purpose", g.terms["purpose"]) == g.terms["purpose"], "purpose")
        need(self.d["action"] in g.terms["actions"], "action")
        self.serve(own)
        need(own.envelopes.get(to["fingerprint"]) == self.d["envelope"], "envelope")
        self.why = self.share_ground(own, g)
        return self.change(own, self.d["grant"], redeemed=g.redeemed | {self.d["action"]})

    def grant_acknowledged(self, own: Item) -> Item:
        g = own.grants.get(self.d["grant"])
        need(g and g.redeemed and g.terms["recipient"]["actor"] == self.me and not g.equal, "grant")
        need(not self.d["equal"] or self.d["evidence"] == own.details["evidence"]["sha256"], "evidence")
        return self.change(own, self.d["grant"], equal=self.d["equal"])

    # RULES §3.7: the vault.

    def vault_heads(self, own: None) -> None:
        need(self.role == "vault", "signer")

    def vault_configured(self, own: Optional[PolicyState]) -> PolicyState:
        d = self.d
        if own is None:
            need(self.role == "vault", "signer")
            return PolicyState(d)
        now = own.at(self.t)
        plain = {"version", "builds"}
        if self.role == "vault":
            need(all(d[k] == now[k] for k in d if k not in plain), "signer")
            waiting = {**own.waiting, **{k: d[k] for k in plain}} if own.waiting and now is not own.waiting else None
            if waiting is None:
                return PolicyState(d)
            return dataclasses.replace(own, current=d, waiting=waiting)
        need(self.role == "administrator", "signer")
        if self.drops(now, d) if now["rules"] < 2 else any(d[k] != now[k] for k in d if k not in plain):
            return PolicyState(now, d, self.e.leaf_hash.hex(), self.p["actor"]["organization"])
        return PolicyState(d)

    def drops(self, old: Json, new: Json) -> bool:
        """Whether protection drops, as version 1 of the rules had it (RULES §3.7)."""
        a, b = old["policy"], new["policy"]
        return (any(old[k] != new[k] for k in ("recovery", "log_keys", "witness", "rules"))
                or a["two_organizations"] > b["two_organizations"]
                or any(b[k] < a[k] for k in ("confirm_wait", "bin_wait", "withdrawal_wait"))
                or any(b[k] != a[k] for k in ("decision_time", "review_time", "hold_time", "backup_horizon")))

    def vault_confirmed(self, own: PolicyState) -> PolicyState:
        need(self.role == "custodian" and own.waiting and not own.effect and self.d["event"] == own.waiting_leaf, "signer")
        asked = own.current["policy"]["two_organizations"] or own.waiting["policy"]["two_organizations"]
        need(not asked or self.p["actor"]["organization"] != own.proposer, "same_organization")
        return dataclasses.replace(own, effect=after(self.t, own.current["policy"]["confirm_wait"]))

    def vault_incident(self, own: PolicyState) -> PolicyState:
        need(self.role in ("administrator", "auditor"), "signer")
        need(self.d["from"] <= self.d.get("until", self.d["from"]) <= self.t, "until")
        return own


# ---- The checks of FORMATS §12, in its order.

NOT_REQUIRED = {
    "witnesses": ("no_witness_required", "No independent witness was required: the vault's operator alone vouches that no other "
                                         "history exists."),
    "time": ("no_authority_required", "No time stamp was required: the times are those that the signers stated and the vault accepted."),
    "audit": ("no_auditor_required", "No auditor was required: the vault's operator alone vouches that its list of last steps is whole."),
    "content": ("no_identity", "The encrypted files are those recorded, but they were not opened."),
}
LIMITS = ["What README.html says or does: this program does not look at it.", "That the content is true, or that a court may use it.",
          "Which other items exist.", "Copies, and openings outside the service.", "Whose hand held a key.",
          "What happens after a copy was taken: whoever opened an item may keep it.",
          "That an exhibit number was used only once: that is the vault's claim.",
          "That all states of the record book named here belong to one history: the book's own key alone vouches for that."]
TOLERANCE = 120


class Verifier:
    """Makes the checks of one package, one after another; each ends quietly or raises Stop."""

    def __init__(self, package: Package, trust: Trust, openssl: OpenSSL) -> None:
        self.package, self.trust, self.openssl = package, trust, openssl
        self.notary = Notary(trust, openssl)
        self.events: List[Event] = []
        self.streams: Dict[Stream, List[Event]] = {}
        self.limits = list(LIMITS)
        self.incomplete: Optional[Stop] = None  # what `content` ends with if nothing is wrong

    def load(self) -> None:
        """Reads every event and the publication."""
        p, m = self.package, self.package.manifest
        if m["vault"] != self.trust.vault:
            raise Stop("package", "other_vault", "the package is of another vault than the trust file")
        self.published: List[Event] = []  # the publication, where there is one
        if "log/heads.sigstore.json" in p.entries:
            self.published = [read_bundle("log/heads.sigstore.json", p.read("log/heads.sigstore.json", MAX_BUNDLE))]
        if sum(p.entries[name].size for names in p.streams().values() for name in names) > MAX_LOADED:
            raise Stop("package", "too_much", "more events than this program takes", "not_checked")
        for stream, names in p.streams().items():
            self.streams[stream] = []
            for name in names:
                data = p.read(name, MAX_BUNDLE)
                e = read_withheld(name, data, stream) if name.endswith("withheld.json") else read_bundle(name, data)
                self.streams[stream].append(e)
        self.events = [e for events in self.streams.values() for e in events]
        self.all = self.events + self.published
        if "trust/trusted_root.json" in p.entries and p.read("trust/trusted_root.json", MAX_TRUST) != self.trust.root:
            self.limits.insert(0, "What trust/trusted_root.json says: it is not what your trust file says. Never use it.")

    def signatures(self) -> None:
        signed = [e for e in self.all if not e.until]
        asked = [(e.spki, pae(PAYLOAD_TYPE, e.payload), e.sig) for e in signed]
        for e in signed:
            if e.kind in ("actor.enrolled", "actor.key_rotated") and not e.newer and e.details["possession"]:
                d, kind = e.details, "application/vnd.strongroom.possession+json"
                key, sig = unbase64(d["key"]), unbase64(d["possession"])
                message = jcs({"actor": e.stream[1], "fingerprint": fingerprint(key, d["recipient"]), "invitation": d["invitation"],
                               "vault": self.trust.vault}).encode()
                if not strict_der(sig, low_s=True):
                    raise Stop("signatures", "possession", e.path)
                asked.append((key, pae(kind, message), sig))
        answers = self.openssl.verify_all(asked)
        for e, good in zip(signed, answers):
            if not good:
                raise Stop("signatures", "signature", e.path)
        if not all(answers):
            raise Stop("signatures", "possession")

    def inclusion(self) -> None:
        """Every leaf is in the tree of its checkpoint; all trees agree on the subtrees that their proofs share (log_fork)."""
        known: Dict[Any, bytes] = {}
        for e in self.all:
            try:
                root, whole = subtree_hashes(e.leaf_hash, e.index, e.checkpoint.size, e.proof)
            except Malformed as bad:
                raise Stop("inclusion", "proof", e.path) from bad
            if root != e.checkpoint.root:
                raise Stop("inclusion", "proof", e.path)
            for place, h in list(whole.items()) + [(e.checkpoint.size, root)]:
                if known.setdefault(place, h) != h:
                    raise Stop("checkpoint", "log_fork", e.path)

    def checkpoint(self) -> None:
        if self.trust.unsupported:
            raise Stop("checkpoint", "algorithm", "openssl cannot verify a log key of this type", "not_checked")
        self.openssl.verify_all([q for e in self.all for q in self.notary.questions(e.checkpoint)])
        for e in self.all:
            try:
                self.notary.check(e.checkpoint, None if e.until else e.log_id)
            except Stop as s:
                s.detail += f" ({e.path})"
                raise
            end = self.trust.log_ends.get(e.log_id, "")
            if end and e.time > end:
                raise Stop("checkpoint", "log_key_retired", e.path)
        if "log/checkpoint" not in self.package.entries:
            raise Stop("checkpoint", "checkpoint_missing", "log/checkpoint is not in the package", "not_checked")
        if self.published and self.package.read("log/checkpoint", MAX_NOTE) != self.published[0].checkpoint.note.encode():
            raise Stop("checkpoint", "checkpoint_file", "log/checkpoint is not that of log/heads.sigstore.json")

    def witnesses(self) -> None:
        policy = self.trust.policy
        if policy.quorum == "none":
            raise Stop("witnesses", *NOT_REQUIRED["witnesses"], "not_required")
        if not policy.met(policy.quorum, self.cosigned()):
            raise Stop("witnesses", "too_few", "the publication is not signed by the witnesses that the trust file asks for", "not_checked")

    def cosigned(self) -> Set[Tuple[str, bytes]]:
        return {key for p in self.published for key in self.notary.cosigners(p.checkpoint)}

    def audit(self) -> None:
        policy = self.trust.policy
        if "auditors" not in policy.groups:
            raise Stop("audit", *NOT_REQUIRED["audit"], "not_required")
        if not policy.met("auditors", self.cosigned()):
            raise Stop("audit", "too_few", "the publication is not signed by the auditors that the trust file asks for", "not_checked")

    def stamp(self, token: bytes, imprint: bytes, response: bool = False) -> Optional[float]:
        return self.openssl.stamp_time(token, imprint, self.trust.stamp_roots, self.trust.stamp_chain, response)

    def time(self) -> None:
        """Each event lies between the times of the states of the log around it (FORMATS §12)."""
        signed = [e for e in self.all if not e.until]
        bounds: List[Tuple[int, float]] = []
        if self.trust.policy.keys:
            for c in {e.checkpoint.note: e.checkpoint for e in self.all}.values():
                bounds += [(c.size, float(at)) for at in self.notary.cosigners(c).values()]
        if self.trust.stamp_roots and self.published:
            last = self.published[0].checkpoint
            for name in self.package.entries:
                if name.endswith(".tsr"):
                    at = self.stamp(self.package.read(name, MAX_RECEIPT), sha256(last.text), True)
                    bounds += [(last.size, at)] if at else []
        missing = 0
        for e in signed:
            own = [self.stamp(token, sha256(e.sig)) for token in e.stamps] if self.trust.stamp_roots else []
            upper = [at for at in own if at] + [at for size, at in bounds if size > e.index]
            lower = [at for size, at in bounds if size <= e.index]
            stated = moment(e.time).timestamp()
            if upper and stated > min(upper) + TOLERANCE or lower and stated <= max(lower) - TOLERANCE:
                raise Stop("time", "outside", e.path)
            missing += not upper
        if not self.trust.stamp_roots:
            raise Stop("time", *NOT_REQUIRED["time"], "not_required")
        if missing:
            raise Stop("time", "no_time_stamp", f"{missing} events have no time stamp that holds", "not_checked")

    def chain(self) -> None:
        """Every stream in the order of its events, without a gap (FORMATS §3)."""
        for stream, events in self.streams.items():
            def wrong(reason: str, e: Event) -> Stop:
                return Stop("chain", reason, e.path)

            if not events:
                raise Stop("chain", "missing_first", self.package.folder(stream))
            prev, seen = "", set()
            seqs = [e.seq for e in events]
            for i, e in enumerate(events):
                if e.stream != stream or not e.until and e.predicate["vault"] != self.trust.vault:
                    raise wrong("stream", e)
                if e.seq != i:
                    reason = ("missing_first" if 0 not in seqs else "swapped" if i in seqs and e.seq not in seqs[:i] else
                              "missing" if e.seq not in seqs[:i] else "duplicate" if e.leaf_hash in seen else "fork")
                    raise wrong(reason, e)
                if int(e.path.split("/")[-1][:6]) != e.seq:
                    raise wrong("missing", e)
                if not e.until and e.predicate["stream"]["prev"] != prev:
                    raise wrong("link", e)
                prev = e.leaf_hash.hex()
                seen.add(e.leaf_hash)

    def complete(self) -> None:
        """The publication, and the proved end of every stream that the statements name (FORMATS §7, §11)."""
        for stream in self.required():
            if stream not in self.streams:
                raise Stop("complete", "stream_missing", "/".join(stream))
        if not self.published:
            raise Stop("complete", "heads_missing", "log/heads.sigstore.json is not in the package", "not_checked")
        pub, m = self.published[0], self.package.manifest
        if pub.newer or pub.kind != "vault.heads" or pub.predicate["vault"] != self.trust.vault or pub.stream[1] != self.trust.vault:
            raise Stop("complete", "publication", pub.path)
        d = pub.details
        if d["covers"] != m["covers"] or pub.index < d["covers"] or d["entries"] != d["covers"] - len(d["void"]):
            raise Stop("complete", "covers", "package.json and the publication differ")
        for e in self.events:
            if e.index >= d["covers"]:
                raise Stop("complete", "covers", e.path)
        for stream, events in self.streams.items():
            self.check_end(stream, events, bytes.fromhex(d["root"]))
        if d["void"]:
            raise Stop("complete", "heads_void", "the publication names leaves that repeat a position or have no statement", "not_checked")

    def check_end(self, stream: Stream, events: List[Event], root: bytes) -> None:
        path = self.package.folder(stream) + "complete.json"
        tag, n = stream_tag(self.trust.vault, stream), len(events)
        try:
            proof = read_canonical(self.package.read(path, MAX_PROOFS), MAX_PROOFS)
            if not has_members(proof, "absent length member") or type(proof["length"]) is not int:
                raise Malformed("members")
            if proof["length"] != n:
                raise Stop("complete", "missing_last" if proof["length"] > n else "length", path)
            value = look_up(proof["member"], root, head_key(tag, n - 1))
            beyond = look_up(proof["absent"], root, head_key(tag, n))
        except Malformed as bad:
            raise Stop("complete", "heads_proof", f"{path}: {bad}") from bad
        if value != events[-1].leaf_hash:
            raise Stop("complete", "other_last", path)
        if beyond is not None:
            raise Stop("complete", "missing_last", path)

    def required(self) -> Set[Stream]:
        """Every stream that is named by a statement in the package; as all of these are read, also those that they name in turn."""
        named = {("item", i) for i in self.package.manifest["items"]} | {("policy", self.trust.vault)}
        for e in self.all:
            if e.until:
                continue
            p, d = e.predicate, e.predicate["details"]
            named |= {(h["type"], h["id"]) for h in p["relied_on"]} | {("consent", c["id"]) for c in p.get("consent", [])}
            actors = [e.signer, p["actor"].get("on_behalf_of"), p.get("counterparty", {}).get("actor"), d.get("advocate"), d.get("subject")]
            if e.kind == "grant.proposed" and not e.newer:
                actors.append(d["recipient"]["actor"])
            named |= {("actor", a) for a in actors if matches("act", a)}
            named |= {("item", i) for i in (d.get("source"), d.get("form")) if matches("itm", i)}
        return named

    def law(self) -> None:
        self.replay = Law({**self.streams, **{p.stream: [p] for p in self.published}}, self.trust)
        self.replay.replay()
        withheld = [e for e in self.events if e.until]
        skipped = self.replay.skipped
        if withheld:
            raise Stop("rules", "withheld", "A step is withheld until " + max(e.until for e in withheld) + ".", "not_checked")
        newer = skipped & {"kind", "field", "rule_version"}
        if newer:
            raise Stop("rules", min(newer), "A newer verifier is needed.", "not_checked")
        if skipped:
            raise Stop("rules", "out_of_scope", "rules that this program does not repeat: " + ", ".join(sorted(skipped)), "not_checked")

    def last_state(self, item: str) -> Item:
        stream = ("item", item)
        state = self.replay.states.get((stream, len(self.streams[stream]) - 1))
        need(isinstance(state, Item), "item")
        return state

    def exports(self) -> List[str]:
        """Each item's export by the reader of this package, with nonce and grant (FORMATS §11, §12): the content digests stated."""
        m, digests = self.package.manifest, []
        for item in m["items"]:
            state, events = self.last_state(item), self.streams["item", item]
            exports = [e for e in events if e.kind == "item.exported" and not e.newer and e.details["nonce"] == m["nonce"]
                       and e.details["form"] == "package" and e.details.get("grant", "") == m["grant"]]
            if not exports:
                withheld = any(e.until for e in events)
                raise Stop("content", "not_exported", "no such export is recorded", "not_checked" if withheld else "fail")
            last, grant = exports[-1], state.grants.get(m["grant"])
            reader = grant.terms["recipient"] if grant else None
            if m["grant"] and not reader or reader and reader["fingerprint"] != m["recipient"]:
                raise Stop("content", "not_granted", item)
            mine = fingerprint(last.spki, self.recipient_of(last.signer, last)) == m["recipient"]
            if reader["actor"] != last.signer if reader else not mine:
                raise Stop("content", "export_signer", last.path)
            digests.append(last.details["content"])
            missing = self.missing_notes(item, last)
            if missing:
                self.incomplete = self.incomplete or Stop("content", "note_missing", ", ".join(missing)[:300], "not_checked")
        return digests

    def recipient_of(self, actor: str, by: Event) -> str:
        """The age recipient of who signed an event, at that time."""
        keys = [e for e in self.streams["actor", actor] if e.kind in ("actor.enrolled", "actor.key_rotated") and not e.newer
                and e.details["key"] == b64(by.spki)]
        return keys[-1].details["recipient"] if keys else ""

    def missing_notes(self, item: str, export: Event) -> List[str]:
        """Notes that were recorded for the reader before the export, and are not in the package or are others (FORMATS §12)."""
        missing, grant = [], self.package.manifest["grant"]
        for e in self.streams["item", item]:
            if e.until or e.newer or e.seq > export.seq:
                continue
            of = e.details.get("id") if e.kind == "grant.proposed" else e.details.get("grant")
            for n in e.predicate["notes"]:
                path = "items/%s/notes/%06d-%s.age" % (item, e.seq, n["name"])
                if n["audience"] == "item" or n["audience"] == "recipient" and grant and of == grant:
                    if path not in self.package.entries:
                        missing.append(path)
        return missing

    def content(self) -> None:
        """Every ciphertext file is the one recorded (FORMATS §12); opening it is out of scope."""
        files = {f["path"]: (f["sha256"], f["size"]) for f in self.package.manifest["files"]}
        wanted: Dict[str, Tuple[str, Optional[int]]] = {}
        numbers: Dict[Tuple[str, int], str] = {}
        for item in self.package.manifest["items"]:
            base = f"items/{item}/"
            for e in self.streams["item", item]:
                if e.until or e.newer:
                    continue
                if e.kind == "item.deposited":
                    for part in ("evidence", "description"):
                        wanted[base + part + ".age"] = e.details[part]["sha256"], e.details[part]["size"]
                    if base + "evidence.age" in files and block_tree(self.package, base + "evidence.age") != e.details["evidence"]["tree"]:
                        raise Stop("content", "evidence_changed", base + "evidence.age")
                if e.kind == "item.amended":
                    wanted["%sdescription.%d.age" % (base, e.seq)] = e.details["description"]["sha256"], e.details["description"]["size"]
                for n in e.predicate["notes"]:
                    wanted["%snotes/%06d-%s.age" % (base, e.seq, n["name"])] = n["sha256"], n["size"]
            state = self.last_state(item)
            if state.exhibit and numbers.setdefault((state.case, state.exhibit), item) != item:
                raise Stop("rules", "exhibit", item)
            wanted[base + "key.age"] = state.envelopes.get(self.package.manifest["recipient"], ""), None
        for path, (digest, size) in files.items():
            if path.startswith("items/") and path.endswith(".age"):
                if path not in wanted or wanted[path][0] != digest or wanted[path][1] not in (None, size):
                    name = path.split("/")[2].split(".")[0]
                    raise Stop("content", {"notes": "note", "key": "envelope"}.get(name, name) + "_changed", path)
        for path in wanted:
            part = path.split("/")[2].split(".")[0]
            if part != "notes" and path not in files:
                raise Stop("content", {"key": "envelope"}.get(part, part) + "_missing", path, "not_checked")
        left_out = re.compile(r"package\.json|.*/events/.*|.*/complete\.json|log/.*")
        listed = [f for f in self.package.manifest["files"] if not left_out.fullmatch(f["path"])]
        if set(self.exports()) != {sha256(jcs(listed).encode()).hex()}:
            raise Stop("content", "export_changed", "the files are not those that were exported")
        raise self.incomplete or Stop("content", *NOT_REQUIRED["content"], "not_required")


def block_tree(p: Package, name: str) -> str:
    """RFC 6962 hash over consecutive blocks of 8 MiB of a file (FORMATS §8)."""
    leaves, h, filled = [], None, 0
    for chunk in p.chunks(name):  # of 1 MiB, so that blocks end where chunks end
        h = h or hashlib.sha256(b"\0")
        h.update(chunk)
        filled += 1
        if filled == 8:
            leaves, h, filled = leaves + [h.digest()], None, 0
    leaves += [h.digest()] if h else []
    if not leaves:
        return sha256(b"").hex()

    def root(hashes: List[bytes]) -> bytes:
        if len(hashes) == 1:
            return hashes[0]
        k = 1 << ((len(hashes) - 1).bit_length() - 1)
        return sha256(b"\1" + root(hashes[:k]) + root(hashes[k:]))
    return root(leaves).hex()


# ---- The report.

STAGES = [("package", "load"), ("signatures", "signatures"), ("inclusion", "inclusion"), ("checkpoint", "checkpoint"),
          ("witnesses", "witnesses"), ("time", "time"), ("chain", "chain"), ("complete", "complete"), ("audit", "audit"),
          ("rules", "law"), ("content", "content")]


class Report:
    """The verdict and what it rests on (FORMATS §12)."""

    def __init__(self) -> None:
        self.checks = {name: ("not_checked", "not_reached", "") for name in CHECKS}
        self.items: List[Json] = []
        self.events: List[Json] = []
        self.shows: List[str] = []
        self.does_not_show = list(LIMITS)
        self.vault, self.number = "", ""

    @property
    def verdict(self) -> str:
        results = {result for result, _, _ in self.checks.values()}
        return "refused" if "fail" in results else "incomplete" if "not_checked" in results else "verified"

    def open_all(self, reason: str, detail: str) -> None:
        """Nothing but the package's form could be checked."""
        for name in CHECKS:
            if self.checks[name][1] == "not_reached":
                self.checks[name] = "not_checked", reason, detail

    def run(self, v: Verifier) -> None:
        self.vault, self.number = v.trust.vault, v.trust.shown()
        for name, stage in STAGES:
            try:
                getattr(v, stage)()
                self.checks[name] = "pass", "", ""
            except Stop as s:
                self.checks[s.check] = s.result, s.reason, s.detail
                if s.result == "fail" or s.check == "package":
                    self.does_not_show = v.limits + OUT_OF_SCOPE
                    return
        self.does_not_show = v.limits + OUT_OF_SCOPE
        self.describe(v)

    def describe(self, v: Verifier) -> None:
        m, as_of = v.package.manifest, max((e.time for e in v.all if not e.until), default="")
        for item in m["items"]:
            events, state = v.streams["item", item], v.last_state(item)
            consents = []
            for name in state.consents:
                c = v.replay.states[("consent", name), len(v.streams["consent", name]) - 1]
                consents.append({"id": name, "version": c.version, "until": c.until})
                if c.withdrawn:
                    consents[-1]["withdrawn"] = c.withdrawn
            entry = {"id": item, "case": state.case, "exhibit": state.exhibit, "class": state.details["class"],
                     "content": state.details["content"], "steps": len(events), "sha256": state.details["evidence"]["sha256"],
                     "size": state.details["evidence"]["size"], "consent": consents, "recipient": m["recipient"], "nonce": m["nonce"],
                     "covers": m["covers"], "as_of": as_of}
            grant = state.grants.get(m["grant"])
            if grant:
                late = as_of > grant.terms["expires"]
                terms = {k: grant.terms[k] for k in ("actions", "purpose", "jurisdiction", "legal_basis", "onward", "not_before", "expires")}
                entry["share"] = {"grant": m["grant"], "status": grant.ended or ("expired" if late else "active"),
                                  "to": grant.terms["recipient_class"], **terms}
            self.items.append(entry)
            for e in events:
                self.events.append(self.step(item, e, v))
            self.shows.append(f"{item}: no step from 1 to {len(events)} is missing.")
        for e in v.streams["policy", v.trust.vault]:
            if e.kind == "vault.incident" and not e.newer:
                d = e.details
                self.does_not_show.append("What an incident did: {code}, scope {scope}, from {from}, until {until}.".format(
                    **{"until": "not ended", **d}))
        stated = [moment(e.time) for e in v.replay.in_log_order() if not e.until]
        latest, largest = stated[0], datetime.timedelta()
        for t in stated:
            latest, largest = max(latest, t), max(largest, latest - t)
        if largest > datetime.timedelta(seconds=2 * TOLERANCE):
            self.does_not_show.append(f"The order of stated times: they run against the order of the log by up to {largest}.")
        if self.checks["rules"][0] == "pass" and m["grant"]:
            self.shows.append("Consent or another legal ground, and two persons, stood behind the share.")

    def step(self, item: str, e: Event, v: Verifier) -> Json:
        if e.until:
            return {"item": item, "step": e.seq + 1, "entry": e.index, "leaf": e.leaf_hash.hex(), "until": e.until, "judged": False}
        a = e.predicate["actor"]
        why = v.replay.judged.get(e.path)
        return {"item": item, "step": e.seq + 1, "kind": e.kind, "time": e.time, "role": a["role"],
                "organization": a.get("organization", ""), "actor": a["id"], "entry": e.index, "leaf": e.leaf_hash.hex(),
                "judged": why is not None, **({"why": why} if why else {})}

    def as_json(self) -> str:
        checks = [{"name": n, "result": r, "reason": reason, "detail": detail} for n, (r, reason, detail) in self.checks.items()]
        return json.dumps({"verdict": self.verdict, "checks": checks, "items": self.items, "events": self.events, "shows": self.shows,
                           "does_not_show": self.does_not_show}, indent=1)

    def as_text(self) -> str:
        results = list(self.checks.items())
        open_checks = [(n, c) for n, c in results if c[0] == "not_checked" and c[1] != "not_reached"]
        steps, at = (self.items[0]["steps"], self.items[0]["as_of"]) if self.items else (0, "")
        lines = {"verified": [f"VERIFIED    Genuine, unchanged and complete up to step {steps}, {at}."],
                 "incomplete": [f"INCOMPLETE  Not verified: no contradiction found, but {len(open_checks)} checks could not be made."],
                 "refused": ["REFUSED     Do not rely on this package."]}[self.verdict]
        lines += [f"Why         {n}: {reason}. {detail}" for n, (r, reason, detail) in results if r == "fail"]
        lines += [f"Open        {n}: {reason}. {detail}" for n, (_, reason, detail) in open_checks]
        lines += [f"Not asked   {detail}" for _, (r, _, detail) in results if r == "not_required"]
        lines += [f"Not here    {line}" for line in OUT_OF_SCOPE]
        lines += ["Next        " + {"verified": "Keep package, trust file and this report together.",
                                    "incomplete": "Get what is missing, then verify again.",
                                    "refused": "Keep it unchanged. Tell the sender by another channel."}[self.verdict]]
        lines += ["", "This shows"] + ["  - " + s for s in self.shows] if self.shows else []
        lines += ["", "This does not show"] + ["  - " + s for s in self.does_not_show if s not in OUT_OF_SCOPE]
        for e in self.events:
            lines += [""] if e["step"] == 1 else []
            when = e.get("time") or "withheld until " + e["until"]
            lines.append("%5d  %s  entry %d  %s" % (e["step"], when, e["entry"], e.get("kind", "")))
            lines += ["       %s %s" % (e["role"], e["actor"])] if "role" in e else []
            lines += ["       Allowed: " + e["why"]] if "why" in e else []
        lines += ["", "Checks"] + ["  %-11s %s%s" % (n, r.replace("_", " "), f" ({reason})" if reason else "") for n, (r, reason, _) in results]
        if self.number:
            lines += ["", "Vault       " + self.vault, "Number      " + self.number, "            Is this the number the registry told you?"]
        return re.sub(r"[^ -~\n]", "?", "\n".join(lines))  # nothing from a package reaches a terminal but plain text


def verify(package: str, trust_file: Optional[str], folder: str) -> Report:
    """All checks of one package. Problems with the files themselves are OSError."""
    report = Report()
    with open(package, "rb") as f:
        try:
            p = Package(f)
        except (Malformed, struct.error) as e:
            report.checks["package"] = "fail", "container", f"not a court package in its proper form: {e}"
            return report
        try:
            check_manifest(p)
        except Stop as s:
            report.checks["package"] = s.result, s.reason, s.detail
            return report
        report.checks["package"] = "pass", "", ""
        if trust_file is None:
            report.open_all("trust_missing", "The trust file is missing: ask the registry.")
            return report
        with open(trust_file, "rb") as t:
            try:
                trust = Trust(t.read(MAX_TRUST + 1))
            except (Malformed, TypeError, KeyError, AttributeError) as e:
                report.open_all("trust_malformed", f"this is not a trust file: {e}")
                return report
        openssl = OpenSSL(folder)
        if not openssl.usable:
            report.open_all("openssl", "No openssl was found that verifies signatures correctly.")
            return report
        try:
            report.run(Verifier(p, trust, openssl))
        except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError, MemoryError) as e:
            report.open_all("internal", f"this program failed ({type(e).__name__}); take the package to another verifier")
            report.checks["rules"] = "not_checked", "internal", "this program failed"
    return report


def main() -> int:
    parser = argparse.ArgumentParser(description="Checks an evidence package of a Strongroom vault. Exit code: 0 verified, 1 refused, "
                                                 "2 incomplete.")
    parser.add_argument("package")
    parser.add_argument("trust", nargs="?", help="the vault's trust file, got from the registry and never from the package")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as folder:
            report = verify(args.package, args.trust, folder)
    except OSError as e:
        print(f"verify.py: {e}", file=sys.stderr)
        return 2
    print(report.as_json() if args.json else report.as_text())
    return {"verified": 0, "refused": 1, "incomplete": 2}[report.verdict]


if __name__ == "__main__":
    sys.exit(main())
