package s3

import (
	"bytes"
	"context"
	"errors"
	"io"
	"time"

	"github.com/minio/minio-go/v7"

	"strongroom.example/strongroom/internal/objects"
)

// complete makes the parts of an upload that has all its bytes one body. It succeeds again, and whoever else does the same.
//
// S3 makes it of the parts that are named to it and no others. So hashes that stand in the record of an upload with a body are of that body:
// where the parts are not those that were hashed, they are taken out before.
func (s *Store) complete(ctx context.Context, id string, st *staged) error {
	if st.offset != st.Size {
		return objects.ErrOffset
	}
	if st.body == nil {
		if st.Size == 0 { // S3 wants one part at least
			p, err := s.bucket.send(ctx, bodyPrefix+st.Body, st.Multipart, 1, bytes.NewReader(nil), 0, 0)
			if err != nil && !errors.Is(err, errNoUpload) {
				return err
			}
			st.parts = []minio.ObjectPart{{PartNumber: 1, ETag: p.ETag, ChecksumCRC32C: p.ChecksumCRC32C}}
		}
		whole, err := minio.ChecksumCRC32C.FullObjectChecksum(st.parts)
		if err != nil {
			return objects.ErrDamaged // a part has no checksum: it is none of ours
		}
		if st.sums != nil && whole.Encoded() != sum64(st.sums.whole) {
			st.sums = nil
		}
		if st.sums == nil && st.State != nil {
			next := st.record
			next.State = nil
			etag, err := s.write(ctx, id, next, st.etag)
			if err != nil {
				return err
			}
			st.record, st.etag = next, etag
		}
		body, err := s.bucket.complete(ctx, bodyPrefix+st.Body, st.Multipart, st.parts, whole.Encoded())
		if err != nil {
			return err
		}
		if body.Size != st.Size {
			return objects.ErrDamaged
		}
		st.body = &body
	}
	if st.body.VersionID == "" {
		return unfit("it has no versioning")
	}
	return nil
}

// bodyPatience is how long a bucket may take to make many parts one.
const bodyPatience = 10 * time.Minute

// complete makes parts one body, unless there is one, and describes it. whole is the CRC32C of them all, which S3 compares with what it makes
// of them.
func (b bucket) complete(ctx context.Context, key, multipart string, parts []minio.ObjectPart, whole string) (body minio.ObjectInfo, err error) {
	ctx, cancel := context.WithTimeout(ctx, bodyPatience)
	defer cancel()
	var named []minio.CompletePart
	for _, p := range parts {
		named = append(named, minio.CompletePart{PartNumber: p.PartNumber, ETag: p.ETag, ChecksumCRC32C: p.ChecksumCRC32C})
	}
	o := minio.PutObjectOptions{UserMetadata: map[string]string{headerCRC32C: whole, headerType: fullObject}}
	absent(&o)
	_, err = b.api.CompleteMultipartUpload(ctx, b.name, b.prefix+key, multipart, named, o)
	if err = translate(err); err != nil && !errors.Is(err, errNoUpload) && !errors.Is(err, errCondition) {
		return body, err
	}
	body, err = b.made(ctx, key, func() error { return nil })
	if err == nil && body.ChecksumCRC32C != "" && body.ChecksumCRC32C != whole {
		err = objects.ErrDamaged
	}
	return body, err
}

// made describes a body that is there, or that another process is just making of the parts: some servers have neither then. While it waits
// it asks going whether to go on. errNoUpload if nothing comes.
func (b bucket) made(ctx context.Context, key string, going func() error) (minio.ObjectInfo, error) {
	for wait := 50 * time.Millisecond; wait < 10*time.Second; wait *= 2 {
		body, err := b.head(ctx, key, "")
		if !errors.Is(err, objects.ErrNotFound) {
			return body, err
		}
		if err := going(); err != nil {
			return body, err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return body, ctx.Err()
		}
	}
	return minio.ObjectInfo{}, errNoUpload
}

// whole loads an upload that must have all its bytes, makes them one body, and knows what they are.
func (s *Store) whole(ctx context.Context, id string) (st staged, err error) {
	err = errCondition
	for n := 0; n < tries && errors.Is(err, errCondition); n++ {
		if st, err = s.settled(ctx, id); err == nil {
			err = s.complete(ctx, id, &st)
		}
		if err == nil {
			err = s.sums(ctx, id, &st)
		}
	}
	return st, err
}

