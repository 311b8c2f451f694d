package httpapi

import (
	"context"
	"encoding/hex"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/heads"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/vault"
	"strongroom.example/strongroom/internal/wire"
)

type events struct {
	vault *vault.Vault
}

func (e events) SubmitEvent(ctx context.Context, r SubmitEventRequestObject) (SubmitEventResponseObject, error) {
	s := vault.Submission{DSSE: r.Body.DSSE, Upload: evidence.UploadID(r.Body.Upload)}
	for _, a := range r.Body.Attachments {
		attachment := ledger.Attachment{
			Kind: ledger.AttachmentKind(a.Kind), Name: a.Name, Audience: evidence.Audience(a.Audience), Body: a.Body,
		}
		if a.Recipient != "" {
			recipient, err := evidence.ParseHash(a.Recipient)
			if err != nil {
				return nil, err
			}
			attachment.Recipient = recipient
		}
		s.Attachments = append(s.Attachments, attachment)
	}
	o, err := e.vault.Submit(ctx, callerOf(ctx), s)
	switch {
	case err != nil:
		return nil, err
	case o.Receipt == nil:
		return SubmitEvent202JSONResponse{LeafHash: o.LeafHash.String()}, nil
	}
	return SubmitEvent201JSONResponse(included(o)), nil
}

func (e events) GetEvent(ctx context.Context, r GetEventRequestObject) (GetEventResponseObject, error) {
	leaf, err := evidence.ParseHash(r.LeafHash)
	if err != nil {
		return nil, err
	}
	o, err := e.vault.Outcome(ctx, callerOf(ctx), leaf)
	switch {
	case err != nil:
		return nil, err
	case o.Receipt == nil:
		return GetEvent202JSONResponse{LeafHash: o.LeafHash.String()}, nil
	}
	return GetEvent200JSONResponse(included(o)), nil
}

func included(o vault.Outcome) wire.Included {
	w := wire.Included{LeafHash: o.LeafHash.String(), Receipt: o.Receipt}
	if o.Opening != nil {
		w.Opening = new(opening(*o.Opening))
	}
	return w
}

func opening(o vault.Opening) wire.Opening {
	return wire.Opening{
		Event: o.Event.String(), Item: string(o.Item), Expires: evidence.At(o.Expires).String(),
		Envelope: o.Envelope, Size: o.Size, Header: o.Header, Description: o.Description,
	}
}

func (e events) OpenItem(ctx context.Context, r OpenItemRequestObject) (OpenItemResponseObject, error) {
	leaf, err := evidence.ParseHash(r.LeafHash)
	if err != nil {
		return nil, err
	}
	o, err := e.vault.Open(ctx, callerOf(ctx), leaf)
	if err != nil {
		return nil, err
	}
	return OpenItem200JSONResponse(opening(o)), nil
}

func (e events) ListEvents(ctx context.Context, r ListEventsRequestObject) (ListEventsResponseObject, error) {
	s, err := e.stream(string(r.Type), r.ID)
	if err != nil {
		return nil, err
	}
	after, n := int64(-1), limit(r.Params.Limit)
	if r.Params.After != nil {
		after = *r.Params.After
	}
	entries, err := e.vault.Stream(ctx, callerOf(ctx), s, after, n, r.Params.Receipts == wire.ReceiptsFinal)
	if err != nil {
		return nil, err
	}
	page := ListEvents200JSONResponse{Events: each(entries, streamEvent)}
	if len(entries) == n {
		page.Next = new(entries[n-1].Seq)
	}
	return page, nil
}

// stream reads the name of a stream. One that cannot be is one that is not.
func (e events) stream(typ, id string) (evidence.Stream, error) {
	s, err := evidence.ParseStream(e.vault.Info().Origin, typ, id)
	if err != nil {
		return evidence.Stream{}, evidence.Refuse(evidence.NotFound, evidence.ReasonStream)
	}
	return s, nil
}

func streamEvent(e vault.Shown) wire.StreamEvent {
	w := wire.StreamEvent{Seq: e.Seq, LeafHash: e.LeafHash.String()}
	switch {
	case e.Withheld != nil:
		w.Withheld = &wire.Withheld{
			Index: e.Withheld.Index, Checkpoint: string(e.Withheld.Checkpoint), Hashes: hexAll(e.Withheld.Hashes), Until: e.Withheld.Until.String(),
		}
	case e.Included():
		w.Receipt = e.Receipt
	default:
		w.DSSE = e.Leaf.Extra
	}
	return w
}

func (e events) ProveComplete(ctx context.Context, r ProveCompleteRequestObject) (ProveCompleteResponseObject, error) {
	streams := make([]evidence.Stream, len(r.Body.Streams))
	for i, s := range r.Body.Streams {
		var err error
		if streams[i], err = e.stream(string(s.Type), s.ID); err != nil {
			return nil, err
		}
	}
	c, err := e.vault.Complete(ctx, callerOf(ctx), streams, r.Body.Min, r.Body.Final)
	if err != nil {
		return nil, err
	}
	return ProveComplete200JSONResponse{Heads: c.Heads, Covers: c.Covers, Streams: each(c.Streams, completeStream)}, nil
}

func completeStream(l ledger.Length) wire.CompleteStream {
	w := wire.CompleteStream{Type: wire.StreamType(l.Stream.Type), ID: l.Stream.ID, Length: l.N, Absent: headsProof(l.Absent)}
	if l.Member != nil {
		w.Member = new(headsProof(*l.Member))
	}
	return w
}

func headsProof(p heads.Proof) wire.HeadsProof {
	w := wire.HeadsProof{Siblings: each(p.Siblings, hex32)}
	if p.Leaf != nil {
		w.Leaf = &wire.HeadsEntry{Key: hex32(p.Leaf.Key), Value: hex32(p.Leaf.Value)}
	}
	return w
}

func hex32(b [32]byte) string { return hex.EncodeToString(b[:]) }
