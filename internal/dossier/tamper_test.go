package dossier

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	ev "strongroom.example/strongroom/internal/evidence"
)

// chosen calls f with places below n: all of them with STRONGROOM_LONG=1, else about as many as samples says, and fewer with the race
// detector.
func chosen(n, samples int, f func(i int)) {
	step := 1
	if os.Getenv("STRONGROOM_LONG") == "" {
		if race {
			samples /= 8
		}
		step += n / max(samples, 1)
	}
	for i := rand.IntN(step); i < n; i += step {
		f(i)
	}
}

// A byte changed anywhere in the archive never goes unnoticed, whether or not anything behind the container is looked at.
func TestEveryByteOfContainer(t *testing.T) {
	s, _ := newPackage(t)
	data := s.write(t)
	accepted := func(b []byte) bool {
		p, err := Read(bytes.NewReader(b), int64(len(b)))
		return err == nil && p.checkFiles() == nil
	}
	chosen(len(data), 1000, func(i int) {
		good := data[i]
		data[i] ^= byte(1 << rand.IntN(8))
		if accepted(data) {
			t.Errorf("byte %d of %d", i, len(data))
		}
		data[i] = good
	})
	for range 50 {
		i, n := rand.IntN(len(data)), 1+rand.IntN(100)
		for name, b := range map[string][]byte{
			"left out": slices.Delete(slices.Clone(data), i, min(i+n, len(data))),
			"doubled":  slices.Insert(slices.Clone(data), i, data[i:min(i+n, len(data))]...),
			"cut off":  data[:i],
		} {
			if accepted(b) {
				t.Errorf("%d bytes at %d of %d %s", n, i, len(data), name)
			}
		}
	}
}

// forger changes bytes of files in an archive, and then the checksums and the list of files, so that only what is signed tells.
type forger struct {
	data     []byte
	pkg      *Package
	central  map[string]int // headers in the directory
	manifest int            // where package.json begins
}

func newForger(data []byte) *forger {
	f := &forger{data: data, pkg: must(Read(bytes.NewReader(data), int64(len(data)))), central: map[string]int{}}
	tail, _ := layOut(f.pkg.entries)
	at := len(data) - len(tail)
	for _, e := range f.pkg.entries {
		f.central[e.name] = at
		at += len(e.central())
	}
	i, _ := f.pkg.find(manifestName)
	f.manifest = int(f.pkg.entries[i].data())
	return f
}

// flip changes a bit of a file. Done twice, it is undone.
func (f *forger) flip(name string, i, bit int) {
	at, _ := f.pkg.find(name)
	e := f.pkg.entries[at]
	file := f.data[e.data():][:e.size]
	file[i] ^= 1 << bit
	listed := f.data[f.manifest:]
	entry := bytes.Index(listed, []byte(`{"path":"`+name+`","sha256":"`)) + len(`{"path":"`+name+`","sha256":"`)
	copy(listed[entry:], ev.SHA256(file).String())
	f.checksum(name)
	f.checksum(manifestName)
}

func (f *forger) checksum(name string) {
	at, _ := f.pkg.find(name)
	e := f.pkg.entries[at]
	sum := crc32.ChecksumIEEE(f.data[e.data():][:e.size])
	binary.LittleEndian.PutUint32(f.data[e.offset+14:], sum)
	binary.LittleEndian.PutUint32(f.data[f.central[name]+16:], sum)
}

