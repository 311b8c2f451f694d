package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/dossier"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/forms"
	"strongroom.example/strongroom/internal/words"
)

func recordCommand(a *app) *cobra.Command {
	return group("record", "Records: blank, check, read, correct",
		`A record is a form that is filled in on this computer and sealed with an item:
nobody at the vault can read it. Start with a blank one, fill it in with any
editor, check it, and deposit it.

  clinical-record        what was told, seen and concluded (Istanbul Protocol)
  clinical-record-facts  the same without opinions, for who documents only
  acquisition            how a digital item was acquired (ISO/IEC 27037)
  consent-form           what was explained and decided
  identity               who a person is; kept apart from everything else

A heading that stays empty says why: {"not_done": "the reason"}.`,
		newRecordCommand(a), validateRecordCommand(a), showRecordCommand(a), editRecordCommand(a))
}

// schemaOf finds a schema by its code, with or without its version.
func schemaOf(typed string) (forms.Schema, error) {
	var names []string
	for _, s := range forms.Schemas() {
		name, _, _ := strings.Cut(string(s), "/")
		if typed == string(s) || typed == name {
			return s, nil
		}
		names = append(names, name)
	}
	return "", usage("the records are " + strings.Join(names, ", "))
}

func newRecordCommand(a *app) *cobra.Command {
	var to string
	c := &cobra.Command{
		Use:   "new SCHEMA",
		Short: "Write a blank record to be filled in",
		Long: `Writes a record with every field once, in the order of reading. An entry of a
list can be repeated. What does not apply may stay blank or be taken out; what
could not be done says why: {"not_done": "the reason"}. In an acquisition record
that is {"unknown": "the reason"}.

  clinical-record, clinical-record-facts, acquisition, consent-form, identity

Names stand in an identity alone. The others have a pseudonym.

Signs:     nothing.
Next:      strongroom record validate FILE`,
		Example: `  strongroom record new clinical-record --to lime-14.json`,
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			s, err := schemaOf(args[0])
			if err != nil {
				return err
			}
			blank := forms.Blank(s)
			if to == "" {
				_, err := a.out.Write(blank)
				return err
			}
			if err := saveAs(to, func(w io.Writer) error { _, err := w.Write(blank); return err }); err != nil {
				return err
			}
			return a.show(fields{"schema": s, "file": to}, row{"Written", to + ": " + s.Title() + ", blank"},
				row{"Next", "Fill it in, then: strongroom record validate " + to})
		},
	}
	c.Flags().StringVar(&to, "to", "", "`FILE` to write (default: to the screen)")
	return c
}

// kindsOfProblem are how a problem's kind reads.
var kindsOfProblem = map[forms.Kind]string{forms.Wrong: "Wrong", forms.Unfinished: "Missing", forms.Ask: "Look at"}

func problemRows(list []forms.Problem) (rows []row) {
	for _, p := range list {
		rows = append(rows, row{kindsOfProblem[p.Kind], cmp.Or(p.Path, "The whole file") + "\n" + p.Text})
	}
	return rows
}

func validateRecordCommand(a *app) *cobra.Command {
	var draft bool
	c := &cobra.Command{
		Use:   "validate FILE",
		Short: "Check a record, without sending anything",
		Long: `Lists everything that is to be put right, each with its place, why, and what to
do. Nothing leaves this computer.

  Wrong      this is not such a record; it cannot be deposited
  Missing    it can be kept as a draft, but not sealed
  Look at    it stops nothing; a person should look at it

Exit code: 0 it can be sealed, 1 something is wrong or missing. With --draft
what is missing does not count.

Signs:     nothing.`,
		Example: `  strongroom record validate lime-14.json`,
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			text, err := readDocument(args[0])
			if err != nil {
				return err
			}
			d, problems := forms.Parse(text)
			answer := fields{"file": args[0], "result": "complete", "problems": some(problems)}
			rows := problemRows(problems)
			switch {
			case d == nil:
				answer["result"] = "wrong"
				rows = append(rows, row{"Result", "This is no record yet. Put right what is wrong."})
			case len(d.Sealable()) > 0:
				answer["result"] = "unfinished"
				rows = append(rows, row{"Result", d.Schema().Title() + ": a draft. It cannot be sealed yet."})
			default:
				rows = append(rows, row{"Result", d.Schema().Title() + ": complete. It can be sealed."})
			}
			if d != nil {
				answer["schema"], answer["opinions"] = d.Schema(), d.Opinions()
				if d.Opinions() {
					rows = append(rows, row{"Opinions", "It states conclusions. Who documents only uses clinical-record-facts/1."})
				}
			}
			if err := a.show(answer, rows...); err != nil {
				return err
			}
			if d == nil || len(d.Sealable()) > 0 && !draft {
				return endsWith(exitRefused)
			}
			return nil
		},
	}
	c.Flags().BoolVar(&draft, "draft", false, "accept an unfinished record")
	return c
}

