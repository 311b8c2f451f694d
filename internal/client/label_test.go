package client

import (
	"testing"
	"time"

	"strongroom.example/strongroom/internal/dossier"
)

func TestLabel(t *testing.T) {
	for _, title := range []string{"", "photo-04.jpg", "two\nlines", "pages 3", "ends in a line\n"} {
		for _, e := range []dossier.Extent{{}, {Pages: 12}, {Lasts: 62 * time.Second}} {
			if got, extent := readLabel(labelOf(title, e)); got != title || extent != e {
				t.Errorf("%q %v is read as %q %v", title, e, got, extent)
			}
		}
	}
	if title, e := readLabel("a title\npages 03"); title != "a title\npages 03" || e != (dossier.Extent{}) {
		t.Errorf("%q %v", title, e)
	}
}
