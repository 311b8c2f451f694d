package ledger

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
)

// Confirmations counts what came from outside, each once.
type Confirmations struct {
	Checkpoints  int64 `json:"checkpoints"`  // that were published
	Cosignatures int64 `json:"cosignatures"` // on them
	Stamps       int64 `json:"stamps"`       // over them
	EventStamps  int64 `json:"event_stamps"`
}

// Reclaimer puts into records that were made anew what witnesses, auditors and authorities confirmed before, which no log holds. Where it was
// kept is believed in nothing: what is taken proves itself under the trust file, over the tree as it is, by the rules by which the publisher
// takes it. It is for one goroutine.
type Reclaimer struct {
	Found, Kept Confirmations
	Final       int64            // size of the largest final checkpoint that is kept: what was entered later is confirmed anew
	Stamped     map[string]int64 // order of the last event that each authority stamped

	trust    tlog.Trust
	id       evidence.Hash
	policies []tlog.Policy   // the one in force, and those before it
	keys     map[uint32]bool // key ids of the log's
	tree     Tree
	records  Records
	now      time.Time
	root     tlog.Checkpoint
	held     *reclaimed // the last one: its successor says when it was passed by
}

// reclaimed is a published checkpoint that is proved.
type reclaimed struct {
	Published                // Note without cosignatures
	by        []cosignedLine // in the order of its lines
}

type cosignedLine struct {
	tlog.Cosignature
	line []byte
}

// NewReclaimer is for records that hold the events of the tree, and no published checkpoint yet.
func NewReclaimer(ctx context.Context, trust tlog.Trust, tree Tree, records Records, now time.Time) (*Reclaimer, error) {
	root, err := tree.Root(ctx)
	if err != nil {
		return nil, fmt.Errorf("root: %w", err)
	}
	r := &Reclaimer{
		trust: trust, id: PolicyID(trust), policies: []tlog.Policy{trust.Policy()}, keys: make(map[uint32]bool), tree: tree, records: records, now: now,
		root: tlog.Checkpoint{Origin: trust.Vault(), Size: root.Size, Root: root.Hash}, Stamped: make(map[string]int64),
	}
	for _, e := range trust.EarlierPolicies() {
		p, err := tlog.ParsePolicy(e.Policy)
		if err != nil {
			return nil, err
		}
		r.policies = append(r.policies, p)
	}
	return r, r.readKeys()
}

// readKeys notes the key ids of all the log's keys: OpenCheckpoint passes over lines of others.
func (r *Reclaimer) readKeys() error {
	for _, l := range r.trust.Logs() {
		var v note.Verifier
		var err error
		switch key := l.Key.(type) {
		case *ecdsa.PublicKey:
			v, err = tlog.NewECDSANoteVerifier(r.trust.Vault(), key)
		case ed25519.PublicKey:
			v, err = tlog.NewEd25519NoteVerifier(r.trust.Vault(), key)
		default:
			err = fmt.Errorf("a log key is of another type")
		}
		if err != nil {
			return err
		}
		r.keys[v.KeyHash()] = true
	}
	for _, p := range r.policies {
		for _, key := range p.Logs() { // <name>+<key id>+<key>, as ParsePolicy demands
			id, err := strconv.ParseUint(strings.Split(key, "+")[1], 16, 32)
			if err != nil {
				return err
			}
			r.keys[uint32(id)] = true
		}
	}
	return nil
}

// Published takes all that is held of one size, in ascending order of sizes. A *Mismatch says that this log signed another history than the
// tree's, or a longer one: to go on would be a fork.
func (r *Reclaimer) Published(ctx context.Context, rows []Published) error {
	rows = slices.Clone(rows)
	slices.SortStableFunc(rows, func(a, b Published) int { return cmp.Compare(len(b.Note), len(a.Note)) }) // with the most lines first
	lines, responses := make(map[string]bool), make(map[string]bool)
	var proved *reclaimed
	for _, row := range rows {
		for line := range bytes.Lines(r.othersLines(row.Note)) {
			lines[string(line)] = true
		}
		for _, s := range row.Stamps {
			responses[string(s.Response)] = true
		}
		if proved != nil {
			continue
		}
		own := r.knownLines(row.Note)
		ok, err := r.proves(ctx, own, row)
		if err != nil {
			return err
		}
		if ok {
			proved = &reclaimed{Published: row}
			proved.Note, proved.Stamps = own, nil
		}
	}
	r.Found.Checkpoints++
	r.Found.Cosignatures += int64(len(lines))
	r.Found.Stamps += int64(len(responses))
	if proved == nil {
		return nil
	}
	for _, row := range rows {
		r.cosign(proved, row)
		r.stamp(proved, row)
		if proved.Final.IsZero() {
			proved.Final, proved.Audited = row.Final, row.Audited
		}
	}
	if err := r.store(ctx, proved.At); err != nil {
		return err
	}
	r.held = proved
	return nil
}

// End stores what waits for a successor.
func (r *Reclaimer) End(ctx context.Context) error { return r.store(ctx, time.Time{}) }

// proves reports whether a note with nothing but lines of the log's keys is this log's checkpoint of the size that the row states.
func (r *Reclaimer) proves(ctx context.Context, own []byte, row Published) (bool, error) {
	cp, err := tlog.OpenCheckpoint(own, r.trust.LogKeys())
	if err != nil || cp.Size == 0 {
		return false, nil
	}
	if err := (&Ledger{cfg: Config{Tree: r.tree}}).extends(ctx, signed{cp, own}, r.root); err != nil {
		return false, err
	}
	return cp.Size == row.Size && !row.At.After(r.now.Add(skew)), nil
}

