package dossier

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/custody"
	ev "strongroom.example/strongroom/internal/evidence"
)

var (
	places = regexp.MustCompile(`\{[a-z]+\}`)
	marks  = regexp.MustCompile(`<[^>]*>|\{\{.*?\}\}`)
	quoted = regexp.MustCompile(`(?s)<(code|pre|bdi|strong lang="en")[ >].*?</`) // as they are in every language
	latin  = regexp.MustCompile(`\p{Latin}{2,}`)
)

// names stay as they are in letters that are not Latin.
var names = []string{"SHA", "README", "UTC", "age"}

// alike are the texts that are the same words as in English.
var alike = map[string]string{
	"fr": " duration.hours duration.minutes row.consent role.police purpose.documentation class.original ",
	"es": " duration.hours duration.minutes custody.size class.original cause.error ",
}

func languages(t *testing.T) (list []Language) {
	for _, tag := range Languages() {
		list = append(list, must(ParseLanguage(tag)))
	}
	if !slices.Equal(Languages(), []string{"ar", "en", "es", "fr", "uk"}) {
		t.Errorf("languages %q", Languages())
	}
	return list
}

// Each language has every text, with the same places; none was left in English, and none is in no language's page.
func TestLanguages(t *testing.T) {
	own := texts()["en"]
	for _, l := range languages(t) {
		list := texts()[l.Tag()]
		if !slices.Equal(slices.Sorted(maps.Keys(list)), slices.Sorted(maps.Keys(own))) {
			t.Errorf("%s has other ids than English", l.Tag())
		}
		for id, text := range list {
			if strings.TrimSpace(text) == "" || !slices.Equal(slices.Sorted(slices.Values(places.FindAllString(text, -1))), slices.Sorted(slices.Values(places.FindAllString(own[id], -1)))) {
				t.Errorf("%s %s: %q against %q", l.Tag(), id, text, own[id])
			}
			if l == English || l.Tag() == "en" {
				continue
			}
			if text == own[id] && latin.MatchString(places.ReplaceAllString(text, "")) && !strings.Contains(alike[l.Tag()], " "+id+" ") {
				t.Errorf("%s %s is in English: %q", l.Tag(), id, text)
			}
			if l.Tag() == "ar" || l.Tag() == "uk" {
				untranslated(t, l, id, places.ReplaceAllString(text, ""))
			}
		}
	}
	for _, tag := range []string{"", "de", "fr_FR", "EN", "words"} {
		if _, err := ParseLanguage(tag); err == nil || !strings.Contains(err.Error(), "ar, en, es, fr, uk") {
			t.Errorf("%q: %v", tag, err)
		}
	}
	if English != (Language{}) || English.Tag() != "en" || English.Direction() != "ltr" {
		t.Error("the zero value is not English")
	}
}

// untranslated looks for words of another alphabet.
func untranslated(t *testing.T, l Language, where, text string) {
	t.Helper()
	for _, word := range latin.FindAllString(text, -1) {
		if !slices.Contains(names, word) {
			t.Errorf("%s %s: %q is not translated", l.Tag(), where, word)
		}
	}
}

// What both say, the pages for courts say in the survivor's words (package words, which this one does not import).
func TestSurvivorsWords(t *testing.T) {
	shared := 0
	for tag, list := range texts() {
		var words map[string]any
		if err := json.Unmarshal(must(os.ReadFile(filepath.Join("..", "words", "catalogue", tag+".json"))), &words); err != nil {
			t.Fatal(err)
		}
		for id, text := range list {
			group, _, _ := strings.Cut(id, ".")
			if theirs, ok := words[id]; ok && slices.Contains([]string{"month", "role", "purpose", "law", "content", "date", "list"}, group) {
				if shared++; theirs != text {
					t.Errorf("%s %s: %q, to her %q", tag, id, text, theirs)
				}
			}
		}
	}
	if shared < 200 {
		t.Errorf("%d texts compared", shared)
	}
}

