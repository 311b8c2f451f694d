package httpapi_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/auth"
	"strongroom.example/strongroom/internal/custody"
	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/httpapi"
	"strongroom.example/strongroom/internal/wire"
)

// whole is all of an answer that could tell one cause from another: everything but the request's number and the hour.
func whole(resp *http.Response, body []byte) string {
	h := resp.Header.Clone()
	h.Del("X-Request-Id")
	h.Del("Date")
	var text bytes.Buffer
	fmt.Fprintln(&text, resp.Proto, resp.Status, resp.ContentLength, resp.Close)
	must(0, h.Write(&text))
	return text.String() + string(body)
}

// Outside the wall: for every operation that names a thing, what does not exist and what belongs to others have one answer, in status, in
// every header, in every byte. An operation that names something new fails here until it has a row.
func TestWholeAnswersOutside(t *testing.T) {
	w := newWorld(t)
	in := w.openCase()
	it := w.deposit(in, []byte("words"))
	opened := w.open("custodian", in, it)
	upload := w.createUpload("clinician", 10)
	consent := ev.NewID[ev.ConsentID]()
	w.submit("clinician", w.sign("clinician", ev.ConsentOf(consent), ev.ConsentGiven, &ev.ConsentGivenDetails{
		Version: 1, From: ev.At(w.now()), Until: ev.At(w.now().Add(time.Hour)), By: "self", Form: it.id,
		Answers: ev.Answers{Examination: ev.No, Photographs: ev.No, Storage: ev.Yes, PoliceInformation: ev.No, PolicePhotographs: ev.No, PolicePhysical: ev.No, Research: ev.No},
	}, func(e *ev.Event) { e.Case = in }), "")
	outsiders := []string{"investigator", "auditor", "survivor", "court", "administrator"}
	for _, name := range outsiders {
		w.enrol(name, everybody[name])
	}
	w.enrol("defence", ev.Defence)

	real := map[string][]string{
		"{leaf_hash}": {it.event.String(), opened.LeafHash}, "{digest}": {it.label.String()}, "{case}": {string(in)}, "{consent}": {string(consent)}, "{upload}": {string(upload)},
	}
	streams := []wire.Stream{{Type: "case", ID: string(in)}, {Type: "item", ID: string(it.id)}}
	// pairs are requests for things that exist; each is compared with the contract's route, which is for nothing that does.
	pairs := map[auth.Action][]route{}
	for _, r := range contractRoutes(t) {
		template := specificationPath(r.action)
		paths := []string{template}
		for name, values := range real {
			if !strings.Contains(template, name) {
				continue
			}
			var next []string
			for _, p := range paths {
				for _, v := range values {
					next = append(next, strings.ReplaceAll(p, name, v))
				}
			}
			paths = next
		}
		if r.action == "listEvents" {
			paths = nil
			for _, s := range streams {
				paths = append(paths, "/v1/streams/"+string(s.Type)+"/"+s.ID+"/events")
			}
		}
		if r.action == "getAttachment" {
			for _, p := range slices.Clone(paths) {
				paths = append(paths, p+"?access="+opened.LeafHash)
			}
		}
		for _, p := range paths {
			if p != template {
				there := r
				there.path = p
				pairs[r.action] = append(pairs[r.action], there)
			}
		}
		if strings.Contains(template, "{") && !r.public && len(pairs[r.action]) == 0 {
			t.Errorf("%s names something, and nothing is known that exists", r.action)
		}
		if r.action == "proveComplete" {
			for _, s := range streams {
				there := r
				there.body = wire.CompleteRequest{Streams: []wire.Stream{s}}
				pairs[r.action] = append(pairs[r.action], there)
			}
		}
	}
	compared := 0
	for _, r := range contractRoutes(t) {
		for _, there := range pairs[r.action] {
			for _, by := range append(outsiders, "", strings.Repeat("A", 43)) {
				if by == "auditor" && (r.action == "listEvents" || r.action == "proveComplete") {
					continue // nobody's lines can be hidden from an auditor: inside this wall
				}
				absent, hidden := whole(w.ask(by, r)), whole(w.ask(by, there))
				if absent != hidden {
					t.Errorf("%s as %s:\n%s\n%s\n%s", r.action, by, there.path, absent, hidden)
				}
				if p := w.people[by]; p != nil && auth.Allowed(p.role, r.action) && !strings.Contains(hidden, " 404 ") {
					t.Errorf("%s as %s: %s", r.action, by, hidden)
				}
				compared++
			}
		}
	}
	if compared < 100 {
		t.Errorf("only %d pairs were compared", compared)
	}
}

