package dossier

import (
	"cmp"
	_ "embed"
	"encoding/csv"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strconv"
	"strings"

	"strongroom.example/strongroom/internal/evidence"
)

// Custody is a report of who did what with items, for print and for tables (RULES §10): of one item, or of one person over several. It is
// made of a history without findings, so each row was verified: signature, entry, place in its stream, and the law; of a withheld step entry
// and place alone.
type Custody struct {
	Vault string
	By    evidence.ActorID // whose acts these are alone, or ""
	AsOf  evidence.Time    // up to when nothing is missing
	Items []CustodyItem
	Acts  []CustodyRow // of one person: what that one signed elsewhere, in the order of entry
}

// CustodyItem is an item with its rows. Digest and size are those of the encrypted file.
type CustodyItem struct {
	*evidence.ItemState
	Steps    int64 // all, those of others too
	Withheld int64 // how many of them may not be shown yet
	Rows     []CustodyRow
	Last     evidence.Hash // its last step, which the foot of a printed page names
	Extent   Extent        // where whoever reports could read it
}

// Kind is what the item is, in words.
func (i CustodyItem) Kind(l Language) string {
	return l.list(l.code("class", string(i.Class)), l.code("content", string(i.Content)))
}

// Page is the page code at the foot of the item's printed pages. A report has no event of its own: reading a history leaves no trace (RULES
// §3.2, 8). So the code names the last step that the report tells of.
func (i CustodyItem) Page() string { return PageCode(i.Last) }

// Paper is the name of the item's printed pages in the page's styles.
func (i CustodyItem) Paper() string { return "i" + strings.TrimPrefix(string(i.ID), "itm-") }

// Steps counts the rows.
func (c Custody) Steps() (n int) {
	for _, i := range c.Items {
		n += len(i.Rows)
	}
	return n + len(c.Acts)
}

// CustodyRow is one step. Where Until is set it may not be shown before, and Event is empty: nobody knows who signed it, so it stands in the
// report of every actor.
type CustodyRow struct {
	*evidence.Event
	Stream  evidence.Stream // in which the step is: among an item's rows are those of the consents that govern it
	Until   evidence.Time
	Item    evidence.ItemID // "" of an act that is in no item's history
	Exhibit int64           // 0 while it is not sealed
	Step    int64           // of its stream, from 1
	Leaf    evidence.Hash
	Entry   int64 // index in the log
	why     telling
	// After is the latest time stated by what was entered in the log before, among the streams of one look; 0 if there is nothing.
	After evidence.Time
	// Book is the first known publication that covers the entry: by the vault's clock the step was signed and entered before. Zero if none does.
	Book Publication
	// Clocks is what third parties say of when; nothing where their signatures are not at hand.
	Clocks Bounds
	// SHA256 and Size are of the item's encrypted file.
	SHA256 evidence.Hash
	Size   int64
	// Named is what the vault's operator calls the organization of who signed: for reading, in nobody's signature. "" if it has no name.
	Named string
}

// Name puts what the vault's operator calls organizations beside their ids.
func (c Custody) Name(organizations map[evidence.OrgID]string) {
	name := func(rows []CustodyRow) {
		for i := range rows {
			rows[i].Named = organizations[rows[i].Actor.Organization]
		}
	}
	for _, i := range c.Items {
		name(i.Rows)
	}
	name(c.Acts)
}

// CustodyOf reports on items; with an actor only on what that one signed. Without, the steps of the consents that govern an item stand among
// its own. asOf is the time of the look.
func (h *History) CustodyOf(actor evidence.ActorID, asOf evidence.Time, items ...evidence.ItemID) (Custody, error) {
	report := Custody{Vault: h.trust.Vault(), By: actor, AsOf: asOf}
	for _, id := range items {
		s := evidence.ItemOf(id)
		state, ok := h.State(s).(*evidence.ItemState)
		if !ok {
			return report, evidence.Refuse(evidence.NotFound, ReasonItemUnknown)
		}
		rows, err := h.rows(s, actor)
		if err != nil {
			return report, err
		}
		item := CustodyItem{ItemState: state, Steps: h.Len(s), Rows: rows}
		item.Last, _ = h.Leaf(s, item.Steps-1)
		for seq := range h.Len(s) {
			if h.Withheld(s, seq) != 0 {
				item.Withheld++
			}
		}
		for _, consent := range state.Consent {
			if actor != "" {
				break // it stands once among the acts
			}
			more, err := h.rows(evidence.ConsentOf(consent), actor)
			if err != nil {
				return report, err
			}
			item.Rows = append(item.Rows, more...)
		}
		slices.SortFunc(item.Rows, byEntry)
		exhibit := int64(0)
		for i := range item.Rows {
			r := &item.Rows[i]
			if d, ok := r.Details.(*evidence.ItemSealedDetails); ok {
				exhibit = d.Exhibit
			}
			r.Item, r.Exhibit, r.SHA256, r.Size = id, exhibit, state.Evidence.SHA256, state.Evidence.Size
		}
		report.Items = append(report.Items, item)
	}
	return report, nil
}

