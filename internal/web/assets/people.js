import { el } from "./dom.js";
import { moment, number, say } from "./language.js";
import { before, buttons, field, form, groups, heading, id, press, rows, typed } from "./parts.js";
import { call, session } from "./session.js";
import { act, amiss, announce, become, during, go, link, wrong } from "./shell.js";

// People on their way into the vault (RULES §3.3, INTERFACE J3): one person invites, the person answers with own keys, the first admits them, and
// another one calls and compares the number. Nobody confirms whom they admitted.

/** @typedef {import("./vault.js").Newcomer} Newcomer */
/** @typedef {import("./vault.js").Invitation} Invitation */
/** @typedef {import("./vault.js").People} People */

/** place is where this person's decisions are. */
export function place() {
	return session.me?.role === "administrator" ? "/m" : "/k";
}

/** whose is the organization somebody acts for: the operator's word, or its id. @param {{organization?: string, organization_name?: string}} who */
export function whose(who) {
	if (!who.organization) {
		return null;
	}
	return who.organization_name ? el("bdi", { translate: "no" }, who.organization_name) : id(who.organization);
}

/** gone is what somebody else decided meanwhile. */
export function gone() {
	return [heading(say("k.gone")), el("p", { class: "lead" }, say("k.gone.said")), el("p", {}, link(place(), "k.back"))];
}

/**
 * over is what an act did, and where one goes on.
 * @param {string} title
 * @param {string} said
 * @param {number} entry
 * @param {Node|null} [more]
 */
export function over(title, said, entry, more = null) {
	return [
		heading(say(title)),
		el("p", { class: "lead" }, say(said)),
		el("p", {}, say("k.recorded", { entry: number(entry) })),
		buttons(more, press("k.back", () => go(place(), null, true), more ? "" : "primary")),
	];
}

/**
 * choices are radio buttons. None is chosen before a person does.
 * @param {string} name of the question, and of its words
 * @param {[value: string, words: string][]} list
 */
function choices(name, list) {
	const said = wrong(`${name}-${list[0][0]}`);
	return el("fieldset", { class: said ? "field wrong" : "field", "aria-describedby": said ? `${name}-wrong` : null },
		el("legend", {}, say(name)),
		said ? el("p", { class: "wrong", id: `${name}-wrong` }, said) : null,
		...list.map(([value, words]) => el("p", { class: "box" }, el("label", { for: `${name}-${value}` },
			el("input", { type: "radio", id: `${name}-${value}`, name, value }), " ", words))));
}

/** chosen is the answer to a question. @param {string} name */
function chosen(name) {
	const found = [...document.querySelectorAll("input:checked")].find((e) => e instanceof HTMLInputElement && e.name === name);
	return found instanceof HTMLInputElement ? found.value : "";
}

// Who waits: keys to be admitted, or a number to be compared.

/** Two groups that are typed as they are heard, from 1. @typedef {{who: Newcomer, ask: [number, number], heard: Record<number, string>, method: string}} Comparing */

/** @type {Comparing | null} */
let comparing = null;

function close() {
	comparing = null;
}

/** @returns {Promise<import("./shell.js").Page>} */
export async function person() {
	const { actor, invitation } = history.state ?? {};
	/** @type {People} */
	const people = await call("people");
	const offered = people.invitations.find((i) => i.invitation === invitation && i.state === "answered");
	if (offered) {
		return { view: () => admitting(offered) };
	}
	const who = people.newcomers.find((n) => n.actor === actor);
	if (!who) {
		return { view: gone };
	}
	if (who.admitted_by.me || who.actor === session.actor) {
		return { view: () => [el("p", { class: "back" }, link(place(), "k.back")), heading(say("k.confirm")), el("p", { class: "picked" }, say("k.admit.own")), described(who),
			groups(say("k.all.number"), who.key_number)] };
	}
	comparing = { who, ask: two(), heard: {}, method: "" };
	return { view: hear, leave: close };
}

/** two different groups out of six, by chance: who would answer in another's place cannot prepare for them. @returns {[number, number]} */
function two() {
	const [a, b] = crypto.getRandomValues(new Uint32Array(2));
	const first = a % 6, second = (first + 1 + (b % 5)) % 6;
	return [Math.min(first, second) + 1, Math.max(first, second) + 1];
}

/** @param {Newcomer} n */
function described(n) {
	return rows([
		[say("role"), say(`role.${n.role}`)],
		[say("label.organization"), whose(n)],
		[say("k.by.admitted"), el("span", {}, say(`role.${n.admitted_by.role}`), " · ", whose(n.admitted_by) ?? "", ` · ${moment(n.admitted)}`)],
		[say("k.key"), n.rotation ? say("k.rotation") : null],
	]);
}

