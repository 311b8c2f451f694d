//go:build js && wasm

package main

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"syscall/js"
	"time"

	"strongroom.example/strongroom/internal/browser"
	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/evidence"
)

// store is a client.Keystore in the origin's private file system: levels are folders, and a file is written under a name of its own, flushed,
// and moved over the old one. Several tabs may have it.
type store struct{ root js.Value }

const (
	partSuffix = ".part"
	lockSuffix = ".lock"
	maxDoc     = 64 << 20
	piece      = 1 << 20 // bytes that pass between Go and the browser at a time
)

// openStore makes the folder if there is none, and removes what was abandoned in it.
func openStore(name string, now time.Time) (*store, error) {
	top, err := browser.AwaitCall(js.Global().Get("navigator").Get("storage"), "getDirectory")
	if err != nil {
		return nil, err
	}
	root, err := browser.AwaitCall(top, "getDirectoryHandle", name, map[string]any{"create": true})
	if err != nil {
		return nil, err
	}
	s := &store{root}
	return s, s.tidy(s.root, ".", now)
}

// tidy removes what OpenFolder of package client removes.
func (s *store) tidy(dir js.Value, level string, now time.Time) error {
	return entries(dir, func(name string, handle js.Value) error {
		at := path.Join(level, name)
		if handle.Get("kind").String() == "directory" {
			return s.tidy(handle, at, now)
		}
		if !strings.HasSuffix(name, partSuffix) && !client.IsScratch(at, s.has) {
			return nil
		}
		file, err := browser.AwaitCall(handle, "getFile")
		if err != nil || now.Sub(time.UnixMilli(int64(file.Get("lastModified").Float()))) < client.Abandoned {
			return nil
		}
		if _, err = browser.AwaitCall(dir, "removeEntry", name); inUse(err) {
			return nil // by another tab, or another one was quicker
		}
		return ignoreAbsent(notFound(err))
	})
}

func (s *store) has(name string) bool {
	_, err := s.file(name)
	return err == nil
}

// entries calls each for what a folder holds.
func entries(dir js.Value, each func(name string, handle js.Value) error) error {
	all, err := browser.Call(dir, "entries")
	if err != nil {
		return err
	}
	for {
		next, err := browser.AwaitCall(all, "next")
		if err != nil {
			return notFound(err)
		}
		if next.Get("done").Bool() {
			return nil
		}
		entry := next.Get("value")
		if err := each(entry.Index(0).String(), entry.Index(1)); err != nil {
			return err
		}
	}
}

// notFound says in Go's words what the browser's exceptions mean.
func notFound(err error) error {
	thrown := (*browser.Error)(nil)
	if !errors.As(err, &thrown) {
		return err
	}
	switch thrown.Name {
	case "NotFoundError":
		return fs.ErrNotExist
	case "TypeMismatchError": // a folder where a file is meant, or the other way round
		return fs.ErrInvalid
	case "QuotaExceededError":
		return evidence.Fail(evidence.TooLarge, "storage", err)
	}
	return err
}

// inUse reports whether another one has the file open, or is moving one there.
func inUse(err error) bool {
	thrown := (*browser.Error)(nil)
	return errors.As(err, &thrown) && thrown.Name == "NoModificationAllowedError"
}

