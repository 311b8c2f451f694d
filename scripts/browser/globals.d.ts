// What browsers have and TypeScript's library does not say yet.
interface TrustedScriptURL {}
declare var trustedTypes: { createPolicy(name: string, rules: { createScriptURL(url: string): string }): { createScriptURL(url: string): TrustedScriptURL } } | undefined;

// Made of the catalogues, by package web.
declare module "*/builds.js" {
	export const builds: {client?: string, verifier?: string};
}

declare module "*/words.js" {
	export const words: Record<string, Record<string, string>>;
}
