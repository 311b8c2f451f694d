package client

import (
	"context"
	"encoding/hex"
	"errors"
	"io/fs"
	"net/http"
	"path"
	"time"

	"strongroom.example/strongroom/internal/audit"
	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/wire"
)

// Following is the outside audit of this client's vault (FORMATS §7, §13): what package audit verifies, read over the API. It is not for use
// by several goroutines.
type Following struct {
	*audit.Follower
	client *Client
	asked  int64 // of no state up to this size it is asked again whether it was published
}

// Follow goes on from the state in dir. Who is not signed in as an auditor follows the log's hashes alone: see HashesOnly. progress may be
// nil.
func (c *Client) Follow(ctx context.Context, dir string, progress func(done, total int64)) (*Following, error) {
	auditor := false
	if c.actor != "" {
		req, err := wire.NewGetSessionRequest(c.address)
		session, err := ask[wire.Session](ctx, c, req, err, http.StatusOK)
		if err != nil {
			return nil, err
		}
		auditor = session.Role == wire.RoleAuditor
	}
	state, err := audit.Open(ctx, dir, c.trust.LogKeys())
	if err != nil {
		return nil, err
	}
	return &Following{&audit.Follower{
		State: state, Vault: followed{c}, HashesOnly: !auditor, Progress: progress,
		Pause: func(ctx context.Context, d time.Duration) error { return c.pause(ctx, d) },
	}, c, 0}, nil
}

// Close closes the state.
func (f *Following) Close() error { return f.State.Close() }

// Cosign cosigns the states that the vault published, each right after a publication of its list that was verified by steps before, since
// the last time, and hands the cosignatures in. It returns the largest size cosigned, or 0 if there was none.
//
// A vault publishes no state that is smaller than one it has published: each state is asked for until a larger one was there.
func (f *Following) Cosign(ctx context.Context, by *audit.Cosigner) (size int64, err error) {
	sizes := f.State.Cosignable()
	if len(sizes) == 0 || sizes[len(sizes)-1] <= f.asked {
		return 0, nil
	}
	newest, err := f.newestPublished(ctx)
	if err != nil {
		return 0, err
	}
	for _, at := range sizes {
		if at <= f.asked || at > newest {
			continue
		}
		p, err := lossy(ctx, f.client, func() (wire.Published, error) {
			req, err := wire.NewGetPublishedRequest(f.client.address, at)
			return public[wire.Published](ctx, f.client, req, err, http.StatusOK)
		})
		switch {
		case evidence.KindOf(err) == evidence.NotFound:
		case err != nil:
			return size, err
		case !by.Signed([]byte(p.Checkpoint)):
			line, cp, err := f.cosignOnce(ctx, []byte(p.Checkpoint), by)
			if errors.Is(err, audit.ErrBehind) { // of another size than was asked for
				break
			}
			if err != nil {
				return size, err
			}
			if err := f.handIn(ctx, cp.Size, line); err != nil {
				return size, err
			}
			size = cp.Size
		}
		f.asked = at
	}
	return size, nil
}

