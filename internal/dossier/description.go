package dossier

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf8"

	"github.com/cyberphone/json-canonicalization/go/src/webpki.org/jsoncanonicalizer"

	"strongroom.example/strongroom/internal/evidence"
)

// Description is what description.age holds in canonical JSON (FORMATS §8): readable for who opens the item and for nobody else.
type Description struct {
	Name        string          `json:"name"`
	MediaType   string          `json:"media_type"`
	Size        int64           `json:"size"`   // bytes of the original
	SHA256      evidence.Hash   `json:"sha256"` // of the original
	CapturedAt  evidence.Time   `json:"captured_at,omitempty"`
	Form        json.RawMessage `json:"form,omitempty"`        // the record (RULES §5)
	Acquisition json.RawMessage `json:"acquisition,omitempty"` // how it was acquired (RULES §6)
	DerivedFrom evidence.ItemID `json:"derived_from,omitempty"`
}

var errDescription = evidence.Refuse(evidence.Invalid, "description") // without a cause: it may repeat the content

// Bounds of a description's shape, which keep canonicalisation quick: the library inserts each member into a sorted list.
const (
	maxDepth   = 64
	maxMembers = 1024 // of one object
)

// Marshal returns the canonical form. What ParseDescription would refuse is an error.
func (d Description) Marshal() ([]byte, error) {
	plain, err := json.Marshal(d)
	if err != nil || !shaped(plain) {
		return nil, errDescription
	}
	canonical, err := jsoncanonicalizer.Transform(plain)
	if err != nil {
		return nil, errDescription
	}
	if _, err := ParseDescription(canonical); err != nil {
		return nil, err
	}
	return canonical, nil
}

// ParseDescription reads the canonical form. Members of a newer version are passed over, so that their item still opens; one whose name
// differs from a known one in case alone is refused, because readers exist that take the one for the other.
func ParseDescription(object []byte) (Description, error) {
	var members map[string]json.RawMessage
	if !utf8.Valid(object) || json.Unmarshal(object, &members) != nil || !shaped(object) {
		return Description{}, errDescription
	}
	if canonical, err := jsoncanonicalizer.Transform(object); err != nil || !bytes.Equal(canonical, object) {
		return Description{}, errDescription
	}
	var d Description
	for _, field := range []struct {
		name     string
		required bool
		into     any
	}{
		{"name", true, &d.Name}, {"media_type", true, &d.MediaType}, {"size", true, &d.Size}, {"sha256", true, &d.SHA256},
		{"captured_at", false, &d.CapturedAt}, {"form", false, &d.Form}, {"acquisition", false, &d.Acquisition}, {"derived_from", false, &d.DerivedFrom},
	} {
		for name := range members {
			if name != field.name && strings.EqualFold(name, field.name) {
				return Description{}, errDescription
			}
		}
		value, ok := members[field.name]
		if !ok && !field.required {
			continue
		}
		if !ok || string(value) == "null" || json.Unmarshal(value, field.into) != nil {
			return Description{}, errDescription
		}
	}
	if d.SHA256.IsZero() || d.Size < 0 || d.Size > 1<<53 || d.DerivedFrom != "" && !evidence.ValidID(d.DerivedFrom) {
		return Description{}, errDescription
	}
	return d, nil
}

// shaped reports whether b is JSON within the bounds.
func shaped(b []byte) bool {
	var tree any
	return json.Unmarshal(b, &tree) == nil && bounded(tree, maxDepth)
}

func bounded(v any, depth int) bool {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			if depth == 0 || !bounded(e, depth-1) {
				return false
			}
		}
	case map[string]any:
		if len(v) > maxMembers {
			return false
		}
		for _, e := range v {
			if depth == 0 || !bounded(e, depth-1) {
				return false
			}
		}
	}
	return true
}
