import { built } from "./build.js";
import { builds } from "./builds.js";
import { el, fixed } from "./dom.js";
import { Engine } from "./engine.js";
import { language, languages, number, preferred, say, size, speak } from "./language.js";
import { Missing } from "./program.js";
import { report, steps, verdict } from "./verdict.js";

// The page on which anybody verifies a package. Nothing is sent: what is chosen is read by the verifier in this browser, and forgotten when
// the page is closed.

/** How many steps of the timeline are shown at a time. */
const shown = 100;

/** The three files, as far as they were chosen. @type {{package?: File, trust?: File, previous?: File}} */
const chosen = {};

/** What is on the page: its state, and what that is about. @type {{name: string, [more: string]: any}} */
let state = { name: "form" };

let engine = new Engine();
const file = document.getElementById("program") !== null; // the single file, which may have come with a package

const main = el("main", { id: "main", class: "page" });
const live = el("p", { class: "unseen", role: "status" });

/**
 * become shows another state, and puts the focus where reading goes on.
 * @param {string} name
 * @param {Record<string, any>} [about]
 */
function become(name, about = {}) {
	state = { name, ...about };
	show();
	const first = main.querySelector(".problem") ?? main.querySelector("h1");
	if (first instanceof HTMLElement) {
		first.focus();
	}
	scrollTo(0, 0);
}

function show() {
	live.textContent = "";
	const views = { form, working, verdict: judged, unread, missing };
	main.replaceChildren(...views[/** @type {keyof typeof views} */ (state.name)]());
	const title = main.querySelector("h1")?.textContent ?? say("title");
	document.title = state.problem ? say("title.problem", { title }) : title;
}

function frame() {
	const choice = el("select", { id: "language", change: () => changeLanguage(/** @type {HTMLSelectElement} */ (choice).value) },
		...Object.entries(languages).map(([tag, name]) => el("option", { value: tag, lang: tag, selected: tag === language() }, name)));
	document.getElementById("shell")?.replaceChildren(
		el("a", { class: "skip", href: "#main", click: skip }, say("skip")),
		el("header", {}, el("div", { class: "page" }, el("p", { class: "name" }, "Strongroom"), el("label", { for: "language" }, el("span", {}, say("language")), choice))),
		main, live,
		el("footer", {}, el("div", { class: "page" }, el("p", {}, say(file ? "source.file" : "source.served")),
			file ? "" : el("p", {}, el("a", { href: "/VERIFY.html", download: "VERIFY.html" }, say("keep"))), built(builds.verifier))));
}

/** @param {Event} event the address stays: it says the language */
function skip(event) {
	event.preventDefault();
	main.querySelector("h1")?.focus();
}

/** @param {string} tag */
async function changeLanguage(tag) {
	speak(tag);
	location.replace(`#${tag}`);
	if (state.name === "verdict") {
		const open = [...main.querySelectorAll("details")].map((d) => d.open);
		state.page = await ask({ from: 0, to: state.to });
		frame();
		show();
		main.querySelectorAll("details").forEach((d, i) => (d.open = open[i]));
	} else {
		frame();
		show();
	}
	document.getElementById("language")?.focus();
}

// The form.

function form() {
	const ready = chosen.package;
	return [
		el("h1", { tabindex: "-1" }, say("title")),
		el("p", { class: "lead" }, say("lead")),
		problem(),
		el("div", { class: "drop" },
			el("h2", {}, say("package")),
			ready ? picked(ready) : el("p", {}, say("package.drop")),
			choose("package", ready ? "package.change" : "package.choose", !ready)),
		el("section", {},
			el("h2", {}, say("trust")), el("p", { class: "hint" }, say("trust.hint")),
			chosen.trust ? picked(chosen.trust) : null,
			choose("trust", chosen.trust ? "trust.change" : "trust.choose")),
		el("details", { open: Boolean(chosen.previous) },
			el("summary", {}, el("h2", {}, say("previous"))), el("p", { class: "hint" }, say("previous.hint")),
			chosen.previous ? picked(chosen.previous) : null,
			el("div", { class: "buttons" },
				choose("previous", chosen.previous ? "previous.change" : "previous.choose"),
				chosen.previous ? el("button", { type: "button", click: () => choosePrevious(undefined) }, say("previous.drop")) : null)),
		ready ? el("button", { type: "button", class: "primary", click: verify }, say("verify")) : null,
	].filter((e) => e !== null);
}

