package remote_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/trillian"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/translog"
	"strongroom.example/strongroom/internal/translog/remote"
	"strongroom.example/strongroom/internal/translog/translogtest"
)

// limit is more than anything here takes.
const limit = 2 * time.Minute

// persist appends as the ledger does: again and again, until it is told the indexes.
func persist(t *testing.T, log *remote.Log, leaves []tlog.TreeLeaf) []int64 {
	t.Helper()
	for began := time.Now(); ; {
		indexes, err := log.Append(t.Context(), leaves)
		switch {
		case err == nil:
			return indexes
		case !errors.Is(err, translog.ErrPending) && !errors.Is(err, translog.ErrUnavailable) || time.Since(began) > limit:
			t.Errorf("append: %v", err)
			return nil
		}
	}
}

// load appends from many clients to logs of one tree, each leaf from two of them, while disturb runs, and until it has ended. Then every leaf
// must be there once, at the index that was answered, and the root must follow.
func load(t *testing.T, logs []*remote.Log, disturb func()) {
	t.Helper()
	const clients = 16
	var mu sync.Mutex
	answered := make(map[string]int64)
	var over atomic.Bool
	var wait sync.WaitGroup
	for c := range clients {
		wait.Go(func() {
			for round := 0; round < 5 || !over.Load(); round++ {
				var batch []tlog.TreeLeaf
				for i := range 1 + rand.IntN(6) {
					batch = append(batch, translogtest.Leaf(100*round+10*(c/2)+i)) // of this client and its neighbour
				}
				rand.Shuffle(len(batch), func(i, j int) { batch[i], batch[j] = batch[j], batch[i] })
				indexes := persist(t, logs[c%len(logs)], batch)
				if indexes == nil {
					return
				}
				mu.Lock()
				for i, leaf := range batch {
					if before, ok := answered[string(leaf.Value)]; ok && before != indexes[i] {
						t.Errorf("one leaf has indexes %d and %d", before, indexes[i])
					}
					answered[string(leaf.Value)] = indexes[i]
				}
				mu.Unlock()
			}
		})
	}
	disturb()
	over.Store(true)
	wait.Wait()
	kept := translogtest.Check(t, logs[0])
	if len(kept) != len(answered) {
		t.Errorf("%d leaves in the log, %d were answered", len(kept), len(answered))
	}
	for i, leaf := range kept {
		if index, ok := answered[string(leaf.Value)]; !ok || index != int64(i) {
			t.Errorf("leaf %d was answered as %d, %v", i, index, ok)
		}
	}
}

// grown waits until the log has n more leaves than now.
func grown(t *testing.T, log *remote.Log, n int64) {
	t.Helper()
	var from int64 = -1
	until(t, func() bool {
		root, err := log.Root(t.Context())
		if err != nil {
			return false
		}
		if from < 0 {
			from = root.Size
		}
		return root.Size >= from+n
	})
}

// until waits for a condition.
func until(t *testing.T, holds func() bool) {
	t.Helper()
	for began := time.Now(); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > limit {
			t.Fatal("waited in vain")
		}
	}
}

func TestServersEndUnderLoad(t *testing.T) {
	run := func(p interface{ Run(context.Context) error }) { check(t, p.Run(t.Context())) }
	for _, tt := range []struct {
		name    string
		disturb func()
	}{
		{"signer", func() { servers.Signer.Kill(); time.Sleep(300 * time.Millisecond); run(servers.Signer) }},
		{"server", func() { servers.Server.Kill(); run(servers.Server) }},
		{"database", func() { check(t, database.Stop()); run(database) }},
		{"database killed", func() { database.Kill(); run(database) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := create(t)
			cfg.Patience = 3 * time.Second
			log := open(t, cfg)
			load(t, []*remote.Log{log}, func() {
				for range 2 {
					grown(t, log, 20)
					tt.disturb()
				}
				grown(t, log, 20)
			})
		})
	}
}

