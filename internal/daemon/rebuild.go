package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/heads"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/sqldb"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/translog/embedded"
	"strongroom.example/strongroom/internal/vault"
)

// ErrNothingLost means that both are there: neither is ever overwritten.
var ErrNothingLost = errors.New("records.db and log.db are both there: move the damaged one away first, and keep it")

// Rebuilt says what was made again, and what could not be.
type Rebuilt struct {
	Part   string                          `json:"part"` // "records.db" or "log.db"
	Events int64                           `json:"events"`
	Found  int64                           `json:"attachments"` // whose bytes were found
	Lost   map[ledger.AttachmentKind]int64 `json:"lost"`        // whose bytes were not
	Shut   []evidence.ItemID               `json:"shut"`        // items that nobody can open any more
	// Confirmed is nil where nobody confirms anything, and of a log.
	Confirmed *Reclaimed `json:"confirmed,omitempty"`
	Unread    []string   `json:"unread,omitempty"` // files that could not be read to their end
}

// Rebuild makes what is missing of a vault that is not running, the records from the log or the log from the records, and opens the vault
// with it. Not in the log are the bytes of attachments and what witnesses and time-stamp authorities confirmed: they are looked for in files,
// each what is left of another records.db, or one of a backup's databases. What is damaged of them is passed over.
func Rebuild(ctx context.Context, dir string, o Options, files []string) (Rebuilt, error) {
	f := folder(dir)
	settings, err := f.readSettings()
	if err == nil && settings.outside() {
		err = ErrEngines
	}
	if err != nil {
		return Rebuilt{}, err
	}
	text, err := os.ReadFile(f.trust())
	if err != nil {
		return Rebuilt{}, err
	}
	trust, err := tlog.ParseTrust(text)
	if err != nil {
		return Rebuilt{}, fmt.Errorf("trust.json: %w", err)
	}
	for _, file := range files { // a wrong name must not pass for a damaged file
		if _, err := os.Stat(file); err != nil {
			return Rebuilt{}, err
		}
	}
	missing := func(path string) bool {
		_, err := os.Lstat(path)
		return errors.Is(err, os.ErrNotExist)
	}
	var made Rebuilt
	switch {
	case missing(f.records()):
		if made, err = rebuildRecords(ctx, settings.Origin, trust, f.log(), f.records()+".new", files, o); err != nil {
			return made, err
		}
		for _, leftover := range []string{"-wal", "-shm"} { // of the database that was moved away
			os.Remove(f.records() + leftover)
		}
		err = os.Rename(f.records()+".new", f.records())
	case missing(f.log()):
		if made, err = rebuildLog(ctx, f, trust, o); err != nil {
			return made, err
		}
		err = os.Rename(f.log()+".new", f.log())
	default:
		return made, ErrNothingLost
	}
	if err = errors.Join(err, syncDir(dir)); err != nil {
		return made, err
	}
	p, err := open(ctx, dir, o)
	if err != nil {
		return made, err
	}
	return made, errors.Join(p.settle(ctx), p.close())
}

// settle waits until every event is in the log.
func (p *parts) settle(ctx context.Context) error {
	for {
		waiting, err := p.records.Pending(ctx, fsckPage)
		if err != nil || len(waiting) == 0 {
			return err
		}
		if _, err := p.ledger.Await(ctx, waiting[len(waiting)-1].LeafHash); err != nil {
			return err
		}
	}
}

// rebuildRecords makes a database of records in the file path from the statements that the log keeps with its leaves.
func rebuildRecords(ctx context.Context, origin string, trust tlog.Trust, from, path string, files []string, o Options) (made Rebuilt, err error) {
	log, err := embedded.Open(ctx, from, embedded.Options{Clock: o.Now, Logger: o.Logger})
	if err != nil {
		return made, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	for _, suffix := range []string{"", "-wal", "-shm"} { // of an interrupted attempt
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return made, err
		}
	}
	records, err := sqldb.Create(ctx, path)
	if err != nil {
		return made, err
	}
	defer func() { err = errors.Join(err, records.Close()) }()
	b := &rebuilding{log: log, records: records, replay: newReplay(origin, founders(trust)), lost: make(map[evidence.Hash][]sqldb.StoredAttachment), seqs: make(map[evidence.Hash]int64)}
	if b.heads, err = heads.Open(ctx, records); err != nil {
		return made, err
	}
	if err := b.events(ctx); err != nil {
		return made, err
	}
	made = Rebuilt{Part: "records.db", Events: b.order, Lost: make(map[ledger.AttachmentKind]int64), Shut: []evidence.ItemID{}}
	if err := b.attachments(ctx, files, &made); err != nil {
		return made, err
	}
	return made, b.confirmations(ctx, trust, files, o.Now(), &made)
}

