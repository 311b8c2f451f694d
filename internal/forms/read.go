package forms

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"unicode/utf8"
)

const (
	// MaxSize bounds a document, in bytes: a sealed description of 1 MiB (FORMATS §1) less room for what stands beside it.
	MaxSize = 1<<20 - 32<<10

	maxDepth = 12
	maxName  = 40 // characters of a field's name that a problem repeats
)

// read takes JSON apart into map[string]any, []any, string, float64, bool and nil. It reports what encoding/json passes over: fields
// that stand twice, bytes that are not UTF-8. It returns nil when there is no object to look at.
func (c *check) read(b []byte) map[string]any {
	if len(b) > MaxSize {
		c.add(Wrong, "", ReasonSize, "The document is larger than 992 KiB. Deposit long material as an item of its own and name that item here.")
		return nil
	}
	if !utf8.Valid(b) {
		c.add(Wrong, "", ReasonJSON, "The document is not UTF-8 text. Save it as UTF-8.")
		return nil
	}
	var syntax *json.SyntaxError
	if err := json.Unmarshal(b, new(json.RawMessage)); errors.As(err, &syntax) {
		line := 1 + bytes.Count(b[:min(int(syntax.Offset), len(b))], []byte("\n"))
		c.add(Wrong, "", ReasonJSON, "The document is not JSON from line "+strconv.Itoa(line)+" on. Look for a missing comma, quotation mark or bracket there.")
		return nil
	}
	r := reader{json.NewDecoder(bytes.NewReader(b)), c}
	tree, _ := r.value("", 0)
	object, ok := tree.(map[string]any)
	if !ok && len(c.problems) == 0 {
		c.add(Wrong, "", ReasonJSON, `The document is not a JSON object. It begins with { and names its "schema".`)
	}
	return object
}

// reader walks over what is known to be JSON.
type reader struct {
	*json.Decoder
	*check
}

func (r reader) value(path string, depth int) (any, bool) {
	token, err := r.Token()
	if err != nil {
		r.add(Wrong, path, ReasonJSON, "This number is too large to be read. Write a shorter one.") // all else was checked
		return nil, false
	}
	opening, ok := token.(json.Delim)
	if !ok {
		return token, true
	}
	if depth == maxDepth {
		r.add(Wrong, path, ReasonDepth, "The document is nested too deeply. Use only the fields of the blank document.")
		return nil, false
	}
	if opening == '[' {
		list := []any{}
		for r.More() {
			v, ok := r.value(entry(path, len(list)), depth+1)
			if !ok {
				return nil, false
			}
			list = append(list, v)
		}
		r.Token() // the closing bracket
		return list, true
	}
	object := map[string]any{}
	for r.More() {
		name, _ := r.Token()
		at := named(path, name.(string))
		v, ok := r.value(at, depth+1)
		if !ok {
			return nil, false
		}
		if _, twice := object[name.(string)]; twice {
			r.add(Wrong, at, ReasonTwice, "This field stands twice. Keep one of them.")
		}
		object[name.(string)] = v
	}
	r.Token()
	return object, true
}

// named is the path of a field whose name somebody wrote: only a name that looks like one of ours is repeated.
func named(path, name string) string {
	for _, r := range name {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' {
			return path
		}
	}
	if name == "" || len(name) > maxName {
		return path
	}
	return join(path, name)
}
