package httpapi_test

import "testing"

func TestWorld(t *testing.T) {
	w := newWorld(t)
	in := w.openCase()
	it := w.deposit(in, []byte("words of a form"))
	o := w.open("custodian", in, it)
	t.Log(o.Opening.Size)
}
