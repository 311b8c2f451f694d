package interop

import (
	"encoding/json"
	"os"
	"path/filepath"
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

func readVectors(t *testing.T, into any, path ...string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(append([]string{"..", "..", "api", "vectors"}, path...)...))
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

type receiptVector struct {
	Name   string
	Expect json.RawMessage
	Input  struct{ Trust, Receipt string }
}

// stricter are the vectors that we refuse and stock code accepts: the same fact in another spelling, or a field it does not look at. It
// rebuilds the leaf from the signed event, takes the root from the checkpoint, and one index of two.
var stricter = map[string]bool{
	"trailing newline": true, "a space": true, "fields in another order": true, "escaped dash": true, "index as a number": true,
	"stray bits in base64": true, "base64 without padding": true, "too large": true, "bundle v0.2": true,

	"another leaf": true, "another kind": true, "two indexes": true, "another tree size": true, "another root hash": true,
	"an integrated time": true, "an inclusion promise": true, "no time stamps, but their list": true, "an empty time stamp": true,
	"names the Ed25519 key": true, // which signed the checkpoint, too
}

// What our own verifier accepts, stock code accepts; what is false, and not merely spelled otherwise, both refuse.
func TestReceiptVectors(t *testing.T) {
	var vectors []receiptVector
	readVectors(t, &vectors, "tlog", "receipts.json")
	first, err := tlog.ParseReceipt([]byte(vectors[0].Input.Receipt))
	if err != nil {
		t.Fatal(err)
	}
	signer := keyIn(t, first)
	seen := make(map[string]bool)
	for _, v := range vectors {
		seen[v.Name] = true
		trust, err := tlog.ParseTrust([]byte(v.Input.Trust))
		if err != nil {
			t.Fatal(err)
		}
		s, err := newStock(trust.TrustedRoot(), signer)
		if err != nil {
			t.Fatal(err)
		}
		err = s.accept([]byte(v.Input.Receipt))
		want := string(v.Expect) == `"accept"` || stricter[v.Name]
		if accepted := err == nil; accepted != want {
			t.Errorf("%s: accepted %t, want %t: %v", v.Name, accepted, want, err)
		}
	}
	for name := range stricter {
		if !seen[name] {
			t.Errorf("the vector %q is gone", name)
		}
	}
}
