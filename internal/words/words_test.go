package words

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// forms are the plural forms that whole numbers take in each language (CLDR 48).
var forms = map[string][]string{
	"ar": {"zero", "one", "two", "few", "many", "other"},
	"en": {"one", "other"},
	"es": {"one", "many", "other"},
	"fr": {"one", "many", "other"},
	"uk": {"one", "few", "many", "other"},
}

// single are the forms that stand for one number only, so that the number may be a word.
var single = map[string][]string{"ar": {"zero", "one", "two"}, "en": {"one"}, "es": {"one"}}

// banned are the words of INTERFACE §6 that nobody should have to read, and what they are in the other languages.
var banned = map[string]*regexp.Regexp{
	"ar": regexp.MustCompile(`هاش|تجزئة|ميركل|توكن|رمز مميز|نص مشفر|النص المشفر|مستخدم[ ؟.،]|المستخدم[ ؟.،]|ضحية|ضحايا|حذف الأدلة|هل أنت متأكد|هل أنتم متأكدون|غير صالح|فشل|آمن تمامًا`),
	"en": regexp.MustCompile(`(?i)\b(hash(es)?|merkle|tokens?|ciphertexts?|users?|victims?|delete evidence|are you sure|invalid|failed|secure|fingerprints?)\b`),
	"es": regexp.MustCompile(`(?i)hash|merkle|\btokens?\b|texto cifrado|usuari[oa]|v[ií]ctima|(borrar|eliminar) (las )?pruebas|est[áa] segur[oa]|inv[áa]lid|no v[áa]lid|fall[óo]|fallid|huella`),
	"fr": regexp.MustCompile(`(?i)hash|hachage|merkle|jeton|\btokens?\b|texte chiffré|utilisat(eur|rice)|victime|supprimer (les|des) preuves|êtes-vous sûr|invalide|échou|échec|empreinte`),
	"uk": regexp.MustCompile(`(?i)хеш|геш|меркл|токен|шифротекст|користувач|жертв|потерпіл|видалити докази|ви впевнені|недійсн|невірн|помилк|невдач|провал`),
}

// message is an entry as it stands in a file: a text is its form other alone.
type message struct {
	plural bool
	forms  map[string]string
}

// read reads a catalogue strictly: no id twice, no form but those of CLDR.
func read(t *testing.T, tag string) (ids []string, all map[string]message) {
	t.Helper()
	file, err := catalogue.Open("catalogue/" + tag + ".json")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	all = make(map[string]message)
	d := json.NewDecoder(file)
	next := func() json.Token {
		token, err := d.Token()
		if err != nil {
			t.Fatalf("%s: %v", tag, err)
		}
		return token
	}
	for next(); d.More(); {
		id := next().(string)
		if _, twice := all[id]; twice {
			t.Errorf("%s: %s stands twice", tag, id)
		}
		m := message{forms: make(map[string]string)}
		switch v := next().(type) {
		case string:
			m.forms["other"] = v
		case json.Delim:
			m.plural = true
			for d.More() {
				form, ok := next().(string), false
				if m.forms[form], ok = next().(string); !ok {
					t.Fatalf("%s: %s is neither a text nor an object of texts", tag, id)
				}
			}
			next()
		default:
			t.Fatalf("%s: %s is neither a text nor an object of texts", tag, id)
		}
		ids, all[id] = append(ids, id), m
	}
	return ids, all
}

func placesIn(text string) []string {
	found := place.FindAllString(text, -1)
	slices.Sort(found)
	return slices.Compact(found)
}

// Every catalogue has the same messages, in the same order, with the same places and with the plural forms of its language.
func TestCataloguesAreComplete(t *testing.T) {
	ids, en := read(t, english)
	if !slices.Equal(Tags(), slices.Sorted(maps.Keys(forms))) {
		t.Fatalf("catalogues: %v", Tags())
	}
	for _, tag := range Tags() {
		own, all := read(t, tag)
		for _, id := range ids {
			if _, ok := all[id]; !ok {
				t.Errorf("%s: %s is missing", tag, id)
			}
		}
		for _, id := range own {
			if _, ok := en[id]; !ok {
				t.Errorf("%s: %s is in no other catalogue", tag, id)
				continue
			}
			want := []string{"other"}
			if all[id].plural {
				want = forms[tag]
			}
			if have := slices.Sorted(maps.Keys(all[id].forms)); all[id].plural != en[id].plural || !slices.Equal(have, slices.Sorted(slices.Values(want))) {
				t.Errorf("%s: %s has the forms %v, and needs %v", tag, id, have, want)
			}
			for form, text := range all[id].forms {
				places, need := placesIn(text), placesIn(en[id].forms["other"])
				if slices.Contains(single[tag], form) {
					places, need = without(places, "{n}"), without(need, "{n}")
				}
				if form == "zero" { // of nothing there may be less to say
					need = slices.DeleteFunc(need, func(p string) bool { return !slices.Contains(places, p) })
				}
				if !slices.Equal(places, need) {
					t.Errorf("%s: %s, %s has the places %v, and needs %v", tag, id, form, places, need)
				}
			}
		}
		if !t.Failed() && !slices.Equal(own, ids) {
			t.Errorf("%s: the order is not that of %s, so they are hard to compare", tag, english)
		}
	}
}

