package evidence

import (
	"slices"
	"testing"
)

// Founders are those of the trust file, and nobody else enrols themselves.
func TestFounders(t *testing.T) {
	base := func(t testing.TB) (*world, *Event) {
		w := newVault(t)
		p := w.meet("founder", Custodian, true)
		w.facts.Founders = append(w.facts.Founders, p.founder())
		return w, w.enrolment("founder", "founder")
	}
	check(t, base,
		refusal{"key not in the trust file", Forbidden, ReasonFounder, changed(func(w *world, d *ActorEnrolledDetails) { d.Key = w.keys(Custodian, true).Key })},
		refusal{"as another role", Forbidden, ReasonFounder, func(w *world, e *Event) {
			e.Actor.Role, e.Details.(*ActorEnrolledDetails).Role = Clinician, Clinician
		}},
		refusal{"as another actor", Forbidden, ReasonFounder, func(w *world, e *Event) {
			w.people["founder"].signer.ID = NewID[ActorID]()
			*e = *w.enrolment("founder", "founder")
		}},
		refusal{"with another founder's key", Forbidden, ReasonFounder, changed(func(w *world, d *ActorEnrolledDetails) { d.Key = w.p("custodian").keys.Key })},
		refusal{"invited", Invalid, ReasonPossession, changed(func(w *world, d *ActorEnrolledDetails) { d.Possession, d.Invitation = "c2ln", w.unique() })},
		refusal{"other role", Invalid, ReasonSignerRole, func(w *world, e *Event) { e.Actor.Role = Clinician }},
		refusal{"other organization", Invalid, ReasonSignerRole, func(w *world, e *Event) { e.Actor.Organization = NewID[OrgID]() }},
		refusal{"for another", Forbidden, ReasonDelegation, func(w *world, e *Event) { e.Actor.OnBehalfOf = NewID[ActorID]() }},
		refusal{"relies on something", Invalid, ReasonSuperfluousBasis, func(w *world, e *Event) {
			tip := w.facts.States[PolicyOf(origin)].Tip()
			e.ReliedOn = []Head{{PolicyStream, origin, tip.Seq, tip.Leaf}}
		}},
		refusal{"twice", Conflict, ReasonPosition, func(w *world, e *Event) {
			first := *e
			w.do(&first)
			e.Time = w.now
		}},
	)
	w, e := base(t)
	if s := w.do(e).(*ActorState); !s.Founder || !s.Active(w.now) || s.Fingerprint() != w.p("founder").fingerprint() {
		t.Errorf("founder: %+v", s)
	}
}

