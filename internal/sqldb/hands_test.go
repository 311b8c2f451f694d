package sqldb

import (
	"cmp"
	"context"
	"slices"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/vault"
)

func newConsent(in evidence.CaseID, until time.Time) *evidence.ConsentState {
	return &evidence.ConsentState{ID: evidence.NewID[evidence.ConsentID](), Case: in, From: evidence.At(noon), Until: evidence.At(until), Last: evidence.Tip{Time: evidence.At(noon)}}
}

func testMoments(t *testing.T, e engine) {
	w := newWorld(t, e.create(t))
	in := evidence.NewID[evidence.CaseID]()
	consent, item := newConsent(in, noon.Add(2*time.Hour)), newItem(evidence.NewID[evidence.ItemID](), in)
	hold := evidence.HoldState{Status: evidence.HoldInForce, Placed: evidence.At(noon), Lapses: evidence.At(noon), Expires: evidence.At(noon.Add(time.Hour)),
		Review: evidence.At(noon)}
	item.Holds = []evidence.HoldState{hold}
	of, on := evidence.ConsentOf(consent.ID), evidence.ItemOf(item.ID)
	w.put(of, consent)
	w.put(on, item)
	until := func(after vault.Moment, d time.Duration, limit int) (streams []evidence.Stream) {
		for _, m := range must[[]vault.Moment](t)(w.db.Moments(ctx, after, evidence.At(noon.Add(d)), limit)) {
			streams = append(streams, m.Stream)
		}
		return streams
	}
	first := vault.Moment{At: evidence.At(noon.Add(time.Hour)), Stream: on}
	same(t, until(vault.Moment{}, time.Minute, 9), []evidence.Stream(nil))
	same(t, until(vault.Moment{}, time.Hour, 9), []evidence.Stream{on})
	same(t, until(vault.Moment{}, 3*time.Hour, 9), []evidence.Stream{on, of})
	same(t, until(vault.Moment{}, 3*time.Hour, 1), []evidence.Stream{on})
	same(t, until(first, 3*time.Hour, 9), []evidence.Stream{of})
	same(t, until(vault.Moment{At: first.At}, 3*time.Hour, 9), []evidence.Stream{on, of}) // from a time, not after a stream
	hold.Status = evidence.HoldOver
	item.Holds = []evidence.HoldState{hold}
	w.put(on, item)
	same(t, until(vault.Moment{}, 3*time.Hour, 9), []evidence.Stream{of})
}

func testSpeakers(t *testing.T, e engine) {
	w := newWorld(t, e.create(t))
	in, survivor, advocate := evidence.NewID[evidence.CaseID](), evidence.NewID[evidence.ActorID](), evidence.NewID[evidence.ActorID]()
	var ids []evidence.ConsentID
	for range 3 {
		c := newConsent(in, noon)
		c.Subject = survivor
		ids = append(ids, c.ID)
		w.put(evidence.ConsentOf(c.ID), c)
		c.Advocates = []evidence.Delegation{{Advocate: advocate, Until: evidence.At(noon)}}
		w.put(evidence.ConsentOf(c.ID), c)
		c.Advocates = nil // who does not speak any more stays listed
		w.put(evidence.ConsentOf(c.ID), c)
	}
	slices.Sort(ids)
	for _, actor := range []evidence.ActorID{survivor, advocate} {
		var got []evidence.ConsentID
		for after := evidence.ConsentID(""); ; {
			page := must[[]*evidence.ConsentState](t)(w.db.SpokenFor(ctx, actor, after, 2))
			for _, c := range page {
				after = c.ID
				got = append(got, c.ID)
			}
			if len(page) < 2 {
				break
			}
		}
		same(t, got, ids)
	}
	same(t, len(must[[]*evidence.ConsentState](t)(w.db.SpokenFor(ctx, evidence.NewID[evidence.ActorID](), "", 9))), 0)
}