// specificationPath is an operation's path with its parameters' names.
func specificationPath(a auth.Action) string {
	for path, item := range specification().Paths.Map() {
		for _, o := range item.Operations() {
			if auth.Action(o.OperationID) == a {
				return path
			}
		}
	}
	panic("no operation " + a)
}

// Who is not in a case, but knows everything about it, learns nothing from submitting events: what stands on the case is answered like what
// stands on no case at all.
func TestSubmitOutside(t *testing.T) {
	w := newWorld(t)
	in := w.openCase()
	it := w.deposit(in, []byte("words"))
	w.enrol("investigator", ev.Investigator)
	w.enrol("court", ev.Court)
	noCase, noItem, noConsent := ev.CaseID("cas"+noCode), ev.ItemID("itm"+noCode), ev.ConsentID("con"+noCode)
	of := func(c ev.CaseID) func(*ev.Event) {
		return func(e *ev.Event) { e.Case, e.Purpose = c, ev.ForInvestigation }
	}
	at := func(seq int64) func(*ev.Event) {
		return func(e *ev.Event) { e.Stream.Seq, e.Stream.Prev = seq, ev.SHA256([]byte("some event")) }
	}
	member := &ev.CaseMemberRemovedDetails{Actor: w.people["clinician"].id, Cause: ev.CauseDeparture, LabelKey: w.labelKey("custodian", "custodian 2")}
	envelope := must(ev.ParseHash(noDigest))
	deposit := *w.details(it.event).(*ev.ItemDepositedDetails)
	state := must(w.db.States(t.Context(), ev.ItemOf(it.id)))[ev.ItemOf(it.id)]
	likeIt := func(e *ev.Event) { e.Subject = e.Subjects(state) } // as if there were such an item
	late := func(e *ev.Event) { e.Time -= ev.Time(time.Hour / time.Millisecond) }
	sign := func(s ev.Stream, k ev.Kind, d ev.Details, set ...func(*ev.Event)) func(by string) *custody.Signed {
		return func(by string) *custody.Signed { return w.sign(by, s, k, d, set...) }
	}
	for name, c := range map[string][]func(by string) *custody.Signed{
		"at the right place of the case, and of none": {
			sign(ev.CaseOf(in), ev.CaseMemberRemoved, member), sign(ev.CaseOf(noCase), ev.CaseMemberRemoved, member, at(1))},
		"at a wrong place of the case": {
			sign(ev.CaseOf(in), ev.CaseMemberRemoved, member, at(7)), sign(ev.CaseOf(noCase), ev.CaseMemberRemoved, member, at(7))},
		"opening an item": {
			sign(ev.ItemOf(it.id), ev.ItemOpened, &ev.ItemOpenedDetails{Envelope: envelope}, of(in)),
			sign(ev.ItemOf(noItem), ev.ItemOpened, &ev.ItemOpenedDetails{Envelope: envelope}, of(in), at(2), likeIt),
			sign(ev.ItemOf(noItem), ev.ItemOpened, &ev.ItemOpenedDetails{Envelope: envelope}, of(noCase), at(2), likeIt)},
		"a deposit into the case": {
			sign(ev.ItemOf(ev.NewID[ev.ItemID]()), ev.ItemDeposited, &deposit, of(in)), sign(ev.ItemOf(ev.NewID[ev.ItemID]()), ev.ItemDeposited, &deposit, of(noCase))},
		"a deposit over an item": {
			sign(ev.ItemOf(it.id), ev.ItemDeposited, &deposit, of(in), func(e *ev.Event) { e.Stream.Seq, e.Stream.Prev = 0, ev.Hash{} }),
			sign(ev.ItemOf(ev.NewID[ev.ItemID]()), ev.ItemDeposited, &deposit, of(noCase))},
		"withdrawing a consent": {
			sign(ev.ConsentOf(noConsent), ev.ConsentWithdrawn, &ev.ConsentWithdrawnDetails{Number: "1234-5678"}, of(in), at(1)),
			sign(ev.ConsentOf(noConsent), ev.ConsentWithdrawn, &ev.ConsentWithdrawnDetails{Number: "1234-5678"}, of(noCase), at(1))},
		"with a clock that is wrong": {
			sign(ev.CaseOf(in), ev.CaseMemberRemoved, member, late), sign(ev.CaseOf(noCase), ev.CaseMemberRemoved, member, at(1), late)},
	} {
		for _, by := range []string{"investigator", "court"} {
			want := whole(w.request(by, "GET", "/v1/events/"+noDigest, nil))
			for i, event := range c {
				if got := whole(w.request(by, "POST", "/v1/events", wire.Submission{DSSE: event(by).DSSE()})); got != want {
					t.Errorf("%s (%d) as %s:\n%s", name, i, by, got)
				}
			}
		}
	}
}

