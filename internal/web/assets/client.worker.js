import "./wasm_exec.js";

// The client's own thread: keys are made and used here, and nowhere else. What it opens goes to the page and is not kept.

/** @type {Promise<void>} */
let ready;

/** What goes on, so that it can be stopped. @type {Map<number, AbortController>} */
const running = new Map();

async function start() {
	const answer = await fetch(new URL("./client.wasm", import.meta.url)).catch(() => undefined);
	if (!answer || (!answer.ok && answer.status !== 404)) {
		throw { kind: "network", reason: "network" };
	}
	if (answer.status === 404) {
		throw { missing: "client" };
	}
	const bytes = await answer.arrayBuffer();
	const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)); // what it signs names the program
	const go = new Go();
	go.argv = ["strongroom-web", Array.from(digest, (b) => b.toString(16).padStart(2, "0")).join("")];
	const { instance } = await WebAssembly.instantiate(bytes, go.importObject).catch(() => {
		throw { missing: "wasm" };
	});
	go.run(instance).finally(() => postMessage({ end: true }));
}

/** @param {any} fault */
function problem(fault) {
	return typeof fault?.kind === "string" ? fault : { kind: "internal", reason: "ended" };
}

onmessage = async ({ data }) => {
	if (data.start) {
		try {
			await (ready = start());
			postMessage({ ready: true });
		} catch (fault) {
			postMessage({ missing: /** @type {any} */ (fault)?.missing, problem: problem(fault) });
		}
		return;
	}
	if (data.stop) {
		running.get(data.stop)?.abort();
		return;
	}
	const { id, name, params } = data;
	const ending = new AbortController();
	running.set(id, ending);
	try {
		await ready;
		const { text, file } = await strongroomCall(name, JSON.stringify(params), (step, done, all) => postMessage({ id, step, done, all }), ending.signal);
		const answer = JSON.parse(text);
		postMessage({ id, answer: file ? { ...answer, file } : answer });
	} catch (fault) {
		postMessage({ id, problem: problem(fault) });
	} finally {
		running.delete(id);
	}
};
