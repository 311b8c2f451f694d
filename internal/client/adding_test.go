package client

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/scan"
	"strongroom.example/strongroom/internal/sealing"
	"strongroom.example/strongroom/internal/wire"
)

// A ground that is not consent is stated in all its lines, or nothing is deposited.
func TestGroundOfADeposit(t *testing.T) {
	w := newWorld(t)
	in := w.openCase()
	d := Deposit{Case: in, Class: evidence.Original, Content: evidence.Digital, Basis: evidence.CourtOrder, Label: "disk",
		Description: Description{Name: "disk.img", MediaType: "application/octet-stream"}}
	for _, text := range []string{"", " \n", "x", "a\n\n \nb\nc", "\u00a0\n\u2003\n\u00a0\n\u00a0\n"} {
		d.Authority, d.Body = text, strings.NewReader("x")
		_, _, err := w.investigator.Deposit(t.Context(), d)
		wantReason(t, err, ReasonGround)
		d.Size = 1
		_, err = w.investigator.DepositOnce(t.Context(), d)
		wantReason(t, err, ReasonGround)
	}
	if list := must(w.investigator.Items(t.Context(), in))(t); len(list) > 0 {
		t.Errorf("%d items without a ground", len(list))
	}
	d.Authority, d.Body = sampleGround, strings.NewReader("x")
	item, _, err := w.investigator.Deposit(t.Context(), d)
	check(t, err)

	// A note without a letter is none.
	now := evidence.At(time.Now())
	_, err = w.custodian.PlaceHold(t.Context(), item, Hold{ID: evidence.NewID[evidence.HoldID](), Basis: evidence.CourtOrder, Expires: now.Add(time.Hour),
		Review: now.Add(time.Minute), Order: " \n"})
	wantReason(t, err, evidence.ReasonNoteMissing)
}

// approved makes a share of a sealed item; its key is not written yet.
func (w *world) approved(item evidence.ItemID, reason string, actions ...evidence.Action) evidence.GrantID {
	w.Helper()
	now := evidence.At(time.Now())
	grant, _, err := w.custodian.Propose(w.Context(), Proposal{Item: item, Recipient: w.court.Actor(), Actions: actions, Purpose: evidence.ForAdjudication,
		Jurisdiction: "DE", LegalBasis: "court_order", NotBefore: now, Expires: now.Add(24 * time.Hour), Reason: reason})
	check(w, err)
	_, err = w.second.Approve(w.Context(), item, grant)
	check(w, err)
	return grant
}

