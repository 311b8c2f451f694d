package forms

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"strings"
)

//go:embed titles.json
var titleText []byte

// titles are the headings and codes of documents in a language, by what they are in English; a code is "code." and the code, and what a page
// says beside them is "say." and a name. English has these last alone: its headings are those of the tables.
type titles map[string]string

// pageTitles reads the headings once for each page. They are part of the program, so what cannot be read is a mistake in it.
func pageTitles() map[string]titles {
	var all map[string]titles
	if err := json.Unmarshal(titleText, &all); err != nil {
		panic(err)
	}
	return all
}

// of is a heading in the language.
func (t titles) of(english string) string {
	if s, ok := t[english]; ok {
		return s
	}
	return english
}

// say is what a page says, with its places filled.
func (t titles) say(id string, pairs ...string) string {
	return strings.NewReplacer(pairs...).Replace(t["say."+id])
}

// styled is a text as a string of a page's styles. The templates take such a string for an address, and a time for one that is not safe.
func styled(text string) template.CSS {
	var b strings.Builder
	for _, r := range text {
		if r < ' ' || strings.ContainsRune("\"\\'<>&", r) {
			fmt.Fprintf(&b, "\\%x ", r)
		} else {
			b.WriteRune(r)
		}
	}
	return template.CSS(`"` + b.String() + `"`) //#nosec G203 -- every character that ends a string or an element is escaped
}

// plain is a value without structure, as plain says it in English.
func (t titles) plain(s shape, v any) string {
	switch v := v.(type) {
	case string:
		if word, ok := t["code."+v]; ok && s.kind == isCode {
			return word
		}
	case bool:
		return t.say(map[bool]string{true: "yes", false: "no"}[v])
	case float64:
	default:
		return t.say("empty")
	}
	return plain(s, v)
}
