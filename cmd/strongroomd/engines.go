package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"strongroom.example/strongroom/internal/daemon"
)

func migrateCommand() *cobra.Command {
	var file, role string
	c := &cobra.Command{
		Use:   "migrate",
		Short: "Make the tables of a vault in PostgreSQL, or update them",
		Long: `Needed where the configuration says that records are in PostgreSQL: once before init,
and again, as the first step, with each update of strongroomd. Servers that run may
go on: it changes the tables so that they can, and where it cannot it refuses while
they run, says so and changes nothing. It makes the tables of this version in the
database, as the role that is to own them, and lets the server's role use them: it
reads and adds, and can change or remove nothing that was accepted.

Make roles and database first, in psql:

  create role strongroom_owner login password '…';
  create role strongroom login password '…';
  create database vault owner strongroom_owner;

The file given here holds the owner's address. The server needs neither file nor
password; its configuration names a file with the address of its own role. To
another machine both say sslmode=verify-full:

  postgres://strongroom_owner:…@db.internal:5432/vault?sslmode=verify-full`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := daemon.MigrateRecords(c.Context(), file, role); err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "Made       the tables of this version; %s may use them\n", role)
			return nil
		},
	}
	c.Flags().StringVar(&file, "url-file", "", "file with the address of the database for the role that owns the tables")
	c.Flags().StringVar(&role, "role", "strongroom", "the server's role")
	c.MarkFlagRequired("url-file")
	return c
}

func logCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "log",
		Short: "Move the log to a Trillian log server",
	}
	c.AddCommand(moveLogCommand())
	return c
}

func moveLogCommand() *cobra.Command {
	var p place
	c := &cobra.Command{
		Use:   "move",
		Short: "Move the log from the vault's folder to a Trillian log server",
		Long: `With the server stopped, and log.trillian in the configuration: copies every entry of
log.db to a tree of the log server, in order, and has both logs prove that they
extend every checkpoint that was ever signed. Then the vault has the log there, and
log.db is kept as log.db.moved. Receipts and packages stay what they are.

Interrupted at any point the vault has one of the two, whole: run it again. There is
no way back, and strongroomd backup does not make backups any more: PostgreSQL's own
tools do.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			out := c.OutOrStdout()
			var said int64
			moved, err := daemon.MoveLog(c.Context(), p.data, p.options(), func(done, total int64) {
				if percent := done * 100 / total; percent/10 > said/10 {
					said = percent
					fmt.Fprintf(out, "Copied     %d of %d entries\n", done, total)
				}
			})
			if err != nil {
				return err
			}
			fmt.Fprintf(out, "Moved      %d entries to tree %d; both logs extend all %d signed checkpoints\n", moved.Entries, moved.Tree, moved.Checkpoints)
			fmt.Fprintf(out, "Kept       %s; remove it when the next backup is made\n", moved.Kept)
			return nil
		},
	}
	p.flags(c)
	return c
}
