// Package embedded is Trillian in this process, on one bbolt file.
//
// It owns the file and runs Trillian's own code over it: log.IntegrateBatch
// builds the Merkle tree, server.TrillianLogRPCServer answers roots and proofs,
// both on the storage.LogStorage and storage.AdminStorage of this package.
// There is no timer and no polling: one goroutine takes all the appends that
// wait, queues, integrates and commits them in a single transaction, and only
// then answers. So an answered leaf is durable and integrated, a leaf is in
// the log once, and nothing is ever queued without being integrated.
//
// It may assume a local file system that honours fsync and file locks. While a
// log is open no other process can open it.
//
// What damage it finds: Open refuses a file that is cut off or foreign, whose
// newest root does not follow from the stored tree nodes, or whose leaf count
// differs from the root; each append checks the right edge of the tree against
// the root again. Every stored value carries a CRC-32C, so a bit flipped in a
// leaf, tree node or index is translog.ErrCorrupt at the next read; one flipped
// in a key hides the entry, which is noticed when it is missed. Damage to
// bbolt's own page structure may end the process.
//
// What it does not find: a forger can recompute checksums, so a changed inner
// node yields a proof that does not verify, which the ledger sees because it
// checks each proof against its checkpoint; a file replaced by an older copy of
// itself is whole, which the ledger sees because the last checkpoint is kept
// elsewhere too.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/google/trillian"
	"github.com/google/trillian/extension"
	sequencer "github.com/google/trillian/log"
	"github.com/google/trillian/monitoring"
	"github.com/google/trillian/quota"
	"github.com/google/trillian/server"
	"github.com/google/trillian/storage"
	bolt "go.etcd.io/bbolt"
	"google.golang.org/protobuf/types/known/durationpb"
	"k8s.io/klog/v2"
	"strongroom.example/strongroom/internal/translog"
)

// Options may be left zero.
type Options struct {
	// Clock stamps roots and leaves; nil is time.Now. It may step back.
	Clock func() time.Time
	// Logger takes what Trillian reports; nil is slog.Default(). Trillian
	// logs process-wide, so the first log opened in a process decides.
	Logger *slog.Logger
}

// Log is one transparency log. It is safe for concurrent use.
type Log struct {
	*translog.Reader // Root, Inclusion, Consistency, Leaves

	tree    *trillian.Tree
	storage *logStorage
	clock   *steadyClock

	appends chan *request
	closing chan struct{} // closed by Close
	done    chan struct{} // closed when the appender has ended
	once    sync.Once
}

var redirectKlog sync.Once

// Create makes the file, which must not exist yet (else fs.ErrExist), with an
// empty log, and opens it. A crash on the way leaves no file at path.
func Create(ctx context.Context, path string, opts Options) (*Log, error) {
	if _, err := os.Lstat(path); err == nil {
		return nil, fmt.Errorf("embedded: create log: %w", fs.ErrExist)
	}
	unfinished := path + ".new"
	if err := os.Remove(unfinished); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("embedded: create log: %w", err)
	}
	defer os.Remove(unfinished)
	if err := initialise(ctx, unfinished, newClock(opts)); err != nil {
		return nil, err
	}
	// Commit point: link gives the finished file its name and never overwrites.
	if err := os.Link(unfinished, path); err != nil {
		return nil, fmt.Errorf("embedded: create log: %w", err)
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		return nil, fmt.Errorf("embedded: create log: %w", err)
	}
	return Open(ctx, path, opts)
}

// initialise writes a file with one empty log.
func initialise(ctx context.Context, path string, clock *steadyClock) error {
	s, err := openStore(path, true)
	if err != nil {
		return err
	}
	registry := newRegistry(s, clock)
	tree, err := storage.CreateTree(ctx, registry.AdminStorage, &trillian.Tree{
		TreeState:       trillian.TreeState_ACTIVE,
		TreeType:        trillian.TreeType_LOG,
		DisplayName:     "strongroom",
		MaxRootDuration: durationpb.New(0), // a root only where leaves were added
	})
	if err == nil {
		_, err = server.NewTrillianLogRPCServer(registry, clock).InitLog(ctx, &trillian.InitLogRequest{LogId: tree.TreeId})
	}
	return errors.Join(err, s.close())
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func newClock(opts Options) *steadyClock {
	if opts.Clock == nil {
		opts.Clock = time.Now
	}
	return &steadyClock{now: opts.Clock}
}

func newRegistry(s *store, clock *steadyClock) extension.Registry {
	return extension.Registry{
		AdminStorage:  &adminStorage{store: s, clock: clock},
		LogStorage:    &logStorage{store: s},
		QuotaManager:  quota.Noop(),
		MetricFactory: monitoring.InertMetricFactory{},
	}
}

// Open opens an existing log; a missing file is fs.ErrNotExist, one that
// another process has open is ErrLocked after a second, damage is
// translog.ErrCorrupt.
func Open(ctx context.Context, path string, opts Options) (*Log, error) {
	redirectKlog.Do(func() {
		if opts.Logger == nil {
			opts.Logger = slog.Default()
		}
		klog.SetSlogLogger(opts.Logger)
	})
	sequencer.InitMetrics(nil)

	s, err := openStore(path, false)
	if err != nil {
		return nil, err
	}
	clock := newClock(opts)
	registry := newRegistry(s, clock)
	tree, err := onlyTree(ctx, registry.AdminStorage)
	if err == nil {
		err = s.view(func(btx *bolt.Tx) error { return check(ctx, btx, tree, clock) })
	}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	rpc := server.NewTrillianLogRPCServer(registry, clock)
	l := &Log{
		Reader:  translog.NewReader(client{server: rpc, tree: tree}, tree.TreeId),
		tree:    tree,
		storage: &logStorage{store: s},
		clock:   clock,
		appends: make(chan *request),
		closing: make(chan struct{}),
		done:    make(chan struct{}),
	}
	go l.run()
	return l, nil
}

func onlyTree(ctx context.Context, admin storage.AdminStorage) (*trillian.Tree, error) {
	trees, err := storage.ListTrees(ctx, admin, true)
	if err != nil {
		return nil, err
	}
	if len(trees) != 1 || trees[0].TreeType != trillian.TreeType_LOG || trees[0].TreeState != trillian.TreeState_ACTIVE || trees[0].Deleted {
		return nil, fmt.Errorf("%w: not one active log in the file", translog.ErrCorrupt)
	}
	return trees[0], nil
}

// Close waits for the appends under way and closes the file. Later calls of
// any method answer translog.ErrClosed, of Close nil.
func (l *Log) Close() error {
	var err error
	l.once.Do(func() {
		close(l.closing)
		<-l.done
		err = l.storage.store.close()
	})
	return err
}
