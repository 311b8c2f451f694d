package forms

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// TestStrict: what is no document is refused, with the place and the reason.
func TestStrict(t *testing.T) {
	within := func(old, new string) string {
		text := string(example(t, ConsentForm))
		if !strings.Contains(text, old) {
			t.Fatalf("no %s in the example", old)
		}
		return strings.Replace(text, old, new, 1)
	}
	for name, c := range map[string]struct{ text, path, reason, says string }{
		"nothing":            {"", "", ReasonJSON, "line 1"},
		"comma missing":      {within(`"language": "fr",`, `"language": "fr"`), "", ReasonJSON, "line 22"},
		"trailing":           {within("", "") + "{}", "", ReasonJSON, "line"},
		"list":               {"[]", "", ReasonJSON, "object"},
		"null":               {"null", "", ReasonJSON, "object"},
		"text":               {`"consent-form/1"`, "", ReasonJSON, "object"},
		"not UTF-8":          {within("Lime", "Lim\xff"), "", ReasonJSON, "UTF-8"},
		"half a surrogate":   {within("Lime", `Lim\ud800`), "subject", ReasonCharacter, "damaged"},
		"no schema":          {"{}", "schema", ReasonSchema, "consent-form/1"},
		"schema as number":   {`{"schema":1}`, "schema", ReasonSchema, "consent-form/1"},
		"newer schema":       {`{"schema":"consent-form/2"}`, "schema", ReasonSchema, "consent-form/1"},
		"twice":              {within(`"by": "self"`, `"by": "self", "by": "proxy"`), "by", ReasonTwice, "twice"},
		"twice, spelt apart": {within(`"by": "self"`, `"by": "self", "b\u0079": "self"`), "by", ReasonTwice, "twice"},
		"twice, inside":      {within(`"gps": "leave_out"`, `"gps": "leave_out", "gps": "keep"`), "shared_copies.gps", ReasonTwice, "twice"},
		"unknown field":      {within(`"by": "self"`, `"by": "self", "weather": ""`), "weather", ReasonField, "no such field"},
		"other case":         {within(`"by": "self"`, `"By": "self"`), "", ReasonField, "no such field"},
		"unknown, inside":    {within(`"gps": "leave_out"`, `"gps": "leave_out", "": ""`), "shared_copies", ReasonField, "no such field"},
		"unknown, blank":     {within(`"refusals": [`, `"proxy": {"": ""}, "refusals": [`), "proxy", ReasonField, "no such field"},
		"deep":               {within(`"self"`, strings.Repeat("[", 50)+strings.Repeat("]", 50)), "by" + strings.Repeat("[1]", 11), ReasonDepth, "too deeply"},
		"huge number":        {within(`"minor": false`, `"minor": 1e999`), "minor", ReasonJSON, "too large"},
		"too large":          {within("Lime", strings.Repeat("x", MaxSize)), "", ReasonSize, "992 KiB"},
	} {
		d, problems := Parse([]byte(c.text))
		if d != nil || !reported(problems, Wrong, c.path, c.reason) {
			t.Errorf("%s: %v", name, problems)
		} else if !strings.Contains(problems[0].Text, c.says) {
			t.Errorf("%s: %q does not speak of %q", name, problems[0].Text, c.says)
		}
	}
}

// TestSpelling: two spellings of one document are one document.
func TestSpelling(t *testing.T) {
	plain := example(t, ClinicalRecord)
	for old, spelling := range map[string]string{`"x": 0.412`: `"x": 4.12e-1`, `"consented": true`: `"consented" :true`, "Lime 14": `\u004cime 14`, `"width_mm": 18`: `"width_mm": 18.0, "depth_mm": null`} {
		d := parsed(t, bytes.Replace(plain, []byte(old), []byte(spelling), 1))
		if bytes.Contains(plain, []byte(spelling)) || !bytes.Equal(d.JSON(), parsed(t, plain).JSON()) {
			t.Errorf("%s: %s", spelling, d.JSON())
		}
	}
	zero := func(s string) []byte {
		return parsed(t, bytes.Replace(plain, []byte(`"x": 0.412`), []byte(`"x": `+s), 1)).JSON()
	}
	if !bytes.Equal(zero("0"), zero("-0.0")) {
		t.Error("minus zero is another document")
	}
}

