package client

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/dossier"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/wire"
)

// Receipt is the proof that an act is done: it was verified against the pinned trust file and is for exactly the event that was signed.
type Receipt struct {
	Event  *evidence.Event
	Leaf   evidence.Hash
	Bundle []byte // the Sigstore bundle (FORMATS §6)

	included tlog.Included
	opening  *wire.Opening // what came with an access event; unverified
}

// Index is the event's place in the log.
func (r *Receipt) Index() int64 { return r.included.Index() }

// act is an event to be signed, with what travels beside it. Who, when, with what, at which place of its stream and on which heads is
// filled in from verified facts.
type act struct {
	event       *evidence.Event // Kind, Details and what the kind says beside them
	stream      evidence.Stream
	attachments []wire.Attachment
	upload      evidence.UploadID

	says      []said       // notes to who opens the item, not yet sealed
	describes *Description // the item anew
	check     *Check       // of these
}

// attempts bounds how often an act is signed again because the state had moved on.
const attempts = 12

// perform makes an act on what was verified of the streams, and submits it:
//
//  1. Look; make the event; look again if it stands on more;
//  2. ask the law here, so that a refusal has its reason before anything is sent;
//  3. sign and submit; if the state has moved on, begin again;
//  4. wait until it is in the log, and verify the receipt. Only now is it done.
//
// compose is called again on every attempt and must not change what it is given.
func (c *Client) perform(ctx context.Context, streams []evidence.Stream, compose func(*View) (act, error)) (*Receipt, error) {
	return c.performOn(ctx, afresh{c}, streams, compose)
}

// looker is where an act's view comes from.
type looker interface {
	look(ctx context.Context, streams ...evidence.Stream) (*View, error)
	// outdated says that the state has moved on since a view of it, or may have. It reports whether the view was an older one, so that
	// looking again may show more.
	outdated(v *View) (older bool)
}

// afresh looks every time.
type afresh struct{ *Client }

func (a afresh) look(ctx context.Context, streams ...evidence.Stream) (*View, error) {
	return a.Look(ctx, streams...)
}

func (afresh) outdated(*View) bool { return false }

