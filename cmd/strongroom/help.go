package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// hers are the commands that the person concerned, and who speaks for her, reads: all that they say is in every language there is.
var hers = []string{"own", "open", "consent give", "consent narrow", "consent withdraw", "consent delegate", "consent end-delegation", "consent list",
	"consent show", "grant approve", "grant refuse", "case open"}

// speak gives every command the same help and the same end of patience, and marks what goes wrong before a command begins as a mistake in
// typing it.
func (a *app) speak(root *cobra.Command) {
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage(err.Error()) })
	root.SetHelpFunc(func(c *cobra.Command, _ []string) {
		fmt.Fprintf(c.OutOrStdout(), "%s\n\n", strings.TrimSpace(c.Long))
		writeUsage(c.OutOrStdout(), c)
	})
	root.SetUsageFunc(func(c *cobra.Command) error {
		writeUsage(c.ErrOrStderr(), c)
		return nil
	})
	var begin func(c *cobra.Command)
	begin = func(c *cobra.Command) {
		if run := c.RunE; run != nil {
			c.RunE = func(c *cobra.Command, args []string) error {
				a.began, a.hers = true, slices.Contains(hers, strings.TrimPrefix(c.CommandPath(), root.Name()+" "))
				if a.wait > 0 {
					ctx, cancel := context.WithTimeout(c.Context(), a.wait)
					defer cancel()
					c.SetContext(ctx)
				}
				return run(c, args)
			}
		}
		for _, sub := range c.Commands() {
			begin(sub)
		}
	}
	begin(root)
}

func writeUsage(w io.Writer, c *cobra.Command) {
	use := c.UseLine()
	if c.HasAvailableSubCommands() {
		use = c.CommandPath() + " COMMAND"
	}
	fmt.Fprintf(w, "Usage:\n  %s\n", strings.TrimSuffix(use, " [flags]"))
	if c.Example != "" {
		fmt.Fprintf(w, "\nExample:\n%s\n", c.Example)
	}
	if c.HasAvailableSubCommands() {
		fmt.Fprint(w, "\nCommands:\n")
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() && sub.Name() != "help" {
				writeEntry(w, sub.Name(), sub.Short, 15)
			}
		}
		fmt.Fprintf(w, "\nMore about one: %s COMMAND --help\n", c.CommandPath())
	}
	writeFlags(w, "Options", c.LocalNonPersistentFlags())
	if !c.HasParent() {
		writeFlags(w, "Options of every command", c.PersistentFlags())
	} else {
		fmt.Fprint(w, "\nOptions of every command: --card, --home, --json, --language,\n  --passphrase-file, --wait\n")
	}
}

func writeFlags(w io.Writer, title string, flags *pflag.FlagSet) {
	first := true
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		if first {
			fmt.Fprintf(w, "\n%s:\n", title)
			first = false
		}
		value, text := pflag.UnquoteUsage(f)
		switch value {
		case "":
		case strings.ToUpper(value):
			value = " " + value
		default: // a type of Go's
			value = " …"
		}
		switch f.DefValue {
		case "", "false", "0", "0s", "[]":
		default:
			text += " (default: " + strings.Trim(f.DefValue, "[]") + ")"
		}
		writeEntry(w, "--"+f.Name+value, text, 25)
	})
}

// writeEntry writes a name and what it is, the latter beginning in a column.
func writeEntry(w io.Writer, name, text string, column int) {
	name = "  " + name
	if utf8.RuneCountInString(name) > column-2 {
		fmt.Fprintln(w, name)
		name = ""
	}
	for _, line := range wrap(text, width-column) {
		fmt.Fprintf(w, "%-*s%s\n", column, name, line)
		name = ""
	}
}
