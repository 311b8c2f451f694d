// Package words holds what the person concerned, and who speaks for her, is told: the same sentences in several languages, as whole
// sentences with named places and with the plural forms of each language (Unicode CLDR).
//
// The catalogues are plain JSON, one file a language: a text, or an object of plural forms {"one": …, "few": …, "other": …}; a place is a
// name in braces. JavaScript reads the same files with Intl.PluralRules. The package assumes that every id it is asked for exists: a test
// compares the ids in this module's programs with the catalogues, and the catalogues with each other. It never reads the environment, and
// it never says anything of a case.
package words

import (
	"embed"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/nicksnyder/go-i18n/v2/i18n"
	"github.com/nicksnyder/go-i18n/v2/i18n/template"
	"golang.org/x/text/language"
	"golang.org/x/text/unicode/norm"
)

//go:embed catalogue/*.json
var catalogue embed.FS

// Language is one of the languages that there is a catalogue for. It is safe for concurrent use.
type Language struct {
	tag       string
	ids       map[string]bool
	localizer *i18n.Localizer
}

const english = "en"

// load reads all catalogues once. They are part of the program, so one that cannot be read is a mistake in it.
var load = sync.OnceValue(func() map[string]*Language {
	files, err := catalogue.ReadDir("catalogue")
	if err != nil {
		panic(err)
	}
	bundle := i18n.NewBundle(language.English)
	languages := make(map[string]*Language)
	for _, f := range files {
		text, err := catalogue.ReadFile("catalogue/" + f.Name())
		if err != nil {
			panic(err)
		}
		file, err := bundle.ParseMessageFileBytes(text, f.Name())
		if err != nil {
			panic(err)
		}
		l := &Language{tag: file.Tag.String(), ids: make(map[string]bool)}
		for _, m := range file.Messages {
			l.ids[m.ID] = true
		}
		languages[l.tag] = l
	}
	for tag, l := range languages {
		l.localizer = i18n.NewLocalizer(bundle, tag)
	}
	return languages
})

// For chooses the language of a BCP 47 tag or a POSIX locale, such as ar-SY or ar_SY.UTF-8. What there is no catalogue for is English.
func For(tag string) *Language {
	tag, _, _ = strings.Cut(tag, ".")
	tag, _, _ = strings.Cut(tag, "@")
	if parsed, err := language.Parse(tag); err == nil {
		base, _ := parsed.Base()
		if l := load()[base.String()]; l != nil {
			return l
		}
	}
	return load()[english]
}

// English is the language of programs, and of everybody for whom there is no other.
func English() *Language { return load()[english] }

// Tags are the languages that there are, as BCP 47 tags, sorted.
func Tags() []string { return slices.Sorted(maps.Keys(load())) }

// Tag is the language's BCP 47 tag.
func (l *Language) Tag() string { return l.tag }

// Direction is ltr or rtl, as in HTML.
func (l *Language) Direction() string {
	if l.tag == "ar" {
		return "rtl"
	}
	return "ltr"
}

// Has reports whether there is a message of this id.
func (l *Language) Has(id string) bool { return l.ids[id] }

// Say is a message; pairs are names of places and what stands there.
func (l *Language) Say(id string, pairs ...any) string {
	return l.say(&i18n.LocalizeConfig{MessageID: id}, pairs)
}

// Count is a message about n things, in the plural form that n takes. The place {n} is their number.
func (l *Language) Count(id string, n int, pairs ...any) string {
	return l.say(&i18n.LocalizeConfig{MessageID: id, PluralCount: n}, append(pairs, "n", n))
}

func (l *Language) say(c *i18n.LocalizeConfig, pairs []any) string {
	places := make(map[string]string, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		places[fmt.Sprint(pairs[i])] = l.Isolate(fmt.Sprint(pairs[i+1]))
	}
	c.TemplateData, c.TemplateParser = places, braces{}
	text, err := l.localizer.Localize(c)
	if err != nil {
		return c.MessageID // it tells more than nothing
	}
	return text
}

// Code is the word for a code of the formats: the message group.code, or the code itself where a newer version brought it.
func (l *Language) Code(group, code string) string {
	if id := group + "." + code; l.ids[id] {
		return l.Say(id)
	}
	return l.Isolate(strings.ReplaceAll(code, "_", " "))
}

// List joins what stands beside each other.
func (l *Language) List(list []string) string { return strings.Join(list, l.Say("list")) }

// Date is a moment in the Gregorian calendar, its month in words and its zone said; a whole day in UTC has no time.
func (l *Language) Date(t time.Time) string {
	t = t.UTC()
	date := l.Say("date", "day", t.Day(), "month", l.Say(fmt.Sprintf("month.%d", t.Month())), "year", t.Year())
	if t.Equal(t.Truncate(24 * time.Hour)) {
		return date
	}
	return l.Say("date.time", "date", date, "time", t.Format("15:04:05 UTC"))
}

// braces fills the places of a message.
type braces struct{}

var place = regexp.MustCompile(`\{[a-z_]+\}`)

func (braces) Cacheable() bool { return true }

func (braces) Parse(text, _, _ string) (template.ParsedTemplate, error) { return filled(text), nil }

type filled string

// Execute leaves a place that nothing is said for as it is.
func (text filled) Execute(data any) (string, error) {
	return place.ReplaceAllStringFunc(string(text), func(name string) string {
		if value, ok := data.(map[string]string)[strings.Trim(name, "{}")]; ok {
			return value
		}
		return name
	}), nil
}

// Same reports whether a person typed a word, whatever the case and with or without its accents.
func Same(typed, word string) bool { return folded(typed) == folded(word) }

func folded(s string) string {
	return strings.ToLower(strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return r
	}, norm.NFKD.String(strings.TrimSpace(s))))
}
