package remote

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/trillian"

	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/translog"
)

const (
	// groupLeaves is how many leaves the appender gathers before it begins.
	groupLeaves = 1024
	// batchLeaves and batchBytes bound what goes to the server in one call: it takes messages of 4 MiB.
	batchLeaves, batchBytes = 1000, 7 << 19
)

// request is one call of Append on its way through the appender.
type request struct {
	leaves  []*trillian.LogLeaf
	indexes []int64
	err     error
	done    chan struct{} // closed once indexes and err are final
}

// Append makes the leaves durable and integrated, in the order given and, as long as this is the only writer, without others between those
// that are new, and returns their indexes in that order. A leaf appended before answers with its original index.
//
// It waits for the signer until ctx ends or patience does. Then the answer is translog.ErrPending, with the cause: the leaves may be in the log
// or come into it later, and a repeated call finds them. The ledger repeats each until it is answered, on which the package relies.
func (l *Log) Append(ctx context.Context, leaves []tlog.TreeLeaf) ([]int64, error) {
	if len(leaves) == 0 {
		return []int64{}, nil
	}
	made, err := translog.NewLeaves(leaves)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(made, func(leaf *trillian.LogLeaf) bool { return bytesOf(leaf) > batchBytes }) {
		return nil, fmt.Errorf("%w: leaf of more than %d bytes", translog.ErrInvalid, batchBytes)
	}
	r := &request{leaves: made, done: make(chan struct{})}
	select {
	case l.appends <- r:
	case <-l.stopped:
		return nil, translog.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case <-r.done:
		return r.indexes, r.err
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", translog.ErrPending, ctx.Err())
	}
}

func bytesOf(leaf *trillian.LogLeaf) int { return len(leaf.LeafValue) + len(leaf.ExtraData) }

// run is the appender: the only one of this process that writes, and that watches for roots. While it waits for one, the next requests wait
// in Append and become the next group.
func (l *Log) run(ctx context.Context) {
	defer close(l.done)
	for {
		var group []*request
		select {
		case r := <-l.appends:
			group = append(group, r)
		case <-ctx.Done():
			return
		}
		for leaves, waiting := len(group[0].leaves), true; waiting && leaves < groupLeaves; {
			select {
			case r := <-l.appends:
				group = append(group, r)
				leaves += len(r.leaves)
			default:
				waiting = false
			}
		}
		l.answer(ctx, group)
	}
}

// answer appends a group and answers its requests: each by itself, since what is integrated is, whatever becomes of the others.
func (l *Log) answer(ctx context.Context, group []*request) {
	var leaves []*trillian.LogLeaf
	seen := make(map[string]bool)
	for _, r := range group {
		for _, leaf := range r.leaves {
			if id := string(leaf.LeafIdentityHash); !seen[id] {
				seen[id] = true
				leaves = append(leaves, leaf)
			}
		}
	}
	found, err := l.settle(ctx, leaves)
	for _, r := range group {
		r.indexes = make([]int64, len(r.leaves))
		for i, leaf := range r.leaves {
			index, ok := found[string(leaf.LeafIdentityHash)]
			if !ok || index >= l.size {
				r.indexes, r.err = nil, err
				break
			}
			r.indexes[i] = index
		}
		close(r.done)
	}
}

// settle gets all leaves, each another, integrated, and returns their indexes. With an error it returns those that it knows, integrated or not.
func (l *Log) settle(ctx context.Context, leaves []*trillian.LogLeaf) (map[string]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, l.patience)
	defer cancel()
	p := placing{Log: l, queue: leaves, found: make(map[string]int64, len(leaves))}
	var failed error // what went wrong last
	for pause := soonest; ; pause = min(2*pause, latest) {
		err := p.finish(ctx)
		switch {
		case err == nil:
			return p.found, nil
		case errors.Is(ctx.Err(), context.Canceled):
			return p.found, fmt.Errorf("%w: %w", translog.ErrPending, translog.ErrClosed)
		case ctx.Err() != nil:
			return p.found, fmt.Errorf("%w: not integrated within %v: %w", translog.ErrPending, l.patience, errors.Join(ctx.Err(), failed))
		case !errors.Is(err, translog.ErrUnavailable):
			return p.found, err
		}
		failed = err
		_ = sleep(ctx, pause)
	}
}
