package objects

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
)

// reference is the tree of RFC 6962 §2.1 over the blocks of b, by another implementation.
func reference(t *testing.T, b []byte) [32]byte {
	r := (&compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}).NewEmptyRange(0)
	for len(b) > 0 {
		n := min(Block, len(b))
		if err := r.Append(rfc6962.DefaultHasher.HashLeaf(b[:n]), nil); err != nil {
			t.Fatal(err)
		}
		b = b[n:]
	}
	if r.End() == 0 {
		return [32]byte(rfc6962.DefaultHasher.EmptyRoot())
	}
	root, err := r.GetRootHash(nil)
	if err != nil {
		t.Fatal(err)
	}
	return [32]byte(root)
}

func TestSums(t *testing.T) {
	content := make([]byte, 7*Block+1)
	rand.NewChaCha8([32]byte{1}).Read(content)
	chunks := rand.New(rand.NewPCG(1, 2))
	for _, size := range []int{0, 1, Block - 1, Block, Block + 1, 2*Block - 1, 2 * Block, 2*Block + 1, 3 * Block, 5*Block - 1, 7 * Block, 7*Block + 1} {
		h, b := NewHasher(), content[:size]
		for rest := b; len(rest) > 0; {
			n := min(1+chunks.IntN(3<<20), len(rest))
			if got, err := h.Write(rest[:n]); got != n || err != nil {
				t.Fatalf("Write = %d, %v", got, err)
			}
			rest = rest[n:]
			h.Sums() // looking must not disturb
		}
		want := Sums{Size: int64(size), Digest: sha256.Sum256(b), Tree: reference(t, b)}
		if got := h.Sums(); got != want {
			t.Errorf("%d bytes: %x, want %x", size, got, want)
		}
	}
}

// TestHasherTravels: hashes go on elsewhere, from wherever they were, and what is not as it was written is refused.
func TestHasherTravels(t *testing.T) {
	content := make([]byte, 5*Block+1)
	rand.NewChaCha8([32]byte{2}).Read(content)
	for _, size := range []int{0, 1, 63, 64, Block - 1, Block, Block + 1, 3 * Block, 4*Block + 70, 5*Block + 1} {
		var h Hasher
		first := NewHasher()
		first.Write(content[:size])
		state, err := first.AppendBinary(nil)
		if err != nil || len(state) > 768 {
			t.Fatalf("%d bytes: a state of %d, %v", size, len(state), err)
		}
		if err := h.UnmarshalBinary(state); err != nil || h.Size() != int64(size) || h.Sums() != first.Sums() {
			t.Fatalf("%d bytes: %v", size, err)
		}
		h.Write(content[size:])
		if want := (Sums{Size: int64(len(content)), Digest: sha256.Sum256(content), Tree: reference(t, content)}); h.Sums() != want {
			t.Errorf("from %d bytes on: other hashes", size)
		}
		for name, wrong := range map[string][]byte{
			"nothing": nil, "cut": state[:len(state)-1], "longer": append(bytes.Clone(state), 0), "another size": append([]byte{0, 0, 0, 0, 0, 0, 0, byte(size) + 1}, state[8:]...),
			"negative": append([]byte{255}, state[1:]...), "another hash": append(append(bytes.Clone(state[:8]), 'x'), state[9:]...),
		} {
			if err := h.UnmarshalBinary(wrong); !errors.Is(err, ErrInvalid) || h.Size() != int64(len(content)) {
				t.Errorf("%d bytes, %s: %v", size, name, err)
			}
		}
	}
}

// FuzzHasher: what is taken up is written as it was.
func FuzzHasher(f *testing.F) {
	for _, size := range []int{0, 1, Block, Block + 1, 3*Block + 64} {
		h := NewHasher()
		h.Write(make([]byte, size))
		state, err := h.AppendBinary(nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(state)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var h Hasher
		if h.UnmarshalBinary(b) != nil {
			return
		}
		if again, err := h.AppendBinary(nil); err != nil || !bytes.Equal(again, b) {
			t.Errorf("%x has another spelling: %v", b, err)
		}
		h.Write([]byte("more"))
		h.Sums()
	})
}

func TestEmptyTree(t *testing.T) {
	var tree TreeHasher
	if got := tree.Sum(); hex.EncodeToString(got[:]) != "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" {
		t.Errorf("root of no bytes is %x", got)
	}
}

// TestManyLeaves covers shapes that real blocks would make slow: leaves are closed by hand.
func TestManyLeaves(t *testing.T) {
	f := &compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}
	r := f.NewEmptyRange(0)
	var tree TreeHasher
	for i := range 300 {
		b := bytes.Repeat([]byte{byte(i)}, 1+i)
		tree.Write(b)
		if err := r.Append(rfc6962.DefaultHasher.HashLeaf(b), nil); err != nil {
			t.Fatal(err)
		}
		want, err := r.GetRootHash(nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := tree.Sum(); !bytes.Equal(got[:], want) {
			t.Fatalf("%d leaves, last open: %x, want %x", i+1, got, want)
		}
		tree.close()
		if got := tree.Sum(); !bytes.Equal(got[:], want) {
			t.Fatalf("%d leaves: %x, want %x", i+1, got, want)
		}
	}
}

func TestParseDigest(t *testing.T) {
	d := Digest(sha256.Sum256([]byte("x")))
	if got, err := ParseDigest(d.String()); err != nil || got != d {
		t.Errorf("ParseDigest(String()) = %v, %v", got, err)
	}
	for _, s := range []string{"", "00", strings.ToUpper(d.String()), d.String() + "0", d.String()[:63], d.String()[:63] + "g", " " + d.String()[1:]} {
		if _, err := ParseDigest(s); !errors.Is(err, ErrInvalid) {
			t.Errorf("ParseDigest(%q) = %v", s, err)
		}
	}
}

func TestValidID(t *testing.T) {
	for id, want := range map[string]bool{
		"upl-abcdefghijklmnopqrstuvwxy2": true, "a": true, "0-": true, strings.Repeat("a", 64): true,
		"": false, "-a": false, ".": false, "..": false, "a/b": false, "A": false, "a.b": false, "a\x00": false, "ä": false, strings.Repeat("a", 65): false,
	} {
		if ValidID(id) != want {
			t.Errorf("ValidID(%q) is not %v", id, want)
		}
	}
}

func TestLockAllows(t *testing.T) {
	at := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		lock Lock
		now  time.Time
		want bool
	}{
		{Lock{}, at, true},
		{Lock{Hold: true}, at, false},
		{Lock{Until: at}, at.Add(-1), false},
		{Lock{Until: at}, at, true},
		{Lock{Until: at, Hold: true}, at, false},
	} {
		if got := c.lock.Allows(c.now); got != c.want {
			t.Errorf("%+v at %v: %v", c.lock, c.now, got)
		}
	}
}