/** @param {Invitation} i */
function admitting(i) {
	const admit = () => act(async () => {
		const cause = i.rotation ? chosen("k.cause") : "";
		if (i.rotation && !cause) {
			amiss({ text: say("k.cause.missing"), field: "k.cause-loss" });
			return;
		}
		try {
			const { entry } = await during(call("admit", { invitation: i.invitation, ...(cause && { cause }) }));
			become(() => over("k.admit.done", "k.admit.next", entry));
		} catch (fault) {
			if (/** @type {{reason?: string}} */ (fault).reason !== "invitation") {
				throw fault;
			}
			amiss({ text: say("k.admit.elsewhere") });
		}
	});
	return [
		el("p", { class: "back" }, link(place(), "k.back")),
		heading(say("k.admit")),
		el("p", { class: "lead" }, say("k.admit.said")),
		rows([
			[say("role"), say(`role.${i.role}`)],
			[say("label.organization"), whose(i)],
			[say("k.key"), i.rotation ? say("k.rotation") : null],
			[say("invited.until"), moment(i.until)],
		]),
		form(admit, i.rotation ? choices("k.cause", ["loss", "compromise", "replacement"].map((c) => [c, say(`k.cause.${c}`)])) : null,
			before("k.admit.does", "k.admit.good"),
			buttons(el("button", { class: "primary" }, say("k.admit.do")), press("later", () => go(place())))),
	];
}

const methods = ["phone", "video", "in_person", "letter"];

/** hear is the first half of comparing: two groups as they are heard. The number is not shown yet, so that nobody types what they see. */
function hear() {
	const { who, ask } = /** @type {Comparing} */ (comparing);
	const [first, second] = ask.map((n) => number(n));
	const on = () => {
		const now = /** @type {Comparing} */ (comparing);
		const five = now.who.key_number.split(" ");
		/** @type {Record<number, string>} */
		const heard = {};
		for (const n of ask) {
			const name = `group-${n}`, digits = western(typed(name));
			if (!/^\d{5}$/.test(digits)) {
				amiss({ text: say("k.hear.missing", { number: number(n) }), field: name });
				return;
			}
			if (digits !== five[n - 1]) {
				amiss({ text: say("k.hear.other", { number: number(n) }), field: name });
				return;
			}
			heard[n] = digits;
		}
		const method = chosen("k.hear.how");
		if (!method) {
			amiss({ text: say("k.hear.unchosen"), field: `k.hear.how-${methods[0]}` });
			return;
		}
		Object.assign(now, { heard, method });
		become(all, { leave: close });
	};
	return [
		el("p", { class: "back" }, link(place(), "k.back")),
		heading(say("k.hear")),
		el("p", { class: "lead" }, who.organization_name ? say("k.hear.call", { organization: who.organization_name }) : say("k.hear.person")),
		described(who),
		el("p", {}, say("k.hear.type", { first, second })),
		form(on,
			...ask.map((n) => field(`group-${n}`, { name: "k.hear.group", places: { number: number(n) }, hint: "k.hear.hint", type: "text", inputmode: "numeric", autocomplete: "off", class: "code", dir: "ltr" })),
			choices("k.hear.how", methods.map((m) => [m, say(`k.method.${m}`)])),
			buttons(el("button", { class: "primary" }, say("continue")), ...otherwise())),
	];
}

/** western are digits as they are kept, however a keyboard writes them. @param {string} text */
function western(text) {
	return text.replace(/[\s-]/g, "").replace(/[\u0660-\u0669\u06f0-\u06f9]/g, (d) => String(d.charCodeAt(0) & 15));
}

/** otherwise are the answers beside yes. */
function otherwise() {
	return [press("compare.differ", () => become(differ, { leave: close })), press("compare.unreached", () => go(place()))];
}

function all() {
	const { who } = /** @type {Comparing} */ (comparing);
	const same = () => act(async () => {
		const now = /** @type {Comparing} */ (comparing);
		const { entry } = await during(call("confirm", { actor: now.who.actor, key_number: now.who.key_number, heard: now.heard, method: now.method }));
		if (comparing === now) {
			become(() => over("k.confirmed", "k.confirmed.said", entry), { leave: close });
		}
	});
	return [
		heading(say("k.all")),
		el("p", { class: "lead" }, say("k.all.said")),
		groups(say("k.all.number"), who.key_number),
		before("k.all.does", "k.all.good"),
		buttons(press("compare.same", same, "primary"), ...otherwise()),
	];
}

/** differ is where somebody may stand between. Who is new can be stopped; who was confirmed before is left as he was: the new keys count for nothing. */
function differ() {
	const { who } = /** @type {Comparing} */ (comparing);
	const stop = () => act(async () => {
		const now = /** @type {Comparing} */ (comparing);
		const { entry } = await during(call("reject", { actor: now.who.actor }));
		if (comparing === now) {
			become(() => over("k.differ.done", "k.differ.after", entry), { leave: close });
		}
	});
	return [
		heading(say("k.differ")),
		el("p", { class: "lead" }, say("k.differ.said")),
		el("p", {}, say("k.differ.tell")),
		who.rotation ? el("p", {}, say("k.differ.rotation")) : before("k.differ.does", "k.differ.good"),
		buttons(who.rotation ? null : press("k.differ.do", stop, "primary"), press("later", () => go(place()))),
	];
}

