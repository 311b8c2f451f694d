package ledger

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
)

const (
	pause    = time.Second      // between two published checkpoints
	patience = 10 * time.Second // that a published checkpoint is given to become final before the next one follows
	unheard  = 3 * time.Minute  // that a leader nobody confirms anything for waits before another process may try
	skew     = 2 * time.Minute  // between our clock and that of a witness or an authority (FORMATS §3)
)

// publisher offers checkpoints to those whom the trust file names, and keeps what comes. Each witness and each authority is asked by
// itself, for the newest published checkpoint, authorities then for earlier ones too; a slow or dead one delays nothing but finality. There
// is none where the trust file names nobody.
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

	awaiting atomic.Int32 // how many wait for settled
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
	return p, p.read(ctx)
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
	if p == nil {
		return nil
	}
	if err := p.read(ctx); err != nil {
		return err
	}
	if err := p.weighAgain(ctx); err != nil {
		return err
	}
	witnesses := p.policy.Witnesses()
	stampers := make([]*stamper, len(p.cfg.Authorities))
	for i, a := range p.cfg.Authorities {
		stampers[i] = &stamper{publisher: p, peer: p.peers[len(witnesses)+i], Authority: a, passed: -1}
		if p.cfg.Stamped != nil {
			var err error
			if stampers[i].after, err = p.cfg.Records.StampedUpTo(ctx, a.Name); err != nil {
				return err
			}
		}
	}
	for i, w := range witnesses {
		if !w.Auditor { // auditors come by themselves
			p.running.Go(func() { (&witness{publisher: p, peer: p.peers[i], Witness: w}).run(ctx) })
		}
	}
	for _, s := range stampers {
		p.running.Go(func() { s.run(ctx) })
	}
	p.running.Go(func() { p.run(ctx) })
	if p.lead != nil {
		p.running.Go(func() { p.yield(ctx) })
	}
	return nil
}

// yield leaves the lead to another process once this one has been cut off from witnesses or authorities for a while: courts wait for them.
// Whoever takes the lead is given as long.
func (p *publisher) yield(ctx context.Context) {
	const looks = 12
	for cut := 0; cut < looks; cut++ {
		if wait(ctx, unheard/looks, nil); ctx.Err() != nil {
			return
		}
		if !p.Witnessed().cutOff(p.policy.RequiresWitnesses(), p.cfg.Trust.RequiresTimestamps(), p.cfg.Now()) {
			cut = -1
		}
	}
	p.cfg.Logger.Warn("log_lead_passed", "reason", "not_final")
	p.lead.pass()
}

// weighAgain weighs the newest published checkpoint under the present policy. That may be another than before: what has come may be enough
// for it.
func (p *publisher) weighAgain(ctx context.Context) error {
	newest := p.offered()
	if newest.Size == 0 || newest.Final == p.id {
		return nil
	}
	err := p.change(ctx, newest.Size, func(*Published) error { return nil })
	if errors.Is(err, tlog.ErrCosignature) { // the next one takes its place
		p.cfg.Logger.Error("published_checkpoint_damaged", "size", newest.Size, "err", err)
		return nil
	}
	return err
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
	last, after := p.last, p.Ledger.published.after
	p.Ledger.mu.RUnlock()
	chosen, err := p.choice(ctx, last)
	if err != nil {
		return false, err
	}
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
		if evidence.KindOf(err) == evidence.Conflict { // another process was faster
			return true, p.read(ctx)
		}
		return false, err
	}
	return true, p.stored(ctx, row)
}

// choice is the checkpoint that the records say is to be offered next, of size 0 if there is none that this process can vouch for.
func (p *publisher) choice(ctx context.Context, last signed) (signed, error) {
	note, err := p.cfg.Records.Chosen(ctx)
	if err != nil {
		return signed{}, err
	}
	chosen, err := p.open(note, "records")
	if err != nil || chosen.Size > last.Size || p.extends(ctx, chosen, last.Checkpoint) != nil {
		return signed{}, nil
	}
	return chosen, nil
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

// change adds what came for a published checkpoint and stores it: NotFound if there is none of that size. Where another process has stored
// more meanwhile it is added to that.
func (p *publisher) change(ctx context.Context, size int64, add func(*Published) error) error {
	p.writing.Lock()
	defer p.writing.Unlock()
	for try := 1; ; try++ {
		row, err := p.add(ctx, size, add)
		switch {
		case err == nil && row.Size > 0:
			return p.stored(ctx, row) // also what an attempt stored of which that was not known
		case evidence.ReasonOf(err) != "published_differs" || try == maxTries:
			return err
		}
	}
}

// maxTries bounds how often something is added that other processes add to too.
const maxTries = 8

// add stores a published checkpoint with what came, and returns it: without a size if there is nothing that was not known.
func (p *publisher) add(ctx context.Context, size int64, add func(*Published) error) (Published, error) {
	before, err := p.publishedAt(ctx, size)
	if err != nil {
		return Published{}, err
	}
	row := before
	row.Stamps = slices.Clone(before.Stamps)
	if err := add(&row); err != nil {
		return Published{}, err
	}
	if err := p.weigh(&row); err != nil {
		return Published{}, err
	}
	if sameAs(row, before) {
		if p.knows(row) { // the lines are public: whoever sends them again wakes nobody
			return Published{}, nil
		}
		return row, nil
	}
	// Commit point: what came is kept from here.
	return row, p.cfg.Records.Publish(ctx, row)
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
