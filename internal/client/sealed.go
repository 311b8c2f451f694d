package client

import (
	"errors"
	"io/fs"
	"path"

	"strongroom.example/strongroom/internal/sealing"
)

// Some documents say more than codes: what people agreed to, or by which names they are known. They are kept sealed to the person, as notes
// are (FORMATS §3), so that who has the device alone reads nothing.

// sealedDoc is the name of one of them.
func sealedDoc(dir, of string) string { return path.Join(dir, of+".age") }

// writeSealed replaces such a document. Its text is not empty, and no longer than a note.
func (c *Client) writeSealed(name, text string) error {
	id, err := c.unlock()
	if err != nil {
		return err
	}
	file, err := sealing.SealNote(text, id.Recipient())
	if err != nil {
		return err
	}
	return c.cfg.Keystore.Write(name, file)
}

// readSealed returns what writeSealed wrote, "" if there is nothing that this person can read: none was written, or it is sealed to earlier
// keys of theirs.
func (c *Client) readSealed(name string) (string, error) {
	file, err := c.cfg.Keystore.Read(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	id, err := c.unlock()
	if err != nil {
		return "", err
	}
	text, err := sealing.OpenNote(file, id)
	if errors.Is(err, sealing.ErrNotForYou) {
		return "", nil
	}
	if err != nil {
		return "", errDamaged
	}
	return text, nil
}
