package ledger

import (
	"context"
	"sync"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/trail"
)

// trails are those of requests whose events are on their way into the log, by leaf hash: what a wave does is told as what the first of them
// in it caused. A request whose event another process includes is told of its own waiting alone.
type trails struct{ byLeaf sync.Map }

// follow remembers who brings an event, until forget.
func (t *trails) follow(ctx context.Context, leaf evidence.Hash) {
	if own := trail.Of(ctx); own.Span != nil {
		t.byLeaf.Store(leaf, own)
	}
}

func (t *trails) forget(leaf evidence.Hash) { t.byLeaf.Delete(leaf) }

// of returns the context in which a wave goes into the log.
func (t *trails) of(ctx context.Context, wave []Entry) context.Context {
	for _, e := range wave {
		if own, ok := t.byLeaf.Load(e.LeafHash); ok {
			return trail.With(ctx, own.(trail.Trail))
		}
	}
	return ctx
}
