package dossier

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"strongroom.example/strongroom/internal/evidence"
)

// Verdict is the whole answer (FORMATS §12).
type Verdict string

const (
	Verified   Verdict = "verified"   // every check passed or is not required
	Incomplete Verdict = "incomplete" // nothing contradicts, but something could not be checked
	Refused    Verdict = "refused"    // something is wrong
)

// ExitCode is what a program that verifies ends with.
func (v Verdict) ExitCode() int {
	switch v {
	case Verified:
		return 0
	case Refused:
		return 1
	}
	return 2
}

// Report is the answer to every check, and what follows from it in plain words. Its JSON is that of FORMATS §12.
type Report struct {
	Verdict     Verdict       `json:"verdict"`
	Checks      []CheckResult `json:"checks"` // in the order of Checks
	Items       []ItemReport  `json:"items"`
	Events      []EventReport `json:"events"` // of the items, item by item
	Shows       []string      `json:"shows"`
	DoesNotShow []string      `json:"does_not_show"`

	opened []Opened
	// What was said in English above, to be said in another language:
	details      []telling     // of Checks
	shows, hides []telling     // Shows, DoesNotShow
	aloud        []telling     // of hides: what people read first
	until        evidence.Time // when the last step that may not be shown yet may be; 0 if there is none
}

// CheckResult is the answer to one check. Reason is a stable code, Detail a sentence; both are empty for a pass.
type CheckResult struct {
	Name   Check  `json:"name"`
	Result Result `json:"result"`
	Reason string `json:"reason"`
	Detail string `json:"detail"`
}

// ItemReport says what a packaged item is.
type ItemReport struct {
	ID        evidence.ItemID  `json:"id"`
	Case      evidence.CaseID  `json:"case"`
	Exhibit   int64            `json:"exhibit"` // 0 while it is not sealed
	Class     evidence.Class   `json:"class"`
	Content   evidence.Content `json:"content"`
	Deposited evidence.Time    `json:"deposited"`
	Steps     int64            `json:"steps"`
	SHA256    evidence.Hash    `json:"sha256"` // of the encrypted file
	Size      int64            `json:"size"`   // of the encrypted file, in bytes
	Opened    bool             `json:"opened"` // with the identity given, and equal to its description
	Share     *Share           `json:"share,omitempty"`
	Consent   []ConsentReport  `json:"consent"` // all that govern the item or are the ground of the share

	// What the package was asked for, and when it was made:
	Recipient evidence.Hash `json:"recipient"` // fingerprint
	Nonce     string        `json:"nonce"`
	Covers    int64         `json:"covers"`          // entries of the record book under its proofs
	AsOf      evidence.Time `json:"as_of,omitempty"` // when these were published; 0 if it could not be found out
}

// ConsentReport says what became of a consent, as of when the package was made.
type ConsentReport struct {
	ID        evidence.ConsentID `json:"id"`
	Version   int64              `json:"version"` // 0 if it could not be judged
	Until     evidence.Time      `json:"until,omitempty"`
	Withdrawn evidence.Time      `json:"withdrawn,omitempty"` // 0 if it was not
}

// Share is what the grant permits.
type Share struct {
	Grant        evidence.GrantID     `json:"grant"`
	Status       evidence.GrantStatus `json:"status"` // as of when the package was made; "" if it could not be judged
	To           evidence.Role        `json:"to"`
	Actions      []evidence.Action    `json:"actions"`
	Purpose      evidence.Purpose     `json:"purpose"`
	Jurisdiction string               `json:"jurisdiction"`
	LegalBasis   string               `json:"legal_basis"`
	Onward       bool                 `json:"onward"`
	NotBefore    evidence.Time        `json:"not_before"`
	Expires      evidence.Time        `json:"expires"`
}

// EventReport is one step of an item's history.
type EventReport struct {
	Item         evidence.ItemID  `json:"item"`
	Step         int64            `json:"step"`           // from 1
	Kind         evidence.Kind    `json:"kind,omitempty"` // this and all about the signer is absent from a withheld step
	Time         evidence.Time    `json:"time,omitempty"` // as the signer stated it
	Role         evidence.Role    `json:"role,omitempty"`
	Organization evidence.OrgID   `json:"organization,omitempty"`
	Actor        evidence.ActorID `json:"actor,omitempty"`
	Entry        int64            `json:"entry"` // index in the log
	Leaf         evidence.Hash    `json:"leaf"`
	Judged       bool             `json:"judged"` // and found lawful
	// What third parties' clocks say of when: it was not entered yet at After, but entered, or its signature stamped, by By; its own time
	// stamps say Stamped. Drift is by how many milliseconds Time lies beyond: after By, or, negative, before After.
	After   evidence.Time `json:"after,omitempty"`
	By      evidence.Time `json:"by,omitempty"`
	Stamped evidence.Time `json:"stamped,omitempty"`
	Drift   int64         `json:"drift_milliseconds,omitempty"`
	What    string        `json:"what"`
	Why     string        `json:"why,omitempty"` // why it was allowed, of what released something

	what, why telling
}

