package scan

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Kind says what was found.
type Kind string

const (
	Name   Kind = "name"          // a word that the person gave
	ID     Kind = "id"            // of a case, an item or a consent, other than those that may travel
	EMail  Kind = "email"         // an address
	Phone  Kind = "phone"         // digits that look like a telephone number
	Place  Kind = "place"         // where a picture was taken (GPS)
	Serial Kind = "serial_number" // of a camera or lens

	Unread    Kind = "unread"     // an archive, a password, a kind of file that is not known: what is in it was not looked at
	UnreadPDF Kind = "unread_pdf" // one whose text cannot be read here, or not all of it
	Rest      Kind = "rest"       // what comes after the first bytes of a file (Most), or was found after many others
	Unseen    Kind = "unseen"     // a picture or recording: what is to be seen or heard in it, and text in it
)

// Finding is one thing to look at. It does not repeat what was found.
type Finding struct {
	Kind  Kind   `json:"kind"`
	Where string `json:"where"` // the part, and the line or field in it
	Count int    `json:"count"` // how often there
	// Of is the name's place in the list that was given, from 1, or 0.
	Of int `json:"of,omitempty"`

	id string // of an ID
}

// Most is how much of a file is looked at, in bytes: more than any text that people write, and less than a computer's memory.
const Most = 16 << 20

// Scanner collects findings. Its zero value knows no names and lets no id pass.
type Scanner struct {
	names []name
	found []Finding
	at    map[Finding]int // in found, by all but Count
}

// New returns a scanner for these names. A name of several words is looked for whole and by each word that is long enough to mean
// somebody; capitals, accents and what stands between words do not matter. Empty names are passed over.
func New(names []string) *Scanner {
	s := &Scanner{at: make(map[Finding]int)}
	for i, text := range names {
		s.names = append(s.names, namesOf(text, i+1)...)
	}
	return s
}

// Findings returns what was found, without ids for which own is true, in the order of looking.
func (s *Scanner) Findings(own func(id string) bool) []Finding {
	return slices.DeleteFunc(slices.Clone(s.found), func(f Finding) bool { return f.Kind == ID && own(f.id) })
}

// IDs returns the ids that were found.
func (s *Scanner) IDs() []string {
	var list []string
	for _, f := range s.found {
		if f.Kind == ID && !slices.Contains(list, f.id) {
			list = append(list, f.id)
		}
	}
	return list
}

// maxFindings are kept as they are: a person needs no more. As many again are kept for what was not read and for what pictures say, which
// others decide upon. What is found after that is counted: as the rest what is written, as its own kind everything else.
const (
	maxFindings = 500
	full        = "the list of findings, which is full"
)

func (s *Scanner) add(f Finding) {
	if _, ok := s.at[f]; !ok && len(s.found) >= maxFindings {
		switch f.Kind {
		case Name, ID, EMail, Phone:
			f = Finding{Kind: Rest, Where: full}
		default:
			if len(s.found) >= 2*maxFindings {
				f.Where = full
			}
		}
	}
	if i, ok := s.at[f]; ok {
		s.found[i].Count++
		return
	}
	if s.at == nil {
		s.at = make(map[Finding]int)
	}
	s.at[f] = len(s.found)
	f.Count = 1
	s.found = append(s.found, f)
}

var (
	ids    = regexp.MustCompile(`\b(?:cas|itm|con)-[a-z2-7]{26}\b`)
	emails = regexp.MustCompile(`[\pL\pN._%+-]+@[\pL\pN-]+(?:\.[\pL\pN-]+)*\.\pL{2,}`)
	phones = regexp.MustCompile(`(?:\+|\b)\(?\d[\d ()./-]{5,}\d`)
	dates  = regexp.MustCompile(`\d{4}-\d{2}-\d{2}|\d{1,2}[./]\d{1,2}[./]\d{2,4}|\b\d{1,2}[-/]\d{1,2}[-/]\d{4}\b`)
	places = regexp.MustCompile(`GPSL(?:at|ong)itude`)
)