// A byte changed in any file, by someone who then corrects the list of files, is never verified.
func TestEveryByteOfFiles(t *testing.T) {
	base, _ := newPackage(t)
	f := newForger(base.write(t))
	court := base.w.people["court"].age
	verified := func() bool { return verify(t, base.w, f.data, nil).Verdict == Verified }
	if !verified() {
		t.Fatal("not a genuine package")
	}
	total, n := 0, 0
	for _, l := range f.pkg.Files {
		total += int(l.Size)
	}
	for _, l := range f.pkg.Files {
		chosen(int(l.Size), 1+500*int(l.Size)/total, func(i int) {
			bit := rand.IntN(8)
			f.flip(l.Path, i, bit)
			if verified() {
				t.Errorf("bit %d of byte %d of %s", bit, i, l.Path)
			}
			if n++; n%100 == 0 && verify(t, base.w, f.data, &court).Verdict == Verified {
				t.Errorf("bit %d of byte %d of %s, opened", bit, i, l.Path)
			}
			f.flip(l.Path, i, bit)
		})
	}
	if !verified() {
		t.Fatal("what was changed was not changed back")
	}
	t.Logf("%d bytes of %d", n, total)
}

// A changed list of files is never verified.
func TestEveryByteOfManifest(t *testing.T) {
	s, _ := newPackage(t)
	f := newForger(s.write(t))
	at, _ := f.pkg.find(manifestName)
	good := f.data[f.manifest:][:f.pkg.entries[at].size]
	chosen(len(good), 200, func(i int) {
		bit := byte(1 << rand.IntN(8))
		good[i] ^= bit
		f.checksum(manifestName)
		if r := verify(t, s.w, f.data, nil); r.Verdict == Verified {
			t.Errorf("byte %d: %s", i, good[max(0, i-20):min(len(good), i+20)])
		}
		good[i] ^= bit
		f.checksum(manifestName)
	})
}

// written is write, remembered.
func (s *sample) written(t testing.TB) []byte {
	if s.bytes == nil {
		s.bytes = s.write(t)
	}
	return s.bytes
}

// with is the archive with another package.json, whatever it says.
func (s *sample) with(t testing.TB, manifest []byte) []byte {
	t.Helper()
	files := append(slices.Clone(s.files), BytesFile(manifestName, manifest))
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	entries := make([]entry, len(files))
	for i, f := range files {
		entries[i] = entry{name: f.Path, size: f.Size, crc: f.CRC}
	}
	tail, _ := layOut(entries)
	var b bytes.Buffer
	for i, f := range files {
		b.Write(entries[i].local())
		if err := f.copyTo(&b); err != nil {
			t.Fatal(err)
		}
	}
	b.Write(tail)
	return b.Bytes()
}

// The list and the archive must agree, file by file.
func TestManifestAndArchive(t *testing.T) {
	base, id := newPackage(t)
	manifest := must(Read(bytes.NewReader(base.written(t)), int64(len(base.written(t))))).manifest()
	for _, c := range []struct {
		name, reason string
		change       func(s *sample) []byte
	}{
		{"missing entry", ReasonFileMissing, func(s *sample) []byte {
			s.replace(s.event(ev.ItemOf(id), 2), nil)
			return s.with(t, manifest)
		}},
		{"unlisted file", ReasonFileUnlisted, func(s *sample) []byte {
			s.files = append(slices.Clone(s.files), BytesFile("virus.exe", nil))
			return s.with(t, manifest)
		}},
		{"other size", ReasonFileSize, func(s *sample) []byte {
			s.replace("README.html", []byte("short"))
			return s.with(t, manifest)
		}},
		{"same size, other bytes", ReasonFileChanged, func(s *sample) []byte {
			b := slices.Clone(s.file("README.html"))
			b[100] ^= 1
			s.replace("README.html", b)
			return s.with(t, manifest)
		}},
		{"a name that means nothing", ReasonFileName, func(s *sample) []byte {
			return s.with(t, bytes.Replace(manifest, []byte(`"README.html"`), []byte(`"README.html/../x"`), 1))
		}},
		{"not canonical", ReasonManifest, func(s *sample) []byte {
			return s.with(t, append([]byte(" "), manifest...))
		}},
		{"a newer version", ReasonVersion, func(s *sample) []byte {
			return s.with(t, bytes.Replace(manifest, []byte(`"version":1`), []byte(`"version":2`), 1))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := *base
			r := verify(t, s.w, c.change(&s), nil)
			verdict := Refused
			if c.reason == ReasonVersion {
				verdict = Incomplete
			}
			wanted(t, r, verdict, CheckPackage, c.reason)
		})
	}
	r := verify(t, base.w, []byte("PK, but no more"), nil)
	wanted(t, r, Refused, CheckPackage, ReasonContainer)
}

