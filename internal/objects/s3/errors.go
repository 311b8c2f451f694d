package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"syscall"

	"github.com/minio/minio-go/v7"

	"strongroom.example/strongroom/internal/objects"
)

// What an operator has to mend, beside the errors of [objects].
var (
	ErrCredentials = errors.New("the object store refuses these credentials, or they do not allow it")
	ErrBucket      = errors.New("the bucket does not exist")
	ErrUnfit       = errors.New("the bucket is not fit for evidence")
	ErrOwner       = errors.New("what lies in the bucket under this prefix belongs to another vault")
)

// errCondition means that a conditional request came too late, errNoUpload that a multipart upload is no more.
var (
	errCondition = errors.New("condition does not hold")
	errNoUpload  = errors.New("no such multipart upload")
)

func unfit(why string) error { return fmt.Errorf("%w: %s", ErrUnfit, why) }

// refusal is what the server answered, or nothing of it.
func refusal(err error) minio.ErrorResponse {
	var r minio.ErrorResponse
	errors.As(err, &r)
	return r
}

// translate says an error in the words of this package. Nothing of a server's text is repeated but a code, for the text may name keys.
func translate(err error) error {
	var r minio.ErrorResponse
	var inURL *url.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.Is(err, context.DeadlineExceeded): // the caller's, or the patience of this package
		return fmt.Errorf("%w: %w", objects.ErrUnreachable, context.DeadlineExceeded)
	case errors.As(err, &r):
		return answered(r)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT): // of the folder for temporary files
		return objects.ErrFull
	case errors.As(err, &inURL): // it would name the key
		return fmt.Errorf("%w: %w", objects.ErrUnreachable, inURL.Err)
	}
	return err
}

func answered(r minio.ErrorResponse) error {
	switch r.Code {
	case "NoSuchBucket":
		return ErrBucket
	case "NoSuchUpload":
		return errNoUpload
	case "PreconditionFailed":
		return errCondition
	case "QuotaExceeded", "InsufficientStorage", "XMinioStorageFull", "EntityTooLarge":
		return objects.ErrFull
	case "InvalidRange":
		return objects.ErrDamaged
	}
	switch r.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("%w (%s)", ErrCredentials, code(r.Code))
	case http.StatusNotFound, http.StatusMethodNotAllowed: // the latter for a version that is a marker
		return objects.ErrNotFound
	case http.StatusPreconditionFailed:
		return errCondition
	case http.StatusInsufficientStorage:
		return objects.ErrFull
	}
	return fmt.Errorf("the object store answered %s (%d)", code(r.Code), r.StatusCode)
}

// code is an S3 error code, if it looks like one.
func code(s string) string {
	for _, c := range []byte(s) {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9') {
			s = ""
		}
	}
	if s == "" || len(s) > 64 {
		return "without a code"
	}
	return s
}

// fail gives an error its operation.
func fail(op string, err error) error {
	if err = translate(err); err == nil {
		return nil
	}
	return fmt.Errorf("objects: %s: %w", op, err)
}

// number reads a size as a header gives it, -1 if it is none.
func number(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return -1
	}
	return n
}
