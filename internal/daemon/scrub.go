package daemon

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/objects"
)

const (
	scrubRate  = 16 << 20 // bytes a second that the background scrub reads at most: 1.3 TB a day
	scrubEvery = 7 * 24 * time.Hour
	scrubSays  = 28 * 24 * time.Hour // how often the record says of an item that it is whole
	scrubSaved = 64                  // items at most between two notes of how far it is
	scrubMeta  = "scrub"
)

// Scrubbed is one reading of all evidence, finished or not. It is kept in the records.
type Scrubbed struct {
	Began   time.Time       `json:"began"`
	Ended   time.Time       `json:"ended,omitzero"`
	After   evidence.ItemID `json:"after,omitempty"` // the last item read
	Objects int64           `json:"objects"`
	Bytes   int64           `json:"bytes"`
	Damaged int64           `json:"damaged"` // differs from what was deposited, or is missing
	Unread  int64           `json:"unread"`  // could not be read now
}

// errOthers says that another replica is scrubbing.
var errOthers = errors.New("another server of this vault is scrubbing")

// scrub reads the evidence of every item while the vault works, at most rate bytes a second, or as fast as it can with rate 0. What
// differs from the deposit is logged as item.verified by the vault itself, with result failure; from then on the law refuses to serve it.
// Once it is whole again, put back from a backup, the same event with result success ends that. Of every other item the record says once
// in four weeks that it was found whole.
func (p *parts) scrub(ctx context.Context, from Scrubbed, rate int64, report func(Damage)) (Scrubbed, error) {
	ctx, stop, err := p.holding(ctx, scrubWork, cmp.Or(p.scrubLease, scrubTime), errOthers)
	if err != nil {
		return from, err
	}
	defer stop()
	s, err := p.scrubItems(ctx, from, rate, report)
	if lost := context.Cause(ctx); errors.Is(lost, errOthers) {
		err = lost
	}
	return s, err
}

func (p *parts) scrubItems(ctx context.Context, from Scrubbed, rate int64, report func(Damage)) (Scrubbed, error) {
	s, saved := from, time.Now()
	for unsaved := 0; ; {
		page, err := p.records.AllItems(ctx, s.After, fsckPage)
		if err != nil {
			return s, err
		}
		for _, item := range page {
			if err := p.scrubItem(ctx, item, rate, &s, report); err != nil {
				return s, err
			}
			if s.After, unsaved = item.ID, unsaved+1; unsaved == scrubSaved || time.Since(saved) > scrubTime {
				if err := p.saveScrub(ctx, s); err != nil {
					return s, err
				}
				unsaved, saved = 0, time.Now()
			}
		}
		if len(page) < fsckPage {
			s.After, s.Ended = "", p.options.Now().UTC()
			return s, p.saveScrub(ctx, s)
		}
	}
}

func (p *parts) scrubItem(ctx context.Context, item *evidence.ItemState, rate int64, s *Scrubbed, report func(Damage)) error {
	if item.Class == evidence.DescriptionOnly || item.Shredded != 0 { // of a shredded item nothing can be opened any more
		return nil
	}
	s.Objects++
	found, err := p.read(ctx, item.Evidence.SHA256, rate)
	s.Bytes += found.Size
	where := "item " + string(item.ID)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	outcome, ends := evidence.Success, item.Damaged && item.DamagedScope == "ciphertext"
	said := max(item.Deposited, item.Compared).Std() // when the record last said that it is whole
	due := !p.options.Now().Before(said.Add(scrubSays))
	switch {
	case errors.Is(err, objects.ErrNotFound):
		outcome = evidence.Failure
		report(Damage{Where: where, What: fmt.Sprintf("its evidence is missing: object %s", item.Evidence.SHA256), Do: doObject})
	case err != nil && !errors.Is(err, objects.ErrDamaged):
		s.Unread++
		report(Damage{Where: where, What: "its evidence cannot be read now: " + err.Error(), Do: doObject})
		return nil
	case found != item.Evidence:
		outcome = evidence.Failure
		report(Damage{Where: where, What: fmt.Sprintf("its evidence was altered: object %s", item.Evidence.SHA256), Do: doObject})
	}
	if outcome == evidence.Failure {
		s.Damaged++
		p.options.Logger.Error("evidence_damaged", "item", item.ID)
	}
	if outcome == evidence.Success && !ends && !due || outcome == evidence.Failure && item.Damaged {
		return nil
	}
	return p.logVerified(ctx, item.ID, found.SHA256, outcome)
}

