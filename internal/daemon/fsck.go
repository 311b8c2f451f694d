package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"

	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/heads"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/objects"
	"strongroom.example/strongroom/internal/tlog"
)

// Damage is one thing that fsck found wrong. Where names it by ids and log indexes, never by content.
type Damage struct {
	Where string `json:"where"`
	What  string `json:"what"`
}

// Examined counts what fsck read.
type Examined struct {
	Events      int64 `json:"events"`
	Leaves      int64 `json:"leaves"`
	Checkpoints int64 `json:"checkpoints"`
	Attachments int64 `json:"attachments"`
	Objects     int64 `json:"objects"`
	Bytes       int64 `json:"bytes"` // of objects
	Pending     int64 `json:"pending"`
	Orphans     int64 `json:"orphans"` // objects that no event names: harmless, left by an interrupted deposit
}

// fsckPage is how much is read at once.
const fsckPage = 512

// Fsck re-reads a vault that is not running: events against their signatures, the log and the law; the log against the events; heads,
// checkpoints, attachments and objects against what the events name. It calls report for each damage and changes nothing. An error
// means that it could not look.
func Fsck(ctx context.Context, dir string, o Options, report func(Damage)) (Examined, error) {
	f := folder(dir)
	p, err := openParts(ctx, f, o)
	if err != nil {
		return Examined{}, err
	}
	defer p.close()
	text, err := os.ReadFile(f.trust())
	if err != nil {
		return Examined{}, ErrNotFounded
	}
	trust, err := tlog.ParseTrust(text)
	if err != nil {
		return Examined{}, fmt.Errorf("trust.json: %w", err)
	}
	c := &checker{parts: p, trust: trust, report: report, states: make(map[evidence.Stream]evidence.State)}
	for _, step := range []func(context.Context) error{c.events, c.checkpoints, c.log, c.headsMap, c.projections, c.attachments, c.objects} {
		if err := step(ctx); err != nil {
			return c.Examined, err
		}
	}
	return c.Examined, nil
}

// checker carries what one step learns to the next.
type checker struct {
	*parts
	Examined
	trust    tlog.Trust
	founders []evidence.Hash
	report   func(Damage)
	states   map[evidence.Stream]evidence.State // replayed
	covered  []heads.Entry                      // in log order
	indexes  []int64
}

func (c *checker) damage(where, format string, args ...any) {
	c.report(Damage{where, fmt.Sprintf(format, args...)})
}

func place(e ledger.Entry) string {
	return fmt.Sprintf("%s %s event %d", e.Stream.Type, e.Stream.ID, e.Seq)
}

// events replays everything that was accepted, in the order of acceptance.
func (c *checker) events(ctx context.Context) error {
	for _, spki := range c.trust.Founders() {
		c.founders = append(c.founders, custody.KeyID(spki))
	}
	for after := int64(0); ; {
		entries, err := c.records.Events(ctx, after, fsckPage)
		if err != nil {
			return err
		}
		for _, e := range entries {
			c.Events++
			if err := c.replay(e); err != nil {
				c.damage(place(e), "the stored event does not hold: %v", err)
			}
			if err := c.receipt(e); err != nil {
				c.damage(place(e), "the stored receipt does not hold: %v", err)
			}
			after = e.Order
		}
		if len(entries) < fsckPage {
			return nil
		}
	}
}