func TestActorEnrolled(t *testing.T) {
	base := func(t testing.TB) (*world, *Event) {
		w := newCase(t)
		w.meet("new", Clinician, false)
		return w, w.enrolment("administrator", "new")
	}
	set := changed[*ActorEnrolledDetails]
	role := func(w *world, e *Event, r Role) {
		e.Details.(*ActorEnrolledDetails).Role = r
		w.again(e)
	}
	check(t, base,
		refusal{"staff by a custodian", Forbidden, ReasonEnroller, by("custodian")},
		refusal{"staff by a clinician", Forbidden, ReasonEnroller, by("clinician")},
		refusal{"court by an administrator", Forbidden, ReasonEnroller, func(w *world, e *Event) { role(w, e, Court) }},
		refusal{"survivor by an administrator", Forbidden, ReasonEnroller, func(w *world, e *Event) { role(w, e, Survivor) }},
		refusal{"a vault's key", Forbidden, ReasonFounder, func(w *world, e *Event) {
			d := e.Details.(*ActorEnrolledDetails)
			d.Role, d.Organization, d.Recipient = Vault, "", ""
			w.again(e)
		}},
		refusal{"without possession", Invalid, ReasonPossession, set(func(w *world, d *ActorEnrolledDetails) { d.Possession, d.Invitation = "", Hash{} })},
		refusal{"without invitation", Invalid, ReasonPossession, set(func(w *world, d *ActorEnrolledDetails) { d.Invitation = Hash{} })},
		refusal{"unknown role", Unknown, ReasonCode, set(func(w *world, d *ActorEnrolledDetails) { d.Role = "king" })},
		refusal{"without recipient", Invalid, ReasonKeys, set(func(w *world, d *ActorEnrolledDetails) { d.Recipient = "" })},
		refusal{"classic recipient", Invalid, ReasonKeys, set(func(w *world, d *ActorEnrolledDetails) { d.Recipient = "age1qqqq" })},
		refusal{"recipient with a bad letter", Invalid, ReasonKeys, set(func(w *world, d *ActorEnrolledDetails) { d.Recipient = d.Recipient[:1958] + "b" })},
		refusal{"administrator with recipient", Invalid, ReasonKeys, func(w *world, e *Event) { role(w, e, Administrator) }},
		refusal{"key of another curve", Invalid, ReasonKeys, set(func(w *world, d *ActorEnrolledDetails) { d.Key = "MFkw" })},
		refusal{"key in another spelling", Invalid, ReasonKeys, set(func(w *world, d *ActorEnrolledDetails) { d.Key = d.Key[:8] + "\n" + d.Key[8:] })},
		refusal{"no organization", Invalid, ReasonOrganization, set(func(w *world, d *ActorEnrolledDetails) { d.Organization = "" })},
		refusal{"investigator without opinions", Invalid, ReasonFieldExcess, set(func(w *world, d *ActorEnrolledDetails) { d.Role, d.DocumentsOnly = Investigator, true })},
		refusal{"clinician with trustees", Invalid, ReasonFieldExcess, set(func(w *world, d *ActorEnrolledDetails) { d.Trustees = []ActorID{w.p("trustee").signer.ID} })},
		refusal{"trustees repeat", Invalid, ReasonOrder, set(func(w *world, d *ActorEnrolledDetails) {
			id := w.p("trustee").signer.ID
			d.Role, d.Trustees = Survivor, []ActorID{id, id}
		})},
		refusal{"malformed trustee", Invalid, ReasonIdentifier, set(func(w *world, d *ActorEnrolledDetails) { d.Role, d.Trustees = Survivor, []ActorID{"act-1"} })},
		refusal{"trustee nobody knows", Conflict, ReasonMissingBasis, func(w *world, e *Event) {
			d := e.Details.(*ActorEnrolledDetails)
			d.Role, d.Trustees = Survivor, []ActorID{NewID[ActorID]()}
			by("custodian")(w, e)
		}},
		refusal{"trustee who is none", Invalid, ReasonTrustee, func(w *world, e *Event) {
			d := e.Details.(*ActorEnrolledDetails)
			d.Role, d.Trustees = Survivor, []ActorID{w.p("clinician").signer.ID}
			by("custodian")(w, e)
		}},
		refusal{"revoked trustee", Forbidden, ReasonActorInactive, func(w *world, e *Event) {
			d := e.Details.(*ActorEnrolledDetails)
			d.Role, d.Trustees = Survivor, []ActorID{w.p("trustee").signer.ID}
			w.do(w.event("trustee", ActorOf(d.Trustees[0]), ActorRevoked, &ActorRevokedDetails{CauseDeparture}))
			by("custodian")(w, e)
		}},
	)
}

