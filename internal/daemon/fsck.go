package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/heads"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/objects"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/translog"
)

// Damage is one thing that fsck found wrong. Where names it by ids and log indexes, never by content.
type Damage struct {
	Where string `json:"where"`
	What  string `json:"what"`
}

// Examined counts what fsck read.
type Examined struct {
	Events      int64 `json:"events"`
	Leaves      int64 `json:"leaves"`
	Checkpoints int64 `json:"checkpoints"`
	Attachments int64 `json:"attachments"`
	Objects     int64 `json:"objects"`
	Bytes       int64 `json:"bytes"` // of objects
	Pending     int64 `json:"pending"`
	Orphans     int64 `json:"orphans"` // objects that no event names: harmless, left by an interrupted deposit
}

// fsckPage is how much is read at once.
const fsckPage = 512

// Fsck re-reads a vault that is not running: events against their signatures, the log and the law; the log against the events; heads,
// checkpoints, attachments and objects against what the events name. It calls report for each damage and changes nothing. An error
// means that it could not look.
func Fsck(ctx context.Context, dir string, o Options, report func(Damage)) (Examined, error) {
	f := folder(dir)
	p, err := openParts(ctx, f, o)
	if damaged(err) {
		report(Damage{"vault", "it cannot be opened: " + err.Error()})
		return Examined{}, nil
	}
	if err != nil {
		return Examined{}, err
	}
	defer p.close()
	text, err := os.ReadFile(f.trust())
	if err != nil {
		return Examined{}, ErrNotFounded
	}
	trust, err := tlog.ParseTrust(text)
	if err != nil {
		return Examined{}, fmt.Errorf("trust.json: %w", err)
	}
	p.founders = founders(trust)
	c := &checker{
		parts: p, trust: trust, report: report,
		states: make(map[evidence.Stream]evidence.State), broken: make(map[evidence.Stream]bool), open: make(map[evidence.Hash]bool),
		named: make(map[attached]ledger.Entry),
	}
	for _, step := range []struct {
		what string
		do   func(context.Context) error
	}{
		{"records", c.events}, {"checkpoints", c.checkpoints}, {"log", c.log}, {"heads map", c.headsMap}, {"states", c.projections},
		{"attachments", c.attachments}, {"objects", c.objects},
	} {
		err := step.do(ctx)
		if damaged(err) {
			c.damage(step.what, "what is stored cannot be read to the end: %v", err)
		} else if err != nil {
			return c.Examined, err
		}
	}
	return c.Examined, nil
}

// damaged tells an error that says that what is stored is damaged from one that says that it could not be looked at.
func damaged(err error) bool {
	return errors.Is(err, translog.ErrCorrupt) || errors.Is(err, objects.ErrDamaged) || errors.Is(err, heads.ErrStore) ||
		err != nil && evidence.ReasonOf(err) == "records_damaged"
}

// checker carries what one step learns to the next.
type checker struct {
	*parts
	Examined
	trust   tlog.Trust
	report  func(Damage)
	states  map[evidence.Stream]evidence.State // replayed
	broken  map[evidence.Stream]bool           // an event of theirs does not hold, so nothing can be said of what follows
	open    map[evidence.Hash]bool             // events without an inclusion
	named   map[attached]ledger.Entry          // attachments that must be there, and the events that name them
	signed  int64                              // size of the newest stored checkpoint
	covered []heads.Entry                      // in log order
	indexes []int64
}

// attached is an attachment as an event names it.
type attached struct {
	event, digest, recipient evidence.Hash
	kind                     ledger.AttachmentKind
}

func (c *checker) damage(where, format string, args ...any) {
	c.report(Damage{where, fmt.Sprintf(format, args...)})
}

func place(e ledger.Entry) string {
	return fmt.Sprintf("%s %s event %d", e.Stream.Type, e.Stream.ID, e.Seq)
}

// Summary says in one line what was read.
func (e Examined) Summary() string {
	return fmt.Sprintf("%d events (%d pending), %d log leaves, %d checkpoints, %d attachments, %d objects (%d bytes), %d orphans",
		e.Events, e.Pending, e.Leaves, e.Checkpoints, e.Attachments, e.Objects, e.Bytes, e.Orphans)
}
