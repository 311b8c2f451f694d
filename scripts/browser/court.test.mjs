// The court's pages in a real browser, against a real vault: a person is invited by the command line, joins in the browser, receives what the
// command line shares, and takes away a package that the page of everybody verifies. What must hold on every page is asked of every state, and
// each is drawn into the folder STRONGROOM_SCREENSHOTS, to be looked at by people.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { crc32, deflateSync } from "node:zlib";
import { groups, passphrase, pictures, press, sound as soundAt, tags, titled, visit, words } from "./page.mjs";
import { World, bin, launch } from "./world.mjs";

/** digest is that of a program that was built. */
const digest = (name) => createHash("sha256").update(readFileSync(path.join(bin, name))).digest("hex");

const [width, height] = [900, 600];

/** picture is a PNG whose pixels are known: stripes of two colours. */
function picture() {
	const chunk = (type, data) => {
		const body = Buffer.concat([Buffer.from(type), data]);
		const out = Buffer.alloc(body.length + 8);
		out.writeUInt32BE(data.length, 0);
		body.copy(out, 4);
		out.writeUInt32BE(crc32(body), body.length + 4);
		return out;
	};
	const head = Buffer.alloc(13);
	head.writeUInt32BE(width, 0);
	head.writeUInt32BE(height, 4);
	head.set([8, 2], 8); // eight bits of red, green and blue
	const row = Buffer.concat([Buffer.from([0]), ...Array.from({ length: width }, (_, x) => Buffer.from(x % 150 < 75 ? [196, 178, 150] : [120, 140, 120]))]);
	return Buffer.concat([Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]), chunk("IHDR", head), chunk("IDAT", deflateSync(Buffer.concat(Array(height).fill(row)))), chunk("IEND", Buffer.alloc(0))]);
}

/** recording is a second of a tone. */
function recording() {
	const n = 8000, b = Buffer.alloc(44 + n);
	b.write("RIFF", 0);
	b.writeUInt32LE(36 + n, 4);
	b.write("WAVEfmt ", 8);
	for (const [at, value] of [[16, 16], [24, n], [28, n], [40, n]]) {
		b.writeUInt32LE(value, at);
	}
	for (const [at, value] of [[20, 1], [22, 1], [32, 1], [34, 8]]) {
		b.writeUInt16LE(value, at);
	}
	b.write("data", 36);
	for (let i = 0; i < n; i++) {
		b[44 + i] = 128 + 40 * Math.sin(i / 6);
	}
	return b;
}

/** What is shared, by exhibit number. The third and the fourth would act if a page made them anything but files or text. */
const files = {
	"picture.png": picture(),
	"recording.wav": recording(),
	"page.html": Buffer.from("<!DOCTYPE html><title>x</title><script>top.ran = true</script><h1>ran</h1>"),
	"drawing.svg": Buffer.from("<svg xmlns='http://www.w3.org/2000/svg' onload='top.ran = true'><script>top.ran = true</script></svg>"),
	"long.bin": Buffer.alloc(48 << 20, "a long recording "), // to come long enough to be stopped
};
const [shown, heard, markup, drawing, long] = [1, 2, 3, 4, 5];

let browser, world, exhibits;

before(async () => {
	mkdirSync(pictures, { recursive: true });
	browser = await launch();
	const [[name, evidence], ...more] = Object.entries(files);
	world = await World.start(evidence, name, Object.fromEntries(more));
	const list = world.cli("custodian-1", "list");
	exhibits = Object.fromEntries((list.items ?? list).filter((i) => i.exhibit).map((i) => [i.exhibit, i.item ?? i.id]));
});

after(async () => {
	await browser?.close();
	await world?.stop();
});

/** sound at one width, unless others are named. */
const sound = (page, name, widths = [1280]) => soundAt(page, name, widths);

const open = (t, at, options) => visit(t, browser, world.origin + at, options);
const focus = (page) => page.evaluate(() => document.activeElement.tagName);

