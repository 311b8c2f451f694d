package evidence

import (
	"slices"
	"testing"
)

// refusal is a valid event with one thing changed, and the rule that must object.
type refusal struct {
	name   string
	kind   ErrorKind
	reason string
	change func(w *world, e *Event)
}

// check demands that the base event is accepted and every changed one refused.
func check(t *testing.T, base func(t testing.TB) (*world, *Event), list ...refusal) {
	t.Helper()
	t.Run("accepted", func(t *testing.T) {
		w, e := base(t)
		w.do(e)
	})
	for _, r := range list {
		t.Run(r.name, func(t *testing.T) {
			w, e := base(t)
			r.change(w, e)
			w.refuse(e, r.kind, r.reason)
		})
	}
}

// again signs e once more, now.
func (w *world) again(e *Event) {
	e.Time = w.now
	w.finish(e)
}

// by lets somebody else sign.
func by(name string) func(*world, *Event) {
	return func(w *world, e *Event) {
		e.Actor = w.p(name).signer
		w.again(e)
	}
}

// after does something first.
func after(first func(w *world)) func(*world, *Event) {
	return func(w *world, e *Event) {
		first(w)
		w.again(e)
	}
}

// changed alters the details and signs again.
func changed[D Details](change func(w *world, d D)) func(*world, *Event) {
	return func(w *world, e *Event) {
		change(w, e.Details.(D))
		w.again(e)
	}
}

func freshHash(s string) Hash { return SHA256([]byte(s)) }

