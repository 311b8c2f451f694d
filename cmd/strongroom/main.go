// Command strongroom is the vault's command line for people. Keys and plaintext stay on this side: it encrypts, signs, opens and checks
// through package client, and sends ciphertext and signed events only.
//
// This package owns the dialogue: prompts, results, words, exit codes. It never puts a secret into an argument, never prints one that it
// was given, and signs nothing far-reaching before the consequences were shown and a word was typed.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	a := &app{in: os.Stdin, out: os.Stdout, err: os.Stderr, stopped: ctx.Done()}
	err := root(a).ExecuteContext(ctx)
	if err == nil {
		return
	}
	os.Exit(a.report(err))
}

// The exit codes of every command but verify and demo.
const (
	exitRefused = 1 // by a rule, by the vault, or by the person
	exitCannot  = 2 // usage, network, files
	exitPending = 3 // accepted, but the proof of entry is not there yet
)

func root(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "strongroom",
		Short: "The vault's command line for people",
		Long: `strongroom deposits, opens and shares evidence in a vault that cannot read it.
Your keys are made on this computer and stay here. What you do is signed with
them, entered into the vault's record book, and counts once the proof of entry
has been checked here.

Start:      strongroom enrol              with the code you were given
Who am I:   strongroom whoami
Try it out: strongroom demo               a whole vault on this computer

Your keys lie in one folder, yours alone:
  --home, or $STRONGROOM_HOME, or $XDG_DATA_HOME/strongroom,
  or ~/.local/share/strongroom
Your passphrase is asked for, or read from --passphrase-file or from the file
that $STRONGROOM_PASSPHRASE_FILE names.

With --card there is no folder: your keys come from the card that you were given
on paper, and nothing is kept on this computer. It asks for the card's code,
which is not shown. The proofs are checked against the number on the card; what
you saw on other days is not remembered, so it cannot be compared.

What the person concerned and who speaks for her read, and the printed card, are
in Arabic, English, French, Spanish or Ukrainian, as --language or else the
computer's settings say: strongroom own, open, consent, grant approve, grant
refuse, case open. So are pages that are handed on, and the report of strongroom
verify. All else, and what --json prints, is in English.

Exit code: 0 done, 1 refused, 2 could not, 3 accepted but the proof of entry is
not there yet (it follows by itself; nothing needs to be repeated).`,
		SilenceErrors: true, SilenceUsage: true, DisableSuggestions: true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	c.PersistentFlags().StringVar(&a.home, "home", "", "`FOLDER` of your keys and settings")
	c.PersistentFlags().StringVar(&a.passphraseFile, "passphrase-file", "", "`FILE` with your passphrase")
	c.PersistentFlags().BoolVar(&a.card, "card", false, "ask for your printed card, and keep nothing on this computer")
	c.PersistentFlags().DurationVar(&a.wait, "wait", 0, "stop after this `TIME`, such as 5m, instead of waiting for the vault")
	c.PersistentFlags().StringVar(&a.language, "language", "", "`TAG` of a language: ar, en, es, fr or uk (default: as $LC_ALL, $LC_MESSAGES or $LANG say)")
	c.PersistentFlags().BoolVar(&a.json, "json", false, "print one JSON value, for programs")
	c.AddCommand(
		foundCommand(a), connectCommand(a), enrolCommand(a), whoamiCommand(a),
		actorCommand(a), caseCommand(a), consentCommand(a),
		depositCommand(a), sealCommand(a), openCommand(a), verifyItemCommand(a), listCommand(a), historyCommand(a),
		recordCommand(a), itemCommand(a), holdCommand(a), retentionCommand(a), shredCommand(a),
		grantCommand(a), verifyCommand(a), ownCommand(a), reportCommand(a), auditCommand(a), vaultCommand(a), ceremonyCommand(a), recoverCommand(a), demoCommand(),
	)
	a.speak(c)
	return c
}

// group is a command that only holds others.
func group(use, short, long string, commands ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Long: long, Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	c.AddCommand(commands...)
	return c
}
