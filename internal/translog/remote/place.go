package remote

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/trillian"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"strongroom.example/strongroom/internal/translog"
)

// ErrServer means that the server answers in a way that is not known here: it is of another version. Nothing was written.
var ErrServer = errors.New("remote: log server of an unknown kind")

// A server answers for each leaf that it does not store why: Trillian's words, with the code FAILED_PRECONDITION.
const (
	held  = "conflicting LeafIdentityHash" // the log holds a leaf of this identity
	taken = "conflicting LeafIndex"        // it does not, and another leaf has the index
)

// soonest and latest bound the pause between two looks for a root.
const (
	soonest = 5 * time.Millisecond
	latest  = time.Second
)

// placing is what is left of a group.
type placing struct {
	*Log
	queue []*trillian.LogLeaf // without a place that is known
	found map[string]int64    // by identity, the indexes of those that have one, integrated or not
}

// finish goes round until all leaves are integrated.
func (p *placing) finish(ctx context.Context) error {
	began := time.Now()
	for {
		if err := p.look(ctx); err != nil {
			return err
		}
		if len(p.queue) == 0 {
			last := int64(-1)
			for _, index := range p.found {
				last = max(last, index)
			}
			return p.await(ctx, last+1)
		}
		before := len(p.found)
		until, err := p.round(ctx)
		if err != nil {
			return err
		}
		if err := p.await(ctx, until); err != nil {
			return err
		}
		if until == 0 && len(p.found) == before { // only others can help
			if err := sleep(ctx, pace(began)); err != nil {
				return err
			}
		}
	}
}

// round takes a batch from the queue, places what is new from the newest root on, and looks the rest up. It returns the size that the tree is
// certain to reach, if it is larger: the next round goes on from there.
func (p *placing) round(ctx context.Context) (until int64, err error) {
	batch := p.batch()
	rest := p.queue[len(batch):]
	fresh, stored, err := p.sift(ctx, batch)
	if err != nil {
		return 0, err
	}
	if len(fresh) > 0 && batch[0] != fresh[0] {
		// Another writer has begun with the same leaves. What it does not have is to follow them, from a root that has them on.
		later, err := p.locate(ctx, stored)
		if err != nil {
			return 0, err
		}
		if growing, err := p.growing(ctx, stored, later); growing || err != nil {
			return 0, err
		}
		stored = later
	}
	base := p.size
	var again []*trillian.LogLeaf
	if len(fresh) > 0 {
		results, err := p.add(ctx, base, fresh)
		if err != nil {
			return 0, err
		}
		filled := int64(0) // indexes from base on that are certain not to be free
		for i, leaf := range fresh {
			switch results[i] {
			case "":
				p.found[string(leaf.LeafIdentityHash)] = base + int64(i)
			case taken:
				again = append(again, leaf)
			case held: // another writer was faster
				stored = append(stored, leaf)
			}
			if results[i] != held && filled == int64(i) {
				filled++
			}
		}
		if filled > 0 {
			until = base + filled
		}
	}
	later, err := p.locate(ctx, stored)
	if err != nil {
		return 0, err
	}
	if growing, err := p.growing(ctx, stored, later); growing || err != nil {
		return until, err
	}
	p.queue = slices.Concat(again, rest, later)
	return until, nil
}

// growing reports whether leaves that the log holds, some of them without a known place, are beyond the root that this round began with, and it
// is certain that there will be a larger one. Then the queue keeps the order that was given.
func (p *placing) growing(ctx context.Context, stored, later []*trillian.LogLeaf) (bool, error) {
	growing := slices.ContainsFunc(stored, func(leaf *trillian.LogLeaf) bool {
		index, ok := p.found[string(leaf.LeafIdentityHash)]
		return ok && index >= p.size
	})
	if !growing && len(later) > 0 {
		var err error
		if growing, err = p.nextTaken(ctx); err != nil {
			return false, err
		}
	}
	if growing {
		p.queue = slices.DeleteFunc(slices.Clone(p.queue), func(leaf *trillian.LogLeaf) bool {
			_, ok := p.found[string(leaf.LeafIdentityHash)]
			return ok
		})
	}
	return growing, nil
}

// locate looks up leaves that the log holds, and returns those that it did not find: one at least is not integrated yet, and is the last.
func (p *placing) locate(ctx context.Context, stored []*trillian.LogLeaf) (later []*trillian.LogLeaf, err error) {
	for together := true; len(stored) > 0; {
		index, err := p.indexOf(ctx, stored[0])
		switch {
		case status.Code(err) == codes.NotFound:
			return slices.Concat(stored[1:], stored[:1]), nil
		case err != nil:
			return nil, err
		}
		p.found[string(stored[0].LeafIdentityHash)] = index
		if stored = stored[1:]; together && len(stored) > 0 { // what was placed together lies together
			before := len(stored)
			if stored, err = p.locateAt(ctx, index+1, stored); err != nil {
				return nil, err
			}
			together = len(stored) < before
		}
	}
	return nil, nil
}

// locateAt looks for the leaves from an index on, reads as many as they are, and returns those that are not among them.
func (p *placing) locateAt(ctx context.Context, start int64, stored []*trillian.LogLeaf) ([]*trillian.LogLeaf, error) {
	leaves, err := p.Leaves(ctx, start, int64(len(stored)))
	if err != nil {
		return nil, err
	}
	at := make(map[string]int64, len(leaves))
	for i, leaf := range leaves {
		identity := sha256.Sum256(leaf.Value)
		at[string(identity[:])] = start + int64(i)
	}
	return slices.DeleteFunc(slices.Clone(stored), func(leaf *trillian.LogLeaf) bool {
		index, ok := at[string(leaf.LeafIdentityHash)]
		if ok {
			p.found[string(leaf.LeafIdentityHash)] = index
		}
		return ok
	}), nil
}

