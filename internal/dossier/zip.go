package dossier

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
)

// A package is a ZIP in one layout only (FORMATS §11): the names, sizes and checksums of its files fix every other byte. So it is read
// by taking the names, sizes and checksums out of its directory, laying them out again, and comparing: whatever could hide in a ZIP
// (other methods, flags, times, comments, extra fields, gaps, overlaps, two directories) makes a difference.

// entry is a file in the archive.
type entry struct {
	name   string
	size   int64
	crc    uint32
	offset int64 // of its local header
}

func (e entry) data() int64 { return e.offset + int64(len(e.local())) }

const (
	endSize   = 22
	end64Size = 56 + 20 // with its locator
	localSize = 30
	fileSize  = 46

	max16 = 1<<16 - 1
	max32 = 1<<32 - 1

	plainVersion = 20
	zip64Version = 45
	firstOfJan80 = 1<<5 | 1 // MS-DOS date, year 0 being 1980

	maxName      = 255
	maxFiles     = 120_000  // FORMATS §1
	maxDirectory = 24 << 20 // of more files than a manifest of MaxManifest bytes can list
)

// local is the header before a file's bytes.
func (e entry) local() []byte {
	le := binary.LittleEndian
	large := e.size >= max32
	b := le.AppendUint32(nil, 0x04034b50)
	b = appendCommon(b, large, e, large)
	b = append(b, e.name...)
	if large {
		b = le.AppendUint16(b, 1)
		b = le.AppendUint16(b, 16)
		b = le.AppendUint64(b, uint64(e.size))
		b = le.AppendUint64(b, uint64(e.size))
	}
	return b
}

// appendCommon writes what both headers share, from "version needed" to the length of the extra field, which central headers correct.
func appendCommon(b []byte, zip64 bool, e entry, large bool) []byte {
	le := binary.LittleEndian
	version, size, extra := uint16(plainVersion), uint32(max32), uint16(0)
	if zip64 {
		version = zip64Version
	}
	if large {
		extra = 20
	} else {
		size = uint32(e.size)
	}
	b = le.AppendUint16(b, version)
	b = append(b, 0, 0, 0, 0, 0, 0) // no flags, stored, midnight
	b = le.AppendUint16(b, firstOfJan80)
	b = le.AppendUint32(b, e.crc)
	b = le.AppendUint32(b, size)
	b = le.AppendUint32(b, size)
	b = le.AppendUint16(b, uint16(len(e.name)))
	return le.AppendUint16(b, extra)
}

// central is the file's header in the directory.
func (e entry) central() []byte {
	le := binary.LittleEndian
	large, far := e.size >= max32, e.offset >= max32
	var extra []byte
	if large {
		extra = le.AppendUint64(extra, uint64(e.size))
		extra = le.AppendUint64(extra, uint64(e.size))
	}
	offset := uint32(e.offset)
	if far {
		extra = le.AppendUint64(extra, uint64(e.offset))
		offset = max32
	}
	version := uint16(plainVersion)
	if large || far {
		version = zip64Version
		head := le.AppendUint16(nil, 1)
		extra = append(le.AppendUint16(head, uint16(len(extra))), extra...)
	}
	b := le.AppendUint32(nil, 0x02014b50)
	b = le.AppendUint16(b, version)
	b = appendCommon(b, large || far, e, large)
	le.PutUint16(b[len(b)-2:], uint16(len(extra)))
	b = append(b, make([]byte, 10)...) // no comment, first disk, no attributes
	b = le.AppendUint32(b, offset)
	b = append(b, e.name...)
	return append(b, extra...)
}

// layOut sets the offsets of entries, and returns the directory with the end record that follow the files, and the archive's size.
func layOut(entries []entry) (tail []byte, size int64) {
	start := arrange(entries)
	for _, e := range entries {
		tail = append(tail, e.central()...)
	}
	tail = append(tail, ending(len(entries), start, int64(len(tail)))...)
	return tail, start + int64(len(tail))
}

// arrange sets the offsets of entries, and returns where the directory begins.
func arrange(entries []entry) (at int64) {
	for i := range entries {
		entries[i].offset = at
		at += int64(len(entries[i].local())) + entries[i].size
	}
	return at
}

