package keys

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"filippo.io/mldsa"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature/kms/fake"

	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/tlog"
)

var _ custody.Signer = (*Signer)(nil)

func verifies(public crypto.PublicKey, message, sig []byte) bool {
	switch key := public.(type) {
	case *ecdsa.PublicKey:
		digest := sha256.Sum256(message)
		return ecdsa.VerifyASN1(key, digest[:], sig)
	case ed25519.PublicKey:
		return ed25519.Verify(key, message, sig)
	case *mldsa.PublicKey:
		return mldsa.Verify(key, message, sig, nil) == nil
	}
	return false
}

func TestCreateAndOpen(t *testing.T) {
	for _, algorithm := range []Algorithm{P256, Ed25519, MLDSA44} {
		for _, passphrase := range []string{"", "correct horse"} {
			path := filepath.Join(t.TempDir(), "key.pem")
			made, err := Create(path, algorithm, []byte(passphrase))
			if err != nil {
				t.Fatal(err)
			}
			if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
				t.Errorf("key file has mode %v", info.Mode())
			}
			text, _ := os.ReadFile(path)
			if Encrypted(text) != (passphrase != "") {
				t.Errorf("%s: encrypted = %v with passphrase %q", algorithm, Encrypted(text), passphrase)
			}
			opened, err := Open(context.Background(), path, []byte(passphrase))
			if err != nil {
				t.Fatal(err)
			}
			message := []byte("a message")
			sig, err := opened.Sign(message)
			if err != nil || !verifies(made.Public(), message, sig) || opened.Algorithm() != algorithm {
				t.Errorf("%s: signature of the opened key does not verify under the made one: %v", algorithm, err)
			}
			if _, err := Create(path, algorithm, nil); !errors.Is(err, fs.ErrExist) {
				t.Errorf("a key was made over another: %v", err)
			}
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "key.pem")
	if _, err := Create(path, P256, []byte("right")); err != nil {
		t.Fatal(err)
	}
	for _, wrong := range []string{"", "wrong"} {
		if _, err := Open(context.Background(), path, []byte(wrong)); !errors.Is(err, ErrPassphrase) {
			t.Errorf("passphrase %q: %v", wrong, err)
		}
	}
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	text, _ := cryptoutils.MarshalPrivateKeyToPEM(p384)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	p256, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	text256, _ := cryptoutils.MarshalPrivateKeyToPEM(p256)
	plain, _ := pem.Decode(text256)
	for name, content := range map[string][]byte{
		"p384": text, "noise": []byte("not a key"), "huge": make([]byte, maxKeyFile+1), "endless": endless,
		"something before": append([]byte("Note: \n"), good...), "something after": append(good[:len(good):len(good)], good...),
		"a header":      pem.EncodeToMemory(&pem.Block{Type: plain.Type, Headers: map[string]string{"Proc-Type": "4,ENCRYPTED"}, Bytes: plain.Bytes}),
		"another label": pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: plain.Bytes}),
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(context.Background(), path, []byte("right")); !errors.Is(err, ErrUnsupported) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, content := range map[string][]byte{
		"greedy": greedy, "not encrypted at all": pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED SIGSTORE PRIVATE KEY", Bytes: plain.Bytes}),
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, passphrase := range []string{"", "right"} {
			if _, err := Open(context.Background(), path, []byte(passphrase)); !errors.Is(err, ErrPassphrase) {
				t.Errorf("%s, %q: %v", name, passphrase, err)
			}
		}
	}
	if _, err := Open(context.Background(), filepath.Join(dir, "missing"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	if _, err := Open(context.Background(), "nosuchkms://key", nil); err == nil {
		t.Error("an unknown KMS was opened")
	}
}

// A key in a KMS signs events and checkpoints as a key file does.
func TestKMS(t *testing.T) {
	private, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ctx := context.WithValue(context.Background(), fake.KmsCtxKey{}, private)
	s, err := Open(ctx, fake.ReferenceScheme+"vault", nil)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := s.Sign([]byte("a message"))
	if err != nil || !verifies(private.Public(), []byte("a message"), sig) {
		t.Fatalf("signature of the KMS key does not verify: %v", err)
	}
	signer, err := s.NoteSigner("vault.example")
	if err != nil {
		t.Fatal(err)
	}
	cp := tlog.Checkpoint{Origin: "vault.example", Size: 1, Root: tlog.LeafHash([]byte("leaf"))}
	note, err := tlog.SignCheckpoint(cp, signer)
	if err != nil {
		t.Fatal(err)
	}
	trusted, _ := tlog.NewLogKeys("vault.example", s.Public())
	if got, err := tlog.OpenCheckpoint(note, trusted); err != nil || got != cp {
		t.Errorf("checkpoint signed by the KMS key: %v, %v", got, err)
	}
}
