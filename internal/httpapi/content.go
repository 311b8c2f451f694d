package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/objects"
	"strongroom.example/strongroom/internal/vault"
	"strongroom.example/strongroom/internal/wire"
)

// stallTime is how long a reader of evidence may take nothing before the connection is given up.
const stallTime = time.Minute

type content struct {
	vault   *vault.Vault
	watches watches
}

func (s content) GetEvidence(ctx context.Context, r GetEvidenceRequestObject) (GetEvidenceResponseObject, error) {
	leaf, err := evidence.ParseHash(r.LeafHash)
	if err != nil {
		return nil, err
	}
	asked := make(http.Header)
	if r.Params.Range != nil {
		asked.Set("Range", *r.Params.Range)
	}
	if r.Params.IfRange != nil {
		asked.Set("If-Range", *r.Params.IfRange)
	}
	by := callerOf(ctx)
	f, err := s.vault.Evidence(ctx, by, leaf, direct(r.Params))
	if err != nil {
		return nil, err
	}
	if f.Object == nil {
		return elsewhere(f), nil
	}
	watch := s.watches.session(ctx, func() error { return s.vault.StillAllowed(ctx, by, leaf) })
	return ciphertext{ctx, asked, f.Object, f.Digest, watch}, nil
}

// direct is the part that a request would take the address of, nil if none will do.
func direct(p wire.GetEvidenceParams) vault.Part {
	if !p.Direct {
		return nil
	}
	return func(file evidence.Evidence) (from, to int64, ok bool) {
		if from, to = 0, file.Size-1; p.Range == nil || p.IfRange != nil && *p.IfRange != etag(file.SHA256) {
			return from, to, true // all of it
		}
		first, last, _ := strings.Cut(strings.TrimPrefix(*p.Range, "bytes="), "-") // at most sixteen digits each, as the contract says
		n, _ := strconv.ParseInt(last, 10, 64)
		switch {
		case first == "":
			return max(0, file.Size-n), to, true
		case last != "":
			to = min(to, n)
		}
		from, _ = strconv.ParseInt(first, 10, 64)
		return from, to, from <= to
	}
}

func etag(digest evidence.Hash) string { return `"` + digest.String() + `"` }

// elsewhere is the answer that says where a part of an object is. Like every answer it is not to be stored, and no log has what is in it.
type elsewhere vault.Fetched

func (f elsewhere) VisitGetEvidenceResponse(w http.ResponseWriter) error {
	w.Header().Set("Content-Type", typeJSON)
	w.Header().Set("ETag", etag(f.Digest))
	w.Header().Set("Accept-Ranges", "bytes")
	w.WriteHeader(http.StatusOK)
	return json.NewEncoder(w).Encode(wire.EvidenceAddress{
		URL: f.Address.URL, Range: fmt.Sprintf("bytes=%d-%d", f.From, f.To), Certificates: string(f.Address.CA),
	})
}

// ciphertext is the answer that sends an object, or the asked range of it.
type ciphertext struct {
	ctx    context.Context
	asked  http.Header // the conditions of the contract, and no others
	object objects.Object
	digest evidence.Hash
	watch  *watch
}

func (f ciphertext) VisitGetEvidenceResponse(w http.ResponseWriter) error {
	defer f.object.Close()
	w.Header().Set("Content-Type", typeBytes)
	w.Header().Set("ETag", etag(f.digest))
	r := (&http.Request{Method: http.MethodGet, Header: f.asked}).WithContext(f.ctx)
	quiet := &silenced{ResponseWriter: w}
	out := &patient{silenced: quiet, watch: f.watch}
	http.ServeContent(out, r, "", time.Time{}, f.object)
	if out.ended != nil {
		return out.ended // the answer is shorter than it said, so that nobody takes it for whole
	}
	switch quiet.status {
	case 0:
		return nil
	case http.StatusRequestedRangeNotSatisfiable:
		w.Header().Set("Content-Range", "bytes */"+strconv.FormatInt(f.object.Size(), 10))
		return &notOurs{status: quiet.status, reason: reasonRange}
	}
	return evidence.Refuse(evidence.Internal, "evidence")
}

// patient gives each write its own time, so that a slow line may take a day for a large file and a dead one ends. It ends with the right
// to the file.
type patient struct {
	*silenced
	watch *watch
	ended error
}

func (w *patient) Write(b []byte) (int, error) {
	if w.ended = w.watch.check(); w.ended != nil {
		return 0, w.ended
	}
	deadline(w.silenced, stallTime)
	return w.silenced.Write(b)
}

func (s content) GetAttachment(ctx context.Context, r GetAttachmentRequestObject) (GetAttachmentResponseObject, error) {
	leaf, err := evidence.ParseHash(r.LeafHash)
	if err != nil {
		return nil, err
	}
	digest, err := evidence.ParseHash(r.Digest)
	if err != nil {
		return nil, err
	}
	body, err := s.attachment(ctx, leaf, digest, r.Params.Access)
	if err != nil {
		return nil, err
	}
	return GetAttachment200ApplicationOctetStreamResponse{
		Body: bytes.NewReader(body), ContentLength: int64(len(body)), Headers: GetAttachment200ResponseHeaders{ETag: `"` + r.Digest + `"`},
	}, nil
}

func (s content) attachment(ctx context.Context, event, digest evidence.Hash, access *string) ([]byte, error) {
	if access == nil {
		a, err := s.vault.CaseAttachment(ctx, callerOf(ctx), event, digest)
		return a.Body, err
	}
	on, err := evidence.ParseHash(*access)
	if err != nil {
		return nil, err
	}
	a, err := s.vault.Attachment(ctx, callerOf(ctx), on, event, digest)
	return a.Body, err
}
