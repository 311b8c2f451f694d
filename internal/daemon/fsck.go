package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/heads"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/objects"
	"strongroom.example/strongroom/internal/sqldb"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/translog"
	"strongroom.example/strongroom/internal/translog/embedded"
)

// Damage is one thing that fsck found. Where names it by ids and log indexes, never by content.
type Damage struct {
	Where    string `json:"where"`
	What     string `json:"what"`
	Do       string `json:"do"`       // what is still intact, and what helps
	Harmless bool   `json:"harmless"` // worth knowing, nothing is lost

	file bool // an item's evidence is not as it was deposited; nothing else stands on it
}

// What is intact, and what helps, by the part that is damaged.
const (
	doObject = "Its description, envelopes, events and receipts are checked apart and still prove what was deposited; the file is not served. " +
		"Put the file back from the backup's objects folder, under the same name."
	doOrphan   = "Nothing is missing. An interrupted deposit leaves such a file; the person deposits again."
	doSettings = "Put it back from a backup."
	doNames    = "People are shown ids instead. Put it back from a backup, or remove it and name the organizations again."
	doRecords  = "The log holds the statement of every event: move records.db away and make it again with strongroomd rebuild, with --attachments for the file moved away and for a backup's, which have what the log does not hold."
	doLog      = "The records hold every leaf and receipt: move log.db away and make it again with strongroomd rebuild. Nobody's receipts change by it."
	doEither   = "Log and records contradict each other. See which of the two is named in other lines, and make that one again with strongroomd rebuild; or restore the newest backup."
	doAttach   = "Events and receipts are intact. Its bytes may be in a backup's erasable.db: move records.db away and run strongroomd rebuild, with --attachments for that file and for the one moved away."
	doOutside  = "Events, log and receipts are checked apart. The newest checkpoint is cosigned and stamped again by itself; put this one back from a backup."
	doApart    = "Log and records are checked apart. If they are clean, put back the newest checkpoint that anybody holds (a client, a witness, a backup)."
	doTrust    = "Everybody who was given the file has the right one: put it back, and compare its number."
)

// doOutsideFolder is what helps a vault whose records or log are not files of its folder, where rebuild cannot.
var doOutsideFolder = map[string]string{
	doRecords: "The log holds the statement of every event. Put the records' database back as it was at the newest moment before this, with PostgreSQL's own tools, and the log's with it.",
	doLog:     "The records hold every leaf and receipt. Put the log's database back as it was at the newest moment before this, with PostgreSQL's own tools, and the records' with it.",
	doEither:  "Log and records contradict each other. See which of the two is named in other lines. Put both databases back as they were at one moment, with PostgreSQL's own tools.",
	doAttach:  "Events and receipts are intact. Its bytes may be in a backup of the records' database.",
}

// Examined counts what fsck read.
type Examined struct {
	Events      int64 `json:"events"`
	Leaves      int64 `json:"leaves"`
	Checkpoints int64 `json:"checkpoints"`
	Published   int64 `json:"published"` // of the checkpoints, to witnesses and time-stamp authorities
	Attachments int64 `json:"attachments"`
	Objects     int64 `json:"objects"`
	Bytes       int64 `json:"bytes"` // of objects
	Pending     int64 `json:"pending"`
	Orphans     int64 `json:"orphans"` // objects that no event names
}

// ErrRunning means that a server works on the vault.
var ErrRunning = errors.New("the vault is running: stop it first, or read its evidence with strongroomd scrub")

// fsckPage is how much is read at once.
const fsckPage = 512