type rebuilding struct {
	*replay
	log     *embedded.Log
	records *sqldb.DB
	heads   *heads.Map
	order   int64 // of the last event
	page    []sqldb.Replayed
	entries []heads.Entry // of events that no publication covered so far
	covered int64         // how many events publications covered
	named   []sqldb.StoredAttachment
	seqs    map[evidence.Hash]int64                    // of the events that name them, by leaf hash
	lost    map[evidence.Hash][]sqldb.StoredAttachment // by digest, whose bytes must be found
}

// events replays the log from its first leaf.
func (b *rebuilding) events(ctx context.Context) error {
	root, err := b.log.Root(ctx)
	if err != nil {
		return err
	}
	for start := int64(0); start < root.Size; start += fsckPage {
		leaves, err := b.log.Leaves(ctx, start, min(fsckPage, root.Size-start))
		if err != nil {
			return err
		}
		for i, leaf := range leaves {
			if err := b.leaf(ctx, leaf); err != nil {
				return fmt.Errorf("log leaf %d: %w", start+int64(i), err)
			}
		}
		if err := b.flush(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (b *rebuilding) leaf(ctx context.Context, leaf tlog.TreeLeaf) error {
	if len(leaf.Extra) == 0 { // void: publications say so
		return nil
	}
	statement, err := custody.Open(leaf.Extra)
	if err != nil {
		return err
	}
	e := statement.Event()
	entry := ledger.Entry{
		Order: b.order + 1, Stream: e.Stream.Stream(), Seq: e.Stream.Seq, Kind: e.Kind,
		LeafHash: evidence.Hash(tlog.LeafHash(leaf.Value)), Stands: stands(e), Leaf: leaf, Index: -1,
	}
	_, before, after, err := b.event(entry)
	if err != nil {
		return err
	}
	b.order++
	b.seqs[entry.LeafHash] = entry.Seq
	for _, a := range sorted(vault.Named(e)) {
		b.named = append(b.named, sqldb.StoredAttachment{
			Number: int64(len(b.named)) + 1, Event: entry.LeafHash, Stream: entry.Stream, Destroyed: true, Attachment: a,
		})
	}
	r := sqldb.Replayed{Entry: entry, PAE: statement.PAEDigest(), Before: before, After: after}
	if d, ok := e.Details.(*evidence.VaultHeadsDetails); ok {
		if err := b.publication(ctx, r, d); err != nil {
			return err
		}
	} else {
		b.page = append(b.page, r)
	}
	b.entries = append(b.entries, heads.Entry{Key: heads.Key(entry.Stream.Tag(b.origin), uint64(entry.Seq)), Value: entry.LeafHash})
	return nil
}

// publication brings the heads map to what a vault.heads event says of it.
func (b *rebuilding) publication(ctx context.Context, r sqldb.Replayed, d *evidence.VaultHeadsDetails) error {
	if err := b.flush(ctx); err != nil {
		return err
	}
	n := d.Entries - b.covered
	if n < 0 || n > int64(len(b.entries)) {
		return errors.New("it covers what the log does not hold")
	}
	update, err := b.heads.Insert(ctx, b.entries[:n])
	if err != nil {
		return err
	}
	if update.Root != [32]byte(d.Root) {
		return errors.New("the heads map it publishes is another")
	}
	b.covered, b.entries = d.Entries, slices.Clone(b.entries[n:])
	r.Heads = &update
	b.page = append(b.page, r)
	if err := b.flush(ctx); err != nil {
		return err
	}
	return b.heads.Commit(update)
}

func (b *rebuilding) flush(ctx context.Context) error {
	if err := b.records.Replay(ctx, b.page); err != nil {
		return err
	}
	b.page = nil
	return nil
}

// attachments stores what must be there with its bytes, and that the rest is destroyed.
func (b *rebuilding) attachments(ctx context.Context, files []string, made *Rebuilt) error {
	var gone []sqldb.StoredAttachment
	for _, a := range b.named {
		if seq := b.seqs[a.Event]; vault.Names(b.states[a.Stream], seq, a.Attachment) && !b.tookAway(a.Stream, seq, a.Attachment) {
			b.lost[a.SHA256] = append(b.lost[a.SHA256], a)
		} else {
			gone = append(gone, a)
		}
	}
	for _, file := range files {
		var failed error // to write
		err := sqldb.Bodies(ctx, file, func(digest evidence.Hash, body []byte) error {
			if len(b.lost[digest]) == 0 || evidence.SHA256(body) != digest {
				return nil
			}
			for i := range b.lost[digest] {
				b.lost[digest][i].Body, b.lost[digest][i].Destroyed = body, false
			}
			found := b.lost[digest]
			delete(b.lost, digest)
			made.Found += int64(len(found))
			failed = b.records.Reattach(ctx, found)
			return failed
		})
		if failed = errors.Join(failed, ctx.Err()); failed != nil {
			return fmt.Errorf("attachments: %w", failed)
		}
		if err != nil {
			made.unread(file)
		}
	}
	envelopes := make(map[evidence.Stream]int)
	for _, list := range b.lost {
		for _, a := range list {
			made.Lost[a.Kind]++
			if gone = append(gone, a); a.Kind == ledger.Envelope {
				envelopes[a.Stream]++
			}
		}
	}
	for s, n := range envelopes {
		if item, ok := b.states[s].(*evidence.ItemState); ok && n == len(item.Envelopes) {
			made.Shut = append(made.Shut, item.ID)
		}
	}
	slices.Sort(made.Shut)
	for page := range slices.Chunk(gone, fsckPage) {
		if err := b.records.Reattach(ctx, page); err != nil {
			return err
		}
	}
	return nil
}

// sorted gives an event's attachments an order of their own.
func sorted(list []ledger.Attachment) []ledger.Attachment {
	slices.SortFunc(list, func(a, b ledger.Attachment) int {
		return cmp.Or(strings.Compare(string(a.Kind), string(b.Kind)), strings.Compare(a.Name, b.Name), a.Recipient.Compare(b.Recipient))
	})
	return list
}

// rebuildLog makes the log again from the leaves that the records hold, and then those that wait, as far as a checkpoint was signed over
// them. The root tells whether it is the same log.
func rebuildLog(ctx context.Context, f folder, trust tlog.Trust, o Options) (made Rebuilt, err error) {
	records, err := sqldb.Open(ctx, f.records())
	if err != nil {
		return made, err
	}
	defer func() { err = errors.Join(err, records.Close()) }()
	signed, err := newestCheckpoint(ctx, records, f, trust)
	if err != nil {
		return made, err
	}
	path := f.log() + ".new"
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return made, err
	}
	log, err := embedded.Create(ctx, path, embedded.Options{Clock: o.Now, Logger: o.Logger})
	if err != nil {
		return made, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	for size := int64(0); size < signed.Size; {
		entries, err := records.LogRange(ctx, size, min(size+fsckPage, signed.Size))
		if err == nil && len(entries) == 0 {
			entries, err = records.Pending(ctx, int(min(fsckPage, signed.Size-size)))
			if len(entries) > 0 && size+int64(len(entries)) < signed.Size && len(entries) < fsckPage {
				err = fmt.Errorf("leaves %d to %d are in no record", size+int64(len(entries)), signed.Size-1)
			}
		}
		if err == nil && len(entries) == 0 {
			err = fmt.Errorf("leaves %d to %d are in no record", size, signed.Size-1)
		}
		if err != nil {
			return made, err
		}
		leaves := make([]tlog.TreeLeaf, len(entries))
		for i, e := range entries {
			if leaves[i] = e.Leaf; e.Index >= 0 && e.Index != size+int64(i) {
				return made, fmt.Errorf("leaf %d is in no record", size+int64(i))
			}
		}
		if _, err := log.Append(ctx, leaves); err != nil {
			return made, err
		}
		size += int64(len(entries))
	}
	root, err := log.Root(ctx)
	if err == nil && (root.Size != signed.Size || root.Hash != signed.Root) {
		err = errors.New("the leaves in the records are not those that were signed")
	}
	return Rebuilt{Part: "log.db", Events: root.Size, Lost: map[ledger.AttachmentKind]int64{}, Shut: []evidence.ItemID{}}, err
}

// newestCheckpoint is the greatest of the one in the records and the one kept apart.
func newestCheckpoint(ctx context.Context, records *sqldb.DB, f folder, trust tlog.Trust) (newest tlog.Checkpoint, err error) {
	recorded, err := records.Checkpoint(ctx)
	if err != nil {
		return newest, err
	}
	apart, err := os.ReadFile(f.checkpoint())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return newest, err
	}
	for _, note := range [][]byte{recorded, apart} {
		if note == nil {
			continue
		}
		cp, err := tlog.OpenCheckpoint(note, trust.LogKeys())
		if err != nil {
			return newest, err
		}
		if cp.Size >= newest.Size {
			newest = cp
		}
	}
	return newest, nil
}
