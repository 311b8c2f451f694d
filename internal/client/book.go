package client

import (
	"context"
	"net/http"
	"sort"

	"strongroom.example/strongroom/internal/dossier"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/wire"
)

// book tells by when an entry was in the log, by the vault's clock: each vault.heads states a time, and covers more entries than the one
// before (FORMATS §7). It reads of them what is asked for, page by page, and verifies each.
type book struct {
	c     *Client
	v     *View // whose newest publication is the last one that counts
	pages map[int64][]dossier.Publication
}

func (c *Client) bookOf(v *View) *book {
	return &book{c, v, make(map[int64][]dossier.Publication)}
}

// with takes over the whole pages of an earlier one.
func (b *book) with(earlier *book) *book {
	if earlier != nil {
		for first, page := range earlier.pages {
			if len(page) == eventsOfPage {
				b.pages[first] = page
			}
		}
	}
	return b
}

func (b *book) len() int64 { return b.v.Heads().Last.Seq + 1 }

// at is publication seq, 0 ≤ seq < len.
func (b *book) at(ctx context.Context, seq int64) (p dossier.Publication, err error) {
	first := seq / eventsOfPage * eventsOfPage
	page, known := b.pages[first]
	if !known {
		if page, err = b.read(ctx, first); err != nil {
			return p, err
		}
		b.pages[first] = page
	}
	if seq-first >= int64(len(page)) {
		return p, alarm(MissingEvent, evidence.VaultOf(b.c.trust.Vault()), nil)
	}
	return page[seq-first], nil
}

func (b *book) read(ctx context.Context, first int64) ([]dossier.Publication, error) {
	s, after, limit := evidence.VaultOf(b.c.trust.Vault()), first-1, int32(min(eventsOfPage, b.len()-first))
	answer, err := lossy(ctx, b.c, func() (wire.EventList, error) {
		req, err := wire.NewListEventsRequest(b.c.address, wire.StreamType(s.Type), s.ID, &wire.ListEventsParams{After: &after, Limit: &limit})
		return ask[wire.EventList](ctx, b.c, req, err, http.StatusOK)
	})
	if err != nil {
		return nil, err
	}
	list := make([]dossier.Publication, 0, limit)
	for i, e := range answer.Events {
		p, err := b.v.Publication(e.Receipt, first+int64(i))
		if err != nil {
			return nil, alarm(BrokenChain, s, err)
		}
		if i > 0 && (p.Covers <= list[i-1].Covers || p.Entry <= list[i-1].Entry || p.Time < list[i-1].Time) {
			return nil, alarm(BrokenChain, s, nil)
		}
		list = append(list, p)
	}
	return list, nil
}

// all are the publications from the first to the last.
func (b *book) all(ctx context.Context) ([]dossier.Publication, error) {
	list := make([]dossier.Publication, 0, b.len())
	for seq := range b.len() {
		p, err := b.at(ctx, seq)
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, nil
}

// covering is the first publication that covers an entry; ok is false where none does yet.
func (b *book) covering(ctx context.Context, entry int64) (p dossier.Publication, ok bool, err error) {
	n := int(b.len())
	seq := sort.Search(n, func(seq int) bool {
		var at dossier.Publication
		if err == nil {
			at, err = b.at(ctx, int64(seq))
		}
		return err != nil || at.Covers > entry
	})
	if err != nil || seq == n {
		return p, false, err
	}
	p, err = b.at(ctx, int64(seq))
	return p, err == nil, err
}

// date puts beside each row by when it was in the log.
func (b *book) date(ctx context.Context, rows []dossier.CustodyRow) error {
	for i := range rows {
		p, ok, err := b.covering(ctx, rows[i].Entry)
		if err != nil {
			return err
		}
		if ok {
			rows[i].Book = p
		}
	}
	return nil
}
