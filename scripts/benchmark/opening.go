package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/sealing"
	"strongroom.example/strongroom/internal/wire"
)

// opening is P5: 64 KiB somewhere in a large item, after the receipt of the access.
func opening(ctx context.Context, b *bench) result {
	small, large := int64(64*mib), int64(10<<30)
	if b.quick {
		small, large = 16*mib, 1<<30
	}
	w := newWorld(ctx, b.dir)
	defer w.remove()
	in := w.openCase(ctx)
	consent := w.consent(ctx, in)
	token := w.token(ctx)
	items := []*openItem{w.openItem(ctx, in, consent, token, small), w.openItem(ctx, in, consent, token, large)}

	var first [2][]float64
	var trips []float64
	for range 8 * b.rounds {
		for i, o := range items {
			took, n := o.firstByte(ctx)
			first[i] = append(first[i], milliseconds(took))
			trips = append(trips, float64(n))
		}
	}
	whole := timed(func() {
		resp := items[1].get(ctx, 0, items[1].size)
		defer resp.Body.Close()
		must(io.Copy(io.Discard, resp.Body))
	})
	r := result{ID: "P5", Title: fmt.Sprintf("open: a random 64 KiB of an item of %d MiB, after the receipt", large/mib)}
	r.measure(fmt.Sprintf("first byte, item of %d MiB", small/mib), median(first[0]), "ms")
	r.measure(fmt.Sprintf("first byte, item of %d MiB", large/mib), median(first[1]), "ms")
	r.measure("round trips", median(trips), "")
	r.measure("peer: download everything, undecrypted", milliseconds(whole), "ms")
	r.atMost("round trips after the receipt", median(trips), 2)
	r.atMost("large to small", median(first[1])/median(first[0]), 1.3)
	return r
}

// openItem is an item whose access is in the log and released.
type openItem struct {
	w     *world
	token string
	leaf  string
	size  int64 // of evidence.age
	begin []byte
	key   sealing.ItemKey
	plain int64

	trips  int
	at     int64 // where window begins
	window []byte
}

func (w *world) openItem(ctx context.Context, in evidence.CaseID, consent evidence.ConsentID, token string, size int64) *openItem {
	id := w.deposit(ctx, in, consent, size)
	w.forgetDrafts()
	signed := w.chainOn(ctx, id).access()
	answer := w.accessed(token, signed)
	item := must(w.db.States(ctx, evidence.ItemOf(id)))[evidence.ItemOf(id)].(*evidence.ItemState)
	o := answer.Opening
	return &openItem{
		w: w, token: token, leaf: answer.LeafHash, size: o.Size, begin: o.Header, plain: size,
		key: must(sealing.OpenEnvelope(o.Envelope, w.custodian.identity, item.ItemRecipient)),
	}
}

func (w *world) accessed(token string, signed *custody.Signed) wire.Included {
	req := must(wire.NewSubmitEventRequest(w.url, wire.Submission{DSSE: signed.DSSE()}))
	req.Header.Set("Authorization", "Bearer "+token)
	resp := must(http.DefaultClient.Do(req))
	defer resp.Body.Close()
	body := must(io.ReadAll(resp.Body))
	var answer wire.Included
	check(json.Unmarshal(body, &answer))
	if answer.Opening == nil {
		check(fmt.Errorf("status %d: %s", resp.StatusCode, bytes.TrimSpace(body)))
	}
	check(w.verified(signed, answer.Receipt))
	return answer
}

// firstByte reads 64 KiB from somewhere and returns how long it took and how often the vault was asked.
func (o *openItem) firstByte(context.Context) (time.Duration, int) {
	o.trips, o.window = 0, nil
	part := make([]byte, 64<<10)
	at := rand.Int64N(o.plain - int64(len(part)))
	took := timed(func() {
		r := must(sealing.OpenAt(o, o.size, o.key))
		must(r.ReadAt(part, at))
	})
	want := must(io.ReadAll(io.LimitReader(skip(noise(o.plain, uint64(o.plain)), at), int64(len(part)))))
	if !bytes.Equal(part, want) {
		check(fmt.Errorf("a range holds other bytes than were deposited"))
	}
	return took, o.trips
}

// ahead is how much one request brings: a range of 64 KiB touches two chunks of 64 KiB and their tags.
const ahead = 256 << 10

// ReadAt serves the beginning from the release, and asks the vault for the rest.
func (o *openItem) ReadAt(p []byte, off int64) (int, error) {
	end := off + int64(len(p))
	if end <= int64(len(o.begin)) {
		return copy(p, o.begin[off:]), nil
	}
	if off < o.at || end > o.at+int64(len(o.window)) {
		resp := o.get(context.Background(), off, max(end, min(o.size, off+ahead)))
		defer resp.Body.Close()
		o.trips++
		o.at, o.window = off, must(io.ReadAll(resp.Body))
	}
	n := copy(p, o.window[off-o.at:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (o *openItem) get(ctx context.Context, from, to int64) *http.Response {
	bytes := fmt.Sprintf("bytes=%d-%d", from, to-1)
	req := must(wire.NewGetEvidenceRequest(o.w.url, o.leaf, &wire.GetEvidenceParams{Range: &bytes}))
	req.Header.Set("Authorization", "Bearer "+o.token)
	resp := must(http.DefaultClient.Do(req.WithContext(ctx)))
	if resp.StatusCode != http.StatusPartialContent {
		check(fmt.Errorf("range: status %d", resp.StatusCode))
	}
	return resp
}

// skip reads on behind the first n bytes.
func skip(r io.Reader, n int64) io.Reader {
	must(io.CopyN(io.Discard, r, n))
	return r
}
