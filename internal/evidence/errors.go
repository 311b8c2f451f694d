package evidence

import "errors"

// ErrorKind is the closed set of ways in which a request can fail. The HTTP edge maps each to one status; nothing else does.
type ErrorKind string

const (
	Invalid         ErrorKind = "invalid"         // malformed, or against a rule that no other state would lift
	Unauthenticated ErrorKind = "unauthenticated" // no valid session or signature
	Forbidden       ErrorKind = "forbidden"       // this actor may not do this
	NotFound        ErrorKind = "not_found"
	Conflict        ErrorKind = "conflict" // the state has moved on: look again, sign again
	Gone            ErrorKind = "gone"     // expired, revoked, withdrawn or destroyed
	Held            ErrorKind = "held"     // a hold or a freeze stands in the way
	Pending         ErrorKind = "pending"  // not in the log yet: wait
	TooLarge        ErrorKind = "too_large"
	TooMany         ErrorKind = "too_many"
	Unknown         ErrorKind = "unknown" // a kind, code or field of a newer version: neither accepted nor refused (FORMATS, preamble)
	Internal        ErrorKind = "internal"
)

// Error is the only error that crosses a package's edge on purpose. Reason is a stable code that names the rule which refused
// (for instance "second_person", "stale_basis"); it never contains a submitted value.
type Error struct {
	Kind   ErrorKind
	Reason string
	Err    error // the cause, for the log; never shown to a caller
}

func (e *Error) Error() string {
	if e.Err != nil {
		return string(e.Kind) + ": " + e.Reason + ": " + e.Err.Error()
	}
	return string(e.Kind) + ": " + e.Reason
}

func (e *Error) Unwrap() error { return e.Err }

// Refuse makes an Error without a cause.
func Refuse(kind ErrorKind, reason string) *Error { return &Error{Kind: kind, Reason: reason} }

// Fail makes an Error from a cause. An Error keeps its own kind and reason: errors are wrapped once.
func Fail(kind ErrorKind, reason string, cause error) *Error {
	if e := (*Error)(nil); errors.As(cause, &e) {
		return e
	}
	return &Error{Kind: kind, Reason: reason, Err: cause}
}

// KindOf returns the kind of err: Internal for every error that is not an *Error, and "" for nil.
func KindOf(err error) ErrorKind {
	if err == nil {
		return ""
	}
	if e := (*Error)(nil); errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// ReasonOf returns the reason of err, or "internal".
func ReasonOf(err error) string {
	if e := (*Error)(nil); errors.As(err, &e) {
		return e.Reason
	}
	return "internal"
}
