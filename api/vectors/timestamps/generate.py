#!/usr/bin/env python3
"""Writes the time-stamp vectors (FORMATS §6) into this folder.

Another implementation than ours: authorities and certificates of the command openssl (3.0 or newer), and DER put together by hand.
Every run makes new keys and new times. Each case says what a verifier answers ("expect"), and what openssl does ("openssl"), which
takes more spellings than one and knows no authority's span:

    openssl ts -verify -in RESPONSE -data MESSAGE -CAfile ROOTS -attime SECONDS

ROOTS are the trust file's timestamp_roots in PEM, SECONDS is the stamp's own time: its certificates need not hold today.
"""
import base64
import calendar
import json
import os
import re
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
MESSAGE = b"the raw signature, or the text of a checkpoint\n"
POLICY = "1.3.6.1.4.1.32473.1"
REFUSED = {"refuse": "time stamp does not hold"}
DEVELOPMENT = "DEVELOPMENT ONLY, PROVES NOTHING"

CONFIG = f"""
[ca]
default_ca = ca
[ca]
database = index
serial = serial
new_certs_dir = .
default_md = sha256
policy = any
unique_subject = no
[any]
organizationName = optional
organizationalUnitName = optional
commonName = supplied
[root]
basicConstraints = critical,CA:true
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[signer]
basicConstraints = critical,CA:false
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,timeStamping
[lax]
basicConstraints = critical,CA:false
extendedKeyUsage = timeStamping
[two]
basicConstraints = critical,CA:false
extendedKeyUsage = critical,timeStamping,codeSigning
[mail]
basicConstraints = critical,CA:false
extendedKeyUsage = critical,emailProtection
[none]
basicConstraints = critical,CA:false
[issuing]
basicConstraints = critical,CA:true
extendedKeyUsage = critical,timeStamping
[encipher]
basicConstraints = critical,CA:false
keyUsage = critical,keyEncipherment
extendedKeyUsage = critical,timeStamping
[tsa]
default_tsa = one
[one]
serial = tsserial
crypto_device = builtin
default_policy = {POLICY}
digests = sha1, sha256, sha512
signer_digest = sha256
accuracy = secs:1, millisecs:500, microsecs:100
clock_precision_digits = 3
ordering = no
tsa_name = yes
ess_cert_id_alg = sha1
[newer]
serial = tsserial
crypto_device = builtin
default_policy = {POLICY}
digests = sha256
signer_digest = sha256
accuracy = secs:1, millisecs:500, microsecs:100
ess_cert_id_alg = sha256
ess_cert_id_chain = yes
"""


def run(*args, stdin=b""):
    return subprocess.run(("openssl",) + args, input=stdin, check=True, capture_output=True).stdout


def write(name, data):
    with open(name, "wb") as f:
        f.write(data)
    return name


def read(name):
    with open(name, "rb") as f:
        return f.read()


# Certificates: NAME.key, NAME.pem, NAME.der

RSA, EC = ("RSA", "-pkeyopt", "rsa_keygen_bits:2048"), ("EC", "-pkeyopt", "ec_paramgen_curve:P-256")
EC384 = ("EC", "-pkeyopt", "ec_paramgen_curve:P-384")


def certificate(name, issuer=None, key=EC, section="signer", subject=None, start="20260101000000Z", end="20460101000000Z", reuse=None):
    if reuse:
        write(name + ".key", read(reuse + ".key"))
    else:
        run("genpkey", "-algorithm", *key, "-out", name + ".key")
    subject = subject or f"/O=Example/CN=Example {name}"
    run("req", "-new", "-key", name + ".key", "-subj", subject, "-out", "csr")
    by = ("-selfsign", "-keyfile", name + ".key") if issuer is None else ("-cert", issuer + ".pem", "-keyfile", issuer + ".key")
    run("ca", "-config", "config", "-batch", "-notext", "-preserveDN", *by, "-in", "csr", "-out", name + ".pem",
        "-extensions", section, "-startdate", start, "-enddate", end)
    write(name + ".der", run("x509", "-in", name + ".pem", "-outform", "DER"))


# DER

