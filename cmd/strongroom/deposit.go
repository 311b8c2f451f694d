package main

import (
	"cmp"
	"context"
	"encoding/json"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/dossier"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/forms"
)

// depositFlags say once what holds for all files of a command.
type depositFlags struct {
	in, class, content, basis, source, place, label string
	captured, authority                             string
	record, acquisition, identity                   string
	consents                                        []string
	resume, again, draft                            bool
	extent                                          extentFlags
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

--record adds a clinical record to one file, or deposits it alone; --acquisition
says how the files were acquired. Both are sealed with the file. They must be
finished, or nothing is sent; strongroom record validate says what is missing.
--draft takes an unfinished one from who holds a key of the case: it is looked
at again before it is sealed. Who documents only, without opinions, begins with
strongroom record new clinical-record-facts/1; the vault takes nothing else.

If a legal duty keeps items of the case, as far as you may know of it, you are
told: what you add is not under it until a custodian places a hold on it.

--identity deposits who a person is. That is kept in a case of its own, whose
keyholders alone may know it, with a consent of its own; the vault takes nothing
else into that case but consent forms, and no identity into a case with others:
  strongroom case open …; strongroom consent give …
  strongroom deposit --identity person.json --case CASE --consent CONSENT
Add a FILE for a scanned paper; it is kept with it.

Content: clinical, photograph, testimony, digital, physical, identity.
Ground:  consent (name it with --consent), or court_order, statutory_duty,
         legal_claims, care, vital_interest, public_source. Then the authority,
         the number, the law and the ground of GDPR Art. 9 are asked for, or
         read from --authority FILE, a line each; "none" is an answer.

Signs:     item.deposited, for each file.
For good:  the entry stays. A deposit is a draft until it is sealed, and not yet
           checked until a second person has opened and compared it.`,
		Example: `  strongroom deposit photo-04.jpg --case cas-7c2k --content photograph \
      --consent con-5ysd…
  strongroom deposit --record lime-14.json --case cas-7c2k --consent con-5ysd…
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
			files := filesIn(args)
			switch alone := f.record != "" || f.identity != ""; {
			case len(args) == 0 && !alone:
				return usage("name a file, --record, --identity or --resume")
			case len(files) > 1 && alone:
				return usage("a record or an identity belongs to one file")
			case len(files) > 1 && f.extent != extentFlags{}:
				return usage("--pages and --duration are of one file")
			case len(files) == 0:
				files = []found{{path: f.record + f.identity, alone: f.record != ""}}
			}
			f.defaults()
			d, err := f.deposit(c.Context(), a, cl)
			if err != nil {
				return err
			}
			if files[0].alone {
				d.Class, d.Description.Name, d.Description.MediaType = evidence.DescriptionOnly, nameOf(f.record), "application/json"
			}
			if err := ownCase(c.Context(), cl, d); err != nil {
				return err
			}
			if err := a.warnHeld(c.Context(), cl, d.Case); err != nil {
				return err
			}
			return a.depositAll(c.Context(), cl, files, d, f.again)
		},
	}
	s := c.Flags()
	s.StringVar(&f.in, "case", "", "the `CASE`")
	s.StringVar(&f.class, "class", "original", "original, working, derived, identity, consent_form, description_only")
	s.StringVar(&f.content, "content", "", "what it is (see above)")
	s.StringVar(&f.basis, "basis", "consent", "ground (see above)")
	s.StringArrayVar(&f.consents, "consent", nil, "`CONSENT` of the person concerned; repeat it for several persons")
	s.StringVar(&f.source, "source", "", "`ITEM` that this one was made from")
	s.StringVar(&f.place, "place", "", "`COUNTRY` of the act, such as NL (default: withheld)")
	s.StringVar(&f.label, "label", "", "what lists show to members, a `TEXT` (default: the file's name)")
	f.extent.on(s)
	s.StringVar(&f.captured, "captured", "", "when it was taken, a `TIME`")
	s.StringVar(&f.authority, "authority", "", "`FILE` with authority, number, law and ground of GDPR Art. 9, a line each (- for standard input)")
	s.StringVar(&f.record, "record", "", "JSON `FILE` with the clinical record")
	s.StringVar(&f.acquisition, "acquisition", "", "JSON `FILE` that says how it was acquired")
	s.StringVar(&f.identity, "identity", "", "JSON `FILE` that says who a person is (see above)")
	s.BoolVar(&f.draft, "draft", false, "take an unfinished record")
	s.BoolVar(&f.again, "again", false, "record also what was recorded from this folder before")
	s.BoolVar(&f.resume, "resume", false, "finish what was interrupted")
	c.MarkFlagsMutuallyExclusive("record", "identity")
	c.MarkFlagsMutuallyExclusive("acquisition", "identity")
	return c
}

