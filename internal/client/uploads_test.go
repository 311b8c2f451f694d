package client

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/evidence"
)

// link is the way to the vault over TCP, through a proxy that does to each connection what fate says.
type link struct {
	t     *testing.T
	to    string
	at    net.Listener
	fate  func(n int) fate // of connection n, from 1
	count atomic.Int32
	cuts  atomic.Int32
}

// fate is what becomes of one connection.
type fate struct {
	up   int64         // bytes that get through to the vault before it is cut, 0 for all
	rate int64         // bytes a second in each direction, 0 for as many as there are
	late time.Duration // of every piece
}

func newLink(t *testing.T, w *world, f func(n int) fate) *link {
	t.Helper()
	l := &link{t: t, to: strings.TrimPrefix(w.server.URL, "http://"), at: must(net.Listen("tcp", "127.0.0.1:0"))(t), fate: f}
	t.Cleanup(func() { l.at.Close() })
	go func() {
		for {
			conn, err := l.at.Accept()
			if err != nil {
				return
			}
			go l.carry(conn, l.fate(int(l.count.Add(1))))
		}
	}()
	return l
}

func (l *link) carry(client net.Conn, f fate) {
	defer client.Close()
	vault, err := net.Dial("tcp", l.to)
	if err != nil {
		return
	}
	defer vault.Close()
	go func() {
		l.pass(client, vault, f, 0)
		client.Close()
	}()
	if l.pass(vault, client, f, f.up) {
		l.cuts.Add(1)
		// Whatever was on its way gets lost with it.
		vault.(*net.TCPConn).SetLinger(0)
		client.(*net.TCPConn).SetLinger(0)
	}
}

// pass copies until limit bytes have passed, and reports whether that ended it.
func (l *link) pass(dst io.Writer, src io.Reader, f fate, limit int64) bool {
	piece := make([]byte, 32<<10)
	for passed := int64(0); ; {
		n, err := src.Read(piece)
		if limit > 0 && passed+int64(n) >= limit {
			dst.Write(piece[:limit-passed])
			return true
		}
		passed += int64(n)
		if f.rate > 0 {
			time.Sleep(time.Duration(n) * time.Second / time.Duration(f.rate))
		}
		time.Sleep(f.late)
		if _, failed := dst.Write(piece[:n]); err != nil || failed != nil {
			return false
		}
	}
}

func (l *link) transport() *http.Transport {
	return &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, l.at.Addr().String())
	}}
}

// same demands that an item opens as the original, and was accepted once.
func (w *world) same(id evidence.ItemID, original []byte) {
	w.Helper()
	v := must(w.custodian.Look(w.Context(), evidence.ItemOf(id)))(w)
	if n := v.Len(evidence.ItemOf(id)); n != 1 {
		w.Errorf("%d events of one deposit", n)
	}
	var got bytes.Buffer
	_, err := w.custodian.Open(w.Context(), Open{Item: id, Purpose: evidence.ForCare}, &got)
	check(w, err)
	if !bytes.Equal(got.Bytes(), original) {
		w.Error("the item opens as something else")
	}
}

func TestBadLinks(t *testing.T) {
	w := newWorld(t)
	in := w.openCase()
	consent := w.consent(in)
	original := random(12 << 20)
	for name, c := range map[string]struct {
		size int
		fate func(n int) fate
		cuts int32
	}{
		// Some get through whole, or nothing but small requests ever would.
		"cut at random offsets": {12 << 20, func(n int) fate {
			return fate{up: rand.New(rand.NewPCG(7, uint64(n))).Int64N(3<<20) + 1}
		}, 5},
		"each connection carries half of the one before": {12 << 20, func(n int) fate { return fate{up: max(int64(8<<20)>>(n/2), 256<<10)} }, 5},
		"slow, and every piece late":                     {600 << 10, func(int) fate { return fate{rate: 300 << 10, late: 10 * time.Millisecond} }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLink(t, w, c.fate)
			id, receipt, err := w.client(w.clinician, l.transport()).Deposit(t.Context(), w.photo(in, consent, bytes.NewReader(original[:c.size])))
			check(t, err)
			if receipt == nil || l.cuts.Load() < c.cuts {
				t.Errorf("%d cuts, want %d or more", l.cuts.Load(), c.cuts)
			}
			w.same(id, original[:c.size])
		})
	}
}

