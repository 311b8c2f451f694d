import { el } from "./dom.js";
import { isolated, language, moment, number, say, size } from "./language.js";
import { before, buttons, fixed, heading, id, keep, press, rows } from "./parts.js";
import { call, session } from "./session.js";
import { act, again, announce, become, during, go, link, paint, trouble, waiting } from "./shell.js";
import { show } from "./viewer.js";

// What a court was given (INTERFACE J4.4, J4.5): the list, the terms before anything is recorded, the content, the receipt and the package.

/** @typedef {import("./vault.js").Share} Share */

/** @returns {Promise<import("./shell.js").Page>} */
export async function shares() {
	/** @type {Share[]} */
	const list = await call("shares");
	list.sort((a, b) => order(a) - order(b) || (a.exhibit ?? Infinity) - (b.exhibit ?? Infinity) || (b.proposed ?? "").localeCompare(a.proposed ?? ""));
	const view = () => [
		heading(say("court")),
		list.length ? el("p", { class: "lead" }, say("court.said")) : el("p", { class: "lead" }, say("court.none")),
		list.length ? el("ul", { class: "plain cards" }, ...list.map(card)) : null,
		buttons(press("look.again", () => act(again))),
	];
	return { view };
}

const states = ["active", "pending", "refused", "revoked", "expired"];

/** What can be opened stands first, what is over last. @param {Share} s */
function order(s) {
	return s.ready ? -1 : states.indexOf(s.state);
}

/** @param {Share} s */
function card(s) {
	const open = el("button", { type: "button", class: s.ready ? "primary" : "", "aria-describedby": s.grant, click: () => go("/court/view", { item: s.item, grant: s.grant }) },
		say(s.ready ? "court.open" : "court.look"));
	return el("li", { class: "card" },
		el("h2", { id: s.grant }, named(s)),
		standing(s),
		rows([
			[say("label.for"), say(`purpose.${s.purpose}`)],
			[say("court.from"), from(s)],
			[say("terms.may"), allowed(s)],
			[say("terms.until"), moment(s.until)],
		]),
		buttons(open));
}

/** named is what a share is called: nobody is asked to read an identifier. @param {Share} s */
function named(s) {
	return s.exhibit ? say("exhibit", { number: number(s.exhibit), content: say(`content.${s.content}`) }) : say("exhibit.none", { content: say(`content.${s.content}`) });
}

/** @param {Share} s */
function from(s) {
	return s.organization_name ? el("bdi", {}, s.organization_name) : id(s.organization);
}

/** @param {Share} s */
function allowed(s) {
	return say(s.terms.actions.includes("download") ? (s.terms.actions.includes("view") ? "action.both" : "action.download") : "action.view");
}

/** standing is the state of a share, in words. @param {Share} s */
function standing(s) {
	const look = s.ready ? "done" : s.state === "active" || s.state === "pending" ? "waiting" : "stop";
	const lines = [s.ready ? say("state.ready") : s.state === "active" ? say("state.keyless") : say(`state.${s.state}`)];
	if (s.redeemed) {
		lines.push(say("state.opened", { time: moment(s.redeemed) }));
	}
	if (s.acknowledged) {
		lines.push(say(s.unequal ? "state.unequal" : "state.received", { time: moment(s.acknowledged) }));
	}
	return el("ul", { class: `plain standing ${look}` }, ...lines.map((line) => el("li", {}, line)));
}

/** terms are what was agreed. @param {Share} s */
function terms(s) {
	return rows([
		[say("label.for"), say(`purpose.${s.purpose}`)],
		[say("court.from"), from(s)],
		[say("terms.ground"), say(`legal.${s.terms.legal_basis}`)],
		[say("terms.may"), allowed(s)],
		[say("court.onward"), say(s.terms.onward ? "terms.onward" : "terms.kept")],
		[say("court.approved"), s.approved ? moment(s.approved) : null],
		[say("terms.until"), moment(s.until)],
		[say("court.size"), size(s.size)],
		[say("label.item"), id(s.item)],
	]);
}

/** @typedef {{share: Share, found?: import("./vault.js").Opened, shown?: {node: HTMLElement, close: () => void}, steps?: import("./vault.js").Step[]}} Open */

/** What is open now. It lives as long as its page, and no longer. @type {Open | null} */
let opened = null;

/** @returns {Promise<import("./shell.js").Page>} */
export async function share() {
	const wanted = history.state ?? {};
	/** @type {Share[]} */
	const list = await call("shares");
	const found = list.find((s) => s.item === wanted.item && s.grant === wanted.grant);
	if (!found) {
		return { view: () => [heading(say("nowhere")), el("p", {}, link("/court", "court"))] };
	}
	close();
	opened = { share: found };
	return { view: decide, leave: close };
}

/** close forgets what was open. */
function close() {
	opened?.shown?.close();
	opened = null;
}

