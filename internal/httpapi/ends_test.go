package httpapi_test

import (
	"bytes"
	"encoding/base64"
	"io"
	"net/http"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/custody"
	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/sealing"
	"strongroom.example/strongroom/internal/wire"
)

// ends is each way in which the clinician's sessions end. Who does it has a session before the time comes.
var ends = map[string]func(w *world){
	"it expires": func(w *world) { w.drift.Add(int64(30 * time.Minute)) },
	"the person signs out": func(w *world) {
		p := w.people["clinician"]
		call[struct{}](w, p.token, "DELETE", "/v1/session", nil, 204)
	},
	"the person is suspended": func(w *world) {
		until := ev.At(w.now().Add(time.Hour))
		w.submit("custodian", w.sign("custodian", ev.ActorOf(w.people["clinician"].id), ev.ActorSuspended, &ev.ActorSuspendedDetails{Cause: ev.CauseLoss, Until: until}), "")
	},
	"the person is revoked": func(w *world) {
		w.submit("custodian", w.sign("custodian", ev.ActorOf(w.people["clinician"].id), ev.ActorRevoked, &ev.ActorRevokedDetails{Cause: ev.CauseLoss}), "")
	},
	"the key is replaced": func(w *world) { w.rotate("clinician") },
	"the new key counts": func(w *world) { // the person is active again: only the key is another
		renewed := w.rotate("clinician")
		w.submit("custodian", w.sign("custodian", ev.ActorOf(renewed.id), ev.ActorConfirmed, &ev.ActorConfirmedDetails{Fingerprint: renewed.fingerprint(), Method: ev.ByPhone}), "")
	},
}

// rotate gives a person new keys, as administrator and custodian do it.
func (w *world) rotate(name string) *person {
	w.t.Helper()
	p := w.people[name]
	made := call[wire.NewInvitation](w, "administrator", "POST", "/v1/invitations", wire.InvitationRequest{Rotation: string(p.id)}, 201)
	renewed := &person{id: p.id, role: p.role, org: p.org, key: must(custody.GenerateKey()), identity: must(sealing.NewIdentity())}
	digest := must(ev.ParseHash(made.Invitation.Digest))
	possession := custody.Possession{Vault: origin, Actor: p.id, Fingerprint: renewed.fingerprint(), Invitation: digest}
	_, proof, err := custody.OpenPossession(must(possession.Sign(renewed.key.SPKI(), renewed.key)))
	if err != nil {
		w.t.Fatal(err)
	}
	keys := ev.Keys{Key: base64.StdEncoding.EncodeToString(renewed.key.SPKI()), Recipient: renewed.recipient(),
		Possession: base64.StdEncoding.EncodeToString(proof.DER), Invitation: digest}
	call[wire.Answered](w, "", "POST", "/v1/invitations/answer",
		wire.InvitationAnswer{Secret: made.Secret, Key: keys.Key, Recipient: keys.Recipient, Possession: keys.Possession}, 200)
	w.submit("administrator", w.sign("administrator", ev.ActorOf(p.id), ev.ActorKeyRotated, &ev.ActorKeyRotatedDetails{Keys: keys, Cause: ev.CauseLoss}), "")
	return renewed
}

// direct is a client that does not wait for the whole of an answer.
func (w *world) direct(by, method, path string, body io.Reader, set ...func(*http.Request)) (*http.Response, error) {
	w.t.Helper()
	req := must(http.NewRequest(method, w.server.URL+path, body))
	req.Header.Set("Authorization", "Bearer "+w.token(by))
	for _, f := range set {
		f(req)
	}
	way := &http.Transport{}
	w.t.Cleanup(way.CloseIdleConnections)
	return way.RoundTrip(req)
}

