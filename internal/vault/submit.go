package vault

import (
	"context"
	"errors"
	"io"
	"slices"

	"strongroom.example/strongroom/internal/ageheader"
	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/objects"
)

// Submission is a signed event with the small files it names and, for a deposit, the upload that holds its evidence.
type Submission struct {
	DSSE        []byte
	Attachments []ledger.Attachment
	Upload      evidence.UploadID
}

// Outcome is what became of an event: accepted, and in the log if Receipt is not nil.
type Outcome struct {
	LeafHash evidence.Hash
	Receipt  []byte
	Opening  *Opening // of an included access event, for its signer
}

// Submit takes a signed event:
//
//  1. the statement is read, its signature checked under the key of the actor who is signed in, its time by the vault's clock;
//  2. where something must be made ready for it, the law is asked, so that nothing refused costs anything;
//  3. what the event names is compared with what came along or was uploaded; evidence becomes a permanent object;
//  4. the law is asked in the transaction that commits the event. Commit point: it is accepted now, whatever happens;
//  5. the log takes it; the answer carries the receipt, or none if the log needs longer than the limit.
//
// A statement submitted again, with the same signature or another, is answered with its first outcome.
func (v *Vault) Submit(ctx context.Context, by Caller, s Submission) (Outcome, error) {
	signed, err := v.verify(ctx, by, s.DSSE)
	if err != nil {
		return Outcome{}, err
	}
	entry, err := v.acceptOnce(ctx, signed, s)
	if err != nil {
		return Outcome{}, v.hide(ctx, by, signed.Event(), err)
	}
	return v.await(ctx, by, entry.LeafHash, signed.Event())
}

// hide turns a refusal into errHidden if the event stands on a stream that the caller may not see, or that does not exist: the reason would
// tell one from the other. An event for another vault stands on nothing here.
func (v *Vault) hide(ctx context.Context, by Caller, e *evidence.Event, refused error) error {
	if evidence.KindOf(refused) == evidence.Internal || e.Vault != v.cfg.Origin {
		return refused
	}
	own := e.Stream.Stream()
	states, err := v.cfg.Records.States(ctx, own)
	if err != nil {
		return err
	}
	streams := namedBy(states[own], e)
	if e.Stream.Seq > 0 || states[own] != nil { // what an event begins need not be there
		streams = append(streams, own)
	}
	for _, s := range streams {
		if err := v.readable(ctx, by, s); err != nil {
			return err
		}
	}
	return refused
}

// namedBy lists all streams that the event stands on, and that it says it does.
func namedBy(own evidence.State, e *evidence.Event) []evidence.Stream {
	streams := evidence.StandsOn(own, e)
	for _, head := range e.ReliedOn {
		streams = append(streams, head.Stream())
	}
	return streams
}

// verify reads a statement and checks that the caller signed it.
func (v *Vault) verify(ctx context.Context, by Caller, dsse []byte) (*custody.Signed, error) {
	statement, err := custody.Open(dsse)
	if err != nil {
		return nil, err
	}
	owner, spki, err := v.cfg.Records.Key(ctx, statement.KeyID())
	if evidence.KindOf(err) == evidence.NotFound || err == nil && (owner != by.Actor || statement.Event().Actor.ID != by.Actor) {
		return nil, evidence.Refuse(evidence.Forbidden, "signer_key")
	}
	if err != nil {
		return nil, err
	}
	return v.keys.Verify(statement, spki)
}

// acceptOnce commits an event, or finds what it was accepted as before. Most events come ready: the transaction that commits them asks the
// law and knows them again.
func (v *Vault) acceptOnce(ctx context.Context, signed *custody.Signed, s Submission) (ledger.Entry, error) {
	e := signed.Event()
	clock := evidence.CheckClock(e, v.cfg.Now())
	if clock == nil && s.Upload == "" && !prepared(e.Kind) {
		if attachments, err := checkAttachments(e, s.Attachments); err == nil {
			return v.commit(ctx, ledger.Commit{Signed: signed, Attachments: attachments}, v.judge(signed))
		}
	}
	entry, known, err := v.known(ctx, signed)
	if err != nil || known {
		return entry, err
	}
	if clock != nil {
		return entry, clock
	}
	entry, err = v.accept(ctx, signed, s)
	if err != nil && evidence.KindOf(err) != evidence.Internal {
		// It may have been refused because the same statement, sent before and still on its way, was accepted in between.
		if before, known, looked := v.known(ctx, signed); looked == nil && known {
			return before, nil
		}
	}
	return entry, err
}

// prepared reports whether the vault looks beyond what the law is asked about an event of this kind: for its evidence, the invitation, or
// what is open in the case.
func prepared(k evidence.Kind) bool {
	return k == evidence.ItemDeposited || k == evidence.ActorEnrolled || k == evidence.ActorKeyRotated || k == evidence.CaseClosed
}

