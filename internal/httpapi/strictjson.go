package httpapi

import (
	"bytes"
	"encoding/json"
	"io"
	"unicode/utf8"
)

// maxDepth bounds how deep a body nests; the contract's own bodies nest less.
const maxDepth = 16

// checkJSON looks for what encoding/json forgives and two readers could read differently: repeated names, trailing data, broken UTF-8. It
// returns a reason, or "".
func checkJSON(body []byte) string {
	if !utf8.Valid(body) {
		return "encoding"
	}
	type object struct {
		names map[string]bool // nil in an array
		value bool            // a name was read: its value comes next
	}
	var open []object
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	for {
		token, err := decoder.Token()
		switch {
		case err == io.EOF:
			return "syntax" // the value was not finished, or there was none
		case err != nil:
			return "syntax"
		}
		top := len(open) - 1
		switch t := token.(type) {
		case json.Delim:
			switch t {
			case '{':
				open = append(open, object{names: make(map[string]bool)})
			case '[':
				open = append(open, object{})
			default:
				open = open[:top]
				top--
				if top >= 0 {
					open[top].value = false
				}
			}
			if len(open) > maxDepth {
				return "depth"
			}
		default:
			if top < 0 {
				break
			}
			if name, ok := t.(string); ok && open[top].names != nil && !open[top].value {
				if open[top].names[name] {
					return "repeated"
				}
				open[top].names[name] = true
				open[top].value = true
				continue
			}
			open[top].value = false
		}
		if len(open) == 0 {
			if _, err := decoder.Token(); err != io.EOF {
				return "trailing"
			}
			return ""
		}
	}
}
