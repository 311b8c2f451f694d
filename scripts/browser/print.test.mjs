// Printing, in a real browser without a network: the pages that the command line writes of a record and of an item's custody, as they come on
// paper. Each sheet has at its foot what leads back to the record book.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { inflateSync } from "node:zlib";
import { World, launch, root } from "./world.mjs";

let browser, world;

before(async () => {
	browser = await launch();
	world = await World.start(Buffer.from("a note"), "note.txt");
});

after(async () => {
	await browser?.close();
	await world?.stop();
});

/** sheets are the texts of a PDF as Chromium writes it, one for each page: glyphs by the tables that say which letters they are. */
function sheets(pdf) {
	const file = pdf.toString("latin1");
	const objects = new Map(Array.from(file.matchAll(/(\d+) 0 obj\n([^]*?)\nendobj/g), (m) => [m[1], m[2]]));
	const content = (id) => {
		const [head, body] = objects.get(id).split(/stream\n/);
		const bytes = Buffer.from(body.slice(0, body.lastIndexOf("\nendstream")), "latin1");
		return (head.includes("FlateDecode") ? inflateSync(bytes) : bytes).toString("latin1");
	};
	const letters = (id) => {
		const map = new Map(), text = content(id);
		const letter = (hex) => Buffer.from(hex, "hex").swap16().toString("utf16le");
		for (const [, list] of text.matchAll(/beginbfchar([^]*?)endbfchar/g)) {
			for (const [, glyph, as] of list.matchAll(/<(\w+)> <(\w+)>/g)) {
				map.set(parseInt(glyph, 16), letter(as));
			}
		}
		for (const [, list] of text.matchAll(/beginbfrange([^]*?)endbfrange/g)) {
			for (const [, from, to, as] of list.matchAll(/<(\w+)> <(\w+)> <(\w+)>/g)) {
				for (let i = parseInt(from, 16); i <= parseInt(to, 16); i++) {
					map.set(i, String.fromCharCode(parseInt(as, 16) + i - parseInt(from, 16)));
				}
			}
		}
		return map;
	};
	const pages = [...objects.values()].filter((o) => /\/Type \/Page\b/.test(o));
	return pages.map((page) => {
		const fonts = new Map();
		for (const [, name, id] of (/\/Font <<([^]*?)>>/.exec(page)?.[1] ?? "").matchAll(/\/(\w+) (\d+) 0 R/g)) {
			const table = /\/ToUnicode (\d+) 0 R/.exec(objects.get(id));
			fonts.set(name, table ? letters(table[1]) : new Map());
		}
		let font, text = "";
		for (const [, name, glyphs] of content(/\/Contents (\d+) 0 R/.exec(page)[1]).matchAll(/\/(\w+) [\d.]+ Tf|<([0-9A-Fa-f]+)>|ET/g)) {
			if (name) {
				font = fonts.get(name);
			} else if (glyphs) {
				text += (glyphs.match(/.{4}/g) ?? []).map((g) => font?.get(parseInt(g, 16)) ?? "").join("");
			} else {
				text += " ";
			}
		}
		return text.replace(/\s+/g, "");
	});
}

/** print opens a file of this computer where there is no network, and prints it. */
async function print(file) {
	const context = await browser.newContext({ offline: true });
	const page = await context.newPage();
	const asked = [];
	page.on("request", (r) => asked.push(new URL(r.url()).protocol));
	await page.goto(pathToFileURL(file).href);
	const pdf = await page.pdf({ preferCSSPageSize: true });
	await context.close();
	assert.deepEqual([...new Set(asked)], ["file:"], "the page asked for more than itself");
	return sheets(pdf);
}

test("each printed sheet has exhibit, page code, its number and the time, and the code leads back to the print", async () => {
	const shared = world.cli("custodian-1", "list").find((i) => i.exhibit === 1);
	const { item } = world.cli("clinician", "deposit", "--case", shared.case, "--consent", shared.consent[0], "--record", path.join(root, "api/forms/examples/clinical-record-1.json"));
	const { exhibit } = world.cli("clinician", "seal", item, "--yes");
	for (const language of ["en", "ar"]) {
		const file = path.join(world.work, `record-${language}.html`);
		const { page_code: code, print_entry: entry } = world.cli("custodian-1", "record", "show", item, "--to", file, "--language", language);
		const paper = await print(file);
		assert.ok(paper.length > 3, `${paper.length} sheets`);
		const foot = { en: `Exhibit${exhibit}·Pagecode${code.replaceAll(" ", "")}`, ar: code.replaceAll(" ", "") }[language];
		paper.forEach((text, i) => {
			assert.ok(text.includes(foot), `${language}, sheet ${i + 1} has no ${foot}`);
			assert.ok(text.includes(`${i + 1}/${paper.length}`), `${language}, sheet ${i + 1} does not say which it is`);
			assert.match(text, /\d\d:\d\d:\d\dUTC/);
		});
		const { found } = world.cli("custodian-2", "history", "--page-code", code);
		assert.deepEqual(found.map((f) => [f.item, f.kind, f.export, f.entry]), [[item, "item.exported", "print", entry]]);
	}
	const report = path.join(world.work, "custody.html");
	world.cli("custodian-2", "report", item, "--to", report);
	const code = /Page code (\d{5} \d{5} \d{5} \d{5})/.exec(readFileSync(report, "utf8"))[1];
	const paper = await print(report);
	const mine = paper.filter((text) => text.includes(`Exhibit${exhibit}·Pagecode${code.replaceAll(" ", "")}`));
	assert.ok(mine.length > 1 && mine.length >= paper.length - 2, `${mine.length} of ${paper.length} sheets name the last step`); // the others are the head and what all have
	const steps = world.cli("custodian-2", "history", item).steps;
	assert.equal(world.cli("custodian-2", "history", item, "--page-code", code).found[0].step, steps.length);
});
