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
	Subject  evidence.ActorID // the survivor, if that one has keys; "" where the survivor signs, or has none
	Form     Deposit          // label, description and bytes of the signed form; its document, if it has one, must not contradict the answers
	FormItem evidence.ItemID  // a form deposited before: an interrupted consent is finished with it. Form is then only compared
}

// GiveConsent deposits the form and then signs consent.given ‡, relying on it (RULES §3.5). If the second step fails, the form's id is
// returned beside the error and the consent can be given with it. Answers that the form contradicts are refused, as far as CompareForm can
// read it.
func (c *Client) GiveConsent(ctx context.Context, p Consent) (id evidence.ConsentID, form evidence.ItemID, receipt *Receipt, err error) {
	id, form = p.Consent, p.FormItem
	if id == "" {
		id = evidence.NewID[evidence.ConsentID]()
	}
	if _, err := c.CompareForm(ctx, p); err != nil {
		return id, form, nil, err
	}
	if form == "" {
		f := p.form()
		if form, _, err = c.Deposit(ctx, f); err == nil && f.Description.Form != nil {
			err = c.keepForm(form, f.Description.Form)
		}
		if err != nil {
			return id, form, nil, err
		}
	}
	stream := evidence.ConsentOf(id)
	streams := []evidence.Stream{evidence.CaseOf(p.Case), evidence.ItemOf(form)}
	if p.Consent != "" {
		streams = append(streams, stream)
	}
	if p.Subject != "" {
		streams = append(streams, evidence.ActorOf(p.Subject))
	}
	receipt, err = c.perform(ctx, streams, func(v *View) (act, error) {
		d := &evidence.ConsentGivenDetails{Version: 1, Answers: answered(p.Answers), From: p.From, Until: p.Until, By: p.By, AskFirst: p.AskFirst, Form: form,
			Subject: p.Subject}
		if own, ok := v.facts.States[stream].(*evidence.ConsentState); ok {
			d.Version = own.Version + 1
		}
		return act{stream: stream, event: &evidence.Event{Kind: evidence.ConsentGiven, Case: p.Case, Details: d}}, nil
	})
	if err == nil {
		// The consent is given, and a document that cannot be removed does not change that: it is sealed to this person, and read again, if
		// ever, to compare another consent with this same form.
		_ = c.cfg.Keystore.Remove(formDoc(form))
	}
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
		a := act{stream: stream, event: &evidence.Event{
			Kind: evidence.ConsentWithdrawn, Case: own.Case, Change: evidence.CauseWithdrawal, Details: &evidence.ConsentWithdrawnDetails{Number: number},
			Actor: evidence.Signer{OnBehalfOf: c.behalf(v, id)},
		}}
		return a, v.noteToCase(&a, own.Case, "reason", reason)
	})
	return number, receipt, err
}

// Narrowing takes answers back (RULES §4): what is said in it is yes no more, and the consent ends no later than at Until.
type Narrowing struct {
	Consent evidence.ConsentID
	No      func(*evidence.Answers) // takes answers back in a copy of the present ones
	Until   evidence.Time           // or 0 for the present end
	Reason  string                  // internal note, or ""
}

// Of returns the consent as the narrowing would leave it.
func (p Narrowing) Of(s *evidence.ConsentState) *evidence.ConsentState {
	after := *s
	after.Answers.Courts = slices.Clone(s.Answers.Courts)
	if p.No != nil {
		p.No(&after.Answers)
	}
	after.Until, after.Version = cmp.Or(p.Until, s.Until), s.Version+1
	return &after
}

// NarrowConsent signs consent.narrowed ‡: grants that the answers do not permit any more end, items that they do not keep freeze, at once
// (RULES §3.5).
func (c *Client) NarrowConsent(ctx context.Context, p Narrowing) (*Receipt, error) {
	stream := evidence.ConsentOf(p.Consent)
	return c.perform(ctx, []evidence.Stream{stream}, func(v *View) (act, error) {
		own, err := state[*evidence.ConsentState](v, stream)
		if err != nil {
			return act{}, err
		}
		after := p.Of(own)
		a := act{stream: stream, event: &evidence.Event{
			Kind: evidence.ConsentNarrowed, Case: own.Case, Actor: evidence.Signer{OnBehalfOf: c.behalf(v, p.Consent)},
			Details: &evidence.ConsentNarrowedDetails{Version: after.Version, Answers: after.Answers, Until: after.Until},
		}}
		return a, v.noteToCase(&a, own.Case, "reason", p.Reason)
	})
}

// behalf is for whom this person acts on one of these consents: for the subject who named them as advocate, if that one has keys.
func (c *Client) behalf(v *View, ids ...evidence.ConsentID) evidence.ActorID {
	for _, id := range ids {
		s, err := state[*evidence.ConsentState](v, evidence.ConsentOf(id))
		if err == nil && s.Subject != "" && s.Delegated(c.actor, "", v.Time) {
			return s.Subject
		}
	}
	return ""
}

// Delegate signs consent.delegated: an advocate speaks for the subject until then, with rights of "read", "narrow", "withdraw", "approve"
// (RULES §3.5). Naming an advocate again replaces rights and date.
func (c *Client) Delegate(ctx context.Context, id evidence.ConsentID, to evidence.Delegation) (*Receipt, error) {
	return c.onConsent(ctx, id, evidence.ConsentDelegated, "",
		&evidence.ConsentDelegatedDetails{Advocate: to.Advocate, Rights: to.Rights, Until: to.Until})
}

// EndDelegation signs consent.delegation_ended ‡: the advocate speaks for the subject no more.
func (c *Client) EndDelegation(ctx context.Context, id evidence.ConsentID, advocate evidence.ActorID, cause evidence.Cause) (*Receipt, error) {
	return c.onConsent(ctx, id, evidence.ConsentDelegationEnded, cause, &evidence.ConsentDelegationEndedDetails{Advocate: advocate, Cause: cause})
}

func (c *Client) onConsent(ctx context.Context, id evidence.ConsentID, kind evidence.Kind, change evidence.Cause, d evidence.Details) (*Receipt, error) {
	stream := evidence.ConsentOf(id)
	return c.perform(ctx, []evidence.Stream{stream}, func(v *View) (act, error) {
		own, err := state[*evidence.ConsentState](v, stream)
		if err != nil {
			return act{}, err
		}
		return act{stream: stream, event: &evidence.Event{Kind: kind, Case: own.Case, Change: change, Details: d}}, nil
	})
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
