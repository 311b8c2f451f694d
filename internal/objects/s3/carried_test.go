package s3_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/objects"
	"strongroom.example/strongroom/internal/objects/s3"
)

// gate stands before the bucket: it keeps what was read of bodies, and may refuse.
type gate struct {
	mu     sync.Mutex
	reads  []string // ranges
	refuse func(*http.Request) bool
}

func (g *gate) set(refuse func(*http.Request) bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.reads, g.refuse = nil, refuse
}

func (g *gate) read() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.reads
}

func isBody(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/body/") && r.URL.Query().Get("uploadId") == ""
}
func isRecord(r *http.Request) bool {
	return r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/upload/")
}

// gated is the configuration of a fresh store behind a gate.
func gated(t *testing.T) (s3.Config, *gate) {
	t.Helper()
	need(t)
	c, g := config(&shared, t.TempDir()), &gate{}
	create(t, c)
	c.Endpoint, c.CAFile = busy(t, &shared, func(r *http.Request) bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		if isBody(r) {
			g.reads = append(g.reads, r.Header.Get("Range"))
		}
		return g.refuse != nil && g.refuse(r)
	})
	c.Direct = ""
	return c, g
}

func sumsOf(b []byte) objects.Sums {
	h := objects.NewHasher()
	h.Write(b)
	return h.Sums()
}

// known demands that each of the stores knows what an upload is without reading it, and that it becomes the object.
func known(t *testing.T, g *gate, id string, all []byte, stores ...*s3.Store) {
	t.Helper()
	g.set(isBody)
	for _, s := range stores {
		sums, err := s.StageSums(t.Context(), id)
		must(t, err)
		if sums != sumsOf(all) {
			t.Fatal("other hashes")
		}
	}
	_, err := stores[len(stores)-1].StageCommit(t.Context(), id, digest(all))
	must(t, err)
	if read := g.read(); len(read) > 0 {
		t.Fatalf("the body was asked for: %v", read)
	}
	g.set(nil)
	for _, s := range stores {
		sums, err := s.Verify(t.Context(), digest(all))
		must(t, err)
		if sums != sumsOf(all) {
			t.Fatal("another object")
		}
	}
}

// turns appends each part of b by the next of the stores, from where the upload is.
func turns(t *testing.T, id string, b []byte, stores ...*s3.Store) {
	t.Helper()
	for at := int(must1(stores[0].StageInfo(t.Context(), id)).Offset); at < len(b); {
		n, err := stores[at/block%len(stores)].StageAppend(t.Context(), id, int64(at), bytes.NewReader(b[at:min(at+block, len(b))]))
		must(t, err)
		at += int(n)
	}
}

// TestTurns: the hashes go from writer to writer, and nobody reads what was sent, whatever its size.
func TestTurns(t *testing.T) {
	c, g := gated(t)
	a, b, other := openConfig(t, c), openConfig(t, c), openConfig(t, c)
	for id, size := range map[string]int{"upl-a": 5*block + 77, "upl-b": 4 * block, "upl-c": 1000, "upl-d": block, "upl-e": block + 1<<20} {
		all := content(size)
		must(t, a.StageCreate(t.Context(), id, int64(size)))
		turns(t, id, all, a, b)
		known(t, g, id, all, a, other, b)
	}
	must(t, a.StageList(t.Context(), func(string, time.Time) error { return errors.New("an upload is left") }))
}

