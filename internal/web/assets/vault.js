import { Missing, script } from "./program.js";

// The client of the vault, in its Worker. This module knows no key and no secret; a passphrase passes through it. Whatever is asked, a problem
// says in codes why it was not done, and repeats nothing.

// What calls answer. Times are RFC 3339 in UTC; ids, codes and digests are text; sizes are bytes; entries are places in the record book. What may
// be absent has a question mark.

/** @typedef {{known: boolean, actor?: string, vault?: string, vault_number?: string, role?: string, unlocked: boolean, persisted: boolean}} State
 * what this device holds; persisted: the browser keeps it when it is short of space. state {} */
/** @typedef {{vault: string, vault_number: string, role: string, organization?: string, documents_only: boolean, rotation: boolean, until: string}} Terms
 * terms {code}: what an invitation is for, and the number of the vault's trust file, which join then pins */
/** @typedef {{actor: string, key_number: string, recovery?: Recovery, persisted: boolean}} Joined
 * join {code, passphrase}, after terms {code}; roles that open nothing have no recovery file */
/** @typedef {{name: string, text: string}} Recovery recovery {}: the age identity under the passphrase, as stock age reads it */
/** @typedef {{actor: string, role: string, organization?: string, organization_name?: string, state: "waiting"|"pending"|"active"|"suspended"|"revoked",
 *   key_number: string, confirmed: boolean}} Me
 * me {}; "waiting": the vault does not know this key, or nobody has confirmed it yet */
/** @typedef {{size: number, final: boolean, waiting: number, confirmed: number, at: string, witnesses?: {have: number, need: number, alarm?: boolean}}} Book
 * book {}: entries that were verified here, and of these those that everybody whom the trust file names has confirmed */
/** @typedef {{actions: ("view"|"download")[], consent: {id: string, version: number}[], cooling_off?: string, expires: string, id: string, item: string,
 *   jurisdiction: string, legal_basis: string, not_before: string, onward: boolean, purpose: string,
 *   recipient: {actor: string, fingerprint: string}, recipient_class: string}} Grant the terms of a share, as they were signed */
/** @typedef {{item: string, grant: string, exhibit?: number, class: string, content: string, size: number, organization: string, organization_name?: string,
 *   state: "pending"|"active"|"refused"|"revoked"|"expired", ready: boolean, terms: Grant, purpose: string, until: string, proposed?: string, approved?: string,
 *   redeemed?: string, acknowledged?: string, unequal?: boolean}} Share
 * shares {} → Share[]; ready: it can be opened now (it runs, and the recipient's key is written); the times are the last of their kind */
/** @typedef {{name: string, text?: string, unread?: string, persons?: Record<string, string>}} Note
 * of "pseudonym": by which names the persons concerned are known, by consent */
/** @typedef {{name: string, type: string, size: number, sha256: string, entry: number, notes: Note[], terms: Grant, copied: boolean, file: Blob}} Opened
 * redeem {item, grant}; name and type are what the depositor wrote; the Blob has no type. copy {item, grant} → Entry: before it is kept as a file,
 * unless it is copied already */
/** @typedef {{entry: number, equal: boolean}} Acknowledged
 * acknowledge {item, grant, sha256, unequal?}: the digest of the copy that is kept; one that differs is conflict "copy_differs" without unequal: true */
/** @typedef {{name: string, size: number, nonce: string, entry: number, acknowledged: boolean, file: Blob}} Exported export {item, grant, nonce?, language?} */
/** @typedef {{step: number, time?: string, who?: string, me?: boolean, role?: string, organization?: string, organization_name?: string, kind?: string,
 *   purpose?: string, change?: string, grant?: string, export?: "package"|"print"|"copy", entry: number, proof: "recorded"|"witnessed", withheld_until?: string}} Step
 * history {item} → Step[]; of a step that is withheld there is its place, its entry and until when */