// known finds the accepted event of the same statement: it stands at the same place of its stream.
func (v *Vault) known(ctx context.Context, signed *custody.Signed) (ledger.Entry, bool, error) {
	at := signed.Event().Stream
	there, err := v.cfg.Records.Stream(ctx, at.Stream(), at.Seq-1, 1)
	if err != nil || len(there) == 0 || there[0].Seq != at.Seq {
		return ledger.Entry{}, false, err
	}
	statement, err := custody.Open(there[0].Leaf.Extra)
	if err != nil {
		return ledger.Entry{}, false, evidence.Fail(evidence.Internal, "stored_statement", err)
	}
	return there[0], statement.PAEDigest() == signed.PAEDigest(), nil
}

// Found accepts what brings a vault into being: the founders' own enrolments, and the first configuration. Founders may have signed
// long before.
func (v *Vault) Found(ctx context.Context, signed *custody.Signed) error {
	entry, err := v.accept(ctx, signed, Submission{})
	if err != nil {
		return err
	}
	_, err = v.cfg.Ledger.Await(ctx, entry.LeafHash)
	return err
}

func (v *Vault) accept(ctx context.Context, signed *custody.Signed, s Submission) (ledger.Entry, error) {
	e, judge := signed.Event(), v.judge(signed)
	present, err := v.present(ctx, e)
	if err != nil {
		return ledger.Entry{}, err
	}
	if _, err := judge(present); err != nil {
		return ledger.Entry{}, err
	}
	attachments, err := checkAttachments(e, s.Attachments)
	if err != nil {
		return ledger.Entry{}, err
	}
	if err := v.checkOffer(ctx, e); err != nil {
		return ledger.Entry{}, err
	}
	if e.Kind == evidence.CaseClosed {
		if err := v.checkSettled(ctx, evidence.CaseID(e.Stream.ID)); err != nil {
			return ledger.Entry{}, err
		}
	}
	if err := v.takeUpload(ctx, e, s.Upload); err != nil {
		return ledger.Entry{}, err
	}
	return v.commit(ctx, ledger.Commit{Signed: signed, Attachments: attachments, Upload: s.Upload}, judge)
}

// checkSettled asks settled of what stands in the records now, so that nobody keeps others from writing with what is refused. The transaction
// that closes the case asks again.
func (v *Vault) checkSettled(ctx context.Context, in evidence.CaseID) error {
	for after := evidence.ItemID(""); ; {
		items, err := v.cfg.Records.Items(ctx, in, after, MaxPage)
		if err != nil {
			return err
		}
		for _, item := range items {
			after = item.ID
			if err := settled(item, v.now()); err != nil {
				return err
			}
		}
		if len(items) < MaxPage {
			return nil
		}
	}
}

// settled: a case is closed when no grant can be used any more, nothing is on its way, and every emergency opening was reviewed
// (RULES §3.4). It spans streams, so the law cannot say it.
func settled(item *evidence.ItemState, now evidence.Time) error {
	switch {
	case slices.ContainsFunc(item.Grants, func(g evidence.GrantState) bool { return !g.Over(now) }):
		return evidence.Refuse(evidence.Conflict, "open_grant")
	case item.Transit != nil:
		return evidence.Refuse(evidence.Conflict, evidence.ReasonTransit)
	case slices.ContainsFunc(item.Emergencies, func(m evidence.EmergencyState) bool { return m.ReviewedBy == "" }):
		return evidence.Refuse(evidence.Conflict, "open_review")
	}
	return nil
}

// present returns the states of the event's own stream and of all that it stands on or says it does.
func (v *Vault) present(ctx context.Context, e *evidence.Event) (map[evidence.Stream]evidence.State, error) {
	stream := e.Stream.Stream()
	own, err := v.cfg.Records.States(ctx, stream)
	if err != nil {
		return nil, err
	}
	return v.cfg.Records.States(ctx, append(namedBy(own[stream], e), stream)...)
}

// judge is the law, that the signature is by the signer's key in force, and that what is closed is settled: only the transaction that commits
// sees all items (Records.Commit). What a signer may not see of the item is no reason to refuse them that they are told before another one.
func (v *Vault) judge(signed *custody.Signed) ledger.Judge {
	law := v.cfg.Ledger.Judge(signed)
	return func(states map[evidence.Stream]evidence.State) (evidence.State, error) {
		seen := asSeen(states, signed.Event(), v.now())
		if seen != nil {
			if _, err := law(seen); err != nil {
				return nil, err
			}
		}
		after, err := law(states)
		if seen != nil {
			err = unsaid(err)
		}
		if err != nil {
			return nil, err
		}
		if signed.Event().Kind == evidence.CaseClosed {
			for _, s := range states {
				if item, ok := s.(*evidence.ItemState); ok {
					if err := settled(item, v.now()); err != nil {
						return nil, err
					}
				}
			}
		}
		return after, checkSigner(signed, states)
	}
}

