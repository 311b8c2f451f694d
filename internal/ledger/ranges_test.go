package ledger_test

import (
	"bytes"
	"context"
	"slices"
	"testing"

	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/heads"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/tlog"
)

// wrong are records whose answers for a part of the log a test changes.
type wrong struct {
	ledger.Records
	change func([]ledger.Place) []ledger.Place
}

func (r wrong) Places(ctx context.Context, start, end int64) ([]ledger.Place, error) {
	places, err := r.Records.Places(ctx, start, end)
	return r.change(places), err
}

// The log is told in parts of every length: leaf hashes up to the newest checkpoint, keys up to what a publication covers.
func TestRanges(t *testing.T) {
	w := newWorld(t)
	for range 20 {
		w.put(w.openCase("a"))
	}
	c := must(w.Complete(t.Context(), []ev.Stream{ev.PolicyOf(origin)}, w.Size()-1))
	cp := must(tlog.OpenCheckpoint(w.Checkpoint(), w.keys()))
	entries := must(w.db.LogRange(t.Context(), 0, cp.Size))
	if int64(len(entries)) != cp.Size {
		t.Fatal("the log is not as long as its checkpoint")
	}
	for count := int64(1); count <= cp.Size+1; count++ {
		for start := int64(0); start < cp.Size; start += count {
			hashes := must(w.LeafHashes(t.Context(), start, count))
			if int64(len(hashes)) != min(count, cp.Size-start) {
				t.Fatalf("%d leaf hashes from %d", len(hashes), start)
			}
			for i, h := range hashes {
				if h != tlog.Hash(entries[start+int64(i)].LeafHash) {
					t.Fatalf("leaf hash %d", start+int64(i))
				}
			}
		}
		for start := int64(0); start < c.Covers; start += count {
			keys := must(w.HeadsKeys(t.Context(), start, count))
			for i, k := range keys {
				if e := entries[start+int64(i)]; k != heads.Key(e.Stream.Tag(origin), uint64(e.Seq)) {
					t.Fatalf("key %d", start+int64(i))
				}
			}
			if int64(len(keys)) != min(count, c.Covers-start) {
				t.Fatalf("%d keys from %d", len(keys), start)
			}
			list := must(w.Statements(t.Context(), start, count, 1<<20))
			for i, l := range list {
				if e := entries[start+int64(i)]; tlog.LeafHash(l.Value) != tlog.Hash(e.LeafHash) || !bytes.Equal(l.Extra, e.Leaf.Extra) {
					t.Fatalf("statement %d", start+int64(i))
				}
			}
			if len(list) != len(keys) {
				t.Fatalf("%d statements from %d", len(list), start)
			}
		}
	}
	for _, bad := range [][2]int64{{-1, 1}, {0, 0}, {0, -1}, {w.Size() + 100, 1}, {1 << 62, 1 << 62}} {
		if _, err := w.LeafHashes(t.Context(), bad[0], bad[1]); ev.ReasonOf(err) != "log_size" {
			t.Errorf("leaf hashes %v: %v", bad, err)
		}
		if _, err := w.HeadsKeys(t.Context(), bad[0], bad[1]); ev.ReasonOf(err) != "log_size" {
			t.Errorf("keys %v: %v", bad, err)
		}
		if _, err := w.Statements(t.Context(), bad[0], bad[1], 1<<20); ev.ReasonOf(err) != "log_size" {
			t.Errorf("statements %v: %v", bad, err)
		}
	}
	if _, err := w.HeadsKeys(t.Context(), w.Size()-1, 1); ev.ReasonOf(err) != "log_size" { // the publication itself, or what follows it
		t.Errorf("a key that nothing covers: %v", err)
	}
	if _, err := w.Statements(t.Context(), w.Size()-1, 1, 1<<20); ev.ReasonOf(err) != "log_size" {
		t.Errorf("a statement that nothing covers: %v", err)
	}
	for range 70 {
		w.put(w.openCase("a"))
	}
	c = must(w.Complete(t.Context(), []ev.Stream{ev.PolicyOf(origin)}, w.Size()-1))
	if list := must(w.Statements(t.Context(), 0, c.Covers, 1)); len(list) == 0 || int64(len(list)) >= c.Covers {
		t.Errorf("a page of %d statements of %d, which may have few bytes", len(list), c.Covers)
	}
}

// What the records have wrong is not told: it would look like a fork. What they do not know is told as the log has it, without a key.
func TestRangesOfDamagedRecords(t *testing.T) {
	w := newWorld(t)
	for range 5 {
		w.put(w.openCase("a"))
	}
	must(w.Complete(t.Context(), []ev.Stream{ev.PolicyOf(origin)}, w.Size()-1))
	honest := must(w.LeafHashes(t.Context(), 0, 1000))
	size := int64(len(honest))
	w.stop()
	var change func([]ledger.Place) []ledger.Place
	w.openWith(func(c *ledger.Config) {
		c.Records = wrong{c.Records, func(p []ledger.Place) []ledger.Place { return change(p) }}
	})
	for start := range size {
		for at := range size - start {
			change = func(p []ledger.Place) []ledger.Place { p[at].LeafHash[3] ^= 8; return p }
			if _, err := w.LeafHashes(t.Context(), start, size-start); ev.KindOf(err) != ev.Internal {
				t.Fatalf("from %d, entry %d is another: %v", start, start+at, err)
			}
			change = func(p []ledger.Place) []ledger.Place { return slices.Delete(p, int(at), int(at)+1) }
			if hashes := must(w.LeafHashes(t.Context(), start, size-start)); !slices.Equal(hashes, honest[start:]) {
				t.Fatalf("from %d, entry %d is unknown: other leaf hashes", start, start+at)
			}
		}
	}
	change = func(p []ledger.Place) []ledger.Place { return slices.Delete(p, 2, 3) }
	if _, err := w.HeadsKeys(t.Context(), 0, 6); ev.KindOf(err) != ev.Internal { // it would look as if an insert were left out
		t.Errorf("an entry is unknown: %v", err)
	}
}
