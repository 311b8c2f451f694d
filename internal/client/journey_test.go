package client

import (
	"bytes"
	"crypto/rand"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/dossier"
	"strongroom.example/strongroom/internal/evidence"
)

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// TestJourney is the whole way of an item, from the founding of a vault to a package that a stranger verifies.
func TestJourney(t *testing.T) {
	w := newWorld(t)
	w.strict = true
	for _, p := range []*person{w.admin, w.custodian, w.second, w.clinician, w.investigator, w.court} {
		w.connect(p)
	}
	ctx := t.Context()
	in := w.openCase()
	consent := w.consent(in)

	// Deposits of all sizes; nothing of them stays on the device.
	var items []evidence.ItemID
	originals := [][]byte{random(20 << 20), random(1 << 20), {}}
	for _, original := range originals {
		items = append(items, w.deposit(w.clinician, in, consent, bytes.NewReader(original)))
	}
	if left, err := w.clinician.folder.List(depositsDir); err != nil || len(left) > 0 {
		t.Errorf("%d files of finished deposits are left: %v", len(left), err)
	}

	// Another keyholder opens each, and gets the original bytes.
	for i, id := range items {
		var got bytes.Buffer
		opened, err := w.second.Open(ctx, Open{Item: id, Purpose: evidence.ForDocumentation, Reason: "review"}, &got)
		check(t, err)
		if !bytes.Equal(got.Bytes(), originals[i]) || opened.Description.Name != "back.jpg" || opened.Description.Size != int64(len(originals[i])) {
			t.Errorf("item %d came back as something else", i)
		}
	}
	item := items[0]
	_, err := w.investigator.Verify(ctx, Open{Item: item, Purpose: evidence.ForVerification})
	check(t, err)
	_, err = w.clinician.Seal(ctx, item, 0)
	check(t, err)

	list := must(w.clinician.Items(ctx, in))(t)
	if len(list) != 4 {
		t.Fatalf("%d items are listed, want 4", len(list))
	}
	for _, l := range list {
		if !l.Opened || l.Class == evidence.Original && l.Label != "Photograph of the back" {
			t.Errorf("label %q", l.Label)
		}
		if sealed := l.ID == item; l.Sealed != sealed || l.Confirmed != sealed || l.Exhibit != map[bool]int64{true: 1}[sealed] {
			t.Errorf("%+v", l.ItemState)
		}
	}

	// Two persons share it with the court.
	now := evidence.At(time.Now())
	grant, _, err := w.second.Propose(ctx, Proposal{
		Item: item, Recipient: w.court.Actor(), Actions: []evidence.Action{evidence.View, evidence.Download}, Purpose: evidence.ForAdjudication,
		Jurisdiction: "DE", LegalBasis: "mla_request", NotBefore: now - 1000, Expires: now.Add(time.Hour), Reason: "request 12/27",
	})
	check(t, err)
	_, err = w.second.Approve(ctx, item, grant)
	wantReason(t, err, evidence.ReasonSecondPerson)
	_, err = w.custodian.WriteEnvelope(ctx, item, grant, nil)
	wantReason(t, err, evidence.ReasonGrantPending)
	_, err = w.custodian.Approve(ctx, item, grant)
	check(t, err)
	_, err = w.custodian.WriteEnvelope(ctx, item, grant, nil)
	check(t, err)

	granted := must(w.court.Grants(ctx))(t)
	if len(granted) != 1 || granted[0].ID != string(grant) {
		t.Fatalf("the court sees %d grants", len(granted))
	}
	var got bytes.Buffer
	_, err = w.court.Redeem(ctx, Redemption{Item: item, Grant: grant, Action: evidence.View}, &got)
	check(t, err)
	if !bytes.Equal(got.Bytes(), originals[0]) {
		t.Error("the court opened something else")
	}

	// The package verifies offline, and a copy with one changed byte does not.
	file := filepath.Join(t.TempDir(), "package.zip")
	var exported *Exported
	check(t, SaveAs(file, func(dst io.Writer) (err error) {
		exported, err = w.court.Export(ctx, Export{Item: item, Grant: grant}, dst)
		return err
	}))
	if exported.Acknowledged == nil || exported.Receipt == nil {
		t.Error("the export left no acknowledgement or no receipt")
	}
	report := w.verify(file, w.court)
	if report.Verdict != dossier.Verified {
		for _, c := range report.Checks {
			t.Errorf("%s: %s %s %s", c.Name, c.Result, c.Reason, c.Detail)
		}
	}
	if left, err := w.court.folder.List("exports"); err != nil || len(left) > 0 {
		t.Errorf("%d files of exports are left: %v", len(left), err)
	}
	changed := must(os.ReadFile(file))(t)
	changed[len(changed)/2] ^= 1
	bad := filepath.Join(t.TempDir(), "changed.zip")
	check(t, os.WriteFile(bad, changed, 0o600))
	if report := w.verify(bad, w.court); report.Verdict != dossier.Refused {
		t.Errorf("a changed package is %s", report.Verdict)
	}

	// The history is whole and in words that the law knows.
	history := must(w.custodian.History(ctx, evidence.ItemOf(item)))(t)
	if last := history[len(history)-1]; last.Kind != evidence.ItemExported || last.Actor.ID != w.court.Actor() {
		t.Errorf("the last event is %s", last.Kind)
	}
	for _, e := range history {
		if e.Kind == evidence.ItemOpened && len(e.Notes) > 0 {
			if text := must(w.custodian.InternalNote(ctx, in, e, "reason"))(t); text != "review" {
				t.Errorf("the reason is %q", text)
			}
		}
	}

	// Withdrawal freezes everything at once.
	_, _, err = w.clinician.WithdrawConsent(ctx, consent, "asked to stop")
	check(t, err)
	_, err = w.second.Open(ctx, Open{Item: item, Purpose: evidence.ForDocumentation}, io.Discard)
	wantReason(t, err, evidence.ReasonFrozen)
	_, err = w.court.Redeem(ctx, Redemption{Item: item, Grant: grant, Action: evidence.View}, io.Discard)
	wantReason(t, err, evidence.ReasonFrozen)
}

func (w *world) verify(file string, p *person) *dossier.Report {
	w.Helper()
	f := must(os.Open(file))(w)
	defer f.Close()
	info := must(f.Stat())(w)
	return must(dossier.Verify(f, info.Size(), dossier.Options{Trust: &w.trust, Identity: &p.identity}))(w)
}
