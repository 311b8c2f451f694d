package client

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/daemon"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
)

// forgetful is a person whose device has seen nothing yet.
func (w *world) forgetful(p *person) *person {
	w.Helper()
	check(w, p.folder.Remove(memoryDoc))
	for _, name := range must(p.folder.List(headsDir))(w) {
		check(w, p.folder.Remove(name))
	}
	return p
}

// Two programs of one person, each with nothing to compare with, are shown two checkpoints at the same moment: what cannot be of one log is
// found when the second one remembers it, or where the vault does not answer with the next use, and stays found. What can be is not an alarm.
func TestTwoProgramsShownTwoCheckpoints(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	early := must(w.custodian.getCheckpoint(ctx))(t)
	w.openCase()
	must(w.custodian.Look(ctx))(t)
	f := w.forger()
	mute := func() *liar {
		return &liar{path: "/v1/log/consistency", rewrite: func(r *http.Response, _ []byte) []byte {
			r.StatusCode = http.StatusServiceUnavailable
			return []byte("{}")
		}}
	}
	for _, c := range []struct {
		name string
		note func(tlog.Checkpoint) []byte
		liar *liar
		now  Lie // when it is remembered
		then Lie // when a third program looks
	}{
		{"one size, two roots", func(cp tlog.Checkpoint) []byte { return f.sign(cp.Size, tlog.Hash{1}) }, nil, Forked, Forked},
		{"larger", func(cp tlog.Checkpoint) []byte { return f.sign(cp.Size+7, tlog.Hash{1}) }, nil, Forked, Forked},
		{"smaller", func(cp tlog.Checkpoint) []byte { return f.sign(cp.Size-1, tlog.Hash{1}) }, nil, Forked, Forked},
		{"smaller, and no proof to be had", func(cp tlog.Checkpoint) []byte { return f.sign(cp.Size-1, tlog.Hash{1}) }, mute(), "", Forked},
		{"smaller of the same log", func(tlog.Checkpoint) []byte { return early }, nil, "", ""},
		{"smaller of the same log, and no proof to be had", func(tlog.Checkpoint) []byte { return early }, mute(), "", ""},
		{"the same", nil, nil, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := w.forgetful(w.clinician)
			one, two := w.client(p, nil), w.client(p, nil)
			if c.liar != nil {
				two = w.client(p, c.liar)
			}
			two.pause = func(context.Context, time.Duration) error { return nil }
			must(one.Look(ctx))(t)
			seen := one.memory.snapshot()
			note := seen.Checkpoint
			if c.note != nil {
				note = c.note(seen.parsed)
			}
			_, err := two.follow(ctx, note)
			wantLie(t, err, c.now)
			if c.now == "" {
				check(t, err)
			}
			if c.liar != nil && len(two.memory.snapshot().Loose) != 1 {
				t.Error("what was not proved is not marked")
			}
			third := w.client(p, nil)
			for range 2 { // an alarm does not go away
				_, err = third.Look(ctx)
				wantLie(t, err, c.then)
				if c.then == "" {
					check(t, err)
				}
			}
			kept := must(p.folder.Read(memoryDoc))(t)
			left := w.client(p, nil).memory.snapshot()
			if c.then == "" {
				if len(left.Loose) > 0 {
					t.Errorf("still not proved: %s", kept)
				}
				return
			}
			var notes []string
			for _, l := range append(left.Loose, loose{Note: left.Checkpoint}) {
				notes = append(notes, string(l.Note))
			}
			if !slices.Contains(notes, string(note)) || !slices.Contains(notes, string(seen.Checkpoint)) {
				t.Error("not both notes are kept")
			}
		})
	}
	w.forgetful(w.clinician)
}

