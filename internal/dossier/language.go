package dossier

import (
	"embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"strongroom.example/strongroom/internal/evidence"
)

//go:embed assets/words.*.json
var catalogues embed.FS

// Language is one that pages are written in: whole sentences, with places for what stands in them. The zero value is English.
type Language struct{ tag string }

// English is the language of what programs read.
var English Language

// texts are those of each language by its tag. They are part of the program, so what cannot be read is a mistake in it.
var texts = sync.OnceValue(func() map[string]map[string]string {
	all := make(map[string]map[string]string)
	files, err := catalogues.ReadDir("assets")
	if err != nil {
		panic(err)
	}
	for _, f := range files {
		text, err := catalogues.ReadFile("assets/" + f.Name())
		if err != nil {
			panic(err)
		}
		list := make(map[string]string)
		if err := json.Unmarshal(text, &list); err != nil {
			panic(err)
		}
		all[strings.TrimSuffix(strings.TrimPrefix(f.Name(), "words."), ".json")] = list
	}
	return all
})

// Languages are the tags of those that there are (BCP 47), sorted.
func Languages() []string { return slices.Sorted(maps.Keys(texts())) }

// ParseLanguage takes one of the tags that Languages names, and nothing else.
func ParseLanguage(tag string) (Language, error) {
	if _, ok := texts()[tag]; !ok {
		return English, fmt.Errorf("dossier: the languages are %s", strings.Join(Languages(), ", "))
	}
	return Language{tag}, nil
}

// LanguageOf takes a BCP 47 tag or a POSIX locale, such as ar-SY or ar_SY.UTF-8. It reports whether there is that language, and is English
// where there is none.
func LanguageOf(locale string) (Language, bool) {
	base, _, _ := strings.Cut(strings.NewReplacer("_", "-", ".", "-", "@", "-").Replace(locale), "-")
	l, err := ParseLanguage(strings.ToLower(base))
	return l, err == nil
}

// Tag is as in the attribute lang of HTML.
func (l Language) Tag() string {
	if l.tag == "" {
		return "en"
	}
	return l.tag
}

// Direction is as in the attribute dir of HTML.
func (l Language) Direction() string {
	if l.tag == "ar" {
		return "rtl"
	}
	return "ltr"
}

// telling is a sentence that is not in a language yet: the id of a text, and what stands in its places, which may be a telling too. It may
// have clauses, which are tellings themselves and stand in the place {clauses}.
type telling string

const (
	field  = "\x1f" // between id, names of places and values
	clause = "\x1e"
)

// Kinds of values, before them: text stays as it is.
const (
	asText, asCode, asDay, asMoment, asInstant, asDuration, asTelling = "t", "c", "d", "m", "i", "u", "s"
)

// What is said otherwise than its type says.
type (
	onDay   evidence.Time // the day alone
	instant evidence.Time // to the millisecond
	country string
	code    string // the id of a text
)

// tell makes a telling; pairs are names of places and what stands there.
func tell(id string, pairs ...any) telling {
	var b strings.Builder
	b.WriteString(id)
	for i := 0; i+1 < len(pairs); i += 2 {
		b.WriteString(field + fmt.Sprint(pairs[i]) + field)
		switch v := pairs[i+1].(type) {
		case evidence.Time:
			b.WriteString(asMoment + strconv.FormatInt(int64(v), 10))
		case onDay:
			b.WriteString(asDay + strconv.FormatInt(int64(v), 10))
		case instant:
			b.WriteString(asInstant + strconv.FormatInt(int64(v), 10))
		case evidence.Role:
			b.WriteString(asCode + "role." + string(v))
		case evidence.Purpose:
			b.WriteString(asCode + "purpose." + string(v))
		case evidence.Basis:
			b.WriteString(asCode + "law." + string(v))
		case evidence.Content:
			b.WriteString(asCode + "content." + string(v))
		case time.Duration:
			b.WriteString(asDuration + strconv.FormatInt(int64(v), 10))
		case telling: // whatever it has in it, it stays one value
			b.WriteString(asTelling + base64.RawStdEncoding.EncodeToString([]byte(v)))
		case country:
			if v == evidence.Withheld {
				b.WriteString(asCode + "country." + string(v))
			} else {
				b.WriteString(asText + string(v))
			}
		case code:
			b.WriteString(asCode + string(v))
		default:
			b.WriteString(asText + fmt.Sprint(v))
		}
	}
	return telling(b.String())
}

// with adds clauses.
func (t telling) with(clauses ...telling) telling {
	for _, c := range clauses {
		t += clause + c
	}
	return t
}

