package client

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/forms"
	"strongroom.example/strongroom/internal/scan"
	"strongroom.example/strongroom/internal/tlog"
)

// filled is an example of a document with some of its fields changed; nil takes one out.
func filled(t testing.TB, name string, changes map[string]any) json.RawMessage {
	t.Helper()
	var fields map[string]any
	check(t, json.Unmarshal(must(os.ReadFile("../../api/forms/examples/"+name+".json"))(t), &fields))
	for field, v := range changes {
		if fields[field] = v; v == nil {
			delete(fields, field)
		}
	}
	return must(json.Marshal(fields))(t)
}

// clinicalRecord is the deposit of a clinical record without a file.
func clinicalRecord(in evidence.CaseID, consent evidence.ConsentID, document json.RawMessage) Deposit {
	return Deposit{
		Case: in, Class: evidence.DescriptionOnly, Content: evidence.Clinical, Basis: evidence.ByConsent, Consent: []evidence.ConsentID{consent},
		Label: "Clinical record", Description: Description{Name: "record.json", MediaType: "application/json", Form: document},
	}
}

func (w *world) formNamed(item evidence.ItemID) string {
	w.Helper()
	v := must(w.custodian.Look(w.Context(), evidence.ItemOf(item)))(w)
	return must(v.formOf(evidence.ItemOf(item)))(w)
}

func TestDocumentsOfADeposit(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	in := w.openCase()
	consent := w.consent(in)
	clinical, acquired := filled(t, "clinical-record-1", nil), filled(t, "acquisition-1", nil)
	unfinished := filled(t, "clinical-record-1", map[string]any{"conclusions": nil})
	for name, c := range map[string]struct {
		content           evidence.Content
		class             evidence.Class
		form, acquisition json.RawMessage
		draft             bool
		reason            string
	}{
		"no JSON":                  {evidence.Clinical, evidence.Original, []byte("{"), nil, false, reasonDocument},
		"another schema":           {evidence.Clinical, evidence.Original, []byte(`{"schema":"clinical-record/9"}`), nil, false, reasonDocument},
		"clinical as photograph":   {evidence.Photograph, evidence.Original, clinical, nil, false, reasonPlace},
		"acquisition as form":      {evidence.Clinical, evidence.Original, acquired, nil, false, reasonPlace},
		"form as acquisition":      {evidence.Clinical, evidence.Original, nil, clinical, false, reasonPlace},
		"identity in an original":  {evidence.Clinical, evidence.Original, filled(t, "identity-1", nil), nil, false, reasonPlace},
		"clinical in an identity":  {evidence.IdentityContent, evidence.Identity, clinical, nil, false, reasonPlace},
		"unfinished":               {evidence.Clinical, evidence.Original, unfinished, nil, false, reasonUnfinished},
		"a draft nobody can reach": {evidence.Clinical, evidence.Original, unfinished, nil, true, reasonDraft},
	} {
		body := &unread{}
		_, _, err := w.clinician.Deposit(ctx, Deposit{
			Case: in, Class: c.class, Content: c.content, Basis: evidence.ByConsent, Consent: []evidence.ConsentID{consent}, Draft: c.draft,
			Label: "x", Description: Description{Name: "x", MediaType: "text/plain", Form: c.form, Acquisition: c.acquisition}, Body: body,
		})
		if wantReason(t, err, c.reason); body.n > 0 {
			t.Errorf("%s: %d bytes were read", name, body.n)
		}
	}
	_, _, err := w.clinician.Deposit(ctx, clinicalRecord(in, consent, unfinished))
	if problems := (*DocumentError)(nil); !errors.As(err, &problems) || len(problems.Problems) != 1 || problems.Problems[0].Path != "conclusions" {
		t.Errorf("%v", err)
	}

	photo := w.photo(in, consent, strings.NewReader("x"))
	photo.Description.Acquisition = acquired
	id, _, err := w.clinician.Deposit(ctx, photo)
	if check(t, err); w.formNamed(id) != string(forms.Acquisition) {
		t.Errorf("acquisition alone: %q", w.formNamed(id))
	}
	both := clinicalRecord(in, consent, clinical)
	both.Description.Acquisition = acquired
	first := must(w.clinician.DepositOnce(ctx, both))(t)
	if w.formNamed(first.Item) != string(forms.ClinicalRecord) {
		t.Errorf("both: %q", w.formNamed(first.Item))
	}
	if again := must(w.clinician.DepositOnce(ctx, both))(t); !again.Before || again.Item != first.Item {
		t.Errorf("the same record again: %+v", again)
	}
	both.Description.Form = filled(t, "clinical-record-1", map[string]any{"background": "another one"})
	if other := must(w.clinician.DepositOnce(ctx, both))(t); other.Before || other.Item == first.Item {
		t.Errorf("another record under the same name: %+v", other)
	}
}

