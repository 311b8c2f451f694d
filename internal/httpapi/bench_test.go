package httpapi_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"strongroom.example/strongroom/internal/wire"
)

// What the edge itself costs: a read with its session, and a submission that is refused at its first byte, small and at the cap.
func BenchmarkEdge(b *testing.B) {
	w := newWorld(b)
	token := w.token("custodian")
	attachments := make([]wire.Attachment, 8)
	for i := range attachments {
		attachments[i] = wire.Attachment{Kind: wire.AttachmentKindNote, Name: "n", Body: bytes.Repeat([]byte("x"), 1<<20)}
	}
	for name, r := range map[string]struct {
		method, path string
		body         any
	}{
		"read":   {"GET", "/v1/session", nil},
		"submit": {"POST", "/v1/events", wire.Submission{DSSE: bytes.Repeat([]byte("x"), 4096)}},
		"large":  {"POST", "/v1/events", wire.Submission{DSSE: []byte("none"), Attachments: attachments}},
	} {
		b.Run(name, func(b *testing.B) {
			body := ""
			if r.body != nil {
				body = string(must(json.Marshal(r.body)))
			}
			b.ReportAllocs()
			for b.Loop() {
				req := httptest.NewRequest(r.method, r.path, strings.NewReader(body))
				req.Header.Set("Authorization", "Bearer "+token)
				if body != "" {
					req.Header.Set("Content-Type", "application/json")
				} else {
					req.Body, req.ContentLength = http.NoBody, 0
				}
				w.edge.ServeHTTP(httptest.NewRecorder(), req)
			}
		})
	}
}
