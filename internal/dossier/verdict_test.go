package dossier

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
)

// judged verifies a vector with the trust file that it is for.
func judged(t *testing.T, pkg, trust string) (*Report, *tlog.Trust) {
	t.Helper()
	vectors := filepath.Join("..", "..", "api", "vectors", "dossier")
	data := must(os.ReadFile(filepath.Join(vectors, pkg)))
	var o Options
	if trust != "" {
		pinned := must(tlog.ParseTrust(must(os.ReadFile(filepath.Join(vectors, trust)))))
		o.Trust = &pinned
	}
	return must(Verify(bytes.NewReader(data), int64(len(data)), o)), o.Trust
}

// The verdict page has one form, and says in each language what the report says in English: the same things, in the same order, with no id of
// a text among them and nothing left in English.
func TestVerdictPage(t *testing.T) {
	id := regexp.MustCompile(`^[a-z]+(\.[a-z_]+)+$`)
	for _, c := range []struct{ pkg, trust, word string }{{"genuine.zip", "one.trust.json", "Verified"}, {"newer-field.zip", "three.trust.json", "Incomplete"},
		{"genuine.zip", "", "Incomplete"}, {"statement-changed.zip", "one.trust.json", "Refused"}, {"second-forked.zip", "five.trust.json", "Verified"}} {
		r, trust := judged(t, c.pkg, c.trust)
		o := Telling{To: 100, Trust: trust, Verifier: "strongroom-verify 1", Digest: ev.SHA256([]byte("program")), Time: 1}
		own := r.VerdictPage(o)
		if own.Word != c.word || own.Language != "en" || own.Direction != "ltr" {
			t.Errorf("%s: %s in %s", c.pkg, own.Word, own.Language)
		}
		for i, check := range own.Checks {
			if check.Said != r.Checks[i].Detail || check.Check != r.Checks[i].Name || check.Result != r.Checks[i].Result {
				t.Errorf("%s: %+v against %+v", c.pkg, check, r.Checks[i])
			}
		}
		if c.word == "Refused" && own.Sentence != "Do not rely on this package. "+r.Check(CheckSignatures).Detail {
			t.Errorf("%s: %q", c.pkg, own.Sentence)
		}
		for _, said := range append(slices.Clone(own.First), own.DoesNotShow...) {
			if !slices.Contains(r.DoesNotShow, said) {
				t.Errorf("%s: %q is not in the report", c.pkg, said)
			}
		}
		for i, check := range r.Checks {
			if check.Result == NotRequired && !slices.Contains(own.First, r.Checks[i].Detail) {
				t.Errorf("%s: %s is not said first", c.pkg, check.Name)
			}
		}
		all := slices.Concat(own.First, own.DoesNotShow)
		for _, reason := range own.Reasons {
			all = append(all, reason.Said)
		}
		for _, said := range r.DoesNotShow {
			if !slices.Contains(all, said) && !(r.Verdict == Refused && said == English.text("reason.not_reached")) {
				t.Errorf("%s: %q is lost", c.pkg, said)
			}
		}
		if !slices.Equal(own.Shows, r.Shows) || len(own.Timeline) != len(r.Events) || own.Steps != len(r.Events) {
			t.Errorf("%s: %q, %d steps", c.pkg, own.Shows, own.Steps)
		}
		for _, l := range languages(t) {
			o.Language = l
			var text bytes.Buffer
			page := r.VerdictPage(o)
			if err := page.WriteJSON(&text); err != nil {
				t.Fatal(err)
			}
			var members map[string]json.RawMessage
			if err := json.Unmarshal(text.Bytes(), &members); err != nil {
				t.Fatal(err)
			}
			want := []string{"checks", "direction", "does_not_show", "first", "labels", "language", "next", "reasons", "request", "sentence", "shares", "shows", "steps", "timeline", "tool", "verdict", "word"}
			if got := slices.Sorted(maps.Keys(members)); !slices.Equal(got, want) || strings.Contains(text.String(), ":null") {
				t.Errorf("%s: members %v", c.pkg, got)
			}
			said, english := sayings(page), sayings(own)
			if len(said) != len(english) {
				t.Fatalf("%s %s: %d texts against %d", c.pkg, l.Tag(), len(said), len(english))
			}
			for i, s := range said {
				if id.MatchString(s) || strings.ContainsAny(s, "{}\x1e\x1f") {
					t.Errorf("%s %s: %q is no text", c.pkg, l.Tag(), s)
				}
				if l.Tag() == "ar" || l.Tag() == "uk" {
					s = regexp.MustCompile(`(act|con|itm|org|gra|cas)-[a-z2-7]{26}|\bDE\b|README\.html|\b[0-9a-f]{64}\b`).ReplaceAllString(s, "")
					untranslated(t, l, english[i], s)
				}
			}
		}
	}
}

