package ledger

import (
	"slices"
	"testing"

	"strongroom.example/strongroom/internal/evidence"
)

func TestWave(t *testing.T) {
	leaf := func(name string) evidence.Hash { return evidence.SHA256([]byte(name)) }
	event := func(name string, k evidence.Kind, stands ...string) Entry {
		e := Entry{Kind: k, LeafHash: leaf(name)}
		for _, s := range stands {
			e.Stands = append(e.Stands, leaf(s))
		}
		return e
	}
	const plain, barrier = evidence.ItemOpened, evidence.ConsentWithdrawn
	for name, c := range map[string]struct {
		pending []Entry
		want    []int // sizes of the waves
	}{
		"nothing":                    {nil, nil},
		"independent":                {[]Entry{event("a", plain), event("b", plain, "x"), event("c", plain, "x")}, []int{3}},
		"chain":                      {[]Entry{event("a", plain), event("b", plain, "a"), event("c", plain, "b")}, []int{1, 1, 1}},
		"basis in the wave":          {[]Entry{event("a", plain), event("b", plain), event("c", plain, "x", "a")}, []int{2, 1}},
		"nothing overtakes":          {[]Entry{event("a", plain), event("b", plain, "a"), event("c", plain)}, []int{1, 2}},
		"barrier alone":              {[]Entry{event("a", barrier)}, []int{1}},
		"barrier first":              {[]Entry{event("a", barrier), event("b", plain)}, []int{1, 1}},
		"barrier between":            {[]Entry{event("a", plain), event("b", plain), event("c", barrier), event("d", plain), event("e", plain)}, []int{2, 1, 2}},
		"two barriers":               {[]Entry{event("a", barrier), event("b", barrier)}, []int{1, 1}},
		"stands on an earlier wave":  {[]Entry{event("a", plain), event("b", plain, "a"), event("c", plain, "a")}, []int{1, 2}},
		"a publication is the last":  {[]Entry{event("a", plain), event("p", evidence.VaultHeads), event("b", plain), event("c", plain)}, []int{2, 2}},
		"every barrier is a barrier": {[]Entry{event("a", evidence.GrantRevoked), event("b", evidence.ActorSuspended)}, []int{1, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []int
			for rest := c.pending; len(rest) > 0; {
				n := len(wave(rest))
				got, rest = append(got, n), rest[n:]
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("waves of %d, want %d", got, c.want)
			}
		})
	}
}
