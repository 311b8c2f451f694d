package campaign

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"

	"strongroom.example/strongroom/internal/custody"
	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/wire"
)

// recorder is on a person's way to the vault and tells the model what was sent and answered. It also plays the hasty person: as soon as
// an access event is sent, it asks for the content, before anything was answered.
type recorder struct {
	*world
	person *person
	way    http.RoundTripper
}

type actKey struct{}

func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	leaf, kind := r.outgoing(req)
	if access := kind == ev.ItemOpened || kind == ev.GrantRedeemed; access {
		answered := make(chan struct{})
		defer close(answered)
		go r.hasty(req, leaf, answered)
	}
	resp, err := r.through(req)
	if err != nil {
		return nil, err
	}
	r.incoming(req, resp)
	return resp, nil
}

// through goes over the network, which may be bad.
func (r *recorder) through(req *http.Request) (*http.Response, error) {
	if n := r.network.Load(); n != nil {
		return n.roundTrip(req, r.way)
	}
	return r.way.RoundTrip(req)
}

// outgoing looks at a request; for an event it returns its leaf hash and kind.
func (r *recorder) outgoing(req *http.Request) (ev.Hash, ev.Kind) {
	switch {
	case req.Method == http.MethodPatch:
		r.model.tell(atUpload)
	case req.Method == http.MethodPost && req.URL.Path == "/v1/events":
		return r.submission(req)
	}
	return ev.Hash{}, ""
}

// submitted is the event that a person's request carries.
func submitted(req *http.Request, by *person) *custody.Signed {
	body, err := req.GetBody()
	if err != nil {
		panic(err)
	}
	var s wire.Submission
	if err := json.NewDecoder(body).Decode(&s); err != nil {
		panic(err)
	}
	statement, err := custody.Open(s.DSSE)
	if err != nil {
		panic(err)
	}
	signed, err := statement.Verify(by.key.SPKI())
	if err != nil {
		panic(err)
	}
	return signed
}

func (r *recorder) submission(req *http.Request) (ev.Hash, ev.Kind) {
	signed := submitted(req, r.person)
	e := signed.Event()
	act, _ := req.Context().Value(actKey{}).(int)
	r.model.submits(sent{act, r.person.name, e.Kind, e.Stream.Stream()}, signed.LeafHash())
	r.model.tell(atCommit)
	if e.Kind == ev.ItemOpened || e.Kind == ev.GrantRedeemed {
		r.model.tell(atAccess)
	}
	return signed.LeafHash(), e.Kind
}

// incoming reads an answer that says something, and puts it back.
func (r *recorder) incoming(req *http.Request, resp *http.Response) {
	if resp.StatusCode >= 300 {
		return
	}
	path := strings.Split(strings.TrimPrefix(req.URL.Path, "/v1/"), "/")
	if path[0] == "events" && len(path) > 2 && path[2] != "opening" { // content itself
		r.gave(path[1], path[2])
		return
	}
	if path[0] == "uploads" {
		return
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), ended{err}))
	if err != nil {
		return
	}
	switch {
	case strings.HasPrefix(req.URL.Path, "/v1/log/checkpoint"):
		r.model.signed(body)
	case path[0] == "events" && len(path) > 2:
		r.gave(path[1], "an envelope")
	case path[0] == "events":
		var answer wire.Included
		if json.Unmarshal(body, &answer) != nil {
			return
		}
		if leaf, err := ev.ParseHash(answer.LeafHash); err == nil {
			r.model.accepts(leaf)
		}
		r.model.receipt(answer.Receipt)
		if answer.Opening != nil {
			r.gave(answer.LeafHash, "an envelope with the receipt")
		}
	case path[0] == "streams":
		var list wire.EventList
		if json.Unmarshal(body, &list) == nil {
			for _, e := range list.Events {
				r.model.receipt(e.Receipt)
			}
		}
	case path[0] == "complete":
		var answer wire.Completeness
		if json.Unmarshal(body, &answer) == nil {
			r.model.receipt(answer.Heads)
		}
	}
}

// ended gives the error with which an answer ended.
type ended struct{ err error }

func (e ended) Read([]byte) (int, error) {
	if e.err != nil {
		return 0, e.err
	}
	return 0, io.EOF
}

func (r *recorder) gave(leaf, what string) {
	if hash, err := ev.ParseHash(leaf); err == nil && what != "attachments" { // labels and internal notes need no access
		r.model.releases(hash, what)
	}
}

// hasty asks again and again for what an access event gives, until its submission is answered. If it gets something, the event must be in
// the log by then: that is asked in the next breath.
func (r *recorder) hasty(submission *http.Request, leaf ev.Hash, answered <-chan struct{}) {
	ask := func(req *http.Request, err error) int {
		if err != nil {
			panic(err)
		}
		req = req.WithContext(submission.Context())
		req.Header.Set("Authorization", submission.Header.Get("Authorization"))
		resp, err := r.way.RoundTrip(req)
		if err != nil {
			return 0
		}
		defer resp.Body.Close()
		r.incoming(req, resp)
		return resp.StatusCode
	}
	for range 5 {
		select {
		case <-answered:
			return
		case <-time.After(5 * time.Millisecond):
		}
		if ask(wire.NewOpenItemRequest(vaultAddress, leaf.String())) != http.StatusOK {
			continue
		}
		if ask(wire.NewGetEventRequest(vaultAddress, leaf.String())) == http.StatusAccepted {
			r.model.mu.Lock()
			r.model.lie("something was released on an event that is still pending")
			r.model.mu.Unlock()
		}
		return
	}
}
