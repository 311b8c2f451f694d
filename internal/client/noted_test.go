package client

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/evidence"
)

// noteTexts spells out notes as name: text, or name (why there is no text).
func noteTexts(list []ReadNote) string {
	var lines []string
	for _, n := range list {
		if line := n.Name + ": " + n.Text; n.Unread == "" {
			lines = append(lines, line)
		} else {
			lines = append(lines, n.Name+" ("+string(n.Unread)+")")
		}
	}
	return strings.Join(lines, "; ")
}

// Every note has its reader: members read internal ones without a trace, those who hold a key read the rest by an access, and nobody after
// the shred.
func TestNotes(t *testing.T) {
	w, clock := newLaterWorld(t)
	ctx := t.Context()
	in := w.openCase()
	kit, _, err := w.clinician.Deposit(ctx, Deposit{Case: in, Class: evidence.DescriptionOnly, Content: evidence.Physical, Basis: evidence.StatutoryDuty,
		Authority: sampleGround, Label: "kit", Description: Description{Name: "kit 4", MediaType: "text/plain"}})
	check(t, err)
	_, err = w.clinician.HandOverItem(ctx, HandOver{Item: kit, To: w.investigator.Actor(), Note: "kit 4, seal 81"})
	check(t, err)
	_, err = w.investigator.ReceiveItem(ctx, kit, true, "dry", nil)
	check(t, err)
	_, err = w.clinician.Seal(ctx, kit, 0)
	check(t, err)
	_, err = w.second.Open(ctx, Open{Item: kit, Purpose: evidence.ForVerification, Reason: "review"}, &bytes.Buffer{})
	check(t, err)
	now := evidence.At(clock.now())
	grant, _, err := w.custodian.Propose(ctx, Proposal{Item: kit, Recipient: w.court.Actor(), Actions: []evidence.Action{evidence.Download, evidence.View},
		Purpose: evidence.ForAdjudication, Jurisdiction: "DE", LegalBasis: "court_order", NotBefore: now, Expires: now.Add(24 * time.Hour), Reason: "request 7"})
	check(t, err)
	_, err = w.second.Refuse(ctx, kit, grant, "not yet")
	check(t, err)
	_, err = w.custodian.ProposeShred(ctx, kit, Shredding{Cause: evidence.CauseOrder, Basis: evidence.CourtOrder, Order: "order 9"})
	check(t, err)
	_, err = w.custodian.CancelShred(ctx, kit, evidence.CauseError)
	check(t, err)

	stream := evidence.ItemOf(kit)
	read := func(p *person) string { t.Helper(); return noteTexts(must(p.Notes(ctx, stream))(t)) }
	const sealed = "authority (not_for_you); transfer (not_for_you); condition (not_for_you); reason: review; reason (not_for_you); reason: not yet; authority (not_for_you)"
	if got := read(w.clinician); got != sealed { // a member without a key
		t.Errorf("the clinician reads %s", got)
	}
	const closed = "authority (needs_opening); transfer (needs_opening); condition (needs_opening); reason: review; reason (needs_opening); reason: not yet; authority (needs_opening)"
	steps := must(w.second.History(ctx, stream))(t)
	if got := read(w.investigator); got != closed {
		t.Errorf("a keyholder reads %s", got)
	}
	if after := must(w.second.History(ctx, stream))(t); len(after) != len(steps) {
		t.Errorf("reading left %d traces", len(after)-len(steps))
	}
	list, access, err := w.investigator.OpenNotes(ctx, Open{Item: kit, Purpose: evidence.ForInvestigation})
	check(t, err)
	const open = "authority: " + sampleGround + "; transfer: kit 4, seal 81; condition: dry; reason: review; reason: request 7; reason: not yet; authority: order 9"
	if got := noteTexts(list); got != open || access.Event.Kind != evidence.ItemOpened {
		t.Errorf("opened, a keyholder reads %s", got)
	}
	if _, _, err := w.clinician.OpenNotes(ctx, Open{Item: kit, Purpose: evidence.ForCare}); err == nil {
		t.Error("who holds no key opened it")
	}

	// The vault answers with another text than the one that was signed.
	i := slices.IndexFunc(list, func(n ReadNote) bool { return n.Audience == evidence.ToInternal })
	lie := instead("GET", list[i].SHA256.String(), func(body []byte) []byte { body[len(body)-1] ^= 1; return body })
	_, err = w.client(w.second, lie).Notes(ctx, stream)
	wantLie(t, err, OtherText)

	// Who leaves and comes back has no key to what was sealed before; who stayed has.
	_, err = w.custodian.ChangeKeyring(ctx, in, nil, []evidence.ActorID{w.investigator.Actor()})
	check(t, err)
	_, err = w.custodian.RemoveMember(ctx, in, w.investigator.Actor(), evidence.CauseDeparture)
	check(t, err)
	_, err = w.custodian.AddMember(ctx, in, evidence.Member{Actor: w.investigator.Actor(), Rights: []evidence.Right{evidence.MayOpen}}, "Joan")
	check(t, err)
	for p, want := range map[*person]string{w.investigator: "not_for_you", w.second: "review"} {
		if got := read(p); !strings.Contains(got, want) || strings.Contains(got, "not_for_you") != (p == w.investigator) {
			t.Errorf("after a departure %s reads %s", p.Actor(), got)
		}
	}
	if got := noteTexts(must(w.investigator.Notes(ctx, evidence.CaseOf(in)))(t)); got != "name: Joan" {
		t.Errorf("in the case: %s", got)
	}

	_, err = w.custodian.ProposeShred(ctx, kit, Shredding{Cause: evidence.CauseOrder, Basis: evidence.CourtOrder, Order: "order 10"})
	check(t, err)
	clock.pass(15 * 24 * time.Hour)
	_, err = w.second.Shred(ctx, kit)
	check(t, err)
	for _, p := range []*person{w.custodian, w.clinician} {
		if got := must(p.Notes(ctx, stream))(t); len(got) != 8 || slices.ContainsFunc(got, func(n ReadNote) bool { return n.Unread != UnreadErased || n.Text != "" }) {
			t.Errorf("after the shred: %s", noteTexts(got))
		}
	}
}
