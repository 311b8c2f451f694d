package heads

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// vector is one case of api/vectors/heads, written by generate.py there.
type vector struct {
	Name  string `json:"name"`
	Input struct {
		Entries int    `json:"entries"`
		Claim   string `json:"claim"`
		Root    string `json:"root"`
		Key     string `json:"key"`
		Value   string `json:"value"`
		Proof   string `json:"proof"`
	} `json:"input"`
	Expect json.RawMessage `json:"expect"`
}

func forEachVector(t *testing.T, file string, run func(v vector) error) {
	data, err := os.ReadFile(filepath.Join("..", "..", "api", "vectors", "heads", file))
	if err != nil {
		t.Fatal(err)
	}
	var vectors []vector
	if err := json.Unmarshal(data, &vectors); err != nil {
		t.Fatal(err)
	}
	if len(vectors) == 0 {
		t.Fatal("no vectors")
	}
	for _, v := range vectors {
		t.Run(v.Name, func(t *testing.T) {
			var want struct {
				Refuse string `json:"refuse"`
			}
			if string(v.Expect) != `"accept"` {
				if err := json.Unmarshal(v.Expect, &want); err != nil || want.Refuse == "" {
					t.Fatal("expect is neither accept nor a refusal")
				}
			}
			got := ""
			if err := run(v); err != nil {
				got = err.Error()
			}
			if got != want.Refuse {
				t.Fatalf("got %q, want %q", got, want.Refuse)
			}
		})
	}
}

func TestRootVectors(t *testing.T) {
	forEachVector(t, "roots.json", func(v vector) error {
		tree, err := Build(numbered(v.Input.Entries))
		if err != nil {
			return err
		}
		m := mapOf(t, numbered(v.Input.Entries))
		if m.Root() != tree.Root() {
			t.Fatal("map and tree have different roots")
		}
		if tree.Root() != unhex(t, v.Input.Root) {
			return ErrRoot
		}
		return nil
	})
}

func TestProofVectors(t *testing.T) {
	forEachVector(t, "proofs.json", func(v vector) error {
		p, err := ParseProof([]byte(v.Input.Proof))
		if err != nil {
			return err
		}
		root, key := unhex(t, v.Input.Root), unhex(t, v.Input.Key)
		if v.Input.Claim == "absent" {
			return p.VerifyAbsent(root, key)
		}
		return p.VerifyMember(root, key, unhex(t, v.Input.Value))
	})
}

// numbered returns the first n entries of the rule in generate.py.
func numbered(n int) []Entry {
	entries := make([]Entry, n)
	for i := range entries {
		tag := sha256.Sum256(fmt.Appendf(nil, "tag %d", i/10))
		entries[i] = Entry{
			Key:   Key(tag, uint64(i%10)),
			Value: sha256.Sum256(fmt.Appendf(nil, "value %d", i)),
		}
	}
	return entries
}

func unhex(t *testing.T, s string) [32]byte {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != 32 {
		t.Fatal("vector has no hash where one is due")
	}
	return [32]byte(b)
}
