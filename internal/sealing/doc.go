// Package sealing encrypts and decrypts: evidence, descriptions, labels, notes
// and envelopes (FORMATS §8, §9), and people's identities at rest. Everything
// it writes is a standard age file that stock age opens.
//
// It owns the private halves: an [ItemKey] belongs to one item and travels in
// envelopes, an [Identity] belongs to one person. Both are post-quantum hybrid
// keys; it never encrypts to, opens with or accepts a classic one. It makes
// fresh keys from crypto/rand and knows no clock, file or network.
//
// age does not say who made a file: anyone who knows a recipient can encrypt
// to it. That a file is the one that was deposited follows from the digests in
// the signed event alone, and comparing them is the caller's part. What an
// envelope contains is checked here, by [OpenEnvelope].
//
// It is linked by what runs on a person's own device, never by the server;
// package ageheader is the part of it that a server may use.
//
// # Padding
//
// age hides content but not length. The small files are therefore padded, in
// a way that leaves the text readable for whoever uses stock age:
//
//   - note, label: the plaintext is the text, one line feed, then the least
//     number of spaces (0 to 511) that makes the age file a multiple of 512
//     bytes. The line feed before the spaces is not part of the text, so text
//     of every form comes back as it was.
//   - description: the plaintext is one JSON object, then the least number of
//     spaces (0 to 4095) that makes the plaintext a multiple of 4096 bytes.
//
// A reader refuses any other padding. As a header for n recipients takes
// 70 + 1557 n bytes, the smallest note or label has 2048 bytes.
package sealing

import "errors"

// Errors of this package. Those about one file distinguish what a person can
// do about it; none of them repeats a byte of what was given.
var (
	// ErrKey: not the canonical text of a hybrid identity or recipient.
	ErrKey = errors.New("sealing: not a post-quantum hybrid age key")
	// ErrClassicKey: an age key, but one without post-quantum protection.
	ErrClassicKey = errors.New("sealing: a classic age key; only post-quantum hybrid keys are accepted")
	// ErrKeyUsed: the item key has encrypted evidence before, or was not made
	// by this process.
	ErrKeyUsed = errors.New("sealing: an item key encrypts evidence once only")
	// ErrHeader: not a binary age file for hybrid recipients, or too many of
	// them. It is joined by the reason, an ageheader.Error.
	ErrHeader = errors.New("sealing: unacceptable age header")
	// ErrNotForYou: no recipient of the file is the key given. A damaged
	// stanza looks the same.
	ErrNotForYou = errors.New("sealing: not encrypted to this key")
	// ErrDamaged: the file was changed, cut short or extended.
	ErrDamaged = errors.New("sealing: damaged age file")
	// ErrForeignEnvelope: the envelope opens, but holds the key of another item.
	ErrForeignEnvelope = errors.New("sealing: the envelope holds another item's key")
	// ErrContent: the file opens, but its content or padding is not in the form
	// of its kind; or what is to be written is not.
	ErrContent = errors.New("sealing: content not in the form of its kind")
	// ErrTooLarge: over the limit of its kind (FORMATS §1).
	ErrTooLarge = errors.New("sealing: over the size limit of its kind")
	// ErrPassphrase: the identity file asks for another passphrase than the one
	// given, or for one at all.
	ErrPassphrase = errors.New("sealing: missing or wrong passphrase")
	// ErrCard: not the code of a card; most likely mistyped.
	ErrCard = errors.New("sealing: not the code of a card")
)