// StageOpen implements [objects.Store].
func (s *Store) StageOpen(ctx context.Context, id string) (io.ReadCloser, error) {
	u, err := s.take(ctx, id)
	if err != nil {
		return nil, fail("open upload", err)
	}
	defer s.give(id, u)
	st, err := s.whole(ctx, id)
	if err != nil {
		return nil, fail("open upload", err)
	}
	return s.reader(ctx, st.manifest()), nil
}

// StageSums implements [objects.Store].
func (s *Store) StageSums(ctx context.Context, id string) (objects.Sums, error) {
	u, err := s.take(ctx, id)
	if err != nil {
		return objects.Sums{}, fail("hash upload", err)
	}
	defer s.give(id, u)
	st, err := s.whole(ctx, id)
	if err != nil {
		return objects.Sums{}, fail("hash upload", err)
	}
	return st.sums.Sums(), nil
}

func (st *staged) manifest() manifest {
	return manifest{Size: st.Size, Body: st.Body, Version: st.body.VersionID, Pages: st.sums.allPages()}
}

// StageCommit implements [objects.Store].
func (s *Store) StageCommit(ctx context.Context, id string, want objects.Digest) (objects.Info, error) {
	if !objects.ValidID(id) {
		return objects.Info{}, fail("commit", objects.ErrNotFound)
	}
	u, err := s.take(ctx, id)
	if err != nil {
		return objects.Info{}, fail("commit", err)
	}
	defer s.give(id, u)
	var info objects.Info
	err = errCondition
	for n := 0; n < tries && errors.Is(err, errCondition); n++ {
		info, err = s.commit(ctx, id, want)
	}
	return info, fail("commit", err)
}

// commit is errCondition if another process was first with something: to do it again finds out with what.
func (s *Store) commit(ctx context.Context, id string, want objects.Digest) (objects.Info, error) {
	if r, _, err := s.readRecord(ctx, id); err == nil && r.End == want.String() {
		if there, err := s.readManifest(ctx, want); err == nil && there.Body == r.Body { // committed before, and left in the middle of tidying up
			_ = s.dropRecord(ctx, id, r)
			return objects.Info{Digest: want, Size: r.Size}, nil
		}
	}
	st, err := s.whole(ctx, id)
	if errors.Is(err, objects.ErrNotFound) { // committed before, or never there: the object tells
		m, err := s.readManifest(ctx, want)
		return objects.Info{Digest: want, Size: m.Size}, err
	}
	if err != nil {
		return objects.Info{}, err
	}
	if st.sums.Sums().Digest != want {
		return objects.Info{}, objects.ErrDigest
	}
	there, err := s.readManifest(ctx, want)
	switch {
	case errors.Is(err, objects.ErrNotFound):
		if st.End == "" {
			// From here the upload is not removed any more: who would, commits it.
			if err := s.decide(ctx, id, st.record, st.etag, want.String()); err != nil {
				return objects.Info{}, err
			}
		}
		if _, err := s.bucket.put(ctx, objectKey(want), marshal(st.manifest()), absent); err != nil {
			return objects.Info{}, err
		}
		// Commit point: the object has its name.
	case err != nil:
		return objects.Info{}, err
	case there.Body != st.Body:
		return s.join(ctx, id, &st, want)
	}
	// What is left is the record, which the next commit or removal finds and drops too, so its removal may fail.
	_ = s.dropRecord(ctx, id, st.record)
	return objects.Info{Digest: want, Size: st.Size}, nil
}

// join ends an upload whose bytes are an object already, by another upload, if that one is sound.
func (s *Store) join(ctx context.Context, id string, st *staged, want objects.Digest) (objects.Info, error) {
	if _, err := s.verify(ctx, want); err != nil {
		return objects.Info{}, err
	}
	if err := s.decide(ctx, id, st.record, st.etag, removed); err != nil {
		return objects.Info{}, err
	}
	_ = s.drop(ctx, id, st.record) // expiry finds it too
	return objects.Info{Digest: want, Size: st.Size}, nil
}
