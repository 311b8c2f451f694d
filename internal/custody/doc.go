// Package custody owns the bytes of a custody event: the in-toto statement in canonical JSON, its DSSE signature, the leaf that
// enters the log, and the chain that events of one stream form (FORMATS §3, §4). It also owns the two other things an actor's key
// signs: a sign-in and a proof of possession.
//
// Bytes from outside pass through Open, which accepts one spelling only, and then through Verify, which alone (with Sign) makes a
// *Signed. Who holds a *Signed may assume: canonical bytes, fields this version knows (or Unknown says which it does not), and a
// signature by exactly that key. Whether the key was the actor's at that moment, and whether the event was allowed, is for package
// evidence to say.
//
// It never reads a clock, never decides a rule, and never touches a private key except through Signer.
package custody
