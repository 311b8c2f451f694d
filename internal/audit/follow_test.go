package audit

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/heads"
	"strongroom.example/strongroom/internal/tlog"
)

// agrees checks that what was verified is what the book has.
func (b *book) agrees(t *testing.T, s *State) {
	t.Helper()
	cp, _ := s.Head()
	if root := rootOf(b.tree); cp.Size != b.size() || cp.Root != root || s.Covers() != b.covers || !slices.Equal(s.Void(), b.void) || s.Publications() != int64(len(b.receipts)) {
		t.Fatalf("size %d of %d, covers %d of %d, %d publications of %d", cp.Size, b.size(), s.Covers(), b.covers, s.Publications(), len(b.receipts))
	}
	for i := range b.size() {
		if leaf := must(s.Leaf(i)); leaf != b.leaves[i] {
			t.Fatalf("leaf %d", i)
		}
		if i < b.covers && must(s.Key(i)) != b.places[i] {
			t.Fatalf("key %d", i)
		}
	}
	if s.Read() != b.covers {
		t.Fatalf("%d statements were read of %d", s.Read(), b.covers)
	}
	if b.covers > 0 && evidence.Hash(s.heads.Root()) != s.kept.Heads.Root {
		t.Fatal("the map is not the published one")
	}
}

// TestFollow follows a log that grows, in short pages and long ones, with void entries, opened anew and not.
func TestFollow(t *testing.T) {
	for _, short := range []int64{0, 1, 7} {
		b := newBook(t)
		b.short = short
		dir := t.TempDir()
		f := b.follow(dir)
		b.grow(1)
		for round := range 6 {
			if round%2 == 1 {
				check(t, f.State.Close())
				f = b.follow(dir)
			}
			b.grow(round * 20)
			if round == 3 {
				b.growVoid()
			}
			b.publish()
			if round == 4 {
				b.publish()
				b.publish()
			}
			step, err := f.Step(t.Context())
			check(t, err)
			b.agrees(t, f.State)
			check(t, f.State.Tell())
			if (len(step.Void) > 0) != (round == 3) || step.Size != b.size() || step.Publications == 0 {
				t.Fatalf("%+v", step)
			}
		}
		again, err := f.Step(t.Context())
		check(t, err)
		if again.From != again.Size || again.Publications != 0 {
			t.Fatalf("nothing was new: %+v", again)
		}
		check(t, f.State.Close())
		b.agrees(t, b.follow(dir).State)
	}
}

// TestHashesOnly follows without what only auditors may read, and goes on with it later.
func TestHashesOnly(t *testing.T) {
	b := newBook(t)
	b.grow(50)
	b.publish()
	dir := t.TempDir()
	f := b.follow(dir)
	f.HashesOnly, f.Vault = true, onlyHashes{b}
	_, err := f.Step(t.Context())
	check(t, err)
	if cp, _ := f.State.Head(); cp.Size != b.size() || f.State.Covers() != 0 {
		t.Fatal("not followed")
	}
	b.grow(5)
	b.publish()
	f.HashesOnly, f.Vault = false, b
	_, err = f.Step(t.Context())
	check(t, err)
	b.agrees(t, f.State)
}

type onlyHashes struct{ Vault }

func (onlyHashes) Keys(context.Context, int64, int64) ([][32]byte, error) { panic("asked for keys") }
func (onlyHashes) Statements(context.Context, int64, int64) ([]tlog.TreeLeaf, error) {
	panic("asked for statements")
}
func (onlyHashes) Publications(context.Context, int64) ([][]byte, error) {
	panic("asked for publications")
}

// TestKilled kills the auditor after each change of a file, with the last one torn or not, and goes on: each time it comes to the same.
func TestKilled(t *testing.T) {
	b := newBook(t)
	b.grow(30)
	b.publish()
	dir := t.TempDir()
	_, err := b.follow(dir).Step(t.Context())
	check(t, err)
	b.grow(10)
	b.growVoid()
	b.publish()
	b.grow(3)
	b.publish()
	b.short = 5

	var copies []string
	work := t.TempDir()
	check(t, os.CopyFS(work, os.DirFS(dir)))
	s, err := open(t.Context(), work, b.keys, func() {
		at := t.TempDir()
		check(t, os.CopyFS(at, os.DirFS(work)))
		copies = append(copies, at)
	})
	check(t, err)
	defer s.Close()
	_, err = (&Follower{State: s, Vault: b}).Step(t.Context())
	check(t, err)
	if len(copies) < 10 {
		t.Fatalf("%d moments", len(copies))
	}
	for i, at := range copies {
		for _, torn := range []string{"", "leaves", "keys"} {
			dir := t.TempDir()
			check(t, os.CopyFS(dir, os.DirFS(at)))
			if torn != "" {
				file := must(os.OpenFile(filepath.Join(dir, torn), os.O_RDWR|os.O_APPEND, 0o600))
				must(file.Write(append(make([]byte, 40), 7)))
				check(t, file.Close())
			}
			f := b.follow(dir)
			if _, err := f.Step(t.Context()); err != nil {
				t.Fatalf("after change %d, torn %q: %v", i, torn, err)
			}
			b.agrees(t, f.State)
		}
	}
}

