import { built } from "./build.js";
import { builds } from "./builds.js";
import { el } from "./dom.js";
import { has, language, languages, moment, number, say, speak } from "./language.js";
import { lock, session } from "./session.js";

// The frame around every page: who one is, the state of the record book, where one is, and what stands in the way. A page is a view, a
// function that makes its elements anew from what is known; so it can be said again in another language at any moment.

/** @typedef {() => (Node|string|null)[]} View */

/** A page as it is opened: what it shows, and what is to be forgotten when one leaves it. @typedef {{view: View, leave?: () => void}} Page */

/** What stands in the way: a sentence, and the field that it is about. @typedef {{text: string, code?: string, field?: string}} Trouble */

/** What is shown. @type {{view: View, trouble: Trouble | null, leave: () => void}} */
let current = { view: () => [], trouble: null, leave: () => {} };

/** Counts what was shown: an answer that comes after its page has gone is nobody's. */
let turn = 0;

let wide = false; // nothing but the neutral page

const main = el("main", { id: "main", class: "page" });
const live = el("p", { class: "unseen", role: "status" });
const strip = el("p", { class: "page state", role: "status" });

/** What the strip says. @type {{book: import("./vault.js").Book | null, offline: boolean}} */
const told = { book: null, offline: false };

/** route shows what belongs to the address. @type {() => Promise<void>} */
let route = async () => {};

/** @param {() => Promise<void>} way */
export function routes(way) {
	route = way;
}

/** again shows the address anew, as after a pause or a lock. */
export function again() {
	return route();
}

/**
 * go shows another page of this document. What a page is about stands in the state that the browser keeps beside the address, never in the
 * address itself: that is kept in lists and logs.
 * @param {string} path
 * @param {any} [about]
 * @param {boolean} [replace] leaves no way back to where one was
 */
export function go(path, about = null, replace = false) {
	history[replace ? "replaceState" : "pushState"](about, "", path + location.hash);
	return route();
}

/** now is the number of what is shown; it changes with every other page. */
export function now() {
	return turn;
}

/**
 * become shows a view, and puts the focus where reading goes on.
 * @param {View} view
 * @param {{trouble?: Trouble | null, leave?: () => void}} [more] leave is called when something else is shown that does not leave the same way
 */
export function become(view, { trouble = null, leave } = {}) {
	const stays = view === current.view || (leave !== undefined && leave === current.leave);
	if (!stays) {
		current.leave();
	}
	turn++;
	current = { view, trouble, leave: leave ?? (stays ? current.leave : () => {}) };
	live.textContent = "";
	paint();
	const first = trouble ? main.querySelector(".problem") : main.querySelector("h1");
	if (first instanceof HTMLElement && turn > 1) { // who has just come begins at the top
		first.focus();
	}
	scrollTo(0, 0);
}

/** paint makes the page anew where it stands. What was typed stays. */
export function paint() {
	const fields = () => /** @type {HTMLInputElement[]} */ ([...main.querySelectorAll("input[id], textarea[id], select[id]")]);
	const typed = new Map(fields().map((e) => [e.id, e]));
	const parts = current.view().filter((part) => part !== null);
	main.replaceChildren(...parts);
	const heading = main.querySelector("h1");
	if (current.trouble) {
		const after = heading?.nextElementSibling?.classList.contains("lead") ? heading.nextElementSibling : heading;
		after?.after(problem(current.trouble));
	}
	for (const field of fields()) {
		const before = typed.get(field.id);
		if (before && field.type !== "file") {
			field.value = before.value;
			field.checked = before.checked; // of boxes; the others have none
		}
	}
	const title = heading?.textContent ?? "Strongroom";
	document.title = current.trouble ? say("title.problem", { title }) : title;
}

/** @param {Trouble} trouble */
function problem(trouble) {
	const { text, code, field } = trouble;
	return el("div", { class: "problem", role: "alert", tabindex: "-1" }, el("h2", {}, say("problem")),
		field ? el("p", {}, el("a", { href: `#${field}`, click: (/** @type {Event} */ e) => (e.preventDefault(), document.getElementById(field)?.focus()) }, text)) : el("p", {}, text),
		code ? el("p", {}, say("problem.code"), " ", el("code", { dir: "ltr" }, code)) : null);
}

/** wrong is what is said at a field about it. @param {string} field */
export function wrong(field) {
	return current.trouble?.field === field ? current.trouble.text : "";
}

