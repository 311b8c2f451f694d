package client

import (
	"bytes"
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
	checked := must(f.CheckKeys(ctx))(t)
	if cp, _ := f.State.Head(); checked.Right+checked.Unread != f.State.Covers() || checked.Right < cp.Size-10 || checked.Unread > 0 {
		t.Errorf("%+v of %d", checked, cp.Size)
	}

	outsider := w.connect(w.newPerson("outsider"))
	outsider.Client = must(New(Config{Keystore: outsider.folder, HTTP: http.DefaultClient, Tool: tool, Now: time.Now}))(t)
	o := w.follow(outsider.Client, t.TempDir())
	if step := settled(t, o); !o.HashesOnly || step.Size == 0 || o.State.Covers() != 0 {
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

// TestCosignature: an auditor whom the policy names cosigns what it followed, and the vault keeps that with the published checkpoint.
func TestCosignature(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	key := must(keys.Create(filepath.Join(dir, "audit.pem"), keys.Ed25519, nil))(t)
	by := must(audit.NewCosigner("auditor.example", key.Public().(ed25519.PublicKey), key.Sign))(t)
	w := &world{TB: t, dir: filepath.Join(dir, "vault"), witness: "witness one " + by.VerifierKey() + " https://auditor.example\ngroup auditors all one\nquorum none\n"}
	w.found()
	d := must(daemon.Open(t.Context(), w.dir, options))(t)
	w.server = httptest.NewServer(d.Handler())
	t.Cleanup(func() { w.server.Close(); check(t, d.Close()) })
	for _, p := range []*person{w.admin, w.custodian} {
		w.connect(p)
	}
	auditor := w.enrol("auditor", evidence.Auditor, w.admin, w.custodian)
	w.openCase()
	f := w.follow(auditor.Client, t.TempDir())
	var size int64
	for range 100 { // until one that was followed is published
		settled(t, f)
		if size = must(f.Cosign(t.Context(), by))(t); size > 0 {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if size == 0 {
		t.Fatal("nothing was cosigned")
	}
	resp := must(http.Get(w.server.URL + "/v1/log/checkpoints/" + jsonOf(size)))(t)
	defer resp.Body.Close()
	var published wire.Published
	check(t, json.Unmarshal(must(io.ReadAll(resp.Body))(t), &published))
	cosigned := must(w.trust.Policy().Cosigned([]byte(published.Checkpoint)))(t)
	if !cosigned.Audited || !slices.ContainsFunc(strings.Split(published.Checkpoint, "\n"), func(l string) bool { return strings.HasPrefix(l, "— auditor.example ") }) {
		t.Errorf("not audited: %s", published.Checkpoint)
	}
	if again := must(f.Cosign(t.Context(), by))(t); again != 0 && again < size {
		t.Errorf("cosigned %d after %d", again, size)
	}
}

func jsonOf(v any) string {
	text, _ := json.Marshal(v)
	return string(text)
}
