//go:build !unix

package client

import (
	"errors"
	"os"
)

// openLocked makes a file that only one can have open: without locks that end with their process, a file whose name is taken, and which
// can be removed only while nobody has it open, does as well.
func openLocked(name string) (file *os.File, ok bool, err error) {
	if err := ignoreAbsent(os.Remove(name)); err != nil {
		return nil, false, nil // on Windows: somebody has it open
	}
	file, err = os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil, false, nil
	}
	return file, err == nil, err
}

// removeLocked closes the file first: an open one cannot be removed.
func removeLocked(file *os.File, name string) error {
	if err := file.Close(); err != nil {
		return err
	}
	os.Remove(name) // another may have it already
	return nil
}
