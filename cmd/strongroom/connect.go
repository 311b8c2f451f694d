package main

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
)

// reach are the flags by which a folder learns its vault.
type reach struct {
	server, trust, number string
	yes                   bool
}

func (r *reach) flags(c *cobra.Command) {
	c.Flags().StringVar(&r.server, "server", "", "the vault's address, a `URL` such as https://vault.example")
	c.Flags().StringVar(&r.server, "vault-url", "", "the same as --server")
	c.Flags().MarkHidden("vault-url")
	c.Flags().StringVar(&r.trust, "trust", "", "the vault's trust `FILE`")
	c.Flags().StringVar(&r.number, "number", "", "the vault `NUMBER` as you know it, instead of the question")
	c.Flags().BoolVar(&r.yes, "yes", false, "do not ask whether the vault number is right; for scripts")
}

func connectCommand(a *app) *cobra.Command {
	var r reach
	c := &cobra.Command{
		Use:   "connect --server URL --trust FILE",
		Short: "Tell this folder its vault: address and trust file",
		Long: `Shows the number of the vault's trust file, asks you to compare it by phone,
and remembers both. From then on everything the vault says is judged by this
trust file.

After the vault has rotated its keys, witnesses or time-stamp roots you are told
a new number: run this again with the new file. Beside the number it is then
checked that the new file keeps everything that the old one has, and that the
vault's own history, led back to its founders, says that two people decided what
is new. Until you do, this program refuses what the new keys sign.

Founders run this once the vault is founded. Everybody else gives the same
options to strongroom enrol. With --server alone, only the address changes.

Give the address as a whole. If it ends in #sha256:…, that is the number of the
vault's certificate, and this folder talks to no other. Without it, an authority
that this computer knows must vouch for the certificate.

Signs:     nothing.
For good:  the folder belongs to this vault. A second vault needs a second
           folder.`,
		Example: `  strongroom connect --server https://vault.example --trust trust.json`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			k, err := a.keystore()
			if err != nil {
				return err
			}
			trust, profile, err := a.connect(c.Context(), k, r)
			if err != nil {
				return err
			}
			next := "strongroom enrol with the code you were given"
			if profile.Actor != "" {
				next = "strongroom whoami"
			}
			number := tlog.SixGroups(trust.Fingerprint())
			return a.show(map[string]any{"result": "connected", "vault": trust.Vault(), "vault_number": number, "server": profile.Address},
				row{"Connected", trust.Vault() + " at " + profile.Address}, row{"Vault", number}, row{"Next", next})
		},
	}
	r.flags(c)
	return c
}

// connect pins the trust file, remembers the address, and returns what is known of the vault from then on.
func (a *app) connect(ctx context.Context, k client.Keystore, r reach) (trust tlog.Trust, profile client.Profile, err error) {
	if r.server != "" {
		if r.server, err = address(r.server); err != nil {
			return trust, profile, err
		}
	}
	if trust, err = a.pin(ctx, k, r); err != nil {
		return trust, profile, err
	}
	if profile, err = client.ReadProfile(k); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return trust, profile, err
	}
	if r.server == "" {
		if profile.Address == "" {
			return trust, profile, usage("--server is missing")
		}
		return trust, profile, nil
	}
	profile.Address = r.server
	return trust, profile, client.WriteProfile(k, profile)
}

// pin compares and pins the trust file that was given, and returns the pinned one.
func (a *app) pin(ctx context.Context, k client.Keystore, r reach) (trust tlog.Trust, err error) {
	if r.trust == "" {
		if trust, err = client.ReadTrust(k); errors.Is(err, fs.ErrNotExist) {
			err = usage("--trust is missing")
		}
		return trust, err
	}
	text, err := os.ReadFile(r.trust)
	if err != nil {
		return trust, err
	}
	if trust, err = tlog.ParseTrust(text); err != nil {
		return trust, cannot("trust_file", err)
	}
	if err := a.compare(k, trust, r); err != nil {
		return trust, err
	}
	err = client.Pin(k, trust)
	if errors.Is(err, client.ErrPinned) {
		if old, failed := client.ReadTrust(k); failed == nil && old.Vault() == trust.Vault() {
			err = a.repin(ctx, k, r, trust)
		}
	}
	return trust, err
}

// repin takes a newer trust file of the same vault in the place of the pinned one, if the vault's history says that it was decided.
func (a *app) repin(ctx context.Context, k client.Keystore, r reach, trust tlog.Trust) error {
	own, ok := k.(client.Folder)
	if !ok {
		return client.ErrPinned
	}
	profile, err := client.ReadProfile(k)
	if err != nil {
		return err
	}
	if r.server != "" && r.server != profile.Address {
		profile.Address = r.server
		if err := client.WriteProfile(k, profile); err != nil {
			return err
		}
	}
	signer, err := a.signer(ctx, own)
	if err != nil {
		return err
	}
	return client.Repin(ctx, a.config(own, signer), trust)
}

// compare lets the person check the vault number over a second channel, unless this folder trusts the vault already.
func (a *app) compare(k client.Keystore, trust tlog.Trust, r reach) error {
	if pinned, err := client.ReadTrust(k); err == nil && pinned.Fingerprint() == trust.Fingerprint() {
		return nil
	}
	number := tlog.SixGroups(trust.Fingerprint())
	if r.number != "" {
		if given, err := tlog.ParseSixGroups(r.number); err != nil || given != number {
			return decline("number_differs")
		}
		return nil
	}
	printRows(a.err, row{"Vault", trust.Vault()}, row{"Number", number},
		row{"Compare", "Call the vault's custodian on a number you already had, not one from the invitation, and read all six groups to each other."})
	if r.yes {
		return nil
	}
	answer, err := a.ask(`Type "same" if all six are the same; anything else stops:`)
	if err == nil && answer != "same" {
		err = decline("declined")
	}
	return err
}

// address accepts https alone, with the number of the certificate behind the # if the vault's operator gave one.
func address(s string) (string, error) {
	a, err := client.ParseAddress(s)
	switch {
	case evidence.ReasonOf(err) == "not_encrypted":
		return "", decline("not_encrypted")
	case err != nil:
		return "", usage("--server is not an address such as https://vault.example")
	}
	return a.String(), nil
}
