package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
)

func caseCommand(a *app) *cobra.Command {
	return group("case", "Cases: members, rights, and who holds a key",
		`A case holds items. Its members have rights until a date: deposit, open,
approve, manage, duty. Its keyholders receive a key to every item, and so does
the offline recovery key, always.`,
		openCaseCommand(a), listCasesCommand(a), showCaseCommand(a), addMemberCommand(a), removeMemberCommand(a), keyringCommand(a), rewrapCommand(a),
		closeCaseCommand(a), reopenCaseCommand(a))
}

func openCaseCommand(a *app) *cobra.Command {
	var typ string
	var members, keyholders []string
	c := &cobra.Command{
		Use:   "open",
		Short: "Open a case or a complaint",
		Long: `Opens a case with its first members and keyholders. "me" stands for yourself.
At least two members hold keys, and one of the members is a custodian who may
manage the case.

A complaint is about how a person was treated here. A survivor or an advocate
opens it, with a printed card too. It goes to all auditors, or to those that you
name with --member and --keyholder: only they hold keys, and decide what becomes
of it. Who is no member sees and opens nothing of it; auditors see that it
exists. Then tell them what happened:
  strongroom consent give --case CASE --form FILE --until 365d --storage yes
  strongroom deposit FILE --case CASE --content testimony --consent CONSENT

Signs:     case.opened.
For good:  the case stays in the record book. Members and keys can change.`,
		Example: `  strongroom case open --member me:deposit,open \
      --member act-5ysd…:open,approve,manage --member act-7c2k…:open \
      --keyholder act-5ysd… --keyholder act-7c2k…
  strongroom case open --type complaint --card`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cl, err := a.session(c.Context())
			if err != nil {
				return err
			}
			p := client.NewCase{Type: typ}
			if typ == "complaint" && len(members) == 0 {
				p, err = cl.Complaint(c.Context())
			} else {
				p.Members, p.Keyholders, err = readMembers(c.Context(), cl, members, keyholders)
			}
			if err != nil {
				return err
			}
			id, r, err := cl.OpenCase(c.Context(), p)
			if err != nil {
				return err
			}
			l := a.words()
			return a.recorded(r, fields{"case": id}, row{l.Say("label.opened"), l.Say("case.opened", "case", id,
				"members", l.Count("case.members", len(p.Members)), "keyholders", l.Count("case.keyholders", len(p.Keyholders)))})
		},
	}
	c.Flags().StringVar(&typ, "type", "case", "case or complaint")
	c.Flags().StringArrayVar(&members, "member", nil, "a member with rights, `ACTOR:RIGHTS`; repeat it")
	c.Flags().StringArrayVar(&keyholders, "keyholder", nil, "an `ACTOR`, member, who holds a key; repeat it")
	c.MarkFlagsRequiredTogether("member", "keyholder")
	return c
}

func readMembers(ctx context.Context, cl *client.Client, members, keyholders []string) (list []evidence.Member, holders []evidence.ActorID, err error) {
	if len(members) == 0 {
		return nil, nil, usage("a case has members and keyholders: --member ACTOR:RIGHTS --keyholder ACTOR")
	}
	for _, m := range members {
		member, err := parseMember(ctx, cl, m)
		if err != nil {
			return nil, nil, err
		}
		list = append(list, member)
	}
	holders, err = findActors(ctx, cl, keyholders)
	return list, holders, err
}

// parseMember reads ACTOR:RIGHT,RIGHT.
func parseMember(ctx context.Context, cl *client.Client, s string) (m evidence.Member, err error) {
	who, list, ok := strings.Cut(s, ":")
	if !ok || list == "" {
		return m, usage("a member is written ACTOR:RIGHT,RIGHT")
	}
	for right := range strings.SplitSeq(list, ",") {
		m.Rights = append(m.Rights, evidence.Right(right))
	}
	m.Actor, err = findActor(ctx, cl, who)
	return m, err
}

func listCasesCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List your cases",
		Long: `Lists the cases you are a member of, as the vault names them.

Signs:     nothing.`,
		Example: `  strongroom case list`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cl, err := a.session(c.Context())
			if err != nil {
				return err
			}
			list, err := cl.Cases(c.Context())
			if err != nil {
				return err
			}
			var rows []row
			for _, l := range list {
				label := "Open"
				if !l.Open {
					label = "Closed"
				}
				rows = append(rows, row{label, l.ID + "\n" + plural(len(l.Members), "member", "members") + ", " + plural(len(l.Keyholders), "keyholder", "keyholders")})
			}
			return a.show(some(list), orNone(rows, "You are a member of no case.")...)
		},
	}
}

func showCaseCommand(a *app) *cobra.Command {
	return about(a, &cobra.Command{
		Use:   "show CASE",
		Short: "Show a case: members, rights, keyholders",
		Long: `Shows a case from its checked history, proved to be complete.

Signs:     nothing.`,
		Example: `  strongroom case show cas-7c2k`,
	}, findCase, func(ctx context.Context, cl *client.Client, id evidence.CaseID) error {
		v, err := cl.Look(ctx, evidence.CaseOf(id))
		if err != nil {
			return err
		}
		in := v.State(evidence.CaseOf(id)).(*evidence.CaseState)
		open := "open"
		if !in.Open {
			open = "closed"
		}
		rows := []row{{"Case", string(id) + ", " + open}}
		for _, m := range in.Members {
			text := string(m.Actor) + "\n" + joined(m.Rights)
			if m.Until != 0 {
				text += " until " + dateOf(m.Until)
			}
			if in.Holds(m.Actor) {
				text += "; holds a key"
			}
			rows = append(rows, row{"Member", text})
		}
		return a.show(in, append(rows, row{"Recovery", tlog.SixGroups(in.Recovery)}, row{"Complete", "to " + dateOf(v.Time)})...)
	})
}

func addMemberCommand(a *app) *cobra.Command {
	var until, nameFile string
	c := &cobra.Command{
		Use:   "add-member CASE ACTOR:RIGHTS",
		Short: "Give a person rights in a case, or renew them",
		Long: `Adds a member with rights: deposit, open, approve, manage, duty. Adding a member
again replaces the rights. The person's name, if given, is sealed: only members
of the case read it.

Signs:     case.member_added, as who manages the case: a custodian, of a
           complaint an auditor.
For good:  what the person opens meanwhile cannot be called back.`,
		Example: `  strongroom case add-member cas-7c2k act-5ysd…:deposit,open --until 365d`,
		Args:    cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := a.session(c.Context())
			if err != nil {
				return err
			}
			id, err := findCase(c.Context(), cl, args[0])
			if err != nil {
				return err
			}
			m, err := parseMember(c.Context(), cl, args[1])
			if err != nil {
				return err
			}
			if until != "" {
				if m.Until, err = when(until); err != nil {
					return err
				}
			}
			name, err := a.text(nameFile)
			if err != nil {
				return err
			}
			r, err := cl.AddMember(c.Context(), id, m, name)
			if err != nil {
				return err
			}
			return a.recorded(r, fields{"case": id, "actor": m.Actor}, row{"Added", string(m.Actor) + ": " + joined(m.Rights)})
		},
	}
	c.Flags().StringVar(&until, "until", "", "end, a `TIME`: a date, or a length from now such as 365d")
	c.Flags().StringVar(&nameFile, "name-file", "", "`FILE` with the person's name (- for standard input)")
	return c
}

