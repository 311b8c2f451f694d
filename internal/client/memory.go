package client

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"strongroom.example/strongroom/internal/dossier"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/wire"
)

// memory is what this device has seen of the vault: the newest checkpoint, how far the heads map was published, and the last event of each
// stream. It only grows. A vault that contradicts it shows two histories.
type memory struct {
	keystore Keystore
	keys     tlog.LogKeys

	mu      sync.Mutex
	seen    seen      // durable
	waiting *learning // not yet

	writing sync.Mutex // held while documents are replaced; never asked for under mu
}

// learning is what several goroutines make durable at once.
type learning struct {
	more seen
	done bool
	err  error
}

// seen is what was seen, or a part of it.
type seen struct {
	Checkpoint []byte `json:"checkpoint,omitempty"` // the signed note
	Covers     int64  `json:"covers"`

	parsed tlog.Checkpoint // of Checkpoint
	heads  [shelves]shelf
}

// shelves is over how many documents the heads are spread, so that one more deposit costs the same after ten thousand as after ten.
const shelves = 256

// shelf holds some streams' last events by headKey. It is replaced, never changed.
type shelf map[string]head

type head struct {
	Seq      int64         `json:"seq"`
	Leaf     evidence.Hash `json:"leaf"`
	Index    int64         `json:"index"`
	Withheld []promise     `json:"withheld,omitempty"` // by sequence number; nil, but not empty, where nothing is said of it
}

// promise is that an event which was withheld is shown from a moment on. It ends when that is done.
type promise struct {
	Seq   int64         `json:"seq"`
	Until evidence.Time `json:"until"`
}

func headKey(s evidence.Stream) string { return string(s.Type) + "/" + s.ID }

func shelfOf(key string) byte { return evidence.SHA256([]byte(key))[0] }

func shelfDoc(i int) string { return fmt.Sprintf("%s/%02x.json", headsDir, i) }

func (s *seen) head(key string) (head, bool) {
	h, ok := s.heads[shelfOf(key)][key]
	return h, ok
}

// put adds a head that is newer than what is there, or tells another thing of what is withheld.
func (s *seen) put(key string, h head) (changed bool) {
	on := &s.heads[shelfOf(key)]
	if old, ok := (*on)[key]; ok {
		if h.Withheld == nil {
			h.Withheld = old.Withheld
		}
		if h.Seq < old.Seq || h.Seq == old.Seq && slices.Equal(h.Withheld, old.Withheld) {
			return false
		}
	}
	next := make(shelf, len(*on)+1)
	maps.Copy(next, *on)
	next[key] = h
	*on = next
	return true
}

func (m *memory) load(k Keystore, trust tlog.Trust) (err error) {
	m.keystore, m.keys = k, trust.LogKeys()
	if m.seen, err = m.read(); err != nil {
		return err
	}
	names, err := k.List(headsDir)
	if err != nil || len(names) == 0 {
		return err
	}
	for i := range shelves {
		if m.seen.heads[i], err = m.readShelf(i); err != nil {
			return err
		}
	}
	return nil
}

// read never takes a damaged document for an empty one: what was seen is not forgotten silently.
func (m *memory) read() (s seen, err error) {
	if err := readDoc(m.keystore, memoryDoc, &s); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return s, err
	}
	if s.Covers < 0 {
		return s, errDamaged
	}
	if len(s.Checkpoint) > 0 {
		if s.parsed, err = tlog.OpenCheckpoint(s.Checkpoint, m.keys); err != nil {
			return s, errDamaged
		}
	}
	return s, nil
}

func (m *memory) readShelf(i int) (s shelf, err error) {
	err = readDoc(m.keystore, shelfDoc(i), &s)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && !s.valid(i) {
		err = errDamaged
	}
	return s, err
}

// valid reports whether every head can have been put on this shelf.
func (s shelf) valid(i int) bool {
	for key, h := range s {
		if int(shelfOf(key)) != i || h.Seq < 0 || h.Index < 0 {
			return false
		}
		for _, p := range h.Withheld {
			if p.Seq < 0 || p.Seq > h.Seq {
				return false
			}
		}
	}
	return true
}

