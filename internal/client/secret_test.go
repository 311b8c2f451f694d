package client

import (
	"bytes"
	"encoding/hex"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/dossier"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/wire"
)

// standIn replaces an event of an answer by what stands for a withheld one.
func standIn(e *wire.StreamEvent, until evidence.Time) {
	r, err := tlog.ParseReceipt(e.Receipt)
	if err != nil {
		panic(err)
	}
	e.Receipt, e.Withheld = nil, &wire.Withheld{Index: r.Index(), Checkpoint: string(r.Checkpoint()), Hashes: []string{}, Until: until.String()}
	for _, h := range r.Proof() {
		e.Withheld.Hashes = append(e.Withheld.Hashes, hex.EncodeToString(h))
	}
}

// A secret hold, seen by everybody around it: who may not know works on, sees that something is withheld and until when, and is shown exactly
// that afterwards. A vault that withholds more, or longer, is caught.
func TestSecretHold(t *testing.T) {
	later := options
	var drift atomic.Int64
	later.Now = func() time.Time { return time.Now().Add(time.Duration(drift.Load())) }
	w := newWorldWith(t, later)
	ctx := t.Context()
	in := w.openCase()
	consent := w.consent(in)
	item := w.deposit(w.clinician, in, consent, strings.NewReader("her photograph"))
	stream := evidence.ItemOf(item)
	survivor := w.enrol("survivor", evidence.Survivor, w.custodian, w.second)
	form, _, err := w.investigator.Deposit(ctx, Deposit{Case: in, Class: evidence.ConsentForm, Content: evidence.Testimony, Basis: evidence.ByConsent,
		Label: "Consent form", Description: Description{Name: "form 2.txt", MediaType: "text/plain"}, Body: strings.NewReader("I agree again.")})
	check(t, err)
	now := evidence.At(time.Now())
	_, _, _, err = w.clinician.GiveConsent(ctx, Consent{Consent: consent, Case: in, By: "self", Subject: survivor.Actor(),
		From: now.Add(-time.Hour), Until: now.Add(24 * time.Hour), Answers: evidence.Answers{Examination: evidence.Yes, Photographs: evidence.Yes, Storage: evidence.Yes,
			Courts: []evidence.CourtAnswer{{Jurisdiction: "DE", Photographs: evidence.Yes}}}, FormItem: form})
	check(t, err)
	_, err = w.custodian.Seal(ctx, item, 1)
	check(t, err)
	grant := w.grants(w.custodian, item, w.court)

	hold := Hold{ID: evidence.NewID[evidence.HoldID](), Basis: evidence.CourtOrder, Expires: now.Add(20 * time.Hour), Review: now.Add(10 * time.Hour), Secret: now.Add(time.Hour), Order: "Court 7, order 12"}
	placed, err := w.custodian.PlaceHold(ctx, item, hold)
	check(t, err)
	_, err = w.second.ConfirmHold(ctx, item, hold.ID)
	check(t, err)
	_, err = w.custodian.Open(ctx, Open{Item: item, Purpose: evidence.ForProsecution, Hold: hold.ID}, io.Discard)
	check(t, err)
	first := placed.Event.Stream.Seq
	secret := []int64{first, first + 1, first + 2}

	seen := func(c *Client, want ...int64) *View {
		t.Helper()
		v := must(c.Look(ctx, stream))(t)
		for seq := range v.Len(stream) {
			until := v.Withheld(stream, seq)
			if (until != 0) != slices.Contains(want, seq) || until != 0 && until != hold.Secret {
				t.Errorf("event %d is withheld until %s", seq, until)
			}
		}
		return v
	}
	seen(w.custodian.Client)
	for _, p := range []*person{survivor, w.clinician, w.investigator, w.court} {
		v := seen(p.Client, secret...)
		state := v.State(stream).(*evidence.ItemState)
		if len(state.Holds) != 0 || state.Held(v.Time) || state.Last.Seq != v.Len(stream)-1 {
			t.Errorf("seen with %d holds, to %d of %d", len(state.Holds), state.Last.Seq, v.Len(stream))
		}
		steps := must(p.History(ctx, stream))(t)
		if int64(len(steps)) != v.Len(stream)-3 {
			t.Errorf("%d steps are shown of %d", len(steps), v.Len(stream))
		}
		seen(w.client(p, nil), secret...) // another process, which remembers what it was promised
	}

	// Everybody works on as ever.
	_, err = w.investigator.Open(ctx, Open{Item: item, Purpose: evidence.ForInvestigation}, io.Discard)
	check(t, err)
	own := must(survivor.OwnItems(ctx, consent))(t)
	if i := slices.IndexFunc(own, func(l Listed) bool { return l.ID == item }); i < 0 || len(own[i].Holds) != 0 {
		t.Error("her own list")
	}
	verdict := func(c *Client) *dossier.Report {
		t.Helper()
		var file bytes.Buffer
		_, err := c.Export(ctx, Export{Item: item, Grant: grant}, &file)
		check(t, err)
		return must(dossier.Verify(bytes.NewReader(file.Bytes()), int64(file.Len()), dossier.Options{Trust: &w.trust, Identity: &w.court.identity}))(t)
	}
	r := verdict(w.court.Client)
	if rules := r.Check(dossier.CheckRules); r.Verdict != dossier.Incomplete || rules.Result != dossier.NotChecked || rules.Reason != dossier.ReasonWithheld ||
		r.Check(dossier.CheckComplete).Result != dossier.Pass || r.Check(dossier.CheckContent).Result != dossier.Pass {
		t.Errorf("the court's package before the date: %s %+v", r.Verdict, r.Checks)
	}
	_, _, err = survivor.WithdrawConsent(ctx, consent, "")
	check(t, err)
	_, err = w.custodian.ProposeShred(ctx, item, Shredding{Cause: evidence.CauseWithdrawal})
	wantReason(t, err, evidence.ReasonHeld)
	seen(survivor.Client, secret...)

	events := "/v1/streams/item/" + string(item) + "/events"
	at := func(l *wire.EventList, seq int64) *wire.StreamEvent {
		for i := range l.Events {
			if l.Events[i].Seq == seq && l.Events[i].Receipt != nil {
				return &l.Events[i]
			}
		}
		return new(wire.StreamEvent)
	}
	withhold := func(seq int64, until evidence.Time) *liar {
		return about("GET", events, func(l *wire.EventList) {
			if e := at(l, seq); e.Receipt != nil {
				standIn(e, until)
			}
		})
	}
	of := func(change func(*wire.StreamEvent)) *liar {
		return about("GET", events, func(l *wire.EventList) {
			for i := range l.Events {
				if l.Events[i].Withheld != nil {
					change(&l.Events[i])
					return
				}
			}
		})
	}
	for _, c := range []struct {
		name string
		lie  Lie
		liar *liar
	}{
		{"put off", Undue, of(func(e *wire.StreamEvent) { e.Withheld.Until = hold.Secret.Add(time.Millisecond).String() })},
		{"withheld after its date", Undue, of(func(e *wire.StreamEvent) { e.Withheld.Until = now.Add(-time.Hour).String() })},
		{"another leaf", NotIncluded, of(func(e *wire.StreamEvent) { e.LeafHash = strings.Repeat("11", 32) })},
		{"another place in the log", NotIncluded, of(func(e *wire.StreamEvent) { e.Withheld.Index++ })},
		{"with a statement", Malformed, of(func(e *wire.StreamEvent) { e.DSSE = []byte("x") })},
		{"a date that is none", Malformed, of(func(e *wire.StreamEvent) { e.Withheld.Until = "soon" })},
		{"the deposit", Unlawful, withhold(0, hold.Secret)},
		{"what a share rests on", Unlawful, withhold(1, hold.Secret)},
		{"a person's key", Unlawful, about("GET", "/v1/streams/actor/"+string(w.clinician.Actor())+"/events", func(l *wire.EventList) {
			if e := at(l, 1); e.Receipt != nil {
				standIn(e, hold.Secret)
			}
		})},
	} {
		wantLie(t, func() error { _, err := w.client(survivor, c.liar).Look(ctx, stream); return err }(), c.lie)
		if c.liar.told.Load() == 0 {
			t.Errorf("%s: the lie was never told", c.name)
		}
		seen(w.client(survivor, nil), secret...)
	}

	var old []byte
	_, err = w.client(w.clinician, record(func(path string, body []byte) {
		if path == events {
			old = body
		}
	})).Look(ctx, stream)
	check(t, err)

	// From custodians of the case, and from auditors, nothing is withheld, not for a moment.
	auditor := w.enrol("auditor", evidence.Auditor, w.admin, w.custodian)
	for _, p := range []*person{w.custodian, w.second, auditor} {
		for _, hide := range [][]int64{secret, secret[2:]} {
			lie := about("GET", events, func(l *wire.EventList) {
				for _, seq := range hide {
					if e := at(l, seq); e.Receipt != nil {
						standIn(e, hold.Secret)
					}
				}
			})
			_, err := w.client(p, lie).Look(ctx, stream)
			wantLie(t, err, Undue)
			if lie.told.Load() == 0 {
				t.Error("the lie was never told")
			}
			seen(w.client(p, nil))
		}
	}

	drift.Store(int64(time.Hour))
	for _, p := range []*person{survivor, w.clinician, w.investigator, w.court} {
		v := seen(w.client(p, nil))
		if state := v.State(stream).(*evidence.ItemState); !state.Hold(hold.ID).Confirmed(v.Time) {
			t.Error("the hold is not shown after its date")
		}
		e := must(v.Event(stream, first))(t)
		if leaf, _ := v.Leaf(stream, first); e.Kind != evidence.HoldPlaced || leaf != placed.Leaf {
			t.Errorf("%s %s is shown", e.Kind, leaf)
		}
		if v.Secret(stream, first) != hold.Secret || v.Secret(stream, 0) != 0 {
			t.Error("what was secret is not known")
		}
	}
	// Its clock may be a little behind; after that it withholds too long.
	drift.Store(int64(time.Hour + 3*time.Minute))
	_, err = w.client(w.clinician, instead("GET", events, func([]byte) []byte { return old })).Look(ctx, stream)
	wantLie(t, err, Undue)
}

