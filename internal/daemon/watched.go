package daemon

import (
	"context"
	"errors"
	"io"
	"time"

	"strongroom.example/strongroom/internal/objects"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/trail"
)

// watchedTree tells whoever watches a call what is asked of the log, whichever it is.
type watchedTree struct{ tree }

// failed is a fault of a part, or nil: nobody having waited for the answer is none.
func failed(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func (w watchedTree) Append(ctx context.Context, leaves []tlog.TreeLeaf) (indexes []int64, err error) {
	ctx, end := trail.Begin(ctx, trail.Log, "append")
	defer func() { end(failed(err)) }()
	return w.tree.Append(ctx, leaves)
}

func (w watchedTree) Root(ctx context.Context) (root tlog.Root, err error) {
	ctx, end := trail.Begin(ctx, trail.Log, "root")
	defer func() { end(failed(err)) }()
	return w.tree.Root(ctx)
}

func (w watchedTree) Inclusion(ctx context.Context, index, size int64) (proof [][]byte, err error) {
	ctx, end := trail.Begin(ctx, trail.Log, "inclusion")
	defer func() { end(failed(err)) }()
	return w.tree.Inclusion(ctx, index, size)
}

func (w watchedTree) Consistency(ctx context.Context, from, to int64) (proof [][]byte, err error) {
	ctx, end := trail.Begin(ctx, trail.Log, "consistency")
	defer func() { end(failed(err)) }()
	return w.tree.Consistency(ctx, from, to)
}

func (w watchedTree) Leaves(ctx context.Context, start, count int64) (leaves []tlog.TreeLeaf, err error) {
	ctx, end := trail.Begin(ctx, trail.Log, "leaves")
	defer func() { end(failed(err)) }()
	return w.tree.Leaves(ctx, start, count)
}

// watchedObjects does the same for the object store. What it does not name passes unwatched.
type watchedObjects struct{ objects.Store }

// faulty is a fault of the store, or nil for what it refused.
func faulty(err error) error {
	for _, refusal := range []error{objects.ErrNotFound, objects.ErrExists, objects.ErrOffset, objects.ErrDigest, objects.ErrLocked, objects.ErrInvalid} {
		if errors.Is(err, refusal) {
			return nil
		}
	}
	return failed(err)
}

func (w watchedObjects) StageCreate(ctx context.Context, id string, size int64) (err error) {
	ctx, end := trail.Begin(ctx, trail.Objects, "stageCreate")
	defer func() { end(faulty(err)) }()
	return w.Store.StageCreate(ctx, id, size)
}

func (w watchedObjects) StageAppend(ctx context.Context, id string, offset int64, r io.Reader) (n int64, err error) {
	ctx, end := trail.Begin(ctx, trail.Objects, "stageAppend")
	body := &body{Reader: r}
	defer func() {
		if body.broken {
			end(nil) // the sender's, not the store's
		} else {
			end(faulty(err))
		}
	}()
	return w.Store.StageAppend(ctx, id, offset, body)
}

// body remembers whether it could be read to its end.
type body struct {
	io.Reader
	broken bool
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	b.broken = err != nil && err != io.EOF
	return n, err
}

func (w watchedObjects) StageInfo(ctx context.Context, id string) (info objects.StageInfo, err error) {
	ctx, end := trail.Begin(ctx, trail.Objects, "stageInfo")
	defer func() { end(faulty(err)) }()
	return w.Store.StageInfo(ctx, id)
}

func (w watchedObjects) StageOpen(ctx context.Context, id string) (r io.ReadCloser, err error) {
	ctx, end := trail.Begin(ctx, trail.Objects, "stageOpen")
	defer func() { end(faulty(err)) }()
	return w.Store.StageOpen(ctx, id)
}

func (w watchedObjects) StageSums(ctx context.Context, id string) (sums objects.Sums, err error) {
	ctx, end := trail.Begin(ctx, trail.Objects, "stageSums")
	defer func() { end(faulty(err)) }()
	return w.Store.StageSums(ctx, id)
}

func (w watchedObjects) StageCommit(ctx context.Context, id string, want objects.Digest) (info objects.Info, err error) {
	ctx, end := trail.Begin(ctx, trail.Objects, "stageCommit")
	defer func() { end(faulty(err)) }()
	return w.Store.StageCommit(ctx, id, want)
}

func (w watchedObjects) StageRemove(ctx context.Context, id string) (err error) {
	ctx, end := trail.Begin(ctx, trail.Objects, "stageRemove")
	defer func() { end(faulty(err)) }()
	return w.Store.StageRemove(ctx, id)
}

func (w watchedObjects) StageList(ctx context.Context, f func(id string, modified time.Time) error) (err error) {
	ctx, end := trail.Begin(ctx, trail.Objects, "stageList")
	refused := false
	defer func() {
		if refused {
			end(nil)
		} else {
			end(faulty(err))
		}
	}()
	return w.Store.StageList(ctx, func(id string, modified time.Time) error {
		err := f(id, modified)
		refused = err != nil
		return err
	})
}

func (w watchedObjects) Open(ctx context.Context, d objects.Digest) (o objects.Object, err error) {
	inner, end := trail.Begin(ctx, trail.Objects, "open")
	defer func() { end(faulty(err)) }()
	return w.Store.Open(inner, d)
}

func (w watchedObjects) Stat(ctx context.Context, d objects.Digest) (info objects.Info, lock objects.Lock, err error) {
	ctx, end := trail.Begin(ctx, trail.Objects, "stat")
	defer func() { end(faulty(err)) }()
	return w.Store.Stat(ctx, d)
}

func (w watchedObjects) List(ctx context.Context, after objects.Digest, limit int) (list []objects.Info, err error) {
	ctx, end := trail.Begin(ctx, trail.Objects, "list")
	defer func() { end(faulty(err)) }()
	return w.Store.List(ctx, after, limit)
}

func (w watchedObjects) Verify(ctx context.Context, d objects.Digest) (sums objects.Sums, err error) {
	ctx, end := trail.Begin(ctx, trail.Objects, "verify")
	defer func() { end(faulty(err)) }()
	return w.Store.Verify(ctx, d)
}

func (w watchedObjects) Retain(ctx context.Context, d objects.Digest, until time.Time) (err error) {
	ctx, end := trail.Begin(ctx, trail.Objects, "retain")
	defer func() { end(faulty(err)) }()
	return w.Store.Retain(ctx, d, until)
}

func (w watchedObjects) Hold(ctx context.Context, d objects.Digest, on bool) (err error) {
	ctx, end := trail.Begin(ctx, trail.Objects, "hold")
	defer func() { end(faulty(err)) }()
	return w.Store.Hold(ctx, d, on)
}

func (w watchedObjects) Address(ctx context.Context, d objects.Digest, from, to int64, life time.Duration) (a objects.Address, err error) {
	ctx, end := trail.Begin(ctx, trail.Objects, "address")
	defer func() { end(faulty(err)) }()
	return w.Store.Address(ctx, d, from, to, life)
}