// unread is a file that counts what is read of it.
type unread struct{ n int }

func (r *unread) Read(p []byte) (int, error) {
	if r.n >= 1<<20 {
		return 0, io.EOF
	}
	r.n += len(p)
	return len(p), nil
}

func TestDocumentsOnly(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	in := w.openCase()
	consent := w.consent(in)
	nurse := w.connect(w.newPerson("nurse"))
	secret, digest, err := w.admin.Invite(ctx, Offer{Role: evidence.Clinician, Organization: w.org, DocumentsOnly: true})
	check(t, err)
	fingerprint := must(nurse.AnswerInvitation(ctx, secret))(t)
	_, err = w.admin.Admit(ctx, digest, "")
	check(t, err)
	_, err = w.custodian.Confirm(ctx, Confirmation{Actor: nurse.Actor(), Typed: tlog.SixGroups(fingerprint), Method: evidence.InPerson})
	check(t, err)
	_, err = w.custodian.AddMember(ctx, in, evidence.Member{Actor: nurse.Actor(), Rights: []evidence.Right{evidence.MayDeposit}}, "Nurse")
	check(t, err)
	d, body := clinicalRecord(in, consent, filled(t, "clinical-record-1", nil)), &unread{}
	d.Class, d.Body = evidence.Original, body
	_, _, err = nurse.Deposit(ctx, d)
	if wantReason(t, err, evidence.ReasonDocumentsOnly); body.n > 0 {
		t.Errorf("%d bytes were read", body.n)
	}
	_, _, err = nurse.Deposit(ctx, clinicalRecord(in, consent, filled(t, "clinical-record-facts-1", nil)))
	check(t, err)
	photo := w.photo(in, consent, strings.NewReader("x"))
	photo.Description.Acquisition = filled(t, "acquisition-1", nil)
	_, _, err = nurse.Deposit(ctx, photo)
	check(t, err)
}

