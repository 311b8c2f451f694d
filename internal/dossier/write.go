package dossier

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"strings"

	"strongroom.example/strongroom/api"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
)

// File is a file that goes into a package.
type File struct {
	Listed
	CRC  uint32 // IEEE CRC-32, which a ZIP states before the file
	Open func() (io.ReadCloser, error)
}

// NewFile reads a file once to learn its size and digests. It is opened again when the package is written.
func NewFile(path string, open func() (io.ReadCloser, error)) (File, error) {
	r, err := open()
	if err != nil {
		return File{}, err
	}
	defer r.Close()
	m := newMeter()
	if _, err := io.Copy(m, r); err != nil {
		return File{}, err
	}
	return File{Listed{path, m.digest(), m.size}, m.crc.Sum32(), open}, nil
}

// BytesFile is a file in memory.
func BytesFile(path string, b []byte) File {
	return File{Listed{path, evidence.SHA256(b), int64(len(b))}, crc32.ChecksumIEEE(b),
		func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }}
}

// Lists returns what lists say of files.
func Lists(files []File) []Listed {
	list := make([]Listed, len(files))
	for i, f := range files {
		list[i] = f.Listed
	}
	return list
}

// ItemPath names a file of an item: "evidence.age", "description.age", "key.age".
func ItemPath(id evidence.ItemID, name string) string {
	return folder(evidence.ItemOf(id), true) + name
}

// NotePath names the file of a note of event seq (FORMATS §11).
func NotePath(id evidence.ItemID, seq int64, name string) string {
	return ItemPath(id, fmt.Sprintf("notes/%06d-%s.age", seq, name))
}

// TrustFiles are for stock tools: the trusted root, the witness policy, the public keys of those who signed (SPKI DER). No verdict
// rests on them.
func TrustFiles(trust tlog.Trust, signers ...[]byte) []File {
	files := []File{BytesFile("trust/trusted_root.json", trust.TrustedRoot()), BytesFile("trust/witness_policy", []byte(trust.WitnessPolicy()))}
	for _, spki := range signers {
		files = append(files, signerFile(spki))
	}
	return files
}

// ToolFile is the second verifier, which shares no code with this one. Whoever would rather not run what came with the evidence takes it
// from elsewhere: it is the same for every package of a version.
func ToolFile() File { return BytesFile("tools/verify.py", api.Verifier) }

// PageFile is the verifier as a page for browsers. It is for who has no other: one that comes with the evidence could have been made with it.
func PageFile(page []byte) File { return BytesFile("VERIFY.html", page) }

func signerFile(spki []byte) File {
	return BytesFile("trust/signers/"+evidence.SHA256(spki).String()+".pub", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}))
}

// RecordFiles are what the record book says: every event of the excerpt's streams, those of the packaged items under items and all
// others under related, each with the proof of its length, and the publication and checkpoint under which they are proved.
func RecordFiles(x Excerpt, items []evidence.ItemID) ([]File, error) {
	heads, err := tlog.ParseReceipt(x.Heads)
	if err != nil {
		return nil, err
	}
	files := []File{BytesFile("log/heads.sigstore.json", x.Heads), BytesFile("log/checkpoint", heads.Checkpoint())}
	events := int64(0)
	for _, s := range x.Streams {
		dir := folder(s.ID, s.ID.Type == evidence.ItemStream && slices.Contains(items, evidence.ItemID(s.ID.ID)))
		length, err := s.length()
		if err != nil {
			return nil, err
		}
		complete, err := length.Marshal()
		if err != nil {
			return nil, err
		}
		if events += s.Events; events > MaxEvents || len(x.Streams) > MaxStreams {
			return nil, evidence.Refuse(evidence.TooLarge, ReasonTooMany)
		}
		files = append(files, BytesFile(dir+"complete.json", complete))
		for seq := range s.Events {
			receipt, err := s.Receipt(seq)
			if err != nil {
				return nil, err
			}
			form := "sigstore"
			if IsWithheld(receipt) {
				form = "withheld"
			}
			f, err := NewFile(fmt.Sprintf("%sevents/%06d.%s.json", dir, seq, form), func() (io.ReadCloser, error) {
				data, err := s.Receipt(seq)
				return io.NopCloser(bytes.NewReader(data)), err
			})
			if err != nil {
				return nil, err
			}
			files = append(files, f)
		}
	}
	return files, nil
}

