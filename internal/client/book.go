package client

import (
	"context"
	"net/http"

	"strongroom.example/strongroom/internal/dossier"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/wire"
)

// book tells by when an entry was in the log, by the vault's clock: each vault.heads states a time, and covers more entries than the one
// before (FORMATS §7). It reads of them what is asked for, page by page, and verifies each. It keeps pagesKept pages at most, of eventsOfPage
// publications of a few words each.
type book struct {
	len   int64                                                                 // how many publications count
	fetch func(ctx context.Context, first int64) ([]dossier.Publication, error) // the page that begins with first, verified
	vault evidence.Stream
	pages map[int64][]dossier.Publication
	read  int // pages so far
}

const pagesKept = 1000

func (c *Client) bookOf(v *View) *book {
	b := &book{len: v.Heads().Last.Seq + 1, vault: evidence.VaultOf(c.trust.Vault()), pages: make(map[int64][]dossier.Publication)}
	b.fetch = func(ctx context.Context, first int64) ([]dossier.Publication, error) {
		return c.publications(ctx, v, first, min(eventsOfPage, b.len-first))
	}
	return b
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

// at is publication seq, 0 ≤ seq < len.
func (b *book) at(ctx context.Context, seq int64) (p dossier.Publication, err error) {
	first := seq / eventsOfPage * eventsOfPage
	page, known := b.pages[first]
	if !known {
		if page, err = b.fetch(ctx, first); err != nil {
			return p, err
		}
		if b.read++; len(b.pages) >= pagesKept {
			clear(b.pages)
		}
		b.pages[first] = page
	}
	if seq-first >= int64(len(page)) {
		return p, alarm(MissingEvent, b.vault, nil)
	}
	return page[seq-first], nil
}

// publications are those of one page of the vault's stream, each verified.
func (c *Client) publications(ctx context.Context, v *View, first, most int64) ([]dossier.Publication, error) {
	s, after, limit := evidence.VaultOf(c.trust.Vault()), first-1, int32(most)
	answer, err := lossy(ctx, c, func() (wire.EventList, error) {
		req, err := wire.NewListEventsRequest(c.address, wire.StreamType(s.Type), s.ID, &wire.ListEventsParams{After: &after, Limit: &limit, Receipts: wire.ReceiptsStored})
		return ask[wire.EventList](ctx, c, req, err, http.StatusOK)
	})
	if err != nil {
		return nil, err
	}
	list := make([]dossier.Publication, 0, limit)
	for i, e := range answer.Events {
		p, err := v.Publication(e.Receipt, first+int64(i))
		if err != nil {
			return nil, alarm(BrokenChain, s, err)
		}
		if i > 0 && !follows(p, list[i-1]) {
			return nil, alarm(BrokenChain, s, nil)
		}
		list = append(list, p)
	}
	return list, nil
}

func follows(p, earlier dossier.Publication) bool {
	return p.Covers > earlier.Covers && p.Entry > earlier.Entry && p.Time >= earlier.Time
}

// search returns the first publication of which is is true, as it is of all after it, and the last of which it is not: each zero where there
// is none. It reads a page for each halving of the number of pages at most.
func (b *book) search(ctx context.Context, is func(dossier.Publication) bool) (last, first dossier.Publication, err error) {
	from, to := int64(0), b.len // all before from are not, all from to on are
	for from < to {
		seq := from + (to-from)/2
		p, err := b.at(ctx, seq)
		switch {
		case err != nil:
			return last, first, err
		case from > 0 && !follows(p, last), to < b.len && !follows(first, p):
			return last, first, alarm(BrokenChain, b.vault, nil)
		case is(p):
			to, first = seq, p
		default:
			from, last = seq+1, p
		}
	}
	return last, first, nil
}

// covering is the first publication that covers an entry; zero where none does yet.
func (b *book) covering(ctx context.Context, entry int64) (dossier.Publication, error) {
	_, p, err := b.search(ctx, func(p dossier.Publication) bool { return p.Covers > entry })
	return p, err
}

// before is the last publication that was entered before an entry; zero where none was.
func (b *book) before(ctx context.Context, entry int64) (dossier.Publication, error) {
	p, _, err := b.search(ctx, func(p dossier.Publication) bool { return p.Entry >= entry })
	return p, err
}

// date puts beside each row by when it was in the log.
func (b *book) date(ctx context.Context, rows []dossier.CustodyRow) error {
	for i := range rows {
		p, err := b.covering(ctx, rows[i].Entry)
		if err != nil {
			return err
		}
		if p.Time != 0 {
			rows[i].Book = p
		}
	}
	return nil
}
