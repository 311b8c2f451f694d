package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"testing"
	"unicode/utf8"

	"strongroom.example/strongroom/internal/evidence"
)

// kindsOfErrors reads the closed set from where it is declared, so that a new kind without a status and a text fails here.
func kindsOfErrors(t *testing.T) (kinds []evidence.ErrorKind) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../evidence/errors.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok && v.Type != nil && v.Type.(*ast.Ident).Name == "ErrorKind" {
			s, _ := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
			kinds = append(kinds, evidence.ErrorKind(s))
		}
		return true
	})
	return kinds
}

func TestEveryKindHasAProblem(t *testing.T) {
	spec, err := GetSpec()
	if err != nil {
		t.Fatal(err)
	}
	schema := spec.Components.Schemas["Problem"].Value
	fits := func(err error) {
		t.Helper()
		p := problemOf(err)
		b, _ := json.Marshal(p)
		var v any
		if err := json.Unmarshal(b, &v); err != nil {
			t.Fatal(err)
		}
		if err := schema.VisitJSON(v); err != nil {
			t.Errorf("%s: %v", b, err)
		}
		if p.Title == "" || p.Detail == "" || p.Kept == "" || p.Next == "" {
			t.Errorf("%s says too little", b)
		}
	}
	kinds := kindsOfErrors(t)
	if len(kinds) != len(statuses) || len(kinds) != len(kindTexts) {
		t.Errorf("%d kinds, %d statuses, %d texts", len(kinds), len(statuses), len(kindTexts))
	}
	for _, k := range kinds {
		if statuses[k] == 0 || kindTexts[k] == (text{}) {
			t.Errorf("%s has no status or no text", k)
		}
		fits(evidence.Refuse(k, "some_reason"))
		for reason := range reasonTexts {
			fits(evidence.Refuse(k, reason))
		}
	}
	fits(errors.New("anything"))
	fits(&notOurs{status: 415, reason: reasonContentType})
	fits(departs())
}

// What a problem says depends on kind and reason alone: never on a cause, and outside the wall on nothing.
func TestProblemsHideCauses(t *testing.T) {
	same := func(a, b error) {
		t.Helper()
		x, _ := json.Marshal(problemOf(a))
		y, _ := json.Marshal(problemOf(b))
		if string(x) != string(y) {
			t.Errorf("%s\n%s", x, y)
		}
	}
	cause := errors.New("name, place, token")
	same(evidence.Refuse(evidence.NotFound, "not_found"), evidence.Fail(evidence.NotFound, "actor", cause))
	same(evidence.Refuse(evidence.Internal, "disk"), fmt.Errorf("wrapped: %w", cause))
	same(evidence.Refuse(evidence.Unauthenticated, "sign_in"), &evidence.Error{Kind: evidence.Unauthenticated, Reason: "sign_in", Err: cause})
	same(evidence.Refuse(evidence.Conflict, "position"), fmt.Errorf("wrapped: %w", evidence.Refuse(evidence.Conflict, "position")))
}

// shape counts the members of a text in JSON and how deep it nests, by its marks alone.
func shape(b []byte) (members, deepest int) {
	depth, quoted := 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == ':':
			members++
		case c == '{' || c == '[':
			depth++
			deepest = max(deepest, depth)
		case c == '}' || c == ']':
			depth--
		}
	}
	return members, deepest
}

// kept counts the members that a decoder has kept.
func kept(v any) (n int) {
	switch v := v.(type) {
	case map[string]any:
		n = len(v)
		for _, one := range v {
			n += kept(one)
		}
	case []any:
		for _, one := range v {
			n += kept(one)
		}
	}
	return n
}

// FuzzCheckJSON: what is let through is exactly the JSON of which a decoder keeps everything.
func FuzzCheckJSON(f *testing.F) {
	for _, s := range []string{`{}`, `[]`, `"a"`, `1`, `{"a":1,"a":2}`, `{"a":{"a":1},"b":[{"a":1},{"a":2}]}`, `{} x`, `[`, "\xff", `{"a":"\u0061","\u0061":1}`,
		`{"a:":"\"{:","b":[{},{"c":{}}]}`, "[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]", "[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]", `{"\ud800":1,"\ud801":2}`, "1e999"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var v any
		d := json.NewDecoder(bytes.NewReader(b))
		d.UseNumber()
		whole := json.Valid(b) && utf8.Valid(b) && d.Decode(&v) == nil // Valid refuses trailing data
		members, depth := shape(b)
		if want := whole && depth <= maxDepth && members == kept(v); want != (checkJSON(b) == "") {
			t.Fatalf("%q: %q, of %d members %d are kept, depth %d", b, checkJSON(b), members, kept(v), depth)
		}
	})
}

func TestCheckJSON(t *testing.T) {
	for body, want := range map[string]string{
		`{}`: "", `[]`: "", `"a"`: "", `1`: "", ` {"a":[1,{"a":2}],"b":{"a":3}} `: "", `{"a":"a","b":"a"}`: "", `["a","a"]`: "",
		`{"a":[{"b":1,"b":2}]}`: "repeated", `{"a":{},"a":1}`: "repeated", `{"a":[],"b":"a","a":1}`: "repeated",
		``: "syntax", `{`: "syntax", `{"a"}`: "syntax", `{a:1}`: "syntax", `[1,]`: "syntax", `{}}`: "trailing", `1 2`: "trailing", `{}x`: "trailing",
	} {
		if got := checkJSON([]byte(body)); got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
}

func TestCheckBase64(t *testing.T) {
	for s, ok := range map[string]bool{
		"": true, "AAAA": true, "az09": true, "+/+/": true, "AAA=": true, "AA==": true,
		"AAA": false, "A===": false, "=AAA": false, "AA=A": false, "AAA-": false, "AAA_": false, "AAA\n": false, "AAA ": false, "AA[A": false,
		"AA{A": false, "AA@A": false, "AA`A": false, "AA\x1aA": false, "\xc3\xa9AA": false, "AA:A": false,
	} {
		if err := checkBase64(s); (err == nil) != ok {
			t.Errorf("%q: %v", s, err)
		}
	}
}
