package dossier

import (
	"strings"
	"time"

	"strongroom.example/strongroom/internal/evidence"
)

// The fields of a row as text, in a language where they are words. What a row has no such field for is "".

// What says what happened.
func (r CustodyRow) What(l Language) string {
	if r.Until != 0 {
		return l.say(tell("row.withheld", "time", r.Until))
	}
	return l.say(what(r.Event))
}

// Printed is the page code at the foot of what the step printed.
func (r CustodyRow) Printed() string {
	if d, ok := r.Details.(*evidence.ItemExportedDetails); ok && d.Form == "print" {
		return PageCode(r.Leaf)
	}
	return ""
}

// Heading says which step it is, and what happened.
func (r CustodyRow) Heading(l Language) string {
	if r.Stream.Type == evidence.ItemStream {
		return l.say(tell("row.step", "step", r.Step, "what", r.What(l)))
	}
	return l.say(tell("row.step_in", "place", r.Place(l), "step", r.Step, "what", r.What(l)))
}

// Why says why the step was allowed, if it released something.
func (r CustodyRow) Why(l Language) string { return l.say(r.why) }

func (r CustodyRow) Signed(l Language) string {
	if r.Until != 0 {
		return ""
	}
	return l.moment(r.Time)
}

// Ground is the authority of a step. Consent is none to destroy what it governed, nor to keep it against the person's will.
func (r CustodyRow) Ground(l Language) string {
	if r.Authority == nil {
		return ""
	}
	if against := strings.HasPrefix(string(r.Kind), "item.shred") || strings.HasPrefix(string(r.Kind), "hold."); against && r.Authority.Basis == evidence.ByConsent {
		return ""
	}
	parts := []string{l.code("law", string(r.Authority.Basis))}
	if r.Authority.Hold != "" {
		parts = append(parts, l.say(tell("row.hold", "hold", r.Authority.Hold)))
	}
	if r.Authority.Grant != "" {
		parts = append(parts, l.say(tell("row.share", "grant", r.Authority.Grant)))
	}
	return l.list(parts...)
}

func (r CustodyRow) Consents(l Language) string {
	list := make([]string, len(r.Consent))
	for i, c := range r.Consent {
		list[i] = l.say(tell("row.consent", "consent", c.ID, "version", c.Version))
	}
	return l.list(list...)
}

func (r CustodyRow) Outcome(l Language) string {
	if r.Result == nil {
		return ""
	}
	parts := []string{l.code("result", string(r.Result.Outcome))}
	if r.Result.Code != "" {
		parts = append(parts, l.isolate(r.Result.Code))
	}
	return l.list(parts...)
}

// Other is the other side, as the formats name it.
func (r CustodyRow) Other() string {
	if r.Counterparty == nil {
		return ""
	}
	return strings.Trim(string(r.Counterparty.Actor)+", "+string(r.Counterparty.Class), ", ")
}

// Behind is by how much the row states a time before one that was stated by what was entered earlier; 0 if it does not.
func (r CustodyRow) Behind() time.Duration {
	if r.Until != 0 {
		return 0
	}
	return max(0, r.After.Sub(r.Time))
}

// Booked says by when the step was in the record book, as the vault's clock showed it, and whether the signer contradicts that.
func (r CustodyRow) Booked(l Language) string {
	if r.Book.Time == 0 {
		return ""
	}
	booked := l.say(tell("booked", "time", instant(r.Book.Time), "entry", r.Book.Entry))
	if ahead := r.Ahead(); ahead > 0 {
		return l.say(tell("booked.ahead", "booked", booked, "duration", l.duration(ahead)))
	}
	return booked
}

// Ahead is by how much at least the row states a time after it was in the record book; 0 if it does not.
func (r CustodyRow) Ahead() time.Duration {
	if r.Until != 0 || r.Book.Time == 0 {
		return 0
	}
	return max(0, r.Time.Sub(r.Book.Time))
}

// Independent says what third parties say of when the step was entered, and whether the signer contradicts that.
func (r CustodyRow) Independent(l Language) string {
	clocks := r.Clocks.in(l)
	switch drift := r.Drift(); {
	case drift > 0:
		return l.say(tell("independent.later", "clocks", clocks, "duration", l.duration(drift)))
	case drift < 0:
		return l.say(tell("independent.earlier", "clocks", clocks, "duration", l.duration(drift)))
	}
	return clocks
}

// Drift is by how much the row states a time beyond what third parties say, either way; 0 if it does not.
func (r CustodyRow) Drift() time.Duration {
	if r.Until != 0 {
		return 0
	}
	return r.Clocks.Drift(r.Time)
}

// Place names where a step stands that is not of the item itself.
func (r CustodyRow) Place(l Language) string {
	if r.Stream.Type == evidence.ItemStream {
		return ""
	}
	return l.say(tell("place."+string(r.Stream.Type), "id", r.Stream.ID))
}

// Order says how the stated time stands to the order of entry.
func (r CustodyRow) Order(l Language) string {
	switch behind := r.Behind(); {
	case r.After == 0:
		return ""
	case r.Until != 0:
		return l.say(tell("order.withheld", "time", instant(r.After)))
	case behind > 0:
		return l.say(tell("order.behind", "duration", l.duration(behind), "time", instant(r.After)))
	default:
		return l.say(tell("order.after", "time", instant(r.After)))
	}
}

// Proof says what was checked of the row.
func (r CustodyRow) Proof(l Language) string {
	if r.Until != 0 {
		return l.text("proof.withheld")
	}
	return l.text("proof.whole")
}
