package vault

import (
	"context"
	"time"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
)

// Records are what the vault keeps beside the log: accepted events with their projections, uploads, invitations and releases.
// The contract of ledger.Records holds here too. Lists are read by cursor: after is the last key seen ("" begins), limit bounds the
// answer, and fewer than limit end the list. Satisfied by *sqldb.DB.
type Records interface {
	ledger.Records

	// Stream returns the stream's entries with Seq > after in order of Seq, pending ones included. An unknown stream is empty.
	Stream(ctx context.Context, s evidence.Stream, after int64, limit int) ([]ledger.Entry, error)
	// Attachment returns one attachment of an event by its digest: *evidence.Error NotFound, or Gone if it was destroyed.
	Attachment(ctx context.Context, event evidence.Hash, digest evidence.Hash) (ledger.Attachment, error)
	// StreamAttachment returns the attachment with this digest of any event of the stream; errors as Attachment.
	StreamAttachment(ctx context.Context, s evidence.Stream, digest evidence.Hash) (ledger.Attachment, error)
	// Envelope returns the newest envelope of the item (or, with a case, of its label key) for the fingerprint: NotFound.
	Envelope(ctx context.Context, s evidence.Stream, recipient evidence.Hash) (ledger.Attachment, error)
	// Destroy erases for good what the stream's state does not name any more (Names), as it is in that transaction. Commit takes it away
	// already, in the transaction of an event that takes envelopes: so what comes later is never touched by what went before, whoever
	// commits it. Destroy finds nothing more to take, or what older programs left; when it returns nil nothing of it is left beside the
	// records either. Idempotent; Internal "erase_incomplete" if somebody was in the way, to be repeated.
	Destroy(ctx context.Context, s evidence.Stream) error

	// Key finds the actor whose present or past signing key has this key id, and the key's SPKI DER: NotFound.
	Key(ctx context.Context, keyID evidence.Hash) (evidence.ActorID, []byte, error)
	// Actors lists the directory by id.
	Actors(ctx context.Context, after evidence.ActorID, limit int) ([]*evidence.ActorState, error)
	// Cases lists the cases in which the actor is or was a member, by id.
	Cases(ctx context.Context, member evidence.ActorID, after evidence.CaseID, limit int) ([]*evidence.CaseState, error)
	// Consents lists the consents of a case, by id.
	Consents(ctx context.Context, c evidence.CaseID, after evidence.ConsentID, limit int) ([]*evidence.ConsentState, error)
	// Items lists the items of a case, by id.
	Items(ctx context.Context, c evidence.CaseID, after evidence.ItemID, limit int) ([]*evidence.ItemState, error)
	// Grants lists items with a grant that names the actor as recipient, by grant id.
	Grants(ctx context.Context, recipient evidence.ActorID, after evidence.GrantID, limit int) ([]GrantOf, error)
	// Granted reports whether the actor is the recipient of any grant that was ever active on an item of the case.
	Granted(ctx context.Context, recipient evidence.ActorID, c evidence.CaseID) (bool, error)
	// Expired lists pending or active grants whose time is over at now, for the sweep.
	Expired(ctx context.Context, now evidence.Time, limit int) ([]GrantOf, error)

	// AllItems lists every item of the vault by id.
	AllItems(ctx context.Context, after evidence.ItemID, limit int) ([]*evidence.ItemState, error)
	// SpokenFor lists the consents for which the actor speaks or ever spoke, as subject or advocate, by id.
	SpokenFor(ctx context.Context, actor evidence.ActorID, after evidence.ConsentID, limit int) ([]*evidence.ConsentState, error)
	// InHands lists the items of a case that the actor has in hand, or is to receive, by id.
	InHands(ctx context.Context, actor evidence.ActorID, c evidence.CaseID, after evidence.ItemID, limit int) ([]*evidence.ItemState, error)
	// Moments lists what has come after a moment and until a time, in order; the zero Moment begins.
	Moments(ctx context.Context, after Moment, until evidence.Time, limit int) ([]Moment, error)

	// Lease gives work that one process is to do at a time to holder for life from now, and reports whether holder has it: not while another
	// has. Life 0 gives it back. Now is what the clock of the records says, so that those of the processes do not matter; records that have
	// none are written by one process, and go by its clock. A lease saves work and protects nothing: who lost one may not know it yet. Life is
	// the same for all who ask for some work: a lease that has more than twice as long to go is from before the clock was put back, and over.
	Lease(ctx context.Context, work, holder string, now time.Time, life time.Duration) (bool, error)
	// Clock is what the clock of the records says; zero where they have none.
	Clock(ctx context.Context) (time.Time, error)

	PutUpload(ctx context.Context, u Upload) error
	// Upload finds an upload: NotFound.
	Upload(ctx context.Context, id evidence.UploadID) (Upload, error)
	DropUpload(ctx context.Context, id evidence.UploadID) error
	// Uploads returns how many unexpired uploads the actor has and their sizes' sum in bytes, for the quota. Those that begin at the same
	// moment do not see each other: the quota keeps one person from using up the store, and need not be met exactly.
	Uploads(ctx context.Context, owner evidence.ActorID, now time.Time) (count int, bytes int64, err error)
	// ExpiredUploads lists uploads that expired before now.
	ExpiredUploads(ctx context.Context, now time.Time, limit int) ([]Upload, error)

	PutInvitation(ctx context.Context, i Invitation) error
	// Invitation finds an invitation by the digest of its secret: NotFound.
	Invitation(ctx context.Context, digest evidence.Hash) (Invitation, error)
	// AnswerInvitation stores the invitee's keys once: Conflict "invitation_answered" the second time, unless the answer is the same.
	AnswerInvitation(ctx context.Context, digest evidence.Hash, keys evidence.Keys) error
	// Invitations lists those that an actor made and that are not expired, newest first.
	Invitations(ctx context.Context, by evidence.ActorID, now time.Time, limit int) ([]Invitation, error)

	// PutRelease stores the right to fetch that an included access event gave; repeating it replaces Expires.
	PutRelease(ctx context.Context, r Release) error
	// Release finds it by the access event's leaf hash: NotFound.
	Release(ctx context.Context, event evidence.Hash) (Release, error)
}

// GrantOf is a grant with the item it stands on.
type GrantOf struct {
	Item  evidence.ItemID
	Case  evidence.CaseID
	Grant evidence.GrantState
}

// Moment is when time alone gives the vault something to do for a stream (evidence.Moments).
type Moment struct {
	At     evidence.Time
	Stream evidence.Stream
}

// Upload is a resumable upload of one evidence file, bound to its owner (the bytes are in the object store's stage).
type Upload struct {
	ID      evidence.UploadID
	Owner   evidence.ActorID
	Size    int64 // bytes, of the whole
	Expires time.Time
}

// Invitation lets one person offer keys once. The secret itself is never stored.
type Invitation struct {
	Digest        evidence.Hash // SHA-256 of the secret
	Actor         evidence.ActorID
	Role          evidence.Role
	Organization  evidence.OrgID
	DocumentsOnly bool
	By            evidence.ActorID
	Rotation      bool // for new keys of an existing actor
	Expires       time.Time
	Keys          *evidence.Keys // the answer, or nil
}

// Release is the short right to fetch content, given for one included access event to the actor who signed it.
type Release struct {
	Event   evidence.Hash // leaf hash
	Item    evidence.ItemID
	Actor   evidence.ActorID
	Begun   time.Time // when the event was signed: renewals end 24 h later
	Expires time.Time
}
