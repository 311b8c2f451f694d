import { el, fixed, icon } from "./dom.js";
import { say } from "./language.js";

// The verdict page (INTERFACE §7). Every sentence comes from the verifier, in the language it was asked for; the order is the one here.

/**
 * @param {any} page what the verifier answered
 * @returns {HTMLElement}
 */
export function verdict(page) {
	const heads = page.labels;
	return el("article", { class: `verdict ${page.verdict}`, lang: page.language, dir: page.direction },
		el("div", { class: "panel" },
			el("h1", { tabindex: "-1" }, icon(page.verdict), page.word),
			el("p", { class: "sentence" }, page.sentence),
			...page.first.map((/** @type {string} */ s) => el("p", {}, s))),
		page.reasons.length ? section(heads.reasons, list(page.reasons.map(reason), "plain")) : null,
		section(heads.next, ...page.next.map((/** @type {string} */ s) => el("p", { class: "next" }, s))),
		el("div", { class: "columns" },
			page.shows.length ? section(heads.shows, list(page.shows)) : null,
			section(heads.hides, list(page.does_not_show))),
		...page.shares.map((/** @type {any} */ s) => section(`${heads.share}: ${s.item}`, rows(s.terms), ...s.notes.map((/** @type {string} */ n) => el("p", {}, n)))),
		page.request.length ? section(heads.request, rows(page.request)) : null,
		page.steps ? timeline(page) : null,
		el("details", { class: "checks" }, el("summary", {}, el("h2", {}, heads.checks)), el("ol", { class: "plain" }, ...page.checks.map(check))),
		section(heads.tool, rows(page.tool)));
}

/**
 * @param {string} title
 * @param {...HTMLElement} content
 */
function section(title, ...content) {
	return el("section", {}, el("h2", {}, title), ...content);
}

/**
 * @param {(string|HTMLElement)[]} items
 * @param {string} [look]
 */
function list(items, look = "") {
	return el("ul", { class: look }, ...items.map((item) => el("li", {}, item)));
}

/** @param {{said: string, checks: string[], reason: string}} r */
function reason(r) {
	return el("span", {}, r.said, " ", el("code", { dir: "ltr" }, `${r.checks.join(", ")}: ${r.reason}`));
}

/** @param {{name: string, value: string, fixed: boolean}[]} list */
function rows(list) {
	const dl = el("dl", {});
	for (const { name, value, fixed: same } of list) {
		if (name) {
			dl.append(el("dt", {}, name));
		}
		dl.append(el("dd", { class: same && /^(\d{5} ){5}\d{5}$/.test(value) ? "number" : "" }, same ? fixed(value) : value));
	}
	return dl;
}

/** @param {any} page */
function timeline(page) {
	return el("details", { class: "timeline" }, el("summary", {}, el("h2", {}, page.labels.timeline)), el("ol", { class: "plain" }, ...steps(page)));
}

/**
 * steps are the entries of a timeline, of which there may be more than are here.
 * @param {any} page
 */
export function steps(page) {
	return page.timeline.map((/** @type {any} */ s) =>
		el("li", {},
			el("p", { class: "when" }, `${s.item} · ${s.step}`, s.when ? ` · ${s.when}` : ""),
			el("p", { class: "what" }, s.what),
			s.who ? el("p", {}, s.who, s.by ? " · " : "", s.by ? el("code", { dir: "ltr" }, s.by) : "") : null,
			s.why ? el("p", {}, s.why) : null,
			s.clocks ? el("p", {}, s.clocks) : null,
			el("p", { class: "proof" }, s.proof, " ", el("code", { dir: "ltr" }, s.leaf))));
}

/** @param {{name: string, result: string, answer: string, said: string}} c */
function check(c) {
	return el("li", { class: c.result }, el("p", {}, el("span", { class: "name" }, c.name), " ", el("strong", {}, c.answer)), c.said ? el("p", {}, c.said) : null);
}

/**
 * report is the verdict as a file of its own, without any program in it.
 * @param {HTMLElement} article
 */
export function report(article) {
	const copy = /** @type {HTMLElement} */ (article.cloneNode(true));
	copy.querySelectorAll("details").forEach((d) => d.setAttribute("open", ""));
	copy.querySelectorAll("button").forEach((b) => b.remove());
	const page = document.implementation.createHTMLDocument(`${copy.querySelector("h1")?.textContent} – ${say("title")}`);
	page.documentElement.lang = copy.lang;
	page.documentElement.dir = copy.dir;
	page.head.prepend(el("meta", { charset: "utf-8" }), el("meta", { "http-equiv": "Content-Security-Policy", content: "default-src 'none'; style-src 'unsafe-inline'" }),
		el("meta", { name: "viewport", content: "width=device-width, initial-scale=1" }));
	page.body.append(el("main", { class: "page" }, copy));
	// The style joins the text at the end: in a document of this page its policy would look at it.
	const css = [...document.styleSheets].flatMap((sheet) => [...sheet.cssRules].map((rule) => rule.cssText)).join("\n");
	const mark = "style";
	const [head, body] = page.documentElement.outerHTML.split("</head>");
	return new Blob([`<!DOCTYPE html>\n${head}<${mark}>\n${css}\n</${mark}>\n</head>${body}\n`], { type: "text/html" });
}
