package daemon

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"syscall"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/custody"
	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/vault"
	"strongroom.example/strongroom/internal/wire"
)

// enrol brings somebody in as a clinician, the way people come in.
func (c cast) enrol(t *testing.T, p *parts) *person {
	t.Helper()
	who := newPerson(ev.Clinician)
	secret, made, err := p.vault.Invite(t.Context(), c.Administrator.caller(), vault.Offer{Role: who.Role, Organization: who.Org})
	if err != nil {
		t.Fatal(err)
	}
	who.ID = made.Actor
	possession := custody.Possession{Vault: p.settings.Origin, Actor: who.ID, Fingerprint: who.fingerprint(), Invitation: made.Digest}
	_, proof, err := custody.OpenPossession(must(possession.Sign(who.key.SPKI(), who.key)))
	if err != nil {
		t.Fatal(err)
	}
	keys := ev.Keys{
		Key: base64.StdEncoding.EncodeToString(who.key.SPKI()), Recipient: who.Recipient,
		Possession: base64.StdEncoding.EncodeToString(proof.DER), Invitation: made.Digest,
	}
	must(p.vault.AnswerInvitation(t.Context(), secret, keys))
	stream := ev.ActorOf(who.ID)
	must(c.Administrator.submit(p, c.Administrator.sign(p, stream, ev.ActorEnrolled, &ev.ActorEnrolledDetails{Keys: keys, Role: who.Role, Organization: who.Org}), ""))
	must(c.A.submit(p, c.A.sign(p, stream, ev.ActorConfirmed, &ev.ActorConfirmedDetails{Fingerprint: who.fingerprint(), Method: ev.ByPhone}), ""))
	return who
}

// consent has a clinician of the case write down what a form says.
func (c cast) consent(t *testing.T, p *parts, by *person, in ev.CaseID) ev.Stream {
	t.Helper()
	form, _, err := c.deposit(p, in, 1000)
	if err != nil {
		t.Fatal(err)
	}
	stream, now := ev.ConsentOf(ev.NewID[ev.ConsentID]()), time.Now()
	d := &ev.ConsentGivenDetails{Version: 1, From: ev.At(now.Add(-time.Hour)), Until: ev.At(now.Add(time.Hour)), By: "self", Form: form, Answers: ev.Answers{
		Examination: ev.Yes, Photographs: ev.Yes, Storage: ev.Yes, PoliceInformation: ev.No, PolicePhotographs: ev.No, PolicePhysical: ev.No, Research: ev.No,
	}}
	must(by.submit(p, by.sign(p, stream, ev.ConsentGiven, d, func(e *ev.Event) { e.Case = in }), ""))
	return stream
}

// post sends a request as a client does, and reads what is answered.
func (s *serving) post(t *testing.T, path, token string, body, answer any) int {
	t.Helper()
	req := must(http.NewRequestWithContext(t.Context(), "POST", s.url+path, bytes.NewReader(must(json.Marshal(body)))))
	if req.Header.Set("Content-Type", "application/json"); token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if body == nil {
		req.Body, req.ContentLength = nil, 0
		req.Header.Del("Content-Type")
	}
	resp, err := s.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(answer); err != nil {
		t.Fatalf("%s: %d, %v", path, resp.StatusCode, err)
	}
	return resp.StatusCode
}

func (s *serving) signIn(t *testing.T, who *person) (token string) {
	t.Helper()
	var c wire.Challenge
	if code := s.post(t, "/v1/sign-in/challenges", "", nil, &c); code != 201 {
		t.Fatalf("a challenge: %d", code)
	}
	m := custody.SignIn{Vault: s.d.Origin(), Actor: who.ID, Nonce: c.Nonce, Time: ev.At(time.Now())}
	var in wire.SignedIn
	if code := s.post(t, "/v1/sign-in", "", wire.SignInRequest{DSSE: must(m.Sign(who.key.SPKI(), who.key))}, &in); code != 201 {
		t.Fatalf("signing in: %d", code)
	}
	return in.Token
}

