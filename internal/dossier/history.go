package dossier

import (
	"sync"
	"time"

	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
)

// History is what an Excerpt was found to say.
type History struct {
	trust    tlog.Trust
	founders []evidence.Founder
	newer    bool
	final    bool
	// checkpoint is the signed note beside the receipts, or empty.
	checkpoint []byte
	// published is the checkpoint under which the publication of the heads map is in the log.
	published tlog.Checkpoint
	past      map[subtree]tlog.Hash // what its proof says of the log before it

	chains []*chain // in the order of Excerpt.Streams, the vault's own last
	byID   map[evidence.Stream]int
	book   *chain // the vault.heads event; nil if it was not handed over

	found   findings
	opened  *checkpoints
	retired map[tlog.Hash]time.Time // when log keys went out of use
	signers signers
	keys    custody.Keys
	refs    map[place]int         // how many events yet to be judged stand on an event
	owners  map[evidence.Hash]int // chains of the actors by the digest of every signing key and recipient they were ever given
	states  budget
	why     map[place]telling       // why the law let an event release something
	secret  map[place]evidence.Time // until when the law withholds an event from some
	words   phrases
	latest  evidence.Time // stated by any event so far, in the order of the log
	// backwards is by how much at most an event states a time before one that was entered earlier.
	backwards time.Duration
	// waited is by how much at most an event states a time before a witness saw a log without it.
	waited   time.Duration
	timeline timeline
	spare    spare
}

// place is an event's.
type place struct {
	chain int
	seq   int64
}

// phrases keeps one copy of each sentence: thousands of openings stand on the same ground.
type phrases map[telling]telling

func (w phrases) of(s telling) telling {
	if known, ok := w[s]; ok {
		return known
	}
	w[s] = s
	return s
}

// chain is one stream while it is judged.
type chain struct {
	Stream
	at      int   // in History.chains
	first   int64 // seq of the first record: 0, but for the vault's own stream
	records []record
	events  []*evidence.Event // those kept in memory, see spare

	// What has been judged so far, in the order of the log:
	next    int64                    // the event to be judged next
	state   evidence.State           // after event next-1
	barrier int64                    // the last barrier event, or -1
	kept    map[int64]evidence.State // others that events yet to be judged stand on
	// broken says that not every event is in its place; lost, that one could not be judged, so that nothing after it can be.
	broken, lost bool
}

// record is what is kept of every event.
type record struct {
	leaf    evidence.Hash
	index   int64
	seq     int64 // as the statement says
	signer  int32 // number in signers
	weight  int32 // of the event in memory, in bytes
	read    bool  // signature by the key in the leaf, and inclusion, are verified
	barrier bool
	until   evidence.Time // when a withheld event may be shown; 0 for all others
	after   evidence.Time // latest time stated by an event that was entered earlier; 0 for the first one
	stamped evidence.Time // when its signature was stamped, at the latest; 0 if it has no time stamp of its own
}

// Replay verifies an excerpt and replays the law over it: signatures, inclusion, checkpoints, chain, completeness, rules (FORMATS §12).
// Events are judged in the order of the log, each by the states of the streams it names at exactly the heads it names, its signature by
// the key its signer had there.
//
// Without findings everything handed over is genuine, lawful and, up to Covers, complete; of withheld events only place and number are
// proved. Otherwise each check that did not pass has one
// or two findings, and History holds what could be judged all the same: it is for display only.
func Replay(trust tlog.Trust, x Excerpt) (*History, []Finding) {
	h := newHistory(trust, x)
	return h, h.run()
}

func (h *History) run() []Finding {
	h.readAll()
	h.checkCheckpoint()
	h.timeline = h.opened.clock.timeline()
	for _, c := range h.chains {
		h.checkSequence(c)
	}
	h.judgeAll()
	h.checkComplete()
	return h.found.sorted()
}

