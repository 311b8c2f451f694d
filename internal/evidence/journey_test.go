package evidence

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
	"time"
)

// journey is the whole way of one item: deposit, seal, verify, share, redeem, acknowledge, export, revoke.
func journey(t testing.TB) (*world, ItemID, GrantID) {
	w, id, g := newShared(t)
	w.do(w.verify(id, "custodian", "content", Success))
	w.do(w.verify(id, "vault", "ciphertext", Success))
	w.do(w.redemption(id, "court", g))
	w.do(w.receipt(id, "court", g))
	w.do(w.export(id, "court", g))
	w.do(w.revoke(id, "custodian 3", g))
	w.do(w.event("vault", VaultOf(origin), VaultHeads, &VaultHeadsDetails{10, 9, []int64{4}, w.unique()}))
	return w, id, g
}

// fates is what may become of items beside being shared: held, opened in an emergency, handed over, narrowed, copied, shredded.
func fates(t testing.TB) *world {
	w := newSubject(t)
	id, kit := w.item("clinician", Clinical), w.item("clinician", Physical)
	w.do(w.open(id, "clinician"))
	derived := w.item("clinician", Clinical, func(e *Event) {
		e.Details.(*ItemDepositedDetails).Class, e.Details.(*ItemDepositedDetails).Source = Derived, id
	})
	w.do(w.on(id, "clinician", ItemDerived, &ItemDerivedDetails{derived, Derived, Tool{"t", "1", ""}}))
	w.do(w.amending(id, "clinician"))
	w.do(w.copying(id, "clinician", "survivor"))
	w.do(w.ownOpening(id, "survivor"))
	w.do(w.delegating("survivor", "advocate", "narrow", "read"))
	w.breakGlass(id)
	w.do(w.review(id, "auditor", w.state(id).Last.Leaf, true))
	w.do(w.transferring(kit, "clinician", Police, "police"))
	w.do(w.receiving(kit, "police", false))
	w.do(w.transferring(kit, "custodian", Court, ""))
	w.do(w.retaining(id, "custodian", "medical_record", w.now.Add(900*day)))
	w.do(w.retaining(id, "custodian", "medical_record", w.now.Add(100*day)))
	h := w.hold(id)
	w.do(w.onBehalf(w.narrowing("advocate", func(a *Answers) { a.Courts = nil }), "survivor"))
	w.do(w.undelegating("advocate", "advocate"))
	w.do(w.lifting(id, "custodian 3", h))
	w.do(w.shredProposal(id, "custodian", CauseDraft))
	w.do(w.cancelling(id, "custodian"))
	w.do(w.shredProposal(derived, "custodian", CauseOrder))
	w.shred(id, CauseDraft)
	w.close()
	w.do(w.event("custodian", CaseOf(w.cas), CaseReopened, &CaseReopenedDetails{CauseNewFacts}))
	w.do(w.recovering("trustee", id))
	w.do(w.event("auditor", PolicyOf(origin), VaultIncident, &VaultIncidentDetails{"outage", w.now.Add(-day), 0, "vault"}))
	w.do(w.restoring())
	return w
}

func TestJourney(t *testing.T) {
	w, id, g := journey(t)
	s := w.state(id)
	if !s.Sealed || !s.Confirmed || s.Exhibit != 1 || s.Root != id || len(s.OpenedBy) != 1 {
		t.Errorf("item after its journey: %+v", s)
	}
	if g := s.Grant(g); g.Status != GrantEnded || !g.Acknowledged || g.Unequal || len(g.Redeemed) != 1 || g.Custodian == g.ProposedBy {
		t.Errorf("grant after its journey: %+v", g)
	}
	if _, ok := s.Envelope(w.p("court").fingerprint()); ok {
		t.Error("the envelope of a revoked grant still exists")
	}
	if len(s.Envelopes) != 5 {
		t.Errorf("%d envelopes, want four keyholders and recovery", len(s.Envelopes))
	}
}

// Every accepted event survives JSON unchanged, and every state too.
func TestJSONIdentity(t *testing.T) {
	w, _, _ := journey(t)
	identical(t, w)
	identical(t, fates(t))
}

func identical(t *testing.T, w *world) {
	t.Helper()
	for _, e := range w.log {
		b, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(b, []byte("null")) {
			t.Errorf("%s encodes null: %s", e.Kind, b)
		}
		var back Event
		if err := json.Unmarshal(b, &back); err != nil {
			t.Fatalf("%s: %v", e.Kind, err)
		}
		again, err := json.Marshal(back)
		if err != nil || !bytes.Equal(b, again) {
			t.Errorf("%s encodes as %s, then as %s (%v)", e.Kind, b, again, err)
		}
		back.Subject = e.Subject
		if err := back.Check(); err != nil {
			t.Errorf("%s decoded: %v", e.Kind, err)
		}
	}
	for stream, s := range w.facts.States {
		b, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		back, err := NewState(stream.Type)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(b, back); err != nil {
			t.Fatalf("%s: %v", stream.Type, err)
		}
		again, _ := json.Marshal(back)
		if !bytes.Equal(b, again) || back.Tip() != s.Tip() {
			t.Errorf("%s state encodes as %s, then as %s", stream.Type, b, again)
		}
	}
}