// sayings are all texts of a page that are not fixed.
func sayings(p VerdictPage) (list []string) {
	list = append(list, p.Word, p.Sentence)
	for _, id := range slices.Sorted(maps.Keys(p.Labels)) {
		list = append(list, p.Labels[id])
	}
	list = slices.Concat(list, p.First, p.Next, p.Shows, p.DoesNotShow)
	rows := func(rows []Row) {
		for _, r := range rows {
			list = append(list, r.Name)
			if !r.Fixed {
				list = append(list, r.Value)
			}
		}
	}
	for _, r := range p.Reasons {
		list = append(list, r.Said)
	}
	for _, s := range p.Shares {
		list = append(append(list, s.Item), s.Notes...)
		rows(s.Terms)
	}
	rows(p.Request)
	rows(p.Tool)
	for _, s := range p.Timeline {
		list = append(list, s.Item, s.Step, s.When, s.Who, s.What, s.Why, s.Clocks, s.Proof)
	}
	for _, c := range p.Checks {
		list = append(list, c.Name, c.Answer, c.Said)
	}
	return list
}

// The text says in each language all that the verdict page says, with the codes of what did not pass, in at most 80 columns; and nothing in it
// is left in English, nor the id of a text.
func TestTextLanguages(t *testing.T) {
	plain := func(s string) string {
		return strings.Join(strings.Fields(strings.NewReplacer("\u2068", "", "\u2069", "").Replace(s)), " ")
	}
	id, codes := regexp.MustCompile(`\b(text|verdict|answer|check|label|tool|request|terms|step|detail)\.[a-z_]+\b`), regexp.MustCompile(`\[[a-z_, ]+: [a-z_]+\]|\([a-z_]+\)`)
	fixed := regexp.MustCompile(`(act|con|itm|org|gra|cas)-[a-z2-7]{26}|\bDE\b|README\.html|\b[0-9a-f]{64}\b|` + courtNonce + `|vault\.example|strongroom-verify 1|log/[a-z0-9.-]+`)
	for _, c := range []struct{ pkg, trust string }{{"genuine.zip", "one.trust.json"}, {"newer-field.zip", "three.trust.json"}, {"genuine.zip", ""}, {"statement-changed.zip", "one.trust.json"},
		{"final.zip", "four.trust.json"}, {"timestamp-missing.zip", "four.trust.json"}, {"consent-withdrawn.zip", "two.trust.json"}} {
		r, trust := judged(t, c.pkg, c.trust)
		for _, l := range languages(t) {
			var b bytes.Buffer
			o := Telling{Language: l, To: 100, Trust: trust, Verifier: "strongroom-verify 1", Digest: ev.SHA256([]byte("program"))}
			if err := r.WriteText(&b, o); err != nil {
				t.Fatal(err)
			}
			page, text := r.VerdictPage(o), plain(b.String())
			all := slices.Concat(page.First, page.Next, page.Shows, page.DoesNotShow, []string{strings.ToUpper(page.Word), page.Labels["checks"], page.Labels["hides"]})
			for _, s := range page.Reasons {
				all = append(all, s.Said+" ["+joined(s.Checks)+": "+s.Reason+"]")
			}
			for _, s := range page.Shares {
				all = append(all, s.Item)
				all = append(all, s.Notes...)
				page.Tool = append(page.Tool, s.Terms...)
			}
			for _, w := range append(page.Tool, page.Request...) {
				if all = append(all, w.Value); w.Name != "" {
					all = append(all, l.about(w.Name, w.Value))
				}
			}
			for _, s := range page.Timeline {
				all = append(all, page.Labels["timeline"], l.about(s.Step, s.When), s.Who, s.By, s.What, s.Why, s.Clocks)
			}
			for _, s := range page.Checks {
				all = append(all, l.about(s.Name, s.Answer))
			}
			for _, s := range all {
				if !strings.Contains(text, plain(s)) {
					t.Errorf("%s %s: %q is missing\n%s", c.pkg, l.Tag(), s, b.String())
				}
			}
			for line := range strings.Lines(b.String()) {
				if cells(strings.TrimSuffix(line, "\n")) > textWidth || strings.Contains(line, "??") || !balanced(line) {
					t.Errorf("%s %s: %q", c.pkg, l.Tag(), line)
				}
			}
			text = fixed.ReplaceAllString(codes.ReplaceAllString(text, ""), "")
			if s := id.FindString(text); s != "" {
				t.Errorf("%s %s: %q is no text", c.pkg, l.Tag(), s)
			}
			if l.Tag() == "ar" || l.Tag() == "uk" {
				untranslated(t, l, c.pkg, text)
			}
		}
	}
}

