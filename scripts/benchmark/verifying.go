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
	"strongroom.example/strongroom/internal/tlog"
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
	signatures := n + w.checkpointsOf(ctx, chain.stream)
	plain := func(times int) func() float64 {
		key, digest := must(custody.PublicKey(last.SPKI())), last.PAEDigest()
		return func() float64 {
			return float64(n) / timed(func() {
				var bad atomic.Int64
				parallel(times, func(int) {
					if !ecdsa.VerifyASN1(key, digest[:], last.Signature()) {
						bad.Add(1)
					}
				})
				if bad.Load() > 0 {
					check(fmt.Errorf("a signature does not verify"))
				}
			}).Seconds()
		}
	}
	limit := contestant{"limit: as many plain P-256 verifications", plain(n)}
	all := contestant{fmt.Sprintf("the same for all %d signatures, of events and of their checkpoints", signatures), plain(signatures)}
	m := interleave(b.rounds, ours, limit, all)
	r := result{ID: "P6", Title: fmt.Sprintf("verify a package of %d events (%d MiB)", n, file.Len()/mib)}
	r.measure(ours.name, m[0], "events/s")
	r.measure(limit.name, m[1], "events/s")
	r.measure(all.name, m[2], "events/s")
	r.atMost("times the limit's time", m[1]/m[0], 1.5)
	r.atMost("times that of all signatures", m[2]/m[0], 1.5)
	return r
}

// checkpointsOf counts the checkpoints in the receipts of a stream. Events that stand on each other never share one.
func (w *world) checkpointsOf(ctx context.Context, s evidence.Stream) int {
	distinct := make(map[string]bool)
	for after := int64(-1); ; {
		page := must(w.db.Stream(ctx, s, after, 1000))
		if len(page) == 0 {
			return len(distinct)
		}
		for _, e := range page {
			distinct[string(must(tlog.ParseReceipt(e.Receipt)).Checkpoint())] = true
			after = e.Seq
		}
	}
}
