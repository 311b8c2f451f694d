package ceremony

import (
	"html/template"
	"io"

	"strongroom.example/strongroom/internal/square"
)

// WriteSheet writes a share as a page to print for its trustee: self-contained, without a network.
func (r Record) WriteSheet(w io.Writer, s Share) error {
	code, err := square.SVG(s.Code(), "The code as a square")
	if err != nil {
		return err
	}
	return sheet.Execute(w, struct {
		Share
		Record Record
		Number string
		Square template.HTML
		Rows   []string
		N      int
	}{s, r, r.Number(), code, s.Rows(), s.Number})
}

var sheet = template.Must(template.New("sheet").Parse(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="referrer" content="no-referrer">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Recovery share {{.N}} of {{.Of}}</title>
<style>
@page { margin: 18mm }
* { margin: 0; box-sizing: border-box }
body { max-width: 174mm; padding: 6mm; background: #fff; color: #000; font: 11.5pt/1.45 system-ui, sans-serif }
h1 { font-size: 20pt; line-height: 1.2 }
p, dl, .code { margin-block-start: 5mm }
dl { display: grid; grid-template-columns: 34mm 1fr; row-gap: 1mm }
dt { font-weight: 700 }
.code { display: grid; grid-template-columns: 62mm 1fr; gap: 8mm; align-items: center; padding: 4mm; border: .4mm solid #000; border-radius: 3mm;
  break-inside: avoid; print-color-adjust: exact }
svg { width: 62mm; height: 62mm }
code { display: block; font: 700 15pt/1.75 ui-monospace, "DejaVu Sans Mono", Consolas, monospace; white-space: pre }
ol { margin-block-start: 5mm; padding-inline-start: 6mm }
li { margin-block-end: 1.5mm }
@media print { body { padding: 0 } }
</style>
</head>
<body>
<h1>Recovery share {{.N}} of {{.Of}}</h1>
<p>This is one part of a key that opens the evidence of a vault when the people who hold its keys have lost theirs. Any {{.Needed}} of the {{.Of}}
parts give the whole key; fewer say nothing about it.</p>
<dl>
<dt>Recovery key</dt><dd>{{.Number}}</dd>
<dt>Share</dt><dd>{{.N}} of {{.Of}}, of which {{.Needed}} are needed</dd>
<dt>Made on</dt><dd>{{.Record.Made}}</dd>
</dl>
<div class="code">{{.Square}}<div>{{range .Rows}}<code>{{.}}</code>{{end}}</div></div>
<ol>
<li>Keep this sheet sealed, offline and dry, in a place that no other trustee can enter. Do not photograph or copy it.</li>
<li>Nobody ever needs it by telephone, e-mail or message. It is typed or read by you, at a computer that you and another trustee trust.</li>
<li>Before it is used, two trustees state to the vault what is opened with it, and why: <b>strongroom vault recovered</b>. Without that the vault gives
nothing out.</li>
<li>If you lose it, or somebody may have seen it, say so at once: a new ceremony replaces the key.</li>
</ol>
</body>
</html>
`))
