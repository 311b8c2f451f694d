package ledger_test

import (
	"bytes"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/sqldb"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/translog/embedded"
)

// confirmedWorld is a vault whose witnesses were replaced once, with an authority and an auditor, and all that they confirmed.
type confirmedWorld struct {
	*world
	*watched
	one, two, auditor *fake // one is of the earlier policy
	log               *embedded.Log
	forks             []*world
	rows              []ledger.Published
	events            []ledger.Entry // that are stamped
	stamps            [][]ledger.Stamp
}

func newConfirmedWorld(t *testing.T) *confirmedWorld {
	t.Helper()
	w := &confirmedWorld{world: newWorld(t), one: newFake(t, "one.example"), two: newFake(t, "two.example"), auditor: newFake(t, "auditor.example")}
	for _, f := range []*fake{w.one, w.two} {
		f.answer = func(w http.ResponseWriter, request []byte) { w.Write([]byte(cosign(f.signer, request))) }
	}
	a := newAuthority(t, time.Now)
	settle := func() {
		w.until("quiet", func(s ledger.Status) bool { return s.Behind == 0 && s.Since.IsZero() })
	}
	w.stop()
	w.watched = w.watch(w.one.line()+"quorum one.example\n", a.trusted)
	w.openWith(w.stamped(a))
	for range 2 {
		w.events = append(w.events, w.put(w.openCase("a")))
		w.finally(w.watched, w.events[len(w.events)-1])
		settle()
	}
	w.stop()
	w.watched = w.watch(w.two.line()+w.auditor.line()+"group auditors all auditor.example\nquorum two.example\n", a.trusted, func(p *tlog.TrustParts) {
		until := time.Now().Add(time.Minute).UTC().Truncate(time.Millisecond)
		p.EarlierPolicies = []tlog.EarlierPolicy{{Policy: w.one.line() + "quorum one.example\n", Until: until}}
	})
	w.openWith(w.stamped(a))
	for range 3 {
		w.events = append(w.events, w.put(w.openCase("b")))
		w.finally(w.watched, w.events[len(w.events)-1])
		settle()
		row := must(w.PublishedCheckpoint(t.Context(), 0))
		if err := w.Cosign(t.Context(), row.Size, []byte(cosign(w.auditor.signer, append([]byte("old 0\n\n"), row.Note...)))); err != nil {
			t.Fatal(err)
		}
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		w.stamps = nil
		for _, e := range w.events {
			if list := must(w.db.EventStamps(t.Context(), e.LeafHash)); len(list) > 0 {
				w.stamps = append(w.stamps, list)
			}
		}
		if len(w.stamps) == len(w.events) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("events are not stamped")
		}
	}
	settle()
	w.stop()
	db := must(sqldb.Open(t.Context(), w.path("records.db")))
	w.rows = must(db.AllPublished(t.Context(), -1, 1000))
	must(0, db.Close())
	if n := len(w.rows); n < 4 || w.rows[n-1].Final != ledger.PolicyID(w.trust) || w.rows[n-1].Audited != ledger.PolicyID(w.trust) || w.rows[0].Final.IsZero() {
		t.Fatalf("%d published checkpoints: %+v", n, w.rows)
	}
	// The same records, as if they had been made anew from the log.
	file := must(sql.Open("sqlite", w.path("records.db")))
	for _, table := range []string{"published_stamps", "published", "event_stamps", "stamping"} {
		if table != "stamping" {
			must(file.Exec("drop trigger " + table + "_delete"))
		}
		must(file.Exec("delete from " + table))
	}
	must(0, file.Close())
	w.forks = []*world{w.fork(t), w.fork(t)}
	w.log = must(embedded.Open(t.Context(), w.path("log.db"), embedded.Options{Logger: quiet()}))
	t.Cleanup(func() { w.log.Close() })
	return w
}

// anew is a copy of the records without confirmations.
func (w *confirmedWorld) anew(t *testing.T) *sqldb.DB {
	path := filepath.Join(t.TempDir(), "records.db")
	must(0, os.WriteFile(path, must(os.ReadFile(w.path("records.db"))), 0o600))
	db := must(sqldb.Open(t.Context(), path))
	t.Cleanup(func() { db.Close() })
	return db
}