// WriteJSON writes the report, an entry of a list to a line: it is never in memory as a whole.
func (r *Report) WriteJSON(w io.Writer) error {
	out := bufio.NewWriter(w)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	var err error
	value := func(name string, v any) {
		fmt.Fprintf(out, "%q: ", name)
		err = cmp.Or(err, enc.Encode(v))
		out.WriteByte(',')
	}
	out.WriteString("{\n")
	value("verdict", r.Verdict)
	value("checks", r.Checks)
	err = cmp.Or(err, writeList(out, enc, "items", r.Items), writeList(out, enc, "events", r.Events))
	value("shows", r.Shows)
	fmt.Fprintf(out, "%q: ", "does_not_show")
	err = cmp.Or(err, enc.Encode(r.DoesNotShow))
	out.WriteString("}\n")
	return cmp.Or(err, out.Flush())
}

func writeList[T any](out *bufio.Writer, enc *json.Encoder, name string, list []T) (err error) {
	fmt.Fprintf(out, "%q: [\n", name)
	for i, v := range list {
		if i > 0 {
			out.WriteByte(',')
		}
		err = cmp.Or(err, enc.Encode(v))
	}
	out.WriteString("],\n")
	return err
}

// Opened returns what can be extracted: nothing unless the package is verified and an identity opened it.
func (r *Report) Opened() []Opened {
	if r.Verdict != Verified {
		return nil
	}
	return r.opened
}

// Check returns the answer to one check.
func (r *Report) Check(c Check) CheckResult { return r.Checks[slices.Index(Checks, c)] }

func (v *verification) report() *Report {
	r := &Report{Verdict: Verified, Items: []ItemReport{}, Events: []EventReport{}, Shows: []string{}, DoesNotShow: []string{}}
	for _, c := range Checks {
		result, f := v.result(c)
		detail := v.detail(f)
		r.details = append(r.details, detail)
		r.Checks = append(r.Checks, CheckResult{c, result, f.Reason, English.say(detail)})
		switch {
		case result == Fail:
			r.Verdict = Refused
		case result == NotChecked && r.Verdict == Verified:
			r.Verdict = Incomplete
		}
	}
	for i := range v.items {
		v.reportItem(&v.items[i], r)
	}
	v.explain(r)
	r.Shows, r.DoesNotShow, r.until = English.all(r.shows), English.all(r.hides), v.until
	return r
}

func (v *verification) reportItem(it *item, r *Report) {
	r.Events = append(r.Events, it.steps...)
	if it.opened != nil {
		r.opened = append(r.opened, *it.opened)
	}
	if it.deposit == nil {
		return
	}
	n := ItemReport{ID: it.id, Case: it.deposit.of, Exhibit: it.exhibit, Class: it.deposit.class, Content: it.deposit.content,
		Deposited: it.deposit.time, Steps: v.history.Len(evidence.ItemOf(it.id)), SHA256: it.deposit.SHA256, Size: it.deposit.Size, Opened: it.opened != nil,
		Recipient: v.pkg.Recipient, Nonce: v.pkg.Nonce, Covers: v.pkg.Covers}
	if s := v.history.Heads(); s != nil {
		n.AsOf = s.Last.Time
	}
	n.Consent = v.consents(it)
	if t := it.terms; t != nil {
		n.Share = &Share{t.ID, it.status(n.AsOf), t.RecipientClass, t.Actions, t.Purpose, t.Jurisdiction, t.LegalBasis, t.Onward, t.NotBefore, t.Expires}
	}
	r.Items = append(r.Items, n)
}

// status is what became of the share by at: that its time has run out needs no event.
func (it *item) status(at evidence.Time) evidence.GrantStatus {
	if it.state == nil || at == 0 {
		return ""
	}
	g := it.state.Grant(it.terms.ID)
	if g == nil {
		return ""
	}
	if g.Status == evidence.GrantActive && it.terms.Expires <= at {
		return evidence.GrantOver
	}
	return g.Status
}

func (v *verification) consents(it *item) []ConsentReport {
	var ids []evidence.ConsentID
	if it.state != nil {
		ids = slices.Clone(it.state.Consent)
	}
	if it.terms != nil {
		for _, c := range it.terms.Consent {
			ids = append(ids, c.ID)
		}
	}
	slices.Sort(ids)
	list := []ConsentReport{}
	for _, id := range slices.Compact(ids) {
		c := ConsentReport{ID: id}
		if s, ok := v.history.State(evidence.ConsentOf(id)).(*evidence.ConsentState); ok {
			c.Version, c.Until, c.Withdrawn = s.Version, s.Until, s.Withdrawn
		}
		list = append(list, c)
	}
	return list
}

// detail is the sentence for a finding, with the place it is about. A statement may name a record in any words.
func (v *verification) detail(f Finding) telling {
	if f.Reason == "" {
		return ""
	}
	var where telling
	if i := slices.IndexFunc(v.items, func(it item) bool { return evidence.ItemOf(it.id) == f.Stream }); i >= 0 {
		where = itemName(v.items[i].id, v.items[i].exhibit)
	} else if f.Stream.ID != "" {
		where = tell("detail.record", "place", tell("place."+string(f.Stream.Type), "id", printable(f.Stream.ID)))
	}
	if where != "" && f.Seq >= 0 {
		where = tell("detail.step", "where", where, "step", f.Seq+1)
	}
	if where == "" && f.File != "" {
		where = tell("detail.file", "file", printable(f.File))
	}
	said := sentence(f)
	if f.Said != "" {
		said = tell("detail.more", "said", said, "more", f.Said)
	}
	if where != "" {
		said = tell("detail.at", "where", where, "said", said)
	}
	return said
}
