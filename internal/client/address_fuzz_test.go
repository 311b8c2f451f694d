package client

import "testing"

// FuzzParseAddress: what is read is kept as a line that reads the same.
func FuzzParseAddress(f *testing.F) {
	f.Add("https://vault.example")
	f.Add("https://127.0.0.1:8443/#sha256:6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d")
	f.Add("http://vault.example")
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseAddress(s)
		if err != nil {
			return
		}
		if again, err := ParseAddress(a.String()); err != nil || again.String() != a.String() {
			t.Fatalf("%q is kept as %q, which is read as %q, %v", s, a, again, err)
		}
	})
}
