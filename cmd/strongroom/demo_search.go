package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"strongroom.example/strongroom/internal/evidence"
)

// searchVault looks for what the vault must not have in everything that its operator has.
func (d *demo) searchVault(ctx context.Context) error {
	total := int64(0)
	err := filepath.WalkDir(filepath.Join(d.dir, "vault"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		n, found, err := search(ctx, f, []byte(sampleMark), []byte("AGE-SECRET-KEY-"))
		if found != nil {
			return fmt.Errorf("the vault's file %s holds %q", filepath.Base(path), found)
		}
		total += n
		return err
	})
	if err != nil {
		return err
	}
	d.checked("The vault's whole folder was searched, %s. No word of the sealed sample texts is in it, and no key that opens files.",
		bytesOf(total))
	return d.strangerSeesNothing(ctx)
}

// search reads to the end and returns the first of the words that it meets.
func search(ctx context.Context, r io.Reader, words ...[]byte) (n int64, found []byte, err error) {
	const overlap = 64 // more than the longest word
	buf := make([]byte, overlap+1<<20)
	kept := 0
	for {
		got, err := io.ReadFull(r, buf[kept:])
		n += int64(got)
		for _, word := range words {
			if bytes.Contains(buf[:kept+got], word) {
				return n, word, nil
			}
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return n, nil, nil
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return n, nil, err
		}
		kept = copy(buf, buf[kept+got-overlap:kept+got])
	}
}

// strangerSeesNothing: the administrator, who runs the vault but is no member of the case, asks for the item.
func (d *demo) strangerSeesNothing(ctx context.Context) error {
	switch _, err := d.administrator.History(ctx, evidence.ItemOf(d.sharedItem().id)); {
	case err == nil:
		return errors.New("an administrator was shown an item")
	case evidence.KindOf(err) != evidence.NotFound:
		return err
	default:
		d.refused("The administrator asks for the item's history. %s", explain(err).sentence)
		return nil
	}
}
