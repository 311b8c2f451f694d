import { el, fixed } from "./dom.js";
import { say } from "./language.js";

/**
 * built names the program that the page runs, for who compares it with the record book's.
 * @param {string | undefined} digest
 */
export function built(digest) {
	return digest ? el("p", { class: "page build" }, say("build"), " ", fixed(digest)) : null;
}
