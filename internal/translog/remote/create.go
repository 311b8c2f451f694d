package remote

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/trillian"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"strongroom.example/strongroom/internal/translog"
)

const (
	// renewed is how often the signer makes a root where nothing is appended, so that it is noticed when there is none.
	renewed = 5 * time.Minute
	// maxName bounds a tree's description in Trillian's database, in bytes.
	maxName = 200
)

// ErrTwoTrees means that more than one tree has the name. All but one are to be deleted by hand, with Trillian's deletetree: by a tree alone
// nobody can tell whether it is in use.
var ErrTwoTrees = errors.New("remote: more than one tree has this name")

// Create makes an empty tree for the log of that name, its origin, and returns its id. Called again, after an error too, it returns the tree
// that is there, whatever it holds by then. Of calls at the same time all that succeed return the same id; others may fail with ErrTwoTrees.
// Config's TreeID is not used.
//
// A name that is too long is translog.ErrInvalid; a tree of this name that is of another type is ErrTreeType.
func Create(ctx context.Context, cfg Config, name string) (int64, error) {
	if name == "" || len(name) > maxName {
		return 0, fmt.Errorf("%w: name of a tree", translog.ErrInvalid)
	}
	conn, err := dial(cfg)
	if err != nil {
		return 0, err
	}
	id, err := create(ctx, conn, name)
	if err != nil {
		err = fmt.Errorf("remote: create tree: %w", err)
	}
	return id, errors.Join(err, conn.Close())
}

func create(ctx context.Context, conn *grpc.ClientConn, name string) (int64, error) {
	admin, log := trillian.NewTrillianAdminClient(conn), trillian.NewTrillianLogClient(conn)
	tree, err := named(ctx, admin, name)
	if err != nil {
		return 0, err
	}
	if tree == nil {
		if _, err := admin.CreateTree(ctx, &trillian.CreateTreeRequest{Tree: &trillian.Tree{
			TreeState:       trillian.TreeState_ACTIVE,
			TreeType:        trillian.TreeType_PREORDERED_LOG,
			DisplayName:     "strongroom",
			Description:     name,
			MaxRootDuration: durationpb.New(renewed),
		}}); err != nil {
			return 0, err
		}
		// Another may have done the same meanwhile. Who sees one tree only saw the first.
		if tree, err = named(ctx, admin, name); err != nil {
			return 0, err
		}
		if tree == nil {
			return 0, translog.ErrNoTree
		}
	}
	if tree.TreeType != trillian.TreeType_PREORDERED_LOG {
		return 0, translog.ErrTreeType
	}
	// A tree without its first root is one that an earlier call did not finish.
	if _, err := log.InitLog(ctx, &trillian.InitLogRequest{LogId: tree.TreeId}); err != nil && status.Code(err) != codes.AlreadyExists {
		return 0, err
	}
	return tree.TreeId, nil
}

// named returns the tree of that name, or nil.
func named(ctx context.Context, admin trillian.TrillianAdminClient, name string) (*trillian.Tree, error) {
	resp, err := admin.ListTrees(ctx, &trillian.ListTreesRequest{}, grpc.WaitForReady(false))
	if err != nil {
		return nil, err
	}
	var found *trillian.Tree
	for _, tree := range resp.GetTree() {
		if tree.Description != name {
			continue
		}
		if found != nil {
			return nil, ErrTwoTrees
		}
		found = tree
	}
	return found, nil
}
