// Package objectstest tells whether an object store keeps the contract of [objects.Store].
// A store's own test is a call of [Run]; what only that store promises it tests besides.
package objectstest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"testing"

	"strongroom.example/strongroom/internal/objects"
)

// Suite is the store under test.
type Suite struct {
	// Open opens the store at place, an empty folder's path at first, and makes it if there
	// is none. Another call with the same place opens the same store, in the same process
	// after a crash that nobody noticed, or in another one.
	Open func(place string) (objects.Store, error)

	// Shared says that several processes may work on one place at once.
	Shared bool

	// Damage changes the bytes of an object behind the store's back.
	Damage func(place string, d objects.Digest, change func([]byte) []byte) error
}

// Run runs the suite. It runs the test binary again for what has to be killed, so it is to be
// called once, by a top-level test.
func Run(t *testing.T, s Suite) {
	if place := os.Getenv(childPlace); place != "" {
		s.child(t, place)
		return
	}
	t.Run("Leaks", func(t *testing.T) { testLeaks(t, s.start(t)) }) // alone
	for _, test := range []struct {
		name string
		run  func(*testing.T, *bench)
	}{
		{"Create", testCreate},
		{"CreateRace", testCreateRace},
		{"Append", testAppend},
		{"AppendOffset", testAppendOffset},
		{"AppendBroken", testAppendBroken},
		{"AppendCancelled", testAppendCancelled},
		{"AppendTurns", testAppendTurns},
		{"Resume", testResume},
		{"Blocks", testBlocks},
		{"StageOpen", testStageOpen},
		{"StageList", testStageList},
		{"Commit", testCommit},
		{"CommitRace", testCommitRace},
		{"CommitDamaged", testCommitDamaged},
		{"Ranges", testRanges},
		{"List", testList},
		{"Verify", testVerify},
		{"Remove", testRemove},
		{"Retain", testRetain},
		{"Hold", testHold},
		{"LockLasts", testLockLasts},
		{"Alternate", testAlternate},
		{"HandedOn", testHandedOn},
		{"AppendBoth", testAppendBoth},
		{"TakenOver", testTakenOver},
		{"EndsUnderAppend", testEndsUnderAppend},
		{"RetainBoth", testRetainBoth},
		{"Killed", testKilled},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(t, s.start(t))
		})
	}
}

func (s Suite) start(t *testing.T) *bench {
	b := &bench{suite: s, place: t.TempDir()}
	b.Store = b.reopen(t)
	return b
}

// bench is a fresh store and the place to open it again.
type bench struct {
	objects.Store
	suite Suite
	place string
}

// reopen opens another instance on the same place.
func (b *bench) reopen(t *testing.T) objects.Store {
	t.Helper()
	s, err := b.suite.Open(b.place)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// content is size bytes that differ for every seed and have no period.
func content(seed byte, size int) []byte {
	b := make([]byte, size)
	rand.NewChaCha8([32]byte{seed, 's', 'e', 'e', 'd'}).Read(b)
	return b
}

func digest(b []byte) objects.Digest { return sha256.Sum256(b) }

// fill appends what is missing of b to an upload, as often as the store asks for it.
func fill(ctx context.Context, s objects.Store, id string, b []byte) error {
	return fillUntil(ctx, s, id, b, len(b))
}

// fillUntil is fill for the first bytes of b.
func fillUntil(ctx context.Context, s objects.Store, id string, b []byte, until int) error {
	info, err := s.StageInfo(ctx, id)
	if err != nil {
		return err
	}
	for at := info.Offset; at < int64(until); {
		n, err := s.StageAppend(ctx, id, at, bytes.NewReader(b[at:until]))
		if err != nil {
			return err
		}
		if n == 0 {
			return errors.New("append makes no progress")
		}
		at += n
	}
	return nil
}

// stage makes a complete upload of b.
func stage(t *testing.T, s objects.Store, id string, b []byte) {
	t.Helper()
	must(t, s.StageCreate(t.Context(), id, int64(len(b))))
	must(t, fill(t.Context(), s, id, b))
}

// put makes an object of b.
func put(t *testing.T, s objects.Store, id string, b []byte) objects.Digest {
	t.Helper()
	stage(t, s, id, b)
	info, err := s.StageCommit(t.Context(), id, digest(b))
	must(t, err)
	if want := (objects.Info{Digest: digest(b), Size: int64(len(b))}); info != want {
		t.Fatalf("StageCommit = %v, want %v", info, want)
	}
	return info.Digest
}

// holds fails the test unless object d has the bytes b.
func holds(t *testing.T, s objects.Store, d objects.Digest, b []byte) {
	t.Helper()
	o, err := s.Open(t.Context(), d)
	must(t, err)
	defer o.Close()
	got, err := io.ReadAll(o)
	must(t, err)
	if !bytes.Equal(got, b) || o.Size() != int64(len(b)) {
		t.Fatalf("object of %d bytes, Size %d, has not the %d it was made of", len(got), o.Size(), len(b))
	}
}

// absent fails the test unless there is no object d.
func absent(t *testing.T, s objects.Store, d objects.Digest) {
	t.Helper()
	_, err := s.Open(t.Context(), d)
	is(t, err, objects.ErrNotFound)
	_, _, err = s.Stat(t.Context(), d)
	is(t, err, objects.ErrNotFound)
	_, err = s.Verify(t.Context(), d)
	is(t, err, objects.ErrNotFound)
	list, err := s.List(t.Context(), objects.Digest{}, 1000)
	must(t, err)
	for _, info := range list {
		if info.Digest == d {
			t.Fatal("absent object is listed")
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func is(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error is %v, want %v", err, want)
	}
}
