package client

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/audit"
	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/daemon"
	"strongroom.example/strongroom/internal/dossier"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/keys"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/wire"
)

// lively is a world in which something happened, with an auditor.
func lively(t *testing.T) (*world, *person, evidence.CaseID) {
	w := newWorld(t)
	auditor := w.enrol("auditor", evidence.Auditor, w.admin, w.custodian)
	in := w.openCase()
	consent := w.consent(in)
	w.deposit(w.clinician, in, consent, bytes.NewReader(random(1000)))
	w.deposit(w.clinician, in, consent, bytes.NewReader(random(1000)))
	return w, auditor, in
}

func (w *world) follow(c *Client, dir string) *Following {
	w.Helper()
	f := must(c.Follow(w.Context(), dir, nil))(w)
	w.Cleanup(func() { f.Close() })
	return f
}

// settled is a step after which all but the newest publications are covered: the vault publishes when it is quiet.
func settled(t testing.TB, f *Following) audit.Step {
	t.Helper()
	for range 200 {
		step := must(f.Step(t.Context()))(t)
		if cp, _ := f.State.Head(); f.HashesOnly || cp.Size-f.State.Covers() == 1 {
			return step
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("the vault does not publish")
	return audit.Step{}
}

// TestFollow follows a real vault from outside while it grows, as an auditor and as somebody with no more than address and trust file.
func TestFollow(t *testing.T) {
	w, auditor, in := lively(t)
	w.strict = true
	ctx := t.Context()
	dir := t.TempDir()
	f := w.follow(w.client(auditor, nil), dir)
	settled(t, f)
	if cp, _ := f.State.Head(); f.State.Read() != f.State.Covers() || f.State.Read() < cp.Size-10 {
		t.Errorf("%d statements were read of %d", f.State.Read(), cp.Size)
	}

	outsider := w.connect(w.newPerson("outsider"))
	outsider.Client = must(New(Config{Keystore: outsider.folder, HTTP: http.DefaultClient, Tool: tool, Now: time.Now}))(t)
	o := w.follow(outsider.Client, t.TempDir())
	if step := settled(t, o); !o.HashesOnly || step.Size == 0 || o.State.Covers() != 0 || o.State.Read() != 0 {
		t.Errorf("an outsider: %+v", step)
	}
	if !w.follow(w.custodian.Client, t.TempDir()).HashesOnly {
		t.Error("a custodian is told the keys")
	}

	check(t, f.Close())
	before, _ := f.State.Head()
	must(w.custodian.AddMember(ctx, in, evidence.Member{Actor: w.clinician.Actor(), Rights: []evidence.Right{evidence.MayDeposit, evidence.MayOpen}}, ""))(t)
	f = w.follow(auditor.Client, dir)
	settled(t, f)
	if now, _ := f.State.Head(); now.Size <= before.Size {
		t.Error("nothing new was followed")
	}
	settled(t, o)
	a, _ := f.State.Head()
	b, _ := o.State.Head()
	if r := must(audit.Compare(a, b, nil, nil, f.State))(t); r != audit.Same && r != audit.Extends {
		t.Errorf("the two auditors saw %q", r)
	}
}

// TestFollowLies tells an auditor of a real vault one lie at a time, on the wire or signed with the vault's own keys.
func TestFollowLies(t *testing.T) {
	w, auditor, _ := lively(t)
	ctx := t.Context()
	dir := t.TempDir()
	settled(t, w.follow(auditor.Client, dir))
	early := must(w.custodian.getCheckpoint(ctx))(t)
	seen := must(tlog.OpenCheckpoint(early, w.trust.LogKeys()))(t)
	w.openCase()
	now := must(w.custodian.getCheckpoint(ctx))(t)
	size := must(tlog.OpenCheckpoint(now, w.trust.LogKeys()))(t).Size
	f := w.forger()
	vault := must(w.logKey("vault.pem"))(t)
	publications := "/v1/streams/vault/" + w.trust.Vault() + "/events"
	signedAnew := func(change func(e *evidence.Event, d *evidence.VaultHeadsDetails)) *liar {
		return about("GET", publications, func(l *wire.EventList) {
			if len(l.Events) == 0 || l.Events[0].Receipt == nil {
				return
			}
			e := *eventIn(t, l.Events[0].Receipt)
			d := *e.Details.(*evidence.VaultHeadsDetails)
			change(&e, &d)
			e.Details = &d
			l.Events[0].Receipt = f.instead(l.Events[0].Receipt, must(custody.Sign(&e, vault.SPKI(), vault))(t))
		})
	}
	bytesOf := func(path string, change func([]byte) []byte) *liar { return instead("GET", path, change) }
	for _, c := range []struct {
		name string
		want audit.Reason
		liar *liar
	}{
		{"head by another key", audit.UnsignedHead, bytesOf("/v1/log/checkpoint", func(b []byte) []byte { return bytes.Replace(b, []byte("\n\n"), []byte("\n\n\n"), 1) })},
		{"two roots of one size", audit.TwoRoots, bytesOf("/v1/log/checkpoint", func([]byte) []byte { return f.sign(seen.Size, tlog.Hash{1}) })},
		{"larger tree of another history", audit.Forked, bytesOf("/v1/log/checkpoint", func([]byte) []byte { return f.sign(size+7, tlog.Hash{1}) })},
		{"smaller tree of another history", audit.Forked, bytesOf("/v1/log/checkpoint", func([]byte) []byte { return f.sign(seen.Size-1, tlog.Hash{1}) })},
		{"leaf changed", audit.FalseLeaves, bytesOf("/v1/log/leaves", func(b []byte) []byte { b[0] ^= 1; return b })},
		{"page of leaves cut", audit.FalsePage, bytesOf("/v1/log/leaves", func(b []byte) []byte { return b[:len(b)-1] })},
		{"page of leaves empty", audit.FalsePage, bytesOf("/v1/log/leaves", func([]byte) []byte { return nil })},
		{"page of keys cut", audit.FalsePage, bytesOf("/v1/log/heads", func(b []byte) []byte { return b[:33] })},
		{"insert left out", audit.OmittedInsert, bytesOf("/v1/log/heads", func(b []byte) []byte { clear(b[len(b)-32:]); return b })},
		{"insert twice", audit.RepeatedInsert, bytesOf("/v1/log/heads", func(b []byte) []byte { copy(b[len(b)-32:], b[len(b)-64:]); return b })},
		{"another key", audit.OtherMap, bytesOf("/v1/log/heads", func(b []byte) []byte { b[len(b)-1] ^= 1; return b })},
		{"statement withheld", audit.FalseStatement, about("GET", "/v1/log/statements", func(l *wire.LogStatements) { l.Entries[0].DSSE = nil })},
		{"statement of another entry", audit.FalseStatement, about("GET", "/v1/log/statements", func(l *wire.LogStatements) { l.Entries = l.Entries[1:] })},
		{"page of statements empty", audit.FalsePage, about("GET", "/v1/log/statements", func(l *wire.LogStatements) { l.Entries = []wire.LogEntry{} })},
		{"publication not in the log", audit.ForeignHeads, signedAnew(func(_ *evidence.Event, d *evidence.VaultHeadsDetails) { d.Root[0] ^= 1 })},
		{"publication left out", audit.BrokenHeads, about("GET", publications, func(l *wire.EventList) { l.Events = l.Events[min(1, len(l.Events)):] })},
	} {
		at := filepath.Join(t.TempDir(), "state")
		check(t, os.CopyFS(at, os.DirFS(dir)))
		check(t, os.RemoveAll(filepath.Join(at, "follow.lock")))
		if c.name == "publication left out" {
			at = t.TempDir() // of all there are
		}
		liar := w.follow(w.client(auditor, c.liar), at)
		_, err := liar.Step(ctx)
		if audit.ReasonOf(err) != c.want {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
		if c.liar.told.Load() == 0 {
			t.Errorf("%s: nothing was told", c.name)
		}
		check(t, liar.Close())
		settled(t, w.follow(auditor.Client, at))
	}
	// What was never followed has nothing to contradict the first history it is shown.
	rolled := w.follow(w.client(auditor, bytesOf("/v1/log/checkpoint", func([]byte) []byte { return early })), t.TempDir())
	rolled.HashesOnly = true // for more it asks with this device's memory, which knows better
	must(rolled.Step(ctx))(t)
	at := filepath.Join(t.TempDir(), "state")
	check(t, os.CopyFS(at, os.DirFS(dir)))
	settled(t, w.follow(auditor.Client, at))
	if _, err := w.follow(w.client(auditor, bytesOf("/v1/log/checkpoint", func([]byte) []byte { return early })), at).Step(ctx); audit.ReasonOf(err) != audit.RolledBack {
		t.Errorf("rolled back: %v", err)
	}
}

// TestFollowForkKept shows the same auditor the vault as it is and as it was put back and grew otherwise, both signed with the log's own
// keys: the evidence proves it to who has nothing else.
func TestFollowForkKept(t *testing.T) {
	w, auditor, in := lively(t)
	ctx := t.Context()
	check(t, w.custodian.SignOut(ctx))
	w.stop()
	copied := filepath.Join(t.TempDir(), "vault")
	copyFolder(t, copied, w.dir)
	serve := func(dir string) (*httptest.Server, func()) {
		d := must(daemon.Open(ctx, dir, options))(t)
		s := httptest.NewServer(d.Handler())
		stop := sync.OnceFunc(func() { s.Close(); check(t, d.Close()) })
		t.Cleanup(stop)
		return s, stop
	}
	use := func(s *httptest.Server) {
		w.server = s
		for _, p := range []*person{w.custodian, w.second, auditor} {
			w.connect(p)
		}
	}
	grow := func(right evidence.Right) {
		must(w.custodian.AddMember(ctx, in, evidence.Member{Actor: w.clinician.Actor(), Rights: []evidence.Right{evidence.MayDeposit, right}}, ""))(t)
	}
	one, stop := serve(w.dir)
	use(one)
	grow(evidence.MayOpen)
	dir := t.TempDir()
	f := w.follow(auditor.Client, dir)
	settled(t, f)
	check(t, f.Close())
	stop()

	// The operator puts the older copy back, in front of a custodian who has not seen the newer one.
	other, _ := serve(copied)
	w.server = other
	stranger := w.connect(&person{key: w.second.key, identity: w.second.identity, folder: w.second.folder})
	for range 8 { // it grows beyond what was followed
		_, _, err := stranger.OpenCase(ctx, NewCase{Type: "case", Members: []evidence.Member{{Actor: w.custodian.Actor(), Rights: []evidence.Right{evidence.MayManage, evidence.MayApprove, evidence.MayOpen}}, {Actor: w.second.Actor(), Rights: []evidence.Right{evidence.MayManage, evidence.MayApprove, evidence.MayOpen}}},
			Keyholders: []evidence.ActorID{w.custodian.Actor(), w.second.Actor()}})
		check(t, err)
	}
	w.connect(auditor)
	f = w.follow(auditor.Client, dir)
	_, err := f.Step(ctx)
	var a *audit.Alarm
	if !errors.As(err, &a) || a.Reason != audit.Forked {
		t.Fatalf("got %v", err)
	}
	at := must(f.State.Keep(a))(t)
	e := must(audit.ReadEvidence(at))(t)
	older, newer := must(tlog.OpenCheckpoint(e.Older, w.trust.LogKeys()))(t), must(tlog.OpenCheckpoint(e.Newer, w.trust.LogKeys()))(t)
	if r := must(audit.Compare(older, newer, e.Split, nil, nil))(t); r != audit.Fork {
		t.Errorf("the evidence alone shows %q", r)
	}
}

// audited is a world with an auditor whose key the policy names.
func audited(t *testing.T) (*world, *person, *audit.Cosigner) {
	t.Helper()
	t.Parallel()
	dir := t.TempDir()
	key := must(keys.Create(filepath.Join(dir, "audit.pem"), keys.Ed25519, nil))(t)
	by := must(audit.NewCosigner("auditor.example", key.Public().(ed25519.PublicKey), key.Sign))(t)
	w := &world{TB: t, dir: filepath.Join(dir, "vault"), witness: "witness one " + by.VerifierKey() + " https://auditor.example\ngroup auditors all one\nquorum none\n"}
	w.found()
	d := must(daemon.Open(t.Context(), w.dir, options))(t)
	w.server = httptest.NewServer(d.Handler())
	w.stop = sync.OnceFunc(func() { w.server.Close(); check(t, d.Close()) })
	t.Cleanup(w.stop)
	for _, p := range []*person{w.admin, w.custodian} {
		w.connect(p)
	}
	auditor := w.enrol("auditor", evidence.Auditor, w.admin, w.custodian)
	w.openCase()
	return w, auditor, by
}

// cosigned steps and cosigns until that came to something.
func cosigned(t *testing.T, f *Following, by *audit.Cosigner) (size int64, err error) {
	t.Helper()
	for range 100 { // until one that was followed is published
		settled(t, f)
		if size, err = f.Cosign(t.Context(), by); size > 0 || err != nil {
			return size, err
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatal("nothing was cosigned")
	return 0, nil
}

// TestCosignature: an auditor whom the policy names cosigns what it followed, at the time of its own clock, and the vault keeps that with the
// published checkpoint.
func TestCosignature(t *testing.T) {
	w, auditor, by := audited(t)
	const ahead = 90 * time.Second // of the vault's clock, which permits some
	auditor.cfg.Now = func() time.Time { return time.Now().Add(ahead) }
	f := w.follow(auditor.Client, t.TempDir())
	began := time.Now().Truncate(time.Second)
	size := must(cosigned(t, f, by))(t)
	resp := must(http.Get(w.server.URL + "/v1/log/checkpoints/" + jsonOf(size)))(t)
	defer resp.Body.Close()
	var published wire.Published
	check(t, json.Unmarshal(must(io.ReadAll(resp.Body))(t), &published))
	known := must(w.trust.Policy().Cosigned([]byte(published.Checkpoint)))(t)
	if !known.Audited || !slices.ContainsFunc(strings.Split(published.Checkpoint, "\n"), func(l string) bool { return strings.HasPrefix(l, "— auditor.example ") }) {
		t.Fatalf("not audited: %s", published.Checkpoint)
	}
	if at := known.By[0].Time; at.Before(began.Add(ahead)) {
		t.Errorf("cosigned at %s, which is not by the auditor's clock", at)
	}
	if again := must(f.Cosign(t.Context(), by))(t); again != 0 && again < size {
		t.Errorf("cosigned %d after %d", again, size)
	}
}

// TestEveryPublishedState: an auditor who comes late cosigns each state that the vault published, not the newest alone, and asks for none again.
func TestEveryPublishedState(t *testing.T) {
	w, auditor, by := audited(t)
	ctx := t.Context()
	f := w.follow(auditor.Client, t.TempDir())
	published := func(size int64) *wire.Published {
		resp := must(http.Get(w.server.URL + "/v1/log/checkpoints/" + jsonOf(size)))(t)
		defer resp.Body.Close()
		if resp.StatusCode == http.StatusNotFound {
			return nil
		}
		var p wire.Published
		check(t, json.Unmarshal(must(io.ReadAll(resp.Body))(t), &p))
		return &p
	}
	var states []int64
	for range 100 {
		w.openCase()
		settled(t, f)
		states = slices.DeleteFunc(f.State.Cosignable(), func(size int64) bool { return published(size) == nil })
		if len(states) > 3 {
			break
		}
	}
	last := must(cosigned(t, f, by))(t)
	if len(states) < 2 || last < states[len(states)-1] {
		t.Fatalf("cosigned %d, published are %v", last, states)
	}
	for _, size := range states {
		if !by.Signed([]byte(published(size).Checkpoint)) {
			t.Errorf("the state of %d entries is published and not cosigned", size)
		}
	}
	if f.asked < last {
		t.Errorf("asked up to %d, cosigned %d", f.asked, last)
	}
	before := f.asked
	must(f.Cosign(ctx, by))(t)
	if f.asked < before {
		t.Errorf("it asks again from %d, after %d", f.asked, before)
	}
}

// TestOneKeyTwoFolders: one auditor's key never cosigns two histories, whichever of two folders of what was checked is used.
func TestOneKeyTwoFolders(t *testing.T) {
	w, auditor, by := audited(t)
	ctx := t.Context()
	check(t, auditor.SignOut(ctx))
	check(t, w.custodian.SignOut(ctx))
	w.stop()
	copied := filepath.Join(t.TempDir(), "vault")
	copyFolder(t, copied, w.dir)
	serve := func(dir string) (stop func()) {
		d := must(daemon.Open(ctx, dir, options))(t)
		w.server = httptest.NewServer(d.Handler())
		server := w.server
		stop = sync.OnceFunc(func() { server.Close(); check(t, d.Close()) })
		t.Cleanup(stop)
		w.connect(w.custodian)
		w.connect(auditor)
		return stop
	}
	stop := serve(w.dir)
	w.openCase()
	a := t.TempDir()
	f := w.follow(auditor.Client, a)
	first := must(cosigned(t, f, by))(t)
	check(t, f.Close())

	// The other folder goes on where the key was.
	b := w.follow(w.client(auditor, nil), t.TempDir())
	w.openCase()
	second := must(cosigned(t, b, by))(t)
	if second < first {
		t.Errorf("cosigned %d after %d", second, first)
	}
	f = w.follow(w.client(auditor, nil), a)
	w.openCase()
	last := must(cosigned(t, f, by))(t)
	if last < second {
		t.Errorf("cosigned %d after %d", last, second)
	}
	check(t, auditor.SignOut(ctx))
	stop()

	// Another history, to folders that saw nothing of the first one, on a device that forgot it; only the key's own folder tells.
	serve(copied)
	w.forgetful(w.custodian)
	w.connect(w.custodian)
	w.forgetful(auditor)
	c := w.follow(w.client(auditor, nil), t.TempDir())
	settled(t, c)
	if head, _ := c.State.Head(); head.Size < last {
		if size, err := c.Cosign(ctx, by); size != 0 || err != nil {
			t.Errorf("a smaller one was cosigned: %d, %v", size, err)
		}
	}
	for size := int64(0); size <= last+1; {
		w.openCase()
		settled(t, c)
		head, _ := c.State.Head()
		size = head.Size
	}
	_, err := cosigned(t, c, by)
	var alarm *audit.Alarm
	if !errors.As(err, &alarm) || alarm.Reason != audit.Forked && alarm.Reason != audit.TwoRoots {
		t.Fatalf("got %v", err)
	}
	at := must(c.Keep(err))(t)
	e := must(audit.ReadEvidence(at))(t)
	older, newer := must(tlog.OpenCheckpoint(e.Older, w.trust.LogKeys()))(t), must(tlog.OpenCheckpoint(e.Newer, w.trust.LogKeys()))(t)
	if r := must(audit.Compare(older, newer, e.Split, nil, nil))(t); r != audit.Fork {
		t.Errorf("the evidence alone shows %q", r)
	}
}

// TestKeepOfAClientAlarm: an alarm over what the client asked besides keeps its evidence too, and nothing is cosigned while it stands.
func TestKeepOfAClientAlarm(t *testing.T) {
	w, auditor, by := audited(t)
	ctx := t.Context()
	dir := t.TempDir()
	f := w.follow(auditor.Client, dir)
	must(cosigned(t, f, by))(t)
	if at, err := f.Keep(errors.New("no route to host")); at != "" || err != nil {
		t.Errorf("evidence of no alarm: %q, %v", at, err)
	}
	check(t, f.Close())

	f = w.follow(w.client(auditor, instead("POST", "/v1/complete", func(b []byte) []byte { return append(b, "{}"...) })), dir)
	_, err := f.client.Look(ctx, evidence.PolicyOf(w.trust.Vault()))
	wantLie(t, err, Malformed)
	at := must(f.Keep(err))(t)
	if again := must(f.Keep(err))(t); again != at || at == "" {
		t.Errorf("kept at %q and %q", at, again)
	}
	e := must(audit.ReadEvidence(at))(t)
	_, head := f.State.Head()
	if !bytes.Equal(e.Older, head) || !bytes.Equal(e.Newer, f.client.memory.snapshot().Checkpoint) || len(e.Newer) == 0 {
		t.Error("the evidence is not what was seen")
	}
	if text := must(os.ReadFile(filepath.Join(at, "alarm.json")))(t); !bytes.Contains(text, []byte(audit.Elsewhere)) || !bytes.Contains(text, []byte(Malformed)) {
		t.Errorf("%s", text)
	}
	check(t, f.Close())
	f = w.follow(w.client(auditor, nil), dir)
	w.openCase()
	settled(t, f)
	if _, err := cosigned(t, f, by); !errors.Is(err, audit.ErrAlarms) {
		t.Errorf("cosigned while an alarm stands: %v", err)
	}
}

// TestAuditedPackage: a court's package waits for an auditor who follows the vault, and carries that one's word for its list of last steps.
func TestAuditedPackage(t *testing.T) {
	key := must(keys.Create(filepath.Join(t.TempDir(), "audit.pem"), keys.Ed25519, nil))(t)
	by := must(audit.NewCosigner("auditor.example", key.Public().(ed25519.PublicKey), key.Sign))(t)
	w, _ := newWatchedWorld(t, "witness three "+by.VerifierKey()+" https://auditor.example\ngroup auditors all three\n")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	auditor := w.enrol("auditor", evidence.Auditor, w.admin, w.custodian)
	in := w.openCase()
	item := w.deposit(w.clinician, in, w.consent(in), bytes.NewReader(random(1000)))
	_, err := w.clinician.Seal(ctx, item, 0)
	check(t, err)
	grant := w.grants(w.second, item, w.court)

	f := w.follow(auditor.Client, t.TempDir())
	followed := make(chan error, 1)
	go func() {
		for ctx.Err() == nil {
			_, err := f.Step(ctx)
			if err == nil {
				_, err = f.Cosign(ctx, by)
			}
			if err != nil && ctx.Err() == nil {
				followed <- err
				return
			}
			time.Sleep(200 * time.Millisecond)
		}
		followed <- nil
	}()
	file := filepath.Join(t.TempDir(), "package.zip")
	check(t, SaveAs(file, func(dst io.Writer) error {
		_, err := w.court.Export(ctx, Export{Item: item, Grant: grant}, dst)
		return err
	}))
	cancel()
	check(t, <-followed)
	report := w.verify(file, w.court)
	if a := report.Check(dossier.CheckAudit); report.Verdict != dossier.Verified || a.Result != dossier.Pass {
		t.Errorf("%s: %+v", report.Verdict, report.Checks)
	}
}

func jsonOf(v any) string {
	text, _ := json.Marshal(v)
	return string(text)
}
