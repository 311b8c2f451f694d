package audit

import (
	"bytes"
	"encoding/json"
	"math/bits"
	"testing"

	"strongroom.example/strongroom/internal/tlog"
)

// TestCompare decides between heads of all small sizes by each of the three kinds of proof.
func TestCompare(t *testing.T) {
	b := newBook(t)
	b.grow(17)
	f := b.follow(t.TempDir())
	f.HashesOnly = true
	_, err := f.Step(t.Context())
	check(t, err)
	head := func(size int64) tlog.Checkpoint { return must(tlog.OpenCheckpoint(b.headAt(size), b.keys)) }
	for m := int64(1); m <= 17; m++ {
		for n := m; n <= 17; n++ {
			small, large, want := head(m), head(n), Extends
			if m == n {
				want = Same
			}
			other := small
			other.Root[0] ^= 1
			var split *Split
			if m < n {
				s := must(f.State.Split(m, n))
				split = &s
			}
			proof := b.consistency(m, n)
			for name, c := range map[string]struct {
				split *Split
				proof [][]byte
				own   *State
			}{"split": {split: split}, "proof": {proof: proof}, "own": {own: f.State}} {
				if got := must(Compare(large, small, c.split, c.proof, c.own)); got != want {
					t.Errorf("%d, %d by %s: %s", m, n, name, got)
				}
				// A proof of a size that is a power of two does not tell the smaller root.
				fork := Fork
				if name == "proof" && m < n && bits.OnesCount64(uint64(m)) == 1 {
					fork = Unproven
				}
				if got := must(Compare(other, large, c.split, c.proof, c.own)); got != fork {
					t.Errorf("%d of another history, %d by %s: %s", m, n, name, got)
				}
			}
			if m < n {
				if got := must(Compare(small, large, nil, nil, nil)); got != Unproven {
					t.Errorf("nothing shows it: %s", got)
				}
				if got := must(Compare(small, large, nil, [][]byte{make([]byte, 32)}, nil)); got == Fork {
					t.Errorf("%d, %d: a proof of nothing shows a fork", m, n)
				}
			}
		}
	}
	small := head(3)
	small.Origin = "other.example"
	if _, err := Compare(small, head(4), nil, nil, nil); err == nil {
		t.Error("heads of two logs compared")
	}
}

func FuzzParseSplit(f *testing.F) {
	b := newBook(f)
	b.grow(11)
	for _, sizes := range [][2]int64{{1, 2}, {5, 11}, {8, 9}, {10, 11}} {
		left, right := ranges.NewEmptyRange(0), ranges.NewEmptyRange(uint64(sizes[0]))
		for i, l := range b.leaves[:sizes[1]] {
			if int64(i) < sizes[0] {
				check(f, left.Append(l[:], nil))
			} else {
				check(f, right.Append(l[:], nil))
			}
		}
		f.Add(must(json.Marshal(Split{Larger: sizes[1], Left: hashes(left.Hashes()), Right: hashes(right.Hashes()), Size: sizes[0]})))
	}
	f.Add([]byte(`{"larger":2,"left":[],"right":[],"size":1}`))
	f.Add([]byte(`{"larger":9007199254740991,"left":[],"right":[],"size":9007199254740990}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := ParseSplit(text)
		if err != nil {
			return
		}
		if again, err := json.Marshal(s); err != nil || !bytes.Equal(again, text) {
			t.Fatal("parsed, but re-encodes to other bytes")
		}
	})
}
