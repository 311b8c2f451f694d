package client

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"regexp"
	"slices"
	"strings"
	"time"

	"strongroom.example/strongroom/internal/evidence"
)

// Pseudonyms are the names by which one recipient knows the persons concerned in one case, by their consents: random, and another one for
// each recipient (RULES §7.7).
type Pseudonyms map[evidence.ConsentID]string

// notePseudonym is the name of the note to a grant's recipient and the keyholders that tells them.
const notePseudonym = "pseudonym"

// newPseudonym is short enough to be read out: 40 random bits.
func newPseudonym() string {
	t := rand.Text()
	return "P-" + t[:4] + "-" + t[4:8]
}

var (
	pseudonymLine = regexp.MustCompile(`^(con-[a-z2-7]{26}) (P-[A-Z2-7]{4}-[A-Z2-7]{4})$`)
	errPseudonyms = evidence.Refuse(evidence.Invalid, "note")
)

// String is the text of the note: a line for each consent, sorted.
func (p Pseudonyms) String() string {
	var lines []string
	for id, name := range p {
		lines = append(lines, string(id)+" "+name)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// ParsePseudonyms reads what String wrote, and nothing else.
func ParsePseudonyms(text string) (Pseudonyms, error) {
	p := make(Pseudonyms)
	for line := range strings.SplitSeq(text, "\n") {
		m := pseudonymLine.FindStringSubmatch(line)
		if m == nil || !evidence.ValidID(evidence.ConsentID(m[1])) {
			return nil, errPseudonyms
		}
		p[evidence.ConsentID(m[1])] = m[2]
	}
	if p.String() != text {
		return nil, errPseudonyms
	}
	return p, nil
}

// lacks reports whether a consent has no pseudonym yet.
func (p Pseudonyms) lacks(consents []evidence.ConsentID) bool {
	return slices.ContainsFunc(consents, func(id evidence.ConsentID) bool { return p[id] == "" })
}

// learn takes over those that are not known yet.
func (p Pseudonyms) learn(more Pseudonyms) {
	for id, name := range more {
		if p[id] == "" {
			p[id] = name
		}
	}
}

func pseudonymsDoc(in evidence.CaseID, of evidence.ActorID) string {
	return sealedDoc(pseudonymsDir, string(in)+"."+string(of))
}

// Pseudonyms returns those by which a recipient knows the persons concerned in a case, as far as this device has learnt them: by proposing
// a share, or by writing the key for one.
func (c *Client) Pseudonyms(in evidence.CaseID, recipient evidence.ActorID) (Pseudonyms, error) {
	text, err := c.readSealed(pseudonymsDoc(in, recipient))
	if text == "" {
		return Pseudonyms{}, err
	}
	return ParsePseudonyms(text)
}

// keepPseudonyms remembers them on this device.
func (c *Client) keepPseudonyms(in evidence.CaseID, recipient evidence.ActorID, p Pseudonyms) error {
	return c.writeSealed(pseudonymsDoc(in, recipient), p.String())
}

// errLacking says that a share needs pseudonyms that this device does not know.
var errLacking = errors.New("client: no pseudonym is known yet")

// pseudonymsOf returns those of an item's consents, or errLacking.
func (c *Client) pseudonymsOf(own *evidence.ItemState, recipient evidence.ActorID) (Pseudonyms, error) {
	if len(own.Consent) == 0 {
		return nil, nil
	}
	known, err := c.Pseudonyms(own.Case, recipient)
	if err == nil && known.lacks(own.Consent) {
		err = errLacking
	}
	if err != nil {
		return nil, err
	}
	mine := make(Pseudonyms)
	for _, id := range own.Consent {
		mine[id] = known[id]
	}
	return mine, nil
}

// findPseudonyms learns what is lacking for a share of an item, and makes what cannot be learnt: those of earlier shares to the same
// recipient in the case are used again. They are read from such a share, which is an access to its item. What nobody can read any more is
// made anew.
func (c *Client) findPseudonyms(ctx context.Context, own *evidence.ItemState, recipient evidence.ActorID) error {
	doc := pseudonymsDoc(own.Case, recipient)
	release, err := c.alone(ctx, strings.TrimSuffix(doc, ".age")+".lock") // or two shares at a time would make two
	if err != nil {
		return err
	}
	err = func() error {
		known, err := c.Pseudonyms(own.Case, recipient)
		if err != nil || !known.lacks(own.Consent) {
			return err
		}
		if err := c.earlierPseudonyms(ctx, own, recipient, known); err != nil {
			return err
		}
		for _, id := range own.Consent {
			if known[id] == "" {
				known[id] = newPseudonym()
			}
		}
		return c.keepPseudonyms(own.Case, recipient, known)
	}()
	return errors.Join(err, release())
}

// alone takes a lock and waits for who has it.
func (c *Client) alone(ctx context.Context, lock string) (release func() error, _ error) {
	for {
		release, ok, err := c.cfg.Keystore.Lock(lock)
		if ok || err != nil {
			return release, err
		}
		if err := c.pause(ctx, 100*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

// mostOpened bounds how many items are opened to learn a pseudonym: each is an access that stays in a history.
const mostOpened = 3

// earlierPseudonyms learns from earlier shares in the case what a share of the item lacks, from the newest first.
func (c *Client) earlierPseudonyms(ctx context.Context, own *evidence.ItemState, recipient evidence.ActorID, known Pseudonyms) error {
	listed, err := c.listItems(ctx, own.Case)
	if err != nil {
		return err
	}
	items, err := c.listed(ctx, listed, own.Case, nil)
	if err != nil {
		return err
	}
	type told struct {
		item  *evidence.ItemState
		grant *evidence.GrantState
	}
	var shares []told
	for _, i := range items {
		for n, g := range i.Grants {
			if g.Terms.Recipient.Actor == recipient && i.Shredded == 0 {
				shares = append(shares, told{i.ItemState, &i.Grants[n]})
			}
		}
	}
	slices.SortStableFunc(shares, func(a, b told) int { return cmp.Compare(b.grant.Terms.NotBefore, a.grant.Terms.NotBefore) })
	opened := 0
	for _, s := range shares {
		if opened == mostOpened || !slices.ContainsFunc(own.Consent, func(id evidence.ConsentID) bool { return known[id] == "" && slices.Contains(s.item.Consent, id) }) {
			continue
		}
		opened++
		a, err := c.enter(ctx, Open{Item: s.item.ID, Purpose: s.grant.Terms.Purpose, Hold: standingHold(s.item, s.grant, c.now()), Reason: "To share another item under the same pseudonym."})
		if refused(err) {
			continue // frozen, in the bin, or not for this person to open
		}
		if err == nil {
			err = c.learnPseudonyms(ctx, a, s.grant.Terms.ID, known)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// refused reports whether the law or the vault said no, so that repeating it changes nothing.
func refused(err error) bool {
	switch evidence.KindOf(err) {
	case evidence.NotFound, evidence.Gone, evidence.Forbidden, evidence.Held, evidence.Conflict, evidence.Invalid:
		return err != nil && LieOf(err) == ""
	}
	return false
}

// learnPseudonyms reads those that a grant on an open item told, as far as they are for this person.
func (c *Client) learnPseudonyms(ctx context.Context, a *access, grant evidence.GrantID, known Pseudonyms) error {
	list, err := c.notes(ctx, evidence.ItemOf(a.item.ID), a, func(n ReadNote) bool { return n.Name == notePseudonym && n.Grant == grant })
	for _, n := range list {
		if p, err := ParsePseudonyms(n.Text); err == nil { // what another program wrote is no reason to stop
			known.learn(p)
		}
	}
	return err
}

// keepGrantsPseudonyms learns and keeps those of a grant, for who writes its recipient's key.
func (c *Client) keepGrantsPseudonyms(ctx context.Context, a *access, g *evidence.GrantState) error {
	known, err := c.Pseudonyms(a.item.Case, g.Terms.Recipient.Actor)
	if err != nil || !known.lacks(a.item.Consent) {
		return err
	}
	if err := c.learnPseudonyms(ctx, a, g.Terms.ID, known); err != nil || len(known) == 0 {
		return err
	}
	return c.keepPseudonyms(a.item.Case, g.Terms.Recipient.Actor, known)
}