// However a session ends, it ends at once and for everything: the next request, an upload under way, a release under way.
func TestSessionsEnd(t *testing.T) {
	file := bytes.Repeat([]byte("as large as no buffer on the way is. "), 450_000) // 16 MB
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			in := w.openCase()
			it := w.deposit(in, file)
			evidence := "/v1/events/" + w.open("clinician", in, it).LeafHash + "/evidence"
			w.token("administrator")
			w.token("custodian")

			id := w.createUpload("clinician", len(file))
			source, feed := io.Pipe()
			defer feed.Close()
			type result struct {
				resp *http.Response
				err  error
			}
			uploaded := make(chan result, 1)
			w.token("clinician")
			go func() {
				resp, err := w.direct("clinician", "PATCH", "/v1/uploads/"+string(id), source, tus("Upload-Offset", "0", "Content-Type", "application/offset+octet-stream"),
					func(r *http.Request) { r.ContentLength = int64(len(file)) })
				uploaded <- result{resp, err}
			}()
			must(feed.Write(file[:1<<20]))
			download := must(w.direct("clinician", "GET", evidence, nil))
			defer download.Body.Close()
			must(io.ReadFull(download.Body, make([]byte, 64<<10)))

			old := w.people["clinician"].token
			end(w)
			w.drift.Add(int64(11 * time.Second)) // an upload or a download is asked again every ten

			for _, path := range []string{"/v1/session", "/v1/cases", evidence} {
				if resp, body := w.request(old, "GET", path, nil); resp.StatusCode != 401 || reason(t, body) != "session" {
					t.Errorf("%s: %d %s", path, resp.StatusCode, body)
				}
			}
			rest, err := io.Copy(io.Discard, download.Body)
			if err == nil || rest > int64(len(file))/2 {
				t.Errorf("the download went on for %d bytes: %v", rest, err)
			}
			feed.Write(file[1<<20:]) // fails as soon as nobody reads
			if r := <-uploaded; r.err == nil {
				body := must(io.ReadAll(r.resp.Body))
				if r.resp.StatusCode != 401 || reason(t, body) != "session" {
					t.Errorf("the upload: %d %s", r.resp.StatusCode, body)
				}
			}
			stage := must(w.store.StageInfo(t.Context(), string(id)))
			if stage.Offset > int64(len(file))/2 {
				t.Errorf("the upload went on to byte %d", stage.Offset)
			}
		})
	}
}

// The right to a file that ends while the file is being sent ends the sending, though the session stands.
func TestReleaseEndsUnderWay(t *testing.T) {
	w := newWorld(t)
	in := w.openCase()
	it := w.deposit(in, bytes.Repeat([]byte("as large as no buffer on the way is. "), 450_000))
	evidence := "/v1/events/" + w.open("custodian", in, it).LeafHash + "/evidence"
	download := must(w.direct("custodian", "GET", evidence, nil))
	defer download.Body.Close()
	must(io.ReadFull(download.Body, make([]byte, 64<<10)))
	found := w.sign("clinician", ev.ItemOf(it.id), ev.ItemVerified, &ev.ItemVerifiedDetails{Scope: "ciphertext", Evidence: ev.SHA256([]byte("other"))},
		func(e *ev.Event) { e.Case, e.Result = in, &ev.Result{Outcome: ev.Failure} })
	w.submit("clinician", found, "")
	w.drift.Add(int64(11 * time.Second))
	if rest, err := io.Copy(io.Discard, download.Body); err == nil || rest > int64(len(it.ciphertext))/2 {
		t.Errorf("the download went on for %d bytes: %v", rest, err)
	}
	if resp, body := w.request("custodian", "GET", evidence, nil); resp.StatusCode != 423 || reason(t, body) != ev.ReasonDamaged {
		t.Errorf("afterwards: %d %s", resp.StatusCode, body)
	}
}

// A release's own end bounds when a request may begin: a slow line gets the whole of what it began in time.
func TestReleaseExpiresUnderWay(t *testing.T) {
	w := newWorld(t)
	in := w.openCase()
	it := w.deposit(in, bytes.Repeat([]byte("as large as no buffer on the way is. "), 450_000))
	download := must(w.direct("custodian", "GET", "/v1/events/"+w.open("custodian", in, it).LeafHash+"/evidence", nil))
	defer download.Body.Close()
	first := make([]byte, 64<<10)
	must(io.ReadFull(download.Body, first))
	w.drift.Add(int64(16 * time.Minute))
	if rest, err := io.ReadAll(download.Body); err != nil || !bytes.Equal(append(first, rest...), it.ciphertext) {
		t.Errorf("%d bytes: %v", len(first)+len(rest), err)
	}
}
