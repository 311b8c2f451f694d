package main

import (
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"strongroom.example/strongroom/internal/daemon"
	"strongroom.example/strongroom/internal/tlog"
)

func rotateCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "rotate",
		Short: "Bring other keys, witnesses or time-stamp roots",
		Long: `Nobody changes what the log stands on alone. Keys of the log, witnesses and
time-stamp roots change in three steps:

  strongroomd rotate plan …
      makes what is new beside what is in use, and writes rotation.json; the
      server may run and goes on as before
  strongroom vault configure --rotation rotation.json     (an administrator)
  strongroom vault confirm                                (a custodian)
      both compare what they are shown with what this program printed; then
      confirm-wait passes
  strongroomd rotate finish
      with the server stopped: looks whether the vault's own history says so, and
      writes the new trust.json

Everybody who pinned the old trust file is told the new number, and runs
strongroom connect --trust: their programs accept the new file only because the
vault's history, checked under the old one, says that two people decided it. Old
packages verify with the new file. A new package does not with the old one.

The vault's own key is rotated as a person's is: a custodian runs
strongroom actor rotate ACTOR for the vault, you run strongroomd rotate
vault-key with the code, the custodian admits it and another person confirms its
number. Between those two nothing is exported.`,
	}
	c.AddCommand(rotatePlanCommand(), rotateFinishCommand(), rotateCancelCommand(), rotateVaultKeyCommand())
	return c
}

func rotatePlanCommand() *cobra.Command {
	var p place
	var change daemon.Change
	var policy string
	var none, postQuantum, noPostQuantum bool
	var roots []string
	c := &cobra.Command{
		Use:   "plan",
		Short: "Make what is new, and write down what is to change",
		Long: `Makes new keys beside those in use, if asked for, and writes rotation.json into
the vault's folder. Nothing else changes, and the server may run. Give the file to
an administrator, and read the numbers below to administrator and custodian over
the phone: they see the same when they propose and confirm.

A key of ML-DSA-44 (see strongroomd init) comes and goes with --post-quantum and
--no-post-quantum, and is made anew with the other keys of the log. It stands in the
witness policy, which this program writes: yours has no log line.

Time-stamp roots are only added: what they vouched for must stay verifiable. Name
the new authority in the configuration first: it is asked once, and stock tools
learn of it from the new trust file.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			switch {
			case none && policy != "":
				return errors.New("--no-witnesses and --witness-policy exclude each other")
			case none:
				change.Witness = new(string)
			case policy != "":
				text, err := os.ReadFile(policy)
				if err != nil {
					return err
				}
				change.Witness = new(string(text))
			}
			if postQuantum || noPostQuantum {
				change.PostQuantum = &postQuantum
			}
			for _, name := range roots {
				der, err := readCertificate(name)
				if err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
				change.TimestampRoots = append(change.TimestampRoots, der)
			}
			r, err := daemon.PlanRotation(c.Context(), p.data, p.options(), change)
			if err != nil {
				return err
			}
			out := c.OutOrStdout()
			fmt.Fprintf(out, "Planned    %s\n", filepath.Join(p.data, "rotation.json"))
			for _, key := range r.LogKeys {
				fmt.Fprintf(out, "Log key    %s\n", daemon.KeyNumber(key))
			}
			for _, line := range tlog.PolicyLines(r.Witness) {
				fmt.Fprintf(out, "Witnesses  %s\n", line)
			}
			for _, root := range r.Roots {
				fmt.Fprintf(out, "Root       %s\n", tlog.SixGroups(tlog.Hash(root)))
			}
			fmt.Fprintf(out, "Next       an administrator runs: strongroom vault configure --rotation rotation.json\n")
			return nil
		},
	}
	p.flags(c)
	f := c.Flags()
	f.BoolVar(&change.NewLogKeys, "new-log-keys", false, "make new keys of the log, as files")
	f.StringVar(&change.Keys.Log, "log-key", "", "URI of the log's next ECDSA P-256 key in a KMS")
	f.StringVar(&change.Keys.Note, "log-ed25519-key", "", "URI of the log's next Ed25519 key in a KMS")
	f.BoolVar(&postQuantum, "post-quantum", false, "have the log sign with a key of ML-DSA-44 as well")
	f.BoolVar(&noPostQuantum, "no-post-quantum", false, "have the log sign without such a key from then on")
	c.MarkFlagsMutuallyExclusive("post-quantum", "no-post-quantum")
	f.StringVar(&policy, "witness-policy", "", "file with the next witness policy (C2SP tlog-policy)")
	f.BoolVar(&none, "no-witnesses", false, "ask no witnesses from then on")
	f.StringArrayVar(&roots, "timestamp-root", nil, "file with a further root certificate of a time-stamp authority, PEM or DER; repeat it")
	return c
}

// readCertificate reads one certificate, in PEM or DER.
func readCertificate(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 64<<10))
	if err != nil {
		return nil, err
	}
	if block, rest := pem.Decode(text); block != nil {
		if block.Type != "CERTIFICATE" || len(strings.TrimSpace(string(rest))) > 0 {
			return nil, errors.New("this is not one certificate")
		}
		return block.Bytes, nil
	}
	return text, nil
}

func rotateFinishCommand() *cobra.Command {
	var p place
	c := &cobra.Command{
		Use:   "finish",
		Short: "Go on with what was planned and decided (the server stopped)",
		Long: `Takes everything that is pending into the log with the old keys, looks whether the
vault's own history says what was planned, and writes the new trust.json. Refuses,
and changes nothing, while that is not in force. Killed in between, it goes on with
the next start of the server or of this command.

Exit code: 0 done, 2 not done.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			trust, err := daemon.FinishRotation(c.Context(), p.data, p.options())
			if err != nil {
				return err
			}
			out := c.OutOrStdout()
			fmt.Fprintf(out, "Rotated    %s\n", trust.Vault())
			fmt.Fprintf(out, "Trust file %s\n", filepath.Join(p.data, "trust.json"))
			fmt.Fprintf(out, "Number     %s\n", tlog.SixGroups(trust.Fingerprint()))
			fmt.Fprintf(out, "Next       start the server, and give file and number to everybody who pinned the old one, courts too\n")
			return nil
		},
	}
	p.flags(c)
	return c
}