// replay checks signature, leaf and law of one event and takes its effect.
func (c *checker) replay(e ledger.Entry) error {
	statement, err := custody.Open(e.Leaf.Extra)
	if err != nil {
		return err
	}
	event := statement.Event()
	spki, err := c.signer(event)
	if err != nil {
		return err
	}
	signed, err := statement.Verify(spki)
	if err != nil {
		return err
	}
	if !bytes.Equal(signed.Leaf(), e.Leaf.Value) || signed.LeafHash() != e.LeafHash {
		return errors.New("its leaf is another's")
	}
	if event.Stream.Stream() != e.Stream || event.Stream.Seq != e.Seq || event.Kind != e.Kind {
		return errors.New("it is filed at another place than it says")
	}
	facts := evidence.Facts{Origin: c.settings.Origin, Founders: c.founders, States: map[evidence.Stream]evidence.State{}}
	for _, s := range append(evidence.StandsOn(c.states[e.Stream], event), e.Stream) {
		if state, ok := c.states[s]; ok {
			facts.States[s] = state
		}
	}
	after, err := evidence.Apply(facts, event, e.LeafHash)
	if err != nil {
		return err
	}
	c.states[e.Stream] = after
	return nil
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

// receipt checks the stored receipt of an included event and remembers its place for the heads map.
func (c *checker) receipt(e ledger.Entry) error {
	if !e.Included() {
		c.Pending++
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
	return nil
}

// checkpoints checks every checkpoint ever signed: signature, growth, and consistency with the log as it is.
func (c *checker) checkpoints(ctx context.Context) error {
	root, err := c.tree.Root(ctx)
	if err != nil {
		return err
	}
	now := tlog.Checkpoint{Origin: c.settings.Origin, Size: root.Size, Root: root.Hash}
	for after := int64(0); ; {
		list, err := c.records.Checkpoints(ctx, after, fsckPage)
		if err != nil {
			return err
		}
		for _, stored := range list {
			c.Checkpoints++
			after = stored.Order
			where := fmt.Sprintf("checkpoint of size %d", stored.Size)
			cp, err := tlog.OpenCheckpoint(stored.Signed, c.trust.LogKeys())
			if err != nil || cp.Size != stored.Size {
				c.damage(where, "it is not signed by this vault's log")
				continue
			}
			if cp.Size > now.Size {
				c.damage(where, "the log is smaller than what was signed")
				continue
			}
			proof, err := c.tree.Consistency(ctx, cp.Size, now.Size)
			if err != nil {
				return err
			}
			if tlog.VerifyConsistency(cp, now, proof) != nil {
				c.damage(where, "the log is not the one that was signed, grown")
			}
		}
		if len(list) < fsckPage {
			return nil
		}
	}
}

// log checks that every leaf has its event, at its index, and rebuilds the root from the leaves.
func (c *checker) log(ctx context.Context) error {
	root, err := c.tree.Root(ctx)
	if err != nil {
		return err
	}
	for start := int64(0); start < root.Size; {
		leaves, err := c.tree.Leaves(ctx, start, fsckPage)
		if err != nil {
			return err
		}
		entries, err := c.records.LogRange(ctx, start, start+int64(len(leaves)))
		if err != nil {
			return err
		}
		byIndex := make(map[int64]ledger.Entry, len(entries))
		for _, e := range entries {
			byIndex[e.Index] = e
		}
		for i, leaf := range leaves {
			index := start + int64(i)
			if err := c.leaf(ctx, index, leaf, byIndex); err != nil {
				return err
			}
		}
		if len(leaves) == 0 {
			c.damage(fmt.Sprintf("log leaf %d", start), "leaves below the root are missing")
			return nil
		}
		start += int64(len(leaves))
	}
	return nil
}

func (c *checker) leaf(ctx context.Context, index int64, leaf tlog.TreeLeaf, recorded map[int64]ledger.Entry) error {
	c.Leaves++
	where := fmt.Sprintf("log leaf %d", index)
	hash := evidence.Hash(tlog.LeafHash(leaf.Value))
	e, ok := recorded[index]
	if !ok {
		_, err := c.records.Entry(ctx, hash)
		if evidence.KindOf(err) == evidence.NotFound {
			c.damage(where, "its event is missing from the records")
			return nil
		}
		return err // accepted and appended, its inclusion not recorded yet: the next start does it
	}
	if e.LeafHash != hash {
		c.damage(where, "the records hold another event at this index")
		return nil
	}
	if !bytes.Equal(e.Leaf.Extra, leaf.Extra) {
		c.damage(where, "the statement kept with the leaf is not the one in the records")
	}
	c.covered = append(c.covered, heads.Entry{Key: heads.Key(e.Stream.Tag(c.settings.Origin), uint64(e.Seq)), Value: e.LeafHash})
	c.indexes = append(c.indexes, index)
	return nil
}

// headsMap builds the map again from the log and compares it with what was published and what is stored.
func (c *checker) headsMap(ctx context.Context) error {
	state, ok := c.states[evidence.VaultOf(c.settings.Origin)].(*evidence.HeadsState)
	if !ok {
		return nil
	}
	n := len(c.covered)
	for i, index := range c.indexes {
		if index >= state.Covers {
			n = i
			break
		}
	}
	tree, err := heads.Build(c.covered[:n])
	if err != nil || evidence.Hash(tree.Root()) != state.Root {
		c.damage("heads map", "what was published is not what the log holds")
		return nil
	}
	stored, err := heads.Open(ctx, c.records)
	if err != nil {
		return err
	}
	if evidence.Hash(stored.Root()) != state.Root {
		c.damage("heads map", "what is stored is not what was published")
	}
	for _, e := range c.covered[:n] {
		proof, err := stored.Prove(ctx, e.Key)
		if err != nil || proof.VerifyMember(state.Root, e.Key, e.Value) != nil {
			c.damage("heads map", "a stored entry is damaged")
			return nil
		}
	}
	return nil
}

// projections compares every stored state with the replayed one.
func (c *checker) projections(ctx context.Context) error {
	for s, replayed := range c.states {
		stored, err := c.records.States(ctx, s)
		if err != nil {
			return err
		}
		if !sameState(stored[s], replayed) {
			c.damage(fmt.Sprintf("%s %s", s.Type, s.ID), "the stored state is not what its events make of it")
		}
	}
	return nil
}

// sameState compares by JSON: an empty list and a missing one are the same.
func sameState(a, b evidence.State) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y) || reflect.DeepEqual(a, b)
}

