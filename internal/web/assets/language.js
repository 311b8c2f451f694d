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
	return asked() ?? navigator.languages.map((l) => l.split("-")[0]).find((l) => l in words) ?? "en";
}

/** asked is the language that the address names, which may stand beside something else there. */
export function asked() {
	return location.hash.slice(1).split("&").find((part) => part in words);
}

/** has tells whether there are words of this id. @param {string} id */
export function has(id) {
	return id in words.en;
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

/** isolated is what must not turn the words around it, where they run from right to left. @param {string} text */
export function isolated(text) {
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

/**
 * moment is a time in the Gregorian calendar, with its month in words and its zone said, as in the reports.
 * @param {string} time
 */
export function moment(time) {
	const format = new Intl.DateTimeFormat(`${tag === "en" ? "en-GB" : tag}-u-nu-latn-ca-gregory`, { day: "numeric", month: "long", year: "numeric", hour: "2-digit", minute: "2-digit",
		hourCycle: "h23", timeZone: "UTC", timeZoneName: "short" });
	return format.format(new Date(time));
}