// Inviting.

/** Whom an administrator invites, and whom a custodian. @type {Record<string, string[]>} */
const invites = {
	administrator: ["clinician", "investigator", "custodian", "auditor", "administrator"],
	custodian: ["court", "prosecutor", "police", "defence", "survivor", "advocate", "trustee"],
};

/** What was made, with its code: it lives as long as its page. @type {import("./vault.js").Invited | null} */
let made = null;

/** The clipboard holds the link, until then. */
let copied = 0;

function forget() {
	made = null;
	if (copied) {
		empty();
	}
}

/** @returns {Promise<import("./shell.js").Page>} */
export async function invite() {
	/** @type {People} */
	const people = await call("people");
	const roles = invites[session.me?.role ?? ""] ?? [];
	const make = () => act(async () => {
		const role = chosen("k.invite.role"), organization = typed("k.invite.organization");
		if (!role) {
			amiss({ text: say("k.invite.role.missing"), field: `k.invite.role-${roles[0]}` });
			return;
		}
		const facts = role === "clinician" && document.querySelector("#documents:checked") !== null;
		const found = await during(call("invite", { role, ...(organization && { organization }), ...(facts && { documents_only: true }) }));
		if (document.querySelector("[id='k.invite.organization']")) { // nobody has left meanwhile
			made = { ...found, organization_name: people.organizations.find((o) => o.organization === found.organization)?.name };
			become(handing, { leave: forget });
		}
	});
	const view = () => [
		el("p", { class: "back" }, link(place(), "k.back")),
		heading(say("k.invite")),
		el("p", { class: "lead" }, say("k.invite.said")),
		form(make,
			choices("k.invite.role", roles.map((r) => [r, say(`role.${r}`)])),
			roles.includes("clinician") ? el("p", { class: "box" }, el("label", { for: "documents" }, el("input", { type: "checkbox", id: "documents" }), " ", say("k.invite.documents"))) : null,
			el("div", { class: "field" },
				el("label", { for: "k.invite.organization" }, say("k.invite.organization")),
				el("p", { class: "hint", id: "k.invite.organization-hint" }, say("k.invite.organization.hint")),
				el("select", { id: "k.invite.organization", "aria-describedby": "k.invite.organization-hint" },
					el("option", { value: "" }, say("k.invite.new")),
					...people.organizations.map((o) => el("option", { value: o.organization }, o.name || `${o.organization.slice(0, 12)}… (${o.roles.map((r) => say(`role.${r}`)).join(", ")})`)))),
			buttons(el("button", { class: "primary" }, say("k.invite.do")), press("later", () => go(place())))),
	];
	return { view };
}

/** How long a link stays in the clipboard. */
const clipped = 60_000;

function handing() {
	const { code, role, organization, organization_name, documents_only, until } = /** @type {import("./vault.js").Invited} */ (made);
	const address = `${location.origin}/join#${code}`;
	const copy = async () => {
		try {
			await navigator.clipboard.writeText(address);
			clearTimeout(copied);
			copied = setTimeout(empty, clipped);
			tell("k.invited.copied");
		} catch {
			tell("k.invited.uncopied");
		}
	};
	return [
		heading(say("k.invited")),
		el("p", { class: "lead" }, say("k.invited.said")),
		rows([
			[say("role"), documents_only ? say("k.invite.documents") : say(`role.${role}`)],
			[say("label.organization"), whose({ organization, organization_name })],
			[say("invited.until"), until ? moment(until) : null],
		]),
		el("div", { class: "field" }, el("label", { for: "link" }, say("k.invited.link")),
			el("textarea", { id: "link", rows: "3", readonly: true, dir: "ltr", class: "code", translate: "no", spellcheck: "false" }, address)),
		rows([[say("k.invited.code"), el("code", { dir: "ltr", translate: "no" }, (code.match(/.{1,4}/g) ?? []).join(" "))]]),
		el("p", { class: "picked", id: "clipped", hidden: true }),
		buttons(press("k.invited.copy", copy, "primary"), press("k.back", () => go(place()))),
		el("section", {}, el("p", {}, say("k.invited.number")), groups(say("vault.number"), session.number), el("p", {}, say("k.invited.next"))),
	];
}

/** tell says what became of the clipboard. @param {string} what */
function tell(what) {
	const line = document.getElementById("clipped");
	if (line) {
		line.textContent = say(what);
		line.hidden = false;
	}
	announce(say(what));
}

/** empty takes the link out of the clipboard; a browser that does not let it is said. */
function empty() {
	clearTimeout(copied);
	copied = 0;
	navigator.clipboard.writeText("").then(() => {}, () => tell("k.invited.uncleared"));
}
