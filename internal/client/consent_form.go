package client

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/forms"
)

// FormCompared says whether a consent's answers could be compared with its form.
type FormCompared string

const (
	FormRead   FormCompared = "compared"
	FormPaper  FormCompared = "paper"  // there is no document in it, as in a scanned page: only people can compare
	FormUnread FormCompared = "unread" // there is one, and this person cannot read it here
)

// formSaid is what of a consent form can contradict answers.
type formSaid struct {
	By     string `json:"by"`
	Period struct {
		From  string `json:"from"` // days; "" in what this device kept before it compared them
		Until string `json:"until"`
	} `json:"period"`
	Refusals []struct {
		Answer string `json:"answer"`
	} `json:"refusals"`
}

// CompareForm compares the answers of a consent with its form, and refuses what contradicts it, with a DocumentError that says where. Of a
// form that was deposited before this device knows what it said if the form was deposited from here for this and the consent not given
// yet; else it is read from Form's document, the file as the person has it.
func (c *Client) CompareForm(ctx context.Context, p Consent) (FormCompared, error) {
	form := p.Form.Description.Form
	if p.FormItem == "" {
		if form == nil {
			return FormPaper, nil
		}
		f := p.form()
		if err := f.read(); err != nil {
			return FormUnread, err
		}
		return FormRead, contradicts(f.Description.Form, p)
	}
	kept, err := c.keptForm(p.FormItem)
	switch {
	case err != nil:
		return FormUnread, err
	case kept != nil:
		return FormRead, contradicts(kept, p)
	case form != nil:
		d, err := document(form, false, forms.ConsentForm)
		if err != nil {
			return FormUnread, err
		}
		return FormRead, contradicts(d.JSON(), p)
	}
	stream := evidence.ItemOf(p.FormItem)
	v, err := c.Look(ctx, stream)
	if err != nil {
		return FormUnread, err
	}
	schema, err := v.formOf(stream)
	if err == nil && schema == "" {
		return FormPaper, nil
	}
	return FormUnread, err
}

// form is the deposit of a consent's form.
func (p *Consent) form() Deposit {
	f := p.Form
	f.Case, f.Class, f.Content, f.Basis, f.Consent, f.Source = p.Case, evidence.ConsentForm, evidence.Testimony, evidence.ByConsent, nil, ""
	return f
}

// contradicts refuses a consent form that says no, does not list what was refused, holds for a shorter time, or names another who decided, where
// the answers to be signed say otherwise.
func contradicts(form json.RawMessage, p Consent) error {
	var said formSaid
	if err := json.Unmarshal(form, &said); err != nil {
		return evidence.Refuse(evidence.Invalid, reasonDocument)
	}
	a := p.Answers
	yes := map[string]bool{
		"examination": a.Examination == evidence.Yes, "photographs": a.Photographs == evidence.Yes, "storage": a.Storage == evidence.Yes,
		"police_information": a.PoliceInformation == evidence.Yes, "police_photographs": a.PolicePhotographs == evidence.Yes,
		"police_physical": a.PolicePhysical == evidence.Yes, "research": a.Research == evidence.Yes,
		"courts": slices.ContainsFunc(a.Courts, func(c evidence.CourtAnswer) bool {
			return c.Information == evidence.Yes || c.Photographs == evidence.Yes || c.Physical == evidence.Yes
		}),
	}
	var differs []forms.Problem
	for i, r := range said.Refusals {
		if yes[r.Answer] {
			differs = append(differs, forms.Problem{Kind: forms.Wrong, Path: fmt.Sprintf("refusals[%d]", i+1), Reason: reasonAnswers,
				Text: "The form refuses this, and the answer given here is yes."})
		}
	}
	refused := make(map[string]bool)
	for _, r := range said.Refusals {
		refused[r.Answer] = true
	}
	for _, q := range []struct {
		name   string
		answer evidence.Answer
	}{
		{"examination", a.Examination}, {"photographs", a.Photographs}, {"storage", a.Storage}, {"police_information", a.PoliceInformation},
		{"police_photographs", a.PolicePhotographs}, {"police_physical", a.PolicePhysical}, {"research", a.Research},
	} {
		if q.answer == evidence.No && !refused[q.name] { // a court's answers differ from country to country
			differs = append(differs, forms.Problem{Kind: forms.Wrong, Path: "refusals", Reason: reasonAnswers,
				Text: "The answer to " + q.name + " is no here, and the form does not list it among what was refused, with the reason or none given."})
		}
	}
	if said.By != p.By {
		differs = append(differs, forms.Problem{Kind: forms.Wrong, Path: "by", Reason: reasonAnswers, Text: "The form says that another person decided than is said here."})
	}
	longer, err := outlasts(said, p)
	if err != nil {
		return err
	}
	if differs = append(differs, longer...); len(differs) > 0 {
		return evidence.Fail(evidence.Conflict, reasonAnswers, &DocumentError{differs})
	}
	return nil
}

// outlasts says where a consent begins before its form does, or ends after it. A form names days and no zone: a day more on both sides is
// that day somewhere.
func outlasts(said formSaid, p Consent) (differs []forms.Problem, _ error) {
	const day = 24 * time.Hour
	for _, end := range []struct {
		path, said, text string
		beyond           func(day evidence.Time) bool
	}{
		{"period.from", said.Period.From, "The form holds from a later day than is said here.", func(first evidence.Time) bool { return p.From < first.Add(-day) }},
		{"period.until", said.Period.Until, "The form ends on an earlier day than is said here.", func(last evidence.Time) bool { return p.Until > last.Add(2*day) }},
	} {
		if end.said == "" {
			continue
		}
		at, err := time.Parse(time.DateOnly, end.said)
		if err != nil {
			return nil, evidence.Refuse(evidence.Invalid, reasonDocument)
		}
		if end.beyond(evidence.At(at)) {
			differs = append(differs, forms.Problem{Kind: forms.Wrong, Path: end.path, Reason: reasonAnswers, Text: end.text})
		}
	}
	return differs, nil
}

func formDoc(item evidence.ItemID) string { return sealedDoc(formsDir, string(item)) }

// keepForm remembers what a form said until its consent is given: who deposits it may not be able to open it again.
func (c *Client) keepForm(item evidence.ItemID, form json.RawMessage) error {
	var said formSaid
	if err := json.Unmarshal(form, &said); err != nil {
		return err
	}
	text, err := json.Marshal(said)
	if err != nil {
		return err
	}
	return c.writeSealed(formDoc(item), string(text))
}

// keptForm returns what a form said, nil if this device does not know.
func (c *Client) keptForm(item evidence.ItemID) (json.RawMessage, error) {
	text, err := c.readSealed(formDoc(item))
	if text == "" {
		return nil, err
	}
	return json.RawMessage(text), nil
}
