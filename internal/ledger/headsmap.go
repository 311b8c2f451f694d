package ledger

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/heads"
)

// headsMap is the heads map as of one publication. The records may hold later ones, by other processes: what those added is left out of each
// bucket that is read, and the map, which checks all that it reads, does not let itself be told too little or too much.
type headsMap struct {
	*heads.Map
	records Records

	mu    sync.Mutex // guards later
	later map[evidence.Hash]int64
}

func openHeads(ctx context.Context, records Records) (*headsMap, error) {
	m := &headsMap{records: records, later: make(map[evidence.Hash]int64)}
	var err error
	m.Map, err = heads.Open(ctx, m)
	return m, err
}

// HeadsBuckets implements heads.Store.
func (m *headsMap) HeadsBuckets(ctx context.Context, f func(uint16, heads.Summary) error) error {
	return m.records.HeadsBuckets(ctx, f)
}

// HeadsBucket implements heads.Store.
func (m *headsMap) HeadsBucket(ctx context.Context, prefix uint16) ([]heads.Entry, error) {
	bucket, err := m.records.HeadsBucket(ctx, prefix)
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.DeleteFunc(bucket, func(e heads.Entry) bool {
		_, later := m.later[e.Value]
		return later
	}), err
}

// maxLate bounds what a map catches up with by itself, in leaves. With more to come it is read anew.
const maxLate = 16 * maxCovered

// since reads which events stand in the log beyond what the map covers, and leaves them out of it. It returns how many those are.
func (m *headsMap) since(ctx context.Context, covers int64) (places []Place, left int, err error) {
	for start := covers; start < covers+maxLate; start += maxUncovered {
		page, err := m.records.Places(ctx, start, start+maxUncovered)
		if err != nil {
			return nil, 0, err
		}
		if len(page) == 0 {
			break
		}
		places = append(places, page...)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range places {
		m.later[p.LeafHash] = p.Index
	}
	return places, len(m.later), nil
}

// leftOut is how many events are left out.
func (m *headsMap) leftOut() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.later)
}

// prove is Prove of a map that covers so much of the log.
func (m *headsMap) prove(ctx context.Context, covers int64, key [32]byte) (heads.Proof, error) {
	for {
		before := m.leftOut()
		proof, err := m.Prove(ctx, key)
		if !errors.Is(err, heads.ErrStore) {
			return proof, err
		}
		// Without anything new to leave out it is damaged.
		if _, left, failed := m.since(ctx, covers); failed != nil || left == before {
			return proof, errors.Join(err, failed)
		}
	}
}

// next computes what the map, which covers so much of the log, becomes by a later publication. It makes it anew from the log, and refuses one
// that says something else.
func (m *headsMap) next(ctx context.Context, origin string, covers int64, p publication) (heads.Update, error) {
	for before := -1; ; {
		places, left, err := m.since(ctx, covers)
		if err != nil {
			return heads.Update{}, err
		}
		var entries []heads.Entry
		for _, at := range places {
			if at.Index < p.covers {
				entries = append(entries, heads.Entry{Key: heads.Key(at.Stream.Tag(origin), uint64(at.Seq)), Value: at.LeafHash})
			}
		}
		update, err := m.Insert(ctx, entries)
		switch {
		case errors.Is(err, heads.ErrStore) && left > before: // there was another publication meanwhile
			before = left
			continue
		case err == nil && update.Root != p.root:
			err = &Mismatch{"records", "what was published is not what the log holds"}
		}
		return update, err
	}
}

// become makes the map what next computed, which covers so much of the log. Nobody may prove from it meanwhile.
func (m *headsMap) become(update heads.Update, covers int64) error {
	if err := m.Commit(update); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.DeleteFunc(m.later, func(_ evidence.Hash, index int64) bool { return index < covers })
	return nil
}

// headsState is the state of the stream of publications, empty before the first.
func (l *Ledger) headsState(ctx context.Context) (evidence.HeadsState, error) {
	vault := evidence.VaultOf(l.cfg.Origin)
	states, err := l.cfg.Records.States(ctx, vault)
	if state, ok := states[vault].(*evidence.HeadsState); ok {
		return *state, err
	}
	return evidence.HeadsState{Root: heads.EmptyRoot()}, err
}

// loadHeads reads the map, and the last publication, from the records. Another process may publish meanwhile.
func (l *Ledger) loadHeads(ctx context.Context) error {
	for {
		before, err := l.headsState(ctx)
		if err != nil {
			return err
		}
		m, err := openHeads(ctx, l.cfg.Records)
		if err != nil {
			return fmt.Errorf("heads: %w", err)
		}
		after, err := l.headsState(ctx)
		switch root := m.Root(); {
		case err != nil:
			return err
		case root == before.Root:
			return l.useHeads(ctx, m, before)
		case root == after.Root:
			return l.useHeads(ctx, m, after)
		case before == after:
			return &Mismatch{"records", "the heads map is not the one last published"}
		}
	}
}

// useHeads takes the map of a state of the publications.
func (l *Ledger) useHeads(ctx context.Context, m *headsMap, at evidence.HeadsState) error {
	p := publication{}
	if !at.Last.Leaf.IsZero() {
		e, err := l.cfg.Records.Entry(ctx, at.Last.Leaf)
		if err != nil {
			return err
		}
		if p, err = l.publicationOf(e); err != nil {
			return err
		}
		if p.root != at.Root || p.covers != at.Covers {
			return &Mismatch{"records", "the state of the vault's stream is not what its last event says"}
		}
	}
	l.accepted, l.stale = p, false
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heads = m
	if p.receipt != nil {
		l.publish(p)
	}
	return nil
}
