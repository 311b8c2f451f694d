// The client in a real browser, against a real vault: the same program as the command line's, with keys that the browser makes and keeps. People
// of the demonstration do their part by the command line.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { World, bin, launch, root } from "./world.mjs";

const passphrase = "correct horse battery staple 7";
const canary = "CANARY-of-what-was-opened-7Q2";
// Large enough to come in several pieces; random, but in no letters, in which a mail address would be found by chance.
const evidence = Buffer.concat([Buffer.from(canary), randomBytes(9 << 20).map((b) => b | 128), Buffer.from(canary)]);
const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");

let browser, world, exhibit;

before(async () => {
	browser = await launch();
	world = await World.start(evidence);
	exhibit = world.cli("custodian-1", "list").find((i) => i.exhibit === 1).item;
});

after(async () => {
	await browser?.close();
	await world?.stop();
});

/** profile is a browser's profile of one person. */
async function profile(t) {
	const context = await browser.newContext({ ignoreHTTPSErrors: true });
	t.after(() => context.close());
	return context;
}

/** open gives a page with a client, and what it complained of. */
async function open(context) {
	const page = await context.newPage();
	const said = [];
	page.on("pageerror", (e) => said.push(String(e)));
	page.on("console", (m) => m.type() === "error" && said.push(m.text()));
	await page.goto(`${world.origin}/verify`);
	await start(page);
	return { page, said };
}

const start = (page) => page.evaluate(async () => {
	const { Vault } = await import("/assets/vault.js");
	window.vault = await Vault.start();
});

/** call asks the client in a page; a problem comes back as that. Of a file its digest comes, and the file stays in the page. */
const call = (page, name, params = {}) => page.evaluate(async ({ name, params }) => {
	try {
		const answer = await window.vault.call(name, params, { progress: (done, all, step) => (window.told ??= []).push([done, all, step]) });
		if (answer.file) {
			const bytes = await answer.file.arrayBuffer();
			window.file = answer.file;
			const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
			answer.file = { size: bytes.byteLength, sha256: Array.from(digest, (b) => b.toString(16).padStart(2, "0")).join("") };
		}
		return answer;
	} catch (e) {
		return { problem: { kind: e.kind, reason: e.reason, message: e.kind ? undefined : String(e) } };
	}
}, { name, params });

/** bring copies the file that the last call gave out of the page. */
async function bring(page, to) {
	const text = await page.evaluate(async () => {
		const reader = new FileReader();
		return new Promise((resolve) => ((reader.onload = () => resolve(reader.result)), reader.readAsDataURL(window.file)));
	});
	writeFileSync(to, Buffer.from(text.slice(text.indexOf(",") + 1), "base64"));
}

const refused = (answer, kind, reason) => assert.deepEqual([answer.problem?.kind, answer.problem?.reason], [kind, reason], JSON.stringify(answer));

/** enrol makes somebody with keys in this browser, whom two custodians have let in. */
async function enrol(page, role = "court") {
	const { code, invitation } = world.cli("custodian-1", "actor", "invite", "--role", role);
	const terms = await call(page, "terms", { code });
	const joined = await call(page, "join", { code, passphrase });
	assert.equal(joined.problem, undefined, JSON.stringify([terms, joined]));
	world.confirm(invitation, joined.actor, joined.key_number);
	return joined;
}

