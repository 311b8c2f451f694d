package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"strongroom.example/strongroom/internal/dossier"
	"strongroom.example/strongroom/internal/omniwitness"
	"strongroom.example/strongroom/internal/tlog"
)

// makeWitnesses makes two witnesses and the policy that asks for both. They run once the vault has a log that they could watch.
func (d *demo) makeWitnesses(program string) error {
	policy, names := "", []string{}
	for _, name := range []string{"one.witness.example", "two.witness.example"} {
		w, err := omniwitness.New(program, filepath.Join(d.dir, "witnesses", name), name, omniwitness.Ed25519)
		if err != nil {
			return demoCannot("The witness cannot be made: "+err.Error(), "Install it with ./scripts/omniwitness and name the file that it prints.")
		}
		d.witnesses = append(d.witnesses, w)
		policy += w.Line()
		names = append(names, name)
	}
	policy += "group both all " + strings.Join(names, " ") + "\nquorum both\n"
	return os.WriteFile(d.policyPath(), []byte(policy), 0o600)
}

func (d *demo) policyPath() string { return filepath.Join(d.dir, "witnesses", "policy") }

// startWitnesses has them watch the log that the trust file names.
func (d *demo) startWitnesses(ctx context.Context, trust tlog.Trust) error {
	for _, l := range trust.Logs() {
		key, ok := l.Key.(ed25519.PublicKey)
		if !ok {
			continue
		}
		verifier, err := note.NewEd25519VerifierKey(trust.Vault(), key)
		if err != nil {
			return err
		}
		for _, w := range d.witnesses {
			if err := w.Run(ctx, trust.Vault(), verifier); err != nil {
				return demoCannot("A witness does not start: "+err.Error(), "Install it with ./scripts/omniwitness and name the file that it prints.")
			}
			d.running = append(d.running, w)
		}
		return nil
	}
	return errors.New("the trust file names no Ed25519 key of the log")
}

func (d *demo) stopWitnesses() {
	for _, w := range d.running {
		w.Kill()
	}
}

// tellWitnesses says what witnesses and authorities add to a package, which the verifier has found there.
func (d *demo) tellWitnesses(report *dossier.Report) error {
	if len(d.witnesses) == 0 {
		return nil
	}
	for _, c := range report.Checks {
		if (c.Name == dossier.CheckWitnesses || c.Name == dossier.CheckTime) && c.Result != dossier.Pass {
			return errors.New("strongroom-verify did not find the witnesses' word in the package")
		}
	}
	d.checked("Both witnesses signed the states of the record book in the package. They sign one history only: the court need not believe the vault.")
	d.checked("Each state is time-stamped, by an authority that belongs to this demonstration. It proves nothing to outsiders, and the verifier says so.")
	return nil
}
