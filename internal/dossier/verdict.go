package dossier

import (
	"encoding/json"
	"io"
	"slices"
	"strings"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
)

// VerdictPage is the verdict page (INTERFACE §7) in one language: everything on it is said, in its order, so that whoever shows it needs no
// words of its own. Ids, digests and numbers are as in the formats.
type VerdictPage struct {
	Language  string            `json:"language"`
	Direction string            `json:"direction"`
	Verdict   Verdict           `json:"verdict"`
	Labels    map[string]string `json:"labels"` // what stands above and beside the rest
	Word      string            `json:"word"`   // the verdict in one word
	Sentence  string            `json:"sentence"`
	// First is what was not required, and what else is said in the first lines instead of small print.
	First       []string   `json:"first"`
	Reasons     []Reasoned `json:"reasons"` // what failed first
	Next        []string   `json:"next"`
	Shows       []string   `json:"shows"`
	DoesNotShow []string   `json:"does_not_show"` // without what First and Reasons say
	Shares      []Shared   `json:"shares"`
	Request     []Row      `json:"request"` // what the package was asked for
	Steps       int        `json:"steps"`   // how many there are
	Timeline    []Step     `json:"timeline"`
	Checks      []Checked  `json:"checks"`
	Tool        []Row      `json:"tool"` // vault, its number, the verifier
}

// Reasoned is why checks did not pass. What is the same of several is said once.
type Reasoned struct {
	Checks []Check `json:"checks"`
	Result Result  `json:"result"`
	Reason string  `json:"reason"` // the stable code
	Said   string  `json:"said"`
}

// Row is a name and what it is. A Fixed one is the same in every language, such as a number or a digest.
type Row struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Fixed bool   `json:"fixed"`
}

// Shared is what the recipient of an item may do with it.
type Shared struct {
	Item  string   `json:"item"`
	Terms []Row    `json:"terms"`
	Notes []string `json:"notes"` // what became of it, and of the consents
}

// Step is one of an item's history.
type Step struct {
	Item   string        `json:"item"`
	Step   string        `json:"step"`
	When   string        `json:"when"`
	Who    string        `json:"who"`
	By     string        `json:"by"` // the organization's id
	What   string        `json:"what"`
	Why    string        `json:"why"`
	Clocks string        `json:"clocks"`
	Proof  string        `json:"proof"`
	Leaf   evidence.Hash `json:"leaf"`
}

// Checked is the answer to a check.
type Checked struct {
	Check  Check  `json:"check"`
	Name   string `json:"name"`
	Result Result `json:"result"`
	Answer string `json:"answer"`
	Said   string `json:"said"`
}

// Telling is what a verdict page needs to know besides the report.
type Telling struct {
	Language Language
	From, To int           // of the timeline: there may be 100,000 steps
	Trust    *tlog.Trust   // the one that was pinned; nil if none was
	Verifier string        // its version
	Digest   evidence.Hash // of the program that verified; zero if nobody knows
	Time     evidence.Time // when it verified, by its computer's clock; 0 is not said
}

// verdictLabels are the texts that Labels holds, by the part of their ids after "verdict.".
var verdictLabels = []string{"reasons", "next", "shows", "hides", "share", "request", "timeline", "checks", "tool", "more"}

// VerdictPage says the report in a language.
func (r *Report) VerdictPage(o Telling) VerdictPage {
	l := o.Language
	p := VerdictPage{Language: l.Tag(), Direction: l.Direction(), Verdict: r.Verdict, Labels: map[string]string{},
		Word: l.text("verdict." + string(r.Verdict)), Sentence: l.say(r.sentence()), First: []string{}, Reasons: []Reasoned{}, Next: l.all(r.next()),
		Shows: l.all(r.shows), DoesNotShow: l.all(r.unsaid()), Shares: []Shared{}, Request: []Row{}, Steps: len(r.Events), Timeline: []Step{}}
	for _, id := range verdictLabels {
		p.Labels[id] = l.text("verdict." + id)
	}
	p.Labels["timeline"] = l.say(tell("verdict.timeline", "n", len(r.Events)))
	p.Labels["checks"] = l.say(tell("verdict.checks", "n", len(r.Checks)))
	for i, c := range r.Checks {
		said := l.say(r.details[i])
		p.Checks = append(p.Checks, Checked{c.Name, l.code("check", string(c.Name)), c.Result, l.code("answer", string(c.Result)), said})
		switch {
		case c.Result == NotRequired:
			p.First = append(p.First, said)
		case r.told(c):
			i := slices.IndexFunc(p.Reasons, func(o Reasoned) bool { return o.Result == c.Result && o.Reason == c.Reason && o.Said == said })
			if i < 0 {
				i, p.Reasons = len(p.Reasons), append(p.Reasons, Reasoned{Result: c.Result, Reason: c.Reason, Said: said})
			}
			p.Reasons[i].Checks = append(p.Reasons[i].Checks, c.Name)
		}
	}
	slices.SortStableFunc(p.Reasons, func(a, b Reasoned) int { return strings.Compare(string(a.Result), string(b.Result)) }) // "fail" first
	if r.Verdict == Refused && len(p.Reasons) > 0 {
		p.Sentence += " " + p.Reasons[0].Said
	}
	p.First = append(p.First, l.all(r.aloud)...)
	for _, n := range r.Items {
		p.Shares = append(p.Shares, n.shared(l)...)
	}
	if len(r.Items) > 0 {
		n := r.Items[0] // as of all others
		p.Request = []Row{{l.text("request.nonce"), n.Nonce, true}, {l.text("request.key"), tlog.SixGroups(tlog.Hash(n.Recipient)), true},
			{l.text("request.covers"), l.say(tell("request.entries", "n", n.Covers)), false}}
	}
	for _, e := range r.Events[min(max(o.From, 0), len(r.Events)):min(max(o.To, o.From, 0), len(r.Events))] {
		p.Timeline = append(p.Timeline, r.step(l, e))
	}
	if o.Trust != nil {
		p.Tool = append(p.Tool, Row{l.text("label.vault"), o.Trust.Vault(), true}, Row{l.text("tool.number"), tlog.SixGroups(o.Trust.Fingerprint()), true},
			Row{"", l.text("tool.compare"), false})
	}
	if o.Time != 0 {
		p.Tool = append(p.Tool, Row{l.text("tool.time"), l.moment(o.Time), false})
	}
	p.Tool = append(p.Tool, Row{l.text("tool.verifier"), o.Verifier, true})
	if !o.Digest.IsZero() {
		p.Tool = append(p.Tool, Row{l.text("tool.digest"), o.Digest.String(), true})
	}
	return p
}