func without(list []string, s string) []string {
	return slices.DeleteFunc(list, func(x string) bool { return x == s })
}

// mostWords is how long a sentence may be (INTERFACE §6). A place counts as one word.
const mostWords = 20

func TestCataloguesArePlain(t *testing.T) {
	for _, tag := range Tags() {
		_, all := read(t, tag)
		for id, m := range all {
			for _, text := range m.forms {
				if word := banned[tag].FindString(text + " "); word != "" {
					t.Errorf("%s: %s: the word %q is not for people", tag, id, word)
				}
				for sentence := range strings.FieldsFuncSeq(text+" ", func(r rune) bool { return strings.ContainsRune(".?!؟\n", r) }) {
					if n := len(strings.FieldsFunc(sentence, func(r rune) bool { return unicode.IsSpace(r) || r == '/' })); n > mostWords {
						t.Errorf("%s: %s: %d words in one sentence: %q", tag, id, n, sentence)
					}
				}
				trimmed := text
				if id != "list" && id != "list.or" {
					trimmed = strings.TrimSpace(text)
				}
				if text == "" || text != trimmed || text != norm.NFC.String(text) || text != strings.ReplaceAll(Visible(text), string(isolate), "") {
					t.Errorf("%s: %s: empty, spaced or with characters that are not seen: %q", tag, id, text)
				}
				if rest := place.ReplaceAllString(text, ""); tag == "ar" && strings.ContainsFunc(rest, func(r rune) bool { return unicode.Is(unicode.Latin, r) }) {
					t.Errorf("%s: %s: Latin letters belong into a place, which is isolated: %q", tag, id, text)
				} else if strings.ContainsAny(rest, "{}") {
					t.Errorf("%s: %s: a place is misspelt: %q", tag, id, text)
				}
				if strings.HasPrefix(id, "label.") && Width(text) > 18 {
					t.Errorf("%s: %s: %q is too long for a label", tag, id, text)
				}
				if strings.HasPrefix(id, "word.") && (!Same(text, text) || text != strings.ToLower(text) || strings.ContainsAny(text, " '’-") || text != norm.NFKD.String(text)) {
					t.Errorf("%s: %s: %q is hard to type", tag, id, text)
				}
			}
		}
	}
}

// In a language no two words that a person may type are the same.
func TestTypedWordsDiffer(t *testing.T) {
	for _, tag := range Tags() {
		for _, group := range [][]string{{"word.withdraw", "word.narrow", "word.record", "word.approve"}, {"said.yes", "said.no", "said.later"}} {
			seen := make(map[string]string)
			for _, id := range group {
				word := folded(For(tag).Say(id))
				if seen[word] != "" {
					t.Errorf("%s: %s and %s are the same word", tag, id, seen[word])
				}
				seen[word] = id
			}
		}
	}
}

func TestCount(t *testing.T) {
	numbers := []int{0, 1, 2, 5, 11, 21, 1_000_000}
	for tag, want := range map[string][]string{
		"en": {"0 members", "1 member", "2 members", "5 members", "11 members", "21 members", "1000000 members"},
		"fr": {"0 membre", "1 membre", "2 membres", "5 membres", "11 membres", "21 membres", "1000000 de membres"},
		"es": {"0 miembros", "1 miembro", "2 miembros", "5 miembros", "11 miembros", "21 miembros", "1000000 de miembros"},
		"ar": {"بلا أعضاء", "عضو واحد", "عضوان", "5 أعضاء", "11 عضوًا", "21 عضوًا", "1000000 عضو"},
		"uk": {"0 учасників", "1 учасник", "2 учасники", "5 учасників", "11 учасників", "21 учасник", "1000000 учасників"},
	} {
		for i, n := range numbers {
			if got := For(tag).Count("case.members", n); got != want[i] {
				t.Errorf("%s: %d is %q, want %q", tag, n, got, want[i])
			}
		}
	}
	for _, tag := range Tags() { // no message lacks a form that a number takes
		_, all := read(t, tag)
		for id, m := range all {
			for _, n := range numbers {
				text := For(tag).Count(id, n)
				if m.plural && (text == id || strings.Contains(text, "{n}")) {
					t.Errorf("%s: %s says nothing for %d: %q", tag, id, n, text)
				}
			}
		}
	}
}

