package ledger

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
)

const (
	pause    = time.Second      // between two published checkpoints
	patience = 10 * time.Second // that a published checkpoint is given to become final before the next one follows
	skew     = 2 * time.Minute  // between our clock and that of a witness or an authority (FORMATS §3)
)

// publisher offers checkpoints to those whom the trust file names, and keeps what comes. Each witness and each authority is asked by
// itself, for the newest published checkpoint; a slow or dead one delays nothing but finality. There is none where the trust file names
// nobody.
type publisher struct {
	*Ledger
	policy  tlog.Policy
	id      evidence.Hash // of the policy and the time-stamp roots together
	http    *http.Client
	peers   []*peer // witnesses and auditors in the policy's order, then authorities
	wake    chan struct{}
	running sync.WaitGroup

	writing sync.Mutex // held while what is stored of a checkpoint changes

	mu      sync.Mutex // guards what follows
	newest  Published
	final   int64         // size of the newest final checkpoint
	since   time.Time     // when the oldest one beyond it was published
	settled chan struct{} // closed and replaced whenever a checkpoint is offered, or something comes for one
}

// newPublisher reads where publishing stands; nil if nobody is named.
func newPublisher(ctx context.Context, l *Ledger) (*publisher, error) {
	policy := l.cfg.Trust.Policy()
	p := &publisher{Ledger: l, policy: policy, id: PolicyID(l.cfg.Trust), wake: make(chan struct{}, 1), settled: make(chan struct{})}
	p.http = &http.Client{}
	if l.cfg.HTTP != nil {
		*p.http = *l.cfg.HTTP
	}
	p.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for _, w := range policy.Witnesses() {
		p.peers = append(p.peers, newPeer(w.Name, w.Auditor))
	}
	for _, a := range l.cfg.Authorities {
		p.peers = append(p.peers, newPeer(a.Name, false))
	}
	if len(p.peers) == 0 && !p.required() {
		return nil, nil
	}
	if last, err := l.cfg.Records.LastPublished(ctx, Final, p.id); err == nil {
		p.final = last.Size
		p.noticed(last)
	} else if evidence.KindOf(err) != evidence.NotFound {
		return nil, err
	}
	newest, err := l.cfg.Records.LastPublished(ctx, Offered, p.id)
	if evidence.KindOf(err) == evidence.NotFound {
		return p, nil
	}
	if err != nil {
		return nil, err
	}
	p.newest = newest
	p.noticed(newest)
	if p.since, err = p.behindSince(ctx, p.final); err != nil || newest.Final == p.id {
		return p, err
	}
	// The policy may be another than before: what has come may be enough for it.
	err = p.change(ctx, newest.Size, func(*Published) error { return nil })
	if errors.Is(err, tlog.ErrCosignature) { // the next one takes its place
		l.cfg.Logger.Error("published_checkpoint_damaged", "size", newest.Size, "err", err)
		err = nil
	}
	return p, err
}

// PolicyID names a policy together with the time-stamp roots: what is final under one is to be weighed again under another.
func PolicyID(t tlog.Trust) evidence.Hash {
	h := sha256.New()
	h.Write([]byte(t.WitnessPolicy()))
	for _, root := range t.TimestampRoots() {
		sum := sha256.Sum256(root)
		h.Write([]byte{0})
		h.Write(sum[:])
	}
	return evidence.Hash(h.Sum(nil))
}

// required reports whether a checkpoint that only the log has signed is not final.
func (p *publisher) required() bool {
	return p.policy.RequiresWitnesses() || p.cfg.Trust.RequiresTimestamps()
}

// start begins to publish and to ask, until ctx ends.
func (p *publisher) start(ctx context.Context) error {
	witnesses := p.policy.Witnesses()
	for i, w := range witnesses {
		if !w.Auditor { // auditors come by themselves
			p.running.Go(func() { (&witness{publisher: p, peer: p.peers[i], Witness: w}).run(ctx) })
		}
	}
	for i, a := range p.cfg.Authorities {
		s := &stamper{publisher: p, peer: p.peers[len(witnesses)+i], Authority: a}
		if p.cfg.Stamped != nil {
			var err error
			if s.after, err = p.cfg.Records.StampedUpTo(ctx, a.Name); err != nil {
				return err
			}
		}
		p.running.Go(func() { s.run(ctx) })
	}
	p.running.Go(func() { p.run(ctx) })
	return nil
}

