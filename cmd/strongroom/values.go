package main

import (
	"errors"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/evidence"
)

// fields are what an answer's JSON holds beside the common ones.
type fields map[string]any

// recorded is the answer after an act: it is in the record book and the proof of entry was checked.
func (a *app) recorded(r *client.Receipt, more fields, rows ...row) error {
	value := fields{"result": "recorded", "event": r.Leaf, "entry": r.Index()}
	for name, v := range more {
		value[name] = v
	}
	l := a.words()
	return a.show(value, append(rows, row{l.Say("label.recorded"), l.Say("recorded", "entry", r.Index())})...)
}

// consent shows what an act brings about and asks for its word. What it shows is for people even when the answer is for programs.
func (a *app) consent(yes bool, word string, consequences ...row) error {
	printRows(a.err, consequences...)
	if yes {
		return nil
	}
	return a.typed(word)
}

// all parses a list of ids.
func all[T any](list []string, parse func(string) (T, error)) ([]T, error) {
	var ids []T
	for _, s := range list {
		id, err := parse(s)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// leastPrefix is how much of an id must be typed, in characters.
const leastPrefix = 6

// unique finds the one entry whose id begins with what was typed.
func unique[T any](list []T, typed string, id func(T) string) (found T, err error) {
	n := 0
	for _, entry := range list {
		switch {
		case id(entry) == typed:
			return entry, nil
		case len(typed) >= leastPrefix && strings.HasPrefix(id(entry), strings.TrimSuffix(typed, "…")):
			found = entry
			n++
		}
	}
	switch n {
	case 0:
		return found, evidence.Refuse(evidence.NotFound, "not_found")
	case 1:
		return found, nil
	}
	return found, decline("ambiguous")
}

// when reads a moment: a date (its beginning, UTC), a time with its zone, or a length from now such as 72h or 90d.
func when(s string) (evidence.Time, error) {
	if t, err := time.Parse(time.DateOnly, s); err == nil {
		return evidence.At(t), nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return evidence.At(t), nil
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 && n < 100_000 {
			return evidence.At(time.Now().AddDate(0, 0, n)), nil
		}
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return evidence.At(time.Now().Add(d)), nil
	}
	return 0, evidence.Refuse(evidence.Invalid, evidence.ReasonTime)
}

// orNone says so when there is nothing to list.
func orNone(rows []row, none string) []row {
	if len(rows) == 0 {
		return []row{{"", none}}
	}
	return rows
}

// some is never null in JSON.
func some[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// required marks flags that a command cannot do without.
func required(c *cobra.Command, names ...string) {
	for _, name := range names {
		if err := c.MarkFlagRequired(name); err != nil {
			panic(err) // the flag does not exist: a mistake in this program
		}
	}
}

// saveAs writes a new file of the person's, whole or not at all.
func saveAs(name string, write func(io.Writer) error) error {
	return saved(name, client.SaveAs(name, write))
}

// saved says which name is taken.
func saved(name string, err error) error {
	if errors.Is(err, fs.ErrExist) {
		p := decline("exists")
		p.about, p.sentence = name, name+": "+p.sentence
		return p
	}
	return err
}
