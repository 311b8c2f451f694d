package custody

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	ev "strongroom.example/strongroom/internal/evidence"
)

const schemaFile = "../../api/predicate.schema.json"

// object is a JSON object of the schema.
type object = map[string]any

func readSchema(t testing.TB) (object, *jsonschema.Schema) {
	t.Helper()
	b, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return doc.(object), s
}

// codes reads the constants of evidence's string types from its source: a list that reflection cannot see.
func codes(t *testing.T) map[string][]string {
	t.Helper()
	files, err := filepath.Glob("../evidence/*.go")
	if err != nil || len(files) == 0 {
		t.Fatal("no source of package evidence", err)
	}
	list := map[string][]string{}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 {
				return true
			}
			typ, _ := spec.Type.(*ast.Ident)
			value, _ := spec.Values[0].(*ast.BasicLit)
			if typ != nil && value != nil && value.Kind == token.STRING {
				s, _ := strconv.Unquote(value.Value)
				list[typ.Name] = append(list[typ.Name], s)
			}
			return true
		})
	}
	return list
}

// schemaCheck compares schema and types.
type schemaCheck struct {
	*testing.T
	defs  object
	codes map[string][]string
	seen  map[string]bool
}

func (c schemaCheck) resolve(v any) (object, string) {
	o := v.(object)
	if name, ok := o["$ref"].(string); ok {
		name = strings.TrimPrefix(name, "#/$defs/")
		def, ok := c.defs[name].(object)
		if !ok {
			c.Fatalf("the schema refers to %s, which it does not have", name)
		}
		return def, name
	}
	if all, ok := o["allOf"].([]any); ok && o["type"] == nil { // a definition with a narrower bound beside it
		return c.resolve(all[0])
	}
	return o, ""
}

func texts(v any) []string {
	var list []string
	for _, e := range v.([]any) {
		list = append(list, e.(string))
	}
	return list
}

// fields flattens a struct as encoding/json does; Details stand elsewhere.
func fields(t reflect.Type) (list []reflect.StructField) {
	for i := range t.NumField() {
		f := t.Field(i)
		switch tag := f.Tag.Get("json"); {
		case f.Anonymous && tag == "":
			list = append(list, fields(f.Type)...)
		case tag != "-":
			list = append(list, f)
		}
	}
	return list
}

// object wants the schema object o to have exactly the members of t, required where the type always writes them.
func (c schemaCheck) object(where string, t reflect.Type, o object) {
	var names, required []string
	props, _ := o["properties"].(object)
	for _, f := range fields(t) {
		name, rest, _ := strings.Cut(f.Tag.Get("json"), ",")
		names = append(names, name)
		if !strings.Contains(rest, "omit") {
			required = append(required, name)
		}
		if p, ok := props[name]; ok && f.Type != reflect.TypeFor[ev.Details]() {
			c.value(where+"."+name, f.Type, p)
		}
	}
	slices.Sort(names)
	slices.Sort(required)
	if got := slices.Sorted(maps.Keys(props)); !slices.Equal(got, names) {
		c.Errorf("%s: the schema has %v, the type %v", where, got, names)
	}
	got := texts(o["required"])
	slices.Sort(got)
	if !slices.Equal(got, required) {
		c.Errorf("%s: the schema requires %v, the type %v", where, got, required)
	}
	if o["additionalProperties"] != false {
		c.Errorf("%s: the schema allows other members", where)
	}
}

func (c schemaCheck) value(where string, t reflect.Type, v any) {
	o, name := c.resolve(v)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if list := c.codes[t.Name()]; t.Kind() == reflect.String && len(list) > 0 && t.Name() != "Kind" && t.PkgPath() != "" {
		c.enum(where, t.Name(), list, o, name)
		return
	}
	lower := strings.ToLower(t.Name()[:min(1, len(t.Name()))]) + t.Name()[min(1, len(t.Name())):]
	switch {
	case t == reflect.TypeFor[ev.Hash]():
		if name != "hash" && name != "hashOrNone" {
			c.Errorf("%s: a digest, but the schema says %v", where, o)
		}
	case t == reflect.TypeFor[ev.Time]():
		if name != "time" {
			c.Errorf("%s: a time, but the schema says %v", where, o)
		}
	case t.Kind() == reflect.String && strings.HasSuffix(t.Name(), "ID"):
		if name != lower {
			c.Errorf("%s: %s, but the schema says %s %v", where, t.Name(), name, o)
		}
	case t.Kind() == reflect.Slice:
		if o["type"] != "array" || o["maxItems"] == nil {
			c.Errorf("%s: a list, but the schema says %v", where, o)
			return
		}
		c.value(where+"[]", t.Elem(), o["items"])
	case t.Kind() == reflect.Struct:
		c.object(where, t, o)
	case t.Kind() == reflect.Bool:
		c.simple(where, "boolean", o)
	case t.Kind() == reflect.Int64:
		c.simple(where, "integer", o)
		if o["minimum"] == nil || o["maximum"] == nil {
			c.Errorf("%s: no bounds", where)
		}
	case t.Kind() == reflect.String:
		if o["enum"] == nil && o["anyOf"] == nil {
			c.simple(where, "string", o)
			if o["pattern"] == nil {
				c.Errorf("%s: no pattern", where)
			}
		}
	default:
		c.Errorf("%s: no rule for %s", where, t)
	}
}

