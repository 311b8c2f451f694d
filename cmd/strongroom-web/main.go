//go:build js && wasm

// Command strongroom-web is package client in a browser's Worker, behind one function, strongroomCall. The person's keys are made here and
// stay here; the vault gets what the command line sends it.
//
// It assumes that the page comes from the vault that it works with, and that one person uses the browser's profile. It keeps nothing that is
// readable of any item: what was opened is handed to the page and forgotten. It never repeats what it was given in a problem.
package main

import (
	"os"
	"runtime/debug"
	"syscall/js"
	"time"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/program"
)

// memory is what the collector keeps to, in bytes; a passphrase takes 256 MiB beside for a moment.
const memory = 256 << 20

func main() {
	debug.SetMemoryLimit(memory)
	d := &device{tool: tool(), now: time.Now, offers: make(map[string]offer)}
	js.Global().Set("strongroomCall", js.FuncOf(func(_ js.Value, args []js.Value) any { return d.promise(args) }))
	select {}
}

// tool is this program, as events name it: the Worker says the digest of what it runs.
func tool() evidence.Tool {
	t := evidence.Tool{Name: "strongroom-web", Version: program.Version()}
	if len(os.Args) > 1 {
		if digest, err := evidence.ParseHash(os.Args[1]); err == nil {
			t.Build = digest.String()
		}
	}
	return t
}
