package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// hashSize is how long everything is that the growing files hold.
const hashSize = 32

// column is a file of 32-byte values, one for each entry of the log in its order, that only grows. What stands in it beyond what the state
// vouches for was not verified yet: a process that is killed leaves some there.
type column struct {
	file  *os.File
	len   int64 // values in it
	wrote func()
}

func openColumn(path string, wrote func()) (*column, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &column{file, info.Size() / hashSize, wrote}, nil
}

// append adds values at the end; they are durable after sync.
func (c *column) append(values []byte) error {
	_, err := c.file.WriteAt(values, c.len*hashSize)
	c.wrote()
	if err == nil {
		c.len += int64(len(values) / hashSize)
	}
	return err
}

// cut forgets what stands beyond the first n values.
func (c *column) cut(n int64) error {
	c.len = min(c.len, n)
	return c.file.Truncate(c.len * hashSize)
}

func (c *column) sync() error {
	err := c.file.Sync()
	c.wrote()
	return err
}

// read returns values [start, start+count).
func (c *column) read(start, count int64) ([]byte, error) {
	values := make([]byte, count*hashSize)
	_, err := c.file.ReadAt(values, start*hashSize)
	if errors.Is(err, io.EOF) {
		err = ErrDamaged
	}
	return values, err
}

func (c *column) at(i int64) (h [hashSize]byte, err error) {
	values, err := c.read(i, 1)
	copy(h[:], values)
	return h, err
}

// each calls f for values [start, end) in order.
func (c *column) each(start, end int64, f func(i int64, value []byte) error) error {
	const chunk = 1 << 12
	for ; start < end; start += chunk {
		n := min(chunk, end-start)
		values, err := c.read(start, n)
		if err != nil {
			return err
		}
		for i := range n {
			if err := f(start+i, values[i*hashSize:][:hashSize]); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeDoc replaces a document, durably and at once or not at all. Its first line is the SHA-256 of the rest.
func writeDoc(path string, doc any, wrote func()) error {
	text, err := json.Marshal(doc)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(text)
	if err := writeFile(path+".new", append([]byte(hex.EncodeToString(sum[:])+"\n"), text...)); err != nil {
		return err
	}
	wrote()
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	wrote()
	return syncFolder(filepath.Dir(path))
}

// readDoc reads what writeDoc wrote, and nothing else: fs.ErrNotExist, ErrDamaged.
func readDoc(path string, doc any) error {
	file, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	line, text, found := bytes.Cut(file, []byte("\n"))
	sum := sha256.Sum256(text)
	if !found || string(line) != hex.EncodeToString(sum[:]) || json.Unmarshal(text, doc) != nil {
		return ErrDamaged
	}
	if again, err := json.Marshal(doc); err != nil || !bytes.Equal(again, text) {
		return ErrDamaged
	}
	return nil
}

func writeFile(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Sync(), f.Close())
}

// syncFolder makes a change of names durable. Windows and browsers have no such call: there a rename is durable with the file.
func syncFolder(dir string) error {
	if runtime.GOOS == "windows" || runtime.GOOS == "js" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func absent(err error) bool { return errors.Is(err, fs.ErrNotExist) }
