package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/forms"
	"strongroom.example/strongroom/internal/words"
)

// width is what every line of text fits into, in characters.
const width = 80

// row is one labelled fact of an answer.
type row struct{ label, text string }

// indent is where a row's text begins, or further where a language's labels are longer.
const indent = 11

// printRows writes rows, each wrapped to the width. Nothing in them moves the cursor, colours the screen or turns the words around it.
func printRows(w io.Writer, rows ...row) {
	column := indent
	for _, r := range rows {
		if r.text != "" {
			column = max(column, words.Width(r.label)+1)
		}
	}
	for _, r := range rows {
		label := r.label
		for _, paragraph := range strings.Split(words.Visible(r.text), "\n") {
			for _, line := range wrap(paragraph, width-column) {
				gap := strings.Repeat(" ", max(0, column-words.Width(label)))
				fmt.Fprintln(w, strings.TrimRight(label+gap+line, " "))
				label = ""
			}
		}
	}
}

// wrap breaks a text between words; a word that is longer than a line stands alone.
func wrap(text string, width int) []string {
	lines := []string{""}
	n := 0
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ' ' }) { // others are there to keep words together
		size := words.Width(word)
		switch last := len(lines) - 1; {
		case n == 0:
			lines[last], n = word, size
		case n+1+size <= width:
			lines[last], n = lines[last]+" "+word, n+1+size
		default:
			lines, n = append(lines, word), size
		}
	}
	return words.Unbroken(lines)
}

// show is the one answer of a command: a JSON value for programs, rows for people.
func (a *app) show(value any, rows ...row) error {
	if a.json {
		return json.NewEncoder(a.out).Encode(value)
	}
	printRows(a.out, rows...)
	return nil
}

// problem is an error as a person meets it: what happened, what is kept, what comes next. Its reason is for programs.
type problem struct {
	code       int
	label      string
	reason     string
	about      string // a file, whose name begins the sentence
	sentence   string
	where      string
	kept, next string
	problems   []forms.Problem // of a record
	cause      error
}

func (p *problem) Error() string { return p.reason }
func (p *problem) Unwrap() error { return p.cause }

// report tells an error once and returns the exit code.
func (a *app) report(err error) int {
	var quiet interface{ ExitCode() int } // what ends with a code of its own has said everything
	if errors.As(err, &quiet) {
		return quiet.ExitCode()
	}
	p := explain(err)
	if !a.began && p.reason == "internal" {
		p = usage(err.Error())
	}
	if a.json || slices.Contains(os.Args, "--json") {
		message := strings.TrimSpace(strings.Join([]string{p.sentence, p.kept, p.next}, " "))
		json.NewEncoder(a.err).Encode(struct {
			Reason   string          `json:"reason"`
			Message  string          `json:"message"`
			Problems []forms.Problem `json:"problems,omitempty"`
		}{p.reason, message, p.problems})
		return p.code
	}
	l := a.words()
	p = p.in(l)
	rows := append([]row{{p.label, p.sentence}}, problemRows(p.problems)...)
	if p.where != "" {
		rows = append(rows, row{l.Say("label.where"), l.Isolate(p.where)})
	}
	if p.kept != "" {
		rows = append(rows, row{l.Say("label.kept"), p.kept})
	}
	if p.next != "" {
		rows = append(rows, row{l.Say("label.next"), p.next})
	}
	if p.code != exitPending {
		rows = append(rows, row{l.Say("label.reason"), l.Isolate(p.reason)})
	}
	printRows(a.err, rows...)
	return p.code
}

// bytesOf shows a size in English.
func bytesOf(n int64) string { return sizeIn(words.English(), n) }

// sizeIn shows a size in units of 1000, as file managers do.
func sizeIn(l *words.Language, n int64) string {
	if n < 1000 {
		return l.Count("size.bytes", int(n))
	}
	size, unit := float64(n), ""
	for _, unit = range []string{"size.kB", "size.MB", "size.GB", "size.TB"} {
		if size /= 1000; size < 999.95 {
			break
		}
	}
	return l.Say(unit, "size", strings.Replace(fmt.Sprintf("%.1f", size), ".", l.Say("decimal"), 1))
}

// dateOf shows a moment in English.
func dateOf(t evidence.Time) string { return dateIn(words.English(), t) }

// dateIn shows a moment with its day in words (INTERFACE §6): the month is never a number, and the zone is always said.
func dateIn(l *words.Language, t evidence.Time) string {
	if t == 0 {
		return "–"
	}
	return l.Date(t.Std())
}

// plural counts things.
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// joined lists codes or ids in one line; none is a dash.
func joined[T ~string](list []T) string {
	if len(list) == 0 {
		return "–"
	}
	texts := make([]string, len(list))
	for i, t := range list {
		texts[i] = plain(string(t))
	}
	return strings.Join(texts, ", ")
}

// codesIn lists codes in a language; none is a dash.
func codesIn[T ~string](l *words.Language, group string, list []T) string {
	if len(list) == 0 {
		return "–"
	}
	texts := make([]string, len(list))
	for i, t := range list {
		texts[i] = l.Code(group, string(t))
	}
	return l.List(texts)
}

// teller tells the person concerned who has to do with what is kept: in her language, organizations by the names that the vault gives them.
type teller struct {
	*words.Language
	names orgNames
}

// who says what somebody is, without saying who.
func (t teller) who(role evidence.Role, organization evidence.OrgID) string {
	if organization == "" {
		return t.Code("role", string(role))
	}
	return t.Say("who.of", "role", t.Code("role", string(role)), "organization", t.names.of(organization))
}

// whoIn says what somebody is, and in which country.
func whoIn(l *words.Language, role evidence.Role, country string) string {
	if country == "" {
		return l.Code("role", string(role))
	}
	return l.Say("who.in", "role", l.Code("role", string(role)), "country", country)
}

// plain makes a code readable.
func plain(code string) string { return strings.ReplaceAll(code, "_", " ") }
