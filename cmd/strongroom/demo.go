package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/spf13/cobra"

	"strongroom.example/strongroom/internal/dossier"
	"strongroom.example/strongroom/internal/objects/versitygw"
	"strongroom.example/strongroom/internal/omniwitness"
)

func demoCommand() *cobra.Command {
	var o demoOptions
	c := &cobra.Command{
		Use:   "demo [FILE…]",
		Short: "Play the whole journey of a piece of evidence, with real keys and a real vault",
		Long: `Starts a vault of its own on this computer and plays seven people with it: an
administrator, a clinician, an investigator, two custodians, a court and a
survivor. Each has own keys. The clinician takes consent and deposits the FILEs;
the first one is shared with the court, which verifies it without the vault.
Without a FILE two synthetic samples are used.

"entry 17" is the place of an act in the vault's record book; its proof was
checked. "checked" says what was compared, "refused" what was tried in vain. If
anything is not as it must be, the demo stops; the exit code is then not 0.

Nothing leaves this computer. Waiting times are 2 seconds and keys have no
passphrase: do not put real evidence in. Large files need about four times
their size of free space.

With --keep, DIR holds afterwards:
  court/package.zip    what the court received
  court/identity.txt   the court's key (an age identity)
  court/trust.json     what the court judges the package by
  people/NAME/         keys and memory of each person
  vault/               the vault's folder, as its operator sees it`,
		Example: `  strongroom demo --once
  strongroom demo --keep ./demo photo.jpg report.pdf`,
		RunE: func(c *cobra.Command, files []string) error {
			ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
			defer stop()
			// Who reads the output may leave. Then a step fails like any other, and the vault's process is stopped.
			signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
			if err := playDemo(ctx, c.OutOrStdout(), o, files); err != nil {
				return demoEnded(err, o.keep, ctx.Err() != nil)
			}
			return nil
		},
	}
	c.Flags().BoolVar(&o.once, "once", false, "end after the journey instead of serving until Ctrl-C")
	c.Flags().StringVar(&o.keep, "keep", "", "keep everything in `DIR`, which must not exist or be empty")
	c.Flags().StringVar(&o.s3, "s3", "", "keep the objects in an S3 bucket, which `PROGRAM` serves: versitygw")
	c.Flags().StringVar(&o.trillian, "scale-out", "", "with --s3: serve it with two processes over a PostgreSQL and a Trillian log server from `FOLDER`")
	c.Flags().StringVar(&o.witnesses, "witnesses", "", "have two witnesses sign the record book's states, and a time-stamp authority; each witness runs `PROGRAM`: omniwitness")
	return c
}

// demoOptions say how the demonstration is played.
type demoOptions struct {
	once          bool
	keep          string // the folder that stays, or ""
	s3, witnesses string // programs, or ""
	trillian      string // folder of programs, or ""
}

// demo is one run.
type demo struct {
	*narrator
	dir     string // holds everything
	bin     string // folder of this program and its sisters
	files   []demoFile
	server  *vaultProcess
	bucket  *versitygw.Server // nil without --s3
	engines *engines          // nil without --scale-out
	config  string            // of the vault-to-be
	address string            // at which people reach it

	witnesses, running []*omniwitness.Witness // none without --witnesses

	memory *memoryWatch
	trust  []byte // the trust file
	number string // its number, as people compare it

	administrator, clinician, investigator, custodian1, custodian2, court *player

	inCase   demoCase
	survivor demoSurvivor
	report   *dossier.Report // of the court's verifier
}

// demoFile is something to deposit.
type demoFile struct {
	path  string
	size  int64
	media string
}

// demoCannot says that the demo cannot begin, and what helps.
func demoCannot(sentence, next string) error {
	return &problem{code: exitCannot, label: "Not done", reason: "demo", sentence: sentence, kept: keptAll, next: next}
}

// demoEnded makes an end before the end understandable.
func demoEnded(err error, keep string, stopped bool) error {
	p := &problem{code: exitRefused, label: "Stopped", reason: "demo", cause: err, kept: "Nothing was kept."}
	if keep != "" {
		p.kept = "What was made so far lies in " + keep + "."
	}
	if known := (*problem)(nil); errors.As(err, &known) {
		return known
	}
	if stopped {
		p.code, p.sentence = exitCannot, "It was stopped before it was finished. The vault's process has ended."
	} else {
		p.sentence = "Something was not as it must be: " + err.Error()
	}
	return p
}