// Fsck re-reads a vault that is not running: events against their signatures, the log and the law; the log against the events; heads,
// checkpoints, projections, attachments and objects against what the events make of them or name. It calls report for each damage and
// changes nothing. An error means that it could not look.
func Fsck(ctx context.Context, dir string, o Options, report func(Damage)) (Examined, error) {
	f := folder(dir)
	s, err := f.readSettings()
	if errors.Is(err, errSettings) {
		report(Damage{Where: "vault.json", What: "it is not as it was written", Do: doSettings})
		return Examined{}, nil
	}
	if err != nil {
		return Examined{}, err
	}
	if _, err := f.readNames(); err != nil {
		report(Damage{Where: "organizations.json", What: err.Error(), Do: doNames, Harmless: true})
	}
	lost := false
	var stores []struct{ path, do string }
	if s.Records == "" {
		stores = append(stores, struct{ path, do string }{f.records(), doRecords})
	}
	if s.Tree == 0 {
		stores = append(stores, struct{ path, do string }{f.log(), doLog})
	}
	if s.outside() {
		tell := report
		report = func(d Damage) {
			d.Do = cmp.Or(doOutsideFolder[d.Do], d.Do)
			tell(d)
		}
	}
	if config, err := f.readConfig(o.ConfigFile); err == nil && config.Objects.S3 == nil {
		stores = append(stores, struct{ path, do string }{f.objects(), doObject})
	}
	for _, part := range stores {
		if _, err := os.Stat(part.path); errors.Is(err, os.ErrNotExist) {
			lost = true
			report(Damage{Where: filepath.Base(part.path), What: "it is missing", Do: part.do})
		}
	}
	if lost {
		return Examined{}, nil
	}
	var p *parts
	err = surviving(func() (err error) {
		p, err = openParts(ctx, f, o)
		return err
	})
	if damaged(err) {
		report(Damage{Where: "vault", What: "it cannot be opened: " + err.Error(), Do: doEither})
		return Examined{}, nil
	}
	if errors.Is(err, embedded.ErrLocked) {
		return Examined{}, ErrRunning
	}
	if err != nil {
		return Examined{}, err
	}
	defer p.close()
	return p.fsck(ctx, report)
}

// fsck examines the opened parts. Nothing may write to them meanwhile.
func (p *parts) fsck(ctx context.Context, report func(Damage)) (Examined, error) {
	scratch, err := os.MkdirTemp("", "strongroom-fsck-")
	if err != nil {
		return Examined{}, err
	}
	defer os.RemoveAll(scratch)
	anew, err := sqldb.Create(ctx, filepath.Join(scratch, "records.db"))
	if err != nil {
		return Examined{}, err
	}
	defer anew.Close()
	c := &checker{
		parts: p, report: report, anew: anew, open: make(map[evidence.Hash]bool), named: make(map[attached]ledger.Entry),
		taken: make(map[evidence.Stream]int64),
	}
	for _, step := range []struct {
		what string
		do   func(context.Context) error
	}{
		{"trust.json", c.trusted}, {"records", c.events}, {"checkpoints", c.checkpoints}, {"published checkpoints", c.published}, {"log", c.log}, {"heads map", c.headsMap},
		{"records", c.projections}, {"attachments", c.attachments}, {"objects", c.objects},
	} {
		err := surviving(func() error { return step.do(ctx) })
		if damaged(err) {
			c.damage(step.what, doEither, "what is stored cannot be read to the end: %v", err)
		} else if err != nil {
			return c.Examined, err
		}
	}
	return c.Examined, nil
}

// damaged tells an error that says that what is stored is damaged from one that says that it could not be looked at.
func damaged(err error) bool {
	reason := ""
	if err != nil {
		reason = evidence.ReasonOf(err)
	}
	return errors.Is(err, translog.ErrCorrupt) || errors.Is(err, objects.ErrDamaged) || errors.Is(err, heads.ErrStore) ||
		reason == "records_damaged" || reason == "records_foreign"
}

// surviving turns what a damaged log does to the process into an error: the log's file is mapped into memory and believed.
func surviving(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", translog.ErrCorrupt, p)
		}
	}()
	return f()
}

// checker carries what one step learns to the next.
type checker struct {
	*parts
	Examined
	*replay
	trust   tlog.Trust
	report  func(Damage)
	anew    *sqldb.DB                 // the projections, made again
	open    map[evidence.Hash]bool    // events without an inclusion
	named   map[attached]ledger.Entry // attachments that must be there, and the events that name them
	taken   map[evidence.Stream]int64 // how many events there were when envelopes were last taken away
	signed  int64                     // size of the newest stored checkpoint
	covered []covered                 // in log order
}

// covered is an event's place in the heads map.
type covered struct {
	heads.Entry
	index int64
	event string // its place, in words
}

// attached is an attachment as an event names it.
type attached struct {
	event, digest, recipient evidence.Hash
	kind                     ledger.AttachmentKind
	name                     string
	audience                 evidence.Audience
}

func (c *checker) damage(where, do, format string, args ...any) {
	c.report(Damage{Where: where, What: fmt.Sprintf(format, args...), Do: do})
}

func place(e ledger.Entry) string {
	return fmt.Sprintf("%s %s event %d", e.Stream.Type, e.Stream.ID, e.Seq)
}

// Summary says in one line what was read.
func (e Examined) Summary() string {
	return fmt.Sprintf("%d events (%d pending), %d log leaves, %d checkpoints, %d attachments, %d objects (%d bytes), %d orphans",
		e.Events, e.Pending, e.Leaves, e.Checkpoints, e.Attachments, e.Objects, e.Bytes, e.Orphans)
}