// A part of the timeline is those steps and no others, whatever part is asked for.
func TestTimelineParts(t *testing.T) {
	r, _ := judged(t, "genuine.zip", "one.trust.json")
	all := r.VerdictPage(Telling{To: 1 << 40}).Timeline
	for _, c := range [][4]int{{0, 3, 0, 3}, {3, 6, 3, 6}, {7, 100, 7, 9}, {9, 20, 9, 9}, {50, 60, 9, 9}, {-5, 2, 0, 2}, {5, 2, 5, 5}, {0, 0, 0, 0}} {
		if got := r.VerdictPage(Telling{From: c[0], To: c[1]}).Timeline; !slices.Equal(got, all[c[2]:c[3]]) || got == nil {
			t.Errorf("%d to %d: %d steps", c[0], c[1], len(got))
		}
	}
}

// What to do next is said for what is open; and each code that the page may say has words.
func TestNext(t *testing.T) {
	for _, c := range []struct{ pkg, trust, next string }{{"genuine.zip", "", "next.trust"}, {"newer-field.zip", "three.trust.json", "next.newer"},
		{"second-unproven.zip", "five.trust.json", "next.verified"}, {"witness-missing.zip", "four.trust.json", "next.incomplete"}, {"evidence-replaced.zip", "one.trust.json", "next.refused"}} {
		r, _ := judged(t, c.pkg, c.trust)
		if got := r.next(); !slices.Equal(got, []telling{telling(c.next)}) {
			t.Errorf("%s, %s: %q", c.pkg, r.Verdict, got)
		}
	}
	r := &Report{Verdict: Incomplete, until: ev.Time(1)}
	if got := English.all(r.next()); len(got) != 1 || !strings.HasPrefix(got[0], "A step is withheld until 1 January 1970.") {
		t.Errorf("withheld: %q", got)
	}
	if r.until = 0; !slices.Equal(r.next(), []telling{"next.incomplete"}) {
		t.Errorf("%q", r.next())
	}
	ids := []string{"legal.treaty", "legal.mla_request", "legal.court_order", "legal.consent", "legal.statute", "action.view", "action.download", "action.both"}
	for _, c := range Checks {
		ids = append(ids, "check."+string(c))
	}
	for _, a := range []Result{Pass, Fail, NotChecked, NotRequired} {
		ids = append(ids, "answer."+string(a))
	}
	for _, v := range []Verdict{Verified, Incomplete, Refused} {
		ids = append(ids, "verdict."+string(v))
	}
	for _, label := range verdictLabels {
		ids = append(ids, "verdict."+label)
	}
	for _, id := range ids {
		if !English.has(id) {
			t.Errorf("%s has no words", id)
		}
	}
}

// A record that a statement names in any words becomes neither another line nor a place of the sentence, in no language.
func TestNamedInAnyWords(t *testing.T) {
	v := verification{}
	f := Finding{Check: CheckComplete, Result: Fail, Reason: ReasonStreamMissing, Stream: ev.Stream{Type: ev.CaseStream, ID: "cas-\x1f{where}\x1e\n\u202e<b>{said}"}, Seq: 3}
	if got := English.say(v.detail(f)); got != "Record of case cas-?{where}???<b>{said}, step 4: A record that the steps rest on is missing." {
		t.Errorf("%q", got)
	}
	for _, l := range languages(t) {
		if got := l.say(v.detail(f)); strings.ContainsAny(got, "\n\u202e\x1f\x1e") || !strings.Contains(got, "{said}") {
			t.Errorf("%s: %q", l.Tag(), got)
		}
	}
	if err := (&Report{Verdict: Refused}).VerdictPage(Telling{}).WriteJSON(io.Discard); err != nil {
		t.Error(err)
	}
}
