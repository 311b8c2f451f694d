package audit

import (
	"errors"
	"testing"

	"strongroom.example/strongroom/internal/tlog"
)

// TestAfter: what a key cosigned last, in whatever folder, decides what it may cosign next.
func TestAfter(t *testing.T) {
	b := newBook(t)
	b.grow(20)
	b.publish()
	f := b.follow(t.TempDir())
	_, err := f.Step(t.Context())
	check(t, err)
	whole := b.size()
	b.grow(3) // not followed
	for _, c := range []struct {
		name         string
		last, signed []byte
		reason       Reason
		err          error
		split        bool
	}{
		{name: "the same", last: b.headAt(whole), signed: b.headAt(whole)},
		{name: "the same, larger than what was followed", last: b.head(), signed: b.head()},
		{name: "grown", last: b.headAt(7), signed: b.headAt(whole)},
		{name: "from nothing", last: b.headAt(0), signed: b.headAt(whole)},
		{name: "smaller", last: b.headAt(whole), signed: b.headAt(7), err: ErrBehind},
		{name: "smaller than what another folder followed", last: b.head(), signed: b.headAt(whole), err: ErrBehind},
		{name: "larger than what was followed", last: b.headAt(7), signed: b.head(), err: ErrBehind},
		{name: "another root of one size", last: b.sign(whole, tlog.Hash{1}), signed: b.headAt(whole), reason: TwoRoots},
		{name: "grown from another history", last: b.sign(7, tlog.Hash{1}), signed: b.headAt(whole), reason: Forked, split: true},
		{name: "by a foreign key", last: b.headAt(7), signed: []byte("x"), reason: UnsignedHead},
		{name: "a damaged note", last: []byte("x"), signed: b.headAt(whole), err: ErrDamaged},
	} {
		err := f.After(c.last, c.signed)
		if ReasonOf(err) != c.reason || c.err != nil && !errors.Is(err, c.err) || c.reason == "" && c.err == nil && err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		var a *Alarm
		if errors.As(err, &a) && c.split {
			older, newer := must(tlog.OpenCheckpoint(a.Older, b.keys)), must(tlog.OpenCheckpoint(a.Newer, b.keys))
			if r := must(Compare(older, newer, a.Split, nil, nil)); r != Fork {
				t.Errorf("%s: the evidence alone shows %q", c.name, r)
			}
		}
	}
}
