import { el } from "./dom.js";
import { language, moment, number, say } from "./language.js";
import { before, buttons, form, groups, heading, id, press, rows, typed } from "./parts.js";
import { gone, over, whose } from "./people.js";
import { call, session } from "./session.js";
import { act, again, amiss, become, during, go, link, wrong } from "./shell.js";

// What waits for a custodian (INTERFACE §3, J3): proposals for a second person, keys to be written, people on their way in; and one share, with all
// that is signed said before it is. Administrators, who decide about people alone, have the same list without shares.

/** @typedef {import("./vault.js").Proposal} Proposal */
/** @typedef {import("./vault.js").Decision} Decision */
/** @typedef {import("./vault.js").People} People */

/** What waits for a decision of this person's, since when, as a card. @typedef {{since: string, card: () => HTMLElement}} Waiting */

/** @returns {Promise<import("./shell.js").Page>} */
export async function inbox() {
	const administers = session.me?.role === "administrator";
	const [list, people] = await Promise.all([administers ? [] : call("proposals"), call("people")]);
	const { mine, others } = sorted(/** @type {Proposal[]} */ (list), /** @type {People} */ (people));
	const view = () => [
		heading(say(administers ? "k.people" : "k")),
		el("p", { class: "lead" }, say(mine.length ? "court.said" : administers && !others.length ? "k.uninvited" : "k.none")),
		mine.length ? el("ul", { class: "plain cards" }, ...mine.map((w) => w.card())) : null,
		buttons(press("k.invite", () => go("/k/invite")), press("look.again", () => act(again))),
		others.length ? el("section", {}, el("h2", {}, say("k.others")), el("ul", { class: "plain cards" }, ...others.map((w) => w.card()))) : null,
	];
	return { view };
}

/**
 * sorted tells what this person decides from what others do, each the oldest first. An invitation that was answered has no time: it is first.
 * @param {Proposal[]} list
 * @param {People} people
 */
function sorted(list, people) {
	/** @type {Waiting[]} */
	const mine = [], /** @type {Waiting[]} */ others = [];
	for (const p of list) {
		const asks = p.waits === "decision" && p.approved && p.ask_first.length > 0;
		if (p.waits === "key" && !p.holds) {
			others.push({ since: p.approved ?? "", card: () => shareCard(p) });
		} else {
			(p.own && p.waits === "decision" || asks ? others : mine).push({ since: (p.waits === "key" ? p.approved : p.proposed) ?? "", card: () => shareCard(p) });
		}
	}
	for (const n of people.newcomers) {
		(n.admitted_by.me || n.actor === session.actor ? others : mine).push({ since: n.admitted, card: () => newcomerCard(n) });
	}
	for (const i of people.invitations.filter((i) => i.state !== "admitted")) {
		(i.state === "answered" ? mine : others).push({ since: "", card: () => invitationCard(i) });
	}
	const oldest = (/** @type {Waiting} */ a, /** @type {Waiting} */ b) => a.since.localeCompare(b.since);
	return { mine: mine.sort(oldest), others: others.sort(oldest) };
}

/**
 * card is one thing that waits.
 * @param {string} name its heading's own
 * @param {string} title
 * @param {string} since
 * @param {[string, Node|string|null][]} list
 * @param {(() => void) | null} review
 */
function card(name, title, since, list, review) {
	return el("li", { class: "card" },
		el("h2", { id: name }, title),
		el("p", { class: "standing waiting" }, since),
		rows(list),
		review ? buttons(el("button", { type: "button", class: "primary", "aria-describedby": name, click: review }, say("k.review"))) : null);
}

/** @param {Proposal} p */
function shareCard(p) {
	return card(p.grant, say(p.waits === "key" ? "k.write" : "k.decide"), p.waits === "key" ? say("k.approved", { time: moment(p.approved ?? "") }) : say("k.proposed", { time: moment(p.proposed ?? "") }), [
		[say("k.to"), country(p)],
		[say("k.goes"), what(p)],
		[say("k.until"), moment(p.until)],
	], () => go("/k/share", { item: p.item, grant: p.grant }));
}

