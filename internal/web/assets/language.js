import { words } from "./words.js";

// The language of the page, and its words (folder words). A text has places for what stands in it: names in braces.

/** @type {string} */
let tag = "en";

/** Its languages, with their own names. */
export const languages = { en: "English", fr: "Français", es: "Español", ar: "العربية", uk: "Українська" };

export function language() {
	return tag;
}

/** @param {string} wanted */
export function speak(wanted) {
	tag = wanted in words ? wanted : "en";
	document.documentElement.lang = tag;
	document.documentElement.dir = tag === "ar" ? "rtl" : "ltr";
}

/** The language of the address (#ar), else the first one of the browser's that there is. */
export function preferred() {
	const asked = location.hash.slice(1);
	if (asked in words) {
		return asked;
	}
	return navigator.languages.map((l) => l.split("-")[0]).find((l) => l in words) ?? "en";
}

/**
 * @param {string} id
 * @param {Record<string, string>} [places]
 * @returns {string}
 */
export function say(id, places = {}) {
	const text = words[tag][id] ?? words.en[id] ?? id;
	return text.replace(/\{([a-z]+)\}/g, (place, name) => (name in places ? isolated(places[name]) : place));
}

/** @param {string} text what must not turn the words around it, where they run from right to left */
function isolated(text) {
	return tag === "ar" ? `\u2068${text}\u2069` : text;
}

const units = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"];

/** @param {number} bytes */
export function size(bytes) {
	let n = bytes, unit = 0;
	for (; n >= 1000 && unit < units.length - 1; n /= 1000) {
		unit++;
	}
	return number(n, { style: "unit", unit: units[unit], unitDisplay: unit ? "short" : "long", maximumFractionDigits: unit ? 1 : 0 });
}

/**
 * @param {number} n
 * @param {Intl.NumberFormatOptions} [format]
 */
export function number(n, format = {}) {
	return new Intl.NumberFormat(`${tag}-u-nu-latn`, format).format(n);
}
