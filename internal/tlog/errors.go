package tlog

import "errors"

// Reason says why something was refused. A verifier maps it to a named
// reason of its own; the text is for people.
type Reason string

// The reasons. They are sentinel errors: errors.Is(err, ErrProof).
const (
	// ErrMalformed: the bytes are not the one canonical form.
	ErrMalformed Reason = "malformed"
	// ErrLogKey: no pinned log key signed, or another key is named.
	ErrLogKey Reason = "log key is not the trusted one"
	// ErrSignature: a pinned log key's signature line does not verify.
	ErrSignature Reason = "log signature does not verify"
	// ErrCosignature: a line of a key of the policy does not verify.
	ErrCosignature Reason = "cosignature does not verify"
	// ErrOrigin: the checkpoint belongs to another log.
	ErrOrigin Reason = "checkpoint has another origin"
	// ErrIndex: a leaf index lies outside its tree or disagrees with its copy.
	ErrIndex Reason = "leaf index does not fit"
	// ErrProof: the Merkle proof does not lead to the checkpoint's root.
	ErrProof Reason = "inclusion proof does not hold"
	// ErrCheckpoint: a proof names another checkpoint than the one it carries.
	ErrCheckpoint Reason = "proof names another checkpoint"
	// ErrInconsistent: the newer checkpoint does not extend the older one.
	ErrInconsistent Reason = "checkpoints are not consistent"
)

func (r Reason) Error() string { return string(r) }

// Error is a refusal: its Reason, and the cause where there is one. It never
// carries submitted values.
type Error struct {
	Reason Reason
	Err    error
}

func (e *Error) Error() string {
	if e.Err == nil {
		return e.Reason.Error()
	}
	return e.Reason.Error() + ": " + e.Err.Error()
}

// Unwrap lets errors.Is find the reason as well as the cause.
func (e *Error) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Reason}
	}
	return []error{e.Reason, e.Err}
}

func refuse(r Reason, what string) error {
	return &Error{Reason: r, Err: errors.New(what)}
}

func malformed(what string) error { return refuse(ErrMalformed, what) }