func (c schemaCheck) simple(where, want string, o object) {
	if o["type"] != want {
		c.Errorf("%s: %s, but the schema says %v", where, want, o)
	}
}

// enum wants a code's whole list under the type's name, or a part of it where the kind allows only some.
func (c schemaCheck) enum(where, typ string, list []string, o object, name string) {
	got := texts(o["enum"])
	if name == "" {
		for _, code := range got {
			if !slices.Contains(list, code) {
				c.Errorf("%s: the schema has the code %q, type %s has not", where, code, typ)
			}
		}
		return
	}
	if !strings.EqualFold(name, typ) || !slices.Equal(got, list) {
		c.Errorf("%s: the schema has %s %v, the type %s %v", where, name, got, typ, list)
	}
	c.seen[typ] = true
}

func TestSchemaAgreesWithTypes(t *testing.T) {
	doc, _ := readSchema(t)
	defs := doc["$defs"].(object)
	c := schemaCheck{t, defs, codes(t), map[string]bool{}}

	kinds := slices.Clone(c.codes["Kind"])
	slices.Sort(kinds)
	listed := texts(defs["predicate"].(object)["properties"].(object)["kind"].(object)["enum"])
	slices.Sort(listed)
	if len(kinds) == 0 || !slices.Equal(kinds, listed) {
		t.Errorf("kinds of the schema %v, of the types %v", listed, kinds)
	}
	c.object("predicate", reflect.TypeFor[ev.Event](), defs["predicate"].(object))
	c.value("subject", reflect.TypeFor[ev.Subject](), object{"$ref": "#/$defs/subject"})
	for _, k := range kinds {
		d, err := ev.NewDetails(ev.Kind(k))
		if err != nil {
			t.Errorf("%s: %v", k, err)
			continue
		}
		def, ok := defs[k].(object)
		if !ok {
			t.Errorf("the schema does not define %s", k)
			continue
		}
		c.object(k, reflect.TypeOf(d).Elem(), def)
	}
	for _, typ := range []string{"Role", "Right", "Class", "Content", "Basis", "Action", "Purpose", "Cause", "Method", "Answer", "Audience", "Outcome", "StreamType"} {
		if !c.seen[typ] {
			t.Errorf("code list %s was never compared", typ)
		}
	}
}

func schemaAccepts(t testing.TB, s *jsonschema.Schema, payload []byte) error {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(payload))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(v)
}

// Every statement that the vectors accept is one the schema accepts; those of a newer version are not.
func TestSchemaAcceptsVectors(t *testing.T) {
	_, schema := readSchema(t)
	for _, file := range []string{"kinds.json", "statements.json"} {
		for _, v := range readVectors(t, file) {
			if v.Expect == "refuse" {
				continue
			}
			st, _ := Open([]byte(v.DSSE))
			if err := schemaAccepts(t, schema, st.Payload()); (err == nil) != (v.Expect == "accept") {
				t.Errorf("%s: expect %s, schema: %v", v.Name, v.Expect, err)
			}
		}
	}
}

// relational names what the schema cannot say: it accepts these changes, Check does not.
var relational = []string{
	"vault", "stream/id", "relied_on/0/id", "relied_on/0/type", // the origin is the same everywhere; no stream relies on itself
	"notes", "notes/0/name", // what a kind demands
	"actor.enrolled/role", "actor.enrolled/recipient", "actor.enrolled/possession", "actor.enrolled/invitation", "actor.enrolled/organization",
	"actor.key_rotated/possession", "actor.key_rotated/invitation",
	"case.opened/keyring/0/actor", // order
	"consent.given/until", "grant.proposed/expires", "grant.proposed/item", "item.deposited/evidence/size",
	"vault.heads/covers", "vault.heads/entries", "vault.heads/void/0", "vault.heads/void",
}

