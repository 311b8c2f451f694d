// Command sigstore-kms-pemfile is a real plugin of sigstore's protocol for tests: its KMS is a folder with a key in PEM. What the file beside
// the key, with .mode at the end, says it does instead of signing.
package main

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/kms/cliplugin/handler"
)

type pemKey struct {
	signature.SignerVerifier
	path, mode string
}

func (k pemKey) SignMessage(message io.Reader, opts ...signature.SignOption) ([]byte, error) {
	switch k.mode {
	case "refuse":
		return nil, errors.New("the KMS is sealed")
	case "tell":
		return nil, errors.New("permission denied (403) for hvs.CAESIJ1234567890abcdef at https://user:secret@kms.example:8200/v1/transit\n" + strings.Repeat("blah ", 10000))
	case "die":
		os.Exit(3)
	case "hang":
		time.Sleep(time.Hour)
	case "leave": // a child that keeps the answer's pipe open when this program is killed
		c := exec.Command("sleep", "60")
		c.Stdout = os.Stdout
		if c.Start() == nil {
			os.WriteFile(k.path+fmt.Sprintf(".left-%d", c.Process.Pid), nil, 0o600)
		}
		time.Sleep(time.Hour)
	case "noise":
		os.Stdout.WriteString("Segmentation fault")
		os.Exit(0)
	case "empty":
		os.Stdout.WriteString("{}")
		os.Exit(0)
	case "wrong":
		message = strings.NewReader("something else")
	}
	return k.SignerVerifier.SignMessage(message, opts...)
}

func (pemKey) CreateKey(context.Context, string) (crypto.PublicKey, error) {
	return nil, errors.New("not here")
}

func (pemKey) CryptoSigner(context.Context, func(error)) (crypto.Signer, crypto.SignerOpts, error) {
	return nil, nil, errors.New("not here")
}
func (pemKey) SupportedAlgorithms() []string { return nil }
func (pemKey) DefaultAlgorithm() string      { return "" }

func main() {
	args, err := handler.GetPluginArgs(os.Args)
	if err == nil {
		err = answer(args.InitOptions.KeyResourceID, func(k pemKey) error {
			_, err := handler.Dispatch(os.Stdout, os.Stdin, args, k)
			return err
		})
	}
	if err != nil {
		handler.WriteErrorResponse(os.Stdout, err)
		os.Exit(1)
	}
}

func answer(path string, with func(pemKey) error) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	private, err := cryptoutils.UnmarshalPEMToPrivateKey(text, nil)
	if err != nil {
		return err
	}
	signer, err := signature.LoadSignerVerifier(private, crypto.SHA256)
	if err != nil {
		return err
	}
	mode, err := os.ReadFile(path + ".mode")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return with(pemKey{signer, path, strings.TrimSpace(string(mode))})
}
