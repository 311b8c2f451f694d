package client

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"sync"

	"strongroom.example/strongroom/internal/dossier"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
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
	Checkpoint []byte    `json:"checkpoint,omitempty"` // the signed note
	Covers     int64     `json:"covers"`
	Final      int64     `json:"final,omitempty"`    // of how many entries it was seen that others confirm them
	Unproved   *unproved `json:"unproved,omitempty"` // what waits for that

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
	if s.Covers < 0 || s.Final < 0 {
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
	if now.add(seen{Checkpoint: more.Checkpoint, parsed: more.parsed, Covers: more.Covers, Final: more.Final, Unproved: more.Unproved}) {
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
	if more.Final > s.Final {
		s.Final, changed = more.Final, true
	}
	if o := s.Unproved.oldest(more.Unproved, s.Final); o != s.Unproved {
		s.Unproved, changed = o, true
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
