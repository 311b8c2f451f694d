import { el, fixed } from "./dom.js";
import { say } from "./language.js";
import { wrong } from "./shell.js";

// What several pages are made of.

/** heading is what a page begins with, and where the focus goes. @param {string} text */
export function heading(text) {
	return el("h1", { tabindex: "-1" }, text);
}

/**
 * rows are names and values.
 * @param {[name: string, value: (Node|string|null)][]} list what has no value is left out
 */
export function rows(list) {
	return el("dl", {}, ...list.filter(([, value]) => value !== null && value !== "").flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
}

/**
 * groups is a number of six groups of five, to be compared by voice: each digit is read by itself.
 * @param {string} name
 * @param {string} text
 */
export function groups(name, text) {
	return el("div", { class: "groups", role: "group", "aria-label": name },
		el("p", { class: "label" }, name),
		el("p", { dir: "ltr" }, ...text.split(" ").flatMap((five, i) => [
			el("span", { class: "five" }, el("span", { "aria-hidden": "true" }, five), el("span", { class: "unseen" }, `${i + 1}: ${[...five].join(" ")}. `)), " "])));
}

/** press is a button that does something. @param {string} id @param {() => void} what @param {string} [look] */
export function press(id, what, look = "") {
	return el("button", { type: "button", class: look, click: what }, say(id));
}

/** @param {...(Node|string|null)} list */
export function buttons(...list) {
	return el("div", { class: "buttons" }, ...list);
}

/**
 * form is a question with its button; Enter presses it.
 * @param {() => void} what
 * @param {...(Node|string|null)} content
 */
export function form(what, ...content) {
	return el("form", { novalidate: true, submit: (/** @type {Event} */ e) => (e.preventDefault(), what()) }, ...content);
}

/**
 * field is one thing to fill in, with what is wrong with it.
 * @param {string} name of the field, and of its words
 * @param {Record<string, any>} attributes
 */
export function field(name, attributes) {
	const said = wrong(name), hint = attributes.hint ? say(attributes.hint) : "";
	const described = [hint && `${name}-hint`, said && `${name}-wrong`].filter(Boolean).join(" ");
	const { hint: _, places, ...own } = attributes;
	return el("div", { class: said ? "field wrong" : "field" },
		el("label", { for: name }, say(attributes.name ?? name, places)),
		hint ? el("p", { class: "hint", id: `${name}-hint` }, hint) : null,
		said ? el("p", { class: "wrong", id: `${name}-wrong` }, said) : null,
		el("input", { id: name, autocapitalize: "off", spellcheck: "false", translate: "no", "aria-invalid": said ? "true" : null, "aria-describedby": described || null, ...own, name }));
}

/** typed is what stands in a field. @param {string} name */
export function typed(name) {
	return /** @type {HTMLInputElement | null} */ (document.getElementById(name))?.value ?? "";
}

/**
 * seen shows what is typed into secret fields, for who wants to compare it.
 * @param {...string} fields
 */
export function seen(...fields) {
	const box = /** @type {HTMLInputElement} */ (el("input", { type: "checkbox", id: "seen", change: () => {
		for (const name of fields) {
			/** @type {HTMLInputElement} */ (document.getElementById(name)).type = box.checked ? "text" : "password";
		}
	} }));
	return el("p", { class: "box" }, el("label", { for: "seen" }, box, " ", say("seen")));
}

/**
 * before is what stands above a button that signs: what it does, and what cannot be undone (P2).
 * @param {string} does
 * @param {string} forGood
 */
export function before(does, forGood) {
	return el("div", { class: "before" }, el("p", {}, el("strong", {}, say("if")), " ", say(does)), el("p", {}, el("strong", {}, say("for.good")), " ", say(forGood)));
}

/** id is an identifier, which is never translated. @param {string} text */
export function id(text) {
	return el("code", { dir: "ltr", translate: "no" }, text);
}

/**
 * keep hands a file to the browser to be saved. It is never opened by it.
 * @param {Blob} file
 * @param {string} name
 */
export function keep(file, name) {
	const url = URL.createObjectURL(file.slice(0, file.size, "application/octet-stream"));
	el("a", { href: url, download: name }).click();
	setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

export { fixed };
