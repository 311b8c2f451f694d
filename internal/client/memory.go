package client

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"strongroom.example/strongroom/internal/dossier"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
)

// memory is what this device has seen of the vault: the newest checkpoint, how far the heads map was published, and the last event of each
// stream. It only grows. A vault that contradicts it shows two histories. Several programs of one person may have it: what they were shown
// at the same moment is compared as it is written, and what cannot be compared then stays beside the rest until it is (loose, beside).
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
	more []seen
	done bool
	err  error
}

// seen is what was seen, or a part of it.
type seen struct {
	Checkpoint []byte    `json:"checkpoint,omitempty"` // the signed note
	Covers     int64     `json:"covers"`
	Final      int64     `json:"final,omitempty"`    // of how many entries it was seen that others confirm them
	Unproved   *unproved `json:"unproved,omitempty"` // what waits for that
	Loose      []loose   `json:"loose,omitempty"`

	parsed tlog.Checkpoint   // of Checkpoint
	over   tlog.Checkpoint   // of what was learned: the one that Checkpoint was proved to be of one log with; zero if there was none
	tied   []tlog.Checkpoint // of what was learned: proved to be loose no more
	heads  [shelves]shelf
}

// loose is a signed checkpoint that was accepted, of which it is not proved that the newest one, or a larger loose one, extends it: two
// programs, or two goroutines, were shown both at the same moment.
type loose struct {
	Note []byte `json:"note"`

	parsed tlog.Checkpoint
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
	Beside   []point       `json:"beside,omitempty"`   // seen at the same moment, and not found in a history with the last event

	has func(seq int64) (evidence.Hash, bool) // of what was learned: the leaf in its history
}

// point is an event of a stream.
type point struct {
	Seq  int64         `json:"seq"`
	Leaf evidence.Hash `json:"leaf"`
}

// promise is that an event which was withheld is shown from a moment on. It ends when that is done.
type promise struct {
	Seq   int64         `json:"seq"`
	Until evidence.Time `json:"until"`
}

func headKey(s evidence.Stream) string { return string(s.Type) + "/" + s.ID }

func streamOf(key string) evidence.Stream {
	t, id, _ := strings.Cut(key, "/")
	return evidence.Stream{Type: evidence.StreamType(t), ID: id}
}

func shelfOf(key string) byte { return evidence.SHA256([]byte(key))[0] }

func shelfDoc(i int) string { return fmt.Sprintf("%s/%02x.json", headsDir, i) }

func (s *seen) head(key string) (head, bool) {
	h, ok := s.heads[shelfOf(key)][key]
	return h, ok
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
	for i, l := range s.Loose {
		if s.Loose[i].parsed, err = tlog.OpenCheckpoint(l.Note, m.keys); err != nil {
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
		for _, p := range h.Beside {
			if p.Seq < 0 || p.Seq > h.Seq {
				return false
			}
		}
	}
	return true
}

// learn makes what was verified durable. What several learn at the same time is written once. It fails with an Alarm if another program of
// the same person was shown what excludes it; both are kept then.
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
	mine.more = append(mine.more, more)
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

// store replaces the documents that news changes, while no other process does. Another one of the same person may have learned more in the
// meantime: nothing of that is taken back. Heads come last: a checkpoint without them only shows more than they need.
func (m *memory) store(news []seen) (err error) {
	release, err := m.alone()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	m.mu.Lock()
	now := m.seen
	m.mu.Unlock()
	next, err := m.read()
	if err != nil {
		return err
	}
	now.over = next.parsed // what this process knows was in the keystore before
	next.grow(now)
	next.heads = now.heads
	changed := false
	for _, more := range news {
		changed = next.grow(more) || changed
	}
	if changed {
		if err := writeDoc(m.keystore, memoryDoc, next); err != nil {
			return err
		}
	}
	for i := range shelves {
		if !slices.ContainsFunc(news, func(more seen) bool { return len(more.heads[i]) > 0 }) {
			continue
		}
		there, err := m.readShelf(i)
		if err != nil {
			return err
		}
		next.heads[i] = there.and(now.heads[i])
		changed := false
		for _, more := range news {
			for key, h := range more.heads[i] {
				changed = next.put(key, h) || changed
			}
		}
		if !changed {
			continue
		}
		next.heads[i].forget()
		if err := writeDoc(m.keystore, shelfDoc(i), next.heads[i]); err != nil {
			return err
		}
	}
	m.mu.Lock()
	m.seen = next
	m.mu.Unlock()
	return next.apart(news)
}

const (
	memoryLock = "memory.lock"
	lockPause  = 5 * time.Millisecond
	lockTime   = time.Minute // many times as long as anybody holds it
)

// alone takes the lock of the documents. It is held for as long as they are read and written, never while the vault is asked.
func (m *memory) alone() (release func() error, err error) {
	for range lockTime / lockPause {
		release, ok, err := m.keystore.Lock(memoryLock)
		if ok || err != nil {
			return release, err
		}
		time.Sleep(lockPause)
	}
	return nil, errHeld
}

var errHeld = errors.New("another program holds " + memoryLock + " in this device's store")

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
		for _, p := range append(slices.Clone(last.Beside), point{last.Seq, last.Leaf}) {
			if leaf, _ := h.Leaf(stream, p.Seq); leaf != p.Leaf {
				return alarm(Forked, stream, nil)
			}
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
