package vault_test

import (
	"encoding/base64"

	"strongroom.example/strongroom/internal/custody"
	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/sealing"
	"strongroom.example/strongroom/internal/vault"
)

type person struct {
	id       ev.ActorID
	role     ev.Role
	org      ev.OrgID
	key      *custody.Key
	identity sealing.Identity
}

func (p *person) caller() vault.Caller {
	return vault.Caller{Actor: p.id, Role: p.role, KeyID: custody.KeyID(p.key.SPKI())}
}

func (p *person) recipient() string {
	if p.role.Keyless() {
		return ""
	}
	return p.identity.Recipient()
}

func (p *person) fingerprint() ev.Hash { return ev.Fingerprint(p.key.SPKI(), p.recipient()) }

func (w *world) meet(name string, role ev.Role) *person {
	p := &person{id: ev.NewID[ev.ActorID](), role: role, org: ev.NewID[ev.OrgID](), key: must(custody.GenerateKey()), identity: must(sealing.NewIdentity())}
	if role == ev.Vault {
		p.org = ""
	}
	w.people[name] = p
	return p
}

func (w *world) keys(name string) ev.Keys {
	p := w.people[name]
	return ev.Keys{Key: base64.StdEncoding.EncodeToString(p.key.SPKI()), Recipient: p.recipient()}
}

func (w *world) found(signed *custody.Signed) {
	w.t.Helper()
	if err := w.Found(ctx(), signed); err != nil {
		w.t.Fatal(err)
	}
}

// invite brings a person as far as an answered invitation, and returns the keys as an enrolment names them.
func (w *world) invite(name string, role ev.Role) ev.Keys {
	w.t.Helper()
	p := w.meet(name, role)
	by := "custodian"
	if role.Staff() {
		by = "administrator"
	}
	return w.answered(name, by, vault.Offer{Role: role, Organization: p.org})
}

func (w *world) answered(name, by string, o vault.Offer) ev.Keys {
	w.t.Helper()
	secret, made, err := w.Invite(ctx(), w.people[by].caller(), o)
	if err != nil {
		w.t.Fatal(err)
	}
	p := w.people[name]
	p.id = made.Actor
	keys := w.possession(name, made.Digest)
	fingerprint, err := w.AnswerInvitation(ctx(), secret, keys)
	if err != nil || fingerprint != p.fingerprint() {
		w.t.Fatalf("answer: %v", err)
	}
	return keys
}

// rotate gives somebody new keys, and returns who that one was with the old ones.
func (w *world) rotate(name, by, then string) (old person) {
	w.t.Helper()
	p := w.people[name]
	old, p.key, p.identity = *p, must(custody.GenerateKey()), must(sealing.NewIdentity())
	keys := w.answered(name, by, vault.Offer{Rotation: p.id})
	w.do(by, ev.ActorOf(p.id), ev.ActorKeyRotated, &ev.ActorKeyRotatedDetails{Keys: keys, Cause: ev.CauseReplacement})
	w.do(then, ev.ActorOf(p.id), ev.ActorConfirmed, &ev.ActorConfirmedDetails{Fingerprint: p.fingerprint(), Method: ev.ByPhone})
	return old
}

// possession proves that the person holds the keys, for this invitation.
func (w *world) possession(name string, invitation ev.Hash) ev.Keys {
	p := w.people[name]
	m := custody.Possession{Vault: origin, Actor: p.id, Fingerprint: p.fingerprint(), Invitation: invitation}
	_, proof, err := custody.OpenPossession(must(m.Sign(p.key.SPKI(), p.key)))
	if err != nil {
		w.t.Fatal(err)
	}
	keys := w.keys(name)
	keys.Possession, keys.Invitation = base64.StdEncoding.EncodeToString(proof.DER), invitation
	return keys
}

// enrol brings a person in the way people come in.
func (w *world) enrol(name string, role ev.Role) *person {
	w.t.Helper()
	keys := w.invite(name, role)
	p, by, then := w.people[name], "custodian", "second"
	if role.Staff() {
		by, then = "administrator", "custodian"
	}
	stream := ev.ActorOf(p.id)
	w.do(by, stream, ev.ActorEnrolled, &ev.ActorEnrolledDetails{Keys: keys, Role: p.role, Organization: p.org})
	w.do(then, stream, ev.ActorConfirmed, &ev.ActorConfirmedDetails{Fingerprint: p.fingerprint(), Method: ev.ByPhone})
	return p
}
