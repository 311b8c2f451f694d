package s3_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"strongroom.example/strongroom/internal/objects/versitygw"
)

// BenchmarkPut makes an object of 128 MiB, and between the rounds sends the same bytes to the same server as a plain client does, in parts
// of the same size: of-plain is the store's share of that speed.
func BenchmarkPut(b *testing.B) {
	need(b)
	const size = 128 << 20
	all := content(size)
	want := digest(all)
	c := config(&shared, b.TempDir())
	s := create(b, c)
	ca, err := os.ReadFile(c.CAFile)
	must(b, err)
	trust := x509.NewCertPool()
	trust.AppendCertsFromPEM(ca)
	client, err := minio.New(strings.TrimPrefix(c.Endpoint, "https://"), &minio.Options{
		Creds: credentials.NewFileAWSCredentials(c.CredentialsFile, "default"), Secure: true, Region: versitygw.Region, TrailingHeaders: true,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trust}},
	})
	must(b, err)
	b.SetBytes(size)
	var put, verified, plain time.Duration
	n := 0
	for b.Loop() {
		n++
		id := fmt.Sprint("upl-", n)
		start := time.Now()
		must(b, s.StageCreate(b.Context(), id, size))
		_, err := s.StageAppend(b.Context(), id, 0, bytes.NewReader(all))
		must(b, err)
		_, err = s.StageCommit(b.Context(), id, want)
		must(b, err)
		put += time.Since(start)

		b.StopTimer()
		start = time.Now()
		_, err = s.Verify(b.Context(), want)
		must(b, err)
		verified += time.Since(start)
		must(b, s.Remove(b.Context(), want, time.Now()))
		start = time.Now()
		_, err = client.PutObject(b.Context(), bucket, c.Prefix+"plain", struct{ *bytes.Reader }{bytes.NewReader(all)}, size,
			minio.PutObjectOptions{PartSize: block, NumThreads: 1, Checksum: minio.ChecksumFullObjectCRC32C})
		must(b, err)
		plain += time.Since(start)
		b.StartTimer()
	}
	b.ReportMetric(plain.Seconds()/put.Seconds(), "of-plain")
	b.ReportMetric(size/1e6*float64(n)/verified.Seconds(), "verified-MB/s")
}
