package client

import (
	"context"
	"encoding/hex"
	"errors"
	"io/fs"
	"net/http"
	"sync"
	"time"

	"strongroom.example/strongroom/internal/dossier"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/wire"
)

// memory is what this device has seen of the vault: the newest checkpoint, how far the heads map was published, and the last event of each
// stream. It only grows. A vault that contradicts it shows two histories.
type memory struct {
	keystore Keystore
	keys     tlog.LogKeys

	mu   sync.Mutex
	seen seen
}

type seen struct {
	Checkpoint []byte          `json:"checkpoint,omitempty"` // the signed note
	Covers     int64           `json:"covers"`
	Heads      map[string]head `json:"heads"` // by type/id

	parsed tlog.Checkpoint // of Checkpoint
}

type head struct {
	Seq   int64         `json:"seq"`
	Leaf  evidence.Hash `json:"leaf"`
	Index int64         `json:"index"`
}

func headKey(s evidence.Stream) string { return string(s.Type) + "/" + s.ID }

func (m *memory) load(k Keystore, trust tlog.Trust) (err error) {
	m.keystore, m.keys = k, trust.LogKeys()
	m.seen, err = m.read()
	return err
}

// read never takes a damaged document for an empty one: what was seen is not forgotten silently.
func (m *memory) read() (seen, error) {
	s := seen{Heads: make(map[string]head)}
	if err := readDoc(m.keystore, memoryDoc, &s); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return s, err
	}
	if len(s.Checkpoint) > 0 {
		var err error
		if s.parsed, err = tlog.OpenCheckpoint(s.Checkpoint, m.keys); err != nil {
			return s, errDamaged
		}
	}
	return s, nil
}

// learn makes what was verified durable. Another process of the same person may have learned more in the meantime: the greater counts.
func (m *memory) learn(more seen) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	now, err := m.read()
	if err != nil {
		return err
	}
	changed := now.add(m.seen)
	changed = now.add(more) || changed
	m.seen = now
	if !changed {
		return nil
	}
	return writeDoc(m.keystore, memoryDoc, now)
}

func (s *seen) add(more seen) (changed bool) {
	if more.parsed.Size > s.parsed.Size {
		s.Checkpoint, s.parsed, changed = more.Checkpoint, more.parsed, true
	}
	if more.Covers > s.Covers {
		s.Covers, changed = more.Covers, true
	}
	for key, h := range more.Heads {
		if old, ok := s.Heads[key]; !ok || h.Seq > old.Seq {
			s.Heads[key], changed = h, true
		}
	}
	return changed
}

// snapshot is what was known at a moment. Answers to what is asked from then on may not fall behind it; what others learn meanwhile is no
// measure for them.
func (m *memory) snapshot() seen {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.seen // learn replaces it, and never changes it
}

// floor is an index below which everything seen of the streams lies: a publication that covers more shows all of it.
func (s seen) floor(streams []evidence.Stream) int64 {
	floor := max(0, s.Covers-1)
	for _, stream := range streams {
		floor = max(floor, s.Heads[headKey(stream)].Index)
	}
	return floor
}

// contradicted finds what in a verified history excludes what was seen.
func (s seen) contradicted(h *dossier.History) error {
	for _, stream := range h.Streams() {
		last, ok := s.Heads[headKey(stream)]
		if !ok {
			continue
		}
		if h.Len(stream) <= last.Seq {
			return alarm(StaleHead, stream, nil)
		}
		if leaf, _ := h.Leaf(stream, last.Seq); leaf != last.Leaf {
			return alarm(Forked, stream, nil)
		}
	}
	if h.Heads().Covers < s.Covers {
		return alarm(StaleHead, evidence.Stream{}, nil)
	}
	return nil
}

// follow verifies a signed checkpoint and that it belongs to the one history seen so far, and remembers the larger one.
func (c *Client) follow(ctx context.Context, note []byte) (tlog.Checkpoint, error) {
	cp, err := tlog.OpenCheckpoint(note, c.trust.LogKeys())
	if err != nil {
		return cp, alarm(logLie(err), evidence.Stream{}, err)
	}
	old := c.memory.snapshot().parsed
	switch {
	case old == (tlog.Checkpoint{}), cp == old:
	case cp.Size == old.Size:
		return cp, alarm(Forked, evidence.Stream{}, nil)
	case cp.Size > old.Size:
		err = c.consistent(ctx, old, cp)
	default:
		err = c.consistent(ctx, cp, old)
	}
	if err != nil || cp.Size <= old.Size {
		return cp, err
	}
	return cp, c.memory.learn(seen{Checkpoint: note, parsed: cp})
}

// consistent asks for the proof that one log grew from older to newer.
func (c *Client) consistent(ctx context.Context, older, newer tlog.Checkpoint) error {
	if older.Size == 0 {
		return nil
	}
	req, err := wire.NewGetConsistencyRequest(c.address, &wire.GetConsistencyParams{From: older.Size, To: newer.Size})
	answer, err := public[wire.ConsistencyProof](ctx, c, req, err, http.StatusOK)
	if evidence.KindOf(err) == evidence.Invalid || evidence.KindOf(err) == evidence.NotFound {
		return alarm(Forked, evidence.Stream{}, err) // it signed both sizes and cannot say how one became the other
	}
	if err != nil {
		return err
	}
	hashes := make([][]byte, len(answer.Hashes))
	for i, text := range answer.Hashes {
		if hashes[i], err = hex.DecodeString(text); err != nil {
			return alarm(Malformed, evidence.Stream{}, nil)
		}
	}
	if err := tlog.VerifyConsistency(older, newer, hashes); err != nil {
		return alarm(Forked, evidence.Stream{}, err)
	}
	return nil
}

// newest asks for the newest checkpoint, which must not be smaller than one seen before. A replica may lag for a moment, so it is asked
// again before that counts as a lie.
func (c *Client) newest(ctx context.Context) error {
	const attempts = 4
	for attempt := range attempts {
		before := c.memory.snapshot().parsed
		note, err := c.getCheckpoint(ctx)
		if err != nil {
			return err
		}
		cp, err := tlog.OpenCheckpoint(note, c.trust.LogKeys())
		if err != nil {
			return alarm(logLie(err), evidence.Stream{}, err)
		}
		if cp.Size >= before.Size {
			_, err := c.follow(ctx, note)
			return err
		}
		if attempt < attempts-1 {
			if err := c.pause(ctx, time.Second); err != nil {
				return err
			}
		}
	}
	return alarm(RolledBack, evidence.Stream{}, nil)
}

func (c *Client) getCheckpoint(ctx context.Context) ([]byte, error) {
	req, err := wire.NewGetCheckpointRequest(c.address)
	if err != nil {
		return nil, err
	}
	resp, err := c.exchange(req.WithContext(ctx), http.StatusOK)
	if evidence.KindOf(err) == evidence.NotFound && c.memory.snapshot().parsed.Size > 0 {
		return nil, alarm(RolledBack, evidence.Stream{}, err)
	}
	if err != nil {
		return nil, err
	}
	return readAll(resp, tlog.MaxCheckpointSize)
}
