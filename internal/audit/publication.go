package audit

import (
	"context"
	"errors"
	"slices"

	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
)

// tag is that of the vault's stream.
func (f *Follower) tag() [32]byte {
	origin := f.State.keys.Origin()
	return evidence.VaultOf(origin).Tag(origin)
}

// contradiction is an Alarm about a publication, beside the one verified before it.
func (f *Follower) contradiction(r Reason, p published, entry int64, cause error) *Alarm {
	a := f.alarm(r, f.State.kept.Checkpoint, entry, cause)
	if before := f.State.kept.Heads.Receipt; before != nil {
		a.Receipts = append(a.Receipts, before)
	}
	a.Receipts = append(a.Receipts, p.Receipt)
	return a
}

// read reads a publication: signed by the vault and, unless its entry is beyond the verified head, in the log where it says.
func (f *Follower) read(ctx context.Context, receipt []byte) (published, error) {
	p := published{Receipt: receipt, Next: f.State.kept.Heads.Next + 1}
	foreign := func(cause error) (published, error) { return p, f.contradiction(ForeignHeads, p, -1, cause) }
	r, err := tlog.ParseReceipt(receipt)
	if err != nil {
		return foreign(err)
	}
	if p.Entry = r.Index(); p.Entry >= f.State.cp.Size {
		return p, nil
	}
	typ, payload, signature := r.Signed()
	statement, err := custody.OpenParts(typ, payload, custody.Signature{KeyID: evidence.Hash(r.KeyID()), DER: signature})
	if statement == nil {
		return foreign(err)
	}
	if err != nil { // of a newer version
		return p, err
	}
	signed, err := f.verify(ctx, statement, p.Entry)
	if err != nil {
		return p, err
	}
	if signed == nil {
		return foreign(errors.New("not signed by a key of the vault"))
	}
	leaf, err := f.State.Leaf(p.Entry)
	if err != nil {
		return p, err
	}
	if p.Leaf = signed.LeafHash(); tlog.Hash(p.Leaf) != leaf {
		return foreign(errors.New("another entry is in its place"))
	}
	e := signed.Event()
	d, ok := e.Details.(*evidence.VaultHeadsDetails)
	origin := f.State.keys.Origin()
	if !ok || e.Vault != origin || e.Stream.Stream() != evidence.VaultOf(origin) {
		return foreign(errors.New("not of the vault's stream"))
	}
	p.Next, p.Covers, p.Root, p.Void = e.Stream.Seq+1, d.Covers, d.Root, d.Void
	if e.Stream.Prev != f.State.kept.Heads.Leaf {
		return p, f.contradiction(BrokenHeads, p, p.Entry, errors.New("it names another one before it"))
	}
	if d.Entries+int64(len(d.Void)) != d.Covers {
		return p, f.contradiction(FalseCount, p, p.Entry, nil)
	}
	return p, nil
}

// verify checks the signature under a key that the vault had at that entry, which it asks for again once: keys change. It returns nil if
// there is none.
func (f *Follower) verify(ctx context.Context, s *custody.Statement, entry int64) (*custody.Signed, error) {
	for asked := false; ; asked = true {
		for _, a := range f.authors {
			if entry <= a.From || a.Until != 0 && entry >= a.Until {
				continue
			}
			if signed, err := s.Verify(a.SPKI); err == nil {
				return signed, nil
			}
		}
		if asked {
			return nil, nil
		}
		var err error
		if f.authors, err = f.Vault.Authors(ctx); err != nil {
			return nil, err
		}
	}
}

// follows checks that p comes after the publication before it: in the stream, in the log, and in what it covers and lists.
func (f *Follower) follows(p published) error {
	last := f.State.kept.Heads
	broken := func(what string) error { return f.contradiction(BrokenHeads, p, p.Entry, errors.New(what)) }
	switch {
	case p.Next != last.Next+1:
		return broken("its sequence number is another one")
	case last.Next > 0 && p.Entry <= last.Entry:
		return broken("it stands in the log before the one that it follows")
	case p.Covers <= last.Covers, p.Covers > p.Entry:
		return broken("it covers less than the one before, or itself")
	case len(p.Void) < len(last.Void) || !slices.Equal(p.Void[:len(last.Void)], last.Void):
		return broken("it lists other void entries than the one before")
	}
	for i, v := range p.Void {
		if i > 0 && v <= p.Void[i-1] || v >= p.Covers || i >= len(last.Void) && v < last.Covers {
			return f.contradiction(FalseCount, p, v, errors.New("its list of void entries is out of order"))
		}
	}
	return nil
}