// meddler changes requests and answers between a client and the vault.
type meddler func(req *http.Request, next http.RoundTripper) (*http.Response, error)

func (m meddler) RoundTrip(req *http.Request) (*http.Response, error) {
	return m(req, http.DefaultTransport)
}

func TestMeddlingMiddle(t *testing.T) {
	w := newWorld(t)
	in := w.openCase()
	consent := w.consent(in)
	original := random(6 << 20)
	deposit := func(t *testing.T, m meddler) evidence.ItemID {
		t.Helper()
		id, receipt, err := w.client(w.clinician, m).Deposit(t.Context(), w.photo(in, consent, bytes.NewReader(original)))
		check(t, err)
		if receipt == nil {
			t.Error("no receipt")
		}
		return id
	}
	t.Run("every request twice", func(t *testing.T) {
		w.same(deposit(t, func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
			if req.GetBody != nil && !strings.HasPrefix(req.URL.Path, "/v1/sign-in") { // a challenge is answered once
				again := req.Clone(req.Context())
				again.Body = must(req.GetBody())(t)
				if resp, err := next.RoundTrip(again); err == nil {
					io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
			}
			return next.RoundTrip(req)
		}), original)
	})
	t.Run("a small file whose answers are lost", func(t *testing.T) {
		small := random(1000)
		var lost, creations atomic.Int32
		id, _, err := w.client(w.clinician, meddler(func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
			resp, err := next.RoundTrip(req)
			if err == nil && req.Method == http.MethodPost && req.URL.Path == uploadsPath {
				creations.Add(1)
			}
			if err == nil && (req.URL.Path == uploadsPath || isPatch(req) || isEvent(req)) && lost.Add(1)%2 == 1 {
				resp.Body.Close()
				return nil, errors.New("lost")
			}
			return resp, err
		})).Deposit(t.Context(), w.photo(in, consent, bytes.NewReader(small)))
		check(t, err)
		if creations.Load() != 2 {
			t.Errorf("%d uploads were begun", creations.Load())
		}
		w.same(id, small)
	})
	t.Run("a small file whose answer says too much", func(t *testing.T) {
		_, _, err := w.client(w.clinician, meddler(func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
			resp, err := next.RoundTrip(req)
			if err == nil && req.Method == http.MethodPost && req.URL.Path == uploadsPath {
				resp.Header.Set("Upload-Offset", "1000000000")
			}
			return resp, err
		})).Deposit(t.Context(), w.photo(in, consent, strings.NewReader("small")))
		wantLie(t, err, Malformed)
		check(t, must(w.clinician.ResumeDeposits(t.Context(), nil))(t)[0].Err)
	})
	t.Run("one answer in five is lost", func(t *testing.T) {
		var n atomic.Int32
		w.same(deposit(t, func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
			resp, err := next.RoundTrip(req)
			if err == nil && n.Add(1)%5 == 1 {
				resp.Body.Close()
				return nil, errors.New("lost")
			}
			return resp, err
		}), original)
	})
	t.Run("a byte changes on the way", func(t *testing.T) {
		var changed atomic.Int32
		var sent []string
		id := deposit(t, func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
			if req.Method == http.MethodPost && req.URL.Path == uploadsPath {
				sent = append(sent, req.Header.Get("Upload-Length"))
			}
			if isPatch(req) && changed.Add(1) == 1 {
				body := must(io.ReadAll(req.Body))(t)
				body[2<<20] ^= 1
				req.Body = io.NopCloser(bytes.NewReader(body))
			}
			return next.RoundTrip(req)
		})
		if len(sent) != 2 || sent[0] != sent[1] {
			t.Errorf("uploads of these lengths: %v", sent)
		}
		w.same(id, original)
	})
}