// Two programs of one person that agree follow a vault of which there are two, each grown in its own way and with proofs that hold.
func TestTwoProgramsShownTwoVaults(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	must(w.clinician.Look(ctx))(t)
	w.stop()
	copied := filepath.Join(t.TempDir(), "vault")
	copyFolder(t, copied, w.dir)
	w.serve(w.dir)
	d := must(daemon.Open(ctx, copied, options))(t)
	other := httptest.NewServer(d.Handler())
	t.Cleanup(func() { other.Close(); check(t, d.Close()) })
	elsewhere := must(url.Parse(other.URL))(t)

	one, two := w.client(w.clinician, nil), w.client(w.clinician, toward{elsewhere})
	grow := func(c *Client) {
		_, _, err := c.OpenCase(ctx, NewCase{Type: "case", Members: []evidence.Member{
			{Actor: w.custodian.Actor(), Rights: []evidence.Right{evidence.MayManage, evidence.MayApprove, evidence.MayOpen}},
			{Actor: w.second.Actor(), Rights: []evidence.Right{evidence.MayManage, evidence.MayApprove, evidence.MayOpen}},
		}, Keyholders: []evidence.ActorID{w.custodian.Actor(), w.second.Actor()}})
		check(t, err)
	}
	grow(w.custodian.Client)
	grow(w.client(w.second, toward{elsewhere}))
	must(one.Look(ctx))(t)
	_, err := two.Look(ctx)
	wantLie(t, err, Forked)
	grow(w.custodian.Client)
	for _, c := range []*Client{one, two, w.client(w.clinician, nil)} {
		for range 2 {
			_, err = c.Look(ctx)
			wantLie(t, err, Forked)
		}
	}
}

// toward asks another vault.
type toward struct{ at *url.URL }

func (to toward) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.URL.Scheme, req.URL.Host, req.Host = to.at.Scheme, to.at.Host, to.at.Host
	return http.DefaultTransport.RoundTrip(req)
}

// What programs of one person know of streams is compared as it is written, and again with each history that could tell.
func TestTwoProgramsShownTwoStreams(t *testing.T) {
	leaves := func(list ...byte) (h head) {
		for i, b := range list {
			h.Seq, h.Leaf, h.Index = int64(i), evidence.Hash{b}, int64(10*i)
		}
		h.Withheld = []promise{}
		h.has = func(seq int64) (evidence.Hash, bool) {
			if seq >= int64(len(list)) {
				return evidence.Hash{}, false
			}
			return evidence.Hash{list[seq]}, true
		}
		return h
	}
	for _, c := range []struct {
		name  string
		heads []head // learned one after the other, each by a program that has read nothing of the others
		lie   Lie    // by the last one
		left  int    // what waits for a comparison
	}{
		{"the same", []head{leaves(1, 2), leaves(1, 2)}, "", 0},
		{"one grew", []head{leaves(1, 2), leaves(1, 2, 3)}, "", 0},
		{"another event in one place", []head{leaves(1, 2), leaves(1, 3)}, Forked, 1},
		{"another event below", []head{leaves(1, 2), leaves(1, 3, 4)}, Forked, 1},
		{"what came before another's", []head{leaves(1, 2, 3), leaves(1, 2)}, "", 1},
		{"and is found in a history", []head{leaves(1, 2, 3), leaves(1, 2), leaves(1, 2, 3)}, "", 0},
		{"and in a longer one", []head{leaves(1, 2, 3), leaves(1, 2), leaves(1, 2, 3, 4)}, "", 0},
		{"and is not", []head{leaves(1, 2, 3), leaves(1, 9), leaves(1, 2, 3, 4)}, Forked, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := must(OpenFolder(t.TempDir()))(t)
			var programs []*memory
			for range c.heads {
				m := &memory{}
				check(t, m.load(f, first.trust))
				programs = append(programs, m)
			}
			var err error
			for i, h := range c.heads {
				check(t, err) // of the one before
				var more seen
				more.put("item/x", h)
				err = programs[i].learn(more)
			}
			wantLie(t, err, c.lie)
			if c.lie == "" {
				check(t, err)
			}
			m := &memory{}
			check(t, m.load(f, first.trust))
			if h, _ := m.seen.head("item/x"); len(h.Beside) != c.left {
				t.Errorf("%d wait for a comparison, want %d", len(h.Beside), c.left)
			}
			if h, _ := programs[len(programs)-1].seen.head("item/x"); h.has != nil {
				t.Error("the history is kept in memory")
			}
		})
	}
}

