package campaign

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/client"
	ev "strongroom.example/strongroom/internal/evidence"
)

// campaign is everybody at work in one vault.
type campaign struct {
	*world
	desk      desk
	faultless bool // the vault may vanish, but while it answers nothing of it fails
	small     bool // no file is larger than a few blocks

	newcomer *newcomer // the administrator's worker alone
	people   int

	numbers atomic.Int64
	stop    context.CancelFunc
	resting bool
	working sync.WaitGroup
	workers []*worker
}

var long = os.Getenv("STRONGROOM_LONG") == "1"

// seed is that of STRONGROOM_SEED, or a new one; a failure names it.
func seed(t *testing.T) uint64 {
	t.Helper()
	s, err := strconv.ParseUint(os.Getenv("STRONGROOM_SEED"), 10, 64)
	if err != nil {
		s = rand.Uint64()
	}
	t.Logf("STRONGROOM_SEED=%d", s)
	return s
}

// number is that of an environment variable, or what is usual.
func number(name string, usual int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return usual
}

// begin sets everybody to work.
func begin(w *world) *campaign {
	c := &campaign{world: w}
	w.model.begin(w, w.records(w.path("vault")))
	for i, job := range []struct {
		p     *person
		hands int
		acts  []act
	}{
		{w.admin, 1, []act{{"introduce", 6, (*worker).introduce}, {"suspend", 1, (*worker).suspend}, {"directory", 1, (*worker).directory}}},
		{w.custodian, 2, custodians}, {w.second, 2, custodians},
		{w.clinician, 2, []act{{"consent", 4, (*worker).giveConsent}, {"deposit", 10, (*worker).photograph}, {"seal", 4, (*worker).seal},
			{"withdraw", 1, (*worker).withdraw}, {"resume", 4, (*worker).resume}}},
		{w.investigator, 2, []act{{"deposit", 8, (*worker).image}, {"seal", 4, (*worker).seal}, {"open", 4, (*worker).look},
			{"verify", 2, (*worker).verify}, {"resume", 4, (*worker).resume}}},
		{w.court, 2, []act{{"redeem", 8, (*worker).redeem}, {"acknowledge", 4, (*worker).acknowledge},
			{"export", 4, (*worker).export}, {"grants", 1, (*worker).grants}}},
	} {
		for hand := range job.hands { // the same person at several screens
			c.workers = append(c.workers, &worker{c, job.p, job.acts, rand.New(rand.NewPCG(w.seed, uint64(10*i+hand+1)))})
		}
	}
	return c
}

var custodians = []act{
	{"case", 4, (*worker).openCase}, {"propose", 4, (*worker).propose}, {"approve", 6, (*worker).approve}, {"refuse", 1, (*worker).refuse},
	{"envelope", 6, (*worker).address}, {"revoke grant", 1, (*worker).revokeGrant}, {"open", 4, (*worker).look}, {"verify", 1, (*worker).verify},
	{"member", 1, (*worker).member}, {"list", 1, (*worker).list}, {"history", 1, (*worker).history},
}

// work lets everybody act until rest is called.
func (c *campaign) work() {
	ctx, stop := context.WithCancel(c.Context())
	c.stop = stop
	for _, w := range c.workers {
		c.working.Go(func() {
			for ctx.Err() == nil {
				if w.once(ctx) {
					time.Sleep(20 * time.Millisecond)
				}
			}
		})
	}
}

// rest ends what is under way, as if the people's machines were switched off.
func (c *campaign) rest() {
	c.resting = true
	c.stop()
	c.working.Wait()
}

// once does one act, and reports whether it came to nothing.
func (w *worker) once(ctx context.Context) bool {
	total := 0
	for _, a := range w.acts {
		total += a.weight
	}
	n := w.dice.IntN(total)
	i := 0
	for ; n >= w.acts[i].weight; i++ {
		n -= w.acts[i].weight
	}
	return w.does(ctx, w.acts[i]) != nil
}

