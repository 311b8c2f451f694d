package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"strongroom.example/strongroom/internal/evidence"
)

// searchVault looks for what the vault must not have in everything that its operator has.
func (d *demo) searchVault(ctx context.Context) error {
	folders, called := []string{filepath.Join(d.dir, "vault")}, "The vault's whole folder was"
	if d.bucket != nil {
		folders, called = append(folders, d.bucketFolder()), "The vault's whole folder and the S3 server's were"
	}
	if d.engines != nil {
		folders, called = append(folders, filepath.Join(d.dir, "vault-2"), d.engines.database.Folder()), "The folders of both servers, of the S3 server and of PostgreSQL were"
	}
	var secrets sieve
	secrets.add("a word of the samples", []byte(sampleMark))
	secrets.add("a key", []byte("AGE-SECRET-KEY-"))
	var held error
	total := int64(0)
	for _, folder := range folders {
		n, err := secrets.searchFolder(ctx, folder, func(path, name string) {
			held = fmt.Errorf("the vault's file %s holds %s", filepath.Base(path), name)
		})
		if err := errors.Join(err, held); err != nil {
			return err
		}
		total += n
	}
	d.checked("%s searched, %s. No word of the sealed sample texts is there, and no key that opens files.", called, bytesOf(total))
	return d.strangerSeesNothing(ctx)
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
