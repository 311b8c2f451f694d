import { Missing, script } from "./program.js";

// The verifier: a WebAssembly program in a Worker. On a served page both are files beside this one; in the single file they stand in the
// page, which then needs nothing from anywhere.

/** @param {string} id */
function inlined(id) {
	return document.getElementById(id)?.textContent;
}

/** @returns {Promise<ArrayBuffer>} */
async function program() {
	const packed = inlined("program");
	if (packed) {
		const bytes = Uint8Array.from(atob(packed.trim()), (c) => c.charCodeAt(0));
		return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
	}
	const answer = await fetch(new URL("./verify.wasm", import.meta.url));
	if (answer.status === 404) {
		throw new Missing("verifier");
	}
	if (!answer.ok) {
		throw new Error("no answer");
	}
	return answer.arrayBuffer();
}

function makeWorker() {
	const text = inlined("worker");
	if (!text) {
		return new Worker(script(new URL("./worker.js", import.meta.url).href), { type: "module" });
	}
	const url = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
	return new Worker(script(url));
}

/** @type {Promise<ArrayBuffer> | undefined} */
let loaded;

/** One verifier, from its start until it is stopped. */
export class Engine {
	/** @type {Map<number, {resolve: (answer: any) => void, reject: (why: Error) => void, progress?: (read: number, all: number) => void}>} */
	#waiting = new Map();
	#last = 0;
	/** @type {Worker | undefined} */
	#worker;
	/** @type {Promise<void>} */
	ready;

	constructor() {
		this.ready = this.#start();
		this.ready.catch(() => {}); // who asks is told
	}

	async #start() {
		if (typeof WebAssembly !== "object" || typeof Worker !== "function" || typeof DecompressionStream !== "function") {
			throw new Missing("wasm");
		}
		loaded ??= program();
		loaded.catch(() => (loaded = undefined)); // the next one asks again
		const bytes = await loaded;
		if (!(await WebAssembly.validate(bytes.slice(0, 8)))) {
			throw new Missing("wasm");
		}
		await new Promise((resolve, reject) => {
			const worker = (this.#worker = makeWorker());
			worker.onerror = (event) => {
				event.preventDefault();
				this.#fail();
				reject(new Missing("wasm"));
			};
			worker.onmessage = ({ data }) => {
				if (data.ready) {
					resolve(undefined);
				} else if (data.end) {
					this.#fail();
					reject(new Missing("wasm"));
				} else {
					this.#hear(data);
				}
			};
			worker.postMessage({ program: bytes });
		});
	}

	/** @param {{id: number, answer?: any, read: number, all: number}} data */
	#hear(data) {
		const asked = this.#waiting.get(data.id);
		if (!data.answer) {
			asked?.progress?.(data.read, data.all);
			return;
		}
		this.#waiting.delete(data.id);
		asked?.resolve(data.answer);
	}

	#fail() {
		for (const { reject } of this.#waiting.values()) {
			reject(new Error("the program ended"));
		}
		this.#waiting.clear();
	}

	/**
	 * ask verifies a package, or says the last report again in another language.
	 * @param {Record<string, any>} request
	 * @param {(read: number, all: number) => void} [progress]
	 * @returns {Promise<any>}
	 */
	async ask(request, progress) {
		await this.ready;
		const id = ++this.#last;
		return new Promise((resolve, reject) => {
			this.#waiting.set(id, { resolve, reject, progress });
			/** @type {Worker} */ (this.#worker).postMessage({ ...request, id });
		});
	}

	stop() {
		this.#worker?.terminate();
		this.#fail();
	}
}
