// The custodian's pages in a real browser, against a real vault: a custodian who joined in the browser decides on what people of the command line
// propose, writes keys, and brings people in who join in browsers of their own. What must hold on every page is asked of every state, and each is
// drawn into the folder STRONGROOM_SCREENSHOTS, to be looked at by people.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { enrolled, groups, join, pictures, press, sound, tags, titled, visit, words } from "./page.mjs";
import { World, launch } from "./world.mjs";

const say = (id, places = {}, tag = "en") => words[tag][id].replace(/\{([a-z]+)\}/g, (_, name) => places[name]);
const reason = "Request 7 of the district court.";
const files = { "one.txt": Buffer.from("The first statement."), "two.txt": Buffer.from("The second statement. Marlowe was there.") };

let browser, world, exhibits, court, inCase, why;

before(async () => {
	mkdirSync(pictures, { recursive: true });
	browser = await launch();
	const [[name, evidence], ...more] = Object.entries(files);
	world = await World.start(evidence, name, Object.fromEntries(more));
	const list = world.cli("custodian-1", "list");
	exhibits = Object.fromEntries((list.items ?? list).filter((i) => i.exhibit).map((i) => [i.exhibit, i.item ?? i.id]));
	court = world.cli("court", "whoami").actor;
	inCase = world.cli("custodian-1", "history", exhibits[1]).case ?? world.cli("custodian-1", "case", "list")[0].id;
	writeFileSync((why = path.join(world.work, "reason")), reason);
});

after(async () => {
	await browser?.close();
	await world?.stop();
});

const open = (t, at, options) => visit(t, browser, world.origin + at, options);
const go = (page, at, about = null) => page.evaluate(async ([at, about]) => (await import("/assets/shell.js")).go(at, about), [at, about]);
const problem = (page) => page.textContent(".problem p");

/** ask asks the client behind a page, as no button does. */
const ask = (page, name, params) => page.evaluate(async ([name, params]) => {
	try {
		return await (await import("/assets/session.js")).call(name, params);
	} catch (e) {
		return { problem: e.reason };
	}
}, [name, params]);

const enrol = (t, role) => enrolled(t, browser, world, role);

/** member makes a custodian one of the case, with or without a key. */
function member(actor, key = true) {
	world.cli("custodian-1", "case", "add-member", inCase, `${actor}:open,approve,manage`, "--until", "300d");
	if (key) {
		world.cli("custodian-1", "case", "keyring", inCase, "--add", actor);
		try {
			world.cli("custodian-1", "case", "rewrap", inCase);
		} catch (e) { // of what was withdrawn or made unreadable nobody gets a key; the others have one now
			assert.ok(["frozen", "shredded"].includes(JSON.parse(e.stderr).reason), String(e.stderr));
		}
	}
}

/** deposit brings an item of somebody whose consent lets findings go, and no photographs, and seals it. */
function deposit(...more) {
	const put = (name, text) => (writeFileSync(path.join(world.work, name), text), path.join(world.work, name));
	const n = ++deposits;
	const { consent } = world.cli("clinician", "consent", "give", "--case", inCase, "--form", put(`form-${n}.txt`, `A signed form ${n}.`), "--until", "200d", "--examination", "yes",
		"--photographs", "yes", "--storage", "yes", "--police-information", "no", "--police-photographs", "no", "--police-physical", "no", "--research", "no",
		"--court", "NL:information", "--yes", ...more);
	world.cli("clinician", "deposit", put(`photograph-${n}.jpg`, `A photograph ${n}.`), "--case", inCase, "--content", "photograph", "--consent", consent);
	const given = world.cli("clinician", "deposit", put(`findings-${n}.txt`, `Findings ${n}.`), "--case", inCase, "--content", "clinical", "--consent", consent);
	const item = given.item ?? given.items[0].item;
	const { exhibit } = world.cli("clinician", "seal", item, "--yes");
	exhibits[exhibit] = item;
	return exhibit;
}

let deposits = 0;

const propose = (exhibit, ...more) => world.cli("custodian-1", "grant", "propose", exhibits[exhibit], "--to", court, "--jurisdiction", "NL", "--legal-basis", "mla_request",
	"--until", "30d", ...more).grant;