/** @typedef {Share & {case: string, title?: string, proposed_by: string, own: boolean, holds: boolean, key_number: string, waits: "decision"|"key",
 *   items_stay: number, compared: {method: string, time: string, by: string} | null, ask_first: string[]}} Proposal
 * proposals {} → Proposal[]: what waits for a second person or for the recipient's key; key_number is the recipient's */
/** @typedef {{findings: {kind: string, where: string, count: number, of?: number}[], identity: boolean, named: number, unseen?: string[], unread?: string[],
 *   forms?: string[]}} Noticed what was found in an item before it goes; named: how many names were looked for */
/** @typedef {{key_written: boolean, key_entry?: number, key_problem?: string, noticed?: Noticed}} Key
 * envelope {item, grant, names?, despite?}: key_problem "found" until despite: true lets go what was noticed */
/** @typedef {{entry: number, key_there?: boolean} & Key} Approved
 * approve {item, grant, names?, despite?}: the key is written too if this person can; key_there: the recipient has one by another share of the item */
/** @typedef {{entry: number}} Entry refuse {item, grant, reason} */

/** @typedef {{actor: string, role: string, organization?: string, organization_name?: string, me?: boolean}} Person */
/** @typedef {{recipient: Person, proposed_by: Person, has_reason: boolean, no: string[], consents: {id: string, version: number}[], hold?: string, decided: boolean,
 *   refused: {grant: string, time: string, by: Person, reason?: string}[]}} Decision
 * weigh {item, grant}: what stands beside the terms of a share; no: kinds of content among the case's other items to which the answer is no; decided: a
 * custodian has approved it. why {item, grant} → {text?, unread?}: the reason of a proposal, which opens the item.
 * propose {item, to, actions, purpose, jurisdiction, legal_basis, onward?, until, reason?} → Entry & {grant} */
/** @typedef {Person & {invitation: string, documents_only: boolean, rotation: boolean, until: string, state: "unanswered"|"answered"|"admitted"}} Invitation */
/** @typedef {Person & {documents_only: boolean, key_number: string, rotation: boolean, admitted: string, admitted_by: Person}} Newcomer
 * whose keys wait until another person than admitted_by has compared their number; rotation: new keys of somebody who was confirmed before */
/** @typedef {{kind: string, item?: string, case?: string, actor?: string, since?: string, due?: string, done?: string, until?: string, late?: boolean, entry?: number,
 *   why?: string, behind?: number, ahead?: number, against?: number}} Finding behind and ahead are nanoseconds */
/** @typedef {{kind: string, by: string, role: string, of?: string, for?: string, detail?: string, until?: string, time: string, entry: number}} Act */
/** @typedef {{items: number, compared: {right: number, late: number, missing: number, different: number}, findings: Finding[], acts: Act[], backwards: number,
 *   as_of: string, people: Person[]}} Audit
 * audit {}: what stands out of all histories, ten openings and shares picked at random, and every act on the vault and its people; backwards is nanoseconds */
/** @typedef {{invitations: Invitation[], newcomers: Newcomer[], organizations: {organization: string, name?: string, roles: string[]}[]}} People
 * people {}: this person's open invitations, and everybody's keys that wait. admit {invitation, cause?} → Entry & {actor}; cause is of new keys;
 * confirm {actor, key_number, heard, method} → Entry: heard are two groups or more, by their place from 1, as they were typed; reject {actor} → Entry */
/** @typedef {{code: string, invitation: string, organization?: string, organization_name?: string, role?: string, documents_only?: boolean, until?: string}} Invited
 * invite {role, organization?, documents_only?} or {rotation}: the code is kept nowhere */

/** Why something was not done, in codes. Of an alarm, stream names the record that it is about. */
export class Problem extends Error {
	/** @param {{kind: string, reason: string, stream?: string}} said */
	constructor({ kind, reason, stream }) {
		super(`${kind}: ${reason}`);
		this.kind = kind;
		this.reason = reason;
		this.stream = stream;
	}
}

