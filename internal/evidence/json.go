package evidence

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
)

// UnmarshalJSON reads a predicate. Details are decoded by kind; a kind or field of a newer version is an Unknown error, everything
// else that does not fit is Invalid. It does not see whether the bytes were canonical: package custody encodes again and compares.
func (e *Event) UnmarshalJSON(b []byte) error {
	type fields Event // without methods
	wire := struct {
		*fields
		Details json.RawMessage `json:"details"`
	}{fields: (*fields)(e)}
	*e = Event{Subject: e.Subject}
	if err := decodeStrict(b, &wire); err != nil {
		return err
	}
	details, err := NewDetails(e.Kind)
	if err != nil {
		return err
	}
	if len(wire.Details) == 0 || wire.Details[0] != '{' {
		return Refuse(Invalid, ReasonDetails)
	}
	if err := decodeStrict(wire.Details, details); err != nil {
		return err
	}
	e.Details = details
	return nil
}

// decodeStrict refuses unknown fields. encoding/json has no type for that error, so its text is the only way to tell "newer" from "wrong".
func decodeStrict(b []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	err := dec.Decode(v)
	if err == nil {
		return nil
	}
	if strings.HasPrefix(err.Error(), "json: unknown field") {
		return Refuse(Unknown, ReasonField)
	}
	return Fail(Invalid, ReasonJSON, err)
}

// MarshalJSON writes a predicate: lists that the format always carries are [] when empty, never null.
func (e Event) MarshalJSON() ([]byte, error) {
	type fields Event
	f := fields(e)
	fill(reflect.ValueOf(&f).Elem())
	return json.Marshal(&f)
}

// fill replaces nil by empty in every list under v that is not omitted when empty. It copies what v shares with the event.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Interface: // details: a pointer to a struct
		if v.IsNil() || v.Elem().IsNil() {
			return
		}
		c := reflect.New(v.Elem().Type().Elem())
		c.Elem().Set(v.Elem().Elem())
		fill(c.Elem())
		v.Set(c)
	case reflect.Struct:
		for i := range v.NumField() {
			if !strings.Contains(v.Type().Field(i).Tag.Get("json"), ",omit") {
				fill(v.Field(i))
			}
		}
	case reflect.Slice:
		c := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		reflect.Copy(c, v)
		v.Set(c)
		if v.Type().Elem().Kind() == reflect.Struct {
			for i := range v.Len() {
				fill(v.Index(i))
			}
		}
	}
}

// Digest is what an approval signs: SHA-256 over the canonical JSON of the terms (FORMATS §1). The fields of Terms and of what it
// holds are declared in the order of their names and hold nothing but codes, so their plain encoding is canonical. The terms must
// have passed Check.
func (t *Terms) Digest() Hash {
	c := *t
	fill(reflect.ValueOf(&c).Elem())
	b, err := json.Marshal(&c)
	if err != nil {
		panic("evidence: terms do not encode: " + err.Error()) // every field is a plain type
	}
	return SHA256(b)
}
