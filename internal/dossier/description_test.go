package dossier

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	ev "strongroom.example/strongroom/internal/evidence"
)

var aaaa, bbbb = strings.Repeat("a", 64), strings.Repeat("b", 64)

func TestDescription(t *testing.T) {
	d := Description{Name: "Rücken.jpg", MediaType: "image/jpeg", Size: 7, SHA256: ev.SHA256(nil), Form: []byte(`{"b":1.5,"a":"<é>"}`), DerivedFrom: ev.NewID[ev.ItemID]()}
	object, err := d.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	back, err := ParseDescription(object)
	if err != nil || back.Name != d.Name || back.Size != 7 || string(back.Form) != `{"a":"<é>","b":1.5}` || back.DerivedFrom != d.DerivedFrom {
		t.Errorf("%+v, %v", back, err)
	}
	// Members of a newer version are passed over.
	if _, err := ParseDescription([]byte(`{"media_type":"","name":"","sha256":"` + aaaa + `","size":1,"weather":{"Size":2}}`)); err != nil {
		t.Error(err)
	}
	for name, d := range map[string]Description{"no digest": {}, "negative": {Size: -1, SHA256: ev.SHA256(nil)}, "no JSON": {SHA256: ev.SHA256(nil), Form: []byte("{")}} {
		if _, err := d.Marshal(); err == nil {
			t.Errorf("%s: written", name)
		}
	}
}

// A description has one reading: encoding/json alone would let a later, folded name replace the true one.
func TestDescriptionRefused(t *testing.T) {
	for name, object := range map[string]string{
		"capitals":        `{"SHA256":"` + bbbb + `","media_type":"","name":"","sha256":"` + aaaa + `","size":1}`,
		"long s":          `{"media_type":"","name":"","sha256":"` + aaaa + `","size":1,"ſha256":"` + bbbb + `"}`,
		"long s in size":  `{"media_type":"","name":"","sha256":"` + aaaa + `","size":1,"ſize":7}`,
		"folded optional": `{"Form":{},"media_type":"","name":"","sha256":"` + aaaa + `","size":1}`,
		"twice":           `{"media_type":"","name":"","sha256":"` + aaaa + `","sha256":"` + bbbb + `","size":1}`,
		"order":           `{"name":"","media_type":"","sha256":"` + aaaa + `","size":1}`,
		"white space":     `{"media_type":"","name":"","sha256":"` + aaaa + `","size": 1}`,
		"no name":         `{"media_type":"","sha256":"` + aaaa + `","size":1}`,
		"no media type":   `{"name":"","sha256":"` + aaaa + `","size":1}`,
		"no size":         `{"media_type":"","name":"","sha256":"` + aaaa + `"}`,
		"no digest":       `{"media_type":"","name":"","size":1}`,
		"null size":       `{"media_type":"","name":"","sha256":"` + aaaa + `","size":null}`,
		"null name":       `{"media_type":"","name":null,"sha256":"` + aaaa + `","size":1}`,
		"size as text":    `{"media_type":"","name":"","sha256":"` + aaaa + `","size":"1"}`,
		"half a byte":     `{"media_type":"","name":"","sha256":"` + aaaa + `","size":0.5}`,
		"large digest":    `{"media_type":"","name":"","sha256":"` + strings.ToUpper(aaaa) + `","size":1}`,
		"short digest":    `{"media_type":"","name":"","sha256":"aa","size":1}`,
		"derived":         `{"derived_from":"x","media_type":"","name":"","sha256":"` + aaaa + `","size":1}`,
		"deep":            `{"form":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `,"media_type":"","name":"","sha256":"` + aaaa + `","size":1}`,
		"list":            `[]`,
		"null":            `null`,
		"nothing":         ``,
	} {
		if d, err := ParseDescription([]byte(object)); err == nil {
			t.Errorf("%s: read as %+v", name, d)
		}
	}
}

func FuzzDescription(f *testing.F) {
	f.Add([]byte(`{"media_type":"image/jpeg","name":"a","sha256":"` + aaaa + `","size":1}`))
	f.Add([]byte(`{"captured_at":"2027-03-01T09:00:00.000Z","form":{"a":[1]},"media_type":"","name":"","sha256":"` + aaaa + `","size":1,"x":null}`))
	f.Add([]byte(`{"derived_from":"","media_type":"","name":"","sha256":"` + aaaa + `","size":1}`))
	f.Fuzz(func(t *testing.T, object []byte) {
		d, err := ParseDescription(object)
		if err != nil {
			return
		}
		again, err := d.Marshal()
		if err != nil || len(again) > len(object) || len(again) == len(object) && !bytes.Equal(again, object) {
			t.Errorf("%q is written as %q, %v", object, again, err)
		}
		var all, known map[string]json.RawMessage
		if json.Unmarshal(object, &all) != nil || json.Unmarshal(again, &known) != nil {
			t.Fatalf("%q, %q", object, again)
		}
		for name, value := range known { // what is not written again is of a newer version
			if !bytes.Equal(all[name], value) {
				t.Errorf("%s: %q is written as %q", name, all[name], value)
			}
			delete(all, name)
		}
		for _, name := range []string{"name", "media_type", "size", "sha256", "captured_at", "form", "acquisition", "derived_from"} {
			if value, given := all[name]; given && string(value) != `""` { // an empty source is none
				t.Errorf("%s: %q is not written again", name, value)
			}
		}
	})
}
