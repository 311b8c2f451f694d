package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"strongroom.example/strongroom/internal/daemon"
)

func backupCommand() *cobra.Command {
	var p place
	var o daemon.BackupOptions
	var asJSON bool
	c := &cobra.Command{
		Use:   "backup",
		Short: "Back up a vault, running or not",
		Long: `Adds a snapshot to the backup in a folder: records, log, keys and settings as they
were at one moment, and every object that is not there yet. A running server makes
it itself, without a pause; its account must be able to write to the folder.

What opens items or tells of them (envelopes, labels, notes, descriptions) is in a
file of its own, erasable.db. It is removed when nine tenths of the policy's backup
horizon are over (27 of 30 days), by the next backup that succeeds: so make one at
least every three days. Whoever copies backups elsewhere for good leaves
erasable.db out, or the promise that a shredded item cannot be opened from any
backup is broken there.

The keys come along as they are, encrypted, but those in a KMS. Their passphrase comes along only where
it lies beside them. Keep what the backup writes last, the newest checkpoint, in a
second place too: restore asks for it.

Exit code: 0 done, 1 done and damage found, 2 not done.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if o.Keep < 1 {
				return errors.New("--keep must be at least 1")
			}
			to, err := filepath.Abs(o.To)
			if err != nil {
				return err
			}
			o.To = to
			list := lister{out: c.OutOrStdout(), silent: asJSON}
			done, err := daemon.Backup(c.Context(), p.data, p.options(), o)
			for _, d := range done.Damage {
				list.add(d)
			}
			if err != nil {
				return err
			}
			if asJSON {
				err = json.NewEncoder(c.OutOrStdout()).Encode(done)
			} else {
				out := c.OutOrStdout()
				fmt.Fprintf(out, "Snapshot   %s: a log of %d leaves, %d objects, %d of them new\n", done.Snapshot, done.Manifest.LogSize, done.Manifest.Objects, done.Copied)
				for _, name := range done.Erased {
					fmt.Fprintf(out, "Erased     envelopes, labels, notes and descriptions of %s\n", name)
				}
				for _, name := range done.Removed {
					fmt.Fprintf(out, "Removed    %s\n", name)
				}
				for _, key := range done.InKMS {
					fmt.Fprintf(out, "Not in it  %s: this key is in a KMS, whose own backup must have it\n", key)
				}
				fmt.Fprintf(out, "Checkpoint %s\n", filepath.Join(o.To, "snapshots", done.Snapshot, "checkpoint"))
			}
			if err == nil {
				err = list.verdict()
			}
			return err
		},
	}
	p.flags(c)
	c.Flags().StringVar(&o.To, "to", "", "the backup's folder: empty, or of this vault's earlier backups")
	c.Flags().IntVar(&o.Keep, "keep", 30, "how many snapshots stay")
	c.Flags().BoolVar(&o.Verify, "verify", false, "read all that earlier backups left, too")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	c.MarkFlagRequired("to")
	return c
}

func scrubCommand() *cobra.Command {
	var p place
	c := &cobra.Command{
		Use:   "scrub",
		Short: "Have a running server read all evidence now",
		Long: `A running server reads all evidence once a week, slowly. This has it read now, as
fast as it can. What differs from its deposit is logged by the vault itself
(item.verified, failure) and not served until it is whole again: put the file back
from a backup, and scrub once more. Events, receipts, envelopes and all other items
are not touched by it. A vault that is not running is read by strongroomd fsck.

Exit code: 0 nothing found, 1 damage found and listed, 2 could not look.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			list := lister{out: c.OutOrStdout()}
			s, found, err := daemon.Scrub(c.Context(), p.data)
			for _, d := range found {
				list.add(d)
			}
			if err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "Read       %d objects (%d bytes) in %s\n", s.Objects, s.Bytes, s.Ended.Sub(s.Began).Round(time.Second))
			return list.verdict()
		},
	}
	p.flags(c)
	return c
}
