package sqldb

import (
	"slices"
	"strings"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/vault"
)

func testDirectory(t *testing.T, e engine) {
	w := newWorld(t, e.create(t))
	var actors []evidence.ActorID
	for range 5 {
		a := evidence.NewID[evidence.ActorID]()
		w.put(evidence.ActorOf(a), newActor(a))
		actors = append(actors, a)
	}
	slices.Sort(actors)
	var listed []evidence.ActorID
	for after := evidence.ActorID(""); ; after = listed[len(listed)-1] {
		page := must[[]*evidence.ActorState](t)(w.db.Actors(ctx, after, 2))
		for _, a := range page {
			listed = append(listed, a.ID)
		}
		if len(page) < 2 {
			break
		}
	}
	same(t, listed, actors)

	a := actors[0]
	rotated := newActor(a)
	rotated.Key = keyText("rotated")
	w.put(evidence.ActorOf(a), rotated)
	for _, name := range []string{string(a), "rotated"} { // the past key too
		id, spki, err := w.db.Key(ctx, evidence.SHA256([]byte("spki of "+name)))
		if err != nil || id != a || string(spki) != "spki of "+name {
			t.Errorf("key of %s is %s, %q, %v", name, id, spki, err)
		}
	}
	_, _, err := w.db.Key(ctx, evidence.SHA256(nil))
	refused(t, err, evidence.NotFound, "key")

	c := evidence.NewID[evidence.CaseID]()
	kase := &evidence.CaseState{ID: c, Members: []evidence.Member{{Actor: actors[1]}, {Actor: actors[2]}}}
	w.put(evidence.CaseOf(c), kase)
	kase.Members = kase.Members[:1]
	w.put(evidence.CaseOf(c), kase)
	for i, want := range map[int]int{0: 0, 1: 1, 2: 1} { // who left is still listed
		got := must[[]*evidence.CaseState](t)(w.db.Cases(ctx, actors[i], "", 10))
		if len(got) != want || want == 1 && (got[0].ID != c || len(got[0].Members) != 1) {
			t.Errorf("cases of member %d: %+v", i, got)
		}
	}
	same(t, len(must[[]*evidence.CaseState](t)(w.db.Cases(ctx, actors[1], c, 10))), 0)

	consent := &evidence.ConsentState{ID: evidence.NewID[evidence.ConsentID](), Case: c, From: evidence.At(noon), Until: evidence.At(noon)}
	w.put(evidence.ConsentOf(consent.ID), consent)
	consent.Version = 2
	w.put(evidence.ConsentOf(consent.ID), consent)
	consents := must[[]*evidence.ConsentState](t)(w.db.Consents(ctx, c, "", 10))
	if len(consents) != 1 || consents[0].Version != 2 {
		t.Errorf("consents are %+v", consents)
	}
	same(t, len(must[[]*evidence.ConsentState](t)(w.db.Consents(ctx, c, consent.ID, 10))), 0)

	item := newItem(evidence.NewID[evidence.ItemID](), c)
	w.put(evidence.ItemOf(item.ID), item)
	items := must[[]*evidence.ItemState](t)(w.db.Items(ctx, c, "", 10))
	if len(items) != 1 || items[0].ID != item.ID {
		t.Errorf("items are %+v", items)
	}
	same(t, len(must[[]*evidence.ItemState](t)(w.db.Items(ctx, evidence.NewID[evidence.CaseID](), "", 10))), 0)
}

func testGrants(t *testing.T, e engine) {
	w := newWorld(t, e.create(t))
	c, court := evidence.NewID[evidence.CaseID](), evidence.NewID[evidence.ActorID]()
	shared := evidence.GrantID("gra-b")
	one, two := newItem("itm-a", c), newItem("itm-b", c)
	hour := noon.Add(time.Hour)
	one.Grants = []evidence.GrantState{
		newGrant("gra-a", one.ID, court, evidence.GrantPending, noon),
		newGrant(shared, one.ID, court, evidence.GrantPending, hour),
	}
	two.Grants = []evidence.GrantState{
		newGrant(shared, two.ID, court, evidence.GrantPending, hour),
		newGrant("gra-c", two.ID, "act-other", evidence.GrantActive, hour),
	}
	w.put(evidence.ItemOf(one.ID), one)
	w.put(evidence.ItemOf(two.ID), two)

	ids := func(list []vault.GrantOf) (s string) {
		for _, g := range list {
			s += string(g.Grant.Terms.ID) + "/" + string(g.Item) + " "
		}
		return strings.TrimSpace(s)
	}
	same(t, ids(must[[]vault.GrantOf](t)(w.db.Grants(ctx, court, "", 10))), "gra-a/itm-a gra-b/itm-a gra-b/itm-b")
	same(t, ids(must[[]vault.GrantOf](t)(w.db.Grants(ctx, court, "gra-a", 1))), "gra-b/itm-a gra-b/itm-b")
	same(t, ids(must[[]vault.GrantOf](t)(w.db.Grants(ctx, court, shared, 1))), "")
	if must[bool](t)(w.db.Granted(ctx, court, c)) {
		t.Error("granted before any grant was active")
	}

	one.Grants = slices.Clone(one.Grants)
	one.Grants[1].Status = evidence.GrantActive
	w.put(evidence.ItemOf(one.ID), one)
	one.Grants = slices.Clone(one.Grants)
	one.Grants[1].Status = evidence.GrantEnded
	w.put(evidence.ItemOf(one.ID), one)
	same(t, must[bool](t)(w.db.Granted(ctx, court, c)), true)
	same(t, must[bool](t)(w.db.Granted(ctx, court, "cas-other")), false)
	same(t, must[bool](t)(w.db.Granted(ctx, "act-nobody", c)), false)
	got := must[[]vault.GrantOf](t)(w.db.Grants(ctx, court, "gra-a", 10))
	same(t, got[0], vault.GrantOf{Item: one.ID, Case: c, Grant: one.Grants[1]})

	same(t, ids(must[[]vault.GrantOf](t)(w.db.Expired(ctx, evidence.At(noon)-1, 10))), "")
	same(t, ids(must[[]vault.GrantOf](t)(w.db.Expired(ctx, evidence.At(noon), 10))), "gra-a/itm-a")
	same(t, ids(must[[]vault.GrantOf](t)(w.db.Expired(ctx, evidence.At(hour), 10))), "gra-a/itm-a gra-b/itm-b gra-c/itm-b")
	same(t, ids(must[[]vault.GrantOf](t)(w.db.Expired(ctx, evidence.At(hour), 1))), "gra-a/itm-a")
	one.Grants = slices.Clone(one.Grants)
	one.Grants[0].Status = evidence.GrantOver
	w.put(evidence.ItemOf(one.ID), one)
	same(t, ids(must[[]vault.GrantOf](t)(w.db.Expired(ctx, evidence.At(hour), 1))), "gra-b/itm-b")
}
