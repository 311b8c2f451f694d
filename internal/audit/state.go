package audit

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"

	"github.com/transparency-dev/merkle/compact"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/heads"
	"strongroom.example/strongroom/internal/tlog"
)

// State is what an auditor has verified of one log, in a folder:
//
//	state.json   the newest verified head, publication and cosignature
//	leaves       the Merkle leaf hash of every entry
//	keys         the heads map's key of every entry that the publication covers, all zero where there is none
//	index        the map sorted by key; it follows from the others and is made again where it is missing
//	alarms/      evidence
//
// One process works with it at a time; Lock is the caller's.
type State struct {
	dir  string
	keys tlog.LogKeys
	kept kept

	cp     tlog.Checkpoint
	tree   *compact.Range // over the leaves of cp
	leaves *column
	places *column // keys
	index  *index
	heads  *heads.Map

	wrote func() // after each change of a file; tests look then
}

// kept is state.json.
type kept struct {
	Checkpoint []byte     `json:"checkpoint,omitempty"`
	Cosigned   *head      `json:"cosigned,omitempty"`
	Heads      published  `json:"heads"`
	Told       int        `json:"told,omitempty"`      // how many of the void entries a person was told of
	Uncovered  []position `json:"uncovered,omitempty"` // publications that none covers yet
	Recent     []int64    `json:"recent,omitempty"`    // entries of the last publications that were verified, ascending
	Read       int64      `json:"read,omitempty"`      // entries from the first on whose statements were read; earlier versions read none
	Version    int        `json:"version"`
}

// maxRecent bounds how many publications are remembered by their entries.
const maxRecent = 1024

// head is a checkpoint's size and root.
type head struct {
	Size int64         `json:"size"`
	Root evidence.Hash `json:"root"`
}

// published is the last publication that was verified; Next is 0 before the first.
type published struct {
	Next    int64         `json:"next"` // sequence number of the one after it
	Entry   int64         `json:"entry"`
	Leaf    evidence.Hash `json:"leaf,omitzero"`
	Covers  int64         `json:"covers"`
	Root    evidence.Hash `json:"root"`
	Void    []int64       `json:"void,omitempty"`
	Receipt []byte        `json:"receipt,omitempty"`
}

// position is where a publication stands: in the log, and in the vault's stream.
type position struct {
	Entry int64 `json:"entry"`
	Seq   int64 `json:"seq"`
}

const stateDoc, alarmsDir = "state.json", "alarms"

// Open opens the state in dir for the log whose keys these are, making it if there is none. It computes every hash again: what is in the
// folder leads to the head and the map that were verified, or it is ErrDamaged.
func Open(ctx context.Context, dir string, keys tlog.LogKeys) (*State, error) {
	return open(ctx, dir, keys, func() {})
}

