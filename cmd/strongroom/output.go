package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/forms"
)

// width is what every line of text fits into, in characters.
const width = 80

// row is one labelled fact of an answer.
type row struct{ label, text string }

// indent is where a row's text begins.
const indent = 11

// printRows writes rows, each wrapped to the width.
func printRows(w io.Writer, rows ...row) {
	for _, r := range rows {
		label, text := r.label, strings.Map(visible, r.text)
		for _, paragraph := range strings.Split(text, "\n") {
			for _, line := range wrap(paragraph, width-indent) {
				fmt.Fprintln(w, strings.TrimRight(fmt.Sprintf("%-*s%s", indent, label, line), " "))
				label = ""
			}
		}
	}
}

// visible keeps what a file's name may hold from moving the cursor or colouring the screen.
func visible(r rune) rune {
	if unicode.IsControl(r) && r != '\n' {
		return unicode.ReplacementChar
	}
	return r
}

// wrap breaks a text between words; a word that is longer than a line stands alone.
func wrap(text string, width int) []string {
	lines := []string{""}
	n := 0
	for word := range strings.FieldsSeq(text) {
		size := utf8.RuneCountInString(word)
		switch last := len(lines) - 1; {
		case n == 0:
			lines[last], n = word, size
		case n+1+size <= width:
			lines[last], n = lines[last]+" "+word, n+1+size
		default:
			lines, n = append(lines, word), size
		}
	}
	return lines
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
	rows := append([]row{{p.label, p.sentence}}, problemRows(p.problems)...)
	if p.where != "" {
		rows = append(rows, row{"Where", p.where})
	}
	if p.kept != "" {
		rows = append(rows, row{"Kept", p.kept})
	}
	if p.next != "" {
		rows = append(rows, row{"Next", p.next})
	}
	if p.code != exitPending {
		rows = append(rows, row{"Reason", p.reason})
	}
	printRows(a.err, rows...)
	return p.code
}

// bytesOf shows a size in units of 1000, as file managers do.
func bytesOf(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d bytes", n)
	}
	size, unit := float64(n), ""
	for _, unit = range []string{"kB", "MB", "GB", "TB"} {
		if size /= 1000; size < 999.95 {
			break
		}
	}
	return fmt.Sprintf("%.1f %s", size, unit)
}

// dateOf shows a moment with its day in words (INTERFACE §6): the month is never a number, and the zone is always said.
func dateOf(t evidence.Time) string {
	if t == 0 {
		return "–"
	}
	at := t.Std()
	if at.Equal(at.Truncate(24 * time.Hour)) {
		return at.Format("2 January 2006")
	}
	return at.Format("2 January 2006, 15:04:05 UTC")
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

// plain makes a code readable.
func plain(code string) string { return strings.ReplaceAll(code, "_", " ") }
