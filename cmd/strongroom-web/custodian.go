//go:build js && wasm

package main

import (
	"slices"
	"strings"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/scan"
	"strongroom.example/strongroom/internal/tlog"
)

// proposal is a share that waits for somebody: for a second person, or for the recipient's key.
type proposal struct {
	share
	Case       evidence.CaseID      `json:"case"`
	Title      string               `json:"title,omitempty"` // the item's label, for members of its case
	ProposedBy evidence.ActorID     `json:"proposed_by"`
	Own        bool                 `json:"own"`        // this person proposed it: another one must decide
	Holds      bool                 `json:"holds"`      // this person holds a key of the case, and so can write the recipient's
	KeyNumber  string               `json:"key_number"` // the recipient's, in six groups
	Waits      string               `json:"waits"`      // "decision" or "key"
	OtherItems int                  `json:"items_stay"` // of the case, which do not go
	Compared   *compared            `json:"compared"`   // null: nobody confirmed the recipient's key number
	AskedFirst []evidence.ConsentID `json:"ask_first"`  // consents whose person must agree first, and has not
}

// compared says how and when a key number was confirmed, from the recipient's checked history.
type compared struct {
	Method evidence.Method  `json:"method"`
	Time   evidence.Time    `json:"time"`
	By     evidence.ActorID `json:"by"`
}

// proposals lists what waits in the person's cases, the oldest first in each.
func proposals(r request, c *client.Client, _ none) ([]proposal, error) {
	cases, err := c.Cases(r)
	if err != nil {
		return nil, err
	}
	names, err := organizations(r, c)
	if err != nil {
		return nil, err
	}
	list := []proposal{}
	for _, in := range cases {
		items, err := c.Items(r, evidence.CaseID(in.ID))
		if err != nil {
			return nil, err
		}
		for _, i := range items {
			if len(i.Grants) == 0 {
				continue
			}
			more, err := waiting(r, c, i)
			if err != nil {
				return nil, err
			}
			for _, p := range more {
				p.OtherItems, p.OrganizationName = len(items)-1, names[p.Organization]
				list = append(list, p)
			}
		}
	}
	return list, nil
}

