package main

import (
	"context"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/wire"
)

func foundCommand(a *app) *cobra.Command {
	var vault, role, organization, out string
	var plainKeys bool
	c := &cobra.Command{
		Use:   "found --vault NAME --role ROLE --out FILE",
		Short: "Make a founder's keys and founder file for a new vault",
		Long: `Makes your keys on this computer and writes a founder file: your own enrolment,
signed with your new key. It holds public keys only. Give it to the person who
sets up the vault; the trust file will name your key.

A vault has at least two founders, an administrator and a custodian. Everybody
else is invited and confirmed by two persons.

Signs:     your enrolment (actor.enrolled).
For good:  the trust file names this key. A lost founder key is replaced by two
           other persons, never by one.
Next:      once the vault is founded: strongroom connect`,
		Example: `  strongroom found --vault vault.example --role custodian --out cu.founder`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			k, err := a.keystore()
			if err != nil {
				return err
			}
			if profile, err := client.ReadProfile(k); err == nil && profile.Actor != "" {
				return decline("keys_exist")
			}
			a.warnPlain(plainKeys)
			signer, err := a.makeSigner(c.Context(), k, plainKeys)
			if err != nil {
				return err
			}
			f := client.Founder{Origin: vault, Role: evidence.Role(role), Organization: evidence.OrgID(organization),
				Signer: signer, Tool: tool(), Time: evidence.At(time.Now())}
			if f.Organization == "" {
				f.Organization = evidence.NewID[evidence.OrgID]()
			}
			if !f.Role.Keyless() {
				id, err := a.makeIdentity(k, plainKeys)
				if err != nil {
					return err
				}
				f.Recipient = id.Recipient()
			}
			return a.found(k, f, out)
		},
	}
	c.Flags().StringVar(&vault, "vault", "", "the vault's `NAME`, as strongroomd init said it")
	c.Flags().StringVar(&role, "role", "", "administrator or custodian")
	c.Flags().StringVar(&organization, "organization", "", "your organization's `ID` (default: a new one)")
	c.Flags().StringVar(&out, "out", "", "founder `FILE` to write")
	c.Flags().BoolVar(&plainKeys, "plain-keys", false, "store the keys without a passphrase; for tests only")
	required(c, "vault", "role", "out")
	return c
}

func (a *app) found(k client.Folder, f client.Founder, out string) error {
	id, file, err := client.Found(f)
	if err != nil {
		return err
	}
	if err := saveAs(out, func(w io.Writer) error { _, err := w.Write(file); return err }); err != nil {
		return err
	}
	if err := client.WriteProfile(k, client.Profile{Actor: id}); err != nil {
		return err
	}
	number := tlog.SixGroups(evidence.Fingerprint(f.Signer.SPKI(), f.Recipient))
	return a.show(map[string]any{"result": "made", "file": out, "actor": id, "role": f.Role, "organization": f.Organization, "key_number": number},
		row{"Made", "your keys, and the founder file " + out},
		row{"Key", number}, row{"You", string(id)}, row{"For", string(f.Organization)},
		row{"Keep", string(k) + " and your passphrase. Without them nobody can act or read as you."},
		row{"Next", "give the founder file to the person who sets up the vault"})
}

