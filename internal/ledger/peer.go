package ledger

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// Status says how far the newest final checkpoint is behind the log, and how each of those is doing who make one final.
type Status struct {
	Required bool      // a checkpoint needs more than the log's own signature
	Size     int64     // of the newest final checkpoint
	Behind   int64     // how many leaves the log has beyond it
	Since    time.Time // when the oldest checkpoint that is not final was published; zero if all are
	// Witnesses are those of the policy, its auditors included; Authorities stamp times.
	Witnesses, Authorities []Peer
}

// Peer is how a witness or an authority is doing.
type Peer struct {
	Name    string
	Auditor bool // is not asked, comes by itself
	State   PeerState
	Reason  string    // of Failing and Alarm, a code
	Size    int64     // of the newest checkpoint that it signed
	At      time.Time // when it did; zero if it did not
}

// PeerState is one of the following.
type PeerState string

const (
	Waiting PeerState = "waiting" // it has not answered yet
	Well    PeerState = "ok"
	Failing PeerState = "failing" // it is asked again, ever more rarely
	Alarm   PeerState = "alarm"   // it has seen another history of this log, or a longer one than there is
)

// Late is how long a published checkpoint may take before people are told.
const Late = time.Minute

// Late reports whether a checkpoint has waited for too long at a time.
func (s Status) Late(now time.Time) bool {
	return s.Required && !s.Since.IsZero() && now.Sub(s.Since) > Late
}

// Alarmed reports whether somebody saw another history.
func (s Status) Alarmed() bool {
	for _, p := range s.Witnesses {
		if p.State == Alarm {
			return true
		}
	}
	return false
}

// cutOff reports whether finality is late and this process, which asks, gets nothing from any of the witnesses, where cosignatures are needed,
// or from any of the authorities, where a time stamp is: it may be itself that does not reach them.
func (s Status) cutOff(cosigned, stamped bool, now time.Time) bool {
	failing := func(list []Peer) bool {
		asked := slices.DeleteFunc(slices.Clone(list), func(p Peer) bool { return p.Auditor })
		return len(asked) > 0 && !slices.ContainsFunc(asked, func(p Peer) bool { return p.State != Failing })
	}
	return s.Late(now) && (cosigned && failing(s.Witnesses) || stamped && failing(s.Authorities))
}

// Witnessed says how finality stands. It is the zero Status where the trust file names nobody. A process that does not ask the witnesses and
// authorities itself knows who signed the newest final checkpoint; the others are Waiting.
func (l *Ledger) Witnessed() Status {
	p := l.publisher
	if p == nil {
		return Status{}
	}
	s := Status{Required: p.required()}
	size := l.Size()
	p.mu.Lock()
	s.Size, s.Since = p.final, p.since
	p.mu.Unlock()
	s.Behind = max(0, size-s.Size)
	witnesses := len(p.policy.Witnesses())
	asks := l.lead == nil || l.lead.now() != nil
	for i, peer := range p.peers {
		is := peer.is()
		if !asks {
			is.State, is.Reason = Waiting, ""
			if is.Size > 0 && is.Size >= s.Size {
				is.State = Well
			}
		}
		if i < witnesses {
			s.Witnesses = append(s.Witnesses, is)
		} else {
			s.Authorities = append(s.Authorities, is)
		}
	}
	return s
}

const (
	askTime   = 10 * time.Second // that one answer may take
	soonAgain = time.Second      // before who failed is asked again
	lateAgain = time.Minute      // at the latest
	alarmed   = 10 * time.Minute // before who raised an alarm is asked again
)

// peer is one of those who are asked.
type peer struct {
	wake chan struct{} // size 1: there may be something new to ask for

	mu   sync.Mutex // guards what follows
	seen Peer
}

func newPeer(name string, auditor bool) *peer {
	return &peer{wake: make(chan struct{}, 1), seen: Peer{Name: name, Auditor: auditor, State: Waiting}}
}

func (p *peer) is() Peer {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen
}

// signed notes that the peer has signed a checkpoint. One that it had signed before, when all was well, changes nothing.
func (p *peer) signed(size int64, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if size > p.seen.Size {
		p.seen.Size, p.seen.At = size, at
		p.seen.State, p.seen.Reason = Well, ""
	}
}

// well notes that the peer has done what it was asked for.
func (p *peer) well() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen.State, p.seen.Reason = Well, ""
}

// trouble is why a peer did not do what it was asked for. Its reason is a code; err names no values.
type trouble struct {
	reason string
	alarm  bool
	err    error
}

func (t *trouble) Error() string {
	if t.err == nil {
		return t.reason
	}
	return t.reason + ": " + t.err.Error()
}

func (t *trouble) Unwrap() error { return t.err }

// failed notes what went wrong, says it, and waits: twice as long each time, and long after an alarm, which nobody's asking again lifts. It
// returns how long to wait the next time.
func (p *publisher) failed(ctx context.Context, who *peer, what string, err error, delay time.Duration) time.Duration {
	if ctx.Err() != nil {
		return delay
	}
	t := (*trouble)(nil)
	if !errors.As(err, &t) {
		t = &trouble{reason: "records", err: err}
	}
	who.mu.Lock()
	who.seen.State, who.seen.Reason = Failing, t.reason
	if t.alarm {
		who.seen.State, delay = Alarm, alarmed
	}
	name := who.seen.Name
	who.mu.Unlock()
	if t.alarm {
		p.cfg.Logger.Error(what+"_alarm", what, name, "reason", t.reason, "err", t, "retry_in", delay)
	} else {
		p.cfg.Logger.Warn(what+"_failed", what, name, "reason", t.reason, "err", t, "retry_in", delay)
	}
	wait(ctx, delay, nil)
	return min(2*delay, lateAgain)
}