// defaults fills in what a record or an identity says of itself. Its label never comes from a file's name, which may be a person's.
func (f *depositFlags) defaults() {
	switch {
	case f.identity != "":
		f.class, f.content, f.label = string(evidence.Identity), string(evidence.IdentityContent), cmp.Or(f.label, forms.Identity.Title())
	case f.record != "":
		f.content, f.label = cmp.Or(f.content, string(evidence.Clinical)), cmp.Or(f.label, forms.ClinicalRecord.Title())
	}
}

// deposit is what holds for every file.
func (f *depositFlags) deposit(ctx context.Context, a *app, cl *client.Client) (d client.Deposit, err error) {
	if f.in == "" || f.content == "" {
		return d, usage("--case and --content are needed")
	}
	d = client.Deposit{Class: evidence.Class(f.class), Content: evidence.Content(f.content), Basis: evidence.Basis(f.basis), Place: f.place,
		Label: f.label, Draft: f.draft}
	if d.Extent, err = f.extent.read(); err != nil {
		return d, err
	}
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
	if d.Basis != evidence.ByConsent {
		if d.Authority, err = a.ordered(f.authority, groundLines); err != nil {
			return d, err
		}
	}
	if d.Description.Form, err = readDocument(f.record + f.identity); err != nil {
		return d, err
	}
	if d.Description.Acquisition, err = readDocument(f.acquisition); err != nil {
		return d, err
	}
	return d, nil
}

// extentFlags say how long a file is.
type extentFlags struct {
	pages int64
	lasts time.Duration
}

func (f *extentFlags) on(s *pflag.FlagSet) {
	s.Int64Var(&f.pages, "pages", 0, "how many pages it has, a `NUMBER` for the index of sealed items")
	s.DurationVar(&f.lasts, "duration", 0, "how long it plays, such as 1h2m3s, a `TIME` for the index of sealed items")
}

func (f *extentFlags) read() (dossier.Extent, error) {
	e := dossier.Extent{Pages: f.pages, Lasts: f.lasts}
	if !e.Valid() {
		return e, usage("--pages is 1 or more, --duration whole seconds, and only one of the two is given")
	}
	return e, nil
}

// warnHeld tells who adds to a case that a legal duty keeps some of it: what is added is not kept by that until a hold names it, too.
func (a *app) warnHeld(ctx context.Context, cl *client.Client, in evidence.CaseID) error {
	held, err := cl.HeldIn(ctx, in)
	if len(held) > 0 {
		printRows(a.err, row{"Take care", "A legal duty keeps " + plural(len(held), "item", "items") + " of this case. What you deposit is not under it " +
			"until a custodian says so: strongroom hold place. Tell a custodian."})
	}
	return err
}

// ownCase refuses early what the vault would: an identity beside what it must be kept apart from, or that beside an identity. Each item of a
// case has the same keyholders (RULES §2).
func ownCase(ctx context.Context, cl *client.Client, d client.Deposit) error {
	apart, err := cl.Apart(ctx, d.Case, d.Class)
	if apart {
		return decline("identity_case")
	}
	return err
}

// readDocument reads a document from a file; "" is none. What is in it is for others to judge.
func readDocument(name string) (json.RawMessage, error) {
	if name == "" {
		return nil, nil
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, forms.MaxSize+1))
	if err == nil && len(text) == 0 {
		text = []byte(" ") // not nil, which would be no document
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
