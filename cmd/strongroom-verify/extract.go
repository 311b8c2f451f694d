//go:build !(js && wasm)

package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"strongroom.example/strongroom/internal/dossier"
)

// extract writes what was opened.
func extract(stderr io.Writer, dir string, report *dossier.Report) error {
	list := report.Opened()
	if len(list) == 0 {
		fmt.Fprintln(stderr, "Nothing was written: only a verified package is opened.")
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, o := range list {
		name := filepath.Join(dir, fileName(o, list))
		for _, d := range o.Descriptions {
			if err := create(name+"."+d+".json", func(w io.Writer) error {
				text, err := o.Description(d)
				if err == nil {
					_, err = w.Write(text)
				}
				return err
			}); err != nil {
				return err
			}
		}
		if o.NoFile {
			continue
		}
		if err := create(name+cmp.Or(o.Extension, ".bin"), o.WriteEvidence); err != nil {
			return err
		}
	}
	return nil
}

// fileName is the exhibit's number, never what a person called the file; the item's id follows where two cases have one number.
func fileName(o dossier.Opened, all []dossier.Opened) string {
	name := fmt.Sprintf("exhibit-%d", o.Exhibit)
	switch {
	case o.Exhibit == 0:
		return string(o.Item)
	case slices.ContainsFunc(all, func(p dossier.Opened) bool { return p.Exhibit == o.Exhibit && p.Item != o.Item }):
		return name + "-" + string(o.Item)
	}
	return name
}

// create writes a file that must not exist yet. It gets its name only once it is whole: what an interrupted run leaves ends in ".part".
func create(name string, write func(io.Writer) error) error {
	if _, err := os.Lstat(name); err == nil {
		return fmt.Errorf("%s is there already: nothing is overwritten", name)
	}
	part := name + ".part"
	file, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	err = write(file)
	if err == nil {
		err = file.Sync()
	}
	if e := file.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Link(part, name) // unlike a rename, it never replaces
		if err != nil && !errors.Is(err, os.ErrExist) {
			return os.Rename(part, name) // a disk without links, as in many a stick
		}
	}
	os.Remove(part)
	return err
}
