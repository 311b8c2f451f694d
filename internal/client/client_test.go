package client

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/dossier"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/sealing"
	"strongroom.example/strongroom/internal/tlog"
)

func TestPeople(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	p := w.connect(w.newPerson("new"))
	secret, digest, err := w.admin.Invite(ctx, Offer{Role: evidence.Clinician, Organization: w.org})
	check(t, err)
	_, err = w.admin.Admit(ctx, digest, "")
	wantReason(t, err, "invitation_unanswered")
	_, err = w.custodian.Admit(ctx, digest, "")
	wantReason(t, err, "invitation") // it is not the custodian's
	fingerprint := must(p.AnswerInvitation(ctx, secret))(t)
	if again := must(p.AnswerInvitation(ctx, strings.ToUpper(secret)))(t); again != fingerprint {
		t.Error("another fingerprint the second time")
	}
	_, err = w.admin.Admit(ctx, digest, "")
	check(t, err)
	_, _, err = p.WhoAmI(ctx)
	wantReason(t, err, "sign_in") // pending
	typed := tlog.SixGroups(fingerprint)
	wrong := "00000" + typed[5:]
	_, err = w.custodian.Confirm(ctx, Confirmation{p.Actor(), wrong, evidence.ByPhone})
	wantReason(t, err, evidence.ReasonFingerprint)
	_, err = w.admin.Confirm(ctx, Confirmation{p.Actor(), typed, evidence.ByPhone})
	wantReason(t, err, evidence.ReasonRole) // an administrator enrolled: another one cannot confirm
	_, err = w.custodian.Confirm(ctx, Confirmation{p.Actor(), strings.ReplaceAll(typed, " ", "-"), evidence.ByPhone})
	check(t, err)
	me, current, err := p.WhoAmI(ctx)
	check(t, err)
	if !current || me.Role != evidence.Clinician || me.Shown != typed || me.Status != evidence.StatusActive {
		t.Errorf("%+v", me)
	}

	_, err = w.custodian.Suspend(ctx, w.investigator.Actor(), evidence.CauseMisconduct, evidence.At(time.Now().Add(time.Hour)))
	check(t, err)
	_, _, err = w.investigator.WhoAmI(ctx)
	wantReason(t, err, "sign_in")

	// New keys, which the old device notices.
	secret, digest, err = w.admin.Invite(ctx, Offer{Rotation: p.Actor()})
	check(t, err)
	renewed := &person{key: must(custody.GenerateKey())(t), identity: must(sealing.NewIdentity())(t), folder: p.folder}
	renewed.Client = w.client(renewed, nil)
	fingerprint = must(renewed.AnswerInvitation(ctx, secret))(t)
	_, err = w.admin.Admit(ctx, digest, evidence.CauseLoss)
	check(t, err)
	_, err = w.custodian.Confirm(ctx, Confirmation{p.Actor(), tlog.SixGroups(fingerprint), evidence.InPerson})
	check(t, err)
	if _, current, err = renewed.WhoAmI(ctx); err != nil || !current {
		t.Errorf("with the new keys: %v", err)
	}
	_, _, err = p.WhoAmI(ctx)
	wantReason(t, err, "sign_in")
	_, err = renewed.Revoke(ctx, p.Actor(), evidence.CauseDeparture)
	check(t, err)
	if who := must(w.custodian.Person(ctx, p.Actor()))(t); who.Status != evidence.StatusRevoked {
		t.Errorf("%s", who.Status)
	}
	if list := must(w.admin.Directory(ctx))(t); len(list) != 8 { // with the vault itself
		t.Errorf("%d actors", len(list))
	}
}

