package client

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/scan"
)

// What was said before, and beside the file, is looked through too: a recipient's package holds every version of the description and the notes.
func TestCheckOfAllThatGoes(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	in := w.openCase()
	survivor := w.enrol("survivor", evidence.Survivor, w.custodian, w.second)
	now := time.Now()
	consent, _, _, err := w.clinician.GiveConsent(ctx, Consent{
		Case: in, By: "self", Subject: survivor.Actor(), From: evidence.At(now.Add(-time.Hour)), Until: evidence.At(now.Add(24 * time.Hour)),
		Answers: evidence.Answers{Examination: evidence.Yes, Photographs: evidence.Yes, Storage: evidence.Yes,
			Courts: []evidence.CourtAnswer{{Jurisdiction: "DE", Photographs: evidence.Yes}}},
		Form: Deposit{Label: "Consent form", Description: Description{Name: "form.txt", MediaType: "text/plain"}, Body: piecemeal("I agree.")},
	})
	check(t, err)
	d := w.photo(in, consent, strings.NewReader("x"))
	d.Description.Name, d.Notes = "Amara Diallo.jpg", map[string]string{"circumstances": "Amara Diallo, room 3"}
	item, _, err := w.clinician.Deposit(ctx, d)
	check(t, err)
	_, err = w.custodian.Amend(ctx, Amendment{Item: item, Cause: evidence.CauseError, Reason: "no names", Purpose: evidence.ForDocumentation,
		Change: func(d *Description) { d.Name = "back.jpg" }})
	check(t, err)
	_, err = w.custodian.Seal(ctx, item, 0)
	check(t, err)

	no := errors.New("not this way")
	var seen Noticed
	names := &Check{Names: []string{"Amara Diallo"}, Agree: func(f Noticed) error { seen = f; return no }}
	asked := func(act string, err error, opened bool, want ...string) {
		t.Helper()
		var where []string
		for _, f := range seen.Findings {
			if f.Kind != scan.Name && f.Kind != scan.EMail || f.Kind == scan.Name && f.Of != 1 {
				t.Errorf("%s: %+v", act, f)
			}
			if !slices.Contains(where, f.Where) {
				where = append(where, f.Where)
			}
		}
		if !errors.Is(err, no) || !slices.Equal(where, want) || seen.Opened != opened || len(seen.Unread) > 0 {
			t.Errorf("%s: %v, found at %q, want %q; %+v", act, err, where, want, seen)
		}
		seen = Noticed{}
	}
	version, note := "version 1, file name", `note "circumstances" of step 1`
	proposal := Proposal{
		Item: item, Recipient: w.court.Actor(), Actions: []evidence.Action{evidence.Download, evidence.View}, Purpose: evidence.ForAdjudication,
		Jurisdiction: "DE", LegalBasis: "court_order", NotBefore: evidence.At(now), Expires: evidence.At(now.Add(24 * time.Hour)),
		Reason: "Diallo, request by clerk@court.example, for " + string(item), Check: names,
	}
	steps := func() int { return len(must(w.custodian.History(ctx, evidence.ItemOf(item)))(t)) }
	before := steps()
	_, _, err = w.custodian.Propose(ctx, proposal)
	asked("propose, closed", err, false, "reason")
	proposal.Check = &Check{Agree: names.Agree}
	_, _, err = w.custodian.Propose(ctx, proposal)
	asked("propose, no names", err, false, "reason")
	if n := steps(); n != before {
		t.Errorf("the reason was looked through in %d steps of the item", n-before)
	}
	proposal.Check, proposal.Through = names, true
	_, _, err = w.custodian.Propose(ctx, proposal)
	asked("propose, opened", err, true, "reason", version, note)
	_, err = w.custodian.CopyForSubject(ctx, item, names)
	asked("own copy", err, true, version, note)

	proposal.Check = &Check{Names: []string{"Nobody"}, Agree: func(Noticed) error { return nil }}
	later := []evidence.ActorID{w.investigator.Actor()}
	_, err = w.custodian.ChangeKeyring(ctx, in, nil, later)
	check(t, err)
	grant, proposed, err := w.custodian.Propose(ctx, proposal)
	check(t, err)
	_, err = w.custodian.ChangeKeyring(ctx, in, later, nil)
	check(t, err)
	_, err = w.second.Approve(ctx, item, grant)
	check(t, err)
	reason := fmt.Sprintf("note %q of step %d", "reason", proposed.Event.Stream.Seq+1)
	_, err = w.second.WriteEnvelope(ctx, item, grant, names)
	asked("key", err, true, version, note, reason)
	_, err = w.second.WriteEnvelope(ctx, item, grant, &Check{Agree: func(Noticed) error { return nil }})
	check(t, err)
	export := func(p *person, e Export) error {
		e.Item, e.Check = item, names
		_, err := p.Export(ctx, e, &strings.Builder{})
		return err
	}
	asked("export", export(w.court, Export{Grant: grant}), true, version, note, reason)
	asked("own export", export(w.second, Export{Purpose: evidence.ForDocumentation}), true, version, note)

	// Who came to the keys later cannot read what was told before, and is asked about that.
	_, err = w.investigator.WriteEnvelope(ctx, item, grant, &Check{Agree: names.Agree})
	if !errors.Is(err, no) || !slices.Equal(seen.Unread, []string{reason}) || len(seen.Findings) > 0 {
		t.Errorf("%v, %+v", err, seen)
	}
}
