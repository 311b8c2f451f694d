package forms

import (
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

var update = flag.Bool("update", false, "write api/forms anew from the tables")

// TestSchemas: the published schemas and blank documents say what the tables say.
func TestSchemas(t *testing.T) {
	want := map[string][]byte{}
	for _, table := range tables {
		var b bytes.Buffer
		if err := json.Indent(&b, quoted(schemaOf(table)), "", "  "); err != nil {
			t.Fatal(err)
		}
		want[fileOf(table.schema)+".schema.json"] = append(b.Bytes(), '\n')
		want["blank/"+fileOf(table.schema)+".json"] = Blank(table.schema)
	}
	for name, text := range want {
		if *update {
			if err := os.WriteFile(folder+name, text, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if have, err := os.ReadFile(folder + name); err != nil || !bytes.Equal(have, text) {
			t.Errorf("%s differs from the table (%v). Look at the change, then: go test ./internal/forms -run TestSchemas -update", name, err)
		}
	}
	for _, pattern := range []string{"*.json", "blank/*.json", "examples/*.json"} {
		files, err := filepath.Glob(folder + pattern)
		if err != nil || len(files) != len(tables) {
			t.Errorf("%s: %d files for %d schemas", pattern, len(files), len(tables))
		}
	}
}

// TestTables: every field can be understood without the source.
func TestTables(t *testing.T) {
	var walk func(path string, s shape)
	walk = func(path string, s shape) {
		if s.instead != "" && because[s.instead] == "" {
			t.Errorf("%s: no words for %s", path, s.instead)
		}
		if s.of != nil {
			if s.entry == "" || s.max == 0 {
				t.Errorf("%s: a list without a name or a bound", path)
			}
			walk(path+"[]", *s.of)
		}
		if s.kind == isText && s.max == 0 || s.kind == isNumber && s.low >= s.high {
			t.Errorf("%s has no bound", path)
		}
		for _, f := range s.fields {
			at := join(path, f.name)
			if f.title == "" || !strings.HasSuffix(f.about, ".") || named("", f.name) != f.name {
				t.Errorf("%s: name, title or explanation is missing", at)
			}
			walk(at, f.is)
		}
		for _, n := range s.needs {
			for _, name := range append(n.fields, strings.Split(n.where, ".")[0]) {
				if _, ok := s.field(name); !ok {
					t.Errorf("%s: a rule speaks of %s, which is not there", path, name)
				}
			}
		}
		for _, name := range s.either {
			if _, ok := s.field(name); !ok {
				t.Errorf("%s: a rule speaks of %s, which is not there", path, name)
			}
		}
	}
	for _, table := range tables {
		walk(string(table.schema), table.shape)
	}
}

// members is a JSON object whose order is kept.
type members []member

type member struct {
	name  string
	value any
}

func (m members) MarshalJSON() ([]byte, error) {
	b := []byte("{")
	for i, e := range m {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(append(b, quoted(e.name)...), ':'), quoted(e.value)...)
	}
	return append(b, '}'), nil
}

func quoted(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // a test's own values
	}
	return bytes.TrimSpace(b.Bytes())
}

func schemaOf(t *table) members {
	m := members{
		{"$schema", "https://json-schema.org/draft/2020-12/schema"},
		{"$id", "https://strongroom.example/forms/" + fileOf(t.schema) + ".schema.json"},
		{"title", t.title},
		{"description", t.about + " It travels inside the sealed description (FORMATS §8). This schema describes a finished document; some rules between fields stand in RULES §4 to §6 alone. At most 992 KiB of JSON."},
	}
	m = append(m, shapeOf(t.shape)...)
	defs := members{{"text", members{{"type", "string"}, {"pattern", `\S`}, {"not", members{{"pattern", "[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202d\u202e\ufffd]"}}}}}}
	for _, name := range slices.Sorted(maps.Keys(because)) {
		defs = append(defs, member{name, members{
			{"title", strings.TrimSuffix(because[name], ", because ")},
			{"type", "object"},
			{"properties", members{{name, members{{"title", "Because"}, {"description", "Why nothing else stands here."}, {"$ref", "#/$defs/text"}, {"maxLength", medium}}}}},
			{"required", []string{name}},
			{"additionalProperties", false},
		}})
	}
	statement := stated(text(short))
	for _, name := range []string{"source", "confidence"} {
		f, _ := statement.field(name)
		defs = append(defs, member{name, described(f)})
	}
	defs = slices.DeleteFunc(defs, func(d member) bool {
		return !bytes.Contains(quoted(m), []byte("#/$defs/"+d.name+`"`)) && d.name != "text"
	})
	return append(m, member{"$defs", defs})
}

func described(f field) members {
	return append(members{{"title", f.title}, {"description", f.about}}, shapeOf(f.is)...)
}

func shapeOf(s shape) members {
	if s.instead != "" {
		name := s.instead
		s.instead = ""
		return members{{"oneOf", []members{shapeOf(s), {{"$ref", "#/$defs/" + name}}}}}
	}
	switch s.kind {
	case isText:
		return members{{"$ref", "#/$defs/text"}, {"maxLength", s.max}}
	case isCode:
		if len(s.codes) == 1 {
			return members{{"const", s.codes[0]}}
		}
		return members{{"enum", s.codes}}
	case isWord:
		return members{{"type", "string"}, {"pattern", s.syntax.pattern}}
	case isYesNo:
		return members{{"type", "boolean"}}
	case isNumber:
		return members{{"type", map[bool]string{true: "integer", false: "number"}[s.whole]}, {"minimum", s.low}, {"maximum", s.high}}
	case isList:
		return members{{"type", "array"}, {"items", append(members{{"title", s.entry}}, shapeOf(*s.of)...)}, {"minItems", 1}, {"maxItems", s.max}}
	}
	properties, required := members{}, []string{}
	for _, f := range s.fields {
		if s.stated && f.name != "value" { // said once
			properties = append(properties, member{f.name, members{{"$ref", "#/$defs/" + f.name}}})
		} else {
			properties = append(properties, member{f.name, described(f)})
		}
		if !f.optional {
			required = append(required, f.name)
		}
	}
	m := members{{"type", "object"}, {"properties", properties}, {"required", required}, {"additionalProperties", false}}
	if s.either != nil {
		var any []members
		for _, name := range s.either {
			any = append(any, members{{"required", []string{name}}})
		}
		m = append(m, member{"anyOf", any})
	}
	var all []members
	for _, n := range s.needs {
		all = append(all, members{{"if", having(strings.Split(n.where, "."), n.is)}, {"then", members{{"required", n.fields}}}})
	}
	if all != nil {
		m = append(m, member{"allOf", all})
	}
	return m
}

// having is a schema that matches objects with one of these values at a path.
func having(path []string, values []any) members {
	inner := members{{"enum", values}}
	if len(path) > 1 {
		inner = having(path[1:], values)
	}
	return members{{"properties", members{{path[0], inner}}}, {"required", path[:1]}}
}

var ready = map[Schema]*jsonschema.Schema{}

func compiled(t testing.TB, s Schema) *jsonschema.Schema {
	t.Helper()
	if ready[s] != nil {
		return ready[s]
	}
	b, err := os.ReadFile(folder + fileOf(s) + ".schema.json")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	if ready[s], err = c.Compile("schema.json"); err != nil {
		t.Fatal(err)
	}
	return ready[s]
}

func validates(t testing.TB, s *jsonschema.Schema, b []byte) error {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		return err
	}
	return s.Validate(doc)
}
