package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/spf13/cobra"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/keys"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/wire"
)

func whoamiCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "whoami",
		Short: "Show who you are in the vault, your key number and the vault number",
		Long: `Shows your id and key number from this computer's keys, then asks the vault for
your entry and checks it: whether this key is the one that counts for you.

Signs:     a sign-in.`,
		Example: `  strongroom whoami --json`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if a.card {
				return a.whoamiByCard(c.Context())
			}
			k, err := a.keystore()
			if err != nil {
				return err
			}
			signer, err := a.signer(c.Context(), k)
			if err != nil {
				return err
			}
			return a.whoami(c.Context(), k, signer)
		},
	}
}

type whoami struct {
	Actor        evidence.ActorID `json:"actor"`
	Role         evidence.Role    `json:"role,omitempty"`
	Organization evidence.OrgID   `json:"organization,omitempty"`
	Status       evidence.Status  `json:"status,omitempty"`
	KeyNumber    string           `json:"key_number"`
	Current      bool             `json:"current"`          // this key is the one that counts
	Reason       string           `json:"reason,omitempty"` // why the vault's entry could not be checked
	Vault        string           `json:"vault,omitempty"`
	VaultNumber  string           `json:"vault_number,omitempty"`
	Server       string           `json:"server,omitempty"`
	Finality     *wire.Finality   `json:"finality,omitempty"` // how far witnesses and authorities confirmed the record book, as the vault says
	Folder       string           `json:"folder,omitempty"`   // none with a card
}

func (a *app) whoami(ctx context.Context, k client.Folder, signer *keys.Signer) error {
	recipient := ""
	id, err := a.identity(k)
	if err == nil {
		recipient = id.Recipient()
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	profile, err := client.ReadProfile(k)
	if err != nil {
		return err
	}
	w := whoami{Actor: profile.Actor, KeyNumber: tlog.SixGroups(evidence.Fingerprint(signer.SPKI(), recipient)), Server: profile.Address, Folder: string(k)}
	rows := []row{{"You", string(w.Actor)}, {"Key", w.KeyNumber}}
	state := "not connected to a vault yet"
	if cl, err := a.client(k, signer); err == nil {
		w.Vault, w.VaultNumber = cl.Trust().Vault(), tlog.SixGroups(cl.Trust().Fingerprint())
		v, err := cl.Look(ctx, evidence.ActorOf(w.Actor))
		switch {
		case client.LieOf(err) != "":
			return err
		case err != nil:
			p := explain(err)
			w.Reason, state = p.reason, p.sentence
		default:
			me := v.State(evidence.ActorOf(w.Actor)).(*evidence.ActorState)
			w.Role, w.Organization, w.Status, w.Current = me.Role, me.Organization, me.Status, tlog.SixGroups(me.Fingerprint()) == w.KeyNumber
			state = statuses[me.Status]
			if !w.Current {
				state += ". This key is not the one that counts for you."
			}
			names, err := namesOf(ctx, cl)
			if err != nil {
				return err
			}
			rows = append(rows, row{"Role", plain(string(me.Role)) + " for " + names.of(me.Organization)})
			if w.Finality, err = cl.Finality(ctx); err != nil {
				return err
			}
		}
		rows = append(rows, row{"Vault", w.Vault + " at " + w.Server}, row{"", w.VaultNumber})
		rows = append(rows, finality(w.Finality)...)
	}
	return a.show(w, append(rows, row{"State", state}, row{"Folder", w.Folder})...)
}

// finality says whether those whom the trust file names keep up with the record book.
func finality(f *wire.Finality) (rows []row) {
	if f == nil {
		return nil
	}
	said := fmt.Sprintf("all %d entries are confirmed by those whom the trust file names", f.Size)
	if f.Behind > 0 {
		said = fmt.Sprintf("%s not confirmed yet; what leaves for a court waits for that", plural(int(f.Behind), "entry is", "entries are"))
	}
	rows = append(rows, row{"Watched", said})
	for _, p := range slices.Concat(f.Witnesses, f.Authorities) {
		switch p.State {
		case wire.PeerStateAlarm:
			rows = append(rows, row{"", plain(p.Name) + " has seen another record book, or a longer one: tell the administrator and the auditors"})
		case wire.PeerStateFailing:
			rows = append(rows, row{"", plain(p.Name) + " does not answer; it is asked again by itself"})
		}
	}
	return rows
}

// statuses says what has become of a person's key.
var statuses = map[evidence.Status]string{
	evidence.StatusPending:   "not yet confirmed by a second person",
	evidence.StatusActive:    "active",
	evidence.StatusSuspended: "suspended",
	evidence.StatusRevoked:   "stopped for good",
}