/** @param {import("./vault.js").Newcomer} n */
function newcomerCard(n) {
	return card(n.actor, say("k.confirm"), say("k.admitted", { time: moment(n.admitted) }), [
		[say("role"), say(`role.${n.role}`)],
		[say("label.organization"), whose(n)],
	], () => go("/k/key", { actor: n.actor }));
}

/** @param {import("./vault.js").Invitation} i */
function invitationCard(i) {
	const answered = i.state === "answered";
	return card(i.invitation, say(answered ? "k.admit" : "k.invitation"), say(answered ? "k.answered" : "k.unanswered"), [
		[say("role"), say(`role.${i.role}`)],
		[say("label.organization"), whose(i)],
		[say("invited.until"), moment(i.until)],
	], answered ? () => go("/k/key", { invitation: i.invitation }) : null);
}

/** country is who receives a share: a role and where. @param {Proposal} p */
function country(p) {
	const names = new Intl.DisplayNames([language()], { type: "region" });
	let where = p.terms.jurisdiction;
	try {
		where = names.of(where) ?? where;
	} catch {
		// a code that is no country's stands for itself
	}
	return el("span", {}, say(`role.${p.terms.recipient_class}`), " · ", el("bdi", {}, where));
}

/** what is an item as its case knows it: its exhibit number, what it is, and its title. @param {Proposal} p */
function what(p) {
	const text = p.exhibit ? say("exhibit", { number: number(p.exhibit), content: say(`content.${p.content}`) }) : say("exhibit.none", { content: say(`content.${p.content}`) });
	return el("span", {}, text, p.title ? " · " : "", p.title ? el("bdi", { translate: "no" }, p.title) : "");
}

// One share.

/** @typedef {{proposal: Proposal, decision: Decision, why?: {text?: string, unread?: string}}} Deciding */

/** @type {Deciding | null} */
let deciding = null;

function close() {
	deciding = null;
}

/** @returns {Promise<import("./shell.js").Page>} */
export async function share() {
	const { item, grant } = history.state ?? {};
	/** @type {Proposal | undefined} */
	const proposal = (await call("proposals")).find((/** @type {Proposal} */ p) => p.item === item && p.grant === grant);
	if (!proposal) {
		return { view: gone };
	}
	deciding = { proposal, decision: await call("weigh", { item, grant }) };
	return { view: decide, leave: close };
}

/** decide says all that is signed, and what is not given, before anything is (RULES §7.4). */
function decide() {
	const { proposal: p, decision: d } = /** @type {Deciding} */ (deciding);
	const writes = p.waits === "key";
	const blocked = writes ? (p.holds ? "" : "k.keyless") : p.own ? "k.own" : d.decided ? "k.decided" : "";
	return [
		el("p", { class: "back" }, link("/k", "k.back")),
		heading(say(blocked ? "k.share.waits" : writes ? "k.share.key" : "k.share")),
		blocked ? el("p", { class: "picked" }, say(blocked)) : null,
		terms(p, d),
		groups(say("k.key.of"), p.key_number),
		refusals(d),
		reason(d),
		el("section", {}, p.ask_first.length ? el("p", {}, say("k.asked")) : null, el("p", {}, el("strong", {}, say("k.copies")))),
		...blocked ? [] : writes ? writing() : approving(p),
	];
}

