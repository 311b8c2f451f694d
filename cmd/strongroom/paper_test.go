package main

import (
	"archive/zip"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"

	"strongroom.example/strongroom/internal/dossier"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/words"
)

// readme looks at the page of a package: in one language and then in English, or in English alone.
func (w *town) readme(pkg, tag, direction string) {
	w.t.Helper()
	r, err := zip.OpenReader(w.path(pkg))
	if err != nil {
		w.t.Fatal(err)
	}
	defer r.Close()
	read := func(name string) string {
		f, err := r.Open(name)
		if err != nil {
			w.t.Fatal(err)
		}
		defer f.Close()
		b, err := io.ReadAll(f)
		if err != nil {
			w.t.Fatal(err)
		}
		return string(b)
	}
	page, parts := read("README.html"), 2
	if tag == "en" {
		parts = 1
	}
	own, english := `<section id="`+tag+`" lang="`+tag+`" dir="`+direction+`">`, `<section id="en" lang="en" dir="ltr">`
	if i := strings.Index(page, own); i < 0 || strings.LastIndex(page, english) < i || strings.Count(page, "<section ") != parts {
		w.t.Errorf("\n%s", page)
	}
	// The command for cosign names files of this package, and the key of who signed the deposit.
	commands := regexp.MustCompile(`cosign verify-blob-attestation .*`).FindAllString(page, -1)
	for _, command := range commands {
		files := regexp.MustCompile(`\b(items|trust)/\S+`).FindAllString(command, -1)
		if len(files) != 4 {
			w.t.Fatalf("%q", command)
		}
		for _, name := range files {
			_ = read(name)
		}
		receipt, err := tlog.ParseReceipt([]byte(read(files[0])))
		if err != nil || files[2] != "trust/signers/"+receipt.KeyID().String()+".pub" || !strings.HasSuffix(files[0], "/events/000000.sigstore.json") {
			w.t.Errorf("%v: %s", err, command)
		}
	}
	if len(commands) != parts {
		w.t.Errorf("%d commands for cosign", len(commands))
	}
}

// There are pages in every language that she is spoken to in, and in no other; it is that of --language, or else the locale's.
func TestPaper(t *testing.T) {
	if !slices.Equal(words.Tags(), dossier.Languages()) {
		t.Errorf("%q, to her %q", dossier.Languages(), words.Tags())
	}
	for _, c := range []struct{ locale, asked, want string }{
		{"C", "", "en"}, {"uk_UA.UTF-8", "", "uk"}, {"uk_UA.UTF-8", "fr", "fr"}, {"de_DE.UTF-8", "", "en"}, {"fr_FR.UTF-8", "en", "en"},
		{"C", "ar-SY", "ar"}, {"C", "es_MX.UTF-8", "es"}, {"C", "de", ""}, {"fr_FR.UTF-8", "tlh", ""}, {"C", "english", ""},
	} {
		t.Setenv("LC_ALL", c.locale)
		l, err := (&app{language: c.asked}).paper()
		if (err == nil) != (c.want != "") || err == nil && l.Tag() != c.want {
			t.Errorf("%+v: %s, %v", c, l.Tag(), err)
		}
		if words.For(l.Tag()).Direction() != l.Direction() {
			t.Errorf("%s runs %s", l.Tag(), l.Direction())
		}
	}
}
