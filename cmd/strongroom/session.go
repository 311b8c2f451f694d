package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/keys"
	"strongroom.example/strongroom/internal/program"
	"strongroom.example/strongroom/internal/sealing"
	"strongroom.example/strongroom/internal/web"
)

// The person's keys in the folder. The identity is the document that client.ReadIdentity reads.
const (
	signingFile  = "signing.pem"
	identityFile = "identity.age"
)

// tool is this program, as events name it.
var tool = sync.OnceValue(func() evidence.Tool { return program.Tool("strongroom") })

// keystore opens the person's folder, making it if there is none. Whoever has a card has no folder.
func (a *app) keystore() (client.Folder, error) {
	if a.card {
		return "", decline("card_here")
	}
	dir, err := a.folder()
	if err != nil {
		return "", err
	}
	return client.OpenFolder(dir)
}

// signer unlocks the signing key.
func (a *app) signer(ctx context.Context, k client.Folder) (*keys.Signer, error) {
	name := filepath.Join(string(k), signingFile)
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, decline("no_keys")
	}
	if err != nil {
		return nil, err
	}
	passphrase := ""
	if keys.Encrypted(text) {
		if passphrase, err = a.knownPassphrase(); err != nil {
			return nil, err
		}
	}
	return keys.Open(ctx, name, []byte(passphrase))
}

// identity unlocks the age identity.
func (a *app) identity(k client.Folder) (sealing.Identity, error) {
	id, err := client.ReadIdentity(k, "")
	if !errors.Is(err, sealing.ErrPassphrase) {
		return id, err
	}
	passphrase, err := a.knownPassphrase()
	if err != nil {
		return id, err
	}
	return client.ReadIdentity(k, passphrase)
}

// makeSigner makes the signing key, or unlocks the one that an interrupted attempt left.
func (a *app) makeSigner(ctx context.Context, k client.Folder, plain bool) (*keys.Signer, error) {
	name := filepath.Join(string(k), signingFile)
	if _, err := os.Stat(name); err == nil {
		return a.signer(ctx, k)
	}
	passphrase, err := a.passphraseFor(plain)
	if err != nil {
		return nil, err
	}
	return keys.Create(name, keys.P256, []byte(passphrase))
}

// makeIdentity makes the age identity, or unlocks the one that an interrupted attempt left.
func (a *app) makeIdentity(k client.Folder, plain bool) (sealing.Identity, error) {
	id, err := a.identity(k)
	if !errors.Is(err, fs.ErrNotExist) {
		return id, err
	}
	passphrase, err := a.passphraseFor(plain)
	if err != nil {
		return id, err
	}
	if id, err = sealing.NewIdentity(); err != nil {
		return id, err
	}
	if plain {
		return id, k.Write(identityFile, sealing.PlainIdentityFile(id))
	}
	return id, client.WriteIdentity(k, id, passphrase)
}

func (a *app) passphraseFor(plain bool) (string, error) {
	if plain {
		return "", nil
	}
	return a.newPassphrase()
}

// warnPlain is loud: whoever reads the folder is that person.
func (a *app) warnPlain(plain bool) {
	if plain {
		printRows(a.err, row{"WARNING", "These keys are stored without a passphrase. Whoever copies the folder can act as this person. For tests only."})
	}
}

// session opens the person's folder, unlocks the signing key and returns the client. The age identity is unlocked when first needed.
// With a card both keys come from that.
func (a *app) session(ctx context.Context) (*client.Client, error) {
	if a.card {
		return a.cardSession(ctx)
	}
	k, err := a.keystore()
	if err != nil {
		return nil, err
	}
	signer, err := a.signer(ctx, k)
	if err != nil {
		return nil, err
	}
	return a.client(k, signer)
}

func (a *app) client(k client.Folder, signer client.Signer) (*client.Client, error) {
	c, err := client.New(a.config(k, signer))
	if errors.Is(err, fs.ErrNotExist) || evidence.ReasonOf(err) == "address" {
		return nil, decline("no_vault")
	}
	return c, err
}

// page is what packages take along for who has no other verifier.
func page(context.Context) ([]byte, error) { return web.Single() }

func (a *app) config(k client.Folder, signer client.Signer) client.Config {
	return client.Config{
		Keystore: k, Signer: signer, Tool: tool(), Now: time.Now, Page: page,
		Unlock: func() (sealing.Identity, error) { return a.identity(k) },
	}
}
