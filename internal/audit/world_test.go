package audit

import (
	"context"
	"crypto/ecdsa"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/transparency-dev/merkle/compact"
	"golang.org/x/mod/sumdb/note"

	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/heads"
	"strongroom.example/strongroom/internal/tlog"
)

const origin = "vault.example"

// book is a vault's log with its publications, honest as long as a test leaves it alone. Its keys and signatures are real, its events mean
// nothing.
type book struct {
	t        testing.TB
	logKey   *custody.Key
	vaultKey *custody.Key
	actor    evidence.ActorID
	signer   note.Signer
	keys     tlog.LogKeys

	leaves   []tlog.Hash
	signed   []tlog.TreeLeaf // leaves with their statements
	places   [][32]byte
	void     []int64
	tree     *compact.Range
	entries  []heads.Entry // of the map, inserted
	store    *index
	m        *heads.Map
	receipts [][]byte
	last     evidence.Hash
	covers   int64

	short int64 // the most that a page has; 0 is what was asked
}

func must[V any](v V, err error) V {
	if err != nil {
		panic(err)
	}
	return v
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newBook(t testing.TB) *book {
	b := &book{t: t, logKey: must(custody.GenerateKey()), vaultKey: must(custody.GenerateKey()), actor: evidence.NewID[evidence.ActorID]()}
	public := must(custody.PublicKey(b.logKey.SPKI()))
	b.signer = must(tlog.NewECDSANoteSigner(origin, public, b.logKey.Sign))
	b.keys = must(tlog.NewLogKeys(origin, (*ecdsa.PublicKey)(public)))
	b.tree = ranges.NewEmptyRange(0)
	b.store = &index{path: t.TempDir() + "/index", tail: make(map[uint16][]heads.Entry)}
	b.m = must(heads.Open(t.Context(), b.store))
	return b
}

// copy is another history that begins like this one, by the same keys.
func (b *book) copy() *book {
	c := *b
	c.leaves, c.places, c.receipts, c.entries = slices.Clone(b.leaves), slices.Clone(b.places), slices.Clone(b.receipts), slices.Clone(b.entries)
	c.void, c.signed = slices.Clone(b.void), slices.Clone(b.signed)
	c.tree = must(ranges.NewRange(0, b.tree.End(), slices.Clone(b.tree.Hashes())))
	c.store = &index{path: b.t.TempDir() + "/index", tail: make(map[uint16][]heads.Entry)}
	c.m = must(heads.Open(b.t.Context(), c.store))
	c.insert(c.entries)
	return &c
}

func (b *book) insert(entries []heads.Entry) {
	u := must(b.m.Insert(b.t.Context(), entries))
	check(b.t, b.store.add(u.Inserted, 1<<40))
	check(b.t, b.m.Commit(u))
}

func (b *book) size() int64 { return int64(len(b.leaves)) }

func (b *book) entry(entry tlog.TreeLeaf, key [32]byte) {
	leaf := tlog.LeafHash(entry.Value)
	b.leaves, b.signed, b.places = append(b.leaves, leaf), append(b.signed, entry), append(b.places, key)
	check(b.t, b.tree.Append(leaf[:], nil))
}

// grow adds n entries of streams that nobody knows.
func (b *book) grow(n int) {
	for range n {
		s := b.statement(fmt.Sprintf("%010d", b.size()))
		b.entry(tlog.TreeLeaf{Value: s.Leaf(), Extra: s.DSSE()}, placeOf(s))
	}
}

// statement is the first one of a stream.
func (b *book) statement(id string) *custody.Signed {
	e := &evidence.Event{
		Vault: origin, Kind: evidence.ActorSuspended, Tool: evidence.Tool{Name: "strongroom", Version: "test"}, Details: &evidence.ActorSuspendedDetails{Until: evidence.At(now)},
		Time: evidence.At(now), Actor: evidence.Signer{ID: b.actor, Role: evidence.Administrator},
		Stream: evidence.Position{Type: evidence.ActorStream, ID: id}, Subject: []evidence.Subject{},
	}
	return must(custody.Sign(e, b.vaultKey.SPKI(), b.vaultKey))
}

// placeOf is the key under which a statement belongs.
func placeOf(s *custody.Signed) [32]byte {
	at := s.Event().Stream
	return heads.Key(at.Stream().Tag(origin), uint64(at.Seq))
}

// growVoid adds a leaf without a statement.
func (b *book) growVoid() {
	b.void = append(b.void, b.size())
	b.entry(tlog.TreeLeaf{Value: fmt.Appendf(nil, "void %d", b.size())}, [32]byte{})
}

func (b *book) head() []byte { return b.headAt(b.size()) }

func (b *book) headAt(size int64) []byte {
	tree := ranges.NewEmptyRange(0)
	for _, l := range b.leaves[:size] {
		check(b.t, tree.Append(l[:], nil))
	}
	return b.sign(size, rootOf(tree))
}

func (b *book) sign(size int64, root tlog.Hash) []byte {
	return must(tlog.SignCheckpoint(tlog.Checkpoint{Origin: origin, Size: size, Root: root}, b.signer))
}

// publish inserts what is not covered yet and enters the publication that says so, after change.
func (b *book) publish(change ...func(*evidence.Event, *evidence.VaultHeadsDetails)) {
	var entries []heads.Entry
	for i := b.covers; i < b.size(); i++ {
		if b.places[i] != ([32]byte{}) {
			entries = append(entries, heads.Entry{Key: b.places[i], Value: b.leaves[i]})
		}
	}
	b.entries = append(b.entries, entries...)
	b.publishAt(b.size(), entries, change...)
}

// publishAt inserts entries and enters the publication at an index.
func (b *book) publishAt(index int64, entries []heads.Entry, change ...func(*evidence.Event, *evidence.VaultHeadsDetails)) {
	b.insert(entries)
	b.covers = index
	d := &evidence.VaultHeadsDetails{
		Covers: b.covers, Entries: b.covers - int64(len(b.void)), Void: slices.Clone(b.void), Root: evidence.Hash(b.m.Root()),
	}
	if d.Void == nil {
		d.Void = []int64{}
	}
	e := &evidence.Event{
		Vault: origin, Kind: evidence.VaultHeads, Tool: evidence.Tool{Name: "strongroomd", Version: "test"}, Details: d,
		Time: evidence.At(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).Add(time.Duration(index) * time.Second)), Actor: evidence.Signer{ID: b.actor, Role: evidence.Vault},
		Stream: evidence.Position{Type: evidence.VaultStream, ID: origin, Seq: int64(len(b.receipts)), Prev: b.last},
	}
	for _, f := range change {
		f(e, d)
	}
	e.Subject = e.Subjects(nil)
	b.enter(index, must(custody.Sign(e, b.vaultKey.SPKI(), b.vaultKey)))
}