func showRecordCommand(a *app) *cobra.Command {
	var o opening
	var number int
	var to string
	c := &cobra.Command{
		Use:   "show FILE | show ITEM",
		Short: "Read a record: from a file, or out of an item",
		Long: `Shows a record as text. Out of an item it is the newest version, or an earlier
one with --version; strongroom item show says who wrote each and why.

--to writes it as a page instead, to read and to print: the marks of a clinical
record stand as numbers on the body maps, with a table below. The page needs no
network. Whoever has it can read it: keep it as you keep the record itself. Its
headings are in the language of --language, or else the locale's; what somebody
wrote stays as it was written. Left and right are the body's own in each.

At the foot of each printed page of an item's record stand its exhibit number,
a page code and when it was printed. From the code to who printed it, when and
what for: strongroom history --page-code CODE

Signs:     for a file nothing. For an item item.opened, because the item's key
           is opened; with --to also item.exported, before the page is written.
           The person concerned may see both.
For good:  the entries stay. What happens to the paper is not recorded.`,
		Example: `  strongroom record show lime-14.json
  strongroom record show lime-14.json --to lime-14.html
  strongroom record show itm-7c2k --version 1`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if to != "" { // before anything is opened and recorded for it
				if _, err := a.paper(); err != nil {
					return err
				}
				if _, err := os.Lstat(to); err == nil {
					return saved(to, fs.ErrExist)
				}
			}
			if _, err := os.Stat(args[0]); err == nil || !strings.HasPrefix(args[0], "itm-") {
				return a.showFile(args[0], to)
			}
			cl, err := a.session(c.Context())
			if err != nil {
				return err
			}
			id, err := findItem(c.Context(), cl, args[0])
			if err != nil {
				return err
			}
			p, err := o.open(a, id)
			if err != nil {
				return err
			}
			return a.showRecord(c.Context(), cl, p, number, to)
		},
	}
	o.flags(c, string(evidence.ForDocumentation))
	c.Flags().IntVar(&number, "version", 0, "`NUMBER` of an item's version, from 1 (default: the newest)")
	c.Flags().StringVar(&to, "to", "", "`FILE` to write, a page (default: to the screen, as text)")
	return c
}

// writePage writes documents as a page, in the language of papers. What stands at its foot is known once its print is recorded, and that
// is done before anything of it is written.
func (a *app) writePage(to string, documents []*forms.Document, print func(*words.Language) (forms.Foot, error)) error {
	l, err := a.paper()
	if err != nil {
		return err
	}
	return saveAs(to, func(w io.Writer) error {
		foot, err := print(words.For(l.Tag()))
		if err != nil {
			return err
		}
		return forms.WritePage(w, l.Tag(), foot, documents...)
	})
}

// unrecorded is the foot of a page that was made from a file, which is not the vault's.
func unrecorded(*words.Language) (forms.Foot, error) { return forms.Foot{}, nil }

// readable says what a page is, beside its name.
var readable = row{"Readable", "By whoever has this file. Keep it as you keep the record."}

func (a *app) showFile(name, to string) error {
	text, err := readDocument(name)
	if err != nil {
		return err
	}
	d, problems := forms.Parse(text)
	if d == nil {
		p := decline("document")
		p.problems = problems
		return p
	}
	if to != "" {
		if err := a.writePage(to, []*forms.Document{d}, unrecorded); err != nil {
			return err
		}
		return a.show(fields{"schema": d.Schema(), "file": to}, row{"Written", to + ": " + d.Schema().Title()}, readable)
	}
	if a.json {
		return a.show(fields{"schema": d.Schema(), "document": json.RawMessage(d.JSON())})
	}
	return d.Text(a.out)
}