// details reads what an accepted event says.
func (w *world) details(event ev.Hash) ev.Details {
	w.t.Helper()
	entry := must(w.db.Entry(w.t.Context(), event))
	return must(custody.Open(entry.Leaf.Extra)).Event().Details
}

// A sign-in that fails says that it failed, whoever was named and whatever was wrong.
func TestSignInOutside(t *testing.T) {
	w := newWorld(t)
	w.enrol("custodian 2", ev.Custodian)
	revoked, suspended := w.enrol("court", ev.Court), w.enrol("clinician", ev.Clinician)
	w.submit("custodian", w.sign("custodian", ev.ActorOf(revoked.id), ev.ActorRevoked, &ev.ActorRevokedDetails{Cause: ev.CauseLoss}), "")
	until := ev.At(w.now().Add(time.Hour))
	w.submit("custodian", w.sign("custodian", ev.ActorOf(suspended.id), ev.ActorSuspended, &ev.ActorSuspendedDetails{Cause: ev.CauseLoss, Until: until}), "")
	wrongKey, unknown := *w.people["custodian"], *w.meet("unknown", ev.Court)
	wrongKey.key = must(custody.GenerateKey())
	challenge := func() wire.Challenge { return call[wire.Challenge](w, "", "POST", "/v1/sign-in/challenges", nil, 201) }
	used := challenge()
	w.token("custodian")
	call[wire.SignedIn](w, "", "POST", "/v1/sign-in", wire.SignInRequest{DSSE: w.signIn(w.people["custodian"], used)}, 201)
	want := ""
	for name, c := range map[string]struct {
		as        *person
		challenge wire.Challenge
	}{
		"unknown": {&unknown, challenge()}, "wrong key": {&wrongKey, challenge()}, "revoked": {revoked, challenge()}, "suspended": {suspended, challenge()},
		"the vault itself": {w.people["vault"], challenge()},
		"a used challenge": {w.people["custodian"], used}, "a made-up challenge": {w.people["custodian"], wire.Challenge{Nonce: noDigest, Time: used.Time}},
	} {
		got := whole(w.request("", "POST", "/v1/sign-in", wire.SignInRequest{DSSE: w.signIn(c.as, c.challenge)}))
		if want == "" {
			want = got
		}
		if got != want || !strings.Contains(got, " 401 ") {
			t.Errorf("%s:\n%s\n%s", name, got, want)
		}
	}
}

// An invitation that never was, one that has ended and one with another spelling are one. Who holds the secret of one that was answered is
// told so: it may have been stolen.
func TestInvitationsOutside(t *testing.T) {
	w := newWorld(t)
	p := w.people["custodian"]
	made := call[wire.NewInvitation](w, "administrator", "POST", "/v1/invitations", wire.InvitationRequest{Role: wire.RoleClinician, Organization: string(p.org)}, 201)
	answer := bodies["answerInvitation"].(wire.InvitationAnswer)
	terms, answered := map[string]string{}, map[string]string{}
	ask := func(name, secret string) {
		terms[name] = whole(w.request("", "POST", "/v1/invitations/terms", wire.InvitationSecret{Secret: secret}))
		answer.Secret = secret
		answered[name] = whole(w.request("", "POST", "/v1/invitations/answer", answer))
	}
	ask("unknown", strings.Repeat("a", 26))
	w.drift.Add(int64(7 * 24 * time.Hour))
	ask("ended", made.Secret)
	for _, list := range []map[string]string{terms, answered} {
		if list["unknown"] != list["ended"] || !strings.Contains(list["ended"], " 404 ") {
			t.Errorf("unknown:\n%s\nended:\n%s", list["unknown"], list["ended"])
		}
	}
	if terms["ended"] != answered["ended"] {
		t.Error("terms and answers differ")
	}
}

