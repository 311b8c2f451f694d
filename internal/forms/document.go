package forms

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// Schema is the code of a document's schema; item.deposited carries it in the plain for a form (RULES §3.1).
type Schema string

const (
	ClinicalRecord Schema = "clinical-record/1"
	ClinicalFacts  Schema = "clinical-record-facts/1" // of actors who document only (RULES §5)
	Acquisition    Schema = "acquisition/1"
	ConsentForm    Schema = "consent-form/1"
	Identity       Schema = "identity/1"
)

// table is all there is to say about a schema.
type table struct {
	schema       Schema
	title, about string
	shape        shape
	rules        func(d map[string]any, c *check) // what the shape cannot say
}

var tables = []*table{&clinicalRecord, &clinicalFacts, &acquisition, &consentForm, &identity}

func tableOf(s Schema) *table {
	i := slices.IndexFunc(tables, func(t *table) bool { return t.schema == s })
	if i < 0 {
		return nil
	}
	return tables[i]
}

// Schemas lists the schemas of this package.
func Schemas() []Schema {
	var list []Schema
	for _, t := range tables {
		list = append(list, t.schema)
	}
	return list
}

// Title is what a person calls a document of the schema; empty for a schema that this package does not have.
func (s Schema) Title() string {
	if t := tableOf(s); t != nil {
		return t.title
	}
	return ""
}

// Document is a form or acquisition record that holds to its schema. It may be a draft: see Sealable. It is never changed.
type Document struct {
	table      *table
	fields     map[string]any
	unfinished []Problem
}

// Parse reads one JSON object of at most MaxSize bytes and reports all problems at once, at most a hundred of each kind. The document is
// nil exactly if one of them is Wrong. Fields left blank ("", null, {} or []) count as absent.
func Parse(b []byte) (*Document, []Problem) {
	var c check
	object := c.read(b)
	if object == nil {
		return nil, c.problems
	}
	code, _ := object["schema"].(string)
	t := tableOf(Schema(code))
	if t == nil {
		c.add(Wrong, "schema", ReasonSchema, `"schema" names no document that this version knows. It knows: `+known()+`.`)
		return nil, c.problems
	}
	fields, _ := c.group("", t.shape, object).(map[string]any)
	t.rules(fields, &c)
	if c.count[Wrong] > 0 {
		return nil, c.problems
	}
	return &Document{t, fields, c.of(Unfinished)}, c.problems
}

func known() string {
	var names []string
	for _, s := range Schemas() {
		names = append(names, string(s))
	}
	return strings.Join(names, ", ")
}

// Schema is the document's schema.
func (d *Document) Schema() Schema { return d.table.schema }

// Sealable says what stands between the document and its seal: headings that are neither filled nor explained, a strong opinion without
// reasons or second reader, and so on (RULES §4 to §6). Nil means it can be sealed.
func (d *Document) Sealable() []Problem { return slices.Clone(d.unfinished) }

// JSON is the document as compact JSON, without fields that were left blank. It parses again to an equal document.
func (d *Document) JSON() []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(d.fields); err != nil {
		panic("forms: a document does not encode: " + err.Error()) // it came from JSON
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// Opinions reports whether the document states what its writer concludes, not only what was told and seen (RULES §5).
func (d *Document) Opinions() bool {
	given := func(heading string) bool {
		_, not := reasonFor(explained, d.fields[heading])
		return d.fields[heading] != nil && !not
	}
	return given("interpretation") || given("conclusions") ||
		slices.ContainsFunc(listAt(d.fields, "examination.findings"), func(f any) bool { return lookup(f, "consistency") != nil })
}

// Blank is a document of the schema to be filled in: every field once, in the order of reading. Each entry of a list can be repeated. It is
// nil for a schema that this package does not have.
func Blank(s Schema) []byte {
	t := tableOf(s)
	if t == nil {
		return nil
	}
	return append(blank(nil, t.shape, "\n"), '\n')
}

func blank(b []byte, s shape, indent string) []byte {
	switch s.kind {
	case isNumber, isYesNo:
		return append(b, "null"...)
	case isList:
		b = blank(append(b, '['), *s.of, indent)
		return append(b, ']')
	case isGroup:
		b = append(b, '{')
		for i, f := range s.fields {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(b, indent+`  "`+f.name+`": `...)
			b = blank(b, f.is, indent+"  ")
		}
		return append(b, indent+"}"...)
	}
	if s.kind == isCode && len(s.codes) == 1 { // the schema's own code
		return append(b, `"`+s.codes[0]+`"`...)
	}
	return append(b, `""`...)
}