// waiting are the shares of one item that wait for somebody.
func waiting(r request, c *client.Client, item client.Listed) (list []proposal, _ error) {
	v, err := c.Look(r, evidence.ItemOf(item.ID))
	if err != nil {
		return nil, err
	}
	in, _ := v.State(evidence.CaseOf(item.Case)).(*evidence.CaseState)
	for i := range item.Grants {
		g := &item.Grants[i]
		s, err := shareOf(v, item.ID, g.Terms.ID)
		if err != nil {
			return nil, err
		}
		p := proposal{share: s, Case: item.Case, Title: item.Label, ProposedBy: g.ProposedBy, Own: g.ProposedBy == c.Actor(),
			Holds: in != nil && in.Holds(c.Actor()), KeyNumber: tlog.SixGroups(g.Terms.Recipient.Fingerprint), AskedFirst: []evidence.ConsentID{}}
		_, written := item.Envelope(g.Terms.Recipient.Fingerprint)
		switch {
		case s.State == evidence.GrantPending:
			p.Waits = "decision"
		case s.State == evidence.GrantActive && !written:
			p.Waits = "key"
		default:
			continue
		}
		for _, id := range item.Consent {
			if s, ok := v.State(evidence.ConsentOf(id)).(*evidence.ConsentState); ok && s.AskFirst && !slices.Contains(g.Agreed, id) {
				p.AskedFirst = append(p.AskedFirst, id)
			}
		}
		if p.Compared, err = comparedKey(r, c, g.Terms.Recipient); err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, nil
}

func comparedKey(r request, c *client.Client, who evidence.Keyholder) (how *compared, _ error) {
	s := evidence.ActorOf(who.Actor)
	v, err := c.Look(r, s)
	if err != nil {
		return nil, err
	}
	for e, err := range v.Events(s) {
		if err != nil {
			return nil, err
		}
		if d, ok := e.Details.(*evidence.ActorConfirmedDetails); ok && d.Fingerprint == who.Fingerprint {
			how = &compared{d.Method, e.Time, e.Actor.ID}
		}
	}
	return how, nil
}

// letParams are about writing a recipient's key: the item is looked through before, on this device.
type letParams struct {
	shareParams
	Names   []string `json:"names,omitempty"`   // to look for, one each; kept nowhere
	Despite bool     `json:"despite,omitempty"` // the person has seen what was found, and lets it go
}

// noticed is what was found in an item that is to go. Nothing of it is repeated: each finding says of what kind, where, and how often.
type noticed struct {
	Findings []scan.Finding    `json:"findings"`
	Identity bool              `json:"identity"`         // the item says who a person is
	Named    int               `json:"named"`            // how many names were looked for
	Unseen   []string          `json:"unseen,omitempty"` // parts that only eyes and ears can look through
	Unread   []string          `json:"unread,omitempty"` // notes that go too and that this person cannot read
	Forms    []evidence.ItemID `json:"forms,omitempty"`  // consent forms that this person cannot read, and what they say of that is not known
}

// keyAnswer says what became of the recipient's key.
type keyAnswer struct {
	KeyWritten bool     `json:"key_written"`
	KeyEntry   int64    `json:"key_entry,omitempty"`
	KeyProblem string   `json:"key_problem,omitempty"` // why it is not, though this person could: "found" until the person lets it go despite that
	Noticed    *noticed `json:"noticed,omitempty"`
}

// let writes the recipient's key. That something was found is an answer; an alarm is none.
func (r request) let(c *client.Client, p letParams) (a keyAnswer, err error) {
	take := func(n client.Noticed) {
		a.Noticed = &noticed{n.Findings, n.Identity, n.Named, n.Unseen, n.Unread, n.Forms}
		if n.Findings == nil {
			a.Noticed.Findings = []scan.Finding{}
		}
	}
	check := client.Check{Names: p.Names, Tell: take, Agree: func(n client.Noticed) error {
		if take(n); p.Despite {
			return nil
		}
		return evidence.Refuse(evidence.Forbidden, reasonFound)
	}}
	receipt, err := c.WriteEnvelope(r, p.Item, p.Grant, &check)
	if evidence.ReasonOf(err) == reasonFound {
		a.KeyProblem = reasonFound
		return a, nil
	}
	if err != nil {
		return keyAnswer{}, err
	}
	a.KeyWritten, a.KeyEntry = true, receipt.Index()
	return a, nil
}

const reasonFound = "found"

type approveAnswer struct {
	Entry    int64 `json:"entry"`
	KeyThere bool  `json:"key_there,omitempty"` // the recipient has one by another share of the item
	keyAnswer
}

// approve signs a share as the second person, and writes the recipient's key if this person can.
func approve(r request, c *client.Client, p letParams) (a approveAnswer, err error) {
	receipt, err := c.Approve(r, p.Item, p.Grant)
	if err != nil {
		return a, err
	}
	a.Entry = receipt.Index()
	v, err := c.Look(r, evidence.ItemOf(p.Item))
	if err == nil {
		item, _ := v.State(evidence.ItemOf(p.Item)).(*evidence.ItemState)
		in, _ := v.State(evidence.CaseOf(item.Case)).(*evidence.CaseState)
		g := item.Grant(p.Grant)
		if _, a.KeyThere = item.Envelope(g.Terms.Recipient.Fingerprint); a.KeyThere || g.Status != evidence.GrantActive || in == nil || !in.Holds(c.Actor()) {
			return a, nil
		}
		a.keyAnswer, err = r.let(c, p)
	}
	if client.LieOf(err) != "" {
		return a, err
	}
	if err != nil { // it is approved all the same, and envelope tries again
		a.KeyProblem = evidence.ReasonOf(err)
	}
	return a, nil
}

type refuseParams struct {
	shareParams
	Reason string `json:"reason"` // sealed to the members of the case, and kept for ever
}

// refuse signs that a share shall not be.
func refuse(r request, c *client.Client, p refuseParams) (a onlyEntry, err error) {
	receipt, err := c.Refuse(r, p.Item, p.Grant, strings.TrimSpace(p.Reason))
	if err != nil {
		return a, err
	}
	return onlyEntry{receipt.Index()}, nil
}

type onlyEntry struct {
	Entry int64 `json:"entry"`
}

// envelope writes the recipient's key for an approved share, which opens the item's: that is an access, and logged as one.
func envelope(r request, c *client.Client, p letParams) (a keyAnswer, err error) {
	return r.let(c, p)
}