/** @param {Proposal} p @param {Decision} d */
function terms(p, d) {
	const t = p.terms, both = t.actions.includes("download");
	const kinds = new Intl.ListFormat(language()).format(d.no.map((kind) => say(`content.${kind}`)));
	const compared = p.compared && say(p.compared.by === session.actor ? "k.compared.me" : "k.compared", { method: say(`k.method.${p.compared.method}`), time: moment(p.compared.time) });
	const begins = [t.not_before, t.cooling_off ?? ""].sort().at(-1) ?? "";
	return rows([
		[say("k.to"), el("span", {}, whose(d.recipient) ?? "", d.recipient.organization ? " · " : "", country(p), el("br"), id(t.recipient.actor))],
		[say("k.key"), compared ?? say("k.compared.nobody")],
		[say("k.goes"), what(p)],
		[say("k.stays"), el("span", {}, ...[d.no.length ? say("k.stays.no", { kinds }) : "", say("k.stays.items", { number: number(p.items_stay) })].filter(Boolean).flatMap((line, i) => (i ? [el("br"), line] : [line])))],
		[say("k.law"), say("k.law.for", { law: say(`legal.${t.legal_basis}`), purpose: say(`purpose.${t.purpose}`) })],
		[say("k.consent"), d.consents.length ? el("span", {}, ...d.consents.flatMap((c, i) => [i ? el("br") : "", say("k.consent.version", { number: number(c.version) }), el("br"), id(c.id)]),
			d.hold ? el("br") : "", d.hold ? say("k.hold") : "") : d.hold ? say("k.hold") : null],
		[say("terms.may"), say(both ? (t.actions.includes("view") ? "action.both" : "action.download") : "action.view")],
		[say("k.onward"), say(t.onward ? "terms.onward" : "terms.kept")],
		[say("k.from"), moment(begins)],
		[say("k.until"), moment(t.expires)],
		[say("k.by"), d.proposed_by.me ? say("k.by.me") : el("span", {}, say(`role.${d.proposed_by.role}`), " · ", whose(d.proposed_by) ?? "", p.proposed ? ` · ${moment(p.proposed)}` : "")],
		[say("label.item"), id(p.item)],
	]);
}

/** refusals are earlier proposals to the same recipient: a new one does not make them unsaid (RULES §7.3). @param {Decision} d */
function refusals(d) {
	return d.refused.length ? el("section", {}, el("h2", {}, say("k.before")), el("ul", {}, ...d.refused.map((r) => el("li", {},
		say("k.before.said", { time: moment(r.time) }), r.reason ? el("span", {}, " ", el("bdi", { translate: "no" }, r.reason)) : "")))) : null;
}

/** reason is why it was proposed. To read it is an opening, so nobody reads it by looking at this page. @param {Decision} d */
function reason(d) {
	const { why } = /** @type {Deciding} */ (deciding);
	if (!d.has_reason) {
		return null;
	}
	const read = () => act(async () => {
		const now = /** @type {Deciding} */ (deciding);
		const found = await call("why", { item: now.proposal.item, grant: now.proposal.grant });
		if (deciding === now) {
			now.why = found;
			become(decide, { leave: close });
		}
	});
	return el("section", {}, el("h2", {}, say("k.why")),
		!why ? el("p", {}, say("k.why.said")) : why.text ? el("p", {}, el("bdi", { translate: "no" }, why.text)) : el("p", {}, say("k.why.closed")),
		why ? null : buttons(press("k.why.read", read)));
}

/** area is a field of several lines. @param {string} name @param {string} hint */
function area(name, hint) {
	const said = wrong(name);
	return el("div", { class: said ? "field wrong" : "field" },
		el("label", { for: name }, say(name)),
		el("p", { class: "hint", id: `${name}-hint` }, say(hint)),
		said ? el("p", { class: "wrong", id: `${name}-wrong` }, said) : null,
		el("textarea", { id: name, name, rows: "3", autocomplete: "off", spellcheck: "false", translate: "no", dir: "auto", "aria-invalid": said ? "true" : null,
			"aria-describedby": said ? `${name}-hint ${name}-wrong` : `${name}-hint` }));
}

/** names are what the item is looked through for. They are kept nowhere. */
function names() {
	const list = typed("k.names").split("\n").map((line) => line.trim()).filter(Boolean);
	return list.length ? { names: list } : {};
}