// reclaim puts rows back, those of one place in the lists of all sources together.
func (w *confirmedWorld) reclaim(t *testing.T, now time.Time, sources ...[]ledger.Published) (*ledger.Reclaimer, []ledger.Published) {
	t.Helper()
	db := w.anew(t)
	r := must(ledger.NewReclaimer(t.Context(), w.trust, w.log, db, now))
	for i := range sources[0] {
		var same []ledger.Published
		for _, rows := range sources {
			same = append(same, rows[i])
		}
		if err := r.Published(t.Context(), same); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.End(t.Context()); err != nil {
		t.Fatal(err)
	}
	return r, must(db.AllPublished(t.Context(), -1, 1000))
}

// TestReclaim: what witnesses, auditors and authorities confirmed comes back as it was, under an earlier policy too; and of what was altered
// nothing does but what still proves itself.
func TestReclaim(t *testing.T) {
	w := newConfirmedWorld(t)
	now, n := w.now(), len(w.rows)
	first, last := w.rows[0], w.rows[n-1]
	origin := "— " + origin + " "
	linesOf := func(p ledger.Published) (text string, own, others []string) {
		text, lines, _ := strings.Cut(string(p.Note), "\n\n")
		for line := range strings.Lines(lines) {
			if strings.HasPrefix(line, origin) {
				own = append(own, line)
			} else {
				others = append(others, line)
			}
		}
		return text + "\n\n", own, others
	}
	note := func(text string, lines ...[]string) []byte {
		return []byte(text + strings.Join(slices.Concat(lines...), ""))
	}
	// flipped has another signature under the same name and key id.
	flipped := func(line string) string {
		words := strings.Fields(line)
		sig := must(base64.StdEncoding.DecodeString(words[2]))
		sig[len(sig)-1] ^= 1
		return words[0] + " " + words[1] + " " + base64.StdEncoding.EncodeToString(sig) + "\n"
	}
	copied := func() []ledger.Published {
		rows := slices.Clone(w.rows)
		for i := range rows {
			rows[i].Stamps = slices.Clone(rows[i].Stamps)
		}
		return rows
	}
	text, own, others := linesOf(last)
	_, _, earlier := linesOf(first)
	if len(own) != 2 || len(others) != 2 || len(earlier) != 1 || !strings.HasPrefix(earlier[0], "— one.example ") || len(last.Stamps) != 1 {
		t.Fatalf("the newest has %q and %q, the oldest %q", own, others, earlier)
	}
	stranger := newFake(t, "stranger.example")
	impostor := newFake(t, strings.TrimSpace(strings.TrimPrefix(origin, "— ")))
	request := append([]byte("old 0\n\n"), last.Note...)
	cut := func(p *ledger.Published, what ...string) { // without some lines
		text, own, others := linesOf(*p)
		p.Note = note(text, own, slices.DeleteFunc(others, func(l string) bool { return slices.Contains(what, l) }))
	}
	gone := ledger.Published{}
	for name, test := range map[string]struct {
		alter func(p *ledger.Published) // the newest
		want  func(p *ledger.Published) // of it; nil: as it was
		now   time.Time
	}{
		"nothing altered": {alter: func(*ledger.Published) {}},
		"another root": {alter: func(p *ledger.Published) {
			p.Note = note(strings.Replace(text, text[len(text)-10:len(text)-6], "AAAA", 1), own, others)
		}, want: func(p *ledger.Published) { *p = gone }},
		"another stated size":      {alter: func(p *ledger.Published) { p.Size += 1000 }, want: func(p *ledger.Published) { *p = gone }},
		"published in the future":  {alter: func(p *ledger.Published) { p.At = now.Add(time.Hour) }, want: func(p *ledger.Published) { *p = gone }},
		"a log line wrong":         {alter: func(p *ledger.Published) { p.Note = note(text, own[:1], []string{flipped(own[1])}, others) }, want: func(p *ledger.Published) { *p = gone }},
		"no line of the ECDSA key": {alter: func(p *ledger.Published) { p.Note = note(text, own[1:], others) }, want: func(p *ledger.Published) { *p = gone }},
		"no note":                  {alter: func(p *ledger.Published) { p.Note = []byte(text) }, want: func(p *ledger.Published) { *p = gone }},
		"garbage":                  {alter: func(p *ledger.Published) { p.Note = []byte("\x00garbage") }, want: func(p *ledger.Published) { *p = gone }},
		"a stranger's line": {alter: func(p *ledger.Published) {
			p.Note = note(text, own, others, []string{cosign(stranger.signer, request)})
		}},
		"a line in the log's name": {alter: func(p *ledger.Published) {
			p.Note = note(text, own, []string{cosign(impostor.signer, request)}, others)
		}},
		"a cosignature wrong": {alter: func(p *ledger.Published) { p.Note = note(text, own, []string{flipped(others[0])}, others[1:]) }, want: func(p *ledger.Published) {
			cut(p, others[0])
			p.Final, p.Audited = ev.Hash{}, ev.Hash{}
		}},
		"another checkpoint's cosignature": {alter: func(p *ledger.Published) { p.Note = note(text, own, earlier, others[1:]) }, want: func(p *ledger.Published) {
			cut(p, others[0])
			p.Final, p.Audited = ev.Hash{}, ev.Hash{}
		}},
		"said to be audited": {alter: func(p *ledger.Published) { cut(p, others[1]) }, want: func(p *ledger.Published) {
			cut(p, others[1])
			p.Audited = ev.Hash{}
		}},
		"said to be final under another policy": {alter: func(p *ledger.Published) {
			cut(p, others[0])
			p.Final = ev.SHA256(nil)
		}, want: func(p *ledger.Published) {
			cut(p, others[0])
			p.Final, p.Audited = ev.Hash{}, ev.Hash{}
		}},
		"not said to be final": {alter: func(p *ledger.Published) { p.Final, p.Audited = ev.Hash{}, ev.Hash{} }, want: func(p *ledger.Published) {
			p.Final, p.Audited = ev.Hash{}, ev.Hash{}
		}},
		"cosigned and stamped before it was there": {alter: func(p *ledger.Published) { p.At = p.At.Add(time.Hour) }, want: func(p *ledger.Published) {
			p.At = p.At.Add(time.Hour)
			cut(p, others...)
			p.Stamps, p.Final, p.Audited = nil, ev.Hash{}, ev.Hash{}
		}, now: now.Add(2 * time.Hour)},
		"another checkpoint's stamp": {alter: func(p *ledger.Published) { p.Stamps = first.Stamps }, want: func(p *ledger.Published) {
			p.Stamps, p.Final, p.Audited = nil, ev.Hash{}, ev.Hash{}
		}},
		"no stamp": {alter: func(p *ledger.Published) { p.Stamps = []ledger.Stamp{{Authority: "a", Response: []byte{0}}} }, want: func(p *ledger.Published) {
			p.Stamps, p.Final, p.Audited = nil, ev.Hash{}, ev.Hash{}
		}},
		"a stamp twice": {alter: func(p *ledger.Published) {
			p.Stamps = append(p.Stamps, ledger.Stamp{Authority: "b", Response: p.Stamps[0].Response})
		}},
		"a name that is a path": {alter: func(p *ledger.Published) { p.Stamps[0].Authority = "../a" }, want: func(p *ledger.Published) { p.Stamps, p.Final, p.Audited = nil, ev.Hash{}, ev.Hash{} }},
		"a wrong stamp beside it": {alter: func(p *ledger.Published) {
			p.Stamps = append([]ledger.Stamp{{Authority: "a", Response: []byte{0}}}, p.Stamps...)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			rows, want := copied(), copied()
			test.alter(&rows[n-1])
			if test.want != nil {
				test.want(&want[n-1])
			}
			if want[n-1].Size == 0 {
				want = want[:n-1]
			}
			if test.now.IsZero() {
				test.now = now
			}
			r, got := w.reclaim(t, test.now, rows)
			if len(got) != len(want) {
				t.Fatalf("%d of %d came back", len(got), len(want))
			}
			for i := range want {
				if !same(got[i], want[i]) {
					t.Errorf("%d came back as\n%+v\nwant\n%+v", i, show(got[i]), show(want[i]))
				}
			}
			var cosignatures, stamps int
			for _, p := range want {
				_, _, others := linesOf(p)
				cosignatures, stamps = cosignatures+len(others), stamps+len(p.Stamps)
			}
			kept := ledger.Confirmations{Checkpoints: int64(len(want)), Cosignatures: int64(cosignatures), Stamps: int64(stamps)}
			if r.Kept != kept || r.Found.Checkpoints != int64(n) || test.want == nil && name == "nothing altered" && r.Found != r.Kept {
				t.Errorf("found %+v, kept %+v, want %+v", r.Found, r.Kept, kept)
			}
			final := int64(0)
			for _, p := range want {
				if !p.Final.IsZero() {
					final = p.Size
				}
			}
			if r.Final != final {
				t.Errorf("final up to %d, want %d", r.Final, final)
			}
		})
	}

	// A witness that signs what was passed by long ago would say that it was still the newest; an auditor says no such thing.
	t.Run("passed by", func(t *testing.T) {
		rows := copied()
		for i := range rows {
			rows[i].At = rows[i].At.Add(-time.Hour)
		}
		_, got := w.reclaim(t, now, rows)
		if len(got) != n {
			t.Fatalf("%d of %d", len(got), n)
		}
		for i, p := range got[:n-1] {
			_, _, others := linesOf(p)
			if slices.ContainsFunc(others, func(l string) bool { return !strings.HasPrefix(l, "— auditor.example ") }) || !p.Final.IsZero() || len(p.Stamps) != len(w.rows[i].Stamps) {
				t.Errorf("%d: %q", i, others)
			}
		}
		if _, _, others := linesOf(got[n-2]); len(others) != 1 {
			t.Errorf("the auditor's line: %q", others)
		}
	})

	// What an earlier policy asked for is not what the present one does.
	t.Run("said to be final under the present policy", func(t *testing.T) {
		rows := copied()
		rows[0].Final, rows[0].Audited = last.Final, last.Audited
		if _, got := w.reclaim(t, now, rows); !got[0].Final.IsZero() || !got[0].Audited.IsZero() {
			t.Errorf("%v, %v", got[0].Final, got[0].Audited)
		}
	})

	// Of several sources each gives what it has.
	t.Run("several", func(t *testing.T) {
		a, b, c := copied(), copied(), copied()
		for i := range n {
			_, own, others := linesOf(a[i])
			text, _, _ := strings.Cut(string(a[i].Note), "\n\n")
			a[i].Note, b[i].Stamps = note(text+"\n\n", own, others[:len(others)-1]), nil
			if len(others) == 1 {
				a[i].Note = note(text+"\n\n", own)
			}
			b[i].Final, b[i].Audited = ev.Hash{}, ev.Hash{}
			c[i].Note = append(bytes.Repeat([]byte("x"), 100), c[i].Note...) // the longest, and no checkpoint
			c[i].Stamps = nil
		}
		r, got := w.reclaim(t, now, a, c, b)
		if r.Kept != r.Found || !slices.EqualFunc(got, w.rows, same) {
			t.Errorf("%+v of %+v", r.Kept, r.Found)
		}
	})

	// A checkpoint that this log signed, and does not lead to, means that the log is not the newest.
	grow := func(f *world, events int) ledger.Published {
		f.openWith(w.by)
		defer f.stop()
		for range events {
			f.put(f.openCase("c"))
		}
		return ledger.Published{Size: f.Size(), Note: f.Checkpoint(), At: now}
	}
	one, longer := grow(w.forks[0], 1), grow(w.forks[1], 4)
	refuses := func(name string, log *embedded.Log, p ledger.Published) {
		t.Helper()
		r := must(ledger.NewReclaimer(t.Context(), w.trust, log, w.anew(t), now))
		m := (*ledger.Mismatch)(nil)
		if err := r.Published(t.Context(), []ledger.Published{p}); !errors.As(err, &m) || m.Where != "log" {
			t.Errorf("%s: %v", name, err)
		}
	}
	refuses("a longer one", w.log, longer)
	log := must(embedded.Open(t.Context(), w.forks[1].path("log.db"), embedded.Options{Logger: quiet()}))
	defer log.Close()
	if one.Size > longer.Size {
		t.Fatal("the fork is longer")
	}
	refuses("another one", log, one)
}

// TestReclaimEventStamps: a time stamp comes back over the signature that it is over.
func TestReclaimEventStamps(t *testing.T) {
	w := newConfirmedWorld(t)
	db := w.anew(t)
	r := must(ledger.NewReclaimer(t.Context(), w.trust, w.log, db, w.now()))
	for i, e := range w.events {
		wrong := w.stamps[(i+1)%len(w.events)][0]
		lists := [][]ledger.Stamp{
			w.stamps[i],
			{{Authority: "a", Response: wrong.Response}, w.stamps[i][0], {Authority: "b", Response: w.stamps[i][0].Response}},
			{wrong},
			{{Authority: "a/b", Response: w.stamps[i][0].Response}},
			{{Authority: "a", Response: []byte("garbage")}},
		}
		if err := r.EventStamps(t.Context(), e, lists[i]); err != nil {
			t.Fatal(err)
		}
	}
	for i, e := range w.events {
		got := must(db.EventStamps(t.Context(), e.LeafHash))
		if came := i < 2; came && !reflect.DeepEqual(got, w.stamps[i]) || !came && len(got) != 0 {
			t.Errorf("%d: %d stamps", i, len(got))
		}
	}
	if r.Found.EventStamps != 6 || r.Kept.EventStamps != 2 || r.Stamped["a"] != w.events[1].Order {
		t.Errorf("%+v of %+v, %v", r.Kept, r.Found, r.Stamped)
	}
}

func same(a, b ledger.Published) bool {
	return a.Size == b.Size && bytes.Equal(a.Note, b.Note) && a.At.Equal(b.At) && a.Final == b.Final && a.Audited == b.Audited &&
		slices.EqualFunc(a.Stamps, b.Stamps, func(a, b ledger.Stamp) bool { return a.Authority == b.Authority && bytes.Equal(a.Response, b.Response) })
}

func show(p ledger.Published) string {
	return fmt.Sprintf("size %d at %v, %d stamps, final %v, audited %v\n%s", p.Size, p.At, len(p.Stamps), p.Final, p.Audited, p.Note)
}
