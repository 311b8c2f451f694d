package client

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"

	"strongroom.example/strongroom/internal/dossier"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/wire"
)

// Limits of one look.
const (
	maxStreams   = 1000    // of one proof of completeness (api/openapi.yaml)
	maxEvents    = 200_000 // of one stream
	eventsOfPage = 100
	fetchers     = 6
)

// gather fetches what is new of the streams and of all that they stand on, into fetched.
func (c *Client) gather(ctx context.Context, form wire.Receipts, asked []evidence.Stream, fetched map[evidence.Stream][][]byte) error {
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
		got, err := c.fetchAll(ctx, form, next, fetched)
		if err != nil {
			if s := (*absent)(nil); errors.As(err, &s) && !slices.Contains(asked, s.stream) {
				return alarm(HiddenStream, s.stream, err) // what others stand on was shown to exist
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
func (c *Client) fetchAll(ctx context.Context, form wire.Receipts, streams []evidence.Stream, have map[evidence.Stream][][]byte) ([][][]byte, error) {
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
		if start == nil && form == wire.ReceiptsStored {
			start = c.known.of(s)
		}
		free <- struct{}{}
		all.Go(func() {
			defer func() { <-free }()
			var err error
			if got[i], err = c.fetch(ctx, form, s, whole(start)); err != nil {
				cancel(err)
			}
		})
	}
	all.Wait()
	return got, context.Cause(ctx)
}

// fetch appends the included events of a stream that come after those in receipts.
func (c *Client) fetch(ctx context.Context, form wire.Receipts, s evidence.Stream, receipts [][]byte) ([][]byte, error) {
	limit := int32(eventsOfPage)
	for {
		after := int64(len(receipts)) - 1
		page, err := untilFinal(ctx, c, func() (wire.EventList, error) {
			req, err := wire.NewListEventsRequest(c.address, wire.StreamType(s.Type), s.ID, &wire.ListEventsParams{After: &after, Limit: &limit, Receipts: form})
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

// whole are the receipts before the first event that was withheld: it is asked for again every time, and what follows with it.
func whole(receipts [][]byte) [][]byte {
	if i := slices.IndexFunc(receipts, dossier.IsWithheld); i >= 0 {
		receipts = receipts[:i]
	}
	return slices.Clip(receipts)
}
