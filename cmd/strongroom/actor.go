package main

import (
	"strings"

	"github.com/spf13/cobra"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/wire"
)

func actorCommand(a *app) *cobra.Command {
	return group("actor", "People of the vault: invite, admit, confirm, suspend, stop",
		`A person joins in four steps by three people: one invites, the person answers
with own keys (strongroom enrol), the first admits them, and another one calls
the person and confirms the key number. Nobody confirms the own key.

Staff are invited by an administrator; everybody else by a custodian.`,
		inviteCommand(a), admitCommand(a), confirmCommand(a), rotateCommand(a), suspendCommand(a), revokeCommand(a), listActorsCommand(a))
}

func inviteCommand(a *app) *cobra.Command {
	var role, organization string
	var documentsOnly bool
	c := &cobra.Command{
		Use:   "invite --role ROLE",
		Short: "Make an invitation code for a new person",
		Long: `Makes a code that lets one person offer keys for one role. Hand it over outside
the vault, together with the vault's address and trust file. It counts once and
ends after some days.

Roles of staff (an administrator invites): clinician, investigator, custodian,
auditor, administrator. Others (a custodian invites): court, prosecutor, police,
defence, survivor, advocate, trustee.

Signs:     nothing yet; actor admit does.`,
		Example: `  strongroom actor invite --role court`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			o := client.Offer{Role: evidence.Role(role), Organization: evidence.OrgID(organization), DocumentsOnly: documentsOnly}
			if o.Organization == "" {
				o.Organization = evidence.NewID[evidence.OrgID]()
			}
			return a.invite(c, o)
		},
	}
	c.Flags().StringVar(&role, "role", "", "the person's role")
	c.Flags().StringVar(&organization, "organization", "", "the organization's `ID` (default: a new one)")
	c.Flags().BoolVar(&documentsOnly, "documents-only", false, "a clinician who documents facts and states no opinions")
	required(c, "role")
	return c
}

func (a *app) invite(c *cobra.Command, o client.Offer) error {
	cl, err := a.session(c.Context())
	if err != nil {
		return err
	}
	code, digest, err := cl.Invite(c.Context(), o)
	if err != nil {
		return err
	}
	rows := []row{{"Code", code}, {"Number", digest.String()}}
	if o.Organization != "" {
		rows = append(rows, row{"For", string(o.Organization)})
	}
	return a.show(map[string]any{"result": "invited", "code": code, "invitation": digest, "role": o.Role, "organization": o.Organization},
		append(rows, row{"Next", "Give the code to the person, not by way of the vault. The person runs strongroom enrol; then run strongroom actor admit " + digest.String()[:8] + "."})...)
}

func rotateCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "rotate ACTOR",
		Short: "Make an invitation code for a person's new keys",
		Long: `For a person who lost the keys, or whose keys may be in other hands. Makes a
code as actor invite does; the person answers it with strongroom enrol in a new
folder. Then actor admit --cause signs the change: after a loss the old key is
stopped at once. A second person confirms the new key number.

For a survivor's lost card: a custodian, or somebody whom she named as trusted,
runs this and admits the new card; another one of them confirms it. She answers
with strongroom enrol --card.

Signs:     nothing yet; actor admit does.`,
		Example: `  strongroom actor rotate act-5ysd…`,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			id, err := evidence.ParseID[evidence.ActorID](args[0])
			if err != nil {
				return err
			}
			return a.invite(c, client.Offer{Rotation: id})
		},
	}
}

