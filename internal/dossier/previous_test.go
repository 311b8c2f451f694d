package dossier

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/merkle/testonly"

	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
)

// snapshot keeps a world as it is; what is returned brings it back, as a vault does that was restored from a backup.
func (w *world) snapshot() (restore func()) {
	now, states, n, events := w.now, maps.Clone(w.facts.States), len(w.logged), maps.Clone(w.events)
	return func() {
		w.now, w.facts.States, w.logged, w.events, w.notes = now, maps.Clone(states), w.logged[:n:n], maps.Clone(events), map[int][]byte{}
		w.tree = testonly.New(rfc6962.DefaultHasher)
		for _, l := range w.logged {
			w.tree.AppendData(l.signed.Leaf())
		}
	}
}

func (w *world) growth(from, to int) Growth {
	return Growth{int64(from), must(w.tree.ConsistencyProof(uint64(from), uint64(to))), int64(to)}
}

func (s *sample) proving(proofs ...Growth) {
	s.files = append(s.files, must(ConsistencyFile(Consistency{Proofs: proofs})))
}

// after verifies a package with the one before.
func after(t testing.TB, w *world, data, before []byte) *Report {
	t.Helper()
	r, err := Verify(bytes.NewReader(data), int64(len(data)), Options{Trust: &w.trust, Previous: io.NewSectionReader(bytes.NewReader(before), 0, int64(len(before)))})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (w *world) open(id ev.ItemID) {
	w.do(w.on(id, "custodian", ev.ItemOpened, &ev.ItemOpenedDetails{Envelope: ev.SHA256(w.files[id].envelopes["custodian"])}, func(e *ev.Event) { e.Purpose = ev.ForCare }))
}

const extends = "This log extends the one of the earlier package"

func TestPrevious(t *testing.T) {
	w, id := newShared(t)
	restore := w.snapshot()
	first := w.pack(id)
	old, from := first.write(t), len(w.logged)
	w.open(id)
	second := w.pack(id)
	to := len(w.logged)
	said := func(r *Report) bool { return strings.Contains(words(t, r), extends) }

	s := *second
	wanted(t, after(t, w, s.write(t), old), Incomplete, CheckCheckpoint, ReasonPreviousUnproven)
	s.proving(w.growth(from, to))
	newer := s.write(t)
	r := after(t, w, newer, old)
	wanted(t, r, Verified, CheckCheckpoint, "")
	if !said(r) || said(verify(t, w, newer, nil)) {
		t.Errorf("what the report says of the earlier package:\n%s", words(t, r))
	}
	wanted(t, after(t, w, newer, newer), Verified, CheckCheckpoint, "")
	wanted(t, after(t, w, old, newer), Incomplete, CheckCheckpoint, ReasonPreviousUnproven) // the earlier one is the newer one

	s = *second
	s.proving(w.growth(from-1, to)) // from a state that nobody showed
	wanted(t, after(t, w, s.write(t), old), Incomplete, CheckCheckpoint, ReasonPreviousUnproven)
	s = *second
	spoilt := w.growth(from, to)
	spoilt.Hashes[0] = bytes.Clone(spoilt.Hashes[0])
	spoilt.Hashes[0][0] ^= 1
	s.proving(spoilt)
	r = after(t, w, s.write(t), old)
	wanted(t, r, Refused, CheckCheckpoint, ReasonConsistency)
	if said(r) {
		t.Error("a proof that does not hold is believed")
	}

	// What cannot be used is no reason to refuse, nor to verify.
	other, theirs := newShared(t)
	for name, b := range map[string][]byte{"another vault's": other.pack(theirs).write(t), "garbage": []byte("garbage"), "nothing": nil,
		"changed": func() []byte {
			f := *first
			f.rereceipt(3, func(p *tlog.ReceiptParts) { p.Signature = bytes.Clone(p.Leaf[:70]) })
			return f.write(t)
		}(),
		"without its checkpoint": func() []byte {
			f := *first
			f.replace("log/checkpoint", nil)
			return f.write(t)
		}()} {
		r := after(t, w, newer, b)
		wanted(t, r, Incomplete, CheckCheckpoint, ReasonPreviousUnusable)
		if said(r) {
			t.Errorf("%s: it is said to be extended", name)
		}
	}

	// The same vault, which has forgotten what it showed: with as many entries, more, and fewer.
	for more := range 3 {
		restore()
		for range more {
			w.open(id)
		}
		s := w.pack(id)
		for name, proofs := range map[string][]Growth{"without a proof": nil, "with a proof": {{int64(from), [][]byte{make([]byte, 32)}, int64(from + 5)}}} {
			s := *s
			s.proving(proofs...)
			r := after(t, w, s.write(t), old)
			wanted(t, r, Refused, CheckCheckpoint, ReasonLogFork)
			now := tlog.Hash(w.tree.Hash())
			detail := r.Check(CheckCheckpoint).Detail
			for _, head := range []string{fmt.Sprintf("%d entries", from), fmt.Sprintf("%d entries, root %s", len(w.logged), now)} {
				if !strings.Contains(detail, head) {
					t.Errorf("%d more, %s: no %q in %q", more, name, head, detail)
				}
			}
			if strings.Count(detail, "root ") != 2 || said(r) {
				t.Errorf("%d more, %s: %q", more, name, detail)
			}
		}
	}
	restore()
	s1 := w.excerpt(ev.ItemOf(id))
	fewer := &sample{w: w, manifest: first.manifest, items: first.items}
	fewer.manifest.Covers = int64(len(w.logged) - 1)
	fewer.files = append(slices.DeleteFunc(slices.Clone(first.files), func(f File) bool {
		return strings.Contains(f.Path, "/events/") || strings.HasSuffix(f.Path, "complete.json") || strings.HasPrefix(f.Path, "log/")
	}), must(RecordFiles(s1, first.items))...)
	if r := after(t, w, fewer.write(t), old); r.Check(CheckCheckpoint).Reason != ReasonPreviousUnproven || said(r) {
		t.Errorf("a log that was set back: %s, %+v", r.Verdict, r.Check(CheckCheckpoint))
	}
}

// A step that the earlier package showed and this one does not is a fork, also where the log has grown.
func TestPreviousShowedMore(t *testing.T) {
	w, id := newShared(t)
	restore := w.snapshot()
	w.open(id)
	old := w.pack(id).write(t)
	restore()
	for range 6 {
		w.open(w.form)
	}
	s := w.pack(id)
	r := after(t, w, s.write(t), old)
	wanted(t, r, Refused, CheckCheckpoint, ReasonLogFork)

	// All that both show is equal.
	x := w.excerpt(ev.ItemOf(id))
	whole, _ := Replay(w.trust, x)
	x.Streams = slices.Clone(x.Streams)
	x.Streams[0].Events--
	short, _ := Replay(w.trust, x)
	for _, c := range []struct {
		now, before *History
		want        bool
	}{{whole, short, false}, {short, whole, true}, {whole, whole, false}} {
		v := verification{Options: Options{Trust: &w.trust}, history: c.now}
		if v.forked(c.before) != c.want {
			t.Errorf("fewer steps than before: %v", !c.want)
		}
	}
}

// Two packages that show no step in common are of two histories where one size has two roots.
func TestPreviousOfAnotherItem(t *testing.T) {
	w, id := newShared(t)
	other := w.deposit("another finding")
	w.seal(other, 2)
	w.share(other)
	restore := w.snapshot()
	old := w.pack(id).write(t)
	restore()
	now := w.pack(other)
	wanted(t, after(t, w, now.write(t), old), Refused, CheckCheckpoint, ReasonLogFork)
	restore()
	old = w.pack(id).write(t)
	from := len(w.logged)
	later := w.pack(other)
	later.proving(w.growth(from, len(w.logged)))
	wanted(t, after(t, w, later.write(t), old), Verified, CheckCheckpoint, "")
}

// States of different sizes in one package: proofs show that they are of one history; without them that stays the log key's word.
func TestConsistency(t *testing.T) {
	w, id := newShared(t)
	base := w.pack(id)
	n := len(w.logged)
	sizes := []int{n - 8, n - 5, n}
	under := func(s *sample, seq int64, size int) {
		s.rereceipt(seq, func(p *tlog.ReceiptParts) {
			p.Proof, p.Checkpoint = must(w.tree.InclusionProof(uint64(p.Index), uint64(size))), w.checkpoint(size)
		})
	}
	mixed := func() *sample {
		s := *base
		under(&s, 0, sizes[0])
		under(&s, 1, sizes[1])
		return &s
	}
	open := func(r *Report) bool { return slices.Contains(r.DoesNotShow, English.say(manyHistories)) }
	for name, c := range map[string]struct {
		sample *sample
		proofs []Growth
		open   bool
	}{
		"one state":             {base, nil, false},
		"no proofs":             {mixed(), nil, true},
		"each with the newest":  {mixed(), []Growth{w.growth(sizes[0], n), w.growth(sizes[1], n)}, false},
		"each with the next":    {mixed(), []Growth{w.growth(sizes[0], sizes[1]), w.growth(sizes[1], n)}, false},
		"one is left out":       {mixed(), []Growth{w.growth(sizes[0], n)}, true},
		"not with the newest":   {mixed(), []Growth{w.growth(sizes[0], sizes[1])}, true},
		"and of others' states": {mixed(), []Growth{{3, [][]byte{make([]byte, 32)}, 4}, w.growth(sizes[0], n), w.growth(sizes[1], n)}, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := *c.sample
			if c.proofs != nil {
				s.proving(c.proofs...)
			}
			r := verify(t, w, s.write(t), nil)
			wanted(t, r, Verified, CheckCheckpoint, "")
			if open(r) != c.open || strings.Contains(strings.Join(r.DoesNotShow, "\n"), "consistency") {
				t.Errorf("%q", r.DoesNotShow)
			}
		})
	}
	if got := must(States(base.excerpt)); !slices.Equal(got, []int64{int64(n)}) {
		t.Errorf("states %v", got)
	}
	receipts := base.excerpt.Streams[0].receipts()
	receipts[0] = mixed().file(base.event(ev.ItemOf(id), 0))
	x := base.excerpt
	x.Streams = slices.Clone(x.Streams)
	x.Streams[0].Receipt = Held(receipts)
	if got := must(States(x)); !slices.Equal(got, []int64{int64(sizes[0]), int64(n)}) {
		t.Errorf("states %v", got)
	}

	// A state of another history, which shares no whole subtree with the publication's proofs.
	fork := testonly.New(rfc6962.DefaultHasher)
	for i := range sizes[1] {
		leaf := w.logged[i].signed.Leaf()
		if i == sizes[1]-1 {
			leaf = []byte("another")
		}
		fork.AppendData(leaf)
	}
	s := mixed()
	s.rereceipt(1, func(p *tlog.ReceiptParts) {
		p.Proof = must(fork.InclusionProof(uint64(p.Index), uint64(sizes[1])))
		p.Checkpoint = must(tlog.SignCheckpoint(tlog.Checkpoint{Origin: origin, Size: int64(sizes[1]), Root: tlog.Hash(fork.Hash())}, w.signer))
	})
	s.proving(w.growth(sizes[0], n), w.growth(sizes[1], n))
	wanted(t, verify(t, w, s.write(t), nil), Refused, CheckCheckpoint, ReasonConsistency)

	s = mixed()
	s.replace(consistencyName, []byte(`{"proofs":[],"version":1} `))
	wanted(t, verify(t, w, s.write(t), nil), Refused, CheckPackage, ReasonConsistencyForm)

	// A bit changed in the proofs never leaves them what they were.
	s = mixed()
	s.proving(w.growth(sizes[0], n), w.growth(sizes[1], n))
	f := newForger(s.write(t))
	l, _ := f.pkg.listed(consistencyName)
	chosen(int(l.Size), 100, func(i int) {
		f.flip(consistencyName, i, i%8)
		if r := verify(t, w, f.data, nil); r.Verdict == Verified && !open(r) {
			t.Errorf("bit %d of byte %d", i%8, i)
		}
		f.flip(consistencyName, i, i%8)
	})
}