func TestSealingAndAddenda(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	in := w.openCase()
	consent := w.consent(in)
	unfinished := filled(t, "clinical-record-1", map[string]any{"conclusions": nil})
	complete := filled(t, "clinical-record-1", nil)
	corrected := filled(t, "clinical-record-1", map[string]any{"background": "Corrected."})
	opened := func(id evidence.ItemID) (n int) {
		for _, e := range must(w.custodian.History(ctx, evidence.ItemOf(id)))(t) {
			if e.Kind == evidence.ItemOpened {
				n++
			}
		}
		return n
	}
	replace := func(text json.RawMessage, agree func([]string) error) Amendment {
		return Amendment{Cause: evidence.CauseError, Reason: "as the person said later", Purpose: evidence.ForDocumentation,
			Change: func(d *Description) { d.Form = text }, Addendum: agree}
	}
	var told []string
	agree := func(changes []string) error { told = changes; return nil }

	// A draft of somebody with a key is looked at before it is sealed.
	d := clinicalRecord(in, consent, unfinished)
	d.Draft = true
	draft, _, err := w.investigator.Deposit(ctx, d)
	check(t, err)
	_, err = w.investigator.Seal(ctx, draft, 0)
	if problems := (*DocumentError)(nil); evidence.ReasonOf(err) != reasonUnfinished || !errors.As(err, &problems) || problems.Problems[0].Path != "conclusions" {
		t.Errorf("an unfinished record: %v", err)
	}
	p := replace(filled(t, "clinical-record-1", map[string]any{"conclusions": nil, "background": "More."}), agree)
	p.Item = draft
	_, err = w.investigator.Amend(ctx, p)
	wantReason(t, err, reasonUnfinished)
	p.Draft = true
	_, err = w.investigator.Amend(ctx, p)
	if check(t, err); !slices.Equal(told, []string{"background"}) {
		t.Errorf("%v", told)
	}
	p = replace(complete, agree)
	p.Item = draft
	_, err = w.investigator.Amend(ctx, p)
	if check(t, err); !slices.Equal(told, []string{"background", "conclusions"}) {
		t.Errorf("%v", told)
	}
	before := opened(draft)
	_, err = w.investigator.Seal(ctx, draft, 0)
	if check(t, err); opened(draft) != before+1 {
		t.Errorf("%d accesses for sealing", opened(draft)-before)
	}
	p = replace(unfinished, agree)
	p.Item, p.Draft = draft, true
	_, err = w.investigator.Amend(ctx, p)
	wantReason(t, err, reasonUnfinished) // a sealed one takes no draft

	// Who has no key seals what was judged when it was deposited; nobody else does without reading it.
	id, _, err := w.clinician.Deposit(ctx, clinicalRecord(in, consent, complete))
	check(t, err)
	_, err = w.clinician.Seal(ctx, id, 0)
	if check(t, err); opened(id) != 0 {
		t.Error("it was opened by who has no key")
	}

	// Nothing replaces a document silently.
	for name, change := range map[string]func(*Description){
		"replaced": func(d *Description) { d.Form = corrected }, "taken out": func(d *Description) { d.Form = nil },
	} {
		_, err = w.custodian.Amend(ctx, Amendment{Item: id, Cause: evidence.CauseError, Reason: "x", Change: change, Purpose: evidence.ForDocumentation})
		if evidence.ReasonOf(err) != reasonKept {
			t.Errorf("%s: %v", name, err)
		}
	}
	stop := errors.New("no")
	p = replace(corrected, func([]string) error { return stop })
	p.Item = id
	if _, err = w.custodian.Amend(ctx, p); !errors.Is(err, stop) {
		t.Errorf("not agreed to: %v", err)
	}
	p = replace(corrected, agree)
	p.Item, p.Reason = id, " "
	_, err = w.custodian.Amend(ctx, p)
	wantReason(t, err, reasonDocument)
	p.Reason = "as the person said later"
	receipt, err := w.custodian.Amend(ctx, p)
	if check(t, err); !slices.Equal(told, []string{"background"}) || receipt.Event.Object.Form != string(forms.ClinicalRecord) {
		t.Errorf("%v, %q", told, receipt.Event.Object.Form)
	}

	// Who deposited it without a key gives what it was.
	p = replace(complete, agree)
	p.Item, p.Original = id, strings.NewReader("")
	_, err = w.clinician.Amend(ctx, p)
	wantReason(t, err, reasonKept)
	p.Earlier.Form = corrected
	_, err = w.clinician.Amend(ctx, p)
	check(t, err)
	versions, _, err := w.custodian.Describe(ctx, Open{Item: id, Purpose: evidence.ForDocumentation})
	check(t, err)
	if len(versions) != 3 || !strings.Contains(string(versions[1].Description.Form), "Corrected.") || strings.Contains(string(versions[2].Description.Form), "Corrected.") {
		t.Errorf("%d versions", len(versions))
	}
	var text bytes.Buffer
	doc, _ := forms.Parse(versions[0].Description.Form)
	if doc == nil || doc.Text(&text) != nil || !strings.Contains(text.String(), "seamstress") {
		t.Error("the first version is not readable")
	}
}