func TestActorConfirmed(t *testing.T) {
	base := func(t testing.TB) (*world, *Event) {
		w := newCase(t)
		w.meet("new", Clinician, false)
		w.do(w.enrolment("administrator", "new"))
		return w, w.confirmation("custodian", "new")
	}
	check(t, base,
		refusal{"other fingerprint", Invalid, ReasonFingerprint, changed(func(w *world, d *ActorConfirmedDetails) { d.Fingerprint = w.unique() })},
		refusal{"no fingerprint", Invalid, ReasonDigest, changed(func(w *world, d *ActorConfirmedDetails) { d.Fingerprint = Hash{} })},
		refusal{"unknown method", Unknown, ReasonCode, changed(func(w *world, d *ActorConfirmedDetails) { d.Method = "hearsay" })},
		refusal{"same administrator", Forbidden, ReasonRole, by("administrator")},
		refusal{"by a clinician", Forbidden, ReasonRole, by("clinician")},
		refusal{"by a foreign trustee", Forbidden, ReasonTrustee, by("trustee")},
		refusal{"twice", Conflict, ReasonNotPending, after(func(w *world) { w.do(w.confirmation("custodian 2", "new")) })},
		refusal{"second administrator", Forbidden, ReasonRole, func(w *world, e *Event) {
			w.enrol("administrator 2", Administrator, true)
			by("administrator 2")(w, e)
		}},
		refusal{"revoked meanwhile", Conflict, ReasonNotPending, after(func(w *world) {
			w.do(w.event("administrator", ActorOf(w.p("new").signer.ID), ActorRevoked, &ActorRevokedDetails{CauseError}))
		})},
	)
	court := func(t testing.TB) (*world, *Event) {
		w := newCase(t)
		w.meet("new", Court, false)
		w.do(w.enrolment("custodian", "new"))
		return w, w.confirmation("administrator", "new") // an administrator may, since the first signer was none
	}
	check(t, court, refusal{"same custodian", Forbidden, ReasonSecondPerson, by("custodian")})
	own := func(t testing.TB) (*world, *Event) {
		w := newCase(t)
		w.do(w.rotation("administrator", "custodian 2"))
		p := w.p("custodian 2")
		p.keys = Keys{Key: w.facts.States[ActorOf(p.signer.ID)].(*ActorState).Key, Recipient: w.facts.States[ActorOf(p.signer.ID)].(*ActorState).Recipient}
		return w, w.confirmation("custodian 3", "custodian 2")
	}
	check(t, own, refusal{"own key", Forbidden, ReasonSignerPending, by("custodian 2")})
}

// With the policy's demand, the second person comes from another organization.
func TestTwoOrganizations(t *testing.T) {
	w := newCase(t)
	w.configure(func(d *VaultConfiguredDetails) { d.Policy.TwoOrganizations = true })
	w.meet("colleague", Custodian, false).signer.Organization = w.p("custodian").signer.Organization
	w.do(w.enrolment("administrator", "colleague"))
	w.do(w.confirmation("custodian", "colleague"))
	w.meet("new", Court, false)
	w.do(w.enrolment("custodian", "new"))
	w.refuse(w.confirmation("colleague", "new"), Forbidden, ReasonTwoOrgs)
	w.do(w.confirmation("custodian 2", "new"))

	w.do(w.adding("custodian", "colleague", MayApprove))
	id := w.item("clinician", Digital, onOrder)
	w.seal(id)
	e := w.proposal(id, "custodian", "court")
	w.do(e)
	g := e.Details.(*GrantProposedDetails).ID
	w.refuse(w.approval(id, "colleague", g), Forbidden, ReasonTwoOrgs)
	w.do(w.approval(id, "custodian 2", g))
}

