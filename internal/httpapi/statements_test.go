package httpapi_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/custody"
	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/wire"
)

// signText signs a statement as it is written, whatever it says.
func (w *world) signText(by string, payload []byte) []byte {
	w.t.Helper()
	p := w.people[by]
	pae := fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(custody.PayloadType), custody.PayloadType, len(payload), payload)
	for {
		b64 := base64.StdEncoding.EncodeToString
		dsse := fmt.Appendf(nil, `{"payload":"%s","payloadType":"%s","signatures":[{"keyid":"%s","sig":"%s"}]}`,
			b64(payload), custody.PayloadType, custody.KeyID(p.key.SPKI()), b64(must(p.key.Sign(pae))))
		st, _ := custody.Open(dsse)
		if st == nil {
			return dsse // it is refused before anybody looks at the signature
		}
		if _, err := st.Verify(p.key.SPKI()); ev.ReasonOf(err) != "signature_high_s" {
			return dsse
		}
	}
}

// A signed event that stands on what is no more, says what this version does not know, or comes from a clock that is years off, is refused
// with its own reason, changes nothing in records and log, and keeps nobody from doing it right.
func TestRefusedStatements(t *testing.T) {
	w := newWorld(t)
	stream := ev.ActorOf(w.enrol("clinician", ev.Clinician).id)
	suspend := func() *custody.Signed {
		return w.sign("custodian", stream, ev.ActorSuspended, &ev.ActorSuspendedDetails{Cause: ev.CauseLoss, Until: ev.At(w.now().Add(time.Hour))})
	}
	late := suspend() // from before the policy's next step
	w.submit("administrator", w.sign("administrator", ev.PolicyOf(origin), ev.VaultIncident, &ev.VaultIncidentDetails{
		Code: "outage", Scope: "vault", From: ev.At(w.now().Add(-time.Hour))}), "")
	changed := func(change func(e *ev.Event)) []byte {
		e := *suspend().Event()
		e.ReliedOn = slices.Clone(e.ReliedOn)
		change(&e)
		p := w.people["custodian"]
		return must(custody.Sign(&e, p.key.SPKI(), p.key)).DSSE()
	}
	spelled := func(old, new string) []byte {
		text := suspend().Payload()
		if !bytes.Contains(text, []byte(old)) {
			t.Fatalf("no %s in the statement", old)
		}
		return w.signText("custodian", bytes.Replace(text, []byte(old), []byte(new), 1))
	}
	held := func() (int, ev.Tip) {
		return len(must(w.db.LogRange(t.Context(), 0, 1<<20))), must(w.db.States(t.Context(), stream))[stream].Tip()
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) { // all that there is is published: nothing follows by itself
		entries := must(w.db.LogRange(t.Context(), 0, 1<<20))
		if entries[len(entries)-1].Kind == ev.VaultHeads {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the heads are not published")
		}
	}
	size, tip := held()
	for name, c := range map[string]struct {
		dsse   []byte
		status int
		reason string
	}{
		"stale relied_on":              {late.DSSE(), 409, ev.ReasonStaleBasis},
		"another head in relied_on":    {changed(func(e *ev.Event) { e.ReliedOn[0].Head[0] ^= 1 }), 409, ev.ReasonStaleBasis},
		"a stream left out":            {changed(func(e *ev.Event) { e.ReliedOn = e.ReliedOn[:1] }), 409, ev.ReasonMissingBasis},
		"a stream too many":            {changed(func(e *ev.Event) { e.ReliedOn = append(e.ReliedOn, w.head(ev.VaultOf(origin))) }), 422, ev.ReasonSuperfluousBasis},
		"stale prev":                   {changed(func(e *ev.Event) { e.Stream.Prev[0] ^= 1 }), 409, ev.ReasonPosition},
		"a place that is taken":        {changed(func(e *ev.Event) { e.Stream.Seq-- }), 409, ev.ReasonPosition},
		"a place too far":              {changed(func(e *ev.Event) { e.Stream.Seq++ }), 409, ev.ReasonPosition},
		"a clock years ahead":          {changed(func(e *ev.Event) { e.Time = ev.At(w.now().AddDate(3, 0, 0)) }), 422, ev.ReasonClock},
		"a clock years behind":         {changed(func(e *ev.Event) { e.Time = ev.At(w.now().AddDate(-3, 0, 0)) }), 422, ev.ReasonClock},
		"an unknown field":             {spelled(`"vault":`, `"uncertainty":"low","vault":`), 501, ev.ReasonField},
		"an unknown field of the kind": {spelled(`"until":`, `"sure":true,"until":`), 501, ev.ReasonField},
		"an unknown kind":              {spelled(`"actor.suspended"`, `"actor.suspected"`), 501, ev.ReasonKind},
		"an unknown code":              {spelled(`"cause":"loss"`, `"cause":"mood"`), 501, ev.ReasonCode},
		"a field left out":             {spelled(`"cause":"loss",`, ``), 422, "statement"},
		"a space":                      {spelled(`"vault":`, `"vault": `), 422, "canonical"},
		"more than a statement holds":  {spelled(`"vault":`, `"vast":"`+strings.Repeat("a", ev.MaxStatement)+`","vault":`), 422, "size"},
		"a role that is another's":     {changed(func(e *ev.Event) { e.Actor.Role = ev.Administrator }), 403, ev.ReasonSignerRole},
	} {
		resp, body := w.request("custodian", "POST", "/v1/events", wire.Submission{DSSE: c.dsse})
		if resp.StatusCode != c.status || reason(t, body) != c.reason {
			t.Errorf("%s: %d %s, want %d %s", name, resp.StatusCode, body, c.status, c.reason)
		}
		if n, now := held(); n != size || now != tip {
			t.Fatalf("%s changed something: %d entries, %d before; %+v, %+v before", name, n, size, now, tip)
		}
	}
	w.submit("custodian", suspend(), "")
	if n, now := held(); n <= size || now.Seq != tip.Seq+1 {
		t.Error("what is right was not entered")
	}
}