// Text looks through a text of a part: what a person wrote, a label, a file's name.
func (s *Scanner) Text(part, text string) { s.text(part, text, true) }

func (s *Scanner) text(where, text string, loose bool) {
	s.patterns(where, text, loose)
	s.lookForNames(text, func(of, _ int) { s.add(Finding{Kind: Name, Where: where, Of: of}) })
}

// patterns looks for what is known by its shape; loose also for what could be a coincidence in bytes that are no text. Each shape is looked
// for only where a part of it is, which is quicker.
func (s *Scanner) patterns(where, text string, loose bool) {
	if strings.Contains(text, "-") {
		for _, id := range ids.FindAllString(text, -1) {
			s.add(Finding{Kind: ID, Where: where, id: id})
		}
	}
	if strings.Contains(text, "GPS") && places.MatchString(text) {
		s.add(Finding{Kind: Place, Where: where})
	}
	if strings.Contains(text, "@") {
		for range emails.FindAllString(text, -1) {
			s.add(Finding{Kind: EMail, Where: where})
		}
	}
	if loose && strings.ContainsAny(text, "0123456789") {
		rest := ids.ReplaceAllString(dates.ReplaceAllString(text, "|"), "|")
		for _, digits := range phones.FindAllString(rest, -1) {
			if isPhone(digits) {
				s.add(Finding{Kind: Phone, Where: where})
			}
		}
	}
}

// isPhone: between 7 and 15 digits (ITU-T E.164), and more than one long number alone, which may count anything.
func isPhone(s string) bool {
	n := 0
	for _, r := range s {
		if '0' <= r && r <= '9' {
			n++
		}
	}
	grouped := strings.ContainsAny(s, " ()./-")
	return 7 <= n && n <= 15 && (s[0] == '+' || s[0] == '0' || s[0] == '(' || grouped)
}

// JSON looks through every text of a JSON document, and names the field. What is not JSON is looked through as text.
func (s *Scanner) JSON(part string, object []byte) {
	d := json.NewDecoder(bytes.NewReader(object))
	d.UseNumber()
	var tree any
	if d.Decode(&tree) != nil {
		s.lines(part, string(object))
		return
	}
	s.tree(part, tree, 0)
}

func (s *Scanner) tree(where string, v any, depth int) {
	if depth > 64 {
		return
	}
	switch v := v.(type) {
	case string:
		s.Text(where, v)
	case []any:
		for i, e := range v {
			s.tree(where+"["+strconv.Itoa(i+1)+"]", e, depth+1)
		}
	case map[string]any:
		for _, key := range sortedKeys(v) {
			s.tree(where+"."+clean(key), v[key], depth+1)
		}
	}
}

func sortedKeys(m map[string]any) []string {
	var list []string
	for k := range m {
		list = append(list, k)
	}
	slices.Sort(list)
	return list
}

// clean keeps a field's name from saying what a finding must not: it is shown if it looks like one, and else left out.
func clean(key string) string {
	for _, r := range key {
		if r != '_' && (r < 'a' || r > 'z') && (r < '0' || r > '9') {
			return "…"
		}
	}
	return key[:min(len(key), 40)]
}

// lines looks through a text of many lines and names the line.
func (s *Scanner) lines(part, text string) {
	n := 0
	for line := range strings.SplitSeq(text, "\n") {
		n++
		s.patterns(part+", line "+strconv.Itoa(n), line, true)
	}
	n, at := 1, 0
	s.lookForNames(text, func(of, offset int) { // in all of it: a name may be broken at the end of a line
		n, at = n+strings.Count(text[at:offset], "\n"), offset
		s.add(Finding{Kind: Name, Where: part + ", line " + strconv.Itoa(n), Of: of})
	})
}

// valid is the text in bytes, a space where there is none.
func valid(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	return strings.ToValidUTF8(string(b), " ")
}
