package embedded

import (
	"encoding/binary"
	"errors"
	"hash/fnv"
	"io"
	"os"
)

// bbolt's meta page, after the page's own header of 16 bytes, in the machine's byte order: magic, version, page size, flags (32 bits each),
// root bucket (two of 64 bits), freelist, number of pages, transaction, FNV-1a of all before (64 bits each).
const (
	metaAt     = 16
	metaMagic  = 0xED0CDAED
	metaSummed = 56
	metaSize   = 64
)

var errCut = errors.New("file is cut off")

// checkWhole refuses a file that ends before the pages that its newest meta page counts: to read one that is not there kills the process,
// because the file is mapped into memory. It says nothing about a file without a sound meta page; bbolt does.
func checkWhole(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	var newest, need uint64
	for _, at := range []int64{0, int64(os.Getpagesize())} {
		var meta [metaSize]byte
		if _, err := f.ReadAt(meta[:], at+metaAt); errors.Is(err, io.EOF) {
			return errCut
		} else if err != nil {
			return err
		}
		sum := fnv.New64a()
		sum.Write(meta[:metaSummed])
		word := binary.NativeEndian.Uint64
		if binary.NativeEndian.Uint32(meta[:]) != metaMagic || sum.Sum64() != word(meta[metaSummed:]) {
			continue
		}
		if transaction := word(meta[48:]); transaction >= newest {
			newest, need = transaction, word(meta[40:])*uint64(binary.NativeEndian.Uint32(meta[8:]))
		}
	}
	if uint64(info.Size()) < need {
		return errCut
	}
	return nil
}
