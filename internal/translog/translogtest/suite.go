// Package translogtest is the conformance suite of the ledger's tree: every
// engine under translog passes it, so that the ledger need not know which one
// it has.
package translogtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/translog"
)

// Tree is the port under test, as package ledger declares it.
type Tree interface {
	Append(ctx context.Context, leaves []tlog.TreeLeaf) ([]int64, error)
	Root(ctx context.Context) (tlog.Root, error)
	Inclusion(ctx context.Context, index, size int64) ([][]byte, error)
	Consistency(ctx context.Context, from, to int64) ([][]byte, error)
	Leaves(ctx context.Context, start, count int64) ([]tlog.TreeLeaf, error)
}

// Run runs the suite. create makes a new empty log and returns a function that
// opens it; opening again first ends the life of the Tree opened before.
func Run(t *testing.T, create func(t *testing.T) (open func() Tree)) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, func() Tree)
	}{
		{"Empty", testEmpty},
		{"Order", testOrder},
		{"Duplicates", testDuplicates},
		{"OneLeafManyClients", testOneLeafManyClients},
		{"ManyClients", testManyClients},
		{"Leaves", testLeaves},
		{"EverySize", testEverySize},
		{"Proofs", testProofs},
		{"Refusals", testRefusals},
		{"Reopen", testReopen},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, create(t)) })
	}
}

// Leaf returns a distinct leaf for each number.
func Leaf(i int) tlog.TreeLeaf {
	return tlog.TreeLeaf{Value: fmt.Appendf(nil, `{"leaf":%d}`, i), Extra: fmt.Appendf(nil, "extra %d", i)}
}

func some(from, to int) []tlog.TreeLeaf {
	var leaves []tlog.TreeLeaf
	for i := from; i < to; i++ {
		leaves = append(leaves, Leaf(i))
	}
	return leaves
}

func mustAppend(t *testing.T, tree Tree, leaves []tlog.TreeLeaf, want ...int64) {
	t.Helper()
	got, err := tree.Append(t.Context(), leaves)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("indexes %v, want %v", got, want)
	}
}

func span(from, to int64) []int64 {
	var s []int64
	for i := from; i < to; i++ {
		s = append(s, i)
	}
	return s
}

// Check reads the whole log, recomputes the root from its leaves and returns
// the leaves. It fails if a leaf is there twice.
func Check(t *testing.T, tree Tree) []tlog.TreeLeaf {
	t.Helper()
	root, err := tree.Root(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	leaves, err := tree.Leaves(t.Context(), 0, root.Size+1)
	if err != nil {
		t.Fatal(err)
	}
	if int64(len(leaves)) != root.Size {
		t.Fatalf("%d leaves under a root of %d", len(leaves), root.Size)
	}
	if got := roots(leaves)[len(leaves)]; got != root.Hash {
		t.Fatalf("leaves give root %v, log says %v", got, root.Hash)
	}
	seen := map[string]bool{}
	for i, leaf := range leaves {
		if seen[string(leaf.Value)] {
			t.Fatalf("leaf %d is a duplicate", i)
		}
		seen[string(leaf.Value)] = true
	}
	return leaves
}

// roots returns the root of each prefix of leaves, by transparency-dev/merkle.
func roots(leaves []tlog.TreeLeaf) []tlog.Hash {
	edge := (&compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}).NewEmptyRange(0)
	all := []tlog.Hash{tlog.Hash(rfc6962.DefaultHasher.EmptyRoot())}
	for _, leaf := range leaves {
		if err := edge.Append(rfc6962.DefaultHasher.HashLeaf(leaf.Value), nil); err != nil {
			panic(err)
		}
		root, err := edge.GetRootHash(nil)
		if err != nil {
			panic(err)
		}
		all = append(all, tlog.Hash(root))
	}
	return all
}

func equal(a, b []tlog.TreeLeaf) bool {
	return slices.EqualFunc(a, b, func(x, y tlog.TreeLeaf) bool {
		return bytes.Equal(x.Value, y.Value) && bytes.Equal(x.Extra, y.Extra)
	})
}

func testEmpty(t *testing.T, open func() Tree) {
	tree := open()
	if leaves := Check(t, tree); len(leaves) != 0 {
		t.Errorf("%d leaves in a new log", len(leaves))
	}
	mustAppend(t, tree, nil)
	if proof, err := tree.Consistency(t.Context(), 0, 0); err != nil || len(proof) != 0 {
		t.Errorf("consistency of nothing: %v, %v", proof, err)
	}
	if _, err := tree.Inclusion(t.Context(), 0, 1); !errors.Is(err, translog.ErrBeyondRoot) {
		t.Errorf("inclusion in an empty log: %v", err)
	}
}

