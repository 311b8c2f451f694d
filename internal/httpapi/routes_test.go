package httpapi_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"strongroom.example/strongroom/internal/auth"
	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/httpapi/contracttest"
	"strongroom.example/strongroom/internal/wire"
)

// route is one operation of the contract with a request that fits it, for things that do not exist.
type route struct {
	action auth.Action
	method string
	path   string
	body   any
	set    func(*http.Request)
	public bool
}

const (
	noDigest = "00000000000000000000000000000000000000000000000000000000000000aa"
	noCode   = "-aaaaaaaaaaaaaaaaaaaaaaaaaa"
)

var bodies = map[auth.Action]any{
	"signIn":             wire.SignInRequest{DSSE: []byte("nothing")},
	"createInvitation":   wire.InvitationRequest{Rotation: "act" + noCode},
	"getInvitationTerms": wire.InvitationSecret{Secret: strings.Repeat("a", 26)},
	"answerInvitation": wire.InvitationAnswer{Secret: strings.Repeat("a", 26), Key: strings.Repeat("A", 124), Recipient: "",
		Possession: strings.Repeat("A", 96)},
	"submitEvent":   wire.Submission{DSSE: []byte("nothing")},
	"cosign":        wire.Cosignatures{Size: 9007199254740991, Lines: "— name AAAA\n"},
	"proveComplete": wire.CompleteRequest{Streams: []wire.Stream{{Type: "case", ID: "cas" + noCode}}},
}

// contractRoutes are made from the contract alone: a new operation is in every test at once.
func contractRoutes(t testing.TB) []route {
	t.Helper()
	values := map[string]string{"{leaf_hash}": noDigest, "{number}": noDigest, "{digest}": noDigest, "{type}": "case", "{id}": "cas" + noCode, "{case}": "cas" + noCode, "{consent}": "con" + noCode, "{upload}": "upl" + noCode, "{size}": "9007199254740991"}
	var list []route
	for path, item := range specification().Paths.Map() {
		for method, o := range item.Operations() {
			r := route{action: auth.Action(o.OperationID), method: method, path: path, body: bodies[auth.Action(o.OperationID)], public: o.Security != nil && len(*o.Security) == 0}
			for name, value := range values {
				r.path = strings.ReplaceAll(r.path, name, value)
			}
			if strings.Contains(r.path, "{") {
				t.Fatalf("%s: no value for a parameter of %s", o.OperationID, path)
			}
			switch o.OperationID {
			case "getConsistency":
				r.path += "?from=1&to=2"
			case "getInclusion":
				r.path += "?size=1&leaf_hash=" + noDigest
			case "getLogLeaves", "getLogHeads", "getLogStatements":
				r.path += "?start=0&count=10"
			case "createUpload":
				r.set = tus("Upload-Length", "10")
			case "getUpload", "dropUpload":
				r.set = tus()
			case "appendUpload":
				r.set = tus("Upload-Offset", "0", "Content-Type", "application/offset+octet-stream")
			}
			if body := o.RequestBody; body != nil && body.Value.Content["application/json"] != nil && r.body == nil {
				t.Fatalf("%s: no body", o.OperationID)
			}
			list = append(list, r)
		}
	}
	return list
}

func (w *world) ask(by string, r route) (*http.Response, []byte) {
	w.t.Helper()
	return w.request(by, r.method, r.path, r.body, func(req *http.Request) {
		if r.set != nil {
			r.set(req)
		}
	})
}

var everybody = map[string]ev.Role{
	"administrator": ev.Administrator, "custodian": ev.Custodian, "custodian 2": ev.Custodian, "clinician": ev.Clinician, "investigator": ev.Investigator, "auditor": ev.Auditor,
	"court": ev.Court, "prosecutor": ev.Prosecutor, "police": ev.Police, "defence": ev.Defence, "survivor": ev.Survivor,
	"advocate": ev.Advocate, "trustee": ev.Trustee,
}

