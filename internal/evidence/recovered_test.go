package evidence

import (
	"testing"
	"time"
)

// opening with the recovery key names that key's envelope.
func (w *world) recover(id ItemID, by string) *Event {
	ref, _ := w.state(id).Envelope(Fingerprint(nil, recoveryRecipient))
	return w.on(id, by, ItemOpened, &ItemOpenedDetails{ref.SHA256}, func(e *Event) { e.Purpose = ForRecovery })
}

// The recovery key's envelope is given to a keyholder of the case for items that two trustees have stated, and to nobody else.
func TestRecovering(t *testing.T) {
	var id, other ItemID
	stated := func(t testing.TB) *world {
		w := newConsented(t)
		id, other = w.item("clinician", Clinical), w.item("clinician", Clinical)
		w.do(w.recovering("trustee", id))
		w.do(w.recovering("trustee 2", id))
		w.rotate("administrator", "custodian 2", "custodian")
		return w
	}
	base := func(t testing.TB) (*world, *Event) {
		w := stated(t)
		return w, w.recover(id, "custodian")
	}
	check(t, base,
		refusal{"no member", Forbidden, ReasonNotMember, by("outsider")},
		refusal{"no right to open", Forbidden, ReasonRight, by("investigator")},
		refusal{"a trustee", Forbidden, ReasonRole, by("trustee")},
		refusal{"an item that nobody stated", Forbidden, ReasonNotRecovered, func(w *world, e *Event) { *e = *w.recover(other, "custodian") }},
		refusal{"another envelope", NotFound, ReasonEnvelope, changed(func(w *world, d *ItemOpenedDetails) { d.Envelope = w.state(id).Envelopes[0].SHA256 })},
		refusal{"for another purpose", NotFound, ReasonEnvelope, func(w *world, e *Event) { e.Purpose = ForInvestigation }},
		refusal{"another use since", Forbidden, ReasonNotRecovered, after(func(w *world) {
			w.do(w.recovering("trustee", other))
			w.do(w.recovering("trustee 2", other))
		})},
		refusal{"another recovery key since", Forbidden, ReasonNotRecovered, after(func(w *world) {
			s := *w.facts.States[PolicyOf(origin)].(*PolicyState)
			s.Recovery = w.p("clinician").keys.Recipient
			w.facts.States[PolicyOf(origin)] = &s
		})},
		refusal{"ended by one", Forbidden, ReasonNotRecovered, after(func(w *world) { w.do(w.recovering("trustee 2")) })},
		refusal{"over", Forbidden, ReasonNotRecovered, after(func(w *world) { w.now += RecoveryTime * 1000 })},
		refusal{"on an ended statement", Conflict, ReasonStaleBasis, func(w *world, e *Event) { w.do(w.recovering("trustee")) }},
		refusal{"withdrawn", Held, ReasonFrozen, after(func(w *world) { w.withdraw() })},
		refusal{"under rules 2", NotFound, ReasonEnvelope, after(func(w *world) { w.underRules(2) })},
	)
	w := newConsented(t)
	id = w.item("clinician", Clinical)
	w.refuse(w.recover(id, "custodian"), Forbidden, ReasonNotRecovered)
	w.do(w.recovering("trustee", id))
	w.refuse(w.recover(id, "custodian"), Forbidden, ReasonNotRecovered)

	w, e := base(t)
	w.do(e)
	if err := w.state(id).Release(w.facts, e, w.now); err != nil {
		t.Errorf("what was stated is kept from the keyholder: %v", err)
	}
	w.do(w.event("custodian", CaseOf(w.cas), CaseKeyringChanged, &CaseKeyringChangedDetails{
		Added:   []Keyholder{{w.p("custodian").signer.ID, w.p("custodian").fingerprint()}},
		Removed: []ActorID{w.p("custodian").signer.ID},
	}))
	w.do(w.on(id, "custodian", ItemEnvelopeAdded, &ItemEnvelopeAddedDetails{EnvelopeRef{w.p("custodian").fingerprint(), w.unique()}, CauseRewrap, ""}))
	w.do(w.open(id, "custodian")) // by the new keys

	w.do(w.recovering("trustee", other))
	w.do(w.recovering("trustee 2", other))
	refused(t, w.state(id).Release(w.facts, e, w.now), Forbidden, ReasonNotRecovered)

	// What is being fetched ends with the statement: at its time, or when one trustee says so, in a restored vault too.
	w, e = base(t)
	w.do(e)
	over := w.facts.States[PolicyOf(origin)].(*PolicyState).Recovered.Until
	if err := w.state(id).Release(w.facts, e, over-1); err != nil {
		t.Error(err)
	}
	refused(t, w.state(id).Release(w.facts, e, over), Forbidden, ReasonNotRecovered)
	w.do(w.restoring())
	w.do(w.recovering("trustee"))
	refused(t, w.state(id).Release(w.facts, e, w.now), Forbidden, ReasonNotRecovered)

	// Under rules 2 the same statement opened nothing, and the vault's records say so.
	w = newConsented(t)
	id = w.item("clinician", Clinical)
	w.underRules(2)
	w.do(w.recovering("trustee", id))
	w.do(w.recovering("trustee 2", id))
	if w.facts.States[PolicyOf(origin)].(*PolicyState).Recovered != nil {
		t.Error("an older state would be made anew in another form")
	}
}

