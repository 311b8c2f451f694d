package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"strongroom.example/strongroom/internal/objects/versitygw"
)

// useBucket starts an S3 server beside the vault-to-be and configures the vault to keep its objects there.
func (d *demo) useBucket(ctx context.Context, program string) (err error) {
	if d.bucket, err = versitygw.Start(ctx, program, d.bucketFolder()); err != nil {
		return demoCannot("The S3 server does not start: "+err.Error(), "Install it with ./scripts/versitygw and name the file that it prints.")
	}
	d.config += fmt.Sprintf("objects:\n  s3:\n    endpoint: %s\n    region: %s\n    bucket: evidence\n    ca_file: %s\n    credentials_file: %s\n",
		d.bucket.Endpoint, versitygw.Region, strconv.Quote(d.bucket.CAFile), strconv.Quote(d.bucket.CredentialsFile))
	return nil
}

// configure gives the vault-to-be its configuration, if it needs any.
func (d *demo) configure() error {
	if d.config == "" {
		return nil
	}
	if err := os.Mkdir(filepath.Join(d.dir, "vault"), 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(d.dir, "vault", "strongroomd.yaml"), []byte(d.config), 0o600)
}

func (d *demo) bucketFolder() string { return filepath.Join(d.dir, "bucket") }
