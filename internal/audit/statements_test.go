package audit

import (
	"bytes"
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

// TestFalsePlaces: the map is true to what the vault tells of it, and one entry stands in it elsewhere than its statement says, or its
// statement is not told. That is an alarm, with the statement, each time; and nothing is cosigned, neither before nor after a person put the
// evidence away.
func TestFalsePlaces(t *testing.T) {
	const at = 7
	another := func(b *book) *custody.Signed { return b.statement("another") }
	given := func(change func(b *book, e tlog.TreeLeaf) tlog.TreeLeaf) func(b *book) Vault {
		return func(b *book) Vault {
			return told{Vault: b, statements: func(start int64, list []tlog.TreeLeaf) []tlog.TreeLeaf {
				if i := at - start; i >= 0 && i < int64(len(list)) {
					list[i] = change(b, list[i])
				}
				return list
			}}
		}
	}
	signedAs := func(change func(b *book, e *evidence.Event)) func(b *book) Vault {
		return func(b *book) Vault {
			e := *another(b).Event()
			change(b, &e)
			s := must(custody.Sign(&e, b.vaultKey.SPKI(), b.vaultKey))
			b.entry(tlog.TreeLeaf{Value: s.Leaf(), Extra: s.DSSE()}, placeOf(s))
			return b
		}
	}
	for _, c := range []struct {
		name  string
		want  Reason
		entry int64
		vault func(b *book) Vault
	}{
		{"another sequence number", FalseKey, at, func(b *book) Vault {
			b.places[at] = heads.Key(evidence.ActorOf("0000000007").Tag(origin), 1<<40)
			return b
		}},
		{"another stream", FalseKey, at, func(b *book) Vault {
			b.places[at] = heads.Key(evidence.ActorOf("nobody").Tag(origin), 0)
			return b
		}},
		{"another type of stream", FalseKey, at, func(b *book) Vault {
			b.places[at] = heads.Key(evidence.ItemOf("0000000007").Tag(origin), 0)
			return b
		}},
		{"another vault's stream", FalseKey, at, func(b *book) Vault {
			b.places[at] = heads.Key(evidence.ActorOf("0000000007").Tag("other.example"), 0)
			return b
		}},
		{"two entries in each other's place", FalseKey, at, func(b *book) Vault {
			b.places[at], b.places[at+1] = b.places[at+1], b.places[at]
			return b
		}},
		{"no statement", FalseStatement, at, given(func(_ *book, e tlog.TreeLeaf) tlog.TreeLeaf { return tlog.TreeLeaf{Value: e.Value} })},
		{"neither leaf nor statement", FalseStatement, at, given(func(*book, tlog.TreeLeaf) tlog.TreeLeaf { return tlog.TreeLeaf{} })},
		{"another statement beside the leaf", FalseStatement, at, given(func(b *book, e tlog.TreeLeaf) tlog.TreeLeaf {
			return tlog.TreeLeaf{Value: e.Value, Extra: another(b).DSSE()}
		})},
		{"another statement with its leaf", FalseStatement, at, given(func(b *book, _ tlog.TreeLeaf) tlog.TreeLeaf {
			s := another(b)
			return tlog.TreeLeaf{Value: s.Leaf(), Extra: s.DSSE()}
		})},
		{"a statement that is none", FalseStatement, at, given(func(_ *book, e tlog.TreeLeaf) tlog.TreeLeaf {
			return tlog.TreeLeaf{Value: e.Value, Extra: append(slices.Clone(e.Extra), ' ')}
		})},
		{"a leaf that is none", FalseStatement, 20, func(b *book) Vault {
			b.entry(tlog.TreeLeaf{Value: []byte("{}"), Extra: another(b).DSSE()}, placeOf(another(b)))
			return b
		}},
		{"a statement for another vault", FalseStatement, 20, signedAs(func(_ *book, e *evidence.Event) { e.Vault = "other.example" })},
		{"a sequence number below the first", FalseStatement, 20, signedAs(func(_ *book, e *evidence.Event) { e.Stream.Seq = -1 })},
		{"an empty page", FalsePage, 0, func(b *book) Vault {
			return told{Vault: b, statements: func(int64, []tlog.TreeLeaf) []tlog.TreeLeaf { return nil }}
		}},
		{"a page that is too long", FalsePage, 0, func(b *book) Vault {
			return told{Vault: b, statements: func(_ int64, l []tlog.TreeLeaf) []tlog.TreeLeaf { return append(l, tlog.TreeLeaf{}) }}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBook(t)
			b.grow(20)
			v := c.vault(b)
			b.publish()
			f := follower(t, t.TempDir(), v, b.keys)
			for range 2 {
				_, err := f.Step(t.Context())
				var a *Alarm
				if !errors.As(err, &a) || a.Reason != c.want || a.Entry != c.entry || len(a.Receipts) != 1 {
					t.Fatalf("got %v (%+v)", err, a)
				}
				if len(f.State.Cosignable()) > 0 {
					t.Error("it may be cosigned")
				}
				if _, _, err := f.Cosign(b.head(), newCosigner(t, "a"), now); !errors.Is(err, ErrBehind) {
					t.Errorf("cosigned: %v", err)
				}
				dir := must(f.State.Keep(a))
				if kept, err := os.ReadFile(filepath.Join(dir, statementFile)); !bytes.Equal(kept, a.Statement) || (err == nil) != (len(a.Statement) > 0) {
					t.Errorf("kept %q (%v) of %q", kept, err, a.Statement)
				}
				check(t, os.RemoveAll(dir))
			}
			if c.want == FalseKey && !slices.Equal(b.signed[at].Extra, must(b.alarmOf(f)).Statement) {
				t.Error("the alarm is without the statement")
			}
		})
	}
}

// alarmOf is the alarm that a step ends with.
func (b *book) alarmOf(f *Follower) (a *Alarm, _ error) {
	_, err := f.Step(b.t.Context())
	if !errors.As(err, &a) {
		return nil, errors.New("no alarm")
	}
	return a, nil
}

// counted is a vault that counts for how many statements it is asked, and breaks after some.
type counted struct {
	Vault
	asked []int64
	left  int64
}

func (c *counted) Statements(ctx context.Context, start, count int64) ([]tlog.TreeLeaf, error) {
	if c.left <= 0 {
		return nil, errBroken
	}
	list, err := c.Vault.Statements(ctx, start, count)
	for i := range list {
		c.asked = append(c.asked, start+int64(i))
	}
	c.left -= int64(len(list))
	return list, err
}

// A folder of an earlier version has read no statements: they are read before anything more is cosigned, each once, whatever breaks in
// between. Who may read none cosigns nothing.
func TestStatementsAreReadLater(t *testing.T) {
	b := newBook(t)
	b.short = 10
	b.grow(50)
	b.publish()
	dir := t.TempDir()
	f := b.follow(dir)
	must(f.Step(t.Context()))
	c := newCosigner(t, "a")
	_, _, err := f.Cosign(b.head(), c, now)
	check(t, err)
	check(t, f.State.Close())
	var older kept
	check(t, readDoc(filepath.Join(dir, stateDoc), &older))
	older.Read = 0
	check(t, writeDoc(filepath.Join(dir, stateDoc), older, func() {}))
	b.grow(9)
	b.publish()

	v := &counted{Vault: b, left: 30}
	f = follower(t, dir, v, b.keys)
	if _, _, err := f.Cosign(b.headAt(51), c, now); !errors.Is(err, ErrBehind) {
		t.Fatalf("cosigned before statements were read: %v", err)
	}
	if _, err := f.Step(t.Context()); !errors.Is(err, errBroken) {
		t.Fatal(err)
	}
	if _, _, err := f.Cosign(b.head(), c, now); !errors.Is(err, ErrBehind) || len(f.State.Cosignable()) > 0 {
		t.Fatalf("cosigned before all statements were read: %v", err)
	}
	v.left = 1000
	if step := must(f.Step(t.Context())); step.Statements != 30 {
		t.Errorf("%+v", step)
	}
	if !slices.IsSorted(v.asked) || len(v.asked) != 60 || len(slices.Compact(v.asked)) != 60 {
		t.Errorf("asked for %v", v.asked)
	}
	_, _, err = f.Cosign(b.head(), c, now)
	check(t, err)
	check(t, f.State.Close())

	// What was read is not read again, what is new is.
	b.grow(4)
	b.publish()
	v.asked = nil
	f = follower(t, dir, v, b.keys)
	must(f.Step(t.Context()))
	if !slices.Equal(v.asked, []int64{60, 61, 62, 63, 64}) {
		t.Errorf("asked for %v", v.asked)
	}
}

// Who was away for long signs as it goes: a step ends before it forgets a state that nobody could sign yet.
func TestMoreStates(t *testing.T) {
	b := newBook(t)
	var sizes, signed []int64
	for range maxRecent + 3 {
		b.grow(1)
		b.publish()
		sizes = append(sizes, b.size())
	}
	f := b.follow(t.TempDir())
	c := newCosigner(t, "a")
	steps := 0
	for more := true; more; steps++ {
		step := must(f.Step(t.Context()))
		more = step.More
		for _, size := range f.State.Cosignable() {
			if len(signed) == 0 || size > signed[len(signed)-1] {
				signed = append(signed, size)
			}
		}
		_, _, err := f.Cosign(b.headAt(signed[len(signed)-1]), c, now)
		check(t, err)
	}
	if steps != 2 || !slices.Equal(signed, sizes) {
		t.Errorf("%d of %d states could be signed in %d steps", len(signed), len(sizes), steps)
	}
	b.agrees(t, f.State)
}
