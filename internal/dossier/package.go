package dossier

import (
	"crypto/sha256"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
)

// Package is a court package that was read: its container and its manifest are in their one form and agree. Nothing else is known of it.
type Package struct {
	Manifest
	file    io.ReaderAt
	entries []entry // with that of package.json
}

// How much a package holds at most (FORMATS §1).
const (
	MaxEvents  = 100_000
	MaxStreams = 20_000
)

// Read reads the container and the manifest, strictly (FORMATS §11). The file must not change as long as the Package is used. What is
// refused is a Finding of the check "package"; an error of file is returned as it is.
func Read(file io.ReaderAt, size int64) (*Package, error) {
	entries, err := readZip(file, size)
	if err == errZip {
		return nil, refuse(ReasonContainer, "", nil)
	}
	if err != nil {
		return nil, err
	}
	p := &Package{file: file, entries: entries}
	i, ok := p.find(manifestName)
	if !ok {
		return nil, Finding{Check: CheckPackage, Result: NotChecked, Reason: ReasonManifestMissing, Seq: -1}
	}
	data, err := p.read(manifestName, MaxManifest)
	if err != nil {
		return nil, err
	}
	if crc32.ChecksumIEEE(data) != entries[i].crc {
		return nil, refuse(ReasonFileChanged, manifestName, nil)
	}
	m, err := ParseManifest(data)
	if evidence.KindOf(err) == evidence.Unknown {
		return nil, Finding{Check: CheckPackage, Result: NotChecked, Reason: ReasonVersion, Seq: -1}
	}
	if err != nil {
		return nil, refuse(evidence.ReasonOf(err), "", err)
	}
	p.Manifest = m
	others := slices.Delete(slices.Clone(entries), i, i+1)
	for i := range max(len(others), len(m.Files)) {
		switch {
		case i >= len(others), i < len(m.Files) && m.Files[i].Path < others[i].name:
			return nil, refuse(ReasonFileMissing, m.Files[i].Path, nil)
		case i >= len(m.Files), others[i].name < m.Files[i].Path:
			return nil, refuse(ReasonFileUnlisted, "", nil) // the name is anything at all: it is not repeated
		case others[i].size != m.Files[i].Size:
			return nil, refuse(ReasonFileSize, m.Files[i].Path, nil)
		}
		m.Files[i].Path = others[i].name // kept once
	}
	return p, nil
}

func refuse(reason, file string, err error) Finding {
	return Finding{Check: CheckPackage, Result: Fail, Reason: reason, Seq: -1, File: file, Err: err}
}

func (p *Package) find(name string) (int, bool) {
	return slices.BinarySearchFunc(p.entries, name, func(e entry, name string) int { return strings.Compare(e.name, name) })
}

// Has reports whether there is a file of that name.
func (p *Package) Has(name string) bool { _, ok := p.find(name); return ok }

// Open returns a file's bytes; nil if there is none.
func (p *Package) Open(name string) *io.SectionReader {
	i, ok := p.find(name)
	if !ok {
		return nil
	}
	return io.NewSectionReader(p.file, p.entries[i].data(), p.entries[i].size)
}

// listed returns what the manifest says of a file.
func (p *Package) listed(name string) (Listed, bool) {
	i, ok := slices.BinarySearchFunc(p.Files, name, func(f Listed, name string) int { return strings.Compare(f.Path, name) })
	if !ok {
		return Listed{}, false
	}
	return p.Files[i], true
}

// under returns the files whose path begins so.
func (p *Package) under(prefix string) []Listed {
	i, _ := slices.BinarySearchFunc(p.Files, prefix, func(f Listed, name string) int { return strings.Compare(f.Path, name) })
	n := i
	for n < len(p.Files) && strings.HasPrefix(p.Files[n].Path, prefix) {
		n++
	}
	return p.Files[i:n]
}

// read returns a whole small file.
func (p *Package) read(name string, limit int64) ([]byte, error) {
	r := p.Open(name)
	switch {
	case r == nil:
		return nil, evidence.Refuse(evidence.NotFound, ReasonFileMissing)
	case r.Size() > limit:
		return nil, evidence.Refuse(evidence.TooLarge, ReasonFileSize)
	}
	b := make([]byte, r.Size())
	_, err := io.ReadFull(r, b)
	return b, err
}

// checkFiles compares every file with the manifest. It returns the first one that differs.
func (p *Package) checkFiles() error {
	bad := make([]error, len(p.Files))
	parallel(len(p.Files), func(i int) {
		f := p.Files[i]
		at, _ := p.find(f.Path)
		m := newMeter()
		if err := m.readFrom(p.Open(f.Path)); err != nil {
			bad[i] = err
		} else if m.digest() != f.SHA256 || m.crc.Sum32() != p.entries[at].crc {
			bad[i] = refuse(ReasonFileChanged, f.Path, nil)
		}
	})
	for _, err := range bad {
		if err != nil {
			return err
		}
	}
	return nil
}

