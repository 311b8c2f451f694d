import { el, fixed } from "./dom.js";
import { say } from "./language.js";
import { buttons, field, form, groups, heading, id, keep, press, rows, seen, typed } from "./parts.js";
import { call, session } from "./session.js";
import { act, again, become, go, link, signOut, trouble, unlocked } from "./shell.js";

// Who comes: a device that knows nobody, one that is locked, one whose key waits for a second person, and who has no page here.

/** @returns {import("./shell.js").View} */
export function welcome() {
	return () => [
		heading(say("welcome")),
		el("p", { class: "lead" }, say("welcome.what")),
		el("p", {}, say("welcome.blind")),
		el("section", {}, el("h2", {}, say("welcome.invited")), el("p", {}, say("welcome.invited.said")),
			buttons(press("join", () => go("/join"), "primary"))),
		el("section", {}, el("h2", {}, say("welcome.package")), el("p", {}, say("welcome.package.said")), el("p", {}, link("/verify", "title"))),
		el("section", {}, el("h2", {}, say("welcome.known")), el("p", {}, say("welcome.known.said")), el("p", {}, link("/lost", "lost"))),
	];
}

/** unlock asks for the passphrase, and goes on to the page that was asked for. */
export function unlock() {
	const open = () => act(async () => {
		await call("unlock", { passphrase: typed("passphrase") });
		session.unlocked = true;
		unlocked();
		await again();
	}, "passphrase");
	return () => [
		heading(say("unlock")),
		el("p", { class: "lead" }, say("unlock.said")),
		form(open, field("passphrase", { type: "password", autocomplete: "current-password" }), seen("passphrase"),
			buttons(el("button", { class: "primary" }, say("unlock.do")))),
		el("p", {}, link("/lost", "lost")),
	];
}

/** How long a page waits before it asks again whether somebody has confirmed the key. */
const calm = 10_000;

/** waits shows the numbers that are compared by phone, and looks whether that was done. */
export function waits() {
	let timer = 0, left = false;
	const view = () => [
		heading(say("waits")),
		el("p", { class: "lead" }, say("waits.said")),
		groups(say("key.number"), session.me?.key_number ?? ""),
		groups(say("vault.number"), session.number),
		el("p", {}, say("waits.alone")),
		el("p", { class: "hint" }, say("waits.asks")),
		buttons(press("waits.now", () => act(ask)), press("recovery.save", () => act(async () => {
			/** @type {import("./vault.js").Recovery} */
			const { name, text } = await call("recovery");
			keep(new Blob([text]), name);
		}))),
	];
	const ask = async () => {
		clearTimeout(timer);
		const me = await call("me");
		if (left) {
			return;
		}
		session.me = me;
		if (me.confirmed) {
			become(confirmed);
			unlocked();
			return;
		}
		timer = setTimeout(look, calm);
	};
	/** What cannot be asked now is asked again: the page stays as it is. */
	const look = () => ask().catch(() => left || (timer = setTimeout(look, calm)));
	timer = setTimeout(look, calm);
	return { view, leave: () => ((left = true), clearTimeout(timer)) };
}

function confirmed() {
	return [
		heading(say("confirmed")),
		el("p", { class: "lead" }, say("confirmed.said")),
		buttons(press("go.on", () => go("/", null, true), "primary")),
	];
}

/** nothing is the page of who has none yet. */
export function nobody() {
	return () => [
		heading(say("home")),
		rows([
			[say("role"), session.me?.role ? say(`role.${session.me.role}`) : ""],
			[say("label.organization"), session.me ? session.me.organization_name || id(session.me.organization ?? "") : ""],
			[say("you"), id(session.actor)],
		]),
		groups(say("key.number"), session.me?.key_number ?? ""),
		groups(say("vault.number"), session.number),
		el("p", {}, say("home.program"), " ", fixed("strongroom")),
	];
}

/** nowhere is for what is not there, and for what is not for who asks: the same words. */
export function nowhere() {
	return () => [heading(say("nowhere")), el("p", {}, link("/", "start"))];
}

/** missing is a browser, or a copy of the service, in which the client does not run. @param {string} what */
export function missing(what) {
	return () => [
		heading(say(what === "wasm" ? "missing.wasm" : "missing.client")),
		el("p", { class: "lead" }, say(what === "wasm" ? "missing.wasm.said" : "missing.client.said")),
		el("p", {}, say("missing.program"), " ", fixed("strongroom")),
	];
}

/** failed is a page that could not be opened. @param {unknown} fault */
export function failed(fault) {
	return () => {
		const why = trouble(fault);
		return [
			heading(say("failed")),
			el("p", { class: "lead" }, why.text),
			why.code ? el("p", {}, say("problem.code"), " ", el("code", { dir: "ltr" }, why.code)) : null,
			buttons(press("again", again, "primary"), session.unlocked ? press("sign.out", signOut) : null),
		];
	};
}

/** lost is what to do after a loss (INTERFACE J6). */
export function lost() {
	return () => [
		heading(say("lost")),
		el("p", { class: "lead" }, say("lost.call")),
		el("ol", {}, ...["lost.stopped", "lost.invited", "lost.compared", "lost.look"].map((what) => el("li", {}, say(what)))),
		el("p", {}, say("lost.unsent")),
		el("section", {}, el("h2", {}, say("lost.survivor")), el("p", {}, say("lost.survivor.said"))),
		el("section", {}, el("h2", {}, say("lost.passphrase")), el("p", {}, say("lost.passphrase.said"))),
	];
}

/** about says what this can and what it cannot do (RULES §11), and which program it is. */
export async function about() {
	const build = await program().catch(() => "");
	return () => [
		heading(say("about")),
		el("p", { class: "lead" }, say("welcome.what")),
		el("section", {}, el("h2", {}, say("about.does")), el("ul", {}, ...["about.does.sealed", "about.does.recorded", "about.does.two"].map((what) => el("li", {}, say(what))))),
		el("section", {}, el("h2", {}, say("about.limits")), el("ul", {}, ...["copies", "reach", "proof", "end", "operator", "linked", "browser", "clocks", "blind", "keys"]
			.map((what) => el("li", {}, say(`limit.${what}`))))),
		el("section", {}, el("h2", {}, say("about.build")), build ? el("p", {}, say("about.build.said"), " ", id(build)) : el("p", {}, say("missing.client"))),
	];
}

/** program is what names the bytes of the client that this server sends. */
async function program() {
	const answer = await fetch("/assets/client.wasm", { method: "HEAD" });
	return answer.ok ? (answer.headers.get("ETag") ?? "").replace(/^W\/|"|-gzip/g, "") : "";
}