// Whatever is added to an item goes to who has a key to it already: it is looked through, and somebody agrees, before anything is signed.
func TestAdditionsToWhatIsShared(t *testing.T) {
	w, clock := newLaterWorld(t)
	ctx := t.Context()
	in := w.openCase()
	consent := w.consent(in)
	item := w.deposit(w.clinician, in, consent, strings.NewReader("x"))
	_, err := w.custodian.Seal(ctx, item, 0)
	check(t, err)
	var seen []Noticed
	no := errors.New("not this way")
	refuse := &Check{Names: []string{"Olena"}, Agree: func(f Noticed) error { seen = append(seen, f); return no }}
	agree := &Check{Names: []string{"Olena"}, Agree: func(f Noticed) error {
		seen = append(seen, f)
		clock.pass(3 * evidence.Clock) // people read
		return nil
	}}
	amend := func(name string, k *Check) error {
		_, err := w.custodian.Amend(ctx, Amendment{Item: item, Cause: evidence.CauseError, Reason: "better", Purpose: evidence.ForDocumentation, Check: k,
			Change: func(d *Description) { d.Name = name }})
		return err
	}
	derive := func(k *Check) error {
		_, _, err := w.investigator.Derive(ctx, Derivation{Source: item, Form: evidence.Working, Made: evidence.Tool{Name: "cp", Version: "1"},
			Parameters: "for Olena", Purpose: evidence.ForInvestigation, Label: "copy", Description: Description{Name: "c", MediaType: "text/plain"},
			Body: bytes.NewReader([]byte("x")), Size: 1, Check: k})
		return err
	}
	steps := func() int { return len(must(w.custodian.History(ctx, evidence.ItemOf(item)))(t)) }
	items := func() int { return len(must(w.custodian.Items(ctx, in))(t)) }

	check(t, amend("Olena.jpg", refuse)) // nobody outside has a key
	grant := w.approved(item, "", evidence.Download, evidence.View)
	check(t, amend("Olena 2.jpg", refuse)) // and approval gives none: all is looked through when the key is written
	if len(seen) > 0 {
		t.Fatalf("asked, though nobody receives it: %+v", seen)
	}
	_, err = w.second.WriteEnvelope(ctx, item, grant, agree)
	check(t, err)
	seen = nil

	before, had := steps(), items()
	if err := amend("Olena 3.jpg", refuse); !errors.Is(err, no) {
		t.Errorf("amended: %v", err)
	}
	if err := derive(refuse); !errors.Is(err, no) {
		t.Errorf("derived: %v", err)
	}
	wantReason(t, amend("back.jpg", nil), reasonReaders) // also where nothing is found, and nobody can be asked
	if n := steps() - before; n != 3 || items() != had { // the openings of the item alone
		t.Errorf("%d steps, %d items", n, items()-had)
	}
	where := []string{"file name", `note "parameters"`}
	for i, f := range seen {
		if len(f.Readers) != 1 || f.Readers[0] != (Reader{w.court.Actor(), evidence.Court, "DE", grant}) || f.Opened || f.Named != 1 ||
			!slices.ContainsFunc(f.Findings, func(f scan.Finding) bool { return f.Kind == scan.Name && f.Where == where[i] }) {
			t.Errorf("%+v", f)
		}
	}
	if len(seen) != 2 {
		t.Errorf("asked %d times", len(seen))
	}
	seen = nil
	check(t, amend("back.jpg", agree))
	check(t, derive(agree))
	if len(seen) != 2 {
		t.Errorf("asked %d times for two acts", len(seen))
	}
	_, err = w.custodian.RevokeGrant(ctx, item, grant, evidence.CauseError)
	check(t, err)
	check(t, amend("Olena 4.jpg", refuse)) // over
}

// A share for viewing is opened as such; no package is made of it, and nothing is signed for one.
func TestShareToView(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	in := w.openCase()
	item := w.deposit(w.clinician, in, w.consent(in), strings.NewReader("x"))
	_, err := w.custodian.Seal(ctx, item, 0)
	check(t, err)
	grant := w.approved(item, "request 7", evidence.View)
	_, err = w.second.WriteEnvelope(ctx, item, grant, nil)
	check(t, err)
	steps := func() int { return len(must(w.custodian.History(ctx, evidence.ItemOf(item)))(t)) }
	before := steps()
	_, err = w.court.Export(ctx, Export{Item: item, Grant: grant}, io.Discard)
	wantReason(t, err, reasonViewOnly)
	if n := steps(); n != before {
		t.Errorf("%d steps were signed for a package that cannot be", n-before)
	}
	var got strings.Builder
	_, err = w.court.Redeem(ctx, Redemption{Item: item, Grant: grant, Action: evidence.View}, &got)
	check(t, err)
	if got.String() != "x" {
		t.Errorf("%q", got.String())
	}

	// Why it was proposed is read by who holds a key; others know that there is a reason.
	if why := must(w.second.GrantReason(ctx, item, grant))(t); why == nil || why.Text != "request 7" {
		t.Errorf("%+v", why)
	}
	if why := must(w.clinician.GrantReason(ctx, item, grant))(t); why == nil || why.Text != "" || why.Unread == "" {
		t.Errorf("%+v", why)
	}
	if why := must(w.second.GrantReason(ctx, item, w.approved(item, "", evidence.View)))(t); why != nil {
		t.Errorf("%+v", why)
	}
}

// located is a picture (TIFF) that says where it was taken.
func located() []byte {
	o := binary.LittleEndian
	b := o.AppendUint32([]byte("II*\x00"), 8)
	entry := func(tag uint16, value uint32) {
		b = o.AppendUint16(o.AppendUint16(b, tag), 4)
		b = o.AppendUint32(o.AppendUint32(b, 1), value)
	}
	b = o.AppendUint16(b, 1)
	entry(0x8825, 26)
	b = o.AppendUint32(b, 0)
	b = o.AppendUint16(b, 1)
	entry(2, 0)
	return o.AppendUint32(b, 0)
}