func newHistory(trust tlog.Trust, x Excerpt) *History {
	h := &History{trust: trust, newer: x.Newer, final: x.Final, checkpoint: x.Checkpoint, byID: map[evidence.Stream]int{}, opened: newCheckpoints(trust, x),
		signers: signers{numbers: map[evidence.Hash]int32{}}, refs: map[place]int{}, owners: map[evidence.Hash]int{}, why: map[place]telling{}, secret: map[place]evidence.Time{}, words: phrases{}, past: map[subtree]tlog.Hash{}, spare: newSpare(), retired: map[tlog.Hash]time.Time{}}
	for _, l := range trust.Logs() {
		if id, err := tlog.LogID(l.Key); err == nil && !l.End.IsZero() {
			h.retired[id] = l.End
		}
	}
	for _, f := range trust.Founders() {
		h.founders = append(h.founders, evidence.Founder{Actor: evidence.ActorID(f.Actor), Role: evidence.Role(f.Role), Key: evidence.SHA256(f.Key)})
	}
	for _, s := range x.Streams {
		if _, twice := h.byID[s.ID]; twice || s.ID.Type == evidence.VaultStream {
			h.found.add(len(h.chains), Finding{Check: CheckPackage, Result: Fail, Reason: ReasonStreamTwice, Stream: s.ID, Seq: -1})
			continue
		}
		h.add(s, 0)
	}
	if len(x.Heads) == 0 {
		h.found.add(len(h.chains), Finding{Check: CheckComplete, Result: NotChecked, Reason: ReasonHeadsMissing, Seq: -1})
		return h
	}
	h.book = h.add(Stream{ID: evidence.VaultOf(trust.Vault()), Events: 1, Receipt: func(int64) ([]byte, error) { return x.Heads, nil }}, 0)
	return h
}

func (h *History) add(s Stream, first int64) *chain {
	c := &chain{Stream: s, at: len(h.chains), first: first, barrier: -1, kept: map[int64]evidence.State{}}
	c.records = make([]record, max(0, s.Events))
	c.events = make([]*evidence.Event, len(c.records))
	h.byID[s.ID] = c.at
	h.chains = append(h.chains, c)
	return c
}

// has reports whether record seq was handed over.
func (c *chain) has(seq int64) bool { return seq >= 0 && seq < int64(len(c.records)) }

func (h *History) chain(s evidence.Stream) *chain {
	if i, ok := h.byID[s]; ok {
		return h.chains[i]
	}
	return nil
}

func (h *History) note(c *chain, seq int64, check Check, result Result, reason string, err error) {
	h.found.add(c.at, Finding{Check: check, Result: result, Reason: reason, Stream: c.ID, Seq: seq, Err: err})
}

// checkCheckpoint looks at the checkpoint beside the receipts: it is that of the publication. An auditor vouches for the publications that
// were shown up to the state it signs, and signs only one right after such a publication: for this one if it is the last entry (FORMATS §7).
func (h *History) checkCheckpoint() {
	if len(h.checkpoint) == 0 {
		return
	}
	say := func(check Check, result Result, reason string, err error) {
		h.found.add(0, Finding{Check: check, Result: result, Reason: reason, Seq: -1, Err: err})
	}
	cp, err := h.opened.note(h.checkpoint)
	if err != nil {
		check, reason, err := logReason(err)
		say(check, Fail, reason, err)
		return
	}
	if h.book != nil && h.book.records[0].read && cp.Size != h.published.Size {
		h.note(h.book, -1, CheckCheckpoint, Fail, ReasonCheckpointFile, nil)
	}
	h.checkAttested(cp, false, say)
	after := h.book != nil && h.book.records[0].read && cp.Size == h.book.records[0].index+1
	if h.final && (!cp.audited || !after) && cp.cosignature == nil {
		say(CheckAudit, NotChecked, ReasonAuditMissing, nil)
	}
}

// Streams lists what was handed over, in that order.
func (h *History) Streams() []evidence.Stream {
	var list []evidence.Stream
	for _, c := range h.chains {
		if c != h.book {
			list = append(list, c.ID)
		}
	}
	return list
}

