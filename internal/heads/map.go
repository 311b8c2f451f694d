package heads

import (
	"bytes"
	"context"
	"encoding/binary"
	"slices"
	"sync"
)

// The map is cut at depth 16: above it the tree is in memory, below it each of
// the 65,536 buckets is read from the store when it is needed. A million
// entries are 15 in a bucket.
const (
	bucketDepth = 16
	bucketCount = 1 << bucketDepth
)

// Store keeps entries and bucket summaries durably. Both methods see what
// committed transactions wrote and are safe for concurrent use.
type Store interface {
	// HeadsBucket returns every entry whose key starts with the 16-bit
	// prefix, sorted by key; none is no error.
	HeadsBucket(ctx context.Context, prefix uint16) ([]Entry, error)
	// HeadsBuckets calls f for the summary of every bucket that has entries,
	// in ascending order of prefix, and stops at f's first error.
	HeadsBuckets(ctx context.Context, f func(prefix uint16, s Summary) error) error
}

// Summary is what the tree above needs to know of a bucket that has entries.
type Summary struct {
	// Single says that the bucket holds one entry alone. Such a leaf stands
	// as high in the tree as it is unique.
	Single bool
	// Hash is the leaf's hash, or that of the bucket's subtree at depth 16.
	Hash [32]byte
}

// Bucket is a summary with the bucket it belongs to.
type Bucket struct {
	Prefix  uint16
	Summary Summary
}

// Map is the heads map. It holds 4.3 MB whatever the number of entries, and is
// safe for concurrent use.
type Map struct {
	store Store

	mu sync.RWMutex
	// nodes is the upper tree: nodes[1] is the root, the children of i are 2i
	// and 2i+1, bucket b is nodes[bucketCount+b].
	nodes []node
}

// node is the root of a subtree: empty, the zero value, a lone leaf, or an
// inner node.
type node struct {
	kind kind
	hash [32]byte
}

func (n node) root() [32]byte {
	if n.kind == isEmpty {
		return empty
	}
	return n.hash
}

type kind uint8

const (
	isEmpty kind = iota
	isLeaf
	isInner
)

// join is the definition of FORMATS §7 on roots of subtrees: a lone leaf rises.
func join(left, right node) node {
	switch {
	case right.kind == isEmpty && left.kind != isInner:
		return left
	case left.kind == isEmpty && right.kind != isInner:
		return right
	}
	return node{isInner, nodeHash(left.root(), right.root())}
}

