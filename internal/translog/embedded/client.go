package embedded

import (
	"context"

	"github.com/google/trillian"
	"github.com/google/trillian/trees"
	"google.golang.org/grpc"
)

// client calls Trillian's log server in this process, as the gRPC client calls
// it elsewhere: the callers see one trillian.TrillianLogClient, without the cost
// of encoding. It names the tree to the server, which would otherwise read it
// from storage at each call.
type client struct {
	server trillian.TrillianLogServer
	tree   *trillian.Tree
}

var _ trillian.TrillianLogClient = client{}

func call[Req, Resp any](ctx context.Context, c client, f func(context.Context, Req) (Resp, error), req Req) (Resp, error) {
	return f(trees.NewContext(ctx, c.tree), req)
}

func (c client) QueueLeaf(ctx context.Context, req *trillian.QueueLeafRequest, _ ...grpc.CallOption) (*trillian.QueueLeafResponse, error) {
	return call(ctx, c, c.server.QueueLeaf, req)
}

func (c client) AddSequencedLeaves(ctx context.Context, req *trillian.AddSequencedLeavesRequest, _ ...grpc.CallOption) (*trillian.AddSequencedLeavesResponse, error) {
	return call(ctx, c, c.server.AddSequencedLeaves, req)
}

func (c client) InitLog(ctx context.Context, req *trillian.InitLogRequest, _ ...grpc.CallOption) (*trillian.InitLogResponse, error) {
	return call(ctx, c, c.server.InitLog, req)
}

func (c client) GetLatestSignedLogRoot(ctx context.Context, req *trillian.GetLatestSignedLogRootRequest, _ ...grpc.CallOption) (*trillian.GetLatestSignedLogRootResponse, error) {
	return call(ctx, c, c.server.GetLatestSignedLogRoot, req)
}

func (c client) GetInclusionProof(ctx context.Context, req *trillian.GetInclusionProofRequest, _ ...grpc.CallOption) (*trillian.GetInclusionProofResponse, error) {
	return call(ctx, c, c.server.GetInclusionProof, req)
}

func (c client) GetInclusionProofByHash(ctx context.Context, req *trillian.GetInclusionProofByHashRequest, _ ...grpc.CallOption) (*trillian.GetInclusionProofByHashResponse, error) {
	return call(ctx, c, c.server.GetInclusionProofByHash, req)
}

func (c client) GetConsistencyProof(ctx context.Context, req *trillian.GetConsistencyProofRequest, _ ...grpc.CallOption) (*trillian.GetConsistencyProofResponse, error) {
	return call(ctx, c, c.server.GetConsistencyProof, req)
}

func (c client) GetEntryAndProof(ctx context.Context, req *trillian.GetEntryAndProofRequest, _ ...grpc.CallOption) (*trillian.GetEntryAndProofResponse, error) {
	return call(ctx, c, c.server.GetEntryAndProof, req)
}

func (c client) GetLeavesByRange(ctx context.Context, req *trillian.GetLeavesByRangeRequest, _ ...grpc.CallOption) (*trillian.GetLeavesByRangeResponse, error) {
	return call(ctx, c, c.server.GetLeavesByRange, req)
}
