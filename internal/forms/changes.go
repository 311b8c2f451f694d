package forms

import (
	"reflect"
	"strings"
)

// Changes lists the paths that differ between two versions of a document, in the order of reading. What was added or taken out whole is
// one path. Entries of lists are compared by position.
func Changes(before, after *Document) []string {
	if before.Schema() != after.Schema() {
		return []string{"schema"}
	}
	return changes(nil, "", before.table.shape, before.fields, after.fields)
}

func changes(list []string, path string, s shape, before, after any) []string {
	_, reason := reasonFor(s, before)
	_, reasonNow := reasonFor(s, after)
	old, isGroup := before.(map[string]any)
	now, isGroupNow := after.(map[string]any)
	entries, isList := before.([]any)
	entriesNow, isListNow := after.([]any)
	switch {
	case isGroup && isGroupNow && !reason && !reasonNow:
		for _, f := range s.fields {
			list = changes(list, join(path, f.name), f.is, old[f.name], now[f.name])
		}
	case isList && isListNow:
		for i := range max(len(entries), len(entriesNow)) {
			list = changes(list, entry(path, i), *s.of, at(entries, i), at(entriesNow, i))
		}
	case !reflect.DeepEqual(before, after):
		list = append(list, path)
	}
	return list
}

func at(list []any, i int) any {
	if i < len(list) {
		return list[i]
	}
	return nil
}

// Addendum checks a correction (RULES §1, C7): it is of the same schema, changes something and says why. It returns what it changes; what
// the new version lacks by itself is for Sealable to say.
func Addendum(before, after *Document, reason string) ([]string, []Problem) {
	var c check
	list := Changes(before, after)
	switch {
	case before.Schema() != after.Schema():
		c.add(Wrong, "schema", ReasonSchema, "An addendum has the schema of the version that it corrects. Begin with that version.")
	case len(list) == 0:
		c.add(Wrong, "", ReasonUnchanged, "Nothing differs from the version before. Change what is to be corrected.")
	}
	if strings.TrimSpace(reason) == "" {
		c.add(Wrong, "reason", ReasonMissing, "An addendum says why it is made. Write the reason.")
	}
	return list, c.problems
}