// Whatever a custody event may name has words.
func TestEveryCodeHasWords(t *testing.T) {
	for file, groups := range map[string]map[string]string{
		"codes.go":  {"Role": "role", "Class": "class", "Content": "content", "Basis": "law", "Purpose": "purpose", "Cause": "cause", "Outcome": "result"},
		"stream.go": {"StreamType": "place"},
	} {
		text := string(must(os.ReadFile(filepath.Join("..", "evidence", file))))
		for typ, group := range groups {
			list := regexp.MustCompile(`\b`+typ+`\s+= "([a-z_]+)"`).FindAllStringSubmatch(text, -1)
			if len(list) < 2 {
				t.Errorf("%s: %d codes found", typ, len(list))
			}
			for _, m := range list {
				if id := group + "." + m[1]; !English.has(id) && id != "place.item" {
					t.Errorf("%s has no words", id)
				}
			}
		}
	}
	kinds := regexp.MustCompile(`= "((?:item|retention|hold|grant|actor|case|consent|vault)\.[a-z_]+)"`).FindAllStringSubmatch(string(must(os.ReadFile(filepath.Join("..", "evidence", "kinds.go")))), -1)
	for _, m := range kinds {
		if m[1] != string(ev.VaultHeads) && !English.has("event."+m[1]) {
			t.Errorf("%s has no words", m[1])
		}
	}
	if len(kinds) != 49 {
		t.Errorf("%d kinds", len(kinds))
	}
}

// Every text that a page or the program asks for is there.
func TestAskedTexts(t *testing.T) {
	asked := regexp.MustCompile(`(?:say|tell\(|text\() ?"([a-z_.]+)"`)
	files := append(must(filepath.Glob("assets/*.html")), must(filepath.Glob("*.go"))...)
	n := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		for _, m := range asked.FindAllStringSubmatch(string(must(os.ReadFile(name))), -1) {
			if n++; !English.has(m[1]) && !strings.HasSuffix(m[1], ".") {
				t.Errorf("%s asks for %q", name, m[1])
			}
		}
	}
	if n < 90 {
		t.Errorf("%d texts are asked for", n)
	}
	if English.text("no such id") != "no such id" || English.code("role", "key_holder") != "key holder" {
		t.Error("what is unknown is not said")
	}
}

// Times cannot be read as others: the month is a word, the zone is said; durations have a decimal sign of the language.
func TestTimes(t *testing.T) {
	at := ev.At(time.Date(2027, 3, 1, 4, 5, 6, 789e6, time.UTC))
	for tag, want := range map[string][3]string{
		"en": {"1 March 2027", "1 March 2027, 04:05:06.789 UTC", "1 h 0 min 2.5 s"},
		"fr": {"1 mars 2027", "1 mars 2027, 04:05:06.789 UTC", "1 h 0 min 2,5 s"},
		"es": {"1 de marzo de 2027", "1 de marzo de 2027, 04:05:06.789 UTC", "1 h 0 min 2,5 s"},
		"ar": {"1 مارس/آذار 2027", "1 مارس/آذار 2027، 04:05:06.789 UTC", "1 ساعة و0 دقيقة و2.5 ثانية"},
		"uk": {"1 березня 2027", "1 березня 2027, 04:05:06.789 UTC", "1 год 0 хв 2,5 с"},
	} {
		l := must(ParseLanguage(tag))
		plain := strings.NewReplacer("\u2068", "", "\u2069", "")
		if got := [3]string{plain.Replace(l.day(at)), plain.Replace(l.instant(at)), plain.Replace(l.duration(-time.Hour - 2500*time.Millisecond))}; got != want {
			t.Errorf("%s: %q", tag, got)
		}
	}
	if got := English.duration(90 * time.Second); got != "1 min 30 s" {
		t.Error(got)
	}
	if got := English.duration(time.Millisecond); got != "0.001 s" {
		t.Error(got)
	}
}

// What stands in a place is never taken for a place, and nothing that it holds makes a telling fail.
func TestTellings(t *testing.T) {
	if got := English.say(tell("ground.persons", "proposer", "{approver}", "approver", "B")); got != "{approver} proposed the share and B, another person, approved it" {
		t.Error(got)
	}
	if got := English.say(allowed.with(tell("ground.form"), tell("ground.review"))); got != "Allowed: the item is itself a consent form; another person has to review it." {
		t.Error(got)
	}
	for _, l := range languages(t) {
		for _, bad := range []telling{"", "booked" + field, "booked" + field + "time" + field, field + clause + field, tell("booked", "time", field+clause)} {
			_ = l.say(bad)
		}
	}
}

