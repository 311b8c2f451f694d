package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/wire"
)

// maxAnswer bounds an answer in JSON, in bytes: a page of 100 receipts at their largest.
const maxAnswer = 48 << 20

// An answer is not much larger in memory than as text: its objects and the entries of its lists are bounded, too. The largest lists of the
// contract have some 100,000 of either.
const (
	maxObjects = 1 << 17
	maxEntries = 1 << 20
)

// maxProblem bounds a problem document, in bytes.
const maxProblem = 64 << 10

// answerTime bounds how long the vault may take before it begins to answer. It may wait for the log, and a part of an upload is answered
// when it is durable.
const answerTime = 5 * time.Minute

// defaultHTTP is the way to a vault. Where this program has none of its own nothing of it is linked.
func defaultHTTP(to Address) *http.Client {
	if !mayDial {
		panic("client: there is no way to the vault without a Doer")
	}
	transport := to.Transport()
	transport.ResponseHeaderTimeout = answerTime
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Problem is what the vault says to people about a refusal. It is the cause of the *evidence.Error.
type Problem struct {
	wire.Problem
	after time.Duration // how long the vault asks to wait, zero if it does not
}

func (p *Problem) Error() string { return p.Reason }

var kinds = map[int]evidence.ErrorKind{
	http.StatusBadRequest:            evidence.Invalid,
	http.StatusUnprocessableEntity:   evidence.Invalid,
	http.StatusUnauthorized:          evidence.Unauthenticated,
	http.StatusForbidden:             evidence.Forbidden,
	http.StatusNotFound:              evidence.NotFound,
	http.StatusConflict:              evidence.Conflict,
	http.StatusGone:                  evidence.Gone,
	http.StatusLocked:                evidence.Held,
	http.StatusServiceUnavailable:    evidence.Pending,
	http.StatusRequestEntityTooLarge: evidence.TooLarge,
	http.StatusTooManyRequests:       evidence.TooMany,
	http.StatusNotImplemented:        evidence.Unknown,
}

// refusal reads a problem document; what is none is told by its status alone.
func refusal(resp *http.Response) error {
	kind, ok := kinds[resp.StatusCode]
	if !ok {
		kind = evidence.Internal
	}
	p := &Problem{after: parseAfter(resp.Header.Get("Retry-After"))}
	p.Reason = "http"
	var said wire.Problem
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxProblem))
	if err == nil && json.Unmarshal(text, &said) == nil && isReason(said.Reason) && isText(said.Title, said.Detail, said.Kept, said.Next) {
		// What is not shown to anybody is not checked either, and left out.
		p.Problem = wire.Problem{Reason: said.Reason, Title: said.Title, Detail: said.Detail, Kept: said.Kept, Next: said.Next}
	}
	return &evidence.Error{Kind: kind, Reason: p.Reason, Err: p}
}

// longestAfter bounds what the vault can ask for in one go.
const longestAfter = time.Minute

// parseAfter reads Retry-After in seconds; a date is not used between us.
func parseAfter(text string) time.Duration {
	seconds, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return 0
	}
	return min(time.Duration(seconds)*time.Second, longestAfter)
}

// retryAfter is how long the vault asked to wait before the same request is sent again, zero if it did not.
func retryAfter(err error) time.Duration {
	if p := (*Problem)(nil); errors.As(err, &p) {
		return p.after
	}
	return 0
}

func isReason(s string) bool {
	return s != "" && len(s) <= 64 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
}

// isText reports whether the lines can be shown as they are: nothing in them moves a cursor, breaks a line or turns the direction.
func isText(lines ...string) bool {
	return !slices.ContainsFunc(lines, func(s string) bool {
		return len(s) > 1024 || !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool {
			return unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Bidi_Control)
		})
	})
}

