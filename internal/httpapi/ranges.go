package httpapi

import (
	"bytes"
	"context"
)

func (l logReads) GetLogLeaves(ctx context.Context, r GetLogLeavesRequestObject) (GetLogLeavesResponseObject, error) {
	hashes, err := l.vault.LeafHashes(ctx, r.Params.Start, r.Params.Count)
	if err != nil {
		return nil, err
	}
	body := joined(hashes)
	return GetLogLeaves200ApplicationOctetStreamResponse{Body: bytes.NewReader(body), ContentLength: int64(len(body))}, nil
}

func (l logReads) GetLogHeads(ctx context.Context, r GetLogHeadsRequestObject) (GetLogHeadsResponseObject, error) {
	keys, err := l.vault.HeadsKeys(ctx, r.Params.Start, r.Params.Count)
	if err != nil {
		return nil, err
	}
	body := joined(keys)
	return GetLogHeads200ApplicationOctetStreamResponse{Body: bytes.NewReader(body), ContentLength: int64(len(body))}, nil
}

// joined puts values of 32 bytes one after the other.
func joined[H ~[32]byte](list []H) []byte {
	body := make([]byte, 0, 32*len(list))
	for _, h := range list {
		body = append(body, h[:]...)
	}
	return body
}
