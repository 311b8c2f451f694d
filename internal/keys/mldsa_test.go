package keys

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"strongroom.example/strongroom/internal/tlog"
)

// rfc9881 is the example of RFC 9881 for a private key of ML-DSA-44 as its seed, which is the bytes 0 to 31.
func rfc9881() []byte {
	der := []byte("\x30\x34\x02\x01\x00\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x03\x11\x04\x22\x80\x20")
	for i := range byte(32) {
		der = append(der, i)
	}
	return der
}

func TestMLDSAForm(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: rfc9881()}), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Open(context.Background(), path, nil)
	if err != nil || s.Algorithm() != MLDSA44 {
		t.Fatalf("the example of RFC 9881: %v", err)
	}
	// The public key that the same example has (RFC 9881, appendix C.1.2).
	if want := []byte("\x30\x82\x05\x32\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x03\x11\x03\x82\x05\x21\x00\xd7\xb2\xb4\x72\x54\xaa"); !bytes.HasPrefix(s.SPKI(), want) || len(s.SPKI()) != 1334 {
		t.Errorf("%d bytes, %x…", len(s.SPKI()), s.SPKI()[:30])
	}
	der := rfc9881()
	for name, other := range map[string][]byte{"shorter": der[:53], "longer": append(bytes.Clone(der), 0), "its seed alone": der[22:]} {
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: other}), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(context.Background(), path, nil); !errors.Is(err, ErrUnsupported) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What the log signs with a key of ML-DSA-44 verifies under the line by which a policy names it, and no changed byte of it does.
func TestMLDSANote(t *testing.T) {
	const origin = "vault.example"
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	primary, err := load(private)
	if err != nil {
		t.Fatal(err)
	}
	own, err := Create(filepath.Join(t.TempDir(), "key.pem"), MLDSA44, nil)
	if err != nil {
		t.Fatal(err)
	}
	first, err := primary.NoteSigner(origin)
	if err != nil {
		t.Fatal(err)
	}
	second, err := own.NoteSigner(origin)
	if err != nil {
		t.Fatal(err)
	}
	note, err := tlog.SignCheckpoint(tlog.Checkpoint{Origin: origin, Size: 7, Root: tlog.Hash{1}}, first, second)
	if err != nil {
		t.Fatal(err)
	}
	named, err := own.PolicyKey(origin)
	if err != nil {
		t.Fatal(err)
	}
	policy, err := tlog.ParsePolicy("log " + named + "\nquorum none\n")
	if err != nil || len(policy.Logs()) != 1 || policy.Logs()[0] != named {
		t.Fatalf("the policy names %q: %v", policy.Logs(), err)
	}
	lines := strings.SplitAfter(string(note), "\n")
	if len(lines) != 7 || !strings.HasPrefix(lines[5], "— "+origin+" ") || len(lines[5]) < 3200 {
		t.Fatalf("%q", lines)
	}
	if _, err := primary.PolicyKey(origin); !errors.Is(err, ErrUnsupported) {
		t.Errorf("an ECDSA key in a log line: %v", err)
	}
}

// BenchmarkCheckpoint signs a checkpoint with each kind of key.
func BenchmarkCheckpoint(b *testing.B) {
	for _, algorithm := range []Algorithm{P256, Ed25519, MLDSA44} {
		b.Run(string(algorithm), func(b *testing.B) {
			s, err := Create(filepath.Join(b.TempDir(), "key.pem"), algorithm, nil)
			if err != nil {
				b.Fatal(err)
			}
			signer, err := s.NoteSigner("vault.example")
			if err != nil {
				b.Fatal(err)
			}
			cp := tlog.Checkpoint{Origin: "vault.example", Size: 7, Root: tlog.Hash{1}}
			b.ResetTimer()
			for b.Loop() {
				note, err := tlog.SignCheckpoint(cp, signer)
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(len(note)), "bytes")
			}
		})
	}
}
