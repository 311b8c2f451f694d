package campaign

import (
	"testing"

	"github.com/anishathalye/porcupine"

	ev "strongroom.example/strongroom/internal/evidence"
)

// The search for an order finds one where there is one, and tells every way in which replicas could contradict each other.
func TestOrder(t *testing.T) {
	a, b, c := ev.SHA256([]byte("a")), ev.SHA256([]byte("b")), ev.SHA256([]byte("c"))
	first, second, other, third := accepted{leaf: a}, accepted{seq: 1, prev: a, leaf: b}, accepted{seq: 1, prev: a, leaf: c}, accepted{seq: 2, prev: b, leaf: c}
	in := func(seq int64, leaf ev.Hash) included { return included{seq, leaf} }
	list := func(from int64, n int, leaves ...ev.Hash) listed {
		return listed{from: from, leaves: leaves, included: n, end: true}
	}
	do := func(call, ret int64, did step) porcupine.Operation {
		return porcupine.Operation{Call: call, Return: ret, Input: did}
	}
	tests := []struct {
		name  string
		order bool
		asked []porcupine.Operation
	}{
		{"nothing", true, nil},
		{"one after the other", true, []porcupine.Operation{do(1, 2, first), do(3, 4, in(0, a)), do(5, 6, second), do(7, 8, list(0, 1, a, b))}},
		{"the later one of two at once came first", true, []porcupine.Operation{do(1, 9, refused{other}), do(2, 8, second), do(0, 1, first)}},
		{"sent again, answered as the first time", true, []porcupine.Operation{do(0, 1, first), do(2, 3, second), do(4, 5, third), do(6, 7, second)}},
		{"it happened long after nobody answered", true, []porcupine.Operation{do(0, 1, first), do(2, never, second), do(3, 4, list(0, 0, a)), do(5, 6, list(0, 0, a, b))}},
		{"pending until it is included", true, []porcupine.Operation{do(0, 1, first), do(2, 5, pending{0, a}), do(3, 4, in(0, a))}},
		{"an older publication", true, []porcupine.Operation{do(0, 1, first), do(2, 3, in(0, a)), do(4, 5, second), do(6, 7, counted{1})}},
		{"a full page of more", true, []porcupine.Operation{do(0, 1, first), do(2, 3, second), do(4, 5, listed{leaves: []ev.Hash{a}})}},
		{"from the middle", true, []porcupine.Operation{do(0, 1, first), do(2, 3, second), do(4, 5, list(1, 0, b)), do(6, 7, list(2, 0))}},
		{"what was there before", true, []porcupine.Operation{do(-2, -1, existed{chain{[]ev.Hash{a}, 1}}), do(0, 1, second)}},

		{"two winners of one place", false, []porcupine.Operation{do(0, 1, first), do(2, 9, second), do(2, 9, other)}},
		{"two winners of the first place", false, []porcupine.Operation{do(0, 9, first), do(0, 9, accepted{leaf: b})}},
		{"a read that does not show what was acknowledged", false, []porcupine.Operation{do(0, 1, first), do(2, 3, second), do(4, 5, list(0, 0, a))}},
		{"a read that does not show what another read showed", false, []porcupine.Operation{do(0, 1, first), do(2, never, second), do(3, 4, list(0, 0, a, b)), do(5, 6, list(0, 0, a))}},
		{"two reads of two streams", false, []porcupine.Operation{do(0, 1, first), do(2, never, second), do(2, never, other), do(3, 4, list(0, 0, a, b)), do(5, 6, list(0, 0, a, c))}},
		{"acknowledged, and gone at the end", false, []porcupine.Operation{do(0, 1, first), do(2, 3, second), do(9, 9, list(0, 1, a))}},
		{"seen, and sent by nobody", false, []porcupine.Operation{do(0, 1, first), do(2, 3, list(0, 0, a, b))}},
		{"a gap", false, []porcupine.Operation{do(0, 1, first), do(2, 3, third)}},
		{"after another than it says", false, []porcupine.Operation{do(0, 1, first), do(2, 3, other), do(4, 5, third)}},
		{"refused, though the place was free", false, []porcupine.Operation{do(0, 1, first), do(2, 3, refused{second}), do(4, 5, second)}},
		{"refused, though it was accepted", false, []porcupine.Operation{do(0, 1, first), do(2, 3, second), do(4, 5, refused{second})}},
		{"pending again after its receipt", false, []porcupine.Operation{do(0, 1, first), do(0, 1, in(0, a)), do(2, 3, pending{0, a})}},
		{"listed as pending after its receipt", false, []porcupine.Operation{do(0, 1, first), do(0, 1, in(0, a)), do(2, 3, list(0, 0, a))}},
		{"in the log before it was accepted", false, []porcupine.Operation{do(0, 1, in(0, a)), do(2, 3, first)}},
		{"in the log before an earlier one", false, []porcupine.Operation{do(0, 1, first), do(2, 3, second), do(4, 5, listed{leaves: []ev.Hash{a, b}, broken: true})}},
		{"a publication of more than there is", false, []porcupine.Operation{do(0, 1, first), do(2, 3, counted{2})}},
		{"a page that begins behind the end", false, []porcupine.Operation{do(0, 1, first), do(2, 3, list(2, 0, c))}},
	}
	for _, test := range tests {
		if got := porcupine.CheckOperations(streamModel, test.asked); got != test.order {
			t.Errorf("%s: there is an order: %t", test.name, got)
		}
	}
}