// ActsOf are the rows of streams that are no item's, with an actor only of what that one signed, in the order of entry.
func (h *History) ActsOf(actor evidence.ActorID, streams ...evidence.Stream) (list []CustodyRow, _ error) {
	for _, s := range streams {
		rows, err := h.rows(s, actor)
		if err != nil {
			return nil, err
		}
		list = append(list, rows...)
	}
	slices.SortFunc(list, byEntry)
	return list, nil
}

func byEntry(a, b CustodyRow) int { return cmp.Compare(a.Entry, b.Entry) }

// rows are the steps of a stream, with an actor only those that the actor signed and those that may not be shown yet.
func (h *History) rows(s evidence.Stream, actor evidence.ActorID) (list []CustodyRow, _ error) {
	for seq := range h.Len(s) {
		leaf, index := h.Leaf(s, seq)
		row := CustodyRow{Event: new(evidence.Event), Stream: s, Step: seq + 1, Leaf: leaf, Entry: index, After: h.After(s, seq), Clocks: h.Bounds(s, seq)}
		if newest, ok := h.publication(); ok && index < newest.Covers {
			row.Book = newest
		}
		if row.Until = h.Withheld(s, seq); row.Until != 0 {
			list = append(list, row)
			continue
		}
		e, err := h.Event(s, seq)
		if err != nil {
			return nil, err
		}
		if actor == "" || e.Actor.ID == actor {
			row.Event, row.why = e, h.whyOf(s, seq)
			list = append(list, row)
		}
	}
	return list, nil
}

//go:embed assets/custody.html
var custodyText string

// page is one whose texts are in the language. It is parsed where it is written, and nowhere else: a program that writes none, as the
// verifier in a browser, is linked without what parses.
func (l Language) page(text string) *template.Template {
	return template.Must(template.New("").Funcs(l.funcs()).Parse(text))
}

// funcs are what pages say with.
func (l Language) funcs() template.FuncMap {
	return template.FuncMap{
		"lang": func() Language { return l },
		"say":  func(id string, pairs ...any) string { return l.say(tell(id, pairs...)) },
		"code": func(group string, name any) string { return l.code(group, fmt.Sprint(name)) },
		"date": l.moment,
		"told": l.say,
		"css":  func(parts ...string) template.CSS { return styled(strings.Join(parts, " · ")) },
	}
}

// styled is a text as a string of a page's styles. The templates take such a string for an address, and a time for one that is not safe.
func styled(text string) template.CSS {
	var b strings.Builder
	for _, r := range text {
		if r < ' ' || strings.ContainsRune("\"\\'<>&", r) {
			fmt.Fprintf(&b, "\\%x ", r)
		} else {
			b.WriteRune(r)
		}
	}
	return template.CSS(`"` + b.String() + `"`) //#nosec G203 -- every character that ends a string or an element is escaped
}

// WriteHTML writes one page that needs no network, for the screen and for paper.
func (c Custody) WriteHTML(w io.Writer, l Language) error {
	return c.write(NewCustodyPage(w, l, len(c.Items)))
}

// WriteCSV writes a row for each step, the first one with the names of the columns (RFC 4180).
func (c Custody) WriteCSV(w io.Writer, l Language) error { return c.write(NewCustodyTable(w, l)) }

func (c Custody) write(w *CustodyWriter) error {
	if err := w.Add(c); err != nil {
		return err
	}
	return w.End()
}

// CustodyWriter writes a report part by part, so that of many items only those of one part are in memory.
type CustodyWriter struct {
	add   func(c Custody, first bool) error
	end   func() error
	begun bool
}

