// The body maps in a real browser: the component as it is served, under the policy of the pages, on a page of the test. By finger, by mouse and
// by keyboard alone, in every language; no language mirrors a figure or moves a mark. And the same marks on the page for print.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const root = path.resolve(import.meta.dirname, "../..");
const bin = process.env.STRONGROOM_BIN ?? path.join(root, "bin");
const assets = path.join(root, "internal", "web", "assets");
const pictures = process.env.STRONGROOM_SCREENSHOTS ?? path.join(root, "build", "browser");
const axe = readFileSync(new URL("node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
const tags = ["en", "fr", "es", "ar", "uk"];
const words = Object.fromEntries(tags.map((t) => [t, JSON.parse(readFileSync(path.join(root, "internal", "web", "words", `${t}.json`), "utf8"))]));
const { figures } = await import(path.join(assets, "figures.js"));
const maps = ["anterior", "posterior", "left", "right", "head", "hands", "feet", "genital"];
const example = JSON.parse(readFileSync(path.join(root, "api", "forms", "examples", "clinical-record-1.json"), "utf8")).marks;
const schema = JSON.parse(readFileSync(path.join(root, "api", "forms", "clinical-record-1.schema.json"), "utf8"));

// The policy that every page of the server has, as package web says it.
const policy = [...readFileSync(path.join(root, "internal", "web", "web.go"), "utf8").match(/const policy = ([\s\S]*?)\n\n/)[1].matchAll(/"([^"]*)"/g)].map((m) => m[1]).join("");

const pageOf = (tag) => `<!DOCTYPE html><html lang="${tag}" dir="${tag === "ar" ? "rtl" : "ltr"}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Body maps</title>
<link rel="icon" href="data:,"><link rel="stylesheet" href="/assets/style.css"><link rel="stylesheet" href="/assets/bodymap.css"><script type="module" src="/start.js"></script></head>
<body><main class="page"><h1>Body maps</h1></main></body></html>`;
const start = `import { BodyMap } from "/assets/bodymap.js";
import { say, speak } from "/assets/language.js";
const asked = new URL(location.href).searchParams, tag = asked.get("tag");
speak(tag);
window.missing = [];
window.told = [];
const checked = (id, places = {}) => {
	const text = say(id, places);
	if (text === id || /\\{/.test(text)) window.missing.push(id);
	return text;
};
window.map = new BodyMap({ marks: window.given, genital: asked.get("genital") === "yes", say: checked, language: tag, changed: (list) => window.told.push(list) });
document.querySelector("main").append(window.map.element);
`;

let browser, server, address;

before(async () => {
	mkdirSync(pictures, { recursive: true });
	assert.match(policy, /default-src 'none'.*require-trusted-types-for 'script'/);
	server = createServer((request, answer) => {
		const { pathname, searchParams } = new URL(request.url, "http://localhost");
		const types = { ".js": "text/javascript", ".css": "text/css" };
		let body, type = types[path.extname(pathname)];
		if (pathname === "/") {
			[body, type] = [pageOf(searchParams.get("tag")), "text/html"];
		} else if (pathname === "/start.js") {
			body = start;
		} else if (pathname === "/assets/words.js") {
			body = `export const words = ${JSON.stringify(words)};`;
		} else if (/^\/assets\/[a-z.]+$/.test(pathname) && type) {
			body = readFileSync(path.join(assets, path.basename(pathname)));
		}
		answer.writeHead(body ? 200 : 404, { "Content-Type": `${type}; charset=utf-8`, "Content-Security-Policy": policy });
		answer.end(body);
	});
	await new Promise((r) => server.listen(0, "127.0.0.1", r));
	address = `http://127.0.0.1:${server.address().port}/`;
	browser = await chromium.launch({
		executablePath: process.env.STRONGROOM_CHROMIUM ?? "/usr/bin/chromium",
		args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
	});
});

after(async () => {
	await browser?.close();
	server?.close();
});

/** open gives a page with the body maps; nothing it complains of is passed over. */
async function open(t, { tag = "en", marks = [], genital = false, ...options } = {}) {
	const context = await browser.newContext({ viewport: { width: 390, height: 844 }, locale: "en-GB", ...options });
	const page = await context.newPage(), said = [];
	page.on("pageerror", (e) => said.push(String(e)));
	page.on("console", (m) => m.type() === "error" && said.push(m.text()));
	t.after(async () => {
		const missing = await page.evaluate(() => window.missing).catch(() => []);
		await context.close();
		assert.deepEqual(said, []);
		assert.deepEqual(missing, [], "words that there are none of");
	});
	await page.addInitScript((given) => (window.given = given), marks);
	await page.goto(`${address}?${new URLSearchParams({ tag, genital: genital ? "yes" : "no" })}`);
	await page.waitForSelector(".bodymap-picture svg");
	return page;
}

const say = (tag, id, places = {}) => words[tag][id].replace(/\{([a-z]+)\}/g, (_, name) => places[name]);
const marksOf = (page) => page.evaluate(() => window.map.marks);
const toldOf = (page) => page.evaluate(() => window.told);
const turn = (page, map, tag = "en") => page.getByRole("tab", { name: words[tag][`body_map_${map}`], exact: true }).click();
const press = (page, id, tag = "en") => page.getByRole("button", { name: words[tag][id], exact: true }).click();
const status = (page) => page.textContent(".bodymap-status");
const focus = (page) => page.evaluate(() => document.activeElement.id || document.activeElement.getAttribute("aria-label") || document.activeElement.textContent);

/** clean: axe-core finds nothing, nothing is too wide, every target is large enough. */
async function clean(page, name) {
	if (!(await page.evaluate(() => "axe" in window))) {
		await page.evaluate(axe);
	}
	const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"], runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }));
	assert.deepEqual(found.violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.html.slice(0, 160)).join(" | ")}`), [], `${name}: axe-core`);
	const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
	assert.ok(wide <= 0, `${name}: ${wide} pixels too wide`);
	const small = await page.evaluate(() => [...document.querySelectorAll("button, select, input:not([type=radio])")].map((e) => [e, e.getBoundingClientRect()])
		.filter(([e, r]) => e.offsetParent && (r.height < 47.9 || r.width < 47.9)).map(([e]) => e.outerHTML.slice(0, 100)));
	assert.deepEqual(small, [], `${name}: targets that are too small`);
	await page.screenshot({ path: path.join(pictures, `bodymap-${name}.png`), fullPage: true });
}

/** spread is a few marks on every map, one in each third region. */
function spread() {
	const list = [];
	for (const map of maps) {
		const f = figures[map];
		for (const view of f.views) {
			view.regions.filter((_, i) => i % 4 === 1).forEach((r) => list.push({
				number: list.length + 1, map, x: Math.round((1000 * r.at[0]) / f.width) / 1000, y: Math.round((1000 * r.at[1]) / f.height) / 1000,
				type: "bruise", site: words.en[r.name], length_mm: 10, consented: true,
			}));
		}
	}
	return list;
}

/** where is, as it is seen, each mark's place as a part of the figure; whether a figure's own parts lie in their places; and where left and right are said. */
const where = (page, map) => page.evaluate((figure) => {
	const marks = {}, drawn = [], sides = [];
	for (const view of figure.views) {
		const tile = document.querySelector(`[data-view="${view.id}"]`), svg = tile.querySelector("svg"), seen = svg.getBoundingClientRect();
		const part = (x, y) => [view.box[0] + (view.box[2] * (x - seen.x)) / seen.width, view.box[1] + (view.box[3] * (y - seen.y)) / seen.height];
		for (const b of tile.querySelectorAll(".bodymap-mark")) {
			const r = b.getBoundingClientRect(), [x, y] = part(r.x + r.width / 2, r.y + r.height / 2);
			marks[b.dataset.number] = [x / figure.width, y / figure.height].map((n) => Math.round(1000 * n) / 1000);
		}
		const path = svg.querySelector("path"), at = path.getPointAtLength(100), m = path.getScreenCTM();
		const [x, y] = part(m.a * at.x + m.c * at.y + m.e, m.b * at.x + m.d * at.y + m.f);
		drawn.push(m.a > 0 && Math.abs(x - at.x) < 1 && Math.abs(y - at.y) < 1);
		sides.push([...tile.querySelectorAll(".bodymap-sides span")].map((e) => {
			const r = e.getBoundingClientRect();
			return [e.textContent, Math.sign(Math.round((r.x + r.width / 2 - seen.x - seen.width / 2) / 4)) + 0, r.height < 40 && r.bottom <= seen.y + 1];
		}));
	}
	return { marks, drawn, sides };
}, figures[map]);

test("there is a figure for every map of the schema, and every region has a name in every language", () => {
	const found = JSON.stringify(schema).match(/"enum":\["anterior"[^\]]*\]/)[0];
	assert.deepEqual(JSON.parse(`{${found}}`).enum, maps);
	assert.deepEqual(Object.keys(figures), maps);
	for (const tag of tags) {
		for (const f of Object.values(figures)) {
			for (const view of f.views) {
				for (const id of [view.name, ...view.regions.map((r) => r.name)]) {
					assert.ok(words[tag][id], `${tag} ${id}`);
				}
			}
		}
	}
});

test("every map with marks is drawn, named and sound, in every language, at 320 pixels and at 1280, in light and dark", async (t) => {
	const marks = spread();
	for (const tag of tags) {
		const page = await open(t, { tag, marks, genital: true });
		for (const map of maps) {
			await turn(page, map, tag);
			const here = marks.filter((m) => m.map === map);
			const got = await where(page, map);
			assert.deepEqual(Object.keys(got.marks), here.map((m) => String(m.number)));
			for (const m of here) {
				const [x, y] = got.marks[m.number];
				assert.ok(Math.abs(x - m.x) < 0.004 && Math.abs(y - m.y) < 0.004, `${tag} ${map} ${m.number}: ${[x, y]} instead of ${[m.x, m.y]}`);
			}
			if (tag === "en" || tag === "ar") {
				await page.setViewportSize({ width: 320, height: 740 });
				await clean(page, `${map}-${tag}-320`);
				await page.setViewportSize({ width: 390, height: 844 });
			}
		}
	}
	const page = await open(t, { marks, genital: true, colorScheme: "dark", viewport: { width: 1280, height: 900 } });
	for (const map of maps) {
		await turn(page, map);
		await clean(page, `${map}-dark-1280`);
	}
});

test("Arabic mirrors the page around a figure, and neither the figure nor its marks nor the body's sides", async (t) => {
	const marks = spread();
	const english = await open(t, { marks, genital: true }), arabic = await open(t, { tag: "ar", marks, genital: true });
	assert.equal(await arabic.evaluate(() => getComputedStyle(document.querySelector(".bodymap-tabs")).direction), "rtl");
	for (const map of maps) {
		await turn(english, map);
		await turn(arabic, map, "ar");
		const [a, b] = [await where(english, map), await where(arabic, map)];
		assert.deepEqual(b.marks, a.marks, map);
		assert.ok([...a.drawn, ...b.drawn].every(Boolean), `${map}: ${a.drawn} ${b.drawn}`);
		for (const [tag, got] of [["en", a], ["ar", b]]) {
			const [right, left] = [words[tag].body_right, words[tag].body_left], several = figures[map].views.length > 1;
			const want = figures[map].views.map(({ side }) => ({
				facing: [[right, -1, true], [left, 1, true]], away: [[left, -1, true], [right, 1, true]], left: several ? [] : [[left, 0, true]], right: several ? [] : [[right, 0, true]],
			})[side]);
			assert.deepEqual(got.sides, want, `${tag} ${map}`);
		}
	}
	// An arrow moves to where it points, in both.
	for (const [page, tag] of [[english, "en"], [arabic, "ar"]]) {
		await turn(page, "anterior", tag);
		const before = (await marksOf(page)).find((m) => m.map === "anterior");
		await page.locator(`.bodymap-mark[data-number="${before.number}"]`).focus();
		await page.keyboard.press("ArrowLeft");
		assert.equal((await marksOf(page)).find((m) => m.number === before.number).x, Math.round(1000 * before.x - 10) / 1000, tag);
	}
	// Along the tabs it goes on in the direction of reading.
	await arabic.getByRole("tab", { name: words.ar.body_map_anterior, exact: true }).focus();
	await arabic.keyboard.press("ArrowLeft");
	assert.equal(await focus(arabic), "bodymap-tab-posterior");
	await clean(arabic, "ar");
});

test("by keyboard alone: a region, a mark, its place, its words, and again", async (t) => {
	const page = await open(t);
	const reach = async (wanted) => {
		for (let i = 0; i < 40; i++) {
			await page.keyboard.press("Tab");
			assert.ok(await page.evaluate(() => {
				const s = getComputedStyle(document.activeElement), r = document.activeElement.getBoundingClientRect();
				return s.outlineStyle === "solid" && s.outlineWidth === "3px" && r.bottom > 0 && r.top < innerHeight;
			}), `no focus to be seen on ${await focus(page)}`);
			if ((await focus(page)) === wanted) {
				return;
			}
		}
		assert.fail(`${wanted} is not reached`);
	};
	await reach("bodymap-tab-anterior");
	await page.keyboard.press("End"); // the last map that is shown: without its consent not the genital one
	assert.equal(await focus(page), "bodymap-tab-feet");
	await page.keyboard.press("Home");
	await page.keyboard.press("ArrowRight");
	await page.keyboard.press("ArrowRight");
	assert.equal(await focus(page), "bodymap-tab-left");
	await reach("bodymap-region");
	await page.keyboard.type("left forearm");
	await reach(words.en.body_add);
	await page.keyboard.press("Enter");
	assert.equal(await focus(page), "Mark 1, not described yet, left forearm");
	assert.match(await page.inputValue("#bodymap-region"), / left_forearm$/); // still chosen, for the next mark there
	assert.match(await status(page), /^Mark 1 is placed: left forearm\./);
	assert.deepEqual(await toldOf(page), [], "nothing is a mark before it is kept");
	const at = () => page.evaluate(() => ["left", "top"].map((p) => parseFloat(document.querySelector(".bodymap-mark").style[p])));
	const [x, y] = await at();
	await page.keyboard.press("ArrowRight");
	await page.keyboard.press("ArrowDown");
	assert.deepEqual((await at()).map((n) => Math.round(10 * n)), [Math.round(10 * x) + 10, Math.round(10 * y) + 10]);
	await page.keyboard.press("Shift+ArrowUp");
	await page.keyboard.press("ArrowUp");
	assert.deepEqual((await at()).map((n) => Math.round(10 * n)), [Math.round(10 * x) + 10, Math.round(10 * y) - 50]);
	await page.keyboard.press("Shift+ArrowDown");
	await page.keyboard.press("ArrowLeft");
	assert.match(await status(page), /^Mark 1: \d.*% across, \d.*% down, left forearm$/);
	await page.keyboard.press("Enter");
	assert.equal(await focus(page), "bodymap-type");
	await page.keyboard.type("bruise");
	await page.keyboard.press("Enter"); // too early: what is missing is said, and where
	assert.equal(await focus(page), "bodymap-problem");
	await clean(page, "problem");
	assert.deepEqual(await page.locator("#bodymap-problem li").allTextContents(), [words.en.body_problem_agreed]);
	await page.keyboard.press("Tab");
	await page.keyboard.press("Enter");
	assert.equal(await focus(page), "bodymap-consented");
	await page.keyboard.press("Space");
	await page.locator("#bodymap-length_mm").focus();
	await page.keyboard.type("32");
	await page.keyboard.press("Tab");
	await page.keyboard.type("18");
	await clean(page, "editor");
	await page.keyboard.press("Enter");
	assert.equal(await focus(page), "Mark 1, bruise, left forearm, 32 by 18 millimetres");
	const [mark] = await marksOf(page);
	assert.deepEqual(mark, { number: 1, map: "left", x: mark.x, y: mark.y, site: "left forearm", side: "left", type: "bruise", length_mm: 32, width_mm: 18, consented: true });
	assert.deepEqual(await toldOf(page), [[mark]]);
	await reach(words.en.body_edit_mark.replace("{number}", "1"));
	await page.keyboard.press("Enter");
	assert.equal(await focus(page), "bodymap-editing");
	await reach(words.en.body_leave);
	await page.keyboard.press("Enter");
	assert.equal(await focus(page), "Mark 1, bruise, left forearm, 32 by 18 millimetres");
	await reach(words.en.body_remove_mark.replace("{number}", "1"));
	await page.keyboard.press("Enter");
	assert.equal(await focus(page), "bodymap-undo");
	assert.deepEqual(await marksOf(page), []);
	await page.keyboard.press("Enter");
	assert.deepEqual(await marksOf(page), [mark]);
	await clean(page, "kept");
});

test("no arrow takes a mark or its outline out of the figure, and the outline goes along", async (t) => {
	const page = await open(t, { marks: example });
	await turn(page, "left");
	await page.locator(".bodymap-mark").focus();
	for (let i = 0; i < 30; i++) {
		await page.keyboard.press("Shift+ArrowLeft");
		await page.keyboard.press("Shift+ArrowUp");
	}
	const [moved, other] = await marksOf(page);
	assert.deepEqual(other, example[1]);
	assert.deepEqual((await toldOf(page)).at(-1), [moved, other], "who holds the record is told of every place");
	const points = (m) => [m, ...m.path].map((p) => [p.x, p.y]);
	assert.equal(Math.min(...points(moved).map((p) => p[0])), 0);
	assert.equal(Math.min(...points(moved).map((p) => p[1])), 0);
	points(moved).forEach((p, i) => [0, 1].forEach((k) => {
		const by = points(moved)[0][k] - points(example[0])[0][k];
		assert.ok(Math.abs(p[k] - points(example[0])[i][k] - by) < 1e-9, "the outline changed its form");
	}));
	const drawn = await page.getAttribute("polygon.traced", "points");
	assert.equal(drawn, moved.path.map((p) => `${p.x * 600},${p.y * 1000}`).join(" "));
	for (let i = 0; i < 30; i++) {
		await page.keyboard.press("Shift+ArrowRight");
		await page.keyboard.press("Shift+ArrowDown");
	}
	const [far] = await marksOf(page);
	assert.equal(Math.max(...points(far).map((p) => p[0])), 1);
	assert.equal(Math.max(...points(far).map((p) => p[1])), 1);
});

test("moved over the edge of a view a mark stands in the next one, and keeps the focus", async (t) => {
	const page = await open(t, { marks: [{ number: 4, map: "hands", x: 0.48, y: 0.2, type: "burn", site: "thumb", consented: true }] });
	await turn(page, "hands");
	await page.locator(".bodymap-mark").focus();
	for (const [key, view, x, y] of [["Shift+ArrowRight", "left_palm", 0.53, 0.2], ["Shift+ArrowLeft", "right_palm", 0.48, 0.2], ["ArrowLeft", "right_palm", 0.47, 0.2]]) {
		await page.keyboard.press(key);
		assert.equal(await page.evaluate(() => document.activeElement.closest("[data-view]")?.dataset.view), view);
		assert.deepEqual((await where(page, "hands")).marks, { 4: [x, y] });
		assert.deepEqual((await marksOf(page)).map((m) => [m.x, m.y]), [[x, y]]);
	}
});

test("by finger at 320 pixels: a tap places, taps move, buttons move, each map", async (t) => {
	const page = await open(t, { viewport: { width: 320, height: 740 }, hasTouch: true, isMobile: true, genital: true });
	for (const map of maps) {
		await page.getByRole("tab", { name: words.en[`body_map_${map}`], exact: true }).tap();
		const f = figures[map], view = f.views.at(-1), region = view.regions.find((r) => r.id.endsWith(view.side === "left" ? "elbow" : "thigh")) ?? view.regions[0];
		const picture = page.locator(`[data-view="${view.id}"] svg`), box = await picture.boundingBox();
		const tapAt = async (x, y) => picture.tap({ position: { x: (box.width * (x - view.box[0])) / view.box[2], y: (box.height * (y - view.box[1])) / view.box[3] }, force: true });
		await tapAt(region.at[0], region.at[1]);
		const number = (await marksOf(page)).length + 1;
		assert.equal(await focus(page), say("en", "body_named", { number: String(number), type: words.en.body_undescribed, site: words.en[region.name] }), map);
		const other = view.regions.find((r) => r !== region && Math.hypot(r.at[0] - region.at[0], r.at[1] - region.at[1]) > 0.3 * f.width) ?? view.regions.at(-1);
		await tapAt(other.at[0], other.at[1]);
		await page.getByRole("button", { name: words.en.body_move_up, exact: true }).tap();
		await page.getByRole("button", { name: words.en.body_move_down, exact: true }).tap();
		await page.fill("#bodymap-type", "scar");
		await page.locator("label[for=bodymap-consented]").tap();
		await page.getByRole("button", { name: words.en.body_keep, exact: true }).tap();
		const mark = (await marksOf(page)).at(-1);
		assert.equal(mark.map, map);
		assert.ok(Math.abs(mark.x - other.at[0] / f.width) < 0.006 && Math.abs(mark.y - other.at[1] / f.height) < 0.006, `${map}: ${[mark.x, mark.y]} instead of ${other.at}`);
		assert.equal(mark.site, words.en[other.name], map);
		const side = other.id.match(/^(left|right)_/)?.[1] ?? (["left", "right"].includes(view.side) ? view.side : "middle");
		assert.equal(mark.side, side, `${map} ${other.id}`);
	}
	assert.deepEqual((await marksOf(page)).map((m) => m.number), [1, 2, 3, 4, 5, 6, 7, 8]);
	await clean(page, "finger");
});

test("the genital map opens only with its own yes, and its marks are kept unseen without it", async (t) => {
	const marks = [...example, { number: 7, map: "genital", x: 0.25, y: 0.3, type: "secret tear", site: "secret place", consented: true }];
	const page = await open(t, { marks });
	const text = () => page.evaluate(() => document.body.outerHTML);
	assert.equal(await page.getByRole("tab").count(), 7);
	assert.ok(!(await text()).includes("secret"));
	assert.ok((await text()).includes(words.en.body_closed_mark));
	assert.equal(await page.getByRole("button", { name: "Edit mark 7" }).count(), 0);
	assert.deepEqual(await marksOf(page), marks);
	await clean(page, "closed");
	await page.evaluate(() => (window.map.genital = true));
	assert.equal(await page.getByRole("tab").count(), 8);
	await turn(page, "genital");
	assert.equal(await page.locator(".bodymap-mark").getAttribute("aria-label"), "Mark 7, secret tear, secret place");
	await page.selectOption("#bodymap-region", { index: 1 });
	await press(page, "body_add");
	await page.fill("#bodymap-type", "cut");
	await page.check("#bodymap-refused");
	await press(page, "body_keep");
	assert.deepEqual(await page.locator("#bodymap-problem li").allTextContents(), [words.en.body_problem_genital]);
	assert.equal((await marksOf(page)).length, 3);
	await page.evaluate(() => (window.map.genital = false)); // the person changed her mind
	assert.ok(!(await text()).includes("secret"));
	assert.equal(await page.locator(".bodymap-editor").count(), 0);
	assert.deepEqual(await marksOf(page), marks);
});

test("marks go in and out in the form of the record, with all their fields", async (t) => {
	const page = await open(t, { marks: example });
	assert.deepEqual(await marksOf(page), example);
	await page.getByRole("button", { name: "Edit mark 1", exact: true }).click();
	assert.equal(await page.getAttribute("[aria-selected=true]", "id"), "bodymap-tab-left");
	await press(page, "body_keep");
	assert.deepEqual(await marksOf(page), example, "kept as it was, it is as it was");
	await page.getByRole("button", { name: "Edit mark 2", exact: true }).click();
	for (const [id, value] of Object.entries({ type: "burn", site: "back", length_mm: "21,5", width_mm: "٢٠", depth_mm: "1.25", shape: "", colour: "red", photos: "P3;P4 P5" })) {
		await page.fill(`#bodymap-${id}`, value);
	}
	await page.selectOption("#bodymap-side", "both");
	await press(page, "body_keep");
	const { shape: _, ...rest } = example[1];
	const want = { ...rest, type: "burn", site: "back", side: "both", length_mm: 21.5, width_mm: 20, depth_mm: 1.25, colour: "red", photos: ["P3", "P4", "P5"] };
	assert.deepEqual(await marksOf(page), [example[0], want]);
	await page.getByRole("button", { name: "Edit mark 2", exact: true }).click();
	for (const [id, value] of Object.entries({ type: " ", site: "", length_mm: "2501", width_mm: "-1", depth_mm: "5e2", photos: "P 3, näher" })) {
		await page.fill(`#bodymap-${id}`, value);
	}
	await press(page, "body_keep");
	assert.equal(await page.locator("#bodymap-problem li").count(), 6);
	assert.equal(await page.inputValue("#bodymap-length_mm"), "2501"); // what cannot be read stays as it was typed
	assert.equal(await page.getAttribute("#bodymap-depth_mm", "aria-invalid"), "true");
	await page.getByRole("button", { name: "Edit mark 1", exact: true }).click();
	assert.equal(await status(page), "Keep mark 2 first, or leave it.");
	await press(page, "body_leave");
	assert.deepEqual(await marksOf(page), [example[0], want]);
	// Removed and brought back it stands in its place; a new one takes the next number.
	await page.getByRole("button", { name: "Remove mark 1", exact: true }).click();
	assert.deepEqual((await marksOf(page)).map((m) => m.number), [2]);
	await press(page, "body_undo");
	assert.deepEqual((await marksOf(page)).map((m) => m.number), [1, 2]);
	await page.getByRole("button", { name: "Remove mark 1", exact: true }).click();
	await press(page, "body_add");
	assert.match(await page.textContent("#bodymap-editing"), /3$/);
	assert.equal(await page.locator("#bodymap-undo").count(), 0);
	assert.equal((await toldOf(page)).length, 5);
});

