package client

import (
	"bytes"
	"errors"
	"html/template"
	"io"
	"os"
	"path/filepath"
	"strings"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/square"
)

// maxPrinted bounds the address on a page, in characters: what is longer would be cut off in print.
const maxPrinted = 120

// WritePage writes a card as a page to print: self-contained, without a network, the size of a bank card. Whoever finds it learns nothing
// of what it is for: no name, no role, no word of what the vault keeps. The address is on it, so a vault's host name should be as neutral.
// An address of more than 120 characters does not fit: TooLarge "card_address", and nothing is written.
func (c Card) WritePage(w io.Writer, said CardWords) error {
	address := c.Address.String()
	if len(address) > maxPrinted {
		return evidence.Refuse(evidence.TooLarge, "card_address")
	}
	code, err := square.SVG(c.Line(), said.Square)
	if err != nil {
		return err
	}
	return cardPage.Execute(w, cardText{said, code, c.rows(), address, len(address) > 54, halves(c.Trust.Groups())})
}

// SavePage writes the page to a new file, durably: fs.ErrExist if there is one. The code is never in another file, not even while it is
// written: what a kill leaves is under this name, where the person looks.
func (c Card) SavePage(name string, said CardWords) error {
	var page bytes.Buffer
	if err := c.WritePage(&page, said); err != nil {
		return err
	}
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(page.Bytes())
	if err = errors.Join(err, file.Sync(), file.Close()); err == nil {
		err = syncFolder(filepath.Dir(name))
	}
	if err != nil {
		return errors.Join(err, os.Remove(name))
	}
	return nil
}

// CardWords are what a page says, in the person's language. Nothing in them tells what the card is for.
type CardWords struct {
	Language, Direction                  string // as in HTML: a BCP 47 tag; ltr or rtl
	Title, Square, Code, Number, Address string
	Steps                                []string // what to do with the page; not printed
}

type cardText struct {
	Said    CardWords
	Square  template.HTML
	Code    []string
	Address string
	Long    bool // for its place, as one with a certificate's number
	Number  []string
}

// rows are the nine groups, three in a row.
func (c Card) rows() []string {
	groups := strings.Split(c.Code.Code(), "-")
	return []string{strings.Join(groups[:3], " "), strings.Join(groups[3:6], " "), strings.Join(groups[6:], " ")}
}

// halves are six groups in two rows.
func halves(groups string) []string { return []string{groups[:17], groups[18:]} }

var cardPage = template.Must(template.New("card").Parse(`<!DOCTYPE html>
<html lang="{{.Said.Language}}" dir="{{.Said.Direction}}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="referrer" content="no-referrer">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{{.Said.Title}}</title>
<style>
@page { margin: 12mm }
* { margin: 0; box-sizing: border-box }
body { padding: 4mm; background: #fff; color: #000; font: 12pt/1.4 system-ui, sans-serif }
.card { display: grid; grid-template: 36mm 14mm / 37mm 1fr; width: 85.6mm; height: 54mm; padding: 1.5mm; border: .3mm dashed #000;
  border-radius: 3mm; overflow: hidden; break-inside: avoid; print-color-adjust: exact }
svg { width: 36mm; height: 36mm }
.code { padding-block: 1mm 0; padding-inline: 2mm 0; align-self: center }
.line { padding: 0 2mm; grid-column: 1 / 3; display: grid; grid-template: auto / 35mm 1fr; align-self: center }
b, small { display: block; font: 6.5pt/1.25 system-ui, sans-serif }
code { display: block; font: 9pt/1.25 ui-monospace, "DejaVu Sans Mono", Consolas, monospace }
.code code { font-size: 11.5pt; font-weight: 700; line-height: 1.7 }
code { direction: ltr; unicode-bidi: isolate }
[dir=rtl] code:not(.long) { text-align: right }
:lang(ar) ol { font-size: 1.1em; line-height: 1.8 }
.line code { word-break: break-all }
.long { font-size: 5.5pt; line-height: 1.15 }
ol { max-width: 36em; margin-block: 8mm 0; margin-inline: 1.5em 0; padding: 0 }
@media print { body { padding: 0 } ol { display: none } }
</style>
</head>
<body>
<main class="card">
{{.Square}}
<div class="code"><b>{{.Said.Code}}</b>{{range .Code}}<code>{{.}}</code>{{end}}</div>
<div class="line">
<div><b>{{.Said.Number}}</b>{{range .Number}}<code>{{.}}</code>{{end}}</div>
<div><b>{{.Said.Address}}</b><code{{if .Long}} class="long"{{end}}>{{.Address}}</code></div>
</div>
</main>
<ol>
{{range .Said.Steps}}<li>{{.}}</li>
{{end}}</ol>
</body>
</html>
`))