// What the person concerned chose to leave out of shared copies stays out, whatever is agreed to; a form that cannot be read is named.
func TestChoiceForSharedCopies(t *testing.T) {
	for _, c := range []struct {
		name   string
		form   map[string]any // of the form's document; nil is a form on paper
		reason string
		forms  int
	}{
		{"left out", map[string]any{"shared_copies": map[string]string{"gps": "leave_out", "serial_numbers": "keep"}}, reasonLeftOut, 0},
		{"kept", map[string]any{"shared_copies": map[string]string{"gps": "keep", "serial_numbers": "leave_out"}}, "", 0},
		{"on paper", nil, "", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			ctx := t.Context()
			in := w.openCase()
			form := Deposit{Label: "Consent form", Description: Description{Name: "form.txt", MediaType: "text/plain"}, Body: piecemeal("I agree.")}
			now := time.Now()
			if c.form != nil {
				c.form["refusals"] = []any{}
				c.form["by"] = "self"
				c.form["period"] = map[string]string{"from": now.AddDate(0, 0, -1).Format(time.DateOnly), "until": now.AddDate(1, 0, 0).Format(time.DateOnly)}
				form.Description.Form = filled(t, "consent-form-1", c.form)
			}
			yes := evidence.Yes
			consent, _, _, err := w.clinician.GiveConsent(ctx, Consent{
				Case: in, By: "self", From: evidence.At(now.Add(-time.Hour)), Until: evidence.At(now.Add(24 * time.Hour)), Form: form,
				Answers: evidence.Answers{Examination: yes, Photographs: yes, Storage: yes, Courts: []evidence.CourtAnswer{{Jurisdiction: "DE", Photographs: yes}}},
			})
			check(t, err)
			item := w.deposit(w.clinician, in, consent, bytes.NewReader(located()))
			_, err = w.custodian.Seal(ctx, item, 0)
			check(t, err)
			var seen Noticed
			agree := &Check{Agree: func(f Noticed) error { seen = f; return nil }}
			_, err = w.second.WriteEnvelope(ctx, item, w.approved(item, "", evidence.Download), agree)
			if (err == nil) != (c.reason == "") || err != nil && evidence.ReasonOf(err) != c.reason {
				t.Fatalf("%v, want %q", err, c.reason)
			}
			if err == nil && (len(seen.Forms) != c.forms || !slices.ContainsFunc(seen.Findings, func(f scan.Finding) bool { return f.Kind == scan.Place })) {
				t.Errorf("%+v", seen)
			}
		})
	}
}

// depositBroken deposits a consent form whose description is not one, as whoever has a program of their own can.
func (w *world) depositBroken(p *person, in evidence.CaseID) evidence.ItemID {
	w.Helper()
	ctx := w.Context()
	d := draft{Item: evidence.NewID[evidence.ItemID](), Case: in, Details: evidence.ItemDepositedDetails{Class: evidence.ConsentForm, Content: evidence.Testimony, Basis: evidence.ByConsent}}
	release := must(p.hold(ctx, &d, false))(w)
	deposit := Deposit{Basis: d.Details.Basis, Label: "Consent form", Description: Description{Name: "form.txt", MediaType: "text/plain"}, Body: strings.NewReader("I agree.")}
	check(w, deposit.read())
	v := must(p.rehearse(ctx, d, deposit))(w)
	check(w, p.seal(v, &d, deposit))
	file := must(sealing.SealDescription([]byte(`{"name":7}`), d.Details.ItemRecipient))(w)
	d.Details.Description = evidence.File{SHA256: evidence.SHA256(file), Size: int64(len(file))}
	i := slices.IndexFunc(d.Files, func(a wire.Attachment) bool { return a.Kind == wire.AttachmentKindDescription })
	d.Files[i].Body = file
	_, err := p.finish(ctx, &d, nil)
	check(w, err)
	check(w, release())
	return d.Item
}

