package client

import (
	"archive/zip"
	"bytes"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/dossier"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
)

// RULES §12, 1, 2 and 5: what arrives is what was given, byte for byte, metadata and all; its digest is of that; how it was received is told.
func TestOriginals(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	in := w.openCase()
	picture := slices.Concat([]byte("\xff\xd8\xff\xe1\x00\x2aExif\x00\x00GPS 52.37 4.89 serial 12345"), random(200_000), []byte("\xff\xd9"))
	p := w.photo(in, w.consent(in), bytes.NewReader(picture))
	p.Description.Acquisition = filled(t, "acquisition-1", map[string]any{"received_via": map[string]string{"value": "messenger", "source": "the sender", "confidence": "high"}})
	item, _, err := w.clinician.Deposit(ctx, p)
	check(t, err)
	var got bytes.Buffer
	opened, err := w.second.Open(ctx, Open{Item: item, Purpose: evidence.ForVerification}, &got)
	check(t, err)
	d := opened.Description
	if !bytes.Equal(got.Bytes(), picture) || d.SHA256 != evidence.SHA256(picture) || d.Size != int64(len(picture)) {
		t.Error("the original was changed, or its digest is of something else")
	}
	if !regexp.MustCompile(`"received_via":\{[^}]*"messenger"`).Match(d.Acquisition) {
		t.Errorf("how it was received is lost: %s", d.Acquisition)
	}
}

// RULES §12, 3: a recipient who gets other bytes is alarmed, says so in a signed act, and auditors see it.
func TestUnequalAlarms(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	in := w.openCase()
	item := w.deposit(w.clinician, in, w.consent(in), bytes.NewReader(random(100_000)))
	_, err := w.clinician.Seal(ctx, item, 0)
	check(t, err)
	grant := w.grants(w.custodian, item, w.court)
	lie := instead("GET", "/evidence", func(body []byte) []byte { body[len(body)/2] ^= 1; return body })
	done, err := w.client(w.court, lie).Export(ctx, Export{Item: item, Grant: grant}, io.Discard)
	wantLie(t, err, OtherBytes)
	if done.Acknowledged == nil || done.Acknowledged.Event.Details.(*evidence.GrantAcknowledgedDetails).Equal || done.Receipt != nil {
		t.Errorf("%+v", done)
	}
	auditor := w.enrol("auditor", evidence.Auditor, w.admin, w.custodian)
	unequal := func() bool {
		return slices.ContainsFunc(must(auditor.Audit(ctx, 0, nil))(t).Findings, func(f Finding) bool {
			return f.Kind == FoundUnequal && f.Item == item && f.Actor == w.court.Actor()
		})
	}
	if !unequal() {
		t.Error("the auditor is not alarmed")
	}
	_, err = w.court.Export(ctx, Export{Item: item, Grant: grant}, io.Discard) // then the bytes arrive as they were recorded
	check(t, err)
	if unequal() {
		t.Error("the alarm stays after an equal receipt")
	}
}

// kindsIn are the kinds of all events in a package, by stream type.
func kindsIn(t *testing.T, file []byte) map[string]bool {
	t.Helper()
	kinds := make(map[string]bool)
	r := must(zip.NewReader(bytes.NewReader(file), int64(len(file))))(t)
	for _, f := range r.File {
		if !strings.Contains(f.Name, "/events/") {
			continue
		}
		receipt := must(tlog.ParseReceipt(must(io.ReadAll(must(f.Open())(t)))(t)))(t)
		_, payload, _, _ := receipt.DSSE()
		kinds[string(regexp.MustCompile(`"kind":"([a-z_.]+)"`).FindSubmatch(payload)[1])] = true
	}
	return kinds
}

