package client

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/forms"
)

// Documents of RULES §4 to §6 travel in the sealed description. Nobody but who writes and reads one can judge it, so that is done here.

const (
	reasonDocument   = "document"            // it is no document of its schema
	reasonPlace      = "document_place"      // it does not belong into such an item
	reasonUnfinished = "document_unfinished" // it cannot be sealed yet
	reasonDraft      = "document_draft"      // who cannot open an item again leaves no draft in it
	reasonUnread     = "document_unread"     // who seals it cannot read it
	reasonKept       = "document_kept"       // the item has a document, which nothing replaces silently
	reasonAnswers    = "document_answers"    // the consent form says otherwise than the answers
)

// DocumentError is the cause of a refusal for what a document says or lacks. It repeats nothing of it.
type DocumentError struct{ Problems []forms.Problem }

func (e *DocumentError) Error() string { return "client: the document has problems" }

// document reads a document of one of these schemas, finished unless draft.
func document(text json.RawMessage, draft bool, of ...forms.Schema) (*forms.Document, error) {
	d, problems := forms.Parse(text)
	if d == nil {
		problems = slices.DeleteFunc(problems, func(p forms.Problem) bool { return p.Kind != forms.Wrong })
		return nil, evidence.Fail(evidence.Invalid, reasonDocument, &DocumentError{problems})
	}
	if !slices.Contains(of, d.Schema()) {
		return nil, evidence.Refuse(evidence.Invalid, reasonPlace)
	}
	if open := d.Sealable(); len(open) > 0 && !draft {
		return nil, evidence.Fail(evidence.Invalid, reasonUnfinished, &DocumentError{open})
	}
	return d, nil
}

// formsOf are the schemas of a form in such an item: a clinical record is kept and shared as clinical content, or its answers would not
// govern it.
func formsOf(class evidence.Class, content evidence.Content) []forms.Schema {
	switch {
	case class == evidence.ConsentForm:
		return []forms.Schema{forms.ConsentForm}
	case class == evidence.Identity:
		return []forms.Schema{forms.Identity}
	case content == evidence.Clinical:
		return []forms.Schema{forms.ClinicalRecord, forms.ClinicalFacts}
	}
	return nil
}

// checkDocuments reads a description's documents, spells them as they are sealed, and returns the schema that the event names: the form's, or
// that of the acquisition record.
func checkDocuments(d *Description, class evidence.Class, content evidence.Content, draft bool) (schema string, err error) {
	for _, part := range []struct {
		text *json.RawMessage
		of   []forms.Schema
	}{{&d.Acquisition, []forms.Schema{forms.Acquisition}}, {&d.Form, formsOf(class, content)}} {
		if *part.text == nil {
			continue
		}
		doc, err := document(*part.text, draft, part.of...)
		if err != nil {
			return "", err
		}
		*part.text, schema = doc.JSON(), string(doc.Schema())
	}
	return schema, nil
}

// ReasonGround says that a note on a legal ground lacks a line.
const ReasonGround = "ground_lines"

// groundLines is how many lines a note on a ground other than consent has: issuer, number, law, ground of GDPR Art. 9 (RULES §3.1, §4.5).
const groundLines = 4

// Lines counts those in which something is written.
func Lines(text string) (n int) {
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) != "" {
			n++
		}
	}
	return n
}

// read judges the documents of a deposit, and the note on its ground, before anything else is done for it.
func (p *Deposit) read() (err error) {
	if p.Basis != evidence.ByConsent && !p.inherits && Lines(p.Authority) < groundLines {
		return evidence.Refuse(evidence.Invalid, ReasonGround)
	}
	p.form, err = checkDocuments(&p.Description, p.Class, p.Content, p.Draft)
	return err
}

// formOf is the schema that the newest description of an item names in the plain, "" if it has no document.
func (v *View) formOf(item evidence.Stream) (schema string, err error) {
	for e, err := range v.Events(item) {
		if err != nil {
			return "", err
		}
		if e.Kind == evidence.ItemDeposited || e.Kind == evidence.ItemAmended {
			schema = ""
			if e.Object != nil {
				schema = e.Object.Form
			}
		}
	}
	return schema, nil
}

// readyToSeal refuses to seal an item whose document is not finished. A keyholder opens the item for that, which is an access and logged as
// one; whose document was judged when they deposited it, and who could not leave a draft, needs not.
func (c *Client) readyToSeal(ctx context.Context, id evidence.ItemID) error {
	stream := evidence.ItemOf(id)
	v, own, err := lookAt[*evidence.ItemState](ctx, c, stream, evidence.ActorOf(c.actor))
	if err != nil {
		return err
	}
	schema, err := v.formOf(stream)
	if err != nil || schema == "" || own.Sealed {
		return err // sealing again is for the law to refuse
	}
	if _, err := v.envelope(own, c.actor); evidence.KindOf(err) == evidence.NotFound {
		if own.Depositor != c.actor {
			return evidence.Refuse(evidence.Forbidden, reasonUnread)
		}
		return nil
	}
	a, err := c.enter(ctx, Open{Item: id, Purpose: evidence.ForDocumentation})
	if err != nil {
		return err
	}
	_, err = checkDocuments(&a.description, own.Class, own.Content, false)
	return err
}

// addendum judges what an amendment does to the documents of an item, asks for its agreement, and returns the schema that the event names.
// known says that before is what the item has; schema is what its newest event names.
func (p *Amendment) addendum(own *evidence.ItemState, schema string, known bool, before Description, after *Description) (string, error) {
	if !known {
		before.Form, before.Acquisition = p.Earlier.Form, p.Earlier.Acquisition
		if schema != "" && before.Form == nil && before.Acquisition == nil {
			return "", evidence.Refuse(evidence.Conflict, reasonKept) // it would be gone
		}
	}
	var changes []string
	changed := false
	for _, part := range []struct{ old, now json.RawMessage }{{before.Form, after.Form}, {before.Acquisition, after.Acquisition}} {
		if bytes.Equal(part.old, part.now) {
			continue
		}
		changed = true
		if part.old == nil {
			continue
		}
		if part.now == nil || p.Addendum == nil {
			return "", evidence.Refuse(evidence.Conflict, reasonKept)
		}
		list, err := p.compare(part.old, part.now)
		if err != nil {
			return "", err
		}
		changes = append(changes, list...)
	}
	if !changed {
		return schema, nil
	}
	draft := p.Draft && known && !own.Sealed
	schema, err := checkDocuments(after, own.Class, own.Content, draft)
	if err == nil && changes != nil {
		err = p.Addendum(changes)
	}
	return schema, err
}

// compare lists what differs between two versions of a document.
func (p *Amendment) compare(old, now json.RawMessage) ([]string, error) {
	after, problems := forms.Parse(now)
	before, _ := forms.Parse(old)
	switch {
	case after == nil:
		return nil, evidence.Fail(evidence.Invalid, reasonDocument, &DocumentError{problems})
	case before == nil: // not readable as a document: another program wrote it
		return []string{"schema"}, nil
	}
	changes, problems := forms.Addendum(before, after, p.Reason)
	if len(problems) > 0 {
		return nil, evidence.Fail(evidence.Invalid, reasonDocument, &DocumentError{problems})
	}
	return changes, nil
}
