package forms

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const assets = "../web/assets/"

// published are the figures as records that are sealed point into them. A figure that is here is never changed: its marks would lie elsewhere.
var published = map[string]string{
	"anterior":  "00efaa33660ff884090277a77e126b73719499f30475a7c504cbeca90a6b66a2",
	"posterior": "06cbfbfae9fba01a7122562ba404317d0ccbee4e93f7a2b15f287383142eac04",
	"left":      "459c573f6949f1aa04a9c80800c673cd5bf3c2724b6151d937d1028e46dcf17f",
	"right":     "1291d35eeec3abbca790d4348ae738b7ae5d091c4660541fc3a69c2d46529ed9",
	"head":      "507f213dcc418a4feed1310197229eb47b057c83857c827ce3d38c9c3c356a87",
	"hands":     "1f7f93c88b0152b42c016b2febf17c8b643a4228fb5f9068580d17df055e7924",
	"feet":      "9f087d34fc5e6095275fb922f449d5348dce6072143a51d0edcf23a838ae3d94",
	"genital":   "4dfbd22412491aa9ace6dbbe23eedf76296cb9a3f0f43a394070f0f89528bb03",
}

// Every map of the schema has its figure, drawn once and for all, and there is no other.
func TestFigures(t *testing.T) {
	files, err := fs.Glob(figureFiles, "figures/*.svg")
	if err != nil || len(files) != len(bodyMaps) {
		t.Errorf("%d figures for %d maps", len(files), len(bodyMaps))
	}
	for _, m := range bodyMaps {
		text, err := figureFiles.ReadFile("figures/" + m + ".svg")
		if err != nil {
			t.Errorf("the map %s has no figure", m)
			continue
		}
		if sum := sha256.Sum256(text); hex.EncodeToString(sum[:]) != published[m] {
			t.Errorf("the figure of the map %s is not the one that was published: %x", m, sum)
		}
		f, err := parseFigure(text)
		if err != nil {
			t.Errorf("%s: %v", m, err)
			continue
		}
		drawn := 0 // nothing stands in a file that is not read
		for _, v := range f.Views {
			checkView(t, m, f, v)
			drawn += len(v.Outline) + len(v.Lines) + len(v.Guides)
		}
		if got := bytes.Count(text, []byte("<path ")); got != drawn || regexp.MustCompile(`<(?:[^svgpo/]|script|style|image|use|a )|href|url\(|&|<!`).Match(text) {
			t.Errorf("%s: %d of %d paths are read, or something stands there that no figure has", m, drawn, got)
		}
	}
	if _, err := parseFigure([]byte(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 600 1e3"/>`)); err == nil {
		t.Error("a view box that is not whole numbers is taken")
	}
}

var drawing = regexp.MustCompile(`^(?:M\d+ \d+(?:c(?:[ -]?-?\d+)+)?Z?)+$`)

func checkView(t *testing.T, m string, f figure, v figureView) {
	t.Helper()
	at := m + " " + v.ID
	if x, y, w, h := v.Box[0], v.Box[1], v.Box[2], v.Box[3]; x < 0 || y < 0 || w <= 0 || h <= 0 || x+w > f.Width || y+h > f.Height {
		t.Errorf("%s stands outside of its figure", at)
	}
	if !slices.Contains([]side{facing, away, onLeft, onRight}, v.Side) || (m == "left" || m == "right") && string(v.Side) != m {
		t.Errorf("%s shows the side %q", at, v.Side)
	}
	for _, d := range slices.Concat(v.Outline, v.Lines, v.Guides) {
		if !drawing.MatchString(d) {
			t.Errorf("%s: a path that is no drawing: %.60s", at, d)
		}
	}
	if len(v.Outline)+len(v.Lines) == 0 {
		t.Errorf("%s is empty", at)
	}
	middle := v.Box[0] + v.Box[2]/2
	for i, r := range v.Regions {
		if slices.ContainsFunc(v.Regions[:i], func(o figureRegion) bool { return o.ID == r.ID }) {
			t.Errorf("%s: %s stands there twice", at, r.ID)
		}
		if found := v.region(r.At[0], r.At[1]); found != r.ID {
			t.Errorf("%s: the place of %s is %q", at, r.ID, found)
		}
		for _, p := range r.Shape {
			if p[0] < v.Box[0] || p[0] > v.Box[0]+v.Box[2] || p[1] < v.Box[1] || p[1] > v.Box[1]+v.Box[3] {
				t.Errorf("%s: %s reaches out of the view", at, r.ID)
			}
		}
		// The body's sides lie where they are seen: right at the left of a picture from the front.
		named, _, _ := strings.Cut(r.ID, "_")
		sided := named == "left" || named == "right"
		switch {
		case v.Side == onLeft || v.Side == onRight:
			if sided && named != string(v.Side) {
				t.Errorf("%s has %s", at, r.ID)
			}
		case sided && (r.At[0] < middle) != ((named == "right") == (v.Side == facing)):
			t.Errorf("%s: %s lies on the wrong side", at, r.ID)
		}
	}
}

// region is the name of what lies at a place of a view: the first region whose shape holds it.
func (v figureView) region(x, y int) string {
	for _, r := range v.Regions {
		is := false
		for i, a := range r.Shape {
			b := r.Shape[(i+len(r.Shape)-1)%len(r.Shape)]
			if (a[1] > y) != (b[1] > y) && float64(x) < float64((b[0]-a[0])*(y-a[1]))/float64(b[1]-a[1])+float64(a[0]) {
				is = !is
			}
		}
		if is {
			return r.ID
		}
	}
	return ""
}

// The marks of the example lie where they say.
func TestFiguresAndExample(t *testing.T) {
	for i, want := range []string{"left_forearm", "right_shoulder_blade"} {
		m := marksOf(parsed(t, example(t, ClinicalRecord)).fields)[i]
		f := figureOf(m.Map)
		if got := f.Views[0].region(int(m.X*float64(f.Width)), int(m.Y*float64(f.Height))); got != want {
			t.Errorf("mark %s lies on %q, and says %q", m.Number, got, want)
		}
	}
}

// Left and right are one drawing, seen from the other side; so are the two hands and the two feet.
func TestFiguresMirror(t *testing.T) {
	mirrored := func(f figure, v, w figureView) {
		t.Helper()
		for i, r := range v.Regions {
			o := w.Regions[i]
			for k, p := range r.Shape {
				if want := [2]int{w.Box[0] + v.Box[0] + v.Box[2] - p[0], p[1] - v.Box[1] + w.Box[1]}; o.Shape[k] != want {
					t.Fatalf("%s of %s at %v, in %s at %v", r.ID, v.ID, p, w.ID, o.Shape[k])
				}
			}
		}
	}
	l, r := figureOf("left"), figureOf("right")
	mirrored(l, l.Views[0], r.Views[0])
	for _, m := range []string{"hands", "feet"} {
		f := figureOf(m)
		mirrored(f, f.Views[0], f.Views[1])
		mirrored(f, f.Views[2], f.Views[3])
	}
}

// module is the figures as the pages read them.
func module(t *testing.T) []byte {
	t.Helper()
	type region struct {
		figureRegion
		Name string `json:"name"`
	}
	type view struct {
		figureView
		Name    string   `json:"name"`
		Regions []region `json:"regions"`
	}
	var b bytes.Buffer
	b.WriteString(`// The figures of the body maps, made from internal/forms/figures: go test ./internal/forms -run TestFiguresOfPages -update

/**
 * Names are ids of words. Side is what a view shows of the body: "facing" has its right at the left of the picture, "away" its left.
 * @typedef {{id: string, name: string, at: [number, number], shape: [number, number][]}} Region
 * @typedef {{id: string, name: string, side: string, box: [number, number, number, number], outline: string[], lines: string[], guides: string[], regions: Region[]}} View
 * @typedef {{width: number, height: number, views: View[]}} Figure
 */

export const figures = /** @type {Record<string, Figure>} */ (/** @type {unknown} */ ({
`)
	for _, m := range bodyMaps {
		f := figureOf(m)
		views := make([]view, len(f.Views))
		for i, v := range f.Views {
			views[i] = view{v, "body_map_" + m, nil}
			if len(f.Views) > 1 {
				views[i].Name = "body_view_" + v.ID
			}
			for _, r := range v.Regions {
				views[i].Regions = append(views[i].Regions, region{r, "body_region_" + r.ID})
			}
		}
		text, err := json.Marshal(map[string]any{"width": f.Width, "height": f.Height, "views": views})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "\t%s: %s,\n", m, text)
	}
	b.WriteString("}));\n")
	return b.Bytes()
}

// The pages have these figures, and no others.
func TestFiguresOfPages(t *testing.T) {
	want := module(t)
	if *update {
		if err := os.WriteFile(assets+"figures.js", want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if have, err := os.ReadFile(assets + "figures.js"); err != nil || !bytes.Equal(have, want) {
		t.Errorf("figures.js differs from the figures (%v). Run: go test ./internal/forms -run TestFiguresOfPages -update", err)
	}
}