const status = (grant) => world.cli("custodian-1", "grant", "list").find((g) => g.id === grant).status;
const card = (page, title, tag = "en") => page.locator(".card", { has: page.locator(`h2:text-is("${words[tag][title]}")`) });
const review = (page, title, tag = "en") => card(page, title, tag).first().getByRole("button", { name: words[tag]["k.review"], exact: true }).click();

/** reach moves the focus by the keyboard alone, until it is on what has that name. */
async function reach(page, name) {
	for (let i = 0; i < 60; i++) {
		await page.keyboard.press("Tab");
		const at = await page.evaluate(() => {
			const e = document.activeElement, box = e.getBoundingClientRect();
			const label = e.labels?.length ? e.labels[0].textContent : e.textContent;
			return { name: label.trim(), id: e.id, seen: box.bottom > 0 && box.top < innerHeight, line: getComputedStyle(e).outlineStyle };
		});
		if (at.name === name || at.id === name) {
			assert.ok(at.seen && at.line === "solid", `${name}: the focus is not seen`);
			return;
		}
	}
	assert.fail(`${name} is not reached by the keyboard`);
}

test("a custodian refuses one share and approves another, by the keyboard alone; the court opens it", async (t) => {
	const { page, said, actor } = await enrol(t, "custodian");
	await titled(page, "k");
	assert.equal(page.url(), `${world.origin}/k`);
	assert.equal(await page.textContent("main .lead"), words.en["k.none"]);
	await sound(page, "custodian-none");
	member(actor);

	const one = deposit();
	const first = propose(one, "--reason-file", why);
	await press(page, "look.again");
	await page.waitForSelector(".card");
	await sound(page, "custodian-inbox");
	await reach(page, words.en["k.review"]);
	await page.keyboard.press("Enter");
	await titled(page, "k.share");
	assert.equal(await page.evaluate(() => document.activeElement.tagName), "H1");
	assert.equal(page.url(), `${world.origin}/k/share`);
	const shown = await page.textContent("main");
	const whoami = world.cli("court", "whoami");
	for (const text of ["court", "Netherlands", court, words.en["k.copies"], say("exhibit", { number: String(one), content: words.en["content.clinical"] }),
		say("k.law.for", { law: words.en["legal.mla_request"], purpose: words.en["purpose.adjudication"] }), "compared (in person), ", words.en["k.why.said"], words.en["k.approve.does"]]) {
		assert.ok(shown.includes(text), `the page does not say ${text}`);
	}
	assert.match(shown, /Consentversion 1con-/);
	assert.match(shown, /Staysphotograph \(answer: no\)other items of the case: \d+Law/);
	assert.equal(await groups(page), whoami.key_number ?? whoami.number);
	const mine = () => world.cli("custodian-1", "history", exhibits[one]).steps.filter((s) => s.actor === actor).map((s) => s.kind);
	assert.deepEqual(mine(), [], "something was recorded by looking");
	await sound(page, "custodian-share");
	await reach(page, words.en["k.why.read"]);
	await page.keyboard.press("Enter");
	await page.getByText(reason).waitFor();
	assert.deepEqual(mine(), ["item.opened"], "reading the reason is an opening");

	await reach(page, words.en["k.refuse"]);
	await page.keyboard.press("Enter");
	await titled(page, "k.refuse.ask");
	await reach(page, words.en["k.refuse"]);
	await page.keyboard.press("Enter");
	await page.waitForSelector(".problem");
	assert.equal(await problem(page), words.en["k.reason.missing"]);
	assert.equal(await page.title(), `Error: ${words.en["k.refuse.ask"]}`);
	await sound(page, "custodian-refuse-missing");
	await reach(page, "k.reason");
	await page.keyboard.type("It goes to the wrong court.");
	await sound(page, "custodian-refuse");
	await reach(page, words.en["k.refuse"]);
	await page.keyboard.press("Enter");
	await titled(page, "k.refuse.done");
	await sound(page, "custodian-refused");
	assert.equal(status(first), "refused");
	const noted = JSON.stringify(world.cli("custodian-1", "history", exhibits[one], "--notes"));
	assert.ok(noted.includes("It goes to the wrong court."), "the reason is not kept");
	await press(page, "k.back");
	await titled(page, "k");
	assert.equal(await page.locator(".card").count(), 0);

	const second = propose(one);
	await press(page, "look.again");
	await review(page, "k.decide");
	await titled(page, "k.share");
	assert.ok((await page.textContent("main")).includes("It goes to the wrong court."), "the refusal before is not shown");
	await sound(page, "custodian-share-again");
	await reach(page, words.en["k.approve"]);
	await page.keyboard.press("Enter");
	await titled(page, "k.approve.done");
	assert.equal(await page.textContent("main .lead"), words.en["k.approve.written"]);
	await sound(page, "custodian-approved");
	assert.equal(status(second), "active");
	const to = path.join(world.work, "received.txt");
	world.cli("court", "grant", "redeem", second, "--to", to);
	assert.deepEqual(readFileSync(to), Buffer.from("Findings 1."));

	// A recipient who has a key by another share needs none.
	const there = propose(1);
	await press(page, "k.back");
	await review(page, "k.decide");
	await titled(page, "k.share");
	assert.match(await page.textContent("main"), /Staysother items of the case: \d+Law/);
	await press(page, "k.approve");
	await titled(page, "k.approve.done");
	assert.equal(await page.textContent("main .lead"), words.en["k.approve.there"]);
	assert.equal(status(there), "active");

	// The person concerned may have to agree too.
	const third = propose(deposit("--ask-first"));
	await press(page, "k.back");
	await review(page, "k.decide");
	await titled(page, "k.share");
	const whole = await page.textContent("main");
	assert.ok(whole.includes(words.en["k.asked"]));
	await sound(page, "custodian-share-asked");
	await press(page, "k.approve");
	await titled(page, "k.approve.done");
	assert.equal(await page.textContent("main .lead"), words.en["k.approve.asks"]);
	assert.equal(status(third), "pending");
	await press(page, "k.back");
	await titled(page, "k");
	assert.equal(await page.textContent("main .lead"), words.en["k.none"], "it still waits for who has decided");
	await review(page, "k.decide");
	await titled(page, "k.share.waits");
	assert.equal(await page.textContent("main .picked"), words.en["k.decided"]);
	await go(page, "/k/share", { item: exhibits[one], grant: second });
	await titled(page, "k.gone");
	await sound(page, "custodian-gone", [320]);
	assert.deepEqual(said, []);
});

