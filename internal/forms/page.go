package forms

import (
	"encoding/json"
	"html/template"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// PageLanguages are the tags of the languages that the body maps are printed in (BCP 47), sorted.
func PageLanguages() []string { return slices.Sorted(maps.Keys(pageWords())) }

// Foot is what stands at the foot of each printed page (RULES §12, 37). Its zero value is that of a page which was made from a file: no event
// tells of it.
type Foot struct {
	Exhibit int64  // 0 while it is not sealed
	Code    string // the page code: it names the event of the print
	Printed string // when, in the language of the page
}

// WritePage writes documents as one page to read and to print: self-contained, without scripts or a network. Headings are in order, as in
// Text, and in the language of the tag; the marks of a clinical record stand as numbers on the body maps, with a table. What somebody wrote
// stays as it was written. A language that there is none of is English.
func WritePage(w io.Writer, tag string, foot Foot, documents ...*Document) error {
	said, in := pageWords()[tag], pageTitles()[tag]
	if said == nil {
		tag = "en"
		said, in = pageWords()[tag], pageTitles()[tag]
	}
	p := page{Language: tag, Direction: directionOf(tag), Title: in.of(documents[0].table.title), Said: in.say("unrecorded")}
	if foot.Code != "" {
		p.Said, p.Code, p.When = in.say("printed", "{time}", foot.Printed), in.say("code", "{code}", measure(foot.Code)), styled(foot.Printed)
		if p.Exhibit = in.say("unsealed"); foot.Exhibit > 0 {
			p.Exhibit = in.say("exhibit", "{number}", strconv.FormatInt(foot.Exhibit, 10))
		}
		p.Where = styled(p.Exhibit + " · " + p.Code)
	}
	for _, d := range documents {
		a := article{Title: in.of(d.table.title), Schema: d.Schema()}
		for _, f := range d.table.shape.fields {
			v, ok := d.fields[f.name]
			if f.name == "schema" || !ok && f.optional {
				continue
			}
			h := pageHeading{Title: in.of(f.title)}
			_, empty := reasonFor(f.is, v)
			switch {
			case !ok:
				h.Content = content{Text: in.say("blank")}
			case f.name == "marks" && !empty:
				h.Maps = newMapSection(tag, said, marksOf(d.fields))
			default:
				h.Content = in.content(f.is, v)
			}
			a.Headings = append(a.Headings, h)
		}
		p.Articles = append(p.Articles, a)
	}
	return recordPage.Execute(w, p)
}

type page struct {
	Language, Direction string
	Title               string
	Said                string       // where the page comes from
	Exhibit, Code       string       // at its head; "" of a page made from a file
	Where, When         template.CSS // at the foot of each printed page
	Articles            []article
}

// directionOf is as in the attribute dir of HTML.
func directionOf(tag string) string {
	if tag == "ar" {
		return "rtl"
	}
	return "ltr"
}

type article struct {
	Title    string
	Schema   Schema
	Headings []pageHeading
}

// pageHeading has content, or body maps.
type pageHeading struct {
	Title   string
	Content content
	Maps    *mapSection
}

// content is a text, or what a group holds by title, or the entries of a list.
type content struct {
	Text string
	Rows []contentRow
	List []contentRow
}

type contentRow struct {
	Title string // of an entry without parts: none
	Is    content
}

// content says what Text says, in the form of a page.
func (t titles) content(s shape, v any) content {
	if reason, ok := reasonFor(s, v); ok {
		return content{Text: t.say(s.instead, "{reason}", strings.TrimRight(reason.(string), "."))}
	}
	switch v := v.(type) {
	case map[string]any:
		var c content
		for _, f := range s.fields {
			if member, ok := v[f.name]; ok {
				c.Rows = append(c.Rows, contentRow{t.of(f.title), t.content(f.is, member)})
			}
		}
		return c
	case []any:
		var c content
		for i, e := range v {
			row := contentRow{Is: t.content(*s.of, e)}
			if s.of.kind == isGroup {
				row.Title = t.of(s.entry) + " " + strconv.Itoa(i+1)
			}
			c.List = append(c.List, row)
		}
		return c
	}
	return content{Text: t.plain(s, v)}
}

// markEntry is an entry of the field marks. What a draft leaves out is empty.
type markEntry struct {
	Number, Map          string
	Placed               bool
	X, Y                 float64 // parts of the figure's width and height
	Path                 [][2]float64
	Type, Site, Side     string
	Length, Width, Depth string // millimetres
	Shape, Colour        string
	Photos               []string
	Asked, Consented     bool
}

// marksOf takes the marks out of a document's fields, which its schema has judged: numbers are within their bounds, codes are known.
func marksOf(fields map[string]any) (list []markEntry) {
	for _, e := range listAt(fields, "marks") {
		m := markEntry{Map: textAt(e, "map"), Type: textAt(e, "type"), Site: textAt(e, "site"), Side: textAt(e, "side"), Shape: textAt(e, "shape"), Colour: textAt(e, "colour"),
			Number: numeral(lookup(e, "number")), Length: numeral(lookup(e, "length_mm")), Width: numeral(lookup(e, "width_mm")), Depth: numeral(lookup(e, "depth_mm"))}
		var placed [2]bool
		m.X, placed[0] = lookup(e, "x").(float64)
		m.Y, placed[1] = lookup(e, "y").(float64)
		m.Placed = placed[0] && placed[1] && m.Map != ""
		for _, p := range listAt(e, "path") {
			x, okX := lookup(p, "x").(float64)
			y, okY := lookup(p, "y").(float64)
			if okX && okY {
				m.Path = append(m.Path, [2]float64{x, y})
			}
		}
		for _, p := range listAt(e, "photos") {
			if name, ok := p.(string); ok {
				m.Photos = append(m.Photos, name)
			}
		}
		m.Consented, m.Asked = lookup(e, "consented").(bool)
		list = append(list, m)
	}
	return list
}

func numeral(v any) string {
	if n, ok := v.(float64); ok {
		return strconv.FormatFloat(n, 'f', -1, 64)
	}
	return ""
}

// said are the words of the body maps in a language.
type said map[string]string

// pageWords reads the words once for each page. They are part of the program, so what cannot be read is a mistake in it.
func pageWords() map[string]said {
	text, err := figureFiles.ReadFile("figures/words.json")
	if err != nil {
		panic(err)
	}
	var all map[string]said
	if err := json.Unmarshal(text, &all); err != nil {
		panic(err)
	}
	return all
}

// fill says a text with its places filled.
func (s said) fill(id string, pairs ...string) string {
	return strings.NewReplacer(pairs...).Replace(s[id])
}

// mapSection is the body maps that have marks, and the table of all marks.
type mapSection struct {
	Language, Direction string
	Said                said
	Figures             []drawnFigure
	Marks               []markRow
}

// drawnFigure is a figure with its marks, in units of its drawing.
type drawnFigure struct {
	Map, Title, Label string
	Width, Height     int
	Several           bool // views
	Views             []drawnView
	Marks             []drawnMark
}

type drawnView struct {
	figureView
	Names []drawnName
}

type drawnName struct {
	X, Y   int
	Anchor string // where the text hangs: start, middle or end, from left to right in every language
	Text   string
}

type drawnMark struct {
	Number, X, Y     string
	Outline          string
	NumberX, NumberY string
	Lead             string // where a line from the mark to its number ends, if that stands apart; "" if it does not
}

type markRow struct {
	markEntry
	On, At, SideSaid, Size, Deep string
}

func newMapSection(tag string, words said, marks []markEntry) *mapSection {
	s := &mapSection{Language: tag, Direction: directionOf(tag), Said: words}
	for _, m := range bodyMaps {
		on := slices.DeleteFunc(slices.Clone(marks), func(e markEntry) bool { return e.Map != m || !e.Placed })
		if len(on) > 0 {
			s.Figures = append(s.Figures, drawn(m, words, on))
		}
	}
	for _, m := range marks {
		row := markRow{markEntry: m, On: words["body_map_"+m.Map], SideSaid: words["body_side_"+m.Side]}
		if m.Placed {
			row.At = percent(m.X) + " / " + percent(m.Y)
		}
		row.Size = strings.Join(slices.DeleteFunc([]string{m.Length, m.Width}, func(n string) bool { return n == "" }), " × ")
		if row.Size != "" {
			row.Size = words.fill("body_mm", "{size}", measure(row.Size))
		}
		if m.Depth != "" {
			row.Deep = words.fill("body_deep", "{depth}", measure(m.Depth))
		}
		s.Marks = append(s.Marks, row)
	}
	return s
}

func percent(part float64) string {
	return strconv.FormatFloat(math.Round(part*1000)/10, 'f', -1, 64) + "\u00a0%"
}

// measure keeps numbers in their order between words that run from right to left.
func measure(numbers string) string { return "\u2066" + numbers + "\u2069" }

func drawn(m string, words said, marks []markEntry) drawnFigure {
	f := figureOf(m)
	d := drawnFigure{Map: m, Title: words["body_map_"+m], Width: f.Width, Height: f.Height, Several: len(f.Views) > 1}
	for _, v := range f.Views {
		view := drawnView{figureView: v}
		x, y, width := v.Box[0], v.Box[1], v.Box[2]
		if d.Several {
			view.Names = append(view.Names, drawnName{x + width/2, y + 34, "middle", words["body_view_"+v.ID]})
			y += 50
		}
		left, right := words["body_left"], words["body_right"]
		switch {
		case v.Side == facing:
			view.Names = append(view.Names, drawnName{x + 12, y + 30, "start", right}, drawnName{x + width - 12, y + 30, "end", left})
		case v.Side == away:
			view.Names = append(view.Names, drawnName{x + 12, y + 30, "start", left}, drawnName{x + width - 12, y + 30, "end", right})
		case v.Side == onLeft && !d.Several: // what is one of several names its side
			view.Names = append(view.Names, drawnName{x + 12, y + 30, "start", left})
		case v.Side == onRight && !d.Several:
			view.Names = append(view.Names, drawnName{x + 12, y + 30, "start", right})
		}
		d.Views = append(d.Views, view)
	}
	l := layout{width: float64(f.Width), height: float64(f.Height)}
	for _, v := range d.Views {
		for _, n := range v.Names {
			half := float64(utf8.RuneCountInString(n.Text)) * letterWidth / 2
			x := float64(n.X) + map[string]float64{"start": half, "end": -half}[n.Anchor]
			l.taken = append(l.taken, spot{x, float64(n.Y) - 8, half, 14})
		}
	}
	for _, e := range marks {
		l.marks = append(l.marks, spot{e.X * l.width, e.Y * l.height, markSize, markSize})
	}
	var numbers []string
	var digits []int
	for _, e := range marks {
		numbers, digits = append(numbers, e.Number), append(digits, len(e.Number))
	}
	at, apart := l.numbers(digits)
	for i, e := range marks {
		mark := drawnMark{Number: e.Number, X: units(l.marks[i].x), Y: units(l.marks[i].y), NumberX: units(at[i].x), NumberY: units(at[i].y + numberHeight/2 - 4)}
		if apart[i] {
			mark.Lead = units(at[i].y)
		}
		var outline []string
		for _, p := range e.Path {
			outline = append(outline, units(p[0]*float64(f.Width))+","+units(p[1]*float64(f.Height)))
		}
		mark.Outline = strings.Join(outline, " ")
		d.Marks = append(d.Marks, mark)
	}
	d.Label = words.fill("body_marks_of", "{map}", d.Title, "{numbers}", strings.Join(numbers, ", "))
	return d
}

// units is a length in a drawing.
func units(n float64) string { return strconv.FormatFloat(math.Round(n*10)/10, 'f', -1, 64) }

var recordPage = template.Must(template.New("record").Parse(`<!DOCTYPE html>
<html lang="{{.Language}}" dir="{{.Direction}}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
<title>{{.Title}}</title>
<style>
* { box-sizing: border-box }
body { max-inline-size: 60rem; margin: 0 auto; padding: 16px; background: #fff; color: #000; font: 1rem/1.5 system-ui, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif;
  overflow-wrap: anywhere }
h1 { font-size: 1.75rem; line-height: 1.25; margin-block: 0 }
h2 { font-size: 1.25rem; margin-block: 2rem .5rem; border-block-end: 1px solid; break-after: avoid }
h3, dt, .entry { font-size: 1rem; font-weight: 600; margin-block: .75rem 0; break-after: avoid }
p { margin-block: 0 .5rem; max-inline-size: 66ch; white-space: pre-line }
dl, dd, ul { margin-block: 0; margin-inline: 0 }
dd dl, dd ul, li dl { padding-inline-start: 1rem }
ul { padding-inline-start: 1.25rem }
ul.entries { padding: 0; list-style: none }
body:lang(ar) { font-family: "Geeza Pro", "Noto Sans Arabic", "Noto Naskh Arabic", Tahoma, sans-serif; line-height: 1.8 }
.figures { display: flex; flex-wrap: wrap; gap: 1rem; margin-block: .5rem 1rem }
figure { margin: 0; break-inside: avoid; inline-size: min(100%, 92mm) }
figure.several { inline-size: min(100%, 130mm) }
figure svg { display: block; inline-size: 100%; block-size: auto; border: 1px solid #666; direction: ltr }
figcaption { font-weight: 600 }
svg path { stroke: #000; stroke-width: 3; stroke-linejoin: round; stroke-linecap: round; fill: none }
svg .outline { fill: #fff }
svg .line { stroke-width: 1.5 }
svg .guide { stroke-width: 1.5; stroke-dasharray: 4 6 }
svg .traced { fill: none; stroke: #000; stroke-width: 3 }
svg text { font-size: 22px; fill: #000 }
svg .number { font-size: 26px; font-weight: 700; stroke: #fff; stroke-width: 7; stroke-linejoin: round; paint-order: stroke }
svg .place { fill: #fff; stroke: #000; stroke-width: 3 }
svg .point { fill: #000 }
table { inline-size: 100%; border-collapse: collapse; font-size: .9rem }
th, td { padding: 4px 8px; border: 1px solid #666; text-align: start; vertical-align: top; overflow-wrap: break-word }
td p { margin: 0 }
tr { break-inside: avoid }
thead { display: table-header-group }
@media print { body { padding: 0; max-inline-size: none; font-size: 10.5pt } h1, h2 { break-after: avoid } figure.genital { break-before: page } }
@page { margin: 18mm; font: 8pt/1.3 system-ui, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif;{{if .Code}} @bottom-left { content: {{.Where}} } @bottom-center { content: {{.When}} }{{end}} @bottom-right { content: counter(page) " / " counter(pages); direction: ltr } }
</style>
</head>
<body>
<main>
{{if .Code}}<p class="foot">{{.Exhibit}} · {{.Code}}</p>
{{end}}<p class="foot">{{.Said}}</p>
{{range .Articles}}<article>
<h1>{{.Title}}</h1>
<p>{{.Schema}}</p>
{{range .Headings}}<section>
<h2>{{.Title}}</h2>
{{if .Maps}}{{template "maps" .Maps}}{{else}}{{template "content" .Content}}{{end}}
</section>
{{end}}</article>
{{end}}</main>
</body>
</html>
{{define "content"}}{{if .Rows}}<dl>
{{range .Rows}}<dt>{{.Title}}</dt><dd>{{template "content" .Is}}</dd>
{{end}}</dl>{{else if .List}}<ul{{if (index .List 0).Title}} class="entries"{{end}}>
{{range .List}}<li>{{if .Title}}<p class="entry">{{.Title}}</p>{{end}}{{template "content" .Is}}</li>
{{end}}</ul>{{else}}<p dir="auto">{{.Text}}</p>{{end}}{{end}}
{{define "maps"}}<section lang="{{.Language}}" dir="{{.Direction}}">
{{if .Figures}}<div class="figures">
{{range .Figures}}<figure class="{{.Map}}{{if .Several}} several{{end}}">
<figcaption>{{.Title}}</figcaption>
<svg viewBox="0 0 {{.Width}} {{.Height}}" role="img" aria-label="{{.Label}}" direction="ltr">
{{range .Views}}{{range .Outline}}<path class="outline" d="{{.}}"/>
{{end}}{{range .Lines}}<path class="line" d="{{.}}"/>
{{end}}{{range .Guides}}<path class="guide" d="{{.}}"/>
{{end}}{{range .Names}}<text x="{{.X}}" y="{{.Y}}" text-anchor="{{.Anchor}}">{{.Text}}</text>
{{end}}{{end}}{{range .Marks}}{{if .Outline}}<polygon class="traced" points="{{.Outline}}"/>
{{end}}{{if .Lead}}<path class="line" d="M{{.X}} {{.Y}}L{{.NumberX}} {{.Lead}}"/>
{{end}}{{end}}{{range .Marks}}<circle class="place" cx="{{.X}}" cy="{{.Y}}" r="8"/><circle class="point" cx="{{.X}}" cy="{{.Y}}" r="2.5"/>
{{end}}{{range .Marks}}<text class="number" x="{{.NumberX}}" y="{{.NumberY}}" text-anchor="middle">{{.Number}}</text>
{{end}}</svg>
</figure>
{{end}}</div>
<p>{{index .Said "body_scale"}}</p>
{{end}}{{$said := .Said}}<table>
<thead><tr><th scope="col">{{$said.body_number}}</th><th scope="col">{{$said.body_type}}</th><th scope="col">{{$said.body_site}}</th><th scope="col">{{$said.body_measure}}</th><th scope="col">{{$said.body_on_map}}</th><th scope="col">{{$said.body_photographs}}</th><th scope="col">{{$said.body_agreed}}</th></tr></thead>
<tbody>
{{range .Marks}}<tr><th scope="row"><bdi dir="ltr">{{or .Number "–"}}</bdi></th>
<td><p><bdi>{{or .Type "–"}}</bdi></p>{{if .Shape}}<p>{{$said.body_shape}}: <bdi>{{.Shape}}</bdi></p>{{end}}{{if .Colour}}<p>{{$said.body_colour}}: <bdi>{{.Colour}}</bdi></p>{{end}}</td>
<td><p><bdi>{{or .Site "–"}}</bdi></p>{{if .SideSaid}}<p>{{$said.body_side}}: {{.SideSaid}}</p>{{end}}</td>
<td>{{if .Size}}<p>{{.Size}}</p>{{end}}{{if .Deep}}<p>{{.Deep}}</p>{{end}}</td>
<td><p>{{or .On "–"}}</p>{{if .Placed}}<p><bdi dir="ltr">{{.At}}</bdi></p>{{else}}<p>{{$said.body_unplaced}}</p>{{end}}</td>
<td>{{range .Photos}}<p><bdi dir="ltr">{{.}}</bdi></p>{{end}}</td>
<td>{{if not .Asked}}–{{else if .Consented}}{{$said.body_yes}}{{else}}{{$said.body_no}}{{end}}</td></tr>
{{end}}</tbody>
</table>
</section>{{end}}
`))
