// Package remote appends to a tree of a Trillian log server, across gRPC with TLS. The server and its signer are Trillian's stock programs
// over a database of their own, kept by the operator.
//
// # The type of the tree
//
// The tree is a PREORDERED_LOG: this package gives every leaf its index. A LOG, whose signer hands out the indexes, is the more common choice
// and was not taken, because the ledger's port asks for leaves in the order given, and an embedded log must be able to move here with its
// order. A LOG sorts what waits by the time at which one of its servers queued it, so order would stand on their clocks, and each leaf would
// cost a call of its own, one after the other. Here a batch is one call, and its indexes are known when it returns.
//
// What this asks in return is that no index stays free while a later one is taken: there the signer stops. It can come only of two writers,
// which the ledger's lease forbids, and which happens all the same when one is late to notice that it has lost the lease. So each round begins
// with the newest root, asks which leaves of a batch the log holds already, places only the others, from that root on, and what then finds its
// index taken goes into a later round.
//
// Thus whoever leaves indexes free still holds enough leaves to fill them. An index is left free where a leaf turns out to be there already;
// it was not when the log was asked, so another writer has placed it since, from the same root on or a later one, and there it has taken an
// index that one of this batch was meant for. The leaf meant for it is left over. It is placed in the next round, or, where Append ended before,
// by the repeated call that ErrPending asks for.
//
// With any number of writers, a leaf is in the log once: its identity is the key of a table, which whoever places leaves locks. What Append has
// answered has lower indexes than what is appended afterwards. Only the leaves of calls at the same time may be mixed, and be in another
// order than given. Of writers that append from one sequence, each from the first leaf that is not answered yet, as two ledgers do that both
// think they lead, the leaves keep their order too.
//
// # What it may assume
//
// One signer at a time (--force_master on one of them, or an election). That nobody else reaches the server, which asks no client who it is.
// That the caller repeats a call of Append that ended in ErrPending or ErrUnavailable, as the ledger does. And, as everywhere under translog,
// that the tree is Strongroom's alone. It never takes a proof for proved: the ledger checks each one.
//
// The operator should set plan_cache_mode = force_custom_plan for the role that Trillian uses in PostgreSQL: the statements of a signer that
// has begun with an empty table are slow for some time, by a second per thousand leaves, once it has filled.
package remote

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"github.com/google/trillian"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"strongroom.example/strongroom/internal/translog"
)

// Config says where a log is.
type Config struct {
	Address string      // of the log server: host:port
	TLS     *tls.Config // who it must be; nil is whom this system trusts, under the host's name
	TreeID  int64

	// Deadline bounds each call, Patience how long Append waits for the signer. Zero is 10 s and a minute.
	Deadline, Patience time.Duration
}

// Log is one transparency log. It is safe for concurrent use.
type Log struct {
	*translog.Reader // Root, Inclusion, Consistency, Leaves

	conn     *grpc.ClientConn
	log      trillian.TrillianLogClient
	id       int64
	renewed  time.Duration // how often the signer makes a root where nothing was appended; 0 is never
	patience time.Duration

	appends chan *request
	stop    context.CancelFunc // by Close
	stopped <-chan struct{}
	done    chan struct{} // closed when the appender has ended

	// The appender's own.
	size   int64             // of the newest root it has seen
	oldest *trillian.LogLeaf // leaf 0, once read
}

// Open connects to the log, and fails where it cannot be read now: translog.ErrUnavailable (which a certificate of another authority is,
// too), ErrNoTree, ErrTreeType. A frozen tree opens.
func Open(ctx context.Context, cfg Config) (*Log, error) {
	conn, err := dial(cfg)
	if err != nil {
		return nil, err
	}
	l := &Log{conn: conn, log: trillian.NewTrillianLogClient(conn), id: cfg.TreeID, patience: cfg.Patience, appends: make(chan *request), done: make(chan struct{})}
	l.Reader = translog.NewReader(l.log, l.id)
	if l.patience == 0 {
		l.patience = time.Minute
	}
	if err := l.check(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("remote: open log: %w", err), conn.Close())
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	l.stop, l.stopped = stop, running.Done()
	go l.run(running)
	return l, nil
}

func (l *Log) check(ctx context.Context) error {
	tree, err := trillian.NewTrillianAdminClient(l.conn).GetTree(ctx, &trillian.GetTreeRequest{TreeId: l.id}, grpc.WaitForReady(false))
	switch {
	case err != nil:
		return err
	case tree.TreeType != trillian.TreeType_PREORDERED_LOG:
		return translog.ErrTreeType
	case tree.Deleted:
		return translog.ErrNoTree
	}
	l.renewed = tree.GetMaxRootDuration().AsDuration()
	root, err := l.Root(ctx)
	l.size = root.Size
	return err
}

// Close ends the appends under way, which answer translog.ErrPending, and the connection. Later calls answer translog.ErrClosed, of Close nil.
func (l *Log) Close() error {
	l.stop()
	<-l.done
	if err := l.conn.Close(); err != nil && status.Code(err) != codes.Canceled { // closed before
		return err
	}
	return nil
}

// Health is how a log fares.
type Health struct {
	Size int64         // of the newest root
	Age  time.Duration // of the newest root, by the signer's clock and ours
	Late bool          // it is so old that the signer does not seem to run
}

// Health asks the server now, and fails at once where it does not answer. A tree that Create made gets a new root every five minutes,
// appended to or not, so a signer that has stopped is told within ten; before that by who waits for it, with ErrPending.
func (l *Log) Health(ctx context.Context) (Health, error) {
	resp, err := l.log.GetLatestSignedLogRoot(ctx, &trillian.GetLatestSignedLogRootRequest{LogId: l.id}, grpc.WaitForReady(false))
	if err != nil {
		return Health{}, fmt.Errorf("remote: health: %w", err)
	}
	root, made, err := translog.ParseRoot(resp.GetSignedLogRoot())
	if err != nil {
		return Health{}, err
	}
	age := time.Since(made)
	return Health{Size: root.Size, Age: age, Late: l.renewed > 0 && age > 2*l.renewed}, nil
}
