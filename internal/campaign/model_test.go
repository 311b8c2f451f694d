package campaign

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"strongroom.example/strongroom/internal/custody"
	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/sqldb"
	"strongroom.example/strongroom/internal/tlog"
)

// model is what the vault said, taken from the wire: whatever it acknowledged must be so ever after.
type model struct {
	keys tlog.LogKeys

	mu          sync.Mutex
	rand        *rand.Rand
	sent        map[ev.Hash]sent
	accepted    map[ev.Hash]bool          // answered with 202 or better
	included    map[ev.Hash]int64         // by leaf: the index in its receipt
	released    map[ev.Hash]string        // access events on which something was given, and what
	checkpoints map[int64]tlog.Hash       // root by size
	notes       map[ev.Hash]bool          // checkpoints and receipts read before
	contents    map[ev.ItemID]ev.Hash     // plaintext of what was deposited
	lies        []string                  // what contradicts something said before
	founding    map[ev.Hash]bool          // events from before the campaign
	moments     chan moment               // what is happening now, for whoever wants to strike
	acts        map[int]string            // by number
	reasons     map[string]map[string]int // refusals, by act and reason
}

// sent is an event that a person signed and sent.
type sent struct {
	act    int
	person string
	kind   ev.Kind
	stream ev.Stream
}

// moment is a point at which a crash or a fault hurts.
type moment string

const (
	atCommit  moment = "an event is sent"
	atAccess  moment = "an access is sent"
	atUpload  moment = "a part of an upload is sent"
	atRelease moment = "something is released"
	atReceipt moment = "an event is acknowledged"
)

func newModel(seed uint64) *model {
	return &model{
		rand: rand.New(rand.NewPCG(seed, 0)),
		sent: make(map[ev.Hash]sent), accepted: make(map[ev.Hash]bool), included: make(map[ev.Hash]int64), released: make(map[ev.Hash]string),
		checkpoints: make(map[int64]tlog.Hash), notes: make(map[ev.Hash]bool), contents: make(map[ev.ItemID]ev.Hash),
		founding: make(map[ev.Hash]bool), moments: make(chan moment), acts: make(map[int]string), reasons: make(map[string]map[string]int),
	}
}

// tell lets whoever waits for a moment know of it.
func (m *model) tell(what moment) {
	select {
	case m.moments <- what:
	default:
	}
}

func (m *model) lie(format string, args ...any) {
	m.lies = append(m.lies, fmt.Sprintf(format, args...))
}

func (m *model) submits(s sent, leaf ev.Hash) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sent[leaf] = s
}

func (m *model) accepts(leaf ev.Hash) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.accepted[leaf] = true
}

func (m *model) releases(leaf ev.Hash, what string) {
	defer m.tell(atRelease)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.released[leaf] = what
}

// once reports whether bytes are new; those seen before need no second look.
func (m *model) once(b []byte) bool {
	digest := ev.SHA256(b)
	m.mu.Lock()
	defer m.mu.Unlock()
	seen := m.notes[digest]
	m.notes[digest] = true
	return !seen
}

// signed takes in a checkpoint that the vault gave away.
func (m *model) signed(note []byte) {
	if !m.once(note) {
		return
	}
	cp, err := tlog.OpenCheckpoint(note, m.keys)
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil {
		m.lie("a checkpoint does not hold: %v", err)
	} else if root, ok := m.checkpoints[cp.Size]; ok && root != cp.Root {
		m.lie("two checkpoints of size %d", cp.Size)
	} else {
		m.checkpoints[cp.Size] = cp.Root
	}
}

