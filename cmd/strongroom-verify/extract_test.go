//go:build !(js && wasm)

package main

import (
	"testing"

	"strongroom.example/strongroom/internal/dossier"
	"strongroom.example/strongroom/internal/evidence"
)

// Exhibit 1 of two cases, exhibit 2 of one, and an item that is not sealed.
func TestFileNames(t *testing.T) {
	a, b, c, d := evidence.NewID[evidence.ItemID](), evidence.NewID[evidence.ItemID](), evidence.NewID[evidence.ItemID](), evidence.NewID[evidence.ItemID]()
	all := []dossier.Opened{{Item: a, Exhibit: 1}, {Item: b, Exhibit: 1}, {Item: c, Exhibit: 2}, {Item: d}}
	for i, want := range []string{"exhibit-1-" + string(a), "exhibit-1-" + string(b), "exhibit-2", string(d)} {
		if got := fileName(all[i], all); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