// Every route × role pair: the table decides, and nothing else lets anybody in.
func TestRoutesAndRoles(t *testing.T) {
	w := newWorld(t)
	w.enrol("custodian 2", ev.Custodian)
	for name, role := range everybody {
		w.enrol(name, role)
	}
	unauthenticated := ""
	for _, r := range contractRoutes(t) {
		if auth.Public(r.action) != r.public {
			t.Errorf("%s: public in the table %t, in the contract %t", r.action, auth.Public(r.action), r.public)
		}
		for _, token := range []string{"", "nobody", strings.Repeat("A", 43)} {
			resp, body := w.ask(token, r)
			if (resp.StatusCode == 401) == r.public && r.action != "signIn" {
				t.Errorf("%s without a session: %d", r.action, resp.StatusCode)
			}
			if !r.public && r.method != "HEAD" {
				if unauthenticated == "" {
					unauthenticated = string(body)
				}
				if string(body) != unauthenticated {
					t.Errorf("%s tells who is not signed in something else: %s", r.action, body)
				}
			}
		}
		for name, role := range everybody {
			if r.action == "signOut" {
				continue // it would end the session the next pairs use; TestSession signs out
			}
			resp, body := w.ask(name, r)
			refused := resp.StatusCode == 403 && (r.method == "HEAD" || reason(t, body) == ev.ReasonRole)
			if refused == auth.Allowed(role, r.action) {
				t.Errorf("%s as %s: %d %s", r.action, role, resp.StatusCode, body)
			}
			if resp.StatusCode >= 500 {
				t.Errorf("%s as %s: %d %s", r.action, role, resp.StatusCode, body)
			}
		}
	}
}

func reason(t testing.TB, body []byte) string {
	t.Helper()
	var p wire.Problem
	if err := json.Unmarshal(body, &p); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return p.Reason
}

// What is not of the contract does not exist, and looks like everything else that does not exist.
func TestNoOtherRoutes(t *testing.T) {
	w := newWorld(t)
	_, hidden := w.request("custodian", "GET", "/v1/events/"+noDigest, nil)
	for _, path := range []string{"/", "/v1", "/v1/", "/v2/vault", "/v1/vault/", "/v1//vault", "/v1/events/" + noDigest + "/", "/debug/pprof/",
		"/v1/events/..%2f..%2fvault/opening", "/v1/streams/case/..%2F..%2Fetc%2Fpasswd/events", "/v1/uploads", "/v1/uploads/..%2f" + noDigest} {
		resp, body := w.request("custodian", "GET", path, nil)
		if resp.StatusCode != 404 || string(body) != string(hidden) {
			if resp.StatusCode == 405 {
				continue
			}
			t.Errorf("GET %s: %d %s", path, resp.StatusCode, body)
		}
	}
	for _, r := range []struct{ method, path string }{
		{"POST", "/v1/vault"}, {"PUT", "/v1/events"}, {"GET", "/v1/uploads/upl" + noCode}, {"OPTIONS", "/v1/uploads/"}, {"TRACE", "/v1/vault"}, {"HEAD", "/v1/vault"},
	} {
		if resp, _ := w.request("custodian", r.method, r.path, nil); resp.StatusCode != 405 {
			t.Errorf("%s %s: %d", r.method, r.path, resp.StatusCode)
		}
	}
}