func TestConsentForm(t *testing.T) {
	w := newWorld(t)
	in := w.openCase()
	yes, now := evidence.Yes, time.Now()
	from, until := now.Add(-time.Hour), now.Add(24*time.Hour)
	give := func(form json.RawMessage, a evidence.Answers) (evidence.ItemID, error) {
		_, item, _, err := w.clinician.GiveConsent(t.Context(), Consent{
			Case: in, By: "self", From: evidence.At(from), Until: evidence.At(until), Answers: a,
			Form: Deposit{Label: "Consent form", Description: Description{Name: "form.json", MediaType: "application/json", Form: form}, Body: bytes.NewReader(form)},
		})
		return item, err
	}
	form := filled(t, "consent-form-1", nil) // refuses police photographs, police objects and research
	courts := filled(t, "consent-form-1", map[string]any{"refusals": []map[string]string{{"answer": "courts", "reason": "none given"}}})
	for name, c := range map[string]struct {
		form    json.RawMessage
		answers evidence.Answers
		reason  string
	}{
		"research":    {form, evidence.Answers{Storage: yes, Research: yes}, reasonAnswers},
		"photographs": {form, evidence.Answers{Storage: yes, PolicePhotographs: yes}, reasonAnswers},
		"courts":      {courts, evidence.Answers{Storage: yes, Courts: []evidence.CourtAnswer{{Jurisdiction: "DE", Physical: yes}}}, reasonAnswers},
		"another decided": {filled(t, "consent-form-1", map[string]any{"by": "proxy", "best_interests": "x",
			"capacity": map[string]any{"presumed": false, "assessment": "x", "support": "x"}, "proxy": map[string]string{"name": "x", "relation": "x", "ground": "x"}}),
			evidence.Answers{Storage: yes}, reasonAnswers},
		"unfinished":     {filled(t, "consent-form-1", map[string]any{"wording": nil}), evidence.Answers{Storage: yes}, reasonUnfinished},
		"no form":        {[]byte(`{"schema":"x"}`), evidence.Answers{Storage: yes}, reasonDocument},
		"another record": {filled(t, "identity-1", nil), evidence.Answers{Storage: yes}, reasonPlace},
	} {
		item, err := give(c.form, c.answers)
		if evidence.ReasonOf(err) != c.reason || item != "" {
			t.Errorf("%s: %v, %q", name, err, item)
		}
	}
	// The form's days, and not a minute beyond what is that day anywhere.
	day, minute := 24*time.Hour, time.Minute
	within := filled(t, "consent-form-1", map[string]any{"period": map[string]string{"from": now.UTC().Format(time.DateOnly), "until": now.UTC().Add(10 * day).Format(time.DateOnly)}})
	first := now.UTC().Truncate(day)
	last := first.Add(10 * day)
	for name, c := range map[string]struct {
		from, until time.Time
		path        string
	}{
		"thirty years":      {first, last.Add(30 * 365 * day), "period.until"},
		"the day after":     {first, last.Add(2*day + minute), "period.until"},
		"a day too early":   {first.Add(-day - minute), last, "period.from"},
		"that day anywhere": {first.Add(-day), last.Add(2 * day), ""},
		"narrower":          {first.Add(day), first.Add(2 * day), ""},
	} {
		_, err := w.clinician.CompareForm(t.Context(), Consent{Case: in, By: "self", From: evidence.At(c.from), Until: evidence.At(c.until), Answers: evidence.Answers{Storage: yes},
			Form: Deposit{Description: Description{Form: within}}})
		var d *DocumentError
		if differs := errors.As(err, &d); differs != (c.path != "") || err != nil && (evidence.ReasonOf(err) != reasonAnswers || len(d.Problems) != 1 || d.Problems[0].Path != c.path) {
			t.Errorf("%s: %v", name, err)
		}
	}
	until = last.Add(30 * 365 * day)
	if item, err := give(within, evidence.Answers{Storage: yes}); evidence.ReasonOf(err) != reasonAnswers || item != "" {
		t.Errorf("thirty years: %v, %q", err, item)
	}
	until = now.Add(24 * time.Hour)
	item, err := give(form, evidence.Answers{Storage: yes, Examination: yes})
	check(t, err)
	if w.formNamed(item) != string(forms.ConsentForm) {
		t.Errorf("%q", w.formNamed(item))
	}
	var file bytes.Buffer
	opened, err := w.custodian.Open(t.Context(), Open{Item: item, Purpose: evidence.ForDocumentation}, &file)
	check(t, err)
	if !bytes.Equal(file.Bytes(), form) || !strings.Contains(string(opened.Description.Form), `"schema":"consent-form/1"`) {
		t.Error("the form is not in its file and in its description")
	}
}

