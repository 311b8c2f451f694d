package dossier

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/custody"
	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/sealing"
)

func words(t *testing.T, r *Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := r.WriteText(&b, Telling{}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// exportedBy packs an item for the court under an export that somebody else signs, whatever the law says of it.
func (w *world) exportedBy(name string, m Manifest) *sample {
	w.t.Helper()
	files := w.contents(m)
	e := w.on(m.Items[0], name, ev.ItemExported, &ev.ItemExportedDetails{Form: "package", Grant: m.Grant, Nonce: courtNonce, Content: ContentDigest(Lists(files))})
	s := w.sign(e)
	state, err := ev.Apply(w.facts, e, s.LeafHash())
	if err != nil {
		n := *w.facts.States[ev.ItemOf(m.Items[0])].(*ev.ItemState)
		n.Last = ev.Tip{Seq: e.Stream.Seq, Leaf: s.LeafHash(), Time: e.Time}
		state = &n
	}
	w.accept(s, state)
	return w.finish(m, files, []ev.Stream{ev.ItemOf(m.Items[0])})
}

// Nobody signs for a package in the recipient's place.
func TestExportBySomebodyElse(t *testing.T) {
	w, id := newShared(t)
	m := Manifest{Grant: w.grant, Items: []ev.ItemID{id}, Nonce: courtNonce, Recipient: w.people["court"].fingerprint(), Vault: origin}
	wanted(t, verify(t, w, w.exportedBy("custodian 2", m).write(t), nil), Refused, CheckContent, ReasonExportSigner)

	w = newWorld(t)
	id = w.deposit("for the file")
	w.files[id].envelopes["court"] = w.files[id].envelopes["clinician"] // what contents packs
	w.do(w.on(id, "custodian", ev.ItemOpened, &ev.ItemOpenedDetails{Envelope: ev.SHA256(w.files[id].envelopes["custodian"])}, func(e *ev.Event) { e.Purpose = ev.ForCare }))
	m = Manifest{Items: []ev.ItemID{id}, Nonce: courtNonce, Recipient: w.people["clinician"].fingerprint(), Vault: origin}
	wanted(t, verify(t, w, w.exportedBy("custodian", m).write(t), nil), Refused, CheckContent, ReasonExportSigner)
}

// A statement that never passed the law says nothing on a terminal, and nothing in JSON.
func TestTextOfHostileStatement(t *testing.T) {
	w, id := newShared(t)
	w.people["mallory"] = &person{ev.Signer{ID: ev.NewID[ev.ActorID](), Role: ev.Custodian, Organization: ev.NewID[ev.OrgID]()}, must(custody.GenerateKey()), w.people["court"].age}
	e := w.on(id, "custodian", ev.ItemVerified, &ev.ItemVerifiedDetails{Scope: "ciphertext", Evidence: ev.SHA256(w.files[id].evidence)},
		func(e *ev.Event) { e.Result = &ev.Result{Outcome: ev.Success} })
	text := bytes.Replace(w.sign(e).Payload(), []byte(`"role":"custodian"`), []byte(`"role":"\u001b[2J\u001b[HVERIFIED   Genuine.\u001b[8m"`), 1)
	sg := w.signText("mallory", text)
	w.accept(sg, must(ev.Apply(w.facts, e, sg.LeafHash())))
	r := verify(t, w, w.pack(id).write(t), nil)
	if r.Verdict != Refused {
		t.Fatal(r.Verdict)
	}
	if out := words(t, r); strings.ContainsRune(out, 0x1b) || strings.Contains(out, "Genuine") {
		t.Errorf("%q", out)
	}
	if out := must(json.Marshal(r)); bytes.Contains(out, []byte("Genuine")) {
		t.Errorf("%s", out)
	}
	if got := r.Events[8]; got.Judged || got.Role != "" || got.Kind != "" {
		t.Errorf("%+v", got)
	}
	if got := r.Events[9]; got.Judged || !strings.HasPrefix(got.What, "Claimed, but not accepted: ") {
		t.Errorf("%+v", got)
	}
}

func TestTextIsPrintable(t *testing.T) {
	bad := "one\x1b[2J\n\u009b2J\u202etwo\u2069\u2068" + strings.Repeat("x", 300) + " \u65e5 end"
	r := Report{Verdict: Refused, Checks: []CheckResult{{CheckComplete, Fail, "r", bad}}, details: []telling{telling(bad)}}
	for _, l := range languages(t) {
		var b bytes.Buffer
		if err := r.WriteText(&b, Telling{Language: l, Verifier: bad}); err != nil {
			t.Fatal(err)
		}
		written := l.letters()
		for i, line := range strings.Split(b.String(), "\n") {
			if cells(line) > textWidth || strings.ContainsFunc(strings.NewReplacer("\u2068", "", "\u2069", "").Replace(line), func(r rune) bool { return (r < ' ' || r > '~') && !written[r] }) {
				t.Errorf("%s, line %d: %q", l.Tag(), i, line)
			}
			if !balanced(line) || l.Direction() == "ltr" && strings.ContainsAny(line, "\u2068\u2069") {
				t.Errorf("%s, line %d turns the words of others: %q", l.Tag(), i, line)
			}
		}
		if strings.Count(b.String(), "x") < 600 || !strings.Contains(b.String(), "? end") {
			t.Errorf("%s: it is not said:\n%s", l.Tag(), b.String())
		}
	}
}

// balanced reports whether each isolate is closed in the line in which it is opened.
func balanced(line string) bool {
	open := 0
	for _, r := range line {
		switch r {
		case isolated:
			open++
		case closed:
			open--
		}
		if open < 0 {
			return false
		}
	}
	return open == 0
}

// Keyless: garbage in the first place, the deposit in the second.
func TestReportOfMovedDeposit(t *testing.T) {
	s, id := newPackage(t)
	s.replace(s.event(ev.ItemOf(id), 1), s.file(s.event(ev.ItemOf(id), 0)))
	s.replace(s.event(ev.ItemOf(id), 0), []byte("{}"))
	if r := verify(t, s.w, s.write(t), nil); r.Verdict != Refused || len(r.Items) != 0 {
		t.Errorf("%s, %d items", r.Verdict, len(r.Items))
	}
}

// described is a package with one item whose description says what describe makes.
func described(t *testing.T, text string, describe func(sha string, size int) string, set ...func(*ev.Event)) *Report {
	w := newWorld(t)
	w.describe = describe
	id := w.deposit(text, set...)
	w.describe = nil
	if text == "" {
		w.files[id].evidence = nil
	}
	w.seal(id, 1)
	w.grant = ev.NewID[ev.GrantID]()
	w.share(id)
	court := w.people["court"].age
	return verify(t, w, w.pack(id).write(t), &court)
}

// The verifier reads the digest that a stock tool would read.
func TestVerifyFoldedDescription(t *testing.T) {
	r := described(t, "evidence", func(sha string, size int) string {
		return fmt.Sprintf(`{"media_type":"","name":"","sha256":"%s","size":1,"ſha256":"%s","ſize":%d}`, ev.SHA256([]byte("other")), sha, size)
	})
	wanted(t, r, Refused, CheckContent, ReasonDescriptionForm)
}

// What a person called the file never names one, but for a plain extension.
func TestExtension(t *testing.T) {
	for name, want := range map[string]string{"a.JPG": ".JPG", "a.tar.gz": ".gz", "a": "", "a.b/../c": "", "a.\x1b[2J": "", "": ""} {
		if got := plainExtension.FindString(name); got != want {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
	}
}

func alone(e *ev.Event) {
	d := e.Details.(*ev.ItemDepositedDetails)
	d.Class, d.Evidence = ev.DescriptionOnly, ev.Evidence{SHA256: ev.SHA256(nil), Tree: ev.SHA256(nil)}
}

// A description alone opens, without a file, and may not speak of one.
func TestVerifyDescriptionAlone(t *testing.T) {
	r := described(t, "", nil, alone)
	wanted(t, r, Verified, CheckContent, "")
	if shows := fmt.Sprint(r.Shows); !strings.Contains(shows, "there is no file") || strings.Contains(shows, "the opened file") {
		t.Error(shows)
	}
	if o := r.Opened(); len(o) != 1 || !o[0].NoFile || o[0].Extension != ".txt" {
		t.Errorf("%+v", o)
	}
	r = described(t, "", func(string, int) string {
		return `{"media_type":"","name":"","sha256":"` + ev.SHA256([]byte("no such file")).String() + `","size":7777}`
	}, alone)
	wanted(t, r, Refused, CheckContent, ReasonNoFileDescribed)
}

// A share that is over does not look alive.
func TestReportOfShareThatIsOver(t *testing.T) {
	for name, c := range map[string]struct {
		end    func(w *world, id ev.ItemID)
		status ev.GrantStatus
		text   string
	}{
		"alive": {func(*world, ev.ItemID) {}, ev.GrantActive, "The share was in force on"},
		"revoked": {func(w *world, id ev.ItemID) {
			w.do(w.on(id, "custodian", ev.GrantRevoked, &ev.GrantRevokedDetails{Grant: w.grant, Cause: ev.CauseCompromise}))
		}, ev.GrantEnded, "ended before its time"},
		"run out":   {func(w *world, id ev.ItemID) { w.now = w.now.Add(8 * day) }, ev.GrantOver, "its time has run out"},
		"withdrawn": {func(w *world, id ev.ItemID) { w.withdraw() }, ev.GrantActive, "a consent that it rests on is over"},
	} {
		w, id := newShared(t)
		m := Manifest{Grant: w.grant, Items: []ev.ItemID{id}, Nonce: courtNonce, Recipient: w.people["court"].fingerprint(), Vault: origin}
		files := w.contents(m)
		w.do(w.on(id, "court", ev.ItemExported, &ev.ItemExportedDetails{Form: "package", Grant: w.grant, Nonce: courtNonce, Content: ContentDigest(Lists(files))}))
		c.end(w, id)
		s := w.finish(m, files, []ev.Stream{ev.ItemOf(id)})
		r := verify(t, w, s.write(t), nil)
		n := r.Items[0]
		if r.Verdict != Verified || n.Share.Status != c.status || !strings.Contains(strings.Join(strings.Fields(words(t, r)), " "), c.text) {
			t.Errorf("%s: %s, %q\n%s", name, r.Verdict, n.Share.Status, words(t, r))
		}
		if len(n.Consent) != 1 || n.Consent[0].ID != w.con || (n.Consent[0].Withdrawn != 0) != (name == "withdrawn") {
			t.Errorf("%s: %+v", name, n.Consent)
		}
		if n.Recipient != m.Recipient || n.Nonce != courtNonce || n.Covers != s.manifest.Covers || n.AsOf == 0 {
			t.Errorf("%s: %+v", name, n)
		}
	}
}

// A note that was recorded before the export is in the package, or the package is not whole.
func TestVerifyNoteLeftOut(t *testing.T) {
	w := newWorld(t)
	id := w.deposit("with notes")
	w.seal(id, 1)
	w.grant = ev.NewID[ev.GrantID]()
	to := func(a ev.Audience) func(*ev.Event) {
		sealed := must(sealing.SealNote("page 3 is forged", w.files[id].key.Recipient()))
		return func(e *ev.Event) {
			e.Notes = []ev.Note{{Name: "remark", Audience: a, SHA256: ev.SHA256(sealed), Size: int64(len(sealed))}}
			if e.Kind == ev.ItemVerified {
				e.Result = &ev.Result{Outcome: ev.Success}
			}
		}
	}
	found := func(set func(*ev.Event)) *ev.Event {
		return w.on(id, "custodian", ev.ItemVerified, &ev.ItemVerifiedDetails{Scope: "ciphertext", Evidence: ev.SHA256(w.files[id].evidence)}, set)
	}
	w.share(id)
	m := Manifest{Grant: w.grant, Items: []ev.ItemID{id}, Nonce: courtNonce, Recipient: w.people["court"].fingerprint(), Vault: origin}
	files := w.contents(m)
	export := func() *ev.Event {
		return w.on(id, "court", ev.ItemExported, &ev.ItemExportedDetails{Form: "package", Grant: w.grant, Nonce: courtNonce, Content: ContentDigest(Lists(files))})
	}
	w.do(export())
	w.do(found(to(ev.ToItem))) // after it
	wanted(t, verify(t, w, w.finish(m, files, []ev.Stream{ev.ItemOf(id)}).write(t), nil), Verified, CheckContent, ReasonNoIdentity)
	w = newWorld(t)
	id = w.deposit("with notes")
	w.seal(id, 1)
	w.do(found(to(ev.ToItem)))
	w.grant = ev.NewID[ev.GrantID]()
	w.share(id)
	wanted(t, verify(t, w, w.pack(id).write(t), nil), Incomplete, CheckContent, ReasonNoteMissing)

	// A note to the recipient of another share is not for this court.
	for _, mine := range []bool{true, false} {
		w = newWorld(t)
		id = w.deposit("with notes")
		w.seal(id, 1)
		w.grant = ev.NewID[ev.GrantID]()
		e := w.proposal(id)
		to(ev.ToRecipient)(e)
		w.do(e)
		if mine {
			w.do(w.approval(id, "custodian 2"))
			w.envelope(id)
			w.do(w.redemption(id))
			wanted(t, verify(t, w, w.pack(id).write(t), nil), Incomplete, CheckContent, ReasonNoteMissing)
			continue
		}
		w.grant = ev.NewID[ev.GrantID]()
		w.share(id)
		wanted(t, verify(t, w, w.pack(id).write(t), nil), Verified, CheckContent, ReasonNoIdentity)
	}
}

// secondCase opens another case with the same people, and its own consent.
func (w *world) secondCase() {
	w.cas, w.con = ev.NewID[ev.CaseID](), ""
	d := &ev.CaseOpenedDetails{Type: "case", Recovery: ev.Fingerprint(nil, w.recovery.Recipient()), LabelKey: ev.LabelKey{Recipient: must(sealing.NewItemKey()).Recipient()}}
	d.LabelKey.Envelopes = []ev.EnvelopeRef{{Recipient: d.Recovery, SHA256: ev.SHA256([]byte("recovery"))}}
	for name, rights := range map[string][]ev.Right{"clinician": {ev.MayDeposit, ev.MayOpen}, "custodian": {ev.MayApprove, ev.MayManage, ev.MayOpen}, "custodian 2": {ev.MayApprove, ev.MayOpen}} {
		p := w.people[name]
		d.Members = append(d.Members, ev.Member{Actor: p.ID, Rights: rights})
		d.Keyring = append(d.Keyring, ev.Keyholder{Actor: p.ID, Fingerprint: p.fingerprint()})
		d.LabelKey.Envelopes = append(d.LabelKey.Envelopes, ev.EnvelopeRef{Recipient: p.fingerprint(), SHA256: ev.SHA256([]byte(name))})
	}
	slices.SortFunc(d.Members, func(a, b ev.Member) int { return cmp.Compare(a.Actor, b.Actor) })
	slices.SortFunc(d.Keyring, func(a, b ev.Keyholder) int { return cmp.Compare(a.Actor, b.Actor) })
	slices.SortFunc(d.LabelKey.Envelopes, byRecipient)
	w.do(w.event("clinician", ev.CaseOf(w.cas), ev.CaseOpened, d))
	form := w.deposit("the form", func(e *ev.Event) {
		e.Consent = nil
		e.Details.(*ev.ItemDepositedDetails).Class = ev.ConsentForm
	})
	w.con = ev.NewID[ev.ConsentID]()
	w.do(w.event("clinician", ev.ConsentOf(w.con), ev.ConsentGiven, &ev.ConsentGivenDetails{Version: 1, From: w.now.Add(-time.Hour), Until: w.now.Add(365 * day), By: "self", Form: form,
		Answers: ev.Answers{Examination: ev.Yes, Photographs: ev.Yes, Storage: ev.Yes, PoliceInformation: ev.No, PolicePhotographs: ev.No, PolicePhysical: ev.No, Research: ev.No,
			Courts: []ev.CourtAnswer{{Jurisdiction: "DE", Information: ev.Yes, Photographs: ev.Yes, Physical: ev.No}}}}))
}

// One exhibit number belongs to one item of a case, and one key to one item; two cases may have one number.
func TestVerifyDistinctItems(t *testing.T) {
	for name, reason := range map[string]string{"one case": ReasonExhibitTwice, "two cases": "", "one key": ReasonItemKeyTwice} {
		w := newWorld(t)
		w.grant = ev.NewID[ev.GrantID]()
		first := w.deposit("first")
		w.seal(first, 1)
		w.share(first)
		var second ev.ItemID
		switch name {
		case "two cases":
			w.secondCase()
			second = w.deposit("second")
		case "one case":
			second = w.deposit("second")
		case "one key":
			second = ev.NewID[ev.ItemID]()
			var d ev.ItemDepositedDetails
			for _, l := range w.logged {
				if x, ok := l.signed.Event().Details.(*ev.ItemDepositedDetails); ok && l.signed.Event().Stream.ID == string(first) {
					d = *x
				}
			}
			w.do(w.event("clinician", ev.ItemOf(second), ev.ItemDeposited, &d, func(e *ev.Event) { e.Consent = []ev.ConsentRef{{ID: w.con, Version: 1}} }))
			f := *w.files[first]
			w.files[second] = &f
		}
		if name == "one key" {
			w.seal(second, 2)
		} else {
			w.seal(second, 1)
		}
		w.share(second)
		m := Manifest{Grant: w.grant, Items: []ev.ItemID{first, second}, Nonce: courtNonce, Recipient: w.people["court"].fingerprint(), Vault: origin}
		slices.Sort(m.Items)
		files := w.contents(m)
		for _, id := range m.Items {
			w.cas = w.facts.States[ev.ItemOf(id)].(*ev.ItemState).Case
			w.do(w.on(id, "court", ev.ItemExported, &ev.ItemExportedDetails{Form: "package", Grant: w.grant, Nonce: courtNonce, Content: ContentDigest(Lists(files))}))
		}
		court := w.people["court"].age
		r := verify(t, w, w.finish(m, files, []ev.Stream{ev.ItemOf(first), ev.ItemOf(second)}).write(t), &court)
		if reason == "" {
			wanted(t, r, Verified, CheckRules, "")
		} else {
			wanted(t, r, Refused, CheckRules, reason)
		}
	}
}

// Files for other tools: keys are those their names say; what no verdict rests on is named.
func TestVerifyFilesForOthers(t *testing.T) {
	pack := func(path string, contents []byte) *Report {
		w, id := newShared(t)
		m := Manifest{Grant: w.grant, Items: []ev.ItemID{id}, Nonce: courtNonce, Recipient: w.people["court"].fingerprint(), Vault: origin}
		files := slices.DeleteFunc(w.contents(m), func(f File) bool { return f.Path == path })
		if path == "signer" {
			i := slices.IndexFunc(files, func(f File) bool { return strings.HasPrefix(f.Path, "trust/signers/") })
			path = files[i].Path
			files = slices.Delete(files, i, i+1)
		}
		files = append(files, BytesFile(path, contents))
		w.do(w.on(id, "court", ev.ItemExported, &ev.ItemExportedDetails{Form: "package", Grant: w.grant, Nonce: courtNonce, Content: ContentDigest(Lists(files))}))
		return verify(t, w, w.finish(m, files, []ev.Stream{ev.ItemOf(id)}).write(t), nil)
	}
	other := signerFile(must(custody.GenerateKey()).SPKI())
	key := new(bytes.Buffer)
	must(key.ReadFrom(must(other.Open())))
	wanted(t, pack("signer", key.Bytes()), Refused, CheckPackage, ReasonSignerFile)
	wanted(t, pack("signer", []byte("another key")), Refused, CheckPackage, ReasonSignerFile)
	wanted(t, pack("signer", bytes.Repeat(key.Bytes(), 100)), Refused, CheckPackage, ReasonSignerFile)
	wanted(t, pack(other.Path, key.Bytes()), Verified, CheckPackage, "")
	for _, path := range []string{"trust/trusted_root.json", "trust/witness_policy", "README.html", "VERIFY.html", "tools/verify.py"} {
		r := pack(path, []byte("another"))
		wanted(t, r, Verified, CheckPackage, "")
		if !strings.Contains(strings.Join(r.DoesNotShow, "\n"), "What "+path) {
			t.Errorf("%s: %v", path, r.DoesNotShow)
		}
	}
	s, _ := newPackage(t)
	if r := verify(t, s.w, s.write(t), nil); strings.Contains(strings.Join(r.DoesNotShow, "\n"), "trust/") {
		t.Error(r.DoesNotShow)
	}
}