// The parts of README.html say the same: the same marks, commands and names in the same order, and nothing else in English.
func TestReadmeParts(t *testing.T) {
	read := func(tag string) string { return string(must(os.ReadFile("assets/readme." + tag + ".html"))) }
	own := read("en")
	prose := func(s string) []string {
		s = regexp.MustCompile(`(?s)<pre.*?</pre>|<code.*?</code>|<strong lang.*?</strong>|<bdi.*?</bdi>`).ReplaceAllString(s, " ")
		return strings.Fields(marks.ReplaceAllString(s, "\n"))
	}
	for _, l := range languages(t) {
		text := read(l.Tag())
		if got, want := marks.FindAllString(text, -1), marks.FindAllString(own, -1); !slices.Equal(got, want) {
			t.Errorf("%s has other marks than English", l.Tag())
		}
		if got, want := quoted.FindAllString(text, -1), quoted.FindAllString(own, -1); !slices.Equal(got, want) {
			t.Errorf("%s has other names than English: %q", l.Tag(), got)
		}
		switch l.Tag() {
		case "en":
			continue
		case "ar", "uk":
			untranslated(t, l, "readme", strings.Join(prose(text), " "))
		}
		english := make(map[string]bool)
		list := prose(own)
		for i := range len(list) - 2 {
			english[strings.Join(list[i:i+3], " ")] = true
		}
		list = prose(text)
		for i := range len(list) - 2 {
			if s := strings.Join(list[i:i+3], " "); english[s] {
				t.Errorf("%s: %q is in English", l.Tag(), s)
			}
		}
	}
}

// README.html is one page that needs nothing else: in the language asked for, then in English; each part says its direction.
func TestReadmeLanguages(t *testing.T) {
	w, id := newShared(t)
	m := Manifest{Grant: w.grant, Items: []ev.ItemID{id}, Recipient: w.people["court"].fingerprint(), Vault: origin}
	for _, l := range languages(t) {
		page := readAll(t, must(Readme(w.trust, m, w.depositors(id), l)))
		begin := fmt.Sprintf("<!DOCTYPE html>\n<html lang=%q dir=%q>", l.Tag(), l.Direction())
		own := fmt.Sprintf("<section id=%q lang=%q dir=%q>", l.Tag(), l.Tag(), l.Direction())
		english := `<section id="en" lang="en" dir="ltr">`
		parts := 2
		if l.Tag() == "en" {
			parts = 1
		}
		if !strings.HasPrefix(page, begin) || strings.Count(page, "<section ") != parts || strings.Count(page, "</section>") != parts || strings.Index(page, own) > strings.Index(page, english) || !strings.Contains(page, own) || !strings.Contains(page, english) {
			t.Errorf("%s: the page is\n%s", l.Tag(), page)
		}
		if link := `<a href="#en" lang="en" hreflang="en" dir="ltr">English</a>`; strings.Count(page, link) != parts-1 {
			t.Errorf("%s: no link to the English part", l.Tag())
		}
		if strings.Count(page, "<!DOCTYPE") != 1 || strings.Count(page, "</html>") != 1 || strings.Count(page, "strongroom-verify --trust trust.json package.zip") != parts || strings.Count(page, string(w.grant)) != parts {
			t.Errorf("%s: not one page with all in each part", l.Tag())
		}
		for _, said := range []telling{"readme.title", "limit.truth", manyHistories} {
			if !strings.Contains(page, strings.ReplaceAll(l.say(said), "'", "&#39;")) || !strings.Contains(page, strings.ReplaceAll(English.say(said), "'", "&#39;")) {
				t.Errorf("%s: %s is missing", l.Tag(), said)
			}
		}
		for _, foreign := range []string{"src=", "<script", "<link", "http:", "{{", "ZgotmplZ"} {
			if strings.Contains(page, foreign) {
				t.Errorf("%s: the page has %q", l.Tag(), foreign)
			}
		}
	}
}

// Each part of README.html has one line for each item that a shell takes as it stands, whose files are those of the package: the deposit's, the
// evidence, and the key of who signed this deposit and no other.
func TestReadmeCommands(t *testing.T) {
	w, id := newShared(t)
	second := w.deposit("more")
	m := Manifest{Grant: w.grant, Items: []ev.ItemID{id, second}, Recipient: w.people["court"].fingerprint(), Vault: origin}
	for _, l := range languages(t) {
		parts := 1
		if l.Tag() != "en" {
			parts = 2
		}
		page := readAll(t, must(Readme(w.trust, m, []ev.Hash{w.depositors(id)[0], ev.SHA256([]byte("of another"))}, l)))
		for item, key := range map[ev.ItemID]ev.Hash{id: custody.KeyID(w.people["clinician"].key.SPKI()), second: ev.SHA256([]byte("of another"))} {
			line := fmt.Sprintf("cosign verify-blob-attestation --bundle items/%s/events/000000.sigstore.json --trusted-root trust/trusted_root.json"+
				" --key trust/signers/%s.pub --type https://strongroom.example/custody-event/v1 items/%s/evidence.age\n", item, key, item)
			if strings.Count(page, line) != parts {
				t.Errorf("%s: %d times %s", l.Tag(), strings.Count(page, line), line)
			}
		}
		if n := strings.Count(page, "cosign verify-blob-attestation"); n != 2*parts {
			t.Errorf("%s: %d commands", l.Tag(), n)
		}
	}
	if _, err := Readme(w.trust, m, w.depositors(id), English); err == nil {
		t.Error("a page for two items and one key")
	}
}