// What Apply asks of every event, on the example of an opening.
func TestEveryEvent(t *testing.T) {
	base := func(t testing.TB) (*world, *Event) {
		w := newConsented(t)
		id := w.item("clinician", Clinical)
		return w, w.open(id, "custodian")
	}
	check(t, base,
		refusal{"other vault", Invalid, ReasonVault, func(w *world, e *Event) { w.facts.Origin = "other.example" }},
		refusal{"vault is no host", Invalid, ReasonVault, func(w *world, e *Event) { e.Vault = "Vault" }},
		refusal{"unknown kind", Unknown, ReasonKind, func(w *world, e *Event) { e.Kind = "item.melted" }},
		refusal{"other kind's details", Invalid, ReasonDetails, func(w *world, e *Event) { e.Details = &ItemSealedDetails{} }},
		refusal{"no details", Invalid, ReasonDetails, func(w *world, e *Event) { e.Details = nil }},
		refusal{"nil details", Invalid, ReasonDetails, func(w *world, e *Event) { e.Details = (*ItemOpenedDetails)(nil) }},
		refusal{"wrong stream type", Invalid, ReasonStream, func(w *world, e *Event) { e.Stream.Type = CaseStream }},
		refusal{"wrong stream id", Invalid, ReasonStream, func(w *world, e *Event) { e.Stream.ID = string(w.cas) }},
		refusal{"negative seq", Invalid, ReasonPosition, func(w *world, e *Event) { e.Stream.Seq = -1 }},
		refusal{"prev without seq", Invalid, ReasonPosition, func(w *world, e *Event) { e.Stream.Seq = 0 }},
		refusal{"seq without prev", Invalid, ReasonPosition, func(w *world, e *Event) { e.Stream.Prev = Hash{} }},
		refusal{"first", Invalid, ReasonFirst, func(w *world, e *Event) { e.Stream.Seq, e.Stream.Prev = 0, Hash{} }},
		refusal{"gap", Conflict, ReasonPosition, func(w *world, e *Event) { e.Stream.Seq++ }},
		refusal{"fork", Conflict, ReasonPosition, func(w *world, e *Event) { e.Stream.Prev = freshHash("fork") }},
		refusal{"unknown item", Conflict, ReasonPosition, func(w *world, e *Event) { e.Stream.ID = string(NewID[ItemID]()) }},
		refusal{"no time", Invalid, ReasonTime, func(w *world, e *Event) { e.Time = 0 }},
		refusal{"year 10000", Invalid, ReasonTime, func(w *world, e *Event) { e.Time = lastMoment + 1 }},
		refusal{"before the event it follows", Invalid, ReasonTimeOrder, func(w *world, e *Event) { e.Time = w.state(ItemID(e.Stream.ID)).Last.Time - 1 }},
		refusal{"before what it stands on", Invalid, ReasonTimeOrder, func(w *world, e *Event) {
			w.answer("clinician", everyAnswer)
			w.finish(e)
		}},
		refusal{"unknown role", Unknown, ReasonCode, func(w *world, e *Event) { e.Actor.Role = "king" }},
		refusal{"malformed actor", Invalid, ReasonIdentifier, func(w *world, e *Event) { e.Actor.ID = "act-1" }},
		refusal{"for oneself", Invalid, ReasonIdentifier, func(w *world, e *Event) { e.Actor.OnBehalfOf = e.Actor.ID }},
		refusal{"no organization", Invalid, ReasonOrganization, func(w *world, e *Event) { e.Actor.Organization = "" }},
		refusal{"tool without a name", Invalid, ReasonText, func(w *world, e *Event) { e.Tool.Name = "" }},
		refusal{"tool with a control", Invalid, ReasonText, func(w *world, e *Event) { e.Tool.Version = "1\x00" }},
		refusal{"tool with an umlaut", Invalid, ReasonText, func(w *world, e *Event) { e.Tool.Version = "ü" }},
		refusal{"build is no digest", Invalid, ReasonText, func(w *world, e *Event) { e.Tool.Build = "abc" }},
		refusal{"no case", Invalid, ReasonFieldMissing, func(w *world, e *Event) { e.Case = "" }},
		refusal{"no purpose", Invalid, ReasonFieldMissing, func(w *world, e *Event) { e.Purpose = "" }},
		refusal{"unknown purpose", Unknown, ReasonCode, func(w *world, e *Event) { e.Purpose = "curiosity" }},
		refusal{"unknown change", Unknown, ReasonCode, func(w *world, e *Event) { e.Change = "whim" }},
		refusal{"malformed case", Invalid, ReasonIdentifier, func(w *world, e *Event) { e.Case = "cas-1" }},
		refusal{"place", Invalid, ReasonCountry, func(w *world, e *Event) { e.Place = "de" }},
		refusal{"unknown basis", Unknown, ReasonCode, func(w *world, e *Event) { e.Authority = &Authority{Basis: "whim"} }},
		refusal{"hold that is none", NotFound, ReasonHold, func(w *world, e *Event) { e.Authority = &Authority{CourtOrder, NewID[HoldID](), ""} }},
		refusal{"grant that is none", NotFound, ReasonGrant, func(w *world, e *Event) { e.Authority = &Authority{CourtOrder, "", NewID[GrantID]()} }},
		refusal{"malformed hold", Invalid, ReasonIdentifier, func(w *world, e *Event) { e.Authority = &Authority{CourtOrder, "hld-", ""} }},
		refusal{"object of another class", Invalid, ReasonObject, func(w *world, e *Event) { e.Object = &Object{Class: Derived, Content: Clinical} }},
		refusal{"object with an exhibit", Invalid, ReasonObject, func(w *world, e *Event) { e.Object = &Object{Class: Original, Content: Clinical, Exhibit: 3} }},
		refusal{"object of an unknown class", Unknown, ReasonCode, func(w *world, e *Event) { e.Object = &Object{Class: "thing", Content: Clinical} }},
		refusal{"form with a space", Invalid, ReasonText, func(w *world, e *Event) { e.Object = &Object{Class: Original, Content: Clinical, Form: "a b"} }},
		refusal{"digests of another file", Invalid, ReasonObject, func(w *world, e *Event) { e.Digests = &Digests{After: freshHash("x"), Size: 1000} }},
		refusal{"digests without one", Invalid, ReasonDigest, func(w *world, e *Event) { e.Digests = &Digests{Size: 1000} }},
		refusal{"unknown outcome", Unknown, ReasonCode, func(w *world, e *Event) { e.Result = &Result{Outcome: "perhaps"} }},
		refusal{"result in capitals", Invalid, ReasonText, func(w *world, e *Event) { e.Result = &Result{Success, "OK"} }},
		refusal{"nobody as counterparty", Invalid, ReasonIdentifier, func(w *world, e *Event) { e.Counterparty = &Counterparty{} }},
		refusal{"counterparty of an unknown class", Unknown, ReasonCode, func(w *world, e *Event) { e.Counterparty = &Counterparty{Class: "king"} }},
		refusal{"older consent", Conflict, ReasonConsentVersion, func(w *world, e *Event) {
			ref := w.ref()
			w.answer("clinician", everyAnswer)
			e.Consent = []ConsentRef{ref}
			w.again(e)
		}},
		refusal{"malformed consent", Invalid, ReasonIdentifier, func(w *world, e *Event) { e.Consent = []ConsentRef{{w.con, 0}} }},
		refusal{"consents unsorted", Invalid, ReasonOrder, func(w *world, e *Event) { e.Consent = []ConsentRef{w.ref(), w.ref()} }},
		refusal{"relied_on unsorted", Invalid, ReasonOrder, func(w *world, e *Event) { slices.Reverse(e.ReliedOn) }},
		refusal{"relied_on repeats", Invalid, ReasonOrder, func(w *world, e *Event) { e.ReliedOn = append(e.ReliedOn[:1:1], e.ReliedOn...) }},
		refusal{"relied_on names itself", Invalid, ReasonStream, func(w *world, e *Event) {
			e.ReliedOn = []Head{{e.Stream.Type, e.Stream.ID, 0, e.Stream.Prev}}
		}},
		refusal{"relied_on without a head", Invalid, ReasonDigest, func(w *world, e *Event) { e.ReliedOn[0].Head = Hash{} }},
		refusal{"relied_on before the beginning", Invalid, ReasonSize, func(w *world, e *Event) { e.ReliedOn[0].Seq = -1 }},
		refusal{"stale seq", Conflict, ReasonStaleBasis, func(w *world, e *Event) { e.ReliedOn[0].Seq++ }},
		refusal{"stale head", Conflict, ReasonStaleBasis, func(w *world, e *Event) { e.ReliedOn[1].Head = freshHash("x") }},
		refusal{"stale after the case moved", Conflict, ReasonStaleBasis, func(w *world, e *Event) {
			w.do(w.adding("custodian", "outsider", MayOpen))
		}},
		refusal{"nothing relied on", Conflict, ReasonMissingBasis, func(w *world, e *Event) { e.ReliedOn = nil }},
		refusal{"first missing", Conflict, ReasonMissingBasis, func(w *world, e *Event) { e.ReliedOn = e.ReliedOn[1:] }},
		refusal{"last missing", Conflict, ReasonMissingBasis, func(w *world, e *Event) { e.ReliedOn = e.ReliedOn[:len(e.ReliedOn)-1] }},
		refusal{"superfluous at the end", Invalid, ReasonSuperfluousBasis, func(w *world, e *Event) {
			e.ReliedOn = append(e.ReliedOn, Head{VaultStream, origin, 0, freshHash("x")})
		}},
		refusal{"superfluous at the beginning", Invalid, ReasonSuperfluousBasis, func(w *world, e *Event) {
			e.ReliedOn = slices.Insert(e.ReliedOn, 0, Head{ActorStream, "act-22222222222222222222222224", 0, freshHash("x")})
		}},
		refusal{"no subject", Invalid, ReasonSubject, func(w *world, e *Event) { e.Subject = nil }},
		refusal{"other digest as subject", Invalid, ReasonSubject, func(w *world, e *Event) { e.Subject[0].Digest.SHA256 = freshHash("x") }},
		refusal{"two subjects", Invalid, ReasonSubject, func(w *world, e *Event) { e.Subject = append(e.Subject, e.Subject[0]) }},
		refusal{"another case's item", Invalid, ReasonCase, func(w *world, e *Event) {
			old := w.cas
			w.cas = NewID[CaseID]()
			w.do(w.opening())
			e.Case, w.cas = w.cas, old
			w.again(e)
		}},
		refusal{"case that is none", Conflict, ReasonMissingBasis, func(w *world, e *Event) {
			e.Case = NewID[CaseID]()
			w.finish(e)
		}},
		refusal{"note with a capital", Invalid, ReasonNoteName, func(w *world, e *Event) { e.Notes = []Note{{"Reason", ToInternal, freshHash("n"), 512}} }},
		refusal{"note to an unknown audience", Unknown, ReasonCode, func(w *world, e *Event) { e.Notes = []Note{{"reason", "press", freshHash("n"), 512}} }},
		refusal{"note to the item", Invalid, ReasonNoteAudience, func(w *world, e *Event) { e.Notes = []Note{{"reason", ToItem, freshHash("n"), 512}} }},
		refusal{"note of odd size", Invalid, ReasonNoteSize, func(w *world, e *Event) { e.Notes = []Note{{"reason", ToInternal, freshHash("n"), 513}} }},
		refusal{"empty note", Invalid, ReasonNoteSize, func(w *world, e *Event) { e.Notes = []Note{{"reason", ToInternal, freshHash("n"), 0}} }},
		refusal{"huge note", Invalid, ReasonNoteSize, func(w *world, e *Event) { e.Notes = []Note{{"reason", ToInternal, freshHash("n"), MaxNote + 512}} }},
		refusal{"note without a digest", Invalid, ReasonDigest, func(w *world, e *Event) { e.Notes = []Note{{"reason", ToInternal, Hash{}, 512}} }},
		refusal{"notes repeat", Invalid, ReasonOrder, func(w *world, e *Event) {
			n := Note{"reason", ToInternal, freshHash("n"), 512}
			e.Notes = []Note{n, n}
		}},
		refusal{"other role than enrolled", Forbidden, ReasonSignerRole, func(w *world, e *Event) { e.Actor.Role = Investigator }},
		refusal{"other organization than enrolled", Forbidden, ReasonSignerRole, func(w *world, e *Event) { e.Actor.Organization = NewID[OrgID]() }},
		refusal{"for somebody else", Forbidden, ReasonDelegation, func(w *world, e *Event) {
			e.Actor.OnBehalfOf = w.p("survivor").signer.ID
			w.finish(e)
		}},
		refusal{"signer nobody knows", Conflict, ReasonMissingBasis, func(w *world, e *Event) {
			e.Actor.ID = NewID[ActorID]()
			w.finish(e)
		}},
		refusal{"suspended signer", Forbidden, ReasonSignerSuspended, func(w *world, e *Event) {
			w.do(w.event("administrator", ActorOf(e.Actor.ID), ActorSuspended, &ActorSuspendedDetails{CauseMisconduct, w.now.Add(day)}))
			w.again(e)
		}},
		refusal{"revoked signer", Forbidden, ReasonSignerRevoked, func(w *world, e *Event) {
			w.do(w.event("administrator", ActorOf(e.Actor.ID), ActorRevoked, &ActorRevokedDetails{CauseDeparture}))
			w.again(e)
		}},
		refusal{"signer with unconfirmed keys", Forbidden, ReasonSignerPending, func(w *world, e *Event) {
			w.do(w.rotation("administrator", "custodian"))
			w.again(e)
		}},
	)
	t.Run("no leaf", func(t *testing.T) {
		w, e := base(t)
		_, err := Apply(w.facts, e, Hash{})
		refused(t, err, Invalid, ReasonDigest)
	})
	t.Run("suspension ends", func(t *testing.T) {
		w, e := base(t)
		w.do(w.event("administrator", ActorOf(e.Actor.ID), ActorSuspended, &ActorSuspendedDetails{CauseMisconduct, w.now.Add(day)}))
		w.now = w.now.Add(day)
		w.again(e)
		w.do(e)
	})
	t.Run("fields of items elsewhere", func(t *testing.T) {
		for _, set := range []func(*Event){
			func(e *Event) { e.Case = NewID[CaseID]() },
			func(e *Event) { e.Consent = []ConsentRef{{NewID[ConsentID](), 1}} },
			func(e *Event) { e.Object = &Object{Class: Original, Content: Clinical} },
			func(e *Event) { e.Digests = &Digests{After: freshHash("x"), Size: 1} },
			func(e *Event) { e.Counterparty = &Counterparty{Fingerprint: freshHash("x")} },
		} {
			w := newCase(t)
			e := w.rotation("administrator", "clinician")
			set(e)
			w.refuse(e, Invalid, ReasonFieldExcess)
		}
	})
	t.Run("common fields that are right", func(t *testing.T) {
		w, e := base(t)
		s := w.state(ItemID(e.Stream.ID))
		e.Place, e.Change = "DE", CauseOrder
		e.Authority = &Authority{Basis: ByConsent}
		e.Object = &Object{Class: Original, Content: Clinical, Form: "clinical-record/1"}
		e.Digests = &Digests{Before: s.Evidence.SHA256, After: s.Evidence.SHA256, Size: s.Evidence.Size}
		e.Consent = []ConsentRef{w.ref()}
		e.Result = &Result{Success, "ok"}
		e.Notes = []Note{{"reason", ToInternal, w.unique(), MaxNote}}
		e.Counterparty = &Counterparty{Actor: w.p("police").signer.ID, Class: Police}
		w.finish(e)
		w.do(e)
	})
}

