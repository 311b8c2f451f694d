package main

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/dossier"
	"strongroom.example/strongroom/internal/sealing"
	"strongroom.example/strongroom/internal/tlog"
)

func verifyCommand(a *app) *cobra.Command {
	var trust, identity, previous string
	var own bool
	c := &cobra.Command{
		Use:   "verify PACKAGE",
		Short: "Check a package without the vault and without a network",
		Long: `Checks that a package is genuine, unchanged and complete, as strongroom-verify
does: the same checks, the same words. The trust file is the one of your folder,
or --trust. With --open your own key opens the evidence and compares it with its
description; --identity names another age key file.

The report is in the language of --language, or else the locale's; with --json
it is for programs, and the same in every language.

With --previous the record book of PACKAGE must have grown from that of a
package that you got before from the same vault: nothing that it showed is gone
or another.

Signs:     nothing, and nothing is sent.

Exit code: 0 verified, 1 refused, 2 incomplete, or the check could not be made.`,
		Example: `  strongroom verify package.zip --trust trust.json`,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			l, err := a.paper()
			if err != nil {
				return err
			}
			o, err := a.judgeBy(trust, identity, own)
			if err != nil {
				return err
			}
			if previous != "" {
				file, size, err := openSized(previous)
				if err != nil {
					return err
				}
				defer file.Close()
				o.Previous = io.NewSectionReader(file, 0, size)
			}
			return a.verify(args[0], o, l)
		},
	}
	c.Flags().StringVar(&trust, "trust", "", "the vault's trust `FILE` (default: your folder's)")
	c.Flags().StringVar(&identity, "identity", "", "age key `FILE` that opens the evidence")
	c.Flags().StringVar(&previous, "previous", "", "a package from the same vault that you got before; the `FILE` is compared")
	c.Flags().BoolVar(&own, "open", false, "open the evidence with your own key")
	c.MarkFlagsMutuallyExclusive("identity", "open")
	return c
}

// judgeBy gathers what a verdict rests on besides the package.
func (a *app) judgeBy(trustFile, identityFile string, own bool) (o dossier.Options, err error) {
	dir, err := a.folder()
	if err != nil {
		return o, err
	}
	k := client.Folder(dir) // read only: verifying makes no folder
	var trust tlog.Trust
	if trustFile != "" {
		text, err := os.ReadFile(trustFile)
		if err != nil {
			return o, err
		}
		if trust, err = tlog.ParseTrust(text); err != nil {
			return o, cannot("trust_file", err)
		}
		o.Trust = &trust
	} else if trust, err = client.ReadTrust(k); err == nil {
		o.Trust = &trust
	} else if !errors.Is(err, fs.ErrNotExist) {
		return o, err
	}
	var id sealing.Identity
	switch {
	case own:
		id, err = a.identity(k)
	case identityFile != "":
		id, err = a.identityFrom(identityFile)
	default:
		return o, nil
	}
	o.Identity = &id
	return o, err
}

// identityFrom reads another age key file.
func (a *app) identityFrom(name string) (sealing.Identity, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return sealing.Identity{}, err
	}
	id, err := sealing.ReadIdentityFile(text, "")
	if !errors.Is(err, sealing.ErrPassphrase) {
		return id, err
	}
	passphrase, err := a.knownPassphrase()
	if err != nil {
		return id, err
	}
	return sealing.ReadIdentityFile(text, passphrase)
}

// openSized opens a file of which the size must be known, as of a package.
func openSized(name string) (*os.File, int64, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, file.Close())
	}
	return file, info.Size(), nil
}

func (a *app) verify(name string, o dossier.Options, l dossier.Language) error {
	file, size, err := openSized(name)
	if err != nil {
		return err
	}
	defer file.Close()
	report, err := dossier.Verify(file, size, o)
	if err != nil {
		return err
	}
	if a.json {
		err = json.NewEncoder(a.out).Encode(report)
	} else {
		err = report.WriteText(a.out, dossier.Telling{Language: l, Trust: o.Trust, Verifier: tool().Name + " " + tool().Version})
	}
	if err == nil && report.Verdict != dossier.Verified {
		err = endsWith(report.Verdict.ExitCode())
	}
	return err
}
