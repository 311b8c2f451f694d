package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"strongroom.example/strongroom/internal/daemon"
	"strongroom.example/strongroom/internal/program"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/vault"
)

// place is what every command needs to find a vault.
type place struct {
	data       string
	passphrase string
	config     string
}

func (p *place) flags(c *cobra.Command) {
	c.Flags().StringVar(&p.data, "data", defaultFolder(), "the vault's folder")
	c.Flags().StringVar(&p.config, "config", "", "configuration file (default: strongroomd.yaml in the vault's folder, if there is one)")
	c.Flags().StringVar(&p.passphrase, "passphrase-file", "", "file with the passphrase of the vault's keys (default: the one that init made)")
}

// defaultFolder follows the XDG base directory specification.
func defaultFolder() string {
	if base := os.Getenv("XDG_DATA_HOME"); base != "" {
		return filepath.Join(base, "strongroomd")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "strongroomd"
	}
	return filepath.Join(home, ".local", "share", "strongroomd")
}

func (p *place) options() daemon.Options {
	return daemon.Options{
		PassphraseFile: p.passphrase,
		ConfigFile:     p.config,
		Tool:           program.Tool("strongroomd"),
		Limits:         vault.DefaultLimits,
		Now:            time.Now,
		Logger:         slog.New(slog.NewJSONHandler(os.Stderr, nil)),
	}
}

func initCommand() *cobra.Command {
	var p place
	var origin, recovery string
	var founders []string
	var wait time.Duration
	c := &cobra.Command{
		Use:   "init",
		Short: "Make a vault, or finish making one with its founders",
		Long: `Without --founder: makes the folder, the log's keys and the vault's own key, and
prints the vault's name. With --founder (at least one administrator and one
custodian) and --recovery: founds the vault and writes trust.json, the file that
everybody who verifies must be given apart from any evidence.

The recovery recipient belongs to an age identity that is kept offline
(age-keygen -pq makes one). It is on every keyring for ever.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if len(founders) == 0 {
				return create(c.Context(), c.OutOrStdout(), p, origin)
			}
			return found(c.Context(), c.OutOrStdout(), p, founders, recovery, wait)
		},
	}
	p.flags(c)
	c.Flags().StringVar(&origin, "origin", "", "the vault's name: a host name of yours (default: one is made up)")
	c.Flags().StringArrayVar(&founders, "founder", nil, "a founder's file; repeat it for each")
	c.Flags().StringVar(&recovery, "recovery", "", "age recipient of the offline recovery key (age1pq1…)")
	c.Flags().DurationVar(&wait, "waits", 0, "shorten every waiting time of the policy to this; for demonstrations only")
	return c
}

func create(ctx context.Context, out io.Writer, p place, origin string) error {
	name, err := daemon.Create(ctx, p.data, origin, p.options())
	if errors.Is(err, daemon.ErrExists) {
		return fmt.Errorf("%w: %s", err, p.data)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "Made       %s\n", p.data)
	fmt.Fprintf(out, "Name       %s\n", name)
	fmt.Fprintf(out, "Next       each founder runs: strongroom found --vault %s\n", name)
	if p.passphrase == "" {
		fmt.Fprintf(out, "Note       the keys' passphrase lies beside them (keys/passphrase); keep it elsewhere with --passphrase-file\n")
	}
	return nil
}

func found(ctx context.Context, out io.Writer, p place, files []string, recovery string, wait time.Duration) error {
	tool := p.options().Tool
	founding := daemon.Founding{Recovery: recovery, Policy: daemon.DefaultPolicy, Version: tool.Version, Build: tool.Build}
	if wait > 0 {
		s := max(int64(wait.Seconds()), 1)
		q := &founding.Policy // the times within which people must decide stay: nobody decides in seconds
		q.ConfirmWait, q.BinWait, q.WithdrawalWait, q.BackupHorizon = s, s, s, s
		fmt.Fprintf(out, "Warning    every waiting time is %s: this vault is for demonstration\n", wait)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		founding.Founders = append(founding.Founders, text)
	}
	trust, err := daemon.Found(ctx, p.data, p.options(), founding)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "Founded    %s by %d people\n", trust.Vault(), len(files))
	fmt.Fprintf(out, "Trust file %s\n", filepath.Join(p.data, "trust.json"))
	fmt.Fprintf(out, "Number     %s\n", tlog.SixGroups(trust.Fingerprint()))
	fmt.Fprintf(out, "Next       give the file to everybody who joins; compare the number by phone\n")
	return nil
}
