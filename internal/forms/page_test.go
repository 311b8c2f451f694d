package forms

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// pageOf writes documents as a page.
func pageOf(t testing.TB, tag string, documents ...*Document) string {
	t.Helper()
	var b bytes.Buffer
	if err := WritePage(&b, tag, Foot{}, documents...); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// element is what a page is made of.
type element struct {
	name  string
	is    map[string]string
	inner string // all text in it
	of    []*element
}

// opened reads a page as XML, which its parts are: nothing in it is left open.
func opened(t testing.TB, page string) *element {
	t.Helper()
	_, body, found := strings.Cut(page, "<body>")
	if !found {
		t.Fatal("a page without a body")
	}
	d := xml.NewDecoder(strings.NewReader("<body>" + strings.TrimSuffix(strings.TrimSpace(body), "</html>")))
	d.Entity = xml.HTMLEntity
	stack := []*element{{}}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return stack[0]
		}
		if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			e := &element{name: token.Name.Local, is: make(map[string]string)}
			for _, a := range token.Attr {
				e.is[a.Name.Local] = a.Value
			}
			stack[len(stack)-1].of = append(stack[len(stack)-1].of, e)
			stack = append(stack, e)
		case xml.EndElement:
			stack = stack[:len(stack)-1]
		case xml.CharData:
			for _, e := range stack {
				e.inner += string(token)
			}
		}
	}
}

// all lists the elements of a name below e; class may be empty.
func (e *element) all(name, class string) (list []*element) {
	for _, c := range e.of {
		if c.name == name && (class == "" || slices.Contains(strings.Fields(c.is["class"]), class)) {
			list = append(list, c)
		}
		list = append(list, c.all(name, class)...)
	}
	return list
}

// A page has all headings in order and everything that was written, and needs nobody and nothing to be read.
func TestPage(t *testing.T) {
	for _, s := range Schemas() {
		d := parsed(t, example(t, s))
		page := pageOf(t, "en", d)
		if found := regexp.MustCompile(`(?i)<script|<link|<img|<iframe|<object|\bsrc=|\bhref=|url\(|@import|\bon[a-z]+="`).FindString(page); found != "" {
			t.Errorf("%s: the page has %q", s, found)
		}
		if !strings.Contains(page, `content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"`) {
			t.Errorf("%s: the page may load something", s)
		}
		body := opened(t, page)
		text, at := strings.Join(strings.Fields(body.inner), " "), 0
		headings := body.all("h2", "")
		for _, f := range d.table.shape.fields {
			if _, ok := d.fields[f.name]; !ok || f.name == "schema" {
				continue
			}
			if at >= len(headings) || headings[at].inner != f.title {
				t.Fatalf("%s: %s is not in its place", s, f.title)
			}
			at++
		}
		for _, leaf := range leaves(d.fields) {
			leaf = strings.TrimRight(strings.Join(strings.Fields(leaf), " "), ".")
			if n, err := strconv.ParseFloat(leaf, 64); err == nil && n < 1 && strings.Contains(leaf, ".") {
				continue // a place on a map: TestPlaces
			}
			if word := pageWords()["en"]["body_map_"+leaf]; word != "" && strings.Contains(text, word) {
				continue
			}
			if leaf != "true" && leaf != "false" && !strings.Contains(text, leaf) && !strings.Contains(text, strings.ReplaceAll(leaf, "_", " ")) {
				t.Errorf("%s: %q is not on the page", s, leaf)
			}
		}
	}
	text := pageOf(t, "en", parsed(t, with(t, ClinicalRecord, map[string]any{"background": "", "marks": map[string]any{"not_done": "no injuries seen."}})))
	for _, want := range []string{"Not filled in yet.", "Not done, because no injuries seen."} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q on the page", want)
		}
	}
	if strings.Contains(text, "<svg") {
		t.Error("a map without marks")
	}
	two := opened(t, pageOf(t, "en", parsed(t, example(t, ClinicalRecord)), parsed(t, example(t, Acquisition))))
	if list := two.all("h1", ""); len(list) != 2 || list[1].inner != Acquisition.Title() {
		t.Errorf("%d documents on the page", len(list))
	}
}

