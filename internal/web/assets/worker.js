import "./wasm_exec.js";

// The verifier's own thread. The files stay where they are: the program reads them piece by piece from this computer, and nothing else.

/** @type {Promise<unknown>} */
let ready;

/** @param {ArrayBuffer} program */
async function start(program) {
	const go = new Go();
	const { instance } = await WebAssembly.instantiate(program, go.importObject);
	go.run(instance).finally(() => postMessage({ end: true }));
	strongroomVerify({ program: new Uint8Array(program) });
}

onmessage = async ({ data }) => {
	try {
		if (data.program) {
			ready = start(data.program);
			await ready;
			postMessage({ ready: true });
			return;
		}
		await ready;
		const answer = strongroomVerify(data, (read, all) => postMessage({ id: data.id, read, all }));
		postMessage({ id: data.id, answer: JSON.parse(answer) });
	} catch (fault) {
		console.error(fault);
		postMessage({ id: data.id, end: true });
	}
};
