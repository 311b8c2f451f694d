//go:build js && wasm

package browser

import (
	"errors"
	"io"
	"slices"
	"sync"
	"syscall/js"
)

const (
	window  = 1 << 20 // bytes that are asked of the browser at a time
	windows = 4       // that are kept: the many small files of a package lie beside each other
)

// Blob reads a file of the browser's. It is never in memory as a whole. It is safe for concurrent use.
type Blob struct {
	value, reader js.Value
	size          int64
	progress      js.Value // a function, or undefined

	mu      sync.Mutex
	kept    []piece // the one used last is the last
	fetched int64   // bytes, at most size
	told    int64   // of fetched
}

type piece struct {
	at   int64
	data []byte
}

// ErrFile says that a file was changed or taken away while it was read.
var ErrFile = errors.New("browser: the file cannot be read any more")

// NewBlob reads a Blob or File; progress is a function of two numbers, read and all, or undefined.
func NewBlob(value, progress js.Value) *Blob {
	return &Blob{value: value, reader: js.Global().Get("FileReaderSync").New(), size: int64(value.Get("size").Float()), progress: progress}
}

// Size is that of the file, in bytes.
func (b *Blob) Size() int64 { return b.size }

// Close lets go of what is kept of it.
func (b *Blob) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.kept = nil
	return nil
}

// ReadAt is as io.ReaderAt says.
func (b *Blob) ReadAt(p []byte, off int64) (n int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for n < len(p) {
		at := off + int64(n)
		if at >= b.size {
			return n, io.EOF
		}
		data, err := b.piece(at - at%window)
		if err != nil {
			return n, err
		}
		n += copy(p[n:], data[at%window:])
	}
	return n, nil
}

// piece returns the window at an offset that is a multiple of it.
func (b *Blob) piece(at int64) ([]byte, error) {
	if i := slices.IndexFunc(b.kept, func(k piece) bool { return k.at == at }); i >= 0 {
		k := b.kept[i]
		b.kept = append(slices.Delete(b.kept, i, i+1), k)
		return k.data, nil
	}
	var buffer []byte
	if len(b.kept) == windows {
		buffer = b.kept[0].data[:0]
		b.kept = slices.Delete(b.kept, 0, 1)
	}
	data, err := b.fetch(buffer, at)
	if err != nil {
		return nil, err
	}
	b.kept = append(b.kept, piece{at, data})
	b.tell(int64(len(data)))
	return data, nil
}

// fetch asks the browser, which throws if the file was changed or taken away meanwhile.
func (b *Blob) fetch(buffer []byte, at int64) (data []byte, err error) {
	defer func() {
		if recover() != nil {
			err = ErrFile
		}
	}()
	n := int(min(window, b.size-at))
	bytes := js.Global().Get("Uint8Array").New(b.reader.Call("readAsArrayBuffer", b.value.Call("slice", at, at+int64(n))))
	data = slices.Grow(buffer, n)[:n]
	if js.CopyBytesToGo(data, bytes) != n {
		return nil, ErrFile
	}
	return data, nil
}

// tell says how much was read, in steps that a person can see. What is read twice is not counted beyond the whole.
func (b *Blob) tell(n int64) {
	b.fetched = min(b.fetched+n, b.size)
	if b.progress.Type() == js.TypeFunction && (b.fetched-b.told >= max(window, b.size/200) || b.fetched == b.size && b.told < b.size) {
		b.told = b.fetched
		b.progress.Invoke(b.fetched, b.size)
	}
}
