package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// sieve looks for many words at once in what is read, in one pass.
type sieve struct {
	begins  [1 << 16]bool // by a word's first two bytes
	words   map[uint64][]word
	longest int
}

// word is what is looked for, and what it is called.
type word struct {
	name string
	text []byte
}

// shortest is how many bytes a word has at least.
const shortest = 8

// add adds a word of at least 8 bytes.
func (s *sieve) add(name string, text []byte) {
	if len(text) < shortest {
		panic("a word to look for is too short: " + name)
	}
	if s.words == nil {
		s.words = make(map[uint64][]word)
	}
	s.begins[binary.LittleEndian.Uint16(text)] = true
	key := binary.LittleEndian.Uint64(text)
	s.words[key] = append(s.words[key], word{name, bytes.Clone(text)})
	s.longest = max(s.longest, len(text))
}

// search reads to the end and calls found for every place at which a word begins.
func (s *sieve) search(ctx context.Context, r io.Reader, found func(name string)) (n int64, err error) {
	buf := make([]byte, s.longest+1<<20)
	kept := 0
	for {
		got, err := io.ReadFull(r, buf[kept:])
		n += int64(got)
		last := err == io.EOF || err == io.ErrUnexpectedEOF
		at := buf[:kept+got]
		whole := len(at) // words that begin before it are whole in the buffer, or meet the end
		if !last {
			whole -= s.longest - 1
		}
		if words := min(whole, len(at)-shortest+1); words > 0 {
			two := uint16(at[0]) << 8
			for i, next := range at[1 : words+1] {
				if two = two>>8 | uint16(next)<<8; !s.begins[two] {
					continue
				}
				for _, w := range s.words[binary.LittleEndian.Uint64(at[i:])] {
					if bytes.HasPrefix(at[i:], w.text) {
						found(w.name)
					}
				}
			}
		}
		if last {
			return n, nil
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return n, err
		}
		kept = copy(buf, at[whole:])
	}
}

// searchFolder reads every file in a folder and returns how many bytes they have.
func (s *sieve) searchFolder(ctx context.Context, folder string, found func(path, name string)) (total int64, err error) {
	err = filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		f, err := os.Open(path) //#nosec G122 -- a folder that is closed to others
		if err != nil {
			return err
		}
		defer f.Close()
		n, err := s.search(ctx, f, func(name string) { found(path, name) })
		total += n
		return err
	})
	return total, err
}
