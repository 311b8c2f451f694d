package architecture

import (
	"os"
	"regexp"
	"testing"
)

// TestThreats: every test that api/threat-model.md names is there.
func TestThreats(t *testing.T) {
	text, err := os.ReadFile("../../api/threat-model.md")
	if err != nil {
		t.Fatal(err)
	}
	words := regexp.MustCompile("`((?:internal|cmd)/[a-z0-9/-]+)`|Test[A-Za-z0-9]+").FindAllSubmatch(text, -1)
	dir, named := "", 0
	for _, w := range words {
		if len(w[1]) > 0 {
			dir = string(w[1])
			continue
		}
		if named++; !tests(t, dir)[string(w[0])] {
			t.Errorf("there is no test %s in %s", w[0], dir)
		}
	}
	if named < 40 {
		t.Errorf("only %d tests are named", named)
	}
}