const ended = { kind: "internal", reason: "ended" };

/** The client, from its start until it is stopped. */
export class Vault {
	/** @type {Map<number, {resolve: (answer: any) => void, reject: (why: Problem) => void, progress?: (done: number, all: number, step: string) => void}>} */
	#waiting = new Map();
	#last = 0;
	#over = false;
	#worker;

	/** @param {Worker} worker */
	constructor(worker) {
		this.#worker = worker;
	}

	/**
	 * start begins a client: Missing "wasm" or "client" if there can be none here, Problem "network" if it did not arrive.
	 * @returns {Promise<Vault>}
	 */
	static async start() {
		// Without any of these the keys could not be kept, or not be kept apart from other tabs.
		if (typeof WebAssembly !== "object" || typeof Worker !== "function" || !isSecureContext || !navigator.locks || !navigator.storage?.getDirectory) {
			throw new Missing("wasm");
		}
		const worker = new Worker(script(new URL("./client.worker.js", import.meta.url).href), { type: "module" });
		const vault = new Vault(worker);
		await new Promise((resolve, reject) => {
			worker.onerror = (event) => {
				event.preventDefault();
				vault.stop();
				reject(new Missing("wasm"));
			};
			worker.onmessage = ({ data }) => {
				if (data.ready) {
					resolve(undefined);
				} else if (data.end) {
					vault.stop();
					reject(new Problem(ended));
				} else if (data.id) {
					vault.#hear(data);
				} else {
					vault.stop();
					reject(data.missing ? new Missing(data.missing) : new Problem(data.problem));
				}
			};
			worker.postMessage({ start: true });
		});
		return vault;
	}

	/** @param {{id: number, answer?: any, problem?: {kind: string, reason: string}, step: string, done: number, all: number}} data */
	#hear({ id, answer, problem, step, done, all }) {
		const asked = this.#waiting.get(id);
		if (problem) {
			this.#waiting.delete(id);
			asked?.reject(new Problem(problem));
		} else if (answer !== undefined) {
			this.#waiting.delete(id);
			asked?.resolve(answer);
		} else {
			asked?.progress?.(done, all, step);
		}
	}

	/**
	 * call asks the client. The signal stops it: Problem "interrupted". What was signed by then is signed.
	 * @param {string} name
	 * @param {Record<string, any>} [params]
	 * @param {{progress?: (done: number, all: number, step: string) => void, signal?: AbortSignal}} [options]
	 * @returns {Promise<any>}
	 */
	async call(name, params = {}, { progress, signal } = {}) {
		// Only a page can ask for that, and a browser may ask the person: it belongs to the moment at which keys are made.
		const kept = name === "join" ? navigator.storage.persist().catch(() => false) : undefined;
		const answer = await this.#ask(name, params, progress, signal);
		return kept ? { ...answer, persisted: await kept } : answer;
	}

	/**
	 * @param {string} name
	 * @param {Record<string, any>} params
	 * @param {((done: number, all: number, step: string) => void) | undefined} progress
	 * @param {AbortSignal | undefined} signal
	 * @returns {Promise<any>}
	 */
	#ask(name, params, progress, signal) {
		if (this.#over) {
			return Promise.reject(new Problem(ended));
		}
		const id = ++this.#last;
		const stop = () => this.#worker.postMessage({ stop: id });
		const answer = new Promise((resolve, reject) => {
			this.#waiting.set(id, { resolve, reject, progress });
			this.#worker.postMessage({ id, name, params });
			signal?.addEventListener("abort", stop);
			if (signal?.aborted) {
				stop();
			}
		});
		return answer.finally(() => signal?.removeEventListener("abort", stop));
	}

	/** stop ends the client. Keys and what they opened are gone with its memory; what this device keeps stays. */
	stop() {
		this.#over = true;
		this.#worker.terminate();
		for (const { reject } of this.#waiting.values()) {
			reject(new Problem(ended));
		}
		this.#waiting.clear();
	}
}