// ending is what follows a directory of n files.
func ending(files int, at, length int64) (b []byte) {
	le := binary.LittleEndian
	n, start, size := uint64(files), uint64(at), uint64(length)
	if n >= max16 || start >= max32 {
		b = le.AppendUint32(b, 0x06064b50)
		b = le.AppendUint64(b, end64Size-20-12)
		b = le.AppendUint16(b, zip64Version)
		b = le.AppendUint16(b, zip64Version)
		b = append(b, make([]byte, 8)...)
		for _, v := range []uint64{n, n, size, start} {
			b = le.AppendUint64(b, v)
		}
		b = le.AppendUint32(b, 0x07064b50)
		b = le.AppendUint32(b, 0)
		b = le.AppendUint64(b, start+size)
		b = le.AppendUint32(b, 1)
	}
	b = le.AppendUint32(b, 0x06054b50)
	b = append(b, 0, 0, 0, 0)
	b = le.AppendUint16(b, uint16(min(n, max16)))
	b = le.AppendUint16(b, uint16(min(n, max16)))
	b = le.AppendUint32(b, uint32(min(size, max32)))
	b = le.AppendUint32(b, uint32(min(start, max32)))
	return append(b, 0, 0)
}

var errZip = errors.New("dossier: not a ZIP archive in the form of a court package")

// readZip returns the entries of an archive. It accepts exactly what layOut and the entries' local headers write.
func readZip(r io.ReaderAt, size int64) ([]entry, error) {
	le := binary.LittleEndian
	end := make([]byte, endSize)
	if size < endSize {
		return nil, errZip
	}
	if _, err := r.ReadAt(end, size-endSize); err != nil {
		return nil, err
	}
	n, length, start := int64(le.Uint16(end[10:])), int64(le.Uint32(end[12:])), int64(le.Uint32(end[16:]))
	after := size - endSize
	if n == max16 || start == max32 {
		end = make([]byte, end64Size)
		if after -= end64Size; after < 0 {
			return nil, errZip
		}
		if _, err := r.ReadAt(end, after); err != nil {
			return nil, err
		}
		n, length, start = int64(le.Uint64(end[32:])), int64(le.Uint64(end[40:])), int64(le.Uint64(end[48:]))
	}
	if length < 0 || length > maxDirectory || start < 0 || start != after-length || n < 0 || n > min(maxFiles, length/fileSize) {
		return nil, errZip
	}
	tail := make([]byte, size-start)
	if _, err := r.ReadAt(tail, start); err != nil {
		return nil, err
	}
	entries := make([]entry, 0, n)
	for directory := tail[:length]; len(directory) > 0; {
		e, used := readCentral(directory)
		if used == 0 || len(entries) == maxFiles || !strictlyAfter(entries, e.name) {
			return nil, errZip
		}
		entries = append(entries, e)
		directory = directory[used:]
	}
	if arrange(entries) != start || !bytes.Equal(ending(len(entries), start, length), tail[length:]) {
		return nil, errZip
	}
	for _, e := range entries {
		var found bool
		if tail, found = bytes.CutPrefix(tail, e.central()); !found {
			return nil, errZip
		}
	}
	for _, e := range entries {
		want := e.local()
		got := make([]byte, len(want))
		if _, err := r.ReadAt(got, e.offset); err != nil {
			return nil, err
		}
		if !bytes.Equal(got, want) {
			return nil, errZip
		}
	}
	return entries, nil
}

// readCentral takes name, size and checksum out of a header; whether the rest is as it should be, shows when it is written again.
func readCentral(b []byte) (e entry, used int) {
	le := binary.LittleEndian
	if len(b) < fileSize {
		return e, 0
	}
	name, extra := int(le.Uint16(b[28:])), int(le.Uint16(b[30:]))
	used = fileSize + name + extra
	if name > maxName || used > len(b) {
		return e, 0
	}
	e = entry{name: string(b[fileSize : fileSize+name]), size: int64(le.Uint32(b[24:])), crc: le.Uint32(b[16:])}
	if e.size == max32 {
		if extra < 12 {
			return e, 0
		}
		if e.size = int64(le.Uint64(b[fileSize+name+4:])); e.size < 0 || e.size > 1<<53 {
			return e, 0
		}
	}
	return e, used
}

func strictlyAfter(entries []entry, name string) bool {
	return len(entries) == 0 || strings.Compare(entries[len(entries)-1].name, name) < 0
}
