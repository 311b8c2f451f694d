package httpapi

import (
	"context"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/tus/tusd/v2/pkg/handler"
	"github.com/tus/tusd/v2/pkg/memorylocker"
	"golang.org/x/exp/slog"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/vault"
)

const uploadsPath = "/v1/uploads/"

// uploads speaks tus 1.0 (creation, creation-with-upload, termination, expiration): the protocol is tusd's, the bytes and whose they are the vault's.
type uploads struct {
	vault   *vault.Vault
	watches watches
	tus     *handler.UnroutedHandler
}

func newUploads(v *vault.Vault, w watches) (*uploads, error) {
	u := &uploads{vault: v, watches: w}
	parts := handler.NewStoreComposer()
	parts.UseCore(u)
	parts.UseTerminater(u)
	parts.UseLocker(locker{memorylocker.New()}) // between replicas the store's own check of the offset decides
	var err error
	u.tus, err = handler.NewUnroutedHandler(handler.Config{
		StoreComposer:        parts,
		BasePath:             uploadsPath,
		MaxSize:              evidence.MaxEvidence,
		DisableDownload:      true,
		DisableConcatenation: true,
		Cors:                 &handler.CorsConfig{Disable: true},
		AcquireLockTimeout:   10 * time.Second,
		NetworkTimeout:       time.Minute,
		Logger:               slog.New(slog.NewTextHandler(io.Discard, nil)), // it would log ids; observe logs
	})
	return u, err
}

// register adds the routes of the contract that are not generated. They pass through admit like all others: HEAD needs a session too.
func (u *uploads) register(routes gin.IRoutes) {
	routes.POST(uploadsPath, u.serve(u.tus.PostFile))
	routes.HEAD(uploadsPath+":upload", u.serve(u.tus.HeadFile))
	routes.PATCH(uploadsPath+":upload", u.serve(u.tus.PatchFile))
	routes.DELETE(uploadsPath+":upload", u.serve(u.tus.DelFile))
}

// exchange is one tus request: what the store must know of it, and what it did.
type exchange struct {
	by     vault.Caller
	watch  *watch
	err    error         // what the vault refused or failed at
	upload *vault.Upload // once known

	reading chan struct{} // closed once the part is read
	over    chan struct{} // closed at the end
	end     sync.Mutex    // held while over is closed, and while tusd sets a deadline
}

func (x *exchange) finish() {
	x.end.Lock()
	defer x.end.Unlock()
	close(x.over)
}

// during does f unless the exchange is over: the connection may serve another request then.
func (x *exchange) during(f func() error) error {
	x.end.Lock()
	defer x.end.Unlock()
	select {
	case <-x.over:
		return http.ErrHandlerTimeout
	default:
		return f()
	}
}

// locker keeps one writer to an upload. A newcomer takes over from who holds it, for that one's connection is mostly dead: but only once
// it reads its part. Before that tusd (v2.10) would set the body of the request while it looks whether there is one to close.
type locker struct{ *memorylocker.MemoryLocker }

func (l locker) NewLock(id string) (handler.Lock, error) {
	inner, err := l.MemoryLocker.NewLock(id)
	return held{inner}, err
}

type held struct{ lock handler.Lock }

func (h held) Lock(ctx context.Context, release func()) error {
	x := exchangeOf(ctx)
	return h.lock.Lock(ctx, func() {
		go func() {
			select {
			case <-x.reading:
				release()
			case <-x.over:
			}
		}()
	})
}

func (h held) Unlock() error { return h.lock.Unlock() }

type exchangeKey struct{}

func exchangeOf(ctx context.Context) *exchange { return ctx.Value(exchangeKey{}).(*exchange) }

func (u *uploads) serve(tus http.HandlerFunc) gin.HandlerFunc {
	byID := http.StripPrefix(uploadsPath, tus) // tusd takes the rest of the path for the id
	return func(c *gin.Context) {
		if c.GetHeader("Upload-Metadata") != "" { // it holds file names by custom
			refuse(c, evidence.Refuse(evidence.Invalid, "upload_metadata"))
			return
		}
		deadline(c.Writer, time.Minute) // tusd moves it with every read
		c.Header("Tus-Resumable", "1.0.0")
		ctx := c.Request.Context()
		x := &exchange{by: callerOf(ctx), watch: u.watches.session(ctx), reading: make(chan struct{}), over: make(chan struct{})}
		defer x.finish()
		w := &tusWriter{silenced{ResponseWriter: c.Writer}, x, c.Request.Method}
		byID.ServeHTTP(w, c.Request.WithContext(context.WithValue(ctx, exchangeKey{}, x)))
		if w.status == 0 {
			return
		}
		if c.Request.Method == http.MethodPost && x.upload != nil {
			// What came along did not arrive, and who sent it never learns what the upload is called.
			if err := u.vault.DropUpload(context.WithoutCancel(ctx), x.by, x.upload.ID); err != nil && x.err == nil {
				x.err = err
			}
		}
		if c.Request.Method != http.MethodHead {
			c.Header("Connection", "close") // what is left of the part is not read, and tusd may still be ending the connection's reads
		}
		refuse(c, x.refusal(w.status))
	}
}

