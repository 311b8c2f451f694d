package evidence

import (
	"slices"
	"testing"
)

// complaining is the survivor's complaint to two auditors; the first of them manages it. Others are members too, with every right.
func (w *world) complaining(others ...string) *Event {
	names := append([]string{"survivor", "auditor", "auditor 2"}, others...)
	d := &CaseOpenedDetails{Type: "complaint", Recovery: Fingerprint(nil, recoveryRecipient),
		Members: []Member{w.member("survivor", MayDeposit), w.member("auditor", MayManage, MayOpen), w.member("auditor 2", MayOpen)},
		Keyring: []Keyholder{w.holder("auditor"), w.holder("auditor 2")}}
	for _, name := range others {
		d.Members = append(d.Members, w.member(name, allRights...))
	}
	d.LabelKey = w.label(d.Recovery, names...)
	sortCase(d)
	return w.event("survivor", CaseOf(w.cas), CaseOpened, d)
}

func newComplaint(t tb, others ...string) *world {
	w := newCase(t)
	w.enrol("auditor 3", Auditor, false)
	w.cas = NewID[CaseID]()
	w.do(w.complaining(others...))
	return w
}

// RULES §3.4: what a custodian does in a case, an auditor with the right does in a complaint, and nobody else, whatever rights they were given.
func TestComplaint(t *testing.T) {
	everybodyElse := []string{"clinician", "investigator", "custodian", "advocate"}
	stay := append([]string{"survivor", "auditor"}, everybodyElse...)
	for name, act := range map[string]func(w *world, by string) *Event{
		"member added": func(w *world, by string) *Event { return w.adding(by, "auditor 3", MayOpen) },
		"member removed": func(w *world, by string) *Event {
			w.do(w.adding("auditor", "auditor 3", MayOpen))
			return w.removing(by, "auditor 3", append(stay, "auditor 2")...)
		},
		"keyring": func(w *world, by string) *Event {
			w.do(w.adding("auditor", "auditor 3", MayOpen))
			return w.ring(by, []string{"auditor 3"}, "auditor 2")
		},
		"closed": func(w *world, by string) *Event { return w.closing(by) },
		"reopened": func(w *world, by string) *Event {
			w.do(w.closing("auditor"))
			return w.event(by, CaseOf(w.cas), CaseReopened, &CaseReopenedDetails{CauseNewFacts})
		},
	} {
		t.Run(name, func(t *testing.T) {
			check(t, func(t testing.TB) (*world, *Event) {
				w := newComplaint(t, everybodyElse...)
				return w, act(w, "auditor")
			},
				refusal{"by an auditor without the right", Forbidden, ReasonRight, by("auditor 2")},
				refusal{"by a clinician", Forbidden, ReasonRole, by("clinician")},
				refusal{"by an investigator", Forbidden, ReasonRole, by("investigator")},
				refusal{"by a custodian", Forbidden, ReasonRole, by("custodian")},
				refusal{"by an advocate", Forbidden, ReasonRole, by("advocate")},
				refusal{"by the survivor", Forbidden, ReasonRole, by("survivor")},
				refusal{"by an administrator", Forbidden, ReasonRole, by("administrator")},
			)
		})
	}
	t.Run("what becomes of it", func(t *testing.T) {
		for name, act := range map[string]func(w *world, id ItemID, by string) *Event{
			"retention": func(w *world, id ItemID, by string) *Event {
				return w.on(id, by, RetentionSet, &RetentionSetDetails{Category: "statute", Due: w.now.Add(900 * day)})
			},
			"shredding proposed": func(w *world, id ItemID, by string) *Event { return w.shredProposal(id, by, CauseOrder) },
			"shredding cancelled": func(w *world, id ItemID, by string) *Event {
				w.do(w.shredProposal(id, "auditor", CauseOrder))
				return w.cancelling(id, by)
			},
			"shredded": func(w *world, id ItemID, by string) *Event {
				w.do(w.shredProposal(id, "auditor", CauseOrder))
				w.now = w.state(id).Bin.Ready
				return w.shredding(id, by)
			},
			"share approved": func(w *world, id ItemID, by string) *Event {
				w.do(w.adding("auditor", "auditor 2", MayApprove, MayOpen))
				w.do(w.on(id, "auditor", ItemSealed, &ItemSealedDetails{1, id}))
				e := w.proposal(id, "auditor", "court")
				w.do(e)
				return w.approval(id, by, e.Details.(*GrantProposedDetails).ID)
			},
			"hold placed": func(w *world, id ItemID, by string) *Event { return w.placing(id, by) },
			"hold confirmed": func(w *world, id ItemID, by string) *Event {
				e := w.placing(id, "auditor")
				w.do(e)
				return w.confirming(id, by, e.Details.(*HoldPlacedDetails).Hold)
			},
			"hold lifted": func(w *world, id ItemID, by string) *Event {
				e := w.placing(id, "auditor")
				w.do(e)
				return w.lifting(id, by, e.Details.(*HoldPlacedDetails).Hold)
			},
		} {
			t.Run(name, func(t *testing.T) {
				base := func(t testing.TB) (*world, *Event) {
					w := newComplaint(t, "clinician", "custodian")
					w.con = ""
					return w, act(w, w.item("survivor", Testimony, onOrder), "auditor 2")
				}
				check(t, base, refusal{"by a custodian", Forbidden, ReasonRole, by("custodian")}, refusal{"by a clinician", Forbidden, ReasonRole, by("clinician")})
				w, e := base(t) // under rules 1 it was the other way round
				w.underRules(1)
				w.refuse(e, Forbidden, ReasonRole)
			})
		}
	})
	t.Run("an auditor manages no case", func(t *testing.T) {
		w := newCase(t)
		w.do(w.adding("custodian", "auditor", allRights...))
		for _, e := range []*Event{w.adding("auditor", "outsider"), w.ring("auditor", nil, "clinician"), w.closing("auditor"),
			w.removing("auditor", "investigator", "clinician", "custodian", "custodian 2", "custodian 3", "auditor"),
			w.placing(w.item("clinician", Digital, onOrder), "auditor")} {
			w.refuse(e, Forbidden, ReasonRole)
		}
	})
	t.Run("keyring", func(t *testing.T) {
		w := newComplaint(t)
		w.do(w.adding("auditor", "custodian", allRights...))
		w.refuse(w.ring("auditor", []string{"custodian"}), Forbidden, ReasonKeyholderRole)
		w.do(w.adding("auditor", "auditor 3", MayManage))
		w.refuse(w.ring("auditor 3", nil, "auditor 2"), Forbidden, ReasonNotKeyholder)
		w.rotate("administrator", "custodian", "auditor 2")
		if s := w.do(w.ring("auditor", []string{"auditor 2"}, "auditor 2")).(*CaseState); !s.OnKeyring(w.p("auditor 2").fingerprint()) {
			t.Error("a rotated key does not get in")
		}
	})
	t.Run("who leaves", func(t *testing.T) {
		w := newComplaint(t)
		w.do(w.adding("auditor", "auditor 3", MayOpen))
		w.do(w.ring("auditor", []string{"auditor 3"}, "auditor"))
		w.refuse(w.removing("auditor", "auditor", "survivor", "auditor 2", "auditor 3"), Invalid, ReasonNoManager)
		w.do(w.removing("survivor", "survivor", "auditor", "auditor 2", "auditor 3"))
		w.do(w.adding("auditor", "auditor 3", MayManage))
		w.do(w.removing("auditor", "auditor", "auditor 2", "auditor 3"))
	})
	t.Run("that nobody manages", func(t *testing.T) { // such complaints exist: who opened them did not say
		w := newCase(t)
		w.cas = NewID[CaseID]()
		e := w.complaining("custodian")
		d := e.Details.(*CaseOpenedDetails)
		for i, m := range d.Members {
			d.Members[i].Rights = slices.DeleteFunc(slices.Clone(m.Rights), func(r Right) bool { return r == MayManage })
		}
		w.again(e)
		w.do(e)
		w.do(w.removing("survivor", "survivor", "auditor", "auditor 2", "custodian"))
		w.refuse(w.closing("auditor"), Forbidden, ReasonRight)
		w.refuse(w.closing("custodian"), Forbidden, ReasonRole)
	})
}

// What was signed under rules 1 stays lawful: there a custodian among the members managed a complaint, and no auditor did.
func TestComplaintUnderRules1(t *testing.T) {
	w := newComplaint(t, "custodian")
	w.underRules(1)
	w.refuse(w.adding("auditor", "auditor 3", MayOpen), Forbidden, ReasonRole)
	w.do(w.adding("custodian", "auditor 3", MayOpen))
	w.do(w.closing("custodian"))
}
