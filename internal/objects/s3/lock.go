package s3

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"strongroom.example/strongroom/internal/objects"
)

const (
	headerMode  = "X-Amz-Object-Lock-Mode"
	headerUntil = "X-Amz-Object-Lock-Retain-Until-Date"
	headerHold  = "X-Amz-Object-Lock-Legal-Hold"
)

// lockOf reads a lock from the headers of a version.
func lockOf(info minio.ObjectInfo) (objects.Lock, error) {
	lock := objects.Lock{Hold: info.Metadata.Get(headerHold) == string(minio.LegalHoldEnabled)}
	if until := info.Metadata.Get(headerUntil); until != "" {
		t, err := time.Parse(time.RFC3339, until)
		if err != nil {
			return objects.Lock{}, objects.ErrDamaged
		}
		lock.Until = t.UTC()
	}
	return lock, nil
}

// Retain implements [objects.Store]. An object keeps the mode that it was first locked in: nobody may weaken one in force.
func (s *Store) Retain(ctx context.Context, d objects.Digest, until time.Time) error {
	if until.UTC().Year() > 9998 {
		return fail("retain", objects.ErrInvalid)
	}
	if up := until.Truncate(time.Second); up.Before(until) {
		until = up.Add(time.Second)
	}
	until = until.UTC()
	judge := func(lock objects.Lock, key string) (done bool, err error) {
		if until.Before(lock.Until) && strings.HasPrefix(key, bodyPrefix) {
			return false, objects.ErrLocked
		}
		return !until.After(lock.Until), nil
	}
	return s.relock(ctx, d, "retain", func(info minio.ObjectInfo, lock objects.Lock, key string) error {
		if done, err := judge(lock, key); done || err != nil {
			return err
		}
		mode := s.mode
		if first := minio.RetentionMode(info.Metadata.Get(headerMode)); first.IsValid() {
			mode = first
		}
		refused := s.bucket.api.PutObjectRetention(ctx, s.bucket.name, s.bucket.prefix+key,
			minio.PutObjectRetentionOptions{Mode: &mode, RetainUntilDate: &until, VersionID: info.VersionID})
		if refused == nil {
			return nil
		}
		// Another process may have been first with a longer one: a bucket refuses to shorten.
		info, err := s.bucket.head(ctx, key, info.VersionID)
		if err == nil {
			lock, err = lockOf(info)
		}
		if err == nil {
			if done, err := judge(lock, key); done || err != nil {
				return err
			}
		}
		return refused
	})
}

// Hold implements [objects.Store].
func (s *Store) Hold(ctx context.Context, d objects.Digest, on bool) error {
	status := minio.LegalHoldDisabled
	if on {
		status = minio.LegalHoldEnabled
	}
	return s.relock(ctx, d, "hold", func(info minio.ObjectInfo, lock objects.Lock, key string) error {
		if lock.Hold == on {
			return nil
		}
		return s.bucket.api.PutObjectLegalHold(ctx, s.bucket.name, s.bucket.prefix+key,
			minio.PutObjectLegalHoldOptions{Status: &status, VersionID: info.VersionID})
	})
}

// relock changes the lock of an object's manifest, without which nobody would find its bytes, and then that of the bytes, which counts as
// the object's: what was cut short in between shows, and is done again.
func (s *Store) relock(ctx context.Context, d objects.Digest, op string, change func(info minio.ObjectInfo, lock objects.Lock, key string) error) error {
	s.lockMu.Lock()
	defer s.lockMu.Unlock()
	m, err := s.readManifest(ctx, d)
	if err != nil {
		return fail(op, err)
	}
	for _, v := range []struct{ key, version string }{{objectKey(d), ""}, {bodyPrefix + m.Body, m.Version}} {
		info, err := s.bucket.head(ctx, v.key, v.version)
		if errors.Is(err, objects.ErrNotFound) {
			err = objects.ErrDamaged
		}
		var lock objects.Lock
		if err == nil {
			lock, err = lockOf(info)
		}
		if err == nil {
			err = translate(change(info, lock, v.key))
		}
		if err != nil {
			return fail(op, err)
		}
	}
	return nil
}