// Every answer carries the headers, whatever it is: of each operation, and of what is none.
func TestHeaders(t *testing.T) {
	w := newWorld(t)
	server := httptest.NewTLSServer(w.edge)
	defer server.Close()
	want := map[string]string{
		"Cache-Control": "no-store", "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "X-Content-Type-Options": "nosniff",
		"Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin",
		"X-Frame-Options": "DENY", "Permissions-Policy": "camera=(), geolocation=(), microphone=()", "Strict-Transport-Security": "max-age=63072000",
	}
	requests := append(contractRoutes(t),
		route{method: "GET", path: "/"}, route{method: "GET", path: "/v1/uploads/upl" + noCode}, route{method: "OPTIONS", path: "/v1/uploads/"},
		route{method: "PUT", path: "/v1/events"}, route{method: "GET", path: "/v1/vault?x=1"}, route{method: "POST", path: "/v1/events", body: strings.Repeat("x", 13<<20)},
		route{method: "POST", path: "/v1/sign-in", set: func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }},
		route{method: "PATCH", path: "/v1/uploads/upl" + noCode, set: tus("Upload-Metadata", "filename bmFtZQ==")},
	)
	statuses := map[int]bool{}
	for _, r := range requests {
		for _, by := range []string{"", "custodian"} {
			if r.action == "signOut" && by != "" {
				continue
			}
			w.server.URL, w.client = server.URL, server.Client()
			resp, _ := w.ask(by, r)
			statuses[resp.StatusCode] = true
			for name, value := range want {
				if got := resp.Header.Values(name); len(got) != 1 || got[0] != value {
					t.Errorf("%s %s %s: %d: %s is %q", by, r.method, r.path, resp.StatusCode, name, got)
				}
			}
			for _, name := range []string{"Server", "X-Powered-By", "Access-Control-Allow-Origin", "Set-Cookie"} {
				if resp.Header.Get(name) != "" {
					t.Errorf("%s %s: %s", r.method, r.path, name)
				}
			}
		}
	}
	for _, status := range []int{200, 201, 400, 401, 403, 404, 405, 413, 422} {
		if !statuses[status] {
			t.Errorf("no answer was %d", status)
		}
	}
	recorder := httptest.NewRecorder()
	w.edge.ServeHTTP(recorder, httptest.NewRequest("GET", "/healthz", nil))
	if recorder.Header().Get("Strict-Transport-Security") != "" {
		t.Error("HSTS without TLS") // browsers pass it over, and a proxy that ends TLS may say something else
	}
}

// Who comes too often is refused like everybody else is, for as long as it says; what a client writes into headers changes nothing.
func TestTooOften(t *testing.T) {
	w := newWorld(t)
	now := w.now()
	cfg := httpapi.Config{Vault: w.vault, Auth: w.auth, Logger: w.logger(), Now: func() time.Time { return now }}
	edge := must(httpapi.New(cfg))
	ask := func(edge http.Handler, from string, forwarded ...string) *http.Response {
		r := httptest.NewRequest("POST", "/v1/sign-in/challenges", nil)
		r.RemoteAddr = from
		r.Header["X-Forwarded-For"] = forwarded
		r.Header.Set("X-Real-Ip", "192.0.2.1")
		recorder := httptest.NewRecorder()
		edge.ServeHTTP(recorder, r)
		return recorder.Result()
	}
	n := 0
	for ; ask(edge, "203.0.113.5:1000", fmt.Sprintf("198.51.100.%d", n%256)).StatusCode == 201; n++ {
		if n > 2000 {
			t.Fatal("there is no limit")
		}
	}
	if n < 400 {
		t.Errorf("only %d requests went through", n)
	}
	refused := ask(edge, "203.0.113.5:2000", "192.0.2.77")
	if refused.StatusCode != 429 || refused.Header.Get("Retry-After") != "1" || refused.Header.Get("Content-Type") != "application/problem+json" ||
		refused.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%d %v", refused.StatusCode, refused.Header)
	}
	var body bytes.Buffer
	must(body.ReadFrom(refused.Body))
	if reason(t, body.Bytes()) != "too_often" {
		t.Errorf("%s", body.Bytes())
	}
	if status := ask(edge, "203.0.113.6:1000").StatusCode; status != 201 {
		t.Errorf("a neighbour: %d", status)
	}
	now = now.Add(time.Second)
	if status := ask(edge, "203.0.113.5:1000").StatusCode; status != 201 {
		t.Errorf("after the second that it said: %d", status)
	}

	cfg.TrustedProxies = append(cfg.TrustedProxies, netip.MustParsePrefix("203.0.113.5/32"))
	edge = must(httpapi.New(cfg))
	for range n {
		ask(edge, "203.0.113.5:1000", "192.0.2.200", "198.51.100.1")
	}
	if one, other := ask(edge, "203.0.113.5:1000", "198.51.100.1").StatusCode, ask(edge, "203.0.113.5:1000", "198.51.100.2").StatusCode; one != 429 || other != 201 {
		t.Errorf("two clients of a trusted proxy: %d, %d", one, other)
	}
}
