package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/spf13/cobra"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/evidence"
)

// depositFlags say once what holds for all files of a command.
type depositFlags struct {
	in, class, content, basis, source, place, label string
	captured, authority, form, schema, acquisition  string
	consents                                        []string
	resume                                          bool
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
stopped, or the computer is switched off, strongroom deposit --resume finishes
the files that were sealed already; those not named there are deposited again.

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
			files := regularFiles(args)
			if len(files) == 0 {
				return usage("name a file, or --resume")
			}
			d, err := f.deposit(c.Context(), a, cl)
			if err != nil {
				return err
			}
			return a.depositAll(c.Context(), cl, files, d)
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

// regularFiles lists the files named, and those in the folders named. What cannot be read is listed too: it has its own line in the result.
func regularFiles(names []string) []string {
	var files []string
	for _, name := range names {
		filepath.WalkDir(name, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.Type().IsRegular() || path == name && !entry.IsDir() {
				files = append(files, path)
			}
			return nil
		})
	}
	return files
}

// describe says what can be told from the file itself.
func describe(file *os.File, name string) (d client.Deposit, err error) {
	info, err := file.Stat()
	if err != nil {
		return d, err
	}
	d.Body, d.Size = file, info.Size()
	d.Label, d.Description.Name = name, name
	if d.Description.MediaType = mime.TypeByExtension(filepath.Ext(name)); d.Description.MediaType != "" {
		return d, nil
	}
	start := make([]byte, 512)
	n, err := file.ReadAt(start, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return d, err
	}
	d.Description.MediaType = http.DetectContentType(start[:n])
	return d, nil
}

// deposited is the result of one file.
type deposited struct {
	Result  string          `json:"result"` // recorded, refused, pending or not_done
	File    string          `json:"file,omitempty"`
	Item    evidence.ItemID `json:"item,omitempty"`
	Event   evidence.Hash   `json:"event,omitzero"`
	Entry   int64           `json:"entry"`
	Size    int64           `json:"size"`
	Reason  string          `json:"reason,omitempty"`
	Message string          `json:"message,omitempty"`

	problem *problem
	readers int
}

// workers is how many files are under way at a time: sealing one while others are sent or wait for their entry.
const workers = 4

func (a *app) depositAll(ctx context.Context, cl *client.Client, files []string, common client.Deposit) error {
	results := make([]deposited, len(files))
	g := a.gauges(len(files))
	next := make(chan int)
	var busy sync.WaitGroup
	var line sync.Mutex
	for range min(workers, len(files)) {
		busy.Go(func() {
			for i := range next {
				results[i] = depositOne(ctx, cl, files[i], common, g)
				if g == nil && !a.json {
					line.Lock()
					printRows(a.out, results[i].rows()...)
					line.Unlock()
				}
			}
		})
	}
	for i := range files {
		next <- i
	}
	close(next)
	busy.Wait()
	g.wait()
	return a.results(results, g != nil)
}

func depositOne(ctx context.Context, cl *client.Client, name string, d client.Deposit, g *gauges) deposited {
	r := deposited{File: name}
	if ctx.Err() != nil {
		return r.failed(ctx.Err())
	}
	file, err := os.Open(name)
	if err != nil {
		return r.failed(err)
	}
	defer file.Close()
	own, err := describe(file, filepath.Base(name))
	if err != nil {
		return r.failed(err)
	}
	r.Size = own.Size
	d.Body, d.Size = own.Body, own.Size
	d.Description.Name, d.Description.MediaType = own.Description.Name, own.Description.MediaType
	if d.Label == "" {
		d.Label = own.Label
	}
	progress, end := g.file(filepath.Base(name))
	defer end()
	d.Progress = progress
	item, receipt, err := cl.Deposit(ctx, d)
	r.Item = item
	if err != nil {
		return r.failed(err)
	}
	return r.recorded(receipt)
}

func (r deposited) recorded(receipt *client.Receipt) deposited {
	r.Result, r.Event, r.Entry = "recorded", receipt.Leaf, receipt.Index()
	if d, ok := receipt.Event.Details.(*evidence.ItemDepositedDetails); ok {
		r.readers = len(d.Envelopes) - 1 // one is recovery's
	}
	return r
}

func (r deposited) failed(err error) deposited {
	r.problem = explain(err)
	r.Result = map[int]string{exitRefused: "refused", exitCannot: "not_done", exitPending: "pending"}[r.problem.code]
	r.Reason, r.Message = r.problem.reason, r.problem.sentence
	return r
}

func (r deposited) rows() []row {
	name := filepath.Base(r.File)
	if r.File == "" {
		name = string(r.Item)
	}
	if r.problem != nil {
		rows := []row{{r.problem.label, name + ": " + r.problem.sentence}}
		if r.problem.next != "" {
			rows = append(rows, row{"Next", r.problem.next})
		}
		return append(rows, row{"Reason", r.Reason})
	}
	what := name
	if r.Size > 0 {
		what += ", " + bytesOf(r.Size)
	}
	return []row{{"Recorded", what + ", entry " + strconv.FormatInt(r.Entry, 10)}, {"", string(r.Item)}}
}

// endsWith is the exit code of the first file that is not in. Everything was said already.
type endsWith int

func (e endsWith) Error() string { return fmt.Sprintf("ends with %d", int(e)) }
func (e endsWith) ExitCode() int { return int(e) }

// results ends a command about several files; print says that their lines are still to come.
func (a *app) results(list []deposited, print bool) error {
	if a.json {
		if err := a.show(some(list)); err != nil {
			return err
		}
	}
	in, readers := 0, 0
	var first *problem
	for _, r := range list {
		if print && !a.json {
			printRows(a.out, r.rows()...)
		}
		if r.problem == nil {
			in++
			readers = r.readers
		} else if first == nil {
			first = r.problem
		}
	}
	if len(list) > 1 && !a.json {
		printRows(a.out, row{"Together", fmt.Sprintf("%d of %s recorded", in, plural(len(list), "file", "files"))})
	}
	if in > 0 && !a.json {
		printRows(a.out, row{"Opens for", plural(readers, "keyholder", "keyholders") + " and the recovery key"},
			row{"", "Not yet checked by a second person."})
	}
	if first != nil {
		return endsWith(first.code)
	}
	return nil
}

func (a *app) resume(ctx context.Context, cl *client.Client) error {
	g := a.gauges(0)
	progress, end := g.file("interrupted files")
	list, err := cl.ResumeDeposits(ctx, progress)
	end()
	g.wait()
	if err != nil {
		return err
	}
	results := make([]deposited, 0, len(list))
	for _, l := range list {
		r := deposited{Item: l.Item}
		if l.Err != nil {
			r = r.failed(l.Err)
		} else {
			r = r.recorded(l.Receipt)
		}
		results = append(results, r)
	}
	if len(results) == 0 && !a.json {
		return a.show(nil, row{"", "Everything is sent."})
	}
	return a.results(results, true)
}
