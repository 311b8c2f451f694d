package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/sqldb"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/vault"
)

// trusted compares trust.json with the keys in use and with the founders' own enrolments. If it is not to be believed the rest is
// examined by those.
func (c *checker) trusted(ctx context.Context) error {
	text, err := os.ReadFile(c.folder.trust())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	self, first, enrolled, ended, err := c.foundation(ctx)
	if err != nil {
		return err
	}
	if self != "" && self != c.settings.Actor {
		c.damage("vault.json", doSettings, "it names another actor than the one that acts as this vault")
		c.settings.Actor = self
	}
	if text == nil && !ended {
		return ErrNotFounded
	}
	trust, err := tlog.ParseTrust(text)
	if text == nil {
		c.damage("trust.json", doTrust, "it is missing")
	} else if err != nil {
		c.damage("trust.json", doTrust, "it cannot be read: %v", err)
	}
	founded, errFounded := c.makeTrust(enrolled, Founding{firstKey: first})
	switch {
	case errFounded != nil && err != nil:
		return errFounded
	case err != nil:
		trust = founded
	case errFounded == nil && !sameTrust(trust, founded):
		c.damage("trust.json", doTrust, "it does not name the founders and log keys of this vault")
		trust = founded
	case checkLogLine(c.settings.Origin, c.keys[postQuantumKey], trust.WitnessPolicy()) != nil:
		c.damage("trust.json", doTrust, "it does not name the log's key of ML-DSA-44")
	}
	c.trust = trust
	c.parts.founders = founders(trust)
	c.replay = newReplay(c.settings.Origin, c.parts.founders)
	return nil
}

// foundation reads who enrolled themselves before the first configuration, the vault apart, with its first key; ended says that there is one.
func (c *checker) foundation(ctx context.Context) (self evidence.ActorID, first []byte, list []*custody.Signed, ended bool, err error) {
	for after := int64(0); ; {
		entries, err := c.records.Events(ctx, after, fsckPage)
		if err != nil {
			return "", nil, nil, false, err
		}
		for _, e := range entries {
			after = e.Order
			if e.Kind == evidence.VaultConfigured {
				return self, first, list, true, nil
			}
			statement, err := custody.Open(e.Leaf.Extra)
			if err != nil {
				continue // said with the event
			}
			d, ok := statement.Event().Details.(*evidence.ActorEnrolledDetails)
			if !ok || statement.Event().Stream.ID != string(statement.Event().Actor.ID) {
				continue
			}
			spki, err := custody.ParseSPKI(d.Key)
			if err != nil {
				continue
			}
			signed, err := statement.Verify(spki)
			switch {
			case err != nil:
			case d.Role == evidence.Vault:
				self, first = statement.Event().Actor.ID, spki
			default:
				list = append(list, signed)
			}
		}
		if len(entries) < fsckPage {
			return self, first, list, false, nil
		}
	}
}

// sameTrust reports whether two trust files name the same keys in use, and the same founders.
func sameTrust(a, b tlog.Trust) bool {
	who := func(t tlog.Trust) (list []string) {
		for _, f := range t.Founders() {
			list = append(list, fmt.Sprint(f))
		}
		slices.Sort(list)
		return list
	}
	return a.Vault() == b.Vault() && sameKeys(a, b) && slices.Equal(who(a), who(b))
}

// events replays everything that was accepted, in the order of acceptance, and makes the projections again.
func (c *checker) events(ctx context.Context) error {
	order := int64(0)
	for {
		entries, err := c.records.Events(ctx, order, fsckPage)
		if err != nil {
			return err
		}
		digests, err := c.records.PAEDigests(ctx, order, fsckPage)
		if err != nil {
			return err
		}
		var page []sqldb.Replayed
		for i, e := range entries {
			c.Events++
			if e.Order != order+1 {
				c.damage("records", doRecords, "%d accepted events before %s are missing", e.Order-order-1, place(e))
			}
			order = e.Order
			r, err := c.event(e, digests[i])
			if err != nil {
				c.damage(place(e), doRecords, "the stored event does not hold: %v", err)
			}
			if r != nil {
				page = append(page, *r)
			}
		}
		if err := c.project(ctx, page); err != nil {
			return err
		}
		if len(entries) < fsckPage {
			return c.pending(ctx)
		}
	}
}

