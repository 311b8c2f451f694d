package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"strongroom.example/strongroom/internal/daemon"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/tlog"
)

func restoreCommand() *cobra.Command {
	var p place
	var r daemon.Restoration
	var engines bool
	c := &cobra.Command{
		Use:   "restore",
		Short: "Make a vault from a backup, in a new folder",
		Long: `Everything is checked before anything counts: the snapshot's files, its log against
every checkpoint that is known, then all of it as fsck does. Last, vault.restored is
logged. Until a custodian has confirmed it (vault.confirmed), the vault lets read,
withdraw and end, and nothing else.

Log and records must be whole. Evidence that is missing or altered, in the backup or
in the copy of a bucket, is named and restored without: it is not served, and its
file can be put back later, under the same name, from wherever it is found.

A vault must never go on from an old backup: events acknowledged after it would have
their numbers given to others, and every client, court and witness would see two
histories. So restore asks for the newest checkpoint that can be found, and refuses a
backup that does not lead to it. Look for it in this order: the lost machine's disk
(checkpoint in the vault's folder), the second place to which you copy it, a witness
or auditor, a person's client (its folder for this vault). The other snapshots in
the same backup are asked by themselves. With --none-newer you say that there is
nothing newer; if there was, clients that saw it refuse the vault.

If the log of the lost machine can still be read, give its log.db with --log: it
holds the statement of every event since the backup. The records are made from it
again, and what those events took away is taken away again. Envelopes and evidence
deposited since the backup are lost, and named. What witnesses and time-stamp
authorities had confirmed until the backup comes back from it, as far as it proves
itself; later events are confirmed anew, as strongroomd rebuild --help says.

With --engines the vault's records and log are in PostgreSQL and Trillian: you have
put the cluster back with PostgreSQL's own tools, and its folder is in --data. This
compares, examines and logs the same, and the vault can be served afterwards. No
replica may run meanwhile. Give the checkpoint file of every replica's folder.

Exit code: 0 restored, 1 restored and evidence, envelopes or confirmations are damaged
or lost, as listed, 2 refused, with the reason; nothing is in place then.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			r.Data = p.data
			list := lister{out: c.OutOrStdout()}
			restore := daemon.Restore
			if engines {
				restore = daemon.RestoreEngines
			}
			done, err := restore(c.Context(), r, p.options(), list.add)
			if errors.Is(err, daemon.ErrOccupied) {
				return fmt.Errorf("%w: %s", err, p.data)
			}
			if err != nil {
				return err
			}
			out, lost := c.OutOrStdout(), int(done.Damaged)
			fmt.Fprintf(out, "Restored   %s from %s: a log of %d leaves\n", done.Manifest.Vault, done.Manifest.Taken.Format("2006-01-02 15:04:05 MST"), done.LogSize)
			if done.Rebuilt != nil {
				fmt.Fprintf(out, "Rebuilt    the backup's log had %d leaves; %d events are from the log given\n", done.Manifest.LogSize, done.LogSize-done.Manifest.LogSize)
				lost += printRebuilt(out, *done.Rebuilt)
			}
			fmt.Fprintf(out, "Examined   %s\n", done.Examined.Summary())
			fmt.Fprintf(out, "Number     %s\n", tlog.SixGroups(done.Trust.Fingerprint()))
			fmt.Fprintf(out, "Next       compare the number with anybody's; start the vault; have a custodian confirm the restore\n")
			if done.Damaged > 0 {
				fmt.Fprintf(out, "Damaged    items without their evidence as it was deposited: %d, named above. Have it logged with strongroomd scrub, put the files\n"+
					"           back from wherever they are found, and scrub again\n", done.Damaged)
			}
			if lost > 0 {
				return damaged(lost)
			}
			return nil
		},
	}
	p.flags(c)
	c.Flags().StringVar(&r.From, "from", "", "the backup's folder")
	c.Flags().StringVar(&r.Snapshot, "snapshot", "", "which of its snapshots (default: the newest)")
	c.Flags().StringArrayVar(&r.Newest, "newest-checkpoint", nil, "file with a checkpoint known from elsewhere; repeat it for each")
	c.Flags().BoolVar(&r.None, "none-newer", false, "no checkpoint can be found anywhere else")
	c.Flags().StringVar(&r.Log, "log", "", "a newer copy of the log's file, log.db")
	c.Flags().BoolVar(&engines, "engines", false, "records and log were put back with PostgreSQL's own tools")
	c.MarkFlagsOneRequired("from", "engines")
	for _, flag := range []string{"from", "snapshot", "log"} {
		c.MarkFlagsMutuallyExclusive("engines", flag)
	}
	c.MarkFlagRequired("data")
	c.MarkFlagsMutuallyExclusive("newest-checkpoint", "none-newer")
	return c
}

func rebuildCommand() *cobra.Command {
	var p place
	var files []string
	c := &cobra.Command{
		Use:   "rebuild",
		Short: "Make lost records again from the log, or a lost log from the records",
		Long: `Log and records hold every statement twice. Where one of them is damaged (fsck says
which), move its file away and keep it, with records.db also records.db-wal where
there is one; this makes it again from the other, and checks signatures, law, heads
map and signed checkpoint on the way.

Not in the log: the bytes of envelopes, labels, notes and descriptions, and what
witnesses and time-stamp authorities confirmed. Both are looked for in the files given
with --attachments: the records.db that was moved away, a backup's records.db and
erasable.db. Of confirmations only those are kept that prove themselves, by the
signatures of the log, of witnesses and of authorities that trust.json names, over
this very log. What is not found, or damaged, is named as lost; a file that cannot be
read stops nothing. If one holds a checkpoint that this log signed and does not lead
to, the log is not the newest: nothing is made.

Open invitations, sign-ins and unfinished uploads are over; people begin them again.
Receipts are made anew; those that people hold stay valid. Where the confirmations
came back, final receipts and their dates are what they were. What was entered later,
or whose confirmations are lost, is confirmed anew: packages that are made from now on
date it by the day of the rebuild, and say so by their time bounds. Packages made
earlier keep their dates: keep them.

Exit code: 0 made, 1 made and something is lost, 2 not made.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			made, err := daemon.Rebuild(c.Context(), p.data, p.options(), files)
			if err != nil {
				return err
			}
			out := c.OutOrStdout()
			fmt.Fprintf(out, "Made       %s with %d events\n", filepath.Join(p.data, made.Part), made.Events)
			if lost := printRebuilt(out, made); lost > 0 {
				return damaged(lost)
			}
			return nil
		},
	}
	p.flags(c)
	c.Flags().StringArrayVar(&files, "attachments", nil, "the records.db that was moved away, a backup's records.db or erasable.db; repeat it for each")
	return c
}