// allMembers are kinds of every sort of stream: of these the common members are changed too.
var allMembers = []ev.Kind{ev.ItemSealed, ev.GrantRefused, ev.ConsentWithdrawn, ev.CaseClosed, ev.ActorRevoked, ev.VaultHeads}

// Every member of the details of every kind, and every common member of some, is changed in turn, many ways. What Open and Check
// accept, the schema must accept; what they refuse, the schema must refuse, except where two fields contradict each other. Subjects
// are not compared: Apply derives them.
func TestSchemaAgreesWithCheck(t *testing.T) {
	_, schema := readSchema(t)
	changes, hit := 0, map[string]bool{}
	for kind := range sampleDetails() {
		payload := mustSign(t, sample(t, kind)).Payload()
		wanted := func(path string) bool {
			if !strings.HasPrefix(path, "predicate/details") && !slices.Contains(allMembers, kind) || strings.HasPrefix(path, "subject") {
				return false
			}
			changes++
			return changes%stride == 0
		}
		for _, m := range mutations(t, payload, wanted) {
			e, unknown, err := readStatement(m.payload)
			if err == nil {
				err = unknown
			}
			if err == nil {
				err = e.Check()
			}
			field := strings.TrimPrefix(strings.TrimPrefix(m.path, "predicate/"), "details/")
			if strings.HasPrefix(m.path, "predicate/details") {
				field = string(kind) + "/" + field
			}
			schemaErr := schemaAccepts(t, schema, m.payload)
			switch {
			case err == nil && schemaErr != nil:
				t.Errorf("%s: %s: accepted, but not by the schema: %v", kind, m.what, schemaErr)
			case err != nil && schemaErr == nil && slices.Contains(relational, field):
				hit[field] = true
			case err != nil && schemaErr == nil:
				t.Errorf("%s: %s: %v, but the schema accepts it", kind, m.what, err)
			}
		}
	}
	for _, field := range relational {
		if !hit[field] && stride == 1 {
			t.Errorf("%s is excepted, but needs no exception", field)
		}
	}
	if changes < 4000 {
		t.Errorf("only %d changes were tried", changes)
	}
}

type mutation struct {
	path, what string
	payload    []byte
}

// mutations replaces, removes and adds members of a statement, one at a time.
func mutations(t *testing.T, payload []byte, wanted func(path string) bool) (list []mutation) {
	var root any
	decode := func() {
		d := json.NewDecoder(bytes.NewReader(payload))
		d.UseNumber()
		if err := d.Decode(&root); err != nil {
			t.Fatal(err)
		}
	}
	decode()
	emit := func(path, what string) {
		if !wanted(path) {
			return
		}
		b, err := canonical(root)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, mutation{path, path + " " + what, b})
	}
	var walk func(path string, v any, set func(any))
	try := func(path string, set func(any), old any, values ...any) {
		for _, v := range values {
			set(v)
			emit(path, fmt.Sprintf("= %.40v", v))
		}
		set(old)
	}
	walk = func(path string, v any, set func(any)) {
		switch v := v.(type) {
		case map[string]any:
			for _, k := range slices.Sorted(maps.Keys(v)) {
				old := v[k]
				sub := strings.TrimPrefix(path+"/"+k, "/")
				delete(v, k)
				emit(sub, "absent")
				v[k] = old
				walk(sub, old, func(x any) { v[k] = x })
			}
			v["another"] = "member"
			emit(path, "with another member")
			delete(v, "another")
			if path != "" {
				try(path, set, v, "text", 1, []any{})
			}
		case []any:
			for i, old := range v {
				walk(fmt.Sprintf("%s/%d", path, i), old, func(x any) { v[i] = x })
			}
			many := make([]any, 1001)
			for i := range many {
				many[i] = "x"
			}
			try(path, set, v, "text", 1, object{}, []any{}, many)
		case bool:
			try(path, set, v, !v, "true", 1)
		case json.Number:
			try(path, set, v, -1, 0, 1, 513, 8193, 66048, 1<<43+1, 1<<53-1, 1.5, "1")
		case string:
			try(path, set, v, "", "x", "another code", v+"a", v+"\n", strings.ToUpper(v), "DE", "vault", strings.Repeat("0", 64),
				strings.Repeat("ab", 32), strings.Repeat("y", 65), string(actor(9)), string(item(9)), "2026-03-01T12:00:00.000Z",
				"2026-02-29T12:00:00.000Z", "1970-01-01T00:00:00.000Z", "bm90IGEga2V5", "é", 1)
		}
	}
	walk("", root, func(x any) { root = x })
	return list
}