// event replays one, and returns it if the law says something about it.
func (c *checker) event(e ledger.Entry, pae evidence.Hash) (*sqldb.Replayed, error) {
	statement, before, after, err := c.replay.event(e)
	if receipt := c.receipt(e, statement); receipt != nil {
		c.damage(place(e), doRecords, "the stored receipt does not hold: %v", receipt)
	}
	if statement == nil {
		return nil, err
	}
	event := statement.Event()
	if vault.TakesEnvelopes(event.Kind) {
		c.taken[e.Stream] = c.Events
	}
	for _, a := range vault.Named(event) {
		c.named[attached{e.LeafHash, a.SHA256, a.Recipient, a.Kind, a.Name, a.Audience}] = ledger.Entry{Stream: e.Stream, Seq: e.Seq}
	}
	switch {
	case event.Stream.Stream() != e.Stream || event.Stream.Seq != e.Seq || event.Kind != e.Kind:
		c.broken[e.Stream] = true
		return nil, errors.New("it is filed at another place than it says")
	case err != nil || after == nil:
		return nil, err
	case statement.PAEDigest() != pae || !slices.Equal(stands(event), e.Stands):
		err = errors.New("what it is found by, or what it stands on, was changed")
	}
	return &sqldb.Replayed{Entry: ledger.Entry{Order: e.Order, Stream: e.Stream, Seq: e.Seq}, Before: before, After: after}, err
}

// project makes the projections of a page again. A refusal means that something is twice in the vault that may be there once.
func (c *checker) project(ctx context.Context, page []sqldb.Replayed) error {
	err := c.anew.Project(ctx, page)
	if evidence.KindOf(err) != evidence.Conflict {
		return err
	}
	for _, r := range page {
		err := c.anew.Project(ctx, []sqldb.Replayed{r})
		if evidence.KindOf(err) == evidence.Conflict {
			c.broken[r.Stream] = true
			c.damage(place(r.Entry), doRecords, "it should not have been accepted: %s", evidence.ReasonOf(err))
		} else if err != nil {
			return err
		}
	}
	return nil
}

// pending checks that every event is in the log or waits for it.
func (c *checker) pending(ctx context.Context) error {
	waiting, err := c.records.Pending(ctx, int(c.Events)+1)
	if err != nil {
		return err
	}
	for _, e := range waiting {
		if !c.open[e.LeafHash] {
			c.damage(place(e), doRecords, "it is in the log and waits for it too")
		}
		c.Pending++
		delete(c.open, e.LeafHash)
	}
	for leaf := range c.open {
		e, err := c.records.Entry(ctx, leaf)
		if err != nil {
			return err
		}
		c.damage(place(e), doRecords, "it is neither in the log nor waiting for it: its inclusion was lost")
	}
	return nil
}

// receipt checks the stored receipt of an included event.
func (c *checker) receipt(e ledger.Entry, statement *custody.Statement) error {
	if !e.Included() {
		c.open[e.LeafHash] = true
		return nil
	}
	r, err := tlog.ParseReceipt(e.Receipt)
	if err != nil {
		return err
	}
	fact, err := r.Verify(c.trust.LogKeys())
	if err != nil {
		return err
	}
	if evidence.Hash(fact.LeafHash()) != e.LeafHash || fact.Index() != e.Index {
		return errors.New("it is for another event")
	}
	if statement != nil {
		_, payload, signature, _ := r.DSSE()
		if !bytes.Equal(payload, statement.Payload()) || !bytes.Equal(signature, statement.Signature()) {
			return errors.New("it carries another statement")
		}
	}
	return nil
}
