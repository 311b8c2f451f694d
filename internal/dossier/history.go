package dossier

import (
	"encoding/base64"
	"errors"
	"slices"
	"sync"
	"time"

	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/heads"
	"strongroom.example/strongroom/internal/tlog"
)

// Excerpt is what somebody hands over as the whole of some streams. Nothing of it is believed.
type Excerpt struct {
	// Heads is the receipt of the vault.heads event under which the lengths are proved.
	Heads []byte
	// Checkpoint is the signed state of the log that lies beside the receipts, if any: it must be that of Heads.
	Checkpoint []byte
	Streams    []Stream
	// Newer also accepts events at a stream's end that Heads does not cover. A client that is about to act wants them; a court package
	// never has any.
	Newer bool
}

// Stream is one stream from its first event.
type Stream struct {
	ID     evidence.Stream
	Events int64 // how many are handed over
	// Receipt returns the receipt of event seq, 0 ≤ seq < Events. It is called from several goroutines, and again for the same event.
	Receipt func(seq int64) ([]byte, error)
	Length  Length
	// Proof returns the Length in its place, where it is not nil: proofs of many streams are more than need be in memory.
	Proof func() (Length, error)
}

func (s Stream) length() (Length, error) {
	if s.Proof != nil {
		return s.Proof()
	}
	return s.Length, nil
}

// Held makes a Receipt function of receipts in memory.
func Held(receipts [][]byte) func(seq int64) ([]byte, error) {
	return func(seq int64) ([]byte, error) { return receipts[seq], nil }
}

// Length proves how long a stream is under one publication of the heads map: event N-1 is in the map, event N is not (FORMATS §7).
type Length struct {
	N      int64
	Member *heads.Proof // nil if and only if N is 0
	Absent heads.Proof
}

// History is what an Excerpt was found to say.
type History struct {
	trust    tlog.Trust
	founders []evidence.Founder
	newer    bool
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
	why     map[place]string        // why the law let an event release something, in plain words
	secret  map[place]evidence.Time // until when the law withholds an event from some
	words   phrases
	latest  evidence.Time // stated by any event so far, in the order of the log
	// backwards is by how much at most an event states a time before one that was entered earlier.
	backwards time.Duration
	spare     spare
}

// place is an event's.
type place struct {
	chain int
	seq   int64
}

// phrases keeps one copy of each sentence: thousands of openings stand on the same ground.
type phrases map[string]string

func (w phrases) of(s string) string {
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
	for _, c := range h.chains {
		h.checkSequence(c)
	}
	h.judgeAll()
	h.checkComplete()
	return h.found.sorted()
}

