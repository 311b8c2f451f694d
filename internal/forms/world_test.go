package forms

import (
	"encoding/json"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const folder = "../../api/forms/"

func fileOf(s Schema) string { return strings.ReplaceAll(string(s), "/", "-") }

func example(t testing.TB, s Schema) []byte {
	t.Helper()
	b, err := os.ReadFile(folder + "examples/" + fileOf(s) + ".json")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func parsed(t testing.TB, b []byte) *Document {
	t.Helper()
	d, problems := Parse(b)
	if d == nil {
		t.Fatal(problems)
	}
	return d
}

// absent takes a field out.
type absent struct{}

// with returns the example of a schema with values set at paths: members by name, entries by index from 0, "+" appends.
func with(t testing.TB, s Schema, edits map[string]any) []byte {
	t.Helper()
	var tree any
	if err := json.Unmarshal(example(t, s), &tree); err != nil {
		t.Fatal(err)
	}
	for path, v := range edits {
		tree = set(t, tree, strings.Split(path, "."), v)
	}
	b, err := json.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func set(t testing.TB, tree any, path []string, v any) any {
	t.Helper()
	if len(path) == 0 {
		return v
	}
	switch node := tree.(type) {
	case map[string]any:
		if _, out := v.(absent); out && len(path) == 1 {
			delete(node, path[0])
		} else {
			node[path[0]] = set(t, node[path[0]], path[1:], v)
		}
		return node
	case []any:
		if path[0] == "+" {
			return append(node, v)
		}
		i, err := strconv.Atoi(path[0])
		if err != nil || i >= len(node) {
			t.Fatalf("no entry %s", path[0])
		}
		node[i] = set(t, node[i], path[1:], v)
		return node
	}
	t.Fatalf("nothing at %v", path)
	return nil
}

func reported(problems []Problem, kind Kind, path, reason string) bool {
	return slices.ContainsFunc(problems, func(p Problem) bool { return p.Kind == kind && p.Path == path && p.Reason == reason })
}
