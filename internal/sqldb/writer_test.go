package sqldb

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
)

// Jobs share a transaction: one that is refused, or breaks, leaves the others whole.
func testSavepoints(t *testing.T, e engine) {
	db := e.create(t)
	set := func(key string, then error) *job {
		return &job{done: make(chan error, 1), do: func(ctx context.Context, tx *tx) error {
			_, err := tx.exec(ctx, `insert into meta (key, value) values ($1, $1)`, key)
			return errors.Join(err, then)
		}}
	}
	jobs := []*job{
		set("a", nil), set("b", evidence.Refuse(evidence.Held, "no")), set("c", nil),
		set("d", errors.New("the engine failed")), set("e", nil), set("a", nil), // a again: a constraint fails
	}
	ok(t, db.submit(ctx, func(context.Context, *tx) error { // keeps the writer away until all wait
		for _, j := range jobs {
			db.writer.queue <- j
		}
		return nil
	}))
	var got string
	for _, j := range jobs {
		got += evidence.ReasonOf(cause(<-j.done)) + " "
	}
	same(t, got, "ok no ok records ok records ")
	for key, want := range map[string]bool{"a": true, "b": false, "c": true, "d": false, "e": true} {
		if v, err := db.Meta(ctx, key); (err == nil) != want || want && v != key {
			t.Errorf("%s: %q, %v", key, v, err)
		}
	}
}

// Events that share a transaction see what those before them in it became, and nothing of those that were refused after they were written.
func testTogether(t *testing.T, e engine) {
	w := newWorld(t, e.create(t))
	s := evidence.ItemOf(evidence.NewID[evidence.ItemID]())
	next := func(upload evidence.UploadID) *job {
		c := ledger.Commit{Signed: w.sign(s), Upload: upload}
		law := rule(c.Signed, newItem(evidence.ItemID(s.ID), "cas-a"))
		judge := func(states map[evidence.Stream]evidence.State) (evidence.State, error) {
			if before := states[s]; nextSeq(before) != c.Signed.Event().Stream.Seq || before != nil && before.Tip().Leaf != c.Signed.Event().Stream.Prev {
				t.Errorf("event %d is judged by another state", c.Signed.Event().Stream.Seq)
			}
			return law(states)
		}
		if upload == "" {
			w.tips[s] = tipOf(c.Signed)
		}
		return &job{done: make(chan error, 1), do: func(ctx context.Context, t *tx) error {
			_, err := t.accept(ctx, c, judge, newEntry(c), c.Signed.PAEDigest())
			return err
		}}
	}
	gone := evidence.NewID[evidence.UploadID]()
	jobs := []*job{next(gone), next(""), next(""), next(gone), next(gone), next("")}
	ok(t, w.db.submit(ctx, func(context.Context, *tx) error { // keeps the writer away until all wait
		for _, j := range jobs {
			w.db.writer.queue <- j
		}
		return nil
	}))
	var got string
	for _, j := range jobs {
		got += evidence.ReasonOf(cause(<-j.done)) + " "
	}
	same(t, got, "upload_gone ok ok upload_gone upload_gone ok ")
	same(t, must[map[evidence.Stream]evidence.State](t)(w.db.States(ctx, s))[s].Tip(), w.tips[s])
	for i, e := range must[[]ledger.Entry](t)(w.db.Events(ctx, 0, 10)) { // no refused job left a gap
		same(t, e.Order, int64(i+1))
	}
}

func cause(err error) error {
	if err == nil {
		return evidence.Refuse("", "ok")
	}
	return err
}

// A caller who gives up before the work began leaves no trace; one who gives up later learns what became of it.
func testCancelled(t *testing.T, e engine) {
	db := e.create(t)
	begun, finish := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	running, cancelRunning := context.WithCancel(ctx)
	var runningErr error
	wg.Go(func() {
		runningErr = db.submit(running, func(ctx context.Context, tx *tx) error {
			close(begun)
			<-finish
			_, err := tx.exec(ctx, `insert into meta (key, value) values ($1, $1)`, "running")
			return err
		})
	})
	<-begun
	waiting, cancelWaiting := context.WithCancel(ctx)
	cancelRunning()
	cancelWaiting()
	err := db.SetMeta(waiting, "waiting", "x")
	refused(t, err, evidence.Internal, "cancelled")
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cause is %v", err)
	}
	close(finish)
	wg.Wait()
	ok(t, runningErr)
	same(t, must[string](t)(db.Meta(ctx, "running")), "running")
	_, err = db.Meta(ctx, "waiting")
	refused(t, err, evidence.NotFound, "meta")
	_, err = db.Meta(waiting, "running")
	refused(t, err, evidence.Internal, "cancelled")
}

func testClosed(t *testing.T, e engine) {
	db := e.create(t)
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			for n := 0; ; n++ {
				if err := db.SetMeta(ctx, fmt.Sprint(i), fmt.Sprint(n)); err != nil {
					refused(t, err, evidence.Internal, "records_closed")
					return
				}
			}
		})
	}
	time.Sleep(20 * time.Millisecond)
	ok(t, db.Close())
	wg.Wait() // nobody waits for ever
}
