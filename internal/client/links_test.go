package client

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/evidence"
)

// link is the way to the vault over TCP, through a proxy that does to each connection what fate says.
type link struct {
	t     *testing.T
	to    string
	at    net.Listener
	fate  func(n int) fate // of connection n, from 1
	count atomic.Int32
	cuts  atomic.Int32
}

// fate is what becomes of one connection.
type fate struct {
	up   int64         // bytes that get through to the vault before it is cut, 0 for all
	rate int64         // bytes a second in each direction, 0 for as many as there are
	late time.Duration // of every piece
}

func newLink(t *testing.T, w *world, f func(n int) fate) *link {
	t.Helper()
	l := &link{t: t, to: strings.TrimPrefix(w.server.URL, "http://"), at: must(net.Listen("tcp", "127.0.0.1:0"))(t), fate: f}
	t.Cleanup(func() { l.at.Close() })
	go func() {
		for {
			conn, err := l.at.Accept()
			if err != nil {
				return
			}
			go l.carry(conn, l.fate(int(l.count.Add(1))))
		}
	}()
	return l
}

func (l *link) carry(client net.Conn, f fate) {
	defer client.Close()
	vault, err := net.Dial("tcp", l.to)
	if err != nil {
		return
	}
	defer vault.Close()
	go func() {
		l.pass(client, vault, f, 0)
		client.Close()
	}()
	if l.pass(vault, client, f, f.up) {
		l.cuts.Add(1)
		// Whatever was on its way gets lost with it.
		vault.(*net.TCPConn).SetLinger(0)
		client.(*net.TCPConn).SetLinger(0)
	}
}

// pass copies until limit bytes have passed, and reports whether that ended it.
func (l *link) pass(dst io.Writer, src io.Reader, f fate, limit int64) bool {
	piece := make([]byte, 32<<10)
	for passed := int64(0); ; {
		n, err := src.Read(piece)
		if limit > 0 && passed+int64(n) >= limit {
			dst.Write(piece[:limit-passed])
			return true
		}
		passed += int64(n)
		if f.rate > 0 {
			time.Sleep(time.Duration(n) * time.Second / time.Duration(f.rate))
		}
		time.Sleep(f.late)
		if _, failed := dst.Write(piece[:n]); err != nil || failed != nil {
			return false
		}
	}
}

func (l *link) transport() *http.Transport {
	return &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, l.at.Addr().String())
	}}
}

func TestBadLinks(t *testing.T) {
	w := newWorld(t)
	in := w.openCase()
	consent := w.consent(in)
	original := random(12 << 20)
	for name, c := range map[string]struct {
		size int
		fate func(n int) fate
		cuts int32
	}{
		// Some get through whole, or nothing but small requests ever would.
		"cut at random offsets": {12 << 20, func(n int) fate {
			return fate{up: rand.New(rand.NewPCG(7, uint64(n))).Int64N(3<<20) + 1}
		}, 5},
		"each connection carries half of the one before": {12 << 20, func(n int) fate { return fate{up: max(int64(8<<20)>>n, 512<<10)} }, 5},
		"slow, and every piece late":                     {600 << 10, func(int) fate { return fate{rate: 300 << 10, late: 10 * time.Millisecond} }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLink(t, w, c.fate)
			id, receipt, err := w.client(w.clinician, l.transport()).Deposit(t.Context(), w.photo(in, consent, bytes.NewReader(original[:c.size])))
			check(t, err)
			if receipt == nil || l.cuts.Load() < c.cuts {
				t.Errorf("%d cuts, want %d or more", l.cuts.Load(), c.cuts)
			}
			w.same(id, original[:c.size])
		})
	}
}

// meddler changes requests and answers between a client and the vault.
type meddler func(req *http.Request, next http.RoundTripper) (*http.Response, error)

func (m meddler) RoundTrip(req *http.Request) (*http.Response, error) {
	return m(req, http.DefaultTransport)
}

