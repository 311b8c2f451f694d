package dossier

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"strongroom.example/strongroom/internal/sealing"
	"strongroom.example/strongroom/internal/tlog"
)

// Packages that earlier versions of the product made are verified by every later one: formats only grow, and an act that was lawful when
// it was signed stays lawful. They are never made anew; each later version of the rules adds one.
func TestEarlierPackages(t *testing.T) {
	const earlier = "../../api/vectors/earlier"
	list := must(os.ReadDir(earlier))
	if len(list) == 0 {
		t.Fatal("no package is here")
	}
	for _, folder := range list {
		read := func(name string) []byte { return must(os.ReadFile(filepath.Join(earlier, folder.Name(), name))) }
		trust, id, data := must(tlog.ParseTrust(read("trust.json"))), must(sealing.ReadIdentityFile(read("identity.txt"), "")), read("package.zip")
		r, err := Verify(bytes.NewReader(data), int64(len(data)), Options{Trust: &trust, Identity: &id})
		if err != nil {
			t.Fatal(err)
		}
		released := 0
		for _, e := range r.Events {
			if e.Why != "" {
				released++
			}
		}
		if r.Verdict != Verified || len(r.Items) == 0 || released == 0 {
			t.Errorf("%s: %s, %d items, %d releases explained: %+v", folder.Name(), r.Verdict, len(r.Items), released, r.Checks)
		}
	}
}