// await waits for an accepted event's receipt: it is answered with what there is, never with an error of the log.
func (v *Vault) await(ctx context.Context, by Caller, leaf evidence.Hash, e *evidence.Event) (Outcome, error) {
	short, cancel := context.WithTimeout(ctx, v.cfg.Limits.Answer)
	defer cancel()
	entry, err := v.cfg.Ledger.Await(short, leaf)
	if evidence.KindOf(err) == evidence.Pending {
		return Outcome{LeafHash: leaf}, nil
	}
	if err != nil {
		return Outcome{}, err
	}
	if e.Kind == evidence.GrantRedeemed {
		_, err := v.cfg.Ledger.AwaitFinal(short, leaf)
		if err != nil && evidence.KindOf(err) != evidence.Pending {
			return Outcome{}, err
		}
	}
	return v.outcome(ctx, by, entry, e), nil
}

// Outcome answers again what became of an event, to its signer.
func (v *Vault) Outcome(ctx context.Context, by Caller, leaf evidence.Hash) (Outcome, error) {
	entry, e, err := v.own(ctx, by, leaf)
	if err != nil {
		return Outcome{}, err
	}
	return v.outcome(ctx, by, entry, e), nil
}

// outcome is what is known of an event. What stands in the way of opening, or has ended the right to it since, leaves the event and its
// receipt as they are: Open says what it is.
func (v *Vault) outcome(ctx context.Context, by Caller, entry ledger.Entry, e *evidence.Event) Outcome {
	o := Outcome{LeafHash: entry.LeafHash, Receipt: entry.Receipt}
	if !entry.Included() || !isAccess(e) {
		return o
	}
	if e.Kind == evidence.GrantRedeemed { // until its receipt is final, it is as if the log had not answered
		var err error
		if o.Receipt, err = v.cfg.Ledger.Final(ctx, entry.LeafHash); err != nil {
			v.failedTo(ctx, "final_receipt_failed", err)
			return o
		}
	}
	opening, err := v.open(ctx, by, entry, e)
	if err != nil {
		v.failedTo(ctx, "opening_failed", err)
		return o
	}
	o.Opening = &opening
	return o
}

// failedTo logs what is the vault's own fault.
func (v *Vault) failedTo(ctx context.Context, what string, err error) {
	if evidence.KindOf(err) == evidence.Internal {
		v.cfg.Logger.ErrorContext(ctx, what, "reason", evidence.ReasonOf(err), "err", err)
	}
}

// own finds an event that the caller signed.
func (v *Vault) own(ctx context.Context, by Caller, leaf evidence.Hash) (ledger.Entry, *evidence.Event, error) {
	entry, err := v.cfg.Records.Entry(ctx, leaf)
	if evidence.KindOf(err) == evidence.NotFound {
		return entry, nil, errHidden
	}
	if err != nil {
		return entry, nil, err
	}
	e, err := eventOf(entry)
	if err != nil {
		return entry, nil, err
	}
	if e.Actor.ID != by.Actor {
		return entry, nil, errHidden
	}
	return entry, e, nil
}

// takeUpload makes the caller's upload the evidence of a deposit. No other event takes one.
func (v *Vault) takeUpload(ctx context.Context, e *evidence.Event, id evidence.UploadID) error {
	d, ok := e.Details.(*evidence.ItemDepositedDetails)
	if ok && d.Class != evidence.DescriptionOnly {
		return v.makePermanent(ctx, e.Actor.ID, id, d.Evidence)
	}
	if id != "" {
		return evidence.Refuse(evidence.Invalid, "upload")
	}
	return nil
}

// checkHeader refuses an upload that is not an age file to one post-quantum recipient (FORMATS §8).
func (v *Vault) checkHeader(ctx context.Context, id evidence.UploadID) error {
	r, err := v.cfg.Objects.StageOpen(ctx, string(id))
	if err != nil {
		return err
	}
	defer r.Close()
	return ageError(r, 1)
}

// ageError refuses what is not an age file to at most so many post-quantum recipients. An error of r is returned as it is.
func ageError(r io.Reader, recipients int) error {
	_, err := ageheader.Check(r, recipients)
	if refused := ageheader.Error(""); errors.As(err, &refused) {
		return evidence.Fail(evidence.Invalid, "age_header", err)
	}
	return err
}

// storeError translates what an object store answered.
func storeError(err error) error {
	switch {
	case evidence.KindOf(err) != evidence.Internal:
		return err // a refusal of our own
	case errors.Is(err, objects.ErrFull):
		return evidence.Fail(evidence.Pending, "store_full", err) // said to whoever sends: it goes on once there is room
	case errors.Is(err, objects.ErrBusy):
		return evidence.Fail(evidence.Pending, "store_busy", err)
	case errors.Is(err, objects.ErrUnreachable):
		return evidence.Fail(evidence.Pending, "store_unreachable", err)
	case errors.Is(err, objects.ErrDigest):
		return evidence.Fail(evidence.Invalid, "upload_differs", err)
	case errors.Is(err, objects.ErrDamaged):
		return evidence.Fail(evidence.Internal, "damaged", err)
	case errors.Is(err, objects.ErrOffset):
		return evidence.Fail(evidence.Conflict, "upload_offset", err)
	case errors.Is(err, objects.ErrNotFound):
		return evidence.Fail(evidence.NotFound, "not_found", err)
	}
	return evidence.Fail(evidence.Internal, "store", err)
}
