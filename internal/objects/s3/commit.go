package s3

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/minio/minio-go/v7"

	"strongroom.example/strongroom/internal/objects"
)

// complete makes the parts of an upload that has all its bytes one body, and returns the body's version. It succeeds again, and whoever
// else does the same.
func (s *Store) complete(ctx context.Context, u *upload, st *staged) (version string, err error) {
	if st.offset != st.Size {
		return "", objects.ErrOffset
	}
	if st.body == nil {
		// Not where another process sent some of them.
		ours := u.sums != nil && slices.EqualFunc(u.parts, st.parts, same)
		if st.Size == 0 { // S3 wants one part at least
			p, err := s.bucket.send(ctx, bodyPrefix+st.Body, st.Multipart, 1, bytes.NewReader(nil), 0, 0)
			if err != nil && !errors.Is(err, errNoUpload) {
				return "", err
			}
			st.parts = []minio.ObjectPart{{PartNumber: 1, ETag: p.ETag, ChecksumCRC32C: p.ChecksumCRC32C}}
			u.sums, u.parts, ours = newSums(), []minio.CompletePart{p}, true
		}
		parts := u.parts
		if !ours {
			parts = nil
			for _, p := range st.parts {
				parts = append(parts, minio.CompletePart{PartNumber: p.PartNumber, ETag: p.ETag, ChecksumCRC32C: p.ChecksumCRC32C})
			}
		}
		body, first, err := s.bucket.complete(ctx, bodyPrefix+st.Body, st.Multipart, parts, st.parts)
		if err != nil {
			u.forget() // a part may not be the one we sent: the next try takes what is there, and reads it
			return "", err
		}
		if body.Size != st.Size {
			return "", objects.ErrDamaged
		}
		st.body = &body
		if ours && first {
			u.version = body.VersionID
		}
	}
	if u.version != st.body.VersionID {
		u.forget()
	}
	if st.body.VersionID == "" {
		return "", unfit("it has no versioning")
	}
	return st.body.VersionID, nil
}

// bodyPatience is how long a bucket may take to make many parts one.
const bodyPatience = 10 * time.Minute

// complete makes parts one body, unless there is one, and describes it. first reports whether it was made of these parts by this call.
func (b bucket) complete(ctx context.Context, key, multipart string, parts []minio.CompletePart, sizes []minio.ObjectPart) (body minio.ObjectInfo, first bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, bodyPatience)
	defer cancel()
	whole, err := minio.ChecksumCRC32C.FullObjectChecksum(sizes)
	if err != nil {
		return body, false, objects.ErrDamaged // a part has no checksum: it is none of ours
	}
	o := minio.PutObjectOptions{UserMetadata: map[string]string{headerCRC32C: whole.Encoded(), headerType: fullObject}}
	absent(&o)
	_, err = b.api.CompleteMultipartUpload(ctx, b.name, b.prefix+key, multipart, parts, o)
	if err = translate(err); err != nil && !errors.Is(err, errNoUpload) && !errors.Is(err, errCondition) {
		return body, false, err
	}
	first = err == nil
	body, err = b.made(ctx, key, func() error { return nil })
	if err == nil && body.ChecksumCRC32C != "" && body.ChecksumCRC32C != whole.Encoded() {
		err = objects.ErrDamaged
	}
	return body, first, err
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

// whole loads an upload that must have all its bytes and makes them one body.
func (s *Store) whole(ctx context.Context, id string, u *upload) (st staged, err error) {
	if st, err = s.settled(ctx, id); err != nil {
		return st, err
	}
	_, err = s.complete(ctx, u, &st)
	return st, err
}

// StageOpen implements [objects.Store].
func (s *Store) StageOpen(ctx context.Context, id string) (io.ReadCloser, error) {
	u, err := s.take(ctx, id)
	if err != nil {
		return nil, fail("open upload", err)
	}
	defer s.give(id, u)
	st, err := s.whole(ctx, id, u)
	if err != nil {
		return nil, fail("open upload", err)
	}
	sums, err := s.sums(ctx, u, &st)
	if err != nil {
		return nil, fail("open upload", err)
	}
	return s.reader(ctx, st.manifest(sums)), nil
}

// StageSums implements [objects.Store].
func (s *Store) StageSums(ctx context.Context, id string) (objects.Sums, error) {
	u, err := s.take(ctx, id)
	if err != nil {
		return objects.Sums{}, fail("hash upload", err)
	}
	defer s.give(id, u)
	st, err := s.whole(ctx, id, u)
	if err != nil {
		return objects.Sums{}, fail("hash upload", err)
	}
	sums, err := s.sums(ctx, u, &st)
	if err != nil {
		return objects.Sums{}, fail("hash upload", err)
	}
	return sums.Sums(), nil
}

// sums hashes a body, unless its sending did. The bucket's CRC32C of the whole says whether what was read is what was sent.
func (s *Store) sums(ctx context.Context, u *upload, st *staged) (*sums, error) {
	if u.sums != nil {
		return u.sums, nil
	}
	sums := newSums()
	if err := s.readAll(ctx, st, sums); err != nil {
		return nil, err
	}
	if sums.Sums().Size != st.Size {
		return nil, objects.ErrDamaged
	}
	u.sums, u.version = sums, st.body.VersionID
	return sums, nil
}

func (st *staged) manifest(sums *sums) manifest {
	return manifest{Size: st.Size, Body: st.Body, Version: st.body.VersionID, Pages: sums.allPages()}
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
		info, err = s.commit(ctx, id, u, want)
	}
	return info, fail("commit", err)
}

// commit is errCondition if another process was first with something: to do it again finds out with what.
func (s *Store) commit(ctx context.Context, id string, u *upload, want objects.Digest) (objects.Info, error) {
	st, err := s.whole(ctx, id, u)
	if errors.Is(err, objects.ErrNotFound) { // committed before, or never there: the object tells
		m, err := s.readManifest(ctx, want)
		return objects.Info{Digest: want, Size: m.Size}, err
	}
	if err != nil {
		return objects.Info{}, err
	}
	sums, err := s.sums(ctx, u, &st)
	if err != nil {
		return objects.Info{}, err
	}
	if sums.Sums().Digest != want {
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
		if err := s.bucket.put(ctx, objectKey(want), marshal(st.manifest(sums)), absent); err != nil {
			return objects.Info{}, err
		}
		// Commit point: the object has its name.
	case err != nil:
		return objects.Info{}, err
	case there.Body != st.Body:
		return s.join(ctx, id, u, &st, want)
	}
	// What is left is the record, which the next commit or removal finds and drops too, so its removal may fail.
	_ = s.bucket.remove(ctx, uploadPrefix+id)
	u.forget()
	return objects.Info{Digest: want, Size: st.Size}, nil
}

// join ends an upload whose bytes are an object already, by another upload, if that one is sound.
func (s *Store) join(ctx context.Context, id string, u *upload, st *staged, want objects.Digest) (objects.Info, error) {
	if _, err := s.verify(ctx, want); err != nil {
		return objects.Info{}, err
	}
	if err := s.decide(ctx, id, st.record, st.etag, removed); err != nil {
		return objects.Info{}, err
	}
	_ = s.drop(ctx, id, u, st.record) // expiry finds it too
	return objects.Info{Digest: want, Size: st.Size}, nil
}
