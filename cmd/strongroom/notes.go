package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/evidence"
)

// noteSaid is what is shown of a note.
type noteSaid struct {
	Step     int64             `json:"step"` // of the history, from 1
	Name     string            `json:"name"`
	Audience evidence.Audience `json:"audience"`
	Text     string            `json:"text,omitempty"`
	Unread   client.Unread     `json:"unread,omitempty"` // why there is no text
}

// unreadWords say why a note is not shown.
var unreadWords = map[client.Unread]string{
	client.UnreadOpens:  "(for who opens the item: strongroom item notes)",
	client.UnreadErased: "(erased when the item was made unreadable)",
	client.UnreadSealed: "(sealed for somebody else)",
	client.UnreadBroken: "(not in the form of a note; who signed it wrote it so)",
}

// notesOf are the notes of one event.
func notesOf(list []client.ReadNote, seq int64) (said []noteSaid) {
	for _, n := range list {
		if n.Seq == seq {
			said = append(said, saidOf(n))
		}
	}
	return said
}

func saidOf(n client.ReadNote) noteSaid {
	return noteSaid{n.Seq + 1, n.Name, n.Audience, n.Text, n.Unread}
}

// noteRows show notes below what they belong to.
func noteRows(list []noteSaid) (rows []row) {
	for _, n := range list {
		text := n.Text
		if n.Unread != "" {
			text = unreadWords[n.Unread]
		}
		rows = append(rows, row{"", plain(n.Name) + ": " + text})
	}
	return rows
}

func itemNotesCommand(a *app) *cobra.Command {
	var o opening
	c := &cobra.Command{
		Use:   "notes ITEM",
		Short: "Read the notes that were sealed with an item's steps",
		Long: `Opens the item's key and shows the texts that were sealed with its steps: what
was handed over and in which state, which order, what followed from an
emergency, under which name a court knows a person. Each is compared with the
check number in its step. What is sealed for somebody else, or was erased, is
named as such.

Texts for members of the case alone need no opening:
  strongroom history ITEM --notes

Signs:     item.opened, because the item's key is opened. The person concerned
           may see it.
For good:  the entry stays.`,
		Example: `  strongroom item notes itm-7c2k`,
	}
	o.flags(c, string(evidence.ForDocumentation))
	return about(a, c, findItem, func(ctx context.Context, cl *client.Client, id evidence.ItemID) error {
		p, err := o.open(a, id)
		if err != nil {
			return err
		}
		list, r, err := cl.OpenNotes(ctx, p)
		if err != nil {
			return err
		}
		steps, err := cl.History(ctx, evidence.ItemOf(id))
		if err != nil {
			return err
		}
		said := []noteSaid{}
		var rows []row
		for _, e := range steps {
			notes := notesOf(list, e.Stream.Seq)
			if len(notes) == 0 {
				continue
			}
			said = append(said, notes...)
			rows = append(append(rows, row{fmt.Sprintf("Step %d", e.Stream.Seq+1), stepName(e.Kind) + "\n" + dateOf(e.Time)}), noteRows(notes)...)
		}
		return a.recorded(r, fields{"item": id, "notes": said}, orNone(rows, "No step has a note.")...)
	})
}
