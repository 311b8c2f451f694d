package dossier

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Extent is how long something is by its depositor's word: in pages, or in time. The zero Extent is that nobody said it.
type Extent struct {
	Pages int64         // 1 to 10,000,000, or 0
	Lasts time.Duration // whole seconds up to 10,000 hours, or 0; never both
}

const (
	maxPages = 10_000_000
	maxLasts = 10_000 * time.Hour
)

// Valid reports whether an extent is within its bounds.
func (e Extent) Valid() bool {
	return e.Pages >= 0 && e.Pages <= maxPages && e.Lasts >= 0 && e.Lasts <= maxLasts && e.Lasts%time.Second == 0 && (e.Pages == 0 || e.Lasts == 0)
}

// String is the line in a label (FORMATS §8): "pages 12", "duration 1:02:03", or "".
func (e Extent) String() string {
	switch {
	case e.Pages > 0:
		return "pages " + strconv.FormatInt(e.Pages, 10)
	case e.Lasts > 0:
		return "duration " + timer(e.Lasts)
	}
	return ""
}

// ParseExtent reads what String writes, in its one spelling, and nothing else.
func ParseExtent(line string) (e Extent, ok bool) {
	unit, value, _ := strings.Cut(line, " ")
	switch unit {
	case "pages":
		e.Pages, _ = strconv.ParseInt(value, 10, 64)
	case "duration":
		var n [3]int64
		parts := strings.Split(value, ":")
		for i := range min(len(parts), len(n)) {
			n[i], _ = strconv.ParseInt(parts[i], 10, 32)
		}
		e.Lasts = time.Duration(n[0])*time.Hour + time.Duration(n[1])*time.Minute + time.Duration(n[2])*time.Second
	}
	return e, e.Valid() && e.String() == line && line != ""
}

// timer is a duration in hours, minutes and seconds: 1:02:03.
func timer(d time.Duration) string {
	return fmt.Sprintf("%d:%02d:%02d", d/time.Hour, d/time.Minute%60, d/time.Second%60)
}

// Text says an extent to people.
func (e Extent) Text(l Language) string {
	switch {
	case e.Pages > 0:
		return l.say(tell("schedule.pages", "n", e.Pages))
	case e.Lasts > 0:
		return timer(e.Lasts)
	}
	return l.say(tell("schedule.unstated"))
}