func TestVaultNotes(t *testing.T) {
	w := newCase(t)
	e := w.rotation("administrator", "clinician")
	e.Notes = []Note{{"reason", ToInternal, w.unique(), 512}} // no case, so no key to seal it to
	w.refuse(e, Invalid, ReasonNoteAudience)
}

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
	d := w.configuration()
	d.Policy.TwoOrganizations = true
	w.do(w.event("administrator", PolicyOf(origin), VaultConfigured, d))
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

func (w *world) adding(by, name string, rights ...Right) *Event {
	return w.event(by, CaseOf(w.cas), CaseMemberAdded,
		&CaseMemberAddedDetails{Member{w.p(name).signer.ID, rights, 0}, EnvelopeRef{w.p(name).fingerprint(), w.unique()}})
}

func TestCaseOpened(t *testing.T) {
	base := func(t testing.TB) (*world, *Event) {
		w := newCase(t)
		w.cas = NewID[CaseID]()
		return w, w.opening()
	}
	set := changed[*CaseOpenedDetails]
	relabel := func(w *world, d *CaseOpenedDetails) {
		var names []string
		for name, p := range w.people {
			if slices.ContainsFunc(d.Members, func(m Member) bool { return m.Actor == p.signer.ID }) {
				names = append(names, name)
			}
		}
		d.LabelKey = w.label(d.Recovery, names...)
		sortCase(d)
	}
	check(t, base,
		refusal{"by a court", Forbidden, ReasonRole, by("court")},
		refusal{"a case by a survivor", Forbidden, ReasonRole, by("survivor")},
		refusal{"a complaint by a clinician", Forbidden, ReasonRole, set(func(w *world, d *CaseOpenedDetails) { d.Type = "complaint" })},
		refusal{"unknown type", Unknown, ReasonCode, set(func(w *world, d *CaseOpenedDetails) { d.Type = "matter" })},
		refusal{"one keyholder", Invalid, ReasonKeyholders, set(func(w *world, d *CaseOpenedDetails) { d.Keyring = d.Keyring[:1] })},
		refusal{"keyholder twice", Invalid, ReasonOrder, set(func(w *world, d *CaseOpenedDetails) { d.Keyring = []Keyholder{d.Keyring[0], d.Keyring[0]} })},
		refusal{"members unsorted", Invalid, ReasonOrder, set(func(w *world, d *CaseOpenedDetails) { slices.Reverse(d.Members) })},
		refusal{"unknown right", Unknown, ReasonCode, set(func(w *world, d *CaseOpenedDetails) { d.Members[0].Rights = []Right{"fly"} })},
		refusal{"right twice", Unknown, ReasonCode, set(func(w *world, d *CaseOpenedDetails) { d.Members[0].Rights = []Right{MayOpen, MayOpen} })},
		refusal{"other recovery", Invalid, ReasonRecovery, set(func(w *world, d *CaseOpenedDetails) {
			d.Recovery = w.unique()
			relabel(w, d)
		})},
		refusal{"no recovery", Invalid, ReasonDigest, set(func(w *world, d *CaseOpenedDetails) { d.Recovery = Hash{} })},
		refusal{"nobody manages", Invalid, ReasonNoManager, set(func(w *world, d *CaseOpenedDetails) {
			for i := range d.Members {
				d.Members[i].Rights = nil
			}
		})},
		refusal{"a clinician manages", Invalid, ReasonNoManager, set(func(w *world, d *CaseOpenedDetails) {
			for i, m := range d.Members {
				d.Members[i].Rights = nil
				if m.Actor == w.p("clinician").signer.ID {
					d.Members[i].Rights = []Right{MayManage}
				}
			}
		})},
		refusal{"membership over already", Invalid, ReasonWindow, set(func(w *world, d *CaseOpenedDetails) { d.Members[0].Until = w.now })},
		refusal{"keyholder not a member", Invalid, ReasonKeyring, set(func(w *world, d *CaseOpenedDetails) {
			d.Keyring = append(d.Keyring, w.holder("outsider"))
			sortCase(d)
		})},
		refusal{"unconfirmed fingerprint", Invalid, ReasonFingerprint, set(func(w *world, d *CaseOpenedDetails) { d.Keyring[0].Fingerprint = w.unique() })},
		refusal{"auditor as keyholder", Forbidden, ReasonKeyholderRole, set(func(w *world, d *CaseOpenedDetails) {
			d.Members = append(d.Members, w.member("auditor"))
			d.Keyring = append(d.Keyring, w.holder("auditor"))
			relabel(w, d)
		})},
		refusal{"court as member", Forbidden, ReasonMemberRole, set(func(w *world, d *CaseOpenedDetails) {
			d.Members = append(d.Members, w.member("court"))
			relabel(w, d)
		})},
		refusal{"administrator as member", Forbidden, ReasonMemberRole, set(func(w *world, d *CaseOpenedDetails) {
			d.Members = append(d.Members, w.member("administrator"))
			relabel(w, d)
		})},
		refusal{"member nobody knows", Conflict, ReasonMissingBasis, set(func(w *world, d *CaseOpenedDetails) {
			d.Members = append(d.Members, Member{Actor: NewID[ActorID]()})
			sortCase(d)
		})},
		refusal{"suspended member", Forbidden, ReasonActorInactive, after(func(w *world) { w.suspend("investigator", day) })},
		refusal{"label key without a member", Invalid, ReasonLabelEnvelopes, set(func(w *world, d *CaseOpenedDetails) { d.LabelKey = w.label(d.Recovery, "clinician") })},
		refusal{"label key for an outsider", Invalid, ReasonLabelEnvelopes, set(func(w *world, d *CaseOpenedDetails) {
			d.LabelKey.Envelopes = with(d.LabelKey.Envelopes, EnvelopeRef{w.p("outsider").fingerprint(), w.unique()}, byRecipient)
		})},
		refusal{"label key malformed", Invalid, ReasonKeys, set(func(w *world, d *CaseOpenedDetails) { d.LabelKey.Recipient = "age1" })},
		refusal{"label envelope without digest", Invalid, ReasonDigest, set(func(w *world, d *CaseOpenedDetails) { d.LabelKey.Envelopes[0].SHA256 = Hash{} })},
		refusal{"label envelopes repeat", Invalid, ReasonOrder, set(func(w *world, d *CaseOpenedDetails) { d.LabelKey.Envelopes[1] = d.LabelKey.Envelopes[0] })},
	)
	complaint := func(t testing.TB) (*world, *Event) {
		w := newCase(t)
		w.cas = NewID[CaseID]()
		e := w.opening()
		d := e.Details.(*CaseOpenedDetails)
		d.Type = "complaint"
		d.Members = []Member{w.member("survivor", MayDeposit), w.member("auditor", MayOpen), w.member("auditor 2", MayOpen)}
		d.Keyring = []Keyholder{w.holder("auditor"), w.holder("auditor 2")}
		relabel(w, d)
		by("survivor")(w, e)
		return w, e
	}
	check(t, complaint,
		refusal{"by an auditor", Forbidden, ReasonRole, by("auditor")},
		refusal{"custodian as keyholder", Forbidden, ReasonKeyholderRole, set(func(w *world, d *CaseOpenedDetails) {
			d.Members = append(d.Members, w.member("custodian"))
			d.Keyring = append(d.Keyring, w.holder("custodian"))
			relabel(w, d)
		})},
	)
}

