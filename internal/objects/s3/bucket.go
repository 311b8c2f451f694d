package s3

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"iter"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"strongroom.example/strongroom/internal/objects"
)

const (
	marker       = "store"
	uploadPrefix = "upload/"
	sheetPrefix  = "sheet/"
	bodyPrefix   = "body/"
	objectPrefix = "object/"
)

// bucket is the bucket below the prefix, in the few words that the store needs.
type bucket struct {
	api    *minio.Core
	name   string
	prefix string
	region string
}

// patience is how long one request for something small may take, its repetitions included.
const patience = 2 * time.Minute

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sum64 is a CRC32C in the form of S3.
func sum64(crc uint32) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc))
}

const (
	headerAlgorithm = "X-Amz-Checksum-Algorithm"
	headerType      = "X-Amz-Checksum-Type"
	headerCRC32C    = "X-Amz-Checksum-Crc32c"
	fullObject      = "FULL_OBJECT"
)

// condition is what must hold for a put.
type condition func(*minio.PutObjectOptions)

func absent(o *minio.PutObjectOptions) { o.SetMatchETagExcept("*") }

func always(*minio.PutObjectOptions) {}

func unchanged(etag string) condition {
	return func(o *minio.PutObjectOptions) { o.SetMatchETag(etag) }
}

// put writes something small. errCondition if the condition does not hold: it may be that an earlier try of this put was heard, and its
// answer lost.
func (b bucket) put(ctx context.Context, key string, content []byte, when condition) (made minio.UploadInfo, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	o := minio.PutObjectOptions{UserMetadata: map[string]string{headerCRC32C: sum64(crc32.Checksum(content, castagnoli))}}
	when(&o)
	for wait := 20 * time.Millisecond; ; wait *= 2 {
		made, err = b.api.PutObject(ctx, b.name, b.prefix+key, bytes.NewReader(content), int64(len(content)), "", "", o)
		if refusal(err).Code != "ConditionalRequestConflict" || wait > 2*time.Second {
			return made, translate(err)
		}
		select { // another one is being judged
		case <-time.After(wait):
		case <-ctx.Done():
			return made, ctx.Err()
		}
	}
}

// get reads a version of something small, the newest one if version is "". It is ErrDamaged if it is longer than limit or not what was put.
func (b bucket) get(ctx context.Context, key, version string, limit int64) (content []byte, info minio.ObjectInfo, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	r, info, _, err := b.api.GetObject(ctx, b.name, b.prefix+key, minio.GetObjectOptions{VersionID: version, Checksum: true})
	if err != nil {
		return nil, info, translate(err)
	}
	defer r.Close()
	content, err = io.ReadAll(io.LimitReader(r, limit+1))
	switch {
	case int64(len(content)) > limit,
		int64(len(content)) == info.Size && info.ChecksumCRC32C != "" && info.ChecksumCRC32C != sum64(crc32.Checksum(content, castagnoli)):
		return nil, info, objects.ErrDamaged
	case err == nil && int64(len(content)) != info.Size:
		err = io.ErrUnexpectedEOF
	}
	return content, info, translate(err)
}

// head describes a version, the newest one if version is "".
func (b bucket) head(ctx context.Context, key, version string) (minio.ObjectInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	info, err := b.api.StatObject(ctx, b.name, b.prefix+key, minio.StatObjectOptions{VersionID: version, Checksum: true})
	return info, translate(err)
}

// open reads a version from one byte to another, both included, and says how long all of it is.
func (b bucket) open(ctx context.Context, key, version string, from, to int64) (r io.ReadCloser, size int64, err error) {
	o := minio.GetObjectOptions{VersionID: version}
	if err := o.SetRange(from, to); err != nil {
		return nil, 0, objects.ErrInvalid
	}
	r, info, header, err := b.api.GetObject(ctx, b.name, b.prefix+key, o)
	if err != nil {
		return nil, 0, translate(err)
	}
	return r, total(header, info.Size), nil
}

