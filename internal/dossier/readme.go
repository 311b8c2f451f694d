package dossier

import (
	"bytes"
	"embed"
	"html/template"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
)

// A part of README.html for each language, as a whole, and the page around them.
//
//go:embed assets/readme.html assets/readme.*.html
var readmeTexts embed.FS

// Readme is README.html: what the package is, how to check and open it, what it shows and what it does not, in a language and then in
// English. It says nothing that only the last events would tell, for it is signed for by them. Of m it uses vault, grant, recipient and
// items; signers are the keys (History.Signer) that signed the deposits of these, in the same order.
func Readme(trust tlog.Trust, m Manifest, signers []evidence.Hash, l Language) (File, error) {
	languages := []Language{l, English}
	if l.Tag() == English.Tag() {
		languages = languages[:1]
	}
	var b bytes.Buffer
	for i, in := range languages {
		text := "readme." + in.Tag() + ".html"
		page, err := template.New("").Funcs(in.funcs()).ParseFS(readmeTexts, "assets/readme.html", "assets/"+text)
		if err != nil {
			return File{}, err
		}
		part := struct {
			Manifest
			Signers    []evidence.Hash
			Recipient  string
			Limits     []telling
			Timestamps bool
			Others     []Language // in which the page goes on
		}{m, signers, tlog.SixGroups(m.Recipient), limits, trust.RequiresTimestamps(), languages[i+1:]}
		names := []string{"begin", text, "end"}
		if i == 0 {
			names = []string{"head", "begin", text, "end"}
		}
		if len(part.Others) == 0 {
			names = append(names, "foot")
		}
		for _, name := range names {
			if err := page.ExecuteTemplate(&b, name, part); err != nil {
				return File{}, err
			}
		}
	}
	return BytesFile("README.html", b.Bytes()), nil
}
