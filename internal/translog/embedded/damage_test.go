package embedded

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/trillian"
	"github.com/google/trillian/storage/storagepb"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	bolt "go.etcd.io/bbolt"
	"google.golang.org/protobuf/proto"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/translog"
	"strongroom.example/strongroom/internal/translog/translogtest"
)

const damagedSize = 300 // more than one tile

func sampleLeaves(n int) []tlog.TreeLeaf {
	var leaves []tlog.TreeLeaf
	for i := range n {
		leaves = append(leaves, translogtest.Leaf(i))
	}
	return leaves
}

// sampleFile writes a closed log of damagedSize leaves.
func sampleFile(t *testing.T) (path string, root tlog.Root) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "log.db")
	l, err := Create(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append(t.Context(), sampleLeaves(damagedSize)); err != nil {
		t.Fatal(err)
	}
	if root, err = l.Root(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return path, root
}

// survey opens a damaged log and asks for every fifth leaf and proof, and for
// every index. It counts the answers that were errors and the proofs that do
// not verify; a wrong leaf or index is a failure of the test.
func survey(t *testing.T, path string, root tlog.Root) (refused, unverified int) {
	t.Helper()
	want := sampleLeaves(damagedSize)
	l, err := Open(t.Context(), path, Options{})
	if err != nil {
		if !errors.Is(err, translog.ErrCorrupt) {
			t.Errorf("open: %v", err)
		}
		return 1, 0
	}
	defer l.Close()
	refuse := func(err error) {
		if refused++; !errors.Is(err, translog.ErrCorrupt) {
			t.Errorf("untyped error: %v", err)
		}
	}
	if got, err := l.Root(t.Context()); err != nil {
		refuse(err)
	} else if got != root {
		t.Errorf("root %v", got)
	}
	for i := 0; i < damagedSize; i += 5 {
		leaf := want[i]
		hashes, err := l.Inclusion(t.Context(), int64(i), root.Size)
		if err != nil {
			refuse(err)
		} else if proof.VerifyInclusion(rfc6962.DefaultHasher, uint64(i), uint64(root.Size), rfc6962.DefaultHasher.HashLeaf(leaf.Value), hashes, root.Hash[:]) != nil {
			unverified++
		}
		got, err := l.Leaves(t.Context(), int64(i), 1)
		if err != nil {
			refuse(err)
		} else if len(got) != 1 || !bytes.Equal(got[0].Value, leaf.Value) || !bytes.Equal(got[0].Extra, leaf.Extra) {
			t.Errorf("wrong leaf at %d", i)
		}
	}
	for i := 0; i < damagedSize; i += 50 {
		index, err := l.Append(t.Context(), want[i:i+50])
		for j := range index {
			if index[j] != int64(i+j) {
				t.Errorf("leaf %d answered as %d", i+j, index[j])
			}
		}
		if err != nil {
			refuse(err)
		}
	}
	return refused, unverified
}

// TestFlippedBit flips a bit in each place of the file that holds one leaf's
// Merkle hash, its value or its extra data. No wrong answer may come of it.
func TestFlippedBit(t *testing.T) {
	path, root := sampleFile(t)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	leaf := translogtest.Leaf(10)
	for name, part := range map[string][]byte{
		"tree node": rfc6962.DefaultHasher.HashLeaf(leaf.Value), "value": leaf.Value, "extra": leaf.Extra,
	} {
		places, noticed := 0, 0
		for at := 0; ; at++ {
			n := bytes.Index(content[at:], part)
			if n < 0 {
				break
			}
			at += n
			places++
			damaged := bytes.Clone(content)
			damaged[at+len(part)/2] ^= 4
			if err := os.WriteFile(path, damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			refused, unverified := survey(t, path, root)
			if unverified > 0 {
				t.Errorf("%s at %d: %d wrong proofs", name, at, unverified)
			}
			if refused > 0 {
				noticed++
			}
		}
		if noticed == 0 {
			t.Errorf("%s: %d places, none noticed", name, places)
		}
	}
}

// TestFlippedPage flips random bits anywhere in the file, keys and bbolt's own
// page structure included. That may end a process, so each damaged file is
// surveyed by another run of this test: it may crash, but must not give a wrong answer.
func TestFlippedPage(t *testing.T) {
	const damagedPath, damagedRoot = "TRANSLOG_TEST_DAMAGED", "TRANSLOG_TEST_ROOT"
	if path := os.Getenv(damagedPath); path != "" {
		hash, err := tlog.ParseHash(os.Getenv(damagedRoot))
		if err != nil {
			t.Fatal(err)
		}
		if _, unverified := survey(t, path, tlog.Root{Size: damagedSize, Hash: hash}); unverified > 0 {
			t.Errorf("%d wrong proofs", unverified)
		}
		return
	}
	path, root := sampleFile(t)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	used := len(bytes.TrimRight(content, "\x00"))
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		at, bit := rand.IntN(used), byte(1)<<rand.IntN(8)
		content[at] ^= bit
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		content[at] ^= bit
		cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestFlippedPage$")
		cmd.Env = append(os.Environ(), damagedPath+"="+path, damagedRoot+"="+root.Hash.String())
		if out, err := cmd.CombinedOutput(); err != nil && !bytes.Contains(out, []byte("panic: ")) && !bytes.Contains(out, []byte("fatal error: ")) {
			t.Errorf("bit %08b of byte %d: %v\n%s", bit, at, err, out)
		}
	}
}

// edit changes a closed file's log through bbolt.
func edit(t *testing.T, path string, f func(tx *logTX) error) {
	t.Helper()
	s, err := openStore(path, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.update(func(btx *bolt.Tx) error {
		trees, err := (&adminTX{btx: btx}).ListTrees(t.Context(), true)
		if err != nil {
			return err
		}
		tx, err := newLogTX(btx, trees[0])
		if err != nil {
			return err
		}
		return f(tx)
	}); err != nil {
		t.Fatal(err)
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
}

// TestForgedNode changes a tree node and its checksum. Open refuses a node on
// the right edge; any other yields proofs that do not verify.
func TestForgedNode(t *testing.T) {
	path, root := sampleFile(t)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var prefixes [][]byte
	edit(t, path, func(tx *logTX) error {
		return tx.tiles.ForEach(func(k, _ []byte) error {
			prefixes = append(prefixes, bytes.Clone(k[1:]))
			return nil
		})
	})
	if len(prefixes) < 3 {
		t.Fatalf("%d tiles", len(prefixes))
	}
	for _, prefix := range prefixes {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		edit(t, path, func(tx *logTX) error {
			tiles, err := tx.readTiles([][]byte{prefix})
			if err != nil {
				return err
			}
			forge(tiles[0])
			raw, err := proto.Marshal(tiles[0])
			if err != nil {
				return err
			}
			return tx.tiles.put(tileKey(prefix), raw)
		})
		if refused, unverified := survey(t, path, root); refused == 0 && unverified == 0 {
			t.Errorf("tile %x: forged without notice", prefix)
		}
	}
}

// forge changes the leaves of the tile, and its inner nodes where it stores them: all of them, for which of them a proof reads depends on
// the sizes asked for.
func forge(tile *storagepb.SubtreeProto) {
	for _, nodes := range []map[string][]byte{tile.Leaves, tile.InternalNodes} {
		for _, hash := range nodes {
			hash[0] ^= 1
		}
	}
}

// TestForgedIndexes breaks the links between root, sequence and leaves.
func TestForgedIndexes(t *testing.T) {
	path, root := sampleFile(t)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]func(tx *logTX) error{
		"last leaf gone":   func(tx *logTX) error { return tx.sequence.Delete(key(damagedSize - 1)) },
		"leaf too many":    func(tx *logTX) error { return tx.sequence.put(key(damagedSize), key(1, 1)) },
		"leaf in between":  func(tx *logTX) error { return tx.sequence.Delete(key(5)) },
		"leaf data gone":   func(tx *logTX) error { return tx.leaves.Delete(key(11)) },
		"no Merkle lookup": func(tx *logTX) error { k, _ := tx.merkle.Cursor().First(); return tx.merkle.Delete(k) },
		"identity gone":    func(tx *logTX) error { k, _ := tx.identity.Cursor().First(); return tx.identity.Delete(k) },
		"identity of no leaf": func(tx *logTX) error {
			k, _ := tx.identity.Cursor().First()
			return tx.identity.put(bytes.Clone(k), key(1<<40))
		},
		"tile gone": func(tx *logTX) error { k, _ := tx.tiles.Cursor().Last(); return tx.tiles.Delete(k) },
		"no root":   func(tx *logTX) error { return tx.roots.Delete(rootKey) },
	} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		edit(t, path, f)
		if name == "no root" {
			if _, err := Open(t.Context(), path, Options{}); err == nil {
				t.Errorf("%s: opened", name)
			}
			continue
		}
		if refused, _ := survey(t, path, root); refused == 0 {
			t.Errorf("%s: not noticed", name)
		}
	}
}

func TestCutOffFile(t *testing.T) {
	path, root := sampleFile(t)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	for size := info.Size() - 4096; size > 0; size -= info.Size() / 7 {
		if err := os.Truncate(path, size); err != nil {
			t.Fatal(err)
		}
		used := int64(0)
		if l, err := Open(t.Context(), path, Options{}); err == nil {
			// Only the unused tail was lost.
			l.storage.store.view(func(tx *bolt.Tx) error { used = tx.Size(); return nil })
			l.Close()
			if size < used {
				t.Errorf("opened a file of %d bytes that needs %d", size, used)
			}
			if refused, unverified := survey(t, path, root); refused+unverified > 0 {
				t.Error("losing the unused tail did damage")
			}
		} else if !errors.Is(err, translog.ErrCorrupt) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

// TestLeafDiffers stores another value under a leaf's identity: an alarm, and
// none of the request's other leaves is appended.
func TestLeafDiffers(t *testing.T) {
	path, root := sampleFile(t)
	leaf, err := translog.NewLeaf(translogtest.Leaf(damagedSize))
	if err != nil {
		t.Fatal(err)
	}
	edit(t, path, func(tx *logTX) error { return tx.identity.put(leaf.LeafIdentityHash, key(3)) })
	l, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	batch := []tlog.TreeLeaf{translogtest.Leaf(damagedSize + 1), translogtest.Leaf(damagedSize)}
	if _, err := l.Append(t.Context(), batch); !errors.Is(err, translog.ErrLeafDiffers) {
		t.Errorf("got %v", err)
	}
	if got, err := l.Root(t.Context()); err != nil || got != root {
		t.Errorf("root %v, %v", got, err)
	}
	if err := translog.CheckOriginal(leaf, &trillian.LogLeaf{LeafValue: leaf.LeafValue}); err != nil {
		t.Errorf("same value: %v", err)
	}
	if got, err := l.Append(t.Context(), batch[:1]); err != nil || got[0] != damagedSize {
		t.Errorf("next leaf: %v, %v", got, err)
	}
}