func ignoreAbsent(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func validName(name string) error {
	if !fs.ValidPath(name) || name == "." || strings.HasSuffix(name, partSuffix) {
		return fmt.Errorf("keystore: %w", fs.ErrInvalid)
	}
	return nil
}

// dir is a level, "." for the uppermost.
func (s *store) dir(level string, create bool) (js.Value, error) {
	at := s.root
	if level == "." {
		return at, nil
	}
	for name := range strings.SplitSeq(level, "/") {
		var err error
		if at, err = browser.AwaitCall(at, "getDirectoryHandle", name, map[string]any{"create": create}); err != nil {
			return at, notFound(err)
		}
	}
	return at, nil
}

// file is a kept file as it is now: what is moved over it later does not change what was read of it, but ends the reading.
func (s *store) file(name string) (js.Value, error) {
	if err := validName(name); err != nil {
		return js.Value{}, err
	}
	dir, err := s.dir(path.Dir(name), false)
	if err != nil {
		return dir, err
	}
	handle, err := browser.AwaitCall(dir, "getFileHandle", path.Base(name))
	if err != nil {
		return handle, notFound(err)
	}
	file, err := browser.AwaitCall(handle, "getFile")
	return file, notFound(err)
}

// Read tries again if another tab has replaced the document meanwhile.
func (s *store) Read(name string) ([]byte, error) {
	for attempt := 0; ; attempt++ {
		file, err := s.file(name)
		if err != nil {
			return nil, err
		}
		if file.Get("size").Float() > maxDoc {
			return nil, evidence.Refuse(evidence.TooLarge, "document")
		}
		buffer, err := browser.AwaitCall(file, "arrayBuffer")
		if err == nil {
			return browser.BytesOf(js.Global().Get("Uint8Array").New(buffer)), nil
		}
		if attempt == 20 {
			return nil, err
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (s *store) Write(name string, content []byte) error {
	file, err := s.Create(name)
	if err != nil {
		return err
	}
	if _, err := file.Write(content); err != nil {
		return errors.Join(err, file.Close())
	}
	return file.Keep()
}

func (s *store) Create(name string) (client.NewFile, error) {
	if err := validName(name); err != nil {
		return nil, err
	}
	dir, err := s.dir(path.Dir(name), true)
	if err != nil {
		return nil, err
	}
	part := path.Base(name) + "." + strings.ToLower(rand.Text()) + partSuffix
	handle, err := browser.AwaitCall(dir, "getFileHandle", part, map[string]any{"create": true})
	if err != nil {
		return nil, notFound(err)
	}
	access, err := browser.AwaitCall(handle, "createSyncAccessHandle")
	if err != nil {
		return nil, notFound(err)
	}
	return &newFile{dir: dir, handle: handle, access: access, name: path.Base(name), part: part}, nil
}

// newFile is a file that is being written, by one goroutine.
type newFile struct {
	dir, handle, access js.Value
	name, part          string
	at                  int64
	done                bool
	buffer              js.Value
}

func (n *newFile) Write(p []byte) (written int, err error) {
	if n.done {
		return 0, fs.ErrClosed
	}
	if n.buffer.IsUndefined() {
		n.buffer = js.Global().Get("Uint8Array").New(piece)
	}
	for part := range slices.Chunk(p, piece) {
		js.CopyBytesToJS(n.buffer, part)
		wrote, err := browser.Call(n.access, "write", n.buffer.Call("subarray", 0, len(part)), map[string]any{"at": n.at})
		if err != nil {
			return written, notFound(err)
		}
		n.at, written = n.at+int64(wrote.Int()), written+wrote.Int()
		if wrote.Int() < len(part) {
			return written, evidence.Refuse(evidence.TooLarge, "storage")
		}
	}
	return written, nil
}

// Keep makes the file durable under its name. Commit point: the move, which comes after the flush.
func (n *newFile) Keep() error {
	if n.done {
		return fs.ErrClosed
	}
	n.done = true
	_, err := browser.Call(n.access, "flush")
	n.access.Call("close")
	if err == nil {
		err = n.move()
	}
	if err != nil {
		return errors.Join(notFound(err), n.remove())
	}
	return nil
}

// move waits while another one replaces the same document.
func (n *newFile) move() (err error) {
	for range 100 {
		if _, err = browser.AwaitCall(n.handle, "move", n.dir, n.name); !inUse(err) {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
	return err
}

func (n *newFile) remove() error {
	_, err := browser.AwaitCall(n.dir, "removeEntry", n.part)
	return ignoreAbsent(notFound(err))
}

func (n *newFile) Close() error {
	if n.done {
		return nil
	}
	n.done = true
	n.access.Call("close")
	return n.remove()
}

// Open takes a small file whole. A larger one is read where it lies: once it is replaced, reading it is an error.
func (s *store) Open(name string) (client.File, error) {
	file, err := s.file(name)
	if err != nil {
		return nil, err
	}
	if file.Get("size").Float() <= piece {
		text, err := s.Read(name)
		return whole{bytes.NewReader(text)}, err
	}
	return browser.NewBlob(file, js.Undefined()), nil
}

type whole struct{ *bytes.Reader }

func (whole) Close() error { return nil }

func (s *store) Remove(name string) error {
	if err := validName(name); err != nil {
		return err
	}
	dir, err := s.dir(path.Dir(name), false)
	if err == nil {
		_, err = browser.AwaitCall(dir, "removeEntry", path.Base(name))
	}
	return ignoreAbsent(notFound(err))
}

func (s *store) List(level string) ([]string, error) {
	if err := validName(level); err != nil {
		return nil, err
	}
	dir, err := s.dir(level, false)
	if err != nil {
		return nil, ignoreAbsent(err)
	}
	var names []string
	err = entries(dir, func(name string, handle js.Value) error {
		if handle.Get("kind").String() == "file" && !strings.HasSuffix(name, partSuffix) {
			names = append(names, path.Join(level, name))
		}
		return nil
	})
	slices.Sort(names)
	return names, err
}

// Lock holds a lock of the browser's, which all tabs of the origin share and which ends with its Worker.
func (s *store) Lock(name string) (release func() error, ok bool, err error) {
	if err := validName(name); err != nil || !strings.HasSuffix(name, lockSuffix) {
		return nil, false, errors.Join(err, fs.ErrInvalid)
	}
	var letGo js.Value
	held := js.FuncOf(func(_ js.Value, args []js.Value) any { letGo = args[0]; return nil })
	defer held.Release()
	until := js.Global().Get("Promise").New(held) // runs held at once
	got := make(chan bool, 1)
	granted := js.FuncOf(func(_ js.Value, args []js.Value) any {
		if args[0].IsNull() {
			got <- false
			return nil
		}
		got <- true
		return until
	})
	over, err := browser.Call(js.Global().Get("navigator").Get("locks"), "request", s.root.Get("name").String()+"/"+name, map[string]any{"ifAvailable": true}, granted)
	if err != nil {
		granted.Release()
		return nil, false, err
	}
	ended := make(chan error, 1)
	go func() {
		_, err := browser.Await(over)
		granted.Release()
		ended <- err
	}()
	select {
	case ok = <-got:
	case err = <-ended:
		return nil, false, err
	}
	if !ok {
		return nil, false, <-ended
	}
	return func() error {
		letGo.Invoke()
		return <-ended
	}, true, nil
}
