package dossier

import (
	"errors"
	"strings"
	"sync"
	"time"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
)

// checkpoints verifies each distinct checkpoint once: the log's signature, the witnesses', the time stamps on it. It looks for two of one
// size that disagree, a log with two faces, and keeps what third parties say of when a state was there.
type checkpoints struct {
	trust  tlog.Trust
	keys   tlog.LogKeys
	stamps stamps

	mu    sync.Mutex
	known map[checkpointKey]*checkpoint
	roots map[int64]tlog.Hash
	clock clock
}

// checkpointKey is the digest of a signed note, which may be long, and the log key that a receipt names beside it.
type checkpointKey struct {
	note  evidence.Hash
	logID tlog.Hash
}

type checkpoint struct {
	once sync.Once
	tlog.Checkpoint
	err error
	attested
}

// attested is what third parties signed of a checkpoint, beside the log.
type attested struct {
	quorum, audited bool  // as the policy of its time asks, also where the one in force asks for nobody
	cosignature     error // why a line of a policy's keys does not hold
	stamped         bool  // by an authority, at least once
	stamp           string
}

const maxCheckpoints = 4096 // kept at a time

var errForked = errors.New("dossier: two checkpoints of one size with different roots")

func newCheckpoints(trust tlog.Trust, x Excerpt) *checkpoints {
	return &checkpoints{trust: trust, keys: trust.LogKeys(), stamps: newStamps(trust, x),
		known: map[checkpointKey]*checkpoint{}, roots: map[int64]tlog.Hash{}, clock: clock{}}
}

// open returns the checkpoint of a receipt once a pinned key is known to have signed it. Errors as of tlog.OpenCheckpoint, and errForked.
func (c *checkpoints) open(r tlog.Receipt) (*checkpoint, error) {
	return c.verified(r.Checkpoint(), r.LogID(), func() (tlog.Checkpoint, error) {
		included, err := r.Verify(c.keys)
		if errors.Is(err, tlog.ErrProof) {
			// The receipt's proof does not hold; its checkpoint may.
			return tlog.OpenCheckpoint(r.Checkpoint(), c.keys)
		}
		return included.Checkpoint(), err
	})
}

// note is open for a signed note that is in no receipt.
func (c *checkpoints) note(signed []byte) (*checkpoint, error) {
	return c.verified(signed, tlog.Hash{}, func() (tlog.Checkpoint, error) { return tlog.OpenCheckpoint(signed, c.keys) })
}

func (c *checkpoints) verified(signed []byte, logID tlog.Hash, verify func() (tlog.Checkpoint, error)) (*checkpoint, error) {
	key := checkpointKey{evidence.SHA256(signed), logID}
	c.mu.Lock()
	cp := c.known[key]
	if cp == nil {
		if len(c.known) == maxCheckpoints {
			clear(c.known)
		}
		cp = new(checkpoint)
		c.known[key] = cp
	}
	c.mu.Unlock()
	cp.once.Do(func() {
		if cp.Checkpoint, cp.err = verify(); cp.err != nil {
			return
		}
		cp.Origin = strings.Clone(cp.Origin) // which would keep the whole note in memory
		if cp.err = c.compare(cp.Checkpoint); cp.err == nil {
			c.attest(cp, signed)
		}
	})
	return cp, cp.err
}

// compare refuses a checkpoint of a size that another one gave another root.
func (c *checkpoints) compare(cp tlog.Checkpoint) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if root, ok := c.roots[cp.Size]; ok && root != cp.Root {
		return errForked
	}
	c.roots[cp.Size] = cp.Root
	return nil
}

// attest verifies what third parties signed of a checkpoint.
func (c *checkpoints) attest(cp *checkpoint, signed []byte) {
	by, err := c.trust.Cosigned(signed)
	on := c.stamps.on(cp.Checkpoint)
	cp.attested = attested{by.Quorum, by.Audited, err, len(on.times) > 0, on.reason}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clock.seen(cp.Size, timeOf(by.Since), timeOf(by.Until))
	for _, at := range on.times {
		c.clock.seen(cp.Size, 0, at)
	}
}

// timeOf is 0 of no time.
func timeOf(t time.Time) evidence.Time {
	if t.IsZero() {
		return 0
	}
	return evidence.At(t)
}

// Bounds are what the clocks of third parties say of an event: of a quorum of witnesses or of a time-stamp authority that the trust file
// names. What nobody said is 0.
type Bounds struct {
	// After is when the witnesses had seen a log in which the event was not yet.
	After evidence.Time
	// By is when, at the latest, its entry had been seen, or its signature stamped.
	By evidence.Time
	// Stamped is when, at the latest, its own signature was stamped.
	Stamped evidence.Time
}

// Drift is by how much an event states a time beyond its bounds: after By, or, negative, before After. Two minutes either way are what
// clocks may differ by.
func (b Bounds) Drift(stated evidence.Time) time.Duration {
	switch {
	case b.By != 0 && stated > b.By:
		return stated.Sub(b.By)
	case b.After != 0 && stated < b.After:
		return stated.Sub(b.After)
	}
	return 0
}
