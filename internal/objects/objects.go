// Package objects holds the plain types of the object stores: immutable ciphertext, named by
// the SHA-256 of its bytes, and the staged uploads it is made from.
//
// It owns the vocabulary, the errors, the hashes and the contract [Store]; objects/fs keeps it
// on a local folder, objects/s3 in a bucket, and objects/objectstest tells whether a store
// does. A store may assume that what it is given is ciphertext and that its caller decided who
// may do what. It never decrypts, never overwrites an object, and never learns whose it is.
package objects

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"time"
)

// The errors a store answers with, for errors.Is. Anything else is a fault of the medium.
var (
	ErrNotFound = errors.New("not found")
	ErrExists   = errors.New("exists already")
	ErrOffset   = errors.New("upload is not at that offset")
	ErrDigest   = errors.New("bytes do not have that digest")
	ErrDamaged  = errors.New("stored data is damaged")
	ErrLocked   = errors.New("object is under retention or hold")
	ErrFull     = errors.New("store is full")
	ErrBusy     = errors.New("store has too much to do at present")
	ErrInvalid  = errors.New("invalid argument")

	ErrUnreachable = errors.New("the object store does not answer")
)

// Digest is the SHA-256 of an object's bytes, and the object's name.
type Digest [32]byte

// String returns the digest in lower-case hex, 64 characters.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// ParseDigest reads what [Digest.String] writes and nothing else.
func ParseDigest(s string) (Digest, error) {
	var d Digest
	if len(s) != hex.EncodedLen(len(d)) {
		return Digest{}, ErrInvalid
	}
	if _, err := hex.Decode(d[:], []byte(s)); err != nil || d.String() != s {
		return Digest{}, ErrInvalid
	}
	return d, nil
}

// Info describes an object. Size is in bytes.
type Info struct {
	Digest Digest
	Size   int64
}

// Lock is what keeps an object from being removed: a retention time, a hold, or both.
// Until is UTC in whole seconds; the zero time is no retention.
type Lock struct {
	Until time.Time
	Hold  bool
}

// Allows reports whether an object so locked may be removed at now.
func (l Lock) Allows(now time.Time) bool { return !l.Hold && !now.Before(l.Until) }

// Address is where a part of an object can be fetched by whoever has it, without a store's credentials. The zero Address is none.
type Address struct {
	URL string // a secret
	CA  []byte // certificates (PEM) that the service's may come from, besides those that everybody trusts; may be nil
}

// StageInfo describes a staged upload: the size it was created for, and how many bytes of it
// are durable, which is where the next append begins. Both in bytes.
type StageInfo struct {
	Size   int64
	Offset int64
}

// Object is an open object. Its bytes never change; ReadAt is safe concurrently.
type Object interface {
	io.ReadSeekCloser
	io.ReaderAt
	Size() int64
}

// ValidID reports whether id can name a staged upload: 1 to 64 characters out of a–z, 0–9 and
// '-', the first not '-'. Upload ids of FORMATS §2 are of this form.
func ValidID(id string) bool {
	for i := range len(id) {
		c := id[i]
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' && i > 0) {
			return false
		}
	}
	return 0 < len(id) && len(id) <= 64
}

