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
