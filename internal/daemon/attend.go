package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// ErrNotRunning means that no server answers for the vault.
var ErrNotRunning = errors.New("the vault is not running; strongroomd fsck reads everything of a vault that is not")

// socketFile is where a running server answers commands of its operator. Who may enter the folder may use it.
const socketFile = "operator.sock"

// maxSocketPath is what every system allows for a socket's name.
const maxSocketPath = 100

// operator does what the operator asks of a running vault, and what is done of itself.
type operator struct {
	*parts
	backing, scrubbing sync.Mutex // held by the one that is under way
}

// attend answers the operator's own commands, and scrubs, until ctx ends and what is under way has ended.
func (d *Daemon) attend(ctx context.Context) {
	o := &operator{parts: d.parts}
	var scrubs sync.WaitGroup
	scrubs.Go(func() { o.scrubAlways(ctx) })
	if err := o.answer(ctx); err != nil {
		o.options.Logger.Error("operator_socket_failed", "err", err)
	}
	scrubs.Wait()
}

func (o *operator) answer(ctx context.Context) error {
	path, done, err := o.folder.socket()
	if err != nil {
		return err
	}
	defer done()
	l, err := listenAt(path)
	if err != nil {
		return err
	}
	defer os.Remove(path)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /backup", answer(o.backupNow))
	mux.HandleFunc("POST /scrub", answer(o.scrubNow))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Second, BaseContext: func(net.Listener) context.Context { return ctx }}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return server.Shutdown(context.WithoutCancel(ctx)) // the answers under way end with ctx
	}
}

// listenAt makes the socket. Under its name it answers, and nobody else may use it, from the first moment.
func listenAt(path string) (net.Listener, error) {
	fresh := path + ".new"
	os.Remove(fresh) // a killed server's: the log's lock, or the lease, says that there is no other
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: fresh, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false)
	if err := errors.Join(os.Chmod(fresh, 0o600), os.Rename(fresh, path)); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func (o *operator) backupNow(ctx context.Context, b BackupOptions) (Backed, error) {
	if !o.backing.TryLock() {
		return Backed{}, errors.New("another backup is under way")
	}
	defer o.backing.Unlock()
	return o.backup(ctx, b)
}

func (o *operator) scrubNow(ctx context.Context, _ struct{}) (scrubAnswer, error) {
	o.scrubbing.Lock()
	defer o.scrubbing.Unlock()
	a := scrubAnswer{Damage: []Damage{}}
	var err error
	a.Scrubbed, err = o.scrub(ctx, Scrubbed{Began: o.options.Now().UTC()}, 0, func(d Damage) { a.Damage = append(a.Damage, d) })
	return a, err
}

type scrubAnswer struct {
	Scrubbed
	Damage []Damage `json:"damage"`
}

// reply is how an answer travels.
type reply[T any] struct {
	Answer T      `json:"answer"`
	Failed string `json:"failed,omitempty"`
}

func answer[Q, A any](do func(context.Context, Q) (A, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var question Q
		if err := json.NewDecoder(io.LimitReader(r.Body, 1<<20)).Decode(&question); err != nil {
			http.Error(w, "malformed", http.StatusBadRequest)
			return
		}
		a, err := do(r.Context(), question)
		out := reply[A]{Answer: a}
		if err != nil {
			out.Failed = err.Error()
		}
		json.NewEncoder(w).Encode(out)
	}
}

// ask has a running server do something: ErrNotRunning if there is none.
func ask[Q, A any](ctx context.Context, f folder, what string, question Q) (A, error) {
	var out reply[A]
	path, done, err := f.socket()
	if err != nil {
		return out.Answer, err
	}
	defer done()
	text, err := json.Marshal(question)
	if err != nil {
		return out.Answer, err
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", path)
	if err != nil {
		return out.Answer, ErrNotRunning
	}
	defer conn.Close()
	client := &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return conn, nil }}}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://operator/"+what, bytes.NewReader(text))
	if err != nil {
		return out.Answer, err
	}
	response, err := client.Do(request)
	if err != nil {
		return out.Answer, fmt.Errorf("the server went away: %w", err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(&out); err != nil {
		return out.Answer, fmt.Errorf("the server went away: %w", err)
	}
	if out.Failed != "" {
		return out.Answer, errors.New(out.Failed)
	}
	return out.Answer, nil
}

// socket is the path of the operator's socket, by a shorter way where it is too long for a socket's name.
func (f folder) socket() (path string, done func(), err error) {
	if path = f.path(socketFile); len(path) < maxSocketPath {
		return path, func() {}, nil
	}
	dir, err := os.Open(string(f))
	if err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), socketFile), func() { dir.Close() }, nil
}

// Backup makes a backup: by the server, where the vault is running, else from the vault's folder itself.
func Backup(ctx context.Context, dir string, o Options, b BackupOptions) (Backed, error) {
	f := folder(dir)
	s, err := f.readSettings()
	if err == nil && s.outside() {
		err = ErrEngines
	}
	if err != nil {
		return Backed{}, err
	}
	done, err := ask[BackupOptions, Backed](ctx, f, "backup", b)
	if !errors.Is(err, ErrNotRunning) {
		return done, err
	}
	p, err := openParts(ctx, f, o)
	if err != nil {
		return Backed{}, err
	}
	done, err = p.backup(ctx, b)
	return done, errors.Join(err, p.close())
}

// Scrub has a running server read all evidence now, as fast as it can.
func Scrub(ctx context.Context, dir string) (Scrubbed, []Damage, error) {
	f := folder(dir)
	if _, err := f.readSettings(); err != nil {
		return Scrubbed{}, nil, err
	}
	a, err := ask[struct{}, scrubAnswer](ctx, f, "scrub", struct{}{})
	return a.Scrubbed, a.Damage, err
}
