// Package client is what a person's own device does, whether command line or browser: it asks the vault, believes nothing it is told,
// signs, encrypts, uploads, opens and checks.
//
// Everything that is decided or signed stands on streams that were verified back to the pinned trust file and compared with what this
// device saw before (Look). Nothing counts as done before its receipt is verified; nothing is decrypted before the access to it is proved
// to be in the log (ARCHITECTURE §1, ideas 3 and 4).
//
// It may assume that its Keystore is durable and belongs to one person. It never sends a plaintext, a name, a reason or a private key,
// never repeats what it was given in an error or an address, and never goes on after an Alarm.
//
// Errors are of three sorts: *Alarm, when the vault's answer cannot be true; *evidence.Error, when the law or the vault refuses; anything
// else comes from the network or the device.
package client
