package client

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"strongroom.example/strongroom/internal/dossier"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/heads"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/wire"
)

// Limits of one look.
const (
	maxStreams   = 1000    // of one proof of completeness (api/openapi.yaml)
	maxEvents    = 200_000 // of one stream
	eventsOfPage = 100
	fetchers     = 6
)

// View is what was verified of some streams at one moment. It is the only ground on which this package decides or signs.
type View struct {
	*dossier.History
	Time evidence.Time // of the look, by the vault's clock

	facts   evidence.Facts
	excerpt dossier.Excerpt
	readers readers
}

// state returns a stream's present state.
func state[T evidence.State](v *View, s evidence.Stream) (T, error) {
	t, ok := v.facts.States[s].(T)
	if !ok {
		return t, evidence.Refuse(evidence.NotFound, "not_found")
	}
	return t, nil
}

// known keeps verified receipts, so that only what is new is fetched again.
type known struct {
	sync.Mutex
	receipts map[evidence.Stream][][]byte
}

func (k *known) of(s evidence.Stream) [][]byte {
	k.Lock()
	defer k.Unlock()
	return slices.Clip(k.receipts[s])
}

// forget drops what is kept of streams.
func (k *known) forget(streams []evidence.Stream) {
	k.Lock()
	defer k.Unlock()
	for _, s := range streams {
		delete(k.receipts, s)
	}
}

func (k *known) keep(fetched map[evidence.Stream][][]byte) {
	k.Lock()
	defer k.Unlock()
	for s, receipts := range fetched {
		receipts = whole(receipts)
		if len(receipts) > len(k.receipts[s]) {
			k.receipts[s] = receipts
		}
	}
}