// A form serves one consent, in as many of its versions as there are. What was accepted before that was asked can be written again.
func testForms(t *testing.T, e engine) {
	w := newWorld(t, e.create(t))
	in, form := evidence.NewID[evidence.CaseID](), evidence.NewID[evidence.ItemID]()
	one, other := newConsent(in, noon), newConsent(in, noon)
	one.Forms, other.Forms = []evidence.ItemID{form}, []evidence.ItemID{form}
	w.put(evidence.ConsentOf(one.ID), one)
	w.put(evidence.ConsentOf(one.ID), one)
	_, err := w.try(evidence.ConsentOf(other.ID), other)
	refused(t, err, evidence.Conflict, "form_taken")
	ok(t, w.db.submit(ctx, func(ctx context.Context, t *tx) error {
		return t.reproject(ctx, Replayed{Entry: entryOf(evidence.ConsentOf(other.ID)), After: other})
	}))
	other.Forms = append(other.Forms, evidence.NewID[evidence.ItemID]())
	w.tips[evidence.ConsentOf(other.ID)] = other.Last
	w.put(evidence.ConsentOf(other.ID), other) // what it has it keeps
}

// A case is for who a person is or for evidence, whichever comes first, and consent forms stand beside both; with the last item of one kind
// shredded it is open to the other. What was accepted before that was asked can be written again, and has its steps.
func testSides(t *testing.T, e engine) {
	w := newWorld(t, e.create(t))
	in := evidence.NewID[evidence.CaseID]()
	item := func(class evidence.Class) *evidence.ItemState {
		i := newItem(evidence.NewID[evidence.ItemID](), in)
		i.Class = class
		return i
	}
	put := func(i *evidence.ItemState) { t.Helper(); w.put(evidence.ItemOf(i.ID), i) }
	apart := func(class evidence.Class) {
		t.Helper()
		i := item(class)
		_, err := w.try(evidence.ItemOf(i.ID), i)
		refused(t, err, evidence.Conflict, "identity_case")
	}
	var kept []*evidence.ItemState
	for _, class := range []evidence.Class{evidence.ConsentForm, evidence.Original, evidence.DescriptionOnly, evidence.ConsentForm} {
		i := item(class)
		if put(i); class != evidence.ConsentForm {
			kept = append(kept, i)
		}
	}
	for _, i := range kept {
		apart(evidence.Identity)
		i.Shredded = evidence.At(noon)
		put(i)
	}
	who := item(evidence.Identity)
	put(who)
	put(item(evidence.Identity))
	put(item(evidence.ConsentForm))
	for _, class := range []evidence.Class{evidence.Original, evidence.Derived, evidence.DescriptionOnly} {
		apart(class)
	}
	before := item(evidence.Original)
	before.Last.Time = evidence.At(noon)
	ok(t, w.db.submit(ctx, func(ctx context.Context, t *tx) error {
		return t.reproject(ctx, Replayed{Entry: entryOf(evidence.ItemOf(before.ID)), After: before})
	}))
	w.tips[evidence.ItemOf(before.ID)] = before.Last
	put(before)
	put(who)
	in = evidence.NewID[evidence.CaseID]() // another case is another
	put(item(evidence.Original))
}

// Of an identity and evidence that come at the same moment into an empty case one stays out.
func testSidesRace(t *testing.T, e engine) {
	w := newWorld(t, e.create(t))
	for range 10 {
		in := evidence.NewID[evidence.CaseID]()
		done := make(chan error)
		for _, class := range []evidence.Class{evidence.Identity, evidence.Original} {
			i := newItem(evidence.NewID[evidence.ItemID](), in)
			i.Class = class
			signed := w.sign(evidence.ItemOf(i.ID))
			go func() {
				_, err := w.db.Commit(ctx, ledger.Commit{Signed: signed}, rule(signed, i))
				done <- err
			}()
		}
		one, other := <-done, <-done
		if (one == nil) == (other == nil) || evidence.ReasonOf(cmp.Or(one, other)) != "identity_case" {
			t.Fatalf("%v, %v", one, other)
		}
	}
}