/** enrol brings somebody in by the pages, as far as the first page after that. */
async function enrol(page, tag = "en", role = "court", inviter = "custodian-1", second = "custodian-2") {
	const { code, invitation } = world.cli(inviter, "actor", "invite", "--role", role);
	await page.goto(`${world.origin}/join#${code}&${tag}`);
	await titled(page, role === "court" ? "invited" : "invited.other", tag);
	await press(page, "continue", tag);
	await press(page, "compare.same", tag);
	await page.fill("#passphrase", passphrase);
	await page.fill("#passphrase-again", passphrase);
	await press(page, "make", tag);
	await titled(page, "recovery", tag);
	await Promise.all([page.waitForEvent("download"), press(page, "recovery.save", tag)]);
	await press(page, "continue", tag);
	const number = await groups(page, 0);
	await press(page, "continue", tag);
	await titled(page, "waits", tag);
	const actor = await page.evaluate(async () => (await import("/assets/session.js")).session.actor);
	world.cli(inviter, "actor", "admit", invitation);
	world.cli(second, "actor", "confirm", actor, "--number", number);
	await press(page, "waits.now", tag);
	await titled(page, "confirmed", tag);
	return actor;
}

/** unlock does that, wherever one is asked to. */
async function unlock(page, tag = "en") {
	await titled(page, "unlock", tag);
	await page.fill("#passphrase", passphrase);
	await press(page, "unlock.do", tag);
}

const card = (page, exhibit, tag = "en") => page.locator(".card", { hasText: words[tag].exhibit.split("{number}")[0].trim() }).filter({ has: page.locator(`h2:text-matches("\\\\b${exhibit}\\\\b")`) });

/** look opens an exhibit. */
async function look(page, exhibit, tag = "en") {
	await card(page, exhibit, tag).getByRole("button").click();
	await page.waitForSelector(".told");
	await press(page, "court.open", tag);
	await page.waitForSelector(".viewer", { timeout: 60_000 });
}

