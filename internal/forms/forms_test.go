package forms

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"
)

// TestExamples: each example is complete for the rules and for the published schema, and has nothing to ask about.
func TestExamples(t *testing.T) {
	for _, s := range Schemas() {
		b := example(t, s)
		d, problems := Parse(b)
		if d == nil || len(problems) > 0 || d.Schema() != s || len(d.Sealable()) > 0 {
			t.Errorf("%s: %v", s, problems)
			continue
		}
		if err := validates(t, compiled(t, s), b); err != nil {
			t.Errorf("%s: %v", s, err)
		}
		if err := validates(t, compiled(t, s), d.JSON()); err != nil {
			t.Errorf("%s again: %v", s, err)
		}
		if again := parsed(t, d.JSON()); !bytes.Equal(again.JSON(), d.JSON()) || Changes(d, again) != nil {
			t.Errorf("%s differs from itself", s)
		}
	}
}

// TestBlank: what `new` prints can be read, is not finished, and says nothing wrong.
func TestBlank(t *testing.T) {
	for _, s := range Schemas() {
		d, problems := Parse(Blank(s))
		if d == nil || len(d.Sealable()) == 0 || d.Opinions() {
			t.Errorf("%s: %v", s, problems)
			continue
		}
		for _, p := range problems {
			if p.Kind == Wrong {
				t.Errorf("%s: %v", s, p)
			}
		}
		if string(d.JSON()) != `{"schema":"`+string(s)+`"}` {
			t.Errorf("%s: blank fields stay: %s", s, d.JSON())
		}
		for _, f := range d.table.shape.fields {
			if f.name != "schema" && !f.optional && !reported(d.Sealable(), Unfinished, f.name, ReasonMissing) {
				t.Errorf("%s: nobody asks for %s", s, f.name)
			}
		}
	}
	if Blank("weather/1") != nil || Schema("weather/1").Title() != "" {
		t.Error("a document of an unknown schema")
	}
}

// TestHeadings: each heading of the Istanbul Protocol, annex IV, is asked for, filled or explained (RULES §5).
func TestHeadings(t *testing.T) {
	for _, s := range []Schema{ClinicalRecord, ClinicalFacts} {
		for _, f := range tableOf(s).shape.fields {
			if f.name == "schema" {
				continue
			}
			d := parsed(t, with(t, s, map[string]any{f.name: map[string]any{"not_done": "no time was left"}}))
			if reported(d.Sealable(), Unfinished, f.name, ReasonMissing) {
				t.Errorf("%s: a reason for %s does not count", s, f.name)
			}
			for _, empty := range []any{absent{}, nil, map[string]any{"not_done": " "}, map[string]any{"not_done": ""}} {
				d := parsed(t, with(t, s, map[string]any{f.name: empty}))
				if f.name != "consultations" && !reported(d.Sealable(), Unfinished, f.name, ReasonMissing) {
					t.Errorf("%s: nobody asks for %s", s, f.name)
				}
			}
			_, problems := Parse(with(t, s, map[string]any{f.name: map[string]any{"not_done": "no time", "weather": "rain"}}))
			if !reported(problems, Wrong, f.name, ReasonBoth) {
				t.Errorf("%s: %s with a value and a reason: %v", s, f.name, problems)
			}
		}
	}
}

// TestOpinions: RULES §5, §12.34, §12.35.
func TestOpinions(t *testing.T) {
	if !parsed(t, example(t, ClinicalRecord)).Opinions() || parsed(t, example(t, ClinicalFacts)).Opinions() {
		t.Error("opinions are not where they are")
	}
	none := map[string]any{"not_done": "left to a colleague"}
	opinions := map[string]any{"interpretation": none, "conclusions": none,
		"examination.findings.0.consistency": absent{}, "examination.findings.1.consistency": absent{}}
	if parsed(t, with(t, ClinicalRecord, opinions)).Opinions() {
		t.Error("reasons for having no opinion are one")
	}
	for path := range opinions {
		others := maps.Clone(opinions)
		delete(others, path)
		if !parsed(t, with(t, ClinicalRecord, others)).Opinions() {
			t.Errorf("%s is no opinion", path)
		}
	}
	for path, at := range map[string]string{
		"interpretation": "interpretation", "conclusions": "conclusions", "examination.findings.2.reasons": "examination.findings[3].reasons",
		"examination.findings.0.consistency": "examination.findings[1].consistency", "examination.findings.1.second_reader": "examination.findings[2].second_reader",
	} {
		for _, v := range []any{"consistent", ""} {
			d, problems := Parse(with(t, ClinicalFacts, map[string]any{path: v}))
			if d != nil || !reported(problems, Wrong, at, ReasonOpinion) {
				t.Errorf("%s among facts: %v", path, problems)
			}
		}
	}
}

