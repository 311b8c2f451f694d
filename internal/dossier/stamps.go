package dossier

import (
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
)

// Stamp is a time stamp that lies beside the receipts, over the text of the checkpoint of Size (FORMATS §11).
type Stamp struct {
	Size      int64
	Authority string // as the file is named
	Response  func() ([]byte, error)
}

// stamps verifies the time stamps on each state of the log once. Where the trust file names no root, nothing is looked at.
type stamps struct {
	trust  tlog.Trust
	bySize map[int64][]Stamp
	// parsed are what issuers say of authorities' keys that were revoked. What is no such list says nothing.
	parsed func() []*tlog.RevocationList
	*stamped
}

type stamped struct {
	mu   sync.Mutex
	done map[tlog.Checkpoint]*stampsOn
	// development says that a stamp is by the development authority, unlisted that of one nobody says whether its key was revoked.
	development, unlisted atomic.Bool
}

// stampsOn is what the time stamps on one checkpoint say.
type stampsOn struct {
	once   sync.Once
	times  []evidence.Time // each at the latest
	reason string          // why one does not hold
}

// maxRevoked bounds how many revocation lists are read, the first by name: a package has one for each authority, and parsed they are large.
const maxRevoked = 8

func newStamps(trust tlog.Trust, x Excerpt) stamps {
	parsed := sync.OnceValue(func() (list []*tlog.RevocationList) {
		for _, name := range slices.Sorted(maps.Keys(x.Revoked))[:min(len(x.Revoked), maxRevoked)] {
			if der, err := x.Revoked[name](); err == nil {
				if l, err := tlog.ParseRevocationList(der); err == nil {
					list = append(list, l)
				}
			}
		}
		return list
	})
	s := stamps{trust, map[int64][]Stamp{}, parsed, &stamped{done: map[tlog.Checkpoint]*stampsOn{}}}
	if trust.RequiresTimestamps() {
		for _, stamp := range x.Stamps {
			s.bySize[stamp.Size] = append(s.bySize[stamp.Size], stamp)
		}
	}
	return s
}

// on verifies the stamps on a checkpoint that a log key signed.
func (s stamps) on(cp tlog.Checkpoint) *stampsOn {
	list := s.bySize[cp.Size]
	if len(list) == 0 {
		return new(stampsOn)
	}
	s.mu.Lock()
	on := s.done[cp]
	if on == nil {
		on = new(stampsOn)
		s.done[cp] = on
	}
	s.mu.Unlock()
	on.once.Do(func() {
		text := cp.Marshal()
		for _, stamp := range list {
			at, reason := s.one(stamp, text)
			if reason != "" {
				on.reason = reason
				continue
			}
			on.times = append(on.times, at)
		}
	})
	return on
}

func (s stamps) one(stamp Stamp, text []byte) (evidence.Time, string) {
	response, err := stamp.Response()
	if err != nil {
		return 0, ReasonTimestamp
	}
	at, reason, _ := s.verify(response, text)
	return at, reason
}

// read reports whether a file of time-stamp authorities was looked at.
func (s stamps) read(path string) bool {
	if m := stampFiles.FindStringSubmatch(path); m != nil {
		for cp := range s.done {
			if strconv.FormatInt(cp.Size, 10) == m[1] {
				return true
			}
		}
	}
	return revocationFiles.MatchString(path) && len(s.done) > 0
}

// verify returns when a message was there at the latest, as a time stamp over it says, or why that counts for nothing. What any list here
// says of the authority's key counts, whatever the list's file is called.
func (s stamps) verify(response, message []byte) (at evidence.Time, reason string, err error) {
	stamp, err := s.trust.VerifyTimestamp(response, message)
	if err != nil {
		return 0, ReasonTimestamp, err
	}
	if stamp.Development {
		s.development.Store(true)
	}
	listed := false
	for _, l := range s.parsed() {
		switch l.Of(stamp) {
		case tlog.RevocationRevoked:
			return 0, ReasonTimestampRevoked, nil
		case tlog.RevocationGood:
			listed = true
		}
	}
	if !listed {
		s.unlisted.Store(true)
	}
	return evidence.At(stamp.Time.Add(stamp.Accuracy)), "", nil
}

// own is when an event's signature was stamped, at the latest, by the earliest of its own time stamps; 0 if it has none that is looked at.
func (s stamps) own(r tlog.Receipt) (first evidence.Time, reason string, err error) {
	if !s.trust.RequiresTimestamps() {
		return 0, "", nil
	}
	_, _, signature := r.Signed()
	for _, response := range r.Timestamps() {
		at, reason, err := s.verify(response, signature)
		if reason != "" {
			return 0, reason, err
		}
		if first == 0 || at < first {
			first = at
		}
	}
	return first, "", nil
}

// checkStamps looks at an event's own time stamps and at what third parties signed of its checkpoint. It returns when the event's signature
// was stamped, or 0.
func (h *History) checkStamps(c *chain, i int, o opening, cp *checkpoint) evidence.Time {
	say := h.about(c, i)
	own, reason, err := h.opened.stamps.own(o.receipt)
	if reason != "" {
		say(CheckTime, Fail, reason, err)
	}
	h.checkAttested(cp, own != 0, say)
	return own
}

// about notes what is said of event i of c.
func (h *History) about(c *chain, i int) func(Check, Result, string, error) {
	return func(check Check, result Result, reason string, err error) {
		h.note(c, int64(i), check, result, reason, err)
	}
}

// checkAttested says what third parties did not sign of a checkpoint, or did not sign as they should have. An event's own time stamp stands
// in for one on its checkpoint.
func (h *History) checkAttested(cp *checkpoint, own bool, say func(Check, Result, string, error)) {
	if cp.cosignature != nil {
		say(CheckWitnesses, Fail, ReasonWitnessSignature, cp.cosignature)
	}
	if cp.stamp != "" {
		say(CheckTime, Fail, cp.stamp, nil)
	}
	if !h.final {
		return
	}
	if !cp.quorum && cp.cosignature == nil {
		say(CheckWitnesses, NotChecked, ReasonWitnessMissing, nil)
	}
	if h.trust.RequiresTimestamps() && !cp.stamped && !own {
		say(CheckTime, NotChecked, ReasonTimestampMissing, nil)
	}
}