test("a court joins, sees a picture, confirms receipt, and the package that it gets is verified on the page of everybody", async (t) => {
	const { page, context, asked, said } = await open(t, "/");
	await titled(page, "welcome");
	await sound(page, "court-welcome");
	const whoami = world.cli("custodian-1", "whoami");
	const { code, invitation } = world.cli("custodian-1", "actor", "invite", "--role", "court");
	await page.goto(`${world.origin}/join#${code}`);
	await titled(page, "invited");
	assert.equal(page.url(), `${world.origin}/join`);
	assert.equal(await page.evaluate(() => history.state), null);
	await sound(page, "court-invited");
	await press(page, "continue");
	assert.equal(await focus(page), "H1");
	assert.equal(await groups(page, 0), whoami.vault_number);
	await sound(page, "court-compare");
	await press(page, "compare.same");
	await press(page, "make");
	assert.equal(await page.textContent(".problem p"), words.en["why.passphrase_short"]);
	assert.equal(await page.title(), `Error: ${words.en["passphrase.choose"]}`);
	await page.fill("#passphrase", passphrase);
	await page.fill("#passphrase-again", `${passphrase} `);
	await press(page, "make");
	assert.equal(await page.textContent("#passphrase-again-wrong"), words.en["why.passphrase_differs"]);
	await sound(page, "court-passphrase");
	await page.fill("#passphrase-again", passphrase);
	await press(page, "make");
	await titled(page, "recovery");
	await press(page, "continue");
	assert.equal(await page.textContent(".problem p"), words.en["recovery.missing"]);
	const [recovery] = await Promise.all([page.waitForEvent("download"), press(page, "recovery.save")]);
	assert.match(readFileSync(await recovery.path(), "utf8"), /^-----BEGIN AGE ENCRYPTED FILE-----\n/);
	await sound(page, "court-recovery");
	await press(page, "continue");
	const number = await groups(page, 0);
	assert.match(number, /^(\d{5} ){5}\d{5}$/);
	assert.equal(await groups(page, 1), whoami.vault_number);
	await sound(page, "court-numbers");
	await press(page, "continue");
	await titled(page, "waits");
	await sound(page, "court-waits");
	const actor = await page.evaluate(async () => (await import("/assets/session.js")).session.actor);
	world.confirm(invitation, actor, number);
	await titled(page, "confirmed"); // the page has asked by itself
	await press(page, "go.on");
	await titled(page, "court");
	assert.equal(await page.locator(".card").count(), 0);
	assert.ok((await page.textContent("main")).includes(words.en["court.none"]));
	assert.match(await page.textContent(".state"), /^Record book: up to date · Witnesses: none · Waiting: 0$/);
	await sound(page, "court-empty");

	const grant = world.share(exhibits[shown], actor);
	await press(page, "look.again");
	await page.waitForSelector(".card");
	await sound(page, "court-list");
	await card(page, shown).getByRole("button").click();
	await page.waitForSelector(".told");
	assert.equal(page.url(), `${world.origin}/court/view`);
	for (const id of ["open.recorded", "open.others", "open.good"]) {
		assert.ok((await page.textContent(".told")).includes(words.en[id]), id);
	}
	const used = () => world.cli("custodian-1", "history", exhibits[shown]).steps.filter((s) => s.actor === actor).map((s) => s.kind);
	assert.deepEqual(used(), [], "something was recorded before anything was pressed");
	await sound(page, "court-before");
	await press(page, "court.open");
	await page.waitForSelector(".evidence img", { timeout: 60_000 });
	assert.deepEqual(await page.evaluate(async () => {
		const img = document.querySelector(".evidence img");
		await img.decode();
		const canvas = new OffscreenCanvas(img.naturalWidth, img.naturalHeight), c = canvas.getContext("2d");
		c.drawImage(img, 0, 0);
		return [img.naturalWidth, img.naturalHeight, [...c.getImageData(10, 10, 1, 1).data], [...c.getImageData(80, 10, 1, 1).data]];
	}), [width, height, [196, 178, 150, 255], [120, 140, 120, 255]]);
	assert.match(await page.textContent(".marks"), new RegExp(`^court · ${actor.slice(0, 12)} · \\d+ \\w+ \\d{4} at \\d\\d:\\d\\d UTC`));
	assert.deepEqual(used(), ["grant.redeemed"]);
	await page.locator("summary").click();
	await page.waitForSelector(".timeline li:nth-of-type(3)");
	assert.equal(await page.locator(".timeline li").count(), world.cli("custodian-1", "history", exhibits[shown]).steps.length);
	await sound(page, "court-content");

	await press(page, "receipt.do");
	await page.waitForSelector(".picked");
	assert.deepEqual(used(), ["grant.redeemed", "grant.acknowledged"]);
	await sound(page, "court-receipt");
	const [file] = await Promise.all([page.waitForEvent("download", { timeout: 60_000 }), press(page, "package.get")]);
	await titled(page, "packed");
	await sound(page, "court-packed");
	const zip = path.join(world.work, "court.zip");
	await file.saveAs(zip);
	const inside = execFileSync("python3", ["-c", "import sys, zipfile; sys.stdout.buffer.write(zipfile.ZipFile(sys.argv[1]).read('VERIFY.html'))", zip], { maxBuffer: 1 << 26 });
	assert.ok(inside.equals(readFileSync(path.join(bin, "VERIFY.html"))), "the verifier in the package is not the one that was built");
	assert.equal(await page.locator("footer .build bdi").textContent(), digest("strongroom-web.wasm"));
	await press(page, "back.share");
	assert.equal(await page.locator(".evidence img").count(), 1, "what was open is gone after the package");
	assert.deepEqual(said, []);
	for (const url of asked) {
		assert.ok(url.startsWith(world.origin) || /^(blob|data):/.test(url), url);
		assert.ok(!url.includes(code) && !url.includes(grant) || url.startsWith(`${world.origin}/v1/`) || url.endsWith(`/join#${code}`), url);
	}

	await page.getByRole("link", { name: words.en.title }).first().click();
	await page.waitForSelector("#file-package", { state: "attached" });
	assert.equal(await page.locator("footer .build bdi").textContent(), digest("strongroom-verify.wasm"));
	await page.setInputFiles("#file-package", zip);
	await page.setInputFiles("#file-trust", path.join(world.keep, "court", "trust.json"));
	await press(page, "verify");
	await page.waitForSelector("article.verified", { timeout: 60_000 });
	assert.deepEqual(await context.cookies(), []);
});

