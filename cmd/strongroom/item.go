package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/words"
)

func sealCommand(a *app) *cobra.Command {
	var number int64
	var yes bool
	c := &cobra.Command{
		Use:   "seal ITEM",
		Short: "Make an item final, with an exhibit number",
		Long: `Makes a deposited item final: it becomes an exhibit with a number that is unique
in its case. Only sealed items can be shared.

An item with a record in it is sealed once the record is complete. A keyholder's
program opens the item to see that. Who deposited it without holding a key needs
not: the record was checked before it was sent, and no draft was taken.

Signs:     item.opened first, if there is a record in it and you hold a key;
           item.sealed.
For good:  nobody can change it any more. Corrections are added beside it. You
           type "seal".`,
		Example: `  strongroom seal itm-7c2k`,
	}
	c.Flags().Int64Var(&number, "exhibit", 0, "exhibit `NUMBER` (default: the next one of the case)")
	c.Flags().BoolVar(&yes, "yes", false, "do not ask; for scripts")
	return about(a, c, findItem, func(ctx context.Context, cl *client.Client, id evidence.ItemID) error {
		if err := a.consent(yes, "seal", row{"If you seal", string(id)}, row{"For good", "Nobody can change it. Corrections are added beside it."}); err != nil {
			return err
		}
		r, err := cl.Seal(ctx, id, number)
		if err != nil {
			return err
		}
		exhibit := r.Event.Details.(*evidence.ItemSealedDetails).Exhibit
		return a.recorded(r, fields{"item": id, "exhibit": exhibit}, row{"Sealed", fmt.Sprintf("exhibit %d, %s", exhibit, id)})
	})
}

// opening are the flags of an access.
type opening struct{ purpose, reasonFile, hold string }

func (o *opening) flags(c *cobra.Command, purpose string) {
	c.Flags().StringVar(&o.purpose, "purpose", purpose, "care, documentation, investigation, prosecution, defence, adjudication, verification, audit, subject_access, recovery, emergency")
	c.Flags().StringVar(&o.reasonFile, "reason-file", "", "`FILE` with a reason, sealed to members of the case (- for standard input)")
	c.Flags().StringVar(&o.hold, "under-hold", "", "the confirmed legal duty on which you open it, a `HOLD`")
}

func (o *opening) open(a *app, id evidence.ItemID) (client.Open, error) {
	reason, err := a.text(o.reasonFile)
	return client.Open{Item: id, Purpose: evidence.Purpose(o.purpose), Reason: reason, Hold: evidence.HoldID(o.hold)}, err
}

func openCommand(a *app) *cobra.Command {
	var o opening
	var to string
	c := &cobra.Command{
		Use:   "open ITEM --purpose PURPOSE --to FILE",
		Short: "Open an item: the access is recorded first",
		Long: `Records who opens the item and for what, checks the proof of that entry, and
only then fetches the item, decrypts it here and compares it with its deposit.
The file gets its name once everything is equal; no file is replaced. That a
copy is made is recorded before it is written: if that cannot be recorded, there
is no copy.

The person concerned opens an own copy with --purpose subject_access. Where the
consent was withdrawn or has ended, a confirmed legal duty (--under-hold) lets a
keyholder open it.

Signs:     item.opened and item.exported, before anything is fetched; of an own
           copy item.opened alone. The person concerned may see it.
For good:  the entries stay, whether or not the file was fetched to its end.`,
		Example: `  strongroom open itm-7c2k --purpose investigation --to photo.jpg`,
	}
	o.flags(c, "")
	c.Flags().StringVar(&to, "to", "", "`FILE` to write")
	required(c, "purpose", "to")
	return about(a, c, findItem, func(ctx context.Context, cl *client.Client, id evidence.ItemID) error {
		p, err := o.open(a, id)
		if err != nil {
			return err
		}
		opened, err := a.write(to, func(progress client.Progress, w io.Writer) (*client.Opened, error) {
			p.Progress, p.Copy = progress, true
			return cl.Open(ctx, p, w)
		})
		if err != nil {
			return err
		}
		return a.opened(opened, fields{"item": id}, to)
	})
}