func (b *book) enter(index int64, signed *custody.Signed) {
	proof := slices.Clone(b.tree.Hashes())
	slices.Reverse(proof)
	key := heads.Key(evidence.VaultOf(origin).Tag(origin), uint64(len(b.receipts)))
	b.entry(tlog.TreeLeaf{Value: signed.Leaf(), Extra: signed.DSSE()}, key)
	r := must(tlog.NewReceipt(tlog.ReceiptParts{
		LogID: tlog.Hash(custody.KeyID(b.logKey.SPKI())), Leaf: signed.Leaf(), Index: index, Proof: proof, Checkpoint: b.sign(index+1, rootOf(b.tree)),
		PayloadType: custody.PayloadType, Payload: signed.Payload(), Signature: signed.Signature(), KeyID: tlog.Hash(signed.KeyID()),
	}))
	b.receipts, b.last = append(b.receipts, r.Marshal()), signed.LeafHash()
}

func cut[T any](b *book, list []T, start, count int64) []T {
	if b.short > 0 {
		count = min(count, b.short)
	}
	return slices.Clone(list[start:min(start+count, int64(len(list)))])
}

func (b *book) Checkpoint(context.Context) ([]byte, error) { return b.head(), nil }

func (b *book) Consistency(_ context.Context, from, to int64) ([][]byte, error) {
	return b.consistency(from, to), nil
}

func (b *book) Leaves(_ context.Context, start, count int64) ([]tlog.Hash, error) {
	return cut(b, b.leaves, start, count), nil
}

func (b *book) Keys(_ context.Context, start, count int64) ([][32]byte, error) {
	return cut(b, b.places[:b.covers], start, count), nil
}

func (b *book) Statements(_ context.Context, start, count int64) ([]tlog.TreeLeaf, error) {
	return cut(b, b.signed[:b.covers], start, count), nil
}

func (b *book) Publications(_ context.Context, seq int64) ([][]byte, error) {
	return cut(b, b.receipts, min(seq, int64(len(b.receipts))), 100), nil
}

func (b *book) Authors(context.Context) ([]Author, error) {
	return []Author{{SPKI: b.vaultKey.SPKI(), From: -1}}, nil
}

// consistency is RFC 6962 §2.1.2, by its definition.
func (b *book) consistency(m, n int64) [][]byte {
	var root func(lo, hi int64) []byte
	root = func(lo, hi int64) []byte {
		if hi-lo == 1 {
			return b.leaves[lo][:]
		}
		k := split2(hi - lo)
		return ranges.Hash(root(lo, lo+k), root(lo+k, hi))
	}
	var sub func(m, lo, hi int64, whole bool) [][]byte
	sub = func(m, lo, hi int64, whole bool) [][]byte {
		if m == hi-lo {
			if whole {
				return nil
			}
			return [][]byte{root(lo, hi)}
		}
		if k := split2(hi - lo); m <= k {
			return append(sub(m, lo, lo+k, whole), root(lo+k, hi))
		} else {
			return append(sub(m-k, lo+k, hi, false), root(lo, lo+k))
		}
	}
	return sub(m, 0, n, true)
}

// split2 is the largest power of two below n.
func split2(n int64) int64 {
	k := int64(1)
	for k<<1 < n {
		k <<= 1
	}
	return k
}

func follower(t testing.TB, dir string, v Vault, keys tlog.LogKeys) *Follower {
	t.Helper()
	s, err := Open(t.Context(), dir, keys)
	check(t, err)
	t.Cleanup(func() { s.Close() })
	return &Follower{State: s, Vault: v}
}

func (b *book) follow(dir string) *Follower { return follower(b.t, dir, b, b.keys) }