func TestMeddlingMiddle(t *testing.T) {
	w := newWorld(t)
	in := w.openCase()
	consent := w.consent(in)
	original := random(6 << 20)
	deposit := func(t *testing.T, m meddler) evidence.ItemID {
		t.Helper()
		id, receipt, err := w.client(w.clinician, m).Deposit(t.Context(), w.photo(in, consent, bytes.NewReader(original)))
		check(t, err)
		if receipt == nil {
			t.Error("no receipt")
		}
		return id
	}
	t.Run("every request twice", func(t *testing.T) {
		w.same(deposit(t, func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
			if req.GetBody != nil && !strings.HasPrefix(req.URL.Path, "/v1/sign-in") { // a challenge is answered once
				again := req.Clone(req.Context())
				again.Body = must(req.GetBody())(t)
				if resp, err := next.RoundTrip(again); err == nil {
					io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
			}
			return next.RoundTrip(req)
		}), original)
	})
	t.Run("a small file whose answers are lost", func(t *testing.T) {
		small := random(1000)
		var lost, creations atomic.Int32
		id, _, err := w.client(w.clinician, meddler(func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
			resp, err := next.RoundTrip(req)
			if err == nil && req.Method == http.MethodPost && req.URL.Path == uploadsPath {
				creations.Add(1)
			}
			if err == nil && (req.URL.Path == uploadsPath || isPatch(req) || isEvent(req)) && lost.Add(1)%2 == 1 {
				resp.Body.Close()
				return nil, errors.New("lost")
			}
			return resp, err
		})).Deposit(t.Context(), w.photo(in, consent, bytes.NewReader(small)))
		check(t, err)
		if creations.Load() != 2 {
			t.Errorf("%d uploads were begun", creations.Load())
		}
		w.same(id, small)
	})
	t.Run("a small file whose answer says too much", func(t *testing.T) {
		_, _, err := w.client(w.clinician, meddler(func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
			resp, err := next.RoundTrip(req)
			if err == nil && req.Method == http.MethodPost && req.URL.Path == uploadsPath {
				resp.Header.Set("Upload-Offset", "1000000000")
			}
			return resp, err
		})).Deposit(t.Context(), w.photo(in, consent, strings.NewReader("small")))
		wantLie(t, err, Malformed)
		check(t, must(w.clinician.ResumeDeposits(t.Context(), nil))(t)[0].Err)
	})
	t.Run("one answer in five is lost", func(t *testing.T) {
		var n atomic.Int32
		w.same(deposit(t, func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
			resp, err := next.RoundTrip(req)
			if err == nil && n.Add(1)%5 == 1 {
				resp.Body.Close()
				return nil, errors.New("lost")
			}
			return resp, err
		}), original)
	})
	t.Run("a byte changes on the way", func(t *testing.T) {
		var changed atomic.Int32
		var sent []string
		id := deposit(t, func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
			if req.Method == http.MethodPost && req.URL.Path == uploadsPath {
				sent = append(sent, req.Header.Get("Upload-Length"))
			}
			if isPatch(req) && changed.Add(1) == 1 {
				body := must(io.ReadAll(req.Body))(t)
				body[2<<20] ^= 1
				req.Body = io.NopCloser(bytes.NewReader(body))
			}
			return next.RoundTrip(req)
		})
		if len(sent) != 2 || sent[0] != sent[1] {
			t.Errorf("uploads of these lengths: %v", sent)
		}
		w.same(id, original)
	})
}

// What the vault says of an upload is compared with what was sent.
func TestOffsetLies(t *testing.T) {
	w := newWorld(t)
	in := w.openCase()
	consent := w.consent(in)
	original := random(partSize + 1<<20)
	says := func(resp *http.Response, offset int64) *http.Response {
		resp.Header.Set("Upload-Offset", strconv.FormatInt(offset, 10))
		return resp
	}
	// cut lets the second part reach the vault half, so that the client asks where it stands.
	cut := func(req *http.Request, next http.RoundTripper, after int64) (*http.Response, error) {
		half := req.Clone(req.Context())
		half.Body = io.NopCloser(io.MultiReader(io.LimitReader(req.Body, after), broken{}))
		next.RoundTrip(half)
		return nil, errors.New("cut")
	}
	for name, c := range map[string]struct {
		lie    Lie
		reason string
		m      meddler
	}{
		"more arrived than was sent": {FalseOffset, "", func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
			resp, err := next.RoundTrip(req)
			if err == nil && isPatch(req) {
				resp = says(resp, partSize+1)
			}
			return resp, err
		}},
		"nothing arrived": {FalseOffset, "", func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
			resp, err := next.RoundTrip(req)
			if err == nil && isPatch(req) {
				resp = says(resp, 0)
			}
			return resp, err
		}},
		"beyond the end": {Malformed, "", func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
			resp, err := next.RoundTrip(req)
			if err == nil && isPatch(req) {
				resp = says(resp, 1<<40)
			}
			return resp, err
		}},
		"what was acknowledged is gone": {FalseOffset, "", func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
			if isPatch(req) && req.Header.Get("Upload-Offset") != "0" {
				return cut(req, next, 1<<10)
			}
			resp, err := next.RoundTrip(req)
			if err == nil && req.Method == http.MethodHead {
				resp = says(resp, partSize-1)
			}
			return resp, err
		}},
		"what was never sent is there": {"", reasonBusy, func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
			if isPatch(req) {
				return cut(req, next, 1<<10)
			}
			resp, err := next.RoundTrip(req)
			if err == nil && req.Method == http.MethodHead {
				resp = says(resp, partSize+1)
			}
			return resp, err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			c0 := w.client(w.clinician, c.m)
			_, _, err := c0.Deposit(t.Context(), w.photo(in, consent, bytes.NewReader(original)))
			if c.reason != "" {
				wantReason(t, err, c.reason)
			} else {
				wantLie(t, err, c.lie)
			}
			// The honest vault takes it afterwards, as it was sealed.
			done := must(w.clinician.ResumeDeposits(t.Context(), nil))(t)
			if len(done) != 1 || done[0].Err != nil {
				t.Fatalf("%+v", done)
			}
			w.same(done[0].Item, original)
		})
	}
}
