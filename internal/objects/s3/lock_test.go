package s3_test

import (
	"bytes"
	"context"
	"io"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"strongroom.example/strongroom/internal/objects"
)

// TestRawDeletion: whoever has the store's own credentials and goes past it destroys nothing that is locked, and shortens no lock.
func TestRawDeletion(t *testing.T) {
	need(t)
	for _, mode := range []minio.RetentionMode{minio.Compliance, minio.Governance} {
		for name, lock := range map[string]objects.Lock{
			"retention": {Until: time.Now().Add(time.Hour).Truncate(time.Second).UTC()},
			"hold":      {Hold: true},
		} {
			t.Run(string(mode)+"/"+name, func(t *testing.T) {
				c := config(&shared, t.TempDir())
				c.Governance = mode == minio.Governance
				s := create(t, c)
				all := content(1000)
				d := put(t, s, "upl-a", all)
				if lock.Hold {
					must(t, s.Hold(t.Context(), d, true))
				} else {
					must(t, s.Retain(t.Context(), d, lock.Until))
				}
				api := administrator(t, c)
				versions := 0
				for info := range api.ListObjectsIter(t.Context(), c.Bucket, minio.ListObjectsOptions{Prefix: c.Prefix, Recursive: true, WithVersions: true}) {
					must(t, info.Err)
					if info.Key == c.Prefix+"store" {
						continue
					}
					versions++
					before := read(t, api, c.Bucket, info)
					api.RemoveObject(t.Context(), c.Bucket, info.Key, minio.RemoveObjectOptions{VersionID: info.VersionID})
					earlier := lock.Until.Add(-time.Minute)
					api.PutObjectRetention(t.Context(), c.Bucket, info.Key, minio.PutObjectRetentionOptions{Mode: &mode, RetainUntilDate: &earlier, VersionID: info.VersionID})
					api.PutObjectRetention(t.Context(), c.Bucket, info.Key, minio.PutObjectRetentionOptions{VersionID: info.VersionID})
					if !bytes.Equal(read(t, api, c.Bucket, info), before) {
						t.Error("a locked version has other bytes")
					}
				}
				if versions != 2 {
					t.Fatalf("found %d versions of the object and what names it", versions)
				}
				if !lock.Hold {
					wantLock(t, s, d, lock)
				} else if _, got, err := s.Stat(t.Context(), d); err != nil || !got.Hold {
					t.Errorf("lock is %v, %v", got, err)
				}
				is(t, s.Remove(t.Context(), d, time.Now()), objects.ErrLocked)
				must1(s.Verify(t.Context(), d))
			})
		}
	}
}

func read(t *testing.T, api *minio.Client, bucket string, info minio.ObjectInfo) []byte {
	t.Helper()
	o, err := api.GetObject(t.Context(), bucket, info.Key, minio.GetObjectOptions{VersionID: info.VersionID})
	must(t, err)
	defer o.Close()
	b, err := io.ReadAll(o)
	must(t, err)
	return b
}

func wantLock(t *testing.T, s objects.Store, d objects.Digest, want objects.Lock) {
	t.Helper()
	_, lock, err := s.Stat(t.Context(), d)
	must(t, err)
	if lock != want {
		t.Fatalf("lock is %v, want %v", lock, want)
	}
}

// TestMode: a file keeps the mode it was first locked in, whatever is configured later.
func TestMode(t *testing.T) {
	need(t)
	c := config(&shared, t.TempDir())
	strict := create(t, c)
	c.Governance = true
	lax := openConfig(t, c)
	api, now := administrator(t, c), time.Now().Truncate(time.Second).UTC()
	modes := func() map[minio.RetentionMode]int {
		found := make(map[minio.RetentionMode]int)
		for info := range api.ListObjectsIter(context.Background(), c.Bucket, minio.ListObjectsOptions{Prefix: c.Prefix, Recursive: true}) {
			must(t, info.Err)
			head, err := api.StatObject(t.Context(), c.Bucket, info.Key, minio.StatObjectOptions{})
			must(t, err)
			found[minio.RetentionMode(head.Metadata.Get("X-Amz-Object-Lock-Mode"))]++
		}
		return found
	}
	one, other := put(t, strict, "upl-a", content(10)), put(t, lax, "upl-b", content(20))
	must(t, strict.Retain(t.Context(), one, now.Add(time.Hour)))
	must(t, lax.Retain(t.Context(), other, now.Add(time.Hour)))
	for n := range 2 {
		if got := modes(); got[minio.Compliance] != 2 || got[minio.Governance] != 2 {
			t.Errorf("round %d: %v", n, got)
		}
		must(t, lax.Retain(t.Context(), one, now.Add(2*time.Hour)))
		must(t, strict.Retain(t.Context(), other, now.Add(2*time.Hour)))
		wantLock(t, strict, one, objects.Lock{Until: now.Add(2 * time.Hour)})
		wantLock(t, lax, other, objects.Lock{Until: now.Add(2 * time.Hour)})
	}
}
