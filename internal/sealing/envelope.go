package sealing

import "strings"

// WriteEnvelope encrypts an item key to one person (FORMATS §9). The plaintext is
// a valid identity file for stock age. Errors: [ErrKey], [ErrClassicKey].
func WriteEnvelope(key ItemKey, recipient string) ([]byte, error) {
	return seal([]byte(key.id.String()+"\n"), MaxEnvelope, []string{recipient})
}

// OpenEnvelope takes the item key out of an envelope. The key must be the one
// whose recipient the deposit names, or the server could hand out another
// item's key and body: otherwise [ErrForeignEnvelope]. Further errors:
// [ErrHeader], [ErrNotForYou], [ErrDamaged], [ErrContent], [ErrTooLarge].
func OpenEnvelope(envelope []byte, id Identity, itemRecipient string) (ItemKey, error) {
	plaintext, err := open(envelope, id, 1, MaxEnvelope)
	if err != nil {
		return ItemKey{}, err
	}
	line, ended := strings.CutSuffix(string(plaintext), "\n")
	key, err := ParseItemKey(line)
	if err != nil || !ended {
		return ItemKey{}, ErrContent
	}
	if key.Recipient() != itemRecipient {
		return ItemKey{}, ErrForeignEnvelope
	}
	return key, nil
}
