package client

import (
	"bytes"
	"io"
	"path/filepath"
	"testing"

	"strongroom.example/strongroom/internal/dossier"
)

// after is what a package is to who got another one before.
func (w *world) after(file, before *bytes.Reader) *dossier.Report {
	w.Helper()
	return must(dossier.Verify(file, file.Size(), dossier.Options{
		Trust: &w.trust, Identity: &w.court.identity, Previous: io.NewSectionReader(before, 0, before.Size()),
	}))(w)
}

// A court's second package proves that the log goes on from where it was in the first one: its device remembers that, another one is told. A
// package of a vault that was put back from a copy, and went on otherwise, is refused beside the first one; by itself nothing is wrong with it.
func TestSecondPackage(t *testing.T) {
	w := newWorld(t)
	in := w.openCase()
	consent := w.consent(in)
	w.stop()
	copied := filepath.Join(t.TempDir(), "vault")
	copyFolder(t, copied, w.dir)
	w.serve(w.dir)

	before := w.exported(in, consent, "first")
	states := must(w.court.readExported())(t).Sizes
	if len(states) != 1 {
		t.Fatalf("it remembers %v", states)
	}
	verdict := func(what string, file *bytes.Reader, want dossier.Verdict, reason string) {
		t.Helper()
		r := w.after(file, before)
		if c := r.Check(dossier.CheckCheckpoint); r.Verdict != want || c.Reason != reason {
			t.Errorf("%s is %s: %+v", what, r.Verdict, c)
		}
	}
	verdict("the second package", w.exported(in, consent, "second"), dossier.Verified, "")

	check(t, w.court.folder.Remove(exportedDoc)) // another device
	item := w.deposit(w.clinician, in, consent, piecemeal("third"))
	must(w.clinician.Seal(w.Context(), item, 0))(t)
	grant := w.grants(w.custodian, item, w.court)
	export := func(earlier ...int64) *bytes.Reader {
		var file bytes.Buffer
		must(w.court.Export(w.Context(), Export{Item: item, Grant: grant, Earlier: earlier}, &file))(t)
		return bytes.NewReader(file.Bytes())
	}
	verdict("one that nobody asked to prove it", export(), dossier.Incomplete, dossier.ReasonPreviousUnproven)
	check(t, w.court.folder.Remove(exportedDoc))
	verdict("one that was told of the first", export(states...), dossier.Verified, "")

	w.stop()
	for _, p := range []*person{w.custodian, w.second, w.clinician, w.court} { // who saw nothing of all that
		w.forgetful(p)
	}
	w.serve(copied)
	other := w.exported(in, consent, "otherwise")
	w.verified("a package of the other history", other, w.trust, dossier.Verified, "")
	verdict("a package of the other history", other, dossier.Refused, dossier.ReasonLogFork)
	for range 8 { // beyond what the first one showed: the device asks for a proof from there, and gets one of another tree
		w.openCase()
	}
	verdict("a later one", w.exported(in, consent, "later"), dossier.Refused, dossier.ReasonConsistency)
}
