package custody

import (
	"bytes"
	"encoding/json"

	"strongroom.example/strongroom/internal/evidence"
)

// PredicateType names the custody event, version 1. It never changes: new kinds and new optional fields are added under it.
const PredicateType = "https://strongroom.example/custody-event/v1"

const statementType = "https://in-toto.io/Statement/v1"

// Statement is a custody event as it was received: well formed and canonical, its signature not yet verified.
type Statement struct {
	event     *evidence.Event
	unknown   error
	payload   []byte
	signature Signature
	digest    evidence.Hash // of the signed bytes
}

type statement struct {
	Type          string             `json:"_type"`
	Subject       []evidence.Subject `json:"subject"`
	PredicateType string             `json:"predicateType"`
	Predicate     predicate          `json:"predicate"`
}

// predicate is the event with its details beside it: Details here shadows the event's own, whose type depends on the kind.
type predicate struct {
	event
	Details json.RawMessage `json:"details"`
}

type event evidence.Event // without methods: they would read more strictly than needed here

// Open takes a signed statement apart (FORMATS §3, §4): the canonical DSSE form, one signature, a canonical statement of at most 64 KiB.
// It judges the form alone: neither the signature (see Verify) nor the values of fields (see evidence.Event.Check).
//
// An Invalid error means that the bytes are no such thing. Its reason is "size", "dsse", "signatures", "payload_type", "canonical",
// "integer", "statement", or "digest" and "time" for such a value.
//
// An Unknown error, reason "kind" or "field", means a statement of a newer version. Only then is the Statement returned together
// with the error: its signature, chain and inclusion can be checked, its meaning cannot. Event then has what this version knows;
// the details of an unknown kind are nil.
func Open(dsse []byte) (*Statement, error) {
	payload, signature, err := readDSSE(dsse, PayloadType, evidence.MaxStatement)
	if err != nil {
		return nil, err
	}
	return open(payload, signature)
}

// OpenParts is Open for a statement that came in another container, such as a receipt (FORMATS §6). It keeps the slices it is given.
func OpenParts(payloadType string, payload []byte, signature Signature) (*Statement, error) {
	switch {
	case len(payload) > evidence.MaxStatement:
		return nil, evidence.Refuse(evidence.Invalid, "size")
	case payloadType != PayloadType:
		return nil, evidence.Refuse(evidence.Invalid, "payload_type")
	case signature.KeyID.IsZero(): // which cannot be written
		return nil, evidence.Refuse(evidence.Invalid, "dsse")
	}
	return open(payload, signature)
}

func open(payload []byte, signature Signature) (*Statement, error) {
	event, unknown, err := readStatement(payload)
	if err != nil {
		return nil, err
	}
	return &Statement{event, unknown, payload, signature, evidence.SHA256(pae(PayloadType, payload))}, unknown
}

// Event is what the statement says. It must not be changed.
func (s *Statement) Event() *evidence.Event { return s.event }

// KeyID says which key is claimed to have signed.
func (s *Statement) KeyID() evidence.Hash { return s.signature.KeyID }

// PAEDigest is SHA-256 of the signed bytes: equal for the same statement, whoever signed it and how often.
func (s *Statement) PAEDigest() evidence.Hash { return s.digest }

// Payload is the statement in canonical JSON. It must not be changed.
func (s *Statement) Payload() []byte { return s.payload }

// Signature returns the raw DER signature, unverified.
func (s *Statement) Signature() []byte { return s.signature.DER }

// Unknown returns the error with which Open announced a newer version, or nil.
func (s *Statement) Unknown() error { return s.unknown }

// writeStatement encodes e in canonical JSON.
func writeStatement(e *evidence.Event) ([]byte, error) {
	return canonical(struct {
		Type          string             `json:"_type"`
		Subject       []evidence.Subject `json:"subject"`
		PredicateType string             `json:"predicateType"`
		Predicate     *evidence.Event    `json:"predicate"`
	}{statementType, e.Subject, PredicateType, e})
}

// readStatement parses a canonical statement. unknown is set, and the event returned, when only kinds or members that this version
// does not know stand in the way of an exact reading.
func readStatement(payload []byte) (e *evidence.Event, unknown, err error) {
	if e, ok := exactStatement(payload); ok {
		return e, nil, nil
	}
	return readAny(payload)
}

// readAny is readStatement for every spelling.
func readAny(payload []byte) (e *evidence.Event, unknown, err error) {
	tree, err := parse(payload)
	if err != nil {
		return nil, nil, err
	}
	e, again, err := decode(payload, false)
	if err != nil {
		return nil, nil, err
	}
	if e.Details == nil {
		unknown = evidence.Refuse(evidence.Unknown, "kind")
	}
	if bytes.Equal(again, payload) { // so it is canonical too
		return e, unknown, nil
	}
	if !isCanonical(payload) {
		return nil, nil, evidence.Refuse(evidence.Invalid, "canonical")
	}
	// The bytes say more, or otherwise, than was understood. Members that no type has are of a newer version if everything else
	// is exactly what was understood; the rest (an absent list, an empty optional member, a name in capitals) is malformed.
	understood, err := parse(again)
	if err != nil || !within(understood, tree) {
		return nil, nil, evidence.Refuse(evidence.Invalid, "statement")
	}
	if _, _, err := decode(payload, true); err == nil {
		return nil, nil, evidence.Refuse(evidence.Invalid, "statement")
	}
	if unknown == nil {
		unknown = evidence.Refuse(evidence.Unknown, "field")
	}
	return e, unknown, nil
}

// decode reads a statement into an event and encodes what it read. With exact set, members that no type has are errors. The details
// of an unknown kind stay nil and are encoded as they stand.
func decode(payload []byte, exact bool) (*evidence.Event, []byte, error) {
	unmarshal := func(b []byte, v any) error {
		d := json.NewDecoder(bytes.NewReader(b))
		if exact {
			d.DisallowUnknownFields()
		}
		if err := d.Decode(v); err != nil {
			return evidence.Fail(evidence.Invalid, "statement", err)
		}
		return nil
	}
	var s statement
	if err := unmarshal(payload, &s); err != nil {
		return nil, nil, err
	}
	if s.Type != statementType || s.PredicateType != PredicateType {
		return nil, nil, evidence.Refuse(evidence.Invalid, "statement")
	}
	e := evidence.Event(s.Predicate.event)
	e.Subject = s.Subject
	if details, err := evidence.NewDetails(e.Kind); err == nil {
		if err := unmarshal(s.Predicate.Details, details); err != nil {
			return nil, nil, err
		}
		e.Details = details
		if s.Predicate.Details, err = json.Marshal(details); err != nil {
			return nil, nil, evidence.Fail(evidence.Invalid, "statement", err)
		}
	}
	again, err := canonical(s)
	return &e, again, err
}
