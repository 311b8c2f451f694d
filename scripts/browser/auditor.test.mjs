// The auditor's page in a real browser, against a real vault: what it says of an emergency, of a refused share and of the vault's people is what
// the record book has. Each state is drawn into the folder STRONGROOM_SCREENSHOTS, to be looked at by people.

import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { enrolled, pictures, press, sound, titled, words } from "./page.mjs";
import { World, launch } from "./world.mjs";

let browser, world;

before(async () => {
	mkdirSync(pictures, { recursive: true });
	browser = await launch();
	world = await World.start(Buffer.from("A statement."), "one.txt");
});

after(async () => {
	await browser?.close();
	await world?.stop();
});

test("a review lists what the record book has, in every language, and signs nothing", async (t) => {
	const list = world.cli("custodian-1", "list");
	const exhibit = (list.items ?? list).find((i) => i.exhibit === 1), item = exhibit.item ?? exhibit.id;
	const inCase = world.cli("custodian-1", "case", "list")[0].id, opener = world.cli("custodian-2", "whoami").actor;
	world.cli("custodian-1", "case", "add-member", inCase, `${opener}:open,approve,manage,duty`, "--until", "300d");
	const why = path.join(world.work, "why");
	writeFileSync(why, "A life could not wait.");
	world.cli("custodian-2", "item", "break-glass", item, "--code", "life", "--reason-file", why, "--to", path.join(world.work, "opened"), "--yes");

	const { page, actor, asked, said } = await enrolled(t, browser, world, "auditor");
	await titled(page, "a");
	assert.equal(new URL(page.url()).pathname, "/a");
	await sound(page, "auditor");
	const before = world.cli("administrator", "whoami").vault_number && (await page.evaluate(async () => (await (await import("/assets/session.js")).call("book")).size));
	await press(page, "a.start");
	await titled(page, "a.done");
	await sound(page, "auditor-review");

	const section = (title) => page.locator("section", { has: page.getByRole("heading", { name: title }) });
	const emergency = section(words.en["found.emergency"]);
	assert.match(await emergency.locator("h2").textContent(), /1$/);
	assert.ok((await emergency.locator(".card").first().textContent()).includes(item));
	assert.ok((await emergency.locator(".card").first().textContent()).includes(opener));
	const picked = await section(words.en["a.samples"]).locator(".card").count();
	assert.ok(picked > 1 && picked <= 10, `${picked} openings and shares were picked`);
	const acts = section(words.en["a.acts"]);
	assert.equal(await acts.locator(".card").count(), 10);
	assert.ok((await acts.locator(".card").first().textContent()).includes(actor), "the newest act is the confirmation of the auditor");
	await acts.getByRole("button", { name: words.en["a.more"] }).click();
	assert.ok(await acts.locator(".card").count() > 10);
	assert.ok(await page.evaluate(() => document.activeElement?.matches("li.card")), "who asks for more by keyboard stays there");
	assert.equal(await page.evaluate(async () => (await (await import("/assets/session.js")).call("book")).size >= 0), true);
	const signed = (await page.evaluate(async () => (await import("/assets/session.js")).call("audit"))).acts.filter((a) => a.by === actor);
	assert.deepEqual(signed, [], "a review signed something");
	assert.ok(before > 0);

	for (const tag of ["ar", "fr"]) {
		await page.selectOption("#language", tag);
		await titled(page, "a.done", tag);
		await sound(page, `auditor-review-${tag}`);
	}
	assert.deepEqual(said, []);
	assert.ok(asked.every((url) => url.startsWith(world.origin) || /^(blob|data):/.test(url)));
});