func open(ctx context.Context, dir string, keys tlog.LogKeys, wrote func()) (s *State, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	s = &State{dir: dir, keys: keys, wrote: wrote, kept: kept{Version: 1, Heads: published{Root: heads.EmptyRoot()}}}
	if err := readDoc(s.path(stateDoc), &s.kept); err != nil && !absent(err) {
		return nil, err
	}
	if s.kept.Version != 1 {
		return nil, ErrDamaged
	}
	if s.kept.Recent == nil && s.kept.Heads.Next > 0 { // earlier versions kept the last alone
		s.kept.Recent = []int64{s.kept.Heads.Entry}
	}
	s.cp = tlog.Checkpoint{Origin: keys.Origin(), Root: rootOf(ranges.NewEmptyRange(0))}
	if s.kept.Checkpoint != nil {
		if s.cp, err = tlog.OpenCheckpoint(s.kept.Checkpoint, keys); err != nil {
			return nil, errors.Join(ErrDamaged, err)
		}
	}
	if s.leaves, err = openColumn(s.path("leaves"), wrote); err != nil {
		return nil, err
	}
	if s.places, err = openColumn(s.path("keys"), wrote); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if err = s.check(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *State) path(name string) string { return filepath.Join(s.dir, name) }

// Close closes the files.
func (s *State) Close() error {
	var err error
	for _, c := range []*column{s.leaves, s.places} {
		if c != nil {
			err = errors.Join(err, c.file.Close())
		}
	}
	if s.index != nil {
		err = errors.Join(err, s.index.close())
	}
	return err
}

// check computes tree and map from the columns and compares them with what was verified.
func (s *State) check(ctx context.Context) error {
	h := s.kept.Heads
	if s.leaves.len < s.cp.Size || s.places.len < h.Covers || h.Covers > s.cp.Size || h.Next < 0 || h.Covers < 0 || s.kept.Read < 0 || s.kept.Read > h.Covers {
		return ErrDamaged
	}
	var err error
	if s.tree, err = s.rangeOf(s.cp.Size); err != nil {
		return err
	}
	if rootOf(s.tree) != s.cp.Root {
		return ErrDamaged
	}
	return s.openHeads(ctx)
}

// rangeOf computes the compact range over the first size leaves.
func (s *State) rangeOf(size int64) (*compact.Range, error) {
	r := ranges.NewEmptyRange(0)
	return r, s.leaves.each(0, size, func(_ int64, leaf []byte) error { return r.Append(slices.Clone(leaf), nil) })
}

// openHeads opens the map as it was last verified, from the index if that fits, or else from the columns alone.
func (s *State) openHeads(ctx context.Context) error {
	for {
		if s.index != nil {
			if err := s.index.close(); err != nil {
				return err
			}
		}
		var err error
		if s.index, err = openIndex(s.dir, s.kept.Heads.Covers); err != nil {
			return err
		}
		used := s.index.upTo > 0
		if err := s.replay(); err != nil {
			return err
		}
		s.heads, err = heads.Open(ctx, s.index)
		if err == nil && s.heads.Root() == s.kept.Heads.Root {
			return nil
		}
		if err != nil && !errors.Is(err, heads.ErrStore) {
			return err
		}
		if !used {
			return ErrDamaged
		}
		if err := os.Remove(s.index.path); err != nil {
			return err
		}
	}
}

// replay adds to the index what it does not cover yet.
func (s *State) replay() error {
	const chunk = 1 << 12
	for start := s.index.upTo; start < s.kept.Heads.Covers; start += chunk {
		end := min(start+chunk, s.kept.Heads.Covers)
		keys, err := s.places.read(start, end-start)
		if err != nil {
			return err
		}
		leaves, err := s.leaves.read(start, end-start)
		if err != nil {
			return err
		}
		var entries []heads.Entry
		for i := range int(end - start) {
			e := heads.Entry{Key: [hashSize]byte(keys[i*hashSize:]), Value: [hashSize]byte(leaves[i*hashSize:])}
			if e.Key != ([hashSize]byte{}) {
				entries = append(entries, e)
			}
		}
		if err := s.index.add(entries, end); err != nil {
			return err
		}
	}
	return nil
}

// commit makes what was verified durable, the columns first. From here on it is never taken back.
func (s *State) commit() error {
	if err := errors.Join(s.leaves.sync(), s.places.sync()); err != nil {
		return err
	}
	return writeDoc(s.path(stateDoc), s.kept, s.wrote)
}

// Head is the newest verified checkpoint and its signed note, nil before the first.
func (s *State) Head() (tlog.Checkpoint, []byte) { return s.cp, s.kept.Checkpoint }

// Covers is how many entries the last verified publication covers, and Void which of them it lists as void.
func (s *State) Covers() int64 { return s.kept.Heads.Covers }

// Void lists the entries that the last verified publication lists as void.
func (s *State) Void() []int64 { return slices.Clone(s.kept.Heads.Void) }

// Tell notes that a person was told of all void entries.
func (s *State) Tell() error {
	s.kept.Told = len(s.kept.Heads.Void)
	return s.commit()
}

// Cosignable are the sizes that the log had right after a publication that was verified, ascending, the last of them: without those that are
// smaller than what was cosigned. No others are cosigned, and none while a statement that the last publication covers was not read.
func (s *State) Cosignable() (sizes []int64) {
	if s.kept.Read < s.kept.Heads.Covers {
		return nil
	}
	for _, entry := range s.kept.Recent {
		if size := entry + 1; s.kept.Cosigned == nil || size >= s.kept.Cosigned.Size {
			sizes = append(sizes, size)
		}
	}
	return sizes
}

// Publications is how many publications were verified.
func (s *State) Publications() int64 { return s.kept.Heads.Next }

// Read is for how many entries, from the first on, the statement was read and the key is that of its place.
func (s *State) Read() int64 { return s.kept.Read }

// Leaf returns the leaf hash of a verified entry, 0 ≤ i < Head().Size.
func (s *State) Leaf(i int64) (tlog.Hash, error) {
	if i < 0 || i >= s.cp.Size {
		return tlog.Hash{}, errors.New("audit: no such entry")
	}
	return s.leaves.at(i)
}

// Key returns the key of a covered entry, 0 ≤ i < Covers(), all zero for a void one.
func (s *State) Key(i int64) ([32]byte, error) {
	if i < 0 || i >= s.kept.Heads.Covers {
		return [32]byte{}, errors.New("audit: entry is not covered")
	}
	return s.places.at(i)
}

// RootAt is the root that the log had at a size up to Head().Size.
func (s *State) RootAt(size int64) (tlog.Hash, error) {
	if size < 0 || size > s.cp.Size {
		return tlog.Hash{}, errors.New("audit: no such size")
	}
	r, err := s.rangeOf(size)
	if err != nil {
		return tlog.Hash{}, err
	}
	return rootOf(r), nil
}

// Split is the verified tree in two parts, 0 < size < larger ≤ Head().Size.
func (s *State) Split(size, larger int64) (Split, error) {
	left, err := s.rangeOf(size)
	if err != nil {
		return Split{}, err
	}
	right := ranges.NewEmptyRange(uint64(size)) //#nosec G115 -- not negative
	err = s.leaves.each(size, larger, func(_ int64, leaf []byte) error { return right.Append(slices.Clone(leaf), nil) })
	return Split{Larger: larger, Left: hashes(left.Hashes()), Right: hashes(right.Hashes()), Size: size}, err
}

// relation says what the state shows of two heads, a the smaller one. It may be nil.
func (s *State) relation(a, b tlog.Checkpoint) (Relation, error) {
	if s == nil || s.cp.Origin != a.Origin || a.Size > s.cp.Size {
		return Unproven, nil
	}
	first, err := s.RootAt(a.Size)
	if err != nil {
		return "", err
	}
	if first != a.Root {
		return Fork, nil // with the head of this state
	}
	if b.Size > s.cp.Size {
		return Unproven, nil
	}
	all, err := s.RootAt(b.Size)
	return decided(all == b.Root), err
}
