package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"text/tabwriter"
)

// result is what one line of the table in QUALITY §1 came to.
type result struct {
	ID       string    `json:"id"`
	Title    string    `json:"title"`
	Measures []measure `json:"measures"`
	Aims     []aim     `json:"aims"`
	Load     string    `json:"load_average"` // of one, five and fifteen minutes, when it ended
	Failed   string    `json:"failed,omitempty"`
}

type measure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
}

// aim compares a figure with what is asked for. It is not a test.
type aim struct {
	What   string  `json:"what"`
	Value  float64 `json:"value"`
	Want   float64 `json:"want"`
	AtMost bool    `json:"at_most"`
}

func (a aim) met() bool { return a.AtMost && a.Value <= a.Want || !a.AtMost && a.Value >= a.Want }

func (r *result) measure(name string, value float64, unit string) {
	r.Measures = append(r.Measures, measure{name, value, unit})
}

func (r *result) atLeast(what string, value, want float64) {
	r.Aims = append(r.Aims, aim{what, value, want, false})
}

func (r *result) atMost(what string, value, want float64) {
	r.Aims = append(r.Aims, aim{what, value, want, true})
}

// print writes the result as a table.
func (r *result) print(w io.Writer) {
	fmt.Fprintf(w, "\n%s  %s\n", r.ID, r.Title)
	if r.Failed != "" {
		fmt.Fprintf(w, "  could not be measured: %s\n", r.Failed)
		return
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, m := range r.Measures {
		fmt.Fprintf(t, "  %s\t%s %s\n", m.Name, number(m.Value), m.Unit)
	}
	for _, a := range r.Aims {
		sign, verdict := "≥", "met"
		if a.AtMost {
			sign = "≤"
		}
		if !a.met() {
			verdict = "missed"
		}
		fmt.Fprintf(t, "  → %s\t%s\taim %s %s: %s\n", a.What, number(a.Value), sign, number(a.Want), verdict)
	}
	t.Flush()
	fmt.Fprintf(w, "  load average %s\n", r.Load)
}

// number writes three significant digits.
func number(v float64) string {
	if v >= 100 || v == float64(int64(v)) {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

func writeJSON(path string, m machine, results []result) error {
	text, err := json.MarshalIndent(struct {
		Machine machine  `json:"machine"`
		Results []result `json:"results"`
	}{m, results}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

// contestant is one side of a comparison. Its figure is a rate: more is better.
type contestant struct {
	name string
	run  func() float64
}

// interleave runs all contestants one after the other, round by round, so that what disturbs the machine disturbs all of them, and
// returns their medians.
func interleave(rounds int, all ...contestant) []float64 {
	figures := make([][]float64, len(all))
	for range rounds {
		for i, c := range all {
			figures[i] = append(figures[i], c.run())
		}
	}
	medians := make([]float64, len(all))
	for i, f := range figures {
		medians[i] = median(f)
	}
	return medians
}

func median[T cmp.Ordered](list []T) T {
	sorted := slices.Sorted(slices.Values(list))
	return sorted[len(sorted)/2]
}

// crew is goroutines whose failure is their caller's.
type crew struct {
	all    sync.WaitGroup
	failed atomic.Pointer[any]
}

func (c *crew) run(f func()) {
	c.all.Go(func() {
		defer func() {
			if p := recover(); p != nil {
				c.failed.CompareAndSwap(nil, &p)
			}
		}()
		f()
	})
}

func (c *crew) wait() {
	c.all.Wait()
	if p := c.failed.Load(); p != nil {
		panic(*p)
	}
}
