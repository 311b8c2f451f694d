package dossier

import (
	"encoding/csv"
	"strconv"
	"strings"
	"testing"
	"time"

	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
)

// The index lists what is sealed; the schedule of unused material only what nobody outside was given. Drafts are in neither.
func TestSchedules(t *testing.T) {
	w, shared := newShared(t)
	kept, draft := w.deposit("another finding"), w.deposit("not final")
	w.seal(kept, 2)
	h, findings := Replay(w.trust, w.excerpt(ev.ItemOf(shared), ev.ItemOf(kept), ev.ItemOf(draft)))
	if len(findings) > 0 {
		t.Fatal(findings)
	}
	c := must(h.CustodyOf("", w.now, shared, kept, draft))
	c.Items[1].Extent = Extent{Lasts: 62 * time.Second}
	for _, s := range []struct {
		Schedule
		want []ev.ItemID
	}{{Index, []ev.ItemID{shared, kept}}, {Unused, []ev.ItemID{kept}}} {
		var table, page strings.Builder
		for _, out := range []*CustodyWriter{s.NewTable(&table), s.NewPage(&page, English)} {
			if err := out.Add(c); err != nil {
				t.Fatal(err)
			}
			if err := out.End(); err != nil {
				t.Fatal(err)
			}
		}
		rows := must(csv.NewReader(strings.NewReader(table.String())).ReadAll())
		if len(rows) != len(s.want)+1 {
			t.Fatalf("%s: %d rows", s.title(), len(rows))
		}
		for i, id := range s.want {
			row := rows[i+1]
			file := w.files[id].evidence
			if row[1] != string(id) || row[3] != ev.SHA256(file).String() || row[4] != strconv.Itoa(len(file)) || row[7] == "" || (row[8] == "shared") != (id == shared) {
				t.Errorf("%s: %q", s.title(), row)
			}
			if said := row[10] + "|" + row[11]; said != "|" && id != kept || said != "|62" && id == kept {
				t.Errorf("%s: %s has an extent of %s", s.title(), id, said)
			}
			if !strings.Contains(page.String(), row[1]) || !strings.Contains(page.String(), row[3]) {
				t.Errorf("%s: %s is not on the page", s.title(), id)
			}
		}
		if foot := `@bottom-center { content: "` + English.moment(c.AsOf) + `" } @bottom-right { content: counter(page) " / " counter(pages); direction: ltr }`; !strings.Contains(page.String(), foot) {
			t.Errorf("the printed pages have not %s", foot)
		}
		if strings.Count(page.String(), "0:01:02") != 1 || strings.Contains(page.String(), "not stated") != (len(s.want) > 1) {
			t.Errorf("%s: extents:\n%s", s.title(), page.String())
		}
		if strings.Contains(page.String(), string(draft)) || !strings.Contains(page.String(), strconv.Itoa(len(s.want))+" in all") || strings.Contains(page.String(), "http") {
			t.Errorf("%s:\n%s", s.title(), page.String())
		}
	}
	item := c.Items[1] // what was handed over as an object is not unused
	item.Rows = append(item.Rows, CustodyRow{Event: &ev.Event{Details: &ev.ItemTransferredDetails{Class: ev.Police}}})
	c.Items = []CustodyItem{item}
	if list := Unused.lines(c); len(list) != 0 {
		t.Errorf("handed over, and unused: %+v", list)
	}
	g := ev.GrantState{Status: ev.GrantEnded} // stopped before anybody approved it
	state := *c.Items[0].ItemState
	state.Grants = []ev.GrantState{g}
	c.Items[0].ItemState, c.Items[0].Rows = &state, item.Rows[:len(item.Rows)-1]
	if list := Unused.lines(c); len(list) != 1 {
		t.Errorf("never approved, and used: %+v", list)
	}
}

