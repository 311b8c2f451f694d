package main

import (
	"context"
	"encoding/json"
	"io"
	"os"

	"github.com/spf13/cobra"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/evidence"
)

// depositFlags say once what holds for all files of a command.
type depositFlags struct {
	in, class, content, basis, source, place, label string
	captured, authority, form, schema, acquisition  string
	consents                                        []string
	resume, again                                   bool
}

func depositCommand(a *app) *cobra.Command {
	var f depositFlags
	c := &cobra.Command{
		Use:   "deposit FILE… --case CASE",
		Short: "Seal files on this computer and put them into a case",
		Long: `Encrypts each file here, sends it, and records it. The original is read once and
never changed; what is sent, nobody at the vault can open. Name and details are
sealed with it. A folder stands for all files in it.

Each file succeeds or not for itself, with its own line. If the command is
stopped, or the computer is switched off, type it again: files that are recorded
are not recorded twice, and those that were sealed are sent on as they are.
strongroom deposit --resume finishes those without naming them.

A file counts as recorded before if this folder recorded the same content under
the same name for the same case and consent. Links inside a folder are left out.
A file that changes while it is read is not deposited.

Content: clinical, photograph, testimony, digital, physical, identity.
Ground:  consent (name it with --consent), or court_order, statutory_duty,
         legal_claims, care, vital_interest, public_source (say issuer, number
         and law in --authority FILE).

Signs:     item.deposited, for each file.
For good:  the entry stays. A deposit is a draft until it is sealed, and not yet
           checked until a second person has opened and compared it.`,
		Example: `  strongroom deposit photo-04.jpg --case cas-7c2k --content photograph \
      --consent con-5ysd…
  strongroom deposit --resume`,
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := a.session(c.Context())
			if err != nil {
				return err
			}
			if f.resume {
				if len(args) > 0 {
					return usage("--resume takes no files")
				}
				return a.resume(c.Context(), cl)
			}
			if len(args) == 0 {
				return usage("name a file, or --resume")
			}
			files := filesIn(args)
			d, err := f.deposit(c.Context(), a, cl)
			if err != nil {
				return err
			}
			return a.depositAll(c.Context(), cl, files, d, f.again)
		},
	}
	s := c.Flags()
	s.StringVar(&f.in, "case", "", "the `CASE`")
	s.StringVar(&f.class, "class", "original", "original, working, derived, identity, consent_form")
	s.StringVar(&f.content, "content", "", "what it is (see above)")
	s.StringVar(&f.basis, "basis", "consent", "ground (see above)")
	s.StringArrayVar(&f.consents, "consent", nil, "`CONSENT` of the person concerned; repeat it for several persons")
	s.StringVar(&f.source, "source", "", "`ITEM` that this one was made from")
	s.StringVar(&f.place, "place", "", "`COUNTRY` of the act, such as NL (default: withheld)")
	s.StringVar(&f.label, "label", "", "what lists show to members, a `TEXT` (default: the file's name)")
	s.StringVar(&f.captured, "captured", "", "when it was taken, a `TIME`")
	s.StringVar(&f.authority, "authority", "", "`FILE` with issuer, number and law of the ground (- for standard input)")
	s.StringVar(&f.form, "record", "", "JSON `FILE` with the record, such as the clinical one")
	s.StringVar(&f.schema, "schema", "", "schema of the record, such as clinical-record/1")
	s.StringVar(&f.acquisition, "acquisition", "", "JSON `FILE` that says how it was acquired")
	s.BoolVar(&f.again, "again", false, "record also what was recorded from this folder before")
	s.BoolVar(&f.resume, "resume", false, "finish what was interrupted")
	return c
}

// deposit is what holds for every file.
func (f *depositFlags) deposit(ctx context.Context, a *app, cl *client.Client) (d client.Deposit, err error) {
	if f.in == "" || f.content == "" {
		return d, usage("--case and --content are needed")
	}
	d = client.Deposit{Class: evidence.Class(f.class), Content: evidence.Content(f.content), Basis: evidence.Basis(f.basis), Place: f.place,
		Form: f.schema, Label: f.label}
	if d.Case, err = findCase(ctx, cl, f.in); err != nil {
		return d, err
	}
	d.Consent, err = all(f.consents, func(s string) (evidence.ConsentID, error) { return findConsent(ctx, cl, s) })
	if err != nil {
		return d, err
	}
	if f.source != "" {
		if d.Source, err = findItem(ctx, cl, f.source); err != nil {
			return d, err
		}
		d.Description.DerivedFrom = d.Source
	}
	if f.captured != "" {
		if d.Description.CapturedAt, err = when(f.captured); err != nil {
			return d, err
		}
	}
	if d.Authority, err = a.text(f.authority); err != nil {
		return d, err
	}
	if d.Description.Form, err = readJSON(f.form); err != nil {
		return d, err
	}
	d.Description.Acquisition, err = readJSON(f.acquisition)
	return d, err
}

// maxRecord bounds a sealed record, in bytes (FORMATS §1).
const maxRecord = 1 << 20

func readJSON(name string) (json.RawMessage, error) {
	if name == "" {
		return nil, nil
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxRecord+1))
	if err == nil && (len(text) > maxRecord || !json.Valid(text)) {
		err = usage(name + " is not JSON of at most 1 MB")
	}
	return text, err
}

// text reads a note from a file, "-" being standard input. Notes are not taken from arguments: those stay in the command history.
func (a *app) text(name string) (string, error) {
	if name == "" {
		return "", nil
	}
	src := a.in
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return "", err
		}
		defer file.Close()
		src = file
	}
	text, err := io.ReadAll(io.LimitReader(src, evidence.MaxNote+1))
	return string(text), err
}