func testOrder(t *testing.T, open func() Tree) {
	tree := open()
	var want []tlog.TreeLeaf
	for _, n := range []int{1, 2, 40, 3, 1} {
		batch := some(len(want), len(want)+n)
		rand.Shuffle(n, func(i, j int) { batch[i], batch[j] = batch[j], batch[i] })
		mustAppend(t, tree, batch, span(int64(len(want)), int64(len(want)+n))...)
		want = append(want, batch...)
	}
	if !equal(Check(t, tree), want) {
		t.Error("leaves are not in the order they were appended")
	}
}

func testDuplicates(t *testing.T, open func() Tree) {
	tree := open()
	mustAppend(t, tree, []tlog.TreeLeaf{Leaf(0), Leaf(1), Leaf(0), Leaf(0)}, 0, 1, 0, 0)
	mustAppend(t, tree, []tlog.TreeLeaf{Leaf(1)}, 1)
	mustAppend(t, tree, []tlog.TreeLeaf{Leaf(2), Leaf(1), Leaf(3), Leaf(2)}, 2, 1, 3, 2)
	other := Leaf(2)
	other.Extra = []byte("first one counts")
	mustAppend(t, tree, []tlog.TreeLeaf{other}, 2)
	tree = open()
	mustAppend(t, tree, []tlog.TreeLeaf{Leaf(3), Leaf(4), Leaf(0)}, 3, 4, 0)
	if !equal(Check(t, tree), some(0, 5)) {
		t.Error("leaves differ")
	}
}

func testOneLeafManyClients(t *testing.T, open func() Tree) {
	tree := open()
	mustAppend(t, tree, some(0, 3), 0, 1, 2)
	var clients sync.WaitGroup
	for range 64 {
		clients.Go(func() {
			if got, err := tree.Append(t.Context(), []tlog.TreeLeaf{Leaf(7)}); err != nil || !slices.Equal(got, []int64{3}) {
				t.Errorf("index %v, %v; want 3", got, err)
			}
		})
	}
	clients.Wait()
	if leaves := Check(t, tree); len(leaves) != 4 {
		t.Errorf("%d leaves, want 4", len(leaves))
	}
}

