package dossier

import (
	"testing"

	ev "strongroom.example/strongroom/internal/evidence"
)

// A statement about the recovery key is a barrier since version 3 of the rules: what stands on the policy as it was before is in the log before
// it. What was entered otherwise under an earlier version keeps its verdict.
func TestRecoveryIsABarrier(t *testing.T) {
	for version, want := range map[int64]struct {
		verdict Verdict
		reason  string
	}{2: {Verified, ""}, 3: {Refused, ev.ReasonStaleBasis}} {
		w, id := newShared(t)
		w.rules(version)
		w.enrol("trustee", ev.Trustee, false)
		w.files[id].envelopes["court"] = w.files[id].envelopes["custodian"] // what contents packs
		w.do(w.on(id, "custodian", ev.ItemOpened, &ev.ItemOpenedDetails{Envelope: ev.SHA256(w.files[id].envelopes["custodian"])}, func(e *ev.Event) { e.Purpose = ev.ForCare }))
		m := Manifest{Items: []ev.ItemID{id}, Nonce: courtNonce, Recipient: w.people["custodian"].fingerprint(), Vault: origin}
		files := w.contents(m)
		e := w.on(id, "custodian", ev.ItemExported, &ev.ItemExportedDetails{Form: "package", Nonce: courtNonce, Content: ContentDigest(Lists(files))})
		d := &ev.VaultRecoveredDetails{Recovery: ev.Fingerprint(nil, w.recovery.Recipient()), Items: []ev.ItemID{id}, Cause: ev.CauseLoss}
		w.do(w.event("trustee", ev.PolicyOf(origin), ev.VaultRecovered, d))
		w.force(e, nil)
		wanted(t, verify(t, w, w.finish(m, files, []ev.Stream{ev.ItemOf(id)}).write(t), &w.people["custodian"].age), want.verdict, CheckRules, want.reason)
	}
}