// knownLines is a note with the lines of the log's keys alone.
func (r *Reclaimer) knownLines(note []byte) []byte {
	text, lines, _ := bytes.Cut(note, []byte("\n\n"))
	known := slices.Concat(text, []byte("\n\n"))
	for line := range bytes.Lines(linesOf(lines, r.trust.Vault())) {
		words := bytes.Fields(line)
		sig, err := base64.StdEncoding.DecodeString(string(words[len(words)-1]))
		if err == nil && len(sig) > 4 && r.keys[binary.BigEndian.Uint32(sig)] {
			known = append(known, line...)
		}
	}
	return known
}

// othersLines are a note's lines that are not named as the log's.
func (r *Reclaimer) othersLines(note []byte) (others []byte) {
	_, lines, _ := bytes.Cut(note, []byte("\n\n"))
	for line := range bytes.Lines(lines) {
		if len(linesOf(line, r.trust.Vault())) == 0 {
			others = append(others, line...)
		}
	}
	return others
}

// cosign adds the cosignatures of a row that verify, one of each key, and could have been made by then: see publisher.cosign.
func (r *Reclaimer) cosign(to *reclaimed, row Published) {
	for line := range bytes.Lines(r.othersLines(row.Note)) {
		c, ok := r.cosignature(to.Note, line)
		same := func(other cosignedLine) bool {
			return other.Witness.Verifier.Name() == c.Witness.Verifier.Name() && other.Witness.Verifier.KeyHash() == c.Witness.Verifier.KeyHash()
		}
		if ok && r.possible(c.Time, to.At) && !slices.ContainsFunc(to.by, same) {
			to.by = append(to.by, cosignedLine{c, bytes.Clone(line)})
		}
	}
}

// cosignature is what a line says, by a key of the policy in force or of one before it. Whoever is an auditor in one is.
func (r *Reclaimer) cosignature(own, line []byte) (c tlog.Cosignature, ok bool) {
	alone := slices.Concat(own, line)
	for _, p := range r.policies {
		cosigned, err := p.Cosigned(alone)
		if err != nil {
			return c, false
		}
		for _, by := range cosigned.By { // there is one line
			by.Witness.Auditor = by.Witness.Auditor || c.Witness.Auditor
			c, ok = by, true
		}
	}
	return c, ok
}

func (r *Reclaimer) possible(at, then time.Time) bool {
	return !at.Before(then.Add(-skew)) && !at.After(r.now.Add(skew))
}

// authorityName is what an authority can be called in the configuration: files of packages are named after it.
var authorityName = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)

// stamp adds the time stamps of a row that verify, one of each authority.
func (r *Reclaimer) stamp(to *reclaimed, row Published) {
	for _, s := range row.Stamps {
		same := func(other Stamp) bool {
			return other.Authority == s.Authority || bytes.Equal(other.Response, s.Response)
		}
		if slices.ContainsFunc(to.Stamps, same) || !authorityName.MatchString(s.Authority) {
			continue
		}
		stamp, err := r.trust.VerifyTimestamp(s.Response, noteText(to.Note))
		if err == nil && r.possible(stamp.Time, to.At) {
			to.Stamps = append(to.Stamps, s)
		}
	}
}

// store publishes what is held, without those cosignatures of witnesses that were made when the next one had long been there.
func (r *Reclaimer) store(ctx context.Context, passed time.Time) error {
	if r.held == nil {
		return nil
	}
	row := r.held.Published
	kept := int64(0)
	for _, by := range r.held.by {
		if late := !passed.IsZero() && !by.Witness.Auditor && by.Time.After(passed.Add(skew)); !late {
			row.Note = append(row.Note, by.line...)
			kept++
		}
	}
	r.held = nil
	// What it is said to have reached stays as far as it is true. It is not raised: receipts that people hold are under the same.
	reached, err := row.Weigh(r.trust)
	if err != nil { // more lines than a note may have
		return nil
	}
	if !row.met(r.trust) || row.Final == r.id && reached < Final {
		row.Final, row.Audited = evidence.Hash{}, evidence.Hash{}
	}
	if by, err := r.trust.Cosigned(row.Note); err != nil || !by.Audited || row.Audited == r.id && reached < Audited {
		row.Audited = evidence.Hash{}
	}
	if err := r.records.Publish(ctx, row); err != nil {
		return err
	}
	r.Kept.Checkpoints++
	r.Kept.Cosignatures += kept
	r.Kept.Stamps += int64(len(row.Stamps))
	if !row.Final.IsZero() {
		r.Final = row.Size
	}
	return nil
}

// EventStamps takes the time stamps that are held over an event of the records, in the order of events.
func (r *Reclaimer) EventStamps(ctx context.Context, e Entry, stamps []Stamp) error {
	statement, err := custody.Open(e.Leaf.Extra)
	if err != nil {
		return fmt.Errorf("stored statement: %w", err)
	}
	responses, by := make(map[string]bool), make(map[string]bool)
	for _, s := range stamps {
		if responses[string(s.Response)] {
			continue
		}
		responses[string(s.Response)] = true
		r.Found.EventStamps++
		if by[s.Authority] || !authorityName.MatchString(s.Authority) {
			continue
		}
		if _, err := r.trust.VerifyTimestamp(s.Response, statement.Signature()); err != nil {
			continue
		}
		if err := r.records.PutEventStamp(ctx, e.LeafHash, s); err != nil {
			return err
		}
		by[s.Authority] = true
		r.Kept.EventStamps++
		r.Stamped[s.Authority] = e.Order
	}
	return nil
}