/** @param {File} f */
function picked(f) {
	return el("p", { class: "picked" }, el("bdi", {}, f.name), ", ", size(f.size));
}

/**
 * choose is a button that opens the browser's own choice of a file.
 * @param {"package" | "trust" | "previous"} which
 * @param {string} text
 * @param {boolean} [primary]
 */
function choose(which, text, primary = false) {
	const input = /** @type {HTMLInputElement} */ (el("input", { type: "file", hidden: true, id: `file-${which}`, accept: which === "trust" ? ".json,application/json" : ".zip,application/zip",
		change: () => input.files?.[0] && take({ [which]: input.files[0] }) }));
	return el("span", {}, input, el("button", { type: "button", id: `choose-${which}`, class: primary ? "primary" : "", click: () => input.click() }, say(text)));
}

/** @param {{package?: File, trust?: File, previous?: File}} files */
function take(files) {
	Object.assign(chosen, files);
	if (state.name === "verdict") {
		verify();
		return;
	}
	state = { name: "form" };
	show();
	live.textContent = Object.values(files).map((f) => `${f.name}, ${size(f.size)}`).join(". ");
	/** @type {HTMLElement | null} */ (main.querySelector("button.primary") ?? main.querySelector("button"))?.focus();
}

/** @param {File | undefined} f */
function choosePrevious(f) {
	chosen.previous = f;
	show();
	document.getElementById("choose-previous")?.focus();
}

/** problem is what stands in the way, said once and in words. */
function problem() {
	return state.problem
		? el("div", { class: "problem", role: "alert", tabindex: "-1" }, el("h2", {}, say("problem")), el("p", {}, say(state.problem, { file: "trust.json" })))
		: null;
}

/** @param {DragEvent} event */
function drop(event) {
	event.preventDefault();
	document.body.classList.remove("over");
	if (!["form", "unread", "verdict"].includes(state.name)) {
		return;
	}
	/** @type {{package?: File, trust?: File}} */
	const files = {};
	for (const f of event.dataTransfer?.files ?? []) {
		files[/\.json$/i.test(f.name) ? "trust" : "package"] = f;
	}
	if (state.name !== "form" && files.package) {
		state = { name: "form" };
	}
	if (Object.keys(files).length) {
		take(files);
	}
}

// The check.

async function verify() {
	const mine = { name: "working", begun: Date.now(), read: 0, all: chosen.package?.size ?? 0, said: 0, running: false };
	become("working");
	state = mine;
	show();
	main.querySelector("h1")?.focus();
	try {
		await engine.ready;
		mine.running = true;
		paint();
		const answer = await engine.ask({ package: chosen.package, trust: chosen.trust && new Uint8Array(await chosen.trust.slice(0, 1 << 20).arrayBuffer()),
			previous: chosen.previous, language: language(), from: 0, to: shown }, progress);
		if (state !== mine) {
			return;
		}
		if (answer.error === "package") {
			become("unread");
		} else if (answer.error) {
			become("form", { problem: `problem.${answer.error}` });
		} else {
			become("verdict", { page: answer, to: shown });
		}
	} catch (fault) {
		if (state !== mine) {
			return;
		}
		engine.stop();
		engine = new Engine();
		if (fault instanceof Missing) {
			become("missing", { what: fault.message });
		} else if (fault instanceof DOMException) {
			become("form", { problem: "problem.file" });
		} else {
			become("form", { problem: mine.running ? "problem.ended" : "problem.network" });
		}
	}
}

/**
 * @param {number} read
 * @param {number} all
 */
function progress(read, all) {
	if (state.name !== "working") {
		return;
	}
	Object.assign(state, { read, all });
	paint();
	const tenth = Math.floor((10 * read) / all);
	if (tenth > state.said) {
		state.said = tenth;
		live.textContent = tenth < 10 ? say("working.percent", { percent: number(tenth / 10, { style: "percent" }) }) : say("working.steps");
	}
}