func (w *worker) does(ctx context.Context, a act) error {
	number := int(w.numbers.Add(1))
	w.model.mu.Lock()
	w.model.acts[number] = a.name + " by " + w.name
	w.model.mu.Unlock()
	err := a.do(w, context.WithValue(ctx, actKey{}, number))
	if !errors.Is(err, errNothing) && ctx.Err() == nil {
		w.judge(number, a.name, err)
	}
	return err
}

// expected are the refusals that people meet who work at the same time, and know of each other's work a little late.
var expected = []string{
	ev.ReasonFrozen, ev.ReasonNotPending, ev.ReasonGrantOver, ev.ReasonSealed, "exhibit_taken", ev.ReasonConsentWithdrawn, ev.ReasonConsentVersion,
	ev.ReasonPosition, ev.ReasonStaleBasis, ev.ReasonEnvelopeExists, ev.ReasonNotMember, ev.ReasonSignerSuspended, ev.ReasonActorInactive,
	ev.ReasonKeyring, ev.ReasonEnvelope, ev.ReasonSameKey, "key_reused", "invitation_answered", "acknowledged", "upload_busy", ev.ReasonMissingBasis, ev.ReasonConsentForm,
}

// judge takes note of how an act ended.
func (w *worker) judge(number int, name string, err error) {
	how, e := "done", (*ev.Error)(nil)
	switch lie := client.LieOf(err); {
	case err == nil:
	case lie != "":
		w.Errorf("%s, %s (act %d): an honest vault raised an alarm: %v", w.name, name, number, err)
		how = "ALARM"
	case !errors.As(err, &e):
		how = "no answer"
	case e.Kind == ev.Internal && w.faultless:
		w.Errorf("%s, %s (act %d): the vault failed: %v", w.name, name, number, err)
		how = "FAILED"
	case e.Kind == ev.Internal, e.Kind == ev.Pending:
		how = e.Reason
	case slices.Contains(expected, e.Reason):
		how = e.Reason
	default:
		w.Errorf("%s, %s (act %d): refused without a cause: %v, %s", w.name, name, number, err, e.Kind)
		how = e.Reason
	}
	m := w.model
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.reasons[name] == nil {
		m.reasons[name] = make(map[string]int)
	}
	m.reasons[name][how]++
}

// settle finishes what can be finished: every deposit that was interrupted, every event that is pending. Nobody else is needed for it.
func (c *campaign) settle() {
	c.Helper()
	ctx, cancel := context.WithTimeout(c.Context(), 3*time.Minute)
	defer cancel()
	for _, w := range c.workers {
		if w.person != c.clinician && w.person != c.investigator {
			continue
		}
		if err := w.does(ctx, act{name: "resume", do: (*worker).resume}); err != nil && !errors.As(err, new(*ev.Error)) && !errors.Is(err, errNothing) {
			c.Errorf("a deposit cannot be finished: %v", err)
		}
	}
	if _, err := c.custodian.Person(ctx, c.custodian.Actor()); err != nil { // the newest checkpoint, followed
		c.Errorf("the vault does not answer: %v", err)
	}
}

// opensAgain opens some of what was deposited.
func (c *campaign) opensAgain(most int) {
	c.Helper()
	ctx := c.Context()
	for i, item := range c.desk.items {
		if i%max(1, len(c.desk.items)/most) == 0 {
			w := c.workers[1]
			w.does(ctx, act{name: "open at the end", do: func(w *worker, ctx context.Context) error { return w.opens(ctx, item.id) }})
		}
	}
}

// summary says what was done, and how often it was refused for what.
func (c *campaign) summary() string {
	m := c.model
	m.mu.Lock()
	defer m.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "%d events sent, %d acknowledged, %d with a receipt, %d releases, %d checkpoints, %d items", len(m.sent), len(m.accepted),
		len(m.included), len(m.released), len(m.checkpoints), len(m.contents))
	for _, name := range slices.Sorted(maps.Keys(m.reasons)) {
		fmt.Fprintf(&b, "\n  %s:", name)
		reasons := m.reasons[name]
		for _, how := range slices.SortedFunc(maps.Keys(reasons), func(a, b string) int { return cmp.Compare(reasons[b], reasons[a]) }) {
			fmt.Fprintf(&b, " %s %d", how, reasons[how])
		}
	}
	return b.String()
}