// say is a telling in the language.
func (l Language) say(t telling) string {
	if t == "" {
		return ""
	}
	parts := strings.Split(string(t), clause)
	fields := strings.Split(parts[0], field)
	var places []string
	for i := 1; i+1 < len(fields); i += 2 {
		places = append(places, "{"+fields[i]+"}", l.isolate(l.value(fields[i+1])))
	}
	if len(parts) > 1 {
		clauses := make([]string, 0, len(parts)-1)
		for _, c := range parts[1:] {
			clauses = append(clauses, l.say(telling(c)))
		}
		places = append(places, "{clauses}", strings.Join(clauses, l.text("and")))
	}
	return strings.NewReplacer(places...).Replace(l.text(fields[0]))
}

func (l Language) value(v string) string {
	if text, ok := strings.CutPrefix(v, asText); ok || v == "" {
		return text
	}
	kind, v := v[:1], v[1:]
	switch kind {
	case asCode:
		group, name, _ := strings.Cut(v, ".")
		return l.code(group, name)
	case asTelling:
		inner, _ := base64.RawStdEncoding.DecodeString(v)
		return l.say(telling(inner))
	}
	n, _ := strconv.ParseInt(v, 10, 64)
	switch t := evidence.Time(n); kind {
	case asDuration:
		return l.duration(time.Duration(n))
	case asDay:
		return l.day(t)
	case asInstant:
		return l.instant(t)
	default:
		return l.moment(t)
	}
}

// all are tellings in the language, in their order.
func (l Language) all(list []telling) []string {
	said := make([]string, len(list))
	for i, t := range list {
		said[i] = l.say(t)
	}
	return said
}

// text is one without places. Of an unknown id it is the id, which tells more than nothing.
func (l Language) text(id string) string {
	if s, ok := texts()[l.Tag()][id]; ok {
		return s
	}
	return id
}

// has reports whether there is a text of this id.
func (l Language) has(id string) bool {
	_, ok := texts()[l.Tag()][id]
	return ok
}

// code is the word for a code of the formats, or the code itself where a newer version brought it.
func (l Language) code(group, name string) string {
	if s, ok := texts()[l.Tag()][group+"."+name]; ok {
		return s
	}
	return strings.ReplaceAll(name, "_", " ")
}

func (l Language) list(parts ...string) string { return strings.Join(parts, l.text("list")) }

// isolate keeps what stands in a place from turning the words around it, where they run from right to left (Unicode Standard Annex #9).
// Numbers, and what runs from right to left itself, stay as they are, and what is isolated already.
func (l Language) isolate(s string) string {
	if l.Direction() == "ltr" || strings.Trim(s, "0123456789") == "" {
		return s
	}
	inside, left, right, digits := 0, false, false, false
	for _, r := range s {
		switch {
		case r == isolated:
			inside++
		case r == closed:
			inside--
		case inside > 0:
		case unicode.Is(unicode.Arabic, r):
			right = true
		default:
			left, digits = left || unicode.IsLetter(r), digits || unicode.IsDigit(r)
		}
	}
	if !left && (right || !digits) {
		return s
	}
	return string(isolated) + s + string(closed)
}

const (
	isolated = '\u2068' // first strong isolate
	closed   = '\u2069' // pop directional isolate
)

// day is a date in the Gregorian calendar in UTC, its month in words, so that nobody reads it as another.
func (l Language) day(t evidence.Time) string {
	at := t.Std()
	return l.say(tell("date", "day", at.Day(), "month", code(fmt.Sprintf("month.%d", at.Month())), "year", at.Year()))
}

func (l Language) moment(t evidence.Time) string { return l.at(t, "15:04:05 UTC") }

// instant is a time as exact as it is stated: clocks differ by less than a second.
func (l Language) instant(t evidence.Time) string { return l.at(t, "15:04:05.000 UTC") }

func (l Language) at(t evidence.Time, layout string) string {
	return l.say(tell("date.time", "date", l.day(t), "time", t.Std().Format(layout)))
}

// duration is to the millisecond.
func (l Language) duration(d time.Duration) string {
	d = d.Abs().Round(time.Millisecond)
	hours, minutes := int64(d/time.Hour), int64(d%time.Hour/time.Minute)
	seconds := strings.Replace(strconv.FormatFloat((d%time.Minute).Seconds(), 'f', -1, 64), ".", l.text("decimal"), 1)
	id := "duration.hours"
	switch {
	case d < time.Minute:
		id = "duration.seconds"
	case d < time.Hour:
		id = "duration.minutes"
	}
	return l.say(tell(id, "hours", hours, "minutes", minutes, "seconds", seconds))
}
