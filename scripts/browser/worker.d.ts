// What the programs' threads have besides: Go's own class, and the function that each program exposes.
declare class Go {
	argv: string[];
	importObject: WebAssembly.Imports;
	run(instance: WebAssembly.Instance): Promise<void>;
}
declare function strongroomCall(name: string, params: string, progress: (step: string, done: number, all: number) => void, signal: AbortSignal): Promise<{ text: string, file?: Blob }>;
declare function strongroomVerify(request: object, progress?: (read: number, all: number) => void): string;
declare module "*/wasm_exec.js";
