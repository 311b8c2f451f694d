package campaign

import (
	"context"
	"io"
	"time"

	"strongroom.example/strongroom/internal/auth"
	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/heads"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/objects"
	"strongroom.example/strongroom/internal/sqldb"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/translog/embedded"
	"strongroom.example/strongroom/internal/vault"
)

// The ports, each call of which may fail. What is not named here passes.

type faultyTree struct {
	*embedded.Log
	f *faults
}

func (t faultyTree) Append(ctx context.Context, leaves []tlog.TreeLeaf) ([]int64, error) {
	return through(ctx, t.f, "tree.Append", func(ctx context.Context) ([]int64, error) { return t.Log.Append(ctx, leaves) })
}

func (t faultyTree) Root(ctx context.Context) (tlog.Root, error) {
	return through(ctx, t.f, "tree.Root", t.Log.Root)
}

func (t faultyTree) Inclusion(ctx context.Context, index, size int64) ([][]byte, error) {
	return through(ctx, t.f, "tree.Inclusion", func(ctx context.Context) ([][]byte, error) { return t.Log.Inclusion(ctx, index, size) })
}

func (t faultyTree) Consistency(ctx context.Context, from, to int64) ([][]byte, error) {
	return through(ctx, t.f, "tree.Consistency", func(ctx context.Context) ([][]byte, error) { return t.Log.Consistency(ctx, from, to) })
}

func (t faultyTree) Leaves(ctx context.Context, start, count int64) ([]tlog.TreeLeaf, error) {
	return through(ctx, t.f, "tree.Leaves", func(ctx context.Context) ([]tlog.TreeLeaf, error) { return t.Log.Leaves(ctx, start, count) })
}

type faultyObjects struct {
	objects.Store
	f *faults
}

func (o faultyObjects) StageCreate(ctx context.Context, id string, size int64) error {
	return attempt(ctx, o.f, "objects.StageCreate", func(ctx context.Context) error { return o.Store.StageCreate(ctx, id, size) })
}

// StageAppend is torn where its reader breaks off; what became durable counts beside the error.
func (o faultyObjects) StageAppend(ctx context.Context, id string, offset int64, r io.Reader) (int64, error) {
	const call = "objects.StageAppend"
	w, delay := o.f.draw(call)
	switch w {
	case before:
		return 0, failed(call, errFault)
	case full:
		return 0, failed(call, errFull)
	case slow:
		time.Sleep(delay)
	case late:
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, delay/10)
		defer cancel()
	case torn:
		r = &tornReader{r, int(delay) % (1 << 20)}
	}
	n, err := o.Store.StageAppend(ctx, id, offset, r)
	if w == after && err == nil {
		return 0, failed(call, errFault)
	}
	return n, err
}

func (o faultyObjects) StageInfo(ctx context.Context, id string) (objects.StageInfo, error) {
	return through(ctx, o.f, "objects.StageInfo", func(ctx context.Context) (objects.StageInfo, error) { return o.Store.StageInfo(ctx, id) })
}

func (o faultyObjects) StageOpen(ctx context.Context, id string) (io.ReadCloser, error) {
	return through(ctx, o.f, "objects.StageOpen", func(ctx context.Context) (io.ReadCloser, error) { return o.Store.StageOpen(ctx, id) })
}

func (o faultyObjects) StageSums(ctx context.Context, id string) (objects.Sums, error) {
	return through(ctx, o.f, "objects.StageSums", func(ctx context.Context) (objects.Sums, error) { return o.Store.StageSums(ctx, id) })
}

func (o faultyObjects) StageCommit(ctx context.Context, id string, want objects.Digest) (objects.Info, error) {
	return through(ctx, o.f, "objects.StageCommit", func(ctx context.Context) (objects.Info, error) { return o.Store.StageCommit(ctx, id, want) })
}

func (o faultyObjects) StageRemove(ctx context.Context, id string) error {
	return attempt(ctx, o.f, "objects.StageRemove", func(ctx context.Context) error { return o.Store.StageRemove(ctx, id) })
}

