package daemon

import (
	"bytes"
	"errors"
	"slices"

	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
)

// replay applies the law again to what was accepted, in the order of acceptance. It believes nothing that is stored: each statement's
// signature, leaf and place are checked under what the events before it made of the vault.
type replay struct {
	origin   string
	founders []evidence.Founder
	states   map[evidence.Stream]evidence.State
	broken   map[evidence.Stream]bool // an event of theirs does not hold, so nothing can be said of what follows
	left     map[reader]int64         // the event that last took somebody's label envelopes away, who may have new ones since
}

// reader is who has label envelopes of a case.
type reader struct {
	in        evidence.Stream
	recipient evidence.Hash
}

func newReplay(origin string, founders []evidence.Founder) *replay {
	return &replay{origin, founders, make(map[evidence.Stream]evidence.State), make(map[evidence.Stream]bool), make(map[reader]int64)}
}

// event takes one event's effect. The law says nothing about what stands on broken streams: after is nil then.
func (r *replay) event(e ledger.Entry) (statement *custody.Statement, before, after evidence.State, err error) {
	defer func() {
		if after == nil {
			r.broken[e.Stream] = true
		}
	}()
	if statement, err = custody.Open(e.Leaf.Extra); err != nil {
		return nil, nil, nil, err
	}
	event := statement.Event()
	before = r.states[e.Stream]
	basis := append(evidence.StandsOn(before, event), e.Stream)
	if slices.ContainsFunc(basis, func(s evidence.Stream) bool { return r.broken[s] }) {
		return statement, before, nil, nil
	}
	spki, err := r.signer(event)
	if err != nil {
		return statement, before, nil, err
	}
	signed, err := statement.Verify(spki)
	if err != nil {
		return statement, before, nil, err
	}
	if !bytes.Equal(signed.Leaf(), e.Leaf.Value) || signed.LeafHash() != e.LeafHash {
		return statement, before, nil, errors.New("its leaf is another's")
	}
	facts := evidence.Facts{Origin: r.origin, Founders: r.founders, States: map[evidence.Stream]evidence.State{}}
	for _, s := range basis {
		if state, ok := r.states[s]; ok {
			facts.States[s] = state
		}
	}
	if after, err = evidence.Apply(facts, event, e.LeafHash); err != nil {
		return statement, before, nil, err
	}
	r.states[e.Stream] = after
	r.leave(e, before, after)
	return statement, before, after, nil
}

// leave notes whose label envelopes an event took away.
func (r *replay) leave(e ledger.Entry, before, after evidence.State) {
	was, _ := before.(*evidence.CaseState)
	is, _ := after.(*evidence.CaseState)
	if was == nil || is == nil {
		return
	}
	for _, ref := range was.LabelKey.Envelopes {
		if !slices.ContainsFunc(is.LabelKey.Envelopes, func(o evidence.EnvelopeRef) bool { return o.Recipient == ref.Recipient }) {
			r.left[reader{e.Stream, ref.Recipient}] = e.Seq
		}
	}
}

// tookAway reports whether an attachment, which the event at seq of a stream brought, is gone although the stream's state names its reader:
// that one left and came back.
func (r *replay) tookAway(s evidence.Stream, seq int64, a ledger.Attachment) bool {
	return a.Kind == ledger.LabelEnvelope && seq < r.left[reader{s, a.Recipient}]
}

func (r *replay) signer(e *evidence.Event) ([]byte, error) {
	if actor, ok := r.states[evidence.ActorOf(e.Actor.ID)].(*evidence.ActorState); ok {
		return custody.ParseSPKI(actor.Key)
	}
	if d, ok := e.Details.(*evidence.ActorEnrolledDetails); ok {
		return custody.ParseSPKI(d.Key)
	}
	return nil, errors.New("its signer is unknown")
}

// stands lists the leaf hashes on which an event stands, as the records keep them.
func stands(e *evidence.Event) []evidence.Hash {
	var list []evidence.Hash
	if !e.Stream.Prev.IsZero() {
		list = append(list, e.Stream.Prev)
	}
	for _, h := range e.ReliedOn {
		list = append(list, h.Head)
	}
	return list
}
