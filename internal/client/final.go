package client

import (
	"context"
	"errors"
	"net/http"
	"time"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/wire"
)

// reasonNotFinal is the vault's answer while witnesses or authorities that the trust file names have not confirmed something yet.
const reasonNotFinal = "not_final"

// confirmedWithin is how long the vault has, by this device's clock, to show that the witnesses saw what it showed (ARCHITECTURE §6).
const confirmedWithin = 24 * time.Hour

// asksOthers reports whether the trust file names anybody without whom nothing is final.
func (c *Client) asksOthers() bool {
	return c.trust.RequiresWitnesses() || c.trust.RequiresTimestamps()
}

// untilFinal is lossy; beside, it waits some minutes while what is asked for is not final.
func untilFinal[T any](ctx context.Context, c *Client, ask func() (T, error)) (T, error) {
	patience := patience{next: 500 * time.Millisecond, longest: 5 * time.Second, left: 60}
	for {
		answer, err := lossy(ctx, c, ask)
		if evidence.ReasonOf(err) != reasonNotFinal {
			return answer, err
		}
		if err := patience.wait(ctx, c, err); err != nil {
			return answer, err
		}
	}
}

// lookFinal is Look with receipts that need nobody's word but theirs whom the trust file names: it waits for those, and as long as the vault
// does for its auditors.
func (c *Client) lookFinal(ctx context.Context, streams ...evidence.Stream) (*View, error) {
	if !c.asksOthers() && !c.trust.RequiresAuditors() {
		return c.Look(ctx, streams...)
	}
	return c.look(ctx, wire.ReceiptsFinal, streams)
}

// checkFinal demands that the witnesses saw the checkpoint of a receipt: those of the policy in force, for the vault is asked now. A witness
// that is asked no more could still say that it saw it earlier.
func (c *Client) checkFinal(s evidence.Stream, note []byte) error {
	by, err := c.trust.Policy().Cosigned(note)
	if err != nil {
		return alarm(WrongWitness, s, err)
	}
	if !by.Quorum {
		return alarm(Unwitnessed, s, nil)
	}
	return nil
}

// unproved is the oldest checkpoint that this device relied on without having seen a final one of at least its size.
type unproved struct {
	Size  int64     `json:"size"`
	Since time.Time `json:"since"` // by this device's clock
}

// oldest is which of two waits longer, of those that still do.
func (o *unproved) oldest(other *unproved, final int64) *unproved {
	if o != nil && o.Size <= final {
		o = nil
	}
	if other == nil || other.Size <= final || o != nil && !other.Since.Before(o.Since) {
		return o
	}
	return other
}

// confirm asks how far the log is final, where this device has seen more of it than that. A vault that shows another history to the
// witnesses, or none, is found out after a day at the latest.
func (c *Client) confirm(ctx context.Context) error {
	now := c.memory.snapshot()
	if !c.asksOthers() || now.Final >= now.parsed.Size {
		return nil
	}
	more := seen{Final: now.Final}
	note, err := c.getFinalCheckpoint(ctx)
	switch {
	case evidence.KindOf(err) == evidence.NotFound: // none is, so far
	case err != nil:
		return err
	default:
		if err := c.checkFinal(evidence.Stream{}, note); err != nil {
			return err
		}
		if more, err = c.followed(ctx, note); err != nil {
			return err
		}
		more.Final = more.parsed.Size
	}
	size := max(now.parsed.Size, more.parsed.Size)
	if left := now.Unproved; left != nil && left.Size > more.Final {
		if left.Since.After(c.cfg.Now()) { // this clock was ahead when it was noted: the day begins now
			more.Unproved = &unproved{left.Size, c.cfg.Now()}
		} else if c.cfg.Now().Sub(left.Since) > confirmedWithin {
			return alarm(Unwitnessed, evidence.Stream{}, errors.New("for more than a day no witness confirmed what the vault showed"))
		}
	} else if size > more.Final {
		more.Unproved = &unproved{size, c.cfg.Now()}
	}
	return c.learn(ctx, more)
}

func (c *Client) getFinalCheckpoint(ctx context.Context) ([]byte, error) {
	return lossy(ctx, c, func() ([]byte, error) {
		req, err := wire.NewGetCheckpointRequest(c.address, &wire.GetCheckpointParams{Final: true})
		if err != nil {
			return nil, err
		}
		resp, err := c.exchange(req.WithContext(ctx), http.StatusOK)
		if err != nil {
			return nil, err
		}
		return readAll(resp, tlog.MaxCheckpointSize)
	})
}

// Finality is how far the log is final, as the vault says; nil where the trust file names nobody.
func (c *Client) Finality(ctx context.Context) (*wire.Finality, error) {
	answer, err := lossy(ctx, c, func() (wire.Vault, error) {
		req, err := wire.NewGetVaultRequest(c.address)
		return public[wire.Vault](ctx, c, req, err, http.StatusOK)
	})
	return answer.Final, err
}

// Seen is how far this device has verified the log.
type Seen struct {
	Size      int64         // entries under the newest checkpoint
	Final     int64         // of these, those that are final; all where the trust file names nobody
	Confirmed bool          // the trust file names somebody, whose word Final stands on
	Time      evidence.Time // of the look, by the vault's clock
}

// Seen asks for the newest checkpoint, checks it against all that was seen before, as every look does, and remembers it.
func (c *Client) Seen(ctx context.Context) (Seen, error) {
	if err := c.newest(ctx); err != nil {
		return Seen{}, err
	}
	now := c.memory.snapshot()
	s := Seen{Size: now.parsed.Size, Final: now.parsed.Size, Confirmed: c.asksOthers(), Time: c.now()}
	if s.Confirmed {
		s.Final = min(now.Final, s.Size)
	}
	return s, nil
}