// keys lists what has a prefix and comes after a key, in order, without the prefix of the bucket.
func (b bucket) keys(ctx context.Context, prefix, after string) iter.Seq2[minio.ObjectInfo, error] {
	o := minio.ListObjectsOptions{Prefix: b.prefix + prefix, Recursive: true}
	if after != "" {
		o.StartAfter = b.prefix + after
	}
	return func(yield func(minio.ObjectInfo, error) bool) {
		for info := range b.api.ListObjectsIter(ctx, b.name, o) {
			info.Key = strings.TrimPrefix(info.Key, b.prefix)
			if !yield(info, translate(info.Err)) || info.Err != nil {
				return
			}
		}
	}
}

// remove removes a key for good, with all its versions. It is no error if there are none. The newest goes last: else an older one would be
// the newest for a moment, and what was decided undecided. An upload's record has as many as it has parts, and more: they go many at once.
func (b bucket) remove(ctx context.Context, key string) error {
	o := minio.ListObjectsOptions{Prefix: b.prefix + key, Recursive: true, WithVersions: true}
	var versions []minio.ObjectInfo // newest first
	for info := range b.api.ListObjectsIter(ctx, b.name, o) {
		if info.Err != nil {
			return translate(info.Err)
		}
		if info.Key == b.prefix+key {
			versions = append(versions, info)
		}
	}
	if len(versions) == 0 {
		return ctx.Err()
	}
	if older := versions[1:]; len(older) > 0 {
		results, err := b.api.RemoveObjectsWithIter(ctx, b.name, slices.Values(older), minio.RemoveObjectsOptions{})
		if err != nil {
			return translate(err)
		}
		for result := range results {
			if result.Err != nil {
				return translate(result.Err)
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return translate(b.api.RemoveObject(ctx, b.name, b.prefix+key, minio.RemoveObjectOptions{VersionID: versions[0].VersionID}))
}

// credentials says whether there are any. Why a source of them gave none is not said: it would say too much.
func (b bucket) credentials() error {
	if found, err := b.api.GetCreds(); err != nil || found.AccessKeyID == "" || found.SecretAccessKey == "" {
		return fmt.Errorf("%w (there are none)", ErrCredentials)
	}
	return nil
}

// make makes the bucket if there is none.
func (b bucket) make(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	there, err := b.api.BucketExists(ctx, b.name)
	if err != nil || there {
		return translate(err)
	}
	err = b.api.MakeBucket(ctx, b.name, minio.MakeBucketOptions{Region: b.region, ObjectLocking: true})
	if err == nil || refusal(err).Code == "BucketAlreadyOwnedByYou" { // made meanwhile
		err = b.api.EnableVersioning(ctx, b.name)
	}
	return translate(err)
}

// fit says whether the bucket is there and has what the store needs of it.
func (b bucket) fit(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	there, err := b.api.BucketExists(ctx, b.name)
	if err != nil {
		return translate(err)
	}
	if !there {
		return ErrBucket
	}
	versioning, err := b.api.GetBucketVersioning(ctx, b.name)
	if err != nil {
		return translate(err)
	}
	if !versioning.Enabled() {
		return unfit("it has no versioning")
	}
	lock, mode, _, _, err := b.api.GetObjectLockConfig(ctx, b.name)
	switch {
	case refusal(err).Code == "ObjectLockConfigurationNotFoundError", err == nil && lock != "Enabled":
		return unfit("it has no Object Lock")
	case err != nil:
		return translate(err)
	case mode != nil && *mode != "": // some answer with an empty rule
		return unfit("its Object Lock has a default retention, which would keep unfinished uploads")
	}
	return nil
}

// owned says whether there is a store, and of this owner.
func (b bucket) owned(ctx context.Context, owner string) error {
	content, _, err := b.get(ctx, marker, "", maxRecord)
	if err == nil && string(content) != owner {
		err = ErrOwner
	}
	return err
}

// total is the length of all of what a response gives a range of.
func total(h http.Header, size int64) int64 {
	_, all, ranged := strings.Cut(h.Get("Content-Range"), "/")
	if !ranged {
		return size
	}
	return number(all)
}