func enrolCommand(a *app) *cobra.Command {
	var r reach
	var plainKeys bool
	var to string
	c := &cobra.Command{
		Use:   "enrol [CODE]",
		Short: "Join a vault: make your keys and answer an invitation",
		Long: `Shows the vault number to be compared by phone, shows what you are invited for,
makes your keys on this computer and offers their public halves to the vault.
Without CODE you are asked for it; that way it does not stay in the command
history.

You can act once the person who invited you has admitted your keys, and another
person has called you and confirmed your key number.

For new keys after a loss, use a new folder: --home FOLDER.

With --card, for a survivor who has no computer of her own: makes a new card,
and writes no key and no settings on this computer. --to FILE writes a page to
print, in the size of a bank card and in her language (--language); without it
the card's text is shown here. It names nobody and nothing, but the vault's
address is on it. Print the page, then delete the file: whoever has the code can
read and act as she. A lost card is replaced by a new one: strongroom actor
rotate, then enrol --card again. Address and trust file are given, or taken from
the folder of who helps her.

Signs:     that you hold these keys and want them in this vault.
For good:  nothing; an unconfirmed key can do nothing.`,
		Example: `  strongroom enrol --server https://vault.example --trust trust.json
  strongroom enrol --card --to card.html`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if a.card {
				return a.enrolByCard(c.Context(), args, r, to)
			}
			if to != "" {
				return usage("--to goes with --card")
			}
			k, err := a.keystore()
			if err != nil {
				return err
			}
			if _, _, err := a.connect(c.Context(), k, r); err != nil {
				return err
			}
			code, err := a.invitation(args)
			if err != nil {
				return err
			}
			return a.enrol(c.Context(), k, code, plainKeys)
		},
	}
	r.flags(c)
	c.Flags().StringVar(&to, "to", "", "with --card: `FILE` to write the page to print (- for standard output)")
	c.Flags().BoolVar(&plainKeys, "plain-keys", false, "store the keys without a passphrase; for tests only")
	return c
}

// invitationCode is the form of a code (api/openapi.yaml, Secret).
var invitationCode = regexp.MustCompile(`^[A-Za-z2-7]{26}$`)

// invitation returns the code that was given, or asks for it.
func (a *app) invitation(args []string) (code string, err error) {
	if len(args) > 0 {
		code = args[0]
	} else if code, err = a.ask("Invitation code:"); err != nil {
		return "", err
	}
	if code = strings.NewReplacer(" ", "", "-", "").Replace(code); !invitationCode.MatchString(code) {
		return "", decline("code_form")
	}
	return code, nil
}

// termsOf says what the invitation is for.
func termsOf(ctx context.Context, cl *client.Client, code string) (wire.InvitationTerms, error) {
	terms, err := cl.InvitationTerms(ctx, code)
	if evidence.KindOf(err) == evidence.NotFound {
		err = evidence.Refuse(evidence.NotFound, "invitation")
	}
	return terms, err
}

func (a *app) enrol(ctx context.Context, k client.Folder, code string, plainKeys bool) error {
	first, err := a.client(k, nil)
	if err != nil {
		return err
	}
	terms, err := termsOf(ctx, first, code)
	if err != nil {
		return err
	}
	if profile, err := client.ReadProfile(k); err == nil && profile.Actor != "" && (terms.Rotation || string(profile.Actor) != terms.Actor) {
		return decline("keys_exist")
	}
	invited := "be " + plain(string(terms.Role)) + " for " + terms.Organization
	if terms.Rotation {
		invited = "replace the keys of " + terms.Actor + ", " + plain(string(terms.Role))
	}
	printRows(a.err, row{"Invited to", invited})
	a.warnPlain(plainKeys)
	signer, err := a.makeSigner(ctx, k, plainKeys)
	if err != nil {
		return err
	}
	if !evidence.Role(terms.Role).Keyless() {
		if _, err := a.makeIdentity(k, plainKeys); err != nil {
			return err
		}
	}
	cl, err := a.client(k, signer)
	if err != nil {
		return err
	}
	fingerprint, err := cl.AnswerInvitation(ctx, code)
	if err != nil {
		return err
	}
	number := tlog.SixGroups(fingerprint)
	return a.show(map[string]any{"result": "answered", "actor": terms.Actor, "role": terms.Role, "organization": terms.Organization, "key_number": number},
		row{"Made", "your keys, on this computer only"},
		row{"Key", number}, row{"You", terms.Actor},
		row{"Keep", string(k) + " and your passphrase. Without them nobody can act or read as you."},
		row{"Next", "A second person will call you. Read them the six groups above."})
}
