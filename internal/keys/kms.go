package keys

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"regexp"
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

// mostAsked bounds how many questions one key's plugin is asked at once, those included that nobody waits for any more because a process which
// the plugin left behind keeps its answer open.
const mostAsked = 8

// openKMS asks for the public key once; a KMS that turns to another one later is noticed with its first signature.
func openKMS(ctx context.Context, name string) (*Signer, error) {
	var remote kms.SignerVerifier
	asked := make(chan struct{}, mostAsked)
	public, err := within(ctx, asked, func(ctx context.Context) (public crypto.PublicKey, err error) {
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
		sig, err := within(context.Background(), asked, func(ctx context.Context) ([]byte, error) {
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
func within[T any](ctx context.Context, asked chan struct{}, ask func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	type answer struct {
		value T
		err   error
	}
	var none T
	select {
	case asked <- struct{}{}:
	case <-ctx.Done():
		return none, fmt.Errorf("%w: %w", ErrKMS, ctx.Err())
	}
	answered := make(chan answer, 1)
	go func() {
		var a answer
		defer func() {
			<-asked
			if p := recover(); p != nil {
				a.err = fmt.Errorf("%w: its answer cannot be read", ErrKMS)
			}
			answered <- a
		}()
		if a.value, a.err = ask(ctx); a.err != nil {
			a.err = fmt.Errorf("%w: %s", ErrKMS, said(a.err.Error()))
		}
	}()
	select {
	case a := <-answered:
		return a.value, a.err
	case <-ctx.Done():
		return none, fmt.Errorf("%w: %w", ErrKMS, ctx.Err())
	}
}

// mostSaid bounds what is repeated of a plugin's error, in bytes.
const mostSaid = 200

var (
	plainWord   = regexp.MustCompile(`^["'(\[]*[A-Za-z]{1,20}(['-][A-Za-z]{1,20})?["')\],.;:!?]*$`)
	plainNumber = regexp.MustCompile(`^\(?[0-9]{1,4}[),.;:]*$`)
)

// said is what a plugin says of its error, in plain words alone: what else there is may be an address, a key's name or a token, and is for
// nobody who reads the log.
func said(text string) string {
	var b strings.Builder
	left := false
	for word := range strings.FieldsSeq(text) {
		if !plainWord.MatchString(word) && !plainNumber.MatchString(word) {
			if left {
				continue
			}
			word = "…"
		}
		left = word == "…"
		if b.Len()+len(word) >= mostSaid {
			break
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(word)
	}
	return b.String()
}