test("what somebody wrote is text, and turns nothing around it", async (t) => {
	const wild = `"><img src=x onerror=alert(1)><b>\u2067x`;
	const page = await open(t, { marks: [{ ...example[0], type: wild, site: wild }] });
	await turn(page, "left");
	assert.equal(await page.locator(".bodymap-mark").getAttribute("aria-label"), `Mark 1, ${wild}, ${wild}, 32 by 18 millimetres`);
	await page.getByRole("button", { name: "Edit mark 1", exact: true }).click();
	assert.equal(await page.inputValue("#bodymap-type"), wild);
	assert.equal(await page.locator("img, b").count(), 0);
	assert.deepEqual(await page.locator("td bdi").allTextContents(), [wild, "32 × 18 mm", wild]);
});

test("500 marks are the most, and the table is there without a figure", async (t) => {
	const many = Array.from({ length: 500 }, (_, i) => ({ number: i + 1, map: "anterior", x: (i % 25) / 24, y: Math.floor(i / 25) / 19, type: "bruise", site: "chest", consented: true }));
	const page = await open(t, { marks: many });
	await press(page, "body_add");
	assert.equal(await status(page), words.en.body_full);
	assert.equal(await page.locator(".bodymap-table tbody tr").count(), 500);
	const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
	assert.ok(wide <= 0, "marks at the edges make the page wider");
	await page.getByRole("button", { name: "Remove mark 7", exact: true }).click();
	await press(page, "body_add");
	assert.match(await page.textContent("#bodymap-editing"), /7$/);
});