func TestCaseMemberAdded(t *testing.T) {
	base := func(t testing.TB) (*world, *Event) {
		w := newCase(t)
		return w, w.adding("custodian", "outsider", MayOpen)
	}
	set := changed[*CaseMemberAddedDetails]
	check(t, base,
		refusal{"by a clinician", Forbidden, ReasonRole, by("clinician")},
		refusal{"without the right", Forbidden, ReasonRight, by("custodian 2")},
		refusal{"by an outsider", Forbidden, ReasonNotMember, by("outsider")},
		refusal{"over already", Invalid, ReasonWindow, set(func(w *world, d *CaseMemberAddedDetails) { d.Until = w.now })},
		refusal{"malformed actor", Invalid, ReasonIdentifier, set(func(w *world, d *CaseMemberAddedDetails) { d.Actor = "act-1" })},
		refusal{"other fingerprint", Invalid, ReasonFingerprint, set(func(w *world, d *CaseMemberAddedDetails) { d.Envelope.Recipient = w.unique() })},
		refusal{"a court", Forbidden, ReasonMemberRole, set(func(w *world, d *CaseMemberAddedDetails) {
			d.Actor, d.Envelope.Recipient = w.p("court").signer.ID, w.p("court").fingerprint()
		})},
		refusal{"unconfirmed", Forbidden, ReasonActorInactive, func(w *world, e *Event) {
			w.meet("new", Clinician, false)
			w.do(w.enrolment("administrator", "new"))
			e.Details.(*CaseMemberAddedDetails).Actor = w.p("new").signer.ID
			w.again(e)
		}},
	)
	t.Run("ends by itself", func(t *testing.T) {
		w, e := base(t)
		e.Details.(*CaseMemberAddedDetails).Until = w.now.Add(day)
		s := w.do(e).(*CaseState)
		id := w.p("outsider").signer.ID
		if !s.Can(id, MayOpen, w.now) || s.Can(id, MayManage, w.now) || s.Can(id, MayOpen, e.Time.Add(day)) {
			t.Error("the membership does not last exactly until its end")
		}
	})
	t.Run("again", func(t *testing.T) {
		w, e := base(t)
		w.do(e)
		s := w.do(w.adding("custodian", "outsider", MayDeposit)).(*CaseState)
		if len(s.Members) != 6 || len(s.LabelKey.Envelopes) != 7 || !s.Can(w.p("outsider").signer.ID, MayDeposit, w.now) || s.Can(w.p("outsider").signer.ID, MayOpen, w.now) {
			t.Errorf("a renewed membership does not replace the old one: %+v", s.Members)
		}
	})
}