func TestCaseKeysFollowThePeople(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	in := w.openCase()
	consent := w.consent(in)
	item := w.deposit(w.clinician, in, consent, strings.NewReader("x"))

	third := w.enrol("third", evidence.Custodian, w.admin, w.custodian)
	_, err := w.custodian.AddMember(ctx, in, evidence.Member{Actor: third.Actor(), Rights: []evidence.Right{evidence.MayOpen}}, "Third Person")
	check(t, err)
	_, err = w.custodian.RemoveMember(ctx, in, w.investigator.Actor(), evidence.CauseDeparture)
	wantReason(t, err, evidence.ReasonStillKeyholder)
	_, err = w.custodian.ChangeKeyring(ctx, in, []evidence.ActorID{third.Actor()}, []evidence.ActorID{w.investigator.Actor()})
	check(t, err)
	_, err = third.Open(ctx, Open{Item: item, Purpose: evidence.ForCare}, io.Discard)
	wantReason(t, err, evidence.ReasonEnvelope)
	receipts, err := w.custodian.Rewrap(ctx, item)
	check(t, err)
	if again, err := w.custodian.Rewrap(ctx, item); err != nil || len(receipts) != 1 || len(again) != 0 {
		t.Errorf("%d envelopes, then %d: %v", len(receipts), len(again), err)
	}
	_, err = third.Open(ctx, Open{Item: item, Purpose: evidence.ForCare}, io.Discard)
	check(t, err)
	_, err = w.custodian.RemoveMember(ctx, in, w.investigator.Actor(), evidence.CauseDeparture)
	check(t, err)
	if _, err := w.investigator.Items(ctx, in); evidence.KindOf(err) != evidence.NotFound {
		t.Errorf("who left: %v", err)
	}
	// Labels from before the new label key are read with the old one, by all who had it.
	w.deposit(w.clinician, in, consent, strings.NewReader("y"))
	for name, p := range map[string]*person{"clinician": w.clinician, "second": w.second, "third": third} {
		for _, l := range must(p.Items(ctx, in))(t) {
			if !l.Opened {
				t.Errorf("%s cannot read the label of a %s", name, l.Class)
			}
		}
	}
	if cases := must(third.Cases(ctx))(t); len(cases) != 1 || cases[0].ID != string(in) {
		t.Errorf("%d cases", len(cases))
	}
}

func TestRefusedBeforeAnythingIsRead(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	in := w.openCase()
	consent := w.consent(in)
	untouched := &countingReader{}
	d := w.photo(in, consent, untouched)
	d.Content = evidence.Testimony
	d.Class = evidence.Identity
	_, _, err := w.clinician.Deposit(ctx, d)
	wantReason(t, err, evidence.ReasonClass)
	d = w.photo(in, consent, untouched)
	d.Basis, d.Consent = evidence.CourtOrder, nil
	_, _, err = w.investigator.Deposit(ctx, d)
	wantReason(t, err, ReasonGround)
	_, _, err = w.court.Deposit(ctx, w.photo(in, consent, untouched))
	if evidence.KindOf(err) != evidence.NotFound {
		t.Errorf("by a court: %v", err)
	}
	if untouched.n > 0 {
		t.Errorf("%d bytes were read", untouched.n)
	}
	d.Authority, d.Body = sampleGround, strings.NewReader("disk image")
	_, _, err = w.investigator.Deposit(ctx, d)
	check(t, err)
	id, _, err := w.investigator.Deposit(ctx, Deposit{Case: in, Class: evidence.DescriptionOnly, Content: evidence.Physical, Basis: evidence.StatutoryDuty,
		Authority: sampleGround, Label: "Sample kit", Description: Description{Name: "kit 4", MediaType: "text/plain", Acquisition: filled(t, "acquisition-1", map[string]any{"errors": map[string]string{"unknown": "<é>"}})}})
	check(t, err)
	opened, err := w.second.Open(ctx, Open{Item: id, Purpose: evidence.ForInvestigation}, io.Discard)
	check(t, err)
	if !strings.Contains(string(opened.Description.Acquisition), `,"errors":{"unknown":"<é>"},`) {
		t.Errorf("%s", opened.Description.Acquisition)
	}
}

type countingReader struct{ n int }

func (r *countingReader) Read(p []byte) (int, error) {
	r.n += len(p)
	return len(p), nil
}

// A keyholder's own copy verifies like a court's.
func TestKeyholdersCopy(t *testing.T) {
	w := newWorld(t)
	in := w.openCase()
	item := w.deposit(w.clinician, in, w.consent(in), bytes.NewReader(random(3<<20)))
	file := filepath.Join(t.TempDir(), "copy.zip")
	check(t, SaveAs(file, func(dst io.Writer) error {
		_, err := w.second.Export(t.Context(), Export{Item: item, Purpose: evidence.ForInvestigation}, dst)
		return err
	}))
	report := w.verify(file, w.second)
	if report.Verdict != dossier.Verified {
		t.Errorf("%s: %+v", report.Verdict, report.Checks)
	}
}

// The verifier as a page goes along where there is one, and is signed for like every other file; one that cannot be had ends the export before
// anything is written.
func TestPageGoesAlong(t *testing.T) {
	w := newWorld(t)
	in := w.openCase()
	item := w.deposit(w.clinician, in, w.consent(in), strings.NewReader("x"))
	var page []byte
	var failing error
	w.second.cfg.Page = func(context.Context) ([]byte, error) { return page, failing }
	export := func() (string, error) {
		file := filepath.Join(t.TempDir(), "copy.zip")
		return file, SaveAs(file, func(dst io.Writer) error {
			_, err := w.second.Export(t.Context(), Export{Item: item, Purpose: evidence.ForInvestigation}, dst)
			return err
		})
	}
	inside := func(file string) []byte {
		r := must(zip.OpenReader(file))(t)
		defer r.Close()
		f, err := r.Open("VERIFY.html")
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		check(t, err)
		return must(io.ReadAll(f))(t)
	}
	for _, page = range [][]byte{nil, []byte("<!DOCTYPE html>")} {
		file := must(export())(t)
		if report := w.verify(file, w.second); report.Verdict != dossier.Verified || !bytes.Equal(inside(file), page) {
			t.Errorf("with %q: %s, %q", page, report.Verdict, inside(file))
		}
	}
	failing = errors.New("cannot be had")
	if file, err := export(); !errors.Is(err, failing) {
		t.Errorf("%s: %v", file, err)
	} else if _, err := os.Stat(file); err == nil {
		t.Error("there is a package")
	}
}

