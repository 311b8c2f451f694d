#!/usr/bin/env python3
"""Checks an evidence package of a Strongroom vault:  python3 verify.py package.zip trust.json

With  --previous earlier.zip  it also checks that the vault's log goes on from where it was in a package that you got before; --json gives
the report to programs, --help says more. Exit code: 0 verified, 1 refused, 2 incomplete (something could not be checked).

Why one may read this: it is the whole of what a court needs to believe. It was written from the published text (formats.md, cited as
FORMATS; rules.md, cited as RULES; predicate.schema.json) and shares no code with the vault or with strongroom-verify; so that both agree
says more than either alone. Where that text left a question open, the answer was found by trying what strongroom-verify accepts. It needs
Python 3.9 or newer, nothing but its standard library, and the command `openssl` (3.0 or newer) for signatures and time stamps. It sends
nothing anywhere and writes only into a temporary folder, which it removes. It believes nothing in the package but what a key leads back to
that the trust file names; get the trust file from the registry, never from the package. A copy of this program lies in the package as
tools/verify.py; who doubts the package takes the program, too, from somewhere else.

What of FORMATS §12 it leaves to strongroom-verify, and says so in each report:
  - opening content: ciphertext files are compared with the record, but no identity is taken and nothing is decrypted;
  - ML-DSA-44 signatures where openssl is older than 3.5: what has one is `not_checked`, never verified;
  - packages with more than 64 MiB of events: they are `incomplete`. The largest that it takes need about a gigabyte of memory.
Which rules it repeats, and how, stands in one place: class Law. What that class does not judge is said at its beginning.

The parts, in this order: JSON and signatures; the archive and its list; the form of statements; receipts, checkpoints and proofs; time
stamps; the trust file; the rules; the eleven checks; the report.
"""
import argparse
import base64
import bisect
import concurrent.futures
import dataclasses
import datetime
import hashlib
import itertools
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import urllib.parse
import zlib
from typing import Any, BinaryIO, Callable, Dict, Iterator, List, Optional, Set, Tuple

OUT_OF_SCOPE = ["Opening the content: this program takes no key; strongroom-verify does."]
CHECKS = ["package", "signatures", "inclusion", "checkpoint", "witnesses", "time", "chain", "complete", "audit", "rules", "content"]

# FORMATS §1: sizes and numbers.
KIB, MIB = 1 << 10, 1 << 20
MAX_STATEMENT, MAX_RECEIPT, MAX_MANIFEST, MAX_TRUST = 64 * KIB, 64 * KIB, 16 * MIB, 256 * KIB
MAX_DIRECTORY, MAX_FILES, MAX_EVENTS, MAX_STREAMS = 24 * MIB, 120_000, 100_000, 20_000
MAX_BUNDLE, MAX_PROOFS, MAX_NOTE, MAX_STATES, MAX_LOADED = 192 * KIB, 48 * KIB, 32 * KIB, 64 * MIB, 64 * MIB
MAX_CONSISTENCY, MAX_GROWTH = 8 * MIB, 106
MAX_INT = 2**53 - 1
LAST_MOMENT = "9999-12-31T23:59:59.999Z"

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
    if len(b) > limit or b.count(b"{") + b.count(b"[") > 2 * MAX_FILES or b.count(b",") > 4 * MAX_FILES:
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


def milliseconds(t: datetime.datetime) -> int:
    return (t - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)) // datetime.timedelta(milliseconds=1)


def written(ms: int) -> str:
    """A time in milliseconds since 1970 as FORMATS §1 writes it."""
    try:
        return (datetime.datetime(1970, 1, 1) + datetime.timedelta(milliseconds=ms)).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    except OverflowError:
        return LAST_MOMENT


def after(t: str, seconds: int) -> str:
    """The time so many seconds after t, in the same form; such times sort as text."""
    try:
        return (moment(t) + datetime.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    except OverflowError:
        return LAST_MOMENT


# ---- Signatures (FORMATS §4): openssl does the arithmetic.

P256_PREFIX = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
ED25519_PREFIX = bytes.fromhex("302a300506032b6570032100")
MLDSA_PREFIX = bytes.fromhex("30820532300b06096086480165030403110382052100")

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
        self.folder, self.workers = folder, min(8, 2 * (os.cpu_count() or 1))
        self.known: Dict[Tuple[bytes, bytes, bytes], bool] = {}
        self.mldsa: Optional[bool] = None
        self.program = shutil.which("openssl")
        self.tested: Optional[bool] = None

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
        """ECDSA P-256 with SHA-256, Ed25519 or ML-DSA-44, as the key says."""
        question = sha256(spki), sha256(message), sig
        if question not in self.known:
            pem = b"-----BEGIN PUBLIC KEY-----\n" + base64.encodebytes(spki) + b"-----END PUBLIC KEY-----\n"
            key, signature = self.file(pem), self.file(sig)
            if spki.startswith((ED25519_PREFIX, MLDSA_PREFIX)):
                ok, out = self.run("pkeyutl", "-verify", "-pubin", "-inkey", key, "-rawin", "-in", self.file(message),
                                   "-sigfile", signature)
                self.known[question] = ok and "Signature Verified Successfully" in out
            else:
                ok, out = self.run("dgst", "-sha256", "-verify", key, "-signature", signature, stdin=message)
                self.known[question] = ok and out.strip() == "Verified OK"
        return self.known[question]

    def verify_all(self, questions: List[Tuple[bytes, bytes, bytes]]) -> List[bool]:
        new = [q for q in dict.fromkeys(questions) if (sha256(q[0]), sha256(q[1]), q[2]) not in self.known]
        with concurrent.futures.ThreadPoolExecutor(max_workers=self.workers) as pool:
            list(pool.map(lambda q: self.verify(*q), new))
        return [self.verify(*q) for q in questions]

    def usable(self) -> bool:
        """Whether there is an openssl that tells right from wrong; asked once."""
        if self.tested is None:
            self.tested = self.program is not None and self.self_test()
        return self.tested

    def self_test(self) -> bool:
        def right(key: str, sig: str) -> bool:
            spki, good = unbase64(key), unbase64(sig)
            return self.verify(spki, b"strongroom", good) and not self.verify(spki, b"Strongroom", good)
        return all(right(*pair) for pair in SELF_TEST)

    def knows_mldsa(self) -> bool:
        """Whether this openssl (3.5 or newer) verifies ML-DSA-44; asked once, with a key made for the question."""
        if self.mldsa is None:
            key, message = os.path.join(self.folder, "mldsa.pem"), self.file(b"strongroom")
            made = self.run("genpkey", "-algorithm", "ML-DSA-44", "-out", key)[0]
            made = made and self.run("pkeyutl", "-sign", "-inkey", key, "-rawin", "-in", message, "-out", key + ".sig")[0]
            made = made and self.run("pkey", "-in", key, "-pubout", "-outform", "DER", "-out", key + ".pub")[0]
            self.mldsa = False
            if made:
                with open(key + ".pub", "rb") as public, open(key + ".sig", "rb") as signature:
                    spki, sig = public.read(), signature.read()
                self.mldsa = (spki.startswith(MLDSA_PREFIX) and len(sig) == 2420 and self.verify(spki, b"strongroom", sig)
                              and not self.verify(spki, b"Strongroom", sig))
        return self.mldsa

    def issued(self, child: bytes, issuer: bytes) -> bool:
        """Whether the key of one certificate signed the other, whatever their dates."""
        question = sha256(child), sha256(issuer), b""
        if question not in self.known:
            ok, out = self.run("verify", "-partial_chain", "-auth_level", "1", "-no-CApath", "-no-CAstore", "-no_check_time",
                               "-CAfile", self.certificate(issuer), self.certificate(child))
            self.known[question] = ok and out.strip().endswith(": OK")
        return self.known[question]

    def certificate(self, raw: bytes) -> str:
        return self.file(b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(raw) + b"-----END CERTIFICATE-----\n")

    def stamped(self, response: bytes, imprint: bytes, root: bytes, at: int) -> bool:
        """Whether a time stamp is genuine at its own time, in seconds since 1970, under exactly this root."""
        ok, out = self.run("ts", "-verify", "-digest", imprint.hex(), "-in", self.file(response), "-CAfile", self.certificate(root),
                           "-attime", str(at), "-auth_level", "1", "-partial_chain")
        return ok and "Verification: OK" in out

    def listed_by(self, crl: bytes, issuer: bytes) -> bool:
        """Whether the key of a certificate signed a revocation list."""
        question = sha256(crl), sha256(issuer), b"crl"
        if question not in self.known:
            ok, out = self.run("crl", "-inform", "DER", "-in", self.file(crl), "-noout", "-CAfile", self.certificate(issuer))
            self.known[question] = ok and "verify OK" in out
        return self.known[question]


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
    r"|log/(checkpoint|heads\.sigstore\.json|consistency\.json|STAMP|[a-z0-9-]{1,32}\.crl|proofs/[A-Za-z0-9._-]+\.tlog-proof)"
    r"|items/ITEM/((evidence|description(\.[1-9][0-9]{0,5})?|key)\.age|notes/[0-9]{6}-[a-z_]{1,32}\.age)"
    r"|(items/ITEM|related/(RELATED))/(complete\.json|events/[0-9]{6}\.(sigstore|withheld)\.json)"
    .replace("ITEM", STREAM_ID["item"]).replace("RELATED", RELATED).replace("STAMP", r"[1-9][0-9]{0,15}-[a-z0-9-]{1,32}\.tsr"))
STAMP_NAME = re.compile(r"log/([1-9][0-9]{0,15})-[a-z0-9-]{1,32}\.tsr")
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
                        " builds:[build]0-64 timestamp_roots?:[hash]1-16",
    "vault.confirmed": "event:hash", "vault.recovered": "recovery:hash items:[itm]0-1000 cause:cause",
    "vault.restored": "backup:time before:count after:count",
    "vault.incident": "code:breach|outage|key_compromise|witness_alarm|data_damage from:time scope:vault|organization|case until?:time"}
MEMBERS = {name: {m.split(":", 1)[0].rstrip("?"): (m.split(":", 1)[1], "?:" in m) for m in text.split()}
           for name, text in OBJECTS.items()}
KINDS = {k for k in OBJECTS if "." in k}
BARRIERS = {"actor.key_rotated", "actor.suspended", "actor.revoked", "case.member_removed", "case.keyring_changed", "consent.given",
            "consent.narrowed", "consent.withdrawn", "consent.delegation_ended", "grant.revoked", "vault.confirmed", "vault.recovered"}  # RULES ‡
RECOVERY_WAIT, RECOVERY_TIME = 14 * 86400, 30 * 86400  # seconds that statements of one and of two trustees hold (RULES §3.7)
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
    good += [in_order(details["envelopes"])] if kind == "item.shredded" else []
    good += [in_order(details["items"])] if kind == "vault.recovered" else []
    good += [in_order(details.get("timestamp_roots", []))] if kind == "vault.configured" else []
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


def grows(old: int, old_root: bytes, new: int, new_root: bytes, proof: List[bytes]) -> bool:
    """Whether the tree of new leaves begins with the tree of old leaves (RFC 9162 §2.1.4.2)."""
    if not 0 < old < new or not proof:
        return False
    path = ([old_root] if old & (old - 1) == 0 else []) + proof
    fn, sn = old - 1, new - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    before = now = path[0]
    for h in path[1:]:
        if not sn:
            return False
        if fn & 1 or fn == sn:
            before, now = sha256(b"\1" + h + before), sha256(b"\1" + h + now)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            now = sha256(b"\1" + now + h)
        fn, sn = fn >> 1, sn >> 1
    return not sn and before == old_root and now == new_root


