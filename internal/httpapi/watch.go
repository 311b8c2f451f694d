package httpapi

import (
	"context"
	"io"
	"time"

	"strongroom.example/strongroom/internal/auth"
)

// watchTime is how long evidence may go on moving after the right to it has ended.
const watchTime = 10 * time.Second

// watch asks again and again, while evidence moves, whether it still may: such a request can last for hours, and a right that ends must
// end within seconds.
type watch struct {
	now   func() time.Time
	still func() error // the session, and whatever else the request stands on
	asked time.Time
}

// check is called before each piece.
func (w *watch) check() error {
	now := w.now()
	if since := now.Sub(w.asked); since >= 0 && since < watchTime {
		return nil
	}
	w.asked = now
	return w.still()
}

// watchedReader ends with the error of the watch.
type watchedReader struct {
	io.Reader
	watch *watch
}

func (r watchedReader) Read(p []byte) (int, error) {
	if err := r.watch.check(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

// watches makes the watches of requests.
type watches struct {
	auth *auth.Auth
	now  func() time.Time
}

// session watches that the session which a request came with still stands, and what else is given.
func (w watches) session(ctx context.Context, also ...func() error) *watch {
	token := sessionOf(ctx).token
	still := func() error {
		_, err := w.auth.Session(ctx, token)
		for _, f := range also {
			if err == nil {
				err = f()
			}
		}
		return err
	}
	return &watch{w.now, still, sessionOf(ctx).asked}
}
