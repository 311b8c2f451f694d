package ledger

import (
	"context"
	"errors"
	"time"

	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
)

// Authority is one RFC 3161 authority.
type Authority struct {
	Name string // no two have the same
	// Stamp asks it for a time stamp over message. What it returns is not believed: it is verified under the trust file's roots.
	Stamp func(ctx context.Context, message []byte) (response []byte, err error)
}

// stamper asks one authority for its stamps: first over the newest published checkpoint, then over the signatures of events in the order of
// acceptance, then over the published checkpoints that were passed by. What is stamped stands in the records, so that after a restart it goes
// on where it was.
type stamper struct {
	*publisher
	*peer
	Authority
	after  int64 // the order of the last event that is stamped, or need not be
	passed int64 // the size of a published checkpoint: those up to it are stamped, or too old; -1 if it was not looked up yet
}

// tooOld is how long ago a checkpoint was published that an authority is not asked for any more. A newer one's stamp bounds the same events.
const tooOld = 24 * time.Hour

const maxUnstamped = 64 // events that are looked at before the checkpoint's turn

func (s *stamper) run(ctx context.Context) {
	for delay := soonAgain; ctx.Err() == nil; {
		more, err := s.step(ctx)
		switch {
		case err != nil:
			delay = s.failed(ctx, s.peer, "authority", err, delay)
		case more:
			delay = soonAgain
		default:
			wait(ctx, 0, s.peer.wake)
		}
	}
}

// step stamps the next thing. It reports whether there may be more.
func (s *stamper) step(ctx context.Context) (bool, error) {
	if row := s.offered(); row.Size > 0 && !s.stamped(row) {
		return true, s.stamp(ctx, row)
	}
	if s.cfg.Stamped != nil {
		entries, err := s.cfg.Records.Events(ctx, s.after, maxUnstamped)
		for _, e := range entries {
			if s.cfg.Stamped(e.Kind) {
				return true, s.event(ctx, e)
			}
			s.after = e.Order
		}
		if len(entries) > 0 || err != nil {
			return true, err
		}
	}
	return s.earlier(ctx)
}

// earlier stamps the next published checkpoint that is not the newest.
func (s *stamper) earlier(ctx context.Context) (bool, error) {
	newest := s.offered().Size
	if s.passed < 0 {
		young, err := s.young(ctx, newest)
		if err != nil {
			return false, err
		}
		s.passed = young
	}
	row, err := s.cfg.Records.NextPublished(ctx, s.passed, Offered, evidence.Hash{})
	if evidence.KindOf(err) == evidence.NotFound || err == nil && row.Size >= newest {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if !s.stamped(row) && !s.old(row) {
		switch err := s.stamp(ctx, row); {
		case errors.Is(err, tlog.ErrCosignature): // what is damaged on disk must not hold up the rest
			s.cfg.Logger.Error("state_not_stamped", "size", row.Size, "err", err)
		case err != nil:
			return false, err
		}
		wait(ctx, soonAgain, nil) // these are in no hurry
	}
	s.passed = row.Size
	return true, nil
}

func (s *stamper) old(row Published) bool { return s.cfg.Now().Sub(row.At) > tooOld }

// young finds a size above which, up to the newest, all published checkpoints are not too old, and below which all are.
func (s *stamper) young(ctx context.Context, newest int64) (int64, error) {
	low, high := int64(0), newest
	for low < high {
		middle := low + (high-low)/2
		row, err := s.cfg.Records.NextPublished(ctx, middle, Offered, evidence.Hash{})
		switch {
		case evidence.KindOf(err) == evidence.NotFound || err == nil && !s.old(row):
			high = middle
		case err != nil:
			return 0, err
		default:
			low = row.Size
		}
	}
	return low, nil
}

// stamp asks for a stamp over a published checkpoint and keeps it.
func (s *stamper) stamp(ctx context.Context, row Published) error {
	response, err := s.ask(ctx, noteText(row.Note))
	if err != nil {
		return err
	}
	return s.change(ctx, row.Size, func(row *Published) error {
		if !s.stamped(*row) {
			row.Stamps = append(row.Stamps, Stamp{s.Name, response})
		}
		return nil
	})
}

func (s *stamper) stamped(row Published) bool {
	for _, stamp := range row.Stamps {
		if stamp.Authority == s.Name {
			return true
		}
	}
	return false
}

func (s *stamper) event(ctx context.Context, e Entry) error {
	statement, err := custody.Open(e.Leaf.Extra)
	if err != nil { // what is damaged on disk must not hold up the rest
		s.cfg.Logger.Error("event_not_stamped", "order", e.Order, "err", err)
		s.after = e.Order
		return nil
	}
	response, err := s.ask(ctx, statement.Signature())
	if err != nil {
		return err
	}
	if err := s.cfg.Records.PutEventStamp(ctx, e.LeafHash, Stamp{s.Name, response}); err != nil {
		return err
	}
	s.after = e.Order
	return nil
}

// ask returns a stamp that holds: over this message, by an authority under the trust file's roots, of a possible time.
func (s *stamper) ask(ctx context.Context, message []byte) ([]byte, error) {
	asked := s.cfg.Now()
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	response, err := s.Stamp(ctx, message)
	if err != nil {
		return nil, &trouble{reason: troubleReach, err: err}
	}
	stamp, err := s.cfg.Trust.VerifyTimestamp(response, message)
	if err != nil {
		return nil, &trouble{reason: "stamp", err: err}
	}
	if !s.possible(stamp.Time, asked) {
		return nil, &trouble{reason: troubleClock, err: errors.New("its clock is not ours")}
	}
	s.well()
	return response, nil
}

// stampsOf are the responses over an event's signature that a receipt has room for.
func (l *Ledger) stampsOf(ctx context.Context, event evidence.Hash) ([][]byte, error) {
	if l.publisher == nil {
		return nil, nil
	}
	stamps, err := l.cfg.Records.EventStamps(ctx, event)
	responses := make([][]byte, len(stamps))
	for i, s := range stamps {
		responses[i] = s.Response
	}
	return responses, err
}
