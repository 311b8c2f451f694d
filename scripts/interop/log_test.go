package interop

import (
	"crypto/ecdsa"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/translog/embedded"
)

const origin = "vault.example"

// log is a tree in a real embedded Trillian with a checkpoint key, as a vault has, but without a law: it takes any signed statement.
type log struct {
	t      *testing.T
	tree   *embedded.Log
	key    *custody.Key
	public *ecdsa.PublicKey
}

func newLog(t *testing.T, key *custody.Key, statements ...*custody.Signed) *log {
	t.Helper()
	public, err := custody.PublicKey(key.SPKI())
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "log.db")
	tree, err := embedded.Create(t.Context(), path, embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tree.Close() })
	var leaves []tlog.TreeLeaf
	for _, s := range statements {
		leaves = append(leaves, tlog.TreeLeaf{Value: s.Leaf(), Extra: s.DSSE()})
	}
	if _, err := tree.Append(t.Context(), leaves); err != nil {
		t.Fatal(err)
	}
	return &log{t, tree, key, public}
}

// checkpoint signs the tree's present root.
func (l *log) checkpoint() ([]byte, tlog.Root) {
	l.t.Helper()
	root, err := l.tree.Root(l.t.Context())
	if err != nil {
		l.t.Fatal(err)
	}
	signer, err := tlog.NewECDSANoteSigner(origin, l.public, l.key.Sign)
	if err != nil {
		l.t.Fatal(err)
	}
	text := tlog.Checkpoint{Origin: origin, Size: root.Size, Root: root.Hash}.Marshal()
	signed, err := note.Sign(&note.Note{Text: string(text)}, signer)
	if err != nil {
		l.t.Fatal(err)
	}
	return signed, root
}

// receipt is what the ledger makes of an included statement.
func (l *log) receipt(s *custody.Signed, index int64) []byte {
	l.t.Helper()
	return l.receiptOf(s, s.Leaf(), s.Signature(), index)
}

func (l *log) receiptOf(s *custody.Signed, leaf, signature []byte, index int64) []byte {
	l.t.Helper()
	checkpoint, root := l.checkpoint()
	proof, err := l.tree.Inclusion(l.t.Context(), index, root.Size)
	if err != nil {
		l.t.Fatal(err)
	}
	id, err := tlog.LogID(l.public)
	if err != nil {
		l.t.Fatal(err)
	}
	r, err := tlog.NewReceipt(tlog.ReceiptParts{
		LogID: id, Leaf: leaf, Index: index, Proof: proof, Checkpoint: checkpoint, PayloadType: "application/vnd.in-toto+json",
		Payload: s.Payload(), Signature: signature, KeyID: tlog.Hash(s.KeyID()),
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return r.Marshal()
}

// trust is the trust file of a vault with this log and these time-stamp authorities.
func (l *log) trust(authorities ...tlog.Authority) tlog.Trust {
	l.t.Helper()
	var founders []tlog.Founder
	for _, role := range []string{"administrator", "custodian", "vault"} {
		founders = append(founders, tlog.Founder{Actor: role, Key: newKey(l.t).SPKI(), Role: role})
	}
	var roots [][]byte
	for _, a := range authorities {
		roots = append(roots, a.Chain[len(a.Chain)-1])
	}
	trust, err := tlog.NewTrust(tlog.TrustParts{
		Vault: origin, Founders: founders, Logs: []tlog.Log{{Key: l.public, Valid: tlog.Valid{Start: time.Unix(1_767_225_600, 0).UTC()}}},
		Authorities: authorities, TimestampRoots: roots,
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return trust
}

func (l *log) trustedRoot() []byte {
	l.t.Helper()
	return l.trust().TrustedRoot()
}

func newKey(t *testing.T) *custody.Key {
	t.Helper()
	key, err := custody.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

type statementVector struct {
	Name string
	Key  []byte
	DSSE string
}

// statements are one signed statement of every kind that exists, from api/vectors/custody/kinds.json.
func statements(t *testing.T) (list []*custody.Signed, signer []byte) {
	t.Helper()
	var vectors []statementVector
	readVectors(t, &vectors, "custody", "kinds.json")
	for _, v := range vectors {
		statement, err := custody.Open([]byte(v.DSSE))
		if err != nil {
			t.Fatal(err)
		}
		signed, err := statement.Verify(v.Key)
		if err != nil {
			t.Fatal(err)
		}
		list, signer = append(list, signed), v.Key
	}
	return list, signer
}

// A receipt of every kind of event is accepted, for each of its subjects.
func TestEveryKind(t *testing.T) {
	list, signer := statements(t)
	l := newLog(t, newKey(t), list...)
	s, err := newStock(l.trustedRoot(), signer)
	if err != nil {
		t.Fatal(err)
	}
	for i, signed := range list {
		if err := s.accept(l.receipt(signed, int64(i))); err != nil {
			t.Errorf("%s: %v", signed.Event().Kind, err)
		}
	}
}