/** decide is where one decides whether to open. */
function decide() {
	const s = /** @type {Open} */ (opened).share;
	const views = s.terms.actions.includes("download");
	return [
		el("p", { class: "back" }, link("/court", "court.back")),
		heading(named(s)),
		standing(s),
		terms(s),
		...s.ready ? [
			el("section", { class: "told" },
				el("h2", {}, say("open.first")),
				el("p", {}, say("open.recorded")),
				el("p", {}, say("open.others")),
				views ? null : el("p", {}, say("open.view")),
				before("open.does", "open.good"),
				buttons(press("court.open", () => open(), "primary"), press("later", () => go("/court"))))] : [],
		s.ready ? null : el("p", {}, say(s.state === "active" || s.state === "pending" ? "state.wait" : "state.over")),
		timeline(),
	];
}

async function open() {
	const now = /** @type {Open} */ (opened);
	const { item, grant } = now.share;
	const bar = progress("opening", "opening.said");
	become(bar.view, { leave: close });
	try {
		const found = await during(call("redeem", { item, grant }, { progress: bar.move, signal: bar.signal }));
		const shown = await show(found, watermark());
		if (opened !== now) {
			shown.close(); // somebody has left while it came
			return;
		}
		Object.assign(now, { found, shown });
		become(content, { leave: close });
	} catch (fault) {
		if (opened === now) {
			become(decide, { leave: close, trouble: bar.signal.aborted ? { text: say("stopped.open") } : trouble(fault) });
		}
	}
}

/** watermark is who sees it, and when: over the picture, and so on every photograph of the screen. */
function watermark() {
	const me = session.me;
	const who = me?.organization_name || (me?.role ? say(`role.${me.role}`) : "");
	return [who, session.actor.slice(0, 12), moment(new Date().toISOString())].map(isolated).join(" · ");
}

/** content is what was opened, and what can be done with it. */
function content() {
	const { share: s, found, shown } = /** @type {Required<Open>} */ (opened);
	const copies = s.terms.actions.includes("download");
	return [
		el("p", { class: "back" }, link("/court", "court.back")),
		heading(named(s)),
		el("p", { class: "lead" }, say("opened.same", { entry: number(found.entry) })),
		shown.node,
		rows([
			[say("file"), el("bdi", {}, found.name || say("file.unnamed"))],
			[say("court.size"), size(found.size)],
			...people(found),
			...notes(found),
		]),
		copies || !shown.node.querySelector(".evidence") ? el("section", {},
			el("h2", {}, say("copy")),
			el("p", {}, say(copies ? "copy.said" : "open.view")),
			copies ? before("copy.does", "open.good") : null,
			buttons(press("copy.save", () => act(save)))) : null,
		receipt(s),
		copies ? packing(s) : el("section", {}, el("h2", {}, say("package")), el("p", {}, say("package.none"))),
		timeline(),
	];
}

/** save keeps what is open as a file. Of a copy there is an entry first; what a share for viewing alone cannot show is kept only to be seen. */
async function save() {
	const { share: s, found } = /** @type {Required<Open>} */ (opened);
	if (s.terms.actions.includes("download") && !found.copied) {
		await call("copy", { item: s.item, grant: s.grant });
		if (opened?.share !== s) {
			return; // somebody has left meanwhile: nothing is kept
		}
		opened.steps = undefined;
		paint();
	}
	found.copied = false; // another copy has an entry of its own
	keep(found.file, found.name || `${s.item}.bin`);
}

/** people are the names by which persons are known to this court alone. @param {any} found @returns {[string, Node][]} */
function people(found) {
	return found.notes.flatMap((/** @type {any} */ n) => Object.entries(n.persons ?? {}).map(([consent, name]) => [say("person"), el("span", {}, el("bdi", {}, name), el("br"), id(consent))]));
}

/** @param {any} found @returns {[string, Node][]} */
function notes(found) {
	return found.notes.filter((/** @type {any} */ n) => !n.persons).map((/** @type {any} */ n) => [say("note"), n.unread ? el("span", {}, say("note.unread")) : el("bdi", {}, n.text)]);
}

/** @param {Share} s */
function receipt(s) {
	if (s.acknowledged) {
		return el("section", {}, el("h2", {}, say("receipt")), el("p", { class: "picked" }, say(s.unequal ? "state.unequal" : "state.received", { time: moment(s.acknowledged) })));
	}
	return el("section", {},
		el("h2", {}, say("receipt")),
		el("p", {}, say("receipt.said")),
		before("receipt.does", "receipt.good"),
		buttons(press("receipt.do", () => act(async () => {
			const { share: now, found } = /** @type {Required<Open>} */ (opened);
			const { entry } = await call("acknowledge", { item: now.item, grant: now.grant, sha256: found.sha256 });
			now.acknowledged = new Date().toISOString();
			if (opened?.share !== now) {
				return;
			}
			opened.steps = undefined;
			paint();
			announce(say("receipt.done", { entry: number(entry) }));
			/** @type {HTMLElement | null} */ (document.querySelector("main h1"))?.focus();
		}), "primary")));
}