test("a key that was not written waits for a keyholder, who sees what was found; nobody approves what they proposed", async (t) => {
	const { page, said, actor } = await enrol(t, "custodian");
	await titled(page, "k");
	member(actor);

	const list = path.join(world.work, "names");
	writeFileSync(list, "Marlowe\n");
	const grant = propose(2);
	assert.throws(() => world.cli("custodian-2", "grant", "approve", grant, "--yes", "--names", list), "the second custodian let it go");
	assert.equal(status(grant), "active");
	await press(page, "look.again");
	await page.waitForSelector(".card");
	await sound(page, "custodian-key-inbox", [1280]);
	await review(page, "k.write");
	await titled(page, "k.share.key");
	await page.getByLabel(words.en["k.names"]).fill("Nobody\nMarlowe");
	await sound(page, "custodian-key");
	await press(page, "k.key.do");
	await titled(page, "k.found");
	const found = await page.textContent("main ul");
	assert.ok(found.includes(say("k.found.kind.name", { number: "2" })) && !found.includes("Marlowe"), found);
	await sound(page, "custodian-found");
	assert.throws(() => world.cli("court", "grant", "redeem", grant, "--to", path.join(world.work, "early.txt")), "the key was written before it was let go");
	await press(page, "k.found.go");
	await titled(page, "k.key.done");
	await sound(page, "custodian-key-written");
	const to = path.join(world.work, "found.txt");
	world.cli("court", "grant", "redeem", grant, "--to", to);
	assert.deepEqual(readFileSync(to), files["two.txt"]);

	const own = await ask(page, "propose", { item: exhibits[1], to: court, actions: ["view", "download"], purpose: "adjudication", jurisdiction: "NL", legal_basis: "statute",
		until: new Date(Date.now() + 20 * 86400_000).toISOString().replace(/\.\d+Z/, ".000Z") });
	assert.match(own.grant ?? JSON.stringify(own), /^gra-/);
	await press(page, "k.back");
	await titled(page, "k");
	assert.equal(await page.textContent("main .lead"), words.en["k.none"]);
	await page.locator(".card", { hasText: say("exhibit", { number: "1", content: words.en["content.clinical"] }) }).getByRole("button").click();
	await titled(page, "k.share.waits");
	assert.equal(await page.textContent("main .picked"), words.en["k.own"]);
	assert.equal(await page.getByRole("button", { name: words.en["k.approve"] }).count(), 0);
	await sound(page, "custodian-own");
	assert.equal((await ask(page, "approve", { item: exhibits[1], grant: own.grant })).problem, "second_person");
	assert.equal(status(own.grant), "pending");

	// Somebody else decides while the page stands open.
	const other = propose(2);
	await go(page, "/k/share", { item: exhibits[2], grant: other });
	await titled(page, "k.share");
	writeFileSync(why, "No.");
	world.cli("custodian-2", "grant", "refuse", other, "--reason-file", why);
	await press(page, "k.approve");
	await page.waitForSelector(".problem");
	assert.ok([words.en["why.not_pending"], words.en["why.grant_over"]].includes(await problem(page)), await problem(page));
	await sound(page, "custodian-late", [1280]);
	assert.equal(status(other), "refused");

	// What anybody else opens by the address is not there for them.
	await go(page, "/court");
	await titled(page, "nowhere");
	assert.deepEqual(said, []);
});

