package main

import (
	"context"
	"crypto/rand"
	"os"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"
)

// tesseraLog is the peer of P4: a log in files of the same disk, which publishes checkpoints as often as it can and has each client wait
// for the first that covers its entry.
type tesseraLog struct {
	appender *tessera.Appender
	awaiter  *tessera.PublicationAwaiter
	shutdown func(context.Context) error
	cancel   context.CancelFunc
}

func newTessera(ctx context.Context, dir string) *tesseraLog {
	check(os.MkdirAll(dir, 0o700))
	key, _, err := note.GenerateKey(rand.Reader, origin)
	check(err)
	ctx, cancel := context.WithCancel(ctx)
	driver := must(posix.New(ctx, posix.Config{Path: dir}))
	appender, shutdown, reader, err := tessera.NewAppender(ctx, driver, tessera.NewAppendOptions().
		WithCheckpointSigner(must(note.NewSigner(key))).
		WithBatching(256, 5*time.Millisecond).
		WithCheckpointInterval(100*time.Millisecond))
	check(err)
	return &tesseraLog{appender, tessera.NewPublicationAwaiter(ctx, reader.ReadCheckpoint, 5*time.Millisecond), shutdown, cancel}
}

func (l *tesseraLog) add(ctx context.Context, leaf []byte) error {
	_, _, err := l.awaiter.Await(ctx, l.appender.Add(ctx, tessera.NewEntry(leaf)))
	return err
}

func (l *tesseraLog) stop(ctx context.Context) {
	check(l.shutdown(ctx))
	l.cancel()
}
