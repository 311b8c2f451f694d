package dossier

import (
	_ "embed"
	"encoding/csv"
	"io"
	"slices"
	"strconv"
	"time"

	"strongroom.example/strongroom/internal/evidence"
)

// Schedule is a list of sealed items, made from the same verified histories as a custody report (RULES §1, I7).
type Schedule struct {
	Unused bool // only what nobody outside was given
}

// ScheduleLine is one sealed item. Digest and size are those of the encrypted file: what is inside is for who opens it.
type ScheduleLine struct {
	CustodyItem
	SealedOn evidence.Time
	Given    bool          // somebody outside was granted it, or got the object
	Unsaid   evidence.Time // before when that may not be said, as steps under a secret hold are withheld; 0 if it may, or is known
}

// The two schedules of disclosure.
var (
	Index  = Schedule{}
	Unused = Schedule{Unused: true}
)

// lines are those of one part, in its order. What may have been shared, of which that may not be said yet, is not left out of either schedule.
func (s Schedule) lines(c Custody) (list []ScheduleLine) {
	for _, i := range c.Items {
		line := ScheduleLine{CustodyItem: i, Given: slices.ContainsFunc(i.Grants, i.granted)}
		for _, r := range i.Rows {
			line.Unsaid = max(line.Unsaid, r.Until)
			switch d := r.Details.(type) {
			case *evidence.ItemSealedDetails:
				line.SealedOn = r.Time
			case *evidence.ItemTransferredDetails:
				line.Given = line.Given || d.Class.External()
			}
		}
		if line.Given {
			line.Unsaid = 0
		}
		if i.Sealed && !(s.Unused && line.Given) {
			list = append(list, line)
		}
	}
	return list
}

// granted reports whether a grant was ever in force. One that ended is judged as at its last approval, which alone can have made it active:
// by its custodian, and by every subject who then wanted to be asked first (RULES §7).
func (i CustodyItem) granted(g evidence.GrantState) bool {
	switch {
	case g.Status == evidence.GrantActive:
		return true
	case g.Status == evidence.GrantPending, g.Status == evidence.GrantDenied, g.Custodian == "":
		return false
	}
	asking, active := make(map[evidence.ConsentID]bool), false
	for _, r := range i.Rows { // in the order of entry, those of the consents too
		switch d := r.Details.(type) {
		case *evidence.ConsentGivenDetails:
			asking[evidence.ConsentID(r.Stream.ID)] = d.AskFirst
		case *evidence.GrantApprovedDetails:
			if d.Grant == g.Terms.ID {
				active = true
				for consent, first := range asking {
					active = active && (!first || slices.Contains(g.Agreed, consent))
				}
			}
		}
	}
	return active
}

// Status says what became of an item.
func (l ScheduleLine) Status(in Language) string {
	if l.Unsaid != 0 {
		return in.say(tell("status."+l.status()+".unsaid", "time", l.Unsaid))
	}
	return in.code("status", l.status())
}

// status is a code, for tables.
func (l ScheduleLine) status() string {
	switch {
	case l.Shredded != 0:
		return "unreadable_for_good"
	case l.Given:
		return "shared"
	case l.Unsaid != 0:
		return "may_not_be_said"
	}
	return "not_shared"
}

//go:embed assets/schedule.html
var scheduleText string

// title is the id of its text.
func (s Schedule) title() string {
	if s.Unused {
		return "schedule.unused"
	}
	return "schedule.index"
}

// NewPage begins a page that needs no network, for the screen and for paper.
func (s Schedule) NewPage(w io.Writer, l Language) *CustodyWriter {
	page := l.page(scheduleText)
	var count struct{ Listed, Unsaid int }
	return &CustodyWriter{
		add: func(c Custody, first bool) error {
			if first {
				if err := page.ExecuteTemplate(w, "head", struct {
					Custody
					Title string
				}{c, s.title()}); err != nil {
					return err
				}
			}
			lines := s.lines(c)
			count.Listed += len(lines)
			for _, l := range lines {
				if l.Unsaid != 0 {
					count.Unsaid++
				}
			}
			return page.ExecuteTemplate(w, "lines", lines)
		},
		end: func() error { return page.ExecuteTemplate(w, "foot", count) },
	}
}

// scheduleColumns only ever grow at their end.
var scheduleColumns = []string{"exhibit", "item", "case", "sha256", "size", "class", "content", "sealed_at", "status", "not_said_before", "pages", "seconds"}

// NewTable begins a table (RFC 4180). It is the same in every language.
func (s Schedule) NewTable(w io.Writer) *CustodyWriter {
	out := csv.NewWriter(w)
	out.UseCRLF = true
	return &CustodyWriter{
		add: func(c Custody, first bool) error {
			if first {
				if err := out.Write(scheduleColumns); err != nil {
					return err
				}
			}
			for _, l := range s.lines(c) {
				until := "" // whether it was shared is not said before
				if l.Unsaid != 0 {
					until = l.Unsaid.String()
				}
				if err := out.Write([]string{strconv.FormatInt(l.Exhibit, 10), string(l.ID), string(l.Case), l.Evidence.SHA256.String(), strconv.FormatInt(l.Evidence.Size, 10),
					string(l.Class), string(l.Content), l.SealedOn.String(), l.status(), until,
					number(l.Extent.Pages), number(int64(l.Extent.Lasts / time.Second))}); err != nil {
					return err
				}
			}
			return nil
		},
		end: func() error {
			out.Flush()
			return out.Error()
		},
	}
}

// number is one that was stated, or nothing.
func number(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}
