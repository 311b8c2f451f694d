package vault

import (
	"cmp"
	"context"
	"io"
	"slices"
	"time"

	"strongroom.example/strongroom/internal/ageheader"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/objects"
)

// Opening is what an included access event gives to its signer: the envelope, and the right to fetch the rest until it expires. Header
// is the beginning of evidence.age, so that a range can be read without asking for it first.
type Opening struct {
	Event       evidence.Hash
	Item        evidence.ItemID
	Expires     time.Time
	Envelope    []byte
	Size        int64 // of evidence.age, bytes
	Header      []byte
	Description []byte // the newest description.age
}

func isAccess(e *evidence.Event) bool {
	return e.Kind == evidence.ItemOpened || e.Kind == evidence.GrantRedeemed || e.Kind == evidence.ItemBreakGlass
}

// Open gives or renews the release of an access event that the caller signed and that is in the log.
func (v *Vault) Open(ctx context.Context, by Caller, event evidence.Hash) (Opening, error) {
	entry, e, err := v.own(ctx, by, event)
	if err != nil {
		return Opening{}, err
	}
	if !isAccess(e) {
		return Opening{}, errHidden
	}
	return v.open(ctx, by, entry, e)
}

// open is the only place where content leaves the vault's hand. Its first line is the promise: no proof, no bytes.
func (v *Vault) open(ctx context.Context, by Caller, entry ledger.Entry, e *evidence.Event) (Opening, error) {
	if !entry.Included() {
		return Opening{}, evidence.Refuse(evidence.Pending, "pending")
	}
	// What leaves the vault for good stands on a history that others have confirmed: a court must be able to show it.
	if e.Kind == evidence.GrantRedeemed {
		if _, err := v.cfg.Ledger.Final(ctx, entry.LeafHash); err != nil {
			return Opening{}, err
		}
	}
	asked := v.cfg.Now()
	item, err := v.allowed(ctx, e)
	if err != nil {
		return Opening{}, err
	}
	now := v.cfg.Now()
	end := e.Time.Std().Add(releaseLimit)
	if !now.Before(end) {
		return Opening{}, evidence.Refuse(evidence.Gone, "release_over")
	}
	// The law has just said that this envelope is the signer's to have.
	envelope, err := v.cfg.Records.StreamAttachment(ctx, evidence.ItemOf(item.ID), evidence.EnvelopeNamed(e.Details))
	if evidence.KindOf(err) == evidence.Gone { // destroyed just now
		err = evidence.Refuse(evidence.NotFound, evidence.ReasonEnvelope)
	}
	if err != nil {
		return Opening{}, err
	}
	if err := intact(envelope); err != nil {
		return Opening{}, err
	}
	seen, err := v.seen(ctx, by, item)
	if err != nil {
		return Opening{}, err
	}
	description, err := v.description(ctx, seen)
	if err != nil {
		return Opening{}, err
	}
	o := Opening{
		Event: entry.LeafHash, Item: item.ID, Expires: earlier(now.Add(releaseTime), end),
		Envelope: envelope.Body, Size: item.Evidence.Size, Description: description,
	}
	if o.Header, err = v.header(ctx, item); err != nil {
		return Opening{}, err
	}
	r := Release{Event: o.Event, Item: o.Item, Actor: by.Actor, Begun: e.Time.Std(), Expires: o.Expires}
	if err := v.cfg.Records.PutRelease(ctx, r); err != nil {
		return Opening{}, err
	}
	if err := v.askAgain(ctx, e, asked); err != nil {
		return Opening{}, err
	}
	return o, nil
}

// lawHolds is how long what the law said is good for.
const lawHolds = 5 * time.Second

