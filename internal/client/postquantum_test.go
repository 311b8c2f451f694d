package client

import (
	"bytes"
	"encoding/base64"
	"io"
	"path/filepath"
	"testing"

	"strongroom.example/strongroom/internal/daemon"
	"strongroom.example/strongroom/internal/dossier"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/wire"
)

// Where the trust file names the log's key of ML-DSA-44, clients refuse what carries a changed line of it, whichever answer it comes in; all
// else goes its way, to a verified package.
func TestPostQuantum(t *testing.T) {
	t.Parallel()
	w := &world{TB: t, dir: filepath.Join(t.TempDir(), "vault"), quantum: true}
	w.found()
	w.serve(w.dir)
	ctx := t.Context()
	in := w.openCase()
	item := w.deposit(w.clinician, in, w.consent(in), bytes.NewReader(random(1000)))
	must(w.custodian.Look(ctx, evidence.ItemOf(item)))(t)
	_, err := w.custodian.Open(ctx, Open{Item: item, Purpose: evidence.ForCare}, io.Discard)
	check(t, err)

	changed := func(note []byte) []byte { // the last line is that one: there are no witnesses
		i := bytes.LastIndexByte(note, ' ') + 1
		sig := must(base64.StdEncoding.DecodeString(string(bytes.TrimSuffix(note[i:], []byte("\n")))))(t)
		if len(sig) != 4+8+2420 {
			t.Fatalf("the last line has %d bytes", len(sig))
		}
		sig[2000] ^= 1
		return append(append(bytes.Clone(note[:i]), base64.StdEncoding.EncodeToString(sig)...), '\n')
	}
	receipt := func(b []byte) []byte {
		return remade(t, b, func(p *tlog.ReceiptParts) { p.Checkpoint = changed(p.Checkpoint) })
	}
	_, err = w.client(w.custodian, instead("GET", "/v1/log/checkpoint", changed)).Look(ctx, evidence.ItemOf(item))
	wantLie(t, err, WrongLogKey)
	_, err = w.client(w.custodian, about("GET", "/events", func(l *wire.EventList) {
		for i := range l.Events {
			l.Events[i].Receipt = receipt(l.Events[i].Receipt)
		}
	})).Look(ctx, evidence.ItemOf(item))
	wantLie(t, err, WrongLogKey)
	_, err = w.client(w.custodian, about("POST", "/v1/events", func(i *wire.Included) { i.Receipt = receipt(i.Receipt) })).
		Open(ctx, Open{Item: item, Purpose: evidence.ForCare}, io.Discard)
	wantLie(t, err, WrongLogKey)

	_, err = w.clinician.Seal(ctx, item, 0)
	check(t, err)
	grant := w.grants(w.second, item, w.court)
	_, err = w.court.Redeem(ctx, Redemption{Item: item, Grant: grant, Action: evidence.View}, io.Discard)
	check(t, err)
	file := filepath.Join(t.TempDir(), "package.zip")
	check(t, SaveAs(file, func(dst io.Writer) error {
		_, err := w.court.Export(ctx, Export{Item: item, Grant: grant}, dst)
		return err
	}))
	if report := w.verify(file, w.court); report.Verdict != dossier.Verified {
		t.Errorf("%s: %+v", report.Verdict, report.Checks)
	}
}

// The key comes to a vault that had none, and is rotated with the others. Clients take each new trust file because two people decided it, and what
// was exported before verifies under all of them.
func TestPostQuantumRotation(t *testing.T) {
	w := newWorldOf(t)
	ctx := t.Context()
	in := w.openCase()
	consent := w.consent(in)
	packages := []*bytes.Reader{w.exported(in, consent, "before")}
	yes := true
	for _, change := range []daemon.Change{{PostQuantum: &yes}, {NewLogKeys: true}} {
		w.decide(must(daemon.PlanRotation(ctx, w.dir, options, change))(t))
		var next tlog.Trust
		w.again(func() { next = must(daemon.FinishRotation(ctx, w.dir, options))(t) })
		for _, p := range []*person{w.admin, w.custodian, w.clinician, w.second, w.court} {
			check(t, Repin(ctx, w.config(p), next))
			p.Client = w.client(p, nil)
		}
		packages = append(packages, w.exported(in, consent, "after"))
		for _, file := range packages {
			w.verified("a package", file, next, dossier.Verified, "")
		}
		must(w.custodian.Look(ctx, evidence.CaseOf(in)))(t)
	}
	first := must(tlog.ParsePolicy(w.trustFile().EarlierPolicies()[1].Policy))(t).Logs()
	if second := w.trustFile().Policy().Logs(); len(first) != 1 || len(second) != 1 || first[0] == second[0] {
		t.Errorf("the keys are %q and %q", first, second)
	}
}
