package client

import (
	"errors"
	"slices"

	"strongroom.example/strongroom/internal/dossier"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
)

// Alarm says that what the vault answered cannot be true: it lies, or somebody between lies for it (ARCHITECTURE §7, invariant 7). It is
// never a matter of trying again. Keep the device as it is and tell the auditor.
type Alarm struct {
	Lie    Lie
	Stream evidence.Stream // the one concerned; zero if none
	Err    error           // the cause: which check failed
}

// Lie names what is wrong. A published name never changes its meaning.
type Lie string

const (
	WrongVault    Lie = "wrong_vault"        // the answers are of another vault than the trust file names
	OtherTrust    Lie = "other_trust_file"   // the trust file is not the one whose number is known
	WrongLogKey   Lie = "wrong_log_key"      // the log's signature is not by a key of the trust file
	Forked        Lie = "forked_history"     // two histories that exclude each other
	RolledBack    Lie = "rolled_back_log"    // the log is shorter than it was
	NotIncluded   Lie = "not_included"       // an event is not in the log as its receipt says
	OtherReceipt  Lie = "other_receipt"      // the receipt is for another event than the one submitted
	Unwitnessed   Lie = "unwitnessed"        // no witness confirmed in time what was shown, or what must be final is not
	WrongWitness  Lie = "wrong_witness"      // what is said to be a witness's signature is none
	StaleHead     Lie = "stale_head"         // a stream or publication ends before what was seen of it earlier
	MissingEvent  Lie = "missing_event"      // an event was left out
	HiddenStream  Lie = "hidden_stream"      // a whole stream that others stand on is said not to exist
	OtherStream   Lie = "other_stream"       // the events are those of another stream than was asked for
	Omitted       Lie = "omitted_record"     // a list leaves out an item or an actor that the record book has entries of
	BrokenChain   Lie = "broken_chain"       // the events of a stream do not follow each other
	Undue         Lie = "unduly_withheld"    // an event is or was withheld longer than said, or without a secret hold
	FalseLength   Lie = "false_length"       // the proof of a stream's length does not hold
	ForeignKey    Lie = "foreign_key"        // an event was signed by a key that was not its signer's
	Unlawful      Lie = "unlawful_event"     // an event was accepted that the rules forbid
	OtherEnvelope Lie = "swapped_envelope"   // an envelope is not the one that the signed events name
	OtherBytes    Lie = "swapped_ciphertext" // evidence is not what the deposit names
	OtherText     Lie = "swapped_attachment" // a description, label or note is not the one that the signed events name
	OtherRelease  Lie = "other_release"      // what was released is for another access than the one that was signed
	FalseOffset   Lie = "false_offset"       // an upload is said to be shorter than was acknowledged, or longer than what was sent
	OtherOffer    Lie = "swapped_offer"      // an invitation or its answer is not what was agreed
	Malformed     Lie = "malformed_answer"   // the answer is not of the contract
)

func (a *Alarm) Error() string {
	s := "alarm: " + string(a.Lie)
	if a.Err != nil {
		s += ": " + a.Err.Error()
	}
	return s
}

func (a *Alarm) Unwrap() error { return a.Err }

// LieOf returns the lie that err is an Alarm about, or "".
func LieOf(err error) Lie {
	if a := (*Alarm)(nil); errors.As(err, &a) {
		return a.Lie
	}
	return ""
}

func alarm(lie Lie, s evidence.Stream, cause error) error {
	return &Alarm{Lie: lie, Stream: s, Err: cause}
}

// lies says what each finding of a replay means for who asked. Findings that are not here are told by their check.
var lies = map[string]Lie{
	evidence.ReasonFounder: ForeignKey, // an enrolment that leads back to no key of the trust file

	dossier.ReasonLogOrigin: WrongVault,
	dossier.ReasonLogFork:   Forked,
	dossier.ReasonFork:      Forked,
	dossier.ReasonBasisFork: Forked,
	dossier.ReasonOtherLast: Forked,

	dossier.ReasonForeignStream: OtherStream,

	dossier.ReasonMissingFirst:  MissingEvent,
	dossier.ReasonMissing:       MissingEvent,
	dossier.ReasonMissingLast:   MissingEvent,
	dossier.ReasonStreamMissing: MissingEvent,
	dossier.ReasonBasisMissing:  MissingEvent,
	dossier.ReasonNotCovered:    StaleHead,
}

var liesByCheck = map[dossier.Check]Lie{
	dossier.CheckPackage:    Malformed,
	dossier.CheckSignatures: ForeignKey,
	dossier.CheckInclusion:  NotIncluded,
	dossier.CheckCheckpoint: WrongLogKey,
	dossier.CheckChain:      BrokenChain,
	dossier.CheckComplete:   FalseLength,
	dossier.CheckRules:      Unlawful,
	dossier.CheckTime:       Unlawful,
	dossier.CheckWitnesses:  WrongWitness,
}

func lieOf(f dossier.Finding) Lie {
	if lie, ok := lies[f.Reason]; ok {
		return lie
	}
	return liesByCheck[f.Check]
}

// judged turns what a replay found, which is never nothing, into an error. A foreign key tells more than what it broke. What only a newer
// program could judge is no lie.
func judged(found []dossier.Finding) error {
	failed := slices.DeleteFunc(slices.Clone(found), func(f dossier.Finding) bool { return f.Result != dossier.Fail })
	if len(failed) == 0 {
		return &evidence.Error{Kind: evidence.Unknown, Reason: found[0].Reason, Err: found[0]}
	}
	worst := failed[0]
	if i := slices.IndexFunc(failed, func(f dossier.Finding) bool { return lieOf(f) == ForeignKey }); i >= 0 {
		worst = failed[i]
	}
	return alarm(lieOf(worst), worst.Stream, worst)
}

// logLie says what is wrong with a checkpoint or a receipt that did not verify.
func logLie(err error) Lie {
	switch {
	case errors.Is(err, tlog.ErrOrigin):
		return WrongVault
	case errors.Is(err, tlog.ErrLogKey), errors.Is(err, tlog.ErrSignature):
		return WrongLogKey
	case errors.Is(err, tlog.ErrInconsistent):
		return Forked
	case errors.Is(err, tlog.ErrMalformed):
		return Malformed
	}
	return NotIncluded
}