// Two writers at once, which a lease should prevent, neither lose nor double nor block anything.
func TestTwoWriters(t *testing.T) {
	cfg := create(t)
	load(t, []*remote.Log{open(t, cfg), open(t, cfg)}, func() {})
}

// Two writers who append from one sequence, each going on behind what it was answered, keep its order; also with one that ended in between.
func TestOneSequence(t *testing.T) {
	cfg := create(t)
	const end = 150
	write := func(log *remote.Log) {
		for from := 0; from < end; {
			batch := leaves(from, min(from+1+rand.IntN(8), end))
			for i, index := range persist(t, log, batch) {
				if index != int64(from+i) {
					t.Errorf("leaf %d has index %d", from+i, index)
				}
			}
			from += len(batch)
		}
	}
	var all sync.WaitGroup
	logs := []*remote.Log{open(t, cfg), open(t, cfg)}
	for _, log := range logs {
		all.Go(func() { write(log) })
	}
	all.Wait()
	for i := range 10 {
		from := end + 10*i
		goes, err := remote.Open(t.Context(), cfg)
		check(t, err)
		ended := make(chan struct{})
		go func() { _, _ = goes.Append(t.Context(), leaves(from, from+1+rand.IntN(9))); close(ended) }()
		time.Sleep(time.Duration(rand.IntN(10)) * time.Millisecond)
		check(t, goes.Close())
		<-ended
		for j, index := range persist(t, logs[0], leaves(from, from+10)) {
			if index != int64(from+j) {
				t.Errorf("after one that ended, leaf %d has index %d", from+j, index)
			}
		}
	}
	translogtest.Check(t, logs[0])
}

// The same where one of them ends at any moment and another comes.
func TestWritersCome(t *testing.T) {
	cfg := create(t)
	cfg.Patience = 2 * time.Second
	stays := open(t, cfg)
	persist(t, stays, leaves(1_000_000, 1_000_100)) // so that batches are large
	var all []tlog.TreeLeaf
	for round := range 12 {
		goes, err := remote.Open(t.Context(), cfg)
		check(t, err)
		batch := leaves(50*round, 50*round+60)
		rand.Shuffle(len(batch), func(i, j int) { batch[i], batch[j] = batch[j], batch[i] })
		var wait sync.WaitGroup
		wait.Go(func() { _, _ = goes.Append(t.Context(), batch) })
		wait.Go(func() { _, _ = stays.Append(t.Context(), leaves(50*round+20, 50*round+45)) })
		time.Sleep(time.Duration(rand.IntN(30)) * time.Millisecond)
		check(t, goes.Close())
		wait.Wait()
		all = append(all, batch...)
	}
	persist(t, stays, all) // what was accepted is appended until it is in
	if kept := translogtest.Check(t, stays); len(kept) != 100+50*11+60 {
		t.Errorf("%d leaves", len(kept))
	}
}

// An index that a writer left free, below a taken one, stops the signer until somebody appends.
func TestFreeIndex(t *testing.T) {
	cfg := create(t)
	log := open(t, cfg)
	cfg.Patience = 300 * time.Millisecond
	hasty := open(t, cfg)
	_, err := log.Append(t.Context(), leaves(0, 5))
	check(t, err)
	beyond, err := translog.NewLeaf(translogtest.Leaf(7))
	check(t, err)
	beyond.LeafIndex = 6
	_, err = trillian.NewTrillianLogClient(ask(t)).AddSequencedLeaves(t.Context(), &trillian.AddSequencedLeavesRequest{LogId: cfg.TreeID, Leaves: []*trillian.LogLeaf{beyond}})
	check(t, err)
	if _, err := hasty.Append(t.Context(), leaves(7, 8)); !errors.Is(err, translog.ErrPending) {
		t.Errorf("a leaf behind a free index: %v", err)
	}
	if indexes := persist(t, log, []tlog.TreeLeaf{translogtest.Leaf(7), translogtest.Leaf(0), translogtest.Leaf(8)}); fmt.Sprint(indexes) != "[6 0 5]" {
		t.Errorf("indexes %v", indexes)
	}
	translogtest.Check(t, log)
}