// askAgain asks the law again if that is longer ago: a process, or its machine, may have stood still since, and what takes the right away is
// to be in force by then. Of the two clocks one does not count the sleep of a machine, and the other may be set.
func (v *Vault) askAgain(ctx context.Context, e *evidence.Event, asked time.Time) error {
	now := v.cfg.Now()
	if now.Sub(asked) <= lawHolds && now.Round(0).Sub(asked.Round(0)) <= lawHolds {
		return nil
	}
	_, err := v.allowed(ctx, e)
	return err
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// allowed asks the law whether the access event allows serving content now: people, consent, grant and item as they are now. What the event
// stood on is read together; that is nearly always all it takes. Records that went back may lack what took the right away: they are not asked.
func (v *Vault) allowed(ctx context.Context, e *evidence.Event) (*evidence.ItemState, error) {
	if err := v.cfg.Ledger.Sound(); err != nil {
		return nil, err
	}
	stream := e.Stream.Stream()
	streams := []evidence.Stream{stream}
	for _, head := range e.ReliedOn {
		streams = append(streams, head.Stream())
	}
	for {
		states, err := v.cfg.Records.States(ctx, streams...)
		if err != nil {
			return nil, err
		}
		item, ok := states[stream].(*evidence.ItemState)
		_, known := states[evidence.ActorOf(e.Actor.ID)].(*evidence.ActorState)
		if !ok || !known {
			return nil, errHidden
		}
		more := slices.DeleteFunc(evidence.StandsOn(item, e), func(s evidence.Stream) bool { return slices.Contains(streams, s) })
		if len(more) == 0 {
			now := v.now()
			err := item.Release(v.facts(states), e, now)
			if seen := asSeen(states, e, now); seen != nil {
				err = cmp.Or(seen[stream].(*evidence.ItemState).Release(v.facts(seen), e, now), unsaid(err))
			}
			return item, err
		}
		streams = append(streams, more...)
	}
}

// description returns the newest description of an item: its event is the deposit or a later amendment.
func (v *Vault) description(ctx context.Context, item *evidence.ItemState) ([]byte, error) {
	a, err := v.cfg.Records.StreamAttachment(ctx, evidence.ItemOf(item.ID), item.Description.SHA256)
	if err != nil {
		return nil, err
	}
	return a.Body, intact(a)
}

// intact refuses stored bytes that are not those an event named: what is damaged is never served.
func intact(a ledger.Attachment) error {
	if evidence.SHA256(a.Body) != a.SHA256 {
		return evidence.Refuse(evidence.Internal, "damaged")
	}
	return nil
}

func (v *Vault) header(ctx context.Context, item *evidence.ItemState) ([]byte, error) {
	if item.Class == evidence.DescriptionOnly {
		return []byte{}, nil // there is none, which the contract spells as no bytes
	}
	o, err := v.cfg.Objects.Open(ctx, objects.Digest(item.Evidence.SHA256))
	if err != nil {
		return nil, storeError(err)
	}
	defer o.Close()
	header := make([]byte, min(item.Evidence.Size, int64(ageheader.Size(1)+ageheader.Payload))) // with the nonce
	if _, err := io.ReadFull(o, header); err != nil {
		return nil, storeError(err)
	}
	return header, nil
}

// released finds the running release of an access event of the caller and asks the law again: this happens for every request.
func (v *Vault) released(ctx context.Context, by Caller, access evidence.Hash) (*evidence.ItemState, *evidence.Event, error) {
	_, e, err := v.own(ctx, by, access)
	if err != nil {
		return nil, nil, err
	}
	r, err := v.cfg.Records.Release(ctx, access)
	if evidence.KindOf(err) == evidence.NotFound || err == nil && r.Actor != by.Actor {
		return nil, nil, errHidden
	}
	if err != nil {
		return nil, nil, err
	}
	if !v.cfg.Now().Before(r.Expires) {
		return nil, nil, evidence.Refuse(evidence.Gone, "release_expired")
	}
	item, err := v.allowed(ctx, e)
	return item, e, err
}

// StillAllowed asks the law again while evidence is being sent on an access event of the caller: whatever takes the right away ends what is
// under way. That a release expires does not: it bounds when a request may begin.
func (v *Vault) StillAllowed(ctx context.Context, by Caller, access evidence.Hash) error {
	_, e, err := v.own(ctx, by, access)
	if err != nil {
		return err
	}
	_, err = v.allowed(ctx, e)
	return err
}

// addressTime is how long the address of a part of evidence can be used, by whoever has it. So a freeze comes into force that much later
// where evidence is fetched past the vault; what was begun until then ends with its part, which is no longer than addressBytes.
const (
	addressTime  = time.Minute
	addressBytes = 256 << 20
)

// Fetched is evidence.age, opened, or where a part of it is.
type Fetched struct {
	Digest  evidence.Hash
	Object  objects.Object // nil if there is an address; else the caller closes it
	Address objects.Address
	From    int64 // the first byte that is there
	To      int64 // and the last
}

// Part says which bytes of a file are asked for, both included; ok is false where there are none.
type Part func(evidence.Evidence) (from, to int64, ok bool)

// Evidence gives evidence.age on the strength of a released access event: by the address of the beginning of the part that direct asks
// for, if it is not nil and the store has addresses. Whether it is released is asked first, in either case.
func (v *Vault) Evidence(ctx context.Context, by Caller, access evidence.Hash, direct Part) (Fetched, error) {
	asked := v.cfg.Now()
	item, e, err := v.released(ctx, by, access)
	if err != nil {
		return Fetched{}, err
	}
	if item.Class == evidence.DescriptionOnly {
		return Fetched{}, errHidden
	}
	f := Fetched{Digest: item.Evidence.SHA256}
	from, to, ok := int64(0), int64(0), direct != nil
	if ok {
		from, to, ok = direct(item.Evidence)
	}
	if ok {
		f.From, f.To = from, min(to, from+addressBytes-1)
		if f.Address, err = v.cfg.Objects.Address(ctx, objects.Digest(f.Digest), f.From, f.To, addressTime); err != nil {
			return Fetched{}, storeError(err)
		}
		if f.Address.URL != "" { // for addressTime from now
			if err := v.askAgain(ctx, e, asked); err != nil {
				return Fetched{}, err
			}
			return f, nil
		}
	}
	if f.Object, err = v.cfg.Objects.Open(ctx, objects.Digest(f.Digest)); err != nil {
		return Fetched{}, storeError(err)
	}
	if f.Object.Size() != item.Evidence.Size {
		f.Object.Close()
		return Fetched{}, evidence.Refuse(evidence.Held, evidence.ReasonDamaged)
	}
	if err := v.askAgain(ctx, e, asked); err != nil {
		f.Object.Close()
		return Fetched{}, err
	}
	return f, nil
}

// Attachment returns a description or a note of the item that the access event opened: notes to the item, and, for a grant's recipient
// or a keyholder, notes to recipients. Never internal notes, never envelopes.
func (v *Vault) Attachment(ctx context.Context, by Caller, access, event, digest evidence.Hash) (ledger.Attachment, error) {
	item, e, err := v.released(ctx, by, access)
	if err != nil {
		return ledger.Attachment{}, err
	}
	entry, a, err := v.attachment(ctx, by, event, digest)
	if err != nil {
		return ledger.Attachment{}, err
	}
	if entry.Stream != evidence.ItemOf(item.ID) {
		return ledger.Attachment{}, errHidden
	}
	switch {
	case a.Kind == ledger.Description, a.Kind == ledger.Note && a.Audience == evidence.ToItem:
		return a, nil
	case a.Kind == ledger.Note && a.Audience == evidence.ToRecipient:
		mine, err := noteIsFor(entry, e)
		if mine || err != nil {
			return a, err
		}
	}
	return ledger.Attachment{}, errHidden
}

// noteIsFor reports whether a note of a grant's event is for who made the access event: keyholders see those of every grant, a
// recipient those of the grant that was redeemed, a survivor who opens an own copy none.
func noteIsFor(entry ledger.Entry, access *evidence.Event) (bool, error) {
	d, redeemed := access.Details.(*evidence.GrantRedeemedDetails)
	if !redeemed {
		return access.Actor.Role != evidence.Survivor, nil
	}
	noted, err := eventOf(entry)
	if err != nil {
		return false, err
	}
	if proposed, ok := noted.Details.(*evidence.GrantProposedDetails); ok {
		return proposed.ID == d.Grant, nil
	}
	return evidence.GrantNamed(noted.Details) == d.Grant, nil
}

// CaseAttachment returns what a member of the case may fetch without an access event: labels, internal notes, own envelopes of its label keys.
// For the recovery key's envelope see labelKeyFor.
func (v *Vault) CaseAttachment(ctx context.Context, by Caller, event, digest evidence.Hash) (ledger.Attachment, error) {
	entry, a, err := v.attachment(ctx, by, event, digest)
	if err != nil {
		return ledger.Attachment{}, err
	}
	e, err := eventOf(entry)
	if err != nil {
		return ledger.Attachment{}, err
	}
	in := e.Case
	if e.Stream.Type == evidence.CaseStream {
		in = evidence.CaseID(e.Stream.ID)
	}
	if err := v.mustBeMember(ctx, by, in); err != nil {
		return ledger.Attachment{}, err
	}
	switch {
	case a.Kind == ledger.Label, a.Kind == ledger.Note && a.Audience == evidence.ToInternal:
		return a, nil
	case a.Kind == ledger.LabelEnvelope:
		if err := v.labelKeyFor(ctx, by, in, a.Recipient); err != nil {
			return ledger.Attachment{}, err
		}
		return a, nil
	}
	return ledger.Attachment{}, errHidden
}

// labelKeyFor says whether somebody gets an envelope of a case's label key: its recipient does; and that of the recovery key a keyholder who
// manages the case, while what two trustees have stated of that key names an item of the case (RULES §3.7): else Forbidden "not_recovered".
func (v *Vault) labelKeyFor(ctx context.Context, by Caller, in evidence.CaseID, recipient evidence.Hash) error {
	own, err := v.fingerprint(ctx, by)
	if err != nil || own == recipient {
		return err
	}
	of, err := state[*evidence.CaseState](ctx, v, evidence.CaseOf(in))
	if err != nil {
		return err
	}
	now := v.now()
	if recipient != of.Recovery || !of.Holds(by.Actor) || !of.Can(by.Actor, evidence.MayManage, now) {
		return errHidden
	}
	policy, err := state[*evidence.PolicyState](ctx, v, evidence.PolicyOf(v.cfg.Origin))
	if err != nil {
		return err
	}
	use := policy.Recoverable(now)
	if use == nil || use.Stated.Recovery != recipient {
		return evidence.Refuse(evidence.Forbidden, evidence.ReasonNotRecovered)
	}
	for _, id := range use.Stated.Items {
		item, err := state[*evidence.ItemState](ctx, v, evidence.ItemOf(id))
		if err != nil {
			return err
		}
		if item.Case == in {
			return nil
		}
	}
	return evidence.Refuse(evidence.Forbidden, evidence.ReasonNotRecovered)
}

// attachment finds one as it was named. What is not there, or not any more, or withheld from the caller, is errHidden.
func (v *Vault) attachment(ctx context.Context, by Caller, event, digest evidence.Hash) (ledger.Entry, ledger.Attachment, error) {
	entry, err := v.cfg.Records.Entry(ctx, event)
	var a ledger.Attachment
	if err == nil {
		var secret bool
		if secret, err = v.isSecret(ctx, by, entry); secret {
			err = errHidden
		}
	}
	if err == nil {
		a, err = v.cfg.Records.Attachment(ctx, event, digest)
	}
	if err == nil {
		err = intact(a)
	}
	if err != nil && evidence.KindOf(err) != evidence.Internal {
		err = errHidden
	}
	return entry, a, err
}
