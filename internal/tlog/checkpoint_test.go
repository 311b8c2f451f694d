package tlog

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"sync"
	"testing"

	formats "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
)

const testOrigin = "vault.example"

func newECDSA(t testing.TB) (*ecdsa.PrivateKey, note.Signer) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewECDSANoteSigner(testOrigin, &key.PublicKey, func(msg []byte) ([]byte, error) {
		digest := sha256.Sum256(msg)
		return ecdsa.SignASN1(rand.Reader, key, digest[:])
	})
	if err != nil {
		t.Fatal(err)
	}
	return key, s
}

func newEd25519(t testing.TB) (ed25519.PublicKey, note.Signer) {
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewEd25519NoteSigner(testOrigin, pub, func(msg []byte) ([]byte, error) {
		return ed25519.Sign(key, msg), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return pub, s
}

// TestSignCheckpoint signs with both keys and opens the note with ours and with
// the verifiers of x/mod and transparency-dev/formats.
func TestSignCheckpoint(t *testing.T) {
	key, p256 := newECDSA(t)
	pub, ed := newEd25519(t)
	want := Checkpoint{testOrigin, 7, Hash{1}}
	signed, err := SignCheckpoint(want, p256, ed)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := NewLogKeys(testOrigin, &key.PublicKey, pub)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := OpenCheckpoint(signed, keys); err != nil || got != want {
		t.Fatalf("%v, %v", got, err)
	}

	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	vkey := fmt.Sprintf("%s+%08x+%s", testOrigin, p256.KeyHash(), base64.StdEncoding.EncodeToString(append([]byte{2}, der...)))
	theirs, err := formats.NewECDSAVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	edKey, err := note.NewEd25519VerifierKey(testOrigin, pub)
	if err != nil {
		t.Fatal(err)
	}
	theirEd, err := note.NewVerifier(edKey)
	if err != nil {
		t.Fatal(err)
	}
	n, err := note.Open(signed, note.VerifierList(theirs, theirEd))
	if err != nil || len(n.Sigs) != 2 {
		t.Fatalf("%v, %v", n, err)
	}
}

func TestSignRefusals(t *testing.T) {
	key, signer := newECDSA(t)
	good := Checkpoint{testOrigin, 1, Hash{1}}
	if _, err := SignCheckpoint(good); err == nil {
		t.Error("signed by nobody")
	}
	if _, err := SignCheckpoint(Checkpoint{"other.example", 1, Hash{1}}, signer); !errors.Is(err, ErrOrigin) {
		t.Errorf("signer of another log: %v", err)
	}
	if _, err := SignCheckpoint(Checkpoint{testOrigin, -1, Hash{1}}, signer); !errors.Is(err, ErrMalformed) {
		t.Errorf("negative size: %v", err)
	}
	if _, err := SignCheckpoint(Checkpoint{testOrigin, 0, Hash{1}}, signer); !errors.Is(err, ErrMalformed) {
		t.Errorf("empty tree with a root: %v", err)
	}

	broken := errors.New("key store away")
	for name, sign := range map[string]SignFunc{
		"fails":        func([]byte) ([]byte, error) { return nil, broken },
		"wrong answer": func([]byte) ([]byte, error) { return []byte("signature"), nil },
	} {
		s, err := NewECDSANoteSigner(testOrigin, &key.PublicKey, sign)
		if err != nil {
			t.Fatal(err)
		}
		if signed, err := SignCheckpoint(good, s); err == nil || signed != nil {
			t.Errorf("%s: handed out a note", name)
		}
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewECDSANoteVerifier(testOrigin, &p384.PublicKey); !errors.Is(err, ErrMalformed) {
		t.Errorf("P-384: %v", err)
	}
	if _, err := NewEd25519NoteVerifier(testOrigin, make([]byte, 31)); !errors.Is(err, ErrMalformed) {
		t.Errorf("short Ed25519 key: %v", err)
	}
	if _, err := NewLogKeys(testOrigin, &key.PublicKey, &key.PublicKey); !errors.Is(err, ErrMalformed) {
		t.Errorf("one key twice: %v", err)
	}
	if _, err := OpenCheckpoint(nil, LogKeys{}); err == nil {
		t.Error("no keys opened a checkpoint")
	}
}

// TestEveryByteOfCheckpoint changes each byte of a signed note: none opens, or
// it opens as the same checkpoint because only another's line has changed.
func TestEveryByteOfCheckpoint(t *testing.T) {
	key, signer := newECDSA(t)
	keys, err := NewLogKeys(testOrigin, &key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := SignCheckpoint(Checkpoint{testOrigin, 7, Hash{1}}, signer)
	if err != nil {
		t.Fatal(err)
	}
	for i := range signed {
		for _, mask := range []byte{1, 0x20, 0x80} {
			signed[i] ^= mask
			if _, err := OpenCheckpoint(signed, keys); err == nil {
				t.Errorf("byte %d changed, still opens", i)
			}
			signed[i] ^= mask
		}
	}
}

func FuzzParseCheckpoint(f *testing.F) {
	f.Add(Checkpoint{testOrigin, 7, Hash{1}}.Marshal())
	f.Add(Checkpoint{testOrigin, 0, emptyRoot}.Marshal())
	f.Add([]byte("vault.example\n07\nAQ==\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if cp, err := ParseCheckpoint(data); err == nil && string(cp.Marshal()) != string(data) {
			t.Fatal("parsed, but re-encodes to other bytes")
		}
	})
}

func FuzzOpenCheckpoint(f *testing.F) {
	vectors := readVectors[checkpointInput](f, "checkpoints.json")
	key, err := x509.ParsePKIXPublicKey(vectors[0].Input.Keys[0])
	if err != nil {
		f.Fatal(err)
	}
	keys, err := NewLogKeys(testOrigin, key)
	if err != nil {
		f.Fatal(err)
	}
	for _, v := range vectors {
		f.Add([]byte(v.Input.Note))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		cp, err := OpenCheckpoint(data, keys)
		if err != nil {
			return
		}
		if len(data) < len(cp.Marshal()) || string(data[:len(cp.Marshal())]) != string(cp.Marshal()) {
			t.Fatal("opened as another text")
		}
	})
}

// TestOpenedAgain opens more notes than are remembered, each several times and
// at once, under two sets of keys: what was opened before, under these keys or
// others, changes no answer.
func TestOpenedAgain(t *testing.T) {
	key, signer := newECDSA(t)
	other, stranger := newECDSA(t)
	ours, err := NewLogKeys(testOrigin, &key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := NewLogKeys(testOrigin, &other.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for size := int64(1); size <= 2*maxOpened; size++ {
		cp := Checkpoint{testOrigin, size, Hash{byte(size)}}
		by := signer
		if size%2 == 0 {
			by = stranger
		}
		note, err := SignCheckpoint(cp, by)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			all.Go(func() {
				note := bytes.Clone(note)
				for _, keys := range []LogKeys{ours, theirs} {
					got, err := OpenCheckpoint(note, keys)
					if (keys.opened == ours.opened) == (size%2 == 1) {
						if err != nil || got != cp {
							t.Errorf("size %d: %v, %v", size, got, err)
						}
					} else if !errors.Is(err, ErrLogKey) {
						t.Errorf("size %d, foreign keys: %v", size, err)
					}
				}
				note[len(note)-12] ^= 1 // in the signature
				if _, err := OpenCheckpoint(note, ours); err == nil {
					t.Errorf("size %d: opens with a changed signature", size)
				}
			})
		}
	}
	all.Wait()
}