func removeMemberCommand(a *app) *cobra.Command {
	var cause string
	c := &cobra.Command{
		Use:   "remove-member CASE ACTOR --cause CAUSE",
		Short: "End a person's membership of a case",
		Long: `Access ends at once, and names of items are sealed with a new key from then on.
A keyholder leaves the keyring first (case keyring). Everybody may remove
themselves.

Signs:     case.member_removed, as who manages the case, or about yourself.
For good:  what the person opened before cannot be called back.`,
		Example: `  strongroom case remove-member cas-7c2k act-5ysd… --cause departure`,
		Args:    cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := a.session(c.Context())
			if err != nil {
				return err
			}
			id, err := findCase(c.Context(), cl, args[0])
			if err != nil {
				return err
			}
			gone, err := findActor(c.Context(), cl, args[1])
			if err != nil {
				return err
			}
			r, err := cl.RemoveMember(c.Context(), id, gone, evidence.Cause(cause))
			if err != nil {
				return err
			}
			return a.recorded(r, fields{"case": id, "actor": gone}, row{"Removed", string(gone) + ": access has ended"})
		},
	}
	c.Flags().StringVar(&cause, "cause", "", "departure, misconduct, replacement, request, error or compromise")
	required(c, "cause")
	return c
}

func keyringCommand(a *app) *cobra.Command {
	var added, removed []string
	var recovery bool
	c := &cobra.Command{
		Use:   "keyring CASE",
		Short: "Change who holds a key of a case",
		Long: `Adds or removes keyholders. Somebody both removed and added changes to the
present key: that is how new keys come onto the keyring. At least two keyholders
and the recovery key remain. Each change takes over the vault's recovery key;
--recovery does nothing else, after that was changed. Items get their new keys
with strongroom case rewrap.

Signs:     case.keyring_changed, as a keyholder who manages the case: a
           custodian, of a complaint an auditor. It takes effect at once.
For good:  what a removed keyholder opened before cannot be called back.`,
		Example: `  strongroom case keyring cas-7c2k --add act-5ysd… --remove act-7c2k…`,
	}
	c.Flags().StringArrayVar(&added, "add", nil, "an `ACTOR`, member, who is to hold a key; repeat it")
	c.Flags().StringArrayVar(&removed, "remove", nil, "an `ACTOR`, keyholder, who is to hold none; repeat it")
	c.Flags().BoolVar(&recovery, "recovery", false, "take over the vault's present recovery key, whoever else changes")
	c.MarkFlagsOneRequired("add", "remove", "recovery")
	return about(a, c, findCase, func(ctx context.Context, cl *client.Client, id evidence.CaseID) error {
		in, err := findActors(ctx, cl, added)
		if err != nil {
			return err
		}
		out, err := findActors(ctx, cl, removed)
		if err != nil {
			return err
		}
		r, err := cl.ChangeKeyring(ctx, id, in, out)
		if err != nil {
			return err
		}
		return a.recorded(r, fields{"case": id, "added": some(in), "removed": some(out)},
			row{"Keyring", "added: " + joined(in) + "; removed: " + joined(out)},
			row{"Next", "A keyholder runs strongroom case rewrap " + string(id) + ", so that every item follows."})
	})
}

func rewrapCommand(a *app) *cobra.Command {
	return about(a, &cobra.Command{
		Use:   "rewrap CASE",
		Short: "Write the keys that items of a case lack since the keyring changed",
		Long: `Goes through the items of a case and writes a key for each keyholder who lacks
one, and for the recovery key. Items that lack none are not opened. Stopped
half-way, it goes on when repeated.

Signs:     for each item that lacks keys: item.opened, because its key is
           opened, and item.envelope_added for each person.`,
		Example: `  strongroom case rewrap cas-7c2k`,
	}, findCase, func(ctx context.Context, cl *client.Client, id evidence.CaseID) error {
		items, err := cl.Items(ctx, id)
		if err != nil {
			return err
		}
		written, open := 0, 0
		lacking := []evidence.ItemID{}
		var first error
		for _, i := range items {
			receipts, err := cl.Rewrap(ctx, i.ID)
			written += len(receipts)
			if err == nil {
				continue
			}
			if client.LieOf(err) != "" || ctx.Err() != nil {
				return err
			}
			lacking = append(lacking, i.ID)
			if open++; first == nil {
				first = err
			}
		}
		err = a.show(fields{"case": id, "items": len(items), "written": written, "lacking": lacking},
			row{"Written", plural(written, "key", "keys") + " on " + plural(len(items), "item", "items")},
			row{"Lacking", joined(lacking)})
		if first != nil {
			return first
		}
		return err
	})
}
