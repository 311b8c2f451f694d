package dossier

import (
	_ "embed"
	"encoding/csv"
	"html/template"
	"io"
	"slices"
	"strconv"
	"strings"

	"strongroom.example/strongroom/internal/evidence"
)

// Schedule is a list of sealed items, made from the same verified histories as a custody report (RULES §1, I7).
type Schedule struct {
	Title  string
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
	Index  = Schedule{Title: "Index of sealed items"}
	Unused = Schedule{Title: "Schedule of unused material", Unused: true}
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
func (l ScheduleLine) Status() string {
	status := l.status()
	switch {
	case l.Unsaid == 0:
		return status
	case l.Shredded != 0:
		status += "; whether it was shared may not be said"
	}
	return status + " before " + moment(l.Unsaid)
}

func (l ScheduleLine) status() string {
	switch {
	case l.Shredded != 0:
		return "unreadable for good"
	case l.Given:
		return "shared"
	case l.Unsaid != 0:
		return "may not be said"
	}
	return "not shared"
}

//go:embed assets/schedule.en.html
var scheduleText string

var schedulePage = template.Must(template.New("schedule").Funcs(template.FuncMap{"date": moment}).Parse(scheduleText))

// NewPage begins a page that needs no network, for the screen and for paper.
func (s Schedule) NewPage(w io.Writer, _ int) *CustodyWriter {
	var count struct{ Listed, Unsaid int }
	return &CustodyWriter{
		add: func(c Custody, first bool) error {
			if first {
				if err := schedulePage.ExecuteTemplate(w, "head", struct {
					Schedule
					Custody
				}{s, c}); err != nil {
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
			return schedulePage.ExecuteTemplate(w, "lines", lines)
		},
		end: func() error { return schedulePage.ExecuteTemplate(w, "foot", count) },
	}
}

// scheduleColumns only ever grow at their end.
var scheduleColumns = []string{"exhibit", "item", "case", "sha256", "size", "class", "content", "sealed_at", "status", "not_said_before"}

// NewTable begins a table (RFC 4180).
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
					string(l.Class), string(l.Content), l.SealedOn.String(), strings.ReplaceAll(l.status(), " ", "_"), until}); err != nil {
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
