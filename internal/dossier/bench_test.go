package dossier

import (
	"bytes"
	"crypto/ecdsa"
	"sync/atomic"
	"testing"

	"strongroom.example/strongroom/internal/custody"
	ev "strongroom.example/strongroom/internal/evidence"
)

// BenchmarkVerify is P6: a package of ten thousand events, beside as many plain P-256 verifications on the same cores. Receipts and
// statements are read by other packages; "read" is their share.
func BenchmarkVerify(b *testing.B) {
	const n = 10_000
	w := newWorld(b)
	id := w.deposit("opened often")
	w.seal(id, 1)
	w.grant = ev.NewID[ev.GrantID]()
	w.share(id)
	opened := &ev.ItemOpenedDetails{Envelope: ev.SHA256(w.files[id].envelopes["custodian"])}
	for len(w.logged) < n {
		w.do(w.on(id, "custodian", ev.ItemOpened, opened, func(e *ev.Event) { e.Purpose = ev.ForCare }))
	}
	s := w.pack(id)
	data := s.write(b)
	item := s.excerpt.Streams[0]
	b.Run("verify", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			if r, err := Verify(bytes.NewReader(data), int64(len(data)), Options{Trust: &w.trust}); err != nil || r.Verdict != Verified {
				b.Fatal(r.Verdict, err)
			}
		}
	})
	b.Run("read", func(b *testing.B) {
		for b.Loop() {
			parallel(int(item.Events), func(i int) {
				if _, _, _, err := open(must(item.Receipt(int64(i)))); err != nil {
					panic(err)
				}
			})
		}
	})
	b.Run("p256", func(b *testing.B) {
		signed := w.logged[w.events[ev.ItemOf(id)][1]].signed
		key, digest := must(custody.PublicKey(signed.SPKI())), signed.PAEDigest()
		for b.Loop() {
			var bad atomic.Int64
			parallel(n, func(int) {
				if !ecdsa.VerifyASN1(key, digest[:], signed.Signature()) {
					bad.Add(1)
				}
			})
			if bad.Load() > 0 {
				b.Fatal("signature")
			}
		}
	})
}
