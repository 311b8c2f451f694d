package vault

import (
	"bytes"
	"context"
	"errors"
	"io"

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
//  1. the statement is read, and its signature checked under the key of the actor who is signed in;
//  2. the law is asked, so that nothing refused costs anything;
//  3. what the event names is compared with what came along or was uploaded; evidence becomes a permanent object;
//  4. the law is asked again in the transaction that commits the event. Commit point: it is accepted now, whatever happens;
//  5. the log takes it; the answer carries the receipt, or none if the log needs longer than the limit.
//
// A statement submitted again is answered with its first outcome.
func (v *Vault) Submit(ctx context.Context, by Caller, s Submission) (Outcome, error) {
	statement, err := custody.Open(s.DSSE)
	if err != nil {
		return Outcome{}, err
	}
	if err := statement.Unknown(); err != nil {
		return Outcome{}, err
	}
	owner, spki, err := v.cfg.Records.Key(ctx, statement.KeyID())
	if evidence.KindOf(err) == evidence.NotFound || err == nil && owner != by.Actor {
		return Outcome{}, evidence.Refuse(evidence.Forbidden, "signer_key")
	}
	if err != nil {
		return Outcome{}, err
	}
	signed, err := statement.Verify(spki)
	if err != nil {
		return Outcome{}, err
	}
	if signed.Event().Actor.ID != by.Actor {
		return Outcome{}, evidence.Refuse(evidence.Forbidden, "signer_key")
	}
	_, err = v.cfg.Records.Entry(ctx, signed.LeafHash())
	if evidence.KindOf(err) == evidence.NotFound {
		err = v.accept(ctx, signed, s, v.punctual(signed))
	}
	if err != nil {
		return Outcome{}, err
	}
	return v.await(ctx, by, signed)
}

// Found accepts what brings a vault into being: the founders' own enrolments, and the first configuration. Founders may have signed
// long before.
func (v *Vault) Found(ctx context.Context, signed *custody.Signed) error {
	if err := v.accept(ctx, signed, Submission{}, v.judge(signed)); err != nil {
		return err
	}
	_, err := v.cfg.Ledger.Await(ctx, signed.LeafHash())
	return err
}

func (v *Vault) accept(ctx context.Context, signed *custody.Signed, s Submission, judge ledger.Judge) error {
	e := signed.Event()
	present, err := v.cfg.Records.States(ctx, standsOn(e)...)
	if err != nil {
		return err
	}
	after, err := judge(present)
	if err != nil {
		return err
	}
	if err := checkAttachments(e, s.Attachments); err != nil {
		return err
	}
	if err := v.checkOffer(ctx, e); err != nil {
		return err
	}
	if d, ok := e.Details.(*evidence.ItemDepositedDetails); ok && d.Class != evidence.DescriptionOnly {
		if err := v.makePermanent(ctx, e.Actor.ID, s.Upload, d.Evidence); err != nil {
			return err
		}
	}
	// Commit point: when Accept returns nil the event is durable. After a crash the ledger finds it pending and includes it.
	if _, err := v.cfg.Ledger.Accept(ctx, ledger.Commit{Signed: signed, Attachments: s.Attachments, Upload: s.Upload}, judge); err != nil {
		return err
	}
	return v.destroyOrphans(ctx, e, after)
}

// judge is the law, and that the signature is by the signer's key in force.
func (v *Vault) judge(signed *custody.Signed) ledger.Judge {
	law := v.cfg.Ledger.Judge(signed)
	return func(states map[evidence.Stream]evidence.State) (evidence.State, error) {
		after, err := law(states)
		if err != nil {
			return nil, err
		}
		return after, checkSigner(signed, states)
	}
}

// punctual is judge for what is signed now: by the vault's clock, too.
func (v *Vault) punctual(signed *custody.Signed) ledger.Judge {
	judge := v.judge(signed)
	return func(states map[evidence.Stream]evidence.State) (evidence.State, error) {
		if err := evidence.CheckClock(signed.Event(), v.cfg.Now()); err != nil {
			return nil, err
		}
		return judge(states)
	}
}

func standsOn(e *evidence.Event) []evidence.Stream {
	streams := []evidence.Stream{e.Stream.Stream()}
	for _, head := range e.ReliedOn {
		streams = append(streams, head.Stream())
	}
	return streams
}

func (v *Vault) await(ctx context.Context, by Caller, signed *custody.Signed) (Outcome, error) {
	leaf := signed.LeafHash()
	short, cancel := context.WithTimeout(ctx, v.cfg.Limits.Answer)
	defer cancel()
	entry, err := v.cfg.Ledger.Await(short, leaf)
	switch evidence.KindOf(err) {
	case "":
	case evidence.Pending:
		return Outcome{LeafHash: leaf}, nil
	case evidence.NotFound: // the same statement was accepted before under another signature
		return Outcome{}, evidence.Refuse(evidence.Conflict, "position")
	default:
		return Outcome{}, err
	}
	return v.outcome(ctx, by, entry, signed.Event())
}

// Outcome answers again what became of an event, to its signer.
func (v *Vault) Outcome(ctx context.Context, by Caller, leaf evidence.Hash) (Outcome, error) {
	entry, e, err := v.own(ctx, by, leaf)
	if err != nil {
		return Outcome{}, err
	}
	return v.outcome(ctx, by, entry, e)
}

func (v *Vault) outcome(ctx context.Context, by Caller, entry ledger.Entry, e *evidence.Event) (Outcome, error) {
	o := Outcome{LeafHash: entry.LeafHash, Receipt: entry.Receipt}
	if !entry.Included() || !isAccess(e) {
		return o, nil
	}
	opening, err := v.open(ctx, by, entry, e)
	if evidence.KindOf(err) == evidence.Internal {
		return Outcome{}, err
	}
	if err == nil { // a right that has ended since leaves the event and its receipt as they are
		o.Opening = &opening
	}
	return o, nil
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
	statement, err := custody.Open(entry.Leaf.Extra)
	if err != nil {
		return entry, nil, evidence.Fail(evidence.Internal, "stored_statement", err)
	}
	if statement.Event().Actor.ID != by.Actor {
		return entry, nil, errHidden
	}
	return entry, statement.Event(), nil
}

// makePermanent compares the upload with what the event says of its evidence and makes it an object. It succeeds again after a crash
// between here and the commit of the event.
func (v *Vault) makePermanent(ctx context.Context, owner evidence.ActorID, id evidence.UploadID, want evidence.Evidence) error {
	u, err := v.cfg.Records.Upload(ctx, id)
	if evidence.KindOf(err) == evidence.NotFound || err == nil && u.Owner != owner {
		return evidence.Refuse(evidence.Invalid, "upload")
	}
	if err != nil {
		return err
	}
	sums, err := v.cfg.Objects.StageSums(ctx, string(id))
	switch {
	case errors.Is(err, objects.ErrNotFound): // committed before a crash: the object is read again
		sums, err = v.cfg.Objects.Verify(ctx, objects.Digest(want.SHA256))
	case err == nil:
		err = v.checkHeader(ctx, id)
	}
	switch {
	case errors.Is(err, objects.ErrOffset), errors.Is(err, objects.ErrNotFound):
		return evidence.Refuse(evidence.Invalid, "upload_incomplete")
	case err != nil:
		return storeError(err)
	}
	if evidence.Hash(sums.Digest) != want.SHA256 || u.Size != want.Size || evidence.Hash(sums.Tree) != want.Tree {
		return evidence.Refuse(evidence.Invalid, "upload_differs")
	}
	if _, err := v.cfg.Objects.StageCommit(ctx, string(id), objects.Digest(want.SHA256)); err != nil {
		return storeError(err)
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
	if _, err := ageheader.Check(r, 1); err != nil {
		return evidence.Fail(evidence.Invalid, "age_header", err)
	}
	return nil
}

// storeError translates what an object store answered.
func storeError(err error) error {
	switch {
	case errors.Is(err, objects.ErrFull):
		return evidence.Fail(evidence.Internal, "store_full", err)
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

// checkOffer compares new keys with the invitation that was answered with them, and checks the proof that their holder wants them.
func (v *Vault) checkOffer(ctx context.Context, e *evidence.Event) error {
	var keys evidence.Keys
	rotation := false
	switch d := e.Details.(type) {
	case *evidence.ActorEnrolledDetails:
		if keys = d.Keys; string(e.Actor.ID) == e.Stream.ID {
			return nil // a founder signs the enrolment itself with the key
		}
	case *evidence.ActorKeyRotatedDetails:
		keys, rotation = d.Keys, true
	default:
		return nil
	}
	id := evidence.ActorID(e.Stream.ID)
	if err := custody.CheckPossession(v.cfg.Origin, id, keys); err != nil {
		return err
	}
	i, err := v.cfg.Records.Invitation(ctx, keys.Invitation)
	if err != nil && evidence.KindOf(err) != evidence.NotFound {
		return err
	}
	if err != nil || i.Actor != id || i.Rotation != rotation || i.Keys == nil || *i.Keys != keys {
		return evidence.Refuse(evidence.Invalid, "invitation")
	}
	if d, ok := e.Details.(*evidence.ActorEnrolledDetails); ok &&
		(d.Role != i.Role || d.Organization != i.Organization || d.DocumentsOnly != i.DocumentsOnly) {
		return evidence.Refuse(evidence.Invalid, "invitation")
	}
	return nil
}

// destroyOrphans erases the envelopes that the event took away. After a crash here the sweep does it: what the state does not name is
// never served.
func (v *Vault) destroyOrphans(ctx context.Context, e *evidence.Event, after evidence.State) error {
	stream := e.Stream.Stream()
	destroy := func(kind ledger.AttachmentKind, recipient evidence.Hash) error {
		return v.cfg.Records.Destroy(ctx, stream, kind, recipient)
	}
	switch d := e.Details.(type) {
	case *evidence.ItemEnvelopeRemovedDetails:
		return destroy(ledger.Envelope, d.Recipient)
	case *evidence.GrantRevokedDetails:
		return v.destroyGranted(after, d.Grant, destroy)
	case *evidence.GrantExpiredDetails:
		return v.destroyGranted(after, d.Grant, destroy)
	}
	return nil
}

func (v *Vault) destroyGranted(after evidence.State, id evidence.GrantID, destroy func(ledger.AttachmentKind, evidence.Hash) error) error {
	item := after.(*evidence.ItemState)
	grant := item.Grant(id)
	if grant == nil {
		return nil
	}
	fingerprint := grant.Terms.Recipient.Fingerprint
	if _, still := item.Envelope(fingerprint); still {
		return nil
	}
	return destroy(ledger.Envelope, fingerprint)
}

// checkAttachments demands exactly the files that the event names, each an age file in the permitted form with the named digest.
func checkAttachments(e *evidence.Event, have []ledger.Attachment) error {
	want := attachmentsOf(e)
	if len(have) != len(want) {
		return evidence.Refuse(evidence.Invalid, "attachments")
	}
	for i := range have {
		h := &have[i]
		h.SHA256 = evidence.SHA256(h.Body)
		w, ok := want[slot{h.Kind, h.Name, h.Recipient}]
		switch {
		case !ok || h.Audience != w.audience || h.SHA256 != w.digest || w.size != 0 && int64(len(h.Body)) != w.size:
			return evidence.Refuse(evidence.Invalid, "attachments")
		case len(h.Body) > w.most:
			return evidence.Refuse(evidence.TooLarge, "attachments")
		}
		delete(want, slot{h.Kind, h.Name, h.Recipient})
		if _, err := ageheader.Check(bytes.NewReader(h.Body), w.recipients); err != nil && !errors.Is(err, io.EOF) {
			return evidence.Fail(evidence.Invalid, "age_header", err)
		}
	}
	return nil
}

// slot is one of the places an attachment can have in an event.
type slot struct {
	kind      ledger.AttachmentKind
	name      string
	recipient evidence.Hash
}

type expected struct {
	digest     evidence.Hash
	audience   evidence.Audience
	size       int64 // exact, 0 where the event does not say
	most       int   // bytes
	recipients int   // stanzas allowed in the header
}

// maxNoteRecipients bounds the stanzas of a note to a grant's recipient and all keyholders.
const maxNoteRecipients = 32

func attachmentsOf(e *evidence.Event) map[slot]expected {
	want := make(map[slot]expected)
	for _, n := range e.Notes {
		recipients := 1
		if n.Audience == evidence.ToRecipient {
			recipients = maxNoteRecipients
		}
		want[slot{kind: ledger.Note, name: n.Name}] = expected{n.SHA256, n.Audience, n.Size, evidence.MaxNote, recipients}
	}
	envelope := func(kind ledger.AttachmentKind, list ...evidence.EnvelopeRef) {
		for _, ref := range list {
			want[slot{kind: kind, recipient: ref.Recipient}] = expected{ref.SHA256, "", 0, evidence.MaxEnvelope, 1}
		}
	}
	file := func(kind ledger.AttachmentKind, f evidence.File, most int) {
		want[slot{kind: kind}] = expected{f.SHA256, "", f.Size, most, 1}
	}
	switch d := e.Details.(type) {
	case *evidence.CaseOpenedDetails:
		envelope(ledger.LabelEnvelope, d.LabelKey.Envelopes...)
	case *evidence.CaseMemberAddedDetails:
		envelope(ledger.LabelEnvelope, d.Envelope)
	case *evidence.CaseMemberRemovedDetails:
		envelope(ledger.LabelEnvelope, d.LabelKey.Envelopes...)
	case *evidence.ItemDepositedDetails:
		envelope(ledger.Envelope, d.Envelopes...)
		file(ledger.Label, d.Label, evidence.MaxLabel)
		file(ledger.Description, d.Description, evidence.MaxDescription)
	case *evidence.ItemAmendedDetails:
		file(ledger.Description, d.Description, evidence.MaxDescription)
	case *evidence.ItemEnvelopeAddedDetails:
		envelope(ledger.Envelope, d.Envelope)
	}
	return want
}