/**
 * trouble says why something could not be done: what happened, what is kept, what next.
 * @param {unknown} fault
 * @param {string} [field]
 * @returns {Trouble}
 */
export function trouble(fault, field) {
	const { kind = "", reason = "" } = /** @type {{kind?: string, reason?: string}} */ (fault ?? {});
	if (kind === "network") {
		offline(true);
	}
	if (kind === "alarm") {
		return { text: say("why.alarm"), code: reason };
	}
	if (has(`why.${reason}`)) {
		return { text: say(`why.${reason}`), field: field && ["passphrase", "code_form", "invitation"].includes(reason) ? field : undefined };
	}
	if (!reason) {
		console.error(fault);
	}
	return { text: say("why.other"), code: [kind, reason].filter(Boolean).join(": ") };
}

/**
 * waiting shows after 300 ms that something is being opened, until it is there.
 * @template T
 * @param {Promise<T>} answer
 * @param {string} [text] said instead of showing another page
 * @returns {Promise<T>}
 */
export async function waiting(answer, text) {
	const mine = turn;
	const timer = setTimeout(() => {
		if (turn === mine && text) {
			announce(text);
			live.className = "doing";
		} else if (turn === mine && live.className !== "doing") {
			main.replaceChildren(el("h1", { tabindex: "-1" }, say("loading")));
			document.title = say("loading");
		}
	}, 300);
	try {
		return await answer;
	} finally {
		clearTimeout(timer);
		if (live.className === "doing") {
			live.className = "unseen";
			live.textContent = "";
		}
	}
}

/** announce tells who listens; who looks sees it on the page. @param {string} text */
export function announce(text) {
	live.textContent = text;
}

/** One act at a time: a second press of its button is none. */
let doing = false;

/**
 * act does what a button is for. What stands in the way is shown on the page where it was pressed.
 * @param {() => Promise<void>} what
 * @param {string} [field] that was filled in for it
 */
export async function act(what, field) {
	if (doing) {
		return;
	}
	doing = true;
	main.setAttribute("aria-busy", "true");
	const view = current.view;
	try {
		await waiting(what(), say("working.on"));
	} catch (fault) {
		if (current.view === view) {
			become(view, { trouble: trouble(fault, field) });
		}
	} finally {
		doing = false;
		main.removeAttribute("aria-busy");
	}
}

/** amiss stays on the page and says what is missing. @param {Trouble} what */
export function amiss(what) {
	become(current.view, { trouble: what });
}

/** frame makes what stands around the page. */
export function frame() {
	const choice = el("select", { id: "language", change: () => changeLanguage(/** @type {HTMLSelectElement} */ (choice).value) },
		...Object.entries(languages).map(([tag, name]) => el("option", { value: tag, lang: tag, selected: tag === language() }, name)));
	const inside = session.unlocked;
	const shell = document.getElementById("shell");
	if (wide) {
		shell?.replaceChildren(main, live);
		return;
	}
	shell?.replaceChildren(
		el("a", { class: "skip", href: "#main", click: skip }, say("skip")),
		el("header", {},
			el("div", { class: "page" },
				el("p", { class: "name" }, el("a", { href: "/", click: follow("/") }, "Strongroom")),
				inside && session.me?.role ? el("p", { class: "role" }, say(`role.${session.me.role}`)) : null,
				el("div", { class: "tools" },
					el("label", { for: "language" }, el("span", {}, say("language")), choice),
					session.known || location.pathname === "/join" ? el("button", { type: "button", click: hide }, say("hide")) : null,
					inside ? el("button", { type: "button", click: signOut }, say("sign.out")) : null)),
			strip),
		main, live,
		el("footer", {}, el("nav", { class: "page", "aria-label": say("help") },
			link("/verify", "title"), link("/about", "about"), link("/lost", "lost")), built(builds.client)));
	painted();
}

/**
 * link leads to a page: to one of this document without loading it anew.
 * @param {string} path
 * @param {string} id of its words
 */
export function link(path, id) {
	return path === "/verify" ? el("a", { href: `/verify#${language()}` }, say(id)) : el("a", { href: path, click: follow(path) }, say(id));
}

/** @param {string} path */
function follow(path) {
	return (/** @type {MouseEvent} */ event) => {
		if (!(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey)) {
			event.preventDefault();
			go(path);
		}
	};
}

/** @param {Event} event the address stays: it says the language */
function skip(event) {
	event.preventDefault();
	main.querySelector("h1")?.focus();
}

