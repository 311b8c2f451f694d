package remote

import (
	"context"
	"errors"
	"testing"

	"github.com/google/trillian"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/translog"
)

// otherServer answers as no stock log server does.
type otherServer struct {
	trillian.TrillianLogClient
	answers []*status.Status
}

func (s otherServer) AddSequencedLeaves(context.Context, *trillian.AddSequencedLeavesRequest, ...grpc.CallOption) (*trillian.AddSequencedLeavesResponse, error) {
	resp := &trillian.AddSequencedLeavesResponse{}
	for _, answer := range s.answers {
		resp.Results = append(resp.Results, &trillian.QueuedLogLeaf{Status: answer.Proto()})
	}
	return resp, nil
}

func TestOtherServer(t *testing.T) {
	leaf := func(value string) *trillian.LogLeaf {
		leaf, err := translog.NewLeaf(tlog.TreeLeaf{Value: []byte(value)})
		if err != nil {
			t.Fatal(err)
		}
		return leaf
	}
	refused := func(message string) *status.Status {
		return status.New(codes.FailedPrecondition, message)
	}
	ok := status.New(codes.OK, "")
	for _, tt := range []struct {
		name    string
		answers []*status.Status
		want    error
	}{
		{"as stock", []*status.Status{refused(held), refused(held), refused(taken)}, nil},
		{"too few answers", []*status.Status{refused(held), refused(held)}, ErrServer},
		{"none", nil, ErrServer},
		{"other words", []*status.Status{refused(held), refused("duplicate"), refused(taken)}, ErrServer},
		{"another code", []*status.Status{refused(held), status.New(codes.Aborted, held), refused(taken)}, ErrServer},
		{"the index before the identity", []*status.Status{refused(taken), refused(taken), refused(taken)}, ErrServer},
		{"it takes what it has", []*status.Status{ok, refused(held), refused(taken)}, ErrServer},
		{"a free index below the root", []*status.Status{refused(held), ok, refused(taken)}, translog.ErrCorrupt},
	} {
		l := &Log{log: otherServer{answers: tt.answers}, oldest: leaf("oldest"), size: 9}
		fresh, stored, err := l.sift(t.Context(), []*trillian.LogLeaf{leaf("held"), leaf("oldest"), leaf("fresh")})
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
		if err == nil && (len(fresh) != 1 || string(fresh[0].LeafValue) != "fresh" || len(stored) != 2) {
			t.Errorf("%s: %d fresh, %d stored", tt.name, len(fresh), len(stored))
		}
	}
}
