package dossier

import (
	"bytes"
	_ "embed"
	"html/template"

	"strongroom.example/strongroom/internal/tlog"
)

//go:embed assets/readme.en.html
var readmeText string

var readme = template.Must(template.New("README.html").Parse(readmeText))

// Readme is README.html: what the package is, how to check and open it, what it shows and what it does not. It says nothing that only
// the last events would tell, for it is signed for by them. Of m it uses vault, grant, recipient and items.
func Readme(trust tlog.Trust, m Manifest) (File, error) {
	var b bytes.Buffer
	err := readme.Execute(&b, struct {
		Manifest
		Recipient  string
		Limits     []string
		Timestamps bool
	}{m, tlog.SixGroups(m.Recipient), limits, trust.RequiresTimestamps()})
	return BytesFile("README.html", b.Bytes()), err
}