// A form that its depositor left so that nobody can open it is named as unread; it does not keep everything from being shared for ever. That
// the vault has swapped it is no such thing.
func TestChoiceOfBrokenForm(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	in := w.openCase()
	form, now, yes := w.depositBroken(w.investigator, in), evidence.At(time.Now()), evidence.Yes
	consent, _, _, err := w.clinician.GiveConsent(ctx, Consent{
		Case: in, By: "self", From: now.Add(-time.Hour), Until: now.Add(24 * time.Hour), FormItem: form,
		Answers: evidence.Answers{Examination: yes, Photographs: yes, Storage: yes, Courts: []evidence.CourtAnswer{{Jurisdiction: "DE", Photographs: yes}}},
	})
	check(t, err)
	item := w.deposit(w.clinician, in, consent, bytes.NewReader(located()))
	_, err = w.custodian.Seal(ctx, item, 0)
	check(t, err)
	grant := w.approved(item, "", evidence.Download)
	var seen Noticed
	agree := &Check{Agree: func(f Noticed) error { seen = f; return nil }}
	swapped := about("POST", "/v1/events", func(a *wire.Included) {
		if a.Opening != nil && a.Opening.Item == string(form) {
			a.Opening.Description = []byte("another")
		}
	})
	_, err = w.client(w.second, swapped).WriteEnvelope(ctx, item, grant, agree)
	wantLie(t, err, OtherText)
	_, err = w.second.WriteEnvelope(ctx, item, grant, agree)
	check(t, err)
	if !slices.Equal(seen.Forms, []evidence.ItemID{form}) {
		t.Errorf("%+v", seen)
	}
	if stopped(alarm(Unlawful, evidence.ItemOf(form), evidence.Refuse(evidence.Invalid, "x")), evidence.Invalid) {
		t.Error("a lie is taken for the depositor's fault")
	}
}

// Of an item that is not served, as its file was found to differ, a keyholder decides a share as anybody else does: knowing that there is a
// reason.
func TestReasonOfDamaged(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	in := w.openCase()
	item := w.deposit(w.clinician, in, w.consent(in), bytes.NewReader(random(100_000)))
	_, err := w.custodian.Seal(ctx, item, 0)
	check(t, err)
	now := evidence.At(time.Now())
	grant, _, err := w.custodian.Propose(ctx, Proposal{Item: item, Recipient: w.court.Actor(), Actions: []evidence.Action{evidence.Download}, Purpose: evidence.ForAdjudication,
		Jurisdiction: "DE", LegalBasis: "court_order", NotBefore: now, Expires: now.Add(24 * time.Hour), Reason: "request 7"})
	check(t, err)
	flipped := instead("GET", "/evidence", func(b []byte) []byte { b[70_000] ^= 1; return b })
	_, err = w.client(w.custodian, flipped).Verify(ctx, Open{Item: item, Purpose: evidence.ForVerification})
	wantLie(t, err, OtherBytes)
	if why := must(w.second.GrantReason(ctx, item, grant))(t); why == nil || why.Text != "" || why.Unread != UnreadSealed {
		t.Errorf("%+v", why)
	}
	_, err = w.second.Approve(ctx, item, grant)
	check(t, err)
}

// That no names were looked for is told, also where nothing is found.
func TestNoNamesIsTold(t *testing.T) {
	w := newWorld(t)
	in := w.openCase()
	item := w.deposit(w.clinician, in, w.consent(in), strings.NewReader("Olena"))
	for _, names := range [][]string{nil, {"", " "}, {"Nobody"}} {
		var told *Noticed
		k := &Check{Names: names, Tell: func(f Noticed) { told = &f }, Agree: func(Noticed) error { return errors.New("asked") }}
		_, err := w.custodian.Export(t.Context(), Export{Item: item, Purpose: evidence.ForDocumentation, Check: k}, io.Discard)
		check(t, err)
		if want := len(names) % 2; told == nil || told.Named != want || !slices.Equal(told.Unseen, []string{"file"}) {
			t.Errorf("%q: %+v", names, told)
		}
	}
}
