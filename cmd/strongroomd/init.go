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
	var origin, recovery, policy string
	var founders []string
	var wait time.Duration
	var inKMS daemon.KeyNames
	var postQuantum bool
	var stamps timestampFlags
	c := &cobra.Command{
		Use:   "init",
		Short: "Make a vault, or finish making one with its founders",
		Long: `Without --founder: makes the folder, the log's keys and the vault's own key, and
prints the vault's name. With --founder (at least one administrator and one
custodian) and --recovery: founds the vault and writes trust.json, the file that
everybody who verifies must be given apart from any evidence.

The vault's three keys are made as files, encrypted, unless a KMS has them: then
--log-key, --log-ed25519-key and --vault-key name them, by URIs such as
hashivault://NAME or awskms:///alias/NAME. sigstore's plugin for that KMS, the
program sigstore-kms-hashivault or sigstore-kms-awskms, must be on the PATH, here
and for every command. It must be ECDSA P-256 for --log-key and --vault-key. Keys
in a KMS are in no backup.

With --post-quantum the log signs with a key of ML-DSA-44 as well: who can forge
the other two kinds one day, with a quantum computer, cannot forge this one, and what
carries it is the log's own. It is always a file, for no KMS plugin signs so. It makes
every receipt 3.3 kB longer; and whoever checks packages with verify.py needs OpenSSL
3.5 or newer: with an older one that script answers incomplete, because it leaves
nothing unread that the trust file names. strongroom-verify needs nothing.

The recovery recipient belongs to an age identity that is kept offline, in parts:
strongroom ceremony makes it. It is on every keyring for ever.

With --witness-policy the log is watched by others: a checkpoint is final once
enough of the witnesses in the file have cosigned it, and courts are given
nothing before that. Without it the vault's operator alone vouches that there is
no other history.

Records, log and objects are in the folder unless the configuration (--config) says
otherwise: records in a PostgreSQL database that strongroomd migrate made ready, the
log in a Trillian log server, objects in a bucket. A vault keeps what it was made
with; its folder stays small, and is needed all the same.

Time-stamp authorities (RFC 3161) stand in the configuration. --timestamp-root
names the certificates that theirs must come from: they go into trust.json, and
each authority is asked once, so it must answer. --development-timestamps makes an
authority in the vault itself, for trying things out: the operator holds its key,
and whoever verifies is told that it proves nothing.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if len(founders) == 0 {
				return create(c.Context(), c.OutOrStdout(), p, origin, inKMS, postQuantum)
			}
			return found(c.Context(), c.OutOrStdout(), p, founders, recovery, policy, wait, stamps)
		},
	}
	p.flags(c)
	c.Flags().StringVar(&origin, "origin", "", "the vault's name: a host name of yours (default: one is made up)")
	c.Flags().StringArrayVar(&founders, "founder", nil, "a founder's file; repeat it for each")
	c.Flags().StringVar(&recovery, "recovery", "", "age recipient of the offline recovery key (age1pq1…)")
	c.Flags().StringVar(&inKMS.Log, "log-key", "", "URI of the log's ECDSA P-256 key in a KMS (default: a file is made)")
	c.Flags().StringVar(&inKMS.Note, "log-ed25519-key", "", "URI of the log's Ed25519 key in a KMS (default: a file is made)")
	c.Flags().StringVar(&inKMS.Vault, "vault-key", "", "URI of the vault's own ECDSA P-256 key in a KMS (default: a file is made)")
	c.Flags().BoolVar(&postQuantum, "post-quantum", false, "make a key of ML-DSA-44, with which the log signs as well")
	c.Flags().StringVar(&policy, "witness-policy", "", "file that says which witnesses must cosign the log (C2SP tlog-policy); it goes into trust.json")
	c.Flags().StringArrayVar(&stamps.roots, "timestamp-root", nil, "file (PEM) with certificates that those of the time-stamp authorities come from; repeat it for each")
	c.Flags().BoolVar(&stamps.development, "development-timestamps", false, "make a time-stamp authority that proves nothing to outsiders; for demonstrations only")
	c.Flags().DurationVar(&wait, "waits", 0, "shorten every waiting time of the policy to this; for demonstrations only")
	return c
}

// timestampFlags say whose time stamps a vault trusts.
type timestampFlags struct {
	roots       []string
	development bool
}

func create(ctx context.Context, out io.Writer, p place, origin string, inKMS daemon.KeyNames, postQuantum bool) error {
	o := p.options()
	o.Keys, o.PostQuantum = inKMS, postQuantum
	name, err := daemon.Create(ctx, p.data, origin, o)
	if errors.Is(err, daemon.ErrExists) {
		return fmt.Errorf("%w: %s", err, p.data)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "Made       %s\n", p.data)
	fmt.Fprintf(out, "Name       %s\n", name)
	fmt.Fprintf(out, "Next       each founder runs: strongroom found --vault %s\n", name)
	if p.passphrase == "" && (inKMS.Log == "" || inKMS.Note == "" || inKMS.Vault == "" || postQuantum) {
		fmt.Fprintf(out, "Note       the keys' passphrase lies beside them (keys/passphrase); keep it elsewhere with --passphrase-file\n")
	}
	return nil
}

func found(ctx context.Context, out io.Writer, p place, files []string, recovery, policy string, wait time.Duration, stamps timestampFlags) error {
	tool := p.options().Tool
	founding := daemon.Founding{Recovery: recovery, Policy: daemon.DefaultPolicy, Version: tool.Version, Build: tool.Build}
	if wait > 0 {
		s := max(int64(wait.Seconds()), 1)
		q := &founding.Policy // the times within which people must decide stay: nobody decides in seconds
		q.ConfirmWait, q.BinWait, q.WithdrawalWait, q.BackupHorizon = s, s, s, s
		fmt.Fprintf(out, "Warning    every waiting time is %s: this vault is for demonstration\n", wait)
	}
	if policy != "" {
		text, err := os.ReadFile(policy)
		if err != nil {
			return err
		}
		founding.Witness = string(text)
	}
	for _, file := range stamps.roots {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		founding.TimestampRoots = append(append(founding.TimestampRoots, text...), '\n')
	}
	if founding.DevelopmentTimestamps = stamps.development; stamps.development {
		fmt.Fprintf(out, "Warning    the development authority's time stamps prove nothing to outsiders\n")
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
	if n := len(trust.Policy().Witnesses()); n > 0 {
		key, err := daemon.WitnessKey(trust)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "Witnesses  %d; give each the log's name and this key of it: %s\n", n, key)
	}
	if n := len(trust.Authorities()); n > 0 {
		fmt.Fprintf(out, "Time from  %d, see trust.json\n", n)
	}
	fmt.Fprintf(out, "Next       give the file to everybody who joins; compare the number by phone\n")
	return nil
}
