package client

import (
	"errors"
	"maps"
	"slices"

	"strongroom.example/strongroom/internal/evidence"
)

// add takes over all of what was learned. It is for what is in memory alone; store does the same with what is in the keystore.
func (s *seen) add(more seen) (changed bool) {
	changed = s.grow(more)
	for _, on := range more.heads {
		for key, h := range on {
			changed = s.put(key, h) || changed
		}
	}
	return changed
}

// grow takes over what was learned, but for the heads of streams.
//
// It keeps this: every checkpoint that was ever accepted is proved to be the newest one or a loose one, or to be extended by one of those.
func (s *seen) grow(more seen) (changed bool) {
	if n := len(s.Loose); len(more.tied) > 0 {
		s.Loose = slices.DeleteFunc(slices.Clone(s.Loose), func(l loose) bool { return slices.Contains(more.tied, l.parsed) })
		changed = len(s.Loose) < n
	}
	known := loose{more.Checkpoint, more.parsed}
	switch {
	case more.parsed == s.parsed, more.parsed.Size <= more.over.Size: // what extends the greater one extends this one, too
	case slices.ContainsFunc(s.Loose, func(l loose) bool { return l.parsed == known.parsed }):
	case more.over == s.parsed:
		s.Checkpoint, s.parsed, changed = known.Note, known.parsed, true
	default:
		if more.parsed.Size > s.parsed.Size {
			known = loose{s.Checkpoint, s.parsed}
			s.Checkpoint, s.parsed = more.Checkpoint, more.parsed
		}
		s.Loose, changed = append(slices.Clip(s.Loose), known), true
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
	return changed
}

// put adds a head that is newer than what is there, tells another thing of what is withheld, or stays beside it.
func (s *seen) put(key string, h head) (changed bool) {
	on := &s.heads[shelfOf(key)]
	if old, ok := (*on)[key]; ok {
		if h, changed = old.and(h); !changed {
			return false
		}
	}
	next := make(shelf, len(*on)+1)
	maps.Copy(next, *on)
	next[key] = h
	*on = next
	return true
}

// forget lets go of the histories that were compared.
func (s shelf) forget() {
	for key, h := range s {
		if h.has != nil {
			h.has = nil
			s[key] = h
		}
	}
}

// and is the last of two heads of one stream. The other one stays beside it, unless the history of the last one has it.
func (h head) and(more head) (last head, changed bool) {
	last, other := more, h
	if last.Withheld == nil {
		last.Withheld = h.Withheld
	}
	if more.Seq < h.Seq {
		last, other = h, more
	}
	last.Beside = nil
	for _, p := range slices.Concat(h.Beside, more.Beside, []point{{other.Seq, other.Leaf}}) {
		if !last.shows(p) && !slices.Contains(last.Beside, p) {
			last.Beside = append(last.Beside, p)
		}
	}
	return last, last.Seq > h.Seq || !slices.Equal(last.Withheld, h.Withheld) || !slices.Equal(last.Beside, h.Beside)
}

// shows reports whether the history that ends with this head has an event in its place.
func (h head) shows(p point) bool {
	if p.Seq == h.Seq || h.has == nil {
		return p == point{h.Seq, h.Leaf}
	}
	leaf, ok := h.has(p.Seq)
	return ok && leaf == p.Leaf
}

// excludes reports whether the history that ends with this head has another event in its place.
func (h head) excludes(p point) bool {
	if p.Seq == h.Seq {
		return p.Leaf != h.Leaf
	}
	if h.has == nil || p.Seq > h.Seq {
		return false
	}
	leaf, ok := h.has(p.Seq)
	return ok && leaf != p.Leaf
}

// and are the heads of a shelf in the keystore, and of those in memory what is not there any more.
func (s shelf) and(known shelf) shelf {
	all := make(shelf, max(len(s), len(known)))
	maps.Copy(all, s)
	for key, h := range known {
		if there, ok := s[key]; !ok || there.Seq < h.Seq {
			all[key] = h
		}
	}
	return all
}

// apart finds two histories in what was seen, news included.
func (s *seen) apart(news []seen) error {
	for _, l := range s.Loose {
		if l.parsed.Size == s.parsed.Size {
			return alarm(Forked, evidence.Stream{}, errShownTwo)
		}
	}
	for _, more := range news {
		for _, on := range more.heads {
			for key, h := range on {
				now, _ := s.head(key)
				if slices.ContainsFunc(append(slices.Clone(now.Beside), point{now.Seq, now.Leaf}), h.excludes) {
					return alarm(Forked, streamOf(key), errShownTwo)
				}
			}
		}
	}
	return nil
}

// errShownTwo is the cause of an alarm that two programs of one person find together.
var errShownTwo = errors.New("two programs of one person were shown two histories; what both saw is kept in this device's store")
