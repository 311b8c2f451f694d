package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"strongroom.example/strongroom/internal/audit"
	"strongroom.example/strongroom/internal/keys"
)

// The auditor's key for cosigning in the folder, and its name.
const (
	auditKeyFile  = "audit.pem"
	auditNameFile = "audit.name"
)

func auditKeyCommand(a *app) *cobra.Command {
	var name string
	var plainKeys bool
	c := &cobra.Command{
		Use:   "key [--name NAME]",
		Short: "Make your key for signing what you followed, and show its public half",
		Long: `Makes a key of its own for strongroom audit follow --cosign, on this computer,
under your passphrase, and shows its public half. If there is one already, it is
shown.

Give the public half to the operator of the vault. It goes into the group
auditors of the trust file's witness policy; who has such a trust file counts
your signatures. --name is your name in it, such as the name of your host; it
cannot be changed later.

Signs:     nothing.`,
		Example: `  strongroom audit key --name auditor.example`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			by, err := a.makeCosigner(c.Context(), name, plainKeys)
			if err != nil {
				return err
			}
			known, _, _ := strings.Cut(by.VerifierKey(), "+")
			return a.show(map[string]string{"name": known, "key": by.VerifierKey()},
				row{"Name", known}, row{"Key", by.VerifierKey()},
				row{"Next", "give both to the operator of the vault, for the group auditors of its witness policy"})
		},
	}
	c.Flags().StringVar(&name, "name", "", "`NAME` of the key, without spaces")
	c.Flags().BoolVar(&plainKeys, "plain-keys", false, "store the key without a passphrase; for tests only")
	return c
}

// makeCosigner makes the key and writes down its name, or returns what is there. An attempt that was interrupted in between is finished.
func (a *app) makeCosigner(ctx context.Context, name string, plain bool) (*audit.Cosigner, error) {
	k, err := a.keystore()
	if err != nil {
		return nil, err
	}
	known, err := k.Read(auditNameFile)
	switch {
	case err == nil && name != "" && name != string(known):
		return nil, usage("your key has the name " + string(known) + " already")
	case err == nil:
		return a.cosigner(ctx)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	case name == "":
		return nil, usage("--name is missing")
	}
	if _, err := audit.NewCosigner(name, make(ed25519.PublicKey, ed25519.PublicKeySize), nil); err != nil {
		return nil, usage("--name has no spaces, no plus and only letters of the English alphabet, digits and signs")
	}
	path := filepath.Join(string(k), auditKeyFile)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		a.warnPlain(plain)
		passphrase, err := a.passphraseFor(plain)
		if err != nil {
			return nil, err
		}
		if _, err := keys.Create(path, keys.Ed25519, []byte(passphrase)); err != nil {
			return nil, err
		}
	}
	if err := k.Write(auditNameFile, []byte(name)); err != nil {
		return nil, err
	}
	return a.cosigner(ctx)
}

// cosigner unlocks the auditor's key.
func (a *app) cosigner(ctx context.Context) (*audit.Cosigner, error) {
	k, err := a.keystore()
	if err != nil {
		return nil, err
	}
	name, err := k.Read(auditNameFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &problem{code: exitRefused, label: "Refused", reason: "audit_key", kept: keptAll,
			sentence: "There is no key in this folder for signing what you followed.", next: "Make it: strongroom audit key --name NAME."}
	}
	if err != nil {
		return nil, err
	}
	path := filepath.Join(string(k), auditKeyFile)
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	passphrase := ""
	if keys.Encrypted(text) {
		if passphrase, err = a.knownPassphrase(); err != nil {
			return nil, err
		}
	}
	signer, err := keys.Open(ctx, path, []byte(passphrase))
	if err != nil {
		return nil, err
	}
	public, ok := signer.Public().(ed25519.PublicKey)
	if !ok {
		return nil, keys.ErrUnsupported
	}
	return audit.NewCosigner(string(name), public, signer.Sign)
}
