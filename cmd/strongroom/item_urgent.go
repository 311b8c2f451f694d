package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/evidence"
)

func handOverCommand(a *app) *cobra.Command {
	var to, class, place, noteFile string
	var look leaving
	c := &cobra.Command{
		Use:   "hand-over ITEM --to ACTOR",
		Short: "Record that an object leaves your hands",
		Long: `Records who hands a physical item to whom. Kit, seal, contents, condition and
both names are asked for, or read from --note; they are sealed to who opens the
item. To somebody without an account here: --class says what they are.

To police and prosecutors, and to courts of the country in --place, only as the
consent says for objects.

` + addHelp + `

Signs:     item.transferred.
Next:      the receiver runs strongroom item receive, or a member who holds the
           signed paper`,
		Example: `  strongroom item hand-over itm-7c2k --class police --place NL`,
	}
	f := c.Flags()
	f.StringVar(&to, "to", "", "the receiver, an `ACTOR`")
	f.StringVar(&class, "class", "", "what the receiver is: clinician, investigator, police, court, …")
	f.StringVar(&place, "place", "", "`COUNTRY` of the act, such as NL (default: withheld)")
	f.StringVar(&noteFile, "note", "", "`FILE` with kit, seal, contents, condition, by whom, to whom (- for standard input)")
	look.flags(c)
	c.MarkFlagsOneRequired("to", "class")
	c.MarkFlagsMutuallyExclusive("to", "class")
	return about(a, c, findItem, func(ctx context.Context, cl *client.Client, id evidence.ItemID) error {
		p := client.HandOver{Item: id, Class: evidence.Role(class), Place: place}
		var err error
		if to != "" {
			if p.To, err = findActor(ctx, cl, to); err != nil {
				return err
			}
		}
		if p.Note, err = a.written(noteFile, "Kit:", "Seal:", "Contents:", "Condition:", "Handed over by:", "Received by:"); err != nil {
			return err
		}
		if p.Check, err = look.check(a); err != nil {
			return err
		}
		r, err := cl.HandOverItem(ctx, p)
		if err != nil {
			return err
		}
		receiver := plain(string(r.Event.Details.(*evidence.ItemTransferredDetails).Class))
		return a.recorded(r, fields{"item": id, "to": p.To}, row{"On its way", string(id) + " to " + receiver},
			row{"Next", "The receiver confirms: strongroom item receive " + string(id) + " --seal intact"})
	})
}

func receiveCommand(a *app) *cobra.Command {
	var seal, noteFile string
	var look leaving
	c := &cobra.Command{
		Use:   "receive ITEM --seal STATE",
		Short: "Record that an object has arrived",
		Long: `Records that what was handed over has arrived, and whether its seal was intact.
Its condition is asked for, or read from --note.

` + addHelp + `

Signs:     item.received, as the receiver who was named, or as a member of the
           case who holds the signed paper.`,
		Example: `  strongroom item receive itm-7c2k --seal intact`,
	}
	c.Flags().StringVar(&seal, "seal", "", "intact or broken")
	c.Flags().StringVar(&noteFile, "note", "", "`FILE` with the condition (- for standard input)")
	look.flags(c)
	required(c, "seal")
	return about(a, c, findItem, func(ctx context.Context, cl *client.Client, id evidence.ItemID) error {
		if seal != "intact" && seal != "broken" {
			return usage("--seal is intact or broken")
		}
		condition, err := a.written(noteFile, "In which condition is it?")
		if err != nil {
			return err
		}
		check, err := look.check(a)
		if err != nil {
			return err
		}
		r, err := cl.ReceiveItem(ctx, id, seal == "intact", condition, check)
		if err != nil {
			return err
		}
		return a.recorded(r, fields{"item": id, "seal_intact": seal == "intact"}, row{"Received", string(id) + ", seal " + seal})
	})
}