// excerpt is what the package hands over of the record book. The events of a stream are taken in the order of their names; misnamed is
// the first file whose name is not that of its place. With one missing, the statements say more precisely what is wrong.
func (p *Package) excerpt() (x Excerpt, misnamed string, err error) {
	if p.Has("log/heads.sigstore.json") {
		if x.Heads, err = p.read("log/heads.sigstore.json", maxReceipt); err != nil {
			return x, "", refuse(ReasonReceipt, "log/heads.sigstore.json", nil)
		}
	}
	if note, err := p.read("log/checkpoint", tlog.MaxCheckpointSize); err == nil {
		x.Checkpoint = note
	}
	x.Final = true
	p.stamps(&x)
	total, items := 0, 0
	for i := 0; i < len(p.Files); {
		first, _ := parsePath(p.Files[i].Path)
		if first.stream.ID == "" {
			i++
			continue
		}
		dir := folder(first.stream, first.item)
		_, listed := slices.BinarySearch(p.Items, evidence.ItemID(first.stream.ID))
		if (first.stream.Type == evidence.ItemStream && listed) != first.item {
			return x, "", refuse(ReasonItems, dir, nil)
		}
		if first.item {
			items++
		}
		s := Stream{ID: first.stream, Proof: func() (Length, error) {
			complete, err := p.read(dir+"complete.json", maxComplete)
			if err != nil {
				return Length{}, err
			}
			return ParseLength(complete)
		}}
		if _, err := s.Proof(); err != nil {
			return x, "", refuse(ReasonComplete, dir+"complete.json", nil)
		}
		if len(x.Streams) == MaxStreams {
			return x, "", refuse(ReasonTooMany, "", nil)
		}
		events := 0 // place of the first in p.Files
		for ; i < len(p.Files) && strings.HasPrefix(p.Files[i].Path, dir); i++ {
			if !strings.HasPrefix(p.Files[i].Path, dir+"events/") {
				continue
			}
			if s.Events == 0 {
				events = i
			}
			if misnamed == "" && !strings.HasPrefix(p.Files[i].Path, fmt.Sprintf("%sevents/%06d.", dir, s.Events)) {
				misnamed = p.Files[i].Path
			}
			if s.Events++; s.Events > MaxEvents-int64(total) {
				return x, "", refuse(ReasonTooMany, "", nil)
			}
		}
		total += int(s.Events)
		s.Receipt = func(seq int64) ([]byte, error) { return p.event(p.Files[events+int(seq)].Path) }
		x.Streams = append(x.Streams, s)
	}
	if items != len(p.Items) {
		return x, "", refuse(ReasonItems, manifestName, nil)
	}
	return x, misnamed, nil
}

// stamps hands over the time stamps and revocation lists beside the receipts.
func (p *Package) stamps(x *Excerpt) {
	x.Revoked = map[string]func() ([]byte, error){}
	for _, f := range p.under("log/") {
		if m := stampFiles.FindStringSubmatch(f.Path); m != nil {
			size, _ := strconv.ParseInt(m[1], 10, 64) // at most 16 digits
			x.Stamps = append(x.Stamps, Stamp{size, m[2], func() ([]byte, error) { return p.read(f.Path, tlog.MaxTimestampAnswer) }})
		} else if m := revocationFiles.FindStringSubmatch(f.Path); m != nil {
			x.Revoked[m[1]] = func() ([]byte, error) { return p.read(f.Path, tlog.MaxCRL) }
		}
	}
}

// event reads the receipt of an event, or what stands for a withheld one: as the file's name says.
func (p *Package) event(name string) ([]byte, error) {
	data, err := p.read(name, maxReceipt)
	if err == nil && IsWithheld(data) != strings.HasSuffix(name, ".withheld.json") {
		err = evidence.Refuse(evidence.Invalid, ReasonFileName)
	}
	return data, err
}

const maxReceipt = tlog.MaxReceiptSize + (tlog.MaxPayloadSize+2)/3*4

// meter measures what is written to it.
type meter struct {
	size int64
	sum  hash.Hash
	crc  hash.Hash32
}

func newMeter() *meter { return &meter{sum: sha256.New(), crc: crc32.NewIEEE()} }

func (m *meter) Write(b []byte) (int, error) {
	m.size += int64(len(b))
	m.sum.Write(b)
	m.crc.Write(b)
	return len(b), nil
}

// readFrom measures the whole of a file.
func (m *meter) readFrom(r *io.SectionReader) error {
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	for at := int64(0); at < r.Size(); {
		n, err := r.ReadAt((*buf)[:min(int64(len(*buf)), r.Size()-at)], at)
		if n == 0 && err != nil {
			return err
		}
		m.Write((*buf)[:n])
		at += int64(n)
	}
	return nil
}

var buffers = sync.Pool{New: func() any { b := make([]byte, 64<<10); return &b }}

func (m *meter) digest() evidence.Hash { return evidence.Hash(m.sum.Sum(nil)) }