// write gives a file its name once an access has filled it and everything is equal.
func (a *app) write(to string, access func(client.Progress, io.Writer) (*client.Opened, error)) (opened *client.Opened, err error) {
	g := a.gauges(0)
	progress, end := g.file(to)
	err = saveAs(to, func(w io.Writer) (err error) {
		opened, err = access(progress, w)
		return err
	})
	end()
	g.wait()
	return opened, err
}

func (a *app) opened(o *client.Opened, more fields, to string, told ...row) error {
	d, l := o.Description, a.words()
	more["file"], more["name"], more["media_type"], more["size"], more["sha256"] = to, d.Name, d.MediaType, d.Size, d.SHA256
	rows := append([]row{{l.Say("label.opened"), l.Say("open.done", "file", to, "size", sizeIn(l, d.Size))}, {l.Say("label.name"), l.Isolate(d.Name)}}, told...)
	copied := l.Say("open.copy")
	if o.Exported != nil {
		more["copy_entry"], copied = o.Exported.Index(), l.Say("open.copied", "entry", o.Exported.Index())
	}
	return a.recorded(o.Receipt, more, append(rows, row{l.Say("label.copy"), copied})...)
}

func verifyItemCommand(a *app) *cobra.Command {
	var o opening
	c := &cobra.Command{
		Use:   "verify-item ITEM",
		Short: "Compare an item with its deposit and record what was found",
		Long: `Opens the item, compares every byte with what was deposited, keeps nothing, and
records the result. A difference stops the item being served and raises an
alarm. The first such check by a keyholder other than the depositor ends the
state "not yet checked by a second person".

Signs:     item.opened, item.verified.`,
		Example: `  strongroom verify-item itm-7c2k`,
	}
	o.flags(c, string(evidence.ForVerification))
	return about(a, c, findItem, func(ctx context.Context, cl *client.Client, id evidence.ItemID) error {
		p, err := o.open(a, id)
		if err != nil {
			return err
		}
		g := a.gauges(0)
		progress, end := g.file(string(id))
		p.Progress = progress
		r, err := cl.Verify(ctx, p)
		end()
		g.wait()
		if err != nil {
			return err
		}
		return a.recorded(r, fields{"item": id, "equal": true}, row{"Checked", string(id) + ": the same as deposited, byte for byte"})
	})
}

func listCommand(a *app) *cobra.Command {
	var in string
	c := &cobra.Command{
		Use:   "list",
		Short: "List the items of your cases, each checked",
		Long: `Lists items with their names, which only members can read, and their state. Each
item's history is checked to its proved end. Which items there are is the
vault's claim.

Signs:     nothing.`,
		Example: `  strongroom list --case cas-7c2k`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cl, err := a.session(c.Context())
			if err != nil {
				return err
			}
			var items []client.Listed
			if in == "" {
				items, err = allItems(c.Context(), cl)
			} else if id, e := findCase(c.Context(), cl, in); e == nil {
				items, err = cl.Items(c.Context(), id)
			} else {
				err = e
			}
			if err != nil {
				return err
			}
			return a.list(c.Context(), cl, items)
		},
	}
	c.Flags().StringVar(&in, "case", "", "only this `CASE`")
	return c
}

// listed is what a list says of an item.
type listed struct {
	Item      evidence.ItemID      `json:"item"`
	Case      evidence.CaseID      `json:"case"`
	Label     string               `json:"label,omitempty"`
	Class     evidence.Class       `json:"class"`
	Content   evidence.Content     `json:"content"`
	Basis     evidence.Basis       `json:"basis"`
	Consent   []evidence.ConsentID `json:"consent"`
	Exhibit   int64                `json:"exhibit,omitempty"`
	Sealed    bool                 `json:"sealed"`
	Confirmed bool                 `json:"confirmed"`
	Damaged   bool                 `json:"damaged"`
	Stopped   string               `json:"stopped,omitempty"` // why nothing is released
	Held      bool                 `json:"held,omitempty"`    // a legal duty keeps it
	Withheld  evidence.Time        `json:"withheld_until,omitempty"`
	Bin       *evidence.BinState   `json:"bin,omitempty"`
	Shredded  evidence.Time        `json:"shredded,omitempty"`
	InTransit bool                 `json:"in_transit,omitempty"`
	Review    evidence.Time        `json:"review_due,omitempty"` // of the first emergency opening that waits for it
	Size      int64                `json:"size"`                 // of the sealed file
	Shares    int                  `json:"shares"`               // that are in force or wait for approval
	Pages     int64                `json:"pages,omitempty"`
	Seconds   int64                `json:"seconds,omitempty"`
}

