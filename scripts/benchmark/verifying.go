package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"fmt"
	"sync/atomic"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/dossier"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
)

// verifying is P6.
func verifying(ctx context.Context, b *bench) result {
	n := 10_000
	if b.quick {
		n = 1000
	}
	w := newWorld(ctx, b.dir)
	defer w.remove()
	in := w.openCase(ctx)
	id := w.deposit(ctx, in, w.consent(ctx, in), 1000)
	chain := w.chainOn(ctx, id)
	var last *custody.Signed
	for range n {
		last = chain.access()
		must(w.ledger.Accept(ctx, ledger.Commit{Signed: last}, w.ledger.Judge(last)))
	}
	must(w.ledger.Await(ctx, last.LeafHash()))
	var file bytes.Buffer
	must(w.custodian.Export(ctx, client.Export{Item: id, Purpose: evidence.ForInvestigation}, &file))

	ours := contestant{"dossier.Verify, opened with the identity", func() float64 {
		return float64(n) / timed(func() {
			o := dossier.Options{Trust: &w.trust, Identity: &w.custodian.identity}
			report := must(dossier.Verify(bytes.NewReader(file.Bytes()), int64(file.Len()), o))
			if report.Verdict != dossier.Verified {
				check(fmt.Errorf("the package is %s", report.Verdict))
			}
		}).Seconds()
	}}
	limit := contestant{"limit: as many plain P-256 verifications", func() float64 {
		key, digest := must(custody.PublicKey(last.SPKI())), last.PAEDigest()
		return float64(n) / timed(func() {
			var bad atomic.Int64
			parallel(n, func(int) {
				if !ecdsa.VerifyASN1(key, digest[:], last.Signature()) {
					bad.Add(1)
				}
			})
			if bad.Load() > 0 {
				check(fmt.Errorf("a signature does not verify"))
			}
		}).Seconds()
	}}
	m := interleave(b.rounds, ours, limit)
	r := result{ID: "P6", Title: fmt.Sprintf("verify a package of %d events (%d MiB)", n, file.Len()/mib)}
	r.measure(ours.name, m[0], "events/s")
	r.measure(limit.name, m[1], "events/s")
	r.atMost("times the limit's time", m[1]/m[0], 1.5)
	return r
}