// Open reads the bucket summaries and returns the map over store.
func Open(ctx context.Context, store Store) (*Map, error) {
	m := &Map{store: store, nodes: make([]node, 2*bucketCount)}
	err := store.HeadsBuckets(ctx, func(prefix uint16, s Summary) error {
		m.nodes[bucketCount+int(prefix)] = s.node()
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i := bucketCount - 1; i > 0; i-- {
		m.nodes[i] = join(m.nodes[2*i], m.nodes[2*i+1])
	}
	return m, nil
}

// Summarize returns the summary of one bucket's entries, at least one, for a
// Store that keeps entries alone. They are sorted by key and share the bucket's
// prefix, or it is ErrStore.
func Summarize(bucket []Entry) (Summary, error) {
	for i, e := range bucket {
		if prefixOf(e.Key) != prefixOf(bucket[0].Key) || i > 0 && byKey(bucket[i-1], e) >= 0 {
			return Summary{}, ErrStore
		}
	}
	n := subtree(bucket, bucketDepth)
	if n.kind == isEmpty {
		return Summary{}, ErrStore
	}
	return Summary{Single: n.kind == isLeaf, Hash: n.hash}, nil
}

func (s Summary) node() node {
	if s.Single {
		return node{isLeaf, s.Hash}
	}
	return node{isInner, s.Hash}
}

// Root returns the root over all committed entries.
func (m *Map) Root() [32]byte {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.nodes[1].root()
}

// Update is what inserting entries changes. The caller writes Inserted and
// Buckets in one transaction, then calls Map.Commit.
type Update struct {
	// Root is the map's root once the update is committed.
	Root [32]byte
	// Inserted are the entries to write, in the order given.
	Inserted []Entry
	// Void are the positions, in the entries given, of those that repeat a
	// key: the first one stays, these are never written (FORMATS §7).
	Void []int
	// Buckets are the summaries to write over the stored ones, by prefix.
	Buckets []Bucket

	base  [32]byte
	nodes map[int]node
}

// Insert computes, without writing anything, what adding the entries in this
// order does. Errors: ErrStore, and the store's own.
func (m *Map) Insert(ctx context.Context, entries []Entry) (Update, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()

	u := Update{base: m.nodes[1].root(), nodes: make(map[int]node)}
	buckets := make(map[uint16][]Entry)
	for i, e := range entries {
		prefix := prefixOf(e.Key)
		bucket, read := buckets[prefix]
		if !read {
			var err error
			if bucket, err = m.readBucket(ctx, prefix); err != nil {
				return Update{}, err
			}
			buckets[prefix] = bucket
		}
		at, found := slices.BinarySearchFunc(bucket, e, byKey)
		if found {
			u.Void = append(u.Void, i)
			continue
		}
		buckets[prefix] = slices.Insert(bucket, at, e)
		u.Inserted = append(u.Inserted, e)
		u.nodes[bucketCount+int(prefix)] = node{}
	}

	for i := range u.nodes {
		prefix := uint16(i - bucketCount)
		n := subtree(buckets[prefix], bucketDepth)
		u.nodes[i] = n
		u.Buckets = append(u.Buckets, Bucket{prefix, Summary{Single: n.kind == isLeaf, Hash: n.hash}})
	}
	slices.SortFunc(u.Buckets, func(a, b Bucket) int { return int(a.Prefix) - int(b.Prefix) })
	u.Root = m.rejoin(&u)
	return u, nil
}

// rejoin recomputes the tree above the changed buckets, level by level, into
// u.nodes, and returns the new root.
func (m *Map) rejoin(u *Update) [32]byte {
	at := func(i int) node {
		if n, changed := u.nodes[i]; changed {
			return n
		}
		return m.nodes[i]
	}
	level := make([]int, len(u.Buckets))
	for i, b := range u.Buckets {
		level[i] = bucketCount + int(b.Prefix)
	}
	for range bucketDepth {
		for i := range level {
			level[i] /= 2
		}
		level = slices.Compact(level)
		for _, i := range level {
			u.nodes[i] = join(at(2*i), at(2*i+1))
		}
	}
	return at(1).root()
}

// Commit makes the map what u describes. It is called once u is durable in the
// store, and refuses with ErrStale an update computed from another root.
func (m *Map) Commit(u Update) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.nodes[1].root() != u.base {
		return ErrStale
	}
	for i, n := range u.nodes {
		m.nodes[i] = n
	}
	return nil
}

// Prove returns the proof for key under Root, of membership or of absence. It
// verifies the proof before handing it out. Errors: ErrStore, the store's own.
func (m *Map) Prove(ctx context.Context, key [32]byte) (Proof, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()

	var p Proof
	i := 1
	for depth := 0; depth < bucketDepth && m.nodes[i].kind == isInner; depth++ {
		i = 2*i + bit(key, depth)
		p.Siblings = append(p.Siblings, m.nodes[i^1].root())
	}
	if m.nodes[i].kind == isEmpty {
		return m.checked(p, key)
	}
	// A lone leaf that stands above its bucket is found below its node.
	for i < bucketCount {
		if i *= 2; m.nodes[i].kind == isEmpty {
			i++
		}
	}
	bucket, err := m.readBucket(ctx, uint16(i-bucketCount))
	if err != nil {
		return Proof{}, err
	}
	for depth := bucketDepth; len(bucket) > 1; depth++ {
		zeros, ones := cut(bucket, depth)
		beside := ones
		bucket = zeros
		if bit(key, depth) == 1 {
			bucket, beside = ones, zeros
		}
		p.Siblings = append(p.Siblings, subtree(beside, depth+1).root())
	}
	if len(bucket) == 1 {
		leaf := bucket[0]
		p.Leaf = &leaf
	}
	return m.checked(p, key)
}

func (m *Map) checked(p Proof, key [32]byte) (Proof, error) {
	if _, _, err := p.Verify(m.nodes[1].root(), key); err != nil {
		return Proof{}, ErrStore
	}
	return p, nil
}

// readBucket returns a bucket's entries after checking that they are sorted,
// belong here and hash to the node the map holds.
func (m *Map) readBucket(ctx context.Context, prefix uint16) ([]Entry, error) {
	bucket, err := m.store.HeadsBucket(ctx, prefix)
	if err != nil {
		return nil, err
	}
	for i, e := range bucket {
		if prefixOf(e.Key) != prefix || i > 0 && byKey(bucket[i-1], e) >= 0 {
			return nil, ErrStore
		}
	}
	if subtree(bucket, bucketDepth) != m.nodes[bucketCount+int(prefix)] {
		return nil, ErrStore
	}
	return slices.Clip(bucket), nil
}

// subtree returns the root of the sorted entries, which share their first
// depth bits.
func subtree(sorted []Entry, depth int) node {
	switch len(sorted) {
	case 0:
		return node{}
	case 1:
		return node{isLeaf, leafHash(sorted[0])}
	}
	zeros, ones := cut(sorted, depth)
	return node{isInner, nodeHash(subtree(zeros, depth+1).root(), subtree(ones, depth+1).root())}
}

// cut parts sorted entries that share their first depth bits by the next bit.
func cut(sorted []Entry, depth int) (zeros, ones []Entry) {
	at, _ := slices.BinarySearchFunc(sorted, 1, func(e Entry, one int) int { return bit(e.Key, depth) - one })
	return sorted[:at], sorted[at:]
}

func byKey(a, b Entry) int { return bytes.Compare(a.Key[:], b.Key[:]) }

func prefixOf(key [32]byte) uint16 { return binary.BigEndian.Uint16(key[:]) }