// TestSheets: of a large upload the CRC32C of its pages lie beside the record. They are found whoever goes on, and removed in the end; if
// they are lost the body is read.
func TestSheets(t *testing.T) {
	c, g := gated(t)
	a, b := openConfig(t, c), openConfig(t, c)
	a.Shorten(12)
	b.Shorten(12)
	for id, size := range map[string]int{"upl-a": 5*block + 77, "upl-b": 6 * block, "upl-c": 3*block + 1<<20 + 5} {
		all := content(size)
		must(t, a.StageCreate(t.Context(), id, int64(size)))
		turns(t, id, all, a, b)
		if sheets := must1(a.Sheets(t.Context())); len(sheets) != 1 {
			t.Fatalf("%s: sheets %v", id, sheets)
		}
		known(t, g, id, all, a, b)
		if sheets := must1(a.Sheets(t.Context())); len(sheets) != 0 {
			t.Fatalf("%s: sheets %v are left", id, sheets)
		}
	}
	for id, lose := range map[string]int{"upl-d": 3, "upl-e": 6} { // before the next sheet, and at the end
		all := append(content(6*block), id...)
		must(t, a.StageCreate(t.Context(), id, int64(len(all))))
		turns(t, id, all[:lose*block], a, b)
		must(t, a.RemoveSheets(t.Context()))
		turns(t, id, all, a, b)
		g.set(nil)
		sums, err := b.StageSums(t.Context(), id)
		must(t, err)
		if sums != sumsOf(all) || len(g.read()) == 0 {
			t.Fatalf("%s: hashes of what was read %d times", id, len(g.read()))
		}
		must(t, a.StageRemove(t.Context(), id))
	}
	if sheets := must1(a.Sheets(t.Context())); len(sheets) != 0 {
		t.Errorf("sheets %v are left", sheets)
	}
}

// TestKilledBetween: a writer dies when a part has arrived and is not noted yet. It is sent again, nobody was told of it, and all is known.
func TestKilledBetween(t *testing.T) {
	c, g := gated(t)
	direct := config(&shared, "")
	direct.Prefix = c.Prefix
	dying, next := openConfig(t, c), openConfig(t, direct)
	next.Hasten(2 * time.Second)
	all := content(4*block + 5)
	must(t, dying.StageCreate(t.Context(), "upl-a", int64(len(all))))
	noted := 0
	g.set(func(r *http.Request) bool { // from the second part's note on nothing of it arrives any more
		if isRecord(r) {
			noted++
		}
		return noted > 2
	})
	n, err := dying.StageAppend(t.Context(), "upl-a", 0, bytes.NewReader(all[:2*block]))
	if err == nil || n > block {
		t.Fatalf("the dying one appended %d bytes: %v", n, err)
	}
	if at := must1(next.StageInfo(t.Context(), "upl-a")).Offset; at != block {
		t.Fatalf("%d bytes are durable", at)
	}
	for err = objects.ErrOffset; errors.Is(err, objects.ErrOffset); {
		n, err = next.StageAppend(t.Context(), "upl-a", block, bytes.NewReader(all[block:3*block]))
	}
	must(t, err)
	if n != 2*block {
		t.Fatalf("the next one appended %d bytes", n)
	}
	g.set(nil)
	back := openConfig(t, c)
	must(t, upload(t.Context(), back, "upl-a", all))
	known(t, g, "upl-a", all, openConfig(t, c), back)
}

