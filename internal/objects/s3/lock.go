package s3

import (
	"context"
	"errors"
	"time"

	"github.com/minio/minio-go/v7"

	"strongroom.example/strongroom/internal/objects"
)

// lockOf reads a lock from the headers of a version.
func lockOf(info minio.ObjectInfo) (objects.Lock, error) {
	lock := objects.Lock{Hold: info.Metadata.Get("X-Amz-Object-Lock-Legal-Hold") == string(minio.LegalHoldEnabled)}
	if until := info.Metadata.Get("X-Amz-Object-Lock-Retain-Until-Date"); until != "" {
		t, err := time.Parse(time.RFC3339, until)
		if err != nil {
			return objects.Lock{}, objects.ErrDamaged
		}
		lock.Until = t.UTC()
	}
	return lock, nil
}

// Retain implements [objects.Store], in the mode COMPLIANCE: nobody shortens it, the owner of the bucket included.
func (s *Store) Retain(ctx context.Context, d objects.Digest, until time.Time) error {
	if until.UTC().Year() > 9998 {
		return fail("retain", objects.ErrInvalid)
	}
	if up := until.Truncate(time.Second); up.Before(until) {
		until = up.Add(time.Second)
	}
	until = until.UTC()
	mode := minio.Compliance
	return s.relock(ctx, d, "retain", func(lock objects.Lock, key, version string) error {
		switch {
		case until.Before(lock.Until):
			return objects.ErrLocked
		case until.Equal(lock.Until):
			return nil
		}
		return s.bucket.api.PutObjectRetention(ctx, s.bucket.name, key,
			minio.PutObjectRetentionOptions{Mode: &mode, RetainUntilDate: &until, VersionID: version})
	})
}

// Hold implements [objects.Store].
func (s *Store) Hold(ctx context.Context, d objects.Digest, on bool) error {
	status := minio.LegalHoldDisabled
	if on {
		status = minio.LegalHoldEnabled
	}
	return s.relock(ctx, d, "hold", func(lock objects.Lock, key, version string) error {
		if lock.Hold == on {
			return nil
		}
		return s.bucket.api.PutObjectLegalHold(ctx, s.bucket.name, key, minio.PutObjectLegalHoldOptions{Status: &status, VersionID: version})
	})
}

// relock changes the lock of an object's bytes, which is the object's, and then that of its manifest, without which nobody would find
// them. A call cut short in between can be repeated.
func (s *Store) relock(ctx context.Context, d objects.Digest, op string, change func(lock objects.Lock, key, version string) error) error {
	s.lockMu.Lock()
	defer s.lockMu.Unlock()
	m, err := s.readManifest(ctx, d)
	if err != nil {
		return fail(op, err)
	}
	for _, v := range []struct{ key, version string }{{bodyPrefix + m.Body, m.Version}, {objectKey(d), ""}} {
		info, err := s.bucket.head(ctx, v.key, v.version)
		if errors.Is(err, objects.ErrNotFound) {
			err = objects.ErrDamaged
		}
		var lock objects.Lock
		if err == nil {
			lock, err = lockOf(info)
		}
		if err == nil {
			err = translate(change(lock, s.bucket.prefix+v.key, info.VersionID))
		}
		if err != nil {
			return fail(op, err)
		}
	}
	return nil
}