func TestFor(t *testing.T) {
	for tag, want := range map[string]string{
		"ar": "ar", "ar_SY.UTF-8": "ar", "ar-SY": "ar", "fr_CA": "fr", "fr_FR@euro": "fr", "es-419": "es", "uk_UA.utf8": "uk", "uk-Cyrl-UA": "uk", "EN_gb": "en",
		"": "en", "C": "en", "C.UTF-8": "en", "POSIX": "en", "de_DE.UTF-8": "en", "ru_RU.UTF-8": "en", "frr": "en", "../fr": "en", "fr\x00": "en", "{n}": "en",
	} {
		if got := For(tag).Tag(); got != want {
			t.Errorf("For(%q) is %s, want %s", tag, got, want)
		}
	}
	for _, tag := range Tags() {
		if want := map[bool]string{true: "rtl", false: "ltr"}[tag == "ar"]; For(tag).Direction() != want {
			t.Errorf("%s is written %s", tag, For(tag).Direction())
		}
	}
}

func TestDate(t *testing.T) {
	day := time.Date(2026, 5, 3, 0, 0, 0, 0, time.UTC)
	moment := time.Date(2026, 12, 31, 23, 59, 5, 9, time.FixedZone("", -3600))
	for tag, want := range map[string][2]string{
		"en": {"3 May 2026", "1 January 2027, 00:59:05 UTC"},
		"fr": {"3 mai 2026", "1 janvier 2027, 00:59:05 UTC"},
		"es": {"3 de mayo de 2026", "1 de enero de 2027, 00:59:05 UTC"},
		"ar": {"3 مايو/أيار 2026", "1 يناير/كانون الثاني 2027، \u206800:59:05 UTC\u2069"},
		"uk": {"3 травня 2026", "1 січня 2027, 00:59:05 UTC"},
	} {
		if got := [2]string{For(tag).Date(day), For(tag).Date(moment)}; got != want {
			t.Errorf("%s: %q, want %q", tag, got, want)
		}
	}
}

func TestSay(t *testing.T) {
	for _, c := range []struct{ tag, value, want string }{
		{"en", "con-x", "con-x, version 2"},
		{"en", "{version}", "{version}, version 2"}, // what stands in a place is no message
		{"ar", "con-x", "\u2068con-x\u2069، الإصدار 2"},
		{"ar", "12345 67890", "\u206812345 67890\u2069، الإصدار 2"},
		{"ar", "موافقة", "موافقة، الإصدار 2"},
		{"ar", "محكمة (\u2068NL\u2069)", "محكمة (\u2068NL\u2069)، الإصدار 2"}, // what is foreign in it is isolated already
		{"ar", "تقرير report.pdf", "\u2068تقرير report.pdf\u2069، الإصدار 2"},
		{"ar", "تقرير\u2069", "تقرير\ufffd، الإصدار 2"},
		{"ar", "x\u2069\u202ey", "\u2068x\ufffd\ufffdy\u2069، الإصدار 2"}, // nothing closes our isolate
	} {
		if got := For(c.tag).Say("consent.version", "consent", c.value, "version", 2); got != c.want {
			t.Errorf("%s: %q, want %q", c.tag, got, c.want)
		}
	}
	fr := For("fr")
	if got := fr.Say("no.such"); got != "no.such" || fr.Has("no.such") || !fr.Has("list") {
		t.Errorf("an id that does not exist says %q", got)
	}
	if got := fr.Code("role", "court") + fr.Code("role", "new_role"); got != "tribunalnew role" {
		t.Errorf("codes: %q", got)
	}
}

func TestVisible(t *testing.T) {
	for in, want := range map[string]string{
		"a\nb": "a\nb", "a\x1b[2Jb": "a\ufffd[2Jb", "a\u202eb": "a\ufffdb", "a\u200fb": "a\ufffdb", "a\u061cb": "a\ufffdb", "a\u2067b\u2069": "a\ufffdb\ufffd",
		"\u2068a\u2069": "\u2068a\u2069", "\u2068a\u2068b\u2069\u2069": "\u2068a\u2068b\u2069\u2069", "\u2069a\u2068": "\ufffda\ufffd", "\u2068a": "\ufffda", "ґєії, عضوًا": "ґєії, عضوًا",
	} {
		if got := Visible(in); got != want {
			t.Errorf("Visible(%q) = %q, want %q", in, got, want)
		}
	}
	got := fmt.Sprintf("%q", Unbroken([]string{"x \u2068a", "b", "c\u2069 y", "z"}))
	if want := fmt.Sprintf("%q", []string{"x \u2068a\u2069", "\u2068b\u2069", "\u2068c\u2069 y", "z"}); got != want {
		t.Errorf("Unbroken: %s, want %s", got, want)
	}
	if n := Width("\u2068عضوًا\u2069"); n != 4 {
		t.Errorf("four letters are %d wide", n)
	}
}

func TestSame(t *testing.T) {
	for _, c := range []struct {
		typed, word string
		want        bool
	}{{"si", "sí", true}, {" Más Tarde ", "más tarde", true}, {"se\u0301", "sé", true}, {"ВІДКЛИКАТИ", "відкликати", true}, {"سَحب", "سحب", true},
		{"", "no", false}, {"non", "no", false}, {"retirer!", "retirer", false}} {
		if Same(c.typed, c.word) != c.want {
			t.Errorf("Same(%q, %q) is not %v", c.typed, c.word, c.want)
		}
	}
}
