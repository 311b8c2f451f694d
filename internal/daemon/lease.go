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
// has a lease in its records, and renews it: one process alone or, of a shared vault, each replica one of its own. Of the two, whoever came
// later gives way.
const (
	aloneWork   = "serve"
	replicaWork = sqldb.Replica // and the holder
	leaseTime   = 30 * time.Second
	leaseRenew  = 5 * time.Second
)

// ErrLeaseLost means that this process did not renew its lease in time, and that another works on the vault now.
var ErrLeaseLost = errors.New("another process works on the vault now, because this one did not renew its lease in time; stopped")

// ErrRecordsNewer means that the database was changed so that this version cannot go on with it.
var ErrRecordsNewer = errors.New("the database was updated by a newer version of strongroomd, with which this one cannot work; stopped")

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
	work    string
	holder  string // nobody else's, and never one's own again
	now     func() time.Time
	logger  *slog.Logger
	renewed func(context.Context) // is called at first and each time, if there is any

	stop context.CancelFunc
	done chan struct{}
	lost chan struct{} // closed once this process must stop
	why  error         // it must
}

// takeLease takes the lease and renews it until it is given back: with others, as a replica, or alone. What a process left that was killed
// is waited for until it ends. A process that renews it meanwhile lives: *Held.
func takeLease(ctx context.Context, records *sqldb.DB, o Options, replica bool, renewed func(context.Context)) (*lease, error) {
	host, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	l := &lease{
		records: records, work: aloneWork, now: o.Now, logger: o.Logger, renewed: renewed,
		holder: fmt.Sprintf("%s, process %d (%s)", host, os.Getpid(), strings.ToLower(rand.Text()[:8])),
		done:   make(chan struct{}), lost: make(chan struct{}),
	}
	if replica {
		l.holder += fmt.Sprintf(" schema %d", sqldb.SchemaVersion()) // strongroomd migrate looks for older ones
		l.work = replicaWork + l.holder
	}
	if err := l.settle(ctx); err != nil {
		return nil, err
	}
	for first := (Held{}); ; {
		mine, held, err := l.take(ctx)
		if err != nil {
			return nil, err
		}
		if mine {
			break
		}
		switch {
		case held == (Held{}): // it has just ended
		case first == (Held{}):
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
	// Who changes the schema sees the lease from here on, and this process what was changed before.
	if err := records.Usable(ctx); err != nil {
		_, failed := records.Lease(ctx, l.work, l.holder, l.now(), 0)
		return nil, errors.Join(err, failed)
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	l.stop = stop
	go l.keep(running)
	return l, nil
}

// take takes the lease, unless somebody is in the way. It writes first and looks then: of two that come together one sees the other at least.
func (l *lease) take(ctx context.Context) (mine bool, held Held, err error) {
	if mine, err = l.records.Lease(ctx, l.work, l.holder, l.now(), leaseTime); err != nil {
		return false, Held{}, err
	}
	held, err = l.other(ctx)
	if mine && (err != nil || held != (Held{})) {
		_, failed := l.records.Lease(ctx, l.work, l.holder, l.now(), 0)
		return false, held, errors.Join(err, failed)
	}
	return mine, held, err
}

// settle waits, where a lease in the way ends later than one can that was taken by the present clock, as after that was put back, for whoever
// lives to renew it. What is not renewed then binds nobody: else the vault would stay closed for as long as the clock was put back.
func (l *lease) settle(ctx context.Context) error {
	for began := time.Now(); time.Since(began) < 2*leaseRenew; {
		_, odd, err := l.others(ctx)
		if err != nil || !odd {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
	return nil
}

// other is who is in the way: of a replica who works alone, of who works alone everybody.
func (l *lease) other(ctx context.Context) (Held, error) {
	held, _, err := l.others(ctx)
	return held, err
}

// others is other, and whether there is a lease in the way that binds nobody.
func (l *lease) others(ctx context.Context) (held Held, odd bool, err error) {
	now, err := l.clock(ctx)
	if err != nil {
		return Held{}, false, err
	}
	works := []string{aloneWork}
	if l.work == aloneWork {
		works = append(works, replicaWork)
	}
	for _, work := range works {
		leases, err := l.records.Leases(ctx, work)
		if err != nil {
			return Held{}, false, err
		}
		for _, other := range leases {
			switch {
			case other.Holder == l.holder || !other.Until.After(now):
			case other.Until.After(now.Add(2 * leaseTime)): // as sqldb.DB.Lease has it
				odd = true
			case held == (Held{}):
				held = Held{other.Holder, other.Until}
			}
		}
	}
	return held, odd, nil
}

// clock is that by which the lease ends: the records' own, if they have one.
func (l *lease) clock(ctx context.Context) (time.Time, error) {
	now, err := l.records.Clock(ctx)
	if err == nil && now.IsZero() {
		now = l.now()
	}
	return now, err
}

// keep renews the lease until ctx ends, or another has the vault. While the records do not answer it tries again: nobody else gets it there
// either.
func (l *lease) keep(ctx context.Context) {
	defer close(l.done)
	ticker := time.NewTicker(leaseRenew)
	defer ticker.Stop()
	for {
		if l.renewed != nil {
			l.renewed(ctx)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		held, err := l.renew(ctx)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			l.logger.Warn("lease_not_renewed", "reason", evidence.ReasonOf(err), "err", err)
		case held != (Held{}):
			l.logger.Error("lease_lost", "holder", held.Holder, "until", held.Until)
			l.why = ErrLeaseLost
			close(l.lost)
			return
		case evidence.ReasonOf(l.records.Usable(ctx)) == "records_newer":
			l.logger.Error("records_newer")
			l.why = ErrRecordsNewer
			close(l.lost)
			return
		}
	}
}

// renew renews the lease, and returns who has the vault if it was not renewed in time, or if the records do not know the lease, as those that
// were put back. While it runs, whoever comes gives way.
func (l *lease) renew(ctx context.Context) (Held, error) {
	now, err := l.clock(ctx)
	if err != nil {
		return Held{}, err
	}
	holder, until, err := l.records.Leased(ctx, l.work)
	if err != nil && evidence.KindOf(err) != evidence.NotFound {
		return Held{}, err
	}
	if holder != l.holder || !until.After(now) {
		_, held, err := l.take(ctx)
		return held, err
	}
	_, err = l.records.Lease(ctx, l.work, l.holder, l.now(), leaseTime)
	return Held{}, err
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
	if _, err := l.records.Lease(ctx, l.work, l.holder, l.now(), 0); err != nil {
		l.logger.Warn("lease_not_given_back", "reason", evidence.ReasonOf(err), "err", err)
	}
	return nil
}

// taken is closed once the vault is not this process's any more; of a vault in one folder it never is.
func (p *parts) taken() <-chan struct{} {
	if p.lease == nil {
		return nil
	}
	return p.lease.lost
}