func (a *app) list(ctx context.Context, cl *client.Client, items []client.Listed) error {
	list := []listed{}
	var rows []row
	for _, i := range items {
		v, err := cl.Look(ctx, evidence.ItemOf(i.ID))
		if err != nil {
			return err
		}
		l := listed{Item: i.ID, Case: i.Case, Label: i.Label, Class: i.Class, Content: i.Content, Basis: i.Basis, Consent: some(i.Consent),
			Exhibit: i.Exhibit, Sealed: i.Sealed, Confirmed: i.Confirmed, Damaged: i.Damaged, Size: i.Evidence.Size,
			Pages: i.Extent.Pages, Seconds: int64(i.Extent.Lasts / time.Second)}
		if err := i.Frozen(v.Facts(), v.Time); err != nil {
			l.Stopped = evidence.ReasonOf(err)
		}
		l.Withheld = withheldOf(v, evidence.ItemOf(i.ID)).until
		l.Held, l.Bin, l.Shredded, l.InTransit = i.Held(v.Time), i.Bin, i.Shredded, i.Transit != nil
		for _, m := range i.Emergencies {
			if m.ReviewedBy == "" {
				l.Review = m.Due
				break
			}
		}
		for _, g := range i.Grants {
			if !g.Over(v.Time) {
				l.Shares++
			}
		}
		list = append(list, l)
		rows = append(rows, l.row(i.Opened))
	}
	return a.show(list, orNone(rows, "No items yet.")...)
}

func (l listed) row(named bool) row {
	label, name := "Draft", l.Label
	if l.Sealed {
		label = "Exhibit " + strconv.FormatInt(l.Exhibit, 10)
	}
	switch {
	case l.Shredded != 0:
		name = "(its name was erased)"
	case !named:
		name = "(its name is not for you)"
	}
	text := name + "\n" + string(l.Item) + "\n" + plain(string(l.Content)) + ", " + bytesOf(l.Size)
	if l.Shares > 0 {
		text += ", " + plural(l.Shares, "share", "shares")
	}
	if l.Shredded != 0 {
		return row{label, text + "\nMade unreadable for good on " + dateOf(l.Shredded) + "."}
	}
	if l.Stopped != "" {
		text += "\nStopped: " + inEnglish(l.Stopped).what
	}
	if l.Bin != nil {
		text += "\nIn the bin (" + plain(string(l.Bin.Cause)) + "); can be made unreadable from " + dateOf(l.Bin.Ready) + "."
	}
	if l.Held {
		text += "\nKept by law."
	}
	if l.Withheld != 0 {
		text += "\nThere are events that may not be shown until " + dateOf(l.Withheld) + "."
	}
	if l.InTransit {
		text += "\nHanded over, not received yet."
	}
	if l.Review != 0 {
		text += "\nOpened in an emergency; to be reviewed by " + dateOf(l.Review) + "."
	}
	if l.Damaged {
		text += "\n" + inEnglish(evidence.ReasonDamaged).what
	}
	if !l.Confirmed && l.Class != evidence.DescriptionOnly {
		text += "\nNot yet checked by a second person."
	}
	return row{label, text}
}

// exhibit names an item as people do.
func exhibit(l *words.Language, i client.Listed) string {
	name := l.Say("exhibit.item", "item", i.ID)
	if i.Sealed {
		name = l.Say("exhibit", "number", i.Exhibit)
	}
	if i.Opened {
		name = l.Say("exhibit.named", "exhibit", name, "label", i.Label)
	}
	return name
}