func (a *app) showRecord(ctx context.Context, cl *client.Client, p client.Open, number int, to string) error {
	list, r, err := cl.Describe(ctx, p)
	if err != nil {
		return err
	}
	number = cmp.Or(number, len(list))
	if number < 1 || number > len(list) {
		return evidence.Refuse(evidence.NotFound, reasonVersion)
	}
	v := list[number-1]
	var text bytes.Buffer
	var documents []*forms.Document
	for _, part := range []json.RawMessage{v.Description.Form, v.Description.Acquisition} {
		if part == nil {
			continue
		}
		if d, _ := forms.Parse(part); d != nil {
			documents = append(documents, d)
			err = d.Text(&text)
		} else {
			printRows(&text, row{"Record", "It is of a kind that is not known here; --json shows it."})
		}
		if err != nil {
			return err
		}
		fmt.Fprintln(&text)
	}
	if text.Len() == 0 {
		return evidence.Refuse(evidence.NotFound, reasonNoRecord)
	}
	version := row{"Version", fmt.Sprintf("%d of %d, %s, by %s %s", v.Number, len(list), dateOf(v.Time), plain(string(v.Actor.Role)), v.Actor.ID)}
	if to != "" {
		if len(documents) == 0 {
			return evidence.Refuse(evidence.NotFound, reasonNoRecord)
		}
		var printed *client.Receipt
		if err := a.writePage(to, documents, func(l *words.Language) (foot forms.Foot, err error) {
			if printed, err = cl.Printed(ctx, p, v); err != nil {
				return foot, err
			}
			e := printed.Event
			return forms.Foot{Exhibit: e.Object.Exhibit, Code: dossier.PageCode(printed.Leaf), Printed: l.Date(e.Time.Std())}, nil
		}); err != nil {
			return err
		}
		code := dossier.PageCode(printed.Leaf)
		return a.recorded(r, fields{"item": p.Item, "version": v.Number, "versions": len(list), "file": to, "page_code": code, "print_entry": printed.Index()},
			row{"Written", to}, row{"Page code", fmt.Sprintf("%s, entry %d", code, printed.Index())}, readable, version)
	}
	if !a.json {
		if _, err := text.WriteTo(a.out); err != nil {
			return err
		}
	}
	return a.recorded(r, fields{"item": p.Item, "version": v.Number, "versions": len(list), "record": v.Description.Form, "acquisition": v.Description.Acquisition}, version)
}

// reasonNoRecord says that an item has no record in it.
const reasonNoRecord = "no_record"

