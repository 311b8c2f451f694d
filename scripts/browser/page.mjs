// What the tests of the application's pages share: a page in a profile of its own, its words, and what must hold of every state of it.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { root } from "./world.mjs";

export const pictures = process.env.STRONGROOM_SCREENSHOTS ?? path.join(root, "build", "browser");
const axe = readFileSync(new URL("node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
export const tags = ["en", "fr", "es", "ar", "uk"];
export const words = Object.fromEntries(tags.map((t) => [t, JSON.parse(readFileSync(path.join(root, "internal", "web", "words", `${t}.json`), "utf8"))]));
export const passphrase = "correct horse battery staple 7";

/** visit gives a page in a profile of its own, and what it asked for and complained of. */
export async function visit(t, browser, url, options = {}) {
	const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 1280, height: 900 }, locale: "en-GB", ...options });
	t.after(() => context.close());
	const page = await context.newPage();
	const asked = [], said = [];
	context.on("request", (r) => asked.push(r.url()));
	page.on("pageerror", (e) => said.push(String(e)));
	page.on("console", (m) => m.type() === "error" && said.push(m.text()));
	await page.goto(url);
	return { page, context, asked, said };
}

export const press = (page, id, tag = "en") => page.getByRole("button", { name: words[tag][id], exact: true }).click();
export const titled = (page, id, tag = "en") => page.waitForSelector(`h1:text-is("${words[tag][id]}")`, { timeout: 60_000 });

/** groups reads a number as it is to be read out. */
export const groups = async (page, which = 0) => (await page.locator(".groups").nth(which).locator(".five > [aria-hidden]").allTextContents()).join(" ");

/** join answers an invitation in a page, and returns who it made and the key number. */
export async function join(page, link) {
	await page.goto(link);
	await press(page, "continue");
	await press(page, "compare.same");
	await page.fill("#passphrase", passphrase);
	await page.fill("#passphrase-again", passphrase);
	await press(page, "make");
	await page.waitForSelector(`h1:text-is("${words.en.recovery}"), h1:text-is("${words.en.numbers}")`, { timeout: 60_000 });
	if (await page.locator(`h1:text-is("${words.en.recovery}")`).count()) { // who opens nothing has no recovery file
		await Promise.all([page.waitForEvent("download"), press(page, "recovery.save")]);
		await press(page, "continue");
	}
	const number = await groups(page);
	await press(page, "continue");
	await titled(page, "waits");
	return { number, actor: await page.evaluate(async () => (await import("/assets/session.js")).session.actor) };
}

/** enrolled brings somebody of the staff in, whom the administrator admits and the first custodian confirms. */
export async function enrolled(t, browser, world, role) {
	const opened = await visit(t, browser, world.origin + "/");
	const { code, invitation } = world.cli("administrator", "actor", "invite", "--role", role);
	const { actor, number } = await join(opened.page, `${world.origin}/join#${code}`);
	world.cli("administrator", "actor", "admit", invitation);
	world.cli("custodian-1", "actor", "confirm", actor, "--number", number);
	await press(opened.page, "waits.now");
	await titled(opened.page, "confirmed");
	await press(opened.page, "go.on");
	return { ...opened, actor };
}

/** sound asks of a state what must hold of all, at every width that is named, and draws it. */
export async function sound(page, name, widths = [1280, 320]) {
	for (const width of widths) {
		await page.setViewportSize({ width, height: 900 });
		const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
		assert.ok(wide <= 0, `${name}: ${wide} pixels too wide at ${width}`);
		const small = await page.evaluate(() => [...document.querySelectorAll("button, select, textarea, summary, input, footer a")]
			.filter((e) => e.checkVisibility() && (["checkbox", "radio"].includes(e.type) ? e.closest("label") : e).getBoundingClientRect().height < 44).map((e) => e.outerHTML.slice(0, 80)));
		assert.deepEqual(small, [], `${name}: targets that are too small`);
		await page.screenshot({ path: path.join(pictures, `${name}${widths.length > 1 ? `-${width}` : ""}.png`), fullPage: true });
	}
	await page.setViewportSize({ width: widths[0], height: 900 });
	if (!(await page.evaluate(() => "axe" in window))) {
		await page.evaluate(axe);
	}
	const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"], runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }));
	assert.deepEqual(found.violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.html.slice(0, 120)).join(" | ")}`), [], `${name}: axe-core`);
}