// What the vault says of an upload is compared with what was sent.
func TestOffsetLies(t *testing.T) {
	w := newWorld(t)
	in := w.openCase()
	consent := w.consent(in)
	original := random(partSize + 1<<20)
	says := func(resp *http.Response, offset int64) *http.Response {
		resp.Header.Set("Upload-Offset", strconv.FormatInt(offset, 10))
		return resp
	}
	// cut lets the second part reach the vault half, so that the client asks where it stands.
	cut := func(req *http.Request, next http.RoundTripper, after int64) (*http.Response, error) {
		half := req.Clone(req.Context())
		half.Body = io.NopCloser(io.MultiReader(io.LimitReader(req.Body, after), broken{}))
		next.RoundTrip(half)
		return nil, errors.New("cut")
	}
	for name, c := range map[string]struct {
		lie    Lie
		reason string
		m      meddler
	}{
		"more arrived than was sent": {FalseOffset, "", func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
			resp, err := next.RoundTrip(req)
			if err == nil && isPatch(req) {
				resp = says(resp, partSize+1)
			}
			return resp, err
		}},
		"nothing arrived": {FalseOffset, "", func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
			resp, err := next.RoundTrip(req)
			if err == nil && isPatch(req) {
				resp = says(resp, 0)
			}
			return resp, err
		}},
		"beyond the end": {Malformed, "", func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
			resp, err := next.RoundTrip(req)
			if err == nil && isPatch(req) {
				resp = says(resp, 1<<40)
			}
			return resp, err
		}},
		"what was acknowledged is gone": {FalseOffset, "", func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
			if isPatch(req) && req.Header.Get("Upload-Offset") != "0" {
				return cut(req, next, 1<<10)
			}
			resp, err := next.RoundTrip(req)
			if err == nil && req.Method == http.MethodHead {
				resp = says(resp, partSize-1)
			}
			return resp, err
		}},
		"what was never sent is there": {"", reasonBusy, func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
			if isPatch(req) {
				return cut(req, next, 1<<10)
			}
			resp, err := next.RoundTrip(req)
			if err == nil && req.Method == http.MethodHead {
				resp = says(resp, partSize+1)
			}
			return resp, err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			c0 := w.client(w.clinician, c.m)
			_, _, err := c0.Deposit(t.Context(), w.photo(in, consent, bytes.NewReader(original)))
			if c.reason != "" {
				wantReason(t, err, c.reason)
			} else {
				wantLie(t, err, c.lie)
			}
			// The honest vault takes it afterwards, as it was sealed.
			done := must(w.clinician.ResumeDeposits(t.Context(), nil))(t)
			if len(done) != 1 || done[0].Err != nil {
				t.Fatalf("%+v", done)
			}
			w.same(done[0].Item, original)
		})
	}
}

// One upload, two who send it: on one device the second is told so, from two devices both bring the same bytes, and it is one deposit.
func TestTwoSenders(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	in := w.openCase()
	consent := w.consent(in)
	original := random(6 << 20)

	held, go_ := make(chan struct{}), make(chan struct{})
	var once sync.Once
	slow := w.client(w.clinician, meddler(func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
		if isPatch(req) {
			once.Do(func() { close(held); <-go_ })
		}
		return next.RoundTrip(req)
	}))
	ended := make(chan error, 1)
	var first evidence.ItemID
	go func() {
		id, _, err := slow.Deposit(ctx, w.photo(in, consent, bytes.NewReader(original)))
		first = id
		ended <- err
	}()
	<-held
	done := must(w.client(w.clinician, nil).ResumeDeposits(ctx, nil))(t)
	if len(done) != 1 || evidence.ReasonOf(done[0].Err) != reasonBusy {
		t.Errorf("the second sender: %+v", done)
	}
	close(go_)
	check(t, <-ended)
	w.same(first, original)

	left := w.killed(&killer{at: isPatch, after: 2 << 20}, w.photo(in, consent, bytes.NewReader(original)))
	other := *w.clinician
	other.folder = must(OpenFolder(t.TempDir() + "/copy"))(t)
	check(t, os.CopyFS(string(other.folder), os.DirFS(string(w.clinician.folder))))
	var both sync.WaitGroup
	for _, p := range []*person{w.clinician, &other} {
		c := w.client(p, nil)
		both.Go(func() {
			done, err := c.ResumeDeposits(ctx, nil)
			if err != nil || len(done) != 1 || done[0].Item != left.Item {
				t.Errorf("%v, %+v", err, done)
			} else if err := done[0].Err; err != nil && evidence.KindOf(err) != evidence.Conflict {
				t.Error(err)
			}
		})
	}
	both.Wait()
	w.same(left.Item, original)
}