// Whatever somebody writes is text on the page, and turns nothing around it.
func TestPageEscapes(t *testing.T) {
	const wild = `</p></svg><script>alert("1")</script><style>*{}</style>&amp;'" onload="x" {{.}} ${x} --> ]]>`
	edits := map[string]any{"background": wild, "marks.0.type": wild, "marks.0.site": wild, "marks.0.shape": wild, "marks.0.colour": wild, "examination.findings.0.observed": wild,
		"tests": map[string]any{"not_done": wild}, "case_information.present.0": wild}
	page := pageOf(t, "en", parsed(t, with(t, ClinicalRecord, edits)))
	if strings.Contains(page, "<script") || strings.Count(page, "<style") != 1 || strings.Count(page, "</style") != 1 {
		t.Error("text became markup")
	}
	body := opened(t, page)
	if got := strings.Count(body.inner, wild); got != len(edits) {
		t.Errorf("%d of %d texts stand on the page as they were written", got, len(edits))
	}
	plainly := opened(t, pageOf(t, "en", parsed(t, example(t, ClinicalRecord))))
	for _, name := range []string{"p", "svg", "tr", "dd", "section"} {
		if got, want := len(body.all(name, "")), len(plainly.all(name, "")); got != want && name != "dd" && name != "p" {
			t.Errorf("%d elements %s, without the texts %d", got, name, want)
		}
	}
	for _, p := range body.all("p", "") {
		if strings.Contains(p.inner, wild) && p.is["dir"] != "auto" && len(p.all("bdi", "")) == 0 {
			t.Error("a text is not set apart from the direction around it")
		}
	}
}

// Whatever can be parsed has a page, and what stands in it is no markup.
func FuzzPage(f *testing.F) {
	for _, s := range Schemas() {
		f.Add(example(f, s))
		f.Add(Blank(s))
	}
	f.Add(with(f, ClinicalRecord, map[string]any{"marks.0.path": absent{}, "marks.0.number": absent{}, "marks.1.x": absent{}, "marks.1.consented": absent{}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, _ := Parse(b)
		if d == nil {
			return
		}
		if page := pageOf(t, "ar", d); strings.Count(page, "<style") != 1 || strings.Count(page, "<p ")+strings.Count(page, "<p>") != strings.Count(page, "</p>") || strings.Contains(page, "<script") {
			t.Error("text became markup")
		}
	})
}

// drawnAt is where each number of a page is drawn: its map, and the middle of its mark in units of the figure.
func drawnAt(t testing.TB, body *element) map[string][3]string {
	t.Helper()
	at := make(map[string][3]string)
	for _, f := range body.all("figure", "") {
		places, numbers := f.all("circle", "point"), f.all("text", "number")
		if len(places) != len(numbers) {
			t.Fatalf("%d marks and %d numbers", len(places), len(numbers))
		}
		for i, n := range numbers {
			if _, twice := at[n.inner]; twice {
				t.Fatalf("mark %s is drawn twice", n.inner)
			}
			at[n.inner] = [3]string{strings.Fields(f.is["class"])[0], places[i].is["cx"], places[i].is["cy"]}
		}
	}
	return at
}

// Whatever marks a record has: each that has a place is drawn once, at it, on its own map, with its number within the figure; and each stands in
// the table. It is so in every language, and no language moves anything.
func TestPlaces(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 11))
	for round := range 12 {
		var marks []any
		for i := range 1 + r.IntN(60) {
			m := map[string]any{"number": i + 1, "map": bodyMaps[r.IntN(len(bodyMaps))], "x": part(r), "y": part(r), "type": "bruise", "site": "somewhere", "consented": true}
			switch {
			case round%4 == 1: // all on one place
				m["map"], m["x"], m["y"] = "anterior", 1, 0
			case round%4 == 2 && i%3 == 0: // a draft
				delete(m, []string{"x", "y", "map"}[r.IntN(3)])
			}
			if i%5 == 0 {
				m["path"] = []any{map[string]any{"x": part(r), "y": part(r)}, map[string]any{"x": 1, "y": 0}, map[string]any{"x": 0, "y": part(r)}}
			}
			marks = append(marks, m)
		}
		d := parsed(t, with(t, ClinicalRecord, map[string]any{"marks": marks, "examination.findings": []any{}}))
		var english map[string][3]string
		for _, tag := range []string{"en", "ar", "fr", "es", "uk"} {
			body := opened(t, pageOf(t, tag, d))
			at := drawnAt(t, body)
			if english == nil {
				english = at
			} else if !maps.Equal(at, english) {
				t.Fatalf("in %s the marks lie elsewhere", tag)
			}
			checkFigures(t, body, tag)
		}
		placed := 0
		for _, m := range marks {
			m := m.(map[string]any)
			number := fmt.Sprint(m["number"])
			x, okX := toFloat(m["x"])
			y, okY := toFloat(m["y"])
			on, okMap := m["map"].(string)
			got, drawn := english[number]
			if drawn != (okX && okY && okMap) {
				t.Fatalf("mark %s: drawn is %v", number, drawn)
			}
			if !drawn {
				continue
			}
			placed++
			f := figureOf(on)
			if got[0] != on || !near(got[1], x*float64(f.Width)) || !near(got[2], y*float64(f.Height)) {
				t.Fatalf("mark %s at %v of %s is drawn at %v", number, []float64{x, y}, on, got)
			}
		}
		if rows := opened(t, pageOf(t, "en", d)).all("tbody", "")[0].all("tr", ""); len(rows) != len(marks) || placed != len(english) {
			t.Fatalf("%d rows for %d marks, %d of %d drawn", len(rows), len(marks), len(english), placed)
		}
	}
}