func newHistory(trust tlog.Trust, x Excerpt) *History {
	h := &History{trust: trust, newer: x.Newer, checkpoint: x.Checkpoint, byID: map[evidence.Stream]int{}, opened: newCheckpoints(trust),
		signers: signers{numbers: map[evidence.Hash]int32{}}, refs: map[place]int{}, owners: map[evidence.Hash]int{}, why: map[place]string{}, secret: map[place]evidence.Time{}, words: phrases{}, past: map[subtree]tlog.Hash{}, spare: newSpare(), retired: map[tlog.Hash]time.Time{}}
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

// checkCheckpoint compares the checkpoint beside the receipts with that of the publication. One that no log key signed, or that forks
// the log, is refused as such where the file is read.
func (h *History) checkCheckpoint() {
	if len(h.checkpoint) == 0 || h.book == nil || !h.book.records[0].read {
		return
	}
	beside, err := tlog.OpenCheckpoint(h.checkpoint, h.trust.LogKeys())
	if err == nil && beside.Size != h.published.Size {
		h.note(h.book, -1, CheckCheckpoint, Fail, ReasonCheckpointFile, nil)
	}
}

// checkSequence looks at the positions that the statements of a stream state (FORMATS §3). The links between them are looked at while
// judging.
func (h *History) checkSequence(c *chain) {
	if c == h.book {
		return
	}
	for i := range c.records {
		r := &c.records[i]
		if !r.read {
			c.broken, c.lost = true, true
			continue
		}
		if r.seq != int64(i) {
			h.note(c, int64(i), CheckChain, Fail, c.disorder(i), nil)
			c.broken, c.lost = true, true
			return
		}
	}
}

// disorder says why record i has another position; those before it are as they should be.
func (c *chain) disorder(i int) string {
	seq := c.records[i].seq
	switch {
	case seq >= 0 && seq < int64(i):
		if c.records[seq].leaf == c.records[i].leaf {
			return ReasonDuplicate
		}
		return ReasonFork
	case slices.ContainsFunc(c.records[i:], func(r record) bool { return r.read && r.seq == int64(i) }):
		return ReasonSwapped
	case i == 0:
		return ReasonMissingFirst
	}
	return ReasonMissing
}

// checkComplete demands the proof that each stream ends where it ends. Streams that a statement names and that are not there were noted
// when it was read.
func (h *History) checkComplete() {
	state := h.Heads()
	if state == nil {
		if h.book != nil && !h.found.failed(CheckComplete) {
			h.note(h.book, -1, CheckComplete, NotChecked, ReasonHeadsUnproved, nil)
		}
		return
	}
	if h.book.records[0].index < state.Covers {
		h.note(h.book, -1, CheckComplete, Fail, ReasonHeadsCovers, nil)
		return
	}
	for _, c := range h.chains {
		if c == h.book {
			continue
		}
		if reason, err := h.checkLength(c, state); reason != "" {
			h.note(c, -1, CheckComplete, Fail, reason, err)
		}
	}
}

func (h *History) checkLength(c *chain, state *evidence.HeadsState) (string, error) {
	l, err := c.length()
	switch {
	case err != nil:
		return ReasonHeadsProof, err
	case l.N < 0, (l.N == 0) != (l.Member == nil):
		return ReasonHeadsProof, nil
	case c.Events < l.N:
		return ReasonMissingLast, nil
	case c.Events > l.N && !h.newer:
		return ReasonNotCovered, nil
	}
	for _, r := range c.records[:l.N] {
		if r.read && r.index >= state.Covers {
			return ReasonNotCovered, nil
		}
	}
	tag := c.ID.Tag(h.trust.Vault())
	if l.N > 0 && c.records[l.N-1].read {
		err := l.Member.VerifyMember(state.Root, heads.Key(tag, uint64(l.N-1)), c.records[l.N-1].leaf)
		if errors.Is(err, heads.ErrValue) {
			return ReasonOtherLast, err
		}
		if err != nil {
			return ReasonHeadsProof, err
		}
	}
	err = l.Absent.VerifyAbsent(state.Root, heads.Key(tag, uint64(l.N)))
	if errors.Is(err, heads.ErrPresent) {
		return ReasonMissingLast, err
	}
	if err != nil {
		return ReasonHeadsProof, err
	}
	return "", nil
}

// Heads is the publication of the heads map under which lengths are proved, or nil.
func (h *History) Heads() *evidence.HeadsState {
	if h.book == nil || h.book.lost {
		return nil
	}
	s, _ := h.book.state.(*evidence.HeadsState)
	return s
}

// Publication is what a vault.heads event says of when: every entry below Covers was in the log by Time, by the vault's clock.
type Publication struct {
	Seq    int64 // in the vault's stream
	Entry  int64
	Covers int64
	Time   evidence.Time
}

// publication is the one under which lengths are proved; ok is false if there is none.
func (h *History) publication() (p Publication, ok bool) {
	s := h.Heads()
	if s == nil {
		return p, false
	}
	return Publication{s.Last.Seq, h.book.records[0].index, s.Covers, s.Last.Time}, true
}

// Publication verifies the receipt of an earlier vault.heads event, as that of the newest one was verified: signed by a key that the vault has
// had, entered in this log, at its place in the stream. Its root is not compared with the log.
func (h *History) Publication(receipt []byte, seq int64) (p Publication, _ error) {
	newest, ok := h.publication()
	policy, known := h.State(evidence.PolicyOf(h.trust.Vault())).(*evidence.PolicyState)
	if !ok || !known {
		return p, errNoPublication
	}
	o, _, reason, err := open(receipt)
	if reason == "" {
		_, _, reason, err = o.verify(&h.keys)
	}
	var cp tlog.Checkpoint
	if reason == "" {
		cp, _, reason, err = h.include(o)
	}
	if reason != "" {
		return p, errors.Join(errNoPublication, err)
	}
	if err := h.checkFork(nil, o.leafHash, o.receipt.Index(), o.receipt.Proof(), cp); err != nil {
		return p, err
	}
	e := o.statement.Event()
	d, ok := e.Details.(*evidence.VaultHeadsDetails)
	key := evidence.SHA256([]byte(base64.StdEncoding.EncodeToString(o.leaf.spki)))
	author := h.chain(evidence.ActorOf(policy.Vault))
	owner, had := h.owners[key]
	switch {
	case !ok, o.unknown != nil, e.Vault != h.trust.Vault(), e.Stream.Stream() != h.book.ID, e.Stream.Seq != seq:
	case seq > newest.Seq, o.receipt.Index() > newest.Entry, d.Covers > newest.Covers, d.Covers > o.receipt.Index():
	case e.Actor.ID != policy.Vault, author == nil, !had, owner != author.at:
	default:
		return Publication{seq, o.receipt.Index(), d.Covers, e.Time}, nil
	}
	return p, errNoPublication
}

var errNoPublication = errors.New("dossier: not a publication of this vault")

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

// Why says in plain words why the law let an event release something; "" of all others.
func (h *History) Why(s evidence.Stream, seq int64) string {
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
