package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/words"
)

// demoSurvivor is what the second half of the journey is about: a person with keys of her own, and two records of hers.
type demoSurvivor struct {
	*player
	consent evidence.ConsentID
	gone    evidence.ItemID // taken back and shredded
	kept    evidence.ItemID // taken back and held
}

// meetSurvivor brings in a person who has keys of her own, takes her consent and deposits two records.
func (d *demo) meetSurvivor(ctx context.Context) error {
	s := &d.survivor
	var err error
	if s.player, err = d.newPlayer("survivor", "The survivor", evidence.Survivor); err != nil {
		return err
	}
	if err := d.enrol(ctx, s.player, d.custodian1, d.custodian2); err != nil {
		return err
	}
	now := time.Now()
	consent, _, given, err := d.clinician.GiveConsent(ctx, client.Consent{
		Case: d.inCase.id, Subject: s.Actor(),
		Answers: evidence.Answers{Storage: evidence.Yes, Examination: evidence.Yes,
			Courts: []evidence.CourtAnswer{{Jurisdiction: courtCountry, Information: evidence.Yes}}},
		From: evidence.At(now), Until: evidence.At(now.AddDate(1, 0, 0)), By: "self",
		Form: client.Deposit{
			Label: sampleMark + ": second consent form", Description: client.Description{Name: "second consent form.txt", MediaType: "text/plain"},
			Body: strings.NewReader(sampleConsent), Size: int64(len(sampleConsent)),
		},
	})
	if err != nil {
		return err
	}
	s.consent = consent
	d.entry(given.Index(), "The clinician records her answers. They name her key: from now on she speaks for herself.")
	for i, to := range []*evidence.ItemID{&s.gone, &s.kept} {
		file, err := d.sampleRecord(fmt.Sprintf("record %d of the survivor.txt", i+1))
		if err != nil {
			return err
		}
		item, err := d.deposit(ctx, d.clinician, file, client.Deposit{
			Class: evidence.Original, Content: evidence.Clinical, Basis: evidence.ByConsent, Consent: []evidence.ConsentID{consent},
			Label: fmt.Sprintf("%s: her record %d", sampleMark, i+1),
		}, "The clinician deposits her record %d.", i+1)
		if err != nil {
			return err
		}
		*to = item.id
		sealed, err := d.clinician.Seal(ctx, item.id, int64(len(d.inCase.items)+i+1))
		if err != nil {
			return err
		}
		d.entry(sealed.Index(), "The clinician seals it as exhibit %d.", len(d.inCase.items)+i+1)
	}
	copied, err := d.custodian1.CopyForSubject(ctx, s.gone, nil)
	if err != nil {
		return err
	}
	d.entry(copied.Index(), "The first custodian makes a key to record 1 for her.")
	opened, err := s.Open(ctx, client.Open{Item: s.gone, Purpose: evidence.ForSubjectAccess}, io.Discard)
	if err != nil {
		return err
	}
	d.entry(opened.Receipt.Index(), "She opens her own copy.")
	return nil
}

func (d *demo) sampleRecord(name string) (demoFile, error) {
	path := filepath.Join(d.samples(), name)
	if err := os.WriteFile(path, []byte(sampleNote), 0o600); err != nil {
		return demoFile{}, err
	}
	return inspect(path)
}

// changeMind lets her allow less, and then take everything back.
func (d *demo) changeMind(ctx context.Context) error {
	s := &d.survivor
	if err := d.tellOwn(ctx, "She looks at what is kept about her"); err != nil {
		return err
	}
	narrowed, err := s.NarrowConsent(ctx, client.Narrowing{Consent: s.consent, No: func(a *evidence.Answers) { a.Courts = nil }})
	if err != nil {
		return err
	}
	d.entry(narrowed.Index(), "She says no to courts. Storing stays allowed.")
	_, _, err = d.custodian1.Propose(ctx, client.Proposal{
		Item: s.kept, Recipient: d.court.Actor(), Actions: []evidence.Action{evidence.View}, Purpose: evidence.ForAdjudication, Jurisdiction: courtCountry,
		LegalBasis: "consent", NotBefore: evidence.At(time.Now()), Expires: evidence.At(time.Now().Add(time.Hour)),
	})
	if err := d.mustRefuse(err, evidence.ReasonConsentAnswer, "The first custodian proposes to share record 2 with the court."); err != nil {
		return err
	}
	number, withdrawn, err := s.WithdrawConsent(ctx, s.consent, "")
	if err != nil {
		return err
	}
	d.entry(withdrawn.Index(), "She takes her consent back. Nobody has to agree. Her number for questions: %s.", number)
	_, err = d.custodian1.Open(ctx, client.Open{Item: s.kept, Purpose: evidence.ForInvestigation}, io.Discard)
	return d.mustRefuse(err, evidence.ReasonFrozen, "The first custodian asks to open record 2.")
}

