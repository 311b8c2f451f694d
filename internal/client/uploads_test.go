package client

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/evidence"
)

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