test("400 % larger and in forced colours everything is there", async (t) => {
	const page = await open(t, { marks: spread(), viewport: { width: 320, height: 256 }, forcedColors: "active" });
	await turn(page, "hands");
	await clean(page, "forced");
	const seen = await page.evaluate(() => getComputedStyle(document.querySelector(".bodymap-mark"), "::before").backgroundColor);
	assert.notEqual(seen, await page.evaluate(() => getComputedStyle(document.querySelector(".bodymap-figure")).backgroundColor));
});

test("on paper the marks lie where they lie on the screen, in every language, and the page asks nobody for anything", async (t) => {
	const work = mkdtempSync(path.join(tmpdir(), "strongroom-bodymap-"));
	t.after(() => rmSync(work, { recursive: true }));
	const record = JSON.parse(readFileSync(path.join(root, "api", "forms", "examples", "clinical-record-1.json"), "utf8")), marks = [...example, ...spread().map((m) => ({ ...m, number: m.number + 2 }))];
	writeFileSync(path.join(work, "record.json"), JSON.stringify({ ...record, marks }));
	for (const tag of tags) {
		const to = path.join(work, `${tag}.html`);
		execFileSync(path.join(bin, "strongroom"), ["--language", tag, "record", "show", path.join(work, "record.json"), "--to", to], { stdio: ["ignore", "ignore", "inherit"] });
		const context = await browser.newContext({ viewport: { width: 794, height: 1123 } });
		t.after(() => context.close());
		const page = await context.newPage(), asked = [];
		page.on("request", (q) => asked.push(q.url()));
		await page.goto(pathToFileURL(to).href);
		await clean(page, `page-${tag}`);
		const got = await page.evaluate(() => [...document.querySelectorAll("figure")].map((f) => {
			const seen = f.querySelector("svg").getBoundingClientRect();
			const middle = (e) => {
				const r = e.getBoundingClientRect();
				return [(r.x + r.width / 2 - seen.x) / seen.width, (r.y + r.height / 2 - seen.y) / seen.height];
			};
			const points = [...f.querySelectorAll(".point")].map(middle);
			return { map: f.className.split(" ")[0], marks: [...f.querySelectorAll(".number")].map((n, i) => [n.textContent, points[i]]),
				sides: [...f.querySelectorAll("text:not(.number)")].map((e) => [e.textContent, middle(e)]) };
		}));
		assert.deepEqual(got.map((f) => f.map), maps);
		for (const f of got) {
			const here = marks.filter((m) => m.map === f.map);
			assert.deepEqual(f.marks.map(([n]) => n), here.map((m) => String(m.number)));
			here.forEach((m, i) => assert.ok(Math.abs(f.marks[i][1][0] - m.x) < 0.005 && Math.abs(f.marks[i][1][1] - m.y) < 0.005, `${tag} ${f.map} ${m.number}: ${f.marks[i][1]}`));
			for (const view of figures[f.map].views.filter((v) => v.side === "facing" || v.side === "away")) {
				const [x, y, width, height] = view.box.map((n, i) => n / (i % 2 ? figures[f.map].height : figures[f.map].width));
				const within = f.sides.filter(([, at]) => at[0] > x && at[0] < x + width && at[1] > y && at[1] < y + height);
				const side = (id) => Math.sign(within.find(([text]) => text === words[tag][id])[1][0] - x - width / 2);
				assert.deepEqual([side("body_right"), side("body_left")], view.side === "facing" ? [-1, 1] : [1, -1], `${tag} ${f.map} ${view.id}`);
			}
		}
		assert.deepEqual(asked, [pathToFileURL(to).href]);
	}
});
