package forms

import (
	"bytes"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Every language has every heading and every code of every document, and says the same beside them, in short sentences.
func TestTitles(t *testing.T) {
	wanted := make(map[string]bool)
	var walk func(s shape)
	walk = func(s shape) {
		for _, c := range s.codes {
			wanted["code."+c] = true
		}
		if s.of != nil {
			if s.of.kind == isGroup {
				wanted[s.entry] = true
			}
			walk(*s.of)
		}
		for _, f := range s.fields {
			if f.name != "schema" {
				wanted[f.title] = true
				walk(f.is)
			}
		}
	}
	for _, d := range tables {
		wanted[d.title] = true
		walk(d.shape)
	}
	all := pageTitles()
	for id := range all["en"] {
		wanted[id] = true
	}
	places := regexp.MustCompile(`\{[a-z]+\}`)
	if !slices.Equal(slices.Sorted(maps.Keys(all)), PageLanguages()) {
		t.Errorf("headings in %v", slices.Sorted(maps.Keys(all)))
	}
	for tag, list := range all {
		if tag == "en" {
			continue
		}
		if got, want := slices.Sorted(maps.Keys(list)), slices.Sorted(maps.Keys(wanted)); !slices.Equal(got, want) {
			for _, id := range want {
				if list[id] == "" {
					t.Errorf("%s has no %q", tag, id)
				}
			}
			for _, id := range got {
				if !wanted[id] {
					t.Errorf("%s has %q, which nothing asks for", tag, id)
				}
			}
		}
		for id, text := range list {
			if !slices.Equal(places.FindAllString(text, -1), places.FindAllString(all["en"][id], -1)) {
				t.Errorf("%s %s has other places", tag, id)
			}
			for sentence := range strings.SplitSeq(text, ". ") {
				if n := len(strings.Fields(sentence)); n > 20 {
					t.Errorf("%s %s: a sentence of %d words", tag, id, n)
				}
			}
		}
	}
}

// A page in another language has all its headings in that language, and leaves what somebody wrote as it is.
func TestPageInLanguage(t *testing.T) {
	for _, s := range Schemas() {
		d := parsed(t, example(t, s))
		for _, tag := range PageLanguages() {
			if tag == "en" {
				continue
			}
			in, body := pageTitles()[tag], opened(t, pageOf(t, tag, d))
			known := make(map[string]bool)
			for _, text := range in {
				known[text] = true
			}
			for _, name := range []string{"h1", "h2", "dt"} {
				for _, e := range body.all(name, "") {
					if !known[e.inner] {
						t.Errorf("%s %s: the heading %q is not in its catalogue", tag, s, e.inner)
					}
				}
			}
			if own := opened(t, pageOf(t, "en", d)); len(own.all("h2", "")) != len(body.all("h2", "")) || len(own.all("dd", "")) != len(body.all("dd", "")) {
				t.Errorf("%s %s: another page than the English one", tag, s)
			}
		}
	}
	page := pageOf(t, "ar", parsed(t, with(t, ClinicalRecord, map[string]any{"background": "Born in Aleppo.", "tests": map[string]any{"not_done": "no laboratory."}})))
	for _, want := range []string{`<p dir="auto">Born in Aleppo.</p>`, `<p dir="auto">لم يُنجز، لأن: no laboratory.</p>`} {
		if !strings.Contains(page, want) {
			t.Errorf("no %s on the page", want)
		}
	}
}

// A print has exhibit, page code and time at the foot of each page, and at its head once; a page made from a file says that it is none.
func TestFoot(t *testing.T) {
	d := parsed(t, example(t, ClinicalRecord))
	for _, tag := range PageLanguages() {
		var b bytes.Buffer
		if err := WritePage(&b, tag, Foot{4, "48213 90177 05520 61834", `3 May 2026, 14:05:00 UTC"}</style>`}, d); err != nil {
			t.Fatal(err)
		}
		page := b.String()
		style := page[strings.Index(page, "@page"):strings.Index(page, "</style>")]
		code := "48213 90177 05520 61834"
		if strings.Count(style, code) != 1 || !strings.Contains(style, "@bottom-left") || !strings.Contains(style, "counter(pages)") || !strings.Contains(style, `@bottom-center { content: "3 May 2026, 14:05:00 UTC\22 }\3c /style\3e " }`) {
			t.Errorf("%s: the foot is %s", tag, style)
		}
		head := opened(t, page).all("p", "foot")
		if len(head) != 2 || !strings.Contains(head[0].inner, code) || !strings.Contains(head[0].inner, "4") || !strings.Contains(head[1].inner, "3 May 2026") {
			t.Errorf("%s: the head of the page does not say where it comes from", tag)
		}
		if strings.Count(page, "</style>") != 1 {
			t.Errorf("%s: a text ended the styles", tag)
		}
		plain := pageOf(t, tag, d)
		if strings.Contains(plain, "@bottom-left") || !strings.Contains(opened(t, plain).all("p", "foot")[0].inner, pageTitles()[tag].say("unrecorded")) {
			t.Errorf("%s: a page from a file passes for a print", tag)
		}
	}
}
