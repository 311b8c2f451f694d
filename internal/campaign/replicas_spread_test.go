package campaign

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// spread is the way to several replicas: each request goes to another one, as behind a balancer that knows nothing of people. A replica that
// cannot be connected to is passed over.
type spread struct {
	history  *history
	places   []*atomic.Pointer[place]
	ways     []*http.Transport
	watchers atomic.Int32

	mu      sync.Mutex // guards what follows
	dice    *rand.Rand
	uploads map[string][]int // which replicas answered for each, one after the other
	answers []int            // of each replica
}

const (
	connectTime = 3 * time.Second
	answerTime  = 30 * time.Second // after that a request is lost, as in a replica that is stopped
)

func newSpread(seed uint64, h *history, places ...*atomic.Pointer[place]) *spread {
	s := &spread{history: h, places: places, dice: rand.New(rand.NewPCG(seed, 500)), uploads: make(map[string][]int), answers: make([]int, len(places))}
	for i := range places {
		s.ways = append(s.ways, &http.Transport{DialContext: s.dial(i), ResponseHeaderTimeout: answerTime, MaxIdleConnsPerHost: 16})
	}
	return s
}

// watched is the way of one person, on which everything is written down.
func (s *spread) watched(p *person) http.RoundTripper {
	return &historian{history: s.history, person: p, client: int(s.watchers.Add(1)), way: s}
}

// notConnected is that nothing was sent.
type notConnected struct{ error }

func (s *spread) dial(i int) func(ctx context.Context, network, _ string) (net.Conn, error) {
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, connectTime)
		defer cancel()
		conn, err := s.places[i].Load().dial(ctx, network)
		if err != nil {
			return nil, notConnected{err}
		}
		return conn, nil
	}
}

// first is the replica that is tried first: any, but for an upload another one than last time.
func (s *spread) first(req *http.Request) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if by := s.uploads[req.URL.Path]; len(by) > 0 {
		return (by[len(by)-1] + 1) % len(s.ways)
	}
	return s.dice.IntN(len(s.ways))
}

func (s *spread) RoundTrip(req *http.Request) (*http.Response, error) {
	first := s.first(req)
	for n := range s.ways {
		i := (first + n) % len(s.ways)
		again := req.Clone(req.Context()) // a transport closes the body in any case
		if req.GetBody != nil {
			body, err := req.GetBody()
			if err != nil {
				return nil, err
			}
			again.Body = body
		}
		resp, err := s.ways[i].RoundTrip(again)
		if err != nil && errors.As(err, new(notConnected)) && req.Context().Err() == nil {
			continue
		}
		if err == nil {
			s.count(i, req, resp)
		}
		return resp, err
	}
	return nil, errDown
}

func (s *spread) count(i int, req *http.Request, resp *http.Response) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[i]++
	at := req.URL.Path
	if req.Method == http.MethodPost {
		at = resp.Header.Get("Location")
	}
	if strings.HasPrefix(at, "/v1/uploads/") && resp.StatusCode < 300 {
		s.uploads[at] = append(s.uploads[at], i)
	}
}

// carriedOn counts uploads that more than one replica had a part in.
func (s *spread) carriedOn() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, by := range s.uploads {
		if len(slices.Compact(slices.Sorted(slices.Values(by)))) > 1 {
			n++
		}
	}
	return n
}

// drop closes the connections that nobody uses, which otherwise end in a replica that is gone.
func (s *spread) drop() {
	for _, way := range s.ways {
		way.CloseIdleConnections()
	}
}
