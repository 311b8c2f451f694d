package client

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"math/big"
	"net/http"
	"slices"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/wire"
)

// Consent is one subject's answers, with the sealed form on which they were given (RULES §4).
type Consent struct {
	Consent  evidence.ConsentID // "" begins a new one
	Case     evidence.CaseID
	Answers  evidence.Answers // what is "" was not asked
	From     evidence.Time
	Until    evidence.Time
	By       string // "self" or "proxy"
	AskFirst bool
	Form     Deposit         // label, description and bytes of the signed form; the rest is filled in
	FormItem evidence.ItemID // a form deposited before, instead of Form: an interrupted consent is finished with it
}

// GiveConsent deposits the form and then signs consent.given ‡, relying on it (RULES §3.5). If the second step fails, the form's id is
// returned beside the error and the consent can be given with it.
func (c *Client) GiveConsent(ctx context.Context, p Consent) (id evidence.ConsentID, form evidence.ItemID, receipt *Receipt, err error) {
	id, form = p.Consent, p.FormItem
	if id == "" {
		id = evidence.NewID[evidence.ConsentID]()
	}
	if form == "" {
		f := p.Form
		f.Case, f.Class, f.Content, f.Basis, f.Consent, f.Source = p.Case, evidence.ConsentForm, evidence.Testimony, evidence.ByConsent, nil, ""
		if form, _, err = c.Deposit(ctx, f); err != nil {
			return id, form, nil, err
		}
	}
	stream := evidence.ConsentOf(id)
	streams := []evidence.Stream{evidence.CaseOf(p.Case), evidence.ItemOf(form)}
	if p.Consent != "" {
		streams = append(streams, stream)
	}
	receipt, err = c.perform(ctx, streams, func(v *View) (act, error) {
		d := &evidence.ConsentGivenDetails{Version: 1, Answers: answered(p.Answers), From: p.From, Until: p.Until, By: p.By, AskFirst: p.AskFirst, Form: form}
		if own, ok := v.facts.States[stream].(*evidence.ConsentState); ok {
			d.Version = own.Version + 1
		}
		return act{stream: stream, event: &evidence.Event{Kind: evidence.ConsentGiven, Case: p.Case, Details: d}}, nil
	})
	return id, form, receipt, err
}

// answered spells out what was not asked.
func answered(a evidence.Answers) evidence.Answers {
	spell := func(list ...*evidence.Answer) {
		for _, v := range list {
			*v = cmp.Or(*v, evidence.NotAsked)
		}
	}
	spell(&a.Examination, &a.Photographs, &a.Storage, &a.PoliceInformation, &a.PolicePhotographs, &a.PolicePhysical, &a.Research)
	a.Courts = slices.Clone(a.Courts)
	for i := range a.Courts {
		spell(&a.Courts[i].Information, &a.Courts[i].Photographs, &a.Courts[i].Physical)
	}
	slices.SortFunc(a.Courts, func(a, b evidence.CourtAnswer) int { return cmp.Compare(a.Jurisdiction, b.Jurisdiction) })
	return a
}

// WithdrawConsent signs consent.withdrawn ‡: everything it governs freezes at once (RULES §3.5, §4). It returns the confirmation number
// to be told to the person.
func (c *Client) WithdrawConsent(ctx context.Context, id evidence.ConsentID, reason string) (number string, receipt *Receipt, err error) {
	stream := evidence.ConsentOf(id)
	if number, err = confirmationNumber(); err != nil {
		return "", nil, err
	}
	receipt, err = c.perform(ctx, []evidence.Stream{stream}, func(v *View) (act, error) {
		own, err := state[*evidence.ConsentState](v, stream)
		if err != nil {
			return act{}, err
		}
		in, err := state[*evidence.CaseState](v, evidence.CaseOf(own.Case))
		if err != nil {
			return act{}, err
		}
		a := act{stream: stream, event: &evidence.Event{
			Kind: evidence.ConsentWithdrawn, Case: own.Case, Change: evidence.CauseWithdrawal, Details: &evidence.ConsentWithdrawnDetails{Number: number},
		}}
		return a, a.note("reason", evidence.ToInternal, reason, in.LabelKey.Recipient)
	})
	return number, receipt, err
}

func confirmationNumber() (string, error) {
	n, err := rand.Int(rand.Reader, big.NewInt(100_000_000))
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%04d-%04d", n.Int64()/10_000, n.Int64()%10_000), nil
}

// Consents lists the consents of a case. It is for orientation; what is decided on is looked at.
func (c *Client) Consents(ctx context.Context, in evidence.CaseID) ([]wire.Consent, error) {
	return pages(ctx, func(ctx context.Context, cursor *string) ([]wire.Consent, string, error) {
		req, err := wire.NewListConsentsRequest(c.address, string(in), &wire.ListConsentsParams{Cursor: cursor})
		page, err := ask[wire.ConsentList](ctx, c, req, err, http.StatusOK)
		return page.Consents, page.Next, err
	})
}
