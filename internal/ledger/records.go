package ledger

import (
	"context"
	"time"

	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/heads"
	"strongroom.example/strongroom/internal/tlog"
)

// Entry is an accepted event as the records keep it.
type Entry struct {
	Order    int64 // commit order, from 1: also the order in the log (see Ledger)
	Stream   evidence.Stream
	Seq      int64
	Kind     evidence.Kind
	LeafHash evidence.Hash
	Stands   []evidence.Hash // leaf hashes of prev and of every relied_on entry
	Leaf     tlog.TreeLeaf   // Value: the leaf, Extra: the DSSE envelope (FORMATS §4)
	Index    int64           // in the log; -1 while pending
	Receipt  []byte          // Sigstore bundle (FORMATS §6); nil while pending
}

// Included reports whether the event is in the log under a signed checkpoint.
func (e Entry) Included() bool { return e.Receipt != nil }

// Commit is one accepted event with everything that becomes durable with it.
type Commit struct {
	Signed      *custody.Signed
	Attachments []Attachment
	Upload      evidence.UploadID // the upload that became the item's evidence, or ""
	Heads       *heads.Update     // with vault.heads only
}

// AttachmentKind says what a stored age file is.
type AttachmentKind string

const (
	Note          AttachmentKind = "note"
	Envelope      AttachmentKind = "envelope"       // of an item key
	LabelEnvelope AttachmentKind = "label_envelope" // of a case label key
	Label         AttachmentKind = "label"
	Description   AttachmentKind = "description"
)

// Attachment is a small age file that travels with an event and is named by it with its digest. Attachments stay erasable.
type Attachment struct {
	Kind      AttachmentKind
	Name      string            // of a note
	Audience  evidence.Audience // of a note
	Recipient evidence.Hash     // fingerprint, of an envelope
	SHA256    evidence.Hash
	Body      []byte
}

// Judge is the law: given the present states of the event's own stream and of those it relies on (absent ones are missing from the
// map), and of case.closed those of the case's items, it returns the stream's new state or refuses. It must be pure: it may be called again when a transaction is retried.
type Judge func(states map[evidence.Stream]evidence.State) (evidence.State, error)

// Inclusion is what the log answered for one event.
type Inclusion struct {
	LeafHash evidence.Hash
	Index    int64
	Receipt  []byte
}

// Records keep accepted events and what the ledger published. Every method is safe for concurrent use; what a method wrote is durable
// when it returns nil. Satisfied by *sqldb.DB.
type Records interface {
	// Commit reads the states of the event's stream and of its relied_on streams, asks judge, and writes in the same transaction the
	// event (pending), the new state with its projections and the attachments. A statement accepted before (equal PAE digest) is answered
	// with its stored Entry and judge is not asked. Refusals are *evidence.Error: what judge said; Conflict "position" if (stream, seq)
	// is taken; Conflict "key_reused", "recipient_reused", "item_recipient_reused" or "exhibit_taken" for what must be unique in the vault.
	Commit(ctx context.Context, c Commit, judge Judge) (Entry, error)
	// Pending returns the first entries that are not included, in commit order.
	Pending(ctx context.Context, limit int) ([]Entry, error)
	// Include stores a signed checkpoint and what it proves, together. Repeating it changes nothing.
	Include(ctx context.Context, size int64, checkpoint []byte, included []Inclusion) error
	// Checkpoint returns the newest stored checkpoint, or nil if none was ever signed.
	Checkpoint(ctx context.Context) ([]byte, error)
	// Entry finds an event by its Merkle leaf hash: *evidence.Error NotFound.
	Entry(ctx context.Context, leafHash evidence.Hash) (Entry, error)
	// Events returns every entry in commit order, from the one after the order given.
	Events(ctx context.Context, after int64, limit int) ([]Entry, error)
	// LogRange returns the included entries with start <= index < end in index order (Leaf.Value may be left empty).
	LogRange(ctx context.Context, start, end int64) ([]Entry, error)
	// Places is LogRange without statements and receipts: a thousand of them cost little.
	Places(ctx context.Context, start, end int64) ([]Place, error)
	// States returns the present states of the streams that exist.
	States(ctx context.Context, streams ...evidence.Stream) (map[evidence.Stream]evidence.State, error)
	heads.Store

	// Publish stores a checkpoint that is about to be offered, or what came to one that is stored: its note with more cosignatures, more
	// stamps, what it has reached. Repeating it changes nothing. Conflict "checkpoint_smaller" if it is new and smaller than one that is
	// stored; "published_differs" if it lacks a line of the stored note, or what the stored one has reached.
	Publish(ctx context.Context, p Published) error
	// NextPublished returns the smallest published checkpoint above a size that has reached s under a policy: NotFound.
	NextPublished(ctx context.Context, above int64, s Standing, policy evidence.Hash) (Published, error)
	// LastPublished returns the largest that has: NotFound.
	LastPublished(ctx context.Context, s Standing, policy evidence.Hash) (Published, error)
	// Choose has a checkpoint published before any other, unless one that was chosen before has not been published yet. It returns the size of
	// the one that is next; of the one given where it, or a larger one, is published.
	Choose(ctx context.Context, size int64, note []byte) (next int64, err error)
	// Chosen returns the one chosen last, or nil.
	Chosen(ctx context.Context) (note []byte, err error)
	// PutEventStamp keeps a time stamp over an event's signature, the first of each authority: NotFound.
	PutEventStamp(ctx context.Context, event evidence.Hash, s Stamp) error
	// EventStamps returns an event's time stamps.
	EventStamps(ctx context.Context, event evidence.Hash) ([]Stamp, error)
	// StampedUpTo returns the order of the last event that the authority stamped or, if that is later, of the last one there was when this
	// was asked first.
	StampedUpTo(ctx context.Context, authority string) (int64, error)
}

// Published is a checkpoint that was offered to witnesses and time-stamp authorities. It is kept for ever, with what came.
type Published struct {
	Size   int64
	Note   []byte // with the cosignatures that came
	At     time.Time
	Stamps []Stamp // over the note's text
	// Final and Audited are the policy under which it is that, zero until then.
	Final, Audited evidence.Hash
}

// Stamp is the RFC 3161 response of an authority.
type Stamp struct {
	Authority string
	Response  []byte
}

// Standing is what a published checkpoint has reached.
type Standing int

const (
	Offered Standing = iota // whatever came
	Final                   // the policy's quorum and, where the trust file asks for one, a time stamp
	Audited                 // final, and cosigned by enough auditors
	Once                    // final under any policy, whichever is asked for
)