// batch is what the next round takes: no more leaves than are in the tree besides one, so that sift can ask about them.
func (p *placing) batch() []*trillian.LogLeaf {
	n, size := 0, 0
	for n < len(p.queue) && n < batchLeaves && int64(n) < max(1, p.size-1) {
		if size += bytesOf(p.queue[n]); n > 0 && size > batchBytes {
			break
		}
		n++
	}
	return p.queue[:n]
}

// sift divides a batch into what is new and what the log holds. It offers the leaves for indexes that are taken for certain: nothing is
// written, and the answer says of each whether it is known. The oldest leaf goes along, to see that a server would say so.
//
// A single leaf need not be asked about: placed alone it leaves no index free.
func (l *Log) sift(ctx context.Context, batch []*trillian.LogLeaf) (fresh, stored []*trillian.LogLeaf, err error) {
	if len(batch) == 1 {
		return batch, nil, nil
	}
	if l.oldest == nil {
		leaves, err := l.Leaves(ctx, 0, 1)
		if err != nil {
			return nil, nil, err
		}
		if l.oldest, err = translog.NewLeaf(leaves[0]); err != nil {
			return nil, nil, err
		}
	}
	asked := []*trillian.LogLeaf{l.oldest}
	for _, leaf := range batch {
		if bytes.Equal(leaf.LeafIdentityHash, l.oldest.LeafIdentityHash) { // once in a call
			stored = append(stored, leaf)
		} else {
			asked = append(asked, leaf)
		}
	}
	results, err := l.add(ctx, 0, asked)
	if err != nil {
		return nil, nil, err
	}
	if results[0] != held {
		return nil, nil, fmt.Errorf("%w: it does not know its own leaf", ErrServer)
	}
	for i, leaf := range asked[1:] {
		switch results[i+1] {
		case held:
			stored = append(stored, leaf)
		case taken:
			fresh = append(fresh, leaf)
		default:
			return nil, nil, fmt.Errorf("%w: below its root an index was free", translog.ErrCorrupt)
		}
	}
	return fresh, stored, nil
}

// add offers leaves for the indexes from base on, and returns for each "", held or taken. It is one transaction of the server's.
func (l *Log) add(ctx context.Context, base int64, leaves []*trillian.LogLeaf) ([]string, error) {
	for i, leaf := range leaves {
		leaf.LeafIndex = base + int64(i)
	}
	resp, err := l.log.AddSequencedLeaves(ctx, &trillian.AddSequencedLeavesRequest{LogId: l.id, Leaves: leaves})
	if err != nil {
		return nil, fmt.Errorf("remote: add leaves: %w", err)
	}
	if len(resp.GetResults()) != len(leaves) {
		return nil, fmt.Errorf("%w: it does not answer for each leaf", ErrServer)
	}
	results := make([]string, len(leaves))
	for i, result := range resp.Results {
		s := result.GetStatus()
		switch {
		case s.GetCode() == int32(codes.OK):
		case s.GetCode() == int32(codes.FailedPrecondition) && (s.Message == held || s.Message == taken):
			results[i] = s.Message
		default:
			return nil, fmt.Errorf("%w: it refuses a leaf with code %d", ErrServer, s.GetCode())
		}
	}
	return results, nil
}

// nextTaken reports whether the index is taken at which the newest root ends: then there will be a larger root, whatever anybody does. An empty
// tree gets its first leaf alone.
func (l *Log) nextTaken(ctx context.Context) (bool, error) {
	if l.size == 0 {
		return true, nil
	}
	resp, err := l.log.GetLeavesByRange(ctx, &trillian.GetLeavesByRangeRequest{LogId: l.id, StartIndex: l.size - 1, Count: 2})
	if err != nil {
		return false, fmt.Errorf("remote: next leaf: %w", err)
	}
	return len(resp.GetLeaves()) > 1, nil
}

// indexOf looks a leaf up by its Merkle leaf hash, so what is found has the same bytes.
func (l *Log) indexOf(ctx context.Context, leaf *trillian.LogLeaf) (int64, error) {
	if l.size == 0 {
		return 0, status.Error(codes.NotFound, "empty tree")
	}
	resp, err := l.log.GetInclusionProofByHash(ctx, &trillian.GetInclusionProofByHashRequest{LogId: l.id, LeafHash: leaf.MerkleLeafHash, TreeSize: l.size})
	if err != nil {
		return 0, err
	}
	if len(resp.GetProof()) != 1 || resp.Proof[0].LeafIndex < 0 || resp.Proof[0].LeafIndex >= l.size {
		return 0, fmt.Errorf("%w: a leaf is there more than once", translog.ErrCorrupt)
	}
	return resp.Proof[0].LeafIndex, nil
}

// look learns the newest root's size.
func (l *Log) look(ctx context.Context) error {
	root, err := l.Root(ctx)
	switch {
	case err != nil:
		return err
	case root.Size < l.size:
		return fmt.Errorf("%w: it is smaller than it was", translog.ErrCorrupt)
	}
	l.size = root.Size
	return nil
}

// pace is the pause before the next look: the longer it has taken, the longer.
func pace(began time.Time) time.Duration { return min(max(soonest, time.Since(began)/4), latest) }

// await waits for a root of that size.
func (l *Log) await(ctx context.Context, size int64) error {
	for began := time.Now(); l.size < size; {
		if err := sleep(ctx, pace(began)); err != nil {
			return err
		}
		if err := l.look(ctx); err != nil {
			return err
		}
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