func breakGlassCommand(a *app) *cobra.Command {
	var code, reasonFile, to string
	var yes bool
	c := &cobra.Command{
		Use:   "break-glass ITEM --code CODE --to FILE",
		Short: "Open an item in an emergency, without the right to open",
		Long: `For a keyholder on duty who may not open the item otherwise, where a life, a
person's safety or a legal deadline cannot wait. It waives the right to open,
nothing else: what is stopped stays stopped. Another person reviews it. Who is
not reviewed in time is suspended. You type "emergency".

Code: life, safety, legal_deadline. The reason is asked for, or read from
--reason-file; it is sealed to the members of the case.

Signs:     item.break_glass, before anything is fetched. Custodians, auditors
           and the person concerned may see it.
For good:  the entry stays.`,
		Example: `  strongroom item break-glass itm-7c2k --code life --to record.pdf`,
	}
	f := c.Flags()
	f.StringVar(&code, "code", "", "life, safety or legal_deadline")
	f.StringVar(&to, "to", "", "`FILE` to write")
	f.StringVar(&reasonFile, "reason-file", "", "`FILE` with the reason (- for standard input)")
	f.BoolVar(&yes, "yes", false, "do not ask; for scripts")
	required(c, "code", "to")
	return about(a, c, findItem, func(ctx context.Context, cl *client.Client, id evidence.ItemID) error {
		v, err := cl.Look(ctx, evidence.ItemOf(id))
		if err != nil {
			return err
		}
		policy, err := v.Policy()
		if err != nil {
			return err
		}
		p := client.Emergency{Item: id, Code: code}
		if p.Reason, err = a.written(reasonFile, "Why can it not wait?"); err != nil {
			return err
		}
		err = a.consent(yes, "emergency", row{"If you go on", ""}, row{"Opens", called(v.State(evidence.ItemOf(id)).(*evidence.ItemState))},
			row{"Review", "Another person reviews it within " + shortly(policy.ReviewTime) + ". Otherwise you are suspended."})
		if err != nil {
			return err
		}
		review := evidence.Time(0)
		opened, err := a.write(to, func(progress client.Progress, w io.Writer) (opened *client.Opened, err error) {
			p.Progress = progress
			opened, review, err = cl.BreakGlass(ctx, p, w)
			return opened, err
		})
		if review != 0 {
			printRows(a.err, row{"Review", "by " + dateOf(review) + ", by another person: strongroom item review " + string(id)})
		}
		if err != nil {
			return err
		}
		return a.opened(opened, fields{"item": id, "review_due": review}, to)
	})
}

// emergency is what a list says of an emergency opening.
type emergency struct {
	Item evidence.ItemID `json:"item"`
	Case evidence.CaseID `json:"case"`
	Code string          `json:"code"`
	evidence.EmergencyState
	State string `json:"state"` // open, overdue, justified or unjustified

	event client.Entry
}

// emergencies lists those on an item, with what their events say.
func emergenciesOn(ctx context.Context, cl *client.Client, item *evidence.ItemState, now evidence.Time) (list []emergency, _ error) {
	if len(item.Emergencies) == 0 {
		return nil, nil
	}
	steps, err := cl.History(ctx, evidence.ItemOf(item.ID))
	if err != nil {
		return nil, err
	}
	for _, m := range item.Emergencies {
		e := emergency{Item: item.ID, Case: item.Case, EmergencyState: m}
		switch {
		case m.ReviewedBy != "" && m.Justified:
			e.State = "justified"
		case m.ReviewedBy != "":
			e.State = "unjustified"
		case now >= m.Due:
			e.State = "overdue"
		default:
			e.State = "open"
		}
		if i := slices.IndexFunc(steps, func(s client.Entry) bool { return s.Leaf == m.Event }); i >= 0 {
			e.event = steps[i]
			if d, ok := steps[i].Details.(*evidence.ItemBreakGlassDetails); ok {
				e.Code = d.Code
			}
		}
		list = append(list, e)
	}
	return list, nil
}

