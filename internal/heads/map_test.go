package heads

import (
	"context"
	"errors"
	"maps"
	"runtime"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// memStore is a Store that a test can write, spoil and make fail.
type memStore struct {
	buckets   map[uint16][]Entry
	summaries map[uint16]Summary
	err       error
}

func newMemStore() *memStore {
	return &memStore{buckets: map[uint16][]Entry{}, summaries: map[uint16]Summary{}}
}

func (s *memStore) HeadsBucket(_ context.Context, prefix uint16) ([]Entry, error) {
	return slices.Clone(s.buckets[prefix]), s.err
}

func (s *memStore) HeadsBuckets(_ context.Context, f func(uint16, Summary) error) error {
	for _, prefix := range slices.Sorted(maps.Keys(s.summaries)) {
		if err := f(prefix, s.summaries[prefix]); err != nil {
			return err
		}
	}
	return s.err
}

func (s *memStore) write(u Update) {
	touched := map[uint16]bool{}
	for _, e := range u.Inserted {
		s.buckets[prefixOf(e.Key)] = append(s.buckets[prefixOf(e.Key)], e)
		touched[prefixOf(e.Key)] = true
	}
	for prefix := range touched {
		slices.SortFunc(s.buckets[prefix], byKey)
	}
	for _, b := range u.Buckets {
		s.summaries[b.Prefix] = b.Summary
	}
}

type fataler interface{ Fatal(...any) }

func open(t fataler, s Store) *Map {
	m, err := Open(context.Background(), s)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// insert inserts as a caller does: compute, write, commit.
func insert(t fataler, m *Map, s *memStore, entries []Entry) Update {
	u, err := m.Insert(context.Background(), entries)
	if err != nil {
		t.Fatal(err)
	}
	s.write(u)
	if err := m.Commit(u); err != nil {
		t.Fatal(err)
	}
	if m.Root() != u.Root {
		t.Fatal("committed root is not the announced one")
	}
	return u
}

func mapOf(t fataler, entries []Entry) *Map {
	s := newMemStore()
	m := open(t, s)
	insert(t, m, s, entries)
	return m
}

// drawKey draws keys that share long prefixes with each other: a random one
// of few bases, with a suffix changed from a random bit on.
func drawKey(t *rapid.T) [32]byte {
	var key [32]byte
	base := rapid.IntRange(0, 3).Draw(t, "base")
	for i := range key {
		key[i] = byte(base * 0x55)
	}
	for range rapid.IntRange(0, 2).Draw(t, "changes") {
		i := rapid.OneOf(rapid.IntRange(0, 255), rapid.IntRange(12, 20), rapid.IntRange(250, 255)).Draw(t, "bit")
		key[i/8] ^= 0x80 >> (i % 8)
	}
	return key
}

// TestMapIsTree checks that Map, opened anew or grown in batches, agrees with
// the definition on the root and on the proof of every key, that each proof
// says the truth, and that repeated keys are reported and change nothing.
func TestMapIsTree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newMemStore()
		m := open(t, s)
		var all []Entry
		values := map[[32]byte][32]byte{}
		for batch := range rapid.IntRange(0, 3).Draw(t, "batches") {
			var entries []Entry
			var void []int
			for i := range rapid.IntRange(0, 8).Draw(t, "size") {
				e := Entry{Key: drawKey(t), Value: [32]byte{byte(batch), byte(i)}}
				entries = append(entries, e)
				if _, repeated := values[e.Key]; repeated {
					void = append(void, i)
					continue
				}
				values[e.Key] = e.Value
				all = append(all, e)
			}
			if u := insert(t, m, s, entries); !slices.Equal(u.Void, void) {
				t.Fatal("wrong void list")
			}
		}
		tree, err := Build(all)
		if err != nil {
			t.Fatal(err)
		}
		if m.Root() != tree.Root() || open(t, s).Root() != tree.Root() {
			t.Fatal("roots differ")
		}
		keys := slices.Collect(maps.Keys(values))
		for range 4 {
			keys = append(keys, drawKey(t))
		}
		for _, key := range keys {
			p, err := m.Prove(context.Background(), key)
			if err != nil {
				t.Fatal(err)
			}
			if want := tree.Prove(key); !slices.Equal(p.Siblings, want.Siblings) || (p.Leaf == nil) != (want.Leaf == nil) || p.Leaf != nil && *p.Leaf != *want.Leaf {
				t.Fatal("proofs differ")
			}
			value, there := values[key]
			if there {
				err = p.VerifyMember(tree.Root(), key, value)
			} else {
				err = p.VerifyAbsent(tree.Root(), key)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestRepeatedKeyIsVoid(t *testing.T) {
	s := newMemStore()
	m := open(t, s)
	entries := numbered(3)
	insert(t, m, s, entries[:1])
	before := m.Root()
	other := Entry{Key: entries[0].Key, Value: [32]byte{1}}
	u := insert(t, m, s, []Entry{other, entries[0]})
	if !slices.Equal(u.Void, []int{0, 1}) || len(u.Inserted) != 0 || len(u.Buckets) != 0 || m.Root() != before {
		t.Fatal("a repeated key changed the map")
	}
	u = insert(t, m, s, []Entry{entries[1], entries[1], entries[2]})
	if !slices.Equal(u.Void, []int{1}) || len(u.Inserted) != 2 {
		t.Fatal("a key repeated within a batch was not void")
	}
	if _, err := Build([]Entry{entries[0], other}); !errors.Is(err, ErrRepeated) {
		t.Fatal("tree accepted a repeated key")
	}
}

func TestInsertDoesNotChangeMap(t *testing.T) {
	s := newMemStore()
	m := open(t, s)
	insert(t, m, s, numbered(10))
	before := m.Root()
	u, err := m.Insert(context.Background(), numbered(20)[10:])
	if err != nil {
		t.Fatal(err)
	}
	if m.Root() != before {
		t.Fatal("insert changed the root before commit")
	}
	again, err := m.Insert(context.Background(), numbered(30)[20:])
	if err != nil {
		t.Fatal(err)
	}
	s.write(u)
	if err := m.Commit(u); err != nil {
		t.Fatal(err)
	}
	if err := m.Commit(again); !errors.Is(err, ErrStale) {
		t.Fatalf("stale update: %v", err)
	}
}

func TestSpoiledStore(t *testing.T) {
	ctx := context.Background()
	entries := numbered(1000)
	victim := entries[500]
	prefix := prefixOf(victim.Key)
	broken := errors.New("disk on fire")
	for name, test := range map[string]struct {
		spoil func(s *memStore)
		want  error
	}{
		"value changed":  {func(s *memStore) { s.buckets[prefix][0].Value[0] ^= 1 }, ErrStore},
		"entry lost":     {func(s *memStore) { s.buckets[prefix] = s.buckets[prefix][1:] }, ErrStore},
		"entry repeated": {func(s *memStore) { s.buckets[prefix] = append(s.buckets[prefix], s.buckets[prefix][0]) }, ErrStore},
		"foreign entry":  {func(s *memStore) { s.buckets[prefix] = append(s.buckets[prefix], Entry{Key: [32]byte{^victim.Key[0]}}) }, ErrStore},
		"store fails":    {func(s *memStore) { s.err = broken }, broken},
	} {
		t.Run(name, func(t *testing.T) {
			s := newMemStore()
			m := open(t, s)
			insert(t, m, s, entries)
			test.spoil(s)
			if _, err := m.Prove(ctx, victim.Key); !errors.Is(err, test.want) {
				t.Errorf("prove: %v", err)
			}
			fresh := victim
			fresh.Key[31] ^= 1
			if _, err := m.Insert(ctx, []Entry{fresh}); !errors.Is(err, test.want) {
				t.Errorf("insert: %v", err)
			}
		})
	}
}

// nullStore answers for an empty map and keeps nothing.
type nullStore struct{}

func (nullStore) HeadsBucket(context.Context, uint16) ([]Entry, error) { return nil, nil }
func (nullStore) HeadsBuckets(_ context.Context, f func(uint16, Summary) error) error {
	for prefix := range bucketCount {
		if err := f(uint16(prefix), Summary{Hash: [32]byte{byte(prefix)}}); err != nil {
			return err
		}
	}
	return nil
}

// TestMemory checks that a map with every bucket in use stays far below 20 MB.
func TestMemory(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	m := open(t, nullStore{})
	runtime.GC()
	runtime.ReadMemStats(&after)
	if used := int64(after.HeapAlloc) - int64(before.HeapAlloc); used > 8<<20 {
		t.Fatalf("map uses %d bytes", used)
	}
	runtime.KeepAlive(m)
}

func BenchmarkInsertOneInto100k(b *testing.B) {
	s := newMemStore()
	m := open(b, s)
	entries := numbered(100_000 + 4096)
	insert(b, m, s, entries[:100_000])
	i := 0
	for b.Loop() {
		u, err := m.Insert(context.Background(), entries[100_000+i%4096:][:1])
		if err != nil || len(u.Inserted) != 1 {
			b.Fatal("not inserted")
		}
		i++
	}
}

func BenchmarkProveIn100k(b *testing.B) {
	m := mapOf(b, numbered(100_000))
	keys := numbered(4096)
	i := 0
	for b.Loop() {
		if _, err := m.Prove(context.Background(), keys[i%4096].Key); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

func BenchmarkOpenAllBuckets(b *testing.B) {
	for b.Loop() {
		open(b, nullStore{})
	}
}
