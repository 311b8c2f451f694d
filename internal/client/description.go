package client

import (
	"bytes"
	"encoding/json"

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

// Marshal returns the canonical form.
func (d Description) Marshal() ([]byte, error) {
	plain, err := json.Marshal(d)
	if err != nil {
		return nil, evidence.Refuse(evidence.Invalid, "description") // without the cause: it may repeat the content
	}
	canonical, err := jsoncanonicalizer.Transform(plain)
	if err != nil {
		return nil, evidence.Refuse(evidence.Invalid, "description")
	}
	return canonical, nil
}

// ParseDescription reads the canonical form. Fields of a newer version are passed over, so that their item still opens.
func ParseDescription(object []byte) (Description, error) {
	var d Description
	if json.Unmarshal(object, &d) != nil || d.SHA256.IsZero() || d.Size < 0 {
		return d, evidence.Refuse(evidence.Invalid, "description")
	}
	if canonical, err := jsoncanonicalizer.Transform(object); err != nil || !bytes.Equal(canonical, object) {
		return d, evidence.Refuse(evidence.Invalid, "description")
	}
	return d, nil
}
