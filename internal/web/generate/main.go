// Command generate puts verifier and client, built as WebAssembly, where package web embeds them, and writes the single file VERIFY.html. It is run by
// ./scripts/build; the same program gives the same bytes.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"strongroom.example/strongroom/internal/web"
)

func main() {
	program := flag.String("program", "", "the verifier, built for js/wasm")
	client := flag.String("client", "", "the client, built for js/wasm")
	runtime := flag.String("runtime", "", "wasm_exec.js of the Go that built it")
	built := flag.String("built", "", "folder that package web embeds")
	single := flag.String("single", "", "where VERIFY.html is written")
	flag.Parse()
	if err := generate(*program, *client, *runtime, *built, *single); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func generate(program, client, runtime, built, single string) error {
	wasm, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	acting, err := os.ReadFile(client)
	if err != nil {
		return err
	}
	script, err := os.ReadFile(runtime)
	if err != nil {
		return err
	}
	packed, err := web.Pack(wasm)
	if err != nil {
		return err
	}
	packedClient, err := web.Pack(acting)
	if err != nil {
		return err
	}
	page, err := web.SingleFile(packed, script)
	if err != nil {
		return err
	}
	for name, data := range map[string][]byte{
		filepath.Join(built, "verify.wasm.gz"): packed, filepath.Join(built, "client.wasm.gz"): packedClient,
		filepath.Join(built, "wasm_exec.js"): script, single: page,
	} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			return err
		}
	}
	return nil
}