test("a court joins, receives, confirms and exports, and the package verifies", async (t) => {
	const context = await profile(t);
	const { page, said } = await open(context);
	const nobody = await call(page, "state");
	assert.deepEqual({ ...nobody, persisted: undefined }, { known: false, unlocked: false, persisted: undefined });
	refused(await call(page, "unlock", { passphrase }), "not_found", "no_keys");
	refused(await call(page, "me"), "not_found", "no_keys");

	const { code, invitation } = world.cli("custodian-1", "actor", "invite", "--role", "court");
	refused(await call(page, "terms", { code: "short" }), "invalid", "code_form");
	refused(await call(page, "terms", { code: "a".repeat(26) }), "not_found", "invitation");
	refused(await call(page, "join", { code, passphrase }), "conflict", "terms_first");
	const whoami = world.cli("custodian-1", "whoami");
	const terms = await call(page, "terms", { code });
	assert.deepEqual([terms.vault, terms.vault_number, terms.role], [whoami.vault, whoami.vault_number, "court"]);
	assert.equal((await call(page, "state")).known, false, "looking at an invitation left something");
	const began = Date.now();
	const joined = await call(page, "join", { code, passphrase });
	t.diagnostic(`joining took ${Date.now() - began} ms`);
	assert.match(joined.key_number, /^(\d{5} ){5}\d{5}$/, JSON.stringify(joined));
	assert.match(joined.recovery.text, /^-----BEGIN AGE ENCRYPTED FILE-----\n/);
	assert.equal(typeof joined.persisted, "boolean");
	const waiting = await call(page, "me");
	assert.deepEqual([waiting.state, waiting.confirmed, waiting.key_number, waiting.role], ["waiting", false, joined.key_number, "court"]);

	world.confirm(invitation, joined.actor, joined.key_number);
	const me = await call(page, "me");
	assert.deepEqual([me.state, me.confirmed, me.actor, me.key_number], ["active", true, joined.actor, joined.key_number], JSON.stringify(me));
	const book = await call(page, "book");
	assert.ok(book.size > 50 && book.final && book.waiting === 0, JSON.stringify(book));
	assert.deepEqual(await call(page, "shares"), []);

	const grant = world.share(exhibit, joined.actor);
	const [share] = await call(page, "shares");
	assert.deepEqual([share.item, share.grant, share.state, share.ready, share.redeemed, share.terms.actions], [exhibit, grant, "active", true, undefined, ["download", "view"]]);
	refused(await call(page, "acknowledge", { item: exhibit, grant, sha256: sha256(evidence) }), "conflict", "not_redeemed");
	const opened = await call(page, "redeem", { item: exhibit, grant });
	assert.equal(opened.problem, undefined, JSON.stringify(opened));
	assert.deepEqual([opened.name, opened.size, opened.sha256, opened.file], ["recording.bin", evidence.length, sha256(evidence), { size: evidence.length, sha256: sha256(evidence) }]);
	assert.match(Object.values(opened.notes.find((n) => n.name === "pseudonym").persons)[0], /^P-/);
	const told = await page.evaluate(() => window.told);
	assert.ok(told.length > 4 && told.every(([done, all, step]) => done <= all && step === "downloading"), JSON.stringify(told.slice(0, 4)));

	refused(await call(page, "acknowledge", { item: exhibit, grant, sha256: sha256("another") }), "conflict", "copy_differs");
	const confirmed = await call(page, "acknowledge", { item: exhibit, grant, sha256: opened.sha256 });
	assert.ok(confirmed.equal && confirmed.entry > opened.entry, JSON.stringify(confirmed));
	const exported = await call(page, "export", { item: exhibit, grant, nonce: "n".repeat(40), language: "fr" });
	assert.deepEqual([exported.nonce, exported.size], ["n".repeat(40), exported.file?.size], JSON.stringify(exported));
	const zip = path.join(world.work, "package.zip");
	await bring(page, zip);
	assert.equal(verify(zip), "verified");

	const steps = await call(page, "history", { item: exhibit });
	const mine = steps.filter((s) => s.me).map((s) => s.kind);
	assert.deepEqual(mine, ["grant.redeemed", "grant.acknowledged", "grant.redeemed", "item.exported"]);
	assert.deepEqual(steps.map((s) => s.step), steps.map((_, i) => i + 1));
	assert.ok(steps.find((s) => s.me && s.step > 1 && s.grant === grant && s.proof === "recorded"));
	assert.deepEqual(said, []);
});

