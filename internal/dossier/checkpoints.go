package dossier

import (
	"errors"
	"strings"
	"sync"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
)

// checkpoints verifies each distinct checkpoint once, and looks for two of one size that disagree: a log with two faces.
type checkpoints struct {
	keys tlog.LogKeys

	mu    sync.Mutex
	known map[checkpointKey]*checkpoint
	roots map[int64]tlog.Hash
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
}

const maxCheckpoints = 4096 // kept at a time

var errForked = errors.New("dossier: two checkpoints of one size with different roots")

func newCheckpoints(trust tlog.Trust) *checkpoints {
	return &checkpoints{keys: trust.LogKeys(), known: map[checkpointKey]*checkpoint{}, roots: map[int64]tlog.Hash{}}
}

// open returns the checkpoint of a receipt once a pinned key is known to have signed it. Errors as of tlog.OpenCheckpoint, and errForked.
func (c *checkpoints) open(r tlog.Receipt) (tlog.Checkpoint, error) {
	key := checkpointKey{evidence.SHA256(r.Checkpoint()), r.LogID()}
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
		included, err := r.Verify(c.keys)
		if err == nil {
			cp.Checkpoint = included.Checkpoint()
		} else if errors.Is(err, tlog.ErrProof) {
			// The receipt's proof does not hold; its checkpoint may.
			cp.Checkpoint, err = tlog.OpenCheckpoint(r.Checkpoint(), c.keys)
		}
		cp.Origin = strings.Clone(cp.Origin) // which would keep the whole note in memory
		if cp.err = err; err == nil {
			cp.err = c.compare(cp.Checkpoint)
		}
	})
	return cp.Checkpoint, cp.err
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