test("who has no right code, no key, no right passphrase or no right is told so, and nothing else", async (t) => {
	const { page } = await open(t, "/court");
	await titled(page, "welcome");
	assert.equal(page.url(), `${world.origin}/`);
	await press(page, "join");
	await page.fill("#code", "short");
	await press(page, "continue");
	assert.equal(await page.textContent("#code-wrong"), words.en["why.code_form"]);
	assert.equal(await page.inputValue("#code"), "short", "what was typed is lost");
	await sound(page, "court-code", [320, 1280]);
	await page.fill("#code", "abcd-efgh-ijkl-mnop-qrst-uvwx yz");
	await press(page, "continue");
	await page.waitForSelector(`#code-wrong:text-is("${words.en["why.invitation"]}")`);
	await page.goto(`${world.origin}/join#${"a".repeat(26)}`);
	await titled(page, "refused.code");
	await sound(page, "court-code-refused");

	await enrol(page, "en", "clinician", "administrator", "custodian-1");
	await press(page, "go.on");
	await titled(page, "home");
	await sound(page, "court-home");
	for (const at of ["/court", "/court/view"]) {
		await page.evaluate(async (at) => (await import("/assets/shell.js")).go(at), at);
		await titled(page, "nowhere");
	}
	await sound(page, "court-nowhere");
	await page.goto(`${world.origin}/join#${world.cli("custodian-1", "actor", "invite", "--role", "court").code}`);
	await titled(page, "taken");
	await page.goto(`${world.origin}/court`);
	await titled(page, "unlock");
	await page.fill("#passphrase", "another passphrase");
	await press(page, "unlock.do");
	await page.waitForSelector(".problem");
	assert.equal(await page.textContent("#passphrase-wrong"), words.en["why.passphrase"]);
	assert.equal(await page.evaluate(() => document.activeElement.className), "problem");
	await sound(page, "court-unlock-wrong", [320, 1280]);
	await page.fill("#passphrase", passphrase);
	await page.keyboard.press("Enter");
	await titled(page, "nowhere");
});

test("every language on a telephone: complete, in its direction, never wider than it; what is shown is never run", async (t) => {
	const { page, said } = await open(t, "/", { viewport: { width: 320, height: 740 }, colorScheme: "dark" });
	const actor = await enrol(page, "ar");
	for (const [n, ...more] of [[shown], [heard, "--allow", "view"], [markup, "--allow", "view,download"], [drawing]]) {
		world.share(exhibits[n], actor, ...more);
	}
	await press(page, "go.on", "ar");
	await page.waitForSelector(".card");
	for (const tag of tags) {
		await page.selectOption("#language", tag);
		await titled(page, "court", tag);
		assert.deepEqual(await page.evaluate(() => [document.documentElement.lang, document.documentElement.dir, document.title]), [tag, tag === "ar" ? "rtl" : "ltr", words[tag].court]);
		await sound(page, `court-list-${tag}`, [320, 390]);
		if (tag === "ar" || tag === "uk") {
			const foreign = await page.evaluate(() => {
				const copy = document.querySelector("main").cloneNode(true);
				copy.querySelectorAll("bdi, code").forEach((e) => e.remove());
				return copy.textContent.match(/\p{Script=Latin}{2,}/gu);
			});
			assert.deepEqual([...new Set(foreign)].filter((w) => w !== "UTC"), [], `${tag}: words of another language`);
		}
	}
	for (const [n, tag] of [[shown, "ar"], [heard, "uk"], [markup, "fr"], [drawing, "es"]]) {
		await page.selectOption("#language", tag);
		await look(page, n, tag);
		await sound(page, `court-content-${tag}`, [320, 390]);
		const view = await page.evaluate(() => ["img", "audio", "pre"].find((e) => document.querySelector(`.evidence ${e}`)) ?? "none");
		assert.equal(view, { [shown]: "img", [heard]: "audio", [markup]: "none", [drawing]: "pre" }[n], `exhibit ${n}`);
		assert.equal(await page.getByRole("button", { name: words[tag]["package.get"], exact: true }).count(), n === heard ? 0 : 1, "a package of what is only to be viewed");
		if (n === heard) {
			assert.deepEqual(await page.evaluate(async () => {
				const audio = document.querySelector("audio");
				const before = audio.paused && !audio.autoplay;
				await audio.play();
				return [before, audio.duration];
			}), [true, 1]);
		}
		await page.goBack();
		await page.waitForSelector(".card");
	}
	assert.equal(await page.evaluate(() => window.ran), undefined);
	for (const [at, id] of [["/about", "about"], ["/lost", "lost"]]) {
		for (const tag of tags) {
			await page.goto(`${world.origin}${at}#${tag}`);
			await titled(page, id, tag);
			await sound(page, `court-${id}-${tag}`, [320, 390]);
		}
	}
	assert.deepEqual(said, []);
});

