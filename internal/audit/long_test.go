package audit

import (
	"bytes"
	"context"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"fmt"
	"math/big"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/heads"
	"strongroom.example/strongroom/internal/tlog"
)

// endless is a vault whose statements are written when they are asked for, so that it keeps their signatures and leaf hashes alone. Its
// publications are those of book.
type endless struct {
	*book
	size   int64
	sample *custody.Signed
	hashes *[]tlog.Hash
	made   *[][]byte // signatures
}

const sampleID = "0123456789"

// payload is the sample's, of another stream.
func (v endless) payload(i int64) []byte {
	return bytes.ReplaceAll(v.sample.Payload(), []byte(sampleID), fmt.Appendf(nil, "%010d", i))
}

func message(payload []byte) []byte {
	return fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(custody.PayloadType), custody.PayloadType, len(payload), payload)
}

// lowS is a signature with the smaller of its two S (FORMATS §4).
func lowS(der []byte) []byte {
	var v struct{ R, S *big.Int }
	must(asn1.Unmarshal(der, &v))
	if other := new(big.Int).Sub(elliptic.P256().Params().N, v.S); other.Cmp(v.S) < 0 {
		v.S = other
	}
	return must(asn1.Marshal(v))
}

// add signs the next statement.
func (v endless) add() heads.Entry {
	i := int64(len(*v.hashes))
	*v.made = append(*v.made, lowS(must(v.vaultKey.Sign(message(v.payload(i))))))
	leaf := tlog.LeafHash(v.entryOf(i).Value)
	*v.hashes = append(*v.hashes, leaf)
	return heads.Entry{Key: keyOf(i), Value: leaf}
}

// entryOf writes leaf and signed form as the sample's, with other values.
func (v endless) entryOf(i int64) tlog.TreeLeaf {
	b64 := base64.StdEncoding.EncodeToString
	payload, made := v.payload(i), b64((*v.made)[i])
	was, digest, old := v.sample.PAEDigest(), sha256.Sum256(message(payload)), b64(v.sample.Signature())
	of := func(text []byte, pairs ...string) []byte {
		return []byte(strings.NewReplacer(pairs...).Replace(string(text)))
	}
	return tlog.TreeLeaf{
		Value: of(v.sample.Leaf(), b64(was[:]), b64(digest[:]), old, made),
		Extra: of(v.sample.DSSE(), b64(v.sample.Payload()), b64(payload), old, made),
	}
}

func keyOf(i int64) [32]byte {
	return heads.Key(evidence.ActorOf(evidence.ActorID(fmt.Sprintf("%010d", i))).Tag(origin), 0)
}

func (v endless) Checkpoint(context.Context) ([]byte, error) {
	return v.sign(v.size, rootOf(v.tree)), nil
}

func (v endless) Leaves(_ context.Context, start, count int64) ([]tlog.Hash, error) {
	return (*v.hashes)[start:min(start+count, v.size)], nil
}

func (v endless) Keys(_ context.Context, start, count int64) ([][32]byte, error) {
	list := make([][32]byte, min(count, v.covers-start))
	for i := range list {
		list[i] = v.key(start + int64(i))
	}
	return list, nil
}

func (v endless) Statements(_ context.Context, start, count int64) ([]tlog.TreeLeaf, error) {
	list := make([]tlog.TreeLeaf, min(count, v.covers-start))
	for i := range list {
		if at := start + int64(i); at%every == every-1 {
			list[i] = v.signed[at/every]
		} else {
			list[i] = v.entryOf(at)
		}
	}
	return list, nil
}

// every is how many entries there are from one publication to the next, itself included.
const every = 1000

// The publications' own entries stand in leaves, signed and places, in their order.
func (v endless) key(i int64) [32]byte {
	if i%every == every-1 {
		return v.places[i/every]
	}
	return keyOf(i)
}

// TestMillion follows a log with STRONGROOM_LONG=1 to a million entries: anonymous memory grows by less than 256 MiB.
func TestMillion(t *testing.T) {
	size := int64(10_000)
	if os.Getenv("STRONGROOM_LONG") == "1" {
		size = 1_000_000
	}
	v := endless{book: newBook(t), hashes: new([]tlog.Hash), made: new([][]byte)}
	v.sample = v.statement(sampleID)
	for ; v.size < size; v.size += every {
		var entries []heads.Entry
		if n := len(v.places); n > 0 {
			entries = append(entries, heads.Entry{Key: v.places[n-1], Value: v.leaves[n-1]})
		}
		for i := v.size; i < v.size+every-1; i++ {
			e := v.add()
			check(t, v.tree.Append(e.Value[:], nil))
			entries = append(entries, e)
		}
		v.publishAt(v.size+every-1, entries)
		*v.hashes, *v.made = append(*v.hashes, v.leaves[len(v.leaves)-1]), append(*v.made, nil)
	}
	debug.FreeOSMemory()
	before, largest := anonymous(t), int64(0)
	dir := t.TempDir()
	f := follower(t, dir, v, v.keys)
	f.Progress = func(done, _ int64) {
		if done%(1<<16) < page {
			largest = max(largest, anonymous(t))
		}
	}
	start := time.Now()
	step, err := f.Step(t.Context())
	check(t, err)
	took := time.Since(start)
	if step.Size != size || f.State.Covers() != size-1 || step.Statements != size-1 || step.Publications != size/every {
		t.Fatalf("%+v, covers %d", step, f.State.Covers())
	}
	check(t, f.State.Close())
	start = time.Now()
	check(t, follower(t, dir, v, v.keys).State.Close())
	largest = max(largest, anonymous(t))
	t.Logf("%d entries, %d publications: followed in %s, opened again in %s; at most %d MiB of anonymous memory, %d of them before",
		size, step.Publications, took.Round(time.Millisecond), time.Since(start).Round(time.Millisecond), largest>>20, before>>20)
	if largest-before > 256<<20 {
		t.Errorf("%d MiB of anonymous memory", (largest-before)>>20)
	}
}

// anonymous is this process's memory that no file stands behind, in bytes; elsewhere than on Linux what Go has from the system.
func anonymous(t *testing.T) int64 {
	t.Helper()
	if text, err := os.ReadFile("/proc/self/status"); err == nil {
		for line := range strings.Lines(string(text)) {
			if kib, ok := strings.CutPrefix(line, "RssAnon:"); ok {
				n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(kib), " kB"), 10, 64)
				check(t, err)
				return n << 10
			}
		}
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.Sys - m.HeapReleased)
}
