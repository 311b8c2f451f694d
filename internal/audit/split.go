package audit

import (
	"bytes"
	"encoding/json"
	"errors"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

	"strongroom.example/strongroom/internal/tlog"
)

var ranges = compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}

// Split is a tree in two parts: the hashes of the whole subtrees that its first Size leaves make up, and those of the leaves from there up
// to Larger, each from the left. Whoever has it computes the root of either size (RFC 6962), so it shows whether a head of one size extends
// a head of the other; and if not, that both cannot be of one history.
type Split struct {
	Larger      int64
	Left, Right []tlog.Hash
	Size        int64
}

// splitDoc is split.json.
type splitDoc struct {
	Larger int64    `json:"larger"`
	Left   []string `json:"left"`
	Right  []string `json:"right"`
	Size   int64    `json:"size"`
}

// MarshalJSON writes the hashes in hex (FORMATS §13).
func (s Split) MarshalJSON() ([]byte, error) {
	texts := func(list []tlog.Hash) []string {
		out := make([]string, len(list))
		for i, h := range list {
			out[i] = h.String()
		}
		return out
	}
	return json.Marshal(splitDoc{s.Larger, texts(s.Left), texts(s.Right), s.Size})
}

// maxSplit bounds the file of a Split, in bytes.
const maxSplit = 64 << 10

// ParseSplit reads exactly what MarshalJSON writes.
func ParseSplit(text []byte) (Split, error) {
	malformed := errors.New("audit: not a tree in two parts")
	var doc splitDoc
	if len(text) > maxSplit || json.Unmarshal(text, &doc) != nil {
		return Split{}, malformed
	}
	s := Split{Larger: doc.Larger, Size: doc.Size}
	for _, part := range []struct {
		from []string
		to   *[]tlog.Hash
	}{{doc.Left, &s.Left}, {doc.Right, &s.Right}} {
		for _, text := range part.from {
			h, err := tlog.ParseHash(text)
			if err != nil {
				return Split{}, malformed
			}
			*part.to = append(*part.to, h)
		}
	}
	if again, err := s.MarshalJSON(); err != nil || !bytes.Equal(again, text) {
		return Split{}, malformed
	}
	if _, _, err := s.Roots(); err != nil {
		return Split{}, malformed
	}
	return s, nil
}

// Roots are those of the tree's first Size leaves and of all of it.
func (s Split) Roots() (first, all tlog.Hash, err error) {
	if s.Size < 1 || s.Larger <= s.Size || s.Larger > tlog.MaxTreeSize {
		return first, all, errors.New("audit: sizes")
	}
	left, err := ranges.NewRange(0, uint64(s.Size), slices32(s.Left))
	if err != nil {
		return first, all, err
	}
	right, err := ranges.NewRange(uint64(s.Size), uint64(s.Larger), slices32(s.Right))
	if err != nil {
		return first, all, err
	}
	first = rootOf(left)
	err = left.AppendRange(right, nil)
	return first, rootOf(left), err
}

func slices32(list []tlog.Hash) [][]byte {
	out := make([][]byte, len(list))
	for i, h := range list {
		out[i] = h[:]
	}
	return out
}

func hashes(list [][]byte) []tlog.Hash {
	out := make([]tlog.Hash, len(list))
	for i, h := range list {
		out[i] = tlog.Hash(h)
	}
	return out
}

// rootOf is the root of a tree whose compact range begins at 0.
func rootOf(r *compact.Range) tlog.Hash {
	root, err := r.GetRootHash(nil)
	if err != nil || len(root) == 0 {
		return tlog.Hash(rfc6962.DefaultHasher.EmptyRoot())
	}
	return tlog.Hash(root)
}

// Relation is what two heads signed by one log are to each other.
type Relation string

const (
	Same     Relation = "same"     // one size, one root
	Extends  Relation = "extends"  // the larger is the smaller, grown: proved
	Fork     Relation = "fork"     // they exclude each other: proved
	Unproven Relation = "unproven" // nothing at hand decides it
)

// Compare says how two heads relate, whose signatures were verified. split and consistency, a proof as the log gives it (RFC 6962), are of
// their sizes, or nil; own is an auditor's state, or nil, which decides where it goes as far.
func Compare(a, b tlog.Checkpoint, split *Split, consistency [][]byte, own *State) (Relation, error) {
	if a.Size > b.Size {
		a, b = b, a
	}
	switch {
	case a.Origin != b.Origin:
		return "", &tlog.Error{Reason: tlog.ErrOrigin}
	case a == b:
		return Same, nil
	case a.Size == b.Size:
		return Fork, nil
	case a.Size == 0:
		return Extends, nil
	}
	if split != nil && split.Size == a.Size && split.Larger == b.Size {
		if first, all, err := split.Roots(); err == nil && all == b.Root {
			return decided(first == a.Root), nil
		}
	}
	if r := byProof(a, b, consistency); r != Unproven {
		return r, nil
	}
	return own.relation(a, b)
}

func decided(same bool) Relation {
	if same {
		return Extends
	}
	return Fork
}

// byProof reads a consistency proof. One that leads to the larger root, but from another smaller one, shows that the smaller head is of
// another history.
func byProof(a, b tlog.Checkpoint, hashes [][]byte) Relation {
	if hashes == nil {
		return Unproven
	}
	if tlog.VerifyConsistency(a, b, hashes) == nil {
		return Extends
	}
	check := func(root []byte) error {
		return proof.VerifyConsistency(rfc6962.DefaultHasher, uint64(a.Size), uint64(b.Size), hashes, root, b.Root[:])
	}
	var other proof.RootMismatchError
	if errors.As(check(a.Root[:]), &other) && !bytes.Equal(other.CalculatedRoot, a.Root[:]) && check(other.CalculatedRoot) == nil {
		return Fork
	}
	return Unproven
}