test("a person is invited, joins in another browser, is admitted, compared and confirmed; a key that differs is stopped", async (t) => {
	const { page, said } = await enrol(t, "custodian");
	await titled(page, "k");
	await press(page, "k.invite");
	await titled(page, "k.invite");
	await press(page, "k.invite.do");
	await page.waitForSelector(".problem");
	assert.equal(await problem(page), words.en["k.invite.role.missing"]);
	assert.equal(await page.getByLabel(words.en["role.clinician"], { exact: true }).count(), 0, "a custodian invites no staff");
	await sound(page, "custodian-invite-missing", [1280]);
	await page.getByLabel(words.en["role.defence"], { exact: true }).check();
	await sound(page, "custodian-invite");
	await press(page, "k.invite.do");
	await titled(page, "k.invited");
	const link = await page.inputValue("#link");
	assert.match(link, new RegExp(`^${world.origin}/join#[a-z2-7]{26}$`));
	assert.equal(page.url(), `${world.origin}/k/invite`);
	assert.equal(await groups(page), world.cli("custodian-1", "whoami").vault_number);
	await sound(page, "custodian-invited");
	await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
	await press(page, "k.invited.copy");
	await page.waitForSelector("#clipped:not([hidden])");
	assert.equal(await page.evaluate(() => navigator.clipboard.readText()), link);
	await press(page, "k.back");
	await titled(page, "k");
	assert.equal((await page.evaluate(() => navigator.clipboard.readText())).trim(), "", "the link stays in the clipboard");
	await page.waitForSelector(`text="${words.en["k.unanswered"]}"`);
	await sound(page, "custodian-unanswered", [1280]);

	const defence = await open(t, "/");
	const { actor, number } = await join(defence.page, link);
	await press(page, "look.again");
	await card(page, "k.admit").waitFor();
	await sound(page, "custodian-answered", [1280]);
	await review(page, "k.admit");
	await titled(page, "k.admit");
	await sound(page, "custodian-admit");
	await press(page, "k.admit.do");
	await titled(page, "k.admit.done");
	await sound(page, "custodian-admitted", [1280]);
	await press(page, "k.back");
	await titled(page, "k");
	assert.equal(await page.textContent("main .lead"), words.en["k.none"]);
	await review(page, "k.confirm");
	await titled(page, "k.confirm");
	assert.equal(await page.textContent("main .picked"), words.en["k.admit.own"]);
	await sound(page, "custodian-admitted-own", [1280]);
	const alone = { actor, key_number: number, heard: { 1: number.split(" ")[0], 2: number.split(" ")[1] }, method: "phone" };
	assert.equal((await ask(page, "confirm", alone)).problem, "second_person");
	world.cli("custodian-2", "actor", "confirm", actor, "--number", number);
	await press(defence.page, "waits.now");
	await titled(defence.page, "confirmed");

	// The other way round: the command line admits, this page compares.
	const { code, invitation } = world.cli("custodian-1", "actor", "invite", "--role", "court");
	const judge = await open(t, "/");
	const joined = await join(judge.page, `${world.origin}/join#${code}`);
	world.cli("custodian-1", "actor", "admit", invitation);
	await go(page, "/k");
	await review(page, "k.confirm");
	await titled(page, "k.hear");
	const five = joined.number.split(" ");
	const body = await page.textContent("main");
	assert.ok(!five.some((group) => body.includes(group)), "the number is shown before it is heard");
	const asked = await page.locator("input[id^=group-]").evaluateAll((list) => list.map((e) => [Number(e.id.slice(6)), e.value]));
	assert.equal(asked.length, 2);
	assert.deepEqual(asked.map(([, value]) => value), ["", ""]);
	await press(page, "continue");
	await page.waitForSelector(".problem");
	assert.equal(await problem(page), say("k.hear.missing", { number: String(asked[0][0]) }));
	await page.fill(`#group-${asked[0][0]}`, five[asked[0][0] - 1]);
	await page.fill(`#group-${asked[1][0]}`, five[asked[1][0] - 1].replace(/^\d/, (d) => String((Number(d) + 1) % 10)));
	await page.getByLabel(words.en["k.method.phone"], { exact: true }).check();
	await press(page, "continue");
	await page.waitForSelector(`.problem:has-text("${say("k.hear.other", { number: String(asked[1][0]) })}")`);
	await sound(page, "custodian-hear-other");
	assert.equal((await ask(page, "confirm", { actor: joined.actor, key_number: joined.number, heard: {}, method: "phone" })).problem, "fingerprint", "confirmed unheard");
	await page.fill(`#group-${asked[1][0]}`, five[asked[1][0] - 1]);
	await sound(page, "custodian-hear");
	await press(page, "continue");
	await titled(page, "k.all");
	assert.equal(await groups(page), joined.number);
	await sound(page, "custodian-all");
	await press(page, "compare.same");
	await titled(page, "k.confirmed");
	await sound(page, "custodian-confirmed", [1280]);
	await press(judge.page, "waits.now");
	await titled(judge.page, "confirmed");
	assert.equal(world.cli("custodian-1", "actor", "list").people.find((p) => p.id === joined.actor).status, "active");

	const third = world.cli("custodian-1", "actor", "invite", "--role", "police");
	const stranger = await open(t, "/");
	const other = await join(stranger.page, `${world.origin}/join#${third.code}`);
	world.cli("custodian-1", "actor", "admit", third.invitation);
	await go(page, "/k");
	await review(page, "k.confirm");
	await titled(page, "k.hear");
	await press(page, "compare.unreached");
	await titled(page, "k");
	await review(page, "k.confirm");
	await press(page, "compare.differ");
	await titled(page, "k.differ");
	assert.equal(await page.textContent("main .lead"), words.en["k.differ.said"]);
	await sound(page, "custodian-differ");
	await press(page, "k.differ.do");
	await titled(page, "k.differ.done");
	await sound(page, "custodian-stopped", [1280]);
	assert.equal(world.cli("custodian-1", "actor", "list").people.find((p) => p.id === other.actor).status, "revoked");
	await press(page, "k.back");
	await titled(page, "k");
	assert.equal(await page.locator("main > .cards .card").count(), 0);
	assert.deepEqual(said, []);
});

