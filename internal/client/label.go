package client

import (
	"context"
	"strings"

	"strongroom.example/strongroom/internal/dossier"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/sealing"
)

// labelOf is the text of a label (FORMATS §8): what lists show, and in a last line of its own how long the item is, if that is said.
func labelOf(title string, e dossier.Extent) string {
	if e == (dossier.Extent{}) {
		return title
	}
	return title + "\n" + e.String()
}

// readLabel takes a label apart.
func readLabel(text string) (title string, e dossier.Extent) {
	if at := strings.LastIndexByte(text, '\n'); at >= 0 {
		if e, ok := dossier.ParseExtent(text[at+1:]); ok {
			return text[:at], e
		}
	}
	return text, dossier.Extent{}
}

// openLabel opens a label with one of the keys of its case.
func openLabel(file []byte, keys []sealing.ItemKey) (title string, e dossier.Extent, ok bool) {
	for _, key := range keys {
		if text, err := sealing.OpenLabel(file, key); err == nil {
			title, e = readLabel(text)
			return title, e, true
		}
	}
	return "", dossier.Extent{}, false
}

// Index reports on items as Custody does, with their extents as far as this person may read the labels of their cases: for a schedule.
func (c *Client) Index(ctx context.Context, items []evidence.ItemID, add func(dossier.Custody) error) error {
	labels := make(map[evidence.CaseID]*caseLabels)
	return c.Custody(ctx, "", items, func(part dossier.Custody) error {
		for i, item := range part.Items {
			if labels[item.Case] == nil {
				var err error
				if labels[item.Case], err = c.labelsOf(ctx, item.Case); err != nil {
					return err
				}
			}
			file := labels[item.Case].files[item.ID]
			if evidence.SHA256(file) != item.Label.SHA256 {
				continue // of an item of another's list, or shredded
			}
			_, part.Items[i].Extent, _ = openLabel(file, labels[item.Case].keys)
		}
		return add(part)
	})
}

// caseLabels are the labels of a case, sealed, and the keys to them.
type caseLabels struct {
	keys  []sealing.ItemKey
	files map[evidence.ItemID][]byte
}

// labelsOf fetches them; none where the case is not this person's to list.
func (c *Client) labelsOf(ctx context.Context, in evidence.CaseID) (*caseLabels, error) {
	l := &caseLabels{files: make(map[evidence.ItemID][]byte)}
	items, err := allowed(c.listItems(ctx, in))
	if err != nil || len(items) == 0 {
		return l, err
	}
	for _, i := range items {
		l.files[evidence.ItemID(i.ID)] = i.Label
	}
	if l.keys, err = c.labelKeys(ctx, in); hidden(err) {
		return l, nil
	}
	return l, err
}