// Store is the contract both stores keep. Every method is safe concurrently and durable on
// return. A cancelled context ends long work with the context's error. Errors carry no id,
// digest or path. Whatever happens, a process killed at any instant included, an upload is a
// true prefix of what was sent and an object is whole or absent.
//
// An upload goes through StageCreate, StageAppend until complete, StageSums and StageCommit.
// What is done to one upload is done in turn: a call waits for the one before it. Where several
// processes work on one store, an append asks one that is under way in another process to stop:
// that one keeps what it has made durable, and ends with ErrOffset.
type Store interface {
	// StageCreate begins an upload of exactly size bytes. ErrExists if the id is taken,
	// ErrInvalid if it is not a ValidID or size is negative.
	StageCreate(ctx context.Context, id string, size int64) error

	// StageAppend appends what r gives, at most up to the upload's size; it does not look
	// whether r has more. It returns how many bytes it made durable, also with an error, be it
	// r's own, the context's (looked at between reads) or ErrFull; the next append begins
	// after them. A store that keeps whole blocks may keep less than r gave and return no
	// error. ErrOffset if offset is not the durable length, ErrNotFound. ErrBusy, before r was
	// read, if too many append at once; it comes soon enough for a connection that waits.
	StageAppend(ctx context.Context, id string, offset int64, r io.Reader) (int64, error)

	// StageInfo says how far an upload is, without waiting for an append under way.
	// ErrNotFound.
	StageInfo(ctx context.Context, id string) (StageInfo, error)

	// StageOpen reads a complete upload from its beginning. ErrOffset while it is not
	// complete, ErrNotFound.
	StageOpen(ctx context.Context, id string) (io.ReadCloser, error)

	// StageSums returns the hashes of a complete upload, known from the writing, whichever
	// processes of the store did it. Where they are not, it reads the bytes, which may take
	// long; a store for several processes keeps how far it came, so that the next call goes on
	// from there. ErrOffset while it is not complete, ErrNotFound.
	StageSums(ctx context.Context, id string) (Sums, error)

	// StageCommit makes a complete upload the object want and ends the upload. If its bytes
	// are not want: ErrDigest, and nothing changes. ErrOffset while it is not complete.
	//
	// It is idempotent: if the object is there already it succeeds, and also if the upload is
	// gone, whichever upload made the object. With neither: ErrNotFound. An object that was
	// there before with other bytes is ErrDamaged.
	StageCommit(ctx context.Context, id string, want Digest) (Info, error)

	// StageRemove ends an upload and drops its bytes. ErrNotFound.
	StageRemove(ctx context.Context, id string) error

	// StageList calls f for every upload, in no order, with the time it last grew, and stops
	// at f's first error, which it returns. f may remove the upload.
	StageList(ctx context.Context, f func(id string, modified time.Time) error) error

	// Open opens an object for reading, until ctx ends at most. It does not check the bytes;
	// a store that does as they are read gives ErrDamaged for them. ErrNotFound.
	Open(ctx context.Context, d Digest) (Object, error)

	// Stat returns an object's size and what locks it. ErrNotFound.
	Stat(ctx context.Context, d Digest) (Info, Lock, error)

	// List returns at most limit objects whose digest is greater than after, in order of
	// digest. The zero Digest begins the list; fewer than limit objects end it. A size is -1
	// where what says it is damaged.
	List(ctx context.Context, after Digest, limit int) ([]Info, error)

	// Verify reads all of an object and returns its hashes. ErrDamaged if it is not the
	// object its name says, ErrNotFound.
	Verify(ctx context.Context, d Digest) (Sums, error)

	// Address returns where an object's bytes, from one to another, both included, can be fetched for so long (of whole seconds), and no
	// others. Nobody is asked again: who has the address has the bytes. The store does not check them on that way. Where a store has no
	// address for others it is the zero one. ErrNotFound, ErrInvalid.
	Address(ctx context.Context, d Digest, from, to int64, life time.Duration) (Address, error)

	// Remove removes an object for good. ErrLocked, with the bytes intact, while its lock does
	// not allow it at now (a store with a clock of its own uses that one), ErrNotFound.
	Remove(ctx context.Context, d Digest, now time.Time) error

	// Retain locks an object until a time, rounded up to a second. It only lengthens, whoever
	// else does at the same moment: an earlier time than the present one is ErrLocked, the same
	// one succeeds. ErrInvalid past the year 9998, ErrNotFound.
	Retain(ctx context.Context, d Digest, until time.Time) error

	// Hold sets or lifts an object's hold, which has no end of its own. Idempotent.
	// ErrNotFound.
	Hold(ctx context.Context, d Digest, on bool) error

	// Close lets go of what the store holds open. No call may follow; open objects stay open.
	Close() error
}
