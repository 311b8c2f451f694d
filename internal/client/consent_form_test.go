package client

import (
	"bytes"
	"encoding/json"
	"errors"
	"path"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/forms"
)

// A form that was deposited before is compared with the answers, too, where this device or the person has it; otherwise it is said that
// nobody did.
func TestFormDepositedBefore(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	in := w.openCase()
	yes, now := evidence.Yes, time.Now()
	form := filled(t, "consent-form-1", nil) // refuses police photographs, police objects and research
	consent := func(item evidence.ItemID, text json.RawMessage, a evidence.Answers) Consent {
		return Consent{Case: in, By: "self", From: evidence.At(now.Add(-time.Hour)), Until: evidence.At(now.Add(24 * time.Hour)), Answers: a, FormItem: item,
			Form: Deposit{Label: "Consent form", Description: Description{Name: "form.json", MediaType: "application/json", Form: text}, Body: bytes.NewReader(text)}}
	}
	refusing, fine := evidence.Answers{Storage: yes, Research: yes, PolicePhotographs: yes}, evidence.Answers{Storage: yes}
	compares := func(p *person, c Consent, want FormCompared, reason string) {
		t.Helper()
		got, err := p.CompareForm(ctx, c)
		if err == nil && (got != want || reason != "") || err != nil && evidence.ReasonOf(err) != reason {
			t.Errorf("%q, %v; want %q, %q", got, err, want, reason)
		}
		if reason != reasonAnswers {
			return
		}
		var d *DocumentError
		if !errors.As(err, &d) || len(d.Problems) != 2 || d.Problems[0].Path != "refusals[1]" || d.Problems[1].Path != "refusals[3]" {
			t.Errorf("what differs is %+v", d)
		}
		if _, _, _, err := p.GiveConsent(ctx, c); evidence.ReasonOf(err) != reason {
			t.Errorf("given, and refused when compared: %v", err)
		}
	}

	// The second step fails: the consent ends before it begins.
	late := consent("", form, fine)
	late.Until = late.From - 1
	_, item, _, err := w.clinician.GiveConsent(ctx, late)
	if item == "" || err == nil {
		t.Fatalf("%q, %v", item, err)
	}
	compares(w.clinician, consent(item, nil, refusing), FormRead, reasonAnswers)
	compares(w.clinician, consent(item, nil, fine), FormRead, "")
	longer := consent(item, nil, fine)
	longer.Until = evidence.At(now.AddDate(30, 0, 0))
	if _, err := w.clinician.CompareForm(ctx, longer); evidence.ReasonOf(err) != reasonAnswers {
		t.Errorf("what this device kept of the form does not say when it ends: %v", err)
	}
	// Another person has the file, or nothing.
	compares(w.investigator, consent(item, nil, refusing), FormUnread, "")
	compares(w.investigator, consent(item, form, refusing), FormRead, reasonAnswers)
	compares(w.investigator, consent(item, form, fine), FormRead, "")
	compares(w.investigator, consent(item, filled(t, "identity-1", nil), fine), FormUnread, reasonPlace)
	names, err := w.clinician.folder.List(formsDir)
	if err != nil || len(names) != 1 {
		t.Errorf("kept %v, %v", names, err)
	}
	for _, name := range names {
		if text := must(w.clinician.folder.Read(name))(t); bytes.Contains(text, []byte("research")) {
			t.Error("the device keeps in plain what the form says")
		}
	}
	_, _, _, err = w.clinician.GiveConsent(ctx, consent(item, nil, fine))
	check(t, err)
	if names, err := w.clinician.folder.List(formsDir); err != nil || len(names) != 0 {
		t.Errorf("after it was given, kept %v, %v", names, err)
	}

	paper, _, err := w.clinician.Deposit(ctx, Deposit{Case: in, Class: evidence.ConsentForm, Content: evidence.Testimony, Basis: evidence.ByConsent,
		Label: "Consent form", Description: Description{Name: "form.pdf", MediaType: "application/pdf"}, Body: bytes.NewReader([]byte("%PDF"))})
	check(t, err)
	compares(w.clinician, consent(paper, nil, refusing), FormPaper, "")
	if w.formNamed(item) != string(forms.ConsentForm) || w.formNamed(paper) != "" {
		t.Error("the schema in the plain is not what the forms are")
	}
}

// retentive is a folder that cannot forget what forms said.
type retentive struct{ Folder }

func (k retentive) Remove(name string) error {
	if path.Dir(name) == formsDir {
		return errors.New("the folder is read-only by now")
	}
	return k.Folder.Remove(name)
}

// A consent that was given is told as given, also where the device cannot remove what it kept of the form until then; what stays is sealed.
func TestFormThatStays(t *testing.T) {
	w := newWorld(t)
	in := w.openCase()
	now, text := time.Now(), filled(t, "consent-form-1", nil)
	w.clinician.cfg.Keystore = retentive{w.clinician.folder}
	id, form, receipt, err := w.clinician.GiveConsent(t.Context(), Consent{Case: in, By: "self", Answers: evidence.Answers{Storage: evidence.Yes},
		From: evidence.At(now.Add(-time.Hour)), Until: evidence.At(now.Add(24 * time.Hour)), Form: Deposit{Label: "Consent form",
			Description: Description{Name: "form.json", MediaType: "application/json", Form: text}, Body: bytes.NewReader(text)}})
	if err != nil || receipt == nil {
		t.Fatalf("%s on %s was given: %v", id, form, err)
	}
	file, err := w.clinician.folder.Read(formDoc(form))
	if err != nil || bytes.Contains(file, []byte("research")) {
		t.Errorf("what stays: %d bytes, %v", len(file), err)
	}
}
