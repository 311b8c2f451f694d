// What browser tests stand on: a real browser, and a real vault with the people of the demonstration, each with keys of their own.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { chromium } from "playwright-core";

export const root = path.resolve(import.meta.dirname, "../..");
export const bin = process.env.STRONGROOM_BIN ?? path.join(root, "bin");

/** launch starts Chromium. */
export function launch() {
	return chromium.launch({
		executablePath: process.env.STRONGROOM_CHROMIUM ?? "/usr/bin/chromium",
		args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
	});
}

/** World is a vault that serves, with the folders of its people. What was given to it as evidence is its exhibit 1, shared with one court. */
export class World {
	/** @param {Buffer} evidence @param {string} [name] of its file @param {Record<string, Buffer>} [more] files that are deposited too */
	static async start(evidence, name = "recording.bin", more = {}) {
		const world = new World();
		world.work = mkdtempSync(path.join(tmpdir(), "strongroom-browser-"));
		world.keep = path.join(world.work, "keep");
		const files = Object.entries({ [name]: evidence, ...more }).map(([name, bytes]) => {
			const file = path.join(world.work, name);
			writeFileSync(file, bytes);
			return file;
		});
		execFileSync(path.join(bin, "strongroom"), ["demo", "--once", "--keep", world.keep, ...files], { stdio: ["ignore", "ignore", "inherit"] });
		const told = path.join(world.work, "address");
		world.vault = spawn(path.join(bin, "strongroomd"), ["serve", "--data", path.join(world.keep, "vault"), "--listen", "127.0.0.1:0", "--address-file", told], { stdio: "ignore" });
		for (let i = 0; !existsSync(told) || !readFileSync(told, "utf8").endsWith("\n"); i++) {
			assert.ok(i < 300, "the vault does not begin to serve");
			await new Promise((r) => setTimeout(r, 100));
		}
		world.address = readFileSync(told, "utf8").trim();
		world.origin = world.address.split("#")[0];
		for (const name of ["administrator", "custodian-1", "custodian-2", "clinician", "investigator", "court"]) {
			world.cli(name, "connect", "--server", world.address);
		}
		return world;
	}

	/** cli is what the command line answers to one of the people, in JSON. */
	cli(name, ...args) {
		return JSON.parse(execFileSync(path.join(bin, "strongroom"), ["--home", path.join(this.keep, "people", name), "--json", ...args],
			{ maxBuffer: 1 << 28, stdio: ["ignore", "pipe", "pipe"] }));
	}

	/** confirm admits who has answered an invitation of the first custodian's, and has the second one confirm the key number. */
	confirm(invitation, actor, number) {
		this.cli("custodian-1", "actor", "admit", invitation);
		this.cli("custodian-2", "actor", "confirm", actor, "--number", number);
	}

	/** share proposes and approves that somebody receives an item. */
	share(item, to, ...more) {
		const { grant } = this.cli("custodian-1", "grant", "propose", item, "--to", to, "--jurisdiction", "NL", "--legal-basis", "mla_request", "--until", "30d", ...more);
		this.cli("custodian-2", "grant", "approve", grant, "--yes");
		return grant;
	}

	async stop() {
		if (this.vault) {
			const ended = new Promise((r) => this.vault.once("exit", r));
			this.vault.kill();
			await ended;
		}
		rmSync(this.work, { recursive: true });
	}
}