// TestIndexIsMadeAgain loses and spoils the index.
func TestIndexIsMadeAgain(t *testing.T) {
	b := newBook(t)
	b.grow(300)
	b.publish()
	dir := t.TempDir()
	f := b.follow(dir)
	_, err := f.Step(t.Context())
	check(t, err)
	check(t, f.State.index.merge(b.covers))
	check(t, f.State.Close())
	b.grow(20)
	b.publish()
	f = b.follow(dir)
	if f.State.index.upTo == 0 {
		t.Fatal("the index was not used")
	}
	_, err = f.Step(t.Context())
	check(t, err)
	b.agrees(t, f.State)
	check(t, f.State.Close())
	whole := must(os.ReadFile(filepath.Join(dir, "index")))
	for i := 0; i < len(whole); i += 2003 {
		spoiled := slices.Clone(whole)
		spoiled[i] ^= 4
		check(t, os.WriteFile(filepath.Join(dir, "index"), spoiled, 0o600))
		f := b.follow(dir)
		b.agrees(t, f.State)
		check(t, f.State.Close())
	}
	check(t, os.WriteFile(filepath.Join(dir, "index"), whole[:len(whole)-64], 0o600))
	b.agrees(t, b.follow(dir).State)
}

// TestDamaged spoils what was verified: nobody goes on from there.
func TestDamaged(t *testing.T) {
	b := newBook(t)
	b.grow(40)
	b.growVoid()
	b.publish()
	dir := t.TempDir()
	f := b.follow(dir)
	_, err := f.Step(t.Context())
	check(t, err)
	check(t, f.State.Close())
	for _, name := range []string{"leaves", "keys", stateDoc} {
		path := filepath.Join(dir, name)
		whole := must(os.ReadFile(path))
		for i := 0; i < len(whole); i += 31 {
			spoiled := slices.Clone(whole)
			spoiled[i] ^= 1
			check(t, os.WriteFile(path, spoiled, 0o600))
			if _, err := Open(t.Context(), dir, b.keys); !errors.Is(err, ErrDamaged) {
				t.Fatalf("%s, byte %d: %v", name, i, err)
			}
		}
		check(t, os.WriteFile(path, whole[:len(whole)/2], 0o600))
		if _, err := Open(t.Context(), dir, b.keys); !errors.Is(err, ErrDamaged) {
			t.Fatalf("%s, half of it: %v", name, err)
		}
		check(t, os.WriteFile(path, whole, 0o600))
	}
	other := newBook(t)
	if _, err := Open(t.Context(), dir, other.keys); !errors.Is(err, ErrDamaged) {
		t.Fatalf("keys of another log: %v", err)
	}
}

// told is a Vault that changes some answers.
type told struct {
	Vault
	head         func([]byte) []byte
	leaves       func(start int64, list []tlog.Hash) []tlog.Hash
	keys         func(start int64, list [][32]byte) [][32]byte
	publications func(list [][]byte) [][]byte
	statements   func(start int64, list []tlog.TreeLeaf) []tlog.TreeLeaf
	proof        func([][]byte) [][]byte
}

func through[T any](f func(T) T, v T, err error) (T, error) {
	if f == nil || err != nil {
		return v, err
	}
	return f(v), nil
}

func (l told) Checkpoint(ctx context.Context) ([]byte, error) {
	v, err := l.Vault.Checkpoint(ctx)
	return through(l.head, v, err)
}

func (l told) Consistency(ctx context.Context, from, to int64) ([][]byte, error) {
	v, err := l.Vault.Consistency(ctx, from, to)
	return through(l.proof, v, err)
}

func (l told) Publications(ctx context.Context, seq int64) ([][]byte, error) {
	v, err := l.Vault.Publications(ctx, seq)
	return through(l.publications, v, err)
}

func (l told) Leaves(ctx context.Context, start, count int64) ([]tlog.Hash, error) {
	v, err := l.Vault.Leaves(ctx, start, count)
	if l.leaves != nil {
		v = l.leaves(start, v)
	}
	return v, err
}

func (l told) Keys(ctx context.Context, start, count int64) ([][32]byte, error) {
	v, err := l.Vault.Keys(ctx, start, count)
	if l.keys != nil {
		v = l.keys(start, v)
	}
	return v, err
}

