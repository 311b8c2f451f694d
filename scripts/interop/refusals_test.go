package interop

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"strings"
	"testing"

	"strongroom.example/strongroom/internal/tlog"
)

// keyIn is the key that a receipt's own leaf names. Only for vectors, whose signers nobody enrolled.
func keyIn(t *testing.T, r tlog.Receipt) []byte {
	t.Helper()
	var leaf struct {
		Spec struct {
			HashedRekord struct {
				Signature struct {
					Verifier struct {
						PublicKey struct {
							RawBytes []byte `json:"rawBytes"`
						} `json:"publicKey"`
					} `json:"verifier"`
				} `json:"signature"`
			} `json:"hashedRekordV002"`
		} `json:"spec"`
	}
	if err := json.Unmarshal(r.Leaf(), &leaf); err != nil {
		t.Fatal(err)
	}
	return leaf.Spec.HashedRekord.Signature.Verifier.PublicKey.RawBytes
}

// What is true of one file, log or vault is not of another.
func TestElsewhere(t *testing.T) {
	list, signer := statements(t)
	l, stranger := newLog(t, newKey(t), list...), newLog(t, newKey(t), list...)
	s := must(newStock(l.trustedRoot(), signer))
	good := l.receipt(list[20], 20)
	if err := s.accept(good); err != nil {
		t.Fatal(err)
	}
	var file [32]byte
	rand.Read(file[:])
	if err := s.sigstoreGoFor(good, file[:]); err == nil {
		t.Error("accepted for another file")
	}
	other := bytes.ReplaceAll(l.trustedRoot(), []byte("https://"+origin), []byte("https://other.example"))
	if bytes.Equal(other, l.trustedRoot()) {
		t.Fatal("the trusted root does not name the log")
	}
	if err := must(newStock(other, signer)).sigstoreGo(good); err == nil { // @sigstore/verify knows a log by its key alone
		t.Error("accepted under a trusted root that has the log's key under another name")
	}
	for _, verifier := range []int{sigstoreGo, sigstoreJS} {
		if err := must(newStock(stranger.trustedRoot(), signer)).by(verifier, good); err == nil {
			t.Error("accepted under the trusted root of another log")
		}
		if err := must(newStock(l.trustedRoot(), newKey(t).SPKI())).by(verifier, good); err == nil {
			t.Error("accepted without the signer's key")
		}
	}
}

// A log may hold what it should not. Inclusion alone convinces nobody: the signature must hold.
func TestSignatureBehindInclusion(t *testing.T) {
	list, signer := statements(t)
	l := newLog(t, newKey(t), list...)
	spoiled := flipped(list[0].Signature(), -1)
	leaf := bytes.Replace(list[0].Leaf(), []byte(base64Text(list[0].Signature())), []byte(base64Text(spoiled)), 1)
	index, err := l.tree.Append(t.Context(), []tlog.TreeLeaf{{Value: leaf}})
	if err != nil {
		t.Fatal(err)
	}
	s, receipt := must(newStock(l.trustedRoot(), signer)), l.receiptOf(list[0], leaf, spoiled, index[0])
	for verifier, want := range map[int]string{sigstoreGo: "failed to verify signature", sigstoreJS: "SIGNATURE_ERROR"} {
		if err := s.by(verifier, receipt); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("a spoiled signature that was logged: %v", err)
		}
	}
}