func (o faultyObjects) Open(ctx context.Context, d objects.Digest) (objects.Object, error) {
	return through(ctx, o.f, "objects.Open", func(ctx context.Context) (objects.Object, error) { return o.Store.Open(ctx, d) })
}

func (o faultyObjects) Verify(ctx context.Context, d objects.Digest) (objects.Sums, error) {
	return through(ctx, o.f, "objects.Verify", func(ctx context.Context) (objects.Sums, error) { return o.Store.Verify(ctx, d) })
}

type faultyRecords struct {
	*sqldb.DB
	f *faults
}

func (r faultyRecords) Commit(ctx context.Context, c ledger.Commit, judge ledger.Judge) (ledger.Entry, error) {
	return through(ctx, r.f, "records.Commit", func(ctx context.Context) (ledger.Entry, error) { return r.DB.Commit(ctx, c, judge) })
}

func (r faultyRecords) Pending(ctx context.Context, limit int) ([]ledger.Entry, error) {
	return through(ctx, r.f, "records.Pending", func(ctx context.Context) ([]ledger.Entry, error) { return r.DB.Pending(ctx, limit) })
}

func (r faultyRecords) Include(ctx context.Context, size int64, checkpoint []byte, included []ledger.Inclusion) error {
	return attempt(ctx, r.f, "records.Include", func(ctx context.Context) error { return r.DB.Include(ctx, size, checkpoint, included) })
}

func (r faultyRecords) Checkpoint(ctx context.Context) ([]byte, error) {
	return through(ctx, r.f, "records.Checkpoint", r.DB.Checkpoint)
}

func (r faultyRecords) Entry(ctx context.Context, leaf ev.Hash) (ledger.Entry, error) {
	return through(ctx, r.f, "records.Entry", func(ctx context.Context) (ledger.Entry, error) { return r.DB.Entry(ctx, leaf) })
}

func (r faultyRecords) LogRange(ctx context.Context, start, end int64) ([]ledger.Entry, error) {
	return through(ctx, r.f, "records.LogRange", func(ctx context.Context) ([]ledger.Entry, error) { return r.DB.LogRange(ctx, start, end) })
}

func (r faultyRecords) Places(ctx context.Context, start, end int64) ([]ledger.Place, error) {
	return through(ctx, r.f, "records.Places", func(ctx context.Context) ([]ledger.Place, error) { return r.DB.Places(ctx, start, end) })
}

func (r faultyRecords) States(ctx context.Context, streams ...ev.Stream) (map[ev.Stream]ev.State, error) {
	return through(ctx, r.f, "records.States", func(ctx context.Context) (map[ev.Stream]ev.State, error) { return r.DB.States(ctx, streams...) })
}

func (r faultyRecords) Stream(ctx context.Context, s ev.Stream, after int64, limit int) ([]ledger.Entry, error) {
	return through(ctx, r.f, "records.Stream", func(ctx context.Context) ([]ledger.Entry, error) { return r.DB.Stream(ctx, s, after, limit) })
}

func (r faultyRecords) HeadsBucket(ctx context.Context, prefix uint16) ([]heads.Entry, error) {
	return through(ctx, r.f, "records.HeadsBucket", func(ctx context.Context) ([]heads.Entry, error) { return r.DB.HeadsBucket(ctx, prefix) })
}

func (r faultyRecords) HeadsBuckets(ctx context.Context, f func(uint16, heads.Summary) error) error {
	return attempt(ctx, r.f, "records.HeadsBuckets", func(ctx context.Context) error { return r.DB.HeadsBuckets(ctx, f) })
}

func (r faultyRecords) Attachment(ctx context.Context, event, digest ev.Hash) (ledger.Attachment, error) {
	return through(ctx, r.f, "records.Attachment", func(ctx context.Context) (ledger.Attachment, error) { return r.DB.Attachment(ctx, event, digest) })
}