def read_consistency(data: bytes) -> List[Tuple[int, int, List[bytes]]]:
    """log/consistency.json (FORMATS §11): from, to and hashes of each proof."""
    c = read_canonical(data, MAX_CONSISTENCY)
    if not has_members(c, "proofs version") or c["version"] != 1 or type(c["version"]) is not int or not isinstance(c["proofs"], list):
        raise Malformed("consistency")
    proofs = []
    for p in c["proofs"]:
        if (not has_members(p, "from hashes to") or type(p["from"]) is not int or type(p["to"]) is not int or not 0 < p["from"] < p["to"]
                or not isinstance(p["hashes"], list) or not 1 <= len(p["hashes"]) <= MAX_GROWTH):
            raise Malformed("proof")
        proofs.append((p["from"], p["to"], [unbase64(h) for h in p["hashes"]]))
        if any(len(h) != 32 for h in proofs[-1][2]):
            raise Malformed("proof")
    if not in_order([(a, b) for a, b, _ in proofs]):
        raise Malformed("order of proofs")
    return proofs


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
        hashes = [unbase64(h) for h in w["hashes"]]
        if any(len(h) != 32 for h in hashes) or w["index"] < 0:
            raise Malformed("hashes")
    except Malformed as e:
        raise Stop("package", "withheld_form", path) from e
    try:
        note = Checkpoint.parse(w["checkpoint"])
    except Malformed as e:
        raise Stop("checkpoint", "log_signature", f"no checkpoint ({path})") from e
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


# ---- Time stamps (FORMATS §6). What openssl is too lenient about is read here, by the one form that the text gives.

SEQUENCE, SET, INTEGER, BITS, OCTETS, OID, GENERALIZED = 0x30, 0x31, 0x02, 0x03, 0x04, 0x06, 0x18
MAX_STAMP, MAX_CRL, MAX_LISTS, MAX_CHAIN = 16 * KIB, MIB, 8, 7
DEVELOPMENT = "DEVELOPMENT ONLY, PROVES NOTHING"
SECOND = 10**9  # times of stamps and certificates are nanoseconds since 1970


@dataclasses.dataclass(frozen=True)
class Der:
    """One element of DER: its tag, what is in it, and all of its bytes."""
    tag: int
    value: bytes
    raw: bytes

    def number(self) -> int:
        first = int.from_bytes(self.value[:2], "big") >> 7  # nine bits that are all alike say what eight could
        if not self.value or len(self.value) > 1 and first in (0, 0x1FF):
            raise Malformed("DER integer")
        return int.from_bytes(self.value, "big", signed=True)

    def fields(self, tag: int = SEQUENCE) -> "Fields":
        if self.tag != tag:
            raise Malformed("DER tag")
        return Fields(self.value)


class Fields:
    """The elements that stand one after the other, taken in their order. Every length has its shortest form."""

    def __init__(self, b: bytes) -> None:
        self.left: List[Der] = []
        at = 0
        while at < len(b):
            head, n = 2, b[at + 1] if at + 1 < len(b) else 128
            if n >= 128:
                head = 2 + n - 128
                n = int.from_bytes(b[at + 2:at + head], "big")
                if not 2 < head <= 6 or n < 128 or n < 1 << 8 * (head - 3):
                    raise Malformed("DER length")
            if b[at] & 31 == 31 or at + head + n > len(b):
                raise Malformed("DER")
            self.left.append(Der(b[at], b[at + head:at + head + n], b[at:at + head + n]))
            at += head + n

    def take(self, *tags: int) -> Der:
        if not self.left or self.left[0].tag not in tags:
            raise Malformed("DER tag")
        return self.left.pop(0)

    def maybe(self, *tags: int) -> Optional[Der]:
        return self.left.pop(0) if self.left and self.left[0].tag in tags else None

    def end(self) -> None:
        if self.left:
            raise Malformed("DER: more than there may be")


def der(b: bytes, limit: int) -> Der:
    """Exactly one element."""
    if len(b) > limit:
        raise Malformed("too large")
    f = Fields(b)
    e = f.left.pop(0) if f.left else None
    f.end()
    if e is None:
        raise Malformed("empty")
    return e


def oid(text: str) -> bytes:
    """An object identifier as it is written."""
    first, second, *rest = map(int, text.split("."))
    out = b""
    for n in [40 * first + second] + rest:
        digits = [n & 127]
        while n > 127:
            n >>= 7
            digits.insert(0, n & 127 | 128)
        out += bytes(digits)
    return bytes([OID, len(out)]) + out


def algorithm(name: str, parameters: bytes = b"") -> bytes:
    value = oid(name) + parameters
    return bytes([SEQUENCE, len(value)]) + value


NULL = b"\5\0"
HASHES = {algorithm("2.16.840.1.101.3.4.2.%d" % n): name for n, name in ((1, "sha256"), (2, "sha384"), (3, "sha512"))}
RSA_KEY, EC_KEY = oid("1.2.840.113549.1.1.1"), oid("1.2.840.10045.2.1")
RSA_SIGNATURE = algorithm("1.2.840.113549.1.1.1", NULL)
ECDSA_SIGNATURES = {algorithm("1.2.840.10045.4.3.%d" % n): name for n, name in ((2, "sha256"), (3, "sha384"), (4, "sha512"))}
TST_INFO, SIGNED_DATA = oid("1.2.840.113549.1.9.16.1.4"), oid("1.2.840.113549.1.7.2")
CONTENT_TYPE, MESSAGE_DIGEST = oid("1.2.840.113549.1.9.3"), oid("1.2.840.113549.1.9.4")
SIGNING_CERTIFICATE, SIGNING_CERTIFICATE_V2 = oid("1.2.840.113549.1.9.16.2.12"), oid("1.2.840.113549.1.9.16.2.47")
UNIT, TIME_STAMPING = oid("2.5.4.11"), oid("1.3.6.1.5.5.7.3.8")
BASIC, USAGE, PURPOSES, REASON, DELTA, PART = (oid("2.5.29.%d" % n) for n in (19, 15, 37, 21, 27, 28))


def der_time(e: Der) -> int:
    """The time of a certificate, a list or a stamp: UTC, to the second, or GeneralizedTime with a fraction that does not end in 0."""
    text = e.value.decode("ascii", "replace")
    found = re.fullmatch(r"(\d{14})(?:\.(\d{0,8}[1-9]))?Z", ("20" if text[:1] < "5" else "19") + text if e.tag == 0x17 else text)
    if e.tag not in (0x17, GENERALIZED) or not found or e.tag == 0x17 and found[2]:
        raise Malformed("time")
    try:
        at = datetime.datetime.strptime(found[1] + "+0000", "%Y%m%d%H%M%S%z")
    except ValueError as bad:
        raise Malformed("time") from bad
    if found[1][12:] > "59":  # which Python would take for a leap second
        raise Malformed("time")
    return milliseconds(at) * 10**6 + int((found[2] or "").ljust(9, "0"))


def extensions(e: Optional[Der]) -> Dict[bytes, Tuple[bool, bytes]]:
    """Whether each extension must be understood, and its value. None stands twice."""
    found: Dict[bytes, Tuple[bool, bytes]] = {}
    for x in Fields(e.value).left if e else []:
        f = x.fields()
        name, critical = f.take(OID).raw, f.maybe(1)
        if name in found or critical and critical.value not in (b"\0", b"\xff"):
            raise Malformed("extension")
        found[name] = bool(critical and critical.value == b"\xff"), f.take(OCTETS).value
        f.end()
    return found


@dataclasses.dataclass(frozen=True)
class Certificate:
    """What of an X.509 certificate a time stamp depends on."""
    raw: bytes
    serial: bytes
    issuer: bytes
    subject: bytes
    spki: bytes
    begin: int
    end: int
    names: Tuple[Tuple[bytes, str], ...]  # of the subject: kind and text
    more: Dict[bytes, Tuple[bool, bytes]]

    @classmethod
    def parse(cls, raw: bytes) -> "Certificate":
        outer = der(raw, 64 * KIB).fields()
        tbs, method, sig = outer.take(SEQUENCE).fields(), outer.take(SEQUENCE), outer.take(BITS)
        outer.end()
        tbs.maybe(0xA0)
        serial, same, issuer, dates = tbs.take(INTEGER), tbs.take(SEQUENCE), tbs.take(SEQUENCE), tbs.take(SEQUENCE).fields()
        subject, spki = tbs.take(SEQUENCE), tbs.take(SEQUENCE)
        tbs.maybe(0x81)
        tbs.maybe(0x82)
        last = tbs.maybe(0xA3)
        tbs.end()
        begin, end = dates.take(0x17, GENERALIZED), dates.take(0x17, GENERALIZED)
        dates.end()
        if same.raw != method.raw or sig.value[:1] != b"\0":
            raise Malformed("certificate")
        names = []
        for several in Fields(subject.value).left:
            for one in several.fields(SET).left:
                pair = one.fields()
                names.append((pair.take(OID).raw, pair.take(*range(256)).value.decode(errors="replace")))
        return cls(raw, serial.raw, issuer.raw, subject.raw, spki.raw, der_time(begin), der_time(end), tuple(names),
                   extensions(Fields(last.value).take(SEQUENCE) if last else None))

    def inside(self, name: bytes) -> Optional[Fields]:
        return der(self.more[name][1], 64 * KIB).fields() if name in self.more else None

    def name(self) -> Dict[str, str]:
        """Common name and organization."""
        return {word: text for kind, word in ((oid("2.5.4.3"), "commonName"), (oid("2.5.4.10"), "organization"))
                for name, text in reversed(self.names) if name == kind}

    def may_stamp(self) -> bool:
        """No certificate authority; for time stamping, critical and alone; its key is for signatures (FORMATS §6)."""
        basic, purposes = self.inside(BASIC), self.inside(PURPOSES)
        issues = basic.maybe(1) if basic else None
        usage = der(self.more[USAGE][1], 16).value if USAGE in self.more else b"\0\xff"
        return (not (issues and issues.value != b"\0") and purposes is not None and [p.raw for p in purposes.left] == [TIME_STAMPING]
                and self.more[PURPOSES][0] and len(usage) > 1 and usage[1] & 0xC0 != 0)


@dataclasses.dataclass(frozen=True)
class Stamp:
    """A time stamp whose form is right; that it is genuine is still to be shown."""
    raw: bytes
    at: int                          # nanoseconds since 1970
    accuracy: int                    # nanoseconds
    imprint: bytes
    signer: Certificate
    others: Tuple[Certificate, ...]

    def latest(self) -> int:
        """By when it was made, in milliseconds since 1970."""
        return (self.at + self.accuracy) // (SECOND // 1000)