// TestOtherStates: hashes that are lost, not of their form, or not of the parts that are there are none: the body is read, and the hashes are
// its own. Where they are of other bytes, S3's own CRC32C says so.
func TestOtherStates(t *testing.T) {
	c, g := gated(t)
	a, b := openConfig(t, c), openConfig(t, c)
	all, other := content(3*block+9), bytes.Repeat([]byte("other"), (3*block+9)/5+1)[:3*block+9]
	must(t, a.StageCreate(t.Context(), "upl-other", int64(len(other))))
	var others []json.RawMessage // after each part
	for at := 0; at < len(other); at += block {
		turns(t, "upl-other", other[:min(at+block, len(other))], a)
		others = append(others, must1(a.State(t.Context(), "upl-other")))
	}
	must(t, a.StageRemove(t.Context(), "upl-other"))

	for name, test := range map[string]struct {
		after int // parts
		state func(own json.RawMessage) json.RawMessage
	}{
		"none":           {2, func(json.RawMessage) json.RawMessage { return nil }},
		"none, complete": {4, func(json.RawMessage) json.RawMessage { return nil }},
		"null":           {4, func(json.RawMessage) json.RawMessage { return json.RawMessage("null") }},
		"another form":   {2, func(json.RawMessage) json.RawMessage { return json.RawMessage(`"x"`) }},
		"another field":  {4, func(own json.RawMessage) json.RawMessage { return json.RawMessage(`{"more":1,` + string(own[1:])) }},
		"a changed hash": {2, func(own json.RawMessage) json.RawMessage {
			return bytes.Replace(own, []byte("zaGED"), []byte("zaGEE"), 1)
		}},
		"of nothing, with parts": {3, func(own json.RawMessage) json.RawMessage {
			return must1(s3.WithParts(must1(a.State(t.Context(), "upl-new")), own))
		}},
		"further on":              {2, func(json.RawMessage) json.RawMessage { return others[2] }},
		"of other parts":          {2, func(json.RawMessage) json.RawMessage { return others[1] }},
		"of other parts, at once": {4, func(json.RawMessage) json.RawMessage { return others[3] }},
		"of other bytes, half":    {2, func(own json.RawMessage) json.RawMessage { return must1(s3.WithParts(others[1], own)) }},
		"of other bytes":          {4, func(own json.RawMessage) json.RawMessage { return must1(s3.WithParts(others[3], own)) }},
		"of other bytes, late":    {5, func(own json.RawMessage) json.RawMessage { return must1(s3.WithParts(others[3], own)) }},
	} {
		t.Run(name, func(t *testing.T) {
			if strings.Contains(name, "nothing") {
				must(t, a.StageCreate(t.Context(), "upl-new", int64(len(all))))
				defer a.StageRemove(context.WithoutCancel(t.Context()), "upl-new")
			}
			must(t, a.StageCreate(t.Context(), "upl-a", int64(len(all))))
			turns(t, "upl-a", all[:min(test.after*block, len(all))], a)
			if test.after == 5 { // it is one body already
				must1(a.StageSums(t.Context(), "upl-a"))
			}
			must(t, a.SetState(t.Context(), "upl-a", test.state(must1(a.State(t.Context(), "upl-a")))))
			if at, want := must1(b.StageInfo(t.Context(), "upl-a")).Offset, int64(min(test.after*block, len(all))); at != want {
				t.Fatalf("%d bytes are durable, before they were %d", at, want)
			}
			turns(t, "upl-a", all, b, a)
			g.set(nil)
			_, err := b.StageCommit(t.Context(), "upl-a", digest(other))
			is(t, err, objects.ErrDigest)
			if len(g.read()) == 0 {
				t.Fatal("nothing was read")
			}
			known(t, g, "upl-a", all, openConfig(t, c), a) // what was read once is noted
			must(t, a.Remove(t.Context(), digest(all), time.Now()))
		})
	}
}

// TestReadingGoesOn: what was read of a body is not read again, whoever asks next, when the first one was cut short.
func TestReadingGoesOn(t *testing.T) {
	c, g := gated(t)
	slow := &proxy{delay: 15 * time.Millisecond}
	behind := config(&shared, "")
	behind.Prefix, behind.Endpoint, behind.Direct = c.Prefix, slow.start(t, &shared), ""
	first, next := openConfig(t, behind), openConfig(t, c)
	all := content(5*block + 3)
	must(t, next.StageCreate(t.Context(), "upl-a", int64(len(all))))
	must(t, upload(t.Context(), next, "upl-a", all))
	must(t, next.SetState(t.Context(), "upl-a", nil))
	short, cancel := context.WithTimeout(t.Context(), 5*time.Second) // a block takes two
	defer cancel()
	_, err := first.StageSums(short, "upl-a")
	is(t, err, context.DeadlineExceeded)
	g.set(nil)
	sums, err := next.StageSums(t.Context(), "upl-a")
	must(t, err)
	if read := g.read(); sums != sumsOf(all) || len(read) != 1 || strings.HasPrefix(read[0], "bytes=0-") {
		t.Fatalf("hashes of what was read: %v", read)
	}
	known(t, g, "upl-a", all, next)

	// Nor when connections break: each is made again for as long as a block comes through it.
	must(t, next.StageCreate(t.Context(), "upl-b", int64(len(all))))
	must(t, upload(t.Context(), next, "upl-b", all))
	must1(next.StageSums(t.Context(), "upl-b"))
	must(t, next.SetState(t.Context(), "upl-b", nil))
	slow.delay = 0
	slow.cut.Store(2*block + block/2)
	sums, err = first.StageSums(t.Context(), "upl-b")
	must(t, err)
	if sums != sumsOf(all) || slow.cut.Load() != 0 {
		t.Error("other hashes across a cut")
	}
}
