package forms

import (
	"embed"
	"encoding/xml"
	"fmt"
	"strconv"
	"strings"
)

//go:embed figures
var figureFiles embed.FS

// figure is the drawing of a body map: plain outlines, no face. A mark's x and y are parts of its width and height, from its top left corner,
// in every language. Records that are sealed point into these drawings, so one that is published is never changed: a better one is a map of
// its own. Pages of package web have the same figures, made from the same files.
type figure struct {
	Width  int          `json:"width"`
	Height int          `json:"height"`
	Views  []figureView `json:"views"`
}

// figureView is one look at a part of the body. Maps such as that of the hands have several.
type figureView struct {
	ID      string         `json:"id"`
	Side    side           `json:"side"`
	Box     [4]int         `json:"box"`     // where in the figure it stands: x, y, width, height
	Outline []string       `json:"outline"` // paths to be filled, one over the other
	Lines   []string       `json:"lines"`   // thinner, not filled
	Guides  []string       `json:"guides"`  // dashed: heights by which a place is found
	Regions []figureRegion `json:"regions"` // where two lie on a place, the first counts
}

// figureRegion is a part of the body by its name. Its shape is near enough to find its name from a place, not to be drawn.
type figureRegion struct {
	ID    string   `json:"id"` // begins with left_ or right_, of the body, if it has a side
	At    [2]int   `json:"at"` // a place inside
	Shape [][2]int `json:"shape"`
}

// side says which side of the body a view shows.
type side string

const (
	facing  side = "facing" // the body's right is at the left of the picture
	away    side = "away"   // the body's left is
	onLeft  side = "left"   // the body's left alone
	onRight side = "right"  // the body's right alone
)

// figureOf reads a figure. The files are part of the program, so what cannot be read is a mistake in it.
func figureOf(bodyMap string) figure {
	text, err := figureFiles.ReadFile("figures/" + bodyMap + ".svg")
	if err != nil {
		panic(err)
	}
	f, err := parseFigure(text)
	if err != nil {
		panic(fmt.Sprintf("forms: figure %s: %v", bodyMap, err))
	}
	return f
}

func parseFigure(text []byte) (f figure, err error) {
	var file struct {
		XMLName xml.Name `xml:"http://www.w3.org/2000/svg svg"`
		ViewBox string   `xml:"viewBox,attr"`
		Views   []struct {
			ID    string `xml:"id,attr"`
			Side  side   `xml:"class,attr"`
			Box   string `xml:"data-box,attr"`
			Paths []struct {
				Class string `xml:"class,attr"`
				D     string `xml:"d,attr"`
			} `xml:"path"`
			Regions []struct {
				ID     string `xml:"data-region,attr"`
				At     string `xml:"data-at,attr"`
				Points string `xml:"points,attr"`
			} `xml:"polygon"`
		} `xml:"g"`
	}
	if err := xml.Unmarshal(text, &file); err != nil {
		return f, err
	}
	var box [4]int
	if err := whole(file.ViewBox, box[:]); err != nil || box[0] != 0 || box[1] != 0 {
		return f, fmt.Errorf("view box %q", file.ViewBox)
	}
	f.Width, f.Height = box[2], box[3]
	for _, v := range file.Views {
		view := figureView{ID: v.ID, Side: v.Side, Outline: []string{}, Lines: []string{}, Guides: []string{}}
		if err := whole(v.Box, view.Box[:]); err != nil {
			return f, err
		}
		for _, p := range v.Paths {
			switch p.Class {
			case "outline":
				view.Outline = append(view.Outline, p.D)
			case "line":
				view.Lines = append(view.Lines, p.D)
			case "guide":
				view.Guides = append(view.Guides, p.D)
			default:
				return f, fmt.Errorf("a path of class %q", p.Class)
			}
		}
		for _, r := range v.Regions {
			region := figureRegion{ID: r.ID}
			if err := whole(r.At, region.At[:]); err != nil {
				return f, err
			}
			for _, at := range strings.Fields(r.Points) {
				var p [2]int
				if err := whole(strings.Replace(at, ",", " ", 1), p[:]); err != nil {
					return f, err
				}
				region.Shape = append(region.Shape, p)
			}
			view.Regions = append(view.Regions, region)
		}
		f.Views = append(f.Views, view)
	}
	return f, nil
}

// whole reads exactly as many whole numbers as there is room for.
func whole(text string, into []int) error {
	fields := strings.Fields(text)
	if len(fields) != len(into) {
		return fmt.Errorf("%q has not %d numbers", text, len(into))
	}
	for i, field := range fields {
		n, err := strconv.Atoi(field)
		if err != nil {
			return err
		}
		into[i] = n
	}
	return nil
}
