package heads

// Reason says why a proof, a key or a store was refused. The reasons are
// sentinel errors: errors.Is(err, ErrRoot).
type Reason string

const (
	// ErrMalformed: the bytes are not the one canonical form of a proof.
	ErrMalformed Reason = "heads proof is malformed"
	// ErrShape: no map has such a path; it is longer than uniqueness asks for.
	ErrShape Reason = "heads proof has a path no map can have"
	// ErrPath: the leaf at the end belongs to another path.
	ErrPath Reason = "heads proof ends in a leaf of another path"
	// ErrRoot: the proof does not lead to the root.
	ErrRoot Reason = "heads proof does not lead to the root"
	// ErrAbsent: membership was asked for, the proof shows absence.
	ErrAbsent Reason = "key is not in the heads map"
	// ErrPresent: absence was asked for, the proof shows membership.
	ErrPresent Reason = "key is in the heads map"
	// ErrValue: the key is there with another value.
	ErrValue Reason = "key has another value in the heads map"
	// ErrRepeated: two entries given together have the same key.
	ErrRepeated Reason = "key is repeated"
	// ErrStore: the store's entries do not give the map's hashes. Either it is
	// damaged, or entries were written whose update is not committed yet.
	ErrStore Reason = "heads store does not match the map"
	// ErrStale: the update was computed from another root than the map has.
	ErrStale Reason = "heads update is stale"
)

func (r Reason) Error() string { return string(r) }
