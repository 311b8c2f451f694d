package client

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"time"

	"strongroom.example/strongroom/internal/dossier"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/heads"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/wire"
)

// Look fetches streams, and every stream that their events stand on, with the proof that nothing is left out of any of them; verifies
// everything against the pinned trust file by replaying the law; compares it with what this device saw before; and remembers it. Events
// that are not in the log yet are not seen.
//
// It fails with NotFound if a stream does not exist or is not for this person to see, and with an Alarm if the answers cannot be true.
func (c *Client) Look(ctx context.Context, streams ...evidence.Stream) (*View, error) {
	return c.look(ctx, wire.ReceiptsStored, streams)
}

func (c *Client) look(ctx context.Context, form wire.Receipts, streams []evidence.Stream) (*View, error) {
	before := c.memory.snapshot()
	if err := c.newest(ctx); err != nil {
		return nil, err
	}
	// The publication that proves completeness is the vault's own act: policy names whatever it stands on.
	streams = append(slices.Clone(streams), evidence.PolicyOf(c.trust.Vault()))
	fetched := make(map[evidence.Stream][][]byte)
	for attempt := 0; ; attempt++ {
		had := events(fetched)
		if err := c.gather(ctx, form, streams, fetched); err != nil {
			return nil, err
		}
		excerpt, floor, err := c.excerpt(ctx, form, before, fetched)
		if err != nil {
			return nil, err
		}
		if form == wire.ReceiptsFinal {
			if err := c.thirdParties(ctx, &excerpt); err != nil {
				return nil, err
			}
		}
		history, found := dossier.Replay(c.trust, excerpt)
		if len(found) > 0 && attempt < 3 && due(fetched, c.now()) {
			continue // what may be shown by now stands beside what could not be a moment ago
		}
		if len(found) > 0 {
			// Streams are fetched one after the other: one may have grown, on new heads of others, in between. In a busy vault that
			// happens again and again, but then each time there is more to fetch.
			if (attempt < 3 || attempt < 50 && events(fetched) > had) && grew(found) {
				if err := c.pause(ctx, 200*time.Millisecond); err != nil {
					return nil, err
				}
				continue
			}
			return nil, judged(found)
		}
		if history.Heads().Covers <= floor {
			return nil, alarm(StaleHead, evidence.VaultOf(c.trust.Vault()), nil)
		}
		if err := c.toldAll(ctx, history); err != nil {
			// Who has joined the case just now may have asked for the item a moment before.
			if lie := (*Alarm)(nil); errors.As(err, &lie) && lie.Lie == Undue && attempt < 3 && c.pause(ctx, 200*time.Millisecond) == nil {
				continue
			}
			return nil, err
		}
		if err := c.agree(ctx, before, history, excerpt); err != nil {
			return nil, err
		}
		if form == wire.ReceiptsStored {
			c.known.keep(fetched)
		}
		return &View{History: history, Time: evidence.At(c.clock.time()), facts: history.Facts(), excerpt: excerpt}, nil
	}
}

// lookAt looks at a stream, and at others beside it, and returns its present state.
func lookAt[T evidence.State](ctx context.Context, c *Client, s evidence.Stream, beside ...evidence.Stream) (v *View, own T, err error) {
	if v, err = c.Look(ctx, append(beside, s)...); err == nil {
		own, err = state[T](v, s)
	}
	return v, own, err
}

// toldAll refuses that anything is withheld from this person from whom nothing may be: from auditors, and custodians of an item's case
// (RULES §4.7). The own role is what was enrolled, not what the vault says.
func (c *Client) toldAll(ctx context.Context, h *dossier.History) error {
	for _, s := range h.Streams() {
		if len(promises(h, s)) == 0 {
			continue
		}
		v, own, err := lookAt[*evidence.ActorState](ctx, c, evidence.ActorOf(c.actor)) // people's streams hold nothing that is withheld
		if err != nil {
			return err
		}
		told := own.Role == evidence.Auditor
		if item, ok := h.State(s).(*evidence.ItemState); ok && own.Role == evidence.Custodian {
			// Around the beginning and the end of a membership the vault's clock decides.
			in, ok := h.State(evidence.CaseOf(item.Case)).(*evidence.CaseState)
			if ok {
				_, before := in.Member(c.actor, v.Time.Add(-evidence.Clock))
				_, after := in.Member(c.actor, v.Time.Add(evidence.Clock))
				told = before && after
			}
		}
		if told {
			return alarm(Undue, s, errors.New("nothing is withheld from this role"))
		}
	}
	return nil
}

// due reports whether anything that was withheld may be shown by now.
func due(fetched map[evidence.Stream][][]byte, now evidence.Time) bool {
	for _, receipts := range fetched {
		for _, r := range receipts {
			if !dossier.IsWithheld(r) {
				continue
			}
			if w, err := dossier.ParseWithheld(r); err == nil && w.Until <= now {
				return true
			}
		}
	}
	return false
}

func (c *Client) now() evidence.Time { return evidence.At(c.clock.time()) }

func events(fetched map[evidence.Stream][][]byte) (n int) {
	for _, receipts := range fetched {
		n += len(receipts)
	}
	return n
}