// Many act on one item at once: each signs on heads that are current, and none is lost.
func TestActsAtOnce(t *testing.T) {
	w := newWorld(t)
	in := w.openCase()
	item := w.deposit(w.clinician, in, w.consent(in), strings.NewReader("x"))
	var all sync.WaitGroup
	errs := make(chan error, 6)
	for _, p := range []*person{w.custodian, w.second, w.investigator} {
		for _, purpose := range []evidence.Purpose{evidence.ForCare, evidence.ForDocumentation} { // the same act in the same millisecond is one
			all.Go(func() {
				_, err := p.Open(t.Context(), Open{Item: item, Purpose: purpose}, io.Discard)
				errs <- err
			})
		}
	}
	all.Wait()
	close(errs)
	for err := range errs {
		check(t, err)
	}
	if n := len(must(w.custodian.History(t.Context(), evidence.ItemOf(item)))(t)); n != 7 {
		t.Errorf("%d events", n)
	}
}

// The device's clock is off by a quarter of an hour: statements carry the vault's time, and the person is told.
func TestDrift(t *testing.T) {
	w := newWorld(t)
	off := 15 * time.Minute
	c := w.client(w.custodian, nil)
	c.cfg.Now = func() time.Time { return time.Now().Add(-off) }
	c.clock.now = c.cfg.Now
	_, err := c.Suspend(t.Context(), w.admin.Actor(), evidence.CauseError, evidence.At(time.Now().Add(time.Hour)))
	check(t, err)
	if d := c.Drift() - off; d.Abs() > 2*time.Second {
		t.Errorf("drift %v", c.Drift())
	}
	if w.admin.Drift() != 0 {
		t.Errorf("drift %v of a clock that is right", w.admin.Drift())
	}
}

// way is a transport with something in it.
type way func(req *http.Request) (*http.Response, error)

func (w way) RoundTrip(req *http.Request) (*http.Response, error) { return w(req) }

func answer(req *http.Request, status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: make(http.Header), Request: req, Body: io.NopCloser(strings.NewReader(body)),
		ContentLength: int64(len(body)), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
}

