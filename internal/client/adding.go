package client

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/scan"
)

// Reader is somebody outside the keyring who has a key to an item: the recipient of a share in force, or the person concerned.
type Reader struct {
	Actor        evidence.ActorID // "" for an own copy
	Class        evidence.Role
	Jurisdiction string
	Grant        evidence.GrantID // "" for an own copy
}

// said is a note to who opens the item.
type said struct{ Name, Text string }

// say adds one to what an act says; one without a letter says nothing.
func (a *act) say(name, text string) {
	if strings.TrimSpace(text) != "" {
		a.says = append(a.says, said{name, text})
	}
}

// outside are the readers of an item but this person: whatever is added to it, they receive.
func (v *View) outside(item *evidence.ItemState, me evidence.ActorID) (list []Reader) {
	if item.Shredded != 0 {
		return nil
	}
	for _, g := range item.Grants {
		t := &g.Terms
		_, has := item.Envelope(t.Recipient.Fingerprint)
		if has && g.Status == evidence.GrantActive && !g.Over(v.Time) && t.Recipient.Actor != me {
			list = append(list, Reader{t.Recipient.Actor, t.RecipientClass, t.Jurisdiction, t.ID})
		}
	}
	self, _ := v.facts.States[evidence.ActorOf(me)].(*evidence.ActorState)
	for _, copied := range item.Copies {
		if _, has := item.Envelope(copied); has && (self == nil || self.Fingerprint() != copied) {
			list = append(list, Reader{Class: evidence.Survivor})
		}
	}
	return list
}

// leaveAddition is the one place through which an act adds words to an item: a new description, or a note to who opens it. Where somebody
// outside has a key already, they are looked through, and nothing is signed until somebody agreed that they go there (RULES §12.12).
//
// It reports whether somebody was asked: that may have taken as long as reading does, so what was prepared is no longer of now.
func (c *Client) leaveAddition(ctx context.Context, v *View, a act) (asked bool, err error) {
	item, ok := v.facts.States[a.stream].(*evidence.ItemState)
	if !ok || len(a.says) == 0 && a.describes == nil {
		return false, nil
	}
	readers := v.outside(item, c.actor)
	if len(readers) == 0 {
		return false, nil
	}
	k := a.check
	if k == nil {
		k = &Check{}
	}
	text, err := json.Marshal([]any{a.stream, readers, a.says, a.describes})
	if err != nil {
		return false, err
	}
	addition := evidence.SHA256(text)
	if k.agreed[addition] {
		return false, nil
	}
	s := scan.New(k.Names)
	if a.describes != nil {
		describe(s, *a.describes, "")
	}
	for _, n := range a.says {
		s.Text(fmt.Sprintf("note %q", n.Name), n.Text)
	}
	if err := c.agreed(ctx, k, s, item, Noticed{Identity: item.Class == evidence.Identity, Readers: readers}); err != nil {
		return true, err
	}
	if k.agreed == nil {
		k.agreed = make(map[evidence.Hash]bool)
	}
	k.agreed[addition] = true
	return true, nil
}

// choice refuses what the persons concerned want left out of shared copies (RULES §4): where a picture was taken, the numbers of its camera.
// Their forms are opened if such was found, which are accesses and logged as such. It returns those that this person cannot read, or nobody
// can, as their depositors left what does not open.
func (c *Client) choice(ctx context.Context, a *access, found []scan.Finding) (unread []evidence.ItemID, _ error) {
	has := func(kind scan.Kind) bool {
		return slices.ContainsFunc(found, func(f scan.Finding) bool { return f.Kind == kind })
	}
	if !has(scan.Place) && !has(scan.Serial) {
		return nil, nil
	}
	for _, id := range a.item.Consent {
		_, consent, err := lookAt[*evidence.ConsentState](ctx, c, evidence.ConsentOf(id), evidence.ItemOf(a.item.ID))
		if err != nil {
			return nil, err
		}
		form, err := c.enter(ctx, Open{Item: consent.Form, Purpose: a.receipt.Event.Purpose})
		if hidden(err) || stopped(err, evidence.Held, evidence.Invalid) {
			unread = append(unread, consent.Form)
			continue
		}
		if err != nil {
			return nil, err
		}
		var said struct {
			Shared struct {
				Place  string `json:"gps"`
				Serial string `json:"serial_numbers"`
			} `json:"shared_copies"`
		}
		if json.Unmarshal(form.description.Form, &said) != nil || said.Shared.Place == "" || said.Shared.Serial == "" {
			unread = append(unread, consent.Form) // on paper
			continue
		}
		const leaveOut = "leave_out"
		if has(scan.Place) && said.Shared.Place == leaveOut || has(scan.Serial) && said.Shared.Serial == leaveOut {
			return nil, evidence.Refuse(evidence.Forbidden, reasonLeftOut)
		}
	}
	return unread, nil
}

// stopped reports whether err is of one of these kinds, and no lie of the vault.
func stopped(err error, kinds ...evidence.ErrorKind) bool {
	return err != nil && LieOf(err) == "" && slices.Contains(kinds, evidence.KindOf(err))
}
