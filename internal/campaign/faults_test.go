package campaign

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/objects"
)

// way is how a call fails.
type way string

const (
	before way = "before" // it does nothing, and says so
	after  way = "after"  // it does everything, and the answer is lost
	slow   way = "slow"   // it takes its time
	late   way = "late"   // its time is over somewhere on the way
	full   way = "full"   // there is no room
	torn   way = "torn"   // a part of it is done
)

// storm is a time in which some calls of the ports fail.
type storm struct {
	name   string
	calls  []string // prefixes of port.Method
	rate   float64
	ways   []way
	clock  time.Duration // by which the vault's clock is wrong
	lossy  bool          // the network between people and vault breaks too
	writes bool          // only calls that write
	bucket weather       // of the bucket's server
}

// storms are what a vault must live through. Each lasts for about a second.
var storms = []storm{
	{name: "rain", rate: 0.01, ways: []way{before, after, slow, late}},
	{name: "the records fail", calls: []string{"records."}, rate: 0.3, ways: []way{before, after}},
	{name: "answers of the records are lost", calls: []string{"records."}, rate: 0.5, ways: []way{after}, writes: true},
	{name: "the records are full", calls: []string{"records."}, rate: 1, ways: []way{full}, writes: true},
	{name: "the disk is full", rate: 1, ways: []way{full}, writes: true},
	{name: "the log is gone", calls: []string{"tree."}, rate: 1, ways: []way{before}},
	{name: "answers of the log are lost", calls: []string{"tree."}, rate: 0.5, ways: []way{after}},
	{name: "the objects fail", calls: []string{"objects."}, rate: 0.4, ways: []way{before, after, late}},
	{name: "uploads are torn", calls: []string{"objects.StageAppend", "objects.StageCommit"}, rate: 0.7, ways: []way{torn, after}},
	{name: "everything is slow", rate: 0.3, ways: []way{slow}},
	{name: "calls time out", rate: 0.1, ways: []way{late}},
	{name: "the clock steps back", clock: -90 * time.Second},
	{name: "the network breaks", lossy: true},
	{name: "the network breaks and the log is slow", lossy: true, calls: []string{"tree.", "records.Commit", "records.Include"}, rate: 0.7, ways: []way{slow}},
}

// faults stands between the vault and its ports.
type faults struct {
	now atomic.Pointer[storm]

	mu     sync.Mutex
	dice   *rand.Rand
	struck map[string]int
}

var (
	errFault = errors.New("injected fault")
	errFull  = fmt.Errorf("injected fault: %w", syscall.ENOSPC)
)

// writing are the methods that write, of all ports.
var writing = []string{"Append", "Commit", "Include", "Destroy", "Put", "Answer", "Take", "StageCreate", "StageAppend", "StageCommit"}

// draw decides what becomes of a call.
func (f *faults) draw(call string) (way, time.Duration) {
	s := f.now.Load()
	if s == nil || len(s.ways) == 0 {
		return "", 0
	}
	_, method, _ := strings.Cut(call, ".")
	begins := func(with string) bool { return strings.HasPrefix(method, with) }
	switch {
	case len(s.calls) > 0 && !slices.ContainsFunc(s.calls, func(c string) bool { return strings.HasPrefix(call, c) }),
		s.writes && !slices.ContainsFunc(writing, begins):
		return "", 0
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dice.Float64() >= s.rate {
		return "", 0
	}
	w := s.ways[f.dice.IntN(len(s.ways))]
	f.struck[string(w)+" "+call]++
	return w, time.Duration(f.dice.IntN(80)) * time.Millisecond
}

// summary counts the ways in which each port failed.
func (f *faults) summary() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var b strings.Builder
	for _, call := range slices.Sorted(maps.Keys(f.struck)) {
		fmt.Fprintf(&b, " %s %d", call, f.struck[call])
	}
	return b.String()
}

// through makes a call, or fails it.
func through[T any](ctx context.Context, f *faults, call string, do func(context.Context) (T, error)) (T, error) {
	var none T
	w, delay := f.draw(call)
	switch w {
	case before, torn:
		return none, failed(call, errFault)
	case full:
		return none, failed(call, errFull)
	case slow:
		time.Sleep(delay)
	case late:
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, delay/40)
		defer cancel()
	}
	v, err := do(ctx)
	if w == after && err == nil {
		return none, failed(call, errFault)
	}
	return v, err
}

// failed is what the port's own adapter makes of an error.
func failed(call string, err error) error {
	switch port, _, _ := strings.Cut(call, "."); {
	case port == "records":
		return ev.Fail(ev.Internal, "records", err)
	case port == "objects" && errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("%w: %w", objects.ErrFull, err)
	}
	return err
}

// attempt is through for calls that return nothing but an error.
func attempt(ctx context.Context, f *faults, call string, do func(context.Context) error) error {
	_, err := through(ctx, f, call, func(ctx context.Context) (struct{}, error) { return struct{}{}, do(ctx) })
	return err
}

// tornReader breaks off.
type tornReader struct {
	io.Reader
	left int
}

func (r *tornReader) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, errFault
	}
	n, err := r.Reader.Read(p[:min(len(p), r.left)])
	r.left -= n
	return n, err
}
