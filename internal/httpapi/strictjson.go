package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"unicode/utf8"
)

var errBase64 = errors.New("not base64")

// checkBase64 demands the standard alphabet with its padding. A decoder passes over line ends, and a pattern takes a second for 12 MiB.
func checkBase64(s string) error {
	data := strings.TrimSuffix(strings.TrimSuffix(s, "="), "=")
	for i := range len(data) {
		c := data[i] | 0x20
		if (c < 'a' || c > 'z') && (data[i] < '0' || data[i] > '9') && data[i] != '+' && data[i] != '/' {
			return errBase64
		}
	}
	if len(s)%4 != 0 {
		return errBase64
	}
	return nil
}

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
		if err != nil { // io.EOF too: the value was not finished, or there was none
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
