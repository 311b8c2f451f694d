//go:build js && wasm

package main

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"sync"
	"syscall/js"
	"time"

	"strongroom.example/strongroom/internal/browser"
	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/sealing"
	"strongroom.example/strongroom/internal/tlog"
)

// A browser's profile belongs to one person of one vault: one folder, one signing key.
const (
	storeName = "strongroom"
	keyName   = "signing"

	enrolmentDoc = "enrolment.json"
	identityDoc  = "identity.age" // that client.ReadIdentity reads
)

// device is what this Worker knows of the person, from unlock to lock.
type device struct {
	tool evidence.Tool
	now  func() time.Time

	mu       sync.Mutex // held while keys are made or unlocked
	kept     *store
	signer   *signer
	identity *sealing.Identity // nil while locked
	client   *client.Client
	offers   map[string]offer // shown by terms, by code
}

// enrolment is what was offered when the keys were made: the vault says nothing of somebody who is not confirmed yet.
type enrolment struct {
	Role         evidence.Role  `json:"role"`
	Organization evidence.OrgID `json:"organization,omitempty"`
}

func (d *device) store() (_ *store, err error) {
	if d.kept == nil {
		d.kept, err = openStore(storeName, d.now())
	}
	return d.kept, err
}

func (d *device) config(k client.Keystore, s client.Signer) client.Config {
	return client.Config{
		Keystore: k, Signer: s, HTTP: fetcher{}, Tool: d.tool, Now: d.now, Page: page,
		Unlock: func() (sealing.Identity, error) {
			d.mu.Lock()
			defer d.mu.Unlock()
			if d.identity == nil {
				return sealing.Identity{}, errLocked
			}
			return *d.identity, nil
		},
	}
}

var (
	errLocked = evidence.Refuse(evidence.Forbidden, "locked")
	errNoKeys = evidence.Refuse(evidence.NotFound, "no_keys")
)

// session returns the client of the person, who has unlocked.
func (d *device) session() (*client.Client, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.open()
}

// open is session for who has the lock.
func (d *device) open() (*client.Client, error) {
	if d.client != nil {
		return d.client, nil
	}
	k, err := d.store()
	if err != nil {
		return nil, err
	}
	profile, err := client.ReadProfile(k)
	switch {
	case errors.Is(err, fs.ErrNotExist) || err == nil && profile.Actor == "":
		return nil, errNoKeys
	case err != nil:
		return nil, err
	case d.identity == nil:
		return nil, errLocked
	}
	if d.signer, err = openSigner(keyName); errors.Is(err, fs.ErrNotExist) {
		return nil, errNoKeys
	}
	if err == nil {
		d.client, err = client.New(d.config(k, d.signer))
	}
	return d.client, err
}

type stateAnswer struct {
	Known       bool             `json:"known"`
	Actor       evidence.ActorID `json:"actor,omitempty"`
	Vault       string           `json:"vault,omitempty"`
	VaultNumber string           `json:"vault_number,omitempty"`
	Role        evidence.Role    `json:"role,omitempty"` // that the keys were made for
	Unlocked    bool             `json:"unlocked"`
	Persisted   bool             `json:"persisted"` // the browser keeps this device's keys when it is short of space
}

// state says what this device holds. It asks nobody.
func state(r request, _ none) (a stateAnswer, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k, err := r.store()
	if err != nil {
		return a, err
	}
	persisted, err := browser.AwaitCall(js.Global().Get("navigator").Get("storage"), "persisted")
	if err != nil {
		return a, err
	}
	a.Persisted, a.Unlocked = persisted.Bool(), r.identity != nil
	profile, err := client.ReadProfile(k)
	if errors.Is(err, fs.ErrNotExist) || err == nil && profile.Actor == "" {
		return a, nil
	}
	if err != nil {
		return a, err
	}
	trust, err := client.ReadTrust(k)
	if err != nil {
		return a, err
	}
	e, err := readEnrolment(k)
	a.Known, a.Actor, a.Role = true, profile.Actor, e.Role
	a.Vault, a.VaultNumber = trust.Vault(), tlog.SixGroups(trust.Fingerprint())
	return a, err
}

func readEnrolment(k client.Keystore) (e enrolment, err error) {
	text, err := k.Read(enrolmentDoc)
	if err == nil {
		err = json.Unmarshal(text, &e)
	}
	return e, err
}

type unlockParams struct {
	Passphrase string `json:"passphrase"`
}

// unlock opens the identity. A wrong passphrase is forbidden "passphrase".
func unlock(r request, p unlockParams) (none, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k, err := r.store()
	if err != nil {
		return none{}, err
	}
	id, err := client.ReadIdentity(k, p.Passphrase)
	if errors.Is(err, fs.ErrNotExist) {
		return none{}, errNoKeys
	}
	if err != nil {
		return none{}, err
	}
	r.identity = &id
	_, err = r.open()
	return none{}, err
}

// signOutTime is how long the vault is waited for when the person has left.
const signOutTime = 10 * time.Second

// lock forgets identity and session at once, and ends the session at the vault if that can be reached.
func lock(r request, _ none) (none, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.client; c != nil {
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), signOutTime)
			defer cancel()
			c.SignOut(ctx) // a session ends by itself in minutes
		}()
	}
	r.client, r.identity, r.signer = nil, nil, nil
	clear(r.offers)
	return none{}, nil
}