func (c *Client) performOn(ctx context.Context, from looker, streams []evidence.Stream, compose func(*View) (act, error)) (*Receipt, error) {
	streams = append(slices.Clone(streams), evidence.ActorOf(c.actor))
	patience := patience{next: 100 * time.Millisecond, longest: 2 * time.Second, left: attempts - 1}
	for {
		view, a, err := c.prepare(ctx, from, streams, compose)
		if err != nil {
			return nil, err
		}
		if asked, err := c.leaveAddition(ctx, view, a); err != nil {
			return nil, err
		} else if asked {
			continue // the time of what is signed is that of its signing
		}
		signed, err := custody.Sign(a.event, c.cfg.Signer.SPKI(), c.cfg.Signer)
		if err != nil {
			return nil, err
		}
		answer, err := c.submit(ctx, signed, a)
		if isReading(err) {
			continue // it is signed anew, with the time that it is by now
		}
		if moved(err) || c.aged(signed, err) {
			from.outdated(view)
			if err := patience.wait(ctx, c, err); err != nil {
				return nil, err
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		return c.accept(ctx, view, signed, answer)
	}
}

// aged reports whether an act was refused because it has become older than the clock allows while it was sent again and again.
func (c *Client) aged(signed *custody.Signed, err error) bool {
	return evidence.ReasonOf(err) == evidence.ReasonClock && c.age(signed) > evidence.Clock/2
}

// age is how long ago an act was signed.
func (c *Client) age(signed *custody.Signed) time.Duration {
	return evidence.At(c.clock.time()).Sub(signed.Event().Time)
}

// moved reports whether an act was refused because of what happened since the look.
func moved(err error) bool {
	switch evidence.ReasonOf(err) {
	case evidence.ReasonPosition, evidence.ReasonStaleBasis, evidence.ReasonMissingBasis, evidence.ReasonTimeOrder,
		evidence.ReasonEnvelopes, evidence.ReasonConsentVersion:
		return evidence.KindOf(err) == evidence.Conflict || evidence.ReasonOf(err) == evidence.ReasonTimeOrder
	}
	return false
}

// prepare makes an act and asks the law. What refuses it on an older view may have ended since: then it looks once more.
func (c *Client) prepare(ctx context.Context, from looker, streams []evidence.Stream, compose func(*View) (act, error)) (*View, act, error) {
	view, a, err := c.prepareOn(ctx, from, streams, compose)
	if err != nil && view != nil && from.outdated(view) {
		return c.prepareOn(ctx, from, streams, compose)
	}
	return view, a, err
}

// prepareOn looks until everything is seen that the act stands on, completes the event and asks the law.
func (c *Client) prepareOn(ctx context.Context, from looker, streams []evidence.Stream, compose func(*View) (act, error)) (*View, act, error) {
	for {
		view, err := from.look(ctx, streams...)
		if err != nil {
			return nil, act{}, err
		}
		a, err := compose(view)
		if err != nil {
			return view, a, err
		}
		own := view.facts.States[a.stream]
		if err := c.fill(view, &a); err != nil {
			return view, a, err
		}
		unseen := slices.DeleteFunc(evidence.StandsOn(own, a.event), func(s evidence.Stream) bool { return view.facts.States[s] != nil })
		if len(unseen) > 0 {
			if len(streams) > maxStreams {
				return nil, a, evidence.Refuse(evidence.TooLarge, "streams")
			}
			streams = append(streams, unseen...) // one that does not exist ends this: NotFound
			continue
		}
		// The leaf is not known before the signature; the law asks only that there is one.
		_, err = evidence.Apply(view.facts, a.event, evidence.SHA256([]byte("unsigned")))
		return view, a, err
	}
}

// fill completes an event: vault, signer, tool, time, place, basis, subjects. For whom the signer acts is the event's to say.
func (c *Client) fill(v *View, a *act) error {
	self, err := state[*evidence.ActorState](v, evidence.ActorOf(c.actor))
	if err != nil {
		return err
	}
	if self.Key != c.publicKey() {
		return evidence.Refuse(evidence.Forbidden, "signer_key") // this device's key is not, or no longer, the actor's
	}
	e, own := a.event, v.facts.States[a.stream]
	e.Vault, e.Tool = c.trust.Vault(), c.cfg.Tool
	e.Actor = evidence.Signer{ID: self.ID, Role: self.Role, Organization: self.Organization, OnBehalfOf: e.Actor.OnBehalfOf}
	e.Stream = evidence.Position{Type: a.stream.Type, ID: a.stream.ID}
	if own != nil {
		e.Stream.Seq, e.Stream.Prev = own.Tip().Seq+1, own.Tip().Leaf
	}
	e.ReliedOn = evidence.ReliedOn(v.facts, e)
	e.Time = evidence.At(c.clock.time())
	if own != nil {
		e.Time = max(e.Time, own.Tip().Time)
	}
	for _, h := range e.ReliedOn { // never before what it stands on
		e.Time = max(e.Time, v.facts.States[h.Stream()].Tip().Time)
	}
	e.Subject = e.Subjects(own)
	slices.SortFunc(e.Notes, func(a, b evidence.Note) int { return cmp.Compare(a.Name, b.Name) })
	return nil
}

// isReading reports whether the vault still reads the upload that an event names. It goes on by itself, for hours if the file is that large.
func isReading(err error) bool {
	return evidence.KindOf(err) == evidence.Pending && evidence.ReasonOf(err) == reasonReading
}

// submit sends a signed event. If the connection breaks the same bytes are sent again: the vault answers them as the first time. While the
// vault reads the upload they are sent again for as long as the clock allows; isReading is then the error.
func (c *Client) submit(ctx context.Context, signed *custody.Signed, a act) (wire.Included, error) {
	body := wire.Submission{DSSE: signed.DSSE(), Attachments: a.attachments, Upload: string(a.upload)}
	patience := patience{next: 500 * time.Millisecond, longest: 15 * time.Second, left: 10}
	for {
		req, err := wire.NewSubmitEventRequest(c.address, body)
		if err != nil {
			return wire.Included{}, err
		}
		answer, err := c.outcome(ctx, req, http.StatusCreated)
		if !connection(ctx, err) || evidence.ReasonOf(err) == reasonFull {
			return answer, err
		}
		if isReading(err) {
			if c.age(signed) > evidence.Clock/2 {
				return answer, err
			}
			if err := c.pause(ctx, max(retryAfter(err), time.Second)); err != nil {
				return answer, err
			}
			continue
		}
		if err := patience.wait(ctx, c, err); err != nil {
			return answer, err
		}
	}
}

// outcome reads what became of an event; Receipt is empty while it is pending.
func (c *Client) outcome(ctx context.Context, req *http.Request, done int) (answer wire.Included, err error) {
	resp, err := c.signedIn(ctx, req, done, http.StatusAccepted)
	if err != nil {
		return answer, err
	}
	if resp.StatusCode == http.StatusAccepted {
		var pending wire.Accepted
		err = decode(resp, &pending)
		return wire.Included{LeafHash: pending.LeafHash}, err
	}
	if err = decode(resp, &answer); err == nil && len(answer.Receipt) == 0 {
		err = alarm(Malformed, evidence.Stream{}, errors.New("included without a receipt"))
	}
	return answer, err
}

// accept waits for the receipt and verifies it. When ctx ends first the answer is Pending: the event is stored and will be included.
func (c *Client) accept(ctx context.Context, v *View, signed *custody.Signed, answer wire.Included) (*Receipt, error) {
	for delay := 250 * time.Millisecond; len(answer.Receipt) == 0; delay = min(2*delay, 10*time.Second) {
		if err := c.pause(ctx, delay); err != nil {
			return nil, evidence.Fail(evidence.Pending, "proof_pending", err)
		}
		req, err := wire.NewGetEventRequest(c.address, answer.LeafHash)
		if err != nil {
			return nil, err
		}
		next, err := c.outcome(ctx, req, http.StatusOK)
		switch {
		case ctx.Err() != nil:
			return nil, evidence.Fail(evidence.Pending, "proof_pending", ctx.Err())
		case err == nil:
			answer = next
		case !connection(ctx, err):
			return nil, err
		}
	}
	r, err := c.checkReceipt(v, signed, answer)
	if err != nil {
		return nil, err
	}
	var more seen
	err = c.patiently(ctx, func() (err error) {
		more, err = c.followed(ctx, receiptNote(r.Bundle))
		return err
	})
	if err != nil {
		return nil, err
	}
	s := r.Event.Stream
	more.put(headKey(s.Stream()), head{Seq: s.Seq, Leaf: r.Leaf, Index: r.Index(), has: within(v.History, s.Stream())})
	return r, c.learn(ctx, more)
}

// checkReceipt demands a receipt for exactly this statement, signature and key, in the pinned log, after everything the act stands on.
func (c *Client) checkReceipt(v *View, signed *custody.Signed, answer wire.Included) (*Receipt, error) {
	e := signed.Event()
	stream := e.Stream.Stream()
	receipt, err := tlog.ParseReceipt(answer.Receipt)
	if err != nil {
		return nil, alarm(logLie(err), stream, err)
	}
	typ, payload, signature, keyID := receipt.DSSE()
	// The same person may have signed the same statement in the same millisecond at another screen: the vault has the first of the two.
	if twin, err := custody.OpenParts(typ, payload, custody.Signature{KeyID: signed.KeyID(), DER: signature}); err == nil && twin.PAEDigest() == signed.PAEDigest() {
		if twin, err := twin.Verify(signed.SPKI()); err == nil {
			signed = twin
		}
	}
	if typ != custody.PayloadType || !bytes.Equal(payload, signed.Payload()) || !bytes.Equal(signature, signed.Signature()) ||
		keyID != signed.KeyID().String() || !bytes.Equal(receipt.Leaf(), signed.Leaf()) || answer.LeafHash != signed.LeafHash().String() {
		return nil, alarm(OtherReceipt, stream, nil)
	}
	included, err := receipt.Verify(c.trust.LogKeys())
	if err != nil {
		return nil, alarm(logLie(err), stream, err)
	}
	if evidence.Hash(included.LeafHash()) != signed.LeafHash() {
		return nil, alarm(OtherReceipt, stream, nil)
	}
	if e.Kind == evidence.GrantRedeemed { // what is released to others is final
		if err := c.checkFinal(stream, receipt.Checkpoint()); err != nil {
			return nil, err
		}
	}
	stands := slices.Clone(e.ReliedOn)
	if e.Stream.Seq > 0 {
		stands = append(stands, evidence.Head{Type: stream.Type, ID: stream.ID, Seq: e.Stream.Seq - 1})
	}
	for _, basis := range stands {
		if _, index := v.Leaf(basis.Stream(), basis.Seq); index >= included.Index() {
			return nil, alarm(Forked, stream, errors.New("the event stands in the log before what it relies on"))
		}
	}
	return &Receipt{Event: e, Leaf: signed.LeafHash(), Bundle: answer.Receipt, included: included, opening: answer.Opening}, nil
}

// receiptNote returns the checkpoint of a receipt that was parsed before.
func receiptNote(bundle []byte) []byte {
	r, err := tlog.ParseReceipt(bundle)
	if err != nil {
		return nil
	}
	return r.Checkpoint()
}

// receipt returns that of an event that was looked at.
func (v *View) receipt(keys tlog.LogKeys, s evidence.Stream, seq int64) (*Receipt, error) {
	e, err := v.Event(s, seq)
	if err != nil {
		return nil, err
	}
	bundle, err := v.bundle(s, seq)
	if err != nil {
		return nil, err
	}
	parsed, err := tlog.ParseReceipt(bundle)
	if err != nil {
		return nil, err
	}
	included, err := parsed.Verify(keys)
	return &Receipt{Event: e, Leaf: evidence.Hash(included.LeafHash()), Bundle: bundle, included: included}, err
}

func (v *View) bundle(s evidence.Stream, seq int64) ([]byte, error) {
	i := slices.IndexFunc(v.excerpt.Streams, func(x dossier.Stream) bool { return x.ID == s })
	if i < 0 || seq < 0 || seq >= v.excerpt.Streams[i].Events {
		return nil, evidence.Refuse(evidence.NotFound, "event")
	}
	return v.excerpt.Streams[i].Receipt(seq)
}
