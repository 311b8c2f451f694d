import { el } from "./dom.js";
import { moment, number, say } from "./language.js";
import { buttons, heading, id, press, rows } from "./parts.js";
import { whose } from "./people.js";
import { call } from "./session.js";
import { act, become, during } from "./shell.js";

// The auditor's page (INTERFACE §3): the state of the record book, and a review that reads every history and says what stands out. It signs nothing.

/** @typedef {import("./vault.js").Audit} Audit */
/** @typedef {import("./vault.js").Finding} Finding */
/** @typedef {import("./vault.js").Act} Act */
/** @typedef {import("./vault.js").Book} Book */

/** How many of a kind are shown at first, and more at a time. */
const few = 10;

/** @returns {Promise<import("./shell.js").Page>} */
export async function review() {
	const book = await call("book");
	return { view: () => [
		heading(say("a")),
		el("p", { class: "lead" }, say("a.said")),
		state(book),
		buttons(start("a.start")),
	] };
}

/** state is that of the record book. @param {Book} book */
function state(book) {
	return el("section", {}, el("h2", {}, say("a.book")), rows([
		[say("a.entries"), number(book.size)],
		[say("a.waiting"), number(book.waiting)],
		[say("a.witnesses"), book.witnesses ? say("a.witnesses.have", { have: number(book.witnesses.have), need: number(book.witnesses.need) }) : say("a.witnesses.none")],
	]));
}

/** start begins a review. @param {string} words */
function start(words) {
	return press(words, () => act(async () => {
		/** @type {Audit} */
		const found = await during(call("audit"));
		const book = await call("book");
		become(() => result(found, book));
	}), "primary");
}

/**
 * @param {Audit} found
 * @param {Book} book
 */
function result(found, book) {
	const people = new Map(found.people.map((p) => [p.actor, p]));
	const kinds = [...new Set(found.findings.map((f) => f.kind))].filter((kind) => kind !== "release").sort((a, b) => Number(a === "undated") - Number(b === "undated"));
	const samples = found.findings.filter((f) => f.kind === "release");
	/** @param {string} actor */
	const by = (actor) => {
		const p = people.get(actor);
		return el("span", {}, ...(p ? [say(`role.${p.role}`), " · ", whose(p), " · "] : []), id(actor));
	};
	return [
		heading(say("a.done")),
		el("p", { class: "lead" }, say(kinds.length ? "a.open" : "a.none")),
		rows([
			[say("a.until"), moment(found.as_of)],
			[say("a.items"), number(found.items)],
			[say("a.right"), number(found.compared.right)],
			[say("a.old"), number(found.compared.late)],
			[say("a.missing"), number(found.compared.missing)],
			[say("a.different"), number(found.compared.different)],
			[say("a.backwards"), seconds(found.backwards)],
		]),
		el("p", {}, say("a.whole")),
		el("p", {}, say("a.whole.next"), " ", el("code", { dir: "ltr", translate: "no" }, "strongroom audit follow")),
		...kinds.map((kind) => {
			const all = found.findings.filter((f) => f.kind === kind);
			return el("section", {}, el("h2", {}, say(`found.${kind}`), ` · ${number(all.length)}`), list(all, (f) => finding(f, by)));
		}),
		samples.length ? el("section", {}, el("h2", {}, say("a.samples")), list(samples, (f) => finding(f, by))) : null,
		el("section", {}, el("h2", {}, say("a.acts")), el("p", { class: "hint" }, say("a.acts.said")), list([...found.acts].reverse(), (a) => acted(a, by))),
		state(book),
		buttons(start("a.start")),
	];
}

/**
 * list shows the first few, and more of them when asked.
 * @template T
 * @param {T[]} all
 * @param {(one: T) => HTMLElement} one
 */
function list(all, one) {
	const shown = el("ul", { class: "plain cards" });
	const more = buttons(press("a.more", () => grow()));
	const grow = () => {
		const from = shown.children.length;
		shown.append(...all.slice(from, from + few).map(one));
		more.hidden = shown.children.length === all.length;
		if (from) {
			/** @type {HTMLElement} */ (shown.children[from]).tabIndex = -1;
			/** @type {HTMLElement} */ (shown.children[from]).focus();
		}
	};
	grow();
	return el("div", {}, shown, more);
}

/**
 * @param {Finding} f
 * @param {(actor: string) => HTMLElement} by
 */
function finding(f, by) {
	return el("li", { class: "card" },
		f.late ? el("p", { class: "standing waiting" }, say("a.late")) : null,
		rows([
			[say("label.item"), f.item ? id(f.item) : null],
			[say("a.by"), f.actor ? by(f.actor) : null],
			[say("a.since"), f.since ? moment(f.since) : null],
			[say("a.due"), f.due ? moment(f.due) : null],
			[say("a.reviewed"), f.done ? moment(f.done) : null],
			[say("terms.until"), f.until ? moment(f.until) : null],
			[say("a.behind"), f.behind ? seconds(f.behind) : null],
			[say("a.ahead"), f.ahead ? seconds(f.ahead) : null],
			[say("a.entry"), f.entry ? number(f.entry) : null],
			[say("a.against"), f.against ? number(f.against) : null],
			[say("a.why"), f.why ? el("bdi", { lang: "en", dir: "ltr" }, f.why) : null],
		]));
}

/**
 * @param {Act} a
 * @param {(actor: string) => HTMLElement} by
 */
function acted(a, by) {
	return el("li", { class: "card" },
		el("p", {}, say(`event.${a.kind}`)),
		rows([
			[say("a.by"), by(a.by)],
			[say("a.of"), a.of ? by(a.of) : null],
			[say("a.time"), moment(a.time)],
			[say("terms.until"), a.until ? moment(a.until) : null],
			[say("a.entry"), number(a.entry)],
		]));
}

/** seconds are a length of time. @param {number} nanoseconds */
function seconds(nanoseconds) {
	return number(nanoseconds / 1e9, { style: "unit", unit: "second", unitDisplay: "long", maximumFractionDigits: 3 });
}
