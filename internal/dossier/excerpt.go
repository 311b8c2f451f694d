package dossier

import (
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/heads"
)

// Excerpt is what somebody hands over as the whole of some streams. Nothing of it is believed.
type Excerpt struct {
	// Heads is the receipt of the vault.heads event under which the lengths are proved.
	Heads []byte
	// Checkpoint is the signed state of the log that lies beside the receipts, if any: it must be that of Heads.
	Checkpoint []byte
	Streams    []Stream
	// Stamps are time stamps over states of the log, Revoked what each authority says of keys that were revoked (CRLs in DER), by its name
	// there. A package has them beside the receipts.
	Stamps  []Stamp
	Revoked map[string]func() ([]byte, error)
	// Final asks of every receipt what the trust file asks for: the witnesses' quorum, a time stamp. A client that has just acted cannot
	// have that yet, a court package must.
	Final bool
	// Newer also accepts events at a stream's end that Heads does not cover. A client that is about to act wants them; a court package
	// never has any.
	Newer bool
}

// Stream is one stream from its first event.
type Stream struct {
	ID     evidence.Stream
	Events int64 // how many are handed over
	// Receipt returns the receipt of event seq, 0 ≤ seq < Events. It is called from several goroutines, and again for the same event.
	Receipt func(seq int64) ([]byte, error)
	Length  Length
	// Proof returns the Length in its place, where it is not nil: proofs of many streams are more than need be in memory.
	Proof func() (Length, error)
}

func (s Stream) length() (Length, error) {
	if s.Proof != nil {
		return s.Proof()
	}
	return s.Length, nil
}

// Held makes a Receipt function of receipts in memory.
func Held(receipts [][]byte) func(seq int64) ([]byte, error) {
	return func(seq int64) ([]byte, error) { return receipts[seq], nil }
}

// Length proves how long a stream is under one publication of the heads map: event N-1 is in the map, event N is not (FORMATS §7).
type Length struct {
	N      int64
	Member *heads.Proof // nil if and only if N is 0
	Absent heads.Proof
}