// newestPublished is the size of the newest state that the vault published, whether it is final or not; 0 if it published none.
func (f *Following) newestPublished(ctx context.Context) (int64, error) {
	note, err := lossy(ctx, f.client, func() ([]byte, error) {
		req, err := wire.NewGetCheckpointRequest(f.client.address, &wire.GetCheckpointParams{Published: true})
		if err != nil {
			return nil, err
		}
		resp, err := f.client.exchange(req.WithContext(ctx), http.StatusOK)
		if err != nil {
			return nil, err
		}
		return readAll(resp, tlog.MaxCheckpointSize)
	})
	if evidence.KindOf(err) == evidence.NotFound {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	cp, err := tlog.OpenCheckpoint(note, f.client.trust.LogKeys())
	return cp.Size, err
}

func (f *Following) handIn(ctx context.Context, size int64, line []byte) error {
	_, err := lossy(ctx, f.client, func() (struct{}, error) {
		req, err := wire.NewCosignRequest(f.client.address, wire.Cosignatures{Size: size, Lines: string(line)})
		if err != nil {
			return struct{}{}, err
		}
		resp, err := f.client.exchange(req.WithContext(ctx), http.StatusNoContent)
		if err != nil {
			return struct{}{}, err
		}
		return struct{}{}, resp.Body.Close()
	})
	return err
}

// cosignOnce cosigns what extends all that this key cosigned, in whatever folder: what it cosigned last is kept beside the key, and is
// durable before the signature leaves this device.
func (f *Following) cosignOnce(ctx context.Context, note []byte, by *audit.Cosigner) (line []byte, cp tlog.Checkpoint, err error) {
	c := f.client
	doc := path.Join(cosignedDir, evidence.SHA256([]byte(by.VerifierKey())).String())
	release, err := c.alone(ctx, doc+lockSuffix)
	if err != nil {
		return nil, cp, err
	}
	defer func() { err = errors.Join(err, release()) }()
	last, err := c.cfg.Keystore.Read(doc + ".note")
	switch {
	case errors.Is(err, fs.ErrNotExist): // it cosigned nothing yet
	case err != nil:
		return nil, cp, err
	default:
		if err := f.After(last, note); err != nil {
			return nil, cp, err
		}
	}
	// By this device's own clock: whoever counts the time of a cosignature counts it as independent of the vault's.
	if line, cp, err = f.Follower.Cosign(note, by, c.cfg.Now()); err != nil {
		return nil, cp, err
	}
	return line, cp, c.cfg.Keystore.Write(doc+".note", note)
}

// Keep writes the evidence of an alarm into a folder of its own, as audit.State.Keep does; also of one that this client raised over what it
// asked besides, with the newest head that it has seen. It is "" if err is no alarm. While one stands nothing is cosigned.
func (f *Following) Keep(err error) (dir string, _ error) {
	a := (*audit.Alarm)(nil)
	if !errors.As(err, &a) {
		if LieOf(err) == "" {
			return "", nil
		}
		_, older := f.State.Head()
		a = &audit.Alarm{Reason: audit.Elsewhere, Older: older, Newer: f.client.memory.snapshot().Checkpoint, Entry: -1, Err: err}
	}
	return f.State.Keep(a)
}

// followed is the audit.Vault of a client.
type followed struct{ c *Client }

func (f followed) Checkpoint(ctx context.Context) ([]byte, error) {
	return lossy(ctx, f.c, func() ([]byte, error) { return f.c.getCheckpoint(ctx) })
}

func (f followed) Consistency(ctx context.Context, from, to int64) ([][]byte, error) {
	answer, err := lossy(ctx, f.c, func() (wire.ConsistencyProof, error) {
		req, err := wire.NewGetConsistencyRequest(f.c.address, &wire.GetConsistencyParams{From: from, To: to})
		return public[wire.ConsistencyProof](ctx, f.c, req, err, http.StatusOK)
	})
	if evidence.KindOf(err) == evidence.Invalid || evidence.KindOf(err) == evidence.NotFound {
		return nil, nil // it signed both sizes and cannot say how one became the other
	}
	if err != nil {
		return nil, err
	}
	hashes := make([][]byte, len(answer.Hashes))
	for i, text := range answer.Hashes {
		if hashes[i], err = hex.DecodeString(text); err != nil {
			return nil, alarm(Malformed, evidence.Stream{}, nil)
		}
	}
	return hashes, nil
}

func (f followed) Leaves(ctx context.Context, start, count int64) ([]tlog.Hash, error) {
	return values[tlog.Hash](lossy(ctx, f.c, func() ([]byte, error) {
		req, err := wire.NewGetLogLeavesRequest(f.c.address, &wire.GetLogLeavesParams{Start: start, Count: count})
		if err != nil {
			return nil, err
		}
		resp, err := f.c.exchange(req.WithContext(ctx), http.StatusOK)
		if err != nil {
			return nil, err
		}
		return readAll(resp, count*valueSize)
	}))
}

func (f followed) Keys(ctx context.Context, start, count int64) ([][32]byte, error) {
	return values[[32]byte](lossy(ctx, f.c, func() ([]byte, error) {
		req, err := wire.NewGetLogHeadsRequest(f.c.address, &wire.GetLogHeadsParams{Start: start, Count: count})
		if err != nil {
			return nil, err
		}
		resp, err := f.c.signedIn(ctx, req, http.StatusOK)
		if err != nil {
			return nil, err
		}
		return readAll(resp, count*valueSize)
	}))
}

func (f followed) Statements(ctx context.Context, start, count int64) ([]tlog.TreeLeaf, error) {
	page, err := lossy(ctx, f.c, func() (wire.LogStatements, error) {
		req, err := wire.NewGetLogStatementsRequest(f.c.address, &wire.GetLogStatementsParams{Start: start, Count: count})
		return ask[wire.LogStatements](ctx, f.c, req, err, http.StatusOK)
	})
	if err != nil {
		return nil, err
	}
	list := make([]tlog.TreeLeaf, len(page.Entries))
	for i, e := range page.Entries {
		list[i] = tlog.TreeLeaf{Value: e.Leaf, Extra: e.DSSE}
	}
	return list, nil
}

// valueSize is how long a leaf hash or a key is.
const valueSize = 32

// values cuts a page. One that cannot be cut is as none: whoever asked says that it is of another length.
func values[H ~[valueSize]byte](page []byte, err error) ([]H, error) {
	if err != nil || len(page)%valueSize != 0 {
		return nil, err
	}
	list := make([]H, len(page)/valueSize)
	for i := range list {
		list[i] = H(page[i*valueSize:])
	}
	return list, nil
}

func (f followed) Publications(ctx context.Context, seq int64) ([][]byte, error) {
	s, after, limit := evidence.VaultOf(f.c.trust.Vault()), seq-1, int32(eventsOfPage)
	page, err := lossy(ctx, f.c, func() (wire.EventList, error) {
		req, err := wire.NewListEventsRequest(f.c.address, wire.StreamType(s.Type), s.ID, &wire.ListEventsParams{After: &after, Limit: &limit, Receipts: wire.ReceiptsStored})
		return ask[wire.EventList](ctx, f.c, req, err, http.StatusOK)
	})
	if evidence.KindOf(err) == evidence.NotFound && seq == 0 {
		return nil, nil // nothing was published yet
	}
	if err != nil {
		return nil, err
	}
	var list [][]byte
	for _, e := range page.Events {
		if e.Receipt == nil { // not in the log yet
			break
		}
		list = append(list, e.Receipt)
	}
	return list, nil
}

// Authors replays the actor stream of the vault that the trust file names.
func (f followed) Authors(ctx context.Context) ([]audit.Author, error) {
	var list []audit.Author
	for _, founder := range f.c.trust.Founders() {
		if founder.Role != string(evidence.Vault) {
			continue
		}
		s := evidence.ActorOf(evidence.ActorID(founder.Actor))
		v, err := f.c.Look(ctx, s)
		if err != nil {
			return nil, err
		}
		for e, err := range v.Events(s) {
			if err != nil {
				return nil, err
			}
			var key string
			switch d := e.Details.(type) {
			case *evidence.ActorEnrolledDetails:
				key = d.Key
			case *evidence.ActorKeyRotatedDetails:
				key = d.Key
			default:
				continue
			}
			spki, err := custody.ParseSPKI(key)
			if err != nil {
				return nil, err
			}
			if n := len(list); n > 0 {
				list[n-1].Until = e.Index
			}
			list = append(list, audit.Author{SPKI: spki, From: e.Index})
		}
	}
	return list, nil
}
