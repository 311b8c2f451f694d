package heads

// Tree is the whole map in memory, computed by the recursive definition of
// FORMATS §7 and nothing else: what an auditor rebuilds from the log's leaves,
// and what Map is tested against. It is for checking, not for speed: a proof
// hashes the whole tree.
type Tree struct {
	entries []Entry
}

// Build returns the tree of the entries, in any order. Two entries with one
// key are refused with ErrRepeated.
func Build(entries []Entry) (*Tree, error) {
	seen := make(map[[32]byte]bool, len(entries))
	for _, e := range entries {
		if seen[e.Key] {
			return nil, ErrRepeated
		}
		seen[e.Key] = true
	}
	return &Tree{entries: append([]Entry(nil), entries...)}, nil
}

// Root returns the root hash.
func (t *Tree) Root() [32]byte { return define(t.entries, 0) }

// Prove returns the proof for key, of membership or of absence.
func (t *Tree) Prove(key [32]byte) Proof {
	var p Proof
	set := t.entries
	for depth := 0; len(set) > 1; depth++ {
		zeros, ones := split(set, depth)
		set = zeros
		beside := ones
		if bit(key, depth) == 1 {
			set, beside = ones, zeros
		}
		p.Siblings = append(p.Siblings, define(beside, depth+1))
	}
	if len(set) == 1 {
		leaf := set[0]
		p.Leaf = &leaf
	}
	return p
}

// define is FORMATS §7: nothing is empty, one entry is its leaf wherever it
// stands, more are a node over those whose next bit is 0 and 1.
func define(set []Entry, depth int) [32]byte {
	switch len(set) {
	case 0:
		return empty
	case 1:
		return leafHash(set[0])
	}
	zeros, ones := split(set, depth)
	return nodeHash(define(zeros, depth+1), define(ones, depth+1))
}

func split(set []Entry, depth int) (zeros, ones []Entry) {
	for _, e := range set {
		if bit(e.Key, depth) == 0 {
			zeros = append(zeros, e)
		} else {
			ones = append(ones, e)
		}
	}
	return zeros, ones
}
