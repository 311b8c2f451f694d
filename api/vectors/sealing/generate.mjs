#!/usr/bin/env node
// Writes vectors.json, the sealing vectors (FORMATS §8, §9), into this folder.
//
// A second implementation: the age files are made by the JavaScript age library
// (npm install age-encryption@0.3.1, which brings @scure/base), hashes and cards
// by node:crypto. The product's code takes no part in what it is tested against.
// Each run makes other ciphertexts with the same verdicts.
import { writeFileSync } from "node:fs";
import { createHash, hkdfSync } from "node:crypto";
import { Encrypter, armor, identityToRecipient } from "age-encryption";
import { bech32, base32nopad } from "@scure/base";

const sha = (...parts) => {
  const h = createHash("sha256");
  for (const p of parts) h.update(p);
  return h.digest();
};
const utf8 = (s) => Buffer.from(s, "utf8");
const hybrid = (seed) =>
  bech32.encodeFromBytes("AGE-SECRET-KEY-PQ-", seed).toUpperCase();
const fixed = (name) => hybrid(sha(name));

const item = fixed("item key");
const otherItem = fixed("another item key");
const court = fixed("court");
const stranger = fixed("stranger");
const classic = bech32.encodeFromBytes("AGE-SECRET-KEY-", sha("classic")).toUpperCase();
const to = identityToRecipient;
const itemRecipient = await to(item);

async function encrypt(plaintext, ...identities) {
  const e = new Encrypter();
  for (const id of identities) e.addRecipient(await to(id));
  return Buffer.from(await e.encrypt(Uint8Array.from(plaintext)));
}
async function lock(plaintext, passphrase) {
  const e = new Encrypter();
  e.setPassphrase(passphrase);
  e.setScryptWorkFactor(4);
  return Buffer.from(await e.encrypt(Uint8Array.from(plaintext)));
}
const armored = (file) => utf8(armor.encode(Uint8Array.from(file)));
const flip = (file, at) => {
  file = Buffer.from(file);
  file[at < 0 ? file.length + at : at] ^= 1;
  return file;
};
const replace = (file, old, fresh) =>
  Buffer.from(file.toString("latin1").replace(old, fresh), "latin1");

function root(blocks) {
  if (blocks.length === 0) return sha();
  if (blocks.length === 1) return sha(Buffer.of(0), blocks[0]);
  let k = 1;
  while (2 * k < blocks.length) k *= 2;
  return sha(Buffer.of(1), root(blocks.slice(0, k)), root(blocks.slice(k)));
}
function tree(data) {
  const blocks = [];
  for (let at = 0; at < data.length; at += 8388608) blocks.push(data.subarray(at, at + 8388608));
  return root(blocks).toString("hex");
}
const pattern = (n) => Buffer.alloc(n, Buffer.from(Array.from({ length: 251 }, (_, i) => i)));

const vectors = [];
const add = (v) => vectors.push(v);
const b64 = (b) => b.toString("base64");

// The header alone: how many recipients are allowed, and what is wrong with it.
const payload = utf8("what was seen");
const good = await encrypt(payload, item);
const header = (name, file, most, want) => add({ kind: "header", name, file: b64(file), most, want });
header("one recipient", good, 1, "accept");
header("two recipients where two may be", await encrypt(payload, item, court), 2, "accept");
header("two recipients where one may be", await encrypt(payload, item, court), 1, "header_too_many");
header("X25519", await encrypt(payload, classic), 1, "header_stanza_type");
header("hybrid and X25519", await encrypt(payload, item, classic), 2, "header_stanza_type");
header("passphrase", await lock(payload, "p"), 1, "header_stanza_type");
header("armored", armored(good), 1, "header_armored");
header("empty", Buffer.alloc(0), 1, "header_truncated");
header("cut in the nonce", good.subarray(0, 1640), 1, "header_truncated");
header("not age", utf8("PK\x03\x04 and so on, longer than the first line"), 1, "header_not_age");
header("version 2", replace(good, "/v1\n", "/v2\n"), 1, "header_not_age");
header("carriage return", replace(good, "/v1\n", "/v1\r\n"), 1, "header_not_age");
header("grease", replace(good, "\n--- ", "\n-> x-grease a\n\n--- "), 2, "header_stanza_type");
header("no recipient", replace(good, /-> [^]*?\n--- /, "--- "), 1, "header_malformed");
header("second argument", replace(good, /(-> \S+ \S+)\n/, "$1 AA\n"), 1, "header_malformed");
header("long mac", replace(good, "\n--- ", "\n--- A"), 1, "header_malformed");