/** @param {string} tag */
function changeLanguage(tag) {
	speak(tag);
	history.replaceState(history.state, "", `${location.pathname}#${tag}`);
	current.trouble = null; // it was said in the other language
	frame();
	paint();
	document.getElementById("language")?.focus();
}

// The strip: whether what is known of the record book is of now.

/** @param {boolean} is */
export function offline(is) {
	told.offline = is;
	painted();
}

/** @param {import("./vault.js").Book | null} book */
export function tell(book) {
	told.book = book;
	told.offline = false;
	painted();
}

function painted() {
	const { book } = told;
	const parts = [];
	if (told.offline) {
		parts.push(say("offline"));
	} else if (session.unlocked && book) {
		parts.push(!book.final ? say("book.behind") : say("book.current"));
		parts.push(book.witnesses?.need ? say("book.witnesses", { have: number(book.witnesses.have), need: number(book.witnesses.need) }) : say("book.alone"));
		parts.push(say("book.waiting", { number: number(book.waiting) }));
		if (book.witnesses?.alarm) {
			parts.push(say("book.alarm"));
		}
	}
	const text = parts.join(" · ");
	if (strip.textContent !== text) {
		strip.textContent = text;
	}
	strip.hidden = !text;
	strip.title = book?.at && text ? moment(book.at) : "";
}

// Leaving.

/** signOut forgets the keys and shows where one unlocks. */
export async function signOut() {
	await locked();
	return go("/", null, true);
}

async function locked() {
	current.leave();
	current.leave = () => {};
	main.replaceChildren(); // what was open is gone before anything else happens
	told.book = null;
	await lock();
	frame();
}

/** hide shows a page that says nothing of what was here. The keys are gone with what was open. */
export async function hide() {
	wide = true;
	frame();
	become(neutral);
	history.replaceState(null, "", `/${location.hash}`);
	await lock();
}

/** @returns {(Node|string|null)[]} */
function neutral() {
	return [
		el("h1", { tabindex: "-1" }, say("hidden")),
		el("div", { class: "buttons" }, el("button", { type: "button", click: () => ((wide = false), frame(), route()) }, say("go.on"))),
	];
}

/** How long a page may stand without input until it locks, and how long before that it says so. */
const idle = 5 * 60_000, warning = 60_000;

let last = Date.now();
let timer = 0;

/** Acts that go on by themselves, such as a long download, count as input: to lock would lose what they have brought. */
let underway = 0;

/**
 * during keeps the page from locking while an act goes on.
 * @template T
 * @param {Promise<T>} what
 * @returns {Promise<T>}
 */
export async function during(what) {
	underway++;
	try {
		return await what;
	} finally {
		underway--;
		used();
	}
}

const warn = /** @type {HTMLDialogElement} */ (el("dialog", { class: "warning", "aria-labelledby": "lock-soon" }));

function used() {
	last = Date.now();
	if (warn.open) {
		warn.close();
	}
	watch();
}

function watch() {
	clearTimeout(timer);
	if (!session.unlocked) {
		if (warn.open) {
			warn.close();
		}
		return;
	}
	if (underway) {
		last = Date.now();
	}
	const left = last + idle - Date.now();
	if (left <= 0) {
		warn.close();
		locked().then(route);
		return;
	}
	if (left <= warning && !warn.open) {
		warn.replaceChildren(el("h2", { id: "lock-soon" }, say("lock.soon")), el("p", {}, say("lock.how")),
			el("div", { class: "buttons" }, el("button", { type: "button", class: "primary", autofocus: true, click: used }, say("go.on"))));
		warn.showModal();
	}
	timer = setTimeout(watch, left > warning ? left - warning : left);
}

/** guard begins to look after what is open: who does nothing for a while, or comes back from sleep, finds it locked. */
export function guard() {
	document.body.append(warn);
	for (const event of ["pointerdown", "pointermove", "keydown", "wheel", "touchstart", "input"]) {
		addEventListener(event, () => (warn.open || Date.now() - last > 1000) && !(Date.now() - last > idle) && used(), { passive: true, capture: true });
	}
	document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && watch());
	addEventListener("focus", watch);
	warn.addEventListener("cancel", used);
	addEventListener("online", () => offline(false));
	addEventListener("offline", () => offline(true));
}

/** unlocked begins the time after which it locks. */
export function unlocked() {
	used();
	frame();
}
