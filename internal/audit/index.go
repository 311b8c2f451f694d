package audit

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"

	"strongroom.example/strongroom/internal/heads"
)

const (
	buckets   = 1 << 16
	entrySize = 64
	// A tail of so many inserts is kept in memory before they are merged into the file: 1 in tailPart of what is there, and at least
	// leastTail. A million inserts take some 8 MB so.
	leastTail = 1 << 16
	tailPart  = 16
)

var indexMagic = []byte("strongroom/audit-index/v1\n")

// index is the heads.Store of an auditor: the inserts sorted by key in one file, and the latest in memory. All of it follows from the
// columns, so nothing here need be durable: what does not fit them is made again.
type index struct {
	path    string
	file    *os.File // nil: none
	upTo    int64    // the entries of the log that it covers
	offsets [buckets + 1]int64
	tail    map[uint16][]heads.Entry
	waiting int // in tail
}

// openIndex reads what is there, if it covers no more than covers entries; else it is empty.
func openIndex(dir string, covers int64) (*index, error) {
	x := &index{path: filepath.Join(dir, "index"), tail: make(map[uint16][]heads.Entry)}
	file, err := os.Open(x.path)
	if absent(err) {
		return x, nil
	}
	if err != nil {
		return nil, err
	}
	if x.load(file) && x.upTo <= covers {
		return x, nil
	}
	x.upTo, x.file, x.offsets = 0, nil, [buckets + 1]int64{}
	return x, errors.Join(file.Close(), os.Remove(x.path))
}

// load reports whether the file is one that merge wrote.
func (x *index) load(file *os.File) bool {
	r := bufio.NewReaderSize(file, 1<<20)
	head := make([]byte, len(indexMagic)+8)
	if _, err := io.ReadFull(r, head); err != nil || !bytes.HasPrefix(head, indexMagic) {
		return false
	}
	x.upTo = int64(binary.BigEndian.Uint64(head[len(indexMagic):])) //#nosec G115 -- compared with what is covered
	var last, entry [entrySize]byte
	for n := int64(0); ; n++ {
		_, err := io.ReadFull(r, entry[:])
		if err == io.EOF {
			for p := int(binary.BigEndian.Uint16(last[:])) + 1; p <= buckets; p++ {
				x.offsets[p] = n
			}
			x.file = file
			return x.upTo >= n
		}
		if err != nil || n > 0 && bytes.Compare(last[:hashSize], entry[:hashSize]) >= 0 {
			return false
		}
		for p := int(binary.BigEndian.Uint16(last[:])) + 1; p <= int(binary.BigEndian.Uint16(entry[:])); p++ {
			x.offsets[p] = n
		}
		last = entry
	}
}

func (x *index) close() error {
	if x.file == nil {
		return nil
	}
	return x.file.Close()
}

// add takes over inserts that a Map has computed, the last of which stands at entry upTo-1 of the log or before.
func (x *index) add(entries []heads.Entry, upTo int64) error {
	for _, e := range entries {
		p := binary.BigEndian.Uint16(e.Key[:])
		x.tail[p] = append(x.tail[p], e)
	}
	x.waiting += len(entries)
	if int64(x.waiting) < max(leastTail, x.offsets[buckets]/tailPart) {
		return nil
	}
	return x.merge(upTo)
}

// merge writes the file anew with what waits in memory.
func (x *index) merge(upTo int64) error {
	offsets, err := x.write(upTo)
	if err != nil {
		return err
	}
	if err := errors.Join(x.close(), os.Rename(x.path+".new", x.path)); err != nil {
		return err
	}
	if x.file, err = os.Open(x.path); err != nil {
		return err
	}
	x.upTo, x.offsets, x.waiting = upTo, offsets, 0
	clear(x.tail)
	return nil
}

func (x *index) write(upTo int64) (offsets [buckets + 1]int64, err error) {
	file, err := os.OpenFile(x.path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return offsets, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	w := bufio.NewWriterSize(file, 1<<20)
	w.Write(indexMagic)
	w.Write(binary.BigEndian.AppendUint64(nil, uint64(upTo))) //#nosec G115 -- not negative
	for p := range buckets {
		bucket, err := x.HeadsBucket(context.Background(), uint16(p))
		if err != nil {
			return offsets, err
		}
		for _, e := range bucket {
			w.Write(e.Key[:])
			w.Write(e.Value[:])
		}
		offsets[p+1] = offsets[p] + int64(len(bucket))
	}
	return offsets, w.Flush()
}

// HeadsBucket implements heads.Store.
func (x *index) HeadsBucket(_ context.Context, prefix uint16) ([]heads.Entry, error) {
	from, to := x.offsets[prefix], x.offsets[int(prefix)+1]
	list := make([]heads.Entry, to-from, to-from+int64(len(x.tail[prefix])))
	if to > from {
		b := make([]byte, (to-from)*entrySize)
		if _, err := x.file.ReadAt(b, int64(len(indexMagic)+8)+from*entrySize); err != nil {
			return nil, err
		}
		for i := range list {
			copy(list[i].Key[:], b[i*entrySize:])
			copy(list[i].Value[:], b[i*entrySize+hashSize:])
		}
	}
	if len(x.tail[prefix]) > 0 {
		list = append(list, x.tail[prefix]...)
		slices.SortFunc(list, func(a, b heads.Entry) int { return bytes.Compare(a.Key[:], b.Key[:]) })
	}
	return list, nil
}

// HeadsBuckets implements heads.Store.
func (x *index) HeadsBuckets(ctx context.Context, f func(prefix uint16, s heads.Summary) error) error {
	for p := range buckets {
		bucket, err := x.HeadsBucket(ctx, uint16(p))
		if err != nil || len(bucket) == 0 {
			if err != nil {
				return err
			}
			continue
		}
		s, err := heads.Summarize(bucket)
		if err != nil {
			return err
		}
		if err := f(uint16(p), s); err != nil {
			return err
		}
	}
	return nil
}
