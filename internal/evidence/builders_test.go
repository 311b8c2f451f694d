package evidence

import (
	"slices"
	"strings"
	"sync"
	"time"
)

// newCase adds everybody, and an open case: the clinician, the investigator and three custodians are members, keyholders are all but the investigator.
func newCase(t tb) *world { return caseWorld().fork(t) }

var caseWorld = sync.OnceValue(func() *world {
	w := newVault(builder{})
	for _, p := range []struct {
		name string
		role Role
	}{
		{"custodian 2", Custodian}, {"custodian 3", Custodian}, {"clinician", Clinician}, {"investigator", Investigator}, {"auditor", Auditor},
		{"auditor 2", Auditor}, {"outsider", Custodian}, {"court", Court}, {"court 2", Court}, {"prosecutor", Prosecutor}, {"police", Police},
		{"defence", Defence}, {"survivor", Survivor}, {"advocate", Advocate}, {"trustee", Trustee}, {"trustee 2", Trustee},
	} {
		w.enrol(p.name, p.role, false)
	}
	w.cas = made[CaseID](w)
	w.do(w.opening())
	return w
})

var allRights = []Right{MayApprove, MayDeposit, OnDuty, MayManage, MayOpen}

func (w *world) member(name string, rights ...Right) Member {
	return Member{w.p(name).signer.ID, rights, 0}
}

func (w *world) holder(name string) Keyholder {
	return Keyholder{w.p(name).signer.ID, w.p(name).fingerprint()}
}

func (w *world) opening() *Event {
	d := &CaseOpenedDetails{Type: "case", Recovery: Fingerprint(nil, recoveryRecipient),
		Members: []Member{w.member("clinician", MayDeposit, MayOpen), w.member("investigator", MayDeposit),
			w.member("custodian", MayApprove, MayManage, MayOpen), w.member("custodian 2", MayApprove, MayOpen), w.member("custodian 3")},
		Keyring: []Keyholder{w.holder("clinician"), w.holder("custodian"), w.holder("custodian 2"), w.holder("custodian 3")}}
	d.LabelKey = w.label(d.Recovery, "clinician", "investigator", "custodian", "custodian 2", "custodian 3")
	sortCase(d)
	return w.event("clinician", CaseOf(w.cas), CaseOpened, d)
}

func sortCase(d *CaseOpenedDetails) {
	slices.SortFunc(d.Members, func(a, b Member) int { return strings.Compare(string(a.Actor), string(b.Actor)) })
	slices.SortFunc(d.Keyring, func(a, b Keyholder) int { return strings.Compare(string(a.Actor), string(b.Actor)) })
}

// label makes a new label key for recovery and these people.
func (w *world) label(recovery Hash, names ...string) LabelKey {
	k := LabelKey{Recipient: fakeRecipient(w.unique()), Envelopes: []EnvelopeRef{{recovery, w.unique()}}}
	for _, n := range names {
		k.Envelopes = append(k.Envelopes, EnvelopeRef{w.p(n).fingerprint(), w.unique()})
	}
	slices.SortFunc(k.Envelopes, byRecipient)
	return k
}

func (w *world) theCase() *CaseState { return w.facts.States[CaseOf(w.cas)].(*CaseState) }

var everyAnswer = Answers{Examination: Yes, Photographs: Yes, Storage: Yes, PoliceInformation: Yes, PolicePhotographs: Yes, PolicePhysical: Yes,
	Courts: []CourtAnswer{{"DE", Yes, Yes, Yes}}, Research: No}

// newConsented is newCase with a consent that says yes to everything asked.
func newConsented(t tb) *world { return consentedWorld().fork(t) }

var consentedWorld = sync.OnceValue(func() *world {
	w := newCase(builder{})
	w.con = made[ConsentID](w)
	w.form = w.depositForm()
	w.do(w.giving("clinician", everyAnswer))
	return w
})

func (w *world) depositForm() ItemID { return w.formBy("clinician") }

func (w *world) formBy(name string) ItemID {
	w.t.Helper()
	e := w.aForm(name)
	w.do(e)
	return ItemID(e.Stream.ID)
}

