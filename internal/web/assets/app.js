import { asked, language, preferred, speak } from "./language.js";
import { review } from "./auditor.js";
import { shares, share } from "./court.js";
import { inbox, share as decision } from "./custodian.js";
import { invitation, join } from "./join.js";
import { invite, person } from "./people.js";
import { Missing } from "./program.js";
import { begin, call, session } from "./session.js";
import { become, frame, guard, now, routes, tell, waiting } from "./shell.js";
import { about, failed, lost, missing, nobody, nowhere, unlock, waits, welcome } from "./welcome.js";

// The application: which page belongs to which address, and who may see it. The server sends the same file for all of them.

/** @typedef {import("./shell.js").View} View */
/** @typedef {import("./shell.js").Page} Page */

/** Roles from outside, for whom the pages of the court are. */
const outside = ["court", "prosecutor", "police", "defence"];

/** Pages for everybody: nothing is known of who asks. @type {Record<string, () => View | Promise<View>>} */
const open = { "/lost": lost, "/about": about };

/** Pages for who has unlocked and is confirmed. @type {Record<string, {roles: string[], page: () => Promise<Page>}>} */
const inside = {
	"/court": { roles: outside, page: shares }, "/court/view": { roles: outside, page: share },
	"/k": { roles: ["custodian"], page: inbox }, "/k/share": { roles: ["custodian"], page: decision },
	"/k/key": { roles: ["custodian", "administrator"], page: person }, "/k/invite": { roles: ["custodian", "administrator"], page: invite },
	"/m": { roles: ["administrator"], page: inbox }, "/a": { roles: ["auditor"], page: review },
};

/** Where who has unlocked begins. @type {Record<string, string>} */
const homes = { ...Object.fromEntries(outside.map((role) => [role, "/court"])), custodian: "/k", administrator: "/m", auditor: "/a" };

/** Counts what was asked for: only the last one is shown. */
let wanted = 0;

async function route() {
	frame();
	const mine = ++wanted, before = now();
	/** @type {Page} */
	let next;
	try {
		next = await waiting(page());
	} catch (fault) {
		next = { view: fault instanceof Missing ? missing(fault.message) : failed(fault) };
	}
	if (wanted === mine && now() === before) {
		frame();
		become(next.view, { leave: next.leave });
	}
}

/** @returns {Promise<Page>} */
async function page() {
	const path = location.pathname;
	if (open[path]) {
		return { view: await open[path]() };
	}
	await begin();
	if (path === "/join") {
		return { view: await join() };
	}
	if (!session.known) {
		history.replaceState(null, "", `/${location.hash}`);
		return { view: welcome() };
	}
	if (!session.unlocked) {
		return { view: unlock() };
	}
	session.me ??= await call("me");
	if (!session.me?.confirmed) {
		return waits();
	}
	look();
	const home = homes[session.me.role];
	if (path === "/" && home) {
		history.replaceState(null, "", home + location.hash);
		return inside[home].page();
	}
	const own = inside[path];
	if (path === "/") {
		return { view: nobody() };
	}
	return own?.roles.includes(session.me.role) ? own.page() : { view: nowhere() };
}

/** look asks for the state of the record book. What cannot be asked is asked again with the next page. */
async function look() {
	try {
		tell(await call("book"));
	} catch (fault) {
		if (/** @type {{reason?: string}} */ (fault).reason === "network") {
			tell(null);
		}
	}
}

/** How often an open page asks for the state of the record book. */
const often = 60_000;

invitation(); // before anything else: the code leaves the address
speak(preferred());
routes(route);
guard();
addEventListener("popstate", () => {
	invitation();
	speak(asked() ?? language());
	route();
});
setInterval(() => session.unlocked && session.me?.confirmed && document.visibilityState === "visible" && look(), often);
route();