// TestAllAtOnce: a person hears of everything, of nothing twice, and not of a thousand things.
func TestAllAtOnce(t *testing.T) {
	_, problems := Parse(with(t, ClinicalRecord, map[string]any{
		"background": absent{}, "marks.0.x": 7, "marks.1.map": "tail", "signature.date": "today", "marks.0.photos.+": "P9"}))
	var have []string
	for _, p := range problems {
		have = append(have, p.Path)
		if p.String() != p.Path+": "+p.Text {
			t.Errorf("%q", p.String())
		}
	}
	if got := strings.Join(have, " "); got != "background signature.date marks[1].x marks[2].map marks[1].photos[3]" {
		t.Error(got)
	}

	marks := make([]any, entries)
	for i := range marks {
		marks[i] = map[string]any{"number": i + 1, "map": "left", "x": 5, "side": "right", "photos": []any{"P8"}, "type": "x", "site": "x", "y": 0, "consented": true}
	}
	_, problems = Parse(with(t, ClinicalRecord, map[string]any{"marks": marks}))
	count := map[Kind]int{}
	for _, p := range problems {
		count[p.Kind]++
	}
	for _, k := range []Kind{Wrong, Unfinished, Ask} {
		if count[k] != maxProblems {
			t.Errorf("%d %s", count[k], k)
		}
	}
	// Many questions do not hide what stops the seal.
	for _, m := range marks {
		m.(map[string]any)["x"] = 0.5
	}
	marks[entries-1].(map[string]any)["site"] = ""
	if d := parsed(t, with(t, ClinicalRecord, map[string]any{"marks": marks, "photographs": map[string]any{"not_done": "x"}})); len(d.Sealable()) != maxProblems {
		t.Error(len(d.Sealable()))
	}
}

// TestSilent: problems repeat nothing that somebody wrote, neither values nor names of fields that are no names.
func TestSilent(t *testing.T) {
	const canary = "Amara-canary"
	var spoil func(v any) any
	spoil = func(v any) any {
		switch v := v.(type) {
		case map[string]any:
			for name, member := range v {
				if name != "schema" {
					v[name] = spoil(member)
				}
			}
			v[canary] = canary
			return v
		case []any:
			for i := range v {
				v[i] = spoil(v[i])
			}
			return v
		case string:
			return canary + "\x00"
		}
		return canary
	}
	for _, s := range Schemas() {
		var tree any
		if err := json.Unmarshal(example(t, s), &tree); err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(spoil(tree))
		if err != nil {
			t.Fatal(err)
		}
		d, problems := Parse(b)
		if d != nil || len(problems) < 10 {
			t.Errorf("%s: %v", s, problems)
		}
		for _, p := range problems {
			if strings.Contains(p.String()+p.Reason, canary) {
				t.Errorf("%s repeats what was written: %v", s, p)
			}
		}
	}
}

// FuzzParse: no input breaks the parser, its problems are bounded, and what parses is written and parses again to the same document.
func FuzzParse(f *testing.F) {
	for _, s := range Schemas() {
		f.Add(example(f, s))
		f.Add(Blank(s))
	}
	f.Add([]byte(`{"schema":"identity/1","names":[{"name":"x"},{}],"born":1e3}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, problems := Parse(b)
		if len(problems) > 3*maxProblems {
			t.Fatalf("%d problems", len(problems))
		}
		for _, p := range problems {
			if d != nil && p.Kind == Wrong || p.Text == "" || p.Reason == "" || len(p.String()) > 2000 {
				t.Fatalf("%v", p)
			}
		}
		if d == nil {
			if len(problems) == 0 {
				t.Fatal("refused without a reason")
			}
			return
		}
		text := d.JSON()
		again, same := Parse(text)
		if again == nil || !bytes.Equal(again.JSON(), text) || Changes(d, again) != nil || len(same) != len(problems) {
			t.Fatalf("%s\nreads differently: %v, before %v", text, same, problems)
		}
		var out bytes.Buffer
		if err := d.Text(&out); err != nil || bytes.ContainsAny(out.Bytes(), "\x00\x1b\r") {
			t.Fatalf("%v %q", err, out.String())
		}
	})
}
