package httpapi

import (
	"bytes"
	"context"

	"strongroom.example/strongroom/internal/wire"
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

func (l logReads) GetLogStatements(ctx context.Context, r GetLogStatementsRequestObject) (GetLogStatementsResponseObject, error) {
	list, err := l.vault.Statements(ctx, r.Params.Start, r.Params.Count)
	if err != nil {
		return nil, err
	}
	entries := make([]wire.LogEntry, len(list))
	for i, e := range list {
		entries[i] = wire.LogEntry{Leaf: e.Value, DSSE: e.Extra}
	}
	return GetLogStatements200JSONResponse{Entries: entries}, nil
}

// joined puts values of 32 bytes one after the other.
func joined[H ~[32]byte](list []H) []byte {
	body := make([]byte, 0, 32*len(list))
	for _, h := range list {
		body = append(body, h[:]...)
	}
	return body
}
