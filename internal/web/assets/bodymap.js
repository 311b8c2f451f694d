import { el, fixed } from "./dom.js";
import { figures } from "./figures.js";

// The body maps (INTERFACE W3): a figure, a list of regions and a table of marks, equal in what they can do. Where a mark stands is a part of
// the figure's width and height; neither figure nor mark is ever mirrored, whatever the language.

/**
 * Mark is a mark of a clinical record (api/forms): an unfinished one has less.
 * @typedef {{number?: number, map?: string, x?: number, y?: number, path?: {x: number, y: number}[], type?: string, site?: string, side?: string, length_mm?: number,
 *   width_mm?: number, depth_mm?: number, shape?: string, colour?: string, photos?: string[], consented?: boolean}} Mark
 * @typedef {(id: string, places?: Record<string, string>) => string} Say
 * @typedef {import("./figures.js").Figure} Figure
 * @typedef {import("./figures.js").View} View
 * @typedef {import("./figures.js").Region} Region
 */

const maps = ["anterior", "posterior", "left", "right", "head", "hands", "feet", "genital"];
const mapWords = { anterior: "body_map_anterior", posterior: "body_map_posterior", left: "body_map_left", right: "body_map_right", head: "body_map_head", hands: "body_map_hands",
	feet: "body_map_feet", genital: "body_map_genital" };
const sideWords = { left: "body_side_left", right: "body_side_right", middle: "body_side_middle", both: "body_side_both" };
const kinds = ["body_type_bruise", "body_type_graze", "body_type_cut", "body_type_burn", "body_type_scar", "body_type_swelling", "body_type_bite", "body_type_bound"];
const measures = /** @type {const} */ ([["length_mm", "body_length", 2500], ["width_mm", "body_width", 2500], ["depth_mm", "body_depth", 500]]);
const most = 500; // marks, and the highest number of one
const longest = 300; // characters of a short text
const arrows = /** @type {Record<string, [number, number]>} */ ({ ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] });

export class BodyMap {
	#say; #language; #changed; #genital;
	/** @type {Mark[]} */ #marks;
	#map = maps[0];
	/** Which region is chosen on each map. @type {Map<string, string>} */ #chosen = new Map();
	/**
	 * What is being written: a mark, the entry of the list that it will replace (-1 for none), the name that its place gave it, and what was typed as it was typed.
	 * @type {{mark: Mark, at: number, given: string, typed: Record<string, string>} | null}
	 */
	#draft = null;
	/** @type {{mark: Mark, at: number} | null} */ #removed = null;
	/** @type {Map<string, string>} */ #wrong = new Map();
	#tabs = el("div", { class: "bodymap-tabs", role: "tablist" });
	#panel = el("div", { class: "bodymap-panel", role: "tabpanel", id: "bodymap-panel" });
	#editor = el("div");
	#list = el("div");
	#status = el("p", { class: "bodymap-status", role: "status" });
	#undo = el("div", { class: "buttons" });

	/**
	 * @param {{marks: Mark[], genital: boolean, say: Say, language: string, changed: (marks: Mark[]) => void}} options genital: whether the person said yes to the
	 *   genital map; changed is told of every change of the list
	 */
	constructor({ marks, genital, say, language, changed }) {
		this.#say = say;
		this.#language = language === "en" ? "en-GB" : language;
		this.#changed = changed;
		this.#genital = genital;
		this.#marks = structuredClone(marks);
		this.#tabs.setAttribute("aria-label", say("body_maps"));
		this.element = el("section", { class: "bodymap", "aria-label": say("body_maps") }, this.#tabs, this.#panel, this.#status, this.#undo, this.#editor, this.#list);
		this.#drawAll();
	}

	/** The list as it is, in the form of the record. */
	get marks() {
		return structuredClone(this.#marks);
	}

	set marks(list) {
		this.#marks = structuredClone(list);
		this.#draft = this.#removed = null;
		this.#drawAll();
	}

	/** The answer about the genital map may change while the page is open. Its marks are kept and not shown without it. @param {boolean} yes */
	set genital(yes) {
		this.#genital = yes;
		if (!yes && this.#map === "genital") {
			this.#map = maps[0];
		}
		if (!yes && this.#draft?.mark.map === "genital") {
			this.#draft = null;
		}
		this.#drawAll();
	}

	#drawAll() {
		this.#drawTabs();
		this.#drawPanel();
		this.#drawEditor();
		this.#drawList();
		this.#drawUndo();
	}

	/** @param {string} map */
	#shown(map) {
		return map !== "genital" || this.#genital;
	}

