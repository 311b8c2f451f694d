package forms

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"strongroom.example/strongroom/internal/evidence"
)

// field is a member of a group. Its title stands in the text and in problems; about tells the writer what belongs there.
type field struct {
	name, title, about string
	is                 shape
	optional           bool
}

// shape says what a value may be; each kind uses some of its fields.
type shape struct {
	kind      kind
	max       int      // of a text: characters; of a list: entries
	low, high float64  // of a number
	whole     bool     // of a number
	codes     []string // of a code
	syntax    *syntax  // of a word
	entry     string   // of a list: what one entry is called
	of        *shape   // of a list
	fields    []field  // of a group
	needs     []need   // of a group
	either    []string // of a group: at least one of these fields is filled
	barred    []string // of a group without opinions: fields that would hold one
	stated    bool     // of a group: a value with its source
	instead   string   // an object with this member, a reason, may stand instead of the value
}

type kind int

const (
	isText kind = iota
	isCode
	isWord
	isNumber
	isYesNo
	isList
	isGroup
)

// need ties fields of a group: where one has a certain value, others are filled.
type need struct {
	where  string // path of a field within the group
	is     []any
	fields []string
	reason string
	text   string
}

// syntax is the spelling of a word. The pattern is for the JSON Schema; ok judges.
type syntax struct {
	pattern string
	ok      func(string) bool
	want    string
}

func must(name, title, about string, is shape) field { return field{name, title, about, is, false} }
func may(name, title, about string, is shape) field  { return field{name, title, about, is, true} }

func text(max int) shape             { return shape{kind: isText, max: max} }
func code(codes ...string) shape     { return shape{kind: isCode, codes: codes} }
func word(s *syntax) shape           { return shape{kind: isWord, syntax: s} }
func number(low, high float64) shape { return shape{kind: isNumber, low: low, high: high} }
func integer(low, high float64) shape {
	return shape{kind: isNumber, low: low, high: high, whole: true}
}
func yesNo() shape                      { return shape{kind: isYesNo} }
func group(fields ...field) shape       { return shape{kind: isGroup, fields: fields} }
func (s shape) orReason(m string) shape { s.instead = m; return s }
func (s shape) needing(n ...need) shape { s.needs = n; return s }

func list(entry string, max int, of shape) shape {
	return shape{kind: isList, entry: entry, max: max, of: &of}
}

// stated is a value of which one says where it comes from and how sure one is, or why it is not known (RULES §6).
func stated(value shape) shape {
	s := group(
		must("value", "Value", "What is stated.", value),
		must("source", "Source", "Where this comes from: a tool's report, a device label, a person's statement.", text(short)),
		must("confidence", "Confidence", "How sure you are: high, medium or low.", code("high", "medium", "low")),
	).orReason("unknown")
	s.stated = true
	return s
}

// Lengths of texts in characters, and of lists.
const (
	short   = 300
	medium  = 4_000
	long    = 60_000
	entries = 500
)

var (
	date = word(&syntax{`^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$`, isDate, "a date such as 2026-05-03"})
	born = word(&syntax{`^[0-9]{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12][0-9]|3[01]))?)?$`, isPartOfDate, "a year, a month or a date: 1994, 1994-03 or 1994-03-21"})
	// A person's time keeps its zone, which FORMATS §3 drops.
	momentPattern = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(Z|[+-][0-9]{2}:[0-9]{2})$`)
	moment        = word(&syntax{momentPattern.String(), isMoment,
		"a time with its zone, such as 2026-05-03T14:05:00+02:00"})
	country  = matching(`^([A-Z]{2}|withheld)$`, `a country code such as NL, or "withheld"`)
	language = matching(`^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$`, "a language code such as fr or ar-SY")
	label    = matching(`^[A-Za-z0-9][A-Za-z0-9.-]{0,15}$`, "a short name such as P1: at most 16 Latin letters, digits, points, hyphens")
	digest   = word(&syntax{`^[0-9a-f]{64}$`, func(s string) bool { _, err := evidence.ParseHash(s); return err == nil },
		"a SHA-256 digest: 64 digits and letters a to f"})
	item = word(&syntax{`^itm-[a-z2-7]{25}[aeimquy4]$`, func(s string) bool { return evidence.ValidID(evidence.ItemID(s)) },
		"the number of an item, which begins with itm-"})
	consent = word(&syntax{`^con-[a-z2-7]{25}[aeimquy4]$`, func(s string) bool { return evidence.ValidID(evidence.ConsentID(s)) },
		"the number of a consent, which begins with con-"})
)

func matching(pattern, want string) shape {
	return word(&syntax{pattern, regexp.MustCompile(pattern).MatchString, want})
}

func isDate(s string) bool {
	_, err := time.Parse(time.DateOnly, s)
	return err == nil
}

func isPartOfDate(s string) bool {
	const first = "0000-01-01"
	return (len(s) == len("2006") || len(s) == len("2006-01") || len(s) == len(first)) && isDate(s+first[len(s):])
}

func isMoment(s string) bool {
	_, err := time.Parse(time.RFC3339, s)
	return err == nil && momentPattern.MatchString(s)
}

// field returns the field of a group by its name.
func (s shape) field(name string) (field, bool) {
	i := slices.IndexFunc(s.fields, func(f field) bool { return f.name == name })
	if i < 0 {
		return field{}, false
	}
	return s.fields[i], true
}

// empty reports whether v is what a blank document has in this place: nothing was written.
func (s shape) empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return s.kind <= isWord && strings.TrimSpace(v) == ""
	case []any:
		return s.kind == isList && !slices.ContainsFunc(v, func(e any) bool { return !s.of.empty(e) })
	case map[string]any:
		if reason, ok := v[s.instead].(string); ok && len(v) == 1 && s.instead != "" {
			return strings.TrimSpace(reason) == ""
		}
		for name, member := range v {
			if f, ok := s.field(name); !ok || !f.is.empty(member) {
				return false
			}
		}
		return s.kind == isGroup
	}
	return false
}
