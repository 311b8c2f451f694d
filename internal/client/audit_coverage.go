package client

import (
	"context"
	"fmt"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
)

// coverage holds what an audit reads against the record book that was followed from outside: of which entries it has read the history.
type coverage struct {
	by    *Following // nil: nothing was followed
	read  []uint64   // a bit for each entry
	until map[evidence.Stream]int64
}

func coverageOf(f *Following) *coverage {
	c := &coverage{until: make(map[evidence.Stream]int64)}
	if f != nil && !f.HashesOnly {
		c.by, c.read = f, make([]uint64, f.State.Read()/64+1)
	}
	return c
}

// entries is how many were followed, from the first on.
func (c *coverage) entries() int64 {
	if c.by == nil {
		return 0
	}
	return c.by.State.Read()
}

// take marks what is new in a view. What stands elsewhere in the book that was followed is an Alarm Forked.
func (c *coverage) take(v *View) error {
	for _, s := range v.Streams() {
		for seq := c.until[s]; c.by != nil && seq < v.Len(s); seq++ {
			leaf, entry := v.Leaf(s, seq)
			if entry >= c.entries() {
				continue
			}
			followed, err := c.by.State.Leaf(entry)
			if err != nil {
				return err
			}
			if followed != tlog.Hash(leaf) {
				return alarm(Forked, s, fmt.Errorf("entry %d is another one in the record book that was followed", entry))
			}
			c.read[entry/64] |= 1 << (entry % 64)
		}
		c.until[s] = v.Len(s)
	}
	return nil
}

// missing is an Alarm Omitted if an entry that was followed is of an item or an actor whose history was not read.
func (c *coverage) missing(ctx context.Context) error {
	if c.by == nil {
		return nil
	}
	unread := func(entry int64) bool { return c.read[entry/64]>>(entry%64)&1 == 0 }
	return c.by.Streams(ctx, unread, func(entry int64, s evidence.Stream) error {
		if s.Type == evidence.ItemStream || s.Type == evidence.ActorStream {
			return alarm(Omitted, s, fmt.Errorf("entry %d is of it", entry))
		}
		return nil
	})
}