// A bucket that is down or hangs, and a log that does, turn nobody away: each is named, whoever balances is answered in time, and people sign
// in and withdraw. A withdrawal counts from then on; its receipt comes once the log is back. A deposit is refused, and works afterwards.
func TestDegraded(t *testing.T) {
	e, bucket := someEngines(t), bucketServer(t)
	dir, o, c := elsewhere(t, e, objectsConfig(bucket, "evidence"))
	s := serve(t, dir, o)
	p := s.d.parts
	well := wire.Dependencies{Records: wire.DependencyOk, Log: wire.DependencyOk, Objects: wire.DependencyOk}
	s.is(t, 200, well)
	clinician := c.enrol(t, p)
	c.C, c.Third = clinician, true
	in, _, err := c.openCase(p)
	if err != nil {
		t.Fatal(err)
	}
	var consents []ev.Stream
	for range 4 {
		consents = append(consents, c.consent(t, p, clinician, in))
	}

	// withdraws has the clinician sign in and withdraw the next consent, and demands the answer and that it counts.
	withdraws := func(what string, code int) (leaf string) {
		t.Helper()
		stream := consents[0]
		consents = consents[1:]
		signed := clinician.sign(p, stream, ev.ConsentWithdrawn, &ev.ConsentWithdrawnDetails{Number: "1234-5678"}, func(e *ev.Event) { e.Case = in })
		var answer wire.Included
		if got := s.post(t, "/v1/events", s.signIn(t, clinician), wire.Submission{DSSE: signed.DSSE()}, &answer); got != code || (len(answer.Receipt) > 0) != (code == 201) {
			t.Errorf("%s: a withdrawal is answered with %d", what, got)
		}
		if state, ok := must(p.records.States(t.Context(), stream))[stream].(*ev.ConsentState); !ok || state.Withdrawn == 0 {
			t.Errorf("%s: the withdrawal does not count", what)
		}
		return answer.LeafHash
	}
	degraded := func(what string, on wire.Dependencies) {
		t.Helper()
		until(t, what, func() bool {
			asked := time.Now()
			h, code := s.health()
			if took := time.Since(asked); code != 200 || took > 2*time.Second {
				t.Fatalf("%s: %d after %v", what, code, took)
			}
			return h.Status == wire.HealthStatusDegraded && *h.Dependencies == on
		})
	}

	without := well
	without.Objects = wire.DependencyDown
	must(0, bucket.Process().Signal(syscall.SIGSTOP))
	degraded("the bucket hangs", without)
	withdraws("the bucket hangs", 201)
	bucket.Kill()
	degraded("the bucket is down", without)
	withdraws("the bucket is down", 201)
	if _, _, err := c.deposit(p, in, 1000); ev.KindOf(err) != ev.Pending || ev.ReasonOf(err) != "store_unreachable" { // what clients send again
		t.Errorf("a deposit without the bucket: %v", err)
	}
	must(0, bucket.Run(t.Context()))
	s.is(t, 200, well)
	if _, _, err := c.deposit(p, in, 1000); err != nil {
		t.Errorf("a deposit when the bucket is back: %v", err)
	}

	without = well
	without.Log = wire.DependencyDown
	must(0, e.log.Server.Process().Signal(syscall.SIGSTOP))
	degraded("the log hangs", without)
	waiting := []string{withdraws("the log hangs", 202)}
	must(0, e.log.Server.Process().Signal(syscall.SIGCONT))
	e.log.Server.Kill()
	degraded("the log is down", without)
	waiting = append(waiting, withdraws("the log is down", 202))
	must(0, e.log.Server.Run(t.Context()))
	s.is(t, 200, well)
	for _, leaf := range waiting {
		until(t, "the receipt of a withdrawal", func() bool {
			entry, err := p.records.Entry(t.Context(), must(ev.ParseHash(leaf)))
			return err == nil && entry.Included()
		})
	}
	s.close(t)
	clean(t, dir, o)
}
