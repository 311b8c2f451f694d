package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"

	"strongroom.example/strongroom/internal/objects"
)

// Open implements [objects.Store]. Reading it checks: what is not as it was written is ErrDamaged, and none of that page is given.
// Reading ends with ctx.
func (s *Store) Open(ctx context.Context, d objects.Digest) (objects.Object, error) {
	m, err := s.readManifest(ctx, d)
	if err != nil {
		return nil, fail("open", err)
	}
	return s.reader(ctx, m), nil
}

// stat returns an object's manifest and what the bucket says of its body now.
func (s *Store) stat(ctx context.Context, d objects.Digest) (manifest, minio.ObjectInfo, error) {
	m, err := s.readManifest(ctx, d)
	if err != nil {
		return m, minio.ObjectInfo{}, err
	}
	body, err := s.bucket.head(ctx, bodyPrefix+m.Body, m.Version)
	if errors.Is(err, objects.ErrNotFound) || err == nil && body.Size != m.Size {
		err = objects.ErrDamaged
	}
	return m, body, err
}

// Stat implements [objects.Store].
func (s *Store) Stat(ctx context.Context, d objects.Digest) (objects.Info, objects.Lock, error) {
	m, body, err := s.stat(ctx, d)
	if err != nil {
		return objects.Info{}, objects.Lock{}, fail("stat", err)
	}
	lock, err := lockOf(body)
	if err != nil {
		return objects.Info{}, objects.Lock{}, fail("stat", err)
	}
	return objects.Info{Digest: d, Size: m.Size}, lock, nil
}

// maxAsked is how many manifests are asked for at once.
const maxAsked = 8

// List implements [objects.Store]. What is not under its own name is no object.
func (s *Store) List(ctx context.Context, after objects.Digest, limit int) ([]objects.Info, error) {
	var list []objects.Info
	for len(list) < limit {
		digests, err := s.names(ctx, after, limit-len(list))
		if err != nil {
			return nil, fail("list", err)
		}
		if len(digests) == 0 {
			break
		}
		infos, err := s.sizes(ctx, digests)
		if err != nil {
			return nil, fail("list", err)
		}
		list = append(list, infos...)
		after = digests[len(digests)-1]
	}
	return list, nil
}

// names lists digests of objects.
func (s *Store) names(ctx context.Context, after objects.Digest, limit int) (list []objects.Digest, err error) {
	begin := ""
	if after != (objects.Digest{}) {
		begin = objectKey(after)
	}
	for info, err := range s.bucket.keys(ctx, objectPrefix, begin) {
		if err != nil {
			return nil, err
		}
		d, err := objects.ParseDigest(info.Key[strings.LastIndexByte(info.Key, '/')+1:])
		if err != nil || info.Key != objectKey(d) {
			continue
		}
		if list = append(list, d); len(list) == limit {
			break
		}
	}
	return list, ctx.Err()
}

// sizes describes objects, without those that are gone meanwhile.
func (s *Store) sizes(ctx context.Context, digests []objects.Digest) ([]objects.Info, error) {
	sizes, errs := make([]int64, len(digests)), make([]error, len(digests))
	var all sync.WaitGroup
	asking := make(chan struct{}, maxAsked)
	for i, d := range digests {
		asking <- struct{}{}
		all.Go(func() {
			defer func() { <-asking }()
			m, err := s.readManifest(ctx, d)
			if sizes[i], errs[i] = m.Size, err; errors.Is(err, objects.ErrDamaged) {
				sizes[i], errs[i] = -1, nil
			}
		})
	}
	all.Wait()
	var list []objects.Info
	for i, d := range digests {
		if errors.Is(errs[i], objects.ErrNotFound) {
			continue
		}
		if errs[i] != nil {
			return nil, errs[i]
		}
		list = append(list, objects.Info{Digest: d, Size: sizes[i]})
	}
	return list, nil
}

// Verify implements [objects.Store].
func (s *Store) Verify(ctx context.Context, d objects.Digest) (objects.Sums, error) {
	sums, err := s.verify(ctx, d)
	return sums, fail("verify", err)
}

func (s *Store) verify(ctx context.Context, d objects.Digest) (objects.Sums, error) {
	m, _, err := s.stat(ctx, d)
	if err != nil {
		return objects.Sums{}, err
	}
	r, h := s.reader(ctx, m), objects.NewHasher()
	defer r.Close()
	if _, err := io.CopyBuffer(h, struct{ io.Reader }{r}, make([]byte, page)); err != nil {
		return objects.Sums{}, err
	}
	sums := h.Sums()
	if sums.Digest != d {
		return objects.Sums{}, objects.ErrDamaged
	}
	return sums, nil
}

// Remove implements [objects.Store]. The server's clock says when a retention ends.
func (s *Store) Remove(ctx context.Context, d objects.Digest, now time.Time) error {
	s.lockMu.Lock()
	defer s.lockMu.Unlock()
	return fail("remove", s.removeObject(ctx, d, now))
}

func (s *Store) removeObject(ctx context.Context, d objects.Digest, now time.Time) error {
	m, err := s.readManifest(ctx, d)
	if err != nil {
		return err
	}
	var lock objects.Lock
	body, err := s.bucket.head(ctx, bodyPrefix+m.Body, m.Version)
	if err == nil {
		lock, err = lockOf(body)
	}
	switch {
	case errors.Is(err, objects.ErrNotFound): // an earlier removal was cut short
	case err != nil:
		return err
	case !lock.Allows(now):
		return objects.ErrLocked
	}
	// The bytes go first: if the server keeps them, the object stays whole.
	if err := s.bucket.remove(ctx, bodyPrefix+m.Body); err != nil {
		if lock != (objects.Lock{}) && !errors.Is(err, objects.ErrUnreachable) && ctx.Err() == nil {
			return objects.ErrLocked // servers differ in how they say it
		}
		return err
	}
	return s.bucket.remove(ctx, objectKey(d))
}

// Address implements [objects.Store], if there is a direct address. It names the version of the bytes, so that nothing put in their place
// is fetched, and holds for nothing but a GET of exactly this range.
func (s *Store) Address(ctx context.Context, d objects.Digest, from, to int64, life time.Duration) (objects.Address, error) {
	if s.direct == nil {
		return objects.Address{}, nil
	}
	m, err := s.readManifest(ctx, d)
	if err != nil {
		return objects.Address{}, fail("address", err)
	}
	if from < 0 || from > to || to >= m.Size {
		return objects.Address{}, fail("address", objects.ErrInvalid)
	}
	u, err := s.direct.PresignHeader(ctx, http.MethodGet, s.bucket.name, s.bucket.prefix+bodyPrefix+m.Body, life,
		url.Values{"versionId": {m.Version}, "response-cache-control": {"no-store"}, "response-content-type": {"application/octet-stream"}},
		http.Header{"Range": {fmt.Sprintf("bytes=%d-%d", from, to)}})
	if err != nil {
		return objects.Address{}, fail("address", objects.ErrInvalid)
	}
	return objects.Address{URL: u.String(), CA: s.trust}, nil
}