// connection reports whether an error came from the way to the vault, or from a vault that is not able now: then the same request may be
// sent again.
func connection(ctx context.Context, err error) bool {
	if e := (*evidence.Error)(nil); errors.As(err, &e) {
		return e.Kind == evidence.Internal || e.Kind == evidence.Pending || e.Kind == evidence.TooMany
	}
	return err != nil && LieOf(err) == "" && ctx.Err() == nil
}

// exchange sends a request and returns the answer if it has one of the wanted statuses. The body is the caller's to close. Where the vault
// says that it came too often, nothing was done: it is sent again when the vault says so, which others behind the same address do too.
func (c *Client) exchange(req *http.Request, want ...int) (*http.Response, error) {
	often := patience{next: 500 * time.Millisecond, longest: 8 * time.Second, left: 10}
	for {
		resp, err := c.cfg.HTTP.Do(req) //#nosec G704 -- the address is the person's own profile
		if err != nil {
			return nil, stranger(err)
		}
		if slices.Contains(want, resp.StatusCode) {
			return resp, nil
		}
		err = refusal(resp)
		resp.Body.Close()
		if resp.StatusCode != http.StatusTooManyRequests || retryAfter(err) == 0 || !rewind(req) {
			return nil, err
		}
		if err := often.wait(req.Context(), c, err); err != nil {
			return nil, err
		}
	}
}

// rewind makes a request ready to be sent again, if it can be.
func rewind(req *http.Request) bool {
	if req.Body == nil || req.Body == http.NoBody {
		return true
	}
	if req.GetBody == nil {
		return false
	}
	body, err := req.GetBody()
	req.Body = body
	return err == nil
}

// decode reads an answer in JSON: whole, known fields only, nothing after it.
func decode(resp *http.Response, into any) error {
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return err
	}
	if len(text) > maxAnswer {
		return alarm(Malformed, evidence.Stream{}, errors.New("the answer is too large"))
	}
	if !bounded(text) {
		return alarm(Malformed, evidence.Stream{}, errors.New("the answer holds too much"))
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return alarm(Malformed, evidence.Stream{}, errors.New("the answer is not of the contract"))
	}
	if _, err := d.Token(); err != io.EOF {
		return alarm(Malformed, evidence.Stream{}, errors.New("the answer has something after its end"))
	}
	return nil
}

// bounded counts objects and entries by their marks. An entry of a list that is null would become an object, and never is of the contract.
func bounded(text []byte) bool {
	objects, entries := 0, 0
	for i, last := 0, byte(0); i < len(text); i++ {
		switch c := text[i]; c {
		case ' ', '\t', '\r', '\n':
			continue
		case '"':
			for i++; i < len(text) && text[i] != '"'; i++ {
				if text[i] == '\\' {
					i++
				}
			}
		case '{':
			objects++
		case '[', ',':
			entries++
		case 'n':
			if last == '[' || last == ',' {
				return false
			}
		}
		if i < len(text) {
			last = text[i]
		}
	}
	return objects <= maxObjects && entries <= maxEntries
}

// public asks without a session.
func public[T any](ctx context.Context, c *Client, req *http.Request, err error, status int) (answer T, _ error) {
	if err != nil {
		return answer, err
	}
	resp, err := c.exchange(req.WithContext(ctx), status)
	if err != nil {
		return answer, err
	}
	return answer, decode(resp, &answer)
}

// ask asks with the person's session.
func ask[T any](ctx context.Context, c *Client, req *http.Request, err error, status ...int) (answer T, _ error) {
	if err != nil {
		return answer, err
	}
	resp, err := c.signedIn(ctx, req, status...)
	if err != nil {
		return answer, err
	}
	return answer, decode(resp, &answer)
}

// signedIn is exchange with the person's session, which is begun or renewed as needed.
func (c *Client) signedIn(ctx context.Context, req *http.Request, want ...int) (*http.Response, error) {
	req = req.WithContext(ctx)
	token, err := c.token(ctx, "")
	if err != nil {
		return nil, err
	}
	for again := range 2 {
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := c.exchange(req, want...)
		if evidence.KindOf(err) != evidence.Unauthenticated || again > 0 {
			return resp, err
		}
		if token, err = c.token(ctx, token); err != nil {
			return nil, err
		}
		if !rewind(req) {
			return nil, evidence.Refuse(evidence.Unauthenticated, "session") // the caller sends it again
		}
	}
	panic("unreachable")
}

