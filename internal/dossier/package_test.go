package dossier

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/sealing"
)

// sample is a genuine package, in parts that a test may change before it is written.
type sample struct {
	w        *world
	manifest Manifest
	files    []File
	items    []ev.ItemID
	excerpt  Excerpt
	bytes    []byte
}

const courtNonce = "courtnonce0123456789abcdefghijkl"

// contents are the files that exist before the last events.
func (w *world) contents(m Manifest) []File {
	files := []File{must(Readme(w.trust, m, w.depositors(m.Items...), English))}
	var signers [][]byte
	for _, p := range w.people {
		signers = append(signers, p.key.SPKI())
	}
	files = append(files, TrustFiles(w.trust, signers...)...)
	for _, id := range m.Items {
		f := w.files[id]
		files = append(files, BytesFile(ItemPath(id, "evidence.age"), f.evidence), BytesFile(ItemPath(id, "description.age"), f.description),
			BytesFile(ItemPath(id, "key.age"), f.envelopes["court"]))
	}
	return append(files, w.more...)
}

// depositors are the keys that signed the first events of items.
func (w *world) depositors(items ...ev.ItemID) (list []ev.Hash) {
	for _, id := range items {
		list = append(list, w.logged[w.events[ev.ItemOf(id)][0]].signed.KeyID())
	}
	return list
}

// pack exports items to the court.
func (w *world) pack(items ...ev.ItemID) *sample {
	w.t.Helper()
	slices.Sort(items)
	m := Manifest{Grant: w.grant, Items: items, Nonce: courtNonce, Recipient: w.people["court"].fingerprint(), Vault: origin}
	files := w.contents(m)
	digest := ContentDigest(Lists(files))
	var streams []ev.Stream
	for _, id := range items {
		w.do(w.on(id, "court", ev.ItemExported, &ev.ItemExportedDetails{Form: "package", Grant: w.grant, Nonce: courtNonce, Content: digest}))
		streams = append(streams, ev.ItemOf(id))
	}
	return w.finish(m, files, streams)
}

func (w *world) finish(m Manifest, files []File, streams []ev.Stream) *sample {
	m.Covers = int64(len(w.logged))
	x := w.excerpt(streams...)
	return &sample{w: w, manifest: m, files: append(files, must(RecordFiles(x, m.Items))...), items: m.Items, excerpt: x}
}

func (s *sample) write(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, s.manifest, s.files); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// replace gives a file other contents; nil takes it away.
func (s *sample) replace(path string, contents []byte) {
	s.files = slices.DeleteFunc(slices.Clone(s.files), func(f File) bool { return f.Path == path })
	if contents != nil {
		s.files = append(s.files, BytesFile(path, contents))
	}
}

func (s *sample) file(path string) []byte {
	for _, f := range s.files {
		if f.Path == path {
			b := new(bytes.Buffer)
			must(b.ReadFrom(must(f.Open())))
			return b.Bytes()
		}
	}
	panic("no file " + path)
}

func (s *sample) event(stream ev.Stream, seq int64) string {
	dir := folder(stream, stream.Type == ev.ItemStream && slices.Contains(s.items, ev.ItemID(stream.ID)))
	return dir + "events/" + strings.Repeat("0", 5) + string(rune('0'+seq)) + ".sigstore.json"
}

func verify(t testing.TB, w *world, data []byte, id *sealing.Identity) *Report {
	t.Helper()
	r, err := Verify(bytes.NewReader(data), int64(len(data)), Options{Trust: &w.trust, Identity: id})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func newPackage(t testing.TB) (*sample, ev.ItemID) {
	w, id := newShared(t)
	return w.pack(id), id
}

func TestVerified(t *testing.T) {
	s, id := newPackage(t)
	data := s.write(t)
	court := s.w.people["court"].age
	r := verify(t, s.w, data, &court)
	if r.Verdict != Verified || r.Check(CheckContent).Result != Pass {
		t.Fatalf("%+v", r.Checks)
	}
	var out bytes.Buffer
	if err := r.WriteText(&out, Telling{}); err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + out.String())
	for line := range strings.Lines(out.String()) {
		if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > textWidth {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	if len(r.Opened()) != 1 {
		t.Fatal("nothing to extract")
	}
	var plain bytes.Buffer
	if err := r.Opened()[0].WriteEvidence(&plain); err != nil || !bytes.Equal(plain.Bytes(), s.w.files[id].plaintext) {
		t.Errorf("extracted %q, %v", plain.Bytes(), err)
	}
	r = verify(t, s.w, data, nil)
	if r.Verdict != Verified || r.Check(CheckContent).Result != NotRequired {
		t.Errorf("without an identity: %+v", r.Checks)
	}
}