func TestActorKeyRotated(t *testing.T) {
	base := func(t testing.TB) (*world, *Event) {
		w := newCase(t)
		return w, w.rotation("administrator", "clinician")
	}
	set := changed[*ActorKeyRotatedDetails]
	check(t, base,
		refusal{"the actor alone", Forbidden, ReasonRole, by("clinician")},
		refusal{"by a foreign trustee", Forbidden, ReasonTrustee, by("trustee")},
		refusal{"own key of a custodian", Forbidden, ReasonOwnKey, func(w *world, e *Event) {
			e.Stream.ID = string(w.p("custodian").signer.ID)
			by("custodian")(w, e)
		}},
		refusal{"same key", Invalid, ReasonSameKey, set(func(w *world, d *ActorKeyRotatedDetails) { d.Key = w.p("clinician").keys.Key })},
		refusal{"same recipient", Invalid, ReasonSameKey, set(func(w *world, d *ActorKeyRotatedDetails) { d.Recipient = w.p("clinician").keys.Recipient })},
		refusal{"no recipient", Invalid, ReasonKeys, set(func(w *world, d *ActorKeyRotatedDetails) { d.Recipient = "" })},
		refusal{"no possession", Invalid, ReasonPossession, set(func(w *world, d *ActorKeyRotatedDetails) { d.Possession, d.Invitation = "", Hash{} })},
		refusal{"unknown cause", Unknown, ReasonCode, set(func(w *world, d *ActorKeyRotatedDetails) { d.Cause = "whim" })},
		refusal{"revoked", Gone, ReasonRevoked, after(func(w *world) {
			w.do(w.event("administrator", ActorOf(w.p("clinician").signer.ID), ActorRevoked, &ActorRevokedDetails{CauseDeparture}))
		})},
	)
	t.Run("two trustees", func(t *testing.T) {
		w := newCase(t)
		p := w.meet("card", Survivor, false)
		e := w.enrolment("custodian", "card")
		ids := []ActorID{w.p("trustee").signer.ID, w.p("trustee 2").signer.ID}
		slices.Sort(ids)
		e.Details.(*ActorEnrolledDetails).Trustees = ids
		w.finish(e)
		w.do(e)
		w.do(w.confirmation("custodian 2", "card"))
		r := w.rotation("trustee", "card")
		w.do(r)
		p.keys = r.Details.(*ActorKeyRotatedDetails).Keys
		w.refuse(w.confirmation("trustee", "card"), Forbidden, ReasonSecondPerson)
		s := w.do(w.confirmation("trustee 2", "card")).(*ActorState)
		if !s.Active(w.now) || len(s.Introducers) != 4 || s.ConfirmedBy != w.p("trustee 2").signer.ID {
			t.Errorf("after two trustees: %+v", s)
		}
	})
	t.Run("suspension outlives a rotation", func(t *testing.T) {
		w := newCase(t)
		w.suspend("clinician", day)
		w.rotate("administrator", "custodian", "clinician")
		refused(t, w.facts.States[ActorOf(w.p("clinician").signer.ID)].(*ActorState).Inactive(w.now), Forbidden, ReasonSignerSuspended)
	})
}

func TestActorSuspended(t *testing.T) {
	base := func(t testing.TB) (*world, *Event) {
		w := newCase(t)
		return w, w.event("administrator", ActorOf(w.p("clinician").signer.ID), ActorSuspended, &ActorSuspendedDetails{CauseMisconduct, w.now.Add(day)})
	}
	check(t, base,
		refusal{"by a clinician", Forbidden, ReasonRole, by("investigator")},
		refusal{"over already", Invalid, ReasonWindow, changed(func(w *world, d *ActorSuspendedDetails) { d.Until = w.now })},
		refusal{"shortened", Invalid, ReasonWindow, after(func(w *world) { w.suspend("clinician", 2*day) })},
		refusal{"no end", Invalid, ReasonTime, changed(func(w *world, d *ActorSuspendedDetails) { d.Until = 0 })},
		refusal{"revoked", Gone, ReasonRevoked, after(func(w *world) {
			w.do(w.event("administrator", ActorOf(w.p("clinician").signer.ID), ActorRevoked, &ActorRevokedDetails{CauseDeparture}))
		})},
	)
}

func TestActorRevoked(t *testing.T) {
	base := func(t testing.TB) (*world, *Event) {
		w := newCase(t)
		return w, w.event("clinician", ActorOf(w.p("clinician").signer.ID), ActorRevoked, &ActorRevokedDetails{CauseDeparture})
	}
	check(t, base,
		refusal{"by another clinician", Forbidden, ReasonRole, by("investigator")},
		refusal{"by the vault", Forbidden, ReasonRole, by("vault")},
		refusal{"twice", Gone, ReasonRevoked, func(w *world, e *Event) {
			first := *e
			w.do(&first)
			by("custodian")(w, e)
		}},
		refusal{"unknown cause", Unknown, ReasonCode, changed(func(w *world, d *ActorRevokedDetails) { d.Cause = "whim" })},
	)
}
