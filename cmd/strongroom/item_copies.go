package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/evidence"
)

func itemCommand(a *app) *cobra.Command {
	return group("item", "One item: describe, amend, derive, hand over, emergency, copy",
		`What is done with one item beside depositing, sealing and opening it. Its
evidence is never replaced: what is made from it is a new item, and a better
description stands beside the earlier one.`,
		showItemCommand(a), itemNotesCommand(a), amendCommand(a), deriveCommand(a), handOverCommand(a), receiveCommand(a),
		breakGlassCommand(a), reviewCommand(a), emergenciesCommand(a), copyForSubjectCommand(a), exportItemCommand(a))
}

// version is what item show says of one description.
type version struct {
	Version     int                `json:"version"` // from 1
	Time        evidence.Time      `json:"time"`
	Actor       evidence.ActorID   `json:"actor"`
	Change      evidence.Cause     `json:"change,omitempty"`
	Description client.Description `json:"description"`
}

func showItemCommand(a *app) *cobra.Command {
	var o opening
	var number int
	c := &cobra.Command{
		Use:   "show ITEM",
		Short: "Read an item's description, also an earlier version of it",
		Long: `Opens the item's key and shows what its depositor wrote about it. Earlier
versions stay readable: --version 1 is the first.

Signs:     item.opened, because the item's key is opened. The person concerned
           may see it.
For good:  the entry stays.`,
		Example: `  strongroom item show itm-7c2k --version 1`,
	}
	o.flags(c, string(evidence.ForDocumentation))
	c.Flags().IntVar(&number, "version", 0, "`NUMBER` of the version, from 1 (default: the newest)")
	return about(a, c, findItem, func(ctx context.Context, cl *client.Client, id evidence.ItemID) error {
		p, err := o.open(a, id)
		if err != nil {
			return err
		}
		list, r, err := cl.Describe(ctx, p)
		if err != nil {
			return err
		}
		if number == 0 {
			number = len(list)
		}
		if number < 1 || number > len(list) {
			return evidence.Refuse(evidence.NotFound, reasonVersion)
		}
		d := list[number-1]
		shown := version{d.Number, d.Time, d.Actor.ID, d.Change, d.Description}
		rows := []row{{"Name", d.Description.Name}, {"Kind", d.Description.MediaType + ", " + bytesOf(d.Description.Size)},
			{"Version", fmt.Sprintf("%d of %d, %s, by %s %s", d.Number, len(list), dateOf(d.Time), plain(string(d.Actor.Role)), d.Actor.ID)}}
		if d.Change != "" {
			rows = append(rows, row{"Because", plain(string(d.Change))})
		}
		if d.Description.CapturedAt != 0 {
			rows = append(rows, row{"Taken", dateOf(d.Description.CapturedAt)})
		}
		if d.Description.DerivedFrom != "" {
			rows = append(rows, row{"Made from", string(d.Description.DerivedFrom)})
		}
		if record := d.Description.Form; record != nil {
			rows = append(rows, row{"Record", bytesOf(int64(len(record))) + ", shown with --json"})
		}
		if record := d.Description.Acquisition; record != nil {
			rows = append(rows, row{"Acquired", bytesOf(int64(len(record))) + ", shown with --json"})
		}
		return a.recorded(r, fields{"item": id, "versions": len(list), "shown": shown}, rows...)
	})
}

// reasonVersion says that a description has fewer versions.
const reasonVersion = "version"

func amendCommand(a *app) *cobra.Command {
	var name, captured, form, acquisition, cause, reasonFile, original string
	var look leaving
	c := &cobra.Command{
		Use:   "amend ITEM",
		Short: "Correct an item's description; the earlier one stays",
		Long: `Writes a new version of the description with what you name and leaves the rest
as it is. The evidence itself is never replaced, and the earlier versions stay
readable. What changed and why is asked for, or read from --reason-file.

The depositor or a custodian of the case does it. Who has no key to the item
gives the file again with --original: then its size and check number are taken
from that, and the whole description is written anew.

` + addHelp + `

Signs:     item.opened, unless --original is given; item.amended.
For good:  both versions stay.`,
		Example: `  strongroom item amend itm-7c2k --name back-left.jpg --reason-file why.txt`,
	}
	f := c.Flags()
	f.StringVar(&name, "name", "", "a new name of the file, a `TEXT`")
	f.StringVar(&captured, "captured", "", "when it was taken, a `TIME`")
	f.StringVar(&form, "record", "", "JSON `FILE` with a record, if there is none yet (otherwise: strongroom record edit)")
	f.StringVar(&acquisition, "acquisition", "", "JSON `FILE` that says how it was acquired")
	f.StringVar(&cause, "cause", "error", "error, new_facts or request")
	f.StringVar(&reasonFile, "reason-file", "", "`FILE` that says what changed and why (- for standard input)")
	f.StringVar(&original, "original", "", "the `FILE` that was deposited")
	look.flags(c)
	c.MarkFlagsOneRequired("name", "captured", "record", "acquisition")
	return about(a, c, findItem, func(ctx context.Context, cl *client.Client, id evidence.ItemID) error {
		p := client.Amendment{Item: id, Cause: evidence.Cause(cause), Purpose: evidence.ForDocumentation}
		taken, err := until(captured)
		if err != nil {
			return err
		}
		record, err := readDocument(form)
		if err != nil {
			return err
		}
		acquired, err := readDocument(acquisition)
		if err != nil {
			return err
		}
		var file client.Deposit // of the original, described anew
		if original != "" {
			body, err := openSteady(original)
			if err != nil {
				return err
			}
			defer body.Close()
			if err := body.describe(&file, original); err != nil {
				return err
			}
			p.Original = body
		}
		p.Change = func(d *client.Description) {
			if original != "" {
				d.Name, d.MediaType = file.Description.Name, file.Description.MediaType
			}
			if name != "" {
				d.Name = name
			}
			if taken != 0 {
				d.CapturedAt = taken
			}
			if record != nil {
				d.Form = record
			}
			if acquired != nil {
				d.Acquisition = acquired
			}
		}
		if p.Reason, err = a.written(reasonFile, "What changed, and why?"); err != nil {
			return err
		}
		if p.Check, err = look.check(a); err != nil {
			return err
		}
		r, err := cl.Amend(ctx, p)
		if err != nil {
			return err
		}
		return a.recorded(r, fields{"item": id}, row{"Amended", string(id) + "; the earlier description stays readable"})
	})
}

