package evidence

import "testing"

// A founder may enrol as a vault once more; only the one that began the policy ever acts as this vault.
func TestSecondVault(t *testing.T) {
	w, id, g := newShared(t)
	w.enrol("vault 2", Vault, true)
	w.now = w.now.Add(30 * day)
	for _, e := range []*Event{
		w.event("vault 2", VaultOf(origin), VaultHeads, &VaultHeadsDetails{4, 4, nil, w.unique()}),
		w.event("vault 2", PolicyOf(origin), VaultConfigured, w.configuration()),
		w.verify(id, "vault 2", "ciphertext", Success),
		w.on(id, "vault 2", GrantExpired, &GrantExpiredDetails{g}),
		w.on(id, "vault 2", ItemEnvelopeRemoved, &ItemEnvelopeRemovedDetails{w.p("court").fingerprint(), CauseExpiry, w.now.Add(day)}),
	} {
		w.refuse(e, Forbidden, ReasonOtherVaultKey)
	}
	d := w.configuration()
	d.Version = "1.0.1"
	w.do(w.event("administrator", PolicyOf(origin), VaultConfigured, d))
	w.do(w.event("vault", VaultOf(origin), VaultHeads, &VaultHeadsDetails{4, 4, nil, w.unique()}))
}
