package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/keys"
	"strongroom.example/strongroom/internal/sealing"
	"strongroom.example/strongroom/internal/tlog"
)

// player is a person of the play, who acts for itself: own keys, own folder, own client, own memory of the vault.
type player struct {
	*client.Client
	name         string // of the folder
	called       string // in a sentence
	role         evidence.Role
	organization evidence.OrgID
	founder      evidence.ActorID // of a founder
	folder       string
	store        client.Folder
	signer       *keys.Signer
	identity     sealing.Identity
}

// newPlayer makes a person's folder and keys. They have no passphrase: this is a demonstration.
func (d *demo) newPlayer(name, called string, role evidence.Role) (p *player, err error) {
	p = &player{name: name, called: called, role: role, organization: evidence.NewID[evidence.OrgID](), folder: filepath.Join(d.dir, "people", name)}
	if p.store, err = client.OpenFolder(p.folder); err != nil {
		return nil, err
	}
	if p.signer, err = keys.Create(filepath.Join(p.folder, signingFile), keys.P256, nil); err != nil {
		return nil, err
	}
	if role.Keyless() {
		return p, nil
	}
	if p.identity, err = sealing.NewIdentity(); err != nil {
		return nil, err
	}
	return p, p.store.Write(identityFile, sealing.PlainIdentityFile(p.identity))
}

func (p *player) recipient() string {
	if p.role.Keyless() {
		return ""
	}
	return p.identity.Recipient()
}

// connect gives a person the trust file, whose number must be the one that was read out, and the vault's address.
func (p *player) connect(trustFile []byte, number, address string, actor evidence.ActorID) error {
	trust, err := tlog.ParseTrust(trustFile)
	if err != nil {
		return err
	}
	if tlog.SixGroups(trust.Fingerprint()) != number {
		return errors.New("the trust file does not have the vault's number")
	}
	if err := client.Pin(p.store, trust); err != nil {
		return err
	}
	if err := client.WriteProfile(p.store, client.Profile{Address: address, Actor: actor}); err != nil {
		return err
	}
	cfg := client.Config{Keystore: p.store, Signer: p.signer, Tool: tool(), Now: time.Now, Page: page}
	if !p.role.Keyless() {
		cfg.Unlock = func() (sealing.Identity, error) { return p.identity, nil }
	}
	p.Client, err = client.New(cfg)
	return err
}