test("an opening that takes its time says how far it is, can be stopped, and can be done again", async (t) => {
	const { page } = await open(t, "/");
	const actor = await enrol(page);
	const { grant } = world.cli("custodian-1", "grant", "propose", exhibits[long], "--to", actor, "--jurisdiction", "NL", "--legal-basis", "mla_request", "--until", "30d");
	world.cli("custodian-2", "grant", "approve", grant, "--yes", "--despite"); // it is too long to be looked through
	await press(page, "go.on");
	await page.waitForSelector(".card");
	await card(page, long).getByRole("button").click();
	await page.waitForSelector(".told");
	await press(page, "court.open");
	await page.waitForFunction(() => document.querySelector("progress")?.value > 0.1, null, { timeout: 60_000 });
	assert.match(await page.textContent("#far"), /^\d.* of 5\d(\.\d)? MB/);
	await press(page, "stop");
	await page.waitForSelector(`.problem p:text-is("${words.en["stopped.open"]}")`);
	await sound(page, "court-stopped");
	await press(page, "court.open");
	await page.waitForSelector(".viewer", { timeout: 60_000 });
	assert.deepEqual(world.cli("custodian-1", "history", exhibits[long]).steps.filter((s) => s.actor === actor).map((s) => s.kind), ["grant.redeemed", "grant.redeemed"]);
	const [file] = await Promise.all([page.waitForEvent("download"), press(page, "copy.save")]);
	assert.ok(readFileSync(await file.path()).equals(files["long.bin"]), "the copy is not what was deposited");
	assert.deepEqual(world.cli("custodian-1", "history", exhibits[long]).steps.filter((s) => s.actor === actor).map((s) => [s.kind, s.export]).at(-1), ["item.exported", "copy"],
		"a copy was saved that no entry tells of");
});

test("without a connection it says so, keeps what there is, and goes on when it is back", async (t) => {
	const { page, context } = await open(t, "/");
	await enrol(page);
	await press(page, "go.on");
	await titled(page, "court");
	await context.setOffline(true);
	await page.waitForSelector(`.state:text-is("${words.en.offline}")`);
	await press(page, "look.again");
	await titled(page, "failed");
	assert.ok((await page.textContent("main")).includes(words.en["why.network"]));
	await sound(page, "court-offline");
	await context.setOffline(false);
	await press(page, "again");
	await titled(page, "court");
	assert.match(await page.textContent(".state"), /^Record book: up to date/);
	await page.route("**/assets/client.wasm", (r) => r.abort());
	await page.reload();
	await titled(page, "failed");
	assert.ok((await page.textContent("main")).includes(words.en["why.network"]));
	await page.unroute("**/assets/client.wasm");
	await press(page, "again");
	await titled(page, "unlock");
	await page.addInitScript(() => delete globalThis.WebAssembly);
	await page.reload();
	await titled(page, "missing.wasm");
	await sound(page, "court-missing-wasm");
});