func (w *world) removing(by, name string, stay ...string) *Event {
	return w.event(by, CaseOf(w.cas), CaseMemberRemoved,
		&CaseMemberRemovedDetails{w.p(name).signer.ID, CauseDeparture, w.label(w.theCase().Recovery, stay...)})
}

func TestCaseMemberRemoved(t *testing.T) {
	stay := []string{"clinician", "custodian", "custodian 2", "custodian 3"}
	base := func(t testing.TB) (*world, *Event) {
		w := newCase(t)
		return w, w.removing("custodian", "investigator", stay...)
	}
	set := changed[*CaseMemberRemovedDetails]
	check(t, base,
		refusal{"by another member", Forbidden, ReasonRole, by("clinician")},
		refusal{"without the right", Forbidden, ReasonRight, by("custodian 2")},
		refusal{"not a member", Invalid, ReasonNotMember, set(func(w *world, d *CaseMemberRemovedDetails) { d.Actor = w.p("outsider").signer.ID })},
		refusal{"malformed", Invalid, ReasonIdentifier, set(func(w *world, d *CaseMemberRemovedDetails) { d.Actor = "" })},
		refusal{"keyholder", Conflict, ReasonStillKeyholder, set(func(w *world, d *CaseMemberRemovedDetails) { d.Actor = w.p("clinician").signer.ID })},
		refusal{"label key for who left", Invalid, ReasonLabelEnvelopes, set(func(w *world, d *CaseMemberRemovedDetails) {
			d.LabelKey = w.label(w.theCase().Recovery, append(stay, "investigator")...)
		})},
		refusal{"label key not for all", Invalid, ReasonLabelEnvelopes, set(func(w *world, d *CaseMemberRemovedDetails) {
			d.LabelKey = w.label(w.theCase().Recovery, stay[1:]...)
		})},
		refusal{"old label key", Invalid, ReasonSameKey, set(func(w *world, d *CaseMemberRemovedDetails) { d.LabelKey.Recipient = w.theCase().LabelKey.Recipient })},
		refusal{"last manager", Invalid, ReasonNoManager, func(w *world, e *Event) {
			w.do(w.ring("custodian", nil, "custodian"))
			*e = *w.removing("custodian", "custodian", "clinician", "investigator", "custodian 2", "custodian 3")
		}},
	)
	t.Run("oneself", func(t *testing.T) {
		w := newCase(t)
		s := w.do(w.removing("investigator", "investigator", stay...)).(*CaseState)
		if _, ok := s.Member(w.p("investigator").signer.ID, w.now); ok {
			t.Error("still a member")
		}
		w.refuse(w.deposit("investigator", Digital), Invalid, ReasonConsentMissing)
	})
	t.Run("suspended members get no key", func(t *testing.T) {
		w := newCase(t)
		w.suspend("clinician", day)
		w.refuse(w.removing("custodian", "investigator", stay...), Invalid, ReasonLabelEnvelopes)
		w.do(w.removing("custodian", "investigator", stay[1:]...))
	})
}

