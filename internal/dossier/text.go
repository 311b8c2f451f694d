package dossier

import (
	"bufio"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	textWidth  = 80 // in characters
	labelWidth = 11 // or more, where a language's labels are longer
)

// WriteText writes the verdict page (INTERFACE §7, §9) as text, at most 80 columns wide: what VerdictPage says in the language, with the stable
// codes of checks and reasons, and every step, of which there may be 100,000: they are never in memory together.
func (r *Report) WriteText(w io.Writer, o Telling) error {
	l := o.Language
	o.From, o.To = 0, 0
	p := r.VerdictPage(o)
	t := text{bufio.NewWriter(w), l, l.letters()}
	t.verdict(r, p)
	t.list(p.Labels["shows"], p.Shows)
	t.list(p.Labels["hides"], p.DoesNotShow)
	for _, s := range p.Shares {
		title := p.Labels["share"]
		if len(s.Terms) == 0 {
			title = l.text("label.consent")
		}
		t.list(t.about(title, s.Item), append(t.rows(s.Terms), s.Notes...))
	}
	t.list(p.Labels["request"], t.rows(p.Request))
	if len(r.Events) > 0 {
		t.title(p.Labels["timeline"])
	}
	for i, e := range r.Events {
		if i == 0 || e.Item != r.Events[i-1].Item {
			t.item(r, e)
		}
		t.step(r, e)
	}
	t.checks(r, p)
	t.list(p.Labels["tool"], t.rows(p.Tool))
	return t.Flush()
}

// text is what a report is written to, in a language.
type text struct {
	*bufio.Writer
	Language
	letters map[rune]bool // with which it is written
}

// verdict is what is read first: labels, and in a column beside them what they are about.
func (t *text) verdict(r *Report, p VerdictPage) {
	rows := []Row{{strings.ToUpper(p.Word), t.say(r.sentence()), false}}
	for i, s := range p.First { // what was not required, and then what else is said aloud
		label := "text.not_asked"
		if i >= len(p.First)-len(r.aloud) {
			label = "text.not_shown"
		}
		rows = append(rows, Row{t.text(label), s, false})
	}
	for _, c := range p.Reasons {
		label := p.Labels["reasons"]
		if c.Result == NotChecked {
			label = t.text("text.open")
		}
		rows = append(rows, Row{label, c.Said + " [" + t.isolate(joined(c.Checks)+": "+c.Reason) + "]", false})
	}
	for i, s := range p.Next {
		label := ""
		if i == 0 {
			label = t.text("text.next")
		}
		rows = append(rows, Row{label, s, false})
	}
	column := labelWidth
	for _, w := range rows {
		column = max(column, cells(w.Name)+1)
	}
	for _, w := range rows {
		label := t.shown(w.Name)
		for _, line := range t.wrap(w.Value, textWidth-column) {
			t.line(label + strings.Repeat(" ", column-cells(label)) + line)
			label = ""
		}
	}
}

// about says of something what it is.
func (l Language) about(where, said string) string {
	return l.say(tell("detail.at", "where", where, "said", said))
}

// joined are the codes of checks.
func joined(checks []Check) string {
	codes := make([]string, len(checks))
	for i, c := range checks {
		codes[i] = string(c)
	}
	return strings.Join(codes, ", ")
}

// rows are names and what they are. What is the same in every language is kept from the words around it.
func (t *text) rows(rows []Row) (list []string) {
	for _, w := range rows {
		if w.Fixed {
			w.Value = t.isolate(w.Value)
		}
		if w.Name != "" {
			w.Value = t.about(w.Name, w.Value)
		}
		list = append(list, w.Value)
	}
	return list
}

func (t *text) title(s string) {
	t.line("")
	t.wrapped("", "", s)
}

// list is a title, and below it what there is; nothing where there is nothing.
func (t *text) list(title string, list []string) {
	if len(list) > 0 {
		t.title(title)
	}
	for _, s := range list {
		t.wrapped("  - ", "    ", s)
	}
}

// item is of which item the steps are that come below.
func (t *text) item(r *Report, e EventReport) {
	name, id := r.step(t.Language, e).Item, string(e.Item)
	if !strings.Contains(name, id) {
		name = t.Language.list(name, t.isolate(id))
	}
	t.title(name)
}

func (t *text) step(r *Report, e EventReport) {
	s := r.step(t.Language, e)
	t.wrapped("  ", "  ", t.about(s.Step, t.Language.list(said(s.When, t.say(tell("step.entry", "entry", e.Entry)))...)))
	for _, s := range said(s.What, t.Language.list(said(s.Who, t.isolate(s.By))...), s.Clocks, s.Why) {
		t.wrapped("      ", "      ", s)
	}
}

