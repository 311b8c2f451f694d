package translog

import (
	"context"
	"errors"
	"testing"

	"github.com/google/trillian"
	"github.com/google/trillian/types"
	"github.com/transparency-dev/merkle/rfc6962"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"strongroom.example/strongroom/internal/tlog"
)

// badLog is a log server that answers what it likes.
type badLog struct {
	trillian.TrillianLogClient
	root   *types.LogRootV1
	proof  *trillian.Proof
	leaves []*trillian.LogLeaf
	err    error
}

func (b badLog) signed() *trillian.SignedLogRoot {
	if b.root == nil {
		return nil
	}
	raw, err := b.root.MarshalBinary()
	if err != nil {
		panic(err)
	}
	return &trillian.SignedLogRoot{LogRoot: raw}
}

func (b badLog) GetLatestSignedLogRoot(context.Context, *trillian.GetLatestSignedLogRootRequest, ...grpc.CallOption) (*trillian.GetLatestSignedLogRootResponse, error) {
	return &trillian.GetLatestSignedLogRootResponse{SignedLogRoot: b.signed()}, b.err
}

func (b badLog) GetInclusionProof(context.Context, *trillian.GetInclusionProofRequest, ...grpc.CallOption) (*trillian.GetInclusionProofResponse, error) {
	return &trillian.GetInclusionProofResponse{Proof: b.proof, SignedLogRoot: b.signed()}, b.err
}

func (b badLog) GetConsistencyProof(context.Context, *trillian.GetConsistencyProofRequest, ...grpc.CallOption) (*trillian.GetConsistencyProofResponse, error) {
	return &trillian.GetConsistencyProofResponse{Proof: b.proof, SignedLogRoot: b.signed()}, b.err
}

func (b badLog) GetLeavesByRange(context.Context, *trillian.GetLeavesByRangeRequest, ...grpc.CallOption) (*trillian.GetLeavesByRangeResponse, error) {
	return &trillian.GetLeavesByRangeResponse{Leaves: b.leaves, SignedLogRoot: b.signed()}, b.err
}

func TestReaderRefusesBadAnswers(t *testing.T) {
	good := func(index int64) *trillian.LogLeaf {
		leaf, err := NewLeaf(tlog.TreeLeaf{Value: []byte("value")})
		if err != nil {
			t.Fatal(err)
		}
		leaf.LeafIndex = index
		return leaf
	}
	changed := good(0)
	changed.LeafValue = []byte("other")
	root := func(r *Reader) error { _, err := r.Root(t.Context()); return err }
	inclusion := func(r *Reader) error { _, err := r.Inclusion(t.Context(), 1, 2); return err }
	consistency := func(r *Reader) error { _, err := r.Consistency(t.Context(), 1, 2); return err }
	leaves := func(r *Reader) error { _, err := r.Leaves(t.Context(), 0, 1); return err }
	short := &trillian.Proof{Hashes: [][]byte{make([]byte, 31)}}
	size := func(n uint64) *types.LogRootV1 { return &types.LogRootV1{RootHash: make([]byte, 32), TreeSize: n} }
	down := status.Error(codes.Unavailable, "down")

	for _, tt := range []struct {
		name string
		log  badLog
		ask  func(*Reader) error
		want error
	}{
		{"no root", badLog{}, root, ErrCorrupt},
		{"root hash too short", badLog{root: &types.LogRootV1{RootHash: make([]byte, 31)}}, root, ErrCorrupt},
		{"root hash missing", badLog{root: &types.LogRootV1{}}, root, ErrCorrupt},
		{"size too large", badLog{root: &types.LogRootV1{RootHash: make([]byte, 32), TreeSize: 1 << 63}}, root, ErrCorrupt},
		{"root unavailable", badLog{err: down}, root, down},
		{"no inclusion proof", badLog{root: size(1)}, inclusion, ErrBeyondRoot},
		{"no inclusion proof below the root", badLog{root: size(2)}, inclusion, ErrCorrupt},
		{"neither inclusion proof nor root", badLog{root: &types.LogRootV1{}}, inclusion, ErrUnavailable},
		{"short inclusion hash", badLog{proof: short}, inclusion, ErrCorrupt},
		{"inclusion unavailable", badLog{err: down}, inclusion, down},
		{"no consistency proof", badLog{root: size(1)}, consistency, ErrBeyondRoot},
		{"neither consistency proof nor root", badLog{}, consistency, ErrUnavailable},
		{"short consistency hash", badLog{proof: short}, consistency, ErrCorrupt},
		{"consistency unavailable", badLog{err: down}, consistency, down},
		{"wrong index", badLog{root: size(2), leaves: []*trillian.LogLeaf{good(1)}}, leaves, ErrCorrupt},
		{"changed leaf", badLog{root: size(1), leaves: []*trillian.LogLeaf{changed}}, leaves, ErrCorrupt},
		{"missing leaf", badLog{root: size(1)}, leaves, ErrCorrupt},
		{"leaves without a root", badLog{leaves: []*trillian.LogLeaf{good(0)}}, leaves, ErrCorrupt},
		{"leaves unavailable", badLog{err: down}, leaves, down},
		{"good leaf", badLog{root: size(1), leaves: []*trillian.LogLeaf{good(0)}}, leaves, nil},
		{"good root", badLog{root: &types.LogRootV1{RootHash: rfc6962.DefaultHasher.EmptyRoot()}}, root, nil},
	} {
		if err := tt.ask(NewReader(tt.log, 1)); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
}

// A log that is given indexes hands out what it has stored, integrated or not.
func TestReaderStopsAtTheRoot(t *testing.T) {
	var stored []*trillian.LogLeaf
	for i := range int64(3) {
		leaf, err := NewLeaf(tlog.TreeLeaf{Value: []byte{byte(i)}})
		if err != nil {
			t.Fatal(err)
		}
		leaf.LeafIndex = i
		stored = append(stored, leaf)
	}
	for size := range uint64(4) {
		log := badLog{root: &types.LogRootV1{RootHash: make([]byte, 32), TreeSize: size}, leaves: stored}
		got, err := NewReader(log, 1).Leaves(t.Context(), 0, 3)
		if err != nil || uint64(len(got)) != size {
			t.Errorf("%d leaves of a tree of %d: %v", len(got), size, err)
		}
	}
}