// testManyClients has 64 clients append leaves of their own and one shared with
// their neighbour, while others read proofs.
func testManyClients(t *testing.T, open func() Tree) {
	const clients, rounds = 64, 5
	tree := open()
	var mu sync.Mutex
	indexOf := map[string]int64{}
	var wait sync.WaitGroup
	for c := range clients {
		wait.Go(func() {
			for r := range rounds {
				batch := []tlog.TreeLeaf{Leaf(1000*r + 2*c), Leaf(1000*r + 2*c + 1), Leaf(1000*r + (2*c+2)%(2*clients))}
				indexes, err := tree.Append(t.Context(), batch)
				if err != nil {
					t.Error(err)
					return
				}
				root, err := tree.Root(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				for i, leaf := range batch {
					hashes, err := tree.Inclusion(t.Context(), indexes[i], root.Size)
					if err == nil {
						err = proof.VerifyInclusion(rfc6962.DefaultHasher, uint64(indexes[i]), uint64(root.Size), rfc6962.DefaultHasher.HashLeaf(leaf.Value), hashes, root.Hash[:])
					}
					if err != nil {
						t.Errorf("leaf %d in %d: %v", indexes[i], root.Size, err)
					}
					mu.Lock()
					if before, ok := indexOf[string(leaf.Value)]; ok && before != indexes[i] {
						t.Errorf("one leaf has indexes %d and %d", before, indexes[i])
					}
					indexOf[string(leaf.Value)] = indexes[i]
					mu.Unlock()
				}
			}
		})
	}
	wait.Wait()
	leaves := Check(t, tree)
	if len(leaves) != 2*clients*rounds {
		t.Errorf("%d leaves, want %d", len(leaves), 2*clients*rounds)
	}
	for i, leaf := range leaves {
		if indexOf[string(leaf.Value)] != int64(i) {
			t.Errorf("leaf %d was answered as %d", i, indexOf[string(leaf.Value)])
		}
	}
}

func testLeaves(t *testing.T, open func() Tree) {
	const size = 600
	tree := open()
	want := some(0, size)
	want[5].Extra = nil
	want[6].Value = bytes.Repeat([]byte("v"), 70_000)
	want[6].Extra = bytes.Repeat([]byte("e"), 100_000)
	mustAppend(t, tree, want, span(0, size)...)
	for _, r := range [][2]int64{{0, 0}, {0, 1}, {0, size}, {5, 2}, {size - 1, 1}, {size - 3, 100}, {100, 400}, {0, 1 << 40}, {size, 1}, {size + 7, 3}} {
		got, err := tree.Leaves(t.Context(), r[0], r[1])
		from, to := min(r[0], size), min(r[0]+r[1], size)
		if err != nil || !equal(got, want[from:to]) {
			t.Errorf("leaves from %d, %d of them: got %d, %v", r[0], r[1], len(got), err)
		}
	}
}

// testEverySize compares the root of every size up to 300 with the one that
// transparency-dev/merkle computes.
func testEverySize(t *testing.T, open func() Tree) {
	tree := open()
	want := roots(some(0, 300))
	for size := 0; ; size++ {
		root, err := tree.Root(t.Context())
		if err != nil || root != (tlog.Root{Size: int64(size), Hash: want[size]}) {
			t.Fatalf("root %v, %v; want size %d, %v", root, err, size, want[size])
		}
		if size == 300 {
			return
		}
		mustAppend(t, tree, some(size, size+1), int64(size))
	}
}

func testProofs(t *testing.T, open func() Tree) {
	const size = 777
	tree := open()
	leaves := some(0, size)
	roots := roots(leaves)
	// Uneven batches, so that proofs cross roots the log never had.
	for i := 0; i < size; {
		n := min(1+rand.IntN(90), size-i)
		mustAppend(t, tree, leaves[i:i+n], span(int64(i), int64(i+n))...)
		i += n
	}
	inclusion := func(index, size int64) {
		hashes, err := tree.Inclusion(t.Context(), index, size)
		if err == nil {
			err = proof.VerifyInclusion(rfc6962.DefaultHasher, uint64(index), uint64(size), rfc6962.DefaultHasher.HashLeaf(leaves[index].Value), hashes, roots[size][:])
		}
		if err != nil {
			t.Errorf("inclusion of %d in %d: %v", index, size, err)
		}
	}
	consistency := func(from, to int64) {
		hashes, err := tree.Consistency(t.Context(), from, to)
		if err == nil {
			err = proof.VerifyConsistency(rfc6962.DefaultHasher, uint64(from), uint64(to), hashes, roots[from][:], roots[to][:])
		}
		if err != nil {
			t.Errorf("consistency of %d and %d: %v", from, to, err)
		}
	}
	for _, size := range []int64{1, 2, 3, 255, 256, 257, 511, 512, 513, size} {
		inclusion(0, size)
		inclusion(size-1, size)
		consistency(0, size)
		consistency(1, size)
		consistency(size, size)
	}
	for range 300 {
		to := 1 + rand.Int64N(size)
		inclusion(rand.Int64N(to), to)
		consistency(rand.Int64N(to+1), to)
	}
}

func testRefusals(t *testing.T, open func() Tree) {
	tree := open()
	mustAppend(t, tree, some(0, 5), span(0, 5)...)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tt := range []struct {
		name string
		want error
		call func() error
	}{
		{"leaf without value", translog.ErrInvalid, func() error {
			_, err := tree.Append(t.Context(), []tlog.TreeLeaf{Leaf(8), {Extra: []byte("x")}})
			return err
		}},
		{"inclusion beyond the root", translog.ErrBeyondRoot, func() error { _, err := tree.Inclusion(t.Context(), 0, 6); return err }},
		{"inclusion far beyond", translog.ErrBeyondRoot, func() error { _, err := tree.Inclusion(t.Context(), 1<<40, 1<<41); return err }},
		{"index outside", translog.ErrInvalid, func() error { _, err := tree.Inclusion(t.Context(), 5, 5); return err }},
		{"negative index", translog.ErrInvalid, func() error { _, err := tree.Inclusion(t.Context(), -1, 5); return err }},
		{"empty size", translog.ErrInvalid, func() error { _, err := tree.Inclusion(t.Context(), 0, 0); return err }},
		{"consistency beyond the root", translog.ErrBeyondRoot, func() error { _, err := tree.Consistency(t.Context(), 3, 6); return err }},
		{"consistency of nothing beyond", translog.ErrBeyondRoot, func() error { _, err := tree.Consistency(t.Context(), 0, 6); return err }},
		{"reversed", translog.ErrInvalid, func() error { _, err := tree.Consistency(t.Context(), 4, 3); return err }},
		{"negative size", translog.ErrInvalid, func() error { _, err := tree.Consistency(t.Context(), -1, 3); return err }},
		{"negative start", translog.ErrInvalid, func() error { _, err := tree.Leaves(t.Context(), -1, 3); return err }},
		{"negative count", translog.ErrInvalid, func() error { _, err := tree.Leaves(t.Context(), 1, -3); return err }},
	} {
		if err := tt.call(); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
	// A caller who has left gets an answer at once; asking again is safe.
	if _, err := tree.Append(ctx, some(5, 6)); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	mustAppend(t, tree, some(5, 6), 5)
	if !equal(Check(t, tree), some(0, 6)) {
		t.Error("refused requests changed the log")
	}
}

func testReopen(t *testing.T, open func() Tree) {
	const rounds = 4
	want := roots(some(0, 10*rounds))
	for i := range rounds {
		tree := open()
		root, err := tree.Root(t.Context())
		if err != nil || root != (tlog.Root{Size: int64(10 * i), Hash: want[10*i]}) {
			t.Fatalf("root after reopening: %v, %v; want size %d", root, err, 10*i)
		}
		mustAppend(t, tree, some(10*i, 10*i+10), span(int64(10*i), int64(10*i+10))...)
	}
	if !equal(Check(t, open()), some(0, 10*rounds)) {
		t.Error("leaves differ")
	}
}