test("a profile keeps its keys over a reload, under the passphrase alone", async (t) => {
	const context = await profile(t);
	const { page } = await open(context);
	const joined = await enrol(page);
	await page.reload();
	await start(page);
	const state = await call(page, "state");
	assert.deepEqual([state.known, state.unlocked, state.actor, state.role], [true, false, joined.actor, "court"]);
	refused(await call(page, "me"), "forbidden", "locked");
	refused(await call(page, "shares"), "forbidden", "locked");
	refused(await call(page, "unlock", { passphrase: `${passphrase}8` }), "forbidden", "passphrase");
	refused(await call(page, "unlock", { passphrase: "" }), "forbidden", "passphrase");
	assert.equal((await call(page, "state")).unlocked, false);
	const began = Date.now();
	assert.deepEqual(await call(page, "unlock", { passphrase }), {});
	t.diagnostic(`unlocking took ${Date.now() - began} ms`);
	const me = await call(page, "me");
	assert.deepEqual([me.actor, me.key_number, me.confirmed], [joined.actor, joined.key_number, true]);
	assert.deepEqual(await call(page, "recovery"), joined.recovery);
	const other = world.cli("custodian-1", "actor", "invite", "--role", "court");
	await call(page, "terms", { code: other.code });
	refused(await call(page, "join", { code: other.code, passphrase }), "conflict", "keys_exist");
	assert.deepEqual(await call(page, "lock"), {});
	refused(await call(page, "me"), "forbidden", "locked");

	// The recovery file is what the command line and stock age read.
	const another = await profile(t);
	const stranger = await open(another);
	assert.equal((await call(stranger.page, "state")).known, false, "another profile has these keys");
});

test("two tabs at once work for one person, and neither takes from the other what it has seen", async (t) => {
	const context = await profile(t);
	const { page: one } = await open(context);
	const joined = await enrol(one);
	const { page: two } = await open(context);
	assert.deepEqual(await call(two, "unlock", { passphrase }), {});
	const grants = [world.share(exhibit, joined.actor)];
	const answers = await Promise.all([one, two, one, two].map((page) => call(page, "shares")));
	assert.deepEqual(answers.map((a) => a.map((s) => s.grant)), [grants, grants, grants, grants]);
	const opened = await Promise.all([one, two].map((page) => call(page, "redeem", { item: exhibit, grant: grants[0] })));
	assert.deepEqual(opened.map((o) => o.file?.sha256), [sha256(evidence), sha256(evidence)], JSON.stringify(opened));
	assert.notEqual(opened[0].entry, opened[1].entry);
	const books = await Promise.all([one, two].map((page) => call(page, "book")));
	assert.ok(books.every((b) => b.size >= Math.max(opened[0].entry, opened[1].entry)), JSON.stringify(books));
	const left = (await stored(one)).filter(([name]) => /\.part$/.test(name));
	assert.deepEqual(left, []);
});

test("two tabs that make keys at once make the same: what is kept is what the vault was told of", async (t) => {
	const context = await profile(t);
	const pages = [(await open(context)).page, (await open(context)).page];
	const { code, invitation } = world.cli("custodian-1", "actor", "invite", "--role", "court");
	await Promise.all(pages.map((page) => call(page, "terms", { code })));
	const [one, two] = await Promise.all(pages.map((page) => call(page, "join", { code, passphrase })));
	assert.equal(one.problem, undefined, JSON.stringify([one, two]));
	assert.deepEqual(two, { ...one, persisted: two.persisted });
	world.confirm(invitation, one.actor, one.key_number);
	for (const page of pages) {
		await page.reload();
		await start(page);
		assert.deepEqual(await call(page, "unlock", { passphrase }), {});
		const me = await call(page, "me");
		assert.deepEqual([me.key_number, me.confirmed], [one.key_number, true]);
	}
	const grant = world.share(exhibit, one.actor);
	assert.equal((await call(pages[1], "redeem", { item: exhibit, grant })).sha256, sha256(evidence));
});

