package heads

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
)

// MaxProofSize bounds a proof's JSON form, in bytes: 256 siblings of 67 bytes
// and a leaf.
const MaxProofSize = 20 << 10

// Proof shows that a key is in the map with root r, or that it is not
// (FORMATS §7).
//
// For one root and one key there is at most one proof that verifies: the key's
// bits fix the path, and leaves, nodes and the empty tree hash apart. So no
// root, however it was made, has a proof of both membership and absence.
type Proof struct {
	// Siblings are the subtrees beside the path, from the root down.
	Siblings [][32]byte
	// Leaf is the entry at the end of the path, nil where the path ends in an
	// empty subtree.
	Leaf *Entry
}

// Verify checks the proof for key against root. It returns the key's value and
// true, or false if the proof shows that the key is absent.
// Errors: ErrShape, ErrPath, ErrRoot.
func (p Proof) Verify(root, key [32]byte) (value [32]byte, member bool, err error) {
	if err := p.checkShape(); err != nil {
		return value, false, err
	}
	h := empty
	if p.Leaf != nil {
		if !sharesPath(p.Leaf.Key, key, len(p.Siblings)) {
			return value, false, ErrPath
		}
		h = leafHash(*p.Leaf)
	}
	for i := len(p.Siblings) - 1; i >= 0; i-- {
		if bit(key, i) == 0 {
			h = nodeHash(h, p.Siblings[i])
		} else {
			h = nodeHash(p.Siblings[i], h)
		}
	}
	if h != root {
		return value, false, ErrRoot
	}
	if p.Leaf == nil || p.Leaf.Key != key {
		return value, false, nil
	}
	return p.Leaf.Value, true, nil
}

// VerifyMember checks that key is in the map with exactly this value.
func (p Proof) VerifyMember(root, key, value [32]byte) error {
	got, member, err := p.Verify(root, key)
	switch {
	case err != nil:
		return err
	case !member:
		return ErrAbsent
	case got != value:
		return ErrValue
	}
	return nil
}

// VerifyAbsent checks that key is not in the map.
func (p Proof) VerifyAbsent(root, key [32]byte) error {
	_, member, err := p.Verify(root, key)
	switch {
	case err != nil:
		return err
	case member:
		return ErrPresent
	}
	return nil
}

// checkShape refuses paths longer than uniqueness asks for. The path goes down
// only through subtrees of two entries or more. So the last sibling holds at
// least one entry beside a leaf and at least two beside an empty end, which
// also keeps an empty end above the last level. That a last sibling beside an
// empty end is not a lone leaf cannot be seen from its hash; the auditor, who
// rebuilds the map, sees it.
func (p Proof) checkShape() error {
	n := len(p.Siblings)
	switch {
	case n == 0:
		return nil
	case n > keyBits, n == keyBits && p.Leaf == nil:
		return ErrShape
	case p.Siblings[n-1] == empty:
		return ErrShape
	}
	return nil
}

type proofJSON struct {
	Leaf     *leafJSON `json:"leaf"`
	Siblings []string  `json:"siblings"`
}

type leafJSON struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// MarshalJSON returns the proof's one form, canonical JSON (RFC 8785):
// {"leaf":{"key":"<hex>","value":"<hex>"},"siblings":["<hex>",…]}, leaf null
// where the path ends in an empty subtree.
func (p Proof) MarshalJSON() ([]byte, error) {
	if err := p.checkShape(); err != nil {
		return nil, err
	}
	j := proofJSON{Siblings: make([]string, len(p.Siblings))}
	if p.Leaf != nil {
		j.Leaf = &leafJSON{hex.EncodeToString(p.Leaf.Key[:]), hex.EncodeToString(p.Leaf.Value[:])}
	}
	for i, s := range p.Siblings {
		j.Siblings[i] = hex.EncodeToString(s[:])
	}
	return json.Marshal(j)
}

// UnmarshalJSON accepts exactly what MarshalJSON writes, at most MaxProofSize
// bytes. Errors: ErrMalformed, ErrShape.
func (p *Proof) UnmarshalJSON(data []byte) error {
	if len(data) > MaxProofSize {
		return ErrMalformed
	}
	var j proofJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return ErrMalformed
	}
	q := Proof{Siblings: make([][32]byte, len(j.Siblings))}
	if j.Leaf != nil {
		q.Leaf = new(Entry)
		if !parseHash(&q.Leaf.Key, j.Leaf.Key) || !parseHash(&q.Leaf.Value, j.Leaf.Value) {
			return ErrMalformed
		}
	}
	for i, s := range j.Siblings {
		if !parseHash(&q.Siblings[i], s) {
			return ErrMalformed
		}
	}
	again, err := q.MarshalJSON()
	if err != nil {
		return err
	}
	if !bytes.Equal(again, data) {
		return ErrMalformed
	}
	*p = q
	return nil
}

// ParseProof reads a proof's JSON form, and nothing else.
func ParseProof(data []byte) (Proof, error) {
	var p Proof
	err := p.UnmarshalJSON(data)
	return p, err
}

func parseHash(h *[32]byte, s string) bool {
	if len(s) != hex.EncodedLen(len(h)) {
		return false
	}
	_, err := hex.Decode(h[:], []byte(s))
	return err == nil
}