test("who goes away finds it locked: a warning a minute before, any key goes on; hiding and signing out forget", async (t) => {
	const { page, context } = await open(t, "/");
	const actor = await enrol(page);
	world.share(exhibits[shown], actor);
	await press(page, "go.on");
	await page.waitForSelector(".card");
	await page.reload();
	await page.clock.install();
	await page.reload();
	const running = () => page.clock.runFor(2000);
	await titled(page, "unlock");
	await page.fill("#passphrase", passphrase);
	await press(page, "unlock.do");
	await page.waitForSelector(".card", { timeout: 60_000 });
	await card(page, shown).getByRole("button").click();
	await page.waitForSelector(".told");
	await press(page, "court.open");
	await page.waitForSelector(".evidence img", { timeout: 60_000 });

	await page.evaluate(() => {
		Object.defineProperty(document, "visibilityState", { value: "hidden", configurable: true });
		document.dispatchEvent(new Event("visibilitychange"));
	});
	assert.ok(!(await page.locator(".evidence").isVisible()), "a hidden page shows its content");
	await page.evaluate(() => {
		delete document.visibilityState;
		document.dispatchEvent(new Event("visibilitychange"));
	});
	assert.ok(!(await page.locator(".evidence").isVisible()), "content comes back by itself");
	await sound(page, "court-covered");
	await press(page, "covered.show");
	assert.ok(await page.locator(".evidence").isVisible());

	await page.clock.fastForward(239_000);
	assert.equal(await page.locator("dialog[open]").count(), 0);
	await page.clock.fastForward(3_000);
	await page.waitForSelector("dialog[open]");
	await sound(page, "court-lock-soon");
	await page.keyboard.press("Shift");
	await page.waitForSelector("dialog:not([open])", { state: "attached" });
	assert.equal(await page.locator(".evidence").count(), 1);
	await page.clock.fastForward(242_000);
	await page.waitForSelector("dialog[open]");
	const [worker] = page.workers();
	const ended = new Promise((r) => worker.once("close", r));
	await page.clock.fastForward(61_000);
	assert.equal(await page.locator(".evidence").count(), 0);
	await running();
	await titled(page, "unlock");
	await Promise.race([ended, new Promise((_, no) => setTimeout(() => no(new Error("the program with the keys goes on")), 10_000))]);

	await unlock(page);
	await page.waitForSelector(".told", { timeout: 60_000 }); // where one was, and nothing opened
	await press(page, "hide");
	await titled(page, "hidden");
	await running();
	assert.equal(await page.locator("header, footer").count(), 0);
	assert.deepEqual([await page.title(), page.url()], [words.en.hidden, `${world.origin}/#en`]);
	await sound(page, "court-hidden");
	await press(page, "go.on");
	await unlock(page);
	await page.waitForSelector(".card", { timeout: 60_000 });
	await Promise.all([titled(page, "unlock"), press(page, "sign.out").then(running)]);
	assert.deepEqual(await context.cookies(), []);
});

test("by keyboard alone", async (t) => {
	const { page } = await open(t, "/");
	const actor = await enrol(page);
	world.share(exhibits[shown], actor);
	await page.goto(`${world.origin}/court`);
	await titled(page, "unlock");
	const name = () => page.evaluate(() => document.activeElement.id || document.activeElement.textContent.trim());
	/** reach goes on by Tab to what has a name; everything on the way shows that it has the focus. */
	const reach = async (wanted) => {
		for (let i = 0; i < 40; i++) {
			await page.keyboard.press("Tab");
			const seen = await page.evaluate(() => {
				const e = document.activeElement, s = getComputedStyle(e), r = e.getBoundingClientRect();
				return e === document.body || s.outlineStyle === "solid" && s.outlineWidth === "3px" && s.boxShadow !== "none" && r.bottom > 0 && r.top < innerHeight;
			});
			assert.ok(seen, `no focus to be seen on ${await name()}`);
			if ((await name()) === wanted) {
				return;
			}
		}
		assert.fail(`${wanted} is not reached`);
	};
	await page.keyboard.press("Tab");
	assert.equal(await name(), words.en.skip);
	await page.keyboard.press("Enter");
	assert.equal(await focus(page), "H1");
	await reach("passphrase");
	await page.keyboard.type(passphrase);
	await page.keyboard.press("Enter");
	await page.waitForSelector(".card", { timeout: 60_000 });
	assert.equal(await focus(page), "H1");
	await reach(words.en["court.open"]);
	await page.keyboard.press("Enter");
	await page.waitForSelector(".told");
	assert.equal(await focus(page), "H1");
	await reach(words.en["court.open"]);
	await page.keyboard.press("Space");
	await page.waitForSelector(".evidence img", { timeout: 60_000 });
	assert.equal(await focus(page), "H1");
	await reach(words.en["receipt.do"]);
	await page.keyboard.press("Enter");
	await page.waitForSelector(".picked", { timeout: 60_000 });
	await reach(words.en.timeline);
	await page.keyboard.press("Enter");
	await page.waitForSelector(".timeline li:nth-of-type(3)");
	await page.evaluate(() => document.querySelector("h1").focus());
	await page.keyboard.press("Shift+Tab"); // back to the list
	await page.keyboard.press("Enter");
	await page.waitForSelector(".card");
	assert.equal(await focus(page), "H1");
});
