package daemon

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"syscall"

	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/keys"
)

// RotateVaultKey makes the vault's next own key, or takes the one in a KMS that uri names, and answers a custodian's invitation with it
// (RULES §3.3): the custodian then signs actor.key_rotated, and another person confirms the key by its number, which is returned. The server
// does not run meanwhile. It can be repeated with the same code after an interruption: the key is named in vault.json before anybody learns
// of it.
func RotateVaultKey(ctx context.Context, dir string, o Options, code, uri string) (number evidence.Hash, err error) {
	p, err := open(ctx, dir, o)
	if err != nil {
		return evidence.Hash{}, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	terms, err := p.vault.InvitationTerms(ctx, code)
	if err != nil {
		return evidence.Hash{}, fmt.Errorf("the code: %w", err)
	}
	if !terms.Rotation || terms.Actor != p.settings.Actor {
		return evidence.Hash{}, errors.New("the code is not for the vault's own key")
	}
	policy := evidence.PolicyOf(p.settings.Origin)
	states, err := p.records.States(ctx, policy)
	if err != nil {
		return evidence.Hash{}, err
	}
	if s, ok := states[policy].(*evidence.PolicyState); !ok || s.At(evidence.At(o.Now())).Rules < 3 {
		return evidence.Hash{}, errors.New("under its present rules nobody could confirm the vault's next key; first: strongroom vault configure --newest-rules")
	}
	next := p.keys[nextVaultKey]
	if next == nil {
		names := p.settings.Keys
		if next, err = p.folder.newKey(ctx, nextVaultKey, keys.P256, &names, uri, o.PassphraseFile); err != nil {
			return evidence.Hash{}, err
		}
		p.settings.Keys = names
		if err := writeFile(p.folder.settings(), p.settings.marshal(), 0o600); err != nil {
			return evidence.Hash{}, err
		}
	}
	number = evidence.Fingerprint(next.SPKI(), "")
	key := base64.StdEncoding.EncodeToString(next.SPKI())
	if terms.Keys != nil && terms.Keys.Key == key { // answered, before an interruption
		return number, nil
	}
	possession := custody.Possession{Vault: p.settings.Origin, Actor: p.settings.Actor, Fingerprint: number, Invitation: terms.Digest}
	dsse, err := possession.Sign(next.SPKI(), next)
	if err != nil {
		return evidence.Hash{}, err
	}
	_, signature, err := custody.OpenPossession(dsse)
	if err != nil {
		return evidence.Hash{}, err
	}
	_, err = p.vault.AnswerInvitation(ctx, code, evidence.Keys{
		Key: key, Possession: base64.StdEncoding.EncodeToString(signature.DER), Invitation: terms.Digest,
	})
	return number, err
}

// adoptKey makes the next key the vault's own once it is confirmed: until then its rotation may still be another one. Where vault.json is
// mounted, or nobody may change it, each start finds the same anew: the file names both keys.
func (p *parts) adoptKey(status evidence.Status) error {
	if status != evidence.StatusActive {
		return nil
	}
	p.settings.Keys.Vault, p.settings.Keys.Next = p.settings.Keys.Next, ""
	switch err := writeFile(p.folder.settings(), p.settings.marshal(), 0o600); {
	case errors.Is(err, syscall.EBUSY), errors.Is(err, syscall.EROFS), errors.Is(err, os.ErrPermission):
		p.options.Logger.Warn("vault.json cannot be changed and still names the vault's earlier key; this process signs with the one in force. "+
			"Keep the file of the earlier key. Start the vault once with a copy of its folder that can be changed, then put the vault.json from there in place", "err", err)
	case err != nil:
		return err
	}
	p.keys[vaultKey] = p.keys[nextVaultKey]
	delete(p.keys, nextVaultKey)
	p.author.SPKI, p.author.Signer, p.author.Next = p.keys[vaultKey].SPKI(), p.keys[vaultKey], nil
	return nil
}