// grew reports whether all that is wrong is that something is not there yet.
func grew(found []dossier.Finding) bool {
	return !slices.ContainsFunc(found, func(f dossier.Finding) bool {
		switch f.Reason {
		case dossier.ReasonBasisMissing, dossier.ReasonMissingLast, dossier.ReasonStreamMissing:
			return false
		}
		return f.Result == dossier.Fail
	})
}

// indexOf is where in the log the event of a receipt is, or the one that is withheld.
func indexOf(receipt []byte) (int64, error) {
	if dossier.IsWithheld(receipt) {
		w, err := dossier.ParseWithheld(receipt)
		return w.Index, err
	}
	r, err := tlog.ParseReceipt(receipt)
	if err != nil {
		return 0, err
	}
	return r.Index(), nil
}

// excerpt asks for the proofs of completeness, under one publication that covers more leaves than floor: all that was fetched, and all
// that was ever seen of the streams.
func (c *Client) excerpt(ctx context.Context, form wire.Receipts, before seen, fetched map[evidence.Stream][][]byte) (x dossier.Excerpt, floor int64, err error) {
	var streams []evidence.Stream
	for s := range fetched {
		streams = append(streams, s)
	}
	slices.SortFunc(streams, evidence.Stream.Compare)
	floor = before.floor(streams)
	request := wire.CompleteRequest{Final: form == wire.ReceiptsFinal}
	for _, s := range streams {
		request.Streams = append(request.Streams, wire.Stream{Type: wire.StreamType(s.Type), ID: s.ID})
		if n := len(fetched[s]); n > 0 {
			last, err := indexOf(fetched[s][n-1])
			if err != nil {
				return x, floor, alarm(Malformed, s, err)
			}
			floor = max(floor, last)
		}
	}
	request.Min = floor
	answer, err := c.complete(ctx, request)
	if err != nil {
		return x, floor, err
	}
	if len(answer.Streams) != len(streams) {
		return x, floor, alarm(Malformed, evidence.Stream{}, nil)
	}
	x.Heads = answer.Heads
	for i, s := range streams {
		length, err := lengthOf(s, answer.Streams[i])
		if err != nil {
			return x, floor, alarm(Malformed, s, err)
		}
		x.Streams = append(x.Streams, dossier.Stream{ID: s, Events: int64(len(fetched[s])), Receipt: dossier.Held(fetched[s]), Length: length})
	}
	return x, floor, nil
}

// complete waits for the publication: it is made when the log is quiet for a moment.
func (c *Client) complete(ctx context.Context, request wire.CompleteRequest) (wire.Completeness, error) {
	patience := patience{next: 250 * time.Millisecond, longest: 5 * time.Second, left: 12}
	for {
		answer, err := untilFinal(ctx, c, func() (wire.Completeness, error) {
			req, err := wire.NewProveCompleteRequest(c.address, request)
			return ask[wire.Completeness](ctx, c, req, err, http.StatusOK)
		})
		if evidence.KindOf(err) != evidence.Pending || evidence.ReasonOf(err) == reasonNotFinal {
			return answer, err
		}
		if err := patience.wait(ctx, c, err); err != nil {
			return answer, err
		}
	}
}

func lengthOf(s evidence.Stream, w wire.CompleteStream) (l dossier.Length, err error) {
	if w.ID != s.ID || string(w.Type) != string(s.Type) || (w.Member == nil) != (w.Length == 0) {
		return l, errors.New("the proof is of another stream")
	}
	l.N = w.Length
	if l.Absent, err = proofOf(w.Absent); err == nil && w.Member != nil {
		l.Member = new(heads.Proof)
		*l.Member, err = proofOf(*w.Member)
	}
	return l, err
}

// proofOf reads a proof by its strict reader.
func proofOf(w wire.HeadsProof) (heads.Proof, error) {
	text, err := json.Marshal(w)
	if err != nil {
		return heads.Proof{}, err
	}
	return heads.ParseProof(text)
}

// agree compares a verified history with what was seen before, and remembers it.
func (c *Client) agree(ctx context.Context, before seen, h *dossier.History, x dossier.Excerpt) error {
	if err := before.contradicted(h); err != nil {
		return err
	}
	covers := h.Heads().Covers
	// Every event is bound to the publication by the heads map, so the checkpoint of that one ties them all to the log seen so far.
	if _, err := c.follow(ctx, receiptNote(x.Heads)); err != nil {
		return err
	}
	more := seen{Covers: covers}
	for _, s := range h.Streams() {
		if n := h.Len(s); n > 0 {
			leaf, index := h.Leaf(s, n-1)
			more.put(headKey(s), head{Seq: n - 1, Leaf: leaf, Index: index, Withheld: promises(h, s), has: within(h, s)})
		}
	}
	return c.learn(ctx, more)
}

// within tells the leaves of a stream's verified history.
func within(h *dossier.History, s evidence.Stream) func(int64) (evidence.Hash, bool) {
	return func(seq int64) (leaf evidence.Hash, ok bool) {
		if ok = seq < h.Len(s); ok {
			leaf, _ = h.Leaf(s, seq)
		}
		return leaf, ok
	}
}

// readAll reads an answer of at most limit bytes.
func readAll(resp *http.Response, limit int64) ([]byte, error) {
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err == nil && int64(len(body)) > limit {
		err = alarm(Malformed, evidence.Stream{}, errors.New("the answer is too large"))
	}
	return body, err
}
