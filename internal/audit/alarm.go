package audit

import (
	"errors"
)

// Alarm says that what the vault shows cannot be: two histories, or a history and a map that is not its. It is never a matter of trying
// again. Nothing was changed in the state.
type Alarm struct {
	Reason Reason
	// Older is the signed head that was verified before, nil if there was none, and Newer the one shown now.
	Older, Newer []byte
	// Split shows offline that Newer does not extend Older, where the vault gave what is needed for that.
	Split *Split
	// Proof is what the vault gave as a consistency proof, if it was asked for one.
	Proof [][]byte
	// Receipts are the publications concerned: the last one that was verified and the one that contradicts it.
	Receipts [][]byte
	// Statement is what the vault gave as the signed form of the entry, if it is about that.
	Statement []byte
	// Entry is the log index concerned, or -1.
	Entry int64
	Err   error
}

// Reason names what is wrong. A published name never changes its meaning.
type Reason string

const (
	// Of the log.
	UnsignedHead Reason = "head_not_signed"   // the checkpoint is not signed by a log key of the trust file
	TwoRoots     Reason = "two_roots"         // two signed heads of one size with different roots
	Forked       Reason = "forked_history"    // the newer head does not extend the older one
	FalseProof   Reason = "false_consistency" // the newer head extends the older one, but not by the proof given
	RolledBack   Reason = "rolled_back_log"   // the newest head is smaller than one shown before
	FalseLeaves  Reason = "false_leaf_hashes" // the leaf hashes given do not lead to the signed root
	FalsePage    Reason = "malformed_page"    // an answer has another length than was asked for

	Elsewhere Reason = "shown_elsewhere" // what the vault answered to other questions of the same person cannot be true

	// Of the heads map.
	ForeignHeads   Reason = "foreign_publication" // a publication that the vault did not sign, or that is not in the log where it says
	BrokenHeads    Reason = "broken_publications" // a publication does not follow the one before
	FalseCount     Reason = "false_count"         // entries and void leaves are not as many as are covered
	OmittedInsert  Reason = "omitted_insert"      // an entry without a key that the publication does not list as void
	VoidInsert     Reason = "void_insert"         // a key for an entry that the publication lists as void
	RepeatedInsert Reason = "repeated_insert"     // one key for two entries
	OtherMap       Reason = "other_map"           // the published root is not that of the map
	FalseKey       Reason = "false_key"           // the key of an entry is not that of its stream and sequence number
	FalseStatement Reason = "false_statement"     // the statement given for an entry is not that of its leaf, or there is none
)

func (a *Alarm) Error() string {
	s := "audit alarm: " + string(a.Reason)
	if a.Err != nil {
		s += ": " + a.Err.Error()
	}
	return s
}

func (a *Alarm) Unwrap() error { return a.Err }

// ReasonOf returns the reason of the Alarm that err is, or "".
func ReasonOf(err error) Reason {
	if a := (*Alarm)(nil); errors.As(err, &a) {
		return a.Reason
	}
	return ""
}

// ErrDamaged means that the folder does not hold what was written to it: its hashes do not lead to the root that it says was verified.
// What was verified before cannot be told from it, so nobody goes on from there.
var ErrDamaged = errors.New("audit: the auditor's own state is damaged")