// checkFigures: in every figure of a page left and right are said, as seen and from left to right, and each number is whole.
func checkFigures(t *testing.T, body *element, tag string) {
	t.Helper()
	words := pageWords()[tag]
	for _, figure := range body.all("figure", "") {
		m := strings.Fields(figure.is["class"])[0]
		f := figureOf(m)
		svg := figure.all("svg", "")[0]
		if svg.is["direction"] != "ltr" || svg.is["transform"] != "" || svg.is["viewBox"] != fmt.Sprintf("0 0 %d %d", f.Width, f.Height) {
			t.Fatalf("%s %s: figure %v", tag, m, svg.is)
		}
		var right, left []float64
		for _, text := range svg.all("text", "") {
			x, _ := strconv.ParseFloat(text.is["x"], 64)
			y, _ := strconv.ParseFloat(text.is["y"], 64)
			if x < 0 || x > float64(f.Width) || y < 0 || y > float64(f.Height) {
				t.Fatalf("%s %s: %q stands outside", tag, m, text.inner)
			}
			switch text.inner {
			case words["body_right"]:
				right = append(right, x)
			case words["body_left"]:
				left = append(left, x)
			}
		}
		for _, v := range f.Views {
			middle := float64(v.Box[0] + v.Box[2]/2)
			in := func(list []float64, low bool) bool {
				return slices.ContainsFunc(list, func(x float64) bool {
					return x > float64(v.Box[0]) && x < float64(v.Box[0]+v.Box[2]) && (x < middle) == low
				})
			}
			if v.Side == facing && !(in(right, true) && in(left, false)) || v.Side == away && !(in(left, true) && in(right, false)) {
				t.Fatalf("%s %s %s: left %v, right %v", tag, m, v.ID, left, right)
			}
		}
		if m == "left" && len(left) != 1 || m == "right" && len(right) != 1 {
			t.Fatalf("%s %s: its side is not said", tag, m)
		}
	}
}

func part(r *rand.Rand) float64 { return float64(r.IntN(1001)) / 1000 }

func toFloat(v any) (float64, bool) {
	switch v := v.(type) {
	case int:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

func near(text string, want float64) bool {
	got, err := strconv.ParseFloat(text, 64)
	return err == nil && got-want <= 0.05 && want-got <= 0.05
}

// However near a few marks lie, no number hides another one or a mark, and each is nearest to its own or has a line to it.
func TestNumbersAreSeen(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 5))
	for range 200 {
		l := layout{width: 600, height: 1000}
		x, y := part(r), part(r)
		var digits []int
		for i := range 7 {
			l.marks = append(l.marks, spot{600 * min(1, max(0, x+part(r)/15)), 1000 * min(1, max(0, y+part(r)/20)), markSize, markSize})
			digits = append(digits, 1+i%3)
		}
		numbers, apart := l.numbers(digits)
		for i, n := range numbers {
			if n.x-n.width < 0 || n.x+n.width > l.width || n.y-n.height < 0 || n.y+n.height > l.height || slices.ContainsFunc(l.marks, n.overlaps) ||
				slices.ContainsFunc(numbers[i+1:], n.overlaps) {
				t.Fatalf("number %d at %v hides something or stands outside: %v, marks %v", i, n, numbers, l.marks)
			}
			for k, m := range l.marks {
				if k != i && !apart[i] && n.from(m) <= n.from(l.marks[i]) {
					t.Fatalf("number %d stands at mark %d without a line", i, k)
				}
			}
		}
	}
	// As many as a record holds, all on one place, are all there.
	l := layout{width: 600, height: 1000, marks: slices.Repeat([]spot{{300, 500, markSize, markSize}}, entries)}
	numbers, _ := l.numbers(slices.Repeat([]int{3}, entries))
	if len(numbers) != entries || slices.Contains(numbers, spot{}) {
		t.Error("a number is missing")
	}
}

