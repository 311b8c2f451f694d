package daemon

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/sqldb"
)

// A vault in one folder is guarded by the lock on its log's file. Of one whose records or log other machines can reach, whoever works on it
// has a lease in its records, and renews it.
const (
	leaseWork  = "serve"
	leaseTime  = 30 * time.Second
	leaseRenew = 5 * time.Second
)

// ErrLeaseLost means that this process did not renew its lease in time, and that another works on the vault now.
var ErrLeaseLost = errors.New("another process works on the vault now, because this one did not renew its lease in time; stopped")

// Held says that another process works on the vault. It is ErrRunning.
type Held struct {
	Holder string    // host and number of the process
	Until  time.Time // unless it renews its lease
}

func (h *Held) Error() string {
	return fmt.Sprintf("the vault is in the hands of %s: stop that first. It has it until %s at the most, unless it renews that, as it does while it runs",
		h.Holder, h.Until.UTC().Format("15:04:05 MST"))
}

func (h *Held) Is(target error) bool { return target == ErrRunning }

// lease is this process's right to work on a vault, for as long as it renews it.
type lease struct {
	records *sqldb.DB
	holder  string // nobody else's, and never one's own again
	now     func() time.Time
	logger  *slog.Logger

	stop context.CancelFunc
	done chan struct{}
	lost chan struct{} // closed once another process has it
}

// takeLease takes the lease and renews it until it is given back. What a process left that was killed is waited for until it ends. A process
// that renews it meanwhile lives: *Held.
func takeLease(ctx context.Context, records *sqldb.DB, o Options) (*lease, error) {
	host, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	l := &lease{
		records: records, holder: fmt.Sprintf("%s, process %d (%s)", host, os.Getpid(), strings.ToLower(rand.Text()[:8])), now: o.Now, logger: o.Logger,
		done: make(chan struct{}), lost: make(chan struct{}),
	}
	for first := (Held{}); ; {
		mine, err := l.renew(ctx)
		if err != nil {
			return nil, err
		}
		if mine {
			break
		}
		held, err := l.other(ctx)
		if err != nil {
			return nil, err
		}
		switch now := l.now(); {
		case !held.Until.After(now): // it has just ended
		case first == (Held{}) && !held.Until.After(now.Add(2*leaseTime)):
			first = held
			l.logger.Info("lease_waited_for", "holder", held.Holder, "until", held.Until)
		case held != first:
			return nil, &held
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	l.stop = stop
	go l.keep(running)
	return l, nil
}

func (l *lease) renew(ctx context.Context) (bool, error) {
	now := l.now()
	return l.records.Lease(ctx, leaseWork, l.holder, now, now.Add(leaseTime))
}

// other is who has it.
func (l *lease) other(ctx context.Context) (Held, error) {
	holder, until, err := l.records.Leased(ctx, leaseWork)
	if evidence.KindOf(err) == evidence.NotFound {
		err = nil
	}
	return Held{holder, until}, err
}

// keep renews the lease until ctx ends, or another has it. While the records do not answer it tries again: nobody else gets it there either.
func (l *lease) keep(ctx context.Context) {
	defer close(l.done)
	ticker := time.NewTicker(leaseRenew)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		mine, err := l.renew(ctx)
		if mine || ctx.Err() != nil {
			continue
		}
		if err != nil {
			l.logger.Warn("lease_not_renewed", "reason", evidence.ReasonOf(err), "err", err)
			continue
		}
		held, _ := l.other(ctx) // lost all the same
		l.logger.Error("lease_lost", "holder", held.Holder, "until", held.Until)
		close(l.lost)
		return
	}
}

// close gives the lease back, so that nobody has to wait for its end.
func (l *lease) close() error {
	l.stop()
	<-l.done
	select {
	case <-l.lost:
		return nil
	default:
	}
	// Whoever cannot give it back, because the records do not answer, leaves it to end by itself.
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if _, err := l.records.Lease(ctx, leaseWork, l.holder, l.now(), time.Unix(0, 0)); err != nil {
		l.logger.Warn("lease_not_given_back", "reason", evidence.ReasonOf(err), "err", err)
	}
	return nil
}

// taken is closed once another process works on the vault; of a vault in one folder it never is.
func (p *parts) taken() <-chan struct{} {
	if p.lease == nil {
		return nil
	}
	return p.lease.lost
}
