package sealing

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"filippo.io/age"

	"strongroom.example/strongroom/internal/ageheader"
)

const (
	ageChunk = 64 << 10 // of plaintext
	overhead = 1627 + ageheader.Payload
)

func newKey(t testing.TB) ItemKey {
	t.Helper()
	key, err := NewItemKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newIdentity(t testing.TB) Identity {
	t.Helper()
	id, err := NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// noise is n bytes without a pattern, the same each time.
func noise(n int) []byte {
	block, err := aes.NewCipher(make([]byte, 16))
	if err != nil {
		panic(err)
	}
	b := make([]byte, n)
	cipher.NewCTR(block, make([]byte, 16)).XORKeyStream(b, b)
	return b
}

// evidence encrypts with stock age, so that a key can be used more than once.
func evidence(t testing.TB, key Key, plaintext []byte) []byte {
	t.Helper()
	return stockEncrypt(t, plaintext, key.hybrid().Recipient())
}

func stockEncrypt(t testing.TB, plaintext []byte, to ...age.Recipient) []byte {
	t.Helper()
	var file bytes.Buffer
	w, err := age.Encrypt(&file, to...)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(plaintext)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

func stockDecrypt(file []byte, id age.Identity) ([]byte, error) {
	r, err := age.Decrypt(bytes.NewReader(file), id)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// rootOf is RFC 6962 §2.1 as it stands there.
func rootOf(blocks [][]byte) [32]byte {
	switch n := len(blocks); n {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return sha256.Sum256(append([]byte{0}, blocks[0]...))
	default:
		k := 1
		for 2*k < n {
			k *= 2
		}
		left, right := rootOf(blocks[:k]), rootOf(blocks[k:])
		return sha256.Sum256(slices.Concat([]byte{1}, left[:], right[:]))
	}
}

func sealedOf(plaintext, file []byte) Sealed {
	return Sealed{
		Digest{sha256.Sum256(plaintext), int64(len(plaintext))},
		Digest{sha256.Sum256(file), int64(len(file))},
		rootOf(slices.Collect(slices.Chunk(file, BlockSize))),
	}
}

func TestRoundTrip(t *testing.T) {
	// The plaintext whose file is exactly one block of the tree.
	full := BlockSize - overhead - 127*16
	sizes := []int{0, 1, 511, ageChunk - 1, ageChunk, ageChunk + 1, 2*ageChunk - 1, 2 * ageChunk, 2*ageChunk + 1,
		chunkSize - 1, chunkSize, chunkSize + 1, full - 1, full, full + 1, BlockSize, 3*BlockSize - 7}
	for _, size := range sizes {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			key, plaintext := newKey(t), noise(size)
			var file bytes.Buffer
			got, err := Encrypt(&file, bytes.NewReader(plaintext), key)
			if err != nil {
				t.Fatal(err)
			}
			want := sealedOf(plaintext, file.Bytes())
			if got != want {
				t.Errorf("Encrypt: %+v, want %+v", got, want)
			}
			if size == full && got.Ciphertext.Size != BlockSize {
				t.Errorf("file of %d bytes", got.Ciphertext.Size)
			}
			if b, err := stockDecrypt(file.Bytes(), key.id); err != nil || !bytes.Equal(b, plaintext) {
				t.Errorf("stock age: %d bytes, %v", len(b), err)
			}
			var out bytes.Buffer
			if got, err = Decrypt(&out, bytes.NewReader(file.Bytes()), key); err != nil || got != want {
				t.Errorf("Decrypt: %+v, %v", got, err)
			}
			if !bytes.Equal(out.Bytes(), plaintext) {
				t.Error("Decrypt: other bytes")
			}
			if n, err := ageheader.Check(&file, 1); err != nil || n != 1627 {
				t.Errorf("header: %d, %v", n, err)
			}
		})
	}
}

func TestDecryptStockFile(t *testing.T) {
	key, plaintext := newKey(t), noise(3*ageChunk+9)
	file := evidence(t, key, plaintext)
	var out bytes.Buffer
	got, err := Decrypt(&out, iotest.OneByteReader(bytes.NewReader(file)), key)
	if err != nil || got != sealedOf(plaintext, file) || !bytes.Equal(out.Bytes(), plaintext) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestTreeHasher(t *testing.T) {
	// Seven blocks make subtrees of three sizes; a sum after each of them, and
	// inside the next, must not disturb what follows.
	data := noise(6*BlockSize + 3)
	var tree TreeHasher
	for at := 0; ; {
		if got := tree.Sum(); got != rootOf(slices.Collect(slices.Chunk(data[:at], BlockSize))) {
			t.Fatalf("wrong root after %d bytes", at)
		}
		if at == len(data) {
			break
		}
		n := min(BlockSize/2+1, len(data)-at)
		tree.Write(data[at : at+n])
		at += n
	}
}

func TestEncryptsOnce(t *testing.T) {
	key := newKey(t)
	copied := key
	if _, err := Encrypt(io.Discard, strings.NewReader("a"), key); err != nil {
		t.Fatal(err)
	}
	parsed, err := ParseItemKey(key.id.String())
	if err != nil {
		t.Fatal(err)
	}
	for name, k := range map[string]ItemKey{"same": key, "copy": copied, "parsed": parsed, "zero": {}} {
		var dst bytes.Buffer
		if _, err := Encrypt(&dst, strings.NewReader("b"), k); err != ErrKeyUsed || dst.Len() > 0 {
			t.Errorf("%s key: %v, %d bytes written", name, err, dst.Len())
		}
	}
	failed := newKey(t)
	Encrypt(io.Discard, iotest.ErrReader(errors.New("x")), failed)
	if _, err := Encrypt(io.Discard, strings.NewReader("b"), failed); err != ErrKeyUsed {
		t.Errorf("after a failure: %v", err)
	}
}

// limitedWriter takes n bytes, then fails or, without an error, falls short.
type limitedWriter struct {
	n   int
	err error
}

func (w *limitedWriter) Write(p []byte) (int, error) {
	if len(p) > w.n {
		return w.n, w.err
	}
	w.n -= len(p)
	return len(p), nil
}

func TestBrokenSource(t *testing.T) {
	before := runtime.NumGoroutine()
	// A connection that breaks off ends in io.ErrUnexpectedEOF: that must never
	// pass for the end of the evidence.
	for _, broken := range []error{errors.New("broken"), io.ErrUnexpectedEOF, io.ErrClosedPipe} {
		for _, size := range []int{0, 1, ageChunk, chunkSize, 5*chunkSize + 1} {
			key := newKey(t)
			var file bytes.Buffer
			src := io.MultiReader(bytes.NewReader(noise(size)), iotest.ErrReader(broken))
			if got, err := Encrypt(&file, src, key); err != broken || got != (Sealed{}) {
				t.Errorf("encrypt %d: %v", size, err)
			}
			if _, err := stockDecrypt(file.Bytes(), key.id); err == nil {
				t.Errorf("encrypt %d: what was written looks whole", size)
			}
		}
		key := newKey(t)
		file := evidence(t, key, noise(3*ageChunk))
		for _, at := range []int{0, 30, 1627, 1640, 1643, overhead, 1643 + ageChunk + 16, len(file) - 1, len(file)} {
			src := io.MultiReader(bytes.NewReader(file[:at]), iotest.ErrReader(broken))
			if got, err := Decrypt(io.Discard, src, key); err != broken || got != (Sealed{}) {
				t.Errorf("decrypt at %d: %v", at, err)
			}
		}
	}
	checkGoroutines(t, before)
}

func TestBrokenDestination(t *testing.T) {
	before := runtime.NumGoroutine()
	full := errors.New("disk full")
	plaintext := noise(20*chunkSize + 1)
	for _, test := range []struct{ give, want error }{{full, full}, {nil, io.ErrShortWrite}} {
		for _, room := range []int{0, 100, chunkSize, 12 * chunkSize, len(plaintext) - 1} {
			if _, err := Encrypt(&limitedWriter{room, test.give}, bytes.NewReader(plaintext), newKey(t)); err != test.want {
				t.Errorf("encrypt %d: %v", room, err)
			}
			key := newKey(t)
			file := evidence(t, key, plaintext)
			if _, err := Decrypt(&limitedWriter{room, test.give}, bytes.NewReader(file), key); err != test.want {
				t.Errorf("decrypt %d: %v", room, err)
			}
		}
	}
	checkGoroutines(t, before)
}

func checkGoroutines(t *testing.T, before int) {
	t.Helper()
	for range 100 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), before)
}

// A watch looks, as it is read, at how much memory is in use.
type watch struct {
	io.Reader
	read, next int64
	most       uint64
}

func (w *watch) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	if w.read += int64(n); w.read >= w.next {
		w.next += 32 << 20
		w.most = max(w.most, heap())
	}
	return n, err
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestMemoryIsBounded(t *testing.T) {
	const size, most = 256 << 20, 16 << 20
	key := newKey(t)
	pipe, into := io.Pipe()
	before := heap()
	src := &watch{Reader: zeros(size)}
	var encrypted Sealed
	go func() {
		var err error
		encrypted, err = Encrypt(into, src, key)
		into.CloseWithError(err)
	}()
	decrypted, err := Decrypt(io.Discard, pipe, key)
	if err != nil || decrypted != encrypted || decrypted.Plaintext.Size != size {
		t.Errorf("%+v, %+v, %v", encrypted, decrypted, err)
	}
	if src.most > before+most {
		t.Errorf("%d bytes in use, %d before", src.most, before)
	}
}
