package keys

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"strings"
	"time"

	"github.com/sigstore/sigstore/pkg/signature/kms"
	"github.com/sigstore/sigstore/pkg/signature/options"
)

// InKMS reports whether a key's name is the URI of one in a KMS, such as hashivault://NAME or awskms://…: sigstore's own plugin program
// sigstore-kms-NAME, found on the PATH, asks it. So no cloud's library is linked, and none of its secrets is known here.
func InKMS(name string) bool { return strings.Contains(name, "://") }

// patience is how long a KMS may take for one answer. Tests shorten it.
var patience = 30 * time.Second

// openKMS asks for the public key once; a KMS that turns to another one later is noticed with its first signature.
func openKMS(ctx context.Context, name string) (*Signer, error) {
	var remote kms.SignerVerifier
	public, err := within(ctx, func(ctx context.Context) (public crypto.PublicKey, err error) {
		// The context of Get would end every later request with it.
		if remote, err = kms.Get(context.WithoutCancel(ctx), name, crypto.SHA256); err != nil {
			return nil, err
		}
		return remote.PublicKey(options.WithContext(ctx))
	})
	if err != nil {
		return nil, err
	}
	return wrap(public, func(message []byte) ([]byte, error) {
		sig, err := within(context.Background(), func(ctx context.Context) ([]byte, error) {
			return remote.SignMessage(bytes.NewReader(message), options.WithContext(ctx))
		})
		if err == nil && !verify(public, message, sig) {
			return nil, fmt.Errorf("%w: its signature is not that of the key", ErrKMS)
		}
		return sig, err
	})
}

func verify(public crypto.PublicKey, message, sig []byte) bool {
	switch key := public.(type) {
	case *ecdsa.PublicKey:
		digest := sha256.Sum256(message)
		return ecdsa.VerifyASN1(key, digest[:], sig)
	case ed25519.PublicKey:
		return ed25519.Verify(key, message, sig)
	}
	return false
}

// within waits for a KMS no longer than patience. A plugin can answer anything: where that makes its client panic, or where a process that it
// left behind keeps the client waiting, it is one more failure of the KMS and not of the vault.
func within[T any](ctx context.Context, ask func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	type answer struct {
		value T
		err   error
	}
	answered := make(chan answer, 1)
	go func() {
		var a answer
		defer func() {
			if p := recover(); p != nil {
				a.err = fmt.Errorf("%w: its answer cannot be read", ErrKMS)
			}
			answered <- a
		}()
		if a.value, a.err = ask(ctx); a.err != nil {
			a.err = fmt.Errorf("%w: %w", ErrKMS, a.err)
		}
	}()
	select {
	case a := <-answered:
		return a.value, a.err
	case <-ctx.Done():
		var none T
		return none, fmt.Errorf("%w: %w", ErrKMS, ctx.Err())
	}
}