test("nothing that was opened, and no passphrase, is kept in the browser or sent", async (t) => {
	const context = await profile(t);
	const sent = [];
	context.on("request", (r) => sent.push(`${r.url()} ${JSON.stringify(r.headers())} ${r.postDataBuffer()?.toString("latin1") ?? ""}`));
	const { page } = await open(context);
	const joined = await enrol(page);
	const grant = world.share(exhibit, joined.actor);
	const opened = await call(page, "redeem", { item: exhibit, grant });
	const exported = await call(page, "export", { item: exhibit, grant });
	assert.equal(exported.problem, undefined, JSON.stringify(exported));
	const kept = await stored(page);
	assert.ok(kept.length > 8 && kept.some(([name]) => name === "strongroom/identity.age"), "the stores were not read");
	const secrets = [canary, passphrase, opened.name, ...Object.values(opened.notes.find((n) => n.name === "pseudonym").persons)];
	for (const [name, text] of kept) {
		for (const secret of secrets) {
			assert.ok(!text.includes(secret) && !text.includes(Buffer.from(secret).toString("base64").slice(0, -4)), `${name} has ${secret}`);
		}
	}
	assert.ok(sent.length > 20 && sent.every((r) => r.startsWith(world.origin) || r.startsWith("blob:") || r.startsWith("data:")));
	for (const secret of secrets) {
		assert.ok(!sent.some((r) => r.includes(secret)), `sent: ${secret}`);
	}
	assert.deepEqual(await page.evaluate(async () => [localStorage.length, sessionStorage.length, document.cookie, (await caches.keys()).length]), [0, 0, "", 0]);
	const key = await page.evaluate(() => new Promise((resolve, reject) => {
		const asked = indexedDB.open("strongroom");
		asked.onsuccess = () => {
			const all = asked.result.transaction("keys").objectStore("keys").getAll();
			all.onsuccess = async () => {
				const [{ privateKey }] = all.result;
				const given = await Promise.allSettled(["pkcs8", "jwk"].map((f) => crypto.subtle.exportKey(f, privateKey)));
				resolve([all.result.length, privateKey.extractable, given.map((g) => g.status)]);
			};
			all.onerror = reject;
		};
	}));
	assert.deepEqual(key, [1, false, ["rejected", "rejected"]]);
});

/** stored is what the browser's private file system has, by name. */
const stored = (page) => page.evaluate(async () => {
	const list = [];
	const walk = async (dir, level) => {
		for await (const [name, handle] of dir.entries()) {
			if (handle.kind === "directory") {
				await walk(handle, `${level}${name}/`);
			} else {
				const bytes = new Uint8Array(await (await handle.getFile()).arrayBuffer());
				list.push([level + name, Array.from(bytes, (b) => String.fromCharCode(b)).join("")]);
			}
		}
	};
	await walk(await navigator.storage.getDirectory(), "");
	return list;
});

test("a custodian decides as the second person, and lets nothing go unseen", async (t) => {
	const context = await profile(t);
	const { page } = await open(context);
	const { code, invitation } = world.cli("administrator", "actor", "invite", "--role", "custodian");
	await call(page, "terms", { code });
	const joined = await call(page, "join", { code, passphrase });
	world.cli("administrator", "actor", "admit", invitation);
	world.cli("custodian-1", "actor", "confirm", joined.actor, "--number", joined.key_number);
	const [{ case: in_ }] = world.cli("custodian-1", "list");
	world.cli("custodian-1", "case", "add-member", in_, `${joined.actor}:open,approve,manage`, "--until", "30d");
	world.cli("custodian-1", "case", "keyring", in_, "--add", joined.actor);
	assert.throws(() => world.cli("custodian-1", "case", "rewrap", in_), /"(frozen|shredded)"/); // of two items of the demonstration; the others get their keys
	assert.deepEqual(await call(page, "proposals"), []);

	const court = await enrol((await open(await profile(t))).page);
	const propose = () => world.cli("custodian-1", "grant", "propose", exhibit, "--to", court.actor, "--jurisdiction", "NL", "--legal-basis", "mla_request", "--until", "30d").grant;
	const first = propose();
	const [waits] = await call(page, "proposals");
	assert.deepEqual([waits.grant, waits.waits, waits.own, waits.holds, waits.key_number, waits.compared.method], [first, "decision", false, true, court.key_number, "phone"]);
	assert.ok((await call(page, "refuse", { item: exhibit, grant: first, reason: "  " })).problem, "a refusal needs a reason");
	const no = await call(page, "refuse", { item: exhibit, grant: first, reason: "Not in this form." });
	assert.equal(typeof no.entry, "number", JSON.stringify(no));
	assert.deepEqual(await call(page, "proposals"), []);

	const second = propose();
	const approved = await call(page, "approve", { item: exhibit, grant: second, names: [canary] });
	assert.deepEqual([approved.key_written, approved.key_problem], [false, "found"], JSON.stringify(approved));
	assert.ok(approved.noticed.named === 1 && approved.noticed.findings.some((f) => f.kind === "name"), JSON.stringify(approved.noticed));
	assert.equal((await call(page, "proposals"))[0].waits, "key");
	const wrote = await call(page, "envelope", { item: exhibit, grant: second, names: [canary], despite: true });
	assert.equal(wrote.key_written, true, JSON.stringify(wrote));
	assert.deepEqual(await call(page, "proposals"), []);
	refused(await call(page, "approve", { item: exhibit, grant: second }), "conflict", "not_pending");
});

