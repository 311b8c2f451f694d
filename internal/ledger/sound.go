package ledger

import (
	"context"
	"errors"

	"strongroom.example/strongroom/internal/evidence"
)

// Sound answers Internal "log" while the records are known not to be the newest of one history with the log: they went back to an earlier
// moment while this process was running, or lack events that the log holds. What they say then must not be believed: a place in a stream may
// have been given away, a revocation may be missing. That records or log do not answer is no reason.
func (l *Ledger) Sound() error {
	if m := l.astray.Load(); m != nil {
		return evidence.Fail(evidence.Internal, "log", m)
	}
	return nil
}

const wentBack = "they are older than what this process has seen"

// heed remembers that the records do not fit, if that is what err says.
func (l *Ledger) heed(err error) error {
	if m := (*Mismatch)(nil); errors.As(err, &m) && m.Where == "records" && l.astray.Swap(m) == nil {
		l.cfg.Logger.Error("accepting_stopped", "err", m)
	}
	return err
}

// recheck looks at everything as Open does, if the records did not fit when they were looked at last. It is how that ends.
func (l *Ledger) recheck(ctx context.Context) error {
	if l.astray.Load() == nil {
		return nil
	}
	if _, _, err := l.crossCheck(ctx); err != nil {
		return err
	}
	l.astray.Store(nil)
	l.cfg.Logger.Info("accepting_again", "size", l.last.Size)
	return nil
}