// State is the stream's after its last event: nil if it was not handed over, has no event, or could not be judged to its end.
func (h *History) State(s evidence.Stream) evidence.State {
	c := h.chain(s)
	if c == nil || c.lost {
		return nil
	}
	return c.state
}

// Facts are the last states of all streams: what the next event is to be judged by.
func (h *History) Facts() evidence.Facts {
	f := evidence.Facts{Origin: h.trust.Vault(), Founders: h.founders, States: map[evidence.Stream]evidence.State{}}
	for _, c := range h.chains {
		if c != h.book && !c.lost && c.state != nil {
			f.States[c.ID] = c.state
		}
	}
	return f
}

// Why says in plain English why the law let an event release something; "" of all others.
func (h *History) Why(s evidence.Stream, seq int64) string { return English.say(h.whyOf(s, seq)) }

func (h *History) whyOf(s evidence.Stream, seq int64) telling {
	c := h.chain(s)
	if c == nil {
		return ""
	}
	return h.why[place{c.at, seq}]
}

// Backwards is by how much at most an event states a time before that of one which was entered earlier.
func (h *History) Backwards() time.Duration { return h.backwards }

// After is the latest time that any event of the excerpt states which was entered in the log before event seq, 0 ≤ seq < Len: where every
// clock is right, that event was signed no earlier. It is 0 where none was entered before.
func (h *History) After(s evidence.Stream, seq int64) evidence.Time {
	return h.chain(s).records[seq].after
}

// Len is the number of events handed over for a stream.
func (h *History) Len(s evidence.Stream) int64 {
	if c := h.chain(s); c != nil {
		return int64(len(c.records))
	}
	return 0
}

// Leaf and Index are the Merkle leaf hash and the log index of event seq, 0 ≤ seq < Len; the zero Hash for an event that did not verify.
func (h *History) Leaf(s evidence.Stream, seq int64) (leaf evidence.Hash, index int64) {
	r := h.chain(s).records[seq]
	if !r.read {
		return evidence.Hash{}, -1
	}
	return r.leaf, r.index
}

// Signer names the key that signed event seq, 0 ≤ seq < Len, as its file in a package is named: the SHA-256 of the public key (SPKI DER). It
// is the zero Hash for an event that did not verify or is withheld.
func (h *History) Signer(s evidence.Stream, seq int64) evidence.Hash {
	r := h.chain(s).records[seq]
	if !r.read || r.until != 0 {
		return evidence.Hash{}
	}
	return h.signers.ids[r.signer]
}

// Event returns event seq, 0 ≤ seq < Len. It must not be changed. It fails for an event that did not verify, is withheld, states
// another place than seq, or is of a newer version.
func (h *History) Event(s evidence.Stream, seq int64) (*evidence.Event, error) {
	c := h.chain(s)
	if c == nil || !c.has(seq) || !c.records[seq].read || c.records[seq].seq != c.first+seq {
		return nil, evidence.Refuse(evidence.NotFound, "event")
	}
	if c.records[seq].until != 0 {
		return nil, evidence.Refuse(evidence.Held, ReasonWithheld)
	}
	return h.again(c, int(seq))
}

// Withheld returns until when event seq, 0 ≤ seq < Len, may not be shown; 0 if it was handed over whole.
func (h *History) Withheld(s evidence.Stream, seq int64) evidence.Time {
	return h.chain(s).records[seq].until
}

// Secret returns until when the law keeps event seq, which was handed over whole, from those from whom holds are secret; 0 if it never did.
func (h *History) Secret(s evidence.Stream, seq int64) evidence.Time {
	return h.secret[place{h.chain(s).at, seq}]
}

// signers numbers the keys that signed.
type signers struct {
	mu      sync.Mutex
	numbers map[evidence.Hash]int32
	ids     []evidence.Hash
}

func (s *signers) number(id evidence.Hash) int32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, ok := s.numbers[id]
	if !ok {
		n = int32(len(s.ids))
		s.numbers[id] = n
		s.ids = append(s.ids, id)
	}
	return n
}