// ConsistencyFile is log/consistency.json. Of what it should prove, see States.
func ConsistencyFile(c Consistency) (File, error) {
	b, err := c.Marshal()
	return BytesFile(consistencyName, b), err
}

// States lists the sizes of the trees under which the excerpt's events are proved, sorted, that of the publication last where no receipt is
// newer. The receipts are read, not verified.
func States(x Excerpt) (sizes []int64, _ error) {
	add := func(data []byte) error {
		note := ""
		if IsWithheld(data) {
			w, err := ParseWithheld(data)
			if err != nil {
				return err
			}
			note = w.Checkpoint
		} else {
			r, err := tlog.ParseReceipt(data)
			if err != nil {
				return err
			}
			note = string(r.Checkpoint())
		}
		size, err := sizeIn(note)
		if at, known := slices.BinarySearch(sizes, size); err == nil && !known {
			sizes = slices.Insert(sizes, at, size)
		}
		return err
	}
	if err := add(x.Heads); err != nil {
		return nil, err
	}
	for _, s := range x.Streams {
		for seq := range s.Events {
			data, err := s.Receipt(seq)
			if err == nil {
				err = add(data)
			}
			if err != nil {
				return nil, err
			}
		}
	}
	return sizes, nil
}

// sizeIn is the size that a signed note states, unverified.
func sizeIn(note string) (int64, error) {
	text, _, _ := strings.Cut(note, "\n\n")
	cp, err := tlog.ParseCheckpoint([]byte(text + "\n"))
	return cp.Size, err
}

// LogSize is the size of the log's state beside the package's receipts, as the package states it.
func (p *Package) LogSize() (int64, error) {
	note, err := p.read("log/checkpoint", tlog.MaxCheckpointSize)
	if err != nil {
		return 0, err
	}
	return sizeIn(string(note))
}

// StampFile is a time stamp over the text of the checkpoint of a size, an RFC 3161 response. The authority's name is one that the vault has
// for it: [a-z0-9-]{1,32}.
func StampFile(size int64, authority string, response []byte) (File, error) {
	f := BytesFile(fmt.Sprintf("log/%d-%s.tsr", size, authority), response)
	if !stampFiles.MatchString(f.Path) {
		return File{}, evidence.Refuse(evidence.Invalid, ReasonFileName)
	}
	return f, nil
}

// RevocationFile is what an authority of that name says of keys that were revoked, a CRL in DER.
func RevocationFile(authority string, list []byte) (File, error) {
	f := BytesFile("log/"+authority+".crl", list)
	if !revocationFiles.MatchString(f.Path) {
		return File{}, evidence.Refuse(evidence.Invalid, ReasonFileName)
	}
	return f, nil
}

// Write writes a package (FORMATS §11): the manifest m, whose Files and Version it fills in, and the files, in any order. Errors of
// files and w are returned as they are; a file that has become another since it was measured is an error too.
func Write(w io.Writer, m Manifest, files []File) error {
	m.Version, m.Files = manifestVersion, Lists(files)
	slices.SortFunc(m.Files, func(a, b Listed) int { return strings.Compare(a.Path, b.Path) })
	manifest, err := m.Marshal()
	if err != nil {
		return err
	}
	files = append(slices.Clone(files), BytesFile(manifestName, manifest))
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	entries := make([]entry, len(files))
	for i, f := range files {
		entries[i] = entry{name: f.Path, size: f.Size, crc: f.CRC}
	}
	tail, _ := layOut(entries)
	for i, f := range files {
		if _, err := w.Write(entries[i].local()); err != nil {
			return err
		}
		if err := f.copyTo(w); err != nil {
			return err
		}
	}
	_, err = w.Write(tail)
	return err
}

func (f File) copyTo(w io.Writer) error {
	r, err := f.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	m := newMeter()
	if _, err := io.Copy(io.MultiWriter(w, m), r); err != nil {
		return err
	}
	if m.size != f.Size || m.digest() != f.SHA256 || m.crc.Sum32() != f.CRC {
		return errChanged
	}
	return nil
}