// While the signer is stopped, Append waits, says when it gave up that it does not know, and finds the leaves afterwards.
func TestSignerStopped(t *testing.T) {
	cfg := create(t)
	_, err := trillian.NewTrillianAdminClient(ask(t)).UpdateTree(t.Context(), &trillian.UpdateTreeRequest{
		Tree:       &trillian.Tree{TreeId: cfg.TreeID, MaxRootDuration: durationpb.New(time.Second)},
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"max_root_duration"}},
	})
	check(t, err)
	patient, hasty := open(t, cfg), cfg
	hasty.Patience = 200 * time.Millisecond
	impatient := open(t, hasty)
	_, err = patient.Append(t.Context(), leaves(0, 3))
	check(t, err)
	health := func() remote.Health {
		h, err := patient.Health(t.Context())
		check(t, err)
		return h
	}
	until(t, func() bool { h := health(); return !h.Late && h.Size == 3 && h.Age < limit })

	servers.Signer.Kill()
	if _, err := impatient.Append(t.Context(), leaves(3, 4)); !errors.Is(err, translog.ErrPending) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("out of patience: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := patient.Append(ctx, leaves(3, 5)); !errors.Is(err, translog.ErrPending) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("out of time: %v", err)
	}
	until(t, func() bool { return health().Late })
	var wait sync.WaitGroup
	wait.Go(func() {
		if _, err := patient.Append(t.Context(), leaves(3, 6)); err != nil {
			t.Errorf("who waits: %v", err)
		}
	})
	check(t, servers.Signer.Run(t.Context()))
	wait.Wait()
	until(t, func() bool { return !health().Late })
	if kept := translogtest.Check(t, impatient); len(kept) != 6 {
		t.Errorf("%d leaves", len(kept))
	}

	servers.Signer.Kill()
	defer func() { check(t, servers.Signer.Run(t.Context())) }()
	closing, err := remote.Open(t.Context(), cfg)
	check(t, err)
	wait.Go(func() {
		if _, err := closing.Append(t.Context(), leaves(6, 7)); !errors.Is(err, translog.ErrClosed) {
			t.Errorf("closed: %v", err)
		}
	})
	time.Sleep(50 * time.Millisecond)
	check(t, closing.Close())
	wait.Wait()
}

// A server that takes calls and does not answer is given up at each call's deadline, and works again when it does.
func TestServerHangs(t *testing.T) {
	cfg := create(t)
	plain := open(t, cfg)
	_, err := plain.Append(t.Context(), leaves(0, 3))
	check(t, err)
	cfg.Deadline, cfg.Patience = time.Second, 4*time.Second
	log := open(t, cfg)
	check(t, servers.Server.Process().Signal(syscall.SIGSTOP))
	var rootErr, healthErr, proofErr, appendErr error
	var wait sync.WaitGroup
	wait.Go(func() { _, rootErr = log.Root(t.Context()) })
	wait.Go(func() { _, healthErr = log.Health(t.Context()) })
	wait.Go(func() { _, proofErr = log.Inclusion(t.Context(), 0, 3) })
	wait.Go(func() { _, appendErr = log.Append(t.Context(), leaves(3, 4)) })
	wait.Wait()
	check(t, servers.Server.Process().Signal(syscall.SIGCONT))
	for _, err := range []error{rootErr, healthErr, proofErr, appendErr} {
		if !errors.Is(err, translog.ErrUnavailable) {
			t.Errorf("a server that hangs: %v", err)
		}
	}
	if !errors.Is(appendErr, translog.ErrPending) {
		t.Errorf("append: %v", appendErr)
	}
	if indexes := persist(t, log, leaves(2, 5)); len(indexes) != 3 || indexes[0] != 2 {
		t.Errorf("indexes %v", indexes)
	}
	if kept := translogtest.Check(t, plain); len(kept) != 5 {
		t.Errorf("%d leaves", len(kept))
	}
}
