package client

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"

	"strongroom.example/strongroom/internal/evidence"
)

// maxInMemory bounds all that an InMemory keeps, in bytes: a device that is not the person's own may be small.
const maxInMemory = 256 << 20

// InMemory is a Keystore that leaves no trace: it ends with the process. It is for who has no device of their own. The zero value is
// empty. What does not fit is TooLarge "memory".
type InMemory struct {
	mu    sync.Mutex
	files map[string][]byte // what a name holds is replaced, never changed
	size  int64             // of all, those being written included
	locks map[string]bool
}

func validName(name string) error {
	if !fs.ValidPath(name) || name == "." || strings.HasSuffix(name, partSuffix) {
		return fmt.Errorf("keystore: %w", fs.ErrInvalid)
	}
	return nil
}

// take reserves space.
func (m *InMemory) take(n int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.size+n > maxInMemory {
		return evidence.Refuse(evidence.TooLarge, "memory")
	}
	m.size += n
	return nil
}

func (m *InMemory) put(name string, content []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.files == nil {
		m.files = make(map[string][]byte)
	}
	m.size -= int64(len(m.files[name]))
	m.files[name] = content
}

func (m *InMemory) Read(name string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	content, ok := m.files[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return bytes.Clone(content), nil
}

func (m *InMemory) Write(name string, content []byte) error {
	if err := validName(name); err != nil {
		return err
	}
	if err := m.take(int64(len(content))); err != nil {
		return err
	}
	m.put(name, bytes.Clone(content))
	return nil
}

func (m *InMemory) Create(name string) (NewFile, error) {
	return &newInMemory{in: m, name: name}, validName(name)
}

// newInMemory is a file being written.
type newInMemory struct {
	in   *InMemory
	name string
	bytes.Buffer
	done bool
}

func (n *newInMemory) Write(p []byte) (int, error) {
	if n.done {
		return 0, fs.ErrClosed
	}
	if err := n.in.take(int64(len(p))); err != nil {
		return 0, err
	}
	return n.Buffer.Write(p)
}

func (n *newInMemory) Keep() error {
	if n.done {
		return fs.ErrClosed
	}
	n.done = true
	n.in.put(n.name, n.Bytes())
	return nil
}

func (n *newInMemory) Close() error {
	if !n.done {
		n.done = true
		return n.in.take(-int64(n.Len()))
	}
	return nil
}

func (m *InMemory) Open(name string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	content, ok := m.files[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return inMemory{bytes.NewReader(content)}, nil
}

type inMemory struct{ *bytes.Reader }

func (inMemory) Close() error { return nil }

func (m *InMemory) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.size -= int64(len(m.files[name]))
	delete(m.files, name)
	return nil
}

func (m *InMemory) List(level string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	names := slices.DeleteFunc(slices.Collect(maps.Keys(m.files)), func(name string) bool { return path.Dir(name) != level })
	slices.Sort(names)
	return names, nil
}

func (m *InMemory) Lock(name string) (release func() error, ok bool, err error) {
	if err := validName(name); err != nil || !strings.HasSuffix(name, lockSuffix) {
		return nil, false, fmt.Errorf("keystore: %w", fs.ErrInvalid)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.locks[name] {
		return nil, false, nil
	}
	if m.locks == nil {
		m.locks = make(map[string]bool)
	}
	m.locks[name] = true
	return func() error {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.locks, name)
		return nil
	}, true, nil
}