test("a stop ends a download, a lost connection is told, and what is not understood changes nothing", async (t) => {
	const context = await profile(t);
	const { page } = await open(context);
	const joined = await enrol(page);
	const grant = world.share(exhibit, joined.actor);
	const stopped = await page.evaluate(async ({ item, grant }) => {
		const ending = new AbortController();
		try {
			await window.vault.call("redeem", { item, grant }, { signal: ending.signal, progress: () => ending.abort() });
		} catch (e) {
			return [e.kind, e.reason];
		}
	}, { item: exhibit, grant });
	assert.deepEqual(stopped, ["interrupted", "interrupted"]);
	refused(await call(page, "nothing"), "invalid", "call");
	refused(await call(page, "redeem", { item: exhibit, grant, more: 1 }), "invalid", "params");
	refused(await call(page, "redeem", { item: "../x", grant }), "invalid", "params");
	refused(await call(page, "history", { item: "itm-aaaaaaaaaaaaaaaaaaaaaaaaaa" }), "not_found", "not_found");
	await context.setOffline(true);
	refused(await call(page, "book"), "network", "network");
	await context.setOffline(false);
	assert.equal((await call(page, "redeem", { item: exhibit, grant })).file?.sha256, sha256(evidence));
});

test("the browser's keystore and key hold to their contracts", async (t) => {
	const program = path.join(world.work, "test.wasm");
	execFileSync("go", ["test", "-c", "-o", program, "./cmd/strongroom-web"], { cwd: root, env: { ...process.env, GOOS: "js", GOARCH: "wasm" }, stdio: "inherit" });
	const context = await profile(t);
	await context.route("**/assets/client.wasm", (route) => route.fulfill({ path: program, contentType: "application/wasm" }));
	const page = await context.newPage();
	const told = [];
	const ended = new Promise((resolve) => page.on("console", (m) => {
		told.push(m.text());
		if (/^(PASS|FAIL|panic:.*|exit code:.*)$/m.test(m.text())) {
			resolve(undefined);
		}
	}));
	await page.goto(`${world.origin}/verify`);
	await page.evaluate(async () => {
		const { Vault } = await import("/assets/vault.js");
		Vault.start().catch(() => {});
	});
	await ended;
	const text = told.join("\n");
	assert.match(text, /^PASS$/m, text);
	for (const name of ["TestStore/documents", "TestStore/files", "TestStore/names", "TestStore/locks", "TestStore/writers", "TestStoreIsTidied", "TestSigner"]) {
		assert.match(text, new RegExp(`--- PASS: ${name} `), text);
	}
});

function verify(zip) {
	return JSON.parse(execFileSync(path.join(bin, "strongroom-verify"), ["--json", "--trust", path.join(world.keep, "court", "trust.json"), zip], { maxBuffer: 1 << 28 })).verdict;
}
