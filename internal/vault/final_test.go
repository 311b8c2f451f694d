package vault_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/omniwitness"
	"strongroom.example/strongroom/internal/tlog"
)

// watch has the vault's log watched by two real witnesses, who must both cosign. They know the log by its ECDSA key, and do not run yet.
func (w *world) watch() (tlog.Policy, func(i int)) {
	w.t.Helper()
	program, err := omniwitness.Find()
	if err != nil {
		w.t.Fatal(err)
	}
	var list []*omniwitness.Witness
	policy := ""
	for _, name := range []string{"a.witness.example", "b.witness.example"} {
		one := must(omniwitness.New(program, filepath.Join(w.t.TempDir(), name), name, omniwitness.Ed25519))
		list, policy = append(list, one), policy+one.Line()
	}
	parts := tlog.TrustParts{
		Vault: origin, WitnessPolicy: policy + "group both all a.witness.example b.witness.example\nquorum both\n",
		Logs: []tlog.Log{{Key: must(x509.ParsePKIXPublicKey(w.logKey.SPKI())).(*ecdsa.PublicKey), Valid: tlog.Valid{Start: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)}}},
	}
	for _, name := range []string{"vault", "administrator", "custodian"} {
		p := w.people[name]
		parts.Founders = append(parts.Founders, tlog.Founder{Actor: string(p.id), Key: p.key.SPKI(), Role: string(p.role)})
	}
	trust := must(tlog.NewTrust(parts))
	w.watched = func(c *ledger.Config) { c.Trust, c.Keys = trust, trust.LogKeys() }
	id := sha256.Sum256(w.logKey.SPKI())
	key := fmt.Sprintf("%s+%x+%s", origin, id[:4], base64.StdEncoding.EncodeToString(append([]byte{2}, w.logKey.SPKI()...)))
	return trust.Policy(), func(i int) {
		if err := list[i].Run(ctx(), origin, key); err != nil {
			w.t.Fatal(err)
		}
		w.t.Cleanup(list[i].Kill)
	}
}

// While a witness is down, keyholders are served as ever, and a court waits: its access is accepted and logged, and nothing is released
// against it before its receipt is final.
func TestCourtWaits(t *testing.T) {
	w := newWorld(t)
	c := w.consented()
	policy, run := w.watch()
	run(0)
	w.restart()
	if w.people["court"] == nil {
		w.enrol("court", ev.Court)
	}
	g := w.grant(c, "court", time.Hour)
	o := w.open("custodian", c.item.id)
	if o.Opening == nil {
		t.Fatal("a keyholder is not served")
	}
	allServed(t, w.fetch(w.people["custodian"].caller(), o.LeafHash, c.item.id))

	court, stream := w.people["court"].caller(), ev.ItemOf(c.item.id)
	ref, _ := w.itemState(c.item.id).Envelope(w.people["court"].fingerprint())
	signed := w.sign("court", stream, ev.GrantRedeemed, &ev.GrantRedeemedDetails{Grant: g, Action: ev.Download, Envelope: ref.SHA256})
	nothing := func() {
		t.Helper()
		_, opening := w.Vault.Open(ctx(), court, signed.LeafHash())
		refused(t, opening, ev.Pending, "not_final")
		allRefused(t, w.fetch(court, signed.LeafHash(), c.item.id), ev.NotFound)
	}
	for range 2 { // submitted, and submitted again
		o, err := w.try("court", signed, "")
		if err != nil || o.Receipt != nil || o.Opening != nil || o.LeafHash != signed.LeafHash() {
			t.Fatalf("a redemption that is not final: a receipt of %d bytes, an opening %t, %v", len(o.Receipt), o.Opening != nil, err)
		}
		nothing()
	}
	if o, err := w.Outcome(ctx(), court, signed.LeafHash()); err != nil || o.Receipt != nil || o.Opening != nil {
		t.Fatalf("its outcome: a receipt of %d bytes, an opening %t, %v", len(o.Receipt), o.Opening != nil, err)
	}
	if n := len(w.itemState(c.item.id).Grant(g).Redeemed); n != 1 {
		t.Errorf("it was accepted %d times", n)
	}
	if e := must(w.db.Entry(ctx(), signed.LeafHash())); !e.Included() {
		t.Error("it is not in the log")
	}
	_, err := w.Stream(ctx(), court, stream, -1, 100, true)
	refused(t, err, ev.Pending, "not_final")
	short, cancel := context.WithTimeout(ctx(), time.Second)
	defer cancel()
	_, err = w.Vault.Complete(short, court, []ev.Stream{stream}, 0, true)
	if ev.KindOf(err) != ev.Pending {
		t.Errorf("completeness: %v", err)
	}
	w.restart()
	nothing()

	run(1)
	if _, err := w.ledger.AwaitFinal(ctx(), signed.LeafHash()); err != nil {
		t.Fatal(err)
	}
	o, err = w.Outcome(ctx(), court, signed.LeafHash())
	if err != nil || o.Receipt == nil || o.Opening == nil {
		t.Fatalf("its outcome once it is final: %v", err)
	}
	allServed(t, w.fetch(court, signed.LeafHash(), c.item.id))
	cosigned := func(receipt []byte) {
		t.Helper()
		r := must(tlog.ParseReceipt(receipt))
		if c, err := policy.Cosigned(r.Checkpoint()); err != nil || !c.Quorum {
			t.Errorf("a final receipt is cosigned by %d: %v", len(c.By), err)
		}
	}
	cosigned(o.Receipt)
	for _, shown := range must(w.Stream(ctx(), court, stream, -1, 100, true)) {
		cosigned(shown.Receipt)
	}
	complete, err := w.Vault.Complete(ctx(), court, []ev.Stream{stream}, 0, true)
	if err != nil {
		t.Fatal(err)
	}
	cosigned(complete.Heads)
}
