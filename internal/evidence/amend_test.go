package evidence

import (
	"slices"
	"testing"
)

func (w *world) amending(id ItemID, by string) *Event {
	return w.on(id, by, ItemAmended, &ItemAmendedDetails{File{w.unique(), 4500}, CauseError})
}

// The evidence is never replaced; what was said of it gets a new version, by its author or a custodian (pitfall 35 for who documents only).
func TestItemAmended(t *testing.T) {
	base := func(t testing.TB) (*world, *Event) {
		w := newConsented(t)
		id := w.item("clinician", Clinical)
		return w, w.amending(id, "clinician")
	}
	id := func(e *Event) ItemID { return ItemID(e.Stream.ID) }
	check(t, base,
		refusal{"by another member", Forbidden, ReasonRole, by("investigator")},
		refusal{"by an outsider", Forbidden, ReasonNotMember, by("outsider")},
		refusal{"by a court", Forbidden, ReasonRole, by("court")},
		refusal{"the former description as subject", Invalid, ReasonSubject, func(w *world, e *Event) {
			e.Subject[1].Name = string(id(e)) + "/description.age"
		}},
		refusal{"without the description as subject", Invalid, ReasonSubject, func(w *world, e *Event) { e.Subject = e.Subject[:1] }},
		refusal{"frozen", Held, ReasonFrozen, after((*world).withdraw)},
		refusal{"in the bin", Held, ReasonBinned, func(w *world, e *Event) { w.do(w.shredProposal(id(e), "custodian", CauseDraft)); w.again(e) }},
		refusal{"shredded", Gone, ReasonShredded, func(w *world, e *Event) { w.shred(id(e), CauseDraft); w.again(e) }},
	)
	w, e := base(t)
	before := w.state(id(e))
	s := w.do(e).(*ItemState)
	if s.Evidence != before.Evidence || s.Label != before.Label || s.Description != e.Details.(*ItemAmendedDetails).Description {
		t.Errorf("after the amendment: %+v", s)
	}
	w.seal(id(e))
	w.do(w.amending(id(e), "custodian 3"))
	t.Run("documents only", func(t *testing.T) {
		w := newConsented(t)
		w.meet("nurse", Clinician, false)
		e := w.enrolment("administrator", "nurse")
		e.Details.(*ActorEnrolledDetails).DocumentsOnly = true
		w.do(e)
		w.do(w.confirmation("custodian", "nurse"))
		w.do(w.adding("custodian", "nurse", MayDeposit))
		id := w.item("nurse", Clinical, func(e *Event) { e.Object = &Object{Class: Original, Content: Clinical, Form: factsForm} })
		a := w.amending(id, "nurse")
		w.refuse(a, Forbidden, ReasonDocumentsOnly)
		a.Object = &Object{Class: Original, Content: Clinical, Form: "clinical-record/1"}
		w.refuse(a, Forbidden, ReasonDocumentsOnly)
		a.Object.Form = factsForm
		w.do(a)
	})
}

func TestItemDerived(t *testing.T) {
	derive := func(w *world, source ItemID, by string) ItemID {
		return w.item(by, Clinical, func(e *Event) {
			e.Details.(*ItemDepositedDetails).Class, e.Details.(*ItemDepositedDetails).Source = Derived, source
		})
	}
	link := func(w *world, source ItemID, by string, made ItemID) *Event {
		return w.on(source, by, ItemDerived, &ItemDerivedDetails{made, Derived, Tool{"redactor", "2", ""}})
	}
	base := func(t testing.TB) (*world, *Event) {
		w := newConsented(t)
		id := w.item("investigator", Clinical)
		w.do(w.open(id, "clinician"))
		return w, link(w, id, "clinician", derive(w, id, "clinician"))
	}
	set := changed[*ItemDerivedDetails]
	id := func(e *Event) ItemID { return ItemID(e.Stream.ID) }
	check(t, base,
		refusal{"never opened", Forbidden, ReasonNotOpened, func(w *world, e *Event) {
			w.do(w.adding("custodian", "custodian 2", MayDeposit))
			by("custodian 2")(w, e)
		}},
		refusal{"without the right", Forbidden, ReasonRight, by("custodian")},
		refusal{"by an outsider", Forbidden, ReasonNotMember, by("outsider")},
		refusal{"by a member without a key", Forbidden, ReasonNotKeyholder, by("investigator")},
		refusal{"by a court", Forbidden, ReasonRole, by("court")},
		refusal{"not deposited", Conflict, ReasonMissingBasis, set(func(w *world, d *ItemDerivedDetails) { d.Item = NewID[ItemID]() })},
		refusal{"an original", Invalid, ReasonSource, set(func(w *world, d *ItemDerivedDetails) { d.Item = w.form })},
		refusal{"made from another", Invalid, ReasonSource, set(func(w *world, d *ItemDerivedDetails) {
			d.Item = derive(w, w.item("clinician", Clinical), "clinician")
		})},
		refusal{"of another class", Invalid, ReasonSource, set(func(w *world, d *ItemDerivedDetails) { d.Form = Working })},
		refusal{"twice", Conflict, ReasonDerivative, func(w *world, e *Event) {
			first := *e
			w.do(&first)
			w.again(e)
		}},
		refusal{"frozen", Held, ReasonFrozen, after((*world).withdraw)},
		refusal{"in the bin", Held, ReasonBinned, func(w *world, e *Event) { w.do(w.shredProposal(id(e), "custodian", CauseDraft)); w.again(e) }},
		refusal{"shredded", Gone, ReasonShredded, func(w *world, e *Event) { w.shred(id(e), CauseDraft); w.again(e) }},
	)
	w, e := base(t)
	if s := w.do(e).(*ItemState); !slices.Equal(s.Derivatives, []ItemID{e.Details.(*ItemDerivedDetails).Item}) {
		t.Errorf("derivatives: %v", s.Derivatives)
	}
}