def read_stamp(raw: bytes) -> Stamp:
    """A TimeStampResp in the one form of FORMATS §6."""
    def must(ok: Any) -> None:
        if not ok:
            raise Malformed("time stamp")

    answer = der(raw, MAX_STAMP).fields()
    must(answer.take(SEQUENCE).value == b"\2\1\0")
    token = answer.take(SEQUENCE).fields()
    answer.end()
    must(token.take(OID).raw == SIGNED_DATA)
    wrapped = token.take(0xA0).fields(0xA0)
    token.end()
    signed = wrapped.take(SEQUENCE).fields()
    wrapped.end()
    must(signed.take(INTEGER).value == b"\3")
    digest = signed.take(SET).value
    content, certificates, signers = signed.take(SEQUENCE).fields(), signed.take(0xA0).fields(0xA0).left, signed.take(SET).fields(SET)
    signed.end()
    must(digest in HASHES and content.take(OID).raw == TST_INFO)
    inner = content.take(0xA0).fields(0xA0)
    content.end()
    info = inner.take(OCTETS).value
    inner.end()
    listed = [c.raw for c in certificates]
    must(1 <= len(listed) <= MAX_CHAIN and in_order(listed))
    certs = [Certificate.parse(c) for c in listed]

    s = signers.take(SEQUENCE).fields()
    signers.end()
    must(s.take(INTEGER).value == b"\1")
    name = s.take(SEQUENCE).fields()
    issuer, serial = name.take(SEQUENCE).raw, name.take(INTEGER).raw
    name.end()
    found = [c for c in certs if (c.issuer, c.serial) == (issuer, serial)]
    must(len(found) == 1 and found[0].may_stamp())
    signer = found[0]
    must(s.take(SEQUENCE).raw == digest)
    attributes, method = s.take(0xA0).fields(0xA0).left, s.take(SEQUENCE).raw
    s.take(OCTETS)
    s.end()
    key = der(signer.spki, 64 * KIB).fields().take(SEQUENCE).fields().take(OID).raw
    must(key == RSA_KEY and method == RSA_SIGNATURE or key == EC_KEY and ECDSA_SIGNATURES.get(method) == HASHES[digest])
    must(in_order([a.raw for a in attributes]))
    said: Dict[bytes, Der] = {}
    for a in attributes:
        pair = a.fields()
        kind, values = pair.take(OID).raw, pair.take(SET).fields(SET).left
        pair.end()
        must(kind not in said and len(values) == 1)
        said[kind] = values[0]
    must(CONTENT_TYPE in said and said[CONTENT_TYPE].raw == TST_INFO and MESSAGE_DIGEST in said
         and said[MESSAGE_DIGEST].tag == OCTETS and said[MESSAGE_DIGEST].value == hashlib.new(HASHES[digest], info).digest())
    must({SIGNING_CERTIFICATE, SIGNING_CERTIFICATE_V2} & set(said))
    for kind in {SIGNING_CERTIFICATE, SIGNING_CERTIFICATE_V2} & set(said):
        first = said[kind].fields().take(SEQUENCE).fields().take(SEQUENCE).fields()
        by = "sha1"
        if kind == SIGNING_CERTIFICATE_V2:
            other = first.maybe(SEQUENCE)
            by = HASHES.get(algorithm_name(other), "") if other else "sha256"
        must(by and first.take(OCTETS).value == hashlib.new(by, signer.raw).digest())
    at, accuracy, imprint = read_tst_info(info)
    return Stamp(raw, at, accuracy, imprint, signer, tuple(c for c in certs if c is not signer))


def algorithm_name(e: Der) -> bytes:
    """An algorithm's identifier without parameters that say nothing."""
    f = e.fields()
    name, parameters = f.take(OID).raw, f.maybe(5)
    f.end()
    if parameters and parameters.value:
        raise Malformed("algorithm")
    return bytes([SEQUENCE, len(name)]) + name


