//go:build js && wasm

package main

import (
	"syscall/js"

	"strongroom.example/strongroom/internal/browser"
)

// gathered takes what is written, piece by piece, to the browser's side: this program holds one piece, and nothing is stored here.
type gathered struct {
	parts  []any
	buffer []byte
	size   int64
}

const gatheredPiece = 4 << 20

func (g *gathered) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		n := min(len(rest), gatheredPiece-len(g.buffer))
		g.buffer, rest = append(g.buffer, rest[:n]...), rest[n:]
		if len(g.buffer) == gatheredPiece {
			g.pass()
		}
	}
	g.size += int64(len(p))
	return len(p), nil
}

func (g *gathered) pass() {
	if len(g.buffer) > 0 {
		g.parts = append(g.parts, js.Global().Get("Blob").New([]any{browser.BytesTo(g.buffer)}))
		clear(g.buffer)
		g.buffer = g.buffer[:0]
	}
}

// blob is what was written, as a whole. What it shows is the page's to decide: it has no type.
func (g *gathered) blob() js.Value {
	g.pass()
	return js.Global().Get("Blob").New(g.parts)
}