// Many honest programs of one person at once: no alarm, nothing lost, nothing left to be proved.
func TestManyProgramsOfOnePerson(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	in := w.openCase()
	consent := w.consent(in)
	var items []evidence.ItemID
	for range 3 {
		items = append(items, w.deposit(w.clinician, in, consent, strings.NewReader("a finding")))
	}
	p := w.forgetful(w.second)
	var programs []*Client
	for range 4 {
		programs = append(programs, w.client(p, nil))
	}
	var all sync.WaitGroup
	for i, c := range programs {
		for j := range 2 {
			all.Go(func() {
				for k := range 3 {
					_, err := c.Open(ctx, Open{Item: items[(i+j+k)%len(items)], Purpose: evidence.ForCare}, io.Discard)
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	all.Wait()
	last := w.client(p, nil)
	v := must(last.Look(ctx, evidence.ItemOf(items[0]), evidence.ItemOf(items[1]), evidence.ItemOf(items[2])))(t)
	now := w.client(p, nil).memory.snapshot()
	if len(now.Loose) > 0 {
		t.Errorf("%d checkpoints are not proved", len(now.Loose))
	}
	for _, s := range v.Streams() {
		n := v.Len(s)
		if n == 0 {
			continue
		}
		leaf, _ := v.Leaf(s, n-1)
		if h, ok := now.head(headKey(s)); !ok || h.Seq != n-1 || h.Leaf != leaf || len(h.Beside) > 0 {
			t.Errorf("%s %s: %+v", s.Type, s.ID, h)
		}
	}
}

// While another process has the documents nothing is written; a write that fails in the middle loses nothing, and lets go.
func TestMemoryIsWrittenAlone(t *testing.T) {
	f := must(OpenFolder(t.TempDir()))(t)
	m := &memory{}
	check(t, m.load(f, first.trust))
	release, ok, err := f.Lock(memoryLock)
	if err != nil || !ok {
		t.Fatalf("%t, %v", ok, err)
	}
	done := make(chan error, 1)
	more := seen{Covers: 7}
	more.put("item/x", head{Seq: 3, Leaf: evidence.Hash{3}})
	go func() { done <- m.learn(more) }()
	select {
	case err := <-done:
		t.Fatalf("written while another has the lock: %v", err)
	case <-time.After(20 * lockPause):
	}
	check(t, release())
	check(t, <-done)

	full := &fullAt{Keystore: f, name: shelfDoc(int(shelfOf("item/x")))}
	m = &memory{}
	check(t, m.load(full, first.trust))
	more = seen{Covers: 9}
	more.put("item/x", head{Seq: 4, Leaf: evidence.Hash{4}, has: func(seq int64) (evidence.Hash, bool) { return evidence.Hash{byte(seq)}, true }})
	if err := m.learn(more); !errors.Is(err, errFull) {
		t.Errorf("got %v", err)
	}
	again := &memory{}
	check(t, again.load(f, first.trust))
	if h, _ := again.seen.head("item/x"); h.Seq != 3 || again.seen.Covers != 9 {
		t.Errorf("%d, %+v", again.seen.Covers, h)
	}
	full.name = ""
	check(t, m.learn(more))
	check(t, again.load(f, first.trust))
	if h, _ := again.seen.head("item/x"); h.Seq != 4 || len(h.Beside) > 0 {
		t.Errorf("%+v", h)
	}
}

// fullAt has no room for one document.
type fullAt struct {
	Keystore
	name string
}

var errFull = errors.New("no space left on device")

func (f *fullAt) Write(name string, content []byte) error {
	if name == f.name {
		return errFull
	}
	return f.Keystore.Write(name, content)
}