func (w *world) ring(by string, added []string, removed ...string) *Event {
	d := &CaseKeyringChangedDetails{}
	for _, n := range added {
		d.Added = append(d.Added, w.holder(n))
	}
	for _, n := range removed {
		d.Removed = append(d.Removed, w.p(n).signer.ID)
	}
	slices.SortFunc(d.Added, func(a, b Keyholder) int { return cmpString(a.Actor, b.Actor) })
	slices.Sort(d.Removed)
	return w.event(by, CaseOf(w.cas), CaseKeyringChanged, d)
}

func cmpString(a, b ActorID) int {
	if a < b {
		return -1
	}
	return 1
}

func TestCaseKeyringChanged(t *testing.T) {
	base := func(t testing.TB) (*world, *Event) {
		w := newCase(t)
		return w, w.ring("custodian", []string{"investigator"}, "clinician")
	}
	set := changed[*CaseKeyringChangedDetails]
	check(t, base,
		refusal{"by a clinician", Forbidden, ReasonRole, by("clinician")},
		refusal{"without the right", Forbidden, ReasonRight, by("custodian 2")},
		refusal{"manager without a key", Forbidden, ReasonNotKeyholder, func(w *world, e *Event) {
			w.do(w.adding("custodian", "outsider", MayManage))
			by("outsider")(w, e)
		}},
		refusal{"nothing", Invalid, ReasonKeyring, set(func(w *world, d *CaseKeyringChangedDetails) { d.Added, d.Removed = nil, nil })},
		refusal{"removed who is not on it", Invalid, ReasonKeyring, set(func(w *world, d *CaseKeyringChangedDetails) { d.Removed[0] = w.p("outsider").signer.ID })},
		refusal{"added who is on it", Invalid, ReasonKeyring, set(func(w *world, d *CaseKeyringChangedDetails) { d.Added[0] = w.holder("custodian 2") })},
		refusal{"added who is no member", Invalid, ReasonKeyring, set(func(w *world, d *CaseKeyringChangedDetails) { d.Added[0] = w.holder("outsider") })},
		refusal{"other fingerprint", Invalid, ReasonFingerprint, set(func(w *world, d *CaseKeyringChangedDetails) { d.Added[0].Fingerprint = w.unique() })},
		refusal{"no fingerprint", Invalid, ReasonDigest, set(func(w *world, d *CaseKeyringChangedDetails) { d.Added[0].Fingerprint = Hash{} })},
		refusal{"malformed", Invalid, ReasonIdentifier, set(func(w *world, d *CaseKeyringChangedDetails) { d.Added[0].Actor = "" })},
		refusal{"removed malformed", Invalid, ReasonIdentifier, set(func(w *world, d *CaseKeyringChangedDetails) { d.Removed[0] = "" })},
		refusal{"removed twice", Invalid, ReasonOrder, set(func(w *world, d *CaseKeyringChangedDetails) { d.Removed = append(d.Removed, d.Removed[0]) })},
		refusal{"an auditor", Forbidden, ReasonKeyholderRole, func(w *world, e *Event) {
			w.do(w.adding("custodian", "auditor"))
			e.Details.(*CaseKeyringChangedDetails).Added[0] = w.holder("auditor")
			w.again(e)
		}},
		refusal{"one remains", Invalid, ReasonKeyholders, func(w *world, e *Event) {
			*e = *w.ring("custodian", nil, "clinician", "custodian 2", "custodian 3")
		}},
	)
	t.Run("rotated key", func(t *testing.T) {
		w := newCase(t)
		w.rotate("administrator", "custodian", "clinician")
		s := w.do(w.ring("custodian", []string{"clinician"}, "clinician")).(*CaseState)
		if !s.OnKeyring(w.p("clinician").fingerprint()) || len(s.Keyring) != 4 {
			t.Errorf("keyring: %+v", s.Keyring)
		}
	})
	t.Run("recovery follows the vault's", func(t *testing.T) {
		w := newCase(t)
		d := w.configuration()
		d.Recovery = fakeRecipient(w.unique())
		w.do(w.event("administrator", PolicyOf(origin), VaultConfigured, d))
		w.do(w.event("custodian", PolicyOf(origin), VaultConfirmed, &VaultConfirmedDetails{w.facts.States[PolicyOf(origin)].Tip().Leaf}))
		w.refuse(w.ring("custodian", nil), Invalid, ReasonKeyring)
		w.now = w.now.Add(7 * day)
		s := w.do(w.ring("custodian", nil)).(*CaseState)
		if s.Recovery != Fingerprint(nil, d.Recovery) {
			t.Error("recovery did not follow")
		}
	})
}

