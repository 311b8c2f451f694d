//go:build js && wasm

package main

import (
	"io"
	"slices"
	"sync"
	"syscall/js"
)

const (
	window  = 1 << 20 // bytes that are asked of the browser at a time
	windows = 4       // that are kept: the many small files of a package lie beside each other
)

// blob reads a file of the browser's. It is never in memory as a whole. It is safe for concurrent use.
type blob struct {
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

func newBlob(value, progress js.Value) *blob {
	return &blob{value: value, reader: js.Global().Get("FileReaderSync").New(), size: int64(value.Get("size").Float()), progress: progress}
}

// ReadAt is as io.ReaderAt says.
func (b *blob) ReadAt(p []byte, off int64) (n int, err error) {
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

// read fills p.
func (b *blob) read(p []byte, off int64) error {
	_, err := b.ReadAt(p, off)
	return err
}

// piece returns the window at an offset that is a multiple of it.
func (b *blob) piece(at int64) ([]byte, error) {
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
func (b *blob) fetch(buffer []byte, at int64) (data []byte, err error) {
	defer func() {
		if recover() != nil {
			err = errFile
		}
	}()
	n := int(min(window, b.size-at))
	bytes := js.Global().Get("Uint8Array").New(b.reader.Call("readAsArrayBuffer", b.value.Call("slice", at, at+int64(n))))
	data = slices.Grow(buffer, n)[:n]
	if js.CopyBytesToGo(data, bytes) != n {
		return nil, errFile
	}
	return data, nil
}

// tell says how much was read, in steps that a person can see. What is read twice is not counted beyond the whole.
func (b *blob) tell(n int64) {
	b.fetched = min(b.fetched+n, b.size)
	if b.progress.Type() == js.TypeFunction && (b.fetched-b.told >= max(window, b.size/200) || b.fetched == b.size && b.told < b.size) {
		b.told = b.fetched
		b.progress.Invoke(b.fetched, b.size)
	}
}