// A report has no label, code or sentence of another language; ids and columns stay as they are.
func TestCustodyLanguages(t *testing.T) {
	w, id := newShared(t)
	w.now = w.now.Add(time.Hour)
	w.do(w.event("clinician", ev.ConsentOf(w.con), ev.ConsentWithdrawn, &ev.ConsentWithdrawnDetails{Number: "1234-5678"}, func(e *ev.Event) { e.Case = w.cas }))
	h, findings := Replay(w.trust, w.excerpt(ev.ItemOf(id)))
	if len(findings) > 0 {
		t.Fatal(findings)
	}
	report := must(h.CustodyOf("", w.now, id))
	report.Acts = must(h.ActsOf("", ev.ConsentOf(w.con), ev.CaseOf(w.cas), ev.PolicyOf(origin)))
	rows := report.Items[0].Rows
	rows[0].Clocks = Bounds{After: w.now, By: w.now + 1, Stamped: w.now + 2}
	rows[1].Clocks, rows[1].Book.Time = Bounds{By: 1}, rows[1].Time.Add(-time.Minute)
	rows[2].Until, rows[2].After = w.now, w.now
	rows[3].After = rows[3].Time.Add(time.Hour)
	pages := func(l Language) map[string]string {
		var custody, table, index, unused strings.Builder
		writers := []*CustodyWriter{NewCustodyPage(&custody, l, 1), NewCustodyTable(&table, l), Index.NewPage(&index, l), Unused.NewPage(&unused, l)}
		for _, out := range writers {
			if err := out.Add(report); err != nil {
				t.Fatal(err)
			}
			if err := out.End(); err != nil {
				t.Fatal(err)
			}
		}
		return map[string]string{"custody": custody.String(), "table": table.String(), "index": index.String(), "unused": unused.String()}
	}
	shown := func(s string) string {
		s = regexp.MustCompile(`(?s)<style>.*?</style>|<code.*?</code>|<bdi>.*?</bdi>`).ReplaceAllString(s, " ")
		s = marks.ReplaceAllString(s, "\n")
		return regexp.MustCompile(`[a-z]{3}-[a-z0-9]+|\bDE\b|`+regexp.QuoteMeta(origin)).ReplaceAllString(strings.ReplaceAll(s, "&#39;", "'"), "")
	}
	english := pages(English)
	for _, l := range languages(t) {
		if l.Tag() == "en" {
			continue
		}
		for name, page := range pages(l) {
			if name == "table" {
				head, _, _ := strings.Cut(page, "\r\n")
				if want, _, _ := strings.Cut(english[name], "\r\n"); head != want || !strings.Contains(page, ",item.deposited,") || !strings.Contains(page, l.text("event.item.deposited")) || strings.Contains(page, English.text("event.item.deposited")) {
					t.Errorf("%s: the table is\n%s", l.Tag(), page)
				}
				continue
			}
			if !strings.Contains(page, fmt.Sprintf("<html lang=%q dir=%q>", l.Tag(), l.Direction())) {
				t.Errorf("%s %s does not say its language", l.Tag(), name)
			}
			text := shown(page)
			for id, said := range texts()["en"] {
				literal := strings.TrimSpace(said)
				if theirs := texts()[l.Tag()][id]; literal == theirs || len(literal) < 4 || places.MatchString(literal) {
					continue
				}
				if i := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(literal) + `$`).FindString(text); i != "" && !slices.Contains(slices.Collect(maps.Values(texts()[l.Tag()])), literal) {
					t.Errorf("%s %s: %q is in English", l.Tag(), name, i)
				}
			}
			if l.Tag() == "ar" || l.Tag() == "uk" {
				untranslated(t, l, name, text)
			}
		}
	}
}

func readAll(t *testing.T, f File) string {
	t.Helper()
	r := must(f.Open())
	defer r.Close()
	return string(must(io.ReadAll(r)))
}
