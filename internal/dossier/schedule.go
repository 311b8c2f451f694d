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
	Given    bool // somebody outside was granted it, or got the object
}

// The two schedules of disclosure.
var (
	Index  = Schedule{Title: "Index of sealed items"}
	Unused = Schedule{Title: "Schedule of unused material", Unused: true}
)

// lines are those of one part, in its order.
func (s Schedule) lines(c Custody) (list []ScheduleLine) {
	for _, i := range c.Items {
		line := ScheduleLine{CustodyItem: i}
		for _, r := range i.Rows {
			switch d := r.Details.(type) {
			case *evidence.ItemSealedDetails:
				line.SealedOn = r.Time
			case *evidence.ItemTransferredDetails:
				line.Given = line.Given || d.Class.External()
			}
		}
		// What ended before its custodian had approved it was never granted.
		line.Given = line.Given || slices.ContainsFunc(i.Grants, func(g evidence.GrantState) bool {
			return g.Custodian != "" && g.Status != evidence.GrantPending && g.Status != evidence.GrantDenied
		})
		if i.Sealed && !(s.Unused && line.Given) {
			list = append(list, line)
		}
	}
	return list
}

// Status says what became of an item.
func (l ScheduleLine) Status() string {
	switch {
	case l.Shredded != 0:
		return "unreadable for good"
	case l.Given:
		return "shared"
	}
	return "not shared"
}

//go:embed assets/schedule.en.html
var scheduleText string

var schedulePage = template.Must(template.New("schedule").Funcs(template.FuncMap{"date": moment}).Parse(scheduleText))

// NewPage begins a page that needs no network, for the screen and for paper.
func (s Schedule) NewPage(w io.Writer, _ int) *CustodyWriter {
	listed := 0
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
			listed += len(lines)
			return schedulePage.ExecuteTemplate(w, "lines", lines)
		},
		end: func() error { return schedulePage.ExecuteTemplate(w, "foot", listed) },
	}
}

// scheduleColumns only ever grow at their end.
var scheduleColumns = []string{"exhibit", "item", "case", "sha256", "size", "class", "content", "sealed_at", "status"}

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
				if err := out.Write([]string{strconv.FormatInt(l.Exhibit, 10), string(l.ID), string(l.Case), l.Evidence.SHA256.String(), strconv.FormatInt(l.Evidence.Size, 10),
					string(l.Class), string(l.Content), l.SealedOn.String(), strings.ReplaceAll(l.Status(), " ", "_")}); err != nil {
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