// read hashes an object. What cannot be opened has the digest of nothing.
func (p *parts) read(ctx context.Context, name evidence.Hash, rate int64) (evidence.Evidence, error) {
	h := objects.NewHasher()
	o, err := p.objects.Open(ctx, objects.Digest(name))
	if err == nil {
		_, err = io.Copy(h, &paced{reading: reading{ctx, o}, rate: rate, began: time.Now()})
		err = errors.Join(err, o.Close())
	}
	sums := h.Sums()
	return evidence.Evidence{SHA256: evidence.Hash(sums.Digest), Size: sums.Size, Tree: evidence.Hash(sums.Tree)}, err
}

// paced reads at most so many bytes a second.
type paced struct {
	reading
	rate  int64 // 0 is as many as there are
	began time.Time
	n     int64
}

func (p *paced) Read(b []byte) (int, error) {
	if p.rate > 0 {
		ahead := time.Duration(float64(p.n)/float64(p.rate)*float64(time.Second)) - time.Since(p.began)
		pause(p.ctx, ahead)
	}
	n, err := p.reading.Read(b)
	p.n += int64(n)
	return n, err
}

// pause waits so long, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// logVerified logs in the vault's own name what was found of an item's file.
func (p *parts) logVerified(ctx context.Context, id evidence.ItemID, found evidence.Hash, outcome evidence.Outcome) error {
	stream := evidence.ItemOf(id)
	for tries := 5; ; tries-- {
		own, err := p.records.States(ctx, stream)
		if err != nil {
			return err
		}
		item, ok := own[stream].(*evidence.ItemState)
		if !ok {
			return nil
		}
		e := &evidence.Event{
			Vault: p.settings.Origin, Kind: evidence.ItemVerified, Case: item.Case,
			Actor: evidence.Signer{ID: p.author.ID, Role: evidence.Vault}, Stream: evidence.Position{Type: stream.Type, ID: stream.ID},
			Details: &evidence.ItemVerifiedDetails{Scope: "ciphertext", Evidence: found}, Result: &evidence.Result{Outcome: outcome},
		}
		states, err := p.records.States(ctx, append(evidence.StandsOn(item, e), stream)...)
		if err != nil {
			return err
		}
		signed, err := p.author.Sign(e, stream, evidence.Facts{Origin: p.settings.Origin, Founders: p.founders, States: states}, p.options.Now())
		if err != nil {
			return err
		}
		if err := p.vault.Found(ctx, signed); evidence.KindOf(err) != evidence.Conflict || tries == 1 {
			return err
		}
	}
}

func (p *parts) saveScrub(ctx context.Context, s Scrubbed) error {
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return p.records.SetMeta(ctx, scrubMeta, string(text))
}

// lastScrub is the newest scrub, the zero one if there was none.
func (p *parts) lastScrub(ctx context.Context) (s Scrubbed, err error) {
	text, err := p.records.Meta(ctx, scrubMeta)
	if evidence.KindOf(err) == evidence.NotFound {
		return s, nil
	}
	if err == nil {
		err = json.Unmarshal([]byte(text), &s)
	}
	return s, err
}

// scrubAlways scrubs once a week until ctx ends. One that was interrupted goes on where it was.
func (p *operator) scrubAlways(ctx context.Context) {
	for ctx.Err() == nil {
		last, err := p.lastScrub(ctx)
		wait := last.Began.Add(scrubEvery).Sub(p.options.Now())
		switch {
		case err != nil:
			wait = time.Hour
			p.options.Logger.Error("scrub_failed", "err", err)
		case last.Ended.IsZero() || wait <= 0:
			if wait = 0; last.Began.IsZero() || !last.Ended.IsZero() {
				last = Scrubbed{Began: p.options.Now().UTC()}
			}
			p.scrubbing.Lock()
			done, err := p.scrub(ctx, last, scrubRate, func(Damage) {})
			p.scrubbing.Unlock()
			if errors.Is(err, errOthers) {
				wait = scrubTime
			} else if err == nil {
				p.options.Logger.Info("scrubbed", "objects", done.Objects, "bytes", done.Bytes, "damaged", done.Damaged, "unread", done.Unread)
			} else if wait = time.Hour; ctx.Err() == nil {
				p.options.Logger.Error("scrub_failed", "err", err)
			}
		}
		pause(ctx, wait)
	}
}
