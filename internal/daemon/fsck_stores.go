package daemon

import (
	"context"
	"errors"
	"fmt"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/objects"
	"strongroom.example/strongroom/internal/sqldb"
	"strongroom.example/strongroom/internal/vault"
)

// rowOf says what a row of a projection is.
var rowOf = map[string]string{
	"states":           "the stored state",
	"actor_keys":       "the directory's entry of a key",
	"actor_recipients": "the directory's entry of an age recipient",
	"members":          "a member's entry in the list of cases",
	"consents":         "its entry in the case's list of consents",
	"items":            "its entry in the case's list of items",
	"exhibits":         "the entry of its exhibit number",
	"grants":           "an entry in the list of shares",
	"moments":          "the entry of what is to be done at a time",
	"forms":            "the entry of a consent form",
	"keepers":          "the entry of who has it in hand",
	"sides":            "the entry of what its case is for",
	"speakers":         "the entry of who speaks for the subject",
}

// projections compares every state, list and directory with what the events make of them, and the schema with this program's.
func (c *checker) projections(ctx context.Context) error {
	wrong, err := c.records.Schema(ctx, c.anew)
	if err != nil {
		return err
	}
	for _, w := range wrong {
		c.damage("records", doRecords, "%s", w)
	}
	differences, err := c.records.Differences(ctx, c.anew)
	if err != nil {
		return err
	}
	for _, d := range differences {
		if c.broken[d.Stream] {
			continue // nothing is known of what must be there
		}
		is := "is there, and no event makes it"
		switch {
		case d.Have && d.Want:
			is = "is not what its events make of it"
		case d.Want:
			is = "is missing"
		}
		what := rowOf[d.Table]
		if d.Key != "" {
			what += " (" + d.Key + ")"
		}
		c.damage(fmt.Sprintf("%s %s", d.Stream.Type, d.Stream.ID), doRecords, "%s %s", what, is)
	}
	return nil
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
		c.damage(place(event), doAttach, "its %s is missing from the records", a.kind)
	}
	return nil
}

func (c *checker) attachment(a sqldb.StoredAttachment) {
	key := attached{a.Event, a.SHA256, a.Recipient, a.Kind, a.Name, a.Audience}
	event, named := c.named[key]
	where := place(event)
	delete(c.named, key)
	wanted := vault.Names(c.states[a.Stream], event.Seq, a.Attachment)
	switch {
	case !named:
		c.damage(fmt.Sprintf("%s %s", a.Stream.Type, a.Stream.ID), doAttach, "a %s is stored that no event names", a.Kind)
	case a.Destroyed && wanted && !c.tookAway(a.Stream, event.Seq, a.Attachment):
		c.damage(where, doAttach, "the bytes of its %s are missing", a.Kind)
	case a.Destroyed:
	case !wanted:
		// A crash comes between an event and its erasure; the next start finishes that, of events that are not older than it looks back.
		c.report(Damage{Where: where, What: fmt.Sprintf("its %s was taken away and still exists", a.Kind), Do: "Start the server: it destroys what is over.",
			Harmless: c.Events-c.taken[a.Stream] < vault.LookBack && c.taken[a.Stream] > 0})
	case evidence.SHA256(a.Body) != a.SHA256:
		c.damage(where, doAttach, "the bytes of its %s are not those the event names", a.Kind)
	}
}

// objects re-reads every object. What is left of a shredded item's opens nothing any more, and may be removed once its lock has ended.
func (c *checker) objects(ctx context.Context) error {
	named := make(map[evidence.Hash]bool)
	damage := func(item, format string, args ...any) {
		c.report(Damage{Where: "item " + item, What: fmt.Sprintf(format, args...), Do: doObject, file: true})
	}
	for s, state := range c.states {
		item, ok := state.(*evidence.ItemState)
		if !ok || item.Class == evidence.DescriptionOnly {
			continue
		}
		named[item.Evidence.SHA256] = true
		if item.Shredded != 0 {
			continue
		}
		sums, err := c.parts.objects.Verify(ctx, objects.Digest(item.Evidence.SHA256))
		switch {
		case errors.Is(err, objects.ErrNotFound):
			damage(s.ID, "its evidence is missing: object %s", item.Evidence.SHA256)
		case errors.Is(err, objects.ErrDamaged):
			damage(s.ID, "its evidence was altered on disk: object %s", item.Evidence.SHA256)
		case err != nil:
			return err
		case sums.Size != item.Evidence.Size || evidence.Hash(sums.Tree) != item.Evidence.Tree:
			damage(s.ID, "size or block tree of its evidence are not those the event names: object %s", item.Evidence.SHA256)
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
				c.report(Damage{Where: "object " + info.Digest.String(), What: fmt.Sprintf("no event names it (%d bytes)", info.Size), Do: doOrphan, Harmless: true})
			}
		}
		if len(list) < fsckPage {
			return nil
		}
	}
}