// Look fetches streams, and every stream that their events stand on, with the proof that nothing is left out of any of them; verifies
// everything against the pinned trust file by replaying the law; compares it with what this device saw before; and remembers it. Events
// that are not in the log yet are not seen.
//
// It fails with NotFound if a stream does not exist or is not for this person to see, and with an Alarm if the answers cannot be true.
func (c *Client) Look(ctx context.Context, streams ...evidence.Stream) (*View, error) {
	before := c.memory.snapshot()
	if err := c.newest(ctx); err != nil {
		return nil, err
	}
	// The publication that proves completeness is the vault's own act: policy names whatever it stands on.
	streams = append(slices.Clone(streams), evidence.PolicyOf(c.trust.Vault()))
	fetched := make(map[evidence.Stream][][]byte)
	for attempt := 0; ; attempt++ {
		had := events(fetched)
		if err := c.gather(ctx, streams, fetched); err != nil {
			return nil, err
		}
		excerpt, floor, err := c.excerpt(ctx, before, fetched)
		if err != nil {
			return nil, err
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
		c.known.keep(fetched)
		return &View{History: history, Time: evidence.At(c.clock.time()), facts: history.Facts(), excerpt: excerpt}, nil
	}
}

// toldAll refuses that anything is withheld from this person from whom nothing may be: from auditors, and custodians of an item's case
// (RULES §4.7). The own role is what was enrolled, not what the vault says.
func (c *Client) toldAll(ctx context.Context, h *dossier.History) error {
	for _, s := range h.Streams() {
		if len(promises(h, s)) == 0 {
			continue
		}
		self := evidence.ActorOf(c.actor)
		v, err := c.Look(ctx, self) // people's streams hold nothing that is withheld
		if err != nil {
			return err
		}
		own, err := state[*evidence.ActorState](v, self)
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

// whole are the receipts before the first event that was withheld: it is asked for again every time, and what follows with it.
func whole(receipts [][]byte) [][]byte {
	if i := slices.IndexFunc(receipts, dossier.IsWithheld); i >= 0 {
		receipts = receipts[:i]
	}
	return slices.Clip(receipts)
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

// gather fetches what is new of the streams and of all that they stand on, into fetched.
func (c *Client) gather(ctx context.Context, asked []evidence.Stream, fetched map[evidence.Stream][][]byte) error {
	done := make(map[evidence.Stream]bool)
	next := slices.Clone(asked)
	for s := range fetched {
		next = append(next, s)
	}
	for len(next) > 0 {
		slices.SortFunc(next, evidence.Stream.Compare)
		next = slices.DeleteFunc(slices.Compact(next), func(s evidence.Stream) bool { return done[s] })
		if len(done)+len(next) > maxStreams {
			return evidence.Refuse(evidence.TooLarge, "streams")
		}
		got, err := c.fetchAll(ctx, next, fetched)
		if err != nil {
			if s := (*absent)(nil); errors.As(err, &s) && !slices.Contains(asked, s.stream) {
				return alarm(MissingEvent, s.stream, err) // what others stand on was shown to exist
			}
			return err
		}
		var named []evidence.Stream
		for i, s := range next {
			done[s] = true
			fetched[s] = got[i]
			more, err := dossier.Required(got[i]...)
			if err != nil {
				return alarm(Malformed, s, err)
			}
			named = append(named, more...)
		}
		next = named
	}
	return nil
}

// absent is the NotFound of one stream.
type absent struct {
	stream evidence.Stream
	error
}

func (a *absent) Unwrap() error { return a.error }

// fetchAll fetches some streams at a time.
func (c *Client) fetchAll(ctx context.Context, streams []evidence.Stream, have map[evidence.Stream][][]byte) ([][][]byte, error) {
	if _, err := c.token(ctx, ""); err != nil { // once, not in every fetcher
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	got := make([][][]byte, len(streams))
	free := make(chan struct{}, fetchers)
	var all sync.WaitGroup
	for i, s := range streams {
		start := have[s]
		if start == nil {
			start = c.known.of(s)
		}
		free <- struct{}{}
		all.Go(func() {
			defer func() { <-free }()
			var err error
			if got[i], err = c.fetch(ctx, s, whole(start)); err != nil {
				cancel(err)
			}
		})
	}
	all.Wait()
	return got, context.Cause(ctx)
}

// fetch appends the included events of a stream that come after those in receipts.
func (c *Client) fetch(ctx context.Context, s evidence.Stream, receipts [][]byte) ([][]byte, error) {
	limit := int32(eventsOfPage)
	for {
		after := int64(len(receipts)) - 1
		page, err := lossy(ctx, c, func() (wire.EventList, error) {
			req, err := wire.NewListEventsRequest(c.address, wire.StreamType(s.Type), s.ID, &wire.ListEventsParams{After: &after, Limit: &limit})
			return ask[wire.EventList](ctx, c, req, err, http.StatusOK)
		})
		if evidence.KindOf(err) == evidence.NotFound {
			return nil, &absent{s, err}
		}
		if err != nil {
			return nil, err
		}
		for _, e := range page.Events {
			if e.Seq != int64(len(receipts)) {
				return nil, alarm(BrokenChain, s, nil)
			}
			receipt := e.Receipt
			if e.Withheld != nil {
				if receipt, err = c.withheld(s, e); err != nil {
					return nil, err
				}
			}
			if len(receipt) == 0 {
				return receipts, nil // pending, as is all that follows
			}
			receipts = append(receipts, receipt)
		}
		if page.Next == nil {
			return receipts, nil
		}
		if len(page.Events) == 0 || len(receipts) > maxEvents {
			return nil, alarm(Malformed, s, nil)
		}
	}
}

// withheld is what stands for an event that may not be shown yet. Whether it is in the log and in its place is seen when it is replayed.
func (c *Client) withheld(s evidence.Stream, e wire.StreamEvent) ([]byte, error) {
	until, err := evidence.ParseTime(e.Withheld.Until)
	w := dossier.Withheld{Checkpoint: e.Withheld.Checkpoint, Index: e.Withheld.Index, Until: until}
	if err == nil {
		w.LeafHash, err = evidence.ParseHash(e.LeafHash)
	}
	for _, text := range e.Withheld.Hashes {
		hash, bad := hex.DecodeString(text)
		err = errors.Join(err, bad)
		w.Hashes = append(w.Hashes, hash)
	}
	if err != nil || len(e.Receipt)+len(e.DSSE) > 0 {
		return nil, alarm(Malformed, s, err)
	}
	if until.Add(evidence.Clock) <= c.now() {
		return nil, alarm(Undue, s, fmt.Errorf("event %d could be shown since %s", e.Seq, until))
	}
	stands, err := w.Marshal()
	if err != nil {
		return nil, alarm(Malformed, s, err)
	}
	return stands, nil
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
func (c *Client) excerpt(ctx context.Context, before seen, fetched map[evidence.Stream][][]byte) (x dossier.Excerpt, floor int64, err error) {
	var streams []evidence.Stream
	for s := range fetched {
		streams = append(streams, s)
	}
	slices.SortFunc(streams, evidence.Stream.Compare)
	floor = before.floor(streams)
	request := wire.CompleteRequest{}
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
		answer, err := lossy(ctx, c, func() (wire.Completeness, error) {
			req, err := wire.NewProveCompleteRequest(c.address, request)
			return ask[wire.Completeness](ctx, c, req, err, http.StatusOK)
		})
		if evidence.KindOf(err) != evidence.Pending {
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
			more.put(headKey(s), head{n - 1, leaf, index, promises(h, s)})
		}
	}
	return c.memory.learn(more)
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