func rotateCancelCommand() *cobra.Command {
	var p place
	c := &cobra.Command{
		Use:   "cancel",
		Short: "Forget a plan that was not finished",
		Long: `Removes rotation.json. Keys that the plan made stay in the vault's folder, unused. If
the plan was proposed already, an administrator takes that back with strongroom
vault configure --keep.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return daemon.CancelRotation(p.data) },
	}
	p.flags(c)
	return c
}

func rotateVaultKeyCommand() *cobra.Command {
	var p place
	var uri string
	c := &cobra.Command{
		Use:   "vault-key CODE",
		Short: "Answer a custodian's invitation with the vault's next own key (the server stopped)",
		Long: `The code is what strongroom actor rotate printed for the vault. Makes the next key,
or takes the one in a KMS, and prints its number. Start the server again; the
custodian runs strongroom actor admit, and another person, who has the number from
you, strongroom actor confirm. From then on the vault signs with the new key.

Exit code: 0 done, 2 not done.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			number, err := daemon.RotateVaultKey(c.Context(), p.data, p.options(), args[0], uri)
			if err != nil {
				return err
			}
			out := c.OutOrStdout()
			fmt.Fprintf(out, "Answered   with the vault's next key\n")
			fmt.Fprintf(out, "Number     %s\n", tlog.SixGroups(tlog.Hash(number)))
			fmt.Fprintf(out, "Next       start the server; the custodian admits the key, another person confirms this number\n")
			return nil
		},
	}
	p.flags(c)
	c.Flags().StringVar(&uri, "vault-key", "", "URI of the vault's next ECDSA P-256 key in a KMS (default: a file is made)")
	return c
}