// Every file replaced by that of another package which is as genuine: of another vault, and of the same vault, made for another share. Alone another receipt of the very same event passes, for the log has many states: then it is the same history, word by word.
func TestFilesOfAnotherPackage(t *testing.T) {
	w, id := newShared(t)
	first := w.pack(id)
	want := facts(verify(t, w, first.write(t), nil))
	other, _ := newPackage(t)
	court := w.people["court"].age
	w.grant = ev.NewID[ev.GrantID]()
	next := w.deposit("another finding")
	w.seal(next, 2)
	w.share(next)
	second := w.pack(next)
	for name, foreign := range map[string]*sample{"another vault": other, "another share": second} {
		theirs := map[string][]byte{}
		for _, f := range foreign.files {
			theirs[f.Path[strings.LastIndex(f.Path, "/")+1:]] = foreign.file(f.Path)
		}
		for _, f := range foreign.files {
			theirs[f.Path] = foreign.file(f.Path)
		}
		for _, f := range first.files {
			b := theirs[f.Path]
			if b == nil {
				b = theirs[f.Path[strings.LastIndex(f.Path, "/")+1:]]
			}
			if b == nil || bytes.Equal(b, first.file(f.Path)) {
				continue
			}
			s := *first
			s.replace(f.Path, b)
			r := verify(t, w, s.write(t), &court)
			if r.Verdict == Verified && (name != "another share" || !strings.Contains(f.Path, "/events/") || !sameEvent(first.file(f.Path), b) || facts(r) != want) {
				t.Errorf("%s: %s", name, f.Path)
			}
		}
	}
}

// facts is what a report says happened.
func facts(r *Report) string { return fmt.Sprintf("%+v", r.Events) }

func sameEvent(a, b []byte) bool {
	x, _, _, err := open(a)
	y, _, _, err2 := open(b)
	return err == nil && err2 == nil && x.leafHash == y.leafHash && x.receipt.Index() == y.receipt.Index()
}

// Every event of every stream removed, doubled, added again, swapped with the next, or put into another stream.
func TestEveryEvent(t *testing.T) {
	base, _ := newPackage(t)
	var last string // of another stream
	for _, stream := range base.excerpt.Streams {
		n := stream.Events
		for seq := range n {
			here := base.event(stream.ID, seq)
			next := base.event(stream.ID, (seq+1)%n)
			for name, change := range map[string]func(s *sample){
				"removed": func(s *sample) {
					for i := seq; i < n-1; i++ {
						s.replace(base.event(stream.ID, i), base.file(base.event(stream.ID, i+1)))
					}
					s.replace(base.event(stream.ID, n-1), nil)
				},
				"left out": func(s *sample) { s.replace(here, nil) },
				"doubled":  func(s *sample) { s.replace(next, base.file(here)) },
				"added":    func(s *sample) { s.replace(base.event(stream.ID, n), base.file(here)) },
				"swapped": func(s *sample) {
					s.replace(here, base.file(next))
					s.replace(next, base.file(here))
				},
				"of another stream": func(s *sample) { s.replace(here, base.file(last)) },
			} {
				if n == 1 && (name == "doubled" || name == "swapped") || last == "" && name == "of another stream" {
					continue
				}
				s := *base
				change(&s)
				if r := verify(t, s.w, s.write(t), nil); r.Verdict != Refused {
					t.Errorf("%s, step %d %s: %s", stream.ID.Type, seq, name, r.Verdict)
				}
			}
		}
		if n > 0 {
			last = base.event(stream.ID, n-1)
		}
	}
}
