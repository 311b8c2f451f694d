// What pages are made of. Text is only ever text: nothing here parses markup, so nothing that a package says can become any.

/**
 * @param {string} name
 * @param {Record<string, any>} [attributes] functions listen to the event of that name; null and false leave the attribute out
 * @param {...(Node|string|null)} children
 * @returns {HTMLElement}
 */
export function el(name, attributes = {}, ...children) {
	const element = document.createElement(name);
	for (const [key, value] of Object.entries(attributes)) {
		if (typeof value === "function") {
			element.addEventListener(key, value);
		} else if (value !== null && value !== false) {
			element.setAttribute(key, value === true ? "" : String(value));
		}
	}
	element.append(...children.filter((child) => child !== null));
	return element;
}

/**
 * fixed is what reads from left to right in every language: a number, a name, a digest.
 * @param {string} text
 */
export function fixed(text) {
	return el("bdi", { dir: "ltr" }, text);
}

const shapes = {
	verified: ["M4 12.5l5 5L20 6.5"],
	incomplete: ["M12 5v9", "M12 18.2v.6"],
	refused: ["M6 6l12 12", "M18 6L6 18"],
};

/**
 * icon stands beside a word that says the same.
 * @param {keyof typeof shapes} shape
 */
export function icon(shape) {
	const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
	svg.setAttribute("viewBox", "0 0 24 24");
	svg.setAttribute("aria-hidden", "true");
	svg.setAttribute("class", "icon");
	for (const d of shapes[shape]) {
		const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
		path.setAttribute("d", d);
		svg.append(path);
	}
	return svg;
}