// What one trustee states waits for a second one, not for ever, and only as long as the first is who stated it.
func TestRecoveryWaits(t *testing.T) {
	var id ItemID
	begin := func(t testing.TB) *world {
		w := newConsented(t)
		id = w.item("clinician", Clinical)
		w.do(w.recovering("trustee", id))
		return w
	}
	until := func(w *world) Time { return w.facts.States[PolicyOf(origin)].(*PolicyState).Recovering.Until }
	for name, c := range map[string]struct {
		meanwhile func(w *world)
		confirms  bool
		refused   string
	}{
		"nothing":          {func(*world) {}, true, ""},
		"nearly too long":  {func(w *world) { w.now = until(w) - 1 }, true, ""},
		"too long":         {func(w *world) { w.now = until(w) }, false, ""},
		"suspended":        {func(w *world) { w.suspend("trustee", day) }, false, ReasonActorInactive},
		"suspended before": {func(w *world) { w.suspend("trustee", day); w.now = w.now.Add(day) }, true, ""},
		"revoked":          {func(w *world) { w.revokeActor("trustee") }, false, ReasonActorInactive},
		"keys to confirm":  {func(w *world) { w.do(w.rotation("custodian", "trustee")) }, false, ReasonActorInactive},
		"other keys":       {func(w *world) { w.rotate("custodian", "custodian 2", "trustee") }, false, ReasonActorInactive},
		"taken back":       {func(w *world) { w.do(w.recovering("trustee")) }, false, ""},
		"by the other":     {func(w *world) { w.do(w.recovering("trustee 2")) }, false, ""},
		"restated":         {func(w *world) { w.now += RecoveryWait * 1000; w.do(w.recovering("trustee", id)) }, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := begin(t)
			c.meanwhile(w)
			if c.refused != "" {
				w.refuse(w.recovering("trustee 2", id), Forbidden, c.refused)
				w.do(w.recovering("trustee 2")) // takes it back, and begins anew
			}
			s := w.do(w.recovering("trustee 2", id)).(*PolicyState)
			switch use := s.Recoverable(w.now); {
			case c.confirms && (use == nil || s.Recovering != nil || use.Until != s.Last.Time.Add(30*24*time.Hour)):
				t.Errorf("not confirmed: %+v", s.Recovering)
			case !c.confirms && (use != nil || s.Recovering.By != w.p("trustee 2").signer.ID):
				t.Errorf("confirmed: %+v", use)
			}
		})
	}

	// Whoever confirms has looked at the first one's own history.
	w := begin(t)
	e := w.recovering("trustee 2", id)
	w.suspend("trustee", day)
	w.refuse(e, Conflict, ReasonStaleBasis)
	for i, h := range e.ReliedOn {
		if h.ID == string(w.p("trustee").signer.ID) {
			e.ReliedOn = append(e.ReliedOn[:i:i], e.ReliedOn[i+1:]...)
			break
		}
	}
	w.refuse(e, Conflict, ReasonMissingBasis)
	w.refuse(w.event("custodian", PolicyOf(origin), VaultRecovered, w.recovering("trustee").Details), Forbidden, ReasonRole)

	// What was stated under rules 2 counts for nothing under 3. Under 2 it waited for ever, nobody ended anything, and nothing was ordered by it.
	w = newConsented(t)
	id = w.item("clinician", Clinical)
	w.underRules(2)
	w.refuse(w.recovering("trustee"), Invalid, ReasonSize)
	e = w.recovering("trustee", id)
	s := w.do(e)
	if Barred(e, s) {
		t.Error("an earlier log would be judged by a later order")
	}
	w.now = w.now.Add(365 * day)
	again := w.fork(t)
	if s := again.do(again.recovering("trustee 2", id)).(*PolicyState); s.Recovering != nil {
		t.Error("judged anew")
	}
	w.underRules(3)
	e = w.recovering("trustee 2", id)
	s = w.do(e)
	if s.(*PolicyState).Recovering == nil || s.(*PolicyState).Recovered != nil {
		t.Errorf("%+v", s)
	}
	if !Barred(e, s) || Barred(&Event{Kind: VaultIncident}, s) || !Barred(&Event{Kind: VaultConfirmed}, s) {
		t.Error("no barrier")
	}
}

