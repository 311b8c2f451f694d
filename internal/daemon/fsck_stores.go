package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/objects"
	"strongroom.example/strongroom/internal/sqldb"
)

// projections compares every stored state with the replayed one, and the lists with the states.
func (c *checker) projections(ctx context.Context) error {
	items, consents := make(map[evidence.CaseID]int), make(map[evidence.CaseID]int)
	for s, replayed := range c.states {
		switch state := replayed.(type) {
		case *evidence.ItemState:
			items[state.Case]++
		case *evidence.ConsentState:
			consents[state.Case]++
		}
		if c.broken[s] {
			continue
		}
		where := fmt.Sprintf("%s %s", s.Type, s.ID)
		stored, err := c.records.States(ctx, s)
		if err != nil && !damaged(err) {
			return err
		}
		if err != nil || !sameState(stored[s], replayed) {
			c.damage(where, "the stored state is not what its events make of it")
		}
		if actor, ok := replayed.(*evidence.ActorState); ok {
			if err := c.directory(ctx, where, actor); err != nil {
				return err
			}
		}
	}
	for s, replayed := range c.states {
		if in, ok := replayed.(*evidence.CaseState); ok {
			if err := c.lists(ctx, fmt.Sprintf("%s %s", s.Type, s.ID), in.ID, items[in.ID], consents[in.ID]); err != nil {
				return err
			}
		}
	}
	return nil
}

// directory checks that the actor is found by the key now in force.
func (c *checker) directory(ctx context.Context, where string, actor *evidence.ActorState) error {
	spki, err := custody.ParseSPKI(actor.Key)
	if err != nil {
		return err
	}
	id, stored, err := c.records.Key(ctx, custody.KeyID(spki))
	if err != nil && evidence.KindOf(err) != evidence.NotFound {
		return err
	}
	if id != actor.ID || !bytes.Equal(stored, spki) {
		c.damage(where, "the directory does not list its key")
	}
	return nil
}

// lists counts what a case's lists show.
func (c *checker) lists(ctx context.Context, where string, in evidence.CaseID, items, consents int) error {
	n, err := count(func(after evidence.ItemID) ([]*evidence.ItemState, error) {
		return c.records.Items(ctx, in, after, fsckPage)
	},
		func(s *evidence.ItemState) evidence.ItemID { return s.ID })
	if err != nil {
		return err
	}
	m, err := count(func(after evidence.ConsentID) ([]*evidence.ConsentState, error) {
		return c.records.Consents(ctx, in, after, fsckPage)
	},
		func(s *evidence.ConsentState) evidence.ConsentID { return s.ID })
	if err != nil {
		return err
	}
	if n != items || m != consents {
		c.damage(where, "its lists show %d items and %d consents of %d and %d", n, m, items, consents)
	}
	return nil
}

func count[S any, ID ~string](page func(after ID) ([]S, error), id func(S) ID) (n int, err error) {
	for after := ID(""); ; {
		list, err := page(after)
		if n += len(list); err != nil || len(list) < fsckPage {
			return n, err
		}
		after = id(list[len(list)-1])
	}
}

// sameState compares by JSON: an empty list and a missing one are the same.
func sameState(a, b evidence.State) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y) || reflect.DeepEqual(a, b)
}

// attachments checks what is stored beside the events: that it is there unchanged, and that no envelope stays that an event took away.
func (c *checker) attachments(ctx context.Context) error {
	for after := int64(0); ; {
		list, err := c.records.Attachments(ctx, after, fsckPage)
		if err != nil {
			return err
		}
		for _, a := range list {
			c.Attachments++
			after = a.Number
			if !c.broken[a.Stream] { // else nothing is known of what must be there
				c.attachment(a)
			}
		}
		if len(list) < fsckPage {
			break
		}
	}
	for a, event := range c.named {
		if c.broken[event.Stream] {
			continue
		}
		c.damage(place(event), "its %s is missing from the records", a.kind)
	}
	return nil
}

func (c *checker) attachment(a sqldb.StoredAttachment) {
	key := attached{a.Event, a.SHA256, a.Recipient, a.Kind}
	event, named := c.named[key]
	where := place(event)
	delete(c.named, key)
	wanted := c.wanted(a)
	switch {
	case !named:
		c.damage(fmt.Sprintf("%s %s", a.Stream.Type, a.Stream.ID), "a %s is stored that no event names", a.Kind)
	case a.Destroyed && wanted:
		c.damage(where, "the bytes of its %s are missing", a.Kind)
	case a.Destroyed:
	case !wanted:
		c.damage(where, "its %s was taken away and still exists", a.Kind)
	case evidence.SHA256(a.Body) != a.SHA256:
		c.damage(where, "the bytes of its %s are not those the event names", a.Kind)
	}
}

// wanted reports whether the bytes must exist: an item's envelope while its state names it, a case's while its recipient has one at all.
func (c *checker) wanted(a sqldb.StoredAttachment) bool {
	of := func(e evidence.EnvelopeRef) bool { return e.Recipient == a.Recipient }
	switch state := c.states[a.Stream].(type) {
	case *evidence.ItemState:
		ref, ok := state.Envelope(a.Recipient)
		return a.Kind != ledger.Envelope || ok && ref.SHA256 == a.SHA256
	case *evidence.CaseState:
		return a.Kind != ledger.LabelEnvelope || slices.ContainsFunc(state.LabelKey.Envelopes, of)
	}
	return true
}

// objects re-reads every object.
func (c *checker) objects(ctx context.Context) error {
	named := make(map[evidence.Hash]bool)
	for s, state := range c.states {
		item, ok := state.(*evidence.ItemState)
		if !ok || item.Class == evidence.DescriptionOnly {
			continue
		}
		named[item.Evidence.SHA256] = true
		sums, err := c.parts.objects.Verify(ctx, objects.Digest(item.Evidence.SHA256))
		switch {
		case errors.Is(err, objects.ErrNotFound):
			c.damage("item "+s.ID, "its evidence is missing")
		case errors.Is(err, objects.ErrDamaged):
			c.damage("item "+s.ID, "its evidence was altered on disk; its description, events and receipts are checked apart")
		case err != nil:
			return err
		case sums.Size != item.Evidence.Size || evidence.Hash(sums.Tree) != item.Evidence.Tree:
			c.damage("item "+s.ID, "size or block tree of its evidence are not those the event names")
		}
		c.Objects++
		c.Bytes += sums.Size
	}
	var after objects.Digest
	for {
		list, err := c.parts.objects.List(ctx, after, fsckPage)
		if err != nil {
			return err
		}
		for _, info := range list {
			if after = info.Digest; !named[evidence.Hash(info.Digest)] {
				c.Orphans++
			}
		}
		if len(list) < fsckPage {
			return nil
		}
	}
}
