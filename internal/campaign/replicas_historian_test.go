package campaign

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"

	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/wire"
)

// historian is on one person's way to the replicas, and writes down what was asked of streams and answered.
type historian struct {
	*history
	person *person
	client int
	way    http.RoundTripper
}

func (h *historian) RoundTrip(req *http.Request) (*http.Response, error) {
	var answered func(call int64, status int, answer []byte)
	unanswered := func(int64) {}
	switch path := strings.Split(strings.TrimPrefix(req.URL.Path, "/v1/"), "/"); {
	case req.Method == http.MethodPost && req.URL.Path == "/v1/events":
		a, kind := h.sends(req)
		answered = func(call int64, status int, answer []byte) { h.submitted(a, kind, call, status, answer) }
		unanswered = func(call int64) { h.mayHave(a, call) }
	case req.Method == http.MethodGet && path[0] == "events" && len(path) == 2:
		answered = h.outcome
	case req.Method == http.MethodGet && path[0] == "streams" && len(path) == 4:
		s := ev.Stream{Type: ev.StreamType(path[1]), ID: path[2]}
		answered = func(call int64, status int, answer []byte) { h.page(s, req, call, status, answer) }
	case req.URL.Path == "/v1/complete":
		answered = h.lengths
	case req.URL.Path == "/v1/log/checkpoint" && req.URL.RawQuery == "":
		shown := h.shown()
		answered = func(_ int64, status int, answer []byte) { h.shows(shown, status, answer) }
	default:
		return h.way.RoundTrip(req)
	}
	call := h.now()
	resp, err := h.way.RoundTrip(req)
	if err != nil {
		unanswered(call)
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), ended{err}))
	if err != nil || resp.StatusCode >= http.StatusInternalServerError {
		unanswered(call)
	} else {
		answered(call, resp.StatusCode, body)
	}
	return resp, nil
}

// sends reads an event on its way.
func (h *historian) sends(req *http.Request) (accepted, ev.Kind) {
	signed := submitted(req, h.person)
	at := signed.Event().Stream
	a := accepted{stream: at.Stream(), seq: at.Seq, prev: at.Prev, leaf: signed.LeafHash(), client: h.client}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.places[a.leaf] = a
	return a, signed.Event().Kind
}

// mayHave is that an event was sent, and nobody knows what became of it.
func (h *historian) mayHave(a accepted, call int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	a.call = call
	h.lost = append(h.lost, a)
}

// submitted is the answer to an event.
func (h *historian) submitted(a accepted, kind ev.Kind, call int64, status int, answer []byte) {
	ret := h.now()
	switch status {
	case http.StatusConflict:
		var said wire.Problem
		if json.Unmarshal(answer, &said) == nil && said.Reason == ev.ReasonPosition {
			h.note(h.client, a.stream, call, ret, refused{a})
		}
		return // what is refused for another reason says nothing of its place
	case http.StatusCreated, http.StatusAccepted:
	default:
		return
	}
	var said wire.Included
	if json.Unmarshal(answer, &said) != nil {
		return
	}
	if leaf, err := ev.ParseHash(said.LeafHash); err == nil { // the same statement may have been there with another signature
		a.leaf = leaf
	}
	h.mu.Lock()
	h.places[a.leaf] = a
	h.mu.Unlock()
	h.note(h.client, a.stream, call, ret, a)
	if len(said.Receipt) > 0 {
		h.note(h.client, a.stream, call, ret, included{a.seq, a.leaf})
	}
}

// outcome is what became of an event that was sent before.
func (h *historian) outcome(call int64, status int, answer []byte) {
	ret := h.now()
	var said wire.Included
	if json.Unmarshal(answer, &said) != nil {
		return
	}
	leaf, err := ev.ParseHash(said.LeafHash)
	h.mu.Lock()
	a, sent := h.places[leaf]
	h.mu.Unlock()
	switch {
	case err != nil || !sent:
	case status == http.StatusOK:
		h.note(h.client, a.stream, call, ret, included{a.seq, leaf})
	case status == http.StatusAccepted:
		h.note(h.client, a.stream, call, ret, pending{a.seq, leaf})
	}
}

// shown is the size of the largest checkpoint that anybody was shown so far.
func (h *historian) shown() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.newest
}

// shows is a checkpoint, asked for after one of a size had been shown.
func (h *historian) shows(before int64, status int, answer []byte) {
	if status != http.StatusOK {
		return
	}
	cp, err := tlog.OpenCheckpoint(answer, h.keys)
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil || cp.Size < before {
		h.older = append(h.older, [2]int64{before, cp.Size})
	}
	h.newest = max(h.newest, cp.Size)
}

// page is a page of a stream.
func (h *historian) page(s ev.Stream, req *http.Request, call int64, status int, answer []byte) {
	ret := h.now()
	var said wire.EventList
	if status != http.StatusOK || json.Unmarshal(answer, &said) != nil {
		return
	}
	did := listed{end: said.Next == nil}
	if after, err := strconv.ParseInt(req.URL.Query().Get("after"), 10, 64); err == nil {
		did.from = after + 1
	}
	for i, e := range said.Events {
		leaf, err := ev.ParseHash(e.LeafHash)
		stands := len(e.Receipt) > 0 || e.Withheld != nil
		did.broken = did.broken || err != nil || e.Seq != did.from+int64(i) || stands && did.included < i
		if stands {
			did.included++
		}
		did.leaves = append(did.leaves, leaf)
	}
	h.note(h.client, s, call, ret, did)
}

// lengths are those of a proof of completeness.
func (h *historian) lengths(call int64, status int, answer []byte) {
	ret := h.now()
	var said wire.Completeness
	if status != http.StatusOK || json.Unmarshal(answer, &said) != nil {
		return
	}
	for _, l := range said.Streams {
		h.note(h.client, ev.Stream{Type: ev.StreamType(l.Type), ID: l.ID}, call, ret, counted{l.Length})
	}
}