func (r faultyRecords) StreamAttachment(ctx context.Context, s ev.Stream, digest ev.Hash) (ledger.Attachment, error) {
	return through(ctx, r.f, "records.StreamAttachment", func(ctx context.Context) (ledger.Attachment, error) {
		return r.DB.StreamAttachment(ctx, s, digest)
	})
}

func (r faultyRecords) Envelope(ctx context.Context, s ev.Stream, recipient ev.Hash) (ledger.Attachment, error) {
	return through(ctx, r.f, "records.Envelope", func(ctx context.Context) (ledger.Attachment, error) { return r.DB.Envelope(ctx, s, recipient) })
}

func (r faultyRecords) Destroy(ctx context.Context, s ev.Stream) error {
	return attempt(ctx, r.f, "records.Destroy", func(ctx context.Context) error { return r.DB.Destroy(ctx, s) })
}

func (r faultyRecords) Key(ctx context.Context, keyID ev.Hash) (id ev.ActorID, spki []byte, err error) {
	err = attempt(ctx, r.f, "records.Key", func(ctx context.Context) error {
		id, spki, err = r.DB.Key(ctx, keyID)
		return err
	})
	return id, spki, err
}

func (r faultyRecords) PutUpload(ctx context.Context, u vault.Upload) error {
	return attempt(ctx, r.f, "records.PutUpload", func(ctx context.Context) error { return r.DB.PutUpload(ctx, u) })
}

func (r faultyRecords) Upload(ctx context.Context, id ev.UploadID) (vault.Upload, error) {
	return through(ctx, r.f, "records.Upload", func(ctx context.Context) (vault.Upload, error) { return r.DB.Upload(ctx, id) })
}

func (r faultyRecords) DropUpload(ctx context.Context, id ev.UploadID) error {
	return attempt(ctx, r.f, "records.DropUpload", func(ctx context.Context) error { return r.DB.DropUpload(ctx, id) })
}

func (r faultyRecords) PutInvitation(ctx context.Context, i vault.Invitation) error {
	return attempt(ctx, r.f, "records.PutInvitation", func(ctx context.Context) error { return r.DB.PutInvitation(ctx, i) })
}

func (r faultyRecords) AnswerInvitation(ctx context.Context, digest ev.Hash, keys ev.Keys) error {
	return attempt(ctx, r.f, "records.AnswerInvitation", func(ctx context.Context) error { return r.DB.AnswerInvitation(ctx, digest, keys) })
}

func (r faultyRecords) PutRelease(ctx context.Context, release vault.Release) error {
	return attempt(ctx, r.f, "records.PutRelease", func(ctx context.Context) error { return r.DB.PutRelease(ctx, release) })
}

func (r faultyRecords) Release(ctx context.Context, event ev.Hash) (vault.Release, error) {
	return through(ctx, r.f, "records.Release", func(ctx context.Context) (vault.Release, error) { return r.DB.Release(ctx, event) })
}

func (r faultyRecords) PutChallenge(ctx context.Context, nonce ev.Hash, expires time.Time) error {
	return attempt(ctx, r.f, "records.PutChallenge", func(ctx context.Context) error { return r.DB.PutChallenge(ctx, nonce, expires) })
}

func (r faultyRecords) TakeChallenge(ctx context.Context, nonce ev.Hash, now time.Time) error {
	return attempt(ctx, r.f, "records.TakeChallenge", func(ctx context.Context) error { return r.DB.TakeChallenge(ctx, nonce, now) })
}

func (r faultyRecords) PutSession(ctx context.Context, token ev.Hash, s auth.Session) error {
	return attempt(ctx, r.f, "records.PutSession", func(ctx context.Context) error { return r.DB.PutSession(ctx, token, s) })
}

func (r faultyRecords) Session(ctx context.Context, token ev.Hash) (auth.Session, error) {
	return through(ctx, r.f, "records.Session", func(ctx context.Context) (auth.Session, error) { return r.DB.Session(ctx, token) })
}
