package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"

	"strongroom.example/strongroom/internal/config"
	"strongroom.example/strongroom/internal/objects"
	"strongroom.example/strongroom/internal/objects/fs"
	"strongroom.example/strongroom/internal/objects/s3"
)

// ErrNoObjects means that the vault's objects are not where the configuration says.
var ErrNoObjects = errors.New("the vault's objects are not where the configuration says; give the configuration that init was given (--config FILE)")

// readConfig reads the configuration: a file of the operator's, or the one in the folder if there is one.
func (f folder) readConfig(file string) (config.Config, error) {
	if file != "" {
		return config.Read(file)
	}
	c, err := config.Read(f.config())
	if errors.Is(err, os.ErrNotExist) {
		return config.Config{}, nil
	}
	return c, err
}

// bucket is the configured one, as the store of a vault.
func bucket(c config.S3, origin string) s3.Config {
	return s3.Config{
		Endpoint: c.Endpoint, Region: c.Region, Bucket: c.Bucket, Prefix: c.Prefix, CAFile: c.CAFile, CredentialsFile: c.CredentialsFile, Owner: origin,
		Direct: c.Direct, Governance: c.Retention == "governance",
	}
}

// createObjects makes the object store of a new vault. A folder that an interrupted attempt left is made anew.
func (f folder) createObjects(ctx context.Context, c config.Objects, origin string) error {
	if c.S3 == nil {
		return errors.Join(os.RemoveAll(f.objects()), fs.Create(f.objects()))
	}
	err := s3.Create(ctx, bucket(*c.S3, origin))
	if errors.Is(err, objects.ErrExists) {
		err = fmt.Errorf("bucket and prefix are in use already, choose another prefix: %w", err)
	}
	return err
}

// openObjects opens the object store of a vault, for others to work on too unless it is alone with it.
func (f folder) openObjects(ctx context.Context, c config.Objects, origin string, alone bool) (store objects.Store, err error) {
	if c.S3 == nil {
		store, err = fs.Open(f.objects())
	} else {
		b := bucket(*c.S3, origin)
		if alone {
			b.Process = "embedded" // what an earlier one left is its own
		}
		store, err = s3.Open(ctx, b)
	}
	if errors.Is(err, objects.ErrNotFound) {
		err = errors.Join(ErrNoObjects, err)
	}
	if err != nil {
		return nil, err
	}
	return store, nil
}

// provideObjects opens the object store of a vault that is restored, and makes it first where there is none: a lost machine's bucket may
// be lost too.
func (f folder) provideObjects(ctx context.Context, c config.Objects, origin string) (objects.Store, error) {
	store, err := f.openObjects(ctx, c, origin, true)
	switch {
	case c.S3 == nil && errors.Is(err, objects.ErrNotFound):
		err = fs.Create(f.objects())
	case c.S3 != nil && (errors.Is(err, objects.ErrNotFound) || errors.Is(err, s3.ErrBucket)):
		err = s3.Create(ctx, bucket(*c.S3, origin))
	default:
		return store, err
	}
	if err != nil {
		return nil, err
	}
	return f.openObjects(ctx, c, origin, true)
}