// learn makes what was verified durable. What several learn at the same time is written once.
func (m *memory) learn(more seen) error {
	m.mu.Lock()
	if now := m.seen; !now.add(more) {
		m.mu.Unlock()
		return nil
	}
	if m.waiting == nil {
		m.waiting = new(learning)
	}
	mine := m.waiting
	mine.more.add(more)
	m.mu.Unlock()

	m.writing.Lock()
	defer m.writing.Unlock()
	if !mine.done {
		m.mu.Lock()
		m.waiting = nil // whoever comes now waits for the next time
		m.mu.Unlock()
		mine.err, mine.done = m.store(mine.more), true
	}
	return mine.err
}

// store replaces the documents that more changes. Another process of the same person may have learned more in the meantime: the greater
// counts. Heads come last: a checkpoint without them only shows more than they need.
func (m *memory) store(more seen) error {
	m.mu.Lock()
	now := m.seen
	m.mu.Unlock()
	there, err := m.read()
	if err != nil {
		return err
	}
	now.add(there)
	if now.add(seen{Checkpoint: more.Checkpoint, parsed: more.parsed, Covers: more.Covers}) {
		if err := writeDoc(m.keystore, memoryDoc, now); err != nil {
			return err
		}
	}
	for i, news := range more.heads {
		if len(news) == 0 {
			continue
		}
		there, err := m.readShelf(i)
		if err != nil {
			return err
		}
		for key, h := range there {
			now.put(key, h)
		}
		changed := false
		for key, h := range news {
			changed = now.put(key, h) || changed
		}
		if !changed {
			continue
		}
		if err := writeDoc(m.keystore, shelfDoc(i), now.heads[i]); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seen = now
	return nil
}

func (s *seen) add(more seen) (changed bool) {
	if more.parsed.Size > s.parsed.Size {
		s.Checkpoint, s.parsed, changed = more.Checkpoint, more.parsed, true
	}
	if more.Covers > s.Covers {
		s.Covers, changed = more.Covers, true
	}
	for _, on := range more.heads {
		for key, h := range on {
			changed = s.put(key, h) || changed
		}
	}
	return changed
}

// snapshot is what was known at a moment. Answers to what is asked from then on may not fall behind it; what others learn meanwhile is no
// measure for them.
func (m *memory) snapshot() seen {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.seen
}

// floor is an index below which everything seen of the streams lies: a publication that covers more shows all of it.
func (s seen) floor(streams []evidence.Stream) int64 {
	floor := max(0, s.Covers-1)
	for _, stream := range streams {
		h, _ := s.head(headKey(stream))
		floor = max(floor, h.Index)
	}
	return floor
}

// promises is what is withheld of a stream.
func promises(h *dossier.History, s evidence.Stream) []promise {
	list := []promise{}
	for seq := range h.Len(s) {
		if until := h.Withheld(s, seq); until != 0 {
			list = append(list, promise{seq, until})
		}
	}
	return list
}

// broken finds a promise that was not kept: an event that is withheld for longer than was said, or by now turns out to be none that had
// to be withheld for so long.
func (h head) broken(history *dossier.History, s evidence.Stream) error {
	for _, p := range h.Withheld {
		until := history.Withheld(s, p.Seq)
		if until > p.Until {
			return alarm(Undue, s, fmt.Errorf("event %d was to be shown from %s on, and now from %s", p.Seq, p.Until, until))
		}
		if until == 0 && history.Secret(s, p.Seq) < p.Until {
			return alarm(Undue, s, fmt.Errorf("event %d was withheld, and no hold that secret is on it", p.Seq))
		}
	}
	return nil
}

// contradicted finds what in a verified history excludes what was seen.
func (s seen) contradicted(h *dossier.History) error {
	for _, stream := range h.Streams() {
		last, ok := s.head(headKey(stream))
		if !ok {
			continue
		}
		if h.Len(stream) <= last.Seq {
			return alarm(StaleHead, stream, nil)
		}
		if leaf, _ := h.Leaf(stream, last.Seq); leaf != last.Leaf {
			return alarm(Forked, stream, nil)
		}
		if err := last.broken(h, stream); err != nil {
			return err
		}
	}
	if h.Heads().Covers < s.Covers {
		return alarm(StaleHead, evidence.Stream{}, nil)
	}
	return nil
}

// follow verifies a signed checkpoint and that it belongs to the one history seen so far, and remembers the larger one.
func (c *Client) follow(ctx context.Context, note []byte) (tlog.Checkpoint, error) {
	more, err := c.followed(ctx, note)
	if err != nil {
		return more.parsed, err
	}
	return more.parsed, c.memory.learn(more)
}

// followed is follow, but for the remembering.
func (c *Client) followed(ctx context.Context, note []byte) (seen, error) {
	cp, err := tlog.OpenCheckpoint(note, c.trust.LogKeys())
	if err != nil {
		return seen{}, alarm(logLie(err), evidence.Stream{}, err)
	}
	old := c.memory.snapshot().parsed
	switch {
	case old == (tlog.Checkpoint{}), cp == old:
	case cp.Size == old.Size:
		return seen{}, alarm(Forked, evidence.Stream{}, nil)
	case cp.Size > old.Size:
		err = c.consistent(ctx, old, cp)
	default:
		err = c.consistent(ctx, cp, old)
	}
	return seen{Checkpoint: note, parsed: cp}, err
}

// consistent asks for the proof that one log grew from older to newer.
func (c *Client) consistent(ctx context.Context, older, newer tlog.Checkpoint) error {
	if older.Size == 0 {
		return nil
	}
	answer, err := lossy(ctx, c, func() (wire.ConsistencyProof, error) {
		req, err := wire.NewGetConsistencyRequest(c.address, &wire.GetConsistencyParams{From: older.Size, To: newer.Size})
		return public[wire.ConsistencyProof](ctx, c, req, err, http.StatusOK)
	})
	if evidence.KindOf(err) == evidence.Invalid || evidence.KindOf(err) == evidence.NotFound {
		return alarm(Forked, evidence.Stream{}, err) // it signed both sizes and cannot say how one became the other
	}
	if err != nil {
		return err
	}
	hashes := make([][]byte, len(answer.Hashes))
	for i, text := range answer.Hashes {
		if hashes[i], err = hex.DecodeString(text); err != nil {
			return alarm(Malformed, evidence.Stream{}, nil)
		}
	}
	if err := tlog.VerifyConsistency(older, newer, hashes); err != nil {
		return alarm(Forked, evidence.Stream{}, err)
	}
	return nil
}

// newest asks for the newest checkpoint, which must not be smaller than one seen before. A replica may lag for a moment, so it is asked
// again before that counts as a lie.
func (c *Client) newest(ctx context.Context) error {
	const attempts = 4
	for attempt := range attempts {
		before := c.memory.snapshot().parsed
		note, err := lossy(ctx, c, func() ([]byte, error) { return c.getCheckpoint(ctx) })
		if err != nil {
			return err
		}
		cp, err := tlog.OpenCheckpoint(note, c.trust.LogKeys())
		if err != nil {
			return alarm(logLie(err), evidence.Stream{}, err)
		}
		if cp.Size >= before.Size {
			_, err := c.follow(ctx, note)
			return err
		}
		if attempt < attempts-1 {
			if err := c.pause(ctx, time.Second); err != nil {
				return err
			}
		}
	}
	return alarm(RolledBack, evidence.Stream{}, nil)
}

func (c *Client) getCheckpoint(ctx context.Context) ([]byte, error) {
	req, err := wire.NewGetCheckpointRequest(c.address)
	if err != nil {
		return nil, err
	}
	resp, err := c.exchange(req.WithContext(ctx), http.StatusOK)
	if evidence.KindOf(err) == evidence.NotFound && c.memory.snapshot().parsed.Size > 0 {
		return nil, alarm(RolledBack, evidence.Stream{}, err)
	}
	if err != nil {
		return nil, err
	}
	return readAll(resp, tlog.MaxCheckpointSize)
}