// What was withheld without a secret hold is found when it is shown.
func TestUndulyWithheld(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	in := w.openCase()
	item := w.deposit(w.clinician, in, w.consent(in), strings.NewReader("her photograph"))
	stream := evidence.ItemOf(item)
	_, err := w.second.Open(ctx, Open{Item: item, Purpose: evidence.ForCare}, io.Discard)
	check(t, err)
	hiding := about("GET", "/v1/streams/item/"+string(item)+"/events", func(l *wire.EventList) {
		for i := range l.Events {
			if l.Events[i].Seq == 1 && l.Events[i].Receipt != nil {
				standIn(&l.Events[i], evidence.At(time.Now().Add(time.Hour)))
			}
		}
	})
	v := must(w.client(w.clinician, hiding).Look(ctx, stream))(t) // nobody can know yet
	if v.Withheld(stream, 1) == 0 {
		t.Fatal("not withheld")
	}
	_, err = w.client(w.clinician, nil).Look(ctx, stream)
	wantLie(t, err, Undue)
}

// A court gets a package that says what it lacks, and a whole one after the date.
func TestPackageUnderSecretHold(t *testing.T) {
	later := options
	var drift atomic.Int64
	later.Now = func() time.Time { return time.Now().Add(time.Duration(drift.Load())) }
	w := newWorldWith(t, later)
	ctx := t.Context()
	in := w.openCase()
	item := w.deposit(w.clinician, in, w.consent(in), strings.NewReader("her photograph"))
	now := evidence.At(time.Now())
	_, err := w.custodian.Seal(ctx, item, 1)
	check(t, err)
	grant := w.grants(w.custodian, item, w.court)
	_, err = w.custodian.PlaceHold(ctx, item, Hold{ID: evidence.NewID[evidence.HoldID](), Basis: evidence.CourtOrder, Expires: now.Add(20 * time.Hour),
		Review: now.Add(10 * time.Hour), Secret: now.Add(time.Hour), Order: "Court 7, order 12"})
	check(t, err)
	for _, want := range []dossier.Verdict{dossier.Incomplete, dossier.Verified} {
		var file bytes.Buffer
		_, err := w.client(w.court, nil).Export(ctx, Export{Item: item, Grant: grant}, &file)
		check(t, err)
		r := must(dossier.Verify(bytes.NewReader(file.Bytes()), int64(file.Len()), dossier.Options{Trust: &w.trust, Identity: &w.court.identity}))(t)
		if r.Verdict != want {
			t.Errorf("%s, want %s: %+v", r.Verdict, want, r.Checks)
		}
		if names := bytes.Contains(file.Bytes(), []byte(".withheld.json")); names != (want == dossier.Incomplete) {
			t.Errorf("%s: what stands for a withheld event is there: %v", want, names)
		}
		drift.Store(int64(time.Hour + time.Second))
	}
}