// Add writes the items of c after those written before. Vault and By are the same in every part; of AsOf the first one's is said, which is
// the earliest.
func (w *CustodyWriter) Add(c Custody) error {
	first := !w.begun
	w.begun = true
	return w.add(c, first)
}

// End writes what stands at the end. Without it the report is not whole.
func (w *CustodyWriter) End() error { return w.end() }

// NewCustodyPage begins a page on so many items.
func NewCustodyPage(w io.Writer, l Language, items int) *CustodyWriter {
	page := l.page(custodyText)
	return &CustodyWriter{
		add: func(c Custody, first bool) error {
			if first {
				if err := page.ExecuteTemplate(w, "head", struct {
					Custody
					Of int
				}{c, items}); err != nil {
					return err
				}
			}
			return page.ExecuteTemplate(w, "items", c)
		},
		end: func() error { return page.ExecuteTemplate(w, "foot", limits) },
	}
}

// custodyColumns only ever grow at their end: scripts read them by position.
var custodyColumns = []string{"item", "exhibit", "step", "kind", "what", "actor", "role", "organization", "on_behalf_of", "signed_at", "purpose", "authority",
	"consent", "result", "counterparty", "change", "entry", "event", "proof", "why_allowed", "sha256", "size", "entered_after",
	"milliseconds_behind_order_of_entry", "in_record_book_by", "milliseconds_ahead_of_record_book", "stream_type", "stream",
	"organization_as_the_vault_names_it", "not_yet_entered", "entered_by", "signature_stamped_by", "milliseconds_beyond_independent_clocks", "page_code"}

// NewCustodyTable begins a table. Programs read it, so that its codes and the names of its columns are the same in every language: what
// happened, why it was allowed and what was checked alone are said in one.
func NewCustodyTable(w io.Writer, l Language) *CustodyWriter {
	out := csv.NewWriter(w)
	out.UseCRLF = true
	return &CustodyWriter{
		add: func(c Custody, first bool) error {
			if first {
				if err := out.Write(custodyColumns); err != nil {
					return err
				}
			}
			for _, i := range c.Items {
				for _, r := range i.Rows {
					if err := out.Write(r.cells(l)); err != nil {
						return err
					}
				}
			}
			for _, r := range c.Acts {
				if err := out.Write(r.cells(l)); err != nil {
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

// cells are in the order of custodyColumns. What a row has nothing to say of is "".
func (r CustodyRow) cells(l Language) []string {
	exhibit, signed, after, behind, booked, ahead, digest, size, drift := "", "", "", "", "", "", "", "", ""
	clock := func(t evidence.Time) string {
		if t == 0 {
			return ""
		}
		return t.String()
	}
	if r.Exhibit > 0 {
		exhibit = strconv.FormatInt(r.Exhibit, 10)
	}
	if r.Item != "" {
		digest, size = r.SHA256.String(), strconv.FormatInt(r.Size, 10)
	}
	if r.Until == 0 {
		signed = r.Time.String()
		behind = strconv.FormatInt(r.Behind().Milliseconds(), 10)
	}
	if r.After != 0 {
		after = r.After.String()
	}
	if r.Book.Time != 0 {
		booked = r.Book.Time.String()
		if r.Until == 0 {
			ahead = strconv.FormatInt(r.Ahead().Milliseconds(), 10)
		}
	}
	if r.Until == 0 && r.Clocks != (Bounds{}) {
		drift = strconv.FormatInt(r.Drift().Milliseconds(), 10)
	}
	return []string{string(r.Item), exhibit, strconv.FormatInt(r.Step, 10), string(r.Kind), r.What(l), string(r.Actor.ID), string(r.Actor.Role),
		string(r.Actor.Organization), string(r.Actor.OnBehalfOf), signed, string(r.Purpose), r.Ground(English), r.Consents(English), r.Outcome(English), r.Other(),
		string(r.Change), strconv.FormatInt(r.Entry, 10), r.Leaf.String(), r.Proof(l), r.Why(l), digest, size, after, behind,
		booked, ahead, string(r.Stream.Type), r.Stream.ID, r.Named,
		clock(r.Clocks.After), clock(r.Clocks.By), clock(r.Clocks.Stamped), drift, r.Printed()}
}
