package campaign

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// network is a bad line between people and the vault.
type network struct {
	mu   sync.Mutex
	dice *rand.Rand
}

var errCut = errors.New("the connection broke")

func (n *network) draw(sides int) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.dice.IntN(sides)
}

// roundTrip cuts every fifth exchange at some place: before anything is sent, in the middle of the request, while the vault is still at
// work, or in the answer.
func (n *network) roundTrip(req *http.Request, way http.RoundTripper) (*http.Response, error) {
	switch n.draw(20) {
	case 0:
		return nil, errCut
	case 1:
		if req.Body == nil || req.Body == http.NoBody {
			return nil, errCut
		}
		cut := req.Clone(req.Context())
		cut.Body = io.NopCloser(&tornReader{req.Body, n.draw(1 << 16)})
		resp, err := way.RoundTrip(cut)
		if err == nil { // it answered before it had all of it
			resp.Body.Close()
		}
		return nil, errCut
	case 2: // the person's end is gone; the vault goes on, and whoever asks again meets it at work
		sent := req.Clone(context.WithoutCancel(req.Context()))
		if req.Body != nil && req.GetBody != nil {
			body, err := req.GetBody()
			if err != nil {
				return nil, err
			}
			sent.Body = body
		}
		if req.Method == http.MethodPatch {
			return nil, errCut // its body is read from a file that will be closed
		}
		go func() {
			if resp, err := way.RoundTrip(sent); err == nil {
				resp.Body.Close()
			}
		}()
		time.Sleep(time.Duration(n.draw(30)) * time.Millisecond)
		return nil, errCut
	case 3:
		resp, err := way.RoundTrip(req)
		if err == nil {
			resp.Body = struct {
				io.Reader
				io.Closer
			}{&tornReader{resp.Body, n.draw(4096)}, resp.Body}
		}
		return resp, err
	}
	return way.RoundTrip(req)
}