// A mark outside of its map is no mark of a record: nothing is drawn at an edge where nobody put it.
func TestOutside(t *testing.T) {
	for path, v := range map[string]any{"marks.0.x": 1.001, "marks.0.y": -0.001, "marks.0.path.1.x": 2, "marks.0.map": "elbow", "marks.1.x": "0.5", "marks.0.number": 501} {
		if d, problems := Parse(with(t, ClinicalRecord, map[string]any{path: v})); d != nil {
			t.Errorf("%s: taken (%v)", path, problems)
		}
	}
	for _, edge := range []float64{0, 1} {
		d := parsed(t, with(t, ClinicalRecord, map[string]any{"marks.0.x": edge, "marks.0.y": edge, "marks.0.path": []any{}}))
		if got, want := drawnAt(t, opened(t, pageOf(t, "en", d)))["1"], [3]string{"left", units(edge * 600), units(edge * 1000)}; got != want {
			t.Errorf("%v, want %v", got, want)
		}
	}
}

// The genital map is on no page without its own yes, because no such record is one.
func TestGenitalMap(t *testing.T) {
	edits := map[string]any{"marks.0.map": "genital", "marks.0.path": []any{}, "marks.0.side": absent{}}
	if page := pageOf(t, "en", parsed(t, with(t, ClinicalRecord, edits))); !strings.Contains(page, `<figure class="genital several">`) {
		t.Error("not drawn")
	}
	for _, v := range []any{false, nil} {
		edits["marks.0.consented"] = v
		if d, problems := Parse(with(t, ClinicalRecord, edits)); d != nil || !reported(problems, Wrong, "marks[1].consented", ReasonConsent) {
			t.Errorf("%v: %v", v, problems)
		}
	}
}

// Every language has every word, and says of a figure what the pages of the service say of it.
func TestPageWords(t *testing.T) {
	all := pageWords()
	if !slices.Equal(PageLanguages(), []string{"ar", "en", "es", "fr", "uk"}) {
		t.Errorf("%q", PageLanguages())
	}
	asked := regexp.MustCompile(`body_[a-z_]*[a-z]`)
	source, err := os.ReadFile("page.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range asked.FindAllString(string(source), -1) {
		if id != "body_map" && id != "body_view" && id != "body_side" && all["en"][id] == "" {
			t.Errorf("%s is asked for", id)
		}
	}
	for _, m := range bodyMaps {
		for _, v := range figureOf(m).Views {
			if all["en"]["body_map_"+m] == "" || len(figureOf(m).Views) > 1 && all["en"]["body_view_"+v.ID] == "" {
				t.Errorf("%s %s has no name", m, v.ID)
			}
		}
	}
	places := regexp.MustCompile(`\{[a-z]+\}`)
	for tag, words := range all {
		if !slices.Equal(slices.Sorted(maps.Keys(words)), slices.Sorted(maps.Keys(all["en"]))) {
			t.Errorf("%s has other words", tag)
		}
		text, err := os.ReadFile("../web/words/" + tag + ".json")
		var web map[string]string
		if err == nil {
			err = json.Unmarshal(text, &web)
		}
		if err != nil {
			t.Fatal(err)
		}
		for id, text := range words {
			if !slices.Equal(places.FindAllString(text, -1), places.FindAllString(all["en"][id], -1)) {
				t.Errorf("%s %s has other places", tag, id)
			}
			if shown, ok := web[id]; ok && shown != text {
				t.Errorf("%s %s: %q on paper, %q in the browser", tag, id, text, shown)
			}
		}
	}
	page := pageOf(t, "ar", parsed(t, example(t, ClinicalRecord)))
	if !strings.Contains(page, `<section lang="ar" dir="rtl">`) || !strings.Contains(page, all["ar"]["body_left"]) {
		t.Error("the page is not in Arabic")
	}
	if !strings.Contains(page, `<html lang="ar" dir="rtl">`) || !strings.Contains(page, "<h2>"+pageTitles()["ar"]["Background"]+"</h2>") {
		t.Error("the headings are not in Arabic")
	}
	if pageOf(t, "tlh", parsed(t, example(t, ClinicalRecord))) != pageOf(t, "en", parsed(t, example(t, ClinicalRecord))) {
		t.Error("a language that there is none of is not English")
	}
}