// WriteJSON writes the page.
func (p VerdictPage) WriteJSON(w io.Writer) error { return json.NewEncoder(w).Encode(p) }

// told reports whether an answer is one of the reasons for the verdict. What could not be reached, because of what failed before, is none.
func (r *Report) told(c CheckResult) bool {
	return c.Result == Fail || c.Result == NotChecked && (r.Verdict == Incomplete || c.Reason != ReasonNotReached)
}

// unsaid is what is not shown, without what was said before it.
func (r *Report) unsaid() []telling {
	return slices.DeleteFunc(slices.Clone(r.hides), func(t telling) bool { return slices.Contains(r.aloud, t) || slices.Contains(r.details, t) })
}

// sentence is that of the verdict.
func (r *Report) sentence() telling {
	switch r.Verdict {
	case Verified:
		last := EventReport{}
		for _, e := range r.Events {
			if e.Entry >= last.Entry {
				last = e
			}
		}
		return tell("verdict.verified.sentence", "step", last.Step, "time", last.Time)
	case Incomplete:
		n := 0
		for _, c := range r.Checks {
			if c.Result == NotChecked {
				n++
			}
		}
		if n == 1 {
			return tell("verdict.incomplete.one")
		}
		return tell("verdict.incomplete.sentence", "n", n)
	}
	return tell("verdict.refused.sentence")
}

// next is what to do now.
func (r *Report) next() (list []telling) {
	if r.Verdict != Incomplete {
		return []telling{tell("next." + string(r.Verdict))}
	}
	for _, c := range r.Checks {
		id := ""
		switch c.Reason {
		case ReasonTrustMissing:
			id = "next.trust"
		case ReasonVersion, evidence.ReasonKind, evidence.ReasonField, evidence.ReasonRules:
			id = "next.newer"
		}
		if t := telling(id); id != "" && !slices.Contains(list, t) {
			list = append(list, t)
		}
	}
	if r.until != 0 {
		list = append(list, tell("next.withheld", "date", onDay(r.until)))
	}
	if list == nil {
		list = append(list, tell("next.incomplete"))
	}
	return list
}

// shared are the terms of the item's share, and what became of it; nothing of an item without one.
func (n ItemReport) shared(l Language) []Shared {
	s := Shared{Item: l.say(n.name()), Terms: []Row{}, Notes: []string{}}
	if t := n.Share; t != nil {
		may := "both"
		if len(t.Actions) == 1 {
			may = string(t.Actions[0])
		}
		onward := "terms.kept"
		if t.Onward {
			onward = "terms.onward"
		}
		s.Terms = []Row{{l.text("terms.to"), l.say(tell("terms.who", "class", t.To, "country", country(t.Jurisdiction))), false},
			{l.text("label.for"), l.code("purpose", string(t.Purpose)), false}, {l.text("terms.may"), l.code("action", may), false},
			{l.text("terms.ground"), l.code("legal", t.LegalBasis), false}, {l.text("terms.from"), l.day(t.NotBefore), false},
			{l.text("terms.until"), l.day(t.Expires), false}}
		s.Notes = append(s.Notes, l.text(onward), l.say(n.standing()))
	}
	for _, c := range n.Consent {
		s.Notes = append(s.Notes, l.say(c.standing(n.AsOf)))
	}
	if len(s.Terms)+len(s.Notes) == 0 {
		return nil
	}
	return []Shared{s}
}

func (r *Report) step(l Language, e EventReport) Step {
	s := Step{Step: l.say(tell("step", "step", e.Step)), What: l.say(e.what), Why: l.say(e.why), By: string(e.Organization), Clocks: e.clocks(l),
		Proof: l.say(tell("step.entry", "entry", e.Entry)), Leaf: e.Leaf, Item: l.say(itemName(e.Item, 0))}
	if i := slices.IndexFunc(r.Items, func(n ItemReport) bool { return n.ID == e.Item }); i >= 0 {
		s.Item = l.say(r.Items[i].name())
	}
	if e.Time != 0 {
		s.When = l.moment(e.Time)
	}
	if e.Role != "" {
		s.Who = l.code("role", string(e.Role))
	}
	if e.Judged {
		s.Proof = l.list(s.Proof, l.text("proof.whole"))
	}
	return s
}