// One alone ends what waits or holds, and nothing else: an end of nothing would stop everything that waits for the policy, again and again.
func TestRecoveryEndsSomething(t *testing.T) {
	state := func(w *world) {
		id := w.item("clinician", Clinical)
		w.do(w.recovering("trustee", id))
		w.do(w.recovering("trustee 2", id))
	}
	begun := func(w *world) { w.do(w.recovering("trustee", w.item("clinician", Clinical))) }
	for name, c := range map[string]struct {
		before func(w *world)
		lawful bool
	}{
		"nothing stated":         {func(*world) {}, false},
		"one waits":              {begun, true},
		"one waited":             {func(w *world) { begun(w); w.now += RecoveryWait * 1000 }, false},
		"one waited, under 2":    {func(w *world) { w.underRules(2); begun(w); w.underRules(3) }, false},
		"two hold":               {state, true},
		"two hold, one waits":    {func(w *world) { state(w); begun(w); w.now += RecoveryWait * 1000 }, true},
		"two held":               {func(w *world) { state(w); w.now += RecoveryTime * 1000 }, false},
		"two held, one waits":    {func(w *world) { state(w); w.now += RecoveryTime * 1000; begun(w) }, true},
		"two hold, restored":     {func(w *world) { state(w); w.do(w.restoring()) }, true},
		"one waits, restored":    {func(w *world) { begun(w); w.do(w.restoring()) }, true},
		"nothing said, restored": {func(w *world) { w.do(w.restoring()) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newConsented(t)
			c.before(w)
			if c.lawful {
				w.do(w.recovering("trustee 2"))
			}
			w.refuse(w.recovering("trustee"), Conflict, ReasonNoRecovery)
		})
	}
}

// While the vault's own new key waits for its confirmation it signs the heads, without which nobody could look at it, and nothing else.
func TestVaultKeyPending(t *testing.T) {
	w := newCase(t)
	heads := func() *Event {
		return w.event("vault", VaultOf(origin), VaultHeads, &VaultHeadsDetails{4, 4, nil, w.unique()})
	}
	e := w.rotation("custodian", "vault")
	w.do(e)
	w.people["vault"].keys = e.Details.(*ActorKeyRotatedDetails).Keys
	w.underRules(2)
	w.refuse(heads(), Forbidden, ReasonSignerPending)
	w.underRules(RulesVersion)
	w.refuse(w.event("vault", PolicyOf(origin), VaultConfigured, w.configuration()), Forbidden, ReasonSignerPending)
	w.do(heads())
	w.refuse(w.confirmation("custodian", "vault"), Forbidden, ReasonSecondPerson)
	w.do(w.confirmation("custodian 2", "vault"))
	d := w.configuration()
	d.Version = "1.0.2"
	w.do(w.event("vault", PolicyOf(origin), VaultConfigured, d))
}
