package sealing

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"strongroom.example/strongroom/internal/ageheader"
)

// vector is one case of api/vectors/sealing, made by generate.mjs there with
// another implementation of age.
type vector struct {
	Kind, Name string
	File       []byte
	Key        string // identity line
	Text       string
	Want       string // "accept", or a key of refusals

	Most                  int      // header
	Plaintext, Ciphertext struct { // evidence
		SHA256 string
		Size   int64
	}
	Tree          string
	Size          int    // tree
	ItemRecipient string `json:"item_recipient"` // envelope
	Passphrase    string // identity_file
	Recipient     string
	Origin        string // card
	Identity      string
	P256          string
}

var refusals = map[string]error{
	"header_not_age":     ageheader.ErrNotAge,
	"header_armored":     ageheader.ErrArmored,
	"header_stanza_type": ageheader.ErrStanzaType,
	"header_too_many":    ageheader.ErrTooMany,
	"header_malformed":   ageheader.ErrMalformed,
	"header_truncated":   ageheader.ErrTruncated,
	"key":                ErrKey,
	"classic_key":        ErrClassicKey,
	"not_for_you":        ErrNotForYou,
	"damaged":            ErrDamaged,
	"foreign_envelope":   ErrForeignEnvelope,
	"content":            ErrContent,
	"too_large":          ErrTooLarge,
	"passphrase":         ErrPassphrase,
	"card":               ErrCard,
}

// checks runs a vector of each kind; an accepted one must also give what the
// vector says.
var checks = map[string]func(t *testing.T, v vector) error{
	"header": func(t *testing.T, v vector) error {
		_, err := ageheader.Check(bytes.NewReader(v.File), v.Most)
		return err
	},
	"evidence": func(t *testing.T, v vector) error {
		key := itemKey(t, v.Key)
		got, err := Decrypt(io.Discard, bytes.NewReader(v.File), key)
		if err != nil {
			return err
		}
		want := Sealed{
			Digest{digest(t, v.Plaintext.SHA256), v.Plaintext.Size},
			Digest{digest(t, v.Ciphertext.SHA256), v.Ciphertext.Size},
			digest(t, v.Tree),
		}
		if got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
		return nil
	},
	"tree": func(t *testing.T, v vector) error {
		data := make([]byte, v.Size)
		for i := range data {
			data[i] = byte(i % 251)
		}
		var tree TreeHasher
		tree.Write(data)
		if tree.Sum() != digest(t, v.Tree) {
			t.Error("another root")
		}
		return nil
	},
	"note": func(t *testing.T, v vector) error {
		got, err := OpenNote(v.File, itemKey(t, v.Key))
		return same(t, got, v.Text, err)
	},
	"label": func(t *testing.T, v vector) error {
		got, err := OpenLabel(v.File, itemKey(t, v.Key))
		return same(t, got, v.Text, err)
	},
	"description": func(t *testing.T, v vector) error {
		got, err := OpenDescription(v.File, itemKey(t, v.Key))
		return same(t, string(got), v.Text, err)
	},
	"envelope": func(t *testing.T, v vector) error {
		id, err := ParseIdentity(v.Key)
		if err != nil {
			t.Fatal(err)
		}
		key, err := OpenEnvelope(v.File, id, v.ItemRecipient)
		if err != nil {
			return err
		}
		return same(t, key.Recipient(), v.ItemRecipient, nil)
	},
	"recipient": func(t *testing.T, v vector) error { return CheckRecipient(v.Text) },
	"identity_file": func(t *testing.T, v vector) error {
		id, err := ReadIdentityFile(v.File, v.Passphrase)
		if err != nil {
			return err
		}
		return same(t, id.Recipient(), v.Recipient, nil)
	},
	"card": func(t *testing.T, v vector) error {
		card, err := ParseCard(v.Text)
		if err != nil {
			return err
		}
		id, key, err := card.Keys(v.Origin)
		if err != nil {
			return err
		}
		scalar, err := key.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		same(t, hex.EncodeToString(scalar), v.P256, nil)
		return same(t, id.id.String(), v.Identity, nil)
	},
}

func TestVectors(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "..", "api", "vectors", "sealing", "vectors.json"))
	if err != nil {
		t.Fatal(err)
	}
	var vectors []vector
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&vectors); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, v := range vectors {
		seen[v.Kind], seen[v.Want] = true, true
		t.Run(v.Kind+"/"+v.Name, func(t *testing.T) {
			check, known := checks[v.Kind]
			want, listed := refusals[v.Want]
			if !known || !listed && v.Want != "accept" {
				t.Fatalf("unknown kind %q or verdict %q", v.Kind, v.Want)
			}
			if err := check(t, v); !errors.Is(err, want) {
				t.Errorf("%v, want %s", err, v.Want)
			}
		})
	}
	for kind := range checks {
		if !seen[kind] {
			t.Errorf("no vector of kind %s", kind)
		}
	}
	for reason := range refusals {
		if !seen[reason] {
			t.Errorf("no vector refused for %s", reason)
		}
	}
}

func itemKey(t *testing.T, line string) ItemKey {
	t.Helper()
	key, err := ParseItemKey(line)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func digest(t *testing.T, s string) (d [32]byte) {
	t.Helper()
	if n, err := hex.Decode(d[:], []byte(s)); err != nil || n != len(d) {
		t.Fatal("not a digest")
	}
	return d
}

func same(t *testing.T, got, want string, err error) error {
	t.Helper()
	if err == nil && got != want {
		t.Errorf("%q, want %q", got, want)
	}
	return err
}
