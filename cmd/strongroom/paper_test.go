package main

import (
	"archive/zip"
	"io"
	"slices"
	"strings"
	"testing"

	"strongroom.example/strongroom/internal/dossier"
	"strongroom.example/strongroom/internal/words"
)

// readme looks at the page of a package: in one language, then in English.
func (w *town) readme(pkg, tag, direction string) {
	w.t.Helper()
	r, err := zip.OpenReader(w.path(pkg))
	if err != nil {
		w.t.Fatal(err)
	}
	defer r.Close()
	f, err := r.Open("README.html")
	if err != nil {
		w.t.Fatal(err)
	}
	defer f.Close()
	page, err := io.ReadAll(f)
	own, english := `<section id="`+tag+`" lang="`+tag+`" dir="`+direction+`">`, `<section id="en" lang="en" dir="ltr">`
	if i := strings.Index(string(page), own); err != nil || i < 0 || strings.Index(string(page), english) <= i {
		w.t.Errorf("%v\n%s", err, page)
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
