package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"strongroom.example/strongroom/internal/ceremony"
	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/sealing"
)

func recoverCommand(a *app) *cobra.Command {
	var files []string
	var record, reason string
	var yes bool
	c := &cobra.Command{
		Use:   "recover CASE --reason TEXT",
		Short: "Open a case's items with the recovery key, when its keyholders lost theirs",
		Long: `For a case whose keyholders have lost their keys, and you are one of them: you
have new keys by now (strongroom actor rotate), and no item opens with
them. The trustees come to your computer with their parts of the recovery key.

First two trustees state, each with an own key, which items are opened and why
(strongroom vault recovered); without that the vault gives nothing out. It does
for 30 days, or until one trustee runs strongroom vault recovered --nothing,
best as soon as you are done. Run this command before: it says what they are to
state. Then it asks for the parts, puts the key together in this computer's
memory, gives every member the case's label key and the keyring the present
keys, opens each stated item, writes a key for each keyholder, and forgets the
recovery key. You type "recover".

A part that is mistyped is asked for again, a wrong one is named by its number:
one that somebody made up too, with --record or with one part more than is
needed. Stopped half-way, it goes on when repeated. Afterwards consider a new
ceremony: whoever was there may have seen the parts.

Signs:     case.keyring_changed and case.member_added, and for each item
           item.opened and item.envelope_added, as a keyholder who manages
           the case.
For good:  each opening stays in the record book, and auditors see the use.`,
		Example: `  strongroom recover cas-7c2k --reason "fire in the archive on 3 May"
  strongroom recover cas-7c2k --record recovery.json \
      --share share-1.txt --share share-4.txt --share share-5.txt \
      --reason "fire in the archive on 3 May"`,
	}
	c.Flags().StringArrayVar(&files, "share", nil, "a `FILE` with a part, instead of typing it; repeat it")
	c.Flags().StringVar(&record, "record", "", "the ceremony's `FILE` "+recordFile+", to name a wrong part")
	c.Flags().StringVar(&reason, "reason", "", "why, for the people of the case")
	c.Flags().BoolVar(&yes, "yes", false, "do not ask; for scripts")
	required(c, "reason")
	return about(a, c, findCase, func(ctx context.Context, cl *client.Client, in evidence.CaseID) error {
		r, err := cl.Recoverable(ctx, in)
		if err != nil {
			return err
		}
		if len(r.Stated) == 0 {
			return a.tellTrustees(r)
		}
		known := ceremony.Record{Recipient: r.Recipient}
		if record != "" {
			if known, err = readRecord(record, r.Recipient); err != nil {
				return err
			}
		}
		var given []ceremony.Share
		for _, name := range files {
			share, err := readShare(name)
			if err != nil {
				return err
			}
			given = append(given, share)
		}
		rows := []row{{"If you go on", "You open what follows with the vault's recovery key, and give each keyholder of the case a key to it."},
			{"Items", joined(r.Stated)}, {"Stated", "by two trustees, because: " + plain(string(r.Cause)) + "; until " + dateOf(r.Until)}, {"Reason", reason}}
		if len(r.Unstated) > 0 {
			rows = append(rows, row{"Not stated", joined(r.Unstated)})
		}
		if err := a.consent(yes, "recover", rows...); err != nil {
			return err
		}
		key, err := a.combine(known, given)
		if err != nil {
			return err
		}
		members, err := cl.RecoverCase(ctx, in, key)
		labels := plural(members, "member has", "members have") + " the label key again"
		if evidence.ReasonOf(err) == "label_key_lost" {
			labels = "nobody who lost their keys can read the titles of the case: they were sealed before the recovery key changed"
		} else if err != nil {
			return err
		}
		written := 0
		for _, item := range r.Stated {
			receipts, err := cl.Recover(ctx, item, key, reason)
			if evidence.ReasonOf(err) == "recovery_not_needed" {
				continue
			}
			if err != nil {
				return err
			}
			written += len(receipts) - 1
		}
		return a.show(fields{"case": in, "items": r.Stated, "written": written, "members": members, "unstated": some(r.Unstated)},
			row{"Recovered", plural(len(r.Stated), "item", "items") + ", with " + plural(written, "new key", "new keys") + " for keyholders"},
			row{"Members", labels},
			row{"Left", joined(r.Unstated)},
			row{"Next", "Let somebody else of the case open an item: strongroom open. Then a trustee runs strongroom vault recovered --nothing; seal the parts again, or hold a new ceremony."})
	})
}

