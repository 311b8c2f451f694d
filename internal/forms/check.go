package forms

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// value checks v against the shape of a field and returns it without what was left blank. Every problem below path is reported.
func (c *check) value(path string, f field, v any) any {
	s := f.is
	if reason, ok := reasonFor(s, v); ok {
		if len(v.(map[string]any)) > 1 {
			c.add(Wrong, path, ReasonBoth, fmt.Sprintf(`%s has a value and "%s". Keep one of them.`, f.title, s.instead))
		}
		return map[string]any{s.instead: c.text(join(path, s.instead), "The reason", medium, reason)}
	}
	switch s.kind {
	case isText:
		return c.text(path, f.title, s.max, v)
	case isCode:
		if code, ok := v.(string); ok && slices.Contains(s.codes, code) {
			return v
		}
		c.add(Wrong, path, ReasonCode, f.title+" is one of: "+strings.Join(s.codes, ", ")+".")
	case isWord:
		if word, ok := v.(string); ok && s.syntax.ok(word) {
			return v
		}
		c.add(Wrong, path, ReasonSyntax, f.title+" is "+s.syntax.want+".")
	case isYesNo:
		if _, ok := v.(bool); ok {
			return v
		}
		c.add(Wrong, path, ReasonType, f.title+" is true for yes or false for no, without quotation marks.")
	case isNumber:
		return c.number(path, f, v)
	case isList:
		if list, ok := v.([]any); ok {
			return c.list(path, f, list)
		}
		c.add(Wrong, path, ReasonType, f.title+" is a list: put what it holds between [ and ]."+instead(s))
	case isGroup:
		if object, ok := v.(map[string]any); ok {
			return c.group(path, s, object)
		}
		c.add(Wrong, path, ReasonType, f.title+" has fields of its own, between { and }."+instead(s))
	}
	return nil
}

// reasonFor returns what stands instead of a value.
func reasonFor(s shape, v any) (any, bool) {
	object, _ := v.(map[string]any)
	reason, ok := object[s.instead]
	return reason, ok && s.instead != ""
}

func instead(s shape) string {
	if s.instead == "" {
		return ""
	}
	return ` Or say why there is nothing: {"` + s.instead + `": "reason"}.`
}

func (c *check) text(path, title string, limit int, v any) any {
	s, ok := v.(string)
	switch {
	case !ok:
		c.add(Wrong, path, ReasonType, title+" is text, between quotation marks.")
	case utf8.RuneCountInString(s) > limit:
		c.add(Wrong, path, ReasonLength, fmt.Sprintf("%s has more than %d characters. Shorten it, or deposit the long text as an item of its own.", title, limit))
	case strings.ContainsFunc(s, unwanted):
		c.add(Wrong, path, ReasonCharacter, title+" holds a character that is no text: a control character, a forced writing direction or a damaged letter. Type it again.")
	case strings.TrimSpace(s) == "":
		c.add(Unfinished, path, ReasonMissing, title+" is not filled in.")
	default:
		return s
	}
	return nil
}

// unwanted characters could hide or fake what a screen shows; U+FFFD stands where a letter was lost.
func unwanted(r rune) bool {
	return unicode.IsControl(r) && r != '\n' && r != '\t' || r == '\u202d' || r == '\u202e' || r == utf8.RuneError
}

func (c *check) number(path string, f field, v any) any {
	n, ok := v.(float64)
	switch {
	case !ok:
		c.add(Wrong, path, ReasonType, f.title+" is a number, without quotation marks.")
	case n < f.is.low || n > f.is.high:
		c.add(Wrong, path, ReasonRange, fmt.Sprintf("%s is a number from %v to %v.", f.title, f.is.low, f.is.high))
	case f.is.whole && n != float64(int64(n)):
		c.add(Wrong, path, ReasonRange, f.title+" is a whole number.")
	case n == 0:
		return 0.0 // minus zero has another spelling
	default:
		return n
	}
	return nil
}

func (c *check) list(path string, f field, list []any) any {
	if len(list) > f.is.max {
		c.add(Wrong, path, ReasonLength, fmt.Sprintf("%s has more than %d entries. Move some into a document of their own.", f.title, f.is.max))
		return nil
	}
	clean := make([]any, len(list))
	for i, v := range list {
		if f.is.of.empty(v) {
			c.add(Wrong, entry(path, i), ReasonEmpty, "This entry is empty. Fill it in or take it out.")
			continue
		}
		clean[i] = c.value(entry(path, i), field{title: f.is.entry, is: *f.is.of}, v)
	}
	return clean
}

func (c *check) group(path string, s shape, object map[string]any) any {
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if _, ok := s.field(name); ok {
			continue
		}
		if slices.Contains(s.barred, name) {
			c.add(Wrong, join(path, name), ReasonOpinion, "This record holds facts only. Take the opinion out, or let a clinician write it in a clinical-record/1.")
		} else {
			c.add(Wrong, named(path, name), ReasonField, "The schema has no such field here. Look for a spelling mistake, or move the text where it belongs.")
		}
	}
	clean := map[string]any{}
	for _, f := range s.fields {
		at, v := join(path, f.name), object[f.name]
		switch {
		case !f.is.empty(v):
			if v := c.value(at, f, v); v != nil {
				clean[f.name] = v
			}
		case !f.optional:
			c.add(Unfinished, at, ReasonMissing, f.title+" is not filled in."+instead(f.is))
		}
	}
	filled := func(name string) bool {
		f, _ := s.field(name)
		return !f.is.empty(object[name])
	}
	for _, n := range s.needs {
		if !slices.Contains(n.is, lookup(clean, n.where)) {
			continue
		}
		for _, name := range n.fields {
			if !filled(name) {
				c.add(Unfinished, join(path, name), n.reason, n.text)
			}
		}
	}
	if len(s.either) > 0 && !slices.ContainsFunc(s.either, filled) {
		c.add(Unfinished, join(path, s.either[0]), ReasonMissing, "Fill in "+strings.Join(s.either, " or ")+".")
	}
	return clean
}

// lookup follows a path of field names; it returns nil where it ends early.
func lookup(v any, path string) any {
	for name := range strings.SplitSeq(path, ".") {
		object, _ := v.(map[string]any)
		v = object[name]
	}
	return v
}

// textAt, listAt and yesAt are for rules between fields: what is absent reads as its zero.
func textAt(v any, path string) string { s, _ := lookup(v, path).(string); return s }
func listAt(v any, path string) []any  { l, _ := lookup(v, path).([]any); return l }
func yesAt(v any, path string) bool    { b, _ := lookup(v, path).(bool); return b }