// token returns that of a running session other than the refused one.
func (c *Client) token(ctx context.Context, refused string) (string, error) {
	s := &c.session
	s.Lock()
	defer s.Unlock()
	if s.token != "" && s.token != refused && c.clock.time().Add(30*time.Second).Before(s.until) {
		return s.token, nil
	}
	if c.actor == "" || c.cfg.Signer == nil {
		return "", evidence.Refuse(evidence.Unauthenticated, "not_enrolled")
	}
	signed, err := c.signIn(ctx)
	if err != nil {
		return "", err
	}
	return s.begin(signed)
}

// begin takes over what a sign-in gave.
func (s *session) begin(signed wire.SignedIn) (token string, err error) {
	until, err := evidence.ParseTime(signed.Expires)
	if err != nil || len(signed.Token) != 43 {
		return "", alarm(Malformed, evidence.Stream{}, err)
	}
	s.token, s.until = signed.Token, until.Std()
	return s.token, nil
}

// signIn answers a challenge (FORMATS §4), by the key alone while it is not known whose that is. The vault's time comes with it.
func (c *Client) signIn(ctx context.Context) (wire.SignedIn, error) {
	before := c.cfg.Now()
	req, err := wire.NewCreateChallengeRequest(c.address)
	challenge, err := public[wire.Challenge](ctx, c, req, err, http.StatusCreated)
	if err != nil {
		return wire.SignedIn{}, err
	}
	at, err := evidence.ParseTime(challenge.Time)
	if err != nil {
		return wire.SignedIn{}, alarm(Malformed, evidence.Stream{}, err)
	}
	c.clock.hear(at.Std(), before, c.cfg.Now())
	// The vault's name is the pinned one: a sign-in at another vault is worth nothing there.
	dsse, err := custody.SignIn{Vault: c.trust.Vault(), Actor: c.actor, Nonce: challenge.Nonce, Time: evidence.At(c.clock.time())}.
		Sign(c.cfg.Signer.SPKI(), c.cfg.Signer)
	if err != nil {
		return wire.SignedIn{}, err
	}
	req, err = wire.NewSignInRequest(c.address, wire.SignInRequest{DSSE: dsse})
	signed, err := public[wire.SignedIn](ctx, c, req, err, http.StatusCreated)
	if err == nil && c.actor != "" && signed.Actor != string(c.actor) {
		err = alarm(Malformed, evidence.Stream{}, errors.New("signed in as somebody else"))
	}
	return signed, err
}

// SignOut ends the session.
func (c *Client) SignOut(ctx context.Context) error {
	c.session.Lock()
	running := c.session.token != ""
	c.session.Unlock()
	if !running {
		return nil
	}
	req, err := wire.NewSignOutRequest(c.address)
	if err != nil {
		return err
	}
	resp, err := c.signedIn(ctx, req, http.StatusNoContent)
	if err != nil {
		return err
	}
	c.session.Lock()
	defer c.session.Unlock()
	c.session.token = ""
	return resp.Body.Close()
}

// pages reads a list to its end.
func pages[T any](ctx context.Context, page func(ctx context.Context, cursor *string) ([]T, string, error)) ([]T, error) {
	var all []T
	var cursor *string
	for {
		list, next, err := page(ctx, cursor)
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
		if next == "" {
			return all, nil
		}
		if len(list) == 0 || len(all) > maxListed || cursor != nil && *cursor >= next {
			return nil, alarm(Malformed, evidence.Stream{}, errors.New("the list does not end"))
		}
		cursor = &next
	}
}

// maxListed bounds a list that is read whole.
const maxListed = 100_000
