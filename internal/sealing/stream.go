package sealing

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"

	"filippo.io/age"

	"strongroom.example/strongroom/internal/ageheader"
)

// A Digest identifies a sequence of bytes.
type Digest struct {
	SHA256 [sha256.Size]byte
	Size   int64
}

// Sealed is what one pass over an item yields, encrypting or decrypting, and
// what its signed events state: compare the two with ==.
type Sealed struct {
	Plaintext  Digest            // of the original bytes
	Ciphertext Digest            // of evidence.age
	Tree       [sha256.Size]byte // of evidence.age, see TreeHasher
}

// Encrypt writes src to dst as evidence.age (FORMATS §8), in one pass and in
// constant memory, on as many cores as there are.
//
// A key encrypts once: a second call, also after a failed one, answers
// [ErrKeyUsed]. An upload that broke off resumes from the bytes in dst and is
// never encrypted again: another ciphertext would not have the digests of the
// first. On an error dst holds a file without an end, which nobody can decrypt
// to its end; errors of src and dst are returned as they are.
func Encrypt(dst io.Writer, src io.Reader, key ItemKey) (Sealed, error) {
	if !key.use() {
		return Sealed{}, ErrKeyUsed
	}
	plainSum, cipherSum, tree := newDigester(), newDigester(), new(TreeHasher)
	cipher := newFan(dst, cipherSum, tree)
	body, err := age.Encrypt(cipher, key.id.Recipient())
	if err == nil {
		plain := newFan(body, plainSum)
		_, err = plain.ReadFrom(src)
		err = cmp.Or(err, plain.Close())
	}
	if err == nil {
		// Only now: closing makes the file whole.
		err = body.Close()
	}
	if err = cmp.Or(err, cipher.Close()); err != nil {
		return Sealed{}, err
	}
	return Sealed{plainSum.digest(), cipherSum.digest(), tree.Sum()}, nil
}

// Decrypt writes the original bytes of evidence.age to dst, in one pass and in
// constant memory. A file that was cut short shows only at its end: give dst
// its final name after Decrypt has succeeded and the result equals the one
// signed. Errors: [ErrHeader], [ErrNotForYou], [ErrDamaged]; those of src and
// dst are returned as they are.
func Decrypt(dst io.Writer, src io.Reader, key ItemKey) (Sealed, error) {
	plainSum, cipherSum, tree := newDigester(), newDigester(), new(TreeHasher)
	cipher := newFan(cipherSum, tree)
	body, err := decrypt(io.TeeReader(src, cipher), key, 1)
	if err == nil {
		plain := newFan(dst, plainSum)
		_, err = plain.ReadFrom(body)
		err = cmp.Or(err, plain.Close())
	}
	if err = cmp.Or(err, cipher.Close()); err != nil {
		return Sealed{}, err
	}
	return Sealed{plainSum.digest(), cipherSum.digest(), tree.Sum()}, nil
}

// OpenAt decrypts evidence.age in parts. It reads the first bytes of src, which
// has size bytes, as far as a release carries them, and the last chunk; then for
// each range only the chunks of 64 KiB that it touches. The result may be read
// by several goroutines at once. Errors are those of [Decrypt], also while
// reading.
//
// A range proves only that it was encrypted to the item; that it belongs to the
// deposit, only the whole file's digest or the tree can tell.
func OpenAt(src io.ReaderAt, size int64, key ItemKey) (*io.SectionReader, error) {
	src = sourceReaderAt{src}
	var begin bytes.Buffer
	header, err := ageheader.Check(io.TeeReader(io.NewSectionReader(src, 0, size), &begin), 1)
	if err != nil {
		return nil, failure(err)
	}
	r, plainSize, err := age.DecryptReaderAt(begunReaderAt{src, begin.Bytes(), int64(header)}, size, key.id)
	if err != nil {
		return nil, failure(err)
	}
	return io.NewSectionReader(plainReaderAt{r}, 0, plainSize), nil
}

// decrypt opens an age file for one to most hybrid recipients.
func decrypt(src io.Reader, key Key, most int) (io.Reader, error) {
	src = sourceReader{src}
	var header bytes.Buffer
	if _, err := ageheader.Check(io.TeeReader(src, &header), most); err != nil {
		return nil, failure(err)
	}
	r, err := age.Decrypt(io.MultiReader(&header, src), key.hybrid())
	if err != nil {
		return nil, failure(err)
	}
	return plainReader{r}, nil
}

// failure turns an error met while decrypting into one of this package, unless
// it comes from the source.
func failure(err error) error {
	var (
		reason  ageheader.Error
		noMatch *age.NoIdentityMatchError
		broken  *sourceError
	)
	switch {
	case err == nil, err == io.EOF:
		return err
	case errors.As(err, &broken):
		return broken.error
	case errors.As(err, &reason):
		return fmt.Errorf("%w: %w", ErrHeader, reason)
	case errors.As(err, &noMatch):
		return ErrNotForYou
	default:
		return ErrDamaged
	}
}

// A sourceError marks an error of what is read, so that it stays apart from
// what age finds wrong in the bytes.
type sourceError struct{ error }

func fromSource(err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return &sourceError{err}
}

type (
	sourceReader   struct{ io.Reader }   // marks errors
	sourceReaderAt struct{ io.ReaderAt } // marks errors
	plainReader    struct{ io.Reader }   // translates errors
	plainReaderAt  struct{ io.ReaderAt } // translates errors
)

func (r sourceReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	return n, fromSource(err)
}

func (r sourceReaderAt) ReadAt(p []byte, off int64) (int, error) {
	n, err := r.ReaderAt.ReadAt(p, off)
	return n, fromSource(err)
}

// A begunReaderAt has the header already, with the nonce behind it. A read that
// begins in the header ends with what there is: age reads it through a buffer,
// which asks for more than there is use for and takes what it gets.
type begunReaderAt struct {
	io.ReaderAt
	begin  []byte
	header int64 // bytes
}

func (r begunReaderAt) ReadAt(p []byte, off int64) (int, error) {
	if off < r.header {
		return copy(p, r.begin[off:]), nil
	}
	return r.ReaderAt.ReadAt(p, off)
}

func (r plainReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	return n, failure(err)
}

func (r plainReaderAt) ReadAt(p []byte, off int64) (int, error) {
	n, err := r.ReaderAt.ReadAt(p, off)
	return n, failure(err)
}

type digester struct {
	hash.Hash
	size int64
}

func newDigester() *digester { return &digester{Hash: sha256.New()} }

func (d *digester) Write(p []byte) (int, error) {
	d.size += int64(len(p))
	return d.Hash.Write(p)
}

func (d *digester) digest() Digest {
	return Digest{[sha256.Size]byte(d.Sum(nil)), d.size}
}