// Keys of another kind than the vault's people have answer no invitation.
func TestKeysOfAnotherKind(t *testing.T) {
	w := newWorld(t)
	p := w.meet("court", ev.Court)
	made := call[wire.NewInvitation](w, "custodian", "POST", "/v1/invitations", wire.InvitationRequest{Role: wire.Role(ev.Court), Organization: string(p.org)}, 201)
	spki := func(public any) string {
		return base64.StdEncoding.EncodeToString(must(x509.MarshalPKIXPublicKey(public)))
	}
	p384 := must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	edwards, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := wire.InvitationAnswer{Secret: made.Secret, Key: base64.StdEncoding.EncodeToString(p.key.SPKI()), Recipient: p.recipient()}
	for name, c := range map[string]struct {
		change func(a *wire.InvitationAnswer)
		status int
		reason string
	}{
		"P-384":         {func(a *wire.InvitationAnswer) { a.Key = spki(&p384.PublicKey) }, 400, "contract"},
		"Ed25519":       {func(a *wire.InvitationAnswer) { a.Key = spki(edwards) }, 400, "contract"},
		"off the curve": {func(a *wire.InvitationAnswer) { a.Key = a.Key[:len(a.Key)-4] + "AA==" }, 422, "key"},
		"X25519": {func(a *wire.InvitationAnswer) {
			a.Recipient = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
		}, 400, "contract"},
		"a recipient cut short": {func(a *wire.InvitationAnswer) { a.Recipient = a.Recipient[:1958] }, 422, ev.ReasonKeys},
		"no recipient":          {func(a *wire.InvitationAnswer) { a.Recipient = "" }, 422, ev.ReasonKeys},
	} {
		a := good
		c.change(&a)
		possession := custody.Possession{Vault: origin, Actor: ev.ActorID(made.Invitation.Actor), Fingerprint: ev.Fingerprint(p.key.SPKI(), a.Recipient),
			Invitation: must(ev.ParseHash(made.Invitation.Digest))}
		_, proof, err := custody.OpenPossession(must(possession.Sign(p.key.SPKI(), p.key)))
		a.Possession = base64.StdEncoding.EncodeToString(must(proof, err).DER)
		if resp, body := w.request("", "POST", "/v1/invitations/answer", a); resp.StatusCode != c.status || reason(t, body) != c.reason {
			t.Errorf("%s: %d %s, want %d %s", name, resp.StatusCode, body, c.status, c.reason)
		}
	}
	other := good // with the proof of another actor's
	proof, err := custody.Possession{Vault: origin, Actor: p.id, Fingerprint: p.fingerprint(), Invitation: must(ev.ParseHash(made.Invitation.Digest))}.Sign(p.key.SPKI(), p.key)
	_, signature, err := custody.OpenPossession(must(proof, err))
	other.Possession = base64.StdEncoding.EncodeToString(must(signature, err).DER)
	if resp, body := w.request("", "POST", "/v1/invitations/answer", other); resp.StatusCode != 422 || reason(t, body) != ev.ReasonPossession {
		t.Errorf("another's possession: %d %s", resp.StatusCode, body)
	}
	listed := call[wire.InvitationList](w, "custodian", "GET", "/v1/invitations", nil, 200)
	if len(listed.Invitations) != 1 || listed.Invitations[0].Keys != nil {
		t.Errorf("an answer was kept: %+v", listed.Invitations)
	}
}

func (w *world) head(s ev.Stream) ev.Head {
	tip := must(w.db.States(w.t.Context(), s))[s].Tip()
	return ev.Head{Type: s.Type, ID: s.ID, Seq: tip.Seq, Head: tip.Leaf}
}