test("an administrator has people, and no shares", async (t) => {
	const { page, said } = await enrol(t, "administrator");
	await titled(page, "k.people");
	assert.equal(page.url(), `${world.origin}/m`);
	assert.equal(await page.textContent("main .lead"), words.en["k.uninvited"]);
	await sound(page, "administrator-none");
	await press(page, "k.invite");
	await titled(page, "k.invite");
	assert.equal(await page.getByLabel(words.en["role.court"], { exact: true }).count(), 0, "an administrator invites no court");
	await page.getByLabel(words.en["role.clinician"], { exact: true }).check();
	await page.getByLabel(words.en["k.invite.documents"], { exact: true }).check();
	await sound(page, "administrator-invite");
	await press(page, "k.invite.do");
	await titled(page, "k.invited");
	const link = await page.inputValue("#link");
	const clinician = await open(t, "/");
	await join(clinician.page, link);
	await press(page, "k.back");
	await review(page, "k.admit");
	await titled(page, "k.admit");
	await press(page, "k.admit.do");
	await titled(page, "k.admit.done");
	await go(page, "/k");
	await titled(page, "nowhere");
	assert.deepEqual(said, []);
});

test("every language on a telephone: complete, in its direction, never wider than it", async (t) => {
	const { page, said, actor } = await enrol(t, "custodian");
	await titled(page, "k");
	member(actor);
	await page.emulateMedia({ colorScheme: "dark" });
	await page.setViewportSize({ width: 320, height: 740 });
	propose(1, "--allow", "view");
	const { code, invitation } = world.cli("custodian-1", "actor", "invite", "--role", "prosecutor");
	const joining = await open(t, "/");
	const joined = await join(joining.page, `${world.origin}/join#${code}`);
	world.cli("custodian-1", "actor", "admit", invitation);
	for (const tag of tags) {
		await page.selectOption("#language", tag);
		await go(page, "/k");
		await titled(page, "k", tag);
		await card(page, "k.decide", tag).first().waitFor();
		await proper(page, `custodian-list-${tag}`, tag);
		await page.locator("main > .cards .card", { has: page.locator(`h2:text-is("${words[tag]["k.decide"]}")`) }).first().getByRole("button").click();
		await page.waitForSelector("form");
		await proper(page, `custodian-share-${tag}`, tag);
		await press(page, "k.refuse", tag);
		await titled(page, "k.refuse.ask", tag);
		await proper(page, `custodian-refuse-${tag}`, tag);
		await go(page, "/k/key", { actor: joined.actor });
		await titled(page, "k.hear", tag);
		await proper(page, `custodian-hear-${tag}`, tag);
		for (const n of await page.locator("input[id^=group-]").evaluateAll((list) => list.map((e) => Number(e.id.slice(6))))) {
			const digits = joined.number.split(" ")[n - 1];
			await page.fill(`#group-${n}`, tag === "ar" ? digits.replace(/\d/g, (d) => String.fromCharCode(0x660 + Number(d))) : digits);
		}
		await page.getByLabel(words[tag]["k.method.video"], { exact: true }).check();
		await press(page, "continue", tag);
		await titled(page, "k.all", tag);
		await proper(page, `custodian-all-${tag}`, tag);
		await press(page, "compare.differ", tag);
		await titled(page, "k.differ", tag);
		await proper(page, `custodian-differ-${tag}`, tag);
		await go(page, "/k/invite");
		await titled(page, "k.invite", tag);
		await page.getByLabel(words[tag]["role.police"], { exact: true }).check();
		await proper(page, `custodian-invite-${tag}`, tag);
	}
	assert.deepEqual(said, []);
});

/** proper is sound, and in one language. */
async function proper(page, name, tag) {
	assert.deepEqual(await page.evaluate(() => [document.documentElement.lang, document.documentElement.dir]), [tag, tag === "ar" ? "rtl" : "ltr"]);
	await sound(page, name, [320]);
	if (tag === "ar" || tag === "uk") {
		const foreign = await page.evaluate(() => {
			const copy = document.querySelector("main").cloneNode(true);
			copy.querySelectorAll("bdi, code, [dir=ltr], option").forEach((e) => e.remove());
			return copy.textContent.match(/\p{Script=Latin}{2,}/gu);
		});
		assert.deepEqual([...new Set(foreign)].filter((w) => w !== "UTC"), [], `${name}: words of another language`);
	}
}
