package keys

import (
	"context"
	"os"
	"path/filepath"
	"testing"
)

// FuzzOpen gives a vault anything for a key file: it panics at nothing, and what it opens signs and verifies.
func FuzzOpen(f *testing.F) {
	for _, algorithm := range []Algorithm{P256, Ed25519} {
		name := filepath.Join(f.TempDir(), "key.pem")
		if _, err := Create(name, algorithm, nil); err != nil {
			f.Fatal(err)
		}
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		name := filepath.Join(t.TempDir(), "key.pem")
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(context.Background(), name, nil)
		if err != nil {
			return
		}
		if _, err := s.Sign([]byte("message")); err != nil {
			t.Fatalf("opened, but it does not sign: %v", err)
		}
	})
}