// attachments checks what is stored beside the events, and that nothing stays that an event took away.
func (c *checker) attachments(ctx context.Context) error {
	type key struct {
		stream    evidence.Stream
		recipient evidence.Hash
	}
	have := make(map[key]bool)
	for after := int64(0); ; {
		list, err := c.records.Attachments(ctx, after, fsckPage)
		if err != nil {
			return err
		}
		for _, a := range list {
			c.Attachments++
			after = a.Number
			where := fmt.Sprintf("%s of %s %s", a.Kind, a.Stream.Type, a.Stream.ID)
			switch {
			case a.Destroyed:
				continue
			case evidence.SHA256(a.Body) != a.SHA256:
				c.damage(where, "its bytes are not those the event names")
			case a.Kind == ledger.Envelope && !c.named(a.Stream, a.Recipient, a.SHA256):
				c.damage(where, "an envelope that was taken away still exists")
			}
			if a.Kind == ledger.Envelope {
				have[key{a.Stream, a.Recipient}] = true
			}
		}
		if len(list) < fsckPage {
			break
		}
	}
	for s, state := range c.states {
		item, ok := state.(*evidence.ItemState)
		if !ok {
			continue
		}
		for _, ref := range item.Envelopes {
			if !have[key{s, ref.Recipient}] {
				c.damage(fmt.Sprintf("item %s", s.ID), "an envelope is missing: one of its keyholders can no longer open it")
			}
		}
	}
	return nil
}

func (c *checker) named(s evidence.Stream, recipient, digest evidence.Hash) bool {
	item, ok := c.states[s].(*evidence.ItemState)
	if !ok {
		return false
	}
	ref, ok := item.Envelope(recipient)
	return ok && ref.SHA256 == digest
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

// Summary says in one line what was read.
func (e Examined) Summary() string {
	return fmt.Sprintf("%d events (%d pending), %d log leaves, %d checkpoints, %d attachments, %d objects (%d bytes), %d orphans",
		e.Events, e.Pending, e.Leaves, e.Checkpoints, e.Attachments, e.Objects, e.Bytes, e.Orphans)
}