// printRebuilt says what was found and what is lost, and returns how much.
func printRebuilt(out io.Writer, made daemon.Rebuilt) (lost int) {
	if made.Found > 0 {
		fmt.Fprintf(out, "Found      the bytes of %d attachments\n", made.Found)
	}
	for kind, n := range made.Lost {
		fmt.Fprintf(out, "Lost       the bytes of %d attachments of the kind %s\n", n, kind)
		lost += int(n)
	}
	for _, item := range made.Shut {
		fmt.Fprintf(out, "Shut       item %s: nobody has an envelope for it any more\n", item)
	}
	for _, file := range made.Unread {
		fmt.Fprintf(out, "Unread     %s: it is damaged, or no database of records; what could be read was taken\n", file)
	}
	if made.Confirmed != nil {
		lost += printConfirmed(out, *made.Confirmed)
	}
	return lost + len(made.Unread)
}

// printConfirmed says what came back of confirmations, and returns how much did not.
func printConfirmed(out io.Writer, r daemon.Reclaimed) int {
	count := func(c ledger.Confirmations) string {
		return fmt.Sprintf("%d published checkpoints, %d cosignatures on them, %d time stamps over them, %d over events",
			c.Checkpoints, c.Cosignatures, c.Stamps, c.EventStamps)
	}
	none, lost := ledger.Confirmations{}, r.Lost()
	if r.Found == none {
		fmt.Fprintln(out, "Lost       what witnesses and time-stamp authorities confirmed: no file that was given holds it")
	} else {
		fmt.Fprintf(out, "Found      %s\nKept       %s\n", count(r.Found), count(r.Kept))
	}
	if lost != none {
		fmt.Fprintf(out, "Lost       %s: they do not prove themselves\n", count(lost))
	}
	fmt.Fprintf(out, "Anew       entries from leaf %d on are confirmed anew, and dated by that\n", r.Final)
	if r.Found == none {
		return 1
	}
	return int(lost.Checkpoints + lost.Cosignatures + lost.Stamps + lost.EventStamps)
}