/** @param {Proposal} p */
function approving(p) {
	return [form(approve,
		p.holds ? area("k.names", "k.names.hint") : null,
		before("k.approve.does", "k.approve.good"),
		buttons(el("button", { class: "primary" }, say("k.approve")), press("k.refuse", () => become(refusing, { leave: close })), press("later", () => go("/k"))))];
}

function writing() {
	return [form(() => write({ ...names() }), area("k.names", "k.names.hint"), before("k.key.does", "open.good"),
		buttons(el("button", { class: "primary" }, say("k.key.do")), press("later", () => go("/k"))))];
}

function approve() {
	return act(async () => {
		const now = /** @type {Deciding} */ (deciding);
		const { item, grant } = now.proposal;
		const looked = names();
		/** @type {import("./vault.js").Approved} */
		const done = await during(call("approve", { item, grant, ...looked }));
		if (deciding !== now) {
			return;
		}
		now.proposal.waits = "key";
		if (done.key_problem === "found") {
			become(() => found(done, looked), { leave: close });
			return;
		}
		const waits = now.proposal.ask_first.length > 0;
		const said = done.key_written ? "k.approve.written" : done.key_there ? "k.approve.there" : waits ? "k.approve.asks" : done.key_problem ? "k.approve.unwritten" : "k.approve.key";
		become(() => over("k.approve.done", said, done.entry, done.key_problem ? press("k.key.do", () => write(looked)) : null), { leave: close });
	});
}

/** @param {{names?: string[], despite?: boolean}} how */
function write(how) {
	return act(async () => {
		const now = /** @type {Deciding} */ (deciding);
		const { item, grant } = now.proposal;
		/** @type {import("./vault.js").Key} */
		const done = await during(call("envelope", { item, grant, ...how }));
		if (deciding === now) {
			become(done.key_problem === "found" ? () => found(done, how) : () => over("k.key.done", "k.key.said", done.key_entry ?? 0), { leave: close });
		}
	});
}

/**
 * found says what the look through the item noticed. Nothing of it is repeated: each line says of what kind, where, and how often.
 * @param {import("./vault.js").Key} key
 * @param {{names?: string[]}} how
 */
function found(key, how) {
	const noticed = /** @type {import("./vault.js").Noticed} */ (key.noticed);
	const rest = [...noticed.unseen ?? [], ...noticed.unread ?? [], ...noticed.forms ?? []];
	return [
		heading(say("k.found")),
		el("p", { class: "lead" }, say("k.found.said")),
		el("ul", {}, noticed.identity ? el("li", {}, say("k.found.identity")) : null,
			...noticed.findings.map((f) => el("li", {}, say("k.found.line", { kind: say(`k.found.kind.${f.kind}`, { number: number(f.of ?? 0) }), where: f.where, number: number(f.count) }))),
			rest.length ? el("li", {}, say("k.found.rest", { where: rest.join(", ") })) : null),
		before("k.found.does", "k.approve.good"),
		buttons(press("k.found.go", () => write({ ...how, despite: true }), "primary"), press("later", () => go("/k"))),
	];
}

function refusing() {
	const refuse = () => act(async () => {
		const now = /** @type {Deciding} */ (deciding);
		const { item, grant } = now.proposal;
		const reason = typed("k.reason").trim();
		if (!reason) {
			amiss({ text: say("k.reason.missing"), field: "k.reason" });
			return;
		}
		const { entry } = await during(call("refuse", { item, grant, reason }));
		if (deciding === now) {
			become(() => over("k.refuse.done", "k.refuse.said", entry), { leave: close });
		}
	});
	const { proposal: p } = /** @type {Deciding} */ (deciding);
	return [
		heading(say("k.refuse.ask")),
		rows([[say("k.to"), country(p)], [say("k.goes"), what(p)]]),
		form(refuse, area("k.reason", "k.reason.hint"), before("k.refuse.does", "k.refuse.good"),
			buttons(el("button", { class: "primary" }, say("k.refuse")), press("k.back.share", () => become(decide, { leave: close })))),
	];
}