func playDemo(ctx context.Context, out io.Writer, o demoOptions, files []string) (err error) {
	limit, err := memoryLimit()
	if err != nil {
		return err
	}
	d := &demo{narrator: &narrator{out: out}, memory: watchMemory()}
	defer d.memory.stop()
	if d.bin, err = sisterPrograms("strongroomd", "strongroom-verify"); err != nil {
		return err
	}
	d.memory.watch("this program", os.Getpid())
	if d.files, err = inspectAll(files); err != nil {
		return err
	}
	if d.dir, err = demoFolder(o.keep, d.files); err != nil {
		return err
	}
	defer func() {
		if d.server != nil {
			err = errors.Join(err, d.server.stop())
		}
		if d.engines != nil {
			err = errors.Join(err, d.engines.stop())
		}
		if d.bucket != nil {
			d.bucket.Kill()
		}
		d.stopWitnesses()
		if o.keep == "" {
			err = errors.Join(err, os.RemoveAll(d.dir))
		}
	}()
	if err := d.makeSamples(); err != nil {
		return err
	}
	if o.s3 != "" {
		if err := d.useBucket(ctx, o.s3); err != nil {
			return err
		}
	}
	if o.witnesses != "" {
		if err := d.makeWitnesses(o.witnesses); err != nil {
			return err
		}
	}
	if o.trillian != "" {
		if err := d.startEngines(ctx, o.trillian); err != nil {
			return err
		}
	}
	if err := d.configure(); err != nil {
		return err
	}
	if err := d.journey(ctx); err != nil {
		return err
	}
	if keep := o.keep; keep != "" {
		d.printf("\nKept in %s. Check the court's copy yourself:\n  %s --trust %s \\\n    --identity %s \\\n    %s\n", keep,
			quoted(d.bin, "strongroom-verify"), quoted(keep, "court", "trust.json"), quoted(keep, "court", "identity.txt"), quoted(keep, "court", "package.zip"))
	}
	if !o.once {
		guests, err := d.inviteGuests(ctx)
		if err != nil {
			return err
		}
		d.printf("\nThe vault goes on until you press Ctrl-C. See it in Chromium or Chrome: each link makes you one person, once. Take a\n" +
			"private window for the second. The browser warns of the certificate, which only this demo knows.\n")
		for _, v := range guests {
			d.printf("\n  %s, for %s:\n  %s\n", v.called, v.sees, v.link)
		}
		d.printf("\nOr as the clinician, in a second terminal:\n  %s --home %s whoami\n\nAPI at %s\n",
			quoted(d.bin, "strongroom"), quoted(d.clinician.folder), d.address)
		if d.narrator.err == nil {
			if err := d.receiveGuests(ctx, guests); err != nil {
				return err
			}
		}
	}
	server := d.server
	d.server = nil
	if err := server.stop(); err != nil {
		return err
	}
	return errors.Join(d.memory.report(d.narrator, limit), d.narrator.err)
}

// journey plays every act in its order. Each ends only when what it says was checked.
func (d *demo) journey(ctx context.Context) error {
	d.printf("Seven people and a vault, on this computer only. Every key is made now.\n")
	d.printf("Waiting times are set to %s. Do not put real evidence in.\n", demoWaits)
	loseServer := d.loseServer
	if d.engines == nil {
		loseServer = nil // it is the only one
	}
	for _, act := range []struct {
		title string
		play  func(context.Context) error
	}{
		{"The vault", d.foundVault},
		{"The people", d.enrolPeople},
		{"The case and the consent", d.openCase},
		{"The evidence", d.depositEvidence},
		{"A keyholder looks", d.openEvidence},
		{"One of the servers dies", loseServer},
		{"The share, decided by two", d.shareEvidence},
		{"The court", d.serveCourt},
		{"The package, checked without the vault", d.checkPackage},
		{"The history of the shared item", d.tellHistory},
		{"A survivor with her own key", d.meetSurvivor},
		{"She changes her mind", d.changeMind},
		{"One record is held, the other shredded", d.decide},
		{"What the vault can see", d.searchVault},
	} {
		if act.play == nil {
			continue
		}
		d.title(act.title)
		if err := act.play(ctx); err != nil {
			return fmt.Errorf("%s: %w", act.title, err)
		}
		if d.narrator.err != nil {
			return d.narrator.err
		}
	}
	return nil
}

func (d *demo) samples() string { return filepath.Join(d.dir, "samples") }

// makeSamples makes the clinician's files if none were given.
func (d *demo) makeSamples() error {
	if err := os.Mkdir(d.samples(), 0o700); err != nil || len(d.files) > 0 {
		return err
	}
	paths, err := writeSamples(d.samples())
	if err != nil {
		return err
	}
	d.files, err = inspectAll(paths)
	return err
}

// demoFolder makes the folder to keep, or one that is removed at the end. It changes nothing where the demo cannot begin.
func demoFolder(keep string, files []demoFile) (string, error) {
	if keep == "" {
		if err := enoughSpace(os.TempDir(), files); err != nil {
			return "", err
		}
		return os.MkdirTemp("", "strongroom-demo-*")
	}
	dir, err := filepath.Abs(keep)
	if err != nil {
		return "", err
	}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", cannotUse(keep, err)
	}
	if len(entries) > 0 {
		return "", demoCannot(keep+" is not empty.", "Choose a new folder.")
	}
	if err := enoughSpace(dir, files); err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", cannotUse(keep, err)
	}
	return dir, nil
}

// enoughSpace asks for room for one copy of each file in the vault, and for three further copies of the one in work: while it is sent or
// opened, as the court receives it, and in the altered package. The folder itself may not exist yet.
func enoughSpace(dir string, files []demoFile) error {
	var all, largest int64
	for _, f := range files {
		all += f.size
		largest = max(largest, f.size)
	}
	need := all + 3*largest + all/100 + 64<<20
	free, known := freeSpace(dir)
	for !known && filepath.Dir(dir) != dir {
		dir = filepath.Dir(dir)
		free, known = freeSpace(dir)
	}
	if known && free < need {
		return demoCannot(fmt.Sprintf("The demo needs about %s of free space, four times the largest file. There are %s.", bytesOf(need), bytesOf(free)),
			"Name a folder on a larger disk with --keep DIR.")
	}
	return nil
}

// cannotUse says what is the matter with a file or folder that was named.
func cannotUse(path string, err error) error {
	if of := (*fs.PathError)(nil); errors.As(err, &of) {
		err = of.Err
	}
	return demoCannot(fmt.Sprintf("%s cannot be used: %v.", shown(path), err), "Check the name and the permissions, then try again.")
}

// memoryLimit reads the number of bytes that no process of the demo may use, or 0.
func memoryLimit() (int64, error) {
	text := os.Getenv("STRONGROOM_DEMO_MAX_MEMORY")
	if text == "" {
		return 0, nil
	}
	limit, err := strconv.ParseInt(text, 10, 64)
	if err != nil || limit <= 0 {
		return 0, usage("STRONGROOM_DEMO_MAX_MEMORY must be a number of bytes")
	}
	return limit, nil
}