// aForm is the deposit of a consent form.
func (w *world) aForm(by string) *Event {
	return w.deposit(by, Testimony, func(e *Event) { e.Details.(*ItemDepositedDetails).Class, e.Consent = ConsentForm, nil })
}

// giving is the next version of the consent.
func (w *world) giving(by string, a Answers) *Event {
	d := &ConsentGivenDetails{Version: 1, Answers: a, From: w.now.Add(-time.Hour), Until: w.now.Add(365 * day), By: "self", Form: w.form}
	if s, ok := w.facts.States[ConsentOf(w.con)].(*ConsentState); ok {
		d.Version = s.Version + 1
	}
	return w.event(by, ConsentOf(w.con), ConsentGiven, d)
}

// answer gives the next version of the consent, with a form of its own.
func (w *world) answer(by string, a Answers, set ...func(*ConsentGivenDetails)) {
	w.t.Helper()
	w.form = w.depositForm()
	e := w.giving(by, a)
	for _, f := range set {
		f(e.Details.(*ConsentGivenDetails))
	}
	w.do(e)
}

func (w *world) withdraw() {
	w.t.Helper()
	w.do(w.event("custodian 3", ConsentOf(w.con), ConsentWithdrawn, &ConsentWithdrawnDetails{"1234-5678"}))
}

func (w *world) consent() *ConsentState { return w.facts.States[ConsentOf(w.con)].(*ConsentState) }

func (w *world) ref() ConsentRef { return ConsentRef{w.con, w.consent().Version} }

// noted adds a note.
func noted(name string, to Audience) func(*Event) {
	return func(e *Event) { e.Notes = []Note{{name, to, SHA256([]byte(name)), 512}} }
}

// envelopes are for the keyring of the case and recovery.
func (w *world) envelopes() []EnvelopeRef {
	c := w.theCase()
	list := []EnvelopeRef{{c.Recovery, w.unique()}}
	for _, k := range c.Keyring {
		list = append(list, EnvelopeRef{k.Fingerprint, w.unique()})
	}
	slices.SortFunc(list, byRecipient)
	return list
}

// deposit is a new original on the consent.
func (w *world) deposit(by string, content Content, set ...func(*Event)) *Event {
	d := &ItemDepositedDetails{ItemRecipient: fakeRecipient(w.unique()), Class: Original, Content: content, Basis: ByConsent,
		Evidence: Evidence{w.unique(), 1000, w.unique()}, Description: File{w.unique(), 4500}, Label: File{w.unique(), 900}, Envelopes: w.envelopes()}
	if content == IdentityContent {
		d.Class = Identity
	}
	onConsent := func(e *Event) {
		if w.con != "" {
			if s, ok := w.facts.States[ConsentOf(w.con)].(*ConsentState); ok {
				e.Consent = []ConsentRef{{w.con, s.Version}}
			}
		}
	}
	return w.event(by, ItemOf(made[ItemID](w)), ItemDeposited, d, append([]func(*Event){onConsent}, set...)...)
}

// onOrder turns a deposit into one on a court order.
func onOrder(e *Event) {
	e.Details.(*ItemDepositedDetails).Basis = CourtOrder
	e.Consent = nil
	e.Authority = &Authority{Basis: CourtOrder}
	e.Notes = []Note{{"authority", ToInternal, SHA256([]byte("n")), 512}}
}

// item deposits an original and returns it.
func (w *world) item(by string, content Content, set ...func(*Event)) ItemID {
	w.t.Helper()
	e := w.deposit(by, content, set...)
	w.do(e)
	return ItemID(e.Stream.ID)
}

func (w *world) state(id ItemID) *ItemState { return w.facts.States[ItemOf(id)].(*ItemState) }

func (w *world) on(id ItemID, by string, k Kind, d Details, set ...func(*Event)) *Event {
	return w.event(by, ItemOf(id), k, d, set...)
}

func (w *world) seal(id ItemID) {
	w.t.Helper()
	w.do(w.on(id, "custodian", ItemSealed, &ItemSealedDetails{1, id}))
}

