package audit

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
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
	early := b.head()
	b.grow(5)
	b.publish()
	_, err = f.Step(t.Context())
	check(t, err)
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
	b.grow(2)
	b.publish()
	_, err = f.Step(t.Context())
	check(t, err)
	if _, _, err := f.Cosign(b.head(), slow, now); err == nil || !bytes.Contains(stored, []byte(`"size":30`)) || bytes.Contains(before, []byte(`"size":30`)) {
		t.Fatalf("%v, stored %s", err, stored)
	}
	if _, _, err := f.Cosign(early, c, now); !errors.Is(err, ErrBehind) {
		t.Fatalf("smaller than before: %v", err)
	}
	b.grow(1)
	if _, _, err := f.Cosign(b.head(), c, now); !errors.Is(err, ErrBehind) {
		t.Fatalf("not verified yet: %v", err)
	}
	if _, _, err := f.Cosign(b.sign(30, tlog.Hash{1}), c, now); ReasonOf(err) != TwoRoots {
		t.Fatalf("another root: %v", err)
	}
	f.HashesOnly = true
	if _, _, err := f.Cosign(b.headAt(30), c, now); !errors.Is(err, ErrBehind) {
		t.Fatalf("the map was not followed: %v", err)
	}
	f.HashesOnly = false
	_, err = f.State.Keep(&Alarm{Reason: TwoRoots, Newer: b.head(), Entry: -1})
	check(t, err)
	if _, _, err := f.Cosign(b.headAt(30), c, now); !errors.Is(err, ErrAlarms) {
		t.Fatalf("an alarm stands: %v", err)
	}
}

// TestCosignable: who signs vouches for the publications that were shown, so it signs a state only right after one of these.
func TestCosignable(t *testing.T) {
	b := newBook(t)
	dir := t.TempDir()
	var sizes []int64
	for range 3 {
		b.grow(3)
		b.publish()
		sizes = append(sizes, b.size())
	}
	b.grow(1)
	f := b.follow(dir)
	if len(f.State.Cosignable()) > 0 {
		t.Error("before anything was verified")
	}
	_, err := f.Step(t.Context())
	check(t, err)
	c := newCosigner(t, "a")
	sign := func(f *Follower) (signed []int64) {
		for size := int64(1); size <= b.size(); size++ {
			switch _, _, err := f.Cosign(b.headAt(size), c, now); {
			case err == nil:
				signed = append(signed, size)
			case !errors.Is(err, ErrBehind):
				t.Fatal(err)
			}
		}
		return signed
	}
	if got := f.State.Cosignable(); !slices.Equal(got, sizes) {
		t.Errorf("may sign %v, the publications end %v", got, sizes)
	}
	if got := sign(f); !slices.Equal(got, sizes) {
		t.Errorf("signed %v, the publications end %v", got, sizes)
	}
	if got := f.State.Cosignable(); !slices.Equal(got, sizes[2:]) {
		t.Errorf("may sign %v after %d", got, sizes[2])
	}
	check(t, f.State.Close())

	// An earlier version did not keep where publications stand, but for the last.
	var older kept
	check(t, readDoc(filepath.Join(dir, stateDoc), &older))
	older.Recent, older.Cosigned = nil, nil
	check(t, writeDoc(filepath.Join(dir, stateDoc), older, func() {}))
	f = b.follow(dir)
	if got := sign(f); !slices.Equal(got, sizes[2:]) {
		t.Errorf("signed %v by the folder of an earlier version", got)
	}
	b.publish()
	_, err = f.Step(t.Context())
	check(t, err)
	if got := sign(f); !slices.Equal(got, []int64{sizes[2], b.size()}) {
		t.Errorf("signed %v after it went on", got)
	}

	// However many there were, as many are remembered as a folder should hold.
	for range maxRecent {
		b.grow(1)
		b.publish()
	}
	_, err = f.Step(t.Context())
	check(t, err)
	if got := f.State.Cosignable(); len(got) != maxRecent || got[maxRecent-1] != b.size() {
		t.Errorf("%d may be signed", len(got))
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