// Outside the wall: what does not exist and what belongs to others are one answer, byte for byte.
func TestOneAnswerOutside(t *testing.T) {
	w := newWorld(t)
	in := w.openCase()
	it := w.deposit(in, []byte("words"))
	opened := w.open("custodian", in, it)
	w.enrol("investigator", ev.Investigator)
	w.enrol("court", ev.Court)
	upload := w.createUpload("clinician", 10)
	_, want := w.request("investigator", "GET", "/v1/cases/cas"+noCode+"/items", nil)
	for _, path := range []string{
		"/v1/cases/" + string(in) + "/items", "/v1/cases/" + string(in) + "/consents", "/v1/cases/" + string(in) + "/label-key",
		"/v1/streams/case/" + string(in) + "/events", "/v1/streams/item/" + string(it.id) + "/events", "/v1/streams/item/itm" + noCode + "/events",
		"/v1/streams/case/" + string(it.id) + "/events", "/v1/streams/policy/other.example/events",
		"/v1/events/" + it.event.String(), "/v1/events/" + opened.LeafHash, "/v1/events/" + opened.LeafHash + "/evidence",
		"/v1/events/" + it.event.String() + "/attachments/" + it.label.String(),
		"/v1/events/" + it.event.String() + "/attachments/" + it.label.String() + "?access=" + opened.LeafHash,
		"/v1/events/" + it.event.String() + "/attachments/" + noDigest,
	} {
		if resp, body := w.request("investigator", "GET", path, nil); resp.StatusCode != 404 || string(body) != string(want) {
			t.Errorf("%s: %d %s", path, resp.StatusCode, body)
		}
	}
	for _, stream := range []wire.Stream{{Type: "case", ID: string(in)}, {Type: "case", ID: "cas" + noCode}} {
		if resp, body := w.request("court", "POST", "/v1/complete", wire.CompleteRequest{Streams: []wire.Stream{stream}}); resp.StatusCode != 404 || string(body) != string(want) {
			t.Errorf("complete %s: %d %s", stream.ID, resp.StatusCode, body)
		}
	}
	for _, id := range []string{string(upload), "upl" + noCode} {
		head, _ := w.request("investigator", "HEAD", "/v1/uploads/"+id, nil, tus())
		patch, body := w.patch("investigator", ev.UploadID(id), 0, []byte("0123456789"))
		drop, dropped := w.request("investigator", "DELETE", "/v1/uploads/"+id, nil, tus())
		if head.StatusCode != 404 || patch.StatusCode != 404 || drop.StatusCode != 404 || string(body) != string(want) || string(dropped) != string(want) ||
			head.Header.Get("Content-Length") != itoa(len(want)) {
			t.Errorf("upload %s: HEAD %d, PATCH %d %s, DELETE %d %s", id, head.StatusCode, patch.StatusCode, body, drop.StatusCode, dropped)
		}
	}
}

// The contract bounds everything: no string without a length, no list without a count, no number without a range.
func TestContractIsBounded(t *testing.T) {
	seen := map[*openapi3.Schema]bool{}
	var visit func(where string, s *openapi3.SchemaRef)
	visit = func(where string, ref *openapi3.SchemaRef) {
		if ref == nil || seen[ref.Value] {
			return
		}
		s := ref.Value
		seen[s] = true
		switch {
		case s.Type.Is("string"):
			if s.MaxLength == nil && len(s.Enum) == 0 {
				t.Errorf("%s: a string without a length", where)
			}
		case s.Type.Is("array"):
			if s.MaxItems == nil {
				t.Errorf("%s: a list without a count", where)
			}
			visit(where+"[]", s.Items)
		case s.Type.Is("integer"):
			if s.Min == nil || s.Max == nil {
				t.Errorf("%s: a number without a range", where)
			}
		case s.Type.Is("object"):
			if s.AdditionalProperties.Has == nil || *s.AdditionalProperties.Has {
				t.Errorf("%s: an object open to other names", where)
			}
			for name, p := range s.Properties {
				visit(where+"."+name, p)
			}
		}
		for _, one := range s.OneOf {
			visit(where, one)
		}
	}
	for name, s := range specification().Components.Schemas {
		visit(name, s)
	}
	for path, item := range specification().Paths.Map() {
		for method, o := range item.Operations() {
			for _, p := range append(o.Parameters, item.Parameters...) {
				visit(method+" "+path+" "+p.Value.Name, p.Value.Schema)
			}
			if o.Description == "" && o.Summary == "" {
				t.Errorf("%s %s: not described", method, path)
			}
		}
	}
}

func specification() *openapi3.T {
	spec, _ := contracttest.Contract()
	return spec
}