def tlv(tag, *parts):
    value = b"".join(parts)
    n = len(value)
    length = bytes([n]) if n < 128 else bytes([0x80 + (n.bit_length() + 7) // 8]) + n.to_bytes((n.bit_length() + 7) // 8, "big")
    return bytes([tag]) + length + value


def split(der):
    """The elements that stand one after the other, each with its header."""
    out = []
    while der:
        head, n = 2, der[1]
        if n >= 0x80:
            head, n = 2 + n - 0x80, int.from_bytes(der[2:2 + n - 0x80], "big")
        out.append(der[:head + n])
        der = der[head + n:]
    return out


def inside(element):
    return element[2 + (element[1] - 0x80 if element[1] >= 0x80 else 0):]


def oid(dotted):
    numbers = [int(n) for n in dotted.split(".")]
    out = bytes([40 * numbers[0] + numbers[1]])
    for n in numbers[2:]:
        part = bytes([n & 0x7f])
        while n > 0x7f:
            n >>= 7
            part = bytes([0x80 | n & 0x7f]) + part
        out += part
    return tlv(6, out)


SHA256, SHA512 = "2.16.840.1.101.3.4.2.1", "2.16.840.1.101.3.4.2.3"
GRANTED = tlv(0x30, tlv(2, b"\0"))


def info(at="20270301120000.25Z", digest="sha256", algorithm=SHA256, accuracy=b"", more=b"", version=1, message=MESSAGE):
    """A TSTInfo."""
    return tlv(0x30, tlv(2, bytes([version])), oid(POLICY),
               tlv(0x30, tlv(0x30, oid(algorithm), tlv(5)), tlv(4, run("dgst", "-" + digest, "-binary", stdin=message))),
               tlv(2, b"\x2a"), tlv(0x18, at.encode()), accuracy, more)


def cms(signer, content, *more, chain=(), cades=("-cades",), certificates=True):
    """A response of any signer over any content, as the command cms signs it, in the one form where that is possible."""
    if chain:
        write("chain.pem", b"".join(read(c + ".pem") for c in chain))
        more += ("-certfile", "chain.pem")
    if not certificates:
        more += ("-nocerts",)
    token = run("cms", "-sign", "-binary", "-nodetach", "-nosmimecap", "-econtent_type", "1.2.840.113549.1.9.16.1.4", "-outform", "DER", "-md",
                "sha256", *cades, "-signer", signer + ".pem", "-inkey", signer + ".key", *more, stdin=content)
    return one_form(tlv(0x30, GRANTED, token))


def change(response, status=None, **fields):
    """The response with other parts: version, digests, content, certificates, crls, signers of the signed data."""
    old, token = split(inside(response))[:2]
    kind, data = split(inside(token))
    part = dict(zip(("version", "digests", "content"), split(inside(inside(data)))))
    for element in split(inside(inside(data)))[3:]:
        part[{0xa0: "certificates", 0xa1: "crls", 0x31: "signers"}[element[0]]] = element
    part.update({k: v(part.get(k, b"")) if callable(v) else v for k, v in fields.items()})
    data = tlv(0x30, *(part.get(k, b"") for k in ("version", "digests", "content", "certificates", "crls", "signers")))
    return tlv(0x30, old if status is None else status, tlv(0x30, kind, tlv(0xa0, data)))


def signer_fields(signers, f):
    fields = split(inside(inside(signers)))
    return tlv(0x31, tlv(0x30, *f(fields)))


def one_form(response):
    """What nobody signed, spelled as FORMATS §6 says."""
    bare = lambda algorithm: tlv(0x30, split(inside(algorithm))[0])

    def signer(fields):
        fields = [f for f in fields if f[0] != 0xa1]
        fields[2] = bare(fields[2])
        rsa = oid("1.2.840.113549.1.1")[2:]
        named = split(inside(fields[4]))[0]
        fields[4] = tlv(0x30, oid("1.2.840.113549.1.1.1"), tlv(5)) if inside(named).startswith(rsa) else tlv(0x30, named)
        return fields
    return change(response, status=GRANTED, crls=b"", digests=lambda d: tlv(0x31, bare(inside(d))), signers=lambda s: signer_fields(s, signer),
                  certificates=lambda c: c and tlv(0xa0, *sorted(split(inside(c)))))


def unhurried(signer, content):
    """The same without the time of signing, which openssl cannot set back: a token need not have it."""
    def sign(fields):
        attributes = [a for a in split(inside(fields[3])) if oid("1.2.840.113549.1.9.5") not in a]
        signature = run("dgst", "-sha256", "-sign", signer + ".key", stdin=tlv(0x31, *attributes))
        return fields[:3] + [tlv(0xa0, *attributes), fields[4], tlv(4, signature)]
    return change(cms(signer, content), signers=lambda s: signer_fields(s, sign))


def reply(signer, *args, query=(), message=MESSAGE, chain=()):
    """What openssl's own authority answers."""
    write("message", message)
    run("ts", "-query", "-data", "message", *(query or ("-sha256", "-cert")), "-out", "query")
    if chain:
        write("chain.pem", b"".join(read(c + ".pem") for c in chain))
        args += ("-chain", "chain.pem")
    run("ts", "-reply", "-config", "config", "-queryfile", "query", "-signer", signer + ".pem", "-inkey", signer + ".key", *args, "-out", "reply")
    return read("reply")


# Cases

def trust(roots, authorities=()):
    with open(os.path.join(HERE, "..", "tlog", "trust.json")) as f:
        t = json.loads(next(v for v in json.load(f) if v["name"] == "least")["input"]["trust"])
    t["timestamp_roots"] = [b64(read(r + ".der")) for r in roots]
    for chain, start, end in authorities:
        t["trusted_root"]["timestampAuthorities"].append({
            "certChain": {"certificates": [{"rawBytes": b64(read(c + ".der"))} for c in chain]}, "uri": "https://time.example",
            "subject": {"commonName": "Example " + chain[0], "organization": "Example"}, "validFor": {"start": start, "end": end}})
    return json.dumps(t, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def b64(b):
    return base64.b64encode(b).decode()


def text_of(response):
    write("response", response)
    return subprocess.run(("openssl", "ts", "-reply", "-in", "response", "-text"), capture_output=True).stdout.decode("utf-8", "replace")


def when(response):
    found = re.search(r"^Time stamp: (\w{3}) +(\d+) (\d\d:\d\d:\d\d)(\.\d+)? (\d{4}) GMT$", text_of(response), re.M)
    if not found:
        return None
    month, day, clock, fraction, year = found.groups()
    return calendar.timegm(time.strptime(f"{month} {day} {clock} {year}", "%b %d %H:%M:%S %Y")), fraction or ""


def openssl(response, message, roots):
    """Whether the command in the heading of this file accepts."""
    at = when(response)
    write("response", response), write("message", message)
    write("roots.pem", b"".join(read(r + ".pem") for r in roots))
    done = subprocess.run(("openssl", "ts", "-verify", "-in", "response", "-data", "message", "-CAfile", "roots.pem",
                           "-attime", str(at[0] if at else int(time.time()))), capture_output=True)
    return "accept" if done.returncode == 0 else "refuse"


def cases():
    def case(name, response, expect=REFUSED, message=MESSAGE, roots=("root",), authorities=(), accuracy=0, authority="", development=False):
        given = {"trust": trust(roots, authorities), "message": b64(message), "response": b64(response)}
        if expect == "accept":
            at, fraction = when(response)
            given.update(time=time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + fraction + "Z", accuracy_microseconds=accuracy,
                         authority="Example " + authority, development=development)
        return {"name": name, "input": given, "openssl": openssl(response, message, roots), "expect": expect}

    def good(name, response, authority, **more):
        return case(name, response, "accept", authority=authority, **more)

    span = (("rsa", "root"), "2026-01-01T00:00:00.000Z", "2028-01-01T00:00:00.000Z")
    plain = cms("rsa", info())
    stated = 1_500_100
    raw = reply("rsa")
    yield good("an authority of openssl's, its certificate named by SHA-1", one_form(raw), "rsa", accuracy=stated)
    yield good("a message of no bytes", one_form(reply("rsa", message=b"")), "rsa", message=b"", accuracy=stated)
    yield good("ECDSA P-256", one_form(reply("ec")), "ec", accuracy=stated)
    yield good("ECDSA P-384 with SHA-384", cms("ec384", info(), "-md", "sha384"), "ec384")
    yield good("an intermediate certificate", one_form(reply("under", chain=["between"])), "under", accuracy=stated)
    yield good("two roots", one_form(reply("other")), "other", roots=("root", "stranger"), accuracy=stated)
    yield good("a fraction of a second", plain, "rsa")
    yield good("no fraction", cms("rsa", info("20270301120000Z")), "rsa")
    yield good("its certificate named by SHA-256", one_form(reply("rsa", "-section", "newer")), "rsa", accuracy=stated)
    yield good("within the authority's span", plain, "rsa", authorities=[span])
    yield good("an authority that the file does not list", cms("ec", info()), "ec", authorities=[span])
    yield good("an expired certificate, stamped before", unhurried("old", info("20240601000000Z")), "old")
    yield good("the development authority", cms("development", info()), "development", development=True)
    yield good("an authority under a development root", cms("childish", info()), "childish", roots=("toy",), development=True)

    yield case("another message", plain, message=MESSAGE + b" ")
    yield case("no root", plain, roots=())
    yield case("another root", plain, roots=("stranger",))
    yield case("stamped after the certificate ended", unhurried("old", info("20270301120000Z")))
    yield case("stamped before the certificate began", cms("rsa", info("20250301120000Z")))
    yield case("after the authority's span", cms("rsa", info("20290301120000Z")), authorities=[span])
    yield case("after its span, with a certificate issued again", cms("again", info("20290301120000Z")), authorities=[span])
    for name, what in (("lax", "extended key usage not critical"), ("two", "two extended key usages"), ("mail", "another extended key usage"),
                       ("none", "no extended key usage"), ("issuing", "a certificate authority's own certificate"),
                       ("encipher", "a key that is not for signatures")):
        yield case(what, cms(name, info()))
    yield case("without the intermediate certificate", cms("under", info()))
    yield case("the root itself", one_form(reply("rsa", chain=["root"])))
    yield case("a stranger's certificate beside", cms("rsa", info(), chain=["stranger"]))
    yield case("its certificate twice", change(plain, certificates=lambda c: tlv(0xa0, inside(c), inside(c))))
    yield case("without its certificate", cms("rsa", info(), certificates=False))
    yield case("names no certificate", cms("rsa", info(), cades=()))
    yield case("names another certificate", change(cms("rsa", info()), certificates=tlv(0xa0, read("twin.der"))))
    twin = change(one_form(raw), certificates=tlv(0xa0, read("twin.der")))
    yield case("names another certificate by SHA-1", twin)
    yield case("signed by two", two_signers(plain, cms("ec", info())))
    yield case("SHA-1", one_form(reply("rsa", query=("-sha1", "-cert"))))
    yield case("SHA-512", cms("rsa", info(digest="sha512", algorithm=SHA512)))
    yield case("a signature with SHA-1", cms("rsa", info(), "-md", "sha1"))
    yield case("a time of another zone", cms("rsa", info("20270301130000+0100")))
    yield case("a fraction that ends in zero", cms("rsa", info("20270301120000.250Z")))
    yield case("a second more than a day has", cms("rsa", info("20270301240000Z")))
    yield case("UTCTime", cms("rsa", info().replace(tlv(0x18, b"20270301120000.25Z"), tlv(0x17, b"270301120000Z" + b"....."))))
    yield case("version 2 of the content", cms("rsa", info(version=2)))
    yield case("two hours of accuracy", cms("rsa", info(accuracy=tlv(0x30, tlv(2, b"\x1c\x20")))))
    yield case("a negative accuracy", cms("rsa", info(accuracy=tlv(0x30, tlv(2, b"\xff")))))
    critical = tlv(0xa1, tlv(0x30, oid("1.2.3.4"), tlv(1, b"\xff"), tlv(4, b"x")))
    yield case("an extension that must be understood", cms("rsa", info(more=critical)))
    yield case("bytes after the content", cms("rsa", info() + b"\5\0"))
    yield case("content that is no time", cms("rsa", b"\x30\0"))

    yield case("as the authority answered: with a remark", raw)
    yield case("a remark", change(plain, status=tlv(0x30, tlv(2, b"\0"), tlv(0x30, tlv(12, b"Operation Okay")))))
    yield case("a failure beside", change(plain, status=tlv(0x30, tlv(2, b"\0"), tlv(3, b"\5\x20"))))
    yield case("a negative status", change(plain, status=tlv(0x30, tlv(2, b"\xff"))))
    yield case("granted with modifications", change(plain, status=tlv(0x30, tlv(2, b"\1"))))
    yield case("rejected", tlv(0x30, tlv(0x30, tlv(2, b"\2"), tlv(3, b"\5\x20"))))
    yield case("rejected, with a token", change(plain, status=tlv(0x30, tlv(2, b"\2"))))
    yield case("a token without a response", split(inside(plain))[1])
    yield case("digest algorithm with parameters", change(plain, digests=tlv(0x31, tlv(0x30, oid(SHA256), tlv(5)))))
    yield case("sha256WithRSAEncryption for rsaEncryption", change(plain, signers=lambda s: signer_fields(
        s, lambda f: f[:4] + [tlv(0x30, oid("1.2.840.113549.1.1.11"), tlv(5))] + f[5:])))
    yield case("an unsigned attribute", change(plain, signers=lambda s: signer_fields(
        s, lambda f: f + [tlv(0xa1, tlv(0x30, oid("1.2.3.4"), tlv(0x31, tlv(5))))])))
    yield case("a revocation list beside", change(plain, crls=tlv(0xa1, read("root.crl"))))
    yield case("certificates unsorted", change(one_form(reply("under", chain=["between"])),
                                               certificates=lambda c: tlv(0xa0, *reversed(split(inside(c))))))
    yield case("a certificate with bytes in it that nobody signed", change(plain, certificates=lambda c: tlv(
        0xa0, tlv(0x30, inside(inside(c)), tlv(5)))))
    def padded(certificates):
        return tlv(0xa0, *sorted(tlv(0x30, inside(c), tlv(5)) if c == read("between.der") else c for c in split(inside(certificates))))
    yield case("an intermediate certificate with such bytes", change(one_form(reply("under", chain=["between"])), certificates=padded))
    yield case("signed attributes unsorted", change(plain, signers=lambda s: signer_fields(
        s, lambda f: f[:3] + [tlv(0xa0, *reversed(split(inside(f[3]))))] + f[4:])))
    yield case("a length in a byte too many", b"\x30\x83\0" + plain[2:4] + plain[4:])
    yield case("of indefinite length", b"\x30\x80" + inside(plain) + b"\0\0")
    yield case("version 1 of the signed data", change(plain, version=tlv(2, b"\1")))
    yield case("a byte after it", plain + b"\0")
    yield case("cut short", plain[:-1])
    yield case("nothing", b"")


def two_signers(a, b):
    parts = {}
    for name in ("certificates", "signers"):
        change(b, **{name: lambda v: parts.setdefault(name, inside(v)) and v})
    return change(a, certificates=lambda c: tlv(0xa0, *sorted([inside(c), parts["certificates"]])),
                  signers=lambda s: tlv(0x31, *sorted([inside(s), parts["signers"]])))


def main():
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        write("config", CONFIG.encode()), write("index", b""), write("serial", b"1000\n"), write("tsserial", b"01\n"), write("crlnumber", b"01\n")
        certificate("root", key=RSA, section="root", start="20200101000000Z", end="20500101000000Z")
        certificate("stranger", section="root")
        certificate("toy", section="root", subject=f"/OU={DEVELOPMENT}/CN=Example toy")
        certificate("rsa", "root", RSA)
        certificate("again", "root", reuse="rsa", subject="/O=Example/CN=Example again")
        write("index", b""), write("serial", run("x509", "-in", "rsa.pem", "-noout", "-serial").split(b"=")[1])
        certificate("twin", "root", reuse="rsa", subject="/O=Example/CN=Example twin")
        write("serial", b"2000\n")
        for name in ("ec", "lax", "two", "mail", "none", "issuing", "encipher"):
            certificate(name, "root", section="signer" if name == "ec" else name)
        certificate("ec384", "root", EC384)
        certificate("old", "root", start="20240101000000Z", end="20250101000000Z")
        certificate("other", "stranger")
        certificate("between", "root", section="root")
        certificate("under", "between")
        certificate("development", "root", subject=f"/O=Example/OU={DEVELOPMENT}/CN=Example development")
        certificate("childish", "toy")
        run("ca", "-config", "config", "-gencrl", "-cert", "root.pem", "-keyfile", "root.key", "-crldays", "30", "-out", "crl.pem")
        write("root.crl", run("crl", "-in", "crl.pem", "-outform", "DER"))
        with open(os.path.join(HERE, "timestamps.json"), "w") as f:
            json.dump(list(cases()), f, indent=1)
            f.write("\n")


sys.exit(main())