// mustRefuse tells a refusal for exactly this reason.
func (d *demo) mustRefuse(err error, reason, act string) error {
	if evidence.ReasonOf(err) != reason {
		return fmt.Errorf("refused for another reason than %s: %w", reason, errors.Join(err, errNotRefused))
	}
	d.refused("%s %s", act, explain(err).sentence)
	return nil
}

var errNotRefused = errors.New("what must be refused was not")

// decide holds one record on a court's order and shreds the other, each by two persons.
func (d *demo) decide(ctx context.Context) error {
	s := &d.survivor
	hold := client.Hold{ID: evidence.NewID[evidence.HoldID](), Basis: evidence.CourtOrder, Expires: evidence.At(time.Now().AddDate(0, 6, 0)),
		Review: evidence.At(time.Now().AddDate(0, 1, 0)), Order: sampleAuthority}
	placed, err := d.custodian1.PlaceHold(ctx, s.kept, hold)
	if err != nil {
		return err
	}
	d.entry(placed.Index(), "A court orders that record 2 is kept. The first custodian places a hold; the order is sealed beside it.")
	confirmed, err := d.custodian2.ConfirmHold(ctx, s.kept, hold.ID)
	if err != nil {
		return err
	}
	d.entry(confirmed.Index(), "The second custodian confirms the hold.")
	why := client.Shredding{Cause: evidence.CauseWithdrawal}
	_, err = d.custodian1.ProposeShred(ctx, s.kept, why)
	if err := d.mustRefuse(err, evidence.ReasonHeld, "The first custodian proposes to shred record 2."); err != nil {
		return err
	}
	proposed, err := d.custodian1.ProposeShred(ctx, s.gone, why)
	if err != nil {
		return err
	}
	d.entry(proposed.Index(), "The first custodian proposes to shred record 1. It waits in the bin, for %s here; otherwise for three days.", demoWaits)
	_, err = d.custodian1.Shred(ctx, s.gone)
	if err := d.mustRefuse(err, evidence.ReasonSecondPerson, "The first custodian tries to carry it out alone."); err != nil {
		return err
	}
	if err := d.outwait(ctx, s.gone); err != nil {
		return err
	}
	shredded, err := d.custodian2.Shred(ctx, s.gone)
	if err != nil {
		return err
	}
	horizon := shredded.Event.Details.(*evidence.ItemShreddedDetails).Horizon
	d.entry(shredded.Index(), "The second custodian carries it out. Every key to record 1 is destroyed, in backups by %s.", horizon.Std().Format("2 January 2006"))
	_, err = s.Open(ctx, client.Open{Item: s.gone, Purpose: evidence.ForSubjectAccess}, io.Discard)
	if err := d.mustRefuse(err, evidence.ReasonShredded, "Even she cannot open it any more."); err != nil {
		return err
	}
	return d.tellOwn(ctx, "She looks again")
}

// outwait waits until an item in the bin may be shredded.
func (d *demo) outwait(ctx context.Context, id evidence.ItemID) error {
	v, err := d.custodian2.Look(ctx, evidence.ItemOf(id))
	if err != nil {
		return err
	}
	item := v.State(evidence.ItemOf(id)).(*evidence.ItemState)
	if item.Bin == nil {
		return errors.New("it is not in the bin")
	}
	select {
	case <-time.After(item.Bin.Ready.Sub(v.Time) + time.Millisecond):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// tellOwn tells what she is shown: what exists, what became of it, who looked. Her program checked that no step is missing.
func (d *demo) tellOwn(ctx context.Context, begin string) error {
	s := &d.survivor
	d.note("%s:", begin)
	list, err := s.OwnItems(ctx, s.consent)
	if err != nil {
		return err
	}
	names, err := namesOf(ctx, s.Client)
	if err != nil {
		return err
	}
	for _, l := range list {
		o, err := lookOwn(ctx, s.Client, teller{words.English(), names}, s.consent, l.ID)
		if err != nil {
			return err
		}
		called := map[evidence.ItemID]string{s.gone: "record 1", s.kept: "record 2"}[o.Item]
		if called == "" {
			called = "the form of her consent"
		}
		looked := "nobody has looked at it"
		if n := len(o.Looked); n > 0 {
			var who []string
			for _, l := range o.Looked {
				of := plain(string(l.Role))
				if name := names[l.Organization]; name != "" {
					of += " of " + name
				}
				who = append(who, of+" for "+plain(string(l.Purpose)))
			}
			looked = "looked at by: " + strings.Join(who, ", ")
		}
		d.note("  %s: %s; %s", called, o.State, looked)
	}
	d.checked("Her program checked every signature and the proof that no step of these %d histories is missing.", len(list))
	return nil
}
