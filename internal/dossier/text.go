package dossier

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"

	"strongroom.example/strongroom/internal/tlog"
)

const textWidth = 80

// WriteText writes the report for people, at most 80 columns wide: the verdict, what was not required, why, what it shows and does not
// show, the share, the steps, the checks (INTERFACE §7, §9).
func (r *Report) WriteText(w io.Writer) error {
	t := text{bufio.NewWriter(w)}
	t.lines(strings.ToUpper(string(r.Verdict)), English.say(r.sentence()))
	for _, c := range r.Checks {
		if c.Result == NotRequired {
			t.lines("Not asked", c.Detail)
		}
	}
	for _, s := range English.all(r.aloud) {
		t.lines("Not shown", s)
	}
	for _, c := range r.Checks {
		if c.Result == Fail {
			t.lines("Why", c.Detail+" ["+string(c.Name)+": "+c.Reason+"]")
		}
	}
	for _, c := range r.Checks {
		if c.Result == NotChecked && (r.Verdict == Incomplete || c.Reason != ReasonNotReached) {
			t.lines("Open", c.Detail+" ["+string(c.Name)+": "+c.Reason+"]")
		}
	}
	label := "Next"
	for _, s := range English.all(r.next()) {
		t.lines(label, s)
		label = ""
	}
	t.list("This shows", r.Shows)
	t.list("This does not show", English.all(r.unsaid()))
	for _, n := range r.Items {
		if s := n.Share; s != nil {
			actions := make([]string, len(s.Actions))
			for i, a := range s.Actions {
				actions[i] = string(a)
			}
			t.blank()
			t.lines("Share", fmt.Sprintf("%s, to a %s in %s, for %s", English.say(n.name()), s.To, s.Jurisdiction, s.Purpose))
			t.lines("", fmt.Sprintf("May %s, from %s to %s.", strings.Join(actions, " and "), date(s.NotBefore), date(s.Expires)))
			t.lines("", map[bool]string{true: "It may be passed on.", false: "It may not be passed on."}[s.Onward])
			t.lines("", English.say(n.standing()))
		}
		for _, c := range n.Consent {
			t.lines("Consent", English.say(tell("shows.of", "item", n.name(), "said", c.standing(n.AsOf))))
		}
	}
	if len(r.Items) > 0 {
		n := r.Items[0] // as of all others
		t.blank()
		t.lines("Request", "Nonce "+n.Nonce)
		t.lines("", "For the key "+tlog.SixGroups(n.Recipient))
		t.lines("", fmt.Sprintf("Made under the first %d entries of the record book.", n.Covers))
	}
	events := r.Events // item by item, in the order of the items
	for _, n := range r.Items {
		t.blank()
		t.lines("Steps", English.say(n.name())+", "+string(n.ID))
		for len(events) > 0 && events[0].Item < n.ID { // of an item of which nothing is known
			events = events[1:]
		}
		for ; len(events) > 0 && events[0].Item == n.ID; events = events[1:] {
			t.step(events[0])
		}
	}
	t.blank()
	for i, c := range r.Checks {
		label := ""
		if i == 0 {
			label = "Checks"
		}
		reason := ""
		if c.Reason != "" {
			reason = " (" + c.Reason + ")"
		}
		t.lines(label, fmt.Sprintf("%-12s%s%s", c.Name, strings.ReplaceAll(string(c.Result), "_", " "), reason))
	}
	t.lines("", r.tally())
	return t.Flush()
}

func (r *Report) tally() string {
	count := map[Result]int{}
	for _, c := range r.Checks {
		count[c.Result]++
	}
	var parts []string
	for _, k := range []Result{Pass, NotChecked, NotRequired, Fail} {
		if count[k] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", count[k], strings.ReplaceAll(string(k), "_", " ")))
		}
	}
	return fmt.Sprintf("%s  (exit %d)", strings.Join(parts, ", "), r.Verdict.ExitCode())
}

// text is set in two columns: a label of 11 characters, and what it is about.
type text struct{ *bufio.Writer }

const labelWidth = 11

func (t *text) blank() { t.WriteByte('\n') }

func (t *text) lines(label, s string) {
	for _, line := range wrap(s, textWidth-labelWidth) {
		fmt.Fprintf(t, "%s\n", strings.TrimRight(fmt.Sprintf("%-*s%s", labelWidth, label, line), " "))
		label = ""
	}
}

func (t *text) list(title string, items []string) {
	if len(items) == 0 {
		return
	}
	fmt.Fprintf(t, "\n%s\n", title)
	for _, s := range items {
		mark := "  - "
		for _, line := range wrap(s, textWidth-len(mark)) {
			t.WriteString(mark + line + "\n")
			mark = "    "
		}
	}
}

func (t *text) step(e EventReport) {
	who := string(e.Role)
	if e.Organization != "" {
		who += " of " + string(e.Organization)
	}
	when := ""
	if e.Time != 0 {
		when = e.Time.Std().Format("2006-01-02 15:04:05 UTC")
	}
	fmt.Fprintf(t, "%4d  %s  entry %d\n", e.Step, when, e.Entry)
	for _, s := range []string{e.What, who, e.clocks(English), e.Why} {
		if s == "" {
			continue
		}
		for _, line := range wrap(s, textWidth-6) {
			t.WriteString("      " + line + "\n")
		}
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

// wrap breaks s between words, and a word longer than the width wherever the line ends. Nothing but printable ASCII is left.
func wrap(s string, width int) (lines []string) {
	line := ""
	for _, word := range strings.SplitAfter(printable(s), " ") {
		for len(word) > width+1 {
			if line != "" {
				lines = append(lines, strings.TrimRight(line, " "))
				line = ""
			}
			lines, word = append(lines, word[:width]), word[width:]
		}
		if line != "" && len(line)+len(strings.TrimRight(word, " ")) > width {
			lines = append(lines, strings.TrimRight(line, " "))
			line = ""
		}
		line += word
	}
	return append(lines, strings.TrimRight(line, " "))
}
