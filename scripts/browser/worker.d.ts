// What the verifier's thread has besides: Go's own class, and the function that the program exposes.
declare class Go {
	importObject: WebAssembly.Imports;
	run(instance: WebAssembly.Instance): Promise<void>;
}
declare function strongroomVerify(request: object, progress?: (read: number, all: number) => void): string;
declare module "*/wasm_exec.js";