// Where a share may be among what is withheld, neither schedule says that there was none: not in the list, at its head, nor at its end.
func TestScheduleOfWithheld(t *testing.T) {
	w, shared := newShared(t)
	kept := w.deposit("another finding")
	w.seal(kept, 2)
	until := w.now.Add(30 * day)
	x := w.excerpt(ev.ItemOf(shared), ev.ItemOf(kept))
	for i := range x.Streams {
		s := x.Streams[i].ID
		if s != ev.ItemOf(shared) {
			continue
		}
		whole := x.Streams[i].Receipt
		x.Streams[i].Receipt = func(seq int64) ([]byte, error) {
			if seq < 2 { // deposited and sealed
				return whole(seq)
			}
			p := w.parts(w.events[s][seq], len(w.logged))
			return Withheld{string(p.Checkpoint), p.Proof, p.Index, ev.Hash(tlog.LeafHash(p.Leaf)), until}.Marshal()
		}
	}
	h, findings := Replay(w.trust, x)
	if len(findings) > 0 {
		t.Fatal(findings)
	}
	c := must(h.CustodyOf("", w.now, shared, kept))
	for _, s := range []Schedule{Index, Unused} {
		var table, page strings.Builder
		for _, out := range []*CustodyWriter{s.NewTable(&table), s.NewPage(&page, English)} {
			if err := out.Add(c); err != nil {
				t.Fatal(err)
			}
			if err := out.End(); err != nil {
				t.Fatal(err)
			}
		}
		rows := must(csv.NewReader(strings.NewReader(table.String())).ReadAll())
		if len(rows) != 3 || rows[0][9] != "not_said_before" || rows[1][8] != "may_not_be_said" || rows[1][9] != until.String() || rows[2][8] != "not_shared" || rows[2][9] != "" {
			t.Errorf("%s: %q", s.title(), rows)
		}
		for _, want := range []string{"<td>may not be said before " + moment(until) + "</td>", "2 in all; of 1 of them it may not be said yet", "steps under a secret hold"} {
			if !strings.Contains(page.String(), want) {
				t.Errorf("%s: %q is not in\n%s", s.title(), want, page.String())
			}
		}
	}
	gone := *c.Items[0].ItemState
	gone.Shredded = w.now
	c.Items[0].ItemState = &gone
	if got := Unused.lines(c)[0].Status(English); got != "unreadable for good; whether it was shared may not be said before "+moment(until) {
		t.Errorf("shredded: %q", got)
	}
}

// A share that a subject who is asked first never agreed to was none; one that was in force before she wanted to be asked was.
func TestScheduleAskedFirst(t *testing.T) {
	w, shared := newShared(t)
	end := func(id ev.ItemID) {
		w.do(w.on(id, "clinician", ev.GrantRevoked, &ev.GrantRevokedDetails{Grant: w.grant, Cause: ev.CauseError}, func(e *ev.Event) { e.Change = ev.CauseError }))
	}
	old := *w.facts.States[ev.ConsentOf(w.con)].(*ev.ConsentState)
	form := w.deposit("the second form", func(e *ev.Event) {
		e.Consent = nil
		e.Details.(*ev.ItemDepositedDetails).Class = ev.ConsentForm
	})
	w.do(w.event("clinician", ev.ConsentOf(w.con), ev.ConsentGiven, &ev.ConsentGivenDetails{Version: 2, From: old.From, Until: old.Until, By: "self", Form: form,
		Answers: old.Answers, AskFirst: true}))
	end(shared)
	second := []ev.ConsentRef{{ID: w.con, Version: 2}}
	asked := w.deposit("another finding", func(e *ev.Event) { e.Consent = second })
	w.seal(asked, 2)
	w.grant = ev.NewID[ev.GrantID]()
	proposal := w.proposal(asked)
	proposal.Details.(*ev.GrantProposedDetails).Terms.Consent = second
	w.do(proposal)
	w.do(w.approval(asked, "custodian 2"))
	end(asked)
	h, findings := Replay(w.trust, w.excerpt(ev.ItemOf(shared), ev.ItemOf(asked)))
	if len(findings) > 0 {
		t.Fatal(findings)
	}
	c := must(h.CustodyOf("", w.now, shared, asked))
	if list := Index.lines(c); len(list) != 2 || list[0].Status(English) != "shared" || list[1].Status(English) != "not shared" {
		t.Errorf("%+v", list)
	}
	if list := Unused.lines(c); len(list) != 1 || list[0].ID != asked {
		t.Errorf("unused: %+v", list)
	}
	state := *c.Items[1].ItemState
	state.Grants = []ev.GrantState{state.Grants[0]}
	state.Grants[0].Agreed = []ev.ConsentID{w.con}
	c.Items[1].ItemState = &state
	if list := Unused.lines(c); len(list) != 0 {
		t.Errorf("she agreed, and unused: %+v", list)
	}
}