func TestConsistencyForm(t *testing.T) {
	hash := make([]byte, 32)
	good := Consistency{Proofs: []Growth{{1, [][]byte{hash}, 2}, {1, [][]byte{hash}, 3}, {2, [][]byte{hash, hash}, 3}}}
	b := must(good.Marshal())
	if again, err := ParseConsistency(b); err != nil || again.Version != 1 || len(again.Proofs) != 3 {
		t.Fatal(again, err)
	}
	for name, c := range map[string]Consistency{
		"version": {Version: 2}, "from nothing": {Proofs: []Growth{{0, [][]byte{hash}, 2}}}, "backwards": {Proofs: []Growth{{3, [][]byte{hash}, 2}}},
		"no growth": {Proofs: []Growth{{2, [][]byte{hash}, 2}}}, "too large": {Proofs: []Growth{{2, [][]byte{hash}, tlog.MaxTreeSize + 1}}},
		"unsorted": {Proofs: []Growth{{2, [][]byte{hash}, 3}, {1, [][]byte{hash}, 3}}}, "twice": {Proofs: []Growth{{2, [][]byte{hash}, 3}, {2, [][]byte{hash}, 3}}},
		"short hash": {Proofs: []Growth{{2, [][]byte{hash[1:]}, 3}}}, "no hash": {Proofs: []Growth{{2, nil, 3}}},
		"too many hashes": {Proofs: []Growth{{2, slices.Repeat([][]byte{hash}, maxGrowth+1), 3}}},
	} {
		if _, err := c.Marshal(); err == nil {
			t.Errorf("%s: written", name)
		}
		plain := must(json.Marshal(c))
		if _, err := ParseConsistency(bytes.Replace(plain, []byte(`"version":0`), []byte(`"version":1`), 1)); err == nil {
			t.Errorf("%s: read", name)
		}
	}
	for _, s := range []string{"", "null", "{}", `{"proofs":null,"version":1}`, `{"proofs":[],"version":1}` + "\n", `{"proofs":[],"proofs":[],"version":1}`,
		`{"Proofs":[],"version":1}`, `{"proofs":[],"version":1,"x":1}`, "[" + strings.Repeat("{},", 1<<20) + "{}]", strings.Repeat(" ", maxConsistency+1)} {
		if _, err := ParseConsistency([]byte(s)); err == nil {
			t.Errorf("read: %.40s", s)
		}
	}
	for _, f := range []func() (File, error){
		func() (File, error) { return StampFile(0, "tsa", nil) }, func() (File, error) { return StampFile(1, "../x", nil) },
		func() (File, error) { return StampFile(1, "", nil) }, func() (File, error) { return RevocationFile("A", nil) },
	} {
		if _, err := f(); err == nil {
			t.Error("a file by a name that no package has")
		}
	}
}

func FuzzParseConsistency(f *testing.F) {
	hash := make([]byte, 32)
	f.Add(must(Consistency{Proofs: []Growth{{1, [][]byte{hash}, 2}, {2, [][]byte{hash, hash}, 3}}}.Marshal()))
	f.Add([]byte(`{"proofs":[],"version":1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ParseConsistency(b)
		if err != nil {
			return
		}
		if again, err := c.Marshal(); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%q is written as %q, %v", b, again, err)
		}
	})
}