func (l told) Statements(ctx context.Context, start, count int64) ([]tlog.TreeLeaf, error) {
	v, err := l.Vault.Statements(ctx, start, count)
	if l.statements != nil {
		v = l.statements(start, v)
	}
	return v, err
}

// TestLies tells an auditor who has followed for a while one lie at a time. Each is an Alarm for its own reason with both signed heads,
// and leaves the state as it was: right after it the honest vault is followed.
func TestLies(t *testing.T) {
	type details = evidence.VaultHeadsDetails
	at := func(i int64, change func([32]byte) [32]byte) func(int64, [][32]byte) [][32]byte {
		return func(start int64, list [][32]byte) [][32]byte {
			if i >= start && i < start+int64(len(list)) {
				list[i-start] = change(list[i-start])
			}
			return list
		}
	}
	const seen = 41 // entries that were verified before: 40 and a publication
	publishing := func(change func(*evidence.Event, *details)) func(b *book) Vault {
		return func(b *book) Vault {
			other := b.copy()
			other.grow(3)
			other.publish(change)
			return other
		}
	}
	for _, c := range []struct {
		name  string
		want  Reason
		vault func(b *book) Vault // b has 41 entries, of which 40 are covered; the honest one grows by ten
	}{
		{"a head by another key", UnsignedHead, func(b *book) Vault {
			return told{Vault: b, head: func([]byte) []byte { return newBook(t).sign(50, tlog.Hash{1}) }}
		}},
		{"two roots of one size", TwoRoots, func(b *book) Vault {
			return told{Vault: b, head: func([]byte) []byte { return b.sign(seen, tlog.Hash{1}) }}
		}},
		{"a fork by the log's own keys", Forked, func(b *book) Vault {
			other := b.copy()
			other.leaves[5][0] ^= 1
			return told{Vault: other}
		}},
		{"a fork that is shorter", Forked, func(b *book) Vault {
			return told{Vault: b, head: func([]byte) []byte { return b.sign(seen-4, tlog.Hash{1}) }}
		}},
		{"a consistency proof that is none", FalseProof, func(b *book) Vault {
			return told{Vault: b, proof: func(p [][]byte) [][]byte { return p[1:] }}
		}},
		{"an older head", RolledBack, func(b *book) Vault {
			return told{Vault: b, head: func([]byte) []byte { return b.headAt(20) }}
		}},
		{"a leaf hash changed", FalseLeaves, func(b *book) Vault {
			return told{Vault: b, leaves: func(_ int64, list []tlog.Hash) []tlog.Hash {
				list[len(list)-1][0] ^= 1
				return list
			}}
		}},
		{"a page that is too long", FalsePage, func(b *book) Vault {
			return told{Vault: b, leaves: func(_ int64, list []tlog.Hash) []tlog.Hash { return append(list, tlog.Hash{}) }}
		}},
		{"a page that is empty", FalsePage, func(b *book) Vault {
			return told{Vault: b, leaves: func(int64, []tlog.Hash) []tlog.Hash { return nil }}
		}},
		{"a page of keys that is too long", FalsePage, func(b *book) Vault {
			return told{Vault: b, keys: func(_ int64, list [][32]byte) [][32]byte { return append(list, [32]byte{}) }}
		}},

		{"a changed key", OtherMap, func(b *book) Vault {
			return told{Vault: b, keys: at(seen+3, func(k [32]byte) [32]byte { k[0] ^= 1; return k })}
		}},
		{"the publication's own key changed", FalseKey, func(b *book) Vault {
			return told{Vault: b, keys: at(seen-1, func(k [32]byte) [32]byte { k[0] ^= 1; return k })}
		}},
		{"an insert left out", OmittedInsert, func(b *book) Vault {
			return told{Vault: b, keys: at(seen+3, func([32]byte) [32]byte { return [32]byte{} })}
		}},
		{"an insert of what is void", VoidInsert, func(b *book) Vault {
			return told{Vault: b, keys: at(seen+2, func([32]byte) [32]byte { return [32]byte{9} })}
		}},
		{"an insert twice", RepeatedInsert, func(b *book) Vault {
			return told{Vault: b, keys: at(seen+3, func([32]byte) [32]byte { return b.places[7] })}
		}},
		{"the root of another map", OtherMap, publishing(func(_ *evidence.Event, d *details) { d.Root[0] ^= 1 })},
		{"a value deleted and another inserted", OtherMap, func(b *book) Vault {
			other := b.copy()
			entries := slices.Clone(other.entries)
			entries[3].Value[0] ^= 1
			other.store = &index{path: t.TempDir() + "/index", tail: make(map[uint16][]heads.Entry)}
			other.m = must(heads.Open(t.Context(), other.store))
			other.insert(entries)
			other.publish()
			return other
		}},
		{"fewer entries than are covered", FalseCount, publishing(func(_ *evidence.Event, d *details) { d.Entries-- })},
		{"a void entry that is covered already", FalseCount, publishing(func(_ *evidence.Event, d *details) {
			d.Void, d.Entries = []int64{39, 43, 43}, d.Entries-1
		})},
		{"void entries forgotten", BrokenHeads, publishing(func(_ *evidence.Event, d *details) { d.Void, d.Entries = []int64{}, d.Covers })},
		{"a publication that covers less", BrokenHeads, publishing(func(_ *evidence.Event, d *details) { d.Covers, d.Entries = 30, 28 })},
		{"a publication that covers itself", BrokenHeads, publishing(func(_ *evidence.Event, d *details) { d.Covers++; d.Entries++ })},
		{"a publication left out", BrokenHeads, publishing(func(e *evidence.Event, _ *details) { e.Stream.Seq++ })},
		{"a publication after another one", BrokenHeads, publishing(func(e *evidence.Event, _ *details) { e.Stream.Prev[0] ^= 1 })},
		{"a publication of another vault", ForeignHeads, publishing(func(e *evidence.Event, _ *details) { e.Vault, e.Stream.ID = "other.example", "other.example" })},
		{"a publication by another key", ForeignHeads, func(b *book) Vault {
			other := b.copy()
			other.vaultKey = must(custody.GenerateKey())
			other.publish()
			return told{Vault: other.withAuthors(b)}
		}},
		{"a publication that is not in the log", ForeignHeads, func(b *book) Vault {
			other := b.copy()
			other.publish(func(_ *evidence.Event, d *details) { d.Root[0] ^= 1 })
			b.publish()
			return told{Vault: b, publications: func([][]byte) [][]byte { return other.receipts[1:] }}
		}},
		{"a receipt that is none", ForeignHeads, func(b *book) Vault {
			return told{Vault: b, publications: func(l [][]byte) [][]byte { return [][]byte{[]byte("{}")} }}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBook(t)
			b.grow(39)
			b.growVoid()
			b.publish()
			f := b.follow(t.TempDir())
			_, err := f.Step(t.Context())
			check(t, err)
			_, was := f.State.Head()
			before := must(os.ReadFile(f.State.path(stateDoc)))

			b.grow(2)
			b.growVoid()
			b.grow(2)
			b.publish()
			b.grow(1)
			f.Vault = c.vault(b)
			_, err = f.Step(t.Context())
			if ReasonOf(err) != c.want {
				t.Fatalf("got %v, want %q", err, c.want)
			}
			var a *Alarm
			if errors.As(err, &a); a.Older == nil || a.Newer == nil {
				t.Fatal("an alarm without both heads")
			}
			dir, err := f.State.Keep(a)
			check(t, err)
			e, err := ReadEvidence(dir)
			check(t, err)
			if string(e.Newer) != string(a.Newer) || string(e.Older) != string(a.Older) {
				t.Fatal("the evidence holds other heads")
			}
			if c.want == TwoRoots || c.want == Forked {
				older, newer := must(tlog.OpenCheckpoint(e.Older, b.keys)), must(tlog.OpenCheckpoint(e.Newer, b.keys))
				if r := must(Compare(older, newer, e.Split, nil, nil)); r != Fork {
					t.Fatalf("the evidence shows %q", r)
				}
				if r := must(Compare(older, newer, nil, nil, f.State)); r != Fork && older.Size >= newer.Size {
					t.Fatalf("the state shows %q", r)
				}
			}
			if slices.Contains([]Reason{UnsignedHead, TwoRoots, Forked, FalseProof, RolledBack, FalseLeaves}, c.want) {
				if _, now := f.State.Head(); string(now) != string(was) || string(must(os.ReadFile(f.State.path(stateDoc)))) != string(before) {
					t.Fatal("the state was changed")
				}
			}
			// Where the lie was in the log itself, which is this auditor's only history now, the honest vault is another one.
			if f.Vault = b; !f.ofHistory(b) {
				return
			}
			_, err = f.Step(t.Context())
			check(t, err)
			b.agrees(t, f.State)
		})
	}
}

// ofHistory reports whether the verified head is of this history.
func (f *Follower) ofHistory(b *book) bool {
	cp, _ := f.State.Head()
	if cp.Size > b.size() {
		return false
	}
	own := must(tlog.OpenCheckpoint(b.headAt(cp.Size), b.keys))
	return own.Root == cp.Root
}

func (b *book) withAuthors(of *book) Vault { return authored{b, of} }

// authored is a vault whose keys are another's.
type authored struct {
	*book
	of *book
}

func (a authored) Authors(ctx context.Context) ([]Author, error) { return a.of.Authors(ctx) }