func editRecordCommand(a *app) *cobra.Command {
	var file, reasonFile, cause, original string
	var before []string
	var draft, yes bool
	var look leaving
	c := &cobra.Command{
		Use:   "edit ITEM --file FILE",
		Short: "Correct a record in an item, as an addendum; the earlier one stays",
		Long: `Puts a corrected record beside the one that the item has. Begin with that one:

  strongroom record show ITEM --json     its field "record"

What changes is listed before anything is signed; you type "amend". Why is asked
for, or read from --reason-file. The earlier version stays readable, and every
reader sees that there is a newer one. A sealed item takes a complete record
alone; --draft is for one that is not sealed yet.

The depositor or a custodian of the case does it. Who has no key to the item
gives with --before the record as it was deposited, for each record in it, and
with --original the file, if there is one: the description is written anew.

` + addHelp + `

Signs:     item.opened, unless --before is given; item.amended.
For good:  both versions stay.`,
		Example: `  strongroom record edit itm-7c2k --file lime-14-corrected.json`,
	}
	f := c.Flags()
	f.StringVar(&file, "file", "", "JSON `FILE` with the corrected record")
	f.StringVar(&reasonFile, "reason-file", "", "`FILE` that says what changed and why (- for standard input)")
	f.StringVar(&cause, "cause", "error", "error, new_facts or request")
	f.BoolVar(&draft, "draft", false, "take an unfinished record")
	f.StringArrayVar(&before, "before", nil, "JSON `FILE` with the record as it was, for who has no key; repeat it")
	f.StringVar(&original, "original", "", "the `FILE` that was deposited, for who has no key")
	f.BoolVar(&yes, "yes", false, "do not ask; for scripts")
	look.flags(c)
	required(c, "file")
	return about(a, c, findItem, func(ctx context.Context, cl *client.Client, id evidence.ItemID) error {
		p := client.Amendment{Item: id, Cause: evidence.Cause(cause), Purpose: evidence.ForDocumentation, Draft: draft}
		if original != "" && before == nil {
			return usage("--original needs --before")
		}
		now, err := a.newRecord(file, draft)
		if err != nil {
			return err
		}
		for _, name := range before {
			d, err := a.newRecord(name, true)
			if err != nil {
				return err
			}
			*slot(&p.Earlier, d) = d.JSON()
		}
		if before != nil {
			end, err := a.describeAnew(ctx, cl, &p, original, file)
			if err != nil {
				return err
			}
			defer end()
		}
		describe := p.Change
		p.Change = func(d *client.Description) {
			if describe != nil {
				describe(d)
			}
			*slot(d, now) = now.JSON()
		}
		if p.Reason, err = a.written(reasonFile, "What changed, and why?"); err != nil {
			return err
		}
		var changed []string
		p.Addendum = func(changes []string) error {
			changed = changes
			var rows []row
			for _, path := range changes {
				rows = append(rows, row{"Changes", path})
			}
			return a.consent(yes, "amend", append(rows, row{"For good", "Both versions stay. Every reader sees that this one came later, and why."})...)
		}
		if p.Check, err = look.check(a); err != nil {
			return err
		}
		r, err := cl.Amend(ctx, p)
		if err != nil {
			return err
		}
		return a.recorded(r, fields{"item": id, "changes": some(changed)},
			row{"Amended", string(id) + ": " + plural(len(changed), "change", "changes") + "; the earlier version stays readable"})
	})
}

// newRecord reads a record from a file before anything is opened for it.
func (a *app) newRecord(name string, draft bool) (*forms.Document, error) {
	text, err := readDocument(name)
	if err != nil {
		return nil, err
	}
	d, problems := forms.Parse(text)
	reason := "document"
	if d != nil {
		if problems = d.Sealable(); draft || len(problems) == 0 {
			return d, nil
		}
		reason = "document_unfinished"
	}
	p := decline(reason)
	p.problems = slices.DeleteFunc(problems, func(q forms.Problem) bool { return q.Kind == forms.Ask })
	return nil, p
}

// slot is where a description holds a document of that schema.
func slot(d *client.Description, of *forms.Document) *json.RawMessage {
	if of.Schema() == forms.Acquisition {
		return &d.Acquisition
	}
	return &d.Form
}

// describeAnew fills in a description for who cannot read the item's own: from the file that was deposited, and the records as they were.
func (a *app) describeAnew(ctx context.Context, cl *client.Client, p *client.Amendment, original, record string) (end func() error, err error) {
	v, err := cl.Look(ctx, evidence.ItemOf(p.Item))
	if err != nil {
		return nil, err
	}
	alone := v.State(evidence.ItemOf(p.Item)).(*evidence.ItemState).Class == evidence.DescriptionOnly
	if alone != (original == "") {
		return nil, usage("--original names the file that was deposited, if there is one")
	}
	var d client.Deposit
	if alone {
		p.Original, end = strings.NewReader(""), func() error { return nil }
		d.Description.Name, d.Description.MediaType = nameOf(record), "application/json"
	} else {
		file, err := openSteady(original)
		if err != nil {
			return nil, err
		}
		if err := file.describe(&d, original); err != nil {
			file.Close()
			return nil, err
		}
		p.Original, end = file, file.Close
	}
	p.Change = func(to *client.Description) {
		to.Name, to.MediaType = d.Description.Name, d.Description.MediaType
		to.Form, to.Acquisition = p.Earlier.Form, p.Earlier.Acquisition
	}
	return end, nil
}
