package client

import (
	"context"
	"encoding/hex"
	"net/http"
	"time"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/wire"
)

// follow verifies a signed checkpoint and that it belongs to the one history seen so far, and remembers the larger one.
func (c *Client) follow(ctx context.Context, note []byte) (tlog.Checkpoint, error) {
	more, err := c.followed(ctx, note)
	if err != nil {
		return more.parsed, err
	}
	return more.parsed, c.learn(ctx, more)
}

// learn remembers what was verified. What another program of the same person was shown at the same moment is tied to it at once, or if the
// vault cannot be reached before anything is looked at again.
func (c *Client) learn(ctx context.Context, more seen) error {
	if err := c.memory.learn(more); err != nil {
		return err
	}
	if err := c.tie(ctx); LieOf(err) != "" {
		return err
	}
	return nil
}

// tie asks for the proofs that the newest checkpoint extends the loose ones. Where it does not both stay, and nothing is looked at any more.
func (c *Client) tie(ctx context.Context) error {
	now := c.memory.snapshot()
	for _, l := range now.Loose {
		if l.parsed.Size == now.parsed.Size {
			return alarm(Forked, evidence.Stream{}, errShownTwo)
		}
		if err := c.consistent(ctx, l.parsed, now.parsed); err != nil {
			return err
		}
		if err := c.memory.learn(seen{tied: []tlog.Checkpoint{l.parsed}}); err != nil {
			return err
		}
	}
	return nil
}

// followed is follow, but for the remembering.
func (c *Client) followed(ctx context.Context, note []byte) (seen, error) {
	cp, err := tlog.OpenCheckpoint(note, c.trust.LogKeys())
	if err != nil {
		return seen{}, alarm(logLie(err), evidence.Stream{}, err)
	}
	old := c.memory.snapshot().parsed
	switch {
	case old == (tlog.Checkpoint{}), cp == old:
	case cp.Size == old.Size:
		return seen{}, alarm(Forked, evidence.Stream{}, nil)
	case cp.Size > old.Size:
		err = c.consistent(ctx, old, cp)
	default:
		err = c.consistent(ctx, cp, old)
	}
	return seen{Checkpoint: note, parsed: cp, over: old}, err
}

// consistent asks for the proof that one log grew from older to newer.
func (c *Client) consistent(ctx context.Context, older, newer tlog.Checkpoint) error {
	if older.Size == 0 {
		return nil
	}
	hashes, err := c.growth(ctx, older.Size, newer.Size)
	if err != nil {
		return err
	}
	if err := tlog.VerifyConsistency(older, newer, hashes); err != nil {
		return alarm(Forked, evidence.Stream{}, err)
	}
	return nil
}

// growth asks for the proof that the log of size from grew to size to, both of which it has signed.
func (c *Client) growth(ctx context.Context, from, to int64) ([][]byte, error) {
	answer, err := lossy(ctx, c, func() (wire.ConsistencyProof, error) {
		req, err := wire.NewGetConsistencyRequest(c.address, &wire.GetConsistencyParams{From: from, To: to})
		return public[wire.ConsistencyProof](ctx, c, req, err, http.StatusOK)
	})
	if evidence.KindOf(err) == evidence.Invalid || evidence.KindOf(err) == evidence.NotFound {
		return nil, alarm(Forked, evidence.Stream{}, err) // it signed both sizes and cannot say how one became the other
	}
	if err != nil {
		return nil, err
	}
	hashes := make([][]byte, len(answer.Hashes))
	for i, text := range answer.Hashes {
		if hashes[i], err = hex.DecodeString(text); err != nil {
			return nil, alarm(Malformed, evidence.Stream{}, nil)
		}
	}
	return hashes, nil
}

// newest asks for the newest checkpoint, which must not be smaller than one seen before. A replica may lag for a moment, so it is asked
// again before that counts as a lie.
func (c *Client) newest(ctx context.Context) error {
	const attempts = 4
	if err := c.tie(ctx); err != nil {
		return err
	}
	for attempt := range attempts {
		before := c.memory.snapshot().parsed
		note, err := lossy(ctx, c, func() ([]byte, error) { return c.getCheckpoint(ctx) })
		if err != nil {
			return err
		}
		cp, err := tlog.OpenCheckpoint(note, c.trust.LogKeys())
		if err != nil {
			return alarm(logLie(err), evidence.Stream{}, err)
		}
		if cp.Size >= before.Size {
			if _, err := c.follow(ctx, note); err != nil {
				return err
			}
			return c.confirm(ctx)
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
	req, err := wire.NewGetCheckpointRequest(c.address, nil)
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