// news tells that the log has grown.
func (p *publisher) news() {
	wakeUp(p.wake)
	for _, peer := range p.peers {
		wakeUp(peer.wake)
	}
}

func (p *publisher) run(ctx context.Context) {
	delay := soonest
	for ctx.Err() == nil {
		published, err := p.publish(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			p.cfg.Logger.Error("publish_failed", "reason", evidence.ReasonOf(err), "err", err, "retry_in", delay)
			wait(ctx, delay, nil)
			delay = min(2*delay, latest)
		case published:
			delay = soonest
			wait(ctx, pause, nil)
			p.awaitSettled(ctx)
		default:
			wait(ctx, 0, p.wake)
		}
	}
}

// publish stores the next checkpoint as a published one: that which somebody waits for, or else that right after the newest publication of
// the heads map, or else, where that one is published, the newest. From then on it is offered, after a restart too.
func (p *publisher) publish(ctx context.Context) (bool, error) {
	p.Ledger.mu.RLock()
	last, after, chosen := p.last, p.published.after, p.chosen
	p.Ledger.mu.RUnlock()
	p.writing.Lock()
	defer p.writing.Unlock()
	before, err := p.cfg.Records.LastPublished(ctx, Offered, p.id)
	if err != nil && evidence.KindOf(err) != evidence.NotFound {
		return false, err
	}
	switch {
	case chosen.Size > before.Size:
		last = chosen
	case after.Size > before.Size:
		last = after
	}
	if last.Size <= before.Size {
		if before.Size > p.offered().Size { // stored by an attempt of which that was not known
			return true, p.stored(ctx, before)
		}
		return false, nil
	}
	row := Published{Size: last.Size, Note: last.note, At: p.cfg.Now()}
	if err := p.weigh(&row); err != nil {
		return false, err
	}
	if err := p.cfg.Records.Publish(ctx, row); err != nil {
		return false, err
	}
	return true, p.stored(ctx, row)
}

// awaitSettled gives those who are asked their time: were each checkpoint followed by the next at once, two slow witnesses might never
// cosign the same.
func (p *publisher) awaitSettled(ctx context.Context) {
	enough := time.After(patience)
	for {
		p.mu.Lock()
		done, settled := p.final >= p.newest.Size, p.settled
		p.mu.Unlock()
		if done {
			return
		}
		select {
		case <-settled:
		case <-enough:
			return
		case <-ctx.Done():
			return
		}
	}
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

// change adds what came for a published checkpoint and stores it: NotFound if there is none of that size.
func (p *publisher) change(ctx context.Context, size int64, add func(*Published) error) error {
	p.writing.Lock()
	defer p.writing.Unlock()
	before, err := p.publishedAt(ctx, size)
	if err != nil {
		return err
	}
	row := before
	row.Stamps = slices.Clone(before.Stamps)
	if err := add(&row); err != nil {
		return err
	}
	if err := p.weigh(&row); err != nil {
		return err
	}
	switch same := sameAs(row, before); {
	case same && p.knows(row): // the lines are public: whoever sends them again wakes nobody
		return nil
	case !same:
		// Commit point: what came is kept from here.
		if err := p.cfg.Records.Publish(ctx, row); err != nil {
			return err
		}
	}
	return p.stored(ctx, row) // also what an attempt stored of which that was not known
}

func sameAs(a, b Published) bool {
	return bytes.Equal(a.Note, b.Note) && len(a.Stamps) == len(b.Stamps) && a.Final == b.Final && a.Audited == b.Audited
}

// knows reports whether what is stored of a checkpoint was made known. After a write of which the end was not seen it may not be.
func (p *publisher) knows(row Published) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if row.Final == p.id && row.Size > p.final {
		return false
	}
	return row.Size < p.newest.Size || row.Size == p.newest.Size && sameAs(row, p.newest)
}

func (l *Ledger) publishedAt(ctx context.Context, size int64) (Published, error) {
	row, err := l.cfg.Records.NextPublished(ctx, size-1, Offered, evidence.Hash{})
	if err == nil && row.Size != size {
		err = evidence.Refuse(evidence.NotFound, "checkpoint")
	}
	return row, err
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
	p.final, p.since = final, since
	close(p.settled)
	p.settled = make(chan struct{})
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