func admitCommand(a *app) *cobra.Command {
	var cause string
	var trustees []string
	c := &cobra.Command{
		Use:   "admit INVITATION",
		Short: "Admit the keys of a person who answered your invitation",
		Long: `Checks that the person who answered holds the offered keys and signs the
enrolment, or the change of keys. INVITATION is the number that actor invite
showed; its beginning is enough. It works on the device that made the
invitation: only there it is known what it was for.

Signs:     actor.enrolled, or actor.key_rotated.
For good:  nothing yet. The keys wait for another person's confirmation.`,
		Example: `  strongroom actor admit 3f9c21aa`,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			trusted, err := all(trustees, evidence.ParseID[evidence.ActorID])
			if err != nil {
				return err
			}
			cl, err := a.session(c.Context())
			if err != nil {
				return err
			}
			list, err := cl.Invitations(c.Context())
			if err != nil {
				return err
			}
			i, err := unique(list, args[0], func(i wire.Invitation) string { return i.Digest })
			if err != nil {
				return err
			}
			digest, err := evidence.ParseHash(i.Digest)
			if err != nil {
				return err
			}
			r, err := cl.Admit(c.Context(), digest, evidence.Cause(cause), trusted...)
			if err != nil {
				return err
			}
			return a.recorded(r, fields{"actor": i.Actor, "role": i.Role},
				row{"Admitted", plain(string(i.Role)) + " " + i.Actor}, row{"Not yet", "Another person must call and confirm the key number."},
				row{"Next", "They run: strongroom actor confirm " + i.Actor})
		},
	}
	c.Flags().StringVar(&cause, "cause", "", "for new keys: loss, compromise, replacement or upgrade")
	c.Flags().StringArrayVar(&trustees, "trustee", nil, "for a survivor: a trusted person, `ACTOR`; repeat it")
	return c
}

func confirmCommand(a *app) *cobra.Command {
	var method, number string
	c := &cobra.Command{
		Use:   "confirm ACTOR",
		Short: "Confirm a person's key number after calling them",
		Long: `Call the person on a number you already had, not one from a message about this
request. Let them read their key number (strongroom whoami) and type what you
hear. If it is not the number of the keys that wait, nothing is signed: someone
may stand between you and them.

Signs:     actor.confirmed, as the second person.
For good:  from now on the person's signature counts.`,
		Example: `  strongroom actor confirm act-5ysd… --method phone`,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			id, err := evidence.ParseID[evidence.ActorID](args[0])
			if err != nil {
				return err
			}
			cl, err := a.session(c.Context())
			if err != nil {
				return err
			}
			if number == "" {
				if number, err = a.ask("Key number as you hear it (six groups of five):"); err != nil {
					return err
				}
			}
			r, err := cl.Confirm(c.Context(), client.Confirmation{Actor: id, Typed: number, Method: evidence.Method(method)})
			if err != nil {
				return err
			}
			return a.recorded(r, fields{"actor": id}, row{"Confirmed", string(id) + ": signatures count from now on"})
		},
	}
	c.Flags().StringVar(&method, "method", "phone", "how you compared: phone, video, in_person or letter")
	c.Flags().StringVar(&number, "number", "", "the key `NUMBER` as you heard it, instead of the question")
	return c
}

func suspendCommand(a *app) *cobra.Command {
	var cause, until string
	c := &cobra.Command{
		Use:   "suspend ACTOR --cause CAUSE --until TIME",
		Short: "Suspend a person for a time",
		Long: `Until then no signature of the person counts: no opening, no deposit, no
approval. It ends by itself.

Signs:     actor.suspended. It takes effect at once.`,
		Example: `  strongroom actor suspend act-5ysd… --cause loss --until 72h`,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			id, err := evidence.ParseID[evidence.ActorID](args[0])
			if err != nil {
				return err
			}
			end, err := when(until)
			if err != nil {
				return err
			}
			cl, err := a.session(c.Context())
			if err != nil {
				return err
			}
			r, err := cl.Suspend(c.Context(), id, evidence.Cause(cause), end)
			if err != nil {
				return err
			}
			return a.recorded(r, fields{"actor": id}, row{"Suspended", string(id) + " until " + dateOf(end)})
		},
	}
	c.Flags().StringVar(&cause, "cause", "", "loss, compromise, misconduct, overdue or request")
	c.Flags().StringVar(&until, "until", "", "end, a `TIME`: a date, or a length from now such as 72h or 7d")
	required(c, "cause", "until")
	return c
}