// Evidence: what one pass must yield.
const evidence = (name, file, key, want, plaintext) =>
  add({
    kind: "evidence", name, file: b64(file), key, want,
    ...(plaintext && {
      plaintext: { sha256: sha(plaintext).toString("hex"), size: plaintext.length },
      ciphertext: { sha256: sha(file).toString("hex"), size: file.length },
      tree: tree(file),
    }),
  });
evidence("short", good, item, "accept", payload);
const empty = await encrypt(Buffer.alloc(0), item);
evidence("empty", empty, item, "accept", Buffer.alloc(0));
const twoChunks = pattern(65537);
evidence("two chunks", await encrypt(twoChunks, item), item, "accept", twoChunks);
evidence("another key", good, otherItem, "not_for_you");
evidence("last byte flipped", flip(good, -1), item, "damaged");
evidence("nonce flipped", flip(good, 1630), item, "damaged");
evidence("cut short", good.subarray(0, good.length - 1), item, "damaged");
evidence("byte after the end", Buffer.concat([good, Buffer.of(0)]), item, "damaged");
evidence("mac of another file", Buffer.concat([good.subarray(0, 1583), empty.subarray(1583, 1627), good.subarray(1627)]), item, "damaged");
evidence("two recipients", await encrypt(payload, item, court), item, "header_too_many");
evidence("X25519", await encrypt(payload, classic), item, "header_stanza_type");

// The tree alone, over n bytes of 0, 1, …, 250, 0, 1, …
for (const n of [0, 1, 8388607, 8388608, 8388609, 2 * 8388608, 3 * 8388608 + 1, 5 * 8388608])
  add({ kind: "tree", name: `${n} bytes`, size: n, tree: tree(pattern(n)), want: "accept" });

// Notes and labels.
const size = (recipients, plaintext) => 70 + 1557 * recipients + 32 + plaintext;
const fit = (text, recipients = 1) => {
  const b = utf8(text);
  return Buffer.concat([b, Buffer.alloc((512 - (size(recipients, b.length) % 512)) % 512, " ")]);
};
async function text(kind, name, plaintext, text, want, keys = [item], key = item) {
  add({ kind, name, file: b64(await encrypt(plaintext, ...keys)), key, want, ...(want === "accept" && { text }) });
}
for (const kind of ["note", "label"]) {
  await text(kind, "plain", fit("she said: وجع\n"), "she said: وجع", "accept");
  await text(kind, "empty", fit("\n"), "", "accept");
  await text(kind, "ends in spaces and lines", fit("a  \n \n\n"), "a  \n \n", "accept");
  await text(kind, "no line feed", fit("a"), "", "content");
  await text(kind, "not padded", utf8("a\n"), "", "content");
  await text(kind, "padded too far", Buffer.concat([fit("a\n"), Buffer.alloc(512, " ")]), "", "content");
  await text(kind, "padded with zeros", Buffer.from(fit("a\n").map((b) => (b === 32 ? 0 : b))), "", "content");
  await text(kind, "not UTF-8", Buffer.concat([Buffer.of(0xff), fit("\n").subarray(0, -1)]), "", "content");
  await text(kind, "another key", fit("a\n"), "", "not_for_you", [item], stranger);
}
await text("note", "three recipients", fit("order 7\n", 3), "order 7", "accept", [stranger, court, item], court);
await text("label", "two recipients", fit("a\n", 2), "", "header_too_many", [item, court]);
await text("label", "over 8 KiB", fit("x".repeat(8192) + "\n"), "", "too_large");
await text("note", "over 64 KiB", fit("x".repeat(65536) + "\n"), "", "too_large");

// Descriptions.
async function description(name, plaintext, object, want) {
  add({ kind: "description", name, file: b64(await encrypt(plaintext, item)), key: item, want, ...(object && { text: object }) });
}
const pad = (s, n) => utf8(s + " ".repeat(n - utf8(s).length));
await description("plain", pad('{"name":"é.jpg"}', 4096), '{"name":"é.jpg"}', "accept");
const exact = '{"a":"' + "x".repeat(4088) + '"}';
await description("exactly one block", utf8(exact), exact, "accept");
await description("not padded", utf8("{}"), "", "content");
await description("padded too far", pad("{}", 8192), "", "content");
await description("nothing but spaces", pad("", 4096), "", "content");
await description("line feed", pad("{}\n", 4096), "", "content");
await description("not an object", pad("[]", 4096), "", "content");
await description("not JSON", pad('{"a"}', 4096), "", "content");

