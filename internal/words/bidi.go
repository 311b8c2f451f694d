package words

import (
	"strings"
	"unicode"
)

// The two controls that keep the direction of a text from reaching the words around it (Unicode Standard Annex #9, isolates).
const (
	isolate = '\u2068' // first strong isolate: the direction is that of the text itself
	closed  = '\u2069' // pop directional isolate
)

// Isolate keeps an id, a number or foreign text readable between words that run from right to left. Between others, and around what runs
// from right to left itself, it adds nothing.
func (l *Language) Isolate(text string) string {
	if l.Direction() == "ltr" || strings.Trim(text, "0123456789") == "" {
		return text
	}
	text = Visible(text)
	var inside int
	var ltr, rtl, digits bool
	for _, r := range text {
		switch {
		case r == isolate:
			inside++
		case r == closed:
			inside--
		case inside > 0:
		case unicode.In(r, unicode.Arabic, unicode.Hebrew):
			rtl = true
		default:
			ltr, digits = ltr || unicode.IsLetter(r), digits || unicode.IsDigit(r)
		}
	}
	if !ltr && (rtl || !digits) {
		return text
	}
	return string(isolate) + text + string(closed)
}

// Visible keeps what others wrote from moving the cursor, colouring the screen or turning the words around it: such characters become
// U+FFFD. Ends of lines stay, and so do isolates of which each is closed, for they reach no further than themselves.
func Visible(text string) string {
	nested := wellNested(text)
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n', nested && (r == isolate || r == closed):
			return r
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r):
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

func wellNested(text string) bool {
	open := 0
	for _, r := range text {
		switch r {
		case isolate:
			open++
		case closed:
			open--
		}
		if open < 0 {
			return false
		}
	}
	return open == 0
}

// Unbroken makes lines of one text stand for themselves: an isolate that goes on in the next line is closed and opened again.
func Unbroken(lines []string) []string {
	open := 0
	for i, line := range lines {
		line = strings.Repeat(string(isolate), open) + line
		open = max(0, strings.Count(line, string(isolate))-strings.Count(line, string(closed)))
		lines[i] = line + strings.Repeat(string(closed), open)
	}
	return lines
}

// Width is how many cells of a terminal a text takes. Marks above letters and controls of direction take none.
func Width(text string) (n int) {
	for _, r := range text {
		if !unicode.In(r, unicode.Mn, unicode.Cf) {
			n++
		}
	}
	return n
}