// What was sealed is gone or damaged: its key never seals again, the vault is told to drop what it has, and the file is sealed anew.
func TestLostSealedFile(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	in := w.openCase()
	consent := w.consent(in)
	original := random(5 << 20)
	photo := func() Deposit {
		d := w.photo(in, consent, bytes.NewReader(original))
		d.Size = int64(len(original))
		return d
	}
	for name, damage := range map[string]func(file string) error{
		"removed":   os.Remove,
		"cut short": func(file string) error { return os.Truncate(file, 100) },
		"a changed byte": func(file string) error {
			f, err := os.OpenFile(file, os.O_RDWR, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteAt([]byte("changed"), 4<<20)
			return errors.Join(err, f.Close())
		},
	} {
		t.Run(name, func(t *testing.T) {
			left := w.killedOnce(&killer{at: isPatch, after: 1 << 20}, photo())
			check(t, damage(must(w.clinician.folder.path(left.file()))(t)))
			done := must(w.clinician.ResumeDeposits(ctx, nil))(t)
			if len(done) != 1 || evidence.ReasonOf(done[0].Err) != reasonSealedFile {
				t.Fatalf("%+v", done)
			}
			if _, err := w.clinician.uploadOffset(ctx, left.Upload, left.Details.Evidence.Size); !errors.Is(err, errNoUpload) {
				t.Errorf("the vault still has the upload: %v", err)
			}
			if names := must(w.clinician.folder.List(depositsDir))(t); len(names) > 0 {
				t.Errorf("left: %v", names)
			}
			anew := must(w.clinician.DepositOnce(ctx, photo()))(t)
			v := must(w.custodian.Look(ctx, evidence.ItemOf(anew.Item)))(t)
			if item := must(state[*evidence.ItemState](v, evidence.ItemOf(anew.Item)))(t); item.ItemRecipient == left.Details.ItemRecipient || item.ID == left.Item {
				t.Error("the lost key was used again")
			}
			w.same(anew.Item, original)
			check(t, w.clinician.folder.Remove(doneDoc(markOf(photo()))))
		})
	}
}

// killedOnce is killed for a DepositOnce.
func (w *world) killedOnce(k *killer, d Deposit) draft {
	w.Helper()
	ctx, cancel := context.WithCancel(w.Context())
	defer cancel()
	k.kill = cancel
	if _, err := w.client(w.clinician, k).DepositOnce(ctx, d); err == nil || !k.happens {
		w.Fatalf("the deposit was not killed: %v", err)
	}
	names := must(w.clinician.folder.List(depositsDir))(w)
	i := slices.IndexFunc(names, func(n string) bool { return strings.HasSuffix(n, ".json") })
	if i < 0 {
		w.Fatal("no draft is left")
	}
	return must(w.clinician.draftAt(names[i]))(w)
}

// A command that is repeated finds what an earlier one did, to whatever point that came.
func TestDepositOnce(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	in := w.openCase()
	consent := w.consent(in)
	original := random(4 << 20)
	photo := func(content []byte) Deposit {
		d := w.photo(in, consent, bytes.NewReader(content))
		d.Size = int64(len(content))
		return d
	}
	items := func() int { return len(must(w.custodian.Items(ctx, in))(t)) }
	before := items()

	for name, k := range map[string]*killer{
		"in the upload": {at: isPatch, after: 1 << 20}, "before the event": {at: isEvent}, "the answer to the event is lost": {at: isEvent, after: -1},
	} {
		t.Run(name, func(t *testing.T) {
			content := append(random(100), original...)
			left := w.killedOnce(k, photo(content))
			done := must(w.client(w.clinician, nil).DepositOnce(ctx, photo(content)))(t)
			if done.Item != left.Item || done.Before {
				t.Errorf("%+v after %s", done, left.Item)
			}
			w.same(done.Item, content)
			again := must(w.client(w.clinician, nil).DepositOnce(ctx, photo(content)))(t)
			if !again.Before || again.Item != left.Item || again.Event != done.Event || again.Index != done.Index {
				t.Errorf("repeated: %+v, before %+v", again, done)
			}
			before++
		})
	}
	// Killed when all is noted, but the draft not removed: the next one does that.
	settled := w.killedOnce(&killer{at: isPatch, after: 1 << 20}, photo(original[:4<<20-1]))
	check(t, w.clinician.remember(&settled, &Receipt{Event: &evidence.Event{}}))
	if again := must(w.clinician.DepositOnce(ctx, photo(original[:4<<20-1])))(t); !again.Before || again.Item != settled.Item {
		t.Errorf("settled: %+v", again)
	}
	if names := must(w.clinician.folder.List(depositsDir))(t); len(names) > 0 {
		t.Errorf("left: %v", names)
	}
	// The same name and size, other content; then, while it waits, the original is moved away and replaced.
	left := w.killedOnce(&killer{at: isPatch, after: 1 << 20}, photo(original))
	other := random(len(original))
	replaced := must(w.client(w.clinician, nil).DepositOnce(ctx, photo(other)))(t)
	if replaced.Before || replaced.Item == left.Item {
		t.Errorf("another content: %+v", replaced)
	}
	w.same(replaced.Item, other)
	w.resumed(left, original)
	// Another case, consent or name is another deposit; twenty at once are one.
	d := photo(original)
	d.Description.Name = "other.jpg"
	if named := must(w.clinician.DepositOnce(ctx, d))(t); named.Before {
		t.Error("another name is not the same deposit")
	}
	small := random(1000)
	var all sync.WaitGroup
	var fresh atomic.Int32
	for range 20 {
		all.Go(func() {
			d, err := w.clinician.DepositOnce(ctx, photo(small))
			if err != nil {
				t.Error(err)
			} else if !d.Before {
				fresh.Add(1)
			}
		})
	}
	all.Wait()
	if fresh.Load() != 1 {
		t.Errorf("twenty at once were %d deposits", fresh.Load())
	}
	if n := items(); n != before+4 {
		t.Errorf("%d items, want %d", n, before+4)
	}
}

// Long offline: the vault has given up the upload. The same sealed file is sent again, and the person is told.
func TestExpiredUploads(t *testing.T) {
	var ahead atomic.Int64
	late := options
	late.Limits.UploadLife = 2 * time.Hour // the consent lasts longer
	late.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	w := newWorldWith(t, late)
	in := w.openCase()
	consent := w.consent(in)
	original := random(5 << 20)
	for name, at := range map[string]*killer{"half sent": {at: isPatch, after: 3 << 20}, "all sent": {at: isEvent}} {
		t.Run(name, func(t *testing.T) {
			left := w.killed(at, w.photo(in, consent, bytes.NewReader(original)))
			ahead.Add(int64(late.Limits.UploadLife + time.Hour))
			told := 0
			done := must(w.client(w.clinician, nil).ResumeDeposits(t.Context(), func(step Step, _, _ int64) {
				if step == Resending {
					told++
				}
			}))(t)
			if len(done) != 1 || done[0].Err != nil || told != 1 {
				t.Fatalf("told %d times: %+v", told, done)
			}
			v := must(w.custodian.Look(t.Context(), evidence.ItemOf(left.Item)))(t)
			if item := must(state[*evidence.ItemState](v, evidence.ItemOf(left.Item)))(t); item.Evidence != left.Details.Evidence {
				t.Error("it was sealed again")
			}
			w.same(left.Item, original)
		})
	}
}

// Over the quota: said at once, kept sealed, and finished when there is room.
func TestUploadQuota(t *testing.T) {
	few := options
	few.Limits.Uploads = 1
	w := newWorldWith(t, few)
	ctx := t.Context()
	in := w.openCase()
	consent := w.consent(in)
	original := random(5 << 20)
	first := w.killed(&killer{at: isPatch, after: 1000}, w.photo(in, consent, bytes.NewReader(original)))
	begun := time.Now()
	second, _, err := w.clinician.Deposit(ctx, w.photo(in, consent, bytes.NewReader(original)))
	wantReason(t, err, "upload_quota")
	if waited := time.Since(begun); waited > 20*time.Second {
		t.Errorf("it took %s to say so", waited)
	}
	for range 2 { // which of the two comes first is not said
		done := must(w.clinician.ResumeDeposits(ctx, nil))(t)
		for _, d := range done {
			if d.Err != nil && evidence.ReasonOf(d.Err) != "upload_quota" {
				t.Errorf("%+v", d)
			}
		}
	}
	w.same(first.Item, original)
	w.same(second, original)
}
