import { el } from "./dom.js";
import { say } from "./language.js";

// Content as it is shown: pictures, sound and moving pictures from memory, plain text as text. Nothing of it is ever run or read as markup: what
// the browser could do that with has no type here, and can only be saved.

const pictures = ["image/avif", "image/bmp", "image/gif", "image/jpeg", "image/png", "image/webp"];
const sounds = ["audio/aac", "audio/flac", "audio/mp4", "audio/mpeg", "audio/ogg", "audio/wav", "audio/wave", "audio/webm", "audio/x-wav"];
const films = ["video/mp4", "video/ogg", "video/quicktime", "video/webm"];

/** Text that is longer is not laid out at once. */
const text = 1 << 20;

/**
 * show makes what was opened visible, under who sees it.
 * @param {{name: string, type: string, file: Blob}} found
 * @param {string} mark
 */
export async function show(found, mark) {
	const type = found.type.split(";")[0].trim().toLowerCase();
	const file = found.file.slice(0, found.file.size, [...pictures, ...sounds, ...films].includes(type) ? type : "application/octet-stream");
	let url = "";
	const address = () => (url = URL.createObjectURL(file));
	/** @type {HTMLElement | null} */
	let media = null;
	if (pictures.includes(type)) {
		media = el("img", { src: address(), alt: say("picture"), draggable: "false" });
	} else if (sounds.includes(type)) {
		media = el("audio", { src: address(), controls: true, preload: "metadata", controlslist: "nodownload noremoteplayback", "aria-label": say("sound"), dir: "ltr" });
	} else if (films.includes(type)) {
		media = el("video", { src: address(), controls: true, preload: "metadata", controlslist: "nodownload noremoteplayback", disablepictureinpicture: true, playsinline: true,
			"aria-label": say("film"), dir: "ltr" });
	} else if (type === "text/plain" && file.size <= text) {
		media = el("pre", { dir: "auto", translate: "no", tabindex: "0", role: "group", "aria-label": say("text") }, await file.text());
	}
	if (!media) {
		return { node: el("div", { class: "viewer" }, el("p", {}, say("unshown"))), close() {} };
	}
	const marks = el("div", { class: "marks", "aria-hidden": "true" }, ...Array.from({ length: 40 }, () => el("span", {}, mark)));
	const frame = el("div", { class: "evidence" }, media, sounds.includes(type) ? null : marks);
	const cover = el("div", { class: "cover", hidden: true }, el("p", {}, say("covered")), el("button", { type: "button", click: () => uncover() }, say("covered.show")));
	const node = el("figure", { class: "viewer", translate: "no" }, frame, cover,
		el("figcaption", {}, mark, sounds.includes(type) || films.includes(type) ? ` · ${say("transcript.none")}` : ""));
	const hide = () => {
		if (document.visibilityState === "hidden") {
			frame.hidden = true;
			cover.hidden = false;
			if (media instanceof HTMLMediaElement) {
				media.pause();
			}
		}
	};
	const uncover = () => {
		cover.hidden = true;
		frame.hidden = false;
	};
	media.addEventListener("error", () => frame.replaceChildren(el("p", {}, say("unshown"))));
	document.addEventListener("visibilitychange", hide);
	return {
		node,
		close() {
			document.removeEventListener("visibilitychange", hide);
			if (media instanceof HTMLMediaElement) {
				media.pause();
				media.removeAttribute("src");
				media.load();
			}
			node.replaceChildren();
			URL.revokeObjectURL(url);
		},
	};
}