// Lists that the format always carries are never null, whatever the kind; marshalling leaves the event alone.
func TestEmptyListsAreWritten(t *testing.T) {
	for k := range kinds {
		d, err := NewDetails(k)
		if err != nil {
			t.Fatal(err)
		}
		e := Event{Kind: k, Details: d, Time: 1}
		if o, ok := d.(*CaseOpenedDetails); ok {
			o.Members = []Member{{}}
		}
		before := reflect.ValueOf(d).Elem().Interface()
		b, err := json.Marshal(e)
		if err != nil || bytes.Contains(b, []byte("null")) {
			t.Errorf("%s: %s %v", k, b, err)
		}
		if !reflect.DeepEqual(before, reflect.ValueOf(d).Elem().Interface()) || e.ReliedOn != nil {
			t.Errorf("%s: marshalling changed the event", k)
		}
		if o, ok := d.(*CaseOpenedDetails); ok && o.Members[0].Rights != nil {
			t.Error("marshalling changed a member of the event")
		}
	}
}

func TestUnmarshalRefuses(t *testing.T) {
	w := newVault(t)
	good, _ := json.Marshal(w.log[1])
	replace := func(old, new string) []byte {
		b := bytes.Replace(good, []byte(old), []byte(new), 1)
		if bytes.Equal(b, good) {
			t.Fatalf("%s is not in %s", old, good)
		}
		return b
	}
	for _, c := range []struct {
		name   string
		in     []byte
		kind   ErrorKind
		reason string
	}{
		{"another kind", replace(`"vault.configured"`, `"vault.melted"`), Unknown, ReasonKind},
		{"field beside", replace(`"tool":`, `"mood":"good","tool":`), Unknown, ReasonField},
		{"field in details", replace(`"rules":3`, `"rules":1,"mood":"good"`), Unknown, ReasonField},
		{"field in policy", replace(`"confirm_wait":`, `"mood":1,"confirm_wait":`), Unknown, ReasonField},
		{"fraction", replace(`"rules":3`, `"rules":1.5`), Invalid, ReasonJSON},
		{"not an object", []byte(`[]`), Invalid, ReasonJSON},
		{"no details", []byte(`{"kind":"vault.configured"}`), Invalid, ReasonDetails},
		{"null details", []byte(`{"kind":"vault.configured","details":null}`), Invalid, ReasonDetails},
		{"list as details", []byte(`{"kind":"vault.configured","details":[]}`), Invalid, ReasonDetails},
		{"time with an offset", replace(`000Z"`, `000+00:00"`), Invalid, ReasonTime},
		{"short digest", replace(`"head":"`, `"head":"0`), Invalid, ReasonDigest},
	} {
		t.Run(c.name, func(t *testing.T) {
			var e Event
			err := json.Unmarshal(c.in, &e)
			refused(t, err, c.kind, c.reason)
		})
	}
}

func FuzzEvent(f *testing.F) {
	w, _, _ := journey(f)
	for _, e := range append(fates(f).log, w.log...) {
		b, err := json.Marshal(e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var e Event
		if json.Unmarshal(b, &e) != nil {
			return
		}
		first, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		if e.Check() != nil {
			return // some values, like a time of zero, have no second spelling
		}
		var back Event
		if err := json.Unmarshal(first, &back); err != nil {
			t.Fatalf("%v in %s", err, first)
		}
		second, err := json.Marshal(back)
		if err != nil || !bytes.Equal(first, second) {
			t.Fatalf("%s became %s (%v)", first, second, err)
		}
		StandsOn(nil, &e)
		e.Subjects(nil)
		for _, own := range w.facts.States {
			StandsOn(own, &e)
			e.Subjects(own)
		}
		if _, err := Apply(w.facts, &e, SHA256(b)); err != nil && KindOf(err) == Internal {
			t.Fatal(err)
		}
	})
}

// The digest of terms is that of their canonical JSON: members sorted by name, no spaces, nothing to escape.
func TestTermsDigest(t *testing.T) {
	w := newConsented(t)
	id := w.item("clinician", Clinical)
	for _, set := range []func(*Terms){
		func(*Terms) {},
		func(t *Terms) { t.Consent = nil },
		func(t *Terms) { t.CoolingOff = t.NotBefore.Add(time.Hour) },
	} {
		terms := &w.proposal(id, "clinician", "court").Details.(*GrantProposedDetails).Terms
		set(terms)
		b, err := json.Marshal(terms)
		if err != nil {
			t.Fatal(err)
		}
		var m map[string]any
		if err := json.Unmarshal(b, &m); err != nil {
			t.Fatal(err)
		}
		if terms.Consent == nil {
			m["consent"] = []any{}
		}
		sorted, err := json.Marshal(m) // maps are written in the order of their keys
		if err != nil {
			t.Fatal(err)
		}
		if terms.Digest() != SHA256(sorted) {
			t.Errorf("the digest is not over %s", sorted)
		}
	}
}

func TestCheckClock(t *testing.T) {
	now := time.Date(2027, 3, 1, 9, 0, 0, 0, time.UTC)
	for _, d := range []time.Duration{0, Clock, -Clock} {
		if err := CheckClock(&Event{Time: At(now.Add(d))}, now); err != nil {
			t.Errorf("%v: %v", d, err)
		}
	}
	for _, d := range []time.Duration{Clock + time.Millisecond, -Clock - time.Millisecond} {
		refused(t, CheckClock(&Event{Time: At(now.Add(d))}, now), Invalid, ReasonClock)
	}
}

func BenchmarkApply(b *testing.B) {
	w, id, g := newShared(b)
	for _, e := range []*Event{w.deposit("clinician", Clinical), w.open(id, "custodian"), w.redemption(id, "court", g), w.opening()} {
		if e.Kind == CaseOpened {
			w.cas = NewID[CaseID]()
			e = w.opening()
		}
		b.Run(string(e.Kind), func(b *testing.B) {
			for b.Loop() {
				if _, err := Apply(w.facts, e, Hash{1}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