// tellTrustees ends what two trustees have to state first.
func (a *app) tellTrustees(r client.Recoverable) error {
	if len(r.Unstated) == 0 {
		return evidence.Refuse(evidence.Conflict, "recovery_not_needed")
	}
	command := "strongroom vault recovered --cause loss"
	for _, id := range r.Unstated {
		command += " --item " + string(id)
	}
	printRows(a.err, row{"Recovery", recoveryNumber(r.Recipient)}, row{"Needed", plural(len(r.Unstated), "item opens", "items open") + " with the recovery key alone."},
		row{"First", "Two trustees run, each with an own key:"}, row{"", command})
	return evidence.Refuse(evidence.Forbidden, evidence.ReasonNotRecovered)
}

func readRecord(name, recipient string) (ceremony.Record, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return ceremony.Record{}, err
	}
	r, err := ceremony.ParseRecord(text)
	switch {
	case err != nil:
		return r, cannot("recovery_record", err)
	case r.Recipient != recipient:
		return r, evidence.Refuse(evidence.Invalid, "other_recovery_key")
	}
	return r, nil
}

// maxShareFile bounds what is read of a part's file, in bytes.
const maxShareFile = 4 << 10

func readShare(name string) (ceremony.Share, error) {
	f, err := os.Open(name)
	if err != nil {
		return ceremony.Share{}, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxShareFile+1))
	if err != nil {
		return ceremony.Share{}, err
	}
	s, err := ceremony.Parse(string(text))
	if err != nil {
		p := decline("share_code")
		p.about, p.sentence = name, name+": "+p.sentence
		return s, p
	}
	return s, nil
}

// combine puts the key together from the parts given and, as long as there are too few, parts that are typed. A person may mistype as often
// as it takes; a program has one attempt.
func (a *app) combine(record ceremony.Record, given []ceremony.Share) (sealing.Identity, error) {
	_, person := terminal(a.in)
	for {
		var few ceremony.TooFew
		var wrong ceremony.WrongShare
		key, err := ceremony.Combine(record, given)
		switch {
		case errors.As(err, &few):
			share, err := a.askShare(few, person)
			if err != nil {
				return sealing.Identity{}, err
			}
			given = append(given, share)
		case person && errors.As(err, &wrong):
			printRows(a.err, row{"Again", wrongShare(err).sentence})
			given = slices.DeleteFunc(given, func(s ceremony.Share) bool { return errors.Is(err, ceremony.WrongShare{Number: s.Number}) })
		case errors.As(err, &wrong):
			return key, wrongShare(err)
		case person && errors.Is(err, ceremony.ErrCombination) && len(given) < given[0].Of:
			printRows(a.err, row{"Again", decline("shares_differ").sentence})
			share, err := a.askShare(ceremony.TooFew{Have: len(given), Needed: len(given) + 1}, person)
			if err != nil {
				return sealing.Identity{}, err
			}
			given = append(given, share)
		case errors.Is(err, ceremony.ErrCombination):
			return key, decline("shares_differ")
		case errors.Is(err, ceremony.ErrManyShares):
			return key, decline("shares_many")
		default:
			return key, err
		}
	}
}

// wrongShare names the parts that are wrong.
func wrongShare(err error) *problem {
	p := decline("share_wrong")
	var parts []string
	for n := range ceremony.MostTrustees {
		if errors.Is(err, ceremony.WrongShare{Number: n + 1}) {
			parts = append(parts, fmt.Sprintf("Part %d", n+1))
		}
	}
	p.cause, p.sentence = err, strings.Join(parts, ", ")+": "+p.sentence
	return p
}

// askShare asks for one part more.
func (a *app) askShare(few ceremony.TooFew, person bool) (s ceremony.Share, err error) {
	question := fmt.Sprintf("A part (%d of the %d needed are there):", few.Have, few.Needed)
	for {
		var line string
		if person {
			line, err = a.secret(question)
		} else if line, err = a.ask(question); err != nil && few.Have > 0 { // no more are typed
			p := decline("share_few")
			p.sentence = fmt.Sprintf("%s: %d of %d.", strings.TrimSuffix(p.sentence, "."), few.Have, few.Needed)
			return s, p
		}
		if err != nil {
			return s, err
		}
		if s, err = ceremony.Parse(line); err == nil {
			printRows(a.err, row{"Part", fmt.Sprintf("%d of %d", s.Number, s.Of)})
			return s, nil
		}
		if !person {
			return s, decline("share_code")
		}
		printRows(a.err, row{"Again", decline("share_code").sentence})
	}
}
