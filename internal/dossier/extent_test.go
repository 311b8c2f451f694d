package dossier

import (
	"testing"
	"time"
)

func TestExtent(t *testing.T) {
	for line, want := range map[string]Extent{
		"pages 1": {Pages: 1}, "pages 10000000": {Pages: maxPages}, "duration 0:00:01": {Lasts: time.Second},
		"duration 1:02:03": {Lasts: time.Hour + 2*time.Minute + 3*time.Second}, "duration 10000:00:00": {Lasts: maxLasts},
	} {
		if e, ok := ParseExtent(line); !ok || e != want || e.String() != line {
			t.Errorf("%q: %+v, %t", line, e, ok)
		}
	}
	for _, line := range []string{
		"", "pages", "pages ", "pages 0", "pages -1", "pages 01", "pages +1", "pages 1 ", "pages 10000001", "Pages 1", "pages 1:02:03", "pages 99999999999999999999",
		"duration", "duration 0:00:00", "duration 1:2:3", "duration 1:60:00", "duration 0:00:01.5", "duration 62:03", "duration 10000:00:01", "duration 0:00:01:00",
		"duration -1:00:00", "duration 99999999999:00:00", "12", "a photograph", "duration 2",
	} {
		if e, ok := ParseExtent(line); ok {
			t.Errorf("%q is %+v", line, e)
		}
	}
	for _, e := range []Extent{{Pages: -1}, {Pages: 1, Lasts: time.Second}, {Lasts: time.Millisecond}, {Lasts: -time.Second}, {Lasts: maxLasts + time.Second}, {Pages: maxPages + 1}} {
		if e.Valid() {
			t.Errorf("%+v is an extent", e)
		}
	}
}

func FuzzExtent(f *testing.F) {
	f.Add("pages 12")
	f.Add("duration 1:02:03")
	f.Fuzz(func(t *testing.T, line string) {
		if e, ok := ParseExtent(line); ok && (!e.Valid() || e == Extent{} || e.String() != line) {
			t.Errorf("%q: %+v", line, e)
		}
	})
}
