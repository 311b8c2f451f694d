package heads

import (
	"bytes"
	"testing"
)

// TestEveryBitCounts flips every bit of proofs of membership and of absence:
// none of them verifies, whatever is claimed.
func TestEveryBitCounts(t *testing.T) {
	tree, err := Build(numbered(40))
	if err != nil {
		t.Fatal(err)
	}
	root := tree.Root()
	for _, e := range numbered(80)[30:50] {
		p := tree.Prove(e.Key)
		_, member, err := p.Verify(root, e.Key)
		if err != nil {
			t.Fatal(err)
		}
		flip := func(h *[32]byte) {
			for i := range keyBits {
				h[i/8] ^= 0x80 >> (i % 8)
				if _, _, err := p.Verify(root, e.Key); err == nil {
					t.Fatalf("flipped bit %d accepted", i)
				}
				h[i/8] ^= 0x80 >> (i % 8)
			}
		}
		for i := range p.Siblings {
			flip(&p.Siblings[i])
		}
		if p.Leaf != nil {
			flip(&p.Leaf.Key)
			flip(&p.Leaf.Value)
		}
		flip(&root)
		if _, again, err := p.Verify(root, e.Key); err != nil || again != member {
			t.Fatal("flipping bits back changed the proof")
		}
	}
}

// TestNoOtherKey checks that a proof of membership shows nothing of a key that
// leaves the path, and shows absence of every other key on it.
func TestNoOtherKey(t *testing.T) {
	tree, err := Build(numbered(40))
	if err != nil {
		t.Fatal(err)
	}
	key := numbered(1)[0].Key
	p := tree.Prove(key)
	for i := range keyBits {
		other := key
		other[i/8] ^= 0x80 >> (i % 8)
		err := p.VerifyAbsent(tree.Root(), other)
		if onPath := i >= len(p.Siblings); onPath != (err == nil) {
			t.Fatalf("bit %d: %v", i, err)
		}
	}
}

// TestDeepest proves the two keys that differ in their last bit only.
func TestDeepest(t *testing.T) {
	a, b := Entry{Value: [32]byte{1}}, Entry{Value: [32]byte{2}}
	b.Key[31] = 1
	m := mapOf(t, []Entry{a, b})
	tree, err := Build([]Entry{a, b})
	if err != nil {
		t.Fatal(err)
	}
	if m.Root() != tree.Root() {
		t.Fatal("roots differ")
	}
	for _, e := range []Entry{a, b} {
		p := tree.Prove(e.Key)
		if len(p.Siblings) != keyBits {
			t.Fatalf("%d siblings", len(p.Siblings))
		}
		data, err := p.MarshalJSON()
		if err != nil || len(data) > MaxProofSize {
			t.Fatalf("%d bytes, %v", len(data), err)
		}
		if p, err = ParseProof(data); err != nil {
			t.Fatal(err)
		}
		if err := p.VerifyMember(m.Root(), e.Key, e.Value); err != nil {
			t.Fatal(err)
		}
	}
}

func FuzzParseProof(f *testing.F) {
	tree, err := Build(numbered(40))
	if err != nil {
		f.Fatal(err)
	}
	for _, e := range numbered(60)[35:45] {
		data, err := tree.Prove(e.Key).MarshalJSON()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"leaf":null,"siblings":[]}`))
	f.Add([]byte(`{"siblings":[],"leaf":null}`))
	f.Add([]byte(`{"leaf":null,"siblings":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ParseProof(data)
		if err != nil {
			return
		}
		again, err := p.MarshalJSON()
		if err != nil || !bytes.Equal(again, data) {
			t.Fatal("parsed, but re-encodes to other bytes")
		}
		p.Verify(tree.Root(), [32]byte{})
	})
}
