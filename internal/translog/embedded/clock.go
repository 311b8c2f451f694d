package embedded

import (
	"sync"
	"time"

	"github.com/google/trillian/util/clock"
)

// steadyClock is the one clock of a log's server and sequencer. Trillian
// refuses a root that is not later than its predecessor, so a system clock set
// back would stall the log: steadyClock creeps on by nanoseconds instead, until
// the system clock has caught up.
type steadyClock struct {
	now func() time.Time

	mu   sync.Mutex
	last time.Time
}

var _ clock.TimeSource = (*steadyClock)(nil)

// Now returns a time later than every time it returned before.
func (c *steadyClock) Now() time.Time {
	t := c.now().Round(0) // wall time alone is what gets stored
	c.mu.Lock()
	defer c.mu.Unlock()
	if !t.After(c.last) {
		t = c.last.Add(time.Nanosecond)
	}
	c.last = t
	return t
}

// pass makes all later times follow t.
func (c *steadyClock) pass(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.After(c.last) {
		c.last = t
	}
}

// NewTimer returns a timer of real time.
func (c *steadyClock) NewTimer(d time.Duration) clock.Timer { return clock.System.NewTimer(d) }