func TestBadWays(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	in := w.openCase()
	original := random(5 << 20)
	item := w.deposit(w.clinician, in, w.consent(in), bytes.NewReader(original))
	open := func(t *testing.T, ctx context.Context, transport way) error {
		var got bytes.Buffer
		_, err := w.client(w.second, transport).Open(ctx, Open{Item: item, Purpose: evidence.ForCare}, &got)
		if err == nil && !bytes.Equal(got.Bytes(), original) {
			t.Error("something else arrived")
		}
		return err
	}
	honest := http.DefaultTransport.RoundTrip
	is := func(req *http.Request, method, suffix string) bool {
		return req.Method == method && strings.HasSuffix(req.URL.Path, suffix)
	}

	t.Run("the session ends", func(t *testing.T) {
		ended := 0
		check(t, open(t, ctx, func(req *http.Request) (*http.Response, error) {
			if ended < 2 && (is(req, "POST", "/v1/events") || is(req, "POST", "/v1/complete") && ended == 0) {
				ended++
				return answer(req, http.StatusUnauthorized, `{"reason":"session"}`), nil
			}
			return honest(req)
		}))
		if ended != 2 {
			t.Error("it did not")
		}
	})
	t.Run("the answer to a submission is lost", func(t *testing.T) {
		lost := false
		before := len(must(w.second.History(ctx, evidence.ItemOf(item)))(t))
		check(t, open(t, ctx, func(req *http.Request) (*http.Response, error) {
			resp, err := honest(req)
			if err == nil && !lost && is(req, "POST", "/v1/events") {
				lost = true
				resp.Body.Close()
				return nil, io.ErrUnexpectedEOF
			}
			return resp, err
		}))
		if after := len(must(w.second.History(ctx, evidence.ItemOf(item)))(t)); after != before+1 || !lost {
			t.Errorf("%d events became %d", before, after)
		}
	})
	t.Run("the log is slow", func(t *testing.T) {
		polls := 0
		short, giveUp := context.WithCancel(ctx)
		defer giveUp()
		slow := func(req *http.Request) (*http.Response, error) {
			resp, err := honest(req)
			if err != nil || !is(req, "POST", "/v1/events") && !strings.HasPrefix(req.URL.Path, "/v1/events/") || polls == 3 || strings.Count(req.URL.Path, "/") > 3 {
				return resp, err
			}
			if polls++; polls == 0 {
				giveUp()
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			leaf := string(body[bytes.Index(body, []byte(`"leaf_hash":"`))+13:][:64])
			return answer(req, http.StatusAccepted, `{"leaf_hash":"`+leaf+`"}`), err
		}
		check(t, open(t, ctx, slow))
		if polls != 3 {
			t.Errorf("%d polls", polls)
		}
		polls = -4 // the person gives up after as many
		err := open(t, short, slow)
		if evidence.KindOf(err) != evidence.Pending || evidence.ReasonOf(err) != "proof_pending" {
			t.Errorf("without an answer: %v", err)
		}
	})
	t.Run("the download breaks, and the release ends", func(t *testing.T) {
		breaks, renewed := 0, 0
		check(t, open(t, ctx, func(req *http.Request) (*http.Response, error) {
			if is(req, "GET", "/evidence") && breaks == 2 && renewed == 0 {
				return answer(req, http.StatusGone, `{"reason":"release_expired"}`), nil
			}
			resp, err := honest(req)
			if is(req, "POST", "/opening") {
				renewed++
			}
			if err == nil && is(req, "GET", "/evidence") && breaks < 3 {
				breaks++
				body := resp.Body
				resp.Body = struct {
					io.Reader
					io.Closer
				}{io.MultiReader(io.LimitReader(body, 1<<20), broken{}), body}
			}
			return resp, err
		}))
		if breaks != 3 || renewed != 1 {
			t.Errorf("%d breaks, %d renewals", breaks, renewed)
		}
	})
	t.Run("a refusal keeps the vault's words", func(t *testing.T) {
		err := open(t, ctx, func(req *http.Request) (*http.Response, error) {
			if is(req, "POST", "/v1/events") {
				return answer(req, http.StatusLocked, `{"type":"t","title":"Blocked","status":423,"detail":"d","reason":"hold","kept":"k","next":"n"}`), nil
			}
			return honest(req)
		})
		if p := (*Problem)(nil); !errors.As(err, &p) || p.Title != "Blocked" || evidence.KindOf(err) != evidence.Held {
			t.Errorf("%v", err)
		}
	})
	t.Run("conflicts without end", func(t *testing.T) {
		n := 0
		err := open(t, ctx, func(req *http.Request) (*http.Response, error) {
			if is(req, "POST", "/v1/events") {
				n++
				return answer(req, http.StatusConflict, `{"reason":"stale_basis"}`), nil
			}
			return honest(req)
		})
		wantReason(t, err, evidence.ReasonStaleBasis)
		if n != attempts {
			t.Errorf("%d attempts", n)
		}
	})
	t.Run("an answer without end", func(t *testing.T) {
		err := open(t, ctx, func(req *http.Request) (*http.Response, error) {
			if is(req, "GET", "/v1/log/checkpoint") {
				r := answer(req, http.StatusOK, "")
				r.Body, r.ContentLength = io.NopCloser(&countingReader{}), -1
				return r, nil
			}
			return honest(req)
		})
		wantLie(t, err, Malformed)
	})
}

func TestPin(t *testing.T) {
	folder := must(OpenFolder(t.TempDir()))(t)
	for range 2 {
		check(t, Pin(folder, first.trust))
	}
	parts := tlog.TrustParts{Vault: "other.example", Logs: first.trust.Logs(), Founders: first.trust.Founders()}
	if err := Pin(folder, must(tlog.NewTrust(parts))(t)); !errors.Is(err, ErrPinned) {
		t.Errorf("another trust file: %v", err)
	}
	for _, address := range []string{"", "vault.example", "ftp://vault.example", "https://user@vault.example", "https://vault.example/path", "https://vault.example?x"} {
		check(t, WriteProfile(folder, Profile{Address: address}))
		if _, err := New(Config{Keystore: folder, Now: time.Now}); evidence.ReasonOf(err) != "address" {
			t.Errorf("%q: %v", address, err)
		}
	}
}

// A founder's stream stands on no other; the vault's own act that proves it whole does.
func TestFounderAlone(t *testing.T) {
	w := newWorld(t)
	view, err := w.admin.Look(t.Context(), evidence.ActorOf(w.admin.Actor()))
	check(t, err)
	if who := must(state[*evidence.ActorState](view, evidence.ActorOf(w.admin.Actor())))(t); !who.Founder {
		t.Errorf("%+v", who)
	}
}