func TestChanges(t *testing.T) {
	before := parsed(t, example(t, ClinicalRecord))
	edits := map[string]any{
		"background":                         "Another one.",
		"tests":                              map[string]any{"not_done": "lost"},
		"marks.1.colour":                     absent{},
		"photographs.+":                      map[string]any{"id": "P5", "kind": "other", "of": "Shoe", "scale": false, "colour": true, "consented": true},
		"examination.findings.1.consistency": "consistent",
	}
	after := parsed(t, with(t, ClinicalRecord, edits))
	want := []string{"background", "examination.findings[2].consistency", "photographs[5]", "tests", "marks[2].colour"}
	if got := Changes(before, after); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if got := Changes(after, before); !slices.Equal(got, want) {
		t.Errorf("back: %q", got)
	}
	if paths, problems := Addendum(before, after, "The test result belonged to somebody else."); len(problems) > 0 || !slices.Equal(paths, want) {
		t.Error(paths, problems)
	}
	if _, problems := Addendum(before, after, " \n"); !reported(problems, Wrong, "reason", ReasonMissing) {
		t.Error("without a reason", problems)
	}
	if _, problems := Addendum(before, before, "?"); !reported(problems, Wrong, "", ReasonUnchanged) {
		t.Error("without a change", problems)
	}
	if _, problems := Addendum(before, parsed(t, example(t, ClinicalFacts)), "?"); !reported(problems, Wrong, "schema", ReasonSchema) {
		t.Error("another schema", problems)
	}
	reason := func(text string) *Document {
		return parsed(t, with(t, ClinicalRecord, map[string]any{"tests": map[string]any{"not_done": text}}))
	}
	if got := Changes(reason("one"), reason("two")); !slices.Equal(got, []string{"tests"}) {
		t.Errorf("reasons: %q", got)
	}
}

// TestText: headings in order, everything that was written, no line too long.
func TestText(t *testing.T) {
	for _, s := range Schemas() {
		d := parsed(t, example(t, s))
		var b strings.Builder
		if err := d.Text(&b); err != nil {
			t.Fatal(err)
		}
		text, at := b.String(), 0
		for _, f := range d.table.shape.fields {
			if _, ok := d.fields[f.name]; !ok || f.name == "schema" {
				continue
			}
			i := strings.Index(text[at:], "\n"+strings.ToUpper(f.title)+"\n")
			if i < 0 {
				t.Errorf("%s: %s is not in its place", s, f.title)
				continue
			}
			at += i
		}
		flat := strings.Join(strings.Fields(text), " ")
		for _, leaf := range leaves(d.fields) {
			if leaf != string(s) && !strings.Contains(flat, strings.TrimRight(strings.Join(strings.Fields(leaf), " "), ".")) && !strings.Contains(flat, strings.ReplaceAll(leaf, "_", " ")) {
				t.Errorf("%s: %q is not in the text", s, leaf)
			}
		}
		for line := range strings.SplitSeq(text, "\n") {
			if len([]rune(line)) > textWidth && strings.Contains(strings.TrimSpace(line), " ") {
				t.Errorf("%s: long line %q", s, line)
			}
		}
	}
	var b strings.Builder
	if err := parsed(t, with(t, ClinicalRecord, map[string]any{"background": "", "tests": map[string]any{"not_done": "no laboratory."}})).Text(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"BACKGROUND\n  Not filled in yet.\n", "DIAGNOSTIC TESTS\n  Not done, because no laboratory.\n", "Consistency: highly consistent\n"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in the text", want)
		}
	}
}

func leaves(v any) (list []string) {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		for _, e := range v {
			list = append(list, leaves(e)...)
		}
	case map[string]any:
		for _, e := range v {
			list = append(list, leaves(e)...)
		}
	}
	return list
}