func (w *world) open(id ItemID, by string) *Event {
	e, _ := w.state(id).Envelope(w.p(by).fingerprint())
	digest := e.SHA256
	if digest.IsZero() {
		digest = w.unique()
	}
	return w.on(id, by, ItemOpened, &ItemOpenedDetails{digest}, func(e *Event) { e.Purpose = ForInvestigation })
}

func (w *world) verify(id ItemID, by, scope string, o Outcome) *Event {
	found := w.state(id).Evidence.SHA256
	if o == Failure {
		found = w.unique()
	}
	return w.on(id, by, ItemVerified, &ItemVerifiedDetails{scope, found}, func(e *Event) { e.Result = &Result{Outcome: o} })
}

// proposal is a grant to a court, police … of the world, for a week from now, in Germany.
func (w *world) proposal(id ItemID, by, to string) *Event {
	refs := []ConsentRef{}
	for _, c := range w.state(id).Consent {
		refs = append(refs, ConsentRef{c, w.facts.States[ConsentOf(c)].(*ConsentState).Version})
	}
	basis := "consent"
	if len(refs) == 0 {
		basis = "court_order"
	}
	r := w.p(to)
	return w.on(id, by, GrantProposed, &GrantProposedDetails{Terms{
		Actions: []Action{Download, View}, Consent: refs, Expires: w.now.Add(7 * day), ID: made[GrantID](w), Item: id, Jurisdiction: "DE",
		LegalBasis: basis, NotBefore: w.now, Purpose: ForAdjudication, Recipient: Keyholder{r.signer.ID, r.fingerprint()}, RecipientClass: r.signer.Role}})
}

func (w *world) approval(id ItemID, by string, g GrantID) *Event {
	return w.on(id, by, GrantApproved, &GrantApprovedDetails{g, w.state(id).Grant(g).Terms.Digest()})
}

// granted proposes and approves a grant.
func (w *world) granted(id ItemID, to string) GrantID {
	w.t.Helper()
	e := w.proposal(id, "clinician", to)
	w.do(e)
	g := e.Details.(*GrantProposedDetails).ID
	w.do(w.approval(id, "custodian", g))
	return g
}

func (w *world) wrap(id ItemID, by string, g GrantID) *Event {
	return w.on(id, by, ItemEnvelopeAdded, &ItemEnvelopeAddedDetails{
		EnvelopeRef{w.state(id).Grant(g).Terms.Recipient.Fingerprint, w.unique()}, CauseGrant, g})
}

func (w *world) redemption(id ItemID, by string, g GrantID) *Event {
	e, _ := w.state(id).Envelope(w.p(by).fingerprint())
	digest := e.SHA256
	if digest.IsZero() {
		digest = w.unique()
	}
	return w.on(id, by, GrantRedeemed, &GrantRedeemedDetails{g, View, digest})
}

func (w *world) receipt(id ItemID, by string, g GrantID) *Event {
	return w.on(id, by, GrantAcknowledged, &GrantAcknowledgedDetails{g, w.state(id).Evidence.SHA256, true, "strongroom-verify 1.0.0"})
}

func (w *world) export(id ItemID, by string, g GrantID) *Event {
	return w.on(id, by, ItemExported, &ItemExportedDetails{"package", g, strings.Repeat("a7", 16), w.unique()})
}

func (w *world) revoke(id ItemID, by string, g GrantID) *Event {
	return w.on(id, by, GrantRevoked, &GrantRevokedDetails{g, CauseRequest})
}

func (w *world) expire(id ItemID, g GrantID) *Event {
	return w.on(id, "vault", GrantExpired, &GrantExpiredDetails{g})
}

func (w *world) refusal(id ItemID, by string, g GrantID) *Event {
	return w.on(id, by, GrantRefused, &GrantRefusedDetails{g}, func(e *Event) {
		e.Notes = []Note{{"reason", ToInternal, w.unique(), 1024}}
	})
}

// newShared is newConsented with a sealed clinical item and an active grant to the court, whose envelope is written.
func newShared(t tb) (*world, ItemID, GrantID) {
	w := newConsented(t)
	id := w.item("clinician", Clinical)
	w.seal(id)
	g := w.granted(id, "court")
	w.do(w.open(id, "custodian"))
	w.do(w.wrap(id, "custodian", g))
	return w, id, g
}