func reviewCommand(a *app) *cobra.Command {
	var justified, event, noteFile string
	var yes, unread bool
	var look leaving
	c := &cobra.Command{
		Use:   "review ITEM --justified yes|no",
		Short: "Review an emergency opening, as another person",
		Long: `Shows who opened the item in an emergency, when and why, and records whether
that was justified and what follows from it. That is asked for, or read from
--note. A custodian of the case or an auditor does it, never who opened. You
type "review".

The reason is sealed for the members of the case. An auditor who is none of them
cannot read it, and a custodian who manages the case can make them one for as
long as it takes: strongroom case add-member. To say yes without having read why
would make of the second person a form, so that needs --unread, and what follows
from it should say on what else it rests. No can be said without.

` + addHelp + `

Signs:     item.break_glass_reviewed.`,
		Example: `  strongroom item review itm-7c2k --justified yes`,
	}
	f := c.Flags()
	f.StringVar(&justified, "justified", "", "yes or no")
	f.StringVar(&event, "opening", "", "which one, if several wait: the `EVENT` that item emergencies shows")
	f.StringVar(&noteFile, "note", "", "`FILE` with what follows from it (- for standard input)")
	f.BoolVar(&yes, "yes", false, "do not ask; for scripts")
	f.BoolVar(&unread, "unread", false, "say yes without having read the reason")
	look.flags(c)
	required(c, "justified")
	return about(a, c, findItem, func(ctx context.Context, cl *client.Client, id evidence.ItemID) error {
		if justified != "yes" && justified != "no" {
			return usage("--justified is yes or no")
		}
		v, err := cl.Look(ctx, evidence.ItemOf(id))
		if err != nil {
			return err
		}
		item := v.State(evidence.ItemOf(id)).(*evidence.ItemState)
		list, err := emergenciesOn(ctx, cl, item, v.Time)
		if err != nil {
			return err
		}
		list = slices.DeleteFunc(list, func(e emergency) bool {
			return e.ReviewedBy != "" || !strings.HasPrefix(e.Event.String(), event)
		})
		switch {
		case len(list) == 0:
			return evidence.Refuse(evidence.NotFound, evidence.ReasonEmergency)
		case len(list) > 1:
			return decline("ambiguous")
		case list[0].By == cl.Actor(): // before anything is asked; the law says the same afterwards
			return evidence.Refuse(evidence.Forbidden, evidence.ReasonSecondPerson)
		}
		e := list[0]
		why, read, err := noteOf(ctx, cl, item, "reason", func(s client.Entry) bool { return s.Leaf == e.Event })
		if err != nil {
			return err
		}
		if !read {
			why += "\nIt is sealed for the members of the case. A custodian who manages it can add you: strongroom case add-member " +
				string(item.Case) + " " + string(cl.Actor()) + ":open --until 7d. Without a key that opens nothing."
		}
		rows := append(e.rows(), row{"Why", why})
		printRows(a.err, rows...)
		if !read && justified == "yes" && !unread {
			return decline("reason_unread")
		}
		measures, err := a.written(noteFile, "What follows from it?")
		if err != nil {
			return err
		}
		if err := a.consent(yes, "review", row{"You say", "justified: " + justified}); err != nil {
			return err
		}
		check, err := look.check(a)
		if err != nil {
			return err
		}
		r, err := cl.ReviewEmergency(ctx, id, e.Event, justified == "yes", measures, check)
		if err != nil {
			return err
		}
		return a.recorded(r, fields{"item": id, "opening": e.Event, "justified": justified == "yes"}, row{"Reviewed", called(item) + ", justified: " + justified})
	})
}

func (e emergency) rows() []row {
	return []row{{"Item", string(e.Item)}, {"Opened", dateOf(e.Opened) + " by " + string(e.By) + ": " + plain(e.Code)}, {"Review", "by " + dateOf(e.Due)}}
}

func emergenciesCommand(a *app) *cobra.Command {
	var in string
	c := &cobra.Command{
		Use:   "emergencies",
		Short: "List emergency openings and their reviews",
		Long: `Lists every emergency opening on the items that you may see, from their checked
histories: who, when, for what, and what the review said.

Signs:     nothing.`,
		Example: `  strongroom item emergencies --case cas-7c2k`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cl, err := a.session(c.Context())
			if err != nil {
				return err
			}
			var items []client.Listed
			if in == "" {
				items, err = allItems(c.Context(), cl)
			} else if id, e := findCase(c.Context(), cl, in); e == nil {
				items, err = itemsOf(c.Context(), cl, id)
			} else {
				err = e
			}
			if err != nil {
				return err
			}
			v, err := cl.Look(c.Context(), evidence.ActorOf(cl.Actor())) // for the time
			if err != nil {
				return err
			}
			all := []emergency{}
			var rows []row
			for _, i := range items {
				list, err := emergenciesOn(c.Context(), cl, i.ItemState, v.Time)
				if err != nil {
					return err
				}
				for _, e := range list {
					rows = append(rows, row{emergencyStates[e.State], fmt.Sprintf("%s\n%s, %s\nby %s; review by %s\nopening %s",
						exhibit(a.words(), i), plain(e.Code), dateOf(e.Opened), e.By, dateOf(e.Due), e.Event.String()[:12])})
				}
				all = append(all, list...)
			}
			return a.show(all, orNone(rows, "No emergency openings.")...)
		},
	}
	c.Flags().StringVar(&in, "case", "", "only this `CASE`")
	return c
}

var emergencyStates = map[string]string{"open": "To review", "overdue": "Overdue", "justified": "Justified", "unjustified": "Not so"}
