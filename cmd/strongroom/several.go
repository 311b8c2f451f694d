package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/evidence"
)

// looked is an item as it was looked at.
type looked struct {
	*evidence.ItemState
	view *client.View
}

// itemsOfLook bounds how many items are looked at together.
const itemsOfLook = 200

func lookItems(ctx context.Context, cl *client.Client, ids []evidence.ItemID) (list []looked, _ error) {
	for batch := range slices.Chunk(ids, itemsOfLook) {
		streams := make([]evidence.Stream, len(batch))
		for i, id := range batch {
			streams[i] = evidence.ItemOf(id)
		}
		v, err := cl.Look(ctx, streams...)
		if err != nil {
			return nil, err
		}
		for _, s := range streams {
			list = append(list, looked{v.State(s).(*evidence.ItemState), v})
		}
	}
	return list, nil
}

// called names an item by its number in the case, which is for everybody who may see it.
func called(i *evidence.ItemState) string {
	if i.Sealed {
		return fmt.Sprintf("Exhibit %d, %s", i.Exhibit, i.ID)
	}
	return "Draft " + string(i.ID)
}

// chosen are the items of an act on several: those named, or those of a whole case.
type chosen struct{ in string }

func (s *chosen) flags(c *cobra.Command, what string) {
	c.Args = cobra.ArbitraryArgs
	c.Flags().StringVar(&s.in, "case", "", "instead of naming items: "+what+" of this `CASE`")
}

func (s *chosen) find(ctx context.Context, cl *client.Client, typed []string) ([]looked, error) {
	ids, err := s.ids(ctx, cl, typed)
	if err != nil {
		return nil, err
	}
	return lookItems(ctx, cl, ids)
}

func (s *chosen) ids(ctx context.Context, cl *client.Client, typed []string) (ids []evidence.ItemID, _ error) {
	if (s.in == "") == (len(typed) == 0) {
		return nil, usage("name items, or a case with --case")
	}
	if s.in == "" {
		return findItems(ctx, cl, typed)
	}
	in, err := findCase(ctx, cl, s.in)
	if err != nil {
		return nil, err
	}
	items, err := cl.Items(ctx, in)
	for _, i := range items {
		ids = append(ids, i.ID)
	}
	return ids, err
}

// acted is what became of one item in an act on several.
type acted struct {
	Item   evidence.ItemID `json:"item"`
	Event  evidence.Hash   `json:"event,omitzero"`
	Entry  int64           `json:"entry,omitempty"`
	Before bool            `json:"before,omitempty"` // it was done already
	Reason string          `json:"reason,omitempty"` // why it was not done
}

// onItems acts on items one by one: one event each. What is done already is passed over, so that an interrupted set goes on when the command
// is repeated (RULES §3.2); what is refused for one item does not stop the others.
func (a *app) onItems(ctx context.Context, items []looked, label string, more fields, done func(looked) bool, act func(looked) (*client.Receipt, error), rows ...row) error {
	list, something := []acted{}, false
	var first error
	var lines []row
	for _, i := range items {
		if done != nil && done(i) {
			list, something = append(list, acted{Item: i.ID, Before: true}), true
			lines = append(lines, row{"Before", called(i.ItemState) + ": done already"})
			continue
		}
		r, err := act(i)
		if err != nil {
			if client.LieOf(err) != "" || ctx.Err() != nil {
				return err
			}
			p := explain(err)
			list = append(list, acted{Item: i.ID, Reason: p.reason})
			lines = append(lines, row{"Not done", called(i.ItemState) + ": " + p.sentence})
			if first == nil {
				first = err
			}
			continue
		}
		list, something = append(list, acted{Item: i.ID, Event: r.Leaf, Entry: r.Index()}), true
		lines = append(lines, row{label, called(i.ItemState) + ", entry " + fmt.Sprint(r.Index()) + ", proof of entry checked"})
	}
	if !something && first != nil {
		return first
	}
	value := fields{"result": "recorded", "items": list}
	for name, v := range more {
		value[name] = v
	}
	if err := a.show(value, append(orNone(lines, "There is nothing to do."), rows...)...); err != nil {
		return err
	}
	return first
}

// written is a text that is sealed with an act: from a file, or asked for line by line. It is never taken from an argument.
func (a *app) written(file string, lines ...string) (string, error) {
	if file != "" {
		text, err := a.text(file)
		return strings.TrimSpace(text), err
	}
	var text []string
	for _, line := range lines {
		answer, err := a.ask(line)
		if err != nil {
			return "", err
		}
		if len(lines) > 1 {
			answer = line + " " + answer
		}
		text = append(text, answer)
	}
	return strings.Join(text, "\n"), nil
}

// ordered is a text of which every line is needed: from a file, or asked for line by line.
func (a *app) ordered(file string, lines []string) (string, error) {
	text, err := a.written(file, lines...)
	answered := client.Lines(text)
	for line := range strings.Lines(text) {
		if slices.Contains(lines, strings.TrimSpace(line)) {
			answered-- // the question alone
		}
	}
	if err == nil && answered < len(lines) {
		err = evidence.Refuse(evidence.Invalid, client.ReasonGround)
	}
	return text, err
}

var (
	// orderLines are what must be known of an order by which something is kept, or destroyed.
	orderLines = []string{"Which authority issued it?", "Under which number?", "Under which law?"}
	// groundLines are what must be known of the ground of a deposit without consent.
	groundLines = append(slices.Clone(orderLines), "Which ground of GDPR Art. 9?")
)

// until reads a flag that may be missing.
func until(s string) (evidence.Time, error) {
	if s == "" {
		return 0, nil
	}
	return when(s)
}
