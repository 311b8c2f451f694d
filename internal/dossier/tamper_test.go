package dossier

import (
	"bytes"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	ev "strongroom.example/strongroom/internal/evidence"
)

// every is how far apart the bytes are that a normal run changes; STRONGROOM_LONG=1 changes all of them.
func every(n int) int {
	if os.Getenv("STRONGROOM_LONG") != "" {
		return 1
	}
	return n
}

// A byte changed anywhere in the archive never goes unnoticed, whether or not anything behind the container is looked at.
func TestEveryByteOfContainer(t *testing.T) {
	s, _ := newPackage(t)
	data := s.write(t)
	for i := rand.IntN(every(193)); i < len(data); i += every(193) {
		good := data[i]
		data[i] ^= byte(1 << rand.IntN(8))
		if p, err := Read(bytes.NewReader(data), int64(len(data))); err == nil && p.checkFiles() == nil {
			t.Errorf("byte %d of %d", i, len(data))
		}
		data[i] = good
	}
}

// written is write, remembered.
func (s *sample) written(t testing.TB) []byte {
	if s.bytes == nil {
		s.bytes = s.write(t)
	}
	return s.bytes
}

// A byte changed in any file, by someone who then corrects the list of files, is never verified.
func TestEveryByteOfFiles(t *testing.T) {
	base, _ := newPackage(t)
	court := base.w.people["court"].age
	for _, f := range base.files {
		step := every(4001)
		if strings.HasSuffix(f.Path, "complete.json") || strings.HasSuffix(f.Path, ".html") {
			step = every(1499)
		}
		for i := int(rand.Int64N(max(1, min(int64(step), f.Size)))); i < int(f.Size); i += step {
			s := *base
			b := slices.Clone(s.file(f.Path))
			b[i] ^= byte(1 << rand.IntN(8))
			s.replace(f.Path, b)
			if r := verify(t, s.w, s.write(t), &court); r.Verdict == Verified {
				t.Errorf("byte %d of %s", i, f.Path)
			}
		}
	}
}

// A changed list of files is never verified.
func TestEveryByteOfManifest(t *testing.T) {
	s, _ := newPackage(t)
	p := must(Read(bytes.NewReader(s.written(t)), int64(len(s.written(t)))))
	good := p.manifest()
	for i := rand.IntN(every(101)); i < len(good); i += every(101) {
		b := slices.Clone(good)
		b[i] ^= byte(1 << rand.IntN(8))
		if r := verify(t, s.w, s.with(t, b), nil); r.Verdict == Verified {
			t.Errorf("byte %d: %s", i, b[max(0, i-20):min(len(b), i+20)])
		}
	}
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

// Every file replaced by that of another package, which is as genuine.
func TestFilesOfAnotherPackage(t *testing.T) {
	w, id := newShared(t)
	first := w.pack(id)
	other, _ := newPackage(t)
	court := w.people["court"].age
	theirs := map[string][]byte{}
	for _, f := range other.files {
		theirs[f.Path[strings.LastIndex(f.Path, "/")+1:]] = other.file(f.Path)
	}
	for _, f := range first.files {
		b := theirs[f.Path[strings.LastIndex(f.Path, "/")+1:]]
		if b == nil || bytes.Equal(b, first.file(f.Path)) {
			continue
		}
		s := *first
		s.replace(f.Path, b)
		if r := verify(t, w, s.write(t), &court); r.Verdict == Verified {
			t.Errorf("%s", f.Path)
		}
	}
}

// Every event removed, doubled, or moved.
func TestEveryEvent(t *testing.T) {
	base, id := newPackage(t)
	stream := ev.ItemOf(id)
	for seq := range int64(9) {
		for name, change := range map[string]func(s *sample){
			"removed": func(s *sample) { s.omit(seq) },
			"doubled": func(s *sample) { s.replace(s.event(stream, (seq+1)%9), s.file(s.event(stream, seq))) },
			"added":   func(s *sample) { s.replace(s.event(stream, 9), s.file(s.event(stream, seq))) },
			"moved": func(s *sample) {
				a, b := s.event(stream, seq), s.event(stream, (seq+1)%9)
				x, y := s.file(a), s.file(b)
				s.replace(a, y)
				s.replace(b, x)
			},
		} {
			s := *base
			change(&s)
			if r := verify(t, s.w, s.write(t), nil); r.Verdict != Refused {
				t.Errorf("step %d %s: %s", seq, name, r.Verdict)
			}
		}
	}
}