	#drawTabs() {
		const shown = maps.filter((m) => this.#shown(m));
		const tabs = shown.map((map) => el("button", {
			type: "button", role: "tab", id: `bodymap-tab-${map}`, "aria-controls": "bodymap-panel", "aria-selected": String(map === this.#map), tabindex: map === this.#map ? "0" : "-1",
			click: () => this.#turn(map),
		}, this.#mapName(map)));
		this.#tabs.replaceChildren(...tabs);
		this.#tabs.onkeydown = (e) => {
			const forward = getComputedStyle(this.#tabs).direction === "rtl" ? -1 : 1;
			const by = { ArrowRight: forward, ArrowLeft: -forward, Home: -shown.indexOf(this.#map), End: -1 - shown.indexOf(this.#map) }[e.key];
			if (by !== undefined) {
				e.preventDefault();
				this.#turn(/** @type {string} */ (shown.at((shown.indexOf(this.#map) + by) % shown.length)));
				document.getElementById(`bodymap-tab-${this.#map}`)?.focus();
			}
		};
	}

	/** @param {string} map */
	#turn(map) {
		this.#map = map;
		for (const tab of this.#tabs.children) {
			const chosen = tab.id === `bodymap-tab-${map}`;
			tab.setAttribute("aria-selected", String(chosen));
			tab.setAttribute("tabindex", chosen ? "0" : "-1");
		}
		this.#drawPanel();
	}

	/** @param {string} map */
	#mapName(map) {
		return map in mapWords ? this.#say(mapWords[/** @type {keyof typeof mapWords} */ (map)]) : map;
	}

	#drawPanel() {
		const say = this.#say, figure = figures[this.#map];
		const map = this.#map, select = /** @type {HTMLSelectElement} */ (el("select", { id: "bodymap-region", change: () => this.#chosen.set(map, select.value) }, ...figure.views.map((view) => {
			const options = view.regions.map((r) => el("option", { value: `${view.id} ${r.id}` }, say(r.name)));
			return figure.views.length > 1 ? el("optgroup", { label: say(view.name) }, ...options) : options;
		}).flat()));
		select.value = this.#chosen.get(map) ?? select.value;
		this.#panel.setAttribute("aria-labelledby", `bodymap-tab-${this.#map}`);
		this.#panel.replaceChildren(
			el("p", { class: "hint" }, say("body_hint")),
			this.#figure(figure),
			el("div", { class: "bodymap-add" },
				el("label", { for: "bodymap-region" }, say("body_region")), select,
				el("button", { type: "button", click: () => this.#addIn(select.value) }, say("body_add"))),
			...(this.#genital ? [] : [el("p", { class: "hint" }, say("body_closed"))]));
	}

	/** The views of a figure, each as large as there is room, left to right in every language. @param {Figure} figure */
	#figure(figure) {
		const say = this.#say, several = figure.views.length > 1;
		return el("div", { class: several ? "bodymap-figure several" : "bodymap-figure", dir: "ltr", role: "group", "aria-label": this.#mapName(this.#map) }, ...figure.views.map((view) => {
			const picture = svg("svg", { viewBox: view.box.join(" "), "aria-hidden": "true", focusable: "false" });
			for (const [list, name] of /** @type {[string[], string][]} */ ([[view.outline, "outline"], [view.lines, "line"], [view.guides, "guide"]])) {
				list.forEach((d) => picture.append(svg("path", { class: name, d })));
			}
			const here = this.#here().filter(placed).filter((m) => viewOf(m, figure) === view);
			for (const mark of here) {
				if (mark.path?.length) {
					picture.append(svg("polygon", { class: "traced", "data-number": String(mark.number), points: traced(mark, figure) }));
				}
			}
			const [first, last] = view.side === "facing" ? ["body_right", "body_left"] : ["body_left", "body_right"];
			/** @param {string} name @param {string} text */
			const label = (name, text) => el("span", { class: name }, el("bdi", {}, text));
			return el("div", { class: "bodymap-view", "data-view": view.id },
				several ? el("p", { class: "bodymap-title" }, el("bdi", {}, say(view.name))) : null,
				view.side === "facing" || view.side === "away" ? el("p", { class: "bodymap-sides" }, label("first", say(first)), label("last", say(last)))
					: several ? null : el("p", { class: "bodymap-sides" }, label("only", say(view.side === "left" ? "body_left" : "body_right"))), // one of several names its side
				el("div", { class: "bodymap-picture", click: (/** @type {MouseEvent} */ e) => this.#tapped(e, view, picture) }, picture, ...here.map((m) => this.#button(m))));
		}));
	}

	/** The marks on this map, with what is being written in its place. */
	#here() {
		const list = this.#marks.map((m, i) => (this.#draft?.at === i ? this.#draft.mark : m));
		return (this.#draft?.at === -1 ? [...list, this.#draft.mark] : list).filter((m) => m.map === this.#map);
	}

	/** @param {Mark & {x: number, y: number}} mark */
	#button(mark) {
		const button = el("button", {
			type: "button", class: mark === this.#draft?.mark ? "bodymap-mark writing" : "bodymap-mark", "data-number": String(mark.number), "aria-label": this.#name(mark),
			click: () => (mark === this.#draft?.mark ? this.#focus("bodymap-type") : this.#edit(mark)),
			keydown: (/** @type {KeyboardEvent} */ e) => {
				if (e.key in arrows && !e.altKey && !e.ctrlKey && !e.metaKey) {
					e.preventDefault();
					const by = e.shiftKey ? 0.05 : 0.01;
					this.#move(mark, by * arrows[e.key][0], by * arrows[e.key][1]);
				}
			},
		}, el("span", { "aria-hidden": "true" }, String(mark.number)));
		this.#put(button, mark);
		return button;
	}

	/** put places a mark's button in its view: from the left, in every language. @param {HTMLElement} button @param {Mark & {x: number, y: number}} mark */
	#put(button, mark) {
		const figure = figures[this.#map], [x, y, width, height] = viewOf(mark, figure).box;
		const across = (100 * (mark.x * figure.width - x)) / width;
		button.style.left = `${across}%`;
		button.style.top = `${(100 * (mark.y * figure.height - y)) / height}%`;
		button.classList.toggle("last", across > 80); // its number stands on the other side
	}

	/** What a mark is called where it is not seen. @param {Mark} mark */
	#name(mark) {
		const say = this.#say, places = { number: String(mark.number ?? "–"), type: mark.type || say("body_undescribed"), site: mark.site || say("body_unnamed") };
		const size = this.#size(mark, "long");
		return size ? say("body_named_size", { ...places, size }) : say("body_named", places);
	}

	/** @param {Mark} mark @param {"long" | "short"} form */
	#size(mark, form) {
		const [a, b] = [mark.length_mm, mark.width_mm].filter((n) => n !== undefined);
		if (a === undefined) {
			return "";
		}
		const unit = new Intl.NumberFormat(`${this.#language}-u-nu-latn`, { style: "unit", unit: "millimeter", unitDisplay: form });
		if (b === undefined) {
			return unit.format(a);
		}
		return form === "long" ? this.#say("body_size", { length: this.#number(a), width: unit.format(b) }) : `${this.#number(a)} × ${unit.format(b)}`;
	}

	/** @param {number} n @param {Intl.NumberFormatOptions} [format] */
	#number(n, format = {}) {
		return new Intl.NumberFormat(`${this.#language}-u-nu-latn`, format).format(n);
	}

	/** @param {MouseEvent} e @param {View} view @param {Element} picture */
	#tapped(e, view, picture) {
		if (e.target instanceof Element && e.target.closest("button")) {
			return;
		}
		const seen = picture.getBoundingClientRect(), figure = figures[this.#map], [x, y, width, height] = view.box;
		this.#place(rounded((x + (width * (e.clientX - seen.x)) / seen.width) / figure.width), rounded((y + (height * (e.clientY - seen.y)) / seen.height) / figure.height));
	}

	/** @param {string} value of the list of regions */
	#addIn(value) {
		const [viewID, regionID] = value.split(" "), figure = figures[this.#map];
		const view = figure.views.find((v) => v.id === viewID), region = view?.regions.find((r) => r.id === regionID);
		if (!region) {
			return;
		}
		const taken = this.#here().filter(placed).filter((m) => m !== this.#draft?.mark);
		const free = around(region, figure).find(([x, y]) => taken.every((m) => Math.hypot((m.x - x) * figure.width, (m.y - y) * figure.height) > 0.04 * figure.width));
		this.#place(...(free ?? /** @type {[number, number]} */ ([rounded(region.at[0] / figure.width), rounded(region.at[1] / figure.height)])));
	}

	/** place puts what is being written there; a new mark, if nothing is. @param {number} x @param {number} y */
	#place(x, y) {
		if (!this.#draft) {
			const number = this.#nextNumber();
			if (!number) {
				this.#tell(this.#say("body_full"));
				return;
			}
			this.#removed = null;
			this.#drawUndo();
			this.#draft = { mark: { number, map: this.#map, x, y }, at: -1, given: "", typed: {} };
			this.#named();
			this.#drawEditor();
		} else {
			this.#read();
			const mark = this.#draft.mark;
			if (mark.map !== this.#map) { // the outline belongs to the other figure
				delete mark.path;
				mark.map = this.#map;
			}
			this.#shift(mark, x - (mark.x ?? x), y - (mark.y ?? y));
			mark.x ??= x;
			mark.y ??= y;
			this.#named();
			this.#drawEditor();
		}
		const mark = this.#draft.mark;
		this.#drawPanel();
		this.#focusMark(mark);
		this.#tell(this.#say("body_placed", { number: String(mark.number), region: this.#region(mark) }));
	}

	#nextNumber() {
		const taken = new Set(this.#marks.map((m) => m.number));
		const next = Math.max(0, ...this.#marks.map((m) => m.number ?? 0)) + 1;
		return next <= most ? next : Array.from({ length: most }, (_, i) => i + 1).find((n) => !taken.has(n));
	}

	/** named gives what is being written the name of its place, unless somebody wrote one. */
	#named() {
		const draft = this.#draft;
		if (!draft || (draft.mark.site ?? "") !== draft.given) {
			return;
		}
		const found = regionAt(draft.mark), given = found.region ? this.#say(found.region.name) : "";
		if (given === draft.given && given) {
			return;
		}
		draft.given = given;
		if (draft.given) {
			draft.mark.site = draft.given;
		} else {
			delete draft.mark.site;
		}
		if (found.side) {
			draft.mark.side = found.side;
		} else {
			delete draft.mark.side;
		}
	}

	/** @param {Mark} mark */
	#region(mark) {
		const { region } = regionAt(mark);
		return region ? this.#say(region.name) : this.#say("body_elsewhere");
	}

	/** @param {Mark} mark @param {number} dx @param {number} dy */
	#move(mark, dx, dy) {
		const drafted = mark === this.#draft?.mark;
		if (drafted) {
			this.#read();
		}
		this.#shift(mark, dx, dy);
		if (drafted) {
			this.#named();
			this.#drawEditor();
		} else {
			this.#changed(this.marks);
		}
		const button = this.#panel.querySelector(`button[data-number="${Number(mark.number)}"]`);
		if (button instanceof HTMLElement && placed(mark)) {
			const focused = button === document.activeElement;
			if (button.closest("[data-view]")?.getAttribute("data-view") === viewOf(mark, figures[this.#map]).id) {
				this.#put(button, mark);
				button.setAttribute("aria-label", this.#name(mark));
				this.#panel.querySelector(`polygon[data-number="${Number(mark.number)}"]`)?.setAttribute("points", traced(mark, figures[this.#map]));
			} else {
				this.#drawPanel(); // it is in another view now
				if (focused) {
					this.#focusMark(mark);
				}
			}
		}
		const percent = { style: /** @type {const} */ ("percent"), maximumFractionDigits: 1 };
		this.#tell(this.#say("body_moved", { number: String(mark.number), across: this.#number(mark.x ?? 0, percent), down: this.#number(mark.y ?? 0, percent), region: this.#region(mark) }));
	}

	/** shift moves a mark with its outline; neither leaves the figure. @param {Mark} mark @param {number} dx @param {number} dy */
	#shift(mark, dx, dy) {
		if (!placed(mark)) {
			return;
		}
		const points = [mark, ...(mark.path ?? [])];
		dx = Math.min(Math.max(dx, -Math.min(...points.map((p) => p.x))), 1 - Math.max(...points.map((p) => p.x)));
		dy = Math.min(Math.max(dy, -Math.min(...points.map((p) => p.y))), 1 - Math.max(...points.map((p) => p.y)));
		for (const p of points) {
			p.x = rounded(p.x + dx);
			p.y = rounded(p.y + dy);
		}
	}

	/** @param {Mark} mark */
	#edit(mark) {
		const at = this.#marks.indexOf(mark);
		if (this.#draft) { // nothing that was written is lost unasked
			if (this.#draft.at !== at) {
				this.#tell(this.#say("body_first", { number: String(this.#draft.mark.number ?? "–") }));
			}
			this.#focus("bodymap-editing");
			return;
		}
		this.#draft = { mark: structuredClone(mark), at, given: regionAt(mark).region ? this.#region(mark) : "", typed: {} };
		this.#wrong.clear();
		if (mark.map && this.#shown(mark.map) && mark.map !== this.#map && mark.map in figures) {
			this.#turn(mark.map);
		} else {
			this.#drawPanel();
		}
		this.#drawEditor();
		this.#focus("bodymap-editing");
	}

	#drawEditor() {
		const say = this.#say, draft = this.#draft;
		if (!draft) {
			this.#wrong.clear();
			this.#editor.replaceChildren();
			return;
		}
		const mark = draft.mark;
		/** @param {string} id @param {string} name @param {Record<string, any>} attributes @param {string} [hint] */
		const field = (id, name, attributes, hint) => el("div", { class: this.#wrong.has(id) ? "bodymap-field wrong" : "bodymap-field" },
			el("label", { for: `bodymap-${id}` }, name),
			hint ? el("p", { class: "hint", id: `bodymap-${id}-hint` }, hint) : null,
			this.#said(id),
			el("input", { id: `bodymap-${id}`, maxlength: String(longest), autocomplete: "off", autocapitalize: "off", spellcheck: "false", translate: "no",
				...this.#described(id, hint), ...attributes }));
		/** @param {string} id @param {string} arrow @param {string} key */
		const mover = (id, arrow, key) => el("button", { type: "button", class: "bodymap-move", "aria-label": id, title: id,
			click: () => (this.#move(mark, 0.01 * arrows[key][0], 0.01 * arrows[key][1]), this.#refocus(id)) }, el("span", { "aria-hidden": "true" }, arrow));
		/** @param {boolean} yes */
		const radio = (yes) => {
			const id = yes ? "bodymap-consented" : "bodymap-refused";
			return el("div", { class: "bodymap-choice" }, el("input", { type: "radio", name: "bodymap-consented", id, checked: mark.consented === yes, ...this.#described("consented") }),
				el("label", { for: id }, say(yes ? "body_yes" : "body_no")));
		};
		const heading = el("h2", { id: "bodymap-editing", tabindex: "-1" }, draft.at < 0 ? say("body_new", { number: String(mark.number) }) : say("body_editing", { number: String(mark.number ?? "–") }));
		this.#editor.replaceChildren(el("form", { class: "bodymap-editor", novalidate: true, "aria-labelledby": "bodymap-editing", submit: (/** @type {Event} */ e) => (e.preventDefault(), this.#keep()) },
			heading,
			this.#wrong.size ? el("div", { class: "problem", id: "bodymap-problem", tabindex: "-1", role: "alert" }, el("p", {}, say("problem")),
				el("ul", {}, ...[...this.#wrong].map(([id, text]) => el("li", {}, el("a", { href: `#bodymap-${id}`, click: (/** @type {Event} */ e) => (e.preventDefault(), this.#focus(`bodymap-${id}`)) }, text))))) : null,
			el("div", { class: "bodymap-moves", role: "group", "aria-label": say("body_move"), dir: "ltr" },
				mover(say("body_move_left"), "←", "ArrowLeft"), mover(say("body_move_up"), "↑", "ArrowUp"), mover(say("body_move_down"), "↓", "ArrowDown"), mover(say("body_move_right"), "→", "ArrowRight")),
			field("type", say("body_type"), { value: mark.type ?? "", list: "bodymap-types", dir: "auto" }, say("body_type_hint")),
			el("datalist", { id: "bodymap-types" }, ...kinds.map((k) => el("option", { value: say(k) }))),
			field("site", say("body_site"), { value: mark.site ?? "", dir: "auto" }),
			el("div", { class: "bodymap-field" }, el("label", { for: "bodymap-side" }, say("body_side")),
				el("select", { id: "bodymap-side" }, el("option", { value: "" }, say("body_side_none")),
					...Object.entries(sideWords).map(([side, word]) => el("option", { value: side, selected: mark.side === side }, say(word))))),
			el("div", { class: "bodymap-measures" }, ...measures.map(([key, word]) => field(key, say(word), { value: draft.typed[key] ?? String(mark[key] ?? ""), inputmode: "decimal", dir: "ltr" }))),
			field("shape", say("body_shape"), { value: mark.shape ?? "", dir: "auto" }),
			field("colour", say("body_colour"), { value: mark.colour ?? "", dir: "auto" }, say("body_colour_hint")),
			field("photos", say("body_photographs"), { value: draft.typed.photos ?? (mark.photos ?? []).join(", "), dir: "ltr", maxlength: null }, say("body_photographs_hint")),
			el("fieldset", { class: this.#wrong.has("consented") ? "wrong" : "" }, el("legend", {}, say("body_agreed_asked")), this.#said("consented"), radio(true), radio(false)),
			el("div", { class: "buttons" }, el("button", { type: "submit", class: "primary" }, say("body_keep")),
				el("button", { type: "button", click: () => this.#leave() }, draft.at < 0 ? say("body_leave_out") : say("body_leave")))));
	}

	/** @param {string} id */
	#said(id) {
		const text = this.#wrong.get(id);
		return text ? el("p", { class: "wrong", id: `bodymap-${id}-wrong` }, text) : null;
	}

	/** @param {string} id @param {string} [hint] */
	#described(id, hint) {
		const wrong = this.#wrong.has(id), ids = [hint ? `bodymap-${id}-hint` : "", wrong ? `bodymap-${id}-wrong` : ""].filter(Boolean).join(" ");
		return { "aria-invalid": wrong ? "true" : null, "aria-describedby": ids || null };
	}

	/** read takes over what is typed, and says what of it cannot be. @returns {Map<string, string>} */
	#read() {
		const say = this.#say, wrong = new Map(), mark = /** @type {Record<string, any>} */ (this.#draft?.mark), kept = this.#draft?.typed ?? {};
		/** @param {string} id */
		const typed = (id) => /** @type {HTMLInputElement | null} */ (this.#editor.querySelector(`#bodymap-${id}`))?.value.trim() ?? "";
		/** @param {string} key @param {any} value */
		const put = (key, value) => (value === undefined || value === "" ? delete mark[key] : (mark[key] = value));
		for (const key of ["type", "site", "side", "shape", "colour"]) {
			put(key, typed(key));
		}
		for (const [key, word, limit] of measures) {
			kept[key] = typed(key);
			const text = western(kept[key]), n = Number(text.replace(",", "."));
			put(key, text && /^\d{1,4}([.,]\d{1,3})?$/.test(text) && n <= limit ? n : undefined);
			if (text && mark[key] === undefined) {
				wrong.set(key, say("body_problem_number", { name: say(word), most: this.#number(limit) }));
			}
		}
		kept.photos = typed("photos");
		const photos = kept.photos.split(/[,;،\s]+/).filter(Boolean);
		put("photos", photos.length ? photos : undefined);
		if (photos.length > 50 || photos.some((p) => !/^[A-Za-z0-9][A-Za-z0-9.-]{0,15}$/.test(p))) {
			wrong.set("photos", say("body_problem_photographs"));
		}
		const yes = /** @type {HTMLInputElement | null} */ (this.#editor.querySelector("#bodymap-consented")), no = /** @type {HTMLInputElement | null} */ (this.#editor.querySelector("#bodymap-refused"));
		put("consented", yes?.checked ? true : no?.checked ? false : undefined);
		return wrong;
	}

	#keep() {
		const say = this.#say, draft = this.#draft;
		if (!draft) {
			return;
		}
		const wrong = this.#read(), mark = draft.mark;
		if (!mark.type) {
			wrong.set("type", say("body_problem_type"));
		}
		if (!mark.site) {
			wrong.set("site", say("body_problem_site"));
		}
		if (mark.consented === undefined) {
			wrong.set("consented", say("body_problem_agreed"));
		} else if (mark.map === "genital" && !mark.consented) {
			wrong.set("consented", say("body_problem_genital"));
		}
		// In the order of the fields, as they are read.
		this.#wrong = new Map(["type", "site", ...measures.map(([key]) => key), "photos", "consented"].filter((id) => wrong.has(id)).map((id) => [id, wrong.get(id) ?? ""]));
		if (this.#wrong.size) {
			this.#drawEditor();
			this.#focus("bodymap-problem");
			return;
		}
		if (draft.at < 0) {
			this.#marks.push(mark);
		} else {
			this.#marks[draft.at] = mark;
		}
		this.#draft = null;
		this.#changed(this.marks);
		this.#drawPanel();
		this.#drawEditor();
		this.#drawList();
		this.#focusMark(mark);
		this.#tell(say("body_kept", { mark: this.#name(mark) }));
	}

	#leave() {
		const at = this.#draft?.at ?? -1;
		this.#draft = null;
		this.#drawPanel();
		this.#drawEditor();
		if (at < 0) {
			this.#focus("bodymap-region");
		} else {
			this.#focusMark(this.#marks[at]);
		}
		this.#tell("");
	}

	#drawList() {
		const say = this.#say;
		const heading = el("h2", { id: "bodymap-marks", tabindex: "-1" }, say("body_marks"));
		if (!this.#marks.length) {
			this.#list.replaceChildren(heading, el("p", {}, say("body_none")));
			return;
		}
		const row = (/** @type {Mark} */ mark) => {
			const number = String(mark.number ?? "–"), open = this.#shown(mark.map ?? "");
			const size = this.#size(mark, "short");
			return el("tr", {},
				el("th", { scope: "row" }, fixed(number)),
				el("td", {}, ...(open ? [
					el("p", {}, el("bdi", {}, mark.type || say("body_undescribed")), size ? ", " : null, size ? fixed(size) : null),
					el("p", { class: "hint" }, el("bdi", {}, mark.site || say("body_unnamed")), " · ", this.#mapName(mark.map ?? ""))] : [el("p", { class: "hint" }, say("body_closed_mark"))])),
				el("td", { class: "bodymap-acts" },
					open ? el("button", { type: "button", "aria-label": say("body_edit_mark", { number }), click: () => this.#edit(mark) }, say("body_edit")) : null,
					el("button", { type: "button", "aria-label": say("body_remove_mark", { number }), click: () => this.#remove(mark) }, say("body_remove"))));
		};
		this.#list.replaceChildren(heading, el("table", { class: "bodymap-table", "aria-labelledby": "bodymap-marks" },
			el("thead", {}, el("tr", {}, el("th", { scope: "col" }, say("body_number")), el("th", { scope: "col" }, say("body_mark")), el("td"))),
			el("tbody", {}, ...this.#marks.map(row))));
	}

	/** @param {Mark} mark */
	#remove(mark) {
		const at = this.#marks.indexOf(mark);
		if (this.#draft) { // its place in the list may change
			if (this.#draft.at === at) {
				this.#draft = null;
			} else if (this.#draft.at > at) {
				this.#draft.at--;
			}
		}
		if (!this.#draft) {
			this.#drawEditor();
		}
		this.#marks.splice(at, 1);
		this.#removed = { mark, at };
		this.#changed(this.marks);
		this.#drawPanel();
		this.#drawList();
		this.#drawUndo();
		this.#tell(this.#say("body_removed", { number: String(mark.number ?? "–") }));
		this.#focus("bodymap-undo");
	}

	#drawUndo() {
		const removed = this.#removed;
		this.#undo.replaceChildren(...(removed ? [el("button", { type: "button", id: "bodymap-undo", click: () => {
			this.#marks.splice(removed.at, 0, removed.mark);
			if (this.#draft && this.#draft.at >= removed.at) {
				this.#draft.at++;
			}
			this.#removed = null;
			this.#changed(this.marks);
			this.#drawPanel();
			this.#drawList();
			this.#drawUndo();
			this.#tell(this.#say("body_restored", { number: String(removed.mark.number ?? "–") }));
			this.#focus("bodymap-marks");
		} }, this.#say("body_undo"))] : []));
		this.#undo.hidden = !removed;
	}

	/** @param {string} text */
	#tell(text) {
		this.#status.textContent = text;
	}

	/** @param {string} id */
	#focus(id) {
		document.getElementById(id)?.focus();
	}

	/** @param {Mark} mark */
	#focusMark(mark) {
		const button = this.#panel.querySelector(`button[data-number="${Number(mark.number)}"]`);
		if (button instanceof HTMLElement) {
			button.focus();
		} else {
			this.#focus("bodymap-marks");
		}
	}

	/** @param {string} name of a button that was drawn anew */
	#refocus(name) {
		const button = [...this.#editor.querySelectorAll("button")].find((b) => b.getAttribute("aria-label") === name);
		button?.focus();
	}
}

/** @param {string} name @param {Record<string, string>} attributes */
function svg(name, attributes) {
	const e = document.createElementNS("http://www.w3.org/2000/svg", name);
	for (const [key, value] of Object.entries(attributes)) {
		e.setAttribute(key, value);
	}
	return e;
}

/** @param {Mark} mark @returns {mark is Mark & {x: number, y: number}} */
function placed(mark) {
	return mark.x !== undefined && mark.y !== undefined;
}

/** viewOf is the view of a figure that a mark stands in. @param {Mark & {x: number, y: number}} mark @param {Figure} figure */
function viewOf(mark, figure) {
	const x = mark.x * figure.width, y = mark.y * figure.height;
	return figure.views.find(({ box }) => x >= box[0] && x <= box[0] + box[2] && y >= box[1] && y <= box[1] + box[3]) ?? figure.views[0];
}

/** A place to the thousandth of the figure, in it. @param {number} n */
function rounded(n) {
	return Math.min(1, Math.max(0, Math.round(n * 1000) / 1000));
}

/** @param {Mark} mark @param {Figure} figure */
function traced(mark, figure) {
	return (mark.path ?? []).map((p) => `${p.x * figure.width},${p.y * figure.height}`).join(" ");
}

/** Digits as they are typed in Arabic and Persian count too. @param {string} text */
function western(text) {
	return text.replace(/[\u0660-\u0669\u06F0-\u06F9]/g, (d) => String((d.charCodeAt(0) & 0xf))).replace("\u066B", ".");
}

/** regionAt finds where on the body a mark lies, and the side of the body. @param {Mark} mark @returns {{region?: Region, side?: string}} */
function regionAt(mark) {
	const figure = figures[mark.map ?? ""];
	if (!figure || !placed(mark)) {
		return {};
	}
	const x = mark.x * figure.width, y = mark.y * figure.height;
	for (const view of figure.views) {
		const region = view.regions.find((r) => within(x, y, r.shape));
		if (region) {
			const side = region.id.match(/^(left|right)_/)?.[1] ?? (view.side === "left" || view.side === "right" ? view.side : "middle");
			return { region, side };
		}
	}
	return {};
}

/** @param {number} x @param {number} y @param {[number, number][]} shape */
function within(x, y, shape) {
	let is = false;
	for (let i = 0, j = shape.length - 1; i < shape.length; j = i++) {
		const [ax, ay] = shape[i], [bx, by] = shape[j];
		if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) {
			is = !is;
		}
	}
	return is;
}

/** around lists places of a region, from its middle outwards. @param {Region} region @param {Figure} figure @returns {[number, number][]} */
function around(region, figure) {
	const [x, y] = region.at, step = 0.05 * figure.width;
	/** @type {[number, number][]} */ const list = [];
	for (let ring = 0; ring <= 6; ring++) {
		for (let i = 0; i < Math.max(1, 6 * ring); i++) {
			const turn = (2 * Math.PI * i) / (6 * ring || 1), px = x + ring * step * Math.cos(turn), py = y + ring * step * Math.sin(turn);
			if (within(px, py, region.shape)) {
				list.push([rounded(px / figure.width), rounded(py / figure.height)]);
			}
		}
	}
	return list;
}
