package client

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"strongroom.example/strongroom/internal/evidence"
)

// busy lets something happen in the vault between the fetching of streams and the proof of how long they are.
type busy struct {
	left int
	act  func()
}

func (b *busy) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Path == "/v1/complete" && b.left > 0 {
		b.left--
		b.act()
	}
	return http.DefaultTransport.RoundTrip(req)
}

// A stream that has grown each time it is looked at is no lie.
func TestBusyStream(t *testing.T) {
	w := newWorld(t)
	in := w.openCase()
	item := w.deposit(w.clinician, in, w.consent(in), strings.NewReader("x"))
	b := &busy{left: 7, act: func() {
		_, err := w.second.Open(t.Context(), Open{Item: item, Purpose: evidence.ForCare}, io.Discard)
		check(t, err)
		must(w.second.Look(t.Context(), evidence.ItemOf(item)))(t)
	}}
	v := must(w.client(w.custodian, b).Look(t.Context(), evidence.ItemOf(item)))(t)
	if n := v.Len(evidence.ItemOf(item)); n != 8 || b.left > 0 {
		t.Errorf("%d events, and %d times less than wanted", n, b.left)
	}
}
