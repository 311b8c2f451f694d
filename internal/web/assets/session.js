import { Problem, Vault } from "./vault.js";

// What this page knows of the device and of who uses it: the client in its Worker, and nothing that it holds. Whoever locks ends the Worker, so
// that keys and what they opened are gone with its memory.

/** @type {{known: boolean, unlocked: boolean, actor: string, vault: string, number: string, me: import("./vault.js").Me | null}} */
export const session = { known: false, unlocked: false, actor: "", vault: "", number: "", me: null };

/** @type {Promise<Vault> | undefined} */
let begun;

/** begin starts the client, once, and asks what this device holds. */
export async function begin() {
	begun ??= start();
	begun.catch(() => (begun = undefined)); // the next one starts again
	await begun;
}

async function start() {
	const vault = await Vault.start();
	/** @type {import("./vault.js").State} */
	const state = await vault.call("state");
	Object.assign(session, { known: state.known, unlocked: state.unlocked, actor: state.actor ?? "", vault: state.vault ?? "", number: state.vault_number ?? "" });
	return vault;
}

/** Questions to the vault: nothing is lost with them when the connection stops. What signs goes on by itself once there is one again. */
const questions = ["terms", "me", "book", "shares", "history", "proposals", "weigh", "people"];

/** What this device does by itself. */
const own = ["state", "unlock", "lock", "recovery"];

/**
 * call asks the client. Without a connection it says so at once: Problem "network", or "connection" if something may have been recorded.
 * @param {string} name
 * @param {Record<string, any>} [params]
 * @param {{progress?: (done: number, all: number, step: string) => void, signal?: AbortSignal}} [options]
 * @returns {Promise<any>}
 */
export async function call(name, params = {}, options) {
	await begin();
	const vault = /** @type {Vault} */ (await begun);
	if (own.includes(name)) {
		return vault.call(name, params, options);
	}
	if (!navigator.onLine) {
		throw new Problem({ kind: "network", reason: "network" });
	}
	const lost = new AbortController();
	const stop = () => lost.abort();
	const question = questions.includes(name);
	addEventListener("offline", stop);
	try {
		return await vault.call(name, params, question ? { signal: lost.signal } : options);
	} catch (fault) {
		if (question && lost.signal.aborted) {
			throw new Problem({ kind: "network", reason: "network" });
		}
		if (!question && fault instanceof Problem && fault.kind === "network") {
			throw new Problem({ kind: "network", reason: "connection" });
		}
		throw fault;
	} finally {
		removeEventListener("offline", stop);
	}
}

/** lock forgets who one is. */
export async function lock() {
	const before = begun;
	begun = undefined;
	Object.assign(session, { unlocked: false, me: null });
	try {
		const vault = await before;
		// The vault is told too, if it can be reached at once.
		await Promise.race([vault?.call("lock", {}), new Promise((done) => setTimeout(done, 1000))]);
	} catch {
		// what cannot be told ends with its Worker
	} finally {
		(await before?.catch(() => undefined))?.stop();
	}
}
