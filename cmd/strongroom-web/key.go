//go:build js && wasm

package main

import (
	"encoding/asn1"
	"io/fs"
	"math/big"
	"syscall/js"

	"strongroom.example/strongroom/internal/browser"
)

// The person's signing key is made by the browser and never leaves it: IndexedDB keeps a key that can sign and be named, and of which the
// private half cannot be read, by this program either.
const (
	keyDatabase = "strongroom"
	keyShelf    = "keys"
)

// signer is a client.Signer.
type signer struct {
	private js.Value
	spki    []byte
}

// openSigner returns the key of that name; fs.ErrNotExist if there is none.
func openSigner(name string) (*signer, error) {
	db, err := openKeys()
	if err != nil {
		return nil, err
	}
	defer db.Call("close")
	shelf := db.Call("transaction", keyShelf, "readonly").Call("objectStore", keyShelf)
	pair, err := awaitRequest(shelf.Call("get", name))
	if err != nil {
		return nil, err
	}
	if pair.IsUndefined() {
		return nil, fs.ErrNotExist
	}
	return newSigner(pair)
}

// createSigner makes the key of that name and keeps it, durably once it returns. One that is there is never replaced.
func createSigner(name string) (*signer, error) {
	pair, err := browser.AwaitCall(subtle(), "generateKey", map[string]any{"name": "ECDSA", "namedCurve": "P-256"}, false, []any{"sign", "verify"})
	if err != nil {
		return nil, err
	}
	db, err := openKeys()
	if err != nil {
		return nil, err
	}
	defer db.Call("close")
	act := db.Call("transaction", keyShelf, "readwrite", map[string]any{"durability": "strict"})
	ended := awaitEvents(act, "complete", "abort")
	if _, err := browser.Call(act.Call("objectStore", keyShelf), "add", pair, name); err != nil {
		return nil, err
	}
	if err := <-ended; err != nil {
		return nil, err
	}
	return newSigner(pair)
}

func newSigner(pair js.Value) (*signer, error) {
	spki, err := browser.AwaitCall(subtle(), "exportKey", "spki", pair.Get("publicKey"))
	if err != nil {
		return nil, err
	}
	return &signer{pair.Get("privateKey"), browser.BytesOf(js.Global().Get("Uint8Array").New(spki))}, nil
}

func (s *signer) SPKI() []byte { return s.spki }

// Sign is as custody.Signer says. WebCrypto answers with r and s in 32 bytes each.
func (s *signer) Sign(message []byte) ([]byte, error) {
	answer, err := browser.AwaitCall(subtle(), "sign", map[string]any{"name": "ECDSA", "hash": "SHA-256"}, s.private, browser.BytesTo(message))
	if err != nil {
		return nil, err
	}
	raw := browser.BytesOf(js.Global().Get("Uint8Array").New(answer))
	return asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(raw[:len(raw)/2]), new(big.Int).SetBytes(raw[len(raw)/2:])})
}

func subtle() js.Value { return js.Global().Get("crypto").Get("subtle") }

// openKeys opens the database, and makes it the first time.
func openKeys() (js.Value, error) {
	request, err := browser.Call(js.Global().Get("indexedDB"), "open", keyDatabase, 1)
	if err != nil {
		return request, err
	}
	upgrade := js.FuncOf(func(js.Value, []js.Value) any {
		request.Get("result").Call("createObjectStore", keyShelf)
		return nil
	})
	defer upgrade.Release()
	request.Set("onupgradeneeded", upgrade)
	return awaitRequest(request)
}

// awaitRequest waits for an answer of IndexedDB.
func awaitRequest(request js.Value) (js.Value, error) {
	if err := <-awaitEvents(request, "success", "error"); err != nil {
		return js.Value{}, err
	}
	return request.Get("result"), nil
}

// awaitEvents tells which of two events came: nil for good.
func awaitEvents(on js.Value, good, bad string) <-chan error {
	ended := make(chan error, 1)
	var well, ill js.Func
	well = js.FuncOf(func(js.Value, []js.Value) any {
		ended <- nil
		well.Release()
		ill.Release()
		return nil
	})
	ill = js.FuncOf(func(js.Value, []js.Value) any {
		ended <- browser.ErrorOf(on.Get("error"))
		well.Release()
		ill.Release()
		return nil
	})
	on.Call("addEventListener", good, well)
	on.Call("addEventListener", bad, ill)
	return ended
}
