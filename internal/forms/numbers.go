package forms

import (
	"cmp"
	"math"
	"slices"
)

// Sizes in units of a drawing.
const (
	markSize     = 9.0 // half of a mark
	numberHeight = 26.0
	digitWidth   = 16.0
	letterWidth  = 11.0 // of a name
)

// spot is taken by a mark, a number or a name: its middle and half of its size.
type spot struct{ x, y, width, height float64 }

func (s spot) overlaps(o spot) bool {
	return math.Abs(s.x-o.x) < s.width+o.width && math.Abs(s.y-o.y) < s.height+o.height
}

// from is how far the nearest point of a spot lies from the middle of another one.
func (s spot) from(o spot) float64 {
	return math.Hypot(max(0, math.Abs(s.x-o.x)-s.width), max(0, math.Abs(s.y-o.y)-s.height))
}

// layout finds places for numbers: none hides another, and none can be taken for the number of another mark.
type layout struct {
	width, height float64
	marks         []spot
	taken         []spot // by names, numbers, and lines from marks to their numbers
}

// directions in which a number may stand from its mark, the ones that read best first: right, left, above, below, and then around.
var directions = func() (list [][2]float64) {
	for _, degrees := range []float64{0, 180, 270, 90} {
		list = append(list, towards(degrees))
	}
	for degrees := 15.0; degrees < 360; degrees += 15 {
		if math.Mod(degrees, 90) != 0 {
			list = append(list, towards(degrees))
		}
	}
	return list
}()

// towards is a direction in a drawing, whose y grows downwards.
func towards(degrees float64) [2]float64 {
	sin, cos := math.Sincos(degrees * math.Pi / 180)
	return [2]float64{cos, sin}
}

// many marks on one map are too many for lines that avoid each other.
const many = 60

// crowd is how near other marks count as a crowd; out is the way out of it.
const crowd = 80

func (l *layout) out(of int) (to [2]float64) {
	for _, m := range l.marks {
		if dx, dy := l.marks[of].x-m.x, l.marks[of].y-m.y; math.Hypot(dx, dy) < crowd {
			to[0], to[1] = to[0]+dx, to[1]+dy
		}
	}
	return to
}

// numbers finds the places of all numbers, those first that have most room.
func (l *layout) numbers(digits []int) (at []spot, apart []bool) {
	at, apart = make([]spot, len(digits)), make([]bool, len(digits))
	order := make([]int, len(digits))
	free := make([]float64, len(digits))
	for i := range digits {
		to := l.out(i)
		order[i], free[i] = i, math.Hypot(to[0], to[1])
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(free[b], free[a]) })
	for _, i := range order {
		at[i], apart[i] = l.number(i, digits[i])
	}
	return at, apart
}

// How a line from a mark to its number may run: through nothing, through marks, through anything.
const (
	nothing = iota
	throughMarks
	throughAll
)

// number finds a place for the number of a mark and takes it. Apart from its mark, or near to another one, it has a line to its own. Where there
// is no such place the number stands beside its mark all the same: every number is there.
func (l *layout) number(of, digits int) (at spot, apart bool) {
	own, half, out := l.marks[of], float64(max(digits, 1))*digitWidth/2, l.out(of)
	ways := slices.Clone(directions)
	slices.SortStableFunc(ways, func(a, b [2]float64) int {
		return cmp.Compare(math.Round(b[0]*out[0]+b[1]*out[1]), math.Round(a[0]*out[0]+a[1]*out[1]))
	})
	first := nothing
	if len(l.marks) > many {
		first = throughAll
	}
	for through := first; through <= throughAll; through++ {
		for ring := range 40 {
			dx, dy := markSize+half+4+float64(ring)*10, markSize+numberHeight/2+float64(ring)*10
			for _, to := range ways {
				s := spot{own.x + to[0]*dx, own.y + to[1]*dy, half, numberHeight / 2}
				if s.x-half < 0 || s.x+half > l.width || s.y-s.height < 0 || s.y+s.height > l.height {
					continue
				}
				if at == (spot{}) {
					at = s
				}
				if slices.ContainsFunc(l.taken, s.overlaps) || slices.ContainsFunc(l.marks, s.overlaps) {
					continue
				}
				needed := ring > 0 || l.doubtful(of, s)
				if needed && through < throughAll {
					line := l.line(of, s)
					if slices.ContainsFunc(line, l.crosses) || through < throughMarks && slices.ContainsFunc(line, l.over(of)) {
						continue
					}
					l.taken = append(l.taken, line...)
				}
				l.taken = append(l.taken, s)
				return s, needed
			}
		}
	}
	l.taken = append(l.taken, at)
	return at, true
}

// doubtful: without a line a reader might take the number for another mark's.
func (l *layout) doubtful(of int, number spot) bool {
	near := number.from(l.marks[of]) / 0.7
	for i, m := range l.marks {
		if i != of && number.from(m) < near {
			return true
		}
	}
	return false
}

// line is the points of the line from a mark to its number, outside of both.
func (l *layout) line(of int, number spot) (points []spot) {
	own := l.marks[of]
	steps := math.Ceil(math.Hypot(number.x-own.x, number.y-own.y) / 4)
	for i := 1.0; i < steps; i++ {
		p := spot{own.x + (number.x-own.x)*i/steps, own.y + (number.y-own.y)*i/steps, 2, 2}
		if !p.overlaps(own) && !p.overlaps(number) {
			points = append(points, p)
		}
	}
	return points
}

func (l *layout) crosses(p spot) bool { return slices.ContainsFunc(l.taken, p.overlaps) }

// over reports points that lie on other marks.
func (l *layout) over(of int) func(spot) bool {
	return func(p spot) bool {
		for i, m := range l.marks {
			if i != of && p.overlaps(m) {
				return true
			}
		}
		return false
	}
}
