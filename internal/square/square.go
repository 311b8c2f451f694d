// Package square draws QR codes for pages that people print.
package square

import (
	"fmt"
	"html/template"
	"strings"

	"rsc.io/qr"
)

// quiet is the blank margin that a reader needs around a square, in modules (ISO/IEC 18004).
const quiet = 4

// SVG draws text as a QR code: a path of one rectangle for each run of dark modules in a row. Level M stands a stain on a seventh of it.
// The label is what is read aloud in its place.
func SVG(text, label string) (template.HTML, error) {
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		return "", err
	}
	var path strings.Builder
	for y := range code.Size {
		for x := 0; x < code.Size; x++ {
			from := x
			for x < code.Size && code.Black(x, y) {
				x++
			}
			if x > from {
				fmt.Fprintf(&path, "M%d %dh%dv1h-%dz", from+quiet, y+quiet, x-from, x-from)
			}
		}
	}
	size := code.Size + 2*quiet
	//#nosec G203 -- numbers of our own; the label is escaped
	return template.HTML(fmt.Sprintf(`<svg viewBox="0 0 %d %d" shape-rendering="crispEdges" role="img" aria-label="%s"><path d="%s"/></svg>`,
		size, size, template.HTMLEscapeString(label), path.String())), nil
}
