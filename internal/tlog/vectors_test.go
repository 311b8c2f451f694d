package tlog

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// readVectors reads a file of api/vectors/tlog, written by generate.py there,
// whose cases have an input of type T.
func readVectors[T any](t testing.TB, file string) (vectors []vector[T]) {
	data, err := os.ReadFile(filepath.Join("..", "..", "api", "vectors", "tlog", file))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &vectors); err != nil {
		t.Fatal(err)
	}
	if len(vectors) == 0 {
		t.Fatal("no vectors")
	}
	return vectors
}

type vector[T any] struct {
	Name   string          `json:"name"`
	Input  T               `json:"input"`
	Expect json.RawMessage `json:"expect"`
}

// forEachVector runs every case and compares the reason of its refusal with
// the one the vector states.
func forEachVector[T any](t *testing.T, file string, run func(t *testing.T, in T) error) {
	for _, v := range readVectors[T](t, file) {
		t.Run(v.Name, func(t *testing.T) {
			var want struct {
				Refuse string `json:"refuse"`
			}
			if string(v.Expect) != `"accept"` {
				if err := json.Unmarshal(v.Expect, &want); err != nil || want.Refuse == "" {
					t.Fatal("expect is neither accept nor a refusal")
				}
			}
			err := run(t, v.Input)
			var refusal *Error
			got := ""
			if errors.As(err, &refusal) {
				got = string(refusal.Reason)
			} else if err != nil {
				t.Fatalf("error without a reason: %v", err)
			}
			if got != want.Refuse {
				t.Fatalf("got %q (%v), want %q", got, err, want.Refuse)
			}
		})
	}
}

type checkpointInput struct {
	Origin string   `json:"origin"`
	Keys   [][]byte `json:"keys"`
	Note   string   `json:"note"`
}

func TestCheckpointVectors(t *testing.T) {
	forEachVector(t, "checkpoints.json", func(t *testing.T, in checkpointInput) error {
		var keys []crypto.PublicKey
		for _, der := range in.Keys {
			key, err := x509.ParsePKIXPublicKey(der)
			if err != nil {
				t.Fatal(err)
			}
			keys = append(keys, key)
		}
		trusted, err := NewLogKeys(in.Origin, keys...)
		if err != nil {
			t.Fatal(err)
		}
		cp, err := OpenCheckpoint([]byte(in.Note), trusted)
		if err == nil && !bytes.HasPrefix([]byte(in.Note), append(cp.Marshal(), '\n')) {
			t.Error("checkpoint is not the note's text")
		}
		return err
	})
}

type proofInput struct {
	Kind     string   `json:"kind"`
	LeafHash string   `json:"leaf_hash"`
	Index    int64    `json:"index"`
	OldSize  int64    `json:"old_size"`
	OldRoot  string   `json:"old_root"`
	Size     int64    `json:"size"`
	Root     string   `json:"root"`
	Proof    []string `json:"proof"`
}

func TestProofVectors(t *testing.T) {
	forEachVector(t, "proofs.json", func(t *testing.T, in proofInput) error {
		var hashes [][]byte
		for _, s := range in.Proof {
			h, err := hex.DecodeString(s)
			if err != nil {
				t.Fatal(err)
			}
			hashes = append(hashes, h)
		}
		cp := Checkpoint{"vault.example", in.Size, mustHash(t, in.Root)}
		if in.Kind == "consistency" {
			return VerifyConsistency(Checkpoint{"vault.example", in.OldSize, mustHash(t, in.OldRoot)}, cp, hashes)
		}
		leaf := mustHash(t, in.LeafHash)
		got, err := VerifyInclusion(leaf, in.Index, hashes, cp)
		if err != nil {
			if got != (Included{}) {
				t.Error("refused, but a fact was returned")
			}
			return err
		}
		if got.LeafHash() != leaf || got.Index() != in.Index || got.Checkpoint() != cp {
			t.Error("the fact is another one")
		}
		return nil
	})
}

type trustInput struct {
	Trust       string `json:"trust"`
	Fingerprint string `json:"fingerprint"`
	Groups      string `json:"groups"`
	Witnesses   bool   `json:"requires_witnesses"`
	Auditors    bool   `json:"requires_auditors"`
	Timestamps  bool   `json:"requires_timestamps"`
}

func TestTrustVectors(t *testing.T) {
	forEachVector(t, "trust.json", func(t *testing.T, in trustInput) error {
		trust, err := ParseTrust([]byte(in.Trust))
		if err != nil {
			return err
		}
		if trust.Fingerprint().String() != in.Fingerprint || SixGroups(trust.Fingerprint()) != in.Groups {
			t.Error("fingerprint")
		}
		if trust.RequiresWitnesses() != in.Witnesses || trust.RequiresAuditors() != in.Auditors || trust.RequiresTimestamps() != in.Timestamps {
			t.Error("what the file requires")
		}
		if !bytes.Contains(trust.Marshal(), trust.TrustedRoot()) {
			t.Error("the trusted root is not the one in the file")
		}
		return nil
	})
}

type receiptInput struct {
	Trust    string `json:"trust"`
	Receipt  string `json:"receipt"`
	Index    int64  `json:"index"`
	LeafHash string `json:"leaf_hash"`
	Signer   string `json:"signer"`
}

func TestReceiptVectors(t *testing.T) {
	forEachVector(t, "receipts.json", func(t *testing.T, in receiptInput) error {
		trust, err := ParseTrust([]byte(in.Trust))
		if err != nil {
			t.Fatal(err)
		}
		r, err := ParseReceipt([]byte(in.Receipt))
		if err != nil {
			return err
		}
		included, err := r.Verify(trust.LogKeys())
		if err != nil {
			return err
		}
		if included.Index() != in.Index || included.LeafHash().String() != in.LeafHash || LeafHash(r.Leaf()) != included.LeafHash() {
			t.Error("another leaf is included")
		}
		if _, _, _, keyid := r.DSSE(); keyid != in.Signer {
			t.Error("key id")
		}
		return nil
	})
}

type fingerprintInput struct {
	Hash  string `json:"hash"`
	Typed string `json:"typed"`
}

func TestFingerprintVectors(t *testing.T) {
	forEachVector(t, "fingerprints.json", func(t *testing.T, in fingerprintInput) error {
		typed, err := ParseSixGroups(in.Typed)
		if err == nil && typed != SixGroups(mustHash(t, in.Hash)) {
			t.Error("not what is shown")
		}
		return err
	})
}

func mustHash(t *testing.T, s string) Hash {
	h, err := ParseHash(s)
	if err != nil {
		t.Fatal(err)
	}
	return h
}
