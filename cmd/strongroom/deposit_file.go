package main

import (
	"errors"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"strongroom.example/strongroom/internal/client"
)

// found is a file to deposit, or an entry of a folder that cannot be.
type found struct {
	path    string
	err     error // it cannot be read
	leftOut bool  // a link, or something else that is no file
	alone   bool  // it is a record that is deposited without a file
}

// filesIn lists the files named, and everything in the folders named.
func filesIn(names []string) []found {
	var list []found
	for _, name := range names {
		filepath.WalkDir(name, func(path string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
				list = append(list, found{path: path, err: err})
			case entry.Type().IsRegular(), path == name && !entry.IsDir(): // who names a link means its file
				list = append(list, found{path: path})
			case !entry.IsDir():
				list = append(list, found{path: path, leftOut: true})
			}
			return nil
		})
	}
	return list
}

// steady reads a file that must stay what it was when it was opened.
type steady struct {
	file *os.File
	was  fs.FileInfo
	at   int64
}

// openSteady opens a regular file. It never waits, as opening a pipe does.
func openSteady(path string) (*steady, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "open", Path: path, Err: errors.New("this is not a file")}
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	was, err := file.Stat()
	if err == nil && !os.SameFile(info, was) {
		err = changed()
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &steady{file: file, was: was}, nil
}

func changed() error { return cannot("file_changed", nil) }

// Read ends in an error, not in io.EOF, if the file has changed.
func (s *steady) Read(p []byte) (int, error) {
	n, err := s.file.Read(p)
	s.at += int64(n)
	if s.at > s.was.Size() {
		return n, changed()
	}
	if err == io.EOF {
		now, failed := s.file.Stat()
		if failed != nil {
			return n, failed
		}
		if s.at != s.was.Size() || now.Size() != s.was.Size() || !now.ModTime().Equal(s.was.ModTime()) {
			return n, changed()
		}
	}
	return n, err
}

func (s *steady) Seek(offset int64, whence int) (int64, error) {
	at, err := s.file.Seek(offset, whence)
	s.at = at
	return at, err
}

func (s *steady) Close() error { return s.file.Close() }

// nameOf is what a description calls a file.
func nameOf(path string) string { return strings.ToValidUTF8(filepath.Base(path), "\uFFFD") }

// describe adds to what holds for all files what can be told from the file itself.
func (s *steady) describe(d *client.Deposit, path string) error {
	name := nameOf(path)
	d.Body, d.Size, d.Description.Name = s, s.was.Size(), name
	if d.Label == "" {
		d.Label = name
	}
	if d.Description.MediaType = mime.TypeByExtension(filepath.Ext(name)); d.Description.MediaType != "" {
		return nil
	}
	start := make([]byte, 512)
	n, err := s.file.ReadAt(start, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	d.Description.MediaType = http.DetectContentType(start[:n])
	return nil
}