// receipt takes in a receipt that the vault gave away.
func (m *model) receipt(bundle []byte) {
	if len(bundle) == 0 || !m.once(bundle) {
		return
	}
	r, err := tlog.ParseReceipt(bundle)
	var fact tlog.Included
	if err == nil {
		m.signed(r.Checkpoint())
		fact, err = r.Verify(m.keys)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil {
		m.lie("a receipt does not hold: %v", err)
		return
	}
	leaf := ev.Hash(fact.LeafHash())
	if index, ok := m.included[leaf]; ok && index != fact.Index() {
		m.lie("one event has receipts at %d and at %d", index, fact.Index())
	}
	m.included[leaf], m.accepted[leaf] = fact.Index(), true
	defer m.tell(atReceipt)
}

// said is what the vault had said by a moment.
type said struct {
	accepted map[ev.Hash]bool
	included map[ev.Hash]int64
	released map[ev.Hash]string
	newest   int64 // checkpoint
}

func (m *model) said() said {
	m.mu.Lock()
	defer m.mu.Unlock()
	return said{maps.Clone(m.accepted), maps.Clone(m.included), maps.Clone(m.released), slices.Max(append(slices.Collect(maps.Keys(m.checkpoints)), 0))}
}

// kept checks a vault's records and its newest checkpoint elsewhere, while nothing runs there, against what was said before it came to rest.
func (m *model) kept(t testing.TB, before said, db *sqldb.DB, apart []byte) {
	t.Helper()
	ctx := context.Background()
	defer db.Close()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, lie := range m.lies {
		t.Errorf("the vault contradicts itself: %s", lie)
	}
	for leaf := range before.accepted {
		e, err := db.Entry(ctx, leaf)
		index, proved := before.included[leaf]
		switch {
		case err != nil:
			t.Errorf("an event that was acknowledged is not there: %s: %v", m.name(leaf), err)
		case proved && (!e.Included() || e.Index != index):
			t.Errorf("an event with a receipt for index %d is stored with %d: %s", index, e.Index, m.name(leaf))
		}
	}
	for leaf, what := range before.released {
		if e, err := db.Entry(ctx, leaf); err != nil || !e.Included() {
			t.Errorf("%s was released on an event that is not in the log: %s: %v", what, m.name(leaf), err)
		}
	}
	for where, note := range map[string][]byte{"records": must(db.Checkpoint(ctx))(t), "checkpoint file": apart} {
		cp, err := tlog.OpenCheckpoint(note, m.keys)
		if err != nil || cp.Size < before.newest {
			t.Errorf("a checkpoint of size %d was given away, that in the %s has %d: %v", before.newest, where, cp.Size, err)
		}
	}
	m.exactlyOnce(t, db)
}

// exactlyOnce looks at every event there is: it is of somebody, and what was done once is there once.
func (m *model) exactlyOnce(t testing.TB, db *sqldb.DB) {
	t.Helper()
	type deed struct {
		act    int
		kind   ev.Kind
		stream ev.Stream
	}
	deeds, at := make(map[deed]int), make(map[int64]bool)
	m.events(t, db, func(e ledger.Entry) {
		if e.Included() && at[e.Index] {
			t.Errorf("two events at index %d", e.Index)
		}
		at[e.Index] = e.Included()
		s, ok := m.sent[e.LeafHash]
		switch statement := must(custody.Open(e.Leaf.Extra))(t); {
		case ok && s.kind != ev.ItemEnvelopeAdded: // of those an act may need several
			deeds[deed{s.act, s.kind, s.stream}]++
		case !ok && !m.founding[e.LeafHash] && statement.Event().Actor.Role != ev.Vault:
			t.Errorf("nobody sent the event %s of %s %s", e.Kind, e.Stream.Type, e.Stream.ID)
		}
	})
	for d, n := range deeds {
		if n > 1 && d.act != 0 {
			t.Errorf("%s was done once and is there %d times (%s of %s %s)", m.acts[d.act], n, d.kind, d.stream.Type, d.stream.ID)
		}
	}
}

func (m *model) events(t testing.TB, db *sqldb.DB, f func(ledger.Entry)) {
	t.Helper()
	const page = 500
	for after := int64(0); ; {
		list := must(db.Events(context.Background(), after, page))(t)
		for _, e := range list {
			after = e.Order
			f(e)
		}
		if len(list) < page {
			return
		}
	}
}

// begin notes what is there before the campaign.
func (m *model) begin(t testing.TB, db *sqldb.DB) {
	t.Helper()
	defer db.Close()
	m.events(t, db, func(e ledger.Entry) { m.founding[e.LeafHash] = true })
}

func (m *model) name(leaf ev.Hash) string {
	s, ok := m.sent[leaf]
	if !ok {
		return "an event of the vault's own or from before"
	}
	return fmt.Sprintf("%s by %s (act %d, %s)", s.kind, s.person, s.act, m.acts[s.act])
}
