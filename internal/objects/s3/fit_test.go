package s3_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"strongroom.example/strongroom/internal/objects/s3"
	"strongroom.example/strongroom/internal/objects/versitygw"
)

// administrator is somebody who makes buckets by hand.
func administrator(t *testing.T, c s3.Config) *minio.Client {
	t.Helper()
	ca, err := os.ReadFile(c.CAFile)
	must(t, err)
	trust := x509.NewCertPool()
	trust.AppendCertsFromPEM(ca)
	web := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trust}}
	t.Cleanup(web.CloseIdleConnections)
	api, err := minio.New(strings.TrimPrefix(c.Endpoint, "https://"), &minio.Options{
		Creds: credentials.NewFileAWSCredentials(c.CredentialsFile, "default"), Secure: true, Transport: web, Region: c.Region,
	})
	must(t, err)
	return api
}

// TestUnfit: a bucket that lacks what evidence needs is refused, at creation and, if somebody changes it, at every start, and the error
// says what it lacks.
func TestUnfit(t *testing.T) {
	need(t)
	for name, test := range map[string]struct {
		make func(ctx context.Context, api *minio.Client, bucket string) error
		says string
	}{
		"no-versioning": {func(ctx context.Context, api *minio.Client, bucket string) error {
			return api.MakeBucket(ctx, bucket, minio.MakeBucketOptions{Region: versitygw.Region})
		}, "it has no versioning"},
		"no-lock": {func(ctx context.Context, api *minio.Client, bucket string) error {
			if err := api.MakeBucket(ctx, bucket, minio.MakeBucketOptions{Region: versitygw.Region}); err != nil {
				return err
			}
			return api.EnableVersioning(ctx, bucket)
		}, "it has no Object Lock"},
		"default-retention": {func(ctx context.Context, api *minio.Client, bucket string) error {
			if err := api.MakeBucket(ctx, bucket, minio.MakeBucketOptions{Region: versitygw.Region, ObjectLocking: true}); err != nil {
				return err
			}
			mode, days, unit := minio.Governance, uint(1), minio.Days
			return api.SetObjectLockConfig(ctx, bucket, &mode, &days, &unit)
		}, "default retention"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := config(&shared, t.TempDir())
			c.Bucket = name
			must(t, test.make(t.Context(), administrator(t, c), name))
			err := s3.Create(t.Context(), c)
			is(t, err, s3.ErrUnfit)
			if !strings.Contains(err.Error(), test.says) {
				t.Errorf("%v", err)
			}
			_, err = s3.Open(t.Context(), c)
			is(t, err, s3.ErrUnfit)
		})
	}

	t.Run("changed", func(t *testing.T) {
		t.Parallel()
		c := config(&shared, t.TempDir())
		c.Bucket = "changed"
		must(t, s3.Create(t.Context(), c))
		mode, days, unit := minio.Compliance, uint(1), minio.Years
		must(t, administrator(t, c).SetObjectLockConfig(t.Context(), c.Bucket, &mode, &days, &unit))
		_, err := s3.Open(t.Context(), c)
		is(t, err, s3.ErrUnfit)
	})
}

// TestEnvironment: without a credentials file the environment is asked, then the user's own file, and at last the machine's role.
func TestEnvironment(t *testing.T) {
	need(t)
	c := config(&shared, t.TempDir())
	must(t, s3.Create(t.Context(), c))
	file := c.CredentialsFile
	text, err := os.ReadFile(file)
	must(t, err)
	value := func(key string) string {
		_, rest, _ := strings.Cut(string(text), key+" = ")
		return strings.SplitN(rest, "\n", 2)[0]
	}
	id, secret := value("aws_access_key_id"), value("aws_secret_access_key")
	c.CredentialsFile = ""
	for name, test := range map[string]struct {
		id, secret, file string
		want             error
	}{
		"environment":              {id: id, secret: secret},
		"environment before file":  {id: id, secret: secret + "0", file: file, want: s3.ErrCredentials},
		"user's file":              {file: file},
		"half of the environment":  {id: id, want: s3.ErrCredentials},
		"wrong in the environment": {id: id, secret: secret + "0", want: s3.ErrCredentials},
		"nothing":                  {want: s3.ErrCredentials},
	} {
		t.Run(name, func(t *testing.T) {
			for _, key := range []string{"AWS_ACCESS_KEY", "AWS_SECRET_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE",
				"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"} {
				t.Setenv(key, "")
			}
			t.Setenv("HOME", t.TempDir())
			t.Setenv("AWS_ACCESS_KEY_ID", test.id)
			t.Setenv("AWS_SECRET_ACCESS_KEY", test.secret)
			t.Setenv("AWS_SHARED_CREDENTIALS_FILE", test.file)
			s, err := s3.Open(t.Context(), c)
			if test.want != nil {
				is(t, err, test.want)
				if strings.Contains(err.Error(), id) || strings.Contains(err.Error(), secret) {
					t.Error("the error says too much")
				}
				return
			}
			must(t, err)
			must(t, s.Close())
		})
	}
}
