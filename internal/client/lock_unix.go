//go:build unix

package client

import (
	"errors"
	"os"
	"syscall"
)

// openLocked opens a file, making it if there is none, and locks it; ok is false if another holds the lock.
func openLocked(name string) (file *os.File, ok bool, err error) {
	file, err = os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, false, err
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return file, true, nil
	}
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = nil
	}
	return nil, false, errors.Join(err, file.Close())
}

// removeLocked removes the file before its lock goes with it.
func removeLocked(file *os.File, name string) error {
	return errors.Join(os.Remove(name), file.Close())
}