def read_tst_info(raw: bytes) -> Tuple[int, int, bytes]:
    """Time, accuracy and imprint of a TSTInfo, in nanoseconds."""
    f = der(raw, MAX_STAMP).fields()
    version, _, imprint = f.take(INTEGER).number(), f.take(OID), f.take(SEQUENCE).fields()
    how, what = algorithm_name(imprint.take(SEQUENCE)), imprint.take(OCTETS).value
    imprint.end()
    f.take(INTEGER).number()
    at, accuracy, limit = der_time(f.take(GENERALIZED)), 0, f.maybe(SEQUENCE)
    if limit:
        parts = limit.fields()
        for tag, unit, most in ((INTEGER, SECOND, 3600), (0x80, SECOND // 10**3, 999), (0x81, SECOND // 10**6, 999)):
            part = parts.maybe(tag)
            n = part.number() if part else 0
            if not 0 <= n <= most:
                raise Malformed("accuracy")
            accuracy += n * unit
        parts.end()
    ordering, nonce = f.maybe(1), f.maybe(INTEGER)
    f.maybe(0xA0)
    more = f.maybe(0xA1)
    f.end()
    if (version != 1 or HASHES.get(how) != "sha256" or len(what) != 32 or ordering and ordering.value not in (b"\0", b"\xff")
            or nonce and nonce.number() is None or any(critical for critical, _ in extensions(more).values())):
        raise Malformed("TSTInfo")
    return at, accuracy, what


@dataclasses.dataclass(frozen=True)
class RevocationList:
    """A complete list of the keys that an issuer has withdrawn (FORMATS §6)."""
    raw: bytes
    issuer: bytes
    issued: int
    entries: Dict[bytes, Tuple[int, Optional[int]]]  # serial to date and reason

    @classmethod
    def parse(cls, raw: bytes) -> "RevocationList":
        outer = der(raw, MAX_CRL).fields()
        tbs, method, sig = outer.take(SEQUENCE).fields(), outer.take(SEQUENCE), outer.take(BITS)
        outer.end()
        version = tbs.maybe(INTEGER)
        same, issuer, issued = tbs.take(SEQUENCE), tbs.take(SEQUENCE), der_time(tbs.take(0x17, GENERALIZED))
        tbs.maybe(0x17, GENERALIZED)
        listed, last = tbs.maybe(SEQUENCE), tbs.maybe(0xA0)
        tbs.end()
        more = extensions(Fields(last.value).take(SEQUENCE) if last else None)
        entries = {}
        for e in Fields(listed.value).left if listed else []:
            f = e.fields()
            serial, date, reason = f.take(INTEGER).raw, der_time(f.take(0x17, GENERALIZED)), None
            said = extensions(f.maybe(SEQUENCE))
            f.end()
            if REASON in said:
                reason = der(said[REASON][1], 16).number()
            if any(critical for name, (critical, _) in said.items() if name != REASON):
                raise Malformed("entry")
            entries[serial] = date, reason
        if (version and version.value != b"\1" or same.raw != method.raw or sig.value[:1] != b"\0" or DELTA in more or PART in more
                or any(critical for critical, _ in more.values())):
            raise Malformed("not a complete list")
        return cls(raw, issuer.raw, issued, entries)

    def revokes(self, s: Stamp) -> bool:
        if s.signer.serial not in self.entries:
            return False
        date, reason = self.entries[s.signer.serial]
        return reason not in (0, 3, 4, 5) or date <= s.at


class Clock:
    """Tells which time stamps hold under the pinned roots, and what revocation lists say of who made them."""

    def __init__(self, roots: List[bytes], spans: List[Tuple[bytes, int, Optional[int]]], openssl: OpenSSL) -> None:
        self.roots, self.spans, self.openssl = [Certificate.parse(r) for r in roots], spans, openssl
        self.held: Dict[Tuple[bytes, bytes], Optional[Stamp]] = {}
        self.issuers: Dict[bytes, Certificate] = {}  # of a signer's certificate

    def hold(self, asked: List[Tuple[bytes, bytes]]) -> List[Optional[Stamp]]:
        """Of each response and message digest the time stamp, or None where it does not hold. Each is asked once."""
        new = [q for q in dict.fromkeys(asked) if q not in self.held]
        with concurrent.futures.ThreadPoolExecutor(max_workers=self.openssl.workers) as pool:
            self.held.update(zip(new, pool.map(lambda q: self.genuine(*q), new)))
        return [self.held[q] for q in asked]

    def genuine(self, raw: bytes, imprint: bytes) -> Optional[Stamp]:
        try:
            s = read_stamp(raw)
            root = self.chain(s)[-1]
        except Malformed:
            return None
        spans = [(begin, end) for key, begin, end in self.spans if key == s.signer.spki]
        if s.imprint != imprint or spans and not any(begin <= s.at and (end is None or s.at <= end) for begin, end in spans):
            return None
        return s if self.openssl.stamped(raw, imprint, root.raw, s.at // SECOND) else None  # openssl confuses roots of one name

    def chain(self, s: Stamp) -> List[Certificate]:
        """From the signer to a root. Exactly the certificates below that root are in the stamp, and all hold at its time."""
        chain, left = [s.signer], list(s.others)
        while True:
            child = chain[-1]
            roots = [r for r in self.roots if r.subject == child.issuer and self.openssl.issued(child.raw, r.raw)]
            above = roots or [c for c in left if c.subject == child.issuer and self.openssl.issued(child.raw, c.raw)]
            if not above or not child.begin <= s.at <= child.end or child.raw in {r.raw for r in self.roots}:
                raise Malformed("chain")
            if len(chain) == 1:
                self.issuers[s.signer.raw] = above[0]
            if roots:
                valid = [r for r in roots if r.begin <= s.at <= r.end]
                if left or not valid:
                    raise Malformed("chain")
                return chain + valid[:1]
            left.remove(above[0])
            chain.append(above[0])

    def development(self, s: Stamp) -> bool:
        return any((UNIT, DEVELOPMENT) in c.names for c in self.chain(s))

    def relied_on(self, s: Stamp, lists: List[RevocationList]) -> Optional[bool]:
        """Whether the signer's key could be relied on at that time; None where no list says it."""
        issuer, told = self.issuers[s.signer.raw], False
        for crl in lists:
            if crl.issuer == s.signer.issuer and self.openssl.listed_by(crl.raw, issuer.raw):
                if crl.revokes(s):
                    return False
                told = told or crl.issued >= s.at
        return True if told else None


# ---- What is trusted (FORMATS §10), and who vouches for a checkpoint (FORMATS §5).

FOUNDERS = {"administrator", "custodian", "vault"}
TRUSTED_ROOT = "application/vnd.dev.sigstore.trustedroot+json;version=0.1"


AUDITORS = "auditors"
LAST_SECOND = 253402300799


class Policy:
    """A C2SP tlog-policy text (FORMATS §5): witnesses, groups of them, the quorum asked for, and the log's own ML-DSA-44 key."""

    def __init__(self, text: str, origin: str) -> None:
        self.origin = origin
        self.keys: Dict[Tuple[str, bytes], bytes] = {}       # note key of a witness to public key
        self.names: Dict[str, Tuple[str, bytes]] = {}        # witness to note key
        self.groups: Dict[str, Tuple[int, List[str]]] = {}
        self.log: Dict[bytes, bytes] = {}                    # note key id to the log's ML-DSA-44 key
        self.places: Set[str] = set()
        self.quorum = "" if text else "none"
        if len(text) > 16 * KIB or len(text.splitlines()) > 256 or not re.fullmatch(r"[\t\n -~]*", text):
            raise Malformed("witness policy")
        for line in text.split("\n"):
            words = re.findall(r"[^ \t]+", line)
            if words and not words[0].startswith("#"):
                self.rule(words[0], words[1:])
        if not self.quorum:
            raise Malformed("no quorum")
        self.auditors = self.below(AUDITORS) if AUDITORS in self.groups else set()

    def rule(self, what: str, words: List[str]) -> None:
        known = {*self.names, *self.groups}
        if what == "witness" and len(words) == 3 and words[0] not in {"none", *known}:
            key, spki = self.key(words[1])
            place = url(words[2])
            if key[0] in {self.origin, *(name for name, _ in self.keys)} or spki in self.keys.values() or place in self.places:
                raise Malformed("one witness twice")
            self.names[words[0]], self.keys[key] = key, spki
            self.places.add(place)
        elif what == "group" and len(words) > 2 and words[0] not in {"none", *known}:
            members, taken = words[2:], {m for _, group in self.groups.values() for m in group}
            least = {"all": str(len(members)), "any": "1"}.get(words[1], words[1])
            if (not re.fullmatch("[0-9]{1,3}", least) or not 1 <= int(least) <= len(members) or len(set(members)) != len(members)
                    or not set(members) <= known or taken & set(members)):
                raise Malformed("group of witnesses")
            self.groups[words[0]] = int(least), members
        elif what == "quorum" and len(words) == 1 and not self.quorum and words[0] in {"none", *known}:
            self.quorum = words[0]
        elif what == "log" and 1 <= len(words) <= 2 and not self.log:
            (name, key_id), spki = self.key(words[0])
            if name != self.origin or not spki.startswith(MLDSA_PREFIX):
                raise Malformed("key of another log")
            self.log[key_id] = spki
        else:
            raise Malformed("witness policy")

    @staticmethod
    def key(text: str) -> Tuple[Tuple[str, bytes], bytes]:
        """A key as it is written: name and key id, and the public key."""
        name, number, last = (text.split("+", 2) + ["", ""])[:3]
        raw = unbase64(last)
        kind = {33: b"\x04", 1313: b"\x06"}.get(len(raw))
        if not name or sha256(name.encode() + b"\n" + raw)[:4].hex() != number or raw[:1] != kind:
            raise Malformed("key of a witness")
        return (name, bytes.fromhex(number)), (ED25519_PREFIX if raw[0] == 4 else MLDSA_PREFIX) + raw[1:]

    def below(self, name: str) -> Set[str]:
        """The witnesses in a group, and in groups in it."""
        return {w for m in self.groups[name][1] for w in self.below(m)} if name in self.groups else {name}

    def met(self, name: str, signed: Dict[str, int]) -> bool:
        if name in self.groups:
            least, members = self.groups[name]
            return sum(self.met(m, signed) for m in members) >= least
        return name == "none" or name in signed

    def by(self, signed: Dict[Tuple[str, bytes], int], end: Optional[int]) -> Dict[str, int]:
        """Its witnesses among those who signed, and when, in seconds since 1970: until its end, in milliseconds, if it has one."""
        return {w: signed[key] for w, key in self.names.items() if key in signed and (end is None or 1000 * signed[key] <= end)}


def url(text: str) -> str:
    """A witness's address, so that two spellings of one place are one."""
    try:
        u = urllib.parse.urlsplit(text)
        if u.scheme not in ("http", "https") or not u.hostname or "@" in u.netloc or u.query or u.fragment or text[-1] in "?#":
            raise ValueError
        return f"{u.scheme}://{u.netloc.lower()}{u.path.rstrip('/')}"
    except ValueError as e:
        raise Malformed("address of a witness") from e


def on_curve(spki: bytes) -> bool:
    """Whether a P-256 key, uncompressed, is a point of the curve."""
    p = 2**256 - 2**224 + 2**192 + 2**96 - 1
    b = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
    x, y = int.from_bytes(spki[-64:-32], "big"), int.from_bytes(spki[-32:], "big")
    return x < p and y < p and (y * y - x * x * x + 3 * x - b) % p == 0


class Trust:
    """The pinned trust file."""

    def __init__(self, data: bytes) -> None:
        t = read_canonical(data, MAX_TRUST)
        root = t.get("trusted_root") if isinstance(t, dict) else None
        names = "version vault trusted_root founders witness_policy timestamp_roots earlier_witness_policies?"
        if not (has_members(t, names) and t["version"] == 1
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
                or len({key for key, _ in self.founders.values()}) != len(roles)
                or not all(on_curve(key) for key, _ in self.founders.values())):
            raise Malformed("founders")
        if root["mediaType"] != TRUSTED_ROOT or root["certificateAuthorities"] or root["ctlogs"]:
            raise Malformed("trusted root")
        self.read_logs(root["tlogs"])
        self.policy_text = t["witness_policy"]
        self.policy = Policy(self.policy_text, self.vault)
        self.earlier = self.read_earlier(t["earlier_witness_policies"]) if "earlier_witness_policies" in t else []
        self.witness_keys: Dict[Tuple[str, bytes], bytes] = {}   # those of all policies: note key to public key
        self.log_mldsa: Dict[bytes, bytes] = {}                  # note key id to ML-DSA-44 key of the log
        self.auditors: Set[Tuple[str, bytes]] = set()            # keys of those who are auditors in any of them
        for p in [self.policy, *(p for p, _ in self.earlier)]:
            if (any(self.witness_keys.setdefault(k, v) != v for k, v in p.keys.items())
                    or any(self.log_mldsa.setdefault(k, v) != v for k, v in p.log.items())):
                raise Malformed("two keys of one name and key id")
            self.auditors |= {p.names[w] for w in p.auditors}
        self.stamp_roots = [unbase64(c) for c in t["timestamp_roots"]]
        for raw in self.stamp_roots:
            Certificate.parse(raw)
        if len(set(self.stamp_roots)) != len(self.stamp_roots):
            raise Malformed("a root twice")
        self.spans = [self.read_authority(a) for a in root["timestampAuthorities"]]
        self.outsiders = self.policy.quorum != "none" or bool(self.stamp_roots)  # whether third parties are asked about times

    def read_earlier(self, entries: Json) -> List[Tuple[Policy, int]]:
        """Policies of before, each with its end in milliseconds since 1970, the oldest first."""
        if not (isinstance(entries, list) and 1 <= len(entries) <= 16
                and all(has_members(e, "policy until") and isinstance(e["policy"], str) and matches("time", e["until"]) for e in entries)
                and [e["until"] for e in entries] == sorted(e["until"] for e in entries)):
            raise Malformed("earlier policies")
        return [(Policy(e["policy"], self.vault), milliseconds(moment(e["until"]))) for e in entries]

    def quorum(self, signed: Dict[Tuple[str, bytes], int]) -> bool:
        """Whether those who signed a checkpoint are the quorum of the policy in force or, at that time, of an earlier one (FORMATS §10)."""
        return self.policy.met(self.policy.quorum, self.policy.by(signed, None)) or any(
            p.quorum != "none" and p.met(p.quorum, p.by(signed, end)) for p, end in self.earlier)

    def audited(self, signed: Dict[Tuple[str, bytes], int]) -> bool:
        """The same of the auditors."""
        return any(AUDITORS in p.groups and p.met(AUDITORS, p.by(signed, end)) for p, end in [(self.policy, None), *self.earlier])

    def times(self, signed: Dict[Tuple[str, bytes], int]) -> Tuple[Optional[int], Optional[int]]:
        """When the quorum of one of the policies was met, in seconds since 1970: the first second by which, and the last since which, those
        who had signed by then, or signed from then on, are enough (FORMATS §12). Auditors come late: where they are enough, nothing says since when."""
        by: List[int] = []
        since: List[int] = []
        for p, end in [(self.policy, None), *self.earlier]:
            if p.quorum == "none":
                continue
            all_of_it = p.by(signed, end)
            late = {w: at for w, at in all_of_it.items() if p.names[w] in self.auditors}
            seconds = sorted(set(all_of_it.values()))
            by += [t for t in seconds if p.met(p.quorum, {w: at for w, at in all_of_it.items() if at <= t})][:1]
            if not p.met(p.quorum, late):
                since += [t for t in seconds if p.met(p.quorum, {w: at for w, at in all_of_it.items() if at >= t})][-1:]
        return min(by, default=None), max(since, default=None)

    def read_authority(self, a: Json) -> Tuple[bytes, int, Optional[int]]:
        """Key and span of an authority, whose chain leads to one of the roots."""
        if not (has_members(a, "certChain subject uri validFor") and has_members(a["validFor"], "start end?")
                and all(matches("time", v) for v in a["validFor"].values()) and has_members(a["subject"], "commonName? organization?")):
            raise Malformed("authority")
        chain = [Certificate.parse(unbase64(c["rawBytes"])) for c in a["certChain"]["certificates"]]
        if (not chain or chain[-1].raw not in self.stamp_roots or any(c.issuer != i.subject for c, i in zip(chain, chain[1:]))
                or {n: v for n, v in a["subject"].items() if v} != chain[0].name()):
            raise Malformed("authority")
        start, end = moment(a["validFor"]["start"]), moment(a["validFor"]["end"]) if "end" in a["validFor"] else None
        if end and end < start:
            raise Malformed("authority")
        return chain[0].spki, milliseconds(start) * 10**6, milliseconds(end) * 10**6 if end else None

    def read_logs(self, logs: List[Json]) -> None:
        self.log_keys: Dict[bytes, bytes] = {}               # log id to ECDSA key
        self.log_ends: Dict[bytes, str] = {}                 # log id to the end of its use
        self.note_keys: Dict[bytes, bytes] = {}              # note key id to key
        seen: Set[bytes] = set()
        for log in logs:
            try:
                key, details = unbase64(log["publicKey"]["rawBytes"]), log["publicKey"]["keyDetails"]
                log_id = unbase64(log["logId"]["keyId"])
                valid = log["publicKey"]["validFor"]
                if (log["baseUrl"] != "https://" + self.vault or log["hashAlgorithm"] != "SHA2_256" or log_id in seen
                        or not has_members(valid, "start end?") or not all(matches("time", v) for v in valid.values())
                        or valid.get("end", valid["start"]) < valid["start"]):
                    raise Malformed("log")
                seen.add(log_id)
            except (KeyError, TypeError) as e:
                raise Malformed("log") from e
            if not self.log_keys and (details != "PKIX_ECDSA_P256_SHA_256" or "end" in log["publicKey"]["validFor"]):
                raise Malformed("the first log key is the one in use")
            prefix = LOG_KEYS.get(details, b"?")
            if not key.startswith(prefix) or len(key) != len(prefix) + (64 if details.count("ECDSA") else 32):
                raise Malformed("log key")
            note_id = sha256(self.vault.encode() + b"\n\x01" + key[len(ED25519_PREFIX):])[:4]
            if details.count("ECDSA"):
                note_id = sha256(key)[:4]
                self.log_keys[log_id] = key
                self.log_ends[log_id] = log["publicKey"]["validFor"].get("end", "")
                if log_id != sha256(key) or not on_curve(key):
                    raise Malformed("log id")
            self.note_keys[note_id] = key
        if not self.log_keys:
            raise Malformed("no log")

    def shown(self) -> str:
        """The vault number as it is read out (FORMATS §9)."""
        return " ".join("%05d" % (int.from_bytes(self.number[i:i + 5], "big") % 100000) for i in range(0, 30, 5))


class Notary:
    """Verifies checkpoints, each once: by the log's pinned keys, and which witnesses and auditors signed them, and when."""

    def __init__(self, trust: Trust, openssl: OpenSSL) -> None:
        self.trust, self.openssl = trust, openssl
        self.cosigned: Dict[str, Dict[Tuple[str, bytes], int]] = {}  # note to key of a witness to seconds since 1970
        self.unread: Set[str] = set()                                # checks with a line that this openssl cannot verify

    def ask(self, checkpoints: List[Checkpoint]) -> None:
        """Verifies all lines of pinned keys at once."""
        asked = [self.question(c, *line) for c in checkpoints for line in c.lines]
        self.openssl.verify_all([q for q in asked if q and self.possible(q[0])])

    def possible(self, key: bytes) -> bool:
        return not key.startswith(MLDSA_PREFIX) or self.openssl.knows_mldsa()

    def question(self, c: Checkpoint, name: str, key_id: bytes, sig: bytes) -> Optional[Tuple[bytes, bytes, bytes]]:
        """What is signed by a line of a pinned key, and what the signature is; None for a stranger's. A wrong form has no signature."""
        if name == c.origin and key_id in self.trust.note_keys:
            key = self.trust.note_keys[key_id]
            good = len(sig) == 64 if key.startswith(ED25519_PREFIX) else strict_der(sig, low_s=False)
            return key, c.text, sig if good else b""
        log = name == c.origin and key_id in self.trust.log_mldsa
        key = self.trust.log_mldsa[key_id] if log else self.trust.witness_keys.get((name, key_id), b"")
        if not key:
            return None
        at, size = int.from_bytes(sig[:8], "big"), 64 if key.startswith(ED25519_PREFIX) else 2420
        good = len(sig) == 8 + size and (at > 0 or log) and at <= LAST_SECOND and len(name) < 256
        if size == 64:
            return key, b"cosignature/v1\ntime %d\n" % at + c.text, sig[8:] if good else b""
        origin = c.origin.encode()
        signed = (b"subtree/v1\n\0" + bytes([len(name.encode()) & 255]) + name.encode() + sig[:8] + bytes([len(origin)]) + origin
                  + struct.pack(">QQ", 0, c.size) + c.root)
        return key, signed, sig[8:] if good else b""

    def good(self, check: str, question: Tuple[bytes, bytes, bytes]) -> Optional[bool]:
        """Whether it verifies; None where openssl cannot tell."""
        if question[2] and not self.possible(question[0]):
            self.unread.add(check)
            return None
        return bool(question[2]) and self.openssl.verify(*question)

    def check(self, c: Checkpoint, log_id: Optional[bytes]) -> None:
        """Raises Stop unless this log key, or any of the pinned ones, signed, and no line of the log is wrong."""
        if c.origin != self.trust.vault:
            raise Stop("checkpoint", "origin", "the checkpoint is of another vault")
        keys = {sha256(k)[:4] for i, k in self.trust.log_keys.items() if log_id in (None, i)}
        if not any(name == c.origin and key_id in keys for name, key_id, _ in c.lines):
            raise Stop("checkpoint", "log_key", "the log key is not the trusted one")
        for name, key_id, sig in c.lines:
            asked = self.question(c, name, key_id, sig) if name == c.origin else None
            if asked and self.good("checkpoint", asked) is False:
                raise Stop("checkpoint", "log_signature", "the log's signature does not verify")

    def cosigners(self, c: Checkpoint) -> Dict[Tuple[str, bytes], int]:
        """The keys of witnesses and auditors of the pinned policies that signed this checkpoint, and when. Raises Stop for a wrong cosignature."""
        if c.note not in self.cosigned:
            signed = {}
            for name, key_id, sig in c.lines:
                if (name, key_id) in self.trust.witness_keys:
                    answer = self.good("witnesses", self.question(c, name, key_id, sig) or (b"", b"", b""))
                    if answer is False:
                        raise Stop("witnesses", "witness_signature", f"a cosignature by {name} is wrong")
                    if answer:
                        signed[name, key_id] = int.from_bytes(sig[:8], "big")
            self.cosigned[c.note] = signed
        return self.cosigned[c.note]


# ---- The rules (RULES §3, §4, §7), replayed in the order of the log.

STAFF = {"clinician", "investigator", "custodian", "auditor", "administrator"}
MEMBERS_OF_CASES = {"clinician", "investigator", "custodian", "auditor", "survivor", "advocate"}
RECIPIENTS = {"court", "prosecutor", "police", "defence"}
WEEK = 7 * 86400
NEVER = "~"  # sorts after every time
# What passes in the bin, after a shredding, and in a vault that was restored and is read-only (RULES §3.6, §3.7).
IN_BIN = {"item.verified", "item.received", "item.envelope_removed", "item.break_glass_reviewed", "item.shred_proposed", "item.shred_cancelled",
          "item.shredded", "retention.set", "hold.placed", "hold.confirmed", "hold.lifted", "grant.refused", "grant.revoked", "grant.expired",
          "grant.acknowledged"}
AFTER_SHRED = {"item.received", "item.break_glass_reviewed", "grant.acknowledged"}
READ_ONLY = {"item.opened", "item.break_glass", "item.exported", "item.verified", "item.envelope_removed", "grant.redeemed",
             "grant.acknowledged", "grant.refused", "grant.revoked", "grant.expired", "consent.narrowed", "consent.withdrawn",
             "consent.delegation_ended", "actor.suspended", "actor.revoked", "vault.heads", "vault.confirmed", "vault.restored",
             "vault.incident"}


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
    stated: Tuple[Any, ...] = ()     # a use of the recovery key that one trustee stated: key, items, cause
    trustee: Tuple[str, str, str] = ("", "", "")  # who stated it, of which organization, with which keys
    stated_until: str = ""           # when a second one comes too late; empty under rules 1 and 2
    recovered: Tuple[str, ...] = ()  # items that two trustees stated
    recovery: str = ""               # by which key
    recovered_until: str = ""        # when that is over
    restored: str = ""               # leaf of a restore that is not confirmed

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
    lapses: str                      # if nobody confirms it
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
class Bin:
    cause: str
    ready: str                       # when the wait is over
    proposer: str
    organization: str


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
    dates: Dict[str, Tuple[str, str, str]] = dataclasses.field(default_factory=dict)  # category to date, since when it binds, date before
    bin: Optional[Bin] = None
    shredded: bool = False


def fingerprint(key: bytes, recipient: str) -> str:
    """FORMATS §9."""
    return sha256(b"strongroom/actor/v1\0" + key + b"\0" + recipient.encode()).hex()


def need(ok: Any, reason: str) -> None:
    """A rule."""
    if not ok:
        raise Stop("rules", reason)


def size_of(state: Any, time: str) -> int:
    """What a state counts against the bound of FORMATS §12."""
    n, times = 0, 1
    if isinstance(state, Case):
        n = 2 * len(state.members) + len(state.keyring)
    elif isinstance(state, Item):
        n = len(state.envelopes) + len(state.consents) + len(state.holds) + len(state.openers) + len(state.unreviewed) + len(state.dates)
        n += sum(8 + len(g.terms["consent"]) + len(g.terms["actions"]) + len(g.approved) for g in state.grants.values())
        times += sum(h.secret > time for h in state.holds.values())
    elif isinstance(state, Consent):
        n = len(state.answers["courts"]) + len(state.delegations)
    elif isinstance(state, Actor):
        n = len(state.trustees)
    elif isinstance(state, PolicyState):
        n = len(state.recovered) + (len(state.stated[1]) if state.stated else 0)
    return times * (3 * KIB + 256 * n)


class Law:
    """Judges the events of a package, each by the states of the streams it relied on, and raises Stop at the first that is not lawful.

    Not judged, for it spans streams that a package does not hold: whether a key or form was used elsewhere, whether a case could be
    closed, whether identity items are kept apart, what was shown before a shredding (`dry_run`). Not judged either: texts of notes, and
    whether an event had to be withheld or stands on one that was.
    """

    def __init__(self, streams: Dict[Stream, List[Event]], trust: Trust) -> None:
        self.streams, self.trust, self.vault = streams, trust, trust.vault
        self.states: Dict[Tuple[Stream, int], Any] = {}
        self.sizes: Dict[Tuple[Stream, int], int] = {}
        self.held = 0
        self.skipped: Set[str] = set()
        self.judged: Dict[str, str] = {}  # path of an event to the ground of a release, or empty
        self.barriers = {s: [e for e in events if e.kind in BARRIERS] for s, events in streams.items()}
        self.unordered: Set[Tuple[Stream, int]] = set()  # events that are no barrier under the rules they were signed under
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
        newer = e.newer or ("rule_version" if e.kind == "vault.configured" and e.details["rules"] > 3 else "")
        if newer:
            self.skipped.add(newer)
            return own
        self.d = e.details
        self.expected_streams()
        need(own is not None or e.seq == 0 or e.kind == "vault.heads", "first")
        self.compare_subject()
        if e.stream[0] == "item":
            self.compare_fields()
        if "on_behalf_of" in self.p["actor"]:
            self.check_advocate(self.p["actor"]["on_behalf_of"])
        if isinstance(own, Item):
            need(not own.shredded or e.kind in AFTER_SHRED, "shredded")
            need(not own.bin or e.kind in IN_BIN or e.kind == "item.opened" and self.role == "survivor", "binned")
        policy = own if e.stream[0] == "policy" else self.relied.get(("policy", self.vault))
        need(e.kind in READ_ONLY or e.kind == "vault.recovered" and not self.d["items"] or not isinstance(policy, PolicyState) or not policy.restored, "restored")
        self.why = ""
        state = getattr(self, e.kind.replace(".", "_"))(own)
        self.judged[e.path] = self.why
        return state

    def keep(self, e: Event, state: Any) -> None:
        """Holds the last state of each stream, and earlier ones as long as an event still to come relies on them (FORMATS §12)."""
        self.states[e.stream, e.seq] = state
        self.sizes[e.stream, e.seq] = size_of(state, LAST_MOMENT if e.until else e.time)
        self.held += self.sizes[e.stream, e.seq]
        spent = [(e.stream, e.seq - 1)] + [((h["type"], h["id"]), h["seq"]) for h in e.predicate.get("relied_on", [])]
        for place in spent:
            later = (place[0], place[1] + 1) in self.states
            if place in self.states and self.last_use.get(place, -1) <= e.index and later:
                self.held -= self.sizes.pop(place, 0)
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
            need(not any(b.seq > h["seq"] and b.index < e.index and (stream, b.seq) not in self.unordered
                         for b in self.barriers[stream]), "stale_basis")
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
        elif e.kind == "vault.recovered" and own and own.at(self.t)["rules"] >= 3:
            named.add(("actor", own.trustee[0]))
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
        # The vault's new key publishes before it is confirmed, and does nothing else (RULES §3.7, version 3).
        publishes = e.kind == "vault.heads" and state.earlier and self.settings()["rules"] >= 3
        must((dataclasses.replace(state, active=True) if publishes else state).in_force(self.t), "key_not_in_force")
        must(state.role == self.role and state.organization == a.get("organization", ""), "role")

    def check_advocate(self, subject: str) -> None:
        """An advocate speaks for the subject of a consent, and only while it is delegated (RULES §3.5)."""
        consents = [self.own] if self.e.stream[0] == "consent" else [s for (kind, _), s in self.relied.items() if kind == "consent"]
        need(any(isinstance(c, Consent) and c.subject == subject and self.t < c.delegations.get(self.me, ([], ""))[1] for c in consents),
             "delegation")

    # Words for what the rules ask.

    def policy(self) -> PolicyState:
        state = self.own if self.e.stream[0] == "policy" else self.relied.get(("policy", self.vault))
        need(isinstance(state, PolicyState), "policy")
        return state

    def settings(self) -> Dict[str, Json]:
        return self.policy().at(self.t)

    def another_organization(self, first: str) -> None:
        """Where the policy asks for two organizations, the second person is of another one."""
        need(self.p["actor"].get("organization", "") != first or not self.settings()["policy"]["two_organizations"], "same_organization")

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
        """The consents that govern an item; of a consent form, from version 2 on, those that rest on it and that the event names."""
        named = [c["id"] for c in self.p.get("consent", [])]
        if own is not None and own.details["class"] == "consent_form" and self.settings()["rules"] < 2:
            return []
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
        return not h.lifted and self.t < h.expires and (h.confirmed or self.t < h.lapses)

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
            need(not source.bin and not source.shredded, "binned")
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
        recovering = self.p["purpose"] == "recovery" and self.role != "survivor" and self.settings()["rules"] >= 3
        if recovering:  # with the recovery key, after two trustees have stated it
            used = self.policy()
            need(used.recovery == fingerprint(b"", self.settings()["recovery"]), "not_recovered")
            need(self.t < used.recovered_until, "not_recovered")
            need(self.e.stream[1] in used.recovered and own.envelopes.get(used.recovery) == self.d["envelope"], "not_recovered")
        else:
            self.own_envelope(own, self.d["envelope"])
        if self.role == "survivor":
            need(self.subject_of(own) == self.me and self.p["purpose"] == "subject_access", "signer")
            self.why = "the item is about the signer"
            return own
        need(self.is_keyholder() and self.is_member("open"), "signer")
        self.why = ("two trustees stated this use of the recovery key; " if recovering else "") + "a keyholder with the right to open; "
        self.why += self.stands(own)
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
        expired = after(self.t, self.settings()["policy"]["backup_horizon"] if self.settings()["rules"] >= 2 else 0)
        need(to in own.envelopes and self.d["horizon"] >= expired, "envelope")
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

    # Retention and shredding.

    def retention_set(self, own: Item) -> Item:
        """What makes an item due earlier, the first date too, binds after the wait of the vault (RULES §3.6)."""
        need(self.decides(), "signer")
        now, name, date = self.dates(own), self.d["category"], self.d["due"]
        nearer = max({**now, name: date}.values()) < max(now.values(), default=NEVER)
        binds = after(self.t, self.settings()["policy"]["confirm_wait"]) if nearer else self.t
        return dataclasses.replace(own, dates={**own.dates, name: (date, binds, now.get(name, NEVER))})

    def dates(self, own: Item) -> Dict[str, str]:
        return {name: date if self.t >= binds else before for name, (date, binds, before) in own.dates.items()}

    def must_go(self, own: Item, cause: str) -> None:
        """The cause to shred an item is true now (RULES §3.6)."""
        consents = [self.consent(n) for n in self.governing(own)]
        if cause == "draft":
            need(not own.exhibit and own.details["class"] != "consent_form", "not_due")
        elif cause == "withdrawal":
            need(any(c.withdrawn or not self.keeps(c, own.details["content"]) for c in consents), "not_frozen")
        elif cause == "due":
            due = max(self.dates(own).values(), default=NEVER)
            need(min([due] + ([c.until for c in consents] if own.details["basis"] == "consent" else [])) <= self.t, "not_due")
        else:
            need(cause == "order" and self.p.get("authority", {}).get("basis") in ("court_order", "statutory_duty"), "authority")

    def is_held(self, own: Item) -> bool:
        return any(self.running(h) for h in own.holds.values())

    def item_shred_proposed(self, own: Item) -> Item:
        cause, limits = self.d["cause"], self.settings()["policy"]
        need(self.decides() and not own.bin, "signer")
        need(not self.is_held(own), "held")
        self.must_go(own, cause)
        need(cause != "order" or self.has_note("authority"), "note_missing")
        ready = after(self.t, limits["withdrawal_wait" if cause == "withdrawal" else "bin_wait"])
        return dataclasses.replace(own, bin=Bin(cause, ready, self.me, self.p["actor"].get("organization", "")))

    def item_shred_cancelled(self, own: Item) -> Item:
        need(self.decides() and own.bin, "signer")
        consents = [self.consent(n) for n in self.governing(own)]
        need(all(self.in_force(c) and self.keeps(c, own.details["content"]) for c in consents) or self.is_held(own), "frozen")
        return dataclasses.replace(own, bin=None)

    def item_shredded(self, own: Item) -> Item:
        need(self.decides() and own.bin and self.me != own.bin.proposer, "signer")
        self.another_organization(own.bin.organization)
        need(self.t >= own.bin.ready, "waiting")
        need(not self.is_held(own), "held")
        self.must_go(own, own.bin.cause)
        hidden = any(x.until for x in self.streams[self.e.stream][:self.e.seq])
        need(hidden or self.d["envelopes"] == sorted(own.envelopes), "envelopes")
        need({"records", "backups"} <= set(self.d["stores"])
             and self.d["horizon"] >= after(self.t, self.settings()["policy"]["backup_horizon"]), "stores")
        grants = {name: dataclasses.replace(g, ended=g.ended or "ended") for name, g in own.grants.items()}
        return dataclasses.replace(own, envelopes={}, copies=frozenset(), grants=grants, bin=None, shredded=True)

    # Holds.

    def hold_placed(self, own: Item) -> Item:
        d = self.d
        need(self.decides() and self.has_note("order") and d["hold"] not in own.holds, "signer")
        need(d["basis"] != "consent" and self.t < d["review"] <= d["expires"], "basis")
        secret = d.get("secret_until", "")
        need(not secret or self.t < secret <= min(d["expires"], after(self.t, 1827 * 86400)), "secret_until")
        holds = {**own.holds, d["hold"]: Hold(
            after(self.t, self.settings()["policy"]["hold_time"]), self.me, self.p["actor"]["organization"], d["expires"], secret)}
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

        def settled(current: Dict[str, Json], waiting: Optional[Dict[str, Json]], leaf: str, proposer: str, effect: str) -> PolicyState:
            return dataclasses.replace(own, current=current, waiting=waiting, waiting_leaf=leaf, proposer=proposer, effect=effect)

        now, plain = own.at(self.t), {"version", "builds"}
        changed = any(d.get(k) != now.get(k) for k in {*d, *now} - plain)
        if self.role == "vault":
            need(not changed, "signer")
            if own.waiting is None or now is own.waiting:
                return settled(d, None, "", "", "")
            return dataclasses.replace(own, current=d, waiting={**own.waiting, **{k: d[k] for k in plain}})
        need(self.role == "administrator", "signer")
        if self.drops(now, d) if now["rules"] < 2 else changed:
            return settled(now, d, self.e.leaf_hash.hex(), self.p["actor"]["organization"], "")
        return settled(d, None, "", "", "")

    def drops(self, old: Json, new: Json) -> bool:
        """Whether protection drops, as version 1 of the rules had it (RULES §3.7)."""
        a, b = old["policy"], new["policy"]
        return (any(old.get(k) != new.get(k) for k in ("recovery", "log_keys", "witness", "rules", "timestamp_roots"))
                or a["two_organizations"] > b["two_organizations"]
                or any(b[k] < a[k] for k in ("confirm_wait", "bin_wait", "withdrawal_wait"))
                or any(b[k] != a[k] for k in ("decision_time", "review_time", "hold_time", "backup_horizon")))

    def vault_confirmed(self, own: PolicyState) -> PolicyState:
        if own.restored and self.d["event"] == own.restored:
            need(self.role == "custodian", "signer")
            return dataclasses.replace(own, restored="")
        need(self.role == "custodian" and own.waiting and not own.effect and self.d["event"] == own.waiting_leaf, "signer")
        asked = own.current["policy"]["two_organizations"] or own.waiting["policy"]["two_organizations"]
        need(not asked or self.p["actor"]["organization"] != own.proposer, "same_organization")
        return dataclasses.replace(own, effect=after(self.t, own.current["policy"]["confirm_wait"]))

    def vault_restored(self, own: PolicyState) -> PolicyState:
        need(self.role == "vault", "signer")
        need(1 <= self.d["before"] <= self.d["after"] and self.d["backup"] <= self.t, "size")
        return dataclasses.replace(own, restored=self.e.leaf_hash.hex())

    def vault_recovered(self, own: PolicyState) -> PolicyState:
        """A use of the recovery key: two trustees state the same, one alone that nothing is to be opened (RULES §3.7)."""
        need(self.role == "trustee" and self.d["recovery"] == fingerprint(b"", self.settings()["recovery"]), "signer")
        lasting = self.settings()["rules"] < 3  # nothing ends, nothing is opened, nothing is ordered by it
        said = self.d["recovery"], tuple(self.d["items"]), self.d["cause"]
        nobody = dataclasses.replace(own, stated=(), trustee=("", "", ""), stated_until="")
        if lasting:
            self.unordered.add((self.e.stream, self.e.seq))
        if not said[1]:
            need(not lasting, "size")
            holds = own.recovery == said[0] and self.t < own.recovered_until
            need(holds or self.t < own.stated_until, "no_recovery")
            return dataclasses.replace(nobody, recovered=(), recovery="", recovered_until="")
        if said != own.stated or not (lasting or self.t < own.stated_until):
            me = self.me, self.p["actor"].get("organization", ""), self.actor(self.me).fingerprint
            return dataclasses.replace(own, stated=said, trustee=me, stated_until="" if lasting else after(self.t, RECOVERY_WAIT))
        need(self.me != own.trustee[0], "same_person")
        self.another_organization(own.trustee[1])
        if lasting:
            return nobody
        first = self.actor(own.trustee[0])
        need(first.in_force(self.t) and first.fingerprint == own.trustee[2], "actor_inactive")
        return dataclasses.replace(nobody, recovered=said[1], recovery=said[0], recovered_until=after(self.t, RECOVERY_TIME))

    def vault_incident(self, own: PolicyState) -> PolicyState:
        need(self.role in ("administrator", "auditor"), "signer")
        need(self.d["from"] <= self.d.get("until", self.d["from"]) <= self.t, "until")
        return own


# ---- The checks of FORMATS §12, in its order.

CONSISTENCY = "log/consistency.json"
NO_MLDSA = "This openssl does not know ML-DSA-44 (3.5 and newer do): signatures of that kind were not verified."
NOT_REQUIRED = {
    "witnesses": ("no_witness_required", "No independent witness was required: the vault's operator alone vouches that no other "
                                         "history exists."),
    "time": ("no_authority_required", "No time stamp was required: the times are those that the signers stated and the vault accepted."),
    "audit": ("no_auditor_required", "No auditor was required: the vault's operator alone vouches that its list of last steps is whole."),
    "content": ("no_identity", "The encrypted files are those recorded, but they were not opened."),
}
LIMITS = ["What README.html says or does: this program does not look at it.", "That the content is true, or that a court may use it.",
          "Which other items exist.", "Copies, and openings outside the service: whoever holds a key, with the operator or a stolen backup, "
          "opens an item without a trace.", "Whose hand held a key.",
          "What happens after a copy was taken: whoever opened an item may keep it, also after the vault has made the item unreadable.",
          "That what is withheld until a date had to be withheld: that is the vault's word until then.",
          "That an exhibit number was used only once: that is the vault's claim."]
ONE_HISTORY = "That all states of the record book named here belong to one history: the book's own key alone vouches for that."
NOT_REVOKED = "Whether a key that made a time stamp had been revoked by then: no revocation list in the package says so of all of them."
DEVELOPMENT_STAMP = ("The development authority made time stamps here: its key is in the hands of the vault's operator, so they prove nothing "
                     "to outsiders.")
TOLERANCE, WAIT = 120_000, 86_400_000  # milliseconds
FORK = "the record book has two histories: keep everything and tell an auditor"


class Verifier:
    """Makes the checks of one package, one after another; each ends quietly or raises Stop."""

    def __init__(self, package: Package, trust: Trust, openssl: OpenSSL, earlier: Optional[BinaryIO] = None) -> None:
        self.package, self.trust, self.openssl, self.earlier = package, trust, openssl, earlier
        self.notary, self.clock = Notary(trust, openssl), Clock(trust.stamp_roots, trust.spans, openssl)
        self.events: List[Event] = []
        self.streams: Dict[Stream, List[Event]] = {}
        self.limits = list(LIMITS)
        self.first: List[str] = []              # what is said in the first lines
        self.extends = ""                       # what is said of an earlier package
        self.bounds: Dict[str, Tuple[Optional[int], Optional[int], Optional[int]]] = {}  # of an event's file: after, by, stamped
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
        self.ends = {stream: self.read_end(self.package.folder(stream) + "complete.json") for stream in self.streams}
        self.events = [e for events in self.streams.values() for e in events]
        self.all = self.events + self.published
        self.proofs: List[Tuple[int, int, List[bytes]]] = []
        if CONSISTENCY in p.entries:
            try:
                self.proofs = read_consistency(p.read(CONSISTENCY, MAX_CONSISTENCY))
            except Malformed as bad:
                raise Stop("package", "consistency_form", str(bad)) from bad
        for name, pinned in (("trust/trusted_root.json", self.trust.root), ("trust/witness_policy", self.trust.policy_text.encode())):
            if name in p.entries and (p.entries[name].size != len(pinned) or b"".join(p.chunks(name)) != pinned):
                self.limits.insert(0, f"What {name} says: it is not what your trust file says. Never use it.")

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
        """Each state of the log is signed by a pinned key, and those that proofs tell of belong to one history."""
        name, self.final = "log/checkpoint", None
        if name in self.package.entries:
            try:
                self.final = Checkpoint.parse(self.package.read(name, MAX_NOTE).decode())
            except ValueError as bad:
                raise Stop("checkpoint", "checkpoint_file", f"{name} is no checkpoint: {bad}") from bad
        notes = [(e.checkpoint, e.path, None if e.until else e.log_id) for e in self.all]
        notes += [(self.final, name, None)] if self.final else []
        self.checkpoints = list({c.note: c for c, _, _ in notes}.values())
        self.notary.ask(self.checkpoints)
        for c, path, log_id in {(c.note, log_id): (c, path, log_id) for c, path, log_id in notes}.values():
            try:
                self.notary.check(c, log_id)
            except Stop as s:
                s.detail += f" ({path})"
                raise
        for e in self.all:
            end = self.trust.log_ends.get(e.log_id, "")
            if end and e.time > end:
                raise Stop("checkpoint", "log_key_retired", e.path)
        if self.published and self.final and self.final.text != self.published[0].checkpoint.text:
            raise Stop("checkpoint", "checkpoint_file", f"{name} is not that of log/heads.sigstore.json")
        self.states = {c.size: c.root for c in self.checkpoints}
        if any(self.states[c.size] != c.root for c in self.checkpoints):
            raise Stop("checkpoint", "log_fork", FORK)
        known = self.led(self.states)
        self.one_history = set(self.states) <= known
        before = self.look_back() if self.earlier else None
        if "checkpoint" in self.notary.unread:
            raise Stop("checkpoint", "algorithm", NO_MLDSA, "not_checked")
        if not self.final:
            raise Stop("checkpoint", "checkpoint_missing", f"{name} is not in the package", "not_checked")
        if before:
            raise before

    def led(self, states: Dict[int, bytes]) -> Set[int]:
        """From which of these states proofs lead to that of the publication. Raises Stop if one between two of them does not hold."""
        held: Dict[int, List[int]] = {}
        for old, new, proof in self.proofs:
            if old in states and new in states:
                if not grows(old, states[old], new, states[new], proof):
                    raise Stop("checkpoint", "consistency", f"the proof that the log only grew from {old} to {new} entries does not hold")
                held.setdefault(new, []).append(old)
        found, left = set(), [self.published[0].checkpoint.size] if self.published else []
        while left:
            size = left.pop()
            if size not in found:
                found.add(size)
                left += held.get(size, [])
        return found

    def look_back(self) -> Optional[Stop]:
        """Compares with an earlier package (FORMATS §12). Raises Stop at a fork; returns why the log is not known to extend that one."""
        def open_end(reason: str, detail: str) -> Stop:
            return Stop("checkpoint", reason, detail, "not_checked")

        try:
            old = Verifier(Package(self.earlier), self.trust, self.openssl) if self.earlier else self
            check_manifest(old.package)
            for step in (old.load, old.signatures, old.inclusion, old.checkpoint, old.witnesses, old.time, old.chain):
                try:
                    step()
                except Stop as s:  # what third parties have not yet signed may be missing, but nothing of it may be wrong
                    if s.result == "fail" or step not in (old.witnesses, old.time):
                        raise
            before = old.published[0].checkpoint
        except (Malformed, struct.error, IndexError) as bad:
            return open_end("previous_unusable", f"the earlier package cannot be used: {bad}")
        except Stop as s:
            return open_end("previous_unusable", f"the earlier package cannot be used: {s.check}, {s.reason} {s.detail}")
        if not self.published:
            return open_end("previous_unproven", "this package has no publication")
        now = self.published[0].checkpoint
        both = f"The earlier package: {before.size} entries, root {before.root.hex()}. This one: {now.size} entries, root {now.root.hex()}."
        for stream, events in old.streams.items():
            here = self.streams.get(stream)
            if here is not None and (any(a.leaf_hash != b.leaf_hash for a, b in zip(events, here))
                                     or len(here) < len(events) and now.size >= before.size):
                raise Stop("checkpoint", "log_fork", f"{FORK}. {both}")
        if self.states.get(before.size, before.root) != before.root:
            raise Stop("checkpoint", "log_fork", f"{FORK}. {both}")
        if before.size not in self.led({**self.states, before.size: before.root}):
            return open_end("previous_unproven", "nothing shows that the log goes on from where it was then. " + both)
        self.extends = (f"This log extends the one of the earlier package: {before.size} entries then, {now.size} now, and all steps that both "
                        "show are equal.")
        return None

    def witnesses(self) -> None:
        """A quorum of the pinned policies signed every state that the package stands on, and nobody's signature is wrong (FORMATS §12)."""
        missing = []
        if not self.one_history:
            self.limits.append(ONE_HISTORY)
        for c in self.checkpoints:
            if not self.trust.quorum(self.notary.cosigners(c)):
                missing.append(str(c.size))
        if "witnesses" in self.notary.unread:
            raise Stop("witnesses", "algorithm", NO_MLDSA, "not_checked")
        if missing:
            raise Stop("witnesses", "witness_missing", "the witnesses that the trust file asks for did not sign the states of "
                       + ", ".join(missing)[:200] + " entries", "not_checked")
        if self.trust.policy.quorum == "none":
            raise Stop("witnesses", *NOT_REQUIRED["witnesses"], "not_required")

    def audit(self) -> None:
        if AUDITORS not in self.trust.policy.groups:
            raise Stop("audit", *NOT_REQUIRED["audit"], "not_required")
        right_after = bool(self.final and self.published and self.final.size == self.published[0].index + 1)
        if not right_after or not self.trust.audited(self.notary.cosigners(self.final)):
            unread = any(self.trust.witness_keys[a].startswith(MLDSA_PREFIX) for a in self.trust.auditors) and not self.openssl.knows_mldsa()
            missing = "log/checkpoint is not the state right after the publication, signed by the auditors that the trust file asks for"
            raise Stop("audit", *(("algorithm", NO_MLDSA) if unread else ("audit_missing", missing)), "not_checked")

    def time(self) -> None:
        """The times that third parties vouch for (FORMATS §12): time stamps hold, and each event lies within its bounds."""
        over, own = self.stamps() if self.trust.stamp_roots else ({}, {})
        upper = {size: min(s.latest() for s in stamps) for size, stamps in over.items()}  # of each state, when it was there at the latest
        lower: Dict[int, int] = {}                                                        # and since when no witness had seen more
        for c in self.checkpoints:
            seen, last = self.trust.times(self.notary.cosigners(c))
            if seen is not None:
                upper[c.size] = min(1000 * seen, upper.get(c.size, 1000 * seen))
            if last is not None:
                lower[c.size] = max(1000 * last, lower.get(c.size, 1000 * last))
        with_it, without = sorted(upper), sorted(lower)
        earliest = list(itertools.accumulate((upper[size] for size in reversed(with_it)), min))[::-1]  # of this state and all larger ones
        latest = list(itertools.accumulate((lower[size] for size in without), max))                    # of this state and all smaller ones
        late, contradicted = 0, []
        for e in self.all:
            stamped = min((s.latest() for s in own.get(e.path, [])), default=None)
            larger, smaller = bisect.bisect_right(with_it, e.index), bisect.bisect_right(without, e.index)
            entered = earliest[larger] if larger < len(with_it) else None
            by = min([at for at in (entered, stamped) if at is not None], default=None)
            since = latest[smaller - 1] if smaller else None
            self.bounds[e.path] = since, by, stamped
            if not e.until and since is not None and entered is not None and since - entered > 2 * TOLERANCE:
                contradicted.append(e.path)
            elif not e.until:
                stated = milliseconds(moment(e.time))
                if by is not None and stated - TOLERANCE > by or since is not None and stated + TOLERANCE + WAIT < since:
                    others = [f"{word} {written(at)}" for word, at in (("after", since), ("by", by)) if at is not None]
                    raise Stop("time", "time_bounds", f"{e.path}: signed at {e.time}, as it says; entered " + ", ".join(others))
                late = max(late, since - stated if since is not None and stated + TOLERANCE < since else 0)
        if late:
            self.limits.append(f"When events that waited for their entry were signed: by up to {datetime.timedelta(milliseconds=late)} "
                               "they were entered later than they state.")
        if contradicted:
            raise Stop("time", "clocks_contradict", "the clocks of those who signed contradict each other: " + ", ".join(contradicted)[:300], "not_checked")
        if not self.trust.outsiders:
            raise Stop("time", *NOT_REQUIRED["time"], "not_required")
        if self.trust.stamp_roots:
            states = set(over)
            missing = [e.path for e in self.all if e.checkpoint.size not in states and not own.get(e.path)]
            missing += ["log/checkpoint"] if self.final and self.final.size not in states else []
            if missing:
                raise Stop("time", "timestamp_missing", ", ".join(missing)[:300], "not_checked")

    def stamps(self) -> Tuple[Dict[int, List[Stamp]], Dict[str, List[Stamp]]]:
        """The time stamps over states that the package stands on, and those over events' own signatures. Raises Stop for a wrong one."""
        asked = [(e.path, 0, raw, sha256(e.sig)) for e in self.all for raw in e.stamps]
        texts = {c.size: c.text for c in self.checkpoints}
        lists, listed = [], sorted(n for n in self.package.entries if n.startswith("log/") and n.endswith(".crl"))[:MAX_LISTS]
        for name, entry in self.package.entries.items():
            found = STAMP_NAME.fullmatch(name)
            if found and int(found[1]) in texts:
                raw = self.package.read(name, MAX_STAMP) if entry.size <= MAX_STAMP else b""
                asked.append((name, int(found[1]), raw, sha256(texts[int(found[1])])))
            if name in listed and entry.size <= MAX_CRL:
                try:
                    lists.append(RevocationList.parse(self.package.read(name, MAX_CRL)))
                except Malformed:
                    continue
        over: Dict[int, List[Stamp]] = {}
        own: Dict[str, List[Stamp]] = {}
        relied, development = True, False
        for (path, size, _, _), s in zip(asked, self.clock.hold([(raw, imprint) for _, _, raw, imprint in asked])):
            if s is None:
                raise Stop("time", "timestamp", f"a time stamp does not hold ({path})")
            answer = self.clock.relied_on(s, lists)
            if answer is False:
                raise Stop("time", "timestamp_revoked", f"the key had been revoked when it made a time stamp ({path})")
            relied, development = relied and bool(answer), development or self.clock.development(s)
            if size:
                over.setdefault(size, []).append(s)
            else:
                own.setdefault(path, []).append(s)
        if not relied:
            self.limits.append(NOT_REVOKED)
        if development:
            self.first.append(DEVELOPMENT_STAMP)
        return over, own

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

    def read_end(self, path: str) -> Dict[str, Json]:
        try:
            proof = read_canonical(self.package.read(path, MAX_PROOFS), MAX_PROOFS)
            if not has_members(proof, "absent length member") or type(proof["length"]) is not int:
                raise Malformed("members")
            return dict(proof)
        except Malformed as bad:
            raise Stop("complete", "heads_proof", f"{path}: {bad}") from bad

    def check_end(self, stream: Stream, events: List[Event], root: bytes) -> None:
        path, proof = self.package.folder(stream) + "complete.json", self.ends[stream]
        tag, n = stream_tag(self.trust.vault, stream), len(events)
        try:
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
        if withheld:
            raise Stop("rules", "withheld", "A step is withheld until " + max(e.until for e in withheld) + ".", "not_checked")
        if self.replay.skipped:
            raise Stop("rules", min(self.replay.skipped), "A newer verifier is needed.", "not_checked")

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
        self.first: List[str] = []

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
            finding = self.checks["witnesses"][0] == "not_checked"
            if name == "time" and finding and v.trust.outsiders and self.checks["time"][0] in ("pass", "not_required"):
                self.checks["time"] = "not_checked", "not_reached", ""
            if self.checks["package"][0] != "pass" or self.verdict == "refused":
                break
        self.first = v.first
        self.does_not_show = v.first + [d for _, (r, _, d) in self.checks.items() if r == "not_required"] + v.limits + OUT_OF_SCOPE
        if self.checks["package"][0] == "pass" and self.verdict != "refused":
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
                     "size": state.details["evidence"]["size"], "deposited": events[0].time, "opened": False, "consent": consents,
                     "recipient": m["recipient"], "nonce": m["nonce"],
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
        if largest > datetime.timedelta(milliseconds=2 * TOLERANCE):
            self.does_not_show.append(f"The order of stated times: they run against the order of the log by up to {largest}.")
        if self.checks["witnesses"][0] == "pass":
            self.shows.append("The witnesses that the trust file asks for signed every state of the record book that this package stands on.")
        if self.checks["time"][0] == "pass":
            self.shows.append("Each step was entered between the times that third parties vouch for, as far as they say any.")
        if self.checks["audit"][0] == "pass":
            self.shows.append("The auditors whom the trust file names were shown this list of last steps, and signed the state right after it.")
        if v.extends and self.verdict == "verified":
            self.shows.insert(0, v.extends)
        if self.checks["rules"][0] == "pass" and m["grant"]:
            self.shows.append("Consent or another legal ground, and two persons, stood behind the share.")

    def step(self, item: str, e: Event, v: Verifier) -> Json:
        since, by, stamped = v.bounds.get(e.path, (None, None, None))
        clocks: Json = {name: written(at) for name, at in (("after", since), ("by", by), ("stamped", stamped)) if at is not None}
        if e.until:
            return {"item": item, "step": e.seq + 1, "entry": e.index, "leaf": e.leaf_hash.hex(), "until": e.until, "judged": False, **clocks}
        stated = milliseconds(moment(e.time))
        drift = stated - by if by is not None and stated > by else stated - since if since is not None and stated < since else 0
        clocks.update({"drift_milliseconds": drift} if drift else {})
        a = e.predicate["actor"]
        why = v.replay.judged.get(e.path)
        return {"item": item, "step": e.seq + 1, "kind": e.kind, "time": e.time, "role": a["role"],
                "organization": a.get("organization", ""), "actor": a["id"], "entry": e.index, "leaf": e.leaf_hash.hex(),
                "judged": why is not None, **clocks, **({"why": why} if why else {})}

    def as_json(self) -> str:
        checks = [{"name": n, "result": r, "reason": reason, "detail": detail} for n, (r, reason, detail) in self.checks.items()]
        return json.dumps({"verdict": self.verdict, "checks": checks, "items": self.items, "events": self.events, "shows": self.shows,
                           "does_not_show": self.does_not_show}, indent=1)

    def as_text(self) -> str:
        results = list(self.checks.items())
        open_checks = [(n, c) for n, c in results if c[0] == "not_checked" and c[1] != "not_reached"]
        steps, at = (self.items[0]["steps"], self.items[0]["as_of"]) if self.items else (0, "")
        lines = {"verified": [f"VERIFIED    Genuine, unchanged and complete up to step {steps}, {at}."],
                 "incomplete": [f"INCOMPLETE  Not verified: no contradiction found, but {len(open_checks)} {'check' if len(open_checks) == 1 else 'checks'} could not be made."],
                 "refused": ["REFUSED     Do not rely on this package."]}[self.verdict]
        lines += [f"Why         {n}: {reason}. {detail}" for n, (r, reason, detail) in results if r == "fail"]
        lines += [f"Open        {n}: {reason}. {detail}" for n, (_, reason, detail) in open_checks]
        lines += [f"Note        {line}" for line in self.first]
        lines += [f"Not asked   {detail}" for _, (r, _, detail) in results if r == "not_required"]
        lines += [f"Not here    {line}" for line in OUT_OF_SCOPE]
        lines += ["Next        " + {"verified": "Keep package, trust file and this report together.",
                                    "incomplete": "Get what is missing, then verify again.",
                                    "refused": "Keep it unchanged. Tell the sender by another channel."}[self.verdict]]
        lines += ["", "This shows"] + ["  - " + s for s in self.shows] if self.shows else []
        said = OUT_OF_SCOPE + self.first + [detail for _, (r, _, detail) in results if r == "not_required"]
        lines += ["", "This does not show"] + ["  - " + s for s in self.does_not_show if s not in said]
        for e in self.events:
            lines += [""] if e["step"] == 1 else []
            when = e.get("time") or "withheld until " + e["until"]
            lines.append("%5d  %s  entry %d  %s" % (e["step"], when, e["entry"], e.get("kind", "")))
            lines += ["       %s %s" % (e["role"], e["actor"])] if "role" in e else []
            lines += ["       Allowed: " + e["why"]] if "why" in e else []
            words = ("after", "entered after"), ("by", "entered by"), ("stamped", "stamped by")
            clocks = [f"{text} {e[name]}" for name, text in words if name in e]
            drift = e.get("drift_milliseconds", 0)
            clocks += [f"the time stated is {datetime.timedelta(milliseconds=abs(drift))} too {'late' if drift > 0 else 'early'}"] if drift else []
            lines += ["       Others' clocks: " + ", ".join(clocks)] if clocks else []
        lines += ["", "Checks"] + ["  %-11s %s%s" % (n, r.replace("_", " "), f" ({reason})" if reason else "") for n, (r, reason, _) in results]
        if self.number:
            lines += ["", "Vault       " + self.vault, "Number      " + self.number, "            Is this the number the registry told you?"]
        return re.sub(r"[^ -~\n]", "?", "\n".join(lines))  # nothing from a package reaches a terminal but plain text


def verify(package: str, trust_file: Optional[str], earlier: Optional[str], openssl: OpenSSL) -> Report:
    """All checks of one package. Problems with the files themselves are OSError."""
    report = Report()
    with open(package, "rb") as f, open(earlier or os.devnull, "rb") as g:
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
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as e:
                report.open_all("trust_malformed", f"this is not a trust file: {e}")
                return report
        if not openssl.usable():
            report.open_all("openssl", "No openssl was found that verifies signatures correctly.")
            return report
        try:
            report.run(Verifier(p, trust, openssl, g if earlier else None))
        except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError, MemoryError) as e:
            report.open_all("internal", f"this program failed ({type(e).__name__}); take the package to another verifier")
            report.checks["rules"] = "not_checked", "internal", "this program failed"
    return report


ABOUT = """\
Checks a court package: that it is genuine, unchanged and complete. Nothing is
sent anywhere, nothing in the package is believed, and nothing is opened: for
that, take strongroom-verify.

  package     the file that you were sent, a .zip; leave it as it came
  trust       the vault's trust file. Get it from the registry, apart from any
              package, and compare the six groups of digits at the end of the
              report by telephone. Without it, nothing can be verified.
  --previous  a package that you got before from the same vault: checks that
              the vault's log extends the one you were shown then
  --json      the report for programs (formats.md, section 12)

The report begins with the result:
  VERIFIED    exit code 0. All that was asked for was checked, and holds. Read
              also what this does not show.
  REFUSED     exit code 1. Something is not as it must be. Do not rely on the
              package; keep it unchanged.
  INCOMPLETE  exit code 2. Nothing contradicts it, but something could not be
              checked: "Open" says what."""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter, add_help=False, allow_abbrev=False,
        usage="python3 verify.py [--json] [--previous earlier.zip] package.zip trust.json")
    for flag, more in (("package", {}), ("trust", {"nargs": "?"}), ("--previous", {}), ("--json", {"action": "store_true"})):
        parser.add_argument(flag, help=argparse.SUPPRESS, **more)
    parser.add_argument("-h", "--help", action="help", help=argparse.SUPPRESS)
    args = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as folder:
            report = verify(args.package, args.trust, args.previous, OpenSSL(folder))
    except OSError as e:
        print(f"verify.py: {e}", file=sys.stderr)
        return 2
    try:
        print(report.as_json() if args.json else report.as_text(), flush=True)
    except BrokenPipeError:  # whoever reads has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return {"verified": 0, "refused": 1, "incomplete": 2}[report.verdict]


if __name__ == "__main__":
    sys.exit(main())