// A physical item is in the hands of its keeper, and of who is to receive it.
func testInHands(t *testing.T, e engine) {
	w := newWorld(t, e.create(t))
	in, police, court := evidence.NewID[evidence.CaseID](), evidence.NewID[evidence.ActorID](), evidence.NewID[evidence.ActorID]()
	item := newItem(evidence.NewID[evidence.ItemID](), in)
	on := evidence.ItemOf(item.ID)
	has := func(actor evidence.ActorID, in evidence.CaseID) bool {
		t.Helper()
		return len(must[[]*evidence.ItemState](t)(w.db.InHands(ctx, actor, in, "", 9))) == 1
	}
	for _, step := range []struct {
		keeper, to    evidence.ActorID
		police, court bool
	}{{"", "", false, false}, {"", police, true, false}, {police, "", true, false}, {police, court, true, true}, {court, "", false, true}, {"", "", false, false}} {
		item.Keeper, item.Transit = step.keeper, nil
		if step.to != "" {
			item.Transit = &evidence.TransitState{To: step.to}
		}
		w.put(on, item)
		if has(police, in) != step.police || has(court, in) != step.court || has(police, evidence.NewID[evidence.CaseID]()) {
			t.Errorf("%+v: %t, %t", step, has(police, in), has(court, in))
		}
	}
}

// A vault from before moments, speakers, forms, hands and sides were projected gets what events would make of them, also where one form was taken
// for two consents, which was accepted then.
func TestMigration(t *testing.T) {
	e := sqliteEngine()
	db := e.create(t)
	in, form := evidence.NewID[evidence.CaseID](), evidence.NewID[evidence.ItemID]()
	project := func(s evidence.Stream, state evidence.State) {
		t.Helper()
		ok(t, db.submit(ctx, func(ctx context.Context, t *tx) error {
			return t.reproject(ctx, Replayed{Entry: entryOf(s), After: state})
		}))
	}
	for range 2 {
		c := newConsent(in, noon)
		c.Forms, c.Subject = []evidence.ItemID{form}, evidence.NewID[evidence.ActorID]()
		project(evidence.ConsentOf(c.ID), c)
	}
	for i := range 6 {
		item := newItem(evidence.NewID[evidence.ItemID](), in)
		item.Last.Time = evidence.At(noon)
		switch i {
		case 3:
			item.Class = evidence.Identity
		case 4:
			item.Class = evidence.ConsentForm
		case 5:
			item.Shredded = evidence.At(noon)
		}
		if i > 0 {
			item.Keeper = evidence.NewID[evidence.ActorID]()
		}
		if i > 1 {
			item.Transit = &evidence.TransitState{To: evidence.NewID[evidence.ActorID]()}
		}
		project(evidence.ItemOf(item.ID), item)
	}
	anew := []string{"moments", "speakers", "forms", "keepers", "sides"}
	rows := func(db *DB) (all [][]string) {
		for _, p := range projections {
			if slices.Contains(anew, p.table) {
				all = append(all, must[[]string](t)(list(ctx, db.read, scanTo[string],
					`select json_array(`+p.key+`, `+p.rest+`) from `+p.table+` order by 1`)))
			}
		}
		return all
	}
	want := rows(db)
	ok(t, db.submit(ctx, func(ctx context.Context, tx *tx) error {
		for _, table := range append(anew, "leases", "published_stamps", "published", "event_stamps", "stamping", "limits") {
			if _, err := tx.exec(ctx, `drop table `+table); err != nil {
				return err
			}
		}
		if _, err := tx.exec(ctx, `delete from meta where key = 'compatible'`); err != nil {
			return err
		}
		_, err := tx.exec(ctx, `delete from goose_db_version where version_id > 1`)
		return err
	}))
	db = e.reopen(t, db)
	same(t, rows(db), want)
	if len(want[0]) == 0 || len(want[1]) != 2 || len(want) != 5 {
		t.Errorf("nothing was compared: %v", want)
	}
}

func entryOf(s evidence.Stream) ledger.Entry { return ledger.Entry{Stream: s} }