// Envelopes, opened by the court, for the item.
async function envelope(name, file, want, key = court) {
  add({ kind: "envelope", name, file: b64(file), key, item_recipient: itemRecipient, want });
}
const wrap = (plaintext, ...ids) => encrypt(utf8(plaintext), ...ids);
const mine = await wrap(item + "\n", court);
await envelope("mine", mine, "accept");
await envelope("somebody else's", mine, "not_for_you", stranger);
await envelope("of another item", await wrap(otherItem + "\n", court), "foreign_envelope");
await envelope("no line feed", await wrap(item, court), "content");
await envelope("two line feeds", await wrap(item + "\n\n", court), "content");
await envelope("with a comment", await wrap("# item\n" + item + "\n", court), "content");
await envelope("lower case", await wrap(item.toLowerCase() + "\n", court), "content");
await envelope("a classic key inside", await wrap(classic + "\n", court), "content");
await envelope("for two", await wrap(item + "\n", court, stranger), "header_too_many");
await envelope("to a classic key", await wrap(item + "\n", classic), "header_stanza_type");
await envelope("hybrid and classic", await wrap(item + "\n", court, classic), "header_too_many");
await envelope("armored", armored(mine), "header_armored");
await envelope("flipped", flip(mine, -20), "damaged");
await envelope("over 16 KiB", Buffer.concat([mine, Buffer.alloc(16384)]), "too_large");

// Recipients and identities.
const recipient = (name, text, want) => add({ kind: "recipient", name, text, want });
recipient("hybrid", itemRecipient, "accept");
recipient("X25519", await to(classic), "classic_key");
recipient("upper case", itemRecipient.toUpperCase(), "key");
recipient("cut", itemRecipient.slice(0, -1), "key");
recipient("line feed", itemRecipient + "\n", "key");
recipient("an identity", item, "key");
recipient("coefficients over the modulus", bech32.encode("age1pq", bech32.toWords(Buffer.alloc(1216, 0xff)), false), "key");

const file = (name, content, want, passphrase = "") =>
  add({ kind: "identity_file", name, file: b64(Buffer.from(content)), passphrase, want, ...(want === "accept" && { recipient: courtRecipient }) });
const courtRecipient = await to(court);
const plainFile = utf8(`# created: 2026-01-02T03:04:05Z\n# public key: ${courtRecipient}\n${court}\n`);
file("age-keygen", plainFile, "accept");
file("Windows lines", utf8(`# a\r\n${court}\r\n`), "accept");
file("locked, armored", armored(await lock(plainFile, "six words")), "accept", "six words");
file("locked, binary", await lock(plainFile, "six words"), "accept", "six words");
file("locked, wrong passphrase", await lock(plainFile, "six words"), "passphrase", "seven words");
file("locked, no passphrase", armored(await lock(plainFile, "six words")), "passphrase");
file("classic", utf8(classic + "\n"), "classic_key");
file("two identities", utf8(`${court}\n${item}\n`), "content");
file("none", utf8("# nothing\n"), "content");
file("a recipient", utf8(courtRecipient + "\n"), "key");

// Cards.
const origin = "strongroom-abcdefgh.internal";
const N = BigInt("0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
for (const code of [Buffer.alloc(20), Buffer.alloc(20, 0xff), sha("card").subarray(0, 20)]) {
  const check = base32nopad.encode(sha("strongroom/card/check/v1", code)).slice(0, 4);
  const printed = (base32nopad.encode(code) + check).match(/.{4}/g).join("-");
  // hkdfSync extracts and expands in one, with the PRK of FORMATS §9.
  const salt = Buffer.concat([utf8("strongroom/card/v1"), Buffer.of(0), utf8(origin)]);
  const derive = (info) => Buffer.from(hkdfSync("sha256", code, salt, info, 32));
  const identity = hybrid(derive(utf8("age")));
  let scalar;
  for (let counter = 0; ; counter++) {
    scalar = derive(Buffer.concat([utf8("p256"), Buffer.of(counter)]));
    const n = BigInt("0x" + scalar.toString("hex"));
    if (n > 0n && n < N) break;
  }
  const made = { origin, identity, p256: scalar.toString("hex") };
  add({ kind: "card", name: "as printed", text: printed, ...made, want: "accept" });
  add({ kind: "card", name: "as typed", text: " " + printed.toLowerCase().replaceAll("-", " "), ...made, want: "accept" });
  add({ kind: "card", name: "mistyped", text: printed.replace(/.(?=.{7}$)/, (c) => (c === "A" ? "B" : "A")), want: "card" });
  add({ kind: "card", name: "no check group", text: printed.slice(0, 39), want: "card" });
}

writeFileSync(new URL("vectors.json", import.meta.url), JSON.stringify(vectors, null, 1) + "\n");
