package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"strongroom.example/strongroom/internal/daemon"
)

// damaged ends fsck with exit code 1: it could look, and found something.
type damaged int

func (d damaged) Error() string {
	return fmt.Sprintf("%d damages found", int(d))
}
func (d damaged) ExitCode() int { return 1 }

func fsckCommand() *cobra.Command {
	var p place
	var asJSON bool
	c := &cobra.Command{
		Use:   "fsck",
		Short: "Re-read and check everything in a vault that is not running",
		Long: `Checks every event against its signature, the law and the log; the log against the
records; heads, checkpoints, lists and directories against what the events make of
them; attachments and objects against what the events name. Changes nothing, and
says of each damage what is still intact and what helps.

Exit code: 0 nothing found, 1 damage found and listed, 2 could not look.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			list := lister{out: c.OutOrStdout(), silent: asJSON, found: []daemon.Damage{}}
			examined, err := daemon.Fsck(c.Context(), p.data, p.options(), list.add)
			if err != nil {
				return err
			}
			if asJSON {
				err = json.NewEncoder(c.OutOrStdout()).Encode(map[string]any{"damage": list.found, "examined": examined})
			} else {
				fmt.Fprintf(c.OutOrStdout(), "Examined   %s\n", examined.Summary())
			}
			if err == nil {
				err = list.verdict()
			}
			if err == nil && !asJSON {
				fmt.Fprintln(c.OutOrStdout(), "Clean      nothing is missing or altered")
			}
			return err
		},
	}
	p.flags(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

// lister prints damage as it is found. What helps is said once for each kind.
type lister struct {
	out    io.Writer
	silent bool
	found  []daemon.Damage
	said   string
}

func (l *lister) add(d daemon.Damage) {
	l.found = append(l.found, d)
	if l.silent {
		return
	}
	word := "Damage"
	if d.Harmless {
		word = "Note"
	}
	fmt.Fprintf(l.out, "%-10s %s: %s\n", word, d.Where, d.What)
	if d.Do != l.said {
		fmt.Fprintf(l.out, "           %s\n", d.Do)
	}
	l.said = d.Do
}

// verdict is the exit code for what was found.
func (l *lister) verdict() error {
	n := 0
	for _, d := range l.found {
		if !d.Harmless {
			n++
		}
	}
	if n > 0 {
		return damaged(n)
	}
	return nil
}