// said are those that say something.
func said(list ...string) []string {
	return slices.DeleteFunc(list, func(s string) bool { return s == "" })
}

// checks are the answers, how many there are of each, and the exit code of a program.
func (t *text) checks(r *Report, p VerdictPage) {
	count := map[Result]int{}
	var list, tally []string
	for i, c := range p.Checks {
		count[c.Result]++
		answer := t.about(c.Name, c.Answer)
		if reason := r.Checks[i].Reason; reason != "" {
			answer += " (" + t.isolate(reason) + ")"
		}
		list = append(list, answer)
	}
	for _, k := range []Result{Pass, NotChecked, NotRequired, Fail} {
		if count[k] > 0 {
			tally = append(tally, t.about(t.code("answer", string(k)), strconv.Itoa(count[k])))
		}
	}
	list = append(list, t.Language.list(tally...), t.about(t.text("text.exit"), strconv.Itoa(r.Verdict.ExitCode())))
	t.list(p.Labels["checks"], list)
}

func (t *text) line(s string) { t.WriteString(strings.TrimRight(s, " ") + "\n") }

// wrapped is s behind first, and, where it goes on, behind next, which is as wide.
func (t *text) wrapped(first, next, s string) {
	for _, line := range t.wrap(s, textWidth-len(first)) {
		t.line(first + line)
		first = next
	}
}

// clocks says what third parties' clocks say of a step, and how the time that it states stands to that; "" where none says anything.
func (e EventReport) clocks(l Language) string {
	clocks := Bounds{e.After, e.By, e.Stamped}.in(l)
	if clocks == "" {
		return ""
	}
	switch drift := time.Duration(e.Drift) * time.Millisecond; {
	case drift > 0:
		clocks = l.say(tell("independent.later", "clocks", clocks, "duration", drift))
	case drift < 0:
		clocks = l.say(tell("independent.earlier", "clocks", clocks, "duration", drift))
	}
	return l.say(tell("step.clocks", "clocks", clocks))
}

// in a language they are what third parties said; "" where none said anything.
func (b Bounds) in(l Language) string {
	var parts []string
	if b.After != 0 {
		parts = append(parts, l.say(tell("independent.after", "time", instant(b.After))))
	}
	if b.By != 0 && b.By != b.Stamped {
		parts = append(parts, l.say(tell("independent.by", "time", instant(b.By))))
	}
	if b.Stamped != 0 {
		parts = append(parts, l.say(tell("independent.stamped", "time", instant(b.Stamped))))
	}
	return l.list(parts...)
}

// printable keeps printable ASCII: what a statement says may be meant for a terminal instead of a reader.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
}

// letters are those that a language is written with.
func (l Language) letters() map[rune]bool {
	known := make(map[rune]bool)
	for _, s := range texts()[l.Tag()] {
		for _, r := range s {
			known[r], known[unicode.ToUpper(r)] = true, true
		}
	}
	return known
}

// shown keeps printable ASCII, the letters of the language and, if each is closed, isolates, which reach no further than themselves.
func (t *text) shown(s string) string {
	inside, nested := 0, t.Direction() == "rtl"
	for _, r := range s {
		switch r {
		case isolated:
			inside++
		case closed:
			inside--
		}
		nested = nested && inside >= 0
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r >= ' ' && r <= '~', t.letters[r], nested && inside == 0 && (r == isolated || r == closed):
			return r
		}
		return '?'
	}, s)
}

// cells is how many columns a text takes. Marks above letters and controls of direction take none.
func cells(s string) (n int) {
	for _, r := range s {
		if !unicode.In(r, unicode.Mn, unicode.Cf) {
			n++
		}
	}
	return n
}

// wrap breaks s between words, and a word longer than the width wherever the line ends. Each line stands for itself: an isolate that goes on
// in the next one is closed and opened again.
func (t *text) wrap(s string, width int) (lines []string) {
	var line []byte
	n, inside := 0, 0
	end := func() {
		lines = append(lines, strings.TrimRight(string(line), " ")+strings.Repeat(string(closed), inside))
		line, n = append(line[:0], strings.Repeat(string(isolated), inside)...), 0
	}
	for word := range strings.SplitAfterSeq(t.shown(s), " ") {
		if n > 0 && n+cells(strings.TrimRight(word, " ")) > width {
			end()
		}
		for _, r := range word {
			size := cells(string(r))
			if n+size > width {
				if r == ' ' {
					continue // at the end of a line that is full
				}
				end()
			}
			switch r {
			case isolated:
				inside++
			case closed:
				inside--
			}
			line, n = utf8.AppendRune(line, r), n+size
		}
	}
	end()
	return lines
}
