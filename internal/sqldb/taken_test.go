package sqldb

import (
	"slices"
	"strings"
	"testing"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
)

// bodies lists what is stored of a stream.
func (w *world) bodies(s evidence.Stream) (list []string) {
	w.t.Helper()
	for _, a := range must[[]StoredAttachment](w.t)(w.db.Attachments(ctx, 0, 1000)) {
		if a.Stream == s && !a.Destroyed {
			list = append(list, string(a.Body))
		}
	}
	slices.Sort(list)
	return list
}

// An event takes envelopes away in the transaction that accepts it: by recipient and digest from an item, by recipient from a case, where an
// older label key stays with who stays, and everything from an item that is shredded.
func testTaken(t *testing.T, e engine) {
	w := newWorld(t, e.create(t))
	in := evidence.NewID[evidence.CaseID]()
	item := newItem(evidence.NewID[evidence.ItemID](), in)
	stream, first, second := evidence.ItemOf(item.ID), evidence.Hash{1}, evidence.Hash{2}
	kept, taken := attach(ledger.Envelope, first, "kept"), attach(ledger.Envelope, second, "taken")
	item.Envelopes = named(kept, taken)
	w.put(stream, item, kept, taken, attach(ledger.Label, evidence.Hash{}, "label"))
	removal := &evidence.ItemEnvelopeRemovedDetails{Recipient: second, Cause: evidence.CauseReplacement, Horizon: evidence.At(noon)}
	item.Envelopes = named(kept)
	w.putAs(stream, removal, item)
	same(t, w.bodies(stream), []string{"kept", "label"})

	again := attach(ledger.Envelope, second, "again")
	item.Envelopes = named(kept, again)
	w.put(stream, item, again)
	same(t, w.bodies(stream), []string{"again", "kept", "label"})
	replaced := attach(ledger.Envelope, second, "replaced")
	item.Envelopes = named(kept, replaced)
	w.putAs(stream, removal, item, replaced) // what it brings itself stays
	same(t, w.bodies(stream), []string{"kept", "label", "replaced"})

	item.Envelopes, item.Shredded, item.ShredSeq = nil, evidence.At(noon), 4
	w.putAs(stream, &evidence.ItemShreddedDetails{Envelopes: []evidence.Hash{first}, Stores: []string{"backups", "records"}, Horizon: evidence.At(noon)}, item)
	same(t, w.bodies(stream), []string(nil))
	w.put(stream, item, attach(ledger.Note, evidence.Hash{}, "later"))
	ok(t, w.db.Destroy(ctx, stream))
	same(t, w.bodies(stream), []string{"later"})

	of := evidence.CaseOf(in)
	label := func(to evidence.Hash, body string) ledger.Attachment { return attach(ledger.LabelEnvelope, to, body) }
	state := &evidence.CaseState{ID: in}
	state.LabelKey.Envelopes = named(label(first, "old, first"), label(second, "old, second"))
	w.put(of, state, label(first, "old, first"), label(second, "old, second"))
	state.LabelKey.Envelopes = named(label(first, "new, first"))
	leaves := &evidence.CaseMemberRemovedDetails{
		Actor: evidence.NewID[evidence.ActorID](), Cause: evidence.CauseDeparture,
		LabelKey: evidence.LabelKey{Recipient: labelRecipient, Envelopes: state.LabelKey.Envelopes},
	}
	w.putAs(of, leaves, state, label(first, "new, first"))
	same(t, w.bodies(of), []string{"new, first", "old, first"})
	state.LabelKey.Envelopes = named(label(first, "new, first"), label(second, "new, second"))
	w.put(of, state, label(second, "new, second"))
	ok(t, w.db.Destroy(ctx, of))
	same(t, w.bodies(of), []string{"new, first", "new, second", "old, first"})
}

// labelRecipient has the form of one.
var labelRecipient = "age1pq1" + strings.Repeat("q", 1952)
