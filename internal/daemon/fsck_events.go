package daemon

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/vault"
)

// events replays everything that was accepted, in the order of acceptance.
func (c *checker) events(ctx context.Context) error {
	for after := int64(0); ; {
		entries, err := c.records.Events(ctx, after, fsckPage)
		if err != nil {
			return err
		}
		for _, e := range entries {
			c.Events++
			statement, err := c.replay(e)
			if err != nil {
				c.broken[e.Stream] = true
				c.damage(place(e), "the stored event does not hold: %v", err)
			}
			if err := c.receipt(e, statement); err != nil {
				c.damage(place(e), "the stored receipt does not hold: %v", err)
			}
			after = e.Order
		}
		if len(entries) < fsckPage {
			break
		}
	}
	waiting, err := c.records.Pending(ctx, len(c.open)+1)
	if err != nil {
		return err
	}
	for _, e := range waiting {
		if !c.open[e.LeafHash] {
			c.damage(place(e), "it is in the log and waits for it too")
		}
		c.Pending++
		delete(c.open, e.LeafHash)
	}
	for leaf := range c.open {
		e, err := c.records.Entry(ctx, leaf)
		if err != nil {
			return err
		}
		c.damage(place(e), "it is neither in the log nor waiting for it: its inclusion was lost")
	}
	return nil
}

// replay checks signature, leaf and law of one event and takes its effect. The law says nothing about what stands on broken streams.
func (c *checker) replay(e ledger.Entry) (*custody.Statement, error) {
	statement, err := custody.Open(e.Leaf.Extra)
	if err != nil {
		return nil, err
	}
	event := statement.Event()
	if event.Stream.Stream() != e.Stream || event.Stream.Seq != e.Seq || event.Kind != e.Kind {
		return statement, errors.New("it is filed at another place than it says")
	}
	for _, a := range vault.Named(event) {
		c.named[attached{e.LeafHash, a.SHA256, a.Recipient, a.Kind}] = ledger.Entry{Stream: e.Stream, Seq: e.Seq}
	}
	basis := append(evidence.StandsOn(c.states[e.Stream], event), e.Stream)
	if slices.ContainsFunc(basis, func(s evidence.Stream) bool { return c.broken[s] }) {
		c.broken[e.Stream] = true
		return statement, nil
	}
	spki, err := c.signer(event)
	if err != nil {
		return statement, err
	}
	signed, err := statement.Verify(spki)
	if err != nil {
		return statement, err
	}
	if !bytes.Equal(signed.Leaf(), e.Leaf.Value) || signed.LeafHash() != e.LeafHash {
		return statement, errors.New("its leaf is another's")
	}
	facts := evidence.Facts{Origin: c.settings.Origin, Founders: c.founders, States: map[evidence.Stream]evidence.State{}}
	for _, s := range basis {
		if state, ok := c.states[s]; ok {
			facts.States[s] = state
		}
	}
	after, err := evidence.Apply(facts, event, e.LeafHash)
	if err != nil {
		return statement, err
	}
	c.states[e.Stream] = after
	return statement, nil
}

func (c *checker) signer(e *evidence.Event) ([]byte, error) {
	if actor, ok := c.states[evidence.ActorOf(e.Actor.ID)].(*evidence.ActorState); ok {
		return custody.ParseSPKI(actor.Key)
	}
	if d, ok := e.Details.(*evidence.ActorEnrolledDetails); ok {
		return custody.ParseSPKI(d.Key)
	}
	return nil, errors.New("its signer is unknown")
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