func revokeCommand(a *app) *cobra.Command {
	var cause string
	var yes bool
	c := &cobra.Command{
		Use:   "revoke ACTOR --cause CAUSE",
		Short: "Stop a person's key for good",
		Long: `No later signature of the person counts, ever. What the person did before stays
valid and visible. Everybody may stop the own key.

Signs:     actor.revoked. It takes effect at once.
For good:  it cannot be undone; the person would have to be invited anew, as
           another one. You type "revoke" to sign.`,
		Example: `  strongroom actor revoke act-5ysd… --cause departure`,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			id, err := evidence.ParseID[evidence.ActorID](args[0])
			if err != nil {
				return err
			}
			cl, err := a.session(c.Context())
			if err != nil {
				return err
			}
			v, err := cl.Look(c.Context(), evidence.ActorOf(id))
			if err != nil {
				return err
			}
			names, err := namesOf(c.Context(), cl)
			if err != nil {
				return err
			}
			who := v.State(evidence.ActorOf(id)).(*evidence.ActorState)
			err = a.consent(yes, "revoke",
				row{"If you go on", "No signature of this person counts any more. Items the person could open stay closed to them."},
				row{"Who", plain(string(who.Role)) + " for " + names.of(who.Organization) + ", " + statuses[who.Status]},
				row{"Key", tlog.SixGroups(who.Fingerprint())},
				row{"For good", "This cannot be undone. Copies the person made cannot be called back."})
			if err != nil {
				return err
			}
			r, err := cl.Revoke(c.Context(), id, evidence.Cause(cause))
			if err != nil {
				return err
			}
			return a.recorded(r, fields{"actor": id}, row{"Stopped", string(id) + ", for good"},
				row{"Next", "If the person held keys of cases, replace them: strongroom case keyring"})
		},
	}
	c.Flags().StringVar(&cause, "cause", "", "loss, compromise, departure, misconduct or request")
	c.Flags().BoolVar(&yes, "yes", false, "do not ask; for scripts")
	required(c, "cause")
	return c
}

func listActorsCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the people of the vault, and your open invitations",
		Long: `Lists people as the vault names them, for orientation: whoever decides something
checks the person's entry first, and this program does that by itself. What an
organization is called is the word of the vault's operator.

Signs:     nothing.`,
		Example: `  strongroom actor list --json`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cl, err := a.session(c.Context())
			if err != nil {
				return err
			}
			people, err := cl.Directory(c.Context())
			if err != nil {
				return err
			}
			open, err := cl.Invitations(c.Context())
			if err != nil && evidence.KindOf(err) != evidence.Forbidden && evidence.KindOf(err) != evidence.NotFound {
				return err
			}
			names, err := namesOf(c.Context(), cl)
			if err != nil {
				return err
			}
			rows := []row{}
			for _, p := range people {
				number := "–"
				if f, err := evidence.ParseHash(p.Fingerprint); err == nil {
					number = tlog.SixGroups(f)
				}
				text := p.ID + "\n" + number + ", " + statuses[evidence.Status(p.Status)] + founder(p.Founder)
				if p.Organization != "" {
					text += "\nfor " + names.of(evidence.OrgID(p.Organization))
				}
				rows = append(rows, row{plain(string(p.Role)), text})
			}
			for _, i := range open {
				state := "not answered"
				if i.Keys != nil {
					state = "answered; admit it"
				}
				rows = append(rows, row{"Invited", plain(string(i.Role)) + ", " + i.Digest[:8] + ", " + state})
			}
			for i := range rows {
				if rows[i].label != "" {
					rows[i].label = strings.ToUpper(rows[i].label[:1]) + rows[i].label[1:]
				}
			}
			return a.show(struct {
				People      []wire.Actor      `json:"people"`
				Invitations []wire.Invitation `json:"invitations"`
			}{some(people), some(open)}, orNone(rows, "Nobody is listed for you.")...)
		},
	}
}

func founder(is bool) string {
	if is {
		return ", founder"
	}
	return ""
}