func TestCheckBeforeLeaving(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	in := w.openCase()
	consent := w.consent(in)
	p := clinicalRecord(in, consent, filled(t, "clinical-record-1", map[string]any{"background": "She is Amara."}))
	p.Class, p.Body = evidence.Original, strings.NewReader("first line\nsigned by Amara, +31 20 555 01 23\n")
	p.Label, p.Description.Name, p.Description.MediaType = "Amara's record", "amara.txt", "text/plain"
	item, _, err := w.clinician.Deposit(ctx, p)
	check(t, err)
	_, err = w.custodian.Seal(ctx, item, 0)
	check(t, err)
	var seen Noticed
	no := errors.New("not this way")
	refuse := &Check{Names: []string{"Nobody", "Amara"}, Agree: func(f Noticed) error { seen = f; return no }}
	now := evidence.At(time.Now())
	proposal := Proposal{
		Item: item, Recipient: w.court.Actor(), Actions: []evidence.Action{evidence.Download, evidence.View}, Purpose: evidence.ForAdjudication,
		Jurisdiction: "DE", LegalBasis: "court_order", NotBefore: now, Expires: now.Add(24 * time.Hour), Check: refuse, Through: true,
	}
	if _, _, err = w.custodian.Propose(ctx, proposal); !errors.Is(err, no) {
		t.Errorf("propose: %v", err)
	}
	var where []string
	for _, f := range seen.Findings {
		if f.Kind == scan.Name && f.Of == 2 {
			where = append(where, f.Where)
		}
	}
	if want := []string{"label", "file name", "record.background", "file, line 2"}; !slices.Equal(where, want) || seen.Looked != seen.Size || seen.Identity {
		t.Errorf("found at %q, want %q; %+v", where, want, seen)
	}
	if !slices.ContainsFunc(seen.Findings, func(f scan.Finding) bool { return f.Kind == scan.Phone && f.Where == "file, line 2" }) {
		t.Errorf("%+v", seen.Findings)
	}
	proposal.Check = nil
	grant, _, err := w.custodian.Propose(ctx, proposal)
	check(t, err)
	_, err = w.second.Approve(ctx, item, grant)
	check(t, err)
	for _, k := range []*Check{refuse, {}} {
		if _, err = w.second.WriteEnvelope(ctx, item, grant, k); !errors.Is(err, no) && evidence.ReasonOf(err) != reasonFound {
			t.Errorf("key: %v", err)
		}
	}
	if _, err := w.court.Redeem(ctx, Redemption{Item: item, Grant: grant, Action: evidence.Download}, io.Discard); err == nil {
		t.Error("the court has a key all the same")
	}
	_, err = w.second.WriteEnvelope(ctx, item, grant, &Check{Agree: func(Noticed) error { return nil }})
	check(t, err)
	err = SaveAs(t.TempDir()+"/package.zip", func(dst io.Writer) error {
		_, err := w.court.Export(ctx, Export{Item: item, Grant: grant, Check: refuse}, dst)
		return err
	})
	if !errors.Is(err, no) {
		t.Errorf("export: %v", err)
	}

	// The numbers of this case are known to who receives the item; those of others are not.
	other := w.deposit(w.clinician, in, consent, strings.NewReader("x"))
	for text, found := range map[string]bool{
		string(item) + " " + string(other) + " " + string(in) + " " + string(consent): false,
		string(evidence.NewID[evidence.ItemID]()):                                     true,
		string(evidence.NewID[evidence.CaseID]()):                                     true,
	} {
		d := w.photo(in, consent, strings.NewReader(text))
		d.Description.MediaType = "text/plain"
		id, _, err := w.clinician.Deposit(ctx, d)
		check(t, err)
		opened, err := w.custodian.enter(ctx, Open{Item: id, Purpose: evidence.ForDocumentation})
		check(t, err)
		if err := w.custodian.leave(ctx, opened, &Check{}, nil, leaving{}); (evidence.ReasonOf(err) == reasonFound) != found || err != nil && !found {
			t.Errorf("%q: %v", text, err)
		}
	}
}
