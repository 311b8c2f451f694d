package keys

import (
	"context"
	"crypto/elliptic"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"crypto/ecdsa"
	"crypto/rand"

	"github.com/sigstore/sigstore/pkg/cryptoutils"
)

// plugin builds a real plugin of sigstore's protocol, puts it on the PATH, and returns the folder that is its KMS.
func plugin(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	out, err := exec.Command("go", "build", "-o", filepath.Join(dir, "sigstore-kms-pemfile"), "./testdata/plugin").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Setenv("PATH", dir+string(filepath.ListSeparator)+os.Getenv("PATH"))
	return dir
}

// A key behind a plugin signs as a key file does. Whatever the plugin does wrong is ErrKMS within the time it has, never a signature, and is
// over when the plugin is well again.
func TestPlugin(t *testing.T) {
	dir := plugin(t)
	before := patience
	patience = 20 * time.Second // for a machine with much to do
	defer func() { patience = before }()
	for _, algorithm := range []Algorithm{P256, Ed25519} {
		path := filepath.Join(dir, string(algorithm)+".pem")
		made, err := Create(path, algorithm, nil)
		if err != nil {
			t.Fatal(err)
		}
		s, err := Open(context.Background(), "pemfile://"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		message := []byte("a message")
		if sig, err := s.Sign(message); err != nil || !verifies(made.Public(), message, sig) {
			t.Fatalf("%s: %v", algorithm, err)
		}
		for _, mode := range []string{"refuse", "die", "noise", "empty", "wrong", "hang", "leave"} {
			if err := os.WriteFile(path+".mode", []byte(mode), 0o600); err != nil {
				t.Fatal(err)
			}
			patience = before
			if mode == "hang" || mode == "leave" {
				patience = 300 * time.Millisecond
			}
			if sig, err := s.Sign(message); !errors.Is(err, ErrKMS) || sig != nil {
				t.Errorf("%s, %s: %d bytes, %v", algorithm, mode, len(sig), err)
			}
		}
		patience = before
		if err := os.Remove(path + ".mode"); err != nil {
			t.Fatal(err)
		}
		if sig, err := s.Sign(message); err != nil || !verifies(made.Public(), message, sig) {
			t.Errorf("%s, well again: %v", algorithm, err)
		}
	}

	// Another key behind the same name signs nothing.
	path := filepath.Join(dir, "turned.pem")
	if _, err := Create(path, P256, nil); err != nil {
		t.Fatal(err)
	}
	s, err := Open(context.Background(), "pemfile://"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := Create(path, P256, nil); err != nil {
		t.Fatal(err)
	}
	if sig, err := s.Sign([]byte("a message")); !errors.Is(err, ErrKMS) || sig != nil {
		t.Errorf("signed with another key than the one that was opened: %v", err)
	}

	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	text, _ := cryptoutils.MarshalPrivateKeyToPEM(p384)
	if err := os.WriteFile(filepath.Join(dir, "p384.pem"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(context.Background(), "pemfile://"+filepath.Join(dir, "p384.pem"), nil); !errors.Is(err, ErrUnsupported) {
		t.Errorf("a P-384 key: %v", err)
	}
	for _, name := range []string{"pemfile://" + filepath.Join(dir, "missing.pem"), "nosuchkms://key", "://"} {
		if _, err := Open(context.Background(), name, nil); !errors.Is(err, ErrKMS) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// behaving opens a key through a plugin that behaves in a mode from then on.
func behaving(t *testing.T, mode string) (dir string, s *Signer) {
	t.Helper()
	dir = plugin(t)
	path := filepath.Join(dir, "key.pem")
	if _, err := Create(path, P256, nil); err != nil {
		t.Fatal(err)
	}
	s, err := Open(context.Background(), "pemfile://"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".mode", []byte(mode), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir, s
}

// What a plugin says of its error is repeated in plain words alone, and not at length.
func TestPluginTellsNoSecret(t *testing.T) {
	dir, s := behaving(t, "tell")
	_, err := s.Sign([]byte("a message"))
	if !errors.Is(err, ErrKMS) || !strings.Contains(err.Error(), "permission denied (403) for … at … blah") || len(err.Error()) > mostSaid+100 {
		t.Errorf("%v", err)
	}
	for _, secret := range []string{"hvs.", "secret", "user", "kms.example", "\n"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("it repeats %q", secret)
		}
	}
	for _, name := range []string{"pemfile://" + filepath.Join(dir, "missing-7.pem"), "nosuchkms://token-7"} {
		if _, err := Open(context.Background(), name, nil); !errors.Is(err, ErrKMS) || strings.Contains(err.Error(), "-7") {
			t.Errorf("%v", err)
		}
	}
}

// A plugin that leaves processes behind, each of which keeps an answer open, is asked no more once there are some.
func TestPluginLeavesFew(t *testing.T) {
	dir, s := behaving(t, "leave")
	before := patience
	patience = 300 * time.Millisecond
	defer func() { patience = before }()
	for range mostAsked + 4 {
		if _, err := s.Sign([]byte("a message")); !errors.Is(err, ErrKMS) {
			t.Errorf("%v", err)
		}
	}
	left, err := filepath.Glob(filepath.Join(dir, "key.pem.left-*"))
	if err != nil || len(left) > mostAsked {
		t.Errorf("%d processes were left, %v", len(left), err)
	}
	for _, name := range left {
		if pid, err := strconv.Atoi(name[strings.LastIndex(name, "-")+1:]); err == nil {
			if p, err := os.FindProcess(pid); err == nil {
				p.Kill()
			}
		}
	}
}
