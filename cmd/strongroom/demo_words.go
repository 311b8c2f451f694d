package main

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	demoTag  = 11 // columns of "entry 17"
	demoName = 40 // runes of a file name that are shown
)

// narrator tells what happens, one or two lines a step. Its first error stays: who reads may have gone.
type narrator struct {
	out io.Writer
	err error
}

func (n *narrator) printf(format string, args ...any) {
	if n.err == nil {
		_, n.err = fmt.Fprintf(n.out, format, args...)
	}
}

func (n *narrator) title(text string) { n.printf("\n%s\n", text) }

// say prints a step with its tag: "entry 17", "checked", "refused" or nothing.
func (n *narrator) say(tag, format string, args ...any) {
	for paragraph := range strings.Lines(fmt.Sprintf(format, args...)) {
		for _, line := range wrap(paragraph, width-demoTag-2) {
			n.printf("%s\n", strings.TrimRight(fmt.Sprintf("  %-*s%s", demoTag, tag, line), " "))
			tag = ""
		}
	}
}

func (n *narrator) entry(index int64, format string, args ...any) {
	n.say(fmt.Sprintf("entry %d", index), format, args...)
}

func (n *narrator) checked(format string, args ...any) { n.say("checked", format, args...) }
func (n *narrator) refused(format string, args ...any) { n.say("refused", format, args...) }
func (n *narrator) note(format string, args ...any)    { n.say("", format, args...) }

// shown is a file name as a terminal may print it: nothing in it moves the cursor, or turns the words around it.
func shown(path string) string {
	turned := false
	name := strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '\uFFFD'
		}
		turned = turned || unicode.In(r, unicode.Arabic, unicode.Hebrew, unicode.Syriac, unicode.Thaana, unicode.Nko)
		return r
	}, filepath.Base(path))
	name = short(name, demoName)
	if turned {
		name = "\u2068" + name + "\u2069" // isolated: the sentence keeps its direction
	}
	return "“" + name + "”"
}

// quoted is a path as a shell takes it.
func quoted(elements ...string) string {
	path := filepath.Join(elements...)
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-", r)
	}
	if strings.IndexFunc(path, func(r rune) bool { return !plain(r) }) < 0 {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}