// refusal is what the vault said, or what tusd's own status means here.
func (x *exchange) refusal(status int) error {
	if x.err != nil {
		return x.err
	}
	switch status {
	case http.StatusNotFound:
		return evidence.Refuse(evidence.NotFound, "upload")
	case http.StatusConflict:
		return evidence.Refuse(evidence.Conflict, "upload_offset")
	case http.StatusRequestEntityTooLarge:
		return evidence.Refuse(evidence.TooLarge, "upload_size")
	case http.StatusLocked:
		return evidence.Refuse(evidence.Conflict, "upload_busy")
	}
	// What is left comes from the connection: it broke, stood still, or was taken over by a newer request. Whatever became durable counts.
	return evidence.Refuse(evidence.Conflict, "upload_broken")
}

// tusWriter adds to tusd's answers what it does not know: the path as the address, and when the upload ends.
type tusWriter struct {
	silenced
	exchange *exchange
	method   string
}

func (w *tusWriter) WriteHeader(status int) {
	if u := w.exchange.upload; u != nil && status < http.StatusBadRequest && w.method != http.MethodDelete {
		if status == http.StatusCreated {
			w.Header().Set("Location", uploadsPath+string(u.ID))
		}
		w.Header().Set("Upload-Expires", u.Expires.UTC().Format(http.TimeFormat))
	}
	w.silenced.WriteHeader(status)
}

// SetReadDeadline and SetWriteDeadline serve http.ResponseController. tusd still moves deadlines from other goroutines when its handler has
// returned.
func (w *tusWriter) SetReadDeadline(t time.Time) error {
	return w.exchange.during(func() error { return http.NewResponseController(w.ResponseWriter).SetReadDeadline(t) })
}

func (w *tusWriter) SetWriteDeadline(t time.Time) error {
	return w.exchange.during(func() error { return http.NewResponseController(w.ResponseWriter).SetWriteDeadline(t) })
}

// NewUpload implements handler.DataStore.
func (u *uploads) NewUpload(ctx context.Context, info handler.FileInfo) (handler.Upload, error) {
	x := exchangeOf(ctx)
	made, err := u.vault.CreateUpload(ctx, x.by, info.Size)
	if err != nil {
		return nil, x.fail(err)
	}
	x.upload = &made
	return &upload{u.vault, x, made, 0}, nil
}

// GetUpload implements handler.DataStore.
func (u *uploads) GetUpload(ctx context.Context, id string) (handler.Upload, error) {
	x := exchangeOf(ctx)
	found, stage, err := u.vault.Upload(ctx, x.by, evidence.UploadID(id))
	if err != nil {
		return nil, x.fail(err)
	}
	x.upload = &found
	return &upload{u.vault, x, found, stage.Offset}, nil
}

// AsTerminatableUpload implements handler.TerminaterDataStore.
func (u *uploads) AsTerminatableUpload(up handler.Upload) handler.TerminatableUpload {
	return up.(*upload)
}

// fail keeps the error for the answer: what tusd makes of it is dropped.
func (x *exchange) fail(err error) error {
	x.err = err
	return err
}

// upload is one upload within one request.
type upload struct {
	vault    *vault.Vault
	exchange *exchange
	upload   vault.Upload
	offset   int64 // durable bytes
}

// GetInfo implements handler.Upload.
func (u *upload) GetInfo(context.Context) (handler.FileInfo, error) {
	return handler.FileInfo{ID: string(u.upload.ID), Size: u.upload.Size, Offset: u.offset}, nil
}

// WriteChunk implements handler.Upload. What it returns is durable, also beside an error.
func (u *upload) WriteChunk(ctx context.Context, offset int64, src io.Reader) (int64, error) {
	close(u.exchange.reading)
	n, err := u.vault.AppendUpload(ctx, u.exchange.by, u.upload.ID, offset, watchedReader{src, u.exchange.watch})
	if err != nil {
		return n, u.exchange.fail(err)
	}
	if offset+n == u.upload.Size {
		_, _ = io.CopyN(io.Discard, src, 1) // tusd notices a part that is too long when it is read past the end
	}
	return n, nil
}

// GetReader implements handler.Upload. Downloads are off: nothing is read back before an event names it.
func (u *upload) GetReader(context.Context) (io.ReadCloser, error) {
	return nil, handler.ErrNotImplemented
}

// FinishUpload implements handler.Upload: a complete upload waits for the event that names it.
func (u *upload) FinishUpload(context.Context) error { return nil }

// Terminate implements handler.TerminatableUpload.
func (u *upload) Terminate(ctx context.Context) error {
	if err := u.vault.DropUpload(ctx, u.exchange.by, u.upload.ID); err != nil {
		return u.exchange.fail(err)
	}
	return nil
}
