package audit

import (
	"context"
	"errors"
	"slices"
	"testing"
)

// broken is a vault of which the connection breaks after the first page of publications.
type broken struct {
	Vault
	pages int
}

var errBroken = errors.New("connection reset")

func (b *broken) Publications(ctx context.Context, seq int64) ([][]byte, error) {
	if b.pages--; b.pages < 0 {
		return nil, errBroken
	}
	return b.Vault.Publications(ctx, seq)
}

// Void entries are told until a person was told, whatever breaks in between, and nothing is cosigned while there are any.
func TestVoidIsTold(t *testing.T) {
	b := newBook(t)
	b.grow(10)
	b.growVoid()
	b.publish()
	dir := t.TempDir()
	f := b.follow(dir)
	whole := f.Vault
	f.Vault = &broken{whole, 1}
	if step, err := f.Step(t.Context()); !errors.Is(err, errBroken) || len(step.Void) > 0 {
		t.Fatalf("%+v, %v", step, err)
	}
	if len(f.State.Void()) != 1 {
		t.Fatal("the page before the break was not kept: nothing is tested here")
	}
	check(t, f.State.Close())
	f = b.follow(dir)
	for range 2 { // a person may not have seen the first answer
		step, err := f.Step(t.Context())
		check(t, err)
		if !slices.Equal(step.Void, f.State.Void()) {
			t.Errorf("told of %v, void are %v", step.Void, f.State.Void())
		}
	}
	check(t, f.State.Tell())
	check(t, f.State.Close())
	f = b.follow(dir)
	step, err := f.Step(t.Context())
	check(t, err)
	if len(step.Void) > 0 {
		t.Errorf("told again: %v", step.Void)
	}
	_, note := f.State.Head()
	if _, _, err := f.Cosign(note, newCosigner(t, "auditor.example"), now); !errors.Is(err, ErrVoid) {
		t.Errorf("cosigned although an entry is void: %v", err)
	}
}