func TestReleases(t *testing.T) {
	w, id, g := newShared(t)
	opened, redeemed := w.open(id, "custodian"), w.redemption(id, "court", g)
	w.do(opened)
	w.finish(redeemed)
	w.do(redeemed)
	release := func(w *world, e *Event, now Time) error { return w.state(id).Release(w.facts, e, now) }
	for _, e := range []*Event{opened, redeemed} {
		if err := release(w, e, w.now); err != nil {
			t.Fatalf("%s: %v", e.Kind, err)
		}
	}
	refused(t, release(w, w.log[len(w.log)-3], w.now), Forbidden, ReasonNotOpened) // an envelope is no access
	refused(t, w.state(w.form).Release(w.facts, opened, w.now), Invalid, ReasonStream)
	refused(t, release(w, redeemed, redeemed.Time.Add(7*day)), Gone, ReasonGrantOver)
	refused(t, release(w, opened, opened.Time.Add(400*day)), Held, ReasonFrozen)
	for _, c := range []struct {
		name   string
		e      *Event
		kind   ErrorKind
		reason string
		then   func(w *world)
	}{
		{"opener suspended", opened, Forbidden, ReasonSignerSuspended, func(w *world) {
			w.do(w.event("custodian 2", ActorOf(w.p("custodian").signer.ID), ActorSuspended, &ActorSuspendedDetails{CauseMisconduct, w.now.Add(day)}))
		}},
		{"opener off the keyring", opened, Forbidden, ReasonNotKeyholder, func(w *world) { w.do(w.ring("custodian", nil, "custodian")) }},
		{"opener without the right", opened, Forbidden, ReasonRight, func(w *world) { w.do(w.adding("custodian", "custodian", MayManage)) }},
		{"withdrawn", opened, Held, ReasonFrozen, (*world).withdraw},
		{"withdrawn for the court", redeemed, Held, ReasonFrozen, (*world).withdraw},
		{"damaged", opened, Held, ReasonDamaged, func(w *world) { w.do(w.verify(id, "vault", "ciphertext", Failure)) }},
		{"revoked", redeemed, Gone, ReasonGrantOver, func(w *world) { w.do(w.revoke(id, "custodian", g)) }},
		{"recipient suspended", redeemed, Forbidden, ReasonSignerSuspended, func(w *world) { w.suspend("court", day) }},
		{"recipient with new keys", redeemed, Forbidden, ReasonRecipient, func(w *world) { w.rotate("custodian", "custodian 2", "court") }},
		{"consent narrowed", redeemed, Forbidden, ReasonConsentAnswer, func(w *world) {
			a := everyAnswer
			a.Courts = nil
			w.answer("clinician", a)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			fork := w.fork(t)
			c.then(fork)
			refused(t, release(fork, c.e, fork.now), c.kind, c.reason)
		})
	}
}