/** @param {Share} s */
function packing(s) {
	return el("section", {},
		el("h2", {}, say("package")),
		el("p", {}, say("package.said")),
		el("p", {}, say("package.check"), " ", link("/verify", "title")),
		before("package.does", "package.good"),
		buttons(press("package.get", () => bring(s))));
}

/** @param {Share} s */
async function bring(s) {
	const now = /** @type {Open} */ (opened);
	const bar = progress("packing", "packing.said");
	become(bar.view, { leave: close }); // what is open stays open: who stops goes on where one was
	try {
		const made = await during(call("export", { item: s.item, grant: s.grant, language: language() }, { progress: bar.move, signal: bar.signal }));
		if (opened === now) {
			keep(made.file, made.name);
			s.acknowledged ??= new Date().toISOString(); // the package brings the receipt along
			become(() => packed(made, () => become(content, { leave: close })), { leave: close });
		}
	} catch (fault) {
		if (opened === now) {
			become(content, { leave: close, trouble: bar.signal.aborted ? { text: say("stopped.package") } : trouble(fault) });
		}
	}
}

/** @param {any} made @param {() => void} back */
function packed(made, back) {
	return [
		heading(say("packed")),
		el("p", { class: "lead" }, say("packed.saved"), " ", fixed(made.name), ", ", size(made.size)),
		el("p", {}, say("packed.check"), " ", link("/verify", "title")),
		el("p", {}, say("packed.trust")),
		rows([[say("packed.nonce"), id(made.nonce)], [say("packed.entry"), number(made.entry)]]),
		buttons(press("back.share", back, "primary"), press("save.again", () => keep(made.file, made.name))),
	];
}

/**
 * progress is a page that says how far an act is, and can stop it.
 * @param {string} title
 * @param {string} lead
 */
function progress(title, lead) {
	const stop = new AbortController();
	const begun = Date.now();
	let done = 0, all = 0, told = 0;
	const far = () => {
		if (!all) {
			return say("progress.first");
		}
		const left = ((Date.now() - begun) / Math.max(done, 1)) * (all - done) / 60_000;
		const read = say("progress.read", { done: size(done), all: size(all) });
		return left > 1 && Date.now() - begun > 5000 ? `${read} ${say("progress.left", { time: number(Math.ceil(left), { style: "unit", unit: "minute", unitDisplay: "long" }) })}` : read;
	};
	return {
		signal: stop.signal,
		view: () => [
			heading(say(title)),
			el("p", { class: "lead" }, say(lead)),
			el("progress", { max: "1", "aria-labelledby": "far", ...(all ? { value: done / all } : {}) }),
			el("p", { id: "far" }, far()),
			buttons(press("stop", () => stop.abort())),
		],
		/** @param {number} now @param {number} total */
		move(now, total) {
			[done, all] = [now, total];
			const bar = document.querySelector("main progress"), line = document.getElementById("far");
			if (bar instanceof HTMLProgressElement && line) {
				bar.value = all ? done / all : 0;
				line.textContent = far();
			}
			const tenth = all ? Math.floor((10 * done) / all) : 0;
			if (tenth > told) {
				told = tenth;
				announce(say("working.percent", { percent: number(tenth / 10, { style: "percent" }) }));
			}
		},
	};
}

// The history of an item: what everybody whom it is shared with can see.

function timeline() {
	const now = /** @type {Open} */ (opened);
	const list = el("ol", { class: "plain" }, ...(now.steps ?? []).map(step));
	const box = el("details", { class: "timeline", open: Boolean(now.steps), toggle: async () => {
		if (!(/** @type {HTMLDetailsElement} */ (box).open) || now.steps) {
			return;
		}
		list.replaceChildren(el("li", {}, say("loading")));
		try {
			now.steps = await waiting(call("history", { item: now.share.item }), say("loading"));
			list.replaceChildren(.../** @type {any[]} */ (now.steps).map(step));
		} catch (fault) {
			list.replaceChildren(el("li", {}, trouble(fault).text));
		}
	} }, el("summary", {}, el("h2", {}, say("timeline"))), el("p", { class: "hint" }, say("timeline.said")), list);
	return box;
}

/** @param {any} s */
function step(s) {
	if (s.withheld_until) {
		return el("li", {}, el("p", { class: "when" }, say("step", { step: number(s.step) })), el("p", { class: "what" }, say("step.withheld", { date: moment(s.withheld_until) })));
	}
	const who = [say(`role.${s.role}`), s.organization_name].filter(Boolean).join(", ");
	return el("li", {},
		el("p", { class: "when" }, [say("step", { step: number(s.step) }), moment(s.time)].map(isolated).join(" · ")),
		el("p", { class: "what" }, say(s.export === "print" ? "event.item.exported.print" : s.export === "copy" ? "event.item.exported.copy" : `event.${s.kind}`)),
		el("p", {}, el("bdi", {}, who), s.purpose ? ` · ${say(`purpose.${s.purpose}`)}` : ""),
		el("p", { class: "proof" }, say(`proof.${s.proof}`)));
}
