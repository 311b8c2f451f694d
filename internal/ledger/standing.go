package ledger

import (
	"bytes"
	"context"
	"slices"
	"time"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
)

// read learns from the records where publishing stands.
func (p *publisher) read(ctx context.Context) error {
	last, err := p.cfg.Records.LastPublished(ctx, Final, p.id)
	if err != nil && evidence.KindOf(err) != evidence.NotFound {
		return err
	}
	newest, err := p.cfg.Records.LastPublished(ctx, Offered, p.id)
	if evidence.KindOf(err) == evidence.NotFound {
		return nil
	}
	if err != nil {
		return err
	}
	since, err := p.behindSince(ctx, last.Size)
	if err != nil {
		return err
	}
	p.noticed(last)
	p.noticed(newest)
	p.mu.Lock()
	defer p.mu.Unlock()
	if newest.Size >= p.newest.Size {
		p.newest = newest
	}
	if last.Size >= p.final {
		p.final, p.since = last.Size, since
	}
	return nil
}

// follow learns what other processes did, for as long as ctx lasts: at once as far as somebody waits for it.
func (p *publisher) follow(ctx context.Context) {
	const often, seldom = 100 * time.Millisecond, 20 // times often
	for n := 0; ctx.Err() == nil; n++ {
		wait(ctx, often, nil)
		waited := p.awaiting.Load() > 0
		if !waited && n%seldom > 0 {
			continue
		}
		if err := p.read(ctx); err != nil { // who needs the records says so
			wait(ctx, time.Second, nil)
			continue
		}
		if waited { // older ones may have got something too
			p.mu.Lock()
			p.tellSettled()
			p.mu.Unlock()
		}
	}
}

// tellSettled lets those look again who wait. The caller holds mu.
func (p *publisher) tellSettled() {
	close(p.settled)
	p.settled = make(chan struct{})
}

// Weigh says what a published checkpoint has reached under a trust file. An error means that a line of the policy's keys does not verify.
func (row Published) Weigh(t tlog.Trust) (Standing, error) {
	by, err := t.Policy().Cosigned(row.Note)
	if err != nil {
		return Offered, err
	}
	if !by.Quorum || t.RequiresTimestamps() && !slices.ContainsFunc(row.Stamps, func(s Stamp) bool { return s.Verify(t, row) == nil }) {
		return Offered, nil
	}
	if by.Audited && t.RequiresAuditors() {
		return Audited, nil
	}
	return Final, nil
}

// met reports whether a published checkpoint has, by the policies of their time too, what the trust file asks for (FORMATS §6, §10).
func (row Published) met(t tlog.Trust) bool {
	by, err := t.Cosigned(row.Note)
	return err == nil && by.Quorum &&
		(!t.RequiresTimestamps() || slices.ContainsFunc(row.Stamps, func(s Stamp) bool { return s.Verify(t, row) == nil }))
}

// Verify checks a time stamp over a published checkpoint.
func (s Stamp) Verify(t tlog.Trust, row Published) error {
	_, err := t.VerifyTimestamp(s.Response, noteText(row.Note))
	return err
}

// weigh notes what a checkpoint has reached under the present policy.
func (p *publisher) weigh(row *Published) error {
	reached, err := row.Weigh(p.cfg.Trust)
	if reached >= Final {
		row.Final = p.id
	}
	if reached == Audited {
		row.Audited = p.id
	}
	return err
}

// noteText is what the signatures of a note are over.
func noteText(note []byte) []byte {
	text, _, _ := bytes.Cut(note, []byte("\n\n"))
	return note[:min(len(text)+1, len(note))]
}

// stored makes known what is stored of a checkpoint.
func (p *publisher) stored(ctx context.Context, row Published) error {
	p.noticed(row)
	p.mu.Lock()
	final := p.final
	p.mu.Unlock()
	if row.Final == p.id {
		final = max(final, row.Size)
	}
	since, err := p.behindSince(ctx, final)
	p.mu.Lock()
	defer p.mu.Unlock()
	if row.Size >= p.newest.Size {
		p.newest = row
	}
	if final >= p.final {
		p.final, p.since = final, since
	}
	p.tellSettled()
	for _, peer := range p.peers {
		wakeUp(peer.wake)
	}
	return err
}

// behindSince is when the oldest checkpoint beyond a final one was published; zero if there is none.
func (p *publisher) behindSince(ctx context.Context, final int64) (time.Time, error) {
	next, err := p.cfg.Records.NextPublished(ctx, final, Offered, p.id)
	if evidence.KindOf(err) == evidence.NotFound {
		return time.Time{}, nil
	}
	return next.At, err
}

// offered is the checkpoint that is asked for; of size 0 if there is none yet.
func (p *publisher) offered() Published {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.newest
}

// noticed notes who has signed a stored checkpoint.
func (p *publisher) noticed(row Published) {
	by, err := p.policy.Cosigned(row.Note)
	if err != nil {
		return // fsck names it
	}
	witnesses := p.policy.Witnesses()
	for _, c := range by.By {
		for i, w := range witnesses {
			if w.Name == c.Witness.Name {
				p.peers[i].signed(row.Size, c.Time)
			}
		}
	}
	for i, a := range p.cfg.Authorities {
		for _, s := range row.Stamps {
			if s.Authority != a.Name {
				continue
			}
			if stamp, err := p.cfg.Trust.VerifyTimestamp(s.Response, noteText(row.Note)); err == nil {
				p.peers[len(witnesses)+i].signed(row.Size, stamp.Time)
			}
		}
	}
}