function working() {
	const bar = el("progress", { id: "bar", max: "1", "aria-labelledby": "how-far" });
	return [
		el("h1", { tabindex: "-1" }, say("working")),
		el("p", { class: "lead" }, say("working.stays")),
		bar,
		el("p", { id: "how-far" }, far()),
		el("button", { type: "button", click: stop }, say("stop")),
	];
}

function far() {
	if (!state.running) {
		return say("loading");
	}
	return state.read >= state.all && state.all ? say("working.steps") : say("working.read", { done: size(state.read), all: size(state.all) });
}

/** paint moves the bar, and nothing else on the page. */
function paint() {
	const bar = document.getElementById("bar"), line = document.getElementById("how-far");
	if (!(bar instanceof HTMLProgressElement) || !line) {
		return;
	}
	if (state.running && state.all && state.read < state.all) {
		bar.value = state.read / state.all;
	} else {
		bar.removeAttribute("value");
	}
	line.textContent = far();
}

function stop() {
	engine.stop();
	engine = new Engine();
	become("form");
}

// What came of it.

function judged() {
	const page = state.page;
	const article = verdict(page);
	const order = article.querySelector(".timeline ol");
	const more = el("button", { type: "button", click: async () => (await showSteps(article, state.to + shown), order?.children[state.to - shown]?.scrollIntoView()) }, say("steps.more"));
	if (page.steps > state.to) {
		order?.after(more);
	}
	const actions = el("div", { class: "buttons" },
		page.reasons.some((/** @type {any} */ r) => r.reason === "trust_missing") ? choose("trust", "trust.choose", true) : "",
		el("button", { type: "button", click: async () => (await showSteps(article, page.steps), print()) }, say("print")),
		el("button", { type: "button", click: async () => (await showSteps(article, page.steps), save(article)) }, say("save")),
		el("button", { type: "button", click: () => become("form") }, say("back")));
	article.querySelector(".panel")?.after(actions);
	return [article];
}

/**
 * showSteps brings the timeline of an article to so many steps.
 * @param {HTMLElement} article
 * @param {number} to
 */
async function showSteps(article, to) {
	if (state.to < Math.min(to, state.page.steps)) {
		const page = await ask({ from: state.to, to });
		article.querySelector(".timeline ol")?.append(...steps(page));
		state.to = to;
		if (to >= state.page.steps) {
			article.querySelector(".timeline > button")?.remove();
		}
	}
}

/** @param {{from: number, to: number}} part of the last report, said again */
function ask(part) {
	return engine.ask({ ...part, language: language() });
}

/** @param {HTMLElement} article */
function save(article) {
	const url = URL.createObjectURL(report(article));
	el("a", { href: url, download: `${state.page.verdict}.html` }).click();
	setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** unread is a file that is no package at all. */
function unread() {
	return [
		el("h1", { tabindex: "-1" }, say("unread")),
		chosen.package ? picked(chosen.package) : "",
		el("p", { class: "lead" }, say("unread.said")),
		el("p", {}, say("unread.next", { zip: "ZIP" })),
		el("div", { class: "buttons" }, choose("package", "package.change", true), el("button", { type: "button", click: () => become("form") }, say("back"))),
	];
}

/** missing is a browser, or a copy of the service, that cannot verify. */
function missing() {
	return [
		el("h1", { tabindex: "-1" }, say(`missing.${state.what}`)),
		el("p", { class: "lead" }, say(`missing.${state.what}.said`)),
		el("p", {}, say("missing.program"), " ", fixed("strongroom-verify")),
		el("button", { type: "button", click: () => become("form") }, say("back")),
	];
}

speak(preferred());
frame();
show();
engine.ready.catch((why) => why instanceof Missing && become("missing", { what: why.message }));
addEventListener("hashchange", () => language() !== preferred() && changeLanguage(preferred()));
addEventListener("dragover", (event) => (event.preventDefault(), document.body.classList.add("over")));
addEventListener("dragleave", (event) => event.relatedTarget === null && document.body.classList.remove("over"));
addEventListener("drop", drop);
addEventListener("beforeprint", () => main.querySelectorAll("details").forEach((d) => (d.open = true)));
