package custody

import (
	"bytes"
	"encoding/json"
	"io"
	"strconv"

	"github.com/cyberphone/json-canonicalization/go/src/webpki.org/jsoncanonicalizer"

	"strongroom.example/strongroom/internal/evidence"
)

// Bounds of a statement's shape. They keep canonicalisation linear: the library inserts each member into a sorted list.
const (
	maxDepth   = 16
	maxMembers = 128 // of one object
	maxInteger = 1<<53 - 1
)

// canonical returns v in RFC 8785 form.
func canonical(v any) ([]byte, error) {
	plain, err := json.Marshal(v)
	if err != nil {
		return nil, evidence.Fail(evidence.Invalid, "statement", err)
	}
	b, err := jsoncanonicalizer.Transform(plain)
	if err != nil {
		return nil, evidence.Fail(evidence.Invalid, "statement", err)
	}
	return b, nil
}

// parse reads b as far as every spelling has in common: JSON, nothing behind it, integers below 2^53 (the canonical form would
// round others), no null, which never occurs.
func parse(b []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var tree any
	if err := d.Decode(&tree); err != nil {
		return nil, evidence.Fail(evidence.Invalid, "canonical", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, evidence.Refuse(evidence.Invalid, "canonical")
	}
	return tree, bounded(tree, maxDepth)
}

// isCanonical tells the one canonical spelling of what parse accepted from those with a duplicate key, white space, another order
// or escape.
func isCanonical(b []byte) bool {
	c, err := jsoncanonicalizer.Transform(b)
	return err == nil && bytes.Equal(c, b)
}

func bounded(v any, depth int) error {
	if depth == 0 {
		return evidence.Refuse(evidence.Invalid, "statement")
	}
	switch v := v.(type) {
	case nil:
		return evidence.Refuse(evidence.Invalid, "statement")
	case json.Number:
		n, err := strconv.ParseInt(v.String(), 10, 64)
		if err != nil || n > maxInteger || n < -maxInteger {
			return evidence.Refuse(evidence.Invalid, "integer")
		}
	case []any:
		for _, e := range v {
			if err := bounded(e, depth-1); err != nil {
				return err
			}
		}
	case map[string]any:
		if len(v) > maxMembers {
			return evidence.Refuse(evidence.Invalid, "statement")
		}
		for _, e := range v {
			if err := bounded(e, depth-1); err != nil {
				return err
			}
		}
	}
	return nil
}

// within reports whether whole is part with nothing but additional object members.
func within(part, whole any) bool {
	switch part := part.(type) {
	case map[string]any:
		w, ok := whole.(map[string]any)
		if !ok {
			return false
		}
		for k, v := range part {
			if other, ok := w[k]; !ok || !within(v, other) {
				return false
			}
		}
		return true
	case []any:
		w, ok := whole.([]any)
		if !ok || len(w) != len(part) {
			return false
		}
		for i, v := range part {
			if !within(v, w[i]) {
				return false
			}
		}
		return true
	}
	return part == whole
}