func deriveCommand(a *app) *cobra.Command {
	var form, content, label, toolName, toolVersion, parameters, purpose string
	var look leaving
	var extent extentFlags
	c := &cobra.Command{
		Use:   "derive SOURCE FILE --form FORM --tool NAME --tool-version TEXT",
		Short: "Deposit what was made from an item, linked to it",
		Long: `Deposits a working copy, or what was made from an item, as an item of its own
with the same ground and consents, and links the two. The source is never
written to: work on a file that strongroom open wrote.

Form: working, a copy to work on; derived, something that was processed. A
derived file that is the original itself is refused. Settings and commands are
read from --parameters and sealed to who opens the source.

` + addHelp + `

Interrupted, it goes on when repeated.

Signs:     item.opened on the source, item.deposited, item.derived.`,
		Example: `  strongroom item derive itm-7c2k enlarged.png --form derived --tool darktable \
      --tool-version 5.0 --parameters steps.txt`,
		Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := a.session(c.Context())
			if err != nil {
				return err
			}
			p := client.Derivation{Form: evidence.Class(form), Content: evidence.Content(content), Made: evidence.Tool{Name: toolName, Version: toolVersion},
				Purpose: evidence.Purpose(purpose), Label: label}
			if p.Source, err = findItem(c.Context(), cl, args[0]); err != nil {
				return err
			}
			if p.Parameters, err = a.text(parameters); err != nil {
				return err
			}
			if p.Extent, err = extent.read(); err != nil {
				return err
			}
			if p.Check, err = look.check(a); err != nil {
				return err
			}
			file, err := openSteady(args[1])
			if err != nil {
				return err
			}
			defer file.Close()
			d := client.Deposit{Label: label}
			if err := file.describe(&d, args[1]); err != nil {
				return err
			}
			p.Label, p.Description, p.Body, p.Size = d.Label, d.Description, file, d.Size
			g := a.gauges(0)
			var end func()
			p.Progress, end = g.file(args[1])
			made, link, err := cl.Derive(c.Context(), p)
			end()
			g.wait()
			if err != nil {
				return err
			}
			return a.recorded(link, fields{"source": p.Source, "item": made.Item, "form": form},
				row{"Deposited", string(made.Item)}, row{"Made from", string(p.Source)},
				row{"Next", "Seal the source first, then strongroom seal " + string(made.Item)})
		},
	}
	f := c.Flags()
	f.StringVar(&form, "form", "", "working or derived")
	f.StringVar(&toolName, "tool", "", "`NAME` of the program it was made with")
	f.StringVar(&toolVersion, "tool-version", "", "its version, a `TEXT`")
	f.StringVar(&parameters, "parameters", "", "`FILE` with settings and commands (- for standard input)")
	f.StringVar(&content, "content", "", "what it is, if not what the source is: clinical, photograph, …")
	f.StringVar(&label, "label", "", "what lists show to members, a `TEXT` (default: the file's name)")
	extent.on(f)
	f.StringVar(&purpose, "purpose", string(evidence.ForInvestigation), "why the source is opened: investigation, documentation, care, …")
	look.flags(c)
	required(c, "form", "tool", "tool-version")
	return c
}

func copyForSubjectCommand(a *app) *cobra.Command {
	var look leaving
	c := &cobra.Command{
		Use:   "copy-for-subject ITEM",
		Short: "Give the person concerned the key to an own copy",
		Long: `Writes the key to an item for the person whom it is about, who needs own keys
and is named in the consent. From then on that person opens it alone, also after
a withdrawal:

  strongroom open ITEM --purpose subject_access --to FILE

Where several persons are concerned nobody gets a copy: each would get the
other's.

` + lookHelp + `

Signs:     item.opened, because the item's key is opened; item.envelope_added.
For good:  what the person opens is theirs to keep.`,
		Example: `  strongroom item copy-for-subject itm-7c2k`,
	}
	look.flags(c)
	return about(a, c, findItem, func(ctx context.Context, cl *client.Client, id evidence.ItemID) error {
		check, err := look.check(a)
		if err != nil {
			return err
		}
		r, err := cl.CopyForSubject(ctx, id, check)
		if err != nil {
			return err
		}
		return a.recorded(r, fields{"item": id, "subject": r.Event.Counterparty.Actor},
			row{"Key", "written for the person concerned, " + string(r.Event.Counterparty.Actor)},
			row{"Next", "The person runs: strongroom open " + string(id) + " --purpose subject_access --to FILE"})
	})
}
