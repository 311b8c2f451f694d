// What the page's programs share: a WebAssembly program runs in a Worker, and the browser starts none but ours.

/** What there is not, so that nothing can be done here: "wasm", "verifier" or "client". */
export class Missing extends Error {}

const ours = ["./worker.js", "./client.worker.js"].map((name) => new URL(name, import.meta.url).href);

const policy = globalThis.trustedTypes?.createPolicy("strongroom", {
	/** @param {string} url */
	createScriptURL(url) {
		if (url.startsWith("blob:") || ours.includes(url)) {
			return url;
		}
		throw new TypeError("no such script");
	},
});

/**
 * script is the address of a Worker, as the browser takes it.
 * @param {string} url
 */
export function script(url) {
	return /** @type {any} */ (policy ? policy.createScriptURL(url) : url);
}
