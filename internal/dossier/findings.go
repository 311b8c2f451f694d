package dossier

import (
	"cmp"
	"slices"
	"sync"

	"strongroom.example/strongroom/internal/evidence"
)

// Check is one of the named questions of FORMATS §12, each of which needs an answer.
type Check string

// The checks, in their order.
const (
	CheckPackage    Check = "package"
	CheckSignatures Check = "signatures"
	CheckInclusion  Check = "inclusion"
	CheckCheckpoint Check = "checkpoint"
	CheckWitnesses  Check = "witnesses"
	CheckTime       Check = "time"
	CheckChain      Check = "chain"
	CheckComplete   Check = "complete"
	CheckAudit      Check = "audit"
	CheckRules      Check = "rules"
	CheckContent    Check = "content"
)

// Checks lists all of them.
var Checks = []Check{CheckPackage, CheckSignatures, CheckInclusion, CheckCheckpoint, CheckWitnesses, CheckTime, CheckChain, CheckComplete,
	CheckAudit, CheckRules, CheckContent}

// Result is the answer to a check (FORMATS §12).
type Result string

const (
	Pass        Result = "pass"
	Fail        Result = "fail"
	NotChecked  Result = "not_checked"  // required, but it could not be checked
	NotRequired Result = "not_required" // the trust file does not ask for it, or no identity was given
)

// Finding is why a check did not pass. Reason is a stable code: one of this package (reasons.go) or of package evidence.
type Finding struct {
	Check  Check
	Result Result // Fail or NotChecked
	Reason string
	Stream evidence.Stream // the stream concerned; zero if none
	Seq    int64           // of the event concerned, -1 if none
	File   string          // of the package, where one is concerned
	Said   telling         // more for people, after the sentence of the reason
	Err    error           // the cause, for people who look into it; nil where the reason says it all
}

func (f Finding) Error() string {
	s := string(f.Check) + ": " + f.Reason
	if f.Err != nil {
		s += ": " + f.Err.Error()
	}
	return s
}

func (f Finding) Unwrap() error { return f.Err }

// findings keeps, for each check, the first failure and the first thing that could not be checked, whatever the order in which they
// are found.
type findings struct {
	mu   sync.Mutex
	list []located
}

type located struct {
	Finding
	stream int // place of the stream among those given
}

func (l *findings) add(stream int, f Finding) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := located{f, stream}
	i := slices.IndexFunc(l.list, func(o located) bool { return o.Check == f.Check && o.Result == f.Result })
	switch {
	case i < 0:
		l.list = append(l.list, n)
	case n.before(l.list[i]):
		l.list[i] = n
	}
}

func (a located) before(b located) bool {
	return cmp.Or(cmp.Compare(a.stream, b.stream), cmp.Compare(a.Seq, b.Seq), cmp.Compare(a.Reason, b.Reason), a.Stream.Compare(b.Stream)) < 0
}

func (l *findings) failed(checks ...Check) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(l.list, func(f located) bool { return f.Result == Fail && slices.Contains(checks, f.Check) })
}

// any reports whether anything was found for a check.
func (l *findings) any(c Check) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(l.list, func(f located) bool { return f.Check == c })
}

// sorted returns what was found in the order of the checks, failures first.
func (l *findings) sorted() []Finding {
	slices.SortFunc(l.list, func(a, b located) int {
		return cmp.Or(cmp.Compare(slices.Index(Checks, a.Check), slices.Index(Checks, b.Check)), cmp.Compare(a.Result, b.Result))
	})
	out := make([]Finding, len(l.list))
	for i, f := range l.list {
		out[i] = f.Finding
	}
	return out
}
