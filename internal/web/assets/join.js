import { el } from "./dom.js";
import { moment, say } from "./language.js";
import { before, buttons, field, form, groups, heading, id, keep, press, rows, seen, typed } from "./parts.js";
import { call, session } from "./session.js";
import { act, amiss, become, go, paint, unlocked } from "./shell.js";
import { waits } from "./welcome.js";

// Joining (INTERFACE J4): an invitation, the vault's number compared by voice, a key made in this browser, its recovery file saved.

/** A code: 26 letters and digits, however they are grouped. */
const form26 = /^[A-Za-z2-7]{26}$/;

/** How short a passphrase may be. */
const least = 12;

/** What is known of the invitation. @type {{code: string, terms?: any, made?: any, saved: boolean}} */
let joining = { code: "", saved: false };

/** plain is a code without what only groups it. @param {string} text */
function plain(text) {
	return text.replace(/[\s-]/g, "");
}

/**
 * invitation takes the code out of the address at once, so that neither the list of visited pages nor who looks at the screen has it.
 * @returns {boolean} whether there was one
 */
export function invitation() {
	if (location.pathname !== "/join") {
		return false;
	}
	const parts = location.hash.slice(1).split("&");
	const code = parts.map((part) => plain(decoded(part))).find((part) => form26.test(part));
	if (!code) {
		return false;
	}
	joining = { code, saved: false };
	const rest = parts.filter((part) => plain(decoded(part)) !== code).join("&");
	history.replaceState(history.state, "", location.pathname + (rest && `#${rest}`));
	return true;
}

/** @param {string} part */
function decoded(part) {
	try {
		return decodeURIComponent(part);
	} catch {
		return part;
	}
}

/** @returns {Promise<import("./shell.js").View>} */
export async function join() {
	if (session.known) {
		return taken;
	}
	if (!joining.code) {
		return ask;
	}
	try {
		await look();
	} catch (fault) {
		const { reason = "" } = /** @type {{reason?: string}} */ (fault ?? {});
		if (!["invitation", "code_form", "not_found"].includes(reason)) {
			throw fault;
		}
		joining = { code: "", saved: false };
		return refused;
	}
	return invited;
}

async function look() {
	joining.terms = await call("terms", { code: joining.code });
}

/** taken is a browser that has a key already. */
function taken() {
	return [heading(say("taken")), el("p", { class: "lead" }, say("taken.said")), buttons(press("go.on", () => go("/", null, true), "primary"))];
}

function refused() {
	return [heading(say("refused.code")), el("p", { class: "lead" }, say("why.invitation")), buttons(press("code.other", () => become(ask), "primary"))];
}

function ask() {
	const take = () => act(async () => {
		const code = plain(typed("code"));
		if (!form26.test(code)) {
			amiss({ text: say("why.code_form"), field: "code" });
			return;
		}
		joining = { code, saved: false };
		await look();
		become(invited);
	}, "code");
	return [
		heading(say("join")),
		el("p", { class: "lead" }, say("join.said")),
		form(take, field("code", { hint: "code.hint", type: "text", autocomplete: "off", class: "code", dir: "ltr" }),
			buttons(el("button", { class: "primary" }, say("continue")))),
	];
}

const outside = ["court", "prosecutor", "police", "defence"];

function invited() {
	const { terms } = joining;
	return [
		heading(outside.includes(terms.role) ? say("invited") : say("invited.other")),
		el("p", { class: "lead" }, say("invited.key")),
		rows([
			[say("vault"), el("bdi", { dir: "ltr" }, terms.vault)],
			[say("role"), say(`role.${terms.role}`)],
			[say("label.organization"), terms.organization ? id(terms.organization) : null],
			[say("invited.until"), terms.until ? moment(terms.until) : null],
		]),
		el("p", {}, say("invited.signs")),
		buttons(press("continue", () => become(compare), "primary"), press("later", () => go("/"))),
	];
}

function compare() {
	return [
		heading(say("compare")),
		el("p", { class: "lead" }, say("compare.call")),
		groups(say("vault.number"), joining.terms.vault_number),
		el("p", {}, say("compare.hear")),
		buttons(press("compare.same", () => become(passphrase), "primary"), press("compare.differ", () => (forget(), become(differ))), press("compare.unreached", () => go("/"))),
	];
}

function differ() {
	return [
		heading(say("differ")),
		el("p", { class: "lead" }, say("differ.said")),
		el("p", {}, say("differ.kept")),
		buttons(press("start", () => go("/", null, true), "primary")),
	];
}

function passphrase() {
	const make = () => act(async () => {
		const [first, second] = [typed("passphrase"), typed("passphrase-again")];
		if ([...first].length < least) {
			amiss({ text: say("why.passphrase_short"), field: "passphrase" });
			return;
		}
		if (first !== second) {
			amiss({ text: say("why.passphrase_differs"), field: "passphrase-again" });
			return;
		}
		joining.made = await call("join", { code: joining.code, passphrase: first });
		Object.assign(session, { known: true, unlocked: true, actor: joining.made.actor, vault: joining.terms.vault, number: joining.terms.vault_number,
			me: { role: joining.terms.role, organization: joining.terms.organization, key_number: joining.made.key_number, confirmed: false } });
		unlocked();
		if (joining.made.recovery) { // a role that opens nothing has no file to save
			addEventListener("beforeunload", unsaved);
		}
		become(joining.made.recovery ? recovery : number, { leave: forget });
	});
	return [
		heading(say("passphrase.choose")),
		el("p", { class: "lead" }, say("passphrase.said")),
		form(make,
			field("passphrase", { hint: "passphrase.hint", type: "password", autocomplete: "new-password" }),
			field("passphrase-again", { name: "passphrase.again", type: "password", autocomplete: "new-password" }),
			seen("passphrase", "passphrase-again"),
			before("make.does", "make.good"),
			buttons(el("button", { class: "primary" }, say("make")), press("later", () => go("/")))),
	];
}

/** forget leaves nothing of the invitation and of what was made behind. */
function forget() {
	joining = { code: "", saved: false };
	removeEventListener("beforeunload", unsaved);
}

/** unsaved asks the browser to ask before it closes the page. @param {BeforeUnloadEvent} event */
function unsaved(event) {
	event.preventDefault();
}

function recovery() {
	const save = () => {
		const { recovery } = joining.made;
		keep(new Blob([recovery.text]), recovery.name);
		joining.saved = true;
		removeEventListener("beforeunload", unsaved);
		paint();
		/** @type {HTMLElement | null} */ (document.querySelector("main .primary"))?.focus();
	};
	const on = () => {
		if (!joining.saved) {
			amiss({ text: say("recovery.missing") });
			return;
		}
		become(number, { leave: forget });
	};
	return [
		heading(say("recovery")),
		el("p", { class: "lead" }, say("recovery.why")),
		el("p", {}, say("recovery.what")),
		joining.saved ? el("p", { class: "picked", role: "status" }, say("recovery.saved")) : null,
		buttons(press(joining.saved ? "recovery.again" : "recovery.save", save, joining.saved ? "" : "primary"), press("continue", on, joining.saved ? "primary" : "")),
	];
}

function number() {
	return [
		heading(say("numbers")),
		el("p", { class: "lead" }, say("numbers.said")),
		groups(say("key.number"), joining.made.key_number),
		groups(say("vault.number"), joining.terms.vault_number),
		el("p", {}, say("numbers.read")),
		buttons(press("continue", () => {
			const { view, leave } = waits();
			become(view, { leave });
			history.replaceState(null, "", `/${location.hash}`);
		}, "primary")),
	];
}
