package evidence

import "pgregory.net/rapid"

// Accepted is an event of a history in memory, with the leaf hash that later events of the history name.
type Accepted struct {
	Event *Event
	Leaf  Hash
}

// RandomHistory is a history as TestRandomHistories drives it, from the founders on.
func RandomHistory(t *rapid.T) (list []Accepted, founders []Founder) {
	w := randomHistory(t, map[Kind]int{})
	for i, e := range w.log {
		list = append(list, Accepted{e, w.leaves[i]})
	}
	return list, w.facts.Founders
}

// Kinds are all that there are rules for.
func Kinds() (list []Kind) {
	for k := range rules {
		list = append(list, k)
	}
	return list
}
