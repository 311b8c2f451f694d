package audit

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	cosignature "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"

	"strongroom.example/strongroom/internal/tlog"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func newCosigner(t testing.TB, name string) *Cosigner {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	check(t, err)
	c, err := NewCosigner(name, public, func(m []byte) ([]byte, error) { return ed25519.Sign(private, m), nil })
	check(t, err)
	return c
}

// TestCosign cosigns what was verified, so that who knows the key alone verifies it, and a policy that names it counts it.
func TestCosign(t *testing.T) {
	b := newBook(t)
	b.grow(20)
	b.publish()
	f := b.follow(t.TempDir())
	_, err := f.Step(t.Context())
	check(t, err)
	c := newCosigner(t, "auditor.example/key-1")
	early := b.headAt(15)
	for _, signed := range [][]byte{early, b.head(), b.head()} {
		line, cp, err := f.Cosign(signed, c, now)
		check(t, err)
		v := must(cosignature.NewVerifierForCosignatureV1(c.VerifierKey()))
		n := must(note.Open(append(slices.Clone(signed), line...), note.VerifierList(v)))
		if at := must(cosignature.CoSigV1Timestamp(n.Sigs[0])); len(n.Sigs) != 1 || !at.Equal(now) {
			t.Fatal("another cosignature")
		}
		p := must(tlog.ParsePolicy("witness one " + c.VerifierKey() + " https://auditor.example\ngroup auditors all one\nquorum none\n"))
		if got := must(p.Cosigned(append(slices.Clone(signed), line...))); !got.Audited || cp.Size == 0 {
			t.Fatal("not counted")
		}
	}
	// What was cosigned is durable before the signature is made.
	var stored []byte
	slow, err := NewCosigner("slow", make(ed25519.PublicKey, ed25519.PublicKeySize), func([]byte) ([]byte, error) {
		stored = must(os.ReadFile(f.State.path(stateDoc)))
		return nil, errors.New("no power")
	})
	check(t, err)
	before := must(os.ReadFile(f.State.path(stateDoc)))
	b.grow(4)
	b.publish()
	_, err = f.Step(t.Context())
	check(t, err)
	if _, _, err := f.Cosign(b.head(), slow, now); err == nil || !bytes.Contains(stored, []byte(`"size":26`)) || bytes.Contains(before, []byte(`"size":26`)) {
		t.Fatalf("%v, stored %s", err, stored)
	}
	if _, _, err := f.Cosign(early, c, now); !errors.Is(err, ErrBehind) {
		t.Fatalf("smaller than before: %v", err)
	}
	b.grow(1)
	if _, _, err := f.Cosign(b.head(), c, now); !errors.Is(err, ErrBehind) {
		t.Fatalf("not verified yet: %v", err)
	}
	if _, _, err := f.Cosign(b.sign(26, tlog.Hash{1}), c, now); ReasonOf(err) != TwoRoots {
		t.Fatalf("another root: %v", err)
	}
	f.HashesOnly = true
	if _, _, err := f.Cosign(b.headAt(26), c, now); !errors.Is(err, ErrBehind) {
		t.Fatalf("the map was not followed: %v", err)
	}
	f.HashesOnly = false
	_, err = f.State.Keep(&Alarm{Reason: TwoRoots, Newer: b.head(), Entry: -1})
	check(t, err)
	if _, _, err := f.Cosign(b.headAt(26), c, now); !errors.Is(err, ErrAlarms) {
		t.Fatalf("an alarm stands: %v", err)
	}
}

// TestCosignAfterAForeignHead refuses a fork of what was verified, smaller or of one size.
func TestCosignAfterAForeignHead(t *testing.T) {
	b := newBook(t)
	b.grow(20)
	b.publish()
	f := b.follow(t.TempDir())
	_, err := f.Step(t.Context())
	check(t, err)
	_, _, err = f.Cosign(b.sign(11, tlog.Hash{1}), newCosigner(t, "a"), now)
	var a *Alarm
	if !errors.As(err, &a) || a.Reason != Forked || a.Split == nil {
		t.Fatal(err)
	}
	if f.State.kept.Cosigned != nil {
		t.Fatal("remembered as cosigned")
	}
}

func TestNamesOfKeys(t *testing.T) {
	public, _, err := ed25519.GenerateKey(nil)
	check(t, err)
	for _, name := range []string{"", "two words", "plus+plus", "é", "a\nb", strings.Repeat("a", 129)} {
		if _, err := NewCosigner(name, public, nil); err == nil {
			t.Errorf("%q was taken", name)
		}
	}
}