// RULES §12, 8, 9, 15 and 33: court and defence get the same bytes and the same answer from the verifier, neither the other side's internal
// notes; a package tells versions, incidents and administration, and no address, place or name; a forwarded share opens nothing, nor an old
// one.
func TestTwoSides(t *testing.T) {
	w, clock := newLaterWorld(t)
	ctx := t.Context()
	defence := w.enrol("defence", evidence.Defence, w.custodian, w.admin)
	w.setClock(defence, clock)
	in := w.openCase()
	canaries := []string{"amara@example.org", "+31 20 555 01 23", "52.370216", "SN-4711-ABC", "Amara", "internal matter"}
	original := []byte(strings.Join(canaries, "\n"))
	p := w.photo(in, w.consent(in), bytes.NewReader(original))
	p.Label, p.Description.Name, p.Notes = "Amara amara@example.org", "Amara 52.370216.jpg", map[string]string{"circumstances": "SN-4711-ABC, +31 20 555 01 23"}
	item, _, err := w.clinician.Deposit(ctx, p)
	check(t, err)
	_, err = w.clinician.Seal(ctx, item, 0)
	check(t, err)
	_, err = w.second.Open(ctx, Open{Item: item, Purpose: evidence.ForVerification, Reason: "internal matter"}, io.Discard)
	check(t, err)
	_, err = w.admin.ReportIncident(ctx, evidence.VaultIncidentDetails{Code: "outage", From: evidence.At(clock.now().Add(-time.Hour)), Scope: "vault"})
	check(t, err)
	sides := []*person{w.court, defence}
	grant := make(map[*person]evidence.GrantID)
	for _, side := range sides {
		grant[side] = w.grants(w.custodian, item, side)
	}

	_, err = defence.Redeem(ctx, Redemption{Item: item, Grant: grant[w.court], Action: evidence.View}, io.Discard)
	wantReason(t, err, evidence.ReasonRecipient)
	_, err = w.investigator.Redeem(ctx, Redemption{Item: item, Grant: grant[w.court], Action: evidence.View}, io.Discard)
	if err == nil {
		t.Error("a forwarded share was opened")
	}

	reports := make(map[*person]*dossier.Report)
	for _, side := range sides {
		var file bytes.Buffer
		_, err := side.Export(ctx, Export{Item: item, Grant: grant[side]}, &file)
		check(t, err)
		verify := func(o dossier.Options) *dossier.Report {
			t.Helper()
			o.Trust = &w.trust
			return must(dossier.Verify(bytes.NewReader(file.Bytes()), int64(file.Len()), o))(t)
		}
		reports[side] = verify(dossier.Options{Identity: &side.identity})
		var once, again bytes.Buffer // on two computers, one answer
		check(t, reports[side].WriteJSON(&once))
		check(t, verify(dossier.Options{Identity: &side.identity}).WriteJSON(&again))
		if !bytes.Equal(once.Bytes(), again.Bytes()) {
			t.Error("the verifier says two things of one package")
		}
		kinds := kindsIn(t, file.Bytes())
		for _, kind := range []string{"vault.configured", "vault.incident", "actor.enrolled", "actor.confirmed", "case.opened"} {
			if !kinds[kind] {
				t.Errorf("the package lacks %s", kind)
			}
		}
		if strings.Contains(file.String(), "/notes/000002-reason.age") {
			t.Error("an internal note is in the package")
		}
		for _, text := range canaries {
			if bytes.Contains(file.Bytes(), []byte(text)) || bytes.Contains(once.Bytes(), []byte(text)) {
				t.Errorf("%q stands in the package or the report", text)
			}
		}
		if mail := regexp.MustCompile(`[a-z0-9.]+@[a-z0-9-]+\.(org|com|net|nl|de)\b`).Find(once.Bytes()); mail != nil {
			t.Errorf("a mail address in the report: %s", mail)
		}
	}
	one, two := reports[w.court], reports[defence]
	if one.Verdict != dossier.Verified || !slices.Equal(one.Checks, two.Checks) || one.Items[0].SHA256 != two.Items[0].SHA256 || one.Items[0].Size != two.Items[0].Size {
		t.Errorf("the court's package: %s, %+v; the defence's: %s, %+v", one.Verdict, one.Checks, two.Verdict, two.Checks)
	}
	for i, e := range one.Events { // the defence's is later, so its history is longer
		if two.Events[i] != e {
			t.Errorf("step %d: the court reads %+v, the defence %+v", e.Step, e, two.Events[i])
		}
	}

	clock.pass(13 * time.Hour)
	for _, side := range sides {
		_, err = side.Redeem(ctx, Redemption{Item: item, Grant: grant[side], Action: evidence.View}, io.Discard)
		wantReason(t, err, evidence.ReasonGrantOver)
	}
}

// RULES §12, 19: whoever may see an item's history sees all of it, whatever the rank.
func TestAllSeeTheSame(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	in := w.openCase()
	item := w.deposit(w.clinician, in, w.consent(in), strings.NewReader("x"))
	_, err := w.clinician.Seal(ctx, item, 0)
	check(t, err)
	check(t, w.opens(w.investigator, item, ""))
	grant := w.grants(w.custodian, item, w.court)
	check(t, w.redeems(item, grant))
	auditor := w.enrol("auditor", evidence.Auditor, w.admin, w.custodian)
	leaves := func(p *person) (list []evidence.Hash) {
		t.Helper()
		for _, e := range must(p.History(ctx, evidence.ItemOf(item)))(t) {
			list = append(list, e.Leaf)
		}
		return list
	}
	want := leaves(w.custodian)
	if len(want) < 7 {
		t.Fatalf("%d steps", len(want))
	}
	for _, p := range []*person{w.second, w.clinician, w.investigator, w.court, auditor} {
		if got := leaves(p); !slices.Equal(got, want) {
			t.Errorf("%s sees %d steps, the custodian %d", p.Actor(), len(got), len(want))
		}
	}
}

// RULES §12, 32: the vault cannot tell that a file came twice; this device can, inside a case.
func TestSameFileTwice(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	one, two := w.openCase(), w.openCase()
	deposit := func(in evidence.CaseID, consent evidence.ConsentID) Deposited {
		t.Helper()
		p := w.photo(in, consent, strings.NewReader("the same picture"))
		p.Size = int64(len("the same picture"))
		return must(w.clinician.DepositOnce(ctx, p))(t)
	}
	consent := w.consent(one)
	first, second, other := deposit(one, consent), deposit(one, consent), deposit(two, w.consent(two))
	if first.Before || !second.Before || second.Item != first.Item || other.Before || other.Item == first.Item {
		t.Errorf("%+v, then %+v, in another case %+v", first, second, other)
	}
	again, _, err := w.clinician.Deposit(ctx, w.photo(one, consent, strings.NewReader("the same picture")))
	check(t, err)
	digests := make(map[evidence.Hash]bool)
	for _, id := range []evidence.ItemID{first.Item, other.Item, again} {
		item, _ := itemNow(t, w.custodian, id)
		digests[item.Evidence.SHA256], digests[item.Description.SHA256], digests[item.Label.SHA256] = true, true, true
	}
	if len(digests) != 9 {
		t.Errorf("of three deposits of one file the vault sees %d different digests, want 9", len(digests))
	}
}