// foundVault makes a vault with two founders and starts it.
func (d *demo) foundVault(ctx context.Context) (err error) {
	data := filepath.Join(d.dir, "vault")
	if err := d.makeVault(ctx, data); err != nil {
		return err
	}
	if d.server, err = startVault(ctx, d.bin, data, filepath.Join(d.dir, "strongroomd.log")); err != nil {
		return err
	}
	d.memory.watch("server", d.server.pid)
	d.address = d.server.address
	d.note("The vault is a program of its own: strongroomd, process %d. Its key for recovery is kept apart from it.", d.server.pid)
	if d.bucket != nil {
		d.note("It keeps the ciphertext in an S3 bucket with Object Lock. The S3 server is versitygw, process %d.", d.bucket.Process().Pid)
	}
	if d.engines != nil {
		if err := d.startSecond(ctx, data); err != nil {
			return err
		}
	}
	for _, w := range d.running {
		d.note("The witness %s, process %d, signs the record book's states. Elsewhere, others would run it: on this computer it shows how, and no more.", w.Name, w.Process().Pid)
	}
	d.note("It enters every act into its record book. Some entries are its own, so the numbers below have gaps.")
	founders := []*player{d.administrator, d.custodian1}
	for _, p := range founders {
		if err := p.connect(d.trust, d.number, d.address, p.founder); err != nil {
			return err
		}
	}
	d.checked("Everybody compares the vault's number before they trust it:\n%s", d.number)
	for _, p := range founders {
		if err := d.tellFounder(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// makeVault runs strongroomd init twice: for the vault's name, and with the founders' files, which name it.
func (d *demo) makeVault(ctx context.Context, data string) (err error) {
	var raw [5]byte
	rand.Read(raw[:])
	origin := "demo-" + strings.ToLower(base32.StdEncoding.EncodeToString(raw[:])) + ".internal"
	if _, err := d.vaultSays(ctx, "init", "--data", data, "--origin", origin); err != nil {
		return err
	}
	if d.administrator, err = d.newPlayer("administrator", "The administrator", evidence.Administrator); err != nil {
		return err
	}
	if d.custodian1, err = d.newPlayer("custodian-1", "The first custodian", evidence.Custodian); err != nil {
		return err
	}
	recovery, err := d.makeRecovery()
	if err != nil {
		return err
	}
	finish := []string{"init", "--data", data, "--waits", waitsFlag, "--recovery", recovery}
	for _, p := range []*player{d.administrator, d.custodian1} {
		file, err := p.found(origin)
		if err != nil {
			return err
		}
		finish = append(finish, "--founder", file)
	}
	if len(d.witnesses) > 0 {
		finish = append(finish, "--witness-policy", d.policyPath(), "--development-timestamps")
	}
	said, err := d.vaultSays(ctx, finish...)
	if err != nil {
		return err
	}
	if d.trust, err = os.ReadFile(filepath.Join(data, "trust.json")); err != nil {
		return err
	}
	trust, err := tlog.ParseTrust(d.trust)
	if err != nil {
		return err
	}
	d.number = tlog.SixGroups(trust.Fingerprint())
	if !bytes.Contains(said, []byte(d.number)) {
		return errors.New("strongroomd init said another number than that of its trust file")
	}
	if len(d.witnesses) > 0 {
		return d.startWitnesses(ctx, trust)
	}
	return nil
}

// found makes a founder's file.
func (p *player) found(origin string) (path string, err error) {
	id, file, err := client.Found(client.Founder{Origin: origin, Role: p.role, Organization: p.organization, Signer: p.signer,
		Recipient: p.recipient(), Tool: tool(), Time: evidence.At(time.Now())})
	if err != nil {
		return "", err
	}
	p.founder = id
	path = filepath.Join(p.folder, "founder")
	return path, os.WriteFile(path, file, 0o600)
}

// makeRecovery makes the recovery key, which real founders would keep offline, and returns its recipient.
func (d *demo) makeRecovery() (string, error) {
	id, err := sealing.NewIdentity()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(d.dir, "recovery")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	return id.Recipient(), os.WriteFile(filepath.Join(dir, "identity.txt"), sealing.PlainIdentityFile(id), 0o600)
}

func (d *demo) tellFounder(ctx context.Context, p *player) error {
	stream := evidence.ActorOf(p.Actor())
	view, err := d.administrator.Look(ctx, stream)
	if err != nil {
		return err
	}
	who, ok := view.State(stream).(*evidence.ActorState)
	if !ok || !who.Founder || !who.Active(view.Time) {
		return fmt.Errorf("%s is not a founder", p.name)
	}
	_, index := view.Leaf(stream, 0)
	d.entry(index, "%s is a founder, with an own key.", p.called)
	return nil
}

// vaultSays runs a command of strongroomd that must end well.
func (d *demo) vaultSays(ctx context.Context, args ...string) ([]byte, error) {
	out, code, err := d.run(ctx, "strongroomd", "server", args...)
	if err == nil && code != 0 {
		err = fmt.Errorf("strongroomd %s ended with exit code %d", args[0], code)
	}
	return out, err
}

// enrolPeople brings in everybody else: invited by one, confirmed by another who compares the key number.
func (d *demo) enrolPeople(ctx context.Context) error {
	for _, p := range []struct {
		who               **player
		name, called      string
		role              evidence.Role
		inviter, compares **player
	}{
		{&d.custodian2, "custodian-2", "The second custodian", evidence.Custodian, &d.administrator, &d.custodian1},
		{&d.clinician, "clinician", "The clinician", evidence.Clinician, &d.administrator, &d.custodian1},
		{&d.investigator, "investigator", "The investigator", evidence.Investigator, &d.administrator, &d.custodian2},
		{&d.court, "court", "The court", evidence.Court, &d.custodian1, &d.custodian2},
	} {
		var err error
		if *p.who, err = d.newPlayer(p.name, p.called, p.role); err != nil {
			return err
		}
		if err := d.enrol(ctx, *p.who, *p.inviter, *p.compares); err != nil {
			return fmt.Errorf("enrolment of the %s: %w", p.name, err)
		}
	}
	if err := d.nameOrganizations(ctx); err != nil {
		return err
	}
	return d.writeCourt()
}

// nameOrganizations says what everybody's organization is called, as the operator of a running vault does.
func (d *demo) nameOrganizations(ctx context.Context) error {
	names := make(orgNames)
	for _, p := range []struct {
		who  *player
		name string
	}{
		{d.administrator, "Vault Registry"}, {d.custodian1, "Evidence Office North"}, {d.custodian2, "Evidence Office South"}, {d.clinician, "City Clinic"},
		{d.investigator, "Field Office"}, {d.court, "District Court"},
	} {
		names[p.who.organization] = p.name
		if _, err := d.vaultSays(ctx, "organization", "--data", filepath.Join(d.dir, "vault"), string(p.who.organization), p.name); err != nil {
			return err
		}
	}
	told, err := d.clinician.Organizations(ctx)
	if err != nil {
		return err
	}
	if !maps.Equal(names, orgNames(told)) {
		return errors.New("the vault does not tell the names of the organizations")
	}
	d.checked("The operator says what their %d organizations are called, and the running vault tells it. These names are to be read; what counts is the id: %s.",
		len(names), names.of(d.custodian1.organization))
	return nil
}

func (d *demo) enrol(ctx context.Context, p, inviter, second *player) error {
	if err := p.connect(d.trust, d.number, d.address, ""); err != nil {
		return err
	}
	secret, invitation, err := inviter.Invite(ctx, client.Offer{Role: p.role, Organization: p.organization})
	if err != nil {
		return err
	}
	fingerprint, err := p.AnswerInvitation(ctx, secret)
	if err != nil {
		return err
	}
	enrolled, err := inviter.Admit(ctx, invitation, "")
	if err != nil {
		return err
	}
	d.entry(enrolled.Index(), "%s enrols %s, who made own keys.", inviter.called, lowered(p.called))
	number := tlog.SixGroups(fingerprint)
	confirmed, err := second.Confirm(ctx, client.Confirmation{Actor: p.Actor(), Typed: number, Method: evidence.InPerson})
	if err != nil {
		return err
	}
	who, err := d.administrator.Person(ctx, p.Actor())
	if err != nil {
		return err
	}
	if who.Status != evidence.StatusActive || who.ConfirmedBy != second.Actor() || who.Shown != number {
		return errors.New("the key number was not confirmed")
	}
	d.entry(confirmed.Index(), "%s confirms the key number as read out to them:\n%s", second.called, number)
	return nil
}

func lowered(called string) string { return "t" + strings.TrimPrefix(called, "T") }

// writeCourt puts what the court judges by, and with, beside the package that it will receive.
func (d *demo) writeCourt() error {
	dir := filepath.Join(d.dir, "court")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, "trust.json"), d.trust, 0o600),
		os.WriteFile(filepath.Join(dir, "identity.txt"), sealing.PlainIdentityFile(d.court.identity), 0o600))
}
